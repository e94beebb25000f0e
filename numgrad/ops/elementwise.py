"""Ops given by a formula: promotion, broadcasting, layouts and gradients, once for all of them."""

from __future__ import annotations

import ast
import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd import mode, ops
from ..dtypes import FLOAT32, is_half
from ..jit import Kernel, codegen, empty, formula, launch, launch_flat, maker, observers, streaming
from ..jit import span as span  # ops import it from here
from ..kinds import Kind, kind_of, learn
from ..tensor import Tensor, wrap
from . import half, widen
from .operands import broadcast_shape as broadcast_shape  # ops import it from here
from .operands import check_alike, check_operands, types, wrong_operands
from .operands import scalar as scalar
from .outputs import call_with_out, check_cast
from .record import MISSING, REGISTRY, Op, named, register
from .tape import attach
from .walk import LETTERS, in_place, lay_out, walk

# Where variables are not listed, these come first, the others as they appear.
_OPERANDS = {"x": 0, "z": 1}


class _Plan:
    """What a call of a formula needs: worked out once for each combination of dtypes, shapes and strides."""

    __slots__ = ("compute", "differentiable", "entry", "geometry", "kernel", "kind", "make", "numbers", "result", "shape", "ways", "work")

    def __init__(self, compute: np.dtype, result: np.dtype, shape: tuple[int, ...], kernel: Kernel, geometry: tuple[Any, ...]):
        self.compute, self.result, self.shape, self.kernel, self.geometry = compute, result, shape, kernel, geometry
        self.entry: Any = None  # of the kernel, where there is something to do
        self.kind: Any = None  # of a new result, once there was one
        self.make = maker(shape, result)
        self.ways: dict[Any, Any] = {}
        self.differentiable, self.numbers, self.work = False, False, 0


