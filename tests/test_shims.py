"""What scripts written for machines with GPUs ask of numgrad: nothing is available, and what would need a device says so."""

from __future__ import annotations

import importlib
import pickle
import warnings

import pytest

import numgrad
from numgrad import amp, coverage, nn, optim


@pytest.mark.parametrize("name", ["cuda.amp.grad_scaler", "backends.cudnn", "distributed", "nn.parallel", "onnx", "multiprocessing", "hub"])
def test_modules_import_by_name(name: str) -> None:
    importlib.import_module(f"numgrad.{name}")


def test_nothing_is_available() -> None:
    assert not numgrad.cuda.is_available() and not numgrad.backends.mps.is_available() and not numgrad.distributed.is_available()
    assert numgrad.cuda.device_count() == 0 and numgrad.cuda.memory_allocated() == 0
    assert numgrad.accelerator.current_accelerator() is None and numgrad.version.cuda is None
    assert not isinstance(numgrad.ones(1), numgrad.cuda.FloatTensor)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: numgrad.cuda.get_device_name(0), RuntimeError, "is_available"),
        (lambda: numgrad.cuda.FloatTensor(2), RuntimeError, "no CUDA device"),
        (lambda: numgrad.distributed.init_process_group("nccl"), RuntimeError, "one process"),
        (lambda: numgrad.onnx.export(None, None, "f"), NotImplementedError, "state_dict"),
        (lambda: numgrad.ones(2).to(numgrad.complex64), TypeError, "no complex64"),
        (lambda: numgrad.set_default_dtype(numgrad.float16), TypeError, "float32 or float64, but not"),
        (lambda: numgrad.sparse_coo_tensor, AttributeError, "dense"),
        (lambda: numgrad.no_such_name, AttributeError, "no_such_name"),
        (lambda: nn.parallel.DistributedDataParallel(nn.Linear(1, 1)), RuntimeError, "module itself"),
    ],
)
def test_what_is_lacking_says_so(call, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_half_types_can_be_named_and_compared() -> None:
    assert numgrad.ones(1).dtype != numgrad.float16 and numgrad.half is numgrad.float16
    assert pickle.loads(pickle.dumps(numgrad.bfloat16)) is numgrad.bfloat16


def test_autocast_says_once_that_it_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amp, "_said", False)
    with numgrad.autocast("cuda", enabled=False):
        pass
    with pytest.warns(UserWarning, match="float32"), numgrad.autocast("cuda", dtype=numgrad.float16):
        assert (numgrad.ones(2) @ numgrad.ones(2)).dtype == numgrad.float32
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        @numgrad.cuda.amp.autocast()
        def double(x: float) -> float:
            return 2 * x

        assert double(2.0) == 4.0


def test_a_scaled_step_is_a_step() -> None:
    weight = nn.Parameter(numgrad.ones(2))
    optimizer, scaler = optim.SGD([weight], lr=0.5), numgrad.cuda.amp.GradScaler()
    scaler.scale(weight.sum()).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    assert weight.tolist() == [0.5, 0.5] and not scaler.is_enabled() and scaler.get_scale() == 1.0


def test_flags_are_set_back() -> None:
    cudnn = numgrad.backends.cudnn
    with cudnn.flags(enabled=False, deterministic=True):
        assert not cudnn.enabled and cudnn.deterministic
    assert cudnn.enabled and not cudnn.deterministic


def test_scripted_functions_stay_what_they_are() -> None:
    def f(x: float) -> float:
        return x

    assert numgrad.jit.script(f) is f and numgrad.jit.trace(f, (1.0,)) is f and numgrad.jit.ignore(f) is f
    with pytest.raises(NotImplementedError, match="compile"):
        numgrad.jit.ScriptModule()


def test_coverage_counts_what_is_there() -> None:
    assert coverage.state_of("cuda.is_available") == "there"
    assert coverage.state_of("float16") == "there" and coverage.state_of("complex64") == "refused"
    assert coverage.state_of("nn.functional.no_such_function") == "missing"
    counts = coverage.count()
    assert len(counts["common"]["there"]) >= 350 and not counts["devices"]["missing"]
    assert coverage.table().startswith("tier")
