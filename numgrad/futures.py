"""Results that come later, as PyTorch's `futures`: over Python's own."""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["Future", "collect_all", "wait_all"]

T = TypeVar("T")


class Future(Generic[T]):
    """A result that another thread will set. `devices` is accepted and without effect."""

    def __init__(self, *, devices: Any = None) -> None:
        self._future: concurrent.futures.Future[T] = concurrent.futures.Future()

    def done(self) -> bool:
        """Whether there is a result, or an error."""
        return self._future.done()

    def wait(self) -> T:
        """Wait for the result; raises the error that was set instead."""
        return self._future.result()

    def value(self) -> T:
        """The result. RuntimeError if there is none yet."""
        if not self.done():
            raise RuntimeError("Future.value() needs a result that is there: call wait()")
        return self._future.result()

    def set_result(self, result: T) -> None:
        """Set the result. RuntimeError if there is one."""
        self._set(self._future.set_result, result)

    def set_exception(self, result: BaseException) -> None:
        """Set an error, which `wait` raises. RuntimeError if there is a result."""
        if not isinstance(result, BaseException):
            raise AssertionError(f"{result} is of type {type(result)}, not an Exception.")
        self._set(self._future.set_exception, result)

    def _set(self, setter: Callable[[Any], None], result: Any) -> None:
        try:
            setter(result)
        except concurrent.futures.InvalidStateError:
            raise RuntimeError("Future.set_result: it has a result already") from None

    def then(self, callback: Callable[[Future[T]], Any]) -> Future[Any]:
        """The result of `callback(self)`, which is called once this one is done."""
        following: Future[Any] = Future()

        def run(_: Any) -> None:
            try:
                following.set_result(callback(self))
            except BaseException as error:
                following.set_exception(error)

        self._future.add_done_callback(run)
        return following

    def add_done_callback(self, callback: Callable[[Future[T]], None]) -> None:
        """Call `callback(self)` once this one is done."""
        self._future.add_done_callback(lambda _: callback(self))


def collect_all(futures: list[Future[Any]]) -> Future[list[Future[Any]]]:
    """One that is done when all are; its result is their list."""
    gathered: Future[list[Future[Any]]] = Future()

    def look(_: Any = None) -> None:
        if all(future.done() for future in futures):
            with contextlib.suppress(RuntimeError):  # two ended at once, and the other one was first
                gathered.set_result(list(futures))

    look()
    for future in futures:
        future.add_done_callback(look)
    return gathered


def wait_all(futures: list[Future[Any]]) -> list[Any]:
    """Wait for all; their results. Raises the first error among them."""
    return [future.wait() for future in collect_all(futures).wait()]
