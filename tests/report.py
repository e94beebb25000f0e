"""What the checks have seen: `python -m tests.report` writes `tests/REPORT.md`, from the registry and the tallies of the long lanes.

    python -m tests.report            runs each check on a few examples of every op first (a minute or two, without compiling)
"""

from __future__ import annotations

import os

os.environ["NUMBA_DISABLE_JIT"] = "1"

import contextlib
import json
import signal
import sys
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator
from types import FrameType

import numpy as np

from numgrad.ops import REGISTRY
from numgrad.ops.record import Op
from numgrad.testing.bad_inputs import bad_calls, outcome
from numgrad.testing.case import Case
from numgrad.testing.draw import numpy_draw
from numgrad.testing.suite import SUITE, checks_of, run_check

from .long import LANES, ROOT, TALLIES

EXAMPLES = 2
#: Seconds that one check of one op may take: one that hangs fails, and the report is written all the same.
PATIENCE = 30
#: What the long lanes are about.
GROUPS = {
    "Inputs tried": ("examples", "wrong", "fuzz", "steps"),
    "Mutation of gradient rules": ("mutants",),
    "Faults injected": ("cache", "faults", "interrupts", "kills", "processes"),
}
REPORT = ROOT / "tests" / "REPORT.md"


@contextlib.contextmanager
def limited(seconds: int = PATIENCE) -> Iterator[None]:
    """TimeoutError inside the block after so many seconds (where the system has alarms)."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"takes more than {seconds} s")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


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
            with limited():
                run_check(op, check, EXAMPLES)
            marks.append("ok")
        except Exception as error:
            marks.append("**FAILS**")
            failures.append(f"{name}: {check}: {str(error).splitlines()[0]}")
        counts["checks"] += 1
        counts["inputs"] += max(1, EXAMPLES * SUITE[check].share // 10) if SUITE[check].share else 0
    wrong = refused = 0
    if "bad input" in fitting:
        case = Case.drawn(op, numpy_draw(0, np.float64, 4))
        outcomes = [outcome(case, args, kwargs) for _, args, kwargs in bad_calls(case)]
        wrong, refused = len(outcomes), sum(o.refused for o in outcomes)
    counts["wrong calls"], counts["refused"], counts["declared errors"] = wrong, refused, len(op.errors)
    off = f"{rounding(op):.1f}" if op.reference is not None and not op.random else ""
    return f"| {name} | {' | '.join(marks)} | {f'{refused} of {wrong}' if wrong else ''} | {len(op.errors)} | {off} |", counts


def tallies() -> list[str]:
    """The long lanes by what they are about, a line for each, also for those that have not run."""
    lines, rest = [], [name for name in LANES if not any(name in group for group in GROUPS.values())]
    for title, names in {**GROUPS, "Other": tuple(rest)}.items():
        rows = [tally_of(name) for name in names if name in LANES]
        lines += [f"### {title}", "", "| lane | count | of what | failures | part of the full run | times in a row |", "|---|---|---|---|---|---|", *rows, ""] if rows else []
    return lines


def tally_of(name: str) -> str:
    """A long lane's line."""
    path = TALLIES / f"{name}.json"
    if not path.exists():
        return f"| {name} | not run yet | | | | |"
    t = json.loads(path.read_text(encoding="utf-8"))
    return f"| {name} | {t['count']:,} | {t['what']} | {len(t['failures'])} | {t.get('budget', 1):g} | {t.get('times', 1)} |"


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
        f"on {total['inputs']:,} inputs; {len(failures)} failures. Kernels ran as Python: what is blank does not fit the op, or (threads) needs native ones."), "",
        (f"Of {total['wrong calls']:,} wrong calls {total['refused']:,} were refused with the right sort of exception; the others were "
         f"taken, without a crash, and their results compared where the op has a reference that takes such a call. {total['declared errors']} declared errors were raised as declared."), "",
        "ulp: the largest distance of float32 results from the reference in float64, in units in the last place of the largest result.", "",
        f"| op | {' | '.join(SUITE)} | wrong calls refused | errors | ulp |", f"|{'---|' * (len(SUITE) + 4)}", *rows, "",
        *([f"- {f}" for f in failures]),
        f"Public ops that declare no errors of their own, and are covered by the sweep of wrong calls only ({len(undeclared)}): {', '.join(undeclared)}.", "",
    ]  # fmt: skip
    REPORT.write_text("\n".join(text), encoding="utf-8")
    print(f"{REPORT}: {len(sampled)} ops, {total['checks']} checks, {len(failures)} failures", *failures, sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
