"""Readers of files under a fuzzer that follows coverage."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.children import ROOT, environment
from tests.faults.loaders import KINDS
from tests.long import Tally

SECONDS = 3600
FOUND = ROOT / ".pytest_cache" / "fuzz"  # where files that made a reader fail are kept
PATIENCE = 20  # seconds over which one input may be read, in case the clock in the process cannot stop it


def run(budget: float) -> Tally:
    """Fuzz everything that reads files, following coverage, for an hour: only documented errors, 2 s and 64 MB for an input."""
    count, failures = 0, []
    for kind in KINDS:
        found, problems = explore(kind.name, random.randrange(2**32), SECONDS * budget / len(KINDS))
        count += found
        failures += problems
    return Tally("files that were changed, and read", count, failures)


def explore(name: str, seed: int, seconds: float) -> tuple[int, list[str]]:
    """Explore one kind in a process of its own: how many files there were, and what was wrong."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.faults.fuzzing", name, str(seed), f"{seconds}s", folder]
        settings = environment() | {"NUMBA_DISABLE_JIT": "1"}
        process = subprocess.Popen(command, cwd=ROOT, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            out, told = _watched(process, Path(folder) / "input", seconds)
        finally:
            process.kill()
        if process.returncode != 0:
            return 0, [f"{name}: the process ended with {process.returncode} on {_keep(Path(folder) / 'input')}: {told[-300:]!r}"]
        found = json.loads(out)
        print(f"{name}: {found['count']} files, {found['lines']} lines, {found['kept']} kept, {len(found['failures'])} failures", flush=True)
        return found["count"], [f"{name}: {problem}: {_keep(Path(folder) / file)}" for problem, file in found["failures"].items()]


def _watched(process: subprocess.Popen[str], current: Path, seconds: float) -> tuple[str, str]:
    """What a process said; killed if it stays with one input."""
    start = time.monotonic()
    while True:
        try:
            return process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            since = time.time() - current.stat().st_mtime if current.exists() else time.monotonic() - start
            if since > PATIENCE + (0 if current.exists() else 60):
                process.kill()


def _keep(path: Path) -> str:
    """Keep a file that made a reader fail; where it is then."""
    if not path.exists():
        return "the seeds"
    FOUND.mkdir(parents=True, exist_ok=True)
    kept = FOUND / f"{random.randrange(2**32):08x}"
    kept.write_bytes(path.read_bytes())
    return str(kept.relative_to(ROOT))
