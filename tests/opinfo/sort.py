"""Elements by their order along a dimension."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .spec import BOOL, COMPLEX, FLOAT, INT, UNSIGNED, Array, Maker, OpInfo, Sample, sample

REAL = INT + UNSIGNED + FLOAT


def _order(x: Array, dim: int, descending: bool) -> Array:
    """What sorts `x` with equal elements in their order, and what is not a number as the largest."""
    if not descending:
        return np.asarray(np.argsort(x, axis=dim, kind="stable"))
    # From the end, so that turning it round puts equal elements in their order again.
    back = np.flip(np.argsort(np.flip(x, dim), axis=dim, kind="stable"), dim)
    return np.asarray(x.shape[dim] - 1 - back)


def _sorted(x: Array, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    if x.ndim == 0:
        return x, np.int64(0)
    order = _order(x, dim, descending)
    return np.take_along_axis(x, order, dim), order


def _argsort(x: Array, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    return _sorted(x, dim, descending)[1]


def _topk(x: Array, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    if x.ndim == 0:
        return (x, np.int64(0)) if k else (x.reshape(1)[:0], np.zeros(0, np.int64))
    order = np.take(_order(x, dim, largest), range(k), axis=dim)
    return np.take_along_axis(x, order, dim), order


def _one(x: Array, order: Array, number: Any, dim: int, keepdim: bool) -> Any:
    place = np.take_along_axis(order, np.expand_dims(np.asarray(number), dim), dim)
    value = np.take_along_axis(x, place, dim)
    return (value, place) if keepdim else (value.squeeze(dim), place.squeeze(dim))


def _kthvalue(x: Array, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    if x.ndim == 0:
        return x, np.int64(0)
    order = _order(x, dim, False)
    return _one(x, order, np.full(np.delete(x.shape, dim), k - 1), dim, keepdim)


def _median(skip: bool) -> Callable[..., Any]:
    def one(x: Array, dim: int, keepdim: bool = False) -> Any:
        if x.ndim == 0:
            return x, np.int64(0)
        numbers = (~np.isnan(x.astype(np.float64))).sum(dim)
        number = np.maximum(numbers - 1, 0) // 2
        if not skip:
            number = np.where(numbers < x.shape[dim], numbers, number)
        return _one(x, _order(x, dim, False), number, dim, keepdim)

    def run(x: Array, dim: int | None = None, keepdim: bool = False) -> Any:
        if dim is None:
            return np.asarray(np.nan) if x.size == 0 else one(x.reshape(-1), 0)[0]
        return one(x, dim, keepdim)

    return run


def _odd(m: Maker) -> Iterator[Array]:
    """Ties, zeros of both signs, and what is not a number; long rows take another way than short ones."""
    if m.is_bool:
        yield m(37)
        return
    yield m.odd()
    yield m.array(np.tile(m.odd(), 41))
    yield m(300)
    yield m.array(np.round(m(3, 700))).T


def _sort_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m.distinct(3, 4))
    yield sample(m.distinct(3, 4), 0)
    yield sample(m.distinct(2, 3, 4), dim=1, descending=True)
    yield sample(m.distinct(4, 3).T, -1, True)
    yield sample(m.distinct(5), stable=True)
    yield sample(m.distinct(1).reshape(()))
    yield sample(m(0, 3))
    yield sample(m(3, 0))
    for x in _odd(m):
        yield sample(x, 0, stable=True).rough()
        yield sample(x, 0, True, stable=True).rough()


def _sort_bools(m: Maker) -> Iterator[Sample]:
    yield sample(m(37), stable=True)
    yield sample(m(3, 5), 0, True, stable=True)


def _msort_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m.distinct(3, 4))
    yield sample(m.distinct(4, 3).T)
    yield sample(m.distinct(1).reshape(()))
    yield sample(m(0, 3))


def _topk_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m.distinct(3, 4), 2)
    yield sample(m.distinct(3, 4), 2, 0)
    yield sample(m.distinct(2, 3, 4), 1, dim=1, largest=False)
    yield sample(m.distinct(4, 3).T, 4, -1, True, True)
    yield sample(m.distinct(5), 0)
    yield sample(m.distinct(5), 5, sorted=True)
    yield sample(m.distinct(1).reshape(()), 1)
    yield sample(m(0, 3), 2)
    for k in (3, 16, 40):
        # Which of equal elements come out is ours to say.
        yield sample(m.array(np.tile(m.odd(), 41)), k).rough().ours()
        yield sample(m.array(np.tile(m.odd(), 41)), k, largest=False).rough().ours()
    if m.dtype in ("float32", "float64", "int32", "int64"):
        yield sample(m.distinct(2, 1000), 10).rough()
        yield sample(m.distinct(1000, 2), 10, 0, False).rough()


def _topk_unsorted(m: Maker) -> Iterator[Sample]:
    # In any order, so all alike.
    yield sample(np.full((2, 5), 3.0).astype(m.carrier), 2, sorted=False).ours()


def _kthvalue_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m.distinct(3, 4), 2)
    yield sample(m.distinct(3, 4), 3, 0)
    yield sample(m.distinct(2, 3, 4), 1, dim=1, keepdim=True)
    yield sample(m.distinct(4, 3).T, 4, -1)
    yield sample(m.distinct(1).reshape(()), 1)
    yield sample(m.distinct(300), 150).rough()
    yield sample(m(0, 3), 2)
    if m.is_float:
        yield sample(m.array([np.nan, 1.0, 2.0]), 3).rough()


def _median_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m.distinct(3, 4))
    yield sample(m.distinct(5))
    yield sample(m.distinct(4, 3).T)
    yield sample(m.distinct(1).reshape(()))
    if m.is_float:
        yield sample(m.array([np.nan, 1.0, 2.0, 3.0])).rough()
        yield sample(m.array([np.nan, np.nan])).rough()
        yield sample(m(0)).rough()


def _median_dim_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m.distinct(3, 4), 0)
    yield sample(m.distinct(3, 4), -1)
    yield sample(m.distinct(2, 3, 4), dim=1, keepdim=True)
    yield sample(m.distinct(4, 3).T, 1)
    yield sample(m.distinct(1).reshape(()), 0)
    if m.is_float:
        yield sample(m.array([[np.nan, 1.0, 2.0], [3.0, 5.0, 4.0]]), 1).rough()
        yield sample(m.array([[np.nan, 1.0, 2.0], [3.0, 5.0, 4.0]]), 0).rough()


PAIR = ("same", "int64")

OPS = [
    OpInfo("sort", _sort_samples, _sorted, REAL, ("float64",), PAIR, refused=COMPLEX),
    OpInfo("sort", _sort_bools, _sorted, BOOL, (), PAIR, tag="bools", no_grad="truth values have no derivatives"),
    OpInfo(
        "argsort", _sort_samples, _argsort, REAL, result="int64", refused=COMPLEX, no_grad="gives positions", out=True
    ),
    OpInfo(
        "msort", _msort_samples, lambda x: np.sort(x, 0) if x.ndim else x, REAL, ("float64",), refused=COMPLEX, out=True
    ),
    OpInfo("topk", _topk_samples, _topk, REAL, ("float64",), PAIR, refused=COMPLEX),
    OpInfo("topk", _topk_unsorted, _topk, FLOAT, (), PAIR, tag="unsorted", no_grad="all alike"),
    OpInfo("kthvalue", _kthvalue_samples, _kthvalue, REAL, ("float64",), PAIR, refused=COMPLEX),
    OpInfo("median", _median_samples, _median(False), REAL, ("float64",), refused=COMPLEX, out=True),
    OpInfo("median", _median_dim_samples, _median(False), REAL, ("float64",), PAIR, tag="dim", refused=COMPLEX),
    OpInfo("nanmedian", _median_samples, _median(True), REAL, ("float64",), refused=COMPLEX, out=True),
    OpInfo("nanmedian", _median_dim_samples, _median(True), REAL, ("float64",), PAIR, tag="dim", refused=COMPLEX),
]
