"""Which launches of a program run on all threads. (That programs compute what their launches do is tests/compiler's matter.)"""

from __future__ import annotations

from typing import Any

import numpy as np

from numgrad.jit.kernel import GRAIN
from numgrad.jit.program import Call, Fill, Place, Program

NONE: Any = None


def _parallel(work: list[int]) -> list[bool]:
    return Program([Call(NONE, w, None, ()) for w in work], 1)._parallel


def test_large_launches_are_parallel_wherever_they_are() -> None:
    assert _parallel([GRAIN, 0, GRAIN // 32, 10 * GRAIN]) == [True, False, False, True]


def test_medium_launches_are_parallel_where_enough_of_them_follow_one_another() -> None:
    medium, small = GRAIN // 2, GRAIN // 64
    assert _parallel([medium, small] * 3) == [False] * 6  # less is saved than it costs to wake the threads
    assert _parallel([medium, small] * 10) == [True, False] * 10


def test_threads_that_fell_asleep_are_not_woken_for_little() -> None:
    medium, rest = GRAIN // 2, [GRAIN // 16] * 40  # between the groups, threads wait longer than they stay awake
    assert _parallel([medium] * 10 + rest + [medium] * 2) == [True] * 10 + [False] * 42
    assert _parallel([medium] * 10 + [medium] * 2) == [True] * 12


def test_filling_memory_is_not_work() -> None:
    place = Place(0, 0, np.dtype(np.float32), (8,), (4,))
    program = Program([Fill(place), Call(NONE, GRAIN, None, ())], 1)
    assert program._parallel == [False, True]
