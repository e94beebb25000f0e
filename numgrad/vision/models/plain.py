"""Convolutional networks without shortcuts: AlexNet (Krizhevsky, One weird trick, 2014) and VGG (Simonyan and Zisserman, 2015)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numgrad
from numgrad import nn

from .weights import untrained

__all__ = ["VGG", "AlexNet", "alexnet", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"]


class AlexNet(nn.Module):
    """(N, 3, H, W), sides of at least 63, to (N, num_classes)."""

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(256 * 6 * 6, 4096), nn.ReLU(inplace=True),
            nn.Dropout(dropout), nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Linear(4096, num_classes),
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        return self.classifier(numgrad.flatten(self.avgpool(self.features(x)), 1))


def alexnet(weights: Any = None, progress: bool = True, **kwargs: Any) -> AlexNet:
    """AlexNet; keywords go to it. Not trained."""
    untrained("alexnet", weights, kwargs)
    return AlexNet(**kwargs)


class VGG(nn.Module):
    """(N, 3, H, W) to (N, num_classes), with what comes before the classifier given."""

    def __init__(self, features: nn.Module, num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5):
        super().__init__()
        self.features, self.avgpool = features, nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096), nn.ReLU(inplace=True), nn.Dropout(dropout),
            nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(dropout), nn.Linear(4096, num_classes),
        )  # fmt: skip
        for module in self.modules() if init_weights else ():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
            if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, x: Any) -> Any:
        return self.classifier(numgrad.flatten(self.avgpool(self.features(x)), 1))


#: How many convolutions there are at each of five resolutions.
_DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def make_layers(depth: int, batch_norm: bool = False) -> nn.Sequential:
    """The convolutions of VGG 11, 13, 16 or 19."""
    layers: list[nn.Module] = []
    channels = 3
    for planes, times in zip((64, 128, 256, 512, 512), _DEPTHS[depth], strict=True):
        for _ in range(times):
            layers += [nn.Conv2d(channels, planes, 3, padding=1), *([nn.BatchNorm2d(planes)] if batch_norm else []), nn.ReLU(inplace=True)]
            channels = planes
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers)


def _vgg(depth: int, batch_norm: bool) -> Callable[..., VGG]:
    name = f"vgg{depth}{'_bn' * batch_norm}"

    def make(weights: Any = None, progress: bool = True, **kwargs: Any) -> VGG:
        untrained(name, weights, kwargs)
        return VGG(make_layers(depth, batch_norm), **kwargs)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"VGG with {depth} layers{' and batch norms' * batch_norm}; keywords go to `VGG`. Not trained."
    return make


vgg11, vgg13, vgg16, vgg19 = (_vgg(depth, False) for depth in _DEPTHS)
vgg11_bn, vgg13_bn, vgg16_bn, vgg19_bn = (_vgg(depth, True) for depth in _DEPTHS)
