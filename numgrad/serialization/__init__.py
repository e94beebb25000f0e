"""Saving and loading: one file in the safetensors format, which holds numbers and text but never code.

`save` takes what training scripts keep: tensors and parameters in dicts, lists and tuples beside numbers and text.
Tensors become the file's tensors, and the structure around them is JSON in the header's `__metadata__`, so that any
program which reads safetensors reads the tensors. `save_safetensors` and `load_safetensors` exchange plain dicts of
tensors with others. `load` reads PyTorch's files, too, and `save_torch` writes them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numgrad

from .. import dtypes
from .format import LEGACY, ZIP, FileFormatError, RefusedError, array_of, opened, write
from .structure import Decoder, Encoder

__all__ = ["DEFAULT_PROTOCOL", "MAP_LOCATION", "FileFormatError", "RefusedError", "add_safe_globals", "clear_safe_globals", "get_safe_globals", "load", "load_safetensors", "safe_globals", "save", "save_safetensors", "save_torch"]

#: Pickle's protocol in PyTorch's files; what `load` takes for `map_location`.
DEFAULT_PROTOCOL = 2
MAP_LOCATION: TypeAlias = "Callable[[Any, str], Any] | dtypes.device | str | dict[str, str] | None"


def save(obj: Any, f: Any, *_pickle_options: Any, **_more_pickle_options: Any) -> None:
    """Write `obj` to the path or binary file `f`, for `load`.

    `obj` may be, nest and repeat: Tensor, Parameter, dict, OrderedDict, list, tuple, Size, int, float, bool, None, str,
    bytes, dtype, device, and NumPy arrays and scalars. Tensors that share memory share it again once loaded. Anything
    else is a TypeError that says where it is. A path is replaced at once, when everything has been written.
    Options about pickling are accepted and without effect.
    """
    encoder = Encoder()
    try:
        structure = json.dumps(encoder.encode(obj, ()), allow_nan=False)
    except RecursionError:
        raise ValueError("save: the object is nested too deeply") from None
    arrays, views = encoder.regions()
    metadata = {"numgrad": "1", "structure": structure, "views": json.dumps(views)}
    write(f, arrays, metadata)


def load(f: Any, map_location: Any = None, pickle_module: Any = None, **_options: Any) -> Any:
    """Read what `save`, or PyTorch's `torch.save`, wrote to the path or binary file `f`.

    `map_location` may be anything that means the CPU, where all tensors go. `weights_only`, `mmap` and options about
    pickling are accepted and without effect: no code is ever loaded. Of PyTorch's files weights are read: tensors,
    parameters, numbers, text, and containers of these. RefusedError names what else a file asks for; FileFormatError tells of
    one that is damaged or of another format.
    """
    _check_location(map_location)
    with opened(f) as source:
        start = source.start(len(LEGACY))
        if start.startswith(ZIP) or start == LEGACY:
            from .checkpoint import load_checkpoint

            return load_checkpoint(source.file, start != LEGACY, source)
        arrays, metadata = source.read_all()
        if metadata.get("numgrad") != "1" or not {"structure", "views"} <= metadata.keys():
            raise source.error("these are tensors without numgrad's structure: read them with load_safetensors")
        try:
            decoder = Decoder(arrays, source)
            for name, view in source.parse(metadata["views"]).items():
                decoder.add_view(name, view)
            return decoder.decode(source.parse(metadata["structure"]))
        except FileFormatError:
            raise
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError) as error:
            raise source.error(f"its structure is damaged ({type(error).__name__}: {error})") from None


def save_safetensors(tensors: dict[str, Any], f: Any, metadata: dict[str, str] | None = None) -> None:
    """Write a dict of tensors, or NumPy arrays, to the path or binary file `f` in the safetensors format."""
    arrays = {}
    for name, tensor in tensors.items():
        if not isinstance(name, str) or name == "__metadata__":
            raise TypeError(f"save_safetensors: a name should be a str other than '__metadata__', got {name!r}")
        arrays[name] = array_of(tensor, f"save_safetensors: tensors[{name!r}]")
    for key, value in (metadata or {}).items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"save_safetensors: metadata should map str to str, got {key!r}: {value!r}")
    write(f, arrays, metadata or {})


def load_safetensors(f: Any, *, widen: bool = False) -> dict[str, Any]:
    """Read the dict of tensors in a safetensors file, from a path or binary file.

    numgrad has no uint16 or uint32: they are a FileFormatError, or with `widen=True` become int32 and int64, which hold each of
    their values exactly; float16 and bfloat16 then become float32.
    """
    with opened(f) as source:
        arrays, _ = source.read_all(widen)
        return {name: source.tensor(name, array) for name, array in arrays.items()}


def save_torch(obj: Any, f: Any) -> None:
    """Write `obj` to the path or binary file `f` as `torch.save` would, for `torch.load(f, weights_only=True)`.

    Takes what `save` takes, NumPy's arrays and numbers excepted. `load` reads it, too.
    """
    from .torch_writer import write_checkpoint

    write_checkpoint(obj, f)


def _check_location(location: Any) -> None:
    if location is None or callable(location) or isinstance(location, dict):
        return
    if numgrad.device(location).type != "cpu":
        raise RuntimeError(f"numgrad computes on the CPU only, but map_location={str(location)!r} was asked for")


@contextlib.contextmanager
def safe_globals(safe_globals: list[Any]) -> Iterator[None]:
    """Accepted and without effect: whatever is called safe, `load` runs no code."""
    yield


def add_safe_globals(safe_globals: list[Any]) -> None:
    """Accepted and without effect: whatever is called safe, `load` runs no code."""


def clear_safe_globals() -> None:
    """Nothing to clear."""


def get_safe_globals() -> list[Any]:
    """Always empty."""
    return []
