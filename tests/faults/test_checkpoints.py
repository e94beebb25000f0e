"""What was saved stays readable, whatever happens to the one who saves: kills, full disks, limits."""

from __future__ import annotations

import builtins
import errno
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import numgrad
from numgrad.serialization import whole
from tests.faults.children import ROOT, child, environment

#: What the run of `tests.faults.killed` ends in is the same eager and compiled, killed and not.
KILLED = ["-W", "error::UserWarning", "-m", "tests.faults.killed"]


@pytest.mark.native
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.parametrize("kind", ["eager", "compiled"])
def test_killed_runs_end_in_the_same_bits(kind: str) -> None:
    counts, digests = child(*KILLED, kind, "3", "1", timeout=200)
    assert counts.startswith("kills 3, runs ") and counts.endswith(", cut writes 0") and len(digests) == 16


class Failing(io.FileIO):
    """A file on a disk that has room for so many bytes."""

    room = 0

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > Failing.room:
            super().write(bytes(data)[: Failing.room - self.tell()])
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data) or 0


SAVERS = {
    "save": (numgrad.save, numgrad.load),
    "safetensors": (numgrad.serialization.save_safetensors, numgrad.serialization.load_safetensors),
    "torch": (numgrad.serialization.save_torch, numgrad.load),
}


@pytest.mark.parametrize("name", SAVERS)
def test_a_write_that_ends_at_any_byte_leaves_the_old_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save, load = SAVERS[name]
    path = tmp_path / "file"
    save({"a": numgrad.arange(3)}, path)
    old, real = path.read_bytes(), builtins.open
    monkeypatch.setattr(whole, "open", lambda f, mode, **more: Failing(f, mode) if "x" in mode else real(f, mode, **more), raising=False)
    new = io.BytesIO()
    save({"a": numgrad.arange(4), "b": numgrad.zeros(())}, new)
    for Failing.room in range(len(new.getvalue())):
        with pytest.raises(OSError, match="No space left"):
            save({"a": numgrad.arange(4), "b": numgrad.zeros(())}, path)
        assert path.read_bytes() == old and list(tmp_path.iterdir()) == [path]
    Failing.room = 1 << 20
    save({"a": numgrad.arange(4), "b": numgrad.zeros(())}, path)
    assert load(path)["a"].tolist() == [0, 1, 2, 3]


LIMITED = """
import resource, sys
import numgrad
numgrad.save({"a": numgrad.ones(4)}, sys.argv[1])
for limit in (0, 1, 100, 5000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        numgrad.save({"a": numgrad.zeros(2000)}, sys.argv[1])
    except OSError as error:
        print(type(error).__name__, numgrad.load(sys.argv[1])["a"].tolist())
"""


def test_a_limit_on_the_size_of_files(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    assert child("-c", LIMITED, str(tmp_path / "file")) == ["OSError [1.0, 1.0, 1.0, 1.0]"] * 4
    assert len(list(tmp_path.iterdir())) == 1


#: Stops in the middle of writing, says so, and waits to be killed, or told to go on.
STOPPING = """
import sys
import numgrad
from numgrad.serialization import format
real = format.np.ascontiguousarray
def stop(*arguments):
    print("writing", flush=True)
    sys.stdin.readline()
    return real(*arguments)
format.np.ascontiguousarray = stop
numgrad.save({"a": numgrad.full((3,), float(sys.argv[2]))}, sys.argv[1])
print("done", flush=True)
"""


def stopped(path: Path, value: float) -> subprocess.Popen[str]:
    """A process in the middle of saving."""
    command = [sys.executable, "-c", STOPPING, str(path), str(value)]
    settings = environment() | {"NUMBA_DISABLE_JIT": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=settings, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "writing\n"
    return process


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nothing kills like that here")
def test_what_a_killed_writer_leaves_is_removed_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    others = [tmp_path / name for name in ("file2.01234567.tmp", "file.tmp", "file.0123456.tmp", "file.0123456X.tmp", "file.01234567.tmp2")]
    for other in others:
        other.write_bytes(b"other")
    (tmp_path / "file.89abcdef.tmp").mkdir()
    (tmp_path / "file.76543210.tmp").symlink_to(others[0])
    before = set(tmp_path.iterdir())
    killed, living = stopped(path, 1), stopped(path, 2)
    killed.kill()
    killed.communicate()
    assert len(set(tmp_path.iterdir()) - before) == 2
    numgrad.save({"a": numgrad.zeros(3)}, path)
    (left,) = set(tmp_path.iterdir()) - before - {path}
    assert re.fullmatch(r"file\.[0-9a-f]{8}\.tmp", left.name) and numgrad.load(path)["a"].tolist() == [0, 0, 0]
    assert living.communicate("\n", timeout=60)[0] == "done\n"
    assert set(tmp_path.iterdir()) - before == {path} and numgrad.load(path)["a"].tolist() == [2, 2, 2]


def test_without_locks_age_tells_what_is_left_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "_lock", lambda descriptor, wait: False)
    path, new, old = tmp_path / "file", tmp_path / "file.00000000.tmp", tmp_path / "file.00000001.tmp"
    for left in (new, old):
        left.write_bytes(b"half")
    day_ago = time.time() - 24 * 3600 - 60
    os.utime(old, (day_ago, day_ago))
    numgrad.save({"a": numgrad.zeros(3)}, path)
    assert sorted(tmp_path.iterdir()) == [path, new]


def test_writers_of_one_path_leave_each_other_alone(tmp_path: Path) -> None:
    path, problems, barrier = tmp_path / "file", [], threading.Barrier(4)

    def save(value: float) -> None:
        barrier.wait()
        try:
            for _ in range(40):
                numgrad.save({"a": numgrad.full((50,), value)}, path)
                found = numgrad.load(path)["a"].tolist()
                assert found == [found[0]] * 50
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=save, args=(float(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == [] and list(tmp_path.iterdir()) == [path]


def test_a_file_that_was_taken_before_it_was_locked_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, lock, taken = tmp_path / "file", whole._lock, []

    def slow(descriptor: int, wait: bool) -> bool | None:
        if wait and len(taken) < 3:  # another one comes in between
            taken.extend(tmp_path.glob("*.tmp"))
            whole.remove_left_over(str(path))
        return lock(descriptor, wait)

    monkeypatch.setattr(whole, "_lock", slow)
    numgrad.save({"a": numgrad.ones(2)}, path)
    assert len(set(taken)) == 3 and list(tmp_path.iterdir()) == [path]
