"""Results that are written past the caches hold what others do, wherever they begin and however long they are."""

import numpy as np
import pytest

import numgrad
from numgrad.jit import codegen, formula, launch, streaming
from numgrad.jit.effects import writes
from numgrad.jit.threads import pool_size
from numgrad.ops.elementwise import Pointwise

SIZES = [1, 7, 1023, 1024, 1025, codegen.TILE, codegen.TILE + 513, 3 * codegen.TILE + 5]


def _kernel(dtype: type, streamed: bool):  # type: ignore[no-untyped-def]
    d = np.dtype(dtype)
    return codegen.pointwise("sum_of_two", formula.parse("x + z"), ["x", "z"], "fff", d, d, streamed)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int16])
@pytest.mark.parametrize("size", SIZES)
def test_every_element_is_written_and_no_other(size: int, dtype: type) -> None:
    x, z = (np.arange(size) * k % 97 for k in (3, 5))
    expected = (x + z).astype(dtype)
    for begin in (0, 1, 8):  # at a vector's place, and apart from it
        memory = np.full(size + 200, 77, dtype)
        begin += -memory.ctypes.data % 64 // memory.itemsize
        y = memory[begin : begin + size]
        _kernel(dtype, True).serial(y, x.astype(dtype), z.astype(dtype))
        assert (y == expected).all()
        assert (memory[:begin] == 77).all() and (memory[begin + size :] == 77).all()


def test_only_the_result_is_written() -> None:
    assert writes(_kernel(np.float32, True)) == writes(_kernel(np.float32, False)) == {0}


def test_large_results_are_streamed_and_others_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    made = Pointwise.kernel

    def kernel(self, layouts, compute, result, streamed=False):  # type: ignore[no-untyped-def]
        asked.append((layouts, streamed))
        return made(self, layouts, compute, result, streamed)

    monkeypatch.setattr(Pointwise, "kernel", kernel)
    monkeypatch.setattr(streaming, "BEYOND", 40_000)
    x, few, row = numgrad.rand(123, 101), numgrad.rand(9_999), numgrad.rand(101)
    expected = x.numpy() * np.float32(2)
    assert ((x * 2).numpy() == expected).all() and asked.pop() == ("ffs", True)
    assert ((few * 2).numpy() == few.numpy() * np.float32(2)).all() and not asked.pop()[1]
    x.exp(), x * row  # of long formulas and strided arrays neither
    assert asked == [("ff", False), ("111", False)]
    assert (x.mul_(2).numpy() == expected).all() and asked.pop() == ("ffs", True)  # into the memory that is read


def test_the_same_on_any_number_of_threads() -> None:
    x, z = (np.random.default_rng(seed).standard_normal(300_001).astype(np.float32) for seed in (1, 2))
    before = numgrad.get_num_threads()
    try:
        for count in range(1, pool_size() + 1):
            numgrad.set_num_threads(count)
            y = np.empty_like(x)
            launch(_kernel(np.float32, True), y, x, z)
            assert (y == x + z).all()
    finally:
        numgrad.set_num_threads(before)
