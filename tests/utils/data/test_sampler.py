"""Samplers: orders are permutations, draws follow their weights, nothing is held that need not be."""

import collections
import itertools

import pytest

import numgrad
from numgrad.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
    sampler,
)


def seeded(seed):
    return numgrad.Generator().manual_seed(seed)


def test_sampler_without_iter_says_so():
    with pytest.raises(NotImplementedError, match="__iter__"):
        iter(Sampler())


def test_sequential():
    assert list(SequentialSampler("abcd")) == [0, 1, 2, 3]
    assert len(SequentialSampler("abcd")) == 4


def test_random_is_a_permutation_drawn_anew():
    order = RandomSampler(range(1000))
    first, second = list(order), list(order)
    assert sorted(first) == sorted(second) == list(range(1000))
    assert first != second
    assert all(type(index) is int for index in first)


def test_random_follows_the_global_seed_and_its_own_generator():
    numgrad.manual_seed(3)
    first = list(RandomSampler(range(50)))
    numgrad.manual_seed(3)
    assert list(RandomSampler(range(50))) == first
    own = [list(RandomSampler(range(50), generator=seeded(4))) for _ in range(2)]
    assert own[0] == own[1] != first


def test_random_with_more_samples_than_the_dataset_repeats_whole_orders():
    order = list(RandomSampler(range(10), num_samples=25))
    assert len(order) == len(RandomSampler(range(10), num_samples=25)) == 25
    assert sorted(order[:10]) == sorted(order[10:20]) == list(range(10))
    assert len(set(order[20:])) == 5


def test_random_with_replacement_covers_evenly():
    draws = list(RandomSampler(range(4), replacement=True, num_samples=4000, generator=seeded(0)))
    counts = collections.Counter(draws)
    assert set(counts) == {0, 1, 2, 3}
    assert all(850 < count < 1150 for count in counts.values())  # five standard deviations: 5 * sqrt(4000 * 3 / 16)


@pytest.mark.parametrize("replacement", [False, True])
def test_random_is_lazy_however_large(replacement):
    order = RandomSampler(range(10**15), replacement=replacement, generator=seeded(0))
    some = list(itertools.islice(order, 1000))
    assert len(set(some)) == 1000
    assert min(some) >= 0
    assert 10**14 < max(some) < 10**15
    assert len(order) == 10**15


@pytest.mark.parametrize("size", [1, 2, 3, 17, 64, 1000, 40000])
def test_lazy_permutation_meets_each_number_once(size, monkeypatch):
    monkeypatch.setattr(sampler, "LARGEST_HELD_PERMUTATION", 0)
    order = list(RandomSampler(range(size), generator=seeded(1)))
    assert sorted(order) == list(range(size))
    assert order == list(RandomSampler(range(size), generator=seeded(1)))
    if size > 10:
        assert order != list(RandomSampler(range(size), generator=seeded(2)))
        fixed_points = sum(index == position for position, index in enumerate(order))
        assert fixed_points < 10  # one is expected of a random permutation


def test_random_refuses_bad_arguments():
    with pytest.raises(ValueError, match="num_samples should be a positive integer, got 0"):
        RandomSampler([])
    with pytest.raises(ValueError, match="got 2.5"):
        RandomSampler([1], num_samples=2.5)
    with pytest.raises(TypeError, match="replacement should be a bool, got 1"):
        RandomSampler([1], replacement=1)


def test_subset_random_shuffles_what_it_is_given():
    indices = [5, 8, 13, 21]
    order = SubsetRandomSampler(indices, seeded(0))
    assert sorted(order) == indices
    assert len(order) == 4
    assert len({tuple(order) for _ in range(50)}) > 10


def test_weighted_follows_weights():
    draws = list(WeightedRandomSampler([1, 0, 3, 0], 4000, generator=seeded(0)))
    assert set(draws) == {0, 2}
    assert 2863 < draws.count(2) < 3137  # five standard deviations
    assert len(WeightedRandomSampler([1.0], 7)) == 7


def test_weighted_without_replacement_prefers_the_heavy():
    firsts = collections.Counter()
    for seed in range(300):
        order = list(WeightedRandomSampler([1, 0, 9, 10], 3, replacement=False, generator=seeded(seed)))
        assert sorted(order) == [0, 2, 3]
        firsts[order[0]] += 1
    assert 107 < firsts[3] < 193  # a half of them, within five standard deviations
    assert firsts[0] < 34


def test_weighted_refuses_bad_arguments():
    with pytest.raises(ValueError, match="num_samples should be a positive integer, got 0"):
        WeightedRandomSampler([1.0], 0)
    with pytest.raises(ValueError, match="num_samples should be a positive integer, got True"):
        WeightedRandomSampler([1.0], True)
    with pytest.raises(ValueError, match="replacement should be a bool"):
        WeightedRandomSampler([1.0], 1, replacement=0)
    with pytest.raises(ValueError, match=r"1-d, got shape \(1, 2\)"):
        WeightedRandomSampler([[1.0, 2.0]], 1)
    with pytest.raises(RuntimeError, match="2 samples without replacement from 1 weights"):
        iter(WeightedRandomSampler([1.0, 0.0], 2, replacement=False))
    for weights in ([0.0, 0.0], [1.0, -1.0], [float("nan"), 1.0], [float("inf"), 1.0]):
        with pytest.raises(RuntimeError, match="finite, not negative, and not all zero"):
            iter(WeightedRandomSampler(weights, 1))


def test_batches():
    assert list(BatchSampler(range(7), 3, False)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(BatchSampler(range(7), 3, True)) == [[0, 1, 2], [3, 4, 5]]
    assert list(BatchSampler(range(6), 3, True)) == list(BatchSampler(range(6), 3, False))
    assert (len(BatchSampler(range(7), 3, False)), len(BatchSampler(range(7), 3, True))) == (3, 2)
    assert list(BatchSampler([], 3, False)) == []


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, True, None])
def test_batches_refuse_bad_sizes(batch_size):
    with pytest.raises(ValueError, match="batch_size should be a positive integer"):
        BatchSampler(range(3), batch_size, False)


def test_batches_refuse_a_drop_last_that_is_no_bool():
    with pytest.raises(ValueError, match="drop_last should be a boolean"):
        BatchSampler(range(3), 1, 1)


def test_loader_takes_samplers():
    assert [batch.tolist() for batch in DataLoader(range(10), batch_size=2, sampler=[9, 1, 4])] == [[9, 1], [4]]
    assert [batch.tolist() for batch in DataLoader(range(10), batch_sampler=[[9, 1, 4], [2]])] == [[9, 1, 4], [2]]
    assert list(DataLoader(range(10), batch_size=None, sampler=SequentialSampler(range(3)))) == [0, 1, 2]
