"""Derivatives: ``backward`` and ``grad`` through what was recorded, and their check by finite differences."""

from __future__ import annotations

from .engine import backward, grad
from .grad_mode import enable_grad, no_grad, set_grad_enabled
from .gradcheck import GradcheckError, gradcheck, gradgradcheck

__all__ = [
    "GradcheckError",
    "backward",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "no_grad",
    "set_grad_enabled",
]
