"""The thread pool: the same bits for any number of threads, calls from many threads, and processes that fork."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opinfo.run import array, tf
from opinfo.spec import Array

pytestmark = pytest.mark.ours

F = tf.nn.functional
COUNTS = (1, 2, 3, 5)


@pytest.fixture(autouse=True)
def same_threads_afterwards() -> Iterator[None]:
    before = tf.get_num_threads()
    yield
    tf.set_num_threads(before)


def values(*shape: int) -> Any:
    """Numbers that are the same in every run, for which a gradient is asked."""
    made = np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)
    return tf.from_numpy(made).requires_grad_(True)


def labels(*shape: int, below: int) -> Any:
    return tf.from_numpy(np.random.default_rng(1).integers(0, below, shape))


def batch_norm(x: Any, w: Any, b: Any) -> Any:
    return F.batch_norm(x, tf.zeros(x.shape[1]), tf.ones(x.shape[1]), w, b, training=True)


def lstm(x: Any, *weights: Any) -> Any:
    layer = tf.nn.LSTM(48, 64, batch_first=True)
    for (name, _), weight in zip(list(layer.named_parameters()), weights, strict=True):
        del layer._parameters[name]
        setattr(layer, name, weight)
    return layer(x)


def dropout(x: Any) -> Any:
    tf.manual_seed(3)
    return F.dropout(x, 0.3, training=True)


# The operation, and the shapes of what it is differentiated by. Large enough for several threads to take part.
Call = tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]
CALLS: dict[str, Call] = {
    "matmul": (tf.matmul, ((317, 421), (421, 293))),
    "matmul, batched": (tf.matmul, ((9, 65, 127), (9, 127, 66))),
    "matmul with a vector": (tf.matmul, ((1500, 1100), (1100,))),
    "linear": (F.linear, ((200, 300), (250, 300), (250,))),
    "conv2d": (lambda *x: F.conv2d(*x, padding=1), ((5, 24, 33, 31), (40, 24, 3, 3), (40,))),
    "conv2d, strided": (lambda *x: F.conv2d(*x, stride=2, padding=2), ((4, 5, 41, 37), (16, 5, 5, 5), (16,))),
    "conv2d, depthwise": (lambda *x: F.conv2d(*x, padding=1, groups=32), ((4, 32, 29, 30), (32, 1, 3, 3), (32,))),
    "max_pool2d": (lambda x: F.max_pool2d(x, 3, 2, 1), ((8, 32, 45, 43),)),
    "add, broadcast": (tf.add, ((700, 601), (601,))),
    "exp": (tf.exp, ((311, 1003),)),
    "gelu": (F.gelu, ((311, 1003),)),
    "sum": (tf.sum, ((1_234_567,),)),
    "sum over rows": (lambda x: x.sum(0), ((1501, 703),)),
    "sum over columns": (lambda x: x.sum(1), ((1501, 703),)),
    "mean of a transposed": (lambda x: x.t().mean(1), ((1501, 703),)),
    "var": (lambda x: x.var(1), ((1501, 703),)),
    "softmax": (lambda x: F.softmax(x, -1), ((900, 777),)),
    "log_softmax over rows": (lambda x: F.log_softmax(x, 0), ((900, 777),)),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (513,), w, b), ((801, 513), (513,), (513,))),
    "batch_norm": (batch_norm, ((16, 33, 25, 24), (33,), (33,))),
    "group_norm": (lambda x, w, b: F.group_norm(x, 4, w, b), ((16, 32, 25, 24), (32,), (32,))),
    "embedding": (lambda w: F.embedding(labels(64, 130, below=500), w), ((500, 96),)),
    "index_select": (lambda x: x[labels(9000, below=700)], ((700, 64),)),
    "cumsum": (lambda x: x.cumsum(1), ((300, 1207),)),
    "sort": (lambda x: x.sort(-1), ((300, 1207),)),
    "topk": (lambda x: x.topk(20, -1), ((300, 1207),)),
    "attention": (lambda *x: F.scaled_dot_product_attention(*x, is_causal=True), ((3, 4, 131, 32),) * 3),
    "LSTM": (lstm, ((16, 33, 48), (256, 48), (256, 64), (256,), (256,))),
    "cross_entropy": (lambda x: F.cross_entropy(x, labels(1100, below=301)), ((1100, 301),)),
    "dropout": (dropout, ((500, 1001),)),
}


def floats(found: Any) -> list[Any]:
    """The tensors of a nested result that are differentiable."""
    if isinstance(found, tf.Tensor):
        return [found] if found.requires_grad else []
    return [part for value in found for part in floats(value)]


def forward_and_backward(call: Call, count: int) -> list[Array]:
    tf.set_num_threads(count)
    function, shapes = call
    inputs = [values(*shape) for shape in shapes]
    results = floats(function(*inputs))
    # Each element counts differently.
    weights = [tf.linspace(0.5, 1.5, max(1, y.numel())).view(y.shape) for y in results]
    sum((y * w).sum() for y, w in zip(results, weights, strict=True)).backward()
    assert results
    return [array(x) for x in (*results, *(x.grad for x in inputs))]


@pytest.mark.parametrize("name", CALLS)
def test_results_are_the_same_bit_for_bit_for_any_number_of_threads(name: str) -> None:
    expected = forward_and_backward(CALLS[name], 1)
    for count in COUNTS[1:]:
        for found, wanted in zip(forward_and_backward(CALLS[name], count), expected, strict=True):
            assert found.tobytes() == wanted.tobytes(), f"{count} threads"


@pytest.mark.parametrize("make", ["rand", "randn", "randperm", "bernoulli"])
def test_random_numbers_are_the_same_for_any_number_of_threads(make: str) -> None:
    found = []
    for count in COUNTS:
        tf.set_num_threads(count)
        tf.manual_seed(7)
        x = tf.full((400_003,), 0.3).bernoulli() if make == "bernoulli" else getattr(tf, make)(400_003)
        found.append(array(x).tobytes())
    assert len(set(found)) == 1


def test_threads_of_python_compute_at_once() -> None:
    tf.set_num_threads(3)
    rng = np.random.default_rng(0)
    data = [rng.integers(-3, 4, (2, 260, 260)).astype(np.float32) for _ in range(6)]
    wrong: list[str] = []

    def work(a: Array, b: Array) -> None:
        product, x, y = a @ b, tf.from_numpy(a), tf.from_numpy(b)
        for step in range(30):
            w = x.clone().requires_grad_(True)
            z = w @ y
            (z * z).sum().backward()
            # Small whole numbers: every order of adding gives the same.
            right = (
                np.array_equal(array(z), product)
                and np.array_equal(array(w.grad), 2 * (product @ b.T))
                and x.sum().item() == a.sum()
            )
            if not right:
                wrong.append(f"step {step}")

    threads = [threading.Thread(target=work, args=(a, b)) for a, b in data]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong


def test_threads_may_be_set_while_others_compute() -> None:
    stop, wrong = threading.Event(), []

    def work() -> None:
        x = tf.ones(300, 300)
        while not stop.is_set():
            if not (x @ x).eq(300).all().item():
                wrong.append("sum")

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for count in (1, 4, 2, 3) * 20:
        tf.set_num_threads(count)
        time.sleep(0.005)
    stop.set()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong


def run(program: str, seconds: float = 120) -> str:
    """What a program prints in a process of its own, which is killed with its children when it hangs."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=sys.platform != "win32",
    ) as process:
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, 9)
            raise AssertionError(f"hangs: {process.communicate()[0]}") from None
    assert process.returncode == 0, said
    return said


