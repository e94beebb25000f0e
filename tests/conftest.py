"""Settings of every test run. They are made before numgrad is imported, for Numba reads them once."""

from __future__ import annotations

import os
from pathlib import Path

# Compiled kernels are kept between runs, beside pytest's own cache, and shared by all workers.
os.environ.setdefault("NUMGRAD_CACHE_DIR", str(Path(__file__).parent.parent / ".pytest_cache" / "kernels"))
# A pool of four, so that results can be compared for one to four threads; the tests run on as many as there are CPUs.
os.environ.setdefault("NUMBA_NUM_THREADS", "4")

import numgrad.jit.threads as threads

threads.set_num_threads(min(threads.available_cpus(), threads.numba.config.NUMBA_NUM_THREADS))
