"""Operations that write: `name_`, `out=`, and what shares the memory that they write to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from opinfo import OPS, OpInfo, Sample
from opinfo.differences import differentiable, gradients, leaves, weights_like
from opinfo.run import (
    IS_TORCH,
    arguments,
    array,
    assert_same,
    caller,
    callers,
    dtype_name,
    dtypes_of,
    expected_dtype,
    results,
    samples,
    tensor,
    tf,
    usual_dtype,
)
from opinfo.spec import COMPLEX, FLOAT, INT, Array, carrier

IN_PLACE = [
    pytest.param(op, dtype, id=f"{op.id}-{dtype}")
    for op in OPS
    if op.in_place
    for dtype in dtypes_of(op)
    # A running sum in a dtype that sums are not made in has no settled meaning.
    if op.result != "sum" or dtype in INT + FLOAT + COMPLEX
]
OUT = [pytest.param(op, id=op.id) for op in OPS if op.out]
# PyTorch casts here what it refuses elsewhere, or has no such overload.
OUT_REFUSES = [
    pytest.param(op, id=op.id, marks=[pytest.mark.ours] if op.name in ("cumsum", "sum") else []) for op in OPS if op.out
]
VIEWS = [pytest.param(op, id=op.id) for op in OPS if op.view]
REFUSAL = (RuntimeError, TypeError, ValueError)


def written(sample: Sample) -> Array | None:
    """The array that the in-place form would write to."""
    first = sample.args[0] if sample.args else None
    return first if isinstance(first, np.ndarray) else None


pytestmark = pytest.mark.filterwarnings("ignore:.*degrees of freedom is <= 0")


def with_out(op: OpInfo, sample: Sample) -> bool:
    """Whether this call takes `out=`."""
    if sample.places is not None and "tf" not in sample.places:
        return False
    if not IS_TORCH:
        return True
    # PyTorch's own gaps: no dimension in `sum`, numbers in `where`, all but matrices in `matmul`.
    alone = op.name == "sum" and len(sample.args) == 1 and "dim" not in sample.kwargs
    number = op.name == "where" and not all(isinstance(value, np.ndarray) for value in sample.args)
    other = op.name == "matmul" and any(value.ndim != 2 for value in sample.args)
    return not (alone or number or other)


def fits(op: OpInfo, sample: Sample, dtype: str, found: Any) -> bool:
    """Whether the result can take its input's place: same shape, and no loss of kind."""
    ranks = "biufc"
    result = carrier(expected_dtype(op, sample, dtype)).kind.replace("u", "i")
    target = carrier(dtype).kind.replace("u", "i")
    array = written(sample)
    return array is not None and tuple(found.shape) == array.shape and ranks.index(result) <= ranks.index(target)


@pytest.mark.parametrize(("op", "dtype"), IN_PLACE)
def test_in_place(op: OpInfo, dtype: str) -> None:
    """`x.name_(…)` leaves in x what `x.name(…)` gives, and returns x."""
    wrote = 0
    for sample in samples(op, dtype):
        if written(sample) is None or "method" not in dict(callers(op, sample)) or "dtype" in sample.kwargs:
            continue
        if dtype in COMPLEX and expected_dtype(op, sample, dtype) in FLOAT:
            continue  # PyTorch refuses real results in a complex target
        args, kwargs = arguments(sample, dtype)
        want = getattr(args[0], op.name)(*args[1:], **kwargs)
        args, kwargs = arguments(sample, dtype)
        x = args[0]
        before, version = array(x), x._version
        if fits(op, sample, dtype, want):
            back = getattr(x, f"{op.name}_")(*args[1:], **kwargs)
            assert back is x
            assert_same(x, array(want.to(x.dtype)), dtype, op.tolerance_of(dtype), f"{op.id}_{sample}")
            assert x._version > version, f"{op.id}_: the version stays, and autograd cannot see the write"
            wrote += 1
        else:
            with pytest.raises(REFUSAL):
                getattr(x, f"{op.name}_")(*args[1:], **kwargs)
            assert array(x).tobytes() == before.tobytes(), f"{op.id}_{sample}: refused, and yet written"
    assert wrote or not any(expected_dtype(op, s, dtype) == dtype for s in samples(op, dtype))


