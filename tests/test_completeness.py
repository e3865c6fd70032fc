"""Everything public has test data, and everything without a derivative has a reason: both lists are pinned here."""

from __future__ import annotations

import inspect
from collections import defaultdict
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from opinfo import OPS, OpInfo
from opinfo.run import samples, tf, usual_dtype
from opinfo.spec import ALL, Const

ours = pytest.mark.ours
BY_NAME: dict[str, list[OpInfo]] = defaultdict(list)
for _op in OPS:
    for _name in (_op.name, *_op.aliases):
        BY_NAME[_name].append(_op)

# Rows of the schema table whose data is not in OPS, and where it is.
ROWS_ELSEWHERE = {
    "_fused_sgd_": "test_optim",
    "_fused_adam_": "test_optim",
    "_fused_adamw_": "test_optim",
    "_rnn": "test_rnn",
}

# Operations without a derivative. PyTorch has none either.
TRUTH = "its result is a truth value"
POSITION = "its result is a position"
BITS = "it is for integers, which have no derivatives"
MADE = "its result depends on no tensor's elements"
DRAWN = "its result is drawn, and depends on no tensor's elements"
NARROW = "a cast, whose gradient `to` has; here the dtype is too coarse for finite differences, or has no derivatives"
WITHOUT = {
    TRUTH: "eq ne lt le gt ge logical_and logical_or logical_xor logical_not isnan isinf isfinite any all",
    POSITION: "argmax argmin argsort nonzero",
    BITS: "bitwise_and bitwise_or bitwise_xor bitwise_not",
    MADE: "zeros ones empty full eye arange linspace tensor from_numpy zeros_like ones_like empty_like full_like",
    DRAWN: "rand randn randint randperm rand_like randn_like randint_like bernoulli "
    "uniform_ normal_ bernoulli_ random_",
    NARROW: "float half bfloat16 int long short char byte bool cfloat",
    "it is there to have none": "detach",
    "flat wherever it is smooth; asking for the gradient is an error that names it": "floor_divide",
}
NO_DERIVATIVE = {name: reason for reason, names in WITHOUT.items() for name in names.split()}

# What is public and no operation: told by what kind of thing it is, and tested elsewhere.
MODULE = {
    "dtypes and devices": "result_type promote_types can_cast get_default_dtype set_default_dtype",
    "random state": "manual_seed initial_seed seed get_rng_state set_rng_state",
    "autograd": "is_grad_enabled is_inference_mode_enabled",
    "files": "save load",
    "questions": "is_tensor is_floating_point is_complex numel equal allclose",
    "settings": "get_num_threads set_num_threads set_printoptions",
    "memory": "empty_cache memory_stats reset_peak_memory_stats set_memory_budget",
}
TENSOR = {
    "shape": "dim ndimension numel nelement size stride storage_offset is_contiguous element_size",
    "elements": "item tolist numpy data_ptr cpu type type_as is_floating_point is_complex is_signed equal allclose",
    "autograd": "backward requires_grad_ retain_grad register_hook detach_ register_post_accumulate_grad_hook",
    "creation": "new_tensor new_zeros new_ones new_empty new_full",
}
FUNCTIONAL = {"attention, of several operations": "multi_head_attention_forward"}
# Parameters given in tests of their own; without a choice to test on the CPU; deprecated in PyTorch.
ELSEWHERE = """
    generator inplace max_norm norm_type scale_grad_by_freq sparse requires_grad
    device non_blocking memory_format sparse_grad
    size_average reduce _stacklevel
"""
# Operations that need a dimension.
NO_0D = """
    T mT tril triu matmul mm bmm mv dot addmm linear conv1d conv2d conv3d conv_transpose1d
    conv_transpose2d conv_transpose3d max_pool2d avg_pool2d layer_norm batch_norm diagonal narrow
    rms_norm group_norm instance_norm
    select unbind split chunk as_strided pad index_put index_select index_copy index_add index_fill scatter_add view cat
    nll_loss cross_entropy expand_as repeat
    adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
    scaled_dot_product_attention
"""
# Modules and classes of the package are public and not callables of an operation.
NO_OPERATIONS = (type, ModuleType)


def listed(groups: dict[str, str]) -> set[str]:
    return set(" ".join(groups.values()).split())


def schemas() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = tf._core._schemas()
    assert len(rows) > 150
    return rows


def in_table(name: str) -> bool:
    """In the table by itself, or as the in-place form of something in it."""
    if name in BY_NAME or name in ROWS_ELSEWHERE:
        return True
    return name.endswith("_") and any(op.in_place for op in BY_NAME.get(name[:-1], []))


def public(namespace: Any) -> list[str]:
    return [
        name
        for name in dir(namespace)
        if not name.startswith("_")
        and callable(getattr(namespace, name))
        and not isinstance(getattr(namespace, name), NO_OPERATIONS)
    ]


@ours
def test_every_row_has_data() -> None:
    missing = sorted({row["name"] for row in schemas()} - BY_NAME.keys() - ROWS_ELSEWHERE.keys())
    assert not missing, f"rows without test data: {missing}"


