"""Divergences of numbers of different families: -entropy(p) - E log q, the expectation from few means of p.

`_EXPECTED` says for each q what E log q is, of the mean and the variance of x, E log(x), E log(1 - x) and E exp(-x / t). Where p
draws what q cannot, the divergence is infinite.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numgrad
from numgrad.tensor import Tensor

from .beta import Beta
from .continuous_bernoulli import ContinuousBernoulli
from .exponential import Exponential
from .gamma import Gamma
from .gumbel import Gumbel
from .kl import register_kl
from .laplace import Laplace
from .normal import Normal
from .pareto import Pareto
from .uniform import Uniform
from .utils import euler_constant

_RANGES: dict[type, Callable[[Any], tuple[Any, Any]]] = {
    Beta: lambda d: (0.0, 1.0),
    ContinuousBernoulli: lambda d: (0.0, 1.0),
    Exponential: lambda d: (0.0, math.inf),
    Gamma: lambda d: (0.0, math.inf),
    Pareto: lambda d: (d.scale, math.inf),
    Uniform: lambda d: (d.low, d.high),
}


def _range(d: Any) -> tuple[Any, Any]:
    """From where to where it draws."""
    return next((rule(d) for kind, rule in _RANGES.items() if isinstance(d, kind)), (-math.inf, math.inf))


def _mean_log_between(low: Any, high: Any) -> Tensor:
    """E log(x) of uniform numbers."""
    return (numgrad.xlogy(high, high) - numgrad.xlogy(low, low)) / (high - low) - 1


#: E log(x)
_LOG: dict[type, Callable[[Any], Tensor]] = {
    Beta: lambda d: numgrad.digamma(d.concentration1) - numgrad.digamma(d.concentration1 + d.concentration0),
    Exponential: lambda d: -euler_constant - d.rate.log(),
    Gamma: lambda d: numgrad.digamma(d.concentration) - d.rate.log(),
    Pareto: lambda d: d.scale.log() + 1 / d.alpha,
    Uniform: lambda d: _mean_log_between(d.low, d.high),
}
#: E log(1 - x)
_LOG_BELOW: dict[type, Callable[[Any], Tensor]] = {Uniform: lambda d: _mean_log_between(1 - d.high, 1 - d.low)}
#: E exp(-x / t)
_EXP: dict[type, Callable[[Any, Tensor], Tensor]] = {
    Exponential: lambda d, t: d.rate / (d.rate + 1 / t),
    Gamma: lambda d, t: (d.rate / (d.rate + 1 / t)) ** d.concentration,
    Gumbel: lambda d, t: (numgrad.lgamma(1 + d.scale / t) - d.loc / t).exp(),
    Normal: lambda d, t: (d.scale**2 / (2 * t**2) - d.loc / t).exp(),
    Uniform: lambda d, t: t * ((-d.low / t).exp() - (-d.high / t).exp()) / (d.high - d.low),
}


def _of(table: dict[type, Any], d: Any) -> Any:
    return next(rule for kind, rule in table.items() if isinstance(d, kind))


def _expected_normal(p: Any, q: Any) -> Tensor:
    return -(p.variance + (p.mean - q.loc) ** 2) / (2 * q.scale**2) - q.scale.log() - 0.5 * math.log(2 * math.pi)


def _expected_gumbel(p: Any, q: Any) -> Tensor:
    return (q.loc - p.mean) / q.scale - (q.loc / q.scale).exp() * _of(_EXP, p)(p, q.scale) - q.scale.log()


def _expected_gamma(p: Any, q: Any) -> Tensor:
    a = q.concentration
    return numgrad.xlogy(a, q.rate) - numgrad.lgamma(a) + (a - 1) * _of(_LOG, p)(p) - q.rate * p.mean


def _expected_beta(p: Any, q: Any) -> Tensor:
    a, b = q.concentration1, q.concentration0
    return (a - 1) * _of(_LOG, p)(p) + (b - 1) * _of(_LOG_BELOW, p)(p) - q._log_normalizer(a, b)


#: E log q under p
_EXPECTED: dict[type, Callable[[Any, Any], Tensor]] = {
    Beta: _expected_beta,
    ContinuousBernoulli: lambda p, q: q.logits * p.mean - q._log_normalizer(q.logits),
    Exponential: lambda p, q: q.rate.log() - q.rate * p.mean,
    Gamma: _expected_gamma,
    Gumbel: _expected_gumbel,
    Normal: _expected_normal,
    Pareto: lambda p, q: q.alpha.log() + numgrad.xlogy(q.alpha, q.scale) - (q.alpha + 1) * _of(_LOG, p)(p),
    Uniform: lambda p, q: -(q.high - q.low).log(),
}


def _divergence(p: Any, q: Any) -> Tensor:
    (low, high), (least, most) = _range(p), _range(q)
    below, above = least > low, most < high
    if below is True or above is True or (isinstance(q, Pareto) and not isinstance(low, Tensor)):  # a Pareto's scale is over 0
        return p.mean.new_full(tuple(numgrad.broadcast_shapes(tuple(p.batch_shape), tuple(q.batch_shape))), math.inf)
    found = -p.entropy() - _of(_EXPECTED, q)(p, q)
    beyond = below | above
    return numgrad.where(beyond, math.inf, found) if isinstance(beyond, Tensor) else found


_PAIRS: dict[type, tuple[type, ...]] = {
    Beta: (ContinuousBernoulli, Exponential, Gamma, Normal, Pareto, Uniform),
    ContinuousBernoulli: (ContinuousBernoulli, Exponential, Normal, Pareto, Uniform),
    Exponential: (Beta, ContinuousBernoulli, Gamma, Gumbel, Normal, Pareto, Uniform),
    Gamma: (Beta, ContinuousBernoulli, Exponential, Gumbel, Normal, Pareto, Uniform),
    Gumbel: (Beta, ContinuousBernoulli, Exponential, Gamma, Gumbel, Normal, Pareto, Uniform),
    Laplace: (Beta, ContinuousBernoulli, Exponential, Gamma, Normal, Pareto, Uniform),
    Normal: (Beta, ContinuousBernoulli, Exponential, Gamma, Gumbel, Pareto, Uniform),
    Pareto: (Beta, ContinuousBernoulli, Exponential, Gamma, Normal, Pareto, Uniform),
    Uniform: (Beta, ContinuousBernoulli, Exponential, Gamma, Gumbel, Normal, Pareto),
}
for _p, _others in _PAIRS.items():
    for _q in _others:
        register_kl(_p, _q)(_divergence)


@register_kl(Normal, Laplace)
def _normal_laplace(p: Any, q: Any) -> Tensor:
    """By the mean of |x - loc|, a folded normal number's."""
    away = (p.loc - q.loc) / p.scale
    folded = p.scale * (math.sqrt(2 / math.pi) * (-(away**2) / 2).exp() + away * numgrad.erf(away / math.sqrt(2)))
    return (2 * q.scale).log() + folded / q.scale - p.entropy()
