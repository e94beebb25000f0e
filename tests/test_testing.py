"""The tester is tested first: planted mistakes must be found, and what is right must pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import numgrad
from numgrad.autograd import Function
from numgrad.jit import Kernel, get_num_threads
from numgrad.ops import REGISTRY
from numgrad.ops.record import Op
from numgrad.testing import (
    Case,
    GradcheckError,
    GradientError,
    assert_close,
    check_gradients,
    check_op,
    check_second_gradients,
    checks,
    gradcheck,
    gradgradcheck,
    make_tensor,
    numpy_draw,
)  # fmt: skip
from numgrad.testing.gradients import directional
from numgrad.testing.strategies import tensors

RNG = np.random.default_rng(0)
SQUARE, ROW = RNG.uniform(0.3, 2, (3, 3)), RNG.uniform(0.3, 2, 3)


def toy(vjp: Any, **record: Any) -> Op:
    """sin(x) * w + x, with w broadcast."""
    return Op("toy", lambda x, w: np.sin(x) * w + x, vjp=vjp, **record)


def by_x(g: Any, x: Any, w: Any) -> Any:
    return g * (x.cos() * w + 1)


def by_w(g: Any, x: Any) -> Any:
    return g * x.sin()


WRONG = {
    "sign of x": (lambda g, x, w: -by_x(g, x, w), by_w),
    "sign of w": (by_x, lambda g, x: -by_w(g, x)),
    "x too large by 1.001": (lambda g, x, w: 1.001 * by_x(g, x, w), by_w),
    "w too small by 1.001": (by_x, lambda g, x: by_w(g, x) / 1.001),
    "summed over the wrong axis": (by_x, lambda g, x: by_w(g, x).sum(1)),
    "mean instead of sum": (by_x, lambda g, x: by_w(g, x).mean(0)),
    "no gradient for x": (None, by_w),
    "no gradient for w": (by_x, None),
    "swapped": (lambda g, x: by_w(g, x), lambda g, x, w: by_x(g, x, w)),
    "dropped term": (lambda g, x, w: g * x.cos() * w, by_w),
    "transposed": (lambda g, x, w: by_x(g, x, w).t(), by_w),
    "one element missing": (lambda g, x, w: by_x(g, x, w) * numgrad.tensor([1.0, 1.0, 0.0]), by_w),
    "forgets the incoming gradient": (lambda g, x, w: x.cos() * w + 1, by_w),
}


def test_right_gradients_pass() -> None:
    op = toy((by_x, by_w))
    check_gradients(op, [SQUARE, ROW], projections=5)
    check_gradients(op, [SQUARE, SQUARE[:1]], projections=5)
    check_second_gradients(op, [SQUARE, ROW], projections=5)


@pytest.mark.parametrize("mistake", WRONG)
def test_wrong_gradients_are_caught(mistake: str) -> None:
    with pytest.raises(GradientError, match="input"):
        check_gradients(toy(WRONG[mistake]), [SQUARE, ROW])


@pytest.mark.parametrize("mistake", WRONG)
def test_wrong_second_gradients_are_caught(mistake: str) -> None:
    inner = toy(WRONG[mistake])
    op = Op(
        "outer",
        lambda x, w: np.cos(x) * -w + x * x / 2,
        vjp=(lambda g, x, w: g * inner(x, w), lambda g, x: -g * x.cos()),
    )
    check_gradients(op, [SQUARE, ROW])
    with pytest.raises(GradientError):
        check_second_gradients(op, [SQUARE, ROW])


def test_only_the_gradient_of_the_second_output_is_wrong() -> None:
    def vjp(factor: float) -> Any:
        return (lambda g, x: g[0] * x.cos() + factor * g[1] * 2 * x,)

    right, wrong = (Op("pair", lambda x: (np.sin(x), x * x), vjp=vjp(f)) for f in (1.0, 1.001))
    check_gradients(right, [SQUARE])
    with pytest.raises(GradientError):
        check_gradients(wrong, [SQUARE])


@pytest.mark.parametrize(("backward", "fits"), [(lambda g: (g * 2).float(), True), (lambda g: (g * 2)[..., None], False)])
def test_gradients_of_another_dtype_are_converted_and_of_another_shape_refused(backward: Any, fits: bool) -> None:
    class Doubled(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return backward(g)

    if fits:
        check_gradients(Doubled.apply, [SQUARE])
    else:
        with pytest.raises(RuntimeError, match="invalid gradient at index 0"):
            check_gradients(Doubled.apply, [SQUARE])


def test_a_kink_is_not_mistaken_for_a_gradient() -> None:
    """Next to 0, |x| has no derivative that differences could find: their agreement with anything would mean nothing."""
    with pytest.raises(GradientError):
        check_gradients(numgrad.abs, [np.array([3e-8])])
    check_gradients(numgrad.abs, [np.array([3e-6])])  # far enough for the shortest steps
    wrong = Op("wrong", lambda x: np.abs(x), vjp=(lambda g, x: g * numgrad.sign(x) * 1.001,))
    with pytest.raises(GradientError):
        check_gradients(wrong, [np.array([3e-6])])
    step = Op("step", lambda x: np.sign(x), vjp=(None,))
    with pytest.raises(GradientError):
        check_gradients(step, [np.array([1e-7])])


def test_derivative_and_its_error_bound() -> None:
    """d/dx of exp and log against their closed forms; the error stays within the bound that is claimed."""
    for compute, x, slope in (
        (np.exp, 1.0, np.e),
        (np.log, 0.05, 20.0),
        (np.sin, 0.3, np.cos(0.3)),
        (lambda v: 1 / v, 0.1, -100.0),
    ):
        found = directional(
            lambda a, f=compute: [f(a[0])], [np.array(x)], 0, np.array(1.0), [np.array(1.0)], abs(slope)
        )
        assert abs(found.value - slope) <= found.truncation + found.noise
        assert found.truncation + found.noise < 1e-4 * abs(slope)


def test_symmetric_matrices_stay_symmetric() -> None:
    """A function of one triangle only has, on symmetric matrices, the gradient that is spread over both."""
    lower = numgrad.tensor(np.tril(np.ones((3, 3))) + np.tril(np.ones((3, 3)), -1))
    op = Op("lower", lambda x: np.tril(x) + np.tril(x, -1), vjp=(lambda g: (g * lower + (g * lower).t()) / 2,))
    check_gradients(op, [SQUARE + SQUARE.T])
    with pytest.raises(GradientError):
        check_gradients(op, [SQUARE])


# --- the checks of an op --------------------------------------------------------------------------------------------


def _sample(draw: Any) -> Any:
    shape = draw.shape()
    return (draw.array(shape), draw.array(shape)), {}


def _reference(x: Any, w: Any) -> Any:
    return np.sin(x) * w + x


def test_a_right_op_passes() -> None:
    check_op(
        toy(
            (by_x, by_w),
            reference=_reference,
            sample=_sample,
            errors=[((np.ones(2), np.ones(3)), ValueError, "broadcast")],
        ),
        examples=3,
    )


@pytest.mark.parametrize("relative", [1e-5, -6e-6])
def test_wrong_values_are_caught(relative: float) -> None:
    op = Op("toy", lambda x, w: ((np.sin(x) * w + x) * (1 + relative)).astype(x.dtype), reference=_reference)
    for dtype in (np.float32, np.float64):
        with pytest.raises(AssertionError, match="instead of"):
            checks.check_value(Case(op, (SQUARE.astype(dtype), SQUARE.astype(dtype))))


def test_rounding_is_not_mistaken_for_an_error() -> None:
    """A long float32 sum that cancels is right to the rounding of its terms, not of its result."""
    op = Op("total", lambda x: np.add.reduce(x), reference=np.sum)
    x = RNG.uniform(-1, 1, 4096).astype(np.float32)
    checks.check_value(Case(op, (np.concatenate([x, -x + np.float32(1e-6)]),)))


@pytest.mark.parametrize(
    ("forward", "what"),
    [
        (lambda x, w: np.sin(x.astype(np.float64)) * w + x, "float64"),
        (lambda x, w: (np.sin(x) * w + x)[None], "shape"),
        (lambda x, w: (np.sin(x) * w + x, x), "2 results"),
        (lambda x, w: np.where(x > 1, np.nan, np.sin(x) * w + x), "nan"),
    ],
)
def test_wrong_dtypes_shapes_and_nans_are_caught(forward: Any, what: str) -> None:
    case = Case(Op("toy", forward, reference=_reference), (SQUARE.astype(np.float32), SQUARE.astype(np.float32)))
    with pytest.raises(AssertionError, match=what):
        checks.check_value(case)


def test_writing_an_input_is_caught() -> None:
    def forward(x: Any, w: Any) -> Any:
        w *= 1.5
        return np.sin(x) * w / 1.5 + x

    with pytest.raises((AssertionError, ValueError), match="changed its input|read-only"):
        checks.check_value(Case(Op("toy", forward, reference=_reference), (SQUARE, SQUARE)))


def test_forgetting_strides_is_caught() -> None:
    def forward(x: Any, w: Any) -> Any:
        memory = np.lib.stride_tricks.as_strided(x, x.shape, np.empty(x.shape).strides)
        return np.sin(memory) * w + x

    op = toy((by_x, by_w))
    op.forward = forward
    with pytest.raises(AssertionError, match="transposed|strided|expanded"):
        checks.check_layouts(Case(op, (SQUARE, SQUARE)))


def test_forgetting_strides_of_the_incoming_gradient_is_caught() -> None:
    def scaled(g: Any, x: Any) -> Any:
        return np.lib.stride_tricks.as_strided(g, g.shape, np.empty(g.shape).strides) * np.cos(x)

    backward = Op("toy_backward", scaled, vjp=(None, None))
    op = Op("toy", lambda x: np.sin(x), vjp=(lambda g, x: backward(g, x),))
    check_gradients(op, [SQUARE])
    with pytest.raises(AssertionError, match="result or gradient 1"):
        checks.check_layouts(Case(op, (SQUARE,)))


def test_dependence_on_threads_is_caught() -> None:
    op = Op("toy", lambda x: x + get_num_threads() * 1e-7, vjp=(lambda g: g,))
    with pytest.raises(AssertionError, match="threads give other bits"):
        checks.check_threads(Case(op, (SQUARE,)))


@pytest.mark.parametrize("name", ["exp", "sum", "softmax", "matmul"])
def test_threads_are_checked_by_parallel_kernels_where_calls_are_known_ahead(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case, launched = Case(REGISTRY[name], (SQUARE, SQUARE) if name == "matmul" else (SQUARE, 0) if name == "softmax" else (SQUARE,)), []
    case.run()  # finds that there is little to do
    monkeypatch.setattr(Kernel, "parallel", property(lambda self: launched.append(self) or self.serial))
    checks.check_threads(case)
    assert launched or get_num_threads() == 1


def test_undeclared_errors_are_caught() -> None:
    for errors in (
        [((SQUARE, SQUARE), ValueError, "")],
        [((np.ones(2), np.ones(3)), TypeError, "")],
        [((np.ones(2), np.ones(3)), ValueError, "no such text")],
    ):
        with pytest.raises(AssertionError, match="raises"):
            checks.check_errors(toy((by_x, by_w), errors=errors))


def test_missing_gradient_fails_by_name() -> None:
    with pytest.raises(NotImplementedError, match="toy"):
        checks.check_gradient(Case(Op("toy", lambda x, w: x * w), (SQUARE, SQUARE)))


# --- gradcheck ------------------------------------------------------------------------------------------------------


def leaf(values: np.ndarray) -> Any:
    return numgrad.tensor(values).requires_grad_()


@pytest.mark.parametrize("fast", [False, True])
def test_gradcheck(fast: bool) -> None:
    inputs = leaf(SQUARE), leaf(ROW)
    assert gradcheck(toy((by_x, by_w)), inputs, fast_mode=fast)
    assert gradgradcheck(toy((by_x, by_w)), inputs, fast_mode=fast)
    for mistake, vjp in WRONG.items():
        if "1.001" not in mistake:  # within gradcheck's tolerance
            with pytest.raises(GradcheckError, match="Jacobian mismatch"):
                gradcheck(toy(vjp), inputs, fast_mode=fast)
            assert not gradcheck(toy(vjp), inputs, fast_mode=fast, raise_exception=False)


def test_gradcheck_tells_1_001_if_asked() -> None:
    with pytest.raises(GradcheckError):
        gradcheck(toy(WRONG["x too large by 1.001"]), (leaf(SQUARE), leaf(ROW)), rtol=1e-5, atol=1e-7)


def test_gradcheck_reaches_what_the_function_closes_over() -> None:
    x = leaf(SQUARE)
    assert gradcheck(lambda *_: (x * x).sum(), (x,))
    assert np.array_equal(x.detach().numpy(), SQUARE), "the input must be as it was"


def test_gradgradcheck_with_given_gradients() -> None:
    x = leaf(SQUARE)
    assert gradgradcheck(numgrad.exp, (x,), [numgrad.ones(3, 3, dtype=numgrad.float64).requires_grad_()])
    assert gradgradcheck(numgrad.exp, (x,), gen_non_contig_grad_outputs=True)


def test_gradcheck_refuses_what_it_cannot_check() -> None:
    with pytest.raises(ValueError, match="requires_grad"):
        gradcheck(numgrad.exp, (numgrad.tensor(SQUARE),))
    with pytest.raises(RuntimeError, match="stride 0"):
        gradcheck(numgrad.exp, (numgrad.tensor([1.0]).double().expand(3).requires_grad_(),))
    with pytest.warns(UserWarning, match="double precision"):
        assert not gradcheck(numgrad.exp, (leaf(SQUARE.astype(np.float32)),), raise_exception=False)


@pytest.mark.parametrize("fast", [False, True])
def test_gradcheck_of_a_tree(fast: bool) -> None:
    nest = {"w": leaf(SQUARE), "rest": [leaf(ROW), 3]}

    def function(x: Any, nest: Any, scale: float) -> Any:
        return {"y": x @ nest["w"] + nest["rest"][0] * scale, "z": [x.sin()]}

    assert gradcheck(function, (leaf(SQUARE), nest, 2.0), fast_mode=fast)
    assert gradgradcheck(function, (leaf(SQUARE), nest, 2.0), fast_mode=fast)
    last = WRONG["x too large by 1.001"]
    with pytest.raises(GradcheckError, match=r"input 0\['rest'\]\[0\], (.|\n)*index \[\d\] of the input.*analytic .*numeric "):
        gradcheck(lambda nest: toy(last)(nest["rest"][0], leaf(ROW)), (nest,), rtol=1e-5, atol=1e-7, fast_mode=fast)


def test_gradcheck_notices_a_backward_that_is_not_reproducible() -> None:
    calls = iter(range(1000))

    class Drifting(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * (2 + 1e-7 * next(calls))

    with pytest.raises(GradcheckError, match="not reentrant"):
        gradcheck(Drifting.apply, (leaf(ROW),))
    assert gradcheck(Drifting.apply, (leaf(ROW),), nondet_tol=1e-5)


# --- assert_close, make_tensor, strategies --------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "rtol", "atol"), [(numgrad.float32, 1.3e-6, 1e-5), (numgrad.float64, 1e-7, 1e-7)])
def test_assert_close_default_tolerances(dtype: Any, rtol: float, atol: float) -> None:
    """Just inside and just outside of atol + rtol |expected|, at 1000."""
    expected = numgrad.tensor([1000.0], dtype=dtype)
    bound = atol + rtol * 1000
    assert_close(expected + 0.9 * bound, expected)
    with pytest.raises(AssertionError, match="not close"):
        assert_close(expected + 1.15 * bound, expected)


def test_assert_close_compares_structures() -> None:
    a, b = numgrad.tensor([1.0, 2.0]), numgrad.tensor([1.0, 3.0])
    assert_close({"x": [a, 1.0]}, {"x": [a.clone(), 1.0]})
    assert_close(np.float32(1), np.float32(1))
    with pytest.raises(AssertionError, match=r"at key 'x' at index 0(.|\n)*1 / 2 \(50.0%\)(.|\n)*1.0 at index \(1,\)"):
        assert_close({"x": [a]}, {"x": [b]})
    with pytest.raises(AssertionError, match="length"):
        assert_close([a], [a, a])
    with pytest.raises(AssertionError, match="keys"):
        assert_close({"x": a}, {"y": a})
    with pytest.raises(TypeError, match="No comparison pair"):
        assert_close(a, 1.0)
    assert_close(None, None)


def test_assert_close_attributes() -> None:
    a = numgrad.ones(2, 3)
    with pytest.raises(AssertionError, match="shape"):
        assert_close(a, numgrad.ones(3, 2))
    with pytest.raises(AssertionError, match="dtype"):
        assert_close(a, a.double())
    assert_close(a, a.double(), check_dtype=False)
    with pytest.raises(AssertionError, match="stride"):
        assert_close(a, numgrad.ones(3, 2).t(), check_stride=True)
    with pytest.raises(ValueError, match="both"):
        assert_close(a, a, rtol=1e-3)


def test_assert_close_special_values_and_messages() -> None:
    nan, inf = float("nan"), float("inf")
    with pytest.raises(AssertionError):
        assert_close(numgrad.tensor([nan]), numgrad.tensor([nan]))
    assert_close(numgrad.tensor([nan, inf]), numgrad.tensor([nan, inf]), equal_nan=True)
    with pytest.raises(AssertionError):
        assert_close(numgrad.tensor([inf]), numgrad.tensor([-inf]))
    with pytest.raises(AssertionError):
        assert_close(numgrad.tensor([inf]), numgrad.tensor([1.0]), rtol=1.0, atol=1e300)
    with pytest.raises(AssertionError, match="^mine$"):
        assert_close(1.0, 2.0, msg="mine")
    with pytest.raises(AssertionError, match="before: Scalars are not close"):
        assert_close(1.0, 2.0, msg=lambda text: "before: " + text)
    with pytest.raises(AssertionError, match="Expected 3 but got 2"):
        assert_close(numgrad.tensor(2), numgrad.tensor(3))


def test_make_tensor() -> None:
    numgrad.manual_seed(0)
    x = make_tensor(3, 4, dtype=numgrad.float64, low=1, high=2, requires_grad=True)
    assert x.shape == (3, 4) and x.requires_grad and x.is_leaf and float(x.min()) >= 1 and float(x.max()) < 2
    again = make_tensor((3, 4), dtype=numgrad.float64, low=1, high=2)
    assert not numgrad.equal(x.detach(), again), "each call draws anew"
    numgrad.manual_seed(0)
    assert numgrad.equal(x.detach(), make_tensor((3, 4), dtype=numgrad.float64, low=1, high=2))
    whole = make_tensor(1000, dtype=numgrad.uint8, exclude_zero=True)
    assert whole.dtype is numgrad.uint8 and int(whole.min()) == 1 and int(whole.max()) == 9
    assert not make_tensor(3, 4, dtype=numgrad.float32, noncontiguous=True).is_contiguous()
    assert set(make_tensor(100, dtype=numgrad.bool).tolist()) == {True, False}
    with pytest.raises(ValueError, match="requires_grad"):
        make_tensor(3, dtype=numgrad.int64, requires_grad=True)


def test_draw_keeps_its_promises() -> None:
    for seed in range(50):
        draw = numpy_draw(seed, np.float64, 4)
        assert np.all(np.abs(draw.array((50,), -1, 1, avoid=(0, 0.5)) - np.array([[0], [0.5]])) >= 0.0499)
        values = np.sort(draw.array((40,), distinct=True))
        assert np.all(np.diff(values) >= 0.01)
        shape = draw.shape()
        assert np.broadcast_shapes(shape, draw.broadcastable(shape)) == shape


@settings(max_examples=20, derandomize=True, database=None, deadline=None)
@given(tensors(requires_grad=True), tensors(numgrad.int64, (2, 3), low=-2, high=2))
def test_strategy_tensors(x: Any, whole: Any) -> None:
    assert x.dtype is numgrad.float64 and x.requires_grad and x.dim() <= 3 and all(n <= 4 for n in x.shape)
    assert whole.shape == (2, 3) and whole.dtype is numgrad.int64 and int(whole.abs().max()) <= 2


def test_what_is_left_of_numbers_about_one_is_no_gradient() -> None:
    """The correlation of one row with itself is 1 whatever the row: its gradients are roundings of numbers that cancel."""
    checks.check_second_gradient(Case(REGISTRY["corrcoef"], (np.array([-2.25, -0.75, 0.75, 2.25]),)))

@pytest.mark.parametrize(("name", "args"), [("igammac", (1, 8.498893729036835)), ("log_ndtr", (2.4351439185096826,))])
def test_references_that_keep_their_digits(name: str, args: tuple[float, ...]) -> None:
    """One less what is nearly one loses digits, in references too: they need a form of their own there."""
    checks.check_value(Case(REGISTRY[name], tuple(np.array(a) for a in args)))
