"""Derivatives compared with finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .._core import Tensor, _gradcheck, randn_like
from ..errors import GradcheckError, UnsupportedError
from .engine import grad
from .grad_mode import enable_grad

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]

_Function = Callable[..., Any]


def gradcheck(
    func: _Function,
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether the derivative of ``func`` at ``inputs`` agrees with central differences of step ``eps``.

    The inputs that require a gradient should be float64. Every output is differentiated by itself, the others' gradient
    missing, which is what ``check_undefined_grad`` asks for. A disagreement raises ``GradcheckError``, or gives False
    with ``raise_exception=False``.

    >>> tf.autograd.gradcheck(tf.sin, tf.rand(3, dtype=tf.float64, requires_grad=True))
    True
    """
    _refuse(
        "gradcheck",
        check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad,
        check_batched_forward_grad=check_batched_forward_grad,
        check_forward_ad=check_forward_ad,
        fast_mode=fast_mode,
        masked=masked,
    )
    if not check_backward_ad:
        raise UnsupportedError("gradcheck: check_backward_ad=False is not supported: it leaves nothing to check")
    arguments = _inputs("gradcheck", inputs)
    try:
        _gradcheck(func, arguments, eps, atol, rtol)
        _check_repeatable(func, arguments, nondet_tol, check_undefined_grad)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: _Function,
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Whether the second derivative of ``func`` agrees with differences of its first; arguments as ``gradcheck``'s.

    ``grad_outputs`` are what flows in at the outputs (random if left out); the check is by them too.

    >>> tf.autograd.gradgradcheck(tf.sin, tf.rand(3, dtype=tf.float64, requires_grad=True))
    True
    """
    _refuse(
        "gradgradcheck",
        gen_non_contig_grad_outputs=gen_non_contig_grad_outputs,
        check_fwd_over_rev=check_fwd_over_rev,
    )
    if not check_rev_over_rev:
        raise UnsupportedError("gradgradcheck: check_rev_over_rev=False is not supported: it leaves nothing to check")
    arguments = _inputs("gradgradcheck", inputs)
    count = len(arguments)
    if grad_outputs is None:
        flowing = [randn_like(out).requires_grad_() for out in _differentiable(func(*arguments))]
    else:
        given = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
        flowing = [each.detach().clone().requires_grad_() for each in given]

    def first_derivative(*both: Any) -> tuple[Tensor, ...]:
        at, flows = both[:count], both[count:]
        outputs = _differentiable(func(*at))
        wanted = [x for x in at if isinstance(x, Tensor) and x.requires_grad]
        gradients = grad(outputs, wanted, flows, create_graph=True, allow_unused=True)
        return tuple(g for g in gradients if g is not None)

    return gradcheck(
        first_derivative,
        [*arguments, *flowing],
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad,
        fast_mode=fast_mode,
        masked=masked or None,
    )


def _refuse(what: str, **options: object) -> None:
    for name, value in options.items():
        if value:
            raise UnsupportedError(f"{what}: {name}={value!r} is not supported")


def _inputs(what: str, inputs: Tensor | Sequence[Any]) -> list[Any]:
    arguments = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if not any(isinstance(x, Tensor) and x.requires_grad for x in arguments):
        raise ValueError(f"{what}: at least one input must be a tensor that requires a gradient")
    return arguments


def _differentiable(outputs: Any) -> list[Tensor]:
    each = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    return [out for out in each if isinstance(out, Tensor) and out.requires_grad]


def _check_repeatable(func: _Function, arguments: list[Any], nondet_tol: float, undefined: bool) -> None:
    """The same gradient twice, within ``nondet_tol``; each output alone, and all together."""
    wanted = [x for x in arguments if isinstance(x, Tensor) and x.requires_grad]
    with enable_grad():
        outputs = _differentiable(func(*arguments))
        if not outputs:
            return
        flowing = [randn_like(out) for out in outputs]
        parts = [(outputs, flowing)]
        if undefined and len(outputs) > 1:
            parts += [([out], [flow]) for out, flow in zip(outputs, flowing, strict=True)]
        for part in parts:
            first = grad(part[0], wanted, part[1], retain_graph=True, allow_unused=True)
            again = grad(part[0], wanted, part[1], retain_graph=True, allow_unused=True)
            for place, (one, other) in enumerate(zip(first, again, strict=True)):
                if one is None or other is None:
                    if one is not other:
                        raise GradcheckError(f"gradcheck: the gradient of input {place} is missing only now and then")
                elif one.numel() and not (one - other).abs().max().item() <= nondet_tol:
                    raise GradcheckError(
                        f"gradcheck: the gradient of input {place} differs from run to run by more than "
                        f"nondet_tol={nondet_tol}"
                    )
