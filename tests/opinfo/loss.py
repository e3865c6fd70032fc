"""Losses of `nn.functional`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .spec import COMPLEX, FLOAT, Array, Const, Maker, OpInfo, Sample, sample

LOOSE = {"float16": (1e-2, 1e-2), "bfloat16": (3e-2, 3e-2), "float32": (5e-6, 5e-6)}


def _pointwise_samples(m: Maker) -> Iterator[Sample]:
    """Two tensors alike, whose difference is nowhere zero."""
    x = m(3, 4)
    y = m.array(x + m.nonzero(3, 4))
    yield sample(x, y)
    yield sample(x, y, reduction="sum")
    yield sample(x, y, reduction="none")
    yield sample(m.array(1.0), m.array(2.5))
    yield sample(m(0, 2), m(0, 2), reduction="sum")
    yield sample(m(4, 3).T, y, reduction="none")
    for reduction in ("mean", "sum", "none"):
        yield sample(x, y, reduction=reduction, weight=Const(m(3, 4, low=0.5, high=2.0)))


def _reduced(values: Any, reduction: str) -> Any:
    reductions: dict[str, Callable[[Any], Any]] = {"none": np.asarray, "sum": np.sum, "mean": np.mean}
    return reductions[reduction](values)


def _weighted(size: Callable[[Array], Array]) -> Callable[..., Any]:
    """The mean of a loss with weights is over the weights."""

    def reference(x: Array, y: Array, reduction: str = "mean", weight: Any = None) -> Any:
        losses = size(x - y)
        if weight is None:
            return _reduced(losses, reduction)
        losses = losses * weight
        return losses.sum() / weight.sum() if reduction == "mean" else _reduced(losses, reduction)

    return reference


def _classes(m: Maker, count: int, *shape: int) -> Const:
    return Const(np.asarray(m.rng.integers(0, count, shape), dtype=np.int64))


def _nll_samples(m: Maker) -> Iterator[Sample]:
    weight = Const(m(4, low=0.5, high=2.0))
    yield sample(m(3, 4), _classes(m, 4, 3))
    yield sample(m(3, 4), _classes(m, 4, 3), weight)
    yield sample(m(3, 4), _classes(m, 4, 3), reduction="sum")
    yield sample(m(3, 4), _classes(m, 4, 3), weight, reduction="none")
    yield sample(m(3, 4), Const(np.array([0, -100, 2])))
    yield sample(m(3, 4), Const(np.array([0, 1, 2])), weight, ignore_index=1)
    yield sample(m(4), Const(np.array(2)))
    yield sample(m(2, 4, 3), _classes(m, 4, 2, 3))
    yield sample(m(2, 4, 2, 3), _classes(m, 4, 2, 2, 3), weight)
    yield sample(m(4, 3).T, _classes(m, 4, 3))
    yield sample(m(0, 4), _classes(m, 4, 0), reduction="sum")


def _cross_entropy_samples(m: Maker) -> Iterator[Sample]:
    yield from _nll_samples(m)
    weight = Const(m(4, low=0.5, high=2.0))
    yield sample(m(3, 4), _classes(m, 4, 3), label_smoothing=0.2)
    yield sample(m(3, 4), Const(np.array([0, -100, 2])), weight, label_smoothing=0.2)
    yield sample(m(2, 4, 3), _classes(m, 4, 2, 3), weight, label_smoothing=0.1, reduction="sum")
    yield sample(m.array([[1000.0, 0.0, -1000.0]]), Const(np.array([0]))).rough()
    yield sample(m.array([[1000.0, 0.0, -1000.0]]), Const(np.array([1]))).rough()
    chances = m(3, 4, low=0.1, high=1.0)
    yield sample(m(3, 4), chances)
    yield sample(m(3, 4), chances, weight, reduction="sum")
    yield sample(m(3, 4), chances, reduction="none", label_smoothing=0.3)
    yield sample(m(2, 4, 3), m(2, 4, 3, low=0.1, high=1.0))


def _bce_samples(m: Maker) -> Iterator[Sample]:
    def target(*shape: int) -> Array:
        return m(*shape, low=0.1, high=0.9)

    yield sample(m(3, 4), target(3, 4))
    yield sample(m(3, 4), target(3, 4), reduction="sum")
    yield sample(m(3, 4), target(3, 4), reduction="none")
    yield sample(m(3, 4), target(3, 4), Const(m(3, 4, low=0.5, high=2)))
    yield sample(m(3, 4), target(3, 4), weight=Const(m(4, low=0.5, high=2)))
    yield sample(m(3, 4), target(3, 4), pos_weight=Const(m(4, low=0.5, high=2)))
    yield sample(m(4, 3).T, target(3, 4))
    yield sample(m(), target())
    yield sample(m(0, 2), target(0, 2), reduction="sum")
    # exp overflows on both sides.
    yield sample(m.array([1000.0, -1000.0, 100.0, -100.0]), m.array([1.0, 0.0, 0.0, 1.0]), reduction="none").rough()


def _nll(x: Array, target: Array, weight: Any = None, reduction: str = "mean", ignore_index: int = -100) -> Any:
    if x.ndim == 1:
        kept = _nll(x[None], np.reshape(target, 1), weight, reduction, ignore_index)
        return kept[0] if reduction == "none" else kept
    valid = target != ignore_index
    safe = np.where(valid, target, 0)
    picked = np.take_along_axis(x, np.expand_dims(safe, 1), 1).squeeze(1)
    scale = np.where(valid, 1.0 if weight is None else weight[safe], 0.0)
    losses = -picked * scale
    if reduction == "mean":
        return losses.sum() / scale.sum()
    return losses if reduction == "none" else losses.sum()


def _cross_entropy(
    x: Array,
    target: Array,
    weight: Any = None,
    reduction: str = "mean",
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Any:
    axis = min(1, x.ndim - 1)
    shifted = x - x.max(axis, keepdims=True) if x.size else x
    logs = shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))
    count = x.shape[axis]
    scale = np.ones(count) if weight is None else weight
    along = scale.reshape((-1,) + (1,) * (x.ndim - axis - 1))
    if target.dtype.kind == "f":
        smooth = target * (1 - label_smoothing) + label_smoothing / count
        losses = -(logs * smooth * along).sum(axis)
        return losses.sum() / (x.size / count) if reduction == "mean" else _reduced(losses, reduction)
    plain = _nll(logs, target, weight, reduction, ignore_index)
    if label_smoothing == 0:
        return plain
    valid = target != ignore_index
    spread = np.where(valid, -(logs * along).sum(axis), 0.0)
    if reduction == "mean":
        spread = spread.sum() / np.where(valid, scale[np.where(valid, target, 0)], 0.0).sum()
    elif reduction == "sum":
        spread = spread.sum()
    return (1 - label_smoothing) * plain + label_smoothing / count * spread


def _bce(x: Array, target: Array, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> Any:
    positive = 1.0 if pos_weight is None else pos_weight
    losses = positive * target * np.logaddexp(0, -x) + (1 - target) * np.logaddexp(0, x)
    return _reduced(losses if weight is None else losses * weight, reduction)


def _row(name: str, samples: Callable[[Maker], Iterator[Sample]], reference: Callable[..., Any], **more: Any) -> OpInfo:
    return OpInfo(name, samples, reference, FLOAT, ("float64",), places=("nn",), tolerance=LOOSE, **more)


OPS = [
    _row("cross_entropy", _cross_entropy_samples, _cross_entropy, refused=COMPLEX),
    _row("nll_loss", _nll_samples, _nll, refused=COMPLEX),
    _row("mse_loss", _pointwise_samples, _weighted(np.square)),
    _row("l1_loss", _pointwise_samples, _weighted(np.abs)),
    _row("binary_cross_entropy_with_logits", _bce_samples, _bce, refused=COMPLEX),
]
