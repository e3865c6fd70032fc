"""Convolutions of lines, planes and volumes, and their transposes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from .spec import FLOAT, HALF, Array, Maker, OpInfo, Sample, sample

LOOSE = {**dict.fromkeys(HALF, (2e-2, 4e-2)), "float32": (1e-5, 1e-5)}


def _line_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 2, 5), m(3, 2, 2))
    yield sample(m(1, 2, 6), m(2, 2, 3), m(2), 2, 1)
    yield sample(m(2, 6), m(3, 2, 2), m(3), dilation=3)
    yield sample(m(1, 4, 5), m(4, 2, 3), m(4), padding=(1,), groups=2)
    yield sample(m(5, 2, 2).T, m(3, 2, 2).transpose(2, 1, 0), m(2))
    yield sample(m(1, 1, 5), m(1, 1, 4), padding="same")
    yield sample(m(1, 1, 5), m(1, 1, 2), padding="valid", stride=(2,))
    yield sample(m(0, 2, 5), m(3, 2, 2)).rough()
    yield sample(m(2, 16, 40), m(24, 16, 5), m(24), padding=2).rough()
    yield sample(m(2, 6, 33), m(6, 1, 3), groups=6, padding=1).rough()


def _plane_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 2, 4, 5), m(3, 2, 2, 3))
    yield sample(m(1, 2, 4, 4), m(2, 2, 3, 3), m(2), padding=1)
    yield sample(m(2, 4, 4), m(3, 2, 2, 2), m(3))
    yield sample(m(1, 1, 5, 6), m(2, 1, 3, 2), None, (2, 1), (1, 0))
    yield sample(m(1, 1, 5, 6), m(1, 1, 2, 2), stride=2, padding=(0, 1), dilation=2)
    yield sample(m(1, 4, 3, 3), m(4, 2, 2, 2), m(4), groups=2)
    yield sample(m(1, 2, 3, 3), m(4, 1, 2, 2), groups=2)
    yield sample(m(1, 1, 4, 4), m(1, 1, 3, 3), padding="same")
    yield sample(m(1, 1, 4, 4), m(1, 1, 2, 3), padding="same")
    yield sample(m(1, 1, 4, 4), m(1, 1, 3, 3), padding="valid")
    yield sample(m(1, 2, 2, 2), m(3, 2, 1, 1), m(3))
    yield sample(m(0, 1, 3, 3), m(1, 1, 2, 2)).rough()
    # The sizes at which special algorithms begin.
    yield sample(m(2, 8, 11, 13), m(16, 8, 3, 3), m(16), padding=1).rough()
    yield sample(m(1, 3, 17, 17), m(8, 3, 5, 5), stride=2, padding=2).rough()
    yield sample(m(2, 16, 9, 9), m(32, 16, 1, 1)).rough()
    yield sample(m(2, 6, 9, 9), m(6, 1, 3, 3), groups=6, padding=1).rough()
    yield sample(m(2, 6, 9, 19), m(12, 1, 3, 3), m(12), groups=6, stride=2, padding=1).rough()


def _winograd_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(1, 2, 4, 3), m(2, 2, 3, 3), m(2), padding=1)
    yield sample(m(3, 20, 17, 15), m(18, 20, 3, 3), m(18), padding=1).rough()
    yield sample(m(1, 16, 30, 31), m(35, 16, 3, 3), padding=(0, 2)).rough()


def _volume_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(1, 2, 3, 2, 3), m(2, 2, 2, 2, 2))
    yield sample(m(1, 1, 3, 3, 2), m(2, 1, 2, 3, 2), m(2), (2, 1, 1), 1)
    yield sample(m(1, 3, 2, 3), m(2, 1, 2, 2, 1), m(2))
    yield sample(m(1, 1, 4, 2, 2), m(1, 1, 2, 2, 2), padding=(0, 1, 0), dilation=(3, 2, 1))
    yield sample(m(1, 4, 2, 2, 2), m(2, 2, 2, 1, 2), groups=2)
    yield sample(m(1, 1, 3, 2, 2), m(1, 1, 2, 3, 2), padding="same")
    yield sample(m(1, 1, 3, 3, 2), m(1, 1, 2, 2, 2), padding="valid")
    yield sample(m(0, 1, 3, 3, 3), m(1, 1, 2, 2, 2)).rough()
    yield sample(m(2, 4, 5, 7, 6), m(8, 4, 3, 3, 3), m(8), padding=1).rough()


def _transposed_line_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 2, 3), m(2, 3, 2))
    yield sample(m(1, 2, 3), m(2, 2, 3), m(2), 2, 1, 1)
    yield sample(m(2, 3), m(2, 3, 2), m(3), dilation=3, output_padding=2)
    yield sample(m(1, 4, 3), m(4, 2, 2), m(4), stride=(3,), groups=2)
    yield sample(m(3, 2, 2).T, m(3, 2, 2).transpose(2, 1, 0))
    yield sample(m(0, 2, 3), m(2, 3, 2)).rough()
    yield sample(m(2, 16, 20), m(16, 24, 4), m(24), stride=2, padding=1).rough()


def _transposed_plane_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 2, 2, 3), m(2, 3, 2, 2))
    yield sample(m(1, 2, 3, 2), m(2, 2, 3, 3), m(2), 2, 1, 1)
    yield sample(m(2, 2, 2), m(2, 3, 2, 1), m(3))
    yield sample(m(1, 1, 3, 2), m(1, 2, 2, 2), None, (1, 3), (1, 0), (0, 2), 1, 2)
    yield sample(m(1, 4, 2, 2), m(4, 1, 2, 2), m(2), groups=2)
    yield sample(m(1, 2, 2, 2), m(2, 3, 1, 1), m(3))
    yield sample(m(0, 2, 3, 3), m(2, 1, 2, 2)).rough()
    yield sample(m(2, 8, 7, 9), m(8, 6, 4, 4), m(6), stride=2, padding=1).rough()


def _transposed_winograd_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(1, 2, 4, 3), m(2, 2, 3, 3), m(2), padding=1)
    yield sample(m(3, 20, 15, 17), m(20, 18, 3, 3), m(18), padding=1).rough()


def _transposed_volume_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(1, 2, 2, 2, 2), m(2, 1, 2, 2, 2))
    yield sample(m(1, 1, 2, 2, 2), m(1, 2, 3, 2, 3), m(2), (2, 1, 2), 1, (1, 0, 1))
    yield sample(m(1, 2, 2, 1), m(1, 2, 2, 2, 1), m(2))
    yield sample(m(1, 4, 2, 1, 2), m(4, 1, 2, 2, 1), groups=2)
    yield sample(m(1, 1, 3, 2, 2), m(1, 1, 2, 2, 2), stride=(3, 1, 2), dilation=(2, 1, 2))
    yield sample(m(1, 1, 4, 2, 2), m(1, 1, 1, 2, 2), padding=(1, 0, 0))
    yield sample(m(0, 1, 3, 3, 3), m(1, 1, 2, 2, 2)).rough()
    yield sample(m(2, 4, 3, 5, 4), m(4, 6, 3, 3, 3), m(6), stride=2, padding=1, output_padding=1).rough()


def _each(value: Any, dims: int) -> tuple[int, ...]:
    return (value,) * dims if isinstance(value, int) else tuple(value) * (dims // len(value))


def _taps(sizes: tuple[int, ...], stride: Any, dilation: Any, kernel: tuple[int, ...]) -> Iterator[Any]:
    """For each tap of a kernel: where it is, and where it meets so many positions."""
    for tap in product(*map(range, kernel)):
        starts = [t * d for t, d in zip(tap, dilation, strict=True)]
        ends = [a + (n - 1) * s + 1 for a, n, s in zip(starts, sizes, stride, strict=True)]
        yield tap, tuple(slice(a, max(a, b), s) for a, b, s in zip(starts, ends, stride, strict=True))


def _convolve(
    x: Array, weight: Array, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Any:
    dims = weight.ndim - 2
    if x.ndim == dims + 1:
        return _convolve(x[None], weight, bias, stride, padding, dilation, groups)[0]
    stride, dilation, kernel = _each(stride, dims), _each(dilation, dims), weight.shape[2:]
    spans = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    if padding == "same":
        around = [(s // 2, s - s // 2) for s in spans]
    else:
        around = [(p, p) for p in _each(0 if padding == "valid" else padding, dims)]
    x = np.pad(x, [(0, 0), (0, 0), *around])
    sizes = tuple((n - s - 1) // step + 1 for n, s, step in zip(x.shape[2:], spans, stride, strict=True))
    (out, per_group), share = weight.shape[:2], weight.shape[0] // groups
    result = np.zeros((x.shape[0], out, *sizes), dtype=np.result_type(x, weight))
    for tap, place in _taps(sizes, stride, dilation, kernel):
        for g in range(groups):
            into, of = slice(g * share, (g + 1) * share), slice(g * per_group, (g + 1) * per_group)
            result[:, into] += np.einsum("nc...,oc->no...", x[(slice(None), of, *place)], weight[(into, ..., *tap)])
    return result if bias is None else result + bias.reshape(-1, *[1] * dims)


def _transposed(
    x: Array,
    weight: Array,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    dims = weight.ndim - 2
    if x.ndim == dims + 1:
        return _transposed(x[None], weight, bias, stride, padding, output_padding, groups, dilation)[0]
    stride, dilation, padding = _each(stride, dims), _each(dilation, dims), _each(padding, dims)
    kernel, extra, sizes = weight.shape[2:], _each(output_padding, dims), x.shape[2:]
    full = [
        (n - 1) * s + d * (k - 1) + 1 + e for n, s, d, k, e in zip(sizes, stride, dilation, kernel, extra, strict=True)
    ]
    per_group, share = weight.shape[0] // groups, weight.shape[1]
    result = np.zeros((x.shape[0], share * groups, *full), dtype=np.result_type(x, weight))
    for tap, place in _taps(sizes, stride, dilation, kernel):
        for g in range(groups):
            into, of = slice(g * share, (g + 1) * share), slice(g * per_group, (g + 1) * per_group)
            here = (slice(None), into, *place)
            result[here] += np.einsum("nc...,co->no...", x[:, of], weight[(of, ..., *tap)])
    inner = tuple(slice(p, n - p) for p, n in zip(padding, full, strict=True))
    result = result[(..., *inner)]
    return result if bias is None else result + bias.reshape(-1, *[1] * dims)


def _row(name: str, samples: Any, reference: Any, **more: Any) -> OpInfo:
    settings: dict[str, Any] = {"grad_dtypes": ("float64",), "places": ("tf", "nn"), "tolerance": LOOSE}
    return OpInfo(name, samples, reference, FLOAT, **(settings | more))


# Some units in the last place of the largest outputs, which are near 50.
WINOGRAD: dict[str, Any] = {"tag": "winograd", "tolerance": LOOSE | {"float32": (1e-5, 2e-4)}}


OPS = [
    _row("conv1d", _line_samples, _convolve),
    _row("conv2d", _plane_samples, _convolve),
    _row("conv2d", _winograd_samples, _convolve, **WINOGRAD),
    _row("conv3d", _volume_samples, _convolve),
    _row("conv_transpose1d", _transposed_line_samples, _transposed),
    _row("conv_transpose2d", _transposed_plane_samples, _transposed),
    _row("conv_transpose2d", _transposed_winograd_samples, _transposed, **WINOGRAD),
    _row("conv_transpose3d", _transposed_volume_samples, _transposed),
]
