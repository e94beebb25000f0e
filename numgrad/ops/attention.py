"""Scaled dot product attention (Vaswani et al., 2017): softmax(q k^T scale + mask) v, in tiles or, where that does not do, in ops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd import mode
from ..dtypes import scalar_name
from ..jit import empty, launch, zeros
from ..jit.tile import ROWS, VECTOR_BYTES, addresses
from ..tensor import Tensor
from . import attention_kernels as kernels
from . import creation
from .again import gradients_again
from .elementwise import broadcast_shape, copied
from .gemm import memory
from .record import REGISTRY, composite, op

#: Queries and keys of a block; units of work to aim for; how many have scratch memory of their own.
TALL, WIDE, UNITS, WORKERS = ROWS * (60 // ROWS), 64, 16, 64


def _aligned(x: np.ndarray) -> np.ndarray:
    """The array with elements of a row next to each other."""
    return x if x.shape[-1] < 2 or x.strides[-1] == x.itemsize else copied(x)


def _strides(x: np.ndarray) -> list[int]:
    return [0 if n == 1 else s // x.itemsize for n, s in zip(x.shape, x.strides, strict=True)]


def _plan(q: Any, k: Any, v: Any, y: Any, grad: Any, mask: Any, causal: bool, parts: int) -> np.ndarray:
    (batch, heads, queries, width), keys, value = q.shape, k.shape[2], v.shape[3]
    lanes = VECTOR_BYTES // q.itemsize
    high, high_value = (-(-n // lanes) * lanes for n in (width, value))
    units = batch * heads * (parts or -(-queries // TALL))
    numbers = [heads, queries, keys, width, value, causal, TALL, WIDE, high, high_value, parts, units, min(units, WORKERS), lanes]
    for x in (q, k, v, y, grad):
        numbers += _strides(x)[:3]
    numbers += [0] * 4 if mask is None else _strides(mask)
    return np.concatenate([np.array(numbers, np.int64), addresses(q.dtype)])


def _turned(x: np.ndarray, at: int, plan: np.ndarray) -> np.ndarray:
    batch, heads, keys, width = x.shape
    high, units = -(-width // int(plan[kernels.LANES])) * int(plan[kernels.LANES]), batch * heads * -(-keys // WIDE)
    out = empty(units * high * WIDE, x.dtype)
    launch(kernels.turn, out, memory(x), plan, at, width, high, units)
    return out


def _masked(mask: np.ndarray | None, q: np.ndarray, k: np.ndarray) -> tuple[Any, np.ndarray]:
    """The mask in its full shape, which costs no memory, and its memory; the latter without elements if there is no mask."""
    if mask is None:
        return None, np.empty(0, q.dtype)
    full = np.broadcast_to(mask, (*q.shape[:3], k.shape[2]))
    return full, memory(mask)


def _attend_forward(query: np.ndarray, key: np.ndarray, value: np.ndarray, mask: np.ndarray | None, causal: bool, scale: float) -> Any:
    """(N, H, L, E), (N, H, S, E), (N, H, S, V) to (N, H, L, V), in memory as (N, L, H, V); the log of each query's sum of exponentials."""
    q, k, v = map(_aligned, (query, key, value))
    (batch, heads, queries, _), dtype = q.shape, q.dtype
    rows = empty((batch, queries, heads, v.shape[3]), dtype)
    y = rows.transpose(0, 2, 1, 3)
    sums = empty((batch, heads, queries), dtype)
    if sums.size:
        full, flat = _masked(mask, q, k)
        plan = _plan(q, k, v, y, y, full, causal, 0)
        scratch = empty(int(plan[kernels.WORKERS]) * TALL * (WIDE + 2), dtype)
        launch(kernels.attend, rows.reshape(-1), sums.reshape(-1), memory(q), _turned(k, kernels.AT_K, plan), memory(v), flat, scratch,
               dtype.type(scale), plan, work=sums.size * k.shape[2] * (q.shape[3] + v.shape[3] + 32) // 16)  # fmt: skip
    return y, sums


def _back_forward(
    grad: np.ndarray, query: np.ndarray, key: np.ndarray, value: np.ndarray, mask: np.ndarray | None, y: np.ndarray, sums: np.ndarray,
    causal: bool, scale: float,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    q, k, v, g = map(_aligned, (query, key, value, grad))
    (batch, heads, queries, width), (keys, size), dtype = q.shape, v.shape[2:], q.dtype
    parts = max(1, min(-(-queries // TALL), UNITS // max(1, batch * heads)))
    dq = zeros((batch, queries, heads, width), dtype)
    dk, dv = (zeros((parts, batch, keys, heads, n), dtype) for n in (width, size))
    if sums.size and keys:
        full, flat = _masked(mask, q, k)
        plan = _plan(q, k, v, y, g, full, causal, parts)
        scratch = empty(int(plan[kernels.WORKERS]) * TALL * (2 * WIDE + 1), dtype)
        launch(kernels.attend_back, dq.reshape(-1), dk.reshape(-1), dv.reshape(-1), memory(q), memory(k), _turned(k, kernels.AT_K, plan),
               _turned(v, kernels.AT_V, plan), memory(y), memory(g), sums.reshape(-1), flat, scratch, dtype.type(scale), plan,
               work=sums.size * keys * (3 * width + 2 * size + 32) // 16)  # fmt: skip
    total: Any = REGISTRY["sum_over"].forward
    dk, dv = (x[0] if parts == 1 else total(x, (0,), False, dtype) for x in (dk, dv))
    return tuple(x.transpose(0, 2, 1, 3) for x in (dq, dk, dv))


def _attend_vjp(g: Any, y: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, scale: float) -> Any:
    if mode.enabled:
        return gradients_again(lambda q, k, v: (in_ops(q, k, v, mask, 0.0, causal, scale),), (query, key, value), g[:1])
    return _attend_back(g[0], query, key, value, mask, *y, causal, scale)


_hidden: Any = {"public": False, "method": False}
_attend_back = op("attention_backward", _back_forward, **_hidden)
_attend = op("attention_in_tiles", _attend_forward, vjp=_attend_vjp, **_hidden)


def in_ops(q: Any, k: Any, v: Any, mask: Any, dropout_p: float, causal: bool, scale: float) -> Tensor:
    """The same in ops, with the whole matrix of scores. A query that sees no key gets zeros."""
    scores = (q * scale) @ k.transpose(-2, -1)
    if mask is not None:
        scores = scores + mask
    if causal:
        scores = scores.masked_fill(REGISTRY["ones_like"](scores).tril() == 0, -math.inf)
    blind = (scores.detach() == -math.inf).all(-1, True)
    weights = scores.masked_fill(blind, 0.0).softmax(-1).masked_fill(blind, 0.0)
    return REGISTRY["dropout"](weights, dropout_p, True) @ v if dropout_p else weights @ v


# --- what is called -------------------------------------------------------------------------------------------------


def _check(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, is_causal: bool) -> None:
    for name, x in (("query", query), ("key", key), ("value", value)):
        if x.dim() < 2:
            raise RuntimeError(f"scaled_dot_product_attention: Expected query, key, and value to all be at least 2 dimensional, but {name} has {x.dim()}")
        if x.dtype != query.dtype:
            raise RuntimeError("scaled_dot_product_attention: Expected query, key, and value to have the same dtype, but got "
                               f"query.dtype: {query.dtype}, and {name}.dtype: {x.dtype}")  # fmt: skip
    if query._data.dtype.kind != "f":
        raise NotImplementedError(f'"scaled_dot_product_attention" not implemented for \'{scalar_name(query._data.dtype)}\'')
    if query.shape[-1] != key.shape[-1]:
        raise RuntimeError(f"scaled_dot_product_attention: query and key must have the same last dimension, but got {query.shape[-1]} and {key.shape[-1]}")
    if key.shape[-2] != value.shape[-2]:
        raise RuntimeError(f"scaled_dot_product_attention: key and value must have the same length, but got {key.shape[-2]} and {value.shape[-2]}")
    if mask is not None:
        if is_causal:
            raise RuntimeError("scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True")
        if mask._data.dtype not in (np.dtype(bool), query._data.dtype):
            raise RuntimeError("scaled_dot_product_attention: Expected attn_mask dtype to be bool or to match query dtype, but got "
                               f"attn_mask.dtype: {mask.dtype} and query.dtype: {query.dtype}")  # fmt: skip


def _heads_alike(x: Any, heads: int) -> Any:
    if heads % x.shape[-3]:
        raise RuntimeError(f"enable_gqa: the number of heads of key and value must divide that of query, but got {x.shape[-3]} and {heads}")
    return x if x.shape[-3] == heads else x.repeat_interleave(heads // x.shape[-3], -3)


def _four(x: Any, batch: tuple[int, ...]) -> Tensor:
    """(*batch, rows, columns) with two batch dimensions."""
    x = x if tuple(x.shape[:-2]) == batch else x.expand(*batch, *x.shape[-2:])
    lead = (1,) * (2 - len(batch)) + batch if len(batch) < 3 else (math.prod(batch[:-1]), batch[-1])
    return x if x.dim() == 4 else x.reshape(*lead, *x.shape[-2:])


def _mask_of(mask: Any, dtype: Any, batch: tuple[int, ...], queries: int, keys: int) -> Any:
    """What is added to the scores, in four dimensions that broadcast."""
    if mask._data.dtype.kind == "b":
        mask = creation.zeros(tuple(mask.shape), dtype=dtype).masked_fill(~mask, -math.inf)
    if len(batch) > 2 and mask.dim() > 3:
        return _four(mask.expand(*batch, queries, keys), batch)
    return mask.reshape(*(1,) * (4 - mask.dim()), *mask.shape)


def _function(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """softmax(query key^T scale + mask) value: (..., L, E), (..., S, E) and (..., S, V) to (..., L, V).

    A bool mask is True where a query may look, a float mask is added; is_causal lets query i look at keys 0 to i. scale is
    1 / sqrt(E) if not given. With enable_gqa keys and values may have fewer heads (dimension -3), each for several of query's."""
    _check(query, key, value, attn_mask, is_causal)
    if enable_gqa:
        key, value = (_heads_alike(x, query.shape[-3]) for x in (key, value))
    batch = tuple(broadcast_shape([tuple(x.shape[:-2]) for x in (query, key, value)]))
    queries, keys, size = query.shape[-2], key.shape[-2], value.shape[-1]
    factor = (1 / math.sqrt(query.shape[-1]) if query.shape[-1] else 1.0) if scale is None else float(scale)
    q, k, v = (_four(x, batch) for x in (query, key, value))
    mask = None
    if attn_mask is not None:
        broadcast = tuple(broadcast_shape([tuple(attn_mask.shape), (*batch, queries, keys)]))
        if broadcast != (*batch, queries, keys):
            raise RuntimeError(f"The mask of shape {list(attn_mask.shape)} must broadcast to {[*batch, queries, keys]}")
        mask = _mask_of(attn_mask, query.dtype, batch, queries, keys)
    if dropout_p or (mask is not None and mask.requires_grad and mode.enabled):
        y = in_ops(q, k, v, mask, dropout_p, is_causal, factor)
    else:
        y = _attend(q, k, v, mask, bool(is_causal), factor)[0]
    return y if query.dim() == 4 else y.reshape(*batch, queries, size)  # type: ignore[attr-defined]


def _reference(q: Any, k: Any, v: Any, mask: Any = None, dropout_p: float = 0.0, causal: bool = False, scale: Any = None, gqa: bool = False) -> Any:
    if gqa:
        k, v = (np.repeat(x, q.shape[-3] // x.shape[-3], -3) for x in (k, v))
    s = q @ k.swapaxes(-1, -2) * (1 / np.sqrt(q.shape[-1]) if scale is None else scale)
    if mask is not None:
        s = np.where(mask, s, -np.inf) if mask.dtype == bool else s + mask
    if causal:
        s = np.where(np.tril(np.ones(s.shape, bool)), s, -np.inf)
    top = s.max(-1, keepdims=True, initial=-np.inf)
    e = np.exp(s - np.where(np.isinf(top), 0, top))
    total = e.sum(-1, keepdims=True)
    return (e / np.where(total == 0, 1, total)) @ v


def _sample(draw: Any) -> Any:
    heads, width, size, queries, keys = (draw.integer(1, draw.side) for _ in range(5))
    batch = draw.choice([(), (heads,), (2, heads), (1, 2, heads)])
    groups = draw.choice([n for n in range(1, heads + 1) if heads % n == 0]) if batch and draw.boolean() else 0
    other = (*batch[:-1], groups) if groups else batch
    form = draw.choice(["none", "causal", "bool", "float"])
    shape = (*draw.broadcastable(batch), queries, draw.choice([1, keys]))
    mask = draw.booleans(shape) if form == "bool" else draw.array(shape) if form == "float" else None
    return (draw.array((*batch, queries, width)), draw.array((*other, keys, width)), draw.array((*other, keys, size)), mask, 0.0,
            form == "causal", draw.choice([None, 0.5]), bool(groups)), {}  # fmt: skip


_one = np.ones
scaled_dot_product_attention = composite(
    "scaled_dot_product_attention", _function, **_hidden, reference=_reference, sample=_sample, errors=[
        ((_one((2, 3)), _one((2, 4)), _one((2, 4))), RuntimeError, "same last dimension"),
        ((_one((2, 3)), _one((2, 3)), _one((5, 4))), RuntimeError, "same length"),
        ((_one((2, 3)), _one((2, 3)), _one((2, 3)), _one((2, 2)), 0.0, True), RuntimeError, "should not be set when is_causal"),
        ((_one((2, 3)), _one((2, 3)), _one((2, 3)), _one((2, 2), np.int64)), RuntimeError, "attn_mask dtype to be bool"),
        ((_one(3), _one((2, 3)), _one((2, 3))), RuntimeError, "at least 2 dimensional"),
        ((_one((3, 2, 4)), _one((2, 2, 4)), _one((2, 2, 4)), None, 0.0, False, None, True), RuntimeError, "must divide"),
        ((_one((2, 3)), _one((2, 3), np.float32), _one((2, 3))), RuntimeError, "same dtype")])  # fmt: skip
