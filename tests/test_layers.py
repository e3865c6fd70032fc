"""Layers and losses: their text, their arguments, and what they compute, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from opinfo.run import array, tensor, tf

nn = tf.nn
rng = np.random.default_rng(0)


def values(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: nn.Linear(2, 3, bias=False), "Linear(in_features=2, out_features=3, bias=False)"),
        (
            lambda: nn.Conv2d(4, 4, (3, 5), stride=2, padding=(1, 2), dilation=2, groups=2),
            "Conv2d(4, 4, kernel_size=(3, 5), stride=(2, 2), padding=(1, 2), dilation=(2, 2), groups=2)",
        ),
        (
            lambda: nn.Conv2d(4, 4, 3, padding="same"),
            "Conv2d(4, 4, kernel_size=(3, 3), stride=(1, 1), padding=same)",
        ),
        (
            lambda: nn.BatchNorm2d(3, affine=False),
            "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=False, bias=False, track_running_stats=True)",
        ),
        (lambda: nn.LayerNorm((2, 3)), "LayerNorm((2, 3), eps=1e-05, elementwise_affine=True, bias=True)"),
        (lambda: nn.Dropout(0.2), "Dropout(p=0.2, inplace=False)"),
        (lambda: nn.Embedding(5, 2, padding_idx=-1), "Embedding(5, 2, padding_idx=4)"),
        (lambda: nn.MaxPool2d(2), "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)"),
        (lambda: nn.AvgPool2d((2, 1), 1), "AvgPool2d(kernel_size=(2, 1), stride=1, padding=0)"),
        (nn.Flatten, "Flatten(start_dim=1, end_dim=-1)"),
        (lambda: nn.Unflatten(1, (2, 3)), "Unflatten(dim=1, unflattened_size=(2, 3))"),
        (lambda: nn.Identity(1, a=2), "Identity()"),
        (nn.ReLU, "ReLU()"),
        (lambda: nn.GELU("tanh"), "GELU(approximate='tanh')"),
        (nn.SiLU, "SiLU()"),
        (nn.LogSigmoid, "LogSigmoid()"),
        (lambda: nn.Softmax(1), "Softmax(dim=1)"),
        (lambda: nn.LogSoftmax(dim=-1), "LogSoftmax(dim=-1)"),
        (nn.CrossEntropyLoss, "CrossEntropyLoss()"),
        (nn.MSELoss, "MSELoss()"),
        (nn.ModuleList, "ModuleList()"),
        (lambda: nn.ModuleDict({"a": nn.Tanh()}), "ModuleDict(\n  (a): Tanh()\n)"),
    ],
)
def test_repr_of_layers(make: Any, text: str) -> None:
    assert repr(make()) == text


def test_linear() -> None:
    layer, x = nn.Linear(3, 2), values(4, 5, 3)
    expected = x @ array(layer.weight).T + array(layer.bias)
    np.testing.assert_allclose(array(layer(tensor(x))), expected, rtol=1e-5, atol=1e-6)
    layer = nn.Linear(3, 2, bias=False, dtype=tf.float64)
    assert layer.bias is None
    assert layer.weight.dtype == tf.float64
    assert "bias" in layer._parameters


def windows(x: np.ndarray, kernel: tuple[int, int], stride: tuple[int, int]) -> np.ndarray:
    """Windows of the last two dimensions, as (..., rows, columns, kernel rows, kernel columns)."""
    seen = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(-2, -1))
    return seen[..., :: stride[0], :: stride[1], :, :]


def test_conv2d() -> None:
    layer, x = nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), groups=2), values(2, 4, 7, 6)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0))).astype(np.float64)
    weight = array(layer.weight).astype(np.float64)
    assert weight.shape == (6, 2, 3, 2)
    parts = [
        np.einsum("ncxyij,ocij->noxy", windows(padded[:, 2 * g : 2 * g + 2], (3, 2), (2, 1)), weight[3 * g : 3 * g + 3])
        for g in range(2)
    ]
    expected = np.concatenate(parts, 1) + array(layer.bias)[:, None, None]
    np.testing.assert_allclose(array(layer(tensor(x))), expected, rtol=1e-4, atol=1e-5)
    same = nn.Conv2d(4, 3, 3, padding="same", dilation=2)
    assert tuple(same(tensor(x)).shape) == (2, 3, 7, 6)
    explicit = nn.Conv2d(4, 3, 3, padding=2, dilation=2)
    explicit.load_state_dict(same.state_dict())
    np.testing.assert_allclose(array(same(tensor(x))), array(explicit(tensor(x))), rtol=1e-5, atol=1e-6)


def test_pooling() -> None:
    x = values(2, 3, 6, 8)
    np.testing.assert_array_equal(array(nn.MaxPool2d(2)(tensor(x))), windows(x, (2, 2), (2, 2)).max((-2, -1)))
    found, places = nn.MaxPool2d(2, return_indices=True)(tensor(x))
    np.testing.assert_array_equal(
        np.take_along_axis(x.reshape(2, 3, -1), array(places).reshape(2, 3, -1), 2).ravel(), array(found).ravel()
    )
    means = windows(x.astype(np.float64), (3, 2), (1, 2)).mean((-2, -1))
    np.testing.assert_allclose(array(nn.AvgPool2d((3, 2), stride=(1, 2))(tensor(x))), means, rtol=1e-4, atol=1e-6)
    sums = windows(x.astype(np.float64), (2, 2), (2, 2)).sum((-2, -1))
    np.testing.assert_allclose(array(nn.AvgPool2d(2, divisor_override=3)(tensor(x))), sums / 3, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("momentum", [0.3, None])
def test_batch_norm(momentum: float | None) -> None:
    layer = nn.BatchNorm2d(3, momentum=momentum)
    with tf.no_grad():
        layer.weight.copy_(tf.tensor([1.0, 2.0, 3.0]))
        layer.bias.copy_(tf.tensor([0.0, 1.0, 2.0]))
    mean, var = np.zeros(3), np.ones(3)
    for step in range(1, 4):
        x = values(4, 3, 5, 2) * step + step
        axes = (0, 2, 3)
        rate = 1 / step if momentum is None else momentum
        mean = (1 - rate) * mean + rate * x.mean(axes, dtype=np.float64)
        var = (1 - rate) * var + rate * x.var(axes, dtype=np.float64, ddof=1)
        shape = (3, 1, 1)
        centred = x - x.mean(axes).reshape(shape)
        expected = centred / np.sqrt(x.var(axes).reshape(shape) + 1e-5) * [[[1]], [[2]], [[3]]] + [[[0]], [[1]], [[2]]]
        np.testing.assert_allclose(array(layer(tensor(x))), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(array(layer.running_mean), mean, rtol=1e-5)
    np.testing.assert_allclose(array(layer.running_var), var, rtol=1e-5)
    assert layer.num_batches_tracked.item() == 3
    layer.eval()
    expected = (x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + 1e-5)
    expected = expected * [[[1]], [[2]], [[3]]] + [[[0]], [[1]], [[2]]]
    np.testing.assert_allclose(array(layer(tensor(x))), expected, rtol=1e-4, atol=1e-5)
    assert layer.num_batches_tracked.item() == 3
    layer.reset_running_stats()
    assert layer.running_var.tolist() == [1, 1, 1]


def test_batch_norm_without_running_statistics() -> None:
    layer = nn.BatchNorm1d(2, affine=False, track_running_stats=False).eval()
    x = values(8, 2)
    expected = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    np.testing.assert_allclose(array(layer(tensor(x))), expected, rtol=1e-4, atol=1e-5)
    assert layer.state_dict() == {}
    with pytest.raises(ValueError, match=r"2D? or 3"):
        layer(tf.ones(2))
    with pytest.raises(ValueError, match="4"):
        nn.BatchNorm2d(2)(tf.ones(2, 2))


def test_layer_norm() -> None:
    x = values(3, 4, 5)
    for layer in (
        nn.LayerNorm((4, 5)),
        nn.LayerNorm([4, 5], elementwise_affine=False),
        nn.LayerNorm((4, 5), bias=False),
    ):
        axes = (1, 2)
        expected = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
        np.testing.assert_allclose(array(layer(tensor(x))), expected, rtol=1e-4, atol=1e-5)
    assert nn.LayerNorm(5).normalized_shape == (5,)
    assert list(nn.LayerNorm(5, bias=False).state_dict()) == ["weight"]


def test_embedding() -> None:
    layer = nn.Embedding(5, 3, padding_idx=1)
    assert layer.weight[1].tolist() == [0, 0, 0]
    indices = tf.tensor([[1, 4], [4, 0]])
    out = layer(indices)
    np.testing.assert_array_equal(array(out), array(layer.weight)[array(indices)])
    out.sum().backward()
    assert layer.weight.grad.tolist() == [[1] * 3, [0] * 3, [0] * 3, [0] * 3, [2] * 3]
    given = nn.Embedding.from_pretrained(tf.ones(2, 3))
    assert not given.weight.requires_grad
    with pytest.raises((ValueError, AssertionError)):
        nn.Embedding(5, 3, padding_idx=5)


def test_dropout() -> None:
    layer, x = nn.Dropout(0.25), tf.ones(10000)
    out = array(layer(x))
    assert set(np.unique(out)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((out == 0).mean() - 0.25) < 0.03
    np.testing.assert_array_equal(array(layer.eval()(x)), array(x))
    with pytest.raises(ValueError, match="between 0 and 1"):
        nn.Dropout(1.5)


def test_activations() -> None:
    x = values(3, 4).astype(np.float64)
    t = tensor(x)
    sigmoid = 1 / (1 + np.exp(-x))
    shifted = np.exp(x - x.max(1, keepdims=True))
    softmax = shifted / shifted.sum(1, keepdims=True)
    for layer, expected in (
        (nn.ReLU(), np.maximum(x, 0)),
        (nn.SiLU(), x * sigmoid),
        (nn.Tanh(), np.tanh(x)),
        (nn.Sigmoid(), sigmoid),
        (nn.LogSigmoid(), np.log(sigmoid)),
        (nn.GELU("tanh"), 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))),
        (nn.Softmax(1), softmax),
        (nn.LogSoftmax(-1), np.log(softmax)),
    ):
        np.testing.assert_allclose(array(layer(t)), expected, rtol=1e-10, atol=1e-12)
    written = tf.tensor([-1.0, 2.0])
    assert nn.ReLU(inplace=True)(written) is written
    assert written.tolist() == [0, 2]
    with pytest.warns(UserWarning, match="dim"):
        np.testing.assert_allclose(array(nn.Softmax()(t)), softmax, rtol=1e-10)


def test_losses() -> None:
    x, y = values(5, 3).astype(np.float64), values(5, 3).astype(np.float64)
    classes = np.array([0, 2, 1, 2, 0])
    weight = np.array([1.0, 2.0, 0.5])
    logs = x - np.log(np.exp(x).sum(1, keepdims=True))
    picked = -logs[np.arange(5), classes]
    binary = (y > 0).astype(np.float64)
    positive = np.array([1.0, 3.0, 0.5])
    softplus = np.logaddexp(0, x)
    cases = [
        (nn.MSELoss(), y, ((x - y) ** 2).mean()),
        (nn.MSELoss(reduction="sum"), y, ((x - y) ** 2).sum()),
        (nn.L1Loss(reduction="none"), y, np.abs(x - y)),
        (nn.CrossEntropyLoss(), classes, picked.mean()),
        (nn.CrossEntropyLoss(tensor(weight)), classes, (picked * weight[classes]).sum() / weight[classes].sum()),
        (nn.CrossEntropyLoss(ignore_index=2), classes, picked[classes != 2].mean()),
        (nn.CrossEntropyLoss(label_smoothing=0.1), classes, (0.9 * picked - 0.1 * logs.mean(1)).mean()),
        (nn.BCEWithLogitsLoss(), binary, (softplus - x * binary).mean()),
        (
            nn.BCEWithLogitsLoss(pos_weight=tensor(positive)),
            binary,
            (positive * binary * np.logaddexp(0, -x) + (1 - binary) * softplus).mean(),
        ),
    ]
    for loss, target, expected in cases:
        np.testing.assert_allclose(array(loss(tensor(x), tensor(target))), expected, rtol=1e-10)
    np.testing.assert_allclose(array(nn.NLLLoss()(tensor(logs), tensor(classes))), picked.mean(), rtol=1e-10)
    with pytest.warns(UserWarning, match="reduction='sum'"):
        assert nn.MSELoss(size_average=False).reduction == "sum"


def test_flatten_and_unflatten() -> None:
    x = tensor(values(2, 3, 4))
    assert tuple(nn.Flatten()(x).shape) == (2, 12)
    assert tuple(nn.Flatten(0, 1)(x).shape) == (6, 4)
    back = nn.Unflatten(1, (3, -1))(nn.Flatten()(x))
    np.testing.assert_array_equal(array(back), array(x))
    with pytest.raises(RuntimeError):
        nn.Unflatten(1, (5, -1))(nn.Flatten()(x))
    with pytest.raises(TypeError):
        nn.Unflatten(1, 3)


@pytest.mark.ours
def test_what_is_not_supported_says_so() -> None:
    with pytest.raises(NotImplementedError, match="memory_format"):
        nn.Linear(1, 1).to(memory_format="channels_last")
    with pytest.raises(NotImplementedError, match="CUDA"):
        nn.Linear(1, 1).cuda()


def test_wrong_layers() -> None:
    for make in (
        lambda: nn.Conv2d(3, 4, 3, groups=2),
        lambda: nn.Conv2d(4, 3, 3, groups=2),
        lambda: nn.Conv2d(4, 4, 3, groups=0),
        lambda: nn.Conv2d(1, 1, 3, padding="sam"),
        lambda: nn.Conv2d(1, 1, 3, padding="same", stride=2),
        lambda: nn.Conv2d(1, 1, 3, padding_mode="mirror"),
    ):
        with pytest.raises(ValueError, match=r"groups|padding|padding_mode"):
            make()
