"""What stands between the brackets: views, copies, masks, assignment, and what the tape makes of it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import numgrad as ng

Key = Any


def cube() -> Any:
    return ng.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize("key", [
    0, -1, slice(1, None), slice(None, None, 2), None, ..., (0, 1), (..., 0), (0, ..., -1), (slice(None), 1), (None, 0, ..., None), (),
    (slice(None), slice(5, 1)), np.int64(1), (0, slice(-100, 100)), [0, 1, 1], (slice(None), [2, 0]), ([0, 1], [1, 2], [3, 0]),
    ([[0], [1]], [2, 1]), ([0, 1], slice(None), [0, 2]), (slice(None), [0, 2], [1, 3]), ([0, 1], None, slice(None), [0, 2]),
    (slice(1), [0, 2]), ([True, False],), (slice(None), np.array([True, False, True])), (..., [0, -1]), True, False, (0, [0, 1], slice(None)),
])  # fmt: skip
def test_like_numpy(key: Key) -> None:
    data = np.arange(24.0).reshape(2, 3, 4)
    expected = data[key]
    found = cube()[key]
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found.numpy(), expected)
    target = cube()
    target[key] = -1.0
    data[key] = -1.0
    np.testing.assert_array_equal(target.numpy(), data)


def test_an_int_is_taken_before_index_tensors() -> None:
    # NumPy would move the indexed dimension to the front: (2, 3)
    assert cube()[0, :, [0, 2]].shape == (3, 2)
    assert cube()[ng.tensor([0, 1]), :, 0].shape == (2, 3)
    assert cube()[:, 0, ng.tensor([0, 2])].shape == (2, 2)


def test_scalar_index_tensors_are_views() -> None:
    x = cube()
    part = x[0, :, ng.tensor(1)]
    part.zero_()
    assert x[0, :, 1].tolist() == [0, 0, 0]
    assert x[ng.tensor(1) : ng.tensor(2)].shape == (1, 3, 4)


def test_tensors_as_numbers_are_read_at_each_call() -> None:
    """A call worked out for one number must not serve another: the tensors are of one kind, their values differ."""
    x, at = ng.arange(6), ng.tensor(0)
    for k in range(5):
        a, b = ng.tensor(k), ng.tensor(k + 1)
        at.fill_(k)
        assert x[a:b].tolist() == [k] == x[at:][:1].tolist() and x[:a].tolist() == list(range(k)) and x[a] == k == x[at]
        assert x.view(2, 3)[0, a:].tolist() == list(range(k, 3)) == x.view(2, 3)[(0, slice(at, None))].tolist()
        assert x.expand((at + 1, 6)).shape == (k + 1, 6) == x.expand(size=(at + 1, 6)).shape and x.narrow(0, at, 1).tolist() == [k]
        assert x.roll((at,), (0,)).tolist() == [(i - k) % 6 for i in range(6)] and x[: b + 1 : b].tolist() == [0, k + 1]
        y = x.clone()
        y[a:b] = 9
        assert y.tolist() == [9 if i == k else i for i in range(6)]


def test_views_share_memory_and_copies_do_not() -> None:
    x = cube()
    for key in (0, slice(1), None, ..., (0, slice(None), 1)):
        assert x[key].data_ptr() == x.data_ptr() or key == (0, slice(None), 1)
        assert np.shares_memory(x[key].numpy(), x.numpy())
    for key in ([0], True, x > 3):
        assert not np.shares_memory(x[key].numpy(), x.numpy())


def test_masks() -> None:
    x = cube()
    mask = x > 20
    assert x[mask].tolist() == [21, 22, 23]
    assert x[:, mask[0]].shape == (2, 0)
    assert x[mask.any(2)].shape == (1, 4)
    x[mask] = ng.tensor([1.0, 2.0, 3.0])
    assert x[1, 2].tolist() == [20, 1, 2, 3]
    x[x > 15] = 0
    assert x.max().item() == 15
    x.permute(2, 0, 1)[(x > 10).permute(2, 0, 1)] = ng.tensor([7.0])  # a mask over memory that cannot be flattened
    assert x.max().item() == 10


def test_byte_masks_warn() -> None:
    with pytest.warns(UserWarning, match="uint8 is deprecated"):
        assert ng.tensor([1.0, 2.0])[ng.tensor([0, 1], dtype=ng.uint8)].tolist() == [2.0]


def test_a_list_of_lists_is_a_tuple() -> None:
    with pytest.warns(UserWarning, match="non-tuple sequence"):
        assert cube()[[[0, 1], [1, 0]]].shape == (2, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cube()[:, [[0, 1], [1, 0]]].shape == (2, 2, 2, 4)


def test_ranges_arrays_and_tensors_in_lists() -> None:
    x = cube()
    assert x[range(2)].shape == (2, 3, 4)
    assert x[:, [ng.tensor(1), ng.tensor(0)]].shape == (2, 2, 4)
    assert x[np.array([1, 0], np.int32)].tolist() == x.flip(0).tolist()
    assert x[[]].shape == (0, 3, 4)


@pytest.mark.parametrize(("key", "error", "message"), [
    (2, IndexError, "index 2 is out of bounds for dimension 0 with size 2"),
    ((0, -4), IndexError, "index -4 is out of bounds for dimension 1 with size 3"),
    ((0, 0, 0, 0), IndexError, "too many indices for tensor of dimension 3"),
    ((slice(None),) * 4, IndexError, "too many indices"),
    (slice(None, None, -1), ValueError, "step must be greater than zero"),
    (slice(None, None, 0), ValueError, "slice step cannot be zero"),
    (slice(1.0, None), TypeError, "slice indices must be integers"),
    (1.5, IndexError, "only integers, slices"),
    ({}, IndexError, "only integers, slices"),
    ((slice(None), [3]), IndexError, "index 3 is out of bounds for dimension 1 with size 3"),
    (np.array([0.0]), IndexError, "must be long, int, byte or bool"),
    (np.array([0], np.int16), IndexError, "must be long, int, byte or bool"),
    (np.ones((2, 2), bool), IndexError, r"shape of the mask \[2, 2\] at index 1"),
    (([0, 1], [0, 1, 2]), IndexError, r"could not be broadcast together with shapes \[2\], \[3\]"),
])  # fmt: skip
def test_bad_keys(key: Key, error: type[Exception], message: str) -> None:
    x = cube()
    with pytest.raises(error, match=message):
        x[key]
    with pytest.raises(error, match=message):
        x[key] = 0


def test_bad_values() -> None:
    x = cube()
    for value in ([1, 2], np.ones(4), None, "1"):
        with pytest.raises(TypeError, match="can't assign a"):
            x[0] = value
    with pytest.raises(RuntimeError, match=r"shape mismatch: value tensor of shape \[5\]"):
        x[[0, 1]] = ng.ones(5)
    with pytest.raises(RuntimeError, match="shape"):
        x[0] = ng.ones(5)
    with pytest.raises(RuntimeError, match="dtypes match, got Float for the destination and Double"):
        x[[0]] = ng.ones(4, dtype=ng.float64)
    with pytest.raises(RuntimeError, match="without overflow"):
        ng.zeros(3, dtype=ng.int64)[0:] = float("inf")
    with pytest.raises(IndexError, match="0-dim"):
        ng.tensor(1.0)[0]
    with pytest.raises(RuntimeError, match="single memory location"):
        ng.zeros(1).expand(3)[:] = 1


def test_values_are_cast_where_torch_casts_them() -> None:
    x = ng.zeros(3, dtype=ng.int64)
    x[0] = 1.9
    x[1:] = ng.tensor([2.9, -2.9])
    assert x.tolist() == [1, 2, -2]
    y = ng.zeros(2, 2)
    y[0] = ng.ones(1, 1, 2)
    y[[1]] = ng.full((1, 1, 2), 2.0)
    assert y.tolist() == [[1, 1], [2, 2]]


def test_overlapping_memory_is_read_before_it_is_written() -> None:
    x = ng.arange(6)
    x[1:] = x[:-1]
    assert x.tolist() == [0, 0, 1, 2, 3, 4]
    x[ng.tensor([0, 1])] = x[4:]
    assert x.tolist() == [3, 4, 1, 2, 3, 4]


def test_repeated_indices() -> None:
    x = ng.zeros(3)
    x[[1, 1, 1]] = ng.tensor([1.0, 2.0, 3.0])
    assert x.tolist() == [0, 3, 0]  # the last wins
    x[[0, 0]] += 1
    assert x.tolist() == [1, 3, 0]
    x.index_put_((ng.tensor([2, 2, 0]),), ng.tensor([1.0, 2.0, 3.0]), accumulate=True)
    assert x.tolist() == [4, 3, 3]


# --- gradients ------------------------------------------------------------------------------------------------------


def test_gradients_of_reading() -> None:
    x = ng.arange(4.0).requires_grad_()
    (x[[0, 0, 3]] * ng.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert x.grad.tolist() == [3, 0, 0, 3]
    x.grad = None
    (x[1:3] ** 2).sum().backward()
    assert x.grad.tolist() == [0, 2, 4, 0]
    x.grad = None
    x[x > 1.5].prod().backward()
    assert x.grad.tolist() == [0, 0, 3, 2]


def test_gradients_of_writing() -> None:
    x = ng.ones(2, 3).requires_grad_()
    v = ng.tensor([5.0, 6.0]).requires_grad_()
    y = x * 2
    y[0] = 0
    y[1, :2] = v
    y[:, 2] *= 3
    (y * ng.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])).sum().backward()
    assert x.grad.tolist() == [[0, 0, 0], [0, 0, 36]]
    assert v.grad.tolist() == [4, 5]


def test_only_the_value_that_stays_gets_a_gradient() -> None:
    v = ng.tensor([1.0, 2.0, 3.0]).requires_grad_()
    y = ng.zeros(3)
    y[[1, 1, 0]] = v
    assert y.tolist() == [3, 2, 0]
    y.backward(ng.tensor([10.0, 20.0, 30.0]))
    assert v.grad.tolist() == [0, 20, 10]


def test_writing_through_a_view_reaches_its_base() -> None:
    x = ng.ones(2, 2).requires_grad_()
    y = x * 1
    row = y[0]
    row[[0]] = 5
    row[1] += 1
    assert y.tolist() == [[5, 2], [1, 1]]
    (y * y).sum().backward()
    assert x.grad.tolist() == [[0, 4], [2, 2]]


def test_leaves_may_not_be_overwritten() -> None:
    x = ng.ones(3).requires_grad_()
    for key in (0, [0], x.detach() > 0):
        with pytest.raises(RuntimeError, match="leaf Variable"):
            x[key] = 1
    with ng.no_grad():
        x[0] = 7
    assert x.tolist() == [7, 1, 1] and x.is_leaf


def test_what_was_saved_for_backward_is_guarded() -> None:
    x = ng.ones(3).requires_grad_()
    y = x.exp()
    z = (y * y).sum()
    y[0] = 0
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.backward()


@pytest.mark.parametrize("count", [255, 256, 257, 1000, 5000])
def test_masks_of_many_true_elements(count: int) -> None:
    x = np.arange(6000.0)
    mask = x < count
    tensor, chosen = ng.from_numpy(x), ng.from_numpy(mask)
    np.testing.assert_array_equal(tensor[chosen].numpy(), x[mask])
    np.testing.assert_array_equal(chosen.nonzero().numpy(), np.argwhere(mask))
