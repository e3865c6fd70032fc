"""Operations on each element of one tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import special

from .spec import ALL, BOOL, COMPLEX, FLOAT, HALF, INT, REAL, UNSIGNED, Array, Maker, OpInfo, Sample, sample


def _samples(low: float = -2.0, high: float = 2.0, *, exact: bool = False) -> Callable[[Maker], Iterator[Sample]]:
    """Inputs in [low, high). Where the result is `exact`, the ends of the integers' range are inputs too."""

    def samples(m: Maker) -> Iterator[Sample]:
        yield sample(m(3, 4, low=low, high=high))
        yield sample(m(low=low, high=high))
        yield sample(m(0, 3, low=low, high=high))
        yield sample(m(4, 3, low=low, high=high).T)
        yield sample(m(2, 1, 3, low=low, high=high))
        yield sample(m(67, low=low, high=high)).rough()
        if m.is_float or (exact and not m.is_complex):
            yield sample(m.odd()).rough()

    return samples


def _sign_samples(m: Maker) -> Iterator[Sample]:
    """For functions with a kink at zero."""
    yield sample(m.nonzero(3, 4))
    yield sample(m.nonzero())
    yield sample(m.nonzero(0, 2))
    yield sample(m.nonzero(4, 3).T)
    yield sample(m.nonzero(67)).rough()
    if not m.is_complex:
        yield sample(m.odd()).rough()


def _reciprocal_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m.nonzero(3, 4))
    yield sample(m.nonzero())
    yield sample(m.nonzero(0, 2))
    yield sample(m.nonzero(4, 3).T)
    yield sample(m.nonzero(67)).rough()
    if m.is_float:
        yield sample(m.odd()).rough()


def _round_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m.array([-1.7, -0.3, 0.2, 0.9, 1.4, 2.6]))
    yield from _samples(exact=True)(m)


def _decimals_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m.array([-1.26, 0.31, 12.34]), decimals=1)
    yield sample(m.array([-126.0, 31.0, 1234.0]), decimals=-2).rough()
    yield sample(m.array(1.234), decimals=0).rough()


def _truth_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4))
    yield sample(m())
    yield sample(m(0, 3))
    yield sample(m(4, 3).T)
    yield sample(m(67))
    yield sample(m.odd())


def _odd_complex(m: Maker) -> Iterator[Sample]:
    yield from _samples(exact=True)(m)
    if m.is_complex:
        parts = [np.nan, np.inf, -np.inf, 0.0, -1.0]
        yield sample(np.array([complex(a, b) for a in parts for b in parts], dtype=m.carrier))


def _sigmoid(x: Array) -> Any:
    return 1 / (1 + np.exp(-x)) if np.iscomplexobj(x) else special.expit(x)


def _sign(x: Array) -> Any:
    return x if x.dtype == bool else np.where(np.isnan(x), 0, np.sign(x))


def _sgn(x: Array) -> Any:
    return x / np.abs(x) if np.iscomplexobj(x) else _sign(x)


def _gelu(x: Array, approximate: str = "none") -> Any:
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + special.erf(x / np.sqrt(2)))


def _gelu_samples(m: Maker) -> Iterator[Sample]:
    for each in _samples()(m):
        # PyTorch gives nan for gelu(-inf) in some vector lengths: not a value to hold anybody to.
        if not np.isinf(each.args[0]).any():
            yield each
    yield sample(m(3, 4), approximate="tanh")
    yield sample(m(67, low=-6, high=6), approximate="tanh").rough()
    yield sample(m(67, low=-6, high=6), approximate="none").rough()


def _silu_samples(m: Maker) -> Iterator[Sample]:
    for each in _samples()(m):
        if not np.isneginf(each.args[0].real).any():
            yield each


def _clamp(x: Array, min: Any = None, max: Any = None) -> Any:
    """`max` wins where the two cross, and nan stays."""
    result = x
    if min is not None:
        result = np.maximum(result, min)
    return np.asarray(result if max is None else np.minimum(result, max))


