"""Data sets, samplers, and the loader with and without workers."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import threading
import time
from collections import OrderedDict, namedtuple
from typing import Any

import numpy as np
import pytest
from opinfo.run import IS_TORCH, array, tf

data = tf.utils.data
# PyTorch warns of more worker processes than processors.
WORKERS = [0, 1, 2] if IS_TORCH else [0, 1, 3]


class Numbers(data.Dataset):
    def __init__(self, size: int = 20) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> int:
        if not 0 <= index < self.size:
            raise IndexError(f"no number {index}")
        return index * 10


class Stream(data.IterableDataset):
    def __init__(self, stop: int = 10) -> None:
        self.start, self.stop = 0, stop

    def __iter__(self) -> Any:
        info = data.get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(self.start + first, self.stop, step))


def lists(loader: Any) -> list[Any]:
    return [batch.tolist() for batch in loader]


def worker_threads() -> int:
    gc.collect()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        count = sum(thread.name.startswith("DataLoader-worker") for thread in threading.enumerate())
        if count == 0:
            return 0
        time.sleep(0.01)
    return count


# -- data sets ------------------------------------------------------------------------------------------------------


def test_tensor_dataset() -> None:
    found = data.TensorDataset(tf.arange(4), tf.arange(8).view(4, 2))
    assert len(found) == 4
    assert [each.tolist() for each in found[2]] == [2, [4, 5]]
    with pytest.raises((ValueError, AssertionError)):
        data.TensorDataset(tf.arange(4), tf.arange(3))


def test_concat_and_chain() -> None:
    both = Numbers(3) + Numbers(2)
    assert isinstance(both, data.ConcatDataset)
    assert [both[index] for index in range(len(both))] == [0, 10, 20, 0, 10]
    assert both[-1] == 10
    assert both[-5] == 0
    with pytest.raises((IndexError, ValueError)):
        both[-6]
    chained = Stream(3) + Stream(2)
    assert isinstance(chained, data.ChainDataset)
    assert list(chained) == [0, 1, 2, 0, 1]
    with pytest.raises((ValueError, AssertionError)):
        data.ConcatDataset([])
    with pytest.raises((TypeError, AssertionError)):
        data.ConcatDataset([Stream()])


def test_subset_and_random_split() -> None:
    assert [data.Subset(Numbers(), [3, 1])[index] for index in range(2)] == [30, 10]
    parts = data.random_split(Numbers(10), [7, 3], generator=tf.Generator().manual_seed(1))
    assert [len(part) for part in parts] == [7, 3]
    indices = [index for part in parts for index in part.indices]
    assert sorted(indices) == list(range(10))
    assert indices != list(range(10))
    again = data.random_split(Numbers(10), [7, 3], generator=tf.Generator().manual_seed(1))
    assert [list(part.indices) for part in again] == [list(part.indices) for part in parts]
    assert [len(part) for part in data.random_split(range(10), [0.5, 0.25, 0.25])] == [6, 2, 2]
    with pytest.raises(ValueError, match=r"[Ss]um|add up"):
        data.random_split(range(10), [5, 4])
    with pytest.raises(NotImplementedError):
        data.Dataset()[0]


# -- samplers -------------------------------------------------------------------------------------------------------


def test_samplers() -> None:
    assert list(data.SequentialSampler(range(3))) == [0, 1, 2]
    shuffled = data.RandomSampler(range(50), generator=tf.Generator().manual_seed(2))
    first, second = list(shuffled), list(shuffled)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    assert first != list(range(50))
    assert len(list(data.RandomSampler(range(3), num_samples=8))) == 8
    drawn = list(data.RandomSampler(range(4), replacement=True, num_samples=4000))
    assert np.abs(np.bincount(drawn) / 4000 - 0.25).max() < 0.03
    assert sorted(data.SubsetRandomSampler([2, 4, 8])) == [2, 4, 8]
    for wrong in ({"num_samples": 0}, {"num_samples": 1.5}, {"replacement": 3}):
        with pytest.raises((ValueError, TypeError)):
            data.RandomSampler(range(3), **wrong)


def test_batch_sampler() -> None:
    batches = data.BatchSampler(range(7), 3, False)
    assert list(batches) == [[0, 1, 2], [3, 4, 5], [6]]
    assert len(batches) == 3
    batches = data.BatchSampler(range(7), 3, True)
    assert list(batches) == [[0, 1, 2], [3, 4, 5]]
    assert len(batches) == 2
    with pytest.raises(ValueError, match="batch_size"):
        data.BatchSampler(range(7), 0, False)
    with pytest.raises(ValueError, match="drop_last"):
        data.BatchSampler(range(7), 3, 1)


def test_weighted_sampler() -> None:
    weights = [0.0, 1.0, 2.0, 5.0]
    drawn = list(data.WeightedRandomSampler(weights, 8000))
    assert np.abs(np.bincount(drawn, minlength=4) / 8000 - np.array(weights) / 8).max() < 0.02
    generator = tf.Generator().manual_seed(4)
    sampler = data.WeightedRandomSampler(weights, 3, replacement=False, generator=generator)
    firsts = []
    for _ in range(2000):
        once = list(sampler)
        assert sorted(once) == [1, 2, 3]
        firsts.append(once[0])
    assert np.abs(np.bincount(firsts, minlength=4) / 2000 - np.array(weights) / 8).max() < 0.05
    with pytest.raises(ValueError, match="num_samples"):
        data.WeightedRandomSampler(weights, 0)


@pytest.mark.ours
def test_weights_are_checked_at_once() -> None:
    for weights in ([-1.0, 1.0], [0.0], [[1.0]], [float("nan")]):
        with pytest.raises(ValueError, match="weights"):
            data.WeightedRandomSampler(weights, 1)
    with pytest.raises(ValueError, match="replacement"):
        data.WeightedRandomSampler([0.0, 1.0], 2, replacement=False)


# -- collation ------------------------------------------------------------------------------------------------------


def test_collate_leaves() -> None:
    assert data.default_collate([1, 2]).tolist() == [1, 2]
    assert data.default_collate([1, 2]).dtype == tf.int64
    assert data.default_collate([1.0, 2.0]).dtype == tf.float64
    assert data.default_collate([True, False]).dtype == tf.bool
    assert data.default_collate(["a", "b"]) == ["a", "b"]
    assert data.default_collate([b"a", b"b"]) == [b"a", b"b"]
    assert data.default_collate([tf.arange(2), tf.arange(2)]).tolist() == [[0, 1], [0, 1]]
    arrays = [np.arange(2, dtype=np.float32), np.ones(2, np.float32)]
    assert data.default_collate(arrays).tolist() == [[0, 1], [1, 1]]
    assert data.default_collate(arrays).dtype == tf.float32
    scalars = data.default_collate([np.float32(1), np.float32(2)])
    assert scalars.dtype == tf.float32
    assert data.default_collate([np.int64(1)]).dtype == tf.int64
    with pytest.raises(TypeError, match="object"):
        data.default_collate([object()])
    with pytest.raises(TypeError):
        data.default_collate([np.array(["a"])])
    with pytest.raises(RuntimeError):
        data.default_collate([tf.ones(2), tf.ones(3)])


def test_collate_trees() -> None:
    Point = namedtuple("Point", ["x", "y"])
    samples = [OrderedDict(a=1, b=(Point(1.0, "p"), [number, {"c": tf.ones(2)}])) for number in (3, 4)]
    made = data.default_collate(samples)
    assert type(made) is OrderedDict
    assert made["a"].tolist() == [1, 1]
    point, (numbers, inner) = made["b"]
    assert isinstance(made["b"], (list, tuple))
    assert type(point) is Point
    assert point.x.tolist() == [1, 1]
    assert list(point.y) == ["p", "p"]
    assert numbers.tolist() == [3, 4]
    assert inner["c"].tolist() == [[1, 1], [1, 1]]
    with pytest.raises(RuntimeError):
        data.default_collate([[1], [1, 2]])


def test_convert() -> None:
    made = data.default_convert({"a": np.arange(2), "b": [np.float64(3), "x"], "c": (1, None)})
    assert made["a"].tolist() == [0, 1]
    assert made["b"][0].item() == 3
    assert made["b"][1] == "x"
    assert list(made["c"]) == [1, None]


# -- the loader -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", WORKERS)
def test_batches_in_order(workers: int) -> None:
    loader = data.DataLoader(Numbers(7), batch_size=3, num_workers=workers)
    assert len(loader) == 3
    for _ in range(2):
        assert lists(loader) == [[0, 10, 20], [30, 40, 50], [60]]
    dropping = data.DataLoader(Numbers(7), batch_size=3, num_workers=workers, drop_last=True)
    assert len(dropping) == len(lists(dropping)) == 2
    assert lists(data.DataLoader(Numbers(0), batch_size=3, num_workers=workers)) == []
    single = data.DataLoader(Numbers(3), batch_size=None, num_workers=workers)
    assert list(single) == [0, 10, 20]
    assert len(single) == 3
    chosen = data.DataLoader(Numbers(9), batch_sampler=[[1, 2], [5]], num_workers=workers)
    assert lists(chosen) == [[10, 20], [50]]
    sampled = data.DataLoader(Numbers(9), batch_size=2, sampler=[8, 0, 4], num_workers=workers)
    assert lists(sampled) == [[80, 0], [40]]


@pytest.mark.parametrize("workers", WORKERS)
def test_tensor_dataset_batches(workers: int) -> None:
    x, y = tf.arange(10.0).view(5, 2), tf.arange(5)
    whole = data.TensorDataset(x, y)
    for dataset, order in ((whole, range(5)), (data.Subset(whole, [4, 2, 0]), [4, 2, 0])):
        found = list(data.DataLoader(dataset, batch_size=2, num_workers=workers))
        assert all(type(batch) is list for batch in found)
        assert [row for batch in found for row in batch[0].tolist()] == [[2.0 * i, 2.0 * i + 1] for i in order]
        assert [label for batch in found for label in batch[1].tolist()] == list(order)


def test_subclass_of_tensor_dataset_is_asked_for_its_samples() -> None:
    class Doubled(data.TensorDataset):
        def __getitem__(self, index: Any) -> Any:
            return tuple(each * 2 for each in super().__getitem__(index))

    (batch,) = data.DataLoader(Doubled(tf.arange(3)), batch_size=3)
    assert batch[0].tolist() == [0, 2, 4]
    (batch,) = data.DataLoader(data.Subset(Doubled(tf.arange(3)), [2]), batch_size=3)
    assert batch[0].tolist() == [4]


def test_whole_batches_of_the_data_set() -> None:
    class Whole(Numbers):
        def __getitems__(self, indices: Any) -> Any:
            return [-index for index in indices]

    assert lists(data.DataLoader(Whole(3), batch_size=2)) == [[0, -1], [-2]]


def test_shuffling_follows_from_the_seed() -> None:
    orders = []
    for workers in WORKERS:
        tf.manual_seed(11)
        loader = data.DataLoader(Numbers(50), batch_size=8, shuffle=True, num_workers=workers)
        orders.append([lists(loader), lists(loader)])
    assert orders[0] == orders[1] == orders[2]
    first, second = ([number for batch in epoch for number in batch] for epoch in orders[0])
    assert sorted(first) == sorted(second) == [10 * number for number in range(50)]
    assert first != second
    by_generator = [
        lists(data.DataLoader(Numbers(50), 8, shuffle=True, generator=tf.Generator().manual_seed(3))) for _ in range(2)
    ]
    assert by_generator[0] == by_generator[1] != orders[0][0]


@pytest.mark.parametrize("workers", WORKERS)
def test_collate_function(workers: int) -> None:
    loader = data.DataLoader(Numbers(4), batch_size=2, collate_fn=sum, num_workers=workers)
    assert list(loader) == [10, 50]


@pytest.mark.ours
@pytest.mark.parametrize("workers", WORKERS)
def test_iterable_data(workers: int) -> None:
    loader = data.DataLoader(Stream(10), batch_size=4, num_workers=workers)
    expected = {
        0: [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]],
        1: [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]],
        3: [[0, 3, 6, 9], [1, 4, 7], [2, 5, 8]],
    }[workers]
    assert lists(loader) == expected
    assert lists(loader) == expected
    dropping = data.DataLoader(Stream(10), batch_size=4, drop_last=True, num_workers=workers)
    assert lists(dropping) == [batch for batch in expected if len(batch) == 4]
    assert sorted(data.DataLoader(Stream(5), batch_size=None, num_workers=workers)) == [0, 1, 2, 3, 4]
    with pytest.raises(TypeError):
        len(loader)


@pytest.mark.ours
def test_each_worker_has_a_data_set_of_its_own() -> None:
    def part(worker: int) -> None:
        info = data.get_worker_info()
        assert info is not None
        assert (info.id, info.num_workers) == (worker, 2)
        info.dataset.first, info.dataset.last = (0, 3) if worker == 0 else (3, 8)

    class Range(data.IterableDataset):
        first, last = 0, 0

        def __iter__(self) -> Any:
            return iter(range(self.first, self.last))

    loader = data.DataLoader(Range(), batch_size=8, num_workers=2, worker_init_fn=part)
    assert lists(loader) == [[0, 1, 2], [3, 4, 5, 6, 7]]
    assert data.get_worker_info() is None


@pytest.mark.ours
def test_seeds_of_workers() -> None:
    class Seeds(Numbers):
        def __getitem__(self, index: int) -> int:
            info = data.get_worker_info()
            return -1 if info is None else info.seed

    def seeds() -> list[int]:
        return [seed for batch in lists(data.DataLoader(Seeds(4), num_workers=2)) for seed in batch]

    tf.manual_seed(9)
    first, second = seeds(), seeds()
    assert first[1] == first[0] + 1
    assert first == first[:2] * 2
    assert first != second
    tf.manual_seed(9)
    assert seeds() == first


@pytest.mark.ours
def test_workers_load_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=20)

    class Meeting(Numbers):
        def __getitem__(self, index: int) -> int:
            meeting.wait()
            return index

    assert lists(data.DataLoader(Meeting(3), num_workers=3)) == [[0], [1], [2]]


@pytest.mark.ours
def test_no_more_is_loaded_than_asked_for() -> None:
    loaded: list[int] = []

    class Counted(Numbers):
        def __getitem__(self, index: int) -> int:
            loaded.append(index)
            return index

    loader = iter(data.DataLoader(Counted(100), num_workers=2, prefetch_factor=3))
    assert len(loader) == 100
    time.sleep(0.1)
    assert sorted(loaded) == list(range(6))
    next(loader)
    time.sleep(0.1)
    assert sorted(loaded) == list(range(7))


@pytest.mark.ours
def test_batches_as_they_are_done() -> None:
    last_done = threading.Event()

    class Held(Numbers):
        def __getitem__(self, index: int) -> int:
            if index == 0:
                assert last_done.wait(20)
            return index

    found = []
    for batch in data.DataLoader(Held(6), num_workers=2, in_order=False):
        found.append(batch.item())
        if found[-1] == 1:
            last_done.set()
    assert sorted(found) == list(range(6))
    assert found[0] == 1


# -- failures -------------------------------------------------------------------------------------------------------


class Custom(Exception):
    def __init__(self, first: int, second: int) -> None:
        super().__init__(first, second)
        self.first = first


@pytest.mark.ours
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("bad value"), "bad value"),
        (KeyError("key"), "key"),
        (FileNotFoundError(2, "No such file", "x.png"), "No such file"),
        (StopIteration(), "StopIteration"),
        (KeyboardInterrupt("pressed"), "pressed"),
    ],
)
def test_an_exception_of_a_worker_reaches_the_caller(error: BaseException, text: str) -> None:
    class Failing(Numbers):
        def __getitem__(self, index: int) -> int:
            if index == 13:
                raise error
            return index

    found = []
    kind = RuntimeError if isinstance(error, StopIteration) else type(error)
    loader = data.DataLoader(Failing(20), batch_size=5, num_workers=2)
    with pytest.raises(kind) as raised:
        found.extend(map(tf.Tensor.tolist, loader))
    assert type(raised.value) is kind
    assert "sample 13" in str(raised.value)
    assert text in str(raised.value)
    assert raised.value.__cause__ is error
    assert found == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    if isinstance(error, OSError):
        assert (raised.value.errno, raised.value.filename) == (2, "x.png")
    del raised
    error.__traceback__ = None
    assert worker_threads() == 0


@pytest.mark.ours
def test_an_exception_that_a_text_does_not_make() -> None:
    class Failing(Numbers):
        def __getitem__(self, index: int) -> int:
            raise Custom(index, 2)

    with pytest.raises(Custom) as raised:
        list(data.DataLoader(Failing(3), num_workers=1))
    assert raised.value.first == 0
    assert "sample 0" in raised.value.__notes__[0]


@pytest.mark.ours
def test_failures_outside_of_samples() -> None:
    def refuse(what: Any) -> None:
        raise OSError("refused")

    with pytest.raises(OSError, match=r"collating samples \[0, 1\] .*refused"):
        list(data.DataLoader(Numbers(), batch_size=2, num_workers=1, collate_fn=refuse))
    with pytest.raises(OSError, match=r"worker_init_fn \(worker 0\): refused"):
        list(data.DataLoader(Numbers(), num_workers=2, worker_init_fn=refuse))

    class Broken(data.IterableDataset):
        def __iter__(self) -> Any:
            raise LookupError("no data")

    with pytest.raises(LookupError, match="no data"):
        list(data.DataLoader(Broken(), num_workers=2))
    with pytest.raises(RuntimeError, match="sample 0"):
        list(data.DataLoader(type("Empty", (Numbers,), {"__getitem__": lambda self, index: next(iter(()))})()))


@pytest.mark.ours
def test_the_loop_may_go_on_after_an_exception() -> None:
    class Odd(Numbers):
        def __getitem__(self, index: int) -> int:
            if index == 1:
                raise ValueError("odd")
            return index

    loader = iter(data.DataLoader(Odd(4), num_workers=2))
    assert next(loader).tolist() == [0]
    with pytest.raises(ValueError, match="odd"):
        next(loader)
    assert lists(loader) == [[2], [3]]


@pytest.mark.ours
def test_timeout() -> None:
    release = threading.Event()

    class Slow(Numbers):
        def __getitem__(self, index: int) -> int:
            release.wait(20)
            return index

    with pytest.raises(RuntimeError, match=r"timed out after 0\.05 seconds"):
        next(iter(data.DataLoader(Slow(), num_workers=1, timeout=0.05)))
    release.set()


# -- the workers' lives ---------------------------------------------------------------------------------------------


@pytest.mark.ours
def test_workers_stop_when_nobody_listens() -> None:
    for _ in data.DataLoader(Numbers(1000), num_workers=3):
        break
    assert worker_threads() == 0
    iterator = iter(data.DataLoader(Numbers(1000), num_workers=3))
    next(iterator)
    del iterator
    assert worker_threads() == 0
    list(data.DataLoader(Numbers(10), num_workers=3))
    assert worker_threads() == 0


@pytest.mark.ours
def test_workers_stop_between_samples() -> None:
    begun, loaded = threading.Event(), []

    class Slow(Numbers):
        def __getitem__(self, index: int) -> int:
            begun.set()
            loaded.append(index)
            time.sleep(0.01)
            return index

    iterator = iter(data.DataLoader(Slow(100000), batch_size=100000, num_workers=1))
    begun.wait(20)
    del iterator
    assert worker_threads() == 0
    assert len(loaded) < 1000


@pytest.mark.ours
def test_persistent_workers() -> None:
    started: list[int] = []
    loader = data.DataLoader(
        Numbers(6), batch_size=2, num_workers=2, persistent_workers=True, worker_init_fn=started.append
    )
    expected = [[0, 10], [20, 30], [40, 50]]
    assert lists(loader) == expected
    for batch in loader:
        assert batch.tolist() == expected[0]
        break
    assert lists(loader) == expected
    assert sorted(started) == [0, 1]
    before = iter(loader)
    after = iter(loader)
    with pytest.raises(RuntimeError, match="one iteration at a time"):
        next(before)
    assert lists(after) == expected
    stream = data.DataLoader(Stream(6), batch_size=4, num_workers=2, persistent_workers=True)
    assert lists(stream) == lists(stream) == [[0, 2, 4], [1, 3, 5]]
    del loader, before, after, stream, batch
    assert worker_threads() == 0


@pytest.mark.ours
def test_the_interpreter_exits_while_workers_work() -> None:
    code = """
        import time
        import tenflowers as tf

        class Slow(tf.utils.data.Dataset):
            def __len__(self): return 1000
            def __getitem__(self, index):
                time.sleep(0.02)
                return tf.ones(10) * index

        iterator = iter(tf.utils.data.DataLoader(Slow(), batch_size=4, num_workers=3))
        print(next(iterator).shape[0])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "4\n", "")


