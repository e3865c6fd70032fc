"""``DataLoader``: batches of a data set, loaded by threads ahead of the caller if asked to."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Any, Generic, Protocol, TypeVar

from ..._core import Generator
from ...errors import UnsupportedError
from .collate import default_collate, default_convert
from .dataset import IterableDataset, collated_rows
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, random_seed
from .worker import Exhausted, Fetcher, Progress, WorkerIterator, Workers, iterable_fetcher, map_fetcher

__all__ = ["DataLoader"]

_T = TypeVar("_T", covariant=True)


class _Samples(Protocol[_T]):
    """What samples are taken from: a ``Dataset``, or anything else with ``__getitem__`` (and a length)."""

    def __getitem__(self, index: int, /) -> _T: ...


_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class DataLoader(Generic[_T]):
    """Iterates over a data set in batches, shuffled and loaded in threads if asked to.

    ``num_workers`` threads each load whole batches, up to ``prefetch_factor`` (2) ahead, which come in the sampler's
    order (with ``in_order=False``: as they are done). A worker's exception is raised here, of the same class, with the
    sample's index in its text; leaving the loop stops the workers. The order of a shuffle follows from ``generator``,
    or from ``tf.manual_seed``, and does not depend on the number of workers. ``collate_fn`` makes a batch of a list of
    samples; ``batch_size=None`` gives single samples. ``worker_init_fn(id)`` runs in each worker at its start, which is
    once with ``persistent_workers`` and else in every iteration. ``timeout`` is in seconds, 0 for none.

    >>> loader = tf.utils.data.DataLoader([1, 2, 3, 4, 5], batch_size=2)
    >>> list(loader)
    [tensor([1, 2]), tensor([3, 4]), tensor([5])]
    """

    def __init__(
        self,
        dataset: _Samples[_T],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler[Any] | Iterable[Any] | None = None,
        batch_sampler: Sampler[list[Any]] | Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if multiprocessing_context is not None:
            raise UnsupportedError("DataLoader: multiprocessing_context is not supported: workers are threads")
        if pin_memory_device:
            raise UnsupportedError(f"DataLoader: pin_memory_device={pin_memory_device!r} is not supported")
        if pin_memory:
            warnings.warn("DataLoader: pin_memory=True has no effect without an accelerator", stacklevel=2)
        self._check_workers(num_workers, timeout, worker_init_fn, prefetch_factor, persistent_workers)

        self.dataset: Any = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.generator = generator
        self.persistent_workers = persistent_workers
        self.in_order = in_order

        self._iterable = isinstance(dataset, IterableDataset)
        if self._iterable:
            for name, value in (("shuffle", shuffle), ("sampler", sampler), ("batch_sampler", batch_sampler)):
                if value is not None and value is not False:
                    raise ValueError(f"DataLoader: an IterableDataset has its own order: {name} has no meaning")
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: sampler and shuffle exclude each other")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError("DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last")
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("DataLoader: batch_size=None makes no batches, which drop_last could drop")
        if sampler is None and not self._iterable:
            source: Any = dataset
            sampler = RandomSampler(source, generator=generator) if shuffle else SequentialSampler(source)
        if batch_size is not None and batch_sampler is None and not self._iterable:
            assert sampler is not None
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        elif batch_size is not None and (not isinstance(batch_size, int) or batch_size <= 0):
            raise ValueError(f"DataLoader: batch_size must be a positive integer, not {batch_size!r}")
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self._batched = batch_sampler is not None or (self._iterable and batch_size is not None)
        if collate_fn is None:
            collate_fn = default_collate if self._batched else default_convert
        self.collate_fn = collate_fn
        self._workers: Workers | None = None
        self._initialized = True

    @staticmethod
    def _check_workers(
        num_workers: int, timeout: float, init: Any, prefetch_factor: int | None, persistent_workers: bool
    ) -> None:
        if isinstance(num_workers, bool) or not isinstance(num_workers, int) or num_workers < 0:
            raise ValueError(f"DataLoader: num_workers must be an integer, 0 or more, not {num_workers!r}")
        if timeout < 0:
            raise ValueError(f"DataLoader: timeout must not be negative: {timeout}")
        if prefetch_factor is not None and prefetch_factor <= 0:
            raise ValueError(f"DataLoader: prefetch_factor must be positive, not {prefetch_factor}")
        if num_workers == 0:
            needs = {"timeout": timeout, "prefetch_factor": prefetch_factor, "persistent_workers": persistent_workers}
            for name, value in needs.items():
                if value:
                    raise ValueError(f"DataLoader: {name} needs num_workers above 0")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED and self.__dict__.get("_initialized"):
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_workers": None}

    def __len__(self) -> int:
        """The number of batches; ``TypeError`` if the data set has no length."""
        if self._iterable:
            samples = len(self.dataset)
            if self.batch_size is None:
                return samples
            return samples // self.batch_size if self.drop_last else -(-samples // self.batch_size)
        return len(self._indices())

    def _indices(self) -> Any:
        """What gives, for each batch, what a fetcher is asked for."""
        if self._iterable:
            return repeat(None if self.batch_size is None else range(self.batch_size))
        return self.batch_sampler if self._batched else self.sampler

    def _make_fetcher(self) -> Callable[[Any], Fetcher]:
        """What makes a worker's fetcher of its data set, without a reference to this loader."""
        collate, batched, drop_last = self.collate_fn, self._batched, self.drop_last
        if self._iterable:
            return lambda dataset: iterable_fetcher(dataset, collate, batched, drop_last)
        quick = batched and collate is default_collate
        return lambda dataset: map_fetcher(dataset, collate, collated_rows(dataset) if quick else None, batched)

    def __iter__(self) -> Iterator[Any]:
        # Drawn without workers too, so that the order of a shuffle does not depend on their number.
        seed = random_seed(self.generator)
        indices = iter(self._indices())
        if self.num_workers == 0:
            return _SerialIterator(self._make_fetcher()(self.dataset), indices, self.__len__)
        workers = self._workers
        if workers is None:
            workers = Workers(self.num_workers, self.dataset, self._make_fetcher(), self.worker_init_fn)
            if self.persistent_workers:
                self._workers = workers
        assert self.prefetch_factor is not None
        return WorkerIterator(
            workers,
            indices,
            seed,
            ahead=self.prefetch_factor * self.num_workers,
            timeout=self.timeout,
            in_order=self.in_order,
            keep=self.persistent_workers,
            length=self.__len__,
        )


class _SerialIterator:
    """Batches loaded when they are asked for, by the caller itself."""

    def __init__(self, fetch: Fetcher, indices: Iterator[Any], length: Callable[[], int]) -> None:
        self._fetch = fetch
        self._indices = indices
        self._length = length
        self._progress = Progress()

    def __iter__(self) -> _SerialIterator:
        return self

    def __len__(self) -> int:
        return self._length()

    def __next__(self) -> Any:
        indices = next(self._indices)
        try:
            return self._fetch(indices, self._progress)
        except Exhausted:
            raise StopIteration from None
        except StopIteration as error:
            # As itself it would end the caller's loop without a word.
            raise RuntimeError(f"{self._progress.place}: {error!r}") from error
