"""One contender in a process of its own: it builds what it is asked for, times it and answers, one line of JSON each."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

#: A batch of calls between two looks at the clock lasts at least this long.
BATCH_NANOSECONDS = 1_000_000


class Unavailable(Exception):
    """This contender has no such thing."""


@dataclass
class Library:
    """What a case is built with: `module` is numgrad, torch, jax or numpy."""

    name: str
    module: Any
    threads: int = 1
    seconds: float = 0.2  # of measuring

    @property
    def compiled(self) -> bool:
        """Whether steps are compiled."""
        return self.name in ("numgrad-compiled", "torch-compile", "jax")

    @property
    def like_torch(self) -> bool:
        """Whether programs written for PyTorch run."""
        return self.module.__name__ in ("numgrad", "torch")

    def array(self, values: np.ndarray) -> Any:
        """The values as this library's own array or tensor."""
        if self.like_torch:
            return self.module.from_numpy(np.array(values))
        return self.module.numpy.asarray(values) if self.name == "jax" else np.array(values)

    def quiet(self) -> Any:
        """A context without gradients."""
        return self.module.no_grad() if self.like_torch else contextlib.nullcontext()


def open_library(contender: str, threads: int, seconds: float = 0.2) -> Library:
    """Import a contender, and let it use so many threads."""
    names = {"numgrad-compiled": "numgrad", "torch-compile": "torch"}
    if contender == "jax" and hasattr(os, "sched_setaffinity"):  # XLA has as many threads as it sees processors
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    try:
        module = importlib.import_module(names.get(contender, contender))
    except ImportError as error:
        raise Unavailable(str(error)) from error
    if contender == "numgrad-compiled" and not hasattr(module, "compile"):
        raise Unavailable("numgrad has no compile")
    if module.__name__ in ("numgrad", "torch"):
        module.set_num_threads(threads)
    return Library(contender, module, threads, seconds)


def measure(call: Callable[[], Any], seconds: float) -> float:
    """The median time of a call, in seconds, over batches of calls: about `seconds` of them, after a warm-up."""
    clock = time.perf_counter_ns
    call()  # compiles, allocates
    began, calls = clock(), 0
    while calls < 2 or (clock() - began < 0.1e9 * seconds and calls < 1000):
        call()
        calls += 1
    each = (clock() - began) / calls
    count = max(1, int(BATCH_NANOSECONDS / each))
    batches = max(3 if each < 1e9 else 1, min(1000, int(seconds * 1e9 / (each * count))))
    times, collecting = [], gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for _ in range(batches):
            began = clock()
            for _ in range(count):
                call()
            times.append((clock() - began) / count)
    finally:
        if collecting:
            gc.enable()
    return statistics.median(times) * 1e-9


def fastest(*calls: Callable[[], Any]) -> Callable[[], Any]:
    """Of several ways to do the same, the fastest here; ways that fail are left out."""
    times: list[Any] = []
    for call in calls:
        try:
            times.append((measure(call, 0.05), len(times), call))
        except (RuntimeError, NotImplementedError) as error:
            failed = error
    if not times:
        raise failed
    return min(times)[2]


def find(path: str) -> Callable[..., Any]:
    """The function that `module:function` names."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _limit_memory() -> None:
    """A case too large for this machine raises MemoryError instead of taking the machine down."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        most = int(0.7 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def serve(contender: str, threads: int, seconds: float) -> None:
    """Answer requests `{"build": "module:function", "arguments": [...]}` until the input ends.

    `function(library, *arguments)` returns a call to be timed, or a number as the answer itself. Asked for the same case
    again, what was built is timed again.
    """
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes elsewhere

    def answer(**content: Any) -> None:
        print(json.dumps(content), file=channel, flush=True)

    if contender != "jax":  # XLA reserves more than it uses
        _limit_memory()
    try:
        library = open_library(contender, threads, seconds)
    except Unavailable as error:
        answer(error=str(error))
        return
    answer(version=getattr(library.module, "__version__", ""))
    known, built = "", None
    for line in sys.stdin:
        try:
            if line != known:
                known, built = "", None  # free the last case before the next is built
                request = json.loads(line)
                built = find(request["build"])(library, *request["arguments"])
                known = line
            answer(value=measure(built, seconds) if callable(built) else built)
        except Exception as error:
            built = None
            answer(error=f"{type(error).__name__}: {str(error).strip()[:300]}")


if __name__ == "__main__":
    # under its own name, so that what cases import and what runs are the same module
    importlib.import_module("perf.worker").serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
