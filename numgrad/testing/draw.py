"""Where an op's sample takes its inputs from: small ones from hypothesis in tests, large ones from NumPy in benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class Draw:
    """Draws inputs. `integer(low, high)` decides everything, so that a test framework that supplies it can shrink failures.

    `dtype` is what floating-point arrays are drawn in, `side` the largest side of a drawn shape.
    """

    def __init__(self, integer: Callable[[int, int], int], dtype: Any = np.float64, side: int = 4):
        self.integer, self.dtype, self.side = integer, np.dtype(dtype), side

    def boolean(self) -> bool:
        """True or False."""
        return bool(self.integer(0, 1))

    def choice(self, options: Sequence[Any]) -> Any:
        """One of the options."""
        return options[self.integer(0, len(options) - 1)]

    def number(self, low: float = -3.0, high: float = 3.0) -> float:
        """A Python float, on a grid of 1/8 of the range."""
        return low + (high - low) * self.integer(0, 8) / 8

    def shape(self, min_dims: int = 0, max_dims: int = 3, min_side: int = 0) -> tuple[int, ...]:
        """A shape; sides of 0 and 1 occur unless `min_side` forbids."""
        return tuple(self.integer(min_side, self.side) for _ in range(self.integer(min_dims, max_dims)))

    def broadcastable(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A shape that broadcasts to the given one: leading dimensions left out, others made 1."""
        kept = shape[self.integer(0, len(shape)) :]
        return tuple(1 if self.boolean() else n for n in kept)

    def dim(self, ndim: int) -> int:
        """A dimension, counted from either end; 0 or -1 for a 0-d tensor."""
        return self.integer(-max(ndim, 1), max(ndim, 1) - 1)

    def dims(self, ndim: int) -> tuple[int, ...]:
        """Some dimensions, without repeats, in any order and counted from either end."""
        chosen = [d for d in range(ndim) if self.boolean()]
        if len(chosen) > 1 and self.boolean():
            chosen.reverse()
        return tuple(d - ndim if self.boolean() else d for d in chosen)

    def generator(self) -> np.random.Generator:
        """A NumPy generator with a drawn seed."""
        return np.random.default_rng(self.integer(0, 2**16))

    def array(
        self, shape: Sequence[int] = (), low: float = -3.0, high: float = 3.0, avoid: Sequence[float] = (),
        distinct: bool = False, dtype: Any = None,
    ) -> np.ndarray:  # fmt: skip
        """Floating-point values in [low, high], at least 0.05 away from each point of `avoid`; `distinct`: 0.01 apart or more."""
        shape, rng = tuple(shape), self.generator()
        size = int(np.prod(shape, dtype=np.int64))
        if distinct:
            values = low + (high - low) * (rng.permutation(size) + 0.5) / max(size, 1)
        else:
            values = rng.uniform(low, high, size)
        for point in avoid:
            near = np.abs(values - point) < 0.05
            values = np.where(near, point + 0.05 + np.abs(values - point), values)
        return values.astype(dtype or self.dtype).reshape(shape)

    def integers(self, shape: Sequence[int] = (), low: int = 0, high: int = 9, dtype: Any = np.int64) -> np.ndarray:
        """Integers from low to high, both included."""
        return self.generator().integers(low, high, tuple(shape), dtype=dtype, endpoint=True)

    def booleans(self, shape: Sequence[int] = ()) -> np.ndarray:
        """Truth values."""
        return self.generator().integers(0, 2, tuple(shape)).astype(np.bool_)


def numpy_draw(seed: int = 0, dtype: Any = np.float32, side: int = 64) -> Draw:
    """A Draw that takes its choices from a NumPy generator."""
    rng = np.random.default_rng(seed)
    return Draw(lambda low, high: int(rng.integers(low, high, endpoint=True)), dtype, side)
