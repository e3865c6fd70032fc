"""TenfloweRS: tensors, derivatives and neural networks, with PyTorch's interface.

>>> import tenflowers as tf
>>> x = tf.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4., 6.])
"""

from __future__ import annotations

import importlib
from math import e, inf, nan, pi
from typing import TYPE_CHECKING, Any

from ._core import *
from ._core import __all__ as _core_names
from ._size import Size
from .autograd.grad_mode import enable_grad, no_grad, set_grad_enabled

if TYPE_CHECKING:
    from . import autograd as autograd
    from . import backends as backends
    from . import errors as errors
    from . import nn as nn
    from . import optim as optim
    from . import testing as testing
    from . import utils as utils
    from ._printing import set_printoptions as set_printoptions
    from .dtypes import finfo as finfo
    from .dtypes import iinfo as iinfo
    from .serialization import load as load
    from .serialization import save as save

__version__ = "0.1.0"

newaxis = None

# Loaded when first asked for, so that the import stays quick.
_MODULES = ("autograd", "backends", "errors", "nn", "optim", "testing", "utils")
_NAMES = {
    "finfo": "dtypes",
    "iinfo": "dtypes",
    "load": "serialization",
    "save": "serialization",
    "set_printoptions": "_printing",
}

__all__ = [
    *_core_names,
    *_MODULES,
    *_NAMES,
    "Size",
    "e",
    "enable_grad",
    "inf",
    "nan",
    "newaxis",
    "no_grad",
    "pi",
    "set_grad_enabled",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    if name in _NAMES:
        value = getattr(importlib.import_module(f".{_NAMES[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
