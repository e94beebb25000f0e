"""Depthwise convolutions, where each output plane reads one input plane: forward, and the gradients of input and weight.

The plan cuts a plane into vectors (`numgrad.jit.depthwise`); planes are dealt to threads.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..jit import device, kernel, launch, prange
from ..jit.convolution import address, lanes
from ..jit.depthwise import place_of_masks, plane_sums_tile, planes_tile, table_of_masks
from .conv_axes import Axis, Phase, outer_sum

#: The most taps of a plane, and of a tile of the weight's gradient, where each has an accumulator.
_TAPS, _SUMS = 64, 25
#: About how many pieces follow one another in a sum before what is summed so far is set aside.
_PIECES = 2048

# Places in the plan, and in the entry of each combination of phases of depth and height.
PLANES, FEATURES, SHARING, PLANE_X, PLANE_Y, POSITIONS, ENTRIES, IMAGES, AT_ONCE, LINES, BEFORE, APART, HEAD = range(13)
INNER, COUNT, PIECES, MASKS, ROWS, SOURCES, SHAPE, CODE, ENTRY = range(9)


@device
def _plane(y, x, w, bias, g, plane):  # type: ignore[no-untyped-def]
    feature = plane % g[FEATURES]
    for i in range(g[ENTRIES]):
        at = HEAD + i * ENTRY
        planes_tile(g[at + CODE], y, plane * g[PLANE_Y], x, plane // g[SHARING] * g[PLANE_X], w, feature * g[POSITIONS], bias, min(feature, bias.size - 1),
                    g, g[at + PIECES], g[at + MASKS], g[at + ROWS], g[at + SOURCES], g[at + INNER], g[at + COUNT], g[at + SHAPE])  # fmt: skip


@kernel(writes=("y",))
def _planes(y, x, w, bias, g):  # type: ignore[no-untyped-def]
    for plane in prange(0, g[PLANES]):
        _plane(y, x, w, bias, g, np.int64(plane))


@device
def _taps_of_feature(w, grad, x, g, code, feature):  # type: ignore[no-untyped-def]
    step_y, step_x = g[FEATURES] * g[PLANE_Y], g[FEATURES] // g[SHARING] * g[PLANE_X]
    at_y, at_x, columns = feature * g[PLANE_Y], feature // g[SHARING] * g[PLANE_X], g[g[HEAD + SHAPE] + 3]
    for line in range(0, g[POSITIONS] // columns, g[LINES]):
        for image in range(0, g[IMAGES], g[AT_ONCE]):
            plane_sums_tile(code, g[LINES], w, feature * g[POSITIONS] + line * columns, grad, at_y + image * step_y, x, at_x + image * step_x,
                            g, g[HEAD + PIECES], g[HEAD + MASKS], g[HEAD + ROWS] + line, g[BEFORE] + line * columns * g[APART],
                            g[HEAD + INNER], g[HEAD + COUNT], min(g[AT_ONCE], g[IMAGES] - image), step_y, step_x, image, g[HEAD + SHAPE])  # fmt: skip


@kernel(writes=("w",))
def _taps(w, grad, x, g, code):  # type: ignore[no-untyped-def]
    for feature in prange(0, g[FEATURES]):
        _taps_of_feature(w, grad, x, g, code, np.int64(feature))


class Plan(NamedTuple):
    """What the kernels read, and how many multiplications they do."""

    numbers: np.ndarray
    work: int


def suits(axes: Sequence[Axis], groups: int, channels: int, features: int, dtype: np.dtype) -> bool:
    """Whether a correlation from `channels` to `features` a group can run here."""
    last, most = axes[2], math.prod(a.kernel for a in axes)
    whole = (last.step, last.out_step) in ((1, 1), (2, 1), (1, 2)) and len(last.phases) == last.out_step
    return dtype.kind == "f" and channels == 1 and groups > 1 and features <= 4 and 0 < most <= _TAPS and whole


def _runs(axes: Sequence[Axis], phases: Sequence[Phase], dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """The coordinates of each lane of each piece (3, pieces, lanes), and whether the lane is used."""
    counts, size = [phases[0].count, phases[1].count, axes[2].count], lanes(dtype)
    length, line = counts[2], 1
    for i in (1, 0):  # lines that follow one another in what is read and what is written are one
        same = axes[i + 1].size == axes[i + 1].out and axes[i + 1].step == axes[i].step == axes[i].out_step == axes[i + 1].out_step == 1
        if not same or line != math.prod(counts[i + 2 :] if i == 0 else []):
            break
        length, line = length * counts[i], line * counts[i + 1]
    runs, each = math.prod(counts) // length, -(-length // size)
    place = np.arange(each * size).reshape(each, size)
    used = np.broadcast_to(place < length, (runs, each, size)).reshape(-1, size)
    place = (np.minimum(place, length - 1) + np.arange(runs)[:, None, None] * length).reshape(-1, size)
    return np.stack([place // (counts[1] * counts[2]), place // counts[2] % counts[1], place % counts[2]]), used


def _masks(axes: Sequence[Axis], phases: Sequence[Sequence[Phase]], places: np.ndarray, used: np.ndarray) -> np.ndarray:
    """For each piece and tap, the lanes that see the image, as bits."""
    inside: list[list[np.ndarray]] = []
    for axis, kinds, place in zip(axes, phases, places, strict=True):
        seen = [place * axis.step + shift for kind in kinds for _, shift in kind.taps]
        inside.append([(s >= 0) & (s < axis.size) for s in seen])
    weights = np.int64(1) << np.arange(used.shape[1]) * axes[2].step
    bits = [((a & b & c & used) * weights).sum(1) for a in inside[0] for b in inside[1] for c in inside[2]]
    return np.stack(bits, 1) if bits else np.zeros((len(used), 0), np.int64)


def _pieces(axes: Sequence[Axis], phases: Sequence[Phase], dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, int]:
    """The pieces of one combination of phases, the different rows of masks, and how many pieces need none."""
    places, used = _runs(axes, phases, dtype)
    last, size = axes[2], lanes(dtype)
    bits = _masks(axes, [[phases[0]], [phases[1]], last.phases], places, used)
    kinds, column = len(last.phases), places[2]
    first = places[:, :, 0]
    lines_x, lines_y = (axes[1].size * last.size, last.size, 1), (axes[1].out * last.out, last.out, 1)
    base = sum(p * a.step * n for p, a, n in zip(first, axes, lines_x, strict=True))
    starts = (phases[0].start, phases[1].start, 0)
    place = sum((s + p * a.out_step) * n for s, p, a, n in zip(starts, first, axes, lines_y, strict=True))
    written = [used & (column < kind.count) for kind in last.phases]
    out = sum((k * (np.int64(1) << (np.arange(size) * kinds + i))).sum(1) for i, k in enumerate(written))
    full = (bits == ((np.int64(1) << np.arange(size) * last.step).sum())).all(1) & np.logical_and.reduce([w.all(1) for w in written])
    order = np.argsort(~full, kind="stable")
    rows, which = np.unique(np.concatenate([bits, out[:, None]], 1), axis=0, return_inverse=True)
    masks = table_of_masks(rows[:, :-1], rows[:, -1], last.step, kinds, dtype)
    table = np.stack([base, place, out, which.reshape(-1) * masks.shape[1]], 1)
    return table[order], masks, int(full.sum())


def _entry(entry: np.ndarray, at: int, axes: Sequence[Axis], phases: Sequence[Phase], dtype: np.dtype) -> list[np.ndarray]:
    """Describe one combination of phases of depth and height; returns its tables, which will lie at `at`."""
    table, masks, inner = _pieces(axes, phases, dtype)
    kinds = axes[2].phases
    shifts = [shift for kind in kinds for _, shift in kind.taps]
    low = min(shifts, default=0)
    zero = [np.zeros(1, np.int64)]
    rows = outer_sum([*(np.array([s for _, s in p.taps], np.int64) * n for p, n in zip(phases, (axes[1].size * axes[2].size, axes[2].size), strict=True)), *zero]) + low
    across = np.array([k for kind in kinds for k, _ in kind.taps], np.int64)
    steps = (axes[1].kernel * axes[2].kernel, axes[2].kernel)
    sources = outer_sum([*(np.array([k for k, _ in p.taps], np.int64) * n for p, n in zip(phases, steps, strict=True)), across])
    numbers = [axes[2].step, len(kinds), *(len(kind.taps) for kind in kinds), *(s - low for s in shifts)]
    tables = [table, masks, rows, sources, np.array([len(rows), *numbers], np.int64)]
    entry[INNER], entry[COUNT], entry[CODE] = inner, len(table), address("planes", dtype, len(rows), *numbers)
    for place, part in zip((PIECES, MASKS, ROWS, SOURCES, SHAPE), tables, strict=True):
        entry[place] = at
        at += part.size
    return [t.reshape(-1) for t in tables]


def make(axes: Sequence[Axis], images: int, groups: int, features: int, dtype: np.dtype) -> Plan:
    """The plan of a correlation of `groups` planes an image, each with `features` kernels."""
    numbers = np.zeros(HEAD + ENTRY * len(axes[0].phases) * len(axes[1].phases), np.int64)
    tables, at = [], len(numbers)
    for i, phases in enumerate(itertools.product(axes[0].phases, axes[1].phases)):
        tables += _entry(numbers[HEAD + i * ENTRY : HEAD + (i + 1) * ENTRY], at, axes, phases, dtype)
        at = len(numbers) + sum(map(len, tables))
    positions, size = math.prod(a.kernel for a in axes), math.prod(a.out for a in axes)
    heads = {
        PLANES: images * groups * features, FEATURES: groups * features, SHARING: features, PLANE_X: math.prod(a.size for a in axes), PLANE_Y: size,
        POSITIONS: positions, ENTRIES: (len(numbers) - HEAD) // ENTRY, IMAGES: images, AT_ONCE: max(1, _PIECES // max(1, int(numbers[HEAD + COUNT]))),
    }  # fmt: skip
    for place, value in heads.items():
        numbers[place] = value
    if axes[2].out_step == 1:
        lines, columns = positions // axes[2].kernel, axes[2].kernel
        numbers[BEFORE], numbers[APART] = place_of_masks(axes[2].step, 1)
        numbers[LINES] = max((n for n in range(1, lines + 1) if lines % n == 0 and n * columns <= _SUMS), default=1)
    return Plan(np.concatenate([numbers, *tables]), images * groups * features * size * positions // 8)


_zero = {np.dtype(d): np.zeros(1, d) for d in ("f4", "f8")}


def correlate(y: np.ndarray, x: np.ndarray, w: np.ndarray, bias: np.ndarray, plan: Plan) -> None:
    """Write into y the correlation of x with w that a plan describes; all of them in one dimension."""
    launch(_planes, y, x, w, bias if bias.size else _zero[y.dtype], plan.numbers, work=plan.work)


def weight_gradient(w: np.ndarray, grad: np.ndarray, x: np.ndarray, plan: Plan) -> None:
    """Write into w the gradient of (groups, 1, kernel); all arrays in one dimension."""
    shape = int(plan.numbers[HEAD + SHAPE])
    step, columns = int(plan.numbers[shape + 1]), int(plan.numbers[shape + 3])
    shifts = plan.numbers[shape + 4 : shape + 4 + columns].tolist()
    launch(_taps, w, grad, x, plan.numbers, address("plane_sums", w.dtype, int(plan.numbers[LINES]), step, *shifts), work=plan.work)
