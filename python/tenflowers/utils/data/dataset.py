"""Data sets: samples by index, or samples one after the other."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain
from typing import Any, Generic, TypeVar

from ..._core import Generator, Tensor, default_generator, randperm, tensor

__all__ = [
    "ChainDataset",
    "ConcatDataset",
    "Dataset",
    "IterableDataset",
    "Subset",
    "TensorDataset",
    "random_split",
]

_T = TypeVar("_T", covariant=True)


class Dataset(Generic[_T]):
    """The base of data sets with samples by index: a subclass defines ``__getitem__``, and usually ``__len__``.

    ``__getitems__(indices)``, if there is one, gives the list of a batch's samples at once.

    >>> class Squares(tf.utils.data.Dataset):
    ...     def __len__(self):
    ...         return 10
    ...
    ...     def __getitem__(self, index):
    ...         return index**2
    >>> Squares()[3]
    9
    """

    def __getitem__(self, index: Any) -> _T:
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__")

    def __add__(self, other: Dataset[Any]) -> Dataset[Any]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[_T]):
    """The base of data sets that only give one sample after the other: a subclass defines ``__iter__``.

    Each worker of a loader iterates over a copy of its own; ``get_worker_info`` tells it which part is its.

    >>> class Count(tf.utils.data.IterableDataset):
    ...     def __iter__(self):
    ...         return iter(range(3))
    >>> list(Count())
    [0, 1, 2]
    """

    def __iter__(self) -> Iterator[_T]:
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__")

    def __add__(self, other: Dataset[Any]) -> Dataset[Any]:
        both: list[Any] = [self, other]
        return ChainDataset(both)


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Tensors of the same first size; a sample is the tuple of their entries at an index.

    >>> tf.utils.data.TensorDataset(tf.arange(3), tf.arange(3) * 10)[1]
    (tensor(1), tensor(10))
    """

    tensors: tuple[Tensor, ...]

    def __init__(self, *tensors: Tensor) -> None:
        sizes = {len(each) for each in tensors}
        if len(sizes) > 1:
            raise ValueError(f"TensorDataset: the tensors' first sizes differ: {[len(each) for each in tensors]}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(each[index] for each in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])

    def _collated(self, indices: Sequence[Any]) -> list[Tensor]:
        places = tensor([int(index) for index in indices])
        return [each[places] for each in self.tensors]


class ConcatDataset(Dataset[_T]):
    """Data sets one after the other.

    >>> len(tf.utils.data.ConcatDataset([tf.arange(3), tf.arange(2)]))
    5
    """

    datasets: list[Any]
    cumulative_sizes: list[int]

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: datasets must not be empty")
        if any(isinstance(each, IterableDataset) for each in self.datasets):
            raise TypeError("ConcatDataset: an IterableDataset has no samples by index: use ChainDataset")
        self.cumulative_sizes = list(accumulate(len(each) for each in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> _T:
        size = len(self)
        if not -size <= index < size:
            raise IndexError(f"ConcatDataset: index {index} is out of range for {size} samples")
        index %= size
        place = bisect_right(self.cumulative_sizes, index)
        sample: _T = self.datasets[place][index - (self.cumulative_sizes[place - 1] if place else 0)]
        return sample


class ChainDataset(IterableDataset[_T]):
    """Iterable data sets one after the other.

    >>> list(tf.utils.data.ChainDataset([range(2), range(2)]))
    [0, 1, 0, 1]
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(self.datasets)

    def __len__(self) -> int:
        return sum(len(each) for each in self.datasets)


class Subset(Dataset[_T]):
    """The samples of a data set at given indices.

    >>> list(tf.utils.data.Subset("abcd", [3, 0]))
    ['d', 'a']
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> _T:
        if isinstance(index, list):
            sample: _T = self.dataset[[self.indices[each] for each in index]]
        else:
            sample = self.dataset[self.indices[index]]
        return sample

    def __len__(self) -> int:
        return len(self.indices)


def random_split(dataset: Any, lengths: Sequence[int | float], generator: Generator | None = None) -> list[Subset[Any]]:
    """Part a data set at random, by sizes that add up to its own, or by fractions that add up to 1.

    What fractions leave over goes to the parts in turn.

    >>> [len(part) for part in tf.utils.data.random_split(range(10), [0.75, 0.25])]
    [8, 2]
    """
    total = len(dataset)
    sizes: list[int]
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        for place, fraction in enumerate(lengths):
            if not 0 <= fraction <= 1:
                raise ValueError(f"random_split: fraction {place} must be between 0 and 1, not {fraction}")
        sizes = [math.floor(total * fraction) for fraction in lengths]
        for place in range(total - sum(sizes)):
            sizes[place % len(sizes)] += 1
        if 0 in sizes:
            import warnings

            warnings.warn(f"random_split: part {sizes.index(0)} is empty", stacklevel=2)
    else:
        sizes = list(lengths)  # type: ignore[arg-type]
    if sum(sizes) != total:
        raise ValueError(f"random_split: the sizes must add up to the data set's: {sum(sizes)} for {total}")
    order = randperm(total, generator=default_generator if generator is None else generator).tolist()
    ends = list(accumulate(sizes))
    return [Subset(dataset, order[end - size : end]) for end, size in zip(ends, sizes, strict=True)]


def collated_rows(dataset: Any) -> Callable[[Sequence[Any]], list[Tensor]] | None:
    """What gives a batch of a ``TensorDataset``, or of a subset of one, by one indexing instead of sample by sample."""
    kind = type(dataset)
    if isinstance(dataset, TensorDataset) and kind.__getitem__ is TensorDataset.__getitem__:
        return dataset._collated
    if isinstance(dataset, Subset) and kind.__getitem__ is Subset.__getitem__:
        rows, places = collated_rows(dataset.dataset), dataset.indices
        if rows is not None:
            return lambda indices: rows([places[index] for index in indices])
    return None
