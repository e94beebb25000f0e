"""Python's `multiprocessing` under PyTorch's name. Tensors travel between processes as copies, by pickle."""

from __future__ import annotations

import multiprocessing as _standard
from collections.abc import Callable
from multiprocessing import *  # noqa: F403
from typing import Any

__all__ = [*_standard.__all__, "get_all_sharing_strategies", "get_sharing_strategy", "set_sharing_strategy", "spawn", "start_processes"]


def get_sharing_strategy() -> str:
    """Always "file_system": what is shared between processes is copied."""
    return "file_system"


def get_all_sharing_strategies() -> set[str]:
    """What `set_sharing_strategy` accepts."""
    return {"file_descriptor", "file_system"}


def set_sharing_strategy(new_strategy: str) -> None:
    """Accepted and ignored: tensors are copied between processes."""
    if new_strategy not in get_all_sharing_strategies():
        raise ValueError(f"expected one of {sorted(get_all_sharing_strategies())}, but got {new_strategy!r}")


def spawn(fn: Callable[..., Any], args: tuple[Any, ...] = (), nprocs: int = 1, join: bool = True, daemon: bool = False, start_method: str = "spawn") -> Any:
    """Run `fn(i, *args)` in `nprocs` new processes; with `join`, wait for them, RuntimeError if one failed. Else the processes."""
    context = _standard.get_context(start_method)
    processes = [context.Process(target=fn, args=(i, *args), daemon=daemon) for i in range(nprocs)]
    for process in processes:
        process.start()
    if not join:
        return processes
    for process in processes:
        process.join()
    failed = {i: p.exitcode for i, p in enumerate(processes) if p.exitcode}
    if failed:
        raise ProcessExitedException(f"spawn: processes ended with an error, exit codes by number: {failed}")
    return None


start_processes = spawn


class ProcessExitedException(RuntimeError):
    """A process of `spawn` ended with an error."""


ProcessRaisedException = ProcessExitedException


def __getattr__(name: str) -> Any:
    return getattr(_standard, name)
