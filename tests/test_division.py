"""Division that rounds down, and floats that become integers, where vectors take another way than one element."""

import math

import numpy as np
import pytest

import tenflowers as tf

ODD = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    3.0,
    -3.0,
    0.1,
    -0.1,
    1e-10,
    -1e-10,
    1e10,
    -1e10,
    1e30,
    -1e30,
    math.inf,
    -math.inf,
    math.nan,
]


def operands(dtype):
    rng = np.random.default_rng(0)
    scaled = rng.normal(size=3000) * 10.0 ** rng.integers(-8, 8, 3000)
    some = np.concatenate([ODD, scaled, rng.integers(-50, 50, 2000)]).astype(dtype)
    a = np.concatenate([np.repeat(ODD, len(ODD)), some]).astype(dtype)
    b = np.concatenate([np.tile(ODD, len(ODD)), rng.permutation(some)]).astype(dtype)
    return a, b


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_remainders_of_floats_are_exact(dtype):
    a, b = operands(dtype)
    with np.errstate(all="ignore"):
        rest = np.fmod(a, b)
        rest = np.where((rest != 0) & ((rest < 0) != (b < 0)), rest + b, rest)
    found = tf.remainder(tf.tensor(a), tf.tensor(b)).numpy()
    np.testing.assert_array_equal(found, rest)
    number = ~np.isnan(rest)
    np.testing.assert_array_equal(np.signbit(found[number]), np.signbit(rest[number]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_quotients_of_floats_round_down(dtype):
    a, b = operands(dtype)
    with np.errstate(all="ignore"):
        finite = np.isfinite(a) & np.isfinite(b) & (b != 0) & (np.abs(a / b) < 1e5)
    a, b = a[finite], b[finite]
    found = tf.floor_divide(tf.tensor(a), tf.tensor(b)).numpy()
    np.testing.assert_array_equal(found, np.floor_divide(a, b))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_integers_are_divided_as_python_divides_them(dtype):
    rng = np.random.default_rng(1)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    ends = np.array([low or 9, low + 1, high, high - 1, 1, 2, 3, 7] + ([-1, -2, -7] if low else []), dtype)
    large = rng.integers(low, high, 2000, dtype, endpoint=True)
    small = rng.integers(-100 if low else 0, 100, 2000).astype(dtype)
    large[large == 0] = 1
    small[small == 0] = 3
    a = np.concatenate([np.repeat(ends, len(ends)), large, large, small])
    b = np.concatenate([np.tile(ends, len(ends)), small, rng.permutation(large), rng.permutation(small)])
    with np.errstate(over="ignore"):
        rest, quotient = np.remainder(a, b), np.floor_divide(a, b)
    np.testing.assert_array_equal(tf.remainder(tf.tensor(a), tf.tensor(b)).numpy(), rest)
    np.testing.assert_array_equal(tf.floor_divide(tf.tensor(a), tf.tensor(b)).numpy(), quotient)
    np.testing.assert_array_equal(tf.remainder(tf.tensor(a), 7).numpy(), np.remainder(a, np.array(7, dtype)))


@pytest.mark.parametrize("source", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64"])
def test_floats_become_integers_by_their_low_bits(source, dtype):
    rng = np.random.default_rng(2)
    values = np.concatenate(
        [rng.normal(size=700) * 100, np.zeros(600), ODD, [300.7, 2.0**31, -(2.0**31), 2.0**33 + 2**20]]
    )
    x = tf.tensor(values).to(getattr(tf, source))

    def wrapped(f):
        whole = 0 if math.isnan(f) else (int(f) if math.isfinite(f) else int(math.copysign(2**64, f)))
        whole = min(max(whole, -(2**63)), 2**63 - 1)
        bits = np.iinfo(dtype).bits
        whole %= 2**bits
        return whole - 2**bits if whole > np.iinfo(dtype).max else whole

    expected = [wrapped(f) for f in x.to(tf.float64).tolist()]
    assert x.to(getattr(tf, dtype)).tolist() == expected


@pytest.mark.parametrize("n", [5, 1000, 40000])
@pytest.mark.parametrize("op", ["add_", "mul_", "remainder_"])
def test_the_result_in_place_of_an_operand_is_the_result(n, op):
    x = np.random.default_rng(3).normal(size=(2, n)).astype(np.float32)
    function = getattr(tf, op[:-1])
    for look in (lambda t: t[0], lambda t: t, lambda t: t.t(), lambda t: t[:, ::2]):
        for other in (lambda t: t, lambda t: t.clone() + 1, lambda t: 3.0):
            a = tf.tensor(x)
            b = other(look(a))
            expected = function(look(a), b).numpy()
            getattr(look(a), op)(b)
            np.testing.assert_array_equal(look(a).numpy(), expected)