FORK = """
import os, sys, threading, time
import tenflowers as tf

tf.set_num_threads({threads})
F = tf.nn.functional
# Whole numbers, so that there is one right result.
a = (tf.arange(512 * 512) % 7 - 3).float().view(512, 512)
image = (tf.arange(2 * 32 * 30 * 30) % 5 - 2).float().view(2, 32, 30, 30)
weight = (tf.arange(9216) % 3 - 1).float().view(32, 32, 3, 3)

def compute():
    x = a.clone().requires_grad_(True)
    (x @ a).sum().backward()
    return (a @ a, tf.cat([a] * 8).sum(), F.conv2d(image, weight, padding=1), x.grad,
            tf.randn(300_000, generator=tf.Generator().manual_seed(1)), tf.sort(a, -1)[0])

expected = compute()

def right():
    return all((x == y).all().item() for x, y in zip(compute(), expected))

assert right()
stop = threading.Event()

def busy():
    while not stop.is_set():
        assert right()

others = [threading.Thread(target=busy) for _ in range({busy})]
for thread in others:
    thread.start()

def fork(depth):
    child = os.fork()
    if child:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return status
            time.sleep(0.002)
        os.kill(child, 9)
        os.waitpid(child, 0)
        return "hangs"
    code = 1
    try:
        code = 0 if right() and right() and (depth == 0 or fork(depth - 1) == 0) else 2
    finally:
        os._exit(code)

found = [fork({depth}) for _ in range({times})]
stop.set()
for thread in others:
    thread.join()
assert right()
print(found)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize(
    ("threads", "busy", "depth", "times"),
    [(4, 0, 0, 5), (1, 0, 0, 2), (3, 0, 2, 2), (3, 2, 0, 12)],
    ids=["after work", "one thread", "grandchildren", "while another thread of Python computes"],
)
def test_a_forked_child_computes_with_threads_of_its_own(threads: int, busy: int, depth: int, times: int) -> None:
    said = run(FORK.format(threads=threads, busy=busy, depth=depth, times=times))
    assert said.strip() == str([0] * times)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_multiprocessing_by_fork_computes_with_threads() -> None:
    said = run(
        textwrap.dedent("""
        import multiprocessing
        import tenflowers as tf

        def work(n):
            x = tf.full((300, 300), float(n))
            return (x @ x).eq(300 * n * n).all().item()

        tf.set_num_threads(3)
        assert work(2)
        with multiprocessing.get_context("fork").Pool(3) as pool:
            assert all(pool.map(work, range(1, 9)))
        assert work(3)
        print("done")
        """)
    )
    assert said.strip() == "done"


def test_one_thread_takes_the_time_of_one() -> None:
    x = tf.randn(400, 400)
    tf.set_num_threads(4)
    x @ x
    tf.set_num_threads(1)
    # The workers that there were may take a moment to end.
    time.sleep(0.1)
    wall, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < 1:
        x @ x
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    assert cpu <= 1.1 * wall, f"{cpu:.2f} s of the processor in {wall:.2f} s"
    assert "tenflowers" not in [task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm")]


def test_idle_threads_take_no_time() -> None:
    tf.set_num_threads(4)
    x = tf.randn(400, 400)
    x @ x
    time.sleep(0.1)
    cpu = time.process_time()
    time.sleep(1)
    assert time.process_time() - cpu <= 0.1
