"""`gradcheck` of forward mode and of batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numgrad
from numgrad.autograd import Function
from numgrad.testing import GradcheckError, gradcheck, gradgradcheck
from tests.test_testing import ROW, SQUARE, WRONG, by_w, by_x, leaf, toy

FORWARD = {"check_forward_ad": True, "check_backward_ad": False}
EVERYTHING = {"check_forward_ad": True, "check_batched_grad": True, "check_batched_forward_grad": True}


def sine(backward: Any) -> Any:
    """sin, with a backward of (g, x)."""

    class Sine(Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x.sin()

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return backward(g, *ctx.saved_tensors)

    return Sine.apply


@pytest.mark.parametrize("fast", [False, True])
def test_right_rules_pass_in_every_mode(fast: bool) -> None:
    nest = {"w": leaf(SQUARE), "rest": [leaf(ROW), 3]}

    def function(x: Any, nest: Any, scale: float) -> Any:
        return {"y": x @ nest["w"] + nest["rest"][0] * scale, "z": [x.sin().sum(), x.detach() > 0], "n": nest["rest"][1]}

    for func, inputs in ((toy((by_x, by_w)), (leaf(SQUARE), leaf(ROW))), (function, (leaf(SQUARE), nest, 2.0)), (numgrad.exp, (leaf(np.array(0.5)),))):
        assert gradcheck(func, inputs, fast_mode=fast, **EVERYTHING)
        assert gradcheck(func, inputs, fast_mode=fast, **FORWARD)
        assert gradgradcheck(func, inputs, fast_mode=fast, check_fwd_over_rev=True, check_batched_grad=True)
    assert gradcheck(numgrad.exp, (leaf(np.zeros((0, 3))),), fast_mode=fast, **EVERYTHING)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("mistake", [name for name in WRONG if name != "forgets the incoming gradient"])
def test_forward_mode_alone_notices_wrong_rules(mistake: str, fast: bool) -> None:
    inputs = leaf(SQUARE), leaf(ROW)
    with pytest.raises(GradcheckError, match=r"Forward mode: Jacobian mismatch for output 0 with respect to input [01],"):
        gradcheck(toy(WRONG[mistake]), inputs, rtol=1e-5, atol=1e-7, fast_mode=fast, **FORWARD)
    assert not gradcheck(toy(WRONG[mistake]), inputs, rtol=1e-5, atol=1e-7, fast_mode=fast, raise_exception=False, **FORWARD)


#: Right numbers for backward, and yet no rule that forward mode can use.
UNTRACKED = {
    "computes outside of the tape": lambda g, x: numgrad.tensor(g.detach().numpy() * np.cos(x.detach().numpy())),
    "leaves the gradient's part out": lambda g, x: g.detach() * x.cos(),
    "depends on it with the wrong factor": lambda g, x: g.detach() * x.cos() * 0.5 + g * x.cos() * 0.5,
}


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("mistake", UNTRACKED)
def test_what_only_forward_mode_can_notice(mistake: str, fast: bool) -> None:
    func, x = sine(UNTRACKED[mistake]), leaf(SQUARE)
    assert gradcheck(func, (x,), fast_mode=fast)
    with pytest.raises(GradcheckError, match="Forward mode: Jacobian mismatch for output 0 with respect to input 0"):
        gradcheck(func, (x,), fast_mode=fast, check_forward_ad=True)


def test_the_place_is_named() -> None:
    wrong = sine(lambda g, x: g * x.cos() * numgrad.tensor([1.0, 1.0, 0.0]))
    with pytest.raises(GradcheckError, match=r"index \[\d, 2\] of the input, index \[\d, 2\] of the output: analytic 0, numeric -?\d"):
        gradcheck(wrong, (leaf(SQUARE),), **FORWARD)


#: Rules that are right for unit vectors, one at a time, in C order.
UNBATCHED = {
    "not linear": (lambda g, x: g * g.abs() * x.cos(), "gradients: the rule for input 0 is not linear"),
    "believes in a layout": (lambda g, x: numgrad.tensor(g.detach().numpy().ravel("K")).view(3, 3) * x.cos(), "gradients: vmap gives another gradient for input 0"),
}


@pytest.mark.parametrize("mistake", UNBATCHED)
def test_what_only_batches_can_notice(mistake: str) -> None:
    backward, words = UNBATCHED[mistake]
    func, x = sine(backward), leaf(SQUARE)
    assert gradcheck(func, (x,))
    with pytest.raises(GradcheckError, match=f"Batched {words}"):
        gradcheck(func, (x,), check_batched_grad=True)


def test_a_rule_that_remembers_its_calls() -> None:
    calls = iter(range(1000))
    func = sine(lambda g, x: g * x.cos() * (1 if (n := next(calls)) < 11 else 1 + n % 2))  # nine unit vectors, and twice once more, come first
    with pytest.raises(GradcheckError, match=r"Batched gradients: vmap gives another gradient for input 0 .*element 0"):
        gradcheck(func, (leaf(SQUARE),), check_batched_grad=True)


def test_batches_of_tangents() -> None:
    calls = iter(range(1000))
    func = sine(lambda g, x: g * x.cos() * (1 if next(calls) < 12 else 2))  # backward and nine unit vectors come first
    with pytest.raises(GradcheckError, match="Batched tangents: (vmap gives another tangent|the rule) for output 0"):
        gradcheck(func, (leaf(SQUARE),), **FORWARD, check_batched_forward_grad=True)


@pytest.mark.parametrize(("check", "options", "words"), [
    (gradcheck, {"check_backward_ad": False}, "at least one of check_forward_ad or check_backward_ad"),
    (gradcheck, {"check_batched_grad": True, **FORWARD}, "check_batched_grad=True requires check_backward_ad"),
    (gradcheck, {"check_batched_forward_grad": True}, "check_batched_forward_grad=True requires check_forward_ad"),
    (gradgradcheck, {"check_rev_over_rev": False}, "at least one of check_fwd_over_rev or check_rev_over_rev"),
])  # fmt: skip
def test_options_that_contradict_each_other(check: Any, options: dict[str, bool], words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check(numgrad.exp, (leaf(SQUARE),), **options)
