"""What packages call of PyTorch's compiled core although nothing of it concerns them."""

from .tensor import Tensor

_TensorMeta = type(Tensor)


def _log_api_usage_once(name: str) -> None:
    """Nothing is logged."""
