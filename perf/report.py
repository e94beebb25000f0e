"""Tables, JSON files, plots, and the README's table out of the JSON files."""

from __future__ import annotations

import itertools
import json
import math
import os
import platform
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .runner import Result

BEGIN, END = "<!-- perf: begin -->", "<!-- perf: end -->"
OURS = ("numgrad-compiled", "numgrad")
PEERS = {"torch": "PyTorch", "torch-compile": "torch.compile", "jax": "JAX", "numpy": "NumPy", "numgrad": "numgrad eager"}


@dataclass
class Document:
    """What a run found; `limits` by number of threads."""

    command: str
    results: list[Result]
    versions: dict[str, str] = field(default_factory=dict)
    limits: dict[int, dict[str, float]] = field(default_factory=dict)
    machine: str = ""

    def save(self, path: str) -> None:
        """Write as JSON."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: str) -> Document:
        """Read what `save` wrote."""
        content = json.loads(Path(path).read_text())
        content["results"] = [Result(**r) for r in content["results"]]
        content["limits"] = {int(n): found for n, found in content["limits"].items()}
        return cls(**content)


def machine() -> str:
    """The processor, the width of its vectors, its cores, the interpreter."""
    name = platform.processor() or platform.machine()
    try:
        known = Path("/proc/cpuinfo").read_text()
    except OSError:
        known = ""
    found = re.search(r"^model name\s*:\s*(.*)$", known, re.MULTILINE)
    vectors = next((f" with {name}" for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if re.search(rf"\b{flag}\b", known)), "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{found[1] if found else name}{vectors}, {cores} cores, {platform.system()}, Python {platform.python_version()}"


# --- arithmetic ---------------------------------------------------------------------------------------------------------


def ours(result: Result) -> str | None:
    """Which of numgrad's forms is compared with the peers: compiled where it was measured."""
    return next((name for name in OURS if name in result.values), None)


def ratios(result: Result) -> dict[str, float]:
    """Peer's value over numgrad's: above 1, numgrad is faster (or smaller)."""
    name = ours(result)
    if name is None:
        return {}
    return {peer: value / result.values[name] for peer, value in result.values.items() if peer != name and result.values[name] > 0}


def least(result: Result) -> float | None:
    """The ratio to the best peer."""
    return min((r for peer, r in ratios(result).items() if peer not in OURS), default=None)


def geometric_mean(values: Iterable[float]) -> float:
    """exp of the mean logarithm; NaN of nothing."""
    logs = [math.log(v) for v in values]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def group(result: Result) -> str:
    """The first word of the name."""
    return result.case.split()[0]


def share(result: Result, limits: dict[str, float]) -> float | None:
    """Which part of the machine's limit numgrad reaches."""
    name, limit = ours(result), limits.get(f"fma {result.dtype}" if result.flops else "copy")
    done = result.flops or result.bytes
    return done / result.values[name] / limit if name and limit and done else None


# --- text ---------------------------------------------------------------------------------------------------------------


def shown(value: float, unit: str) -> str:
    """With a unit that fits."""
    if unit != "s":
        return f"{value:.1f} {unit}"
    for factor, name in ((1.0, "s"), (1e-3, "ms")):
        if value >= factor:
            return f"{value / factor:.3g} {name}"
    return f"{value / 1e-6:.3g} us"


def line(result: Result, limits: dict[str, float]) -> str:
    """numgrad's value, the share of the limit, each peer's value over numgrad's."""
    name, part = ours(result), share(result, limits)
    peers = "  ".join(f"{peer} {ratio:.2f}" for peer, ratio in ratios(result).items())
    peers += f"  (disturbed: {', '.join(result.disturbed)})" if result.disturbed else ""
    value = shown(result.values[name], result.unit) if name else "-"
    return f"{result.case:52s} {value:>10s} {f'{part:.0%}' if part else '':>5s}  {peers}"


def table(document: Document) -> list[str]:
    """A line a case, by number of threads."""
    lines = []
    for threads in sorted({r.threads for r in document.results}):
        lines.append(f"--- {document.command}, threads {threads}: value of numgrad, share of the limit, peer / numgrad ---")
        lines += [line(r, document.limits.get(threads, {})) for r in document.results if r.threads == threads]
    return lines


def scaling(document: Document) -> list[str]:
    """Where several numbers of threads were measured: how much faster each contender is with more of them, and the limits are higher."""
    counts = sorted({r.threads for r in document.results})
    lines: list[str] = []
    for few, many in itertools.pairwise(counts):
        lines += ["", f"speed with {many} threads over that with {few}"]
        at = {n: {r.case: r.values for r in document.results if r.threads == n} for n in (few, many)}
        for case, values in at[few].items():
            found = {c: v / at[many][case][c] for c, v in values.items() if c in at[many].get(case, {})}
            lines.append(f"  {case:50s} " + "  ".join(f"{c} {v:.2f}" for c, v in found.items()))
        limits = [document.limits.get(n, {}) for n in (few, many)]
        found = {name: limits[1][name] / v for name, v in limits[0].items() if name in limits[1] and not name.endswith(" 1") and not name.startswith("launch")}
        lines += [f"  {f'limit: {name}':50s} {v:.2f}" for name, v in found.items()]
    return lines


