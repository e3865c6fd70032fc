"""The shape of a tensor."""

from __future__ import annotations

import math
from collections.abc import Iterable
from operator import index
from typing import SupportsIndex, overload

__all__ = ["Size"]


class Size(tuple[int, ...]):
    """A tuple of integers, as ``Tensor.shape`` gives it; slices, sums and repetitions are sizes too.

    >>> tf.Size([2, 3]).numel()
    6
    >>> tf.Size([2, 3])[1:] + (4,)
    tenflowers.Size([3, 4])
    """

    __slots__ = ()

    def __new__(cls, sizes: Iterable[SupportsIndex] = (), /) -> Size:
        return super().__new__(cls, [_integer(item, place) for place, item in enumerate(sizes)])

    def numel(self) -> int:
        """The number of elements of a tensor of this shape: the product of the sizes, 1 without dimensions."""
        return math.prod(self)

    def __repr__(self) -> str:
        return f"tenflowers.Size([{', '.join(map(str, self))}])"

    def __reduce__(self) -> tuple[type[Size], tuple[tuple[int, ...]]]:
        return Size, (tuple(self),)

    # What is a size already needs no second check, hence `tuple.__new__`.

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> int: ...
    @overload
    def __getitem__(self, place: slice, /) -> Size: ...
    def __getitem__(self, place: SupportsIndex | slice, /) -> int | Size:
        if isinstance(place, slice):
            return tuple.__new__(Size, super().__getitem__(place))
        return super().__getitem__(place)

    # `tuple` also promises a sum with a tuple of other things, which would be no size.
    def __add__(self, other: tuple[int, ...], /) -> Size:  # type: ignore[override]
        return Size(super().__add__(other)) if isinstance(other, tuple) else NotImplemented

    def __radd__(self, other: tuple[int, ...], /) -> Size:
        return Size(other + tuple(self)) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, times: SupportsIndex, /) -> Size:
        try:
            return tuple.__new__(Size, super().__mul__(index(times)))
        except TypeError:  # an array, say, which multiplies number by number
            return NotImplemented

    __rmul__ = __mul__


def _integer(item: SupportsIndex, place: int) -> int:
    try:
        return index(item)
    except TypeError:
        raise TypeError(f"Size: item {place} must be an integer, not {type(item).__name__}") from None
