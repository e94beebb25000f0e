"""The doors to native code: what may be compiled, which twin runs, who is told, and what happens beside other threads and in forks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from numgrad.jit import (
    Observer,
    device,
    empty,
    get_num_threads,
    kernel,
    launch,
    observe,
    prange,
    set_num_threads,
    threads,
    zeros,
)

ROOT = Path(__file__).parent.parent.parent
native = pytest.mark.native


@device(fastmath=("contract", "reassoc"))
def total(x: Any) -> Any:
    result = x.dtype.type(0)
    for j in range(x.size):
        result += x[j] * x[j]
    return result


@kernel
def row_squares(out, x):  # type: ignore[no-untyped-def]
    """The sum of squares of each row."""
    for i in prange(out.size):
        out[i] = total(x[i])


@kernel
def divide(out, x, y):  # type: ignore[no-untyped-def]
    for i in prange(out.size):
        out[i] = x[i] / y[i]


class Recorded:
    """Stands for a kernel and notes which twin ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.serial = lambda *_: self.ran.append("serial")
        self.parallel = lambda *_: self.ran.append("parallel")


@pytest.fixture(autouse=True)
def two_threads() -> Any:
    before = get_num_threads()
    set_num_threads(2)
    yield
    set_num_threads(before)


# --- making kernels -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["fast", "nnan", "ninf"])
@pytest.mark.parametrize("make", [kernel, device])
def test_flags_that_break_nan_are_refused(make: Any, flag: str) -> None:
    with pytest.raises(ValueError, match="NaN and infinity"):
        make(fastmath=("contract", flag))(lambda out: None)


@native
def test_arrays_that_lie_apart_are_not_compared() -> None:
    def add(y: Any, x: Any, z: Any) -> None:
        for j in range(y.size):
            y[j] = x[j] + z[j]

    def code(**options: Any) -> str:
        made, signature = device(add, **options), (numba.float32[::1],) * 3
        made.compile(signature)
        return made.inspect_llvm(signature)

    assert "memcheck" in code()  # LLVM's name for a look at where arrays begin and end
    assert "memcheck" not in code(apart=True)
    assert "x float>" in code(apart=True), "it runs in vectors all the same"


def test_a_kernel_knows_its_name_and_docstring() -> None:
    assert row_squares.name == "row_squares" and row_squares.__doc__ == "The sum of squares of each row."
    assert "row_squares" in repr(row_squares)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_twins_give_the_same_bits_at_any_number_of_threads(dtype: Any) -> None:
    x = np.random.default_rng(0).normal(size=(37, 1001)).astype(dtype)
    serial = empty(37, dtype)
    row_squares.serial(serial, x)
    np.testing.assert_allclose(serial, np.sum(x.astype(np.float64) ** 2, axis=1), rtol=1e-5)
    for count in (1, 2, 3, 4):
        if count <= int(os.environ["NUMBA_NUM_THREADS"]):
            set_num_threads(count)
            parallel = zeros(37, dtype)
            launch(row_squares, parallel, x, work=1 << 40)
            assert parallel.tobytes() == serial.tobytes()


def test_division_by_zero_is_what_ieee_says() -> None:
    """No exception, and no warning from the Python twin either."""
    out = empty(4, np.float32)
    launch(divide, out, np.array([1, -1, 0, 1], np.float32), np.array([0, 0, 0, 2], np.float32))
    np.testing.assert_array_equal(out, [np.inf, -np.inf, np.nan, 0.5])


def test_read_only_and_strided_arrays_are_taken() -> None:
    x = np.arange(12.0).reshape(3, 4)
    x.flags.writeable = False
    out = empty(4, np.float64)
    launch(row_squares, out, x.T)
    np.testing.assert_allclose(out, (x.T**2).sum(1))


# --- launching ------------------------------------------------------------------------------------------------------


def test_small_work_runs_the_serial_twin() -> None:
    found = Recorded()
    launch(found, empty(4, np.float32))  # type: ignore[arg-type]
    launch(found, empty(4, np.float32), work=1 << 40)  # type: ignore[arg-type]
    launch(found, empty(1 << 20, np.float32), work=4)  # type: ignore[arg-type]
    launch(found, empty(1 << 20, np.float32))  # type: ignore[arg-type]
    assert found.ran == ["serial", "parallel", "serial", "parallel"]


