"""The threads of a loader: each takes lists of indices from a queue of its own and leaves batches for the caller."""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from queue import SimpleQueue
from typing import Any, NoReturn

from .dataset import Dataset

__all__ = ["WorkerInfo", "get_worker_info"]

Fetcher = Callable[[Any, "Progress"], Any]


class WorkerInfo:
    """What ``get_worker_info`` tells a worker: its ``id`` among ``num_workers``, its ``seed``, its ``dataset``."""

    def __init__(self, id: int, num_workers: int, seed: int, dataset: Any) -> None:
        self.id = id
        self.num_workers = num_workers
        self.seed = seed
        self.dataset = dataset

    def __repr__(self) -> str:
        return f"WorkerInfo(id={self.id}, num_workers={self.num_workers}, seed={self.seed}, dataset={self.dataset!r})"


_here = threading.local()


def get_worker_info() -> WorkerInfo | None:
    """In a worker of a loader, what it needs to know to load its part; None elsewhere.

    ``seed`` differs from worker to worker and from epoch to epoch, and follows from the loader's generator.
    """
    return getattr(_here, "info", None)


class Abandoned(Exception):
    """A fetcher's way out when its batch is wanted no more."""


class Exhausted(Exception):
    """The samples of an iterable data set have come to their end."""


class Failure:
    """An exception on its way from a worker to the caller, and where it happened."""

    def __init__(self, error: BaseException, place: str) -> None:
        self.error = error
        self.place = place


class Progress:
    """Where a fetcher is in its work, and whether somebody still wants it."""

    def __init__(self, results: Results | None = None) -> None:
        self.place = ""
        self.number = 0
        self._results = results

    @property
    def stopped(self) -> bool:
        results = self._results
        return results is not None and (results.closed or self.number < results.first)


def map_fetcher(
    dataset: Any, collate: Callable[[Any], Any], rows: Callable[[Sequence[Any]], Any] | None, batched: bool
) -> Fetcher:
    """What loads samples by index; ``rows``, if there is one, gives a whole collated batch."""

    def fetch(indices: Any, progress: Progress) -> Any:
        if not batched:
            progress.place = f"sample {indices}"
            return collate(dataset[indices])
        progress.place = f"samples {indices}"
        if rows is not None:
            return rows(indices)
        if hasattr(dataset, "__getitems__"):
            return collate(dataset.__getitems__(indices))
        samples = []
        for index in indices:
            if progress.stopped:
                raise Abandoned
            progress.place = f"sample {index}"
            samples.append(dataset[index])
        progress.place = f"collating samples {indices}"
        return collate(samples)

    return fetch


def iterable_fetcher(dataset: Any, collate: Callable[[Any], Any], batched: bool, drop_last: bool) -> Fetcher:
    """What takes the next samples of an iterable data set; the indices only say how many."""
    samples = iter(dataset)
    taken = 0
    ended = False

    def fetch(indices: Any, progress: Progress) -> Any:
        nonlocal taken, ended
        first = taken
        batch: list[Any] = []
        wanted = len(indices) if batched else 1
        while len(batch) < wanted and not ended:
            if progress.stopped:
                raise Abandoned
            progress.place = f"sample {taken}"
            try:
                batch.append(next(samples))
            except StopIteration:
                ended = True
            else:
                taken += 1
        if not batch or (batched and drop_last and len(batch) < wanted):
            raise Exhausted
        progress.place = f"collating samples {first} to {taken - 1}"
        return collate(batch if batched else batch[0])

    return fetch


class Results:
    """Batches by number, as the workers finish them; those of an iteration given up are dropped."""

    def __init__(self) -> None:
        self.first = 0
        self.closed = False
        self._ready: dict[int, Any] = {}
        self._changed = threading.Condition()

    def put(self, number: int, outcome: Any) -> None:
        with self._changed:
            if number >= self.first:
                self._ready[number] = outcome
                self._changed.notify_all()

    def take(self, number: int | None, timeout: float | None) -> tuple[int, Any]:
        """The outcome of a number, or with None of whichever is there first; ``TimeoutError`` after ``timeout``."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._ready if number is None else number in self._ready, timeout):
                raise TimeoutError
            if number is None:
                number = next(iter(self._ready))
            return number, self._ready.pop(number)

    def drop_below(self, first: int) -> None:
        with self._changed:
            self.first = first
            self._ready.clear()

    def close(self) -> None:
        with self._changed:
            self.closed = True
            self._ready.clear()


def _work(
    info: WorkerInfo,
    tasks: SimpleQueue[Any],
    results: Results,
    make_fetcher: Callable[[Any], Fetcher],
    worker_init_fn: Callable[[int], Any] | None,
) -> None:
    """A worker's life. It must not refer to the iterator or the loader, or dropping those would not stop it."""
    _here.info = info
    progress = Progress(results)
    broken: Failure | None = None
    fetch: Fetcher | None = None
    try:
        progress.place = "worker_init_fn"
        if worker_init_fn is not None:
            worker_init_fn(info.id)
    except BaseException as error:
        broken = Failure(error, progress.place)
    while (task := tasks.get()) is not None:
        number, what = task
        try:
            if number is None:  # an iteration begins
                info.seed = what
                progress.place = "the start of an iteration"
                fetch = make_fetcher(info.dataset)
                continue
            progress.number = number
            if progress.stopped:
                continue
            outcome = broken if broken is not None or fetch is None else fetch(what, progress)
        except Abandoned:
            continue
        except Exhausted:
            outcome = Exhausted
        except BaseException as error:
            outcome = Failure(error, progress.place)
            if number is None:
                broken, fetch = broken or outcome, None
                continue
        results.put(number, outcome)
        del task, what, outcome  # not to keep a batch alive while waiting for the next task


