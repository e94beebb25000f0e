"""What the control groups of Linux let this process use: CPUs and memory, in their first and second version."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

_GROUPS, _OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def cpus(groups: Path = _GROUPS, own: Path = _OWN) -> float:
    """How many CPUs' time there is; infinity without a limit."""
    found = [math.inf]
    for folder in _folders("cpu", groups, own):
        quota, period = _numbers(folder / "cpu.max") or (*_numbers(folder / "cpu.cfs_quota_us"), *_numbers(folder / "cpu.cfs_period_us")) or (0, 0)
        if quota > 0 and period > 0:
            found.append(quota / period)
    return min(found)


def memory(groups: Path = _GROUPS, own: Path = _OWN) -> float:
    """How many bytes there are; infinity without a limit."""
    return min([math.inf, *(n for folder in _folders("memory", groups, own) for name in ("memory.max", "memory.limit_in_bytes")
                            for n in _numbers(folder / name))])  # fmt: skip


def _folders(controller: str, groups: Path, own: Path) -> Iterator[Path]:
    """The folders of this process's groups and of all that they are in: a limit of any of them holds."""
    yield groups
    yield groups / controller  # in a container the group itself is what is seen here
    try:
        lines = own.read_text().splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers and controller not in controllers.split(","):
            continue
        folder = Path(path.lstrip("/"))
        if ".." not in folder.parts:
            for part in [folder, *folder.parents]:
                yield groups / (controller if controllers else "") / part


def _numbers(path: Path) -> tuple[int, ...]:
    """The numbers in a file; none where there is no such file, or "max"."""
    try:
        return tuple(map(int, path.read_text().split()))
    except (OSError, ValueError):
        return ()
