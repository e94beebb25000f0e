"""Averages of weights over training: stochastic weight averaging and exponential moving averages.

Izmailov et al. 2018, "Averaging weights leads to wider optima and better generalization". `AveragedModel` is here too, put in by the package:
optimizers know nothing of modules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numgrad
from numgrad.optim.lr_scheduler import LRScheduler
from numgrad.optim.optimizer import Optimizer
from numgrad.tensor import Tensor

__all__ = ["SWALR", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn", "update_bn"]


def get_ema_avg_fn(decay: float = 0.999) -> Callable[..., Tensor]:
    """decay * average + (1 - decay) * new, as an ``avg_fn``."""
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")
    return lambda average, new, count: decay * average + (1 - decay) * new


def get_swa_avg_fn() -> Callable[..., Tensor]:
    """The plain mean, as an ``avg_fn``."""
    return lambda average, new, count: average + (new - average) / (count + 1)


def for_lists(function: Callable[..., Tensor]) -> Callable[..., None]:
    """An ``avg_fn`` as a ``multi_avg_fn``."""

    def update(averages: Any, news: Any, count: Any) -> None:
        for average, new in zip(averages, news):
            average.copy_(function(average, new, count))

    return update


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[..., None]:
    """As :func:`get_ema_avg_fn`, for lists of tensors, in place."""
    return for_lists(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> Callable[..., None]:
    """As :func:`get_swa_avg_fn`, for lists of tensors, in place."""
    return for_lists(get_swa_avg_fn())


def update_bn(loader: Iterable[Any], model: Any, device: Any = None) -> None:
    """Compute the running statistics of a model's batch norms anew, as means over the batches of a loader."""
    norms = [m for m in model.modules() if getattr(m, "running_mean", None) is not None and hasattr(m, "momentum") and hasattr(m, "num_batches_tracked")]
    if not norms:
        return
    momenta = {m: m.momentum for m in norms}
    training = model.training
    model.train()
    for m in norms:
        m.reset_running_stats()
        m.momentum = None
    with numgrad.no_grad():
        for batch in loader:
            model(batch[0] if isinstance(batch, (list, tuple)) else batch)
    for m, momentum in momenta.items():
        m.momentum = momentum
    model.train(training)


class SWALR(LRScheduler):
    """Moves the learning rate to ``swa_lr`` in ``anneal_epochs`` steps and leaves it there."""

    def __init__(self, optimizer: Optimizer, swa_lr: Any, anneal_epochs: int = 10, anneal_strategy: str = "cos", last_epoch: int = -1) -> None:
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must by one of 'cos' or 'linear', instead got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        rates = list(swa_lr) if isinstance(swa_lr, (list, tuple)) else [swa_lr] * len(optimizer.param_groups)
        if len(rates) != len(optimizer.param_groups):
            raise ValueError(f"swa_lr must have one value for each of {len(optimizer.param_groups)} groups, got {len(rates)}")
        for group, rate in zip(optimizer.param_groups, rates):
            group["swa_lr"] = rate
        self.anneal_epochs, self._anneal_strategy = anneal_epochs, anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """How far the way to ``swa_lr`` has been gone."""
        t = max(0.0, min(1.0, step / max(1, self.anneal_epochs))) if self.anneal_epochs else 1.0
        return (1 - math.cos(math.pi * t)) / 2 if self._anneal_strategy == "cos" else t

    def get_lr(self) -> list[Any]:
        """The groups' learning rates at this step."""
        step = self._step_count - 1 if self.anneal_epochs else max(1, self._step_count - 1)
        before, now = self._share(max(0, step - 1)), self._share(step)
        result = []
        for group in self.optimizer.param_groups:
            goal = group["swa_lr"]
            start = goal if before == 1 else (group["lr"] - before * goal) / (1 - before)
            result.append(goal * now + start * (1 - now))
        return result
