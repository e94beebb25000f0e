"""DataParallel as it is on a machine without GPUs."""

from __future__ import annotations

from typing import Any

from numgrad.nn.modules.module import Module


class DataParallel(Module):
    """Holds a module as ``module`` and calls it: without GPUs there is nothing to split a batch over."""

    def __init__(self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0) -> None:
        super().__init__()
        self.module = module
        self.device_ids: list[int] = []
        self.output_device = output_device
        self.dim = dim

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)
