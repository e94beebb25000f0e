"""Batches of nothing go through every kind of layer and loss, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import numgrad
from numgrad import nn
from numgrad.nn import functional as F

pytestmark = pytest.mark.interpreted


def none(*rest: int, labels: bool = False) -> Any:
    """No tensors of some shape."""
    return numgrad.zeros(0, *rest, dtype=numgrad.int64) if labels else numgrad.zeros(0, *rest, requires_grad=True)


def first(layer: Any) -> Callable[..., Any]:
    """A layer of which the first result counts."""
    return lambda *x: layer(*x)[0]


LAYERS: dict[str, Callable[[], tuple[Any, tuple[Any, ...]]]] = {
    "Linear": lambda: (nn.Linear(3, 2), (none(3),)), "Bilinear": lambda: (nn.Bilinear(3, 2, 4), (none(3), none(2))),
    "LayerNorm": lambda: (nn.LayerNorm(3), (none(3),)), "RMSNorm": lambda: (nn.RMSNorm(3), (none(3),)), "GroupNorm": lambda: (nn.GroupNorm(3, 6), (none(6, 4),)),
    "Softmax": lambda: (nn.Softmax(1), (none(3),)), "LogSoftmax": lambda: (nn.LogSoftmax(1), (none(3),)), "PReLU": lambda: (nn.PReLU(), (none(3),)),
    "Embedding": lambda: (nn.Embedding(3, 2), (none(4, labels=True),)), "EmbeddingBag": lambda: (nn.EmbeddingBag(3, 2), (none(4, labels=True),)),
    "LSTM": lambda: (first(nn.LSTM(3, 2, 2, batch_first=True, bidirectional=True)), (none(4, 3),)), "GRU": lambda: (first(nn.GRU(3, 2, batch_first=True)), (none(4, 3),)),
    "RNN": lambda: (first(nn.RNN(3, 2, batch_first=True)), (none(4, 3),)), "LSTMCell": lambda: (first(nn.LSTMCell(3, 2)), (none(3),)), "GRUCell": lambda: (nn.GRUCell(3, 2), (none(3),)),
    "MultiheadAttention": lambda: (lambda x: nn.MultiheadAttention(4, 2, batch_first=True)(x, x, x)[0], (none(3, 4),)),
    "MultiheadAttention, more keys": lambda: (lambda x: nn.MultiheadAttention(4, 2, batch_first=True, add_bias_kv=True, add_zero_attn=True)(x, x, x, need_weights=False)[0], (none(3, 4),)),
    "Transformer": lambda: (nn.Transformer(4, 2, 1, 1, 8, batch_first=True), (none(3, 4), none(2, 4))),
    "attention": lambda: (F.scaled_dot_product_attention, (none(2, 3, 4), none(2, 3, 4), none(2, 3, 4))),
    "grid_sample": lambda: (F.grid_sample, (none(2, 4, 4), none(3, 3, 2))), "PixelShuffle": lambda: (nn.PixelShuffle(2), (none(4, 2, 2),)),
    "Fold": lambda: (nn.Fold((4, 4), 2, stride=2), (none(4, 4),)), "Unfold": lambda: (nn.Unfold(2), (none(1, 4, 4),)), "Upsample": lambda: (nn.Upsample(scale_factor=2), (none(2, 4, 4),)),
    "gather": lambda: (lambda x: x.gather(1, none(2, labels=True)), (none(3),)),
}  # fmt: skip
for d in (1, 2, 3):
    for name, made in {
        "Conv": lambda kind: kind(3, 2, 3), "ConvTranspose": lambda kind: kind(3, 2, 3), "BatchNorm": lambda kind: kind(3), "InstanceNorm": lambda kind: kind(3, affine=True),
        "MaxPool": lambda kind: kind(2), "AvgPool": lambda kind: kind(2), "AdaptiveAvgPool": lambda kind: kind(3), "AdaptiveMaxPool": lambda kind: kind(3),
        "ReflectionPad": lambda kind: kind(1), "Dropout": lambda kind: kind(),
    }.items():  # fmt: skip
        LAYERS[f"{name}{d}d"] = lambda name=name, made=made, d=d: (made(getattr(nn, f"{name}{d}d")), (none(3, *(6,) * d),))  # type: ignore[misc]


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    layer, inputs = LAYERS[name]()
    result = layer(*inputs)
    assert result.shape[0] == 0 and result.dtype == numgrad.float32
    result.sum().backward()
    for x in inputs:
        assert not x.requires_grad or (x.grad.shape == x.shape and x.grad.dtype == x.dtype)
    for p in layer.parameters() if isinstance(layer, nn.Module) else ():
        assert p.grad is None or not p.grad.any(), "nothing came, so nothing is learnt"


LABELS = ("CrossEntropyLoss", "NLLLoss", "MultiMarginLoss")
PAIRS = ("L1Loss", "MSELoss", "SmoothL1Loss", "HuberLoss", "BCELoss", "BCEWithLogitsLoss", "KLDivLoss", "SoftMarginLoss", "MultiLabelSoftMarginLoss", "PoissonNLLLoss", "CrossEntropyLoss")


@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize(("reduction", "wanted"), [("mean", "nan"), ("sum", "0.0"), ("none", None)])
@pytest.mark.parametrize(("name", "labels"), [*((name, True) for name in LABELS), *((name, False) for name in PAIRS)])
def test_losses(name: str, labels: bool, reduction: str, wanted: str | None) -> None:
    x = none(3)
    loss = getattr(nn, name)(reduction=reduction)(x, none(labels=True) if labels else numgrad.zeros(0, 3))
    assert loss.shape[0] == 0 if wanted is None else str(loss.item()) in (wanted, "-" + wanted)
    loss.sum().backward()
    assert x.grad.shape == (0, 3)
