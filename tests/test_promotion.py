"""Which dtype two operands give: PyTorch's table, in tests/data/promotion.json.

Each string of the file is a row, with one symbol for each second operand: the place of the result's dtype in the list,
"-" where PyTorch refuses, "h" where it gives half complex numbers, which are complex64 here. "tensor" has dimensions,
"scalar" is a 0-d tensor, "number" one of Python's bool, int, float, complex.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from opinfo.run import IS_TORCH, dtype_name, tf
from opinfo.spec import COMPLEX, FLOAT, UNSIGNED

TABLE: dict[str, list[str]] = json.loads((Path(__file__).parent / "data" / "promotion.json").read_text())
DTYPES = TABLE["dtypes"]
NUMBERS = (True, 3, 1.5, 1j)
REFUSED = (RuntimeError, TypeError)
# In PyTorch these have no kernels for uint16, uint32 and uint64, though `mul` has.
OPS: dict[str, Callable[[Any, Any], Any]] = {"mul": operator.mul, "add": operator.add}


def expected(table: str, first: int, second: int) -> str | None:
    """The dtype in this place of the table, None where there is none."""
    symbol = TABLE[table][first][second]
    if symbol == "-":
        return None
    return "complex64" if symbol == "h" else DTYPES[int(symbol, 16)]


def half_complex(table: str, first: int, second: int) -> bool:
    return TABLE[table][first][second] == "h"


def tensor(dtype: str, *shape: int) -> Any:
    return tf.ones(shape, dtype=getattr(tf, dtype))


def joined(x: Any, y: Any) -> Any:
    return tf.cat([x, y])


def assert_gives(call: Callable[[Any, Any], Any], x: Any, y: Any, want: str | None, about: str) -> None:
    if want is None:
        with pytest.raises(REFUSED):
            pytest.fail(f"{about} gave {call(x, y).dtype}")
    else:
        assert dtype_name(call(x, y).dtype) == want, about


TENSORS = [
    pytest.param(table, name, first, id=f"{table}-{name}-{dtype}", marks=[pytest.mark.ours] if unsigned else [])
    for table in ("tensor_tensor", "tensor_scalar", "scalar_scalar")
    for name in OPS
    for first, dtype in enumerate(DTYPES)
    for unsigned in [name == "add" and dtype in UNSIGNED]
]


@pytest.mark.parametrize(("table", "name", "first"), TENSORS)
def test_tensors(table: str, name: str, first: int) -> None:
    shapes = {"tensor_tensor": ((2,), (2,)), "tensor_scalar": ((2,), ()), "scalar_scalar": ((), ())}[table]
    x = tensor(DTYPES[first], *shapes[0])
    for second, dtype in enumerate(DTYPES):
        y = tensor(dtype, *shapes[1])
        if IS_TORCH and half_complex(table, first, second):
            continue
        want = expected(table, first, second)
        assert_gives(OPS[name], x, y, want, f"{DTYPES[first]} {name} {dtype}, {table}")
        if name == "mul" or (dtype not in UNSIGNED and DTYPES[first] not in UNSIGNED) or not IS_TORCH:
            assert_gives(OPS[name], y, x, want, f"{dtype} {name} {DTYPES[first]}, swapped {table}")


@pytest.mark.parametrize("table", ["tensor_number", "scalar_number"])
@pytest.mark.parametrize("first", range(len(DTYPES)), ids=DTYPES)
def test_numbers(first: int, table: str) -> None:
    """A Python number counts for its kind only, and only where that is the higher one."""
    x = tensor(DTYPES[first], *((2,) if table == "tensor_number" else ()))
    for second, number in enumerate(NUMBERS):
        if IS_TORCH and half_complex(table, first, second):
            continue
        want = expected(table, first, second)
        assert_gives(operator.mul, x, number, want, f"{DTYPES[first]} * {number!r}, {table}")
        assert_gives(operator.mul, number, x, want, f"{number!r} * {DTYPES[first]}, {table}")


@pytest.mark.parametrize("first", range(len(DTYPES)), ids=DTYPES)
def test_division(first: int) -> None:
    """True division of integers is in the default dtype."""
    x = tensor(DTYPES[first], 2)
    for second, dtype in enumerate(DTYPES):
        want = expected("tensor_tensor", first, second)
        if want is not None and want not in FLOAT + COMPLEX:
            want = "float32"
        y = tensor(dtype, 2)
        assert_gives(operator.truediv, x, y, want, f"{DTYPES[first]} / {dtype}")


@pytest.mark.parametrize("first", range(len(DTYPES)), ids=DTYPES)
def test_comparison(first: int) -> None:
    """Comparisons meet in the common dtype, and are refused where there is none."""
    x = tensor(DTYPES[first], 2)
    for second, dtype in enumerate(DTYPES):
        want = None if expected("tensor_tensor", first, second) is None else "bool"
        y = tensor(dtype, 2)
        assert_gives(operator.eq, x, y, want, f"{DTYPES[first]} == {dtype}")


@pytest.mark.parametrize("first", range(len(DTYPES)), ids=DTYPES)
def test_where_and_cat(first: int) -> None:
    """Not only arithmetic: `where` and `cat` meet in the common dtype too."""
    mask = tf.tensor([True, False])
    x = tensor(DTYPES[first], 2)
    for second, dtype in enumerate(DTYPES):
        y = tensor(dtype, 2)
        want = expected("tensor_tensor", first, second)
        assert_gives(partial(tf.where, mask), x, y, want, f"where {DTYPES[first]}, {dtype}")
        assert_gives(joined, x, y, want, f"cat {DTYPES[first]}, {dtype}")


def test_values_after_promotion() -> None:
    """The operands are converted before the operation, not the result after it."""
    assert (tf.tensor([100], dtype=tf.int8) + tf.tensor([200], dtype=tf.uint8)).tolist() == [300]
    assert (tf.tensor([2**53 + 1]) + tf.tensor([1], dtype=tf.int32)).tolist() == [2**53 + 2]
    assert (tf.tensor([200], dtype=tf.uint8) + 100).tolist() == [44]
    assert (tf.tensor([True, False]) + tf.tensor([True, True])).tolist() == [True, True]
    assert (tf.tensor([1, 2]) * 0.5).tolist() == [0.5, 1.0]
    assert (tf.tensor([True, False]) * 3).tolist() == [3, 0]
    half = tf.tensor([1.0], dtype=tf.float16) + tf.tensor(1e5, dtype=tf.float64)
    assert half.dtype == tf.float16
    assert half.tolist() == [float("inf")]
    assert (tf.tensor([1], dtype=tf.int64) / tf.tensor([2], dtype=tf.int64)).tolist() == [0.5]


@pytest.mark.ours
@pytest.mark.parametrize("dtype", UNSIGNED)
def test_arithmetic_on_one_unsigned_type(dtype: str) -> None:
    """PyTorch lacks most of it; with another integer type it is refused here as well."""
    kind = getattr(tf, dtype)
    x, y = tf.tensor([7, 200], dtype=kind), tf.tensor([2, 3], dtype=kind)
    for apply, want in (
        (operator.add, [9, 203]),
        (operator.sub, [5, 197]),
        (operator.mul, [14, 600]),
        (operator.floordiv, [3, 66]),
        (operator.mod, [1, 2]),
    ):
        found = apply(x, y)
        assert found.dtype == kind
        assert found.tolist() == want
    for other in ("uint8", "int8", "int64", *(name for name in UNSIGNED if name != dtype)):
        with pytest.raises(REFUSED):
            x + tensor(other, 2)
