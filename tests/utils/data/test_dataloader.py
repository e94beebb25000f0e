"""DataLoader in one process: batches, order, seeds, and every combination of arguments that makes no sense."""

import multiprocessing

import numpy as np
import pytest

import numgrad
from numgrad.utils.data import DataLoader, IterableDataset, Subset, TensorDataset, get_worker_info


class Stream(IterableDataset):
    def __init__(self, count):
        self.count = count

    def __iter__(self):
        return iter(range(self.count))


class SizedStream(Stream):
    def __len__(self):
        return self.count


def lists(loader):
    return [batch.tolist() for batch in loader]


def test_batches_in_order():
    loader = DataLoader(range(7), batch_size=3)
    assert lists(loader) == [[0, 1, 2], [3, 4, 5], [6]]
    assert lists(loader) == lists(loader)
    assert len(loader) == 3
    dropping = DataLoader(range(7), batch_size=3, drop_last=True)
    assert lists(dropping) == [[0, 1, 2], [3, 4, 5]]
    assert len(dropping) == 2


def test_shuffle_visits_everything_in_a_new_order_each_epoch():
    loader = DataLoader(range(100), batch_size=7, shuffle=True)
    first, second = sum(lists(loader), []), sum(lists(loader), [])
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second


def test_shuffle_follows_the_seed():
    loader = DataLoader(range(100), batch_size=100, shuffle=True)
    numgrad.manual_seed(0)
    first = lists(loader)
    numgrad.manual_seed(0)
    assert lists(loader) == first
    own = [
        lists(DataLoader(range(100), batch_size=100, shuffle=True, generator=numgrad.Generator().manual_seed(5)))
        for _ in range(2)
    ]
    assert own[0] == own[1] != first


def test_own_generator_leaves_the_global_one_alone():
    numgrad.manual_seed(0)
    expected = numgrad.rand(3).tolist()
    numgrad.manual_seed(0)
    list(DataLoader(range(10), shuffle=True, generator=numgrad.Generator()))
    assert numgrad.rand(3).tolist() == expected


def test_order_does_not_depend_on_the_number_of_workers():
    orders = []
    for workers in (0, 1, 3):
        numgrad.manual_seed(7)
        orders.append(lists(DataLoader(range(20), batch_size=3, shuffle=True, num_workers=workers, timeout=60)))
        orders[-1].append(numgrad.rand(1).item())  # nor does what the generator gives afterwards
    assert orders[0] == orders[1] == orders[2]


def test_batch_size_none_gives_samples():
    assert list(DataLoader([1, "x", 2.5], batch_size=None)) == [1, "x", 2.5]
    (sample,) = DataLoader([np.zeros(2)], batch_size=None)
    assert isinstance(sample, numgrad.Tensor)
    assert len(DataLoader(range(3), batch_size=None)) == 3


def test_custom_collate():
    assert list(DataLoader(range(5), batch_size=2, collate_fn=sum)) == [1, 5, 4]


def test_dataset_that_fetches_batches_itself():
    class Batched:
        def __len__(self):
            return 4

        def __getitems__(self, indices):
            return [10 * index for index in indices]

    assert lists(DataLoader(Batched(), batch_size=3)) == [[0, 10, 20], [30]]


def test_gathered_batches_equal_stacked_ones():
    images, labels = numgrad.arange(60).reshape(10, 2, 3), numgrad.arange(10)
    dataset = Subset(Subset(TensorDataset(images, labels), list(range(9, -1, -1))), [0, 2, 4, 6])
    gathered = list(DataLoader(dataset, batch_size=3))
    stacked = list(
        DataLoader(dataset, batch_size=3, collate_fn=lambda batch: numgrad.utils.data.default_collate(batch))
    )
    assert [[part.tolist() for part in batch] for batch in gathered] == [
        [part.tolist() for part in batch] for batch in stacked
    ]
    assert [type(batch) for batch in gathered] == [type(batch) for batch in stacked] == [list, list]
    assert gathered[0][0].dtype == images.dtype
    assert gathered[0][1].tolist() == [9, 7, 5]


def test_gathering_does_not_bypass_a_subclass():
    class Negated(TensorDataset):
        def __getitem__(self, index):
            return -super().__getitem__(index)[0]

    assert lists(DataLoader(Negated(numgrad.arange(4)), batch_size=4)) == [[0, -1, -2, -3]]


