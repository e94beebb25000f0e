"""Distances, similarities, one-hot vectors."""

import numpy as np
import pytest

import numgrad
from numgrad import nn
from numgrad.nn import functional as F

rng = np.random.default_rng(0)
A, B = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))


@pytest.mark.parametrize("p", [1, 2, 3.5, np.inf])
def test_pairwise_distance(p):
    found = nn.PairwiseDistance(p)(numgrad.tensor(A), numgrad.tensor(B))
    np.testing.assert_allclose(found.numpy(), np.linalg.norm(A - B + 1e-6, p, axis=1))
    kept = F.pairwise_distance(numgrad.tensor(A), numgrad.tensor(B[0]), p, eps=0.5, keepdim=True)
    np.testing.assert_allclose(kept.numpy(), np.linalg.norm(A - B[0] + 0.5, p, axis=1, keepdims=True))


def test_cosine_similarity():
    found = nn.CosineSimilarity()(numgrad.tensor(A), numgrad.tensor(B))
    expected = (A * B).sum(1) / np.linalg.norm(A, axis=1) / np.linalg.norm(B, axis=1)
    np.testing.assert_allclose(found.numpy(), expected)
    columns = F.cosine_similarity(numgrad.tensor(A), numgrad.tensor(A[:, :1]), dim=0)
    assert columns[0].item() == pytest.approx(1)
    zero = numgrad.zeros(1, 4, requires_grad=True)
    similarity = F.cosine_similarity(zero, numgrad.ones(1, 4))
    similarity.backward()
    assert similarity.item() == 0 and zero.grad.isfinite().all()


def test_normalize():
    np.testing.assert_allclose(F.normalize(numgrad.tensor(A)).norm(dim=1).numpy(), np.ones(3))
    np.testing.assert_allclose(F.normalize(numgrad.tensor(A), p=1, dim=0).abs().sum(0).numpy(), np.ones(4))
    assert F.normalize(numgrad.zeros(1, 3)).tolist() == [[0, 0, 0]]
    out = numgrad.empty(3, 4, dtype=numgrad.float64)
    assert F.normalize(numgrad.tensor(A), out=out) is out


def test_one_hot():
    found = F.one_hot(numgrad.tensor([[0, 2], [1, 0]]))
    assert found.tolist() == [[[1, 0, 0], [0, 0, 1]], [[0, 1, 0], [1, 0, 0]]] and found.dtype == numgrad.int64
    assert F.one_hot(numgrad.tensor(1), 3).tolist() == [0, 1, 0]
    empty = numgrad.zeros(0, 2, dtype=numgrad.int64)
    assert tuple(F.one_hot(empty, 3).shape) == (0, 2, 3)
    for call in (lambda: F.one_hot(numgrad.tensor([-1])), lambda: F.one_hot(numgrad.tensor([3]), 3),
                 lambda: F.one_hot(numgrad.tensor([0.5])), lambda: F.one_hot(empty),
                 lambda: F.one_hot(numgrad.tensor([0]), 0)):  # fmt: skip
        with pytest.raises(RuntimeError):
            call()
