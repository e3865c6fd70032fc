"""One step of an optimizer, with gradients that are there already."""

from __future__ import annotations

from typing import Any

from .registry import Peer, Step, workload


def step(p: Peer, name: str, options: dict[str, Any]) -> Step:
    net = p.nn.Sequential(p.nn.Linear(784, 128), p.nn.ReLU(), p.nn.Linear(128, 10))
    for parameter in net.parameters():
        parameter.grad = p.normal(*parameter.shape)
    optimizer = getattr(p.m.optim, name)(net.parameters(), **options)
    return optimizer.step  # type: ignore[no-any-return]


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {"lr": 1e-3}),
    "SGD with momentum": ("SGD", {"lr": 1e-3, "momentum": 0.9}),
    "Adam": ("Adam", {"lr": 1e-3}),
    "AdamW": ("AdamW", {"lr": 1e-3}),
}
for title, (name, options) in CASES.items():
    workload(
        f"{title}, 101,770 parameters",
        "optimizers",
        lambda p, name=name, options=options: step(p, name, options),  # type: ignore[misc]
    )
