"""Initial values: distributions, exact patterns, errors."""

import math

import numpy as np
import pytest
from scipy import stats

import numgrad
from numgrad import nn
from numgrad.nn import init


@pytest.fixture(autouse=True)
def seeded():
    numgrad.manual_seed(0)


def fits(tensor, distribution):
    """Whether the elements may have come from a distribution (Kolmogorov-Smirnov)."""
    return stats.kstest(tensor.detach().numpy().ravel(), distribution.cdf).pvalue > 1e-3


def uniform(bound):
    return stats.uniform(-bound, 2 * bound)


SHAPE = (40, 20, 3, 2)  # fan in 120, fan out 240

DISTRIBUTIONS = [
    (lambda t: init.uniform_(t, -1, 3), stats.uniform(-1, 4)),
    (lambda t: init.normal_(t, 2, 0.5), stats.norm(2, 0.5)),
    (lambda t: init.trunc_normal_(t, 1, 2, 0, 2), stats.truncnorm(-0.5, 0.5, 1, 2)),
    (lambda t: init.xavier_uniform_(t, 2), uniform(2 * math.sqrt(6 / 360))),
    (lambda t: init.xavier_normal_(t, 2), stats.norm(0, 2 * math.sqrt(2 / 360))),
    (lambda t: init.kaiming_uniform_(t), uniform(math.sqrt(2) * math.sqrt(3 / 120))),
    (lambda t: init.kaiming_uniform_(t, 0.5, nonlinearity="leaky_relu"),
     uniform(math.sqrt(2 / 1.25) * math.sqrt(3 / 120))),
    (lambda t: init.kaiming_normal_(t, mode="fan_out", nonlinearity="relu"), stats.norm(0, math.sqrt(2 / 240))),
    (lambda t: init.kaiming_normal_(t, nonlinearity="tanh"), stats.norm(0, 5 / 3 / math.sqrt(120))),
]  # fmt: skip


@pytest.mark.parametrize("fill, distribution", DISTRIBUTIONS)
def test_distributions(fill, distribution):
    tensor = numgrad.empty(SHAPE, requires_grad=True)
    assert fill(tensor) is tensor and fits(tensor, distribution)
    assert tensor.is_leaf and tensor.requires_grad and tensor.grad_fn is None


def test_a_generator_decides_the_numbers():
    a, b = (init.kaiming_normal_(numgrad.empty(5, 5), generator=numgrad.Generator().manual_seed(7)) for _ in range(2))
    assert (a == b).all()


def test_constants():
    assert init.constant_(numgrad.empty(2), 3.5).tolist() == [3.5, 3.5]
    assert init.ones_(numgrad.empty(2)).tolist() == [1, 1] and init.zeros_(numgrad.ones(2)).tolist() == [0, 0]
    assert init.eye_(numgrad.empty(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("shape, groups", [((4, 4, 3), 1), ((4, 2, 3, 5), 2), ((2, 3, 3, 3), 1), ((4, 2, 3, 3, 3), 1)])
def test_dirac_passes_channels_through(shape, groups):
    weight = init.dirac_(numgrad.ones(shape), groups).numpy()
    expected = np.zeros(shape)
    per_group = shape[0] // groups
    for o in range(shape[0]):
        if o % per_group < shape[1]:
            expected[(o, o % per_group, *(n // 2 for n in shape[2:]))] = 1
    np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 3), (4, 2, 3), (1, 4)])
def test_orthogonal(shape):
    tensor = init.orthogonal_(numgrad.empty(shape, dtype=numgrad.float64), gain=2)
    flat = tensor.numpy().reshape(shape[0], -1) / 2
    product = flat @ flat.T if flat.shape[0] <= flat.shape[1] else flat.T @ flat
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-12)


def test_orthogonal_draws_every_direction():
    first = np.array([init.orthogonal_(numgrad.empty(3, 3)).numpy()[0, 0] for _ in range(100)])
    assert stats.kstest(first, stats.uniform(-1, 2).cdf).pvalue > 1e-3  # a coordinate of a random unit vector in 3-d


def test_sparse():
    tensor = init.sparse_(numgrad.empty(50, 8), 0.3, std=2)
    values = tensor.numpy()
    assert ((values == 0).sum(0) == 15).all() and 1.5 < values[values != 0].std() < 2.5
    assert len({tuple(column == 0) for column in values.T}) > 1


@pytest.mark.parametrize("name, param, gain", [
    ("linear", None, 1), ("conv2d", None, 1), ("sigmoid", None, 1), ("tanh", None, 5 / 3), ("relu", None, math.sqrt(2)),
    ("leaky_relu", None, math.sqrt(2 / 1.0001)), ("leaky_relu", 2, math.sqrt(2 / 5)), ("selu", None, 0.75),
])  # fmt: skip
def test_gain(name, param, gain):
    assert init.calculate_gain(name, param) == pytest.approx(gain)


def test_fans():
    assert init._calculate_fan_in_and_fan_out(numgrad.empty(SHAPE)) == (120, 240)
    assert init._calculate_fan_in_and_fan_out(numgrad.empty(3, 5)) == (5, 3)


@pytest.mark.parametrize("call", [
    lambda: init.calculate_gain("cube"), lambda: init.calculate_gain("leaky_relu", True),
    lambda: init.xavier_uniform_(numgrad.empty(3)), lambda: init.kaiming_normal_(numgrad.empty(3, 3), mode="fan"),
    lambda: init.eye_(numgrad.empty(3)), lambda: init.dirac_(numgrad.empty(3, 3)),
    lambda: init.dirac_(numgrad.empty(3, 3, 3), 2), lambda: init.orthogonal_(numgrad.empty(3)),
    lambda: init.sparse_(numgrad.empty(3), 0.1),
])  # fmt: skip
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError):
        call()


def test_warnings():
    with pytest.warns(UserWarning, match="zero-element"):
        init.kaiming_uniform_(numgrad.empty(0, 3))
    with pytest.warns(UserWarning, match="more than 2 std"):
        init.trunc_normal_(numgrad.empty(3), mean=10)
    names = ["uniform", "normal", "eye", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal"]
    for name in [*names, "orthogonal"]:
        with pytest.warns(FutureWarning, match=f"nn.init.{name}_"):
            getattr(init, name)(numgrad.empty(2, 2))
    with pytest.warns(FutureWarning):
        assert init.constant(numgrad.empty(2), 1).tolist() == [1, 1]


def test_parameters_of_a_model_can_be_filled():
    layer = nn.Linear(3, 2)
    version = layer.weight._version
    init.constant_(layer.weight, 1)
    assert layer.weight.sum().item() == 6 and layer.weight._version > version and layer.weight.is_leaf
