"""PNG and PNM images without any library: https://www.w3.org/TR/png-3/ and https://netpbm.sourceforge.net/doc/."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from .limits import check_announced

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}  # bits by colour type
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type: grey, RGB, palette, grey and alpha, RGBA


def encode(image: np.ndarray) -> bytes:
    """A uint8 image, (H, W) or (H, W, C) of 1 to 4 channels, as a PNG file."""
    planes = image[:, :, None] if image.ndim == 2 else image
    height, width, channels = planes.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = np.concatenate([np.zeros((height, 1), np.uint8), planes.reshape(height, width * channels)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")
    return _SIGNATURE + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def decode(data: bytes) -> np.ndarray:
    """A PNG or binary PNM file as a uint8 array (H, W) or (H, W, C); ValueError if it is damaged or of a rarer kind."""
    try:
        return _decode_png(data) if data.startswith(_SIGNATURE) else _decode_pnm(data)
    except (struct.error, zlib.error, LookupError, OverflowError) as error:
        raise ValueError(f"the image is damaged ({error})") from None


def _decode_png(data: bytes) -> np.ndarray:
    chunks: dict[bytes, list[bytes]] = {}
    position = len(_SIGNATURE)
    while b"IEND" not in chunks:
        length, name = struct.unpack_from(">I4s", data, position)
        content = data[position + 8 : position + 8 + length]
        (check,) = struct.unpack_from(">I", data, position + 8 + length)
        if zlib.crc32(name + content) != check:
            raise ValueError(f"the image is damaged (checksum of {name!r})")
        chunks.setdefault(name, []).append(content)
        position += 12 + length
    width, height, depth, kind, compression, filters, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"][0])
    if not width or not height or depth not in _DEPTHS.get(kind, ()) or compression or filters:
        raise ValueError(f"the image is damaged (header {chunks[b'IHDR'][0].hex()})")
    if depth == 16 or interlaced:
        raise ValueError("PNG images of 16 bits or interlaced ones need Pillow")
    stride = -(-width * depth * _CHANNELS[kind] // 8)
    size = height * (stride + 1)
    pixels = width * height * (3 if kind == 3 else _CHANNELS[kind])
    check_announced(max(size, pixels), len(data), f"the image is damaged or a bomb: the size in its header, {width} x {height} pixels,")
    raw = zlib.decompressobj().decompress(b"".join(chunks[b"IDAT"]), size)
    if len(raw) != size:
        raise ValueError(f"the image is damaged ({len(raw)} of {size} bytes)")
    rows = _unfilter(np.frombuffer(raw, np.uint8).reshape(height, stride + 1), max(1, depth * _CHANNELS[kind] // 8))
    if depth < 8:
        bits = np.unpackbits(rows, axis=1).reshape(height, -1, depth)[:, :width]
        rows = np.packbits(bits, axis=2)[:, :, 0] >> (8 - depth)
        if kind == 0:
            rows = rows * (255 // (2**depth - 1))
    if kind == 3:
        return np.frombuffer(chunks[b"PLTE"][0], np.uint8).reshape(-1, 3)[rows]
    return rows.reshape((height, width) if _CHANNELS[kind] == 1 else (height, width, _CHANNELS[kind]))


def _unfilter(rows: np.ndarray, step: int) -> np.ndarray:
    """Undo each row's prediction from the pixel on the left, above, or both; bytes wrap around."""
    result = np.zeros((len(rows) + 1, rows.shape[1] - 1), np.uint8)
    for above, row, (kind, *_), coded in zip(result, result[1:], rows, rows[:, 1:], strict=False):
        if kind == 0:
            row[:] = coded
        elif kind == 1:
            for first in range(step):
                row[first::step] = np.cumsum(coded[first::step], dtype=np.uint8)
        elif kind == 2:
            row[:] = coded + above
        elif kind in (3, 4):
            row[:] = _predicted_from_both(kind, coded.tolist(), above.tolist(), step)
        else:
            raise ValueError(f"the image is damaged (filter {kind})")
    return result[1:]


def _predicted_from_both(kind: int, coded: list[int], above: list[int], step: int) -> list[int]:
    row: list[int] = []
    for position, (value, up) in enumerate(zip(coded, above, strict=True)):
        left, corner = (row[position - step], above[position - step]) if position >= step else (0, 0)
        if kind == 3:
            guess = (left + up) // 2
        else:  # Paeth: whichever of the three is nearest to left + up - corner
            guess = min(
                (abs(up - corner), 0, left), (abs(left - corner), 1, up), (abs(left + up - 2 * corner), 2, corner)
            )[2]
        row.append((value + guess) & 255)
    return row


def _decode_pnm(data: bytes) -> np.ndarray:
    fields: list[bytes] = []
    position = 0
    while len(fields) < 4:
        end = position
        while data[end : end + 1].strip() and data[end : end + 1] != b"#":
            end += 1
        if end > position:
            fields.append(data[position:end])
        elif end >= len(data):
            raise ValueError("this is neither a PNG nor a PNM image")
        position = data.index(b"\n", end) + 1 if data[end : end + 1] == b"#" else end + 1
    if fields[0] not in (b"P5", b"P6") or not all(field.isdigit() for field in fields[1:]) or fields[3] != b"255":
        raise ValueError("this is neither a PNG nor a binary PNM image of 8 bits")
    width, height, channels = int(fields[1]), int(fields[2]), 1 if fields[0] == b"P5" else 3
    if len(data) - position < width * height * channels:
        raise ValueError(f"the image is damaged ({len(data) - position} of {width * height * channels} bytes)")
    pixels = np.frombuffer(data, np.uint8, width * height * channels, position)
    return pixels.reshape((height, width) if channels == 1 else (height, width, channels))
