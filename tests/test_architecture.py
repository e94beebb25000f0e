"""The rules of the house: who imports whom, how long a file may be, what importing costs, and that README tells the truth."""

from __future__ import annotations

import ast
import importlib
import inspect
import linecache
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import numgrad

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "numgrad"
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 400
#: Optional extras and what only some users need: never loaded by `import numgrad`. (Numba loads SciPy where it is installed.)
OPTIONAL = {
    "hypothesis",
    "pytest",
    "torch",
    "jax",
    "tqdm",
    "matplotlib",
    "sklearn",
    "PIL",
    "safetensors",
    "mpmath",
    "mpi4py",
    "tensorboard",
    "einops",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path, *, at_start_only: bool = False) -> Iterator[str]:
    """Full names of the modules a file imports (and of what it takes from them), for relative imports too."""
    tree = ast.parse(path.read_text())
    package = module_of(path) if path.name == "__init__.py" else module_of(path).rpartition(".")[0]
    for node in at_start(tree.body) if at_start_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def at_start(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run on import: not those in functions, nor under `if TYPE_CHECKING`."""
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from at_start(node.body + node.orelse)
        elif isinstance(node, ast.Try):
            yield from at_start(node.body)
        else:
            yield node


def test_imports_are_read_right() -> None:
    found = set(imports(PACKAGE / "ops" / "tape.py"))
    assert "numgrad.autograd.Node" in found and "numgrad.jit.zeros" in found and "numpy" in found


# --- who imports whom -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_jit_knows_numba(path: Path) -> None:
    if PACKAGE / "jit" in path.parents:
        return
    found = [i for i in imports(path) if i.split(".")[0] in ("numba", "llvmlite")]
    assert not found, f"{name_of(path)} imports {found}; kernels are made with numgrad.jit"
    used = {n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)}
    assert not used & {"njit", "vectorize", "guvectorize"}


@pytest.mark.parametrize("path", [p for p in FILES if PACKAGE / "jit" in p.parents], ids=name_of)
def test_jit_stands_alone(path: Path) -> None:
    found = [i for i in imports(path) if i.split(".")[0] == "numgrad" and not i.startswith("numgrad.jit")]
    assert not found, f"{name_of(path)} imports {found}"


#: part of numgrad -> the parts it may not import, not even inside a function
FORBIDDEN = {
    "ops": ("nn", "optim", "utils", "vision", "testing", "train", "metrics"),
    "nn": ("jit", "optim", "utils.data", "vision", "testing", "train"),
    "optim": ("jit", "nn", "utils.data", "vision", "testing", "train"),
    "utils": ("jit", "vision", "testing"),
    "vision": ("jit", "testing"),
    "testing": ("nn", "optim", "vision"),
}


@pytest.mark.parametrize("part", FORBIDDEN)
def test_parts_import_downwards(part: str) -> None:
    for path in (PACKAGE / part).rglob("*.py"):
        for found in imports(path):
            for forbidden in FORBIDDEN[part]:
                wrong = f"numgrad.{forbidden}"
                assert found != wrong and not found.startswith(wrong + "."), f"{name_of(path)} imports {found}"


#: Files outside of jit and ops that handle data on its way in or out, with NumPy; the rest computes with ops only.
ON_THE_HOST = (
    "testing/",
    "vision/",
    "utils/data/",
    "utils/tensorboard/",
    "serialization",
    "printing.py",
    "metrics.py",
    "tensor.py",
    "function.py",
    "text/",
    "audio/",
)
ARITHMETIC = {
    "add", "subtract", "multiply", "divide", "power", "exp", "log", "sqrt", "sum", "mean", "dot", "matmul", "einsum", "maximum", "minimum",
    "max", "min", "where", "tanh", "sin", "cos", "abs", "clip", "prod", "cumsum", "argmax", "argmin", "sort", "argsort", "std", "var",
}  # fmt: skip


@pytest.mark.parametrize(
    "path", [p for p in FILES if p.relative_to(PACKAGE).parts[0] not in ("jit", "ops")], ids=name_of
)
def test_arithmetic_happens_in_ops(path: Path) -> None:
    """What NumPy computes, the recorder of launches cannot see."""
    if path.relative_to(PACKAGE).as_posix().startswith(ON_THE_HOST):
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np":
            assert node.attr not in ARITHMETIC, f"{name_of(path)}:{node.lineno} computes with np.{node.attr}"


# --- size and words -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES + sorted((ROOT / "tests").rglob("*.py")), ids=name_of)
def test_files_stay_short(path: Path) -> None:
    """A file is about one thing. (Tests may be twice as long.)"""
    limit = LONGEST * (1 + (ROOT / "tests" in path.parents))
    assert len(path.read_text().splitlines()) <= limit, f"{name_of(path)} has more than {limit} lines: cut it by theme"


def public_names() -> Iterator[tuple[str, Any]]:
    """Functions and classes of every public module that are numgrad's own, and their public methods."""
    modules = [
        numgrad,
        *(
            importlib.import_module(m.name)
            for m in pkgutil.walk_packages(numgrad.__path__, "numgrad.")
            if _importable(m.name)
        ),
    ]
    for module in modules:
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", None) != module.__name__ or not callable(value):
                continue
            yield f"{module.__name__}.{name}", value
            if inspect.isclass(value):
                yield from (
                    (f"{module.__name__}.{name}.{method}", found)
                    for method, found in vars(value).items()
                    if not method.startswith("_")
                    and (inspect.isfunction(found) or isinstance(found, (property, classmethod, staticmethod)))
                )


def _importable(name: str) -> bool:
    return not any(part.startswith("_") for part in name.split(".")[1:])


def test_every_public_name_has_a_docstring() -> None:
    without = [
        name for name, value in public_names() if not inspect.getdoc(value) and not name.startswith("numgrad.jit.vmath")
    ]
    assert without == []


def test_every_op_says_what_it_does() -> None:
    assert [op.name for op in numgrad.ops.REGISTRY.values() if (op.public or op.method) and not op.__doc__] == []


# --- importing ------------------------------------------------------------------------------------------------------


def in_a_new_process(code: str, **settings: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "NUMGRAD_"))}
    environment |= {"PYTHONPATH": str(ROOT)} | settings
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_importing_compiles_nothing(tmp_path: Path) -> None:
    """No dispatcher has a compiled version, and nothing lies in the cache."""
    code = (
        "import numgrad, numgrad.nn, numgrad.optim, gc\n"
        "from numba.core.dispatcher import Dispatcher\n"
        "print([d for d in gc.get_objects() if isinstance(d, Dispatcher) and d.signatures])"
    )
    assert in_a_new_process(code, NUMGRAD_CACHE_DIR=str(tmp_path / "cache")) == "[]"
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_importing_loads_no_extras() -> None:
    code = f"import numgrad, sys; print(sorted({OPTIONAL!r} & set(sys.modules)))"
    assert in_a_new_process(code) == "[]"


