"""Programs for PyTorch, unchanged: each in a process of its own, for importing is for good."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.interpreted

PROGRAM = """
import importlib.metadata, importlib.util, pickle, sys
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.utils.data
from torch.optim.lr_scheduler import StepLR
from torchvision import transforms
import torchvision.models as models

torch.manual_seed(0)
model = nn.Linear(3, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    loss = F.mse_loss(model(torch.ones(4, 3)), torch.zeros(4, 1))
    optimizer.zero_grad(), loss.backward(), optimizer.step()
import numgrad
assert torch.Tensor is numgrad.Tensor and nn is numgrad.nn and isinstance(model, numgrad.nn.Module)
assert torch.__name__ == "torch" and torch.__version__ == importlib.metadata.version("torch") >= "2.13"
assert importlib.util.find_spec("torch.nn").name == nn.__spec__.name == "numgrad.nn"
assert type(pickle.loads(pickle.dumps(model))) is nn.Linear and "numgrad" in torch.__config__.show()
assert not hasattr(torch, "no_such_name") and "nn" in dir(torch) and not torch.distributed.is_available()
try:
    import torch.no_such_module
except ModuleNotFoundError as error:
    assert error.name == "torch.no_such_module", error
print(__name__, *sys.argv[1:])
"""


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    settings = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *arguments], cwd=folder, env=settings, capture_output=True, text=True, timeout=120)


def test_a_program_is_run(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    for how in (["program.py"], ["-m", "program"]):
        done = run("-m", "numgrad.as_torch", *how, "a", "-b", folder=tmp_path)
        assert done.stdout == "__main__ a -b\n", done.stderr


def test_installed_by_hand(tmp_path: Path) -> None:
    done = run("-c", "from numgrad import as_torch; as_torch.install(); as_torch.install(); import torch; print(torch.ones(1))", folder=tmp_path)
    assert done.stdout == "tensor([1.])\n", done.stderr
    (tmp_path / "torch.py").write_text("")  # as if another torch were there
    done = run("-c", "import torch; from numgrad import as_torch; as_torch.install()", folder=tmp_path)
    assert "RuntimeError" in done.stderr and "comes too late: torch" in done.stderr


def test_help_and_mistakes(tmp_path: Path) -> None:
    assert "train.py" in run("-m", "numgrad.as_torch", "--help", folder=tmp_path).stdout
    assert run("-m", "numgrad.as_torch", folder=tmp_path).returncode == 2
    assert "no_such.py" in run("-m", "numgrad.as_torch", "no_such.py", folder=tmp_path).stderr
