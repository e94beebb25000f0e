"""Windows, by which a signal is multiplied before its spectrum is taken: Hann, Hamming, Blackman, Bartlett, Kaiser."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numgrad
from numgrad import dtypes
from numgrad.ops import REGISTRY, creation
from numgrad.tensor import Tensor


def _window(name: str, length: int, periodic: bool, function: Callable[[Any], Any], dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    """A function of places from 0 to 1, both ends included; a periodic window lacks the last."""
    dtypes.check_device(device)
    target = dtypes.get_default_dtype() if dtype is None else dtype
    if target.numpy.kind not in dtypes.FLOATING:
        raise RuntimeError(f"{name} expects floating point dtypes, got: {target}")
    if length < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={length}")
    if length < 2:
        return numgrad.ones(length, dtype=target, requires_grad=requires_grad)
    places: Any = numgrad.arange(length, dtype=dtypes.float64) / (length if periodic else length - 1)
    return function(places).to(target).requires_grad_(requires_grad)


def _maker(name: str, function: Callable[..., Any], doc: str, **factors: float) -> Callable[..., Tensor]:
    def make(window_length: int, periodic: bool = True, *args: float, dtype: Any = None, layout: Any = None, device: Any = None,
             pin_memory: bool = False, requires_grad: bool = False, **named: float) -> Tensor:  # fmt: skip
        if len(args) > len(factors) or not named.keys() <= factors.keys() - set(list(factors)[: len(args)]):
            raise TypeError(f"{name}() takes window_length, periodic{''.join(', ' + f for f in factors)}; got {args} and {named} besides")
        values = factors | dict(zip(factors, args, strict=False)) | named
        return _window(name, window_length, periodic, lambda x: function(x, **values), dtype, device, requires_grad)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"{doc}, at `window_length` places; periodic: the first of a window with one more."
    return make


def _hamming(x: Any, alpha: float, beta: float) -> Any:
    return alpha - beta * (2 * math.pi * x).cos()


def _kaiser(x: Any, beta: float) -> Any:
    return REGISTRY["i0"](beta * (4 * x * (1 - x)).clamp(min=0).sqrt()) / REGISTRY["i0"](creation.tensor(float(beta), dtype=dtypes.float64))


FUNCTIONS: dict[str, Any] = {
    "hann_window": _maker("hann_window", lambda x: (math.pi * x).sin() ** 2, "sin(pi x)²"),
    "hamming_window": _maker("hamming_window", _hamming, "alpha - beta cos(2 pi x)", alpha=0.54, beta=0.46),
    "blackman_window": _maker("blackman_window", lambda x: 0.42 - 0.5 * (2 * math.pi * x).cos() + 0.08 * (4 * math.pi * x).cos(),
                              "0.42 - 0.5 cos(2 pi x) + 0.08 cos(4 pi x)"),
    "bartlett_window": _maker("bartlett_window", lambda x: 1 - (2 * x - 1).abs(), "1 - |2 x - 1|"),
    "kaiser_window": _maker("kaiser_window", _kaiser, "i0(beta sqrt(1 - (2 x - 1)²)) / i0(beta) (Kaiser 1974)", beta=12.0),
}  # fmt: skip
