"""Checks of what is drawn from. Kernels note where they are wrong, so that a recorded step checks them again at each replay."""

from __future__ import annotations

import math

import numpy as np

from ..jit import device, empty, kernel, launch, prange, verify
from ..jit.codegen import TILE
from .bounds import slots
from .elementwise import copied

_WEIGHTS = (
    "probability tensor contains either `inf`, `nan` or element < 0",
    "invalid multinomial distribution (sum of probabilities <= 0)",
)
_FEW = "invalid multinomial distribution (with replacement=False, not enough non-negative category to sample)"


@device
def _outside_tile(bad, unit, x, low, high):  # type: ignore[no-untyped-def]
    found = False
    for j in range(x.size):
        found |= not (x[j] >= low and x[j] <= high)
    bad[unit] = 0 if found else -1


@kernel
def _outside(bad, x, low, high):  # type: ignore[no-untyped-def]
    """For each tile of the input, 0 if an element is not in [low, high] (NaN is not), else -1."""
    for unit in prange(0, bad.size):
        _outside_tile(bad, unit, x[unit * TILE : min(x.size, (unit + 1) * TILE)], low, high)


@kernel
def _unfit(bad, weights):  # type: ignore[no-untyped-def]
    """For each row: 0 if a weight is negative or not finite, 1 if none is positive, else -1."""
    for row in prange(0, bad.size):
        total, wrong = 0.0, False
        for k in range(weights.shape[1]):
            wrong |= not (weights[row, k] >= 0 and weights[row, k] < math.inf)
            total += weights[row, k]
        bad[row] = 0 if wrong else -1 if total > 0 else 1


@kernel
def _without_weight(bad, weights, chosen):  # type: ignore[no-untyped-def]
    """For each row, 0 if something was chosen that has no weight, else -1."""
    for row in prange(0, bad.size):
        bad[row] = -1
        for i in range(chosen.shape[1]):
            if weights[row, chosen[row, i]] == 0:
                bad[row] = 0


def _refuse(bad: np.ndarray, *messages: str) -> None:
    """RuntimeError with the message of the least number that a kernel noted."""

    def complain(bad: np.ndarray) -> None:
        raise RuntimeError(messages[int(bad[bad >= 0].min())])

    verify(bad, complain)


def check_between(x: np.ndarray, low: float, high: float, message: str) -> None:
    """RuntimeError with this message if an element is not in [low, high]."""
    flat = (x if x.flags.c_contiguous else copied(x)).reshape(-1)
    bad = slots(flat.size)
    launch(_outside, bad, flat, low, high, work=flat.size)
    _refuse(bad, message)


def check_weights(weights: np.ndarray) -> None:
    """RuntimeError if a row of these is no distribution, whatever its sum."""
    bad = empty(len(weights), np.int64)
    launch(_unfit, bad, weights, work=weights.size)
    _refuse(bad, *_WEIGHTS)


def check_chosen(weights: np.ndarray, chosen: np.ndarray) -> None:
    """RuntimeError if a row had fewer choices than were asked for."""
    bad = empty(len(weights), np.int64)
    launch(_without_weight, bad, weights, chosen, work=chosen.size)
    _refuse(bad, _FEW)
