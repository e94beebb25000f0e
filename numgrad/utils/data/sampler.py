"""Samplers: in which order a dataset's samples are visited, and how they are grouped."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np

import numgrad

T = TypeVar("T")

# Above this many samples a shuffled order is computed as it is read, not held in memory.
LARGEST_HELD_PERMUTATION = 1 << 24
_CHUNK = 1 << 14


class Sampler(Generic[T]):
    """An order of visiting: a subclass gives `__iter__` over indices (or over lists of them) and usually `__len__`."""

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError(f"{type(self).__name__} needs an __iter__() method")


class SequentialSampler(Sampler[int]):
    """0, 1, 2, ... to the end of the dataset."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """A shuffled order, or with `replacement` independent draws.

    `num_samples` (default: the size of the dataset) may exceed the size: then orders follow one another.
    Indices are made as they are read, so the dataset may be of any size.
    """

    def __init__(
        self, data_source: Sized, replacement: bool = False, num_samples: int | None = None, generator: Any = None
    ) -> None:
        if not isinstance(replacement, bool):
            raise TypeError(f"RandomSampler: replacement should be a bool, got {replacement!r}")
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(self.num_samples, int) or self.num_samples <= 0:
            raise ValueError(f"RandomSampler: num_samples should be a positive integer, got {self.num_samples!r}")

    @property
    def num_samples(self) -> int:
        """How many indices an epoch has."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        generator = self.generator if self.generator is not None else _seeded(draw_seed())
        size = len(self.data_source)
        if self.replacement:
            endless = _draws(size, generator)
        else:
            endless = itertools.chain.from_iterable(_permutation(size, generator) for _ in itertools.repeat(None))
        return itertools.islice(endless, self.num_samples)

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """These indices, shuffled."""

    def __init__(self, indices: Sequence[int], generator: Any = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        for position in numgrad.randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[position]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """`num_samples` indices, each drawn with a probability proportional to its weight (weights need not sum to 1).

    Without replacement, `num_samples` may not exceed the number of weights above zero.
    """

    def __init__(
        self, weights: Sequence[float], num_samples: int, replacement: bool = True, generator: Any = None
    ) -> None:
        if not isinstance(num_samples, int) or isinstance(num_samples, bool) or num_samples <= 0:
            raise ValueError(f"WeightedRandomSampler: num_samples should be a positive integer, got {num_samples!r}")
        if not isinstance(replacement, bool):
            raise ValueError(f"WeightedRandomSampler: replacement should be a bool, got {replacement!r}")
        self.weights = numgrad.as_tensor(weights, dtype=numgrad.float64)
        if self.weights.dim() != 1:
            raise ValueError(f"WeightedRandomSampler: weights should be 1-d, got shape {tuple(self.weights.shape)}")
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        weights = self.weights.numpy()
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
            raise RuntimeError("WeightedRandomSampler: weights should be finite, not negative, and not all zero")
        draw = self._with_replacement if self.replacement else self._without_replacement
        return iter(draw(weights))

    def _with_replacement(self, weights: np.ndarray) -> list[int]:
        cumulative = np.cumsum(weights)
        points = _uniform(self.num_samples, self.generator) * cumulative[-1]
        # "right" never lands on a weight of zero; the minimum catches a point rounded up onto the total.
        return np.minimum(np.searchsorted(cumulative, points, side="right"), np.flatnonzero(weights)[-1]).tolist()

    def _without_replacement(self, weights: np.ndarray) -> list[int]:
        possible = np.flatnonzero(weights)
        if self.num_samples > possible.size:
            raise RuntimeError(
                f"WeightedRandomSampler: cannot draw {self.num_samples} samples without replacement "
                f"from {possible.size} weights above zero"
            )
        # The first arrivals of Poisson processes of these rates are draws without replacement
        # (Efraimidis and Spirakis, 2006).
        arrivals = -np.log1p(-_uniform(possible.size, self.generator)) / weights[possible]
        return possible[np.argsort(arrivals, kind="stable")[: self.num_samples]].tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Another sampler's indices in lists of `batch_size`; the last, shorter list is left out with `drop_last`."""

    def __init__(self, sampler: Sampler[int] | Iterable[int], batch_size: int, drop_last: bool) -> None:
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(f"batch_size should be a positive integer value, but got batch_size={batch_size!r}")
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last!r}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        count = len(self.sampler)  # type: ignore[arg-type]
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)


def draw_seed(generator: Any = None) -> int:
    """A fresh seed from this generator, or from the global one."""
    return int(numgrad.randint(2**63 - 1, (1,), generator=generator).item())


def _seeded(seed: int):
    generator = numgrad.Generator()
    generator.manual_seed(seed)
    return generator


def _uniform(count: int, generator) -> np.ndarray:
    return numgrad.rand(count, dtype=numgrad.float64, generator=generator).numpy()


def _draws(size: int, generator) -> Iterator[int]:
    while True:
        yield from numgrad.randint(size, (32,), generator=generator).tolist()


def _permutation(size: int, generator) -> Iterator[int]:
    if size > LARGEST_HELD_PERMUTATION:
        yield from _lazy_permutation(size, generator)
        return
    order = numgrad.randperm(size, generator=generator).numpy()
    for start in range(0, size, _CHUNK):
        yield from order[start : start + _CHUNK].tolist()


def _lazy_permutation(size: int, generator) -> Iterator[int]:
    """range(size) in pseudo-random order, in constant memory.

    A Feistel network of keyed hashes is a bijection of the numbers of 2h bits (Luby and Rackoff, 1988): the images of
    0, 1, 2, ... that are below `size` are therefore each met exactly once.
    """
    half = np.uint64(((size - 1).bit_length() + 1) // 2)
    mask = np.uint64((1 << int(half)) - 1)
    keys = numgrad.randint(2**63 - 1, (6,), generator=generator).numpy().astype(np.uint64)
    count = 1 << 2 * int(half)
    for start in range(0, count, _CHUNK):
        values = np.arange(start, min(start + _CHUNK, count), dtype=np.uint64)
        left, right = values >> half, values & mask
        for key in keys:
            left, right = right, left ^ (_mix(right ^ key) & mask)
        values = (left << half) | right
        yield from values[values < np.uint64(size)].tolist()


def _mix(values: np.ndarray) -> np.ndarray:
    """Scramble 64-bit words: the finalizer of SplitMix64 (Steele, Lea and Flood, 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
