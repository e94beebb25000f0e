"""NUMGRAD_DEBUG=1: kernels check their indices, and a NaN is reported where it is made, not where it is noticed.

Kernels are compiled apart from the fast ones, with bounds checked and on one thread, so that a bad index raises IndexError; compiled
steps run eagerly; backward runs in anomaly mode; and each launch is looked at: a NaN in its result that none of its inputs
has is an error that names the op and the user's line, an infinity a warning.
"""

from __future__ import annotations

import sys
import threading
import warnings
from typing import Any

import numpy as np

from .grad_mode import mode
from .jit import Kernel, Observer, observers
from .profiler import _op_of, user_line


class _Finder(Observer):
    """Looks at the numbers of every launch, before and after."""

    def __init__(self) -> None:
        self.open = threading.local()

    def launched(self, kernel: Kernel, work: int, args: tuple[Any, ...]) -> None:
        name = _op_of(sys._getframe(1)) or kernel.name
        self.open.launch = name, args[0], [_worst(a) for a in args[1:]]

    def finished(self, kernel: Kernel) -> None:
        name, out, before = self.open.launch
        found = _worst(out)
        if found == "nan" and "nan" not in before:
            because = " from an infinity" if "inf" in before else ""
            raise RuntimeError(f"NUMGRAD_DEBUG: {name} made NaN{because}, of inputs that have none, at {user_line()}")
        if found == "inf" and not any(before):
            warnings.warn(f"NUMGRAD_DEBUG: {name} made an infinity, of finite inputs, at {user_line()}", RuntimeWarning, stacklevel=4)


def _worst(value: Any) -> str:
    """ "nan", "inf" or "": the worst that an array holds."""
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f" or not value.size or np.isfinite(value).all():
        return ""
    return "nan" if np.isnan(value).any() else "inf"


def start() -> None:
    """Look at every launch from now on."""
    type(mode).anomaly = True  # on every thread
    observers.append(_Finder())
