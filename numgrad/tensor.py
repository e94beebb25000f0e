"""Tensor: an ndarray with a place on the tape. Its operations are the ops of `numgrad.ops`, which attach themselves here."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from . import autograd, dtypes
from .autograd import RemovableHandle
from .dtypes import BFLOAT16, CPU, FLOATING, FROM_NUMPY, Size
from .jit import read

if TYPE_CHECKING:
    from .attached import Attached
else:
    Attached = object


class Tensor(Attached):
    """An n-dimensional array of one dtype that remembers what it was computed from.

    `Tensor(sizes...)` is uninitialised, `Tensor(data)` copies a list or array as the default dtype; prefer `numgrad.tensor`.
    """

    _data: np.ndarray  # whoever sets it anew sets _kind with it
    # Rare fields are class attributes until set, so that a result costs one allocation and one store.
    grad: Any = None
    _kind: Any = None  # see `numgrad.kinds`; None: not asked yet
    _requires_grad: bool = False
    _node: Any = None  # where on the tape it comes from, as output number _index
    _index: int = 0
    _counter: Any = None  # [number of in-place changes], shared by all views of one memory
    _base: Any = None  # for a view: the tensor that owns the memory, and how to get from there to here
    _chain: Any = None
    _epoch: int = 0  # how often the base's place on the tape has changed
    _hooks: Any = None
    _accumulate_hooks: Any = None
    _retains: bool = False
    __array_priority__ = 1000

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return object.__new__(cls)

    def __init__(self, *args: Any, device: Any = None, size: Any = None):
        from .ops import creation

        dtypes.check_device(device)
        self._data, self._kind = creation.legacy(args if size is None else (Size(size),)), None

    # --- what it is ---

    @property
    def shape(self) -> Size:
        """The size of each dimension."""
        return Size(self._data.shape)

    @property
    def dtype(self) -> dtypes.dtype:
        """The element type."""
        return FROM_NUMPY[self._data.dtype]

    @property
    def device(self) -> dtypes.device:
        """Always the CPU."""
        return CPU

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._data.ndim

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self._data.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._data.nbytes

    layout = dtypes.strided
    is_cuda = is_sparse = is_quantized = is_mkldnn = is_meta = is_complex_ = is_xpu = is_mps = is_nested = False

    def dim(self) -> int:
        """The number of dimensions."""
        return self._data.ndim

    ndimension = dim

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension."""
        if dim is None:
            return self.shape
        n = self._data.ndim
        if not -max(n, 1) <= dim < max(n, 1):
            raise IndexError(f"Dimension out of range (expected to be in range of [{-max(n, 1)}, {max(n, 1) - 1}], but got {dim})")
        return self._data.shape[dim]

    def numel(self) -> int:
        """The number of elements."""
        return self._data.size

    nelement = numel

    def stride(self, dim: int | None = None) -> Any:
        """The step in elements from one index to the next, for each dimension or for one."""
        steps = tuple(s // self._data.itemsize for s in self._data.strides)
        return steps if dim is None else steps[dim]

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """Whether elements lie in memory in order, without gaps."""
        return self._data.flags.c_contiguous

    def is_floating_point(self) -> bool:
        """True of float32, float64, float16 and bfloat16."""
        return self._data.dtype.kind in FLOATING

    def is_complex(self) -> bool:
        """Always False."""
        return False

    def data_ptr(self) -> int:
        """The address of the first element."""
        return self._data.ctypes.data

    # --- its place on the tape ---

    @property
    def requires_grad(self) -> bool:
        """Whether operations on it are recorded."""
        if self._base is not None:
            self.catch_up()
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not value and self._node is not None:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a subgraph "
                "that doesn't require differentiation use var_no_grad = var.detach()."
            )
        if value and self._data.dtype.kind not in FLOATING:
            raise RuntimeError(f"only Tensors of floating point dtype can require gradients, but got {self.dtype}")
        self._requires_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` and return the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def grad_fn(self) -> Any:
        """The node that made it; None for a leaf."""
        if self._base is not None:
            self.catch_up()
        return self._node

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user rather than by a recorded operation."""
        return self.grad_fn is None

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad` was called on a non-leaf."""
        return self._retains

    @property
    def output_nr(self) -> int:
        """Which of its node's outputs it is."""
        return self._index

    @property
    def _version(self) -> int:
        return 0 if self._counter is None else self._counter[0]

    def version_counter(self) -> list[int]:
        """The count of in-place changes to its memory, in a list that all views of it share."""
        if self._counter is None:
            self._counter = [0]
        return self._counter

    def bump(self) -> None:
        """Note that its memory was written to."""
        self.version_counter()[0] += 1

    def catch_up(self) -> None:
        """For a view: take its place on the tape anew if its base was changed in place."""
        from .ops.inplace import catch_up

        catch_up(self)

    def backward(self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None) -> None:
        """Add the gradient of this tensor to `.grad` of every leaf it was computed from; see `numgrad.autograd.backward`."""
        autograd.backward(self, None if gradient is None else [gradient], retain_graph, create_graph, inputs)

    def detach(self) -> Tensor:
        """The same memory, off the tape."""
        result = wrap(self._data)
        result._counter = self.version_counter()
        return result

    def detach_(self) -> Tensor:
        """Take this tensor off the tape."""
        if self._base is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        self._node, self._index, self._requires_grad = None, 0, False
        self._epoch += 1
        return self

    @property
    def data(self) -> Tensor:
        """The same memory, off the tape and with changes not counted."""
        return wrap(self._data)

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        self._data, self._kind = value._data, value._kind

    def retain_grad(self) -> None:
        """Keep `.grad` for a tensor that is not a leaf."""
        if not self.requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if self._node is None or self._retains:
            return
        import weakref

        reference = weakref.ref(self)  # a strong one would be a cycle through the node's hooks

        def keep(grad: Tensor) -> None:
            tensor = reference()
            if tensor is not None:
                tensor.grad = grad.detach().clone() if tensor.grad is None else tensor.grad + grad

        self._add_hook(keep)
        self._retains = True

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(grad)` when this tensor's gradient is known; what it returns, if not None, takes the gradient's place."""
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        return self._add_hook(hook)

    def _add_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        owner = self.grad_fn
        if owner is None:
            self._hooks = hooks = self._hooks or {}
        else:
            owner.hooks = hooks = owner.hooks or {}
        functions = hooks.setdefault(self._index, [])
        functions.insert(len(functions) - self._retains, hook)  # what retains comes last
        return RemovableHandle(lambda: functions.remove(hook))

    def register_post_accumulate_grad_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(tensor)` after backward has added to this leaf's `.grad`."""
        if self.grad_fn is not None:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        self._accumulate_hooks = hooks = self._accumulate_hooks or {}
        key = object()
        hooks[key] = hook
        return RemovableHandle(lambda: hooks.pop(key, None))

    # --- to Python and NumPy ---

    def item(self) -> Any:
        """The value of a tensor of one element, as a Python number."""
        if self._data.size != 1:
            raise RuntimeError(f"a Tensor with {self._data.size} elements cannot be converted to Scalar")
        value = read(self._data).item()
        return value if type(value) is not bytes else self.float().item()  # type: ignore[attr-defined]

    def tolist(self) -> Any:
        """Nested lists of Python numbers; a number for a 0-d tensor."""
        return read(self._data if self._data.dtype != BFLOAT16 else self.float()._data).tolist()  # type: ignore[attr-defined]

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The same memory as an ndarray; RuntimeError for a tensor that requires grad, unless `force`."""
        if self.requires_grad and not force:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        if self._data.dtype == BFLOAT16:
            raise TypeError("Got unsupported ScalarType BFloat16: NumPy has no bfloat16; use .float().numpy()")
        self.version_counter()
        return read(self._data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        data = self.numpy()
        if dtype is not None and dtype != data.dtype:
            return data.astype(dtype)
        return data.copy() if copy else data

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from .ops import interop

        return interop.ufunc(ufunc, method, inputs, kwargs)

    def __dlpack__(self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: bool | None = None) -> Any:
        return self.numpy().__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)

    def __dlpack_device__(self) -> Any:
        return self._data.__dlpack_device__()

    def __bool__(self) -> bool:
        if self._data.size != 1:
            what = "no values" if self._data.size == 0 else "more than one value"
            raise RuntimeError(f"Boolean value of Tensor with {what} is ambiguous")
        return bool(self.item())

    def __float__(self) -> float:  # for complex(), too
        return float(self.item() if self._data.size == 1 else self._no_number())

    def __int__(self) -> int:
        return int(self.item() if self._data.size == 1 else self._no_number())

    def _no_number(self) -> Any:
        raise ValueError(f"only one element tensors can be converted to Python scalars, but this one has {self._data.size}")

    def __index__(self) -> int:
        if self._data.dtype.kind in FLOATING or self._data.size != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return operator.index(int(read(self._data).item()))

    def __len__(self) -> int:
        if self._data.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self._data.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if self._data.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))  # type: ignore[attr-defined]

    def __format__(self, specification: str) -> str:
        if self._data.ndim == 0:
            return format(self.item(), specification)
        return format(str(self), specification)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        from .printing import tensor_text

        return tensor_text(self)

    __hash__ = object.__hash__

    def __reduce_ex__(self, protocol: Any) -> Any:
        return rebuild, (type(self), read(self._data), self._requires_grad and self._node is None, self.grad, dict(self._extra()))

    def _extra(self) -> dict[str, Any]:
        """Attributes that users have put on the tensor."""
        return {k: v for k, v in self.__dict__.items() if not k.startswith("_") and k != "grad"}

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if id(self) in memo:
            return memo[id(self)]
        if self.grad_fn is not None:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment. "
                "Use .detach().clone() to copy a computed tensor."
            )
        import copy

        extra = copy.deepcopy(self._extra(), memo)
        result = rebuild(type(self), self._data.copy(), self._requires_grad, copy.deepcopy(self.grad, memo), extra)
        memo[id(self)] = result
        return result

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state)


def wrap(data: np.ndarray) -> Tensor:
    """A tensor around an array, which is neither copied nor checked."""
    result = object.__new__(Tensor)
    result._data = data if type(data) is np.ndarray else np.asarray(data)
    return result


def rebuild(cls: type, data: np.ndarray, requires_grad: bool, grad: Any, extra: dict[str, Any]) -> Any:
    """A tensor from its parts, as pickle and deepcopy make it."""
    result: Any = object.__new__(cls)
    result._data = dtypes.noted(data)
    result.__dict__.update(extra)
    if requires_grad:
        result._requires_grad = True
    if grad is not None:
        result.grad = grad
    return result


def is_tensor(obj: Any) -> bool:
    """Whether an object is a Tensor."""
    return isinstance(obj, Tensor)
