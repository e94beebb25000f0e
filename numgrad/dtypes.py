"""Element types, their promotion, and the few objects PyTorch code passes around with them: Size, device, memory formats."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np


class dtype:
    """An element type: `numgrad.float32`, `numgrad.int64`, ..."""

    __slots__ = ("_name", "numpy")
    _name: str
    numpy: np.dtype

    def __init__(self, name: str, of: Any):
        self._name, self.numpy = name, np.dtype(of)

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self.numpy.itemsize

    @property
    def is_floating_point(self) -> bool:
        """True of float32, float64, float16 and bfloat16."""
        return self.numpy.kind in FLOATING

    @property
    def is_complex(self) -> bool:
        """Always False: numgrad has no complex tensors."""
        return False

    @property
    def is_signed(self) -> bool:
        """Whether it can hold negative numbers."""
        return self.numpy.kind in "ifV"

    def __repr__(self) -> str:
        return f"numgrad.{self._name}"

    def __reduce__(self) -> str:
        return self._name


#: NumPy's kinds of floating-point memory. "V" is bfloat16, which NumPy lacks: two bytes that it refuses to compute with.
FLOATING = "fV"
#: The dtypes of two bytes that are in use: empty in a program that has none, so that asking costs it nothing.
HALVES: set[np.dtype] = set()


def is_half(of: np.dtype) -> Any:
    """Whether memory holds float16 or bfloat16."""
    return of.itemsize == 2 and of.kind in FLOATING


def noted(array: np.ndarray) -> np.ndarray:
    """The array, which comes from outside and becomes a tensor's memory."""
    if is_half(array.dtype):
        HALVES.add(array.dtype)
    return array


class _Half(dtype):
    """A dtype that is stored in two bytes and computed in float32: see `numgrad.ops.widen`."""

    __slots__ = ("_stored",)

    def __init__(self, name: str, of: Any):
        self._name, self._stored = name, np.dtype(of)

    @property
    def numpy(self) -> np.dtype:  # type: ignore[override]
        HALVES.add(self._stored)
        return self._stored


class _Lacking(dtype):
    """An element type that may be named and compared, but not used: whoever asks for its arrays gets an error."""

    __slots__ = ("_kind", "_width")
    lacking = True

    def __init__(self, name: str, width: Any, instead: str):
        self._name, self._width, self._kind = name, width, instead

    @property
    def numpy(self) -> Any:  # type: ignore[override]
        raise TypeError(f"numgrad has no {self._name}: use {self._kind}")

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return self._width

    @property
    def is_floating_point(self) -> bool:
        """Whether it would be one of PyTorch's real floating-point types."""
        return self._name.startswith("float")

    @property
    def is_complex(self) -> bool:
        """Whether it would be one of PyTorch's complex types."""
        return self._name.startswith("complex")

    @property
    def is_signed(self) -> bool:
        """Whether it has negative numbers."""
        return not self._name.startswith(("u", "qu", "float8_e8m0"))


_REAL = "two real tensors, or a last dimension of size 2"
float16, bfloat16 = _Half("float16", np.float16), _Half("bfloat16", "V2")
complex32, complex64, complex128 = (_Lacking(f"complex{8 * width}", width, _REAL) for width in (4, 8, 16))
float8_e4m3fn, float8_e4m3fnuz, float8_e5m2, float8_e5m2fnuz, float8_e8m0fnu = (
    _Lacking(f"float8_{form}", 1, "float16 or bfloat16") for form in ("e4m3fn", "e4m3fnuz", "e5m2", "e5m2fnuz", "e8m0fnu")
)
uint16, uint32, uint64 = (_Lacking(f"uint{8 * width}", width, "int32 or int64") for width in (2, 4, 8))
qint8, quint8, qint32 = (_Lacking(name, width, "float32, or int8 and a scale") for name, width in (("qint8", 1), ("quint8", 1), ("qint32", 4)))
float32, float64 = dtype("float32", np.float32), dtype("float64", np.float64)
int8, int16, int32, int64 = (dtype(n, n) for n in ("int8", "int16", "int32", "int64"))
uint8, bool = dtype("uint8", np.uint8), dtype("bool", np.bool_)
float, double, short, int, long = float32, float64, int16, int32, int64

