"""Losses where the generic test does not look: numbers worked out by hand, ignored targets, extremes, messages."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numgrad as ng
from numgrad import ops


def test_cross_entropy_by_hand() -> None:
    x = ng.tensor([[0.0, math.log(3.0)], [0.0, 0.0]], requires_grad=True)
    loss = ops.cross_entropy(x, ng.tensor([1, 0]))
    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    loss.backward()
    np.testing.assert_allclose(x.grad.numpy(), [[0.125, -0.125], [-0.25, 0.25]], atol=1e-7)


def test_weighted_mean_divides_by_the_weights_of_the_targets() -> None:
    x, weight = ng.zeros(3, 2), ng.tensor([1.0, 3.0])
    target = ng.tensor([0, 1, -100])
    assert ops.cross_entropy(x, target, weight).item() == pytest.approx(math.log(2))
    assert ops.cross_entropy(x, target, weight, reduction="sum").item() == pytest.approx(4 * math.log(2))
    assert ops.cross_entropy(x, target, weight, reduction="none").tolist() == pytest.approx([math.log(2), 3 * math.log(2), 0])


def test_label_smoothing_by_hand() -> None:
    x = ng.tensor([[0.0, math.log(3.0)]])
    logs = [math.log(1 / 4), math.log(3 / 4)]
    smooth = -(0.2 / 2 * logs[0] + (0.8 + 0.2 / 2) * logs[1])
    assert ops.cross_entropy(x, ng.tensor([1]), label_smoothing=0.2).item() == pytest.approx(smooth)
    probabilities = ng.tensor([[0.0, 1.0]])
    assert ops.cross_entropy(x, probabilities, label_smoothing=0.2).item() == pytest.approx(smooth)
    weighted = ops.cross_entropy(x, ng.tensor([1]), ng.tensor([2.0, 4.0]), label_smoothing=0.2)
    assert weighted.item() == pytest.approx(-(0.1 * 2 * logs[0] + 0.9 * 4 * logs[1]) / 4)


@pytest.mark.parametrize("loss", [ops.cross_entropy, ops.nll_loss])
def test_all_ignored(loss: ng.ops.Op) -> None:
    x, target = ng.zeros(2, 3, requires_grad=True), ng.tensor([-100, -100])
    assert math.isnan(loss(x, target).item())
    assert loss(x, target, reduction="sum").item() == 0
    loss(x, target).backward()
    assert x.grad.tolist() == [[0, 0, 0], [0, 0, 0]]


def test_ignored_rows_may_hold_anything() -> None:
    x = ng.tensor([[math.nan, math.inf], [0.0, 0.0]], requires_grad=True)
    loss = ops.cross_entropy(x, ng.tensor([7, 0]), ignore_index=7)
    assert loss.item() == pytest.approx(math.log(2))
    loss.backward()
    assert x.grad.tolist() == [[0, 0], [-0.5, 0.5]]


def test_logits_far_from_zero_keep_their_digits() -> None:
    x = ng.tensor([[20000.0, 20001.0]], requires_grad=True)
    loss = ops.cross_entropy(x, ng.tensor([0]))
    assert loss.item() == pytest.approx(math.log(1 + math.e), rel=1e-6)
    loss.backward()
    assert x.grad[0, 1].item() == pytest.approx(math.e / (1 + math.e), rel=1e-6)


def test_impossible_logits() -> None:
    inf = math.inf
    assert ops.cross_entropy(ng.tensor([[0.0, -inf]]), ng.tensor([1])).item() == inf
    assert ops.cross_entropy(ng.tensor([[0.0, -inf]]), ng.tensor([0])).item() == 0
    assert math.isnan(ops.cross_entropy(ng.tensor([[-inf, -inf]]), ng.tensor([0])).item())


def test_images_are_pixels() -> None:
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(2, 3, 25, 40)), rng.integers(0, 3, (2, 25, 40))
    image = ng.tensor(x, requires_grad=True)
    pixels = ng.tensor(x.transpose(0, 2, 3, 1).reshape(-1, 3), requires_grad=True)
    a, b = ops.cross_entropy(image, ng.tensor(t)), ops.cross_entropy(pixels, ng.tensor(t.reshape(-1)))
    assert a.item() == pytest.approx(b.item(), rel=1e-13)
    a.backward(), b.backward()
    np.testing.assert_allclose(image.grad.numpy(), pixels.grad.numpy().reshape(2, 25, 40, 3).transpose(0, 3, 1, 2), rtol=1e-12, atol=1e-18)


def test_a_single_sample() -> None:
    x = ng.zeros(4)
    assert ops.cross_entropy(x, ng.tensor(2), reduction="none").shape == ()
    assert ops.cross_entropy(x, ng.tensor([2])).item() == pytest.approx(math.log(4))


def test_messages_name_the_target() -> None:
    x = ng.zeros(5000, 3)
    target = ng.zeros(5000, dtype=ng.int64)
    target[4321] = 12
    for loss in (ops.cross_entropy, ops.nll_loss):
        with pytest.raises(IndexError, match=r"Target 12 is out of bounds\."):
            loss(x, target)
    with pytest.raises(RuntimeError, match="Float"):
        ops.cross_entropy(x[:2], ng.zeros(2))


def test_weights_of_classes_have_a_gradient() -> None:
    weight = ng.tensor([1.0, 3.0], requires_grad=True)
    x = ng.tensor([[0.0, math.log(3.0)], [0.0, 0.0]])
    ops.cross_entropy(x, ng.tensor([1, 0]), weight).backward()
    first, second = math.log(4 / 3), math.log(2)
    mean = (3 * first + second) / 4
    assert weight.grad.tolist() == pytest.approx([(second - mean) / 4, (first - mean) / 4], rel=1e-5)


def test_binary_cross_entropy_is_bounded() -> None:
    x = ng.tensor([0.0, 1.0], requires_grad=True)
    loss = ops.binary_cross_entropy(x, ng.tensor([1.0, 0.0]), reduction="none")
    assert loss.tolist() == [100, 100]
    loss.sum().backward()
    assert x.grad.isfinite().all()
    with pytest.raises(RuntimeError, match="input should be between 0 and 1"):
        ops.binary_cross_entropy(ng.tensor([math.nan]), ng.tensor([1.0]))


def test_logits_do_not_overflow() -> None:
    x = ng.tensor([-1e4, 1e4], requires_grad=True)
    loss = ops.binary_cross_entropy_with_logits(x, ng.tensor([1.0, 0.0]), reduction="none")
    assert loss.tolist() == [1e4, 1e4]
    loss.sum().backward()
    assert x.grad.tolist() == [-1, 1]


def test_pieces_of_huber_meet() -> None:
    zero = ng.zeros(1)
    for d in (0.999999, 1.000001):
        assert ops.huber_loss(ng.tensor([2 * d]), zero, delta=2.0).item() == pytest.approx(2, rel=1e-5)
        assert ops.smooth_l1_loss(ng.tensor([2 * d]), zero, beta=2.0).item() == pytest.approx(1, rel=1e-5)
    assert math.isnan(ops.smooth_l1_loss(ng.tensor([math.nan]), zero).item())
