"""The engine under load, what it leaves behind, and the values of derivatives where a choice has to be made."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from typing import Any

import numpy as np
import pytest
from opinfo.run import array, tf


def leaf(*values: float) -> Any:
    return tf.tensor(values, dtype=tf.float64, requires_grad=True)


def grad_of(x: Any) -> list[float]:
    found: list[float] = array(x.grad).tolist()
    return found


# Long, wide, shared.


@pytest.mark.ours
def test_a_million_operations() -> None:
    """A chain is walked and dropped in a loop: no recursion, and no more than three microseconds an operation."""
    begin = time.perf_counter()
    x = tf.ones(1, requires_grad=True)
    y = x
    for _ in range(1_000_000):
        y = y + 1
    y.backward()
    assert x.grad.tolist() == [1.0]
    del y
    assert time.perf_counter() - begin < 3.0


def test_a_long_chain_of_views_is_dropped() -> None:
    x = tf.zeros(2, 2, requires_grad=True)
    y = x * 1
    for _ in range(20_000):
        y = y.t()
    y.sum().backward()
    assert x.grad.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    del y


def test_many_inputs_of_one_node() -> None:
    parts = [tf.full((2,), float(n), requires_grad=True) for n in range(500)]
    (tf.stack(parts).sum(1) ** 2).sum().backward()
    assert [part.grad.tolist() for part in parts] == [[4.0 * n, 4.0 * n] for n in range(500)]


def test_two_threads_through_shared_leaves() -> None:
    """Gradients that arrive from several threads at once are all counted."""
    x = tf.ones(64, dtype=tf.float64, requires_grad=True)
    w = tf.arange(64, dtype=tf.float64).requires_grad_()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(200):
                (x * w + w).sum().backward()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert x.grad.tolist() == [400.0 * n for n in range(64)]
    assert w.grad.tolist() == [800.0] * 64


def test_nothing_is_left_behind() -> None:
    """Histories hold elements, not Python's tensors, and go when their results go; no collector needed."""
    gc.disable()
    try:
        x = tf.ones(3, requires_grad=True)
        kept = x * 2
        product = kept * kept
        watched = [weakref.ref(kept), weakref.ref(product)]
        result = product.sum()
        del kept, product
        result.backward()
        del result
        assert [each() for each in watched] == [None, None]

        written = x * 2
        written.mul_(x)
        written.add_(written)
        view = written[1:]
        view.mul_(3)
        watched = [weakref.ref(written), weakref.ref(view)]
        written.sum().backward()
        del written, view
        assert [each() for each in watched] == [None, None]
    finally:
        gc.enable()


def test_python_identity_lasts() -> None:
    """Attributes of a tensor are there again when it comes back from the graph."""
    x = tf.ones(3, requires_grad=True)
    x.note = "mine"
    view = x[1:]
    assert view._base is x
    assert view._base.note == "mine"
    assert len({x, x, view}) == 2


# What has no derivative says so.


def test_no_derivative_is_an_error() -> None:
    x = leaf(5, 7)
    with pytest.raises(RuntimeError, match="floor_divide"):
        (x // 2).sum().backward()


def test_integers_and_truth_values_end_the_history() -> None:
    x = leaf(1, 2)
    for found in (x > 1, x.argmax(), x.to(tf.int64), x.isnan(), tf.zeros_like(x), x.detach(), tf.rand_like(x)):
        assert not found.requires_grad
    with pytest.raises(RuntimeError):
        x.argmax().backward()


def test_zero_where_it_is_flat() -> None:
    x = leaf(1.5, -2.5)
    (x.floor() + x.ceil() + x.round() + x.sign()).sum().backward()
    assert grad_of(x) == [0.0, 0.0]


def test_empty_tensors() -> None:
    x = tf.ones(0, 3, requires_grad=True)
    (x * 2).sum().backward()
    assert tuple(x.grad.shape) == (0, 3)
    x = tf.ones(0, 3, requires_grad=True)
    w = tf.ones(3, 2, requires_grad=True)
    (x @ w).sum().backward()
    assert tuple(x.grad.shape) == (0, 3)
    assert w.grad.tolist() == [[0.0, 0.0]] * 3


# Conventions at kinks, as PyTorch documents them.


def test_kinks() -> None:
    for name, want in (("abs", 0.0), ("relu", 0.0), ("sign", 0.0)):
        x = leaf(0)
        getattr(tf, name)(x).sum().backward()
        assert grad_of(x) == [want], name
    x, y = leaf(1, 2), leaf(1, 3)
    tf.maximum(x, y).sum().backward()
    assert grad_of(x) == [0.5, 0.0]
    assert grad_of(y) == [0.5, 1.0]
    for name in ("max", "amax"):
        x = leaf(2, 1, 2)
        getattr(x, name)().backward()
        assert grad_of(x) == [0.5, 0.0, 0.5], name
    x = leaf(2, 1, 2)
    x.max(0).values.backward()
    assert sum(grad_of(x)) == 1.0
    x = leaf(-1, 0, 1, 2)
    x.clamp(0, 1).sum().backward()
    assert grad_of(x) == [0.0, 1.0, 1.0, 0.0]
    x = leaf(0, 0)
    x.norm().backward()
    assert grad_of(x) == [0.0, 0.0]
    x = leaf(0)
    (x**0).sum().backward()
    assert grad_of(x) == [0.0]


def test_embedding_padding_gets_no_gradient() -> None:
    weight = tf.ones(4, 2, dtype=tf.float64, requires_grad=True)
    tf.nn.functional.embedding(tf.tensor([0, 1, 1, 3]), weight, padding_idx=1).sum().backward()
    assert weight.grad.tolist() == [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]


def test_embedding_gradient_by_frequency() -> None:
    weight = tf.ones(3, 2, dtype=tf.float64, requires_grad=True)
    tf.nn.functional.embedding(tf.tensor([0, 1, 1, 1]), weight, scale_grad_by_freq=True).sum().backward()
    assert weight.grad.tolist() == [[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]]


def test_where_keeps_nan_out() -> None:
    """The branch that was not taken gets zero, not zero times something."""
    x = leaf(0, 4)
    tf.where(x > 0, x, tf.ones_like(x)).sqrt().sum().backward()
    assert grad_of(x) == [0.0, 0.25]


def test_gradcheck_finds_a_wrong_gradient() -> None:
    x = leaf(0.5, 1.5)
    assert tf.autograd.gradcheck(lambda x: (x * x).sin(), (x,))
    assert tf.autograd.gradgradcheck(lambda x: (x * x).sin(), (x,))
    with pytest.raises(RuntimeError):
        tf.autograd.gradcheck(lambda x: x * x.detach(), (x,))
    assert not tf.autograd.gradcheck(lambda x: x * x.detach(), (x,), raise_exception=False)


def test_gradients_that_are_not_asked_for_are_not_computed() -> None:
    x, w = tf.randn(1, 2048, requires_grad=True), tf.randn(2048, 2048, requires_grad=True)
    y = tf.nn.functional.linear(x @ w, w).sum()
    tf.reset_peak_memory_stats()
    before = tf.memory_stats()["live"]
    (g,) = tf.autograd.grad(y, [x])
    assert tf.memory_stats()["peak"] - before < w.numel(), "a quarter of the bytes of w"
    np.testing.assert_allclose(array(g), array(tf.ones(1, 2048) @ w @ w.T), rtol=1e-4, atol=1e-2)
