"""PyTorch's files: read without it and without running code, and written so that it reads them.

The files are made here, with Python's own pickle and modules that only bear PyTorch's names.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numgrad
from numgrad import nn
from numgrad.serialization import FileFormatError, RefusedError, load, load_safetensors, save_torch

MAGIC, VERSION, MACHINE = 0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}


def _module(name: str, **contents: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    for key, value in contents.items():
        if hasattr(value, "__module__"):
            value.__module__, value.__qualname__, value.__name__ = name, key, key
        setattr(module, key, value)
    return module


def _function() -> Any:
    return lambda *arguments: None


STORAGES = {n: type(n, (), {}) for n in ("FloatStorage", "DoubleStorage", "LongStorage", "HalfStorage", "BFloat16Storage",
                                         "BoolStorage", "UntypedStorage", "ComplexFloatStorage")}  # fmt: skip
UTILS = {n: _function() for n in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter", "_rebuild_qtensor")}


class Bits:
    """A dtype as PyTorch pickles one: by its name alone."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> str:
        return self.name


DTYPES = {n: Bits(n) for n in ("float64", "uint16", "float16")}
TORCH = {
    "torch": _module("torch", Size=type("Size", (tuple,), {}), **STORAGES),
    "torch._utils": _module("torch._utils", **UTILS),
}


class Block:
    """Memory in a file, and how its elements are called."""

    def __init__(self, data: Any, kind: str = "Float", count: int | None = None) -> None:
        self.bytes = data if isinstance(data, bytes) else np.asarray(data).tobytes()
        width = {"Float": 4, "Double": 8, "Long": 8, "Half": 2, "BFloat16": 2, "Bool": 1, "Untyped": 1, "ComplexFloat": 8}[kind]
        self.kind, self.count = kind, len(self.bytes) // width if count is None else count


class Call:
    """What PyTorch's pickles call to make something."""

    def __init__(self, name: str, *arguments: Any) -> None:
        self.function, self.arguments = UTILS[name], arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


def tensor(block: Block, *size: int, stride: Any = None, offset: int = 0, requires_grad: bool = False) -> Call:
    steps = tuple(int(np.prod(size[i + 1 :])) for i in range(len(size))) if stride is None else stride
    return Call("_rebuild_tensor_v2", block, offset, size, steps, requires_grad, OrderedDict())


def pickled(value: Any, protocol: int, blocks: list[Block], legacy: bool = False) -> bytes:
    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: Any) -> Any:
            if not isinstance(obj, Block):
                return None
            if obj not in blocks:
                blocks.append(obj)
            place = ("storage", STORAGES[obj.kind + "Storage"], str(blocks.index(obj)), "cuda:0", obj.count)
            return (*place, None) if legacy else place

    written = io.BytesIO()
    before = {name: sys.modules.get(name) for name in TORCH}
    for name, d in DTYPES.items():
        setattr(TORCH["torch"], name, d)
    sys.modules.update(TORCH)
    try:
        Bits.__module__ = "torch"
        Pickler(written, protocol).dump(value)
    finally:
        Bits.__module__ = __name__
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    return written.getvalue()


def archive(value: Any, protocol: int = 2, *, place: str = "model/", compressed: bool = False, big: bool = False, **more: bytes) -> io.BytesIO:
    blocks: list[Block] = []
    data = value if isinstance(value, bytes) else pickled(value, protocol, blocks)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as file:
        file.writestr(f"{place}data.pkl", data)
        file.writestr(f"{place}byteorder", "big" if big else "little")
        for i, block in enumerate(blocks):
            file.writestr(f"{place}data/{i}", block.bytes)
        for name, content in more.items():
            file.writestr(f"{place}{name}.pkl", content)
    written.seek(0)
    return written


def legacy(value: Any) -> io.BytesIO:
    blocks: list[Block] = []
    parts = [pickle.dumps(part, 2) for part in (MAGIC, VERSION, MACHINE)]
    parts += [pickled(value, 2, blocks, legacy=True), pickle.dumps([str(i) for i in range(len(blocks))], 2)]
    for block in blocks:
        parts += [block.count.to_bytes(8, "little"), block.bytes]
    return io.BytesIO(b"".join(parts))


WRITERS = [lambda value, p=p: archive(value, p) for p in range(2, 6)] + [legacy]


