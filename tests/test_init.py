"""First values: their distribution, their bounds, and those that layers begin with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from opinfo.run import array, tf
from scipy import stats

nn, init = tf.nn, tf.nn.init


def follows(values: Any, distribution: Any) -> None:
    """By the Kolmogorov-Smirnov test; the seed is fixed, so it passes always or never."""
    assert stats.kstest(array(values).ravel().astype(np.float64), distribution.cdf).pvalue > 1e-3


def uniform(bound: float) -> Any:
    return stats.uniform(-bound, 2 * bound)


def test_simple_fills() -> None:
    x = tf.empty(2, 3, requires_grad=True)
    assert init.ones_(x) is x
    assert x.tolist() == [[1] * 3] * 2
    assert init.zeros_(x).tolist() == [[0] * 3] * 2
    assert init.constant_(x, 0.5).tolist() == [[0.5] * 3] * 2
    assert init.eye_(x).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert x.is_leaf
    assert x.requires_grad
    with pytest.raises(ValueError, match="2"):
        init.eye_(tf.empty(3))


def test_random_fills() -> None:
    x = tf.empty(100, 100, requires_grad=True)
    assert init.uniform_(x, -2, 3) is x
    follows(x, stats.uniform(-2, 5))
    assert array(x).min() >= -2
    assert array(x).max() <= 3
    init.normal_(x, 1.0, 0.5)
    follows(x, stats.norm(1.0, 0.5))
    assert x.grad_fn is None


@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [(0.0, 1.0, -2.0, 2.0), (0.5, 2.0, -1.0, 3.0), (0.0, 0.02, -2.0, 2.0), (-1.0, 1.0, 1.0, 4.0)],
)
def test_trunc_normal(mean: float, std: float, a: float, b: float) -> None:
    x = init.trunc_normal_(tf.empty(100, 100, dtype=tf.float64), mean, std, a, b)
    assert array(x).min() >= a
    assert array(x).max() <= b
    follows(x, stats.truncnorm((a - mean) / std, (b - mean) / std, mean, std))


@pytest.mark.ours
def test_trunc_normal_checks_its_bounds() -> None:
    with pytest.raises(ValueError, match="above"):
        init.trunc_normal_(tf.empty(1), a=2.0, b=1.0)
    with pytest.raises(ValueError, match="std"):
        init.trunc_normal_(tf.empty(1), std=0.0)


def test_gains() -> None:
    assert init.calculate_gain("linear") == init.calculate_gain("sigmoid") == init.calculate_gain("conv2d") == 1
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("leaky_relu") == math.sqrt(2 / (1 + 0.01**2))
    assert init.calculate_gain("leaky_relu", 0.3) == math.sqrt(2 / (1 + 0.3**2))
    assert init.calculate_gain("selu") == 0.75
    with pytest.raises(ValueError, match="softplus"):
        init.calculate_gain("softplus")
    with pytest.raises(ValueError, match="slope"):
        init.calculate_gain("leaky_relu", "x")


def test_fans() -> None:
    """Linear (out, in) has fans 80 and 60; convolution (out, in, 3, 2) has 120 and 90."""
    for shape, fan_in, fan_out in (((60, 80), 80, 60), ((15, 20, 3, 2), 120, 90)):
        x = tf.empty(*shape, dtype=tf.float64)
        both = fan_in + fan_out
        init.xavier_uniform_(x, gain=2.0)
        follows(x, uniform(2 * math.sqrt(6 / both)))
        init.xavier_normal_(x)
        follows(x, stats.norm(0, math.sqrt(2 / both)))
        init.kaiming_uniform_(x, nonlinearity="relu")
        follows(x, uniform(math.sqrt(6 / fan_in)))
        init.kaiming_uniform_(x, a=math.sqrt(5), mode="fan_out")
        follows(x, uniform(1 / math.sqrt(fan_out)))
        init.kaiming_normal_(x, mode="fan_out", nonlinearity="relu")
        follows(x, stats.norm(0, math.sqrt(2 / fan_out)))
    for fill in (init.xavier_uniform_, init.xavier_normal_, init.kaiming_uniform_, init.kaiming_normal_):
        with pytest.raises(ValueError, match="2 dimensions"):
            fill(tf.empty(3))
    with pytest.raises(ValueError, match="fan_in"):
        init.kaiming_normal_(tf.empty(2, 2), mode="fan")
    with pytest.warns(UserWarning, match="zero-element"):
        assert init.kaiming_uniform_(tf.empty(0, 2)).shape[0] == 0


def test_generator_and_seed() -> None:
    fills = (init.uniform_, init.normal_, init.trunc_normal_, init.xavier_uniform_, init.xavier_normal_)
    for fill in (*fills, init.kaiming_uniform_, init.kaiming_normal_):
        one, other = (fill(tf.empty(5, 6), generator=tf.Generator().manual_seed(7)) for _ in range(2))
        np.testing.assert_array_equal(array(one), array(other))
        tf.manual_seed(3)
        one = fill(tf.empty(5, 6))
        tf.manual_seed(3)
        np.testing.assert_array_equal(array(one), array(fill(tf.empty(5, 6))))
        assert not np.array_equal(array(one), array(fill(tf.empty(5, 6))))


def test_first_values_of_layers() -> None:
    linear = nn.Linear(64, 200)
    follows(linear.weight, uniform(1 / 8))
    follows(linear.bias, uniform(1 / 8))
    conv = nn.Conv2d(8, 200, (2, 4), groups=2)
    bound = 1 / math.sqrt(4 * 2 * 4)
    follows(conv.weight, uniform(bound))
    follows(conv.bias, uniform(bound))
    follows(nn.Embedding(100, 50).weight, stats.norm(0, 1))
    for layer in (nn.BatchNorm2d(3), nn.LayerNorm(3)):
        assert layer.weight.tolist() == [1, 1, 1]
        assert layer.bias.tolist() == [0, 0, 0]
    tf.manual_seed(5)
    one = nn.Linear(3, 3)
    tf.manual_seed(5)
    np.testing.assert_array_equal(array(one.weight), array(nn.Linear(3, 3).weight))
    before = array(one.weight)
    one.reset_parameters()
    assert not np.array_equal(before, array(one.weight))
