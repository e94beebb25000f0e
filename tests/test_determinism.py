"""A whole training run ends in the same bits at any thread count, and from run to run."""

import pytest

import numgrad as ng
import numgrad.nn as nn
from numgrad.jit import DISABLED
from numgrad.utils.data import DataLoader, TensorDataset
from numgrad.vision.datasets import Digits


def train(threads: int) -> list[ng.Tensor]:
    """Every parameter and buffer after an epoch on the digits, with all that draws random numbers."""
    ng.set_num_threads(threads)
    ng.manual_seed(0)
    digits = Digits(train=True)
    data = TensorDataset(digits.data.float().unsqueeze(1) / 16, digits.targets)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.25), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    optimizer = ng.optim.AdamW(model.parameters(), lr=2e-3)
    for images, labels in DataLoader(data, 64, shuffle=True):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    return list(model.state_dict().values())


@pytest.mark.skipif(DISABLED, reason="needs real kernels")
def test_training_ends_in_the_same_bits():
    before = ng.get_num_threads()
    try:
        first, *others = train(1), train(2), train(3), train(1)
    finally:
        ng.set_num_threads(before)
    for other in others:
        assert all((a._data.tobytes() == b._data.tobytes()) for a, b in zip(first, other, strict=True))
