"""DataParallel as it is on a machine without GPUs, and what needs several processes: refused."""

from __future__ import annotations

from typing import Any

from numgrad.lacking import refused
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


def data_parallel(module: Module, inputs: Any, device_ids: Any = None, output_device: Any = None, dim: int = 0, module_kwargs: Any = None) -> Any:
    """Calls the module on the whole batch."""
    return module(*(inputs if isinstance(inputs, tuple) else (inputs,)), **(module_kwargs or {}))


class DistributedDataParallel(Module):
    """Always an error: there is one process."""

    lacking = True

    def __init__(self, module: Module, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("numgrad has no DistributedDataParallel: there is one process, which computes on all cores; use the module itself")


_NO_GPUS = "there is one device, and the whole batch is on it"
parallel_apply, replicate, gather = (refused(f"nn.parallel.{name}", _NO_GPUS) for name in ("parallel_apply", "replicate", "gather"))
scatter, scatter_kwargs = (refused(f"nn.parallel.{name}", _NO_GPUS) for name in ("scatter", "scatter_kwargs"))