class Workers:
    """The threads of one loader. They stop when this is closed or dropped, and at the interpreter's exit."""

    def __init__(
        self,
        count: int,
        dataset: Any,
        make_fetcher: Callable[[Any], Fetcher],
        worker_init_fn: Callable[[int], Any] | None,
    ) -> None:
        self.results = Results()
        self.count = count
        self.epoch = 0
        self.next_number = 0
        self._tasks: list[SimpleQueue[Any]] = [SimpleQueue() for _ in range(count)]
        self.close = weakref.finalize(self, _close, self.results, self._tasks)
        for id, tasks in enumerate(self._tasks):
            # A shallow copy each, so that `worker_info.dataset.start = ...` is the worker's own.
            info = WorkerInfo(id, count, 0, copy(dataset) if isinstance(dataset, Dataset) else dataset)
            thread = threading.Thread(
                target=_work,
                args=(info, tasks, self.results, make_fetcher, worker_init_fn),
                name=f"DataLoader-worker-{id}",
                daemon=True,
            )
            thread.start()
            _threads.add(thread)
        _pools.add(self)

    def begin(self, seed: int) -> int:
        """Begin an iteration, give up the one before, and give its number."""
        self.epoch += 1
        self.results.drop_below(self.next_number)
        for id, tasks in enumerate(self._tasks):
            tasks.put((None, seed + id))
        return self.epoch

    def submit(self, worker: int, indices: Any) -> int:
        """Have a worker load a batch, whose number is given."""
        number = self.next_number
        self.next_number += 1
        self._tasks[worker].put((number, indices))
        return number


_pools: weakref.WeakSet[Workers] = weakref.WeakSet()
_threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def _close(results: Results, tasks: list[SimpleQueue[Any]]) -> None:
    results.close()
    for each in tasks:
        each.put(None)


@atexit.register
def _close_all() -> None:
    # A thread that is still at work when the interpreter is taken down may crash on its way back into it.
    for pool in list(_pools):
        pool.close()
    for thread in list(_threads):
        thread.join(timeout=5)


class WorkerIterator:
    """Batches that workers load ahead of the caller, in the sampler's order unless ``in_order`` is off."""

    def __init__(
        self,
        workers: Workers,
        indices: Iterator[Any],
        seed: int,
        *,
        ahead: int,
        timeout: float,
        in_order: bool,
        keep: bool,
        length: Callable[[], int],
    ) -> None:
        self._workers = workers
        self._indices = indices
        self._timeout = timeout
        self._in_order = in_order
        self._keep = keep
        self._length = length
        self._active = list(range(workers.count))
        self._turn = 0
        self._pending: dict[int, int] = {}  # the worker of each number
        self._epoch = workers.begin(seed)
        for _ in range(ahead):
            self._send()

    def __iter__(self) -> WorkerIterator:
        return self

    def __len__(self) -> int:
        return self._length()

    def _send(self) -> None:
        """Give the next list of indices to the next worker, if there is one of each."""
        if not self._active:
            return
        try:
            indices = next(self._indices)
        except StopIteration:
            return
        worker = self._active[self._turn % len(self._active)]
        self._turn += 1
        self._pending[self._workers.submit(worker, indices)] = worker

    def __next__(self) -> Any:
        if self._pending and self._epoch != self._workers.epoch:
            raise RuntimeError("DataLoader: persistent workers serve one iteration at a time, and a new one has begun")
        while self._pending:
            number = next(iter(self._pending)) if self._in_order else None
            try:
                number, outcome = self._workers.results.take(number, self._timeout or None)
            except TimeoutError:
                raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds") from None
            worker = self._pending.pop(number)
            if outcome is Exhausted:
                self._retire(worker)
                self._send()
                continue
            self._send()
            if not isinstance(outcome, Failure):
                return outcome
            try:
                raise_failure(outcome, worker)
            finally:
                del outcome  # as there
        if not self._keep:
            self._workers.close()
        raise StopIteration

    def _retire(self, worker: int) -> None:
        if worker in self._active:
            # The turn stays with the worker after it.
            place = self._active.index(worker)
            turn = self._turn % len(self._active)
            del self._active[place]
            self._turn = turn - 1 if place < turn else turn


def raise_failure(failure: Failure, worker: int) -> NoReturn:
    """Raise a worker's exception as one of its class whose text says which sample it was."""
    error = failure.error
    place = f"{failure.place} (worker {worker})"
    renewed = _renewed(error, place)
    try:
        if renewed is not None:
            raise renewed from error
        # Its class is not made from a text alone. A note is printed under the exception from Python 3.11 on.
        notes = [*getattr(error, "__notes__", []), f"in a DataLoader, {place}"]
        error.__notes__ = notes  # type: ignore[attr-defined]
        raise error
    finally:
        # This frame belongs to the exception's traceback: a cycle, which would keep the workers alive.
        del failure, error, renewed


def _renewed(error: BaseException, place: str) -> BaseException | None:
    if isinstance(error, (StopIteration, StopAsyncIteration)):
        # As itself it would end the caller's loop without a word.
        return RuntimeError(f"{place}: {error!r}")
    kind = type(error)
    try:
        renewed: BaseException
        if isinstance(error, OSError) and error.errno is not None:
            renewed = kind(error.errno, f"{place}: {error.strerror}", *_file_names(error))
        else:
            renewed = kind(f"{place}: {error}")
        renewed.__dict__.update(error.__dict__)
        return renewed if type(renewed) is kind and place in str(renewed) else None
    except Exception:
        return None


def _file_names(error: OSError) -> tuple[Any, ...]:
    if error.filename2 is not None:
        return (error.filename, None, error.filename2)
    return () if error.filename is None else (error.filename,)