class Pointwise(Op):
    """An op whose every output element is a formula of the input elements at its place.

    `kind` is one of `operands.KINDS`. `numbers`: it takes numbers alone, too; None: no numbers at all. `alike`: its tensors are of one dtype. `told`: the op
    that it is a part of, which errors name.
    """

    def __init__(
        self, name: str, text: str, *, grad: Any = None, kind: str = "float", defaults: Sequence[Any] = (),
        constants: Sequence[str] = (), low: float = -3.0, high: float = 3.0, avoid: Sequence[float] = (),
        variables: Sequence[str] | None = None, casts: bool = False, numbers: bool | None = False, alike: bool = False,
        told: str = "", doc: str = "", **record: Any,
    ):  # fmt: skip
        self.tree = formula.parse(text)
        self.variables = list(variables or sorted(formula.names(self.tree), key=lambda name: _OPERANDS.get(name, 2)))
        self.kind, self.low, self.high, self.avoid, self.constants = kind, low, high, tuple(avoid), tuple(constants)
        self.grad, self.casts, self.numbers, self.alike = grad, casts, numbers, alike
        self.told = told or name.removesuffix("_formula")
        record.setdefault("sample", self.sample_operands)
        count = len(self.variables) - max(len(self.constants), len(defaults))
        wrong = wrong_operands(kind, count, len(self.variables) - len(defaults) - count, numbers)
        record["errors"] = (*record.get("errors", ()), *wrong)
        super().__init__(name, self.compute, **record)
        self.parameters = [{"x": "input", "z": "other"}.get(v, v) for v in self.variables]  # as PyTorch calls them
        self.defaults = [inspect.Parameter.empty] * (len(self.variables) - len(defaults)) + list(defaults)
        self.arity = len(self.variables)
        self.__doc__ = doc or f"{text}, element by element."
        self.plans: dict[Any, _Plan] = {}
        dtypes.default_dependent.append(self.plans)
        self.function = self._caller()

    @functools.cached_property
    def cost(self) -> int:
        """Element operations an element: what a launch weighs against starting threads."""
        return formula.cost(self.tree)

    @property
    def __signature__(self) -> inspect.Signature:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return inspect.Signature([inspect.Parameter(n, kind, default=d) for n, d in zip(self.parameters, self.defaults, strict=True)])

    def sample_operands(self, draw: Any) -> Any:
        """Operands that broadcast, in the formula's domain; the second is sometimes a number."""
        shape, bounds = draw.shape(), (self.low, self.high, self.avoid)
        rest = [
            draw.number(self.low, self.high) if v in self.constants else draw.array(draw.broadcastable(shape), *bounds)
            for v in self.variables[1:]
        ]
        if len(rest) == 1 and not self.avoid and self.numbers is not None and draw.integer(0, 4) == 0:
            rest = [draw.number(self.low, self.high)]
        return (draw.array(shape, *bounds), *rest), {}

    # --- computing ---

    def _caller(self) -> Callable[..., Any]:
        """What calling the op does, as a plain function: it is found, and becomes a method, faster than an object."""
        op, plans, arity = self, self.plans, self.arity

        def function(*args: Any, **kwargs: Any) -> Tensor:
            if kwargs or len(args) != arity:
                if "out" in kwargs:
                    return call_with_out(op, args, kwargs)
                args = op.bind(args, kwargs)
            tracked, operands, key = False, [], []
            for a in args:  # `unwrap` and the key of the plan in one loop
                if isinstance(a, Tensor):
                    if a._base is not None and a._epoch != a._base._epoch:
                        a.catch_up()
                    if a._requires_grad:
                        tracked = True
                    key.append(a._kind or learn(a))
                    operands.append(a._data)
                else:
                    key.append(kind_of(a) if type(a) is np.ndarray else type(a))
                    operands.append(a)
            plan = plans.get(tuple(key))
            if plan is None:
                if dtypes.HALVES and widen.concerned(args, {}):
                    return widen.computed(op.name, function, args, {})
                plan = op._plan(tuple(key), operands)
            result = object.__new__(Tensor)
            if plan.entry is None or observers:
                result._data = y = empty(plan.shape, plan.result)
                op._run(plan, y, operands)
            else:
                if plan.numbers:
                    operands = [o if type(o) is np.ndarray else scalar(o, plan.compute) for o in operands]
                result._data = y = plan.make(plan.shape, plan.result)
                plan.entry(y, *operands, *plan.geometry)
            if plan.kind is None:
                plan.kind = learn(result)
            else:
                result._kind = plan.kind
            if tracked and plan.differentiable and mode.enabled:
                attach(result, op, plan.ways, args)
            return result

        return named(function, op)

    def compute(self, *operands: Any, out: np.ndarray | None = None) -> np.ndarray:
        """Run the formula on arrays and Python numbers, into `out` or a new array."""
        key: list[Any] = []
        if out is not None:
            operands = tuple([_apart(o, out) for o in operands])
            key += out.dtype, out.shape, out.strides, in_place(out, operands)
        for o in operands:
            key += (o.dtype, o.shape, o.strides) if type(o) is np.ndarray else (type(o),)
        plan = self.plans.get(tuple(key)) or self._plan(tuple(key), operands, out)
        y = empty(plan.shape, plan.result) if out is None else out
        self._run(plan, y, operands)
        return y

    def _run(self, plan: _Plan, y: np.ndarray, operands: Sequence[Any]) -> None:
        if plan.work:
            if plan.numbers:
                operands = [o if type(o) is np.ndarray else scalar(o, plan.compute) for o in operands]
            launch_flat(plan.kernel, plan.entry, (y, *operands), plan.geometry, plan.work)

    def into(self, out: np.ndarray, *rest: Any) -> None:  # type: ignore[override]
        """Compute with `out` as first operand and as result."""
        self.compute(out, *rest, out=out)

    def overwrite(self, target: Tensor, args: tuple[Any, ...]) -> None:
        """Compute into the memory of `target`, which is the first of `args`, too."""
        out, key, operands = target._data, [target._kind or learn(target)], []
        for a in args:
            if isinstance(a, Tensor):
                data = a._data
                if data is out:
                    key.append(True)
                elif (data.base is None and out.base is None) or not np.may_share_memory(data, out):
                    key.append(a._kind or learn(a))
                else:
                    data = _apart(data, out)
                    key.append(kind_of(data))
                operands.append(data)
            else:
                key.append(type(a))
                operands.append(a)
        plan = self.plans.get(tuple(key)) or self._plan(tuple(key), operands, out)
        if plan.entry is None or observers:
            self._run(plan, out, operands)
            return
        if plan.numbers:
            operands = [o if type(o) is np.ndarray else scalar(o, plan.compute) for o in operands]
        plan.entry(out, *operands, *plan.geometry)

    def _plan(self, key: tuple[Any, ...], operands: Sequence[Any], out: np.ndarray | None = None) -> _Plan:
        """The plan of a call; `key` has what matters of each operand: dtype, shape and strides, or the type of a number."""
        operands = [o.item() if isinstance(o, np.generic) else o for o in operands]
        check_operands(self.told, operands, self.parameters, self.numbers if out is None or self.numbers is None else True)
        if dtypes.HALVES and any(isinstance(o, np.ndarray) and is_half(o.dtype) for o in (out, *operands)):
            raise TypeError(f"{self.name}: two-byte floats must be widened before they get here")
        compute, result = types(self.told, self.kind, operands)
        if self.alike:
            check_alike(self.told, operands, self.parameters)
        shape = broadcast_shape([o.shape for o in operands if isinstance(o, np.ndarray)])
        if out is not None:
            if broadcast_shape([out.shape, shape]) != out.shape:
                raise RuntimeError(f"output with shape {list(out.shape)} doesn't match the broadcast shape {list(shape)}")
            if not self.casts:
                check_cast(result, out.dtype)
            shape, result = out.shape, out.dtype
        layouts, geometry = lay_out(shape, [out, *operands])
        streamed = self.cost <= streaming.SHORT and math.prod(shape) * result.itemsize >= streaming.BEYOND and set(layouts) <= set("fs")
        plan = _Plan(compute, result, shape, self.kernel(layouts, compute, result, streamed), geometry)
        plan.work, plan.numbers = math.prod(shape) * self.cost, any(not isinstance(o, np.ndarray) for o in operands)
        plan.differentiable = result.kind == "f" and self.vjp is not None
        if plan.work:
            arrays = [np.empty(0, result), *(o if isinstance(o, np.ndarray) else np.empty(0, compute) for o in operands)]
            plan.entry = plan.kernel.entry(arrays, geometry, work=plan.work)
        if len(self.plans) > 2000:  # shapes that never come back must not pile up
            self.plans.clear()
        self.plans[key] = plan
        return plan

    @functools.cache  # noqa: B019 - ops live as long as the program
    def kernel(self, layouts: str, compute: np.dtype, result: np.dtype, streamed: bool = False) -> Kernel:
        """The kernel for these layouts and dtypes."""
        return codegen.pointwise(self.name, self.tree, self.variables, layouts, compute, result, streamed)

    # --- gradients ---

    @property
    def vjp(self) -> Any:  # type: ignore[override]
        """A rule for each variable, derived from the formula where it was not given."""
        return self._vjp

    @vjp.setter
    def vjp(self, given: Any) -> None:
        self._given = given
        self.__dict__.pop("_vjp", None)

    @functools.cached_property
    def _vjp(self) -> Any:
        if self._given is not MISSING:
            return self._given
        if self.kind in ("compare", "logical", "integer", "whole"):
            return None
        given = self.grad if isinstance(self.grad, (tuple, list)) else (self.grad,)
        given = tuple(given) + (None,) * (len(self.variables) - len(given))
        return tuple([None if v in self.constants else self._rule(i, v, given[i]) for i, v in enumerate(self.variables)])

    def _rule(self, index: int, variable: str, text: str | None) -> Rule:
        if text is not None:
            tree = formula.parse(text)
        else:
            tree = formula.multiply(ast.Name("g"), formula.derivative(self.tree, variable))
        return Rule(f"{self.name}_grad{index}", tree, dict(zip(self.variables, self.parameters, strict=True)), self.constants)


