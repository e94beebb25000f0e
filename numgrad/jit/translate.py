"""Scalar Python functions become formulas: their source is run with formulas for numbers.

A branch becomes a `where`, of which both sides are computed and one is taken. What has no counterpart is refused with
the file, the line and the construct.
"""

from __future__ import annotations

import ast
import functools
import inspect
import math
import textwrap
import types
from collections.abc import Callable, Sequence
from typing import Any

from . import formula


class TranslationError(NotImplementedError):
    """A construct that a formula cannot express; the message names file, line and construct."""


#: Nodes of the longest formula: what branches and names make of a short function can grow without bound.
LONGEST = 20_000
#: Functions of `math` and NumPy that are called otherwise in formulas.
_NAMES = {
    "fabs": "abs", "absolute": "abs", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2", "arcsinh": "asinh",
    "arccosh": "acosh", "arctanh": "atanh", "power": "pow", "float_power": "pow", "max": "maximum", "min": "minimum", "float": "",
    "int": "trunc", "rint": "round", "fmax": "maximum", "fmin": "minimum", "float32": "", "float64": "", "fix": "trunc",
}  # fmt: skip
#: Functions made of others.
_MADE: dict[str, tuple[tuple[str, ...], str]] = {
    "hypot": (("a", "b"), "sqrt(a * a + b * b)"),
    "radians": (("a",), "a * 0.017453292519943295"),
    "degrees": (("a",), "a * 57.29577951308232"),
    "cbrt": (("a",), "copysign(pow(abs(a), 0.3333333333333333), a)"),
    "square": (("a",), "a * a"),
    "reciprocal": (("a",), "1 / a"),
    "negative": (("a",), "-a"),
}
_LIBRARIES = ("math", "numpy", "builtins")
_KNOWN = frozenset(formula.DERIVATIVES) | formula.STEPS
_NONE_TAKEN = object()

Condition = ast.Compare | ast.BinOp
Environment = dict[str, Any]


def translate(function: Callable[..., Any], inner: Callable[[Any], tuple[ast.expr, Sequence[str]] | None]) -> tuple[ast.expr, list[str]]:
    """The formula of a scalar function, and its variables, one for each parameter, named `u_` and the parameter's name.

    `inner(callee)` gives the formula and the variables of other things that may be called, or None.
    """
    names = _parameters(function)
    tree = _Reader(function, inner, ()).run([ast.Name(f"u_{n}") for n in names])
    return ast.parse(ast.unparse(tree), mode="eval").body, [f"u_{n}" for n in names]


def _parameters(function: Callable[..., Any]) -> list[str]:
    found = list(inspect.signature(function).parameters.values())
    for p in found:
        if p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            raise TranslationError(f"{_place(function)}: elementwise: parameter {str(p)!r} is not an ordinary one")
    if not found:
        raise TranslationError(f"{_place(function)}: elementwise: {function.__name__}() takes no argument")
    return [p.name for p in found]


def _place(function: Any, line: int | None = None) -> str:
    code = function.__code__
    return f"{code.co_filename}:{line or code.co_firstlineno}"


@functools.cache
def _definition(function: types.FunctionType) -> tuple[ast.FunctionDef | ast.Lambda, str]:
    """The syntax tree of a function, with the line numbers of its file, and its source."""
    try:
        lines, first = inspect.getsourcelines(function)
        source = textwrap.dedent("".join(lines))
        try:
            tree: ast.AST = ast.parse(source)
        except SyntaxError:  # a lambda in the middle of an expression
            tree = ast.parse(f"({source.strip().rstrip(',')})" if source.lstrip().startswith("lambda") else "_ = " + source[source.index("lambda") :])
    except (OSError, TypeError, SyntaxError, ValueError):
        raise TranslationError(f"{_place(function)}: elementwise: the source of {function.__name__}() cannot be read") from None
    kind = ast.Lambda if function.__name__ == "<lambda>" else ast.FunctionDef
    found = [n for n in ast.walk(tree) if isinstance(n, kind) and (kind is ast.Lambda or n.name == function.__name__)]  # type: ignore[attr-defined]
    if kind is ast.Lambda and len(found) > 1:
        raise TranslationError(f"{_place(function)}: elementwise: several lambdas on one line; give it a line of its own")
    if not found:
        raise TranslationError(f"{_place(function)}: elementwise: no definition of {function.__name__}() is found there")
    ast.increment_lineno(tree, first - 1)
    return found[0], source  # type: ignore[return-value]


