"""What reads files from anywhere, as kinds for `fuzzing`: small valid files of each, and the one exception that is documented."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

import numgrad
from numgrad.serialization import FileFormatError, load, load_safetensors, save, save_safetensors, save_torch
from numgrad.vision import datasets, png
from numgrad.vision.datasets import archive, idx

from .fuzzing import Kind

WANTED = {"test_batch", "data_batch_1"}


def written(write: Any, *arguments: Any) -> bytes:
    """What a function writes to the file it is given."""
    file = io.BytesIO()
    write(*arguments[:1], file, *arguments[1:])
    return file.getvalue()


# --- checkpoints ---


def state() -> list[Any]:
    """Objects with all that a checkpoint may have."""
    weight = numgrad.arange(6.0).reshape(2, 3)
    model = OrderedDict(weight=numgrad.nn.Parameter(weight), turned=weight.t(), mask=weight > 2)
    return [
        {"model": model, "epoch": 3, "rate": 0.5, "big": 2**70, "name": "ä", "raw": b"\xff", "pair": (1, None, True)},
        [weight, weight[:, 1:], weight[0].expand(4, 3), numgrad.zeros(0, 2).double(), numgrad.ones((), dtype=numgrad.int16), numgrad.Size((2,))],
        {"dtype": numgrad.int8, "device": numgrad.device("cpu"), "nan": float("nan"), "flags": (weight > 1)[:, ::2], (1, "k"): [[], {}]},
    ]


def read_any(data: bytes, _: Path) -> Any:
    """A file of any of the formats that `load` knows."""
    return load(io.BytesIO(data))


def read_safetensors(data: bytes, _: Path) -> Any:
    """Tensors alone, of every dtype."""
    return load_safetensors(io.BytesIO(data), widen=True)


def lengthened(data: bytes) -> bytes:
    """Bytes with the length of the JSON that they begin with before them."""
    return (data.rindex(b"}") + 1).to_bytes(8, "little") + data


def halves() -> bytes:
    """A file with tensors of the dtypes that are widened."""
    header = b'{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"F16","shape":[],"data_offsets":[4,6]}'
    header += b',"c":{"dtype":"U32","shape":[1,1],"data_offsets":[6,10]},"__metadata__":{"by":"hand"}}'
    return len(header).to_bytes(8, "little") + header + bytes(range(10))


def zipped(pickled: bytes) -> bytes:
    """A pickle as torch.save's archives have it, beside two blocks of memory."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name, content in {"data.pkl": pickled, "byteorder": b"little", "data/0": bytes(range(24)), "data/1": bytes(6), "data/2": b""}.items():
            made.writestr(f"archive/{name}", content)
    return file.getvalue()


def unzipped(data: bytes) -> bytes:
    """The pickle in one of torch.save's archives."""
    return zipfile.ZipFile(io.BytesIO(data)).read("archive/data.pkl")


def old_checkpoint() -> bytes:
    """A file as PyTorch wrote them before 1.6, with one tensor."""
    program = b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
    program += b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04NtQK\x00K\x02K\x02\x86K\x02K\x01\x86\x89ccollections\nOrderedDict\n)RtRs."
    parts = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    return b"".join([*parts, program, pickle.dumps(["0"], 2), struct.pack("<q", 4), bytes(16)])


# --- data sets ---


def idx_bytes(*shape: int) -> bytes:
    """An IDX file of bytes."""
    return struct.pack(">HBB", 0, 8, len(shape)) + struct.pack(f">{len(shape)}I", *shape) + bytes(n % 10 for n in range(int(np.prod(shape))))


def read_idx(data: bytes, folder: Path) -> Any:
    """Images, or else labels."""
    path = folder / ("images.gz" if data[:2] == b"\x1f\x8b" else "images")
    path.write_bytes(data)
    try:
        return idx.read(str(path), 3)
    except RuntimeError:
        return idx.read(str(path), 1)


def read_cifar(data: bytes, folder: Path) -> Any:
    """A pickled batch."""
    (folder / "test_batch").write_bytes(data)
    return datasets.CIFAR10(folder, train=False)


def read_binary(data: bytes, folder: Path) -> Any:
    """A batch of CIFAR-100's records."""
    (folder / "test.bin").write_bytes(data)
    return datasets.CIFAR100(folder, train=False)


