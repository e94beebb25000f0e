"""Activations as functions and as layers."""

import numpy as np
import pytest
from scipy import special

import numgrad
from numgrad import nn
from numgrad.nn import functional as F

X = np.random.default_rng(0).normal(size=(4, 6)) * 3
SCALE, ALPHA = 1.0507009873554805, 1.6732632423543772

# a layer, and its formula
CASES = [
    (nn.Threshold(0.5, 2.0), lambda x: np.where(x > 0.5, x, 2)),
    (nn.ReLU(), lambda x: np.maximum(x, 0)),
    (nn.ReLU6(), lambda x: np.clip(x, 0, 6)),
    (nn.RReLU().eval(), lambda x: np.where(x > 0, x, x * (1 / 8 + 1 / 3) / 2)),
    (nn.Hardtanh(-1.5, 2), lambda x: np.clip(x, -1.5, 2)),
    (nn.Sigmoid(), special.expit),
    (nn.Hardsigmoid(), lambda x: np.clip(x / 6 + 0.5, 0, 1)),
    (nn.Tanh(), np.tanh),
    (nn.SiLU(), lambda x: x * special.expit(x)),
    (nn.Mish(), lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    (nn.Hardswish(), lambda x: x * np.clip(x / 6 + 0.5, 0, 1)),
    (nn.ELU(0.7), lambda x: np.where(x > 0, x, 0.7 * np.expm1(x))),
    (nn.CELU(0.7), lambda x: np.where(x > 0, x, 0.7 * np.expm1(x / 0.7))),
    (nn.SELU(), lambda x: SCALE * np.where(x > 0, x, ALPHA * np.expm1(x))),
    (nn.GLU(1), lambda x: x[:, :3] * special.expit(x[:, 3:])),
    (nn.GELU(), lambda x: x * special.ndtr(x)),
    (nn.GELU("tanh"), lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))),
    (nn.Hardshrink(0.6), lambda x: np.where(abs(x) > 0.6, x, 0)),
    (nn.Softshrink(0.6), lambda x: np.sign(x) * np.maximum(abs(x) - 0.6, 0)),
    (nn.LeakyReLU(0.2), lambda x: np.where(x > 0, x, 0.2 * x)),
    (nn.LogSigmoid(), special.log_expit),
    (nn.Softplus(2, 3), lambda x: np.where(2 * x > 3, x, np.log1p(np.exp(2 * x)) / 2)),
    (nn.PReLU(init=0.3), lambda x: np.where(x > 0, x, np.float32(0.3) * x)),
    (nn.Softsign(), lambda x: x / (1 + abs(x))),
    (nn.Tanhshrink(), lambda x: x - np.tanh(x)),
    (nn.Softmin(0), lambda x: special.softmax(-x, 0)),
    (nn.Softmax(1), lambda x: special.softmax(x, 1)),
    (nn.LogSoftmax(-1), lambda x: special.log_softmax(x, -1)),
]  # fmt: skip


@pytest.mark.parametrize("layer, formula", CASES, ids=lambda case: getattr(case, "_get_name", lambda: None)())
def test_follows_its_formula(layer, formula):
    layer.double()
    np.testing.assert_allclose(layer(numgrad.tensor(X)).detach().numpy(), formula(X), rtol=1e-12, atol=1e-14)


INPLACE = [nn.Threshold(0.5, 2, True), nn.ReLU(True), nn.ReLU6(True), nn.RReLU(inplace=True).eval(),
           nn.Hardtanh(inplace=True), nn.Hardsigmoid(True), nn.SiLU(True), nn.Mish(True), nn.Hardswish(True),
           nn.ELU(inplace=True), nn.CELU(inplace=True), nn.SELU(True), nn.LeakyReLU(inplace=True)]  # fmt: skip


@pytest.mark.parametrize("layer", INPLACE, ids=lambda layer: layer._get_name())
def test_in_place_overwrites_the_input_and_gives_the_same_gradient(layer):
    leaf, other = numgrad.tensor(X, requires_grad=True), numgrad.tensor(X, requires_grad=True)
    x = leaf * 1
    y = layer(x)
    layer.inplace = False
    expected = layer(other * 1)
    layer.inplace = True
    assert y is x and (y == expected).all()
    (y * y).sum().backward()
    (expected * expected).sum().backward()
    np.testing.assert_allclose(leaf.grad.numpy(), other.grad.numpy())


def test_functions_with_a_trailing_underscore():
    for name in ("relu_", "leaky_relu_", "elu_", "selu_", "celu_", "hardtanh_", "rrelu_"):
        x = numgrad.tensor(X)
        assert getattr(F, name)(x) is x and (x == getattr(F, name[:-1])(numgrad.tensor(X))).all()
    x = numgrad.tensor([1.0, -1.0])
    assert F.threshold_(x, 0.0, 5.0) is x and x.tolist() == [1, 5]


