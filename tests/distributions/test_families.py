"""Each family beside SciPy's: densities, probabilities, quantiles, moments, entropies, divergences; and its draws by its probabilities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import numgrad
from numgrad import distributions as D

stats = pytest.importorskip("scipy.stats")
special = pytest.importorskip("scipy.special")
integrate = pytest.importorskip("scipy.integrate")

double = numgrad.float64


def T(value: Any) -> Any:
    return numgrad.tensor(value, dtype=double)


#: ours, its parameters, SciPy's
CONTINUOUS: list[tuple[Any, tuple[float, ...], Any]] = [
    (D.Normal, (0.5, 1.5), stats.norm(0.5, 1.5)),
    (D.LogNormal, (0.1, 0.4), stats.lognorm(0.4, scale=math.exp(0.1))),
    (D.Laplace, (0.5, 0.8), stats.laplace(0.5, 0.8)),
    (D.Cauchy, (0.5, 0.8), stats.cauchy(0.5, 0.8)),
    (D.HalfCauchy, (0.8,), stats.halfcauchy(scale=0.8)),
    (D.HalfNormal, (0.8,), stats.halfnorm(scale=0.8)),
    (D.Uniform, (0.2, 0.9), stats.uniform(0.2, 0.7)),
    (D.Gumbel, (0.5, 0.8), stats.gumbel_r(0.5, 0.8)),
    (D.Exponential, (1.5,), stats.expon(scale=1 / 1.5)),
    (D.Gamma, (2.5, 1.5), stats.gamma(2.5, scale=1 / 1.5)),
    (D.Chi2, (3.0,), stats.chi2(3)),
    (D.InverseGamma, (5.5, 1.5), stats.invgamma(5.5, scale=1.5)),
    (D.Beta, (2.0, 3.0), stats.beta(2, 3)),
    (D.StudentT, (5.0, 0.5, 0.8), stats.t(5, 0.5, 0.8)),
    (D.FisherSnedecor, (3.0, 7.0), stats.f(3, 7)),
    (D.Pareto, (1.5, 4.5), stats.pareto(4.5, scale=1.5)),
    (D.Weibull, (1.5, 2.5), stats.weibull_min(2.5, scale=1.5)),
    (D.GeneralizedPareto, (0.5, 1.5, 0.2), stats.genpareto(0.2, 0.5, 1.5)),
    (D.GeneralizedPareto, (0.5, 1.5, 0.0), stats.expon(0.5, 1.5)),
    (D.GeneralizedPareto, (0.5, 1.5, -0.3), stats.genpareto(-0.3, 0.5, 1.5)),
    (D.ContinuousBernoulli, (0.2,), stats.truncexpon(math.log(4), scale=1 / math.log(4))),
    (D.VonMises, (0.3, 2.5), stats.vonmises(2.5, 0.3)),
    (D.VonMises, (0.3, 80.0), stats.vonmises(80, 0.3)),
]
IDS = [f"{family.__name__}{values}" for family, values, _ in CONTINUOUS]


def made(family: Any, values: tuple[float, ...]) -> Any:
    return family(*map(T, values))


@pytest.mark.interpreted
@pytest.mark.parametrize(("family", "values", "peer"), CONTINUOUS, ids=IDS)
def test_continuous(family: Any, values: tuple[float, ...], peer: Any) -> None:
    d = made(family, values)
    q = np.array([0.03, 0.2, 0.5, 0.7, 0.96])
    x = peer.ppf(q)
    np.testing.assert_allclose(d.log_prob(T(x)), peer.logpdf(x), rtol=1e-9, atol=1e-12)
    if family is D.VonMises:
        np.testing.assert_allclose(d.variance.item(), 1 - special.ive(1, values[1]) / special.ive(0, values[1]), rtol=1e-10)
        return
    if family not in (D.StudentT, D.FisherSnedecor, D.Beta):
        np.testing.assert_allclose(d.cdf(T(x)), q, rtol=1e-9)
        if family not in (D.Gamma, D.Chi2, D.InverseGamma):
            np.testing.assert_allclose(d.icdf(T(q)), x, rtol=1e-9)
    if family not in (D.Cauchy, D.HalfCauchy):
        np.testing.assert_allclose([d.mean.item(), d.variance.item()], [peer.mean(), peer.var()], rtol=1e-9)
    if family is not D.FisherSnedecor:
        np.testing.assert_allclose(d.entropy().item(), float(peer.entropy()), rtol=1e-6)


DISCRETE = [
    (lambda: D.Bernoulli(T(0.3)), stats.bernoulli(0.3)),
    (lambda: D.Binomial(6, logits=T(0.3)), stats.binom(6, special.expit(0.3))),
    (lambda: D.Geometric(T(0.4)), stats.geom(0.4, loc=-1)),
    (lambda: D.NegativeBinomial(T(2.5), T(0.4)), stats.nbinom(2.5, 0.6)),
    (lambda: D.Poisson(T(2.5)), stats.poisson(2.5)),
]


@pytest.mark.interpreted
@pytest.mark.parametrize(("make", "peer"), DISCRETE, ids=lambda d: "" if callable(d) else d.dist.name)
def test_discrete(make: Any, peer: Any) -> None:
    d = make()
    k = np.arange(2.0 if isinstance(d, D.Bernoulli) else 6.0)
    np.testing.assert_allclose(d.log_prob(T(k)), peer.logpmf(k), rtol=1e-9)
    np.testing.assert_allclose([d.mean.item(), d.variance.item()], [peer.mean(), peer.var()], rtol=1e-9)
    assert peer.pmf(d.mode.item()) == pytest.approx(max(peer.pmf(np.arange(9))))
    if d.has_enumerate_support:
        np.testing.assert_allclose(d.log_prob(d.enumerate_support()).exp().sum().item(), 1)
        np.testing.assert_allclose(d.entropy().item(), float(peer.entropy()))


@pytest.mark.parametrize(("family", "values", "peer"), CONTINUOUS, ids=IDS)
def test_draws(family: Any, values: tuple[float, ...], peer: Any) -> None:
    """The probabilities of draws are uniform numbers: mean 1/2, variance 1/12, and 1/3 and 4/45 of their squares."""
    numgrad.manual_seed(3)
    n = 400
    x = made(family, values).sample((n,)).numpy()
    u = peer.cdf(x)
    assert abs(u.mean() - 0.5) < 5 * math.sqrt(1 / 12 / n) and abs((u**2).mean() - 1 / 3) < 5 * math.sqrt(4 / 45 / n)


@pytest.mark.interpreted
@pytest.mark.parametrize(("family", "values", "peer"), CONTINUOUS, ids=IDS)
def test_gradients_of_draws_keep_their_probabilities(family: Any, values: tuple[float, ...], peer: Any) -> None:
    """F(x(p); p) is constant: dx/dp = -(dF/dp) / (dF/dx), the derivatives from differences of SciPy's F."""
    parameters = [T([v] * 3).requires_grad_() for v in values]
    d = family(*parameters)
    if not d.has_rsample:
        assert family is D.VonMises
        return
    if family in (D.Gamma, D.Chi2, D.InverseGamma, D.Beta, D.StudentT, D.FisherSnedecor):
        assert d.rsample().requires_grad  # of several gamma variates, or by their quantile: test_distributions
        return
    numgrad.manual_seed(1)
    x = d.rsample()
    found = numgrad.autograd.grad(x.sum(), parameters)
    x = x.detach()
    d = family(*parameters)
    F = d.cdf(x)
    expected = numgrad.autograd.grad(F.sum(), parameters, allow_unused=True)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, (-b / made(family, values).log_prob(x).exp()), rtol=1e-6, atol=1e-9)


