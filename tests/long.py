"""The long lanes: what is too slow for every push. Each ends with a tally in `tests/tallies`, which the report reads.

    python -m tests.long                              every lane in turn, with its full budget (hours)
    python -m tests.long examples mutants             these lanes
    python -m tests.long examples --budget 0.02       a part of it: 20,000 of 1,000,000 examples
    python -m tests.long kills processes --times 3    three full runs in a row
    python -m tests.long --list                       which lanes there are, and what they do

A lane is a function `(budget: float) -> Tally`, named below as "module:function"; budget 1 is the full run. Each runs in a
process of its own, so that a lane may set environment variables at the top of its module, and may die. What a lane
found is in its tally: how many cases were tried, and each failure as a line that says how to repeat it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
TALLIES = Path(__file__).parent / "tallies"

#: name -> "module:function"; the first line of the function's documentation is what `--list` shows.
LANES: dict[str, str] = {
    "examples": "tests.lanes.examples:run",
    "mutants": "tests.lanes.mutants:run",
    "wrong": "tests.lanes.wrong:run",
    "cache": "tests.lanes.disk_cache:run",
    "fuzz": "tests.lanes.fuzz:run",
    "interrupts": "tests.lanes.interrupts:run",
    "kills": "tests.lanes.kills:run",
    "processes": "tests.lanes.processes:run",
    "steps": "tests.lanes.steps:run",
}


class Tally(NamedTuple):
    """What a lane did: in words, how many cases, and the failures, each a line of text; perhaps more about its parts."""

    what: str
    count: int
    failures: list[str]
    parts: dict[str, Any] | None = None

    def write(self, name: str, **more: int | float) -> None:
        """Write `tests/tallies/NAME.json`; a smaller run that finds nothing does not replace a larger one."""
        path = TALLIES / f"{name}.json"
        if path.exists() and not self.failures:
            known = json.loads(path.read_text(encoding="utf-8"))
            if known["count"] * known.get("times", 1) > self.count * int(more.get("times", 1)):
                return
        TALLIES.mkdir(exist_ok=True)
        told = {name: value for name, value in (self._asdict() | more).items() if value is not None}
        text = json.dumps(told, indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")


def lane(name: str) -> Callable[[float], Tally]:
    """The function of a lane."""
    module, _, function = LANES[name].partition(":")
    return getattr(importlib.import_module(module), function)


def run_here(name: str, budget: float, times: int) -> int:
    """Run one lane in this process, so many times or until it finds failures; 1 if it did."""
    start = time.perf_counter()
    tally, turn = lane(name)(budget), 1
    while turn < times and not tally.failures:
        tally, turn = lane(name)(budget), turn + 1
    seconds = time.perf_counter() - start
    tally.write(name, budget=budget, seconds=round(seconds), times=turn)
    for failure in tally.failures:
        print(f"FAILED {failure}")
    print(f"{name}: {tally.count} {tally.what}, {len(tally.failures)} failures, run {turn} of {times}, {seconds:.0f} s", flush=True)
    return 1 if tally.failures else 0


def main(arguments: list[str]) -> int:
    """Run lanes, each in a process of its own; 0 if none failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.long", description="The long lanes.")
    parser.add_argument("lanes", nargs="*", metavar="lane", help=", ".join(LANES))
    parser.add_argument("--budget", type=float, default=1.0, help="part of the full run (default: 1)")
    parser.add_argument("--times", type=int, default=1, help="how many runs in a row (default: 1)")
    parser.add_argument("--list", action="store_true", help="say what each lane does")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.list:
        for name in LANES:
            print(f"{name:<14} {(lane(name).__doc__ or '').strip().splitlines()[0]}")
        return 0
    unknown = [name for name in options.lanes if name not in LANES]
    if unknown:
        parser.error(f"no lane is called {unknown[0]!r}; there are {', '.join(LANES)}")
    if options.here:
        return max(run_here(name, options.budget, options.times) for name in options.lanes)
    failed = []
    for name in options.lanes or LANES:
        command = [sys.executable, "-m", "tests.long", "--here", name, "--budget", str(options.budget), "--times", str(options.times)]
        if subprocess.call(command, cwd=ROOT):
            failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "every lane passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