def test_import_works_without_a_home_and_on_a_read_only_disk(tmp_path: Path) -> None:
    """What cannot be cached is compiled again; a warning says so once a kernel is needed, not before."""
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    code = "import numgrad, warnings; warnings.simplefilter('ignore'); print((numgrad.ones(3) * 2).tolist())"
    assert in_a_new_process(code, NUMGRAD_CACHE_DIR=str(nowhere / "below")) == "[2.0, 2.0, 2.0]"
    assert in_a_new_process(code, HOME="/nonexistent", XDG_CACHE_HOME="") == "[2.0, 2.0, 2.0]"


def test_reading_annotations_needs_nothing_else() -> None:
    """No circular import: each module can be the first."""
    for path in FILES:
        if path.name == "__init__.py" and path.parent.parent == PACKAGE:
            in_a_new_process(f"import {module_of(path)}", NUMBA_DISABLE_JIT="1")


# --- README ---------------------------------------------------------------------------------------------------------


def blocks(language: str) -> list[str]:
    readme = ROOT / "README.md"
    return (
        re.findall(rf"^```{language}\n(.*?)^```", readme.read_text(), re.MULTILINE | re.DOTALL)
        if readme.exists()
        else []
    )


@pytest.mark.parametrize("code", blocks("python"), ids=lambda code: code.strip().splitlines()[0][:40])
def test_readme_blocks_run(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    linecache.cache["<README.md>"] = (len(code), None, code.splitlines(True), "<README.md>")  # for what reads its own source
    exec(compile(code, "<README.md>", "exec"), {"__name__": "__readme__"})


def test_readme_names_what_exists() -> None:
    readme = (ROOT / "README.md").read_text()
    for path in re.findall(r"`((?:examples|perf|tests|numgrad)/[\w/.]*)`", readme):
        assert (ROOT / path).exists() or list(ROOT.glob(path)), f"README names {path}"
    for extra in re.findall(r"\.\[([\w,]+)\]", readme):
        declared = (ROOT / "pyproject.toml").read_text()
        assert all(re.search(rf"^{e} = \[", declared, re.MULTILINE) for e in extra.split(",")), (
            f"README installs the extra {extra}"
        )


def test_memory_changes_with_its_kind() -> None:
    """A tensor that gets other memory must not keep the kind of what it had: plans would be run on memory they do not fit."""
    fresh = r"(result|output)\._data\b"  # of a tensor made on the line before
    for path in FILES:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.match(r"\s+[\w.]+\._data\b[^=()]* = ", line) and not re.search(fresh, line):
                assert "_kind" in line, f"{name_of(path)}:{number} sets _data, but not _kind: {line.strip()}"