def _clamp_samples(m: Maker) -> Iterator[Sample]:
    low, high = (1, 5) if m.is_unsigned else (-1, 1)
    yield sample(m(3, 4), low, high)
    yield sample(m(), low, high)
    yield sample(m(0, 3), low, high)
    yield sample(m(4, 3).T, min=low)
    yield sample(m(3, 4), max=high)
    yield sample(m(3, 4), min=high, max=low)
    yield sample(m(67), low, high).rough()
    yield sample(m.odd(), low, high).rough()
    if m.is_float:
        yield sample(m(3, 4), -0.5, 0.75)
        yield sample(m(3), float("-inf"), float("inf"))


def _clamp_tensor_samples(m: Maker) -> Iterator[Sample]:
    x = m.distinct(3, 4)
    gap = m.array(0.1) if m.is_float else m.array(0)
    low, high = m.array(m.distinct(4) / 4 + gap), m.array(m.distinct(3, 1) + 2 + gap)
    yield sample(x, low, high)
    yield sample(x, min=low)
    yield sample(x, max=high)
    yield sample(m.array(2), m.array(1), m.array(5))
    yield sample(m(0, 3), m(3), m(1, 3))


FLOATING = FLOAT + COMPLEX


def _float(
    name: str, reference: Callable[..., Any], low: float = -2.0, high: float = 2.0, *, complex: bool = True, **more: Any
) -> OpInfo:
    """A function of real numbers, and of complex ones; integers give float32."""
    kinds = REAL + (COMPLEX if complex else ())
    grads = ("float64", "complex128") if complex else ("float64",)
    refused = () if complex else COMPLEX
    settings: dict[str, Any] = {"result": "float", "in_place": True, "out": True}
    return OpInfo(name, _samples(low, high), reference, kinds, grads, refused=refused, **(settings | more))


def _predicate(name: str, reference: Callable[[Array], Any]) -> OpInfo:
    return OpInfo(name, _odd_complex, reference, result="bool", no_grad="gives truth values")


