"""What packages call of PyTorch's compiled core although nothing of it concerns them."""

from typing import Any

from .absent import absent_class
from .tensor import Tensor

PyTorchFileReader, PyTorchFileWriter = (absent_class(name, "read and write with `numgrad.load` and `numgrad.save`") for name in ("PyTorchFileReader", "PyTorchFileWriter"))

_TensorMeta = type(Tensor)


def _log_api_usage_once(name: str) -> None:
    """Nothing is logged."""


def _get_tracing_state() -> None:
    """None: nothing is traced."""


def _disabled_torch_function_impl(func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
    """The function as it is, for subclasses of Tensor."""
    return func(*args, **(kwargs or {}))
