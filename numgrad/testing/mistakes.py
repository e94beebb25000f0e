"""The mistakes that `mutate` plants: for one rule of an op, the op's rules with that one changed."""

from __future__ import annotations

import ast
import copy
import dis
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..jit import formula
from ..ops.elementwise import Pointwise, Rule
from ..ops.record import Op, rule_arguments
from ..tensor import Tensor

#: Additions of one rule that are tried.
TERMS = 3


class Plant:
    """An op's rules with a mistake among them; `altered` tells, once they have run, if it ever made a difference."""

    def __init__(self, mistake: str):
        self.mistake, self.altered = mistake, False
        self.rules: Any = None
        self.shapes: list[tuple[int, ...]] = []  # of the inputs that the gradients go to, in the call at hand

    def noting(self, before: Any, after: Any) -> Any:
        """`after`, having looked whether it differs from what the unchanged rule gives."""
        if not self.altered:
            a, b = ([g for g in _flat(tree) if g is not None] for tree in (before, after))
            self.altered = len(a) != len(b) or any(_differ(p, q, self.shapes) for p, q in zip(a, b, strict=True))
        return after


def _flat(tree: Any) -> list[Any]:
    return [g for part in tree for g in _flat(part)] if isinstance(tree, (tuple, list)) else [tree]


def _differ(a: Any, b: Any, shapes: list[tuple[int, ...]]) -> bool:
    """Whether two gradients differ by more than rounding, once summed over what was broadcast."""
    x, y = (v._data if isinstance(v, Tensor) else np.asarray(v) for v in (a, b))
    if x.shape == y.shape and len(shapes) == 1:
        x, y = (_summed(v, shapes[0]) for v in (x, y))
    if x.shape != y.shape:
        return True
    with np.errstate(all="ignore"):
        scale = np.max(np.abs(x[np.isfinite(x)]), initial=0) if x.dtype.kind == "f" else 0
        return not bool(np.all((np.abs(x - y) <= 1e-12 * scale) | (x == y) | (np.isnan(x) & np.isnan(y))))


