"""Distributions over real numbers."""

from __future__ import annotations

import math
from typing import Any

import numgrad
from numgrad.ops.variates import standard_gamma
from numgrad.tensor import Tensor

from .distribution import Distribution, parameters

_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class _LocationScale(Distribution):
    """loc + scale * a standard variate."""

    arg_constraints = {"loc": "real", "scale": "positive"}
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None):
        self.loc, self.scale = parameters(loc, scale)
        super().__init__(self.loc.shape, (), validate_args)

    def _standard(self, shape: Any) -> Tensor:
        return numgrad.randn(*shape, dtype=self.loc.dtype)

    def _uniform(self, shape: Any) -> Tensor:
        """Uniform numbers, neither 0 nor 1."""
        return numgrad.rand(*shape, dtype=self.loc.dtype).clamp_(numgrad.finfo(self.loc.dtype).tiny, 1 - numgrad.finfo(self.loc.dtype).eps)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.loc + self._standard(self._extended_shape(sample_shape)) * self.scale

    @property
    def mean(self) -> Tensor:
        return self.loc


class Normal(_LocationScale):
    """Normal numbers of mean `loc` and standard deviation `scale`."""

    @property
    def mode(self) -> Tensor:
        """The value of the highest density."""
        return self.loc

    @property
    def stddev(self) -> Tensor:
        return self.scale

    @property
    def variance(self) -> Tensor:
        return self.scale**2

    def log_prob(self, value: Tensor) -> Tensor:
        return -((value - self.loc) ** 2) / (2 * self.scale**2) - self.scale.log() - _HALF_LOG_2PI

    def cdf(self, value: Tensor) -> Tensor:
        return 0.5 * (1 + numgrad.erf((value - self.loc) / (self.scale * math.sqrt(2))))

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc + self.scale * numgrad.erfinv(2 * value - 1) * math.sqrt(2)

    def entropy(self) -> Tensor:
        return 0.5 + _HALF_LOG_2PI + self.scale.log()


class LogNormal(Normal):
    """The exponential of a normal number."""

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return super().rsample(sample_shape).exp()

    @property
    def mean(self) -> Tensor:
        return (self.loc + self.scale**2 / 2).exp()

    @property
    def mode(self) -> Tensor:
        return (self.loc - self.scale**2).exp()

    @property
    def stddev(self) -> Tensor:
        return self.variance.sqrt()

    @property
    def variance(self) -> Tensor:
        return numgrad.expm1(self.scale**2) * (2 * self.loc + self.scale**2).exp()

    def log_prob(self, value: Tensor) -> Tensor:
        return super().log_prob(value.log()) - value.log()

    def cdf(self, value: Tensor) -> Tensor:
        return super().cdf(value.log())

    def icdf(self, value: Tensor) -> Tensor:
        return super().icdf(value).exp()

    def entropy(self) -> Tensor:
        return super().entropy() + self.loc


class Laplace(_LocationScale):
    """The density falls by e for each `scale` away from `loc`."""

    def _standard(self, shape: Any) -> Tensor:
        u = self._uniform(shape) - 0.5
        return -u.sign() * (-2 * u.abs().clamp(max=0.5 - numgrad.finfo(u.dtype).eps)).log1p()

    @property
    def variance(self) -> Tensor:
        return 2 * self.scale**2

    def log_prob(self, value: Tensor) -> Tensor:
        return -(2 * self.scale).log() - (value - self.loc).abs() / self.scale

    def cdf(self, value: Tensor) -> Tensor:
        away = value - self.loc
        return 0.5 - 0.5 * away.sign() * numgrad.expm1(-away.abs() / self.scale)

    def icdf(self, value: Tensor) -> Tensor:
        away = value - 0.5
        return self.loc - self.scale * away.sign() * (-2 * away.abs()).log1p()

    def entropy(self) -> Tensor:
        return 1 + (2 * self.scale).log()


class Gumbel(_LocationScale):
    """The largest of many exponential variates (Gumbel)."""

    def _standard(self, shape: Any) -> Tensor:
        return -((-self._uniform(shape).log()).log())

    @property
    def mean(self) -> Tensor:
        return self.loc + self.scale * 0.57721566490153286

    @property
    def variance(self) -> Tensor:
        return math.pi**2 / 6 * self.scale**2

    def log_prob(self, value: Tensor) -> Tensor:
        y = (self.loc - value) / self.scale
        return y - y.exp() - self.scale.log()

    def cdf(self, value: Tensor) -> Tensor:
        return (-(((self.loc - value) / self.scale).exp())).exp()

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc - self.scale * (-value.log()).log()

    def entropy(self) -> Tensor:
        return self.scale.log() + (1 + 0.57721566490153286)


