"""Recurrent layers, forward and both ways."""

from __future__ import annotations

from .registry import Build, Peer, Step, both_ways, forward, workload


def layer(kind: str, back: bool) -> Build:
    def build(p: Peer) -> Step:
        net = getattr(p.nn, kind)(128, 256, batch_first=True)
        if back:
            return both_ways(lambda x: net(x)[0], p.normal(16, 64, 128, grad=True), parameters=net.parameters())
        return forward(net, p.normal(16, 64, 128), p=p)

    return build


for kind in ("LSTM", "GRU", "RNN"):
    workload(f"{kind} 128 to 256, 16x64", "recurrent layers", layer(kind, False))
    workload(f"{kind} 128 to 256, 16x64 both ways", "recurrent layers", layer(kind, True))
