"""A million steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import numgrad
from tests.long import Tally

STEPS = 1_000_000


def resident() -> int:
    """Kilobytes of memory that this process holds."""
    return int(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")).split()[1])


def descent(steps: int, compiled: bool) -> tuple[float, float, int]:
    """Gradient descent on w -> (w - t)**2 / 2 whose target goes round in a circle: how far w is from float64's path in the end,
    how far it may be, and the kilobytes that memory grew by after the first tenth.

    w' = w - lr (w - t): an error shrinks by 1 - lr each step and four roundings of at most half an ulp of 2 are added, so it
    stays below 4 eps / lr.
    """
    rate, w = 0.125, numgrad.zeros(4).requires_grad_()
    optimizer = numgrad.optim.SGD([w], lr=rate)
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    targets = np.stack([np.cos(angles), np.sin(angles), -np.cos(angles), np.ones(64)], 1).astype(np.float32)
    given = [numgrad.from_numpy(t.copy()) for t in targets]

    def step(t: Any) -> Any:
        optimizer.zero_grad()
        loss = ((w - t) ** 2).sum() / 2
        loss.backward()
        optimizer.step()
        return loss

    run, exact, before = numgrad.compile(step, fullgraph=True) if compiled else step, np.zeros(4), 0
    for n in range(steps):
        if n == steps // 10:
            before = resident()
        run(given[n % 64])
        exact -= rate * (exact - targets[n % 64])
    off = float(np.abs(w.detach().numpy() - exact).max())
    return off, 4 * float(np.finfo(np.float32).eps) / rate, resident() - before


def run(budget: float) -> Tally:
    """Take a million eager and a million compiled steps: memory must not grow, nor float32 leave float64's path by more than it may."""
    steps, failures = max(1000, round(STEPS * budget)), []
    for compiled in (False, True):
        off, bound, grown = descent(steps, compiled)
        kind = "compiled" if compiled else "eager"
        if off > bound:
            failures.append(f"{kind}: {off} from float64's path, {bound} is allowed")
        if grown > 2048:
            failures.append(f"{kind}: memory grew by {grown} kB")
    return Tally("steps, half of them compiled", 2 * steps, failures)
