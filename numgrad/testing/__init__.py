"""Checking gradients and ops, ours and yours: the tools numgrad tests itself with.

numgrad.testing.check_op(op)                         everything that should be true of an op, by its sample
numgrad.testing.mutate(op)                           would the checks notice a wrong gradient? Plants some, and tells
numgrad.testing.twin(op)                             the op's reference as a function of tensors
numgrad.testing.check_gradients(function, arrays)    gradients by random projection: strict, cheap, chooses its own tolerance
numgrad.testing.gradcheck(function, inputs)          PyTorch's check, at points of your own
numgrad.testing.assert_close(actual, expected)       PyTorch's comparison
numgrad.testing.strategies                           inputs from hypothesis (which must be installed)

`pytest --numgrad-ops mypackage` runs `check_op` on every op that a package registers, an item for each check.
"""

from typing import Any

from .case import Case
from .comparison import assert_close, make_tensor
from .draw import Draw, numpy_draw
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
from .gradients import GradientError, check_gradients, check_second_gradients
from .mutation import mutate
from .suite import CheckError, check_op, checks_of, twin

__all__ = [
    "Case", "CheckError", "Draw", "GradcheckError", "GradientError", "assert_close", "check_gradients", "check_op",
    "check_second_gradients", "checks_of", "gradcheck", "gradgradcheck", "make_tensor", "mutate", "numpy_draw", "twin",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "strategies":  # hypothesis is imported by those who use it only
        import importlib

        return importlib.import_module(".strategies", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
