"""What a call leaves on the tape: what its gradient rules need, and how they are called on the way back."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd import SINGLE, Edge, Node, edge, mode, next_number, ops
from ..dtypes import FLOATING, scalar_name
from ..jit import zeros
from ..kinds import Kind, learn
from ..tensor import Tensor, wrap

if TYPE_CHECKING:
    from .record import Op

REGISTRY: dict[str, Op] = {}

#: Stands for "no gradient was written": backward through the op raises and says so. `None` means there is none, on purpose.
MISSING: Any = type("Missing", (), {"__repr__": lambda self: "<missing gradient>"})()


class Plan:
    """What backward computes for one pattern of inputs, and what of a call must be kept for it.

    A pattern tells of each argument whether it needs a gradient: None if it is no tensor, a tuple for a sequence of them.
    `reads` and `shapes` are the parameters that rules ask for, themselves or their shapes, `tensors` those that are tensors, and
    `results` says if they ask for y.
    """

    def __init__(self, op: Op, pattern: tuple[Any, ...]):
        self.op, self.pattern = op, pattern
        self.needs = tuple(any(p) if type(p) is tuple else bool(p) for p in pattern)
        #: edges a parameter: one for a tensor, several for a sequence of tensors
        self.counts = [len(p) if type(p) is tuple else int(p is not None) for p in pattern]
        self.whole = callable(op.vjp)  # one rule for all
        rules = () if op.vjp is MISSING else (op.vjp,) if self.whole else op.rules(len(pattern))
        wanted = (True,) if self.whole else self.needs
        self.rules = [r if n else None for r, n in zip(rules, wanted, strict=False)]
        asked = {name for rule in self.rules if rule is not None for name in rule_arguments(rule)}
        for name in asked - {"g", "y", "needs", *op.parameters, *(p + "_shape" for p in op.parameters)}:
            raise TypeError(f"the gradient of '{op.name}' asks for '{name}', which is not one of g, y, needs, {op.parameters}")
        self.reads = tuple(i for i, p in enumerate(op.parameters) if p in asked - {"g", "y"})
        self.shapes = tuple(i for i, p in enumerate(op.parameters) if p + "_shape" in asked and p + "_shape" not in op.parameters)
        self.results = "y" in asked
        self.tensors = tuple([i for i in self.reads if pattern[i] is not None])  # of which the versions are kept
        #: which parameters have an edge, where none has several
        self._places = None if any(type(p) is tuple for p in pattern) else [i for i, p in enumerate(pattern) if p is not None]
        self._narrowed: dict[tuple[bool, ...], Callable[..., tuple[Any, ...]]] = {}

    def narrowed(self, wanted: tuple[bool, ...]) -> Callable[..., tuple[Any, ...]]:
        """`apply` for some of the edges only: the others get None, and their rules do not run."""
        found = self._narrowed.get(wanted)
        if found is None:
            plan, edges = copy.copy(self), iter(wanted)
            plan.__dict__.pop("apply", None)
            asked = [True in list(islice(edges, count)) for count in self.counts]
            plan.needs = tuple([n and a for n, a in zip(self.needs, asked, strict=True)])
            plan.rules = self.rules if self.whole else [r if n else None for r, n in zip(self.rules, plan.needs, strict=False)]
            found = self._narrowed[wanted] = plan.apply
        return found

    @functools.cached_property
    def apply(self) -> Callable[..., tuple[Any, ...]]:
        """A function of g, y and what was kept that gives a gradient for each edge: the rules, called as Python would write it."""
        op = self.op
        if op.vjp is MISSING:
            raise NotImplementedError(f"the gradient of '{op.name}' is not implemented in numgrad")
        names = [op.parameters[i] for i in self.reads] + [op.parameters[i] + "_shape" for i in self.shapes]
        source = {n: f"kept[{i}]" for i, n in enumerate(names)} | {"g": "g", "y": "y", "needs": "needs"}
        calls = []
        for i, rule in enumerate(self.rules):
            given = "None" if rule is None else ", ".join(source[n] for n in rule_arguments(rule))
            calls.append(given if rule is None or getattr(rule, "identity", False) else f"rules[{i}]({given})")
        written = [getattr(r, "op", r) for r in self.rules]
        scope = {"rules": [getattr(r, "function", None) or r for r in written], "needs": self.needs, "spread": self._spread}
        plain = not self.whole and all(type(p) is not tuple for p in self.pattern)
        parts = [c for c, p in zip(calls, self.pattern, strict=False) if p is not None] if plain else calls
        body = f"({''.join(p + ', ' for p in parts)})"
        return eval(f"lambda g, y, kept: {body if plain else f'spread{body}'}", scope)

    def _spread(self, *received: Any) -> tuple[Any, ...]:
        """What the rules gave, as one gradient an edge."""
        if self.whole:
            received = received[0] if isinstance(received[0], tuple) else received
            received += (None,) * (len(self.counts) - len(received))
            if self._places is not None:
                return tuple([received[i] for i in self._places])
        flat: list[Any] = []
        for grad, count in zip(received, self.counts, strict=True):
            flat += grad if isinstance(grad, (tuple, list)) else [grad] * count
        return tuple(flat)


def rule_arguments(rule: Any) -> Sequence[str]:
    """The names a gradient rule asks for."""
    if hasattr(rule, "arguments"):
        return rule.arguments
    return tuple(inspect.signature(rule).parameters)


def unwrap(args: tuple[Any, ...]) -> tuple[list[Any], bool]:
    """Arrays for tensors (also inside lists and tuples), and whether any tensor requires grad."""
    arrays, tracked = [], False
    for a in args:
        if isinstance(a, Tensor):
            if a._base is not None and a._epoch != a._base._epoch:
                a.catch_up()
            if a._requires_grad:
                tracked = True
            a = a._data
        elif (type(a) is tuple or type(a) is list) and has_tensors(a):
            inner, also = unwrap(a)
            a, tracked = tuple(inner), tracked or also
        arrays.append(a)
    return arrays, tracked


def requires_grad(args: Sequence[Any]) -> bool:
    """Whether any tensor among arguments requires grad, once views have caught up."""
    found = False
    for a in args:
        if isinstance(a, Tensor):
            if a._base is not None and a._epoch != a._base._epoch:
                a.catch_up()
            found = found or a._requires_grad
        elif (type(a) is tuple or type(a) is list) and has_tensors(a):
            found = requires_grad(a) or found
    return found


def has_tensors(value: Any) -> bool:
    """Whether an argument is a sequence with tensors in it."""
    if type(value) is tuple or type(value) is list:
        for element in value:
            if isinstance(element, Tensor):
                return True
    return False


def check_version(expected: int, found: int, data: np.ndarray, who: str) -> None:
    """RuntimeError if memory that backward needs was written to since it was saved."""
    if expected != found:
        raise RuntimeError(
            "one of the variables needed for gradient computation has been modified by an inplace operation: "
            f"[numgrad.{scalar_name(data.dtype)}Tensor {list(data.shape)}], needed by {who}, is at version {found}; "
            f"expected version {expected} instead."
        )


def _shape_of(value: Any) -> Any:
    """The shape of a tensor, the shapes of a sequence of them, () for a number, None for None."""
    if isinstance(value, Tensor):
        return value._data.shape
    return tuple(_shape_of(v) for v in value) if isinstance(value, (tuple, list)) else None if value is None else ()


class OpNode(Node):
    """An op on the tape: what its gradient rules need, and no more, is kept until backward.

    Tensors are kept with the versions they have now; outputs as arrays, for a tensor would point back here, a cycle.
    """

    outputs, several, values, versions = SINGLE, False, (), ()  # until set
    selective = True
    title: str | None = None  # what it stands for, where that is another op than what it undoes

    def __init__(self, op: Op, args: Sequence[Any], outputs: Sequence[Tensor], several: bool = False):
        self.edges, pattern = edges_of(args)
        self.sequence, self.op = next_number(), op
        if several:
            self.several, self.outputs = True, [(o._data.shape, o._data.dtype) for o in outputs]
        if mode.anomaly:
            self.note_place()
        self.plan = plan = op._plans.get(pattern) or op.plan(pattern)
        self.values, self.versions = kept(plan, args)
        if plan.results:
            self.keep_results(outputs)

    def keep_results(self, outputs: Sequence[Tensor]) -> None:
        """Keep the outputs' arrays, with the versions they have now, if the rules ask for them."""
        if self.plan.results:
            saved = self.op.saved
            if saved:  # these have no gradient, so nothing leads from them back here
                self.outcome: Any = [(o, o._data, 0 if o._counter is None else o._counter[0]) for o in outputs[saved:]]
            else:
                self.outcome = [(o._data, c := o._counter or o.version_counter(), c[0]) for o in outputs]

    def name(self) -> str:
        return "".join(part.capitalize() for part in (self.title or self.op.name).split("_")) + "Backward0"

    def gradients(self, grads: list[Any], wanted: tuple[bool, ...] | None = None) -> Sequence[Any]:
        if self.values is None:
            raise RuntimeError(
                "Trying to backward through the graph a second time (or directly access saved tensors after they have already "
                "been freed). Specify retain_graph=True if you need to backward through the graph a second time."
            )
        for tensor, version in self.versions:
            counter = tensor._counter
            if counter is not None and counter[0] != version:
                check_version(version, counter[0], tensor._data, self.op.name)
        plan = self.plan
        y = self._results() if plan.results else None
        apply = plan.apply if wanted is None else plan.narrowed(wanted)
        return apply(self._filled(grads) if self.several else grads[0], y, self.values)

    def _results(self) -> Any:
        outputs: list[Any] = []
        if self.op.saved:
            for output, data, version in self.outcome:
                if output._counter is not None:
                    check_version(version, output._counter[0], data, self.op.name)
                outputs.append(output if output._data is data else wrap(data))
            return (*[None] * self.op.saved, *outputs)
        for index, (data, counter, version) in enumerate(self.outcome):
            check_version(version, counter[0], data, self.op.name)
            output = wrap(data)
            if data.dtype.kind in FLOATING:
                output._node, output._index, output._requires_grad = self, index, True
            outputs.append(output)
        return tuple(outputs) if self.several else outputs[0]

    def _filled(self, grads: list[Any]) -> tuple[Any, ...]:
        if self.op.saved == 1:
            return tuple(grads)
        return tuple(
            wrap(zeros(shape, dtype)) if grad is None and dtype.kind in FLOATING else grad
            for grad, (shape, dtype) in zip(grads, self.outputs, strict=True)
        )

    def release(self) -> None:
        if self.versions or self.plan.results:  # else there is nothing to free: backward may come again, as in PyTorch
            self.values = self.versions = self.outcome = None


