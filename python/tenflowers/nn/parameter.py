"""Tensors that a module takes up by assignment: parameters, which are trained, and buffers, which are kept."""

from __future__ import annotations

from typing import Any

from .._core import Tensor, empty

__all__ = ["Buffer", "Parameter"]


class Parameter(Tensor):
    """A tensor that a module lists among its parameters when it is assigned to one of its attributes.

    It shares the memory of ``data`` and is a leaf of the history; ``requires_grad`` needs a floating or complex dtype.

    >>> nn.Parameter(tf.zeros(2))
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            data = empty(0)
        elif not isinstance(data, Tensor):
            raise TypeError(f"Parameter: data must be a tensor, not {type(data).__name__}")
        return super().__new__(cls, data).requires_grad_(requires_grad)

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) in memo:
            found: Parameter = memo[id(self)]
            return found
        copied = type(self)(self.data.clone(), self.requires_grad)
        copied.__dict__.update(_copied_attributes(self, memo))
        memo[id(self)] = copied
        return copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild_parameter, (type(self), self.data, self.requires_grad, dict(self.__dict__))


def _copied_attributes(tensor: Parameter, memo: dict[int, Any]) -> dict[str, Any]:
    if not tensor.__dict__:
        return {}
    from copy import deepcopy

    return deepcopy(tensor.__dict__, memo)


def _rebuild_parameter(
    cls: type[Parameter], data: Tensor, requires_grad: bool, attributes: dict[str, Any]
) -> Parameter:
    parameter = cls(data, requires_grad)
    parameter.__dict__.update(attributes)
    return parameter


class Buffer(Tensor):
    """A tensor that a module lists among its buffers when it is assigned to one of its attributes.

    It shares the memory of ``data``. One that is not ``persistent`` is left out of ``state_dict``.

    >>> module = nn.Module()
    >>> module.mean = nn.Buffer(tf.zeros(3))
    >>> [name for name, _ in module.named_buffers()]
    ['mean']
    """

    persistent: bool

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Buffer:
        if data is None:
            data = empty(0)
        elif not isinstance(data, Tensor):
            raise TypeError(f"Buffer: data must be a tensor, not {type(data).__name__}")
        self = super().__new__(cls, data)
        self.persistent = persistent
        return self
