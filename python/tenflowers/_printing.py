"""How a tensor is printed: the numbers, their widths and the line breaks are PyTorch's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from . import _core
from ._core import Tensor

__all__ = ["get_printoptions", "printoptions", "set_printoptions", "tensor_repr"]


@dataclass(frozen=True)
class _Options:
    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}
_options = _Options()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Sets how tensors are printed from now on.

    ``precision`` is the number of digits after the point (4); a tensor with more than ``threshold`` elements (1000) is
    shortened to ``edgeitems`` (3) at both ends of each dimension; lines break at ``linewidth`` characters (80).
    ``profile`` sets these four together: ``"default"``, ``"short"`` or ``"full"``. ``sci_mode`` asks for scientific
    notation or forbids it; ``None`` leaves that to the numbers.

    >>> tf.set_printoptions(precision=2)
    >>> tf.tensor([1.12345])
    tensor([1.12])
    """
    global _options
    if profile is not None and profile not in _PROFILES:
        raise ValueError(f"set_printoptions: profile must be one of {', '.join(_PROFILES)}, got {profile!r}")
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    changes = dict(_PROFILES[profile]) if profile is not None else {}
    changes.update((name, value) for name, value in given.items() if value is not None)
    _options = replace(_options, sci_mode=sci_mode, **changes)


def get_printoptions() -> dict[str, Any]:
    """The options of :func:`set_printoptions` as they are."""
    return asdict(_options)


@contextmanager
def printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> Iterator[None]:
    """Sets the options of :func:`set_printoptions` for the length of a ``with`` block."""
    global _options
    before = _options
    set_printoptions(precision, threshold, edgeitems, linewidth, profile, sci_mode)
    try:
        yield
    finally:
        _options = before


def tensor_repr(tensor: Tensor) -> str:
    """What ``repr(tensor)`` gives, such as ``tensor([1., 2.], requires_grad=True)``."""
    kind = type(tensor)
    own = kind is Tensor or kind.__module__.startswith("tenflowers.")
    prefix = "tensor(" if own else f"{kind.__name__}("
    plain = tensor.detach()
    contents = _contents(plain, len(prefix)) if plain.numel() else "[]"
    return _with_suffixes(prefix + contents, _suffixes(tensor), len(prefix)) + ")"


def _suffixes(tensor: Tensor) -> Iterator[str]:
    default = _core.get_default_dtype()
    told_by_numbers = {default, _core.complex128 if default == _core.float64 else _core.complex64}
    told_by_numbers |= {_core.int64, _core.bool}
    empty = tensor.numel() == 0
    if tensor.device.type != "cpu":
        yield f"device='{tensor.device}'"
    if (empty and tensor.ndim != 1) or (not empty and not _options.edgeitems):
        yield f"size={tuple(tensor.shape)}"
    if tensor.dtype != default if empty else tensor.dtype not in told_by_numbers:
        yield f"dtype={tensor.dtype}"
    try:
        history = tensor.grad_fn
    except RuntimeError:  # a view whose history cannot be made any more can still be looked at
        yield "grad_fn=<Invalid>"
        return
    if history is not None:
        yield f"grad_fn=<{history.name().rpartition('::')[2]}>"
    elif tensor.requires_grad:
        yield "requires_grad=True"


def _with_suffixes(text: str, suffixes: Iterator[str], indent: int) -> str:
    length = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if length + len(suffix) + 2 > _options.linewidth:
            text += ",\n" + " " * indent + suffix
            length = indent + len(suffix)
        else:
            text += ", " + suffix
            length += len(suffix) + 2
    return text


def _contents(tensor: Tensor, indent: int) -> str:
    """The elements in their brackets; lines after the first begin at `indent`."""
    values = _shortened(tensor) if tensor.ndim and tensor.numel() > _options.threshold else tensor.tolist()
    dtype, shown = tensor.dtype, list(_flat(values, tensor.ndim))
    if dtype.is_complex:
        real, imag = _FloatFormat([v.real for v in shown]), _FloatFormat([v.imag for v in shown])
        return _layout(values, tensor.ndim, indent, real.width + imag.width + 1, _complex_format(real, imag))
    number = _FloatFormat(shown) if dtype.is_floating_point else _PlainFormat(shown)
    return _layout(values, tensor.ndim, indent, number.width, number)


def _shortened(tensor: Tensor) -> list[Any]:
    """The elements as nested lists, with `...` for what is left out."""
    edge, length = _options.edgeitems, len(tensor)
    if length <= 2 * edge:
        return tensor.tolist() if tensor.ndim == 1 else [_shortened(row) for row in tensor]
    if not edge:
        return [...]
    head, tail = tensor[:edge], tensor[-edge:]
    if tensor.ndim == 1:
        return [*head.tolist(), ..., *tail.tolist()]
    return [*map(_shortened, head), ..., *map(_shortened, tail)]


def _flat(values: Any, ndim: int) -> Iterator[Any]:
    """The elements of nested lists."""
    if ndim == 0:
        yield values
    else:
        for item in values:
            if item is not ...:
                yield from _flat(item, ndim - 1)


def _layout(values: Any, ndim: int, indent: int, width: int, number: Callable[[Any], str]) -> str:
    if ndim == 0:
        return number(values)
    if ndim > 1:
        rows = ["..." if row is ... else _layout(row, ndim - 1, indent + 1, width, number) for row in values]
        return "[" + ("," + "\n" * (ndim - 1) + " " * (indent + 1)).join(rows) + "]"
    gap = " ..." if _options.edgeitems else "..."
    items = [gap if value is ... else number(value) for value in values]
    per_line = max(1, (_options.linewidth - indent) // (width + 2))
    lines = [", ".join(items[start : start + per_line]) for start in range(0, len(items), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


class _PlainFormat:
    """Integers and truth values, right-aligned."""

    def __init__(self, values: list[Any]) -> None:
        self.width = max((len(str(value)) for value in values), default=1)

    def __call__(self, value: Any) -> str:
        return str(value).rjust(self.width)


class _FloatFormat:
    """Floating-point numbers, right-aligned: whole ones as `2.`, others with digits or in scientific notation."""

    def __init__(self, values: list[float]) -> None:
        self.template, self.whole, self.width = "{:.0f}", True, 1
        finite = [value for value in values if value and math.isfinite(value)]
        if not finite:
            return
        smallest, largest = min(map(abs, finite)), max(map(abs, finite))
        scientific = _options.sci_mode
        if scientific is None:
            scientific = largest / smallest > 1000 or largest > 1e8 or smallest < 1e-4
        self.whole = not scientific and all(value.is_integer() for value in finite)
        if not self.whole:
            self.template = f"{{:.{_options.precision}{'e' if scientific else 'f'}}}"
        self.width = max(len(self.template.format(value)) for value in finite) + self.whole

    def __call__(self, value: float) -> str:
        point = "." if self.whole and math.isfinite(value) else ""
        return (self.template.format(value) + point).rjust(self.width)


def _complex_format(real: _FloatFormat, imag: _FloatFormat) -> Callable[[complex], str]:
    def number(value: complex) -> str:
        second = imag(value.imag).lstrip()
        sign = "" if second[0] in "+-" else "+"
        return f"{real(value.real)}{sign}{second}j"

    return number
