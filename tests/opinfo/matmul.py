"""Matrix products."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from .spec import BOOL, COMPLEX, FLOAT, HALF, INT, UNSIGNED, Array, Maker, OpInfo, Sample, sample

NUMERIC = INT + FLOAT + COMPLEX
BOTH = ("float64", "complex128")
LOOSE = {**dict.fromkeys(HALF, (2e-2, 4e-2)), "float32": (1e-5, 1e-5), "complex64": (2e-5, 2e-5)}


def _matmul_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 3), m(3, 4))
    yield sample(m(3), m(3))
    yield sample(m(2, 3), m(3))
    yield sample(m(3), m(3, 4))
    yield sample(m(2, 2, 3), m(2, 3, 2))
    yield sample(m(2, 2, 3), m(3, 2))
    yield sample(m(2, 3), m(2, 3, 2))
    yield sample(m(2, 1, 2, 3), m(3, 3, 2))
    yield sample(m(2, 2, 3), m(3))
    yield sample(m(3), m(2, 3, 2))
    yield sample(m(3, 2).T, m(4, 3).T)
    yield sample(m(2, 4, 3).transpose(0, 2, 1), m(4, 2))
    yield sample(m(0, 3), m(3, 2))
    yield sample(m(2, 0), m(0, 3))
    yield sample(m(0), m(0))
    yield sample(m(0, 2, 3), m(0, 3, 2))
    # Beyond one register tile in every direction, and not a multiple of it.
    yield sample(m(37, 19), m(19, 35)).rough()
    yield sample(m(19, 37).T, m(35, 19).T).rough()
    yield sample(m(2, 300), m(300, 3)).rough()
    if m.is_float:
        yield sample(m.array([[np.inf, 1.0], [0.0, np.nan]]), m.array([[1.0, 0.0], [2.0, 3.0]])).rough()
    if m.dtype == "int64":
        yield sample(np.array([[2**53 + 1, 1]]), np.array([[1], [2]]))


def _mm_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 3), m(3, 4))
    yield sample(m(3, 2).T, m(4, 3).T)
    yield sample(m(0, 3), m(3, 2))
    yield sample(m(2, 0), m(0, 3))
    yield sample(m(1, 1), m(1, 1))
    yield sample(m(9, 7)[::2, 1:4], m(3, 5)).rough()
    yield sample(m(20, 33), m(33, 18)).rough()


def _bmm_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 2, 3), m(2, 3, 4))
    yield sample(m(2, 3, 2).transpose(0, 2, 1), m(2, 4, 3).transpose(0, 2, 1))
    yield sample(m(0, 2, 3), m(0, 3, 2))
    yield sample(m(2, 2, 0), m(2, 0, 3))
    yield sample(m(3, 9, 7), m(3, 7, 5)).rough()


def _mv_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 3), m(3))
    yield sample(m(3, 2).T, m(3))
    yield sample(m(0, 3), m(3))
    yield sample(m(2, 0), m(0))
    yield sample(m(33, 40), m(40)).rough()


def _dot_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(4), m(4))
    yield sample(m(0), m(0))
    yield sample(m(8)[::2], m(4))
    yield sample(m(1), m(1))
    yield sample(m(131), m(131)).rough()


def _addmm_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 4), m(2, 3), m(3, 4))
    yield sample(m(4), m(2, 3), m(3, 4))
    yield sample(m(), m(2, 3), m(3, 4))
    yield sample(m(2, 1), m(2, 3), m(3, 4))
    yield sample(m(2, 4), m(3, 2).T, m(4, 3).T)
    yield sample(m(2, 4), m(2, 0), m(0, 4))
    yield sample(m(0, 4), m(0, 3), m(3, 4))
    yield sample(m(2, 4), m(2, 3), m(3, 4), beta=2, alpha=3)
    yield sample(m(17, 18), m(17, 33), m(33, 18)).rough()
    if m.is_inexact:
        yield sample(m(2, 4), m(2, 3), m(3, 4), beta=0.5, alpha=-1.5)
    if m.is_float:
        # With beta = 0 what is in `input` does not count, nan included.
        yield sample(m.array([np.nan, np.inf]), m(3, 2), m(2, 2), beta=0).rough()


def _addmm(x: Array, a: Array, b: Array, beta: Any = 1, alpha: Any = 1) -> Any:
    product = alpha * np.matmul(a, b)
    return product if beta == 0 else product + beta * x


def _row(name: str, samples: Any, reference: Any = np.matmul, **more: Any) -> OpInfo:
    settings: dict[str, Any] = {"out": True, "tolerance": LOOSE, "refused": BOOL, "beyond": UNSIGNED}
    return OpInfo(name, samples, reference, NUMERIC, BOTH, **(settings | more))


OPS = [
    _row("matmul", _matmul_samples, places=("tf", "method", "operator"), operator=operator.matmul),
    _row("mm", _mm_samples),
    _row("bmm", _bmm_samples),
    _row("mv", _mv_samples),
    _row("dot", _dot_samples, np.dot),
    _row("addmm", _addmm_samples, _addmm, in_place=True),
]
