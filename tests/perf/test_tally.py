"""The comparison with PyTorch, where PyTorch is not: numgrad agrees with itself, and what is made to differ is found."""

from __future__ import annotations

import numpy as np
import pytest

import numgrad
from perf.agreement import Call, Failure, answer
from perf.agreement_cases import modules, optimizers, prunings
from perf.tally import differences, ops

MODULES = [c for c in modules() if c.name in ("Linear", "BatchNorm1d", "LSTM")]


@pytest.mark.parametrize("call", [*ops(1, "^(sort|div|kron)$"), *MODULES[::4], *[c for c in optimizers() if c.name in ("SGD", "LBFGS")], *list(prunings())[3::9]], ids=lambda c: c.name)
def test_numgrad_agrees_with_itself(call: Call) -> None:
    first = answer(numgrad, call)
    assert not isinstance(first.get("result"), Failure)
    assert list(differences(call, first, answer(numgrad, call))) == []


def test_what_differs_is_found() -> None:
    call = Call("op", "mul", (np.array([1.0, 2.0]), np.array([3.0, 4.0])), {})
    right = answer(numgrad, call)
    assert right["result"][0].tolist() == [3, 8] and right["differentiable"] == 1
    assert [np.isfinite(g).all() for g in right["gradient"]] == [True, True]
    assert right["result overwritten"][0].tolist() == (2 * right["gradient"][0]).tolist()
    for part in ("result", "gradient", "second gradient"):
        wrong = right | {part: [right[part][0] * 1.00001, *right[part][1:]]}
        assert [line.split(":")[0] for line in differences(call, wrong, right)] == [part]
    narrow = right | {"result": [right["result"][0].astype(np.float32)]}
    assert "float32[2], PyTorch float64[2]" in next(differences(call, narrow, right))
    failed = {"result": Failure("RuntimeError", ["RuntimeError", "Exception"], "no")}
    assert "numgrad raises RuntimeError" in next(differences(call, failed, right))
    assert "PyTorch raises RuntimeError" in next(differences(call, right, failed))


def test_exceptions_agree_by_their_type() -> None:
    call = Call("error", "mul", (np.ones(2), np.ones(3)), {})
    found = answer(numgrad, call)
    assert found["error"].type == "RuntimeError"
    derived = {"error": Failure("NotImplementedError", ["NotImplementedError", "RuntimeError"], "")}
    assert list(differences(call, found, derived)) == [] and list(differences(call, derived, found)) == []
    assert len(list(differences(call, found, {"error": Failure("IndexError", ["IndexError"], "")}))) == 1
    assert len(list(differences(call, found, {"error": "none"}))) == 1
