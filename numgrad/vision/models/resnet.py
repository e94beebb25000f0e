"""Residual networks: He et al., Deep Residual Learning for Image Recognition, 2016; wider: Zagoruyko and Komodakis, 2016; in groups: Xie et al., 2017."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numgrad
from numgrad import nn

from .weights import untrained

__all__ = ["ResNet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2"]


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, dilation * (kernel // 2), dilation, groups, bias=False)


class BasicBlock(nn.Module):
    """Two convolutions of 3x3 beside the identity."""

    expansion = 1

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: nn.Module | None = None, groups: int = 1, base_width: int = 64,
                 dilation: int = 1, norm_layer: Callable[..., nn.Module] | None = None):  # fmt: skip
        super().__init__()
        norm = norm_layer or nn.BatchNorm2d
        if groups != 1 or base_width != 64 or dilation > 1:
            raise ValueError("BasicBlock only supports groups=1, base_width=64 and dilation=1")
        self.conv1, self.bn1 = _conv(inplanes, planes, 3, stride), norm(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2, self.bn2 = _conv(planes, planes, 3), norm(planes)
        self.downsample, self.stride = downsample, stride

    def forward(self, x: Any) -> Any:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """A convolution of 3x3, strided where the block is, between two of 1x1, beside the identity."""

    expansion = 4

    def __init__(self, inplanes: int, planes: int, stride: int = 1, downsample: nn.Module | None = None, groups: int = 1, base_width: int = 64,
                 dilation: int = 1, norm_layer: Callable[..., nn.Module] | None = None):  # fmt: skip
        super().__init__()
        norm = norm_layer or nn.BatchNorm2d
        width = int(planes * (base_width / 64)) * groups
        self.conv1, self.bn1 = _conv(inplanes, width, 1), norm(width)
        self.conv2, self.bn2 = _conv(width, width, 3, stride, groups, dilation), norm(width)
        self.conv3, self.bn3 = _conv(width, planes * self.expansion, 1), norm(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample, self.stride = downsample, stride

    def forward(self, x: Any) -> Any:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(out)))))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """(N, 3, H, W) to (N, num_classes): `layers` says how many blocks there are at each of four resolutions."""

    def __init__(
        self, block: type[Any], layers: list[int], num_classes: int = 1000, zero_init_residual: bool = False, groups: int = 1, width_per_group: int = 64,
        replace_stride_with_dilation: list[bool] | None = None, norm_layer: Callable[..., nn.Module] | None = None,
    ):  # fmt: skip
        super().__init__()
        dilate = replace_stride_with_dilation or [False, False, False]
        if len(dilate) != 3:
            raise ValueError(f"replace_stride_with_dilation should be None or a 3-element tuple, got {dilate}")
        self._norm, self.inplanes, self.dilation, self.groups, self.base_width = norm_layer or nn.BatchNorm2d, 64, 1, groups, width_per_group
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), self._norm(64)
        self.relu, self.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        self.layer1 = self._layer(block, 64, layers[0])
        self.layer2 = self._layer(block, 128, layers[1], 2, dilate[0])
        self.layer3 = self._layer(block, 256, layers[2], 2, dilate[1])
        self.layer4 = self._layer(block, 512, layers[3], 2, dilate[2])
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(512 * block.expansion, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if zero_init_residual:  # each block begins as the identity
            for module in self.modules():
                if isinstance(module, (BasicBlock, Bottleneck)):
                    nn.init.zeros_((module.bn3 if isinstance(module, Bottleneck) else module.bn2).weight)  # type: ignore[arg-type]

    def _layer(self, block: type[Any], planes: int, blocks: int, stride: int = 1, dilate: bool = False) -> nn.Sequential:
        before = self.dilation
        if dilate:
            self.dilation, stride = self.dilation * stride, 1
        outputs, shortcut = planes * block.expansion, None
        if stride != 1 or self.inplanes != outputs:
            shortcut = nn.Sequential(_conv(self.inplanes, outputs, 1, stride), self._norm(outputs))
        made = [block(self.inplanes, planes, stride, shortcut, self.groups, self.base_width, before, self._norm)]
        self.inplanes = outputs
        made += [block(outputs, planes, 1, None, self.groups, self.base_width, self.dilation, self._norm) for _ in range(1, blocks)]
        return nn.Sequential(*made)

    def forward(self, x: Any) -> Any:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(numgrad.flatten(self.avgpool(x), 1))


def _resnet(name: str, block: type[Any], layers: list[int], **settings: Any) -> Callable[..., ResNet]:
    def make(weights: Any = None, progress: bool = True, **more: Any) -> ResNet:
        untrained(name, weights, more)
        return ResNet(block, layers, **(settings | more))

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"ResNet with blocks {layers}" + "".join(f", {key} {value}" for key, value in settings.items()) + "; keywords go to `ResNet`. Not trained."
    return make


resnet18, resnet34 = _resnet("resnet18", BasicBlock, [2, 2, 2, 2]), _resnet("resnet34", BasicBlock, [3, 4, 6, 3])
resnet50, resnet101 = _resnet("resnet50", Bottleneck, [3, 4, 6, 3]), _resnet("resnet101", Bottleneck, [3, 4, 23, 3])
resnet152 = _resnet("resnet152", Bottleneck, [3, 8, 36, 3])
resnext50_32x4d = _resnet("resnext50_32x4d", Bottleneck, [3, 4, 6, 3], groups=32, width_per_group=4)
resnext101_32x8d = _resnet("resnext101_32x8d", Bottleneck, [3, 4, 23, 3], groups=32, width_per_group=8)
wide_resnet50_2 = _resnet("wide_resnet50_2", Bottleneck, [3, 4, 6, 3], width_per_group=128)
wide_resnet101_2 = _resnet("wide_resnet101_2", Bottleneck, [3, 4, 23, 3], width_per_group=128)
