"""The project's one table of test data: a row for every operation, in one file a family.

A test module walks `OPS`; a new operation is a row here, and every driver (forward, gradients, in place, layouts,
fuzz …) then runs it. `TF_MODULE=torch pytest tests/test_forward.py` checks the table against PyTorch.
"""

from __future__ import annotations

from . import (
    attention,
    binary,
    compare,
    conv,
    creation,
    indexing,
    joining,
    loss,
    matmul,
    nn,
    pooling,
    random,
    reduce,
    sort,
    unary,
    views,
)
from .spec import OpInfo, Sample

__all__ = ["OPS", "OpInfo", "Sample"]

_FAMILIES = (
    unary,
    binary,
    compare,
    reduce,
    sort,
    matmul,
    views,
    joining,
    indexing,
    creation,
    random,
    nn,
    attention,
    conv,
    pooling,
    loss,
)

OPS: list[OpInfo] = [op for family in _FAMILIES for op in family.OPS]
