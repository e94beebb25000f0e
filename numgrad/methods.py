"""Methods of Tensor that are no ops of their own: conversions, transposed views, new tensors of the same kind."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import dtypes, rare_methods
from .lacking import refused
from .ops import creation, reshape_inplace
from .storage import UntypedStorage
from .tensor import Tensor, wrap


def _conversion(to: dtypes.dtype) -> Any:
    def convert(self: Tensor, memory_format: Any = None) -> Tensor:
        return self.to(to)  # type: ignore[attr-defined]

    convert.__doc__ = f"The tensor as {to}."
    return convert


_CONVERSIONS = {
    "float": dtypes.float32, "double": dtypes.float64, "long": dtypes.int64, "int": dtypes.int32, "short": dtypes.int16,
    "char": dtypes.int8, "byte": dtypes.uint8, "bool": dtypes.bool, "half": dtypes.float16, "bfloat16": dtypes.bfloat16,
}  # fmt: skip

#: what `tensor.type()` says, and `torch.FloatTensor` and its kin are called
TYPE_NAMES = {d: f"{dtypes.scalar_name(of)}Tensor" for of, d in dtypes.FROM_NUMPY.items()}


def _type(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The type's name, or the tensor as another dtype (a dtype, a name such as "FloatTensor", or a legacy tensor class)."""
    if dtype is None:
        return f"numgrad.{TYPE_NAMES[self.dtype]}"
    if isinstance(dtype, str):
        name = dtype.rpartition(".")[2]
        matches = [d for d, n in TYPE_NAMES.items() if n == name]
        if not matches:
            raise ValueError(f"invalid type: '{dtype}'")
        dtype = matches[0]
    return self.to(getattr(dtype, "legacy_dtype", dtype))  # type: ignore[attr-defined]


def _itself(self: Tensor) -> Tensor:
    """The tensor itself: numbers are real."""
    return self


def _dense(self: Tensor, dtype: Any = None, *, masked_grad: Any = None) -> Tensor:
    """The tensor itself: all are dense."""
    return self if dtype is None else self.to(dtype)  # type: ignore[attr-defined]


def _reversed(self: Tensor) -> Tensor:
    """A view with the order of dimensions reversed."""
    return self.permute(*range(self.dim() - 1, -1, -1))  # type: ignore[attr-defined]


def _matrix_transpose(self: Tensor) -> Tensor:
    """A view with the last two dimensions exchanged."""
    if self.dim() < 2:
        raise RuntimeError(f"tensor.mT is only supported on matrices or batches of matrices. Got {self.dim()}-D tensor.")
    return self.transpose(-2, -1)  # type: ignore[attr-defined]


def _cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor itself: it lives on the CPU."""
    return self


def _cuda(self: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None) -> Tensor:
    """Always an error: there is no CUDA device."""
    raise RuntimeError("numgrad computes on the CPU only: there is no CUDA device. Leave .cuda() out, or guard it with cuda.is_available()")


def _pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """The tensor itself: there is no device memory to copy to."""
    return self


def _zero(self: Tensor) -> Tensor:
    """Write 0 everywhere, in place."""
    return self.fill_(0)  # type: ignore[attr-defined]


def _new(name: str) -> Any:
    make = getattr(creation, name)

    def new(self: Tensor, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, **kwargs: Any) -> Tensor:
        return make(*size, dtype=self.dtype if dtype is None else dtype, device=device, requires_grad=requires_grad, **kwargs)

    new.__doc__ = f"`{name}` with this tensor's dtype."
    return new


def _new_full(self: Tensor, size: Any, fill_value: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, **kwargs: Any) -> Tensor:
    """`full` with this tensor's dtype."""
    return creation.full(size, fill_value, dtype=self.dtype if dtype is None else dtype, device=device, requires_grad=requires_grad)


def _new_tensor(self: Tensor, data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, **kwargs: Any) -> Tensor:
    """`tensor(data)` with this tensor's dtype."""
    return creation.tensor(data, dtype=self.dtype if dtype is None else dtype, device=device, requires_grad=requires_grad)


def _set_data(self: Tensor, source: Tensor) -> Tensor:
    """Make this tensor use the memory of another."""
    self._data, self._kind = source._data, source._kind
    self.bump()
    return self


def _type_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor as the dtype of another."""
    return self.to(other.dtype)  # type: ignore[attr-defined]


def _is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Whether both are the same memory, in the same shape and strides."""
    return self.data_ptr() == tensor.data_ptr() and self.shape == tensor.shape and self.stride() == tensor.stride()


