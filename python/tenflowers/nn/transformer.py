"""The transformer and its parts (Vaswani et al., 2017)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

from .._core import Tensor, device, dtype, full, triu
from ..errors import LayerConfigError, ShapeError
from . import functional as F
from . import init
from .attention import MultiheadAttention
from .containers import ModuleList
from .dropout import Dropout
from .linear import Linear
from .module import Module
from .multi_head import added
from .normalization import LayerNorm

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]

Activation = str | Callable[[Tensor], Tensor]


def _activation(given: Activation) -> Callable[[Tensor], Tensor]:
    if not isinstance(given, str):
        return given
    if given not in ("relu", "gelu"):
        raise LayerConfigError(f"activation must be 'relu', 'gelu' or a callable, not {given!r}")
    found: Callable[[Tensor], Tensor] = F.relu if given == "relu" else F.gelu
    return found


class _Layer(Module):
    """What the layers of encoder and decoder share: attention to itself, and two linear maps."""

    activation: Callable[[Tensor], Tensor]

    def _build(
        self,
        attentions: tuple[str, ...],
        d_model: int,
        nhead: int,
        dim_feedforward: int,
        dropout: float,
        activation: Activation,
        layer_norm_eps: float,
        batch_first: bool,
        norm_first: bool,
        bias: bool,
        device: device | str | None,
        dtype: dtype | None,
    ) -> None:
        for name in attentions:
            attention = MultiheadAttention(
                d_model, nhead, dropout=dropout, bias=bias, batch_first=batch_first, device=device, dtype=dtype
            )
            setattr(self, name, attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, device=device, dtype=dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, device=device, dtype=dtype)
        self.norm_first = norm_first
        steps = range(1, len(attentions) + 2)
        for step in steps:
            norm = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, device=device, dtype=dtype)
            setattr(self, f"norm{step}", norm)
        for step in steps:
            setattr(self, f"dropout{step}", Dropout(dropout))
        self.activation = _activation(activation)

    def _ff_block(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear2(self.dropout(self.activation(self.linear1(x))))
        return out

    def _run(self, x: Tensor, *blocks: Callable[[Tensor], Tensor]) -> Tensor:
        """Each block with its residual connection, and its norm before it or after."""
        for step, block in enumerate(blocks, 1):
            norm, dropout = getattr(self, f"norm{step}"), getattr(self, f"dropout{step}")
            x = x + dropout(block(norm(x))) if self.norm_first else norm(x + dropout(block(x)))
        return x


class TransformerEncoderLayer(_Layer):
    """Attention of a sequence to itself, then two linear maps with an activation between; each with residual and norm.

    The norms come after, or with ``norm_first`` before; ``activation`` is "relu", "gelu" or a callable. Sequences are
    (length, batch, d_model), with ``batch_first`` (batch, length, d_model), or without a batch; masks are as those of
    ``nn.MultiheadAttention``.

    >>> nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)(tf.randn(3, 5, 16)).shape
    tenflowers.Size([3, 5, 16])
    """

    self_attn: MultiheadAttention

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: device | str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__()
        sizes = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps)
        self._build(("self_attn",), *sizes, batch_first, norm_first, bias, device, dtype)

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        def attention(x: Tensor) -> Tensor:
            return _attended(self.self_attn, x, x, src_mask, src_key_padding_mask, is_causal)

        return self._run(src, attention, self._ff_block)


class TransformerDecoderLayer(_Layer):
    """Attention of a sequence to itself, then to ``memory``, then two linear maps; as ``nn.TransformerEncoderLayer``.

    >>> layer = nn.TransformerDecoderLayer(16, 2, 32, batch_first=True)
    >>> layer(tf.randn(3, 5, 16), tf.randn(3, 7, 16)).shape
    tenflowers.Size([3, 5, 16])
    """

    self_attn: MultiheadAttention
    multihead_attn: MultiheadAttention

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: device | str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__()
        sizes = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps)
        self._build(("self_attn", "multihead_attn"), *sizes, batch_first, norm_first, bias, device, dtype)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        def itself(x: Tensor) -> Tensor:
            return _attended(self.self_attn, x, x, tgt_mask, tgt_key_padding_mask, tgt_is_causal)

        def other(x: Tensor) -> Tensor:
            return _attended(self.multihead_attn, x, memory, memory_mask, memory_key_padding_mask, memory_is_causal)

        return self._run(tgt, itself, other, self._ff_block)


def _attended(
    attention: MultiheadAttention,
    x: Tensor,
    to: Tensor,
    mask: Tensor | None,
    padding: Tensor | None,
    is_causal: bool,
) -> Tensor:
    out: Tensor = attention(
        x, to, to, attn_mask=mask, key_padding_mask=padding, is_causal=is_causal, need_weights=False
    )[0]
    return out


def _copies(layer: Module, count: int) -> ModuleList:
    return ModuleList([copy.deepcopy(layer) for _ in range(count)])


def _hides_later(mask: Tensor | None, is_causal: bool | None, length: int) -> bool:
    """Whether a mask is the causal one, where that is not said."""
    if is_causal is not None or mask is None:
        return is_causal is True
    if tuple(mask.shape) != (length, length) or not mask.is_floating_point():
        return False
    return bool((mask == Transformer.generate_square_subsequent_mask(length, dtype=mask.dtype)).all())


def _length(x: Tensor, batch_first: bool) -> int:
    return int(x.shape[1 if batch_first and x.ndim == 3 else 0])


class TransformerEncoder(Module):
    """``num_layers`` copies of a layer, one after the other, and perhaps a norm.

    A ``mask`` that hides what comes later is found out unless ``is_causal`` says. ``enable_nested_tensor`` and
    ``mask_check`` are kept as attributes: they choose a shortcut of PyTorch's that has no counterpart here.

    >>> layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    >>> nn.TransformerEncoder(layer, 2)(tf.randn(3, 5, 16)).shape
    tenflowers.Size([3, 5, 16])
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self.layers = _copies(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.mask_check = mask_check

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        mask = None if mask is None else added(mask, src)
        causal = _hides_later(mask, is_causal, _length(src, self.layers[0].self_attn.batch_first))
        x = src
        for layer in self.layers:
            x = layer(x, src_mask=mask, is_causal=causal, src_key_padding_mask=src_key_padding_mask)
        return x if self.norm is None else self.norm(x)


class TransformerDecoder(Module):
    """``num_layers`` copies of a layer, one after the other, and perhaps a norm.

    >>> layer = nn.TransformerDecoderLayer(16, 2, 32, batch_first=True)
    >>> nn.TransformerDecoder(layer, 2)(tf.randn(3, 5, 16), tf.randn(3, 7, 16)).shape
    tenflowers.Size([3, 5, 16])
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = _copies(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        causal = _hides_later(tgt_mask, tgt_is_causal, _length(tgt, self.layers[0].self_attn.batch_first))
        x = tgt
        for layer in self.layers:
            x = layer(
                x,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=causal,
                memory_is_causal=memory_is_causal,
            )
        return x if self.norm is None else self.norm(x)


class Transformer(Module):
    """An encoder of sequences, and a decoder that attends to what comes of it.

    Sequences and masks are as those of ``nn.TransformerEncoderLayer``; another encoder or decoder may be given.

    >>> model = nn.Transformer(16, 2, 1, 1, 32, batch_first=True)
    >>> mask = nn.Transformer.generate_square_subsequent_mask(5)
    >>> model(tf.randn(3, 7, 16), tf.randn(3, 5, 16), tgt_mask=mask).shape
    tenflowers.Size([3, 5, 16])
    """

    encoder: Module
    decoder: Module

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        custom_encoder: Any | None = None,
        custom_decoder: Any | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: device | str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__()
        sizes = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps)
        options = (batch_first, norm_first, bias, device, dtype)

        def norm() -> LayerNorm:
            return LayerNorm(d_model, eps=layer_norm_eps, bias=bias, device=device, dtype=dtype)

        if custom_encoder is None:
            custom_encoder = TransformerEncoder(TransformerEncoderLayer(*sizes, *options), num_encoder_layers, norm())
        if custom_decoder is None:
            custom_decoder = TransformerDecoder(TransformerDecoderLayer(*sizes, *options), num_decoder_layers, norm())
        self.encoder = custom_encoder
        self.decoder = custom_decoder
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def _reset_parameters(self) -> None:
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    @staticmethod
    def generate_square_subsequent_mask(
        sz: int, device: device | str | None = None, dtype: dtype | None = None
    ) -> Tensor:
        """The mask to be added to scores that hides what comes later: zeros, and minus infinity above the diagonal."""
        return triu(full((sz, sz), -math.inf, device=device, dtype=dtype), 1)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        batch = 0 if self.batch_first else 1
        if src.ndim == 3 and tgt.ndim == 3 and src.shape[batch] != tgt.shape[batch]:
            raise ShapeError(f"Transformer: src and tgt are batches of {src.shape[batch]} and {tgt.shape[batch]}")
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise ShapeError(
                f"Transformer: src and tgt must have {self.d_model} features, not {src.shape[-1]} and {tgt.shape[-1]}"
            )
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        out: Tensor = self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )
        return out
