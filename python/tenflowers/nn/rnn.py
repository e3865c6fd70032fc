"""Recurrent layers over whole sequences, and their cells."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from .._core import Tensor, _rnn, device, dtype, empty, zeros
from ..errors import LayerConfigError
from . import init
from .module import Module
from .parameter import Parameter
from .utils.rnn import PackedSequence

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell", "RNNCellBase"]

_GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


def _uniform(layer: Module, hidden_size: int) -> None:
    bound = 1 / math.sqrt(hidden_size) if hidden_size > 0 else 0
    for weight in layer.parameters():
        init.uniform_(weight, -bound, bound)


class RNNBase(Module):
    """What the recurrent layers share: their parameters, and the run over padded or packed sequences.

    The parameters of layer ``k`` are ``weight_ih_lk``, ``weight_hh_lk``, ``bias_ih_lk``, ``bias_hh_lk`` and, with a
    projection, ``weight_hr_lk``; those of the second direction end in ``_reverse``. All begin uniform within
    ``1 / sqrt(hidden_size)`` of zero.
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: device | str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__()
        if mode not in _GATES:
            raise LayerConfigError(f"Unrecognized RNN mode: {mode}")
        name = "RNN" if mode.startswith("RNN") else mode
        if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
            raise LayerConfigError(
                f"{name}: dropout should be a number in range [0, 1], the probability of an element being zeroed, "
                f"not {dropout!r}"
            )
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=3,
            )
        for option, value in (("bias", bias), ("batch_first", batch_first)):
            if not isinstance(value, bool):
                raise TypeError(f"{name}: {option} should be of type bool, got: {type(value).__name__}")
        for size, given in (("input_size", input_size), ("hidden_size", hidden_size)):
            if not isinstance(given, int):
                raise TypeError(f"{name}: {size} should be of type int, got: {type(given).__name__}")
        for count, number in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if number <= 0:
                raise LayerConfigError(f"{name}: {count} must be greater than zero, not {number}")
        if proj_size < 0:
            raise LayerConfigError(
                f"{name}: proj_size should be a positive integer or zero to disable projections, not {proj_size}"
            )
        if proj_size >= hidden_size:
            raise LayerConfigError(
                f"{name}: proj_size has to be smaller than hidden_size: {proj_size} and {hidden_size}"
            )
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._all_weights: list[list[str]] = []
        given_size = proj_size or hidden_size
        directions = 2 if bidirectional else 1
        rows = _GATES[mode] * hidden_size
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else given_size * directions
            shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, inputs), "weight_hh": (rows, given_size)}
            if bias:
                shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for suffix in ("", "_reverse")[:directions]:
                names = [f"{kind}_l{layer}{suffix}" for kind in shapes]
                for name, shape in zip(names, shapes.values(), strict=True):
                    setattr(self, name, Parameter(empty(shape, device=device, dtype=dtype)))
                self._all_weights.append(names)
        self.reset_parameters()

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def flatten_parameters(self) -> None:
        """Do nothing: the layers of the CPU read their parameters where they are, as PyTorch's do."""

    def reset_parameters(self) -> None:
        """Draw the first values anew."""
        _uniform(self, self.hidden_size)

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """Raise unless the input has the dtype of the weights, and the right dimensions."""
        weight = self.all_weights[0][0]
        if input.dtype != weight.dtype:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). "
                f"Convert input: input.to({weight.dtype}), or convert model: model.to({input.dtype})"
            )
        expected = 3 if batch_sizes is None else 2
        if input.dim() != expected:
            raise RuntimeError(f"input must have {expected} dimensions, got {input.dim()}")
        if self.input_size != input.size(-1):
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.size(-1)}"
            )

    def _run(self, input: Tensor | PackedSequence, hx: Sequence[Tensor] | None) -> tuple[Any, list[Tensor]]:
        """Give the output, and the last states."""
        if isinstance(input, PackedSequence):
            return self._run_packed(input, hx)
        name = "RNN" if self.mode.startswith("RNN") else self.mode
        if input.dim() not in (2, 3):
            raise ValueError(f"{name}: Expected input to be 2D or 3D, got {input.dim()}D instead")
        batched = input.dim() == 3
        batch_dim = 0 if self.batch_first else 1
        if hx is not None and any(state.dim() != input.dim() for state in hx):
            kind = "batched 3-D" if batched else "unbatched 2-D"
            what = "hx should" if len(hx) == 1 else "hx and cx should"
            dims = ", ".join(f"{state.dim()}-D" for state in hx)
            found = f"{dims} tensor" if len(hx) == 1 else f"({dims}) tensors"
            raise RuntimeError(f"For {kind} input, {what} also be {input.dim()}-D but got {found}")
        if not batched:
            input = input.unsqueeze(batch_dim)
            hx = None if hx is None else [state.unsqueeze(1) for state in hx]
        self.check_input(input, None)
        states = self._states(hx, input.size(batch_dim), input)
        output, *last = self._call(input, None, states)
        if not batched:
            output, last = output.squeeze(batch_dim), [state.squeeze(1) for state in last]
        return output, last

    def _run_packed(self, input: PackedSequence, hx: Sequence[Tensor] | None) -> tuple[Any, list[Tensor]]:
        data, batch_sizes, sorted_indices, unsorted_indices = input
        self.check_input(data, batch_sizes)
        sizes: list[int] = batch_sizes.tolist()
        if hx is not None and sorted_indices is not None:
            hx = [state.index_select(1, sorted_indices) for state in hx]
        output, *last = self._call(data, sizes, self._states(hx, sizes[0], data))
        if unsorted_indices is not None:
            last = [state.index_select(1, unsorted_indices) for state in last]
        return PackedSequence(output, batch_sizes, sorted_indices, unsorted_indices), last

    def _states(self, hx: Sequence[Tensor] | None, batch: int, input: Tensor) -> list[Tensor]:
        """Give the first states, zeros if there are none, each with a row for each layer and direction."""
        parts = self.num_layers * (2 if self.bidirectional else 1)
        shapes = [(parts, batch, self.proj_size or self.hidden_size)]
        if self.mode == "LSTM":
            shapes.append((parts, batch, self.hidden_size))
        if hx is None:
            return [zeros(shape, dtype=input.dtype, device=input.device) for shape in shapes]
        for index, (state, shape) in enumerate(zip(hx, shapes, strict=True)):
            if tuple(state.shape) != shape:
                which = "hidden" if len(shapes) == 1 else f"hidden[{index}]"
                raise RuntimeError(f"Expected {which} size {shape}, got {list(state.shape)}")
        return list(hx)

    def _call(self, input: Tensor, sizes: list[int] | None, states: list[Tensor]) -> Any:
        return _rnn(
            self.mode,
            input,
            sizes,
            states,
            [weight for part in self.all_weights for weight in part],
            self.bias,
            self.num_layers,
            self.dropout,
            self.training,
            self.bidirectional,
            self.batch_first,
        )

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for name, usual in (
            ("proj_size", 0),
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0),
            ("bidirectional", False),
        ):
            if getattr(self, name) != usual:
                text += f", {name}={getattr(self, name)}"
        return text


