"""The order in which samples are taken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np

from ..._core import Generator, Tensor, empty, float64, int64, rand, randint, randperm

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]

_T = TypeVar("_T", covariant=True)


class Sampler(Generic[_T]):
    """The base of samplers: a subclass defines ``__iter__``, which gives indices, and ``__len__`` if it can."""

    def __iter__(self) -> Iterator[_T]:
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__")


class SequentialSampler(Sampler[int]):
    """All indices in order.

    >>> list(tf.utils.data.SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """Indices in random order, each once, or drawn with ``replacement``; ``num_samples`` of them if given.

    The order follows from ``generator``, or from ``tf.manual_seed``.

    >>> sorted(tf.utils.data.RandomSampler("abc"))
    [0, 1, 2]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        if not isinstance(replacement, bool):
            raise TypeError(f"RandomSampler: replacement must be True or False, not {replacement!r}")
        if num_samples is not None:
            _check_count("RandomSampler", num_samples)
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator

    @property
    def num_samples(self) -> int:
        """How many indices there will be; the data set may grow meanwhile."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        size, count = len(self.data_source), self.num_samples
        generator = own_generator() if self.generator is None else self.generator
        while count > 0:
            if self.replacement:
                drawn = randint(size, (min(count, 1024),), dtype=int64, generator=generator)
            else:
                drawn = randperm(size, generator=generator)[:count]
            yield from drawn.tolist()
            if not len(drawn):
                return
            count -= len(drawn)

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given indices in random order.

    >>> sorted(tf.utils.data.SubsetRandomSampler([3, 5, 7]))
    [3, 5, 7]
    """

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        for place in randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[place]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """``num_samples`` indices below ``len(weights)``, each drawn with a probability proportional to its weight.

    >>> list(tf.utils.data.WeightedRandomSampler([0.0, 1.0], 3))
    [1, 1, 1]
    """

    def __init__(
        self,
        weights: Sequence[float] | Tensor,
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        _check_count("WeightedRandomSampler", num_samples)
        if not isinstance(replacement, bool):
            raise TypeError(f"WeightedRandomSampler: replacement must be True or False, not {replacement!r}")
        given = weights.tolist() if isinstance(weights, Tensor) else weights
        self.weights = np.asarray(given, dtype=np.float64)
        if self.weights.ndim != 1:
            raise ValueError(f"WeightedRandomSampler: weights must have 1 dimension, not {self.weights.ndim}")
        if not (np.isfinite(self.weights).all() and (self.weights >= 0).all() and self.weights.sum() > 0):
            raise ValueError("WeightedRandomSampler: weights must be finite, not negative, and not all zero")
        if not replacement and num_samples > np.count_nonzero(self.weights):
            positive = np.count_nonzero(self.weights)
            raise ValueError(f"WeightedRandomSampler: {num_samples} of {positive} positive weights need replacement")
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        count = self.num_samples if self.replacement else len(self.weights)
        uniform = rand(count, dtype=float64, generator=self.generator).numpy()
        if self.replacement:
            bounds = np.cumsum(self.weights)
            drawn = np.searchsorted(bounds, uniform * bounds[-1], side="right")
            # The product may round up to the last bound.
            drawn = np.minimum(drawn, np.flatnonzero(self.weights)[-1])
        else:
            # The first arrivals of exponential clocks with the weights as rates (Efraimidis and Spirakis, 2006).
            with np.errstate(divide="ignore"):
                arrivals = -np.log1p(-uniform) / self.weights
            arrivals[self.weights == 0] = np.inf
            drawn = np.argsort(arrivals, kind="stable")[: self.num_samples]
        return iter(drawn.tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[Any]]):
    """The indices of another sampler in lists of ``batch_size``; ``drop_last`` leaves out a last list that is shorter.

    >>> list(tf.utils.data.BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[Any], batch_size: int, drop_last: bool) -> None:
        _check_count("BatchSampler", batch_size, "batch_size")
        if not isinstance(drop_last, bool):
            raise ValueError(f"BatchSampler: drop_last must be True or False, not {drop_last!r}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[Any]]:
        indices = iter(self.sampler)
        while batch := list(islice(indices, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield batch

    def __len__(self) -> int:
        count = len(self.sampler)  # type: ignore[arg-type]
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)


def _check_count(what: str, count: Any, name: str = "num_samples") -> None:
    if isinstance(count, bool) or not isinstance(count, int) or count <= 0:
        raise ValueError(f"{what}: {name} must be a positive integer, not {count!r}")


def random_seed(generator: Generator | None) -> int:
    """A seed drawn from a generator, or from the default one."""
    return int(empty((), dtype=int64).random_(generator=generator).item())


def own_generator() -> Generator:
    """A generator seeded by the default one, so that what others draw meanwhile does not change its numbers."""
    generator = Generator()
    generator.manual_seed(random_seed(None))
    return generator
