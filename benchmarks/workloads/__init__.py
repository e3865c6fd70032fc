"""What is measured, by family. Importing this package fills the list, in this order."""

from __future__ import annotations

import importlib

from .registry import WORKLOADS, Peer, Step, Workload

__all__ = ["WORKLOADS", "Peer", "Step", "Workload"]

for _subject in (
    "elementwise",
    "reduce",
    "gemm",
    "conv",
    "norms",
    "attention",
    "recurrent",
    "losses",
    "optimizers",
    "indexing",
    "movement",
    "creation",
    "training",
    "inference",
    "overhead",
    "imports",
):
    importlib.import_module(f".{_subject}", __name__)
