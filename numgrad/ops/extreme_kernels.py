"""Where maxima and minima are: kernels, for runs of memory and for rows of which each column has its own."""

from __future__ import annotations

import functools

from ..jit import Kernel, codegen, elements
from ..jit.intrinsics import like, settled
from .reduction import ROWS, RUN

# Of rows, the number of the best so far is kept in a lane as wide as its value: a piece has few enough rows for any dtype.
_PLACES = '''"""The {which}imum of each piece, and where it is: the first of equals, the first NaN before all."""


@device
def of_integers(run):
    best = run[0]
    for j in range(run.size):
        best = {which}(best, run[j])
    return best


@device(inline=True)
def better(v, b):
    return (not (v {within} b)) & (b == b)  # so is a NaN, unless b is one


@device(inline=True)
def go_on(best, rank, j, v, at):
    b, before = settled(get0(best, j)), settled(get2(rank, j))
    found = better(v, b)
    put2(rank, j, select(found, at, before))
    put0(best, j, select(found, v, b))


@device(inline=True)
def take_four(best, rank, p, q, r, s, k):
    """Go on with four rows, the first of which has the number k, in the dtype of the rows."""
    for j in range(best.size):
        v, other = get1(p, j), get1(q, j)
        found = better(other, v)
        v, at = select(found, other, v), select(found, like(v, k + 1), k)
        w, other = get1(r, j), get1(s, j)
        found = better(other, w)
        w, late = select(found, other, w), select(found, like(v, k + 3), like(v, k + 2))
        found = better(w, v)
        v, at = select(found, w, v), select(found, late, at)
        go_on(best, rank, j, v, at)


@device(inline=True)
def take_one(best, rank, p, k):
    for j in range(best.size):
        go_on(best, rank, j, get1(p, j), k)


@device
def fold_rows(values, places, ranks, x, origins, o, p, first):
    last = min(first + {columns}, values.shape[2])
    best, rank, at = values[o, p, first:last], ranks[o, p, first:last], places[o, p, first:last]
    start, stop = p * {rows}, min(x.shape[1], (p + 1) * {rows})
    row = x[o, start, first:last]
    for j in range(best.size):
        put0(best, j, get1(row, j))
        put2(rank, j, like(row[0], 0))
    k, number = start + 1, like(row[0], 1)  # counted, not converted: LLVM would convert what a lane has chosen
    while k + 4 <= stop:
        take_four(best, rank, x[o, k, first:last], x[o, k + 1, first:last], x[o, k + 2, first:last], x[o, k + 3, first:last], number)
        k, number = k + 4, like(number, number + 4)
    while k < stop:
        take_one(best, rank, x[o, k, first:last], number)
        k, number = k + 1, like(number, number + 1)
    for j in range(at.size):
        at[j] = start + np.int64(rank[j])
    if origins.size:
        for j in range(last - first):
            at[j] = origins[o, at[j], first + j]


@device
def search_piece(values, places, x, origins, i):
    o = i // values.shape[1]
    p = i - o * values.shape[1]
    run = x[o, p * {run} : min(x.shape[1], (p + 1) * {run})]
    best = {of_run}(run)
    place = p * {run} + find(run, best)
    values[o, p] = best
    places[o, p] = origins[o, place] if origins.size else place


@kernel
def search(places, values, x, origins):
    for i in prange(places.size):
        search_piece(values, places, x, origins, np.int64(i))


@kernel
def rows(places, values, ranks, x, origins):
    strips = (values.shape[2] + {columns} - 1) // {columns}
    for i in prange(values.shape[0] * values.shape[1] * strips):
        row = np.int64(i) // strips
        o = row // values.shape[1]
        fold_rows(values, places, ranks, x, origins, o, row - o * values.shape[1], (np.int64(i) - row * strips) * {columns})
'''


@functools.cache
def places_kernel(which: str, name: str, floats: bool) -> Kernel:
    """The kernel that finds the places of extremes in rows, or by `search` in runs."""
    within, of_run = {"max": ("<=", "largest"), "min": (">=", "smallest")}[which]
    text = _PLACES.format(which=which, within=within, of_run=of_run if floats else "of_integers", run=RUN, rows=ROWS, columns=2048)
    return codegen.load(name, text, elements.FUNCTIONS | {"like": like, "settled": settled})
