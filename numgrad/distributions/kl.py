"""The Kullback-Leibler divergence of two distributions, by their classes. Those of different families are in `kl_pairs`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numgrad
from numgrad import linalg
from numgrad.nn import functional as F
from numgrad.tensor import Tensor

from .bernoulli import Bernoulli
from .beta import Beta
from .binomial import Binomial
from .categorical import Categorical
from .cauchy import Cauchy
from .dirichlet import Dirichlet
from .distribution import Distribution
from .exp_family import ExponentialFamily
from .exponential import Exponential
from .gamma import Gamma
from .geometric import Geometric
from .half_normal import HalfNormal
from .independent import Independent
from .laplace import Laplace
from .lowrank_multivariate_normal import LowRankMultivariateNormal
from .multivariate_normal import MultivariateNormal
from .normal import Normal
from .one_hot_categorical import OneHotCategorical
from .poisson import Poisson
from .transformed_distribution import TransformedDistribution
from .uniform import Uniform
from .utils import sum_rightmost
from .wishart import Wishart, digamma, log_gamma

__all__ = ["kl_divergence", "register_kl"]

_RULES: dict[tuple[type, type], Callable[[Any, Any], Tensor]] = {}


def register_kl(type_p: type, type_q: type) -> Callable[..., Any]:
    """A decorator: this function of p and q gives the divergence for these classes and those derived from them."""
    for kind in (type_p, type_q):
        if not isinstance(kind, type):  # libraries have distributions that are none of ours
            raise TypeError(f"Expected a class of distributions but got {kind}")

    def register(function: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Tensor]:
        _RULES[type_p, type_q] = function
        return function

    return register


def _rule(p: type, q: type) -> Callable[[Any, Any], Tensor]:
    """The closest rule: p's class counts first. A warning where q's would choose another one."""
    found = [(p.__mro__.index(a), q.__mro__.index(b), rule) for (a, b), rule in _RULES.items() if issubclass(p, a) and issubclass(q, b)]
    if not found:
        raise NotImplementedError(f"No KL(p || q) is implemented for p type {p.__name__} and q type {q.__name__}")
    left, right = (min(found, key=lambda f: key(f)) for key in (lambda f: f[:2], lambda f: f[1::-1]))
    if left[2] is not right[2]:
        warnings.warn(f"Ambiguous kl_divergence({p.__name__}, {q.__name__}). Please register_kl for these two", RuntimeWarning, stacklevel=3)
    return left[2]


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """The expectation under p of log p - log q."""
    return _rule(type(p), type(q))(p, q)


@register_kl(ExponentialFamily, ExponentialFamily)
def _exponential_family(p: Any, q: Any) -> Tensor:
    """The Bregman divergence of the log normalizer (Nielsen and Nock 2010, https://arxiv.org/abs/0911.4863)."""
    if type(p) is not type(q):
        raise NotImplementedError(f"No KL(p || q) is implemented for p type {type(p).__name__} and q type {type(q).__name__}")
    own, parameters, slopes = p._expectations()
    others = q._natural_params
    found = q._log_normalizer(*others) - own
    for a, b, slope in zip(parameters, others, slopes):
        found = found - p._summed((b - a) * slope)
    return found


@register_kl(Normal, Normal)
def _normal(p: Any, q: Any) -> Tensor:
    ratio = (p.scale / q.scale) ** 2
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale) ** 2 - 1 - ratio.log())


@register_kl(HalfNormal, HalfNormal)
def _half_normal(p: Any, q: Any) -> Tensor:
    return _normal(p.base_dist, q.base_dist)


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Any, q: Any) -> Tensor:
    """Chyzak and Nielsen 2019, https://arxiv.org/abs/1905.10965."""
    return (((p.scale + q.scale) ** 2 + (p.loc - q.loc) ** 2) / (4 * p.scale * q.scale)).log()


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Any, q: Any) -> Tensor:
    yes = p.probs * (F.softplus(-q.logits) - F.softplus(-p.logits))
    found = yes + (1 - p.probs) * (F.softplus(q.logits) - F.softplus(p.logits))
    return numgrad.where((p.probs > 0) & (q.probs == 0) | (p.probs < 1) & (q.probs == 1), math.inf, found)


@register_kl(Binomial, Binomial)
def _binomial(p: Any, q: Any) -> Tensor:
    found = p.total_count * (p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p())
    return numgrad.where(p.total_count > q.total_count, math.inf, found)


