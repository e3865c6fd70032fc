"""Dropout."""

from __future__ import annotations

from .._core import Tensor
from ..errors import LayerConfigError
from . import functional as F
from .module import Module

__all__ = ["Dropout"]


class Dropout(Module):
    """In training, zeros each element with probability ``p`` and scales the others by ``1 / (1 - p)``.

    >>> nn.Dropout(0.2).eval()(tf.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise LayerConfigError(f"Dropout: p must be between 0 and 1, not {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"
