"""Interpolation and sampling of images, by hand-made numbers and by what must be true of them."""

from __future__ import annotations

import numpy as np
import pytest

import numgrad
from numgrad import Tensor, nn
from numgrad.nn import functional as F
from numgrad.testing import gradcheck


def ramp(*shape: int) -> Tensor:
    return numgrad.arange(float(np.prod(shape)), dtype=numgrad.float64).view(shape)


def test_modes_on_a_line() -> None:
    x = numgrad.tensor([[[0.0, 1.0, 4.0]]])
    assert F.interpolate(x, 6).tolist() == [[[0, 0, 1, 1, 4, 4]]]
    assert F.interpolate(x, 2).tolist() == [[[0, 1]]]
    assert F.interpolate(x, 2, mode="nearest-exact").tolist() == [[[0, 4]]]
    assert np.allclose(F.interpolate(x, scale_factor=2, mode="linear").numpy(), [[[0, 0.25, 0.75, 1.75, 3.25, 4]]])
    assert np.allclose(F.interpolate(x, 5, mode="linear", align_corners=True).numpy(), [[[0, 0.5, 1, 2.5, 4]]])
    assert np.allclose(F.interpolate(x, 1, mode="area").numpy(), [[[5 / 3]]])


@pytest.mark.parametrize(("mode", "antialias"), [("bilinear", False), ("bicubic", False), ("bilinear", True), ("bicubic", True)])
def test_constant_images_stay_constant(mode: str, antialias: bool) -> None:
    x = numgrad.full((1, 2, 5, 4), 3.0)
    for size in ((9, 7), (2, 3)):
        found = F.interpolate(x, size, mode=mode, antialias=antialias)
        assert found.shape == (1, 2, *size) and np.allclose(found.numpy(), 3)
        assert found.is_contiguous()


def test_cubic_reproduces_a_parabola_inside() -> None:
    """Keys' kernel with a = -1/2, the antialiasing one, is exact for parabolas."""
    x = numgrad.arange(12.0, dtype=numgrad.float64)
    found = F.interpolate((x * x).view(1, 1, 1, 12), (1, 24), mode="bicubic", antialias=True).flatten()[4:-4]
    at = ((numgrad.arange(24.0, dtype=numgrad.float64) + 0.5) / 2 - 0.5)[4:-4]
    assert np.allclose(found.numpy(), (at * at).numpy())


def test_trilinear_is_linear() -> None:
    x = ramp(1, 1, 2, 3, 4)
    found = F.interpolate(x, (3, 5, 7), mode="trilinear", align_corners=True)
    z, y, w = np.meshgrid(np.linspace(0, 1, 3), np.linspace(0, 2, 5), np.linspace(0, 3, 7), indexing="ij")
    assert np.allclose(found.numpy()[0, 0], 12 * z + 4 * y + w)


@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_sampling_at_every_pixel_is_the_image(mode: str, align: bool) -> None:
    x = ramp(2, 3, 4, 5)
    theta = numgrad.tensor([[[1.0, 0, 0], [0, 1, 0]]], dtype=numgrad.float64).expand(2, 2, 3)
    grid = F.affine_grid(theta, x.shape, align)
    assert np.allclose(F.grid_sample(x, grid, mode, align_corners=align).numpy(), x.numpy())
    mirrored = F.grid_sample(x, grid * numgrad.tensor([-1.0, 1.0], dtype=numgrad.float64), mode, align_corners=align)
    assert np.allclose(mirrored.numpy(), x.numpy()[..., ::-1])


def test_sampling_outside() -> None:
    x = numgrad.tensor([[[[1.0, 2.0, 3.0]]]])
    grid = numgrad.tensor([[[[3.0, 0.0]]]])  # two pixels beyond the last, corners aligned
    found = {p: F.grid_sample(x, grid, "bilinear", p, True).item() for p in ("zeros", "border", "reflection")}
    assert found == {"zeros": 0, "border": 3, "reflection": 1}


@pytest.mark.interpreted
def test_gradients() -> None:
    x = ramp(1, 1, 3, 3).requires_grad_()
    grid = numgrad.tensor([[[[0.13, -0.32], [0.71, 0.55]]]], dtype=numgrad.float64, requires_grad=True)
    for mode, padding in (("bilinear", "zeros"), ("bicubic", "border"), ("bilinear", "reflection")):
        assert gradcheck(lambda x, g, m=mode, p=padding: F.grid_sample(x, g, m, p, False), (x, grid))
    assert gradcheck(lambda x: F.interpolate(x, (5, 2), mode="bicubic"), (x,))


def test_unpooling_puts_maxima_back() -> None:
    x = ramp(1, 2, 4, 6)
    pooled, indices = nn.MaxPool2d(2, return_indices=True)(x)
    found = nn.MaxUnpool2d(2)(pooled, indices)
    assert found.sum().item() == pooled.sum().item() and found.shape == x.shape
    assert found[0, 0, 1, 1].item() == x[0, 0, 1, 1].item() and found[0, 0, 0, 0].item() == 0
    assert nn.MaxUnpool1d(2)(*nn.MaxPool1d(2, return_indices=True)(ramp(1, 1, 5)), output_size=[5]).shape == (1, 1, 5)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({}, ValueError, "either size"),
        ({"size": 2, "scale_factor": 2}, ValueError, "only one"),
        ({"size": (1, 2, 3)}, ValueError, "spatial dimensions"),
        ({"size": 2, "mode": "linear"}, NotImplementedError, "4D input"),
        ({"size": 2, "align_corners": True}, ValueError, "align_corners"),
        ({"size": 2, "antialias": True}, ValueError, "Anti-alias"),
        ({"size": 0}, RuntimeError, "greater than 0"),
    ],
)
def test_errors(arguments: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        F.interpolate(ramp(1, 1, 3, 3), **arguments)


def test_layer() -> None:
    layer = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
    assert repr(layer) == "Upsample(scale_factor=2.0, mode='bilinear')" and layer(ramp(1, 1, 2, 2)).shape == (1, 1, 4, 4)
    assert np.allclose(layer(ramp(1, 1, 2, 2)).numpy(), nn.UpsamplingBilinear2d(scale_factor=2)(ramp(1, 1, 2, 2)).numpy())
