"""Type promotion, against the table that PyTorch 2.13 prints for the same operations."""

import numpy as np
import pytest

import numgrad as ng

LETTERS = dict(zip("bu1248fd", (ng.bool, ng.uint8, ng.int8, ng.int16, ng.int32, ng.int64, ng.float32, ng.float64), strict=True))

TENSORS = """
b u 1 2 4 8 f d
u u 2 2 4 8 f d
1 2 1 2 4 8 f d
2 2 2 2 4 8 f d
4 4 4 4 4 8 f d
8 8 8 8 8 8 f d
f f f f f f f d
d d d d d d d d
"""
WITH_0D = """
b u 1 2 4 8 f d
u u u u u u f d
1 1 1 1 1 1 f d
2 2 2 2 2 2 f d
4 4 4 4 4 4 f d
8 8 8 8 8 8 f d
f f f f f f f f
d d d d d d d d
"""
WITH_NUMBERS = """
b 8 f
u u f
1 1 f
2 2 f
4 4 f
8 8 f
f f f
d d d
"""
OPERATIONS = {
    "x + x": "bu1248fd", "x * x": "bu1248fd", "x / x": "fffffffd", "x // x": "-u1248fd", "x % x": "-u1248fd", "x ** 2": "8u1248fd",
    "x ** 2.0": "fffffffd", "x.exp()": "fffffffd", "x.sum()": "888888fd", "x.prod()": "888888fd", "x.cumsum(0)": "888888fd",
    "x.mean()": "------fd", "x.abs()": "-u1248fd", "-x": "-u1248fd", "x - x": "-u1248fd", "x.sqrt()": "fffffffd", "x.sign()": "bu1248fd",
    "x.floor()": "-u1248fd", "x.clamp(0, 1)": "8u1248fd", "x.square()": "8u1248fd", "~x": "bu1248--", "x & x": "bu1248--", "x << 1": "8u1248--",
    "x.max()": "bu1248fd", "x + 1": "8u1248fd", "x + 1.5": "fffffffd", "x.sigmoid()": "fffffffd", "ng.relu(x)": "-u1248fd", "x.round()": "-u1248fd",
    "x.reciprocal()": "fffffffd", "x.pow(x)": "-u1248fd", "ng.maximum(x, x)": "bu1248fd", "ng.where(x > 0, x, 0.5)": "fffffffd",
    "ng.fmod(x, x)": "-u1248fd", "x.trunc()": "-u1248fd", "x.lerp(x, 0.5)": "------fd", "ng.logical_and(x, x)": "bbbbbbbb",
    "ng.atan2(x, x)": "fffffffd",
}  # fmt: skip


def _rows(table):
    return list(zip(LETTERS.values(), (line.split() for line in table.strip().splitlines()), strict=True))


@pytest.mark.parametrize(("table", "shape"), [(TENSORS, (2,)), (WITH_0D, ())])
def test_tensors(table, shape):
    for first, row in _rows(table):
        for second, expected in zip(LETTERS.values(), row, strict=True):
            x, z = ng.ones(2, dtype=first), ng.ones(shape, dtype=second)
            assert ng.result_type(x, z) is LETTERS[expected]
            assert (x * z).dtype is LETTERS[expected]


@pytest.mark.parametrize("shape", [(2,), ()])
def test_python_numbers_are_weak(shape):
    for first, row in _rows(WITH_NUMBERS):
        for number, expected in zip((True, 1, 1.5), row, strict=True):
            x = ng.ones(shape, dtype=first)
            assert ng.result_type(x, number) is LETTERS[expected]
            assert (x * number).dtype is (number * x).dtype is LETTERS[expected]


@pytest.mark.parametrize("text", OPERATIONS)
def test_result_dtypes(text):
    """A dash stands for an error."""
    for letter, expected in zip(LETTERS, OPERATIONS[text], strict=True):
        x = ng.ones(2, dtype=LETTERS[letter])  # noqa: F841 - the text names it
        if expected == "-":
            with pytest.raises((RuntimeError, TypeError)):
                eval(text)
        else:
            assert eval(text).dtype is LETTERS[expected], letter


def test_default_dtype_rules_new_floats_and_division():
    assert ng.get_default_dtype() is ng.float32
    ng.set_default_dtype(ng.float64)
    try:
        assert ng.zeros(1).dtype is ng.tensor(1.0).dtype is (ng.tensor([1]) / 2).dtype is (ng.tensor([1]) * 0.5).dtype is ng.float64
        assert (ng.ones(1, dtype=ng.float32) * 0.5).dtype is ng.float32
    finally:
        ng.set_default_dtype(ng.float32)
    assert (ng.tensor([1]) * 0.5).dtype is ng.float32


def test_numpy_arrays_keep_their_dtype_and_numpy_scalars_are_weak():
    assert ng.tensor(np.ones(2)).dtype is ng.float64
    assert (ng.ones(2) * np.float64(2)).dtype is ng.float32
    assert (ng.ones(2) * np.ones(2)).dtype is ng.float64


def test_alpha_is_of_the_kind_of_the_sum() -> None:
    truths = ng.tensor([True, False])
    assert ng.add(truths, truths, alpha=3).tolist() == [True, False]
    assert ng.add(truths, True, alpha=0).tolist() == [True, False]
    assert ng.add(ng.tensor([1.0, 2.0]), ng.tensor([3, 5]), alpha=0.5).tolist() == [2.5, 4.5]
    large = 2**24 + 1  # float32 does not hold it
    assert ng.add(ng.tensor([0.0], dtype=ng.float64), ng.tensor([large]), alpha=0.5).tolist() == [large / 2]
    with pytest.raises(RuntimeError, match="must not be a floating point number"):
        ng.add(ng.tensor([1, 2]), truths, alpha=0.5)
    with pytest.raises(RuntimeError, match="Boolean alpha"):
        ng.add(ng.tensor([1, 2]), truths, alpha=True)


def test_a_minus_sign_and_bools_do_not_go_together() -> None:
    truths, numbers = ng.tensor([True, False]), ng.ones(2)
    for call in (
        lambda: truths - truths, lambda: truths - True, lambda: truths.clone().sub_(truths), lambda: ng.rsub(truths, truths),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match="with two bool tensors is not supported"):
            call()
    for call in (
        lambda: truths - numbers, lambda: numbers - truths, lambda: 1 - truths, lambda: truths - 1, lambda: True - numbers, lambda: numbers - True,
        lambda: numbers.sub_(truths), lambda: truths.clone().sub_(1), lambda: ng.rsub(truths, 1), lambda: numbers - ng.tensor(True),
        lambda: ng.sub(numbers, truths, alpha=2),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match="with a bool tensor is not supported"):
            call()
    for call in (lambda: -truths, truths.neg, lambda: ng.negative(truths)):
        with pytest.raises(RuntimeError, match="Negation, the `-` operator, on a bool tensor"):
            call()
    assert numbers.tolist() == [1, 1]
    assert (~truths).tolist() == [False, True]
