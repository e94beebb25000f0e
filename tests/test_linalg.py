"""Linear algebra against NumPy, and gradients of factorisations in combinations that are unique."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad
from numgrad import Tensor, linalg
from numgrad.testing import gradcheck, gradgradcheck

#: Written in operations that are tested with real kernels by themselves.
pytestmark = pytest.mark.interpreted

def drawn(*shape: int, seed: int = 0) -> Tensor:
    return numgrad.from_numpy(np.random.default_rng(seed).normal(size=shape))


def definite(a: Tensor) -> Tensor:
    return a @ a.mT + numgrad.eye(a.shape[-1], dtype=a.dtype)


TALL, WIDE, SQUARE = (4, 3), (3, 4), (3, 3)

#: functions of a matrix that do not depend on the signs of singular vectors
UNIQUE: dict[str, tuple[Callable[[Tensor], Any], tuple[int, ...]]] = {
    "cholesky": (lambda a: linalg.cholesky(definite(a)), SQUARE),
    "cholesky, upper": (lambda a: linalg.cholesky(definite(a), upper=True), SQUARE),
    "eigh": (lambda a: [linalg.eigh(a + a.mT)[0], linalg.eigh(a + a.mT)[1] ** 2], SQUARE),
    "qr": (lambda a: list(linalg.qr(a)), TALL),
    "qr, wide": (lambda a: list(linalg.qr(a)), WIDE),
    "svd": (lambda a: [f(x) for f, x in zip((numgrad.square, numgrad.exp, numgrad.square), linalg.svd(a, full_matrices=False))], TALL),
    "svd, wide": (lambda a: linalg.svd(a)[0] @ linalg.svd(a)[2][:3], WIDE),
    "det, singular": (lambda a: numgrad.det(a @ a.mT), TALL[:1] + (2,)),
    "lstsq": (lambda a: linalg.lstsq(a, drawn(a.shape[0], 2, seed=1)).solution, TALL),
    "lstsq, wide": (lambda a: linalg.lstsq(a, drawn(a.shape[0], seed=1)).solution, WIDE),
    "norms": (lambda a: [linalg.matrix_norm(a, p) for p in ("nuc", 2, -2, 1, -1, float("inf"))], TALL),
    "power": (lambda a: linalg.matrix_power(definite(a), -2), SQUARE),
    "cdist": (lambda a: numgrad.cdist(a, drawn(2, 3, seed=1), compute_mode="use_mm_for_euclid_dist"), TALL),
    "trapezoid": (lambda a: numgrad.trapezoid(a, dx=0.5, dim=0), TALL),
    "lu": (lambda a: list(linalg.lu(a)[1:]), SQUARE),
    "lu_solve": (lambda a: linalg.lu_solve(*linalg.lu_factor(a), drawn(2, 3, seed=1), left=False), SQUARE),
    "householder_product": (lambda a: linalg.householder_product(a, drawn(3, seed=1)), TALL),
    "right": (lambda a: linalg.solve(definite(a), drawn(2, 3, seed=1), left=False), SQUARE),
}


@pytest.mark.parametrize("name", UNIQUE)
def test_gradients(name: str) -> None:
    function, shape = UNIQUE[name]
    a = drawn(*shape).requires_grad_()
    assert gradcheck(lambda a: tuple(f) if isinstance(f := function(a), list) else f, (a,))
    if name in ("cholesky", "eigh", "qr, wide", "svd"):
        assert gradgradcheck(lambda a: tuple(f) if isinstance(f := function(a), list) else f, (a,))


@pytest.mark.parametrize("shape", [TALL, WIDE, (2, *SQUARE), (0, 3, 3)])
def test_lu_makes_the_matrix(shape: tuple[int, ...]) -> None:
    a = drawn(*shape)
    p, lower, upper = linalg.lu(a)
    np.testing.assert_allclose((p @ lower @ upper).numpy(), a.numpy(), atol=1e-12)
    assert float(lower.abs().sum()) == 0 or float(lower.abs().max()) == 1
    if shape[-1] == shape[-2]:
        b, factors = drawn(3, 2, seed=1), linalg.lu_factor(a)
        np.testing.assert_allclose((a @ linalg.lu_solve(*factors, b)).numpy(), np.broadcast_to(b.numpy(), (*shape[:-1], 2)), atol=1e-12)
        np.testing.assert_allclose((a.mT @ linalg.lu_solve(*factors, b, adjoint=True)).numpy(), np.broadcast_to(b.numpy(), (*shape[:-1], 2)), atol=1e-12)
        assert linalg.lu_factor_ex(numgrad.zeros(2, 2)).info.item() == 1


@pytest.mark.parametrize("shape", [TALL, WIDE, (2, *TALL), (0, 3, 3)])
def test_factors_make_the_matrix(shape: tuple[int, ...]) -> None:
    a = drawn(*shape)
    q, r = linalg.qr(a)
    assert np.allclose((q @ r).numpy(), a.numpy()) and np.allclose(r.numpy(), np.triu(r.numpy()))
    u, s, vh = linalg.svd(a)
    k = s.shape[-1]
    assert np.allclose((u[..., :k] * s.unsqueeze(-2) @ vh[..., :k, :]).numpy(), a.numpy())
    for basis in (u, vh, linalg.qr(a, "complete")[0]):
        assert basis.shape[-1] == basis.shape[-2]
        assert np.allclose((basis @ basis.mT).numpy(), np.eye(basis.shape[-1]))
    u, s, v = numgrad.svd(a)
    assert np.allclose((u * s.unsqueeze(-2) @ v.mT).numpy(), a.numpy())


def test_values_against_numpy() -> None:
    a, b = drawn(3, 3), drawn(3, 3, seed=1)
    n, m = a.numpy(), b.numpy()
    for p in ("fro", "nuc", 2, -2, 1, -1, np.inf, -np.inf):
        assert np.isclose(linalg.norm(a, p).item(), np.linalg.norm(n, p))
        assert linalg.matrix_norm(a, p, keepdim=True).shape == (1, 1)
    assert np.allclose(linalg.cross(a, b).numpy(), np.cross(n, m))
    assert np.allclose(linalg.multi_dot([a, b, a[:, 0]]).numpy(), np.linalg.multi_dot([n, m, n[:, 0]]))
    assert np.allclose(linalg.matrix_power(a, 5).numpy(), np.linalg.matrix_power(n, 5))
    assert np.allclose(numgrad.cdist(a, b, 1).numpy(), np.abs(n[:, None] - m[None]).sum(-1))
    assert np.isclose(linalg.cond(a).item(), np.linalg.cond(n))
    assert np.isclose(linalg.cond(a, 1).item(), np.linalg.cond(n, 1))
    assert numgrad.trapezoid(numgrad.tensor([1.0, 5, 10]), numgrad.tensor([0.0, 1, 3])).item() == 18
    assert linalg.matrix_rank(numgrad.tensor([[1.0, 2], [2, 4]])).item() == 1
    d = numgrad.diag_embed(numgrad.tensor([[8.0, 4, 2], [8, 2, 0.5]]))
    for limits, kept in (({"atol": 3.0}, [2, 1]), ({"rtol": 0.3}, [2, 1]), ({"rtol": numgrad.tensor([0.1, 0.3])}, [3, 1]),
                         ({"atol": numgrad.tensor([5.0, 1.0]), "rtol": 0.3}, [1, 1]), ({"atol": numgrad.tensor([0.0, 1.0])}, [3, 2])):  # fmt: skip
        assert linalg.matrix_rank(d, **limits).tolist() == kept == (linalg.pinv(d, **limits) != 0).sum((-2, -1)).tolist()
    assert linalg.pinv(numgrad.tensor([[2.0, 100], [0, 4]]), hermitian=True).tolist() == [[0.5, 0], [0, 0.25]]
    found = linalg.lstsq(numgrad.tensor([[1.0, 2], [2, 4], [3, 6]]), numgrad.tensor([1.0, 2, 3]))
    assert np.allclose(found.solution.numpy(), [0.2, 0.4], atol=1e-6) and found.rank.item() == 1
    assert np.allclose(numgrad.cholesky_solve(b, linalg.cholesky(definite(a))).numpy(), np.linalg.solve(definite(a).numpy(), m))
    lower = numgrad.tensor([[2.0, 100], [1, 4]])  # what lies above the diagonal is not read
    assert linalg.solve_triangular(lower, numgrad.tensor([[2.0], [5]]), upper=False).tolist() == [[1], [1]]


def test_histogram() -> None:
    x = numgrad.tensor([1.0, 2.0, 1.0, 3.0, 5.0])
    found = numgrad.histogram(x, bins=4, range=(0.0, 3.0), weight=numgrad.tensor([1.0, 2.0, 4.0, 8.0, 9.0]))
    assert found.hist.tolist() == [0, 5, 2, 8] and found.bin_edges.tolist() == [0, 0.75, 1.5, 2.25, 3]
    expected = np.histogram(x.numpy(), [0, 1, 4, 6], density=True)[0]
    assert np.allclose(x.histogram(numgrad.tensor([0.0, 1.0, 4.0, 6.0]), density=True).hist.numpy(), expected)
    assert numgrad.cond(x[0] > 2, lambda a: a, lambda a: -a, (x[1],)).item() == -2


def test_determinants() -> None:
    a = numgrad.tensor([[1.0, 2], [3, 4]])
    assert np.isclose(numgrad.det(a).item(), -2) and np.isclose(linalg.slogdet(a).logabsdet.item(), np.log(2))
    assert numgrad.logdet(a).isnan().item() and linalg.slogdet(a).sign.item() == -1
    singular = numgrad.tensor([[1.0, 2], [2, 4]], requires_grad=True)
    numgrad.det(singular).backward()
    assert np.allclose(singular.grad.numpy(), [[4, -2], [-2, 1]], atol=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: linalg.cholesky(numgrad.tensor([[1.0, 2], [2, 1]])), linalg.LinAlgError, "positive-definite"),
        (lambda: linalg.eig(numgrad.eye(2)), NotImplementedError, "complex"),
        (lambda: linalg.solve(numgrad.eye(2), numgrad.ones(3, 1)), RuntimeError, "Incompatible"),
        (lambda: linalg.eigh(numgrad.ones(2, 3)), RuntimeError, "square"),
        (lambda: linalg.qr(numgrad.eye(2), "some"), RuntimeError, "mode"),
        (lambda: linalg.qr(numgrad.ones(3, 2, requires_grad=True), "complete"), RuntimeError, "reduced"),
        (lambda: linalg.matrix_norm(numgrad.eye(2), 3), ValueError, "Order 3"),
        (lambda: linalg.cross(numgrad.ones(2), numgrad.ones(2)), RuntimeError, "length 3"),
        (lambda: numgrad.cdist(numgrad.ones(2, 2), numgrad.ones(2, 3)), RuntimeError, "columns"),
        (lambda: linalg.no_such_name, AttributeError, "no_such_name"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


# --- failures told by numbers ---------------------------------------------------------------------------------------------


@pytest.mark.interpreted
def test_matrices_that_fail_do_not_stop_the_others() -> None:
    good, singular = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[1.0, 1.0], [1.0, 1.0]])
    a = numgrad.from_numpy(np.stack([good, singular])).requires_grad_()
    inverse, info = numgrad.linalg.inv_ex(a)
    np.testing.assert_allclose(inverse[0].detach(), np.linalg.inv(good), rtol=1e-14)
    assert info.tolist() == [0, 2] and info.dtype == numgrad.int32 and bool(inverse[1].isnan().all())
    inverse[0].sum().backward()
    np.testing.assert_allclose(a.grad[0], -np.linalg.inv(good).T @ np.ones((2, 2)) @ np.linalg.inv(good).T, rtol=1e-13)
    assert a.grad[1].tolist() == [[0, 0], [0, 0]]
    b = np.array([[1.0, 2.0], [3.0, 4.0]])
    result, info = numgrad.linalg.solve_ex(a.detach(), numgrad.from_numpy(b))
    np.testing.assert_allclose(result[0], np.linalg.solve(good, b[0]), rtol=1e-14)
    assert info.tolist() == [0, 2] and bool(result[1].isnan().all())
    lower, info = numgrad.linalg.cholesky_ex(numgrad.from_numpy(np.stack([good, [[1.0, 2.0], [2.0, 1.0]], -good])))
    np.testing.assert_allclose(lower[0], np.linalg.cholesky(good), rtol=1e-14)
    assert info.tolist() == [0, 2, 1] and bool(lower[1:].isnan().all())
    assert numgrad.linalg.inv_ex(numgrad.eye(3)).info.item() == 0 and numgrad.linalg.inv_ex(numgrad.zeros(0, 2, 2)).info.shape == (0,)


@pytest.mark.interpreted
@pytest.mark.parametrize(("call", "words"), [
    (lambda x: numgrad.linalg.inv_ex(x, check_errors=True), r"inv_ex: \(Batch element 1\): The diagonal element 2 is zero"),
    (lambda x: numgrad.linalg.solve_ex(x, numgrad.ones(2, 2), check_errors=True), r"Batch element 1.*singular"),
    (lambda x: numgrad.linalg.cholesky_ex(-x[0], check_errors=True), r"cholesky_ex: The factorization .* order 1 is not"),
])  # fmt: skip
def test_failures_are_errors_where_they_are_wanted(call, words: str) -> None:
    with pytest.raises(numgrad.linalg.LinAlgError, match=words):
        call(numgrad.tensor([[[2.0, 1.0], [1.0, 3.0]], [[1.0, 1.0], [1.0, 1.0]]]))


@pytest.mark.interpreted
def test_tensorsolve() -> None:
    r = np.random.default_rng(0)
    a, b = r.normal(size=(2, 3, 6)), r.normal(size=(2, 3))
    np.testing.assert_allclose(numgrad.linalg.tensorsolve(numgrad.from_numpy(a), numgrad.from_numpy(b)), np.linalg.tensorsolve(a, b), rtol=1e-9)
    moved = np.moveaxis(a, -1, 0)
    np.testing.assert_allclose(numgrad.linalg.tensorsolve(numgrad.from_numpy(moved), numgrad.from_numpy(b), (0,)), np.linalg.tensorsolve(a, b), rtol=1e-9)
    with pytest.raises(RuntimeError, match="requirement"):
        numgrad.linalg.tensorsolve(numgrad.ones(2, 3, 5), numgrad.ones(2, 3))
    assert complex(numgrad.tensor(2.5)) == 2.5


@pytest.mark.interpreted
def test_results_written_over_what_is_given() -> None:
    a = numgrad.tensor([[2.0, 1.0], [1.0, 3.0]])
    out, info = numgrad.empty(2, 2), numgrad.empty((), dtype=numgrad.int32)
    assert numgrad.linalg.cholesky(a, out=out) is out and numgrad.equal(out, numgrad.linalg.cholesky(a))
    found = numgrad.linalg.inv_ex(a, out=(out, info))
    assert found.inverse is out and numgrad.equal(out, numgrad.linalg.inv(a)) and info.item() == 0
    assert numgrad.linalg.solve(a, a, out=out) is out and numgrad.allclose(out, numgrad.eye(2))
    with pytest.raises(TypeError, match="tuple of 2"):
        numgrad.linalg.qr(a, out=out)
