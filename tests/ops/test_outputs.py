"""`out=`: results written over tensors given for them."""

import numpy as np
import pytest

import numgrad
from numgrad import tensor


def test_functions_of_all_kinds_write_over_out():
    a, b = tensor([[1.0, 2.0], [3.0, 4.0]]), tensor([[0.5, 0.0], [1.0, 2.0]])
    for call, wanted in [
        (lambda out: numgrad.add(a, b, alpha=2, out=out), [[2.0, 2.0], [5.0, 8.0]]),
        (lambda out: numgrad.mul(a, b, out=out), [[0.5, 0.0], [3.0, 8.0]]),
        (lambda out: numgrad.maximum(a, b, out=out), [[1.0, 2.0], [3.0, 4.0]]),
        (lambda out: numgrad.matmul(a, b, out=out), [[2.5, 4.0], [5.5, 8.0]]),
        (lambda out: numgrad.cat([a[:1], b[:1]], out=out), [[1.0, 2.0], [0.5, 0.0]]),
        (lambda out: numgrad.ones(2, 2, out=out), [[1.0, 1.0], [1.0, 1.0]]),
        (lambda out: numgrad.clamp(a, max=2.5, out=out), [[1.0, 2.0], [2.5, 2.5]]),
    ]:
        out = numgrad.full((2, 2), 9.0)
        data = out.numpy()
        for _ in range(2):  # also once the call is known
            assert call(out) is out and data.tolist() == wanted
            out.fill_(9.0)
        assert call(None).tolist() == wanted and out.tolist() == [[9.0, 9.0], [9.0, 9.0]]


def test_out_among_the_arguments():
    a = tensor([[1.0, 2.0], [3.0, 4.0]])
    numgrad.matmul(a, a, out=a)
    assert a.tolist() == [[7.0, 10.0], [15.0, 22.0]]


def test_several_results():
    values, indices = numgrad.empty(0), numgrad.empty(0, dtype=numgrad.int64)
    found = numgrad.max(tensor([[1.0, 5.0], [7.0, 2.0]]), 1, out=(values, indices))
    assert found.values is values and values.tolist() == [5.0, 7.0] and indices.tolist() == [1, 0]
    with pytest.raises(TypeError, match="tuple of 2 Tensors"):
        numgrad.max(tensor([[1.0]]), 1, out=values)


def test_dtypes_and_shapes():
    out = numgrad.empty(0, dtype=numgrad.float64)
    assert numgrad.sum(tensor([0.1, 0.2, 0.3]), 0, out=out).dtype is numgrad.float64
    assert out.item() == np.float64(np.array([0.1, 0.2, 0.3], np.float32).astype(np.float64).sum())
    assert numgrad.arange(3, out=numgrad.empty(0)).tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(RuntimeError, match="can't be cast"):
        numgrad.div(tensor([1.0]), 2, out=numgrad.zeros(1, dtype=numgrad.int64))
    with pytest.warns(UserWarning, match="was resized"):
        assert numgrad.exp(numgrad.zeros(3), out=numgrad.ones(2)).tolist() == [1.0, 1.0, 1.0]


def test_refusals():
    leaf = numgrad.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="automatic differentiation"):
        numgrad.exp(leaf, out=numgrad.zeros(2))
    with numgrad.no_grad():
        assert numgrad.log(leaf, out=numgrad.ones(2)).tolist() == [0.0, 0.0]
    with pytest.raises(TypeError, match="must be Tensor"):
        numgrad.exp(numgrad.zeros(2), out=np.zeros(2))
    with pytest.raises(TypeError, match="unexpected keyword"):
        numgrad.nn.functional.gelu(numgrad.zeros(2), out=numgrad.zeros(2))
    with pytest.raises(TypeError, match="unexpected keyword"):
        numgrad.zeros(2).add_(1, out=numgrad.zeros(2))
