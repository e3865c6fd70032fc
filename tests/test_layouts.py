"""Every operation again on inputs that lie in memory in another way: the values are the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from opinfo import OPS, OpInfo
from opinfo.run import arguments, array, assert_results, caller, mapped, samples, tensor, tf, usual_dtype
from opinfo.spec import Array

Layout = Callable[[Array, str], Any]


def strided(values: Array, dtype: str) -> Any:
    """Every second element of every dimension of something larger."""
    around = tensor(np.zeros([2 * size + 1 for size in values.shape], dtype=values.dtype), dtype)
    inside = around[tuple(slice(1, None, 2) for _ in values.shape)]
    return inside.copy_(tensor(values, dtype))


def transposed(values: Array, dtype: str) -> Any:
    """The first dimension runs fastest."""
    order = tuple(reversed(range(values.ndim)))
    return tensor(np.array(values.transpose(order), order="C"), dtype).permute(order)


def offset(values: Array, dtype: str) -> Any:
    """Contiguous, but not at the beginning of its memory, nor aligned to more than an element."""
    flat = np.concatenate([np.ones(3, dtype=values.dtype), values.ravel()])
    return tensor(flat, dtype)[3:].view(values.shape)


def sliced(values: Array, dtype: str) -> Any:
    """Rows with a gap between them, as a slice of the last dimension leaves them."""
    if values.ndim == 0:
        return offset(values, dtype)
    wide = np.concatenate([values, np.ones((*values.shape[:-1], 3), dtype=values.dtype)], -1)
    return tensor(wide, dtype)[..., : values.shape[-1]]


def reversed_(values: Array, dtype: str) -> Any:
    """Negative strides, as NumPy's `[::-1]` has them."""
    around = tuple(slice(None, None, -1) for _ in values.shape)
    return tf.from_numpy(np.asarray(values[around].copy()[around])).to(tensor(values, dtype).dtype)


def expands(values: Array) -> bool:
    return values.ndim >= 2 and values.size > 0 and values.dtype.kind != "b"


def repeated(values: Array) -> Array:
    """What `expanded` holds: the first row everywhere. Masks stay, or other numbers of elements would be chosen."""
    if not expands(values):
        return values
    return np.broadcast_to(values[:1], values.shape).copy()


def expanded(values: Array, dtype: str) -> Any:
    """One row for all, with a stride of zero."""
    if not expands(values):
        return tensor(values, dtype)
    return tensor(values[:1].copy(), dtype).expand(values.shape)


LAYOUTS: dict[str, Layout] = {
    "strided": strided,
    "transposed": transposed,
    "offset": offset,
    "sliced": sliced,
    "reversed": reversed_,
    "expanded": expanded,
}
# These look at strides, and may refuse others or give other elements.
BOUND = {"view", "view_as", "as_strided"}
ROWS = [op for op in OPS if op.reference is not None and op.name not in BOUND]
CASES = [
    pytest.param(op, layout, id=f"{op.id}-{layout}", marks=[pytest.mark.ours] if layout == "reversed" else [])
    for op in ROWS
    for layout in LAYOUTS
    # A write to an expanded tensor is refused; see test_in_place_and_out.
    if not (op.writes and layout == "expanded")
]

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*degrees of freedom is <= 0"),
    pytest.mark.filterwarnings("ignore:.*discards the imaginary part"),
]


@pytest.mark.parametrize(("op", "layout"), CASES)
def test_values(op: OpInfo, layout: str) -> None:
    dtype = usual_dtype(op)
    for sample in samples(op, dtype):
        if layout == "expanded":
            sample = mapped(sample, repeated)
        args, kwargs = arguments(sample, dtype, LAYOUTS[layout])
        assert_results(op, sample, dtype, caller(op, sample)(*args, **kwargs), layout)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float64", "bfloat16", "complex64", "complex128"])
@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "reversed"])
def test_element_sizes(layout: str, dtype: str) -> None:
    """The layouts hold the values they should, for elements of every size; `contiguous` puts them in order."""
    values = np.asarray(np.arange(24).reshape(2, 3, 4) % 7).astype("float32" if dtype == "bfloat16" else dtype)
    x = LAYOUTS[layout](values, dtype)
    want = repeated(values) if layout == "expanded" else values
    np.testing.assert_array_equal(array(x), want)
    flat = x.contiguous()
    assert flat.is_contiguous()
    assert tuple(flat.stride()) == (12, 4, 1)
    np.testing.assert_array_equal(array(flat), want)
    np.testing.assert_array_equal(array(x.clone()), want)
    np.testing.assert_array_equal(array(x + x), want + want)
    np.testing.assert_array_equal(array(x[:, 1:, ::3]), want[:, 1:, ::3])


@pytest.mark.parametrize("layout", ["strided", "transposed", "offset", "sliced", "expanded"])
def test_gradients(layout: str) -> None:
    """The gradient of a tensor has its shape, whatever lies under it, and the same values."""
    values = np.linspace(-1, 1, 12).reshape(3, 4)
    x = LAYOUTS[layout](values, "float64").detach()
    leaf = x.requires_grad_()
    ((leaf * leaf).sin().sum(0) * tf.arange(4, dtype=tf.float64)).sum().backward()
    held = array(leaf)
    np.testing.assert_allclose(array(leaf.grad), 2 * held * np.cos(held**2) * np.arange(4), rtol=1e-12)
