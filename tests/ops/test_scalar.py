"""`elementwise`: what Python means, what the op gives, derivatives of any order, and what is refused, with its place."""

from __future__ import annotations

import inspect
import linecache
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import numgrad
from numgrad.jit.translate import TranslationError
from numgrad.ops import REGISTRY
from numgrad.testing import check_op, mutate

SLOPE, HALF = 0.1, np.float32(0.5)


@pytest.fixture(autouse=True)
def _registry() -> Iterator[None]:
    """Ops made here are gone afterwards."""
    known = set(REGISTRY)
    yield
    for name in set(REGISTRY) - known:
        del REGISTRY[name]


def twice(a: float, b: float = 2.0) -> float:
    return a * b + 1


def curve(x: float, w: float, y: float = 1.0) -> float:
    """Constructs that are translated: branches, early returns, locals, other functions, chains, numbers from outside."""
    t: float = x * w
    if t > HALF and not x > 2:
        u = math.exp(-t) * twice(t)
    elif t < -1 or w == 0:
        return SLOPE * t + abs(x) * math.pi
    else:
        u = max(x, w, 0.3) ** 3
    u += numgrad.sigmoid(t) if 1.5 > x > w else -0.0  # type: ignore[arg-type]
    a, b = np.hypot(x, 1.0), (x > 0) * 0.25
    return u / (1 + x**2) + y * a + b


@pytest.mark.interpreted
def test_python_and_the_op_agree_and_gradients_are_proved() -> None:
    check_op(numgrad.elementwise(curve), examples=4)


@pytest.mark.native
def test_the_kernel_computes_what_python_does() -> None:
    op = numgrad.elementwise(curve)
    check_op(op, only=["value of float32", "gradient of float32"], examples=1)
    assert op.__doc__ == curve.__doc__ and inspect.signature(op) == inspect.signature(curve)
    assert REGISTRY["curve"] is op and op.module == __name__


@pytest.mark.interpreted
def test_its_mutants_are_caught() -> None:
    op = numgrad.elementwise(lambda x, w: math.tanh(x) * w + x if x > w else w * w, name="mixed")
    assert mutate(op, seeds=3).survivors == []


def test_values_by_hand() -> None:
    shrink = numgrad.elementwise(lambda x, limit=0.5: x - limit if x > limit else x + limit if x < -limit else 0.0, name="shrink")
    x = numgrad.tensor([-1.0, -0.25, float("nan"), 3.0], requires_grad=True)
    y = shrink(x)
    assert y[:2].tolist() == [-0.5, 0.0] and y[3].item() == 2.5
    y[3].backward(retain_graph=True)
    assert x.grad.tolist() == [0, 0, 0, 1]  # type: ignore[union-attr]
    assert shrink(numgrad.tensor([2, -2]), limit=1).tolist() == [1.0, -1.0]
    assert shrink(numgrad.ones(2, 1), numgrad.zeros(3)).shape == (2, 3)


def test_a_branch_not_taken_sends_no_nan() -> None:
    """log(x) is taken where x > 0 only: elsewhere neither it nor its gradients show."""
    safe = numgrad.elementwise(lambda x: math.log(x) if x > 0 else 0.0, name="safe_log")
    x = numgrad.tensor([0.0, -1.0, 2.0], requires_grad=True)
    (first,) = numgrad.autograd.grad(safe(x).sum(), x, create_graph=True)
    (second,) = numgrad.autograd.grad(first.sum(), x)
    assert first.tolist() == [0, 0, 0.5] and second.tolist() == [0, 0, -0.25]


def test_derivatives_of_any_order() -> None:
    """d^n/dx^n of x**4 * exp(x), by Leibniz' rule."""
    op = numgrad.elementwise(lambda x: x**4 * math.exp(x), name="leibniz")
    x = numgrad.tensor([0.5, -1.25], dtype=numgrad.float64, requires_grad=True)
    found, at = op(x), x.detach().numpy()
    for n in range(1, 4):
        (found,) = numgrad.autograd.grad(found.sum(), x, create_graph=True)
        terms = [math.comb(n, k) * math.perm(4, k) * at ** (4 - k) for k in range(min(n, 4) + 1)]
        assert found.tolist() == pytest.approx(list(sum(terms) * np.exp(at)), rel=1e-12)


