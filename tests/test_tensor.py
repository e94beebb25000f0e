"""Tensors as Python objects: what they print, how they meet NumPy, pickle and Python's own operators."""

import copy
import pickle

import numpy as np
import pytest

import numgrad as ng


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: ng.tensor([1.0, 2, 3]), "tensor([1., 2., 3.])"),
        (lambda: ng.tensor([0.5, 100]), "tensor([  0.5000, 100.0000])"),
        (lambda: ng.tensor([1e-5, 1.0]), "tensor([1.0000e-05, 1.0000e+00])"),
        (lambda: ng.tensor(3), "tensor(3)"),
        (lambda: ng.tensor([[1, 20], [3, 4]]), "tensor([[ 1, 20],\n        [ 3,  4]])"),
        (lambda: ng.tensor([True, False]), "tensor([ True, False])"),
        (lambda: ng.tensor([1.0], dtype=ng.float64), "tensor([1.], dtype=numgrad.float64)"),
        (lambda: ng.zeros(0), "tensor([])"),
        (lambda: ng.zeros(2, 0), "tensor([], size=(2, 0))"),
        (lambda: ng.tensor([float("nan"), float("inf"), -1.0]), "tensor([nan, inf, -1.])"),
        (lambda: ng.ones(2, requires_grad=True), "tensor([1., 1.], requires_grad=True)"),
        (lambda: ng.ones(2, requires_grad=True).exp(), "tensor([2.7183, 2.7183], grad_fn=<ExpBackward0>)"),
        (lambda: ng.arange(2000), "tensor([   0,    1,    2,  ..., 1997, 1998, 1999])"),
    ],
)
def test_repr(make, text):
    assert repr(make()) == text


def test_numpy_shares_memory_both_ways():
    array = np.arange(6.0).reshape(2, 3)
    tensor = ng.from_numpy(array)
    tensor[0, 0] = 9
    array[1, 2] = -1
    assert array[0, 0] == 9 and tensor[1, 2].item() == -1 and tensor.numpy() is array
    transposed = ng.from_numpy(array.T)
    assert transposed.stride() == (1, 3) and not transposed.is_contiguous()


def test_what_from_numpy_refuses():
    with pytest.raises(ValueError, match="negative"):
        ng.from_numpy(np.arange(3)[::-1])
    with pytest.raises(TypeError, match="complex128"):
        ng.from_numpy(np.zeros(2, complex))
    with pytest.raises(TypeError, match="expected np.ndarray"):
        ng.from_numpy([1, 2])
    frozen = np.ones(2)
    frozen.setflags(write=False)
    with pytest.raises(RuntimeError, match="read-only"):
        ng.from_numpy(frozen).add_(1)
    assert (ng.from_numpy(frozen) + 1).tolist() == [2, 2]


def test_arrays_on_the_left():
    x = ng.ones(3, requires_grad=True)
    y = np.full(3, 2.0, np.float32) * x + np.ones(3, np.float32)
    assert isinstance(y, ng.Tensor) and y.tolist() == [3, 3, 3] and y.requires_grad
    assert isinstance(np.float32(2) * x, ng.Tensor) and isinstance(2 - x, ng.Tensor)
    assert np.exp(x).tolist() == x.exp().tolist()
    total = np.zeros(3)
    total += ng.ones(3)
    assert isinstance(total, np.ndarray) and total.tolist() == [1, 1, 1]
    with pytest.raises(TypeError, match="no counterpart"):
        np.spacing(x)


def test_numpy_functions_take_tensors():
    assert np.asarray(ng.ones(2)).tolist() == [1, 1] and np.stack([ng.ones(2), ng.zeros(2)]).shape == (2, 2)
    with pytest.raises(RuntimeError, match="detach"):
        np.asarray(ng.ones(2, requires_grad=True))


def test_dlpack():
    array = np.arange(3.0)
    tensor = ng.from_dlpack(array)
    assert np.from_dlpack(tensor).tolist() == [0, 1, 2] and ng.from_dlpack(tensor).tolist() == [0, 1, 2]


def test_pickle_and_deepcopy():
    x = ng.tensor([1.0, 2], requires_grad=True)
    (x * x).sum().backward()
    x.note = "kept"
    for again in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        assert again.tolist() == [1, 2] and again.requires_grad and again.is_leaf and again.grad.tolist() == [2, 4] and again.note == "kept"
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(x * 2)
    shared = copy.deepcopy([x, x])
    assert shared[0] is shared[1]


def test_python_protocols():
    assert float(ng.tensor(2.5)) == 2.5 and int(ng.tensor(3)) == 3 and [10, 20, 30][ng.tensor(1)] == 20
    assert list(range(5))[ng.tensor(1) : ng.tensor(3)] == [1, 2] and f"{ng.tensor(3.14159):.2f}" == "3.14"
    assert len(ng.zeros(4, 2)) == 4 and [row.tolist() for row in ng.eye(2)] == [[1, 0], [0, 1]] and 2 in ng.arange(3)
    assert bool(ng.tensor([1])) and not ng.tensor(0.0)
    with pytest.raises(RuntimeError, match="ambiguous"):
        bool(ng.ones(2))
    with pytest.raises(TypeError, match="0-d"):
        len(ng.tensor(1))
    with pytest.raises(TypeError, match="index"):
        [1, 2][ng.tensor(1.0)]
    with pytest.raises(RuntimeError, match="Scalar"):
        ng.ones(2).item()
    assert (ng.ones(2) == None) is False and len({ng.ones(1), ng.ones(1)}) == 2  # noqa: E711
    with pytest.raises(TypeError):
        ng.ones(2) + "a"