class _Reader:
    """Runs a function's source on formulas."""

    def __init__(self, function: Callable[..., Any], inner: Callable[[Any], Any], callers: tuple[Any, ...]):
        self.function, self.inner, self.callers = function, inner, (*callers, function.__code__)  # type: ignore[attr-defined]
        self.definition, _ = _definition(function)  # type: ignore[arg-type]
        closed = inspect.getclosurevars(function)
        self.outside = {**closed.builtins, **closed.globals, **closed.nonlocals}

    def refuse(self, node: ast.AST, what: str) -> TranslationError:
        """The error that a construct is refused with."""
        text = ast.unparse(node).splitlines()[0] if not isinstance(node, ast.arguments) else ""
        return TranslationError(f"{_place(self.function, getattr(node, 'lineno', None))}: elementwise cannot take {what}: {text}")

    def run(self, arguments: Sequence[ast.expr]) -> ast.expr:
        """The formula of what the function returns for formulas as arguments."""
        names = [a.arg for a in (*self.definition.args.posonlyargs, *self.definition.args.args)]
        environment: Environment = dict(zip(names, arguments, strict=True))
        if isinstance(self.definition, ast.Lambda):
            return self.value(self.definition.body, environment)
        result = self.block(self.definition.body, environment)
        if result is _NONE_TAKEN:
            raise self.refuse(self.definition, "a path that returns nothing")
        return result

    # --- statements ---

    def block(self, statements: Sequence[ast.stmt], environment: Environment) -> Any:
        """Run statements; what they return, or _NONE_TAKEN."""
        for i, node in enumerate(statements):
            if isinstance(node, ast.Return):
                if node.value is None:
                    raise self.refuse(node, "a return without a value")
                return self.value(node.value, environment)
            if isinstance(node, ast.If):
                if _returns(node):  # what follows belongs to the branches that do not
                    return self.paths(node, statements[i + 1 :], environment)
                self.branch(node, environment)
            else:
                self.statement(node, environment)
        return _NONE_TAKEN

    def paths(self, node: ast.If, rest: Sequence[ast.stmt], environment: Environment) -> Any:
        """A branch in which something is returned, with all that follows it."""
        then = self.block([*node.body, *rest], dict(environment))
        otherwise = self.block([*node.orelse, *rest], dict(environment))
        if then is _NONE_TAKEN or otherwise is _NONE_TAKEN:
            raise self.refuse(node, "a path that returns nothing")
        return self.where(self.condition(node.test, environment), then, otherwise, node)

    def branch(self, node: ast.If, environment: Environment) -> None:
        """A branch that only assigns."""
        test = self.condition(node.test, environment)
        then, otherwise = dict(environment), dict(environment)
        self.block(node.body, then)
        self.block(node.orelse, otherwise)
        for name in then.keys() | otherwise.keys():
            a, b = then.get(name), otherwise.get(name)
            if a is None or b is None:
                environment.pop(name, None)  # set on one side only: to read it is an error
            else:
                environment[name] = a if a is b else self.where(test, a, b, node)

    def statement(self, node: ast.stmt, environment: Environment) -> None:
        """Anything but branches and returns."""
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self.assign(target, node.value, environment)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            self.assign(node.target, node.value, environment)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            value = ast.copy_location(ast.BinOp(ast.copy_location(ast.Name(node.target.id), node), node.op, node.value), node)
            environment[node.target.id] = self.value(value, environment)
        elif not (isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))):
            raise self.refuse(node, _article(node))

    def assign(self, target: ast.expr, value: ast.expr, environment: Environment) -> None:
        """Give a name, or a tuple of names, a value."""
        if isinstance(target, ast.Name):
            environment[target.id] = self.value(value, environment)
        elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            values = [self.value(v, environment) for v in value.elts]
            for name, v in zip(target.elts, values, strict=True):
                if not isinstance(name, ast.Name):
                    raise self.refuse(name, "an assignment to anything but a name")
                environment[name.id] = v
        else:
            raise self.refuse(target, "an assignment to anything but a name")

    # --- expressions ---

    def where(self, test: ast.expr, a: ast.expr, b: ast.expr, node: ast.AST) -> ast.expr:
        """where(test, a, b), unless it has grown too long."""
        made = _call("where", test, a, b)
        if _size(made) > LONGEST:
            raise self.refuse(node, "so many branches: the formula grows beyond all bounds at")
        return made

    def value(self, node: ast.expr, environment: Environment) -> ast.expr:
        """The formula of an expression that is a number."""
        if isinstance(node, ast.Constant):
            return self.number(node.value, node)
        if isinstance(node, ast.Name):
            return self.name(node, environment)
        if isinstance(node, ast.Attribute):
            return self.number(self.object(node), node)
        if isinstance(node, ast.UnaryOp):
            return self.unary(node, environment)
        if isinstance(node, ast.BinOp):
            return self.binary(node, environment)
        if isinstance(node, ast.IfExp):
            sides = self.value(node.body, environment), self.value(node.orelse, environment)
            return self.where(self.condition(node.test, environment), *sides, node)
        if isinstance(node, ast.Call):
            return self.call(node, environment)
        if isinstance(node, ast.Compare):
            return _call("where", self.condition(node, environment), ast.Constant(1), ast.Constant(0))
        if isinstance(node, ast.BoolOp):  # a number too: the first, or the second, as the first decides
            *rest, found = [self.value(v, environment) for v in node.values]
            for v in reversed(rest):
                found = self.where(_nonzero(v), *((found, v) if isinstance(node.op, ast.And) else (v, found)), node)
            return found
        raise self.refuse(node, _article(node))

    def condition(self, node: ast.expr, environment: Environment) -> ast.expr:
        """The formula of an expression that is true or false."""
        if isinstance(node, ast.Compare):
            sides = [self.value(v, environment) for v in (node.left, *node.comparators)]
            for o in node.ops:
                if not isinstance(o, (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)):
                    raise self.refuse(node, "a comparison by 'in' or 'is'")
            parts: list[ast.expr] = [ast.Compare(a, [o], [b]) for a, o, b in zip(sides, node.ops, sides[1:])]
            return functools.reduce(lambda a, b: ast.BinOp(a, ast.BitAnd(), b), parts)
        if isinstance(node, ast.BoolOp):
            operator = ast.BitAnd() if isinstance(node.op, ast.And) else ast.BitOr()
            return functools.reduce(lambda a, b: ast.BinOp(a, operator, b), [self.condition(v, environment) for v in node.values])
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return ast.Compare(self.condition(node.operand, environment), [ast.NotEq()], [_TRUE])
        return _nonzero(self.value(node, environment))

    def name(self, node: ast.Name, environment: Environment) -> ast.expr:
        """A parameter, a local name, or a number from outside."""
        if node.id in environment:
            return environment[node.id]
        if node.id in self.outside:
            return self.number(self.outside[node.id], node)
        raise self.refuse(node, f"the name '{node.id}', which has no value on every path and is no number outside")

    def number(self, value: Any, node: ast.expr) -> ast.expr:
        """A constant; numbers from outside are taken as they are now."""
        if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
            value = value.item()
        if not isinstance(value, (bool, int, float)):
            raise self.refuse(node, f"what is not a number but {type(value).__name__}")
        if isinstance(value, float) and math.isnan(value):
            return ast.BinOp(ast.Constant(math.inf), ast.Sub(), ast.Constant(math.inf))
        positive = ast.Constant(abs(value) if not isinstance(value, bool) else int(value))
        return ast.UnaryOp(ast.USub(), positive) if math.copysign(1, value) < 0 else positive

    def unary(self, node: ast.UnaryOp, environment: Environment) -> ast.expr:
        """-x, +x and not x."""
        if isinstance(node.op, ast.Not):
            return _call("where", self.condition(node, environment), ast.Constant(1), ast.Constant(0))
        if isinstance(node.op, ast.Invert):
            raise self.refuse(node, "operations on bits")
        operand = self.value(node.operand, environment)
        return ast.UnaryOp(ast.USub(), operand) if isinstance(node.op, ast.USub) else operand

    def binary(self, node: ast.BinOp, environment: Environment) -> ast.expr:
        """Arithmetic; small whole powers are products."""
        if not isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)):
            raise self.refuse(node, "operations on bits" if not isinstance(node.op, ast.MatMult) else "a matrix product")
        left, right = self.value(node.left, environment), self.value(node.right, environment)
        if isinstance(node.op, ast.Pow):
            return _power(left, right)
        return ast.BinOp(left, node.op, right)

    # --- calls ---

    def object(self, node: ast.expr) -> Any:
        """What a name, or a chain of attributes, stands for outside of the function."""
        if isinstance(node, ast.Name) and node.id in self.outside:
            return self.outside[node.id]
        if isinstance(node, ast.Attribute):
            owner = self.object(node.value)
            if isinstance(owner, types.ModuleType) and hasattr(owner, node.attr):
                return getattr(owner, node.attr)
        raise self.refuse(node, "a name that is not known outside of the function")

    def call(self, node: ast.Call, environment: Environment) -> ast.expr:
        """A function of `math` or NumPy, an op that is a formula, or a scalar function, whose formula is put in."""
        if node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
            raise self.refuse(node, "keywords and starred arguments in a call")
        if isinstance(node.func, ast.Name) and node.func.id in environment:
            raise self.refuse(node, "a call of a local name")
        callee = self.object(node.func)
        arguments = [self.value(a, environment) for a in node.args]
        found = self.inner(callee)
        if found is not None:
            tree, variables = found
            if len(variables) != len(arguments):
                raise self.refuse(node, f"a call with {len(arguments)} arguments of what takes {len(variables)}")
            return formula.substitute(tree, dict(zip(variables, arguments, strict=True)))
        if isinstance(callee, types.FunctionType) and not _is_library(callee):
            return self.inline(callee, arguments, node)
        return self.library(callee, arguments, node)

    def inline(self, callee: types.FunctionType, arguments: list[ast.expr], node: ast.Call) -> ast.expr:
        """The formula of another scalar function."""
        if callee.__code__ in self.callers:
            raise self.refuse(node, "a function that calls itself")
        names = _parameters(callee)
        defaults = list(callee.__defaults__ or ())
        missing = len(names) - len(arguments)
        if missing < 0 or missing > len(defaults):
            raise self.refuse(node, f"a call with {len(arguments)} arguments of what takes {len(names)}")
        arguments += [self.number(v, node) for v in defaults[len(defaults) - missing :]]
        return _Reader(callee, self.inner, self.callers).run(arguments)

    def library(self, callee: Any, arguments: list[ast.expr], node: ast.Call) -> ast.expr:
        """A function by its name."""
        name = getattr(callee, "__name__", "")
        name = _NAMES.get(name, name) if _is_library(callee) else "?"
        if name == "":
            return arguments[0]
        if name == "bool":
            return _call("where", _nonzero(arguments[0]), ast.Constant(1), ast.Constant(0))
        if name in ("isnan", "isinf", "isfinite"):
            return _call("where", _call(name, *arguments), ast.Constant(1), ast.Constant(0))
        if name in ("maximum", "minimum") and len(arguments) > 1:
            return functools.reduce(lambda a, b: _call(name, a, b), arguments)
        if name == "log" and len(arguments) == 2:
            return ast.BinOp(_call("log", arguments[0]), ast.Div(), _call("log", arguments[1]))
        if name in _MADE and len(arguments) == len(_MADE[name][0]):
            variables, text = _MADE[name]
            return formula.substitute(formula.parse(text), dict(zip(variables, arguments, strict=True)))
        if name == "pow" and len(arguments) == 2:
            return _power(*arguments)
        if name not in _KNOWN or len(arguments) != len(formula.DERIVATIVES.get(name, ("",))):
            raise self.refuse(node, f"this call of {getattr(callee, '__name__', type(callee).__name__)}(), whose derivative it does not know")
        return _call(name, *arguments)


