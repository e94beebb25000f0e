"""Neural networks: modules, their functions, initial values."""

from numgrad.nn import attention, functional, init, modules, parallel, parameter, utils
from numgrad.nn.modules import *
from numgrad.nn.modules import __all__ as _module_names
from numgrad.nn.parallel import DataParallel
from numgrad.nn.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter

__all__ = ["Buffer", "DataParallel", "Parameter", "UninitializedBuffer", "UninitializedParameter", "attention", "functional", "init",
           "modules", "parallel", "parameter", "utils"]
__all__ += _module_names


def __getattr__(name: str) -> object:
    raise AttributeError(f"numgrad.nn has no '{name}'", name=name)
