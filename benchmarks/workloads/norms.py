"""Normalization, forward and both ways."""

from __future__ import annotations

from typing import Any

from .registry import Build, Peer, Step, both_ways, forward, workload

FAMILY = "normalization"


def layer(kind: str, args: tuple[Any, ...], shape: tuple[int, ...], *, back: bool = False, train: bool = True) -> Build:
    def build(p: Peer) -> Step:
        net = getattr(p.nn, kind)(*args).train(train)
        if back:
            return both_ways(net, p.normal(*shape, grad=True), parameters=net.parameters())
        return forward(net, p.normal(*shape), p=p)

    return build


def layer_norm(p: Peer) -> Step:
    x = p.normal(1000, 1000)

    def step() -> object:
        centred = x - x.mean(-1, keepdims=True)
        return centred / ((centred * centred).mean(-1, keepdims=True) + 1e-5) ** 0.5

    return step


workload("layer_norm 1000x1000", FAMILY, layer("LayerNorm", (1000,), (1000, 1000)), numpy=layer_norm)
workload("batch_norm in use 8x64x28x28", FAMILY, layer("BatchNorm2d", (64,), (8, 64, 28, 28), train=False))
for back in (False, True):
    end = " both ways" if back else ""
    workload(f"layer_norm 1024x512{end}", FAMILY, layer("LayerNorm", (512,), (1024, 512), back=back))
    workload(f"batch_norm in training 8x64x28x28{end}", FAMILY, layer("BatchNorm2d", (64,), (8, 64, 28, 28), back=back))
    workload(f"group_norm 8x64x28x28{end}", FAMILY, layer("GroupNorm", (8, 64), (8, 64, 28, 28), back=back))
    workload(f"rms_norm 1024x512{end}", FAMILY, layer("RMSNorm", (512,), (1024, 512), back=back))
