"""Networks and their training steps, written once for whatever module stands for `torch`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Training:
    """`loss(*batch)` is what `optimizer` makes small."""

    loss: Callable[..., Any]
    optimizer: Any


def _classifier(torch: Any, model: Any, optimizer: Any) -> Training:
    criterion = torch.nn.CrossEntropyLoss()
    return Training(lambda x, y: criterion(model(x), y), optimizer)


def mlp(torch: Any) -> Training:
    """784-128-64-10 with Adam."""
    nn = torch.nn
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
    return _classifier(torch, model, torch.optim.Adam(model.parameters(), lr=0.001))


def convnet(torch: Any) -> Training:
    """Two convolutions of 5x5 with pooling, three linear layers, SGD with momentum: a well-known tutorial's network."""
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2, 2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2, 2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    return _classifier(torch, model, torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9))


def resnet(torch: Any) -> Training:
    """ResNet-8 on 32x32: stages of 16, 32 and 64 channels, one residual block each (He et al. 2016)."""
    nn: Any = torch.nn
    functional = nn.functional

    class Block(nn.Module):
        def __init__(self, before: int, channels: int, stride: int):
            super().__init__()
            self.conv1, self.norm1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels)
            self.conv2, self.norm2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)
            self.short = nn.Conv2d(before, channels, 1, stride, bias=False) if before != channels else None

        def forward(self, x: Any) -> Any:
            inside = functional.relu(self.norm1(self.conv1(x)))
            return functional.relu(self.norm2(self.conv2(inside)) + (x if self.short is None else self.short(x)))

    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip
    return _classifier(torch, model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4))


#: symbols, width, heads, layers, context of the character model
GPT = (65, 128, 4, 4, 64)


def gpt(torch: Any) -> Training:
    """A character model of four layers, pre-norm, attention spelled in products and a softmax (Radford et al. 2019)."""
    nn: Any = torch.nn
    functional = nn.functional
    symbols, width, heads, layers, context = GPT

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.grow, self.shrink = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def attention(self, x: Any, hidden: Any) -> Any:
            b, n, _ = x.shape
            q, k, v = (t.view(b, n, heads, width // heads).transpose(1, 2) for t in self.qkv(x).split(width, dim=2))
            scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(width // heads))
            mixed = functional.softmax(scores.masked_fill(hidden, float("-inf")), dim=-1) @ v
            return self.out(mixed.transpose(1, 2).reshape(b, n, width))

        def forward(self, x: Any, hidden: Any) -> Any:
            x = x + self.attention(self.norm1(x), hidden)
            return x + self.shrink(functional.gelu(self.grow(self.norm2(x))))

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.symbol, self.place = nn.Embedding(symbols, width), nn.Embedding(context, width)
            self.blocks = nn.ModuleList([Block() for _ in range(layers)])
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, symbols)
            self.register_buffer("places", torch.arange(context))
            self.register_buffer("hidden", torch.from_numpy(~np.tri(context, dtype=bool)))

        def forward(self, text: Any) -> Any:
            x = self.symbol(text) + self.place(self.places)
            for block in self.blocks:
                x = block(x, self.hidden)
            return self.head(self.norm(x))

    model = Model()
    loss = lambda x, y: functional.cross_entropy(model(x).view(-1, symbols), y.view(-1))
    return Training(loss, torch.optim.AdamW(model.parameters(), lr=3e-4))


def vae(torch: Any) -> Training:
    """784-400-20 and back, with Adam (Kingma and Welling 2014)."""
    nn: Any = torch.nn
    functional = nn.functional

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode, self.mean, self.log_variance = nn.Linear(784, 400), nn.Linear(400, 20), nn.Linear(400, 20)
            self.decode = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784))

        def forward(self, x: Any) -> Any:
            hidden = functional.relu(self.encode(x))
            mean, log_variance = self.mean(hidden), self.log_variance(hidden)
            z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
            return self.decode(z), mean, log_variance

    model = Model()

    def loss(x: Any) -> Any:
        logits, mean, log_variance = model(x)
        likelihood = functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        return likelihood - 0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())

    return Training(loss, torch.optim.Adam(model.parameters(), lr=1e-3))


