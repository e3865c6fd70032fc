"""Sums, extremes and the like over some or all dimensions, and sums along one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .binary import pick_samples
from .spec import ALL, BOOL, COMPLEX, FLOAT, INT, UNSIGNED, Array, DType, Maker, OpInfo, Sample, sample

FLOATING = FLOAT + COMPLEX
BOTH = ("float64", "complex128")
# A sum of many rounded terms.
LOOSE = {"float16": (4e-3, 4e-3), "bfloat16": (2e-2, 2e-2), "float32": (5e-6, 5e-6), "complex64": (1e-5, 1e-5)}


def dims(dim: Any) -> Any:
    """NumPy's spelling of a list of dimensions."""
    return tuple(dim) if isinstance(dim, list) else dim


def _one_dim(m: Maker, make: Callable[..., Array]) -> Iterator[Sample]:
    """One dimension, named from either end, kept or not."""
    yield sample(make(3, 4), 0)
    yield sample(make(3, 4), -1)
    yield sample(make(3, 4), dim=1, keepdim=True)
    yield sample(make(2, 3, 4), 1)
    yield sample(make(4, 3).T, 0)
    yield sample(make(), 0)
    yield sample(make(), -1, keepdim=True)
    yield sample(make(0, 3), 1)
    yield sample(make(3, 33), 1).rough()
    yield sample(make(33, 3), 0).rough()


def _some_dims(m: Maker, make: Callable[..., Array]) -> Iterator[Sample]:
    yield sample(make(2, 3, 4), (0, 2))
    yield sample(make(2, 3, 4), dim=[-1, 1], keepdim=True)
    yield sample(make(2, 3, 4), (0, 1, 2))


def _whole(m: Maker, make: Callable[..., Array]) -> Iterator[Sample]:
    yield sample(make(3, 4))
    yield sample(make())
    yield sample(make(4, 3).T)
    yield sample(make(2, 1, 3))
    yield sample(make(131)).rough()


def _nan(m: Maker) -> Iterator[Sample]:
    if m.is_float:
        yield sample(m.array([1.0, np.nan, 3.0])).rough()
        yield sample(m.array([[1.0, np.nan], [2.0, 3.0]]), 1).rough()


def _sum_samples(m: Maker) -> Iterator[Sample]:
    yield from _whole(m, m)
    yield from _one_dim(m, m)
    yield from _some_dims(m, m)
    yield from _nan(m)
    yield sample(m(0))
    yield sample(m(2, 0), 1)
    yield sample(m(3, 4), dtype=DType("complex128" if m.is_complex else "float64")).gives(
        "complex128" if m.is_complex else "float64"
    )
    if m.dtype == "float16":
        # 65504 is the largest float16: the sum passes through what only float32 holds.
        yield sample(m.array([60000.0, 60000.0, -60000.0])).rough()
    if m.dtype == "int64":
        yield sample(np.array([2**53 + 1, 2, 2**53]))
    if m.dtype == "uint8":
        yield sample(np.full(300, 255, dtype=np.uint8))
        yield sample(np.array([200, 100], dtype=np.uint8), dtype=DType("uint8")).gives("uint8")


def _prod_samples(m: Maker) -> Iterator[Sample]:
    make = m.nonzero
    yield sample(make(3, 4))
    yield sample(make())
    yield sample(make(0))
    yield sample(make(2, 3), 0)
    yield sample(make(2, 3), dim=-1, keepdim=True)
    yield sample(make(3, 2).T, 1)
    yield sample(make(0, 3), 0)
    yield sample(make(), 0)
    yield sample(m.array([2, 0, 3]), 0)
    yield sample(m.array([[2, 0, 3], [0, 1, 0]]), 1)
    yield sample(m.array([2, 0, 3, 0]))
    wide = "complex128" if m.is_complex else "float64"
    yield sample(make(3), dtype=DType(wide)).gives(wide)
    yield sample(make(2, 3), 1, dtype=DType(wide)).gives(wide)