class Rule:
    """The gradient of one variable as a formula of g, y and the variables; itself an op, hence differentiable again."""

    def __init__(self, name: str, tree: ast.expr, parameters: dict[str, str], constants: Sequence[str]):
        self.name, self.tree, self.constants = name, tree, constants
        self.variables = formula.names(tree) or ["g"]
        self.arguments = tuple(parameters.get(v, v) for v in self.variables)

    @property
    def identity(self) -> bool:
        """Whether the gradient is g as it is."""
        return isinstance(self.tree, ast.Name) and self.tree.id == "g"

    @functools.cached_property
    def op(self) -> Any:
        """The rule as an op. Its g and y are inputs, so they get other names there: its own gradient has a g and a y of its own."""
        if isinstance(self.tree, ast.Constant):  # zero almost everywhere
            return REGISTRY["zeros_like"]
        names = {v: v + "_" * (v in "gy") for v in self.variables}
        while len(set(names.values())) < len(names):
            names = {v: n + "_" * (v in "gy") for v, n in names.items()}
        tree = formula.substitute(self.tree, {v: ast.Name(n) for v, n in names.items()})
        return Pointwise(self.name, ast.unparse(tree), constants=self.constants, variables=list(names.values()))

    def __call__(self, *args: Any) -> Any:
        return args[0] if self.identity else self.op(*args)


