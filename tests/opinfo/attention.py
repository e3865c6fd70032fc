"""Attention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .spec import COMPLEX, FLOAT, HALF, INT, Array, Const, Maker, OpInfo, Sample, sample

LOOSE = {**dict.fromkeys(HALF, (2e-2, 2e-2)), "float32": (1e-5, 1e-5)}


def _keep(m: Maker, *shape: int) -> Const:
    return Const(np.asarray(m.rng.uniform(size=shape) < 0.6))


def _samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 3), m(4, 3), m(4, 5))
    yield sample(m(2, 3, 4), m(2, 2, 4), m(2, 2, 4), is_causal=True)
    yield sample(m(2, 2, 3, 4), m(2, 2, 3, 4), m(2, 2, 3, 2), _keep(m, 3, 3))
    yield sample(m(2, 3, 2, 4).swapaxes(1, 2), m(2, 5, 2, 4).swapaxes(1, 2), m(2, 2, 3, 5).swapaxes(2, 3), scale=0.3)
    yield sample(m(2, 2, 3, 4), m(1, 2, 5, 4), m(2, 1, 5, 4), attn_mask=_keep(m, 2, 1, 1, 5))
    yield sample(m(2, 3), m(4, 3), m(4, 5), m(2, 4))
    yield sample(m(2, 2, 3), m(2, 4, 3), m(2, 4, 5), m(2, 4), dropout_p=0.0, is_causal=True).ours()
    # Rows that see nothing.
    yield sample(m(3, 2), m(2, 2), m(2, 2), Const(np.array([[True, False], [False, False], [True, True]])))
    if m.is_float:
        hidden = np.where(np.arange(3)[:, None] == 1, -np.inf, m(3, 4))
        yield sample(m(2, 3, 2), m(2, 4, 2), m(2, 4, 2), Const(m.array(hidden)), 0.0, True).ours()
    yield sample(m(1, 4, 2, 3), m(1, 2, 3, 3), m(1, 2, 3, 3), enable_gqa=True)
    yield sample(
        m(1, 6, 2, 3), m(1, 2, 3, 3), m(1, 3, 3, 3), _keep(m, 1, 6, 2, 3), enable_gqa=True, is_causal=True
    ).ours()
    yield sample(m(4, 2, 3), m(1, 3, 3), m(1, 3, 3), _keep(m, 2, 3), enable_gqa=True)
    yield sample(m(2, 2, 3, 4), m(2, 2, 3, 4), m(2, 2, 3, 4), dropout_p=0.0, scale=2.0)
    yield sample(m(2, 0, 3), m(2, 4, 3), m(2, 4, 5)).rough()
    yield sample(m(2, 3), m(0, 3), m(0, 5)).rough()
    yield sample(m(2, 0), m(4, 0), m(4, 5)).rough()
    yield sample(m(2, 3), m(4, 3), m(4, 0)).rough()
    yield sample(m(0, 2, 3), m(0, 4, 3), m(0, 4, 5)).rough()
    # More than a block of rows and of keys, and no multiple of either.
    yield sample(m(1, 2, 77, 19), m(1, 2, 301, 19), m(1, 2, 301, 35)).rough()
    yield sample(m(2, 300, 8), m(2, 290, 8), m(2, 290, 8), is_causal=True).rough()
    yield sample(m(2, 70, 8), m(2, 140, 8), m(2, 140, 8), _keep(m, 70, 140)).rough()
    yield sample(
        m(1, 70, 2, 2048).swapaxes(1, 2), m(1, 9, 2, 2048).swapaxes(1, 2), m(1, 9, 2, 8).swapaxes(1, 2)
    ).rough()


def attention(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """The weights of each query, and the averages."""
    if enable_gqa:
        key = np.repeat(key, query.shape[-3] // key.shape[-3], -3)
        value = np.repeat(value, query.shape[-3] // value.shape[-3], -3)
    if scale is None:
        scale = 1 / np.sqrt(query.shape[-1]) if query.shape[-1] else 0.0
    scores = scale * query @ np.swapaxes(key, -1, -2)
    if is_causal:
        scores = np.where(np.tri(*scores.shape[-2:], dtype=bool), scores, -np.inf)
    if attn_mask is not None:
        scores = np.where(attn_mask, scores, -np.inf) if attn_mask.dtype == bool else scores + attn_mask
    top = scores.max(-1, keepdims=True, initial=-np.inf)
    weights = np.exp(scores - np.where(np.isfinite(top), top, 0.0))
    total = weights.sum(-1, keepdims=True)
    return (weights / np.where(total == 0, 1.0, total)) @ value


OPS: list[OpInfo] = [
    OpInfo(
        "scaled_dot_product_attention",
        _samples,
        attention,
        dtypes=FLOAT,
        grad_dtypes=("float64",),
        places=("nn",),
        refused=(*INT, *COMPLEX),
        tolerance=LOOSE,
    ),
]