@pytest.mark.parametrize("op", [pytest.param(op, id=op.id) for op in OPS if op.in_place])
def test_in_place_through_strides(op: OpInfo) -> None:
    """A target with gaps is written where it has elements, and nowhere else."""
    dtype = usual_dtype(op)
    for sample in samples(op, dtype):
        args, kwargs = arguments(sample, dtype)
        if (
            written(sample) is None
            or "dtype" in kwargs
            or args[0].ndim == 0
            or "method" not in dict(callers(op, sample))
        ):
            continue
        want = getattr(args[0], op.name)(*args[1:], **kwargs)
        if not fits(op, sample, dtype, want):
            continue
        around = tf.zeros((*args[0].shape[:-1], 2 * args[0].shape[-1] + 1), dtype=args[0].dtype)
        target = around[..., 1::2]
        target.copy_(args[0])
        getattr(target, f"{op.name}_")(*args[1:], **kwargs)
        assert_same(target, array(want.to(target.dtype)), dtype, op.tolerance_of(dtype), f"{op.id}_{sample}")
        assert not array(around)[..., ::2].any(), f"{op.id}_{sample} wrote beside its target"


@pytest.mark.parametrize(
    "op", [pytest.param(op, id=op.id) for op in OPS if op.in_place and "float64" in op.grad_dtypes]
)
def test_in_place_gradient(op: OpInfo) -> None:
    """The gradient of the in-place form is that of the operation."""
    for sample in samples(op, "float64"):
        if not sample.smooth or written(sample) is None or "method" not in dict(callers(op, sample)):
            continue
        function, values = differentiable(op, sample, "float64")
        inputs = leaves(values)
        found = function(inputs)
        if len(found) != 1 or found[0].dtype != tf.float64 or found[0].shape != inputs[0].shape:
            continue
        by = [tensor(weight) for weight in weights_like(found, np.random.default_rng(1))]
        want = gradients(found, inputs, by)

        again = leaves(values)
        given = iter([again[0].clone(), *again[1:]])

        def build(array: Array, dtype: str, given: Iterator[Any] = given) -> Any:
            return next(given) if array.dtype.kind == "f" else tensor(array, dtype)

        args, kwargs = arguments(sample, "float64", build)
        getattr(args[0], f"{op.name}_")(*args[1:], **kwargs)
        for got, exact in zip(gradients([args[0]], again, by), want, strict=True):
            np.testing.assert_allclose(array(got), array(exact), rtol=1e-12, atol=1e-12, err_msg=f"{op.id}_{sample}")


@pytest.mark.parametrize("op", OUT)
def test_out(op: OpInfo) -> None:
    """`out=` is filled and returned: of the right shape, empty, with gaps, or of a wider dtype."""
    dtype = usual_dtype(op)
    call = getattr(tf, op.name)
    for sample in samples(op, dtype):
        if not with_out(op, sample):
            continue

        def again(target: Any, sample: Sample = sample) -> None:
            args, kwargs = arguments(sample, dtype)
            assert call(*args, **kwargs, out=target) is target

        args, kwargs = arguments(sample, dtype)
        want = call(*args, **kwargs)
        exact, result = array(want), dtype_name(want.dtype)
        about = f"{op.id}{sample} out="
        targets = [tf.empty(want.shape, dtype=want.dtype), tf.empty(0, dtype=want.dtype)]
        if want.ndim:
            targets.append(tf.zeros((*want.shape[:-1], 2 * want.shape[-1]), dtype=want.dtype)[..., ::2])
            targets.append(tf.zeros(tuple(reversed(want.shape)), dtype=want.dtype).permute(*reversed(range(want.ndim))))
        for target in targets:
            again(target)
            assert_same(target, exact, result, op.tolerance_of(result), about)


