"""Comparisons, and the logic of bits and truth values."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .binary import number, pairs
from .spec import ALL, BOOL, COMPLEX, FLOAT, INT, UNSIGNED, Array, Maker, OpInfo, Sample, sample


def _compare_samples(m: Maker) -> Iterator[Sample]:
    yield from pairs(m)
    yield sample(m(3, 4), number(m))
    yield sample(m(3, 4), m(3, 4)[:1])
    yield sample(number(m), m(3, 4)).only("operator")
    if m.is_float:
        odd = m.odd()
        yield sample(odd[:, None], odd[None, :])
        yield sample(odd, float("nan"))
    if m.is_int:
        odd = m.odd()
        yield sample(odd[:, None], odd[None, :])
    if m.is_int and not m.is_unsigned:
        yield sample(m(6), 1.5)
    if m.dtype == "int64":
        yield sample(np.array([2**53, 2**53 + 1, 2**53 + 2]), 2**53 + 1)


def _logic_samples(m: Maker) -> Iterator[Sample]:
    yield from pairs(m)
    if m.is_float:
        odd = m.odd()
        yield sample(odd[:, None], odd[None, :])


def _bit_samples(m: Maker) -> Iterator[Sample]:
    yield from pairs(m)
    yield sample(m(3, 4), number(m))
    yield sample(number(m), m(3, 4)).only("operator")
    if m.is_int:
        odd = m.odd()
        yield sample(odd[:, None], odd[None, :])


def _row(name: str, reference: Callable[..., Any], dtypes: tuple[str, ...], **more: Any) -> OpInfo:
    beyond = tuple(dtype for dtype in UNSIGNED if dtype not in dtypes)
    settings: dict[str, Any] = {"in_place": True, "out": True, "beyond": beyond}
    return OpInfo(name, more.pop("samples"), reference, dtypes, **(settings | more))


def _comparison(name: str, apply: Callable[[Any, Any], Any], dtypes: tuple[str, ...]) -> OpInfo:
    return _row(
        name,
        apply,
        dtypes,
        samples=_compare_samples,
        result="bool",
        operator=apply,
        no_grad="gives truth values",
        places=("tf", "method", "operator"),
        refused=() if "complex64" in dtypes else COMPLEX,
    )


def _logical(name: str, reference: Callable[[Array, Array], Any]) -> OpInfo:
    return _row(
        name,
        reference,
        BOOL + INT + FLOAT + COMPLEX,
        samples=_logic_samples,
        result="bool",
        no_grad="gives truth values",
    )


def _bitwise(name: str, apply: Callable[[Any, Any], Any]) -> OpInfo:
    return _row(
        name,
        apply,
        BOOL + INT + UNSIGNED,
        samples=_bit_samples,
        operator=apply,
        places=("tf", "method", "operator"),
        refused=FLOAT + COMPLEX,
        no_grad="integers have no derivatives",
    )


ORDERED = BOOL + INT + FLOAT

OPS = [
    _comparison("eq", operator.eq, ALL),
    _comparison("ne", operator.ne, ALL),
    _comparison("lt", operator.lt, ORDERED),
    _comparison("le", operator.le, ORDERED),
    _comparison("gt", operator.gt, ORDERED),
    _comparison("ge", operator.ge, ORDERED),
    _logical("logical_and", np.logical_and),
    _logical("logical_or", np.logical_or),
    _logical("logical_xor", np.logical_xor),
    _bitwise("bitwise_and", operator.and_),
    _bitwise("bitwise_or", operator.or_),
    _bitwise("bitwise_xor", operator.xor),
]
