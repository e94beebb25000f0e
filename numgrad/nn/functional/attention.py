"""Attention."""

from __future__ import annotations

import math
from typing import Any

import numgrad
from numgrad import ops
from numgrad.nn.functional.convolution import linear
from numgrad.tensor import Tensor


def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
                                 dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None,
                                 enable_gqa: bool = False) -> Tensor:
    """softmax(query key^T scale + mask) value: (..., L, E), (..., S, E) and (..., S, V) to (..., L, V).

    A bool mask is True where a query may look, a float mask is added; ``is_causal`` lets query i look at keys 0 to i.
    ``scale`` is 1 / sqrt(E) if not given. With ``enable_gqa`` keys and values may have fewer heads than queries."""
    return ops.scaled_dot_product_attention(query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)


def _check_shapes(query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None, attn_mask: Tensor | None,
                  num_heads: int) -> bool:
    """Whether there is a batch; AssertionError where dimensions do not fit."""
    if query.dim() not in (2, 3):
        raise AssertionError(f"query should be unbatched 2D or batched 3D tensor but received {query.dim()}-D query tensor")
    d, what = query.dim(), "batched (3-D)" if query.dim() == 3 else "unbatched (2-D)"
    if key.dim() != d or value.dim() != d:
        raise AssertionError(f"For {what} `query`, expected `key` and `value` to be {d}-D but found {key.dim()}-D and "
                             f"{value.dim()}-D tensors respectively")
    if key_padding_mask is not None and key_padding_mask.dim() != d - 1:
        raise AssertionError(f"For {what} `query`, expected `key_padding_mask` to be `None` or {d - 1}-D but found "
                             f"{key_padding_mask.dim()}-D tensor instead")
    if attn_mask is not None and attn_mask.dim() not in (2, 3):
        raise AssertionError(f"For {what} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found "
                             f"{attn_mask.dim()}-D tensor instead")
    if attn_mask is not None and d == 2 and attn_mask.dim() == 3:
        wanted = (num_heads, query.shape[0], key.shape[0])
        if tuple(attn_mask.shape) != wanted:
            raise AssertionError(f"Expected `attn_mask` shape to be {wanted} but got {tuple(attn_mask.shape)}")
    return d == 3


def _additive(mask: Tensor | None, name: str, dtype: Any) -> Tensor | None:
    """A mask as numbers to add to the scores: -inf where a bool mask is True."""
    if mask is None or mask.is_floating_point():
        return mask
    if mask.dtype != numgrad.bool:
        raise AssertionError(f"only bool and floating types of {name} are supported")
    return numgrad.zeros(tuple(mask.shape), dtype=dtype).masked_fill(mask, -math.inf)


def _check_mask(mask: Tensor | None, batch: int, queries: int, keys: int) -> None:
    if mask is not None:
        wanted = (queries, keys) if mask.dim() == 2 else (batch, queries, keys)
        if tuple(mask.shape) != wanted:
            raise RuntimeError(f"The shape of the {mask.dim()}D attn_mask is {tuple(mask.shape)}, but should be {wanted}.")


def _project(query: Tensor, key: Tensor, value: Tensor, weight: Tensor | None, bias: Tensor | None,
             separate: tuple[Tensor | None, ...]) -> tuple[Tensor, ...]:
    """Queries, keys and values, from one weight of three parts or from three; as few products as inputs allow."""
    if weight is None:
        biases = (None,) * 3 if bias is None else bias.chunk(3)
        return tuple(linear(x, w, b) for x, w, b in zip((query, key, value), separate, biases, strict=True))  # type: ignore[arg-type]
    if query is key and key is value:
        return tuple(linear(query, weight, bias).chunk(3, -1))
    size = query.shape[-1]
    if key is value:
        first, rest = weight.split([size, 2 * size])
        biases = (None, None) if bias is None else bias.split([size, 2 * size])
        return linear(query, first, biases[0]), *linear(key, rest, biases[1]).chunk(2, -1)
    biases = (None,) * 3 if bias is None else bias.chunk(3)
    return tuple(linear(x, w, b) for x, w, b in zip((query, key, value), weight.chunk(3), biases, strict=True))


