"""`numgrad.optim.swa_utils.AveragedModel`."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numgrad
from numgrad.nn import Module
from numgrad.optim import swa_utils
from numgrad.tensor import Tensor


class AveragedModel(Module):
    """A copy of a module whose parameters are averages of those given to ``update_parameters`` (default: their mean)."""

    def __init__(self, model: Any, device: Any = None, avg_fn: Any = None, multi_avg_fn: Any = None, use_buffers: bool = False) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        self.register_buffer("n_averaged", numgrad.zeros((), dtype=numgrad.int64))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Any) -> None:
        """Take the parameters of a model into the averages."""
        pairs = list(zip(self._tensors(self.module), self._tensors(model), strict=True))
        with numgrad.no_grad():
            first = self.n_averaged.item() == 0
            copied = [(a, v) for a, v in pairs if first or not a.is_floating_point()]
            copied += [] if self.use_buffers else list(zip(self.module.buffers(), model.buffers(), strict=True))
            for average, value in copied:
                average.copy_(value)
            floats = [] if first else [(a, v) for a, v in pairs if a.is_floating_point()]
            if floats:
                update = self.multi_avg_fn or swa_utils.for_lists(self.avg_fn or swa_utils.get_swa_avg_fn())
                update([a for a, _ in floats], [v for _, v in floats], self.n_averaged)
            self.n_averaged += 1

    def _tensors(self, model: Any) -> list[Tensor]:
        return [t.detach() for t in (*model.parameters(), *(model.buffers() if self.use_buffers else ()))]


swa_utils.AveragedModel = AveragedModel
