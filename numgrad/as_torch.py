"""Programs and libraries written for PyTorch, unchanged: their `import torch` finds numgrad.

    python -m numgrad.as_torch train.py --epochs 3        runs a program so
    python -m numgrad.as_torch -m package.module          runs a module so

or, in a program, before anything imports torch: `from numgrad import as_torch; as_torch.install()`. `torchvision` is
`numgrad.vision`. An installed PyTorch is not touched, and not seen by that process.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import runpy
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["install"]

#: The version of PyTorch whose interface is followed, as libraries ask for it.
VERSION = "2.13.0+numgrad"
#: Their name -> ours.
NAMES = {"torch": "numgrad", "torchvision": "numgrad.vision"}


class _Top(ModuleType):
    """`torch` itself: what numgrad has, under that name and version."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__config__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(NAMES[self.__name__]), name)

    def __dir__(self) -> list[str]:
        return dir(importlib.import_module(NAMES[self.__name__]))


class _Version(importlib.metadata.Distribution):
    """What `importlib.metadata` says of an installed torch."""

    def __init__(self, name: str):
        self._name = name

    def read_text(self, filename: str) -> str | None:
        return f"Metadata-Version: 2.1\nName: {self._name}\nVersion: {VERSION}\n" if filename == "METADATA" else None

    def locate_file(self, path: Any) -> Any:
        return Path(__file__).parent / path


class _Finder(importlib.metadata.DistributionFinder, importlib.abc.Loader):
    """Comes before all others."""

    def __init__(self) -> None:
        self._specs: dict[str, Any] = {}

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        own = _own(fullname)
        if own is None or (fullname not in NAMES and not _exists(own)):
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(str(_own(spec.name)))
        if spec.name not in NAMES:
            self._specs[spec.name] = module.__spec__
            return module
        made = _Top(spec.name, module.__doc__)
        made.__dict__.update({name: value for name, value in vars(module).items() if not name.startswith("__")}, __version__=VERSION, __path__=[])
        setattr(made, spec.name, made)  # torch.torch is torch
        return made

    def exec_module(self, module: ModuleType) -> None:
        """Give a module of ours its own spec back: importing it under another name has put that one's there."""
        if module.__spec__ is not None and module.__spec__.name in self._specs:
            module.__spec__ = self._specs.pop(module.__spec__.name)

    def find_distributions(self, context: Any = importlib.metadata.DistributionFinder.Context()) -> Iterable[importlib.metadata.Distribution]:  # noqa: B008
        return [_Version(name) for name in NAMES if context.name in (None, name)]


def _own(name: str) -> str | None:
    """numgrad's name for one of theirs; None for a module that is neither torch nor below it."""
    first, dot, rest = name.partition(".")
    return f"{NAMES[first]}{dot}{rest}" if first in NAMES else None


def _exists(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("numgrad"):
            return False
        raise
    return True


def install() -> None:
    """Let `import torch` find numgrad from here on, in this process. RuntimeError if another torch has been imported."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    for name in NAMES:
        if name in sys.modules:
            raise RuntimeError(f"as_torch.install() comes too late: {name} has been imported from {getattr(sys.modules[name], '__file__', '?')}")
    sys.meta_path.insert(0, _Finder())


def main(arguments: list[str]) -> None:
    """Run a program, or with -m a module, so."""
    if not arguments or arguments[0] in ("-h", "--help") or arguments == ["-m"]:
        sys.stdout.write(f"{__doc__}\n")
        raise SystemExit(0 if arguments[:1] in (["-h"], ["--help"]) else 2)
    install()
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.path.insert(0, "")
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    from numgrad import as_torch  # the module that programs import, not this copy of it

    as_torch.main(sys.argv[1:])
