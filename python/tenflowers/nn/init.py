"""First values of parameters. Each function fills its tensor in place, outside of the history, and gives it back."""

from __future__ import annotations

import math
from typing import Any

from .._core import Generator, Tensor, empty, erf, exp, eye, float64, log1p, sign, sqrt, square
from ..autograd.grad_mode import no_grad
from ..errors import ShapeError

__all__ = [
    "calculate_gain",
    "constant_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_GAIN_ONE = frozenset(
    [
        "linear",
        "conv1d",
        "conv2d",
        "conv3d",
        "conv_transpose1d",
        "conv_transpose2d",
        "conv_transpose3d",
        "sigmoid",
    ]
)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance of values through a nonlinearity, by name.

    ``param`` is the negative slope of "leaky_relu" (0.01 if left out).

    >>> nn.init.calculate_gain("tanh")
    1.6666666666666667
    """
    if nonlinearity in _GAIN_ONE:
        return 1
    if nonlinearity == "tanh":
        return 5 / 3
    if nonlinearity == "relu":
        return math.sqrt(2)
    if nonlinearity == "selu":
        return 3 / 4
    if nonlinearity == "leaky_relu":
        if param is None:
            param = 0.01
        elif isinstance(param, bool) or not isinstance(param, (int, float)):
            raise ValueError(f"calculate_gain: the negative slope must be a number, not {param!r}")
        return math.sqrt(2 / (1 + param**2))
    raise ValueError(f"calculate_gain: unknown nonlinearity {nonlinearity!r}")


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with numbers that are uniform between ``a`` and ``b``.

    >>> nn.init.uniform_(tf.empty(3, 5)).shape
    tenflowers.Size([3, 5])
    """
    with no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with numbers of a normal distribution.

    >>> nn.init.normal_(tf.empty(3, 5), std=0.02).shape
    tenflowers.Size([3, 5])
    """
    with no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Fill with numbers of a normal distribution that is cut off below ``a`` and above ``b``.

    >>> bool(nn.init.trunc_normal_(tf.empty(100)).abs().max() <= 2)
    True
    """
    if not a <= b:
        raise ValueError(f"trunc_normal_: a must not be above b: {a} > {b}")
    if not std > 0:
        raise ValueError(f"trunc_normal_: std must be positive, not {std}")
    # The inverse of the distribution function, at numbers that are uniform between its values at a and at b.
    width = std * math.sqrt(2)
    low, high = math.erf((a - mean) / width), math.erf((b - mean) / width)
    with no_grad():
        levels = empty(tensor.shape, dtype=float64, device=tensor.device).uniform_(low, high, generator=generator)
        return tensor.copy_(_erfinv(levels) * width + mean).clamp_(a, b)


def _erfinv(y: Tensor) -> Tensor:
    """The inverse of erf in float64: Winitzki's approximation, then two of Halley's steps."""
    y = y.clamp(-1 + 2**-53, 1 - 2**-53)
    log = log1p(-square(y))
    half = log / 2 + 2 / (math.pi * 0.147)
    x = sign(y) * sqrt((sqrt(square(half) - log / 0.147) - half).clamp(min=0))
    for _ in range(2):
        newton = (erf(x) - y) * exp(square(x)) * (math.sqrt(math.pi) / 2)
        x = x - newton / (1 + x * newton)
    return x


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one number.

    >>> nn.init.constant_(tf.empty(2), 0.3)
    tensor([0.3000, 0.3000])
    """
    with no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones.

    >>> nn.init.ones_(tf.empty(2))
    tensor([1., 1.])
    """
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros.

    >>> nn.init.zeros_(tf.empty(2))
    tensor([0., 0.])
    """
    with no_grad():
        return tensor.zero_()


def eye_(tensor: Tensor) -> Tensor:
    """Make a matrix the identity, as far as it goes; ``ValueError`` unless it has two dimensions.

    >>> nn.init.eye_(tf.empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.ndim != 2:
        raise ValueError(f"eye_: needs a tensor of 2 dimensions, not {tensor.ndim}")
    with no_grad():
        return tensor.copy_(eye(tensor.shape[0], tensor.shape[1], dtype=tensor.dtype, device=tensor.device))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill uniformly so that the variance is ``gain**2 * 2 / (fan_in + fan_out)`` (Glorot and Bengio, 2010).

    >>> nn.init.xavier_uniform_(tf.empty(3, 5)).shape
    tenflowers.Size([3, 5])
    """
    fan_in, fan_out = _fans(tensor)
    bound = math.sqrt(3.0) * gain * math.sqrt(2.0 / (fan_in + fan_out))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill normally with variance ``gain**2 * 2 / (fan_in + fan_out)`` (Glorot and Bengio, 2010).

    >>> nn.init.xavier_normal_(tf.empty(3, 5)).shape
    tenflowers.Size([3, 5])
    """
    fan_in, fan_out = _fans(tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / (fan_in + fan_out)), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Fill uniformly so that the variance is ``gain**2 / fan`` (He et al., 2015).

    ``a`` is the negative slope of "leaky_relu"; ``mode`` says which fan, "fan_in" or "fan_out".

    >>> nn.init.kaiming_uniform_(tf.empty(3, 5), nonlinearity="relu").shape
    tenflowers.Size([3, 5])
    """
    if _nothing_to_fill(tensor):
        return tensor
    bound = math.sqrt(3.0) * calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Fill normally with variance ``gain**2 / fan`` (He et al., 2015); arguments as ``kaiming_uniform_``'s.

    >>> nn.init.kaiming_normal_(tf.empty(3, 5), mode="fan_out").shape
    tenflowers.Size([3, 5])
    """
    if _nothing_to_fill(tensor):
        return tensor
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode)), generator)


def _fans(tensor: Tensor) -> tuple[int, int]:
    """How many inputs an output of a weight depends on, and how many outputs an input reaches."""
    shape: Any = tensor.shape
    if len(shape) < 2:
        raise ShapeError(f"fan in and fan out need a tensor of 2 dimensions or more, not {len(shape)}")
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def _fan(tensor: Tensor, mode: str) -> int:
    place = {"fan_in": 0, "fan_out": 1}.get(mode.lower())
    if place is None:
        raise ValueError(f"mode must be 'fan_in' or 'fan_out', not {mode!r}")
    return _fans(tensor)[place]


def _nothing_to_fill(tensor: Tensor) -> bool:
    if 0 not in tensor.shape:
        return False
    import warnings

    warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
    return True
