"""Right numbers whatever threads and processes surround the training: no hang, no abort, the same bits."""

from __future__ import annotations

import functools
import importlib.util
import os
from pathlib import Path

import pytest

from numgrad.jit import limits
from tests.faults.children import child

pytestmark = pytest.mark.native

#: what the normal tests run, of each layer; the lane `processes` runs every case on every layer
SHORT = {"omp": ["two threads", "fork", "fork after a prange", "workers", "nested in prange", "blas"], "workqueue": ["two threads", "nested in prange"]}


@functools.cache
def layers() -> list[str]:
    """The threading layers that can be loaded here."""
    found = []
    for name in ("omp", "workqueue", "tbb"):
        try:
            if importlib.util.find_spec(f"numba.np.ufunc.{name if name == 'workqueue' else name + 'pool'}"):
                child("-c", "import numba; numba.get_num_threads()", NUMBA_THREADING_LAYER=name)
                found.append(name)
        except AssertionError:  # its library is missing
            continue
    return found


def outcome(layer: str, case: str, threads: int = 4) -> set[str]:
    """The different lines that a case printed."""
    return set(child("-m", "tests.faults.processes", case, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS=str(threads)))


@functools.cache
def reference() -> set[str]:
    """What training ends in on one thread."""
    found = outcome("default", "main thread", 1) - {"threads 1"}
    assert len(found) == 2, found
    return found


@pytest.mark.parametrize(("layer", "case"), [(layer, case) for layer, cases in SHORT.items() for case in cases])
def test_surroundings(layer: str, case: str) -> None:
    if layer not in layers():
        pytest.skip(f"no {layer} here")
    assert outcome(layer, case) == reference() | {"threads 4"}


# --- how many threads -----------------------------------------------------------------------------------------------

NARROW = """
import os, subprocess, sys
import numgrad
first = sorted(os.sched_getaffinity(0))[:1]
os.sched_setaffinity(0, first)
print(subprocess.run([sys.executable, "-c", "import numgrad; print(numgrad.get_num_threads())"], capture_output=True, text=True).stdout.strip())
print(subprocess.run([sys.executable, "-c", "import numba, numgrad; print(numgrad.get_num_threads())"], capture_output=True, text=True).stdout.strip())
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_affinity_is_honoured() -> None:
    """By a process that was started from one which may use more CPUs, too."""
    assert child("-c", NARROW, NUMBA_NUM_THREADS=None, NUMGRAD_CHOSEN_THREADS=None) == ["1", "1"]


def test_the_users_number_goes_first() -> None:
    assert child("-c", "import numgrad; print(numgrad.get_num_threads())", NUMBA_NUM_THREADS="3") == ["3"]


def test_a_quota_is_honoured() -> None:
    """What Numba reads was put there before it was imported; and if it was imported before, it is not confused."""
    program = """
import pathlib, sys
real = pathlib.Path.read_text
pathlib.Path.read_text = lambda self, *a, **k: "100000 100000" if str(self) == "/sys/fs/cgroup/cpu.max" else real(self, *a, **k)
{before}
import numgrad
x = numgrad.ones(600, 600)
print(numgrad.get_num_threads(), (x @ x).sum().item() == 600.0**3)
"""
    for before in ("", "import numba; numba.get_num_threads()"):
        assert child("-c", program.format(before=before), NUMBA_NUM_THREADS=None, NUMGRAD_CHOSEN_THREADS=None) == ["1 True"]


GROUPS = {
    "second version, of the container": ({"cpu.max": "150000 100000"}, "0::/\n", 1.5),
    "second version, a group inside": ({"a/cpu.max": "max 100000", "a/b/cpu.max": "50000 100000"}, "0::/a/b\n", 0.5),
    "second version, a group above": ({"a/cpu.max": "200000 100000", "a/b/cpu.max": "max 100000"}, "0::/a/b\n", 2),
    "first version": ({"cpu/x/cpu.cfs_quota_us": "300000", "cpu/x/cpu.cfs_period_us": "100000"}, "3:cpuset:/\n1:cpu:/x\n", 3),
    "first version, two controllers": ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, "4:cpu,cpuacct:/\n", 1),
    "first version, no limit": ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "4:cpu,cpuacct:/\n", float("inf")),
    "none": ({}, "", float("inf")),
    "nonsense": ({"cpu.max": "many", "cpu/cpu.cfs_quota_us": "\xff"}, "x\n::\n0::/../..\n", float("inf")),
}


@pytest.mark.parametrize("name", GROUPS)
def test_limits_of_control_groups(name: str, tmp_path: Path) -> None:
    files, own, wanted = GROUPS[name]
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "own").write_text(own)
    assert limits.cpus(tmp_path, tmp_path / "own") == wanted


def test_limits_of_memory(tmp_path: Path) -> None:
    (tmp_path / "memory" / "a").mkdir(parents=True)
    (tmp_path / "memory" / "a" / "memory.limit_in_bytes").write_text("1000000\n")
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "own").write_text("4:memory:/a/b\n")
    assert limits.memory(tmp_path, tmp_path / "own") == 1_000_000
