"""The lane that fuzzes: what counts is processor time, every kind has its share, and what ends a process is a failure."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest

from tests import long
from tests.faults.loaders import KINDS
from tests.lanes import fuzz

pytest.importorskip("resource")

#: Kinds that take their time, each in another way.
PLANTED = """
import os, signal, sys, time
from tests.faults import fuzzing, loaders
fuzzing.PATIENCE, fuzzing.SECONDS = 1, 0.5
once = iter([True])
def asleep(data, folder):
    if next(once, False):
        time.sleep(4)
def hanging(data, folder):
    time.sleep(1000)
def paused(data, folder):
    if next(once, False):
        signal.raise_signal(signal.SIGSTOP)
def deaf(data, folder):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPROF])
    while True: pass
def dying(data, folder):
    os.kill(os.getpid(), signal.SIGKILL)
def unmade(data, folder):
    pass
def wrap(data):
    raise ValueError
kinds = (asleep, hanging, paused, deaf, dying, unmade)
loaders.KINDS[:] = [fuzzing.Kind(f.__name__, [b"seed"], f, ValueError, wrap if f is unmade else None) for f in kinds]
fuzzing.main(*sys.argv[1:])
"""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fuzz, "POLL", 0.1)
    monkeypatch.setattr(fuzz, "FOUND", fuzz.ROOT / ".pytest_cache" / "fuzz-test")


def test_time_in_which_a_process_does_not_run_does_not_count(quick: None) -> None:
    start = time.monotonic()
    found, failures = fuzz.explore("asleep", 0, 0.2, "-c", PLANTED)
    assert failures == [] and time.monotonic() - start > 4 and found["files"] > 10 and 0.2 <= found["seconds"] < 2


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="nothing tells of paused processes here")
def test_a_process_that_somebody_pauses_goes_on(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    paused, seen = fuzz._paused, []

    def go_on() -> None:
        monkeypatch.setattr(fuzz, "PATIENCE", 60)
        os.kill(seen[0], signal.SIGCONT)

    def told(number: int) -> bool:
        if paused(number):
            seen.append(number)
            if len(seen) == 1:
                monkeypatch.setattr(fuzz, "PATIENCE", 0.5)
                threading.Timer(2, go_on).start()
        return paused(number)

    monkeypatch.setattr(fuzz, "_paused", told)
    found, failures = fuzz.explore("paused", 0, 0.2, "-c", PLANTED)
    assert failures == [] and len(seen) > 5 and found["files"] > 10


@pytest.mark.parametrize(("kind", "number"), [("hanging", signal.SIGKILL), ("deaf", signal.SIGXCPU), ("dying", signal.SIGKILL)])
def test_a_process_that_was_killed_is_a_failure(kind: str, number: int, quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "PATIENCE", 5.0 if kind == "hanging" else 60.0)
    found, failures = fuzz.explore(kind, 0, 0.2, "-c", PLANTED)
    assert found == {"files": 0, "seconds": 0.0}
    (failure,) = failures
    assert failure.startswith(f"{kind}: the process ended with {-number} on .pytest_cache/fuzz-test/")
    kept = fuzz.ROOT / failure.partition(" on ")[2].partition(":")[0]
    assert kept.read_bytes() == b"seed"
    kept.unlink()


def test_every_kind_has_its_share(quick: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    chosen = [kind for kind in KINDS if kind.name in ("IDX", "PNM")]
    monkeypatch.setattr(fuzz, "KINDS", chosen)
    monkeypatch.setattr(fuzz, "SECONDS", 0.6)
    tally = fuzz.run(0.5)
    assert tally.failures == [] and tally.parts is not None and set(tally.parts) == {"IDX", "PNM"}
    for part in tally.parts.values():
        assert 0.15 <= part["seconds"] < 1 and part["files"] > 20
    assert tally.count == sum(part["files"] for part in tally.parts.values())
    assert tally.what == "files that were changed, and read, of 2 kinds in 0 s of processor time"
    monkeypatch.setattr(long, "TALLIES", tmp_path)
    tally.write("fuzz", budget=0.5)
    assert json.loads((tmp_path / "fuzz.json").read_text())["parts"] == tally.parts


@pytest.mark.parametrize(("kind", "words"), [("no such kind", "the process ended with 1 on the seeds: .*no kind is called"), ("unmade", r"only 0 files in 0\.\d+ of 0\.1 s")])
def test_a_kind_without_files_is_a_failure(kind: str, words: str, quick: None) -> None:
    found, (failure,) = fuzz.explore(kind, 0, 0.1, "-c", PLANTED)
    assert found["files"] == 0 and re.match(f"{kind}: {words}", failure), failure
