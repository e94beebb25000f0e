"""Calls that are worked out once: for tensors of the same kinds and the same further arguments, the rest is known ahead.

The first call of its sort checks arguments, finds the result's shape and the kernel; it leaves a `Call` behind. Every further
one looks that up, makes the result's memory and launches.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..autograd import mode
from ..dtypes import HALVES
from ..jit import Kernel, empty, launch_flat, maker, observers, whole
from ..kinds import Kind, learn
from ..tensor import Tensor, wrap
from . import widen
from .blame import STUMBLES, blamed
from .elementwise import copied
from .outputs import call_with_out
from .record import Op, named, register
from .tape import attach, has_tensors, unwrap

#: Calls that an op remembers: shapes that never come back must not pile up.
_MOST = 2000


class Launch:
    """One launch of a kernel into a new array.

    `views` are the shapes in which the kernel sees the array and its operands, contiguous all, or copied first where `copies`
    says so; `given` are the operands' dtypes.
    """

    __slots__ = ("copies", "dtype", "entry", "kernel", "make", "rest", "shape", "turned", "views", "work")

    def __init__(
        self, kernel: Kernel, shape: tuple[int, ...], dtype: np.dtype, views: Sequence[tuple[int, ...]], given: Sequence[np.dtype],
        rest: tuple[Any, ...] = (), work: int = 0, copies: Sequence[bool] = (),
    ):  # fmt: skip
        self.copies = tuple(copies) if any(copies) else ()
        self.kernel, self.shape, self.dtype, self.views, self.rest, self.work = kernel, shape, dtype, tuple(views), rest, work
        self.turned: tuple[Any, ...] | None = None  # the views of what has another shape, None for the rest
        seen = [np.empty((0,) * len(v), d) for v, d in zip(views, [dtype, *given], strict=True)]
        self.make, self.entry = maker(shape, dtype), kernel.entry(seen, rest, False, work)

    def __call__(self, *operands: np.ndarray) -> np.ndarray:
        if self.copies:
            operands = tuple([copied(a) if c else a for a, c in zip(operands, self.copies, strict=True)])
        if observers:
            y = empty(self.shape, self.dtype)
            launch_flat(self.kernel, None, [a.reshape(v) for a, v in zip((y, *operands), self.views)], self.rest, self.work, whole)
            return y
        y = self.make(self.shape, self.dtype)
        if self.turned is None:  # the same at each call
            self.turned = tuple([None if a.shape == v else v for a, v in zip((y, *operands), self.views)])
        self.entry(*[a if v is None else a.reshape(v) for a, v in zip((y, *operands), self.turned)], *self.rest)
        return y


class Call:
    """What is known ahead: the op and its arguments after the tensors, what computes the result from arrays, and its kind."""

    __slots__ = ("count", "first", "kind", "kinds", "link", "op", "places", "recorded", "rest", "run", "shares", "ways")

    def __init__(self, op: Planned, count: int, rest: tuple[Any, ...], run: Callable[..., Any]):
        self.op, self.count, self.rest, self.run = op, count, rest, run
        self.shares, self.link = op.shares, (op, rest)
        self.recorded = False
        self.ways: dict[Any, Any] = {}
        self.kind: Kind | None = None
        # of an op with several results:
        self.kinds: Sequence[Kind] = ()
        self.places: Sequence[int] = ()  # where among the call's arguments the op's tensors are; -1: None stands for one
        self.first = False  # whether only the first result is given

    def several(self, results: Sequence[np.ndarray], args: Sequence[Any], tracked: bool) -> Any:
        """The results of an op that has several, as tensors."""
        outputs = []
        for data, kind in zip(results, self.kinds):
            output = object.__new__(Tensor)
            output._data, output._kind = data, kind
            outputs.append(output)
        if tracked and self.recorded and mode.enabled:
            attach(outputs[0], self.op, self.ways, [None if i < 0 else args[i] for i in self.places], self.rest, outputs)
        return outputs[0] if self.first else tuple(outputs)


class Planned(Op):
    """An op whose first arguments are tensors (or None), or one sequence of them, and whose others are plain data.

    `prepare(*arguments)` with arrays for tensors gives a function of the arrays alone; without it, or where it gives None, it is
    `forward` that is called. What it gives may depend on the arrays' dtypes, shapes and strides, not on their memory.
    The function is not given what is None. An op may have several results if only the first has a gradient (`saved=1`) or none has.
    """

    shares = False  # whether the result is a view of the first argument

    def __init__(
        self, name: str, forward: Callable[..., Any], *, prepare: Callable[..., Any] | None = None, plain: bool = True, **record: Any
    ):
        super().__init__(name, forward, **record)
        self.prepare, self.inner = prepare, self
        self.plain = plain  # whether sequences among the arguments are tuples of what can be looked up, no number given as a bool
        self.calls: dict[Any, Call] = {}
        self.function = self._caller()

    def _caller(self) -> Callable[..., Any]:
        """What calling the op does, as a plain function: it is found, and becomes a method, faster than an object."""
        op, calls, plain = self, self.calls, self.plain

        def function(*args: Any, **kwargs: Any) -> Any:
            tracked, terms, arrays = False, [], []
            for a in args:
                if isinstance(a, Tensor):
                    if a._base is not None and a._epoch != a._base._epoch:
                        a.catch_up()
                    if a._requires_grad:
                        tracked = True
                    terms.append(a._kind or learn(a))
                    arrays.append(a._data)
                elif type(a) is int or a is None:
                    terms.append(a)
                elif type(a) is tuple or type(a) is list or type(a) is slice:
                    if type(a) is not slice and a and isinstance(a[0], Tensor):
                        kinds, inner = [], []
                        for t in a:
                            if isinstance(t, Tensor):
                                if t._base is not None and t._epoch != t._base._epoch:
                                    t.catch_up()
                                tracked = tracked or t._requires_grad
                                kinds.append(t._kind or learn(t))
                                inner.append(t._data)
                            else:
                                kinds.append(_term(t))
                        terms.append(tuple(kinds))
                        arrays.append(inner)
                    else:
                        terms.append(a if plain else _term(a))
                else:
                    terms.append((type(a), a))  # True is no 1
            if kwargs:
                terms += kwargs.items()
            key = tuple(terms)
            try:
                found = calls.get(key)
            except TypeError:  # what cannot be looked up
                found, key = None, None
            if found is None:
                return op._anew(args, kwargs, key)
            result = found.run(*arrays)
            if found.kinds:
                return found.several(result, args, tracked)
            output = object.__new__(Tensor)
            output._data = result
            output._kind = found.kind
            if found.shares:
                share(output, args[0], found.link)
            if tracked and mode.enabled and found.recorded:
                attach(output, found.op, found.ways, args[: found.count], found.rest)
            return output

        return named(function, op)

    def resolve(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The arguments of `inner`, all of them; or at once the result, where another op gives it."""
        return self.bind(args, kwargs) if kwargs or len(args) != self.arity else args

    def _anew(self, args: tuple[Any, ...], kwargs: dict[str, Any], key: Any) -> Any:
        """A call that was not seen before."""
        if "out" in kwargs:
            return call_with_out(self, args, kwargs)
        try:
            return self._first(args, dict(kwargs), key)
        except STUMBLES as error:
            found = blamed(self, args, kwargs, error)
            raise found from (None if found is error else error)

    def _first(self, args: tuple[Any, ...], kwargs: dict[str, Any], key: Any) -> Any:
        stored = not HALVES or self.name in widen.AS_STORED or self.inner.shares
        if not stored and widen.concerned(args, kwargs):
            return widen.computed(self.name, self.function, args, kwargs)
        full = self.resolve(args, kwargs)
        if type(full) is not tuple:
            return full
        op = self.inner
        count = max((i + 1 for i, a in enumerate(full) if isinstance(a, Tensor) or has_tensors(a)), default=0)
        arrays, tracked = unwrap(full)
        run = (op.prepare(*arrays) if op.prepare else None) or _forward(op.forward, arrays[:count], full[count:])
        call = Call(op, count, full[count:], run)
        result = call.run(*[a for a in arrays[:count] if a is not None])
        if type(result) is tuple:
            return self._first_of_several(call, args, kwargs, full, result, tracked, key)
        output = wrap(result)
        call.kind = learn(output)
        call.recorded = op.vjp is not None and call.kind.floating
        if key is not None and _same(args, full, count) and next(_tensors(tuple(kwargs.values())), None) is None:
            self._remember(key, call)
        if op.shares:
            share(output, full[0], call.link)
        if tracked and mode.enabled and call.recorded:
            op.record(full, [output])
        return output

    def _remember(self, key: Any, call: Call) -> None:
        if len(self.calls) >= _MOST:
            self.calls.clear()
        self.calls[key] = call

    def _first_of_several(
        self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any], full: tuple[Any, ...], results: tuple[Any, ...], tracked: bool, key: Any
    ) -> Any:
        op = self.inner
        outputs = [wrap(r) for r in results]
        call.kinds, call.first = [learn(o) for o in outputs], self is not op
        call.recorded = op.vjp is not None and call.kinds[0].floating
        places = _places(args, full[: call.count])
        if key is not None and places is not None and next(_tensors(tuple(kwargs.values())), None) is None:
            call.places = places
            self._remember(key, call)
        if tracked and mode.enabled and call.recorded:
            op.record(full, outputs, True)
        return outputs[0] if call.first else tuple(outputs)


