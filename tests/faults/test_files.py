"""Files from anywhere: what a fuzzer found once, what it finds in two seconds, and headers that lie."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import tarfile
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numgrad.serialization import FileFormatError, RefusedError, load, load_safetensors, save_safetensors
from numgrad.vision import png
from numgrad.vision.datasets import CIFAR10, archive, idx
from tests.faults.children import child
from tests.faults.loaders import KINDS, harmful, zipped

TAGS = {"F64": "f8", "F32": "f4", "F16": "f2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1", "U32": "u4", "U16": "u2", "U8": "u1", "BOOL": "?"}
WIDE = {"F16": "f4", "U16": "i4", "U32": "i8"}


def test_a_short_search(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    lines = [json.loads(line) for line in child("-m", "tests.faults.fuzzing", "*", "0", "60", str(tmp_path), NUMBA_DISABLE_JIT="1")]
    assert [line["kind"] for line in lines] == [kind.name for kind in KINDS]
    for line in lines:
        assert line["failures"] == {} and line["count"] >= 60 and line["lines"] >= 15, line


#: Readers that are wrong, each in another way; only the seeds are read.
PLANTED = """
import os, pickle, sys
from tests.faults import fuzzing, loaders
fuzzing.SECONDS = 0.2
def endless(data, folder):
    while True: pass
def large(data, folder):
    b"x" * 100_000_000
def elsewhere(data, folder):
    open(folder / ".." / ".." / "elsewhere", "wb").close()
def other(data, folder):
    {}[data]
def code(data, folder):
    pickle.loads(data)
loaders.KINDS[:] = [fuzzing.Kind(f.__name__, [loaders.harmful(2)[0]], f, ValueError) for f in (endless, large, elsewhere, other, code)]
os.chdir(sys.argv[1])
fuzzing.main("*", "0", "0", sys.argv[1])
"""


def test_readers_that_are_wrong_are_noticed(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    (tmp_path / "in").mkdir()
    lines = [json.loads(line) for line in child("-c", PLANTED, str(tmp_path / "in"), NUMBA_DISABLE_JIT="1")]
    told = {line["kind"]: " ".join(line["failures"]) for line in lines}
    for kind, words in {"endless": "more than 0.2 s", "large": "MB", "elsewhere": "did open", "other": "KeyError", "code": "did pickle.find_class"}.items():
        assert words in told[kind], told


# --- safetensors ---


def file(header: Any, data: bytes = b"") -> io.BytesIO:
    """A safetensors file of a header, an object or text."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return io.BytesIO(len(text).to_bytes(8, "little") + text + data)


def entry(dtype: str = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> dict[str, Any]:
    """What a header says of a tensor."""
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


LIES = {
    "nothing beside a huge size": entry(shape=[0, 2**63 - 1], offsets=[0, 0]),
    "sizes that overflow beside none": entry(shape=[2**62, 2**62, 0], offsets=[0, 0]),
    "bytes that overflow beside none": entry("F64", [2**60, 0], [0, 0]),
    "sizes whose product wraps around to none": entry(shape=[2**32, 2**32], offsets=[0, 0]),
    "sizes whose product wraps around": entry("U8", [2**32 + 1, 2**32 + 1], [0, (2**33 + 1) % 2**64]),
    "fractional offsets": entry(offsets=[0.0, 8.0]),
    "offsets that are truth values": entry("U8", [1], [False, True]),
    "offsets as text": entry(offsets=["0", "8"]),
    "offsets past all integers": entry(offsets=[2**64, 2**64 + 8]),
    "offsets as a mapping": entry(offsets={"0": 0, "1": 8}),
    "a shape that is no list": entry(shape=2),
    "a shape as text": entry(shape="2"),
    "nested sizes": entry(shape=[[2]]),
    "a size past all integers": entry(shape=[2**64], offsets=[0, 8]),
    "a dtype in small letters": entry("f32"),
    "a dtype of half a byte": entry("F4"),
}


@pytest.mark.parametrize("lie", LIES)
def test_headers_that_lie(lie: str) -> None:
    for read in (load, load_safetensors):
        with pytest.raises(FileFormatError, match="<BytesIO>: .*'a'"):
            read(file({"a": LIES[lie]}, bytes(8)))


@pytest.mark.parametrize("header", [
    b'{"a":1,"\\u0061":1}', b'{"__metadata__":{"k":"1","k":"2"}}', b'{"__metadata__":{},"__metadata__":{}}',
    b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"\\u0073hape":[2]}}', b"\xef\xbb\xbf{}", b'{"a":\xc0\x80}', b'{"\xed\xa0\x80":1}',
    b"{}x", b"{}{}", b"{" * 100_000, b'{"a":' * 100_000, b'{"a":-Infinity}', b'{"a":1e999}', b"{}\0", b"",
])  # fmt: skip
def test_headers_that_are_no_json_object(header: bytes) -> None:
    with pytest.raises(FileFormatError):
        load_safetensors(file(header))


