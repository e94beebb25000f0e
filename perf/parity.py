"""The same training in PyTorch and in numgrad: the same weights, the same data, and the losses of each step."""

from __future__ import annotations

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


# name: (network, optimizer, shape of a batch): the networks of the first two seed examples in their own settings
CASES = {
    "MLP 784-128-64-10, Adam, batch 64": (_mlp, _adam, (64, 784)),
    "ConvNet on 3x32x32, SGD with momentum, batch 4": (_convnet, _momentum, (4, 3, 32, 32)),
    "ConvNet on 3x32x32, SGD with momentum, batch 128": (_convnet, _momentum, (128, 3, 32, 32)),
}


def losses(torch: ModuleType, name: str) -> np.ndarray:
    """The loss of each step of a training whose data and first weights follow from its name."""
    network, optimizer, shape = CASES[name]
    rng, model = np.random.default_rng(0), network(torch)
    patterns = rng.random((10, *shape[1:]), np.float32)  # ten classes that can be told apart
    with torch.no_grad():
        for p in model.parameters():
            bound = (p[0].numel() if p.dim() > 1 else 100) ** -0.5
            p.copy_(torch.from_numpy(rng.uniform(-bound, bound, tuple(p.shape)).astype(np.float32)))
    criterion, steps, found = torch.nn.CrossEntropyLoss(), optimizer(torch, model), []
    for _ in range(STEPS):
        labels = rng.integers(0, 10, shape[0])
        images = patterns[labels] + rng.random(shape, np.float32)
        steps.zero_grad()
        loss = criterion(model(torch.from_numpy(images)), torch.from_numpy(labels))
        loss.backward()
        steps.step()
        found.append(loss.item())
    return np.array(found)
