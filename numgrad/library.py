"""Operations of a program's own under a name, as PyTorch's `library`: `custom_op`, its gradient, and `ops.NAMESPACE.NAME`.

An operation made this way is a Python function that the graph records as one step; write what it does with tensors, with
NumPy on `tensor.numpy()`, or with `numgrad.elementwise` for a fused kernel.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from .function import Function
from .grad_mode import is_grad_enabled, no_grad
from .lacking import refused
from .tensor import Tensor

__all__ = ["CustomOpDef", "Library", "custom_op", "define", "impl", "opcheck", "register_autograd", "register_fake", "register_kernel", "triton_op", "wrap_triton"]

#: "namespace::name" -> the operation
_KNOWN: dict[str, CustomOpDef] = {}
#: Where PyTorch would run a kernel: these are run here.
_OWN = {"", "cpu", "compositeimplicitautograd", "compositeexplicitautograd"}
opcheck = refused("library.opcheck", "use `numgrad.testing.gradcheck`")


class CustomOpDef:
    """An operation: called as the function it was made of. Its gradient is what `register_autograd` said, else an error when it is needed."""

    def __init__(self, name: str, fn: Callable[..., Any] | None):
        self._qualname, self._function = name, fn
        self._whole: Callable[..., Any] | None = None
        self._backward: Callable[..., Any] | None = None
        self._setup: Callable[..., Any] | None = None
        self._recorded = self._made()
        _KNOWN[name] = self

    @property
    def default(self) -> CustomOpDef:
        """The operation itself: there are no overloads."""
        return self

    def _made(self) -> type[Function]:
        op = self

        class Recorded(Function):
            @staticmethod
            def forward(*args: Any) -> Any:
                return op._run(*args)

            @staticmethod
            def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
                if op._setup is not None:
                    op._setup(ctx=ctx, inputs=inputs, output=output)

            @staticmethod
            def backward(ctx: Any, *grads: Any) -> Any:
                if op._backward is None:
                    raise RuntimeError(f"Trying to backward through {op._qualname} but no autograd formula was registered. Please use register_autograd to add one.")
                return op._backward(ctx, *grads)

        Recorded.__name__ = Recorded.__qualname__ = self._qualname.replace("::", "_")
        return Recorded

    def _run(self, *args: Any) -> Any:
        if self._function is None:
            raise NotImplementedError(f"{self._qualname}: no implementation for the CPU was registered")
        return self._function(*args)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._whole is not None:
            return self._whole(*args, **kwargs)
        if self._function is not None and (kwargs or self._backward is not None):
            bound = inspect.signature(self._function).bind(*args, **kwargs)
            bound.apply_defaults()
            if bound.kwargs:
                raise NotImplementedError(f"{self._qualname}: keyword-only arguments are not taken; make {list(bound.kwargs)} positional")
            args = bound.args
        if is_grad_enabled() and any(isinstance(a, Tensor) and a.requires_grad for a in args):
            return self._recorded.apply(*args)
        with no_grad():
            return self._run(*args)

    def register_autograd(self, backward: Callable[..., Any], /, *, setup_context: Callable[..., Any] | None = None) -> None:
        """`backward(ctx, *grads)` gives the gradient of each argument; `setup_context(ctx, inputs, output)` saves what it needs."""
        self._backward, self._setup = backward, setup_context

    def register_fake(self, fn: Callable[..., Any] | None = None, /) -> Any:
        """Accepted and without effect: shapes are what the function makes. A decorator without `fn`."""
        return fn if fn is not None else lambda function: function

    def register_kernel(self, device_types: str | Iterable[str] | None = None, fn: Callable[..., Any] | None = None, /) -> Any:
        """The function for the CPU (or all devices); those of other devices are not needed. A decorator without `fn`."""
        kinds = [""] if device_types is None else [device_types] if isinstance(device_types, str) else list(device_types)

        def keep(function: Callable[..., Any]) -> Callable[..., Any]:
            if any(kind.lower() in _OWN for kind in kinds):
                self._function = function
            return function

        return keep if fn is None else keep(fn)

    register_vmap = register_torch_dispatch = refused("library's register_vmap", "`numgrad.vmap` runs the function as it is")


def custom_op(
    name: str, fn: Callable[..., Any] | None = None, /, *, mutates_args: str | Iterable[str] = (), device_types: Any = None, schema: str | None = None, tags: Any = None,
) -> Any:  # fmt: skip
    """Make an operation `ops.NAMESPACE.NAME` of a function; `name` is "namespace::name". A decorator without `fn`.

    Arguments that it changes in place may be named in `mutates_args`; schema and tags are without effect. ValueError for other names.
    """
    _checked(name)

    def make(function: Callable[..., Any]) -> CustomOpDef:
        made = CustomOpDef(name, None)
        made.register_kernel(device_types, function)
        made.__doc__ = function.__doc__
        return made

    return make if fn is None else make(fn)


def triton_op(name: str, fn: Callable[..., Any] | None = None, /, *, mutates_args: Any = (), schema: str | None = None) -> Any:
    """An operation whose function is for GPUs: to be named, and called once it has one for the CPU (`register_kernel`)."""
    return custom_op(name, fn, mutates_args=mutates_args, device_types="cuda", schema=schema)


def wrap_triton(triton_kernel: Any, /) -> Any:
    """The kernel itself."""
    return triton_kernel


def _checked(name: str) -> str:
    space, mark, own = name.partition("::")
    if not (mark and space.isidentifier() and own.partition(".")[0].isidentifier()):
        raise ValueError(f'expected a name such as "namespace::name", but got {name!r}')
    return name


def _known(op: Any) -> CustomOpDef:
    """An operation by itself or its name; RuntimeError if there is none."""
    if isinstance(op, CustomOpDef):
        return op
    if op not in _KNOWN:
        raise RuntimeError(f"there is no operation {op!r}; make it with `library.custom_op`")
    return _KNOWN[op]


def register_autograd(op: Any, backward: Callable[..., Any], /, *, setup_context: Callable[..., Any] | None = None, lib: Any = None) -> None:
    """`CustomOpDef.register_autograd` of an operation or its name."""
    _known(op).register_autograd(backward, setup_context=setup_context)


def register_fake(op: Any, func: Callable[..., Any] | None = None, /, *, lib: Any = None, **more: Any) -> Any:
    """Accepted and without effect, as `CustomOpDef.register_fake`."""
    return func if func is not None else lambda function: function


impl_abstract = register_fake


def register_kernel(op: Any, device_types: Any, func: Callable[..., Any] | None = None, /, *, lib: Any = None) -> Any:
    """`CustomOpDef.register_kernel` of an operation or its name."""
    return _known(op).register_kernel(device_types, func)


def define(qualname: str, schema: str = "", *, lib: Any = None, tags: Any = ()) -> None:
    """An operation whose function comes later, by `impl`."""
    CustomOpDef(_checked(qualname), None)


def impl(qualname: str, types: str | Iterable[str] = "", func: Callable[..., Any] | None = None, *, lib: Any = None) -> Any:
    """The function of an operation, as `register_kernel`."""
    return _known(qualname).register_kernel("" if types == "default" else types, func)


class Library:
    """Operations of one namespace. `kind` and dispatch keys of other devices are without effect."""

    def __init__(self, ns: str, kind: str, dispatch_key: str = ""):
        if kind not in ("IMPL", "DEF", "FRAGMENT"):
            raise ValueError(f"Unsupported kind: {kind}")
        self.ns, self.kind = ns, kind

    def define(self, schema: str, alias_analysis: str = "", *, tags: Any = ()) -> str:
        """An operation by its schema, "name(Tensor x) -> Tensor"; its name."""
        name = schema.partition("(")[0].strip()
        define(f"{self.ns}::{name}")
        return name

    def impl(self, op_name: Any, fn: Callable[..., Any], dispatch_key: str = "", **more: Any) -> None:
        """The function of an operation; for "Autograd" or "AutogradCPU" one that cares for the gradient itself."""
        op = _known(op_name if isinstance(op_name, CustomOpDef) else f"{self.ns}::{op_name.rpartition('::')[2]}")
        if dispatch_key in ("Autograd", "AutogradCPU"):
            op._whole = fn
        else:
            op.register_kernel(dispatch_key, fn)


class Namespace:
    """`ops.NAMESPACE`: its operations are attributes."""

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, name: str) -> CustomOpDef:
        try:
            return _KNOWN[f"{self._name}::{name}"]
        except KeyError:
            raise AttributeError(f"'_OpNamespace' '{self._name}' object has no attribute '{name}'", name=name) from None


def namespace(name: str) -> Namespace | None:
    """The namespace of that name, if there is an operation in it."""
    return Namespace(name) if any(full.startswith(f"{name}::") for full in _KNOWN) else None
