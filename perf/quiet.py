"""Whether the machine was left alone while something was measured."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

#: Processors' worth of other programs' work above which a turn is not counted as quiet. A clock tick is 10 ms.
MOST, TICKS = 0.1, 3


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
            for process in self.processes:
                fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
                total -= int(fields[11]) + int(fields[12])
            return total
        return 0

    def others(self) -> float:
        """Processors that others used; ticks are too coarse to blame a few on anybody."""
        ticks, taken = self._ticks() - self.before, time.perf_counter() - self.began
        return max(0, ticks - TICKS) / 100 / taken


__all__ = ["MOST", "Watch"]
