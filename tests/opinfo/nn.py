"""Layers: pooling, normalization, embedding, attention's softmax, and `linear`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from .spec import ALL, BOOL, COMPLEX, FLOAT, HALF, INT, Array, Const, DType, Maker, OpInfo, Sample, sample

BOTH = ("float64", "complex128")
LOOSE = {**dict.fromkeys(HALF, (2e-2, 4e-2)), "float32": (1e-5, 1e-5), "complex64": (2e-5, 2e-5)}


def _linear_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 3), m(4, 3))
    yield sample(m(2, 3), m(4, 3), m(4))
    yield sample(m(3), m(4, 3), m(4))
    yield sample(m(2, 2, 3), m(4, 3), bias=m(4))
    yield sample(m(3, 2).T, m(3, 4).T, m(4))
    yield sample(m(0, 3), m(4, 3), m(4))
    yield sample(m(2, 0), m(4, 0), m(4))
    yield sample(m(3), m(3))
    yield sample(m(19, 37), m(35, 37), m(35)).rough()


def _linear(x: Array, weight: Array, bias: Any = None) -> Any:
    result = x @ weight.T
    return result if bias is None else result + bias


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[-1]))


def _max_pool_samples(m: Maker) -> Iterator[Sample]:
    make = m.distinct
    yield sample(make(2, 2, 4, 4), 2)
    yield sample(make(1, 2, 5, 5), (2, 3), stride=1)
    yield sample(make(1, 1, 5, 5), 3, 2, 1)
    yield sample(make(2, 4, 4), 2)
    yield sample(make(1, 1, 6, 6), 2, stride=2, dilation=2)
    yield sample(make(1, 1, 5, 5), 2, ceil_mode=True)
    yield sample(make(1, 1, 3, 17, 3)[:, :, :, :, 0], 3, 2, 1).rough()
    if m.is_float:
        yield sample(m.array(np.full((1, 1, 2, 2), -np.inf)), 3, 1, 1).rough()
        yield sample(m.array([[[1.0, np.nan], [2.0, 3.0]]]), 2).rough()


def _max_pool_positions_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m.distinct(2, 2, 4, 4), 2, return_indices=True)
    yield sample(m.distinct(1, 1, 5, 5), 3, 2, 1, return_indices=True)


def _windows(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> list[int]:
    """Where each window begins, counted without the padding."""
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1  # a window has to begin inside the input or its left padding
    return [n * stride - padding for n in range(count)]


def _max_pool2d(
    x: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    (ky, kx), (dy, dx) = _pair(kernel_size), _pair(dilation)
    (sy, sx), (py, px) = _pair(kernel_size if stride is None else stride), _pair(padding)
    height, width = x.shape[-2:]
    rows = _windows(height, ky, sy, py, dy, ceil_mode)
    columns = _windows(width, kx, sx, px, dx, ceil_mode)
    values = np.empty((*x.shape[:-2], len(rows), len(columns)), dtype=x.dtype)
    positions = np.empty(values.shape, dtype=np.int64)
    for (r, y0), (c, x0) in product(enumerate(rows), enumerate(columns)):
        ys = [y for y in range(y0, y0 + ky * dy, dy) if 0 <= y < height]
        xs = [x for x in range(x0, x0 + kx * dx, dx) if 0 <= x < width]
        window = x[..., ys, :][..., xs].reshape(*x.shape[:-2], -1)
        best = window.argmax(-1)
        values[..., r, c] = np.take_along_axis(window, best[..., None], -1)[..., 0]
        positions[..., r, c] = np.array([y * width + x for y in ys for x in xs])[best]
    return (values, positions) if return_indices else values


def _avg_pool_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 2, 4, 4), 2)
    yield sample(m(1, 2, 5, 5), (2, 3), stride=1)
    yield sample(m(1, 1, 5, 5), 3, 2, 1)
    yield sample(m(1, 1, 5, 5), 3, 2, 1, count_include_pad=False)
    yield sample(m(2, 4, 4), 2)
    yield sample(m(1, 1, 5, 5), 2, ceil_mode=True)
    yield sample(m(1, 1, 4, 4), 2, divisor_override=3)
    yield sample(m(1, 1, 3, 17), 3, 2, 1).rough()


def _avg_pool2d(
    x: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    (ky, kx), (py, px) = _pair(kernel_size), _pair(padding)
    sy, sx = _pair(kernel_size if stride is None else stride)
    height, width = x.shape[-2:]
    rows, columns = _windows(height, ky, sy, py, 1, ceil_mode), _windows(width, kx, sx, px, 1, ceil_mode)
    result = np.empty((*x.shape[:-2], len(rows), len(columns)), dtype=x.dtype)
    for (r, y0), (c, x0) in product(enumerate(rows), enumerate(columns)):
        window = x[..., max(y0, 0) : y0 + ky, max(x0, 0) : x0 + kx]
        if count_include_pad:
            count = (min(y0 + ky, height + py) - y0) * (min(x0 + kx, width + px) - x0)
        else:
            count = window.shape[-2] * window.shape[-1]
        result[..., r, c] = window.sum((-2, -1)) / (divisor_override or count)
    return result


def _softmax_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4), 1)
    yield sample(m(3, 4), 0)
    yield sample(m(2, 3, 4), dim=-2)
    yield sample(m(), 0)
    yield sample(m(0, 3), 1)
    yield sample(m(4, 3).T, -1)
    yield sample(m(3, 67), -1).rough()
    yield sample(m(2, 3), 1, dtype=DType("float64")).gives("float64")
    yield sample(m.array([[1000.0, 1000.0, 0.0], [-1000.0, 0.0, 1.0]]), 1).rough()
    yield sample(m.array([[-np.inf, 0.0, 1.0], [np.inf, 0.0, 1.0], [np.nan, 0.0, 1.0]]), 1).rough()


def _softmax_of_integers(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4), 1, dtype=DType("float32"))


def _log_softmax(x: Array, dim: int) -> Any:
    axis = None if x.ndim == 0 else dim
    x = x.astype(np.float64)
    shifted = x - (x.max(axis, keepdims=True) if x.size else 0.0)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


def _layer_norm_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4), (4,))
    yield sample(m(3, 4), [4], m(4), m(4))
    yield sample(m(2, 3, 4), (3, 4), m(3, 4), m(3, 4))
    yield sample(m(2, 3, 4), (4,), weight=m(4))
    yield sample(m(3, 4), (4,), bias=m(4), eps=0.1).ours()
    yield sample(m(4, 3).T, (4,), m(4), m(4), 0.1)
    yield sample(m(0, 4), (4,), m(4), m(4))
    yield sample(m(2, 67), (67,), m(67), m(67)).rough()
    if m.dtype in ("float32", "float64"):
        yield sample(m.array(m(2, 50) + 100.0), (50,)).rough()


def _layer_norm(x: Array, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    axes = tuple(range(-len(normalized_shape), 0))
    centred = x - x.mean(axes, keepdims=True)
    result = centred / np.sqrt((centred**2).mean(axes, keepdims=True) + eps)
    result = result if weight is None else result * weight
    return result if bias is None else result + bias


def _batch_norm_samples(m: Maker) -> Iterator[Sample]:
    def mean() -> Const:
        return Const(m(3))

    def var() -> Const:
        return Const(m(3, low=0.5, high=2.0))

    yield sample(m(4, 3), mean(), var(), m(3), m(3))
    yield sample(m(2, 3, 2, 2), mean(), var(), m(3), m(3), False, 0.1, 1e-3)
    yield sample(m(4, 3), mean(), var())
    yield sample(m(4, 3), None, None, m(3), m(3), True)
    yield sample(m(2, 3, 2, 2), None, None, weight=m(3), bias=m(3), training=True)
    yield sample(m(4, 3, 2), mean(), var(), m(3), m(3), training=True, momentum=0.3, eps=0.1)
    yield sample(m(2, 4, 3).transpose(0, 2, 1), mean(), var(), training=True)


def _batch_norm(
    x: Array,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    axes = (0, *range(2, x.ndim))
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean = x.mean(axes) if training else running_mean
    var = x.var(axes) if training else running_var
    result = (x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + eps)
    result = result if weight is None else result * weight.reshape(shape)
    return result if bias is None else result + bias.reshape(shape)


def _rms_norm_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(3, 4), (4,))
    yield sample(m(3, 4), [4], m(4), 0.1)
    yield sample(m(2, 3, 4), (3, 4), m(3, 4), eps=1e-3)
    yield sample(m(4, 3).T, (4,), weight=m(4))
    yield sample(m(0, 4), (4,), m(4))
    yield sample(m(2, 67), (67,), m(67)).rough()


def _rms_norm(x: Array, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    axes = tuple(range(-len(normalized_shape), 0))
    # As coarse as the input's type, of which the tolerance takes care: the arrays here are in double precision.
    eps = float(np.finfo(np.float64).eps) if eps is None else eps
    result = x / np.sqrt((x**2).mean(axes, keepdims=True) + eps)
    return result if weight is None else result * weight


def _group_norm_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 4, 3), 2)
    yield sample(m(2, 4, 3), 2, m(4), m(4))
    yield sample(m(2, 6), 3, m(6), m(6), 1e-3)
    yield sample(m(2, 4, 2, 3), 1, weight=m(4))
    yield sample(m(2, 4, 2, 3), num_groups=4, bias=m(4), eps=0.1).ours()
    yield sample(m(2, 3, 4).transpose(0, 2, 1), 2, m(4), m(4))
    yield sample(m(3, 4, 5, 7), 2, m(4), m(4)).rough()


def _group_norm(x: Array, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    rows = x.reshape(x.shape[0] * num_groups, -1)
    centred = rows - rows.mean(1, keepdims=True)
    result = (centred / np.sqrt((centred**2).mean(1, keepdims=True) + eps)).reshape(x.shape)
    shape = (1, -1) + (1,) * (x.ndim - 2)
    result = result if weight is None else result * weight.reshape(shape)
    return result if bias is None else result + bias.reshape(shape)


def _instance_norm_samples(m: Maker) -> Iterator[Sample]:
    def mean() -> Const:
        return Const(m(3))

    def var() -> Const:
        return Const(m(3, low=0.5, high=2.0))

    yield sample(m(2, 3, 4))
    yield sample(m(2, 3, 2, 2), None, None, m(3), m(3))
    yield sample(m(2, 3, 4), mean(), var(), weight=m(3), bias=m(3), momentum=0.3, eps=0.1)
    yield sample(m(2, 3, 4), running_mean=mean(), running_var=var(), use_input_stats=False)
    yield sample(m(2, 4, 3).transpose(0, 2, 1), None, None, m(3), m(3))


def _instance_norm(
    x: Array,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    if use_input_stats:
        return _group_norm(x, x.shape[1], weight, bias, eps)
    return _batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)


def _embedding_samples(m: Maker) -> Iterator[Sample]:
    def rows(*values: Any) -> Const:
        return Const(np.array(values, dtype=np.int64))

    yield sample(rows(0, 2, 2), m(4, 3))
    yield sample(rows([1, 0], [3, 3]), m(4, 3))
    yield sample(Const(np.array(2)), m(4, 3))
    yield sample(rows(), m(4, 3)).rough()
    yield sample(Const(np.array([3, 0], dtype=np.int32)), m(3, 4).T)


def _embedding_padding_samples(m: Maker) -> Iterator[Sample]:
    yield sample(Const(np.array([0, 1, 1])), m(4, 3), 1).rough()
    yield sample(Const(np.array([0, 3])), m(4, 3), padding_idx=-1).rough()


def _row(name: str, samples: Any, reference: Any, dtypes: tuple[str, ...] = FLOAT, **more: Any) -> OpInfo:
    settings: dict[str, Any] = {"grad_dtypes": ("float64",), "places": ("nn",), "tolerance": LOOSE}
    return OpInfo(name, samples, reference, dtypes, **(settings | more))


SOFT: dict[str, Any] = {"places": ("tf", "method", "nn"), "tolerance": {}, "refused": COMPLEX}

OPS = [
    _row("linear", _linear_samples, _linear, INT + FLOAT + COMPLEX, grad_dtypes=BOTH),
    _row("max_pool2d", _max_pool_samples, _max_pool2d, refused=COMPLEX),
    _row("max_pool2d", _max_pool_positions_samples, _max_pool2d, tag="positions", result=("same", "int64")),
    _row("avg_pool2d", _avg_pool_samples, _avg_pool2d, refused=COMPLEX),
    _row("softmax", _softmax_samples, lambda x, dim: np.exp(_log_softmax(x, dim)), **SOFT),
    _row(
        "softmax",
        _softmax_of_integers,
        lambda x, dim: np.exp(_log_softmax(x, dim)),
        BOOL + INT,
        grad_dtypes=(),
        places=("tf", "method", "nn"),
        result="float32",
        tag="integers",
        no_grad="integers have no derivatives",
    ),
    _row("log_softmax", _softmax_samples, _log_softmax, **SOFT),
    _row("layer_norm", _layer_norm_samples, _layer_norm, refused=COMPLEX),
    _row("batch_norm", _batch_norm_samples, _batch_norm, refused=COMPLEX),
    _row("rms_norm", _rms_norm_samples, _rms_norm, refused=COMPLEX),
    _row("group_norm", _group_norm_samples, _group_norm, refused=COMPLEX),
    _row("instance_norm", _instance_norm_samples, _instance_norm, refused=COMPLEX),
    _row("embedding", _embedding_samples, lambda rows, weight: weight[rows], ALL, tolerance={}),
    _row(
        "embedding",
        _embedding_padding_samples,
        lambda rows, weight, padding_idx: weight[rows],
        tag="padding",
        tolerance={},
        grad_dtypes=(),
        no_grad="checked by values in test_autograd: the padding gets no gradient",
    ),
]