def test_a_leaf_cannot_be_overwritten():
    with pytest.raises(RuntimeError, match="leaf"):
        nn.ReLU(inplace=True)(numgrad.zeros(2, requires_grad=True))


def test_prelu_has_a_slope_for_each_channel():
    layer = nn.PReLU(3)
    assert layer.weight.tolist() == [0.25] * 3
    with numgrad.no_grad():
        layer.weight.copy_(numgrad.tensor([0.1, 0.2, 0.3]))
    y = layer(-numgrad.ones(2, 3, 4))
    y.sum().backward()
    np.testing.assert_allclose(y[0, :, 0].detach().numpy(), [-0.1, -0.2, -0.3])
    np.testing.assert_allclose(layer.weight.grad.numpy(), [-8, -8, -8])


def test_rrelu_in_training_draws_slopes():
    x = -numgrad.ones(1000)
    y = nn.RReLU(0.2, 0.4)(x)
    assert -0.4 <= y.min().item() < -0.38 and -0.22 < y.max().item() <= -0.2


def test_softmax_of_images_and_implicit_dimensions():
    x = numgrad.randn(2, 3, 4, 4)
    np.testing.assert_allclose(nn.Softmax2d()(x).sum(1).numpy(), np.ones((2, 4, 4)), rtol=1e-5)
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        assert (nn.Softmax()(x) == F.softmax(x, 1)).all()
    with pytest.warns(UserWarning, match="Implicit dimension choice for log_softmax"):
        assert (F.log_softmax(x[0]) == F.log_softmax(x[0], 0)).all()
    assert F.softmax(numgrad.zeros(2), 0, dtype=numgrad.float64).dtype == numgrad.float64


def test_hardtanh_of_integers() -> None:
    x = numgrad.tensor([-3, 0, 1, 5])
    assert F.hardtanh(x).tolist() == [-1, 0, 1, 1] and F.hardtanh(x).dtype is numgrad.int64
    assert F.hardtanh(x, -2.5, 3.5).tolist() == [-2, 0, 1, 3]  # limits as integers
    assert nn.ReLU6()(numgrad.tensor([7, 3], dtype=numgrad.uint8)).tolist() == [6, 3]
    F.hardtanh_(x, 0, 3)
    assert x.tolist() == [0, 0, 1, 3]


def test_gumbel_softmax():
    numgrad.manual_seed(0)
    logits = numgrad.tensor([0.0, 1.0, -1.0]).expand(20000, 3).clone().requires_grad_()
    hard = F.gumbel_softmax(logits, hard=True)
    assert ((hard == 0) | (abs(hard - 1) < 1e-6)).all()
    np.testing.assert_allclose(hard.mean(0).detach().numpy(), special.softmax([0, 1, -1]), atol=0.02)
    (hard[:, 0]).sum().backward()
    assert logits.grad.any()
    soft = F.gumbel_softmax(logits, tau=0.5)
    np.testing.assert_allclose(soft.sum(-1).detach().numpy(), np.ones(20000), rtol=1e-5)
    with pytest.warns(UserWarning, match="`eps` parameter"):
        F.gumbel_softmax(logits, eps=1e-3)


@pytest.mark.parametrize("call, error", [
    (lambda: F.celu(numgrad.zeros(1), alpha=0), RuntimeError),
    (lambda: F.softshrink(numgrad.zeros(1), -1), RuntimeError),
    (lambda: F.hardtanh(numgrad.zeros(1), 1, -1), ValueError), (lambda: F.glu(numgrad.zeros(3)), RuntimeError),
    (lambda: F.rrelu(numgrad.zeros(1), 2, 1), RuntimeError), (lambda: nn.Hardtanh(1, 1), AssertionError),
    (lambda: nn.Softmax2d()(numgrad.zeros(2, 2)), ValueError), (lambda: nn.PReLU(3)(numgrad.zeros(2, 2)), RuntimeError),
    (lambda: F.hardtanh(numgrad.zeros(1, dtype=numgrad.uint8)), RuntimeError), (lambda: F.hardtanh(numgrad.ones(1, dtype=numgrad.bool)), RuntimeError),
    (lambda: F.softmax(numgrad.zeros(2), dim=3), IndexError), (lambda: F.gelu(numgrad.zeros(1), "fast"), RuntimeError),
])  # fmt: skip
def test_bad_arguments_are_refused(call, error):
    with pytest.raises(error):
        call()
