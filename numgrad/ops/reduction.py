"""Reductions as two formulas: what becomes of each element, and how two results become one.

A contiguous array is seen as (outer, n, inner), and n is reduced. Where inner is 1, a run of memory is folded into one
number; else rows are folded into each other, element by element. Runs and rows are cut into pieces by shape alone, and
the results of pieces are reduced in turn: errors grow with the logarithm of n, and the bits do not depend on threads.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..jit import GRAIN, Kernel, Units, codegen, columns, elements, empty, formula, launch, launch_flat, whole
from . import reduction_source as source
from .elementwise import copied
from .planned import Launch

#: Elements in a piece of a run, rows in a piece, and columns that are folded at a time.
RUN, ROWS, COLUMNS = 8192, 64, 2048
#: Columns that are folded at a time where all rows are: with few, threads would be left without any.
_WIDTHS = {"whole": str(COLUMNS), "strips": f"min({COLUMNS}, max(32, (y.shape[2] // 8 + 15) // 16 * 16))"}


def _units(layout: str) -> Units | None:
    """What a unit of a kernel reads; of rows, where they are not cut into strips."""
    if layout == "strips":
        return None
    if layout == "whole":
        return Units("x", "np.int64(i) * x.shape[1] * x.shape[2]", "(np.int64(i) + 1) * x.shape[1] * x.shape[2]", COLUMNS)
    o, p = "np.int64(i) // y.shape[1] * x.shape[1]", "np.int64(i) % y.shape[1]"
    inner, piece = (" * x.shape[2]", ROWS) if layout == "rows" else ("", RUN)
    return Units("x", f"({o} + {p} * {piece}){inner}", f"({o} + min(x.shape[1], ({p} + 1) * {piece})){inner}", *[COLUMNS] * (layout == "rows"))


def _of_center(near: str) -> dict[str, str]:
    """What a kernel's source says of the center, which it reads as `near` says; nothing where there is none."""
    if not near:
        return {"operand": "", "parameter": "", "at_run": "", "at_row": "", "center": "pass"}
    at_run, center = f", {near}(centers[o])", f"m = {near}(centers[j])"
    return {"operand": ", centers", "parameter": ", m", "at_run": at_run, "at_row": ", centers[o, first:last]", "center": center}


class _Plan(NamedTuple):
    """A reduction that is one launch: the kernel, and how it sees result and input. No kernel: it is several."""

    shape: tuple[int, ...]
    kernel: Kernel | None = None
    of_y: tuple[int, ...] = ()
    of_x: tuple[int, ...] = ()
    of_part: tuple[int, ...] | None = None
    work: int = 0
    entry: Any = None  # of the kernel

    def run(self, x: np.ndarray, shape: tuple[int, ...], result: np.dtype) -> np.ndarray:
        """Reduce a contiguous array to a new one."""
        y = empty(shape, result)
        parts = () if self.of_part is None else (empty(self.of_part, result),)
        launch_flat(self.kernel, self.entry, (y.reshape(self.of_y), *parts, x.reshape(self.of_x)), (), self.work, whole)  # type: ignore[arg-type]
        return y


