"""Every name and keyword that public PyTorch scripts use often is called here, and what comes out is checked.

A line of a table is `setup ;; call => expected`: the call, in numgrad, gives what the NumPy expression gives, and its gradients are
the differences of that expression. `call !! error` is for what numgrad refuses. Programs that are no line are in test_programs.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import numgrad as ng
from numgrad.ops import REGISTRY

from . import references, table, test_programs

LINES = dict(table.lines())


@pytest.fixture(autouse=True)
def in_float64() -> Iterator[None]:
    ng.set_default_dtype(ng.float64)
    yield
    ng.set_default_dtype(ng.float32)


@pytest.mark.interpreted
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_line(line: str) -> None:
    setup, call, expected, refused = table.parts(line)
    scope = references.scope()
    ng.manual_seed(1)
    exec(setup, scope)
    if refused:
        with pytest.raises(eval(expected)):
            eval(call, scope)
        return
    found, wanted = eval(call, scope), eval(expected, scope)
    _check(found, wanted)
    if isinstance(found, ng.Tensor) and found.dtype is ng.float64 and found.grad_fn is not None:
        _check_gradients(found, expected, scope)


def _check(found: Any, wanted: Any) -> None:
    if isinstance(found, ng.Tensor):
        assert isinstance(wanted, (np.ndarray, np.generic, float)), wanted
        array, wanted = found.detach().numpy(), np.asarray(wanted)
        assert array.shape == wanted.shape and array.dtype == wanted.dtype, f"{array.dtype}{array.shape}, not {wanted.dtype}{wanted.shape}"
        np.testing.assert_allclose(array, wanted, 1e-7, 1e-9)
    elif isinstance(found, tuple) and isinstance(wanted, tuple) and any(isinstance(f, ng.Tensor) for f in found):
        for f, w in zip(found, wanted, strict=True):
            _check(f, w)
    else:
        assert np.array_equal(found, wanted) if isinstance(found, np.ndarray) else found == wanted


def _check_gradients(result: Any, expected: str, scope: dict[str, Any]) -> None:
    """The gradients of a weighted sum beside central differences of the expected expression."""
    weights = np.cos(np.arange(result.numel())).reshape(tuple(result.shape))
    leaves = {name: scope[name] for name in references.INPUTS}
    grads = ng.autograd.grad((result * ng.tensor(weights).to(result.dtype)).sum(), list(leaves.values()), allow_unused=True)
    for (name, leaf), grad in zip(leaves.items(), grads, strict=True):
        if grad is None:
            continue
        differences = np.zeros(leaf.shape)
        for at in np.ndindex(*leaf.shape):
            sides = []
            for step in (1e-6, -1e-6):
                moved = references.INPUTS[name].copy()
                moved[at] += step
                sides.append(np.sum(weights * eval(expected, scope | {name.upper(): moved})))
            differences[at] = (sides[0] - sides[1]) / 2e-6
        np.testing.assert_allclose(grad.numpy(), differences, 1e-5, 1e-5, err_msg=f"gradient of {name}")


# --- nothing is left out --------------------------------------------------------------------------------------------


def covered() -> dict[str, set[str]]:
    """The rows that are shown, with the keywords that are."""
    found: dict[str, set[str]] = {}
    for line in LINES.values():
        setup, call, _, _ = table.parts(line)
        scope = references.scope()
        exec(setup, scope)
        for source in (setup, call):
            for name, keywords in table.shown(source, scope):
                found.setdefault(name, set()).update(keywords)
    for _, program in inspect.getmembers(test_programs, inspect.isfunction):
        for row in getattr(program, "shows", ()):
            name, _, keywords = row.partition(" : ")
            found.setdefault(name, set()).update(k for k in keywords.split() if f"{k}=" in inspect.getsource(program))
    return found


def sampled(name: str) -> bool:
    """Whether tests/test_ops.py checks the values and gradients of the op behind a name."""
    owner, _, last = name.rpartition(".")
    if owner == "Tensor" and last.endswith("_"):
        op: Any = REGISTRY.get(last[:-1])
        return op is not None and bool(op.inplace) and _is_checked(op)
    op = REGISTRY.get(last)
    there: Callable[[], bool] = {"": lambda: op.public, "Tensor": lambda: hasattr(ng.Tensor, last), "nn.functional": lambda: True}.get(owner, lambda: False)
    return op is not None and _is_checked(op) and there()


def _is_checked(op: Any) -> bool:
    return op.sample is not None and op.reference is not None and not op.random


@pytest.mark.interpreted
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_every_row_is_shown_with_its_keywords() -> None:
    found = covered()
    missing = {
        name: sorted(keywords - found.get(name, set()))
        for name, keywords in table.rows().items()
        if keywords - found.get(name, set()) or (name not in found and not sampled(name))
    }
    assert not missing, f"{len(missing)} rows: {missing}"
