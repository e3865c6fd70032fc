"""The transformer and its parts against NumPy; their names, text, copies and hooks."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from opinfo.run import array, tensor, tf
from scipy.special import erf
from test_attention import filled, formula

nn = tf.nn
rng = np.random.default_rng(0)
CAUSAL = np.where(np.tri(5, dtype=bool), 0.0, -np.inf)


def values(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape)


def norm(layer: Any, x: np.ndarray) -> np.ndarray:
    bias = 0.0 if layer.bias is None else array(layer.bias)
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + layer.eps) * array(layer.weight) + bias


def linear(layer: Any, x: np.ndarray) -> np.ndarray:
    return x @ array(layer.weight).T + (0.0 if layer.bias is None else array(layer.bias))


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def gelu(x: np.ndarray) -> np.ndarray:
    return x * (1 + erf(x / np.sqrt(2))) / 2


def run(layer: Any, x: np.ndarray, activation: Any, *attentions: Any) -> np.ndarray:
    """A layer: ``attentions`` are functions of what the attention reads."""

    def forward(x: np.ndarray) -> np.ndarray:
        return linear(layer.linear2, activation(linear(layer.linear1, x)))

    for step, block in enumerate((*attentions, forward), 1):
        scale = getattr(layer, f"norm{step}")
        x = x + block(norm(scale, x)) if layer.norm_first else norm(scale, x + block(x))
    return x


def encoded(layer: Any, x: np.ndarray, activation: Any, mask: Any = None) -> np.ndarray:
    return run(layer, x, activation, lambda y: formula(layer.self_attn, y, y, y, mask)[0])


def decoded(layer: Any, x: np.ndarray, to: np.ndarray, activation: Any, mask: Any = None, other: Any = None) -> Any:
    return run(
        layer,
        x,
        activation,
        lambda y: formula(layer.self_attn, y, y, y, mask)[0],
        lambda y: formula(layer.multihead_attn, y, to, to, other)[0],
    )


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("activation", "function"), [("relu", relu), ("gelu", gelu), (tf.tanh, np.tanh)])
def test_layers(norm_first: bool, bias: bool, activation: Any, function: Any) -> None:
    options = {"norm_first": norm_first, "bias": bias, "batch_first": True, "dropout": 0.0, "dtype": tf.float64}
    options |= {"activation": activation, "layer_norm_eps": 1e-3}
    x, memory = values(2, 5, 8), values(2, 7, 8)
    layer = filled(nn.TransformerEncoderLayer(8, 2, 12, **options))
    close(layer(tensor(x)), encoded(layer, x, function))
    close(layer(tensor(x[0])), encoded(layer, x[:1], function)[0])
    padding = np.array([[False] * 5, [False] * 3 + [True] * 2])
    added = CAUSAL + np.where(padding, -np.inf, 0.0)[:, None, None, :]
    found = layer(tensor(x), src_mask=tensor(np.isinf(CAUSAL)), src_key_padding_mask=tensor(padding))
    close(found, encoded(layer, x, function, added))
    layer = filled(nn.TransformerDecoderLayer(8, 2, 12, **options))
    close(layer(tensor(x), tensor(memory)), decoded(layer, x, memory, function))
    hidden = values(5, 7)
    found = layer(tensor(x), tensor(memory), tensor(CAUSAL), tensor(hidden), tgt_is_causal=True)
    close(found, decoded(layer, x, memory, function, CAUSAL, hidden))


def close(found: Any, want: np.ndarray) -> None:
    np.testing.assert_allclose(array(found), want, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("batch_first", [False, True])
def test_transformer(batch_first: bool) -> None:
    model = nn.Transformer(8, 2, 2, 3, 12, batch_first=batch_first, dtype=tf.float64).eval()
    src, tgt = values(2, 7, 8), values(2, 5, 8)
    padding = np.array([[False] * 7, [False] * 4 + [True] * 3])
    hidden = np.where(padding, -np.inf, 0.0)[:, None, None, :]
    memory = src
    for layer in model.encoder.layers:
        memory = encoded(layer, memory, relu, hidden)
    memory = norm(model.encoder.norm, memory)
    want = tgt
    for layer in model.decoder.layers:
        want = decoded(layer, want, memory, relu, CAUSAL, hidden)
    want = norm(model.decoder.norm, want)
    given = [tensor(x if batch_first else np.ascontiguousarray(x.swapaxes(0, 1))) for x in (src, tgt)]
    mask = nn.Transformer.generate_square_subsequent_mask(5, dtype=tf.float64)
    np.testing.assert_array_equal(array(mask), CAUSAL)
    assert nn.Transformer.generate_square_subsequent_mask(3).dtype == tf.float32
    for causal in (None, True, False):
        found = model(
            *given,
            tgt_mask=mask,
            src_key_padding_mask=tensor(padding),
            memory_key_padding_mask=tensor(padding),
            tgt_is_causal=causal,
        )
        close(found if batch_first else found.transpose(0, 1), want)


def test_encoder_finds_out_that_a_mask_is_causal() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True, dtype=tf.float64)
    model = nn.TransformerEncoder(layer, 2)
    seen: list[bool] = []
    model.layers[0].self_attn.register_forward_pre_hook(
        lambda _, __, kwargs: seen.append(kwargs["is_causal"]), with_kwargs=True
    )
    x = values(2, 5, 8)
    for mask in (np.isinf(CAUSAL), CAUSAL, CAUSAL.T, np.zeros((5, 5))):
        added = np.where(mask, -np.inf, 0.0) if mask.dtype == bool else mask
        want = x
        for each in model.layers:
            want = encoded(each, want, relu, added)
        close(model(tensor(x), tensor(mask)), want)
    assert seen == [True, True, False, False]


def test_names_text_and_copies() -> None:
    encoder = nn.TransformerEncoderLayer(8, 2, 12)
    names = ["self_attn.in_proj_weight", "self_attn.in_proj_bias", "self_attn.out_proj.weight"]
    names += ["self_attn.out_proj.bias", "linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias"]
    names += ["norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"]
    assert list(encoder.state_dict()) == names
    assert repr(encoder) == (
        "TransformerEncoderLayer(\n"
        "  (self_attn): MultiheadAttention(\n"
        "    (out_proj): NonDynamicallyQuantizableLinear(in_features=8, out_features=8, bias=True)\n"
        "  )\n"
        "  (linear1): Linear(in_features=8, out_features=12, bias=True)\n"
        "  (dropout): Dropout(p=0.1, inplace=False)\n"
        "  (linear2): Linear(in_features=12, out_features=8, bias=True)\n"
        "  (norm1): LayerNorm((8,), eps=1e-05, elementwise_affine=True, bias=True)\n"
        "  (norm2): LayerNorm((8,), eps=1e-05, elementwise_affine=True, bias=True)\n"
        "  (dropout1): Dropout(p=0.1, inplace=False)\n"
        "  (dropout2): Dropout(p=0.1, inplace=False)\n)"
    )
    children = [name for name, _ in nn.TransformerDecoderLayer(8, 2, 12, activation=nn.GELU()).named_children()]
    names = [*(f"norm{i}" for i in (1, 2, 3)), *(f"dropout{i}" for i in (1, 2, 3)), "activation"]
    assert children == ["self_attn", "multihead_attn", "linear1", "dropout", "linear2", *names]
    model = nn.Transformer(8, 2, 1, 1, 12)
    assert [name for name, _ in model.named_children()] == ["encoder", "decoder"]
    assert "encoder.layers.0.self_attn.in_proj_weight" in model.state_dict()
    assert "decoder.norm.weight" in model.state_dict()
    twin = copy.deepcopy(model).eval()
    model.eval()
    src, tgt = tf.randn(4, 2, 8), tf.randn(3, 2, 8)
    np.testing.assert_array_equal(array(twin(src, tgt)), array(model(src, tgt)))
    stack = nn.TransformerEncoder(encoder, 2)
    assert stack.layers[0].linear1.weight is not stack.layers[1].linear1.weight
    np.testing.assert_array_equal(array(stack.layers[0].linear1.weight), array(stack.layers[1].linear1.weight))


def test_dropout_is_for_training() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.5)
    x = tf.randn(4, 2, 8)
    assert not np.array_equal(array(layer(x)), array(layer(x)))
    layer.eval()
    np.testing.assert_array_equal(array(layer(x)), array(layer(x)))


def test_layers_learn() -> None:
    layer = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.0, batch_first=True)
    optimizer = tf.optim.AdamW(layer.parameters(), lr=1e-2)
    x, y = tf.randn(4, 6, 16), tf.randn(4, 6, 16)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = (layer(x) - y).pow(2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    assert all(parameter.grad is not None for parameter in layer.parameters())


def test_custom_parts() -> None:
    class Same(nn.Module):
        def forward(self, x: Any, *args: Any, **kwargs: Any) -> Any:
            return x

    x = tf.randn(3, 2, 8)
    model = nn.Transformer(8, 2, custom_encoder=Same(), custom_decoder=Same())
    assert model(x, x) is x


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: nn.TransformerEncoderLayer(8, 2, activation="swish"), "activation"),
        (lambda: nn.TransformerEncoderLayer(8, 3), "multiple"),
        (lambda: nn.Transformer(8, 2, 1, 1, 8)(tf.ones(3, 2, 8), tf.ones(3, 4, 8)), "batches"),
        (lambda: nn.Transformer(8, 2, 1, 1, 8)(tf.ones(3, 2, 6), tf.ones(3, 2, 8)), "features"),
    ],
)
def test_wrong_arguments(call: Any, match: str) -> None:
    with pytest.raises(RuntimeError, match=match):
        call()
