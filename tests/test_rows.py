"""Reductions, softmax, running sums and sorting at sizes where special ways begin, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tenflowers as tf
from tenflowers.nn import functional as F

SHAPES = [(2, 70001), (300, 700), (700, 3), (3, 5000), (40, 33, 65), (2, 4097, 2), (70001, 2)]


def _random(shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
def test_reductions_of_long_rows_and_columns(shape: tuple[int, ...]) -> None:
    x = _random(shape)
    t = tf.tensor(x)
    wide = x.astype(np.float64)
    for dim in [None, *range(len(shape))]:
        for turned in (False, True):
            a, w, d = (t.T, wide.T, None if dim is None else len(shape) - 1 - dim) if turned else (t, wide, dim)
            n = w.size if d is None else w.shape[d]
            # A sum of n terms of size 1, each rounded: far below what one after another would be off by.
            np.testing.assert_allclose(a.sum(d).numpy(), w.sum(d), atol=2e-6 * np.sqrt(n) * np.log2(n + 1))
            np.testing.assert_allclose(a.var(d).numpy(), w.var(d, ddof=1), rtol=2e-5)
            np.testing.assert_array_equal(a.amax(d if d is not None else ()).numpy(), w.max(d).astype(np.float32))
            np.testing.assert_array_equal(a.argmax(d).numpy(), w.argmax(d))
            if d is not None:
                values, indices = a.min(d)
                np.testing.assert_array_equal(values.numpy(), w.min(d).astype(np.float32))
                np.testing.assert_array_equal(indices.numpy(), w.argmin(d))


@pytest.mark.parametrize("shape", SHAPES)
def test_softmax_running_sums_and_sorting(shape: tuple[int, ...]) -> None:
    x = _random(shape)
    t = tf.tensor(x)
    for dim in range(len(shape)):
        wide = x.astype(np.float64)
        e = np.exp(wide - wide.max(dim, keepdims=True))
        shares = e / e.sum(dim, keepdims=True)
        np.testing.assert_allclose(tf.softmax(t, dim).numpy(), shares, rtol=5e-6, atol=1e-30)
        np.testing.assert_allclose(tf.log_softmax(t, dim).numpy(), np.log(shares), rtol=5e-6, atol=2e-6)
        np.testing.assert_allclose(t.cumsum(dim).numpy(), wide.cumsum(dim), rtol=1e-6, atol=1e-6)
        values, indices = t.sort(dim)
        np.testing.assert_array_equal(indices.numpy(), x.argsort(dim, kind="stable"))
        np.testing.assert_array_equal(values.numpy(), np.sort(x, dim))
        k = min(3, shape[dim])
        largest = t.topk(k, dim)
        np.testing.assert_array_equal(largest.values.numpy(), np.flip(np.sort(x, dim), dim).take(range(k), dim))
        np.testing.assert_array_equal(largest.values.numpy(), np.take_along_axis(x, largest.indices.numpy(), dim))


def test_results_do_not_depend_on_threads() -> None:
    t = tf.tensor(_random((150, 1200)))

    def found(threads: int) -> list[Any]:
        tf.set_num_threads(threads)
        results = [t.sum(), t.sum(0), t.sum(1), t.var(), t.var(0), t.mean((0, 1)), tf.softmax(t, 0), t.cumsum(1)]
        target = tf.arange(150) % 1200
        return [r.numpy() for r in [*results, F.cross_entropy(t, target), t.sort(0).values]]

    before = tf.get_num_threads()
    try:
        for one, several in zip(found(1), found(4), strict=True):
            np.testing.assert_array_equal(one, several)
    finally:
        tf.set_num_threads(before)


def test_what_is_not_a_number_comes_through() -> None:
    x = _random((70, 130))
    x[3, 77] = np.nan
    t = tf.tensor(x)
    for dim, where in ((1, 3), (0, 77)):
        for result in (t.sum(dim), t.var(dim), t.max(dim).values, t.amin(dim), t.median(dim).values, t.norm(dim=dim)):
            assert np.flatnonzero(np.isnan(result.numpy())).tolist() == [where]
        assert t.argmax(dim).numpy()[where] == (77 if dim else 3)
        assert np.isnan(tf.softmax(t, dim).numpy()).sum() == x.shape[dim]
    assert np.isnan(t.sort(1).values.numpy()[3, -1])
    assert np.isnan(t.topk(2).values.numpy()[3, 0])


@pytest.mark.parametrize("bits", [0x7FC00000, 0x7FFFFFFF, 0xFF812345, 0x7FC00001])
def test_softmax_keeps_every_nan(bits: int) -> None:
    x = np.zeros((3, 64), np.float32)
    x[1].view(np.uint32)[3] = bits
    for result in (tf.softmax(tf.tensor(x), 1), tf.log_softmax(tf.tensor(x), 1)):
        assert np.isnan(result.numpy()[1]).all()
        assert np.isfinite(result.numpy()[[0, 2]]).all()
    query = tf.tensor(x[None])
    assert np.isnan(tf.nn.functional.scaled_dot_product_attention(query, query, query).numpy()[0, 1]).all()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_is_the_likelihood_of_log_softmax(reduction: str, weighted: bool) -> None:
    for shape in ((40, 300), (3, 7, 200), (5, 11)):
        x = tf.tensor(_random(shape).astype(np.float64), requires_grad=True)
        rng = np.random.default_rng(2)
        target = rng.integers(0, shape[1], (shape[0], *shape[2:]))
        target[0] = -100
        w = tf.tensor(rng.uniform(0.5, 2.0, shape[1])) if weighted else None
        loss = F.cross_entropy(x, tf.tensor(target), w, reduction=reduction)
        same = F.nll_loss(F.log_softmax(x, 1), tf.tensor(target), w, reduction=reduction)
        np.testing.assert_allclose(loss.detach().numpy(), same.detach().numpy(), rtol=1e-12)
        (a,) = tf.autograd.grad((loss * loss).sum(), x)
        (b,) = tf.autograd.grad((same * same).sum(), x)
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-15)


def test_refused() -> None:
    t = tf.ones(2, 3)
    with pytest.raises(tf.errors.ArgumentError, match="between 0 and 3"):
        t.topk(4)
    with pytest.raises(tf.errors.ArgumentError, match="between 1 and 3"):
        t.kthvalue(0)
    with pytest.raises(tf.errors.AxisError):
        t.sort(2)
    with pytest.raises(tf.errors.AxisError, match="no median"):
        tf.ones(0, 3).median(0)
    with pytest.raises(tf.errors.TensorError):
        tf.ones(3, dtype=tf.complex64).sort()
    with pytest.raises(tf.errors.AxisError):
        F.cross_entropy(t, tf.tensor([0, 3]))
