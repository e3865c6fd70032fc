"""Wrong input: the class that PyTorch's users catch, and a message that says what was expected and what came."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from opinfo.run import IS_TORCH, tf

F = tf.nn.functional
Call = Callable[[], Any]
Error = type[Exception] | tuple[type[Exception], ...]


def case(call: Call, error: Error, *words: str, name: str) -> Any:
    return pytest.param(call, error, words, id=name)


def refused(call: Call, error: Error, words: tuple[str, ...]) -> None:
    """`call` raises `error` with all the words in its message; of a list of alternatives one is enough.

    The words are this project's: of PyTorch only the class is checked.
    """
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert text, "an error without a message"
    for word in words if not IS_TORCH else ():
        assert re.search(word, text), f"{word!r} is not in: {text}"


a23, a34, a45 = tf.ones(2, 3), tf.ones(3, 4), tf.ones(4, 5)
ints = tf.arange(6).reshape(2, 3)

SHAPES = [
    case(lambda: a23 + a34, RuntimeError, r"add", r"2, 3", r"3, 4", name="add"),
    case(lambda: tf.where(a23 > 0, a23, a34), RuntimeError, r"where", name="where"),
    case(lambda: a23 @ a45, RuntimeError, r"matmul", r"2, 3", r"4, 5", name="matmul"),
    case(lambda: tf.ones(3) @ tf.ones(4), RuntimeError, r"3", r"4", name="matmul of vectors"),
    case(lambda: tf.tensor(1.0) @ a23, RuntimeError, r"matmul", name="matmul of a 0-d tensor"),
    case(lambda: tf.ones(2, 3, 4) @ tf.ones(3, 4, 5), RuntimeError, r"matmul", name="matmul of batches"),
    case(lambda: tf.mm(a23, tf.ones(3)), RuntimeError, r"mm", r"2", name="mm of a vector"),
    case(lambda: tf.mm(a23, a45), RuntimeError, r"mm", r"2, 3", r"4, 5", name="mm"),
    case(lambda: tf.bmm(a23, a34), RuntimeError, r"bmm", r"3", name="bmm of matrices"),
    case(lambda: tf.mv(a23, tf.ones(2)), RuntimeError, r"mv", name="mv"),
    case(lambda: tf.dot(a23, a23), RuntimeError, r"dot", r"1", name="dot of matrices"),
    case(lambda: tf.dot(tf.ones(2), tf.ones(3)), RuntimeError, r"dot", r"2", r"3", name="dot"),
    case(lambda: tf.addmm(tf.ones(5), a23, a34), RuntimeError, r"addmm", name="addmm"),
    case(lambda: a23.view(4, 2), RuntimeError, r"view", r"4, 2", r"6|2, 3", name="view"),
    case(lambda: a23.reshape(-1, 4), RuntimeError, r"reshape", r"4", r"6|2, 3", name="reshape"),
    case(lambda: a23.view(-1, -1), RuntimeError, r"-1", name="view with two unknowns"),
    case(lambda: a23.view(-2, 3), RuntimeError, r"-2", name="view with a negative size"),
    case(lambda: tf.ones(0).view(-1, 0), RuntimeError, r"-1|0", name="view with an undetermined size"),
    case(lambda: a34.t().view(12), RuntimeError, r"view", r"reshape|stride", name="view of strides that do not fit"),
    case(lambda: tf.ones(2, 3, 4).t(), RuntimeError, r"t\b", r"3", name="t of three dimensions"),
    case(lambda: a23.permute(0), RuntimeError, r"permute", name="permute with too few"),
    case(lambda: a23.permute(0, 0), RuntimeError, r"permute", r"0", name="permute with one twice"),
    case(lambda: a23.expand(2, 4), RuntimeError, r"expand", r"3", r"4", name="expand"),
    case(lambda: a23.expand(3), RuntimeError, r"expand", name="expand to fewer dimensions"),
    case(lambda: a23.narrow(1, 2, 2), RuntimeError, r"narrow", r"3", name="narrow beyond the end"),
    case(lambda: a23.narrow(1, 0, -1), RuntimeError, r"narrow", r"-1", name="narrow to a negative length"),
    case(lambda: a23.split([1, 1], 1), RuntimeError, r"split", r"3", name="split into parts that do not add up"),
    case(lambda: a23.split(-1), RuntimeError, r"split", r"-1", name="split into negative parts"),
    case(lambda: a23.chunk(0), RuntimeError, r"chunk", r"0", name="chunk into none"),
    case(lambda: tf.unbind(tf.tensor(1.0)), IndexError, r"unbind|0-d|dim", name="unbind of a 0-d tensor"),
    case(lambda: tf.cat([a23, a34]), RuntimeError, r"cat", r"2, 3|3", r"3, 4|4", name="cat"),
    case(lambda: tf.cat([]), ValueError, r"cat", name="cat of nothing"),
    case(lambda: tf.cat([tf.tensor(1.0), tf.tensor(2.0)]), RuntimeError, r"cat", name="cat of 0-d tensors"),
    case(lambda: tf.stack([a23, a34]), RuntimeError, r"stack", r"2, 3", r"3, 4", name="stack"),
    case(lambda: tf.stack([]), RuntimeError, r"stack", name="stack of nothing"),
    case(lambda: a23.repeat(2), RuntimeError, r"repeat", name="repeat with too few"),
    case(lambda: a23.repeat(-1, 1), RuntimeError, r"repeat|-1", name="repeat by a negative number"),
    case(lambda: tf.flip(a23, (0, 0)), RuntimeError, r"flip", r"0", name="flip one dimension twice"),
    case(lambda: tf.roll(a23, (1, 2), 0), RuntimeError, r"roll", name="roll with too few dimensions"),
    case(lambda: tf.tril(tf.ones(3)), RuntimeError, r"tril", name="tril of a vector"),
    case(lambda: F.pad(a23, (1,)), RuntimeError, r"pad", name="pad by half a pair"),
    case(lambda: F.pad(a23, (1, 1, 1, 1, 1, 1)), RuntimeError, r"pad", name="pad of too many dimensions"),
    case(lambda: F.pad(a23, (-2, -2)), RuntimeError, r"pad", r"-1|-2|negative", name="pad to a negative size"),
    case(lambda: tf.ones(12).as_strided((4, 4), (4, 1)), RuntimeError, r"as_strided|storage", name="as_strided beyond"),
    case(lambda: tf.ones(4).as_strided((2,), (1,), -1), RuntimeError, r"-1|offset", name="as_strided before"),
    case(lambda: tf.ones(4).as_strided((2, 2), (1,)), RuntimeError, r"stride", name="as_strided lengths"),
    case(lambda: tf.gather(a23, 0, tf.zeros(2, 4, dtype=tf.int64)), RuntimeError, r"gather", name="gather sizes"),
    case(lambda: tf.gather(a23, 0, tf.zeros(2, dtype=tf.int64)), RuntimeError, r"gather", name="gather dimensions"),
    case(lambda: a23.masked_fill(tf.ones(2, dtype=tf.bool), 0), RuntimeError, r"masked_fill", name="masked_fill"),
    case(lambda: a23[tf.ones(3, dtype=tf.bool)], IndexError, r"mask|index", r"3", r"2", name="a mask of another size"),
    case(lambda: F.linear(a23, a45), RuntimeError, r"linear", r"2, 3", r"4, 5", name="linear"),
    case(lambda: F.layer_norm(a23, (2,)), RuntimeError, r"layer_norm", r"2", r"3", name="layer_norm"),
    case(lambda: F.batch_norm(a23, tf.ones(2), tf.ones(2)), RuntimeError, r"batch_norm|running", name="batch_norm"),
    case(lambda: F.batch_norm(tf.ones(1, 3), None, None, training=True), ValueError, r"1", name="batch_norm of one"),
    case(
        lambda: F.conv2d(tf.ones(1, 3, 4, 4), tf.ones(2, 4, 2, 2)),
        RuntimeError,
        r"conv2d",
        r"3",
        r"4",
        name="conv2d channels",
    ),
    case(
        lambda: F.conv2d(tf.ones(1, 1, 2, 2), tf.ones(1, 1, 3, 3)),
        RuntimeError,
        r"conv2d",
        r"3",
        r"2",
        name="conv2d of a large kernel",
    ),
    case(
        lambda: F.conv2d(tf.ones(1, 3, 4, 4), tf.ones(3, 1, 2, 2), groups=2),
        RuntimeError,
        r"groups|conv2d",
        name="conv2d groups",
    ),
    case(lambda: F.conv2d(tf.ones(4, 4), tf.ones(1, 1, 2, 2)), RuntimeError, r"conv2d", name="conv2d of a matrix"),
    case(
        lambda: F.conv2d(tf.ones(1, 1, 4, 4), tf.ones(1, 1, 2, 2), stride=0),
        RuntimeError,
        r"stride",
        r"0",
        name="conv2d stride",
    ),
    case(
        lambda: F.max_pool2d(tf.ones(1, 1, 4, 4), 2, padding=2),
        RuntimeError,
        r"max_pool2d|pad",
        r"2",
        name="max_pool2d padding",
    ),
    case(lambda: F.avg_pool2d(tf.ones(1, 1, 4, 4), 0), RuntimeError, r"kernel|avg_pool2d", r"0", name="avg_pool2d"),
    case(lambda: F.cross_entropy(a23, tf.tensor([0, 1, 2])), ValueError, r"2", r"3", name="cross_entropy sizes"),
    case(lambda: F.nll_loss(a23, tf.tensor([0, 1, 2])), ValueError, r"2", r"3", name="nll_loss sizes"),
    case(lambda: F.binary_cross_entropy_with_logits(a23, a34), ValueError, r"2, 3", r"3, 4", name="logits"),
]

AXES = [
    case(lambda: a23.sum(2), IndexError, r"sum", r"2", r"-2", r"1", name="sum"),
    case(lambda: a23.sum((0, -3)), IndexError, r"-3", name="sum of several"),
    case(lambda: a23.sum((0, 0)), RuntimeError, r"sum", r"0", name="sum of one twice"),
    case(lambda: a23.mean(-3), IndexError, r"mean", r"-3", name="mean"),
    case(lambda: a23.max(2), IndexError, r"max", r"2", name="max"),
    case(lambda: a23.argmax(5), IndexError, r"argmax", r"5", name="argmax"),
    case(lambda: tf.tensor(1.0).sum(1), IndexError, r"1", name="sum of a 0-d tensor"),
    case(lambda: a23.transpose(0, 2), IndexError, r"transpose", r"2", name="transpose"),
    case(lambda: a23.permute(0, 2), IndexError, r"permute", r"2", name="permute"),
    case(lambda: a23.squeeze(2), IndexError, r"squeeze", r"2", name="squeeze"),
    case(lambda: a23.unsqueeze(4), IndexError, r"unsqueeze", r"4", name="unsqueeze"),
    case(lambda: a23.select(0, 2), IndexError, r"select", r"2", name="select"),
    case(lambda: tf.tensor(1.0).select(0, 0), IndexError, r"select|0-d|0", name="select of a 0-d tensor"),
    case(lambda: a23.flatten(0, 3), IndexError, r"flatten", r"3", name="flatten"),
    case(lambda: a23.flatten(1, 0), RuntimeError, r"flatten", name="flatten backwards"),
    case(lambda: a23.diagonal(0, 0, 0), RuntimeError, r"diagonal", name="diagonal of one dimension"),
    case(lambda: tf.cat([a23, a23], 2), IndexError, r"cat", r"2", name="cat"),
    case(lambda: tf.stack([a23, a23], 3), IndexError, r"stack", r"3", name="stack"),
    case(lambda: tf.softmax(a23, 2), IndexError, r"softmax", r"2", name="softmax"),
    case(lambda: a23.cumsum(2), IndexError, r"cumsum", r"2", name="cumsum"),
    case(lambda: a23.unbind(2), IndexError, r"unbind", r"2", name="unbind"),
    case(lambda: a23.split(1, 2), IndexError, r"split", r"2", name="split"),
]

INDICES = [
    case(lambda: a23[2], IndexError, r"2", name="integer"),
    case(lambda: a23[0, -4], IndexError, r"-4", r"3", name="negative integer"),
    case(lambda: a23[0, 0, 0], IndexError, r"3|too many", r"2", name="too many"),
    case(lambda: tf.tensor(1.0)[0], IndexError, r"0", name="of a 0-d tensor"),
    case(lambda: a23[::0], ValueError, r"step|0", name="a step of zero"),
    case(lambda: a23[::-1], ValueError, r"step|-1", name="a negative step"),
    case(lambda: a23[tf.tensor([0, 5])], IndexError, r"5", r"2", name="tensor"),
    case(lambda: a23[tf.tensor([0.5])], IndexError, r"float32|float", name="tensor of floats"),
    case(lambda: a23[tf.tensor([0, 1]), tf.tensor([0, 1, 2])], IndexError, r"2", r"3", name="tensors of two shapes"),
    case(lambda: a23["x"], (TypeError, IndexError), r"str", name="string"),
    case(lambda: a23[1.5], (TypeError, IndexError), r"float", name="number"),
    case(lambda: a23.__setitem__(2, 1.0), IndexError, r"2", name="write to an integer"),
    case(lambda: a23.clone().__setitem__(0, tf.ones(4)), RuntimeError, r"4", r"3", name="write of another shape"),
    case(lambda: tf.index_select(a23, 0, tf.tensor([2])), (IndexError, RuntimeError), r"2", name="index_select"),
    case(lambda: tf.gather(a23, 0, tf.tensor([[2]])), (IndexError, RuntimeError), r"2", name="gather"),
    case(lambda: tf.gather(a23, 0, tf.tensor([[-1]])), (IndexError, RuntimeError), r"-1", name="gather of a negative"),
    case(lambda: a23.scatter(0, tf.tensor([[2]]), a23), (IndexError, RuntimeError), r"2", name="scatter"),
    case(lambda: F.embedding(tf.tensor([3]), a34), IndexError, r"3", name="embedding"),
    case(lambda: F.embedding(tf.tensor([-1]), a34), IndexError, r"-1", name="embedding of a negative"),
    case(lambda: F.nll_loss(a23, tf.tensor([0, 3])), IndexError, r"3", name="nll_loss"),
    case(lambda: F.cross_entropy(a23, tf.tensor([0, -1])), IndexError, r"-1", name="cross_entropy"),
]

DTYPES = [
    case(lambda: tf.ones(2, 2) @ tf.ones(2, 2, dtype=tf.float64), RuntimeError, r"float32", r"float64", name="matmul"),
    case(lambda: tf.mm(ints, a34), RuntimeError, r"int64", r"float32", name="mm"),
    case(lambda: F.linear(a23, tf.ones(4, 3, dtype=tf.float64)), RuntimeError, r"float32", r"float64", name="linear"),
    case(
        lambda: F.conv2d(tf.ones(1, 1, 2, 2), tf.ones(1, 1, 1, 1, dtype=tf.float64)),
        RuntimeError,
        r"float32",
        r"float64",
        name="conv2d",
    ),
    case(ints.mean, RuntimeError, r"mean", r"int64", name="mean"),
    case(ints.var, RuntimeError, r"var|std", r"int64", name="var"),
    case(lambda: -(ints > 2), RuntimeError, r"neg|bool", r"bool", name="neg"),
    case(lambda: (ints > 2) - (ints > 3), RuntimeError, r"sub", r"bool", name="sub"),
    case(lambda: ~a23, (TypeError, RuntimeError), r"bitwise_not|not", r"float32", name="bitwise_not"),
    case(lambda: a23 & a23, (TypeError, RuntimeError), r"bitwise_and|and", r"float32", name="bitwise_and"),
    case(lambda: tf.ones(2, dtype=tf.complex64) < 1, (TypeError, RuntimeError), r"complex64", name="lt"),
    case(lambda: tf.ones(2, dtype=tf.complex64).max(), (TypeError, RuntimeError), r"max", r"complex64", name="max"),
    case(lambda: tf.tensor([2, 3]) ** -1, RuntimeError, r"pow|negative", r"-1|negative", name="integer power"),
    case(lambda: tf.tensor([1, 2]) // 0, RuntimeError, r"zero|0|ZeroDivision", name="integer division by zero"),
    case(lambda: tf.tensor([1, 2]) % 0, RuntimeError, r"zero|0|ZeroDivision", name="integer remainder by zero"),
    case(
        lambda: F.embedding(tf.tensor([0.5]), a34),
        (TypeError, RuntimeError),
        r"embedding",
        r"float32",
        name="embedding",
    ),
    case(lambda: F.softmax(ints, 0), RuntimeError, r"softmax", r"int64", name="softmax"),
    case(lambda: tf.where(a23, a23, a23), RuntimeError, r"where", r"float32", name="where"),
    case(lambda: a23.masked_fill(ints, 0), RuntimeError, r"masked_fill", r"int64", name="masked_fill"),
    case(
        lambda: a23.index_select(0, a23[0]),
        (IndexError, RuntimeError),
        r"index_select",
        r"float32",
        name="index_select",
    ),
    case(lambda: tf.ones(2, dtype=tf.int64, requires_grad=True), RuntimeError, r"float", name="requires_grad"),
    case(lambda: ints.clone().requires_grad_(), RuntimeError, r"float", name="requires_grad_"),
    case(lambda: float(tf.tensor(1 + 2j)), (TypeError, RuntimeError, ValueError), name="float of a complex number"),
]

ARGUMENTS = [
    case(lambda: tf.add(a23), TypeError, r"add", r"other", name="missing"),
    case(lambda: tf.add(a23, a23, a23, a23), TypeError, r"add", name="too many"),
    case(lambda: tf.sum(a23, axes=0), TypeError, r"sum", r"axes", name="unknown keyword"),
    case(lambda: tf.sum(a23, "x"), TypeError, r"sum", r"str", name="a string for a dimension"),
    case(lambda: tf.add(a23, "x"), TypeError, r"add", r"str", name="a string for a tensor"),
    case(lambda: tf.add(a23, None), TypeError, r"add", r"None", name="None for a tensor"),
    case(lambda: a23 + "x", TypeError, name="a string in an operator"),
    case(lambda: a23 @ 2, TypeError, name="a number in a product of matrices"),
    case(lambda: tf.matmul(a23, 2), TypeError, r"matmul", name="a number for a matrix"),
    case(lambda: tf.exp([1.0, 2.0]), TypeError, r"exp", r"list", name="a list for a tensor"),
    case(lambda: tf.exp(np.ones(2)), TypeError, r"exp", r"ndarray", name="an array for a tensor"),
    case(lambda: tf.cat(a23), TypeError, r"cat", name="one tensor for several"),
    case(lambda: tf.cat([a23, 1]), TypeError, r"cat", r"int", name="a number among tensors"),
    case(lambda: tf.div(a23, 2, rounding_mode="up"), RuntimeError, r"rounding_mode|div", r"up", name="rounding_mode"),
    case(lambda: F.mse_loss(a23, a23, reduction="max"), ValueError, r"max", name="reduction"),
    case(lambda: F.gelu(a23, approximate="erf"), RuntimeError, r"erf", name="approximate"),
    case(
        lambda: F.pad(a23, (1, 1), mode="mirror"),
        (NotImplementedError, RuntimeError, ValueError),
        r"mirror",
        name="mode of pad",
    ),
    case(
        lambda: F.conv2d(tf.ones(1, 1, 4, 4), tf.ones(1, 1, 2, 2), padding="half"),
        (RuntimeError, ValueError),
        r"half",
        name="padding of conv2d",
    ),
    case(lambda: F.dropout(a23, 1.5), ValueError, r"1\.5", name="dropout"),
    case(lambda: F.dropout(a23, -0.1), ValueError, r"-0\.1", name="dropout below zero"),
    case(lambda: tf.clamp(a23), (RuntimeError, ValueError, TypeError), r"clamp", name="clamp by nothing"),
    case(lambda: tf.zeros(2.5), TypeError, r"zeros", r"float", name="a float for a size"),
    case(lambda: tf.zeros("2"), TypeError, r"zeros", r"str", name="a string for a size"),
    case(lambda: tf.zeros(2, dtype="float32"), TypeError, r"dtype", r"str", name="a string for a dtype"),
    case(lambda: tf.zeros(2, device="nowhere"), RuntimeError, r"nowhere", name="device"),
    case(lambda: tf.arange(0, 5, 0), RuntimeError, r"arange", r"step|0", name="arange with a step of zero"),
    case(lambda: tf.arange(0, 5, -1), RuntimeError, r"arange", name="arange the wrong way"),
    case(lambda: tf.linspace(0, 1, -1), RuntimeError, r"linspace", r"-1", name="linspace"),
    case(lambda: tf.randint(5, 5, (2,)), RuntimeError, r"randint|random_", r"5", name="randint of nothing"),
    case(lambda: tf.randperm(-1), RuntimeError, r"randperm", r"-1", name="randperm"),
    case(lambda: tf.ones(2).uniform_(2, 1), RuntimeError, r"uniform_", name="uniform_"),
    case(lambda: tf.ones(2).normal_(0, -1), RuntimeError, r"normal_", r"-1", name="normal_"),
    case(lambda: tf.ones(2).bernoulli_(2), RuntimeError, r"bernoulli_", r"2", name="bernoulli_"),
    case(lambda: tf.ones(0).max(), RuntimeError, r"max", name="max of nothing"),
    case(lambda: tf.ones(0).argmin(), (IndexError, RuntimeError), r"argmin", name="argmin of nothing"),
    case(lambda: tf.ones(0, 2).amax(0), (IndexError, RuntimeError), r"amax", name="amax of nothing"),
    case(lambda: tf.ones(2).item(), (RuntimeError, ValueError), r"2|item", name="item of two"),
    case(lambda: bool(tf.ones(2)), RuntimeError, r"bool|ambiguous", name="truth of two"),
    case(lambda: len(tf.tensor(1)), TypeError, name="length of a 0-d tensor"),
    case(lambda: int(tf.ones(2)), (TypeError, ValueError, RuntimeError), name="int of two"),
    case(lambda: a23.numel(1), TypeError, name="arguments where there are none"),
]

SIZES = [
    case(lambda: tf.zeros(-1), RuntimeError, r"-1", name="negative"),
    case(lambda: tf.empty((2, -3)), RuntimeError, r"-3", name="negative in a list"),
    case(lambda: tf.zeros(2**40, 2**40), RuntimeError, r"2\^|\d{6}|overflow", name="overflow of 64 bits"),
    case(lambda: tf.ones(2**62), RuntimeError, r"\d{6}|overflow", name="overflow in bytes"),
    case(lambda: tf.ones(2**50), RuntimeError, r"\d{6}", name="beyond memory"),
    case(lambda: tf.eye(2**31, 2**31), RuntimeError, r"\d{6}|overflow", name="eye"),
    case(lambda: tf.arange(2**60), RuntimeError, r"\d{6}", name="arange"),
    case(lambda: tf.ones(2).repeat(2**62), RuntimeError, name="repeat"),
    case(lambda: tf.ones(1).expand(2**50).clone(), RuntimeError, name="clone of an expanded tensor"),
    case(lambda: tf.ones(1).expand(2**25, 1) + tf.ones(1).expand(1, 2**25), RuntimeError, name="broadcast"),
    case(lambda: F.pad(tf.ones(2), (2**60, 2**60)), RuntimeError, name="pad"),
    case(lambda: tf.zeros(2**63), (TypeError, RuntimeError, OverflowError), name="beyond 64 bits"),
]


def cyclic() -> list[Any]:
    data: list[Any] = []
    data.append(data)
    return data


DATA = [
    case(lambda: tf.tensor([[1, 2], [3]]), ValueError, r"2", r"1", name="ragged"),
    case(lambda: tf.tensor([[1, 2], 3]), (TypeError, ValueError), name="ragged depth"),
    case(lambda: tf.tensor([1, "x"]), (TypeError, ValueError), r"str", name="string"),
    case(lambda: tf.tensor([None]), (TypeError, RuntimeError), r"None", name="None"),
    case(lambda: tf.tensor({"a": 1}), (TypeError, RuntimeError), r"dict", name="dict"),
    case(lambda: tf.tensor([2**63]), (RuntimeError, OverflowError, ValueError), name="integer beyond 64 bits"),
    case(lambda: tf.tensor([300], dtype=tf.uint8), (RuntimeError, OverflowError, ValueError), name="beyond its dtype"),
    case(lambda: tf.tensor(cyclic()), (ValueError, RuntimeError, TypeError), name="a list that holds itself"),
    case(lambda: tf.from_numpy([1, 2]), TypeError, r"list", name="from_numpy of a list"),
    case(lambda: tf.from_numpy(np.array(["a"])), TypeError, name="from_numpy of strings"),
    case(lambda: tf.from_numpy(np.array([object()])), TypeError, r"object", name="from_numpy of objects"),
    case(lambda: tf.ones(2, requires_grad=True).numpy(), RuntimeError, r"detach|grad", name="numpy of a leaf"),
]


FAMILIES = {
    "shapes": SHAPES,
    "axes": AXES,
    "indices": INDICES,
    "dtypes": DTYPES,
    "arguments": ARGUMENTS,
    "sizes": SIZES,
    "data": DATA,
}


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [pytest.param(*each.values, id=f"{family}-{each.id}") for family, cases in FAMILIES.items() for each in cases],
)
def test_refused(call: Call, error: Error, words: tuple[str, ...]) -> None:
    refused(call, error, words)
    assert (tf.ones(2) + 1).tolist() == [2.0, 2.0], "the process is of no use after the error"


@pytest.mark.ours
@pytest.mark.parametrize(
    ("call", "name", "bases"),
    [
        (lambda: a23 + a34, "ShapeError", (RuntimeError, ValueError)),
        (lambda: a23.sum(2), "AxisError", (RuntimeError, IndexError)),
        (lambda: ints @ a34, "DtypeMismatch", (RuntimeError, TypeError)),
        (lambda: tf.ones(2**50), "OutOfMemoryError", (RuntimeError, MemoryError)),
        (lambda: ((tf.ones(2, requires_grad=True) // 2).sum()).backward(), "GradientError", (RuntimeError,)),
    ],
)
def test_classes(call: Call, name: str, bases: tuple[type[Exception], ...]) -> None:
    """The project's own classes are PyTorch's and Python's as well."""
    kind = getattr(tf.errors, name)
    assert issubclass(kind, (tf.errors.TensorError, *bases))
    for base in (kind, tf.errors.TensorError, *bases):
        with pytest.raises(base):
            call()


