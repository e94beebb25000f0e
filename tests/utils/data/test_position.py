"""A loader that was put back goes on bit for bit: order, what workers draw, and whatever is drawn after it."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest

import numgrad
from numgrad.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)


class Noisy(Dataset):
    """Samples with three sources of noise, and a note of what was fetched."""

    def __init__(self) -> None:
        self.fetched: list[int] = []

    def __len__(self) -> int:
        return 23

    def __getitem__(self, index: int) -> Any:
        self.fetched.append(index)
        return index, numgrad.rand(2, dtype=numgrad.float64), random.random(), np.random.standard_normal()


class Stream(IterableDataset):
    def __iter__(self) -> Any:
        return iter(range(23))


def made(kind: str, seed: int | None, **options: Any) -> DataLoader:
    generator = None if seed is None else numgrad.Generator().manual_seed(seed)
    data = Stream() if kind == "stream" else Noisy()
    if kind == "shuffled":
        options["shuffle"] = True
    elif kind == "with replacement":
        options["sampler"] = RandomSampler(data, replacement=True, num_samples=50, generator=generator)
    elif kind == "subset":
        options["sampler"] = SubsetRandomSampler(range(3, 20), generator=generator)
    elif kind == "weighted":
        options["sampler"] = WeightedRandomSampler([1.0] * 23, 30, generator=generator)
    return DataLoader(data, batch_size=3, generator=generator, **options)


def plain(batch: Any) -> Any:
    return [entry.tolist() for entry in batch] if isinstance(batch, list) else batch.tolist()


def training(loader: DataLoader, position: dict[str, Any] | None = None, stop: int | None = None) -> tuple[list[Any], dict[str, Any]]:
    """Two epochs of batches, each with a number drawn after it; and, stopped after some, everything that is needed to go on."""
    seen: list[Any] = []
    if position is None:
        numgrad.manual_seed(3), random.seed(4), np.random.seed(5)
        first = 0
    else:
        first = position["epoch"]
        loader.load_state_dict(position["loader"])
        numgrad.set_rng_state(position["own"])
        random.setstate(position["python"])
        np.random.set_state(position["numpy"])
    for epoch in range(first, 2):
        for batch in loader:
            seen.append((plain(batch), numgrad.rand(1).item()))
            if len(seen) == stop:
                state = loader.state_dict()
                return seen, {"loader": state, "epoch": epoch, "own": numgrad.get_rng_state(), "python": random.getstate(), "numpy": np.random.get_state()}
    return seen, {}


KINDS = ["in order", "shuffled", "with replacement", "subset", "weighted", "stream"]


@pytest.mark.parametrize("seed", [None, 7], ids=["global generator", "own generator"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_after_is_the_same(kind: str, seed: int | None) -> None:
    if kind == "stream" and seed is not None:
        seed = None
    whole, _ = training(made(kind, seed))
    for stop in (1, 2, 7, len(whole) // 2, len(whole) - 1):
        before, position = training(made(kind, seed), stop=stop)
        after, _ = training(made(kind, 0 if seed is not None else None), position)
        assert before + after == whole


@pytest.mark.parametrize("options", [{"num_workers": 2}, {"num_workers": 3, "persistent_workers": True, "prefetch_factor": 1}],
                         ids=["workers", "persistent workers"])  # fmt: skip
@pytest.mark.parametrize("kind", ["shuffled", "with replacement", "stream"])
def test_workers_go_on_with_what_they_drew(kind: str, options: dict[str, Any], tmp_path: Any) -> None:
    whole, _ = training(made(kind, 7, **options))
    for stop in (1, 5, 9):
        before, position = training(made(kind, 7, **options), stop=stop)
        numgrad.save(position["loader"], tmp_path / "position")
        position["loader"] = numgrad.load(tmp_path / "position")
        after, _ = training(made(kind, 0, **options), position)
        assert before + after == whole


def test_samples_are_passed_by_unfetched() -> None:
    loader, other = made("shuffled", 1), made("shuffled", 1)
    steps = iter(loader)
    wanted = [plain(batch) for batch in itertools.islice(steps, 5)]
    other.load_state_dict(loader.state_dict())
    assert other.state_dict()["batches"] == 5, "asked for before the loop begins"
    next(iter(other))
    assert len(other.dataset.fetched) == 3
    assert not {row for batch in wanted for row in batch[0]} & set(other.dataset.fetched)


def test_between_epochs_the_next_one_begins() -> None:
    loader, other = made("shuffled", 1), made("shuffled", 2)
    for _ in loader:
        pass
    other.load_state_dict(loader.state_dict())
    orders = [[plain(batch)[0] for batch in one] for one in (loader, other)]
    assert orders[0] == orders[1] and len(orders[0]) == 8
    made("shuffled", 2).load_state_dict(made("shuffled", 1).state_dict())  # of one that never began


def test_what_does_not_fit_is_refused() -> None:
    loader = made("shuffled", 1)
    next(iter(loader))
    state = loader.state_dict()
    with pytest.raises(ValueError, match="batches of 3, the loader makes batches of 4"):
        DataLoader(Noisy(), 4, generator=numgrad.Generator()).load_state_dict(state)
    with pytest.raises(ValueError, match="with a generator of its own"):
        made("shuffled", None).load_state_dict(state)
    for bad in (None, {}, state | {"more": 1}, state | {"batches": -1}, state | {"batches": "3"}):
        with pytest.raises(ValueError, match="load_state_dict"):
            loader.load_state_dict(bad)
    loader.load_state_dict(state | {"batches": 100})
    with pytest.raises(RuntimeError, match="behind 100 batches, but there are only 8"):
        iter(loader)
