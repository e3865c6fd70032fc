"""The exceptions of TenfloweRS.

Each class also inherits the built-in one that fits it, so ``except RuntimeError``, and every class that PyTorch's users
catch, works::

    try:
        tf.ones(2, 3) @ tf.ones(4, 5)
    except tf.errors.ShapeError as error:
        print(error)

The extension module looks the classes up here once, by name. Arguments of the wrong type are a plain ``TypeError``.
"""

from __future__ import annotations

import builtins

__all__ = [
    "ArgumentError",
    "AxisError",
    "CheckpointError",
    "DataLoadError",
    "DeserializationError",
    "DeviceError",
    "DtypeMismatch",
    "Generic",
    "GradcheckError",
    "GradientError",
    "GraphCompileError",
    "LayerConfigError",
    "NumericalError",
    "OptimizerError",
    "OutOfMemoryError",
    "SerializationError",
    "ShapeError",
    "ShapeMismatchError",
    "TensorError",
    "TensorOpError",
    "UnsupportedError",
]


class TensorError(RuntimeError):
    """What every exception of this package is; raised itself where no class below says more."""


class ArgumentError(TensorError, ValueError):
    """A value that an operation cannot take."""


class ShapeError(TensorError, ValueError):
    """Shapes that do not go together, or a shape that cannot be."""


class AxisError(TensorError, IndexError):
    """A dimension or an index that is out of range, or named twice."""


class DtypeMismatch(TensorError, TypeError):
    """Dtypes that do not go together, or a conversion that would lose what must be kept."""


class DeviceError(TensorError):
    """A device that is not there, or tensors on different ones."""


class UnsupportedError(TensorError, NotImplementedError):
    """Something that is known but not supported: an operation for this dtype, a device, the value of an option."""


class OutOfMemoryError(TensorError, builtins.MemoryError):
    """More memory than the byte budget or the machine has; the message holds the number of bytes."""


class NumericalError(TensorError, ArithmeticError):
    """A computation without a result, such as an integer division by zero or the inverse of a singular matrix."""


class GradientError(TensorError):
    """A derivative that cannot be had: no history, freed, changed in place, or an operation without a derivative."""


class GradcheckError(GradientError):
    """``gradcheck`` found a derivative that disagrees with finite differences."""


class LayerConfigError(TensorError, ValueError):
    """Arguments of a layer that contradict each other or lie outside of their range."""


class OptimizerError(TensorError, ValueError):
    """Options, parameter groups or a state that an optimizer cannot work with."""


class SerializationError(TensorError, TypeError):
    """An object that the file format cannot hold."""


class DeserializationError(TensorError, ValueError):
    """A file that is damaged, cut short, or not of the expected format."""


class CheckpointError(TensorError):
    """A state that does not fit the model or the optimizer it is loaded into."""


class DataLoadError(TensorError):
    """A data set or a loader that could not deliver a sample."""


class GraphCompileError(TensorError):
    """A function or a graph that cannot be traced or compiled."""


# Further names of the same classes. The two that hide a built-in one are left out of `__all__`.
Generic = TensorError
TensorOpError = TensorError
ShapeMismatchError = ShapeError
MemoryError = OutOfMemoryError
NotImplemented = UnsupportedError
