"""What the lane `steps` does a million times, a few thousand times."""

from __future__ import annotations

import sys

import pytest

from tests.lanes.steps import descent

pytestmark = [pytest.mark.native, pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")]


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_steps_neither_drift_nor_leak(compiled: bool) -> None:
    off, bound, grown = descent(5000, compiled)
    assert off <= bound and grown <= 2048
