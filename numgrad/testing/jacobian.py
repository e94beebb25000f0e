"""What `gradcheck` compares: gradients by backward, by forward mode and in batches, with differences and with one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import autograd
from ..compiler.tree import flatten
from ..tensor import Tensor, wrap

#: Inputs and outputs of a Jacobian up to this size are searched for the worst element where a random projection differs.
SEARCHED = 1 << 16


class GradcheckError(RuntimeError):
    """Backward and finite differences disagree."""


class Limits(NamedTuple):
    """The step, the tolerances, and what messages call the inputs."""

    eps: float
    atol: float
    rtol: float
    names: Sequence[str]


def outputs_of(func: Callable[..., Any], tensors: Sequence[Any]) -> list[Tensor]:
    """The differentiable results of the function."""
    found = flatten(func(*tensors))[0]
    return [o for o in found if isinstance(o, Tensor) and o.is_floating_point() and o.requires_grad]


def values(func: Callable[..., Any], tensors: Sequence[Any], index: int) -> np.ndarray:
    """The numbers of an output."""
    return outputs_of(func, tensors)[index].detach().numpy().astype(np.float64)


def moved(func: Callable[..., Any], tensors: Sequence[Any], place: tuple[Any, Any], change: Any, index: int) -> np.ndarray:
    """An output with `change` added to part of an input: in its memory, so that a function that closes over it sees it too."""
    data, where = place
    before = data[where].copy() if isinstance(data[where], np.ndarray) else data[where]
    data[where] += change
    try:
        return values(func, tensors, index)
    finally:
        data[where] = before


def numeric_jacobian(func: Any, tensors: Any, i: int, index: int, limits: Limits) -> np.ndarray:
    """How each element of an output (columns) changes with each of an input (rows), by central differences."""
    data = tensors[i]._data
    rows = []
    for at in np.ndindex(data.shape):
        ends = [moved(func, tensors, (data, at), step, index) for step in (limits.eps, -limits.eps)]
        rows.append(((ends[0] - ends[1]) / (2 * limits.eps)).reshape(-1))
    return np.array(rows) if rows else np.zeros((0, values(func, tensors, index).size))


def random_direction(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """A tangent none of whose elements is near zero."""
    return rng.uniform(0.5, 1, shape) * rng.choice([-1.0, 1.0], shape)


def compare_jacobian(func: Any, tensors: Any, checked: list[int], index: int, output: Tensor, limits: Limits) -> None:
    """The whole Jacobian of an output, by backward and by differences."""
    shape = output._data.shape
    analytic = {i: np.zeros((tensors[i].numel(), output.numel())) for i in checked}
    for j in range(output.numel()):
        u = np.zeros(shape, output._data.dtype)
        u[np.unravel_index(j, shape)] = 1
        for i, g in zip(checked, backward(output, [tensors[i] for i in checked], u), strict=True):
            analytic[i][:, j] = 0 if g is None else g._data.reshape(-1)
    for i in checked:
        compare_matrices(analytic[i], numeric_jacobian(func, tensors, i, index, limits), (tensors[i]._data.shape, shape), (i, index), limits)


def compare_matrices(
    analytic: np.ndarray, numeric: np.ndarray, shapes: tuple[Any, Any], place: tuple[int, int], limits: Limits, how: str = "",
) -> None:  # fmt: skip
    """GradcheckError if the Jacobian of an output (second in `place`) by an input (first) is not what differences give."""
    excess = np.abs(numeric - analytic) - (limits.atol + limits.rtol * np.abs(numeric))
    if not np.all(excess <= 0):
        raise GradcheckError(how + _mismatch(limits.names[place[0]], place[1], shapes, analytic, numeric, excess))


def _mismatch(name: str, index: int, shapes: tuple[Any, Any], analytic: np.ndarray, numeric: np.ndarray, excess: np.ndarray) -> str:
    """The message: where the two Jacobians are furthest apart, and, where they are small, both."""
    k, j = np.unravel_index(np.argmax(np.where(np.isnan(excess), np.inf, excess)), excess.shape)
    places = ([int(n) for n in np.unravel_index(at, shape)] for at, shape in zip((k, j), shapes, strict=True))
    where = "index {} of the input, index {} of the output".format(*places)
    whole = f"\nnumerical:{numeric}\nanalytical:{analytic}" if numeric.size <= 256 else ""
    wrong = int(np.sum(~(excess <= 0)))
    return (f"Jacobian mismatch for output {index} with respect to {name}, in {wrong} of {excess.size} elements; "
            f"worst: {where}: analytic {analytic[k, j]:.10g}, numeric {numeric[k, j]:.10g}{whole}")  # fmt: skip


def compare_projection(func: Any, tensors: Any, checked: list[int], index: int, output: Tensor, limits: Limits) -> None:
    """<u, J v> both ways; where they differ, the whole Jacobian tells which element it is, unless it is large."""
    eps = limits.eps
    rng = np.random.default_rng(0)
    u = rng.standard_normal(output._data.shape)
    found = backward(output, [tensors[i] for i in checked], np.asarray(u, output._data.dtype))
    for i, g in zip(checked, found, strict=True):
        data = tensors[i]._data
        v = random_direction(data.shape, rng)
        ends = [moved(func, tensors, (data, ...), np.asarray(step * v, data.dtype), index) for step in (eps, -eps)]
        numeric = float(np.sum(u * (ends[0] - ends[1]))) / (2 * eps)
        inner = float(np.sum(np.zeros(1) if g is None else g._data * v))
        # a projection adds up as many errors as it has terms
        if not abs(numeric - inner) <= limits.atol * max(data.size, 1) ** 0.5 + limits.rtol * abs(numeric):
            if data.size * output.numel() <= SEARCHED:
                compare_jacobian(func, tensors, [i], index, output, limits)
            raise GradcheckError(
                f"Jacobian mismatch for output {index} with respect to {limits.names[i]}, in a random projection: "
                f"analytic {inner:.10g}, numeric {numeric:.10g}"
            )


def backward(output: Tensor, inputs: Sequence[Tensor], u: np.ndarray) -> tuple[Any, ...]:
    """The gradients of the inputs, given that of the output."""
    return autograd.grad([output], inputs, [wrap(u)], retain_graph=True, allow_unused=True)


def check_run_twice(output: Tensor, inputs: Sequence[Tensor], tolerance: float, dtypes: bool, names: Sequence[str]) -> None:
    """Backward gives the same twice, up to a tolerance; and, if asked, the dtypes of the inputs."""
    u = np.ones(output._data.shape, output._data.dtype)
    for i, (a, b, x) in enumerate(zip(backward(output, inputs, u), backward(output, inputs, u), inputs, strict=True)):
        if a is not None and not np.all((np.abs(a._data - b._data) <= tolerance) | (a._data == b._data)):
            raise GradcheckError(
                f"Backward is not reentrant: run twice on the same numbers, it gives two gradients for {names[i]}, up to {np.max(np.abs(a._data - b._data)):.3g} apart"
            )
        if dtypes and a is not None and a.dtype is not x.dtype:
            raise GradcheckError(f"Gradient has dtype mismatch: {a.dtype} for {names[i]} of {x.dtype}")


def check_undefined(outputs: Sequence[Tensor], inputs: Sequence[Tensor], names: Sequence[str]) -> None:
    """With several outputs, a missing gradient of one counts as zero."""
    if len(outputs) < 2:
        return
    zeros = [wrap(np.zeros(o._data.shape, o._data.dtype)) for o in outputs]
    for k, output in enumerate(outputs):
        u = wrap(np.ones(output._data.shape, output._data.dtype))
        alone = autograd.grad([output], inputs, [u], retain_graph=True, allow_unused=True)
        among = autograd.grad(outputs, inputs, [*zeros[:k], u, *zeros[k + 1 :]], retain_graph=True, allow_unused=True)
        for i, (a, b) in enumerate(zip(alone, among, strict=True)):
            first, second = (np.zeros(1) if g is None else g._data for g in (a, b))
            if not np.allclose(first, second, equal_nan=True):
                raise GradcheckError(
                    f"Expected backward function to handle undefined output grads: output {k} alone gives another gradient for {names[i]} than with zeros for the others"
                )



# --- forward mode, and batches ----------------------------------------------------------------------------------------


def _of_checked(func: Any, tensors: Sequence[Any], checked: list[int]) -> Callable[..., tuple[Tensor, ...]]:
    """The differentiable results as a function of the checked inputs alone."""

    def run(*own: Tensor) -> tuple[Tensor, ...]:
        every = list(tensors)
        for i, t in zip(checked, own, strict=True):
            every[i] = t
        return tuple(outputs_of(func, every))

    return run


def compare_forward(func: Any, tensors: Any, checked: list[int], count: int, limits: Limits, fast: bool) -> None:
    """J v as `func.jvp` has it and by differences, input by input: for every unit vector v, or for a random one."""
    from .. import func as functions

    own, rng = [tensors[i] for i in checked], np.random.default_rng(2)
    for place, i in enumerate(checked):
        shape, tangents = tensors[i]._data.shape, [np.zeros(t._data.shape, t._data.dtype) for t in own]
        size = tensors[i].numel()
        directions = [random_direction(shape, rng)] if fast else list(np.eye(size).reshape(size, *shape))
        found: list[list[np.ndarray]] = []
        for v in directions:
            tangents[place] = np.asarray(v, tensors[i]._data.dtype)
            pushed = functions.jvp(_of_checked(func, tensors, checked), tuple(own), tuple(map(wrap, tangents)))[1]
            found.append([t._data.reshape(-1).astype(np.float64) for t in pushed])
        for index in range(count if found else 0):
            analytic = np.array([row[index] for row in found])
            if not fast:
                wanted = numeric_jacobian(func, tensors, i, index, limits)
                shapes = shape, outputs_of(func, tensors)[index]._data.shape
                compare_matrices(analytic, wanted, shapes, (i, index), limits, "Forward mode: ")
                continue
            steps = [np.asarray(step * directions[0], tensors[i]._data.dtype) for step in (limits.eps, -limits.eps)]
            ends = [moved(func, tensors, (tensors[i]._data, ...), step, index).reshape(-1) for step in steps]
            wanted = (ends[0] - ends[1])[None] / (2 * limits.eps)
            off = np.abs(analytic - wanted) - (limits.atol * max(size, 1) ** 0.5 + limits.rtol * np.abs(wanted))
            if not np.all(off <= 0):
                k = int(np.argmax(np.where(np.isnan(off), np.inf, off)))
                raise GradcheckError(
                    f"Forward mode: Jacobian mismatch for output {index} with respect to {limits.names[i]}, along a random direction: "
                    f"element {k} of the output: analytic {analytic[0, k]:.10g}, numeric {wanted[0, k]:.10g}"
                )


def _same(found: Any, wanted: Any, limits: Limits) -> bool:
    return bool(np.allclose(found, wanted, rtol=limits.rtol, atol=limits.atol, equal_nan=True))


def check_batched(func: Any, tensors: Any, checked: list[int], index: int, limits: Limits, forward: bool) -> None:
    """`func.vmap` over a rule against the rule for one after another, and its linearity: what a sum gives is the sum of what its terms give.

    The rule is that from gradients of an output to those of the inputs or, with `forward`, from tangents of the inputs to that
    of the output. In each batch are a contiguous, a strided and a broadcast one.
    """
    from .. import func as functions

    own = [tensors[i] for i in checked]
    run = _of_checked(func, tensors, checked)
    if forward:
        rule, like, names = _pushing(functions, run, own, index), own, [f"output {index}"]
    else:
        pull = functions.vjp(lambda *t: run(*t)[index], *own)[1]
        rule, like, names = lambda u: pull(u), outputs_of(func, tensors)[index : index + 1], [limits.names[i] for i in checked]
    rng = np.random.default_rng(3)
    batch = [np.asarray(rng.standard_normal((3, *t._data.shape)), t._data.dtype) for t in like]
    for part in batch:
        part[2] = part[2].flat[0] if part[2].size else 0  # one number everywhere
    alone = [[g._data for g in rule(*(wrap(part[n].copy()) for part in batch))] for n in range(2)]
    alone.append([g._data for g in rule(*(wrap(np.broadcast_to(part[2].flat[0] if part[2].size else part[2], part[2].shape)) for part in batch))])
    together = functions.vmap(rule)(*(wrap(np.asfortranarray(part)) for part in batch))  # each slice strided, and in the reverse order
    summed = rule(*(wrap(np.asarray(p[0] - 2 * p[1], p.dtype)) for p in batch))
    what = "tangent" if forward else "gradient"
    for place, name in enumerate(names):
        for n in range(3):
            if not _same(together[place]._data[n], alone[n][place], limits):
                raise GradcheckError(f"Batched {what}s: vmap gives another {what} for {name} than one call for each of the batch (element {n})")
        if not _same(summed[place]._data, alone[0][place] - 2 * alone[1][place], limits):
            raise GradcheckError(f"Batched {what}s: the rule for {name} is not linear: of u - 2 v it makes something else than of u minus twice that of v")


def _pushing(functions: Any, run: Any, own: Sequence[Tensor], index: int) -> Callable[..., tuple[Tensor, ...]]:
    def push(*tangents: Tensor) -> tuple[Tensor, ...]:
        return (functions.jvp(lambda *t: run(*t)[index], tuple(own), tangents)[1],)

    return push