@ours
def test_every_overload_has_data() -> None:
    """Each parameter of each row is given by some sample, or is listed here."""
    unused = set(ELSEWHERE.split())
    missing = []
    for row in schemas():
        if row["name"] in ROWS_ELSEWHERE:
            continue
        given: set[str] = set()
        longest = 0
        for op in BY_NAME[row["name"]]:
            for sample in samples(op, usual_dtype(op)):
                given |= sample.kwargs.keys()
                longest = max(longest, len(sample.args))
        for place, parameter in enumerate(row["params"]):
            if parameter["name"] not in given | unused and (parameter["keyword_only"] or place >= longest):
                missing.append(f"{row['name']}({parameter['name']})")
    assert not missing, f"parameters that no sample gives: {sorted(set(missing))}"


@ours
def test_every_target_has_data() -> None:
    """A row with `into` has an in-place form, and the table says so."""
    rows = {row["name"] for row in schemas() if row["into"]} - ROWS_ELSEWHERE.keys()
    missing = sorted(name for name in rows if not any(op.in_place for op in BY_NAME[name]))
    # Where the first input cannot be the target, there is `out=` alone.
    missing = [name for name in missing if not any(op.out for op in BY_NAME[name]) or hasattr(tf.Tensor, f"{name}_")]
    assert not missing, f"rows with a target and without `in_place` in the table: {missing}"


def test_every_entry_is_there() -> None:
    """The table holds no operation that is not public."""
    missing = []
    for op in OPS:
        homes = {"tf": tf, "nn": tf.nn.functional, "method": tf.Tensor, "attribute": tf.Tensor}
        missing += [
            f"{place}.{op.name}" for place in op.places if place in homes and not hasattr(homes[place], op.name)
        ]
        if op.in_place and "method" in op.places and not hasattr(tf.Tensor, f"{op.name}_"):
            missing.append(f"method.{op.name}_")
    assert not missing, f"in the table and not in the package: {missing}"


@ours
def test_places_agree() -> None:
    """Each way to call a row is a way that the table calls it."""
    missing = []
    for row in schemas():
        if row["name"] in ROWS_ELSEWHERE:
            continue
        called = {place for op in BY_NAME[row["name"]] for place in op.places}
        missing += [f"{place}.{row['name']}" for place in row["places"] if place not in called]
    assert not missing, f"public and never called by the table: {sorted(set(missing))}"


@ours
@pytest.mark.parametrize(
    ("name", "others"),
    [("tf", listed(MODULE)), ("nn.functional", listed(FUNCTIONAL)), ("Tensor", listed(TENSOR))],
)
def test_every_public_callable_has_data(name: str, others: set[str]) -> None:
    namespace = {"tf": tf, "nn.functional": tf.nn.functional, "Tensor": tf.Tensor}[name]
    missing = [each for each in public(namespace) if each not in others and not in_table(each)]
    assert not missing, f"public in {name}, and neither in the table nor listed: {missing}"


def test_derivative_or_reason() -> None:
    without = {name for name, ops in BY_NAME.items() if not any(op.grad_dtypes for op in ops)}
    assert without == NO_DERIVATIVE.keys(), sorted(without ^ NO_DERIVATIVE.keys())
    silent = [op.id for op in OPS if not op.grad_dtypes and not op.no_grad]
    assert not silent, f"neither a gradient nor a reason: {silent}"


def test_every_gradient_has_a_sample() -> None:
    for op in OPS:
        if not op.grad_dtypes:
            continue
        assert op.name not in NO_DERIVATIVE, op.id
        assert any(sample.smooth for sample in samples(op, op.grad_dtypes[0])), op.id


def test_samples_cover_the_shapes() -> None:
    """Each operation on a tensor is tried on a 0-d, an empty and a strided one, unless its shapes forbid it."""
    missing = []
    for name, ops in BY_NAME.items():
        arrays = [
            value.array if isinstance(value, Const) else value
            for op in ops
            for sample in samples(op, usual_dtype(op))
            for value in sample.args
            if isinstance(value, (np.ndarray, Const))
        ]
        if not arrays:
            continue
        if name not in NO_0D.split() and all(value.ndim for value in arrays):
            missing.append(f"{name}: 0-d")
        if all(value.size for value in arrays) and name not in {
            "conv2d",
            "max_pool2d",
            "avg_pool2d",
            "batch_norm",
            "group_norm",
            "instance_norm",
        }:
            missing.append(f"{name}: empty")
    assert not missing, ", ".join(missing)


def test_dtypes_are_dtypes() -> None:
    for op in OPS:
        for group in (op.dtypes, op.grad_dtypes, op.refused, op.beyond):
            assert set(group) <= set(ALL), op.id
        assert not set(op.dtypes) & set(op.refused), op.id
        assert not set(op.dtypes) & set(op.beyond), op.id
        assert (op.reference is None) != (op.check is None), f"{op.id}: one judge"


@ours
def test_rows_are_documented() -> None:
    for row in schemas():
        assert row["doc"].strip().endswith((".", ":", "`")), f"{row['name']}: {row['doc']!r}"
        assert inspect.cleandoc(row["doc"]), row["name"]
