"""How a convolution, or the gradient of its input, is cut into tasks and tiles: tables of places, made once for each combination
of shapes, so that the kernel that reads them is short.

Both are a correlation along each dimension (`conv_axes`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..jit import DISABLED
from ..jit.convolution import SHORT, TILES, address, lanes, rows_for
from .conv_axes import Axis, Phase, inside_of, merged, outer_sum, share_inside

#: Bytes of the region of an image that a task reads, and of the weights it multiplies with: they share the second-level cache.
_REGION, _WEIGHTS = 1 << 19, 1 << 19
#: Bytes of what several phases write together before it is transposed.
_TOGETHER = 1 << 18
#: Multiplications of a task, at least, where there would be fewer than _TASKS.
_GRAIN, _TASKS = 1 << 17, 16

# Places in the plan.
(TASKS, IMAGES, GROUPS, CHUNKS, CHANNELS, FEATURES, PLANE_X, PLANE_Y, IN_PLACE, CHANNEL_KIND, ROWS, VECTORS, WIDTH, PANELS, PANELS_AT_ONCE,
 CODE, TRANSPOSE, COPY, SCRATCH, OUT, STEP_OUT, STEP_X, PLANE, GROUP_PACKED, GROUP_W, STEP_W, STRETCH, STEP, PHASES,
 TOGETHER, STEP_ROW, PANEL, AT_ONCE) = range(33)  # fmt: skip
SIZE, ORIGIN, ADVANCE, REGION = 33, 36, 39, 42  # triples: depth, height, width
TAIL, TAIL_TABLE, STRIP = 45, 46, 47  # a tail and its table (`numgrad.jit.tail`); places of a plane that a chunk fills, one after the other, or 0
PHASE = 48  # where the phases' entries begin
# Places in an entry of a phase; what belongs to a chunk comes for a whole chunk and for the last one.
DEPTH, OFFSETS, SOURCES, RUN, PACKED, DENSE, COUNT, TABLE, PLACES, REACH, OUTS, RANGES, ROW_OF, ENTRY = 0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 17, 18


class _Tile(NamedTuple):
    """Which orientation, and the size of a tile; `width` output channels are a panel of packed weights."""

    channels: bool
    rows: int
    vectors: int
    width: int
    run: int = 1  # neighbouring pixels that share a pointer


def _choose_tile(axes: Sequence[Axis], features: int, dtype: np.dtype) -> _Tile:
    """The orientation that leaves fewer lanes idle."""
    vector, last = lanes(dtype), axes[-1]
    along = max(1, last.count) / (-(-max(1, last.count) // vector) * vector)
    across = 0.9 * features / (-(-features // vector) * vector) if dtype.kind == "f" else 0
    # Vectors along pixels cannot be read with gaps, and are slow to write with gaps.
    if last.step > 1 or across > along / (1 if last.out_step == 1 else 2):
        blocks = -(-features // vector)
        vectors = blocks if blocks <= 3 else min((2, 3), key=lambda v: -(-blocks // v) * v)
        rows, run = _rows_of_pixels(axes, vectors)
        return _Tile(True, rows, vectors, vectors * vector, run)
    rows, vectors = _rows_of_features(axes, features, vector)
    return _Tile(False, rows, vectors, rows)


def _rows_of_features(axes: Sequence[Axis], features: int, vector: int) -> tuple[int, int]:
    """Rows and vectors of a tile of vectors of pixels."""
    if not TILES:
        rows = -(-features // -(-features // rows_for(2)))
        return rows, max(v for v in (2, 3, 4, 5, 6) if v == 2 or rows_for(v) >= rows)
    # The one that computes least beyond the edges of the output. More panels take longer to pack, and each reads the image again.
    pieces = math.prod(max(1, a.count) for a in axes[:2]) * -(-max(1, axes[2].count) // vector)

    def time(rows: int, vectors: int) -> float:
        return -(-features // rows) * -(-pieces // vectors) * (max(rows * vectors, 8) + 1) * (1 + 0.2 / rows)

    rows, vectors = min(TILES, key=lambda c: time(*c))
    return -(-features // -(-features // rows)), vectors


def _rows_of_pixels(axes: Sequence[Axis], vectors: int) -> tuple[int, int]:
    """Rows of a tile, and how many neighbours share a pointer: a divisor of the width, so that runs never cross lines."""
    pixels = max(1, math.prod(a.count for a in axes))
    width = math.gcd(*(p.count for p in axes[-1].phases)) if pixels > axes[-1].count else 1
    most = min(rows_for(vectors), 24)

    def time(rows: int, run: int) -> float:
        return -(-pixels // rows) * (max(rows * vectors, rows + vectors + 2, 12) + 2 * vectors)

    choices = [(run * count, run) for run in range(1, most + 1) if max(1, width) % run == 0 for count in range(1, min(8, most // run) + 1)]
    return min(choices, key=lambda c: (time(*c), c[0] // c[1]))


class Plan(NamedTuple):
    """What the kernels read, and the memory they need."""

    numbers: np.ndarray
    packed: int
    scratch: int
    work: int


class Layout:
    """The region of an image that a chunk of output places reads, and where in memory its places are."""

    def __init__(self, axes: Sequence[Axis], channels: int, chunk: int, split: int, dtype: np.dtype, in_place: bool = True):
        self.axes, self.split, self.chunk = axes, split, chunk
        self.in_place = in_place and all(a.inside for a in axes)
        self.phases = [a.phases[0] for a in axes]
        self.region = [(min(chunk, a.count) if i == split else a.count) * a.step - a.step + a.span + 1 for i, a in enumerate(axes)]
        line = 64 // dtype.itemsize
        self.lines = [self.region[1] * self.region[2], self.region[2], 1]
        self.plane = self.region_size = math.prod(self.region)
        if self.plane > 16 * line:  # planes an odd number of cache lines apart do not compete for one place in the cache
            self.plane = (-(-self.plane // line) | 1) * line
        if self.in_place:
            self.lines, self.plane = [axes[1].size * axes[2].size, axes[2].size, 1], math.prod(a.size for a in axes)
        self.at_once, self.image = 1, channels * self.plane
        self.size = 0 if self.in_place else self.image + 8 * line
        self.out_lines = [axes[1].out * axes[2].out, axes[2].out, 1]

    def put_together(self, images: int) -> None:
        """Let a task have the regions of several images, one after the other."""
        self.at_once, self.size = images, self.size + (images - 1) * self.image

    def shifts(self, phases: Sequence[Phase]) -> np.ndarray:
        """Where each combination of taps is, from the place of an output."""
        parts = [np.array([shift - (0 if self.in_place else a.low) for _, shift in p.taps], np.int64) * line
                 for a, p, line in zip(self.axes, phases, self.lines, strict=True)]  # fmt: skip
        return outer_sum(parts)

    def counts(self, phases: Sequence[Phase], last: bool) -> list[int]:
        """Output places of a phase in a chunk."""
        counts = [p.count for p in phases]
        whole = self.chunk * (-(-max(1, self.axes[self.split].count) // self.chunk) - 1)
        counts[self.split] = max(0, counts[self.split] - whole) if last else min(self.chunk, counts[self.split])
        return counts

    def places(self, phases: Sequence[Phase], counts: Sequence[int], every: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Where the first tap of each output place is, and where the output is; of rows only every `every`-th place."""
        along = [np.arange(0, n, every if i == 2 else 1, dtype=np.int64) for i, n in enumerate(counts)]
        bases = outer_sum([t * a.step * line for t, a, line in zip(along, self.axes, self.lines, strict=True)])
        outs = outer_sum([(p.start + t * a.out_step) * line for p, t, a, line in zip(phases, along, self.axes, self.out_lines, strict=True)])
        return bases, outs


