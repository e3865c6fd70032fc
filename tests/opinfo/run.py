"""Makes the calls of the table and compares what comes out.

`TF_MODULE=torch` runs the same table against PyTorch: so the table itself can be checked, not only what it tests.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .spec import ALL, FLOAT, Array, Const, DType, Maker, OpInfo, Raw, Sample, carrier, round_to

tf: Any = importlib.import_module(os.environ.get("TF_MODULE", "tenflowers"))
IS_TORCH: bool = tf.__name__ == "torch"


def tensor(array: Array, dtype: str | None = None) -> Any:
    """A tensor with a copy of `array`; float32 arrays become bfloat16 where the samples are of that dtype."""
    made = tf.from_numpy(np.array(array, order="K", copy=True))
    return made.to(tf.bfloat16) if dtype == "bfloat16" and array.dtype == np.float32 else made


def array(value: Any) -> Array:
    """The elements of a tensor as an array of its dtype's carrier."""
    value = value.detach()
    if value.dtype == tf.bfloat16:
        value = value.to(tf.float32)
    # PyTorch's own notes on a tensor (conjugate, known to be zero) have to be worked off first.
    return np.array(value.numpy(force=True) if IS_TORCH else value.numpy())


def dtype_name(dtype: Any) -> str:
    return str(dtype).rpartition(".")[2]


Build = Callable[[Array, str], Any]


def to_module(value: Any, dtype: str, build: Build = tensor) -> Any:
    """`value` with arrays as tensors and dtype names as dtypes."""
    if isinstance(value, np.ndarray):
        return build(value, dtype)
    if isinstance(value, Const):
        return tensor(value.array, dtype)
    if isinstance(value, Raw):
        return value.array.copy(order="K")
    if isinstance(value, DType):
        return getattr(tf, value.name)
    if isinstance(value, (list, tuple)):
        return type(value)(to_module(part, dtype, build) for part in value)
    return value


def to_reference(value: Any, integers: bool = False) -> Any:
    """`value` with floating-point arrays in double precision, on request those of integers too."""
    if isinstance(value, (Const, Raw)):
        value = value.array
    if isinstance(value, np.ndarray):
        wide = {"f": np.float64, "c": np.complex128}.get(value.dtype.kind)
        if integers and wide is None:
            wide = np.float64
        return value.astype(wide) if wide else value.copy()
    if isinstance(value, (list, tuple)):
        return type(value)(to_reference(part, integers) for part in value)
    return value


def arguments(sample: Sample, dtype: str, build: Build = tensor) -> tuple[list[Any], dict[str, Any]]:
    """The call's arguments as the module takes them, made afresh."""
    args = [to_module(value, dtype, build) for value in sample.args]
    return args, {name: to_module(value, dtype, build) for name, value in sample.kwargs.items()}


