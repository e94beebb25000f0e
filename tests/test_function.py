"""autograd.Function: operations whose forward and backward users write by hand."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import numgrad
from numgrad import autograd
from numgrad.function import once_differentiable
from numgrad.testing import assert_close, check_gradients, check_second_gradients


def leaf(*values: Any) -> Any:
    return numgrad.tensor(list(values) if len(values) > 1 else values[0], dtype=numgrad.float64).requires_grad_()


def same(actual: Any, *expected: float) -> None:
    assert_close(
        actual,
        numgrad.tensor(list(expected) if len(expected) > 1 else expected[0], dtype=numgrad.float64),
        rtol=1e-12,
        atol=1e-12,
    )


@pytest.fixture
def counted() -> Iterator[None]:
    """Only reference counts free memory here: what is found alive is held by a cycle or a leak."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Cube(autograd.Function):
    """x^3, whose backward is written in operations and can be differentiated."""

    @staticmethod
    def forward(ctx: Any, x: Any, scale: float = 1.0) -> Any:
        ctx.save_for_backward(x)
        ctx.scale = scale
        return x * x * x * scale

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * 3.0 * x * x * ctx.scale, None


def test_function_to_second_order() -> None:
    x = np.array([0.5, -1.5])
    check_gradients(lambda t: Cube.apply(t, 2.0), [x])
    check_second_gradients(lambda t: Cube.apply(t, 2.0), [x])
    assert not Cube.apply(numgrad.tensor(x), 1.0).requires_grad
    with numgrad.no_grad():
        assert not Cube.apply(leaf(1.0), 1.0).requires_grad


def test_function_that_saves_its_output_is_no_cycle(counted: None) -> None:
    class Exp(autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * ctx.saved_tensors[0]

    check_second_gradients(Exp.apply, [np.array([0.5, -1.0])])
    x = leaf(1.0)
    y = Exp.apply(x)
    node = weakref.ref(y.grad_fn)
    y.mul_(2.0)
    with pytest.raises(RuntimeError, match="inplace"):
        y.backward()
    del y
    assert node() is None


def test_function_with_several_inputs_and_outputs() -> None:
    class Both(autograd.Function):
        @staticmethod
        def forward(ctx: Any, a: Any, b: Any) -> Any:
            ctx.save_for_backward(a, b)
            return a * b, a + b, (a > b)

        @staticmethod
        def backward(ctx: Any, g_product: Any, g_sum: Any, g_mask: Any) -> Any:
            a, b = ctx.saved_tensors
            seen.append(ctx.needs_input_grad)
            return g_product * b + g_sum, g_product * a + g_sum if ctx.needs_input_grad[1] else None

    seen: list[Any] = []
    a, b = leaf(2.0), leaf(5.0)
    product, _, mask = Both.apply(a, b)
    assert not mask.requires_grad
    product.backward(retain_graph=True)  # nothing came for the sum: backward gets zeros
    same(a.grad, 5.0)
    Both.apply(a, b.detach())[1].backward()
    assert seen == [(True, True), (True, False)]


def test_function_without_materialized_gradients() -> None:
    class Pair(autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.set_materialize_grads(False)
            return x * 2.0, x * 3.0

        @staticmethod
        def backward(ctx: Any, first: Any, second: Any) -> Any:
            assert first is None
            return second * 3.0

    x = leaf(1.0)
    Pair.apply(x)[1].backward()
    same(x.grad, 3.0)


def test_function_marks() -> None:
    class Sorted(autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            values, places = x.detach() * 1.0, x.detach() * 0.0
            ctx.mark_non_differentiable(places)
            return values, places

        @staticmethod
        def backward(ctx: Any, g: Any, _: Any) -> Any:
            return g

    values, places = Sorted.apply(leaf(1.0))
    assert values.requires_grad and not places.requires_grad

    class Doubled(autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.mark_dirty(x)
            x.mul_(2.0)
            return x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2.0

    x = leaf(3.0)
    y = x * 1.0
    assert Doubled.apply(y) is y
    y.backward()
    same(x.grad, 2.0)


def test_once_differentiable() -> None:
    class Once(autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2.0 * ctx.saved_tensors[0]

    x = leaf(3.0)
    (g,) = autograd.grad(Once.apply(x), x, leaf(1.0), create_graph=True)
    same(g.detach(), 6.0)
    with pytest.raises(RuntimeError, match="twice"):
        (g * g).backward()


def test_function_mistakes() -> None:
    class Short(autograd.Function):
        @staticmethod
        def forward(ctx: Any, a: Any, b: Any) -> Any:
            return a * b

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g

    with pytest.raises(RuntimeError, match="incorrect number of gradients"):
        Short.apply(leaf(1.0), leaf(2.0)).backward()
    with pytest.raises(RuntimeError, match="should not be instantiated"):
        Short()
    y = Cube.apply(leaf(1.0), 1.0)
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_function_with_setup_context() -> None:
    class Square(autograd.Function):
        @staticmethod
        def forward(x: Any) -> Any:
            return x * x

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2.0 * g * ctx.saved_tensors[0]

    check_second_gradients(Square.apply, [np.array([0.5, 2.0])])


@pytest.mark.interpreted
def test_a_gradient_for_each_time_that_an_input_was_broadcast_is_summed() -> None:
    class Added(numgrad.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            return a + b

        @staticmethod
        def backward(ctx, g):
            return g, g

    a, b = numgrad.zeros(3, 2, requires_grad=True), numgrad.zeros(1, 1, requires_grad=True)
    Added.apply(a, b).sum().backward()
    assert b.grad.tolist() == [[6.0]] and a.grad.shape == (3, 2)
    scalar = numgrad.tensor(0.0, requires_grad=True)
    Added.apply(a, scalar).sum().backward()
    assert scalar.grad == 6