#: p's, and q's that the divergence is known of; by the integral of p (log p - log q) where it is finite
NUMBERS = [c for c in CONTINUOUS if c[0] in (D.Normal, D.Laplace, D.Gumbel, D.Exponential, D.Gamma, D.Beta, D.Pareto, D.ContinuousBernoulli, D.Uniform, D.Cauchy)]


@pytest.mark.interpreted
@pytest.mark.parametrize(("family", "values", "peer"), NUMBERS, ids=lambda c: c.__name__ if isinstance(c, type) else "")
def test_divergences(family: Any, values: tuple[float, ...], peer: Any) -> None:
    known = 0
    for other, given, q in NUMBERS:
        try:
            found = D.kl_divergence(made(family, values), made(other, given)).item()
        except NotImplementedError:
            continue
        known += 1
        (low, high), (least, most) = peer.support(), q.support()
        if least > low or most < high:
            assert found == math.inf
            continue
        expected = integrate.quad(lambda u, q=q: peer.logpdf(peer.ppf(u)) - q.logpdf(peer.ppf(u)), 0, 1, limit=200, epsabs=1e-7)[0]
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-6), other
    assert known >= {D.Cauchy: 1, D.ContinuousBernoulli: 5}.get(family, 6)


@pytest.mark.interpreted
def test_divergences_of_few_values() -> None:
    k = np.arange(60)
    for p, q, a, b in [
        (D.Bernoulli(T(0.3)), D.Poisson(T(0.6)), stats.bernoulli(0.3), stats.poisson(0.6)),
        (D.Geometric(T(0.4)), D.Geometric(T(0.6)), stats.geom(0.4, loc=-1), stats.geom(0.6, loc=-1)),
        (D.Binomial(5, T(0.4)), D.Binomial(5, T(0.6)), stats.binom(5, 0.4), stats.binom(5, 0.6)),
        (D.Poisson(T(2.0)), D.Poisson(T(3.0)), stats.poisson(2), stats.poisson(3)),
    ]:
        terms = [a.pmf(i) * (a.logpmf(i) - b.logpmf(i)) for i in k if a.pmf(i) > 0]
        assert D.kl_divergence(p, q).item() == pytest.approx(sum(terms))
    assert D.kl_divergence(D.Poisson(T(2.0)), D.Binomial(5, T(0.4))).item() == math.inf
    log_normals = [D.LogNormal(T(m), T(s)) for m, s in ((0.0, 1.0), (1.0, 2.0))]
    assert D.kl_divergence(*log_normals).item() == D.kl_divergence(*[d.base_dist for d in log_normals]).item()
    with pytest.raises(NotImplementedError, match="transforms"):
        D.kl_divergence(log_normals[0], D.Weibull(T(1.0), T(1.0)))


