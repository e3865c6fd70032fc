"""Brackets, read and written, with every index that Python can form: against NumPy, and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opinfo.indexing import read, written
from opinfo.run import array, tensor, tf
from opinfo.spec import Array

EXAMPLES = 300


def as_tensors(index: Any) -> Any:
    """The arrays of an index as tensors; everything else as it is."""
    if isinstance(index, tuple):
        return tuple(map(as_tensors, index))
    return tensor(index) if isinstance(index, np.ndarray) else index


@st.composite
def basic_parts(draw: st.DrawFn, size: int) -> Any:
    """An integer or a slice for a dimension of this size."""
    bound = st.none() | st.integers(-size - 2, size + 2)
    part: st.SearchStrategy[Any] = st.builds(slice, bound, bound, st.none() | st.integers(1, 4))
    if size:
        part |= st.integers(-size, size - 1)
    return draw(part)


@st.composite
def index_arrays(draw: st.DrawFn, size: int, shape: tuple[int, ...]) -> Array:
    """Positions in a dimension of this size, in an array that broadcasts to `shape`."""
    cut = tuple(1 if draw(st.integers(0, 4)) == 0 else n for n in shape[draw(st.integers(0, len(shape))) :])
    count = int(np.prod(cut))
    values = draw(st.lists(st.integers(-size, size - 1), min_size=count, max_size=count))
    dtype = draw(st.sampled_from([np.int64, np.int64, np.int32]))
    return np.array(values, dtype=dtype).reshape(cut)


@st.composite
def cases(draw: st.DrawFn, advanced: bool) -> tuple[Array, Any]:
    """An array and an index for it."""
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    values = np.arange(1.0, np.prod(shape) + 1).reshape(shape)
    together = tuple(draw(st.lists(st.integers(0, 3), max_size=2)))
    parts: list[Any] = []
    place = 0
    while place < len(shape) and draw(st.integers(0, 5)):
        size = shape[place]
        kind = draw(st.integers(0, 3)) if advanced else 0
        if kind == 1 and size:
            parts.append(draw(index_arrays(size, together)))
        elif kind == 2:
            # A mask stands for as many dimensions as it has, and broadcasts as its number of True.
            span = draw(st.integers(1, len(shape) - place))
            size = int(np.prod(shape[place : place + span]))
            count = together[-1] if together else 1
            chosen = draw(st.permutations(range(size)))[: min(count, size)]
            if len(together) > 1 or (len(chosen) != count and len(chosen) != 1):
                parts.append(slice(None))
            else:
                mask = np.zeros(size, dtype=bool)
                mask[list(chosen)] = True
                parts.append(mask.reshape(shape[place : place + span]))
                place += span - 1
        else:
            parts.append(draw(basic_parts(size)))
        place += 1
    for _ in range(draw(st.integers(0, 2))):
        parts.insert(draw(st.integers(0, len(parts))), None)
    if draw(st.booleans()):
        # At the end it changes nothing; elsewhere what follows has to belong to the last dimensions.
        at = draw(st.integers(0, len(parts))) if place == len(shape) else len(parts)
        parts.insert(at, Ellipsis)
    index = tuple(parts)
    return values, index[0] if len(index) == 1 and draw(st.booleans()) else index


def check_read(case: tuple[Array, Any]) -> None:
    values, index = case
    x = tensor(values)
    found = x[as_tensors(index)]
    want = read(values, index)
    assert tuple(found.shape) == want.shape
    np.testing.assert_array_equal(array(found), want)


def check_write(case: tuple[Array, Any]) -> None:
    values, index = case
    picked = read(values, index)
    for value in (np.array(-1.0), -1.0, -np.arange(1.0, picked.size + 1).reshape(picked.shape)):
        if isinstance(value, np.ndarray) and value.ndim and np.unique(picked).size != picked.size:
            continue  # one position twice: which value stays is open
        x = tensor(values)
        x[as_tensors(index)] = tensor(value) if isinstance(value, np.ndarray) else value
        np.testing.assert_array_equal(array(x), written(values, index, value))


def check_gradient(case: tuple[Array, Any]) -> None:
    values, index = case
    x = tensor(values).requires_grad_()
    picked = x[as_tensors(index)]
    weights = np.arange(1.0, picked.numel() + 1).reshape(tuple(picked.shape))
    (picked * tensor(weights)).sum().backward()
    want = np.zeros_like(values).ravel()
    places = read(np.arange(values.size).reshape(values.shape), index)
    np.add.at(want, places.ravel(), weights.ravel())
    np.testing.assert_array_equal(array(x.grad), want.reshape(values.shape))

    if np.unique(places).size != places.size:
        return
    x, y = tensor(values).requires_grad_(), tensor(weights).requires_grad_()
    z = x * 2
    z[as_tensors(index)] = y * 3
    scale = np.arange(1.0, values.size + 1).reshape(values.shape)
    (z * tensor(scale)).sum().backward()
    np.testing.assert_array_equal(array(x.grad), written(2 * scale, index, 0.0))
    np.testing.assert_array_equal(array(y.grad), 3 * read(scale, index))


@settings(max_examples=EXAMPLES)
@given(cases(advanced=False))
def test_basic(case: tuple[Array, Any]) -> None:
    check_read(case)
    check_write(case)
    x = tensor(case[0])
    view = x[as_tensors(case[1])]
    if view.numel():
        assert view.data_ptr() >= x.data_ptr()
        view.fill_(-5)
        np.testing.assert_array_equal(array(x), written(case[0], case[1], -5.0))


@settings(max_examples=2 * EXAMPLES)
@given(cases(advanced=True))
def test_advanced(case: tuple[Array, Any]) -> None:
    check_read(case)
    check_write(case)


@settings(max_examples=EXAMPLES)
@given(cases(advanced=True))
def test_gradients(case: tuple[Array, Any]) -> None:
    check_gradient(case)


@pytest.mark.parametrize(
    "index",
    [
        [0, 2],
        ([0, 2],),
        ([0, 2], [1, 1]),
        [True, False, True],
        (slice(None), [1, 0]),
        np.int64(1),
        (np.int32(2), np.int64(-1)),
        np.array([0, 2]),
        np.array([True, False, True]),
        np.array(1),
        range(2),
    ],
    ids=repr,
)
def test_lists_and_arrays(index: Any) -> None:
    """What NumPy's users write without making a tensor first."""
    values = np.arange(12.0).reshape(3, 4)
    want = values[list(index) if isinstance(index, range) else index]
    np.testing.assert_array_equal(array(tensor(values)[index]), want)


