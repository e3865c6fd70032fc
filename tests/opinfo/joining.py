"""Tensors put together, repeated, turned and cut to triangles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .spec import ALL, BOOL, COMPLEX, FLOAT, INT, UNSIGNED, Array, Maker, OpInfo, Sample, sample

BOTH = ("float64", "complex128")


def _cat_samples(m: Maker) -> Iterator[Sample]:
    yield sample([m(2, 3), m(1, 3)])
    yield sample((m(2, 3), m(2, 1), m(2, 2)), 1)
    yield sample([m(3, 2).T, m(2, 1)], dim=-1)
    yield sample([m(4)])
    yield sample([m(0, 3), m(2, 3)])
    # A tensor of shape (0,) goes with everything.
    yield sample([m(0), m(2, 3)], 1)
    yield sample([m(0), m(0)])
    yield sample([m(33, 2), m(31, 2)], 0).rough()


def _stack_samples(m: Maker) -> Iterator[Sample]:
    yield sample([m(2, 3), m(2, 3)])
    yield sample((m(2, 3), m(3, 2).T), 1)
    yield sample([m(2), m(2), m(2)], dim=-1)
    yield sample([m(), m()])
    yield sample([m(0, 2), m(0, 2)], -2)


def _repeat_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 3), (2, 1))
    yield sample(m(3), 2, 2)
    yield sample(m(2, 3), 1, 2, 2)
    yield sample(m(), (2,))
    yield sample(m(2, 3), (0, 2))
    yield sample(m(0, 2), (2, 2))
    yield sample(m(3, 2).T, [2, 3])


def _flip_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 3), (0,))
    yield sample(m(2, 3), [0, -1])
    yield sample(m(2, 3, 2), (1,))
    yield sample(m(3, 2).T, dims=(0, 1))
    yield sample(m(2, 3), ())
    yield sample(m(), ())
    yield sample(m(0, 3), (1,))
    yield sample(m(2, 3), 1).only("method")
    yield sample(m(67), (0,)).rough()


def _roll_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(5), 2)
    yield sample(m(5), -7, 0)
    yield sample(m(3, 4), 1)
    yield sample(m(3, 4), 1, 0)
    yield sample(m(3, 4), (1, -2), (0, 1))
    yield sample(m(4, 3).T, shifts=2, dims=-1)
    yield sample(m(0, 3), 1, 0)
    yield sample(m(), 3)


def _triangle_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4))
    yield sample(m(4, 3), 1)
    yield sample(m(3, 3), -1)
    yield sample(m(2, 3, 3), diagonal=2)
    yield sample(m(4, 3).T, -5)
    yield sample(m(3, 4), 5)
    yield sample(m(0, 3))
    yield sample(m.odd()[None, :]).rough()


def _pad_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4), (1, 2))
    yield sample(m(3, 4), (1, 2, 0, 3))
    yield sample(m(3, 4), [0, 0, 2, 1], "constant", 1)
    yield sample(m(2, 3, 4), (1, 1), mode="constant", value=None)
    yield sample(m(3, 4), (-1, 2))
    yield sample(m(3, 4), (-1, -1, -1, 1), value=1)
    yield sample(m(4, 3).T, (1, 0))
    yield sample(m(0, 3), (0, 0, 1, 1))
    yield sample(m(3), ())
    for mode in ("reflect", "replicate", "circular"):
        yield sample(m(2, 4), (3, 1), mode)
        yield sample(m(2, 3, 4), (0, 2), mode=mode)
        yield sample(m(2, 3, 4), (1, -2, 2, 1), mode)
        yield sample(m(2, 2, 3, 3, 2), (1, 1, 0, 2, 1, 2), mode=mode)
        yield sample(m(4, 3).T, (1, 1), mode=mode, value=0)
    yield sample(m(1, 2), (4, 5), "replicate")


def _roll(x: Array, shifts: Any, dims: Any = None) -> Any:
    return np.roll(x, shifts, dims)


def _pad(x: Array, pad: Any, mode: str = "constant", value: Any = None) -> Any:
    how: dict[str, Any] = {"mode": {"replicate": "edge", "circular": "wrap"}.get(mode, mode)}
    if mode == "constant":
        how["constant_values"] = value or 0
    result = x
    for place in range(len(pad) // 2):
        axis = x.ndim - 1 - place
        before, after = pad[2 * place], pad[2 * place + 1]
        cut = [slice(None)] * x.ndim
        cut[axis] = slice(max(-before, 0), result.shape[axis] - max(-after, 0))
        widths = [(0, 0)] * x.ndim
        widths[axis] = (max(before, 0), max(after, 0))
        result = np.pad(result[tuple(cut)], widths, **how)
    return result


def _cat(parts: Any, dim: int = 0) -> Any:
    return np.concatenate([part for part in parts if part.shape != (0,)] or parts[:1], dim)


def _row(name: str, samples: Any, reference: Any, **more: Any) -> OpInfo:
    return OpInfo(name, samples, reference, **({"dtypes": ALL, "grad_dtypes": BOTH} | more))


USUAL: dict[str, Any] = {"dtypes": BOOL + INT + FLOAT + COMPLEX, "beyond": UNSIGNED}


OPS = [
    _row("cat", _cat_samples, _cat, places=("tf",), out=True),
    _row("stack", _stack_samples, lambda parts, dim=0: np.stack(parts, dim), places=("tf",), out=True),
    _row(
        "repeat",
        _repeat_samples,
        lambda x, *n: np.tile(x, n[0] if isinstance(n[0], (tuple, list)) else n),
        places=("method",),
    ),
    _row("flip", _flip_samples, lambda x, dims: np.flip(x, tuple(dims) if isinstance(dims, list) else dims), **USUAL),
    _row("roll", _roll_samples, _roll),
    _row("tril", _triangle_samples, lambda x, diagonal=0: np.tril(x, diagonal), in_place=True, out=True, **USUAL),
    _row("triu", _triangle_samples, lambda x, diagonal=0: np.triu(x, diagonal), in_place=True, out=True, **USUAL),
    _row("pad", _pad_samples, _pad, places=("nn",)),
]
