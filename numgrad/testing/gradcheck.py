"""`gradcheck` and `gradgradcheck`, with PyTorch's signatures: for functions of your own, at points of your own.

The tolerances are PyTorch's and wide. `numgrad.testing.check_gradients` chooses its own, and tells 1.001 from 1.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import autograd
from ..compiler.tree import flatten, unflatten
from ..tensor import Tensor, wrap

#: Inputs and outputs of a Jacobian up to this size are searched for the worst element where a random projection differs.
SEARCHED = 1 << 16


class GradcheckError(RuntimeError):
    """Backward and finite differences disagree."""


class _Limits(NamedTuple):
    """The step, the tolerances, and what messages call the inputs."""

    eps: float
    atol: float
    rtol: float
    names: Sequence[str]


def gradcheck(
    func: Callable[..., Any], inputs: Any, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3, raise_exception: bool = True,
    nondet_tol: float = 0.0, check_undefined_grad: bool = True, check_grad_dtypes: bool = False, check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False, check_forward_ad: bool = False, check_backward_ad: bool = True, fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:  # fmt: skip
    """Whether the gradients of `func(*inputs)` agree with central differences, for inputs that require grad (use float64).

    Inputs and results may be tensors in nested tuples, lists and dicts. `eps` is the step, `atol` and `rtol` bound the difference,
    `nondet_tol` that of two runs of backward. The whole Jacobian is compared; `fast_mode` compares one random projection of it.
    Without `check_undefined_grad`, results are not tried one by one; `masked` says something of sparse tensors only. GradcheckError
    names input, index, analytic and numeric value; without `raise_exception` False is returned instead.
    """
    if check_batched_grad or check_batched_forward_grad or check_forward_ad:
        raise NotImplementedError(
            "gradcheck: numgrad checks backward only; batched gradients and forward mode are not supported"
        )
    leaves, spec = flatten(_tuple(inputs))
    names = _names("input", _tuple(inputs))
    limits = _Limits(eps, atol, rtol, names)
    checks = check_backward_ad, check_undefined_grad, check_grad_dtypes
    return _gradcheck(lambda *t: func(*unflatten(list(t), spec)), leaves, limits, checks, (nondet_tol, fast_mode, raise_exception))


def _gradcheck(func: Any, tensors: Sequence[Any], limits: _Limits, checks: tuple[bool, bool, bool], how: tuple[float, bool, bool]) -> bool:
    """`gradcheck` of a function of the leaves. The checks: backward, missing gradients, dtypes; how: `nondet_tol`, fast, raising."""
    (backward, undefined, dtypes), (nondet_tol, fast, raising) = checks, how
    try:
        checked = _checked_inputs(tensors, limits.names)
        outputs = _outputs(func, tensors)
        wanted, names = [tensors[i] for i in checked], [limits.names[i] for i in checked]
        for index, output in enumerate(outputs if backward else ()):
            compare = _compare_projection if fast else _compare_jacobian
            compare(func, tensors, checked, index, output, limits)
            _check_run_twice(output, wanted, nondet_tol, dtypes, names)
        if backward and undefined:
            _check_undefined(outputs, wanted, names)
    except GradcheckError:
        if raising:
            raise
        return False
    return True


def _tuple(inputs: Any) -> tuple[Any, ...]:
    return tuple(inputs) if type(inputs) in (tuple, list) else (inputs,)


def _names(name: str, nest: Any) -> list[str]:
    """What the leaves of some arguments are called: input 1, or input 1['weight'][0]."""

    def paths(path: str, part: Any) -> list[str]:
        if isinstance(part, dict):
            return [n for k, v in part.items() for n in paths(f"{path}[{k!r}]", v)]
        if type(part) in (tuple, list) or (isinstance(part, tuple) and hasattr(part, "_fields")):
            return [n for i, v in enumerate(part) for n in paths(f"{path}[{i}]", v)]
        return [path]

    return [n for i, part in enumerate(nest) for n in paths(f"{name} {i}", part)]


def gradgradcheck(
    func: Callable[..., Any], inputs: Any, grad_outputs: Any = None, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False, raise_exception: bool = True, nondet_tol: float = 0.0, check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False, check_batched_grad: bool = False, check_fwd_over_rev: bool = False, check_rev_over_rev: bool = True,
    fast_mode: bool = False, masked: bool = False,
) -> bool:  # fmt: skip
    """`gradcheck` of the backward of `func`: gradients of gradients, with respect to the inputs and to `grad_outputs`."""
    if check_fwd_over_rev:
        raise NotImplementedError(
            "gradgradcheck: numgrad checks reverse over reverse only; forward mode is not supported"
        )
    if check_batched_grad:
        raise NotImplementedError("gradgradcheck: batched gradients are not supported")
    leaves, spec = flatten(_tuple(inputs))

    def flat(*tensors: Any) -> Any:
        return func(*unflatten(list(tensors), spec))

    outputs = _outputs(flat, leaves)
    given = [None] * len(outputs) if grad_outputs is None else flatten(_tuple(grad_outputs))[0]
    if len(given) != len(outputs):
        raise ValueError(f"gradgradcheck: expected grad_outputs for {len(outputs)} differentiable results, but got {len(given)}")
    weights = [_random_like(o, gen_non_contig_grad_outputs) if g is None else g for g, o in zip(given, outputs, strict=True)]

    def backward(*both: Tensor) -> tuple[Tensor, ...]:
        own, upstream = both[: len(leaves)], both[len(leaves) :]
        results = _outputs(flat, own)
        wanted = [t for t in own if isinstance(t, Tensor) and t.requires_grad]
        return tuple(g for g in autograd.grad(results, wanted, upstream, create_graph=True, allow_unused=True) if g is not None)

    names = [*_names("input", _tuple(inputs)), *(f"the gradient of output {i}" for i in range(len(weights)))]
    limits = _Limits(eps, atol, rtol, names)
    checks = check_rev_over_rev, check_undefined_grad, check_grad_dtypes
    return _gradcheck(backward, [*leaves, *weights], limits, checks, (nondet_tol, fast_mode, raise_exception))


def _checked_inputs(tensors: Sequence[Any], names: Sequence[str]) -> list[int]:
    """Which inputs are checked; ValueError where none can be."""
    checked = [i for i, t in enumerate(tensors) if isinstance(t, Tensor) and t.requires_grad]
    if not checked:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
        )
    for i in checked:
        data = tensors[i]._data
        if data.dtype != np.float64:
            warnings.warn(
                f"gradcheck: {names[i]} requires gradient and is not of double precision, but {tensors[i].dtype}: the check is likely to fail",
                stacklevel=4,
            )
        if any(s == 0 and n > 1 for s, n in zip(data.strides, data.shape, strict=True)):
            raise RuntimeError(
                f"gradcheck: {names[i]} has a dimension with stride 0, and only inputs whose elements do not overlap can be checked; use .contiguous() first."
            )
    return checked


def _outputs(func: Callable[..., Any], tensors: Sequence[Any]) -> list[Tensor]:
    """The differentiable results of the function."""
    found = flatten(func(*tensors))[0]
    return [o for o in found if isinstance(o, Tensor) and o.is_floating_point() and o.requires_grad]


def _values(func: Callable[..., Any], tensors: Sequence[Any], index: int) -> np.ndarray:
    return _outputs(func, tensors)[index].detach().numpy().astype(np.float64)


def _moved(
    func: Callable[..., Any], tensors: Sequence[Any], place: tuple[Any, Any], change: Any, index: int
) -> np.ndarray:
    """An output with `change` added to part of an input: in its memory, so that a function that closes over it sees it too."""
    data, where = place
    before = data[where].copy() if isinstance(data[where], np.ndarray) else data[where]
    data[where] += change
    try:
        return _values(func, tensors, index)
    finally:
        data[where] = before


def _compare_jacobian(func: Any, tensors: Any, checked: list[int], index: int, output: Tensor, limits: _Limits) -> None:
    shape = output._data.shape
    analytic = {i: np.zeros((tensors[i].numel(), output.numel())) for i in checked}
    for j in range(output.numel()):
        u = np.zeros(shape, output._data.dtype)
        u[np.unravel_index(j, shape)] = 1
        for i, g in zip(checked, _backward(output, [tensors[i] for i in checked], u), strict=True):
            analytic[i][:, j] = 0 if g is None else g._data.reshape(-1)
    for i in checked:
        data = tensors[i]._data
        numeric = np.zeros_like(analytic[i])
        for k, at in enumerate(np.ndindex(data.shape)):
            ends = [_moved(func, tensors, (data, at), step, index) for step in (limits.eps, -limits.eps)]
            numeric[k] = ((ends[0] - ends[1]) / (2 * limits.eps)).reshape(-1)
        excess = np.abs(numeric - analytic[i]) - (limits.atol + limits.rtol * np.abs(numeric))
        if not np.all(excess <= 0):
            raise GradcheckError(_mismatch(limits.names[i], index, (data.shape, shape), analytic[i], numeric, excess))


def _mismatch(name: str, index: int, shapes: tuple[Any, Any], analytic: np.ndarray, numeric: np.ndarray, excess: np.ndarray) -> str:
    """The message: where the two Jacobians are furthest apart, and, where they are small, both."""
    k, j = np.unravel_index(np.argmax(np.where(np.isnan(excess), np.inf, excess)), excess.shape)
    places = ([int(n) for n in np.unravel_index(at, shape)] for at, shape in zip((k, j), shapes, strict=True))
    where = "index {} of the input, index {} of the output".format(*places)
    whole = f"\nnumerical:{numeric}\nanalytical:{analytic}" if numeric.size <= 256 else ""
    wrong = int(np.sum(~(excess <= 0)))
    return (f"Jacobian mismatch for output {index} with respect to {name}, in {wrong} of {excess.size} elements; "
            f"worst: {where}: analytic {analytic[k, j]:.10g}, numeric {numeric[k, j]:.10g}{whole}")  # fmt: skip


def _compare_projection(func: Any, tensors: Any, checked: list[int], index: int, output: Tensor, limits: _Limits) -> None:
    """<u, J v> both ways; where they differ, the whole Jacobian tells which element it is, unless it is large."""
    eps = limits.eps
    rng = np.random.default_rng(0)
    u = rng.standard_normal(output._data.shape)
    found = _backward(output, [tensors[i] for i in checked], np.asarray(u, output._data.dtype))
    for i, g in zip(checked, found, strict=True):
        data = tensors[i]._data
        v = rng.uniform(0.5, 1, data.shape) * rng.choice([-1.0, 1.0], data.shape)
        ends = [_moved(func, tensors, (data, ...), np.asarray(step * v, data.dtype), index) for step in (eps, -eps)]
        numeric = float(np.sum(u * (ends[0] - ends[1]))) / (2 * eps)
        inner = float(np.sum(np.zeros(1) if g is None else g._data * v))
        # a projection adds up as many errors as it has terms
        if not abs(numeric - inner) <= limits.atol * max(data.size, 1) ** 0.5 + limits.rtol * abs(numeric):
            if data.size * output.numel() <= SEARCHED:
                _compare_jacobian(func, tensors, [i], index, output, limits)
            raise GradcheckError(
                f"Jacobian mismatch for output {index} with respect to {limits.names[i]}, in a random projection: "
                f"analytic {inner:.10g}, numeric {numeric:.10g}"
            )


def _backward(output: Tensor, inputs: Sequence[Tensor], u: np.ndarray) -> tuple[Any, ...]:
    return autograd.grad([output], inputs, [wrap(u)], retain_graph=True, allow_unused=True)


def _check_run_twice(output: Tensor, inputs: Sequence[Tensor], tolerance: float, dtypes: bool, names: Sequence[str]) -> None:
    """Backward gives the same twice, up to a tolerance; and, if asked, the dtypes of the inputs."""
    u = np.ones(output._data.shape, output._data.dtype)
    for i, (a, b, x) in enumerate(zip(_backward(output, inputs, u), _backward(output, inputs, u), inputs, strict=True)):
        if a is not None and not np.all((np.abs(a._data - b._data) <= tolerance) | (a._data == b._data)):
            raise GradcheckError(
                f"Backward is not reentrant: run twice on the same numbers, it gives two gradients for {names[i]}, up to {np.max(np.abs(a._data - b._data)):.3g} apart"
            )
        if dtypes and a is not None and a.dtype is not x.dtype:
            raise GradcheckError(f"Gradient has dtype mismatch: {a.dtype} for {names[i]} of {x.dtype}")


def _check_undefined(outputs: Sequence[Tensor], inputs: Sequence[Tensor], names: Sequence[str]) -> None:
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


def _random_like(output: Tensor, strided: bool) -> Tensor:
    rng = np.random.default_rng(1)
    shape = output._data.shape
    if strided and shape:
        return wrap(rng.standard_normal((*shape[:-1], 2 * shape[-1]))[..., ::2]).requires_grad_()
    return wrap(np.asarray(rng.standard_normal(shape), output._data.dtype)).requires_grad_()