def _padded(table: np.ndarray, multiple: int) -> np.ndarray:
    """The last row again until the number of rows is a multiple."""
    return np.concatenate([table, np.repeat(table[-1:], -len(table) % multiple, 0)])


def _cut(axes: Sequence[Axis], images: int, channels: int, panels: int, depth: int, tile: _Tile, dtype: np.dtype) -> tuple[int, int, int]:
    """The dimension that is cut into chunks, the places of a chunk, and the panels of weights of a task."""
    split = next((i for i, a in enumerate(axes) if a.count > 1), 2)
    count, step, span = max(1, axes[split].count), axes[split].step, axes[split].span
    pixels = math.prod(max(1, a.count) for a in axes)
    others = channels * math.prod(a.count * a.step + a.span for i, a in enumerate(axes) if i != split) * dtype.itemsize
    chunk = min(count, max(1, (_REGION // max(1, others) - span) // step))
    if _together(axes, tile, dtype):
        place = axes[split].out_step * math.prod(a.out for a in axes[split + 1 :]) * tile.width * dtype.itemsize
        chunk = min(chunk, max(1, _TOGETHER // place))
    at_once = max(1, min(panels, _WEIGHTS // max(1, depth * tile.width * dtype.itemsize)))
    wanted = min(_TASKS, images * panels * tile.width * depth * pixels // _GRAIN)
    tasks = images * -(-panels // at_once) * -(-count // chunk)
    if tasks < wanted:
        least = max(1, 2 * span // step)
        chunk = min(chunk, max(-(-count * tasks // (wanted * -(-count // chunk))), min(least, count)))
        tasks = images * -(-panels // at_once) * -(-count // chunk)
    if tasks < wanted:
        at_once = max(1, at_once * tasks // wanted)
    at_once = -(-panels // -(-panels // at_once))
    if not tile.channels and chunk < count:  # whole tiles
        unit = lanes(dtype) * tile.vectors if split == 2 else _whole_tiles(axes, split, tile, dtype)
        chunk = -(-chunk // unit) * unit
    return split, chunk, at_once


def _whole_tiles(axes: Sequence[Axis], split: int, tile: _Tile, dtype: np.dtype) -> int:
    """How many places of the dimension that is cut fill tiles, if few do."""
    pieces = math.prod(max(1, a.count) for a in axes[split + 1 : 2]) * -(-max(1, axes[2].count) // lanes(dtype))
    return tile.vectors // math.gcd(tile.vectors, pieces) if TILES else 1


def _together(axes: Sequence[Axis], tile: _Tile, dtype: np.dtype) -> bool:
    """Whether the phases of a chunk fill a part of the output that has no gaps, so that it can be transposed at once."""
    split = next((i for i, a in enumerate(axes) if a.count > 1), 2)
    phases = math.prod(len(a.phases) for a in axes)
    return tile.channels and dtype.kind == "f" and phases > 1 and all(a.out == 1 for a in axes[:split])


def make(axes: Sequence[Axis], images: int, groups: int, channels: int, features: int, of_group: int, step_w: int, step_k: int, dtype: np.dtype) -> Plan:
    """The plan of a correlation. The weight of (group, feature, channel, position) is at group * of_group + feature * step_w +
    channel * step_k + position."""
    axes = merged(axes)
    tile = _choose_tile(axes, features, dtype)
    panels = -(-features // tile.width)
    taps = [math.prod(len(p.taps) for p in phases) for phases in itertools.product(*(a.phases for a in axes))]
    split, chunk, at_once = _cut(axes, images * groups, channels, panels, channels * max(taps), tile, dtype)
    layout = Layout(axes, channels, chunk, split, dtype)
    chunks = -(-max(1, axes[split].count) // chunk)
    layout.put_together(_images_of_tile(layout, tile, images, groups, len(taps), dtype))
    tasks = images // layout.at_once * groups * chunks * -(-panels // at_once)
    numbers = np.zeros(PHASE + ENTRY * len(taps), np.int64)
    kind = "channels" if tile.channels else "pixels"
    together, step_out = _together(axes, tile, dtype), chunk * axes[split].out_step * layout.out_lines[split]
    out = tile.width * (step_out if together else tile.rows * lanes(dtype)) if tile.channels else 0
    line = 64 // dtype.itemsize
    scratch = (-(-(layout.size + out) // line) | 1) * line
    fast = dtype.kind == "f" and not DISABLED
    packed, tables, at = 0, [], len(numbers)
    combinations = list(itertools.product(*(a.phases for a in axes)))
    for i, phases in enumerate(combinations):
        entry = numbers[PHASE + i * ENTRY : PHASE + (i + 1) * ENTRY]
        entry[PACKED] = packed
        added = _fill_entry(entry, at, layout, phases, tile, channels, features, step_k, dtype)
        packed += panels * (1 + int(entry[DEPTH])) * tile.width
        tables += added
        at += sum(map(len, added))
    heads = {
        TASKS: tasks, IMAGES: images, GROUPS: groups, CHUNKS: chunks, CHANNELS: channels, FEATURES: features,
        PLANE_X: math.prod(a.size for a in axes), PLANE_Y: math.prod(a.out for a in axes), IN_PLACE: layout.in_place,
        CHANNEL_KIND: tile.channels, ROWS: tile.rows, VECTORS: tile.vectors, WIDTH: tile.width, PANELS: panels, PANELS_AT_ONCE: at_once,
        CODE: address(kind, dtype, tile.rows, tile.vectors, *((tile.run, axes[-1].step) if tile.channels else (axes[-1].out_step,))), TRANSPOSE: address("transpose", dtype) if fast else 0,
        PANEL: address("panel", dtype, tile.width, int(_leaves_out(layout, tile, dtype))) if fast and SHORT and tile.width % lanes(dtype) else 0,
        COPY: address("copy", dtype), SCRATCH: scratch, OUT: layout.size,
        STEP_OUT: step_out, TOGETHER: together, STEP_ROW: axes[-1].out_step if together or not tile.channels else 1, STEP_X: chunk * axes[split].step * layout.lines[split],
        PLANE: layout.plane, GROUP_PACKED: packed, GROUP_W: of_group, STEP_W: step_w, STRETCH: tile.run, STEP: axes[-1].step, PHASES: len(combinations), AT_ONCE: layout.at_once,
        STRIP: step_out if all(a.out == 1 for a in axes[:split]) else math.prod(a.out for a in axes) if chunks == 1 else 0,
    }  # fmt: skip
    for place, value in heads.items():
        numbers[place] = value
    for i, a in enumerate(axes):
        numbers[SIZE + i], numbers[ORIGIN + i], numbers[REGION + i] = a.size, a.low, layout.region[i]
        numbers[ADVANCE + i] = chunk * a.step if i == split else 0
    work = images * groups * features * channels * sum(
        t * math.prod(p.count for p in phases) for t, phases in zip(taps, combinations, strict=True)) // 8  # fmt: skip
    return Plan(np.concatenate([numbers, *tables]), groups * packed, scratch, work)


def _fill_entry(entry: np.ndarray, at: int, layout: Layout, phases: Sequence[Phase], tile: _Tile, channels: int, features: int, step_k: int,
                dtype: np.dtype) -> list[np.ndarray]:  # fmt: skip
    """Describe one phase; returns its tables, which will lie at `at`."""
    tables: list[np.ndarray] = []

    def put(table: np.ndarray) -> int:
        tables.append(table.reshape(-1))
        return at + sum(map(len, tables[:-1]))

    def ordered(table: np.ndarray) -> np.ndarray:
        """(channels, taps) in a row, kernel rows first where a tile leaves some of them out."""
        shape = channels, len(phases[0].taps), len(phases[1].taps), len(phases[2].taps)
        return (table.reshape(shape).transpose(2, 0, 1, 3) if by_rows else table).reshape(-1)

    channel, by_rows = np.arange(channels, dtype=np.int64)[:, None], _leaves_out(layout, tile, dtype)
    offsets = ordered(channel * layout.plane + layout.shifts(phases))
    kernel = [a.kernel for a in layout.axes]
    positions = outer_sum([np.array([k for k, _ in p.taps], np.int64) * n for p, n in zip(phases, (kernel[1] * kernel[2], kernel[2], 1), strict=True)])
    sources = ordered(channel * step_k + positions)
    entry[DEPTH], entry[OFFSETS] = len(offsets), put(offsets)
    if by_rows:  # weights are packed in the order they lie in
        row_of = np.argsort(sources)
        entry[RANGES], entry[ROW_OF], sources = put(_ranges(layout, phases, tile, channels, dtype)), put(row_of), sources[row_of]
    entry[SOURCES], entry[RUN] = put(sources), _run(sources)
    for last in (False, True):
        counts = layout.counts(phases, last)
        if not tile.channels:
            bases, outs = layout.places(phases, counts, lanes(dtype))
            left = np.minimum(lanes(dtype), counts[2] - np.arange(0, counts[2], lanes(dtype)))
            left = np.tile(left, len(bases) // max(1, len(left)))
            if SHORT and counts[2] >= lanes(dtype):  # the last one of a row begins earlier: whole vectors are stored faster
                bases, outs = (a - (lanes(dtype) - left) * step for a, step in ((bases, layout.axes[2].step), (outs, layout.axes[2].out_step)))
                left[:] = lanes(dtype)
            pieces = np.stack([bases, outs, left], 1).reshape(-1, 1, max(1, -(-counts[2] // lanes(dtype))), 3)
            image = np.array([layout.image, features * math.prod(a.out for a in layout.axes), 0], np.int64)
            pieces = (pieces + np.arange(layout.at_once)[:, None, None] * image).reshape(-1, 3)
            table = _padded(pieces, tile.vectors)
            table[len(pieces) :, 2] = 0
        else:
            bases, outs = layout.places(phases, counts)
            table = _padded(bases[:: tile.run], tile.rows // tile.run)
            rows = outs if _together(layout.axes, tile, dtype) else np.arange(len(outs))
            entry[OUTS + last] = put(_padded(rows[:: tile.run], tile.rows // tile.run))
            entry[DENSE] = layout.axes[1].out_step == layout.axes[2].out_step == layout.axes[0].out_step == 1
        entry[COUNT + last], entry[TABLE + last], entry[PLACES + last] = len(bases) * layout.at_once, put(table), put(outs)
        entry[REACH + last] = (bases.max(initial=0) + offsets.max(initial=0) + lanes(dtype)) if len(bases) else 0
    return tables


def _leaves_out(layout: Layout, tile: _Tile, dtype: np.dtype) -> bool:
    """Whether tiles leave out kernel rows that are outside of the image: where each is of one row of the output, if that is worth it."""
    axis, across = layout.axes[1], [-(-p.count // lanes(dtype)) for p in layout.axes[2].phases]
    if tile.channels or not SHORT or layout.split == 2 or any(n == 0 or n * layout.at_once % tile.vectors for n in across):
        return False
    return share_inside(axis) < 0.97


def _images_of_tile(layout: Layout, tile: _Tile, images: int, groups: int, phases: int, dtype: np.dtype) -> int:
    """How many images a tile has the same row of, where that fills it and kernel rows can be left out."""
    axis, across = layout.axes[1], -(-layout.axes[2].count // lanes(dtype))
    several = SHORT and not tile.channels and not layout.in_place and groups == phases == 1
    count = tile.vectors // max(1, across)
    fits = several and layout.split != 2 and across * count == tile.vectors and images % count == 0 and images >= 8 * count
    return count if fits and layout.chunk >= layout.axes[layout.split].count and share_inside(axis) < 0.97 else 1


def _ranges(layout: Layout, phases: Sequence[Phase], tile: _Tile, channels: int, dtype: np.dtype) -> np.ndarray:
    """For each tile, where those of its multiplications begin and end whose kernel row is inside of the image."""
    inside = inside_of(layout.axes[1], phases[1])
    inside = np.concatenate([np.zeros((len(inside), 1), bool), inside], 1)
    seen = inside.any(1)
    first = np.where(seen, inside.argmax(1) - 1, 0)
    stop = np.where(seen, inside.shape[1] - 1 - inside[:, ::-1].argmax(1), 0)
    ranges = np.stack([first, stop], 1) * channels * len(phases[0].taps) * len(phases[2].taps)
    return np.tile(np.repeat(ranges, -(-phases[2].count // lanes(dtype)) * layout.at_once // tile.vectors, 0), (phases[0].count, 1)).reshape(-1)


def _run(sources: np.ndarray) -> int:
    """Every how many of them the sources are not neighbours."""
    breaks = np.flatnonzero(np.diff(sources) != 1) + 1
    run = int(breaks[0]) if len(breaks) else len(sources)
    return run if run and len(sources) % run == 0 and (np.diff(sources.reshape(-1, run), axis=1) == 1).all() else 1
