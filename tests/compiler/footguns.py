"""What the tests of footguns share: comparison of a compiled function with the eager one, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad
from numgrad.compiler import Compiled

EXACT = {"fuse": False}


def make(*values: Any) -> Any:
    return numgrad.tensor(values or [1.0, 2.0, 3.0])


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    return [leaf for v in value for leaf in leaves(v)] if isinstance(value, (list, tuple)) else [value]


def same(found: Any, wanted: Any) -> None:
    """The same nest, types, shapes, dtypes and bits."""
    assert type(found) is type(wanted)
    for a, b in zip(leaves(found), leaves(wanted), strict=True):
        if not isinstance(b, numgrad.Tensor):
            assert type(a) is type(b) and a == b
            continue
        assert (a.dtype, a.shape, a.requires_grad) == (b.dtype, b.shape, b.requires_grad)
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


def variants(compiled: Any) -> int:
    return sum(len(kind.variants) for kind in compiled._kinds.values())


def steady(function: Callable[..., Any], *calls: Any, times: int = 2, fullgraph: bool = True, **options: Any) -> Compiled:
    """The compiled function, after results of each call have been what they are eagerly; a call is a tuple of arguments."""
    run = numgrad.compile(function, fullgraph=fullgraph, options={**EXACT, **options})
    for arguments in [c for c in calls for _ in range(2)] + list(calls) * times:
        same(run(*arguments), function(*arguments))
    return run


def stays_eager(function: Callable[..., Any], reason: str, *calls: Any) -> None:
    """It is not compiled, says why, and gives right results."""
    run = numgrad.compile(function)
    with pytest.warns(UserWarning, match=reason):
        for arguments in list(calls) * 6:
            same(run(*arguments), function(*arguments))
    assert variants(run) == 0
    with pytest.raises(RuntimeError, match=reason):
        run = numgrad.compile(function, fullgraph=True)
        for arguments in list(calls) * 6:
            run(*arguments)