def _mean_samples(m: Maker) -> Iterator[Sample]:
    yield from _whole(m, m)
    yield from _one_dim(m, m)
    yield from _some_dims(m, m)
    yield from _nan(m)
    yield sample(m(0)).rough()
    yield sample(m(2, 0), 1).rough()
    yield sample(m(3), dtype=DType("complex128")).gives("complex128").rough()


def _mean_of_integers(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4), dtype=DType("float32")).gives("float32")
    yield sample(m(3, 4), 1, dtype=DType("float64")).gives("float64")


def _var_samples(m: Maker) -> Iterator[Sample]:
    yield from _some_dims(m, m)
    yield from _nan(m)
    yield sample(m(3, 4))
    yield sample(m(4, 3).T, 0)
    yield sample(m(3, 4), -1)
    yield sample(m(3, 4), dim=1, keepdim=True)
    yield sample(m(3, 4), dim=None, correction=0)
    yield sample(m(3, 4), 1, correction=0, keepdim=True)
    yield sample(m(3, 4), 1, correction=2)
    yield sample(m(131)).rough()
    yield sample(m(1), correction=0).rough()
    yield sample(m(), correction=0).rough()
    yield sample(m(1)).rough()
    yield sample(m(0)).rough()
    if m.dtype in ("float32", "float64"):
        # The naive formula loses every digit here.
        yield sample(m.array(m(10) + 3000.0)).rough()


def _unbiased_samples(m: Maker) -> Iterator[Sample]:
    """The older spelling of the correction."""
    yield sample(m(3, 4), False)
    yield sample(m(3, 4), True)
    yield sample(m(3, 4), unbiased=False)
    yield sample(m(3, 4), 0, False)
    yield sample(m(3, 4), dim=-1, unbiased=True, keepdim=True)


def _extreme_samples(m: Maker) -> Iterator[Sample]:
    """Extremes of all elements."""
    yield sample(m.distinct(3, 4))
    yield sample(m.distinct(1).reshape(()))
    yield sample(m.distinct(4, 3).T)
    yield sample(m.distinct(131)).rough()
    yield sample(m.array([1, 0, 1, 1])).rough()
    if not m.is_bool:
        yield sample(m.odd()).rough()
    if m.is_float:
        yield sample(m.array([-np.inf, -np.inf])).rough()
    if m.dtype in ("int64", "uint64"):
        yield sample(np.array([2**53, 2**53 + 1, 2**53 - 1], dtype=m.carrier))


def _extreme_dim_samples(m: Maker) -> Iterator[Sample]:
    yield from _one_dim(m, m.distinct)
    yield sample(m.distinct(33, 5), 0).rough()
    if m.is_float:
        yield sample(m.array([[1.0, np.nan, 3.0, np.nan], [2.0, 1.0, -np.inf, np.inf]]), 1).rough()


def _amax_samples(m: Maker) -> Iterator[Sample]:
    yield from _extreme_samples(m)
    yield from _extreme_dim_samples(m)
    yield from _some_dims(m, m.distinct)


def _argmax_samples(m: Maker) -> Iterator[Sample]:
    yield from _extreme_samples(m)
    yield from _extreme_dim_samples(m)
    yield sample(m.distinct(2, 3), dim=None, keepdim=True)


def _any_samples(m: Maker) -> Iterator[Sample]:
    yield from _whole(m, m)
    yield from _one_dim(m, m)
    yield from _some_dims(m, m)
    yield sample(m(0))
    yield sample(m.array([[0, 1, 1], [0, 0, 0], [1, 1, 1]]), 1)
    yield sample(m.array([0] * 70 + [1]))
    yield sample(m.array([1] * 70 + [0]))
    if m.is_float:
        yield sample(m.array([0.0, np.nan]))


