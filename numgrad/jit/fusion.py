"""Several formulas in one loop: each element is loaded once, goes through all of them in registers, and only results are stored."""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import numpy as np

from . import elements, formula
from .codegen import _ALONG, ROWS, TILE, _filled, load, row_start
from .kernel import Kernel
from .overlap import vectors
from .tail import array_at

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


_FLAT = '''@kernel
def {name}({operands}):
    for t in prange(0, ({first}.size + {tile} - 1) // {tile}):
        produce({operands}, t * {tile}, min({first}.size, (t + 1) * {tile}))
'''

_STRIDED = (
    '''@device(overlap={overlap})
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
    for unit in prange(0, units):
        tile({operands}, shape, strides, cut, unit)
'''
)


class Draw(NamedTuple):
    """In place of a value: the output is drawn, by fills(output, start, stop, state, *numbers) (see `Kernel`), before it is read."""

    fills: Any
    numbers: tuple[Any, ...]

    def __repr__(self) -> str:
        return f"{self.fills.__name__}{self.numbers}"


def fused(statements: Sequence[Statement], stores: Sequence[Any], inputs: int, layouts: str, same: dict[int, int]) -> Kernel:
    """A kernel of outputs o0, o1, ... (which hold the values `stores`) and inputs in0, in1, ... in these layouts.

    `layouts` has a letter for each output and input, as in `codegen.pointwise`; the arguments are the same, too. Where all are
    "f" or "s", outputs may be a `Draw`, whose states are the last arguments, and no output has anything in common with another
    operand but what is the `same` (see `ahead`).
    """
    operands = _names(len(stores), inputs, "")
    body, constants = _body(statements)
    name = f"fused_{len(statements)}_{_key(body, stores, inputs, layouts, same, constants)}"
    title = "; ".join(line.split(" = ", 1)[1] for line in body if line[0] == "v")
    head = f'"""{title[:2000]}, layouts {layouts}"""\n\n\n'
    if set(layouts) <= {"f", "s"}:
        given = [*operands, *_states(stores)]
        text = head + _run(operands, stores, layouts, body, same, "", _overlap(statements)) + _FLAT.format(name=name, tile=TILE, operands=", ".join(given), first=operands[0])
        return load(name, text, constants | elements.FUNCTIONS | _drawing(stores))
    text = _filled(_strided(operands, len(stores), stores, layouts), body=body)
    return load(name, head + text.format(name=name, tile=TILE, operands=", ".join(operands), overlap=_overlap(statements)), constants)


def _states(stores: Sequence[Any]) -> list[str]:
    """Names for the states of what is drawn."""
    return [f"state{n}" for n, store in enumerate(stores) if isinstance(store, Draw)]


def _drawing(stores: Sequence[Any]) -> dict[str, Any]:
    return {f"draw{n}": store.fills for n, store in enumerate(stores) if isinstance(store, Draw)}


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


def _overlap(statements: Sequence[Statement]) -> int:
    return vectors(sum(formula.cost(s.tree) for s in statements))


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


# --- producers ------------------------------------------------------------------------------------------------------

#: Any run of elements of the outputs, which are dense: row by row of what the operands have in common.
_RUN_NAMES = {"row_start": row_start} | elements.FUNCTIONS
_RUN = '''@device(overlap={overlap})
def {function}({operands}, {before}shape, {before}strides, start, stop):
    last = {before}shape.size - 1
    inner = {before}shape[last]
    {scalars}
    at = start
    while at < stop:
        row = at // inner
        first = at - row * inner
        count = min(inner - first, stop - at)
        {heads}
        for j in range(count):
            {loads}
            {body}
            {stores}
        at += count


'''


