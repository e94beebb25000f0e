"""Datasets: what has samples, by index or as a stream, and how to combine and split them."""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numgrad

T = TypeVar("T")


class Dataset(Generic[T]):
    """Samples found by index: a subclass gives `__getitem__` and, for most samplers, `__len__`.

    A subclass may also give `__getitems__(indices)`, which fetches a whole batch at once as a list of samples.
    `first + second` is their concatenation.
    """

    def __getitem__(self, index) -> T:
        raise NotImplementedError(f"{type(self).__name__} needs a __getitem__(index) method")

    def __add__(self, other: Dataset[T]) -> ConcatDataset[T]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T]):
    """Samples that come as a stream: a subclass gives `__iter__`.

    With several workers each iterates over its own copy; `get_worker_info()` tells them apart.
    """

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError(f"{type(self).__name__} needs an __iter__() method")

    def __add__(self, other: Dataset[T]) -> ChainDataset:  # type: ignore[override]
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple]):
    """Tensors of equal first dimension; sample i is the tuple of their rows i."""

    def __init__(self, *tensors) -> None:
        if not tensors:
            raise TypeError("TensorDataset needs at least one tensor")
        for position, tensor in enumerate(tensors):
            if tensor.dim() == 0:
                raise ValueError(f"TensorDataset: tensor {position} has no dimension to index (its shape is ())")
        sizes = [tensor.size(0) for tensor in tensors]
        if len(set(sizes)) > 1:
            raise AssertionError(f"TensorDataset: the tensors differ in their first dimension: {sizes}")
        self.tensors = tensors

    def __getitem__(self, index):
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].size(0)


class StackDataset(Dataset):
    """Datasets side by side: sample i is a tuple, or with keyword arguments a dict, of their samples i."""

    def __init__(self, *args, **kwargs) -> None:
        if bool(args) == bool(kwargs):
            raise ValueError("StackDataset takes datasets either by position or by keyword, and at least one")
        self.datasets = kwargs or args
        lengths = [len(dataset) for dataset in self._parts()]
        if len(set(lengths)) > 1:
            raise ValueError(f"StackDataset: the datasets differ in length: {lengths}")
        self._length = lengths[0]

    def _parts(self) -> list:
        return list(self.datasets.values() if isinstance(self.datasets, dict) else self.datasets)

    def _join(self, samples):
        return dict(zip(self.datasets, samples, strict=True)) if isinstance(self.datasets, dict) else tuple(samples)

    def __getitem__(self, index):
        return self._join([dataset[index] for dataset in self._parts()])

    def __getitems__(self, indices: list) -> list:
        columns = []
        for dataset in self._parts():
            samples = fetch(dataset, indices)
            if len(samples) != len(indices):
                raise ValueError(f"__getitems__ gave {len(samples)} samples for {len(indices)} indices")
            columns.append(samples)
        return [self._join(samples) for samples in zip(*columns, strict=True)]

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[T]):
    """Datasets one after the other, as one."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("ConcatDataset: datasets should not be an empty iterable")
        for dataset in self.datasets:
            if isinstance(dataset, IterableDataset):
                raise AssertionError("ConcatDataset does not support IterableDataset: ChainDataset does")
        self.cumulative_sizes = list(itertools.accumulate(len(dataset) for dataset in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index):
        if index < -len(self):
            raise ValueError(f"index {index} is before the first of the {len(self)} samples of this ConcatDataset")
        if index >= len(self):
            raise IndexError(f"index {index} is beyond the last of the {len(self)} samples of this ConcatDataset")
        index = index + len(self) if index < 0 else index
        which = bisect.bisect_right(self.cumulative_sizes, index)
        return self.datasets[which][index - (self.cumulative_sizes[which - 1] if which else 0)]


class ChainDataset(IterableDataset):
    """Streams one after the other, as one."""

    def __init__(self, datasets: Iterable[Dataset]) -> None:
        super().__init__()
        self.datasets = datasets

    def _streams(self) -> Iterator[Any]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise AssertionError(f"ChainDataset chains IterableDatasets, not {type(dataset).__name__}")
            yield dataset

    def __iter__(self) -> Iterator:
        for dataset in self._streams():
            yield from dataset

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self._streams())


class Subset(Dataset[T]):
    """The samples of `dataset` at `indices`, in that order."""

    def __init__(self, dataset: Dataset[T], indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index):
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: list) -> list:
        return fetch(self.dataset, [self.indices[i] for i in indices])

    def __len__(self) -> int:
        return len(self.indices)


def fetch(dataset, indices: list) -> list:
    """The samples at `indices`: by the dataset's own `__getitems__` where it has one, else one by one."""
    fetch_many = getattr(dataset, "__getitems__", None)
    return fetch_many(indices) if fetch_many else [dataset[index] for index in indices]


def fetch_columns(dataset, indices: list) -> list | None:
    """What stacking these samples would give, by one gather for each tensor; None if this dataset offers no such way.

    Only for a plain TensorDataset and subsets of one: a subclass that says itself what a sample is has to be asked.
    """
    while type(dataset) is Subset:
        indices = [dataset.indices[i] for i in indices]
        dataset = dataset.dataset
    if type(dataset) is not TensorDataset or not all(type(index) is int for index in indices):
        return None
    return [tensor[indices] for tensor in dataset.tensors]


def _lengths_of(fractions: Sequence[float], total: int) -> list[int]:
    lengths = []
    for position, fraction in enumerate(fractions):
        if not 0 <= fraction <= 1:
            raise ValueError(f"random_split: the fraction at position {position} is not between 0 and 1: {fraction}")
        lengths.append(math.floor(total * fraction))
    for extra in range(total - sum(lengths)):
        lengths[extra % len(lengths)] += 1
    for position, length in enumerate(lengths):
        if length == 0:
            warnings.warn(f"random_split: the part at position {position} has no samples", stacklevel=3)
    return lengths


def random_split(dataset: Dataset[T], lengths: Sequence[int | float], generator: Any = None) -> list[Subset[T]]:
    """Cut `dataset` at random into parts of these lengths, or of these fractions if they sum to 1.

    Fractions are rounded down and what is left is dealt out one by one from the first part on.
    `generator` fixes the cut; without one, numgrad's global generator is used.
    """
    total = len(dataset)  # type: ignore[arg-type]
    if sum(lengths) <= 1 and math.isclose(sum(lengths), 1):
        lengths = _lengths_of(lengths, total)
    if sum(lengths) != total:
        raise ValueError(f"random_split: the lengths sum to {sum(lengths)}, but the dataset has {total} samples")
    indices = iter(numgrad.randperm(total, generator=generator).tolist())
    return [Subset(dataset, list(itertools.islice(indices, int(length)))) for length in lengths]
