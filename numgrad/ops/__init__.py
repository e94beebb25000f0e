"""Every op, by family. Importing this package fills `REGISTRY` and gives Tensor its methods."""

from __future__ import annotations

import importlib
from typing import Any

from ..absent import absent_class
from ..tensor import Tensor
from . import operators
from .inplace import InPlace
from .record import REGISTRY, Op, composite, op

FAMILIES = ("pointwise", "compare", "creation", "convert", "shape", "parts", "strided", "random", "dropout", "reduce", "extreme", "moments", "sort", "selection", "quantiles", "unique", "bins", "matmul", "matmul_added", "covariance", "einsum", "conv", "pool", "fractional", "activation", "softmax", "class_loss", "loss", "norm", "channel_norm", "masks", "getitem", "embedding", "scatter", "indexed", "join", "grids",
            "recurrent_functions", "attention", "ctc",
            "arrange", "triangles", "pad", "numbers", "tails", "slices", "differences", "lapack")  # fmt: skip


def attach(made: Op) -> None:
    """Give Tensor an op as a method, as an in-place method and as operators, where its record says so."""
    if made.method:
        setattr(Tensor, made.name, made.function or made)
    if made.inplace:
        form = InPlace(made) if made.inplace is True else made.inplace
        form.__doc__ = form.__doc__ or f"In-place `{made.name}`."
        if form is made.inplace:
            form.__name__ = form.__qualname__ = made.name + "_"  # errors about its arguments begin with it
        setattr(Tensor, made.name + "_", form)


for _family in FAMILIES:
    importlib.import_module(f".{_family}", __name__)

for _op in REGISTRY.values():
    attach(_op)
    globals()[_op.name] = _op  # also the ones that are not public, for `nn.functional`

operators.attach()

__all__ = ["REGISTRY", "InPlace", "Op", "composite", "op", *(name for name, o in REGISTRY.items() if o.public)]


def __getattr__(name: str) -> Any:
    if name in ("aten", "prim", "prims"):  # PyTorch's names of operations below its functions: to be compared with, not called
        return absent_class(f"ops.{name}", "call the function of that name in numgrad")
    from ..library import namespace  # operations of a program's own

    found = None if name.startswith("_") else namespace(name)
    if found is not None:
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
