"""Arithmetic on two tensors, or on a tensor and a number."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from .spec import BOOL, COMPLEX, FLOAT, INT, REAL, UNSIGNED, Array, Maker, OpInfo, Sample, sample

FLOATING = FLOAT + COMPLEX
NUMERIC = INT + FLOATING
BOTH = ("float64", "complex128")


def pairs(m: Maker, second: Callable[..., Array] | None = None) -> Iterator[Sample]:
    """Equal shapes, broadcasts, 0-d, empty and transposed operands; `second` makes the other operand."""
    second = second or m
    yield sample(m(3, 4), second(3, 4))
    yield sample(m(), second())
    yield sample(m(3, 1), second(1, 4))
    yield sample(m(2, 1, 3), second(4, 1))
    yield sample(m(3, 4), second())
    yield sample(m(), second(2, 3))
    yield sample(m(4, 3).T, second(3, 4))
    yield sample(m(0, 3), second(1, 3))
    yield sample(m(2, 0), second())
    yield sample(m(67), second(67)).rough()
    yield sample(m(5, 33), second(33)).rough()


def number(m: Maker) -> Any:
    """A Python number of the dtype's own kind."""
    if m.is_bool:
        return True
    return 3 if m.is_int else 1.5


def _exact(m: Maker) -> Iterator[Sample]:
    """Beyond 2^53, where a detour through float64 shows."""
    if m.dtype in ("int64", "uint64"):
        big = np.array([2**53 + 1, 2**53 + 3, 2**62 + 1], dtype=m.carrier)
        yield sample(big, np.array([1, 2, 3], dtype=m.carrier))
        yield sample(big, np.array(1, dtype=m.carrier))
        yield sample(big, 2)


def _odd_pairs(m: Maker) -> Iterator[Sample]:
    """Every pair of odd values."""
    if m.is_float:
        odd = m.odd()
        yield sample(odd[:, None], odd[None, :]).rough()


def _add_samples(m: Maker) -> Iterator[Sample]:
    yield from pairs(m)
    yield from _exact(m)
    yield from _odd_pairs(m)
    yield sample(m(3, 4), number(m))
    yield sample(number(m), m(3, 4)).only("operator")
    if not m.is_bool:
        yield sample(m(3, 4), m(4), alpha=2)
        yield sample(m(3, 4), 2, alpha=3)
    if m.is_inexact:
        yield sample(m(3), m(2, 1), alpha=-0.5)
    if m.is_int:
        yield sample(m(3), 1.5).gives("float32")
    if m.is_bool:
        yield sample(m(3), 2).gives("int64")


def _mul_samples(m: Maker) -> Iterator[Sample]:
    yield from pairs(m)
    yield from _exact(m)
    yield from _odd_pairs(m)
    yield sample(m(3, 4), number(m))
    yield sample(number(m), m(3, 4)).only("operator")
    if m.is_int:
        yield sample(m(3), 1.5).gives("float32")


def _div_samples(m: Maker) -> Iterator[Sample]:
    yield from pairs(m, m.nonzero)
    yield from _odd_pairs(m)
    yield sample(m(3, 4), 2)
    yield sample(2, m.nonzero(3, 4)).only("operator")
    if m.is_int:
        yield sample(m(4), m(4) * 0).rough()
    if not m.is_inexact:
        yield sample(m(4), 1.5).gives("float32")


def _div_rounded_samples(m: Maker) -> Iterator[Sample]:
    for mode in ("floor", "trunc"):
        yield sample(m.nonzero(3, 4), m.nonzero(4), rounding_mode=mode)
        yield sample(m.nonzero(), m.nonzero(), rounding_mode=mode)
        yield sample(m.nonzero(0, 2), m.nonzero(2), rounding_mode=mode)
        yield sample(m.nonzero(67), m.nonzero(67), rounding_mode=mode).rough()
        yield sample(m.nonzero(5), 2 if m.is_unsigned else -2, rounding_mode=mode)
        if m.dtype in ("int64", "uint64"):
            yield sample(np.array([2**53 + 1, 2**62 + 1], dtype=m.carrier), 1, rounding_mode=mode)


def _floor_samples(m: Maker) -> Iterator[Sample]:
    """For quotients that are rounded down: signs of every kind, and no quotient on the edge."""
    yield from pairs(m, m.nonzero)
    yield sample(m.nonzero(3, 4), 2 if m.is_unsigned else -3)
    yield sample(7, m.nonzero(3, 4)).only("operator").rough()
    if not m.is_unsigned:
        signs = m.array([7, -7, 7, -7, 6, -6])
        yield sample(signs, m.array([3, 3, -3, -3, 3, -3])).rough()
    if m.dtype in ("int64", "uint64"):
        yield sample(np.array([2**53 + 1, 2**62 + 1], dtype=m.carrier), 2)
    if m.is_float:
        zero = m.array([1.0, -1.0, 0.0])
        yield sample(zero, m.array([0.0, 0.0, 0.0])).rough()