@pytest.mark.parametrize("write", WRITERS, ids=["protocol 2", "protocol 3", "protocol 4", "protocol 5", "legacy"])
def test_values_arrive(write: Any) -> None:
    block = Block(np.arange(6, dtype=np.float32))
    state = OrderedDict(weight=tensor(block, 2, 3), turned=tensor(block, 3, 2, stride=(1, 3)), part=tensor(block, 2, 2, stride=(3, 1), offset=1))
    state._metadata = {"": {"version": 1}}  # type: ignore[attr-defined]
    ids = tensor(Block(np.array([1, 2, 3]), "Long"), 3)
    saved = {
        "model": state, "tied": Call("_rebuild_parameter", state["weight"], True, OrderedDict()), "ids": ids, "again": ids,
        "scalar": tensor(Block(np.float64(2.5), "Double"), requires_grad=True), "none": tensor(Block(b""), 0, 3),
        "flags": tensor(Block(np.array([True, False]), "Bool"), 2), "size": TORCH["torch"].Size((1, 2)),
        "plain": [1, -1, 2.5, None, True, "ä", b"\xff", (), (1, (2,)), {3}, 2**70, 300, complex(1, 2), bytearray(b"a")],
        "adam": {"state": {0: {"step": tensor(Block(np.float32(7)))}}, "param_groups": [{"betas": (0.9, 0.999), "params": [0]}]},
    }  # fmt: skip
    found = load(write(saved))
    model = found["model"]
    assert type(model) is OrderedDict and model._metadata == {"": {"version": 1}} and list(model) == ["weight", "turned", "part"]
    assert model["weight"].tolist() == [[0, 1, 2], [3, 4, 5]] and model["weight"].dtype == numgrad.float32
    assert model["turned"].tolist() == [[0, 3], [1, 4], [2, 5]] and model["turned"].stride() == (1, 3)
    assert model["part"].tolist() == [[1, 2], [4, 5]]
    assert type(found["tied"]) is nn.Parameter and found["tied"].requires_grad and found["ids"] is found["again"]
    found["tied"].data[1, 2] = 9
    assert model["weight"][1, 2] == 9 and model["turned"][2, 1] == 9 and model["part"][1, 1] == 9
    assert found["scalar"].item() == 2.5 and found["scalar"].shape == () and found["scalar"].requires_grad
    assert found["none"].shape == (0, 3) and found["flags"].tolist() == [True, False] and found["ids"].tolist() == [1, 2, 3]
    assert found["size"] == numgrad.Size((1, 2)) and type(found["size"]) is numgrad.Size
    assert found["plain"] == saved["plain"] and found["adam"]["state"][0]["step"].item() == 7
    assert found["adam"]["param_groups"] == [{"betas": (0.9, 0.999), "params": [0]}]


@pytest.mark.parametrize("write", WRITERS[::4], ids=["zip", "legacy"])
def test_half_precision(write: Any) -> None:
    values = np.array([1.5, -2, 0.25, np.inf], np.float32)
    block = Block(values.astype(np.float16), "Half")
    saved = [tensor(block, 4), tensor(block, 2, stride=(2,)), tensor(Block((values.view(np.uint32) >> 16).astype(np.uint16), "BFloat16"), 4)]
    half, part, brain = load(write(saved))
    assert half.dtype is numgrad.float16 and brain.dtype is numgrad.bfloat16 and half.tolist() == brain.tolist() == values.tolist()
    half[0] = 7
    assert part.tolist() == [7, 0.25]


def test_other_orders_of_bytes_and_newer_types(tmp_path: Path) -> None:
    path = tmp_path / "file.pt"
    path.write_bytes(archive([tensor(Block(np.array([1.5, 2], ">f8"), "Double"), 2), DTYPES["float64"]], big=True).getvalue())
    found, dtype = load(path, map_location="cpu", weights_only=True)
    assert found.tolist() == [1.5, 2] and dtype is numgrad.float64
    short = Call("_rebuild_tensor_v3", Block(np.array([65535], np.uint16), "Untyped"), 0, (1,), (1,), False, OrderedDict(), DTYPES["uint16"])
    assert load(archive(short)).tolist() == [65535]


