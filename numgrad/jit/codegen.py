"""Formulas become kernels: source text, written to a file named by its content, compiled like any other kernel."""

from __future__ import annotations

import ast
import hashlib
import linecache
import weakref
from typing import Any, NamedTuple

import numpy as np

from . import formula, search, simd, vmath
from .cache import directory, write_atomically
from .intrinsics import fabs, float_bits, like, select, settled
from .kernel import Kernel, device, kernel, prange
from .overlap import vectors
from .streaming import aligned, room, stream
from .total import total
from .vmath.angle import NEAR

#: Elements of one unit of work. Fixed: the cut depends on the shape alone.
TILE = 8192



class Form(NamedTuple):
    """What a pointwise kernel computes, for those who fuse it with others."""

    tree: ast.expr
    variables: tuple[str, ...]
    layouts: str
    compute: np.dtype
    result: np.dtype


_FLAT = '''"""{title}"""


@device(overlap={overlap})
def run(out, {operands}, start, stop):
    {rows}
    {near}
    for j in range(stop - start):
        {loads}
        out[j] = R({expression})


{parts}@kernel
def {name}(result, {operands}):
    for t in prange((result.size + {tile} - 1) // {tile}):
        start = np.int64(t) * {tile}  # prange counts in uint64, for which `run` would be compiled once more
        stop = min(result.size, start + {tile})
        {call}
'''

#: What a kernel does for a tile: all at once, or in parts that are streamed.
_WHOLE, _STREAMED = "run(result[start:stop], {operands}, start, stop)", "tile(result, {operands}, start, stop)"
_PARTS = """@device
def tile(result, {operands}, start, stop):
    streamed, part = aligned(result), room(result)
    step = part.size if streamed else stop - start
    for at in range(start, stop, step):
        end = min(stop, at + step)
        run(part if streamed else result[at:end], {operands}, at, end)
        if streamed:
            stream(result[at:end], part)


"""

#: A shorter loop, for where variables are near zero.
_NEAR = """if {condition}:
        for j in range(stop - start):
            {loads}
            out[j] = R({expression})
        return"""

#: How a unit of a strided kernel finds its rows: its place among planes, rows and columns, cut as `cut` says.
ROWS = '''    last = shape.size - 1
    across, down = (shape[last] + cut[2] - 1) // cut[2], (shape[last - 1] + cut[1] - 1) // cut[1]
    block = unit // across
    first = (unit - block * across) * cut[2]
    group = block // down
    top = (block - group * down) * cut[1]
    count, rows = min(shape[last] - first, cut[2]), min(shape[last - 1] - top, cut[1])
    {steps}
    for plane in range(group * cut[0], min(cut[3], (group + 1) * cut[0])):
        {starts}
        for r in range(rows):
'''

_STRIDED = (
    '''"""{title}"""


@device(overlap={overlap})
def tile(result, {operands}, shape, strides, cut, unit):
'''
    + ROWS
    + '''            {rows}
            for j in range(count):
                {loads}
                {store} = R({expression})
            {advance}


@kernel
def {name}(result, {operands}, shape, strides, cut, units):
    for unit in prange(0, units):
        tile(result, {operands}, shape, strides, cut, unit)
'''
)


@device
def unsigned(i: int) -> Any:
    """An index that is not negative, typed so: Numba then leaves out counting from the end, which costs more than the access."""
    return np.uint64(i)


@device
def block_start(plane: int, top: int, first: int, shape: Any, strides: Any, operand: int) -> int:
    """Where a block of an operand begins: the plane's index over the outer dimensions, row and column,
    weighted by strides, from where the operand itself begins (last in its strides)."""
    at = strides[operand, shape.size] + top * strides[operand, shape.size - 2] + first * strides[operand, shape.size - 1]
    for d in range(shape.size - 3, -1, -1):
        at += (plane % shape[d]) * strides[operand, d]
        plane //= shape[d]
    return at


@device
def row_start(row: int, shape: Any, strides: Any, operand: int) -> int:
    """Where a row of an operand begins, by its number over all dimensions but the last."""
    at = 0
    for d in range(shape.size - 2, -1, -1):
        at += (row % shape[d]) * strides[operand, d]
        row //= shape[d]
    return at


def pointwise(name: str, tree: ast.expr, variables: list[str], layouts: str, compute: np.dtype, result: np.dtype, streamed: bool = False) -> Kernel:
    """A kernel y = formula(operands), computed in dtype `compute` and stored as `result`.

    `layouts` has a letter for the output and for each operand: all of "fs=" (flat, one element for all, the output itself) give
    `kernel(y, x0, ...)`; else of "01rn" (the inner stride, r is -1) give `kernel(y, x0, ..., shape, strides, cut, units)`, where
    arrays are one-dimensional spans, strides are in elements, a row for the output and each operand, and `cut` says how
    many planes, rows and columns a unit has, and how many planes there are. `streamed`: the result, flat, is written past the caches.
    """
    operands = [f"x{i}" for i in range(len(variables))]
    title = f"{ast.unparse(tree)}: {compute} -> {result}, layouts {layouts}"
    flat = set(layouts) <= set("fs=")
    text = _flat(operands, variables, layouts, *_nearby(tree, compute), streamed) if flat else _strided(operands, variables, layouts)
    text = text.format(
        name=f"{name}_kernel", title=title, tile=TILE, operands=", ".join(operands), expression=formula.source(tree, compute),
        overlap=vectors(formula.cost(tree)),
    )
    made = load(f"{name}_kernel", text, {"T": compute.type, "R": result.type})
    made.form = Form(tree, tuple(variables), layouts, compute, result)
    return made


