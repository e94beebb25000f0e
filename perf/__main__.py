"""usage: python -m perf {limits,kernels,ops,layers,eager,steps,start,memory,busy,parity,table} [options]

limits: what the machine can do: multiply-adds, memory, launches.
kernels: single operations at the shapes of networks; ops: every registered op, from its sample.
layers: recurrent layers and attention, both ways.
eager: Python's cost of an operation. steps: whole training steps. start: import and first step. memory: the peak of a step.
busy: a step while another program keeps one core busy.
parity: the same calls in PyTorch and numgrad (ops, errors, modules, optimizers, trainings): in how many they agree.
table: tables out of JSON files; --update-readme puts the summary between two marker comments.

Each contender runs in a process of its own, in turn, several rounds, and the least of its medians counts. Ratios are the
peer's time over numgrad's: above 1, numgrad is faster. With several numbers of threads each has processes of its own, which take
turns too, and the summary says how the speeds compare. Peers may live in another environment: --peer-python PATH.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace

from . import report, tally
from .runner import Case, Contest, Result, Settings, run, versions_of

#: command -> (module of its cases, contenders)
COMMANDS = {
    "kernels": ("perf.kernels", "numgrad,torch,numpy"),
    "ops": ("perf.registry", "numgrad,torch"),
    "eager": ("perf.eager", "numgrad,torch"),
    "layers": ("perf.layers", "numgrad,numgrad-compiled,torch"),
    "steps": ("perf.steps", "numgrad,numgrad-compiled,torch,torch-compile,jax,numpy"),
}
PROCEDURES = {
    "start": "numgrad,numgrad-compiled,torch,torch-compile,jax",
    "memory": "numgrad,numgrad-compiled,torch,torch-compile,jax",
    "busy": "numgrad,numgrad-compiled,torch",
}


def find_limits(settings: Settings, quick: bool) -> dict[str, float]:
    """What this machine can do at so many threads."""
    limits = importlib.import_module("perf.limits")
    best: dict[str, float] = {}
    with Contest(replace(settings, contenders=("numgrad",))) as contest:
        for _ in range(settings.rounds):
            found = contest.processes["numgrad"].ask(limits.cases(quick)[0].request())
            if "value" not in found:
                raise SystemExit(f"limits: {found['error']}")
            for name, value in found["value"].items():
                best[name] = (min if name.startswith("launch") else max)(value, best.get(name, value))
    return best


def run_limits(options: argparse.Namespace) -> None:
    """Print the limits, for each number of threads."""
    limits, document = importlib.import_module("perf.limits"), report.Document("limits", [], {}, machine=report.machine())
    for settings in settings_of(options, "numgrad"):
        document.limits[settings.threads] = find_limits(settings, options.quick)
        document.versions |= versions_of(settings)
        print("\n".join(limits.lines(document.limits[settings.threads], settings.threads)))
    if options.json:
        document.save(options.json)


def settings_of(options: argparse.Namespace, contenders: str) -> list[Settings]:
    """One for each number of threads."""
    chosen = (options.contenders or contenders).split(",")
    rounds, seconds = (1, 0.01) if options.quick else (options.rounds, options.seconds)
    return [
        Settings(tuple(chosen), options.peer_python, int(n), rounds, seconds, options.only) for n in options.threads.split(",")
    ]


def run_contest(options: argparse.Namespace) -> None:
    """Measure the cases of a command, print each as it is done, then the summary."""
    command = options.command
    document = report.Document(command, [], {}, machine=report.machine())
    contenders = COMMANDS[command][1] if command in COMMANDS else PROCEDURES[command]
    several = settings_of(options, contenders)
    for settings in several:
        if command == "kernels":
            document.limits[settings.threads] = find_limits(settings, options.quick)
        document.versions |= versions_of(settings)
    for result in measured(command, several, options.quick):
        document.results.append(result)
        print(f"{result.threads}: " * (len(several) > 1) + report.line(result, document.limits.get(result.threads, {})), flush=True)
        if options.json:  # at once: what was measured stays when the rest is cut short
            document.save(options.json)
    print("\n".join(report.summary(document)))
    if options.plot:
        report.plot(document, options.plot)


def measured(command: str, several: list[Settings], quick: bool) -> Iterator[Result]:
    """The results of a command, at each number of threads."""
    if command in PROCEDURES:
        for settings in several:
            yield from getattr(importlib.import_module("perf.start"), command)(settings)
        return
    yield from run(cases_of(command, quick), *several)


def cases_of(command: str, quick: bool) -> list[Case]:
    """The cases of a command."""
    return importlib.import_module(COMMANDS[command][0]).cases(quick)


def run_table(options: argparse.Namespace) -> None:
    """Print the tables of JSON files, or put their summary in the README."""
    documents = [report.Document.load(path) for path in options.files]
    if options.update_readme:
        report.update_readme(options.update_readme, documents)
        return
    for document in documents:
        print("\n".join([document.machine, *report.table(document), *report.summary(document)]))


def add_options(parser: argparse.ArgumentParser) -> None:
    """What all measuring commands take."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser.add_argument("--contenders", default="", help="comma-separated: numgrad, numgrad-compiled, torch, torch-compile, jax, numpy")
    parser.add_argument("--peer-python", default=sys.executable, help="the interpreter that has the peers (default: this one)")
    parser.add_argument("--threads", default=str(cores), help="numbers of threads, comma-separated (default: all cores)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contender (default: 3)")
    parser.add_argument("--seconds", type=float, default=0.15, help="of measuring a turn (default: 0.15)")
    parser.add_argument("--only", default="", metavar="PATTERN", help="cases whose name this regular expression is found in")
    parser.add_argument("--quick", action="store_true", help="one short turn each: whether it works, not how fast")
    parser.add_argument("--json", default="", metavar="FILE", help="write the figures")
    parser.add_argument("--plot", default="", metavar="FILE", help="draw the ratios, or the scaling (needs the extra 'plot')")


def main(arguments: list[str] | None = None) -> None:
    """Run a command."""
    parser = argparse.ArgumentParser(prog="python -m perf", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("limits", *COMMANDS, *PROCEDURES):
        sub = commands.add_parser(command)
        add_options(sub)
        sub.set_defaults(run=run_limits if command == "limits" else run_contest)
    tally.add_arguments(commands.add_parser("parity", help="results and trainings beside PyTorch's"))
    sub = commands.add_parser("table", help="tables out of JSON files")
    sub.add_argument("files", nargs="+")
    sub.add_argument("--update-readme", default="", metavar="FILE", help="replace the table between its two marker comments")
    sub.set_defaults(run=run_table)
    options = parser.parse_args(arguments)
    options.run(options)


if __name__ == "__main__":
    main()
