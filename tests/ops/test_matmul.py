"""What the generic test does not see of products: large and odd shapes through every path, layouts, operators, einsum's forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.jit import DISABLED
from numgrad.jit.emitter import VECTOR_BYTES
from numgrad.jit.sweep import UNITS
from numgrad.ops import gemm, gemm_plan

LARGE = 24 if DISABLED else 200


def laid_out(x: np.ndarray, how: str) -> np.ndarray:
    """The same values in memory in another order, with gaps, or read-only."""
    if how == "columns":
        return np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2)
    if how == "gaps":
        wide = np.zeros(tuple(2 * n for n in x.shape), x.dtype)
        view = wide[tuple(slice(0, None, 2) for _ in x.shape)]
        view[...] = x
        return view
    x = x.copy()
    x.flags.writeable = how != "frozen"
    return x


@pytest.mark.parametrize("left", ["rows", "columns", "gaps", "frozen"])
@pytest.mark.parametrize("right", ["rows", "columns", "gaps", "frozen"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_layouts_and_edges_of_tiles(left: str, right: str, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    for m, k, n in [(1, 7, 33), (33, 7, 1), (15, 300, 37), (5, 1, 5), (LARGE, 40, LARGE + 3), (LARGE, 3 * LARGE, 70)]:
        a, b = (rng.integers(-4, 5, s).astype(dtype) for s in ((m, k), (k, n)))
        # sums of products of small integers are exact in every dtype and order
        assert np.array_equal(gemm.product(laid_out(a, left), laid_out(b, right)), a @ b)


def test_packing_of_large_operands() -> None:
    if DISABLED:
        pytest.skip("too slow as plain Python")
    rng = np.random.default_rng(1)
    a, b = rng.integers(-4, 5, (3, 210, 700)).astype(np.float32), rng.integers(-4, 5, (3, 700, 301)).astype(np.float32)
    bias = rng.integers(-4, 5, 301).astype(np.float32)
    for x in (a, laid_out(a, "columns")):
        for z in (b, laid_out(b, "columns"), b[:1]):
            assert np.array_equal(gemm.product(x, z, bias), np.matmul(x.astype(np.float64), z) + bias)


def test_batches_that_do_not_collapse_and_broadcast() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.integers(-4, 5, (2, 1, 3, 1, 4, 5)).astype(float), rng.integers(-4, 5, (3, 1, 2, 5, 6)).astype(float)
    assert np.array_equal(gemm.product(a, b), np.matmul(a, b))
    heads = rng.integers(-4, 5, (2, 7, 3, 4)).astype(float).transpose(0, 2, 1, 3)  # as attention lays them out
    assert np.array_equal(gemm.product(heads, heads.swapaxes(-1, -2)), np.matmul(heads, heads.swapaxes(-1, -2)))


def test_a_bias_broadcasts_to_the_result() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.integers(-4, 5, (2, 3, 20, 7)).astype(float), rng.integers(-4, 5, (3, 7, 40)).astype(float)
    for shape in ((40,), (1,), (20, 1), (20, 40), (3, 1, 40), (2, 1, 20, 1), (2, 3, 20, 40), ()):
        bias = rng.integers(-4, 5, shape).astype(float)
        assert np.array_equal(gemm.product(a, b, bias), a @ b + bias)
    assert np.array_equal(gemm.product(a, b[0, :, :1], a[..., :1]), a @ b[0, :, :1] + a[..., :1])  # a column is computed as a row
    bias = rng.integers(-4, 5, (40, 20)).astype(float).T
    assert np.array_equal(gemm.product(a[0], b, bias), a[0] @ b + bias)


def test_a_long_depth_is_summed_in_parts_of_fixed_order() -> None:
    rng = np.random.default_rng(4)
    k = 3000 if DISABLED else 70000
    a, b, bias = (rng.integers(-4, 5, shape).astype(np.float64) for shape in ((5, k), (k, 18), (18,)))
    assert np.array_equal(gemm.product(a, b, bias), a @ b + bias)
    assert np.array_equal(gemm.product(a[:1], b[:, :1]), a[:1] @ b[:, :1])
    assert np.array_equal(gemm.product(a, laid_out(b, "columns")), a @ b)


def test_cores_to_plan_for_do_not_change_the_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemm_plan, "SMALL", 1)  # small products are cut as large ones are
    rng = np.random.default_rng(5)
    values = (rng.standard_normal(shape).astype(np.float32) for shape in ((2, 70, 300), (150, 300), (2, 1, 150)))
    a, b, bias = (x.round() if DISABLED else x for x in values)  # NumPy, the tiles' twin, sums in orders of its own
    found = []
    for cores in (1, 2, 7, 64):
        monkeypatch.setattr(gemm_plan, "pool_size", lambda n=cores: n)
        monkeypatch.setattr(gemm, "_plans", {})
        found.append((gemm.product(a, b.T, bias), gemm.product(a[0].copy().T, np.ones((70, 40), np.float32))))
        assert {len(p.numbers) and int(p.numbers[UNITS]) > 2 for p in gemm._plans.values()} == {cores > 2}
    assert all(np.array_equal(x, y) for pair in found for x, y in zip(pair, found[0], strict=True))


def test_products_are_cut_for_as_many_cores_as_are_worth_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemm_plan, "pool_size", lambda: 64)

    def units(m: int, k: int, n: int) -> int:
        y, a, b = (np.empty(shape, np.float32) for shape in ((m, n), (m, k), (k, n)))
        return int(gemm_plan.plan_of(y, a, b, None).numbers[UNITS])

    assert units(8, 64, 64) == 1
    assert 2 <= units(256, 64, 64) <= 256 // VECTOR_BYTES
    assert units(2048, 2048, 2048) >= 64


@pytest.mark.parametrize("shapes", [((3, 20, 40), (40, 35), (35,)), ((2, 9), (9, 3), (2, 1)), ((4, 3000), (3000, 5), (4, 5)), ((30, 8), (8, 1), (1,))])
def test_sums_begin_at_what_is_there_and_end_in_a_tail(shapes: Any) -> None:
    rng = np.random.default_rng(6)
    a, b, bias = (rng.integers(-4, 5, shape).astype(np.float32) for shape in shapes)
    held = rng.integers(-4, 5, (*a.shape[:-1], b.shape[-1])).astype(np.float32)
    out = held.copy()
    assert gemm.product(a, b, out=out) is out
    assert np.array_equal(out, held + a @ b)
    assert np.array_equal(gemm.product(a, b, bias, out=held.copy()), held + a @ b + bias)
    assert np.array_equal(gemm.product(a, b, bias, tail="relu"), np.maximum(a @ b + bias, 0))
    assert np.array_equal(gemm.product(a, b, out=held.copy(), tail="relu"), np.maximum(held + a @ b, 0))


def test_relu_as_a_tail_keeps_nan() -> None:
    y = gemm.product(np.array([[np.nan], [-np.inf], [np.inf]]), np.ones((1, 1)), tail="relu")
    assert np.array_equal(y, [[np.nan], [0], [np.inf]], equal_nan=True)


def test_an_empty_sum_is_zero_or_the_bias() -> None:
    assert np.array_equal(gemm.product(np.ones((2, 0)), np.ones((0, 3))), np.zeros((2, 3)))
    assert np.array_equal(gemm.product(np.ones((2, 0)), np.ones((0, 3)), np.arange(3.0)), [[0, 1, 2]] * 2)
    assert np.array_equal(gemm.product(np.ones((2, 1, 3, 4, 0)), np.ones((1, 5, 3, 0, 2)), np.ones((5, 1, 1, 1))), np.ones((2, 5, 3, 4, 2)))


def test_infinity_and_nan_stay_in_their_row() -> None:
    a, b = np.ones((20, 40)), np.ones((40, 20))
    a[3, 5], a[7, 1] = np.nan, np.inf
    y = gemm.product(a, b)
    assert np.isnan(y[3]).all() and np.isinf(y[7]).all() and (np.delete(y, [3, 7], 0) == 40).all()


def test_operators() -> None:
    a, b = ng.tensor([[1.0, 2.0], [3.0, 4.0]]), ng.tensor([1.0, 10.0])
    assert (a @ b).tolist() == [21.0, 43.0]
    assert (b @ a).tolist() == [31.0, 42.0]
    assert (b @ b).tolist() == 101.0
    with pytest.raises(TypeError):
        a @ 3


def test_linear_takes_vectors_and_batches() -> None:
    w, bias = ng.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), ng.tensor([0.5, 0.25, 0.125])
    assert ng.ops.linear(ng.tensor([1.0, 1.0]), w, bias).tolist() == [3.5, 7.25, 11.125]
    assert ng.ops.linear(ng.ones(2, 1, 2), w).tolist() == [[[3.0, 7.0, 11.0]]] * 2
    assert ng.ops.linear(ng.ones(2, 2), ng.tensor([1.0, 2.0])).tolist() == [3.0, 3.0]


def test_addmm_with_beta_zero_ignores_the_input() -> None:
    nothing = ng.full((2, 2), float("nan"))
    assert ng.addmm(nothing, ng.eye(2), ng.eye(2), beta=0, alpha=3).tolist() == [[3.0, 0.0], [0.0, 3.0]]


def test_addr_of_truth_values() -> None:
    true, truths = ng.ones(2, 2, dtype=ng.bool), ng.tensor([True, False])
    assert ng.addr(true, truths, truths, alpha=3).tolist() == [[True, True], [True, True]]
    assert ng.addr(true, truths, truths, beta=0, alpha=3).tolist() == [[True, False], [False, False]]
    assert ng.addr(true, truths, truths, beta=0, alpha=0).dtype == ng.bool
    with pytest.raises(RuntimeError, match="beta must not be a floating point number"):
        ng.addr(true, truths, truths, beta=2.5)
    x = ng.ones(2, 2)
    assert x.addmm_(ng.eye(2), ng.eye(2)) is x
    assert x.tolist() == [[2.0, 1.0], [1.0, 2.0]]


def test_einsum_forms() -> None:
    a, b = ng.tensor([[1.0, 2.0], [3.0, 4.0]]), ng.tensor([[0.0, 1.0], [1.0, 0.0]])
    swapped = [[2.0, 1.0], [4.0, 3.0]]
    assert ng.einsum("ij,jk->ik", a, b).tolist() == swapped
    assert ng.einsum("ij,jk->ik", [a, b]).tolist() == swapped
    assert ng.einsum(a, [0, 1], b, [1, 2], [0, 2]).tolist() == swapped
    assert ng.einsum(a, [..., 1], b, [1, 2], [..., 2]).tolist() == swapped
    assert ng.einsum("ba", a).tolist() == [[1.0, 3.0], [2.0, 4.0]]  # letters of the output are sorted
    assert ng.einsum("ii", a).item() == 5.0
    assert ng.einsum("ij,kj->", a, ng.ones(1, 1)).item() == 10.0  # a size of 1 broadcasts


def test_einsum_gradient_of_a_diagonal() -> None:
    a = ng.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    ng.einsum("ii,i->", a, ng.tensor([5.0, 7.0])).backward()
    assert a.grad.tolist() == [[5.0, 0.0], [0.0, 7.0]]


@pytest.mark.parametrize("name, shapes", [("addmm_", ((4, 5), (4, 3), (3, 5))), ("baddbmm_", ((2, 4, 5), (2, 4, 3), (2, 3, 5)))])
def test_products_added_in_place(name: str, shapes: Any) -> None:
    x, a, b = (np.random.default_rng(7).integers(-4, 5, s).astype(np.float64) for s in shapes)
    wide = ng.zeros(*x.shape[:-1], 9)
    target = wide.double()[..., 2:7]  # rows with gaps between them
    base = target._base
    target.copy_(ng.tensor(x))
    version = target._version
    assert getattr(target, name)(ng.tensor(a), ng.tensor(b)) is target
    assert target._version == version + 1
    assert np.array_equal(base.numpy()[..., 2:7], x + a @ b) and not base.numpy()[..., :2].any() and not base.numpy()[..., 7:].any()
    same = ng.ones(*x.shape[:-2], 3, 3)
    getattr(same, name)(same, same)  # its own factor
    assert (same.numpy() == 4).all()
    factor = ng.tensor(b, requires_grad=True)
    sums = ng.tensor(x)
    getattr(sums, name)(ng.tensor(a), factor)
    sums.sum().backward()
    assert np.array_equal(factor.grad.numpy(), np.broadcast_to(a.sum(-2)[..., None], b.shape))
    with pytest.raises(RuntimeError):
        getattr(ng.ones(*x.shape[:-1], 1).expand(*x.shape), name)(ng.tensor(a, dtype=ng.float32), ng.tensor(b, dtype=ng.float32))
    with pytest.raises(RuntimeError):
        getattr(ng.tensor(x), name)(ng.tensor(b), ng.tensor(b))
