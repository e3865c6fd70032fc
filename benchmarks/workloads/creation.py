"""New tensors, random numbers, and the way from and to NumPy."""

from __future__ import annotations

import numpy as np

from .registry import Peer, Step, workload

SIZE = (1000, 1000)


def numpy_in(p: Peer) -> Step:
    array = np.ones(SIZE, np.float32)
    return lambda: p.tensor(array)


def numpy_in_copied(p: Peer) -> Step:
    array = np.ones(SIZE, np.float32)
    return array.copy if p.is_numpy else (lambda: p.m.tensor(array))


def numpy_out(p: Peer) -> Step:
    x = p.m.ones(SIZE)
    return x.numpy  # type: ignore[no-any-return]


def numpy_out_copied(p: Peer) -> Step:
    x = p.tensor(np.ones(SIZE, np.float32))
    return x.copy if p.is_numpy else (lambda: x.numpy().copy())


def from_list(p: Peer) -> Step:
    values = [float(i) for i in range(10_000)]
    return (lambda: np.array(values, np.float32)) if p.is_numpy else (lambda: p.m.tensor(values))


def to_list(p: Peer) -> Step:
    x = p.normal(10_000)
    return x.tolist  # type: ignore[no-any-return]


def dropout(p: Peer) -> Step:
    x = p.normal(*SIZE)
    return lambda: p.F.dropout(x, 0.1, training=True)


F32 = np.float32
workload("zeros 1000x1000", "creation", lambda p: lambda: p.m.zeros(SIZE), numpy=lambda p: lambda: np.zeros(SIZE, F32))
workload("ones 1000x1000", "creation", lambda p: lambda: p.m.ones(SIZE), numpy=lambda p: lambda: np.ones(SIZE, F32))
workload(
    "full 1000x1000", "creation", lambda p: lambda: p.m.full(SIZE, 2.5), numpy=lambda p: lambda: np.full(SIZE, 2.5, F32)
)
workload("zeros, then add_ 1M", "creation", lambda p: lambda: p.m.zeros(SIZE).add_(1))
workload("arange 1M", "creation", lambda p: lambda: p.m.arange(1_000_000), numpy=True)
workload("linspace 1M", "creation", lambda p: lambda: p.m.linspace(0, 1, 1_000_000))
workload("eye 1000", "creation", lambda p: lambda: p.m.eye(1000), numpy=lambda p: lambda: np.eye(1000, dtype=F32))
workload(
    "rand 1000x1000", "random", lambda p: lambda: p.m.rand(SIZE), numpy=lambda p: lambda: p.rng.random(SIZE, dtype=F32)
)
workload(
    "randn 1000x1000",
    "random",
    lambda p: lambda: p.m.randn(SIZE),
    numpy=lambda p: lambda: p.rng.standard_normal(SIZE, dtype=F32),
)
workload(
    "randint 1M",
    "random",
    lambda p: lambda: p.m.randint(0, 1000, (1_000_000,)),
    numpy=lambda p: lambda: p.rng.integers(0, 1000, 1_000_000),
)
workload(
    "randperm 100k",
    "random",
    lambda p: lambda: p.m.randperm(100_000),
    numpy=lambda p: lambda: p.rng.permutation(100_000),
)
workload("dropout 1M", "random", dropout)
workload("from_numpy 1000x1000", "NumPy in and out", numpy_in)
workload("tensor(array) 1000x1000", "NumPy in and out", numpy_in_copied, numpy=True)
workload("numpy() 1000x1000", "NumPy in and out", numpy_out)
workload("numpy().copy() 1000x1000", "NumPy in and out", numpy_out_copied, numpy=True)
workload("tensor(list) 10k", "NumPy in and out", from_list, numpy=True)
workload("tolist 10k", "NumPy in and out", to_list, numpy=True)
