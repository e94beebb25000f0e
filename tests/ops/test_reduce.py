"""Reductions and scans where the generic test does not look: long sums, NaN, zeros, ties, dtypes, overloads, named results."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numgrad as ng
from numgrad import ops
from numgrad.jit import set_num_threads
from numgrad.jit.threads import get_num_threads

nan, inf = math.nan, math.inf
#: What is about rules rather than kernels need not wait for kernels to compile.
interpreted = pytest.mark.interpreted


def gradient(function: object, *values: object) -> list[object]:
    x = ng.tensor(*values, dtype=ng.float64, requires_grad=True)
    (g,) = ng.autograd.grad(function(x).sum(), x)  # type: ignore[operator]
    return g.tolist()


# --- sums -----------------------------------------------------------------------------------------------------------

LONG = [
    ((20_001,), None),
    ((3, 9_000), 1),
    ((3, 700, 5), 1),
    ((1_200, 3), 0),
    ((1_200, 131), 0),  # in strips
    ((2, 700, 100), 1),
    ((2, 300, 4, 50), (1, 3)),
    ((40, 8, 30), (0, 2)),
]


@pytest.mark.parametrize(("shape", "dim"), LONG)
def test_long_sums_are_cut_into_pieces_and_stay_exact(shape: tuple[int, ...], dim: object) -> None:
    """float32 sums of integers below 2^24 have no rounding: every element counts once, whatever the cut."""
    x = np.random.default_rng(0).integers(-9, 9, shape).astype(np.float32)
    np.testing.assert_array_equal(ng.tensor(x).sum(dim).numpy(), x.sum(dim, dtype=np.float64))
    np.testing.assert_array_equal(ng.tensor(x).amax(dim if dim is not None else ()).numpy(), x.max(dim))


@pytest.mark.parametrize("shape", [(1_000_000,), (1_000_000, 2)])
def test_float32_sums_do_not_lose_small_parts(shape: tuple[int, ...]) -> None:
    """One million times 0.1, added one after another in float32, would be 100958.34."""
    if ng.jit.DISABLED:
        shape = (20_000, *shape[1:])
    total = ng.full(shape, 0.1).sum(0)
    wanted = shape[0] * float(np.float32(0.1))
    assert np.all(np.abs(total.numpy() - wanted) <= 2e-7 * wanted)


def test_transposed_operands_are_reduced_where_they_lie() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    t = ng.tensor(x).permute(2, 0, 1)
    for dim in (0, 1, 2, (0, 1), (0, 2), (1, 2), (0, 1, 2)):
        np.testing.assert_array_equal(t.sum(dim).numpy(), x.transpose(2, 0, 1).sum(dim))


@pytest.mark.native
@pytest.mark.parametrize("function", ["sum", "var", "logsumexp", "prod"])
@pytest.mark.parametrize("shape", [(1, 300_001), (500, 301)])
def test_bits_do_not_depend_on_threads(function: str, shape: tuple[int, ...]) -> None:
    x = ng.tensor(np.random.default_rng(1).standard_normal(shape).astype(np.float32))
    before, found = get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            found.append([getattr(x, function)(dim).numpy().tobytes() for dim in (0, 1)])
    finally:
        set_num_threads(before)
    assert found[0] == found[1] == found[2]


@interpreted
def test_dtypes_of_sums() -> None:
    assert ng.tensor([True, True]).sum().dtype is ng.int64
    assert ng.tensor([200, 100], dtype=ng.uint8).sum().item() == 300
    assert ng.tensor([1, 2], dtype=ng.int32).prod().dtype is ng.int64
    assert ng.tensor([1, 2]).sum(dtype=ng.float32).dtype is ng.float32
    assert ng.tensor([1.5, 1.5]).sum(dtype=ng.int64).item() == 2  # cast first, then summed
    assert ng.tensor([1, 2]).mean(dtype=ng.float64).item() == 1.5
    assert ng.tensor([True, False]).sum_to_size(1).tolist() == [1]


@interpreted
def test_sums_of_nothing() -> None:
    empty = ng.zeros(0, 3)
    assert empty.sum(0).tolist() == [0, 0, 0] and empty.prod(0).tolist() == [1, 1, 1]
    assert empty.sum(1).shape == (0,) and math.isnan(empty.mean().item())
    assert empty.all(0).tolist() == [True] * 3 and empty.any(0).tolist() == [False] * 3
    assert empty.logsumexp(0).tolist() == [-inf] * 3
    assert all(math.isnan(v) for v in empty.var(0).tolist())


@interpreted
def test_numpy_names_of_dimensions() -> None:
    x = ng.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert ng.sum(x, axis=0, keepdims=True).tolist() == [[4, 6]]
    assert ng.max(x, axis=1).indices.tolist() == [1, 1]


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(TypeError, match=r"sum\(\): argument 'input' \(position 1\) must be Tensor, not list"):
        ng.sum([1, 2])
    with pytest.raises(TypeError, match="'dim' must be int"):
        ng.ones(2).sum("a")


@interpreted
def test_nan_is_left_out_where_the_name_says_so() -> None:
    x = ng.tensor([[1.0, nan], [nan, nan]])
    assert x.nansum(1).tolist() == [1, 0] and x.nanmean(0)[0].item() == 1 and math.isnan(x.nanmean(1)[1].item())
    assert gradient(lambda x: x.nansum(), [1.0, nan]) == [1, 0]


# --- products -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "wanted"),
    [([2.0, 3.0, 4.0], [12, 8, 6]), ([2.0, 0.0, 4.0], [0, 8, 0]), ([0.0, 0.0, 4.0], [0, 0, 0])],
)
def test_gradient_of_products_with_zeros(values: list[float], wanted: list[float]) -> None:
    assert gradient(lambda x: x.prod(), values) == wanted
    assert gradient(lambda x: x.prod(0), values) == wanted


@interpreted
def test_second_gradient_of_a_product_with_two_zeros() -> None:
    """d2/dx0 dx1 of x0 x1 x2 is x2, also where x0 = x1 = 0."""
    x = ng.tensor([0.0, 0.0, 4.0], requires_grad=True)
    (first,) = ng.autograd.grad(x.prod(), x, create_graph=True)
    (second,) = ng.autograd.grad(first[0], x)
    assert second.tolist() == [0, 4, 0]


def test_gradient_of_running_products_with_zeros() -> None:
    """y = (a, ab, abc) at (2, 0, 4): sum's gradient is (1 + b + bc, a + ac, ab)."""
    assert gradient(lambda x: x.cumprod(0), [2.0, 0.0, 4.0]) == [1, 10, 0]


