"""Einstein summation, and the contractions that are special cases of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..tensor import Tensor
from .matmul import product
from .parts import diagonal
from .record import REGISTRY, composite
from .shape import dimensions, expand, movedim, permute, reshape

# --- reading the equation -------------------------------------------------------------------------------------------


def _labels(text: str, where: str) -> list[Any]:
    """The letters of one term, with None for its ellipsis."""
    labels: list[Any] = []
    i = 0
    while i < len(text):
        c = text[i]
        if c == ".":
            if text[i : i + 3] != "...":
                raise RuntimeError(f"einsum(): found '.' for {where} that is not part of any ellipsis")
            if None in labels:
                raise RuntimeError(f"einsum(): found '.' for {where} but an ellipsis (...) was already found")
            labels.append(None)
            i += 2
        elif c.isascii() and c.isalpha():
            labels.append(c)
        elif c != " ":
            raise RuntimeError(f"einsum(): invalid subscript given at index {i} in the equation string, subscripts must be in [a-zA-Z], but got {c!r}")
        i += 1
    return labels


def _from_sublists(operands: Sequence[Any]) -> tuple[str, list[Tensor]]:
    """Operands with lists of numbers after each, and maybe one for the output, as equation and operands."""

    def term(numbers: Sequence[Any]) -> str:
        for n in numbers:
            if n is not Ellipsis and not 0 <= n < 52:
                raise RuntimeError(f"einsum(): subscripts in a list must be in the range [0, 52), but got {n}")
        return "".join("..." if n is Ellipsis else chr(65 + n) if n < 26 else chr(71 + n) for n in numbers)

    count = len(operands) // 2
    equation = ",".join(term(operands[2 * i + 1]) for i in range(count))
    if len(operands) % 2:
        equation += "->" + term(operands[-1])
    return equation, list(operands[0 : 2 * count : 2])


def _parse(equation: str, operands: Sequence[Tensor]) -> tuple[list[list[Any]], list[Any]]:
    """The labels of each operand's dimensions, and of the output's."""
    left, arrow, right = equation.partition("->")
    terms = [_labels(t, f"operand {i}") for i, t in enumerate(left.split(","))]
    if len(terms) != len(operands):
        few = "fewer" if len(operands) < len(terms) else "more"
        raise RuntimeError(f"einsum(): {few} operands were provided than specified in the equation")
    inputs, covered = [], 0
    for i, (labels, x) in enumerate(zip(terms, operands, strict=True)):
        named = len(labels) - (None in labels)
        if named > x.dim() or (named < x.dim() and None not in labels):
            more = "but no ellipsis was given" if None not in labels else ""
            raise RuntimeError(f"einsum(): the number of subscripts in the equation ({named}) does not match the number of dimensions ({x.dim()}) for operand {i} and no ellipsis was given" if more else f"einsum(): the number of subscripts in the equation ({named}) is more than the number of dimensions ({x.dim()}) for operand {i}")
        hidden = x.dim() - named
        covered = max(covered, hidden)
        inputs.append([label for c in labels for label in (range(hidden - 1, -1, -1) if c is None else [c])])
    everything = [label for labels in inputs for label in labels]
    if arrow:
        output = [label for c in _labels(right, "output") for label in (range(covered - 1, -1, -1) if c is None else [c])]
    else:
        once = sorted({c for c in everything if isinstance(c, str) and everything.count(c) == 1})
        output = [*range(covered - 1, -1, -1), *once]
    for label in output:
        if output.count(label) > 1:
            raise RuntimeError(f"einsum(): output subscript {label} appears more than once in the output")
        if label not in everything and isinstance(label, str):
            raise RuntimeError(f"einsum(): output subscript {label} does not appear in the equation for any input operand")
    return inputs, output


def _check_sizes(inputs: list[list[Any]], operands: Sequence[Tensor]) -> None:
    seen: dict[Any, int] = {}
    for i, (labels, x) in enumerate(zip(inputs, operands, strict=True)):
        own: dict[Any, int] = {}
        for label, n in zip(labels, x.shape, strict=True):
            if own.setdefault(label, n) != n:
                raise RuntimeError(f"einsum(): subscript {label} is repeated for operand {i} but the sizes don't match, {n} != {own[label]}")
            if n != 1 and seen.get(label, 1) not in (1, n):
                raise RuntimeError(f"einsum(): subscript {label} has size {n} for operand {i} which does not broadcast with previously seen size {seen[label]}")
            seen[label] = max(seen.get(label, 1), n) if n else 0


# --- computing ------------------------------------------------------------------------------------------------------


def _without_repeats(x: Tensor, labels: list[Any]) -> tuple[Tensor, list[Any]]:
    """The diagonal over dimensions with the same label."""
    labels = list(labels)
    for label in set(labels):
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            x = diagonal(x, 0, first, second)
            labels = [c for i, c in enumerate(labels) if i not in (first, second)] + [label]
    return x, labels


def _sum_out(x: Tensor, labels: list[Any], kept: set[Any]) -> tuple[Tensor, list[Any]]:
    """Summed over the dimensions that nobody needs any more."""
    dims = tuple(i for i, c in enumerate(labels) if c not in kept)
    return (REGISTRY["sum"](x, dims), [c for c in labels if c in kept]) if dims else (x, labels)


def _arranged(x: Tensor, labels: list[Any], groups: Sequence[list[Any]], sizes: dict[Any, int]) -> Tensor:
    """Dimensions in the order of some groups of labels, those of a group made one, those of size 1 repeated."""
    order = [c for group in groups for c in group]
    x = permute(x, tuple(labels.index(c) for c in order))
    x = expand(x, tuple(sizes[c] for c in order))
    return reshape(x, tuple(math.prod(sizes[c] for c in group) for group in groups))


def _contract(a: Tensor, labels_a: list[Any], b: Tensor, labels_b: list[Any], kept: set[Any]) -> tuple[Tensor, list[Any]]:
    """The product of two operands, summed over common labels that nobody needs any more: a batch of matrix products."""
    a, labels_a = _sum_out(a, labels_a, kept | set(labels_b))
    b, labels_b = _sum_out(b, labels_b, kept | set(labels_a))
    # A common dimension of size 1 on one side only is no sum of products: the other side is summed first.
    shape_a, shape_b = dict(zip(labels_a, a.shape, strict=True)), dict(zip(labels_b, b.shape, strict=True))
    uneven = {c for c in labels_a if c in shape_b and c not in kept and shape_a[c] != shape_b[c]}
    if uneven:
        for_a, for_b = (tuple(i for i, c in enumerate(ls) if c in uneven and s[c] != 1) for ls, s in ((labels_a, shape_a), (labels_b, shape_b)))
        a, b = (REGISTRY["sum"](x, dims, keepdim=True) if dims else x for x, dims in ((a, for_a), (b, for_b)))
        shape_a, shape_b = dict(zip(labels_a, a.shape, strict=True)), dict(zip(labels_b, b.shape, strict=True))
    both = [c for c in labels_a if c in shape_b]
    summed, batch = [c for c in both if c not in kept], [c for c in both if c in kept]
    rows, columns = [c for c in labels_a if c not in shape_b], [c for c in labels_b if c not in shape_a]
    sizes = {c: shape_b[c] if shape_a.get(c, 1) == 1 and c in shape_b else shape_a[c] for c in (*labels_a, *labels_b)}
    result = [*batch, *rows, *columns]
    if not summed:
        left = permute(a, tuple(labels_a.index(c) for c in (*batch, *rows)))
        right = permute(b, tuple(labels_b.index(c) for c in (*batch, *columns)))
        left = reshape(left, (*left.shape, *(1,) * len(columns)))
        right = reshape(right, (*right.shape[: len(batch)], *(1,) * len(rows), *right.shape[len(batch) :]))
        return left * right, result  # type: ignore[operator]
    found = product(_arranged(a, labels_a, (batch, rows, summed), sizes), _arranged(b, labels_b, (batch, summed, columns), sizes))
    return reshape(found, tuple(sizes[c] for c in result)), result


def _einsum_function(*args: Any) -> Tensor:
    """Sums of products as an equation says: `einsum("bij,bjk->bik", a, b)`; operands may also come as (a, [0, 1], b, [1, 2], [0, 2]).

    Repeated letters in a term take the diagonal, letters missing after "->" are summed, "..." stands for dimensions that broadcast.
    Operands are contracted from left to right.
    """
    if len(args) < 2:
        raise ValueError("einsum(): must specify the equation string and at least one operand, or at least one operand and its subscripts list")
    if isinstance(args[0], str):
        equation, operands = args[0], list(args[1]) if len(args) == 2 and isinstance(args[1], (list, tuple)) else list(args[1:])
    else:
        equation, operands = _from_sublists(args)
    for i, x in enumerate(operands):
        if not isinstance(x, Tensor):
            raise TypeError(f"einsum(): operand {i} must be Tensor, not {type(x).__name__}")
    inputs, output = _parse(equation, operands)
    _check_sizes(inputs, operands)
    terms = [_without_repeats(x, labels) for x, labels in zip(operands, inputs, strict=True)]
    result, labels = terms[0]
    for i, (x, others) in enumerate(terms[1:], 2):
        later = {c for _, rest in terms[i:] for c in rest}
        result, labels = _contract(result, labels, x, others, later | set(output))
    result, labels = _sum_out(result, labels, set(output))
    return permute(result, tuple(labels.index(c) for c in output))


_EQUATIONS = (
    ("ij,jk->ik", "ij jk"), ("ij,jk", "ij jk"), ("bij,bjk->bik", "bij bjk"), ("bhqd,bhkd->bhqk", "bhqd bhkd"), ("ii->i", "ii"), ("ii", "ii"),
    ("ij->ji", "ij"), ("ij->", "ij"), ("i,j->ij", "i j"), ("i,i->", "i i"), ("i,i->i", "i i"), ("ij,ij->j", "ij ij"), ("bn,anm,bm->ba", "bn anm bm"),
    ("iij,jk->ik", "iij jk"), ("ij,kl->jl", "ij kl"), ("ab,bc,cd->da", "ab bc cd"), (" i j , j -> i ", "ij j"), (",i->i", "- i"),
)  # fmt: skip
_ELLIPSES = (("...ij,...jk->...ik", (2, 3), (3, 2)), ("...i,...i->...", (3,), (3,)), ("...i,ij->j...", (3,), (3, 2)), ("i...->...", (2,), None))


def _einsum_sample(draw: Any) -> Any:
    if draw.integer(0, 3) == 0:
        equation, first, second = draw.choice(_ELLIPSES)
        batch = draw.shape(0, 2, min_side=1)
        front = equation.startswith("i")
        arrays = [draw.array((*first, *batch) if front else (*draw.broadcastable(batch), *first))]
        if second is not None:
            arrays.append(draw.array((*(draw.broadcastable(batch) if equation.count("...") > 2 else ()), *second)))
        return (equation, *arrays), {}
    equation, letters = draw.choice(_EQUATIONS)
    sizes = {c: draw.integer(0 if draw.integer(0, 5) == 0 else 1, draw.side) for c in sorted(set(letters))}
    return (equation, *(draw.array(tuple(sizes[c] for c in term if c != "-")) for term in letters.split())), {}


def _einsum_reference(equation: str, *operands: Any) -> Any:
    return np.einsum(equation, *(x.astype(np.int64) if x.dtype == bool else x for x in operands))  # sums of truth values count


_one = np.ones
einsum = composite("einsum", _einsum_function, method=False, reference=_einsum_reference, sample=_einsum_sample, errors=[
    (("ij,jk", _one((2, 3)), _one((4, 5))), RuntimeError, "subscript j has size 4 for operand 1 which does not broadcast with previously seen size 3"),
    (("ij,jk->im", _one((2, 3)), _one((3, 5))), RuntimeError, "output subscript m does not appear"),
    (("ij->ii", _one((2, 3))), RuntimeError, "output subscript i appears more than once"),
    (("ii->i", _one((2, 3))), RuntimeError, "repeated for operand 0 but the sizes don't match, 3 != 2"),
    (("ij,jk", _one((2, 3))), RuntimeError, "fewer operands"), (("ij", _one((2, 3)), _one((2, 3))), RuntimeError, "more operands"),
    (("ijk", _one((2, 3))), RuntimeError, r"number of subscripts in the equation \(3\) does not match the number of dimensions \(2\)"),
    (("i.j", _one((2, 3))), RuntimeError, "not part of any ellipsis"), (("i1", _one((2, 3))), RuntimeError, "invalid subscript given at index 1"),
    (("i,i->",), ValueError, "at least one operand"),
])  # fmt: skip

# --- special cases --------------------------------------------------------------------------------------------------


def _tensordot_function(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Sums of products over several dimensions: the last `dims` of a with the first of b, or two lists of dimensions."""
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.dim(), b.dim()):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        dims = (tuple(range(-dims, 0)), tuple(range(dims)))
    first, second = ((d,) if isinstance(d, int) else tuple(d) for d in dims)
    if len(first) != len(second):
        raise RuntimeError("both dimension lists should have same length")
    dims_a, dims_b = dimensions(first, a.dim()), dimensions(second, b.dim())
    labels_a, labels_b = [("a", i) for i in range(a.dim())], [("b", i) for i in range(b.dim())]
    for i, (p, q, d, e) in enumerate(zip(dims_a, dims_b, first, second, strict=True)):
        if a.shape[p] != b.shape[q] and 1 not in (a.shape[p], b.shape[q]):
            raise RuntimeError(f"contracted dimensions need to match, but first has size {a.shape[p]} in dim {d} and second has size {b.shape[q]} in dim {e}")
        labels_a[p] = labels_b[q] = ("both", i)
    kept = {c for c in (*labels_a, *labels_b) if c[0] != "both"}
    return _contract(a, labels_a, b, labels_b, kept)[0]


