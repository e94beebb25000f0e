"""Functions of LLVM modules of our own: written once, and found in the cache from then on."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest
from llvmlite import ir

from numgrad.jit import machine

pytestmark = pytest.mark.native

WORD = ir.IntType(64)


def run(value: int, source: str = "") -> tuple[int, int]:
    """What a function returns that was written to return a value, and how often it was written."""
    written = []

    def write(module: ir.Module) -> list[str]:
        written.append(value)
        function = ir.Function(module, ir.FunctionType(WORD, []), "answer")
        ir.IRBuilder(function.append_basic_block()).ret(WORD(value))
        return ["answer"]

    (address,) = machine.functions("numgrad_test_answer", write, source)
    return ctypes.CFUNCTYPE(ctypes.c_int64)(address)(), len(written)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(machine, "directory", lambda: tmp_path)
    return tmp_path


def test_what_was_written_once_is_found_again(folder: Path) -> None:
    assert run(41) == (41, 1)
    assert run(42) == (41, 0)  # nobody asks what it would be now: the folder's sources are the same
    assert run(42, source="another") == (42, 1)


def test_a_damaged_file_is_written_again(folder: Path) -> None:
    run(41)
    (path,) = folder.glob("*.o")
    path.write_bytes(path.read_bytes()[:-1])
    assert run(42) == (42, 1)
    assert run(43) == (42, 0)
