"""Where the time goes: every kernel launch with its op and the line of code it comes from, eager and in compiled steps.

    with numgrad.profiler.profile() as prof:
        train()
    print(prof.key_averages().table(sort_by="self_cpu_time_total"))
    prof.export_chrome_trace("trace.json")  # opens in Perfetto and in Chrome
"""

from __future__ import annotations

import contextlib
import enum
import functools
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .autograd import Node
from .compiler.recorder import user_line
from .jit import Kernel, Observer, observe
from .jit.program import Call, Place, Program
from .ops.record import Op

__all__ = [
    "Event", "EventAverage", "EventList", "ProfilerAction", "ProfilerActivity", "profile", "record_function", "schedule",
    "tensorboard_trace_handler",
]  # fmt: skip

_PACKAGE = str(Path(__file__).parent)


class ProfilerActivity(enum.Enum):
    """What to profile. There is the CPU; the others are accepted, and see nothing."""

    CPU, CUDA, XPU = range(3)


class ProfilerAction(enum.Enum):
    """What a profiler does in a step."""

    NONE, WARMUP, RECORD, RECORD_AND_SAVE = range(4)


def schedule(*, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0) -> Callable[[int], ProfilerAction]:
    """Which steps to record: after `skip_first`, cycles of `wait`, `warmup` and `active` steps, `repeat` times (0: for ever)."""
    if min(wait, warmup, repeat, skip_first) < 0 or active <= 0:
        raise ValueError("schedule(): wait, warmup, repeat and skip_first must be at least 0, and active at least 1")

    def action(step: int) -> ProfilerAction:
        cycle, at = divmod(step - skip_first, wait + warmup + active)
        if step < skip_first or (repeat and cycle >= repeat) or at < wait:
            return ProfilerAction.NONE
        if at < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD_AND_SAVE if at == wait + warmup + active - 1 else ProfilerAction.RECORD

    return action


