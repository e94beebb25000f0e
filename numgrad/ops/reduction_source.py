"""The source of kernels that reduce, with places for formulas: of runs, one number each; of rows, element by element."""

from __future__ import annotations

FOLD = """@device(fastmath=("contract", "reassoc"))
def fold_run(run{parameter}):
    total = A({identity})
    for j in range(run.size):
        x = {near}(run[j])
        a, b = total, A({element})
        total = A({combine})
    return total


"""

RUNS = '''"""{title}: runs of {T} -> {R}"""


{fold}@device
def fold_piece(y, x{operand}, i):
    o, p = np.int64(i), 0  # prange counts in uint64, which with int64 would become float64
    if y.shape[1] > 1:
        o = i // y.shape[1]
        p = i - o * y.shape[1]
    y[o, p] = R(fold_run(x[o, p * {RUN} : min(x.shape[1], (p + 1) * {RUN})]{at_run}){over})


@kernel
def {name}(y, x{operand}):
    for i in prange(0, y.size):
        fold_piece(y, x{operand}, i)
'''

FOLD_ROWS = """@device(inline=True)
def fold_four(y, p, q, r, s{operand}):
    for j in range(y.size):
        {center}
        x = {near}(get1(p, j))
        e0 = R({element})
        x = {near}(get1(q, j))
        e1 = R({element})
        x = {near}(get1(r, j))
        e2 = R({element})
        x = {near}(get1(s, j))
        e3 = R({element})
        a = get0(y, j)
        put0(y, j, R({four}))


@device(inline=True)
def fold_one(y, p{operand}):
    for j in range(y.size):
        {center}
        x = {near}(get1(p, j))
        a, b = get0(y, j), R({element})
        put0(y, j, R({combine}))


@device
def fold_rows(out, x{operand}, o, k, stop, first, last):
    for j in range(out.size):
        out[j] = R({identity})
    while k + 4 <= stop:
        p, q, r, s = x[o, k, first:last], x[o, k + 1, first:last], x[o, k + 2, first:last], x[o, k + 3, first:last]
        fold_four(out, p, q, r, s{at_row})
        k += 4
    while k < stop:
        fold_one(out, x[o, k, first:last]{at_row})
        k += 1


"""

ROWS = '''"""{title}: rows of {T} -> {R}"""


{fold}'''

PIECES = '''@kernel
def {name}(y, x{operand}):
    strips = (y.shape[2] + {COLUMNS} - 1) // {COLUMNS}
    for i in prange(y.shape[0] * y.shape[1] * strips):
        row = np.int64(i) // strips
        o = row // y.shape[1]
        piece, first = row - o * y.shape[1], (np.int64(i) - row * strips) * {COLUMNS}
        last = min(first + {COLUMNS}, y.shape[2])
        fold_rows(y[o, piece, first:last], x{operand}, o, piece * {ROWS}, min(x.shape[1], (piece + 1) * {ROWS}), first, last)
'''

#: All pieces of rows in turn, each folded by itself into `part`.
WHOLE = '''@device
def fold_pieces(out, part, x, o, first, last):
    start = np.int64(0)  # a literal would be one more type to compile for
    fold_rows(out, x, o, start, min(x.shape[1], {ROWS}), first, last)
    for k in range({ROWS}, x.shape[1], {ROWS}):
        fold_rows(part, x, o, k, min(x.shape[1], k + {ROWS}), first, last)
        for j in range(out.size):
            a, b = get0(out, j), get1(part, j)
            put0(out, j, R({combine}))
    {finish}


@kernel
def {name}(y, part, x):
    width = {width}
    strips = (y.shape[2] + width - 1) // width
    for i in prange(y.shape[0] * strips):
        o = np.int64(i) // strips
        first = (np.int64(i) - o * strips) * width
        last = min(first + width, y.shape[2])
        fold_pieces(y[o, 0, first:last], part[o, first:last], x, o, first, last)
'''