def test_no_memory_is_spent_on_what_a_header_says() -> None:
    lies = [
        (99_999_999).to_bytes(8, "little") + b"{", file({"a": entry("U8", [2**50], [0, 2**50])}, bytes(9)).getvalue(),
        file({"a": entry("F64", [2**40], [0, 2**43])}, bytes(9)).getvalue(),
    ]  # fmt: skip
    for lie in lies:
        tracemalloc.start()
        with pytest.raises(FileFormatError, match="cut short"):
            load_safetensors(io.BytesIO(lie))
        assert tracemalloc.get_traced_memory()[1] < 200_000
        tracemalloc.stop()


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 1, 3)])
def test_safetensors_of_every_dtype_and_shape(tmp_path: Path, tag: str, shape: tuple[int, ...]) -> None:
    reference = pytest.importorskip("safetensors.numpy")
    array = (np.arange(np.prod(shape, dtype=int)) + 1).reshape(shape).astype(TAGS[tag])
    reference.save_file({"a": array}, tmp_path / "theirs")
    found = load_safetensors(tmp_path / "theirs", widen=True)["a"]
    wide = array.astype(WIDE.get(tag, TAGS[tag]))
    assert tuple(found.shape) == shape and found.numpy().dtype == wide.dtype and found.tolist() == wide.tolist()
    for value in (array, *([found] if tag not in WIDE else [])):  # an array of any of these dtypes is written, too
        save_safetensors({"a": value}, tmp_path / "ours", {"by": "us"})
        again = reference.load_file(tmp_path / "ours")["a"]
        assert again.shape == shape and again.dtype == array.dtype and again.tolist() == array.tolist()


def test_every_file_that_the_package_refuses_is_refused() -> None:
    safetensors, refused = pytest.importorskip("safetensors"), 0
    for lie in LIES.values():
        data = file({"a": lie}, bytes(8)).getvalue()
        try:
            safetensors.deserialize(data)
        except safetensors.SafetensorError:
            refused += 1
    assert refused >= 12  # and test_headers_that_lie sees each of them refused here


# --- what was found ---


def structured(structure: str, views: str = "{}") -> io.BytesIO:
    """A file of `save`, with eight bytes of truth values."""
    about = {"numgrad": "1", "structure": structure, "views": views}
    return file({"__metadata__": about, "a": entry("BOOL", [8])}, b"\0\1" * 4)


def test_truth_values_that_repeat_for_ever() -> None:
    for shape, strides in (([2**40], [0]), ([2] * 30, [0] * 30), ([3] * 30, [0] * 28 + [1, 2])):
        found = load(structured('{"tensor":"v"}', json.dumps({"v": ["a", "bool", shape, strides, 0]})))
        assert list(found.shape) == shape and list(found.stride()) == strides
    dense = load(structured('{"tensor":"v"}', '{"v":["a","bool",[4,4],[1,1],0]}'))
    assert dense.tolist() == [[bool((i + j) % 2) for j in range(4)] for i in range(4)]


@pytest.mark.parametrize("structure", ['{"numpy":["float32",{"tensor":"a"}]}', '{"numpy":["float32",[1,2]]}', '{"tensor":"a","requires_grad":5}', '{"dtype":"testing"}'])
def test_structures_that_stand_for_nothing(structure: str) -> None:
    with pytest.raises(FileFormatError, match="structure is damaged"):
        load(structured(structure))


#: A tuple of a tuple of a tuple ..., each twice: a hundred bytes that have 2**40 places.
TWICE = b"\x80\x02)q\x000" + b"".join(b"h" + bytes([n]) + b"h" + bytes([n]) + b"\x86q" + bytes([n + 1]) + b"0" for n in range(40)) + b"h\x28"
LISTS = b"\x80\x02]q\x000" + b"".join(b"](h" + bytes([n]) + b"h" + bytes([n]) + b"eq" + bytes([n + 1]) + b"0" for n in range(40)) + b"h\x28"


def test_tuples_within_tuples_take_no_time(tmp_path: Path) -> None:
    for program in (TWICE + b"K\x01\x86.", TWICE + b"ctorch\nfloat32\n\x86."):
        load(io.BytesIO(zipped(program)))
    for words, program in (
        ("more than 1000 parts", b"\x80\x02}" + TWICE[2:] + b"K\x01s."), ("refers to", TWICE + b"Q."), ("encodes", b"c_codecs\nencode\n" + b"X\x00\x00\x00\x00" + TWICE[2:] + b"\x86R."),
        ("more than 1000 parts", b"\x80\x02c__builtin__\nset\n](" + TWICE[2:] + b"e\x85R."), ("more than 1000 parts", b"\x80\x04(" + TWICE[2:] + b"\x91."),
    ):  # fmt: skip
        with pytest.raises(FileFormatError, match=words):
            load(io.BytesIO(zipped(program)))
    labels = b"\x80\x02}(X\x04\x00\x00\x00dataX\x00\x00\x00\x00X\x06\x00\x00\x00labels" + LISTS[2:] + b"u."
    (tmp_path / "test_batch").write_bytes(labels)
    with pytest.raises(RuntimeError, match="uint8 array"):
        CIFAR10(tmp_path, train=False)


