"""One call of an op, with arrays where tensors will stand."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..jit import DISABLED
from ..ops.random import default_generator
from ..ops.record import Op
from ..tensor import Tensor, wrap
from .draw import Draw

#: NumPy's arithmetic gives scalars for arrays without dimensions.
_ARRAYS = (np.ndarray, np.generic)


class Case:
    """A call `op(*args, **kwargs)`; `arrays` are the ndarrays in the arguments, in order, also those in lists and tuples."""

    def __init__(self, op: Op, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None):
        self.op, self.args, self.kwargs = op, args, kwargs or {}
        self.arrays: list[np.ndarray] = [np.asarray(a) for a in _leaves((args, self.kwargs)) if isinstance(a, _ARRAYS)]

    @classmethod
    def drawn(cls, op: Op, draw: Draw) -> Case:
        """The op's sample."""
        assert op.sample is not None, f"the op '{op.name}' declares no sample"
        return cls(op, *op.sample(draw))

    @property
    def floats(self) -> list[int]:
        """Which arrays are floating-point, hence may have gradients."""
        return [i for i, a in enumerate(self.arrays) if a.dtype.kind == "f"]

    @property
    def names(self) -> list[str]:
        """What the parameter of each array is called; arrays in a sequence are counted."""
        named = [*zip(self.op.parameters, self.args), *self.kwargs.items()]
        named += [(f"argument {i}", a) for i, a in enumerate(self.args) if i >= len(self.op.parameters)]
        return [name for parameter, value in named for name in _paths(parameter, value)]

    def fill(self, values: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with other values in place of the arrays."""
        rest = iter(values)
        args, kwargs = _replace((self.args, self.kwargs), rest)
        return args, kwargs

    def with_arrays(self, arrays: Sequence[np.ndarray]) -> Case:
        """The same call on other arrays."""
        return Case(self.op, *self.fill(arrays))

    def astype(self, dtype: Any) -> Case:
        """The same call with its floating-point arrays in another dtype."""
        return self.with_arrays([a.astype(dtype) if a.dtype.kind == "f" else a for a in self.arrays])

    @contextlib.contextmanager
    def untouched(self) -> Iterator[Case]:
        """The same call on copies that must not change: read-only ones, where kernels run as Python (native code has a version
        for read-only arrays, which is not the one to test), and compared afterwards."""
        copies = [a.copy() for a in self.arrays]
        for a in copies:
            a.flags.writeable = not DISABLED
        yield self.with_arrays(copies)
        for i, (before, after) in enumerate(zip(self.arrays, copies, strict=True)):
            assert before.tobytes() == after.tobytes(), f"{self!r} changed its input {i}"

    def run(self, tensors: Sequence[Tensor] | None = None) -> Any:
        """The op's result, for these tensors or for the arrays."""
        args, kwargs = self.fill([wrap(a) for a in self.arrays] if tensors is None else tensors)
        if self.op.random:
            default_generator.manual_seed(0)
        return self.op(*args, **kwargs)

    def results(self) -> list[np.ndarray]:
        """The op's result as a flat list of arrays; numbers are arrays without dimensions."""
        return [_as_array(r) for r in _leaves(self.run())]

    def expected(self) -> list[np.ndarray]:
        """The reference's result, likewise."""
        assert self.op.reference is not None
        args, kwargs = self.fill([a.copy() for a in self.arrays])
        with quiet():
            return [_as_array(r) for r in _leaves(self.op.reference(*args, **kwargs))]

    def function(self, indices: Sequence[int]) -> Callable[..., Any]:
        """The op as a function of some of its arrays, as tensors."""

        def call(*tensors: Tensor) -> Any:
            filled = [wrap(a) for a in self.arrays]
            for i, t in zip(indices, tensors, strict=True):
                filled[i] = t
            return self.run(filled)

        return call

    def __repr__(self) -> str:
        def show(value: Any) -> Any:
            return _Shown(value) if isinstance(value, np.ndarray) else value

        args, kwargs = self.fill([show(a) for a in self.arrays])
        return f"{self.op.name}({', '.join([*map(repr, args), *(f'{k}={v!r}' for k, v in kwargs.items())])})"


class _Shown:
    def __init__(self, array: np.ndarray):
        self.array = array

    def __repr__(self) -> str:
        values = f" {self.array.tolist()}" if self.array.size <= 16 else ""
        return f"{self.array.dtype.name}{list(self.array.shape)}{values}"


def _leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, dict):
        tree = tuple(tree.values())
    if isinstance(tree, (tuple, list)):
        for part in tree:
            yield from _leaves(part)
    else:
        yield tree


def _paths(name: str, tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, part in tree.items():
            yield from _paths(f"{name}[{key!r}]", part)
    elif isinstance(tree, (tuple, list)):
        for i, part in enumerate(tree):
            yield from _paths(f"{name}[{i}]", part)
    elif isinstance(tree, _ARRAYS):
        yield name


def _replace(tree: Any, rest: Iterator[Any]) -> Any:
    if isinstance(tree, dict):
        return {k: _replace(v, rest) for k, v in tree.items()}
    if isinstance(tree, (tuple, list)):
        return type(tree)(_replace(part, rest) for part in tree)
    return next(rest) if isinstance(tree, _ARRAYS) else tree


def unwrapped(tree: Any) -> Any:
    """The tree with copies of the tensors' arrays in place of tensors."""
    if isinstance(tree, dict):
        return {k: unwrapped(v) for k, v in tree.items()}
    if isinstance(tree, (tuple, list)):
        return type(tree)(unwrapped(part) for part in tree)
    return np.array(_as_array(tree)) if isinstance(tree, Tensor) else tree


def wrapped(tree: Any) -> Any:
    """The tree with tensors in place of arrays."""
    if isinstance(tree, (tuple, list)):
        return tuple(wrapped(part) for part in tree)
    return wrap(np.asarray(tree)) if isinstance(tree, _ARRAYS) else tree


def _as_array(result: Any) -> np.ndarray:
    if isinstance(result, Tensor):
        return result.detach()._data
    return np.asarray(result)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """NumPy's warnings about invalid values are nothing new to a reference."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        yield
