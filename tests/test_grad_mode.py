"""Recording of history switched on and off, and ``autograd``'s functions."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from opinfo.run import tf

autograd = tf.autograd


def leaf(*values: float) -> Any:
    return tf.tensor(list(values), dtype=tf.float64, requires_grad=True)


def test_context_managers() -> None:
    x = leaf(1.0)
    with tf.no_grad():
        assert not (x * 2).requires_grad
        with tf.enable_grad():
            assert (x * 2).requires_grad
            with tf.set_grad_enabled(False):
                assert not tf.is_grad_enabled()
            assert tf.is_grad_enabled()
        assert not tf.is_grad_enabled()
    assert tf.is_grad_enabled()
    with pytest.raises(KeyError), tf.no_grad():
        raise KeyError
    assert tf.is_grad_enabled()


def test_one_object_used_again() -> None:
    off = tf.no_grad()
    for _ in range(2):
        with off:
            assert not tf.is_grad_enabled()
        assert tf.is_grad_enabled()


def test_set_grad_enabled_holds_at_once() -> None:
    tf.set_grad_enabled(False)
    assert not tf.is_grad_enabled()
    tf.set_grad_enabled(True)
    assert tf.is_grad_enabled()


def test_decorators() -> None:
    @tf.no_grad()
    def called(x: Any, *, by: int = 2) -> Any:
        """Text."""
        return x * by

    @tf.no_grad
    def bare(x: Any) -> Any:
        return x * 2

    @tf.enable_grad()
    def recording(x: Any) -> Any:
        return x * 2

    @tf.set_grad_enabled(False)
    def set_off(x: Any) -> Any:
        return x * 2

    x = leaf(1.0)
    assert tf.is_grad_enabled()
    assert called.__name__ == "called"
    assert called.__doc__ == "Text."
    assert called(x, by=3).item() == 3
    for function in (called, bare, set_off):
        assert not function(x).requires_grad
    with tf.no_grad():
        assert recording(x).requires_grad

    class Holder:
        @tf.no_grad()
        def method(self, x: Any) -> Any:
            return (self, x * 2)

    holder = Holder()
    assert holder.method(x)[0] is holder
    assert not holder.method(x)[1].requires_grad


def test_decorated_generators() -> None:
    closed: list[bool] = []

    @tf.no_grad()
    def steps(count: int) -> Any:
        try:
            for number in range(count):
                assert not tf.is_grad_enabled()
                try:
                    got = yield number
                except ValueError:
                    got = "error"
                assert not tf.is_grad_enabled()
                if got is not None:
                    yield got
            return "end"
        finally:
            closed.append(tf.is_grad_enabled())

    generator = steps(3)
    assert next(generator) == 0
    assert tf.is_grad_enabled()
    assert generator.send("sent") == "sent"
    assert next(generator) == 1
    assert generator.throw(ValueError()) == "error"
    assert next(generator) == 2
    with pytest.raises(StopIteration) as end:
        next(generator)
    assert end.value.value == "end"
    generator = steps(3)
    next(generator)
    generator.close()
    assert closed == [False, False]
    assert tf.is_grad_enabled()


@pytest.mark.ours
def test_classes_cannot_be_decorated() -> None:
    with pytest.raises(TypeError, match="methods"):

        @tf.no_grad()
        class Whole:
            pass

    with pytest.raises(TypeError, match="function"):
        tf.no_grad(3)


def test_the_mode_is_the_threads_own() -> None:
    seen: list[bool] = []
    with tf.no_grad():
        thread = threading.Thread(target=lambda: seen.append(tf.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


# -- backward and grad ----------------------------------------------------------------------------------------------


def test_backward() -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0)
    autograd.backward([(x * y).sum(), x * 2], [None, tf.tensor([10.0, 20.0], dtype=tf.float64)])
    assert x.grad.tolist() == [23, 43]
    assert y.grad.tolist() == [3]
    x.grad = None
    autograd.backward((x * y).sum(), inputs=[x])
    assert x.grad.tolist() == [3, 3]
    assert y.grad.tolist() == [3]
    with pytest.raises(RuntimeError):
        autograd.backward([x.sum(), x], [None, None])
    with pytest.raises((RuntimeError, ValueError)):
        autograd.backward(x.sum(), inputs=[])


def test_grad() -> None:
    x, y, unused = leaf(1.0, 2.0), leaf(3.0), leaf(4.0)
    gradients = autograd.grad((x * y).sum(), [x, y])
    assert isinstance(gradients, tuple)
    assert [gradient.tolist() for gradient in gradients] == [[3, 3], [3]]
    assert x.grad is None
    (gradient,) = autograd.grad(x * y, x, grad_outputs=tf.tensor([1.0, 10.0], dtype=tf.float64))
    assert gradient.tolist() == [3, 30]
    _, second = autograd.grad(x.sum(), [x, unused], allow_unused=True)
    assert second is None
    _, second = autograd.grad(x.sum(), [x, unused], materialize_grads=True)
    assert second.tolist() == [0]
    with pytest.raises(RuntimeError):
        autograd.grad(x.sum(), unused)
    with pytest.raises(ValueError, match="allow_unused"):
        autograd.grad(x.sum(), x, allow_unused=False, materialize_grads=True)
    found = autograd.grad((x * y).sum(), {"x": x, "y": y})
    assert {name: gradient.tolist() for name, gradient in found.items()} == {"x": [3, 3], "y": [3]}


def test_higher_derivatives() -> None:
    x = leaf(2.0)
    value = x**4
    for expected in (32, 48, 48, 24):
        (value,) = autograd.grad(value.sum(), x, create_graph=True)
        assert value.item() == expected
    y = (x**2).sum()
    autograd.grad(y, x, retain_graph=True)
    autograd.grad(y, x)
    with pytest.raises(RuntimeError):
        autograd.grad(y, x)


@pytest.mark.ours
def test_what_is_not_supported_says_so() -> None:
    x = leaf(1.0)
    with pytest.raises(NotImplementedError, match="is_grads_batched"):
        autograd.grad(x.sum(), x, is_grads_batched=True)
    with pytest.raises(NotImplementedError, match="only_inputs"):
        autograd.grad(x.sum(), x, only_inputs=False)
    with pytest.raises(NotImplementedError, match="check_forward_ad"):
        autograd.gradcheck(tf.sin, x, check_forward_ad=True)
    with pytest.raises(TypeError, match="inputs must be tensors, but item 1 is int"):
        autograd.grad(x.sum(), [x, 3])
    with pytest.raises(RuntimeError, match="one for each tensor: 2 for 1"):
        autograd.backward(x.sum(), [None, None])
    with pytest.raises(TypeError, match="grad_tensors"):
        autograd.backward(x.sum(), 3.0, grad_variables=3.0)


# -- gradcheck ------------------------------------------------------------------------------------------------------


def test_gradcheck() -> None:
    assert autograd.gradcheck(lambda x, y: (x * y).sin() + x, (leaf(0.1, 0.2), leaf(3.0)))
    assert autograd.gradcheck(lambda x, n: (x * n, x.exp()), (leaf(0.1, 0.2), 3))
    wrong = lambda x: x * x.detach()  # noqa: E731
    with pytest.raises(RuntimeError):
        autograd.gradcheck(wrong, leaf(1.0))
    assert autograd.gradcheck(wrong, leaf(1.0), raise_exception=False) is False
    with pytest.raises(ValueError, match="require"):
        autograd.gradcheck(tf.sin, tf.ones(1))


def test_gradcheck_of_what_is_not_repeatable() -> None:
    def noisy(x: Any) -> Any:
        y = x * 2
        y.register_hook(lambda gradient: gradient * (1 + 1e-9 * tf.rand(1, dtype=tf.float64)))
        return y

    with pytest.raises(RuntimeError):
        autograd.gradcheck(noisy, leaf(1.0), check_undefined_grad=False)
    assert autograd.gradcheck(noisy, leaf(1.0), nondet_tol=1e-6, check_undefined_grad=False)


def test_gradgradcheck() -> None:
    assert autograd.gradgradcheck(lambda x, y: (x**3 * y, y.sin()), (leaf(0.3, -0.2), leaf(2.0)))
    assert autograd.gradgradcheck(tf.exp, leaf(0.5, 0.1), tf.ones(2, dtype=tf.float64, requires_grad=True))

    def frozen(x: Any) -> Any:
        y = x * 1
        y.register_hook(lambda gradient: gradient * 3 * x.detach() ** 2)
        return y - x.detach() + x.detach() ** 3

    assert autograd.gradcheck(frozen, leaf(0.7), check_undefined_grad=False)
    assert not autograd.gradgradcheck(frozen, leaf(0.7), raise_exception=False, check_undefined_grad=False)