@register_kl(Geometric, Geometric)
def _geometric(p: Any, q: Any) -> Tensor:
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(Categorical, Categorical)
def _categorical(p: Any, q: Any) -> Tensor:
    terms = p.probs * (p.logits - q.logits)
    terms = numgrad.where(q.probs == 0, math.inf, terms)
    return numgrad.where(p.probs == 0, 0.0, terms).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot(p: Any, q: Any) -> Tensor:
    return _categorical(p._categorical, q._categorical)


@register_kl(Poisson, Poisson)
def _poisson(p: Any, q: Any) -> Tensor:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Bernoulli, Poisson)
def _bernoulli_poisson(p: Any, q: Any) -> Tensor:
    return q.rate - p.entropy() - p.probs * q.rate.log()  # log x! is 0 for both numbers


@register_kl(Poisson, Bernoulli)
@register_kl(Poisson, Binomial)
def _poisson_bounded(p: Any, q: Any) -> Tensor:
    return numgrad.full(tuple(numgrad.broadcast_shapes(tuple(p.batch_shape), tuple(q.batch_shape))), math.inf, dtype=p.rate.dtype)


@register_kl(Uniform, Uniform)
def _uniform(p: Any, q: Any) -> Tensor:
    found = ((q.high - q.low) / (p.high - p.low)).log()
    return numgrad.where((q.low > p.low) | (q.high < p.high), math.inf, found)


@register_kl(Exponential, Exponential)
def _exponential(p: Any, q: Any) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - 1 - ratio.log()


@register_kl(Laplace, Laplace)
def _laplace(p: Any, q: Any) -> Tensor:
    ratio, away = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + away / q.scale + ratio * (-away / p.scale).exp() - 1


@register_kl(Gamma, Gamma)
def _gamma(p: Any, q: Any) -> Tensor:
    first = q.concentration * (p.rate / q.rate).log() + numgrad.lgamma(q.concentration) - numgrad.lgamma(p.concentration)
    return first + (p.concentration - q.concentration) * numgrad.digamma(p.concentration) + (q.rate - p.rate) * (p.concentration / p.rate)


def _concentrations(a: Tensor, b: Tensor) -> Tensor:
    total = a.sum(-1)
    normalisers = numgrad.lgamma(total) - numgrad.lgamma(b.sum(-1)) + (numgrad.lgamma(b) - numgrad.lgamma(a)).sum(-1)
    return normalisers + ((a - b) * (numgrad.digamma(a) - numgrad.digamma(total).unsqueeze(-1))).sum(-1)


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Any, q: Any) -> Tensor:
    return _concentrations(p.concentration, q.concentration)


@register_kl(Beta, Beta)
def _beta(p: Any, q: Any) -> Tensor:
    return _concentrations(*[numgrad.stack([d.concentration1, d.concentration0], -1) for d in (p, q)])


@register_kl(MultivariateNormal, MultivariateNormal)
@register_kl(MultivariateNormal, LowRankMultivariateNormal)
@register_kl(LowRankMultivariateNormal, MultivariateNormal)
@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
def _multivariate_normal(p: Any, q: Any) -> Tensor:
    if p.event_shape != q.event_shape:
        raise ValueError(f"KL-divergence between normal vectors of different sizes cannot be computed: {tuple(p.event_shape)} and {tuple(q.event_shape)}")
    spread = linalg.solve_triangular(q.scale_tril, p.scale_tril, upper=False)
    away = linalg.solve_triangular(q.scale_tril, (q.loc - p.loc).unsqueeze(-1), upper=False)
    squares = (spread**2).sum((-2, -1)) + (away**2).sum((-2, -1))
    log_q, log_p = (d.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1) for d in (q, p))
    return log_q - log_p + 0.5 * (squares - p.event_shape[0])


@register_kl(Wishart, Wishart)
def _wishart(p: Any, q: Any) -> Tensor:
    n = p.event_shape[-1]
    trace = (linalg.solve_triangular(q.scale_tril, p.scale_tril, upper=False) ** 2).sum((-2, -1))
    scale = q.df * (q._log_det() - p._log_det()) + p.df * (trace - n) + (p.df - q.df) * digamma(p.df / 2, n)
    return 0.5 * scale + log_gamma(q.df / 2, n) - log_gamma(p.df / 2, n)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: Any, q: Any) -> Tensor:
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError("KL of transformed distributions whose transforms or event shapes differ")
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Independent, Independent)
def _independent(p: Any, q: Any) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError("KL of Independent distributions that take different numbers of dimensions as one event")
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)
