"""Multi-head attention."""

from __future__ import annotations

from typing import Any

import numgrad
from numgrad.nn import functional as F
from numgrad.nn import init
from numgrad.nn.modules.linear import NonDynamicallyQuantizableLinear
from numgrad.nn.modules.module import Module
from numgrad.nn.parameter import Parameter
from numgrad.tensor import Tensor


class MultiheadAttention(Module):
    """Attention in several heads at once (Vaswani et al., 2017): query (L, N, E), key (S, N, kdim), value (S, N, vdim) to (L, N, E)
    and the weights (N, L, S). (N, L, E) and so on with batch_first; a batch may be left out.

    add_bias_kv adds a learnt key and value, add_zero_attn a key and a value of zeros. Without ``need_weights`` the matrix of weights
    is never made."""

    bias_k: Tensor | None
    bias_v: Tensor | None

    def __init__(self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, add_bias_kv: bool = False,
                 add_zero_attn: bool = False, kdim: int | None = None, vdim: int | None = None, batch_first: bool = False,
                 device: Any = None, dtype: Any = None) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError("embed_dim and num_heads must be greater than 0, got "
                             f"embed_dim={embed_dim} and num_heads={num_heads} instead")
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError(f"embed_dim must be divisible by num_heads, got {embed_dim} and {num_heads}")
        same, e = self._qkv_same_embed_dim, embed_dim
        for name, shape, there in (
            ("q_proj_weight", (e, e), not same), ("k_proj_weight", (e, self.kdim), not same),
            ("v_proj_weight", (e, self.vdim), not same), ("in_proj_weight", (3 * e, e), same), ("in_proj_bias", (3 * e,), bias),
        ):  # fmt: skip
            self.register_parameter(name, Parameter(numgrad.empty(shape, device=device, dtype=dtype)) if there else None)
        self.out_proj = NonDynamicallyQuantizableLinear(e, e, bias=bias, device=device, dtype=dtype)
        if add_bias_kv:
            self.bias_k = Parameter(numgrad.empty((1, 1, e), device=device, dtype=dtype))
            self.bias_v = Parameter(numgrad.empty((1, 1, e), device=device, dtype=dtype))
        else:
            self.bias_k = self.bias_v = None
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for vector in (self.bias_k, self.bias_v):
            if vector is not None:
                init.xavier_normal_(vector)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
                need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
                is_causal: bool = False) -> tuple[Tensor, Tensor | None]:
        turned = self.batch_first and query.dim() == 3
        if turned:  # what is one tensor stays one, so that one product projects it
            inputs = {id(x): x.transpose(1, 0) for x in (query, key, value)}
            query, key, value = (inputs[id(x)] for x in (query, key, value))
        y, weights = F.multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight, self.in_proj_bias, self.bias_k, self.bias_v,
            self.add_zero_attn, self.dropout, self.out_proj.weight, self.out_proj.bias, training=self.training,
            key_padding_mask=key_padding_mask, need_weights=need_weights, attn_mask=attn_mask,
            use_separate_proj_weight=not self._qkv_same_embed_dim, q_proj_weight=self.q_proj_weight,
            k_proj_weight=self.k_proj_weight, v_proj_weight=self.v_proj_weight, average_attn_weights=average_attn_weights,
            is_causal=is_causal)  # fmt: skip
        return (y.transpose(1, 0) if turned else y), weights
