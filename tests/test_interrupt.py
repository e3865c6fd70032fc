"""Ctrl-C ends long work within a second, inside one kernel too, and leaves everything usable."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time

import pytest

pytestmark = [
    pytest.mark.ours,
    pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind are POSIX's"),
]

# Each takes many seconds if nobody stops it.
LONG = {
    "one matrix product": "a = tf.rand(6000, 6000); ready(); a @ a @ a @ a",
    "one elementwise kernel": "a = tf.rand(10, 1).expand(200_000_000, 10, 1)[:, :, 0];\n"
    "ready(); tf.zeros(1).add(a).sum()",
    "one reduction": "a = tf.rand(1).expand(20_000_000_000); ready(); a.sum()",
    "one convolution": "x = tf.rand(64, 64, 128, 128); w = tf.rand(128, 64, 7, 7)\nready(); nn.functional.conv2d(x, w)",
    "a loop in Python": "a = tf.rand(2, 2); ready()\nwhile True: a = (a @ a).tanh()",
    "a way back": "a = tf.rand(3000, 3000, requires_grad=True)\nb = a\nfor _ in range(8): b = b @ a\n"
    "ready()\nwhile True: b.sum().backward(retain_graph=True)",
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("work", LONG)
def test_stops_within_a_second(work: str, threads: int) -> None:
    program = f"""
import sys, time
import tenflowers as tf
from tenflowers import nn

def ready():
    print("ready", flush=True)

tf.set_num_threads({threads})
try:
{textwrap.indent(LONG[work], "    ")}
    print("ended by itself", flush=True)
except KeyboardInterrupt:
    print("stopped", flush=True)
# Everything goes on as before.
assert (tf.ones(300, 300) @ tf.ones(300, 300)).sum().item() == 300.0 ** 3
x = tf.ones(3, requires_grad=True)
(x * 2).sum().backward()
assert x.grad.tolist() == [2, 2, 2]
print("usable", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.5)
        start = time.perf_counter()
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "stopped\n"
        taken = time.perf_counter() - start
        assert child.stdout.readline() == "usable\n"
    assert child.returncode == 0
    # A second, and what a busy machine adds.
    assert taken < 1.5, f"stopping took {taken:.1f} s"
