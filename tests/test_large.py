"""Elementwise results that no cache has room for: whichever way they are written, they are the same."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import tenflowers as tf

# Operations read and write more than 64 MiB with so many float32 on each side; not a whole number of lines or tasks.
N = 8_500_003


@pytest.fixture(scope="module")
def operands() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal(N, dtype=np.float32), rng.standard_normal(N, dtype=np.float32)


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = tf.get_num_threads()
    tf.set_num_threads(request.param)
    yield request.param
    tf.set_num_threads(before)


@pytest.mark.usefixtures("threads")
def test_sums_products_and_comparisons(operands: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = operands
    a, b = tf.from_numpy(x), tf.from_numpy(y)
    # The first ones are measured both ways, half and half.
    for _ in range(6):
        np.testing.assert_array_equal((a + b).numpy(), x + y)
    np.testing.assert_array_equal((a * 1.5).numpy(), x * np.float32(1.5))
    np.testing.assert_array_equal((1.5 - a).numpy(), np.float32(1.5) - x)
    np.testing.assert_array_equal((a > b).numpy(), x > y)
    np.testing.assert_array_equal((a.double() - b.double()).numpy(), x.astype(np.float64) - y)
    np.testing.assert_allclose(a.tanh().numpy(), np.tanh(x.astype(np.float64)), rtol=2.5e-7)


def test_outputs_in_every_place(operands: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = operands
    a, b = tf.from_numpy(x), tf.from_numpy(y)
    room = tf.full((N + 5,), 7.0)
    for first in (0, 1, 5):
        out = room[first : first + N]
        tf.add(a, b, out=out)
        np.testing.assert_array_equal(out.numpy(), x + y)
        around = np.concatenate([room[:first].numpy(), room[first + N :].numpy()])
        np.testing.assert_array_equal(around, np.full(5, 7.0))
        room.fill_(7.0)
    twice = a.clone()
    twice.add_(b).add_(twice)
    np.testing.assert_array_equal(twice.numpy(), (x + y) * 2)
