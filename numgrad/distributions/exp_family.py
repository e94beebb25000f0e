"""ExponentialFamily: densities exp(<statistics, natural parameters> - log normalizer + carrier)."""

from __future__ import annotations

from typing import Any

import numgrad
from numgrad import autograd
from numgrad.tensor import Tensor

from .distribution import Distribution
from .utils import sum_rightmost

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """The base of distributions whose entropy and divergences follow from the log normalizer as a function of natural parameters.

    A class that derives from it defines `_natural_params`, `_log_normalizer` of them and `_mean_carrier_measure`, the expectation
    of the logarithm of the carrier. See Nielsen and Nock 2010, "Entropies and cross-entropies of exponential families".
    """

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        raise NotImplementedError(f"{type(self).__name__} has no natural parameters")

    def _log_normalizer(self, *natural_params: Any) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no log normalizer")

    @property
    def _mean_carrier_measure(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no mean carrier measure")

    def entropy(self) -> Tensor:
        """log normalizer - <natural parameters, its gradients> - carrier."""
        found, parameters, slopes = self._expectations()
        result = found - self._mean_carrier_measure
        for p, slope in zip(parameters, slopes):
            result = result - self._summed(p * slope)
        return result

    def _expectations(self) -> tuple[Tensor, list[Tensor], tuple[Tensor, ...]]:
        """The log normalizer, the natural parameters, and its gradients by them, which are the means of the statistics."""
        with numgrad.enable_grad():
            parameters = [p if p.requires_grad else p.detach().requires_grad_() for p in self._natural_params]
            found = self._log_normalizer(*parameters)
            slopes = autograd.grad(found.sum(), parameters, create_graph=True)
        return found, parameters, slopes

    def _summed(self, x: Tensor) -> Tensor:
        """The sum over one event, whatever the shape of its parameter."""
        return sum_rightmost(x, x.dim() - len(self._batch_shape))
