"""Modules under the paths that PyTorch has them at, where numgrad's files are cut otherwise."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

#: PyTorch's path -> the module with those names ("" is numgrad itself).
PLACES = {
    "_dynamo": "compiler",
    "_tensor_str": "printing",
    "amp.autocast_mode": "amp",
    "amp.grad_scaler": "amp",
    "autograd.anomaly_mode": "grad_mode",
    "autograd.forward_ad": "forward_ad",
    "autograd.function": "function",
    "autograd.functional": "derivatives",
    "autograd.grad_mode": "grad_mode",
    "autograd.gradcheck": "derivatives",
    "autograd.graph": "graph",
    "autograd.profiler": "autograd_profiler",
    "autograd.variable": "function",
    "functional": "",
    "nn.parallel.data_parallel": "nn.parallel",
    "nn.parallel.distributed": "nn.parallel",
    "nn.parallel.parallel_apply": "nn.parallel",
    "nn.parallel.replicate": "nn.parallel",
    "nn.parallel.scatter_gather": "nn.parallel",
    "nn.utils.spectral_norm": "nn.utils.hooked_norms",
    "nn.utils.stateless": "func",
    "nn.utils.weight_norm": "nn.utils.hooked_norms",
    "utils.data._utils": "utils.data",
    "utils.data._utils.collate": "utils.data.collate",
    "utils.data._utils.worker": "utils.data.worker",
    "utils.hooks": "grad_mode",
    "utils.model_zoo": "hub",
    "utils.tensorboard.writer": "utils.tensorboard",
}


class _Later(ModuleType):
    """A module that is loaded when something of it is asked for."""

    def __init__(self, name: str, place: str):
        super().__init__(name)
        self._place = place

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what importing asks for
            raise AttributeError(name)
        return getattr(importlib.import_module(self._place), name)


def register() -> None:
    """Let `import` find them; as attributes too, where there is nothing of that name."""
    for path, own in PLACES.items():
        name, place = f"numgrad.{path}", f"numgrad.{own}".rstrip(".")
        module = sys.modules[name] = sys.modules.get(place) or _Later(name, place)
        parent, _, last = name.rpartition(".")
        if parent in sys.modules and last not in vars(sys.modules[parent]):
            setattr(sys.modules[parent], last, module)