ALL = (float32, float64, int8, int16, int32, int64, uint8, bool, float16, bfloat16)
FLOAT16, BFLOAT16 = np.dtype(np.float16), np.dtype("V2")
FROM_NUMPY: dict[np.dtype, dtype] = {d.numpy: d for d in ALL[:-2]} | {FLOAT16: float16, BFLOAT16: bfloat16}
#: names for error messages and for type(): PyTorch's names of scalar types
SCALAR_NAMES = {"f4": "Float", "f8": "Double", "i1": "Char", "i2": "Short", "i4": "Int", "i8": "Long", "u1": "Byte", "b1": "Bool",
                "f2": "Half", "V2": "BFloat16"}  # fmt: skip

FLOAT32, FLOAT64, INT64, BOOL = (d.numpy for d in (float32, float64, int64, bool))
_PYTHON = {type(0.0): "float", type(0): "int", type(True): "bool"}
_default = FLOAT32
#: Dictionaries of what was worked out with the default dtype as it is.
default_dependent: list[dict[Any, Any]] = []


def scalar_name(of: np.dtype) -> str:
    """What PyTorch's messages call an element type: Float, Long, ..."""
    return SCALAR_NAMES.get(of.str[1:], str(of))


def get_default_dtype() -> dtype:
    """The dtype of new floating-point tensors, and of what integers become in division or exp."""
    return FROM_NUMPY[_default]


def set_default_dtype(d: dtype) -> None:
    """Set the default floating-point dtype: float32 or float64."""
    global _default
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, but got {d}")
    if is_half(d.numpy):
        raise TypeError(f"the default dtype can be float32 or float64, but not {d}: give dtype={d}, or convert modules with .to({d})")
    _default = d.numpy
    promote.cache_clear()
    for plans in default_dependent:
        plans.clear()


def default() -> np.dtype:
    """The default floating-point dtype, as NumPy's."""
    return _default


def to_numpy(d: Any) -> np.dtype:
    """The NumPy dtype of a numgrad dtype, Python type or NumPy dtype; TypeError for what numgrad does not have."""
    if isinstance(d, dtype):
        return d.numpy
    if isinstance(d, type) and d in _PYTHON:
        return {"float": _default, "int": INT64, "bool": BOOL}[_PYTHON[d]]
    try:
        found = np.dtype(d)
    except TypeError:
        found = None
    if found not in FROM_NUMPY or isinstance(d, str):
        raise TypeError(f"dtype must be one of {', '.join(map(repr, ALL))}, but got {d!r}")
    return found


RANK = {"b": 0, "i": 1, "u": 1, "f": 2, "V": 2}


@functools.cache
def promote_two(a: np.dtype, b: np.dtype) -> np.dtype:
    """The smallest dtype of the higher category (bool < integer < float) that holds both."""
    if RANK[a.kind] != RANK[b.kind]:
        return a if RANK[a.kind] > RANK[b.kind] else b
    if a != b and BFLOAT16 in (a, b):  # float16 has digits that bfloat16 lacks, and that the exponents it lacks
        return FLOAT64 if FLOAT64 in (a, b) else FLOAT32
    return np.promote_types(a, b)


@functools.lru_cache(maxsize=4096)
def promote(kinds: tuple[tuple[Any, int], ...]) -> np.dtype:
    """PyTorch's promotion. Each operand is (dtype, dimensions), or (Python type, -1) for a scalar.

    Tensors with dimensions decide; a tensor without counts only where its category is higher; a Python number only
    where its category is higher than all tensors', and then brings the default dtype.
    """
    result: np.dtype | None = None
    for group in ([d for d, n in kinds if n > 0], [d for d, n in kinds if n == 0], [_scalar(d) for d, n in kinds if n < 0]):
        if not group:
            continue
        found = functools.reduce(promote_two, group)
        if result is None or RANK[found.kind] > RANK[result.kind]:
            result = found
    assert result is not None
    return result


def _scalar(of: type) -> np.dtype:
    if issubclass(of, type(True)):
        return BOOL
    return INT64 if issubclass(of, type(0)) else _default


class Size(tuple):
    """A tensor's shape: a tuple that knows its number of elements."""

    def numel(self) -> Any:
        """The number of elements of a tensor of this shape."""
        n = 1
        for d in self:
            n *= d
        return n

    def __repr__(self) -> str:
        return f"numgrad.Size({list(self)})"

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return Size(found) if isinstance(index, slice) else found

    def __add__(self, other: Any) -> Size:
        return Size(tuple(self) + tuple(other))

    def __reduce__(self) -> Any:
        return Size, (tuple(self),)


