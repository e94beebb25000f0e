"""The cache of compiled kernels under attack: right numbers always, at worst a compilation, and a warning where that helps."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numgrad.jit import cache, codegen
from tests.faults.children import ROOT, child, environment

pytestmark = pytest.mark.native

#: Formulas and a reduction, large enough for the parallel forms.
STEP = """
import warnings
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    import numgrad
    x = numgrad.arange(400_000).double()
    print((x * x - 5).relu().sum().item())
print([str(w.message) for w in told])
"""
RIGHT = [f"{float(sum(max(n * n - 5, 0) for n in range(400_000)))}", "[]"]


def warned(*lines: str, told: str) -> None:
    """The numbers are right, and one warning says what is wrong and what to do."""
    assert lines[0] == RIGHT[0]
    (message,) = eval(lines[1])
    assert message.startswith("numgrad cannot keep its compiled kernels") and told in message and "NUMGRAD_CACHE_DIR" in message


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that eight processes filled together from nothing."""
    folder = tmp_path_factory.mktemp("cache") / "shared"
    command, settings = [sys.executable, "-c", STEP], environment(NUMGRAD_CACHE_DIR=str(folder))
    together = [subprocess.Popen(command, env=settings, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    for process in together:
        assert process.communicate(timeout=250)[0].splitlines() == RIGHT and process.returncode == 0
    assert not [path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".bin", ".o", ".py", ".writes")], "what is cut short goes"
    return folder


def test_eight_cold_starts_together(warm: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in warm.glob("*.bin")}
    assert before and child("-c", STEP, NUMGRAD_CACHE_DIR=str(warm)) == RIGHT
    assert {path: path.stat().st_mtime_ns for path in warm.glob("*.bin")} == before, "all was found"


def harm(content: bytes, moments: random.Random) -> bytes:
    """A byte flipped, or the file cut."""
    place = moments.randrange(len(content))
    return content[:place] + moments.choice([b"", bytes([content[place] ^ 1 << moments.randrange(8)]) + content[place + 1 :]])


def test_every_file_is_damaged(warm: Path, tmp_path: Path) -> None:
    shutil.copytree(warm, tmp_path / "cache")
    moments = random.Random(0)
    for path in sorted((tmp_path / "cache").rglob("*.*")):
        path.write_bytes(harm(path.read_bytes(), moments))
    assert child("-c", STEP, NUMGRAD_CACHE_DIR=str(tmp_path / "cache")) == RIGHT


def loader(folder: Path) -> tuple[Callable[[], Any], Path]:
    """Looks up a small kernel as its dispatcher would (None: it would compile), and the file where it lies."""
    from numba.core.registry import cpu_target

    made: Any = codegen.load("twice_kernel", f"# in {folder}{TWICE}", {})  # a text of its own: what lives is not made twice
    made.serial(np.zeros(3), np.ones(3))
    (signature,) = made.serial.overloads
    (path,) = folder.glob("twice_kernel-*.bin")
    return lambda: made.serial._cache.load_overload(signature, cpu_target.target_context), path


TWICE = """
@kernel
def twice_kernel(out, x):
    for i in prange(out.size):
        out[i] = x[i] + x[i]
"""


def broken(folder: Path, places: Callable[[int], Any]) -> tuple[int, list[str]]:
    """How many flipped and cut bytes were tried, and those that were not noticed."""
    look_up, path = loader(folder)
    whole, unnoticed, count = path.read_bytes(), [], 0
    assert look_up() is not None
    for place in places(len(whole)):
        flipped = bytes([whole[place] ^ 1 << place % 8])
        for kind, content in (("flip", whole[:place] + flipped + whole[place + 1 :]), ("cut", whole[:place])):
            path.write_bytes(content)
            count += 1
            if look_up() is not None:
                unnoticed.append(f"{kind} at {place}")
    path.write_bytes(whole)
    assert look_up() is not None
    return count, unnoticed


def test_bytes_flipped_and_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "directory", lambda: tmp_path)
    count, unnoticed = broken(tmp_path, lambda size: range(0, size, max(1, size // 150)))
    assert count >= 300 and unnoticed == []


def test_a_full_disk(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    program = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.RLIM_INFINITY))" + STEP
    warned(*child("-c", program, NUMGRAD_CACHE_DIR=str(tmp_path / "cache")), told=str(tmp_path))
    assert [path.name for path in (tmp_path / "cache").iterdir()] in ([], ["generated"])


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    settings = {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": None, "NUMGRAD_CACHE_DIR": None}
    warned(*child("-c", STEP, **settings), told="home")
    assert child("-c", STEP, **settings, NUMGRAD_CACHE="0") == RIGHT, "who asked for none is not told"


@pytest.mark.parametrize("problem", ["no home", "read-only"])
def test_where_nothing_can_be_kept(problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_warned", False)
    monkeypatch.delenv("NUMGRAD_CACHE", raising=False)
    if problem == "no home":
        monkeypatch.delenv("NUMGRAD_CACHE_DIR", raising=False)
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr(cache.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("Could not determine home directory.")))
    else:
        monkeypatch.setenv("NUMGRAD_CACHE_DIR", str(tmp_path))
        monkeypatch.setattr(cache.os, "access", lambda path, mode: False)
    with pytest.warns(UserWarning, match="cannot keep its compiled kernels.*NUMGRAD_CACHE_DIR") as told:
        found = [cache.directory.__wrapped__() for _ in range(3)]
    assert len(told) == 1 and found == [None if problem == "no home" else tmp_path] * 3


def test_another_cpu_shares_the_folder(warm: Path, tmp_path: Path) -> None:
    shutil.copytree(warm, tmp_path / "cache")
    baseline = {"x86_64": "x86-64"}.get(os.uname().machine, "generic")
    settings = {"NUMGRAD_CACHE_DIR": str(tmp_path / "cache"), "NUMBA_CPU_NAME": baseline, "NUMBA_CPU_FEATURES": ""}
    before = len(list((tmp_path / "cache").glob("*.bin")))
    assert child("-c", STEP, **settings) == RIGHT
    assert len(list((tmp_path / "cache").glob("*.bin"))) > before


VERSIONS = """
import sys
sys.path.insert(0, sys.argv[1])
import numgrad
assert numgrad.__file__.startswith(sys.argv[1])
print(numgrad.tensor([-1.0, 2.0]).relu().tolist())
"""


def test_two_versions_side_by_side(tmp_path: Path) -> None:
    """Of the second one, an op's formula is another; they use the folder by turns."""
    shutil.copytree(ROOT / "numgrad", tmp_path / "numgrad", ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "numgrad" / "ops" / "activation.py"
    changed = path.read_text().replace('pointwise("relu", "where(x < 0, 0, x)"', 'pointwise("relu", "where(x < 0, 0, 3 * x)"')
    assert changed != path.read_text()
    path.write_text(changed)
    for _ in range(2):
        for folder, wanted in ((ROOT, "[0.0, 2.0]"), (tmp_path, "[0.0, 6.0]")):
            assert child("-c", VERSIONS, str(folder), NUMGRAD_CACHE_DIR=str(tmp_path / "cache"), PYTHONPATH=None) == [wanted]
