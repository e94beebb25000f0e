"""Formulas: one line of arithmetic as a syntax tree, which can be differentiated, and written out as kernel source.

The language: names, numbers, + - * / // % ** & | ^ << >> ~, comparisons, `where(condition, a, b)` and the functions of
`DERIVATIVES` and `STEPS`. Both sides of a `where` are computed and one is taken, so that loops vectorise.
"""

from __future__ import annotations

import ast
import functools

import numpy as np

#: function -> derivatives with respect to each argument; a, b are the arguments, y the function's value.
DERIVATIVES: dict[str, tuple[str, ...]] = {
    "exp": ("y",),
    "exp2": ("y * 0.6931471805599453",),
    "expm1": ("y + 1",),
    "log": ("1 / a",),
    "log2": ("1.4426950408889634 / a",),
    "log10": ("0.4342944819032518 / a",),
    "log1p": ("1 / (1 + a)",),
    "sqrt": ("0.5 / y",),
    "rsqrt": ("-0.5 * y / a",),
    "sin": ("cos(a)",),
    "cos": ("-sin(a)",),
    "tan": ("1 + y * y",),
    "asin": ("rsqrt(1 - a * a)",),
    "acos": ("-rsqrt(1 - a * a)",),
    "atan": ("1 / (1 + a * a)",),
    "atan2": ("b / (a * a + b * b)", "-a / (a * a + b * b)"),
    "sinh": ("cosh(a)",),
    "cosh": ("sinh(a)",),
    "tanh": ("1 - y * y",),
    "asinh": ("rsqrt(1 + a * a)",),
    "acosh": ("rsqrt(a * a - 1)",),
    "atanh": ("1 / (1 - a * a)",),
    "sigmoid": ("y * (1 - y)",),
    "softplus": ("sigmoid(a)",),
    "logsigmoid": ("sigmoid(-a)",),
    "erf": ("1.1283791670955126 * exp(-a * a)",),
    "erfc": ("-1.1283791670955126 * exp(-a * a)",),
    "ndtr": ("0.3989422804014327 * exp(-0.5 * a * a)",),
    "erfinv": ("0.886226925452758 * exp(y * y)",),
    "lgamma": ("digamma(a)",),
    "digamma": ("polygamma(1, a)",),
    "polygamma": ("0", "polygamma(a + 1, b)"),
    "i0": ("i1(a)",),
    "i1": ("where(a == 0, 0.5, i0(a) - y / where(a == 0, 1, a))",),
    "i0e": ("i1e(a) - sign(a) * y",),
    "i1e": ("where(a == 0, 0.5, i0e(a) - y * (sign(a) + 1 / where(a == 0, 1, a)))",),
    "erfcx": ("2 * a * y - 1.1283791670955126",),
    "log_ndtr": ("0.7978845608028654 / erfcx(-0.7071067811865476 * a)",),
    "ndtri": ("2.5066282746310002 * exp(0.5 * y * y)",),
    "abs": ("sign(a)",),
    # ties share the gradient; where one is NaN, so is the result, and both get it
    "maximum": ("where(a == b, 0.5, where(a < b, 0, 1))", "where(a == b, 0.5, where(b < a, 0, 1))"),
    "minimum": ("where(a == b, 0.5, where(a > b, 0, 1))", "where(a == b, 0.5, where(b > a, 0, 1))"),
    "fmod": ("1", "-trunc(a / b)"),
    "pow": ("where(b == 0, 0, b * pow(a, b - 1))", "where((a == 0) & (b >= 0), 0, y * log(a))"),
    "nextafter": ("1", "0"),
    "copysign": ("where(a == 0, 0, sign(a) * copysign(1, b))", "0"),
}

#: functions that are constant almost everywhere
STEPS = frozenset({"sign", "floor", "ceil", "trunc", "round", "isnan", "isinf", "isfinite", "heaviside"})

_CHEAP = STEPS | {"abs", "maximum", "minimum", "sqrt", "where", "copysign", "nextafter"}
_NEARBY = {"sin", "cos"}
_ZERO, _ONE = ast.Constant(0), ast.Constant(1)


