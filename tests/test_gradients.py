"""First and second derivatives of every operation, against finite differences in double precision."""

from __future__ import annotations

import numpy as np
import pytest
from opinfo import OPS, OpInfo, Sample
from opinfo.differences import check_first, check_second, differentiable, gradients, leaves, weights_like
from opinfo.run import array, dtype_name, mapped, samples, tensor
from opinfo.spec import Array, round_to

CASES = [pytest.param(op, dtype, id=f"{op.id}-{dtype}") for op in OPS for dtype in op.grad_dtypes]
SECOND = [pytest.param(op, dtype, id=f"{op.id}-{dtype}") for op in OPS for dtype in op.grad_dtypes if op.second]
# In single and half precision the derivative is compared with the one in double.
COARSE = {"float32": 2e-4, "complex64": 2e-4, "float16": 6e-2, "bfloat16": 3e-1}
OTHERS = [
    pytest.param(op, dtype, id=f"{op.id}-{dtype}")
    for op in OPS
    for dtype in COARSE
    if dtype in op.dtypes and ("complex128" if dtype == "complex64" else "float64") in op.grad_dtypes
]

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*degrees of freedom is <= 0"),
    pytest.mark.filterwarnings("ignore:.*discards the imaginary part"),
]


def chosen(op: OpInfo, dtype: str) -> list[Sample]:
    """The calls to differentiate: of complex ones, which take twice as long and have little of their own, the first."""
    smooth = [sample for sample in samples(op, dtype) if sample.smooth]
    return smooth[:4] if dtype == "complex128" else smooth


@pytest.mark.parametrize(("op", "dtype"), CASES)
def test_first(op: OpInfo, dtype: str) -> None:
    checked = [check_first(op, sample, dtype) for sample in chosen(op, dtype)]
    assert any(checked), "a row with a gradient has a sample to check it with"


@pytest.mark.parametrize(("op", "dtype"), SECOND)
def test_second(op: OpInfo, dtype: str) -> None:
    for sample in chosen(op, dtype):
        check_second(op, sample, dtype)


@pytest.mark.parametrize(("op", "dtype"), OTHERS)
def test_other_precisions(op: OpInfo, dtype: str) -> None:
    """The gradient in a narrower dtype is the one in double precision, rounded."""
    wide = "complex128" if dtype == "complex64" else "float64"
    for sample in samples(op, dtype):
        if not sample.smooth or sample.dtype is not None:
            continue
        function, values = differentiable(op, sample, dtype)
        inputs = leaves(values, dtype)
        found = function(inputs)
        by = weights_like(found, np.random.default_rng(8))
        by = [round_to(weight, dtype_name(part.dtype)) for weight, part in zip(by, found, strict=True)]
        got = gradients(found, inputs, [tensor(w, dtype_name(part.dtype)) for part, w in zip(found, by, strict=True)])

        function, values = differentiable(op, mapped(sample, widened), wide)
        references = leaves(values)
        exact = function(references)
        want = gradients(exact, references, [tensor(widened(weight)) for weight in by])
        for x, g, w in zip(inputs, got, want, strict=True):
            assert g.dtype == x.dtype, f"{op.id}{sample}"
            scale = max(float(np.abs(array(w)).max()), 1.0) if w.numel() else 1.0
            np.testing.assert_allclose(
                array(g), array(w), rtol=COARSE[dtype], atol=COARSE[dtype] * scale, err_msg=f"{op.id}{sample}"
            )


def widened(array: Array) -> Array:
    """In double precision, if it is a floating-point array at all."""
    return array.astype({"f": np.float64, "c": np.complex128}.get(array.dtype.kind, array.dtype))
