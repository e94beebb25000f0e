"""Probability distributions: sampling, log-probabilities with gradients, entropies and divergences."""

from typing import Any

from numgrad.lacking import refuse

from .continuous import (
    Beta,
    Cauchy,
    Chi2,
    Exponential,
    Gamma,
    Gumbel,
    HalfNormal,
    Laplace,
    LogNormal,
    Normal,
    StudentT,
    Uniform,
)
from .discrete import Bernoulli, Binomial, Categorical, Geometric, Multinomial, OneHotCategorical, Poisson
from .distribution import Distribution
from .divergence import kl_divergence, register_kl
from .multivariate import Dirichlet, Independent, MultivariateNormal

__all__ = [
    "Bernoulli", "Beta", "Binomial", "Categorical", "Cauchy", "Chi2", "Dirichlet", "Distribution", "Exponential", "Gamma", "Geometric",
    "Gumbel", "HalfNormal", "Independent", "Laplace", "LogNormal", "Multinomial", "MultivariateNormal", "Normal", "OneHotCategorical",
    "Poisson", "StudentT", "Uniform", "kl_divergence", "register_kl",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    refuse(__name__, name)
