"""Elements that go elsewhere: copies of views, joining, flipping, padding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .registry import Build, Peer, Step, workload

FAMILY = "movement"


def moved(function: Callable[[Peer, Any], object], *shape: int) -> Build:
    def build(p: Peer) -> Step:
        x = p.normal(*shape or (1000, 1000))
        return lambda: function(p, x)

    return build


workload("clone 1M", FAMILY, moved(lambda p, x: x.clone()), numpy=moved(lambda p, x: x.copy()))
workload(
    "transposed copy 1M",
    FAMILY,
    moved(lambda p, x: x.T.contiguous()),
    numpy=moved(lambda p, x: np.ascontiguousarray(x.T)),
)
workload(
    "channels last copy 8x64x56x56",
    FAMILY,
    moved(lambda p, x: x.permute(0, 2, 3, 1).contiguous(), 8, 64, 56, 56),
    numpy=moved(lambda p, x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)), 8, 64, 56, 56),
)
workload(
    "heads copy 8x128x8x64",
    FAMILY,
    moved(lambda p, x: x.transpose(1, 2).contiguous(), 8, 128, 8, 64),
    numpy=moved(lambda p, x: np.ascontiguousarray(x.swapaxes(1, 2)), 8, 128, 8, 64),
)
workload("cat 2x1M", FAMILY, moved(lambda p, x: p.m.cat([x, x])), numpy=moved(lambda p, x: np.concatenate([x, x])))
workload(
    "cat along columns 2x1M",
    FAMILY,
    moved(lambda p, x: p.m.cat([x, x], 1)),
    numpy=moved(lambda p, x: np.concatenate([x, x], 1)),
)
workload("stack 4x1M", FAMILY, moved(lambda p, x: p.m.stack([x] * 4)), numpy=True)
workload("flip 1M", FAMILY, moved(lambda p, x: x.flip(1)), numpy=moved(lambda p, x: np.flip(x, 1).copy()))
workload("roll 1M", FAMILY, moved(lambda p, x: p.m.roll(x, 17, 1)), numpy=True)
workload("tril 1M", FAMILY, moved(lambda p, x: p.m.tril(x)), numpy=True)
workload("pad 8x64x56x56", FAMILY, moved(lambda p, x: p.F.pad(x, (1, 1, 1, 1)), 8, 64, 56, 56))
workload(
    "every second column 1M",
    FAMILY,
    moved(lambda p, x: x[:, ::2].contiguous()),
    numpy=moved(lambda p, x: x[:, ::2].copy()),
)
