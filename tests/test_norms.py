"""Layers of normalization, and what their kernels promise beyond the table of test data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tenflowers as tf
from tenflowers import nn
from tenflowers.errors import ShapeError
from tenflowers.nn import functional as F


def _random(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(64, 1000), (7, 24, 9, 11), (300, 40)])
def test_gradients_do_not_depend_on_threads(shape: tuple[int, ...]) -> None:
    def gradients(threads: int) -> list[Any]:
        tf.set_num_threads(threads)
        x = tf.tensor(_random(*shape), requires_grad=True)
        found = []
        for norm, size in (
            (lambda w, b: F.layer_norm(x, shape[-1:], w, b), shape[-1]),
            (lambda w, b: F.group_norm(x, 4, w, b), shape[1]),
            (lambda w, b: F.batch_norm(x, None, None, w, b, True), shape[1]),
        ):
            w, b = (tf.tensor(_random(size, seed=s), requires_grad=True) for s in (1, 2))
            out = norm(w, b)
            (out * out * 0.5 + out).sum().backward()
            found += [out.detach().numpy(), x.grad.numpy(), w.grad.numpy(), b.grad.numpy()]
            x.grad = None
        return found

    before = tf.get_num_threads()
    try:
        for one, several in zip(gradients(1), gradients(4), strict=True):
            np.testing.assert_array_equal(one, several)
    finally:
        tf.set_num_threads(before)


@pytest.mark.parametrize("shape", [(500, 700), (33, 3, 40, 17), (4000, 5)])
def test_batch_statistics_far_from_zero(shape: tuple[int, ...]) -> None:
    x = _random(*shape) + 1000.0
    mean, var = tf.zeros(shape[1]), tf.ones(shape[1])
    F.batch_norm(tf.tensor(x), mean, var, training=True, momentum=1.0)
    axes = (0, *range(2, len(shape)))
    wide = x.astype(np.float64)
    np.testing.assert_allclose(mean.numpy(), wide.mean(axes), rtol=1e-6)
    np.testing.assert_allclose(var.numpy(), wide.var(axes, ddof=1), rtol=1e-4)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (lambda: nn.GroupNorm(2, 4), "GroupNorm(2, 4, eps=1e-05, affine=True, bias=True)"),
        (lambda: nn.RMSNorm(5), "RMSNorm((5,), eps=None, elementwise_affine=True)"),
        (
            lambda: nn.InstanceNorm2d(3),
            "InstanceNorm2d(3, eps=1e-05, momentum=0.1, affine=False, bias=False, track_running_stats=False)",
        ),
    ],
)
def test_repr(layer: Any, text: str) -> None:
    assert repr(layer()) == text


def test_group_norm_layer() -> None:
    layer = nn.GroupNorm(2, 4)
    assert list(layer.state_dict()) == ["weight", "bias"]
    x = _random(3, 4, 5)
    rows = x.reshape(6, -1).astype(np.float64)
    want = (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(layer(tf.tensor(x)).detach().numpy(), want.reshape(x.shape), atol=1e-5)
    with pytest.raises(ValueError, match="divisible"):
        nn.GroupNorm(3, 4)
    with pytest.raises(ShapeError, match="groups"):
        F.group_norm(tf.ones(2, 4), 3)


def test_rms_norm_layer() -> None:
    layer = nn.RMSNorm((4, 5))
    assert list(layer.state_dict()) == ["weight"]
    x = _random(3, 4, 5)
    want = x / np.sqrt((x.astype(np.float64) ** 2).mean((1, 2), keepdims=True))
    np.testing.assert_allclose(layer(tf.tensor(x)).detach().numpy(), want, atol=1e-5)
    with pytest.raises(ShapeError, match="normalized shape"):
        layer(tf.ones(4, 4))


def test_instance_norm_layers() -> None:
    layer = nn.InstanceNorm1d(3, affine=True, track_running_stats=True)
    assert list(layer.state_dict()) == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    x = _random(4, 3, 50)
    layer(tf.tensor(x))
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.1 * x.mean(2).mean(0), atol=1e-6)
    np.testing.assert_allclose(layer.running_var.numpy(), 0.9 + 0.1 * x.var(2, ddof=1).mean(0), rtol=1e-5)
    layer.eval()
    scale = np.sqrt(layer.running_var.numpy() + 1e-5)[:, None]
    want = (x - layer.running_mean.numpy()[:, None]) / scale
    np.testing.assert_allclose(layer(tf.tensor(x)).detach().numpy(), want, atol=1e-5)
    assert layer(tf.tensor(x[0])).shape == (3, 50)
    with pytest.raises(ShapeError, match="2 or 3"):
        layer(tf.ones(2, 3, 4, 5))
    with pytest.raises(ShapeError, match="3 channels"):
        layer(tf.ones(2, 4, 5))
    with pytest.raises(ShapeError, match="more than one value"):
        nn.InstanceNorm2d(3)(tf.ones(2, 3, 1, 1))


def test_batch_norm_of_volumes() -> None:
    x = _random(4, 2, 3, 5, 7)
    out = nn.BatchNorm3d(2)(tf.tensor(x)).detach().numpy()
    np.testing.assert_allclose(out.mean((0, 2, 3, 4)), 0.0, atol=1e-6)
    np.testing.assert_allclose(out.var((0, 2, 3, 4)), 1.0, atol=1e-4)
    with pytest.raises(ShapeError, match="5 dimensions"):
        nn.BatchNorm3d(2)(tf.ones(4, 2, 3, 5))
