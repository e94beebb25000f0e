"""Distributions: densities that integrate to one, closed forms of their moments, samples that agree, gradients that flow."""

from __future__ import annotations

import math

import numpy as np
import pytest

import numgrad
from numgrad import Tensor
from numgrad import distributions as D
from numgrad.ops.variates import gamma_slope

T = numgrad.tensor
double = numgrad.float64


def params(*values: float) -> list[Tensor]:
    return [T(v, dtype=double) for v in values]


CONTINUOUS = [
    (D.Normal(*params(0.5, 1.5)), -12, 12),
    (D.LogNormal(*params(0.1, 0.4)), 1e-6, 8),
    (D.Laplace(*params(0.5, 0.8)), -20, 20),
    (D.Gumbel(*params(0.5, 0.8)), -6, 25),
    (D.Uniform(*params(-1, 2)), -1, 1.999999),
    (D.Exponential(*params(1.5)), 0, 20),
    (D.Gamma(*params(2.5, 1.5)), 1e-9, 30),
    (D.Beta(*params(2, 3)), 1e-9, 1 - 1e-9),
    (D.HalfNormal(*params(1.5)), 0, 15),
    (D.StudentT(*params(9, 0.5, 0.8)), -60, 60),
]
COUNTS = [
    D.Bernoulli(T(0.3, dtype=double)),
    D.Geometric(T(0.4, dtype=double)),
    D.Binomial(6, logits=T(0.3, dtype=double)),
    D.Poisson(T(2.5, dtype=double)),
]


@pytest.mark.interpreted
@pytest.mark.parametrize(("d", "low", "high"), CONTINUOUS, ids=lambda d: type(d).__name__)
def test_density(d: D.Distribution, low: float, high: float) -> None:
    """Its integral is 1, and gives the mean, the variance and the entropy."""
    x = np.linspace(low, high, 3001)
    p = d.log_prob(T(x.tolist(), dtype=double)).exp().numpy()
    assert np.isclose(np.trapezoid(p, x), 1, atol=1e-3)
    assert np.isclose(np.trapezoid(p * x, x), d.mean.item(), atol=2e-3)
    assert np.isclose(np.trapezoid(p * (x - d.mean.item()) ** 2, x), d.variance.item(), rtol=1e-2)
    if not isinstance(d, D.Uniform):
        assert np.isclose(np.trapezoid(-p * np.log(p + 1e-300), x), d.entropy().item(), atol=2e-3)
    if type(d).cdf is not D.Distribution.cdf:
        middle = T(float(x[1300]), dtype=double)
        below = np.trapezoid(p[:1301], x[:1301])
        assert np.isclose(d.cdf(middle).item(), below, atol=2e-3)
        if type(d).icdf is not D.Distribution.icdf:
            q = T(0.3, dtype=double)
            assert np.isclose(d.cdf(d.icdf(q)).item(), 0.3)


@pytest.mark.interpreted
@pytest.mark.parametrize("d", COUNTS, ids=lambda d: type(d).__name__)
def test_probabilities(d: D.Distribution) -> None:
    k = numgrad.arange(2.0 if isinstance(d, D.Bernoulli) else 7.0 if isinstance(d, D.Binomial) else 60.0).double()
    p, k = d.log_prob(k).exp().numpy(), k.numpy()
    assert np.isclose(p.sum(), 1)
    assert np.isclose((p * k).sum(), d.mean.item())
    assert np.isclose((p * k**2).sum() - d.mean.item() ** 2, d.variance.item())


@pytest.mark.parametrize("d", [d for d, _, _ in CONTINUOUS] + COUNTS, ids=lambda d: type(d).__name__)
def test_samples_agree_with_the_moments(d: D.Distribution) -> None:
    numgrad.manual_seed(0)
    n = 500
    x = d.sample((n,))
    assert x.shape == (n,) and x.dtype == double and not x.requires_grad
    assert abs(x.mean().item() - d.mean.item()) < 5 * math.sqrt(d.variance.item() / n)
    assert 0.5 < x.var().item() / d.variance.item() < 2


@pytest.mark.parametrize("rate", [0.0, 9.0, 11.0, 1e4])
def test_poisson_samples(rate: float) -> None:
    numgrad.manual_seed(1)
    x = numgrad.poisson(numgrad.full((400,), rate))
    assert abs(x.mean().item() - rate) <= 5 * math.sqrt(rate / 400)
    assert rate == 0 or 0.6 < x.var().item() / rate < 1.6


@pytest.mark.parametrize("shape", [0.1, 1.0, 50.0])
def test_gamma_samples(shape: float) -> None:
    numgrad.manual_seed(2)
    x = D.Gamma(shape, 2.0).sample((400,))
    assert x.min().item() > 0
    assert abs(x.mean().item() - shape / 2) <= 5 * math.sqrt(shape / 4 / 400)
