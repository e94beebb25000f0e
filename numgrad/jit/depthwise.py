"""The tiles of depthwise convolution: each output plane reads one plane, so vectors run along it and nothing is packed or copied.

A piece is a vector of output places, with the address that its first tap reads, and a mask for each tap: where the image ends, lanes
read zeros. Pieces that need no masks come first. Of a plane narrower than a vector, a piece takes several rows.

- `planes`: the convolution, or the gradient of its input; where every second column of the output has taps of its own, both kinds
  are computed and stored in turn;
- `plane_sums`: the gradient of the weight, a sum for each tap over the pieces of several images.

A mask is an integer whose bits are lanes, as AVX-512 wants it. AVX takes masks in vectors, each of which would take longer to make
of bits than to read: there the table of masks holds vectors (`IN_LANES`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from . import convolution, tile
from .convolution import _Emitter
from .emitter import VECTOR_BYTES
from .kernel import DISABLED, device

#: Numbers of a piece: where its first tap reads, where it is written, the mask of that, and where its row of masks is.
PIECE = 4
#: Whether a row of masks is made of vectors: those of what is written, then those of the taps.
IN_LANES: bool = VECTOR_BYTES == 32 and not DISABLED


def table_of_masks(bits: np.ndarray, written: np.ndarray, step: int, kinds: int, dtype: np.dtype) -> np.ndarray:
    """The rows of masks: as they are, or as vectors, from the bits of taps (rows, taps) and of what is written (rows)."""
    if not IN_LANES:
        return bits
    size = convolution.lanes(dtype)
    parts = [written[:, None] >> i * size for i in range(kinds)] + [column[:, None] >> i * (size - 1) for column in bits.T for i in range(step)]
    lanes = np.concatenate(parts, 1)[..., None] >> np.arange(size) & 1
    return (-lanes).astype(f"i{dtype.itemsize}").reshape(len(bits), -1).view(np.int64)


def place_of_masks(step: int, kinds: int) -> tuple[int, int]:
    """Where the taps' masks begin in a row, and how far apart they are."""
    vector = VECTOR_BYTES // 8
    return (kinds * vector, step * vector) if IN_LANES else (0, 1)


def _bits(e: _Emitter, bits: Any, first: int) -> Any:
    """The mask of a vector, from bits `first`, `first` + 1, ... of an integer."""
    shifted = e.builder.lshr(bits, e.index(first)) if first else bits
    return e.builder.bitcast(e.builder.trunc(shifted, ir.IntType(e.lanes)), ir.VectorType(ir.IntType(1), e.lanes))


