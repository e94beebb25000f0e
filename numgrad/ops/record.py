"""What an op is: one record of how it computes, how its gradient is written in ops, and how it is tested.

`REGISTRY` holds every op by name. Whoever is in it is a function of `numgrad`, a method of Tensor where it says so,
tested by `tests/test_ops.py` and benchmarked by `perf`; there is no second list.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any

import numpy as np

from ..autograd import SINGLE, Edge, Node, edge, mode
from ..dtypes import scalar_name
from ..jit import zeros
from ..tensor import Tensor, wrap

REGISTRY: dict[str, Op] = {}

#: Stands for "no gradient was written": backward through the op raises and says so. `None` means there is none, on purpose.
MISSING: Any = type("Missing", (), {"__repr__": lambda self: "<missing gradient>"})()


class Op:
    """An operation on tensors.

    `forward(*arrays)` gets ndarrays where tensors came, launches kernels into `empty()`, and returns an ndarray or a tuple.
    `vjp` is a tuple with one rule for each of the first parameters, or one function that returns such a tuple; a rule
    takes by name what it needs: `g` (the gradient of the result), `y` (the result), any parameter of `forward`, or
    `<parameter>_shape`; with several results, g and y are tuples. Rules are written in ops, hence differentiable again.
    """

    def __init__(
        self, name: str, forward: Callable[..., Any], *, vjp: Any = MISSING, reference: Callable[..., Any] | None = None,
        sample: Callable[..., Any] | None = None, errors: Sequence[Any] = (), composite: bool = False,
        method: bool = True, inplace: bool | Callable[..., Any] = False, into: Callable[..., None] | None = None,
        public: bool = True, random: bool = False, tolerance: float = 1.0, doc: str | None = None,
    ):  # fmt: skip
        self.name, self.forward, self.vjp = name, forward, vjp
        self.reference, self.sample, self.errors, self.tolerance = reference, sample, tuple(errors), tolerance
        self.composite, self.random, self.public = composite, random, public
        self.method, self.inplace = method, inplace
        if into is not None:  # else what the class has
            self.into = into
        self.__name__ = self.__qualname__ = name
        self.__doc__ = doc or forward.__doc__
        self.parameters, self.defaults = parameters_of(forward)
        self.arity = len(self.parameters)
        self._plans: dict[tuple[Any, ...], Plan] = {}

    @property
    def __signature__(self) -> inspect.Signature:
        """What `inspect.signature` and `help` show."""
        return inspect.signature(self.forward)

    #: `into(out, *rest)` computes with `out` as first operand and as result; None where only `forward` can.
    into: Any = None

    # --- calling ---

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.composite:
            if "axis" in kwargs or "keepdims" in kwargs:  # NumPy's names, which PyTorch takes as well
                kwargs = {{"axis": "dim", "keepdims": "keepdim"}.get(k, k): v for k, v in kwargs.items()}
            try:
                return self.forward(*args, **kwargs)
            except AttributeError:
                if args and self.parameters[:1] == ["input"] and not isinstance(args[0], Tensor):
                    raise TypeError(f"{self.name}(): argument 'input' (position 1) must be Tensor, not {type(args[0]).__name__}") from None
                raise
        if kwargs or len(args) != self.arity:
            args = self.bind(args, kwargs)
        arrays, tracked = unwrap(args)
        return self.finish(args, self.forward(*arrays), tracked and mode.enabled)

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """Positional arguments in full; TypeError as Python words it where they do not fit."""
        if len(args) > self.arity:
            raise TypeError(f"{self.name}() takes {self.arity} positional arguments but {len(args)} were given")
        out = kwargs.pop("out", None)
        if out is not None:
            raise NotImplementedError(f"{self.name}(out=...) is not supported; use out.copy_({self.name}(...))")
        bound = list(args)
        for name, default in zip(self.parameters[len(args) :], self.defaults[len(args) :], strict=True):
            if name in kwargs:
                bound.append(kwargs.pop(name))
            elif default is inspect.Parameter.empty:
                other = {"input": "self", "x": "input"}.get(name, name)
                if other in kwargs:
                    bound.append(kwargs.pop(other))
                    continue
                raise TypeError(f'{self.name}() missing required argument "{name}"')
            else:
                bound.append(default)
        if kwargs:
            raise TypeError(f"{self.name}() got an unexpected keyword argument '{next(iter(kwargs))}'")
        return tuple(bound)

    def finish(self, args: tuple[Any, ...], result: Any, tracked: bool) -> Any:
        """Wrap arrays as tensors, and put the call on the tape where an input requires grad."""
        if type(result) is tuple:
            outputs = [wrap(r) for r in result]
            if tracked and self.vjp is not None:
                self.record(args, outputs, True)
            return tuple(outputs)
        output = object.__new__(Tensor)
        output._data = result if type(result) is np.ndarray else np.asarray(result)
        if tracked and self.vjp is not None:
            self.record(args, [output])
        return output

    def record(self, args: tuple[Any, ...], outputs: list[Tensor], several: bool = False) -> None:
        """Make a node for a call and let its outputs of floating point point to it."""
        node = None
        for index, output in enumerate(outputs):
            if output._data.dtype.kind == "f":
                if node is None:
                    node = OpNode(self, args, outputs, several)
                output._node, output._requires_grad = node, True
                if index:
                    output._index = index

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    # --- gradients ---

    def rules(self, count: int) -> tuple[Any, ...]:
        """The gradient rule of each of `count` parameters."""
        given = self.vjp or ()
        return tuple(given[:count]) + (None,) * (count - len(given))

    def plan(self, pattern: tuple[Any, ...]) -> Plan:
        """What backward does, and what it needs, where these parameters need gradients."""
        found = self._plans.get(pattern)
        if found is None:
            found = self._plans[pattern] = Plan(self, pattern)
        return found


def parameters_of(function: Callable[..., Any]) -> tuple[list[str], list[Any]]:
    """The names of a function's parameters and their defaults (`inspect.Parameter.empty`: none), `out` left out."""
    code = function.__code__  # what inspect.signature would say, at a tenth of its time: there are many ops to import
    positional, keyword = code.co_argcount, code.co_kwonlyargcount
    names = list(code.co_varnames[: positional + keyword])
    given = function.__defaults__ or ()  # type: ignore[attr-defined]
    defaults = [inspect.Parameter.empty] * (positional - len(given)) + list(given)
    defaults += [(function.__kwdefaults__ or {}).get(n, inspect.Parameter.empty) for n in names[positional:]]  # type: ignore[attr-defined]
    bound = hasattr(function, "__self__")  # then the first is the object itself
    kept = [i for i, n in enumerate(names) if n != "out" and not (bound and i == 0)]
    return [names[i] for i in kept], [defaults[i] for i in kept]


