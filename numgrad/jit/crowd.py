"""Fewer threads while other programs want the cores: a thread that was put aside keeps all others waiting at the next barrier.

Two threads that share two cores with one busy program are slower than one thread alone, by up to four times. The system counts
how often it put a thread aside that would have gone on; from that count follows how many threads to use, by the rule of networks
that share a line: one fewer when it is crowded, one more after a while, and a longer while each time that was wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

try:
    from resource import RUSAGE_SELF, getrusage
except ImportError:  # Windows does not count
    getrusage = None  # type: ignore[assignment]

# Undisturbed training is put aside 20 to 200 times a second, beside one busy program 500 to 4000 times.
_OFTEN = 350  # times a second
_WINDOW, _LONGEST = 30_000_000, 1_000_000_000  # nanoseconds to count, and at most to wait before one thread more is tried


def put_aside() -> int:
    """How often threads of this process had to leave a core that they still wanted."""
    return getrusage(RUSAGE_SELF).ru_nivcsw if getrusage is not None else 0


class Crowd:
    """How many threads to use of those that are wanted."""

    def __init__(self, count: Callable[[], int] = put_aside, clock: Callable[[], int] = perf_counter_ns):
        self._count, self._clock = count, clock
        self.fewer = 0  # threads to do without
        self._next, self._since, self._seen, self._pause = 0, 0, 0, _WINDOW

    def share(self, wanted: int) -> int:
        """How many of so many threads to use now: at least one."""
        now = self._clock()
        if now > self._next:
            self._look(now, wanted)
        return wanted - self.fewer if self.fewer < wanted else 1

    def _look(self, now: int, wanted: int) -> None:
        seen = self._count()
        often = self._since and (seen - self._seen) * 1_000_000_000 > _OFTEN * (now - self._since)
        self._since, self._seen = now, seen
        self.fewer = min(self.fewer, wanted - 1)  # fewer may be wanted than before
        wait = _WINDOW
        if often and self.fewer < wanted - 1:
            self.fewer += 1
            self._pause = wait = min(2 * self._pause, _LONGEST)
        elif self.fewer and not often:
            self.fewer -= 1
        elif not often:
            self._pause = max(_WINDOW, self._pause // 2)
        self._next = now + wait


__all__ = ["Crowd", "put_aside"]
