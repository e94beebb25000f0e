"""Draw calls, ask both libraries, compare their answers, and count in how many calls they agree."""

from __future__ import annotations

import argparse
import os
import pickle
import re
import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .agreement import Call, ElementType, Failure, answer, find, tree
from .agreement_cases import modules, optimizers

#: what may differ by rounding, relative to the largest number of an array: results and gradients in each dtype
CLOSE = {"float64": 1e-9, "float32": 2e-5}

#: where numgrad differs on purpose: name -> why
DELIBERATE: dict[str, str] = {}


def ops(draws: int, pattern: str) -> Iterator[Call]:
    """Calls of every op, from its sample, that both libraries may know by its name; then those that are errors."""
    import numgrad
    from numgrad.ops import REGISTRY
    from numgrad.testing.draw import Draw

    for name, op in REGISTRY.items():
        if name.startswith("_") or find(numgrad, name) is None or not re.search(pattern, name):
            continue
        for seed in range(draws if op.sample else 0):
            for dtype in ("float64", "float32"):
                rng = np.random.default_rng(seed)
                args, kwargs = op.sample(Draw(lambda low, high: int(rng.integers(low, high, endpoint=True)), dtype, 4))  # noqa: B023
                yield Call("op", name, *portable((args, kwargs)), "random" if op.random else None)
        for args, *_ in op.errors:
            yield Call("error", name, *portable((args, {})))


def portable(call: tuple[Any, dict[str, Any]]) -> tuple[Any, dict[str, Any]]:
    """A call's arguments without objects of numgrad's."""
    from numgrad.dtypes import dtype

    def change(value: Any) -> Any:
        return ElementType(repr(value).split(".")[-1]) if isinstance(value, dtype) else value

    return tree(tuple(call[0]), change), {k: tree(v, change) for k, v in call[1].items()}


def ask_peer(calls: list[Call], python: str) -> list[dict[str, Any] | None]:
    """PyTorch's answers, from a process of its own; None for what it does not have."""
    with tempfile.TemporaryDirectory(prefix="numgrad-perf-") as folder:
        before, after = Path(folder) / "calls", Path(folder) / "answers"
        before.write_bytes(pickle.dumps(calls))
        command = [python, "-c", "from perf.agreement import main; main()", str(before), str(after)]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)})
        return pickle.loads(after.read_bytes())


# --- comparison -------------------------------------------------------------------------------------------------------


def differences(call: Call, ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[str]:
    """What differs between two answers, a line each; nothing where PyTorch itself fails and numgrad does not."""
    if call.kind == "error":
        yield from differing_error(ours["error"], theirs["error"])
        return
    for part in theirs:
        if isinstance(theirs[part], Failure):
            if part == "result" and not isinstance(ours.get(part), Failure):
                yield f"{part}: PyTorch raises {theirs[part].type}: {theirs[part].text}"
            continue
        if part not in ours:
            if part != "second gradient" or any(np.any(a) for a in theirs[part]):
                yield f"{part}: numgrad has none"
            continue
        yield from (f"{part}: {line}" for line in differing(ours[part], theirs[part], call.extra == "random"))


def differing_error(ours: Any, theirs: Any) -> Iterator[str]:
    """Exceptions agree if one's type is the other's or derived from it."""
    if ours == "none" or theirs == "none":
        if ours != theirs:
            shown = [e if e == "none" else f"{e.type}: {e.text}" for e in (ours, theirs)]
            yield f"error: {shown[0]}, PyTorch {shown[1]}"
    elif theirs.type not in ours.bases and ours.type not in theirs.bases:
        yield f"error: {ours.type}: {ours.text}, PyTorch {theirs.type}: {theirs.text}"


def differing(ours: Any, theirs: Any, random: bool = False) -> Iterator[str]:
    """Lists of arrays element by element; anything else must be equal."""
    if isinstance(ours, Failure):
        yield f"numgrad raises {ours.type}: {ours.text}"
    elif isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            yield f"{len(ours)} parts, PyTorch {len(theirs)}"
            return
        for n, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
                yield from (f"{n}: {line}" for line in differing_arrays(a, b, random))
            elif a != b and not random:
                yield f"{n}: {a}, PyTorch {b}"
    elif ours != theirs:
        yield f"{ours}, PyTorch {theirs}"


def differing_arrays(a: np.ndarray, b: np.ndarray, random: bool) -> Iterator[str]:
    """Dtype, shape, and values up to rounding."""
    if a.dtype != b.dtype or a.shape != b.shape:
        yield f"{a.dtype}{list(a.shape)}, PyTorch {b.dtype}{list(b.shape)}"
    elif random or a.size == 0:
        return
    elif a.dtype.kind != "f":
        if not np.array_equal(a, b):
            yield f"{a.ravel()[:6]}, PyTorch {b.ravel()[:6]}"
    else:
        with np.errstate(all="ignore"):
            finite = np.isfinite(a) & np.isfinite(b)
            scale = max(1.0, float(np.max(np.abs(b), where=finite, initial=0)))
            wrong = np.where(finite, np.abs(a - b) > CLOSE[str(a.dtype)] * scale, ~((a == b) | (np.isnan(a) & np.isnan(b))))
        if np.any(wrong):
            yield f"{a[wrong][:4]}, PyTorch {b[wrong][:4]} ({np.count_nonzero(wrong)} of {a.size})"


def run(options: argparse.Namespace) -> None:
    """Print what differs, then how many calls agree, by kind."""
    import numgrad

    calls = [*ops(options.draws, options.only), *(c for c in (*modules(), *optimizers()) if re.search(options.only, c.name))]
    answers = ask_peer(calls, options.peer_python)
    agreed: Counter[str] = Counter()
    names: dict[str, set[str]] = defaultdict(set)
    apart: dict[str, set[str]] = defaultdict(set)
    lacking = sorted({c.name for c, theirs in zip(calls, answers, strict=True) if theirs is None})
    for call, theirs in zip(calls, answers, strict=True):
        if theirs is None:
            continue
        found = list(differences(call, answer(numgrad, call), theirs))
        names[call.kind].add(call.name)
        agreed[call.kind + (" apart" if found else "")] += 1
        if found:
            if call.name not in apart[call.kind] or options.all:
                print(f"{call}\n    " + "\n    ".join(found), flush=True)
            apart[call.kind].add(call.name)
    print(f"not in PyTorch under their names: {', '.join(lacking)}")
    for kind, known in names.items():
        total = agreed[kind] + agreed[kind + " apart"]
        print(f"{kind}s: {len(known)} names, {total} calls, {agreed[kind]} agree; apart: {', '.join(sorted(apart[kind])) or 'none'}")
