"""The two ways through a DataLoader: in this process, or with worker processes that work ahead."""

from __future__ import annotations

import contextlib
import os
import socket
import time
import warnings
import weakref
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import wait
from typing import Any

from .position import Position
from .sampler import draw_seed
from .transport import Slot, unpack
from .worker import BATCH, END, ERROR, RESTART, describe, raise_again, work

_PATIENCE_SECONDS = 5  # for a worker that was asked to stop


class BatchIterator:
    """What a `for` loop over a DataLoader goes through."""


class SingleProcessIterator(BatchIterator):
    """Makes each batch when it is asked for."""

    def __init__(self, loader: Any, position: Position) -> None:
        draw_seed(loader.generator)  # so that the order of samples does not depend on the number of workers
        self._tasks, self._position = loader._tasks(), position
        self._fetch = loader._recipe().fetcher()
        position.skip(self._tasks, self._fetch if loader._is_stream else None)
        position.arrive()

    def __iter__(self) -> Iterator:
        return self

    def __next__(self) -> Any:
        try:
            task = next(self._tasks)
            self._position.batches += 1
            return self._fetch(task)
        except StopIteration:
            self._position.end()
            raise


class Worker:
    """A worker process as its owner sees it: tasks go out, answers come back in the same order."""

    def __init__(self, loader: Any, context: Any, worker_id: int, base_seed: int, drawn: Any = None) -> None:
        self.id = worker_id
        self.outstanding = 0
        self.drawn = drawn
        self._sent = 0
        self._timeout = loader.timeout or None
        self.slots = [Slot() for _ in range(loader.prefetch_factor)]
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=work,
            args=(
                theirs,
                self.slots,
                loader._recipe(),
                worker_id,
                loader.num_workers,
                base_seed,
                loader.worker_init_fn,
                drawn,
            ),
            daemon=True,
        )
        try:
            with warnings.catch_warnings():
                # Python warns that a fork copies no thread; a worker waits for none: it runs serial kernels.
                warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
                self.process.start()
        except BaseException:
            self.close()
            raise
        finally:
            theirs.close()

    def send(self, task: Any) -> None:
        """Hand the worker a task."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it died: waiting for its answer tells how
            self.connection.send((self._sent % len(self.slots), task))
        self._sent += 1
        self.outstanding += 1

    def restart(self) -> None:
        """Wait for what is under way, then begin another epoch."""
        while self.outstanding:
            self.receive()
        self.connection.send(RESTART)

    def receive(self) -> tuple[str, Any]:
        """The answer to the oldest task outstanding; raises RuntimeError if the worker died or took too long."""
        if not wait([self.connection, self.process.sentinel], self._timeout):
            raise RuntimeError(f"DataLoader timed out after {self._timeout} seconds")
        try:
            if not self.connection.poll():
                raise EOFError
            kind, count, drawn = self.connection.recv()
        except (EOFError, ConnectionResetError):
            raise RuntimeError(self._obituary()) from None
        slot = self.slots[(self._sent - self.outstanding) % len(self.slots)]
        self.outstanding -= 1
        self.drawn = drawn or self.drawn
        try:
            return kind, unpack(count, slot)
        except Exception as error:
            return ERROR, describe(error)

    def _obituary(self) -> str:
        self.process.join(_PATIENCE_SECONDS)
        code = self.process.exitcode
        reason = f"with exit code {code}"
        if code is not None and code < 0:
            reason = f"by signal {-code}" + (", as when memory runs out" if code == -9 else "")
        return f"DataLoader worker (pid(s) {self.process.pid}) exited unexpectedly {reason}"

    def hang_up(self) -> None:
        """End a wait for tasks, in case it began just after the worker last looked for signals."""
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self.connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)  # unlike a close it works even while a sibling holds a copy

    def close(self) -> None:
        """Give its pipe and memory back."""
        self.connection.close()
        for slot in self.slots:
            slot.close()


class MultiProcessIterator(BatchIterator):
    """Takes batches from the workers by turns: batch i comes from worker i % num_workers, whoever is faster.

    Each worker has `prefetch_factor` tasks before it at any time.
    """

    def __init__(self, loader: Any, position: Position) -> None:
        # What is needed of the loader, not the loader: with persistent workers it owns this iterator.
        self._prefetch_factor, self._in_order = loader.prefetch_factor, loader.in_order
        self._timeout, self._persistent = loader.timeout or None, loader.persistent_workers
        drawn_seed = draw_seed(loader.generator)
        base_seed = drawn_seed if position.resumed_seed is None else position.resumed_seed
        context = loader._context()
        self._workers: list[Worker] = []
        self._stop = weakref.finalize(self, stop, self._workers, os.getpid())
        self._base_seed = base_seed
        try:
            for worker_id in range(loader.num_workers):
                self._workers.append(Worker(loader, context, worker_id, base_seed, position.drawn[worker_id]))
            self._begin(loader, position)
        except BaseException:
            self._stop()
            raise

    def restart(self, loader: Any, position: Position) -> None:
        """Begin another epoch with the same workers."""
        draw_seed(loader.generator)
        try:
            for worker in self._workers:
                worker.restart()
            position.drawn = [worker.drawn for worker in self._workers]
            self._begin(loader, position)
        except BaseException:
            self._stop()
            raise

    @property
    def stopped(self) -> bool:
        """Whether the workers have been shut down."""
        return not self._stop.alive

    def _begin(self, loader: Any, position: Position) -> None:
        self._tasks, self._position = loader._tasks(), position
        self._turns = deque(self._workers)
        position.base_seed = self._base_seed
        if not loader._is_stream:
            position.skip(self._tasks)
            self._turns.rotate(-(position.batches % len(self._workers)))
        for _ in range(self._prefetch_factor):
            for worker in list(self._turns):
                self._feed(worker)
        if loader._is_stream:
            position.skip(iter(lambda: None, 0), lambda _: next(self))
        position.arrive()

    def _feed(self, worker: Worker) -> None:
        for task in self._tasks:
            worker.send(task)
            break

    def __iter__(self) -> Iterator:
        return self

    def __next__(self) -> Any:
        while self._turns:
            if not self._in_order:
                self._bring_forward_whoever_is_ready()
            worker = self._turns[0]
            if not worker.outstanding:  # no task was left for it
                self._turns.popleft()
                continue
            try:
                kind, content = worker.receive()
            except BaseException:  # a lost worker, or Ctrl-C halfway through an answer
                self._turns.clear()
                self._stop()
                raise
            if kind == END:
                self._turns.popleft()
                continue
            self._turns.rotate(-1)
            self._feed(worker)
            self._position.batches += 1
            self._position.drawn[worker.id] = worker.drawn
            if kind == BATCH:
                return content
            raise_again(content, f"in DataLoader worker process {worker.id}")
        if not self._persistent:
            self._stop()
        self._position.end()
        raise StopIteration

    def _bring_forward_whoever_is_ready(self) -> None:
        busy = {worker.connection: worker for worker in self._turns if worker.outstanding}
        if not busy:
            return
        ready = wait([*busy, *(worker.process.sentinel for worker in busy.values())], self._timeout)
        for worker in busy.values():
            if worker.connection in ready or worker.process.sentinel in ready:
                self._turns.remove(worker)
                self._turns.appendleft(worker)
                return


def stop(workers: list[Worker], owner: int) -> None:
    """End the worker processes: at once, but with their finally blocks run; kill those that do not listen."""
    if os.getpid() != owner:
        return  # a forked child that drops its copy of the iterator
    for worker in workers:
        worker.hang_up()
        worker.process.terminate()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    for worker in workers:
        worker.process.join(max(0, deadline - time.monotonic()))
        if worker.process.exitcode is None:
            worker.process.kill()
            worker.process.join()
        worker.close()
    workers.clear()
