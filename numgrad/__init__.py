"""numgrad: PyTorch's way of writing neural networks, in Python all the way down, every kernel compiled by Numba."""

import importlib as _importlib
import math as _math
import sys as _sys
from types import FunctionType as _FunctionType

from . import autograd, dtypes, function, methods, ops
from . import jit as _jit
from .autograd import enable_grad, inference_mode, is_grad_enabled, is_inference_mode_enabled, no_grad, set_grad_enabled
from .dtypes import (
    Size,
    bfloat16,
    channels_last,
    complex32,
    complex64,
    complex128,
    contiguous_format,
    device,
    dtype,
    finfo,
    float8_e4m3fn,
    float8_e4m3fnuz,
    float8_e5m2,
    float8_e5m2fnuz,
    float8_e8m0fnu,
    float16,
    float32,
    float64,
    get_default_dtype,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    preserve_format,
    qint8,
    qint32,
    quint8,
    set_default_dtype,
    sparse_bsc,
    sparse_bsr,
    sparse_coo,
    sparse_csc,
    sparse_csr,
    strided,
    uint8,
    uint16,
    uint32,
    uint64,
)
from .jit import get_num_threads, set_num_threads
from .ops import variates as _variates
from .ops.random import Generator
from .ops.scalar import elementwise
from .printing import set_printoptions
from .random import default_generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state
from .tensor import Tensor, is_tensor

__version__ = "0.1.0"

pi, e, inf, nan, newaxis = _math.pi, _math.e, _math.inf, _math.nan, None

methods.attach()
autograd.Function, autograd.Variable = function.Function, function.Variable

# Every public op under its name, as `numgrad.relu`; then the names that Python has too, which are spelled here only.
_public = {name: op.function or op for name, op in ops.REGISTRY.items() if op.public}
# In-place forms that are functions too: of one argument, as `numgrad.exp_`.
_public |= {f"{name}_": getattr(Tensor, f"{name}_") for name, op in ops.REGISTRY.items() if op.public and op.inplace and op.arity == 1}
_public |= ops.creation.FUNCTIONS | ops.random.FUNCTIONS | _variates.FUNCTIONS | methods.LEGACY_TYPES
globals().update(_public)
half, chalf, cfloat, cdouble = float16, complex32, complex64, complex128
float, double, int, long, short, bool = dtypes.float, dtypes.double, dtypes.int, dtypes.long, dtypes.short, dtypes.bool


def result_type(tensor1, tensor2):
    """The dtype that an operation between two tensors or numbers computes in."""
    kinds = tuple((t._data.dtype, t._data.ndim) if isinstance(t, Tensor) else (type(t), -1) for t in (tensor1, tensor2))
    return dtypes.FROM_NUMPY[dtypes.promote(kinds)]


def promote_types(type1, type2):
    """The smallest dtype that holds both."""
    return dtypes.FROM_NUMPY[dtypes.promote_two(type1.numpy, type2.numpy)]


def can_cast(from_, to):
    """Whether PyTorch's casting rules allow writing one dtype into another in place."""
    return dtypes.RANK[from_.numpy.kind] <= dtypes.RANK[to.numpy.kind]


def is_floating_point(input):
    """Whether a tensor's dtype is float32 or float64."""
    return input.is_floating_point()


def is_complex(input):
    """Always False."""
    return False


def numel(input):
    """The number of elements of a tensor."""
    return input.numel()


def typename(o):
    """The name of an object's type, a tensor's with its dtype."""
    return o.type() if isinstance(o, Tensor) else f"{type(o).__module__}.{type(o).__qualname__}"


def get_num_interop_threads():
    """Always 1: operations run one after the other."""
    return 1


def set_num_interop_threads(n):
    """Accepted and ignored: operations run one after the other."""


def use_deterministic_algorithms(mode, *, warn_only=False):
    """Accepted: every kernel is deterministic, at any thread count."""


def are_deterministic_algorithms_enabled():
    """Always True: every kernel is deterministic."""
    return True


def set_default_tensor_type(t):
    """Set the default dtype by the name or class of a floating-point tensor type, as `"FloatTensor"`."""
    name = t if isinstance(t, str) else t.__name__
    found = {"FloatTensor": float32, "DoubleTensor": float64}.get(name.rpartition(".")[2])
    if found is None:
        raise TypeError(f"only floating-point types are supported as the default type, but got {t!r}")
    set_default_dtype(found)


def set_default_device(device):
    """Accepted for the CPU."""
    dtypes.check_device(device)


def get_default_device():
    """Always the CPU."""
    return dtypes.CPU


def set_float32_matmul_precision(precision):
    """Accepted: products of float32 are always computed in float32, "highest"."""
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(f"{precision!r} is not one of 'highest', 'high' and 'medium'")


def get_float32_matmul_precision():
    """Always "highest"."""
    return "highest"


def is_autocast_enabled(device_type=None):
    """Always False."""
    return False


from . import (  # noqa: E402 - they are written with what stands above
    averaged,
    checked_linalg,
    compiler,
    copies,
    derivatives,
    einops_support,
    foreach,
    func,
    functions,
    linalg,
    lu_decomposition,
    matrices,
    nn,
    optim,
    utils,
    window_functions,
)
from .compiler import compile  # noqa: E402
from .func import vmap  # noqa: E402

autograd.gradcheck, autograd.gradgradcheck = derivatives.gradcheck, derivatives.gradgradcheck

globals().update(foreach.FUNCTIONS | matrices.FUNCTIONS | copies.FUNCTIONS | functions.FUNCTIONS | lu_decomposition.FUNCTIONS | window_functions.FUNCTIONS)
for _name in ("bilinear", "channel_shuffle", "cosine_similarity", "pairwise_distance", "pixel_shuffle", "pixel_unshuffle"):
    globals()[_name] = getattr(nn.functional, _name)

from . import absent as _absent  # noqa: E402
from . import paths as _paths  # noqa: E402
from .serialization import load, save  # noqa: E402

einops_support.attach()
_paths.register()
_absent.register()

__all__ = [name for name in globals() if not name.startswith("_")]

for _name in __all__:  # functions are pickled as the name of a module and their own there; many were not made under theirs
    _value = globals()[_name]
    if isinstance(_value, _FunctionType) and getattr(_sys.modules[_value.__module__], _value.__qualname__, None) is not _value:
        _value.__module__, _value.__qualname__ = __name__, _name

# Loaded when first asked for: importing numgrad stays cheap.
_LATER = {"_C", "accelerator", "amp", "array_api", "backends", "coverage", "cuda", "distributed", "distributions", "futures", "hub", "library", "multiprocessing",
          "onnx", "overrides", "profiler", "special", "storage", "testing", "types", "version", "__config__"}  # fmt: skip
_LATER_FROM = {"autocast": "amp", "ScriptFunction": "jit", "SymBool": "types", "SymFloat": "types", "SymInt": "types", "ScriptModule": "jit", "Future": "futures", "GradScaler": "amp", "PyTorchFileReader": "_C", "PyTorchFileWriter": "_C", "TypedStorage": "storage", "UntypedStorage": "storage"}


def __getattr__(name):
    if name in _LATER:
        return _importlib.import_module(f"{__name__}.{name}")
    if name in _LATER_FROM:
        return getattr(_importlib.import_module(f"{__name__}.{_LATER_FROM[name]}"), name)
    if name in _absent.ABSENT:
        return _importlib.import_module(f"{__name__}.{name}")
    from .lacking import INSTEAD, refuse

    return refuse(__name__, name, INSTEAD.get(name))

if _jit.DEBUG:
    from . import debug as _debug

    _debug.start()
