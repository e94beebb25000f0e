"""Batch, instance, layer, group, RMS and local response norm."""

import numpy as np
import pytest

import numgrad
from numgrad import nn
from numgrad.nn import functional as F

rng = np.random.default_rng(0)
X = rng.normal(2, 3, size=(4, 6, 5))


def standard(x, axes, eps=1e-5):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def filled(layer):
    """The layer in float64 with weight and bias that are not 1 and 0."""
    layer.double()
    with numgrad.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(numgrad.tensor(rng.normal(size=tuple(parameter.shape))))
    return layer


def affine(layer, standardised, shape):
    return standardised * layer.weight.detach().numpy().reshape(shape) + layer.bias.detach().numpy().reshape(shape)


@pytest.mark.parametrize("kind, shape", [
    (nn.BatchNorm1d, (4, 6)), (nn.BatchNorm1d, (4, 6, 5)), (nn.BatchNorm2d, (4, 6, 3, 2)),
    (nn.BatchNorm3d, (2, 6, 3, 2, 2)),
])  # fmt: skip
def test_batch_norm(kind, shape):
    layer = filled(kind(6))
    x = rng.normal(2, 3, size=shape)
    axes, column = tuple(i for i in range(x.ndim) if i != 1), (6,) + (1,) * (x.ndim - 2)
    found = layer(numgrad.tensor(x))
    np.testing.assert_allclose(found.detach().numpy(), affine(layer, standard(x, axes), column), rtol=1e-9)
    mean, var = 0.1 * x.mean(axes), 0.9 + 0.1 * x.var(axes, ddof=1)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean)
    np.testing.assert_allclose(layer.running_var.numpy(), var)
    assert layer.num_batches_tracked.item() == 1
    layer.eval()
    expected = affine(layer, (x - mean.reshape(column)) / np.sqrt(var.reshape(column) + 1e-5), column)
    np.testing.assert_allclose(layer(numgrad.tensor(x)).detach().numpy(), expected, rtol=1e-9)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean)


def test_batch_norm_without_momentum_averages_all_batches():
    layer = nn.BatchNorm1d(2, momentum=None).double()
    batches = rng.normal(size=(3, 5, 2))
    for batch in batches:
        layer(numgrad.tensor(batch))
    np.testing.assert_allclose(layer.running_mean.numpy(), batches.mean(1).mean(0))
    np.testing.assert_allclose(layer.running_var.numpy(), batches.var(1, ddof=1).mean(0))
    layer.reset_running_stats()
    assert layer.num_batches_tracked.item() == 0 and layer.running_var.tolist() == [1, 1]


def test_batch_norm_without_running_values_uses_the_batch_always():
    layer = nn.BatchNorm1d(6, track_running_stats=False, affine=False).double().eval()
    assert layer.running_mean is None and layer.state_dict() == {}
    np.testing.assert_allclose(layer(numgrad.tensor(X)).numpy(), standard(X, (0, 2)), rtol=1e-9)


def test_batch_norm_gradient():
    layer = filled(nn.BatchNorm1d(6))
    x = numgrad.tensor(X, requires_grad=True)
    weights = rng.normal(size=X.shape)
    (layer(x) * numgrad.tensor(weights)).sum().backward()
    np.testing.assert_allclose(layer.bias.grad.numpy(), weights.sum((0, 2)))
    np.testing.assert_allclose(layer.weight.grad.numpy(), (weights * standard(X, (0, 2))).sum((0, 2)))
    np.testing.assert_allclose(x.grad.numpy().sum((0, 2)), np.zeros(6), atol=1e-9)  # moving all alike changes nothing


@pytest.mark.parametrize("kind, shape", [
    (nn.InstanceNorm1d, (4, 6, 5)), (nn.InstanceNorm2d, (4, 6, 3, 2)), (nn.InstanceNorm3d, (2, 6, 3, 2, 2)),
])  # fmt: skip
def test_instance_norm(kind, shape):
    layer = filled(kind(6, affine=True))
    x = rng.normal(2, 3, size=shape)
    axes = tuple(range(2, x.ndim))
    expected = affine(layer, standard(x, axes), (6,) + (1,) * len(axes))
    np.testing.assert_allclose(layer(numgrad.tensor(x)).detach().numpy(), expected, rtol=1e-9)
    np.testing.assert_allclose(layer(numgrad.tensor(x[0])).detach().numpy(), expected[0], rtol=1e-9)
    plain = kind(6)
    assert list(plain.parameters()) == [] and plain.running_mean is None


