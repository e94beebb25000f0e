"""Each update rule against its formula in NumPy, float64."""

import math

import numpy as np
import pytest

import numgrad
from numgrad import nn, optim

STEPS = 9


def sgd(p, g, s, t, lr=0.1, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
    g = g + weight_decay * p
    if momentum:
        s["b"] = g if t == 1 else momentum * s["b"] + (1 - dampening) * g
        g = g + momentum * s["b"] if nesterov else s["b"]
    return p - lr * g


def adam(p, g, s, t, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False,
         decoupled_weight_decay=False):
    if decoupled_weight_decay:
        p = p * (1 - lr * weight_decay)
    else:
        g = g + weight_decay * p
    moments(s, g, betas)
    v = s["v"]
    if amsgrad:
        v = s["top"] = np.maximum(s.get("top", 0), v)
    return p - lr * s["m"] / (1 - betas[0] ** t) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)


def moments(s, g, betas):
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * g * g


def adamw(p, g, s, t, weight_decay=0.01, **settings):
    return adam(p, g, s, t, weight_decay=weight_decay, decoupled_weight_decay=True, **settings)


def adamax(p, g, s, t, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    g = g + weight_decay * p
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["u"] = np.maximum(betas[1] * s.get("u", 0), np.abs(g) + eps)
    return p - lr / (1 - betas[0] ** t) * s["m"] / s["u"]


def nadam(p, g, s, t, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, momentum_decay=4e-3):
    g = g + weight_decay * p
    mu, after = (betas[0] * (1 - 0.5 * 0.96 ** (i * momentum_decay)) for i in (t, t + 1))
    s["product"] = s.get("product", 1.0) * mu
    moments(s, g, betas)
    mean = after * s["m"] / (1 - s["product"] * after) + (1 - mu) * g / (1 - s["product"])
    return p - lr * mean / (np.sqrt(s["v"] / (1 - betas[1] ** t)) + eps)


def radam(p, g, s, t, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    g = g + weight_decay * p
    moments(s, g, betas)
    mean = s["m"] / (1 - betas[0] ** t)
    limit = 2 / (1 - betas[1]) - 1
    length = limit - 2 * t * betas[1] ** t / (1 - betas[1] ** t)
    if length <= 5:
        return p - lr * mean
    r = math.sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length))
    return p - lr * mean * r * math.sqrt(1 - betas[1] ** t) / (np.sqrt(s["v"]) + eps)


def rmsprop(p, g, s, t, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False):
    g = g + weight_decay * p
    s["v"] = alpha * s.get("v", 0) + (1 - alpha) * g * g
    s["m"] = alpha * s.get("m", 0) + (1 - alpha) * g
    variance = s["v"] - s["m"] ** 2 if centered else s["v"]
    s["b"] = momentum * s.get("b", 0) + g / (np.sqrt(variance) + eps)
    return p - lr * s["b"]


def adagrad(p, g, s, t, lr=1e-2, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10):
    g = g + weight_decay * p
    s["v"] = s.get("v", initial_accumulator_value) + g * g
    return p - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(s["v"]) + eps)


def adadelta(p, g, s, t, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0.0):
    g = g + weight_decay * p
    s["v"] = rho * s.get("v", 0) + (1 - rho) * g * g
    move = np.sqrt(s.get("d", 0) + eps) / np.sqrt(s["v"] + eps) * g
    s["d"] = rho * s.get("d", 0) + (1 - rho) * move * move
    return p - lr * move


def rprop(p, g, s, t, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50)):
    agreement = np.sign(g * s.get("g", 0 * g))
    factor = np.where(agreement > 0, etas[1], np.where(agreement < 0, etas[0], 1))
    s["size"] = np.clip(s.get("size", lr) * factor, *step_sizes)
    s["g"] = np.where(agreement < 0, 0, g)
    return p - np.sign(s["g"]) * s["size"]


