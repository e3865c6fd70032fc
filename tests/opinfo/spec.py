"""What a row of the test table says, and the arrays its samples are made of.

Arrays in samples are NumPy's. A bfloat16 array is a float32 array that holds only bfloat16 values; `run.to_module`
makes the tensor. References get floating-point arrays in double precision, and what they give is rounded to the
expected dtype.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

BOOL = ("bool",)
UNSIGNED = ("uint16", "uint32", "uint64")
INT = ("uint8", "int8", "int16", "int32", "int64")
HALF = ("float16", "bfloat16")
FLOAT = ("float16", "bfloat16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
ALL = BOOL + INT + UNSIGNED + FLOAT + COMPLEX
REAL = BOOL + INT + UNSIGNED + FLOAT

# Relative and absolute: the last bits of each type, with room for a sum of a few terms.
TOLERANCE: dict[str, tuple[float, float]] = {
    "float16": (2e-3, 1e-3),
    "bfloat16": (1.6e-2, 8e-3),
    "float32": (2e-6, 1e-6),
    "float64": (1e-12, 1e-13),
    "complex64": (4e-6, 2e-6),
    "complex128": (1e-12, 1e-13),
}


def carrier(dtype: str) -> np.dtype[Any]:
    """The NumPy dtype that holds the values of `dtype`."""
    return np.dtype("float32" if dtype == "bfloat16" else dtype)


def round_to(array: Array, dtype: str) -> Array:
    """The values of `array` as the nearest values of `dtype`."""
    with np.errstate(all="ignore"):
        if dtype != "bfloat16":
            if dtype == "bool":
                return np.asarray(array != 0)
            if array.dtype.kind == "c" and dtype not in COMPLEX:
                array = array.real
            return array.astype(carrier(dtype))
        narrow = np.asarray(array.real, dtype=np.float32)
        bits = narrow.view(np.uint32)
        rounded = np.asarray((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000, dtype=np.uint32).view(np.float32)
        return np.asarray(np.where(np.isnan(narrow), narrow, rounded), dtype=np.float32)


@dataclass(frozen=True)
class Const:
    """A tensor argument that never asks for a gradient, such as a class weight or a running mean."""

    array: Array


@dataclass(frozen=True)
class Raw:
    """An argument that is a NumPy array, and not a tensor."""

    array: Array


@dataclass(frozen=True)
class DType:
    """A dtype argument, by name."""

    name: str


@dataclass(frozen=True)
class Sample:
    """One call: arguments, and what is particular about it."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    dtype: str | None = None  # of the result, where the row's rule does not hold
    smooth: bool = True  # finite differences make sense here
    places: tuple[str, ...] | None = None  # the only ways to make this call
    beyond: bool = False  # PyTorch refuses this call or gets it wrong

    def gives(self, dtype: str) -> Sample:
        return replace(self, dtype=dtype)

    def rough(self) -> Sample:
        """For odd values, ties and big inputs: left out of the gradient checks."""
        return replace(self, smooth=False)

    def ours(self) -> Sample:
        """For calls that go beyond PyTorch: left out where PyTorch is the module under test."""
        return replace(self, beyond=True)

    def only(self, *places: str) -> Sample:
        return replace(self, places=places)

    def __str__(self) -> str:
        parts = [_show(value) for value in self.args] + [f"{k}={_show(v)}" for k, v in self.kwargs.items()]
        return f"({', '.join(parts)})"


def _show(value: Any) -> str:
    if isinstance(value, np.ndarray):
        text = np.array2string(value, threshold=12, edgeitems=2, separator=", ").replace("\n", "")
        return f"{value.dtype}{list(value.shape)}{text if value.size <= 24 else ''}"
    if isinstance(value, (Const, Raw)):
        return _show(value.array)
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(map(_show, value))})"
    return repr(value)


def sample(*args: Any, **kwargs: Any) -> Sample:
    return Sample(args, kwargs)


