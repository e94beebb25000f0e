"""`elementwise`: a scalar Python function becomes a fused op on all cores, whose gradients of any order are derived."""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..jit import formula
from ..jit.translate import translate
from ..tensor import wrap
from .elementwise import Pointwise
from .record import REGISTRY, register

#: Names that gradient rules know by another meaning.
_TAKEN = ("g", "y", "needs")


class Elementwise(Pointwise):
    """An op made of a scalar Python function, which is also its reference."""

    def __init__(self, function: Callable[..., Any], name: str, **record: Any):
        self._called: list[Any] = []  # ops, which take tensors
        tree, variables = translate(function, self._formula_of)
        signature = inspect.signature(function).parameters
        defaults = [p.default for p in signature.values() if p.default is not p.empty]
        self.python, self.names = function, list(signature)
        record.setdefault("sample", self._sample)
        super().__init__(name, ast.unparse(tree), variables=variables, defaults=defaults, doc=inspect.getdoc(function) or "",
                         reference=self._evaluate, public=False, method=False, numbers=True, **record)  # fmt: skip
        self.parameters = [f"{n}_" if n in _TAKEN or n.endswith("_shape") else n for n in self.names]

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """As any op, by the function's own names."""
        own = dict(zip(self.names, self.parameters, strict=True))
        return super().bind(args, {own.get(k, k): v for k, v in kwargs.items()})

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.python)

    def _evaluate(self, *operands: Any) -> np.ndarray:
        """The function itself, number by number."""
        operands = np.broadcast_arrays(*operands)
        found = [self._number(numbers) for numbers in zip(*[o.ravel().tolist() for o in operands], strict=True)]
        kind = np.result_type(*operands)
        return np.array(found, kind if kind.kind == "f" else np.float64).reshape(operands[0].shape)

    def _number(self, numbers: Sequence[Any]) -> float:
        try:
            return float(self.python(*[wrap(np.array(n)) for n in numbers] if self._called else numbers))
        except OverflowError:
            return float("inf")
        except (ValueError, ZeroDivisionError):  # outside of a function's domain, where Python refuses
            return float("nan")

    def _formula_of(self, callee: Any) -> tuple[ast.expr, Sequence[str]] | None:
        """The formula of an op that is one."""
        op = getattr(callee, "__wrapped__", callee)
        if not isinstance(op, Pointwise) or op.kind not in ("float", "arithmetic", "number"):
            return None
        for variable in op.variables:
            formula.derivative(op.tree, variable)  # an op whose gradient is only written down cannot be derived
        self._called.append(op)
        return op.tree, op.variables

    # --- inputs to check it with ---

    def _sample(self, draw: Any) -> Any:
        """Operands that broadcast, in the domain, away from where branches meet."""
        args, kwargs = self.sample_operands(draw)
        if self._margin is None or not isinstance(args[0], np.ndarray):
            return args, kwargs
        first, margins = args[0], self._margins(args)
        for _ in range(8):
            if np.all(margins >= 0.05):
                break
            other = draw.array(first.shape, self.low, self.high, self.avoid)
            found = self._margins((other, *args[1:]))
            first = np.where(found > margins, other, first)
            args, margins = (first, *args[1:]), np.maximum(found, margins)
        return args, kwargs

    def _margins(self, args: Sequence[Any]) -> np.ndarray:
        values = {v: np.asarray(a, np.float64) for v, a in zip(self.variables, args, strict=True)}
        assert self._margin is not None
        return np.broadcast_to(_margin_op(self._margin, tuple(self.variables)).compute(*values.values()), args[0].shape)

    @functools.cached_property
    def _margin(self) -> str | None:
        """How far a point is from the nearest kink or jump, as a formula; None where there is none."""
        found = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Compare):
                sides = (node.left, node.comparators[0])
                if not any(isinstance(s, ast.Compare) for s in sides):
                    found.append("abs({} - ({}))".format(*map(ast.unparse, sides)))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                a, *rest = map(ast.unparse, node.args)
                found += _KINKS.get(node.func.id, lambda *_: [])(a, *rest)
            elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.FloorDiv, ast.Mod)):
                found += _KINKS["floor"](f"{ast.unparse(node.left)} / ({ast.unparse(node.right)})")
        unique = list(dict.fromkeys(found))
        return functools.reduce(lambda a, b: f"minimum({a}, {b})", unique) if unique else None


def _whole(a: str) -> list[str]:
    return [f"abs({a} - round({a}))"]


#: function -> formulas of its arguments that are 0 where it has a kink or a jump.
_KINKS: dict[str, Callable[..., list[str]]] = {
    "abs": lambda a: [f"abs({a})"],
    "sign": lambda a: [f"abs({a})"],
    "copysign": lambda a, b: [f"abs({a})", f"abs({b})"],
    "maximum": lambda a, b: [f"abs({a} - ({b}))"],
    "minimum": lambda a, b: [f"abs({a} - ({b}))"],
    "floor": _whole,
    "ceil": _whole,
    "trunc": _whole,
    "round": lambda a: [f"abs(abs({a} - floor({a})) - 0.5)"],
    "fmod": lambda a, b: _whole(f"{a} / ({b})"),
}


@functools.cache
def _margin_op(text: str, variables: tuple[str, ...]) -> Pointwise:
    return Pointwise("margin", text, variables=list(variables))


def elementwise(function: Callable[..., Any] | None = None, *, name: str | None = None, **record: Any) -> Any:
    """Make an op of a scalar function: every element of the result is the function of the elements at its place.

    The function may use arithmetic, comparisons, branches, conditional expressions, local names, numbers from outside (as
    they are now), `math`, NumPy's functions of the same names, min, max, abs, round, ops that are formulas, and other such
    functions. It is translated, not run: operands broadcast, the loop is one kernel on all cores, and gradients of any order
    are derived; min and max share the gradient at ties and keep NaN. What cannot be translated raises TranslationError here.

    `low`, `high` and `avoid` tell `numgrad.testing.check_op` where the function may be tried (default: -3 to 3);
    `errors`, `sample` and `tolerance` are those of `numgrad.ops.op`.
    """
    if function is None:
        return functools.partial(elementwise, name=name, **record)
    if not callable(function) or not hasattr(function, "__code__"):
        raise TypeError(f"elementwise(): expected a Python function, but got {type(function).__name__}")
    return register(Elementwise(function, name or _free_name(function), **record))


def _free_name(function: Callable[..., Any]) -> str:
    """The function's name, or, where an op of another module has it, one with the module's name before it."""
    plain = function.__name__ if function.__name__ != "<lambda>" else f"lambda_{function.__code__.co_firstlineno}"  # type: ignore[attr-defined]
    module = function.__module__.replace(".", "_")
    for found in itertools.chain([plain, f"{module}_{plain}"], (f"{module}_{plain}_{i}" for i in itertools.count(2))):
        if found not in REGISTRY or REGISTRY[found].module == function.__module__:
            return found
    raise AssertionError("unreachable")
