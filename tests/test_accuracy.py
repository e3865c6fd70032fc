"""How far results in float32 are from the true ones: elementwise functions, sums, and Winograd's convolution.

The Rust tests hold the vectorized functions to the same limits on every instruction set; here it is what users call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import pytest
from opinfo.conv import _convolve
from opinfo.run import array, tf
from opinfo.spec import Array
from scipy import special

pytestmark = pytest.mark.ours

# Of all float32 every so many'th, of both signs and all exponents; a prime, so that no bit stays the same.
STEP = 4999
SPECIAL = [0.0, 1.0, 0.5, 2.0, np.pi, np.finfo(np.float32).tiny, 1e-45, np.finfo(np.float32).max, np.inf, np.nan]


def sample() -> Array:
    bits = np.arange(0, 2**32, STEP, dtype=np.uint64).astype(np.uint32)
    some = np.array(SPECIAL, np.float32)
    return np.concatenate([bits.view(np.float32), some, -some, np.nextafter(some, np.float32(3))])


def ulps(found: Array, true: Array) -> Array:
    """The distance in units in the last place of the result; infinite where one is not finite and the other is."""
    rounded = true.astype(np.float32)
    same = (found == true) | (found == rounded) | (np.isnan(found) & np.isnan(true))
    finite = np.isfinite(found) & np.isfinite(rounded)
    size = np.abs(np.where(finite, rounded, 1))
    step = np.nextafter(size, np.float32(np.inf)).astype(np.float64) - size
    step = np.where(np.isfinite(step), step, 2.0**104)
    away = np.abs(np.where(finite, found, 0).astype(np.float64) - np.where(finite, true, 0)) / step
    return np.asarray(np.where(same, 0.0, np.where(finite, away, np.inf)))


def gelu(x: Array) -> Array:
    return np.asarray(x * 0.5 * special.erfc(-x / math.sqrt(2)))


def gelu_tanh(x: Array) -> Array:
    return np.asarray(x * special.expit(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


Function = Callable[[Array], Array]
# The function, its true values, and the limit in units in the last place.
LIMITS: dict[str, tuple[Callable[[tf.Tensor], tf.Tensor], Function, float]] = {
    "exp": (tf.exp, np.exp, 2),
    "expm1": (tf.expm1, np.expm1, 2),
    "log": (tf.log, np.log, 2),
    "log1p": (tf.log1p, np.log1p, 2),
    "sin": (tf.sin, np.sin, 2),
    "cos": (tf.cos, np.cos, 2),
    "tanh": (tf.tanh, np.tanh, 2),
    "erf": (tf.erf, special.erf, 2),
    "sqrt": (tf.sqrt, np.sqrt, 0.5),
    "rsqrt": (tf.rsqrt, lambda x: 1 / np.sqrt(x), 2),
    "sigmoid": (tf.sigmoid, special.expit, 3),
    "silu": (tf.nn.functional.silu, lambda x: np.where(np.isneginf(x), np.nan, x * special.expit(x)), 3),
    "logsigmoid": (tf.nn.functional.logsigmoid, special.log_expit, 3),
    "gelu": (tf.nn.functional.gelu, gelu, 4),
    "gelu by tanh": (lambda x: tf.nn.functional.gelu(x, approximate="tanh"), gelu_tanh, 4),
}


def check(found: Array, true: Array, limit: float, names: str, *inputs: Array) -> None:
    away = ulps(found, true)
    over = np.flatnonzero(away > limit)
    worst = over[np.argsort(-away[over])][:5]
    cases = [f"{names}({', '.join(repr(x[i]) for x in inputs)}) = {found[i]!r}, not {true[i]!r}" for i in worst]
    assert not over.size, f"{over.size} of {away.size} are off by more than {limit} ulp:\n" + "\n".join(cases)


@pytest.mark.parametrize("name", LIMITS)
def test_functions_are_within_units_in_the_last_place(name: str) -> None:
    function, reference, limit = LIMITS[name]
    x = sample()
    with np.errstate(all="ignore"):
        true = reference(x.astype(np.float64))
        found = array(function(tf.from_numpy(x)))
        if "gelu" in name:
            # Where almost nothing is left of it, the absolute error counts.
            low = (np.abs(true) <= 1e-6) & (np.abs(found - true) <= 3e-8)
            found = np.where(low, true.astype(np.float32), found)
        check(found, true, limit, name, x)


def test_powers_are_within_four_units_in_the_last_place() -> None:
    x = sample()[::7]
    # The C library's power of a signalling NaN is NaN, even to the power of 0.
    x[np.isnan(x)] = np.nan
    rng = np.random.default_rng(0)
    with np.errstate(all="ignore"):
        for y in (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 1.7, -7.0, 23.0, 0.01, np.inf, -np.inf, np.nan):
            y32 = np.float32(y)
            true = np.power(x.astype(np.float64), np.float64(y32))
            check(array(tf.pow(tf.from_numpy(x), tf.tensor(y))), true, 4, "pow", x, np.full_like(x, y32))
        # Exponents that bring the results anywhere into the range of float32.
        base = np.abs(x[np.isfinite(x) & (x != 0)])
        y = (rng.uniform(-150, 128, base.size) / np.log2(base.astype(np.float64))).astype(np.float32)
        true = np.power(base.astype(np.float64), y.astype(np.float64))
        check(array(tf.pow(tf.from_numpy(base), tf.from_numpy(y))), true, 4, "pow", base, y)


HARD = ("around 1", "of both signs", "of many sizes", "a tenth")


@cache
def hard_data() -> dict[str, Array]:
    """Ten million float32 whose sums are hard: large, of both signs, or of sizes far apart."""
    rng, n = np.random.default_rng(1), 10_000_000
    data = (
        rng.random(n, dtype=np.float32) + np.float32(0.5),
        rng.standard_normal(n, dtype=np.float32),
        np.exp(8 * rng.standard_normal(n, dtype=np.float32)),
        np.full(n, 0.1, np.float32),
    )
    return dict(zip(HARD, data, strict=True))


@pytest.mark.parametrize("name", HARD)
def test_sums_are_as_accurate_as_numpys(name: str) -> None:
    x = hard_data()[name]
    true = math.fsum(x)
    ours, theirs = abs(tf.from_numpy(x).sum().item() - true), abs(float(x.sum()) - true)
    # The last place of the result is nobody's fault.
    last = float(np.spacing(np.float32(abs(true))))
    assert ours <= max(theirs, last), f"off by {ours:g}, NumPy by {theirs:g}; the last place is {last:g}"


# Where errors are a random walk, rows of 5,000 in chains of 16, of 5 of those and a tree of 64 are 1.1 to 1.3 times as
# far off as in NumPy's chains of 10 and tree of 512; PyTorch's are as far off as ours.
WALK = 1.3


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("name", HARD)
def test_sums_along_a_dimension_are_as_accurate_as_numpys(name: str, dim: int) -> None:
    rows = hard_data()[name].reshape(2000, 5000)
    true = rows.sum(1, dtype=np.float64)
    x = rows if dim == 1 else np.ascontiguousarray(rows.T)

    def size(x: Array) -> float:
        return float(np.sqrt(np.mean(x.astype(np.float64) ** 2)))

    # NumPy sums pairwise only where the elements follow each other.
    ours, theirs = size(array(tf.from_numpy(x).sum(dim)) - true), size(rows.sum(1) - true)
    last = size(np.spacing(true.astype(np.float32)))
    assert ours <= max(WALK * theirs, last), f"off by {ours:g}, NumPy by {theirs:g}; the last place is {last:g}"


@contextmanager
def winograd(on: bool) -> Iterator[None]:
    before = tf.backends.cpu.winograd()
    tf.backends.cpu.set_winograd(on)
    try:
        yield
    finally:
        tf.backends.cpu.set_winograd(before)


@pytest.mark.parametrize("channels", [64, 256])
def test_winograds_error_is_what_its_documentation_says(channels: int) -> None:
    """Of the largest value at most 5e-6, and the plain sum's at most 2e-6, for 64 channels as for 256."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((1, channels, 30, 30)).astype(np.float32)
    weight = (rng.standard_normal((32, channels, 3, 3)) / math.sqrt(9 * channels)).astype(np.float32)
    true = _convolve(x.astype(np.float64), weight.astype(np.float64), None, 1, 1, 1, 1)
    errors = {}
    for on in (True, False):
        with winograd(on):
            found = array(tf.nn.functional.conv2d(tf.from_numpy(x), tf.from_numpy(weight), padding=1))
        errors[on] = float(np.abs(found - true).max() / np.abs(true).max())
    print(f"{channels} channels: Winograd {errors[True]:.2g}, plain {errors[False]:.2g} of the largest value")
    assert errors[True] <= 5e-6
    assert errors[False] <= 2e-6
