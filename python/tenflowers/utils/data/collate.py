"""Samples made into batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..._core import Tensor, as_tensor, float64, from_numpy, stack, tensor

__all__ = ["default_collate", "default_convert"]


def default_collate(batch: Sequence[Any]) -> Any:
    """A batch of a list of samples: tensors, arrays and numbers become a tensor with one more dimension in front.

    Mappings, named tuples and sequences are gone into; strings and bytes stay a list. Anything else is a ``TypeError``.

    >>> tf.utils.data.default_collate([{"x": 1, "name": "a"}, {"x": 2, "name": "b"}])
    {'x': tensor([1, 2]), 'name': ['a', 'b']}
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return stack(list(batch), 0)
    if isinstance(first, np.ndarray):
        _check_dtype(first.dtype)
        return stack([as_tensor(each) for each in batch], 0)
    if isinstance(first, np.generic) and not isinstance(first, (str, bytes)):
        _check_dtype(first.dtype)
        return from_numpy(np.asarray(batch))
    if isinstance(first, float):
        return tensor(batch, dtype=float64)
    if isinstance(first, int):
        return tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return _same_mapping(first, {key: default_collate([each[key] for each in batch]) for key in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*map(default_collate, zip(*batch, strict=True)))
    if isinstance(first, Sequence):
        sizes = {len(each) for each in batch}
        if len(sizes) > 1:
            raise RuntimeError(f"default_collate: samples of different lengths: {sorted(sizes)}")
        columns = [default_collate(column) for column in zip(*batch, strict=True)]
        return columns if isinstance(first, tuple) else _same_sequence(first, columns)
    raise TypeError(
        "default_collate: samples must hold tensors, numpy arrays, numbers, strings, mappings or sequences, "
        f"not {type(first).__name__}: give the loader a collate_fn"
    )


def default_convert(data: Any) -> Any:
    """A sample with its arrays made tensors, as a loader without batches gives it; what is unknown stays as it is.

    >>> tf.utils.data.default_convert({"x": np.arange(2), "name": "a"})
    {'x': tensor([0, 1]), 'name': 'a'}
    """
    if isinstance(data, (Tensor, str, bytes)):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return as_tensor(data) if data.dtype.kind in "biufc" else data
    if isinstance(data, Mapping):
        return _same_mapping(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*map(default_convert, data))
    if isinstance(data, Sequence):
        values = [default_convert(each) for each in data]
        return values if isinstance(data, tuple) else _same_sequence(data, values)
    return data


def _check_dtype(dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "biufc":
        raise TypeError(f"default_collate: arrays of {dtype} cannot become tensors: give the loader a collate_fn")


def _same_mapping(like: Mapping[Any, Any], values: dict[Any, Any]) -> Any:
    """``values`` as the type of ``like``, or as a dict where that type is not made from one."""
    if type(like) is dict:
        return values
    try:
        return type(like)(values)  # type: ignore[call-arg]
    except TypeError:
        return values


def _same_sequence(like: Sequence[Any], values: list[Any]) -> Any:
    if type(like) is list:
        return values
    try:
        return type(like)(values)  # type: ignore[call-arg]
    except TypeError:
        return values
