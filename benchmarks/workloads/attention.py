"""Scaled dot-product attention and the layers made of it."""

from __future__ import annotations

from .registry import Build, Peer, Step, both_ways, forward, workload

FAMILY = "attention"


def attention(*shape: int, causal: bool, back: bool) -> Build:
    def build(p: Peer) -> Step:
        q, k, v = (p.normal(*shape, grad=back) for _ in range(3))

        def step(q: object, k: object, v: object) -> object:
            return p.F.scaled_dot_product_attention(q, k, v, is_causal=causal)

        return both_ways(step, q, k, v) if back else forward(step, q, k, v, p=p)

    return build


def encoder(p: Peer) -> Step:
    net = p.nn.TransformerEncoderLayer(256, 8, 1024, batch_first=True, dropout=0.0).eval()
    return forward(net, p.normal(8, 128, 256), p=p)


for back in (False, True):
    end = " both ways" if back else ""
    workload(f"attention, causal 4x8x128x64{end}", FAMILY, attention(4, 8, 128, 64, causal=True, back=back))
    workload(f"attention 2x8x512x64{end}", FAMILY, attention(2, 8, 512, 64, causal=False, back=back))
workload("encoder layer 8x128x256", FAMILY, encoder)
