"""The short way to see that nothing has changed: every dictionary, list and variable that a watch found still is in the state
in which the long way last compared it. What is written at every call, for instance globals, is compared entry by entry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import compress
from operator import is_
from typing import Any

from ..jit.words import Words, cell_words, dict_words, held_by, list_words, supported, version
from ..optim.optimizer import Optimizer
from ..tensor import Tensor

#: How often a dictionary may have been touched, without a change that matters, before its entries are compared instead.
_PATIENCE = 2


class Quiet:
    """What a watch found, as it was when `renew` was called last."""

    def __init__(self) -> None:
        self.same: Callable[[], int] = lambda: 0  # whether words are as they were
        self._seen: list[tuple[dict[Any, Any], int]] = []  # the versions of dictionaries
        self._touched: Counter[int] = Counter()
        self._loose: tuple[list[Any], ...] = ()
        #: What has to be compared all the same: whatever has no words, tensors, and optimizers' hyperparameters.
        self.rest = self.tensors = self.settings = True
        self.alone = False  # whether the objects that were to be held by two had no more holders

    def rest_holds(self, watch: Any) -> bool:
        """Whether all that has no words is as it was."""
        maps, keys, values, sized, sizes = self._loose
        return all(map(is_, map(dict.get, maps, keys), values)) and list(map(len, sized)) == sizes and watch.rest_changed() is None

    def renew(self, watch: Any, pairs: list[int]) -> None:
        """All has been compared the long way: from now on, compare with what is there. `pairs` are objects (their `id`)
        that two others hold; whether more do is one of the things to look at."""
        if not supported():
            return
        self._touched.update(id(d) for d, was in self._seen if version(d) != was)
        loose = {owner for owner, count in self._touched.items() if count >= _PATIENCE}
        tensors = [vars(t) for tensor in watch.tensors for t in (tensor, tensor.grad) if t is not None]
        named = {id(d): d for d in (*watch.maps, *(s for s in watch.sized if isinstance(s, dict)), *tensors)}
        steady = [d for d in named.values() if id(d) not in loose]
        self._seen = [(d, version(d)) for d in steady]
        lists = [s for s in watch.sized if isinstance(s, list)] + watch.lists()
        cells = [word for cell in watch.cells() for word in cell_words(cell)]
        self.alone = all(held_by(address, 2) for address in pairs)
        words = [*(w for d in steady for w in dict_words(d)), *cells, *(w for items in lists for w in list_words(items))]
        self.same = Words(words + pairs if self.alone else words).same
        chosen = [id(d) in loose for d in watch.maps]
        sized = [s for s in watch.sized if id(s) in loose]
        self._loose = (*(list(compress(what, chosen)) for what in (watch.maps, watch.keys, watch.values)), sized, list(map(len, sized)))
        self.rest = bool(self._loose[0] or sized or watch.has_rest())
        self.tensors = any(id(d) in loose for d in tensors) or any(map(_hooked, watch.tensors))
        self.settings = any(map(_has_tensors, watch.optimizers)) or any(id(g) in loose for o in watch.optimizers for g in o.param_groups)


def _hooked(tensor: Tensor) -> bool:
    return tensor._hooks is not None or tensor._accumulate_hooks is not None


def _has_tensors(optimizer: Optimizer) -> bool:
    """Whether a hyperparameter may change without its group."""
    return any(isinstance(v, Tensor) for group in optimizer.param_groups for v in group.values())


__all__ = ["Quiet"]
