"""Gradients that are kept from growing too large."""

from __future__ import annotations

from collections.abc import Iterable

from ..._core import Tensor, norm, stack, zeros
from ...autograd.grad_mode import no_grad

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


def _listed(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all tensors as if they were one vector; a RuntimeError for inf or nan with ``error_if_nonfinite``.

    ``foreach`` chooses between PyTorch's implementations; here there is one, and every value gives the same result.

    >>> nn.utils.get_total_norm([tf.tensor([3.0]), tf.tensor([4.0])])
    tensor(5.)
    """
    given = _listed(tensors)
    order = float(norm_type)
    if not given:
        return zeros(())
    with no_grad():
        total = norm(stack([norm(each, order) for each in given]), order)
    if error_if_nonfinite and not total.isfinite().item():
        raise RuntimeError(
            f"The total norm of order {order} of the gradients is {total.item()}, so they cannot be clipped: "
            "with error_if_nonfinite=False they are scaled by it anyway"
        )
    return total


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scale all gradients by ``max_norm / total_norm`` where that is less than one.

    >>> w = nn.Parameter(tf.zeros(1))
    >>> w.grad = tf.tensor([8.0])
    >>> nn.utils.clip_grads_with_norm_(w, 2.0, tf.tensor(8.0))
    >>> w.grad
    tensor([2.0000])
    """
    with no_grad():
        # Without a branch on the norm, so that nothing waits for its value; 1e-6 keeps a norm of zero from dividing.
        factor = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
        for parameter in _listed(parameters):
            if parameter.grad is not None:
                parameter.grad.mul_(factor)


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale the gradients so that the norm of all together is at most ``max_norm``; gives the norm before.

    >>> w = nn.Parameter(tf.zeros(2))
    >>> w.grad = tf.tensor([3.0, 4.0])
    >>> nn.utils.clip_grad_norm_([w], 1.0)
    tensor(5.)
    """
    parameters = _listed(parameters)
    total = get_total_norm([p.grad for p in parameters if p.grad is not None], norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(parameters, max_norm, total, foreach)
    return total


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Bring every element of the gradients between ``-clip_value`` and ``clip_value``.

    >>> w = nn.Parameter(tf.zeros(2))
    >>> w.grad = tf.tensor([-3.0, 0.5])
    >>> nn.utils.clip_grad_value_(w, 1.0)
    >>> w.grad
    tensor([-1.0000,  0.5000])
    """
    limit = float(clip_value)
    with no_grad():
        for parameter in _listed(parameters):
            if parameter.grad is not None:
                parameter.grad.clamp_(-limit, limit)
