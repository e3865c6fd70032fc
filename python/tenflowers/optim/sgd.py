"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._core import Tensor, _fused_sgd_, empty_like
from ..autograd.grad_mode import no_grad
from ..errors import OptimizerError
from .optimizer import Optimizer, Params, as_number, by_dtype, check_implementation, check_not_negative, run_closure

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum, Nesterov's too, and weight decay.

    With velocity ``v = momentum * v + (1 - dampening) * grad`` (at first ``v = grad``), each step subtracts ``lr * v``.
    ``maximize`` adds it. ``foreach`` and ``fused`` may be anything: there is one implementation, fused.

    >>> w = nn.Parameter(tf.tensor([1.0]))
    >>> w.grad = tf.tensor([2.0])
    >>> tf.optim.SGD([w], lr=0.1).step()
    >>> w.data
    tensor([0.8000])
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_implementation("SGD", foreach, fused, differentiable=differentiable)
        check_not_negative("SGD", lr=as_number("SGD", "lr", lr), momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise OptimizerError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters by their gradients; ``closure``, if given, computes the loss anew, before that."""
        loss = run_closure(closure)
        with no_grad():
            for group in self.param_groups:
                self._step_group(group)
        return loss

    def _step_group(self, group: dict[str, Any]) -> None:
        momentum = group["momentum"] != 0
        begun: list[Tensor] = []
        buffers: list[Tensor] = []
        fresh: list[Tensor] = []
        for param in group["params"]:
            if param.grad is None:
                continue
            buffer = self.state[param].get("momentum_buffer") if momentum else None
            if buffer is None:
                fresh.append(param)
            else:
                begun.append(param)
                buffers.append(buffer)
        self._update(group, begun, buffers)
        # A buffer begins as the gradient, undamped, at the parameter's first step, which need not be the group's.
        begin = [empty_like(param) for param in fresh] if momentum else []
        self._update(group, fresh, begin, first=momentum)
        for param, buffer in zip(fresh, begin, strict=False):
            self.state[param]["momentum_buffer"] = buffer

    def _update(self, group: dict[str, Any], params: list[Tensor], buffers: list[Tensor], first: bool = False) -> None:
        if not params:
            return
        gradients = [param.grad for param in params if param.grad is not None]
        lr = as_number("SGD", "lr", group["lr"])
        for part in by_dtype(params, gradients, buffers):
            _fused_sgd_(
                *part,
                weight_decay=group["weight_decay"],
                momentum=group["momentum"],
                lr=lr,
                dampening=group["dampening"],
                nesterov=group["nesterov"],
                maximize=group["maximize"],
                is_first_step=first,
            )
