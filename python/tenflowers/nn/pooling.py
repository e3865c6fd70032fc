"""Layers that take the largest value or the mean of each window."""

from __future__ import annotations

from .._core import Tensor
from . import functional as F
from .module import Module

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool2d",
    "MaxPool2d",
]

_Sizes = int | tuple[int, int]
_Parts = int | tuple[int | None, ...]


class MaxPool2d(Module):
    """The largest value of each window of (N, C, H, W) or (C, H, W); sizes are an integer or one for each dimension.

    ``stride`` is the window's size if left out. With ``return_indices`` it also gives the places of the values.

    >>> nn.MaxPool2d(2)(tf.arange(16.0).view(1, 1, 4, 4))
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """

    def __init__(
        self,
        kernel_size: _Sizes,
        stride: _Sizes | None = None,
        padding: _Sizes = 0,
        dilation: _Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        # With `return_indices` a pair, as in PyTorch.
        pooled: Tensor = F.max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )
        return pooled

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(Module):
    """The mean of each window of (N, C, H, W) or (C, H, W); sizes are an integer or one for each dimension.

    ``count_include_pad`` counts padding as values; ``divisor_override`` replaces the number of values.

    >>> nn.AvgPool2d(2)(tf.arange(16.0).view(1, 1, 4, 4))
    tensor([[[[ 2.5000,  4.5000],
              [10.5000, 12.5000]]]])
    """

    def __init__(
        self,
        kernel_size: _Sizes,
        stride: _Sizes | None = None,
        padding: _Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AdaptivePool(Module):
    def __init__(self, output_size: _Parts) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class _AdaptiveMaxPool(_AdaptivePool):
    def __init__(self, output_size: _Parts, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices


class AdaptiveAvgPool1d(_AdaptivePool):
    """The means of the windows that cut (N, C, L) or (C, L) into ``output_size`` parts.

    ``output_size`` is an integer, or ``(None,)`` for the input's size.

    >>> nn.AdaptiveAvgPool1d(2)(tf.tensor([[1.0, 2.0, 3.0, 4.0]]))
    tensor([[1.5000, 3.5000]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptivePool):
    """The means of the windows that cut (N, C, H, W) or (C, H, W) into ``output_size`` parts.

    Sizes are an integer or one for each dimension, of which ``None`` is the input's size.

    >>> nn.AdaptiveAvgPool2d((1, None))(tf.arange(16.0).view(1, 4, 4))
    tensor([[[6., 7., 8., 9.]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_AdaptivePool):
    """The means of the windows that cut (N, C, D, H, W) or (C, D, H, W) into ``output_size`` parts.

    Sizes are an integer or one for each dimension, of which ``None`` is the input's size.

    >>> nn.AdaptiveAvgPool3d(1)(tf.arange(8.0).view(1, 2, 2, 2))
    tensor([[[[3.5000]]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool3d(input, self.output_size)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest values of the windows that cut (N, C, L) or (C, L) into ``output_size`` parts.

    ``output_size`` is an integer, or ``(None,)`` for the input's size. With
    ``return_indices`` it also gives the places of the values.

    >>> nn.AdaptiveMaxPool1d(2)(tf.tensor([[1.0, 5.0, 3.0, 4.0]]))
    tensor([[5., 4.]])
    """

    def forward(self, input: Tensor) -> Tensor:
        pooled: Tensor = F.adaptive_max_pool1d(input, self.output_size, self.return_indices)
        return pooled


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest values of the windows that cut (N, C, H, W) or (C, H, W) into ``output_size`` parts.

    Sizes are an integer or one for each dimension, of which ``None`` is the input's size. With
    ``return_indices`` it also gives the places of the values.

    >>> nn.AdaptiveMaxPool2d((1, None))(tf.arange(16.0).view(1, 4, 4))
    tensor([[[12., 13., 14., 15.]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        pooled: Tensor = F.adaptive_max_pool2d(input, self.output_size, self.return_indices)
        return pooled


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest values of the windows that cut (N, C, D, H, W) or (C, D, H, W) into ``output_size`` parts.

    Sizes are an integer or one for each dimension, of which ``None`` is the input's size. With
    ``return_indices`` it also gives the places of the values.

    >>> nn.AdaptiveMaxPool3d(1)(tf.arange(8.0).view(1, 2, 2, 2))
    tensor([[[[7.]]]])
    """

    def forward(self, input: Tensor) -> Tensor:
        pooled: Tensor = F.adaptive_max_pool3d(input, self.output_size, self.return_indices)
        return pooled
