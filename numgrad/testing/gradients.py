"""Gradients against central differences, by random projection: a few evaluations test every entry of a Jacobian at once.

For directions v and weights u drawn at random, d/de <u, f(x + e v)> at 0 must equal <v, J^T u>. Each input has its own
direction, so that gradients given to the wrong input show. The numeric side is extrapolated (Richardson, "The deferred
approach to the limit", 1927), which leaves about 1e-10 of error and gives a bound on it, so a gradient that is wrong by
a factor of 1.001 is far outside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import autograd
from ..tensor import Tensor, wrap

Arrays = Sequence[np.ndarray]
Compute = Callable[[Arrays], Arrays]

#: The largest step. Inputs keep 0.05 from a function's kinks, and 0.01 from one another where their order matters.
STEP = 4e-3
STEPS = (STEP, STEP / 16, STEP / 256)
#: The steps where those show a gradient that seems wrong, or nothing: a kink may have been nearer.
SHORTER = (STEP / 1024, STEP / 4096)
#: A numeric derivative more uncertain than this part of the gradient could not tell a factor of 1.001: it is no test.
UNCERTAIN = 1e-4


#: Inputs of more elements than this are not searched for the element whose gradient is wrong.
SEARCHED = 512


class GradientError(AssertionError):
    """A gradient is wrong, missing, or of the wrong shape or dtype.

    Where one element could be found that is wrong: `input` (its number), `index`, `analytic` and `numeric`.
    """

    input: int | None = None
    index: tuple[int, ...] | None = None
    analytic: float | None = None
    numeric: float | None = None


def outputs_of(result: Any) -> list[Tensor]:
    """The floating-point tensors in a result, which may be a tensor, or tensors in tuples and lists."""
    if isinstance(result, Tensor):
        return [result] if result.is_floating_point() else []
    if isinstance(result, (tuple, list)):
        return [output for part in result for output in outputs_of(part)]
    return []


def gradients(function: Callable[..., Any], arrays: Arrays, weights: Arrays) -> list[np.ndarray | None]:
    """What backward gives for each input, None where no gradient arrives."""
    inputs = [wrap(x).requires_grad_() for x in arrays]
    outputs = [
        (o, wrap(u.astype(o._data.dtype)))
        for o, u in zip(outputs_of(function(*inputs)), weights, strict=True)
        if o.requires_grad
    ]
    if not outputs:
        return [None] * len(inputs)
    found = autograd.grad([o for o, _ in outputs], inputs, [u for _, u in outputs], allow_unused=True)
    for i, (x, grad) in enumerate(zip(arrays, found, strict=True)):
        if grad is not None and (tuple(grad.shape) != x.shape or grad.dtype.numpy != x.dtype):
            raise GradientError(
                f"the gradient of input {i} is {grad.dtype} of shape {list(grad.shape)}, but the input {x.dtype} of {list(x.shape)}"
            )
    return [None if grad is None else grad.detach().numpy() for grad in found]


def evaluate(function: Callable[..., Any], arrays: Arrays) -> list[np.ndarray]:
    """The floating-point results for these inputs."""
    return [o.detach().numpy() for o in outputs_of(function(*[wrap(x) for x in arrays]))]


def direction(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """A random direction with no entry near 0. A symmetric matrix stays symmetric: its functions may read one triangle only."""
    v = rng.uniform(0.2, 1, x.shape) * rng.choice([-1.0, 1.0], x.shape)
    if x.ndim > 1 and x.shape[-1] == x.shape[-2] > 1 and np.array_equal(x, np.swapaxes(x, -1, -2)):
        v = (v + np.swapaxes(v, -1, -2)) / 2
    return v


def _weights(rng: np.random.Generator, y: np.ndarray) -> np.ndarray:
    """A gradient to start backward from: numbers that float32 has too."""
    return direction(rng, y.reshape(-1)).reshape(y.shape).astype(np.float32).astype(np.float64)


def _difference(
    compute: Compute, arrays: Arrays, index: int, v: np.ndarray, weights: Arrays, h: float
) -> tuple[float, float]:
    """The central difference of <weights, f> at step h, and the sum of |weights| |f|."""
    ends = []
    for step in (h, -h):
        moved = list(arrays)
        moved[index] = np.asarray(arrays[index] + step * v)
        ends.append(compute(moved))
    total = size = 0.0
    for u, after, before in zip(weights, *ends, strict=True):
        after, before = after.astype(np.float64), before.astype(np.float64)
        change = np.subtract(after, before, out=np.zeros_like(after), where=after != before)  # an infinity stays where it is
        total += float(np.sum(u * change, dtype=np.float64))
        size += float(np.sum(np.abs(u) * np.where(np.isfinite(after), np.abs(after), 0.0)))
    return total / (2 * h), size


class Numeric(NamedTuple):
    """A derivative by central differences: its value, what was cut off, what rounding may add, and the size of what was compared."""

    value: float
    truncation: float
    noise: float
    size: float


def directional(
    compute: Compute,
    arrays: Arrays,
    index: int,
    v: np.ndarray,
    weights: Arrays,
    scale: float,
    eps: float = np.finfo(np.float64).eps,
    steps: Sequence[float] = STEPS,
) -> Numeric:
    """d/de <weights, f(arrays with e v added to one)>, with steps small enough to tell 1.001 from 1 in what is about `scale`.

    `eps` is how f is rounded.
    """
    found = []
    for first in steps:
        (d1, _), (d2, _), (d3, size) = (_difference(compute, arrays, index, v, weights, first / 2**k) for k in range(3))
        e2, e3 = d2 + (d2 - d1) / 3, d3 + (d3 - d2) / 3
        value = e3 + (e3 - e2) / 15
        noise = 64 * eps * (size + _length(weights)) / first  # values near 0 may be what is left of numbers about 1
        found.append(Numeric(value, 2 * abs(value - e3), noise, size))
        if found[-1].truncation <= max(UNCERTAIN * scale, 10 * noise):
            break
    return min(found, key=lambda n: n.truncation + n.noise)


def check_gradients(
    function: Callable[..., Any], arrays: Arrays, *, projections: int = 2, seed: int = 0, precision: float = 1e-9,
    compute: Compute | None = None, names: Sequence[str] = (),
) -> None:  # fmt: skip
    """Check backward of `function(*tensors)` at these float64 arrays; GradientError names the input and the element that is wrong.

    `precision` is how exact backward is expected to be. `compute` evaluates the function for the numeric side, where
    something else than the function itself should (arrays may then be float32, and the precision that of float32).
    `names` are what messages call the inputs.
    """
    compute = compute or (lambda moved: evaluate(function, moved))
    doubles = [x.astype(np.float64) for x in arrays]
    rng = np.random.default_rng(seed)
    values = compute(doubles)
    eps = max([float(np.finfo(y.dtype).eps) for y in values], default=0.0)  # a conversion to float32 rounds more
    for _ in range(projections):
        weights = [_weights(rng, y) for y in values]
        found = gradients(function, arrays, weights)
        for index, (x, grad) in enumerate(zip(doubles, found, strict=True)):
            if x.size:
                v = direction(rng, x)
                inner = np.zeros(()) if grad is None else grad.astype(np.float64) * v
                scale = float(np.sum(np.abs(inner)))
                # what cancels in backward, where gradients are small, leaves the rounding of numbers about 1
                least = 64 * float(np.finfo(arrays[index].dtype).eps) * _length([v]) * _length(weights)
                where = f"input {index}" + (f" ({names[index]})" if names else "")
                side = _Side(compute, doubles, index, weights, eps, precision)
                _check_input(side, v, float(np.sum(inner)), scale, least, where, grad)


def _check_input(
    side: _Side, v: np.ndarray, analytic: float, scale: float, least: float, where: str, grad: np.ndarray | None
) -> None:
    """GradientError unless the derivative along v, of about `scale`, is the numeric one."""
    error: GradientError | None = None
    for steps in (STEPS, SHORTER):
        numeric = directional(side.compute, side.arrays, side.input, v, side.weights, scale, side.eps, steps)
        if error and numeric.noise > max(UNCERTAIN * scale, 1e-8 * numeric.size):
            break  # rounding hides what a shorter step could tell
        bound = numeric.truncation + numeric.noise + side.precision * (scale + numeric.size) + least
        if not abs(analytic - numeric.value) <= bound:
            error = error or _wrong(analytic, numeric, bound, where, grad, side)
        elif numeric.truncation > max(UNCERTAIN * scale, 10 * numeric.noise, least):
            error = error or _uncertain(numeric, where)
        else:
            return
    assert error is not None
    raise error


def _length(vectors: Arrays) -> float:
    return float(np.sqrt(sum(np.sum(v * v) for v in vectors)))


class _Side(NamedTuple):
    """Where a derivative is taken numerically."""

    compute: Compute
    arrays: Arrays
    input: int
    weights: Arrays
    eps: float
    precision: float


def _wrong(analytic: float, numeric: Numeric, bound: float, where: str, grad: np.ndarray | None, side: _Side) -> GradientError:
    """The error to raise: it shows the element that is furthest off, or, where none is, the sum over all."""
    reason = "; no gradient arrives there" if grad is None else ""
    x, value = side.arrays[side.input], numeric.value
    worst, at = 1.0, None
    for element in np.ndindex(x.shape) if x.size <= SEARCHED else ():
        v = np.zeros(x.shape)
        v[element] = 1.0
        if x.ndim > 1 and x.shape[-1] == x.shape[-2] > 1 and np.array_equal(x, np.swapaxes(x, -1, -2)):
            v = (v + np.swapaxes(v, -1, -2)) / 2  # see `direction`
        own = 0.0 if grad is None else float(np.sum(grad * v))
        found = directional(side.compute, side.arrays, side.input, v, side.weights, abs(own), side.eps)
        allowed = found.truncation + found.noise + side.precision * (abs(own) + found.size)
        if abs(own - found.value) > worst * allowed:
            worst, at = abs(own - found.value) / max(allowed, 1e-300), element
            analytic, value, bound = own, found.value, allowed
    place = "" if at is None else f", index {list(at)}"
    error = GradientError(f"{where}{place}: backward gives {analytic:.10g}, central differences {value:.10g} +- {bound:.1g}{reason}")
    error.input, error.index, error.analytic, error.numeric = side.input, at, analytic, value
    return error


def _uncertain(numeric: Numeric, where: str) -> GradientError:
    return GradientError(
        f"{where}: the numeric derivative {numeric.value:.6g} is uncertain by {numeric.truncation:.2g}: "
        "the inputs are too near a kink or pole of the function to check its gradient"
    )


def check_second_gradients(
    function: Callable[..., Any], arrays: Arrays, *, projections: int = 1, seed: int = 0, precision: float = 1e-9,
    names: Sequence[str] = (),
) -> None:  # fmt: skip
    """Check the gradient of backward itself, with respect to the inputs and to the gradient it starts from."""
    given = upstream(function, arrays, seed + 1)
    names = [*names, *(f"the gradient of result {i}" for i in range(len(given)))] if names else ()
    backward = backward_of(function, len(arrays))
    check_gradients(backward, [*arrays, *given], projections=projections, seed=seed, precision=precision, names=names)


def upstream(function: Callable[..., Any], arrays: Arrays, seed: int = 0) -> list[np.ndarray]:
    """Random gradients for backward to start from, one for each output."""
    rng = np.random.default_rng(seed)
    return [_weights(rng, y) for y in evaluate(function, arrays)]


def backward_of(function: Callable[..., Any], count: int) -> Callable[..., Any]:
    """A function of `count` inputs and the gradients of the outputs, whose results are the gradients of the inputs."""

    def backward(*tensors: Tensor) -> list[Tensor]:
        # numeric evaluations come without requires_grad, and backward needs it
        inputs = [t if t.requires_grad else t.detach().requires_grad_() for t in tensors[:count]]
        pairs = [
            (o, u.to(o.dtype))
            for o, u in zip(outputs_of(function(*inputs)), tensors[count:], strict=True)
            if o.requires_grad
        ]
        if not pairs:
            return []
        outputs, weights = zip(*pairs, strict=True)
        found = autograd.grad(outputs, inputs, weights, create_graph=True, allow_unused=True)
        return [grad for grad in found if grad is not None]

    return backward
