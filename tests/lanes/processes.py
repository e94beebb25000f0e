"""Every surrounding of threads and processes on every threading layer."""

from __future__ import annotations

import importlib.util

from tests.faults.processes import CASES
from tests.faults.test_processes import layers, outcome, reference
from tests.long import Tally


def run(budget: float) -> Tally:
    """Train in every surrounding (threads, forks, workers, other libraries) on every threading layer there is."""
    cases = [(layer, case) for layer in layers() for case in CASES if case != "torch" or importlib.util.find_spec("torch")]
    cases = cases[: max(1, round(budget * len(cases)))]
    failures = []
    for layer, case in cases:
        try:
            found = outcome(layer, case)
            if found != reference() | {"threads 4"}:
                failures.append(f"{layer}, {case}: {sorted(found)}")
        except AssertionError as error:
            failures.append(f"{layer}, {case}: {error}")
    return Tally(f"surroundings of threads and processes, on {', '.join(layers())}", len(cases), failures)
