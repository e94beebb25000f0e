"""What became of a function: its launches before and after fusion, its memory, and why it was recorded more than once."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..jit.program import Call
from .schedule import Layout

#: Calls that `explain` makes at most until a function is compiled.
_CALLS = 6


@dataclass
class Program:
    """One program: `before` are the recorded launches by kernel, `launches` those that run, as (kernel, elements, line)."""

    what: str
    before: Counter[str]
    launches: list[tuple[str, int, str]]
    fused: list[str]
    apart: list[str]
    sources: list[str]
    arena: int
    temporaries: int
    results: int

    def __str__(self) -> str:
        recorded = sum(self.before.values())
        lines = [f"{self.what}: {recorded} launches recorded, {len(self.launches)} run", "  launches:"]
        lines += [f"    {name:<40} {elements:>10} elements  {line}" for name, elements, line in self.launches]
        for title, part in (("fused", self.fused), ("left apart", self.apart), ("generated sources", self.sources)):
            lines += [f"  {title}:", *(f"    {entry}" for entry in part)] if part else []
        shared = f"{_bytes(self.arena)} in the arena for {_bytes(self.temporaries)} of temporaries"
        return "\n".join([*lines, f"  memory: {shared}, {_bytes(self.results)} of results"])


@dataclass
class Explanation:
    """What is known about a compiled function; printed, it is a report."""

    name: str
    programs: list[Program] = field(default_factory=list)
    eager: list[str] = field(default_factory=list)  # why some calls are not compiled
    changes: list[str] = field(default_factory=list)  # what led to recordings after the first

    def __str__(self) -> str:
        lines = [f"{self.name}: " + (f"programs: {len(self.programs)}" if self.programs else "not compiled")]
        lines += [f"runs eagerly: {reason}" for reason in self.eager]
        lines += [f"recorded again; what changed: {change}" for change in self.changes]
        return "\n".join([*lines, *map(str, self.programs)])


def explain(fn: Any, *args: Any, **kwargs: Any) -> Explanation:
    """Compile a function or Module for these arguments and say what came of it.

    It is called until it is compiled, at most 6 times, with all its effects; one that is compiled for these arguments already is
    called once. (Of modules, also the backward pass is run, on ones.)
    """
    from .function import Compiled, CompiledModule, compile

    target = fn if isinstance(fn, (Compiled, CompiledModule)) else compile(fn)
    compiled = target._compiled if isinstance(target, CompiledModule) else target
    for _ in range(_CALLS):
        done = sum(len(kind.variants) for kind in compiled._kinds.values()), len(compiled.changes)
        _run(target, args, kwargs)
        if done[0] and (sum(len(kind.variants) for kind in compiled._kinds.values()), len(compiled.changes)) == done:
            break
    found = Explanation(compiled._name, changes=list(compiled.changes))
    for kind in compiled._kinds.values():
        found.eager += [kind.eager] if kind.eager else []
        for variant in kind.variants:
            parts = [variant, variant.back] if hasattr(variant, "back") else [variant]
            names = ["forward", "backward"] if len(parts) == 2 else ["program"]
            found.programs += [_program(part, f"{what} {len(found.programs) + 1}") for part, what in zip(parts, names, strict=True)]
    return found


def _run(target: Callable[..., Any], args: Any, kwargs: Any) -> None:
    from .. import autograd
    from ..tensor import Tensor
    from .tree import flatten

    leaves = flatten(target(*args, **kwargs))[0]
    live = [t for t in leaves if isinstance(t, Tensor) and t.grad_fn is not None and type(t.grad_fn).__name__ != "Spent"]
    if live:
        watched = getattr(live[0].grad_fn, "call", None) or getattr(live[0].grad_fn, "pair", None)
        if watched is not None and watched.parameters:
            autograd.grad(live, watched.parameters, [t.detach() * 0 + 1 for t in live], allow_unused=True)


def _program(replay: Any, what: str) -> Program:
    """The report of one program."""
    layout = replay.layout
    calls = [(step, line) for step, line in zip(layout.steps, layout.lines, strict=True) if type(step) is Call]
    kernels = [step.kernel for step, _ in calls] + [step.tail.kernel for step, _ in calls if step.tail]
    sources = {kernel.function.__code__.co_filename for kernel in kernels}
    return Program(
        what,
        replay.before,
        [(step.kernel.name, elements(step), line) for step, line in calls],
        replay.notes,
        replay.apart + _apart(layout),
        sorted(s for s in sources if "generated" in s or s.startswith("<")),
        layout.arena,
        layout.unshared,
        sum(b.length for b in replay._results),
    )


def elements(call: Call) -> int:
    """The size of what a call writes."""
    return math.prod(call.args[0].shape)


def is_pointwise(kernel: Any) -> bool:
    """Whether a kernel is a formula, or several."""
    return kernel.form is not None or kernel.name.startswith("fused_")


def _apart(layout: Layout) -> list[str]:
    """For pointwise launches that run by themselves, what is between them and the next of their size."""
    calls = [s for s in layout.steps if type(s) is Call]
    found = []
    for at, call in enumerate(calls):
        if not is_pointwise(call.kernel):
            continue
        between: list[str] = []
        for later in calls[at + 1 :]:
            if is_pointwise(later.kernel) and elements(later) == elements(call):
                why = f"between are {', '.join(dict.fromkeys(between))}" if between else "what one writes is read or overwritten elsewhere by the other"
                found.append(f"{call.kernel.name} and {later.kernel.name}: {why}")
                break
            between.append(later.kernel.name)
    return found


def _bytes(count: int) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count = count / 1024  # type: ignore[assignment]
    return f"{count:.1f} GiB"


def kernels_of(steps: list[Any]) -> Counter[str]:
    """How many launches of each kernel there are."""
    return Counter(step.kernel.name for step in steps if type(step) is Call)


__all__ = ["Explanation", "Program", "explain", "kernels_of"]
