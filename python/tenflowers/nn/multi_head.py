"""Attention with several heads as a function: projections, one attention a head, a projection of their results."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .._core import (
    Tensor,
    cat,
    dropout,
    linear,
    logical_not,
    logical_or,
    matmul,
    pad,
    scaled_dot_product_attention,
    softmax,
    zeros,
    zeros_like,
)
from .._core import bool as boolean
from ..errors import DtypeMismatch, ShapeError, TensorError

__all__ = ["multi_head_attention_forward"]


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention with several heads (Vaswani et al., 2017): the result and, if ``need_weights``, the weights.

    Sequences are (length, batch, features) or (length, features). ``nn.MultiheadAttention`` says what the arguments
    are; ``static_k`` and ``static_v`` of shape (batch * heads, keys, features / heads) stand in for projected keys and
    values.

    >>> x, w = tf.randn(5, 2, 8), tf.randn(24, 8)
    >>> out, weights = F.multi_head_attention_forward(
    ...     x, x, x, 8, 4, w, None, None, None, False, 0.0, tf.randn(8, 8), None
    ... )
    >>> out.shape, weights.shape
    (tenflowers.Size([5, 2, 8]), tenflowers.Size([2, 5, 5]))
    """
    separate = use_separate_proj_weight
    given = (q_proj_weight, k_proj_weight, v_proj_weight) if separate else (in_proj_weight,)
    projections = [weight for weight in given if weight is not None]
    if len(projections) < len(given):
        needed = "q_, k_ and v_proj_weight" if separate else "in_proj_weight"
        raise TensorError(f"{_NAME}: with use_separate_proj_weight={separate}, {needed} must be given")
    if query.ndim in (2, 3) and query.shape[-1] != embed_dim_to_check:
        raise ShapeError(f"{_NAME}: query must have {embed_dim_to_check} features, not {query.shape[-1]}")
    return attend(
        (query, key, value),
        num_heads,
        projections,
        in_proj_bias,
        (bias_k, bias_v),
        add_zero_attn,
        dropout_p if training else 0.0,
        (out_proj_weight, out_proj_bias),
        (key_padding_mask, attn_mask),
        is_causal,
        need_weights,
        average_attn_weights,
        (static_k, static_v),
        batch_first=False,
    )


_NAME = "multi_head_attention_forward"


def attend(
    tensors: tuple[Tensor, Tensor, Tensor],
    heads: int,
    projections: list[Tensor],
    in_bias: Tensor | None,
    more: tuple[Tensor | None, Tensor | None],
    add_zero: bool,
    dropout_p: float,
    out: tuple[Tensor, Tensor | None],
    masks: tuple[Tensor | None, Tensor | None],
    is_causal: bool,
    need_weights: bool,
    average: bool,
    static: tuple[Tensor | None, Tensor | None],
    batch_first: bool,
) -> tuple[Tensor, Tensor | None]:
    """The function above, for either order of batch and sequence, which are never turned in memory."""
    query, key, value = tensors
    batched = _check_ranks(query, key, value, masks)
    if query.shape[-1] % heads:
        raise ShapeError(f"{_NAME}: {query.shape[-1]} features cannot be shared out to {heads} heads")
    if is_causal and masks[1] is None:
        raise TensorError(f"{_NAME}: is_causal is a hint about attn_mask, which is needed")
    if is_causal and masks[0] is None and not need_weights:
        masks = (None, None)
    else:
        is_causal = False
    whole = len(projections) == 1
    if (key.shape if whole else key.shape[:-1]) != (value.shape if whole else value.shape[:-1]):
        raise ShapeError(f"{_NAME}: key and value do not fit: {key.shape} and {value.shape}")
    first = batch_first or not batched
    projected = _project(query, key, value, projections, in_bias)
    q, k, v = (_heads(part, heads, batched, first) for part in projected)
    batch, _, rows, size = q.shape
    k, v = (x if s is None else s.view(batch, heads, -1, size) for x, s in zip((k, v), static, strict=True))
    extra = 0
    if (more[0] is None) != (more[1] is None):
        raise TensorError(f"{_NAME}: bias_k and bias_v go together")
    if more[0] is not None and more[1] is not None:
        if any(given is not None for given in static):
            raise TensorError(f"{_NAME}: bias_k and bias_v cannot be added to static keys and values")
        k, v = (
            cat([x, bias.view(1, heads, 1, size).expand(batch, -1, -1, -1)], 2)
            for x, bias in ((k, more[0]), (v, more[1]))
        )
        extra += 1
    if add_zero:
        zero = zeros(batch, heads, 1, size, dtype=q.dtype)
        k, v = cat([k, zero], 2), cat([v, zero], 2)
        extra += 1
    mask = _merged(masks, (batch, heads, rows, k.shape[2]), extra, q)
    weights = None
    if need_weights:
        result, weights = _with_weights(q, k, v, mask, dropout_p)
        weights = weights.mean(1) if average else weights
    else:
        keep = logical_not(mask) if mask is not None and mask.dtype == boolean else mask
        result = scaled_dot_product_attention(q, k, v, keep, dropout_p, is_causal)
    joined = linear(result.transpose(1, 2).reshape(batch, rows, heads * size), *out)
    if not batched:
        return joined.squeeze(0), None if weights is None else weights.squeeze(0)
    return joined if batch_first else joined.transpose(0, 1), weights


