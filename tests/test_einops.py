"""einops with tensors: its functions, its layers, and gradients through them."""

from __future__ import annotations

import importlib
import subprocess
import sys

import numpy as np
import pytest

import numgrad
from numgrad import nn

einops = pytest.importorskip("einops")


def test_functions_as_with_numpy() -> None:
    data = np.arange(2 * 3 * 4 * 6, dtype=np.float32).reshape(2, 3, 4, 6)
    x = numgrad.from_numpy(data)
    for pattern, sizes in [("b c h w -> b (h w) c", {}), ("b c (h p) (w q) -> (b h w) c p q", {"p": 2, "q": 3}), ("b ... -> (...) b", {})]:
        found = einops.rearrange(x, pattern, **sizes)
        assert isinstance(found, numgrad.Tensor)
        np.testing.assert_array_equal(found.numpy(), einops.rearrange(data, pattern, **sizes))
    for kind in ("mean", "sum", "max", "min", "prod"):
        np.testing.assert_allclose(einops.reduce(x / 50, "b c h w -> c b", kind).numpy(), einops.reduce(data / 50, "b c h w -> c b", kind), rtol=1e-5)
    assert einops.reduce(x > 3, "b c h w -> b", "any").tolist() == [True, True]
    np.testing.assert_array_equal(einops.repeat(x, "b c h w -> b (c 2) new h w", new=3).numpy(), einops.repeat(data, "b c h w -> b (c 2) new h w", new=3))
    np.testing.assert_allclose(einops.einsum(x, x, "b c h w, b d h w -> b c d").numpy(), np.einsum("bchw,bdhw->bcd", data, data))
    np.testing.assert_array_equal(einops.rearrange([x, x + 1], "n b c h w -> b n (c h w)").numpy(), np.stack([data, data + 1], 1).reshape(2, 2, -1))
    packed, shapes = einops.pack([x, x[:, :, 0, 0]], "b *")
    assert packed.shape == (2, 75) and [tuple(t.shape) for t in einops.unpack(packed, shapes, "b *")] == [(2, 3, 4, 6), (2, 3)]
    assert einops.parse_shape(x, "b _ h w") == {"b": 2, "h": 4, "w": 6} and type(einops.asnumpy(x)) is np.ndarray


def test_gradients() -> None:
    x = nn.Parameter(numgrad.arange(6.0).reshape(2, 3))
    (einops.repeat(einops.reduce(x * x, "a b -> b", "sum"), "b -> b k", k=2)).sum().backward()
    assert x.grad.tolist() == [[0, 4, 8], [12, 16, 20]]


def test_layers() -> None:
    layers = importlib.import_module("einops.layers.numgrad")
    mix = layers.EinMix("b (h p) c -> b h (p d)", weight_shape="c d", bias_shape="d", p=2, c=3, d=5)
    model = nn.Sequential(layers.Rearrange("b c h w -> b (h w) c"), mix, layers.Reduce("b n d -> b d", "mean"))
    x = numgrad.rand(2, 3, 2, 4)
    found = model(x)
    flat = x.permute(0, 2, 3, 1).reshape(2, 8, 3) @ mix.weight + mix.bias
    np.testing.assert_allclose(found.detach().numpy(), flat.reshape(2, 4, 10).mean(1).detach().numpy(), rtol=1e-5)
    found.sum().backward()
    assert mix.weight.grad.shape == (3, 5) and set(model.state_dict()) == {"1.weight", "1.bias"}


@pytest.mark.parametrize("order", ["einops, numgrad", "numgrad, einops"])
def test_either_may_be_imported_first(order: str) -> None:
    code = f"import {order}; print(einops.rearrange(numgrad.ones(2, 3), 'a b -> (a b)').shape[0], 'torch' in __import__('sys').modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["6", "False"]
