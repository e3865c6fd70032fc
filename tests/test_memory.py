"""What the allocator promises: every byte is counted, given back, and within the budget; training does not grow."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from opinfo.run import tf

pytestmark = pytest.mark.ours

MB = 1 << 20
# What may be in use and in the cache together, beyond five quarters of the most that was ever in use.
SLACK = 64 * MB


def stats(name: str) -> int:
    return int(tf.memory_stats()[name])


def run(program: str) -> str:
    """What the program prints, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(autouse=True)
def emptied() -> Iterator[None]:
    tf.empty_cache()
    tf.reset_peak_memory_stats()
    yield
    tf.empty_cache()


@contextmanager
def budget(size: int) -> Iterator[None]:
    before = stats("budget")
    tf.set_memory_budget(size)
    try:
        yield
    finally:
        tf.set_memory_budget(before)


def test_statistics_are_these() -> None:
    assert set(tf.memory_stats()) == {"live", "peak", "budget", "cached"}
    assert all(isinstance(size, int) and size >= 0 for size in tf.memory_stats().values())
    # By default the budget is what the machine or its control group has.
    assert stats("budget") >= 256 * MB


@pytest.mark.parametrize("elements", [1, 7])
def test_a_few_elements_lie_in_the_tensor_itself(elements: int) -> None:
    before = stats("live")
    x = tf.empty(elements)
    assert stats("live") == before
    del x


@pytest.mark.parametrize("elements", [1000, 16_384, 16_385, 3 * MB])
def test_memory_is_counted_and_freed_with_its_last_tensor(elements: int) -> None:
    before = stats("live")
    x = tf.empty(elements)
    assert stats("live") - before == 4 * elements
    view = x[elements // 2 :]
    del x
    assert stats("live") - before == 4 * elements, "a view keeps its memory"
    del view
    assert stats("live") == before


def test_views_and_numpys_arrays_take_no_memory() -> None:
    array = np.ones((1000, 1000), np.float32)
    before = stats("live")
    x = tf.from_numpy(array)
    kept = (x.t(), x[1:], x.view(-1), x.expand(3, 1000, 1000), x.detach(), x.numpy())
    assert stats("live") == before
    del kept


def test_the_peak_is_the_most_at_once_since_it_was_reset() -> None:
    before = stats("live")
    x = tf.empty(4 * MB)
    del x
    y = tf.empty(MB)
    assert stats("peak") - before == 16 * MB
    tf.reset_peak_memory_stats()
    assert stats("peak") == stats("live") == before + 4 * MB
    del y


def test_a_graph_is_freed_with_its_result() -> None:
    weight = tf.randn(256, 256, requires_grad=True)
    before = stats("live")
    loss = (weight @ weight).exp().log_softmax(-1).sum()
    assert stats("live") > before
    del loss
    assert stats("live") == before
    (weight @ weight).tanh().sum().backward()
    assert stats("live") == before + 4 * 256 * 256, "the gradient, and nothing else"


def test_the_cache_is_reused_and_emptied() -> None:
    for _ in range(5):
        x = tf.empty(MB)
        del x
    # The same block served all of them.
    assert 4 * MB <= stats("cached") <= 5 * MB
    tf.empty_cache()
    assert stats("cached") == 0


BOUNDED = f"""
import numpy as np
import tenflowers as tf

rng = np.random.default_rng(0)
kept = []
for size in rng.integers(1, 8 * {MB}, 300):
    kept.append(tf.empty(int(size)))
    del kept[: -int(rng.integers(1, 5))]
    stats = tf.memory_stats()
    # A block may be an eighth larger than what was asked for.
    most = 1.25 * stats["peak"] * 1.125 + {SLACK}
    assert stats["live"] + stats["cached"] <= most, (stats, most)
"""


def test_what_is_in_use_and_cached_is_bounded() -> None:
    # By the most that was ever in use in a process: hence one of its own.
    run(BOUNDED)


def test_a_budget_is_kept() -> None:
    before = stats("live")
    with budget(before + 8 * MB):
        x = tf.empty(MB)
        with pytest.raises(tf.errors.OutOfMemoryError, match=r"out of memory: 8388608 bytes .* in use") as caught:
            tf.empty(2 * MB)
        assert isinstance(caught.value, MemoryError)
        assert isinstance(caught.value, RuntimeError)
        with pytest.raises(tf.errors.OutOfMemoryError):
            x.expand(100, MB) + 1
        # A failure takes nothing, and everything goes on.
        assert stats("live") == before + 4 * MB
        assert (x.zero_() + 1).sum().item() == MB
        assert stats("live") + stats("cached") <= before + 8 * MB + MB
    assert tf.empty(4 * MB).numel() == 4 * MB


def test_too_much_for_any_machine_is_an_exception() -> None:
    for shape in ((10**15,), (2**31, 2**31)):
        with pytest.raises((tf.errors.OutOfMemoryError, tf.errors.ShapeError)):
            tf.zeros(*shape)
    with pytest.raises(tf.errors.OutOfMemoryError):
        tf.zeros(1).expand(10**13).clone()


def test_every_thread_gives_back_what_it_took() -> None:
    before = stats("live")

    def work() -> None:
        for _ in range(50):
            x = tf.ones(100_000)
            assert (x + x).sum().item() == 200_000

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stats("live") == before
    assert stats("cached") <= SLACK


TRAINING = """
import tenflowers as tf
from tenflowers import nn

PAGE = __import__("os").sysconf("SC_PAGESIZE")

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE

tf.manual_seed(0)
tf.set_num_threads(2)
model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.1), nn.LayerNorm(128), nn.Linear(128, 10))
optimizer = tf.optim.Adam(model.parameters(), lr=1e-3)
data, labels = tf.randn(512, 64), tf.randint(0, 10, (512,))
seen = {}
for step in range(1, 2001):
    rows = tf.randint(0, 512, (32,))
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(data[rows]), labels[rows])
    loss.backward()
    optimizer.step()
    if step in (200, 2000):
        seen[step] = (resident(), tf.memory_stats()["live"])
assert loss.isfinite().item()
print(*seen[200], *seen[2000])
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the process' size is read from /proc")
def test_two_thousand_steps_of_training_do_not_grow() -> None:
    size_early, live_early, size_late, live_late = map(int, run(TRAINING).split())
    assert live_late == live_early
    assert size_late - size_early <= MB, f"the process grew by {size_late - size_early} bytes in 1,800 steps"