def _is_library(callee: Any) -> bool:
    module = getattr(callee, "__module__", None) or ("numpy" if type(callee).__name__ == "ufunc" else "")
    return module.split(".")[0] in _LIBRARIES


def _returns(node: ast.AST) -> bool:
    return any(isinstance(n, ast.Return) for n in ast.walk(node))


def _article(node: ast.AST) -> str:
    kind = {"For": "a for loop", "While": "a while loop", "Subscript": "an index", "JoinedStr": "a string", "NamedExpr": "an assignment inside of an expression"}
    name = type(node).__name__
    return kind.get(name, f"'{name}'")


def _call(name: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(name), list(arguments), [])


_TRUE = ast.Compare(ast.Constant(1), [ast.Gt()], [ast.Constant(0)])


def _nonzero(a: ast.expr) -> ast.expr:
    return ast.Compare(a, [ast.NotEq()], [ast.Constant(0)])


def _power(a: ast.expr, b: ast.expr) -> ast.expr:
    exponent = b.value if isinstance(b, ast.Constant) else None
    if exponent in (2, 3, 4) and isinstance(a, ast.Name):
        product: ast.expr = a
        for _ in range(int(exponent) - 1):
            product = ast.BinOp(product, ast.Mult(), a)
        return product
    return ast.BinOp(a, ast.Pow(), b)


def _size(tree: ast.expr) -> int:
    return sum(1 for _ in ast.walk(tree))
