"""A call's arguments: the form for which a recording stands, and the arrays to run it on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes
from ..autograd import mode
from ..nn.parameter import Parameter
from ..tensor import Tensor
from .recorder import address, owner_of

if TYPE_CHECKING:
    from .recording import Recording


class Arguments:
    """A call's arguments: `key` says what a recording holds for, `inputs` are the arrays, `roots` objects that carry state.

    `tracked` has for each input the tensor, if its gradient may be asked for outside. Gradients that such tensors have already are
    inputs, too: the last ones.
    """

    __slots__ = ("inputs", "key", "owners", "roots", "tensors", "tracked")

    def __init__(self, leaves: list[Any]):
        key: list[Any] = [mode.enabled, mode.inference, dtypes.default()]
        self.inputs: list[np.ndarray] = []
        self.roots: list[Any] = []
        self.tensors: list[Tensor | None] = []
        self.tracked: list[Tensor | None] = []
        for leaf in leaves:
            tensor, array, requires = None, leaf, False
            if isinstance(leaf, Tensor):
                if leaf._base is not None:
                    leaf.catch_up()
                tensor, array, requires = leaf, leaf._data, leaf._requires_grad
            if type(array) is np.ndarray and not isinstance(tensor, Parameter):
                self.inputs.append(array)
                self.tensors.append(tensor)
                self.tracked.append(tensor if requires and mode.enabled else None)
                key.append((array.dtype, array.shape, array.strides, array.flags.writeable, requires, requires and leaf.grad is None))
            elif isinstance(leaf, _VALUES):
                key.append((type(leaf), repr(leaf)))
            else:
                self.roots.append(leaf)
                key.append(id(leaf))
        for tensor in [t for t in self.tracked if t is not None and t.grad is not None]:
            self._add(tensor.grad, key)
        self.owners = [id(array if array.base is None else owner_of(array)) for array in self.inputs]
        if len(set(self.owners)) < len(self.owners):
            key.append(self._overlaps())
        self.key = tuple(key)

    def _add(self, grad: Tensor, key: list[Any]) -> None:
        """A gradient that is there already, for a step to add to."""
        array = grad._data
        self.inputs.append(array)
        self.tensors.append(grad)
        self.tracked.append(None)
        key.append((array.dtype, array.shape, array.strides, array.flags.writeable, grad._requires_grad, False))

    def _overlaps(self) -> tuple[tuple[int, int, int], ...]:
        """Which arguments lie in the same memory, and how far from one another."""
        places = [(self.owners.index(owner), n) for n, owner in enumerate(self.owners)]
        return tuple([(first, n, address(self.inputs[n]) - address(self.inputs[first])) for first, n in places if first != n])

    def versions(self) -> list[int]:
        """How often each argument has been changed in place."""
        return [0 if t is None else t._version for t in self.tensors]

    def bump(self, position: int, count: int) -> None:
        """Note that an argument was changed in place."""
        tensor = self.tensors[position]
        if tensor is not None:
            tensor.version_counter()[0] += count

    def detached(self, leaves: list[Any]) -> tuple[list[Any], list[Tensor | None]]:
        """The leaves with tracked tensors replaced by leaves of the tape that share their memory; and those."""
        made = {id(t): t.detach().requires_grad_() for t in self.tracked if t is not None}
        for t in self.tracked:
            if t is not None:
                made[id(t)].grad = t.grad
        return [made.get(id(leaf), leaf) for leaf in leaves], [None if t is None else made[id(t)] for t in self.tracked]

    def left(self, inner: list[Tensor | None]) -> list[Any]:
        """The gradients that a call has left in its arguments' stand-ins; False where there is the one from before, or none."""
        pairs = zip(inner, self.tracked, strict=True)
        return [False if a is None or b is None or a.grad is b.grad else a.grad for a, b in pairs]

    def has_graphs(self, recording: Recording) -> bool:
        """Whether arguments have got gradients with a graph of their own."""
        return any(isinstance(g, Tensor) and g.grad_fn is not None for g in recording.result[1])

    def received(self, result: Any) -> Any:
        """The result; arguments hold the gradients that came with it."""
        value, grads = result
        for tensor, grad in zip(self.tracked, grads, strict=True):
            if tensor is not None and grad is not False:
                tensor.grad = grad
        return value


#: Arguments that nobody can change.
_VALUES = (bool, int, float, complex, str, bytes, type(None), np.generic, type(Ellipsis))

__all__ = ["Arguments"]
