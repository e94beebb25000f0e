"""Hypothesis looks for inputs that break an op: every op, every check of the generic test, 1,000,000 examples.

A run that was stopped goes on where it was; `LANE_SECONDS` stops it by itself.
"""

from __future__ import annotations

import os

os.environ["NUMBA_DISABLE_JIT"] = "1"  # nothing to compile, so an example costs milliseconds

import json
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings

from numgrad.ops import REGISTRY
from numgrad.ops.record import Op
from numgrad.testing import checks
from numgrad.testing.dtype_checks import check_dtypes
from numgrad.testing.inplace_checks import check_inplace
from numgrad.testing.strategies import cases, draws

from ..long import Tally

TOTAL = 1_000_000
PROGRESS = Path(__file__).parent.parent.parent / ".pytest_cache" / "examples.json"

#: check -> its part of the examples, what runs it, and the inputs that hypothesis chooses.
CHECKS: dict[str, tuple[float, Callable[..., None], Callable[[Op], Any]]] = {
    "value": (0.4, checks.check_value, lambda op: cases(op)),
    "value of float32": (0.2, checks.check_value, lambda op: cases(op, np.float32)),
    "gradient": (0.1, checks.check_gradient, lambda op: cases(op)),
    "second gradient": (0.04, checks.check_second_gradient, lambda op: cases(op)),
    "layouts": (0.06, checks.check_layouts, lambda op: cases(op)),
    "in place": (0.06, check_inplace, lambda op: cases(op)),
    "dtypes": (0.14, check_dtypes, lambda op: draws(np.float32)),
}


class Progress:
    """How far a run has come, on disk, so that one that was stopped goes on."""

    def __init__(self, goal: int, work: list[tuple[str, str]]):
        self.goal, self.key = goal, f"{goal} examples of {len(work)} checks"
        self.position, self.count, self.failures = 0, 0, []
        if PROGRESS.exists():
            found = json.loads(PROGRESS.read_text(encoding="utf-8"))
            if found["key"] == self.key:
                self.position, self.count, self.failures = found["position"], found["count"], found["failures"]

    def save(self) -> None:
        """Keep it; or forget it, once the goal is reached."""
        if self.count >= self.goal:
            PROGRESS.unlink(missing_ok=True)
            return
        PROGRESS.parent.mkdir(exist_ok=True)
        PROGRESS.write_text(json.dumps(vars(self)), encoding="utf-8")


def run(budget: float) -> Tally:
    """Hypothesis: 1,000,000 examples over the registry, through every check of the generic test."""
    ops = [name for name, op in REGISTRY.items() if op.sample is not None]
    work = [(name, check) for name in ops for check in CHECKS if check != "in place" or REGISTRY[name].inplace]
    goal = int(TOTAL * budget)
    progress = Progress(goal, work)
    rounds = max(1, round(20 * budget))
    stop = time.monotonic() + float(os.environ.get("LANE_SECONDS", "inf"))
    while progress.count < goal and time.monotonic() < stop:
        turn, index = divmod(progress.position, len(work))
        name, check = work[index]
        examples = max(1, round(CHECKS[check][0] * goal / rounds / len(ops)))
        count, failure = explore(name, check, examples, turn)
        progress.count += count
        progress.position += 1
        if failure is not None:
            progress.failures.append(failure)
            print(failure, flush=True)
        if progress.position % 100 == 0 or progress.count >= goal:
            print(f"{progress.count} of {goal} examples, {len(progress.failures)} failures", flush=True)
            progress.save()
    progress.save()
    return Tally("examples over the registry", progress.count, progress.failures)


def explore(name: str, check: str, examples: int, turn: int) -> tuple[int, str | None]:
    """Run one check of one op on some examples: how many there were, and the failing one, made small."""
    op, (_, function, inputs) = REGISTRY[name], CHECKS[check]
    count, last = 0, None

    @seed(turn)
    @settings(max_examples=examples, database=None, deadline=None, phases=[Phase.generate, Phase.shrink],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(inputs(op))
    def attempt(given: Any) -> None:
        nonlocal count, last
        count, last = count + 1, given
        function(op, given) if check == "dtypes" else function(given)

    try:
        attempt()
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return count, f"{name}, {check}: {last!r}: {type(error).__name__}: {error} ({place.filename}:{place.lineno})"
    return count, None
