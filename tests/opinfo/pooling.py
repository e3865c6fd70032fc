"""Windows that cut planes into a given number of parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np

from .spec import ALL, FLOAT, HALF, Array, Maker, OpInfo, Sample, sample

LOOSE = {**dict.fromkeys(HALF, (2e-2, 2e-2)), "float32": (2e-6, 2e-6)}
SHAPES: dict[int, list[tuple[tuple[int, ...], Any]]] = {
    1: [((2, 3, 5), 2), ((1, 4), 3), ((1, 2, 4), 1), ((1, 2, 3), 5), ((0, 2, 3), 2), ((1, 0, 3), 2), ((1, 2, 3), 0)],
    2: [
        ((2, 2, 5, 4), 2),
        ((2, 4, 3), (2, 3)),
        ((1, 2, 3, 3), 1),
        ((1, 1, 3, 4), (None, 2)),
        ((1, 2, 2, 3), (5, 1)),
        ((0, 2, 3, 3), 2),
        ((1, 1, 4, 3), (2, 0)),
    ],
    3: [
        ((1, 2, 3, 4, 2), 2),
        ((2, 2, 3, 3), (1, 2, 3)),
        ((1, 2, 2, 2, 3), 1),
        ((1, 1, 2, 3, 2), (None, 2, 1)),
        ((0, 2, 2, 2, 2), 2),
    ],
}
LARGE: dict[int, tuple[tuple[int, ...], Any]] = {
    1: ((3, 4, 131), 7),
    2: ((2, 3, 19, 70), (4, 3)),
    3: ((2, 3, 5, 7, 37), (2, 3, 2)),
}


def _samples(dims: int, *, distinct: bool, **kwargs: Any) -> Callable[[Maker], Iterator[Sample]]:
    def make(m: Maker) -> Iterator[Sample]:
        array = m.distinct if distinct else m
        for shape, size in SHAPES[dims]:
            if not (distinct and 0 in shape[1:]):
                yield sample(array(*shape), size, **kwargs)
        yield sample(np.moveaxis(array(3, 2, *[4] * dims), 0, -1)[..., 0, :], 2, **kwargs)
        shape, size = LARGE[dims]
        yield sample(m(*shape), size, **kwargs).rough()
        yield sample(m.array(np.where(m(*shape) > 1.9, np.nan, m(*shape))), size, **kwargs).rough()

    return make


def _windows(size: int, parts: int) -> list[slice]:
    return [slice(n * size // parts, -(-(n + 1) * size // parts)) for n in range(parts)]


def _pooled(x: Array, output_size: Any, dims: int, of: Callable[[Array], Array]) -> Array:
    """What `of` makes of each window, whose elements it gets along the last dimension."""
    spread = output_size if isinstance(output_size, tuple) else (output_size,) * dims
    sizes = [x.shape[d - dims] if s is None else s for d, s in enumerate(spread)]
    outer = x.shape[: x.ndim - dims]
    result = np.empty((*outer, *sizes), dtype=x.dtype)
    windows = [list(enumerate(_windows(x.shape[d - dims], s))) for d, s in enumerate(sizes)]
    for window in product(*windows):
        at = tuple(n for n, _ in window)
        part = x[(..., *(span for _, span in window))]
        result[(..., *at)] = of(part.reshape(*outer, int(np.prod(part.shape[len(outer) :]))))
    return result


def _average(dims: int) -> Callable[..., Any]:
    return lambda x, output_size: _pooled(x, output_size, dims, lambda part: part.mean(-1))


def _last_nan(part: Array) -> Array:
    nan = np.isnan(part)
    last = part.shape[-1] - 1 - nan[..., ::-1].argmax(-1)
    return np.where(nan.any(-1), last, np.where(nan, -np.inf, part).argmax(-1))


def _max(dims: int) -> Callable[..., Any]:
    def reference(x: Array, output_size: Any, return_indices: bool = False) -> Any:
        values = _pooled(x, output_size, dims, lambda part: part.max(-1))
        if not return_indices:
            return values
        places = np.arange(np.prod(x.shape[-dims:])).reshape(x.shape[-dims:])
        places = np.broadcast_to(places, x.shape).astype(np.float64)
        # Elements and their places, one behind the other, so that a window of one is a window of both.
        both = np.stack([x, places], axis=-dims - 1)

        def place(part: Array) -> Array:
            return np.take_along_axis(part[..., 1:, :], _last_nan(part[..., :1, :])[..., None], -1)[..., 0]

        found = _pooled(both, output_size, dims, place)
        return values, np.moveaxis(found, -dims - 1, 0)[0].astype(np.int64)

    return reference


def _row(name: str, samples: Any, reference: Any, **kwargs: Any) -> OpInfo:
    refused = tuple(dtype for dtype in ALL if dtype not in FLOAT)
    return OpInfo(
        name,
        samples,
        reference,
        dtypes=FLOAT,
        refused=refused,
        grad_dtypes=("float64",),
        places=("nn",),
        tolerance=LOOSE,
        **kwargs,
    )


OPS = [
    row
    for d in (1, 2, 3)
    for row in (
        _row(f"adaptive_avg_pool{d}d", _samples(d, distinct=False), _average(d)),
        _row(f"adaptive_max_pool{d}d", _samples(d, distinct=True), _max(d)),
        _row(
            f"adaptive_max_pool{d}d",
            _samples(d, distinct=True, return_indices=True),
            _max(d),
            tag="positions",
            result=("same", "int64"),
        ),
    )
]
