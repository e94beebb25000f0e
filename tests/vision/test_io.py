"""Image files and grids: our PNGs against Pillow's, every filter and depth, damage, and make_grid by hand."""

import builtins
import io
import struct
import zlib

import numpy as np
import pytest

import numgrad
import numgrad.vision as torchvision
from numgrad.vision import png, utils
from numgrad.vision.io import ImageReadMode, read_array, read_image, write_array, write_png

RANDOM = np.random.default_rng(0)
SHAPES = [(5, 7), (5, 7, 2), (5, 7, 3), (5, 7, 4), (1, 1), (1, 9, 3)]


def smooth(*shape):
    """An image for which encoders choose every kind of filter."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    image = (rows * 3 + columns * 2 + RANDOM.integers(0, 9, shape[:2])) % 256
    return np.stack([image + 40 * channel for channel in range(*shape[2:])], -1).astype(np.uint8)


@pytest.fixture
def without_pillow(monkeypatch):
    genuine = builtins.__import__

    def refuse(name, *rest, **more):
        if name.partition(".")[0] == "PIL":
            raise ImportError(name)
        return genuine(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)


@pytest.mark.parametrize("shape", SHAPES)
def test_png_there_and_back(shape):
    image = RANDOM.integers(0, 256, shape, dtype=np.uint8)
    assert (png.decode(png.encode(image)) == image).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_pillow_reads_ours(shape):
    Image = pytest.importorskip("PIL.Image")
    image = RANDOM.integers(0, 256, shape, dtype=np.uint8)
    assert (np.asarray(Image.open(io.BytesIO(png.encode(image)))) == image).all()


@pytest.mark.parametrize("shape", [(60, 50), (60, 50, 3), (60, 50, 4)])
def test_we_read_pillow_s(shape):
    Image = pytest.importorskip("PIL.Image")
    image = smooth(*shape) if len(shape) == 3 else smooth(*shape, 1)[:, :, 0]
    for options in ({}, dict(optimize=True), dict(compress_level=1)):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "png", **options)
        assert (png.decode(file.getvalue()) == image).all()


def test_we_read_palettes_and_bits():
    Image = pytest.importorskip("PIL.Image")
    colours = Image.fromarray(smooth(20, 33, 3)).quantize(7)
    file = io.BytesIO()
    colours.save(file, "png")
    assert (png.decode(file.getvalue()) == np.asarray(colours.convert("RGB"))).all()
    bits = Image.fromarray(smooth(20, 33, 1)[:, :, 0]).convert("1")
    file = io.BytesIO()
    bits.save(file, "png")
    assert (png.decode(file.getvalue()) == np.asarray(bits.convert("L"))).all()


def with_filters(image, kinds):
    """A PNG whose row r has filter kinds[r], filtered by the definition."""
    height, width, channels = image.shape
    rows = np.zeros((height + 1, width * channels + channels), int)
    rows[1:, channels:] = image.reshape(height, -1)
    raw = b""
    for r, kind in zip(range(1, height + 1), kinds, strict=True):
        line, above = rows[r, channels:], rows[r - 1, channels:]
        left, corner = rows[r, :-channels], rows[r - 1, :-channels]
        guess = left + above - corner
        distances = np.abs(np.stack([guess - left, guess - above, guess - corner]))
        paeth = np.choose(distances.argmin(axis=0), [left, above, corner])
        prediction = [0 * line, left, above, (left + above) // 2, paeth][kind]
        raw += bytes([kind]) + ((line - prediction) % 256).astype(np.uint8).tobytes()
    encoded = png.encode(image)
    start = encoded.index(b"IDAT") - 4
    return encoded[:start] + png._chunk(b"IDAT", zlib.compress(raw)) + png._chunk(b"IEND", b"")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_every_filter(channels):
    image = RANDOM.integers(0, 256, (10, 8, channels), dtype=np.uint8)
    decoded = png.decode(with_filters(image, [0, 1, 2, 3, 4, 4, 3, 2, 1, 0]))
    assert (decoded.reshape(image.shape) == image).all()


GOOD = png.encode(RANDOM.integers(0, 256, (4, 4, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        GOOD[:20],
        GOOD[:-40],
        GOOD[:50] + b"\xff" + GOOD[51:],
        with_filters(np.zeros((1, 1, 3), np.uint8), [0]).replace(b"IDAT", b"JDAT"),
        png._SIGNATURE + png._chunk(b"IEND", b""),
        png._SIGNATURE
        + png._chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0))
        + png._chunk(b"IDAT", zlib.compress(bytes(10)))
        + png._chunk(b"IEND", b""),
        b"P6 2 2 255 abc",
        b"P6 2 x 255 abcabcabcabc",
        b"P5 2",
    ],
    ids=range(11),
)
@pytest.mark.parametrize("pillow", [True, False])
def test_damaged_images_are_refused_by_name(content, pillow, tmp_path, request):
    if pillow:
        pytest.importorskip("PIL.Image")
    else:
        request.getfixturevalue("without_pillow")
    path = tmp_path / "image.png"
    path.write_bytes(content)
    with pytest.raises(RuntimeError, match=str(path)):
        read_array(path)


def test_rare_png_asks_for_pillow():
    deep = png._SIGNATURE + png._chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 0, 0, 0, 0))
    with pytest.raises(ValueError, match="need Pillow"):
        png.decode(deep + png._chunk(b"IDAT", b"") + png._chunk(b"IEND", b""))


def test_pnm():
    image = RANDOM.integers(0, 256, (3, 4, 3), dtype=np.uint8)
    assert (png.decode(b"P6\n# a comment\n4 3\n255\n" + image.tobytes()) == image).all()
    assert (png.decode(b"P5 4 3 255\n" + image[:, :, 0].tobytes()) == image[:, :, 0]).all()


@pytest.mark.parametrize("mode", [None, "L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 2), (5, 7, 3), (5, 7, 4)])
def test_modes_are_the_same_with_and_without_pillow(shape, mode, tmp_path, request):
    pytest.importorskip("PIL.Image")
    path = tmp_path / "image.png"
    write_array(RANDOM.integers(0, 256, shape, dtype=np.uint8), path)
    with_it = read_array(path, mode)
    request.getfixturevalue("without_pillow")
    assert (read_array(path, mode) == with_it).all()


def test_without_pillow_other_formats_ask_for_it(without_pillow, tmp_path):
    (tmp_path / "image.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(RuntimeError, match="pip install pillow"):
        read_array(tmp_path / "image.jpg")
    with pytest.raises(RuntimeError, match="writing jpg needs Pillow"):
        utils.save_image(numgrad.zeros(3, 2, 2), tmp_path / "new.jpg")


def test_missing_image(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_array(tmp_path / "none.png")


def test_read_and_write_tensors(tmp_path):
    image = numgrad.from_numpy(RANDOM.integers(0, 256, (3, 4, 5), dtype=np.uint8))
    write_png(image, tmp_path / "image.png")
    assert read_image(tmp_path / "image.png").tolist() == image.tolist()
    assert read_image(str(tmp_path / "image.png"), ImageReadMode.GRAY).shape == (1, 4, 5)
    assert read_image(str(tmp_path / "image.png"), "RGB_ALPHA").shape == (4, 4, 5)
    with pytest.raises(ValueError, match="expected a uint8 tensor"):
        write_png(numgrad.zeros(3, 4, 5), tmp_path / "image.png")


# --- grids ---


def test_make_grid_places_images():
    images = numgrad.arange(5.0).reshape(5, 1, 1, 1).expand(5, 3, 2, 2)
    grid = utils.make_grid(images, nrow=3, padding=1, pad_value=9.0)
    assert grid.shape == (3, 7, 10)
    expected = [
        [9, 9, 9, 9, 9, 9, 9, 9, 9, 9],
        [9, 0, 0, 9, 1, 1, 9, 2, 2, 9],
        [9, 0, 0, 9, 1, 1, 9, 2, 2, 9],
        [9, 9, 9, 9, 9, 9, 9, 9, 9, 9],
        [9, 3, 3, 9, 4, 4, 9, 9, 9, 9],
        [9, 3, 3, 9, 4, 4, 9, 9, 9, 9],
        [9, 9, 9, 9, 9, 9, 9, 9, 9, 9],
    ]
    assert grid[1].tolist() == expected


def test_make_grid_of_every_shape():
    assert utils.make_grid(numgrad.zeros(2, 2)).shape == (3, 2, 2)
    assert utils.make_grid(numgrad.zeros(1, 2, 2)).shape == (3, 2, 2)
    assert utils.make_grid(numgrad.zeros(3, 2, 2)).shape == (3, 2, 2)
    assert utils.make_grid(numgrad.zeros(4, 1, 2, 2)).shape == (3, 6, 18)
    assert utils.make_grid([numgrad.zeros(3, 2, 2)] * 2, padding=0).shape == (3, 2, 4)
    assert utils.make_grid(numgrad.zeros(9, 3, 1, 1), padding=0).shape == (3, 2, 8)
    with pytest.raises(TypeError, match="tensor or list of tensors"):
        utils.make_grid(np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"\(1, 1, 1, 1, 1\)"):
        utils.make_grid(numgrad.zeros(1, 1, 1, 1, 1))


def test_make_grid_normalizes():
    images = numgrad.tensor([0.0, 1.0, 2.0, 4.0]).reshape(2, 1, 1, 2)
    assert utils.make_grid(images, padding=0, normalize=True)[0].tolist() == [[0, 0.25, 0.5, 1]]
    assert utils.make_grid(images, padding=0, normalize=True, scale_each=True)[0].tolist() == [[0, 1, 0, 1]]
    assert utils.make_grid(images, padding=0, normalize=True, value_range=(1, 3))[0].tolist() == [[0, 0, 0.5, 1]]
    assert images.flatten().tolist() == [0, 1, 2, 4]
    with pytest.raises(TypeError, match="tuple"):
        utils.make_grid(images, normalize=True, value_range=[0, 1])


def test_save_image(tmp_path):
    image = numgrad.tensor([[[0.0, 0.5, 1.0, 2.0, -1.0]]])
    utils.save_image(image, tmp_path / "image.png")
    assert read_array(tmp_path / "image.png")[0, :, 0].tolist() == [0, 128, 255, 255, 0]
    file = io.BytesIO()
    utils.save_image([image, image], file, nrow=1, padding=0)
    assert png.decode(file.getvalue()).shape == (2, 5, 3)


def test_save_image_in_other_formats(tmp_path):
    pytest.importorskip("PIL.Image")
    utils.save_image(numgrad.ones(3, 8, 8), tmp_path / "image.jpg")
    assert read_array(tmp_path / "image.jpg").min() > 250


def test_the_package_stands_in_for_torchvision():
    assert torchvision.datasets.MNIST
    assert torchvision.transforms.functional.resize
    assert torchvision.utils.save_image
    assert float(torchvision.__version__[:4]) >= 0.2