def _remainder_samples(m: Maker) -> Iterator[Sample]:
    yield from _floor_samples(m)
    if m.is_float:
        infinite = m.array([np.inf, -np.inf, np.nan])
        yield sample(infinite, m.array([2.0, 2.0, 2.0])).rough()


def _pow_samples(m: Maker) -> Iterator[Sample]:
    def base(*shape: int) -> Array:
        return m(*shape, low=0.3, high=2.0)

    def exponent(*shape: int) -> Array:
        return m(*shape) if m.is_inexact else np.asarray(m.rng.integers(0, 4, shape), dtype=m.carrier)

    yield sample(base(3, 4), exponent(3, 4))
    yield sample(base(), exponent())
    yield sample(base(3, 1), exponent(4))
    yield sample(base(0, 3), exponent(3))
    yield sample(base(4, 3).T, exponent(3, 4))
    yield sample(base(37), exponent(37)).rough()
    for power in (0, 1, 2, 3):
        yield sample(m.nonzero(3, 4), power)
    yield sample(2, exponent(3, 4)).only("tf", "operator")
    if m.is_inexact:
        for number in (0.5, -1, -0.5, 2.5, -2):
            yield sample(base(5), number)
        yield sample(0.7, exponent(5)).only("tf", "operator")
    if m.is_float:
        yield sample(m.nonzero(5), m.array([2.0, 3.0, -1.0, 0.0, 1.0])).rough()
        odd = m.array([0.0, 0.0, -0.0, np.inf, np.nan, -8.0])
        yield sample(odd, m.array([0.0, -1.0, 3.0, -2.0, 0.0, 1 / 3])).rough()
        yield sample(m.odd(), 0).rough()
        yield sample(m.odd(), 2).rough()
    if m.is_int:
        yield sample(m(3), 0.5).gives("float32")
    if m.dtype in ("int64", "uint64"):
        yield sample(np.array([3, 7], dtype=m.carrier), np.array([39, 22], dtype=m.carrier))


def pick_samples(m: Maker) -> Iterator[Sample]:
    values = m.distinct(2, 3, 4)
    yield sample(values[0], values[1])
    yield sample(values[0, 0, :1].reshape(()), values[1])
    yield sample(values[0, :, :1], values[1, :1])
    yield sample(values[0].copy().T, m.array(values[1].T))
    yield sample(m(0, 3), m(3))
    yield sample(m(), m())
    yield sample(m(67), m(67)).rough()
    if m.is_float:
        yield sample(m.odd()[:, None], m.odd()[None, :]).rough()
    if m.dtype in ("int64", "uint64"):
        yield sample(np.array([2**53 + 1, 2**53], dtype=m.carrier), np.array([2**53, 2**53 + 1], dtype=m.carrier))


def _where_samples(m: Maker) -> Iterator[Sample]:
    def mask(*shape: int) -> Array:
        return np.asarray(m.rng.integers(0, 2, shape).astype(bool))

    yield sample(mask(3, 4), m(3, 4), m(3, 4))
    yield sample(mask(), m(), m())
    yield sample(mask(3, 1), m(4), m(2, 1, 1))
    yield sample(mask(0, 3), m(3), m(1, 3))
    yield sample(mask(4, 3).T, m(3, 4), m(4, 3).T)
    yield sample(mask(67), m(67), m(67)).rough()
    yield sample(mask(3), m(3), number(m))
    yield sample(mask(3), number(m), m(2, 3))
    yield sample(mask(2), m(2), m.odd()[:2]).rough()


def _where_method_samples(m: Maker) -> Iterator[Sample]:
    for given in _where_samples(m):
        condition, *rest = given.args
        if isinstance(rest[0], np.ndarray):
            yield replace(given, args=(rest[0], condition, rest[1]))


def _where_method(x: Array, condition: Array, other: Any) -> Array:
    return np.where(condition, x, other)


def _where_index_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4))
    yield sample(m(0, 3))
    yield sample(m.nonzero(5))
    yield sample(m(5) * m.array(0))


def _add(x: Array, y: Array, alpha: Any = 1) -> Any:
    if np.result_type(x, y).kind == "b":
        return np.logical_or(x, y)
    return x + (y if alpha == 1 else np.multiply(y, alpha))


