"""What numbers a dtype can hold."""

from __future__ import annotations

from . import _core

__all__ = ["finfo", "iinfo"]

# Precision in bits (with the hidden one), largest exponent, and the decimal digits that are always exact.
_FLOATS = {
    "float16": (11, 16, 3),
    "bfloat16": (8, 128, 2),
    "float32": (24, 128, 6),
    "float64": (53, 1024, 15),
}


def _name(dtype: _core.dtype) -> str:
    return repr(dtype).rpartition(".")[2]


def _checked(function: str, dtype: object) -> _core.dtype:
    if not isinstance(dtype, _core.dtype):
        raise TypeError(f"{function}: argument 'type' must be a dtype, not {type(dtype).__name__}")
    return dtype


class finfo:  # noqa: N801 (PyTorch's name)
    """The limits of a floating-point dtype, by default the default dtype; of a complex one, those of its parts.

    Attributes: ``bits``, ``eps`` (the distance from 1 to the next number), ``max``, ``min``, ``smallest_normal`` and
    ``tiny`` (both the smallest positive number with full precision), ``resolution``, ``dtype`` (its name).

    Raises ``TypeError`` for every other dtype.

    >>> tf.finfo(tf.float32).eps
    1.1920928955078125e-07
    """

    __slots__ = ("bits", "dtype", "eps", "max", "min", "resolution", "smallest_normal", "tiny")

    def __init__(self, type: _core.dtype | None = None) -> None:
        dtype = _core.get_default_dtype() if type is None else _checked("finfo", type)
        if not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(f"finfo: expected a floating-point dtype, got {dtype!r} (iinfo is for integers)")
        self.bits = dtype.itemsize * 8 // (2 if dtype.is_complex else 1)
        self.dtype = f"float{self.bits}" if dtype.is_complex else _name(dtype)
        precision, exponent, digits = _FLOATS[self.dtype]
        self.eps = 2.0 ** (1 - precision)
        self.max = (2.0 - self.eps) * 2.0 ** (exponent - 1)
        self.min = -self.max
        self.smallest_normal = self.tiny = 2.0 ** (2 - exponent)
        self.resolution = float(f"1e-{digits}")

    def __eq__(self, other: object) -> bool:
        return self.dtype == other.dtype if isinstance(other, finfo) else NotImplemented

    def __repr__(self) -> str:
        shown = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        return f"finfo({', '.join(f'{name}={getattr(self, name):g}' for name in shown)}, dtype={self.dtype})"


class iinfo:  # noqa: N801 (PyTorch's name)
    """The limits of an integer dtype.

    Attributes: ``bits``, ``max``, ``min``, ``dtype`` (its name).

    Raises ``TypeError`` for every other dtype, bool included.

    >>> tf.iinfo(tf.int8).max
    127
    """

    __slots__ = ("bits", "dtype", "max", "min")

    def __init__(self, type: _core.dtype) -> None:
        dtype = _checked("iinfo", type)
        if dtype.is_floating_point or dtype.is_complex or dtype == _core.bool:
            raise TypeError(f"iinfo: expected an integer dtype, got {dtype!r} (finfo is for floating point)")
        self.bits = dtype.itemsize * 8
        self.dtype = _name(dtype)
        self.max = 2 ** (self.bits - dtype.is_signed) - 1
        self.min = -self.max - 1 if dtype.is_signed else 0

    def __eq__(self, other: object) -> bool:
        return self.dtype == other.dtype if isinstance(other, iinfo) else NotImplemented

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
