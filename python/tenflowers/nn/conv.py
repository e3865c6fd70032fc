"""Convolution."""

from __future__ import annotations

import math

from .._core import Tensor, device, dtype, empty
from ..errors import LayerConfigError, UnsupportedError
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter

__all__ = ["Conv2d"]

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class Conv2d(Module):
    """Cross-correlation with a filter for each output channel: from (N, C_in, H, W) or (C_in, H, W) to C_out channels.

    ``kernel_size``, ``stride``, ``padding`` and ``dilation`` are an integer or one for each of height and width;
    ``padding`` may also be "valid" (none) or "same" (the output has the input's size). Only zeros are padded: another
    ``padding_mode`` is an ``UnsupportedError``.

    >>> nn.Conv2d(16, 33, 3, stride=2)(tf.zeros(20, 16, 50, 100)).shape
    tenflowers.Size([20, 33, 24, 49])
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: str | int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: device | str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__()
        if groups <= 0:
            raise LayerConfigError(f"Conv2d: groups must be positive, not {groups}")
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise LayerConfigError(f"Conv2d: {name} must be divisible by groups: {channels} by {groups}")
        if padding_mode not in _PADDING_MODES:
            raise LayerConfigError(f"Conv2d: padding_mode must be one of {_PADDING_MODES}, not {padding_mode!r}")
        if padding_mode != "zeros":
            raise UnsupportedError(f"Conv2d: padding_mode={padding_mode!r} is not supported, only 'zeros'")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _pair("kernel_size", kernel_size)
        self.stride = _pair("stride", stride)
        self.padding: str | tuple[int, int]
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise LayerConfigError(f"Conv2d: padding must be 'same', 'valid' or integers, not {padding!r}")
            if padding == "same" and self.stride != (1, 1):
                raise LayerConfigError(f"Conv2d: padding='same' needs a stride of 1, not {self.stride}")
            self.padding = padding
        else:
            self.padding = _pair("padding", padding)
        self.dilation = _pair("dilation", dilation)
        self.groups = groups
        self.padding_mode = padding_mode
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = Parameter(empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the first values anew: uniform within ``1 / sqrt(fan_in)`` of zero."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan_in = self.in_channels // self.groups * self.kernel_size[0] * self.kernel_size[1]
        if self.bias is not None and fan_in:
            bound = 1 / math.sqrt(fan_in)
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0, 0):
            text += f", padding={self.padding}"
        if self.dilation != (1, 1):
            text += f", dilation={self.dilation}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        return text


def _pair(name: str, value: int | tuple[int, int]) -> tuple[int, int]:
    if isinstance(value, int):
        return (value, value)
    pair = tuple(value)
    if len(pair) != 2:
        raise LayerConfigError(f"Conv2d: {name} must be one integer or two, not {value!r}")
    return pair
