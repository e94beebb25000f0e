"""The disk cache: found again when nothing changed, never when something did, and no damage to a file is ever seen by the user."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numgrad.jit import cache

pytestmark = pytest.mark.native

SOURCE = """
import cached_helper
import numpy as np
from numgrad.jit import device, kernel, prange
from numgrad.jit.vmath import {ours} as ours
from cached_helper import shift

theirs = np.{theirs}
TABLE = np.array([{table}, 0.0])
FACTOR = {factor}

@device
def helper(value, more={default}):
    return value * FACTOR + shift(value) + cached_helper.step(value) + cached_helper.START + TABLE[0] + more + ours(0.5) - theirs(0.25)

@kernel{options}
def scale(out, x):
    for i in prange(out.size):
        out[i] = helper(x[i])
"""
HELPER = """
from numgrad.jit import device

START = {start}

@device
def shift(value):
    return {shift}

@device
def step(value):
    return {step}
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of its own."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setattr(cache, "directory", lambda: folder)
    return folder


@pytest.fixture
def scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[float], bool]]:
    """Loads a module with a kernel, as a new process would, runs it, and says whether it was found in the cache."""

    def load(name: str, text: str) -> Any:
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(text, str(path), "exec"), module.__dict__)
        return module

    def run(
        factor: str = "2", shift: str = "value * 0", options: str = "", parallel: bool = False, dtype: Any = np.float64,
        step: str = "value * 0", start: float = 0.0, table: float = 0.0, default: float = 0.0, ours: str = "floor", theirs: str = "floor",
    ) -> tuple[list[float], bool]:  # fmt: skip
        load("cached_helper", HELPER.format(shift=shift, step=step, start=start))
        made = load("cached_module", SOURCE.format(factor=factor, options=options, table=table, default=default, ours=ours, theirs=theirs)).scale
        twin = made.parallel if parallel else made.serial
        out = np.zeros(3, dtype)
        twin(out, np.array([1, 2, 3], dtype))
        return out.tolist(), sum(twin.stats.cache_hits.values()) == 1

    return run


def the_file(store: Path) -> Path:
    (found,) = store.glob("*.bin")
    return found


def test_found_again(store: Path, scale: Any) -> None:
    assert scale() == ([2, 4, 6], False)
    assert scale() == ([2, 4, 6], True)
    assert the_file(store).name.startswith("scale-")