@functools.cache
def parse(text: str) -> ast.expr:
    """The syntax tree of a formula."""
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"formula {text!r} is not an expression: {error.msg}") from None


def names(tree: ast.AST) -> list[str]:
    """The variables of a formula, in order of first appearance."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called]
    found.sort(key=lambda node: (node.lineno, node.col_offset) if hasattr(node, "lineno") else (0, 0))
    return list(dict.fromkeys(node.id for node in found))


def cost(tree: ast.AST) -> int:
    """Element operations of a formula: 1 an arithmetic operation, 8 a transcendental function."""
    calls = [node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    return 1 + sum(isinstance(node, ast.BinOp) for node in ast.walk(tree)) + sum(1 if c in _CHEAP else 8 for c in calls)


def substitute(tree: ast.expr, values: dict[str, ast.expr]) -> ast.expr:
    """The formula with variables replaced by formulas."""

    class Replace(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.expr:
            return ast.Call(node.func, [self.visit(a) for a in node.args], [])

        def visit_Name(self, node: ast.Name) -> ast.expr:
            return values.get(node.id, node)

    return Replace().visit(_copy(tree))


def _copy(tree: ast.expr) -> ast.expr:
    return ast.parse(ast.unparse(tree), mode="eval").body


# --- building, simplified -------------------------------------------------------------------------------------------


def _is(tree: ast.expr, value: float) -> bool:
    return isinstance(tree, ast.Constant) and not isinstance(tree.value, bool) and tree.value == value


def _add(a: ast.expr, b: ast.expr) -> ast.expr:
    return b if _is(a, 0) else a if _is(b, 0) else ast.BinOp(a, ast.Add(), b)


def _subtract(a: ast.expr, b: ast.expr) -> ast.expr:
    return a if _is(b, 0) else _negate(b) if _is(a, 0) else ast.BinOp(a, ast.Sub(), b)


def _negate(a: ast.expr) -> ast.expr:
    return _ZERO if _is(a, 0) else ast.UnaryOp(ast.USub(), a)


def multiply(a: ast.expr, b: ast.expr) -> ast.expr:
    """The product of two formulas."""
    if _is(a, 0) or _is(b, 0):
        return _ZERO
    return b if _is(a, 1) else a if _is(b, 1) else ast.BinOp(a, ast.Mult(), b)


def _divide(a: ast.expr, b: ast.expr) -> ast.expr:
    return _ZERO if _is(a, 0) else a if _is(b, 1) else ast.BinOp(a, ast.Div(), b)


def _call(name: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(name), list(arguments), [])


def nearby(tree: ast.expr) -> tuple[ast.expr, list[str]]:
    """The formula with each function of a variable alone that has a shorter form for values near zero in that form, and the
    variables that must be near zero then (`vmath.angle.NEAR` says how near).
    """
    found = []

    class Replace(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.expr:
            arguments = [self.visit(a) for a in node.args]
            if node.func.id in _NEARBY and isinstance(arguments[0], ast.Name):  # type: ignore[attr-defined]
                found.append(arguments[0].id)
                return _call(f"{node.func.id}_near", *arguments)  # type: ignore[attr-defined]
            return ast.Call(node.func, arguments, [])

    return Replace().visit(_copy(tree)), list(dict.fromkeys(found))


# --- differentiation ------------------------------------------------------------------------------------------------


def derivative(tree: ast.expr, name: str) -> ast.expr:
    """The derivative of a formula with respect to one variable; raises ValueError where there is none."""
    if isinstance(tree, ast.Constant):
        return _ZERO
    if isinstance(tree, ast.Name):
        return _ONE if tree.id == name else _ZERO
    if name not in names(tree):
        return _ZERO
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return _negate(derivative(tree.operand, name))
    if isinstance(tree, ast.BinOp):
        return _of_operator(tree, name)
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
        return _of_call(tree, name)
    if isinstance(tree, ast.Compare):
        return _ZERO
    raise ValueError(f"cannot differentiate {ast.unparse(tree)!r}")


def _of_operator(tree: ast.BinOp, name: str) -> ast.expr:
    a, b, operator = tree.left, tree.right, type(tree.op)
    da, db = derivative(a, name), derivative(b, name)
    if operator is ast.Add:
        return _add(da, db)
    if operator is ast.Sub:
        return _subtract(da, db)
    if operator is ast.Mult:
        return _add(multiply(da, b), multiply(a, db))
    if operator is ast.Div:
        return _subtract(_divide(da, b), _divide(multiply(multiply(a, db), _ONE), ast.BinOp(b, ast.Mult(), b)))
    if operator is ast.Pow:
        if isinstance(b, ast.Constant):
            rest = a if b.value == 2 else ast.BinOp(a, ast.Pow(), ast.Constant(b.value - 1))
            return multiply(multiply(b, rest), da)
        return _of_call(_call("pow", a, b), name)
    if operator is ast.Mod:
        return _subtract(da, multiply(_call("floor", ast.BinOp(a, ast.Div(), b)), db))
    if operator is ast.FloorDiv:
        return _ZERO
    raise ValueError(f"cannot differentiate {ast.unparse(tree)!r}")


def _of_call(tree: ast.Call, name: str) -> ast.expr:
    function, arguments = tree.func.id, tree.args  # type: ignore[attr-defined]
    if function in STEPS:
        return _ZERO
    if function == "where":
        then, otherwise = derivative(arguments[1], name), derivative(arguments[2], name)
        if _is(then, 0) and _is(otherwise, 0):
            return _ZERO
        return _call("where", arguments[0], then, otherwise)
    if function not in DERIVATIVES:
        raise ValueError(f"cannot differentiate {function}() in a formula")
    total: ast.expr = _ZERO
    values = dict(zip("ab", arguments, strict=False)) | {"y": tree}
    for argument, rule in zip(arguments, DERIVATIVES[function], strict=True):
        inner = derivative(argument, name)
        if not _is(inner, 0):
            total = _add(total, multiply(substitute(parse(rule), values), inner))
    return total


# --- source ---------------------------------------------------------------------------------------------------------


class _Writer(ast.NodeTransformer):
    """Casts literals to the type computed in, and picks functions by it."""

    def __init__(self, kind: str):
        self.kind = kind

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return _call("T", node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            return _call("T", node)
        return ast.UnaryOp(node.op, self.visit(node.operand))

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        if isinstance(node.op, ast.Pow):
            base = self.visit(node.left)
            if _is(node.right, 2):
                return ast.BinOp(base, ast.Mult(), base)
            if _is(node.right, 0.5):
                return _call("sqrt", base)
            return _call("integer_power" if self.kind in "iu" else "pow", base, self.visit(node.right))
        return ast.BinOp(self.visit(node.left), node.op, self.visit(node.right))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        function = node.func.id  # type: ignore[attr-defined]
        arguments = [self.visit(a) for a in node.args]
        if self.kind in "iub":
            return self._of_integers(function, arguments)
        return _call("select" if function == "where" else function, *arguments)

    def _of_integers(self, function: str, arguments: list[ast.expr]) -> ast.expr:
        """Functions that mean something simpler for integers."""
        if function in ("floor", "ceil", "trunc", "round") or (function == "sign" and self.kind == "b"):
            return arguments[0]
        if function == "sign":
            above, below = (ast.Compare(arguments[0], [o], [_call("T", _ZERO)]) for o in (ast.Gt(), ast.Lt()))
            return ast.BinOp(_call("T", above), ast.Sub(), _call("T", below))
        names = {"where": "select", "maximum": "max", "minimum": "min", "pow": "integer_power"}
        return _call(names.get(function, function), *arguments)


def source(tree: ast.expr, compute: np.dtype) -> str:
    """The formula as Python source for a kernel that computes in dtype `compute`, named T there."""
    return ast.unparse(ast.fix_missing_locations(_Writer(compute.kind).visit(_copy(tree))))


