"""Checking gradients and ops, ours and yours: the tools numgrad tests itself with.

numgrad.testing.gradcheck(function, inputs)          PyTorch's check, at points of your own
numgrad.testing.check_gradients(function, arrays)    ours: stricter, cheaper, chooses its own tolerance
numgrad.testing.check_op(op)                         everything that should be true of an op, by its sample
numgrad.testing.assert_close(actual, expected)       PyTorch's comparison
numgrad.testing.strategies                           inputs from hypothesis (which must be installed)
"""

from .case import Case
from .checks import check_op
from .comparison import assert_close, make_tensor
from .draw import Draw, numpy_draw
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
from .gradients import GradientError, check_gradients, check_second_gradients

__all__ = [
    "Case", "Draw", "GradcheckError", "GradientError", "assert_close", "check_gradients", "check_op", "check_second_gradients",
    "gradcheck", "gradgradcheck", "make_tensor", "numpy_draw",
]  # fmt: skip
