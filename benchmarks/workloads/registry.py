"""The list of workloads, and what they are built from: a module with PyTorch's interface, or NumPy."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

# What is run and timed.
Step = Callable[[], object]


class Peer:
    """A module under measurement, with data that are the same in all of them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.m: Any = importlib.import_module(name)
        self.is_numpy = name == "numpy"
        self.rng = np.random.default_rng(0)
        if not self.is_numpy:
            self.nn: Any = importlib.import_module(f"{name}.nn")
            self.F: Any = importlib.import_module(f"{name}.nn.functional")

    def tensor(self, array: Any) -> Any:
        return array if self.is_numpy else self.m.from_numpy(array)

    def normal(self, *shape: int, grad: bool = False) -> Any:
        made = self.tensor(self.rng.standard_normal(shape, dtype=np.float32))
        return made.requires_grad_(True) if grad else made

    def positive(self, *shape: int) -> Any:
        return self.tensor(self.rng.random(shape, dtype=np.float32) + np.float32(0.1))

    def integers(self, below: int, *shape: int) -> Any:
        return self.tensor(self.rng.integers(0, below, shape))


Build = Callable[[Peer], Step]


@dataclass(frozen=True)
class Workload:
    name: str
    family: str
    build: Build
    # The same in NumPy; none where NumPy has nothing of the kind.
    numpy: Build | None
    # Floating-point operations of a step, where they are what limits it.
    flops: float


WORKLOADS: dict[str, Workload] = {}


def workload(name: str, family: str, build: Build, *, numpy: Build | bool = False, flops: float = 0) -> None:
    """Adds a workload. `numpy=True` says that `build` serves NumPy as it is."""
    if name in WORKLOADS:
        raise ValueError(f"two workloads are named {name!r}")
    twin = (build if numpy else None) if isinstance(numpy, bool) else numpy
    WORKLOADS[name] = Workload(name, family, build, twin, flops)


def forward(step: Callable[..., object], *inputs: Any, p: Peer) -> Step:
    """Runs `step` without recording, where recording exists."""

    def run() -> object:
        with p.m.no_grad():
            return step(*inputs)

    return run


def both_ways(step: Callable[..., Any], *inputs: Any, parameters: Any = ()) -> Step:
    """Runs `step` and the way back to all inputs and parameters that ask for a gradient."""
    leaves = [x for x in (*inputs, *parameters) if x.requires_grad]

    def run() -> object:
        for leaf in leaves:
            leaf.grad = None
        result = step(*inputs)
        result.sum().backward()
        return result

    return run
