"""Sorting, selection, distinct elements and bins where the generic test does not look."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numgrad as ng

nan, inf = math.nan, math.inf
#: What is about rules rather than kernels need not wait for kernels to compile.
interpreted = pytest.mark.interpreted
#: Below and above the length from which rows are sorted byte by byte.
LENGTHS = [5, 64, 65, 1000]


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.int64, np.uint8])
@pytest.mark.parametrize("descending", [False, True])
def test_sort_is_stable(n: int, dtype: type, descending: bool) -> None:
    x = np.random.default_rng(n).integers(0, 7, (2, n)).astype(dtype)
    if dtype != np.uint8:
        x -= 3
    values, indices = ng.sort(ng.tensor(x), descending=descending, stable=True)
    wanted = np.argsort(-x.astype(np.int64) if descending else x, kind="stable")
    assert indices.tolist() == wanted.tolist() and values.tolist() == np.take_along_axis(x, wanted, 1).tolist()


@pytest.mark.parametrize("n", LENGTHS)
def test_every_bit_of_a_float_counts(n: int) -> None:
    rng = np.random.default_rng(n)
    x = (rng.standard_normal(n) * 10.0 ** rng.integers(-300, 300, n)).astype(np.float64)
    assert ng.tensor(x).sort().values.tolist() == np.sort(x).tolist()
    with np.errstate(over="ignore", under="ignore"):
        single = x.astype(np.float32)
    np.testing.assert_array_equal(ng.tensor(single).sort().values.numpy(), np.sort(single))


def test_extreme_integers() -> None:
    x = [0, -(2**63), 2**63 - 1, -1, 1]
    assert ng.tensor(x).sort().values.tolist() == sorted(x)
    assert ng.tensor(x).sort(descending=True).values.tolist() == sorted(x, reverse=True)
    assert ng.tensor(x).kthvalue(1).values.item() == -(2**63)


def test_nan_is_greatest_and_zeros_are_equal() -> None:
    x = ng.tensor([nan, 0.0, inf, -0.0, -inf, -nan])
    assert x.argsort(stable=True).tolist() == [4, 1, 3, 2, 0, 5]
    assert x.argsort(descending=True, stable=True).tolist() == [0, 5, 2, 1, 3, 4]
    assert x.topk(3).indices.tolist() == [0, 5, 2] and x.topk(2, largest=False).indices.tolist() == [4, 1]


@interpreted
def test_named_results() -> None:
    x = ng.tensor([[2.0, 1.0]])
    for name, arguments in (("sort", ()), ("topk", (1,)), ("kthvalue", (1,)), ("median", (1,)), ("cummax", (1,))):
        found = getattr(x, name)(*arguments)
        assert type(found).__name__ == name and found._fields == ("values", "indices")


@pytest.mark.parametrize("n", [3, 40, 500])
@pytest.mark.parametrize("largest", [False, True])
def test_topk_of_many_and_few(n: int, largest: bool) -> None:
    x = np.random.default_rng(n).integers(-50, 50, (3, n)).astype(np.float32)
    order = np.argsort(-x if largest else x, 1, kind="stable")
    for k in {1, n // 2, n}:
        values, indices = ng.tensor(x).topk(k, largest=largest)
        assert (
            indices.tolist() == order[:, :k].tolist()
            and values.tolist() == np.take_along_axis(x, order[:, :k], 1).tolist()
        )


@pytest.mark.parametrize("n", [7, 300])
def test_every_kth_value(n: int) -> None:
    x = np.random.default_rng(n).integers(-9, 9, n).astype(np.float64)
    wanted, order = np.sort(x), np.argsort(x, kind="stable")
    for k in (1, 2, n // 2, n - 1, n):
        value, index = ng.tensor(x).kthvalue(k)
        assert value.item() == wanted[k - 1] and index.item() == order[k - 1]


@interpreted
def test_gradient_goes_where_the_value_came_from() -> None:
    x = ng.tensor([3.0, 1.0, 2.0], requires_grad=True)
    (x.sort().values * ng.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad.tolist() == [100, 1, 10]
    (g,) = ng.autograd.grad(x.topk(2).values.sum() + 5 * x.median(), x)
    assert g.tolist() == [1, 0, 6]


def test_medians() -> None:
    x = ng.tensor([[4.0, 1.0, 3.0, 2.0], [nan, 7.0, nan, 5.0]])
    assert ng.median(x[0]).item() == 2 and math.isnan(ng.median(x).item()) and ng.nanmedian(x).item() == 3
    values, indices = x.median(1)
    assert values[0].item() == 2 and math.isnan(values[1].item()) and indices.tolist() == [3, 0]
    assert x.nanmedian(1).values.tolist() == [2, 5] and x.nanmedian(1).indices.tolist() == [3, 3]
    assert math.isnan(ng.zeros(0).median().item())


@interpreted
def test_quantiles() -> None:
    x = ng.tensor([[0.0, 10.0, 20.0], [3.0, nan, 1.0]])
    assert x[0].quantile(0.25).item() == 5 and x[0].quantile(0.25, interpolation="lower").item() == 0
    assert x[0].quantile(ng.tensor([0.0, 1.0])).tolist() == [0, 20]
    assert math.isnan(x.quantile(0.5, 1)[1].item()) and x.nanquantile(0.5, 1).tolist() == [10, 2]
    assert x.nanquantile(ng.tensor([0.0, 1.0]), dim=1, keepdim=True).shape == (2, 2, 1)


# --- distinct elements ----------------------------------------------------------------------------------------------


def test_unique() -> None:
    x = ng.tensor([[3.0, 1.0], [3.0, 2.0]])
    values, inverse, counts = x.unique(return_inverse=True, return_counts=True)
    assert values.tolist() == [1, 2, 3] and inverse.tolist() == [[2, 0], [2, 1]] and counts.tolist() == [1, 1, 2]
    assert ng.tensor([nan, 1.0, nan]).unique().shape == (3,)
    assert ng.zeros(0, 2).unique().shape == (0,) and ng.zeros(0, 2).unique(dim=0).shape == (0, 2)


def test_unique_slices_are_in_lexicographic_order() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (300, 3)).astype(np.int64)
    values, inverse, counts = ng.unique(ng.tensor(x), dim=0, return_inverse=True, return_counts=True)
    wanted = np.unique(x, axis=0, return_counts=True)
    assert values.tolist() == wanted[0].tolist() and counts.tolist() == wanted[1].tolist()
    assert values.numpy()[inverse.numpy()].tolist() == x.tolist()


def test_unique_consecutive() -> None:
    values, counts = ng.unique_consecutive(ng.tensor([1, 1, 2, 2, 1]), return_counts=True)
    assert values.tolist() == [1, 2, 1] and counts.tolist() == [2, 2, 1]


@interpreted
def test_unique_has_no_gradient_and_says_so() -> None:
    with pytest.raises(NotImplementedError, match="unique"):
        ng.tensor([1.0], requires_grad=True).unique().sum().backward()


def test_isin() -> None:
    assert ng.isin(ng.tensor([1, 2, 3]), ng.tensor([2, 9])).tolist() == [False, True, False]
    assert (
        ng.isin(ng.tensor([1, 2]), 2, invert=True).tolist() == [True, False]
        and ng.isin(2, ng.tensor([2])).item() is True
    )
    assert ng.isin(ng.tensor([nan]), ng.tensor([nan])).tolist() == [False] and ng.isin(
        ng.tensor([1]), ng.zeros(0)
    ).tolist() == [False]


# --- bins -----------------------------------------------------------------------------------------------------------


def test_bincount() -> None:
    x = ng.tensor([1, 1, 3])
    assert ng.bincount(x).tolist() == [0, 2, 0, 1] and ng.bincount(x, minlength=6).shape == (6,)
    assert ng.bincount(x, ng.tensor([1.0, 2.0, 4.0])).tolist() == [0, 3, 0, 4]
    assert ng.bincount(x, ng.tensor([1, 2, 4])).dtype is ng.float64
    assert ng.bincount(ng.zeros(0, dtype=ng.int64)).shape == (0,)
    many = np.random.default_rng(0).integers(0, 50, 40_000)
    assert ng.bincount(ng.tensor(many)).tolist() == np.bincount(many).tolist()


def test_histogram_of_the_range_of_the_data() -> None:
    assert ng.histc(ng.tensor([0.0, 1.0, 2.0, 3.0]), 3).tolist() == [1, 1, 2]
    assert ng.histc(ng.ones(3), 2).tolist() == [0, 3]
    assert ng.histc(ng.tensor([1.0, nan, 2.0, 9.0]), 2, 0, 3).tolist() == [1, 1]


def test_searchsorted() -> None:
    row = ng.tensor([1.0, 3.0, 3.0, 5.0])
    values = ng.tensor([3.0, 0.0, 9.0, nan])
    assert ng.searchsorted(row, values).tolist() == [1, 0, 4, 4] and ng.searchsorted(
        row, values, right=True
    ).tolist() == [3, 0, 4, 4]
    assert ng.searchsorted(row, 3.0, side="right").item() == 3 and ng.bucketize(ng.tensor(4.0), row).item() == 3
    assert ng.searchsorted(ng.tensor([5.0, 3.0, 1.0]), ng.tensor([2.0]), sorter=ng.tensor([2, 1, 0])).tolist() == [1]
    with pytest.raises(RuntimeError, match="opposites"):
        ng.searchsorted(row, values, side="left", right=True)
    with pytest.raises(RuntimeError, match="out of range"):
        ng.searchsorted(row, values, sorter=ng.tensor([0, 1, 2, 4]))
