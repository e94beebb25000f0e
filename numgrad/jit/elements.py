"""Elements of arrays that are known not to overlap: loops over them run in vectors without a look at where they are.

LLVM else compares the bounds of all arrays of a loop each time that it starts, which takes longer than a short row. In generated
code `get3(x, i)` is element i of the array with number 3, and `put3(x, i, value)` sets it: arrays with different numbers have
nothing in common. Indices are not negative.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .kernel import DISABLED

#: Arrays that can be told apart.
COUNT = 24


def _tag(builder: Any, before: int, number: int) -> None:
    """Give what was written since then, loads and stores, the scope of an array's number."""
    module = builder.module
    domain = module.add_metadata([ir.MetaDataString(module, "numgrad")])
    scopes = [module.add_metadata([ir.MetaDataString(module, f"array {n}"), domain]) for n in range(COUNT)]
    for instruction in builder.block.instructions[before:]:
        if isinstance(instruction, (ir.instructions.LoadInstr, ir.instructions.StoreInstr)):
            instruction.set_metadata("alias.scope", module.add_metadata([scopes[number]]))
            instruction.set_metadata("noalias", module.add_metadata([s for n, s in enumerate(scopes) if n != number]))


def _plain_get(x: Any, i: Any) -> Any:
    return x[i]


def _plain_put(x: Any, i: Any, value: Any) -> None:
    x[i] = value


def _pair(number: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The functions for the array with a number."""
    if DISABLED:
        return _plain_get, _plain_put

    def pointer(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.gep(context.make_array(signature.args[0])(context, builder, values[0]).data, [values[1]])

    def load(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = pointer(context, builder, signature, values)
        before = len(builder.block.instructions)
        value = context.unpack_value(builder, signature.args[0].dtype, place)
        _tag(builder, before, number)
        return value

    def store(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = pointer(context, builder, signature, values)
        before = len(builder.block.instructions)
        context.pack_value(builder, signature.args[0].dtype, values[2], place)
        _tag(builder, before, number)
        return context.get_dummy_value()

    def get(typing_context: Any, x: Any, i: Any) -> Any:
        return x.dtype(x, types.int64), load

    def put(typing_context: Any, x: Any, i: Any, value: Any) -> Any:
        return types.void(x, types.int64, x.dtype), store

    pair = intrinsic(get), intrinsic(put)
    for made, twin in zip(pair, (_plain_get, _plain_put), strict=True):
        made.py_func = twin  # whoever reads sources finds there what is written
    return pair


#: By name, for generated code.
FUNCTIONS: dict[str, Callable[..., Any]] = {}
for _number in range(COUNT):
    FUNCTIONS[f"get{_number}"], FUNCTIONS[f"put{_number}"] = _pair(_number)

__all__ = ["COUNT", "FUNCTIONS"]
