"""Distribution: the base of all; and what they share: broadcasting of parameters and checks of their values."""

from __future__ import annotations

from typing import Any

import numgrad
from numgrad.jit import observed
from numgrad.ops import creation
from numgrad.tensor import Tensor

_validates = __debug__


class Distribution:
    """A distribution over events of shape `event_shape`, independent over `batch_shape`; samples have sample + batch + event shape."""

    has_rsample = False
    #: what each parameter must satisfy: "positive", "unit interval", "real"
    arg_constraints: dict[str, str] = {}

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether new distributions look at the values of their parameters."""
        global _validates
        _validates = bool(value)

    def __init__(self, batch_shape: Any = (), event_shape: Any = (), validate_args: bool | None = None):
        self._batch_shape, self._event_shape = numgrad.Size(batch_shape), numgrad.Size(event_shape)
        wanted = _validates if validate_args is None else validate_args
        if wanted and not observed():  # a recorded step may not depend on values
            for name, constraint in self.arg_constraints.items():
                value = self.__dict__.get(name)
                if isinstance(value, Tensor):
                    self._check(name, value, constraint)

    def _check(self, name: str, value: Tensor, constraint: str) -> None:
        value = value.detach()
        ok = {"positive": lambda: value > 0, "nonnegative": lambda: value >= 0, "unit interval": lambda: (value >= 0) & (value <= 1), "real": lambda: value == value}[constraint]()
        if not bool(ok.all()):
            raise ValueError(
                f"Expected parameter {name} (Tensor of shape {tuple(value.shape)}) of distribution {type(self).__name__} to satisfy the "
                f"constraint '{constraint}', but found invalid values:\n{value}"
            )

    @property
    def batch_shape(self) -> Any:
        """The shape of the parameters."""
        return self._batch_shape

    @property
    def event_shape(self) -> Any:
        """The shape of one draw."""
        return self._event_shape

    def _extended_shape(self, sample_shape: Any = ()) -> Any:
        sample_shape = (sample_shape,) if isinstance(sample_shape, int) else tuple(sample_shape)
        return numgrad.Size(sample_shape + tuple(self._batch_shape) + tuple(self._event_shape))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draws, without gradients."""
        with numgrad.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draws that are differentiable in the parameters."""
        raise NotImplementedError(f"{type(self).__name__} has no reparametrised samples in numgrad; use sample() and log_prob()")

    def sample_n(self, n: int) -> Tensor:
        """`sample((n,))`."""
        return self.sample((n,))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the probability, at a value."""
        raise NotImplementedError(f"{type(self).__name__} has no log_prob in numgrad")

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of at most a value."""
        raise NotImplementedError(f"{type(self).__name__} has no cdf in numgrad")

    def icdf(self, value: Tensor) -> Tensor:
        """The value that is not exceeded with a probability."""
        raise NotImplementedError(f"{type(self).__name__} has no icdf in numgrad")

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        raise NotImplementedError(f"{type(self).__name__} has no entropy in numgrad")

    def perplexity(self) -> Tensor:
        """exp(entropy)."""
        return self.entropy().exp()

    @property
    def mean(self) -> Tensor:
        """The mean."""
        raise NotImplementedError(f"{type(self).__name__} has no mean in numgrad")

    @property
    def variance(self) -> Tensor:
        """The variance."""
        raise NotImplementedError(f"{type(self).__name__} has no variance in numgrad")

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return self.variance.sqrt()

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The distribution with its parameters expanded to another batch shape."""
        values = {}
        for name in self.arg_constraints:
            value = self.__dict__.get(name)
            if isinstance(value, Tensor):
                own = value.dim() - len(self._batch_shape)
                values[name] = value.expand(*batch_shape, *value.shape[value.dim() - own :]) if own else value.expand(*batch_shape)
        new: Any = object.__new__(type(self))
        new.__dict__.update(self.__dict__ | values)
        new._batch_shape = numgrad.Size(batch_shape)
        return new

    def __repr__(self) -> str:
        parts = [(n, self.__dict__[n]) for n in self.arg_constraints if isinstance(self.__dict__.get(n), Tensor)]
        return f"{type(self).__name__}({', '.join(f'{n}: {v if v.numel() == 1 else list(v.shape)}' for n, v in parts)})"


def parameters(*values: Any) -> tuple[Tensor, ...]:
    """Numbers and tensors as tensors of one shape."""
    floats = [v.dtype for v in values if isinstance(v, Tensor)]
    kind = floats[0] if floats else numgrad.get_default_dtype()
    tensors = [v if isinstance(v, Tensor) else creation.tensor(v, dtype=kind) for v in values]
    return numgrad.broadcast_tensors(*tensors) if len(tensors) > 1 else (tensors[0],)


def one_of(probs: Any, logits: Any) -> None:
    """ValueError unless exactly one of the two is given."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")
