"""Random numbers: Philox, a counter-based generator, so that the numbers do not depend on how many threads draw them.

It maps a counter and a key to four 32-bit words (see `philox`). Block i of a draw uses the counter `offset + i`; a draw then moves the generator's offset on.
"""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd import mode
from ..dtypes import check_device, is_half, to_numpy
from ..jit import Kernel, device, empty, kernel, launch, prange
from ..jit.vmath import cos, log, sin
from ..tensor import Tensor, wrap
from . import philox
from .chances import check_between
from .creation import _checked_sizes, _finish
from .elementwise import copied, copy_into
from .inplace import check_writeable
from .operands import NOT_A_TENSOR
from .outputs import takes_out
from .record import composite, op

#: Numbers that one unit of parallel work makes; even.
_TILE = 1024


@kernel
def _uniform64_kernel(out: Any, bits: Any) -> None:
    for i in prange(out.size):
        high, low = np.uint64(bits[2 * i]) >> np.uint64(5), np.uint64(bits[2 * i + 1]) >> np.uint64(6)
        out[i] = (np.float64(high) * 67108864.0 + np.float64(low)) * 1.1102230246251565e-16  # 53 bits


@device
def _normal_tile(out: Any, uniform: Any, minus_two: Any, one: Any, turn: Any) -> None:
    for i in range(out.size // 2):
        radius = np.sqrt(minus_two * log(one - uniform[2 * i]))
        angle = turn * uniform[2 * i + 1]
        out[2 * i] = radius * cos(angle)
        out[2 * i + 1] = radius * sin(angle)


#: What Box and Muller's formula needs in each dtype: -2, 1 and a turn.
_NORMAL = {d: np.array([-2, 1, 2 * np.pi], d) for d in (dtypes.FLOAT32, dtypes.FLOAT64)}


@kernel
def _normal_kernel(out: Any, uniform: Any, scale: Any) -> None:
    """Box and Muller: two normals from two uniforms; 1 - u keeps the logarithm finite."""
    for t in prange((out.size + _TILE - 1) // _TILE):
        first, last = t * _TILE, min(t * _TILE + _TILE, out.size)
        _normal_tile(out[first:last], uniform[first:last], scale[0], scale[1], scale[2])


@kernel
def _integers_kernel(out: Any, bits: Any, low: Any, span: Any) -> None:
    """Multiply-shift of 64 random bits onto [low, low + span); the bias is at most span / 2**64."""
    for i in prange(out.size):
        a, b = np.uint64(bits[2 * i]), np.uint64(bits[2 * i + 1])
        product = a * (span[0] & philox.LOW) + ((b * (span[0] & philox.LOW)) >> philox.WORD)  # the high half of a 64 by 64 bit product
        high = a * (span[0] >> philox.WORD)
        middle = (product & philox.LOW) + ((b * (span[0] >> philox.WORD)) & philox.LOW)
        found = (high + (product >> philox.WORD) + ((b * (span[0] >> philox.WORD)) >> philox.WORD) + (middle >> philox.WORD)) if span[0] > philox.LOW else product >> philox.WORD
        out[i] = low[0] + np.int64(found)


class Generator:
    """A stream of random numbers: a seed and how far it has been used, in memory as two 64-bit words."""

    def __init__(self, device: Any = "cpu"):
        check_device(device)
        self.device = dtypes.CPU
        self._state = np.array([67280421310721, 0], np.uint64)

    def manual_seed(self, seed: int) -> Generator:
        """Start anew from a seed (any integer of 64 bits, negative ones too)."""
        if not -(2**63) <= int(seed) < 2**64:
            raise ValueError(f"Overflow when unpacking long long: seed {seed} does not fit 64 bits")
        self._state[0], self._state[1] = int(seed) % 2**64, 0
        return self

    def seed(self) -> int:
        """Start anew from a seed of the operating system's; returns it."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little"))
        return self.initial_seed()

    def initial_seed(self) -> int:
        """The seed it was started from."""
        return int(self._state[0])

    def get_state(self) -> Tensor:
        """Seed and position, as a uint8 tensor."""
        return wrap(self._state.view(np.uint8).copy())

    def set_state(self, new_state: Tensor) -> Generator:
        """Continue from a state that `get_state` gave."""
        if not isinstance(new_state, Tensor) or new_state._data.dtype != np.uint8 or new_state.numel() != 16:
            raise TypeError("expected a uint8 tensor of 16 elements, as get_state returns")
        self._state[:] = np.ascontiguousarray(new_state._data).view(np.uint64)
        return self

    def clone_state(self) -> Generator:
        """A generator that continues from the same place."""
        return Generator().set_state(self.get_state())

    def __getstate__(self) -> Any:
        return [int(v) for v in self._state]

    def __setstate__(self, state: Any) -> None:
        self.device, self._state = dtypes.CPU, np.array(state, np.uint64)

    def words(self, count: int) -> np.ndarray:
        """At least `count` random 32-bit words, and the position moved on."""
        out = empty(-(-count // 4) * 4, np.uint32)
        self.draw(philox.bits, out)
        return out

    def draw(self, kernel: Kernel, out: np.ndarray, *args: Any) -> None:
        """Fill a contiguous array by a kernel of `philox` that takes one word for each element; the position moves on."""
        if out.size:
            launch(kernel, out.reshape(-1), self._state, *args)
            launch(philox.advance, self._state, -(-out.size // 4), work=1)


default_generator = Generator()


def _generator(generator: Generator | None) -> Generator:
    if generator is None:
        return default_generator
    if not isinstance(generator, Generator):
        raise TypeError(f"generator must be a numgrad.Generator, but got {type(generator).__name__}")
    return generator


# --- arrays ---------------------------------------------------------------------------------------------------------


def uniform_array(shape: tuple[int, ...], dtype: np.dtype, generator: Generator | None = None) -> np.ndarray:
    """Uniform numbers in [0, 1), of float32 or float64."""
    if is_half(dtype):
        return copied(uniform_array(shape, dtypes.FLOAT32, generator), dtype)
    out = empty(shape, dtype)
    if out.itemsize < 8:
        _generator(generator).draw(philox.uniform, out)
    elif out.size:
        launch(_uniform64_kernel, out.reshape(-1), _generator(generator).words(2 * out.size))
    return out


def normal_array(shape: tuple[int, ...], dtype: np.dtype, generator: Generator | None = None) -> np.ndarray:
    """Standard normal numbers, of float32 or float64."""
    if is_half(dtype):
        return copied(normal_array(shape, dtypes.FLOAT32, generator), dtype)
    size = math.prod(shape)
    uniform = uniform_array((size + size % 2,), dtype, generator)
    out = empty(uniform.shape, dtype)
    if size:
        launch(_normal_kernel, out, uniform, _NORMAL[dtype], work=20 * size)
    return out[:size].reshape(shape)


def integer_array(shape: tuple[int, ...], low: int, high: int, dtype: np.dtype, generator: Generator | None = None) -> np.ndarray:
    """Integers in [low, high)."""
    out = empty(shape, np.int64)
    bits = _generator(generator).words(2 * out.size)
    if out.size:
        launch(_integers_kernel, out.reshape(-1), bits, np.array([low], np.int64), np.array([high - low], np.uint64))
    return out if dtype == np.int64 else copied(out, dtype)


# --- creation -------------------------------------------------------------------------------------------------------


def _float_dtype(dtype: Any, what: str) -> np.dtype:
    target = dtypes.default() if dtype is None else to_numpy(dtype)
    if target.kind not in dtypes.FLOATING:
        raise RuntimeError(f'"{what}" not implemented for \'{dtypes.scalar_name(target)}\'')
    return target


def _maker(name: str, draw: Any, what: str) -> Any:
    def make(
        *args: Any, size: Any = None, generator: Any = None, dtype: Any = None, layout: Any = None, device: Any = None,
        requires_grad: bool = False, pin_memory: bool = False,
    ) -> Tensor:  # fmt: skip
        check_device(device, layout)
        shape = _checked_sizes(args if size is None else (size,))
        return _finish(draw(shape, _float_dtype(dtype, name), generator), requires_grad)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"{what} of the given shape."
    return make


rand = _maker("rand", uniform_array, "Uniform numbers in [0, 1)")
randn = _maker("randn", normal_array, "Standard normal numbers")


def rand_like(input: Tensor, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None) -> Tensor:
    """`rand` in the shape and dtype of a tensor."""
    return rand(tuple(input.shape), dtype=dtype or input.dtype, layout=layout, device=device, requires_grad=requires_grad)


def randn_like(input: Tensor, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None) -> Tensor:
    """`randn` in the shape and dtype of a tensor."""
    return randn(tuple(input.shape), dtype=dtype or input.dtype, layout=layout, device=device, requires_grad=requires_grad)


def randint(*args: Any, low: int = 0, high: int | None = None, size: Any = None, generator: Any = None, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Integers in [low, high): `randint(high, size)` or `randint(low, high, size)`."""
    check_device(device, layout)
    values = [*args] + ([size] if size is not None else [])
    if high is not None:
        values = [low if not args or size is None and len(args) == 1 else args[0], high, values[-1]]
    if len(values) == 2:
        values = [low, *values]
    if len(values) != 3:
        raise TypeError("randint() expects (high, size) or (low, high, size)")
    low, high = int(values[0]), int(values[1])
    if high <= low:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    data = integer_array(_checked_sizes((values[2],)), low, high, dtypes.INT64 if dtype is None else to_numpy(dtype), generator)
    return _finish(data, requires_grad)


def randint_like(input: Tensor, low: int, high: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """`randint` in the shape and dtype of a tensor."""
    low, high = (0, low) if high is None else (low, high)
    return randint(low, high, tuple(input.shape), dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


@kernel
def _shuffle_kernel(out: Any, keys: Any) -> None:
    """Fisher and Yates; one unit of work, for each exchange depends on those before."""
    for _ in prange(1):
        for i in range(out.size):
            out[i] = i
        for i in range(out.size - 1, 0, -1):
            j = np.int64(keys[i] * (i + 1))
            held = out[i]
            out[i] = out[j]
            out[j] = held


def randperm(n: int, *, generator: Any = None, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False) -> Tensor:
    """A random order of 0 .. n-1."""
    check_device(device, layout)
    if n < 0:
        raise RuntimeError(f"n must be non-negative, but got {n}")
    order = empty((n,), np.int64)
    if n:
        launch(_shuffle_kernel, order, uniform_array((n,), dtypes.FLOAT64, generator), work=0)
    target = dtypes.INT64 if dtype is None else to_numpy(dtype)
    return _finish(order if target == np.int64 else copied(order, target), requires_grad)


def normal(mean: Any = 0.0, std: Any = 1.0, size: Any = None, *, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Normal numbers; mean and std are numbers (then `size` gives the shape) or tensors that broadcast."""
    if isinstance(std, (int, float)) and std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    if isinstance(std, Tensor):
        check_between(std.double()._data, 0.0, np.inf, "normal expects all elements of std >= 0.0")  # type: ignore[attr-defined]
    tensors = [v for v in (mean, std) if isinstance(v, Tensor)]
    if tensors:
        shape = (mean + std).shape
        return randn(tuple(shape), generator=generator, dtype=tensors[0].dtype) * std + mean
    if size is None:
        raise TypeError("normal() needs 'size' where mean and std are numbers")
    result = randn(tuple(size), generator=generator, dtype=dtype, device=device) * std + mean
    return _finish(result._data, requires_grad)


# --- ops ------------------------------------------------------------------------------------------------------------


def _bernoulli_forward(input: np.ndarray, generator: Any = None) -> np.ndarray:
    """1 with the probability given by each element, else 0."""
    from .compare import lt

    draws = uniform_array(input.shape, input.dtype if input.dtype.kind == "f" else dtypes.default(), generator)
    return copied(lt.forward(draws, input), input.dtype)


_bernoulli = op("bernoulli_draw", _bernoulli_forward, vjp=(lambda g: g * 0,), public=False, method=False, random=True,
                sample=lambda draw: ((draw.array(draw.shape(), 0.1, 0.9),), {}))  # fmt: skip


def _bernoulli_function(input: Tensor, p: Any = None, *, generator: Any = None) -> Tensor:
    """1 with probability `input` (or `p` everywhere), else 0."""
    if p is not None:
        return bernoulli_(input.detach().clone(), p, generator=generator)  # type: ignore[attr-defined]
    if not input.is_floating_point():
        raise NotImplementedError(f"\"bernoulli\" not implemented for '{dtypes.scalar_name(input._data.dtype)}'")
    chances = input.float()._data if is_half(input._data.dtype) else input._data
    check_between(chances, 0.0, 1.0, "Expected p_in >= 0 && p_in <= 1 to be true, but got false.")
    return _bernoulli(input, generator)


def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Any = None) -> Tensor:
    """Fill in place with 1 (probability p, a number or tensor) or 0."""
    probabilities = empty(self._data.shape, dtypes.FLOAT64)
    copy_into(probabilities, p._data if isinstance(p, Tensor) else p)
    if isinstance(p, Tensor):
        check_between(probabilities, 0.0, 1.0, "bernoulli_ expects p to be in [0, 1], but an element is not")
    elif not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
    return _overwrite(self, _bernoulli_forward(probabilities, generator))


bernoulli = composite("bernoulli", _bernoulli_function, random=True, inplace=bernoulli_, sample=lambda draw: ((draw.array(draw.shape(), 0.1, 0.9),), {}), errors=[
    ((np.ones(2) * 2,), RuntimeError, "Expected p_in"), ((np.ones(2), -1.0), RuntimeError, "to be in"), ((np.arange(2),), NotImplementedError, "Long"), *NOT_A_TENSOR])  # fmt: skip


def _overwrite(target: Tensor, values: np.ndarray) -> Tensor:
    """Random values written in place: the old ones, and their gradient, no longer count."""
    if mode.enabled and target.requires_grad:
        if target.grad_fn is None:
            raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
        return target.copy_(wrap(values))  # type: ignore[attr-defined]
    check_writeable(target)
    copy_into(target._data, values)
    target.bump()
    return target


def _drawn_as(target: Tensor) -> np.dtype:
    dtype = target._data.dtype
    return dtypes.FLOAT32 if is_half(dtype) else dtype if dtype.kind == "f" else dtypes.FLOAT64


def uniform_(self: Tensor, from_: float = 0.0, to: float = 1.0, *, generator: Any = None, **kwargs: Any) -> Tensor:
    """Fill in place with uniform numbers in [from, to)."""
    low, high = kwargs.pop("from", kwargs.pop("a", from_)), kwargs.pop("b", to)
    if low > high:
        raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={low} > to={high}")
    draws = wrap(uniform_array(self._data.shape, _drawn_as(self), generator))
    return _overwrite(self, (draws * (high - low) + low)._data)


def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Tensor:
    """Fill in place with normal numbers."""
    if std < 0:
        raise RuntimeError(f"normal_ expects std >= 0.0, but found std {std}")
    draws = wrap(normal_array(self._data.shape, _drawn_as(self), generator))
    return _overwrite(self, (draws * std + mean)._data)


def random_(self: Tensor, from_: int = 0, to: int | None = None, *, generator: Any = None) -> Tensor:
    """Fill in place with integers: `random_()`, `random_(to)` or `random_(from, to)`; without `to`, up to what the dtype holds exactly."""
    if to is None and from_ != 0:
        from_, to = 0, from_
    if to is None:
        limits = {"f4": 2**24, "f8": 2**53, "b1": 1, "f2": 2**11, "V2": 2**8}
        to = limits.get(self._data.dtype.str[1:], np.iinfo(self._data.dtype).max if self._data.dtype.kind in "iu" else 1) + 1
    if to <= from_:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={from_} >= to={to}")
    return _overwrite(self, integer_array(self._data.shape, from_, to, dtypes.INT64, generator))


def exponential_(self: Tensor, lambd: float = 1.0, *, generator: Any = None) -> Tensor:
    """Fill in place with exponentially distributed numbers of rate lambd."""
    if lambd <= 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    draws = wrap(uniform_array(self._data.shape, _drawn_as(self), generator))
    return _overwrite(self, ((-draws).log1p() / -lambd)._data)  # type: ignore[attr-defined]


FUNCTIONS = {
    "rand": rand, "randn": randn, "rand_like": rand_like, "randn_like": randn_like, "randint": randint, "randint_like": randint_like,
    "randperm": randperm, "normal": normal,
}  # fmt: skip
for _name in ("rand", "randn", "randint", "randperm", "normal"):
    FUNCTIONS[_name] = takes_out(FUNCTIONS[_name])

for _method in (uniform_, normal_, random_, exponential_):
    setattr(Tensor, _method.__name__, _method)
