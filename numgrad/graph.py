"""What programs ask of the recorded graph, as PyTorch's `autograd.graph`."""

from __future__ import annotations

from typing import Any

from .autograd import Node
from .lacking import refused

__all__ = ["Node", "disable_saved_tensors_hooks", "get_gradient_edge", "increment_version", "register_multi_grad_hook", "save_on_cpu", "saved_tensors_hooks"]

_SAVED = "what an operation saves stays as it is; `utils.checkpoint` keeps less and computes it again"
saved_tensors_hooks = refused("autograd.graph.saved_tensors_hooks", _SAVED)
allow_mutation_on_saved_tensors = refused("autograd.graph.allow_mutation_on_saved_tensors", _SAVED)
register_multi_grad_hook = refused("autograd.graph.register_multi_grad_hook", "call `tensor.register_hook` for each tensor")
get_gradient_edge = refused("autograd.graph.get_gradient_edge", "use the tensor itself")
increment_version = refused("autograd.graph.increment_version", "changes in place are counted where they are made")


class save_on_cpu:
    """A `with` block that changes nothing: whatever is saved for the backward pass is in the CPU's memory."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda"):
        pass

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: Any) -> None:
        return None


class disable_saved_tensors_hooks(save_on_cpu):
    """A `with` block that changes nothing: there are no such hooks."""

    def __init__(self, error_message: str):
        super().__init__()
