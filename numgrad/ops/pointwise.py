"""Arithmetic, comparison, powers, exponentials, trigonometry, rounding, logic: each op a formula."""

from __future__ import annotations

from typing import Any

import numpy as np

from .elementwise import pointwise

# --- arithmetic -----------------------------------------------------------------------------------------------------

_arithmetic: dict[str, Any] = {"kind": "arithmetic", "inplace": True}


def _add_reference(x: Any, z: Any, alpha: Any = 1) -> Any:
    return x + z if alpha == 1 else x + np.asarray(alpha).astype(x.dtype) * z


plus = pointwise("plus", "x + z", grad=("g", "g"), kind="arithmetic", public=False, method=False, reference=np.add)
neg = pointwise("neg", "-x", grad="-g", **_arithmetic | {"kind": "number"}, operators=["__neg__"], reference=np.negative)
mul = pointwise("mul", "x * z", grad=("g * z", "g * x"), **_arithmetic, operators=["__mul__", "__rmul__"], reference=np.multiply)
exp = pointwise("exp", "exp(x)", grad="g * y", inplace=True, reference=np.exp)