def _check_ranks(query: Tensor, key: Tensor, value: Tensor, masks: tuple[Tensor | None, Tensor | None]) -> bool:
    """Whether there is a batch."""
    if query.ndim not in (2, 3):
        raise ShapeError(f"{_NAME}: query must have two dimensions, or three with a batch, not {query.ndim}")
    batched = query.ndim == 3
    for name, tensor in (("key", key), ("value", value)):
        if tensor.ndim != query.ndim:
            raise ShapeError(f"{_NAME}: {name} must have {query.ndim} dimensions as query has, not {tensor.ndim}")
    padding, mask = masks
    if padding is not None and padding.ndim != query.ndim - 1:
        raise ShapeError(f"{_NAME}: key_padding_mask must have {query.ndim - 1} dimensions, not {padding.ndim}")
    if mask is not None and mask.ndim not in (2, 3):
        raise ShapeError(f"{_NAME}: attn_mask must have two or three dimensions, not {mask.ndim}")
    for name, each in (("key_padding_mask", padding), ("attn_mask", mask)):
        if each is not None and each.dtype != boolean and not each.is_floating_point():
            raise DtypeMismatch(f"{_NAME}: {name} must be bool or of a floating point dtype, not {each.dtype}")
    return batched


def _project(query: Tensor, key: Tensor, value: Tensor, weights: list[Tensor], bias: Tensor | None) -> Sequence[Tensor]:
    """Queries, keys and values, in one product where they are made of the same."""
    if len(weights) == 1 and key is value:
        if query is key:
            return linear(query, weights[0], bias).chunk(3, -1)
        size = query.shape[-1]
        first, rest = weights[0].split([size, 2 * size])
        b_first, b_rest = (None, None) if bias is None else bias.split([size, 2 * size])
        return linear(query, first, b_first), *linear(key, rest, b_rest).chunk(2, -1)
    apart = weights[0].chunk(3) if len(weights) == 1 else weights
    biases = (None, None, None) if bias is None else bias.chunk(3)
    return [linear(x, w, b) for x, w, b in zip((query, key, value), apart, biases, strict=True)]


def _heads(x: Tensor, heads: int, batched: bool, batch_first: bool) -> Tensor:
    """(batch, heads, sequence, size), as a view."""
    if not batched:
        x = x.unsqueeze(0)
    x = x.view(*x.shape[:2], heads, -1)
    return x.transpose(1, 2) if batch_first else x.permute(1, 2, 0, 3)


def _merged(
    masks: tuple[Tensor | None, Tensor | None], shape: tuple[int, int, int, int], extra: int, like: Tensor
) -> Tensor | None:
    """Both masks as one that broadcasts to the scores: true where there is nothing to see, or added to them."""
    batch, heads, rows, keys = shape
    padding, mask = masks
    found: list[Tensor] = []
    if mask is not None:
        expected = (rows, keys - extra) if mask.ndim == 2 else (batch * heads, rows, keys - extra)
        if tuple(mask.shape) != expected:
            raise ShapeError(f"{_NAME}: attn_mask must have the shape {expected}, not {tuple(mask.shape)}")
        found.append(mask if mask.ndim == 2 else mask.view(batch, heads, rows, keys - extra))
    if padding is not None:
        padding = padding if padding.ndim == 2 else padding.unsqueeze(0)
        if tuple(padding.shape) != (batch, keys - extra):
            expected = (batch, keys - extra)
            raise ShapeError(f"{_NAME}: key_padding_mask must have the shape {expected}, not {tuple(padding.shape)}")
        found.append(padding.view(batch, 1, 1, keys - extra))
    if extra:
        found = [pad(part, (0, extra)) for part in found]
    if len(found) < 2:
        return found[0] if found else None
    if all(part.dtype == boolean for part in found):
        return logical_or(*found)
    left, right = (added(part, like) for part in found)
    return left + right


def added(mask: Tensor, like: Tensor) -> Tensor:
    """A mask as numbers to be added to scores: minus infinity where a bool one is true."""
    if mask.dtype != boolean:
        return mask
    return zeros_like(mask, dtype=like.dtype).masked_fill_(mask, -math.inf)


def _with_weights(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout_p: float) -> tuple[Tensor, Tensor]:
    scores = matmul(q * (1 / math.sqrt(q.shape[-1])), k.transpose(-2, -1))
    if mask is not None:
        scores = scores.masked_fill(mask, -math.inf) if mask.dtype == boolean else scores + mask
    weights = dropout(softmax(scores, -1), dropout_p) if dropout_p > 0 else softmax(scores, -1)
    return matmul(weights, v), weights