class Cauchy(_LocationScale):
    """The quotient of two normal numbers, moved and scaled; it has no mean."""

    def _standard(self, shape: Any) -> Tensor:
        return numgrad.tan(math.pi * (self._uniform(shape) - 0.5))

    @property
    def mean(self) -> Tensor:
        return numgrad.full_like(self.loc, math.nan)

    @property
    def variance(self) -> Tensor:
        return numgrad.full_like(self.loc, math.inf)

    def log_prob(self, value: Tensor) -> Tensor:
        return -math.log(math.pi) - self.scale.log() - (((value - self.loc) / self.scale) ** 2).log1p()

    def cdf(self, value: Tensor) -> Tensor:
        return numgrad.atan((value - self.loc) / self.scale) / math.pi + 0.5

    def icdf(self, value: Tensor) -> Tensor:
        return numgrad.tan(math.pi * (value - 0.5)) * self.scale + self.loc

    def entropy(self) -> Tensor:
        return math.log(4 * math.pi) + self.scale.log()


class Uniform(Distribution):
    """Numbers from `low` to `high`, all equally likely."""

    arg_constraints = {"low": "real", "high": "real"}
    has_rsample = True

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None):
        self.low, self.high = parameters(low, high)
        super().__init__(self.low.shape, (), validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.low + numgrad.rand(*self._extended_shape(sample_shape), dtype=self.low.dtype) * (self.high - self.low)

    @property
    def mean(self) -> Tensor:
        return (self.high + self.low) / 2

    @property
    def variance(self) -> Tensor:
        return (self.high - self.low) ** 2 / 12

    def log_prob(self, value: Tensor) -> Tensor:
        inside = (value >= self.low) & (value < self.high)
        return numgrad.where(inside, -(self.high - self.low).log(), -math.inf)

    def cdf(self, value: Tensor) -> Tensor:
        return ((value - self.low) / (self.high - self.low)).clamp(0, 1)

    def icdf(self, value: Tensor) -> Tensor:
        return value * (self.high - self.low) + self.low

    def entropy(self) -> Tensor:
        return (self.high - self.low).log()


class Exponential(Distribution):
    """Waiting times of events that happen `rate` times in a unit of time."""

    arg_constraints = {"rate": "positive"}
    has_rsample = True

    def __init__(self, rate: Any, validate_args: bool | None = None):
        (self.rate,) = parameters(rate)
        super().__init__(self.rate.shape, (), validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return numgrad.empty(*self._extended_shape(sample_shape), dtype=self.rate.dtype).exponential_() / self.rate

    @property
    def mean(self) -> Tensor:
        return self.rate.reciprocal()

    @property
    def variance(self) -> Tensor:
        return self.rate**-2

    def log_prob(self, value: Tensor) -> Tensor:
        return self.rate.log() - self.rate * value

    def cdf(self, value: Tensor) -> Tensor:
        return 1 - (-self.rate * value).exp()

    def icdf(self, value: Tensor) -> Tensor:
        return -(-value).log1p() / self.rate

    def entropy(self) -> Tensor:
        return 1 - self.rate.log()


class Gamma(Distribution):
    """Sums of `concentration` waiting times of rate `rate`."""

    arg_constraints = {"concentration": "positive", "rate": "positive"}
    has_rsample = True

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None):
        self.concentration, self.rate = parameters(concentration, rate)
        super().__init__(self.rate.shape, (), validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return standard_gamma(self.concentration.expand(*self._extended_shape(sample_shape))) / self.rate

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.rate

    @property
    def variance(self) -> Tensor:
        return self.concentration / self.rate**2

    def log_prob(self, value: Tensor) -> Tensor:
        a = self.concentration
        return numgrad.xlogy(a, self.rate) + numgrad.xlogy(a - 1, value) - self.rate * value - numgrad.lgamma(a)

    def entropy(self) -> Tensor:
        a = self.concentration
        return a - self.rate.log() + numgrad.lgamma(a) + (1 - a) * numgrad.digamma(a)


class Chi2(Gamma):
    """Sums of `df` squares of standard normal numbers."""

    def __init__(self, df: Any, validate_args: bool | None = None):
        (self.df,) = parameters(df)
        super().__init__(0.5 * self.df, 0.5, validate_args)


class Beta(Distribution):
    """Numbers between 0 and 1 with density x^(concentration1 - 1) (1 - x)^(concentration0 - 1)."""

    arg_constraints = {"concentration1": "positive", "concentration0": "positive"}
    has_rsample = True

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None):
        self.concentration1, self.concentration0 = parameters(concentration1, concentration0)
        super().__init__(self.concentration1.shape, (), validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        a, b = (standard_gamma(c.expand(*shape)) for c in (self.concentration1, self.concentration0))
        return a / (a + b)

    @property
    def mean(self) -> Tensor:
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def variance(self) -> Tensor:
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (total**2 * (total + 1))

    def _log_beta(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        return numgrad.lgamma(a) + numgrad.lgamma(b) - numgrad.lgamma(a + b)

    def log_prob(self, value: Tensor) -> Tensor:
        a, b = self.concentration1, self.concentration0
        return numgrad.xlogy(a - 1, value) + numgrad.xlogy(b - 1, 1 - value) - self._log_beta()

    def entropy(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        digamma = numgrad.digamma
        return self._log_beta() - (a - 1) * digamma(a) - (b - 1) * digamma(b) + (a + b - 2) * digamma(a + b)


class HalfNormal(Distribution):
    """The absolute value of a normal number of mean 0."""

    arg_constraints = {"scale": "positive"}
    has_rsample = True

    def __init__(self, scale: Any, validate_args: bool | None = None):
        (self.scale,) = parameters(scale)
        super().__init__(self.scale.shape, (), validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return numgrad.randn(*self._extended_shape(sample_shape), dtype=self.scale.dtype).abs() * self.scale

    @property
    def mean(self) -> Tensor:
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self) -> Tensor:
        return self.scale**2 * (1 - 2 / math.pi)

    def log_prob(self, value: Tensor) -> Tensor:
        density = math.log(2) - value**2 / (2 * self.scale**2) - self.scale.log() - _HALF_LOG_2PI
        return numgrad.where(value >= 0, density, -math.inf)

    def cdf(self, value: Tensor) -> Tensor:
        return numgrad.erf(value / (self.scale * math.sqrt(2)))

    def entropy(self) -> Tensor:
        return _HALF_LOG_2PI + 0.5 - math.log(2) + self.scale.log()


class StudentT(Distribution):
    """Student's t with `df` degrees of freedom, moved and scaled."""

    arg_constraints = {"df": "positive", "loc": "real", "scale": "positive"}
    has_rsample = True

    def __init__(self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None):
        self.df, self.loc, self.scale = parameters(df, loc, scale)
        super().__init__(self.df.shape, (), validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        df = self.df.expand(*shape)
        normal = numgrad.randn(*shape, dtype=df.dtype)
        return self.loc + self.scale * normal / (2 * standard_gamma(df / 2) / df).sqrt()

    @property
    def mean(self) -> Tensor:
        return numgrad.where(self.df > 1, self.loc, math.nan)

    @property
    def variance(self) -> Tensor:
        found = numgrad.where(self.df > 2, self.scale**2 * self.df / (self.df - 2), math.inf)
        return numgrad.where(self.df > 1, found, math.nan)

    def log_prob(self, value: Tensor) -> Tensor:
        y = (value - self.loc) / self.scale
        half = 0.5 * self.df
        normaliser = self.scale.log() + 0.5 * self.df.log() + 0.5 * math.log(math.pi) + numgrad.lgamma(half) - numgrad.lgamma(half + 0.5)
        return -0.5 * (self.df + 1) * (y**2 / self.df).log1p() - normaliser

    def entropy(self) -> Tensor:
        half, digamma = 0.5 * self.df, numgrad.digamma
        beta = numgrad.lgamma(half) + 0.5 * math.log(math.pi) - numgrad.lgamma(half + 0.5)
        return self.scale.log() + (half + 0.5) * (digamma(half + 0.5) - digamma(half)) + 0.5 * self.df.log() + beta
