"""What in-place operations cost: nothing but the launch that writes over the tensor."""

import numpy as np
import pytest

import numgrad
from numgrad.jit import Observer, observe


class Doors(Observer):
    """Counts what is allocated and launched."""

    def __init__(self):
        self.allocations, self.outputs = 0, []

    def allocated(self, array, zeroed):
        self.allocations += 1

    def launched(self, kernel, work, args):
        self.outputs.append(args[0].ctypes.data)


@pytest.mark.parametrize("change", [lambda x, z: x.add_(z), lambda x, z: x.mul_(2.0), lambda x, z: x.copy_(z)], ids=["add_", "mul_", "copy_"])
def test_formulas_are_written_where_the_tensor_is(change):
    x, z = numgrad.ones(2, 3), numgrad.ones(2, 3)
    with observe(Doors()) as doors:
        change(x, z)
    assert doors.allocations == 0 and doors.outputs == [x.data_ptr()]


def test_an_operand_that_overlaps_is_read_before_it_is_overwritten():
    x = numgrad.tensor(np.arange(5.0))
    x[1:].add_(x[:-1])
    assert x.tolist() == [0, 1, 3, 5, 7]


@pytest.mark.parametrize("dtype", [numgrad.bool, numgrad.uint8, numgrad.int8, numgrad.int16, numgrad.int32, numgrad.int64])
@pytest.mark.parametrize("size", [(20, 1, 1), (20, 40, 50)])
def test_masks_and_integers_change_in_place(dtype: numgrad.dtype, size: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 2 if dtype == numgrad.bool else 100, s) for s in ((20, 40, 50), size))
    for name, wanted in (("__iand__", a & b), ("__ior__", a | b), ("__ixor__", a ^ b)):
        x, y = (numgrad.tensor(v.tolist(), dtype=dtype) for v in (a, b))
        assert getattr(x, name)(y) is x
        assert np.array_equal(x.numpy(), wanted)
        z = numgrad.tensor(a.tolist(), dtype=dtype)[:, ::2]
        getattr(z, name)(y.expand(20, 40, 50)[:, ::2])
        assert np.array_equal(z.numpy(), wanted[:, ::2])
