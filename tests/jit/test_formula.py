"""Formulas: their derivatives against numeric ones at 30 digits, and the source they become."""

from __future__ import annotations

import ast
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numgrad.jit import formula

mpmath.mp.dps = 30


def _select(condition: Any, a: Any, b: Any) -> Any:
    return a if condition else b


#: The functions of the language, by an independent library.
EXACT: dict[str, Any] = {
    **{name: getattr(mpmath, name) for name in ("exp", "expm1", "log", "log10", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "atan2",
                                                "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "erfinv", "digamma")},
    "exp2": lambda x: mpmath.mpf(2) ** x, "log2": lambda x: mpmath.log(x, 2), "log1p": lambda x: mpmath.log(1 + x),
    "rsqrt": lambda x: 1 / mpmath.sqrt(x), "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)), "softplus": lambda x: mpmath.log(1 + mpmath.exp(x)),
    "logsigmoid": lambda x: -mpmath.log(1 + mpmath.exp(-x)), "lgamma": mpmath.loggamma, "abs": abs, "sign": mpmath.sign,
    "maximum": max, "minimum": min, "pow": lambda x, y: mpmath.mpf(x) ** y, "floor": mpmath.floor, "ceil": mpmath.ceil,
    "trunc": lambda x: mpmath.floor(abs(x)) * mpmath.sign(x), "fmod": lambda x, y: x - y * (mpmath.floor(abs(x / y)) * mpmath.sign(x / y)),
    "copysign": lambda x, y: abs(x) * (1 if y >= 0 else -1), "where": _select, "round": mpmath.nint, "isnan": lambda x: False,
    "isinf": lambda x: False, "isfinite": lambda x: True, "heaviside": lambda x, y: 0 if x < 0 else 1 if x > 0 else y,
    "polygamma": lambda n, x: mpmath.polygamma(int(n), x), "ndtr": mpmath.ncdf,
    "i0": lambda x: mpmath.besseli(0, x), "i1": lambda x: mpmath.besseli(1, x), "i0e": lambda x: mpmath.besseli(0, x) * mpmath.exp(-abs(x)),
    "i1e": lambda x: mpmath.besseli(1, x) * mpmath.exp(-abs(x)), "erfcx": lambda x: mpmath.exp(x * x) * mpmath.erfc(x),
    "log_ndtr": lambda x: mpmath.log(mpmath.ncdf(x)), "ndtri": lambda x: mpmath.sqrt(2) * mpmath.erfinv(2 * x - 1),
    "nextafter": lambda x, y: x,  # among all real numbers, nothing lies between it and x
}  # fmt: skip
#: Where a function is defined, if not at 0.4 and 0.7.
POINTS = {"acosh": (1.6,), "fmod": (2.3, 0.7), "polygamma": (1, 0.7)}


def value(tree: ast.expr, **variables: Any) -> Any:
    text = ast.unparse(ast.fix_missing_locations(ast.Expression(tree)))
    return mpmath.mpf(eval(text, {"__builtins__": {}}, EXACT | {k: mpmath.mpf(v) for k, v in variables.items()}))


def check_derivative(tree: ast.expr, name: str, variables: dict[str, float]) -> None:
    numeric = mpmath.diff(lambda v: value(tree, **variables | {name: v}), variables[name], h=mpmath.mpf(10) ** -10)
    exact = value(formula.derivative(tree, name), **variables)
    # constants in the rules are written with 16 digits
    assert abs(exact - numeric) <= 1e-13 * (1 + abs(numeric)), (
        f"d/d{name} {ast.unparse(tree)} = {ast.unparse(formula.derivative(tree, name))}"
    )


@pytest.mark.parametrize("function", formula.DERIVATIVES)
def test_every_rule(function: str) -> None:
    count = len(formula.DERIVATIVES[function])
    points = POINTS.get(function, (0.4, 0.7)[:count])
    names = ["x", "z", "w"][:count]
    tree = formula.parse(f"{function}({', '.join(names)})")
    for index, name in enumerate(names):
        if function != "polygamma" or index:
            check_derivative(tree, name, dict(zip(names, points, strict=True)))


@pytest.mark.parametrize("text", [
    "x + z", "x - z", "x * z", "x / z", "-x", "x ** 2", "x ** 3", "x ** -1.5", "x ** z", "x % z", "x // z", "2 ** x", "where(x > z, x * x, z)",
    "where(x > 0, exp(x), log(-x))", "x * sigmoid(1.702 * x)", "0.5 * x * (1 + erf(x * 0.7071067811865476))", "tanh(x) ** 2 / (1 + z * z)",
    "maximum(x, 0) + minimum(z, 0) * x", "log(exp(x) + exp(z))", "floor(x * 3) * x", "x * (x > z)", "atan2(x, z)",
])  # fmt: skip
def test_operators(text: str) -> None:
    tree = formula.parse(text)
    for variables in ({"x": 0.37, "z": 0.81}, {"x": 1.63, "z": 0.59}):
        for name in ("x", "z"):
            check_derivative(tree, name, variables)


def _combined(parts: Any) -> Any:
    pairs = st.tuples(parts, parts)
    return (
        pairs.map(lambda p: f"({p[0]} + {p[1]})") | pairs.map(lambda p: f"({p[0]} - {p[1]})") | pairs.map(lambda p: f"({p[0]} * {p[1]})")
        | pairs.map(lambda p: f"({p[0]} / (2 + sin({p[1]})))") | pairs.map(lambda p: f"where({p[0]} > {p[1]}, {p[0]}, {p[1]} * 2)")
        | parts.map(lambda p: f"tanh({p})") | parts.map(lambda p: f"sin({p})") | parts.map(lambda p: f"exp(-abs({p}))")
        | parts.map(lambda p: f"sqrt(1 + {p} * {p})") | parts.map(lambda p: f"sigmoid({p})") | parts.map(lambda p: f"({p}) ** 2")
    )  # fmt: skip


@settings(max_examples=150, derandomize=True, database=None, deadline=None)
@given(st.recursive(st.sampled_from(["x", "z", "0.5", "3"]), _combined, max_leaves=8))
def test_derivatives_of_random_formulas(text: str) -> None:
    """And those of the derivatives: what is derived is a formula itself."""
    tree, variables = formula.parse(text), {"x": 0.371, "z": -0.813}
    for name in variables:
        check_derivative(tree, name, variables)
        check_derivative(formula.derivative(tree, name), "x", variables)


@pytest.mark.parametrize("step", sorted(formula.STEPS))
def test_steps_have_no_slope(step: str) -> None:
    text = f"{step}(x, z)" if step == "heaviside" else f"{step}(x)"
    assert ast.unparse(formula.derivative(formula.parse(text), "x")) == "0"


def test_derivatives_are_short() -> None:
    """Zeros and ones leave no trace."""
    shown = {
        t: ast.unparse(formula.derivative(formula.parse(t), "x"))
        for t in ("x * z", "x + 3", "z / 2", "3 * x", "exp(x)", "-x")
    }
    assert shown == {"x * z": "z", "x + 3": "1", "z / 2": "0", "3 * x": "3", "exp(x)": "exp(x)", "-x": "-1"}


def test_what_has_no_derivative_says_so() -> None:
    for text in ("x & 3", "~x", "unheard_of(x)"):
        with pytest.raises(ValueError, match="differentiate"):
            formula.derivative(formula.parse(text), "x")
    with pytest.raises(ValueError, match="not an expression"):
        formula.parse("x = 3")


def test_names_cost_and_substitution() -> None:
    tree = formula.parse("z * exp(x) + z")
    assert formula.names(tree) == ["z", "x"]
    assert formula.cost(formula.parse("x + z")) < formula.cost(tree)
    replaced = formula.substitute(tree, {"x": formula.parse("a + 1"), "z": formula.parse("exp")})
    assert ast.unparse(replaced) == "exp * exp(a + 1) + exp", "names of functions stay"
    assert formula.names(tree) == ["z", "x"], "the original is as it was"


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_source_computes_in_one_type(kind: Any) -> None:
    """A bare 0.5 would make float32 arithmetic float64."""
    text = formula.source(formula.parse("0.5 * x + 3 * x ** 2 - -2.5 + x ** 0.5"), np.dtype(kind))
    found = eval(text, {"T": kind, "x": kind(1.7), "sqrt": np.sqrt})
    assert found.dtype == kind
    np.testing.assert_allclose(found, 0.5 * 1.7 + 3 * 1.7**2 + 2.5 + 1.7**0.5, rtol=4 * np.finfo(kind).eps)


def test_source_picks_functions_by_type() -> None:
    tree = formula.parse("maximum(x, z) + x ** z + where(x > 1, x, z)")
    assert formula.source(tree, np.dtype(np.float32)) == "maximum(x, z) + pow(x, z) + select(x > T(1), x, z)"
    assert formula.source(tree, np.dtype(np.int64)) == "max(x, z) + integer_power(x, z) + select(x > T(1), x, z)"
