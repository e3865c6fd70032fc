"""Convolutions of one to three dimensions, forward and both ways, and pooling."""

from __future__ import annotations

from typing import Any

from .registry import Peer, Step, both_ways, forward, workload


def layer(
    p: Peer, kind: str, args: tuple[Any, ...], options: dict[str, Any], shape: tuple[int, ...], back: bool
) -> Step:
    net = getattr(p.nn, kind)(*args, **options)
    if back:
        return both_ways(net, p.normal(*shape, grad=True), parameters=net.parameters())
    return forward(net.eval(), p.normal(*shape), p=p)


def row(
    name: str,
    kind: str,
    args: tuple[Any, ...],
    shape: tuple[int, ...],
    *,
    back: bool = False,
    flops: float = 0,
    **options: Any,
) -> None:
    family = "pooling" if "Pool" in kind else "convolutions"
    full = f"{name} both ways" if back else name
    workload(full, family, lambda p: layer(p, kind, args, options, shape, back), flops=flops)


for back in (False, True):
    row("conv2d 3x3, 64 to 64, 4x56x56", "Conv2d", (64, 64, 3), (4, 64, 56, 56), padding=1, back=back)
    row("conv2d 3x3, 256 to 256, 4x14x14", "Conv2d", (256, 256, 3), (4, 256, 14, 14), padding=1, back=back)
    row(
        "conv2d 3x3 stride 2, 64 to 128, 4x56x56",
        "Conv2d",
        (64, 128, 3),
        (4, 64, 56, 56),
        stride=2,
        padding=1,
        back=back,
    )
    row("conv2d 1x1, 64 to 256, 8x28x28", "Conv2d", (64, 256, 1), (8, 64, 28, 28), back=back)
    row(
        "conv2d 7x7 stride 2, 3 to 64, 4x112x112",
        "Conv2d",
        (3, 64, 7),
        (4, 3, 112, 112),
        stride=2,
        padding=3,
        back=back,
    )
    row("conv2d 5x5, 16 to 32, 16x28x28", "Conv2d", (16, 32, 5), (16, 16, 28, 28), padding=2, back=back)
    row(
        "conv2d 3x3 depthwise, 128, 4x28x28",
        "Conv2d",
        (128, 128, 3),
        (4, 128, 28, 28),
        padding=1,
        groups=128,
        back=back,
    )
    row("conv1d 5, 64 to 64, 16x256", "Conv1d", (64, 64, 5), (16, 64, 256), padding=2, back=back)
    row("max_pool2d 2, 8x64x56x56", "MaxPool2d", (2,), (8, 64, 56, 56), back=back)
    row("max_pool2d 3 stride 2, 8x64x56x56", "MaxPool2d", (3, 2, 1), (8, 64, 56, 56), back=back)
row("conv3d 3x3x3, 16 to 32, 2x8x28x28", "Conv3d", (16, 32, 3), (2, 16, 8, 28, 28), padding=1)
row(
    "conv_transpose2d 4 stride 2, 64 to 32, 4x16x16",
    "ConvTranspose2d",
    (64, 32, 4),
    (4, 64, 16, 16),
    stride=2,
    padding=1,
)
row("avg_pool2d 2, 8x64x56x56", "AvgPool2d", (2,), (8, 64, 56, 56))
row("adaptive_avg_pool2d 1, 8x512x7x7", "AdaptiveAvgPool2d", (1,), (8, 512, 7, 7))