# --- extremes -------------------------------------------------------------------------------------------------------


@interpreted
def test_max_and_its_three_forms() -> None:
    x = ng.tensor([[1.0, 5.0], [7.0, 2.0]])
    assert ng.max(x).item() == 7
    values, indices = x.max(dim=1)
    assert values.tolist() == [5, 7] and indices.tolist() == [1, 0] and indices.dtype is ng.int64
    assert x.max(0, keepdim=True).values.tolist() == [[7, 5]]
    assert ng.max(x, ng.tensor(4.0)).tolist() == [[4, 5], [7, 4]] == ng.max(x, other=ng.tensor(4.0)).tolist()
    assert type(x.min(0)).__name__ == "min" and x.min(0)._fields == ("values", "indices")
    assert ng.aminmax(x).min.item() == 1 and ng.aminmax(x, dim=0).max.tolist() == [7, 5]


@interpreted
def test_ties_share_or_the_first_takes_the_gradient() -> None:
    tied = [3.0, 1.0, 3.0]
    assert gradient(lambda x: x.amax(), tied) == [0.5, 0, 0.5] == gradient(lambda x: x.max(), tied)
    assert gradient(lambda x: x.max(0).values, tied) == [1, 0, 0]
    assert ng.tensor(tied).argmax().item() == 0 and ng.tensor(tied).max(0).indices.item() == 0


def test_nan_is_the_maximum_and_the_minimum() -> None:
    x = ng.tensor([[1.0, nan, 3.0, nan]])
    for name in ("max", "min"):
        assert math.isnan(getattr(x, name)().item()) and math.isnan(getattr(x, "a" + name)(1).item())
        assert getattr(x, name)(1).indices.tolist() == [1] and getattr(x, "arg" + name)().item() == 1
    assert x.T.max(0).indices.tolist() == [1] and ng.tensor([[inf, -inf]]).amax().item() == inf


@pytest.mark.parametrize(("shape", "dim"), [((1, 20_000), 1), ((200, 3), 0), ((2, 150, 4), 1)])
def test_places_in_long_rows(shape: tuple[int, ...], dim: int) -> None:
    """The first of several equals, in whichever piece it lies."""
    x = np.random.default_rng(2).integers(0, 40, shape).astype(np.float64)
    assert ng.tensor(x).argmax(dim).tolist() == x.argmax(dim).tolist()
    assert ng.tensor(x).min(dim).indices.tolist() == x.argmin(dim).tolist()


@interpreted
def test_bools_and_integers_have_extremes() -> None:
    assert ng.tensor([False, True]).amax().item() is True and ng.tensor([True, False]).min(0).indices.item() == 1
    assert ng.tensor([3, -128], dtype=ng.int8).amin().item() == -128
    assert ng.tensor([2, 3], dtype=ng.uint8).any().dtype is ng.uint8 and ng.tensor([2, 0]).all().dtype is ng.bool


# --- moments and norms ----------------------------------------------------------------------------------------------


@interpreted
def test_variance_takes_its_arguments_in_both_ways() -> None:
    x = ng.tensor([[1.0, 2.0], [3.0, 6.0]])
    assert (
        x.var(False).item() == 3.5 and x.var(0, False).tolist() == [1, 4] and x.var(0, unbiased=True).tolist() == [2, 8]
    )
    assert x.var(dim=0, correction=0).tolist() == [1, 4] and x.std((0, 1), correction=0, keepdim=True).shape == (1, 1)
    spread, center = ng.std_mean(x, 0, correction=0)
    assert spread.tolist() == [1, 2] and center.tolist() == [2, 4]
    with pytest.raises(TypeError, match="both"):
        ng.var(x, 0, True, correction=0)


