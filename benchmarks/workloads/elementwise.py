"""Each element for itself: arithmetic, functions, comparisons, broadcasting, other dtypes, in place, backwards."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .registry import Build, Peer, Step, both_ways, workload

FAMILY = "elementwise"


def unary(function: Callable[[Peer, Any], object], *, positive: bool = False) -> Build:
    def build(p: Peer) -> Step:
        x = p.positive(1000, 1000) if positive else p.normal(1000, 1000)
        return lambda: function(p, x)

    return build


def binary(function: Callable[[Any, Any], object], *shape: int, turned: bool = False) -> Build:
    def build(p: Peer) -> Step:
        x, y = p.normal(*shape), p.normal(*shape)
        return lambda: function(x, y.T if turned else y)

    return build


def gradient(function: Callable[[Peer, Any], Any]) -> Build:
    return lambda p: both_ways(lambda x: function(p, x), p.normal(1000, 1000, grad=True))


def bfloat16(function: Callable[[Any, Any], object]) -> Build:
    def build(p: Peer) -> Step:
        x, y = p.normal(1000, 1000).to(p.m.bfloat16), p.normal(1000, 1000).to(p.m.bfloat16)
        return lambda: function(x, y)

    return build


def cast(p: Peer, dtype: str) -> Step:
    x = p.normal(1000, 1000)
    return (lambda: x.astype(dtype)) if p.is_numpy else (lambda: x.to(getattr(p.m, dtype)))


for name in ("add", "sub", "mul", "truediv"):
    workload(f"{name.removeprefix('true')} 1M", FAMILY, binary(getattr(operator, name), 1000, 1000), numpy=True)
workload("add 10M", FAMILY, binary(operator.add, 10, 1000, 1000), numpy=True)
workload("add 10k", FAMILY, binary(operator.add, 100, 100), numpy=True)
workload("add a scalar 1M", FAMILY, unary(lambda p, x: x + 2.0), numpy=True)
workload("add, one row to all 1M", FAMILY, binary(lambda x, y: x + y[0], 1000, 1000), numpy=True)
workload("add, one column to all 1M", FAMILY, binary(lambda x, y: x + y[:, :1], 1000, 1000), numpy=True)
workload("add a transposed 1M", FAMILY, binary(operator.add, 1000, 1000, turned=True), numpy=True)
workload("add in place 1M", FAMILY, binary(operator.iadd, 1000, 1000), numpy=True)
workload("add bfloat16 1M", FAMILY, bfloat16(operator.add))
workload("compare 1M", FAMILY, binary(operator.gt, 1000, 1000), numpy=True)
workload("where 1M", FAMILY, unary(lambda p, x: p.m.where(x > 0, x, 0.0)), numpy=True)
workload("maximum 1M", FAMILY, lambda p: binary(p.m.maximum, 1000, 1000)(p), numpy=True)
workload("clamp 1M", FAMILY, unary(lambda p, x: x.clamp(-1, 1)), numpy=unary(lambda p, x: x.clip(-1, 1)))
for name in ("abs", "exp", "expm1", "tanh", "sin", "cos"):
    workload(f"{name} 1M", FAMILY, unary(lambda p, x, name=name: getattr(p.m, name)(x)), numpy=True)  # type: ignore[misc]
for name in ("sqrt", "log", "log1p"):
    workload(f"{name} 1M", FAMILY, unary(lambda p, x, name=name: getattr(p.m, name)(x), positive=True), numpy=True)  # type: ignore[misc]
workload("pow 2 1M", FAMILY, unary(lambda p, x: x**2), numpy=True)
workload("pow 1.7 1M", FAMILY, unary(lambda p, x: x**1.7, positive=True), numpy=True)
workload("erf 1M", FAMILY, unary(lambda p, x: p.m.erf(x)))
workload("relu 1M", FAMILY, unary(lambda p, x: p.m.relu(x)), numpy=unary(lambda p, x: np.maximum(x, 0)))
workload("sigmoid 1M", FAMILY, unary(lambda p, x: p.m.sigmoid(x)), numpy=unary(lambda p, x: 1 / (1 + np.exp(-x))))
workload("gelu 1M", FAMILY, unary(lambda p, x: p.F.gelu(x)))
workload("gelu by tanh 1M", FAMILY, unary(lambda p, x: p.F.gelu(x, approximate="tanh")))
workload("logsigmoid 1M", FAMILY, unary(lambda p, x: p.F.logsigmoid(x)))
workload("silu 1M", FAMILY, unary(lambda p, x: p.F.silu(x)))
workload("exp bfloat16 1M", FAMILY, bfloat16(lambda x, y: x.exp()))
for dtype in ("float64", "int64", "float16"):
    workload(f"cast to {dtype} 1M", FAMILY, lambda p, dtype=dtype: cast(p, dtype), numpy=True)  # type: ignore[misc]
workload("cast to bfloat16 1M", FAMILY, lambda p: cast(p, "bfloat16"))
workload("mul both ways 1M", "elementwise, both ways", gradient(lambda p, x: x * x))
workload("tanh both ways 1M", "elementwise, both ways", gradient(lambda p, x: x.tanh()))
workload("gelu both ways 1M", "elementwise, both ways", gradient(lambda p, x: p.F.gelu(x)))
workload("relu both ways 1M", "elementwise, both ways", gradient(lambda p, x: x.relu()))