def summary(document: Document) -> list[str]:
    """Geometric means by group and of all, against each peer and the best of them; then the losses, and what failed."""
    lines = ["", "geometric means of peer / numgrad (above 1: numgrad is faster)"]
    groups = list(dict.fromkeys(map(group, document.results)))
    for name in [*groups, "all"] if len(groups) > 1 else groups:
        chosen = [r for r in document.results if name in ("all", group(r))]
        means = {p: [ratios(r)[p] for r in chosen if p in ratios(r)] for p in PEERS}
        best = [v for v in map(least, chosen) if v is not None]
        if best:
            cells = [f"{p} {geometric_mean(v):.2f} ({len(v)})" for p, v in means.items() if v]
            lines.append(f"  {name:20s} best peer {geometric_mean(best):.2f}, least {min(best):.2f}; " + ", ".join(cells))
    lost = sorted(((v, r.case, r.threads) for r in document.results if (v := least(r)) is not None and v < 1), key=lambda t: t[0])
    if lost:
        lines += ["", f"{len(lost)} losses, the worst first"] + [f"  {v:5.2f}  {case} (threads {n})" for v, case, n in lost]
    lines += scaling(document)
    failed = [f"  {r.case}: {c}: {m.splitlines()[0]}" for r in document.results for c, m in r.missing.items() if "Unavailable" not in m]
    disturbed = sum(bool(r.disturbed) for r in document.results)
    if disturbed:
        lines += ["", f"{disturbed} of {len(document.results)} cases were measured while other programs kept the machine busy"]
    return lines + (["", "without a figure", *failed] if failed else [])


# --- plots --------------------------------------------------------------------------------------------------------------


def plot(document: Document, path: str) -> None:
    """Scaling curves where there are several numbers of threads, else the ratios as bars."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    threads = sorted({r.threads for r in document.results})
    results = [r for r in document.results if ours(r)]
    figure, axes = pyplot.subplots(figsize=(9, 4 if len(threads) > 1 else 1 + 0.25 * len(results)))
    if len(threads) > 1:
        for case in dict.fromkeys(r.case for r in results):
            times = {r.threads: r.values[ours(r) or ""] for r in results if r.case == case}
            if threads[0] in times:
                axes.plot(sorted(times), [times[threads[0]] / times[n] for n in sorted(times)], "o-", label=case)
        axes.plot(threads, [n / threads[0] for n in threads], "k:", label="ideal")
        axes.set(xlabel="threads", ylabel=f"speed against {threads[0]}", xticks=threads)
        axes.legend(fontsize=6)
    else:
        for at, peer in enumerate(p for p in PEERS if any(p in ratios(r) for r in results)):
            axes.plot([ratios(r).get(peer, math.nan) for r in results], range(len(results)), "os^dv"[at], label=PEERS[peer])
        axes.axvline(1.0, color="black", linewidth=0.8)
        axes.set(xscale="log", xlabel="peer's time over numgrad's", yticks=range(len(results)))
        axes.set_yticklabels([r.case for r in results], fontsize=6)
        axes.invert_yaxis()
        axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


# --- README -------------------------------------------------------------------------------------------------------------


def markdown(documents: list[Document]) -> str:
    """Steps and starts a row each, other cases a row a group: numgrad's value and each peer's over it, of the most threads measured."""
    peers = [p for p in PEERS if any(p in ratios(r) for d in documents for r in d.results)]
    lines = ["| | numgrad | " + " | ".join(f"{PEERS[p]} / numgrad" for p in peers) + " |", "|---" * (len(peers) + 2) + "|"]
    for document in documents:
        most = max((r.threads for r in document.results), default=1)
        results = [r for r in document.results if r.threads == most and ratios(r)]
        if document.command in ("steps", "start", "memory", "busy"):
            for r in results:
                cells = [f"{ratios(r)[p]:.2f}" if p in ratios(r) else "" for p in peers]
                lines.append(f"| {r.case} | {shown(r.values[ours(r) or ''], r.unit)} | " + " | ".join(cells) + " |")
            continue
        for name in dict.fromkeys(map(group, results)):
            found = [[ratios(r)[p] for r in results if group(r) == name and p in ratios(r)] for p in peers]
            cells = [f"{geometric_mean(f):.2f} ({min(f):.2f} to {max(f):.2f})" if f else "" for f in found]
            lines.append(f"| {name}, {max(map(len, found))} cases | | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def update_readme(path: str, documents: list[Document]) -> None:
    """Put the table between the two marker comments, with the machine and the versions."""
    text = Path(path).read_text()
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{path} has no lines {BEGIN} and {END}")
    versions: dict[str, Any] = {k: v for d in documents for k, v in d.versions.items() if v}
    said = ", ".join(f"{name} {found}" for name, found in sorted(versions.items()) if not name.endswith(("compile", "compiled")))
    machines = "; ".join(dict.fromkeys(d.machine for d in documents))
    note = f"Ratios above 1: numgrad is faster. Of groups: the geometric mean (least to greatest). {machines}; {said}."
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    Path(path).write_text(f"{before}{BEGIN}\n{markdown(documents)}\n\n{note}\n{END}{after}")