class device:
    """Where a tensor lives: always the CPU."""

    type: str
    index: Any

    def __init__(self, type: Any = "cpu", index: Any = None):
        if isinstance(type, device):
            type, index = type.type, type.index
        if not isinstance(type, str):
            raise TypeError(f"device(): argument 'type' must be a str or a device, but got {type!r}")
        name, _, number = type.partition(":")
        if name not in ("cpu", "cuda", "mps", "xpu", "meta"):
            raise RuntimeError(f"Expected one of cpu, cuda, mps, xpu, meta device type at start of device string: {type}")
        self.type, self.index = name, _builtin_int(number) if number else index

    def __enter__(self) -> device:
        check_device(self)
        return self

    def __exit__(self, *exception: Any) -> None: ...

    def __repr__(self) -> str:
        return f"device(type='{self.type}'" + (")" if self.index is None else f", index={self.index})")

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> Any:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> Any:
        return hash((self.type, self.index))

    def __reduce__(self) -> Any:
        return device, (self.type, self.index)


_builtin_int = type(0)
CPU = device("cpu")


def check_device(where: Any, how: Any = None) -> None:
    """Accept None and the CPU, and None and `strided` for the layout: numgrad computes nowhere else and on dense tensors."""
    if how is not None and how is not strided:
        if not isinstance(how, layout):
            raise TypeError(f"argument 'layout' must be numgrad.layout, not {type(how).__name__}")
        raise RuntimeError(f"numgrad has dense tensors only, but layout={how} was asked for; use numgrad.strided or leave it out")
    if where is not None and device(where).type != "cpu":
        raise RuntimeError(f"numgrad computes on the CPU only, but device={str(where)!r} was asked for; use device='cpu' or leave it out")


class _Named:
    def __init__(self, name: str):
        self._name = name

    def __repr__(self) -> str:
        return f"numgrad.{self._name}"


class layout(_Named):
    """How elements lie in memory: always `strided`."""


class memory_format(_Named):
    """An order of dimensions in memory: accepted where PyTorch takes one; results are contiguous."""


strided = layout("strided")
#: Named so that programs can ask `x.layout == sparse_coo`; no tensor is of these.
sparse_coo, sparse_csr, sparse_csc, sparse_bsr, sparse_bsc, jagged, _mkldnn = map(layout, ("sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc", "jagged", "_mkldnn"))
contiguous_format, preserve_format, channels_last, channels_last_3d = map(memory_format, ("contiguous_format", "preserve_format", "channels_last", "channels_last_3d"))


#: name -> eps, resolution, largest, least, smallest normal number of formats that NumPy does not know
_FORMATS = {
    "bfloat16": (2.0**-7, 0.01, 255 * 2.0**120, -255 * 2.0**120, 2.0**-126),
    "float8_e4m3fn": (0.125, 1.0, 448.0, -448.0, 2.0**-6),
    "float8_e4m3fnuz": (0.125, 1.0, 240.0, -240.0, 2.0**-7),
    "float8_e5m2": (0.25, 1.0, 57344.0, -57344.0, 2.0**-14),
    "float8_e5m2fnuz": (0.125, 1.0, 57344.0, -57344.0, 2.0**-15),
    "float8_e8m0fnu": (1.0, 1.0, 2.0**127, 2.0**-127, 2.0**-127),
}
_REAL_PART = {"complex32": "float16", "complex64": "float32", "complex128": "float64"}


class finfo:
    """Limits of a floating-point dtype (default: the default dtype)."""

    def __init__(self, d: dtype | None = None):
        if d is not None and d._name in _FORMATS:
            self.bits, self.dtype = 8 * d.itemsize, d._name
            self.eps, self.resolution, self.max, self.min, self.tiny = _FORMATS[d._name]
            self.smallest_normal = self.tiny
            return
        wanted = _default if d is None else np.dtype(_REAL_PART[d._name]) if d._name in _REAL_PART else to_numpy(d)
        limits = np.finfo(wanted)
        self.bits, self.dtype = limits.bits, np.dtype(limits.dtype).name
        self.eps, self.max, self.min, self.tiny, self.smallest_normal, self.resolution = (
            _builtin_float(v) for v in (limits.eps, limits.max, limits.min, limits.tiny, limits.tiny, 10.0**-limits.precision)
        )

    def __repr__(self) -> str:
        names = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        return f"finfo({', '.join(f'{name}={getattr(self, name):g}' for name in names)}, dtype={self.dtype})"


class iinfo:
    """Limits of an integer dtype."""

    def __init__(self, d: dtype):
        limits = np.iinfo(d._name if d._name.startswith("uint") else to_numpy(d))
        self.bits, self.max, self.min, self.dtype = limits.bits, limits.max, limits.min, np.dtype(limits.dtype).name

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"


_builtin_float = type(0.0)