@interpreted
def test_variance_of_one_number_is_not_a_number() -> None:
    assert math.isnan(ng.tensor([1.0]).var().item()) and ng.tensor([1.0]).var(correction=0).item() == 0


def test_variance_far_from_zero() -> None:
    """Squares about the mean, not a difference of squares: that would lose all digits here."""
    x = ng.tensor([10_000.0, 10_001.0, 10_002.0])
    assert x.var().item() == 1


@interpreted
def test_gradients_at_zero() -> None:
    assert gradient(lambda x: x.std(), [2.0, 2.0]) == [0, 0]
    assert gradient(lambda x: x.norm(), [0.0, 0.0]) == [0, 0]
    assert gradient(lambda x: x.norm(3), [0.0, 2.0]) == [0, 1]
    assert gradient(lambda x: x.norm(1), [0.0, -2.0]) == [0, -1]
    assert gradient(lambda x: x.norm(inf), [2.0, -2.0, 1.0]) == [0.5, -0.5, 0]


@interpreted
def test_norms_by_hand() -> None:
    x = ng.tensor([[3.0, -4.0], [0.0, 0.0]])
    assert x.norm().item() == 5 and x.norm(1).item() == 7 and x.norm(0).item() == 2
    assert x.norm(inf, 1).tolist() == [4, 0] and x.norm(-inf).item() == 0 and x.norm("fro", (0, 1)).item() == 5
    assert x.norm(dtype=ng.float64).dtype is ng.float64


def test_logsumexp_does_not_overflow() -> None:
    assert ng.tensor([1000.0, 1000.0]).logsumexp(0).item() == pytest.approx(1000 + math.log(2))
    assert ng.tensor([-inf, -inf]).logsumexp(0).item() == -inf and ng.tensor([inf, 0.0]).logsumexp(0).item() == inf
    assert ng.tensor([1, 2]).logsumexp(0).dtype is ng.float32


# --- scans ----------------------------------------------------------------------------------------------------------


def test_running_maxima_take_the_last_of_equals() -> None:
    values, indices = ng.tensor([3.0, 1.0, 3.0, 2.0]).cummax(0)
    assert values.tolist() == [3, 3, 3, 3] and indices.tolist() == [0, 0, 2, 2]
    values, indices = ng.tensor([2.0, nan, 1.0, nan]).cummin(0)
    assert np.array_equal(values.numpy(), [2, nan, nan, nan], equal_nan=True) and indices.tolist() == [0, 1, 1, 3]


@interpreted
def test_logcumsumexp_over_a_wide_range() -> None:
    x = ng.tensor([-1000.0, -inf, 1000.0, 1000.0], dtype=ng.float64, requires_grad=True)
    y = x.logcumsumexp(0)
    assert y.tolist() == pytest.approx([-1000, -1000, 1000, 1000 + math.log(2)])
    y.sum().backward()
    assert x.grad.tolist() == pytest.approx([2, 0, 1.5, 0.5])


@interpreted
def test_differences() -> None:
    assert ng.tensor([1, 4, 9]).diff().tolist() == [3, 5] and ng.tensor([1, 4, 9]).diff(2).tolist() == [2]
    assert ng.tensor([1, 4]).diff(5).shape == (0,)
    assert ng.tensor([True, True, False]).diff().tolist() == [False, True]
    assert ng.tensor([2]).diff(prepend=ng.tensor([0]), append=ng.tensor([5, 5])).tolist() == [2, 3, 0]


@interpreted
def test_sum_to_size_undoes_broadcasting() -> None:
    x = ng.ones(2, 3, 4)
    assert x.sum_to_size(3, 1).tolist() == [[8], [8], [8]] and x.sum_to_size((2, 3, 4)) is x
    assert ops.sum_to_size(x, ()).item() == 24


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8])
@pytest.mark.parametrize("rows", [1, 2, 4, 5, 6, 64, 65, 200])
def test_places_in_columns(rows: int, dtype: type) -> None:
    """Rows are gone through four at a time, and in pieces: of equals the first counts, and the first NaN before all."""
    generator = np.random.default_rng(rows)
    x = generator.integers(0, 5, (rows, 37)).astype(dtype)
    if dtype is np.float32:
        x[generator.random(x.shape) < 0.02] = np.nan
    for name in ("argmax", "argmin"):
        assert np.array_equal(getattr(ng, name)(ng.tensor(x), 0).numpy(), getattr(np, name)(x, 0))
    for name, reference in (("amax", np.max), ("amin", np.min)):
        np.testing.assert_array_equal(getattr(ng, name)(ng.tensor(x), 0).numpy(), reference(x, 0))