def _mask(e: _Emitter, masks: Any, index: int, part: int, step: int, first: int) -> Any:
    """The mask of a part of an entry of a row: that of the elements from `first` on. An entry has `step` parts."""
    if not IN_LANES:
        return _bits(e, e.entry(masks, index), first)
    kind = ir.VectorType(ir.IntType(VECTOR_BYTES * 8 // e.lanes), e.lanes)
    place = e.at(masks, (index * step + part) * (VECTOR_BYTES // 8))
    lanes = e.builder.load(e.builder.bitcast(place, kind.as_pointer()), align=1)
    return e.builder.icmp_signed("<", lanes, ir.Constant(kind, [0] * e.lanes))


def _read(e: _Emitter, pointer: Any, step: int, masks: Any, tap: int) -> Any:
    """A vector of neighbours, or of every second element; a mask counts elements."""
    # The second half begins where the first one ends: nothing beyond the last element that is wanted is read.
    firsts = [i * (e.lanes - 1) for i in range(step)]
    parts = [e.load(e.at(pointer, first), None if masks is None else _mask(e, masks, tap, i, step, first)) for i, first in enumerate(firsts)]
    return parts[0] if step == 1 else e.shuffle(*parts, [*range(0, e.lanes, 2), *range(e.lanes + 1, 2 * e.lanes, 2)])


def _write(e: _Emitter, sums: list[Any], pointer: Any, bits: Any, row: Any) -> None:
    """Store a vector, or the elements of two of them in turn."""
    size, kinds = e.lanes, len(sums)
    if kinds == 2:
        turns = [lane for i in range(size) for lane in (i, i + size)]
        sums = [e.shuffle(*sums, turns[:size]), e.shuffle(*sums, turns[size:])]

    def store(masked: bool) -> None:
        for i, total in enumerate(sums):
            mask = None if not masked else _mask(e, row, 0, i, 1, 0) if IN_LANES else _bits(e, bits, i * size)
            e.store(total, e.at(pointer, i * size), mask)

    if IN_LANES and bits is not None:  # a store with a mask takes longer than all the rest of a piece
        with e.builder.if_else(e.builder.icmp_signed("==", bits, e.index((1 << kinds * size) - 1))) as (whole, part):
            with whole:
                store(False)
            with part:
                store(True)
    else:
        store(bits is not None)


def _both(e: _Emitter, pieces: Any, inner: Any, count: Any, sums: int, initial: list[Any], body: Any) -> list[Any]:
    """Run body(piece, masked, sums) over the pieces without masks, then over the others."""
    step, rest = [e.index(PIECE)], e.builder.sub(count, inner)
    initial = e.loop(inner, [pieces], step, sums, lambda p, s: body(p[0], False, s), initial)
    others = e.at(pieces, e.builder.mul(inner, e.index(PIECE)))
    return e.loop(rest, [others], step, sums, lambda p, s: body(p[0], True, s), initial)


def _planes(e: _Emitter, module: ir.Module, name: str, lines: int, step: int, kinds: int, *numbers: int) -> None:
    y, x, w, first, pieces, masks, rows, sources, inner, count = e.begin(module, name, "y x w first", "pieces masks rows sources", "inner count")
    sizes, shifts = numbers[:kinds], numbers[kinds:]
    kind = [i for i, n in enumerate(sizes) for _ in range(n)]
    weights = [e.splat(e.builder.load(e.at(w, e.entry(sources, i)))) for i in range(lines * len(shifts))]
    heights, start = [e.entry(rows, i) for i in range(lines)], e.splat(e.builder.load(first))

    def body(piece: Any, masked: bool, _: list[Any]) -> list[Any]:
        base, out = e.at(x, e.entry(piece, 0)), e.at(y, e.entry(piece, 1))
        row = e.at(masks, e.entry(piece, 3)) if masked else None
        taps = e.at(row, place_of_masks(step, kinds)[0]) if masked else None
        sums = [start] * kinds
        for i in range(lines * len(shifts)):
            line, column = divmod(i, len(shifts))
            seen = _read(e, e.at(e.at(base, heights[line]), shifts[column]), step, taps, i)
            sums[kind[column]] = e.multiply_add(weights[i], seen, sums[kind[column]])
        _write(e, sums, out, e.entry(piece, 2) if masked else None, row)
        return []

    _both(e, pieces, inner, count, 0, [], body)
    e.builder.ret_void()


def _plane_sums(e: _Emitter, module: ir.Module, name: str, lines: int, step: int, *shifts: int) -> None:
    arguments = e.begin(module, name, "y g x", "pieces masks rows", "before inner count images step_g step_x adding")
    y, g, x, pieces, masks, rows, before, inner, count, images, step_g, step_x, adding = arguments
    heights, taps = [e.entry(rows, i) for i in range(lines)], lines * len(shifts)

    def image(planes: list[Any], sums: list[Any]) -> list[Any]:
        def body(piece: Any, masked: bool, sums: list[Any]) -> list[Any]:
            base, row = e.at(planes[1], e.entry(piece, 0)), e.at(masks, e.entry(piece, 3)) if masked else None
            taken = None if not masked else _mask(e, row, 0, 0, 1, 0) if IN_LANES else _bits(e, e.entry(piece, 2), 0)
            left, seen_by = e.load(e.at(planes[0], e.entry(piece, 1)), taken), e.at(row, before) if masked else None
            result = []
            for i, total in enumerate(sums):
                line, column = divmod(i, len(shifts))
                seen = _read(e, e.at(e.at(base, heights[line]), shifts[column]), step, seen_by, i)
                result.append(e.multiply_add(left, seen, total))
            return result

        return _both(e, pieces, inner, count, taps, sums, body)

    sums = e.loop(images, [g, x], [step_g, step_x], taps, image)
    tile._store_sums(e, sums, y, e.index(0), 1, taps, adding)
    e.builder.ret_void()


convolution._WRITERS.update(planes=_planes, plane_sums=_plane_sums)

# --- calling --------------------------------------------------------------------------------------------------------

if DISABLED:

    def _lanes(bits: int, step: int = 1) -> np.ndarray:
        """The lanes whose bits are set."""
        return np.flatnonzero(int(bits) >> np.arange(0, 63, step) & 1)

    def planes_tile(code: int, y: Any, at_y: int, x: Any, at_x: int, w: Any, at_w: int, bias: Any, at_bias: int,
                    plan: Any, pieces: int, masks: int, rows: int, sources: int, inner: int, count: int, shape: int) -> None:  # fmt: skip
        """y[place + kinds * lane + kind] = bias + sum over taps of that kind of w[source] * x[base + row + shift + step * lane], of each piece."""
        lines, step, kinds = plan[shape : shape + 3]
        sizes = plan[shape + 3 : shape + 3 + kinds]
        shifts = plan[shape + 3 + kinds :][: sizes.sum()]
        kind = np.repeat(np.arange(kinds), sizes)
        for base, place, bits, at in plan[pieces : pieces + PIECE * count].reshape(-1, PIECE):
            out = _lanes(bits)
            total = np.full(64, bias[at_bias], y.dtype)
            for i in range(lines * len(shifts)):
                line, column = divmod(i, len(shifts))
                seen = _lanes(plan[masks + at + i], step)
                source = at_x + base + plan[rows + line] + shifts[column]
                total[kinds * seen + kind[column]] += w[at_w + plan[sources + i]] * x[source + step * seen]
            y[at_y + place + out] = total[out]

    def plane_sums_tile(code: int, lines: int, y: Any, at_y: int, g: Any, at_g: int, x: Any, at_x: int, plan: Any, pieces: int, masks: int, rows: int,
                        before: int, inner: int, count: int, images: int, step_g: int, step_x: int, adding: int, shape: int) -> None:  # fmt: skip
        """y[tap] = (or +=) sum over images, pieces and lanes of g[place + lane] * x[base + row + shift + step * lane]."""
        _, step, _, columns = plan[shape : shape + 4]
        shifts = plan[shape + 4 : shape + 4 + columns]
        for i in range(lines * columns):
            total = y[at_y + i] if adding else y.dtype.type(0)
            for base, place, _, at in plan[pieces : pieces + PIECE * count].reshape(-1, PIECE):
                seen, image = _lanes(plan[masks + at + before + i], step), np.arange(images)[:, None]
                source = at_x + base + plan[rows + i // columns] + shifts[i % columns]
                total += (g[at_g + image * step_g + place + seen] * x[source + image * step_x + step * seen]).sum(dtype=y.dtype)
            y[at_y + i] = total

else:
    _call = tile._call

    @device
    def planes_tile(code, y, at_y, x, at_x, w, at_w, bias, at_bias, plan, pieces, masks, rows, sources, inner, count, shape):  # type: ignore[no-untyped-def]
        """y[place + kinds * lane + kind] = bias + sum over taps of that kind of w[source] * x[base + row + shift + step * lane], of each piece."""
        _call(code, y, at_y, x, at_x, w, at_w, bias, at_bias, plan, pieces, plan, masks, plan, rows, plan, sources, inner, count)

    @device
    def plane_sums_tile(code, lines, y, at_y, g, at_g, x, at_x, plan, pieces, masks, rows, before, inner, count, images, step_g, step_x, adding, shape):  # type: ignore[no-untyped-def]
        """y[tap] = (or +=) sum over images, pieces and lanes of g[place + lane] * x[base + row + shift + step * lane]."""
        _call(code, y, at_y, g, at_g, x, at_x, plan, pieces, plan, masks, plan, rows, before, inner, count, images, step_g, step_x, adding)
