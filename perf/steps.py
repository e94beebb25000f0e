"""Whole training steps: forward, backward, update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .models import MODELS
from .runner import Case
from .worker import Library


def train(library: Library, name: str, batch: int) -> Callable[[], Any]:
    """One step of a model on one batch, again and again."""
    data = MODELS[name].data(batch)
    if library.name in ("jax", "numpy"):
        if library.name == "jax":
            from .jax_models import step_of
        else:
            from .numpy_models import step_of
        return step_of(name, data)
    step = torch_step(library, name)
    tensors = [library.array(a) for a in data]
    return lambda: step(*tensors)


def torch_step(library: Library, name: str) -> Callable[..., Any]:
    """The step as programs for PyTorch spell it; compiled, PyTorch compiles the loss and numgrad the whole step."""
    library.module.manual_seed(0)
    training = MODELS[name].define(library.module)
    loss, optimizer = training.loss, training.optimizer
    if library.name == "torch-compile":
        loss = library.module.compile(loss)

    def step(*batch: Any) -> Any:
        optimizer.zero_grad()
        value = loss(*batch)
        value.backward()
        optimizer.step()
        return value

    return library.module.compile(step) if library.name == "numgrad-compiled" else step


def cases(quick: bool = False) -> list[Case]:
    """Every model at every batch size."""
    return [Case(f"step {name} batch {n}", train, (name, n)) for name, model in MODELS.items() for n in model.batches]