class Harm:
    """What a reader that runs code would make a folder of."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("made-by-a-pickle",)


def harmful(protocol: int) -> list[bytes]:
    """Pickles that ask for code, each in another way."""
    array = np.array([Harm()], dtype=object)
    plain = [Harm(), array, np.dtype([("a", "O")]), Path("a"), print, np.load, {"data": array, "labels": [0]}, slice(1), datasets.CIFAR10, np.ma.zeros(1)]
    return [*(pickle.dumps(value, protocol) for value in plain), *PROGRAMS]


PROGRAMS = [
    b"cos\nsystem\n(S'exit 1'\ntR.", b"(S'exit 1'\nios\nsystem\n.", b"(cos\nsystem\nS'exit 1'\no.", b"cbuiltins\neval\n(S'1'\ntR.",
    b"\x80\x02cbuiltins\nobject\n)\x81.", b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04exit\x85R.", b"\x80\x02\x82\x01.", b"\x80\x02X\x01\x00\x00\x00aQ.",
    b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I1\ntS'O'\ntR.", b"cnumpy\ndtype\n(S'O'\nI0\nI1\ntR.", b"cnumpy\nndarray\n((I1\ntS'O'\ntR.",
    b"ctorch\n_utils\n.", b"ctorch.nn.modules.linear\nLinear\n(K\x01K\x01tR.", b"c__main__\nKIND\n.", b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n.",
]  # fmt: skip


def batches() -> list[bytes]:
    """Pickled batches of one image and of none, of several protocols."""
    one, none = np.arange(3072).astype(np.uint8).reshape(1, -1), np.zeros((0, 3072), np.uint8)
    found = [pickle.dumps({"data": none, "labels": [], "filenames": ["a.png"], b"batch_label": b"1 of 5"}, protocol) for protocol in (0, 2, 4, 5)]
    found.append(pickle.dumps({"data": none, "labels": np.zeros(0, int), "more": (np.float32(2), {1, 2}, {"a": (None, True)})}, 2))
    return [*found, pickle.dumps({b"data": one, b"labels": [np.int64(3)]}, 3)]


def tar(*members: tuple[str, bytes, bytes]) -> bytes:
    """An archive of members: a name, a type, and the content or what a link points to."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as made:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            if kind == tarfile.REGTYPE:
                member.size = len(content)
            else:
                member.linkname = content.decode()
            made.addfile(member, io.BytesIO(content))
    return file.getvalue().rstrip(b"\0") + bytes(1024)


TARS = [
    tar(("batch/test_batch", tarfile.REGTYPE, b"content"), ("batch/other", tarfile.REGTYPE, b"x")),
    tar(("../test_batch", tarfile.REGTYPE, b"up"), ("/batch/test_batch", tarfile.REGTYPE, b"root"), ("batch/../../data_batch_1", tarfile.REGTYPE, b"u")),
    tar(("batch/test_batch", tarfile.SYMTYPE, b"../../out"), ("batch", tarfile.SYMTYPE, b".."), ("batch/data_batch_1", tarfile.LNKTYPE, b"../out")),
    tar(("batch/" + "long" * 40, tarfile.REGTYPE, b"y"), ("batch/test_batch", tarfile.CHRTYPE, b""), ("batch/data_batch_1", tarfile.FIFOTYPE, b"")),
]


def summed(data: bytes) -> bytes:
    """An archive whose members' checksums are right again, compressed."""
    blocks = [data[place : place + 512] for place in range(0, len(data), 512)]
    for number, block in enumerate(blocks):
        if block[257:262] == b"ustar":
            plain = block[:148] + b" " * 8 + block[156:]
            blocks[number] = block[:148] + b"%06o\0 " % sum(plain) + block[156:]
    return gzip.compress(b"".join(blocks), 1, mtime=0)


