"""What runs in the processes of the matrix: `python -m tests.faults.processes CASE` trains in some surroundings and prints what came out.

Every line is a digest of all parameters after a few steps, eager or compiled. Whatever the surroundings, layer and number of
threads, digests of one kind are the same.
"""

from __future__ import annotations

import hashlib
import importlib
import multiprocessing
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import numgrad
from numgrad import nn
from numgrad.utils.data import DataLoader, Dataset

STEPS = 6


class Training:
    """A small model whose kernels are large enough to run on all threads."""

    def __init__(self, compiled: bool) -> None:
        random = np.random.default_rng(0)
        self.name = "compiled" if compiled else "eager"
        self.model = nn.Sequential(nn.Linear(96, 512), nn.ReLU(), nn.Linear(512, 10))
        for parameter in self.model.parameters():
            parameter.data = numgrad.from_numpy(random.normal(size=tuple(parameter.shape)).astype(np.float32) / 16)
        self.optimizer = numgrad.optim.SGD(self.model.parameters(), lr=0.05, momentum=0.9)
        self.step = numgrad.compile(self.once, fullgraph=True) if compiled else self.once

    def once(self, x: Any, y: Any) -> Any:
        self.optimizer.zero_grad()
        loss = nn.functional.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def run(self) -> str:
        """Take the steps; the kind of training, and its digest."""
        random = np.random.default_rng(1)
        x, y = random.normal(size=(512, 96)).astype(np.float32), random.integers(0, 10, 512)
        for _ in range(STEPS):
            self.step(numgrad.from_numpy(x), numgrad.from_numpy(y))
        digest = hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in self.model.parameters()))
        return f"{self.name} {digest.hexdigest()[:16]}"


def both() -> None:
    """Train eagerly and compiled."""
    for compiled in (False, True):
        report(Training(compiled).run())


_printing = threading.Lock()


def report(line: str) -> None:
    with _printing:
        print(line, flush=True)


def at_once(*tasks: Callable[[], Any]) -> None:
    """Run tasks in threads of their own; the first exception is raised."""
    failures: list[BaseException] = []

    def guarded(task: Callable[[], Any]) -> None:
        try:
            task()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def in_threads() -> None:
    """Two Python threads train at the same time, eager beside eager, eager beside compiled, compiled beside compiled."""
    for kinds in ((False, False), (False, True), (True, True)):
        trainings = [Training(compiled) for compiled in kinds]
        at_once(*[lambda t=t: report(t.run()) for t in trainings])


def one_compiled_function_in_threads() -> None:
    """Two threads call one compiled function on data of their own."""
    training = Training(True)

    @numgrad.compile
    def features(x: Any) -> Any:
        return training.model(x).relu().sum(1)

    inputs = [numgrad.from_numpy(np.random.default_rng(n).normal(size=(512, 96)).astype(np.float32)) for n in range(2)]
    with numgrad.no_grad():
        wanted = [features(x).numpy().copy() for x in inputs * 3][-2:]

    def call(n: int) -> None:
        with numgrad.no_grad():
            for _ in range(200):
                np.testing.assert_array_equal(features(inputs[n]).numpy(), wanted[n])

    at_once(lambda: call(0), lambda: call(1))
    both()


def in_child(context: str, before: Callable[[], Any]) -> None:
    """Train here or in another way, then in a process made so, then here again."""
    before()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        child = multiprocessing.get_context(context).Process(target=both)
        child.start()
    child.join(100)
    if child.exitcode != 0:
        raise SystemExit(f"the child ended with {child.exitcode}")
    both()


def own_prange() -> Callable[[], float]:
    """A user's own parallel function, which uses Numba's pool without numgrad."""
    import numba

    @numba.njit(parallel=True)
    def total(x: np.ndarray) -> float:
        result = 0.0
        for i in numba.prange(x.size):
            result += x[i]
        return result

    return lambda: total(np.ones(1_000_000))


def beside_own_prange() -> None:
    """A user's parallel functions run before, between and after numgrad's."""
    run = own_prange()
    for _ in range(2):
        assert run() == 1_000_000
        both()
    assert run() == 1_000_000


def nested_in_prange() -> None:
    """Numgrad is called back from inside a user's parallel loop, on Numba's own threads."""
    import numba

    lines: list[str] = []

    def call_back(i: int) -> None:
        lines.append(Training(bool(i % 2)).run())

    @numba.njit(parallel=True)
    def nest(n: int) -> int:
        done = 0
        for i in numba.prange(n):
            with numba.objmode():
                call_back(i)
            done += 1
        return done

    both()
    assert nest(4) == 4
    for line in lines:
        report(line)
    both()


class Squares(Dataset):
    """Samples that are computed with numgrad, on kernels that are large."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> Any:
        x = numgrad.full((256, 256), float(index))
        return (x @ x).sum() / 256 + x[0, 0]


def in_loader_workers(context: str | None) -> None:
    """Workers compute while the process that they work for trains."""
    Training(True).run()
    wanted = [256.0**2 * i * i + i for i in range(8)]
    for workers in (0, 2):
        loader = DataLoader(Squares(), batch_size=2, num_workers=workers, multiprocessing_context=context if workers else None)
        found = []
        for batch in loader:
            report(Training(False).run())
            found += batch.tolist()
        assert found == wanted, (found, wanted)
    both()


def beside_blas() -> None:
    """NumPy multiplies on its own threads all the while."""
    a = np.random.default_rng(0).normal(size=(300, 300))
    _busy(lambda: a @ a)


def beside_torch() -> None:
    """PyTorch trains on its own threads all the while."""
    torch = importlib.import_module("torch")
    model, x = torch.nn.Linear(256, 256), torch.ones(256, 256)

    def step() -> Any:
        model.zero_grad()
        model(x).sum().backward()
        return model.weight.grad.numpy().copy()

    _busy(step)


def _busy(other: Callable[[], Any]) -> None:
    wanted, stopped = other(), threading.Event()

    def train() -> None:
        try:
            both()
        finally:
            stopped.set()

    def work() -> None:
        while not stopped.is_set():
            np.testing.assert_array_equal(other(), wanted)

    at_once(train, work)


CASES: dict[str, Callable[[], Any]] = {
    "main thread": both,
    "two threads": in_threads,
    "one compiled function": one_compiled_function_in_threads,
    "fork": lambda: in_child("fork", both),
    "fork before": lambda: in_child("fork", lambda: None),
    "fork after a prange": lambda: in_child("fork", own_prange()),
    "fork from a thread": lambda: at_once(lambda: in_child("fork", both)),
    "spawn": lambda: in_child("spawn", both),
    "workers": lambda: in_loader_workers(None),
    "spawned workers": lambda: in_loader_workers("spawn"),
    "prange": beside_own_prange,
    "nested in prange": nested_in_prange,
    "blas": beside_blas,
    "torch": beside_torch,
}

if __name__ == "__main__":
    CASES[sys.argv[1]]()
    report(f"threads {numgrad.get_num_threads()}")
    if len(sys.argv) > 2:
        import numba

        report(f"layer {numba.threading_layer()}")
