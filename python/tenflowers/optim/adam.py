"""Adam, and AdamW, whose weight decay stays out of the moments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._core import Tensor, _fused_adam_, _fused_adamw_, float32, zeros, zeros_like
from ..autograd.grad_mode import no_grad
from ..errors import OptimizerError
from .optimizer import Optimizer, Params, as_number, by_dtype, check_implementation, check_not_negative, run_closure

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015): steps by the mean of the gradients over the root of that of their squares.

    Both means decay by ``betas``. ``amsgrad`` keeps the largest mean of squares; ``weight_decay`` adds to the gradient,
    or with ``decoupled_weight_decay`` shrinks the parameter (AdamW). ``foreach`` and ``fused`` may be anything: there
    is one implementation, fused.

    >>> w = nn.Parameter(tf.tensor([1.0]))
    >>> w.grad = tf.tensor([2.0])
    >>> tf.optim.Adam([w], lr=0.5).step()
    >>> w.data
    tensor([0.5000])
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        name = type(self).__name__
        check_implementation(name, foreach, fused, capturable=capturable, differentiable=differentiable)
        check_not_negative(name, lr=as_number(name, "lr", lr), eps=eps, weight_decay=weight_decay)
        for place, beta in enumerate(betas):
            if not 0.0 <= as_number(name, f"betas[{place}]", beta) < 1.0:
                raise OptimizerError(f"{name}: betas[{place}] must be at least 0 and below 1, not {beta}")
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
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
        params, gradients, means, squares, largest, steps = [], [], [], [], [], []
        amsgrad = group["amsgrad"]
        for param in group["params"]:
            gradient = param.grad
            if gradient is None:
                continue
            state = self.state[param]
            if not state:
                state["step"] = zeros((), dtype=float32)
                state["exp_avg"] = zeros_like(param)
                state["exp_avg_sq"] = zeros_like(param)
                if amsgrad:
                    state["max_exp_avg_sq"] = zeros_like(param)
            params.append(param)
            gradients.append(gradient)
            means.append(state["exp_avg"])
            squares.append(state["exp_avg_sq"])
            if amsgrad:
                largest.append(state["max_exp_avg_sq"])
            state["step"].add_(1)
            steps.append(state["step"])
        if not params:
            return
        name = type(self).__name__
        update = _fused_adamw_ if group["decoupled_weight_decay"] else _fused_adam_
        beta1, beta2 = group["betas"]
        options = {
            "lr": as_number(name, "lr", group["lr"]),
            "beta1": as_number(name, "betas[0]", beta1),
            "beta2": as_number(name, "betas[1]", beta2),
            "weight_decay": group["weight_decay"],
            "eps": group["eps"],
            "amsgrad": amsgrad,
            "maximize": group["maximize"],
        }
        for part in by_dtype(params, gradients, means, squares, largest, steps):
            update(*part, **options)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019): each step first shrinks the parameter by
    ``lr * weight_decay`` of itself.

    >>> w = nn.Parameter(tf.tensor([1.0]))
    >>> w.grad = tf.tensor([0.0])
    >>> tf.optim.AdamW([w], lr=0.5, weight_decay=0.5).step()
    >>> w.data
    tensor([0.7500])
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )
