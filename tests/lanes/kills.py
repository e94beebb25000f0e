"""Training runs that are killed again and again."""

from __future__ import annotations

from tests.faults.children import child
from tests.faults.test_checkpoints import KILLED
from tests.long import Tally

KILLS = 200


def run(budget: float) -> Tally:
    """Kill training runs at random moments, half of them compiled: resumed, they must end in the bits of one that nobody killed."""
    kills, failures = 0, []
    for kind in ("eager", "compiled"):
        wanted = max(1, round(KILLS * budget / 2))
        try:
            counts, digests = child(*KILLED, kind, str(wanted), "0", timeout=30 + 10 * wanted)
            kills += int(counts.split()[1].rstrip(","))
            if len(digests) != 16:
                failures.append(f"{kind}: {counts}; runs ended in {digests}")
        except AssertionError as error:
            failures.append(f"{kind}: {error}")
    return Tally("SIGKILLs of training runs that were resumed", kills, failures)