@pytest.mark.interpreted
def test_exponential_families_without_formulas_of_their_own() -> None:
    """The entropy and divergence that follow from the log normalizer are those of the formulas."""
    pairs = [
        (D.Normal(T([0.5]), T([1.5])), D.Normal(T([-1.0]), T([0.7]))), (D.Gamma(T(2.5), T(1.5)), D.Gamma(T(1.5), T(2.0))),
        (D.Beta(T(2.0), T(3.0)), D.Beta(T(0.5), T(1.0))), (D.Exponential(T(2.0)), D.Exponential(T(3.0))),
        (D.Dirichlet(T([1.0, 2.0, 3.5])), D.Dirichlet(T([2.0, 1.0, 0.5]))), (D.Bernoulli(T(0.2)), D.Bernoulli(T(0.7))),
    ]  # fmt: skip
    from numgrad.distributions.kl import _exponential_family

    for p, q in pairs:
        assert numgrad.allclose(D.ExponentialFamily.entropy(p), p.entropy())
        assert numgrad.allclose(_exponential_family(p, q), D.kl_divergence(p, q))


@pytest.mark.interpreted
def test_matrices() -> None:
    m = np.array([[2.0, 0.5], [0.5, 1.0]])
    d, peer = D.Wishart(T(4.5), T(m)), stats.wishart(4.5, m)
    np.testing.assert_allclose(d.log_prob(T(m)).item(), peer.logpdf(m))
    np.testing.assert_allclose(d.mean, peer.mean())
    np.testing.assert_allclose(d.variance, peer.var())
    np.testing.assert_allclose([d.entropy().item(), D.kl_divergence(d, d).item()], [peer.entropy(), 0], atol=1e-12)
    w, v = np.array([[1.0, 0.2], [0.3, 0.4], [0.5, 0.6]]), np.array([0.5, 1.0, 2.0])
    low, full = D.LowRankMultivariateNormal(T([1.0, 2.0, 3.0]), T(w), T(v)), w @ w.T + np.diag(v)
    np.testing.assert_allclose(low.log_prob(T([0.5, 0.5, 0.5])).item(), stats.multivariate_normal([1, 2, 3], full).logpdf([0.5, 0.5, 0.5]))
    np.testing.assert_allclose(low.entropy().item(), stats.multivariate_normal([1, 2, 3], full).entropy())
    np.testing.assert_allclose(low.precision_matrix, np.linalg.inv(full), rtol=1e-10)
    same = D.MultivariateNormal(low.loc, precision_matrix=low.precision_matrix)
    np.testing.assert_allclose(D.kl_divergence(low, same).item(), 0, atol=1e-12)
    np.testing.assert_allclose(same.covariance_matrix, full, rtol=1e-10)


@pytest.mark.interpreted
def test_correlations() -> None:
    """Each correlation is 2 Beta - 1 with both parameters concentration + (n - 2) / 2: variance 1 / (2 concentration + n - 1)."""
    numgrad.manual_seed(0)
    d = D.LKJCholesky(3, T(1.5))
    rows = d.sample((300,))
    assert d.support.check(rows).all()
    c = (rows @ rows.mT).numpy()
    assert np.allclose(np.diagonal(c, axis1=1, axis2=2), 1)
    for i, j in ((1, 0), (2, 0), (2, 1)):
        assert abs(c[:, i, j].mean()) < 5 * math.sqrt(0.2 / 300) and abs(c[:, i, j].var() - 0.2) < 5 * 0.2 * math.sqrt(2 / 300)
    r = np.linspace(-1, 1, 2003)[1:-1]  # of a 2 x 2 factor the free element, with density (1 - r^2)^(concentration - 1)
    factors = np.stack([np.stack([np.ones_like(r), 0 * r], -1), np.stack([r, np.sqrt(1 - r * r)], -1)], -2)
    assert np.trapezoid(np.exp(D.LKJCholesky(2, T(2.5)).log_prob(T(factors)).numpy()), r) == pytest.approx(1, abs=1e-4)


