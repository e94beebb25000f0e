"""numgrad: PyTorch's way of writing neural networks, every kernel compiled by Numba for the cores at hand."""

from . import ops
from .tensor import Tensor, is_tensor, wrap
