"""The tracer: what is recorded, in what order it is walked back, what is kept and for how long, and who may change what."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import numgrad
from numgrad import autograd
from numgrad.ops.record import Op
from numgrad.testing import assert_close, check_gradients, check_second_gradients

EXACT = {"rtol": 0, "atol": 0}


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


# --- the walk back --------------------------------------------------------------------------------------------------


def test_a_chain_of_100_000_nodes() -> None:
    """Neither backward nor freeing the graph may recurse."""
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    y.backward()
    same(x.grad, 1.0)
    y = x
    for _ in range(100_000):
        y = -y
    del y  # never walked back: freed all the same


def test_deep_diamonds_cost_linear_time() -> None:
    """2**60 paths; each node is visited once."""
    x = leaf(1.0)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    same(x.grad, 2.0**60)


def test_nodes_wait_for_all_that_used_them() -> None:
    """A value used early and late gets both contributions before it is passed on."""
    x = leaf(2.0)
    a = x * x
    b = a * 3.0
    c = b * a + a
    c.backward()  # c = 3 x^4 + x^2
    same(x.grad, 12 * 2.0**3 + 2 * 2.0)


def test_gradients_add_up() -> None:
    x = leaf(3.0)
    (x * x).backward()
    (x * x).backward()
    same(x.grad, 12.0)
    grad = x.grad
    x.grad = None
    (x * 2.0).backward()
    same(x.grad, 2.0)
    same(grad, 12.0)


def test_two_leaves_never_share_a_gradient() -> None:
    """The gradients of a + b are one and the same tensor: `.grad` of each leaf must not be."""
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (a + b).backward(numgrad.ones(2, dtype=numgrad.float64))
    a.grad.zero_()
    same(b.grad, 1.0, 1.0)
    upstream = numgrad.ones(2, dtype=numgrad.float64)
    c = leaf(5.0, 6.0)
    (c + 0.0).backward(upstream)
    c.grad.mul_(7.0)
    same(upstream, 1.0, 1.0)


def test_grad_of_a_leaf_is_not_a_view_of_what_came_in() -> None:
    a = leaf(1.0, 2.0, 3.0)
    upstream = numgrad.ones(3, dtype=numgrad.float64)
    a.view(3).backward(upstream)
    a.grad.add_(1.0)
    same(upstream, 1.0, 1.0, 1.0)


def test_accumulating_in_place_keeps_the_tensor() -> None:
    """An optimizer may hold on to `.grad`: the next backward adds to the same memory."""
    x = leaf(1.0)
    (x * 2.0).backward()
    before = x.grad
    (x * 2.0).backward()
    assert x.grad is before
    same(before, 4.0)


def test_several_roots_and_given_gradients() -> None:
    x = leaf(1.0, 2.0)
    autograd.backward(
        [x * 2.0, x * x], [numgrad.tensor([1.0, 10.0]).double(), numgrad.tensor([100.0, 1000.0]).double()]
    )
    same(x.grad, 2.0 + 200.0, 20.0 + 4000.0)


def test_backward_into_chosen_inputs_only() -> None:
    x, w = leaf(2.0), leaf(5.0)
    y = x * w
    (y * y).backward(inputs=[w])
    same(w.grad, 2 * 10.0 * 2.0)
    assert x.grad is None
    with pytest.raises(RuntimeError, match="empty"):
        (x * w).backward(inputs=[])


def test_no_gradient_flows_through_integers_or_comparisons() -> None:
    x = leaf(1.5, -2.0)
    assert not (x > 0).requires_grad and not x.long().requires_grad
    numgrad.where(x > 0, x * x, x).sum().backward()
    same(x.grad, 3.0, 1.0)


def test_what_backward_refuses() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="scalar outputs"):
        (x * 2.0).backward()
    with pytest.raises(RuntimeError, match="does not require grad"):
        numgrad.ones(1).backward()
    with pytest.raises(RuntimeError, match="Mismatch in shape"):
        (x * 2.0).backward(numgrad.ones(3, dtype=numgrad.float64))
    with pytest.raises(RuntimeError, match="floating point"):
        numgrad.tensor([1, 2]).requires_grad_()


# --- autograd.grad --------------------------------------------------------------------------------------------------


def test_grad_returns_and_does_not_accumulate() -> None:
    x, y = leaf(2.0), leaf(3.0)
    gx, gy = autograd.grad(x * y, (x, y))
    same(gx, 3.0)
    same(gy, 2.0)
    assert x.grad is None and y.grad is None


def test_grad_of_a_value_in_the_middle_and_of_the_output_itself() -> None:
    x = leaf(2.0)
    middle = x * x
    y = middle * 5.0
    g_middle, g_x = autograd.grad(y, (middle, x), retain_graph=True)
    same(g_middle, 5.0)
    same(g_x, 20.0)
    (g_y,) = autograd.grad(y, y)
    same(g_y, 1.0)


def test_grad_with_the_same_input_twice() -> None:
    x = leaf(2.0)
    first, second = autograd.grad(x * x, (x, x))
    same(first, 4.0)
    same(second, 4.0)


def test_unused_inputs() -> None:
    x, unused = leaf(2.0), leaf(1.0, 1.0)
    with pytest.raises(RuntimeError, match="not have been used"):
        autograd.grad(x * x, (x, unused))
    assert autograd.grad(x * x, (x, unused), allow_unused=True)[1] is None
    same(autograd.grad(x * x, (x, unused), materialize_grads=True)[1], 0.0, 0.0)
    with pytest.raises(RuntimeError, match="does not require grad"):
        autograd.grad(x * x, numgrad.ones(1))


# --- higher orders --------------------------------------------------------------------------------------------------


def test_third_derivative() -> None:
    """x^4 -> 4 x^3 -> 12 x^2 -> 24 x, and again with exp in between."""
    x = leaf(1.5)
    y = x * x * x * x
    for expected in (4 * 1.5**3, 12 * 1.5**2, 24 * 1.5):
        (y,) = autograd.grad(y, x, create_graph=True)
        same(y, expected)
    z = (x * x).exp()  # f' = 2x f, f'' = (2 + 4x^2) f, f''' = (12x + 8x^3) f
    value = np.exp(2.25)
    for expected in (3.0 * value, (2 + 9.0) * value, (18.0 + 27.0) * value):
        (z,) = autograd.grad(z, x, create_graph=True)
        same(z, expected)


def test_create_graph_in_backward_makes_a_differentiable_grad() -> None:
    x = leaf(3.0)
    (x * x * x).backward(create_graph=True)
    assert x.grad.requires_grad
    (again,) = autograd.grad(x.grad, x)
    same(again, 18.0)
    x.grad = None  # breaks the cycle x -> grad -> graph -> x


def test_gradients_of_a_small_network_to_second_order() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=s) for s in ((4, 3), (5, 3), (5,), (1, 5))]

    def network(x: Any, w: Any, b: Any, v: Any) -> Any:
        return (((x @ w.t() + b).tanh() @ v.t()) ** 2).mean()

    check_gradients(network, arrays)
    check_second_gradients(network, arrays)


# --- memory ---------------------------------------------------------------------------------------------------------


def test_a_graph_is_no_cycle(counted: None) -> None:
    """Dropping the last reference frees every node and array at once, used or not; also ops that keep their output."""
    x = leaf(0.5, 1.5)
    y = x.exp().tanh().sqrt().sigmoid().sum()
    nodes = [weakref.ref(y.grad_fn)]
    while nodes[-1]() is not None and isinstance(nodes[-1]().next_functions[0][0], autograd.Node):
        nodes.append(weakref.ref(nodes[-1]().next_functions[0][0]))
    assert len(nodes) >= 5
    del y
    assert all(node() is None for node in nodes)


def test_memory_is_freed_while_backward_passes(counted: None) -> None:
    """When the gradient arrives at an early node, what later nodes had saved is gone already."""
    x = leaf(*range(1, 100))
    early = x * 1.0
    saved = early.exp()
    array = weakref.ref(saved._data)
    y = (saved * saved).sum()
    alive: list[bool] = []
    early.register_hook(lambda g: alive.append(array() is not None))
    del saved
    y.backward()
    assert alive == [False]


def test_a_backward_leaves_nothing_behind(counted: None) -> None:
    x = leaf(1.0, 2.0)
    loss = ((x * x).exp() + x).sum()
    node = weakref.ref(loss.grad_fn)
    loss.backward()
    del loss
    assert node() is None


def test_a_failed_backward_leaves_nothing_behind(counted: None) -> None:
    x = leaf(1.0, 2.0)
    y = x * 2.0

    def fail(grad: Any) -> None:
        raise KeyError("stop")

    y.register_hook(fail)
    loss = (y * y).sum()
    node = weakref.ref(loss.grad_fn)
    with pytest.raises(KeyError, match="stop"):
        loss.backward()
    del loss, y
    assert node() is None


def test_retained_gradients_and_hooks_are_no_cycle(counted: None) -> None:
    x = leaf(1.0)
    y = x * 2.0
    y.retain_grad()
    (y * y).backward()
    same(y.grad, 4.0)
    gone = weakref.ref(y.grad_fn)
    del y
    assert gone() is None


def test_detached_values_do_not_hold_the_graph(counted: None) -> None:
    x = leaf(1.0)
    y = x * 2.0
    node, kept = weakref.ref(y.grad_fn), y.detach()
    del y
    assert node() is None
    same(kept, 2.0)


# --- walking back twice ---------------------------------------------------------------------------------------------


def test_a_graph_is_walked_once() -> None:
    x = leaf(2.0)
    y = x * x
    y.backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()


def test_retain_graph() -> None:
    x = leaf(2.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()
    same(x.grad, 12.0)


def test_a_shared_part_is_released_too() -> None:
    x = leaf(2.0)
    shared = x * x
    (shared * 2.0).backward()
    with pytest.raises(RuntimeError, match="second time"):
        (shared * 3.0).backward()


# --- in place -------------------------------------------------------------------------------------------------------


def test_what_backward_needs_may_not_be_overwritten() -> None:
    x = leaf(1.0, 2.0)
    y = x * 1.0
    z = y * y
    y.add_(1.0)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation(.|\n)*version 1"):
        z.sum().backward()


def test_an_output_that_backward_needs_may_not_be_overwritten() -> None:
    x = leaf(1.0, 2.0)
    y = x.exp()
    y.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_what_backward_does_not_need_may() -> None:
    """The gradient of a sum needs shapes only, that of a product with a constant the constant only."""
    x = leaf(1.0, 2.0)
    y = x * 3.0
    z = y + 1.0
    y.zero_()
    z.sum().backward()
    same(x.grad, 3.0, 3.0)


def test_overwriting_a_view_counts_for_its_base_and_the_other_way_round() -> None:
    for change in (lambda base, view: view.zero_(), lambda base, view: base.zero_()):
        x = leaf(1.0, 2.0)
        base = x * 1.0
        view = base[:1]
        squares = base * base, view * view
        change(base, view)
        for square in squares:
            with pytest.raises(RuntimeError, match="inplace"):
                square.sum().backward(retain_graph=True)


def test_leaves_that_require_grad_may_not_be_overwritten() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        x.add_(1.0)
    with pytest.raises(RuntimeError, match="view of a leaf"):
        x[:1].zero_()
    with numgrad.no_grad():
        x.add_(1.0)
        x[:1].mul_(5.0)
    same(x.detach(), 10.0, 3.0)
    assert x.is_leaf and x.requires_grad


def test_in_place_on_a_computed_tensor() -> None:
    """y = 3x; y *= x (in place); y += 1: dy/dx = 6x."""
    x = leaf(1.0, 2.0)
    y = x * 3.0
    y.mul_(x)
    y += 1.0
    y.sum().backward()
    same(y.detach(), 4.0, 13.0)
    same(x.grad, 6.0, 12.0)


def test_a_tensor_without_grad_takes_part_once_written_with_one() -> None:
    x = leaf(2.0, 3.0)
    y = numgrad.ones(2, dtype=numgrad.float64)
    y.mul_(x).mul_(x)
    assert y.requires_grad and not y.is_leaf
    y.sum().backward()
    same(x.grad, 4.0, 6.0)


def test_in_place_with_itself() -> None:
    x = leaf(2.0, 3.0)
    y = x * 1.0
    y.mul_(y)
    y.sum().backward()
    same(x.grad, 4.0, 6.0)


def test_writing_into_a_view_changes_the_base_and_its_gradient() -> None:
    """base = x; base[0] *= w: gradients as if base were put together from its parts."""
    x, w = leaf(1.0, 2.0, 3.0), leaf(5.0)
    base = x * 1.0
    base[0].mul_(w)
    (base * base).sum().backward()
    same(x.grad, 2 * 25.0, 4.0, 6.0)
    same(w.grad, 2 * 5.0)


def test_writing_into_the_base_changes_views_and_their_gradients() -> None:
    x = leaf(1.0, 2.0, 3.0)
    base = x * 1.0
    view = base[1:]
    base.mul_(base.detach().clone())
    (view * view).sum().backward()  # view = (4, 9); d/dx of (c x)^2 = 2 c^2 x with c = x
    same(view.detach(), 4.0, 9.0)
    same(x.grad, 0.0, 2 * 4 * 2.0, 2 * 9 * 3.0)


def test_views_of_views_transposed_and_written_twice() -> None:
    rng = np.random.default_rng(0)

    def in_place(x: Any, w: Any) -> Any:
        base = x * 2.0
        inner = base.t()[1:].view(2, 3) if base.t()[1:].is_contiguous() else base.t()[1:]
        inner.mul_(w)
        base.t()[0].add_(w.sum())
        inner[:, 0].exp_()
        return base * base

    def out_of_place(x: Any, w: Any) -> Any:
        rows = list((x * 2.0).t().unbind(0))
        rows[0] = rows[0] + w.sum()
        for i in (1, 2):
            scaled = rows[i] * w[i - 1]
            rows[i] = numgrad.cat([scaled[:1].exp(), scaled[1:]])
        base = numgrad.stack(rows).t()
        return base * base

    arrays = [rng.uniform(0.3, 1, (3, 3)), rng.uniform(0.3, 1, (2, 3))]
    check_gradients(in_place, arrays)
    found, expected = ([f(*[numgrad.tensor(a) for a in arrays])] for f in (in_place, out_of_place))
    assert_close(found, expected)
    for f in (in_place, out_of_place):
        tensors = [numgrad.tensor(a).requires_grad_() for a in arrays]
        expected.append(autograd.grad(f(*tensors).sum(), tensors))
    assert_close(expected[1], expected[2])


def test_assignment_by_index() -> None:
    x, w = leaf(1.0, 2.0, 3.0), leaf(7.0)
    y = x * 2.0
    y[1] = w * w
    y[numgrad.tensor([True, False, False])] = 0.0
    y.sum().backward()
    same(y.detach(), 0.0, 49.0, 6.0)
    same(x.grad, 0.0, 0.0, 2.0)
    same(w.grad, 14.0)


def test_in_place_what_cannot_be() -> None:
    x = numgrad.ones(2, dtype=numgrad.int64)
    with pytest.raises(RuntimeError, match="can't be cast"):
        x.add_(1.5)
    with pytest.raises(RuntimeError, match="broadcast|shape"):
        x.add_(numgrad.ones(3, 2, dtype=numgrad.int64))
    with pytest.raises(RuntimeError, match="single memory location"):
        numgrad.ones(1).expand(3).add_(1.0)


def test_versions() -> None:
    x = numgrad.ones(2)
    view, apart = x.view(2), x.detach()
    assert x._version == 0
    view.add_(1.0)
    assert x._version == view._version == apart._version == 1
    x.data.add_(1.0)
    assert x._version == 1, "changes through .data are not counted"


# --- hooks ----------------------------------------------------------------------------------------------------------


def test_hooks_see_and_replace_gradients() -> None:
    x = leaf(1.0, 2.0)
    y = x * 3.0
    seen = []
    handle = y.register_hook(lambda g: seen.append(g.tolist()))
    y.register_hook(lambda g: g * 10.0)
    (y * 2.0).sum().backward()
    assert seen == [[2.0, 2.0]]
    same(x.grad, 60.0, 60.0)
    handle.remove()
    handle.remove()
    (x * 3.0).sum().backward()
    assert len(seen) == 1


def test_a_hook_on_a_leaf_runs_once_with_the_sum() -> None:
    x = leaf(1.0)
    seen = []
    x.register_hook(lambda g: seen.append(g.item()) or g / 5.0)
    (x * 2.0 + x * 3.0).backward()
    assert seen == [5.0]
    same(x.grad, 1.0)


def test_post_accumulate_hooks() -> None:
    """The hook sees `.grad` complete, and may step and clear it."""
    x = leaf(1.0)
    seen = []

    def hook(tensor: Any) -> None:
        seen.append(tensor.grad.item())
        tensor.grad = None

    handle = x.register_post_accumulate_grad_hook(hook)
    (x * 4.0).backward()
    assert seen == [4.0] and x.grad is None
    handle.remove()
    (x * 4.0).backward()
    assert len(seen) == 1
    with pytest.raises(RuntimeError, match="non-leaf"):
        (x * 1.0).register_post_accumulate_grad_hook(hook)


def test_retain_grad() -> None:
    x = leaf(2.0)
    y = x * x
    y.retain_grad()
    y.retain_grad()
    assert y.retains_grad and not x.retains_grad
    (y * 3.0).backward()
    same(y.grad, 3.0)
    with pytest.raises(RuntimeError, match="requires_grad=False"):
        numgrad.ones(1).retain_grad()
    with pytest.raises(RuntimeError, match="doesn't require gradient"):
        numgrad.ones(1).register_hook(print)


# --- modes ----------------------------------------------------------------------------------------------------------


def test_no_grad_and_enable_grad() -> None:
    x = leaf(1.0)
    with numgrad.no_grad():
        assert not (x * 2.0).requires_grad and not numgrad.is_grad_enabled()
        with numgrad.enable_grad():
            assert (x * 2.0).requires_grad
        assert not (x * 2.0).requires_grad
    assert (x * 2.0).requires_grad and numgrad.is_grad_enabled()


def test_modes_are_restored_after_an_exception() -> None:
    with pytest.raises(KeyError), numgrad.no_grad():
        raise KeyError
    assert numgrad.is_grad_enabled()
    with pytest.raises(KeyError), numgrad.inference_mode():
        raise KeyError
    assert numgrad.is_grad_enabled() and not numgrad.is_inference_mode_enabled()


@pytest.mark.parametrize(
    "decorate",
    [
        lambda f: numgrad.no_grad()(f),
        lambda f: numgrad.no_grad(f),
        lambda f: numgrad.inference_mode()(f),
        lambda f: numgrad.set_grad_enabled(False)(f),
    ],
)
def test_modes_as_decorators(decorate: Any) -> None:
    x = leaf(1.0)

    @decorate
    def double(value: Any, depth: int = 2) -> Any:
        """Twice the value."""
        return double(value, depth - 1) if depth else value * 2.0

    assert numgrad.is_grad_enabled(), "decorating must not switch anything"
    assert double.__name__ == "double" and double.__doc__ == "Twice the value."
    assert not double(x).requires_grad
    assert numgrad.is_grad_enabled()


def test_a_decorated_generator_holds_its_mode_only_while_it_runs() -> None:
    x = leaf(1.0)

    @numgrad.no_grad()
    def values() -> Iterator[Any]:
        received = yield x * 2.0
        assert received == "sent"
        yield x * 3.0
        return "returned"

    generator = values()
    assert not next(generator).requires_grad
    assert (x * 1.0).requires_grad
    assert not generator.send("sent").requires_grad
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == "returned"


def test_set_grad_enabled() -> None:
    x = leaf(1.0)
    numgrad.set_grad_enabled(False)
    assert not (x * 2.0).requires_grad
    numgrad.set_grad_enabled(True)
    with numgrad.set_grad_enabled(False):
        assert not (x * 2.0).requires_grad
    assert (x * 2.0).requires_grad


def test_inference_mode() -> None:
    x = leaf(1.0)
    with numgrad.inference_mode():
        assert not (x * 2.0).requires_grad and numgrad.is_inference_mode_enabled()
    with numgrad.inference_mode(False):
        assert (x * 2.0).requires_grad


def test_modes_belong_to_a_thread() -> None:
    seen = []
    with numgrad.no_grad():
        other = threading.Thread(target=lambda: seen.append(numgrad.is_grad_enabled()))
        other.start()
        other.join()
    assert seen == [True]


def test_views_made_without_grad_are_views_all_the_same() -> None:
    x = numgrad.zeros(2, dtype=numgrad.float64)
    with numgrad.no_grad():
        x[0].fill_(5.0)
    same(x, 5.0, 0.0)


def test_anomaly_mode_names_the_forward_call() -> None:
    x = leaf(0.0)
    with autograd.detect_anomaly():
        y = (x * 0.0).sqrt()  # the line to be named
        with pytest.raises(RuntimeError, match=r"nan(.|\n)*the line to be named"):
            (y * 0.0).backward()
    assert not autograd.mode.anomaly


def test_anomaly_mode_without_looking_for_nan() -> None:
    x = leaf(0.0)
    with autograd.detect_anomaly(check_nan=False):
        ((x * 0.0).sqrt() * 0.0).backward()
        assert np.isnan(x.grad.numpy())
        with autograd.detect_anomaly(), pytest.raises(RuntimeError, match="nan"):
            ((x * 0.0).sqrt() * 0.0).backward()
        ((x * 0.0).sqrt() * 0.0).backward()


# --- what a tensor says about itself ----------------------------------------------------------------------------------


def test_leaves_and_nodes() -> None:
    x = leaf(1.0)
    y = x * 2.0
    assert x.is_leaf and x.grad_fn is None and not y.is_leaf
    assert "Mul" in y.grad_fn.name()
    (accumulate, _), *_ = y.grad_fn.next_functions
    assert accumulate.variable is x
    with pytest.raises(RuntimeError, match="leaf variables"):
        y.requires_grad = False
    assert y.detach().is_leaf and not y.detach().requires_grad
    y.detach_()
    assert y.is_leaf and not y.requires_grad


def test_detach_shares_memory() -> None:
    x = leaf(1.0, 2.0)
    x.detach()[0] = 9.0
    same(x.detach(), 9.0, 2.0)


def test_recursion_limit_is_never_in_the_way() -> None:
    """A graph much deeper than the recursion limit, with create_graph."""
    depth = sys.getrecursionlimit() * 3
    x = leaf(1.0)
    y = x
    for _ in range(depth):
        y = y * 1.0
    (g,) = autograd.grad(y, x, create_graph=True)
    same(g.detach(), 1.0)


def test_only_gradients_that_are_asked_for_are_computed() -> None:
    ran: list[str] = []
    rules = (lambda g, b: ran.append("x") or g * b, lambda g, a: ran.append("y") or g * a)
    op = Op("note_which_rules_run", lambda a, b: a * b, vjp=rules)
    x, y = (numgrad.tensor([2.0, 3.0], requires_grad=True) for _ in range(2))
    (gx,) = numgrad.autograd.grad(op(x, y).sum(), [x])
    assert ran == ["x"] and gx.tolist() == [2.0, 3.0]
    op(x, y).sum().backward(inputs=[y])
    assert ran == ["x", "y"] and y.grad.tolist() == [2.0, 3.0] and x.grad is None
    found = numgrad.autograd.grad(op(x, x).sum(), [x])[0]  # both ways lead there
    assert ran == ["x", "y", "x", "y"] and found.tolist() == [4.0, 6.0]
    joined = numgrad.cat([x, y])
    assert numgrad.autograd.grad((joined * joined).sum(), [y])[0].tolist() == [4.0, 6.0]


def test_results_that_no_gradient_needs_may_be_written_to():
    """As in PyTorch: `out = bn(x); out += shortcut`, `relu_(max_pool2d(x))`, `(x / s).mul_(w)`."""
    functional = numgrad.nn.functional
    calls = {
        "batch_norm": lambda x: functional.batch_norm(x, None, None, training=True),
        "layer_norm": lambda x: functional.layer_norm(x, (4, 4)),
        "max_pool2d": lambda x: functional.max_pool2d(x, 2),
        "max": lambda x: x.max(1).values,
        "sort": lambda x: x.sort(-1).values,
        "cummax": lambda x: x.cummax(1).values,
        "topk": lambda x: x.topk(2).values,
        "div": lambda x: 1.0 / (x + 9),
    }
    for name, call in calls.items():
        x = numgrad.randn(2, 3, 4, 4, requires_grad=True)
        wanted = numgrad.autograd.grad((call(x) * 2).square().sum(), x)[0]
        y = call(x)
        y *= 2
        found = numgrad.autograd.grad(y.square().sum(), x)[0]
        assert np.allclose(found, wanted, rtol=1e-5, atol=1e-6), name


def test_grad_has_the_arguments_of_pytorch():
    x, other = numgrad.ones(2, requires_grad=True), numgrad.ones(2, requires_grad=True)
    grad = numgrad.autograd.grad
    assert grad(x.sum(), x, None, None, False, True, None)[0].tolist() == [1.0, 1.0]
    assert grad(x.sum(), [x, other], only_inputs=True, allow_unused=True)[1] is None
    assert grad(x.sum(), [x, other], materialize_grads=True)[1].tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match="materialize_grads"):
        grad(x.sum(), [x, other], allow_unused=False, materialize_grads=True)
    with pytest.warns(FutureWarning, match="only_inputs"):
        grad(x.sum(), x, only_inputs=False)


def test_gradients_of_one_operation() -> None:
    """Leaves that went into it twice, in another dtype or shape, not at all; hooks see what arrives, and change it."""
    x = numgrad.tensor([1.0, 2.0], requires_grad=True)
    row = numgrad.tensor([[3.0], [4.0]], dtype=numgrad.float64, requires_grad=True)
    unused = numgrad.tensor([1.0], requires_grad=True)
    y = x * x
    found = numgrad.autograd.grad(y, [x, unused], numgrad.ones(2), retain_graph=True, allow_unused=True)
    assert found[0].tolist() == [2.0, 4.0] and found[1] is None
    by_x, by_row = numgrad.autograd.grad(x * row, (x, row), numgrad.ones(2, 2, dtype=numgrad.float64))
    assert by_x.tolist() == [7.0, 7.0] and by_x.dtype == numgrad.float32
    assert by_row.tolist() == [[3.0], [3.0]] and by_row.dtype == numgrad.float64
    x.register_hook(lambda g: g * 10)
    assert numgrad.autograd.grad(y, x, numgrad.ones(2))[0].tolist() == [20.0, 40.0]
    with pytest.raises(RuntimeError, match="second time"):
        numgrad.autograd.grad(y, x, numgrad.ones(2))


def test_what_keeps_nothing_can_be_gone_back_through_again() -> None:
    """As in PyTorch: what a constant, a view or a sum leads to may be shared by two losses without retain_graph."""
    for way in (lambda x: x + 1, lambda x: -x, lambda x: x.view(3, 1), lambda x: x.expand(2, 3), lambda x: x[1:], lambda x: x.sum() - 3):
        x = numgrad.randn(3, requires_grad=True)
        y = way(x)
        y.sum().backward()
        once = x.grad.clone()
        y.sum().backward()
        assert numgrad.equal(x.grad, 2 * once)
    for way in (lambda x: x * x, numgrad.exp, numgrad.relu):
        y = way(numgrad.randn(3, requires_grad=True))
        y.sum().backward()
        with pytest.raises(RuntimeError, match="second time"):
            y.sum().backward()
