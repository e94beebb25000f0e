"""A small fuzzer that follows coverage: what it changed is kept, and changed again, if it reached lines that nothing did before.

    python -m tests.faults.fuzzing KIND SEED LIMIT FOLDER

explores one kind of `tests.faults.loaders` (or each: "*"), for some seconds of processor time ("9s") or files ("9"), in a process
that may take 1 GiB more than it has at the start, and prints a line of JSON. Besides what a reader raises, and the time and memory it takes,
the process watches what it does: code run, programs started, files written elsewhere are failures, too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import random
import re
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numgrad

PACKAGE = str(Path(numgrad.__file__).parent)
SECONDS, MEMORY, JUMP, LONGEST = 2.0, 1 << 30, 1 << 26, 1 << 14  # for an input: time, memory, peak memory, its own size
PATIENCE = 20  # seconds of processor time after which the system ends the process, where the clock in it cannot end an input
INTEGERS = [0, 1, 2, 3, 7, 8, 9, 32, 33, 64, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1]


class Kind:
    """Files of one kind: small valid ones, what reads them, what it may raise, and what makes a file of changed bytes."""

    def __init__(self, name: str, seeds: list[bytes], read: Callable[[bytes, Path], Any], allowed: type[Exception], wrap: Any = None) -> None:
        self.name, self.seeds, self.read, self.allowed, self.wrap = name, seeds, read, allowed, wrap or bytes


# --- changes ---


def _flip(data: bytes, other: bytes, r: random.Random) -> bytes:
    place = r.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << r.randrange(8)]) + data[place + 1 :]


def _byte(data: bytes, other: bytes, r: random.Random) -> bytes:
    place = r.randrange(len(data))
    return data[:place] + r.randbytes(1) + data[place + 1 :]


def _cut(data: bytes, other: bytes, r: random.Random) -> bytes:
    start = r.randrange(len(data))
    return data[:start] + (data[start + _length(r) :] if r.random() < 0.8 else b"")


def _insert(data: bytes, other: bytes, r: random.Random) -> bytes:
    place = r.randrange(len(data) + 1)
    return data[:place] + r.randbytes(_length(r)) + data[place:]


def _duplicate(data: bytes, other: bytes, r: random.Random) -> bytes:
    start, place = r.randrange(len(data)), r.randrange(len(data) + 1)
    return data[:place] + data[start : start + _length(r)] * r.choice([1, 1, 2, 30]) + data[place:]


def _splice(data: bytes, other: bytes, r: random.Random) -> bytes:
    """The start of one file and the end of another; or a part of another put in."""
    place, start = r.randrange(len(data) + 1), r.randrange(len(other) + 1)
    return data[:place] + (other[start:] if r.random() < 0.5 else other[start : start + _length(r)] + data[place:])


def _integer(data: bytes, other: bytes, r: random.Random) -> bytes:
    """A number that is a limit of something, in two, four or eight bytes."""
    width, place = r.choice([1, 2, 4, 8]), r.randrange(len(data))
    number = (r.choice(INTEGERS) % 256**width).to_bytes(width, r.choice(["little", "big"]))  # type: ignore[arg-type]
    return data[:place] + number + data[place + width :]


def _digits(data: bytes, other: bytes, r: random.Random) -> bytes:
    """A number that is a limit of something where digits are."""
    found = list(re.finditer(rb"-?\d+", data))
    if not found:
        return _integer(data, other, r)
    place = r.choice(found)
    return data[: place.start()] + str(r.choice([1, 1, 1, -1]) * r.choice(INTEGERS)).encode() + data[place.end() :]


def _length(r: random.Random) -> int:
    return r.choice([1, 1, 2, 4, 8, 16, 64, 512])


CHANGES = [_flip, _byte, _cut, _insert, _duplicate, _splice, _integer, _digits, _digits]


def changed(data: bytes, other: bytes, r: random.Random) -> bytes:
    """`data` after one to four changes."""
    for _ in range(r.choice([1, 1, 2, 4])):
        data = r.choice(CHANGES)(data or b"\0", other, r)[:LONGEST]
    return data


# --- what a reader must not do ---

HARM = {"os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "subprocess.Popen", "socket.connect", "socket.bind",
        "pickle.find_class", "ctypes.dlopen", "os.symlink", "os.link", "os.kill", "os.putenv", "webbrowser.open"}  # fmt: skip


class Guard:
    """Hears of what the process does, and notes what reading a file has no reason for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.on, self.harm = str(folder), False, ""
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple) -> None:
        if not self.on:
            return
        ran = event == "exec" and re.match("<(?!frozen)", getattr(arguments[0], "co_filename", ""))  # and not a module, imported late
        wrote = event in ("os.mkdir", "os.rename") or (event == "open" and _writes(arguments[1], arguments[2]))
        if ran or event in HARM or (wrote and not os.path.realpath(str(arguments[0])).startswith(self.folder)):
            self.harm = f"did {event}{arguments!r:.200}"

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Listen in the body."""
        self.on, self.harm = True, ""
        try:
            yield
        finally:
            self.on = False


def _writes(mode: Any, flags: int) -> bool:
    return bool(set(mode or "") & set("wax+")) or bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


# --- coverage ---


class Lines:
    """The lines of the package that have run, by `sys.monitoring` where the interpreter has it, else by `sys.settrace`."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, int]] = set()
        self._whole: dict[CodeType, set[int]] = {}  # lines that have not run yet

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Note the lines that run in the body."""
        if sys.version_info >= (3, 12):
            tool, watch = sys.monitoring.COVERAGE_ID, sys.monitoring
            watch.use_tool_id(tool, "numgrad fuzzing")
            watch.register_callback(tool, watch.events.LINE, self._line)
            watch.set_events(tool, watch.events.LINE)
            try:
                yield
            finally:
                watch.set_events(tool, 0)
                watch.free_tool_id(tool)
        else:
            before = sys.gettrace()
            sys.settrace(self._call)
            try:
                yield
            finally:
                sys.settrace(before)

    def _line(self, code: CodeType, line: int) -> Any:
        if code.co_filename.startswith(PACKAGE):
            self.seen.add((code.co_filename, line))
        return sys.monitoring.DISABLE  # type: ignore[attr-defined]

    def _call(self, frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        left = self._whole.get(code)
        if left is None:
            ours = code.co_filename.startswith(PACKAGE)
            left = self._whole[code] = {line for *_, line in code.co_lines() if line is not None and ours}
        if not left:  # nothing to learn here: it runs at full speed
            return None

        def step(frame: FrameType, event: str, _: Any) -> Any:
            if event == "line" and frame.f_lineno in left:
                left.discard(frame.f_lineno)
                self.seen.add((code.co_filename, frame.f_lineno))
            return step

        return step


# --- the search ---


class TooLongError(BaseException):
    """Raised by the clock in an input that takes too long."""


def _alarm(*_: Any) -> None:
    raise TooLongError(f"took more than {SECONDS:g} s")


def attempt(kind: Kind, data: bytes, folder: Path, guard: Guard | None) -> str | None:
    """What is wrong with how a file is read, in a line; None if it was read, or refused as documented."""
    before = peak()
    try:
        if guard is None:
            kind.read(data, folder)
        else:
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            with guard.listening():
                kind.read(data, folder)
    except kind.allowed as error:
        if type(error) is kind.allowed or type(error).__module__.startswith("numgrad."):
            return guard.harm or None if guard is not None else None
        return _told(error)
    except (Exception, TooLongError) as error:
        return _told(error)
    finally:
        if guard is not None:
            signal.setitimer(signal.ITIMER_PROF, 0)
    if guard is not None and guard.harm:
        return guard.harm
    return f"took {(peak() - before) >> 20} MB" if peak() - before > JUMP else None


def _told(error: BaseException) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(PACKAGE)]
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "the test"
    return f"{type(error).__name__} at {place}: {str(error)[:200]}"


def peak() -> int:
    """The most memory that this process ever had, in bytes."""
    try:
        with open("/proc/self/status", "rb") as file:  # getrusage counts what the process that started this one had, too
            return int(file.read().partition(b"VmHWM:")[2].split()[0]) << 10
    except (OSError, IndexError):
        pass
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class Search:
    """The search in one kind of file, and what came of it."""

    def __init__(self, kind: Kind, seed: int, folder: Path, guard: Guard | None = None) -> None:
        self.kind, self.folder, self.guard = kind, folder, guard
        self.random, self.lines, self.count = random.Random(seed), Lines(), 0
        self.corpus: list[bytes] = []
        self.failures: dict[str, bytes] = {}  # what was wrong, and the first file with which

    def run(self, more: Callable[[], bool]) -> None:
        """Try the seeds, and what comes of them, while there is `more` to do."""
        with warnings.catch_warnings(), self.lines.watched():
            warnings.simplefilter("ignore")
            for seed in self.kind.seeds:
                self._try(seed)
            self.corpus += [seed for seed in self.kind.seeds if seed not in self.corpus]
            while more():
                self._try(changed(self.random.choice(self.corpus), self.random.choice(self.corpus), self.random))

    def _try(self, data: bytes) -> None:
        known = len(self.lines.seen)
        try:
            whole = self.kind.wrap(data)
        except Exception:  # these bytes make no such file
            return
        if self.guard is not None:
            (self.folder / "input").write_bytes(whole)
            _limit_processor_time()
        self.count += 1
        problem = attempt(self.kind, whole, self.folder / "files", self.guard)
        if problem is not None:
            start = problem.partition(": ")[0]
            if not any(known.startswith(start) for known in self.failures):
                self.failures[problem] = whole
        elif len(self.lines.seen) > known:
            self.corpus.append(data)


def _limit_processor_time() -> None:
    """Let the system end this process if it computes for much longer than an input may; time that it does not run does not count."""
    import resource

    most = resource.getrlimit(resource.RLIMIT_CPU)[1]
    wanted = int(time.process_time()) + 1 + PATIENCE
    resource.setrlimit(resource.RLIMIT_CPU, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))


def main(name: str, seed: str, limit: str, folder: str) -> None:
    """Explore kinds with limited memory, and print what came of each."""
    import resource

    from tests.faults.loaders import KINDS

    place = Path(folder).resolve()
    (place / "files").mkdir(exist_ok=True)
    signal.signal(signal.SIGPROF, _alarm)
    with contextlib.suppress(OSError):  # where there is no such file the limit on peak memory remains
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    guard, chosen = Guard(place), [kind for kind in KINDS if name in (kind.name, "*")]
    if not chosen:
        sys.exit(f"no kind is called {name!r}; there are {', '.join(kind.name for kind in KINDS)}")
    for kind in chosen:
        print(json.dumps(_explored(Search(kind, int(seed), place, guard), limit)), flush=True)


def _explored(search: Search, limit: str) -> dict[str, Any]:
    start = time.process_time()
    if limit.endswith("s"):
        search.run(lambda: time.process_time() < start + float(limit[:-1]))
    else:
        search.run(lambda: search.count < int(limit))
    failures, seconds = {}, math.ceil(100 * (time.process_time() - start)) / 100
    for problem, data in search.failures.items():
        failures[problem] = hashlib.sha256(data).hexdigest()[:16]
        (search.folder / failures[problem]).write_bytes(data)
    return {"kind": search.kind.name, "count": search.count, "seconds": seconds, "kept": len(search.corpus), "lines": len(search.lines.seen), "failures": failures}


if __name__ == "__main__":
    main(*sys.argv[1:])
