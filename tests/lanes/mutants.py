"""Mutants of every gradient rule."""

from __future__ import annotations

import os

os.environ["NUMBA_DISABLE_JIT"] = "1"

from ..long import Tally
from ..mutate import mutate_all, sampled


def run(budget: float) -> Tally:
    """Wrong gradients planted in every rule (sign, factor 1.001, dropped term, wrong axis, swapped, deleted): all must be caught."""
    found = mutate_all(sampled(), budget)
    print(found.tally())
    counted = [m for m in found if not m.equivalent]
    return Tally("mutants of gradient rules", len(counted), [str(m) for m in found.survivors])
