"""Comparing results in tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._core import Tensor

__all__ = ["assert_close"]

# Relative and absolute tolerance by the dtype of the elements; what is not here has to be equal.
_TOLERANCES = {
    _core.float16: (1e-3, 1e-5),
    _core.bfloat16: (1.6e-2, 1e-5),
    _core.float32: (1.3e-6, 1e-5),
    _core.float64: (1e-7, 1e-7),
    _core.complex64: (1.3e-6, 1e-5),
    _core.complex128: (1e-7, 1e-7),
}


def assert_close(
    actual: Any,
    expected: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Raises ``AssertionError`` unless ``|actual - expected| <= atol + rtol * |expected|`` everywhere.

    Takes tensors, arrays, numbers, and sequences and mappings of them, of the same structure. The tolerances are given
    together, or both follow from the dtypes (of two, the larger). ``msg`` replaces the message, or is called with it.

    >>> tf.testing.assert_close(tf.tensor([1.0, 2.0]), tf.tensor([1.0, 2.0 + 1e-6]))
    """
    if (rtol is None) != (atol is None):
        raise ValueError("assert_close: rtol and atol must be given together, or neither")
    tolerances = None if rtol is None or atol is None else (rtol, atol)
    check = _Check(tolerances, equal_nan, check_device, check_dtype, check_stride)
    message = check.difference(actual, expected, "")
    if message is not None:
        raise AssertionError(message if msg is None else msg(message) if callable(msg) else msg)


@dataclass(frozen=True)
class _Check:
    tolerances: tuple[float, float] | None
    equal_nan: bool
    device: bool
    dtype: bool
    stride: bool

    def difference(self, actual: Any, expected: Any, place: str) -> str | None:
        """What differs, or None; `place` says where in a structure."""
        if isinstance(actual, Mapping) and isinstance(expected, Mapping):
            if actual.keys() != expected.keys():
                return f"The keys{place} differ: {sorted(map(repr, actual))} and {sorted(map(repr, expected))}"
            parts = [(actual[key], expected[key], key) for key in actual]
        elif _is_sequence(actual) and _is_sequence(expected):
            if len(actual) != len(expected):
                return f"The lengths{place} differ: {len(actual)} and {len(expected)}"
            parts = [(a, b, at) for at, (a, b) in enumerate(zip(actual, expected, strict=True))]
        else:
            return self.tensors(actual, expected, place)
        found = (self.difference(a, b, f"{place or ' at '}[{key!r}]") for a, b, key in parts)
        return next((message for message in found if message is not None), None)

    def tensors(self, actual: Any, expected: Any, place: str) -> str | None:
        if actual is None and expected is None:
            return None
        numbers = _is_number(actual) and _is_number(expected)
        if not numbers and type(actual) is not type(expected) and not _both_tensors(actual, expected):
            kinds = f"{type(actual).__name__} and {type(expected).__name__}"
            raise TypeError(f"assert_close: cannot compare{place} {kinds}")
        a, b = _tensor(actual, place), _tensor(expected, place)
        for name, checked, of_a, of_b in (
            ("shapes", True, a.shape, b.shape),
            ("devices", self.device, a.device, b.device),
            ("dtypes", self.dtype, a.dtype, b.dtype),
            ("strides", self.stride, a.stride(), b.stride()),
        ):
            if checked and of_a != of_b:
                return f"The {name}{place} differ: {of_a} and {of_b}"
        rtol, atol = self.tolerances or tuple(map(max, *(_TOLERANCES.get(t.dtype, (0.0, 0.0)) for t in (a, b))))
        return self.values(_array(a), _array(b), rtol, atol, place)

    def values(self, a: NDArray[Any], b: NDArray[Any], rtol: float, atol: float, place: str) -> str | None:
        if a.dtype.kind in "iub" and b.dtype.kind in "iub" and not (rtol or atol):
            wrong = a != b
        else:
            with np.errstate(invalid="ignore"):
                wrong = ~np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=self.equal_nan)
        if not wrong.any():
            return None
        with np.errstate(all="ignore"):
            wide = [v.astype(np.complex128 if v.dtype.kind == "c" else np.float64) for v in (a, b)]
            absolute = np.abs(wide[0] - wide[1])
            relative = absolute / np.abs(wide[1])
        lines = [f"The values{place} are not close: {np.count_nonzero(wrong)} of {wrong.size} differ too much"]
        for name, difference, allowed in (("absolute", absolute, atol), ("relative", relative, rtol)):
            largest = np.where(wrong, np.where(np.isnan(difference), np.inf, difference), -1.0)
            at = tuple(map(int, np.unravel_index(largest.argmax(), largest.shape)))
            lines.append(f"greatest {name} difference: {difference[at]:.6g} at {at} ({allowed:g} allowed)")
        return "\n".join(lines)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float | complex | np.number | np.bool_)


def _both_tensors(actual: Any, expected: Any) -> bool:
    return isinstance(actual, Tensor) and isinstance(expected, Tensor)


def _tensor(value: Any, place: str) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach()
    if _is_number(value):
        # As wide as Python's own numbers are.
        wide = {bool: _core.bool, int: _core.int64, float: _core.float64, complex: _core.complex128}
        return _core.tensor(value, dtype=wide.get(type(value)))
    if isinstance(value, np.ndarray):
        return _core.from_numpy(value)
    raise TypeError(f"assert_close: cannot compare{place} values of the type {type(value).__name__}")


def _array(tensor: Tensor) -> NDArray[Any]:
    return (tensor.to(_core.float32) if tensor.dtype == _core.bfloat16 else tensor).numpy()
