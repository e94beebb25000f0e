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
