"""The pytest plugin, as a user's package meets it: installed by pip, its ops checked from the command line."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.native  # once is enough

PACKAGE = '''
"""Two ops: one right, one whose second input gets a gradient that lacks a square."""

import numpy as np

import numgrad
from numgrad.ops import op


def _sample(draw):
    shape = draw.shape(1, 2, 1)
    return (draw.array(shape), draw.array(shape)), {}


def _reference(x, w):
    return np.sin(x) * w**3


def _forward(x, w):
    dtype = np.result_type(x, w, np.float32)
    return np.sin(x, dtype=dtype) * np.power(w, 3, dtype=dtype)  # an op may compute as it likes


right = op("right", _forward, vjp=(lambda g, x, w: g * x.cos() * w**3, lambda g, x, w: g * x.sin() * 3 * w**2),
           reference=_reference, sample=_sample, errors=[((np.ones(2), np.ones(3)), ValueError, "broadcast")])
wrong = op("wrong", _forward, vjp=(lambda g, x, w: g * x.cos() * w**3, lambda g, x, w: g * x.sin() * 3.003 * w**2),
           reference=_reference, sample=_sample)
'''


def wheel(folder: Path, name: str, files: dict[str, str]) -> Path:
    """A wheel of pure Python, as a build backend would make it."""
    information = f"{name}-1.0.dist-info"
    files = files | {
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text.encode())}\n"
    files[f"{information}/RECORD"] = record + f"{information}/RECORD,,\n"
    made = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return made


def run(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = os.environ | environment
    settings.pop("PYTEST_ADDOPTS", None)
    return subprocess.run([sys.executable, *command], cwd=folder, env=settings, capture_output=True, text=True, timeout=280)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the user's package and the plugin's entry point, installed by pip without an index."""
    folder = tmp_path_factory.mktemp("user")
    wheels = [wheel(folder, "curves", {"curves/__init__.py": "from . import ops\n", "curves/ops.py": PACKAGE})]
    if not any(e.value == "numgrad_pytest_plugin" for e in metadata.entry_points(group="pytest11")):
        # a checkout that is not installed: what its wheel has besides the package
        plugin = (ROOT / "numgrad/testing/pytest_plugin.py").read_text()
        points = "[pytest11]\nnumgrad = numgrad_pytest_plugin\n"
        wheels.append(wheel(folder, "entry", {"numgrad_pytest_plugin.py": plugin, "entry-1.0.dist-info/entry_points.txt": points}))
    target = folder / "site"
    done = run(["-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(target), *map(str, wheels)], folder)
    assert done.returncode == 0, done.stderr
    return target


def checked(installed: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`pytest` with options, in an empty folder, without the JIT."""
    empty = installed.parent / "empty"
    empty.mkdir(exist_ok=True)
    path = os.pathsep.join([str(installed), str(ROOT)])
    return run(["-m", "pytest", "-v", "-p", "no:cacheprovider", *options], empty, PYTHONPATH=path, NUMBA_DISABLE_JIT="1")


def test_the_right_op_passes_and_the_wrong_one_is_pinpointed(installed: Path) -> None:
    done = checked(installed, "--numgrad-ops", "curves")
    text = done.stdout
    assert done.returncode == 1, text + done.stderr
    for check in ("value", "value of float32", "gradient", "second gradient", "layouts", "dtypes", "errors"):
        assert f"curves::right::{check} PASSED" in text, text
    assert "right::" not in text[text.index("= FAILURES =") :], text
    assert "curves::wrong::value PASSED" in text and "curves::wrong::gradient FAILED" in text, text
    found = next(line for line in text.splitlines() if line.startswith("wrong: gradient: "))
    # op, input, its name, index, analytic, numeric
    import re

    parts = re.match(r"wrong: gradient: input 1 \(w\), index \[\d+(?:, \d+)?\]: backward gives (\S+), central differences (\S+) ", found)
    assert parts and abs(float(parts[1]) / float(parts[2]) - 1.001) < 1e-6, found
    assert "check_op(wrong, only='gradient', seed=" in text


def test_items_are_selected_and_mutated(installed: Path) -> None:
    done = checked(installed, "--numgrad-ops=curves.ops", "--numgrad-mutate", "--numgrad-examples=2", "-k", "right and mutants")
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout


def test_packages_that_are_not_there_or_register_nothing(installed: Path) -> None:
    for package, reason in (("curve", "no package or module 'curve'"), ("json", "registers no op")):
        done = checked(installed, "--numgrad-ops", package)
        assert done.returncode == pytest.ExitCode.USAGE_ERROR and reason in done.stdout + done.stderr, done.stdout


def test_nothing_is_imported_without_the_option(installed: Path) -> None:
    (installed.parent / "probe.py").write_text(
        "import sys\n\ndef test_probe():\n    assert 'numgrad_pytest_plugin' in sys.modules\n"
        "    assert not {'numgrad', 'numba', 'numpy'} & set(sys.modules)\n"
    )
    done = checked(installed, "-p", "no:hypothesispytest", str(installed.parent / "probe.py"))
    assert done.returncode == 0, done.stdout


def test_the_wheel_has_the_plugin() -> None:
    declared = (ROOT / "pyproject.toml").read_text()
    assert '"numgrad/testing/pytest_plugin.py" = "numgrad_pytest_plugin.py"' in declared
    assert '[project.entry-points.pytest11]\nnumgrad = "numgrad_pytest_plugin"' in declared
