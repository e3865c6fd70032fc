"""``backward`` and ``grad``: arguments as PyTorch takes them, for the engine in the extension."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .._core import Tensor, _backward, _grad, zeros_like
from ..errors import UnsupportedError

__all__ = ["backward", "grad"]


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Tensor | Sequence[Tensor | None] | None = None,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add the gradient of ``tensors`` to ``.grad`` of the leaves they come from, or of ``inputs`` alone.

    ``grad_tensors`` are what flows in at each tensor, of its shape; one may be missing for a tensor of one element.
    ``retain_graph`` (default: as ``create_graph``) keeps the history for another pass, and ``create_graph`` makes the
    gradients differentiable. Raises ``GradientError`` for a tensor without history.

    >>> x = tf.tensor([1.0, 2.0], requires_grad=True)
    >>> tf.autograd.backward((x * x).sum())
    >>> x.grad
    tensor([2., 4.])
    """
    if grad_variables is not None:
        if grad_tensors is not None:
            raise TypeError("backward: grad_variables is the former name of grad_tensors: give one of them")
        grad_tensors = grad_variables
    roots = _tensors("backward", "tensors", tensors)
    if inputs is not None:
        inputs = _tensors("backward", "inputs", inputs)
        if not inputs:
            raise ValueError("backward: inputs must not be empty: leave it out for all leaves")
    keep = create_graph if retain_graph is None else retain_graph
    _backward(roots, _flowing_in("backward", "grad_tensors", grad_tensors, len(roots)), keep, create_graph, inputs)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor] | dict[str, Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> Any:
    """The gradients of the sum of ``outputs`` by ``inputs``, as a tuple (a dict where the inputs are one).

    Nothing is added to any ``.grad``. ``grad_outputs``, ``retain_graph`` and ``create_graph`` are as ``backward``'s.
    An input that the outputs do not depend on is an error, unless ``allow_unused``: then its gradient is ``None``, or
    zeros with ``materialize_grads``.

    >>> x = tf.tensor(3.0, requires_grad=True)
    >>> (slope,) = tf.autograd.grad(x**3, x, create_graph=True)
    >>> tf.autograd.grad(slope, x)
    (tensor(18.),)
    """
    if not only_inputs:
        raise UnsupportedError("grad: only_inputs=False is not supported: use backward to fill .grad")
    if is_grads_batched:
        raise UnsupportedError("grad: is_grads_batched=True is not supported: call grad once for each gradient")
    if materialize_grads and allow_unused is False:
        raise ValueError("grad: materialize_grads=True needs allow_unused=True or None, not False")
    if isinstance(inputs, dict):
        results = grad(
            outputs,
            list(inputs.values()),
            grad_outputs,
            retain_graph,
            create_graph,
            allow_unused=allow_unused,
            materialize_grads=materialize_grads,
        )
        return dict(zip(inputs, results, strict=True))
    roots = _tensors("grad", "outputs", outputs)
    wanted = _tensors("grad", "inputs", inputs)
    given = _flowing_in("grad", "grad_outputs", grad_outputs, len(roots))
    keep = create_graph if retain_graph is None else retain_graph
    unused = materialize_grads if allow_unused is None else allow_unused
    gradients = _grad(roots, given, wanted, keep, create_graph, unused)
    if materialize_grads:
        return tuple(zeros_like(x) if g is None else g for g, x in zip(gradients, wanted, strict=True))
    return tuple(gradients)


def _tensors(what: str, name: str, given: Tensor | Iterable[Tensor]) -> list[Tensor]:
    found = [given] if isinstance(given, Tensor) else list(given)
    for place, tensor in enumerate(found):
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{what}: {name} must be tensors, but item {place} is {type(tensor).__name__}")
    return found


def _flowing_in(
    what: str, name: str, given: Tensor | Sequence[Tensor | None] | None, count: int
) -> list[Tensor | None]:
    if given is None:
        return [None] * count
    found: list[Tensor | None] = [given] if isinstance(given, Tensor) else list(given)
    for place, tensor in enumerate(found):
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"{what}: {name} must be tensors or None, but item {place} is {type(tensor).__name__}")
    if len(found) != count:
        raise RuntimeError(f"{what}: {name} must be one for each tensor: {len(found)} for {count}")
    return found
