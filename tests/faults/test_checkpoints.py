"""What was saved stays readable, whatever happens to the one who saves: kills, full disks, limits."""

from __future__ import annotations

import builtins
import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest

import numgrad
from numgrad.serialization import format as writing
from tests.faults.children import child

#: What the run of `tests.faults.killed` ends in is the same eager and compiled, killed and not.
KILLED = ["-W", "error::UserWarning", "-m", "tests.faults.killed"]


@pytest.mark.native
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.parametrize("kind", ["eager", "compiled"])
def test_killed_runs_end_in_the_same_bits(kind: str) -> None:
    counts, digests = child(*KILLED, kind, "3", "1", timeout=200)
    assert counts.startswith("kills 3, runs ") and len(digests) == 16


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
    monkeypatch.setattr(writing, "open", lambda f, mode, **more: Failing(f, mode) if "x" in mode else real(f, mode, **more), raising=False)
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
