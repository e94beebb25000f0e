"""Everything that should be true of an op, as named checks that one call, a test or the pytest plugin runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..jit import DISABLED
from ..ops.elementwise import Pointwise
from ..ops.record import Op
from . import checks
from .bad_inputs import check_bad_inputs
from .case import Case, quiet, unwrapped, wrapped
from .draw import Draw, numpy_draw
from .dtype_checks import check_dtypes
from .inplace_checks import check_inplace


class CheckError(AssertionError):
    """A check of an op failed; the message says which, what was expected, and how to repeat it."""


class Check(NamedTuple):
    """One property: `run(op, draw)` raises where it does not hold for what is drawn."""

    run: Callable[[Op, Draw], None]
    #: whether an op can be asked
    fits: Callable[[Op], bool]
    dtype: Any = np.float64
    #: of ten examples, so many are drawn; 0: the check draws nothing
    share: int = 10


def _of_case(check: Callable[[Case], None]) -> Callable[[Op, Draw], None]:
    return lambda op, draw: check(Case.drawn(op, draw))


def _sampled(op: Op) -> bool:
    return op.sample is not None


def _has_gradient(op: Op) -> bool:
    """Also where it is missing: then the check says so."""
    return _sampled(op) and (op.composite or op.vjp is not None)


def _has_backward_op(op: Op) -> bool:
    return _has_gradient(op) and not isinstance(op, Pointwise)


def _check_errors(op: Op, draw: Draw) -> None:
    checks.check_errors(op)


_third = functools.partial(checks.check_second_gradient, order=3)

#: What `check_op` asks of every op, by name.
SUITE: dict[str, Check] = {
    "value": Check(_of_case(checks.check_value), _sampled),
    "value of float32": Check(_of_case(checks.check_value), _sampled, np.float32),
    "gradient": Check(_of_case(checks.check_gradient), _has_gradient),
    "second gradient": Check(_of_case(checks.check_second_gradient), _has_gradient),
    "third gradient": Check(_of_case(_third), _has_backward_op, share=2),
    "gradient of float32": Check(_of_case(checks.check_gradient_of_reference), _has_gradient, np.float32),
    "layouts": Check(_of_case(checks.check_layouts), _sampled),
    "in place": Check(_of_case(check_inplace), lambda op: _sampled(op) and bool(op.inplace)),
    "dtypes": Check(check_dtypes, _sampled, np.float32),
    "threads": Check(_of_case(checks.check_threads), lambda op: _sampled(op) and not DISABLED, np.float32),
    "bad input": Check(_of_case(check_bad_inputs), lambda op: _sampled(op) and (op.public or op.method), share=2),
    "errors": Check(_check_errors, lambda op: bool(op.errors), share=0),
}


def checks_of(op: Op) -> list[str]:
    """The names of the checks that fit an op."""
    return [name for name, check in SUITE.items() if check.fits(op)]


def check_op(op: Op, *, examples: int = 10, seed: int = 0, only: str | Sequence[str] | None = None) -> None:
    """Check an op by its sample: value, gradients, layouts, dtypes, in-place form, threads, declared errors.

    Whoever registers an op of their own tests it with this one call. `examples` calls are drawn for each check, from `seed` on;
    `only` names checks of `SUITE` to run instead of all. CheckError says which failed, for which input, and how to repeat it.
    """
    op = as_op(op)
    wanted = checks_of(op) if only is None else [only] if isinstance(only, str) else list(only)
    for name in wanted:
        if name not in SUITE:
            raise ValueError(f"check_op(): no check is called {name!r}; there are {', '.join(SUITE)}")
    if op.sample is None:
        raise CheckError(f"the op '{op.name}' declares no sample: there is nothing to check it with")
    for name in wanted:
        run_check(op, name, examples, seed)


def run_check(op: Op, name: str, examples: int = 10, seed: int = 0) -> None:
    """Run one check of `SUITE` on so many examples."""
    check = SUITE[name]
    for i in range(max(1, examples * check.share // 10)):
        try:
            check.run(op, numpy_draw(seed + i, check.dtype, 4))
        except Exception as error:
            again = f"check_op({op.name}, only={name!r}" + (f", seed={seed + i}, examples=1)" if check.share else ")")
            kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
            raise CheckError(f"{op.name}: {name}: {kind}{error}\n    again: {again}") from error


def as_op(found: Any) -> Op:
    """The op, or the op behind a function of numgrad's, such as `numgrad.exp`; TypeError for anything else."""
    op = found if isinstance(found, Op) else getattr(found, "__wrapped__", None)
    if not isinstance(op, Op):
        raise TypeError(f"expected an op, as `op()` and `pointwise()` return it, but got {type(found).__name__}")
    return op


def twin(op: Op) -> Callable[..., Any]:
    """The op's reference as a function of tensors: slow, computed in NumPy by other means, and without a gradient.

    Ops without a reference have no twin: ValueError.
    """
    op = as_op(op)
    if op.reference is None:
        raise ValueError(f"the op '{op.name}' has no reference")

    def reference_twin(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = unwrapped(args), unwrapped(kwargs)
        with quiet():
            return wrapped(op.reference(*args, **kwargs))

    reference_twin.__name__, reference_twin.__doc__ = f"{op.name}_twin", f"The reference of '{op.name}', on tensors."
    return reference_twin
