"""What the regression check measures, and how many times as long as NumPy each may take.

The limits are twice what was measured with one thread on x86-64, the worse of AVX-512 and AVX2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import tenflowers as tf

F = tf.nn.functional
RNG = np.random.default_rng(0)
Step = Callable[[], object]


@dataclass(frozen=True)
class Check:
    name: str
    # Ours may take so many times as long as NumPy's.
    limit: float
    ours: Step
    numpy: Step


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape, dtype=np.float32)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def layer_norm(x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return np.asarray(centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + np.float32(1e-5)))


def cross_entropy(x: np.ndarray, labels: np.ndarray) -> object:
    shifted = x - x.max(-1, keepdims=True)
    return (np.log(np.exp(shifted).sum(-1)) - shifted[np.arange(len(x)), labels]).mean()


def train_numpy(x: np.ndarray, w: np.ndarray, v: np.ndarray) -> object:
    """The products of a step of an MLP of two layers, both ways."""
    h = np.maximum(x @ w, 0)
    y = h @ v
    g = (y @ v.T) * (h > 0)
    return h.T @ y, x.T @ g


def train(x: tf.Tensor, w: tf.Tensor, v: tf.Tensor) -> object:
    w.grad = v.grad = None
    y = (x @ w).relu() @ v
    y.backward(y.detach())
    return w.grad


def often(step: Step, times: int = 200) -> Step:
    def run() -> None:
        for _ in range(times):
            step()

    return run


def checks() -> list[Check]:
    x, y = normal(1000, 1000), normal(1000, 1000)
    a, b = tf.from_numpy(x), tf.from_numpy(y)
    small, tiny = normal(2, 2), tf.from_numpy(normal(2, 2))
    rows, labels = RNG.integers(0, 1000, 5000), RNG.integers(0, 1000, 1000)
    index, classes = tf.from_numpy(rows), tf.from_numpy(labels)
    m, n = normal(256, 256), normal(1024, 1024)
    p, q = tf.from_numpy(m), tf.from_numpy(n)
    image, weight = tf.from_numpy(normal(4, 32, 28, 28)), tf.from_numpy(normal(64, 32, 3, 3))
    # What a convolution costs is known: as much as this product, when its columns are there for nothing.
    columns, taps = normal(4 * 28 * 28, 32 * 9), normal(32 * 9, 64)
    batch, w, v = normal(64, 784), normal(784, 128), normal(128, 128)
    w_ours, v_ours = (tf.from_numpy(z).requires_grad_(True) for z in (w, v))
    batch_ours = tf.from_numpy(batch)
    return [
        Check("add 1M", 2.00, lambda: a + b, lambda: x + y),
        Check("add one row to all 1M", 1.10, lambda: a + b[0], lambda: x + y[0]),
        Check("exp 1M", 1.80, a.exp, lambda: np.exp(x)),
        Check("tanh 1M", 4.20, a.tanh, lambda: np.tanh(x)),
        Check("sum 1M", 0.60, a.sum, x.sum),
        Check("sum over rows 1M", 1.60, lambda: a.sum(0), lambda: x.sum(0)),
        Check("argmax 1M", 3.70, lambda: a.argmax(-1), lambda: x.argmax(-1)),
        Check("cumsum 1M", 0.35, lambda: a.cumsum(1), lambda: x.cumsum(1)),
        Check("sort 1M", 0.75, lambda: a.sort(-1), lambda: x.argsort(-1)),
        Check("transposed copy 1M", 0.45, a.T.contiguous, lambda: np.ascontiguousarray(x.T)),
        Check("rows by index", 1.20, lambda: a[index], lambda: x[rows]),
        Check("randn 1M", 0.40, lambda: tf.randn(1000, 1000), lambda: normal(1000, 1000)),
        Check("softmax 1000x1000", 0.65, lambda: tf.softmax(a, -1), lambda: softmax(x)),
        Check("layer_norm 1000x1000", 0.50, lambda: F.layer_norm(a, (1000,)), lambda: layer_norm(x)),
        Check("cross_entropy", 0.95, lambda: F.cross_entropy(a, classes), lambda: cross_entropy(x, labels)),
        Check("matmul 256", 2.00, lambda: p @ p, lambda: m @ m),
        Check("matmul 1024", 1.90, lambda: q @ q, lambda: n @ n),
        Check("matmul, b transposed 256", 2.60, lambda: p @ p.T, lambda: m @ m.T),
        Check("conv2d 3x3, its product", 0.70, lambda: F.conv2d(image, weight, padding=1), lambda: columns @ taps),
        Check("MLP both ways", 2.00, lambda: train(batch_ours, w_ours, v_ours), lambda: train_numpy(batch, w, v)),
        Check("small add", 2.30, often(lambda: tiny + tiny), often(lambda: small + small)),
        Check("small sum", 0.65, often(tiny.sum), often(small.sum)),
        Check("small product", 0.90, often(lambda: tiny @ tiny), often(lambda: small @ small)),
    ]
