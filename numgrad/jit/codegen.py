"""Formulas become kernels: source text, written to a file named by its content, compiled like any other kernel."""

from __future__ import annotations

import ast
import hashlib
import linecache
from typing import Any

import numpy as np

from . import formula, simd, vmath
from .cache import directory, write_atomically
from .kernel import Kernel, device, kernel, prange

#: Elements of one unit of work. Fixed: the cut depends on the shape alone.
TILE = 8192

_FLAT = '''"""{title}"""


@device
def tile(result, {operands}, start, stop):
    {rows}
    out = result[start:stop]
    for j in range(stop - start):
        {loads}
        out[j] = R({expression})


@kernel
def {name}(result, {operands}):
    for t in prange((result.size + {tile} - 1) // {tile}):
        tile(result, {operands}, t * {tile}, min(result.size, (t + 1) * {tile}))
'''

_STRIDED = '''"""{title}"""


@device
def tile(result, {operands}, shape, strides, unit):
    columns = shape[shape.size - 1]
    blocks = (columns + {tile} - 1) // {tile}
    row = unit // blocks
    first = (unit - row * blocks) * {tile}
    count = min(columns - first, {tile})
    {rows}
    {out}
    for j in range(count):
        {loads}
        out[j] = R({expression})


@kernel
def {name}(result, {operands}, shape, strides, units):
    for unit in prange(units):
        tile(result, {operands}, shape, strides, unit)
'''


@device
def row_start(row: int, shape: Any, strides: Any, operand: int) -> int:
    """Where a row of a strided operand begins: its index over the outer dimensions, weighted by strides."""
    at = 0
    for d in range(shape.size - 2, -1, -1):
        at += (row % shape[d]) * strides[operand, d]
        row //= shape[d]
    return at


def pointwise(name: str, tree: ast.expr, variables: list[str], layouts: str, compute: np.dtype, result: np.dtype) -> Kernel:
    """A kernel y = formula(operands), computed in dtype `compute` and stored as `result`.

    `layouts` has a letter for the output and for each operand: all of "fs" (flat, or one element for all) give
    `kernel(y, x0, ...)`; else of "01n" (the inner stride) give `kernel(y, x0, ..., shape, strides, units)`, where arrays
    are one-dimensional spans, and strides are in elements, a row for the output and each operand.
    """
    flat = set(layouts) <= {"f", "s"}
    operands = [f"x{i}" for i in range(len(variables))]
    rows, loads = [], []
    for i, (operand, variable, layout) in enumerate(zip(operands, variables, layouts[1:], strict=True)):
        if layout == "s":
            rows.append(f"{variable} = T({operand}[0])")
            continue
        if not flat:
            rows.append(f"at{i} = row_start(row, shape, strides, {i + 1})")
        if layout == "0":
            rows.append(f"{variable} = T({operand}[at{i}])")
        else:
            rows.append(f"row{i} = " + (f"{operand}[start:stop]" if flat else _slice(operand, f"at{i}", i + 1, layout)))
            loads.append(f"{variable} = T(row{i}[j])")
    name += "_kernel"
    text = (_FLAT if flat else _STRIDED).format(
        name=name, title=f"{ast.unparse(tree)}: {compute} -> {result}, layouts {layouts}", tile=TILE,
        operands=", ".join(operands), rows="\n    ".join(rows) or "pass", loads="\n        ".join(loads) or "pass",
        expression=formula.source(tree, compute),
        out="at = row_start(row, shape, strides, 0)\n    out = " + _slice("result", "at", 0, layouts[0]),
    )  # fmt: skip
    return load(name, text, {"T": compute.type, "R": result.type})


def _slice(operand: str, at: str, index: int, layout: str) -> str:
    if layout == "1":
        return f"{operand}[{at} + first : {at} + first + count]"
    step = f"strides[{index}, shape.size - 1]"
    return f"{operand}[{at} + first * {step} : {at} + (first + count - 1) * {step} + 1 : {step}]"


def load(name: str, text: str, constants: dict[str, Any]) -> Kernel:
    """Execute generated source and return the kernel `name`; the source lies in the cache folder, to be read and stepped."""
    file = f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.py"
    folder = directory()
    path = folder / "generated" / file if folder else None
    if path is not None and not path.exists():
        write_atomically(path, text.encode())
    filename = str(path) if path is not None else f"<numgrad {file}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
    # Compiled code is found again by the name of its module, so generated code lives in this one.
    scope = _scope() | constants | {"__name__": __name__}
    exec(compile(text, filename, "exec"), scope)
    return scope[name]


def _scope() -> dict[str, Any]:
    functions = {name: value for name, value in vars(vmath).items() if callable(value)}
    doors = {"kernel": kernel, "device": device, "prange": prange, "row_start": row_start}
    return functions | doors | {"np": np, "select": simd.select, "integer_power": simd.integer_power}