def _nearby(tree: ast.expr, compute: np.dtype) -> tuple[str, list[str]]:
    """The source of the formula for where some variables, which are named, are near zero; no names: there is no such one."""
    shorter, names = formula.nearby(tree) if compute.kind == "f" else (tree, [])
    return formula.source(shorter, compute), names


def _flat(operands: list[str], variables: list[str], layouts: str, shorter: str, wanted: list[str], streamed: bool) -> str:
    rows, loads, arrays = [], [], {}
    for operand, variable, layout in zip(operands, variables, layouts[1:], strict=True):
        if layout == "s":
            rows.append(f"{variable} = T({operand}[0])")
        elif layout == "=":
            loads.append(f"{variable} = T(settled(out[j]))")
            arrays[variable] = "out"
        else:
            rows.append(f"row_{operand} = {operand}[start:stop]")
            loads.append(f"{variable} = T(row_{operand}[j])")
            arrays[variable] = f"row_{operand}"
    near = []
    if wanted and set(wanted) <= set(arrays):
        condition = " and ".join(f"near({arrays[v]}, T(1))" for v in wanted)
        near = [_filled(_NEAR, loads=loads).format(condition=condition, expression=shorter)]
    text = _filled(_FLAT, rows=rows, near=near, loads=loads, call=[_STREAMED if streamed else _WHOLE])
    return text.replace("{parts}", _PARTS if streamed else "")


#: From where a row begins to its element j, by the letter of the layout.
_ALONG = {"0": "", "1": " + j", "r": " - j", "n": " + j * step_{operand}"}


def _strided(operands: list[str], variables: list[str], layouts: str) -> str:
    """Operands are read from `at` on, which moves from row to row."""
    steps, starts, rows, loads, advance = [], [], [], [], []
    store = ""  # where the output goes: it comes first
    for i, (operand, variable, layout) in enumerate(zip(["result", *operands], ["", *variables], layouts, strict=True)):
        if layout == "s":
            steps.append(f"{variable} = T({operand}[0])")
            continue
        if layout == "=":
            loads.append(f"{variable} = T(settled({store}))")
            continue
        steps.append(f"down_{operand} = strides[{i}, last - 1]")
        starts.append(f"at_{operand} = block_start(plane, top, first, shape, strides, {i})")
        advance.append(f"at_{operand} += down_{operand}")
        if layout == "n":
            steps.append(f"step_{operand} = strides[{i}, last]")
        element = f"{operand}[unsigned(at_{operand}{_ALONG[layout].format(operand=operand)})]"
        if i == 0:
            store = element
        else:
            (rows if layout == "0" else loads).append(f"{variable} = T({element})")
    return _filled(_STRIDED, steps=steps, starts=starts, rows=rows, loads=loads, advance=advance).replace("{store}", store)


def _filled(template: str, **parts: list[str]) -> str:
    """A template with lines of code at the places of their names, in the place's indentation."""
    for name, lines in parts.items():
        before = template[: template.index(f"{{{name}}}")]
        margin = "\n" + " " * (len(before) - before.rindex("\n") - 1)
        template = template.replace(f"{{{name}}}", margin.join(lines) or "pass", 1)
    return template


_loaded: weakref.WeakValueDictionary[Any, Kernel] = weakref.WeakValueDictionary()  # what lives, so that it is compiled once


def load(name: str, text: str, constants: dict[str, Any]) -> Kernel:
    """Execute generated source and return the kernel `name`; the source lies in the cache folder, to be read and stepped."""
    key = name, text, tuple(sorted((n, id(value)) for n, value in constants.items()))
    found = _loaded.get(key)
    if found is None:
        found = _loaded[key] = _load(name, text, constants)
    return found


def _load(name: str, text: str, constants: dict[str, Any]) -> Kernel:
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


@device
def near(x: Any, one: Any) -> Any:
    """Whether all elements, in the type of `one`, are near zero, as `formula.nearby` means it."""
    most = float_bits(like(one, 0.0))
    for j in range(x.size):
        bits = float_bits(fabs(like(one, x[j])))  # of magnitudes they are in the same order, NaN above all
        most = select(bits > most, bits, most)
    return most < float_bits(like(one, NEAR))


def _scope() -> dict[str, Any]:
    functions = {name: value for name, value in vars(vmath).items() if callable(value)}
    doors = {"kernel": kernel, "device": device, "prange": prange, "block_start": block_start, "unsigned": unsigned, "near": near, "settled": settled}
    doors |= {"aligned": aligned, "room": room, "stream": stream}
    return functions | doors | {"np": np, "select": simd.select, "integer_power": simd.integer_power} | search.FUNCTIONS | {"total": total}