def _logsumexp_samples(m: Maker) -> Iterator[Sample]:
    yield from _one_dim(m, m)
    yield from _some_dims(m, m)
    if m.is_float:
        yield sample(m.array([1000.0, 1000.0, 999.0]), 0).rough()
        yield sample(m.array([[-np.inf, -np.inf], [np.inf, 1.0], [np.nan, 1.0]]), 1).rough()
        yield sample(m(0), 0).rough()


def _cumsum_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4), 0)
    yield sample(m(3, 4), -1)
    yield sample(m(4, 3).T, dim=1)
    yield sample(m(2, 3, 2), 1)
    yield sample(m(), 0)
    yield sample(m(0, 3), 0)
    yield sample(m(67), 0).rough()
    yield sample(m(3), 0, dtype=DType("complex128" if m.is_complex else "float64")).gives(
        "complex128" if m.is_complex else "float64"
    )
    if m.dtype == "int64":
        yield sample(np.array([2**53, 1, 2]), 0)


def _norm_samples(m: Maker) -> Iterator[Sample]:
    make = m.nonzero
    yield sample(make(3, 4))
    yield sample(make())
    yield sample(make(3, 4), dim=0)
    yield sample(make(4, 3).T, 2, 1)
    yield sample(make(3, 4), p=2, dim=-1, keepdim=True)
    yield sample(make(2, 3, 4), 2, (0, 2))
    yield sample(make(3, 4), 3, 1)
    yield sample(make(3, 4), 1, 0)
    yield sample(make(3, 4), 0, 1).rough()
    yield sample(make(3, 4), "fro")
    yield sample(m.distinct(3, 4), float("inf"), 1).rough()
    yield sample(m.distinct(3, 4), float("-inf")).rough()
    yield sample(make(0))
    yield sample(make(67)).rough()
    yield sample(make(3, 4), 2, 1, dtype=DType("complex128" if m.is_complex else "float64")).gives("float64")


def _axis(x: Array, dim: Any) -> Any:
    """A 0-d tensor is taken as one of one dimension."""
    return None if x.ndim == 0 else dims(dim)


def _keep(x: Array, dim: Any, keepdim: bool) -> bool:
    return keepdim and x.ndim > 0


def _reduce(function: Callable[..., Any]) -> Callable[..., Any]:
    """NumPy's reduction with PyTorch's names of the arguments."""

    def reference(x: Array, dim: Any = None, keepdim: bool = False) -> Any:
        return function(x, axis=_axis(x, dim), keepdims=_keep(x, dim, keepdim))

    return reference


def _spread(function: Callable[..., Any]) -> Callable[..., Any]:
    def reference(x: Array, dim: Any = None, correction: int = 1, keepdim: bool = False) -> Any:
        return function(x, axis=_axis(x, dim), ddof=correction, keepdims=_keep(x, dim, keepdim))

    return reference


def _unbiased(function: Callable[..., Any]) -> Callable[..., Any]:
    def reference(x: Array, dim: Any = None, unbiased: bool = True, keepdim: bool = False) -> Any:
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        return function(x, axis=dim, ddof=int(unbiased), keepdims=keepdim)

    return reference


def _with_position(value: Callable[..., Any], position: Callable[..., Any]) -> Callable[..., Any]:
    def reference(x: Array, dim: int, keepdim: bool = False) -> Any:
        keep = _keep(x, dim, keepdim)
        at = position(x, axis=_axis(x, dim), keepdims=keep)
        return value(x, axis=_axis(x, dim), keepdims=keep), at

    return reference


def _logsumexp(x: Array, dim: Any, keepdim: bool = False) -> Any:
    axis, keep = _axis(x, dim), _keep(x, dim, keepdim)
    if np.iscomplexobj(x):
        return np.log(np.sum(np.exp(x), axis=axis, keepdims=keep))
    add: Any = np.logaddexp
    return add.reduce(x, axis=axis, keepdims=keep)


