"""The engine's rules: what gets a gradient, when, how often, and what is an error instead."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from opinfo.run import array, tf


def leaf(*values: float) -> Any:
    return tf.tensor(values, dtype=tf.float64, requires_grad=True)


def grad_of(x: Any) -> list[float]:
    found: list[float] = array(x.grad).tolist()
    return found


# What backward leaves where.


def test_leaf_rules() -> None:
    x = leaf(1, 2)
    y = x * 2
    assert x.is_leaf
    assert x.grad_fn is None
    assert not y.is_leaf
    assert y.requires_grad
    assert y.grad_fn is not None
    assert tf.ones(2).is_leaf
    assert not tf.ones(2).requires_grad
    assert (tf.ones(2) * 2).is_leaf
    with pytest.raises(RuntimeError):
        y.requires_grad_(False)
    z = y.detach()
    assert z.is_leaf
    assert not z.requires_grad
    assert z.data_ptr() == y.data_ptr()


def test_only_leaves_keep_gradients() -> None:
    x, w = leaf(1, 2), tf.ones(2, dtype=tf.float64)
    y = x * w
    (y * y).sum().backward()
    assert grad_of(x) == [2.0, 4.0]
    assert w.grad is None
    with pytest.warns(UserWarning, match="leaf"):
        assert y.grad is None


def test_retain_grad() -> None:
    x = leaf(1, 2)
    y = x * 3
    y.retain_grad()
    (y * y).sum().backward()
    assert grad_of(y) == [6.0, 12.0]
    assert grad_of(x) == [18.0, 36.0]
    x.retain_grad()  # of a leaf: nothing changes
    with pytest.raises(RuntimeError):
        tf.ones(2).retain_grad()


def test_accumulation() -> None:
    x = leaf(1, 2)
    for count in (1, 2, 3):
        (x * x).sum().backward()
        assert grad_of(x) == [2.0 * count, 4.0 * count]
    x.grad = None
    (x * 5).sum().backward()
    assert grad_of(x) == [5.0, 5.0]
    x.grad.zero_()
    (x * 5).sum().backward()
    assert grad_of(x) == [5.0, 5.0]


def test_grad_is_one_object() -> None:
    x = leaf(1, 2)
    (x * 2).sum().backward()
    held = x.grad
    assert x.grad is held
    (x * 2).sum().backward()
    assert x.grad is held, "accumulated in place"
    assert held.tolist() == [4.0, 4.0]


def test_two_leaves_do_not_share_a_gradient() -> None:
    x, y = leaf(1, 2), leaf(3, 4)
    (x + y).sum().backward()
    x.grad.add_(1)
    assert grad_of(y) == [1.0, 1.0]
    x, by = leaf(1, 2), tf.ones(2, dtype=tf.float64)
    (x * 1).backward(by)
    x2 = leaf(1, 2)
    (x2 + 0).backward(by)
    x2.grad.add_(5)
    assert by.tolist() == [1.0, 1.0]


def test_setting_grad() -> None:
    x = leaf(1, 2)
    x.grad = tf.tensor([7.0, 8.0], dtype=tf.float64)
    (x * 1).sum().backward()
    assert grad_of(x) == [8.0, 9.0]
    with pytest.raises((RuntimeError, TypeError)):
        x.grad = tf.ones(3, dtype=tf.float64)
    with pytest.raises((RuntimeError, TypeError)):
        x.grad = tf.ones(2, dtype=tf.float32)
    with pytest.raises((RuntimeError, TypeError)):
        x.grad = 1.0


def test_broadcast_in_the_middle() -> None:
    """A gradient has its tensor's shape on every edge, not only at the leaves."""
    x = leaf(2)
    row = (x * x).expand(3)
    square = row.reshape(3, 1) * tf.arange(1, 5, dtype=tf.float64)
    (square * row.sum()).sum().backward()
    # f = x^2 * 3 * 10 * 3 x^2 = 90 x^4
    assert grad_of(x) == [360.0 * 8.0]


def test_one_tensor_on_several_paths() -> None:
    x = leaf(3)
    y = x * x
    z = y * y + y * x + x
    z.sum().backward()
    assert grad_of(x) == [4 * 27 + 3 * 9 + 1.0]


