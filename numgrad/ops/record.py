"""What an op is: one record of how it computes, how its gradient is written in ops, and how it is tested.

`REGISTRY` holds every op by name. Whoever is in it is a function of `numgrad`, a method of Tensor where it says so,
tested by `tests/test_ops.py` and benchmarked by `perf`; there is no second list.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from types import MethodType
from typing import Any

import numpy as np

from ..autograd import mode
from ..dtypes import FLOATING, HALVES
from ..tensor import Tensor, wrap
from . import widen
from .blame import STUMBLES, blamed
from .deprecated import modern
from .outputs import call_with_out, check_cast
from .tape import MISSING, REGISTRY, OpNode, Plan, unwrap
from .tape import rule_arguments as rule_arguments  # tests import it from here

_STARRED = inspect.CO_VARARGS


class Op:
    """An operation on tensors.

    `forward(*arrays)` gets ndarrays where tensors came, launches kernels into `empty()`, and returns an ndarray or a tuple.
    `vjp` is a tuple with one rule for each of the first parameters, or one function that returns such a tuple; a rule
    takes by name what it needs: `g` (the gradient of the result), `y` (the result), any parameter of `forward`, or
    `<parameter>_shape`; with several results, g and y are tuples. Rules are written in ops, hence differentiable again.
    `saved`: the results after so many have no gradient, and they are all that rules read of y: the first may be overwritten.
    `normwise`: it is exact for an input nearby in norm, as LAPACK is: small elements of an array may move as far as the largest.
    """

    def __init__(
        self, name: str, forward: Callable[..., Any], *, vjp: Any = MISSING, reference: Callable[..., Any] | None = None,
        sample: Callable[..., Any] | None = None, errors: Sequence[Any] = (), composite: bool = False,
        method: bool = True, inplace: bool | Callable[..., Any] = False, into: Callable[..., None] | None = None,
        public: bool = True, random: bool = False, saved: int = 0, tolerance: float = 1.0, normwise: bool = False, doc: str | None = None,
    ):  # fmt: skip
        self.name, self.forward, self.vjp = name, forward, vjp
        self.reference, self.sample, self.errors, self.tolerance = reference, sample, tuple(errors), tolerance
        self.composite, self.random, self.public, self.saved, self.normwise = composite, random, public, saved, normwise
        self.method, self.inplace = method, inplace
        if into is not None:  # else what the class has
            self.into = into
        self.__name__ = self.__qualname__ = name
        self.__doc__ = doc or forward.__doc__
        self.parameters, self.defaults = parameters_of(forward)
        self.arity = len(self.parameters)
        self._plans: dict[tuple[Any, ...], Plan] = {}
        if composite:
            self.function = self._composed()

    @property
    def __signature__(self) -> inspect.Signature:
        """What `inspect.signature` and `help` show."""
        return inspect.signature(self.forward)

    #: The module that registered it.
    module = "numgrad"

    #: `into(out, *rest)` computes with `out` as first operand and as result; None where only `forward` can.
    into: Any = None

    #: What a call does, as a plain function, where the op has one: it is found, and becomes a method, faster than an object.
    function: Any = None

    # --- calling ---

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.function is not None:
            return self.function(*args, **kwargs)
        if "out" in kwargs:
            return call_with_out(self, args, kwargs)
        if HALVES and self.name not in widen.AS_STORED and widen.concerned(args, kwargs):
            return widen.computed(self.name, self, args, kwargs)
        if kwargs or len(args) != self.arity:
            args = self.bind(args, kwargs)
        arrays, tracked = unwrap(args)
        try:
            result = self.forward(*arrays)
        except STUMBLES as error:
            found = blamed(self, args, {}, error)
            raise found from (None if found is error else error)
        return self.finish(args, result, tracked and mode.enabled)

    def _composed(self) -> Callable[..., Any]:
        """What calling a function written in other ops does, as a plain function: it is found, and becomes a method, faster than an object."""
        op, forward = self, self.forward

        def function(*args: Any, **kwargs: Any) -> Any:
            if kwargs or HALVES:
                if "out" in kwargs:
                    return call_with_out(op, args, kwargs)
                if HALVES and op.name not in widen.AS_STORED and widen.concerned(args, kwargs):
                    return widen.computed(op.name, function, args, kwargs)
                return op.as_composite(forward, args, kwargs)
            try:
                return forward(*args)
            except (TypeError, *STUMBLES) as error:
                return op._explained(forward, args, {}, error)

        return named(function, self)

    def as_composite(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function of tensors with this op's arguments."""
        if "axis" in kwargs or "keepdims" in kwargs:  # NumPy's names, which PyTorch takes as well
            kwargs = {{"axis": "dim", "keepdims": "keepdim"}.get(k, k): v for k, v in kwargs.items()}
        if kwargs and function.__code__.co_flags & _STARRED:  # sizes and dims come one by one, as a sequence, or by name
            star = self.parameters_after(function)
            args = (*args, *[kwargs.pop(name) for name in (star, "size") if name in kwargs])
        try:
            return function(*args, **kwargs)
        except (TypeError, *STUMBLES) as error:
            return self._explained(function, args, kwargs, error)

    def _explained(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception) -> Any:
        """Raise what tells which argument of a call was wrong; or the result, where the arguments are those of another version of PyTorch."""
        if isinstance(error, STUMBLES):
            found = blamed(self, args, kwargs, error)
            raise found from (None if found is error else error)
        if error.__traceback__ is None or error.__traceback__.tb_next is not None or "()" not in str(error):
            raise error
        found = modern(self.name, args, kwargs)
        if found is not None:
            return function(*found[0], **found[1])
        # the arguments do not fit the function, whose own name nobody knows
        raise TypeError(self.name + str(error)[str(error).index("()") :]) from None

    @staticmethod
    def parameters_after(function: Callable[..., Any]) -> str:
        """The name of the parameter that takes all further arguments."""
        code = function.__code__
        return code.co_varnames[code.co_argcount + code.co_kwonlyargcount]

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """Positional arguments in full; TypeError as Python words it where they do not fit."""
        if len(args) > self.arity:
            raise TypeError(f"{self.name}() takes {self.arity} positional arguments but {len(args)} were given")
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
        for index, output in enumerate(outputs[: self.saved or None]):
            if output._data.dtype.kind in FLOATING:
                if node is None:
                    node = OpNode(self, args, outputs, several)
                output._node, output._requires_grad = node, True
                if index:
                    output._index = index

    def overwrite(self, target: Tensor, args: tuple[Any, ...]) -> None:
        """Compute into the memory of `target`, which is the first of `args`, too."""
        arrays, out = unwrap(args)[0], target._data
        if self.into is not None:
            self.into(out, *arrays[1:])
            return
        result = self.forward(*arrays)
        if result.shape != out.shape:
            raise RuntimeError(f"output with shape {list(out.shape)} doesn't match the broadcast shape {list(result.shape)}")
        check_cast(result.dtype, out.dtype)
        REGISTRY["copy"].into(out, result, False)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __reduce__(self) -> Any:
        return registered, (self.name,)

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


