"""NUMGRAD_DEBUG=1, in processes of its own: bad indices in kernels raise, and a NaN is traced to the op and line that made it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(tmp_path: Path, code: str, **more: str) -> str:
    program = tmp_path / "program.py"
    program.write_text(code)
    settings = os.environ | {"NUMGRAD_DEBUG": "1", "PYTHONPATH": str(ROOT)} | more
    done = subprocess.run([sys.executable, str(program)], env=settings, capture_output=True, text=True, timeout=250)
    return f"{done.stdout}{done.stderr}"


def test_a_nan_is_traced_to_its_line(tmp_path: Path) -> None:
    text = run(tmp_path, "import numgrad\nx = numgrad.tensor([1.0, -1.0])\ny = x * 2\nz = numgrad.log(y)\nprint(z.sum())\n")
    assert "RuntimeError: NUMGRAD_DEBUG: log made NaN" in text and "program.py:4" in text, text


def test_an_infinity_is_a_warning_and_what_was_there_before_is_nothing(tmp_path: Path) -> None:
    code = "import numgrad\nx = numgrad.tensor([1.0, 0.0])\ny = 1 / x\nprint((y * 2).sum(), (numgrad.tensor([float('nan')]) + 1).item())\n"
    text = run(tmp_path, code)
    assert text.count("made an infinity") == 1 and "program.py:3" in text and "inf" in text and "Error" not in text, text


@pytest.mark.native
def test_kernels_check_their_indices(tmp_path: Path) -> None:
    code = """
import numpy as np
from numgrad.jit import empty, kernel, launch, prange

@kernel
def shifted(y, x):
    for i in prange(y.size):
        y[i] = x[i + 1]

y = empty(4, np.float32)
try:
    launch(shifted, y, np.ones(4, np.float32))
except IndexError as error:
    print("caught", error)
"""
    assert "caught" in run(tmp_path, code)
    assert "caught" not in run(tmp_path, code, NUMGRAD_DEBUG="0"), "the fast kernel is another"
    assert "caught" in run(tmp_path, code)
