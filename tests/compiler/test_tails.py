"""Products and convolutions end in the formulas that read their results: what is taken, what must not be, and the numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad
import numgrad.nn.functional as functional
from numgrad.compiler import explain

from .test_fusion import names, random


def product(*others: tuple[int, ...], rows: int = 37, depth: int = 20, columns: int = 19) -> tuple[Any, ...]:
    """Operands of a product, and arrays that its result meets."""
    return random((rows, depth), (depth, columns), *others)


def test_a_product_with_bias_and_residual() -> None:
    x, weight, bias, rest = random((37, 20), (19, 20), (19,), (37, 19))
    assert names(lambda x, rest: functional.linear(x, weight, bias) + rest, (x, rest)) == ["_product"]
    assert names(lambda x, rest: (functional.linear(x, weight, bias) + rest).relu(), (x, rest)) == ["_product"]
    assert names(lambda x, rest: functional.gelu(functional.linear(x, weight, bias) * 0.5 + rest), (x, rest)) == ["_product"]


@pytest.mark.parametrize("columns", [1, 5, 19, 64, 130])
def test_blocks_of_any_width(columns: int) -> None:
    assert names(lambda x, w, z: (x @ w + 1).tanh() * z, product((100, columns), rows=100, columns=columns)) == ["_product"]


def test_results_that_others_need() -> None:
    x, w, z = product((37, 19))
    assert names(lambda x, w, z: (lambda y: (y, y.tanh(), (y * z).exp()))(x @ w), (x, w, z)) == ["_product"]
    v = random((19, 4))[0]
    assert names(lambda x, w, z: (lambda y: (y.tanh() @ v, y @ v))(x @ w), (x, w, z)) == ["_product"] * 3


def test_broadcast_operands() -> None:
    assert names(lambda x, w, row, column, s: ((x @ w) * row + column).sigmoid() * s, product((19,), (37, 1), ())) == ["_product"]
    a, b, c, d = random((3, 6, 20), (3, 20, 5), (6, 5), (3, 1, 5))
    assert names(lambda a, c, d: (a @ b + c) * d, (a, c, d)) == ["_product"]
    assert names(lambda x, w, z: x @ w + z.t(), product((19, 37))) == ["_product"]


def test_parts_of_a_long_depth() -> None:
    a, b, c = random((12, 20_000), (20_000, 8), (12, 8))
    assert names(lambda a, c: (a @ b * c).tanh(), (a / 200, c)) == ["_product", "_sum_parts"]


def test_other_dtypes() -> None:
    x, w, z = (t.double() for t in product((37, 19)))
    assert names(lambda x, w, z: ((x @ w - z) > 0, (x @ w - z).float()), (x, w, z))[0] == "_product"
    i = numgrad.arange(60).reshape(6, 10)
    assert names(lambda i: (i @ i.t() + 3) * 2, (i,))[-1] == "_product"


def test_in_place() -> None:
    def function(x: Any, w: Any, z: Any) -> Any:
        y = x @ w
        y.mul_(z)
        y.relu_()
        return y

    assert names(function, product((37, 19))) == ["_product"]


def test_what_must_not_be_taken() -> None:
    def overwrites(x: Any) -> Any:
        y = x @ x
        x = x.clone()
        return x.copy_(y * 2) + y.t()

    names(overwrites, random((20, 20)))
    assert names(lambda x: (lambda y: y + y.t())(x @ x), random((20, 20))) == ["_product", "plus_kernel"], "another block"
    assert names(lambda x: (x @ x)[:10] * 2, random((20, 20))) == ["_product", "mul_kernel"], "a part"

    def changed(x: Any, w: Any, z: Any) -> Any:
        y, z = x @ w, z * 1
        first = y + z.sum(1, keepdim=True)
        z.mul_(3)
        return first, z, y.exp() + z

    names(changed, product((37, 19)))


def convolution(*others: tuple[int, ...], channels: int = 5, features: int = 7, size: int = 9, images: int = 3) -> tuple[Any, ...]:
    """An input, a weight and a bias, and arrays that the convolution meets."""
    return random((images, channels, size, size), (features, channels, 3, 3), (features,), *others)


@pytest.mark.parametrize(("features", "stride"), [(7, 1), (7, 2), (40, 1)])
def test_convolutions(features: int, stride: int) -> None:
    side = -(-9 // stride)
    x, w, bias, z = convolution((3, features, side, side), features=features)

    def function(x: Any, z: Any) -> Any:
        return (functional.conv2d(x, w, bias, stride, 1) + z).relu(), functional.conv2d(x, w, None, stride, 1).relu()

    assert names(function, (x, z)) == ["_pack", "_correlate"] * 2
    assert names(lambda x: functional.conv2d(x, w, bias, stride, 1).tanh() * bias[:, None, None], (x,)) == ["_pack", "_correlate"]


def test_gradients_of_inputs_are_masked() -> None:
    g, w, mask = random((3, 7, 5, 5), (7, 5, 3, 3), (3, 5, 9, 9))
    for stride, padding in ((2, 1), (1, 0)):
        size = 5 if stride == 2 else 7
        grad = numgrad.ones(3, 7, size, size) * 0.5 if stride == 1 else g

        def function(grad: Any, mask: Any, stride: int = stride, padding: int = padding) -> Any:
            return functional.conv_transpose2d(grad, w, None, stride, padding) * (mask > 0)

        assert names(function, (grad, mask)) == ["_pack", "_correlate"]


def test_one_dimension_groups_and_single_positions() -> None:
    x, w, z = random((2, 6, 31), (4, 3, 5), (2, 4, 27))
    assert names(lambda x, z: functional.conv1d(x, w, groups=2).tanh() + z, (x, z)) == ["_pack", "_correlate"]
    x, w = random((2, 6, 8, 8), (10, 6, 1, 1))
    assert names(lambda x: functional.conv2d(x, w).relu(), (x,)) == ["_pack", "_correlate"]


def _step(layers: Callable[[], list[Any]], optimizer: Any = numgrad.optim.SGD) -> tuple[Any, Any]:
    numgrad.manual_seed(0)
    model = numgrad.nn.Sequential(*layers())
    parameters = optimizer(model.parameters(), lr=0.05)

    def step(x: Any) -> Any:
        parameters.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        parameters.step()
        return loss

    return step, model


def _trained(layers: Callable[[], list[Any]]) -> list[Any]:
    """The programs of a step that has trained as the eager one does."""
    (x,) = random((12, 16))
    eager, _ = _step(layers)
    wanted = [eager(x).item() for _ in range(6)]
    step, _ = _step(layers)
    run = numgrad.compile(step, fullgraph=True)
    np.testing.assert_allclose([run(x).item() for _ in range(6)], wanted, rtol=1e-5)
    return explain(run, x).programs


def _dense() -> list[Any]:
    nn = numgrad.nn
    return [nn.Linear(16, 24), nn.Tanh(), nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 24), nn.GELU(), nn.Linear(24, 3)]


def _images() -> list[Any]:
    nn = numgrad.nn
    return [nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.Tanh(), nn.Conv2d(8, 4, 1), nn.Flatten()]


@pytest.mark.parametrize("layers", [_dense, _images])
def test_training(layers: Callable[[], list[Any]]) -> None:
    (program,) = _trained(layers)
    kernels = [name.partition("_grad0")[0].removesuffix("_kernel") for name, _, _ in program.launches]
    assert not {"relu", "tanh", "gelu_exact"} & set(kernels), kernels


@pytest.mark.native
def test_bits_are_the_same_at_any_number_of_threads() -> None:
    x, w, z, row, image, filters, rest = random((700, 64), (64, 64), (700, 64), (64,), (4, 8, 20, 20), (8, 8, 3, 3), (4, 8, 20, 20))

    def function(x: Any, image: Any) -> Any:
        y = (x @ w + z).tanh() * row
        dropped = functional.dropout(functional.layer_norm(y.t() @ x, (64,)).exp(), 0.4)
        return y, dropped, functional.conv2d(image, filters, None, 1, 1).tanh() + rest

    run = numgrad.compile(function, fullgraph=True)
    before, found = numgrad.get_num_threads(), []
    try:
        for threads in (before, before, before, before, 1):
            numgrad.set_num_threads(threads)
            numgrad.manual_seed(1)
            found.append([r.detach().numpy().tobytes() for r in run(x, image)])
    finally:
        numgrad.set_num_threads(before)
    assert found[-1] == found[-2]


def _drawn(function: Callable[..., Any], *arguments: Any) -> list[str]:
    """The kernels of a function that draws, after its results have been compared with eager ones, bit by bit."""
    run = numgrad.compile(function, fullgraph=True)
    found = []
    for called in (function, run):
        numgrad.manual_seed(3)
        with numgrad.no_grad():
            found.append([called(*arguments).numpy().tobytes() for _ in range(5)])
    assert found[0] == found[1] and len(set(found[0])) == 5
    with numgrad.no_grad():
        (program,) = explain(run, *arguments).programs
    return [name.split("_")[0] for name, _, _ in program.launches]


@pytest.mark.parametrize("shape", [(64, 64), (37, 19), (3, 5, 7), (9001,)])
def test_dropout_is_drawn_where_it_is_read(shape: tuple[int, ...]) -> None:
    x, z = random(shape, shape)
    assert _drawn(lambda x: functional.dropout(x.relu(), 0.3), x) == ["fused", "advance"]
    assert _drawn(lambda x, z: functional.dropout(x * 2, 0.5) * z * functional.dropout(z.abs(), 0.1), x, z) == ["mask", "advance", "fused", "advance"]


@pytest.mark.parametrize("columns", [5, 19, 64, 130])
def test_dropout_in_the_tail_of_a_product(columns: int) -> None:
    x, w, rest = product((37, columns), columns=columns)
    x, w = x.round(), w.round()  # sums without rounding
    assert _drawn(lambda x, w: functional.dropout((x @ w).relu(), 0.3), x, w) == ["", "advance"]
    assert _drawn(lambda x, w, rest: rest + functional.dropout(x @ w, 0.5), x, w, rest.round()) == ["", "advance"]
    image, weight = (t.round() for t in random((2, 3, 8, 8), (5, 3, 3, 3)))
    assert _drawn(lambda x: functional.dropout(functional.conv2d(x, weight).relu(), 0.3), image) == ["", "", "advance"]


def test_masks_that_are_not_drawn_elsewhere() -> None:
    (x,) = random((6, 8))
    assert "mask" in _drawn(lambda x: functional.dropout2d(x[:, :, None, None].expand(6, 8, 2, 2) * 1, 0.5), x), "one number for several"


def test_training_with_dropout() -> None:
    nn = numgrad.nn
    layers = lambda: [nn.Linear(16, 24), nn.Dropout(0.2), nn.ReLU(), nn.Linear(24, 24), nn.ReLU(), nn.Dropout(0.5), nn.LayerNorm(24), nn.Linear(24, 3)]
    assert "mask" not in [name for name, _, _ in _trained(layers)[0].launches]


def test_norms_go_on_with_what_they_made() -> None:
    x, weight, bias, rest = random((12, 20), (20,), (20,), (12, 20))
    assert names(lambda x, z: functional.layer_norm(x, (20,), weight, bias).relu() * z, (x, rest))[0].startswith("norm_rows_then_2")
    assert names(lambda x, z: functional.layer_norm(x + z, (20,)).tanh(), (x, rest))[0].startswith("norm_rows_then_1"), "and takes the sum"
    assert len(names(lambda x, z: functional.softmax(x * 2, -1) * z + bias, (x, rest))) == 1
    images, scale = random((4, 5, 6, 6), (4, 5, 6, 6))
    norm = lambda x, z: functional.batch_norm(x, None, None, weight[:5], bias[:5], True)
    assert [n for n in names(lambda x, z: (norm(x, z) + z).relu(), (images, scale)) if "then_2" in n]
    x, z = random((700, 40), (700, 40))
    assert [n for n in names(lambda x, z: (functional.batch_norm(x, None, None, None, None, True) * z).exp(), (x, z)) if "then_2" in n]


def test_dropout_after_a_norm() -> None:
    x, weight = random((37, 20), (20,))
    assert _drawn(lambda x: functional.dropout(functional.softmax(x, -1), 0.4), x) == ["softmax", "advance"]
    assert _drawn(lambda x: functional.dropout(functional.layer_norm(x, (20,), weight).relu(), 0.4), x) == ["norm", "advance"]


def test_training_through_norms() -> None:
    nn = numgrad.nn
    layers = lambda: [
        nn.Unflatten(1, (4, 2, 2)), nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(24, 24), nn.BatchNorm1d(24), nn.ReLU(),
        nn.Dropout(0.3), nn.Linear(24, 24), nn.LayerNorm(24), nn.GELU(), nn.Linear(24, 3),
    ]  # fmt: skip
    _trained(layers)
