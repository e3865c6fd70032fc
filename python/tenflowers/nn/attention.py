"""Attention as a layer."""

from __future__ import annotations

from .._core import Tensor, device, dtype, empty
from ..errors import LayerConfigError, ShapeError
from . import init
from .linear import Linear
from .module import Module
from .multi_head import attend
from .parameter import Parameter

__all__ = ["MultiheadAttention"]


class NonDynamicallyQuantizableLinear(Linear):
    """``Linear`` under the name that PyTorch prints for the last projection of attention."""


class MultiheadAttention(Module):
    """Attention with several heads (Vaswani et al., 2017): queries look for keys, and get averages of their values.

    Sequences are (length, batch, features), with ``batch_first`` (batch, length, features), or without a batch. Keys
    have ``kdim`` features and values ``vdim``, as many as queries unless given. ``key_padding_mask`` of shape (batch,
    keys) and ``attn_mask`` of shape (queries, keys) or (batch * heads, queries, keys) are true where there is nothing
    to be seen, or are added to the scores; ``is_causal`` says that ``attn_mask`` hides what comes later.
    ``add_bias_kv`` adds a learnt key and value, ``add_zero_attn`` a key and value of zeros; weights are dropped with
    probability ``dropout`` in training.

    Gives the result and, unless ``need_weights=False``, which is faster, the weights, their mean over the heads unless
    ``average_attn_weights=False``.

    >>> attention = nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = tf.randn(3, 5, 8)
    >>> out, weights = attention(x, x, x)
    >>> out.shape, weights.shape
    (tenflowers.Size([3, 5, 8]), tenflowers.Size([3, 5, 5]))
    """

    in_proj_weight: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None
    out_proj: Linear

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: device | str | None = None,
        dtype: dtype | None = None,
    ) -> None:
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0 or embed_dim % num_heads:
            raise LayerConfigError(
                f"MultiheadAttention: embed_dim must be a positive multiple of num_heads: {embed_dim} and {num_heads}"
            )
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads

        def make(*shape: int) -> Parameter:
            return Parameter(empty(shape, device=device, dtype=dtype))

        same = self._qkv_same_embed_dim
        self.register_parameter("q_proj_weight", None if same else make(embed_dim, embed_dim))
        self.register_parameter("k_proj_weight", None if same else make(embed_dim, self.kdim))
        self.register_parameter("v_proj_weight", None if same else make(embed_dim, self.vdim))
        self.register_parameter("in_proj_weight", make(3 * embed_dim, embed_dim) if same else None)
        self.register_parameter("in_proj_bias", make(3 * embed_dim) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        self.register_parameter("bias_k", make(1, 1, embed_dim) if add_bias_kv else None)
        self.register_parameter("bias_v", make(1, 1, embed_dim) if add_bias_kv else None)
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for more in (self.bias_k, self.bias_v):
            if more is not None:
                init.xavier_normal_(more)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        if query.ndim in (2, 3) and query.shape[-1] != self.embed_dim:
            raise ShapeError(f"MultiheadAttention: query must have {self.embed_dim} features, not {query.shape[-1]}")
        weights = (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        return attend(
            (query, key, value),
            self.num_heads,
            [weight for weight in weights if weight is not None],
            self.in_proj_bias,
            (self.bias_k, self.bias_v),
            self.add_zero_attn,
            self.dropout if self.training else 0.0,
            (self.out_proj.weight, self.out_proj.bias),
            (key_padding_mask, attn_mask),
            is_causal,
            need_weights,
            average_attn_weights,
            (None, None),
            self.batch_first,
        )
