"""Whole steps of training: forward, loss, backward, optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import networks
from .registry import Build, Peer, Step, workload

FAMILY = "training"
Data = Callable[[Peer], tuple[Any, Any]]


def training(network: Callable[[Peer], Any], data: Data, optimizer: str, **options: Any) -> Build:
    def build(p: Peer) -> Step:
        p.m.manual_seed(0)
        net, (inputs, labels) = network(p), data(p)
        rule = getattr(p.m.optim, optimizer)(net.parameters(), **options)

        def step() -> object:
            rule.zero_grad()
            loss = p.F.cross_entropy(net(inputs), labels)
            loss.backward()
            rule.step()
            return loss

        return step

    return build


def squares(network: Callable[[Peer], Any], *shape: int) -> Build:
    """Training of a layer that has no classes."""

    def build(p: Peer) -> Step:
        net, inputs = network(p), p.normal(*shape)
        rule = p.m.optim.SGD(net.parameters(), lr=1e-2)

        def step() -> object:
            rule.zero_grad()
            found = net(inputs)
            loss = (found[0] if isinstance(found, tuple) else found).pow(2).mean()
            loss.backward()
            rule.step()
            return loss

        return step

    return build


def images(*shape: int) -> Data:
    return lambda p: (p.normal(*shape), p.integers(10, shape[0]))


workload("MLP 784-128-10, 32 images", FAMILY, training(networks.mlp, images(32, 784), "Adam", lr=1e-3))
workload(
    "MLP of four layers of 1024, 256 rows", FAMILY, training(networks.wide_mlp, images(256, 1024), "Adam", lr=1e-3)
)
workload("CNN for 28x28, 64 images", FAMILY, training(networks.cnn, images(64, 1, 28, 28), "Adam", lr=1e-3))
workload(
    "ResNet for 32x32, 16 images", FAMILY, training(networks.resnet, images(16, 3, 32, 32), "SGD", lr=0.1, momentum=0.9)
)
workload(
    "GPT of two layers of 128, 8x64 tokens",
    FAMILY,
    training(networks.gpt, lambda p: (p.integers(256, 8, 64), p.integers(256, 512)), "AdamW", lr=3e-4),
)
workload(
    "LSTM training 128 to 256, 16x64", FAMILY, squares(lambda p: p.nn.LSTM(128, 256, batch_first=True), 16, 64, 128)
)
workload(
    "encoder layer of 256, 8x128 tokens",
    FAMILY,
    squares(lambda p: p.nn.TransformerEncoderLayer(256, 8, 1024, batch_first=True, dropout=0.0), 8, 128, 256),
)