def test_a_warm_process_imports_nothing_to_compile_with(store: Path) -> None:
    """What Numba compiles with takes 0.2 s to import, and as much again where SciPy is installed."""
    code = "import sys, numgrad as ng; print((ng.arange(5.0).exp() + 1).sum().item(), 'numba.np.linalg' in sys.modules)"
    environment = os.environ | {"NUMGRAD_CACHE_DIR": str(store)}
    said = [subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert [words.split()[1] for words in said] == ["True", "False"]
    assert said[0].split()[0] == said[1].split()[0]


def test_whatever_shapes_the_code_is_in_the_key(store: Path, scale: Any) -> None:
    """Constants, helpers here and in other files, options, the twin, and the arguments' types."""
    assert scale() == ([2, 4, 6], False)
    assert scale(factor="3") == ([3, 6, 9], False)
    assert scale(shift="value + 1") == ([4, 7, 10], False)
    assert scale(step="value + 1") == ([4, 7, 10], False), "reached through its module"
    assert scale(start=1.0) == ([3, 5, 7], False), "a constant of another module"
    assert scale(table=1.0) == ([3, 5, 7], False), "an array"
    assert scale(default=1.0) == ([3, 5, 7], False), "a default"
    assert scale(ours="ceil") == ([3, 5, 7], False), "another function of this package by the same name"
    assert scale(theirs="ceil") == ([1, 3, 5], False), "another function of NumPy's by the same name"
    assert scale(options='(fastmath=("contract", "reassoc"))') == ([2, 4, 6], False)
    assert scale(parallel=True) == ([2, 4, 6], False)
    assert scale(dtype=np.float32) == ([2, 4, 6], False)
    assert len(list(store.glob("*.bin"))) == 12
    assert scale() == ([2, 4, 6], True)
    assert scale(parallel=True) == ([2, 4, 6], True)


def test_a_new_version_of_the_tools_starts_anew(store: Path, scale: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert scale() == ([2, 4, 6], False)
    monkeypatch.setattr(cache, "_TOOLCHAIN", b"another version")
    assert scale() == ([2, 4, 6], False)


def _flip(content: bytes, place: int) -> bytes:
    changed = bytearray(content)
    changed[place] ^= 0x10
    return bytes(changed)


def _signed(value: bytes) -> bytes:
    return hashlib.sha256(value).digest() + value


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "only the checksum": lambda content: content[:32],
    "half": lambda content: content[: len(content) // 2],
    "all but the last byte": lambda content: content[:-1],
    "a byte too many": lambda content: content + b"\0",
    "checksum flipped": lambda content: _flip(content, 5),
    "start flipped": lambda content: _flip(content, 40),
    "middle flipped": lambda content: _flip(content, len(content) // 2),
    "end flipped": lambda content: _flip(content, -1),
    "another pickle": lambda content: _signed(pickle.dumps(("not", "a", "kernel"))),
    "no pickle": lambda content: _signed(b"no pickle at all"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_compiled_again(damage: str, store: Path, scale: Any) -> None:
    scale()
    content = the_file(store).read_bytes()
    the_file(store).write_bytes(DAMAGE[damage](content))
    assert scale() == ([2, 4, 6], False)
    assert scale() == ([2, 4, 6], True), "the good code must have taken the place of the bad"


def test_a_folder_that_cannot_be_written(store: Path, scale: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "directory", lambda: store / "file" / "below")
    monkeypatch.setattr(cache, "_warned", False)
    (store / "file").write_text("")
    with pytest.warns(UserWarning, match="cannot keep its compiled kernels"):
        assert scale() == ([2, 4, 6], False)
    assert scale() == ([2, 4, 6], False), "and one warning is enough"


def test_no_cache(scale: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "directory", lambda: None)
    assert scale() == ([2, 4, 6], False)
    assert scale() == ([2, 4, 6], False)


# --- where it lies --------------------------------------------------------------------------------------------------


def chosen(monkeypatch: pytest.MonkeyPatch, **settings: str | None) -> Path | None:
    for name, value in settings.items():
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    return cache.directory.__wrapped__()


def test_the_folder_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = tmp_path / "a" / "b"
    assert chosen(monkeypatch, NUMGRAD_CACHE_DIR=str(wanted), NUMGRAD_CACHE=None) == wanted
    assert wanted.is_dir() and wanted.stat().st_mode & 0o077 == 0, "nobody else may write what will be run"


def test_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(monkeypatch, NUMGRAD_CACHE="0", NUMGRAD_CACHE_DIR=str(tmp_path)) is None


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners here")
def test_a_folder_that_others_may_write_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o777)
    monkeypatch.setattr(cache, "_warned", False)
    with pytest.warns(UserWarning, match="may be written by, others"):
        assert chosen(monkeypatch, NUMGRAD_CACHE_DIR=str(tmp_path), NUMGRAD_CACHE=None) is None


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="other folders there")
def test_the_users_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain: dict[str, str | None] = {"NUMGRAD_CACHE_DIR": None, "NUMGRAD_CACHE": None, "HOME": str(tmp_path)}
    assert chosen(monkeypatch, **plain, XDG_CACHE_HOME=str(tmp_path / "x")) == tmp_path / "x" / "numgrad"
    assert chosen(monkeypatch, **plain, XDG_CACHE_HOME=None) == tmp_path / ".cache" / "numgrad"


# --- writing --------------------------------------------------------------------------------------------------------


def test_readers_see_all_of_a_file_or_nothing(tmp_path: Path) -> None:
    """Writers that overtake one another leave one of the contents, whole."""
    path, contents = tmp_path / "file", [bytes([i]) * 200_000 for i in range(4)]
    writers = [
        threading.Thread(target=lambda c=c: [cache.write_atomically(path, c) for _ in range(20)]) for c in contents
    ]
    for writer in writers:
        writer.start()
    while any(w.is_alive() for w in writers):
        assert not path.exists() or path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(cache.os, "replace", full)
    monkeypatch.setattr(cache, "_warned", True)
    cache.write_atomically(tmp_path / "file", b"content")
    assert list(tmp_path.iterdir()) == []


TWINS = """
import sys
import numgrad as ng
x, y = ng.tensor([1.0, 2.0, 3.0]), ng.tensor([5.0, 6.0, 7.0])
print({"minus": lambda: x - y, "times": lambda: x * y, "over": lambda: x / y}[sys.argv[1]]().tolist() if len(sys.argv) == 2
      else [(x - y).tolist(), (x * y).tolist()])
"""


def test_kernels_compiled_by_different_processes_stay_apart(tmp_path: Path) -> None:
    """Numba counts what it compiles; two functions of one name that met the same count must not become one symbol."""
    settings = os.environ | {"NUMGRAD_CACHE_DIR": str(tmp_path), "NUMBA_DISABLE_JIT": "0"}

    def run(*names: str) -> str:
        return subprocess.run([sys.executable, "-c", TWINS, *names], env=settings, capture_output=True, text=True, check=True).stdout

    assert run("minus") == "[-4.0, -4.0, -4.0]\n"
    assert run("times") == "[5.0, 12.0, 21.0]\n"
    assert run() == "[[-4.0, -4.0, -4.0], [5.0, 12.0, 21.0]]\n"