def test_the_same_part_many_times() -> None:
    text = b"\x80\x02X\x00\x20\x00\x00" + b"a" * 8192 + b"q\x00]("
    for call in (b"c__builtin__\nbytearray\nh\x00\x85R", b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R"):
        with pytest.raises(FileFormatError, match="far more than it has"):
            load(io.BytesIO(zipped(text + call * 2000 + b"e.")))


def test_places_that_are_far_away(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"\x80\x02]r\xff\xff\xff\xff.")
    assert archive.load_plain(str(tmp_path / "data")) == []  # the standard library's reader would take 64 GB for this


@pytest.mark.parametrize("shape", [(0, 2**32 - 1, 2**32 - 1), (2**32 - 1, 2**32 - 1, 0)])
def test_idx_of_no_bytes_and_endless_sizes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    (tmp_path / "images").write_bytes(struct.pack(">HBB3I", 0, 8, 3, *shape))
    with pytest.raises(RuntimeError, match="announces the shape"):
        idx.read(str(tmp_path / "images"), 3)


def picture(width: int, height: int, *rest: int, rows: bytes = b"\0" * 10) -> bytes:
    """A PNG with any header."""
    header = struct.pack(">IIBBBBB", width, height, *rest)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png._chunk(*chunk) for chunk in chunks)


@pytest.mark.parametrize("header", [
    (2**32 - 1, 2**32 - 1, 8, 6, 0, 0, 0), (0, 5, 8, 2, 0, 0, 0), (5, 0, 8, 2, 0, 0, 0), (1, 1, 0, 2, 0, 0, 0), (1, 1, 3, 0, 0, 0, 0),
    (1, 1, 32, 0, 0, 0, 0), (1, 1, 4, 2, 0, 0, 0), (1, 1, 8, 5, 0, 0, 0), (1, 1, 8, 0, 1, 0, 0), (1, 1, 8, 0, 0, 1, 0),
])  # fmt: skip
def test_headers_of_images_that_cannot_be(header: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="the image is damaged .*(header)"):
        png.decode(picture(*header))


def test_an_image_in_many_chunks() -> None:
    whole = picture(3, 2, 8, 0, 0, 0, 0, rows=b"\0abc\0def")
    start = whole.index(b"IDAT") - 4
    data = zlib.compress(b"\0abc\0def")
    many = b"".join(png._chunk(b"IDAT", data[n : n + 1]) for n in range(len(data)))
    assert png.decode(whole[:start] + many + png._chunk(b"IEND", b"")).tobytes() == b"abcdef"


def test_sparse_members_are_left_alone(tmp_path: Path) -> None:
    member = tarfile.TarInfo("batch/test_batch")
    member.type, member.size = tarfile.GNUTYPE_SPARSE, 512
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    block[386:410], block[483:495] = b"00000000000\0" + b"00000001000\0", b"07777777777\0"  # a gigabyte, of which 512 bytes are there
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 8 * 32 + sum(block[156:]))
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as made:
        made.fileobj.write(bytes(block) + bytes(512 * 3))  # type: ignore[union-attr]
    with tarfile.open(tmp_path / "a.tar.gz") as made:
        (found,) = made.getmembers()
    assert found.issparse() and found.size == 2**30 - 1
    archive.unpack(str(tmp_path / "a.tar.gz"), str(tmp_path), "batch", {"test_batch"})
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_code_in_pickles_is_refused_everywhere(tmp_path: Path, protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for program in harmful(protocol):
        with pytest.raises(FileFormatError):
            load(io.BytesIO(zipped(program)))
        (tmp_path / "test_batch").write_bytes(program)
        with pytest.raises(RuntimeError, match="test_batch is damaged"):
            CIFAR10(tmp_path, train=False)
        assert not (tmp_path / "made-by-a-pickle").exists()
    with pytest.raises(RefusedError, match=r"asks for (posix|nt)\.mkdir, .* runs no code"):
        load(io.BytesIO(zipped(harmful(protocol)[0])))


def test_plain_data_of_every_kind(tmp_path: Path) -> None:
    plain = {"a": (1, (2.5, [np.float32(3)])), b"b": {1, 2}, 3: frozenset([4]), "c": np.arange(6, dtype=">i2").reshape(2, 3).T, "d": bytearray(b"x"), "e": 2**70}
    for protocol in range(6):
        (tmp_path / "data").write_bytes(pickle.dumps(plain, protocol))
        found = archive.load_plain(str(tmp_path / "data"))
        assert found.pop("c").tolist() == [[0, 3], [1, 4], [2, 5]]
        assert found == {key: value for key, value in plain.items() if key != "c"}, protocol


def test_members_of_endless_size(tmp_path: Path) -> None:
    block = bytearray(tarfile.TarInfo("batch/other").tobuf(tarfile.GNU_FORMAT))
    block[124:136] = b"\x80" + (2**80).to_bytes(11, "big")
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 8 * 32 + sum(block[156:]))
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(bytes(block) + bytes(1024)))
    with pytest.raises(RuntimeError, match=r"a\.tar\.gz is damaged"):
        archive.unpack(str(tmp_path / "a.tar.gz"), str(tmp_path), "batch", {"test_batch"})
