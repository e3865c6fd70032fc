"""Matrix products of all shapes, and linear layers."""

from __future__ import annotations

from typing import Any

from .registry import Build, Peer, Step, both_ways, forward, workload

FAMILY = "matrix products"


def product(m: int, k: int, n: int, *, batch: int = 0, dtype: str = "float32", turned: str = "") -> Build:
    """`turned` names the operands that are views of their transposes."""

    def operand(p: Peer, name: str, rows: int, columns: int) -> Any:
        shape = (columns, rows) if name in turned else (rows, columns)
        made = p.normal(*((batch,) if batch else ()), *shape)
        if dtype != "float32":
            made = made.astype(dtype) if p.is_numpy else made.to(getattr(p.m, dtype))
        return made.T if name in turned else made

    def build(p: Peer) -> Step:
        a, b = operand(p, "a", m, k), operand(p, "b", k, n)
        return lambda: a @ b

    return build


def vector(p: Peer) -> Step:
    a, x = p.normal(2048, 2048), p.normal(2048)
    return lambda: a @ x


def linear(p: Peer) -> Step:
    x, weight, bias = p.normal(32, 784), p.normal(128, 784), p.normal(128)
    return (lambda: x @ weight.T + bias) if p.is_numpy else forward(p.F.linear, x, weight, bias, p=p)


for n in (16, 64, 128, 256, 512, 1000, 1024, 2048):
    workload(f"matmul {n}", FAMILY, product(n, n, n), numpy=True, flops=2 * n**3)
workload("matmul float64 512", FAMILY, product(512, 512, 512, dtype="float64"), numpy=True, flops=2 * 512**3)
workload("matmul bfloat16 512", FAMILY, product(512, 512, 512, dtype="bfloat16"), flops=2 * 512**3)
workload("matmul float16 512", FAMILY, product(512, 512, 512, dtype="float16"), flops=2 * 512**3)
workload("matmul a, b transposed 512", FAMILY, product(512, 512, 512, turned="b"), numpy=True, flops=2 * 512**3)
workload("matmul a transposed, b 512", FAMILY, product(512, 512, 512, turned="a"), numpy=True, flops=2 * 512**3)
workload("matmul 4096x64x4096", FAMILY, product(4096, 64, 4096), numpy=True, flops=2 * 4096 * 64 * 4096)
workload("matmul 64x8192x64", FAMILY, product(64, 8192, 64), numpy=True, flops=2 * 64 * 8192 * 64)
workload("matmul 1x1024x1024", FAMILY, product(1, 1024, 1024), numpy=True)
workload("bmm 16x128x64x128", FAMILY, product(128, 64, 128, batch=16), numpy=True, flops=32 * 128 * 64 * 128)
workload("bmm 512x32x32x32", FAMILY, product(32, 32, 32, batch=512), numpy=True, flops=1024 * 32**3)
workload("matrix and vector 2048", FAMILY, vector, numpy=True)
workload("linear 32x784 to 128", FAMILY, linear, numpy=True, flops=2 * 32 * 784 * 128)
workload(
    "linear both ways 256x512 to 512",
    FAMILY,
    lambda p: both_ways(
        p.F.linear, p.normal(256, 512, grad=True), p.normal(512, 512, grad=True), p.normal(512, grad=True)
    ),
    flops=6 * 256 * 512 * 512,
)