def _cumsum(x: Array, dim: int) -> Any:
    return x if x.ndim == 0 else np.cumsum(x, axis=dim)


def _norm(x: Array, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Any:
    axis, size = _axis(x, dim), np.abs(x)
    if p == "fro":
        p = 2
    if p == 0:
        return np.sum(size != 0, axis=axis, keepdims=keepdim).astype(float)
    if np.isinf(p):
        return (np.max if p > 0 else np.min)(size, axis=axis, keepdims=keepdim)
    return np.sum(size**p, axis=axis, keepdims=keepdim) ** (1 / p)


def _truth(dtype: str) -> str:
    """PyTorch's exception: `any` and `all` of bytes are bytes."""
    return "uint8" if dtype == "uint8" else "bool"


def _extreme(name: str, value: Callable[..., Any], position: Callable[..., Any]) -> list[OpInfo]:
    more: dict[str, Any] = {"refused": COMPLEX, "beyond": UNSIGNED}
    real = BOOL + INT + FLOAT
    return [
        OpInfo(name, _extreme_samples, _reduce(value), real, ("float64",), out=True, **more),
        OpInfo(
            name,
            _extreme_dim_samples,
            _with_position(value, position),
            real,
            ("float64",),
            ("same", "int64"),
            tag="dim",
            **more,
        ),
        OpInfo(
            name,
            pick_samples,
            np.maximum if name == "max" else np.minimum,
            real,
            ("float64",),
            out=True,
            tag="other",
            **more,
        ),
        OpInfo(f"a{name}", _amax_samples, _reduce(value), real, ("float64",), out=True, **more),
        OpInfo(
            f"arg{name}",
            _argmax_samples,
            _reduce(position),
            INT + FLOAT,
            result="int64",
            out=True,
            no_grad="gives positions",
            **more,
        ),
    ]


OPS = [
    OpInfo("sum", _sum_samples, _reduce(np.sum), ALL, BOTH, "sum", out=True, tolerance=LOOSE),
    OpInfo("mean", _mean_samples, _reduce(np.mean), FLOATING, BOTH, out=True, tolerance=LOOSE, refused=BOOL + INT),
    OpInfo(
        "mean",
        _mean_of_integers,
        _reduce(np.mean),
        BOOL + INT + UNSIGNED,
        tag="integers",
        tolerance=LOOSE,
        no_grad="integers have no derivatives",
    ),
    OpInfo("prod", _prod_samples, _reduce(np.prod), ALL, BOTH, "sum", tolerance=LOOSE),
    OpInfo("var", _unbiased_samples, _unbiased(np.var), FLOATING, BOTH, "real", tolerance=LOOSE, tag="unbiased"),
    OpInfo("var", _var_samples, _spread(np.var), FLOATING, BOTH, "real", out=True, tolerance=LOOSE, refused=BOOL + INT),
    OpInfo("std", _unbiased_samples, _unbiased(np.std), FLOATING, BOTH, "real", tolerance=LOOSE, tag="unbiased"),
    OpInfo("std", _var_samples, _spread(np.std), FLOATING, BOTH, "real", out=True, tolerance=LOOSE, refused=BOOL + INT),
    *_extreme("max", np.max, np.argmax),
    *_extreme("min", np.min, np.argmin),
    OpInfo("any", _any_samples, _reduce(np.any), ALL, result=_truth, out=True, no_grad="gives truth values"),
    OpInfo("all", _any_samples, _reduce(np.all), ALL, result=_truth, out=True, no_grad="gives truth values"),
    OpInfo("logsumexp", _logsumexp_samples, _logsumexp, ALL, BOTH, "float", out=True, tolerance=LOOSE),
    OpInfo("cumsum", _cumsum_samples, _cumsum, ALL, BOTH, "sum", in_place=True, out=True, tolerance=LOOSE),
    OpInfo("norm", _norm_samples, _norm, FLOATING, BOTH, "real", tolerance=LOOSE, refused=BOOL + INT),
]