def ahead(consumer: Kernel, statements: Sequence[Statement], stores: Sequence[int], inputs: int, layouts: str, same: dict[int, int]) -> Kernel:
    """A kernel each of whose units first computes the elements that it will read, and then does what `consumer` does.

    Its arguments are those of the consumer, then outputs and inputs of the formulas, whose layouts are "f" (dense), "s" (one
    element for all), and of the inner stride "0", "1" or "n"; then their shape, and strides with a row for each operand.
    `same` says which inputs are what outputs hold before; else no output has anything in common with an operand.
    """
    assert consumer.units is not None
    operands = _names(len(stores), inputs, "p_")
    body, constants = _body(statements)
    name = f"{consumer.name}_of_{len(statements)}_{_key(body, stores, inputs, layouts, same, constants)}"
    call = f"produce({', '.join(operands)}, p_shape, p_strides, {consumer.units.start}, {consumer.units.stop})"
    text = _run(operands, stores, layouts, body, same, "p_", _overlap(statements)) + _around(consumer, name, [*operands, "p_shape", "p_strides"], before=call)
    return load(name, text, _reached(consumer) | constants | _RUN_NAMES)


def after(producer: Kernel, statements: Sequence[Statement], stores: Sequence[Any], inputs: int, layouts: str, same: dict[int, int]) -> Kernel:
    """A kernel each of whose units does what `producer` does, and then formulas for the elements that it has finished.

    Its arguments are those of `ahead`, with the states of draws at the end.
    """
    assert producer.results is not None
    operands = _names(len(stores), inputs, "q_")
    given = [*operands, *_states(stores)]
    body, constants = _body(statements)
    name = f"{producer.name}_then_{len(statements)}_{_key(body, stores, inputs, layouts, same, constants)}"
    start, columns, rows, step = producer.results
    first = f"q_start + q_row * ({step})"
    call = f"""
q_start, q_columns = {start}, {columns}
for q_row in range({rows}):
    follow({', '.join(given)}, q_shape, q_strides, {first}, {first} + q_columns)
"""
    added = [*operands, "q_shape", "q_strides", *_states(stores)]
    text = _run(operands, stores, layouts, body, same, "q_", _overlap(statements)) + _around(producer, name, added, after=call)
    made = load(name, text, _reached(producer) | constants | _RUN_NAMES | _drawing(stores))
    made.units = producer.units
    return made


def _key(*content: Any) -> str:
    *rest, constants = content
    return hashlib.sha256(repr((*rest, sorted(map(str, constants.items())))).encode()).hexdigest()[:8]


def _reached(kernel: Kernel) -> dict[str, Any]:
    """What a kernel's source names."""
    names = kernel.function.__globals__
    return {n: names[n] for n in kernel.function.__code__.co_names if n in names}


def _names(outputs: int, inputs: int, before: str) -> list[str]:
    return [f"{before}o{n}" for n in range(outputs)] + [f"{before}in{n}" for n in range(inputs)]


#: Where all operands are dense, or one element for all.
_DENSE_RUN = '''@device(overlap={overlap})
def {function}({operands}, {geometry}at, stop):
    {draws}
    {scalars}
    for j in range(stop - at):
        {loads}
        {body}
        {stores}


'''


def _run(operands: Sequence[str], stores: Sequence[Any], layouts: str, body: Sequence[str], same: dict[int, int], before: str, overlap: int) -> str:
    """The source of `produce` (with names that begin so: "p_" or none) or of `follow` ("q_"). `same`: inputs that are what outputs
    held before, by their numbers, and these outputs'."""
    body = [re.sub(r"\bx_in(\d)", rf"x_{before}in\1", line) for line in body]
    geometry = f"{before}shape, {before}strides, " if before else ""
    parts: dict[str, list[str]] = {"draws": [], "scalars": [], "heads": [], "loads": [], "stores": []}
    for n, (operand, layout) in enumerate(zip(operands, layouts, strict=True)):
        if layout == "s":
            parts["scalars"].append(f"x_{operand} = {operand}[0]")
            continue
        at = "at" if layout == "f" else f"at_{operand}"
        if layout != "f":
            parts["heads"].append(f"{at} = row_start(row, {geometry}{n}) + first * {before}strides[{n}, last]")
        if n < len(stores) and isinstance(stores[n], Draw):
            parts["draws"].append(f"draw{n}({operand}, at, stop, state{n}, {', '.join(map(repr, stores[n].numbers))})")
        elif n < len(stores):
            parts["stores"].append(f"put{n}({operand}, at + j, v{stores[n]})")
        elif layout == "0":
            parts["heads"].append(f"x_{operand} = {operand}[unsigned({at})]")
        else:
            along = f"j * {before}strides[{n}, last]" if layout == "n" else "j"
            k = same.get(n - len(stores), n)
            element = f"get{k}({operands[k]}, {at} + {along})"
            parts["loads"].append(f"x_{operand} = {f'settled({element})' if k < len(stores) else element}")
    template = _DENSE_RUN if set(layouts) <= {"f", "s"} else _RUN
    del parts["heads" if template is _DENSE_RUN else "draws"]
    return _filled(template, body=body, **parts).format(
        operands=", ".join([*operands, *_states(stores)]), geometry=geometry, before=before, overlap=overlap,
        function="follow" if before == "q_" else "produce",
    )  # fmt: skip