@pytest.mark.ours
def test_message_has_expected_and_actual() -> None:
    """The form of every message: the operation, what is wrong, the numbers."""
    with pytest.raises(ValueError, match=r"matmul: .*\[2, 3\] x \[4, 5\].*3 != 4"):
        a23 @ a45


@pytest.mark.ours
def test_beyond_memory_names_the_bytes() -> None:
    with pytest.raises(MemoryError, match=str(2**52)):
        tf.ones(2**50)


@pytest.mark.ours
def test_read_only_array_is_copied() -> None:
    """A tensor can be written, so it may not share memory that cannot."""
    array = np.ones(3, dtype=np.float32)
    array.flags.writeable = False
    made = tf.from_numpy(array)
    made.add_(1)
    assert made.tolist() == [2.0, 2.0, 2.0]
    assert array.tolist() == [1.0, 1.0, 1.0]


def test_array_and_tensor_share_memory() -> None:
    array = np.arange(6.0).reshape(2, 3)
    shared = tf.from_numpy(array)
    shared[0, 0] = 7
    array[1, 2] = 9
    assert array[0, 0] == 7
    assert shared[1, 2].item() == 9
    copied = tf.tensor(array)
    array[0, 1] = -1
    assert copied[0, 1].item() == 1
    assert shared.numpy()[0, 1] == -1


def test_failed_write_changes_nothing() -> None:
    x = tf.ones(3)
    version = x._version
    for call in (lambda: x.add_(tf.ones(4)), lambda: x.mul_(1j), lambda: x.copy_(tf.ones(2))):
        with pytest.raises(RuntimeError):
            call()
    assert x.tolist() == [1.0, 1.0, 1.0]
    assert x._version == version


def test_saved_tensor_changed_in_place() -> None:
    x = tf.ones(3, requires_grad=True)
    kept = x * 2
    result = (kept * kept).sum()
    kept.add_(1)
    with pytest.raises(RuntimeError, match=r"(?i)modified|changed|version") as caught:
        result.backward()
    assert IS_TORCH or "mul" in str(caught.value), "the message names the operation"
