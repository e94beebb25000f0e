"""What runs in a DataLoader worker process."""

from __future__ import annotations

import itertools
import os
import pickle
import random
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

import numgrad

from . import position
from .dataset import fetch, fetch_columns
from .transport import Slot, pack

BATCH, END, ERROR = "batch", "end", "error"  # what an answer holds
RESTART = "restart"  # in place of a task: begin the stream anew
_PARENT_CHECK_SECONDS = 2


class WorkerInfo:
    """In a worker: its `id`, `num_workers`, its `seed` and its copy of the `dataset`."""

    id: int
    num_workers: int
    seed: int
    dataset: Any

    def __init__(self, id: int, num_workers: int, seed: int, dataset: Any) -> None:
        self.__dict__.update(id=id, num_workers=num_workers, seed=seed, dataset=dataset)

    def __setattr__(self, name: str, value: Any) -> None:
        raise RuntimeError("Cannot assign attributes to WorkerInfo objects")

    def __repr__(self) -> str:
        return f"WorkerInfo(id={self.id}, num_workers={self.num_workers}, seed={self.seed}, dataset={self.dataset!r})"


_worker_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """Which DataLoader worker this is: its id, num_workers, seed and dataset; None in the main process."""
    return _worker_info


@dataclass
class Recipe:
    """What it takes to make a batch: in this process or in a worker."""

    dataset: Any
    collate_fn: Callable
    is_stream: bool
    batched: bool
    batch_size: int | None
    drop_last: bool
    gather: bool  # collating is plain stacking, so that tensors may be gathered instead

    def fetcher(self) -> Callable[[Any], Any]:
        """A function from indices (ignored by a stream) to a batch, which raises StopIteration at a stream's end."""
        return self._stream_fetcher() if self.is_stream else self._fetch

    def _fetch(self, indices: Any) -> Any:
        if not self.batched:
            return self.collate_fn(self.dataset[indices])
        indices = list(indices)
        if self.gather and indices:
            columns = fetch_columns(self.dataset, indices)
            if columns is not None:
                return columns
        return self.collate_fn(fetch(self.dataset, indices))

    def _stream_fetcher(self) -> Callable[[Any], Any]:
        stream = iter(self.dataset)

        def fetch_next(_indices: Any) -> Any:
            if not self.batched:
                return self.collate_fn(next(stream))
            samples = list(itertools.islice(stream, self.batch_size))
            if not samples or (self.drop_last and len(samples) != self.batch_size):
                raise StopIteration
            return self.collate_fn(samples)

        return fetch_next


def work(
    connection: Connection,
    slots: list[Slot],
    recipe: Recipe,
    worker_id: int,
    num_workers: int,
    base_seed: int,
    init_fn: Callable[[int], None] | None,
    drawn: Any,
) -> None:
    """Answer tasks until told to stop by SIGTERM, or until the process that asked is gone."""
    global _worker_info
    _handle_signals()
    parent = os.getppid()
    failure, fetch_batch = None, None
    try:
        numgrad.set_num_threads(1)
        _seed(base_seed, worker_id)
        _worker_info = WorkerInfo(worker_id, num_workers, base_seed + worker_id, recipe.dataset)
        if init_fn is not None:
            init_fn(worker_id)
        if drawn is not None:
            position.continue_from(drawn)
    except Exception as error:
        failure = describe(error)
    last = position.drawn()
    while (task := _next_task(connection, parent)) is not None:
        if task == RESTART:
            fetch_batch = None
            continue
        which, indices = task
        kind, content = ERROR, failure
        if failure is None:
            try:
                fetch_batch = fetch_batch or recipe.fetcher()
                kind, content = _answer(fetch_batch, indices, recipe)
            except Exception as error:
                content = describe(error)
        before, last = last, position.drawn()
        _send(connection, slots[which], kind, content, None if last == before else last)
        del content


def _answer(fetch_batch: Callable, indices: Any, recipe: Recipe) -> tuple[str, Any]:
    try:
        return BATCH, fetch_batch(indices)
    except StopIteration:
        if not recipe.is_stream:
            raise
        return END, None


def _send(connection: Connection, slot: Slot, kind: str, content: Any, drawn: Any) -> None:
    try:
        count = pack(content, slot)
    except Exception as error:
        kind, count = ERROR, pack(describe(error), slot)
    try:
        connection.send((kind, count, drawn))
    except (BrokenPipeError, ConnectionResetError):
        raise SystemExit(0) from None


def _next_task(connection: Connection, parent: int) -> Any:
    try:
        while not connection.poll(_PARENT_CHECK_SECONDS):
            if os.getppid() != parent:
                return None
        return connection.recv()
    except (EOFError, ConnectionResetError):
        return None


def _handle_signals() -> None:
    # Ctrl-C reaches the whole process group: the main process alone answers it, and stops the workers by SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)


def _leave(_number, _frame) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise SystemExit(0)


def _seed(base_seed: int, worker_id: int) -> None:
    seed = base_seed + worker_id
    random.seed(seed)
    numgrad.manual_seed(seed)
    np.random.seed(np.random.SeedSequence([base_seed, worker_id]).generate_state(4))


def describe(error: Exception) -> tuple[type | None, str, str]:
    """An exception as what can be sent: its type (None if that cannot be), its name, and its traceback as text."""
    kind: type | None = type(error)
    try:
        pickle.loads(pickle.dumps(kind))
    except Exception:
        kind = None
    return kind, type(error).__name__, traceback.format_exc()


class _Verbatim(str):
    """A KeyError shows its argument's repr: this one keeps its line breaks."""

    def __repr__(self) -> str:
        return str(self)


def raise_again(description: tuple[type | None, str, str], where: str) -> None:
    """Raise an exception of the described type whose message holds the original traceback."""
    kind, name, text = description
    message = f"Caught {name} {where}.\nOriginal {text}"
    try:
        error = (kind or RuntimeError)(_Verbatim(message) if kind is KeyError else message)
    except Exception:  # a type that wants other arguments
        error = RuntimeError(message)
    try:
        raise error
    finally:
        del error  # it knows this frame: together they would keep the iterator, and so the workers, alive
