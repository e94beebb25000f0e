"""Transforms: values by hand, against Pillow and against PyTorch's formulas; every kind of image; every refusal."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import numgrad
from numgrad import nn
from numgrad.vision import transforms as T
from numgrad.vision.transforms import InterpolationMode, resample
from numgrad.vision.transforms import functional as F

FILTERS = ["bilinear", "bicubic", "box", "hamming", "lanczos"]


def picture(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def tensor(*shape, seed=0):
    return numgrad.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def pil():
    return pytest.importorskip("PIL.Image")


# --- from one kind to another ---


def test_to_tensor_scales_uint8_and_puts_channels_first():
    colour = T.ToTensor()(picture(4, 5, 3))
    assert colour.shape == (3, 4, 5)
    assert colour.dtype == numgrad.float32
    assert colour.is_contiguous()
    assert colour[1, 2, 3].item() == np.float32(picture(4, 5, 3)[2, 3, 1]) / np.float32(255)
    assert T.ToTensor()(picture(4, 5)).shape == (1, 4, 5)


def test_to_tensor_keeps_other_dtypes():
    assert T.ToTensor()(np.full((2, 2), 300, np.int32)).tolist() == [[[300, 300], [300, 300]]]
    assert T.ToTensor()(np.full((2, 2, 1), 0.25)).dtype == numgrad.float64


def test_to_tensor_copies():
    image = picture(2, 2)
    T.PILToTensor()(image).fill_(0)
    assert image.any()


def test_pil_to_tensor_keeps_values():
    assert T.PILToTensor()(picture(4, 5, 3)).numpy().transpose(1, 2, 0).tolist() == picture(4, 5, 3).tolist()


@pytest.mark.parametrize("make", [F.to_tensor, F.pil_to_tensor])
def test_to_tensor_refuses(make):
    with pytest.raises(TypeError, match="tensor already"):
        make(tensor(1, 2, 2))
    with pytest.raises(TypeError, match="not a list"):
        make([[1]])
    with pytest.raises(ValueError, match=r"\(2, 2, 2, 2\)"):
        make(picture(2, 2, 2, 2))


def test_pil_images_go_through():
    image = pil().fromarray(picture(6, 8, 3))
    pipeline = T.Compose([T.Resize(4), T.CenterCrop(4), T.RandomHorizontalFlip(1.0), T.ToTensor()])
    assert isinstance(T.Resize(4)(image), pil().Image)
    assert isinstance(T.RandomHorizontalFlip(1.0)(image), pil().Image)
    assert pipeline(image).shape == (3, 4, 4)
    assert T.ToTensor()(image.convert("1")).shape == (1, 6, 8)
    assert T.ToTensor()(image.convert("P")).shape == (3, 6, 8)
    assert F.get_dimensions(image) == [3, 6, 8]
    assert F.get_image_size(image) == [8, 6]


def test_to_pil_image_and_back():
    Image = pil()
    for source in (picture(6, 8, 3), picture(6, 8), numgrad.from_numpy(picture(3, 6, 8))):
        image = T.ToPILImage()(source)
        assert isinstance(image, Image.Image)
        assert image.size == (8, 6)
    assert F.pil_to_tensor(F.to_pil_image(numgrad.ones(1, 2, 2))).tolist() == [[[255, 255], [255, 255]]]
    assert F.to_pil_image(picture(2, 2), "RGB").mode == "RGB"
    with pytest.raises(ValueError, match="2/3 dimensional"):
        F.to_pil_image(tensor(1, 1, 1, 1))
    with pytest.raises(TypeError, match="Tensor or ndarray"):
        F.to_pil_image([1])


@pytest.mark.parametrize(
    ("source", "target", "values", "expected"),
    [
        ("uint8", "float32", [0, 255, 51], [0.0, 1.0, np.float32(0.2)]),
        ("float32", "uint8", [0.0, 1.0, 0.999, 0.5], [0, 255, 255, 127]),
        ("float32", "float64", [0.25], [0.25]),
        ("uint8", "int16", [255, 1], [255 * 128, 128]),
        ("int16", "uint8", [32767, 128], [255, 1]),
        ("int32", "int8", [2**31 - 1], [127]),
        ("uint8", "int64", [255], [255 * 2**55]),
        ("bool", "float32", [True, False], [1.0, 0.0]),
    ],
)
def test_convert_image_dtype(source, target, values, expected):
    image = numgrad.from_numpy(np.array(values, source))
    converted = T.ConvertImageDtype(getattr(numgrad, target))(image)
    assert converted.dtype == getattr(numgrad, target)
    assert converted.tolist() == pytest.approx(expected, abs=0)


@pytest.mark.parametrize(("source", "target"), [("float32", "int32"), ("float32", "int64"), ("float64", "int64")])
def test_convert_image_dtype_refuses_what_cannot_be_exact(source, target):
    with pytest.raises(RuntimeError, match="cannot be performed safely"):
        F.convert_image_dtype(numgrad.zeros(1, dtype=getattr(numgrad, source)), getattr(numgrad, target))


# --- values ---


def test_normalize_by_channel():
    image = tensor(3, 4, 5)
    mean, std = [0.1, 0.2, 0.3], [1.0, 2.0, 4.0]
    values = image.numpy()
    expected = (values - np.float32(mean)[:, None, None]) / np.float32(std)[:, None, None]
    assert (T.Normalize(mean, std)(image).numpy() == expected).all()
    assert (T.Normalize(mean, std)(numgrad.stack([image, image]))[1].numpy() == expected).all()
    assert (F.normalize(image, [0.5], [2.0]).numpy() == (values - np.float32(0.5)) / 2).all()
    assert (image.numpy() == values).all()


def test_normalize_in_place_and_with_gradient():
    image = tensor(1, 2, 2)
    result = F.normalize(image, [1.0], [2.0], inplace=True)
    assert result is image
    leaf = numgrad.ones(1, 2, 2, requires_grad=True)
    F.normalize(leaf, [0.5], [4.0]).sum().backward()
    assert leaf.grad.tolist() == [[[0.25, 0.25], [0.25, 0.25]]]


def test_normalize_refuses():
    with pytest.raises(TypeError, match=r"put ToTensor\(\) before"):
        F.normalize(picture(2, 2), [0.5], [0.5])
    with pytest.raises(TypeError, match="should be a float tensor"):
        F.normalize(numgrad.from_numpy(picture(1, 2, 2)), [0.5], [0.5])
    with pytest.raises(ValueError, match=r"Got \(2, 2\)"):
        F.normalize(tensor(2, 2), [0.5], [0.5])
    with pytest.raises(ValueError, match="division by zero"):
        F.normalize(tensor(1, 2, 2), [0.5], [0.0])


def test_grayscale():
    image = picture(4, 5, 3)
    grey = T.Grayscale()(image)
    assert (grey == np.asarray(pil().fromarray(image).convert("L"))).all()
    assert T.Grayscale(3)(image).shape == (4, 5, 3)
    ones = numgrad.ones(3, 2, 2)
    assert F.rgb_to_grayscale(ones).flatten().tolist() == pytest.approx([0.9999] * 4)
    assert F.rgb_to_grayscale(ones, 3).shape == (3, 2, 2)
    assert F.rgb_to_grayscale(numgrad.ones(7, 3, 2, 2)).shape == (7, 1, 2, 2)
    assert (F.rgb_to_grayscale(picture(4, 5)) == picture(4, 5)).all()
    with pytest.raises(TypeError, match="1 or 3, but found 2"):
        F.rgb_to_grayscale(numgrad.ones(2, 2, 2))
    with pytest.raises(ValueError, match="either 1 or 3"):
        F.rgb_to_grayscale(ones, 2)


def test_colours_by_hand():
    image = numgrad.tensor([[[0.2, 0.8]], [[0.4, 0.8]], [[0.6, 0.8]]])
    lumas = np.array([0.2989 * 0.2 + 0.587 * 0.4 + 0.114 * 0.6, 0.9999 * 0.8])
    values = image.numpy()[:, 0]
    for changed, expected in (
        (F.adjust_brightness(image, 2.0), np.minimum(values * 2, 1)),
        (F.adjust_brightness(image, 0.5), values / 2),
        (F.adjust_contrast(image, 0.0), np.full((3, 2), lumas.mean())),
        (F.adjust_contrast(image, 0.5), (values + lumas.mean()) / 2),
        (F.adjust_saturation(image, 0.0), np.stack([lumas] * 3)),
        (F.adjust_saturation(image, 0.5), (values + lumas) / 2),
    ):
        np.testing.assert_allclose(changed.numpy()[:, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("turn", [-0.5, -0.1, 0.0, 0.2, 0.5])
def test_hue_turns_as_the_standard_library_does(turn):
    import colorsys

    image = tensor(3, 6, 6).abs().clamp(0, 1)
    image[:, 0, 0] = 0.5
    turned = F.adjust_hue(image, turn).numpy().reshape(3, -1).T
    for pixel, result in zip(image.numpy().reshape(3, -1).T.tolist(), turned, strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
        np.testing.assert_allclose(result, colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value), atol=2e-6)


def test_colours_of_pictures():
    image = picture(5, 6, 3)
    assert (F.adjust_brightness(image, 0.5) == image // 2).all()
    for change in (F.adjust_contrast, F.adjust_saturation):
        assert (change(image, 1.0) == image).all()
    assert np.abs(F.adjust_hue(image, 0.0).astype(int) - image).max() <= 1
    assert F.adjust_hue(image, 0.3).dtype == np.uint8
    assert (F.adjust_saturation(picture(5, 6), 3.0) == picture(5, 6)).all()
    assert (F.adjust_hue(picture(5, 6), 0.3) == picture(5, 6)).all()
    assert isinstance(F.adjust_contrast(pil().fromarray(image), 0.5), pil().Image)
    with pytest.raises(ValueError, match="negative"):
        F.adjust_contrast(image, -1.0)
    with pytest.raises(ValueError, match=r"not in \[-0\.5, 0\.5\]"):
        F.adjust_hue(image, 0.6)
    with pytest.raises(TypeError, match="1 or 3, but found 4"):
        F.adjust_contrast(picture(5, 6, 4), 1.0)


def test_color_jitter():
    image = picture(5, 6, 3)
    assert T.ColorJitter()(image) is image
    results = {T.ColorJitter(brightness=0.5)(image).tobytes() for _ in range(10)}
    assert len(results) > 5
    limits = T.ColorJitter(brightness=2, contrast=(0.5, 1.5), hue=0.1)
    assert (limits.brightness, limits.contrast, limits.saturation, limits.hue) == (
        (0, 3),
        (0.5, 1.5),
        None,
        (-0.1, 0.1),
    )
    assert limits(numgrad.ones(3, 4, 4)).shape == (3, 4, 4)
    with pytest.raises(ValueError, match="non negative"):
        T.ColorJitter(contrast=-1)
    with pytest.raises(ValueError, match="hue values should be between"):
        T.ColorJitter(hue=0.6)
    with pytest.raises(TypeError, match="single number or a list/tuple"):
        T.ColorJitter(saturation="much")


# --- resizing ---


@pytest.mark.parametrize("mode", ["nearest", *FILTERS])
@settings(max_examples=25, deadline=None)
@given(
    old=st.tuples(*[st.integers(1, 40)] * 2),
    new=st.tuples(*[st.integers(1, 40)] * 2),
    channels=st.sampled_from([None, 3]),
)
def test_pictures_are_resized_as_by_pillow(mode, old, new, channels):
    image = picture(*old) if channels is None else picture(*old, channels)
    theirs = pil().fromarray(image)
    for size in ((new[1], old[0]), (new[1], new[0])):  # by turns, for its versions differ in which axis goes first
        theirs = theirs.resize(size, getattr(pil().Resampling, mode.upper()))
    assert (F.resize(image, new, InterpolationMode(mode)) == np.asarray(theirs)).all()


@pytest.mark.parametrize("mode", FILTERS)
def test_float_pictures_are_resized_as_by_pillow(mode):
    image = np.random.default_rng(0).normal(size=(20, 31)).astype(np.float32)
    theirs = pil().fromarray(image).resize((13, 20), getattr(pil().Resampling, mode.upper()))
    theirs = theirs.resize((13, 45), getattr(pil().Resampling, mode.upper()))
    np.testing.assert_allclose(F.resize(image, (45, 13), mode), np.asarray(theirs), rtol=1e-5, atol=1e-6)


def test_resizing_by_hand():
    image = numgrad.tensor([[[0.0, 1.0, 2.0, 3.0]]])
    assert F.resize(image, [1, 2], "nearest").tolist() == [[[0, 2]]]
    assert F.resize(image, [1, 2], "nearest-exact").tolist() == [[[1, 3]]]
    assert F.resize(image, [1, 2], antialias=False).tolist() == [[[0.5, 2.5]]]
    # weights of a triangle of reach 2 about 1 (in units of the input): 3/8, 3/8, 1/8 of (0, 1, 2), normalised by 7/8
    np.testing.assert_allclose(F.resize(image, [1, 2]).numpy(), [[[5 / 7, 16 / 7]]], rtol=1e-6)
    # enlarged: centres at -0.25, 0.25, 0.75, ... and clamped at the border
    np.testing.assert_allclose(
        F.resize(image, [1, 8]).numpy(), [[[0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]]], rtol=1e-6
    )
    # cubic with a = -0.75 at a distance of 1/2: -3/32, 19/32, 19/32, -3/32
    np.testing.assert_allclose(
        F.resize(numgrad.tensor([[[0.0, 1.0, 0.0, 0.0]]]), [1, 2], "bicubic", antialias=False).numpy(),
        [[[19 / 32, -3 / 32]]],
        rtol=1e-6,
    )


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@settings(max_examples=25, deadline=None)
@given(old=st.integers(1, 30), new=st.integers(1, 30))
def test_weights_sum_to_one_and_are_mirrored(mode, antialias, old, new):
    weights = (resample.smoothing_weights if antialias else resample.pointwise_weights)(old, new, mode)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(weights, weights[::-1, ::-1], rtol=1e-9, atol=1e-12)


def test_integer_tensors_are_rounded_and_keep_within_their_range():
    image = numgrad.tensor([[[0, 255, 0, 255]]], dtype=numgrad.uint8)
    bigger = F.resize(image, [1, 9], "bicubic", antialias=False)
    assert bigger.dtype == numgrad.uint8
    assert bigger.min().item() == 0
    assert bigger.max().item() == 255


def test_batches_are_resized_image_by_image():
    batch = tensor(2, 3, 7, 9)
    assert F.resize(batch, [3, 4])[1].tolist() == F.resize(batch[1], [3, 4]).tolist()


@pytest.mark.parametrize(
    ("size", "options", "expected"),
    [
        (6, {}, (6, 9)),
        ([6], {}, (6, 9)),
        ((5, 7), {}, (5, 7)),
        (8, dict(max_size=10), (6, 10)),
        (12, {}, (12, 18)),
    ],
)
def test_sizes(size, options, expected):
    assert T.Resize(size, **options)(picture(12, 18)).shape == expected
    assert T.Resize(size, **options)(picture(18, 12)).shape == (
        expected if len(np.atleast_1d(size)) == 2 else expected[::-1]
    )


def test_resize_to_the_same_size_changes_nothing():
    image = picture(5, 5)
    assert F.resize(image, 5) is image


def test_resize_refuses():
    with pytest.raises(ValueError, match="strictly greater"):
        F.resize(picture(5, 5), 8, max_size=8)
    with pytest.raises(ValueError, match="max_size should only"):
        F.resize(picture(5, 5), (8, 8), max_size=9)
    with pytest.raises(ValueError, match="cannot resize"):
        F.resize(picture(5, 5), 0)
    with pytest.raises(ValueError, match="not by lanczos"):
        F.resize(tensor(1, 5, 5), 3, "lanczos")
    with pytest.raises(ValueError, match="one or two numbers"):
        F.resize(picture(5, 5), (1, 2, 3))
    with pytest.raises(TypeError, match="Size should be int or sequence"):
        T.Resize(1.5)
    with pytest.raises(TypeError, match="tensor, a NumPy array or a PIL image"):
        F.resize("image", 3)
    with pytest.raises(TypeError, match="at least 2 dimensions"):
        F.resize(tensor(3), 3)
    with pytest.raises(RuntimeError, match="requires grad"):
        F.resize(numgrad.ones(1, 4, 4, requires_grad=True), 2)


def test_modes_may_be_spelt_in_every_way():
    expected = F.resize(picture(5, 5), 3, InterpolationMode.BICUBIC)
    for mode in ("bicubic", 3):
        assert (F.resize(picture(5, 5), 3, mode) == expected).all()


# --- places ---


def kinds(image):
    """The image as an array, and as a tensor with the means to compare."""
    planes = image if image.ndim == 2 else image.transpose(2, 0, 1)
    yield image, lambda result: result
    yield numgrad.from_numpy(planes.copy()), lambda t: t.numpy() if image.ndim == 2 else t.numpy().transpose(1, 2, 0)


@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 3)])
def test_crops_and_flips(shape):
    image = picture(*shape)
    for source, back in kinds(image):
        assert (back(F.crop(source, 1, 2, 3, 4)) == image[1:4, 2:6]).all()
        assert (back(F.hflip(source)) == image[:, ::-1]).all()
        assert (back(F.vflip(source)) == image[::-1]).all()
        assert (back(F.center_crop(source, (2, 4))) == image[2:4, 2:6]).all()
        assert (back(F.resized_crop(source, 1, 2, 3, 4, (3, 4))) == image[1:4, 2:6]).all()
        outside = back(F.crop(source, -1, 6, 3, 4))
        assert (outside[1:, :2] == image[:2, 6:]).all()
        assert not outside[0].any()
        assert not outside[:, 2:].any()


def test_center_crop_pads_what_is_too_small():
    cropped = F.center_crop(np.ones((3, 4), np.uint8), (6, 3))
    assert cropped.tolist() == [[0] * 3, [1] * 3, [1] * 3, [1] * 3, [0] * 3, [0] * 3]


def test_center_crop_rounds_half_to_even():
    assert F.center_crop(np.arange(5)[None].astype(np.uint8), (1, 2)).tolist() == [[2, 3]]  # from 1.5 to 2
    assert F.center_crop(np.arange(3)[None].astype(np.uint8), (1, 2)).tolist() == [[0, 1]]  # from 0.5 to 0


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)])
def test_padding(shape, mode):
    image = picture(*shape)
    for source, back in kinds(image):
        for padding, (left, top, right, bottom) in (
            (1, (1, 1, 1, 1)),
            ([1, 2], (1, 2, 1, 2)),
            ((0, 1, 2, 3), (0, 1, 2, 3)),
        ):
            border = [(top, bottom), (left, right), (0, 0)][: len(shape)]
            assert (back(T.Pad(padding, padding_mode=mode)(source)) == np.pad(image, border, mode=mode)).all()


def test_padding_with_a_colour():
    padded = F.pad(np.zeros((1, 1, 3), np.uint8), 1, fill=(1, 2, 3))
    assert padded[0, 0].tolist() == [1, 2, 3]
    assert padded[1, 1].tolist() == [0, 0, 0]
    assert F.pad(numgrad.zeros(1, 1, 1), 1, fill=0.5).sum().item() == 4
    assert F.pad(picture(2, 2), 0).tolist() == picture(2, 2).tolist()


def test_padding_refuses():
    with pytest.raises(ValueError, match="1, 2, or 4 element tuple"):
        F.pad(picture(2, 2), (1, 2, 3))
    with pytest.raises(ValueError, match="Padding mode should be"):
        F.pad(picture(2, 2), 1, padding_mode="circular")
    with pytest.raises(ValueError, match="negative"):
        F.pad(picture(2, 2), -1)
    with pytest.raises(TypeError, match="inappropriate padding"):
        T.Pad("1")


def test_random_crop_stays_within_and_reaches_everywhere():
    image = np.arange(30, dtype=np.uint8).reshape(5, 6)
    corners = set()
    for _ in range(200):
        cropped = T.RandomCrop((4, 3))(image)
        assert cropped.shape == (4, 3)
        top, left = divmod(int(cropped[0, 0]), 6)
        assert (cropped == image[top : top + 4, left : left + 3]).all()
        corners.add((top, left))
    assert corners == {(top, left) for top in range(2) for left in range(4)}


def test_random_crop_with_padding():
    assert T.RandomCrop(32, padding=4)(picture(32, 32, 3)).shape == (32, 32, 3)
    assert T.RandomCrop(8, pad_if_needed=True)(picture(3, 5)).shape == (8, 8)
    assert T.RandomCrop(8, padding=[1, 2], padding_mode="reflect")(tensor(1, 6, 6)).shape == (1, 8, 8)
    with pytest.raises(ValueError, match=r"Required crop size \(8, 8\) is larger than input image size \(3, 5\)"):
        T.RandomCrop(8)(picture(3, 5))


def test_flips_have_their_probability():
    image = np.array([[1, 2]], np.uint8)
    flipped = sum(T.RandomHorizontalFlip(0.25)(image)[0, 0] == 2 for _ in range(1000))
    assert 180 < flipped < 320  # five standard deviations
    assert (T.RandomHorizontalFlip(0.0)(image) == image).all()
    assert (T.RandomVerticalFlip(1.0)(image.T) == image.T[::-1]).all()


def test_random_grayscale():
    image = picture(3, 3, 3)
    assert (T.RandomGrayscale(0.0)(image) == image).all()
    grey = T.RandomGrayscale(1.0)(image)
    assert grey.shape == image.shape
    assert (grey[:, :, 0] == grey[:, :, 2]).all()


def test_random_resized_crop_keeps_its_bounds():
    image = picture(40, 60)
    for _ in range(100):
        top, left, height, width = T.RandomResizedCrop.get_params(image, (0.25, 0.5), (0.5, 2.0))
        assert 0 <= top <= 40 - height
        assert 0 <= left <= 60 - width
        assert 0.2 < height * width / 2400 < 0.56  # rounded to whole pixels
        assert 0.45 < width / height < 2.2
    assert T.RandomResizedCrop(7)(image).shape == (7, 7)
    assert T.RandomResizedCrop((7, 9), antialias=False)(tensor(3, 20, 20)).shape == (3, 7, 9)
    assert T.RandomResizedCrop.get_params(picture(10, 100), (2.0, 3.0), (0.75, 4 / 3)) == (0, 43, 10, 13)
    assert T.RandomResizedCrop.get_params(picture(100, 10), (2.0, 3.0), (0.75, 4 / 3)) == (43, 0, 13, 10)


def test_everything_random_follows_the_seed():
    transform = T.Compose(
        [
            T.RandomResizedCrop(8),
            T.RandomCrop(6, padding=1),
            T.RandomHorizontalFlip(),
            T.RandomVerticalFlip(),
            T.RandomApply([T.RandomCrop(5)]),
            T.RandomChoice([T.Pad(1), T.Pad(2), T.Pad(3)]),
            T.RandomOrder([T.RandomHorizontalFlip(), T.Pad(1)]),
        ]
    )
    results = []
    for seed in (1, 1, 2):
        numgrad.manual_seed(seed)
        results.append([transform(picture(20, 20)).tolist() for _ in range(5)])
    assert results[0] == results[1] != results[2]


# --- several in one ---


def test_compose_and_lambda():
    transform = T.Compose([T.Lambda(lambda image: image + 1), T.ToTensor()])
    assert transform(np.zeros((1, 1), np.uint8)).item() == np.float32(1) / np.float32(255)
    with pytest.raises(TypeError, match="should be callable, got 'int'"):
        T.Lambda(1)


def test_random_apply_choice_and_order():
    add, double = T.Lambda(lambda x: x + 1), T.Lambda(lambda x: x * 2)
    assert {T.RandomApply([add, double])(1) for _ in range(50)} == {1, 4}
    assert T.RandomApply([add], p=1.0)(1) == 2
    assert {T.RandomOrder([add, double])(1) for _ in range(50)} == {4, 3}
    assert {T.RandomChoice([add, double])(5) for _ in range(50)} == {6, 10}
    assert {T.RandomChoice([add, double], p=[0.0, 2.0])(5) for _ in range(50)} == {10}
    with pytest.raises(ValueError, match="1 probabilities for 2"):
        T.RandomChoice([add, double], p=[1.0])


def test_transforms_are_modules():
    assert nn.Sequential(T.Resize(4), T.CenterCrop(2), T.Normalize([0.0], [1.0]))(tensor(1, 8, 8)).shape == (1, 2, 2)


def test_reprs():
    transform = T.Compose([T.ToTensor(), T.Normalize((0.5,), (0.5,))])
    assert repr(transform) == "Compose(\n    ToTensor()\n    Normalize(mean=(0.5,), std=(0.5,))\n)"
    expected = {
        T.Resize(5): "Resize(size=5, interpolation=bilinear, max_size=None, antialias=True)",
        T.CenterCrop(5): "CenterCrop(size=(5, 5))",
        T.Pad(1): "Pad(padding=1, fill=0, padding_mode=constant)",
        T.RandomCrop(5, padding=1): "RandomCrop(size=(5, 5), padding=1)",
        T.RandomVerticalFlip(0.1): "RandomVerticalFlip(p=0.1)",
        T.PILToTensor(): "PILToTensor()",
        T.Grayscale(): "Grayscale(num_output_channels=1)",
        T.Lambda(math.sqrt): "Lambda()",
    }
    for transform, text in expected.items():
        assert repr(transform) == text
