"""Arithmetic of bfloat16, which loops do in their own memory: each result is that of float32, rounded once."""

import numpy as np
import pytest

import tenflowers as tf

ODD = np.array([0.0, -0.0, 1.0, -1.0, 3e38, -3e38, 1e-40, -1e-40, np.inf, -np.inf, np.nan, 0.1], np.float32)


def operands():
    rng = np.random.default_rng(0)
    a = np.concatenate([np.repeat(ODD, len(ODD)), rng.normal(size=5001)])
    b = np.concatenate([np.tile(ODD, len(ODD)), rng.normal(size=5001)])
    return tuple(tf.tensor(x.astype(np.float32)).to(tf.bfloat16) for x in (a, b))


def rounded(x):
    return tf.tensor(x).to(tf.bfloat16).to(tf.float32).numpy()


def check(found, expected):
    found, expected = found.to(tf.float32).numpy(), rounded(expected)
    np.testing.assert_array_equal(found, expected)
    number = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found[number]), np.signbit(expected[number]))


@pytest.mark.parametrize("op", ["add", "subtract", "multiply", "divide"])
def test_of_two_operands(op):
    a, b = operands()
    x, y = (t.to(tf.float32).numpy() for t in (a, b))
    with np.errstate(all="ignore"):
        expected = getattr(np, op)(x, y)
        by_one = getattr(np, op)(x, y[150])
    function = getattr(tf, {"add": "add", "subtract": "sub", "multiply": "mul", "divide": "div"}[op])
    check(function(a, b), expected)
    check(function(a, b[150]), by_one)
    check(function(tf.stack([a, b], 1)[:, 0], b), expected)
    check(getattr(a.clone(), function.__name__ + "_")(b), expected)


def test_of_one_operand():
    a, _ = operands()
    x = a.to(tf.float32).numpy()
    check(tf.neg(a), -x)
    check(tf.abs(a), np.abs(x))
    check(tf.relu(a), np.where(x < 0, np.float32(0), x))
