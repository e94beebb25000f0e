"""LRScheduler: the base of the schedules of learning rates."""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numgrad.optim.optimizer import Optimizer
from numgrad.tensor import Tensor

EPOCH_DEPRECATION_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please use "
    "`scheduler.step()` to step the scheduler."
)


def group_values(optimizer: Optimizer, key: str = "lr") -> list[Any]:
    """A hyperparameter of every group; tensors are copied."""
    values = [group[key] for group in optimizer.param_groups]
    return [value.clone() if isinstance(value, Tensor) else value for value in values]


def set_group_value(group: dict[str, Any], key: str, value: Any) -> None:
    """Change a hyperparameter; one that is a tensor stays the same tensor."""
    if isinstance(group[key], Tensor):
        group[key].fill_(float(value))
    else:
        group[key] = value


def one_per_group(optimizer: Optimizer, name: str, value: Any) -> list[Any]:
    """A list with a value for each group: the given list, or the given value repeated."""
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * groups
    if len(value) != groups:
        raise ValueError(f"{name} must have the same length as optimizer.param_groups. {name} has {len(value)} values, "
                         f"param_groups has {groups}.")
    return list(value)


def check_optimizer(optimizer: Any) -> None:
    """TypeError for what is no Optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


class LRScheduler:
    """Sets ``lr`` of every parameter group at each ``step()``, which is called after that of the optimizer.

    A subclass defines ``get_lr``: the list of the groups' rates at ``self.last_epoch``, the number of steps so far.
    To resume, give ``last_epoch`` and an optimizer whose groups hold "initial_lr"."""

    _get_lr_called_within_step = False
    _is_initial = False

    verbose = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1, verbose: Any = "deprecated") -> None:
        check_optimizer(optimizer)
        self._note_verbose(verbose)
        self.optimizer = optimizer
        for position, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                lr = group["lr"]
                group.setdefault("initial_lr", lr.clone() if isinstance(lr, Tensor) else lr)
            elif "initial_lr" not in group:
                raise KeyError(f"param 'initial_lr' is not specified in param_groups[{position}] when resuming a "
                               "scheduler with last_epoch >= 0: load the optimizer's state first, or start with "
                               "last_epoch=-1")
        self.base_lrs = group_values(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        optimizer.__dict__.setdefault("_opt_called", False)
        self._initial_step()

    def _note_verbose(self, verbose: Any) -> None:
        """``verbose``, an argument of old scripts, still prints every new rate."""
        if verbose != "deprecated":
            warnings.warn("The verbose parameter is deprecated. Please use get_last_lr() to access the learning rate.",
                          UserWarning, stacklevel=4)
            if verbose:
                self.verbose = True

    def _report(self, group: int, rate: Any) -> None:
        if self.verbose:
            print(f"Epoch {self.last_epoch:5d}: adjusting learning rate of group {group} to {float(rate):.4e}.")

    def _initial_step(self) -> None:
        self._step_count = 0
        with self._flag("_is_initial"):
            self.step()

    @contextmanager
    def _flag(self, name: str) -> Iterator[None]:
        setattr(self, name, True)
        try:
            yield
        finally:
            setattr(self, name, False)

    def state_dict(self) -> dict[str, Any]:
        """Everything the scheduler holds but the optimizer."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave; the optimizer's state is loaded by itself."""
        self.__dict__.update(state_dict)

    def get_last_lr(self) -> list[Any]:
        """The rates that the last step set, one a group."""
        return self._last_lr

    def get_lr(self) -> list[Any]:
        """The rates of the groups at ``self.last_epoch``; the rates of now are what get_last_lr() gives."""
        if not self._get_lr_called_within_step:
            warnings.warn("To get the last learning rate computed by the scheduler, please use `get_last_lr()`.",
                          UserWarning, stacklevel=2)
        return self._rates()

    def _rates(self) -> list[Any]:
        raise NotImplementedError(f"{type(self).__name__} does not define get_lr")

    def _scaled(self, factor: float) -> list[Any]:
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def step(self, epoch: int | None = None) -> None:
        """Go one epoch (or whatever is counted) further and set the groups' rates."""
        if self._step_count == 1 and not self.optimizer.__dict__.get("_opt_called", False):
            warnings.warn("Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in the opposite "
                          "order, or the first value of the schedule is skipped.", UserWarning, stacklevel=2)
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        closed_form = getattr(self, "_get_closed_form_lr", None)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        with self._flag("_get_lr_called_within_step"):
            rates = self.get_lr() if epoch is None or closed_form is None else closed_form()
        self._set_rates(rates)

    def _set_rates(self, rates: list[Any]) -> None:
        for position, (group, rate) in enumerate(zip(self.optimizer.param_groups, rates)):
            set_group_value(group, "lr", rate)
            self._report(position, rate)
        self._last_lr = group_values(self.optimizer)


_LRScheduler = LRScheduler  # its name before it was public


def callables_state(functions: list[Callable]) -> list[dict | None]:
    """What state_dict keeps of functions: the attributes of callable objects, nothing of plain functions."""
    return [None if isinstance(f, types.FunctionType) else f.__dict__.copy() for f in functions]
