"""Mutants of every gradient rule. A run that was stopped goes on where it was; `LANE_SECONDS` stops it by itself."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

os.environ["NUMBA_DISABLE_JIT"] = "1"

from numgrad.ops import REGISTRY
from numgrad.testing.mutation import mutants, survey

from ..long import Tally
from ..mutate import sampled

PROGRESS = Path(__file__).parent.parent.parent / ".pytest_cache" / "mutants.json"
#: Samples of each op that are looked at to see which rules they reach; survivors are tried on more, some at a time.
SEEDS, MORE, AT_ONCE = 4, 200, 20


def run(budget: float) -> Tally:
    """Wrong gradients planted in every rule (sign, factor 1.001, dropped term, wrong axis, swapped, deleted): all must be caught."""
    stop = time.monotonic() + float(os.environ.get("LANE_SECONDS", "inf"))
    places = sorted(survey([REGISTRY[name] for name in sampled()], SEEDS).items(), key=lambda item: str(item[0]))
    places = places[:: max(1, round(1 / budget))]
    done: dict[str, Any] = json.loads(PROGRESS.read_text(encoding="utf-8")) if PROGRESS.exists() else {}
    done = {rule: o for rule, o in done.items() if not o["survivors"]}  # which are tried again
    print(f"{len(places)} rules, {len(done)} of them done before", flush=True)
    for place, calls in places:
        if str(place) in done:
            continue
        if time.monotonic() > stop:
            break
        done[str(place)] = _tried(place, calls)
        for survivor in done[str(place)]["survivors"]:
            print(survivor, flush=True)
        PROGRESS.parent.mkdir(exist_ok=True)
        PROGRESS.write_text(json.dumps(done), encoding="utf-8")
    own = [done[str(place)] for place, _ in places if str(place) in done]
    return _tally(own, len(places))


def _tried(place: Any, calls: list[Any]) -> dict[str, Any]:
    """The outcome of every mistake in one rule."""
    found = list(mutants(place, calls))
    survivors = {m.mistake: m for m in found if m.survived}
    ops = [REGISTRY[name] for name in dict.fromkeys(c.op.name for c in calls[:3])]
    for first in range(SEEDS, MORE, AT_ONCE):  # a few samples may all be special; see whether more tell
        if survivors:
            further = survey(ops, range(first, first + AT_ONCE)).get(place, [])
            for m in mutants(place, further, patience=len(further)):
                if m.caught_by:
                    survivors.pop(m.mistake, None)
    same = sum(m.equivalent for m in found)
    return {"caught": len(found) - same - len(survivors), "equivalent": same, "survivors": [str(m) for m in survivors.values()]}


def _tally(outcomes: list[dict[str, Any]], rules: int) -> Tally:
    survivors = [line for o in outcomes for line in o["survivors"]]
    same = sum(o["equivalent"] for o in outcomes)
    count = sum(o["caught"] for o in outcomes) + len(survivors)
    what = f"mutants of {len(outcomes)} of {rules} gradient rules; {same} more changed no gradient in any call, and are not counted"
    return Tally(what, count, survivors)