def callers(op: OpInfo, sample: Sample) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every way to make this call."""
    for place in op.places:
        if sample.places is not None and place not in sample.places:
            continue
        if place == "tf":
            yield place, getattr(tf, op.name)
        elif place == "nn":
            yield place, getattr(tf.nn.functional, op.name)
        elif place == "method":
            yield place, lambda x, *args, **kwargs: getattr(x, op.name)(*args, **kwargs)
        elif place == "attribute":
            yield place, lambda x: getattr(x, op.name)
        elif op.operator is not None and not sample.kwargs:
            yield place, op.operator


def caller(op: OpInfo, sample: Sample) -> Callable[..., Any]:
    """The first of the ways to make this call."""
    return next(callers(op, sample))[1]


def results(value: Any) -> list[Any]:
    """One or several results as a list."""
    return list(value) if isinstance(value, (tuple, list)) else [value]


_NOT_FOR_REFERENCE = ("dtype", "generator", "device", "inplace", "requires_grad")


def expected(op: OpInfo, sample: Sample, dtype: str) -> list[Array]:
    """What the reference gives, in the dtypes that must come out."""
    assert op.reference is not None
    integers = op.result == "float"  # computed in floating point, and so in double precision by the reference
    args = [to_reference(value, integers) for value in sample.args]
    kwargs = {k: to_reference(value, integers) for k, value in sample.kwargs.items() if k not in _NOT_FOR_REFERENCE}
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's, of empty means
        found = results(op.reference(*args, **kwargs))
    return [round_to(np.asarray(part), expected_dtype(op, sample, dtype, index)) for index, part in enumerate(found)]


def expected_dtype(op: OpInfo, sample: Sample, dtype: str, index: int = 0) -> str:
    return sample.dtype if sample.dtype is not None and index == 0 else op.result_of(dtype, index)


def assert_same(
    found: Any, want: Array, dtype: str, tolerance: tuple[float, float] = (0.0, 0.0), about: str = ""
) -> None:
    """`found` is a tensor of `dtype` with the shape and the values of `want`."""
    assert isinstance(found, tf.Tensor), f"{about}: a {type(found).__name__}, not a tensor"
    assert dtype_name(found.dtype) == dtype, f"{about}: dtype {found.dtype}, expected {dtype}"
    assert tuple(found.shape) == want.shape, f"{about}: shape {tuple(found.shape)}, expected {want.shape}"
    got = array(found)
    assert got.dtype == carrier(dtype), f"{about}: as an array {got.dtype}, expected {carrier(dtype)}"
    if got.dtype.kind in "fc":
        # In double precision: the difference of two float16 values may not be one.
        wide = np.complex128 if got.dtype.kind == "c" else np.float64
        np.testing.assert_allclose(
            got.astype(wide), want.astype(wide), rtol=tolerance[0], atol=tolerance[1], err_msg=about
        )
    else:
        np.testing.assert_array_equal(got, want, err_msg=about)


def assert_results(op: OpInfo, sample: Sample, dtype: str, found: Any, about: str = "") -> None:
    """What one call gave is what the row says."""
    about = f"{op.id}{sample} {about}"
    got = results(found)
    if op.check is not None:
        for index, part in enumerate(got):
            result = expected_dtype(op, sample, dtype, index)
            assert dtype_name(part.dtype) == result, f"{about}: dtype {part.dtype}, expected {result}"
        op.check(sample, [array(part) for part in got])
        return
    want_all = expected(op, sample, dtype)
    assert len(got) == len(want_all), f"{about}: {len(got)} results, expected {len(want_all)}"
    for index, (part, want) in enumerate(zip(got, want_all, strict=True)):
        result = expected_dtype(op, sample, dtype, index)
        # The precision is that of the coarser of what went in and what came out.
        tolerance = op.tolerance_of(result)
        if result in FLOAT and dtype in FLOAT:
            tolerance = max(tolerance, op.tolerance_of(dtype))
        assert_same(part, want, result, tolerance, about)


def dtypes_of(op: OpInfo) -> Sequence[str]:
    """The dtypes that the module under test takes, in the usual order."""
    chosen = op.dtypes if IS_TORCH else op.dtypes + op.beyond
    return [dtype for dtype in ALL if dtype in chosen]


def samples(op: OpInfo, dtype: str) -> list[Sample]:
    """The row's calls in this dtype."""
    made = op.samples(Maker(dtype, op.id))
    return [sample for sample in made if not (IS_TORCH and sample.beyond)]


def mapped(sample: Sample, function: Callable[[Array], Array]) -> Sample:
    """The same call with other arrays."""

    def each(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return function(value)
        if isinstance(value, Const):
            return Const(function(value.array))
        return type(value)(map(each, value)) if isinstance(value, (list, tuple)) else value

    return replace(sample, args=each(sample.args), kwargs={name: each(value) for name, value in sample.kwargs.items()})


def usual_dtype(op: OpInfo) -> str:
    """The dtype to use where one is enough."""
    return next(dtype for dtype in ("float32", "int64", "bool", *op.dtypes) if dtype in op.dtypes)
