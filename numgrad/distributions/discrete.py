"""Distributions over whole numbers. Each takes probabilities or their logits."""

from __future__ import annotations

import functools
from typing import Any

import numgrad
from numgrad.nn import functional as F
from numgrad.ops import variates
from numgrad.tensor import Tensor

from .distribution import Distribution, one_of, parameters


class _Binary(Distribution):
    """A probability of success, or its logit."""

    arg_constraints = {"probs": "unit interval", "logits": "real"}

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None, count: Any = None):
        one_of(probs, logits)
        self._given = "probs" if logits is None else "logits"
        values = parameters(*([] if count is None else [count]), probs if logits is None else logits)
        self.__dict__[self._given] = values[-1]
        if count is not None:
            self.total_count = values[0].to(values[-1].dtype)
        super().__init__(values[-1].shape, (), validate_args)

    @functools.cached_property
    def logits(self) -> Tensor:
        """log(p / (1 - p)), finite."""
        eps = numgrad.finfo(self.probs.dtype).eps
        p = self.probs.clamp(eps, 1 - eps)
        return p.log() - (-p).log1p()

    @functools.cached_property
    def probs(self) -> Tensor:
        """The probability of success."""
        return self.logits.sigmoid()

    @property
    def param_shape(self) -> Any:
        """The shape of the parameter."""
        return self.__dict__[self._given].shape

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        value = self.__dict__[self._given].expand(*batch_shape)
        more = {"total_count": self.total_count.expand(*batch_shape)} if hasattr(self, "total_count") else {}
        return type(self)(**{self._given: value}, **more, validate_args=False)


class Bernoulli(_Binary):
    """1 with a probability, else 0."""

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return numgrad.bernoulli(self.probs.detach().expand(*self._extended_shape(sample_shape)))

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        """The more likely of 0 and 1; NaN if neither."""
        return numgrad.where(self.probs == 0.5, float("nan"), (self.probs >= 0.5).to(self.probs.dtype))

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def log_prob(self, value: Tensor) -> Tensor:
        logits, value = numgrad.broadcast_tensors(self.logits, value)
        return -F.binary_cross_entropy_with_logits(logits, value.to(logits.dtype), reduction="none")

    def entropy(self) -> Tensor:
        return F.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")


class Geometric(_Binary):
    """Failures before the first success."""

    def sample(self, sample_shape: Any = ()) -> Tensor:
        p = self.probs.detach()
        u = numgrad.rand(*self._extended_shape(sample_shape), dtype=p.dtype).clamp_(min=numgrad.finfo(p.dtype).tiny)
        return (u.log() / (-p).log1p()).floor()

    @property
    def mean(self) -> Tensor:
        return 1 / self.probs - 1

    @property
    def variance(self) -> Tensor:
        return (1 / self.probs - 1) / self.probs

    def log_prob(self, value: Tensor) -> Tensor:
        return numgrad.xlogy(value, 1 - self.probs) + self.probs.log()

    def entropy(self) -> Tensor:
        return F.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs


