"""The same training in PyTorch and in numgrad: the same weights, the same data, and how far the losses part."""

from __future__ import annotations

import argparse
from types import ModuleType
from typing import Any

import numpy as np

STEPS = 50


def _mlp(torch: ModuleType) -> Any:
    nn = torch.nn
    return nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))


def _convnet(torch: ModuleType) -> Any:
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2, 2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2, 2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def _adam(torch: ModuleType, model: Any) -> Any:
    return torch.optim.Adam(model.parameters(), lr=0.001)


def _momentum(torch: ModuleType, model: Any) -> Any:
    return torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)


# (name, network, optimizer, shape of a batch): the networks of the first two seed examples in their own settings
CASES = (
    ("MLP 784-128-64-10, Adam, batch 64", _mlp, _adam, (64, 784)),
    ("ConvNet on 3x32x32, SGD with momentum, batch 4", _convnet, _momentum, (4, 3, 32, 32)),
    ("ConvNet on 3x32x32, SGD with momentum, batch 128", _convnet, _momentum, (128, 3, 32, 32)),
)


def losses(torch: ModuleType, network: Any, optimizer: Any, weights: dict[str, np.ndarray], batches: Any) -> list[float]:
    """The loss of each step of a training that begins with `weights`."""
    model = network(torch)
    model.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in weights.items()})
    criterion, steps, found = torch.nn.CrossEntropyLoss(), optimizer(torch, model), []
    for images, labels in batches:
        steps.zero_grad()
        loss = criterion(model(torch.from_numpy(images)), torch.from_numpy(labels))
        loss.backward()
        steps.step()
        found.append(loss.item())
    return found


def compare(network: Any, optimizer: Any, shape: tuple[int, ...]) -> tuple[float, float, float]:
    """First loss, last loss, and the greatest relative difference between the two libraries over all steps."""
    import torch

    import numgrad

    torch.manual_seed(0)
    weights = {name: value.numpy() for name, value in network(torch).state_dict().items()}
    rng = np.random.default_rng(0)
    patterns = rng.random((10, *shape[1:]), np.float32)  # ten classes that can be told apart
    labels = rng.integers(0, 10, (STEPS, shape[0]))
    batches = [(patterns[y] + rng.random(shape, np.float32), y) for y in labels]
    theirs, ours = (losses(library, network, optimizer, weights, batches) for library in (torch, numgrad))
    parted = max(abs(a - b) / abs(b) for a, b in zip(ours, theirs, strict=True))
    return theirs[0], theirs[-1], parted


def run(options: argparse.Namespace) -> None:
    """Print a line a network."""
    for name, network, optimizer, shape in CASES:
        first, last, parted = compare(network, optimizer, shape)
        print(f"{name}: {STEPS} steps, loss {first:.4f} to {last:.4f}, greatest relative difference {parted:.1e}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand."""
    parser.set_defaults(run=run)
