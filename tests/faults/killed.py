"""A training run that is killed again and again: `python -m tests.faults.killed eager|compiled KILLS SEED`.

A child trains (dropout, shuffled batches, momentum, a schedule) and saves everything after each step; it is killed at a random
moment, and the next one goes on from the file. Whenever a run ends, its bits are compared with those of one that nobody killed.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numgrad
from numgrad import nn
from numgrad.utils.data import DataLoader, TensorDataset

EPOCHS = 6


def stepper(model: Any, optimizer: Any) -> Any:
    """A function that takes one step of training; of this run it reaches the model and the optimizer only."""

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


class Run:
    """All that a training run consists of."""

    def __init__(self, compiled: bool) -> None:
        numgrad.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 3))
        self.optimizer = numgrad.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
        self.scheduler = numgrad.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, EPOCHS * 12)
        data = TensorDataset(numgrad.randn(90, 8), numgrad.randint(0, 3, (90,)))
        self.generator = numgrad.Generator().manual_seed(5)
        self.loader = DataLoader(data, batch_size=8, shuffle=True, generator=self.generator)
        self.step = stepper(self.model, self.optimizer)
        if compiled:
            self.step = numgrad.compile(self.step)
        self.epoch, self.losses = 0, hashlib.sha256().digest()

    def state(self) -> dict[str, Any]:
        parts = {name: getattr(self, name).state_dict() for name in ("model", "optimizer", "scheduler", "loader")}
        return {**parts, "own": numgrad.get_rng_state(), "epoch": self.epoch, "losses": self.losses}

    def resume(self, path: Path) -> None:
        state = numgrad.load(path)
        for name in ("model", "optimizer", "scheduler", "loader"):
            getattr(self, name).load_state_dict(state[name])
        numgrad.set_rng_state(state["own"])
        self.epoch, self.losses = state["epoch"], state["losses"]

    def train(self, path: Path | None) -> str:
        """To the end, from the file's step if there is a file; the digest of all that came out."""
        if path is not None and path.exists():
            self.resume(path)
        while self.epoch < EPOCHS:
            for x, y in self.loader:
                loss = self.step(x, y)
                self.scheduler.step()
                self.losses = hashlib.sha256(self.losses + loss.detach().numpy().tobytes()).digest()
                if path is not None:
                    numgrad.save(self.state(), path)
            self.epoch += 1
        weights = b"".join(t.detach().numpy().tobytes() for t in self.model.state_dict().values())
        return hashlib.sha256(self.losses + weights).hexdigest()[:16]


def in_child(compiled: bool, path: Path | None, patience: float | None) -> str | None:
    """Train in a child, which is killed after a while; its digest, or None if it was killed."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            os.write(writing, Run(compiled).train(path).encode())
        except BaseException as error:
            os.write(writing, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(writing)
    if patience is not None:
        time.sleep(patience)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reading) as pipe:
        found = pipe.read()
    os.waitpid(child, 0)
    return found or None


def main(kind: str, kills: int, seed: int) -> None:
    """Kill so often; prints the number of kills and of runs that ended, and every digest once."""
    compiled, moments, done = kind == "compiled", random.Random(seed), 0
    in_child(compiled, None, None)  # fills the disk cache
    start = time.perf_counter()
    wanted = in_child(compiled, None, None)
    whole = time.perf_counter() - start
    ended: list[str | None] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint"
        while done < kills or not ended or path.exists():
            found = in_child(compiled, path, moments.uniform(0, whole) if done < kills else None)
            done += found is None
            if found is not None:
                ended.append(found)
                path.unlink(missing_ok=True)
        left = sum(entry.name.endswith(".tmp") for entry in Path(folder).iterdir())
    print(f"a run takes {whole:.2f} s", file=sys.stderr)
    print(f"kills {done}, runs {len(ended)}, cut writes {left}")
    print(*sorted({str(found) for found in ended} | {str(wanted)}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