def _heads(x: Tensor, heads: int) -> Tensor:
    """(length, batch, features) as (batch, heads, length, features of a head)."""
    return x.reshape(x.shape[0], x.shape[1], heads, x.shape[2] // heads).permute(1, 2, 0, 3)


def _static(given: Tensor | None, name: str, x: Tensor, heads: int) -> Tensor:
    """Keys or values by heads; those that the caller has already instead, (batch * heads, length, features of a head)."""
    if given is None:
        return _heads(x, heads)
    for d, wanted in ((0, x.shape[1] * heads), (2, x.shape[2] // heads)):
        if given.shape[d] != wanted:
            raise AssertionError(f"expecting {name}.size({d}) of {wanted}, but got {given.shape[d]}")
    return given.reshape(x.shape[1], heads, *given.shape[1:])


def _longer(x: Tensor, mask: bool = False) -> Tensor:
    """One more key: a column of a mask, or a row of zeros."""
    shape = (*x.shape[:-1], 1) if mask else (*x.shape[:-2], 1, x.shape[-1])
    return numgrad.cat([x, numgrad.zeros(shape, dtype=x.dtype)], -1 if mask else -2)


def multi_head_attention_forward(
    query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int, in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None, bias_k: Tensor | None, bias_v: Tensor | None, add_zero_attn: bool, dropout_p: float,
    out_proj_weight: Tensor, out_proj_bias: Tensor | None, training: bool = True, key_padding_mask: Tensor | None = None,
    need_weights: bool = True, attn_mask: Tensor | None = None, use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None, k_proj_weight: Tensor | None = None, v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None, static_v: Tensor | None = None, average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """What nn.MultiheadAttention computes: (L, N, E), (S, N, Ek), (S, N, Ev) to (L, N, E), and the weights if asked for.

    Masks are True (or -inf) where a query may not look: attn_mask (L, S) or (N * heads, L, S), key_padding_mask (N, S)."""
    batched = _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        alone = query, key, value
        query, key, value = (x.unsqueeze(1) for x in alone)
        key = query if alone[1] is alone[0] else key  # the same tensor stays the same: one product will do
        value = key if alone[2] is alone[1] else value
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    _check_sizes(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    if is_causal and attn_mask is None:
        raise RuntimeError("Need attn_mask if specifying the is_causal hint. Transformer.generate_square_subsequent_mask makes one.")
    queries, batch, _ = query.shape
    _check_mask(attn_mask, batch * num_heads, queries, key.shape[0])
    if is_causal and key_padding_mask is None and not need_weights:
        mask = None  # the mask says the same
    else:
        is_causal = False
        mask = _additive(attn_mask, "attn_mask", query.dtype)
    padding = _additive(key_padding_mask, "key_padding_mask", query.dtype)
    if mask is not None and mask.dim() == 3:
        mask = mask.reshape(batch, num_heads, *mask.shape[1:])
    weight = None if use_separate_proj_weight else in_proj_weight
    q, k, v = _project(query, key, value, weight, in_proj_bias, (q_proj_weight, k_proj_weight, v_proj_weight))
    if (bias_k is None) != (bias_v is None):
        raise AssertionError("bias_k and bias_v must be given together")
    longer = add_zero_attn + (bias_k is not None)
    if bias_k is not None and bias_v is not None:
        if static_k is not None or static_v is not None:
            raise AssertionError("bias cannot be added to static key or value.")
        k, v = (numgrad.cat([x, b.expand(1, batch, -1)]) for x, b in ((k, bias_k), (v, bias_v)))
    q, k, v = _heads(q, num_heads), _static(static_k, "static_k", k, num_heads), _static(static_v, "static_v", v, num_heads)
    if add_zero_attn:
        k, v = _longer(k), _longer(v)
    for _ in range(longer):
        mask = None if mask is None else _longer(mask, True)
        padding = None if padding is None else _longer(padding, True)
    if padding is not None:
        if tuple(padding.shape) != (batch, k.shape[2]):
            raise AssertionError(f"Expected key_padding_mask of shape {(batch, k.shape[2] - longer)}, but got "
                                 f"{(padding.shape[0], padding.shape[1] - longer)}")
        padding = padding.reshape(batch, 1, 1, k.shape[2])
        mask = padding if mask is None else mask + padding
    y, weights = _attend(q, k, v, mask, dropout_p if training else 0.0, is_causal, need_weights)
    y = linear(y.permute(2, 0, 1, 3).reshape(queries, batch, y.size(1) * y.size(3)), out_proj_weight, out_proj_bias)
    if weights is not None and average_attn_weights:
        weights = weights.mean(1)
    if batched:
        return y, weights
    return y.squeeze(1), None if weights is None else weights.squeeze(0)


def _check_sizes(query: Tensor, key: Tensor, value: Tensor, embed_dim: int, heads: int, separate: bool) -> None:
    found = query.shape[2]
    if found != embed_dim:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim}, but got {found}")
    if embed_dim % heads:
        raise AssertionError(f"embed_dim {embed_dim} not divisible by num_heads {heads}")
    if separate and key.shape[:2] != value.shape[:2]:
        raise AssertionError(f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}")
    if not separate and key.shape != value.shape:
        raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout_p: float, is_causal: bool,
            need_weights: bool) -> tuple[Tensor, Tensor | None]:
    if not need_weights:
        return scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal), None
    scores = (q * (q.shape[-1] ** -0.5)) @ k.transpose(-2, -1)
    weights = (scores if mask is None else scores + mask).softmax(-1)
    if dropout_p > 0:
        weights = numgrad.dropout(weights, dropout_p, True)
    return weights @ v, weights
