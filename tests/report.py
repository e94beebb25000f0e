"""What the checks have seen: `python -m tests.report` writes `tests/REPORT.md`, from the registry and the tallies of the long lanes.

    python -m tests.report            runs each check on a few examples of every op first (a minute or two)
"""

from __future__ import annotations

import os

os.environ["NUMBA_DISABLE_JIT"] = "1"

import json
import sys
import warnings
import zlib
from collections import Counter

import numpy as np

from numgrad.ops import REGISTRY
from numgrad.ops.record import Op
from numgrad.testing.bad_inputs import bad_calls
from numgrad.testing.case import Case
from numgrad.testing.draw import numpy_draw
from numgrad.testing.suite import SUITE, checks_of, run_check

from .long import LANES, ROOT, TALLIES

EXAMPLES = 1
REPORT = ROOT / "tests" / "REPORT.md"


def rounding(op: Op) -> float | None:
    """How far float32 results are from the reference in float64, at most, in units in the last place of the largest result."""
    worst = 0.0
    for seed in range(EXAMPLES):
        case = Case.drawn(op, numpy_draw(zlib.crc32(op.name.encode()) + seed, np.float32, 4))
        for a, e in zip(case.results(), case.astype(np.float64).expected(), strict=False):
            finite = np.isfinite(e) & np.isfinite(a) if a.dtype == np.float32 and e.dtype.kind == "f" and a.shape == e.shape else None
            if finite is not None and finite.any():
                scale = float(np.max(np.abs(e[finite]))) or 1.0
                worst = max(worst, float(np.max(np.abs(a.astype(np.float64) - e)[finite])) / float(np.spacing(np.float32(scale))))
    return worst


def row(name: str, op: Op, failures: list[str]) -> tuple[str, Counter[str]]:
    """An op's line of the table."""
    marks, counts = [], Counter[str]()
    fitting = checks_of(op)
    for check in SUITE:
        if check not in fitting:
            marks.append("")
            continue
        try:
            run_check(op, check, EXAMPLES)
            marks.append("ok")
        except Exception as error:
            marks.append("**FAILS**")
            failures.append(f"{name}: {check}: {str(error).splitlines()[0]}")
        counts["checks"] += 1
    wrong = sum(1 for _ in bad_calls(Case.drawn(op, numpy_draw(0, np.float64, 4)))) if "bad input" in fitting else 0
    counts["wrong calls"], counts["declared errors"] = wrong, len(op.errors)
    off = f"{rounding(op):.1f}" if op.reference is not None and not op.random else ""
    return f"| {name} | {' | '.join(marks)} | {wrong} | {len(op.errors)} | {off} |", counts


def tallies() -> list[str]:
    """A line for each long lane."""
    lines = ["| lane | what | count | failures | part of the full run |", "|---|---|---|---|---|"]
    for path in sorted(TALLIES.glob("*.json")):
        t = json.loads(path.read_text(encoding="utf-8"))
        lines.append(f"| {path.stem} | {t['what']} | {t['count']:,} | {len(t['failures'])} | {t.get('budget', 1):g} |")
    missing = [name for name in LANES if not (TALLIES / f"{name}.json").exists()]
    return [*lines, *([f"\nNot run yet: {', '.join(missing)}."] if missing else [])]


def main() -> int:
    """Write the report; 1 if anything in it failed."""
    warnings.simplefilter("ignore")
    failures: list[str] = []
    total, rows = Counter[str](), []
    sampled = {name: op for name, op in REGISTRY.items() if op.sample is not None}
    for name, op in sampled.items():
        line, counts = row(name, op, failures)
        rows.append(line)
        total += counts
    undeclared = sorted(n for n, op in sampled.items() if (op.public or op.method) and not op.errors)
    text = [
        "# Test report", "", "Written by `python -m tests.report`. Long lanes: `python -m tests.long --list`.", "", "## Long lanes", "", *tallies(), "",
        "## Ops and checks", "",
        (f"{len(sampled)} ops with samples ({len(REGISTRY) - len(sampled)} more are reached through them), {total['checks']} checks of them here, "
        f"{total['wrong calls']:,} kinds of wrong calls, {total['declared errors']} declared errors; {len(failures)} failures."), "",
        "ulp: the largest distance of float32 results from the reference in float64, in units in the last place of the largest result.", "",
        f"| op | {' | '.join(SUITE)} | wrong calls | declared | ulp |", f"|{'---|' * (len(SUITE) + 4)}", *rows, "",
        *([f"- {f}" for f in failures]),
        f"Public ops that declare no errors of their own, and are covered by the sweep of wrong calls only ({len(undeclared)}): {', '.join(undeclared)}.", "",
    ]  # fmt: skip
    REPORT.write_text("\n".join(text), encoding="utf-8")
    print(f"{REPORT}: {len(sampled)} ops, {total['checks']} checks, {len(failures)} failures", *failures, sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
