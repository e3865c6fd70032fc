"""Reading and writing by index, masks, and embeddings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .registry import Build, Peer, Step, both_ways, workload

FAMILY = "indexing"


def table(function: Callable[[Peer, Any, Any], object]) -> Build:
    """Of a table of 50,000 rows and 4,096 row numbers."""

    def build(p: Peer) -> Step:
        x, rows = p.normal(50_000, 64), p.integers(50_000, 4096)
        return lambda: function(p, x, rows)

    return build


def gather(p: Peer) -> Step:
    x, places = p.normal(1000, 1000), p.integers(1000, 1000, 1000)
    return (lambda: np.take_along_axis(x, places, 1)) if p.is_numpy else (lambda: x.gather(1, places))


def scatter_add(p: Peer) -> Step:
    x, places, into = p.normal(1000, 1000), p.integers(1000, 1000, 1000), p.normal(1000, 1000)
    return lambda: into.scatter_add(1, places, x)


def embedding(p: Peer) -> Step:
    net, words = p.nn.Embedding(20_000, 128), p.integers(20_000, 32, 128)
    return both_ways(lambda w: p.F.embedding(words, w), net.weight)


def index_add(p: Peer) -> Step:
    into, rows, x = p.normal(1000, 64), p.integers(1000, 4096), p.normal(4096, 64)
    return lambda: into.index_add(0, rows, x)


def mask(p: Peer) -> Step:
    x = p.normal(1000, 1000)
    chosen = x > 0
    return lambda: x[chosen]


def masked_fill(p: Peer) -> Step:
    x = p.normal(1000, 1000)
    chosen = x > 0
    return (lambda: np.where(chosen, np.float32(0), x)) if p.is_numpy else (lambda: x.masked_fill(chosen, 0.0))


def nonzero(p: Peer) -> Step:
    x = p.normal(1000, 1000) > 1
    return x.nonzero  # type: ignore[no-any-return]


workload("x[rows] 4096x64", FAMILY, table(lambda p, x, rows: x[rows]), numpy=True)
workload("index_select 4096x64", FAMILY, table(lambda p, x, rows: p.m.index_select(x, 0, rows)))
workload("gather 1M", FAMILY, gather, numpy=True)
workload("scatter_add 1M", FAMILY, scatter_add)
workload("index_add 4096x64", FAMILY, index_add)
workload("x[mask] 1M", FAMILY, mask, numpy=True)
workload("masked_fill 1M", FAMILY, masked_fill, numpy=True)
workload("nonzero 1M", FAMILY, nonzero, numpy=True)
workload("embedding 32x128 both ways", FAMILY, embedding)
