"""as_strided: what it is a view of, and where gradients go."""

from __future__ import annotations

import pytest

import numgrad


def test_it_is_a_view_of_the_memory_below() -> None:
    x = numgrad.arange(12.0).view(3, 4)
    found = x.t()[1:].as_strided((2, 3), (1, 2))  # from element 1 on
    assert found.tolist() == [[1, 3, 5], [2, 4, 6]] and found.stride() == (1, 2) and found.storage_offset() == 1
    assert x[1].as_strided((2,), (1,), 0).tolist() == [0, 1]  # outside of what x[1] shows
    x[0, 3] = 9
    assert found[0, 1] == 9
    found.add_(1)
    assert x[0, 3] == 10
    assert x.as_strided((), (), 5).item() == 6 and x.as_strided((0, 2), (9, 9)).shape == (0, 2)


def test_gradients_add_up_where_elements_lie() -> None:
    x = numgrad.arange(6.0, requires_grad=True)
    (x * 1).as_strided((3, 3), (1, 1), 1).sum().backward()
    assert x.grad.tolist() == [0, 1, 2, 3, 2, 1]
    x.grad, y = None, (x * 2).view(2, 3)
    y.t().as_strided((2, 2), (3, 1)).mul_(5)  # written through, transposed, to y
    y.sum().backward()
    assert x.grad.tolist() == [10, 10, 2, 10, 10, 2]
    row = (x * 2).view(2, 3)[1]
    (grad,) = numgrad.autograd.grad(row.as_strided((2,), (2,)).sum(), row)
    assert grad.tolist() == [1, 0, 1]


def test_what_is_not_contiguous_below_is_refused() -> None:
    with pytest.raises(RuntimeError, match="contiguous"):
        numgrad.ones(3, 2).t().detach().as_strided((2,), (1,))
