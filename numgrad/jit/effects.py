"""Which of its arguments a kernel writes, read off its source: what the order of launches may depend on."""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import json
import textwrap
import types
from typing import Any

from .cache import remembered
from .kernel import DISABLED, Kernel

#: Modules whose functions write nothing that is given to them, when called inside kernels.
_PURE = ("numpy", "math", "numgrad.jit.vmath", "numgrad.jit.simd", "numgrad.jit.search", "numgrad.jit.total", "numgrad.jit.intrinsics")


@functools.cache
def writes(kernel: Kernel) -> frozenset[int]:
    """Positions of the arguments that a kernel may write; what cannot be followed (addresses) counts as written."""
    if kernel.writes:
        names = kernel.function.__code__.co_varnames
        return frozenset(map(names.index, kernel.writes))
    if DISABLED:
        return _written(kernel.function)
    return frozenset(json.loads(remembered("writes", kernel.function, lambda: json.dumps(sorted(_written(kernel.function))))))


@functools.cache
def _written(function: Any) -> frozenset[int]:
    if named := vars(function).get("writes"):
        return frozenset(map(function.__code__.co_varnames.index, named))
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, TypeError, SyntaxError):
        return frozenset(range(function.__code__.co_argcount))
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    visitor = _Visitor(function.__globals__, {name: frozenset([i]) for i, name in enumerate(names)})
    for _ in range(2):  # a second time for names that a loop assigns after it uses them
        for statement in tree.body:  # type: ignore[attr-defined]
            visitor.visit(statement)
    return frozenset(visitor.found)


class _Visitor(ast.NodeVisitor):
    """Follows which names stand for the memory of which arguments."""

    def __init__(self, scope: dict[str, Any], aliases: dict[str, frozenset[int]]):
        self.scope, self.aliases, self.found = scope, aliases, set()

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self._assign(target, node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        if isinstance(node.target, ast.Subscript):
            self.found |= self._memory(node.target.value)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Subscript):
            self.found |= self._memory(target.value)
        elif isinstance(target, ast.Name):
            self.aliases[target.id] = self.aliases.get(target.id, frozenset()) | self._memory(value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            values = value.elts if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts) else [value] * len(target.elts)
            for part, source in zip(target.elts, values, strict=True):
                self._assign(part, source)

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        given = [self._memory(a) for a in node.args]
        callee = self._callee(node.func)
        if callee is None:
            return
        inner = getattr(callee, "py_func", callee)
        if isinstance(inner, types.FunctionType) and not _is_pure(inner):
            for position in _written(inner):
                if position < len(given):
                    self.found |= given[position]
        elif not _is_pure(inner):
            self.found |= frozenset().union(*given)

    def _callee(self, function: ast.expr) -> Any:
        """What is called, if it is a name; methods of arrays, and attributes of modules, write nothing."""
        if isinstance(function, ast.Name):
            return self.scope.get(function.id, getattr(builtins, function.id, None))
        return None

    def _memory(self, value: ast.expr) -> frozenset[int]:
        """The arguments whose memory an expression stands for: a name, a part, a method's result, an address."""
        if isinstance(value, ast.Name):
            return self.aliases.get(value.id, frozenset())
        if isinstance(value, ast.Subscript):
            return self._memory(value.value)  # a row of a matrix is memory as much as a slice is
        if isinstance(value, ast.IfExp):
            return self._memory(value.body) | self._memory(value.orelse)
        if isinstance(value, ast.BinOp):  # an address and an offset
            return self._memory(value.left) | self._memory(value.right)
        if isinstance(value, (ast.Tuple, ast.List)):
            return frozenset().union(*[self._memory(e) for e in value.elts])
        if isinstance(value, ast.Call):
            if isinstance(value.func, ast.Attribute):
                return self._memory(value.func.value)
            callee = self._callee(value.func)
            inner = getattr(callee, "py_func", callee)
            return frozenset() if callee is None or _is_pure(inner) else frozenset().union(*[self._memory(a) for a in value.args])
        return frozenset()


def _is_pure(function: Any) -> bool:
    module = getattr(function, "__module__", None) or ""
    return module.startswith(_PURE) or module in ("builtins", "numba.core.types") or isinstance(function, type)
