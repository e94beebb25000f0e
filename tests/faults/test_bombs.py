"""Small files that would unpack to endless ones: refused before memory, disk or time is spent on them."""

from __future__ import annotations

import copy
import gzip
import io
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numgrad
from numgrad.serialization import FileFormatError, load, load_safetensors, save_torch
from numgrad.vision import limits, png
from numgrad.vision.datasets import CIFAR10, MNIST, archive, idx
from tests.faults.test_files import picture

ZEROS = bytes(1 << 22)
WANTED = {"test_batch", "data_batch_1"}


def spent(work: Callable[[], Any]) -> int:
    """The most bytes that were taken at a time."""
    tracemalloc.start()
    try:
        work()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def refused(error: type[Exception], words: str, work: Callable[[], Any], room: int = 1 << 20) -> None:
    """`work` must be refused in these words, and take little memory."""

    def tried() -> None:
        with pytest.raises(error, match=words):
            work()

    assert spent(tried) < room


@pytest.fixture
def low(monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte for any file, so that bombs may be small here."""
    monkeypatch.setattr(limits, "_FLOOR", 1 << 20)


# --- IDX ---


@pytest.mark.parametrize("shape", [(2**28 + 1,), (2**33,), (2**31 - 1,)])
def test_images_that_a_file_of_this_size_cannot_hold(tmp_path: Path, shape: tuple[int]) -> None:
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(struct.pack(">HBB", 0, 8, 1) + struct.pack(">I", min(shape[0], 2**32 - 1)) + ZEROS))
    refused(RuntimeError, r"labels\.gz is damaged .* takes \d+ bytes, but a compressed file of \d+ bytes may unpack to 268435456 at most", lambda: idx.read(str(path), 1))


def test_more_than_the_header_of_images_says_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(struct.pack(">HBBI", 0, 8, 1, 5) + ZEROS))
    refused(RuntimeError, r"the shape \(5,\) takes 5 bytes, but there are more", lambda: idx.read(str(path), 1), 1 << 18)
    path.write_bytes(gzip.compress(struct.pack(">HBBI", 0, 8, 1, 5) + b"12345") + gzip.compress(ZEROS))  # two streams are one file
    refused(RuntimeError, "there are more", lambda: idx.read(str(path), 1), 1 << 18)


def test_images_as_announced_that_are_a_bomb(tmp_path: Path, low: None) -> None:
    for folder, content in (("bomb", ZEROS), ("true", np.random.default_rng(0).bytes(len(ZEROS)))):
        place = tmp_path / folder
        place.mkdir()
        (place / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(struct.pack(">HBB3I", 0, 8, 3, 64, 256, 256) + content, 1))
        (place / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(struct.pack(">HBBI", 0, 8, 1, 64) + bytes(64)))
    refused(RuntimeError, r"may unpack to \d+ at most", lambda: MNIST(tmp_path / "bomb"))
    assert MNIST(tmp_path / "true").data.shape == (64, 256, 256)  # what does not compress has no limit
    (tmp_path / "plain").write_bytes(struct.pack(">HBBI", 0, 8, 1, len(ZEROS)) + ZEROS)
    assert idx.read(str(tmp_path / "plain"), 1).shape == (len(ZEROS),)


# --- archives ---


def tar(path: Path, *members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> None:
    """A .tar.gz of members."""
    with tarfile.open(path, "w:gz", compresslevel=6) as made:
        for name, content in members:
            member = tarfile.TarInfo(f"batch/{name}")
            member.type, member.size = kind, len(content)
            made.fileobj.write(member.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512))  # type: ignore[union-attr]
            made.offset += 512 + -(-len(content) // 512) * 512


BOMBS: dict[str, list[tuple[str, bytes]]] = {
    "a wanted one": [("data_batch_1", b"right"), ("test_batch", ZEROS)],
    "one that nobody wants": [("data_batch_1", b"right"), ("other", ZEROS), ("test_batch", b"right")],
    "many small ones": [("data_batch_1", b"right"), *(("other", ZEROS[: 1 << 16]) for _ in range(40)), ("test_batch", b"right")],
    "behind the last": [("data_batch_1", b"right"), ("test_batch", b"right"), ("other", ZEROS)],
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_archives_that_are_bombs(bomb: str, tmp_path: Path, low: None) -> None:
    tar(tmp_path / "a.tar.gz", *BOMBS[bomb])
    words = r"a\.tar\.gz is damaged: what it holds .*takes \d+ bytes, but a compressed file of \d+ bytes may unpack to 1048576 at most"
    refused(RuntimeError, words, lambda: archive.unpack(str(tmp_path / "a.tar.gz"), str(tmp_path), "batch", WANTED))
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]  # the members before it are not there either


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_headers_of_archives_that_are_bombs(kind: bytes, tmp_path: Path) -> None:
    tar(tmp_path / "a.tar.gz", ("test_batch", ZEROS), kind=kind)
    words = r"a\.tar\.gz is damaged: a header of \d+ bytes is announced"
    refused(RuntimeError, words, lambda: archive.unpack(str(tmp_path / "a.tar.gz"), str(tmp_path), "batch", WANTED))


def test_an_archive_that_ends_in_a_bomb(tmp_path: Path, low: None) -> None:
    tar(tmp_path / "a.tar.gz", ("test_batch", b"right"))
    with open(tmp_path / "a.tar.gz", "ab") as file:
        file.write(gzip.compress(ZEROS))  # behind the archive's end mark: nobody reads it
    room = spent(lambda: archive.unpack(str(tmp_path / "a.tar.gz"), str(tmp_path), "batch", WANTED))
    assert (tmp_path / "batch" / "test_batch").read_bytes() == b"right" and room < 1 << 20


def test_a_failed_archive_leaves_a_folder_as_it_was(tmp_path: Path, low: None) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(b"before")
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as made:
        for name, content in (("test_batch", b"after"), ("data_batch_1", ZEROS)):
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    with pytest.raises(RuntimeError, match=r"cifar-10-python\.tar\.gz is damaged"):
        CIFAR10(tmp_path)
    (found,) = (tmp_path / "cifar-10-batches-py").iterdir()
    assert found.read_bytes() == b"before"


def test_the_first_member_of_a_name_counts(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar.gz", *(("test_batch", str(n).encode()) for n in range(2000)))  # and none is kept open beside it
    archive.unpack(str(tmp_path / "a.tar.gz"), str(tmp_path), "batch", WANTED)
    assert (tmp_path / "batch" / "test_batch").read_bytes() == b"0"


# --- checkpoints ---


def deflated(entries: dict[str, bytes]) -> io.BytesIO:
    """A zip archive, compressed."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in entries.items():
            made.writestr(name, content)
    file.seek(0)
    return file


def test_compressed_checkpoints_are_refused_unread() -> None:
    for entries in ({"archive/data.pkl": ZEROS}, {"archive/data.pkl": b"", "archive/byteorder": ZEROS}):
        file = deflated(entries)
        refused(FileFormatError, "is compressed, which torch.save does not do", lambda file=file: load(file))
    arrays = io.BytesIO()
    np.savez_compressed(arrays, a=np.zeros(1 << 22))
    for read in (load, load_safetensors):
        arrays.seek(0)
        refused(FileFormatError, "zip archive|torch.save", lambda read=read: read(arrays))


def test_entries_of_a_checkpoint_that_lie_on_each_other() -> None:
    whole, file = io.BytesIO(), io.BytesIO()
    save_torch([numgrad.zeros(1 << 18) + n for n in range(8)], whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(file, "w") as made:
        for name in ("data.pkl", "byteorder", "data/0"):
            made.writestr(f"archive/{name}", source.read(f"archive/{name}"))
        for n in range(1, 8):  # every block is where the first is
            again = copy.copy(made.getinfo("archive/data/0"))
            again.filename = f"archive/data/{n}"
            made.filelist.append(again)
    assert len(file.getvalue()) < 9 << 17
    file.seek(0)
    refused(FileFormatError, "not what torch.save writes, or damaged|more data than it has", lambda: load(file), 6 << 20)


# --- images ---


def test_pictures_that_are_bombs(low: None) -> None:
    for header in ((4096, 4096, 8, 6, 0, 0, 0), (8192, 8192, 1, 3, 0, 0, 0), (2**20, 2, 8, 0, 0, 0, 0)):
        bomb = picture(*header, rows=ZEROS)
        refused(ValueError, r"or a bomb: the size in its header, \d+ x \d+ pixels, takes \d+ bytes, but .* may unpack to 1048576 at most", lambda bomb=bomb: png.decode(bomb))
    size = 600
    rows = b"".join(b"\0" + np.random.default_rng(row).bytes(3 * size) for row in range(size))
    assert len(rows) > 1 << 20 and png.decode(picture(size, size, 8, 2, 0, 0, 0, rows=rows)).shape == (size, size, 3)
    more = picture(2, 2, 8, 0, 0, 0, 0, rows=b"\0ab\0cd" + ZEROS)
    assert spent(lambda: png.decode(more)) < 1 << 18
