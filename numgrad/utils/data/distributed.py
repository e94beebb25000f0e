"""The part of a dataset that one of several processes reads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sized
from typing import Any

import numgrad

from .sampler import Sampler

__all__ = ["DistributedSampler"]


class DistributedSampler(Sampler[int]):
    """Every `num_replicas`-th index from `rank` on, of an order that `seed` and `set_epoch` decide, alike in all processes.

    All parts are of one size: the order begins again where it is too short, or with `drop_last` loses its end. Without numbers there
    is one process, which reads all. ValueError for a rank outside 0..num_replicas-1.
    """

    def __init__(
        self, dataset: Sized, num_replicas: int | None = None, rank: int | None = None, shuffle: bool = True, seed: int = 0, drop_last: bool = False
    ) -> None:
        self.num_replicas = numgrad.distributed.get_world_size() if num_replicas is None else num_replicas
        self.rank = numgrad.distributed.get_rank() if rank is None else rank
        if not 0 <= self.rank < self.num_replicas:
            raise ValueError(f"Invalid rank {self.rank}, rank should be in the interval [0, {self.num_replicas - 1}]")
        self.dataset, self.shuffle, self.seed, self.drop_last, self.epoch = dataset, shuffle, seed, drop_last, 0

    @property
    def num_samples(self) -> int:
        """How many samples each process reads."""
        whole = len(self.dataset) / self.num_replicas
        return math.floor(whole) if self.drop_last else math.ceil(whole)

    @property
    def total_size(self) -> int:
        """How many samples all processes read."""
        return self.num_samples * self.num_replicas

    def __iter__(self) -> Iterator[int]:
        size = len(self.dataset)
        order: Any = range(size)
        if self.shuffle:
            order = numgrad.randperm(size, generator=numgrad.Generator().manual_seed(self.seed + self.epoch)).tolist()
        return (order[n % size] for n in range(self.rank, self.total_size, self.num_replicas))

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Another order in the next epoch; the same number in all processes."""
        self.epoch = epoch
