"""Sums, means, extremes, and what goes along a dimension: cumulative sums, sorting, softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .registry import Build, Peer, Step, both_ways, workload

FAMILY = "reductions"


def of_million(function: Callable[[Peer, Any], object], *shape: int) -> Build:
    def build(p: Peer) -> Step:
        x = p.normal(*shape or (1000, 1000))
        return lambda: function(p, x)

    return build


def softmax(p: Peer, x: Any) -> object:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


workload("sum 1M", FAMILY, of_million(lambda p, x: x.sum()), numpy=True)
workload("sum 10M", FAMILY, of_million(lambda p, x: x.sum(), 10, 1000, 1000), numpy=True)
workload("sum over rows 1M", FAMILY, of_million(lambda p, x: x.sum(0)), numpy=True)
workload("sum over columns 1M", FAMILY, of_million(lambda p, x: x.sum(1)), numpy=True)
workload("sum of a transposed 1M", FAMILY, of_million(lambda p, x: x.T.sum(1)), numpy=True)
workload("mean over columns 1M", FAMILY, of_million(lambda p, x: x.mean(1)), numpy=True)
workload(
    "var over columns 1M", FAMILY, of_million(lambda p, x: x.var(1)), numpy=of_million(lambda p, x: x.var(1, ddof=1))
)
workload("std 1M", FAMILY, of_million(lambda p, x: x.std()), numpy=of_million(lambda p, x: x.std(ddof=1)))
workload("max 1M", FAMILY, of_million(lambda p, x: x.max()), numpy=True)
workload("max over columns, with places 1M", FAMILY, of_million(lambda p, x: x.max(1)))
workload("amax over rows 1M", FAMILY, of_million(lambda p, x: x.amax(0)), numpy=of_million(lambda p, x: x.max(0)))
workload("argmax over columns 1M", FAMILY, of_million(lambda p, x: x.argmax(-1)), numpy=True)
workload("norm 1M", FAMILY, of_million(lambda p, x: x.norm()), numpy=of_million(lambda p, x: np.linalg.norm(x)))
workload("any 1M", FAMILY, of_million(lambda p, x: (x > 9).any()), numpy=True)
workload("prod over columns 1M", FAMILY, of_million(lambda p, x: x.prod(1)), numpy=True)
workload("logsumexp 1M", FAMILY, of_million(lambda p, x: x.logsumexp(-1)))
workload("cumsum over columns 1M", FAMILY, of_million(lambda p, x: x.cumsum(1)), numpy=True)
workload("cumsum over rows 1M", FAMILY, of_million(lambda p, x: x.cumsum(0)), numpy=True)
workload(
    "sort rows of 1000, with places 1M",
    FAMILY,
    of_million(lambda p, x: x.sort(-1)),
    numpy=of_million(lambda p, x: np.take_along_axis(x, x.argsort(-1), -1)),
)
workload("topk 10 of 1000 1M", FAMILY, of_million(lambda p, x: x.topk(10, -1)))
workload("median of rows 1M", FAMILY, of_million(lambda p, x: x.median(-1)))
workload("softmax 1000x1000", "softmax", of_million(lambda p, x: p.m.softmax(x, -1)), numpy=of_million(softmax))
workload("log_softmax 1000x1000", "softmax", of_million(lambda p, x: p.m.log_softmax(x, -1)))
workload("softmax over rows 1000x1000", "softmax", of_million(lambda p, x: p.m.softmax(x, 0)))
workload(
    "softmax both ways 1000x1000",
    "softmax",
    lambda p: both_ways(lambda x: p.m.softmax(x, -1), p.normal(1000, 1000, grad=True)),
)
