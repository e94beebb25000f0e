"""Every op, by family. Importing this package fills `REGISTRY` and gives Tensor its methods."""

from __future__ import annotations

import importlib
from typing import Any

from ..tensor import Tensor
from .record import REGISTRY, InPlace, Op, composite, op

FAMILIES = ("pointwise", "shape", "reduce")


def attach(made: Op) -> None:
    """Give Tensor an op as a method, as an in-place method and as operators, where its record says so."""
    if made.method:
        setattr(Tensor, made.name, made)
    if made.inplace:
        setattr(Tensor, made.name + "_", InPlace(made))
    for name in made.operators:
        setattr(Tensor, name, made)


for _family in FAMILIES:
    importlib.import_module(f".{_family}", __name__)

for _op in REGISTRY.values():
    attach(_op)
    if _op.public:
        globals()[_op.name] = _op

_Any = Any
__all__ = ["REGISTRY", "InPlace", "Op", "composite", "op", *(name for name, o in REGISTRY.items() if o.public)]
