"""Tensors made from sizes, from data, from other tensors; conversions between dtypes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .spec import ALL, BOOL, COMPLEX, FLOAT, INT, REAL, UNSIGNED, Array, DType, Maker, OpInfo, Raw, Sample, sample

BOTH = ("float64", "complex128")
USUAL = BOOL + INT + FLOAT + COMPLEX


def _sizes(size: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else size


def _size_samples(m: Maker) -> Iterator[Sample]:
    dtype = DType(m.dtype)
    yield sample(2, 3, dtype=dtype)
    yield sample((2, 3), dtype=dtype)
    yield sample([4], dtype=dtype)
    yield sample((), dtype=dtype)
    yield sample(0, 3, dtype=dtype)
    yield sample(size=(2, 1, 2), dtype=dtype)
    yield sample(33, 3, dtype=dtype)
    if m.dtype == "float32":
        yield sample(2, 3)
        yield sample((3,), requires_grad=True)
        yield sample(2, device="cpu")


def _full_samples(m: Maker) -> Iterator[Sample]:
    dtype = DType(m.dtype)
    value: Any = True if m.is_bool else 3 if m.is_int else 1.5 - 2j if m.is_complex else 1.5
    yield sample((2, 3), value, dtype=dtype)
    yield sample((), value, dtype=dtype)
    yield sample([0, 2], value, dtype=dtype)
    yield sample(size=(33,), fill_value=value, dtype=dtype)
    if m.dtype == "int64":
        yield sample((2,), 2**53 + 1)
        yield sample((2,), -(2**63))
    if m.dtype == "uint64":
        yield sample((2,), 2**63 - 1, dtype=dtype)
    if m.dtype in ("bool", "int64", "float32", "complex64"):
        yield sample((2,), value)


def _eye_samples(m: Maker) -> Iterator[Sample]:
    dtype = DType(m.dtype)
    yield sample(3, dtype=dtype)
    yield sample(2, 4, dtype=dtype)
    yield sample(4, 2, dtype=dtype)
    yield sample(0, dtype=dtype)
    yield sample(n=2, m=0, dtype=dtype)


def _arange_samples(m: Maker) -> Iterator[Sample]:
    dtype = DType(m.dtype)
    yield sample(5, dtype=dtype)
    yield sample(2, 7, dtype=dtype)
    yield sample(1, 10, 3, dtype=dtype)
    yield sample(3, 3, dtype=dtype)
    yield sample(start=0, end=4, step=2, dtype=dtype)
    if not m.is_unsigned:
        yield sample(5, -3, -2, dtype=dtype)
    if m.is_float:
        yield sample(0.5, 3.0, 0.5, dtype=dtype)
        yield sample(3, dtype=dtype)
    if m.dtype == "float32":
        yield sample(0.0, 1.0, 0.25)
        # Each element comes from its index: a running sum would drift.
        yield sample(0, 10, 0.1)
    if m.dtype == "int64":
        yield sample(4)
        yield sample(2**53, 2**53 + 4)
        yield sample(-5, 100, 21)


def _linspace_samples(m: Maker) -> Iterator[Sample]:
    dtype = DType(m.dtype)
    yield sample(0, 4, 5, dtype=dtype)
    yield sample(1, 7, steps=3, dtype=dtype)
    yield sample(3, 3, 4, dtype=dtype)
    yield sample(2, 5, 1, dtype=dtype)
    yield sample(2, 5, 0, dtype=dtype)
    if m.is_inexact:
        yield sample(-1.5, 2.25, 6, dtype=dtype)
        yield sample(1, -1, 5, dtype=dtype)
        yield sample(0, 1, 37, dtype=dtype)
    if m.dtype == "float32":
        yield sample(0, 1, 5)


def _like_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 3))
    yield sample(m())
    yield sample(m(0, 3))
    yield sample(m(4, 3).T)
    yield sample(m(2, 3), dtype=DType("float64")).gives("float64")


def _full_like_samples(m: Maker) -> Iterator[Sample]:
    value: Any = True if m.is_bool else 3
    for each in _like_samples(m):
        yield Sample((*each.args, value), each.kwargs, each.dtype)


def _data_samples(m: Maker) -> Iterator[Sample]:
    dtype = DType(m.dtype)
    numbers: Any = [[True, False], [False, True]] if m.is_bool else [[1, 2], [3, 4]]
    yield sample(numbers, dtype=dtype)
    yield sample([], dtype=dtype)
    yield sample([[], []], dtype=dtype)
    yield sample(((1, 0), (0, 1)), dtype=dtype)
    yield sample(1, dtype=dtype)
    if m.dtype == "bool":
        yield sample([True, False])
    if m.dtype == "int64":
        yield sample([True, 2])
        yield sample([2**53 + 1, -(2**63), 2**63 - 1])
        yield sample(7)
    if m.dtype == "float32":
        yield sample([1, 2.5])
        yield sample([True, 2.5])
        yield sample([float("nan"), float("-inf")])
        yield sample(0.1)
        yield sample([])
    if m.dtype == "complex64":
        yield sample([1, 2.5, 1 + 2j])
    if m.is_inexact:
        yield sample([0.1, 0.2, 1e-3], dtype=dtype)
    if m.dtype == "uint64":
        yield sample([2**64 - 1, 2**63], dtype=dtype)
    if m.dtype != "bfloat16":  # which NumPy does not have
        yield from _from_numpy_samples(m)
        yield sample(Raw(m(3)), dtype=DType("float64")).gives("float64")


def _as_tensor_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 3))
    yield sample(m())
    yield sample(m(0, 3))
    yield sample(m(2, 3), dtype=DType("complex128")).gives("complex128")
    yield from _data_samples(m)


def _from_numpy_samples(m: Maker) -> Iterator[Sample]:
    for values in (m(2, 3), m(), m(0, 3), m(4, 3).T, m(6)[::2], m(2, 5, 3)[:, ::2, 1:]):
        yield sample(Raw(values))


def _to_samples(m: Maker) -> Iterator[Sample]:
    smooth = BOTH if m.is_float else ("complex128",)
    for name in ALL:
        # A negative float has no value among the unsigned, and what comes out is the compiler's choice.
        values = m(2, 3, low=0) if name.startswith("uint") else m(2, 3)
        call = sample(values, DType(name)).gives(name)
        yield call if name in smooth else call.rough()
    yield sample(m(4, 3).T, DType("complex128")).gives("complex128")
    yield sample(m(), dtype=DType("float32")).gives("float32").rough()
    yield sample(m(0, 3), DType("int32")).gives("int32").rough()
    yield sample(m(2), "cpu")
    yield sample(m(2), device="cpu", dtype=DType("complex64")).gives("complex64").rough()
    yield sample(m(2), DType("float32"), copy=True).gives("float32").rough()
    yield sample(m(2), m(1))
    if m.dtype in ("int64", "uint64"):
        exact = np.array([2**53 + 1, 2**62 + 1], dtype=m.carrier)
        for name in ("int64", "uint64", "float64", "float32", "bool"):
            yield sample(exact, DType(name)).gives(name)
    if m.is_int:
        for name in INT + UNSIGNED:
            # Between integers the low bits stay.
            yield sample(m.odd(), DType(name)).gives(name)
    if m.dtype in ("float32", "float64"):
        odd = m.array([65504.0, 65519.0, 65520.0, 1e-8, 3.4e38, 1.00390625, 1.01171875, 5.960464477539063e-08])
        for name in FLOAT:
            yield sample(odd, DType(name)).gives(name).rough()
            yield sample(m.odd(), DType(name)).gives(name).rough()
        yield sample(m.array([2.9, -2.9, 0.5, -0.5]), DType("int32")).gives("int32").rough()


def _convert_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 3, low=0))
    yield sample(m(low=0))
    yield sample(m(0, 3, low=0))
    yield sample(m(4, 3, low=0).T)


def _copy_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4), m(3, 4))
    yield sample(m(3, 4), m(4))
    yield sample(m(3, 4), m())
    yield sample(m(4, 3).T, m(3, 4))
    yield sample(m(3, 4), m(4, 3).T)
    yield sample(m(), m())
    yield sample(m(0, 3), m(3))
    yield sample(m(67), m(67)).rough()


def _fill_samples(m: Maker) -> Iterator[Sample]:
    value: Any = True if m.is_bool else 3
    for array in (m(3, 4), m(), m(0, 3), m(4, 3).T):
        yield sample(array, value)
    yield sample(m(2, 3), m())


def _zero_samples(m: Maker) -> Iterator[Sample]:
    for array in (m(3, 4), m(), m(0, 3), m(4, 3).T):
        yield sample(array)


def _filled(value: Any) -> Callable[..., Any]:
    def reference(*size: Any, **kwargs: Any) -> Any:
        return np.full(_sizes(kwargs.get("size", size)), value)

    return reference


def _full(size: Any, fill_value: Any) -> Any:
    return np.full(tuple(size), fill_value)


def _eye(n: int, m: int | None = None) -> Any:
    return np.eye(n, m)


def _data(data: Any) -> Any:
    return np.array(data)


def _full_like(x: Array, fill_value: Any) -> Any:
    return np.full_like(x, fill_value)


def _arange(*args: Any, start: Any = 0, end: Any = None, step: Any = 1) -> Any:
    return np.arange(*args) if args else np.arange(start, end, step)


def _linspace(start: Any, end: Any, steps: int) -> Any:
    return np.linspace(start, end, steps)


def _to(x: Array, *args: Any, copy: bool = False) -> Any:
    """The values alone: the driver rounds them to the dtype."""
    return x


def _only_shape(sample: Sample, found: list[Array]) -> None:
    """`empty` promises a shape and a dtype, and no values."""
    if sample.args and isinstance(sample.args[0], np.ndarray):
        want = sample.args[0].shape
    else:
        want = _sizes(sample.kwargs.get("size", sample.args))
    assert found[0].shape == want, f"{found[0].shape} for {sample}"


def _make(name: str, samples: Any, reference: Any, **more: Any) -> OpInfo:
    settings: dict[str, Any] = {"places": ("tf",), "no_grad": "takes no tensor to differentiate by"}
    return OpInfo(name, samples, reference, **(settings | more))


def _like(name: str, samples: Any, reference: Any, **more: Any) -> OpInfo:
    settings: dict[str, Any] = {"places": ("tf",), "no_grad": "does not depend on the values of its input"}
    return OpInfo(name, samples, reference, **(settings | more))


def _into(name: str, samples: Any, reference: Any) -> OpInfo:
    return OpInfo(name, samples, reference, ALL, BOTH, places=("method",), writes=True)


def _converts(name: str, dtype: str) -> OpInfo:
    fine = dtype in ("float64", "complex128")
    reason = "" if fine else f"{dtype} is too coarse for finite differences, or has no derivatives"
    grads = () if reason else ("float64",)
    return OpInfo(name, _convert_samples, lambda x: x, REAL, grads, dtype, places=("method",), no_grad=reason)


CONVERSIONS = {
    "float": "float32",
    "double": "float64",
    "cfloat": "complex64",
    "cdouble": "complex128",
    "half": "float16",
    "bfloat16": "bfloat16",
    "int": "int32",
    "long": "int64",
    "short": "int16",
    "char": "int8",
    "byte": "uint8",
    "bool": "bool",
}

OPS = [
    _make("zeros", _size_samples, _filled(0)),
    _make("ones", _size_samples, _filled(1)),
    _make("empty", _size_samples, None, check=_only_shape),
    _make("full", _full_samples, _full),
    _make("eye", _eye_samples, _eye, dtypes=USUAL, beyond=UNSIGNED),
    _make("arange", _arange_samples, _arange, dtypes=INT + FLOAT, beyond=UNSIGNED),
    _make("linspace", _linspace_samples, _linspace, dtypes=INT + FLOAT + COMPLEX),
    _make("tensor", _data_samples, _data),
    _make("as_tensor", _as_tensor_samples, _data, no_grad="", grad_dtypes=BOTH),
    _make("from_numpy", _from_numpy_samples, lambda x: x, dtypes=tuple(d for d in ALL if d != "bfloat16")),
    _like("zeros_like", _like_samples, np.zeros_like),
    _like("ones_like", _like_samples, np.ones_like),
    _like("empty_like", _like_samples, None, check=_only_shape),
    _like("full_like", _full_like_samples, _full_like),
    OpInfo("to", _to_samples, _to, grad_dtypes=BOTH, places=("method",)),
    *[_converts(name, dtype) for name, dtype in CONVERSIONS.items()],
    _into("copy_", _copy_samples, lambda x, other: np.broadcast_to(other, x.shape)),
    _into("fill_", _fill_samples, _full_like),
    _into("zero_", _zero_samples, np.zeros_like),
]
