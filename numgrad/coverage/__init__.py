"""How much of PyTorch numgrad has: `python -m numgrad.coverage` counts the names that public training scripts use.

A name is "there", "refused" (it exists, and using it raises what to do instead) or "missing".
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numgrad

_NAMES = Path(__file__).with_name("names.txt")


def names() -> dict[str, list[str]]:
    """The names by tier, without the leading `torch`."""
    tiers: dict[str, list[str]] = {}
    found: list[str] = []
    for line in _NAMES.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            found = tiers.setdefault(line.strip("[]"), [])
        elif not line.startswith("#"):
            found += line.split()
    return tiers


@functools.cache
def _examples(of: str) -> list[Any]:
    """Objects whose attributes stand for those of every module or optimizer: some exist on instances only."""
    linear = numgrad.nn.Linear(1, 1)
    if of == "nn.Module":
        lstm: Any = getattr(numgrad.nn, "LSTM", None)
        recurrent = [] if lstm is None else [lstm(1, 1)]
        return [linear, numgrad.nn.BatchNorm1d(1), *recurrent]
    optimizer = numgrad.optim.SGD(linear.parameters(), lr=0.1)
    return [optimizer, numgrad.optim.lr_scheduler.StepLR(optimizer, 1)]


def state_of(name: str) -> str:
    """Whether a name is "there", "refused" or "missing"."""
    for owner in ("nn.Module", "optim.Optimizer"):
        if name.startswith(owner + "."):
            found = any(hasattr(e, name[len(owner) + 1 :]) for e in _examples(owner))
            return "there" if found else "missing"
    value: Any = numgrad
    for part in name.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            return "missing"
    return "refused" if getattr(value, "lacking", False) else "there"


def count() -> dict[str, dict[str, list[str]]]:
    """For each tier the names that are there, refused and missing."""
    result = {}
    for tier, all_names in names().items():
        states: dict[str, list[str]] = {"there": [], "refused": [], "missing": []}
        for name in all_names:
            states[state_of(name)].append(name)
        result[tier] = states
    return result


def table() -> str:
    """The count as a table, and below it every name that is refused or missing."""
    counts = count()
    lines = [f"{'tier':10}{'names':>8}{'there':>8}{'refused':>9}{'missing':>9}"]
    for tier, states in counts.items():
        there, refused, missing = (len(states[s]) for s in ("there", "refused", "missing"))
        lines.append(f"{tier:10}{there + refused + missing:>8}{there:>8}{refused:>9}{missing:>9}")
    for state in ("refused", "missing"):
        lines += [f"\n{tier}, {state}: {' '.join(states[state])}" for tier, states in counts.items() if states[state]]
    return "\n".join(lines)
