"""Rows, runs and planes that are too short or too many for a vector each, and gradients that are one row."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import tenflowers as tf
from tenflowers.nn import functional as F


def _random(*shape: int) -> Any:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 15, 16, 17, 49, 64, 100, 1023, 1024, 1025])
def test_rows_of_every_length(n: int) -> None:
    for rows in (1, 3, 4, 6):
        x = _random(rows, n)
        t, wide = tf.tensor(x), x.astype(np.float64)
        np.testing.assert_allclose(t.sum(1).numpy(), wide.sum(1), rtol=1e-6, atol=2e-6 * np.sqrt(n))
        np.testing.assert_array_equal(t.amax(1).numpy(), x.max(1))
        np.testing.assert_allclose(t.prod(1).numpy(), wide.prod(1), rtol=1e-5, atol=1e-30)
        e = np.exp(wide - wide.max(1, keepdims=True))
        np.testing.assert_allclose(tf.softmax(t, 1).numpy(), e / e.sum(1, keepdims=True), rtol=2e-6)
        for order, norm in ((1, 1), (2, 2), (np.inf, np.inf), (-np.inf, -np.inf), (0, 0), (3, 3)):
            np.testing.assert_allclose(tf.norm(t, order, 1).numpy(), np.linalg.norm(wide, norm, 1), rtol=1e-6)


@pytest.mark.parametrize("shape", [(5, 6, 2, 2), (3, 7, 7, 7), (4, 3, 20, 31), (130, 2, 3, 3), (2, 3, 40, 60)])
def test_sums_over_planes_and_batches(shape: tuple[int, ...]) -> None:
    x = _random(*shape)
    t, wide = tf.tensor(x), x.astype(np.float64)
    for dims in [(2, 3), (0, 2, 3), (0, 2), (1, 3), (0, 3), (1, 2)]:
        n = np.prod([shape[d] for d in dims])
        np.testing.assert_allclose(t.sum(dims).numpy(), wide.sum(dims), atol=2e-6 * np.sqrt(n))
        np.testing.assert_array_equal(t.amax(dims).numpy(), x.max(dims))
        np.testing.assert_array_equal((t > 2).any(dims).numpy(), (x > 2).any(dims))


def test_sums_of_many_short_runs_stay_exact() -> None:
    x = tf.full((40000, 2, 9), 1.1)[:, 0]
    exact = 40000 * 9 * float(np.float32(1.1))
    assert abs(x.sum().item() / exact - 1) < 1e-6


@pytest.mark.parametrize("n", [1, 3, 4, 5, 8, 1003])
def test_running_sums_and_their_gradient(n: int) -> None:
    x = _random(3, n)
    t = tf.tensor(x, requires_grad=True)
    sums = t.cumsum(1)
    np.testing.assert_allclose(sums.detach().numpy(), x.astype(np.float64).cumsum(1), rtol=1e-6, atol=1e-6)
    g = _random(3, n)
    sums.backward(tf.tensor(g))
    expected = g.astype(np.float64)[:, ::-1].cumsum(1)[:, ::-1]
    np.testing.assert_allclose(t.grad.numpy(), expected, rtol=1e-6, atol=1e-6)
    whole = tf.tensor(np.arange(3 * n).reshape(3, n))
    np.testing.assert_array_equal(whole.cumsum(1).numpy(), whole.numpy().cumsum(1))


@pytest.mark.parametrize("n", [5, 16, 50, 1040])
@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm_of_a_gradient_that_is_one_row(n: int, affine: bool) -> None:
    x = _random(70, n)
    w, b = (_random(n), _random(n)) if affine else (None, None)

    def gradients(g: Any) -> list[Any]:
        leaves = [tf.tensor(a, requires_grad=True) for a in (x, w, b) if a is not None]
        F.layer_norm(leaves[0], (n,), *leaves[1:]).backward(g)
        return [t.grad.numpy() for t in leaves]

    row = tf.tensor(_random(n))
    for short in (tf.tensor(1.0).expand(70, n), row.expand(70, n)):
        for found, same in zip(gradients(short), gradients(short.clone()), strict=True):
            np.testing.assert_array_equal(found, same)
    # Against the formula, in double precision.
    wide = x.astype(np.float64)
    xh = (wide - wide.mean(1, keepdims=True)) / np.sqrt(wide.var(1, keepdims=True) + 1e-5)
    g = row.numpy().astype(np.float64)
    v = g * (1 if w is None else w)
    dx = v - v.mean() - xh * (v * xh).mean(1, keepdims=True)
    dx = dx / np.sqrt(wide.var(1, keepdims=True) + 1e-5)
    found = gradients(row.expand(70, n))
    np.testing.assert_allclose(found[0], dx, rtol=1e-4, atol=1e-5)
    if affine:
        np.testing.assert_allclose(found[1], (g * xh).sum(0), rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(found[2], 70 * g, rtol=1e-6)


def test_maxima_of_windows_go_back_twice() -> None:
    x = tf.tensor(np.random.default_rng(2).permutation(2 * 6 * 7).reshape(2, 1, 6, 7) * 1.0, requires_grad=True)
    for pool in (lambda t: F.max_pool2d(t, 3, 2, 1), lambda t: F.adaptive_max_pool2d(t, (4, 3))):
        assert tf.autograd.gradcheck(pool, (x,))
        assert tf.autograd.gradgradcheck(pool, (x,))


@pytest.mark.parametrize(
    ("size", "out"), list(product([(7, 7), (1, 80), (9, 600), (16, 33)], [(1, 1), (1, 2), (3, 5)]))
)
def test_adaptive_maxima_and_where_they_are(size: tuple[int, int], out: tuple[int, int]) -> None:
    if out[0] > size[0]:
        out = (1, out[1])
    rng = np.random.default_rng(3)
    for holes in (0, 3):
        # Few values, so that many are equal; of equal ones the first counts, of those that are no numbers the last.
        x = rng.integers(0, 9, (2, 3, *size)).astype(np.float32)
        x.reshape(-1)[rng.integers(0, x.size, holes)] = np.nan
        values, indices = F.adaptive_max_pool2d(tf.tensor(x), out, return_indices=True)
        spans = [[(i * s // o, -((i + 1) * s // -o)) for i in range(o)] for s, o in zip(size, out, strict=True)]
        for b, c, i, j in product(range(2), range(3), range(out[0]), range(out[1])):
            (top, bottom), (left, right) = spans[0][i], spans[1][j]
            places = [h * size[1] + w for h in range(top, bottom) for w in range(left, right)]
            window = x[b, c].reshape(-1)[places]
            nothing = np.flatnonzero(np.isnan(window))
            best = nothing[-1] if nothing.size else int(window.argmax())
            assert indices[b, c, i, j].item() == places[best]
            np.testing.assert_equal(values[b, c, i, j].item(), window[best])
