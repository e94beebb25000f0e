"""Processes that tests start: what they print, and that they neither hang nor die."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def environment(**settings: str | None) -> dict[str, str]:
    """This process's environment with real kernels, and with settings changed, or (None) taken away."""
    found = os.environ | {"PYTHONPATH": str(ROOT), "NUMBA_DISABLE_JIT": "0"} | {k: v for k, v in settings.items() if v is not None}
    return {name: value for name, value in found.items() if settings.get(name, "") is not None}


def child(*arguments: str, timeout: float = 120, **settings: str | None) -> list[str]:
    """The lines that `python ARGUMENTS` printed; AssertionError, with all it said, if it failed or hung."""
    command = [sys.executable, *arguments]
    try:
        done = subprocess.run(command, env=environment(**settings), cwd=ROOT, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise AssertionError(f"{arguments} hung: {error.stdout!r} {error.stderr!r}") from None
    assert done.returncode == 0, f"{arguments} {settings} ended with {done.returncode}:\n{done.stdout}{done.stderr[-3000:]}"
    return done.stdout.splitlines()