CASES = [
    (optim.SGD, sgd, {"lr": 0.1}),
    (optim.SGD, sgd, {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    (optim.SGD, sgd, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (optim.Adam, adam, {}),
    (optim.Adam, adam, {"lr": 0.1, "betas": (0.3, 0.5), "eps": 1e-3, "weight_decay": 0.1, "amsgrad": True}),
    (optim.AdamW, adamw, {}),
    (optim.AdamW, adamw, {"weight_decay": 0.5, "amsgrad": True}),
    (optim.Adamax, adamax, {"weight_decay": 0.1}),
    (optim.NAdam, nadam, {"weight_decay": 0.1}),
    (optim.RAdam, radam, {"weight_decay": 0.1}),
    (optim.RMSprop, rmsprop, {}),
    (optim.RMSprop, rmsprop, {"momentum": 0.9, "weight_decay": 0.1}),
    (optim.RMSprop, rmsprop, {"momentum": 0.9, "centered": True, "alpha": 0.9}),
    (optim.Adagrad, adagrad, {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5}),
    (optim.Adadelta, adadelta, {"weight_decay": 0.1}),
    (optim.Rprop, rprop, {}),
]


def gradients(shape):
    return np.random.default_rng(0).normal(size=(STEPS, *shape))


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("algorithm, formula, settings", CASES, ids=lambda value: getattr(value, "__name__", None))
def test_follows_its_formula(algorithm, formula, settings, maximize):
    start = np.random.default_rng(1).normal(size=(3, 4))
    parameter = nn.Parameter(numgrad.tensor(start.copy()))
    optimizer = algorithm([parameter], maximize=maximize, **settings)
    expected, state = start, {}
    for t, gradient in enumerate(gradients(start.shape), 1):
        parameter.grad = numgrad.tensor(gradient)
        optimizer.step()
        expected = formula(expected, -gradient if maximize else gradient, state, t, **settings)
    # the scalar states of NAdam are kept in float32
    tolerance = 1e-7 if algorithm is optim.NAdam else 1e-12
    np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=tolerance, atol=tolerance)


def test_asgd_averages_from_t0_on():
    start = np.array([1.0, -2.0])
    parameter = nn.Parameter(numgrad.tensor(start.copy()))
    optimizer = optim.ASGD([parameter], lr=0.1, lambd=0.01, alpha=0.5, t0=2)
    p, average, eta, mu = start, 0, 0.1, 1.0
    for t, gradient in enumerate(gradients(start.shape), 1):
        parameter.grad = numgrad.tensor(gradient)
        optimizer.step()
        p = p * (1 - 0.01 * eta) - eta * gradient
        average = average + mu * (p - average)
        eta, mu = 0.1 / (1 + 0.01 * 0.1 * t) ** 0.5, 1 / max(1, t - 2)
    np.testing.assert_allclose(parameter.detach().numpy(), p, rtol=1e-6)
    np.testing.assert_allclose(optimizer.state[parameter]["ax"].numpy(), average, rtol=1e-6)
    assert mu == pytest.approx(float(optimizer.state[parameter]["mu"]))


ALGORITHMS = [optim.SGD, optim.Adam, optim.AdamW, optim.Adamax, optim.NAdam, optim.RAdam, optim.RMSprop,
              optim.Adagrad, optim.Adadelta, optim.ASGD, optim.Rprop]  # fmt: skip


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("dtype", [numgrad.float32, numgrad.float64])
def test_layout_of_parameter_and_gradient_does_not_matter(algorithm, dtype):
    def run(parameter, gradient_of):
        optimizer = algorithm([parameter], lr=0.1)
        for gradient in gradients((3, 4)):
            parameter.grad = gradient_of(numgrad.tensor(gradient, dtype=dtype))
            optimizer.step()
        return parameter.detach().clone().numpy()

    start = numgrad.tensor(np.random.default_rng(1).normal(size=(3, 4)), dtype=dtype)
    plain = run(nn.Parameter(start.clone()), lambda g: g)
    transposed = nn.Parameter(start.t().clone().t())
    assert not transposed.is_contiguous()
    assert (run(transposed, lambda g: g) == plain).all()
    assert (run(nn.Parameter(start.clone()), lambda g: g.t().clone().t()) == plain).all()
    assert plain.dtype == dtype.numpy


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_zero_dimensions_empty_and_nan(algorithm):
    scalar, empty, bad = (nn.Parameter(numgrad.tensor(v)) for v in (1.0, np.zeros((0, 3), np.float32), [1.0, 2.0]))
    optimizer = algorithm([scalar, empty, bad], lr=0.1)
    for _ in range(2):
        scalar.grad, empty.grad = numgrad.tensor(1.0), numgrad.zeros(0, 3)
        bad.grad = numgrad.tensor([float("nan"), 1.0])
        optimizer.step()
    assert scalar.item() < 1
    assert tuple(empty.shape) == (0, 3)
    assert math.isnan(bad[0].item()) and bad[1].item() < 2  # a NaN stays where it is


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_serial_and_parallel_agree_bit_for_bit(algorithm):
    """A parameter large enough for all threads moves like its parts, which are too small for more than one."""
    rng = np.random.default_rng(2)
    start, steps = rng.normal(size=40_000).astype(np.float32), rng.normal(size=(3, 40_000)).astype(np.float32)
    whole = nn.Parameter(numgrad.tensor(start.copy()))
    parts = [nn.Parameter(numgrad.tensor(part.copy())) for part in np.split(start, 20)]
    one, many = algorithm([whole], lr=0.1), algorithm(parts, lr=0.1)
    for gradient in steps:
        whole.grad = numgrad.tensor(gradient)
        for part, piece in zip(parts, np.split(gradient, 20), strict=True):
            part.grad = numgrad.tensor(piece)
        one.step()
        many.step()
    assert (whole.detach().numpy() == np.concatenate([part.detach().numpy() for part in parts])).all()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_minimises_a_quadratic(algorithm):
    parameter = nn.Parameter(numgrad.tensor([3.0, -2.0]))
    optimizer = algorithm([parameter], lr=1.0 if algorithm is optim.Adadelta else 0.1)
    before = ((parameter - 1) ** 2).sum().item()
    for _ in range(50):
        optimizer.zero_grad()
        ((parameter - 1) ** 2).sum().backward()
        optimizer.step()
    assert ((parameter - 1) ** 2).sum().item() < before * (0.99 if algorithm is optim.Adadelta else 0.75)
