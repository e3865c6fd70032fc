"""Reading and writing at positions: brackets, and the functions that take index tensors."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from .spec import ALL, BOOL, COMPLEX, FLOAT, INT, UNSIGNED, Array, Maker, OpInfo, Sample, sample

BOTH = ("float64", "complex128")
USUAL = BOOL + INT + FLOAT + COMPLEX


def positions(*values: Any) -> Array:
    return np.array(values, dtype=np.int64)


def _mask(m: Maker, *shape: int) -> Array:
    """Some of the elements, at least one and not all."""
    mask = np.asarray(m.rng.integers(0, 2, shape).astype(bool))
    if mask.size > 1:
        mask.flat[0], mask.flat[-1] = True, False
    return mask


def indices(m: Maker) -> Iterator[tuple[tuple[int, ...], Any]]:
    """Shapes, and what may stand in brackets behind them."""
    yield (3, 4), 1
    yield (3, 4), -1
    yield (3, 4), (1, 2)
    yield (5,), slice(1, 4)
    yield (6,), slice(None, None, 2)
    yield (6,), slice(-4, 100, 3)
    yield (3, 4), (slice(None), slice(1, 3))
    yield (3, 4), (Ellipsis, 0)
    yield (3, 4), Ellipsis
    yield (2, 3, 4), (0, Ellipsis, slice(None, None, 3))
    yield (3, 4), None
    yield (3, 4), (slice(None), None, 1)
    yield (), ()
    yield (), None
    yield (), Ellipsis
    yield (0, 3), slice(None)
    yield (3, 4), slice(2, 2)
    yield (3, 4), positions(2, 0, 2)
    yield (3, 4), positions(-1)
    yield (3, 4), positions([0, 1], [2, 0])
    yield (3, 4), (positions(0, 2), positions(1, 3))
    yield (3, 4), (positions([0], [2]), positions(1, 3))
    yield (3, 4), (slice(None), positions(3, 0))
    yield (3, 4), (positions(2, 1), slice(1, 3))
    yield (2, 3, 4), (positions(1, 0), slice(None), positions(2, 3))
    yield (2, 3, 4), (slice(None), positions(1, 0), positions(2, 3))
    yield (2, 3, 4), (0, positions(1, 0))
    yield (2, 3, 4), (0, slice(None), positions(1, 0))
    yield (2, 3, 4), (Ellipsis, positions(1, 0), None)
    yield (3, 4), [2, 0]
    yield (3, 4), positions()
    yield (3, 4), positions(2).reshape(())
    yield (3, 4), _mask(m, 3, 4)
    yield (3, 4), _mask(m, 3)
    yield (3, 4), (slice(None), _mask(m, 4))
    yield (2, 3, 4), (_mask(m, 2, 3), 1)
    yield (2, 3), np.zeros((2, 3), dtype=bool)
    yield (3, 4), (positions(0, 1, 1), np.array([True, True, False, True]))


def _read_samples(m: Maker) -> Iterator[Sample]:
    for shape, index in indices(m):
        yield sample(m(*shape), index)
    yield sample(m(4, 3).T, (slice(None), positions(1, 0)))
    yield sample(m(4, 3).T, (slice(None, None, 2), 1))


def _basic_first(x: Array, index: Any) -> tuple[Array, Any]:
    """A view of `x` by the integers, slices and None of `index`, and the arrays that remain to be applied to it.

    In PyTorch integers belong to the slices; in NumPy, beside an array, to the arrays: `x[0, :, [1, 2]]`.
    """
    if isinstance(index, list):
        index = np.array(index)
    parts = list(index) if isinstance(index, tuple) else [index]
    parts = [int(part) if isinstance(part, np.ndarray) and part.shape == () else part for part in parts]

    def taken(part: Any) -> int:
        if part is None or part is Ellipsis:
            return 0
        return part.ndim if isinstance(part, np.ndarray) and part.dtype == bool else 1

    here = next((n for n, part in enumerate(parts) if part is Ellipsis), len(parts))
    rest = x.ndim - sum(map(taken, parts))
    parts[here : here + 1] = [slice(None)] * rest
    basic: list[Any] = []
    advanced: list[Any] = []
    for part in parts:
        if isinstance(part, np.ndarray):
            basic += [slice(None)] * taken(part)
            advanced.append(part)
        else:
            basic.append(part)
            if not isinstance(part, int):
                advanced.append(slice(None))
    return x[(*basic, Ellipsis)], tuple(advanced)


def read(x: Array, index: Any) -> Array:
    """`x[index]` as PyTorch reads it."""
    view, advanced = _basic_first(x, index)
    return view[(*advanced, Ellipsis)]


def written(x: Array, index: Any, value: Any) -> Array:
    """`x` after `x[index] = value`, as PyTorch writes it."""
    x = np.array(x)
    view, advanced = _basic_first(x, index)
    view[(*advanced, Ellipsis)] = value
    return x


def _write_samples(m: Maker) -> Iterator[Sample]:
    fill = True if m.is_bool else 3
    for shape, index in indices(m):
        target = read(np.empty(shape), index).shape
        yield sample(m(*shape), index, fill)
        # With one position twice, which of two values stays is open: such writes get one number.
        if np.unique(read(np.arange(int(np.prod(shape))).reshape(shape), index)).size == np.prod(target):
            yield sample(m(*shape), index, m(*target))
            yield sample(m(*shape), index, m())
    yield sample(m(3, 4), 1, m(4))
    yield sample(m(3, 4), slice(0, 2), m(1, 4))
    yield sample(m(4, 3).T, (slice(None), positions(3, 0)), m(3, 1))


def _index_select_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4), 0, positions(2, 0, 2))
    yield sample(m(3, 4), -1, positions(1))
    yield sample(m(4, 3).T, dim=1, index=positions(3, 3, 0))
    yield sample(m(3), 0, positions())
    yield sample(m(3), 0, np.array([0, 2], dtype=np.int32))
    yield sample(m(2, 0), 0, positions(1, 1))


def _gather_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4), 0, positions([0, 2, 1, 0], [1, 1, 0, 2]))
    yield sample(m(3, 4), 1, positions([3, 3], [0, 1], [2, 0]))
    yield sample(m(3, 4), -1, positions([3], [0]))
    yield sample(m(4, 3).T, 1, positions([1, 1, 0]))
    yield sample(m(5), 0, positions(4, 0, 0))
    yield sample(m(), 0, positions(0).reshape(()))
    yield sample(m(3, 4), 0, positions().reshape(0, 4))


def _scatter_samples(m: Maker) -> Iterator[Sample]:
    index = positions([0, 2, 1, 0], [1, 0, 0, 2])
    yield sample(m(3, 4), 0, index, m(2, 4))
    yield sample(m(3, 4), 1, positions([3, 1], [0, 1], [2, 0]), m(3, 3)).rough()
    yield sample(m(4, 3).T, -1, positions([1, 0]), m(1, 2))
    yield sample(m(5), 0, positions(4, 0), m(2))
    yield sample(m(3, 4), 0, index, True if m.is_bool else 2)
    yield sample(m(3, 4), 0, positions().reshape(0, 4), m(2, 4)).rough()
    yield sample(m(), 0, positions(0).reshape(()), m())


def _scatter_add_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4), 0, positions([0, 2, 1, 0], [0, 0, 1, 2]), m(2, 4))
    yield sample(m(3, 4), 1, positions([3, 3], [0, 1], [2, 2]), m(3, 3)).rough()
    yield sample(m(5), 0, positions(4, 0, 4, 4), m(4))
    yield sample(m(4, 3).T, -1, positions([1, 1]), m(1, 2))
    yield sample(m(3), 0, positions(), m(0))


def _scatter_reduce_samples(m: Maker) -> Iterator[Sample]:
    for reduce in ("add", "multiply"):
        yield sample(m(5), 0, positions(4, 0, 4), m(3), reduce=reduce)
        yield sample(m(3, 4), 1, positions([3, 3], [0, 1], [2, 2]), m(3, 2), reduce=reduce)


def _index_write_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4), 0, positions(2, 0), m(2, 4))
    yield sample(m(3, 4), -1, positions(3, 1, 0), m(3, 3))
    yield sample(m(4, 3).T, 1, positions(1), m(3, 1))
    yield sample(m(5), 0, positions(4, 1), m(2))
    yield sample(m(3), 0, positions(), m(0))


def _index_add_samples(m: Maker) -> Iterator[Sample]:
    yield from _index_write_samples(m)
    yield sample(m(3, 4), 0, positions(1, 1, 0), m(3, 4))
    if not m.is_bool:
        yield sample(m(3, 4), 0, positions(1, 1), m(2, 4), alpha=2)


def _index_fill_samples(m: Maker) -> Iterator[Sample]:
    for each in _index_write_samples(m):
        x, dim, index, _ = each.args
        yield sample(x, dim, index, True if m.is_bool else 2)
        yield sample(x, dim, index, m())


def _index_put_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4), (positions(0, 2),), m(4))
    yield sample(m(3, 4), (positions(0, 2), positions(1, 3)), m(2))
    yield sample(m(3, 4), [_mask(m, 3, 4)], m())
    yield sample(m(3, 4), (positions([0], [2]), positions(1, 3)), m(2, 2))
    yield sample(m(4, 3).T, (positions(1),), m(1, 4))
    yield sample(m(3, 4), (positions(),), m(4))
    yield sample(m(0, 3), (positions(),), m(3))
    if not m.is_bool:
        yield sample(m(3, 4), (positions(0, 0, 2), positions(1, 1, 3)), m(3), accumulate=True)
        yield sample(m(3, 4), (positions(2, 2),), m(4), accumulate=True)


def _masked_fill_samples(m: Maker) -> Iterator[Sample]:
    fill = True if m.is_bool else 2
    yield sample(m(3, 4), _mask(m, 3, 4), fill)
    yield sample(m(3, 4), _mask(m, 4), fill)
    yield sample(m(3, 4), _mask(m, 3, 1), m())
    yield sample(m(4, 3).T, _mask(m, 3, 4), fill)
    yield sample(m(), np.array(True), fill)
    yield sample(m(0, 3), _mask(m, 3), fill)
    yield sample(m(67), _mask(m, 67), fill).rough()
    if m.is_float:
        yield sample(m(3), _mask(m, 3), float("-inf")).rough()
        yield sample(m(3), _mask(m, 3), 0.5)


def _masked_select_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4), _mask(m, 3, 4))
    yield sample(m(3, 4), _mask(m, 4))
    yield sample(m(4), _mask(m, 3, 1))
    yield sample(m(4, 3).T, _mask(m, 3, 4))
    yield sample(m(), np.array(True))
    yield sample(m(3), np.zeros(3, dtype=bool))
    yield sample(m(0), np.zeros(0, dtype=bool))


def _nonzero_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4))
    yield sample(m(2, 2, 3))
    yield sample(m(4, 3).T)
    yield sample(m())
    yield sample(m(0, 3))
    yield sample(m(67))
    if not m.is_bool:
        yield sample(m.odd())


def _nonzero_tuple_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4), as_tuple=True)
    yield sample(m(5), as_tuple=True)


def _scatter(x: Array, dim: int, index: Array, src: Any) -> Array:
    result = np.array(x)
    for at in np.ndindex(index.shape):
        to = list(at)
        if to:
            to[dim] = index[at]
        result[tuple(to)] = src[at] if isinstance(src, np.ndarray) else src
    return result


def _scatter_add(x: Array, dim: int, index: Array, src: Array) -> Array:
    result = np.array(x)
    for at in np.ndindex(index.shape):
        to = list(at)
        to[dim] = index[at]
        result[tuple(to)] += src[at]
    return result


def _gather(x: Array, dim: int, index: Array) -> Array:
    result = np.empty(index.shape, dtype=x.dtype)
    for at in np.ndindex(index.shape):
        source = list(at)
        if source:
            source[dim] = index[at]
        result[at] = x[tuple(source)]
    return result


def _index_put(x: Array, index: Any, values: Array, accumulate: bool = False) -> Array:
    result = np.array(x)
    if accumulate:
        np.add.at(result, tuple(index), values)
    else:
        result[tuple(index)] = values
    return result


def _index_copy(x: Array, dim: int, index: Array, source: Any) -> Array:
    result = np.array(x)
    place: Any = (*([slice(None)] * (dim % x.ndim)), index)
    result[place] = source
    return result


def _index_add(x: Array, dim: int, index: Array, source: Array, alpha: Any = 1) -> Array:
    result = np.array(x)
    place: Any = (*([slice(None)] * (dim % x.ndim)), index)
    np.add.at(result, place, source if alpha == 1 else source * alpha)
    return result


def _scatter_reduce(x: Array, dim: int, index: Array, src: Array, reduce: str) -> Array:
    result = np.array(x)
    places: list[Array] = list(np.indices(index.shape))
    places[dim] = index
    src = src[tuple(slice(0, size) for size in index.shape)]
    (np.add if reduce == "add" else np.multiply).at(result, tuple(places), src)
    return result


def _masked_select(x: Array, mask: Array) -> Array:
    x, mask = np.broadcast_arrays(x, mask)
    return np.asarray(x[mask])


def _assign(x: Any, index: Any, value: Any) -> Any:
    """`x[index] = value` as a function. The target is a copy, since a leaf may not be written."""
    target = x.clone()
    target[index] = value
    return target


def _nonzero(x: Array, as_tuple: bool = False) -> Any:
    return np.nonzero(x) if as_tuple else np.argwhere(x)


def _row(name: str, samples: Any, reference: Any, **more: Any) -> OpInfo:
    return OpInfo(name, samples, reference, **({"dtypes": ALL, "grad_dtypes": BOTH} | more))


OPS = [
    _row("__getitem__", _read_samples, read, places=("operator",), operator=operator.getitem),
    _row("__setitem__", _write_samples, written, dtypes=USUAL, beyond=UNSIGNED, places=("operator",), operator=_assign),
    _row(
        "index_select",
        _index_select_samples,
        lambda x, dim, index: np.take(x, index, dim),
        dtypes=USUAL,
        beyond=UNSIGNED,
        out=True,
    ),
    _row("gather", _gather_samples, _gather, dtypes=USUAL, beyond=UNSIGNED, out=True),
    _row("scatter", _scatter_samples, _scatter, dtypes=USUAL, beyond=UNSIGNED, in_place=True, out=True),
    _row("scatter_add", _scatter_add_samples, _scatter_add, dtypes=USUAL, in_place=True, out=True, beyond=UNSIGNED),
    _row(
        "scatter",
        _scatter_reduce_samples,
        _scatter_reduce,
        dtypes=INT + FLOAT + COMPLEX,
        beyond=UNSIGNED,
        grad_dtypes=(),
        in_place=True,
        out=True,
        tag="reduce",
        no_grad="PyTorch has none with `reduce`",
    ),
    _row("index_copy", _index_write_samples, _index_copy, dtypes=USUAL, beyond=UNSIGNED, in_place=True, out=True),
    _row("index_add", _index_add_samples, _index_add, dtypes=USUAL, beyond=UNSIGNED, in_place=True, out=True),
    _row("index_fill", _index_fill_samples, _index_copy, dtypes=USUAL, beyond=UNSIGNED, in_place=True),
    _row("index_put", _index_put_samples, _index_put, dtypes=USUAL, beyond=UNSIGNED, in_place=True),
    _row(
        "masked_fill",
        _masked_fill_samples,
        lambda x, mask, value: np.where(mask, value, x),
        dtypes=USUAL,
        beyond=UNSIGNED,
        in_place=True,
    ),
    _row("masked_select", _masked_select_samples, _masked_select, dtypes=USUAL, beyond=UNSIGNED, out=True),
    _row(
        "nonzero",
        _nonzero_samples,
        _nonzero,
        dtypes=USUAL,
        grad_dtypes=(),
        result="int64",
        out=True,
        no_grad="gives positions",
        beyond=UNSIGNED,
    ),
    _row(
        "nonzero",
        _nonzero_tuple_samples,
        _nonzero,
        dtypes=USUAL,
        grad_dtypes=(),
        result="int64",
        tag="tuple",
        no_grad="gives positions",
        beyond=UNSIGNED,
    ),
]
