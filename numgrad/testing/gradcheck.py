"""`gradcheck` and `gradgradcheck`, with PyTorch's signatures: for functions of your own, at points of your own.

The tolerances are PyTorch's and wide. `numgrad.testing.check_gradients` chooses its own, and tells 1.001 from 1.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import autograd
from ..tensor import Tensor, wrap


class GradcheckError(RuntimeError):
    """Backward and finite differences disagree."""


def gradcheck(
    func: Callable[..., Any], inputs: Any, *, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3, raise_exception: bool = True,
    nondet_tol: float = 0.0, check_undefined_grad: bool = True, check_grad_dtypes: bool = False, check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False, check_forward_ad: bool = False, check_backward_ad: bool = True, fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:  # fmt: skip
    """Whether the gradients of `func(*inputs)` agree with central differences, for inputs that require grad (use float64).

    `eps` is the step, `atol` and `rtol` bound the difference, `nondet_tol` that of two runs of backward. The whole Jacobian
    is compared; `fast_mode` compares one random projection of it instead. GradcheckError, or False without `raise_exception`.
    """
    if check_batched_grad or check_batched_forward_grad or check_forward_ad:
        raise NotImplementedError(
            "gradcheck: numgrad checks backward only; batched gradients and forward mode are not supported"
        )
    tensors = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    try:
        checked = _checked_inputs(tensors)
        outputs = _outputs(func, tensors)
        if check_backward_ad:
            compare = _compare_projection if fast_mode else _compare_jacobian
            for index, output in enumerate(outputs):
                compare(func, tensors, checked, index, output, (eps, atol, rtol))
                _check_run_twice(output, [tensors[i] for i in checked], nondet_tol, check_grad_dtypes)
            if check_undefined_grad:
                _check_undefined(outputs, [tensors[i] for i in checked])
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


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
    tensors = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    if grad_outputs is None:
        weights = tuple(_random_like(o, gen_non_contig_grad_outputs) for o in _outputs(func, tensors))
    else:
        weights = tuple(grad_outputs) if isinstance(grad_outputs, (tuple, list)) else (grad_outputs,)

    def backward(*both: Tensor) -> tuple[Tensor, ...]:
        own, upstream = both[: len(tensors)], both[len(tensors) :]
        outputs = _outputs(func, own)
        wanted = [t for t in own if isinstance(t, Tensor) and t.requires_grad]
        return tuple(
            g for g in autograd.grad(outputs, wanted, upstream, create_graph=True, allow_unused=True) if g is not None
        )

    return gradcheck(
        backward, (*tensors, *weights), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception, nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad, check_grad_dtypes=check_grad_dtypes, check_batched_grad=check_batched_grad,
        fast_mode=fast_mode, masked=masked,
    )  # fmt: skip


def _checked_inputs(tensors: Sequence[Any]) -> list[int]:
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
                f"Input #{i} requires gradient and is not a double precision floating point. This check will likely fail if all the inputs are not of double precision floating point.",
                stacklevel=3,
            )
        if any(s == 0 and n > 1 for s, n in zip(data.strides, data.shape, strict=True)):
            raise RuntimeError(
                f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs that are non-overlapping; use .contiguous() first."
            )
    return checked


def _outputs(func: Callable[..., Any], tensors: Sequence[Any]) -> list[Tensor]:
    """The differentiable results of the function."""
    result = func(*tensors)
    found = list(result) if isinstance(result, (tuple, list)) else [result]
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


def _compare_jacobian(
    func: Any, tensors: Any, checked: list[int], index: int, output: Tensor, limits: tuple[float, float, float]
) -> None:
    eps, atol, rtol = limits
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
            ends = [_moved(func, tensors, (data, at), step, index) for step in (eps, -eps)]
            numeric[k] = ((ends[0] - ends[1]) / (2 * eps)).reshape(-1)
        if not np.all(np.abs(numeric - analytic[i]) <= atol + rtol * np.abs(numeric)):
            raise GradcheckError(
                f"Jacobian mismatch for output {index} with respect to input {i},\nnumerical:{numeric}\nanalytical:{analytic[i]}\n"
            )


def _compare_projection(
    func: Any, tensors: Any, checked: list[int], index: int, output: Tensor, limits: tuple[float, float, float]
) -> None:
    eps, atol, rtol = limits
    rng = np.random.default_rng(0)
    u = rng.standard_normal(output._data.shape)
    found = _backward(output, [tensors[i] for i in checked], np.asarray(u, output._data.dtype))
    for i, g in zip(checked, found, strict=True):
        data = tensors[i]._data
        v = rng.uniform(0.5, 1, data.shape) * rng.choice([-1.0, 1.0], data.shape)
        ends = [_moved(func, tensors, (data, ...), np.asarray(step * v, data.dtype), index) for step in (eps, -eps)]
        numeric = float(np.sum(u * (ends[0] - ends[1]))) / (2 * eps)
        inner = np.zeros(1) if g is None else g._data * v
        # a projection adds up as many errors as it has terms
        if not abs(numeric - float(np.sum(inner))) <= atol * max(data.size, 1) ** 0.5 + rtol * abs(numeric):
            raise GradcheckError(
                f"Jacobian mismatch for output {index} with respect to input {i}, in a random projection: numerical:{numeric}, analytical:{float(np.sum(inner))}"
            )


def _backward(output: Tensor, inputs: Sequence[Tensor], u: np.ndarray) -> tuple[Any, ...]:
    return autograd.grad([output], inputs, [wrap(u)], retain_graph=True, allow_unused=True)


def _check_run_twice(output: Tensor, inputs: Sequence[Tensor], tolerance: float, dtypes: bool) -> None:
    """Backward gives the same twice, up to a tolerance; and, if asked, the dtypes of the inputs."""
    u = np.ones(output._data.shape, output._data.dtype)
    for i, (a, b, x) in enumerate(zip(_backward(output, inputs, u), _backward(output, inputs, u), inputs, strict=True)):
        if a is not None and not np.all((np.abs(a._data - b._data) <= tolerance) | (a._data == b._data)):
            raise GradcheckError(
                f"Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives different values for input {i}, although analytical gradient matches numerical gradient."
            )
        if dtypes and a is not None and a.dtype is not x.dtype:
            raise GradcheckError(f"Gradient has dtype mismatch: {a.dtype} for input {i} of {x.dtype}")


def _check_undefined(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> None:
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
                    f"Expected backward function to handle undefined output grads: output {k} alone gives another gradient for input {i} than with zeros for the others"
                )


def _random_like(output: Tensor, strided: bool) -> Tensor:
    rng = np.random.default_rng(1)
    shape = output._data.shape
    if strided and shape:
        return wrap(rng.standard_normal((*shape[:-1], 2 * shape[-1]))[..., ::2]).requires_grad_()
    return wrap(np.asarray(rng.standard_normal(shape), output._data.dtype)).requires_grad_()
