"""Channels dealt out over groups."""

from __future__ import annotations

from numgrad.nn import functional as F
from numgrad.nn.modules.module import Module
from numgrad.tensor import Tensor


class ChannelShuffle(Module):
    """Deals the channels of (N, C, *) out over ``groups`` (Zhang et al. 2017)."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
