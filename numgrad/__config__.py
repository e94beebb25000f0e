"""How numgrad computes here."""

from __future__ import annotations

__all__ = ["parallel_info", "show"]


def show() -> str:
    """Versions, threads and the CPU's features, as text."""
    from importlib.metadata import version

    from . import __version__
    from .jit import machine

    versions = (f"numgrad {__version__}", f"Numba {version('numba')}", f"NumPy {version('numpy')}")
    return "\n".join([*versions, parallel_info(), f"CPU: {machine.features()}"])


def parallel_info() -> str:
    """How many threads there are, as text."""
    from .jit import threads

    return f"threads: {threads.get_num_threads()} of {threads.pool_size()}"
