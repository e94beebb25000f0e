"""The functions of the Python array API standard (https://data-apis.org/array-api, version 2024.12) for tensors.

`Tensor.__array_namespace__()` returns this module, so that code written for the standard takes tensors. Functions have the
standard's names and arguments, and promote dtypes as it says: those of 0-d tensors count, which PyTorch's, and the
operators, leave out. Every function has gradients where numgrad's own has them.

What is left out, and why, is in `LEFT_OUT`. `Tensor.size` is PyTorch's method; the standard's attribute is `math.prod(x.shape)`.
"""

from __future__ import annotations

import math as _math
from typing import Any as _Any

import numgrad as _numgrad

from . import linalg as linalg
from ._creation import *  # noqa: F403
from ._creation import __all__ as _creation
from ._dtypes import *  # noqa: F403
from ._dtypes import __all__ as _dtypes
from ._elementwise import *  # noqa: F403
from ._elementwise import __all__ as _elementwise
from ._manipulation import *  # noqa: F403
from ._manipulation import __all__ as _manipulation
from ._reductions import *  # noqa: F403
from ._reductions import __all__ as _reductions
from .linalg import matmul, matrix_transpose, tensordot, vecdot

__array_api_version__ = "2024.12"

e, inf, nan, pi, newaxis = _math.e, _math.inf, _math.nan, _math.pi, None
bool, int8, int16, int32, int64 = _numgrad.bool, _numgrad.int8, _numgrad.int16, _numgrad.int32, _numgrad.int64
uint8, float32, float64 = _numgrad.uint8, _numgrad.float32, _numgrad.float64

_WIDE = "numgrad has no unsigned integers of more than 8 bits; sums of uint8 are int64"
_COMPLEX = "numgrad has no complex tensors"
#: what the standard has and this module has not
LEFT_OUT = {
    "uint16": _WIDE, "uint32": _WIDE, "uint64": _WIDE, "complex64": _COMPLEX, "complex128": _COMPLEX,
    "fft": f"an extension that needs complex numbers: {_COMPLEX}",
}  # fmt: skip

__all__ = [
    "bool", "e", "float32", "float64", "inf", "int8", "int16", "int32", "int64", "linalg", "matmul", "matrix_transpose", "nan", "newaxis",
    "pi", "tensordot", "uint8", "vecdot", *_creation, *_dtypes, *_elementwise, *_manipulation, *_reductions,
]  # fmt: skip


def __getattr__(name: str) -> _Any:
    from numgrad.lacking import refuse

    return refuse(__name__, name, LEFT_OUT.get(name))
