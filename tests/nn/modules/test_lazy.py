"""Lazy layers learn their sizes from the first input."""

import copy
import math

import pytest

import numgrad
from numgrad import nn

CASES = [
    (lambda: nn.LazyLinear(3), nn.Linear, (2, 5), {"weight": (3, 5), "bias": (3,)}),
    (lambda: nn.LazyLinear(3, bias=False), nn.Linear, (5,), {"weight": (3, 5)}),
    (lambda: nn.LazyConv1d(4, 3), nn.Conv1d, (2, 2, 6), {"weight": (4, 2, 3), "bias": (4,)}),
    (lambda: nn.LazyConv2d(4, 3, 2, 1, groups=2, bias=False), nn.Conv2d, (2, 6, 6), {"weight": (4, 1, 3, 3)}),
    (lambda: nn.LazyConv3d(2, 1), nn.Conv3d, (1, 3, 2, 2, 2), {"weight": (2, 3, 1, 1, 1), "bias": (2,)}),
    (lambda: nn.LazyConvTranspose1d(4, 3), nn.ConvTranspose1d, (1, 2, 6), {"weight": (2, 4, 3), "bias": (4,)}),
    (lambda: nn.LazyConvTranspose2d(4, 3), nn.ConvTranspose2d, (1, 2, 4, 4), {"weight": (2, 4, 3, 3), "bias": (4,)}),
    (lambda: nn.LazyBatchNorm1d(), nn.BatchNorm1d, (4, 3), {
        "weight": (3,), "bias": (3,), "running_mean": (3,), "running_var": (3,), "num_batches_tracked": ()}),
    (lambda: nn.LazyInstanceNorm1d(affine=True, track_running_stats=True), nn.InstanceNorm1d, (3, 5), {
        "weight": (3,), "bias": (3,), "running_mean": (3,), "running_var": (3,), "num_batches_tracked": ()}),
    (lambda: nn.LazyInstanceNorm2d(affine=True), nn.InstanceNorm2d, (4, 3, 2, 2), {"weight": (3,), "bias": (3,)}),
    (lambda: nn.LazyInstanceNorm3d(), nn.InstanceNorm3d, (1, 3, 2, 2, 2), {}),
    (lambda: nn.LazyBatchNorm2d(affine=False, track_running_stats=False), nn.BatchNorm2d, (4, 3, 2, 2), {}),
]  # fmt: skip


@pytest.mark.parametrize("create, kind, shape, sizes", CASES)
def test_the_first_input_decides(create, kind, shape, sizes):
    layer = create()
    assert layer.has_uninitialized_params() == bool(sizes) and isinstance(layer, kind)
    layer(numgrad.randn(*shape))
    assert type(layer) is kind
    assert {name: tuple(tensor.shape) for name, tensor in layer.state_dict().items()} == sizes
    assert all(type(p) is nn.Parameter and p.requires_grad for p in layer.parameters())


def test_weights_start_as_those_of_the_ordinary_layer():
    numgrad.manual_seed(0)
    layer = nn.LazyLinear(200)
    layer(numgrad.zeros(1, 100))
    values = layer.weight.detach()
    assert values.abs().max().item() <= 0.1 and values.std().item() == pytest.approx(0.1 / math.sqrt(3), rel=0.05)


def test_a_loaded_state_decides_too():
    source = nn.Linear(4, 3)
    layer = nn.Sequential(nn.LazyLinear(3))
    layer.load_state_dict({"0.weight": source.weight, "0.bias": source.bias})
    x = numgrad.randn(2, 4)
    assert (layer(x) == source(x)).all() and layer[0].in_features == 4


def test_states_without_shapes_load_into_each_other():
    one, two = nn.LazyLinear(3), nn.LazyLinear(3)
    assert isinstance(one.state_dict()["weight"], nn.UninitializedParameter)
    assert repr(one.load_state_dict(two.state_dict())) == "<All keys matched successfully>"
    assert one.has_uninitialized_params()


def test_before_the_first_input():
    layer = nn.LazyLinear(3)
    assert repr(layer) == "LazyLinear(in_features=0, out_features=3, bias=True)"
    with pytest.raises(RuntimeError, match="uninitialized"):
        _ = layer.weight.shape
    other = copy.deepcopy(layer)
    other(numgrad.zeros(1, 2))
    assert layer.has_uninitialized_params() and not hasattr(other, "has_uninitialized_params")
    assert layer.double().weight.dtype == numgrad.float64
    assert layer(numgrad.zeros(1, 2, dtype=numgrad.float64)).dtype == numgrad.float64


def test_hooks_and_optimizers_see_the_same_parameters():
    layer = nn.LazyLinear(1, bias=False)
    optimizer = numgrad.optim.SGD(layer.parameters(), lr=0.5)
    seen = []
    layer.register_forward_hook(lambda module, args, output: seen.append(type(module)))
    layer(numgrad.ones(1, 2)).sum().backward()
    before = layer.weight.detach().clone()
    optimizer.step()
    assert seen == [nn.Linear] and (layer.weight == before - 0.5).all()


def test_wrong_first_inputs():
    with pytest.raises(RuntimeError, match=r"Expected 3D \(unbatched\) or 4D"):
        nn.LazyConv2d(4, 3)(numgrad.zeros(4, 4))
    with pytest.raises(ValueError, match="divisible by groups"):
        nn.LazyConv2d(4, 3, groups=2)(numgrad.zeros(1, 3, 4, 4))
