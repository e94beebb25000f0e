"""Settings of every test run. They are made before numgrad is imported, for Numba reads them once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Compiled kernels are kept between runs, beside pytest's own cache, and shared by all workers.
os.environ.setdefault("NUMGRAD_CACHE_DIR", str(Path(__file__).parent.parent / ".pytest_cache" / "kernels"))
# A pool of four, so that results can be compared for one to four threads; the tests run on as many as there are CPUs.
os.environ.setdefault("NUMBA_NUM_THREADS", "4")

import numgrad.jit.threads as threads

threads.set_num_threads(min(threads.available_cpus(), threads.numba.config.NUMBA_NUM_THREADS))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests of the other lane out."""
    other = "native" if threads.numba.config.DISABLE_JIT else "interpreted"
    left_out = [item for item in items if item.get_closest_marker(other)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not item.get_closest_marker(other)]
