"""The memory under tensors."""

from __future__ import annotations

from .tensor import Tensor

__all__ = ["TypedStorage", "UntypedStorage"]


class UntypedStorage:
    """The memory under a tensor, as far as scripts ask: its length and its address."""

    def __init__(self, tensor: Tensor):
        self._owner = tensor if tensor._base is None else tensor._base

    def data_ptr(self) -> int:
        """The address of its first byte."""
        return self._owner.data_ptr()

    def size(self) -> int:
        """Its elements."""
        return self._owner.numel()

    __len__ = size

    def nbytes(self) -> int:
        """Its bytes."""
        return self._owner.nbytes


TypedStorage = UntypedStorage
