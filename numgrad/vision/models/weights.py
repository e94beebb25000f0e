"""Weights that others trained: not loaded by name."""

from __future__ import annotations

from typing import Any


def untrained(name: str, weights: Any, keywords: dict[str, Any]) -> None:
    """Raise if weights are asked for, by `weights` or the older keyword `pretrained` (which is taken out of `keywords`)."""
    pretrained = keywords.pop("pretrained", False)
    if (weights is not None and weights is not False) or pretrained:
        raise NotImplementedError(
            f"{name}: numgrad downloads no weights; fetch the file yourself, and read it with `model.load_state_dict(numgrad.load(path))`: names and shapes are torchvision's"
        )
