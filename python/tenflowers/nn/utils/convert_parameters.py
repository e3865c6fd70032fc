"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from ..._core import Tensor, cat
from ...errors import ShapeError

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The elements of all parameters, one after the other.

    >>> nn.utils.parameters_to_vector([tf.ones(2), tf.zeros(1, 2)])
    tensor([1., 1., 0., 0.])
    """
    return cat([parameter.reshape(-1) for parameter in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Let the parameters have the elements of a vector, in order; they share its memory.

    >>> w = nn.Parameter(tf.zeros(2))
    >>> nn.utils.vector_to_parameters(tf.tensor([1.0, 2.0]), [w])
    >>> w.tolist()
    [1.0, 2.0]
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: expected a tensor, not {type(vec).__name__}")
    given = list(parameters)
    needed = sum(parameter.numel() for parameter in given)
    if vec.ndim != 1 or vec.numel() < needed:
        raise ShapeError(f"vector_to_parameters: a vector of {needed} elements is needed, not {list(vec.shape)}")
    start = 0
    for parameter in given:
        end = start + parameter.numel()
        parameter.data = vec[start:end].view(parameter.shape).data
        start = end