def edges_of(args: Sequence[Any]) -> tuple[list[Edge | None], tuple[Any, ...]]:
    """An edge for each tensor, None for one that needs no gradient; and the pattern of all arguments."""
    edges: list[Edge | None] = []
    pattern: list[Any] = []
    for a in args:
        if isinstance(a, Tensor):
            if a._requires_grad:
                node = a._node
                edges.append((a if node is None else node, a._index, a._kind or learn(a)))
                pattern.append(True)
            else:
                edges.append(None)
                pattern.append(False)
        elif (type(a) is tuple or type(a) is list) and has_tensors(a):
            found = [edge(e) if isinstance(e, Tensor) and e._requires_grad else None for e in a]
            edges += found
            pattern.append(tuple([e is not None for e in found]))
        else:
            pattern.append(None)
    return edges, tuple(pattern)


def kept(plan: Plan, args: Sequence[Any]) -> tuple[Any, Any]:
    """What a plan's rules read, and the versions that tensors have now."""
    values: list[Any] = []
    versions: list[tuple[Tensor, int]] = []
    for i in plan.reads:
        a = args[i]
        values.append(a)
        if isinstance(a, Tensor):
            counter = a._counter
            versions.append((a, 0 if counter is None else counter[0]))
        elif i in plan.tensors:
            versions += versions_of(a)
    for i in plan.shapes:
        a = args[i]
        values.append(a._data.shape if isinstance(a, Tensor) else _shape_of(a))
    return values, versions


