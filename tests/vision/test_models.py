"""Networks as torchvision builds them: how many parameters they have, and under which names."""

from __future__ import annotations

from typing import Any

import pytest

import numgrad
from numgrad import nn
from numgrad.vision import models

pytestmark = pytest.mark.native  # millions of random numbers


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("name", "parameters"), [
    ("resnet18", 11_689_512), ("resnet50", 25_557_032), ("resnext50_32x4d", 25_028_904), ("mobilenet_v2", 3_504_872),
])  # fmt: skip
def test_parameters_are_as_many_as_published(name: str, parameters: int) -> None:
    assert count(getattr(models, name)()) == parameters


def test_features_of_vgg() -> None:
    assert [count(models.plain.make_layers(depth)) for depth in (11, 13, 16, 19)] == [9_220_480, 9_404_992, 14_714_688, 20_024_384]
    names = list(models.plain.make_layers(11, batch_norm=True).state_dict())
    assert names[:7] == ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"]


def test_names_are_torchvision_s() -> None:
    names = set(models.resnet50(num_classes=2).state_dict())
    assert {"conv1.weight", "bn1.running_mean", "layer1.0.downsample.0.weight", "layer1.0.downsample.1.bias", "layer3.5.conv3.weight", "fc.bias"} <= names
    assert len(names) == 320
    names = set(models.mobilenet_v2(num_classes=2, width_mult=0.25).state_dict())
    assert {"features.0.0.weight", "features.1.conv.0.1.weight", "features.2.conv.3.num_batches_tracked", "features.18.1.bias", "classifier.1.weight"} <= names
    assert len(names) == 314


@pytest.mark.parametrize("make", [
    lambda: models.resnet.ResNet(models.resnet.Bottleneck, [1, 1, 1, 1], 3, groups=2, width_per_group=16, replace_stride_with_dilation=[False, True, True]),
    lambda: models.mobilenet_v2(num_classes=3, width_mult=0.1),
])  # fmt: skip
def test_gradients_reach_every_parameter(make: Any) -> None:
    numgrad.manual_seed(0)
    model = make()
    nn.functional.cross_entropy(model(numgrad.randn(4, 3, 32, 32)), numgrad.tensor([0, 1, 2, 0])).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_blocks_that_begin_as_the_identity() -> None:
    model = models.resnet.ResNet(models.resnet.BasicBlock, [2, 1, 1, 1], 3, zero_init_residual=True).eval()
    with numgrad.no_grad():
        x = numgrad.rand(1, 64, 4, 4)
        assert numgrad.equal(model.layer1(x), x) and model.layer2(x).shape == (1, 128, 2, 2)


def test_nothing_comes_trained() -> None:
    for call in (lambda: models.resnet50(weights=models.ResNet50_Weights.DEFAULT), lambda: models.resnet18(weights="DEFAULT"), lambda: models.vgg11(pretrained=True), lambda: models.alexnet(True)):
        with pytest.raises(NotImplementedError, match="load_state_dict"):
            call()
    assert count(models.resnet18(pretrained=False, num_classes=2)) == 11_689_512 - 998 * 513
    with pytest.raises(AttributeError, match="resnet18"):
        _ = models.densenet121
    with pytest.raises(ValueError, match="3-element"):
        models.resnet50(replace_stride_with_dilation=[True])
