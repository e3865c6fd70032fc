"""Networks in use, one input or few at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import networks
from .registry import Build, Peer, Step, forward, workload

FAMILY = "inference"


def using(network: Callable[[Peer], Any], data: Callable[[Peer], Any]) -> Build:
    def build(p: Peer) -> Step:
        p.m.manual_seed(0)
        return forward(network(p).eval(), data(p), p=p)

    return build


workload("MLP 784-128-10, 1 image", FAMILY, using(networks.mlp, lambda p: p.normal(1, 784)))
workload("CNN for 28x28, 1 image", FAMILY, using(networks.cnn, lambda p: p.normal(1, 1, 28, 28)))
workload("ResNet for 32x32, 1 image", FAMILY, using(networks.resnet, lambda p: p.normal(1, 3, 32, 32)))
workload("GPT of two layers of 128, 64 tokens", FAMILY, using(networks.gpt, lambda p: p.integers(256, 1, 64)))
