"""PyTorch's `autograd.forward_ad` as far as libraries ask whether a tensor has a tangent: none has one here."""

from __future__ import annotations

import contextlib
from collections import namedtuple
from collections.abc import Iterator
from typing import Any

from .lacking import refused
from .tensor import Tensor

__all__ = ["UnpackedDualTensor", "dual_level", "make_dual", "unpack_dual"]

UnpackedDualTensor = namedtuple("UnpackedDualTensor", ["primal", "tangent"])
make_dual = refused("autograd.forward_ad.make_dual", "`numgrad.func.jvp` gives a function's value and its derivative along a direction")


@contextlib.contextmanager
def dual_level() -> Iterator[None]:
    """A block in which tensors could be given tangents; `make_dual` is refused."""
    yield


def unpack_dual(tensor: Tensor, *, level: Any = None) -> UnpackedDualTensor:
    """The tensor, and None for its tangent."""
    return UnpackedDualTensor(tensor, None)
