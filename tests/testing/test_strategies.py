"""Strategies give what they promise; without hypothesis they say what is missing."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

import numgrad
from numgrad.testing import strategies

quick = settings(max_examples=60, derandomize=True, database=None, deadline=None)


@quick
@given(st.data())
def test_shapes_broadcast(data: Any) -> None:
    shape = data.draw(strategies.shapes(min_dims=1, max_side=3))
    assert 1 <= len(shape) <= 3 and all(0 <= n <= 3 for n in shape)
    assert np.broadcast_shapes(shape, data.draw(strategies.broadcastable(shape))) == shape


@quick
@given(st.data())
def test_layouts_keep_values(data: Any) -> None:
    values = np.arange(24.0).reshape(2, 3, 4)
    laid = data.draw(strategies.layouts(values))
    assert laid.tolist() == values.tolist()
    assert numgrad.equal(laid * 2, numgrad.tensor(values * 2))
    assert data.draw(strategies.tensors(numgrad.int32, (2, 2), any_layout=True)).dtype is numgrad.int32


@pytest.mark.parametrize("how", ["transposed", "strided", "inside"])
def test_layouts_are_of_every_sort(how: str) -> None:
    fits = {
        "transposed": lambda x: x.stride() == (1, 2),
        "strided": lambda x: x.stride()[-1] == 2,
        "inside": lambda x: x.stride() == (5, 1),
    }
    assert find(strategies.layouts(np.ones((2, 3))), fits[how], settings=quick).shape == (2, 3)


@quick
@given(st.data())
def test_indices_index(data: Any) -> None:
    """Whatever is drawn, NumPy takes it too, and gives the same."""
    shape = data.draw(strategies.shapes())
    values = np.arange(float(np.prod(shape))).reshape(shape)
    index = data.draw(strategies.indices(shape))
    parts = index if isinstance(index, tuple) else (index,)
    plain = tuple(p.numpy() if isinstance(p, numgrad.Tensor) else p for p in parts)
    assert np.array_equal(numgrad.tensor(values)[index].numpy(), values[plain])


def test_dtypes() -> None:
    assert find(strategies.dtypes(), lambda d: True) is numgrad.float32
    assert find(strategies.dtypes(floating=False, integers=False), lambda d: True) is numgrad.bool
    with pytest.raises(ValueError, match="at least one"):
        strategies.dtypes(floating=False, integers=False, boolean=False)


def test_hypothesis_is_needed_for_strategies_only() -> None:
    code = """
import sys
sys.modules["hypothesis"] = None
import numgrad.testing
numgrad.testing.check_op(numgrad.exp, only="errors")
try:
    numgrad.testing.strategies
except ImportError as error:
    assert "pip install hypothesis" in str(error), error
else:
    raise SystemExit("no error")
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