@pytest.mark.parametrize("name", ["add", "mul", "div", "exp", "sqrt", "maximum", "eq"])
def test_out_of_a_wider_dtype(name: str) -> None:
    """Elementwise results are cast to a target that can hold them."""
    operands = (tf.tensor([1.0, 2.0, 3.0]),) * (1 if name in ("exp", "sqrt") else 2)
    for dtype in (tf.float64, tf.complex128):
        target = tf.empty(3, dtype=dtype)
        want = getattr(tf, name)(*operands)
        assert getattr(tf, name)(*operands, out=target) is target
        np.testing.assert_allclose(array(target).real, array(want), rtol=1e-6)


@pytest.mark.parametrize("op", OUT_REFUSES)
def test_out_refuses(op: OpInfo) -> None:
    """A target that cannot hold the result is an error and stays as it is."""
    dtype = usual_dtype(op)
    call = getattr(tf, op.name)
    sample = next(sample for sample in samples(op, dtype) if with_out(op, sample))
    args, kwargs = arguments(sample, dtype)
    want = call(*args, **kwargs)
    narrow = {"float32": tf.int64, "complex64": tf.float32, "int64": tf.bool, "bool": None}[dtype_name(want.dtype)]
    if narrow is not None:
        target = tf.ones(want.shape, dtype=narrow)
        with pytest.raises(REFUSAL):
            call(*args, **kwargs, out=target)
        assert array(target).all()
    # PyTorch resizes such a target with a warning that it will stop doing so.
    wrong = tf.ones((*want.shape, 3), dtype=want.dtype)
    with pytest.raises((*REFUSAL, UserWarning)):
        call(*args, **kwargs, out=wrong)
    if want.is_floating_point() and want.numel():
        leaf = tf.ones(want.shape, dtype=want.dtype, requires_grad=True)
        with pytest.raises(RuntimeError):
            call(*args, **kwargs, out=leaf)


@pytest.mark.parametrize("op", VIEWS)
def test_writes_through_views(op: OpInfo) -> None:
    """What is written to a view shows in its base, element by element, and the other way round."""
    for sample in samples(op, "int64"):
        args, kwargs = arguments(sample, "int64")

        def look(sample: Sample = sample, args: Any = args, kwargs: Any = kwargs) -> tuple[Any, list[Any]]:
            base = tf.arange(args[0].numel()).reshape(args[0].shape)
            return base, results(caller(op, sample)(base, *args[1:], **kwargs))

        for part in range(len(look()[1])):
            base, views = look()
            view = views[part]
            positions = array(view).ravel()
            assert view._base is base or view._base is base._base, f"{op.id}{sample}: not a view"
            if len(set(positions.tolist())) < positions.size:
                with pytest.raises(RuntimeError):
                    view.add_(1)  # one place in memory for several elements
                continue
            version = base._version
            view.fill_(-1)
            assert base._version > version or not positions.size, f"{op.id}{sample}: the base keeps its version"
            want = np.arange(base.numel())
            want[positions] = -1
            np.testing.assert_array_equal(array(base).ravel(), want, err_msg=f"{op.id}{sample}")
            base.fill_(5)
            assert (array(view) == 5).all(), f"{op.id}{sample}"


def test_operators_in_place() -> None:
    """`x += y` writes to x and keeps its identity."""
    x = y = tf.tensor([7.0, 8.0])
    x += 1
    x -= tf.tensor([2.0, 3.0])
    x *= 2
    x /= 4
    assert x is y
    assert x.tolist() == [3.0, 3.0]
    x **= 2
    x //= 2
    x %= 3
    assert x is y
    assert x.tolist() == [1.0, 1.0]
    n = m = tf.tensor([6, 5])
    n &= 3
    n |= 8
    n ^= 1
    assert n is m
    assert n.tolist() == [11, 8]


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "complex64", "bfloat16"])
def test_same_tensor_on_both_sides(dtype: str) -> None:
    """The target may be the very same elements as an operand."""
    values = np.array([[1, 0], [1, 1]]).astype(carrier(dtype))
    x = tensor(values, dtype)
    x.mul_(x)
    np.testing.assert_array_equal(array(x), values * values)
    x = tensor(values, dtype)
    tf.add(x, x, out=x)
    np.testing.assert_array_equal(array(x), values + values)
    if dtype not in COMPLEX:
        x = tensor(values, dtype)
        x.copy_(x)
        np.testing.assert_array_equal(array(x), values)


