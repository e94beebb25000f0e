"""Dropout layers."""

import numpy as np
import pytest

import numgrad
from numgrad import nn
from numgrad.nn import functional as F

LAYERS = [
    (nn.Dropout, (50, 40)), (nn.Dropout1d, (50, 40, 3)), (nn.Dropout2d, (50, 40, 3, 3)),
    (nn.Dropout3d, (50, 40, 2, 2, 2)), (nn.AlphaDropout, (50, 40)), (nn.FeatureAlphaDropout, (50, 40, 3)),
]  # fmt: skip


@pytest.fixture(autouse=True)
def seeded():
    numgrad.manual_seed(0)


@pytest.mark.parametrize("kind, shape", LAYERS)
def test_evaluation_and_zero_change_nothing(kind, shape):
    x = numgrad.randn(*shape)
    assert (kind(0.9).eval()(x) == x).all() and (kind(0.0)(x) == x).all()


@pytest.mark.parametrize("kind, shape", LAYERS[:4])
def test_what_is_kept_grows(kind, shape):
    y = kind(0.25)(numgrad.ones(*shape))
    values = y.numpy()
    assert set(np.unique(values)) == {0, np.float32(1 / 0.75)}
    assert abs((values == 0).mean() - 0.25) < 0.03
    if values.ndim > 2:  # whole channels
        flat = values.reshape(50, 40, -1)
        assert (flat == flat[:, :, :1]).all()
    assert not kind(1.0)(numgrad.ones(*shape)).any()


@pytest.mark.parametrize("kind, shape", LAYERS)
def test_each_call_drops_others_and_seeds_repeat(kind, shape):
    layer, x = kind(0.5), numgrad.ones(*shape)
    first, second = layer(x), layer(x)
    assert (first != second).any()
    numgrad.manual_seed(0)
    assert (layer(x) == first).all()


@pytest.mark.parametrize("kind, shape", LAYERS[:4])
def test_gradient_passes_where_values_do(kind, shape):
    x = numgrad.ones(*shape, requires_grad=True)
    y = kind(0.5)(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())


@pytest.mark.parametrize("kind, shape", LAYERS)
def test_in_place(kind, shape):
    x = numgrad.randn(*shape)
    before = x.clone()
    assert kind(0.5, inplace=True)(x) is x and (x != before).any()


@pytest.mark.parametrize("kind, shape", LAYERS[4:])
def test_alpha_dropout_keeps_mean_and_variance(kind, shape):
    x = numgrad.randn(300, 100, *shape[2:])
    y = kind(0.3)(x)
    assert abs(y.mean().item()) < 0.02 and abs(y.std().item() - 1) < 0.02


def test_unbatched_channels():
    for layer, shape in [(nn.Dropout1d(0.5), (60, 3)), (nn.Dropout3d(0.5), (60, 2, 2, 2))]:
        values = layer(numgrad.ones(*shape)).numpy().reshape(60, -1)
        assert (values == values[:, :1]).all() and 0 < (values == 0).mean() < 1
        x = numgrad.ones(*shape)
        layer.inplace = True
        assert layer(x) is x and not x.all()


def test_shapes_that_do_not_fit():
    with pytest.raises(RuntimeError, match="2D or 3D"):
        nn.Dropout1d()(numgrad.ones(3))
    with pytest.warns(UserWarning, match="3D input to dropout2d"):
        nn.Dropout2d()(numgrad.ones(2, 3, 4))
    with pytest.warns(UserWarning, match="2-D input to dropout2d"):
        nn.Dropout2d()(numgrad.ones(2, 3))
    with pytest.warns(UserWarning, match="dropout3d"):
        F.dropout3d(numgrad.ones(2, 3, 4), training=False)


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_probabilities(p):
    x = numgrad.ones(1)
    for call in (lambda: nn.Dropout(p), lambda: F.dropout(x, p), lambda: F.alpha_dropout(x, p)):
        with pytest.raises(ValueError, match="between 0 and 1"):
            call()
