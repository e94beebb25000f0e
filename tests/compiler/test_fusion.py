"""Fusion: what is merged, what must not be, and that numbers stay what they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import numgrad
import numgrad.nn.functional as functional
from numgrad.jit.program import Call


def compiled(function: Callable[..., Any], *calls: tuple[Any, ...]) -> list[Call]:
    """The calls of a function's program, after its results have been compared with eager ones."""
    run = numgrad.compile(function, fullgraph=True)
    with numgrad.no_grad():
        for arguments in [*calls] * 3:
            wanted, found = function(*arguments), run(*arguments)
            for a, b in zip(_flat(wanted), _flat(found), strict=True):
                # One rounding (6e-8) left out for each product that meets a sum; differences of near equals make more of it.
                np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=3e-6, atol=1e-6)
    (kind,) = run._kinds.values()
    (variant,) = kind.variants
    return [s for s in variant.steps if type(s) is Call]


def _flat(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value]


def random(*shapes: tuple[int, ...]) -> tuple[Any, ...]:
    generator = np.random.default_rng(0)
    return tuple(numgrad.tensor(generator.normal(size=s).astype(np.float32)) for s in shapes)


def test_a_chain_becomes_one_launch() -> None:
    steps = compiled(lambda x: (x.exp() * 2 + 1).tanh(), random((5, 7)))
    assert len(steps) == 1


def test_intermediates_are_not_stored() -> None:
    (step,) = compiled(lambda x, y: (x * y + x).sigmoid() - y, random((40,), (40,)))
    assert len([a for a in step.args if hasattr(a, "memory")]) == 3  # one output, two inputs


def test_several_results_of_one_loop() -> None:
    steps = compiled(lambda x: (x.sin(), x.cos(), x.sin() * x.cos()), random((30,)))
    assert len(steps) == 1


def test_broadcast_operands() -> None:
    steps = compiled(lambda x, row, column: ((x + row) * column).relu() + x * 2, random((6, 5), (5,), (6, 1)))
    assert len(steps) == 1


def test_broadcasts_over_different_dimensions() -> None:
    steps = compiled(lambda x, a, b: (x + a) * b - x, random((4, 3, 5), (3, 1), (4, 1, 1)))
    assert len(steps) == 1


def test_transposed_operands() -> None:
    steps = compiled(lambda x, y: (x.t() + y) * y, random((4, 6), (6, 4)))
    assert len(steps) == 1


def test_a_reduction_between_stays_between() -> None:
    steps = compiled(lambda x: (x - x.exp().mean(0)) * 2, random((8, 4)))
    assert 2 <= len(steps) <= 4


def test_launches_of_other_sizes_in_between_do_not_stop_it() -> None:
    steps = compiled(lambda x, y: (x.exp(), y.exp().sqrt(), (x.exp() + 1).log()), random((9,), (4,)))
    assert len(steps) == 2


def test_overwritten_operands() -> None:
    def function(x: Any, y: Any) -> Any:
        z = x * 2
        w = z + y
        z.add_(1)  # w has seen what was before
        z.mul_(w)
        return z, w

    assert len(compiled(function, random((12,), (12,)))) == 1


def test_parts_of_one_array() -> None:
    def function(x: Any) -> Any:
        z = x * 2
        z[4:].mul_(z[:8])  # disjoint or not, as NumPy has it
        z[:4].add_(z[8:]).mul_(3)
        z.mul_(z[0])
        return z, z.exp() * z

    compiled(function, random((12,)))


def test_a_shifted_read_of_what_was_written_is_not_fused() -> None:
    def function(x: Any) -> Any:
        z = x * 2
        return z[1:] + z[:-1]

    assert len(compiled(function, random((12,)))) == 2


def test_a_matrix_is_not_confused_with_its_transpose() -> None:
    def function(x: Any) -> Any:
        z = x * 2
        return z + z.t()

    assert len(compiled(function, random((5, 5)))) == 2


def test_moving_past_a_group_that_has_moved() -> None:
    def function(x: Any, w: Any) -> Any:
        a = x * 2
        p = x @ w
        b = a + p  # a sinks to here
        c = b.exp()
        q = b @ w
        d = c - q
        return d, a * d

    compiled(function, random((4, 4), (4, 4)))