class Plan:
    """What backward computes for one pattern of inputs, and what of a call must be kept for it.

    A pattern tells of each argument whether it needs a gradient: None if it is no tensor, a tuple for a sequence of them.
    `reads` and `shapes` are the parameters that rules ask for, themselves or their shapes, and `results` says if they ask for y.
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
        self.reads = tuple(i for i, p in enumerate(op.parameters) if p in asked)
        self.shapes = tuple(i for i, p in enumerate(op.parameters) if p + "_shape" in asked and p + "_shape" not in op.parameters)
        self.results = "y" in asked

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
        scope = {"rules": [getattr(r, "op", r) for r in self.rules], "needs": self.needs, "spread": self._spread}
        plain = not self.whole and all(type(p) is not tuple for p in self.pattern)
        parts = [c for c, p in zip(calls, self.pattern, strict=False) if p is not None] if plain else calls
        body = f"({''.join(p + ', ' for p in parts)})"
        return eval(f"lambda g, y, kept: {body if plain else f'spread{body}'}", scope)

    def _spread(self, *received: Any) -> tuple[Any, ...]:
        """What the rules gave, as one gradient an edge."""
        if self.whole:
            received = received[0] if isinstance(received[0], tuple) else received
            received += (None,) * (len(self.counts) - len(received))
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

    def __init__(self, op: Op, args: tuple[Any, ...], outputs: list[Tensor], several: bool):
        edges: list[Edge | None] = []
        pattern: list[Any] = []
        for a in args:
            if isinstance(a, Tensor):
                needed = a._requires_grad
                edges.append(edge(a) if needed else None)
                pattern.append(needed)
            elif (type(a) is tuple or type(a) is list) and has_tensors(a):
                found = [edge(e) if isinstance(e, Tensor) and e._requires_grad else None for e in a]
                edges += found
                pattern.append(tuple([e is not None for e in found]))
            else:
                pattern.append(None)
        self.begin(edges, [(o._data.shape, o._data.dtype) for o in outputs] if several else SINGLE)
        self.op, self.several = op, several
        key = tuple(pattern)
        self.plan = plan = op._plans.get(key) or op.plan(key)
        kept = [args[i] for i in plan.reads] if plan.reads else []
        self.versions = versions_of(kept) if kept else kept
        self.values: Any = kept + [_shape_of(args[i]) for i in plan.shapes] if plan.shapes else kept
        if plan.results:
            self.keep_results(outputs)

    def keep_results(self, outputs: list[Tensor]) -> None:
        """Keep the outputs' arrays, with the versions they have now, if the rules ask for them."""
        if self.plan.results:
            self.outcome: Any = [(o._data, o.version_counter(), o._version) for o in outputs]

    def name(self) -> str:
        return "".join(part.capitalize() for part in self.op.name.split("_")) + "Backward0"

    def gradients(self, grads: list[Any]) -> Sequence[Any]:
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
        received = plan.apply(self._filled(grads) if self.several else grads[0], y, self.values)
        fitted: Any = received
        for i, e in enumerate(self.edges):
            grad = received[i]
            if grad is not None and e is not None:
                data = grad._data
                if data.shape != e.shape or data.dtype != e.dtype:
                    if fitted is received:
                        fitted = list(received)
                    fitted[i] = fit(grad, e)
        return fitted

    def _results(self) -> Any:
        outputs = []
        for index, (data, counter, version) in enumerate(self.outcome):
            check_version(version, counter[0], data, self.op.name)
            output = wrap(data)
            if data.dtype.kind == "f":
                output._node, output._index, output._requires_grad = self, index, True
            outputs.append(output)
        return tuple(outputs) if self.several else outputs[0]

    def _filled(self, grads: list[Any]) -> tuple[Any, ...]:
        return tuple(
            wrap(zeros(shape, dtype)) if grad is None and dtype.kind == "f" else grad
            for grad, (shape, dtype) in zip(grads, self.outputs, strict=True)
        )

    def release(self) -> None:
        self.values = self.versions = self.outcome = None


