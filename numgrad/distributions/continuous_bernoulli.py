"""ContinuousBernoulli."""

from __future__ import annotations

from typing import Any

import numgrad
from numgrad.tensor import Tensor

from . import constraints
from .bernoulli import Binary
from .exp_family import ExponentialFamily
from .utils import clamp_probs, lazy_property, probs_to_logits

__all__ = ["ContinuousBernoulli"]

#: Below this logit the log normalizer and its derivatives are power series; what they leave out is under 1e-13 of them.
_NEAR = 0.5
#: log((e^x - 1) / x) - x / 2 = x^2 / 24 - x^4 / 2880 + ...: Bernoulli numbers B_2k / (2k (2k)!)
_SERIES = (1 / 24, -1 / 2880, 1 / 181440, -1 / 9676800, 1 / 479001600)


class ContinuousBernoulli(Binary, ExponentialFamily):
    """Numbers between 0 and 1 with density e^(logit x), up to a factor (Loaiza-Ganem and Cunningham 2019, https://arxiv.org/abs/1907.06845).

    `lims` is accepted: instead of a range of probabilities around 1/2 a fixed range of logits is computed by series.
    """

    support = constraints.unit_interval
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(self, probs: Any = None, logits: Any = None, lims: Any = (0.499, 0.501), validate_args: bool | None = None):
        super().__init__(probs, logits, validate_args)
        self._lims = lims
        if logits is None:
            self.probs = clamp_probs(self.probs)

    @lazy_property
    def logits(self) -> Tensor:
        """log(p / (1 - p))."""
        return probs_to_logits(self.probs, is_binary=True)

    def _size(self) -> tuple[Tensor, Tensor]:
        """Whether the logit is near 0, and its absolute value, 1 there."""
        near = self.logits.abs() < _NEAR
        return near, numgrad.where(near, 1.0, self.logits.abs())

    def _log_normalizer(self, x: Tensor) -> Tensor:
        near = x.abs() < _NEAR
        a, b = numgrad.where(near, 1.0, x.abs()), numgrad.where(near, x, 0.0) ** 2
        series = sum(c * b ** (k + 1) for k, c in enumerate(_SERIES))
        return x / 2 + numgrad.where(near, series, a / 2 + (-numgrad.expm1(-a)).log() - a.log())

    @property
    def mean(self) -> Tensor:
        near, a = self._size()
        x, sign = self.logits, self.logits.sign()
        series = sum(2 * (k + 1) * c * numgrad.where(near, x, 0.0) ** (2 * k + 1) for k, c in enumerate(_SERIES))
        return 0.5 + numgrad.where(near, series, sign * (0.5 + 1 / numgrad.expm1(a) - 1 / a))

    @property
    def variance(self) -> Tensor:
        near, a = self._size()
        x = numgrad.where(near, self.logits, 0.0) ** 2
        series = sum((2 * k + 2) * (2 * k + 1) * c * x**k for k, c in enumerate(_SERIES))
        return numgrad.where(near, series, a**-2 - (-a).exp() / numgrad.expm1(-a) ** 2)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with numgrad.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.icdf(numgrad.rand(*self._extended_shape(sample_shape), dtype=self.logits.dtype))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return self.logits * value - self._log_normalizer(self.logits)

    def _falling(self) -> tuple[Tensor, Tensor]:
        """Whether the density rises, and minus the logit's absolute value, never 0: seen from the other end it falls."""
        return self.logits > 0, -self.logits.abs().clamp(min=numgrad.finfo(self.logits.dtype).tiny)

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        rises, slope = self._falling()
        found = numgrad.expm1(slope * numgrad.where(rises, 1 - value, value)) / numgrad.expm1(slope)
        return numgrad.where(rises, 1 - found, found).clamp(0, 1)

    def icdf(self, value: Tensor) -> Tensor:
        rises, slope = self._falling()
        found = (numgrad.where(rises, 1 - value, value) * numgrad.expm1(slope)).log1p() / slope
        return numgrad.where(rises, 1 - found, found).clamp(0, 1)

    def entropy(self) -> Tensor:
        return self._log_normalizer(self.logits) - self.logits * self.mean

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return (self.logits,)
