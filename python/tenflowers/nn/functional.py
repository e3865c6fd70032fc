"""The operations of layers as functions; each is one operation of the extension, differentiable to every order."""

from __future__ import annotations

from .._core import (
    Tensor,
    avg_pool2d,
    batch_norm,
    binary_cross_entropy_with_logits,
    conv2d,
    cross_entropy,
    dropout,
    embedding,
    gelu,
    l1_loss,
    layer_norm,
    linear,
    log_softmax,
    max_pool2d,
    mse_loss,
    nll_loss,
    pad,
    scaled_dot_product_attention,
    sigmoid,
    silu,
    softmax,
    tanh,
)
from .._core import relu as _relu
from .multi_head import multi_head_attention_forward

__all__ = [
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy_with_logits",
    "conv2d",
    "cross_entropy",
    "dropout",
    "embedding",
    "gelu",
    "l1_loss",
    "layer_norm",
    "linear",
    "log_softmax",
    "max_pool2d",
    "mse_loss",
    "multi_head_attention_forward",
    "nll_loss",
    "pad",
    "relu",
    "scaled_dot_product_attention",
    "sigmoid",
    "silu",
    "softmax",
    "tanh",
]


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``max(input, 0)``, written over the input if ``inplace``."""
    return input.relu_() if inplace else _relu(input)