def versions_of(values: Sequence[Any]) -> list[tuple[Tensor, int]]:
    """The tensors among arguments, each with its version."""
    found = []
    for v in values:
        if isinstance(v, Tensor):
            found.append((v, 0 if v._counter is None else v._counter[0]))
        elif has_tensors(v):
            found += versions_of(v)
    return found


def fit(grad: Tensor, e: Edge) -> Tensor:
    """A gradient in the shape and dtype of the input it belongs to."""
    data = grad._data
    if data.dtype != e.dtype:
        grad = REGISTRY["to_dtype"](grad, e.dtype)
    if data.shape != e.shape:
        grad = REGISTRY["sum_to_size"](grad, e.shape)
    return grad


def op(name: str, forward: Callable[..., Any], **record: Any) -> Op:
    """Register an op; see `Op` for what its record holds."""
    return register(Op(name, forward, **record))


def composite(name: str, function: Callable[..., Any], **record: Any) -> Op:
    """Register a function written in other ops: its gradient is theirs."""
    return register(Op(name, function, composite=True, **record))


def register(made: Op) -> Op:
    """Enter an op under its name; a name is given once."""
    if made.name in REGISTRY:
        raise ValueError(f"an op named {made.name!r} is registered already")
    REGISTRY[made.name] = made
    return made


def check_cast(found: np.dtype, wanted: np.dtype) -> None:
    """Results may be cast within and up the categories bool < integer < float, not down."""
    if "biuf".index(found.kind.replace("u", "i")) > "biuf".index(wanted.kind.replace("u", "i")):
        raise RuntimeError(f"result type {scalar_name(found)} can't be cast to the desired output type {scalar_name(wanted)}")
