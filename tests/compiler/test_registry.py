"""Every op, compiled: results and gradients have the bits of eager code, also for other numbers than those that were recorded."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import numgrad
from numgrad import autograd
from numgrad.jit import Observer, observe
from numgrad.jit.effects import writes
from numgrad.ops import REGISTRY
from numgrad.ops.record import Op
from numgrad.testing import checks
from numgrad.testing.case import Case
from numgrad.testing.draw import Draw
from numgrad.testing.gradients import outputs_of

SAMPLED = [name for name, op in REGISTRY.items() if op.sample is not None and not op.random]
#: Python looks at values here: the shape of the result, or which way it is computed, depends on them.
READING = {
    "allclose", "equal", "quantile", "nanquantile", "unique", "unique_consecutive", "bincount", "nonzero", "argwhere",
    "masked_select", "masked_scatter", "rnn_tanh", "rnn_relu", "lstm", "gru", "linalg_inv", "linalg_solve", "linalg_slogdet",
    "det", "triangular_system", "pseudo_inverse", "matrix_exp", "cov",
}  # fmt: skip
interpreted, native = pytest.mark.interpreted, pytest.mark.native


class OtherNumbers(Draw):
    """The same choices with other numbers in the arrays. (Operands have one shape: each layout is a kernel of its own.)"""

    offset = 0

    def generator(self) -> np.random.Generator:
        """A generator for this set of numbers."""
        return np.random.default_rng(self.integer(0, 2**16) + self.offset)

    def broadcastable(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape itself."""
        return shape


def sample(op: Op, seed: int, offset: int, dtype: Any = np.float32) -> Case:
    rng = np.random.default_rng([seed, zlib.crc32(op.name.encode())])
    draw = OtherNumbers(lambda low, high: int(rng.integers(low, high, endpoint=True)), dtype, 4)
    draw.offset = offset
    return Case.drawn(op, draw)


def step_of(case: Case) -> Any:
    """Results and gradients of a call as a function of its arrays."""

    def step(*tensors: Any) -> Any:
        inputs = [t.detach().requires_grad_() if t.is_floating_point() else t for t in tensors]
        result = case.run(inputs)
        outputs = [o for o in outputs_of(result) if o.requires_grad]
        wanted = [x for x in inputs if x.requires_grad]
        # A gradient that differs from element to element, so that a transposed or shifted one shows.
        weights = [(numgrad.arange(o.numel()).reshape(o.shape) % 7 + 1).to(o.dtype) / 4 for o in outputs]
        grads = autograd.grad(outputs, wanted, weights, allow_unused=True) if outputs else ()
        return [leaf.detach() * 1 if leaf.is_floating_point() else leaf.clone() for leaf in tensors_in((result, grads))]

    return step


def tensors_in(value: Any) -> Iterator[Any]:
    if isinstance(value, (tuple, list)):
        for part in value:
            yield from tensors_in(part)
    elif isinstance(value, numgrad.Tensor):
        yield value


def check(op: Op, seed: int, fuse: bool, roundings: float = 0) -> None:
    first, second = sample(op, seed, 0), sample(op, seed, 1)
    step = step_of(first)
    compiled = numgrad.compile(step, fullgraph=True, options={"fuse": fuse})
    if [(a.shape, a.dtype) for a in first.arrays] != [(a.shape, a.dtype) for a in second.arrays]:
        second = first
    for n, case in enumerate((first, first, second, first)):
        arrays = [[numgrad.tensor(a) for a in case.arrays] for _ in range(2)]
        wanted, found = step(*arrays[0]), compiled(*arrays[1])
        if n > 1:
            for i, (a, b) in enumerate(zip(found, wanted, strict=True)):
                _compare(a.numpy(), b.numpy(), roundings, f"{case!r}, result or gradient {i}, replayed")
    assert sum(len(kind.variants) for kind in compiled._kinds.values()) == 1


def _compare(found: np.ndarray, wanted: np.ndarray, roundings: float, where: str) -> None:
    if roundings:
        checks.check_same(found, wanted, roundings, where)
    else:
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype), where
        np.testing.assert_array_equal(found, wanted, err_msg=where)


def each(names: list[str]) -> Any:
    return pytest.mark.parametrize("op", [pytest.param(REGISTRY[n], id=f"{n}-") for n in names])


@interpreted
@each(SAMPLED)
def test_compiled_is_eager(op: Op) -> None:
    """Without the JIT nothing is contracted: the bits stay the same through fusion, too."""
    if op.name in READING:
        with pytest.raises(RuntimeError, match="a value is read by Python"):
            for seed in range(8):  # there may be no elements to look at
                check(op, seed, fuse=True)
        return
    check(op, 0, fuse=False)
    check(op, 1, fuse=True)


#: Ops with kernels of their own, and formulas that stand for all the others: compiling takes time.
NATIVE = ["exp", "where", "lerp", "matmul", "conv2d", "max_pool2d", "softmax", "layer_norm", "cross_entropy", "cumsum", "gather", "cat"]


@native
@each([n for n in NATIVE if n in SAMPLED])
def test_compiled_kernels_are_eager_ones(op: Op) -> None:
    """The same bits where nothing is fused; fused, a product and a sum may become one operation: a rounding less."""
    check(op, 0, fuse=False)
    # Results and gradients here are at most a dozen roundings deep, each of which may be left out.
    check(op, 0, fuse=True, roundings=12)


class Written(Observer):
    """Which arguments each kernel writes, by comparing them before and after: what is launched next comes after."""

    def __init__(self) -> None:
        self.before: Any = None
        self.faults: set[str] = set()
        self.kernels: set[Any] = set()

    def launched(self, kernel: Any, work: int, args: tuple[Any, ...]) -> None:
        self.look()
        self.before = kernel, [(n, a, a.tobytes()) for n, arg in enumerate(args) for a in arrays_in(arg)]
        self.kernels.add(kernel)

    def look(self) -> None:
        """Whether the last kernel wrote what it does not say."""
        kernel, args = self.before or (None, [])
        self.before = None
        known = [a for n, a, _ in args if n in writes(kernel)]
        for n, array, content in args:
            if n not in writes(kernel) and array.tobytes() != content and not any(np.may_share_memory(array, k) for k in known):
                self.faults.add(f"{kernel} writes its argument {n}")

    def allocated(self, array: np.ndarray, zeroed: bool) -> None:
        self.look()

    def was_read(self, array: np.ndarray) -> None:
        self.look()


def arrays_in(value: Any) -> list[np.ndarray]:
    if isinstance(value, tuple):
        return [a for v in value for a in arrays_in(v)]
    return [value] if isinstance(value, np.ndarray) else []


@interpreted
def test_kernels_write_what_they_say() -> None:
    """What `writes` leaves out, no launch of any sample changes; and it leaves out something."""
    seen = Written()
    for name in [n for n, op in REGISTRY.items() if op.sample is not None and (n in SAMPLED or op.random)]:
        case = sample(REGISTRY[name], 0, 0)
        arrays = [numgrad.tensor(a) for a in case.arrays]
        with observe(seen):
            step_of(case)(*arrays)
            seen.look()
    assert seen.faults == set()
    assert len(seen.kernels) > 200
    exact = [k for k in seen.kernels if len(writes(k)) < k.function.__code__.co_argcount]
    assert len(exact) > 0.9 * len(seen.kernels)
