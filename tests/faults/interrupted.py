"""Ctrl-C at random moments: `python -m tests.faults.interrupted TIMES SEED`.

Steps, eager and compiled, are interrupted in kernels, in compilation, in recording, and while batches are awaited. After each
interruption training starts anew in the same process, and must end in the bits of an undisturbed one.
"""

from __future__ import annotations

import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import numgrad
from numgrad.utils.data import DataLoader, TensorDataset
from tests.faults.processes import Training

_batches = TensorDataset(numgrad.arange(64), numgrad.arange(64) * 2)


def batches() -> str:
    """What two workers hand out."""
    return str([(x.tolist(), y.tolist()) for x, y in DataLoader(_batches, 8, num_workers=2)])


def fresh_kernel() -> str:
    """A kernel that was never compiled before: its formula has a new constant."""
    fresh_kernel.count += 1  # type: ignore[attr-defined]
    value = fresh_kernel.count  # type: ignore[attr-defined]
    made: Any = numgrad.jit.codegen.load(f"fresh{value}_kernel", FRESH.format(value=value), {})
    out = np.zeros(4)
    made.serial(out, np.ones(4))
    assert (out == 1 + value).all(), out
    return "compiled"


fresh_kernel.count = random.randrange(10**9)  # type: ignore[attr-defined]
FRESH = """
@kernel
def fresh{value}_kernel(out, x):
    for i in prange(out.size):
        out[i] = x[i] + {value}
"""
TASKS: dict[str, Callable[[], str]] = {
    "eager": lambda: Training(False).run(),
    "compiled": lambda: Training(True).run(),
    "compilation": fresh_kernel,
    "workers": batches,
}


def interrupt(task: Callable[[], str], patience: float) -> bool:
    """Run a task and interrupt it after a while; whether it was reached."""
    try:
        signal.setitimer(signal.ITIMER_REAL, max(patience, 1e-5))
        task()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        return True
    return False


def main(times: int, seed: int) -> None:
    """Interrupt each task so often; prints how many were reached."""
    lost: list[str] = []  # where nobody hears of it
    sys.unraisablehook = lambda unraisable: lost.append(str(unraisable.object))
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))  # a timer that presses the keys
    moments, reached = random.Random(seed), 0
    for name, task in TASKS.items():
        task()
        start = time.perf_counter()
        wanted = task()
        whole = time.perf_counter() - start
        for _ in range(times):
            moment = moments.uniform(0, whole)
            reached += interrupt(task, moment)
            found = task()
            assert found == wanted, f"{name}, interrupted after {moment:.4f} s: {found[:100]}, not {wanted[:100]}"
            assert threading.active_count() == 1 and not numgrad.jit.observers, name
            assert numgrad.is_grad_enabled(), name
    print(*sorted(set(lost)), sep="\n", file=sys.stderr)
    print(f"lost {len(lost)}, reached {reached} of {times * len(TASKS)}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
