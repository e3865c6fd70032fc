"""Other shapes of the same elements, most of them without a copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .spec import ALL, Array, Maker, OpInfo, Sample, sample

BOTH = ("float64", "complex128")


def _shape(sizes: tuple[Any, ...]) -> Any:
    """One list, or the sizes one by one."""
    return sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes


def _view_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4), (4, 3))
    yield sample(m(3, 4), [12])
    yield sample(m(3, 4), (-1,))
    yield sample(m(3, 4), (2, -1, 3))
    yield sample(m(2, 3), (1, 2, 1, 3, 1))
    yield sample(m(), (1, 1))
    yield sample(m(1, 1), ())
    yield sample(m(0, 3), (3, 0, 2))
    yield sample(m(3, 4), 2, 6).only("method")
    yield sample(m(3, 4), -1).only("method")


def _strided_view_samples(m: Maker) -> Iterator[Sample]:
    """Where the strides allow it, a view needs no contiguous input."""
    yield from _view_samples(m)
    yield sample(m(3, 4).T, (2, 2, 3))


def _reshape_samples(m: Maker) -> Iterator[Sample]:
    yield from _view_samples(m)
    yield sample(m(3, 4).T, (3, 4))
    yield sample(m(2, 3, 4).transpose(1, 0, 2), (-1, 4))


def _permute_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 3, 4), (2, 0, 1))
    yield sample(m(2, 3, 4), (-1, 0, -2))
    yield sample(m(2, 3), [1, 0])
    yield sample(m(), ())
    yield sample(m(0, 3, 1), (2, 1, 0))
    yield sample(m(2, 3, 4), 1, 2, 0).only("method")


def _transpose_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 3, 4), 0, 2)
    yield sample(m(2, 3, 4), -1, 1)
    yield sample(m(2, 3, 4), 1, 1)
    yield sample(m(3, 0), 0, 1)
    yield sample(m(), 0, -1)
    yield sample(m(2, 3), dim0=0, dim1=1)


def _t_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4))
    yield sample(m(4))
    yield sample(m())
    yield sample(m(0, 2))


def _matrix_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4))
    yield sample(m(0, 2))


def _matrices_samples(m: Maker) -> Iterator[Sample]:
    yield from _matrix_samples(m)
    yield sample(m(2, 1, 4))


def _squeeze_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(1, 3, 1, 2))
    yield sample(m(1, 3, 1, 2), 0)
    yield sample(m(1, 3, 1, 2), -2)
    yield sample(m(1, 3, 1, 2), 1)
    yield sample(m(1, 3, 1, 2), (0, 1, 2))
    yield sample(m(), 0)
    yield sample(m(1))
    yield sample(m(1, 0), dim=0)


def _unsqueeze_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 3), 0)
    yield sample(m(2, 3), 1)
    yield sample(m(2, 3), -1)
    yield sample(m(2, 3), -3)
    yield sample(m(), 0)
    yield sample(m(0), dim=1)
    yield sample(m(3, 2).T, 2)


def _flatten_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 3, 2))
    yield sample(m(2, 3, 2), 1)
    yield sample(m(2, 3, 2), 0, 1)
    yield sample(m(2, 3, 2), start_dim=-2, end_dim=-1)
    yield sample(m(2, 3, 2).transpose(2, 0, 1))
    yield sample(m())
    yield sample(m(0, 3))
    yield sample(m(3), 0, 0)


def _expand_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 1), (3, 4))
    yield sample(m(3, 1), (2, -1, 4))
    yield sample(m(4), (3, 4))
    yield sample(m(), (2, 3))
    yield sample(m(1), (0,))
    yield sample(m(3, 1), 3, 2)
    yield sample(m(0, 1), [2, 0, 3])


def _narrow_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4), 0, 1, 2)
    yield sample(m(3, 4), -1, 0, 3)
    yield sample(m(3, 4), 1, -2, 2)
    yield sample(m(3, 4), 1, 4, 0)
    yield sample(m(4, 3).T, dim=1, start=2, length=2)
    yield sample(m(3, 4), 0, np.array(1), 2)
    yield sample(m(0, 3), 1, 0, 2)


def _select_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4), 0, 1)
    yield sample(m(3, 4), -1, -1)
    yield sample(m(3), 0, 2)
    yield sample(m(4, 3).T, dim=1, index=0)
    yield sample(m(2, 0), 0, 1)


def _diagonal_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4))
    yield sample(m(3, 4), 1)
    yield sample(m(3, 4), -2)
    yield sample(m(3, 3), 3)
    yield sample(m(0, 3))
    yield sample(m(2, 3, 4), 0, 1, 2)
    yield sample(m(2, 3, 4), offset=-1, dim1=0, dim2=-1)
    yield sample(m(4, 3).T)


def _unbind_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4))
    yield sample(m(3, 4), 1)
    yield sample(m(3, 2), dim=-1)
    yield sample(m(3))
    yield sample(m(2, 0))


def _split_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(5, 2), 2)
    yield sample(m(2, 5), 2, -1)
    yield sample(m(5), 5)
    yield sample(m(5), 7)
    yield sample(m(5, 2), [1, 4])
    yield sample(m(2, 5), [2, 0, 3], dim=1)
    yield sample(m(0, 2), 1)
    yield sample(m(5, 4).T, 2)


def _chunk_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(5, 2), 2)
    yield sample(m(2, 6), 4, -1)
    yield sample(m(3), 5)
    yield sample(m(5, 4).T, chunks=3, dim=1)
    yield sample(m(0, 2), 3)


def _as_strided_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(12), (3, 2), (4, 1))
    yield sample(m(12), (2, 3), (1, 3), 2)
    yield sample(m(12), (), (), 5)
    yield sample(m(0), (0, 2), (2, 1))
    yield sample(m(3, 4), (4, 3), (1, 4))
    yield sample(m(12), size=(2, 2), stride=(3, 0), storage_offset=1).rough()


def _copy_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4))
    yield sample(m())
    yield sample(m(0, 3))
    yield sample(m(4, 3).T)
    yield sample(m(2, 5, 3)[:, ::2, 1:])


def _as_other_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4), m(2, 6))
    yield sample(m(), m(1, 1))
    yield sample(m(0, 3), m(3, 0, 2))


def _expand_as_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 1), m(3, 4))
    yield sample(m(), m(2, 1))
    yield sample(m(4), m(0, 4))


def _view(x: Array, *sizes: Any) -> Any:
    return x.reshape(_shape(sizes))


def _permute(x: Array, *order: Any) -> Any:
    return x.transpose(tuple(_shape(order)))


def _transpose(x: Array, dim0: int, dim1: int) -> Any:
    return x if x.ndim == 0 else x.swapaxes(dim0, dim1)


def _squeeze(x: Array, dim: Any = None) -> Any:
    if dim is None or x.ndim == 0:
        return x.squeeze()
    chosen = [d for d in (dim if isinstance(dim, tuple) else (dim,)) if x.shape[d] == 1]
    return x.squeeze(tuple(chosen))


def _unsqueeze(x: Array, dim: int) -> Any:
    return np.expand_dims(x, dim)


def _flatten(x: Array, start_dim: int = 0, end_dim: int = -1) -> Any:
    if x.ndim == 0:
        return x.reshape(1)
    first, last = start_dim % x.ndim, end_dim % x.ndim
    middle = int(np.prod(x.shape[first : last + 1]))
    return x.reshape((*x.shape[:first], middle, *x.shape[last + 1 :]))


def _expand(x: Array, *sizes: Any) -> Any:
    wanted = list(_shape(sizes))
    for back in range(1, x.ndim + 1):
        if wanted[-back] == -1:
            wanted[-back] = x.shape[-back]
    return np.broadcast_to(x, wanted)


def _narrow(x: Array, dim: int, start: int, length: int) -> Any:
    first = start + x.shape[dim] if start < 0 else start
    return np.take(x, range(first, first + length), axis=dim)


def _select(x: Array, dim: int, index: int) -> Any:
    return np.take(x, index, axis=dim)


def _diagonal(x: Array, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    return x.diagonal(offset, dim1, dim2)


def _unbind(x: Array, dim: int = 0) -> Any:
    return list(np.moveaxis(x, dim, 0))


def _split(x: Array, split_size: Any, dim: int = 0) -> Any:
    size = x.shape[dim]
    if isinstance(split_size, int):
        cuts = list(range(split_size, size, split_size))
    else:
        cuts = list(np.cumsum(split_size))[:-1]
    return np.split(x, cuts, axis=dim)


def _chunk(x: Array, chunks: int, dim: int = 0) -> Any:
    size = x.shape[dim]
    if size == 0:
        return [x] * chunks
    return _split(x, -(-size // chunks), dim)


def _as_strided(x: Array, size: Any, stride: Any, storage_offset: int = 0) -> Any:
    flat = np.ascontiguousarray(x).reshape(-1)[storage_offset:]
    return np.lib.stride_tricks.as_strided(flat, size, [step * flat.itemsize for step in stride])


def _row(name: str, samples: Callable[[Maker], Iterator[Sample]], reference: Callable[..., Any], **more: Any) -> OpInfo:
    settings: dict[str, Any] = {"view": True, "grad_dtypes": BOTH}
    return OpInfo(name, samples, reference, ALL, **(settings | more))


OPS = [
    _row("view", _strided_view_samples, _view, places=("method",)),
    _row("reshape", _reshape_samples, _view, view=False),
    _row("permute", _permute_samples, _permute),
    _row("transpose", _transpose_samples, _transpose),
    _row("t", _t_samples, lambda x: x.T),
    _row("T", _matrix_samples, lambda x: x.T, places=("attribute",)),
    _row("mT", _matrices_samples, lambda x: x.swapaxes(-1, -2), places=("attribute",)),
    _row("squeeze", _squeeze_samples, _squeeze),
    _row("unsqueeze", _unsqueeze_samples, _unsqueeze),
    _row("flatten", _flatten_samples, _flatten, view=False),
    _row("expand", _expand_samples, _expand, places=("method",)),
    _row("view_as", _as_other_samples, lambda x, other: x.reshape(other.shape), places=("method",)),
    _row("reshape_as", _as_other_samples, lambda x, other: x.reshape(other.shape), places=("method",), view=False),
    _row("expand_as", _expand_as_samples, lambda x, other: np.broadcast_to(x, other.shape), places=("method",)),
    _row("detach", _copy_samples, lambda x: x, view=False, grad_dtypes=(), no_grad="it is there to have none"),
    _row("narrow", _narrow_samples, _narrow),
    _row("select", _select_samples, _select),
    _row("diagonal", _diagonal_samples, _diagonal),
    _row("unbind", _unbind_samples, _unbind),
    _row("split", _split_samples, _split),
    _row("chunk", _chunk_samples, _chunk),
    _row("as_strided", _as_strided_samples, _as_strided),
    _row("contiguous", _copy_samples, lambda x: x, places=("method",), view=False),
    _row("clone", _copy_samples, lambda x: x, view=False),
]