def test_conversions_and_new_tensors():
    x = ng.tensor([0.0, 1.5])
    assert x.long().tolist() == [0, 1] and x.bool().tolist() == [False, True] and x.double().dtype is ng.float64
    assert x.type() == "numgrad.FloatTensor" and x.type(ng.DoubleTensor).dtype is ng.float64 and x.type_as(ng.ones(1, dtype=ng.int8)).dtype is ng.int8
    assert x.to(ng.float32) is x and x.to("cpu") is x and x.to(ng.ones(1, dtype=ng.float64)).dtype is ng.float64 and x.to(ng.float32, copy=True) is not x
    assert x.new_zeros(2, 3).shape == (2, 3) and x.double().new_tensor([1]).dtype is ng.float64 and x.new_full((1,), 7).tolist() == [7]
    assert isinstance(x, ng.FloatTensor) and ng.LongTensor([1, 2]).dtype is ng.int64 and ng.FloatTensor(2, 3).shape == (2, 3)
    for refused in (lambda: x.cuda(), lambda: x.to("cuda")):
        with pytest.raises(RuntimeError, match="CPU"):
            refused()


def test_creation():
    assert ng.tensor([[1, 2], [3, 4]]).dtype is ng.int64 and ng.tensor([1, 2.0]).dtype is ng.float32 and ng.tensor([]).dtype is ng.float32
    assert ng.tensor([ng.tensor(1), ng.tensor(2)]).tolist() == [1, 2]
    assert ng.arange(3).dtype is ng.int64 and ng.arange(0.0, 1.0, 0.25).tolist() == [0, 0.25, 0.5, 0.75] and ng.arange(5, 1, -2).tolist() == [5, 3]
    assert ng.linspace(0, 1, 5).tolist() == [0, 0.25, 0.5, 0.75, 1] and ng.linspace(3, 3, 1).tolist() == [3] and ng.linspace(0, 1, 0).numel() == 0
    assert ng.eye(2, 3).tolist() == [[1, 0, 0], [0, 1, 0]] and ng.eye(3, 0).shape == (3, 0)
    assert ng.full((2,), True).dtype is ng.bool and ng.full((2,), 3).dtype is ng.int64 and ng.full((2,), 3.0).dtype is ng.float32
    assert ng.zeros(2, 3).shape == ng.zeros((2, 3)).shape == ng.zeros(size=(2, 3)).shape == ng.zeros(ng.Size([2, 3])).shape == (2, 3)
    assert ng.zeros(()).shape == () and ng.Tensor(2, 3).shape == (2, 3) and ng.Tensor([1, 2]).dtype is ng.float32
    with pytest.raises(RuntimeError, match="negative dimension"):
        ng.zeros(-1)
    with pytest.raises(ValueError, match="equal length"):
        ng.tensor([[1], [1, 2]])
    with pytest.raises(TypeError, match="dtype"):
        ng.zeros(2, dtype="float32")
    with pytest.raises(RuntimeError, match="step"):
        ng.arange(0, 5, -1)
    with pytest.raises(RuntimeError, match="overflow"):
        ng.tensor([1], dtype=ng.uint8) + 300


def test_shape_attributes():
    x = ng.zeros(2, 3, 4)
    assert x.shape == (2, 3, 4) == x.size() and x.size(-1) == 4 and x.dim() == x.ndim == 3 and x.numel() == 24 and x.stride() == (12, 4, 1)
    assert x.shape.numel() == 24 and repr(x.shape) == "numgrad.Size([2, 3, 4])" and isinstance(x.shape[1:], ng.Size) and x.T.shape == (4, 3, 2)
    with pytest.raises(IndexError, match="out of range"):
        x.size(3)


def test_overlapping_operands_are_read_before_they_are_overwritten():
    x = ng.arange(0.0, 6.0)
    x[1:].add_(x[:-1])
    assert x.tolist() == [0, 1, 3, 5, 7, 9]
    square = ng.arange(0.0, 4.0).reshape(2, 2)
    square.add_(square.T)
    assert square.tolist() == [[0, 3], [3, 6]]


def test_arrays_of_numpy_are_operands_of_any_shape():
    x, row, column = np.arange(20.0).reshape(5, 4), np.arange(4.0), np.arange(5.0)[:, None]
    for other in (row, column, x, row):
        np.testing.assert_array_equal((ng.tensor(x) + other).numpy(), x + other)


@pytest.mark.interpreted
def test_numpy_s_functions_take_numbers_where_ours_do_not() -> None:
    x = ng.tensor([3.0, 4.0], dtype=ng.float64, requires_grad=True)
    y = np.hypot(x, 0.1)
    np.testing.assert_allclose(y.detach(), np.hypot([3.0, 4.0], 0.1), rtol=4e-16)
    y.sum().backward()
    assert y.dtype == ng.float64 and x.grad is not None
    assert np.maximum(ng.ones(2), 2).dtype == ng.float32 and np.arctan2(1.0, ng.ones(2)).dtype == ng.float32
    with pytest.raises(TypeError, match="must be Tensor"):
        ng.hypot(x, 0.1)
