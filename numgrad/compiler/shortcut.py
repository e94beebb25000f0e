"""The short way to a replay: a call like one before it, seen by one native look at its arguments."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from ..autograd import mode
from ..jit.alike import Alike
from ..tensor import Tensor
from .variant import Variant

_NOT_AN_ARRAY = object()


class Shortcut:
    """A variant, and the form of positional arguments that it was called with: tensors outside of the tape, and constants."""

    def __init__(self, variant: Variant, args: tuple[Any, ...]):
        self.variant = variant
        self._mode = mode.enabled, mode.inference, dtypes.default()
        numbers = {position: number for number, position in variant.given("input")}
        found, tensors = _arrays_of(args), [isinstance(a, Tensor) for a in args]
        positions = [sum(tensors[:n]) for n in range(len(args))]
        self._alike = Alike(found, [numbers.get(p, -1) if t else -1 for p, t in zip(positions, tensors, strict=True)], variant.program.addresses)
        self._owners: Any = None

    def leads(self, args: tuple[Any, ...]) -> bool:
        """Whether arguments are of this form, and share no memory with one another or with the state."""
        owners = self.variant.sites.owners
        if owners is not self._owners:
            self._owners = owners
            self._alike.avoid(owners)
        return bool(self._alike.take(_arrays_of(args)))

    def run(self, args: tuple[Any, ...]) -> Any:
        """The variant's result and effects, in a list of one; None if this is another call, or what it reaches has changed."""
        variant = self.variant
        if (mode.enabled, mode.inference, dtypes.default()) != self._mode or not variant.holds():
            return None
        return [variant.run_bound()] if self.leads(args) else None


def _arrays_of(args: tuple[Any, ...]) -> list[Any]:
    """Arguments, and tensors' arrays in their place; what is no array and no constant has nothing that is alike."""
    return [
        (a._data if a._base is None and not a._requires_grad else _NOT_AN_ARRAY) if type(a) is Tensor else a
        for a in args
    ]  # fmt: skip


def shortcut_to(variant: Variant, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Shortcut | None:
    """The short way to a variant that has just been replayed, if there is one."""
    if variant.shortcut is None:
        plain = all((type(a) is Tensor and a._base is None and not a._requires_grad) or isinstance(a, _CONSTANTS) for a in args)
        possible = plain and not kwargs and type(variant) is Variant and not variant.input_bumps and Alike.supported()
        variant.shortcut = possible and Shortcut(variant, args)
        if possible and not variant.shortcut.leads(args):
            variant.shortcut = False
    return variant.shortcut or None


#: Arguments that are the same if they are the same object.
_CONSTANTS = (bool, int, float, complex, str, bytes, type(None))

__all__ = ["Shortcut", "shortcut_to"]
