"""The pool behind `empty`: memory is given out again, but never while anything still looks at it."""

import gc
import os
import pickle
import threading

import numpy as np
import pytest

from numgrad.jit import memory
from numgrad.jit.memory import LARGE, Pool, empty, owns, pool, zeros

SIZE = LARGE // 4  # float32


@pytest.fixture(autouse=True)
def _clean_pool():
    gc.collect()
    pool.clear()
    yield
    pool.clear()


def _address(array):
    return array.__array_interface__["data"][0]


def test_small_arrays_own_their_memory_and_large_ones_are_the_pool_s():
    small, large = empty(10, np.float32), empty((SIZE, 2), np.float32)
    assert small.flags.owndata
    assert owns(small)
    assert not large.flags.owndata
    assert owns(large)
    assert not owns(large[1:])
    assert not owns(small[1:])
    assert _address(large) % 4096 == 0
    assert large.flags.c_contiguous
    assert large.flags.writeable
    assert type(large) is np.ndarray


def test_memory_comes_again_only_after_the_last_view_died():
    array = empty((SIZE, 3), np.float32)
    first, view = _address(array), array[5:].T
    del array
    assert pool.kept == 0
    assert _address(empty((SIZE, 3), np.float32)) != first
    pool.clear()
    del view
    assert pool.kept >= SIZE * 12
    assert _address(empty((3, SIZE), np.int32)) == first


def test_memory_that_somebody_has_by_itself_does_not_come_again():
    array = empty(SIZE, np.float32)
    first, part = _address(array), array.base[8:]
    del array
    assert pool.kept == 0
    del part
    assert pool.kept == 0
    array = empty(SIZE, np.float32)
    whole, first = array.base, _address(array)
    del array
    assert _address(empty(SIZE, np.float32)) != first
    assert whole.nbytes == LARGE


def test_zeros_are_zero_in_used_memory():
    array = empty(SIZE, np.float32)
    array.fill(7)
    del array
    assert not zeros(SIZE, np.float32).any()
    assert not zeros((), np.int64).any()


def test_no_more_is_kept_than_the_limit():
    small = Pool(limit=3 * LARGE)
    blocks = [small.array(LARGE, SIZE, np.float32) for _ in range(4)]
    while blocks:
        blocks.pop()
        assert small.kept <= 3 * LARGE
    assert small.kept == LARGE  # the fourth did not fit: it started over
    del blocks
    small.array(4 * LARGE, SIZE, np.float32)
    assert small.kept == 0


def test_arrays_of_the_pool_are_ordinary_arrays():
    array = zeros((2, SIZE), np.float32)
    array[1] = 3
    copy = pickle.loads(pickle.dumps(array))
    np.testing.assert_array_equal(copy, array)
    np.testing.assert_array_equal(np.asarray(memoryview(array)), array)
    assert array.reshape(SIZE, 2).base is array


def test_bad_sizes():
    with pytest.raises(MemoryError, match="cannot allocate"):
        empty(1 << 55, np.float64)
    with pytest.raises(ValueError, match="negative"):
        empty((-2, 3), np.float64)
    with pytest.raises(ValueError, match="negative"):
        empty((-SIZE, -3), np.float64)


def test_threads_never_share_a_block():
    wrong = []

    def work(number):
        for _ in range(200):
            array = empty(SIZE, np.float32)
            array[::4096] = number
            if (array[::4096] != number).any():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_writes_into_memory_of_its_own():
    array, dead = zeros(SIZE, np.float32), zeros(SIZE, np.float32)
    del dead
    child = os.fork()
    if child == 0:
        array.fill(1)
        empty(SIZE, np.float32).fill(2)
        os._exit(0 if memory.pool.kept == LARGE else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert not array.any()


@pytest.mark.parametrize("line", ["noted", "known"])
def test_arrays_that_an_interruption_kept_from_being_noted(monkeypatch, line):
    class Interrupted(memory._Loan):
        __slots__ = ()

        def __setattr__(self, name, value):
            if line == "known":
                super().__setattr__(name, value)
            raise KeyboardInterrupt

    few = Pool(1 << 24)
    with monkeypatch.context() as patch:
        patch.setattr(memory, "_Loan", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            few.array(LARGE, SIZE, np.float32)
    gc.collect()
    few.collect()
    assert few.kept == (LARGE if line == "known" else 0)
    assert few.array(LARGE, SIZE, np.float32).nbytes == LARGE and few.kept == 0
