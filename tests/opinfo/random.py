"""Random numbers: not their values, but their range, their moments, and what a seed promises (see test_forward)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .spec import BOOL, FLOAT, INT, Array, DType, Maker, OpInfo, Sample, sample

# Enough that mean and deviation are known to about 1 %.
MANY = 20_000
FREE = "random numbers depend on no tensor"
Check = Callable[[Sample, list[Array]], None]


def _shape_of(given: Sample) -> tuple[int, ...]:
    if given.args and isinstance(given.args[0], np.ndarray):
        return tuple(given.args[0].shape)
    size = given.kwargs.get("size", given.args)
    return tuple(size[0]) if size and isinstance(size[0], (tuple, list)) else tuple(size)


def _size_samples(m: Maker) -> Iterator[Sample]:
    dtype = DType(m.dtype)
    yield sample(2, 3, dtype=dtype)
    yield sample((4,), dtype=dtype)
    yield sample((), dtype=dtype)
    yield sample(0, 3, dtype=dtype)
    yield sample(size=(MANY,), dtype=dtype)
    if m.dtype == "float32":
        yield sample(3, 2)


def _like_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m(2, 3))
    yield sample(m())
    yield sample(m(0, 3))
    yield sample(np.zeros(MANY, dtype=m.carrier))
    yield sample(m(4, 3).T, dtype=DType("float64")).gives("float64")


def _moments(values: Array, mean: float, deviation: float) -> None:
    """Sampling leaves about deviation / sqrt(n); five times that is a fault."""
    if values.size < MANY:
        return
    wide = values.astype(np.float64).ravel()
    assert abs(wide.mean() - mean) < 5 * deviation / np.sqrt(wide.size) + 4e-3 * deviation, wide.mean()
    assert abs(wide.std() - deviation) < 0.03 * deviation, wide.std()
    # Neighbours know nothing of each other.
    if deviation:
        around = (wide - mean) / deviation
        assert abs((around[1:] * around[:-1]).mean()) < 5 / np.sqrt(wide.size)


def _uniform_in(low: float, high: float) -> Check:
    def check(given: Sample, found: list[Array]) -> None:
        values = found[0]
        assert values.shape == _shape_of(given)
        assert (values >= low).all()
        # float32's own bound: a float16 may round up to the end.
        assert (values < high).all() if values.dtype != np.float32 else (values <= high).all()
        _moments(values, (low + high) / 2, (high - low) / np.sqrt(12))

    return check


def _normal(given: Sample, found: list[Array]) -> None:
    values = found[0]
    assert values.shape == _shape_of(given)
    assert np.isfinite(values).all()
    _moments(values, 0, 1)
    if values.size >= MANY:
        # Tails as thick as they should be.
        assert 0.040 < (np.abs(values.astype(np.float64)) > 1.96).mean() < 0.060


def _randint_samples(m: Maker) -> Iterator[Sample]:
    dtype = DType(m.dtype)
    yield sample(5, (2, 3), dtype=dtype)
    yield sample(2, 7, (4,), dtype=dtype)
    yield sample(3, 4, (3,), dtype=dtype)
    yield sample(low=0, high=10, size=(MANY,), dtype=dtype)
    yield sample(5, (0, 2), dtype=dtype)
    if m.dtype == "int64":
        yield sample(-3, 3, (2, 2))
        yield sample(2**62, (50,))
        yield sample(-(2**63), 2**63 - 1, (50,))


def _randint(given: Sample, found: list[Array]) -> None:
    values = found[0]
    if "size" in given.kwargs:
        low, high, size = given.kwargs["low"], given.kwargs["high"], given.kwargs["size"]
    else:
        *bounds, size = given.args
        low, high = bounds if len(bounds) == 2 else (0, bounds[0])
    assert values.shape == tuple(size)
    assert all(low <= value < high for value in values.ravel().tolist())
    if values.size >= MANY:
        counts = np.bincount(values.astype(np.int64), minlength=10)
        # Chi-squared with 9 degrees of freedom: above 40 once in 100,000.
        assert (((counts - MANY / 10) ** 2) / (MANY / 10)).sum() < 40
    if high - low > 2**60:
        assert (np.abs(values.astype(np.float64)) > 2**53).any(), "only small numbers from a wide range"


def _randint_like_samples(m: Maker) -> Iterator[Sample]:
    for target in (m(2, 3), m(), m(0, 3), m(4, 3).T):
        yield sample(target, 5)
        yield sample(target, 2, 7)
    yield sample(m(3), 5, dtype=DType("float64")).gives("float64")
    yield sample(m(3), 2, 7, dtype=DType("int32")).gives("int32")


def _randint_like(given: Sample, found: list[Array]) -> None:
    target, *bounds = given.args
    _randint(Sample((*bounds, target.shape), {}), found)


def _chances_samples(m: Maker) -> Iterator[Sample]:
    yield sample(m.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.25]]))
    yield sample(m.array(np.full(MANY, 0.25)))
    yield sample(m.array(1.0))
    yield sample(m(0, 3))


def _drawn(given: Sample, found: list[Array]) -> None:
    chances, values = given.args[0], found[0]
    assert values.shape == chances.shape
    assert np.isin(values, [0, 1]).all()
    assert (values[chances == 0] == 0).all()
    assert (values[chances == 1] == 1).all()
    _moments(values, 0.25, np.sqrt(0.25 * 0.75))


def _randperm_samples(m: Maker) -> Iterator[Sample]:
    for n in (0, 1, 10, 100):
        yield sample(n, dtype=DType(m.dtype))
    if m.dtype == "int64":
        yield sample(7)
        yield sample(3000)


def _permutation(given: Sample, found: list[Array]) -> None:
    n = given.args[0]
    assert found[0].shape == (n,)
    np.testing.assert_array_equal(np.sort(found[0].astype(np.int64)), np.arange(n))
    if n >= 100:
        assert (found[0].astype(np.int64) != np.arange(n)).any()


def _targets(m: Maker, *args: Any, **kwargs: Any) -> Iterator[Sample]:
    """Tensors to be filled, of every layout."""
    for target in (m(2, 3), m(), m(0, 3), m(4, 3).T, np.zeros(MANY, dtype=m.carrier)):
        yield sample(target, *args, **kwargs)


def _uniform_samples(m: Maker) -> Iterator[Sample]:
    yield from _targets(m)
    yield from _targets(m, -3, 5)
    yield sample(m(3), to=2.0).rough()


def _uniform(given: Sample, found: list[Array]) -> None:
    bounds = [*given.args[1:], *([0.0, 1.0][len(given.args) - 1 :])]
    _uniform_in(bounds[0], given.kwargs.get("to", bounds[1]))(Sample(given.args[:1], {}), found)


def _normal_samples(m: Maker) -> Iterator[Sample]:
    yield from _targets(m)
    yield from _targets(m, 3, 2)
    yield from _targets(m, mean=-1.0, std=0.0)


def _normal_into(given: Sample, found: list[Array]) -> None:
    mean, std = ((*given.args[1:], 0, 1)[:2]) if len(given.args) > 1 else (0, 1)
    mean, std = given.kwargs.get("mean", mean), given.kwargs.get("std", std)
    values = found[0]
    assert values.shape == given.args[0].shape
    if std == 0:
        assert (values == mean).all()
    else:
        _moments(values, mean, std)


def _bernoulli_samples(m: Maker) -> Iterator[Sample]:
    yield from _targets(m)
    yield from _targets(m, 0.25)
    yield from _targets(m, p=1.0)
    yield from _targets(m, p=0.0)


def _bernoulli(given: Sample, found: list[Array]) -> None:
    p = given.kwargs.get("p", given.args[1] if len(given.args) > 1 else 0.5)
    values = found[0]
    assert values.shape == given.args[0].shape
    assert np.isin(values, [0, 1]).all()
    if p in (0.0, 1.0):
        assert (values == p).all()
    else:
        _moments(values, p, np.sqrt(p * (1 - p)))


def _random_samples(m: Maker) -> Iterator[Sample]:
    if m.is_bool:
        yield from _targets(m)
        return
    yield from _targets(m, 10)
    yield from _targets(m, 2, 7)
    if m.dtype != "bfloat16":  # the check below reads the range off the carrier, which is wider
        yield from _targets(m)


def _random(given: Sample, found: list[Array]) -> None:
    values = found[0]
    assert values.shape == given.args[0].shape
    assert (values >= 0).all()
    if len(given.args) > 1:
        low, high = (0, given.args[1]) if len(given.args) == 2 else given.args[1:]
        assert ((values >= low) & (values < high)).all()
        _moments(values, (low + high - 1) / 2, np.sqrt(((high - low) ** 2 - 1) / 12))
    elif values.size >= MANY:
        # The whole range of an integer, or the integers that the float holds exactly.
        if values.dtype.kind == "f":
            top: float = 2.0 ** (np.finfo(values.dtype).nmant + 1)
        else:
            top = 1 if values.dtype.kind == "b" else np.iinfo(values.dtype).max
        assert values.max() <= top
        assert values.max() > 0.4 * top


def _dropout_samples(m: Maker) -> Iterator[Sample]:
    ones = np.ones(MANY, dtype=m.carrier)
    yield sample(ones).rough()
    yield sample(ones, 0.25).rough()
    yield sample(m.nonzero(3, 4), p=0.0)
    yield sample(m.nonzero(3, 4), p=1.0)
    yield sample(m.nonzero(3, 4), 0.5, training=False)
    yield sample(m.nonzero(2, 3), 0.5).ours()  # PyTorch draws other numbers where a gradient is wanted
    yield sample(m.nonzero(), 0.5).rough()
    yield sample(m.nonzero(0, 3), 0.5)
    yield sample(m.nonzero(4, 3).T, 0.5).ours()


def _dropout(given: Sample, found: list[Array]) -> None:
    x, p = given.args[0].astype(np.float64), given.kwargs.get("p", given.args[1] if len(given.args) > 1 else 0.5)
    values = found[0].astype(np.float64)
    assert values.shape == x.shape
    if not given.kwargs.get("training", True):
        np.testing.assert_array_equal(values, x)
        return
    kept = values != 0
    if p == 1.0:
        assert not kept.any()
        return
    np.testing.assert_allclose(values[kept], (x / (1 - p))[kept], rtol=1e-2)
    _moments(kept.astype(np.float64), 1 - p, np.sqrt(p * (1 - p)))
    if p == 0.0:
        assert kept.all()


def _make(name: str, samples: Any, check: Check, dtypes: tuple[str, ...] = FLOAT, **more: Any) -> OpInfo:
    settings: dict[str, Any] = {"places": ("tf",), "no_grad": FREE, "check": check, "random": True}
    return OpInfo(name, samples, None, dtypes, **(settings | more))


def _fill(name: str, samples: Any, check: Check, dtypes: tuple[str, ...] = FLOAT) -> OpInfo:
    return _make(name, samples, check, dtypes, places=("method",), writes=True)


OPS = [
    _make("rand", _size_samples, _uniform_in(0, 1)),
    _make("randn", _size_samples, _normal),
    _make("randint", _randint_samples, _randint, INT + FLOAT),
    _make("randperm", _randperm_samples, _permutation, (*INT, "float32", "float64")),
    _make("randint_like", _randint_like_samples, _randint_like, INT + FLOAT),
    _make("bernoulli", _chances_samples, _drawn, places=("tf", "method")),
    _make("rand_like", _like_samples, _uniform_in(0, 1)),
    _make("randn_like", _like_samples, _normal),
    _fill("uniform_", _uniform_samples, _uniform),
    _fill("normal_", _normal_samples, _normal_into),
    _fill("bernoulli_", _bernoulli_samples, _bernoulli, BOOL + INT + FLOAT),
    _fill("random_", _random_samples, _random, BOOL + INT + FLOAT),
    _make("dropout", _dropout_samples, _dropout, places=("nn",), no_grad="", grad_dtypes=("float64",)),
]
