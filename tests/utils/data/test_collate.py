"""default_collate and default_convert: every kind of sample, and the refusals."""

import collections

import numpy as np
import pytest

import numgrad
from numgrad.utils.data import default_collate, default_convert

Point = collections.namedtuple("Point", "x y")


def test_tensors_are_stacked():
    batch = default_collate([numgrad.arange(3.0), numgrad.ones(3)])
    assert batch.dtype == numgrad.float32
    assert batch.tolist() == [[0, 1, 2], [1, 1, 1]]


def test_stacking_keeps_gradients():
    leaf = numgrad.ones(3, requires_grad=True)
    default_collate([leaf, leaf * 2]).sum().backward()
    assert leaf.grad.tolist() == [3, 3, 3]


@pytest.mark.parametrize(
    ("samples", "dtype", "values"),
    [
        ([1, 2], numgrad.int64, [1, 2]),
        ([1.0, 2], numgrad.float64, [1, 2]),
        ([True, False], numgrad.bool, [True, False]),
        ([np.float32(1), np.float32(2)], numgrad.float32, [1, 2]),
        ([np.int64(1), np.int64(2)], numgrad.int64, [1, 2]),
        ([np.zeros(2), np.ones(2)], numgrad.float64, [[0, 0], [1, 1]]),
        ([np.uint8([[1]]), np.uint8([[2]])], numgrad.uint8, [[[1]], [[2]]]),
        ([np.float32([1]), np.int32([2])], numgrad.float32, [[1], [2]]),
        ([numgrad.tensor(3), numgrad.tensor(4)], numgrad.int64, [3, 4]),
    ],
)
def test_numbers_and_arrays_become_tensors(samples, dtype, values):
    batch = default_collate(samples)
    assert isinstance(batch, numgrad.Tensor)
    assert batch.dtype == dtype
    assert batch.tolist() == values


def test_containers_are_collated_entry_by_entry():
    batch = default_collate([{"a": 1, "b": (2, "x")}, {"a": 3, "b": (5, "y")}])
    assert batch["a"].tolist() == [1, 3]
    assert isinstance(batch["b"], list)
    assert batch["b"][0].tolist() == [2, 5]
    assert batch["b"][1] == ("x", "y")
    assert default_collate(["a", b"c"]) == ["a", b"c"]


def test_container_types_survive():
    point = default_collate([Point(1, "a"), Point(2, "b")])
    assert type(point) is Point
    assert point.x.tolist() == [1, 2]
    ordered = default_collate([collections.OrderedDict(a=1)] * 2)
    assert type(ordered) is collections.OrderedDict
    counts = default_collate([collections.defaultdict(int, a=1)] * 2)
    assert counts.default_factory is int
    assert [column.tolist() for column in default_collate([[1, 2], [3, 4]])] == [[1, 3], [2, 4]]


def test_collating_leaves_the_samples_alone():
    samples = [{"a": 1}, {"a": 2}]
    default_collate(samples)
    assert samples == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("sample", [None, object(), {1}, np.array(["text"]), np.array("text")])
def test_unknown_samples_are_refused(sample):
    with pytest.raises(TypeError, match="must contain tensors, numpy arrays, numbers, dicts or lists; found"):
        default_collate([sample, sample])


@pytest.mark.parametrize("kind", [numgrad.zeros, np.zeros])
def test_unequal_shapes_are_refused_by_name(kind):
    with pytest.raises(RuntimeError, match=r"\[2\] at entry 0 and \[3\] at entry 1"):
        default_collate([kind(2), kind(3)])


def test_unequal_lengths_and_keys_are_refused():
    with pytest.raises(RuntimeError, match="equal size"):
        default_collate([[1, 2], [1]])
    with pytest.raises(KeyError):
        default_collate([{"a": 1}, {"b": 1}])


def test_convert():
    data = default_convert({"a": np.zeros(2), "b": [1, np.float32(3)], "c": (1, "x"), "d": np.array("text")})
    assert data["a"].dtype == numgrad.float64
    assert data["b"][0] == 1
    assert data["b"][1].dtype == numgrad.float32
    assert data["c"] == [1, "x"]
    assert isinstance(data["d"], np.ndarray)
    tensor = numgrad.ones(1)
    assert default_convert(tensor) is tensor
    assert type(default_convert(Point(np.zeros(1), 2))) is Point
    assert default_convert("text") == "text"