def test_dtypes_on_edges() -> None:
    """A gradient crosses a cast in the dtype of each side."""
    x = tf.ones(3, requires_grad=True)
    y = x.to(tf.float64) * tf.tensor([1.0, 2.0, 3.0], dtype=tf.float64)
    y.to(tf.bfloat16).sum().backward()
    assert x.grad.dtype == tf.float32
    assert x.grad.tolist() == [1.0, 2.0, 3.0]
    x = tf.ones(3, dtype=tf.float16, requires_grad=True)
    (x * tf.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert x.grad.dtype == tf.float16
    real = tf.ones(2, requires_grad=True)
    (real * tf.tensor([1 + 2j, 3 - 1j])).abs().sum().backward()
    assert real.grad.dtype == tf.float32
    np.testing.assert_allclose(array(real.grad), [5**0.5, 10**0.5], rtol=1e-6)


# backward and grad: their arguments.


def test_backward_needs_a_number_or_a_weight() -> None:
    x = leaf(1, 2)
    with pytest.raises(RuntimeError):
        (x * 2).backward()
    (x * 2).backward(tf.tensor([3.0, 4.0], dtype=tf.float64))
    assert grad_of(x) == [6.0, 8.0]
    with pytest.raises(RuntimeError):
        (x * 2).backward(tf.ones(3, dtype=tf.float64))
    with pytest.raises(RuntimeError):
        tf.ones(2).sum().backward()
    with pytest.raises(RuntimeError):
        (tf.ones(2) * 2).sum().backward()


def test_backward_of_a_leaf() -> None:
    x = leaf(2)
    x.backward()
    assert grad_of(x) == [1.0]


def test_backward_twice() -> None:
    x = leaf(1, 2)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert grad_of(x) == [4.0, 8.0]
    with pytest.raises(RuntimeError, match=r"(?i)second time|freed|retain_graph"):
        y.backward()


def test_backward_inputs() -> None:
    x, w = leaf(1, 2), leaf(3, 4)
    (x * w).sum().backward(inputs=[w])
    assert x.grad is None
    assert grad_of(w) == [1.0, 2.0]


def test_autograd_backward_of_several() -> None:
    x = leaf(1, 2)
    tf.autograd.backward([(x * 2).sum(), x * x], [None, tf.ones(2, dtype=tf.float64)])
    assert grad_of(x) == [4.0, 6.0]


def test_grad_leaves_leaves_alone() -> None:
    x, w = leaf(1, 2), leaf(3, 4)
    y = x * w
    found = tf.autograd.grad(y.sum(), [x, w])
    assert [part.tolist() for part in found] == [[3.0, 4.0], [1.0, 2.0]]
    assert x.grad is None
    assert w.grad is None
    assert isinstance(found, tuple)


def test_grad_of_the_middle() -> None:
    x = leaf(2)
    y = x * x
    z = y * y * x
    dy, dx = tf.autograd.grad(z.sum(), [y, x])
    assert dy.tolist() == [2 * 4 * 2.0]
    assert dx.tolist() == [5 * 16.0]


def test_grad_arguments() -> None:
    x, w = leaf(1, 2), leaf(3, 4)
    with pytest.raises(RuntimeError, match=r"(?i)unused|not .*used"):
        tf.autograd.grad((x * 2).sum(), [x, w])
    found = tf.autograd.grad((x * 2).sum(), [x, w], allow_unused=True)
    assert found[1] is None
    zero = tf.autograd.grad((x * 2).sum(), [x, w], materialize_grads=True)
    assert zero[1].tolist() == [0.0, 0.0]
    with pytest.raises(RuntimeError):
        tf.autograd.grad(x * 2, x)
    (weighted,) = tf.autograd.grad(x * 2, x, tf.tensor([1.0, 10.0], dtype=tf.float64))
    assert weighted.tolist() == [2.0, 20.0]
    (both,) = tf.autograd.grad([(x * 2).sum(), (x * x).sum()], x)
    assert both.tolist() == [4.0, 6.0]
    with pytest.raises(RuntimeError):
        tf.autograd.grad((x * 2).sum(), tf.ones(2))


def test_create_graph() -> None:
    x = leaf(2)
    (first,) = tf.autograd.grad((x**4).sum(), x, create_graph=True)
    (second,) = tf.autograd.grad(first.sum(), x, create_graph=True)
    (third,) = tf.autograd.grad(second.sum(), x)
    assert (first.item(), second.item(), third.item()) == (32.0, 48.0, 48.0)
    assert not third.requires_grad


def test_second_derivative_through_a_kept_output() -> None:
    """What exp, tanh and sqrt keep is their result: it has to come back with its history."""
    for name, want in (
        ("exp", np.exp),
        ("sqrt", lambda v: -0.25 * v**-1.5),
        ("tanh", lambda v: -2 * np.tanh(v) * (1 - np.tanh(v) ** 2)),
        ("sigmoid", lambda v: (s := 1 / (1 + np.exp(-v))) * (1 - s) * (1 - 2 * s)),
        ("reciprocal", lambda v: 2 / v**3),
    ):
        x = leaf(0.5, 1.5)
        (first,) = tf.autograd.grad(getattr(x, name)().sum(), x, create_graph=True)
        (second,) = tf.autograd.grad(first.sum(), x)
        np.testing.assert_allclose(array(second), want(np.array([0.5, 1.5])), rtol=1e-12, err_msg=name)


@pytest.mark.filterwarnings("ignore:.*reference cycle")
def test_backward_with_create_graph() -> None:
    x = leaf(3)
    (x**3).sum().backward(create_graph=True)
    assert x.grad.requires_grad
    (double,) = tf.autograd.grad(x.grad.sum(), x)
    assert double.tolist() == [18.0]
    x.grad = None


# Switching recording off and on.


def test_no_grad() -> None:
    x = leaf(1, 2)
    with tf.no_grad():
        assert not tf.is_grad_enabled()
        y = x * 2
        assert not y.requires_grad
        with tf.enable_grad():
            assert (x * 2).requires_grad
        assert not tf.is_grad_enabled()
        fresh = tf.ones(2, requires_grad=True)
        assert fresh.requires_grad
    assert tf.is_grad_enabled()
    assert (x * 2).requires_grad


def test_no_grad_survives_an_exception() -> None:
    with pytest.raises(KeyError), tf.no_grad():
        raise KeyError
    assert tf.is_grad_enabled()


def test_no_grad_as_decorator() -> None:
    @tf.no_grad()
    def twice(x: Any) -> Any:
        return x * 2

    @tf.enable_grad()
    def recorded(x: Any) -> Any:
        return x * 2

    assert not twice(leaf(1)).requires_grad
    with tf.no_grad():
        assert recorded(leaf(1)).requires_grad


def test_set_grad_enabled() -> None:
    x = leaf(1)
    with tf.set_grad_enabled(False):
        assert not (x * 2).requires_grad
    tf.set_grad_enabled(False)
    assert not (x * 2).requires_grad
    tf.set_grad_enabled(True)
    assert (x * 2).requires_grad


def test_recording_is_switched_per_thread() -> None:
    seen: list[bool] = []
    with tf.no_grad():
        other = threading.Thread(target=lambda: seen.append(tf.is_grad_enabled()))
        other.start()
        other.join()
    assert seen == [True]


# Hooks.


def test_tensor_hook_sees_and_replaces() -> None:
    x = leaf(1, 2)
    seen: list[list[float]] = []
    y = x * 3
    handle = y.register_hook(lambda g: seen.append(g.tolist()))
    y.register_hook(lambda g: g * 10)
    (y * 2).sum().backward(retain_graph=True)
    assert seen == [[2.0, 2.0]]
    assert grad_of(x) == [60.0, 60.0]
    handle.remove()
    x.grad = None
    (y * 2).sum().backward()
    assert seen == [[2.0, 2.0]]
    assert grad_of(x) == [60.0, 60.0]


def test_hook_on_a_leaf() -> None:
    x = leaf(1, 2)
    x.register_hook(lambda g: g + 1)
    (x * 2 + x * 3).sum().backward()
    assert grad_of(x) == [6.0, 6.0], "called once, with the whole gradient"
    with pytest.raises(RuntimeError):
        tf.ones(2).register_hook(lambda g: g)


def test_exception_in_a_hook() -> None:
    x = leaf(1, 2)

    def refuse(gradient: Any) -> None:
        raise ZeroDivisionError("no")

    y = x * 2
    y.register_hook(refuse)
    with pytest.raises(ZeroDivisionError, match="no"):
        (y * 2).sum().backward()
    (x * 2).sum().backward()
    assert grad_of(x) == [2.0, 2.0]


def test_a_view_that_became_a_leaf_is_a_base_of_its_own() -> None:
    x = tf.tensor([[1.0, 2.0], [3.0, 4.0]]).t().requires_grad_()
    row = x[0]
    assert x.is_leaf
    assert row.requires_grad
    (row * tf.tensor([10.0, 100.0])).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[10.0, 100.0], [0.0, 0.0]]
    (x[1][0] * 2.0).backward()
    assert x.grad.tolist() == [[10.0, 100.0], [2.0, 0.0]]
    with pytest.raises(RuntimeError):
        row.mul_(2)
