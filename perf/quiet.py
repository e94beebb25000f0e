"""Whether the machine was left alone while something was measured."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

#: Processors' worth of other programs' work above which a turn is not counted as quiet. A clock tick is 10 ms.
MOST, TICKS = 0.1, 3
#: Seconds to look at idle processes for signs of work, and at most to wait for the end of it. OpenBLAS's threads wait 0.1 s for more work
#: without giving up their cores, and whoever came next would have to share these with them.
PAUSE, PATIENCE = 0.03, 1.0


def ticks(process: int) -> int:
    """The clock ticks that a process has used so far (0 where the system does not tell)."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    return 0


def wait_for_rest(processes: Sequence[int]) -> None:
    """Return when these processes, which have nothing left to do, use no processor any more."""
    end, seen = time.perf_counter() + PATIENCE, [-1]
    while seen != (now := [ticks(p) for p in processes]) and time.perf_counter() < end:
        seen = now
        time.sleep(PAUSE)


class Watch:
    """`others()`: how many processors all but these processes kept busy since this watch began (0 where the system does not tell)."""

    def __init__(self, processes: Sequence[int]):
        self.processes = [*processes, os.getpid()]
        self.began, self.before = time.perf_counter(), self._ticks()

    def _ticks(self) -> int:
        """The ticks of everybody, less those of our own."""
        with contextlib.suppress(OSError, IndexError, ValueError):
            user, nice, system, _, _, *rest = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
            total = user + nice + system + sum(rest)  # interrupts, and what a hypervisor took
            return total - sum(map(ticks, self.processes))
        return 0

    def others(self) -> float:
        """Processors that others used; ticks are too coarse to blame a few on anybody."""
        used, taken = self._ticks() - self.before, time.perf_counter() - self.began
        return max(0, used - TICKS) / 100 / taken


__all__ = ["MOST", "Watch", "wait_for_rest"]