class Harm:
    """A pickle of this creates a file where it is opened by a reader that runs code."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("write", WRITERS[::4], ids=["zip", "legacy"])
def test_no_code_is_run(write: Any, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"posix.mkdir|nt.mkdir"):
        load(write({"a": Harm(tmp_path / "made")}))
    assert not (tmp_path / "made").exists()
    for value, name in [(nn.Linear, "numgrad.nn.modules.linear.Linear"), (np.float64(1), "numpy"), (Path("a"), "pathlib"), (getattr, "getattr")]:
        with pytest.raises(RefusedError, match=name) as error:
            load(write([value]))
        assert isinstance(error.value, pickle.UnpicklingError) and isinstance(error.value, FileFormatError)


KNOWN = b"ctorch._utils\n_rebuild_tensor_v2\n"
PROGRAMS = {
    "attributes of a function": (b"\x80\x02" + KNOWN + b"}X\x01\x00\x00\x00aK\x01sb.", "gives attributes"),
    "methods replaced": (b"\x80\x02ccollections\nOrderedDict\n)R}X\x05\x00\x00\x00itemsK\x01sb.", "gives attributes"),
    "a value called": (b"\x80\x02K\x01)R.", "calls int"),
    "a class called that makes nothing": (b"\x80\x02ctorch\nFloatStorage\n)R.", "calls Float"),
    "a function kept": (b"\x80\x02" + KNOWN + b"\x85.", "keeps torch._utils._rebuild_tensor_v2"),
    "an instance": (b"\x80\x02(ctorch\nSize\no.", "instruction OBJ"),
    "an extension": (b"\x80\x02\x82\x01.", "instruction EXT1"),
    "an empty stack": (b"\x80\x02\x85.", "IndexError"),
    "no mark": (b"\x80\x02t.", "IndexError"),
    "no end": (b"\x80\x02K\x01", "exhausted"),
    "no instruction": (b"\x80\x02\xff.", "damaged"),
    "an unknown reference": (b"\x80\x02K\x01Q.", "refers to 1"),
    "a reference to nowhere": (b"\x80\x02h\x05.", "KeyError"),
    "items of a list": (b"\x80\x02]K\x01K\x01s.", "puts items"),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_that_are_no_weights(program: str) -> None:
    data, words = PROGRAMS[program]
    with pytest.raises(FileFormatError, match=words):
        load(archive(data))


def test_memory_is_checked() -> None:
    block = Block(np.arange(4, dtype=np.float32))
    for wrong, words in [
        (tensor(block, 5), "element 4 of 4"), (tensor(block, 2, stride=(4,)), "element 4 of 4"), (tensor(block, 1, offset=4), "element 4"),
        (tensor(block, 2, stride=(-1,)), "strides"), (tensor(block, 2, stride=()), "strides"), (tensor(block, 1, offset=-1), "begins"),
        (tensor(Block(b"1234", count=9), 1), "should have 36 bytes"), (tensor(Block(b"\x02", "Bool"), 1), "truth values"),
        (tensor(Block(b"12345678", "ComplexFloat"), 1), "torch.ComplexFloatStorage"), (Call("_rebuild_qtensor"), "_rebuild_qtensor"), (block, "storage"),
    ]:  # fmt: skip
        with pytest.raises(FileFormatError, match=words):
            load(archive(wrong))
    with pytest.raises(FileFormatError, match="more data than it has"):
        load(legacy(tensor(Block(b"1234", count=10**15), 1)))


def test_archives_that_are_something_else() -> None:
    for wrong, words in [
        (archive(1, compressed=True), "compressed"), (archive(1, place="a/b/"), "no data.pkl"), (archive(1, constants=b""), "TorchScript"),
        (io.BytesIO(archive(1).getvalue()[:-30]), "damaged"),
    ]:  # fmt: skip
        with pytest.raises(FileFormatError, match=words):
            load(wrong)
    with pytest.raises(FileFormatError, match="numgrad.load reads it"):
        load_safetensors(archive(1))


def test_damage_is_an_error_of_its_own() -> None:
    good = [write({"a": tensor(Block(np.arange(4, dtype=np.float32)), 2, 2), "b": [1, "x"]}).getvalue() for write in WRITERS[::4]]
    random = np.random.default_rng(0)
    for data, _ in itertools.product(good, range(150)):
        changed = bytearray(data)
        for place in random.integers(0, len(data), 3):
            changed[place] = random.integers(256)
        with contextlib.suppress(FileFormatError):
            load(io.BytesIO(bytes(changed)))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    optimizer = numgrad.optim.Adam(model.parameters(), lr=0.1)
    model(numgrad.ones(4, 2)).sum().backward()
    optimizer.step()
    table = numgrad.arange(6.0).reshape(2, 3)
    saved = {
        "model": model.state_dict(), "optimizer": optimizer.state_dict(), "weight": model[0].weight, "turned": table.t(), "part": table[:, 1:],
        "wide": numgrad.ones(1, 3).expand(2, 3), "none": numgrad.zeros(0, 2), "plain": [1, 255, 256, -1, -129, 2**70, 0.5, None, True, "ä", b"\xff", (1,)],
        "size": numgrad.Size((2,)), "dtype": numgrad.int16, "device": numgrad.device("cpu"),
    }  # fmt: skip
    save_torch(saved, tmp_path / "file.pt")
    found = load(tmp_path / "file.pt")
    assert list(found) == list(saved) and list(found["model"]) == list(saved["model"])
    assert found["model"]._metadata == saved["model"]._metadata
    for name, value in saved["model"].items():
        assert found["model"][name].dtype == value.dtype and (found["model"][name] == value).all()
    assert found["optimizer"]["param_groups"] == saved["optimizer"]["param_groups"]
    again = numgrad.optim.Adam(model.parameters())
    again.load_state_dict(found["optimizer"])
    assert type(found["weight"]) is nn.Parameter and (found["weight"] == found["model"]["0.weight"]).all()
    found["weight"].data[0, 0] = 5
    assert found["model"]["0.weight"][0, 0] == 5  # they share memory again
    assert found["turned"].stride() == (1, 3) and found["wide"].stride() == (0, 1) and found["none"].shape == (0, 2)
    found["turned"][1, 0] = 8
    assert found["part"][0, 0] == 8 and found["part"].tolist() == [[8, 2], [4, 5]]
    assert all(found[name] == saved[name] for name in ("plain", "size", "dtype", "device"))


def test_what_cannot_be_written() -> None:
    for value, words in [(np.zeros(2), "ndarray"), (np.float32(1), "float32"), (nn.Linear, r"obj\['a'\]")]:
        with pytest.raises(TypeError, match=words):
            save_torch({"a": value}, io.BytesIO())
