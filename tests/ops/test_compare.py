"""Operations on bits where the processor's own would not do."""

from __future__ import annotations

import pytest

import numgrad as ng


@pytest.mark.parametrize("dtype", [ng.int8, ng.int16, ng.int32, ng.int64])
def test_shifts_by_more_than_there_are_bits(dtype: ng.dtype) -> None:
    x = ng.tensor([-4, 5], dtype=dtype)
    for by in (-100, -1, 64, 100):
        assert (x >> ng.tensor(by, dtype=dtype)).tolist() == [-1, 0]
        assert (x << ng.tensor(by, dtype=dtype)).tolist() == [0, 0]
    assert (x >> 40).tolist() == [-1, 0]
    assert (ng.tensor([200], dtype=ng.uint8) >> ng.tensor([200], dtype=ng.uint8)).tolist() == [0]
