"""Every byte of a cached kernel flipped and cut."""

from __future__ import annotations

import tempfile
from pathlib import Path

from numgrad.jit import cache
from tests.faults.test_disk_cache import broken
from tests.long import Tally


def run(budget: float) -> Tally:
    """Flip and cut every byte of a cached kernel: each time it must be compiled again."""
    with tempfile.TemporaryDirectory() as folder:
        cache.directory = lambda: Path(folder)
        count, unnoticed = broken(Path(folder), lambda size: range(0, size, max(1, round(1 / budget))))
    return Tally("damaged files of the kernels' cache", count, unnoticed)