def pointwise(name: str, text: str, **record: Any) -> Op:
    """Register an op given by a formula; see `Pointwise` and `numgrad.jit.formula`."""
    return register(Pointwise(name, text, **record))


_copy = Pointwise("copy", "x", kind="arithmetic", casts=True)


def copy_into(out: np.ndarray, source: Any) -> None:
    """Write a source (array or number, broadcast, cast as C does) into existing memory."""
    if dtypes.HALVES and (is_half(out.dtype) or (type(source) is np.ndarray and is_half(source.dtype))):
        out, source = _without_halves(out, source)
    _copy.compute(source, out=out)


def _without_halves(out: np.ndarray, source: Any) -> tuple[np.ndarray, Any]:
    """What is to be written where, as dtypes that kernels know, where two-byte floats are among them."""
    if not isinstance(source, np.ndarray):
        return half.bits(out), half.bits(half.number(source, out.dtype)).reshape(())
    if source.dtype == out.dtype:
        return half.bits(out), half.bits(source)
    if is_half(source.dtype):
        source = half.widened(copied(source))
    if not is_half(out.dtype):
        return out, source
    found = empty(source.shape, out.dtype)
    half.narrow(found, copied(source, FLOAT32))
    return half.bits(out), half.bits(found)


def filled(shape: tuple[int, ...], dtype: np.dtype, value: Any, like: Kind | None = None) -> Tensor:
    """A new tensor with one value everywhere; `like`: its kind, if that is contiguous."""
    if not (shape or observers or is_half(dtype)):  # what a scalar's way back begins with
        return wrap(np.array(value, dtype))
    result = wrap(empty(shape, dtype))
    if is_half(dtype):
        copy_into(result._data, value)
        return result
    if like is not None and like.contiguous and like.size:
        result._kind = like
    _copy.overwrite(result, (value,))
    return result


ops.filled = filled


def copied(source: np.ndarray, dtype: np.dtype | None = None) -> np.ndarray:
    """A contiguous copy, in another dtype if asked."""
    y = empty(source.shape, dtype or source.dtype)
    copy_to_new(y, source)
    return y


def copy_to_new(out: np.ndarray, source: np.ndarray) -> None:
    """`copy_into` where the memory is new, or a part of it: then nothing can overlap."""
    if dtypes.HALVES and (is_half(out.dtype) or is_half(source.dtype)):
        out, source = _without_halves(out, source)
    _copy._run(copy_plan(out, source), out, (source,))


def copy_plan(out: np.ndarray, source: np.ndarray) -> _Plan:
    """The plan of `copy_to_new`."""
    key = out.dtype, out.shape, out.strides, source.dtype, source.shape, source.strides
    return _copy.plans.get(key) or _copy._plan(key, (source,), out)


def copy_along(y: np.ndarray, x: np.ndarray, dims: list[int], strides: list[list[int]], at: int) -> None:
    """Write into contiguous memory what strides, which may be negative, pass in `x` from `at` on."""
    dims, strides, cut, units = walk(dims, strides, (0, at))
    letters = "".join(LETTERS.get(s[-2], "n") for s in strides)
    geometry = np.array(dims, np.int64), np.array(strides, np.int64), cut, units
    launch(_copy.kernel(letters, y.dtype, y.dtype), y.reshape(-1), x, *geometry)


# --- shapes and layouts ---------------------------------------------------------------------------------------------


def _apart(operand: Any, out: np.ndarray) -> Any:
    """An operand that overlaps the output otherwise than exactly is copied, or it would be overwritten while being read."""
    if type(operand) is not np.ndarray or operand is out or not np.may_share_memory(operand, out):
        return operand
    same = operand.shape == out.shape and operand.strides == out.strides
    return operand if same and operand.ctypes.data == out.ctypes.data else copied(operand)


def as_operand(value: Any) -> Any:
    """What a formula takes: tensors and numbers as they are; NumPy arrays and scalars as tensors."""
    if isinstance(value, (Tensor, int, float)):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        return wrap(dtypes.noted(np.asarray(value)))
    raise TypeError(f"expected a Tensor or a number, but got {type(value).__name__}")