def qnet(torch: Any) -> Training:
    """Deep Q-learning's update with a target network, 4-128-2 (Mnih et al. 2015)."""
    nn: Any = torch.nn
    functional = nn.functional
    network, target = (nn.Sequential(nn.Linear(4, 128), nn.ReLU(), nn.Linear(128, 2)) for _ in range(2))

    def loss(state: Any, action: Any, reward: Any, following: Any) -> Any:
        with torch.no_grad():
            best = reward + 0.99 * target(following).amax(1)
        return functional.smooth_l1_loss(network(state).gather(1, action).squeeze(1), best)

    return Training(loss, torch.optim.Adam(network.parameters(), lr=1e-3))


def pinn(torch: Any) -> Training:
    """u'' = -sin x by a network of tanh layers: second derivatives, and their gradient (Raissi et al. 2019)."""
    nn = torch.nn
    model = nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))

    def derivative(y: Any, x: Any) -> Any:
        return torch.autograd.grad(y.sum(), x, create_graph=True)[0]

    def loss(points: Any, ends: Any) -> Any:
        x = points.detach().requires_grad_()
        residual = derivative(derivative(model(x), x), x) + torch.sin(x)
        return (residual**2).mean() + (model(ends) ** 2).mean()

    return Training(loss, torch.optim.Adam(model.parameters(), lr=1e-3))


def tabular(torch: Any) -> Training:
    """32-256-256-1 with batch norm and dropout, AdamW."""
    nn = torch.nn
    hidden = lambda before: [nn.Linear(before, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.1)]
    model = nn.Sequential(*hidden(32), *hidden(256), nn.Linear(256, 1))
    loss = lambda x, y: nn.functional.binary_cross_entropy_with_logits(model(x), y)
    return Training(loss, torch.optim.AdamW(model.parameters(), lr=1e-3))


# --- what they are trained on: noise of the right shape -----------------------------------------------------------------


def _images(*shape: int) -> Callable[[int], tuple[np.ndarray, ...]]:
    def draw(batch: int) -> tuple[np.ndarray, ...]:
        rng = np.random.default_rng(0)
        return rng.random((batch, *shape), np.float32), rng.integers(0, 10, batch)

    return draw


def _text(batch: int) -> tuple[np.ndarray, ...]:
    text = np.random.default_rng(0).integers(0, GPT[0], (batch, GPT[-1] + 1))
    return text[:, :-1].copy(), text[:, 1:].copy()


def _moves(batch: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    states, following = rng.random((2, batch, 4), np.float32)
    return states, rng.integers(0, 2, (batch, 1)), rng.random(batch, np.float32), following


def _points(batch: int) -> tuple[np.ndarray, ...]:
    points = np.linspace(0, np.pi, batch, dtype=np.float32)[:, None]
    return points, points[[0, -1]]


def _rows(batch: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    return rng.random((batch, 32), np.float32), rng.integers(0, 2, (batch, 1)).astype(np.float32)


@dataclass(frozen=True)
class Model:
    """`define(torch)` is its training, `data(n)` a batch of n, `batches` the sizes to measure."""

    define: Callable[[Any], Training]
    data: Callable[[int], tuple[np.ndarray, ...]]
    batches: tuple[int, ...]


MODELS = {
    "mlp": Model(mlp, _images(784), (64, 512)),
    "convnet": Model(convnet, _images(3, 32, 32), (4, 128)),
    "resnet": Model(resnet, _images(3, 32, 32), (32,)),
    "gpt": Model(gpt, _text, (16,)),
    "vae": Model(vae, lambda batch: _images(784)(batch)[:1], (128,)),
    "qnet": Model(qnet, _moves, (32,)),
    "pinn": Model(pinn, _points, (256,)),
    "tabular": Model(tabular, _rows, (1024,)),
}