class Maker:
    """Makes the arrays of one row's samples in one dtype, the same ones in every run."""

    def __init__(self, dtype: str, name: str) -> None:
        self.dtype = dtype
        self.carrier = carrier(dtype)
        self.rng = np.random.default_rng(zlib.crc32(f"{name}/{dtype}".encode()))
        self.is_bool = dtype == "bool"
        self.is_complex = dtype in COMPLEX
        self.is_float = dtype in FLOAT
        self.is_inexact = self.is_float or self.is_complex
        self.is_unsigned = self.carrier.kind == "u"
        self.is_int = self.carrier.kind in "iu"

    def array(self, values: Any) -> Array:
        """These values, rounded to the dtype."""
        return np.asarray(round_to(np.asarray(values), self.dtype))

    def __call__(self, *shape: int, low: float = -2.0, high: float = 2.0) -> Array:
        """Uniform in [low, high); small integers for integer dtypes."""
        if self.is_bool:
            return np.asarray(self.rng.integers(0, 2, shape).astype(bool))
        if self.is_int:
            first = 0 if self.is_unsigned else int(np.floor(min(low * 3, low)))
            return np.asarray(self.rng.integers(max(first, 0 if low >= 0 else first), 8, shape), dtype=self.carrier)
        values = np.asarray(self.rng.uniform(low, high, shape))
        if self.is_complex:
            values = values + 1j * self.rng.uniform(max(low, -2.0), high, shape)
        return self.array(values)

    def nonzero(self, *shape: int) -> Array:
        """Values away from zero, of both signs where there are two."""
        if self.is_bool:
            return np.ones(shape, dtype=bool)
        if self.is_int:
            values = self.rng.integers(1, 7, shape)
            if not self.is_unsigned:
                values = values * self.rng.choice([-1, 1], shape)
            return np.asarray(values, dtype=self.carrier)
        values = self.rng.uniform(0.5, 2.0, shape) * self.rng.choice([-1.0, 1.0], shape)
        if self.is_complex:
            values = values * np.exp(1j * self.rng.uniform(-1.0, 1.0, shape))
        return self.array(values)

    def distinct(self, *shape: int) -> Array:
        """No two values alike, so that the largest is well defined; far enough apart for finite differences."""
        size = int(np.prod(shape))
        values = self.rng.permutation(size)
        if self.is_inexact:
            return self.array(values.reshape(shape) * 0.25 - size * 0.1)
        return self.array(values.reshape(shape))

    def odd(self) -> Array:
        """The values that go wrong: not a number, infinities, signed zeros, halves; the ends of an integer's range."""
        if self.is_inexact:
            return self.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 1.0, -1.0])
        if self.is_bool:
            return np.array([True, False])
        info = np.iinfo(self.carrier)
        values = [info.min, info.min + 1, 0, 1, 2, info.max - 1, info.max]
        if info.bits == 64:
            values += [2**53 - 1, 2**53, 2**53 + 1, 2**53 + 3]
        return np.array(values, dtype=self.carrier)


Result = str | tuple[str, ...] | Callable[[str], str]


def result_dtype(rule: str | Callable[[str], str], dtype: str) -> str:
    """The dtype that `rule` gives for inputs of `dtype`."""
    if callable(rule):
        return rule(dtype)
    if rule == "same":
        return dtype
    if rule == "float":
        return dtype if dtype in FLOAT + COMPLEX else "float32"
    if rule == "sum":
        return dtype if dtype in FLOAT + COMPLEX else "int64"
    if rule == "real":
        return {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)
    return rule


@dataclass(frozen=True)
class OpInfo:
    """One row: how an operation is called, with what, and what must come out."""

    name: str
    samples: Callable[[Maker], Iterable[Sample]]
    reference: Callable[..., Any] | None
    dtypes: tuple[str, ...] = ALL
    grad_dtypes: tuple[str, ...] = ()  # of float64 and complex128
    result: Result = "same"
    places: tuple[str, ...] = ("tf", "method")  # "tf", "method", "nn", "operator", "attribute"
    operator: Callable[..., Any] | None = None
    in_place: bool = False  # has `name_`
    out: bool = False  # the function in `tf` takes `out=`
    view: bool = False  # the result shares the input's memory
    random: bool = False
    writes: bool = False  # into its first argument, which it returns
    no_grad: str = ""  # why there is no derivative
    refused: tuple[str, ...] = ()  # dtypes that must raise
    beyond: tuple[str, ...] = ()  # dtypes that work here and not in PyTorch
    tolerance: dict[str, tuple[float, float]] = field(default_factory=dict)
    second: bool = True  # has second derivatives
    aliases: tuple[str, ...] = ()
    check: Callable[[Sample, list[Array]], None] | None = None  # instead of a reference, for what is not determined
    tag: str = ""  # tells rows of one name apart

    @property
    def id(self) -> str:
        return f"{self.name}.{self.tag}" if self.tag else self.name

    def tolerance_of(self, dtype: str) -> tuple[float, float]:
        return self.tolerance.get(dtype, TOLERANCE.get(dtype, (0.0, 0.0)))

    def result_of(self, dtype: str, index: int = 0) -> str:
        rule = self.result[index] if isinstance(self.result, tuple) else self.result
        return result_dtype(rule, dtype)
