"""What comes before and beside the steps: import and first step, the cache, memory, and a machine that is busy."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from . import steps
from .runner import ROOT, Case, Contest, Result, Settings, environment, selected
from .worker import Library, open_library

_IMPORTS = {"numgrad": "numgrad", "torch": "torch", "jax": "jax.numpy", "numpy": "numpy"}
_CACHES = ("NUMGRAD_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "JAX_COMPILATION_CACHE_DIR")
_FIRST = ("mlp", 64), ("convnet", 4)


def _seconds(command: list[str], variables: dict[str, str]) -> float:
    began = time.perf_counter()
    found = subprocess.run(command, env=variables, cwd=ROOT, capture_output=True, text=True, check=False)
    if found.returncode:
        raise RuntimeError((found.stderr.strip().splitlines() or ["failed"])[-1][:300])
    return time.perf_counter() - began


def _process(contender: str, settings: Settings, result: Result, command: list[str], cache: str = "") -> None:
    variables = environment(settings.threads) | (dict.fromkeys(_CACHES, cache) if cache else {})
    try:
        taken = _seconds([settings.python(contender), *command], variables)
    except RuntimeError as error:
        result.missing[contender] = str(error)
        return
    result.values[contender] = min(taken, result.values.get(contender, taken))


def imports(settings: Settings) -> Result:
    """From the start of Python to the end of an import."""
    result = Result("start import", settings.threads)
    for contender in settings.contenders:
        for _ in range(settings.rounds if contender in _IMPORTS else 0):
            _process(contender, settings, result, ["-c", f"import {_IMPORTS[contender]}"])
    return result


def first_steps(settings: Settings, model: str, batch: int) -> list[Result]:
    """From the start of Python to the end of a first training step, with an empty cache and with a full one, and its size."""
    cold, warm = (Result(f"start first step of {model} {kind}", settings.threads) for kind in ("cold", "warm"))
    size = Result(f"start cache of {model}", settings.threads, unit="MB")
    for contender in settings.contenders:
        with tempfile.TemporaryDirectory() as cache:
            command = ["-m", "perf.start", contender, model, str(batch), str(settings.threads)]
            _process(contender, settings, cold, command, cache)
            for _ in range(settings.rounds if contender in cold.values else 0):
                _process(contender, settings, warm, command, cache)
            written = sum(p.stat().st_size for p in Path(cache).rglob("*") if p.is_file())
            if contender in cold.values and written:
                size.values[contender] = written / 1e6
    return [cold, warm, size]


def start(settings: Settings) -> Iterator[Result]:
    """Imports and first steps."""
    if re.search(settings.only, "start import"):
        yield imports(settings)
    for model, batch in _FIRST:
        if re.search(settings.only, f"start first step of {model}"):
            yield from first_steps(settings, model, batch)


def peak(library: Library, name: str, batch: int, whole: bool) -> float:
    """Megabytes that the process needs at most while it trains: all of it, or what is above its need once the library is there."""
    before = 0.0 if whole else _high_water()
    step = steps.train(library, name, batch)
    for _ in range(5):
        step()
    return _high_water() - before


def _high_water() -> float:
    """The greatest resident size so far, in MB; of this program, not of the one that started it, where the system tells."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1 << 20)


def memory(settings: Settings) -> Iterator[Result]:
    """The peak of each model's step; each in a process of its own, for a peak never falls."""
    for case in steps.cases():
        name = case.name.replace("step", "memory", 1)
        whole = replace(case, name=name, build=peak, arguments=(*case.arguments, True), unit="MB")
        rest = replace(whole, name=case.name.replace("step", "memory-added", 1), arguments=(*case.arguments, False))
        for chosen in selected([whole, rest], settings.only):
            with Contest(replace(settings, rounds=1)) as contest:
                yield contest.run(chosen)


@contextlib.contextmanager
def busy_core() -> Iterator[None]:
    """Another program keeps one core busy."""
    pin = "import os\nif hasattr(os, 'sched_setaffinity'): os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    process = subprocess.Popen([sys.executable, "-c", pin + "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def busy(settings: Settings) -> Iterator[Result]:
    """A step of the ConvNet, quiet and while another program keeps one core busy."""
    with Contest(settings) as contest:
        for label, state in (("quiet", contextlib.nullcontext()), ("beside a busy core", busy_core())):
            with state:
                yield contest.run(Case(f"busy convnet batch 128 {label}", steps.train, ("convnet", 128)))


if __name__ == "__main__":
    chosen, network, images, threads = sys.argv[1:5]
    steps.train(open_library(chosen, int(threads)), network, int(images))()
    sys.stdout.flush()
    os._exit(0)  # what is measured ends with the step, not with the shutdown of its libraries
