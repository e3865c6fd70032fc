"""Losses, both ways."""

from __future__ import annotations

from .registry import Peer, Step, both_ways, workload

FAMILY = "losses"


def cross_entropy(p: Peer) -> Step:
    labels = p.integers(1000, 1024)
    return both_ways(lambda x: p.F.cross_entropy(x, labels), p.normal(1024, 1000, grad=True))


def pointwise(p: Peer, name: str) -> Step:
    target = p.positive(1024, 1000).clamp(0, 1)
    return both_ways(lambda x: getattr(p.F, name)(x, target), p.normal(1024, 1000, grad=True))


workload("cross_entropy 1024x1000 both ways", FAMILY, cross_entropy)
for name in ("mse_loss", "l1_loss", "binary_cross_entropy_with_logits"):
    workload(f"{name} 1M both ways", FAMILY, lambda p, name=name: pointwise(p, name))  # type: ignore[misc]
