"""Philox4x32-10: random words from a counter, and what is made of them where they are drawn.

Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11. Every block of four words is a function of
the seed and of its own number, so blocks are drawn in vectors and by all threads, and the numbers are always the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..jit import device, kernel, prange

LOW = np.uint64(0xFFFFFFFF)
WORD = np.uint64(32)
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)  # the paper's multipliers and Weyl increments
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
#: Blocks of four words that one unit of parallel work draws.
_BLOCKS = 256
_TILE = 4 * _BLOCKS


@device
def _round(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    p0, p1 = _M0 * c0, _M1 * c2
    return (p1 >> WORD) ^ c1 ^ k0, p1 & LOW, (p0 >> WORD) ^ c3 ^ k1, p0 & LOW


@device(inline=True)
def _words(seed: Any, counter: Any) -> Any:
    """Four 32-bit words of Philox4x32-10 for a 64-bit key and a 64-bit counter."""
    k0, k1 = seed & LOW, seed >> WORD
    c0, c1, c2, c3 = counter & LOW, counter >> WORD, np.uint64(0), np.uint64(0)
    for _ in range(10):
        c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
        k0, k1 = (k0 + _W0) & LOW, (k1 + _W1) & LOW
    return c0, c1, c2, c3


@device
def _bits_tile(out: Any, seed: Any, start: Any) -> None:
    for i in range(out.size // 4):
        a, b, c, d = _words(seed, start + np.uint64(i))
        out[4 * i], out[4 * i + 1], out[4 * i + 2], out[4 * i + 3] = a, b, c, d


@kernel
def bits(out: Any, state: Any) -> None:
    """Words; as many as there are, but a multiple of four."""
    for t in prange((out.size + _TILE - 1) // _TILE):
        _bits_tile(out[t * _TILE : min(t * _TILE + _TILE, out.size)], state[0], state[1] + np.uint64(t * _BLOCKS))


@device(inline=True)
def _fraction(word: Any) -> Any:
    return np.float32(np.int32(word >> np.uint64(8))) * np.float32(5.9604644775390625e-08)  # 24 bits: [0, 1) exactly


@device
def _uniform_tile(out: Any, seed: Any, start: Any) -> None:
    whole = out.size // 4
    for i in range(whole):
        a, b, c, d = _words(seed, start + np.uint64(i))
        out[4 * i], out[4 * i + 1], out[4 * i + 2], out[4 * i + 3] = _fraction(a), _fraction(b), _fraction(c), _fraction(d)
    if 4 * whole < out.size:  # the last block of a draw, in part
        words = _words(seed, start + np.uint64(whole))
        for j in range(out.size - 4 * whole):
            out[4 * whole + j] = _fraction(words[j])


@kernel
def uniform(out: Any, state: Any) -> None:
    """Float32 in [0, 1), each from a word."""
    for t in prange((out.size + _TILE - 1) // _TILE):
        _uniform_tile(out[t * _TILE : min(t * _TILE + _TILE, out.size)], state[0], state[1] + np.uint64(t * _BLOCKS))


@device
def _mask_tile(out: Any, seed: Any, start: Any, limit: Any, scale: Any) -> None:
    whole, zero = out.size // 4, scale - scale
    for i in range(whole):
        a, b, c, d = _words(seed, start + np.uint64(i))
        out[4 * i], out[4 * i + 1] = zero if a < limit else scale, zero if b < limit else scale
        out[4 * i + 2], out[4 * i + 3] = zero if c < limit else scale, zero if d < limit else scale
    if 4 * whole < out.size:
        words = _words(seed, start + np.uint64(whole))
        for j in range(out.size - 4 * whole):
            out[4 * whole + j] = zero if words[j] < limit else scale


@kernel
def mask(out: Any, state: Any, limit: Any, scale: Any) -> None:
    """0 where a word is less than `limit`, else `scale`."""
    for t in prange((out.size + _TILE - 1) // _TILE):
        part, start = out[t * _TILE : min(t * _TILE + _TILE, out.size)], state[1] + np.uint64(t * _BLOCKS)
        _mask_tile(part, state[0], start, np.uint64(limit), out.dtype.type(scale))


@device
def _mask_run(out: Any, start: Any, stop: Any, state: Any, limit: Any, scale: Any) -> None:
    """`mask` for elements from `start` on: parts of a block of four before, and in the end, too."""
    first = min(stop, (start + 3) // 4 * 4)
    if start < first:
        words = _words(state[0], state[1] + np.uint64(start // 4))
        for i in range(start, first):
            out[i] = out.dtype.type(0 if words[i % 4] < np.uint64(limit) else scale)
    if first < stop:
        _mask_tile(out[first:stop], state[0], state[1] + np.uint64(first // 4), np.uint64(limit), out.dtype.type(scale))


mask.fills = _mask_run


@kernel
def advance(state: Any, blocks: Any) -> None:
    """The generator's position moved on."""
    for _ in prange(1):
        state[1] += np.uint64(blocks)