class Binomial(_Binary):
    """How many of `total_count` draws succeed."""

    arg_constraints = {"total_count": "nonnegative", "probs": "unit interval", "logits": "real"}

    def __init__(self, total_count: Any = 1, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        super().__init__(probs, logits, validate_args, total_count)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return variates.binomial(self.total_count.expand(*shape), self.probs.detach().expand(*shape))

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.probs

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def log_prob(self, value: Tensor) -> Tensor:
        n, lgamma = self.total_count, numgrad.lgamma
        choices = lgamma(n + 1) - lgamma(value + 1) - lgamma(n - value + 1)
        return choices + value * self.logits - n * F.softplus(self.logits)


class Categorical(Distribution):
    """The numbers 0, 1, ..., with probabilities in the last dimension of the parameter."""

    arg_constraints = {"probs": "nonnegative", "logits": "real"}

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        one_of(probs, logits)
        given = probs if logits is None else logits
        if not isinstance(given, Tensor) or given.dim() < 1:
            raise ValueError(f"`{'probs' if logits is None else 'logits'}` parameter must be at least one-dimensional.")
        if logits is None:
            self.__dict__["probs"] = given / given.sum(-1, keepdim=True)
        else:
            self.__dict__["logits"] = given - given.logsumexp(-1, keepdim=True)
        self._given = "probs" if logits is None else "logits"
        self._num_events = given.shape[-1]
        super().__init__(given.shape[:-1], (), validate_args)

    @functools.cached_property
    def logits(self) -> Tensor:
        """Logarithms of the probabilities, finite."""
        eps = numgrad.finfo(self.probs.dtype).eps
        return self.probs.clamp(eps, 1 - eps).log()

    @functools.cached_property
    def probs(self) -> Tensor:
        """The probabilities."""
        return self.logits.softmax(-1)

    @property
    def param_shape(self) -> Any:
        """The shape of the parameter."""
        return self.__dict__[self._given].shape

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        value = self.__dict__[self._given]
        return type(self)(**{self._given: value.expand(*batch_shape, value.shape[-1])}, validate_args=False)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = tuple((sample_shape,) if isinstance(sample_shape, int) else sample_shape)
        count = 1
        for n in shape:
            count *= n
        flat = numgrad.multinomial(self.probs.detach().reshape(-1, self._num_events), count, True) if count else None
        if flat is None:
            return numgrad.empty(*shape, *self._batch_shape, dtype=numgrad.int64)
        return flat.T.reshape(*shape, *self._batch_shape)

    @property
    def mode(self) -> Tensor:
        """The likeliest number."""
        return self.probs.argmax(-1)

    @property
    def mean(self) -> Tensor:
        return numgrad.full(tuple(self._batch_shape), float("nan"), dtype=self.probs.dtype)

    variance = mean

    def log_prob(self, value: Tensor) -> Tensor:
        value = value.long().unsqueeze(-1)
        value, logits = numgrad.broadcast_tensors(value, self.logits)
        return logits.gather(-1, value[..., :1]).squeeze(-1)

    def entropy(self) -> Tensor:
        logits = self.logits.clamp(min=numgrad.finfo(self.logits.dtype).min)
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All numbers, in a new first dimension."""
        values = numgrad.arange(self._num_events).view(-1, *[1] * len(self._batch_shape))
        return values.expand(-1, *self._batch_shape) if expand else values


class OneHotCategorical(Distribution):
    """As Categorical, each number as a row with a single 1."""

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        self._categorical = Categorical(probs, logits, validate_args)
        super().__init__(self._categorical.batch_shape, self._categorical.param_shape[-1:], validate_args)

    probs = property(lambda self: self._categorical.probs, doc="The probabilities.")
    logits = property(lambda self: self._categorical.logits, doc="Logarithms of the probabilities.")

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return F.one_hot(self._categorical.sample(sample_shape), self._event_shape[0]).to(self.probs.dtype)

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def log_prob(self, value: Tensor) -> Tensor:
        return self._categorical.log_prob(value.argmax(-1))

    def entropy(self) -> Tensor:
        return self._categorical.entropy()


class Multinomial(Distribution):
    """How often each number occurs in `total_count` draws of a Categorical."""

    def __init__(self, total_count: int = 1, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        self._categorical = Categorical(probs, logits, validate_args)
        super().__init__(self._categorical.batch_shape, self._categorical.param_shape[-1:], validate_args)

    probs = property(lambda self: self._categorical.probs, doc="The probabilities.")
    logits = property(lambda self: self._categorical.logits, doc="Logarithms of the probabilities.")

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = tuple((sample_shape,) if isinstance(sample_shape, int) else sample_shape)
        draws = self._categorical.sample((self.total_count, *shape))
        return F.one_hot(draws, self._event_shape[0]).sum(0).to(self.probs.dtype)

    @property
    def mean(self) -> Tensor:
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def log_prob(self, value: Tensor) -> Tensor:
        logits, value = numgrad.broadcast_tensors(self.logits, value)
        weighted = numgrad.where((value == 0) & (logits == -float("inf")), 0.0, logits * value)
        return numgrad.lgamma(value.sum(-1) + 1) - numgrad.lgamma(value + 1).sum(-1) + weighted.sum(-1)


class Poisson(Distribution):
    """How many of many rare events happen, `rate` on average."""

    arg_constraints = {"rate": "nonnegative"}

    def __init__(self, rate: Any, validate_args: bool | None = None):
        (self.rate,) = parameters(rate)
        super().__init__(self.rate.shape, (), validate_args)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return variates.poisson(self.rate.detach().expand(*self._extended_shape(sample_shape)))

    @property
    def mean(self) -> Tensor:
        return self.rate

    @property
    def variance(self) -> Tensor:
        return self.rate

    def log_prob(self, value: Tensor) -> Tensor:
        return numgrad.xlogy(value, self.rate) - self.rate - numgrad.lgamma(value + 1)
