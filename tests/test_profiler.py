"""The profiler sees every launch, eager and compiled, on the line it comes from; and changes no result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import numgrad
import numgrad.nn as nn
from numgrad import profiler
from numgrad.profiler import ProfilerAction, ProfilerActivity, profile, record_function


def step_of(compiled: bool) -> Any:
    numgrad.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = numgrad.optim.SGD(model.parameters(), lr=0.1)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = model(x).pow(2).sum()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return numgrad.compile(step, fullgraph=True, options={"fuse": False}) if compiled else step


def test_launches_of_eager_and_compiled_steps_are_seen_and_change_nothing() -> None:
    x = numgrad.ones(4, 3)
    eager, compiled = step_of(False), step_of(True)
    plain = [eager(x).item() for _ in range(6)]
    found = [compiled(x).item() for _ in range(3)]
    kernels = []
    for _ in range(3):
        with profile(record_shapes=True) as prof:
            found.append(compiled(x).item())
        kernels.append([e.kernel for e in prof.events()])
    assert found == plain
    assert kernels[0] == kernels[1] == kernels[2]
    with profile() as prof:
        step_of(False)(x)
    launched = [e.kernel for e in prof.events()]
    assert set(kernels[0]) - {"fill", "verify", ""} <= set(launched)
    names = {e.name for e in prof.events()}
    assert "linear" in names and any("(backward)" in n for n in names)
    assert all(e.stop >= e.start and __file__ in e.source for e in prof.events())


def test_nothing_is_seen_outside() -> None:
    x = numgrad.ones(3)
    with profile() as prof:
        x.exp()
    x.sin()
    assert [e.name for e in prof.events()] == ["exp"]


def test_blocks_and_averages() -> None:
    @record_function("twice")
    def twice(x: Any) -> Any:
        return x.exp().exp()

    x = numgrad.ones(3, 2)
    with profile(record_shapes=True) as prof:
        with record_function("outer"):
            twice(x)
        x.sin()
    by_name = {e.key: e for e in prof.key_averages()}
    assert set(by_name) == {"outer", "twice", "exp", "sin"}
    assert by_name["exp"].count == 2
    outer, inner, exp = by_name["outer"], by_name["twice"], by_name["exp"]
    assert outer.cpu_time_total >= inner.cpu_time_total >= exp.cpu_time_total > 0
    assert outer.self_cpu_time_total == pytest.approx(outer.cpu_time_total - inner.cpu_time_total)
    assert inner.self_cpu_time_total == pytest.approx(inner.cpu_time_total - exp.cpu_time_total)
    total = prof.key_averages().total_average()
    assert total.self_cpu_time_total == pytest.approx(outer.cpu_time_total + by_name["sin"].cpu_time_total)
    assert {e.shapes for e in prof.key_averages(group_by_input_shape=True) if e.key == "sin"} != {()}
    table = prof.key_averages(group_by_stack_n=1).table(sort_by="count", row_limit=1)
    assert "exp" in table and "sin" not in table and "test_profiler.py:" in table and "# of Calls" in table


def test_a_trace_for_perfetto(tmp_path: Path) -> None:
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as prof, record_function("block"):
        numgrad.ones(3).exp()
    prof.add_metadata("run", "7")
    prof.export_chrome_trace(tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    events = {e["name"]: e for e in trace["traceEvents"] if e["ph"] == "X"}
    assert trace["run"] == "7" and {"block", "exp"} <= set(events)
    block, exp = events["block"], events["exp"]
    assert block["ts"] <= exp["ts"] and exp["ts"] + exp["dur"] <= block["ts"] + block["dur"]
    assert block["tid"] == exp["tid"] and "test_profiler.py" in exp["args"]["source"]


def test_a_schedule_chooses_the_steps(tmp_path: Path) -> None:
    chosen = profiler.schedule(wait=1, warmup=1, active=2, repeat=1, skip_first=1)
    none, warm, record, save = ProfilerAction
    assert [chosen(n) for n in range(7)] == [none, none, warm, record, save, none, none]
    ready: list[list[str]] = []
    x = numgrad.ones(2)
    write = profiler.tensorboard_trace_handler(str(tmp_path))

    def done(prof: Any) -> None:
        ready.append([e.name for e in prof.events()])
        write(prof)

    with profile(schedule=profiler.schedule(wait=1, warmup=0, active=2), on_trace_ready=done) as prof:
        for n in range(6):
            (x.exp, x.sin, x.cos)[n % 3]()
            prof.step()
    assert ready == [["sin", "cos"], ["sin", "cos"]]
    assert len(list(tmp_path.glob("*.pt.trace.json"))) == 2
    with pytest.raises(ValueError, match="active"):
        profiler.schedule(wait=0, warmup=0, active=0)


def test_it_ends_where_an_exception_ends_it() -> None:
    prof, x = profile(), numgrad.ones(2)
    with pytest.raises(ValueError, match="stop"), prof:
        x.exp()
        raise ValueError("stop")
    x.sin()
    assert [e.name for e in prof.events()] == ["exp"]


def test_what_a_compiled_call_spends_outside_kernels_is_its_own_time() -> None:
    x, step = numgrad.ones(4, 3), step_of(True)
    for _ in range(4):
        step(x)
    counts = {}
    for launches in (True, False):
        with profile(launches=launches) as prof:
            step(x)
        calls = [e for e in prof.events() if e.name.endswith("step (compiled)")]
        inside = [e for e in prof.events() if e is not calls[0]]
        counts[launches] = len(inside)
        assert len(calls) == 1
        assert all(calls[0].start <= e.start <= e.stop <= calls[0].stop for e in inside)
        assert calls[0].self_cpu_time_total == pytest.approx(calls[0].cpu_time_total - sum(e.cpu_time_total for e in inside))
    assert counts[True] > counts[False] == 1


def test_the_older_profiler_of_autograd() -> None:
    from numgrad.autograd.profiler import profile, record_function

    with profile(record_shapes=True, use_cuda=False) as found, record_function("mine"):
        numgrad.ones(3).add(1)
    assert {"mine", "add"} <= {e.key for e in found.key_averages()} and found.self_cpu_time_total > 0
    assert "mine" in found.table(sort_by="cpu_time_total") and len(found.function_events) == found.total_average().count
    with numgrad.autograd.profiler.profile(enabled=False) as nothing:
        numgrad.ones(3).add(1)
    assert nothing.function_events == []