def test_one_thread_runs_the_serial_twin() -> None:
    found = Recorded()
    set_num_threads(1)
    launch(found, empty(1 << 20, np.float32))  # type: ignore[arg-type]
    assert found.ran == ["serial"]


def test_what_is_known_ahead_runs_the_same_twins_on_borrowed_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, ran = np.arange(12.0).reshape(3, 4).T, np.full((4, 3), 2.0).T.copy().T, []
    given = np.empty((3, 4)).T, x, y
    for work, had in ((4, True), (1 << 40, True), (1 << 40, False)):
        monkeypatch.setattr(threads, "acquire", lambda had=had: ran.append("acquired") or had)
        monkeypatch.setattr(threads, "release", lambda: ran.append("released"))
        given[0].fill(-1)
        divide.entry(given, (), work=work)(*given)
        np.testing.assert_array_equal(given[0], x / 2)
    assert ran == ["acquired", "released", "acquired"]


class Notes(Observer):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.launches: list[Any] = []

    def launched(self, kernel: Any, work: int, args: tuple[Any, ...]) -> None:
        self.launches.append((kernel, work, args))


def test_observers_see_every_launch_from_any_thread() -> None:
    found, out = Recorded(), empty(4, np.float32)
    with observe(Notes()) as notes:
        launch(found, out, 1)  # type: ignore[arg-type]
        other = threading.Thread(target=launch, args=(found, out, 2))
        other.start()
        other.join()
    launch(found, out, 3)  # type: ignore[arg-type]
    assert [(k, p, a[0] is out, a[1]) for k, p, a in notes.launches] == [(found, 4, True, 1), (found, 4, True, 2)]


def test_an_observer_leaves_also_after_an_exception() -> None:
    notes = Notes()
    with pytest.raises(KeyError), observe(notes):
        raise KeyError
    launch(Recorded(), empty(1, np.float32))  # type: ignore[arg-type]
    assert notes.launches == []


@pytest.mark.parametrize(
    ("wrong", "error"), [(0, RuntimeError), (-1, RuntimeError), (1000, ValueError), (1.5, TypeError), (True, TypeError)]
)
def test_numbers_of_threads_that_cannot_be(wrong: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="set_num_threads"):
        set_num_threads(wrong)
    assert get_num_threads() == 2


# --- the machine ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"), [("150000 100000", 2), ("max 100000", None), ("50000 100000", 1), ("nonsense", None)]
)
def test_cpus_are_those_of_the_cgroup(content: str, expected: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads.limits.Path, "read_text", lambda path: content)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    assert threads.available_cpus() == (64 if expected is None else expected)


def run(code: str, **settings: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | settings
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


_SUM = "import numgrad, numpy as np\nx = numgrad.ones(300_000)\nassert float((x * 2).sum()) == 600_000\n"


@native
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_computes(tmp_path: Path) -> None:
    """GNU OpenMP ends a child that enters a parallel region after a fork; ours runs serial twins."""
    child = "import os\npid = os.fork()\nassert float((x + 1).sum()) == 600_000\nif pid:\n    print(os.waitpid(pid, 0)[1])\nelse:\n    os._exit(0)\n"
    assert run(_SUM + child) == "0"


@native
def test_python_threads_compute_at_the_same_time() -> None:
    """Numba's own pool aborts the process when two threads launch at once; the lock makes the second run its serial twin."""
    code = (
        _SUM + "import threading\nbad = []\n"
        "def work():\n    for _ in range(30):\n        if float((x * 3).sum()) != 900_000: bad.append(1)\n"
        "crew = [threading.Thread(target=work) for _ in range(4)]\n"
        "[t.start() for t in crew]\n[t.join() for t in crew]\n"
        "import numba\nprint(numba.threading_layer(), bad)"
    )
    assert run(code, NUMBA_THREADING_LAYER="workqueue") == "workqueue []"
    assert run(code).endswith("[]")


@kernel
def count_elements(out: Any, a: Any, b: Any, c: Any) -> None:
    for i in prange(out.size):
        out[i] = a.size if i == 0 else (b.size if i == 1 else c.size)


@native
def test_an_array_without_elements_is_borrowed_as_such():
    arrays = [np.full(3, -1.0), np.zeros(0), np.zeros((2, 0, 4)), np.zeros((2, 3))]
    count_elements.entry(arrays, ())(*arrays)
    assert arrays[0].tolist() == [0, 0, 6]
