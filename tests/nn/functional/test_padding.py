"""Padding against numpy.pad, and the shuffles."""

import numpy as np
import pytest

import numgrad
from numgrad import nn
from numgrad.nn import functional as F

X = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
NUMPY = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@pytest.mark.parametrize("mode", NUMPY)
@pytest.mark.parametrize("pad", [(1, 2), (1, 2, 3, 0), (0, 0, 0, 0)])
def test_modes(mode, pad):
    x = X if len(pad) == 4 else X[0]
    sides = [(0, 0)] * (x.ndim - len(pad) // 2) + list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    leaf = numgrad.tensor(x, requires_grad=True)
    padded = F.pad(leaf, pad, mode=mode)
    np.testing.assert_array_equal(padded.detach().numpy(), np.pad(x, sides, NUMPY[mode]))
    padded.sum().backward()  # each element counts as often as it was copied
    border = {"constant_values": -1} if mode == "constant" else {}
    marks = np.pad(np.arange(x.size).reshape(x.shape), sides, NUMPY[mode], **border)
    np.testing.assert_array_equal(leaf.grad.numpy().ravel(), np.bincount(marks[marks >= 0], minlength=x.size))


def test_values_and_cropping():
    x = numgrad.arange(4.0).reshape(1, 1, 4)
    assert F.pad(x, (1, 0), value=9).tolist() == [[[9, 0, 1, 2, 3]]]
    assert F.pad(x, (-1, 1)).tolist() == [[[1, 2, 3, 0]]]
    assert F.pad(x, (-1, 2), mode="replicate").tolist() == [[[1, 2, 3, 3, 3]]]
    assert F.pad(x, (-1, 2), mode="circular").tolist() == [[[1, 2, 3, 1, 2]]]
    assert F.pad(x > 1, (1, 0), value=True).tolist() == [[[True, False, False, True, True]]]


@pytest.mark.parametrize("layer, pad, mode, value", [
    (nn.ZeroPad1d((1, 2)), (1, 2), "constant", 0), (nn.ZeroPad2d(1), (1, 1, 1, 1), "constant", 0),
    (nn.ConstantPad1d(2, 3.5), (2, 2), "constant", 3.5),
    (nn.ConstantPad2d((1, 0, 2, 0), 1), (1, 0, 2, 0), "constant", 1),
    (nn.ConstantPad3d(1, 2), (1,) * 6, "constant", 2), (nn.ZeroPad3d(1), (1,) * 6, "constant", 0),
    (nn.ReflectionPad1d(2), (2, 2), "reflect", None), (nn.ReflectionPad2d((1, 2, 0, 1)), (1, 2, 0, 1), "reflect", None),
    (nn.ReplicationPad1d(2), (2, 2), "replicate", None), (nn.ReplicationPad2d(1), (1,) * 4, "replicate", None),
    (nn.ReplicationPad3d(1), (1,) * 6, "replicate", None), (nn.ReflectionPad3d(1), (1,) * 6, "reflect", None),
    (nn.CircularPad1d(1), (1, 1), "circular", None), (nn.CircularPad2d(2), (2,) * 4, "circular", None),
    (nn.CircularPad3d(1), (1,) * 6, "circular", None),
])  # fmt: skip
def test_layers_are_the_function(layer, pad, mode, value):
    assert layer.padding == pad
    x = numgrad.tensor(X[None] if len(pad) == 6 else X if len(pad) == 4 else X[0])
    assert (layer(x) == F.pad(x, pad, mode=mode, value=value)).all()


@pytest.mark.parametrize("call, error", [
    (lambda: F.pad(numgrad.zeros(2, 3), (1,)), RuntimeError),
    (lambda: F.pad(numgrad.zeros(2, 3), (1,) * 6), RuntimeError),
    (lambda: F.pad(numgrad.zeros(2, 3), (1, 1), mode="mirror"), NotImplementedError),
    (lambda: F.pad(numgrad.zeros(1, 2, 3), (3, 1), mode="reflect"), RuntimeError),
    (lambda: F.pad(numgrad.zeros(1, 2, 3), (4, 1), mode="circular"), RuntimeError),
    (lambda: F.pad(numgrad.zeros(3), (1, 1), mode="reflect"), NotImplementedError),
    (lambda: F.pad(numgrad.zeros(1, 2, 3), (1, 1), mode="reflect", value=3.0), RuntimeError),
    (lambda: F.pixel_shuffle(numgrad.zeros(1, 3, 2, 2), 2), RuntimeError),
    (lambda: F.pixel_shuffle(numgrad.zeros(2, 2), 2), RuntimeError),
    (lambda: F.pixel_unshuffle(numgrad.zeros(1, 3, 2), 2), RuntimeError),
    (lambda: F.channel_shuffle(numgrad.zeros(1, 3, 2), 2), RuntimeError),
])  # fmt: skip
def test_bad_arguments_are_refused(call, error):
    with pytest.raises(error):
        call()


def test_pixel_shuffle():
    x = numgrad.arange(8.0).reshape(1, 8, 1, 1)
    assert F.pixel_shuffle(x, 2).tolist() == [[[[0, 1], [2, 3]], [[4, 5], [6, 7]]]]
    y = numgrad.randn(2, 12, 3, 4)
    up = nn.PixelShuffle(2)(y)
    assert tuple(up.shape) == (2, 3, 6, 8) and (nn.PixelUnshuffle(2)(up) == y).all()
    assert tuple(F.pixel_shuffle(y[0], 2).shape) == (3, 6, 8)


def test_channel_shuffle():
    x = numgrad.arange(6.0).reshape(1, 6, 1)
    assert nn.ChannelShuffle(2)(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]


def test_unfold_and_fold():
    x = numgrad.arange(9.0).reshape(1, 1, 3, 3)
    patches = nn.Unfold(2)(x)
    assert patches[0, :, 0].tolist() == [0, 1, 3, 4] and tuple(patches.shape) == (1, 4, 4)
    counts = nn.Fold((3, 3), 2)(numgrad.ones(1, 4, 4))
    assert counts.flatten().tolist() == [1, 2, 1, 2, 4, 2, 1, 2, 1]
