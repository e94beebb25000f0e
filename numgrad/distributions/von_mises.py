"""VonMises."""

from __future__ import annotations

import math
from typing import Any

import numgrad
from numgrad.ops import creation
from numgrad.tensor import Tensor

from . import constraints
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["VonMises"]

#: Proposals for each angle: each is accepted with a probability over 0.65, none of them with one under 1e-14.
_ROUNDS = 32
#: Up to this concentration the trapezoidal rule with 64 points around the circle is exact: its error is that of Bessel's I_64 / I_0.
_NARROW = 50.0


def _bessel_ratio(x: Tensor) -> tuple[Tensor, Tensor]:
    """log(I_0(x)) - x and 1 - I_1(x) / I_0(x): means of exp(x (cos t - 1)) around the circle, expansions in 1 / x where x is large."""
    weights = creation.tensor([0.5 if k in (0, 32) else 1.0 for k in range(33)], dtype=x.dtype) / 32
    away = creation.tensor([2 * math.sin(math.pi * k / 64) ** 2 for k in range(33)], dtype=x.dtype)  # 1 - cos t
    terms = (-x.clamp(max=_NARROW).unsqueeze(-1) * away).exp() * weights
    near = terms.sum(-1)
    below = (terms * away).sum(-1) / near
    far = x.clamp(min=_NARROW)
    zeroth, first, a, b = 1.0 + 0 * far, 1.0 + 0 * far, 1.0, 1.0  # of I_0 and I_1 sqrt(2 pi x) / exp(x): sums of products
    for k in range(1, 11):
        a *= (2 * k - 1) ** 2 / (8 * k)
        b *= ((2 * k - 1) ** 2 - 4) / (8 * k)
        zeroth, first = zeroth + a * far**-k, first + b * far**-k
    large = x > _NARROW
    log = numgrad.where(large, zeroth.log() - 0.5 * (2 * math.pi * far).log(), near.log())
    return log, numgrad.where(large, (zeroth - first) / zeroth, below)


class VonMises(Distribution):
    """Angles around `loc`, in radians, with density exp(concentration cos(x - loc))."""

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real
    has_rsample = False

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None):
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    mean = mode = property(lambda self: self.loc, doc="`loc`.")

    @property
    def variance(self) -> Tensor:
        """The circular variance: 1 - the mean of cos(x - loc)."""
        return _bessel_ratio(self.concentration)[1]

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        away = 2 * ((value - self.loc) / 2).sin() ** 2  # 1 - cos, digits kept
        return -self.concentration * away - math.log(2 * math.pi) - _bessel_ratio(self.concentration)[0]

    @numgrad.no_grad()
    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Best and Fisher 1979, "Efficient simulation of the von Mises distribution": the first accepted of some proposals."""
        shape = self._extended_shape(sample_shape)
        k = self.concentration.double()
        root = (1 + (1 + 4 * k**2).sqrt()).sqrt()
        rho = 2 * k / (root * (root + math.sqrt(2)))
        r = (1 + rho**2) / (2 * rho)
        u = numgrad.rand(3, _ROUNDS, *shape, dtype=numgrad.float64)
        z = (math.pi * u[0]).cos()
        f = ((1 + r * z) / (r + z)).clamp(-1, 1)
        c = k * (r - f)
        accepted = (c * (2 - c) > u[1]) | ((c / u[1]).log() + 1 - c >= 0)
        first = accepted.long().argmax(0, keepdim=True)
        angle = ((u[2] - 0.5).sign() * f.acos()).gather(0, first).squeeze(0)
        return ((angle + math.pi + self.loc.double()) % (2 * math.pi) - math.pi).to(self.loc.dtype)
