"""How many threads are used while other programs want the cores."""

import numpy as np
import pytest

import numgrad as torch
from numgrad.jit import crowd, threads
from numgrad.jit.crowd import Crowd

MS = 1_000_000


class Machine:
    """A clock and a counter; a program that holds cores puts aside a thread 1000 times a second if there is one too many."""

    def __init__(self, cores: int, wanted: int):
        self.cores, self.wanted, self.busy, self.now, self.aside = cores, wanted, 0, MS, 0
        self.crowd = Crowd(lambda: self.aside, lambda: self.now)

    def run(self, milliseconds: int) -> list[int]:
        """The count of threads in each millisecond."""
        found = []
        for _ in range(milliseconds):
            count = self.crowd.share(self.wanted)
            self.aside += count + self.busy > self.cores
            self.now += MS
            found.append(count)
        return found


def test_an_undisturbed_machine_uses_all() -> None:
    assert set(Machine(4, 4).run(2000)) == {4}


@pytest.mark.parametrize("cores, busy", [(2, 1), (4, 1), (4, 2), (8, 3)])
def test_busy_cores_are_left_to_others_and_taken_back(cores: int, busy: int) -> None:
    machine = Machine(cores, cores)
    machine.run(100)
    machine.busy = busy
    machine.run(200)
    counts = machine.run(5000)
    assert counts.count(cores - busy) > 0.9 * len(counts) and min(counts) == cores - busy  # it tries one more at times
    machine.busy = 0
    machine.run(2000)
    assert set(machine.run(2000)) == {cores}


def test_one_thread_is_always_left() -> None:
    machine = Machine(2, 2)
    machine.busy = 5
    assert machine.run(3000)[-1] == 1
    machine.wanted = 1  # by set_num_threads in between
    assert set(machine.run(1000)) == {1}


def test_a_long_wait_is_no_crowd() -> None:
    machine = Machine(2, 2)
    machine.run(40)
    machine.aside += 100  # as many as a third of a second may have
    machine.now += 60_000 * MS
    assert set(machine.run(100)) == {2}


def test_numbers_do_not_depend_on_the_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = torch.randn(300, 200), torch.randn(200, 250)
    quiet = (a @ b).numpy()
    counter = iter(range(0, 10**9, 10**6))
    busy = Crowd(lambda: next(counter))
    monkeypatch.setattr(threads, "_crowd", busy)
    monkeypatch.setattr(crowd, "_WINDOW", 0)
    for _ in range(3):
        np.testing.assert_array_equal((a @ b).numpy(), quiet)
    if threads.get_num_threads() > 1:
        assert busy.fewer == threads.get_num_threads() - 1
    assert torch.get_num_threads() == threads.get_num_threads()


@pytest.mark.skipif(crowd.getrusage is None, reason="the system does not count")
def test_the_system_counts() -> None:
    before = crowd.put_aside()
    assert before >= 0 and crowd.put_aside() >= before