def _is_shared(self: Tensor) -> bool:
    """Always False: memory is not shared between processes."""
    return False


def _element_size(self: Tensor) -> int:
    """Bytes an element."""
    return self.itemsize


def _is_signed(self: Tensor) -> bool:
    """Whether the dtype can hold negative numbers."""
    return self.dtype.is_signed


def _is_inference(self: Tensor) -> bool:
    """Always False: inference mode makes ordinary tensors."""
    return False


def _storage_offset(self: Tensor) -> int:
    """How many elements into its base's memory a view begins."""
    return 0 if self._base is None else (self.data_ptr() - self._base.data_ptr()) // self.itemsize


def _get_device(self: Tensor) -> int:
    """-1: the CPU."""
    return -1


def _array_namespace(self: Tensor, /, *, api_version: str | None = None) -> Any:
    """The functions of the Python array API standard for tensors: `numgrad.array_api`."""
    from . import array_api

    if api_version not in (None, "2021.12", "2022.12", "2023.12", array_api.__array_api_version__):
        raise ValueError(f"numgrad has the array API standard up to version {array_api.__array_api_version__}, not {api_version!r}")
    return array_api


def _to_device(self: Tensor, device: Any, /, *, stream: Any = None) -> Tensor:
    """The tensor itself: there is one device, the CPU."""
    return self.to(device)  # type: ignore[attr-defined]


def _complex(self: Tensor) -> complex:
    """The one element as a complex number."""
    return complex(float(self))


def _contains(self: Tensor, element: Any) -> bool:
    """Whether an element equals a number, or a tensor broadcast to it."""
    if not isinstance(element, (Tensor, int, float, np.number)):
        raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}.")
    return bool((self == element).any())  # type: ignore[attr-defined]


def _storage(self: Tensor) -> UntypedStorage:
    """The memory under the tensor."""
    return UntypedStorage(self)


class LegacyTensorType(type(Tensor)):  # type: ignore[misc]
    """`FloatTensor(2, 3)` makes a float32 tensor; `isinstance(x, FloatTensor)` asks for its dtype."""

    legacy_dtype: dtypes.dtype

    def __call__(cls, *args: Any, device: Any = None, size: Any = None) -> Tensor:
        dtypes.check_device(device)
        return wrap(creation.legacy(args if size is None else (dtypes.Size(size),), cls.legacy_dtype.numpy))

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.dtype is cls.legacy_dtype


LEGACY_TYPES = {
    name: LegacyTensorType(name, (Tensor,), {"legacy_dtype": d, "__doc__": f"Legacy constructor of {d} tensors."})
    for d, name in TYPE_NAMES.items()
}


def attach() -> None:
    """Give Tensor these methods."""
    for name, to in _CONVERSIONS.items():
        setattr(Tensor, name, _conversion(to))
    methods: dict[str, Any] = {
        "type": _type, "cpu": _cpu, "cuda": _cuda, "pin_memory": _pin_memory, "zero_": _zero,
        "new_full": _new_full, "new_tensor": _new_tensor, "set_": _set_data, "type_as": _type_as, "is_set_to": _is_set_to,
        "element_size": _element_size, "is_signed": _is_signed, "is_inference": _is_inference, "storage_offset": _storage_offset,
        **{name: refused(f"Tensor.{name}", "tensors are dense") for name in ("to_sparse", "to_sparse_coo", "to_sparse_csr", "to_sparse_csc", "to_mkldnn", "coalesce", "indices", "values", "sparse_mask")},
        "to_padded_tensor": refused("Tensor.to_padded_tensor", "there are no nested tensors; pad with `nn.utils.rnn.pad_sequence`"),
        "__array_namespace__": _array_namespace, "__complex__": _complex, "__contains__": _contains, "to_device": _to_device, "get_device": _get_device, "is_shared": _is_shared, "share_memory_": _cpu, "untyped_storage": _storage, "storage": _storage,
        "T": property(_reversed), "mT": property(_matrix_transpose), "H": property(_matrix_transpose), "mH": property(_matrix_transpose),
        "real": property(_itself), "conj": _itself, "resolve_conj": _itself, "resolve_neg": _itself, "to_dense": _dense,
    }  # fmt: skip
    for name in ("new_zeros", "new_ones", "new_empty"):
        methods[name] = _new(name[4:])
    for name, method in (methods | reshape_inplace.METHODS | rare_methods.METHODS).items():
        setattr(Tensor, name, method)


