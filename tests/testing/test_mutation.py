"""Mutants: what a good sample catches, what a blind one lets pass, and what is no mistake at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numgrad
from numgrad.ops import REGISTRY
from numgrad.ops.record import Op
from numgrad.testing import CheckError, check_op, checks_of, mutate, twin
from numgrad.testing.gradients import GradientError


def _pair(draw: Any) -> Any:
    shape = draw.shape(2, 2, 2)
    return (draw.array(shape), draw.array(shape)), {}


def _curve(sample: Any) -> Op:
    """sin(x) * w + x."""
    rules = (lambda g, x, w: g * (x.cos() * w + 1), lambda g, x: g * x.sin())
    return Op("curve", lambda x, w: np.sin(x) * w + x, vjp=rules, reference=lambda x, w: np.sin(x) * w + x, sample=sample)


def test_every_mistake_is_planted_and_caught() -> None:
    found = mutate(_curve(_pair))
    assert not found.survivors and not any(m.equivalent for m in found), str(found)
    kinds = {m.mistake for m in found if m.place.parameter == 0}
    assert {"deleted", "sign", "factor", "swapped", "wrong axis"} < kinds
    assert {f"dropped term ({side} of addition 1)" for side in ("left", "right")} < kinds
    assert "13 mutants, 13 caught, 0 survived" in found.tally()
    assert all("gradient" in m.caught_by for m in found)


def test_blind_checks_let_mutants_pass() -> None:
    """A tolerance of 1 % does not see a factor of 1.001; and what changes nothing is no mistake."""
    blunt = _curve(_pair)
    blunt.tolerance = 1e7  # times the 1e-9 that gradients may be off
    found = mutate(blunt, seeds=2, thorough=True)
    assert {m.mistake for m in found.survivors} == {"factor"} and "2 survived" in found.tally()
    assert "SURVIVED" in str(found.survivors[0])
    assert all(m.caught_by[0] == "gradient" for m in found if m.mistake == "sign")
    ones = np.ones((2, 2))
    alike = Op("alike", lambda x, w: x * w, vjp=(lambda g, w: g * w, lambda g, x: g * x), sample=lambda draw: ((ones, ones), {}))
    assert "swapped" in {m.mistake for m in mutate(alike, seeds=2).survivors}, "a sample with x = w does not tell them apart"
    total = Op("total", lambda x, w: x + w, vjp=(lambda g: g, lambda g: g), sample=_pair)
    assert [m.equivalent for m in mutate(total, seeds=2) if m.mistake == "swapped"] == [True, True], "g is g"


def test_mutants_of_sequences_dims_formulas_and_inner_rules() -> None:
    stacked = mutate(REGISTRY["cat"])
    assert {m.mistake for m in stacked if m.place.op.name == "cat_parts"} >= {"swapped", "wrong axis"} and not [
        m for m in stacked.survivors if m.place.op.name == "cat_parts"
    ]
    formula = mutate(numgrad.tanh)  # type: ignore[arg-type]
    assert any(m.mistake == "dropped term (1 - y * y is 1)" and m.caught_by for m in formula), str(formula)
    assert not formula.survivors


def test_rules_are_as_before() -> None:
    op = _curve(_pair)
    rules = op.vjp
    mutate(op)
    assert op.vjp is rules
    check_op(op, examples=2)


# --- check_op and its errors ----------------------------------------------------------------------------------------


def test_check_op_pinpoints_and_repeats() -> None:
    rules = (lambda g, x, w: g * (x.cos() * w + 1), lambda g, x: g * x.sin() * numgrad.tensor([1.0, 1.0, 0.999]).double())
    op = Op("curve", lambda x, w: np.sin(x) * w + x, vjp=rules, reference=lambda x, w: np.sin(x) * w + x,
            sample=lambda draw: ((draw.array((2, 3)), draw.array((2, 3))), {}))  # fmt: skip
    with pytest.raises(CheckError, match=r"^curve: gradient: input 1 \(w\), index \[\d, 2\]: backward gives") as caught:
        check_op(op)
    cause = caught.value.__cause__
    assert isinstance(cause, GradientError) and cause.input == 1 and cause.index is not None and cause.index[1] == 2
    assert cause.analytic / cause.numeric == pytest.approx(0.999, rel=1e-6)  # type: ignore[operator]
    again = str(caught.value).splitlines()[-1].removeprefix("    again: ")
    with pytest.raises(CheckError) as repeated:
        eval(again, {"check_op": check_op, "curve": op})
    assert str(repeated.value) == str(caught.value)


def test_check_op_says_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="no check is called 'graident'"):
        check_op(numgrad.exp, only="graident")
    with pytest.raises(TypeError, match="expected an op"):
        check_op(print)  # type: ignore[arg-type]
    with pytest.raises(CheckError, match="declares no sample"):
        check_op(Op("bare", lambda x: x))
    assert "third gradient" not in checks_of(REGISTRY["exp"]) and "in place" in checks_of(REGISTRY["exp"])


def test_twin_is_the_reference() -> None:
    x = numgrad.tensor([[1.0, 2.0], [3.0, 5.0]])
    assert twin(numgrad.softmax)(x, 1).tolist() == pytest.approx(numgrad.softmax(x, 1).double().numpy(), rel=1e-6)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no reference"):
        twin(Op("bare", lambda x: x))
