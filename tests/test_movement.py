"""Elements moved, picked and drawn: large enough for tiles, blocks and threads, against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from opinfo.run import array, tensor, tf

F = tf.nn.functional
DTYPES = [np.uint8, np.int16, np.float32, np.float64, np.complex128]


def numbers(*shape: int, dtype: Any = np.float32) -> Any:
    values = np.random.default_rng(0).integers(0, 200, shape)
    return values.astype(dtype)


def with_threads(count: int, function: Callable[[], Any]) -> Any:
    before = tf.get_num_threads()
    tf.set_num_threads(count)
    try:
        return function()
    finally:
        tf.set_num_threads(before)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((300, 301), (1, 0)),
        ((5, 3000), (1, 0)),
        ((3000, 3), (1, 0)),
        ((2, 3, 70, 65), (0, 2, 3, 1)),
        ((2, 70, 65, 3), (0, 3, 1, 2)),
        ((4, 33, 8, 16), (0, 2, 1, 3)),
        ((7, 65, 66), (2, 1, 0)),
    ],
)
def test_permuted_copies(dtype: Any, shape: tuple[int, ...], order: tuple[int, ...]) -> None:
    values = numbers(*shape, dtype=dtype)
    copied = tensor(values).permute(*order).contiguous()
    assert copied.is_contiguous()
    np.testing.assert_array_equal(array(copied), values.transpose(order))
    # Into a destination in another order too.
    target = tensor(np.zeros(shape, dtype))
    target.permute(*order).copy_(copied)
    np.testing.assert_array_equal(array(target), values)


def test_slices_and_spread_values() -> None:
    values = numbers(200, 410)
    x = tensor(values)
    np.testing.assert_array_equal(array(x[:, 5:405].contiguous()), values[:, 5:405])
    for step in (2, 3, 4, 5):
        np.testing.assert_array_equal(array(x[::step, ::step].contiguous()), values[::step, ::step])
        np.testing.assert_array_equal(array(x.T[::step, ::step].contiguous()), values.T[::step, ::step])
    np.testing.assert_array_equal(array(tf.flip(x, [0, 1])), values[::-1, ::-1])
    np.testing.assert_array_equal(array(x[:, :1].expand(200, 300).contiguous()), np.repeat(values[:, :1], 300, 1))
    np.testing.assert_array_equal(array(x[0].expand(300, 410).contiguous()), np.repeat(values[:1], 300, 0))
    full = tf.full((70000,), 2.5)
    assert bool((full == 2.5).all())
    full.T[::2].zero_()
    assert float(full.sum()) == 2.5 * 35000


@pytest.mark.parametrize("columns", [1, 3, 8, 64, 129])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64])
def test_rows_and_their_sums_for_any_number_of_threads(columns: int, dtype: Any) -> None:
    values = numbers(1000, columns, dtype=dtype)
    at = np.random.default_rng(1).integers(-1000, 1000, (20, 201))
    x, index = tensor(values), tensor(at)
    for threads in (1, 4):
        np.testing.assert_array_equal(array(with_threads(threads, lambda: x[index])), values[at])
    if dtype != np.float32:
        return
    # Sums of numbers that round: equal bit for bit, whoever adds them.
    weights = tensor(np.random.default_rng(2).standard_normal((20, 201, columns)).astype(dtype))

    def gradient() -> Any:
        leaf = x.detach().clone().requires_grad_()
        (leaf[index] * weights).sum().backward()
        return array(leaf.grad)

    one, four = with_threads(1, gradient), with_threads(4, gradient)
    np.testing.assert_array_equal(one, four)
    expected = np.zeros(values.shape)
    np.add.at(expected, at, array(weights).astype(np.float64))
    np.testing.assert_allclose(one, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_slices_along_a_dimension(dim: int) -> None:
    values = numbers(30, 40, 50, dtype=np.float64)
    at = np.random.default_rng(1).integers(0, 30, 60)
    picked = tf.index_select(tensor(values), dim, tensor(at))
    assert picked.is_contiguous()
    np.testing.assert_array_equal(array(picked), np.take(values, at, dim))
    leaf = tensor(values).requires_grad_()
    weights = np.random.default_rng(2).standard_normal(picked.shape)
    (tf.index_select(leaf, dim, tensor(at)) * tensor(weights)).sum().backward()
    expected = np.zeros_like(values)
    np.add.at(np.moveaxis(expected, dim, 0), at, np.moveaxis(weights, dim, 0))
    np.testing.assert_allclose(array(leaf.grad), expected, atol=1e-12)


@pytest.mark.parametrize("dim", [0, 1])
def test_scattered_sums_for_any_number_of_threads(dim: int) -> None:
    generator = np.random.default_rng(3)
    index = generator.integers(0, 500, (600, 500) if dim == 0 else (500, 600))
    source = generator.standard_normal(index.shape).astype(np.float32)

    def total() -> Any:
        return array(tf.scatter_add(tf.zeros(500, 500), dim, tensor(index), tensor(source)))

    one, four = with_threads(1, total), with_threads(4, total)
    np.testing.assert_array_equal(one, four)
    expected = np.zeros((500, 500))
    other = np.indices(index.shape)[1 - dim]
    np.add.at(expected, (index, other) if dim == 0 else (other, index), source)
    np.testing.assert_allclose(one, expected, atol=1e-4)


def test_masks_pick_and_are_found() -> None:
    values = numbers(70, 30, 40)
    mask = np.random.default_rng(4).random(values.shape) > 0.7
    x, held = tensor(values), tensor(mask)
    np.testing.assert_array_equal(array(x[held]), values[mask])
    np.testing.assert_array_equal(array(x[:, held[0]]), values[:, mask[0]])
    np.testing.assert_array_equal(
        array(x.transpose(0, 1)[held.transpose(0, 1)]), values.swapaxes(0, 1)[mask.swapaxes(0, 1)]
    )
    np.testing.assert_array_equal(array(tf.nonzero(held)), np.argwhere(mask))
    for found, expected in zip(tf.nonzero(held, as_tuple=True), np.nonzero(mask), strict=True):
        np.testing.assert_array_equal(array(found), expected)
    x[held] = -1.0
    np.testing.assert_array_equal(array(x), np.where(mask, -1.0, values))


def test_messages_name_what_was_called() -> None:
    x, far = tf.zeros(3, 4), tf.tensor([0, 7])
    for name, call in {
        "index_select": lambda: tf.index_select(x, 1, far),
        "index_copy": lambda: tf.index_copy(x, 1, far, tf.zeros(3, 2)),
        "index_add": lambda: tf.index_add(x, 1, far, tf.zeros(3, 2)),
        "index_fill": lambda: tf.index_fill(x, 1, far, 1.0),
        "embedding": lambda: F.embedding(far, x),
    }.items():
        with pytest.raises(IndexError, match=rf"^{name}: .*7.*"):
            call()
    for call in (lambda: tf.index_select(x, 0, tf.tensor([-1])), lambda: F.embedding(tf.tensor([-1]), x)):
        with pytest.raises(IndexError, match="-1"):
            call()
    # As in PyTorch, of these only index_fill counts from the end.
    assert tf.index_fill(tf.zeros(3), 0, tf.tensor([-1]), 2.0).tolist() == [0.0, 0.0, 2.0]


def test_a_bad_index_leaves_the_tensor_as_it_was() -> None:
    x = tf.zeros(50, 8)
    with pytest.raises(IndexError):
        x[tf.tensor([0, 1, 50])] = 1.0
    assert float(x.sum()) == 0


@pytest.mark.parametrize("padding", [None, 0, -1])
def test_embedding_has_both_derivatives(padding: int | None) -> None:
    weight = tensor(np.random.default_rng(5).standard_normal((6, 3))).requires_grad_()
    index = tf.tensor([[0, 5, 2], [5, 5, 1]])
    still = None if padding is None else padding % 6

    def function(weight: Any) -> Any:
        return (F.embedding(index, weight, padding_idx=padding) ** 3).sum()

    (slope,) = tf.autograd.grad(function(weight), [weight], create_graph=True)
    values, expected = array(weight), np.zeros((6, 3))
    for i in index.flatten().tolist():
        expected[i] += 3 * values[i] ** 2 * (i != still)
    np.testing.assert_allclose(array(slope), expected)
    (curve,) = tf.autograd.grad(slope.sum(), [weight])
    expected = np.zeros((6, 3))
    for i in index.flatten().tolist():
        expected[i] += 6 * values[i] * (i != still)
    np.testing.assert_allclose(array(curve), expected)


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64, tf.float16, tf.bfloat16])
def test_dropout_draws_the_same_again_on_the_way_back(dtype: Any) -> None:
    x = tf.ones(300, 200, dtype=dtype).requires_grad_()
    y = F.dropout(x, 0.75)
    assert set(y.detach().flatten().tolist()) == {0.0, 4.0}
    assert abs(float((y != 0).to(tf.float32).mean()) - 0.25) < 0.02
    y.sum().backward()
    np.testing.assert_array_equal(array(x.grad.to(tf.float64)), array(y.detach().to(tf.float64)))
    # In the order of the elements, however they lie.
    tf.manual_seed(1)
    straight = F.dropout(tf.ones(50, 40), 0.5)
    tf.manual_seed(1)
    np.testing.assert_array_equal(array(F.dropout(tf.ones(40, 50).T, 0.5)), array(straight))
    assert F.dropout(tf.full((3,), float("inf")), 1.0).isnan().all()


def test_draws_for_any_number_of_threads() -> None:
    def draws() -> list[Any]:
        tf.manual_seed(3)
        x = tf.empty(100000)
        made = [tf.randn(100000), tf.randint(5, 99, (100000,)), F.dropout(tf.ones(100000), 0.3), tf.randperm(50000)]
        made += [x.normal_(1.0, 2.0).clone(), x.bernoulli_(0.2).clone(), tf.bernoulli(tf.full((70000,), 0.9))]
        return [array(t) for t in made]

    one, four = with_threads(1, draws), with_threads(4, draws)
    for a, b in zip(one, four, strict=True):
        np.testing.assert_array_equal(a, b)
    assert one[1].min() == 5
    assert one[1].max() == 98
    np.testing.assert_array_equal(np.sort(one[3]), np.arange(50000))
    assert abs(one[4].mean() - 1) < 0.03
    assert abs(one[4].std() - 2) < 0.03
    assert abs(one[5].mean() - 0.2) < 0.01
    assert abs(one[6].mean() - 0.9) < 0.01
    assert float(tf.bernoulli(tf.ones(1000)).sum()) == 1000
    assert float(tf.bernoulli(tf.zeros(1000)).sum()) == 0
    with pytest.raises(ValueError, match="between 0 and 1"):
        tf.bernoulli(tf.tensor([0.5, float("nan")]))


def test_long_sequences_and_triangles() -> None:
    np.testing.assert_array_equal(array(tf.arange(-5, 100000, 3)), np.arange(-5, 100000, 3))
    np.testing.assert_array_equal(array(tf.arange(3, -70000, -7, dtype=tf.int32)), np.arange(3, -70000, -7))
    np.testing.assert_allclose(
        array(tf.arange(0.5, 5000, 0.1, dtype=tf.float64)), np.arange(0.5, 5000, 0.1), rtol=1e-15
    )
    np.testing.assert_allclose(array(tf.linspace(-3, 7, 100001)), np.linspace(-3, 7, 100001), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(array(tf.linspace(0, 9, 10, dtype=tf.int64)), np.arange(10))
    values = numbers(3, 200, 170)
    for diagonal in (-500, -3, 0, 5, 500):
        for x, expected in ((tensor(values), values), (tensor(values).transpose(1, 2), values.swapaxes(1, 2))):
            np.testing.assert_array_equal(array(tf.tril(x, diagonal)), np.tril(expected, diagonal))
            np.testing.assert_array_equal(array(tf.triu(x, diagonal)), np.triu(expected, diagonal))
