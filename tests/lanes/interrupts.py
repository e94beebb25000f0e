"""Ctrl-C at random moments."""

from __future__ import annotations

from tests.faults.children import child
from tests.long import Tally

EACH = 250


def run(budget: float) -> Tally:
    """Interrupt steps, compilation and the wait for batches at random moments: what comes next must be right."""
    times, reached, failures = max(1, round(EACH * budget)), 0, []
    try:
        (line,) = child("-m", "tests.faults.interrupted", str(times), "0", timeout=60 + 20 * times)
        reached = int(line.split("reached ")[1].split()[0])
        if not reached:
            failures.append("no interruption arrived: is SIGINT ignored here, as in what a shell runs in the background?")
    except AssertionError as error:
        failures.append(str(error))
    return Tally("interruptions of steps, compilation and loaders", reached, failures)