def _forward(forward: Callable[..., Any], arrays: Sequence[Any], rest: tuple[Any, ...]) -> Callable[..., Any]:
    """`forward` with its plain arguments, as a function of the arrays that are not None."""
    if all(a is not None for a in arrays):
        return _Forward(forward, rest)
    there = [a is not None for a in arrays]

    def run(*given: Any) -> Any:
        left = iter(given)
        return forward(*[next(left) if t else None for t in there], *rest)

    return run


class _Forward:
    """`forward` with its plain arguments."""

    __slots__ = ("forward", "rest")

    def __init__(self, forward: Callable[..., Any], rest: tuple[Any, ...]):
        self.forward, self.rest = forward, rest

    def __call__(self, *arrays: Any) -> Any:
        return self.forward(*arrays, *self.rest)


class Front(Planned):
    """A public function that only works out the arguments of an op: `arguments(*its own)` gives them as a tuple.

    Where that needs other ops it gives the result itself, and is asked at each call.
    """

    def __init__(self, name: str, inner: Planned, arguments: Callable[..., Any], **record: Any):
        super().__init__(name, arguments, composite=True, plain=False, **record)
        self.inner, self.arguments, self.forward = inner, arguments, self._compose

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.arguments)

    def _compose(self, *args: Any, **kwargs: Any) -> Any:
        full = self.arguments(*args, **kwargs)
        return self.inner(*full) if type(full) is tuple else full

    def resolve(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What `arguments` gives, also for the names that NumPy has for some."""
        return self.as_composite(self.arguments, args, kwargs)


def _term(value: Any) -> Any:
    """What stands for an argument that is a sequence or a slice in a key."""
    if isinstance(value, Tensor):
        return value._kind or learn(value)
    if type(value) is slice:
        return slice, _term(value.start), _term(value.stop), _term(value.step)
    if type(value) is tuple:
        return tuple([_term(v) for v in value])
    if type(value) is list:
        return list, *[_term(v) for v in value]
    return value if type(value) is int or value is None else (type(value), value)


def _same(args: tuple[Any, ...], full: tuple[Any, ...], count: int) -> bool:
    """Whether the tensors among `args` are the first `count` of `full`, and no others are in either."""
    first, all_of_them = list(_tensors(args[:count])), list(_tensors(full))
    return len(list(_tensors(args))) == len(first) == len(all_of_them) and all(a is b for a, b in zip(first, all_of_them, strict=True))


def _tensors(value: Any) -> Iterator[Tensor]:
    """All that are in a value, those that bound slices too: x[a:b] depends on what a and b are."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for v in value:
            yield from _tensors(v)
    elif type(value) is slice:
        yield from _tensors((value.start, value.stop, value.step))


def _places(args: tuple[Any, ...], tensors: tuple[Any, ...]) -> list[int] | None:
    """Where in `args` each of these tensors is, -1 for None; None unless they are all the tensors there, in their order."""
    there = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
    if len(list(_tensors(args))) > len(there):
        return None
    found, left = [], iter(there)
    for t in tensors:
        place = -1 if t is None else next(left, None)
        if place is None or (place >= 0 and args[place] is not t):
            return None
        found.append(place)
    return found if next(left, None) is None else None


def share(output: Tensor, source: Tensor, link: tuple[Op, tuple[Any, ...]]) -> None:
    """Make `output` a view of `source`: same memory, same version counter, and a recipe to make it again from the base.

    The recipe is a chain: what makes the source, None if it is the base, and the op and arguments that make this of it.
    """
    base = source._base
    output._base = base = source if base is None else base
    output._chain = source._chain, link
    output._counter = source._counter or source.version_counter()
    if base._epoch:
        output._epoch = base._epoch


def links(chain: Any) -> list[tuple[Op, tuple[Any, ...]]]:
    """The steps of a recipe, from the base on."""
    found = []
    while chain is not None:
        chain, link = chain
        found.append(link)
    return found[::-1]


def planned(name: str, forward: Callable[..., Any], **record: Any) -> Any:
    """Register an op whose calls are planned; it is called by others only."""
    return register(Planned(name, forward, public=False, method=False, **record))


def front(name: str, inner: Any, arguments: Callable[..., Any], **record: Any) -> Any:
    """Register a function that works out the arguments of an op; see `Front`."""
    return register(Front(name, inner, arguments, **record))
