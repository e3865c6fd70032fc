"""Choices of how operations are computed."""

from __future__ import annotations

from . import cpu

__all__ = ["cpu"]
