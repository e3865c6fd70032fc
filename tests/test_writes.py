"""Writes in place and through views: PyTorch's gradients, or its errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from opinfo.run import array, tf

VALUES = np.array([[0.5, 1.5, -1.0], [2.0, -0.5, 1.0]])


def leaf(values: Any = VALUES) -> Any:
    return tf.tensor(np.asarray(values), dtype=tf.float64, requires_grad=True)


def slope(function: Callable[[Any, Any], Any], order: int = 1) -> None:
    """First and second derivatives of sum(w * f(x, y)) by x and y, against finite differences."""
    weights = tf.tensor(np.linspace(0.5, 1.5, 6).reshape(2, 3))

    def total(x: Any, y: Any) -> Any:
        return (function(x, y) * weights).sum()

    start = [VALUES, VALUES[:, ::-1] * 0.75 + 0.1]

    def first(values: list[Any], create_graph: bool = False) -> tuple[list[Any], list[Any]]:
        inputs = [leaf(np.ascontiguousarray(value)) for value in values]
        found = tf.autograd.grad(total(*inputs), inputs, create_graph=create_graph, allow_unused=True)
        return inputs, [tf.zeros_like(x) if g is None else g for x, g in zip(inputs, found, strict=True)]

    step = 1e-6
    _, slopes = first(start)
    for index in range(2):
        for at in np.ndindex(2, 3):
            ends = []
            for sign in (1, -1):
                moved = [value.copy() for value in start]
                moved[index][at] += sign * step
                with tf.no_grad():
                    ends.append(total(*(tf.tensor(np.ascontiguousarray(value)) for value in moved)).item())
            want = (ends[0] - ends[1]) / (2 * step)
            np.testing.assert_allclose(array(slopes[index])[at], want, rtol=1e-6, atol=1e-7, err_msg=f"{index}, {at}")
    inputs, slopes = first(start, create_graph=True)
    outer = sum((part * (n + 1)).sin().sum() for n, part in enumerate(slopes))
    if not outer.requires_grad:
        return
    second = tf.autograd.grad(outer, inputs, allow_unused=True)
    way = [np.cos(np.arange(6.0).reshape(2, 3) + n) for n in range(2)]
    ends = []
    for sign in (1, -1):
        _, parts = first([value + sign * step * by for value, by in zip(start, way, strict=True)])
        ends.append(sum(np.sin(array(part) * (n + 1)).sum() for n, part in enumerate(parts)))
    along = sum((array(g) * by).sum() for g, by in zip(second, way, strict=True) if g is not None)
    np.testing.assert_allclose(along, (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-6)


def into_copy(x: Any, y: Any) -> Any:
    z = x.clone()
    z.mul_(y)
    z.add_(x * y)
    return z


def whole_output_kept(x: Any, y: Any) -> Any:
    z = x * y
    z.exp_()
    return z * x


def through_row(x: Any, y: Any) -> Any:
    z = x * x
    z[0] = (y[1] * x[0]).sin()
    return z * z


def through_view(x: Any, y: Any) -> Any:
    z = x * y
    v = z.view(-1)
    v.mul_(2)
    return z * x


def view_before_used_after(x: Any, y: Any) -> Any:
    z = x * 1
    v = z[1]
    z.mul_(y)
    return z + v * v


def base_written_view_written(x: Any, y: Any) -> Any:
    z = x * 1
    v = z.t()
    z.mul_(y)
    v[0].add_(y[:, 1])
    z.sin_()
    return z + v.t() * 2


def two_views_overlap(x: Any, y: Any) -> Any:
    z = x * 1
    a, b = z[:, :2], z[:, 1:]
    a.mul_(y[:, :2])
    b.mul_(y[:, 1:])
    a.exp_()
    return z


def view_of_view(x: Any, y: Any) -> Any:
    z = x * 1
    v = z.t()[1:].t()
    w = v[0]
    w.mul_(y[0, :2])
    return z * v.sum()


def split_pieces(x: Any, y: Any) -> Any:
    z = x * 1
    parts = z.unsqueeze(0).transpose(0, 1).reshape(2, 3).narrow(0, 0, 2)
    parts.mul_(y)
    return parts + z


def masked_add(x: Any, y: Any) -> Any:
    z = x * y
    z[z > 0] += 1
    return z * z


def masked_write(x: Any, y: Any) -> Any:
    z = x * 1
    z[x > 0.7] = y[x > 0.7] * 2
    return z * z


def by_index_tensor(x: Any, y: Any) -> Any:
    z = x * 1
    z[:, tf.tensor([2, 0])] = y[:, :2] * x[:, 1:]
    return z.exp()


def index_tensor_add(x: Any, y: Any) -> Any:
    z = x * 1
    z[tf.tensor([1])] *= y[0]
    return z


def column(x: Any, y: Any) -> Any:
    z = x * 1
    z[:, 1] = y.sum(1)
    z[..., ::2].mul_(x[:, 1:])
    return z


def diagonal(x: Any, y: Any) -> Any:
    z = x * 1
    z.diagonal().mul_(y[0, :2])
    z.diagonal(1).copy_(y[1, :2])
    return z * z


def select_and_fill(x: Any, y: Any) -> Any:
    z = x * y
    z.select(1, 0).fill_(3)
    z[0, 1] = y[1, 2]
    return z * z


def copied_over(x: Any, y: Any) -> Any:
    z = x * 2
    z.copy_(y * y)
    return z + x


def expanded_operand(x: Any, y: Any) -> Any:
    z = x * 1
    z.add_(y[0]).mul_(y[1, 2])
    return z


def zeros_filled(x: Any, y: Any) -> Any:
    """A tensor without history gets one when it is written with something that has."""
    z = tf.zeros(2, 3, dtype=tf.float64)
    z[0] = x[1]
    z[1].copy_(y[0] * x[0])
    return z * z


def view_of_fresh_tensor(x: Any, y: Any) -> Any:
    z = tf.ones(6, dtype=tf.float64)
    v = z.view(2, 3)
    v.mul_(x)
    return z.reshape(2, 3) * v * y


def views_in_a_row(x: Any, y: Any) -> Any:
    z = x * 1
    for row in range(2):
        for place in range(3):
            z[row, place] = z[row, place - 1].clone() * y[row, place]
    return z


def out_argument_free(x: Any, y: Any) -> Any:
    z = tf.empty(2, 3, dtype=tf.float64)
    with tf.no_grad():
        tf.mul(x, 0, out=z)
    return z + x * y


WRITES = [
    into_copy, whole_output_kept, through_row, through_view, view_before_used_after,
    base_written_view_written, two_views_overlap, view_of_view, split_pieces, masked_add, masked_write, by_index_tensor,
    index_tensor_add, column, diagonal, select_and_fill, copied_over, expanded_operand, zeros_filled,
    view_of_fresh_tensor, views_in_a_row, out_argument_free,
]  # fmt: skip


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_gradients(write: Callable[[Any, Any], Any]) -> None:
    slope(write)


@pytest.mark.ours
def test_operand_and_target_are_one() -> None:
    """What `z.mul_(z)` overwrites is what its derivative reads: it is copied first, where PyTorch gives up."""

    def square(x: Any, y: Any) -> Any:
        z = x * 1
        z.mul_(z)
        return z * y

    slope(square)


def test_kept_results_may_not_be_overwritten() -> None:
    for later in ("tanh_", "neg_"):
        z = leaf() * 1
        z.exp_()
        getattr(z, later)()
        with pytest.raises(RuntimeError):
            z.sum().backward()
    z = leaf() * 1
    for place in (1, 2):
        z[0, place] = z[0, place - 1] * z[1, place]
    with pytest.raises(RuntimeError):
        z.sum().backward()


def test_write_of_one_row() -> None:
    x, y = leaf(), leaf([3.0, 4.0, 5.0])
    z = x.clone()
    z[0] = y * y
    z.sum().backward()
    assert x.grad.tolist() == [[0, 0, 0], [1, 1, 1]]
    assert y.grad.tolist() == [6, 8, 10]


def test_view_written() -> None:
    x = leaf()
    z = x * 1
    v = z.view(-1)
    v.mul_(2)
    assert z.grad_fn is not None
    z.sum().backward()
    assert x.grad.tolist() == [[2.0] * 3] * 2


def test_split_pieces_may_be_written() -> None:
    """In PyTorch the pieces of an operation that makes several views may not; `split` and `unbind` are among them."""
    x = leaf()
    z = x * 1
    with tf.no_grad():
        for piece in z.split(1):
            piece.mul_(2)
    assert z.tolist() == (VALUES * 2).tolist()


@pytest.mark.ours
@pytest.mark.parametrize("cut", ["split", "chunk", "unbind"])
def test_split_pieces_with_history(cut: str) -> None:
    def write(x: Any, y: Any) -> Any:
        z = x * 1
        first, second = {"split": lambda: z.split(1), "chunk": lambda: z.chunk(2), "unbind": z.unbind}[cut]()
        first.mul_(y[0])
        second.mul_(first.reshape(-1))
        return z * second

    slope(write)


def test_leaves_are_protected() -> None:
    x = leaf()
    for write in (
        lambda: x.add_(1),
        x.zero_,
        lambda: x.__setitem__(0, 1.0),
        lambda: x.view(-1).mul_(2),
        lambda: x[0].fill_(1),
        lambda: x.copy_(tf.zeros(2, 3)),
    ):
        with pytest.raises(RuntimeError, match=r"(?i)leaf"):
            write()
    assert x.tolist() == VALUES.tolist()
    with tf.no_grad():
        x.add_(1)
        x[0] = 0
        x.view(-1).mul_(2)
    assert x.is_leaf
    assert x.requires_grad
    assert x.tolist() == [[0, 0, 0], ((VALUES[1] + 1) * 2).tolist()]
    x.detach().zero_()
    assert not array(x).any()


def test_views_made_without_recording() -> None:
    """A view made under no_grad may not be written while recording: its base would not know."""
    z = leaf() * 1
    with tf.no_grad():
        v = z[0]
    with pytest.raises(RuntimeError, match=r"(?i)no_grad|view"):
        v.mul_(2)


def test_version_rules() -> None:
    x = leaf()
    z = x * 2
    square = z * z
    version = z._version
    z.mul_(2)
    assert z._version == version + 1
    with pytest.raises(RuntimeError, match=r"(?i)modified|changed|version"):
        square.sum().backward()

    z = x * 2
    shifted = z + 1  # keeps nothing: the write does no harm
    z.mul_(2)
    shifted.sum().backward()
    assert x.grad.tolist() == [[2.0] * 3] * 2

    z = x * 2
    result = z.exp()
    z.zero_()  # exp keeps its result, not its input
    x.grad = None
    result.sum().backward()
    np.testing.assert_allclose(array(x.grad), 2 * np.exp(2 * VALUES), rtol=1e-12)

    result = (x * 2).exp()
    result.add_(1)
    with pytest.raises(RuntimeError):
        result.sum().backward()


def test_versions_are_shared_by_views() -> None:
    z = tf.zeros(4)
    v = z[1:]
    w = z.detach()
    before = z._version
    v.add_(1)
    assert z._version == v._version == w._version == before + 1
    w.add_(1)
    assert z._version == before + 2
    copied = z.clone()
    copied.add_(1)
    assert z._version == before + 2


def test_write_to_a_saved_view() -> None:
    x = leaf()
    z = x * 1
    part = z[0]
    result = part * part
    z[1] = 0  # other elements, but the same memory: PyTorch counts versions by memory
    with pytest.raises(RuntimeError):
        result.sum().backward()


def test_data_swaps_under_the_history() -> None:
    x = leaf()
    (x * x).sum().backward()
    held = x.grad
    x.data = tf.ones(2, 3, dtype=tf.float64)
    assert x.tolist() == [[1.0] * 3] * 2
    assert x.requires_grad
    assert x.is_leaf
    assert x.grad is held
    (x * 3).sum().backward()
    np.testing.assert_allclose(array(x.grad), 2 * VALUES + 3)
    version = x._version
    x.data.mul_(2)  # behind the history's back, as PyTorch has it
    assert x._version == version


def test_requires_grad_spreads_by_writing() -> None:
    z = tf.zeros(2, 3, dtype=tf.float64)
    assert not z.requires_grad
    z.add_(leaf())
    assert z.requires_grad
    assert not z.is_leaf
    z.detach_()
    assert not z.requires_grad
    assert z.is_leaf


def test_out_records_nothing() -> None:
    x = leaf()
    with pytest.raises(RuntimeError):
        tf.mul(x, 2, out=tf.empty(2, 3, dtype=tf.float64))
