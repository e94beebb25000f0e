"""Several formulas in one loop: each element is loaded once, goes through all of them in registers, and only results are stored."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

import llvmlite.binding as llvm
import numpy as np

from . import formula
from .codegen import _ALONG, ROWS, TILE, _filled, load
from .kernel import Kernel

# A loop over many arrays is vectorised if they are seen not to overlap when it starts; LLVM gives up at 8 comparisons.
llvm.set_option("numgrad", "--runtime-memory-check-threshold=128")


_TYPE = re.compile(r"\bT\(")  # what formulas call the dtype that they compute in


class Statement(NamedTuple):
    """value number `target` = formula of earlier values and operands (`names`: what each variable stands for)."""

    target: int
    tree: ast.expr
    names: dict[str, str]
    compute: np.dtype
    result: np.dtype


_FLAT = '''"""{title}"""


@device
def tile({operands}, start, stop):
    {heads}
    for j in range(stop - start):
        {loads}
        {body}
        {stores}


@kernel
def {name}({operands}):
    for t in prange(({first}.size + {tile} - 1) // {tile}):
        tile({operands}, t * {tile}, min({first}.size, (t + 1) * {tile}))
'''

_STRIDED = (
    '''"""{title}"""


@device
def tile({operands}, shape, strides, cut, unit):
'''
    + ROWS
    + '''            {heads}
            for j in range(count):
                {loads}
                {body}
                {stores}
            {advance}


@kernel
def {name}({operands}, shape, strides, cut, units):
    for unit in prange(units):
        tile({operands}, shape, strides, cut, unit)
'''
)


def fused(statements: Sequence[Statement], stores: Sequence[int], inputs: int, layouts: str) -> Kernel:
    """A kernel of outputs o0, o1, ... (which hold the values `stores`) and inputs i0, i1, ... in these layouts.

    `layouts` has a letter for each output and input, as in `codegen.pointwise`; the arguments are the same, too.
    """
    outputs = [f"o{n}" for n in range(len(stores))]
    operands = outputs + [f"i{n}" for n in range(inputs)]
    body, constants = _body(statements)
    if set(layouts) <= {"f", "s"}:
        text = _flat(operands, len(outputs), stores, layouts)
    else:
        text = _strided(operands, len(outputs), stores, layouts)
    title = "; ".join(line.split(" = ", 1)[1] for line in body if line[0] == "v")
    key = hashlib.sha256(repr((body, stores, inputs, layouts, sorted(map(str, constants.items())))).encode()).hexdigest()[:8]
    name = f"fused_{len(statements)}_{key}"
    text = _filled(text, body=body).format(
        name=name, title=f"{title[:2000]}, layouts {layouts}", tile=TILE, operands=", ".join(operands), first=operands[0]
    )
    return load(name, text, constants)


def _body(statements: Sequence[Statement]) -> tuple[list[str], dict[str, type]]:
    """Lines that compute each value, in the dtype of its formula, rounded to that of its result."""
    lines: list[str] = []
    constants: dict[str, type] = {}
    for k, statement in enumerate(statements):
        number, rounded = f"T_{statement.compute.name}", f"T_{statement.result.name}"
        constants |= {number: statement.compute.type, rounded: statement.result.type}
        names = {variable: ast.Name(f"s{k}_{variable}") for variable in statement.names}
        lines += [f"s{k}_{variable} = {number}({value})" for variable, value in statement.names.items()]
        source = formula.source(formula.substitute(statement.tree, names), statement.compute)  # type: ignore[arg-type]
        source = _TYPE.sub(f"{number}(", source)
        lines.append(f"v{statement.target} = {rounded}({source})")
    return lines, constants


def _flat(operands: list[str], outputs: int, stores: Sequence[int], layouts: str) -> str:
    heads, loads = [], []
    for n, (operand, layout) in enumerate(zip(operands, layouts, strict=True)):
        if layout == "s":
            heads.append(f"x_{operand} = {operand}[0]")
        else:
            heads.append(f"row_{operand} = {operand}[start:stop]")
            if n >= outputs:
                loads.append(f"x_{operand} = row_{operand}[j]")
    return _filled(_FLAT, heads=heads, loads=loads, stores=[f"row_o{n}[j] = v{value}" for n, value in enumerate(stores)])


def _strided(operands: list[str], outputs: int, stores: Sequence[int], layouts: str) -> str:
    parts: dict[str, list[str]] = {"steps": [], "starts": [], "heads": [], "loads": [], "stores": [], "advance": []}
    for n, (operand, layout) in enumerate(zip(operands, layouts, strict=True)):
        if layout == "s":
            parts["steps"].append(f"x_{operand} = {operand}[0]")
            continue
        parts["steps"].append(f"down_{operand} = strides[{n}, last - 1]")
        parts["starts"].append(f"at_{operand} = block_start(plane, top, first, shape, strides, {n})")
        parts["advance"].append(f"at_{operand} += down_{operand}")
        if layout == "n":
            parts["steps"].append(f"step_{operand} = strides[{n}, last]")
        element = f"{operand}[unsigned(at_{operand}{_ALONG[layout].format(operand=operand)})]"
        if n < outputs:
            parts["stores"].append(f"{element} = v{stores[n]}")
        else:
            parts["heads" if layout == "0" else "loads"].append(f"x_{operand} = {element}")
    return _filled(_STRIDED, **parts)