def _summed(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    lead = x.ndim - len(shape)
    axes = (*range(lead), *(i + lead for i, n in enumerate(shape) if n == 1 and x.shape[i + lead] != 1))
    return np.sum(x, axis=axes, keepdims=True) if lead >= 0 and axes else x


def plants(op: Op, parameter: int) -> Iterator[Plant]:
    """Every mistake that can be made in the rule for one parameter."""
    whole = callable(op.vjp)
    rules = op.vjp if whole else op.rules(len(op.parameters))
    rule = rules if whole else rules[parameter]
    for name, change in CHANGES.items():
        yield _planted(name, rules, parameter, rule, change)
    yield from _swapped(rules, parameter)
    yield from _on_another_axis(rules, parameter, rule)
    yield from _dropped(op, rules, parameter, rule)


def _each(gradient: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(gradient, (tuple, list)):
        return type(gradient)(_each(g, change) for g in gradient)
    return None if gradient is None else change(gradient)


CHANGES: dict[str, Callable[[Any], Any]] = {
    "deleted": lambda g: None,
    "sign": lambda g: -g,
    "factor": lambda g: g * 1.001,
}


def _planted(name: str, rules: Any, parameter: int, rule: Any, change: Callable[[Any], Any]) -> Plant:
    """A plant that changes what the rule gives."""
    plant = Plant(name)

    def mutant(*args: Any) -> Any:
        received = rule(*args)
        if rule is not rules:
            return plant.noting(received, _each(received, change))
        return plant.noting(received, _at(received, parameter, change))

    return _completed(plant, rules, parameter, mutant, rule)


def _completed(plant: Plant, rules: Any, parameter: int, mutant: Any, rule: Any) -> Plant:
    """The plant with the mutant at the rule's place, asking for what the rule asks for."""
    mutant.arguments = tuple(rule_arguments(rule))
    plant.rules = mutant if rule is rules else tuple(mutant if i == parameter else r for i, r in enumerate(rules))
    return plant


def _at(received: Any, index: int, change: Callable[[Any], Any]) -> Any:
    if not isinstance(received, tuple):
        return _each(received, change)
    return tuple(_each(g, change) if i == index else g for i, g in enumerate(received))


# --- swapped --------------------------------------------------------------------------------------------------------


def _swapped(rules: Any, parameter: int) -> Iterator[Plant]:
    """The gradient of the next input that has one; or, in a sequence of tensors, the gradients in reverse."""
    plant = Plant("swapped")
    if callable(rules):

        def all_swapped(*args: Any) -> Any:
            received = rules(*args)
            return plant.noting(received, _exchanged(received, parameter))

        yield _completed(plant, rules, parameter, all_swapped, rules)
        return
    given = [i for i, r in enumerate(rules) if r is not None]
    other = given[(given.index(parameter) + 1) % len(given)]
    own, foreign = rules[parameter], rules[other]
    arguments = tuple(dict.fromkeys([*rule_arguments(own), *rule_arguments(foreign)]))

    def one_swapped(*args: Any) -> Any:
        named = dict(zip(arguments, args, strict=True))
        before = own(*[named[n] for n in rule_arguments(own)])
        after = foreign(*[named[n] for n in rule_arguments(foreign)]) if foreign is not own else _exchanged(before, 0)
        return plant.noting(before, after)

    one_swapped.arguments = arguments  # type: ignore[attr-defined]
    plant.rules = tuple(one_swapped if i == parameter else r for i, r in enumerate(rules))
    yield plant


def _exchanged(received: Any, index: int) -> Any:
    """With the entry at an index exchanged for the next that is there; a sequence inside reversed."""
    if not isinstance(received, (tuple, list)):
        return received
    if index < len(received) and isinstance(received[index], (tuple, list)):
        return tuple(tuple(reversed(g)) if i == index else g for i, g in enumerate(received))
    given = [i for i, g in enumerate(received) if g is not None]
    if index not in given:
        return received
    other = given[(given.index(index) + 1) % len(given)]
    return tuple(received[other] if i == index else g for i, g in enumerate(received))


# --- the wrong axis -------------------------------------------------------------------------------------------------


def _on_another_axis(rules: Any, parameter: int, rule: Any) -> Iterator[Plant]:
    arguments = tuple(rule_arguments(rule))
    asked = [i for i, n in enumerate(arguments) if n in ("dim", "dims", "axis")]
    if not asked:
        yield _planted("wrong axis", rules, parameter, rule, _transposed)
        return
    plant = Plant("wrong axis")

    def mutant(*args: Any) -> Any:
        rank = max([a._data.ndim for a in args if isinstance(a, Tensor)], default=0)
        moved = [_next_axis(a, rank) if i in asked else a for i, a in enumerate(args)]
        try:
            after = rule(*moved)
        except Exception:
            plant.altered = True
            raise
        return plant.noting(rule(*args), after)

    yield _completed(plant, rules, parameter, mutant, rule)


def _next_axis(dim: Any, rank: int) -> Any:
    if isinstance(dim, (tuple, list)):
        return type(dim)(_next_axis(d, rank) for d in dim)
    return (dim + 1) % rank if isinstance(dim, int) and rank else dim


def _transposed(g: Any) -> Any:
    return g.transpose(-1, -2).reshape(g.shape) if g.dim() > 1 else g


# --- dropped terms --------------------------------------------------------------------------------------------------


def _dropped(op: Op, rules: Any, parameter: int, rule: Any) -> Iterator[Plant]:
    if isinstance(rule, Rule) and isinstance(op, Pointwise):
        found = list(_formula_terms(op, rules, parameter, rule))
    else:
        found = list(_python_terms(rules, parameter, rule))
    yield from found or [_planted("dropped term", rules, parameter, rule, _without_last)]


def _without_last(g: Any) -> Any:
    """The gradient with its last element 0: what a loop that ends one early leaves."""
    kept = np.ones(g.numel(), g._data.dtype)
    kept[-1:] = 0
    return g * Tensor(kept.reshape(tuple(g.shape)))


def _formula_terms(op: Pointwise, rules: Any, parameter: int, rule: Rule) -> Iterator[Plant]:
    sums = [n for n in ast.walk(rule.tree) if isinstance(n, ast.BinOp) and isinstance(n.op, (ast.Add, ast.Sub))]
    for node in sums[:TERMS]:
        for kept in ("left", "right"):
            changed = copy.copy(rule)
            changed.__dict__.pop("op", None)
            changed.tree = _with_one_side(rule.tree, node, kept)
            named = dict(zip(op.variables, op.parameters, strict=True))
            changed.variables = formula.names(changed.tree) or ["g"]
            changed.arguments = tuple(named.get(v, v) for v in changed.variables)
            plant = Plant(f"dropped term ({_short(node)} is {_short(getattr(node, kept))})")
            yield _noted_against(plant, rules, parameter, rule, changed)


def _short(tree: ast.expr) -> str:
    text = ast.unparse(tree)
    return text if len(text) <= 40 else f"{text[:18]} ... {text[-18:]}"


def _with_one_side(tree: ast.expr, place: ast.BinOp, kept: str) -> ast.expr:
    class Drop(ast.NodeTransformer):
        def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
            return getattr(node, kept) if node is place else self.generic_visit(node)

    found = Drop().visit(_keeping(tree, place))
    return ast.parse(ast.unparse(found), mode="eval").body


def _keeping(tree: ast.expr, place: ast.BinOp) -> ast.expr:
    """A copy of a formula that has the very node in it: transformers change trees where they are."""
    if tree is place:
        return place
    made = copy.copy(tree)
    for field, value in ast.iter_fields(tree):
        if isinstance(value, list):
            setattr(made, field, [_keeping(v, place) if isinstance(v, ast.expr) else v for v in value])
        elif isinstance(value, ast.expr):
            setattr(made, field, _keeping(value, place))
    return made


def _noted_against(plant: Plant, rules: Any, parameter: int, rule: Any, changed: Any) -> Plant:
    arguments = tuple(dict.fromkeys([*rule_arguments(rule), *rule_arguments(changed)]))

    def mutant(*args: Any) -> Any:
        named = dict(zip(arguments, args, strict=True))
        return plant.noting(rule(*[named[n] for n in rule_arguments(rule)]), changed(*[named[n] for n in rule_arguments(changed)]))

    mutant.arguments = arguments  # type: ignore[attr-defined]
    plant.rules = tuple(mutant if i == parameter else r for i, r in enumerate(rules))
    return plant


def _python_terms(rules: Any, parameter: int, rule: Any) -> Iterator[Plant]:
    """The additions and subtractions of tensors in a rule that is a Python function, found as they run."""
    code = getattr(rule, "__code__", None)
    if code is None:
        return
    additions = [i for i in dis.get_instructions(code) if i.argrepr in ("+", "-") or i.opname in ("BINARY_ADD", "BINARY_SUBTRACT")]
    for k in range(min(TERMS, len(additions))):
        for side in (0, 1):
            plant = Plant(f"dropped term ({'right' if side else 'left'} of addition {k + 1})")

            def mutant(*args: Any, plant: Plant = plant, k: int = k, side: int = side) -> Any:
                before = rule(*args)
                with _Dropping(code, k, side):
                    return plant.noting(before, rule(*args))

            yield _completed(plant, rules, parameter, mutant, rule)


class _Dropping:
    """While it lasts, one addition of tensors that is written in some code gives one of its sides."""

    NAMES = ("__add__", "__sub__", "__radd__", "__rsub__")

    def __init__(self, code: Any, k: int, side: int):
        self.code, self.k, self.side, self.count = code, k, side, 0

    def __enter__(self) -> None:
        self.before = {name: Tensor.__dict__[name] for name in self.NAMES}
        for name in self.NAMES:
            setattr(Tensor, name, self._method(name, getattr(Tensor, name)))

    def __exit__(self, *exception: Any) -> None:
        for name, method in self.before.items():
            setattr(Tensor, name, method)

    def _method(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def method(this: Tensor, other: Any) -> Any:
            total = original(this, other)
            if sys._getframe(1).f_code is not self.code:
                return total
            self.count += 1
            if self.count - 1 != self.k:
                return total
            left, right = (other, this) if name.startswith("__r") else (this, other)
            if self.side == 0:
                right = -right if "sub" in name else right
            kept = right if self.side == 0 else left
            return kept if isinstance(kept, Tensor) else total * 0 + kept

        return method