@dataclass
class Event:
    """One launch, call of a compiled function, or block under `record_function`. Times in ns; `source` is the line of the user's code."""

    name: str
    kind: str  # "op", "compiled", or "user_annotation"
    kernel: str
    start: int
    stop: int
    thread: int
    source: str
    shapes: tuple[tuple[int, ...], ...] = ()
    inner: int = 0  # the time of the events inside

    @property
    def cpu_time_total(self) -> float:
        """Microseconds from start to end."""
        return (self.stop - self.start) / 1000

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds without the events inside."""
        return (self.stop - self.start - self.inner) / 1000


@dataclass
class EventAverage:
    """Events of one name together; times in microseconds."""

    key: str
    source: str = ""
    shapes: tuple[tuple[int, ...], ...] = ()
    count: int = 0
    cpu_time_total: float = 0.0
    self_cpu_time_total: float = 0.0

    @property
    def cpu_time(self) -> float:
        """The mean of a call."""
        return self.cpu_time_total / max(self.count, 1)

    def add(self, event: Event) -> None:
        """Count an event in."""
        self.count += 1
        self.cpu_time_total += event.cpu_time_total
        self.self_cpu_time_total += event.self_cpu_time_total


class EventList(list):
    """Averages, as `key_averages` gives them."""

    def table(self, sort_by: str | None = "self_cpu_time_total", row_limit: int = 100, max_name_column_width: int = 60, **_: Any) -> str:
        """A table with a row for each; `sort_by`: cpu_time_total, self_cpu_time_total, cpu_time, count."""
        total = sum(e.self_cpu_time_total for e in self) or 1.0
        rows = sorted(self, key=lambda e: -getattr(e, sort_by)) if sort_by else list(self)
        sourced, shaped = any(e.source for e in rows), any(e.shapes for e in rows)
        head = ["Name", "Self CPU %", "Self CPU", "CPU total", "CPU time avg", "# of Calls"]
        head += ["Input Shapes"] * shaped + ["Source"] * sourced
        lines = [head]
        for e in rows[: row_limit if row_limit >= 0 else None]:
            line = [e.key[:max_name_column_width], f"{e.self_cpu_time_total / total:.2%}", *map(_time, (e.self_cpu_time_total, e.cpu_time_total, e.cpu_time))]
            lines.append([*line, str(e.count), *([str(list(map(list, e.shapes)))] * shaped), *([e.source] * sourced)])
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        ruler = "  ".join("-" * w for w in widths)
        text = ["  ".join(c.ljust(w) if n == 0 or n > 5 else c.rjust(w) for n, (c, w) in enumerate(zip(line, widths, strict=True))).rstrip() for line in lines]
        return "\n".join([ruler, text[0], ruler, *text[1:], ruler, f"Self CPU time total: {_time(total)}"])

    def total_average(self) -> EventAverage:
        """All together."""
        total = EventAverage("Total")
        for e in self:
            total.count += e.count
            total.cpu_time_total += e.cpu_time_total
            total.self_cpu_time_total += e.self_cpu_time_total
        return total


def _time(microseconds: float) -> str:
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if microseconds >= size:
            return f"{microseconds / size:.3f}{unit}"
    return f"{microseconds:.3f}us"


class _Watcher(Observer):
    """Takes the time of each launch."""

    def __init__(self, shapes: bool, each_step: bool) -> None:
        self.shapes, self.each_step = shapes, each_step
        self.events: list[Event] = []
        self._replays: list[tuple[Sequence[Any], Sequence[str], Sequence[int], int]] = []
        self._open = threading.local()

    def launched(self, kernel: Kernel, work: int, args: tuple[Any, ...]) -> None:
        shapes = tuple(a.shape for a in args if hasattr(a, "shape") and a.ndim) if self.shapes else ()
        self._open.launch = (_op_of(sys._getframe(1)) or _plain(kernel.name), user_line(), shapes, time.perf_counter_ns())

    def finished(self, kernel: Kernel) -> None:
        stop = time.perf_counter_ns()
        name, source, shapes, start = self._open.launch
        self.events.append(Event(name, "op", kernel.name, start, stop, threading.get_ident(), source, shapes))

    def replayed(self, steps: Sequence[Any], lines: Sequence[str], times: Sequence[int]) -> None:
        self._replays.append((steps, lines, times, threading.get_ident()))  # the caller's clock is running

    def called(self, name: str, start: int, stop: int) -> None:
        self.events.append(Event(f"{name} (compiled)", "compiled", "", start, stop, threading.get_ident(), ""))

    def expand(self) -> None:
        """Make events of the replays that were only noted."""
        replays, self._replays = self._replays, []
        for steps, lines, times, thread in replays:
            looks = list(map(int, times))
            self.events += [self._event(*row, thread) for row in zip(steps, lines, looks, looks[1:], strict=False)]

    def _event(self, step: Any, line: str, start: int, stop: int, thread: int) -> Event:
        if type(step) is Program:
            kernel = f"program of {len(step.steps)} launches"
        else:
            kernel = step.kernel.name if type(step) is Call else type(step).__name__.lower()
        places = [a.shape for a in step.args if type(a) is Place] if self.shapes and type(step) is Call else []
        return Event(_plain(kernel), "compiled", kernel, start, stop, thread, line, tuple(places))


def _plain(kernel: str) -> str:
    return kernel.removesuffix("_kernel").lstrip("_")


def _op_of(frame: Any) -> str | None:
    """The outermost op of numgrad's that a launch belongs to, and whether it runs backward."""
    found = None
    while frame is not None and (frame.f_code.co_filename.startswith(_PACKAGE) or "__name__" not in frame.f_globals):
        owner = frame.f_locals.get("self", frame.f_locals.get("op"))
        if isinstance(owner, Op):
            found = owner.name
        elif isinstance(owner, Node) and hasattr(owner, "op"):
            return f"{owner.op.name} (backward)"
        frame = frame.f_back
    return found


_active: list[_Watcher] = []


class record_function(contextlib.ContextDecorator):
    """A name for what runs inside the block, or in the function that it decorates."""

    def __init__(self, name: str, args: str | None = None):
        self.name, self.args = name, args

    def __enter__(self) -> record_function:
        self._source, self._start = (user_line() if _active else ""), time.perf_counter_ns()
        return self

    def __exit__(self, *exc: Any) -> None:
        stop = time.perf_counter_ns()
        for watcher in _active:
            watcher.events.append(Event(self.name, "user_annotation", "", self._start, stop, threading.get_ident(), self._source))

    def _recreate_cm(self) -> record_function:
        return record_function(self.name, self.args)  # a decorated function may call itself


