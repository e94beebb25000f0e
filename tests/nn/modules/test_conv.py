"""Convolution layers against scipy.signal."""

import math

import numpy as np
import pytest
from scipy import signal

import numgrad
from numgrad import nn
from numgrad.nn import functional as F

rng = np.random.default_rng(0)


def spread(weight, dilation):
    """A kernel with zeros between its elements."""
    shape = [*weight.shape[:2], *(d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True))]
    result = np.zeros(shape)
    result[(..., *(slice(None, None, d) for d in dilation))] = weight
    return result


def convolve(x, weight, bias, stride, pads, dilation, groups, mode="constant"):
    """Cross-correlation in any number of dimensions; ``pads`` is (before, after) of each."""
    x = np.pad(x, [(0, 0), (0, 0), *pads], mode)
    weight = spread(weight, dilation)
    per_group, outputs = weight.shape[1], weight.shape[0] // groups
    result = [
        [sum(signal.correlate(image[o // outputs * per_group + c], kernel[c], "valid") for c in range(per_group))
         + bias[o] for o, kernel in enumerate(weight)]
        for image in x
    ]  # fmt: skip
    return np.array(result)[(..., *(slice(None, None, s) for s in stride))]


@pytest.mark.parametrize("settings", [
    {}, {"stride": 2}, {"stride": (2, 1), "padding": (1, 2)}, {"dilation": (1, 2)}, {"groups": 2, "padding": 1},
    {"groups": 4}, {"bias": False},
])  # fmt: skip
def test_conv2d(settings):
    layer = nn.Conv2d(4, 8, (3, 2), **settings).double()
    x = rng.normal(size=(2, 4, 7, 6))
    bias = np.zeros(8) if layer.bias is None else layer.bias.detach().numpy()
    pads = [(p, p) for p in layer.padding]
    expected = convolve(x, layer.weight.detach().numpy(), bias, layer.stride, pads, layer.dilation, layer.groups)
    np.testing.assert_allclose(layer(numgrad.tensor(x)).detach().numpy(), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(layer(numgrad.tensor(x[0])).detach().numpy(), expected[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("settings", [{}, {"stride": 2, "padding": 1}, {"dilation": 2, "groups": 2}])
def test_conv1d(settings):
    layer = nn.Conv1d(4, 6, 3, **settings).double()
    x = rng.normal(size=(2, 4, 9))
    expected = convolve(x, layer.weight.detach().numpy(), layer.bias.detach().numpy(), layer.stride,
                        [(p, p) for p in layer.padding], layer.dilation, layer.groups)  # fmt: skip
    np.testing.assert_allclose(layer(numgrad.tensor(x)).detach().numpy(), expected, rtol=1e-10, atol=1e-12)
    assert tuple(layer(numgrad.tensor(x[0])).shape) == expected.shape[1:]


@pytest.mark.parametrize("kernel, dilation", [(3, 1), ((2, 3), 1), ((2, 4), (3, 1))])
def test_same_padding_keeps_the_size(kernel, dilation):
    layer = nn.Conv2d(2, 3, kernel, padding="same", dilation=dilation).double()
    x = rng.normal(size=(1, 2, 6, 7))
    total = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
    pads = [(n // 2, n - n // 2) for n in total]  # the odd one on the right
    expected = convolve(x, layer.weight.detach().numpy(), layer.bias.detach().numpy(), (1, 1), pads, layer.dilation, 1)
    found = layer(numgrad.tensor(x))
    assert found.shape[2:] == x.shape[2:]
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-10, atol=1e-12)
    assert tuple(nn.Conv1d(1, 1, 3, padding="valid")(numgrad.zeros(1, 1, 5)).shape) == (1, 1, 3)


@pytest.mark.parametrize("mode, numpy_mode", [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")])
@pytest.mark.parametrize("padding", [(1, 2), "same"])
def test_padding_modes(mode, numpy_mode, padding):
    layer = nn.Conv2d(2, 3, (3, 5), padding=padding, padding_mode=mode).double()
    x = rng.normal(size=(2, 2, 6, 7))
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    expected = convolve(x, weight, bias, (1, 1), [(1, 1), (2, 2)], (1, 1), 1, numpy_mode)
    np.testing.assert_allclose(layer(numgrad.tensor(x)).detach().numpy(), expected, rtol=1e-10, atol=1e-12)


def test_conv3d():
    layer = nn.Conv3d(2, 4, (1, 2, 3), stride=(1, 2, 1), padding=(0, 1, 1), groups=2).double()
    x = rng.normal(size=(2, 2, 3, 5, 4))
    expected = convolve(x, layer.weight.detach().numpy(), layer.bias.detach().numpy(), layer.stride,
                        [(p, p) for p in layer.padding], layer.dilation, layer.groups)  # fmt: skip
    np.testing.assert_allclose(layer(numgrad.tensor(x)).detach().numpy(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind, straight, size", [
    (nn.ConvTranspose1d, F.conv1d, (7,)), (nn.ConvTranspose2d, F.conv2d, (7, 6)),
    (nn.ConvTranspose3d, F.conv3d, (4, 3, 5)),
])  # fmt: skip
@pytest.mark.parametrize("settings", [{}, {"stride": 2, "padding": 1}, {"groups": 2, "dilation": 2, "padding": 1}])
def test_transposed_convolution_is_the_transpose(kind, straight, size, settings):
    """<conv(x), y> = <x, conv_transpose(y)> for every x and y."""
    layer = kind(4, 6, 2, bias=False, **settings).double()
    x = numgrad.tensor(rng.normal(size=(2, 6, *size)))
    forward = straight(x, layer.weight, None, layer.stride, layer.padding, layer.dilation, layer.groups)
    y = numgrad.tensor(rng.normal(size=tuple(forward.shape)))
    back = layer(y, output_size=size)
    assert back.shape == x.shape
    assert (forward * y).sum().item() == pytest.approx((x * back).sum().item(), rel=1e-10)


def test_transposed_convolution_sizes():
    layer = nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1)
    x = numgrad.zeros(1, 3, 5, 5)
    assert tuple(layer(x).shape) == (1, 4, 9, 9) and tuple(layer(x, output_size=(10, 9)).shape) == (1, 4, 10, 9)
    assert tuple(layer(x, output_size=(1, 4, 9, 10)).shape) == (1, 4, 9, 10)
    assert tuple(nn.ConvTranspose2d(3, 4, 3, 2, 1, output_padding=1)(x).shape) == (1, 4, 10, 10)
    assert tuple(layer.weight.shape) == (3, 4, 3, 3) and (layer(x)[0, :, 0, 0] == layer.bias).all()
    for wrong in [(11, 9), (9,), (8, 9)]:
        with pytest.raises(ValueError, match="output"):
            layer(x, output_size=wrong)


def test_first_weights():
    numgrad.manual_seed(0)
    layer = nn.Conv2d(8, 64, 5, groups=2)
    bound = 1 / math.sqrt(4 * 25)
    values = layer.weight.detach().numpy()
    assert abs(values).max() <= bound and abs(values.std() / (bound / math.sqrt(3)) - 1) < 0.05
    assert abs(layer.bias.detach().numpy()).max() <= bound


def test_gradients_reach_weight_bias_and_input():
    layer = nn.Conv2d(2, 3, 3, padding=1)
    x = numgrad.randn(1, 2, 4, 4, requires_grad=True)
    layer(x).sum().backward()
    assert layer.bias.grad.tolist() == [16] * 3
    inside = layer.weight.detach().sum(0).sum((1, 2))  # an inner pixel meets every element of the kernel
    np.testing.assert_allclose(x.grad[0, :, 1, 1].numpy(), inside.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("call, error", [
    (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError), (lambda: nn.Conv2d(4, 3, 3, groups=2), ValueError),
    (lambda: nn.Conv2d(4, 4, 3, groups=0), ValueError), (lambda: nn.Conv2d(3, 4, 3, padding="full"), ValueError),
    (lambda: nn.Conv2d(3, 4, 3, padding="same", stride=2), ValueError),
    (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), ValueError),
    (lambda: nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"), ValueError),
    (lambda: nn.Conv2d(3, 4, 3)(numgrad.zeros(1, 2, 5, 5)), RuntimeError),
    (lambda: nn.Conv2d(3, 4, 3)(numgrad.zeros(5, 5)), RuntimeError),
    (lambda: nn.Conv2d(3, 4, 3)(numgrad.zeros(1, 3, 2, 5)), RuntimeError),
    (lambda: F.conv2d(numgrad.zeros(1, 3, 5, 5), numgrad.zeros(4, 3, 3)), RuntimeError),
    (lambda: F.conv2d(numgrad.zeros(1, 3, 5, 5), numgrad.zeros(4, 3, 3, 3), numgrad.zeros(3)), RuntimeError),
    (lambda: F.conv2d(numgrad.zeros(1, 3, 5, 5), numgrad.zeros(4, 3, 3, 3), stride=0), RuntimeError),
    (lambda: F.conv2d(numgrad.zeros(1, 3, 5, 5), numgrad.zeros(4, 3, 3, 3), padding=(1, 2, 3)), RuntimeError),
    (lambda: F.conv2d(numgrad.zeros(1, 3, 5, 5), numgrad.zeros(4, 3, 3, 3), padding="half"), RuntimeError),
])  # fmt: skip
def test_bad_arguments_are_refused(call, error):
    with pytest.raises(error):
        call()