OPS = [
    OpInfo(
        "neg",
        _samples(exact=True),
        np.negative,
        INT + FLOATING,
        ("float64", "complex128"),
        in_place=True,
        out=True,
        operator=lambda x: -x,
        places=("tf", "method", "operator"),
        refused=BOOL,
        beyond=UNSIGNED,
    ),
    OpInfo(
        "abs",
        _sign_samples,
        np.abs,
        INT + FLOATING,
        ("float64", "complex128"),
        "real",
        in_place=True,
        out=True,
        operator=abs,
        places=("tf", "method", "operator"),
        beyond=UNSIGNED,
    ),
    OpInfo(
        "sign",
        _sign_samples,
        _sign,
        BOOL + INT + FLOAT,
        ("float64",),
        in_place=True,
        out=True,
        refused=COMPLEX,
        beyond=UNSIGNED,
    ),
    OpInfo(
        "reciprocal",
        _reciprocal_samples,
        lambda x: 1 / x,
        ALL,
        ("float64", "complex128"),
        "float",
        in_place=True,
        out=True,
    ),
    OpInfo(
        "square",
        _samples(exact=False),
        lambda x: x * x,
        BOOL + INT + FLOATING,
        ("float64", "complex128"),
        in_place=True,
        out=True,
        result=lambda d: "int64" if d == "bool" else d,
        beyond=UNSIGNED,
    ),
    _float("sqrt", np.sqrt, 0.1, 4.0),
    _float("rsqrt", lambda x: 1 / np.sqrt(x), 0.1, 4.0),
    _float("exp", np.exp),
    _float("expm1", np.expm1),
    _float("log", np.log, 0.1, 4.0),
    _float("log1p", np.log1p, -0.8, 4.0),
    _float("sin", np.sin),
    _float("cos", np.cos),
    _float("tanh", np.tanh, places=("tf", "method", "nn")),
    _float("sigmoid", _sigmoid, places=("tf", "method", "nn")),
    _float("erf", special.erf, complex=False),
    OpInfo(
        "relu",
        _sign_samples,
        lambda x: np.where(np.isnan(x), x, np.maximum(x, 0)),
        INT + FLOAT,
        ("float64",),
        places=("tf", "method", "nn"),
        in_place=True,
        refused=COMPLEX + BOOL,
        beyond=UNSIGNED,
    ),
    OpInfo(
        "logsigmoid",
        _samples(),
        lambda x: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))),
        FLOAT,
        ("float64",),
        places=("nn",),
        refused=COMPLEX + INT + BOOL,
    ),
    OpInfo("gelu", _gelu_samples, _gelu, FLOAT, ("float64",), places=("nn",), refused=COMPLEX + INT + BOOL),
    OpInfo(
        "silu", _silu_samples, lambda x: x * _sigmoid(x), FLOATING, ("float64",), places=("nn",), refused=INT + BOOL
    ),
    OpInfo(
        "floor",
        _round_samples,
        np.floor,
        INT + UNSIGNED + FLOAT,
        ("float64",),
        in_place=True,
        out=True,
        refused=COMPLEX,
    ),
    OpInfo(
        "ceil", _round_samples, np.ceil, INT + UNSIGNED + FLOAT, ("float64",), in_place=True, out=True, refused=COMPLEX
    ),
    OpInfo(
        "round",
        _round_samples,
        np.round,
        INT + UNSIGNED + FLOAT,
        ("float64",),
        in_place=True,
        out=True,
        refused=COMPLEX,
    ),
    OpInfo(
        "round",
        _decimals_samples,
        np.round,
        FLOAT,
        ("float64",),
        in_place=True,
        out=True,
        tag="decimals",
        tolerance=dict.fromkeys(HALF, (4e-3, 4e-3)),
    ),
    OpInfo(
        "clamp",
        _clamp_samples,
        _clamp,
        INT + FLOAT,
        ("float64",),
        in_place=True,
        out=True,
        refused=COMPLEX,
        beyond=UNSIGNED,
    ),
    OpInfo(
        "clamp",
        _clamp_tensor_samples,
        _clamp,
        INT + FLOAT,
        ("float64",),
        in_place=True,
        out=True,
        refused=COMPLEX,
        beyond=UNSIGNED,
        tag="tensor",
    ),
    OpInfo(
        "trunc",
        _round_samples,
        np.trunc,
        INT + UNSIGNED + FLOAT,
        ("float64",),
        in_place=True,
        out=True,
        refused=COMPLEX,
    ),
    OpInfo(
        "sgn",
        _sign_samples,
        _sgn,
        BOOL + INT + FLOATING,
        ("float64", "complex128"),
        in_place=True,
        out=True,
        beyond=UNSIGNED,
    ),
    OpInfo("conj", _samples(), np.conj, ALL, ("float64", "complex128")),
    OpInfo("conj_physical", _samples(), np.conj, ALL, ("float64", "complex128"), in_place=True, out=True),
    OpInfo("real", _samples(), np.real, ALL, ("float64", "complex128"), "real", places=("tf",)),
    OpInfo("imag", _samples(), np.imag, COMPLEX, ("complex128",), "real", places=("tf",), refused=BOOL + INT + FLOAT),
    OpInfo(
        "logical_not",
        _truth_samples,
        np.logical_not,
        BOOL + INT + FLOATING,
        result="bool",
        in_place=True,
        out=True,
        no_grad="gives truth values",
        beyond=UNSIGNED,
    ),
    OpInfo(
        "bitwise_not",
        _truth_samples,
        np.invert,
        BOOL + INT,
        in_place=True,
        out=True,
        beyond=UNSIGNED,
        no_grad="integers have no derivatives",
        operator=lambda x: ~x,
        places=("tf", "method", "operator"),
        refused=FLOATING,
    ),
    _predicate("isnan", np.isnan),
    _predicate("isinf", np.isinf),
    _predicate("isfinite", np.isfinite),
]
