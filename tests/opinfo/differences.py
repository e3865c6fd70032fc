"""Derivatives by finite differences, without the module's own `gradcheck`: that would be its own judge.

A function is made a real number by a random weight `v` for each result: L = Re sum(conj(v) f(x)). PyTorch's gradient by
a complex x is dL/dRe(x) + i dL/dIm(x), and `v` is what `backward` is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .run import arguments, array, caller, results, tensor, tf
from .spec import Array, OpInfo, Sample

STEP = 1e-6
Function = Callable[[list[Any]], list[Any]]


def differentiable(op: OpInfo, sample: Sample, dtype: str) -> tuple[Function, list[Array]]:
    """The call as a function of those of its tensors that may need a gradient, and their values."""
    values: list[Array] = []

    def collect(array: Array, dtype: str) -> Any:
        if array.dtype.kind in "fc":
            values.append(array)
        return tensor(array, dtype)

    arguments(sample, dtype, collect)

    def function(tensors: list[Any]) -> list[Any]:
        given = iter(tensors)

        def build(array: Array, dtype: str) -> Any:
            return next(given) if array.dtype.kind in "fc" else tensor(array, dtype)

        args, kwargs = arguments(sample, dtype, build)
        if op.writes:
            args[0] = args[0].clone()
        tf.manual_seed(3)
        found = results(caller(op, sample)(*args, **kwargs))
        return [part for part in found if part.is_floating_point() or part.is_complex()]

    return function, values


def leaves(values: Sequence[Array], dtype: str = "") -> list[Any]:
    return [tensor(value, dtype).requires_grad_() for value in values]


def weights_like(found: Sequence[Any], rng: np.random.Generator) -> list[Array]:
    made = []
    for part in found:
        weight = rng.uniform(0.5, 1.5, tuple(part.shape)) * rng.choice([-1.0, 1.0], tuple(part.shape))
        if part.is_complex():
            weight = weight + 1j * rng.uniform(-1.0, 1.0, tuple(part.shape))
        made.append(np.asarray(weight))
    return made


def gradients(
    outputs: Sequence[Any], inputs: Sequence[Any], by: Sequence[Any], create_graph: bool = False
) -> list[Any]:
    """Gradients of the outputs that have a history; zeros where an input does not matter."""
    pairs = [(out, weight) for out, weight in zip(outputs, by, strict=True) if out.requires_grad]
    if not pairs:
        return [tf.zeros_like(x) for x in inputs]
    found = tf.autograd.grad(
        [out for out, _ in pairs],
        list(inputs),
        [weight for _, weight in pairs],
        create_graph=create_graph,
        allow_unused=True,
    )
    return [tf.zeros_like(x) if g is None else g for x, g in zip(inputs, found, strict=True)]


def _objective(function: Function, values: Sequence[Array], by: Sequence[Array]) -> float:
    with tf.no_grad():
        found = function([tensor(value) for value in values])
    return float(sum(np.sum((np.conj(v) * array(part)).real) for v, part in zip(by, found, strict=True)))


def check_first(op: OpInfo, sample: Sample, dtype: str, tolerance: float = 1e-6) -> bool:
    """Every element of the gradient by every input; false if there is no input that has one."""
    function, values = differentiable(op, sample, dtype)
    if not values:
        return False
    inputs = leaves(values)
    found = function(inputs)
    assert all(part.requires_grad for part in found), f"{op.id}{sample}: the gradient is missing"
    rng = np.random.default_rng(5)
    by = weights_like(found, rng)
    for index, got in enumerate(gradients(found, inputs, [tensor(weight) for weight in by])):
        assert got.dtype == inputs[index].dtype, f"{op.id}{sample}: a {got.dtype} gradient of a {inputs[index].dtype}"
        assert got.shape == inputs[index].shape, f"{op.id}{sample}: a {got.shape} gradient of a {inputs[index].shape}"
        want = np.zeros(values[index].shape, dtype=values[index].dtype)
        for at in np.ndindex(want.shape):
            for unit in (1.0, 1j) if want.dtype.kind == "c" else (1.0,):
                moved = [value.copy() for value in values]
                moved[index][at] += STEP * unit
                above = _objective(function, moved, by)
                moved[index][at] -= 2 * STEP * unit
                want[at] += unit * (above - _objective(function, moved, by)) / (2 * STEP)
        np.testing.assert_allclose(
            array(got), want, rtol=tolerance, atol=tolerance, err_msg=f"{op.id}{sample}: gradient of input {index}"
        )
    return True


def check_second(op: OpInfo, sample: Sample, dtype: str, tolerance: float = 1e-5) -> None:
    """The gradient of the gradient, by the inputs and by the weights, along two random directions."""
    function, values = differentiable(op, sample, dtype)
    if not values:
        return
    rng = np.random.default_rng(6)
    by = weights_like(function(leaves(values)), rng)

    def first(inputs: list[Any], weights: list[Any], create_graph: bool) -> list[Any]:
        return gradients(function(inputs), inputs, weights, create_graph)

    inputs, weights = leaves(values), leaves(by)
    slopes = first(inputs, weights, True)
    outer = weights_like(slopes, rng)
    got = gradients(slopes, inputs + weights, [tensor(weight) for weight in outer])

    def objective(moved: list[Array]) -> float:
        count = len(values)
        found = first(leaves(moved[:count]), [tensor(weight) for weight in moved[count:]], False)
        return float(sum(np.sum((np.conj(v) * array(part)).real) for v, part in zip(outer, found, strict=True)))

    here = [*values, *by]
    for _ in range(2):
        way = weights_like(inputs + weights, rng)
        above = objective([value + STEP * step for value, step in zip(here, way, strict=True)])
        below = objective([value - STEP * step for value, step in zip(here, way, strict=True)])
        along = sum(np.sum((np.conj(step) * array(part)).real) for step, part in zip(way, got, strict=True))
        np.testing.assert_allclose(
            along,
            (above - below) / (2 * STEP),
            rtol=tolerance,
            atol=tolerance,
            err_msg=f"{op.id}{sample}: second order",
        )