def test_instance_norm_with_running_values():
    layer = nn.InstanceNorm1d(6, track_running_stats=True).double()
    layer(numgrad.tensor(X))
    mean, var = 0.1 * X.mean(2).mean(0), 0.9 + 0.1 * X.var(2, ddof=1).mean(0)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean)
    np.testing.assert_allclose(layer.running_var.numpy(), var)
    expected = (X - mean[:, None]) / np.sqrt(var[:, None] + 1e-5)
    np.testing.assert_allclose(layer.eval()(numgrad.tensor(X)).numpy(), expected, rtol=1e-9)


def test_instance_norm_of_another_number_of_channels_warns():
    with pytest.warns(UserWarning, match="does not match num_features"):
        nn.InstanceNorm1d(3)(numgrad.randn(2, 4, 5))


@pytest.mark.parametrize("shape", [5, (5,), (6, 5), [4, 6, 5]])
def test_layer_norm(shape):
    layer = filled(nn.LayerNorm(shape))
    axes = tuple(range(3 - len(layer.normalized_shape), 3))
    expected = affine(layer, standard(X, axes), layer.normalized_shape)
    np.testing.assert_allclose(layer(numgrad.tensor(X)).detach().numpy(), expected, rtol=1e-9)
    assert nn.LayerNorm(5, bias=False).bias is None and nn.LayerNorm(5, elementwise_affine=False).weight is None


def test_group_norm():
    layer = filled(nn.GroupNorm(3, 6))
    expected = affine(layer, standard(X.reshape(4, 3, 10), 2).reshape(X.shape), (6, 1))
    np.testing.assert_allclose(layer(numgrad.tensor(X)).detach().numpy(), expected, rtol=1e-9)
    assert nn.GroupNorm(3, 6, affine=False).weight is None


def test_rms_norm():
    layer = filled(nn.RMSNorm(5, eps=0.1))
    expected = X / np.sqrt((X * X).mean(2, keepdims=True) + 0.1) * layer.weight.detach().numpy()
    np.testing.assert_allclose(layer(numgrad.tensor(X)).detach().numpy(), expected, rtol=1e-9)
    assert F.rms_norm(numgrad.zeros(3), (3,)).tolist() == [0, 0, 0]


def test_local_response_norm():
    squares = np.pad(X * X, [(0, 0), (1, 1), (0, 0)])
    mean = sum(squares[:, i : i + 6] for i in range(3)) / 3
    found = nn.LocalResponseNorm(3, alpha=0.5, beta=0.7, k=2.0)(numgrad.tensor(X))
    np.testing.assert_allclose(found.numpy(), X / (2 + 0.5 * mean) ** 0.7, rtol=1e-9)


@pytest.mark.parametrize("call, error, message", [
    (lambda: nn.BatchNorm1d(3)(numgrad.zeros(3)), ValueError, "expected 2D or 3D input"),
    (lambda: nn.BatchNorm2d(3)(numgrad.zeros(2, 3)), ValueError, "expected 4D input"),
    (lambda: nn.BatchNorm1d(3)(numgrad.zeros(1, 3)), ValueError, "more than 1 value per channel"),
    (lambda: nn.BatchNorm1d(3)(numgrad.zeros(2, 4)), RuntimeError, "should contain 4 elements not 3"),
    (lambda: nn.BatchNorm1d(3, eps=0)(numgrad.zeros(2, 3)), ValueError, "eps must be positive"),
    (lambda: F.batch_norm(numgrad.zeros(2, 3), None, None), RuntimeError, "running_mean"),
    (lambda: nn.InstanceNorm1d(3)(numgrad.zeros(2, 3, 1)), ValueError, "more than 1 spatial element"),
    (lambda: nn.InstanceNorm2d(3)(numgrad.zeros(3)), ValueError, "expected 3D or 4D"),
    (lambda: nn.InstanceNorm1d(3, affine=True)(numgrad.zeros(2, 4, 5)), ValueError, "match num_features"),
    (lambda: nn.LayerNorm(3)(numgrad.zeros(2, 4)), RuntimeError, "normalized_shape"),
    (lambda: F.layer_norm(numgrad.zeros(2), ()), RuntimeError, "at least 1-dimensional"),
    (lambda: F.layer_norm(numgrad.zeros(2), (2,), numgrad.zeros(3)), RuntimeError, "weight"),
    (lambda: nn.GroupNorm(2, 3), ValueError, "divisible by num_groups"),
    (lambda: nn.GroupNorm(2, 4)(numgrad.zeros(2, 3, 1)), RuntimeError, "divisible by num_groups"),
    (lambda: nn.GroupNorm(1, 4)(numgrad.zeros(4)), RuntimeError, "at least 2 dimensions"),
    (lambda: nn.LocalResponseNorm(2)(numgrad.zeros(4, 4)), ValueError, "3D or higher"),
])  # fmt: skip
def test_bad_arguments_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