def test_truth_values_are_masks_of_no_dimension() -> None:
    x = tf.arange(6).reshape(2, 3)
    assert tuple(x[True].shape) == (1, 2, 3)
    assert tuple(x[False].shape) == (0, 2, 3)
    assert tuple(x[tf.tensor(True)].shape) == (1, 2, 3)
    assert x[x > 5].shape == (0,)


def test_uint8_is_no_position() -> None:
    """A byte tensor is a mask, by PyTorch's oldest custom, with a warning; other small integers are positions."""
    x = tf.arange(4)
    assert x[tf.tensor([1, 3], dtype=tf.int8).to(tf.int64)].tolist() == [1, 3]
    assert x[tf.tensor([1, 3], dtype=tf.int32)].tolist() == [1, 3]


def test_iteration_and_unpacking() -> None:
    x = tf.arange(6).reshape(3, 2)
    assert [row.tolist() for row in x] == [[0, 1], [2, 3], [4, 5]]
    first, _, last = x
    assert first.tolist() + last.tolist() == [0, 1, 4, 5]
    assert len(x) == 3
    assert [n.item() for n in tf.arange(3)] == [0, 1, 2]
    with pytest.raises(TypeError):
        iter(tf.tensor(1))
    assert 3 in x
    assert 7 not in x


def test_tensors_as_integers() -> None:
    """A 0-d integer tensor is an index wherever Python wants one."""
    x = tf.arange(6).reshape(3, 2)
    at = tf.tensor(1)
    assert x[at].tolist() == [2, 3]
    assert x[at:].tolist() == [[2, 3], [4, 5]]
    assert x[at, at].item() == 3
    assert [10, 20, 30][at] == 20


def test_writes_convert() -> None:
    """The value is cast to the tensor's dtype, as an assignment is."""
    x = tf.zeros(3, dtype=tf.int64)
    x[0] = 1.9
    x[1:] = tf.tensor([2.7, -3.2])
    assert x.tolist() == [1, 2, -3]
    y = tf.zeros(2)
    y[0] = True
    y[1] = tf.tensor(5)
    assert y.tolist() == [1.0, 5.0]
    b = tf.zeros(2, dtype=tf.bool)
    b[1] = 2
    assert b.tolist() == [False, True]


def test_write_from_itself() -> None:
    x = tf.arange(5)
    x[tf.tensor([0, 1, 2])] = x[tf.tensor([2, 1, 0])]
    assert x.tolist() == [2, 1, 0, 3, 4]
    x[x > 1] = x[x > 1] * 10
    assert x.tolist() == [20, 1, 0, 30, 40]
    x[1:3] += 5
    assert x.tolist() == [20, 6, 5, 30, 40]


def test_adding_at_one_position_twice() -> None:
    """`x[i] += 1` reads before it writes: a position that comes twice is counted once. `index_put` counts both."""
    x = tf.zeros(3)
    x[tf.tensor([0, 0, 2])] += 1
    assert x.tolist() == [1.0, 0.0, 1.0]
    x.index_put_((tf.tensor([0, 0, 2]),), tf.ones(3), accumulate=True)
    assert x.tolist() == [3.0, 0.0, 2.0]


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_gather_of_no_index(dtype: str) -> None:
    """An index without elements picks nothing, also where it has other dimensions than the tensor."""
    x = tf.ones(3, 4, requires_grad=True)
    for shape in ((0,), (0, 2), (2, 0, 5)):
        y = tf.gather(x, 0, tf.zeros(shape, dtype=getattr(tf, dtype)))
        assert tuple(y.shape) == shape
    y.sum().backward()
    assert x.grad.tolist() == [[0.0] * 4] * 3
