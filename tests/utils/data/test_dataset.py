"""Datasets: what each gives for an index, how they combine, and what random_split promises."""

import pytest

import numgrad
from numgrad.utils.data import (
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)


class Squares(Dataset):
    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if not 0 <= index < self.count:
            raise IndexError(index)
        return index * index


class Count(IterableDataset):
    def __init__(self, *numbers):
        self.numbers = numbers

    def __iter__(self):
        return iter(self.numbers)

    def __len__(self):
        return len(self.numbers)


def test_dataset_without_getitem_says_so():
    with pytest.raises(NotImplementedError, match="Empty needs a __getitem__"):
        type("Empty", (Dataset,), {})()[0]
    with pytest.raises(TypeError):
        len(Dataset())


def test_iterable_dataset_without_iter_says_so():
    with pytest.raises(NotImplementedError, match="__iter__"):
        iter(type("Empty", (IterableDataset,), {})())


def test_tensor_dataset_gives_rows():
    dataset = TensorDataset(numgrad.arange(12).reshape(4, 3), numgrad.arange(4.0))
    assert len(dataset) == 4
    row, number = dataset[2]
    assert row.tolist() == [6, 7, 8]
    assert number.item() == 2.0
    assert [number.item() for _, number in dataset] == [0.0, 1.0, 2.0, 3.0]
    assert dataset[1:3][0].shape == (2, 3)
    assert dataset[-1][1].item() == 3.0


def test_tensor_dataset_refuses_unequal_lengths_and_scalars():
    with pytest.raises(AssertionError, match=r"\[2, 3\]"):
        TensorDataset(numgrad.zeros(2), numgrad.zeros(3))
    with pytest.raises(ValueError, match="tensor 1 has no dimension"):
        TensorDataset(numgrad.zeros(2), numgrad.tensor(1.0))
    with pytest.raises(TypeError, match="at least one"):
        TensorDataset()


def test_concat_dataset_finds_every_sample():
    joined = Squares(2) + Squares(0) + Squares(3)
    assert isinstance(joined, ConcatDataset)
    assert len(joined) == 5
    assert list(joined) == [0, 1, 0, 1, 4]
    assert [joined[i] for i in range(-5, 0)] == [0, 1, 0, 1, 4]
    assert ConcatDataset([Squares(2), Squares(3)]).cumulative_sizes == [2, 5]
    with pytest.raises(IndexError, match="beyond the last of the 5"):
        joined[5]
    with pytest.raises(ValueError, match="before the first of the 5"):
        joined[-6]


def test_concat_dataset_refuses_nothing_and_streams():
    with pytest.raises(AssertionError, match="empty"):
        ConcatDataset([])
    with pytest.raises(AssertionError, match="ChainDataset"):
        ConcatDataset([Count(1)])


def test_chain_dataset_is_one_stream():
    chained = Count(1, 2) + Count() + Count(3)
    assert isinstance(chained, ChainDataset)
    assert list(chained) == [1, 2, 3]
    assert len(chained) == 3
    with pytest.raises(AssertionError, match="Squares"):
        list(ChainDataset([Count(1), Squares(2)]))


def test_subset_keeps_order_and_nests():
    subset = Subset(Squares(10), [7, 1, 1, 3])
    assert list(subset) == [49, 1, 1, 9]
    assert list(Subset(subset, [3, 0])) == [9, 49]
    assert subset.__getitems__([1, 0]) == [1, 49]


def test_subset_uses_the_dataset_s_own_batches():
    class Batched(Squares):
        def __getitems__(self, indices):
            return [("batch", i) for i in indices]

    assert Subset(Batched(10), [5, 6]).__getitems__([1]) == [("batch", 6)]
    assert list(DataLoader(Subset(Batched(10), [5, 6]), batch_size=2, collate_fn=list)) == [
        [("batch", 5), ("batch", 6)]
    ]


def test_stack_dataset_by_position_and_by_name():
    assert StackDataset(Squares(3), "abc")[2] == (4, "c")
    named = StackDataset(square=Squares(3), letter="abc")
    assert named[1] == {"square": 1, "letter": "b"}
    assert len(named) == 3
    assert named.__getitems__([2, 0]) == [{"square": 4, "letter": "c"}, {"square": 0, "letter": "a"}]
    with pytest.raises(ValueError, match=r"\[3, 2\]"):
        StackDataset(Squares(3), Squares(2))
    with pytest.raises(ValueError, match="either"):
        StackDataset(Squares(3), letter="abc")
    with pytest.raises(ValueError, match="at least one"):
        StackDataset()


def test_stack_dataset_checks_the_parts_batches():
    class Short(Squares):
        def __getitems__(self, indices):
            return [0]

    with pytest.raises(ValueError, match="1 samples for 2 indices"):
        StackDataset(Short(3)).__getitems__([0, 1])


def test_random_split_by_lengths_is_a_partition_fixed_by_the_generator():
    parts = [random_split(range(10), [7, 3], numgrad.Generator().manual_seed(1)) for _ in range(2)]
    assert [len(part) for part in parts[0]] == [7, 3]
    assert sorted([*parts[0][0], *parts[0][1]]) == list(range(10))
    assert [list(part) for part in parts[0]] == [list(part) for part in parts[1]]
    other = random_split(range(100), [100], generator=numgrad.Generator().manual_seed(2))[0]
    assert list(other) != list(range(100))


@pytest.mark.parametrize(
    ("total", "fractions", "lengths"),
    [
        (10, [0.33, 0.33, 0.34], [4, 3, 3]),
        (3, [0.1] * 3 + [0.7], [1, 0, 0, 2]),
        (7, [1.0], [7]),
        (101, [0.5, 0.5], [51, 50]),
    ],
)
@pytest.mark.filterwarnings("ignore:random_split. the part at position")
def test_random_split_by_fractions_deals_out_the_rest(total, fractions, lengths):
    assert [len(part) for part in random_split(range(total), fractions)] == lengths


def test_random_split_warns_of_an_empty_part():
    with pytest.warns(UserWarning, match="position 1 has no samples"):
        random_split(range(1), [0.5, 0.5])


@pytest.mark.parametrize("lengths", [[3, 3], [0.5, 0.6], [0.5, 0.4], [4, 7]])
def test_random_split_refuses_what_does_not_add_up(lengths):
    with pytest.raises(ValueError, match="the dataset has 10 samples"):
        random_split(range(10), lengths)


def test_random_split_refuses_fractions_out_of_range():
    with pytest.raises(ValueError, match="position 0 is not between 0 and 1"):
        random_split(range(10), [1.5, -0.5])