def read_tar(data: bytes, folder: Path) -> Any:
    """Unpack an archive; AssertionError if it wrote anything but what was wanted."""
    place = folder / "tar" / "root"
    shutil.rmtree(folder / "tar", ignore_errors=True)
    place.mkdir(parents=True)
    (folder / "tar.gz").write_bytes(data)
    try:
        archive.unpack(str(folder / "tar.gz"), str(place), "batch", WANTED)
    finally:
        found = {str(path.relative_to(folder / "tar")) for path in (folder / "tar").rglob("*")}
        allowed = {"root", "root/batch", *(f"root/batch/{name}" for name in WANTED)}
        links = [path for path in (folder / "tar").rglob("*") if path.is_symlink()]
        if found - allowed or links:
            raise AssertionError(f"it wrote {found - allowed or links}")


# --- images ---


def read_image(data: bytes, _: Path) -> Any:
    """A PNG or PNM image, by the package itself."""
    return png.decode(data)


def checked(data: bytes) -> bytes:
    """A PNG whose chunks' checksums are right again."""
    place, parts = 8, [data[:8]]
    while place + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        content = data[place + 4 : place + 8 + length]
        parts += [data[place : place + 4], content, struct.pack(">I", zlib.crc32(content))]
        place += 12 + length
    return b"".join(parts)


def packed(data: bytes) -> bytes:
    """A PNG of a header, a palette, and rows that are compressed here."""
    header, rows = data[:13], data[13:]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png._chunk(*chunk) for chunk in ((b"IHDR", header), (b"PLTE", bytes(12)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")))


def pngs() -> list[bytes]:
    """Small images of every number of channels."""
    return [png.encode(np.arange(12 * channels, dtype=np.uint8).reshape(3, 4, channels)) for channels in (1, 2, 3, 4)]


ROWS = [struct.pack(">IIBBBBB", 4, 5, depth, kind, 0, 0, 0) + bytes(range(5)) * 17 for depth, kind in ((8, 0), (1, 0), (4, 3), (8, 2), (8, 4), (8, 6))]
PNMS = [b"P6\n# a comment\n2 2\n255\n" + bytes(12), b"P5 3 2 255\n" + bytes(6)]


def kinds() -> list[Kind]:
    """Every kind of file. Where a format has checksums or is compressed, there is a kind beside it in which these are right."""
    saved, torch = [written(save, value) for value in state()], [written(save_torch, value) for value in state()]
    tensors = [written(save_safetensors, {"a": numgrad.ones(2, 3), "b": numgrad.arange(3) > 1, "c": numgrad.zeros(0, 2)}, {"by": "us"}), halves()]
    images, found = [idx_bytes(3, 2, 2), idx_bytes(5), idx_bytes(0, 28, 28)], RuntimeError
    return [
        Kind("save", saved, read_any, FileFormatError),
        Kind("save, length right", [data[8:] for data in saved], read_any, FileFormatError, lengthened),
        Kind("safetensors", tensors, read_safetensors, FileFormatError),
        Kind("safetensors, length right", [data[8:] for data in tensors], read_safetensors, FileFormatError, lengthened),
        Kind("torch.save", torch, read_any, FileFormatError),
        Kind("torch.save, pickle alone", [unzipped(data) for data in torch], read_any, FileFormatError, zipped),
        Kind("torch.save, pickles with code", harmful(2), read_any, FileFormatError, zipped),
        Kind("torch.save before 1.6", [old_checkpoint()], read_any, FileFormatError),
        Kind("IDX", images, read_idx, found),
        Kind("IDX, gzipped", [gzip.compress(data, mtime=0) for data in images], read_idx, found),
        Kind("IDX, gzipped after", images, read_idx, found, lambda data: gzip.compress(data, 1, mtime=0)),
        Kind("CIFAR, pickled", batches(), read_cifar, found),
        Kind("CIFAR, pickles with code", [*harmful(0), *harmful(4)], read_cifar, found),
        Kind("CIFAR, binary", [bytes(3074), b"\x01\x09" + bytes(3072) * 2], read_binary, found),
        Kind("tar", [gzip.compress(data, mtime=0) for data in TARS], read_tar, found),
        Kind("tar, checksums right", TARS, read_tar, found, summed),
        Kind("PNG", pngs(), read_image, ValueError),
        Kind("PNG, checksums right", pngs(), read_image, ValueError, checked),
        Kind("PNG, compressed after", ROWS, read_image, ValueError, packed),
        Kind("PNM", PNMS, read_image, ValueError),
    ]


KINDS = kinds()
