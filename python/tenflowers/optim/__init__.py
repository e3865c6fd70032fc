"""Optimizers, which change parameters by their gradients, and schedules of their learning rates.

>>> model = nn.Linear(2, 1)
>>> optimizer = tf.optim.Adam(model.parameters(), lr=1e-3)
>>> model(tf.ones(1, 2)).sum().backward()
>>> optimizer.step()
>>> optimizer.zero_grad()
"""

from __future__ import annotations

from . import lr_scheduler
from .adam import Adam, AdamW
from .optimizer import Optimizer
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]