def _tensordot_sample(draw: Any) -> Any:
    count = draw.integer(0, 2)
    common = tuple(draw.integer(1, 3) for _ in range(count))
    a, b = draw.array((*draw.shape(0, 2), *common)), draw.array((*common, *draw.shape(0, 2)))
    lists = (tuple(range(a.ndim - count, a.ndim)), tuple(range(count)))
    return (a, b, draw.choice([count, lists])), {}


tensordot = composite("tensordot", _tensordot_function, method=False, reference=np.tensordot, sample=_tensordot_sample, errors=[
    ((_one((2, 3)), _one((4, 5)), 1), RuntimeError, "contracted dimensions need to match, but first has size 3 in dim -1 and second has size 4 in dim 0"),
    ((_one(2), _one(3), -1), RuntimeError, "dims >= 0"), ((_one((2, 3)), _one((3, 2)), ((0, 1), (1,))), RuntimeError, "same length"),
])  # fmt: skip


def _kron_function(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: every element of input times all of other, as blocks."""
    n = max(input.dim(), other.dim())
    a, b = ((1,) * (n - x.dim()) + tuple(x.shape) for x in (input, other))
    spread = reshape(input, tuple(s for m in a for s in (m, 1))) * reshape(other, tuple(s for m in b for s in (1, m)))  # type: ignore[operator]
    return reshape(spread, tuple(p * q for p, q in zip(a, b, strict=True)))


kron = composite("kron", _kron_function, reference=np.kron, sample=lambda draw: ((draw.array(draw.shape(0, 2)), draw.array(draw.shape(0, 2))), {}),
                 errors=[((np.ones(2), "text"), TypeError, "must be Tensor"), ((2, np.ones(2)), TypeError, "must be Tensor")])  # fmt: skip


def _vecdot_function(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """Sums of products over one dimension; the others broadcast."""
    if 0 in (x.dim(), y.dim()):
        raise RuntimeError("linalg.vecdot: both arguments need at least 1 dimension")
    a, b = movedim(x, dim, -1), movedim(y, dim, -1)
    if a.shape[-1] != b.shape[-1]:
        raise RuntimeError(f"linalg.vecdot: expected the same size in dim {dim}, but got {a.shape[-1]} and {b.shape[-1]}")
    return product(a.unsqueeze(-2), b.unsqueeze(-1)).squeeze(-1).squeeze(-1)  # type: ignore[attr-defined]


def _vecdot_sample(draw: Any) -> Any:
    shape = (*draw.shape(0, 2), draw.integer(0, 4))
    return (draw.array(shape), draw.array((*draw.broadcastable(shape[:-1]), shape[-1]))), {}


composite("linalg_vecdot", _vecdot_function, method=False, public=False, reference=lambda x, y: (x * y).sum(-1), sample=_vecdot_sample,
          errors=[((_one(2), _one(3)), RuntimeError, "same size")])  # fmt: skip
