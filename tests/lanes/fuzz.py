"""Readers of files under a fuzzer that follows coverage."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from numgrad.jit.threads import available_cpus
from tests.faults.children import ROOT, environment
from tests.faults.loaders import KINDS
from tests.long import Tally

SECONDS = 3600  # of processor time, shared out evenly among the kinds: a process that is paused or starved loses nothing of it
FOUND = ROOT / ".pytest_cache" / "fuzz"  # where files that made a reader fail are kept
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # files by the thousand a second: not on a disk where there is memory
PATIENCE = 600  # seconds over which nothing may happen while the process could go on; `fuzzing` itself limits processor time
POLL = 5


def run(budget: float) -> Tally:
    """Fuzz everything that reads files, following coverage, for an hour: only documented errors, 2 s and 64 MB for an input."""
    share = SECONDS * budget / len(KINDS)
    with ThreadPoolExecutor(available_cpus()) as side_by_side:
        found = list(side_by_side.map(lambda kind: explore(kind.name, random.randrange(2**32), share), KINDS))
    parts = {kind.name: part for kind, (part, _) in zip(KINDS, found, strict=True)}
    failures = [problem for _, problems in found for problem in problems]
    count, seconds = (sum(part[what] for part in parts.values()) for what in ("files", "seconds"))
    return Tally(f"files that were changed, and read, of {len(parts)} kinds in {seconds:,.0f} s of processor time", count, failures, parts)


def explore(name: str, seed: int, seconds: float, *start: str) -> tuple[dict[str, Any], list[str]]:
    """Explore one kind in a process of its own: how many files there were in how many seconds, and what was wrong."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        command = [sys.executable, *(start or ("-m", "tests.faults.fuzzing")), name, str(seed), f"{seconds}s", folder]
        settings = environment() | {"NUMBA_DISABLE_JIT": "1"}
        process = subprocess.Popen(command, cwd=ROOT, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            out, told = _watched(process, Path(folder) / "input")
        finally:
            process.kill()
        if process.returncode != 0:
            failure = f"{name}: the process ended with {process.returncode} on {_keep(Path(folder) / 'input')}: {told[-300:]!r}"
            return {"files": 0, "seconds": 0.0}, [failure]
        found = json.loads(out)
        failures = [f"{name}: {problem}: {_keep(Path(folder) / file)}" for problem, file in found["failures"].items()]
    print(f"{name}: {found['count']} files, {found['seconds']} s, {found['lines']} lines, {found['kept']} kept, {len(failures)} failures", flush=True)
    if not found["count"] or found["seconds"] < seconds:
        failures.append(f"{name}: only {found['count']} files in {found['seconds']} of {seconds:.1f} s")
    return {"files": found["count"], "seconds": found["seconds"]}, failures


def _watched(process: subprocess.Popen[str], current: Path) -> tuple[str, str]:
    """What a process said; killed if it does nothing for too long, though neither it nor this process is paused."""
    seen, waited, before = None, 0.0, time.monotonic()
    while True:
        try:
            return process.communicate(timeout=POLL)
        except subprocess.TimeoutExpired:
            now, when = current.stat().st_mtime_ns if current.exists() else None, time.monotonic()
            waited = 0.0 if now != seen or _paused(process.pid) else waited + min(when - before, 2 * POLL)
            seen, before = now, when
            if waited > PATIENCE:
                process.kill()


def _paused(number: int) -> bool:
    """Whether a process was stopped, where the system tells."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{number}/stat").read_bytes().rpartition(b")")[2].split()[0] in (b"T", b"t")
    return False


def _keep(path: Path) -> str:
    """Keep a file that made a reader fail; where it is then."""
    if not path.exists():
        return "the seeds"
    FOUND.mkdir(parents=True, exist_ok=True)
    kept = FOUND / f"{random.randrange(2**32):08x}"
    kept.write_bytes(path.read_bytes())
    return str(kept.relative_to(ROOT))
