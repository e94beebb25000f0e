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
from .jacobian import (
    GradcheckError,
    Limits,
    check_batched,
    check_run_twice,
    check_undefined,
    compare_forward,
    compare_jacobian,
    compare_projection,
    outputs_of,
)  # fmt: skip


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

    `check_forward_ad` compares `func.jvp` with differences along each unit vector. There are no rules of its own for it: it
    differentiates backward by the gradient that backward is given, and so finds both a wrong backward and one that does not say
    how it depends on that gradient (which computes on `.data`, say). `check_batched_grad` compares `func.vmap` over backward,
    which takes one gradient after another, with backward of each in another layout, and looks whether backward is linear, as
    unit vectors alone cannot tell; `check_batched_forward_grad` does so with `func.jvp`.
    """
    if not check_backward_ad and not check_forward_ad:
        raise AssertionError("gradcheck: Expected at least one of check_forward_ad or check_backward_ad to be True")
    if check_batched_grad and not check_backward_ad:
        raise AssertionError("gradcheck: Setting check_batched_grad=True requires check_backward_ad to be True")
    if check_batched_forward_grad and not check_forward_ad:
        raise AssertionError("gradcheck: Setting check_batched_forward_grad=True requires check_forward_ad to be True")
    leaves, spec = flatten(_tuple(inputs))
    names = _names("input", _tuple(inputs))
    limits = Limits(eps, atol, rtol, names)
    checks = _Checks(check_backward_ad, check_undefined_grad, check_grad_dtypes, check_forward_ad, check_batched_grad, check_batched_forward_grad)
    return _gradcheck(lambda *t: func(*unflatten(list(t), spec)), leaves, limits, checks, (nondet_tol, fast_mode, raise_exception))


class _Checks(NamedTuple):
    """What is checked: backward (with missing gradients, and dtypes), forward mode, and both in batches."""

    backward: bool
    undefined: bool
    dtypes: bool
    forward: bool
    batched: bool
    batched_forward: bool


def _gradcheck(func: Any, tensors: Sequence[Any], limits: Limits, checks: _Checks, how: tuple[float, bool, bool]) -> bool:
    """`gradcheck` of a function of the leaves; how: `nondet_tol`, fast, raising."""
    nondet_tol, fast, raising = how
    try:
        checked = _checked_inputs(tensors, limits.names)
        outputs = outputs_of(func, tensors)
        wanted, names = [tensors[i] for i in checked], [limits.names[i] for i in checked]
        for index, output in enumerate(outputs if checks.backward else ()):
            compare = compare_projection if fast else compare_jacobian
            compare(func, tensors, checked, index, output, limits)
            check_run_twice(output, wanted, nondet_tol, checks.dtypes, names)
        if checks.backward and checks.undefined:
            check_undefined(outputs, wanted, names)
        if checks.forward:
            compare_forward(func, tensors, checked, len(outputs), limits, fast)
        for forward in [False] * checks.batched + [True] * checks.batched_forward:
            for index in range(len(outputs)):
                check_batched(func, tensors, checked, index, limits, forward)
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
    if not check_rev_over_rev and not check_fwd_over_rev:
        raise AssertionError("gradgradcheck: Expected at least one of check_fwd_over_rev or check_rev_over_rev to be True")
    if check_batched_grad and not check_rev_over_rev:
        raise AssertionError("gradgradcheck: Setting check_batched_grad=True requires check_rev_over_rev to be True")
    leaves, spec = flatten(_tuple(inputs))

    def flat(*tensors: Any) -> Any:
        return func(*unflatten(list(tensors), spec))

    outputs = outputs_of(flat, leaves)
    given = [None] * len(outputs) if grad_outputs is None else flatten(_tuple(grad_outputs))[0]
    if len(given) != len(outputs):
        raise ValueError(f"gradgradcheck: expected grad_outputs for {len(outputs)} differentiable results, but got {len(given)}")
    weights = [_random_like(o, gen_non_contig_grad_outputs) if g is None else g for g, o in zip(given, outputs, strict=True)]

    def backward(*both: Tensor) -> tuple[Tensor, ...]:
        own, upstream = both[: len(leaves)], both[len(leaves) :]
        results = outputs_of(flat, own)
        wanted = [t for t in own if isinstance(t, Tensor) and t.requires_grad]
        return tuple(g for g in autograd.grad(results, wanted, upstream, create_graph=True, allow_unused=True) if g is not None)

    names = [*_names("input", _tuple(inputs)), *(f"the gradient of output {i}" for i in range(len(weights)))]
    limits = Limits(eps, atol, rtol, names)
    checks = _Checks(check_rev_over_rev, check_undefined_grad, check_grad_dtypes, check_fwd_over_rev, check_batched_grad, False)
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
        if data.size and any(s == 0 and n > 1 for s, n in zip(data.strides, data.shape, strict=True)):
            raise RuntimeError(
                f"gradcheck: {names[i]} has a dimension with stride 0, and only inputs whose elements do not overlap can be checked; use .contiguous() first."
            )
    return checked


def _random_like(output: Tensor, strided: bool) -> Tensor:
    rng = np.random.default_rng(1)
    shape = output._data.shape
    if strided and shape:
        return wrap(rng.standard_normal((*shape[:-1], 2 * shape[-1]))[..., ::2]).requires_grad_()
    return wrap(np.asarray(rng.standard_normal(shape), output._data.dtype)).requires_grad_()