class RNN(RNNBase):
    """Elman's recurrent network: ``h = tanh(x W_ih' + b_ih + h W_hh' + b_hh)`` at each step.

    The input is (steps, batch, input_size), or (batch, steps, input_size) if ``batch_first``, (steps, input_size) or
    packed. Gives the hidden states of the last layer and, for each layer and direction, the last one.
    ``nonlinearity`` is ``"tanh"`` or ``"relu"``.

    >>> output, last = nn.RNN(10, 20, num_layers=2)(tf.zeros(5, 3, 10))
    >>> output.shape, last.shape
    (tenflowers.Size([5, 3, 20]), tenflowers.Size([2, 3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: device | str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise LayerConfigError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        mode = f"RNN_{nonlinearity.upper()}"
        super().__init__(
            mode,
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Tensor | None = None) -> Any:
        output, (last,) = self._run(input, None if hx is None else [hx])
        return output, last


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997) over a sequence.

    The input is (steps, batch, input_size), or (batch, steps, input_size) if ``batch_first``, (steps, input_size) or
    packed. Gives the hidden states of the last layer and the pair of the last hidden and cell states of each layer and
    direction; ``hx`` is such a pair. With ``proj_size`` the hidden state is a projection (Sak et al., 2014).

    >>> output, (h, c) = nn.LSTM(10, 20, batch_first=True)(tf.zeros(3, 5, 10))
    >>> output.shape, h.shape, c.shape
    (tenflowers.Size([3, 5, 20]), tenflowers.Size([1, 3, 20]), tenflowers.Size([1, 3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: device | str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__(
            "LSTM",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device=device,
            dtype=dtype,
        )

    def forward(self, input: Any, hx: tuple[Tensor, Tensor] | None = None) -> Any:
        output, last = self._run(input, hx)
        return output, tuple(last)


class GRU(RNNBase):
    """Gated recurrent units (Cho et al., 2014) over a sequence; the reset gate multiplies after the product.

    The input is (steps, batch, input_size), or (batch, steps, input_size) if ``batch_first``, (steps, input_size) or
    packed. Gives the hidden states of the last layer and, for each layer and direction, the last one.

    >>> output, last = nn.GRU(10, 20, bidirectional=True)(tf.zeros(5, 3, 10))
    >>> output.shape, last.shape
    (tenflowers.Size([5, 3, 40]), tenflowers.Size([2, 3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: device | str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__(
            "GRU",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device=device,
            dtype=dtype,
        )

    def forward(self, input: Any, hx: Tensor | None = None) -> Any:
        output, (last,) = self._run(input, None if hx is None else [hx])
        return output, last


class RNNCellBase(Module):
    """What the cells share: ``weight_ih``, ``weight_hh``, ``bias_ih`` and ``bias_hh``, and the run of one step."""

    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: device | str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(empty((rows, input_size), device=device, dtype=dtype))
        self.weight_hh = Parameter(empty((rows, hidden_size), device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(rows, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the first values anew."""
        _uniform(self, self.hidden_size)

    def _step(self, mode: str, input: Tensor, hx: Sequence[Tensor] | None) -> list[Tensor]:
        """Give the next states."""
        name = type(self).__name__
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        for index, state in enumerate(hx or ()):
            if state.dim() not in (1, 2):
                which = f"hx[{index}]" if mode == "LSTM" else "hidden"
                raise ValueError(f"{name}: Expected {which} to be 1D or 2D, got {state.dim()}D instead")
        batched = input.dim() == 2
        if not batched:
            input = input.unsqueeze(0)
        if hx is None:
            first = zeros((1, input.size(0), self.hidden_size), dtype=input.dtype, device=input.device)
            states = [first, first] if mode == "LSTM" else [first]
        else:
            states = [state.unsqueeze(0) if batched else state.unsqueeze(0).unsqueeze(0) for state in hx]
        weights = [w for w in (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh) if w is not None]
        sizes = [input.size(0)]
        _, *last = _rnn(mode, input, sizes, states, weights, self.bias, 1, 0.0, self.training, False, False)
        return [state.squeeze(0) if batched else state.squeeze(0).squeeze(0) for state in last]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if not self.bias:
            text += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text


class RNNCell(RNNCellBase):
    """One step of ``RNN``: from (batch, input_size) and the last hidden state to the next one.

    >>> nn.RNNCell(10, 20)(tf.zeros(3, 10)).shape
    tenflowers.Size([3, 20])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: device | str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step(f"RNN_{self.nonlinearity.upper()}", input, None if hx is None else [hx])[0]


class LSTMCell(RNNCellBase):
    """One step of ``LSTM``: from (batch, input_size) and the last hidden and cell states to the next ones.

    >>> h, c = nn.LSTMCell(10, 20)(tf.zeros(3, 10))
    >>> h.shape, c.shape
    (tenflowers.Size([3, 20]), tenflowers.Size([3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: device | str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        h, c = self._step("LSTM", input, hx)
        return h, c


class GRUCell(RNNCellBase):
    """One step of ``GRU``: from (batch, input_size) and the last hidden state to the next one.

    >>> nn.GRUCell(10, 20)(tf.zeros(3, 10)).shape
    tenflowers.Size([3, 20])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: device | str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step("GRU", input, None if hx is None else [hx])[0]
