"""The gradient of the weight of a depthwise convolution: a dot product of two planes for each tap, as the forward plan lays them out."""

from __future__ import annotations

import numpy as np

from ..jit import device, empty, get_num_threads, kernel, launch, prange
from ..jit.convolution import address, dots_tile
from .conv_plan import (
    CHANNEL_KIND,
    CHUNKS,
    COUNT,
    DEPTH,
    GROUPS,
    IMAGES,
    IN_PLACE,
    OFFSETS,
    PHASE,
    PLANE_X,
    PLANE_Y,
    SCRATCH,
    STEP_OUT,
    STEP_X,
    TABLE,
    Plan,
)
from .correlate import copy_region

#: The most taps of a tile: each has an accumulator.
_TAPS = 25


@device
def _taps_of_group(w, grad, x, scratch, g, code, taps, lane, group):  # type: ignore[no-untyped-def]
    depth = g[PHASE + DEPTH]
    for i in range(depth):
        w[group * depth + i] = 0
    for image in range(g[IMAGES]):
        slab = image * g[GROUPS] + group
        for chunk in range(g[CHUNKS]):
            last = 1 if chunk == g[CHUNKS] - 1 else 0
            source, at_x, at_y = x, slab * g[PLANE_X] + chunk * g[STEP_X], slab * g[PLANE_Y] + chunk * g[STEP_OUT]
            if not g[IN_PLACE]:
                copy_region(scratch, lane * g[SCRATCH], x, slab * g[PLANE_X], g, chunk)
                source, at_x = scratch, lane * g[SCRATCH]
            for tap in range(0, depth, taps):
                dots_tile(code, taps, w, group * depth + tap, grad, at_y, source, at_x, g, g[PHASE + OFFSETS] + tap, g[PHASE + TABLE + last], g[PHASE + COUNT + last])


@kernel
def _taps(w, grad, x, scratch, g, code, taps, lanes):  # type: ignore[no-untyped-def]
    for lane in prange(lanes):
        for group in range(np.int64(lane) * g[GROUPS] // lanes, (np.int64(lane) + 1) * g[GROUPS] // lanes):
            _taps_of_group(w, grad, x, scratch, g, code, taps, np.int64(lane), group)


def suits(plan: Plan, groups: int) -> bool:
    """Whether the forward plan of a convolution with one channel and one feature a group lets `weight_gradient` run on it."""
    return not plan.numbers[CHANNEL_KIND] and groups >= 4


def weight_gradient(w: np.ndarray, grad: np.ndarray, x: np.ndarray, plan: Plan) -> None:
    """Write into w the gradient of (groups, 1, kernel); all arrays in one dimension."""
    depth = int(plan.numbers[PHASE + DEPTH])
    taps = max(n for n in range(1, _TAPS + 1) if depth % n == 0)
    lanes = min(get_num_threads(), int(plan.numbers[GROUPS]))
    launch(_taps, w, grad, x, empty(lanes * plan.scratch, w.dtype), plan.numbers, address("dots", w.dtype, taps), taps, lanes, work=plan.work)