@pytest.mark.interpreted
def test_categorical() -> None:
    d = D.Categorical(logits=T([[0.0, 1.0, 2.0], [0.0, 0.0, 0.0]], requires_grad=True))
    assert d.batch_shape == (2,) and d.sample((5,)).shape == (5, 2)
    found = d.log_prob(T([2, 0]))
    assert np.allclose(found.detach().numpy(), [2 - np.log(1 + np.e + np.e**2), -np.log(3)])
    assert np.isclose(d.entropy()[1].item(), np.log(3))
    assert d.log_prob(T([[2, 0], [1, 1], [0, 0]])).shape == (3, 2)
    probs = D.Categorical(T([1.0, 3.0])).probs
    assert probs.tolist() == [0.25, 0.75] and D.Categorical(T([1.0, 3.0])).mode.item() == 1
    numgrad.manual_seed(0)
    assert abs(D.Categorical(T([1.0, 3.0])).sample((2000,)).double().mean().item() - 0.75) < 0.05
    counts = D.Multinomial(10, T([1.0, 3.0])).sample((4,))
    assert counts.shape == (4, 2) and counts.sum(-1).tolist() == [10] * 4
    assert D.OneHotCategorical(T([1.0, 3.0])).sample((4,)).sum(-1).tolist() == [1] * 4
@pytest.mark.interpreted
def test_vectors() -> None:
    covariance = T([[2.0, 0.5], [0.5, 1.0]], dtype=double)
    d = D.MultivariateNormal(numgrad.zeros(2, dtype=double), covariance)
    expected = -0.5 * (2 * np.log(2 * np.pi) + np.log(1.75) + np.linalg.solve(covariance.numpy(), [1, 2]) @ [1, 2])
    assert np.isclose(d.log_prob(T([1.0, 2.0], dtype=double)).item(), expected)
    assert np.allclose(d.precision_matrix.numpy() @ covariance.numpy(), np.eye(2))
    numgrad.manual_seed(0)
    assert np.allclose(np.cov(d.sample((9000,)).numpy().T), covariance.numpy(), atol=0.2)
    x = D.Dirichlet(T([1.0, 2.0, 3.0])).sample((500,))
    assert np.allclose(x.sum(-1).numpy(), 1, atol=1e-5) and np.allclose(x.mean(0).numpy(), [1 / 6, 1 / 3, 1 / 2], atol=0.05)
    independent = D.Independent(D.Normal(numgrad.zeros(2, 3), 1.0), 1)
    assert independent.batch_shape == (2,) and independent.event_shape == (3,)
    assert independent.log_prob(numgrad.zeros(2, 3)).shape == (2,) and independent.expand((4, 2)).sample().shape == (4, 2, 3)


def test_reparametrised_samples_have_gradients() -> None:
    scale = T(2.0, requires_grad=True)
    x = D.Normal(0.0, scale).rsample((3,))
    x.sum().backward()
    assert np.isclose(scale.grad.item(), (x / scale).sum().item())
    with pytest.raises(NotImplementedError, match="sample"):
        D.Poisson(scale).rsample()


PAIRS = [
    (D.Normal(*params(0, 1)), D.Normal(*params(1, 2))),
    (D.Laplace(*params(0, 1)), D.Laplace(*params(1, 2))),
    (D.Gamma(*params(2, 1)), D.Gamma(*params(3, 2))),
    (D.Beta(*params(2, 3)), D.Beta(*params(3, 2))),
    (D.Exponential(*params(1)), D.Exponential(*params(2))),
]


@pytest.mark.interpreted
@pytest.mark.parametrize(("p", "q"), PAIRS, ids=lambda d: type(d).__name__)
def test_divergence_of_densities(p: D.Distribution, q: D.Distribution) -> None:
    low = {D.Normal: -15, D.Laplace: -30}.get(type(p), 1e-7)
    x = np.linspace(low, 1 - 1e-7 if isinstance(p, D.Beta) else 40, 4001)
    lp, lq = (d.log_prob(T(x.tolist(), dtype=double)).numpy() for d in (p, q))
    assert np.isclose(D.kl_divergence(p, q).item(), np.trapezoid(np.exp(lp) * (lp - lq), x), atol=2e-3)
    assert np.isclose(D.kl_divergence(p, p).item(), 0)
@pytest.mark.interpreted
def test_divergences_that_are_sums() -> None:
    a, b = T([0.2, 0.8], dtype=double), T([0.5, 0.5], dtype=double)
    expected = 0.2 * np.log(0.4) + 0.8 * np.log(1.6)
    assert np.isclose(D.kl_divergence(D.Categorical(a), D.Categorical(b)).item(), expected)
    assert np.isclose(D.kl_divergence(D.Bernoulli(a[1]), D.Bernoulli(b[1])).item(), expected)
    normals = [D.MultivariateNormal(numgrad.full((2,), m), numgrad.eye(2) * v) for m, v in ((0.0, 1.0), (1.0, 4.0))]
    each = D.kl_divergence(D.Normal(0.0, 1.0), D.Normal(1.0, 2.0)).item()
    assert np.isclose(D.kl_divergence(*normals).item(), 2 * each)
    independent = [D.Independent(D.Normal(numgrad.full((2,), m), s), 1) for m, s in ((0.0, 1.0), (1.0, 2.0))]
    assert np.isclose(D.kl_divergence(*independent).item(), 2 * each)
    with pytest.raises(NotImplementedError, match="Normal"):
        D.kl_divergence(D.Normal(0.0, 1.0), D.Poisson(1.0))


