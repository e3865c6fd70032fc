"""Layers that change the shape only."""

from __future__ import annotations

from collections.abc import Sequence

from .._core import Tensor
from ..errors import ShapeError
from .module import Module

__all__ = ["Flatten", "Unflatten"]


class Flatten(Module):
    """Makes one dimension of those from ``start_dim`` to ``end_dim``.

    >>> nn.Flatten()(tf.zeros(32, 1, 5, 5)).shape
    tenflowers.Size([32, 25])
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Makes several dimensions, of shape ``unflattened_size``, of the dimension ``dim``; one size may be -1.

    >>> nn.Unflatten(1, (2, 5, 5))(tf.zeros(2, 50)).shape
    tenflowers.Size([2, 2, 5, 5])
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        if isinstance(dim, bool) or not isinstance(dim, int):
            raise TypeError(
                f"Unflatten: dim must be an integer, not {type(dim).__name__}: dimensions have no names here"
            )
        if not isinstance(unflattened_size, (tuple, list)):
            kind = type(unflattened_size).__name__
            raise TypeError(f"Unflatten: unflattened_size must be a tuple or a list of integers, not {kind}")
        for place, size in enumerate(unflattened_size):
            if not isinstance(size, int):
                kind = type(size).__name__
                raise TypeError(f"Unflatten: unflattened_size must hold integers, but item {place} is {kind}")
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input: Tensor) -> Tensor:
        rank = input.ndim
        if not -rank <= self.dim < rank:
            raise ShapeError(f"Unflatten: dim {self.dim} is out of range for {rank} dimensions")
        dim = self.dim % rank
        # With sizes of zero around it, `reshape` could not tell what -1 stands for.
        sizes = _resolved(list(self.unflattened_size), input.shape[dim])
        return input.reshape((*input.shape[:dim], *sizes, *input.shape[dim + 1 :]))

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


def _resolved(sizes: list[int], whole: int) -> list[int]:
    known = 1
    for size in sizes:
        known *= 1 if size == -1 else size
    if sizes.count(-1) == 1 and known > 0 and whole % known == 0:
        sizes[sizes.index(-1)] = whole // known
        known = whole
    if known != whole or -1 in sizes:
        raise ShapeError(f"Unflatten: {whole} elements do not make a shape of {sizes}")
    return sizes
