"""Attention: dropout, layouts, wrong arguments, and ``MultiheadAttention`` against NumPy."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from opinfo.attention import attention
from opinfo.run import array, tensor, tf

nn = tf.nn
F = tf.nn.functional
rng = np.random.default_rng(0)


def values(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape)


def test_dropout_keeps_the_mean_and_repeats_with_the_seed() -> None:
    q, k, v = (tensor(values(2, 3, 8)) for _ in range(3))
    tf.manual_seed(5)
    found = [array(F.scaled_dot_product_attention(q, k, v, dropout_p=0.4)) for _ in range(4000)]
    whole = array(F.scaled_dot_product_attention(q, k, v))
    assert np.abs(np.mean(found, 0) - whole).max() < 0.1
    assert not np.array_equal(found[0], found[1])
    tf.manual_seed(5)
    np.testing.assert_array_equal(array(F.scaled_dot_product_attention(q, k, v, dropout_p=0.4)), found[0])
    assert not array(F.scaled_dot_product_attention(q, k, v, dropout_p=1.0)).any()


def test_dropout_has_the_gradient_of_what_it_kept() -> None:
    q = tensor(values(3, 4)).requires_grad_()
    k, eye = tensor(values(5, 4)), tf.eye(5, dtype=tf.float64)
    tf.manual_seed(1)
    weights = F.scaled_dot_product_attention(q, k, eye, dropout_p=0.5)
    kept = (array(weights) != 0) * 2.0
    (found,) = tf.autograd.grad(weights.sum(), q)
    scores = array(q) @ array(k).T / 2
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    slopes = p * (kept - (p * kept).sum(1, keepdims=True))
    np.testing.assert_allclose(array(found), slopes @ array(k) / 2, rtol=1e-10, atol=1e-12)


def test_heads_within_rows_stay_there() -> None:
    """The result for a view of a projection is laid out as it is, so that heads are joined without a copy."""
    x = tensor(values(2, 5, 3, 4)).requires_grad_()
    q = x.transpose(1, 2)
    out = F.scaled_dot_product_attention(q, q, q)
    assert out.stride() == q.stride()
    again = F.scaled_dot_product_attention(q.contiguous(), q.contiguous(), q.contiguous())
    assert again.is_contiguous()
    np.testing.assert_array_equal(array(out), array(again))


@pytest.mark.parametrize("causal", [False, True])
def test_gradients_of_large_sizes(causal: bool) -> None:
    """Through several blocks of rows and keys: against the gradient of the formula in operations."""
    shapes = ((2, 3, 150, 24), (2, 3, 270, 24), (2, 3, 270, 40))
    given = [values(*shape) for shape in shapes]
    weight = tensor(values(2, 3, 150, 40))
    fused = [tensor(x).requires_grad_() for x in given]
    got = tf.autograd.grad(F.scaled_dot_product_attention(*fused, is_causal=causal), fused, weight)
    q, k, v = plain = [tensor(x).requires_grad_() for x in given]
    scores = q @ k.transpose(-1, -2) / np.sqrt(24)
    if causal:
        scores = scores.masked_fill(tf.ones(150, 270, dtype=tf.bool).tril().logical_not(), -np.inf)
    want = tf.autograd.grad(tf.softmax(scores, -1) @ v, plain, weight)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(array(a), array(b), rtol=1e-9, atol=1e-11)


def test_gradients_that_nobody_wants_are_left_out() -> None:
    given = [values(1, 140, 8), values(1, 150, 8), values(1, 150, 8)]
    weight = tensor(values(1, 140, 8))
    every = [tensor(x).requires_grad_() for x in given]
    whole = tf.autograd.grad(F.scaled_dot_product_attention(*every), every, weight)
    for wanted in range(1, 8):
        some = [tensor(x).requires_grad_(bool(wanted >> i & 1)) for i, x in enumerate(given)]
        F.scaled_dot_product_attention(*some).backward(weight)
        for i, x in enumerate(some):
            if x.requires_grad:
                np.testing.assert_array_equal(array(x.grad), array(whole[i]))
            else:
                assert x.grad is None


def test_not_a_number_comes_through() -> None:
    q, k, v = (values(1, 2, 3) for _ in range(3))
    q[0, 1, 0] = np.nan
    out = array(F.scaled_dot_product_attention(tensor(q), tensor(k), tensor(v)))
    assert np.isnan(out[0, 1]).all()
    assert not np.isnan(out[0, 0]).any()


@pytest.mark.parametrize(
    ("shapes", "options", "error", "match"),
    [
        (((3,), (3,), (3,)), {}, ValueError, "two dimensions"),
        (((2, 3), (2, 4), (2, 4)), {}, ValueError, "last dimension"),
        (((2, 3), (4, 3), (5, 3)), {}, ValueError, "keys and values"),
        (((2, 2, 3), (3, 2, 3), (3, 2, 3)), {}, ValueError, "leading"),
        (((2, 3), (4, 3), (4, 3)), {"attn_mask": tf.zeros(4, 4)}, ValueError, "attn_mask"),
        (((2, 3), (4, 3), (4, 3)), {"attn_mask": tf.zeros(7, 2, 4)}, ValueError, "attn_mask"),
        (((2, 3), (4, 3), (4, 3)), {"attn_mask": tf.zeros(2, 4, dtype=tf.int64)}, TypeError, "attn_mask"),
        (((2, 3), (4, 3), (4, 3)), {"dropout_p": 1.5}, RuntimeError, "dropout_p"),
        (((2, 3), (4, 3), (4, 3)), {"enable_gqa": True}, ValueError, "three dimensions"),
        (((6, 2, 3), (4, 2, 3), (4, 2, 3)), {"enable_gqa": True}, ValueError, "divide"),
    ],
)
def test_wrong_arguments(shapes: Any, options: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        F.scaled_dot_product_attention(*(tf.ones(*shape) for shape in shapes), **options)


def test_wrong_dtypes() -> None:
    x = tf.ones(2, 3)
    with pytest.raises(TypeError, match="one dtype"):
        F.scaled_dot_product_attention(x, x.double(), x)
    with pytest.raises(TypeError, match="float64"):
        F.scaled_dot_product_attention(x, x, x, tf.ones(2, 2, dtype=tf.float64))


def heads(x: np.ndarray, count: int) -> np.ndarray:
    """(batch, length, features) to (batch, heads, length, size)."""
    return x.reshape(*x.shape[:2], count, -1).swapaxes(1, 2)


def formula(layer: Any, q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """The result and the weights of each head, for batches first; ``mask`` is what is added to the scores."""
    state = {name: array(value) for name, value in layer.state_dict().items()}
    if "in_proj_weight" in state:
        weights = np.split(state["in_proj_weight"], 3)
    else:
        weights = [state[f"{name}_proj_weight"] for name in "qkv"]
    biases = np.split(state["in_proj_bias"], 3) if "in_proj_bias" in state else [0.0] * 3
    q, k, v = (x @ w.T + b for x, w, b in zip((q, k, v), weights, biases, strict=True))
    extra = 0
    if "bias_k" in state:
        k, v = (
            np.concatenate([x, np.broadcast_to(state[name], (len(x), 1, x.shape[-1]))], 1)
            for x, name in ((k, "bias_k"), (v, "bias_v"))
        )
        extra += 1
    if layer.add_zero_attn:
        k, v = (np.concatenate([x, np.zeros((len(x), 1, x.shape[-1]))], 1) for x in (k, v))
        extra += 1
    q, k, v = (heads(x, layer.num_heads) for x in (q, k, v))
    if mask is not None:
        mask = np.pad(mask, [(0, 0)] * (mask.ndim - 1) + [(0, extra)])
    weights_found = attention(q, k, np.broadcast_to(np.eye(k.shape[2]), (*k.shape[:2], k.shape[2], k.shape[2])), mask)
    out = attention(q, k, v, mask).swapaxes(1, 2).reshape(len(q), q.shape[2], -1)
    return out @ state["out_proj.weight"].T + state.get("out_proj.bias", 0.0), weights_found


def filled(layer: Any) -> Any:
    for parameter in layer.parameters():
        nn.init.normal_(parameter, 0, 0.5)
    return layer


OPTIONS: list[dict[str, Any]] = [
    {},
    {"bias": False},
    {"add_bias_kv": True, "add_zero_attn": True},
    {"kdim": 3, "vdim": 5},
    {"kdim": 3, "vdim": 5, "add_bias_kv": True, "bias": False},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_multihead_attention(options: dict[str, Any], batch_first: bool, masked: bool) -> None:
    layer = filled(nn.MultiheadAttention(8, 2, **options, batch_first=batch_first, dtype=tf.float64))
    q, k, v = values(3, 4, 8), values(3, 6, options.get("kdim", 8)), values(3, 6, options.get("vdim", 8))
    hidden, padding = rng.uniform(size=(4, 6)) < 0.3, rng.uniform(size=(3, 6)) < 0.3
    padding[:, 0] = hidden[:, 0] = False
    added = np.where(hidden | padding[:, None, None, :], -np.inf, 0.0) if masked else None
    masks = {"attn_mask": tensor(hidden), "key_padding_mask": tensor(padding)} if masked else {}
    want, weights = formula(layer, q, k, v, added)
    turned = [tensor(x if batch_first else np.ascontiguousarray(x.swapaxes(0, 1))) for x in (q, k, v)]
    for need_weights, average in ((True, True), (True, False), (False, True)):
        out, found = layer(*turned, **masks, need_weights=need_weights, average_attn_weights=average)
        got = array(out) if batch_first else array(out).swapaxes(0, 1)
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)
        if need_weights:
            np.testing.assert_allclose(array(found), weights.mean(1) if average else weights, rtol=1e-10, atol=1e-12)
        else:
            assert found is None


@pytest.mark.parametrize("same", ["all", "key and value", "none"])
def test_shared_inputs_are_projected_together_with_the_same_result(same: str) -> None:
    layer = filled(nn.MultiheadAttention(8, 4, batch_first=True, dtype=tf.float64))
    x, y = tensor(values(2, 5, 8)).requires_grad_(), tensor(values(2, 5, 8))
    given = {"all": (x, x, x), "key and value": (x, y, y), "none": (x, y, y.clone())}[same]
    want, _ = formula(layer, *(array(t) for t in given))
    out, _ = layer(*given, need_weights=False)
    np.testing.assert_allclose(array(out), want, rtol=1e-10, atol=1e-12)
    apart = [t.detach().clone().requires_grad_() for t in given]
    other, _ = layer(*apart, need_weights=False)
    weight = tensor(values(2, 5, 8))
    (found,) = tf.autograd.grad(out, x, weight)
    parts = tf.autograd.grad(other, apart, weight)
    total = sum(array(part) for part, t in zip(parts, given, strict=True) if t is x)
    np.testing.assert_allclose(array(found), total, rtol=1e-9, atol=1e-12)


def test_float_masks_and_masks_of_each_head() -> None:
    layer = filled(nn.MultiheadAttention(8, 2, batch_first=True, dtype=tf.float64))
    x, mask, padding = values(3, 4, 8), values(6, 4, 4), values(3, 4)
    want, _ = formula(layer, x, x, x, mask.reshape(3, 2, 4, 4) + padding[:, None, None, :])
    t = tensor(x)
    for need_weights in (False, True):
        out, _ = layer(t, t, t, tensor(padding), need_weights, tensor(mask))
        np.testing.assert_allclose(array(out), want, rtol=1e-10, atol=1e-12)


def test_causal_hint() -> None:
    layer = filled(nn.MultiheadAttention(8, 2, batch_first=True, dtype=tf.float64))
    x = values(3, 4, 8)
    mask = np.where(np.tri(4, dtype=bool), 0.0, -np.inf)
    want, _ = formula(layer, x, x, x, mask)
    t = tensor(x)
    for need_weights in (False, True):
        out, _ = layer(t, t, t, need_weights=need_weights, attn_mask=tensor(mask), is_causal=True)
        np.testing.assert_allclose(array(out), want, rtol=1e-10, atol=1e-12)


def test_without_a_batch_and_with_static_keys() -> None:
    layer = filled(nn.MultiheadAttention(8, 2, dtype=tf.float64))
    x, y = values(4, 8), values(6, 8)
    want, weights = formula(layer, x[None], y[None], y[None])
    out, found = layer(tensor(x), tensor(y), tensor(y))
    np.testing.assert_allclose(array(out), want[0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(array(found), weights[0].mean(0), rtol=1e-10, atol=1e-12)
    state = layer.state_dict()
    k, v = (
        y @ array(state["in_proj_weight"])[i * 8 : i * 8 + 8].T + array(state["in_proj_bias"])[i * 8 : i * 8 + 8]
        for i in (1, 2)
    )
    out, _ = F.multi_head_attention_forward(
        tensor(x),
        tensor(y),
        tensor(y),
        8,
        2,
        layer.in_proj_weight,
        layer.in_proj_bias,
        None,
        None,
        False,
        0.0,
        layer.out_proj.weight,
        layer.out_proj.bias,
        static_k=tensor(np.ascontiguousarray(heads(k[None], 2)[0])),
        static_v=tensor(np.ascontiguousarray(heads(v[None], 2)[0])),
    )
    np.testing.assert_allclose(array(out), want[0], rtol=1e-10, atol=1e-12)


def test_first_values_text_and_copies() -> None:
    layer = nn.MultiheadAttention(64, 4)
    assert repr(layer) == (
        "MultiheadAttention(\n"
        "  (out_proj): NonDynamicallyQuantizableLinear(in_features=64, out_features=64, bias=True)\n)"
    )
    assert list(layer.state_dict()) == ["in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"]
    assert not array(layer.in_proj_bias).any()
    assert not array(layer.out_proj.bias).any()
    bound = np.sqrt(6 / (64 + 3 * 64))
    assert 0.95 * bound < np.abs(array(layer.in_proj_weight)).max() <= bound
    apart = nn.MultiheadAttention(8, 2, kdim=3, add_bias_kv=True)
    names = ["q_proj_weight", "k_proj_weight", "v_proj_weight", "in_proj_bias", "bias_k", "bias_v"]
    assert list(apart.state_dict()) == [*names, "out_proj.weight", "out_proj.bias"]
    twin = copy.deepcopy(layer)
    x = tensor(values(3, 2, 64).astype(np.float32))
    np.testing.assert_array_equal(array(twin(x, x, x)[0]), array(layer(x, x, x)[0]))


def test_dropout_of_a_layer_is_for_training() -> None:
    layer = nn.MultiheadAttention(8, 2, dropout=0.5)
    x = tf.randn(4, 3, 8)
    assert not np.array_equal(array(layer(x, x, x)[0]), array(layer(x, x, x)[0]))
    layer.eval()
    np.testing.assert_array_equal(array(layer(x, x, x)[0]), array(layer(x, x, x)[0]))
    slow, fast = layer(x, x, x)[0], layer(x, x, x, need_weights=False)[0]
    np.testing.assert_allclose(array(slow), array(fast), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: nn.MultiheadAttention(8, 3), "multiple"),
        (lambda: nn.MultiheadAttention(0, 1), "positive"),
        (lambda: nn.MultiheadAttention(8, 2)(*[tf.ones(2, 3, 4)] * 3), "features"),
        (lambda: nn.MultiheadAttention(8, 2)(*[tf.ones(8)] * 3), "two dimensions"),
        (lambda: nn.MultiheadAttention(8, 2)(tf.ones(2, 3, 8), tf.ones(2, 8), tf.ones(2, 8)), "key"),
        (lambda: nn.MultiheadAttention(8, 2)(tf.ones(2, 8), tf.ones(3, 8), tf.ones(4, 8)), "key and value"),
        (lambda: nn.MultiheadAttention(8, 2)(*[tf.ones(3, 8)] * 3, attn_mask=tf.ones(2, 3)), "attn_mask"),
        (lambda: nn.MultiheadAttention(8, 2)(*[tf.ones(3, 8)] * 3, attn_mask=tf.ones(3)), "attn_mask"),
        (lambda: nn.MultiheadAttention(8, 2)(*[tf.ones(3, 8)] * 3, key_padding_mask=tf.ones(1, 3)), "key_padding_mask"),
        (lambda: nn.MultiheadAttention(8, 2)(*[tf.ones(3, 8)] * 3, key_padding_mask=tf.ones(4)), "key_padding_mask"),
        (lambda: nn.MultiheadAttention(8, 2)(*[tf.ones(3, 8)] * 3, is_causal=True), "attn_mask"),
    ],
)
def test_wrong_arguments_of_the_layer(call: Any, match: str) -> None:
    with pytest.raises(RuntimeError, match=match):
        call()


def test_masks_are_truth_values_or_floats() -> None:
    with pytest.raises(TypeError, match="attn_mask"):
        nn.MultiheadAttention(8, 2)(*[tf.ones(3, 8)] * 3, attn_mask=tf.ones(3, 3, dtype=tf.int64))