def test_in_place_keeps_the_dtype() -> None:
    """Promotion may not change the tensor that is written."""
    x = tf.ones(3)
    x.add_(tf.ones(3, dtype=tf.float64))
    assert x.dtype == tf.float32
    n = tf.ones(3, dtype=tf.int64)
    with pytest.raises(REFUSAL):
        n.add_(1.5)
    with pytest.raises(REFUSAL):
        n.div_(2)
    with pytest.raises(REFUSAL):
        n.mul_(tf.ones(3))
    with pytest.raises(REFUSAL):
        x.mul_(1j)
    with pytest.raises(REFUSAL):
        tf.ones(2, dtype=tf.bool).add_(1)
    assert n.tolist() == [1, 1, 1]


def test_in_place_does_not_grow() -> None:
    """The operand is broadcast to the target, never the target to the operand."""
    x = tf.ones(3)
    with pytest.raises(REFUSAL):
        x.add_(tf.ones(2, 3))
    with pytest.raises(REFUSAL):
        tf.ones(1).mul_(tf.ones(3))
    assert x.tolist() == [1.0, 1.0, 1.0]


def test_expanded_target() -> None:
    """Several elements in one place cannot be written one by one."""
    with pytest.raises(RuntimeError):
        tf.zeros(3, 1).expand(3, 4).add_(1)
    with pytest.raises(RuntimeError):
        tf.add(tf.ones(3, 4), 1, out=tf.zeros(3, 1).expand(3, 4))


def test_overlapping_operands() -> None:
    """Operands that overlap the target in another order are read as they were before."""
    x = tf.arange(6)
    x[1:].copy_(x[:-1].clone())
    assert x.tolist() == [0, 0, 1, 2, 3, 4]
    square = tf.arange(9).reshape(3, 3)
    want = array(square) + array(square).T
    assert_same(square.add_(square.t().clone()), want, "int64")


@pytest.mark.ours
def test_overlap_without_a_copy() -> None:
    """PyTorch refuses these; here they mean what they mean with a copy."""
    x = tf.arange(6)
    x[1:].add_(x[:-1])
    assert x.tolist() == [0, 1, 3, 5, 7, 9]
    square = tf.arange(9).reshape(3, 3)
    want = array(square) + array(square).T
    assert_same(square.add_(square.t()), want, "int64")
    row = tf.arange(4.0)
    tf.mul(row[:-1], 2, out=row[1:])
    assert row.tolist() == [0, 0, 2, 4]


@pytest.mark.parametrize("name", ["relu", "silu", "dropout"])
def test_inplace_argument(name: str) -> None:
    """`inplace=True` of a layer's function writes to its input and returns it."""
    call = getattr(tf.nn.functional, name)
    x = tf.tensor([-1.0, 2.0, 0.5])
    tf.manual_seed(4)
    want = call(x)
    assert x.tolist() == [-1.0, 2.0, 0.5]
    tf.manual_seed(4)
    assert call(x, inplace=True) is x
    assert x.tolist() == want.tolist()
    leaf = tf.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError):
        call(leaf, inplace=True)
    y = leaf * 2
    call(y, inplace=True)
    assert y.requires_grad
    assert not y.is_leaf


def test_embedding_max_norm_writes_the_table() -> None:
    """Rows that are used and longer than `max_norm` are shortened in the table itself."""
    table = tf.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]])
    found = tf.nn.functional.embedding(tf.tensor([0, 1, 0]), table, max_norm=1.0)
    np.testing.assert_allclose(array(found), [[0.6, 0.8], [0.3, 0.4], [0.6, 0.8]], rtol=1e-5)
    np.testing.assert_allclose(array(table), [[0.6, 0.8], [0.3, 0.4], [6.0, 8.0]], rtol=1e-5)
    found = tf.nn.functional.embedding(tf.tensor([2]), table, max_norm=7.0, norm_type=1.0)
    np.testing.assert_allclose(array(found), [[3.0, 4.0]], rtol=1e-5)