class Reduction:
    """`element` is a formula of x and, where a center is given, m; `combine` is an associative one of a and b.

    `identity` is what an empty reduction gives: a number, or a function of the dtype. `wide`: runs accumulate in
    float64. `of_run` and `of_rows`: what kernels call instead for a run and for rows of floats, reduced to their dtype. `mean`:
    where one launch does all, what it writes is divided by the number of elements; `once` says where. `exact`: elements are
    computed in the dtype that is accumulated in.
    """

    def __init__(
        self, name: str, combine: str, identity: Any, element: str = "x", wide: bool = False, of_run: str = "", of_rows: str = "",
        mean: bool = False, exact: bool = False,
    ):  # fmt: skip
        self.of_run, self.of_rows, self.mean = of_run, of_rows, mean
        self.exact = exact
        self.name, self.combine, self.element, self.wide = name, formula.parse(combine), formula.parse(element), wide
        self.identity: Callable[[np.dtype], Any] = identity if callable(identity) else lambda dtype: identity
        self.cost = formula.cost(self.element)
        self._plans: dict[Any, Any] = {}
        self.plain = self if element == "x" else Reduction(name, combine, identity, "x", wide, of_rows=of_rows)

    def _four(self) -> Any:
        """a, combined with four elements."""

        def combined(a: Any, b: Any) -> Any:
            return formula.substitute(self.combine, {"a": a, "b": b})

        a, *e = (formula.parse(n) for n in ("a", "e0", "e1", "e2", "e3"))
        return combined(a, combined(combined(e[0], e[1]), combined(e[2], e[3])))

    @functools.cache  # noqa: B019 - reductions live as long as the program
    def kernel(self, layout: str, given: np.dtype, result: np.dtype) -> Kernel:
        """The kernel that reduces runs or rows of one dtype to another."""
        centered, runs = "m" in formula.names(self.element), layout == "runs"
        accumulator = np.dtype(np.float64) if self.wide and runs and result.kind == "f" else result
        name, near = f"{self.name}_{layout}", "A" if self.exact else "T"
        of_floats = (self.of_run if runs else self.of_rows) if given.kind == "f" and result == given else ""
        text = source.RUNS if runs else source.ROWS + (source.WHOLE if layout in _WIDTHS else source.PIECES)
        fold = source.FOLD if runs else source.FOLD_ROWS
        text = text.replace("{fold}", f"fold_{'run' if runs else 'rows'} = {of_floats}\n\n\n" if of_floats else fold)
        over = " / x.shape[1]" if self.mean else ""
        text = text.format(
            name=name,
            title=f"{ast_text(self.element)}, combined by {ast_text(self.combine)}",
            T=given,
            R=result,
            four=formula.source(self._four(), result),
            element=formula.source(self.element, accumulator if self.exact else given),
            combine=formula.source(self.combine, accumulator),
            identity=repr(self.identity(accumulator)),  # infinity is called inf
            over=over,
            finish=f"for j in range(out.size):\n        out[j] = R(out[j]{over})" if over else "pass",
            near=near,
            RUN=RUN, ROWS=ROWS, COLUMNS=COLUMNS, width=_WIDTHS.get(layout),
            **_of_center(near if centered else ""),
        )  # fmt: skip
        made = codegen.load(name, text, {"T": given.type, "R": result.type, "A": accumulator.type, "inf": math.inf} | elements.FUNCTIONS | columns.FUNCTIONS)
        made.units = _units(layout)
        return made

    def stage(self, x: np.ndarray, result: np.dtype, center: np.ndarray | None = None) -> np.ndarray:
        """Reduce (outer, n, inner) to (outer, 1, inner); `center` has (outer, inner) elements."""
        outer, n, inner = x.shape
        if center is None and (rows := together(n, inner)) > 1:
            return self.plain.stage(
                self.pass_over(x.reshape(outer, n // rows, rows * inner), result).reshape(outer, -1, inner), result
            )
        y = self.pass_over(x, result, center)
        return y if y.shape[1] == 1 else self.plain.stage(y, result)

    def pass_over(self, x: np.ndarray, result: np.dtype, center: np.ndarray | None = None) -> np.ndarray:
        """Reduce each piece of (outer, n, inner): (outer, pieces, inner)."""
        outer, n, inner = x.shape
        pieces = max(1, -(-n // (RUN if inner == 1 else ROWS)))
        y = empty((outer, pieces, inner), result)
        if y.size == 0:
            return y
        if inner == 1:
            centers = () if center is None else (center.reshape(outer),)
            launch(self.kernel("runs", x.dtype, result), y.reshape(outer, pieces), x.reshape(outer, n), *centers, work=x.size * self.cost)
        else:
            centers = () if center is None else (center.reshape(outer, inner),)
            launch(self.kernel("rows", x.dtype, result), y, x, *centers, work=x.size * self.cost)
        return y

    def __call__(
        self,
        x: np.ndarray,
        dims: tuple[int, ...],
        keepdim: bool = False,
        result: np.dtype | None = None,
        center: np.ndarray | None = None,
    ) -> np.ndarray:
        """Reduce `dims` of an array; `center` has the shape of the result."""
        result = result or x.dtype
        if center is None and x.flags.c_contiguous and (y := self.once(x, dims, keepdim, result)) is not None:
            return y
        shape = reduced_shape(x.shape, dims, keepdim)
        if center is None:
            x, dims = in_memory_order(x, dims)
            steps = stages(x.shape, dims)
        else:
            x, step = one_run(x, dims)
            steps = [step]
        reduction = self
        for step in steps:
            x = reduction.stage(x.reshape(step), result, center)
            reduction = self.plain
        return x.reshape(shape)

    def once(self, x: np.ndarray, dims: tuple[int, ...], keepdim: bool, result: np.dtype) -> np.ndarray | None:
        """Reduce a contiguous array, if one launch can."""
        key = x.shape, dims, keepdim, x.dtype, result
        plan = self._plans.get(key) or self._plan(key)
        return plan.run(x, plan.shape, result) if plan.kernel else None

    def launch_of(
        self, given: tuple[int, ...], dims: tuple[int, ...], dtype: np.dtype, shape: tuple[int, ...], copies: tuple[bool, ...] = ()
    ) -> Callable[[np.ndarray], np.ndarray] | None:
        """The launch that does all for a contiguous array, into a result of this shape, if there is such a one."""
        plan = self._plan((given, dims, False, dtype, dtype))
        if plan.kernel is None or (plan.of_part is not None and any(copies)):
            return None
        if plan.of_part is not None:
            return lambda x: plan.run(x, shape, dtype)
        return Launch(plan.kernel, shape, dtype, (plan.of_y, plan.of_x), (dtype,), work=plan.work, copies=copies)

    def _plan(self, key: tuple[Any, ...]) -> _Plan:
        """What to launch for a contiguous array of this shape, if one launch does all."""
        given, dims, keepdim, dtype, result = key
        shape, steps = reduced_shape(given, dims, keepdim), stages(given, dims)
        outer, n, inner = steps[0]
        work = outer * n * inner * self.cost
        plan = _Plan(shape)
        if len(steps) == 1 and outer * inner > 0 and together(n, inner) == 1:
            units = outer * -(-inner // COLUMNS)
            views: tuple[Any, ...] = (outer, 1, inner), None, (outer, n, inner)
            layout = ""
            if inner == 1 and n <= RUN:
                layout, views = "runs", ((outer, 1), None, (outer, n))
            elif inner > 1 and n <= ROWS and not self.mean:
                layout = "rows"
            elif inner > 1 and n <= ROWS * ROWS and (work < 4 * GRAIN or units >= 8):
                layout, views = "whole", (views[0], (outer, inner), views[2])
                if work >= GRAIN and units < 8 and inner >= 64:
                    layout = "strips"
                elif units == 1:
                    work = 0
            if layout:
                plan = self._launched(layout, shape, views, dtype, result, work)
        if len(self._plans) > 2000:  # shapes that never come back must not pile up
            self._plans.clear()
        self._plans[key] = plan
        return plan

    def _launched(self, layout: str, shape: tuple[int, ...], views: tuple[Any, ...], dtype: np.dtype, result: np.dtype, work: int) -> _Plan:
        """One launch, that sees result, parts of it and input as these `views`."""
        kernel, (of_y, of_part, of_x) = self.kernel(layout, dtype, result), views
        seen = [np.empty((0,) * len(v), d) for v, d in zip(views, (result, result, dtype), strict=True) if v is not None]
        return _Plan(shape, kernel, of_y, of_x, of_part, work, kernel.entry(seen, (), False, work))


def ast_text(tree: Any) -> str:
    """A formula as text."""
    import ast

    return ast.unparse(tree)


@functools.lru_cache(maxsize=4096)
def together(n: int, inner: int) -> int:
    """How many short rows to fold side by side: a divisor of n, 1 where rows are long enough or few."""
    if inner == 1 or inner >= 64 or n < 4 * ROWS:
        return 1
    return next((k for k in range(256 // inner, 1, -1) if n % k == 0 and n // k >= ROWS), 1)


# --- geometry -------------------------------------------------------------------------------------------------------


def reduced_shape(shape: Sequence[int], dims: Sequence[int], keepdim: bool) -> tuple[int, ...]:
    """The shape once `dims` are reduced to size 1 or, without `keepdim`, dropped."""
    if keepdim:
        return tuple(1 if d in dims else n for d, n in enumerate(shape))
    return tuple(n for d, n in enumerate(shape) if d not in dims)


def stages(shape: Sequence[int], dims: Sequence[int]) -> list[tuple[int, int, int]]:
    """(outer, n, inner) of the steps that reduce `dims` of a contiguous array, a run of neighbours each, the last
    run first.
    """
    found, inner, d = [], 1, len(shape)
    while d:
        end = d
        while d and (d - 1 in dims or shape[d - 1] == 1):
            d -= 1
        n = math.prod(shape[d:end])
        if n != 1:
            found.append((math.prod(shape[:d]), n, inner))
        if d == end:
            d -= 1
            inner *= shape[d]
    return found or [(1, 1, math.prod(shape))]


def in_memory_order(x: np.ndarray, dims: tuple[int, ...]) -> tuple[np.ndarray, tuple[int, ...]]:
    """A contiguous array with the same elements, and where `dims` are in it; dimensions change places rather than
    be copied.
    """
    if x.flags.c_contiguous:
        return x, dims
    order = memory_order(x, dims)
    return (copied(x), dims) if order is None else (x.transpose(order), tuple([order.index(d) for d in dims]))


def memory_order(x: np.ndarray, dims: tuple[int, ...]) -> list[int] | None:
    """The order of dimensions in which an array is contiguous, if those that are not among `dims` keep theirs."""
    if x.flags.c_contiguous:
        return list(range(x.ndim))
    order = sorted(range(x.ndim), key=lambda d: (-x.strides[d], d))
    kept = [d for d in order if d not in dims]
    return order if kept == sorted(kept) and x.transpose(order).flags.c_contiguous else None


class Turned:
    """A launch for arrays whose dimensions change places before it."""

    __slots__ = ("launch", "order")

    def __init__(self, order: Sequence[int], launch: Callable[[np.ndarray], np.ndarray]):
        self.order, self.launch = tuple(order), launch

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.launch(x.transpose(self.order))


def one_run(x: np.ndarray, dims: tuple[int, ...]) -> tuple[np.ndarray, tuple[int, int, int]]:
    """A contiguous array in which `dims` are neighbours, and its (outer, n, inner)."""
    x = x if x.flags.c_contiguous else copied(x)
    steps = stages(x.shape, dims)
    if len(steps) == 1:
        return x, steps[0]
    kept = [d for d in range(x.ndim) if d not in dims]
    order = (*kept, *sorted(dims))
    return copied(x.transpose(order)), (math.prod(x.shape[d] for d in kept), math.prod(x.shape[d] for d in dims), 1)


def along(shape: Sequence[int], dim: int) -> tuple[int, int, int]:
    """(outer, n, inner) of a contiguous array around one dimension; (1, 1, 1) of a number."""
    if not shape:
        return 1, 1, 1
    return math.prod(shape[:dim]), shape[dim], math.prod(shape[dim + 1 :])