@pytest.mark.interpreted
def test_relaxed() -> None:
    numgrad.manual_seed(0)
    d = D.RelaxedBernoulli(T(0.6), T([0.3]))
    x = np.array([0.01, 0.3, 0.5, 0.9])  # the probability of at most x is sigmoid(temperature logit(x) - logits)
    below = special.expit(0.6 * special.logit(x) - special.logit(0.3))
    np.testing.assert_allclose(d.log_prob(T(x[:, None]))[:, 0], np.log(0.6 * below * (1 - below) / (x * (1 - x))))
    assert abs((d.rsample((400,)) > 0.5).double().mean().item() - 0.3) < 5 * math.sqrt(0.21 / 400)
    p = T([0.2, 0.3, 0.5])
    relaxed = D.RelaxedOneHotCategorical(T(0.6), p)
    largest = relaxed.sample((400,)).argmax(-1).bincount(minlength=3) / 400
    assert (abs(largest - p) < 5 * (p * (1 - p) / 400).sqrt()).all()
    # with two elements the first is a RelaxedBernoulli number, whose density is one along it
    pair = D.RelaxedOneHotCategorical(T(0.6), T([0.3, 0.7])).log_prob(T([0.4, 0.6])).item()
    assert pair == pytest.approx(d.log_prob(T([0.4])).item())
    logits = T([0.1, 0.2, 0.3]).requires_grad_()
    one = D.OneHotCategoricalStraightThrough(logits=logits).rsample()
    assert sorted(one.tolist()) == pytest.approx([0, 0, 1])
    one[0].backward()
    probs = logits.softmax(-1)
    np.testing.assert_allclose(logits.grad, numgrad.autograd.grad(probs[0], logits)[0])


@pytest.mark.interpreted
def test_mixture() -> None:
    weights, loc, scale = np.array([0.2, 0.8]), np.array([-1.0, 2.0]), np.array([0.5, 1.5])
    d = D.MixtureSameFamily(D.Categorical(T(weights)), D.Normal(T(loc), T(scale)))
    x = np.array([-1.5, 0.0, 3.0])
    each = stats.norm(loc, scale)
    np.testing.assert_allclose(d.log_prob(T(x)), np.log(each.pdf(x[:, None]) @ weights))
    np.testing.assert_allclose(d.cdf(T(x)), each.cdf(x[:, None]) @ weights)
    assert d.mean.item() == pytest.approx(1.4) and d.variance.item() == pytest.approx(weights @ (scale**2 + loc**2) - 1.4**2)
    numgrad.manual_seed(0)
    assert abs(d.sample((400,)).mean().item() - 1.4) < 5 * math.sqrt(d.variance.item() / 400)
    vectors = D.MixtureSameFamily(D.Categorical(numgrad.ones(4, 3)), D.Independent(D.Normal(numgrad.zeros(4, 3, 2), 1.0), 1))
    assert vectors.sample((5,)).shape == (5, 4, 2) and vectors.expand((6, 4)).log_prob(numgrad.zeros(2)).shape == (6, 4)


@pytest.mark.interpreted
def test_incomplete_gamma_functions() -> None:
    a = np.array([0.01, 0.5, 1, 3, 10, 100, 1e4, 3, 0, 2, 2, 2, np.inf])
    x = np.array([0.001, 2, 0.3, 5, 12, 90, 1.01e4, 0, 1, np.inf, -1, np.nan, 1])
    np.testing.assert_allclose(numgrad.igamma(T(a), T(x)), special.gammainc(a, x), rtol=1e-10)
    np.testing.assert_allclose(numgrad.igammac(T(a), T(x)), special.gammaincc(a, x), rtol=1e-9)
    p, q = T(a[1:6]).requires_grad_(), T(x[1:6]).requires_grad_()
    for function, peer in ((numgrad.igamma, special.gammainc), (numgrad.igammac, special.gammaincc)):
        by_a, by_x = numgrad.autograd.grad(function(p, q).sum(), (p, q))
        (u, v), h = (a[1:6], x[1:6]), 1e-5
        np.testing.assert_allclose(by_a, (peer(u * (1 + h), v) - peer(u * (1 - h), v)) / (2 * h * u), rtol=1e-6)
        np.testing.assert_allclose(by_x, (peer(u, v * (1 + h)) - peer(u, v * (1 - h))) / (2 * h * v), rtol=1e-6)
    assert numgrad.igamma(numgrad.tensor(2), numgrad.tensor([1.0, 2.0])).dtype == numgrad.float32
