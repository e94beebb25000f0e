"""Every registered op from its own sample, drawn large: a new op is measured without another line anywhere."""

from __future__ import annotations

import atexit
import functools
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .runner import Case
from .worker import Library, Unavailable

#: elements of a call's arrays: Python's cost rules, in the caches, beyond them
SIZES = {"small": 100, "cached": 100_000, "large": 8_000_000}
SEEDS = 8


class ElementType(str):
    """Stands for a dtype, whose object is each library's own."""


def _has_size(case: Any) -> int:
    return sum(a.size for a in case.arrays)


def draw(name: str, size: int) -> Any:
    """A call of an op with about `size` elements in its arrays; ValueError where its sample has no such call."""
    from numgrad.ops import REGISTRY
    from numgrad.testing.case import Case as Call
    from numgrad.testing.draw import Draw

    class Large(Draw):
        """Sides near the largest, so that the number of elements follows it."""

        def shape(self, min_dims: int = 0, max_dims: int = 3, min_side: int = 0) -> tuple[int, ...]:
            dims = max(1, min_dims, self.integer(min_dims, max_dims))
            return tuple(max(1, min_side, self.side) for _ in range(min(dims, max_dims)))

    best: Any = None
    for seed in range(SEEDS):
        side, before, unchanged = 4, 0, 0
        while side <= 4 * size and unchanged < 12:
            rng = np.random.default_rng(seed)
            call = Call.drawn(REGISTRY[name], Large(lambda low, high: int(rng.integers(low, high, endpoint=True)), np.float32, side))  # noqa: B023
            found = _has_size(call)
            unchanged = unchanged + 1 if found == before else 0
            side, before = int(side * 1.3) + 1, found
            if found > 4 * size:
                break
            if best is None or abs(np.log(max(found, 1) / size)) < abs(np.log(max(_has_size(best), 1) / size)):
                best = call
        if best is not None and size / 2 <= _has_size(best) <= size * 2:
            return best
    if best is None or not size / 10 <= _has_size(best) <= size * 10:
        raise ValueError(f"the sample of {name} does not grow to {size} elements")
    return best


@functools.cache
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="numgrad-perf-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _draw_into_file(name: str, size: int) -> tuple[str, str]:
    """Peers need not have numgrad, so they get the arguments in a file."""
    from numgrad.dtypes import dtype

    def portable(value: Any) -> Any:
        if isinstance(value, dtype):
            return ElementType(repr(value).split(".")[-1])
        if isinstance(value, (list, tuple)):
            return type(value)(map(portable, value))
        return value

    call = draw(name, size)
    path = _folder() / "arguments.pickle"
    path.write_bytes(pickle.dumps((portable(call.args), {k: portable(v) for k, v in call.kwargs.items()})))
    return name, str(path)


def _localised(value: Any, library: Library) -> Any:
    if isinstance(value, ElementType):
        return getattr(library.module, value)
    if isinstance(value, (np.ndarray, np.generic)):
        return library.array(np.asarray(value))
    if isinstance(value, (list, tuple)):
        return type(value)(_localised(v, library) for v in value)
    return value


def _function(name: str, library: Library) -> Callable[..., Any]:
    module = library.module
    if module.__name__ == "numgrad":
        return module.ops.REGISTRY[name]
    tail = name.removeprefix("linalg_")
    for place in (module, module.nn.functional, module.linalg, module.Tensor):
        found = getattr(place, tail if place is module.linalg else name, None)
        if callable(found):
            return found
    raise Unavailable(f"{library.name} has no {name}")


def operation(library: Library, name: str, path: str) -> Callable[[], Any]:
    """The op's forward on the arguments in the file."""
    args, kwargs = pickle.loads(Path(path).read_bytes())
    args, kwargs = _localised(args, library), {k: _localised(v, library) for k, v in kwargs.items()}
    function = _function(name, library)

    def call() -> Any:
        with library.quiet():
            return function(*args, **kwargs)

    return call


def ops() -> Iterator[Case]:
    """Names and sizes; the arguments are drawn when a case is run."""
    from numgrad.ops import REGISTRY

    for label, size in SIZES.items():
        for name, op in REGISTRY.items():
            if op.sample is not None:
                yield Case(f"op-{label} {name}", operation, functools.partial(_draw_into_file, name, size), contenders=("numgrad", "torch"))


def cases(quick: bool = False) -> list[Case]:
    """Every op at every size; quickly: small only."""
    return [case for case in ops() if not quick or case.name.startswith("op-small")]
