"""Where a DataLoader is in its epoch, as a state for checkpoints, and the way back there.

The order of an epoch is drawn from a generator, so its state at the epoch's beginning and the number of batches handed out
are enough to find the place again, without fetching what was handed out before. What workers drew at random is noted, too.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import numgrad

_KEYS = {"batches", "batch_size", "num_workers", "start", "now", "base_seed", "workers"}


class Position:
    """How far the newest iterator of a loader has come; `resumed` is what it takes up, None for a fresh epoch."""

    def __init__(self, loader: Any, resumed: dict[str, Any] | None = None) -> None:
        self._own, self._batch_size, self._num_workers = loader.generator, loader.batch_size, loader.num_workers
        self._persistent, self._is_stream = loader.persistent_workers, loader._is_stream
        self._resumed, self._now = resumed or {}, None
        self.batches, self.finished, self.base_seed = 0, False, None
        self.drawn: list[Any] = [decoded(d) for d in self._resumed.get("workers", [])] or [None] * loader.num_workers
        self._start = self._rewind()

    def _rewind(self) -> Any:
        """Put the generator where the epoch began; its state there."""
        generator = self._generator()
        if "start" in self._resumed:
            self._now = self._resumed["now"] if self._own is not None else generator.get_state()
            generator.set_state(self._now if self._resumed["start"] is None else self._resumed["start"])
        return generator.get_state()

    def _generator(self) -> Any:
        return self._own if self._own is not None else numgrad.default_generator

    @property
    def resumed_seed(self) -> int | None:
        """Of persistent workers that are taken up: the seed that they were started with."""
        return self._resumed.get("base_seed")

    def skip(self, tasks: Iterator, fetch: Callable[[Any], Any] | None = None) -> None:
        """Go past the batches that were handed out before, those of a stream by fetching them; then the generator is as it was."""
        count, passed = self._resumed.get("batches", 0), 0
        for task in itertools.islice(tasks, count):
            try:
                if fetch is not None:
                    fetch(task)
            except StopIteration:
                break
            passed += 1
        self.batches = passed
        if passed != count:
            raise RuntimeError(f"DataLoader: the position to resume from is behind {count} batches, but there are only {passed}")

    def arrive(self) -> None:
        """The iterator stands where the saved one did: so should the generator."""
        if self._now is not None and self._resumed["start"] is not None:
            self._generator().set_state(self._now)
        self._resumed, self._now = {}, None

    def end(self) -> None:
        """Every batch was handed out."""
        self.finished = True

    def state(self) -> dict[str, Any]:
        """What `numgrad.save` can write and `check` accepts."""
        under_way = not self.finished
        keep = under_way or self._persistent
        return {
            "batches": self.batches if under_way else 0,
            "batch_size": self._batch_size,
            "num_workers": self._num_workers,
            "start": self._start if under_way else None,
            "now": self._own.get_state() if self._own is not None else None,
            "base_seed": self.base_seed if self._persistent else None,
            "workers": [encoded(d) for d in self.drawn] if keep and not self._is_stream and any(self.drawn) else [],
        }


def fresh(loader: Any) -> dict[str, Any]:
    """The state of a loader that has not begun."""
    now = loader.generator.get_state() if loader.generator is not None else None
    return {"batches": 0, "batch_size": loader.batch_size, "num_workers": loader.num_workers, "start": None, "now": now,
            "base_seed": None, "workers": []}  # fmt: skip


def check(loader: Any, state: Any) -> dict[str, Any]:
    """The state, if this loader can take it up."""
    if not isinstance(state, dict) or set(state) != _KEYS:
        raise ValueError(f"DataLoader.load_state_dict expects what state_dict() gives, but got {state!r:.200}")
    if type(state["batches"]) is not int or state["batches"] < 0:
        raise ValueError(f"DataLoader.load_state_dict: 'batches' should be a number of batches, but is {state['batches']!r:.100}")
    if state["batch_size"] != loader.batch_size:
        raise ValueError(f"DataLoader.load_state_dict: the state is of batches of {state['batch_size']}, the loader makes batches of {loader.batch_size}")
    if state["workers"] and state["num_workers"] != loader.num_workers:
        raise ValueError(f"DataLoader.load_state_dict: {state['num_workers']} workers had drawn random numbers, but the loader has {loader.num_workers} workers")
    if (state["now"] is None) != (loader.generator is None):
        raise ValueError("DataLoader.load_state_dict: the state is of a loader " + ("without" if state["now"] is None else "with") + " a generator of its own")
    return dict(state)


# --- random numbers in workers --------------------------------------------------------------------------------------


def drawn() -> tuple[Any, ...]:
    """Where the generators of this process stand: numgrad's, Python's, and NumPy's."""
    numpys: Any = np.random.get_state()
    return numgrad.get_rng_state().numpy().tobytes(), random.getstate(), (numpys[1].tobytes(), *numpys[2:])


def continue_from(state: tuple[Any, ...]) -> None:
    """Put the generators of this process where others stood."""
    own, pythons, (key, *rest) = state
    numgrad.set_rng_state(numgrad.from_numpy(np.frombuffer(own, np.uint8).copy()))
    random.setstate(pythons)
    np.random.set_state(("MT19937", np.frombuffer(key, np.uint32), *rest))


def encoded(state: tuple[Any, ...] | None) -> Any:
    """What `drawn` gave, as plain data."""
    if state is None:
        return None
    own, (version, numbers, gauss), numpys = state
    return [own, version, np.array(numbers, np.uint32).tobytes(), gauss, *numpys]


def decoded(plain: Any) -> tuple[Any, ...] | None:
    """What `encoded` was given."""
    if plain is None:
        return None
    own, version, numbers, gauss, *numpys = plain
    return own, (version, tuple(np.frombuffer(numbers, np.uint32).tolist()), gauss), tuple(numpys)