# -- arguments ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_workers": -1},
        {"timeout": -1, "num_workers": 1},
        {"prefetch_factor": 2},
        {"persistent_workers": True},
        {"batch_size": 0},
        {"sampler": [1], "shuffle": True},
        {"batch_sampler": [[1]], "batch_size": 2},
        {"batch_sampler": [[1]], "shuffle": True},
        {"batch_sampler": [[1]], "drop_last": True},
        {"batch_size": None, "drop_last": True},
    ],
    ids=str,
)
def test_wrong_arguments(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).split("_")[0]):
        data.DataLoader(Numbers(), **wrong)


@pytest.mark.parametrize("name", ["shuffle", "sampler", "batch_sampler"])
def test_iterable_data_has_its_own_order(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        data.DataLoader(Stream(), **{name: True if name == "shuffle" else [0]})


def test_attributes_that_are_fixed() -> None:
    loader = data.DataLoader(Numbers(), batch_size=4)
    assert loader.batch_size == 4
    assert loader.num_workers == 0
    assert loader.dataset.size == 20
    for name in ("batch_size", "sampler", "drop_last", "dataset"):
        with pytest.raises(ValueError, match="should not be set"):
            setattr(loader, name, 1)


@pytest.mark.ours
def test_what_is_not_supported_says_so() -> None:
    with pytest.raises(NotImplementedError, match="multiprocessing_context"):
        data.DataLoader(Numbers(), multiprocessing_context="spawn")
    with pytest.raises(NotImplementedError, match="pin_memory_device"):
        data.DataLoader(Numbers(), pin_memory_device="cuda")
    with pytest.warns(UserWarning, match="pin_memory"):
        data.DataLoader(Numbers(), pin_memory=True)
    with pytest.raises(TypeError, match="unknown"):
        data.DataLoader(Numbers(), unknown=1)
    with pytest.raises(ValueError, match="prefetch_factor"):
        data.DataLoader(Numbers(), prefetch_factor=0, num_workers=1)


def test_a_model_is_trained_from_a_loader() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((256, 2)).astype(np.float32)
    y = (x @ np.array([2.0, -1.0], np.float32))[:, None]
    loader = data.DataLoader(data.TensorDataset(tf.from_numpy(x), tf.from_numpy(y)), batch_size=32, shuffle=True)
    model = tf.nn.Linear(2, 1)
    optimizer = tf.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(20):
        for inputs, targets in loader:
            optimizer.zero_grad()
            tf.nn.functional.mse_loss(model(inputs), targets).backward()
            optimizer.step()
    np.testing.assert_allclose(array(model.weight), [[2, -1]], atol=1e-3)