def named(function: Callable[..., Any], made: Op) -> Callable[..., Any]:
    """A function under an op's name, with its documentation and signature."""
    function.__name__ = function.__qualname__ = made.name
    function.__doc__, function.__wrapped__ = made.__doc__, made  # type: ignore[attr-defined]
    function.__module__ = __name__  # where `__getattr__` finds it
    return function


def registered(name: str) -> Any:
    """What calls the op of a name."""
    return REGISTRY[name].function or REGISTRY[name]


def __getattr__(name: str) -> Any:
    """Ops by name: functions are pickled as the name of their module and their own."""
    if name in REGISTRY:
        return registered(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def parameters_of(function: Callable[..., Any]) -> tuple[list[str], list[Any]]:
    """The names of a function's parameters and their defaults (`inspect.Parameter.empty`: none)."""
    code = function.__code__  # what inspect.signature would say, at a tenth of its time: there are many ops to import
    positional, keyword = code.co_argcount, code.co_kwonlyargcount
    names = list(code.co_varnames[: positional + keyword])
    given = function.__defaults__ or ()  # type: ignore[attr-defined]
    defaults = [inspect.Parameter.empty] * (positional - len(given)) + list(given)
    defaults += [(function.__kwdefaults__ or {}).get(n, inspect.Parameter.empty) for n in names[positional:]]  # type: ignore[attr-defined]
    bound = hasattr(function, "__self__")  # then the first is the object itself
    return (names[1:], defaults[1:]) if bound else (names, defaults)


def op(name: str, forward: Callable[..., Any], **record: Any) -> Op:
    """Register an op; see `Op` for what its record holds."""
    return register(Op(name, forward, **record))


def composite(name: str, function: Callable[..., Any], **record: Any) -> Op:
    """Register a function written in other ops: its gradient is theirs."""
    return register(Op(name, function, composite=True, **record))


def register(made: Op) -> Op:
    """Enter an op under its name; a name is given once, but a user's module that runs again replaces its own."""
    made.module = registrant()
    known = REGISTRY.get(made.name)
    if known is not None and (known.module != made.module or made.module.startswith("numgrad.")):
        raise ValueError(f"an op named {made.name!r} is registered already, by {known.module}")
    REGISTRY[made.name] = made
    return made


#: Modules whose functions register what others give them.
_DOORS = {__name__, *(f"numgrad.ops.{name}" for name in ("elementwise", "planned", "scalar", "views"))}


def registrant() -> str:
    """The module that is registering an op: the first in the chain of callers that does so for itself."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") in _DOORS:
        frame = frame.f_back
    return frame.f_globals.get("__name__", "__main__") if frame is not None else "__main__"
