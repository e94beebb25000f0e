"""The tables of lines, and which names and keywords of PyTorch each of them shows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numgrad as ng

HERE = Path(__file__).parent
TABLES = ("tensors", "creation", "functional", "modules", "machinery")
#: The names of a line that stand for modules.
_SHORT = {"ng": "", "nn": "nn.", "F": "nn.functional."}


def lines() -> Iterator[tuple[str, str]]:
    """Each line with its name."""
    for table in TABLES:
        for number, line in enumerate((HERE / f"{table}.txt").read_text(encoding="utf-8").splitlines(), 1):
            if line and not line.startswith("#"):
                yield f"{table}-{number}", line


def rows() -> dict[str, set[str]]:
    """What scripts use, with the keywords they give."""
    found = {}
    for line in (HERE / "rows.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            name, _, keywords = line.partition(" : ")
            found[name] = set(keywords.split())
    return found


def parts(line: str) -> tuple[str, str, str, bool]:
    """The setup, the call, what is expected of it, and whether that is an error."""
    refused = " !! " in line
    before, _, expected = line.partition(" !! " if refused else " => ")
    setup, _, call = before.rpartition(" ;; ")
    return setup, call, expected, refused


def shown(source: str, known: dict[str, Any]) -> Iterator[tuple[str, set[str]]]:
    """The rows that a piece of source shows, with keywords; `known` are the objects it can name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            keywords = {k.arg for k in node.keywords if k.arg}
            for name in _rows_of(node.func, known):
                yield name, keywords
        elif isinstance(node, ast.Attribute):
            for name in _rows_of(node, known):
                yield name, set()


def _rows_of(node: ast.expr, known: dict[str, Any]) -> Iterator[str]:
    if not isinstance(node, ast.Attribute):
        return
    path, root = [node.attr], node.value
    while isinstance(root, ast.Attribute):
        path.append(root.attr)
        root = root.value
    if isinstance(root, ast.Name) and root.id in _SHORT:
        yield _SHORT[root.id] + ".".join(reversed(path))
        return
    try:
        owner = eval(compile(ast.Expression(node.value), "row", "eval"), dict(known))
    except Exception:  # a name of a comprehension, or what raises on purpose
        return
    for kind, prefix in ((ng.Tensor, "Tensor."), (ng.nn.Module, "nn.Module."), (ng.optim.Optimizer, "optim.Optimizer.")):
        if isinstance(owner, kind):
            yield prefix + node.attr
    if isinstance(owner, ng.optim.lr_scheduler.LRScheduler):
        yield "optim.Optimizer." + node.attr
