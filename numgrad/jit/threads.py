"""One thread pool: how many threads, and who may use it now."""

from __future__ import annotations

import math
import os
import sys
import threading

from . import limits
from .crowd import Crowd

# Read by libgomp when it loads: how often a thread that waits looks again before it sleeps. Its default spins for milliseconds,
# which starves BLAS and every other program; after 1000 turns (25 us) the threads sleep between most launches of a step, and
# waking them takes 30 us, where a launch takes 2. 3000 turns bridge the gaps: a ConvNet's step of 7.0 ms takes 5.1, and 11 with
# one of two cores taken by another program (19 with 10000 turns).
os.environ.setdefault("GOMP_SPINCOUNT", "3000")


def available_cpus() -> int:
    """CPUs this process may use: its affinity, capped by the cgroup's quota."""
    try:
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        cpus = os.cpu_count() or 1
    return max(1, math.ceil(min(cpus, limits.cpus())))


# Numba reads the size of the pool from the environment. What a parent process put there for the CPUs that it may use, and not
# the user, says nothing about this one.
_POOL, _OURS = "NUMBA_NUM_THREADS", "NUMGRAD_CHOSEN_THREADS"
_chosen_here = os.environ.get(_POOL) == os.environ.get(_OURS)
if _chosen_here and "numba" not in sys.modules:  # else it has read it, and would raise an error if it found another number
    os.environ[_POOL] = os.environ[_OURS] = str(available_cpus())

import numba  # noqa: E402

_wanted: int = min(numba.config.NUMBA_NUM_THREADS, available_cpus() if _chosen_here else 1 << 30)
_configured: dict[int, int] = {}  # what each Python thread was told; Numba keeps the number a thread
_crowd = Crowd()
_forked = False
_lock: threading.Lock | None = None
_layer_known, _learning = False, threading.Lock()


def get_num_threads() -> int:
    """Threads a parallel kernel runs on; fewer while other programs hold the cores."""
    return _wanted


def pool_size() -> int:
    """The most threads there can be."""
    return numba.config.NUMBA_NUM_THREADS


def set_num_threads(n: int) -> None:
    """Run parallel kernels on `n` threads: 1 to the size of the pool (NUMBA_NUM_THREADS, by default the usable CPUs)."""
    global _wanted
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"set_num_threads expects an int, but got {type(n).__name__}")
    if n < 1:
        raise RuntimeError(f"set_num_threads expects a positive integer, but got {n}")
    pool = numba.config.NUMBA_NUM_THREADS
    if n > pool:
        raise ValueError(f"set_num_threads({n}): the pool has {pool} threads; set NUMBA_NUM_THREADS={n} before starting Python")
    _wanted = n
    _configured.clear()


def acquire() -> bool:
    """Whether a parallel kernel may run here and now; if so, `release` must follow."""
    if _wanted == 1 or _forked:  # GNU OpenMP kills a forked child that enters a parallel region
        return False
    if not _layer_known:
        _learn_layer()
    count, caller = _crowd.share(_wanted), threading.get_ident()
    if _configured.get(caller) != count:
        numba.set_num_threads(count)
        _configured[caller] = count
    return _lock is None or (not _is_foreign() and _lock.acquire(blocking=False))


def _is_foreign() -> bool:
    """Whether Python did not start this thread: then it may be one of the pool's, called back from a user's own parallel loop."""
    return isinstance(threading.current_thread(), threading._DummyThread)


def release() -> None:
    """Let others have the pool."""
    if _lock is not None:
        _lock.release()


def _learn_layer() -> None:
    """Start the pool; Numba's own pool (workqueue) aborts the process when two Python threads launch at once."""
    global _layer_known, _lock
    with _learning:
        numba.get_num_threads()  # starts the threads: code loaded from the cache needs them running
        if _lock is None and numba.threading_layer() == "workqueue":
            _lock = threading.Lock()
        _layer_known = True


def _after_fork() -> None:
    global _forked, _learning
    _learning = threading.Lock()  # another thread may have held it
    # The pool may also have been started by parallel functions of the user's own.
    _forked = _forked or _layer_known or numba.np.ufunc.parallel._is_initialized


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