def test_batches_are_copies():
    data = numgrad.zeros(4, 2)
    for (batch,) in DataLoader(TensorDataset(data), batch_size=2):
        batch.fill_(1)
    assert data.sum().item() == 0


def test_streams():
    assert lists(DataLoader(Stream(5), batch_size=2)) == [[0, 1], [2, 3], [4]]
    assert lists(DataLoader(Stream(5), batch_size=2, drop_last=True)) == [[0, 1], [2, 3]]
    assert list(DataLoader(Stream(3), batch_size=None)) == [0, 1, 2]
    assert list(DataLoader(Stream(0))) == []
    assert len(DataLoader(SizedStream(5), batch_size=2)) == 3
    assert len(DataLoader(SizedStream(5), batch_size=2, drop_last=True)) == 2
    assert len(DataLoader(SizedStream(5), batch_size=None)) == 5
    with pytest.raises(TypeError, match="no len"):
        len(DataLoader(Stream(5)))


def test_empty_dataset():
    loader = DataLoader([], batch_size=2)
    assert (list(loader), len(loader)) == ([], 0)


def test_two_loops_at_once_are_independent():
    loader = DataLoader(range(4), batch_size=2)
    assert [(a.tolist(), b.tolist()) for a in loader for b in loader][1] == ([0, 1], [2, 3])


def test_exception_passes_through():
    with pytest.raises(IndexError):
        list(DataLoader([1, 2], sampler=[5]))


def test_no_worker_here():
    assert get_worker_info() is None


def test_accepted_without_effect():
    assert lists(DataLoader(range(2), batch_size=2, pin_memory=True, pin_memory_device="cuda")) == [[0, 1]]


def test_context_by_name_or_object():
    loader = DataLoader(range(2), num_workers=1, multiprocessing_context="fork")
    assert loader.multiprocessing_context.get_start_method() == "fork"
    context = multiprocessing.get_context("spawn")
    assert DataLoader(range(2), num_workers=1, multiprocessing_context=context).multiprocessing_context is context


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (dict(batch_size=0), ValueError, "batch_size should be a positive"),
        (dict(batch_size=None, drop_last=True), ValueError, "mutually exclusive with drop_last"),
        (dict(batch_sampler=[[0]], batch_size=2), ValueError, "mutually exclusive with batch_size"),
        (dict(batch_sampler=[[0]], shuffle=True), ValueError, "mutually exclusive with batch_size"),
        (dict(batch_sampler=[[0]], sampler=[0]), ValueError, "mutually exclusive with batch_size"),
        (dict(batch_sampler=[[0]], drop_last=True), ValueError, "mutually exclusive with batch_size"),
        (dict(sampler=[0], shuffle=True), ValueError, "mutually exclusive with shuffle"),
        (dict(num_workers=-1), ValueError, "num_workers option should be non-negative, got -1"),
        (dict(timeout=-1), ValueError, "timeout option should be non-negative"),
        (dict(prefetch_factor=2), ValueError, "num_workers > 0"),
        (dict(prefetch_factor=0, num_workers=1), ValueError, "prefetch_factor option should be positive, got 0"),
        (dict(persistent_workers=True), ValueError, "needs num_workers > 0"),
        (dict(multiprocessing_context="fork"), ValueError, "num_workers > 0"),
        (dict(multiprocessing_context="nope", num_workers=1), ValueError, "'nope'"),
        (dict(multiprocessing_context=3, num_workers=1), TypeError, "got 3"),
    ],
)
def test_arguments_that_make_no_sense(options, error, message):
    with pytest.raises(error, match=message):
        DataLoader([1, 2, 3], **options)


@pytest.mark.parametrize("option", ["shuffle", "sampler", "batch_sampler"])
def test_streams_have_no_order_to_choose(option):
    with pytest.raises(ValueError, match=f"expected unspecified {option} option"):
        DataLoader(Stream(3), **{option: True if option == "shuffle" else [0]})
    DataLoader(Stream(3), shuffle=False)


@pytest.mark.parametrize(
    "name", ["batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"]
)
def test_what_is_fixed_stays_fixed(name):
    loader = DataLoader([1])
    with pytest.raises(ValueError, match=f"{name} attribute should not be set after DataLoader"):
        setattr(loader, name, None)
    loader.num_workers = 0
