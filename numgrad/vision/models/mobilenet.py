"""MobileNetV2: Sandler et al., Inverted Residuals and Linear Bottlenecks, 2018."""

from __future__ import annotations

from typing import Any

from numgrad import nn

from .weights import untrained

__all__ = ["MobileNetV2", "mobilenet_v2"]

#: Of each stage: how much wider blocks are inside, channels, how many blocks, stride of the first.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def _divisible(channels: float, by: int = 8) -> int:
    """The nearest multiple, but not under nine tenths."""
    nearest = max(by, int(channels + by / 2) // by * by)
    return nearest + by if nearest < 0.9 * channels else nearest


def _conv_norm(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """Wider by 1x1, a depthwise convolution of 3x3, narrower by 1x1 without an activation; beside the identity where shapes agree."""

    def __init__(self, inp: int, oup: int, stride: int, expand_ratio: int):
        super().__init__()
        hidden = round(inp * expand_ratio)
        wider = [] if expand_ratio == 1 else [_conv_norm(inp, hidden)]
        self.conv = nn.Sequential(*wider, _conv_norm(hidden, hidden, 3, stride, hidden), nn.Conv2d(hidden, oup, 1, bias=False), nn.BatchNorm2d(oup))
        self.use_res_connect = stride == 1 and inp == oup

    def forward(self, x: Any) -> Any:
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    """(N, 3, H, W) to (N, num_classes); `width_mult` scales all channels."""

    def __init__(self, num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.2):
        super().__init__()
        channels, last = _divisible(32 * width_mult), _divisible(1280 * max(1.0, width_mult))
        layers: list[nn.Module] = [_conv_norm(3, channels, 3, 2)]
        for ratio, planes, blocks, stride in _STAGES:
            outputs = _divisible(planes * width_mult)
            for i in range(blocks):
                layers.append(InvertedResidual(channels, outputs, stride if i == 0 else 1, ratio))
                channels = outputs
        self.features = nn.Sequential(*layers, _conv_norm(channels, last))
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last, num_classes))
        self.last_channel = last
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x).mean((2, 3)))


def mobilenet_v2(weights: Any = None, progress: bool = True, **kwargs: Any) -> MobileNetV2:
    """MobileNetV2; keywords go to it. Not trained."""
    untrained("mobilenet_v2", weights, kwargs)
    return MobileNetV2(**kwargs)
