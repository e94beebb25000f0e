"""What goes wrong in training scripts ends in PyTorch's type of error, in words that say what came and what was expected."""

from __future__ import annotations

import warnings

import pytest

import numgrad
from tests.surface import mistakes_of_shape  # noqa: F401 (registers its own)
from tests.surface.mistakes import CASES

pytestmark = pytest.mark.interpreted


@pytest.mark.parametrize("name", CASES)
def test_mistake(name: str) -> None:
    program, kind, wanted = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind is None:
            assert program(numgrad) == wanted
            return
        with pytest.raises(Exception) as caught:
            program(numgrad)
    assert type(caught.value).__name__ == kind and wanted in str(caught.value), f"{type(caught.value).__name__}: {caught.value}"