class profile:
    """Profiles the block. With `schedule`, the steps that it chooses (call `step()` after each), and `on_trace_ready(self)` is
    called when a cycle of them ends.

    A compiled function is an event of its own, from its call to its return. Its self time is what a call spends outside kernels:
    on looking at its arguments and surroundings, on memory for results, and on the way into native code and back. A launch's time
    is all from the launch before to the next: also what it takes to start threads, and to wait for the last of them. Events are
    made when the profiler has ended; one look at the clock a launch (20 ns) is all that is added to what is timed, and with
    `launches=False`, where a program is not taken apart, it runs exactly as it does without a profiler.
    `record_shapes=True` notes the shapes of what kernels are given. `with_stack` needs no asking: lines are always noted. The other
    options of PyTorch are accepted: there is nothing that they would show on a CPU.
    """

    def __init__(
        self, *, activities: Iterable[ProfilerActivity] | None = None, schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[[profile], Any] | None = None, record_shapes: bool = False, profile_memory: bool = False,
        with_stack: bool = False, with_flops: bool = False, with_modules: bool = False, experimental_config: Any = None,
        execution_trace_observer: Any = None, acc_events: bool = False, use_cuda: bool | None = None, launches: bool = True,
    ):  # fmt: skip
        self.activities = set(activities or [ProfilerActivity.CPU])
        self.schedule, self.on_trace_ready, self.record_shapes = schedule, on_trace_ready, record_shapes
        self.step_num = 0
        self._each_step = launches
        self._watcher = _Watcher(record_shapes, launches)
        self._watching: Any = None
        self._metadata: dict[str, str] = {}

    # --- running ---

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *exc: Any) -> None:
        self.stop()

    def start(self) -> None:
        """Begin."""
        self._apply(self._action())

    def stop(self) -> None:
        """End; what was recorded is there to be looked at."""
        was_on = self._watching is not None
        self._close()
        if was_on and self.on_trace_ready is not None:
            self.on_trace_ready(self)

    def step(self) -> None:
        """The next step of the schedule begins."""
        ended = self._action() is ProfilerAction.RECORD_AND_SAVE and self.schedule is not None
        self.step_num += 1
        if ended:
            self._close()
            if self.on_trace_ready is not None:
                self.on_trace_ready(self)
        self._apply(self._action(), ended)

    def _action(self) -> ProfilerAction:
        return ProfilerAction.RECORD if self.schedule is None else self.schedule(self.step_num)

    def _apply(self, action: ProfilerAction, anew: bool = False) -> None:
        wanted = action in (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE) and ProfilerActivity.CPU in self.activities
        if wanted and self._watching is None:
            if anew or self.schedule is not None:
                self._watcher = _Watcher(self.record_shapes, self._each_step)
            self._watching = observe(self._watcher)
            self._watching.__enter__()
            _active.append(self._watcher)
        elif not wanted:
            self._close()

    def _close(self) -> None:
        if self._watching is not None:
            _active.remove(self._watcher)
            self._watching.__exit__(None, None, None)
            self._watching = None
            self._watcher.expand()
            _nest(self._watcher.events)

    # --- looking ---

    def events(self) -> list[Event]:
        """Everything that was recorded, in the order of time."""
        self._watcher.expand()
        return sorted(self._watcher.events, key=lambda e: e.start)

    def key_averages(self, group_by_input_shape: bool = False, group_by_stack_n: int = 0) -> EventList:
        """Events by name: of an op, or of a kernel in a compiled step; by shapes and by the line of code too, if asked for."""
        found: dict[Any, EventAverage] = {}
        for event in self.events():
            source, shapes = (event.source if group_by_stack_n else ""), (event.shapes if group_by_input_shape else ())
            found.setdefault((event.name, source, shapes), EventAverage(event.name, source, shapes)).add(event)
        return EventList(found.values())

    def add_metadata(self, key: str, value: str) -> None:
        """Put a text into the trace."""
        self._metadata[key] = value

    def export_chrome_trace(self, path: str | os.PathLike[str]) -> None:
        """Write the events as a trace in JSON, for Perfetto or chrome://tracing."""
        process = os.getpid()
        rows = [
            {
                "ph": "X", "cat": e.kind, "name": e.name, "pid": process, "tid": e.thread, "ts": e.start / 1000, "dur": e.cpu_time_total,
                "args": {"kernel": e.kernel, "source": e.source, **({"shapes": e.shapes} if e.shapes else {})},
            }
            for e in self.events()
        ]  # fmt: skip
        names = [{"ph": "M", "name": "process_name", "pid": process, "args": {"name": "numgrad"}}]
        content = {"traceEvents": names + rows, "displayTimeUnit": "ms", **self._metadata}
        Path(path).write_text(json.dumps(content), encoding="utf-8")


def _nest(events: list[Event]) -> None:
    """Let each event know how long the events directly inside take."""
    open_events: dict[int, list[Event]] = {}
    for event in sorted(events, key=lambda e: (e.start, -e.stop)):
        event.inner = 0
        around = open_events.setdefault(event.thread, [])
        while around and around[-1].stop <= event.start:
            around.pop()
        if around:
            around[-1].inner += event.stop - event.start
        around.append(event)


def tensorboard_trace_handler(dir_name: str, worker_name: str | None = None, use_gzip: bool = False) -> Callable[[profile], None]:
    """An `on_trace_ready` that writes each trace to a file of its own in a folder."""
    if use_gzip:
        raise NotImplementedError("tensorboard_trace_handler(use_gzip=True) is not supported: traces are written as plain JSON")

    @functools.wraps(tensorboard_trace_handler)
    def write(prof: profile) -> None:
        folder = Path(dir_name)
        folder.mkdir(parents=True, exist_ok=True)
        prof.export_chrome_trace(folder / f"{worker_name or os.getpid()}.{time.time_ns()}.pt.trace.json")

    return write


def kineto_available() -> bool:
    """Always False: operations are timed by numgrad itself."""
    return False