def _sub(x: Array, y: Array, alpha: Any = 1) -> Any:
    return x - (y if alpha == 1 else np.multiply(y, alpha))


def _div(x: Array, y: Array, rounding_mode: str | None = None) -> Any:
    if rounding_mode == "floor":
        return _floor_divide(x, y)
    integral = np.result_type(x, y).kind in "iu"
    if rounding_mode == "trunc":
        if np.result_type(x, y).kind == "u":
            return np.floor_divide(x, y)
        if integral:
            quotient = np.abs(x) // np.abs(y)
            return np.asarray(quotient * np.sign(x) * np.sign(y), dtype=np.result_type(x, y))
        return np.trunc(x / y)
    return np.true_divide(x, y)


def _floor_divide(x: Array, y: Array) -> Any:
    """Division by zero gives what it gives, as PyTorch's does."""
    if np.result_type(x, y).kind in "iu":
        return np.floor_divide(x, y)
    return np.where(np.equal(y, 0), np.true_divide(x, y), np.floor_divide(x, y))


def _remainder(x: Array, y: Array) -> Any:
    return np.where(np.isinf(x), np.nan, np.remainder(x, y)) if np.result_type(x, y).kind == "f" else np.remainder(x, y)


def _pow(x: Array, y: Array) -> Any:
    return np.power(x, y)


def _where_index(x: Array) -> Any:
    return np.nonzero(x)


OPS = [
    OpInfo(
        "add",
        _add_samples,
        _add,
        BOOL + NUMERIC,
        BOTH,
        in_place=True,
        out=True,
        operator=operator.add,
        places=("tf", "method", "operator"),
        beyond=UNSIGNED,
    ),
    OpInfo(
        "sub",
        _add_samples,
        _sub,
        NUMERIC,
        BOTH,
        in_place=True,
        out=True,
        operator=operator.sub,
        places=("tf", "method", "operator"),
        refused=BOOL,
        beyond=UNSIGNED,
    ),
    OpInfo(
        "mul",
        _mul_samples,
        np.multiply,
        REAL + COMPLEX,
        BOTH,
        in_place=True,
        out=True,
        operator=operator.mul,
        places=("tf", "method", "operator"),
    ),
    OpInfo(
        "div",
        _div_samples,
        _div,
        REAL + COMPLEX,
        BOTH,
        "float",
        in_place=True,
        out=True,
        operator=operator.truediv,
        places=("tf", "method", "operator"),
    ),
    OpInfo(
        "div",
        _div_rounded_samples,
        _div,
        INT + FLOAT,
        ("float64",),
        in_place=True,
        out=True,
        tag="rounded",
        beyond=UNSIGNED,
        refused=COMPLEX,
    ),
    OpInfo(
        "floor_divide",
        _floor_samples,
        _floor_divide,
        INT + FLOAT,
        in_place=True,
        out=True,
        operator=operator.floordiv,
        places=("tf", "method", "operator"),
        beyond=UNSIGNED,
        refused=COMPLEX,
        no_grad="PyTorch has none: flat wherever it is smooth",
    ),
    OpInfo(
        "remainder",
        _remainder_samples,
        _remainder,
        INT + FLOAT,
        ("float64",),
        in_place=True,
        out=True,
        operator=operator.mod,
        places=("tf", "method", "operator"),
        beyond=UNSIGNED,
        refused=COMPLEX,
    ),
    OpInfo(
        "pow",
        _pow_samples,
        _pow,
        NUMERIC,
        BOTH,
        in_place=True,
        out=True,
        operator=operator.pow,
        places=("tf", "method", "operator"),
        beyond=UNSIGNED,
    ),
    OpInfo(
        "maximum",
        pick_samples,
        np.maximum,
        BOOL + INT + FLOAT,
        ("float64",),
        out=True,
        refused=COMPLEX,
        beyond=UNSIGNED,
    ),
    OpInfo(
        "minimum",
        pick_samples,
        np.minimum,
        BOOL + INT + FLOAT,
        ("float64",),
        out=True,
        refused=COMPLEX,
        beyond=UNSIGNED,
    ),
    OpInfo("where", _where_samples, np.where, places=("tf",), grad_dtypes=BOTH, out=True),
    OpInfo("where", _where_method_samples, _where_method, places=("method",), grad_dtypes=BOTH, tag="method"),
    OpInfo(
        "where",
        _where_index_samples,
        _where_index,
        BOOL + NUMERIC,
        result="int64",
        places=("tf",),
        tag="index",
        no_grad="gives positions",
        beyond=UNSIGNED,
    ),
]
