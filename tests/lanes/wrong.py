"""Wrong calls of every op on real kernels: each ends in an exception of the right sort or in a right result, and none crashes.

`LANE_SECONDS` stops a run by itself; its tally says how many ops it reached.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
import zlib

import numpy as np

from numgrad.ops import REGISTRY
from numgrad.testing.bad_inputs import bad_calls, trial
from numgrad.testing.case import Case
from numgrad.testing.draw import numpy_draw

from ..long import ROOT, Tally

SEEDS = 2
AT_ONCE = 10
#: Seconds that the wrong calls of so many ops may take, compiling included: what hangs is a failure.
PATIENCE = 900


def run(budget: float) -> Tally:
    """Wrong calls of every op, one argument at a time, on real kernels."""
    names = [name for name, op in REGISTRY.items() if op.sample is not None and (op.public or op.method)]
    names = names[:: max(1, round(1 / budget))]
    count, failures, tried = 0, [], 0
    stop = time.monotonic() + float(os.environ.get("LANE_SECONDS", "inf"))
    for first in range(0, len(names), AT_ONCE):  # a crash takes its process with it, and no other
        if time.monotonic() > stop:
            break
        chosen = names[first : first + AT_ONCE]
        tried += len(chosen)
        try:
            done = subprocess.run([sys.executable, "-m", "tests.lanes.wrong", *chosen], cwd=ROOT, env=os.environ | {"NUMBA_DISABLE_JIT": "0"},
                                  capture_output=True, text=True, timeout=PATIENCE)  # fmt: skip
        except subprocess.TimeoutExpired:
            failures.append(f"{', '.join(chosen)}: not done after {PATIENCE} s")
            continue
        if done.returncode:
            failures.append(f"{', '.join(chosen)}: the process ends with {done.returncode}: {done.stderr[-300:]}")
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        count += found["count"]
        failures += found["failures"]
        print(f"{count} wrong calls of {tried} ops, {len(failures)} failures", flush=True)
    return Tally(f"wrong calls of {tried} ops on real kernels", count, failures)


def main(names: list[str]) -> None:
    """Try these ops and print what was found."""
    count, failures = 0, []
    warnings.simplefilter("ignore", UserWarning)
    for name in names:
        for seed in range(SEEDS):
            case = Case.drawn(REGISTRY[name], numpy_draw(zlib.crc32(name.encode()) + seed, np.float32, 4))
            for what, args, kwargs in bad_calls(case):
                count += 1
                wrong = trial(case, args, kwargs)
                if wrong is not None:
                    failures.append(f"{case!r} with {what}: {wrong}")
    print(json.dumps({"count": count, "failures": failures}))


if __name__ == "__main__":
    main(sys.argv[1:])