def _around(kernel: Kernel, name: str, added: Sequence[str], before: str = "", after: str = "") -> str:
    """The source of a kernel with more arguments, and statements at the beginning and at the end of what its loop does."""
    definition = ast.parse(textwrap.dedent(inspect.getsource(kernel.function))).body[0]
    assert isinstance(definition, ast.FunctionDef)
    (loop,) = [s for s in definition.body if isinstance(s, ast.For)]
    definition.name, definition.decorator_list, definition.returns = name, [ast.Name("kernel")], None
    definition.args.args = [ast.arg(n) for n in (*[a.arg for a in definition.args.args], *added)]
    if ast.get_docstring(definition) is not None:
        del definition.body[0]
    loop.body = [*ast.parse(before).body, *loop.body, *ast.parse(after).body]
    return ast.unparse(ast.fix_missing_locations(definition)) + "\n"


# --- tails ----------------------------------------------------------------------------------------------------------

_TAIL = '''@kernel
def {name}(y, step, rows, columns, table):
    if step == columns:
        rows, columns = 1, rows * columns
    head = array_at(table, 1, {head}, np.int64)[0]
    after = table + {after}
    p_shape = array_at(after, 1, head[1], np.int64)[0]
    p_strides = array_at(after + 8 * head[1], {count}, head[1], np.int64)
    {views}
    first = (y - head[0]) // {itemsize}
    for row in prange(0, rows):
        produce({operands}, p_shape, p_strides, first + row * step, first + row * step + columns)
'''


def behind(
    statements: Sequence[Statement], stores: Sequence[Any], dtypes: Sequence[np.dtype], layouts: str, result: np.dtype, same: dict[int, int]
) -> Kernel:  # fmt: skip
    """A tail (`numgrad.jit.tail`) of results of a dtype, whose operands are outputs and inputs as those of `ahead`, and states of draws.

    Its table holds the address of the result, the number of dimensions, the address and the length of each operand; then the
    shape, and strides with a row for each operand.
    """
    names = _names(len(stores), len(layouts) - len(stores), "p_")
    operands = [*names, *_states(stores)]
    body, constants = _body(statements)
    kinds = {f"K_{d.name}": d.type for d in dtypes}
    views = [f"{o} = array_at(head[{2 * n + 2}], 1, head[{2 * n + 3}], K_{d.name})[0]" for n, (o, d) in enumerate(zip(operands, dtypes, strict=True))]
    name = f"tail_{len(statements)}_{_key(body, stores, dtypes, layouts, result, same, constants)}"
    head = 2 + 2 * len(operands)
    text = _filled(_TAIL, views=views).format(
        name=name, head=head, after=8 * head, count=len(names), itemsize=result.itemsize, operands=", ".join(operands)
    )
    return load(name, _run(names, stores, layouts, body, same, "p_", _overlap(statements)) + text, constants | kinds | _RUN_NAMES | {"array_at": array_at} | _drawing(stores))
