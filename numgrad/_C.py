"""What packages call of PyTorch's compiled core although nothing of it concerns them."""

from typing import Any

from . import dtypes
from .absent import absent_class
from .tensor import Tensor

PyTorchFileReader, PyTorchFileWriter = (absent_class(name, "read and write with `numgrad.load` and `numgrad.save`") for name in ("PyTorchFileReader", "PyTorchFileWriter"))

_TensorMeta = type(Tensor)


def _log_api_usage_once(name: str) -> None:
    """Nothing is logged."""


def _get_tracing_state() -> None:
    """None: nothing is traced."""


class _nn:
    """Helpers of layers."""

    @staticmethod
    def _parse_to(*args: Any, **kwargs: Any) -> tuple[Any, Any, bool, Any]:
        """Device, dtype, non_blocking and memory format that arguments of `Module.to` ask for; None for what they don't."""
        device, dtype = kwargs.get("device"), kwargs.get("dtype")
        for argument in args:
            if isinstance(argument, Tensor):
                device, dtype = argument.device, argument.dtype
            elif isinstance(argument, dtypes.dtype):
                dtype = argument
            elif isinstance(argument, (str, int, dtypes.device)) and not isinstance(argument, bool):
                device = argument
        switches = [a for a in args if isinstance(a, bool)]
        place = None if device is None else dtypes.device(device)
        return place, dtype, bool(kwargs.get("non_blocking", switches[:1] == [True])), kwargs.get("memory_format")


def _disabled_torch_function_impl(func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
    """The function as it is, for subclasses of Tensor."""
    return func(*args, **(kwargs or {}))
