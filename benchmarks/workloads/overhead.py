"""What a small call costs: tensors of 2x2, where the kernel is nothing."""

from __future__ import annotations

from typing import Any

from .registry import Build, Peer, Step, workload

FAMILY = "small calls"
# A call of Python between two readings of the clock would be a part of what is measured.
REPEATS = 100


def repeated(code: str) -> Build:
    """A loop over `code`, compiled, so that the names are local and nothing is called but what is measured."""
    fresh = "x.grad = None; " if "backward" in code else ""
    source = f"def step(a, b, m, F, x):\n for _ in range({REPEATS}): {fresh}y = {code}\n return y"

    def build(p: Peer) -> Step:
        made: dict[str, Any] = {}
        exec(source, made)
        function = made["step"]
        a, b = p.positive(2, 2), p.positive(2, 2)
        x = None if p.is_numpy else p.normal(4, grad=True)
        functional = None if p.is_numpy else p.F
        return lambda: function(a, b, p.m, functional, x)

    return build


# The call, and the same in NumPy where it differs; none where NumPy has nothing of the kind.
CALLS: dict[str, str | None] = {
    "a + b": "a + b",
    "a * 2.0": "a * 2.0",
    "a.exp()": "m.exp(a)",
    "a.relu()": "m.maximum(a, 0)",
    "a @ b": "a @ b",
    "a.sum()": "a.sum()",
    "a.sum(0)": "a.sum(0)",
    "a.t()": "a.T",
    "a.view(4)": "a.reshape(4)",
    "a.shape": "a.shape",
    "a[0]": "a[0]",
    "a[0, 1].item()": "a[0, 1].item()",
    "a.add_(b)": "a.__iadd__(b)",
    "m.cat([a, b])": "m.concatenate([a, b])",
    "m.zeros(2, 2)": "m.zeros((2, 2))",
    "m.tensor([1.0, 2.0])": "m.array([1.0, 2.0])",
    "F.linear(a, b)": "a @ b.T",
    "F.softmax(a, -1)": None,
    "x.mul(x).add(x).sum().backward()": None,
}
for code, numpy in CALLS.items():
    workload(code, FAMILY, repeated(code), numpy=repeated(numpy) if numpy else False)
