"""How tensors are printed: columns aligned, long ones summarised, floats with as few digits as tell them apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from . import dtypes
from .jit import read

if TYPE_CHECKING:
    from .tensor import Tensor


class _Options:
    precision = 4
    threshold = 1000
    edgeitems = 3
    linewidth = 80
    sci_mode: bool | None = None


options = PRINT_OPTS = _Options()


def set_printoptions(
    precision: int | None = None, threshold: int | None = None, edgeitems: int | None = None, linewidth: int | None = None,
    profile: str | None = None, sci_mode: bool | None = None,
) -> None:  # fmt: skip
    """Set digits after the point, the size from which tensors are summarised, items kept at edges, line width, notation.

    `profile` is "default", "short" or "full" and is applied first.
    """
    if profile is not None:
        profiles = {"default": (4, 1000, 3, 80), "short": (2, 1000, 2, 80), "full": (4, math.inf, 3, 80)}
        if profile not in profiles:
            raise ValueError(f"profile must be one of {sorted(profiles)}, but got {profile!r}")
        options.precision, options.threshold, options.edgeitems, options.linewidth = profiles[profile]  # type: ignore[assignment]
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    for name, value in given.items():
        if value is not None:
            setattr(options, name, value)
    options.sci_mode = sci_mode


class _Formatter:
    """Prints each number of a tensor in the same width and notation."""

    def __init__(self, values: np.ndarray):
        self.floating, self.scientific, self.whole, self.width = values.dtype.kind == "f", False, False, 1
        if self.floating:
            self._learn_floats(values[np.isfinite(values) & (values != 0)].astype(np.float64))
        for value in values.ravel():
            self.width = max(self.width, len(self._text(value)))

    def _learn_floats(self, values: np.ndarray) -> None:
        if values.size:
            low, high = np.abs(values).min(), np.abs(values).max()
            self.whole = bool((values == np.ceil(values)).all())
            self.scientific = high / low > 1000 or high > 1e8 or low < 1e-4
            if self.whole:
                self.scientific = high / low > 1000 and high > 1e8 or high > 1e8
        else:
            self.whole = True
        if options.sci_mode is not None:
            self.scientific = options.sci_mode

    def _text(self, value: Any) -> str:
        if not self.floating:
            return str(value)
        if not math.isfinite(value):
            return str(float(value))
        if self.scientific:
            return f"{value:.{options.precision}e}"
        return f"{value:.0f}." if self.whole else f"{value:.{options.precision}f}"

    def __call__(self, value: Any) -> str:
        return self._text(value).rjust(self.width)


def _vector(data: np.ndarray, indent: int, summarise: bool, text: _Formatter) -> str:
    per_line = max(1, (options.linewidth - indent) // (text.width + 2))
    items = [text(v) for v in data]
    if summarise and data.size > 2 * options.edgeitems:
        items = [text(v) for v in data[: options.edgeitems]] + [" ..."] + [text(v) for v in data[-options.edgeitems :]]
    lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _nested(data: np.ndarray, indent: int, summarise: bool, text: _Formatter) -> str:
    if data.ndim == 0:
        return text(data[()]) if data.dtype.kind != "b" else str(bool(data))
    if data.ndim == 1:
        return _vector(data, indent, summarise, text)
    if summarise and data.shape[0] > 2 * options.edgeitems:
        edge = options.edgeitems
        parts = [_nested(d, indent + 1, True, text) for d in data[:edge]] + ["..."]
        parts += [_nested(d, indent + 1, True, text) for d in data[-edge:]]
    else:
        parts = [_nested(d, indent + 1, summarise, text) for d in data]
    return "[" + ("," + "\n" * (data.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def _shown(data: np.ndarray) -> np.ndarray:
    """The elements that a summary shows; they decide the notation."""
    for d, n in enumerate(data.shape):
        if n > 2 * options.edgeitems:
            index = [*range(options.edgeitems), *range(n - options.edgeitems, n)]
            data = data.take(index, axis=d)
    return data


def _tensor_str(self: Tensor, indent: int) -> str:
    """The elements alone, in lines that begin under the first one, `indent` places from the left."""
    data = read(self._data)
    if data.dtype == dtypes.BFLOAT16:
        data = self.detach().float()._data  # type: ignore[attr-defined]
    summarise = data.size > options.threshold
    return _nested(data, indent, summarise, _Formatter(_shown(data) if summarise else data)) if data.size else "[]"


def tensor_text(tensor: Tensor) -> str:
    """A tensor as PyTorch prints it."""
    data, indent = tensor._data, len("tensor(")
    body = _tensor_str(tensor, indent)
    suffixes = [] if data.size or data.ndim == 1 else [f"size={tuple(data.shape)}"]
    of = tensor._data.dtype
    usual = of in (dtypes.default(), dtypes.INT64, dtypes.BOOL) and (data.size or of == dtypes.default())
    if not usual:
        suffixes.append(f"dtype={tensor.dtype!r}")
    if tensor.grad_fn is not None:
        suffixes.append(f"grad_fn=<{tensor.grad_fn.name()}>")
    elif tensor.requires_grad:
        suffixes.append("requires_grad=True")
    return _with_suffixes("tensor(" + body, suffixes, indent)


def _with_suffixes(text: str, suffixes: list[str], indent: int) -> str:
    length = len(text) - text.rfind("\n")
    for suffix in suffixes:
        if length + len(suffix) + 2 > options.linewidth:
            text += ",\n" + " " * indent + suffix
            length = indent + len(suffix)
        else:
            text += ", " + suffix
            length += len(suffix) + 2
    return text + ")"