def attach(
    output: Tensor, op: Op, ways: dict[Any, Any], tensors: Sequence[Any], rest: tuple[Any, ...] = (), outputs: Sequence[Tensor] = ()
) -> None:
    """Put a call on the tape of which `output` is the only result with a gradient; all its `outputs`, where there are several.

    `ways` remembers, for each pattern of what requires grad, the plan and, where all calls keep the same, what they keep: calls
    that share it have tensors of the same kinds, and the same `rest`. (Among `tensors` there may be numbers; they may differ.)
    """
    node = object.__new__(OpNode)
    node.edges, pattern = edges_of(tensors)
    node.sequence, node.op = next_number(), op
    way = ways.get(pattern)
    if way is None:
        plan = op.plan((*pattern, *[None] * len(rest)))
        fixed = all(i >= len(tensors) for i in plan.reads)
        way = ways[pattern] = plan, kept(plan, (*tensors, *rest))[0] if fixed else None, plan.results
    node.plan, values, results = way
    if values is None:
        node.values, node.versions = kept(node.plan, (*tensors, *rest))
    else:
        node.values = values
    if outputs:
        node.several, node.outputs = True, [(o._data.shape, o._data.dtype) for o in outputs]
    if results:
        node.keep_results(outputs or (output,))
    if mode.anomaly:
        node.note_place()
    output._node, output._requires_grad = node, True


def versions_of(values: Sequence[Any]) -> list[tuple[Tensor, int]]:
    """The tensors among arguments, each with its version."""
    found = []
    for v in values:
        if isinstance(v, Tensor):
            found.append((v, 0 if v._counter is None else v._counter[0]))
        elif has_tensors(v):
            found += versions_of(v)
    return found


def fit(grad: Tensor, wanted: Kind) -> Tensor:
    """A gradient in the shape and dtype of the input it belongs to."""
    data = grad._data
    if data.dtype != wanted.dtype:
        grad = REGISTRY["to_dtype"](grad, wanted.dtype)
    if data.shape != wanted.shape:
        grad = REGISTRY["sum_to_size"](grad, wanted.shape)
    return grad


ops.fit = fit
