"""Distribution: the base of all."""

from __future__ import annotations

import warnings
from typing import Any

import numgrad
from numgrad.jit import observed
from numgrad.tensor import Tensor

from . import constraints
from .utils import draw_shape, lazy_property

__all__ = ["Distribution"]


class Distribution:
    """A distribution over events of shape `event_shape`, independent over `batch_shape`; samples have sample + batch + event shape.

    `arg_constraints` says what its parameters must satisfy and `support` what it can draw. Unless `validate_args` is False,
    parameters and the arguments of `log_prob` are held against them: ValueError. A step that is being recorded is not checked,
    for it may not depend on values.
    """

    has_rsample: Any = False
    has_enumerate_support: Any = False
    _validate_args: bool = __debug__

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether new distributions look at the values of their parameters."""
        if value not in (True, False):
            raise ValueError(f"value must be True or False, but got {value!r}")
        Distribution._validate_args = bool(value)

    def __init__(self, batch_shape: Any = (), event_shape: Any = (), validate_args: bool | None = None):
        self._batch_shape, self._event_shape = numgrad.Size(batch_shape), numgrad.Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args and not observed():
            self._validate_parameters()
        super().__init__()

    def _validate_parameters(self) -> None:
        try:
            wanted = self.arg_constraints
        except NotImplementedError:
            message = f"{type(self).__name__} does not define `arg_constraints`: set them, or pass `validate_args=False` to turn off validation."
            warnings.warn(message, stacklevel=4)
            return
        for name, constraint in wanted.items():
            if constraints.is_dependent(constraint):
                continue  # on what only the class itself can check
            if name not in self.__dict__ and isinstance(getattr(type(self), name, None), lazy_property):
                continue  # it follows from another parameter
            value = getattr(self, name)
            if not bool(constraint.check(value.detach()).all()):
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of distribution {self!r} "
                    f"to satisfy the constraint {constraint!r}, but found invalid values:\n{value}"
                )

    @property
    def batch_shape(self) -> Any:
        """The shape of the parameters."""
        return self._batch_shape

    @property
    def event_shape(self) -> Any:
        """The shape of one draw."""
        return self._event_shape

    @property
    def arg_constraints(self) -> Any:
        """What each parameter must satisfy, by its name."""
        raise NotImplementedError(f"{type(self).__name__} has no arg_constraints")

    @property
    def support(self) -> Any:
        """The constraint of what can be drawn."""
        raise NotImplementedError(f"{type(self).__name__} has no support")

    def _extended_shape(self, sample_shape: Any = ()) -> Any:
        return numgrad.Size(draw_shape(sample_shape) + tuple(self._batch_shape) + tuple(self._event_shape))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draws, without gradients."""
        with numgrad.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draws that are differentiable in the parameters."""
        raise NotImplementedError(f"{type(self).__name__} has no reparametrised samples; use sample() and log_prob()")

    def sample_n(self, n: int) -> Tensor:
        """`sample((n,))`; deprecated."""
        warnings.warn("sample_n will be deprecated. Use .sample((n,)) instead", UserWarning, stacklevel=2)
        return self.sample((n,))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the probability, at a value."""
        raise NotImplementedError(f"{type(self).__name__} has no log_prob")

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of at most a value."""
        raise NotImplementedError(f"{type(self).__name__} has no cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """The value that is not exceeded with a probability."""
        raise NotImplementedError(f"{type(self).__name__} has no icdf")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values, in a new first dimension."""
        raise NotImplementedError(f"{type(self).__name__} has no enumerate_support")

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        raise NotImplementedError(f"{type(self).__name__} has no entropy")

    def perplexity(self) -> Tensor:
        """exp(entropy)."""
        return self.entropy().exp()

    @property
    def mean(self) -> Tensor:
        """The mean."""
        raise NotImplementedError(f"{type(self).__name__} has no mean")

    @property
    def mode(self) -> Tensor:
        """The likeliest value."""
        raise NotImplementedError(f"{type(self).__name__} has no mode")

    @property
    def variance(self) -> Tensor:
        """The variance."""
        raise NotImplementedError(f"{type(self).__name__} has no variance")

    @property
    def stddev(self) -> Tensor:
        """The standard deviation."""
        return self.variance.sqrt()

    def _validate_sample(self, value: Tensor) -> None:
        """ValueError where a value does not fit the shapes or the support."""
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        start = value.dim() - len(self._event_shape)
        if tuple(value.shape[max(start, 0) :]) != tuple(self._event_shape):
            raise ValueError(f"The right-most size of value must match event_shape: {tuple(value.shape)} vs {tuple(self._event_shape)}.")
        expected = tuple(self._batch_shape) + tuple(self._event_shape)
        for own, given in zip(reversed(expected), reversed(value.shape)):
            if own != 1 and given != 1 and own != given:
                raise ValueError(f"Value is not broadcastable with batch_shape+event_shape: {tuple(value.shape)} vs {expected}.")
        if observed():
            return
        try:
            support = self.support
        except NotImplementedError:
            message = f"{type(self).__name__} does not define `support`: set it, or pass `validate_args=False` to turn off validation."
            warnings.warn(message, stacklevel=3)
            return
        if not bool(support.check(value.detach()).all()):
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) to be within the support ({support!r}) "
                f"of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def _get_checked_instance(self, cls: type, _instance: Any = None) -> Any:
        """A new object of one's class to be filled by `expand`; an error where that class is made in another way than `cls`."""
        if _instance is None and type(self).__init__ is not cls.__init__:  # type: ignore[misc]
            raise NotImplementedError(
                f"Subclass {type(self).__name__} of {cls.__name__} that defines a custom __init__ method must also define a custom .expand() method."
            )
        return type(self).__new__(type(self)) if _instance is None else _instance

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The distribution with its parameters expanded to another batch shape. Classes derived from numgrad's with an `__init__`
        of their own need an `expand` of their own too, which may fill an `_instance` with this one."""
        owner = next(c for c in type(self).__mro__ if c.__module__.startswith(__package__))
        new = self._get_checked_instance(owner, _instance)
        if _instance is None and owner is Distribution:
            raise NotImplementedError(f"{type(self).__name__} has no expand")
        batch_shape = numgrad.Size(draw_shape(batch_shape))
        kept = {k: v for k, v in self.__dict__.items() if not isinstance(getattr(type(self), k, None), lazy_property)}
        new.__dict__ = kept | new.__dict__ | self._expanded(batch_shape)
        new._batch_shape = batch_shape
        return new

    def _expanded(self, batch_shape: Any) -> dict[str, Any]:
        """What `expand` changes, by its name: the parameters, each of which is a batch of events of its constraint."""
        found = {}
        for name, constraint in self.arg_constraints.items():
            value = self.__dict__.get(name)
            if isinstance(value, Tensor):
                found[name] = value.expand(*batch_shape, *value.shape[value.dim() - constraint.event_dim :])
        return found

    def __repr__(self) -> str:
        try:
            found = [(name, self.__dict__[name]) for name in self.arg_constraints if isinstance(self.__dict__.get(name), Tensor)]
        except NotImplementedError:
            found = []
        return f"{type(self).__name__}({', '.join(f'{n}: {v if v.numel() == 1 else v.shape}' for n, v in found)})"