def test_bad_parameters_are_named() -> None:
    with pytest.raises(ValueError, match=r"scale .* GreaterThan\(lower_bound=0.0\)"):
        D.Normal(0.0, -1.0)
    with pytest.raises(ValueError, match="but not both"):
        D.Bernoulli()
    with pytest.raises(ValueError, match=r"Interval\(lower_bound=0.0, upper_bound=1.0\)"):
        D.Bernoulli(T(2.0))
    assert D.Normal(0.0, -1.0, validate_args=False).scale.item() == -1


@pytest.mark.parametrize("a", [1e-3, 0.1, 1.0, 5.0, 100.0, 2e4, 2e5, 1e7])
def test_gamma_variates_move_as_their_quantile(a: float) -> None:
    """dx/da of the x with F(x; a) = const: -(dF/da) / (dF/dx), in 40 digits; above 1e5 two expansions are compared."""
    mp = pytest.importorskip("mpmath").mp
    spread = [a + n * math.sqrt(a) for n in (-3, -0.5, 0, 0.5, 4)] + ([a * 1e-9, a * 1e-3] if a < 10 else [])
    x = np.array([v for v in spread if v > 0])
    concentration = T([a] * len(x), dtype=double, requires_grad=True)
    found = gamma_slope(concentration, T(x, dtype=double)).detach().numpy()
    if a > 1e5:  # Wilson and Hilferty: (x / a)^(1/3) is nearly normal, with mean 1 - 1 / (9 a) and variance 1 / (9 a)
        r = np.cbrt(x / a)
        n = (r - 1 + 1 / (9 * a)) * 3 * math.sqrt(a)
        expected = r**3 + 3 * a * r**2 * (1 / (9 * a**2) - n / (6 * a**1.5))
        np.testing.assert_allclose(found, expected, rtol=30 / a)
        return
    with mp.workdps(40):
        step = mp.mpf(10) ** -12 * a
        below = [(mp.gammainc(a + step, 0, v, regularized=True) - mp.gammainc(a - step, 0, v, regularized=True)) / (2 * step) for v in x]
        expected = [float(-b * mp.exp(mp.loggamma(a) + v + (1 - mp.mpf(a)) * mp.log(v))) for b, v in zip(below, x.tolist(), strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.native
@pytest.mark.parametrize(
    ("create", "values", "statistic", "expected"),
    [
        # d/da (a / b) = 1 / b and d/db (a / b) = -a / b²
        (D.Gamma, (2.5, 2.0), lambda x: x, (0.5, -0.625)),
        (D.Gamma, (0.3, 1.0), lambda x: x, (1.0, -0.3)),
        (D.Chi2, (3.0,), lambda x: x, (1.0,)),
        # d/da a / (a + b) = b / (a + b)²
        (D.Beta, (2.0, 3.0), lambda x: x, (3 / 25, -2 / 25)),
        # the variance s² n / (n - 2): -2 s² / (n - 2)² by n, 2 s n / (n - 2) by s
        (D.StudentT, (12.0, 0.0, 1.5), lambda x: x**2, (-0.045, 0.0, 3.6)),
    ],
)
def test_gradients_of_samples(create, values, statistic, expected) -> None:
    """On average they are the gradient of the mean."""
    numgrad.manual_seed(0)
    n = 20000
    parameters = [numgrad.full((n,), v, dtype=double, requires_grad=True) for v in values]
    d = create(*parameters)
    assert d.has_rsample and not d.sample().requires_grad
    statistic(d.rsample()).sum().backward()
    for p, wanted in zip(parameters, expected, strict=True):
        assert abs(p.grad.mean().item() - wanted) < 4.5 * p.grad.std().item() / math.sqrt(n)


@pytest.mark.native
def test_gradients_of_dirichlet_samples() -> None:
    numgrad.manual_seed(1)
    concentration = T([0.5, 1.0, 2.5], dtype=double).expand(9000, 3).clone().requires_grad_()
    x = D.Dirichlet(concentration).rsample()
    assert numgrad.allclose(x.sum(-1), numgrad.ones(9000, dtype=double))
    x[:, 0].sum().backward()
    found, error = concentration.grad.mean(0), concentration.grad.std(0) / math.sqrt(9000)
    expected = T([3.5 / 16, -0.5 / 16, -0.5 / 16], dtype=double)  # of a / (a + b + c)
    assert (abs(found - expected) < 4.5 * error).all()
    with pytest.raises(NotImplementedError, match="gamma_slope"):
        a = T(2.0, dtype=double, requires_grad=True)
        (grad,) = numgrad.autograd.grad(D.Gamma(a, T(1.0, dtype=double)).rsample(), a, create_graph=True)
        grad.backward()
