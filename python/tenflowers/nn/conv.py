"""Convolution of lines, planes and volumes, and its transpose."""

from __future__ import annotations

import math
from typing import ClassVar

from .._core import Tensor, device, dtype, empty
from ..errors import LayerConfigError
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Conv(Module):
    """What convolutions and their transposes have in common."""

    weight: Parameter
    bias: Parameter | None
    stride: tuple[int, ...]
    padding: str | tuple[int, ...]
    dilation: tuple[int, ...]
    output_padding: tuple[int, ...]
    _dims: ClassVar[int]
    _transposed: ClassVar[bool] = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...],
        padding: str | int | tuple[int, ...],
        dilation: int | tuple[int, ...],
        output_padding: int | tuple[int, ...],
        groups: int,
        bias: bool,
        padding_mode: str,
        device: device | str | None,
        dtype: dtype | None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if groups <= 0:
            raise LayerConfigError(f"{name}: groups must be positive, not {groups}")
        for what, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise LayerConfigError(f"{name}: {what} must be divisible by groups: {channels} by {groups}")
        modes = _PADDING_MODES[:1] if self._transposed else _PADDING_MODES
        if padding_mode not in modes:
            raise LayerConfigError(f"{name}: padding_mode must be one of {modes}, not {padding_mode!r}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = self._sizes("kernel_size", kernel_size)
        self.stride = self._sizes("stride", stride)
        self.dilation = self._sizes("dilation", dilation)
        self.output_padding = self._sizes("output_padding", output_padding)
        if isinstance(padding, str):
            if self._transposed or padding not in ("same", "valid"):
                allowed = "integers" if self._transposed else "'same', 'valid' or integers"
                raise LayerConfigError(f"{name}: padding must be {allowed}, not {padding!r}")
            if padding == "same" and any(step != 1 for step in self.stride):
                raise LayerConfigError(f"{name}: padding='same' needs a stride of 1, not {self.stride}")
            self.padding = padding
        else:
            self.padding = self._sizes("padding", padding)
        self.groups = groups
        self.padding_mode = padding_mode
        first, second = (in_channels, out_channels) if self._transposed else (out_channels, in_channels)
        self.weight = Parameter(empty((first, second // groups, *self.kernel_size), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the first values anew: uniform within ``1 / sqrt(fan_in)`` of zero."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan_in = self.weight.shape[1] * math.prod(self.kernel_size)
        if self.bias is not None and fan_in:
            bound = 1 / math.sqrt(fan_in)
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if isinstance(self.padding, str) or any(self.padding):
            text += f", padding={self.padding}"
        if any(step != 1 for step in self.dilation):
            text += f", dilation={self.dilation}"
        if any(self.output_padding):
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text

    def _sizes(self, name: str, value: int | tuple[int, ...]) -> tuple[int, ...]:
        """One integer for each dimension."""
        if isinstance(value, int):
            return (value,) * self._dims
        sizes = tuple(value)
        if len(sizes) != self._dims:
            wanted = "one integer" + ("", " or two", " or three")[self._dims - 1]
            raise LayerConfigError(f"{type(self).__name__}: {name} must be {wanted}, not {value!r}")
        return sizes

    def _padded(self, input: Tensor) -> tuple[Tensor, str | tuple[int, ...]]:
        """The input, padded unless zeros are wanted, and the padding that is left to do."""
        if self.padding_mode == "zeros" or self.padding == "valid":
            return input, self.padding
        around = []
        for dim in reversed(range(self._dims)):
            if isinstance(self.padding, str):
                total = self.dilation[dim] * (self.kernel_size[dim] - 1)
                around += [total // 2, total - total // 2]
            else:
                around += [self.padding[dim]] * 2
        return F.pad(input, around, mode=self.padding_mode), (0,) * self._dims

    def _output_padding(self, input: Tensor, output_size: list[int] | tuple[int, ...] | None) -> tuple[int, ...]:
        """What has to be added to the least size that a transposed convolution gives, for ``output_size``."""
        if output_size is None:
            return self.output_padding
        assert not isinstance(self.padding, str)
        name, sizes = type(self).__name__, tuple(output_size)
        if input.dim() - len(sizes) not in (0, input.dim() - self._dims):
            raise ValueError(f"{name}: output_size must have {self._dims} or {input.dim()} elements, not {len(sizes)}")
        sizes = sizes[-self._dims :]
        extra = []
        for dim, size in enumerate(sizes):
            span = self.dilation[dim] * (self.kernel_size[dim] - 1) + 1
            least = (input.shape[dim - self._dims] - 1) * self.stride[dim] - 2 * self.padding[dim] + span
            if not least <= size < least + self.stride[dim]:
                most = least + self.stride[dim] - 1
                raise ValueError(f"{name}: output_size[{dim}] must be between {least} and {most}, not {size}")
            extra.append(size - least)
        return tuple(extra)


class Conv1d(_Conv):
    """Cross-correlation with a filter for each output channel.

    The input is (N, C_in, L) or (C_in, L), and so is the output, with C_out channels.

    ``kernel_size``, ``stride``, ``padding`` and ``dilation`` are an integer or a tuple of one;
    ``padding`` may also be "valid" (none) or "same" (the output has the input's size). ``padding_mode`` is "zeros", or
    another mode of :func:`~tenflowers.nn.functional.pad` that it has.

    >>> nn.Conv1d(16, 33, 3, stride=2)(tf.zeros(20, 16, 50)).shape
    tenflowers.Size([20, 33, 24])
    """

    _dims = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int],
        stride: int | tuple[int] = 1,
        padding: str | int | tuple[int] = 0,
        dilation: int | tuple[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: device | str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            0,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        input, padding = self._padded(input)
        return F.conv1d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv2d(_Conv):
    """Cross-correlation with a filter for each output channel.

    The input is (N, C_in, H, W) or (C_in, H, W), and so is the output, with C_out channels.

    ``kernel_size``, ``stride``, ``padding`` and ``dilation`` are an integer or one for each of height and width;
    ``padding`` may also be "valid" (none) or "same" (the output has the input's size). ``padding_mode`` is "zeros", or
    another mode of :func:`~tenflowers.nn.functional.pad` that it has.

    >>> nn.Conv2d(16, 33, 3, stride=2)(tf.zeros(20, 16, 50, 100)).shape
    tenflowers.Size([20, 33, 24, 49])
    """

    _dims = 2

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
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            0,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        input, padding = self._padded(input)
        return F.conv2d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv3d(_Conv):
    """Cross-correlation with a filter for each output channel.

    The input is (N, C_in, D, H, W) or (C_in, D, H, W), and so is the output, with C_out channels.

    ``kernel_size``, ``stride``, ``padding`` and ``dilation`` are an integer or one for each of depth, height
    and width;
    ``padding`` may also be "valid" (none) or "same" (the output has the input's size). ``padding_mode`` is "zeros", or
    another mode of :func:`~tenflowers.nn.functional.pad` that it has.

    >>> nn.Conv3d(2, 4, 3, stride=(2, 1, 1))(tf.zeros(1, 2, 7, 5, 6)).shape
    tenflowers.Size([1, 4, 3, 3, 4])
    """

    _dims = 3

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int, int],
        stride: int | tuple[int, int, int] = 1,
        padding: str | int | tuple[int, int, int] = 0,
        dilation: int | tuple[int, int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: device | str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            0,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        input, padding = self._padded(input)
        return F.conv3d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class ConvTranspose1d(_Conv):
    """The transpose of :class:`Conv1d`, which takes outputs of its size to its inputs' size.

    The input is (N, C_in, L) or (C_in, L), and so is the output, with C_out channels. A dimension of
    ``n`` becomes ``(n - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1``.

    ``output_padding`` adds to one side only; ``forward`` finds it from ``output_size`` if that is given.

    >>> nn.ConvTranspose1d(2, 3, 4, stride=2, padding=1)(tf.zeros(1, 2, 5)).shape
    tenflowers.Size([1, 3, 10])
    """

    _dims = 1
    _transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int],
        stride: int | tuple[int] = 1,
        padding: int | tuple[int] = 0,
        output_padding: int | tuple[int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int] = 1,
        padding_mode: str = "zeros",
        device: device | str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            output_padding,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Tensor, output_size: list[int] | tuple[int, ...] | None = None) -> Tensor:
        extra = self._output_padding(input, output_size)
        assert not isinstance(self.padding, str)
        return F.conv_transpose1d(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )


class ConvTranspose2d(_Conv):
    """The transpose of :class:`Conv2d`, which takes outputs of its size to its inputs' size.

    The input is (N, C_in, H, W) or (C_in, H, W), and so is the output, with C_out channels. A dimension of
    ``n`` becomes ``(n - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1``.

    ``output_padding`` adds to one side only; ``forward`` finds it from ``output_size`` if that is given.

    >>> nn.ConvTranspose2d(16, 8, 3, stride=2, padding=1)(tf.zeros(1, 16, 6, 6), output_size=(12, 12)).shape
    tenflowers.Size([1, 8, 12, 12])
    """

    _dims = 2
    _transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        output_padding: int | tuple[int, int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, int] = 1,
        padding_mode: str = "zeros",
        device: device | str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            output_padding,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Tensor, output_size: list[int] | tuple[int, ...] | None = None) -> Tensor:
        extra = self._output_padding(input, output_size)
        assert not isinstance(self.padding, str)
        return F.conv_transpose2d(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )


class ConvTranspose3d(_Conv):
    """The transpose of :class:`Conv3d`, which takes outputs of its size to its inputs' size.

    The input is (N, C_in, D, H, W) or (C_in, D, H, W), and so is the output, with C_out channels. A dimension of
    ``n`` becomes ``(n - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1``.

    ``output_padding`` adds to one side only; ``forward`` finds it from ``output_size`` if that is given.

    >>> nn.ConvTranspose3d(2, 3, 2, stride=2)(tf.zeros(1, 2, 2, 3, 4)).shape
    tenflowers.Size([1, 3, 4, 6, 8])
    """

    _dims = 3
    _transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int, int],
        stride: int | tuple[int, int, int] = 1,
        padding: int | tuple[int, int, int] = 0,
        output_padding: int | tuple[int, int, int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, int, int] = 1,
        padding_mode: str = "zeros",
        device: device | str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            output_padding,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Tensor, output_size: list[int] | tuple[int, ...] | None = None) -> Tensor:
        extra = self._output_padding(input, output_size)
        assert not isinstance(self.padding, str)
        return F.conv_transpose3d(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )
