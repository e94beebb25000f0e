"""The benchmarks run and report what they measured; no time is asserted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from numgrad.ops import REGISTRY
from numgrad.ops.record import Op
from perf import eager, kernels, layers, limits, models, quiet, registry, report, start, steps, worker
from perf.__main__ import main
from perf.numpy_models import mlp
from perf.quiet import Watch
from perf.runner import ROOT, Case, Contest, Result, Settings, run, selected

NUMPY = worker.open_library("numpy", 1, 0.001)
NUMGRAD = worker.open_library("numgrad", 1, 0.001)
EVERYTHING = [*kernels.cases(), *registry.cases(), *eager.cases(), *layers.cases(), *steps.cases()]


def fails(library: worker.Library) -> None:
    raise ValueError("not today")


def ends(library: worker.Library) -> None:
    os._exit(3)


# --- cases ----------------------------------------------------------------------------------------------------------


def test_names_differ() -> None:
    assert len({case.name for case in EVERYTHING}) == len(EVERYTHING) > 1000


def test_what_is_asked_for_is_found() -> None:
    """A request names its function, and its arguments survive the journey."""
    for case in EVERYTHING:
        if not callable(case.arguments):
            request = json.loads(case.request())
            assert worker.find(request["build"]) is case.build
            assert json.dumps(request["arguments"]) == json.dumps(case.arguments)


@pytest.mark.parametrize("form", ["nn", "nt", "tn", "tt"])
def test_products_have_their_shape(form: str) -> None:
    assert kernels.product(NUMPY, 3, 4, 5, 6, "float64", form)().shape == (3, 4, 6)


def test_layers_give_gradients_of_inputs_and_weights() -> None:
    found = layers.recurrent(NUMGRAD, "GRU", 1, 2, 3, 4, 5, True)()
    assert [tuple(g.shape) for g in found] == [(2, 3, 4), *[(15, 4), (15, 5), (15,), (15,)] * 2]
    found = layers.encoder(NUMGRAD, 2, 3, 4, 2)()
    assert len(found) == 13 and tuple(found[0].shape) == (2, 3, 4)


def test_an_operation_gets_its_sample(tmp_path: Path) -> None:
    """Also one that takes a dtype, which numgrad and its peers each have their own of."""
    for name, size in (("add", 500), ("to_dtype", 500)):
        found = registry._draw_into_file(name, size)
        call = registry.operation(NUMGRAD, *found)
        assert size / 10 <= call().numel() <= size * 10


def test_a_sample_that_does_not_grow_is_no_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTRY, "fixed", Op("fixed", lambda x: x, sample=lambda draw: ((draw.array((2,)),), {})))
    assert registry.draw("fixed", 10).arrays[0].size == 2
    with pytest.raises(ValueError, match="does not grow"):
        registry.draw("fixed", 1000)


def test_models_train() -> None:
    """A step of two small ones on a batch of two, kernels as plain Python, for nothing is to be compiled here."""
    code = (
        "from perf import steps, worker\n"
        "library = worker.open_library('numgrad', 1)\n"
        "print([float(steps.train(library, name, 2)()) < 10 for name in ('qnet', 'pinn')])\n"
    )
    settings = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    found = subprocess.run([sys.executable, "-c", code], env=settings, capture_output=True, text=True, check=False)
    assert found.stdout.strip() == "[True, True]", found.stderr


def test_the_step_in_numpy_learns() -> None:
    step = mlp(*models.MODELS["mlp"].data(16))
    first, *_, last = (step() for _ in range(30))
    assert last < 0.5 * first


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["copy", "streaming_copy", "triad", "streaming_triad"])
def test_loops_of_vectors_move_what_they_say(name: str) -> None:
    y, a, b = (limits._aligned(256, "float32") for _ in range(3))
    a[:], b[:] = np.arange(256), 2.0
    limits.native("float32")[name](256 * 4 // limits._vector()[0], *(x.ctypes.data for x in (y, a, b)))
    np.testing.assert_array_equal(y, a + 6.0 if "triad" in name else a)


def test_limits_are_all_there() -> None:
    found = limits.all_limits(worker.Library("numgrad", None, threads=2, seconds=0.001), quick=True)
    assert all(value > 0 for value in found.values())
    assert len(limits.lines(found, 2)) == len(found) == 10


# --- running ----------------------------------------------------------------------------------------------------------


def test_contenders_run_apart_and_survive_each_other() -> None:
    said: list[str] = []
    settings = Settings(("numpy", "no_such_library"), rounds=2, seconds=0.001)
    good = Case("product", kernels.product, (0, 4, 4, 4, "float32", "nn"))
    with Contest(settings, said.append) as contest:
        assert said == ["without no_such_library: No module named 'no_such_library'"]
        assert contest.run(Case("fails", _here(fails))).missing == {"numpy": "ValueError: not today"}
        assert "ended (3)" in contest.run(Case("ends", _here(ends))).missing["numpy"]
        assert contest.run(good).values["numpy"] > 0


def test_numbers_of_threads_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    turn = Contest._turn

    def noted(contest: Contest, contender: str, request: str, result: Result) -> None:
        asked.append(contest.settings.threads)
        turn(contest, contender, request, result)
        result.disturbed.clear()  # whatever else the machine does

    monkeypatch.setattr(Contest, "_turn", noted)
    case = Case("product", kernels.product, (0, 4, 4, 4, "float32", "nn"))
    found = list(run([case], *[Settings(("numpy",), threads=n, rounds=2, seconds=0.001) for n in (1, 2)]))
    assert [r.threads for r in found] == [1, 2] and all(r.values["numpy"] > 0 for r in found)
    assert asked == [1, 2, 1, 2]


def _here(function: object) -> object:
    """The function under a name that another process can import."""
    path = Path(__file__).relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    function.__module__ = path  # type: ignore[attr-defined]
    return function


def test_a_watch_sees_others_but_not_ourselves() -> None:
    own, everybody = Watch([]), Watch([])
    everybody.processes = []  # for this one, what we do is others' work
    everybody.before = everybody._ticks()
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    if Path("/proc/stat").exists():
        assert own.others() < everybody.others()
    else:
        assert own.others() == everybody.others() == 0.0


def test_a_turn_begins_when_the_last_contender_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """As OpenBLAS's threads do, a process may go on for a while when it has answered."""
    used = iter([5, 8, 11, 11, 99])
    monkeypatch.setattr(quiet, "ticks", lambda process: next(used))
    monkeypatch.setattr(quiet, "PAUSE", 0.0)
    quiet.wait_for_rest([1])
    assert next(used) == 99  # looked until nothing was added, and no longer


def test_a_contender_that_never_rests_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    used = iter(range(10**9))
    monkeypatch.setattr(quiet, "ticks", lambda process: next(used))
    monkeypatch.setattr(quiet, "PATIENCE", 0.1)
    began = time.perf_counter()
    quiet.wait_for_rest([1])
    assert 0.1 <= time.perf_counter() - began < 60.0


def test_run_selects() -> None:
    assert [c.name for c in selected(EVERYTHING, r"^matmul \(64,64,64\) float32 n")] == [
        "matmul (64,64,64) float32 nn", "matmul (64,64,64) float32 nt",
    ]  # fmt: skip
    assert list(run(EVERYTHING, Settings((), only="^nothing"))) == []


def test_high_water_is_in_megabytes() -> None:
    assert 10 < start._high_water() < 100_000


# --- reports ----------------------------------------------------------------------------------------------------------

RESULTS = [
    Result("matmul a", 2, {"numgrad": 2e-3, "torch": 1e-3, "numpy": 4e-3}, flops=4e6),
    Result("matmul b", 2, {"numgrad": 1e-3, "torch": 8e-3}, {"numpy": "ValueError: why"}),
]
DOCUMENT = report.Document("kernels", RESULTS, {"torch": "2.0"}, {2: {"fma float32": 4e9}}, "a machine")


def test_ratios_above_one_are_ours() -> None:
    assert report.ratios(RESULTS[0]) == {"torch": 0.5, "numpy": 2.0}
    assert report.least(RESULTS[0]) == 0.5
    assert report.share(RESULTS[0], DOCUMENT.limits[2]) == 0.5
    assert report.geometric_mean([0.5, 8.0]) == pytest.approx(2.0)


def test_compiled_stands_for_numgrad_where_it_was_measured() -> None:
    result = Result("step", 1, {"numgrad": 4.0, "numgrad-compiled": 1.0, "torch": 2.0})
    assert report.ratios(result) == {"numgrad": 4.0, "torch": 2.0}
    assert report.least(result) == 2.0


def test_summary_tells_how_more_threads_scale() -> None:
    one = Result("matmul a", 1, {"numgrad": 3e-3, "torch": 1.5e-3})
    text = "\n".join(report.summary(report.Document("kernels", [one, *RESULTS], limits={1: {"fma float32": 2e9, "launch serial": 1.0}, 2: {"fma float32": 4e9}})))
    assert "speed with 2 threads over that with 1" in text and "limit: fma float32" in text and "launch" not in text
    assert next(line for line in text.splitlines() if line.startswith("  matmul a  ")).split()[2:] == ["numgrad", "1.50", "torch", "1.50"]


def test_summary_tells_losses_and_failures() -> None:
    text = "\n".join(report.summary(DOCUMENT))
    assert "best peer 2.00, least 0.50; torch 2.00 (2), numpy 2.00 (1)" in text
    assert "1 losses, the worst first\n   0.50  matmul a (threads 2)" in text
    assert "matmul b: numpy: ValueError: why" in text


def test_documents_survive_the_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "found" / "kernels.json"
    DOCUMENT.save(str(path))
    assert report.Document.load(str(path)) == DOCUMENT
    main(["table", str(path)])
    assert "matmul a" in capsys.readouterr().out


def test_readme_table_stands_between_its_marks(tmp_path: Path) -> None:
    DOCUMENT.save(str(tmp_path / "found.json"))
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    for _ in range(2):
        main(["table", str(tmp_path / "found.json"), "--update-readme", str(readme)])
    text = readme.read_text()
    assert text.startswith(f"before\n{report.BEGIN}\n| | numgrad |") and text.endswith(f"{report.END}\nafter\n")
    assert "old" not in text and "| matmul, 2 cases | | 2.00 (0.50 to 8.00) | 2.00 (2.00 to 2.00) |" in text
    assert "a machine; torch 2.0" in text
    readme.write_text("no marks")
    with pytest.raises(SystemExit, match="has no lines"):
        main(["table", str(tmp_path / "found.json"), "--update-readme", str(readme)])