def test_mixed_dtypes() -> None:
    def function(x: Any, i: Any) -> Any:
        mask = x > 0
        return numgrad.where(mask, x * i, x / 2), (i * 2).float() + x, mask

    x = random((10,))[0]
    compiled(function, (x, numgrad.arange(10)))


def test_scalars_and_single_elements() -> None:
    compiled(lambda x, s: (x * s + s).exp() * s, random((7,), ()))
    compiled(lambda s: (s * 2 + 1).exp(), random(()))


def test_a_product_ends_in_its_activation() -> None:
    x, weight, bias = random((6, 20), (9, 20), (9,))
    (step,) = compiled(lambda x: functional.linear(x, weight, bias).relu(), (x,))
    assert step.kernel.name == "_product"


def test_a_result_that_something_else_reads_is_not_replaced_by_its_activation() -> None:
    x, weight = random((6, 20), (9, 20))
    assert names(lambda x: (lambda y: (y.relu(), y))(functional.linear(x, weight)), (x,)) == ["_product"], "it makes both"
    compiled(lambda x: (lambda y: functional.linear(y.relu(), weight.t()) + y.mean())(functional.linear(x, weight)), (x,))


def names(function: Callable[..., Any], *calls: tuple[Any, ...]) -> list[str]:
    return [step.kernel.name for step in compiled(function, *calls)]


def test_a_sum_of_two_products_is_one_added_to_the_other() -> None:
    x, v, w = random((6, 20), (20, 9), (20, 9))
    assert names(lambda x: x @ v + x @ w, (x,)) == ["_product", "_product"]
    a, b = random((12, 20_000), (20_000, 8))  # so deep that parts of it are summed
    assert names(lambda a: a @ b * 2 + a @ b, (a / 200,)) == ["_product", "_sum_parts", "_product", "_sum_parts"]


def test_a_product_begins_at_what_is_added_to_it() -> None:
    x, w, bias = random((6, 20), (20, 20), (20,))
    assert names(lambda x: x + x @ w, (x,)) == ["_product"]
    assert names(lambda x: (x @ w + x).relu(), (x,)) == ["_product"]
    assert names(lambda x, y: y + functional.linear(x, w, bias), (x, x * 2)) == ["_product"], "it has a bias, and ends in the sum"
    assert names(lambda x, y: y.exp() + functional.linear(x, w, bias), (x, x * 2)) == ["exp_kernel", "_product"]
    a, b, c = random((3, 6, 20), (3, 20, 5), (3, 6, 5))
    assert names(lambda a: c + a @ b, (a,)) == ["_product"]
    a, b, c = random((12, 20_000), (20_000, 8), (12, 8))
    assert names(lambda a: c + a @ b, (a / 200,)) == ["_product", "_sum_parts"]
    a, b, c = random((30, 4000), (4000, 1), (30, 1))
    compiled(lambda a: c + a @ b, (a / 200,))


def test_products_that_must_not_be_added_to() -> None:
    x, w, v = random((20, 20), (20, 20), (20, 20))
    assert names(lambda x: (lambda h: h + functional.linear(h, w, v[0]))(x * 2), (x,)) == ["mul_kernel", "_product"], "it ends in the sum, for it reads it"
    assert names(lambda x: (lambda p: (p + x, p))(x @ w), (x,)) == ["_product"], "it makes both"

    def changed_between(x: Any) -> Any:
        y = x * 1.5
        product = y @ w
        y.mul_(3)
        return product + y

    compiled(changed_between, (x,))


def test_training_with_activations_in_products_is_the_same() -> None:
    losses = []
    for compile in (False, True):
        numgrad.manual_seed(0)
        layers = [layer for n in (16, 16, 16) for layer in (numgrad.nn.Linear(n, 16), numgrad.nn.ReLU())]
        model = numgrad.nn.Sequential(*layers, numgrad.nn.Linear(16, 1))
        optimizer = numgrad.optim.SGD(model.parameters(), lr=0.05)

        def step(x: Any, model: Any = model, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        run = numgrad.compile(step, fullgraph=True) if compile else step
        (x,) = random((12, 16))
        losses.append([run(x).item() for _ in range(8)])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    (kind,) = run._kinds.values()
    assert "relu_kernel" not in [s.kernel.name for s in kind.variants[0].steps if type(s) is Call]
