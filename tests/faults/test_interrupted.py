"""Ctrl-C at random moments leaves a process that computes as before."""

from __future__ import annotations

import signal
import sys
from typing import Any

import numpy as np
import pytest

from numgrad.jit import memory
from numgrad.jit.patience import patient
from tests.faults.children import child


@pytest.mark.native
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_interrupted_at_random_moments() -> None:
    (line,) = child("-m", "tests.faults.interrupted", "4", "0", timeout=250)
    assert line.endswith(" of 16")


def test_what_must_not_be_interrupted_is_interrupted_after() -> None:
    done = []

    @patient
    def work() -> None:
        signal.raise_signal(signal.SIGINT)
        done.append(True)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        work()
    assert done and signal.getsignal(signal.SIGINT) is before


def test_the_death_of_a_block_runs_no_python() -> None:
    """An exception raised there, as Ctrl-C is, would be lost."""
    called: list[Any] = []
    array = memory.empty(memory.LARGE, np.uint8)
    before = sys.getprofile()
    sys.setprofile(lambda frame, event, argument: called.append((event, frame.f_code.co_name)))
    try:
        del array
    finally:
        sys.setprofile(before)
    assert [name for event, name in called if event == "call"] == []