def test_it_compiles_into_steps() -> None:
    op = numgrad.elementwise(lambda x, w: math.tanh(x) * w if x > w else w, name="mixed")
    x, w = numgrad.randn(64), numgrad.randn(64)
    step = numgrad.compile(lambda a, b: (op(a, b) * 2 + 1).sum())
    assert [step(x, w).item() for _ in range(4)] == pytest.approx([(op(x, w) * 2 + 1).sum().item()] * 4, rel=1e-5)


def test_names_do_not_collide() -> None:
    """Neither with words of the gradient rules, nor with the kernels' own, nor with ops of that name."""
    op = numgrad.elementwise(lambda g, y, result, needs: g * y * result - needs, name="words")
    values = [numgrad.tensor([v], requires_grad=True) for v in (2.0, 3.0, 5.0, 7.0)]
    op(values[0], needs=values[3], result=values[2], y=values[1]).backward()
    assert [v.grad.item() for v in values] == [15, 10, 6, -1]  # type: ignore[union-attr]

    def relu(x: float) -> float:
        return x if x > 0 else 0.0

    assert numgrad.elementwise(relu).name.endswith("_relu")
    assert numgrad.elementwise(relu).name.endswith("_relu"), "a module that runs again replaces its own"


# --- refused --------------------------------------------------------------------------------------------------------

REFUSED = {
    "while x > 1:\n        x = x - 1\n    return x": (2, "a while loop: while x > 1:"),
    "for i in (1, 2):\n        x = x + i\n    return x": (2, "a for loop"),
    "t = 1\n    return x[0]": (3, r"an index: x\[0\]"),
    "return math.gamma(x)": (2, r"this call of gamma\(\), whose derivative it does not know: math.gamma\(x\)"),
    "return str(x)": (2, r"call of str\(\)"),
    "return print(x)": (2, r"call of print\(\)"),
    "if x > 0:\n        return x": (2, "a path that returns nothing"),
    "return": (2, "a return without a value"),
    "z = [x]\n    return z": (2, "'List'"),
    "return x & 1": (2, "operations on bits"),
    "return x if x is x else 1": (2, "a comparison by 'in' or 'is'"),
    "if x > 0:\n        q = 1\n    return q": (4, "the name 'q', which has no value on every path"),
    "return x + math": (2, "what is not a number but module"),
    "return f(x)": (2, "a function that calls itself"),
    "x.real = 1\n    return x": (2, "an assignment to anything but a name"),
    "return max(x, key=1)": (2, "keywords and starred arguments"),
    "return f'{x}'": (2, "a string"),
}


@pytest.mark.parametrize("body", REFUSED)
def test_what_cannot_be_derived_is_named_with_its_place(body: str) -> None:
    line, reason = REFUSED[body]
    file, source = f"<refused {hash(body)}>", f"def f(x):\n    {body}\n"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    scope: dict[str, Any] = {"math": math, "__name__": "refused"}
    exec(compile(source, file, "exec"), scope)
    with pytest.raises(TranslationError, match=rf"^{file}:{line}: elementwise cannot take .*{reason}"):
        numgrad.elementwise(scope["f"])


def test_what_has_no_source_or_no_parameters_is_refused() -> None:
    with pytest.raises(TypeError, match="expected a Python function"):
        numgrad.elementwise(math.exp)
    with pytest.raises(TranslationError, match="takes no argument"):
        numgrad.elementwise(lambda: 1.0)
    with pytest.raises(TranslationError, match="not an ordinary one"):
        numgrad.elementwise(lambda *x: 1.0)
    scope: dict[str, Any] = {"__name__": "typed"}
    exec("def f(x):\n    return x", scope)
    with pytest.raises(TranslationError, match="source .* cannot be read"):
        numgrad.elementwise(scope["f"])
