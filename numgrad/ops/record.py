"""What an op is: one record of how it computes, how its gradient is written in ops, and how it is tested.

`REGISTRY` holds every op by name. Whoever is in it is a function of `numgrad`, a method of Tensor where it says so,
tested by `tests/test_ops.py` and benchmarked by `perf`; there is no second list.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any

import numpy as np

from ..autograd import Edge, Node, edge, mode
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
        sample: Callable[..., Any] | None = None, errors: Sequence[Any] = (), view: bool = False, composite: bool = False,
        method: bool = True, inplace: bool | Callable[..., Any] = False, into: Callable[..., None] | None = None,
        public: bool = True, random: bool = False, tolerance: float = 1.0, doc: str | None = None,
    ):  # fmt: skip
        self.name, self.forward, self.vjp = name, forward, vjp
        self.reference, self.sample, self.errors, self.tolerance = reference, sample, tuple(errors), tolerance
        self.view, self.composite, self.random, self.public = view, composite, random, public
        self.method, self.inplace, self.into = method, inplace, into
        self.__name__ = self.__qualname__ = name
        self.__doc__ = doc or forward.__doc__
        self.parameters, self.defaults = parameters_of(forward)
        self.arity = len(self.parameters)
        self._plans: dict[tuple[bool, ...], Plan] = {}

    @property
    def __signature__(self) -> inspect.Signature:
        """What `inspect.signature` and `help` show."""
        return inspect.signature(self.forward)

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
        result = self.forward(*arrays)
        return self.finish(args, result, tracked and mode.enabled)

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
        several = type(result) is tuple
        outputs = [wrap(r) for r in result] if several else [wrap(result)]
        if self.view:
            for output in outputs:
                share(output, args[0], self, args[1:])
        if tracked and self.vjp is not None:
            self.record(args, outputs, several)
        return tuple(outputs) if several else outputs[0]

    def record(self, args: tuple[Any, ...], outputs: list[Tensor], several: bool) -> None:
        """Make a node for a call and let its outputs point to it."""
        if not any(o._data.dtype.kind == "f" for o in outputs):
            return
        node = OpNode(self, args, outputs, several)
        for index, output in enumerate(outputs):
            if output._data.dtype.kind == "f":
                output._node, output._index, output._requires_grad = node, index, True

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    # --- gradients ---

    def rules(self, count: int) -> tuple[Any, ...]:
        """The gradient rule of each of `count` parameters."""
        given = self.vjp or ()
        return tuple(given[:count]) + (None,) * (count - len(given))

    def plan(self, needs: tuple[bool, ...]) -> Plan:
        """What backward does, and what it needs, where these parameters need gradients."""
        found = self._plans.get(needs)
        if found is None:
            if self.vjp is MISSING:
                raise NotImplementedError(f"the gradient of '{self.name}' is not implemented in numgrad")
            rules = (self.vjp,) if callable(self.vjp) else self.rules(len(needs))
            wanted = (True,) if callable(self.vjp) else needs
            found = Plan([(r, self._sources(r)) if n and r is not None else None for n, r in zip(wanted, rules, strict=True)])
            self._plans[needs] = found
        return found

    def _sources(self, rule: Any) -> list[tuple[str, int]]:
        sources = []
        for name in rule_arguments(rule):
            if name in ("g", "y", "needs"):
                sources.append((name, 0))
            elif name in self.parameters:
                sources.append(("argument", self.parameters.index(name)))
            elif name.endswith("_shape") and name[:-6] in self.parameters:
                sources.append(("shape", self.parameters.index(name[:-6])))
            else:
                raise TypeError(f"the gradient of '{self.name}' asks for '{name}', which is not one of g, y, needs, {self.parameters}")
        return sources


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
    """Gradient rules with where each takes its arguments from, and what of a call must be kept for them."""

    __slots__ = ("reads", "results", "shapes", "steps")

    def __init__(self, steps: list[Any]):
        wanted = {source for step in steps if step for source in step[1]}
        self.steps = steps
        self.reads = tuple(sorted(i for kind, i in wanted if kind == "argument"))
        self.shapes = tuple(sorted(i for kind, i in wanted if kind == "shape"))
        self.results = ("y", 0) in wanted


_NOTHING = Plan([])


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
            if a._base is not None:
                a.catch_up()
            tracked = tracked or a._requires_grad
            a = a._data
        elif (type(a) is tuple or type(a) is list) and any(isinstance(e, Tensor) for e in a):
            inner, also = unwrap(tuple(a))
            a, tracked = tuple(inner), tracked or also
        arrays.append(a)
    return arrays, tracked


def share(output: Tensor, source: Tensor, op: Op, rest: tuple[Any, ...]) -> None:
    """Make `output` a view of `source`: same memory, same version counter, and a recipe to make it again from the base."""
    output._base = source if source._base is None else source._base
    output._chain = (*source._chain, (op, rest))
    output._counter = source.version_counter()
    output._epoch = output._base._epoch


def saved(value: Any) -> Any:
    """An argument as kept for backward: tensors with the version they have now."""
    if isinstance(value, Tensor):
        counter = value._counter
        return _Saved(value, 0 if counter is None else counter[0])
    if type(value) in (tuple, list) and any(isinstance(v, Tensor) for v in value):
        return tuple(saved(v) for v in value)
    return value


class _Saved:
    __slots__ = ("tensor", "version")

    def __init__(self, tensor: Tensor, version: int):
        self.tensor, self.version = tensor, version


def restored(value: Any, op: Op) -> Any:
    """The argument again; RuntimeError if it was overwritten since."""
    if type(value) is _Saved:
        counter = value.tensor._counter
        check_version(value.version, 0 if counter is None else counter[0], value.tensor._data, op.name)
        return value.tensor
    if type(value) is tuple:
        return tuple(restored(v, op) for v in value)
    return value


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


def _edges(value: Any) -> list[Edge | None]:
    """The edges of a sequence of tensors; none for anything else."""
    if (type(value) is tuple or type(value) is list) and any(isinstance(e, Tensor) for e in value):
        return [edge(e) if isinstance(e, Tensor) and e._requires_grad else None for e in value]
    return []


class OpNode(Node):
    """An op on the tape: what its gradient rules need, and no more, is kept until backward."""

    __slots__ = ("counts", "needs", "op", "results", "several", "values")

    def __init__(self, op: Op, args: tuple[Any, ...], outputs: list[Tensor], several: bool):
        needs: list[bool] = []
        edges: list[Edge | None] = []
        self.counts: list[int] = []  # edges a parameter: one for a tensor, several for a sequence of tensors
        for a in args:
            found = [edge(a) if a._requires_grad else None] if isinstance(a, Tensor) else _edges(a)
            needs.append(any(found))
            self.counts.append(len(found))
            edges += found
        super().__init__(edges, [(o._data.shape, o._data.dtype) for o in outputs])
        self.op, self.several, self.needs = op, several, tuple(needs)
        self._save(args, outputs)

    def _save(self, args: tuple[Any, ...], outputs: list[Tensor]) -> None:
        """Keep what the rules ask for. Outputs are kept as arrays: a tensor would point back here, a cycle."""
        try:
            plan = self.op.plan(self.needs)
        except NotImplementedError:  # said when backward comes here
            plan = _NOTHING
        self.values: Any = {i: saved(args[i]) for i in plan.reads}
        for i in plan.shapes:
            self.values[~i] = _shape_of(args[i])
        self.results: Any = []
        if plan.results:
            self.keep_results(outputs)

    def keep_results(self, outputs: list[Tensor]) -> None:
        """Keep the outputs' arrays, with the versions they have now, if the rules ask for them."""
        if self.op.plan(self.needs).results:
            self.results = [(o._data, o.version_counter(), o._version) for o in outputs]

    def name(self) -> str:
        return "".join(part.capitalize() for part in self.op.name.split("_")) + "Backward0"

    def gradients(self, grads: list[Any]) -> list[Any]:
        if self.values is None:
            raise RuntimeError(
                "Trying to backward through the graph a second time (or directly access saved tensors after they have already "
                "been freed). Specify retain_graph=True if you need to backward through the graph a second time."
            )
        g = self._filled(grads) if self.several else grads[0]
        plan = self.op.plan(self.needs).steps
        if callable(self.op.vjp):
            rule, sources = plan[0]
            received = rule(*[self._argument(source, g) for source in sources])
            received = received if isinstance(received, tuple) else (received,)
            received = received + (None,) * (len(self.needs) - len(received))
        else:
            received = [step and step[0](*[self._argument(source, g) for source in step[1]]) for step in plan]
        return self._fitted(received)

    def _argument(self, source: tuple[str, int], g: Any) -> Any:
        kind, i = source
        if kind == "g":
            return g
        if kind == "y":
            outputs = [self._result(index) for index in range(len(self.results))]
            return tuple(outputs) if self.several else outputs[0]
        if kind == "needs":
            return self.needs
        return self.values[~i] if kind == "shape" else restored(self.values[i], self.op)

    def _result(self, index: int) -> Tensor:
        data, counter, version = self.results[index]
        check_version(version, 0 if counter is None else counter[0], data, self.op.name)
        output = wrap(data)
        if data.dtype.kind == "f":
            output._node, output._index, output._requires_grad = self, index, True
        return output

    def _filled(self, grads: list[Any]) -> tuple[Any, ...]:
        return tuple(
            wrap(zeros(shape, dtype)) if grad is None and dtype.kind == "f" else grad
            for grad, (shape, dtype) in zip(grads, self.outputs, strict=True)
        )

    def _fitted(self, received: Any) -> list[Any]:
        """One gradient an edge, summed over broadcast dimensions and cast to what the input was."""
        flat: list[Any] = []
        for grad, count in zip(received, self.counts, strict=True):
            if count:
                flat += list(grad) if isinstance(grad, (tuple, list)) else [grad] * count
        for i, (grad, e) in enumerate(zip(flat, self.edges, strict=True)):
            if grad is not None and e is not None:
                flat[i] = fit(grad, e, self.op)
        return flat

    def release(self) -> None:
        self.values = self.results = None


def fit(grad: Tensor, e: Edge, op: Op) -> Tensor:
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
