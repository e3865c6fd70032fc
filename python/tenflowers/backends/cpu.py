"""Choices of the CPU's kernels."""

from __future__ import annotations

from .._core import _set_winograd, _winograd

__all__ = ["set_winograd", "winograd"]


def winograd() -> bool:
    """Whether float32 convolutions with 3x3 kernels of stride 1 may go through Winograd's transforms.

    >>> tf.backends.cpu.winograd()
    True
    """
    return _winograd()


def set_winograd(on: bool) -> None:
    """Allow Winograd's transforms (the default), or always take the plain sum over all taps.

    The transforms compute in float32 with a quarter of the products (F(4x4, 3x3), Lavin and Gray, 2016). Their error is
    a few units in the last place of the largest value: of the order of 1e-6 of it for 64 channels, as for 256. A NaN or
    an infinity in the input reaches all outputs of the 4x4 tiles that read it, not only those whose window holds it.

    >>> tf.backends.cpu.set_winograd(False)
    >>> tf.backends.cpu.set_winograd(True)
    """
    _set_winograd(on)
