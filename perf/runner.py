"""Cases and how they are run: each contender in a process of its own, in turn, several rounds; the least median counts."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from .quiet import MOST, Watch, wait_for_rest

ROOT = Path(__file__).parent.parent
#: as the user set it: numgrad, once imported, bounds OpenMP's spinning, which is not the peers' default
_ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("GOMP_", "NUMBA_NUM_THREADS"))}
_THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
TIMEOUT = 240.0


@dataclass(frozen=True)
class Case:
    """What is measured: `build(library, *arguments)` in the contender's process gives the call. The first word of the name is its group.

    `arguments` must survive JSON; a function that returns them is called when the case is run. `flops` and `bytes` are
    those a call must do and move, where a share of the machine's limits means something.
    """

    name: str
    build: Callable[..., Any]
    arguments: Any = ()
    flops: float = 0.0
    bytes: float = 0.0
    dtype: str = "float32"
    contenders: tuple[str, ...] | None = None
    unit: str = "s"

    def request(self) -> str:
        """The line that asks for it."""
        arguments = self.arguments() if callable(self.arguments) else self.arguments
        return json.dumps({"build": f"{self.build.__module__}:{self.build.__name__}", "arguments": list(arguments)}) + "\n"


@dataclass
class Result:
    """The least value of each contender (seconds, or another unit), and why others have none."""

    case: str
    threads: int
    values: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    disturbed: list[str] = field(default_factory=list)  # contenders that never had the machine for themselves
    flops: float = 0.0
    bytes: float = 0.0
    dtype: str = "float32"
    unit: str = "s"


@dataclass
class Settings:
    """How to measure."""

    contenders: tuple[str, ...] = ("numgrad", "torch")
    peer_python: str = sys.executable
    threads: int = 1
    rounds: int = 3
    seconds: float = 0.15
    only: str = ""

    def python(self, contender: str) -> str:
        """The interpreter of a contender."""
        return sys.executable if contender.startswith(("numgrad", "numpy")) else self.peer_python


def environment(threads: int) -> dict[str, str]:
    """The variables of a contender's process."""
    return _ENVIRONMENT | {name: str(threads) for name in _THREAD_SETTINGS} | {"PYTHONPATH": str(ROOT)}


class Process:
    """A contender that waits for requests."""

    running: ClassVar[list[Process]] = []

    def __init__(self, contender: str, settings: Settings):
        self.contender, self.settings = contender, settings
        self._errors: Any = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in close
        command = [settings.python(contender), "-m", "perf.worker", contender, str(settings.threads), str(settings.seconds)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, cwd=ROOT,
            env=environment(settings.threads),
        )  # fmt: skip
        self.pid = self._process.pid
        self.running.append(self)
        self.greeting = self._read(TIMEOUT)

    def _read(self, timeout: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        timer = threading.Timer(timeout, self._process.kill)
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if line:
            return json.loads(line)
        self._process.wait()
        self._errors.seek(0)
        last = (self._errors.read().strip().splitlines() or [""])[-1]
        return {"error": f"the process ended ({self._process.returncode}) {last}"[:300], "ended": True}

    def ask(self, request: str) -> dict[str, Any]:
        """The answer to a request; `ended` is in it if the process died of it."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(request)
            self._process.stdin.flush()
        return self._read(TIMEOUT)

    def close(self) -> None:
        """End the process."""
        self.running.remove(self)
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()


class Contest:
    """The processes of all contenders; use it as a context."""

    def __init__(self, settings: Settings, report: Callable[[str], None] = lambda line: print(line, file=sys.stderr)):
        self.settings, self.report = settings, report
        self.processes: dict[str, Process] = {}

    def __enter__(self) -> Contest:
        for contender in self.settings.contenders:
            self._start(contender)
        return self

    def __exit__(self, *exception: Any) -> None:
        for process in self.processes.values():
            process.close()

    def _start(self, contender: str) -> None:
        process = Process(contender, self.settings)
        if "version" in process.greeting:
            self.processes[contender] = process
        else:
            process.close()
            self.report(f"without {contender}: {process.greeting['error']}")

    def begin(self, case: Case) -> tuple[str, Result]:
        """The request for a case and its result, which has no values yet."""
        result = Result(case.name, self.settings.threads, flops=case.flops, bytes=case.bytes, dtype=case.dtype, unit=case.unit)
        try:
            request = case.request()
        except Exception as error:  # a sample that cannot be drawn at this size
            result.missing["all"] = f"{type(error).__name__}: {error}"[:300]
            return "", result
        result.disturbed = [c for c in self.processes if case.contenders is None or c in case.contenders]
        return request, result

    def round(self, turn: int, request: str, result: Result) -> None:
        """A turn of each contender that is to have one; from turn `rounds` on, those whom other programs disturbed each time."""
        for contender in [c for c in self.processes if c not in result.missing]:
            if contender in result.disturbed or (turn < self.settings.rounds and contender in result.values):
                self._turn(contender, request, result)

    def run(self, case: Case) -> Result:
        """Measure a case with every contender."""
        return in_turn([self], case)[0]

    def _turn(self, contender: str, request: str, result: Result) -> None:
        wait_for_rest([process.pid for process in Process.running])
        watch = Watch([self.processes[contender].pid])
        answer = self.processes[contender].ask(request)
        if contender in result.disturbed and watch.others() < MOST:
            result.disturbed.remove(contender)
        if "value" in answer:
            result.values[contender] = min(answer["value"], result.values.get(contender, float("inf")))
            return
        result.missing[contender] = answer["error"]
        if "ended" in answer:
            self.processes.pop(contender).close()
            self._start(contender)


def in_turn(contests: Sequence[Contest], case: Case) -> list[Result]:
    """Measure a case in all contests, a round of one after a round of the other: what the machine does by the hour meets all alike."""
    begun = [contest.begin(case) for contest in contests]
    for turn in range(2 * max(c.settings.rounds for c in contests)):
        for contest, (request, result) in zip(contests, begun):
            if request and turn < 2 * contest.settings.rounds:
                contest.round(turn, request, result)
    return [result for _, result in begun]


def selected(cases: Iterable[Case], only: str) -> list[Case]:
    """The cases whose name the pattern is found in."""
    return [case for case in cases if re.search(only, case.name)]


def run(cases: Iterable[Case], *settings: Settings) -> Iterator[Result]:
    """The results, one by one; with several settings, as numbers of threads, those of a case follow each other."""
    with contextlib.ExitStack() as stack:
        contests = [stack.enter_context(Contest(s)) for s in settings]
        for case in selected(cases, settings[0].only):
            yield from in_turn(contests, case)


def versions_of(settings: Settings) -> dict[str, str]:
    """The versions of the packages behind the contenders, as their own interpreters have them."""
    names = list(dict.fromkeys([c.partition("-")[0] for c in settings.contenders] + ["numba", "numpy"]))
    code = "import importlib.metadata as m, json, sys\nd = {}\nfor n in sys.argv[1:]:\n try: d[n] = m.version(n)\n except m.PackageNotFoundError: pass\nprint(json.dumps(d))"
    found: dict[str, str] = {}
    for python in dict.fromkeys([settings.peer_python, sys.executable]):
        run_there = subprocess.run([python, "-c", code, *names], capture_output=True, text=True, check=False, env=environment(1), cwd=ROOT)
        found |= json.loads(run_there.stdout or "{}")
    return found
