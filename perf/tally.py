"""Draw calls, ask both libraries, compare their answers, and count in how many calls they agree."""

from __future__ import annotations

import argparse
import os
import pickle
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from . import parity
from .agreement import Call, ElementType, Failure, answer, find, leaves, tree
from .agreement_cases import modules, optimizers, prunings

#: what may differ by rounding, relative to the largest number of an array: results and gradients in each dtype
CLOSE = {"float64": 1e-9, "float32": 2e-5}

#: likewise after 20 steps of an optimizer (PyTorch keeps products of NAdam's momentum in float32)
STEPS = 1e-7

#: functions that take so many arguments by place, and the rest by name
BY_PLACE = {"gelu": 1, "scaled_dot_product_attention": 6, "l1_loss": 2, "smooth_l1_loss": 2, "nll_loss": 2, "cross_entropy": 2, "mse_loss": 2,
            "huber_loss": 2, "kl_div": 2, "binary_cross_entropy": 2, "batch_norm": 1, "instance_norm": 1, "binary_cross_entropy_with_logits": 2, "poisson_nll_loss": 2, "ctc_loss": 4,
            "squeeze": 1, "unique_consecutive": 1, "fractional_max_pool2d_with_indices": 2, "fractional_max_pool3d_with_indices": 2}  # fmt: skip

#: where PyTorch has no gradient for all of the arguments, so that values alone are compared
VALUES_ONLY = {"fractional_max_pool2d_with_indices", "fractional_max_pool3d_with_indices", "heaviside"}

SEVERAL = "of several sources for one place, the one that was put gets the gradient"

#: where numgrad differs on purpose: (name, text in the line) -> why. Halves are not drawn: they differ from PyTorch's in the same places, and where
#: PyTorch rounds more than once (sums of `index_put`) or not at all (its `matrix_exp` of halves is NaN or infinite, numgrad's within a rounding).
DELIBERATE = {
    "(std|var)(_mean)?": ("inf|nan", "PyTorch divides by nothing where dim is ()"),
    "index_copy|put|index_put|scatter": ("gradient|overwritten", SEVERAL),
    "ctc_loss|CTCLoss": ("gradient|overwritten|IndexError|must be integers", "the gradient of log probabilities as they are, normalised or not; labels are checked"),
    "[hH]ardsigmoid": ("gradient|overwritten", "PyTorch rounds 1/6 to float32"),
    "(adaptive_)?avg_pool[123]d|threshold": ("not implemented for|non-zero size", "no means of integers or of nothing, no thresholds of integers"),
    "adaptive_avg_pool[23]d|avg_pool2d|fractional_max_pool2d_with_indices": ("IndexError", "PyTorch counts dimensions after it has used them"),
    "fractional_max_pool3d_with_indices|avg_pool3d": ("too large relative|smaller than kernel", "PyTorch wants more elements than windows need"),
    "adaptive_(avg|max)_pool[23]d": ("got 'text', PyTorch ValueError", "a text has a length, which PyTorch compares with the input's dimensions"),
    "sigmoid|tanh|tanhshrink|softsign": ("PyTorch AttributeError", "the functions of nn.functional, too, say which argument is no tensor"),
    "to": ("PyTorch none", "a number is no dtype; PyTorch ignores it"),
    "frexp": ("overwritten: numgrad raises", "the gradient is worked out from what was given, PyTorch's from the exponent"),
    "ldexp": ("gradient|overwritten", "PyTorch raises 2 to a whole number, so that negative ones give 0"),
    "isin": ("int too big to convert", "RuntimeError, as for other numbers that are too large"),
    "addmv": ("PyTorch float64..$|PyTorch float32..$", "a vector for a matrix without columns, where PyTorch gives the number that is added"),
    "feature_dropout": ("ValueError", "as nn.functional.dropout and its kin raise it"),
    "scaled_dot_product_attention": ("overwritten: numgrad raises", "kept for the gradient, as PyTorch's own kernel keeps it"),
    "prune: (too many|wrong)": ("^(names|state|gradient) ", "a pruning that fails leaves the module as it was; PyTorch puts the parameter last"),
    "Muon": ("result", "PyTorch orthogonalises in bfloat16"),
    "l1_loss|smooth_l1_loss|huber_loss|mse_loss|cross_entropy|kron|tanhshrink": ("inputs overwritten: numgrad raises", "one pass that keeps no difference: overwriting is an error"),
}


def ops(draws: int, pattern: str) -> Iterator[Call]:
    """Calls of every op, from its sample, that both libraries may know by its name; then those that are errors."""
    import numgrad
    from numgrad.ops import REGISTRY
    from numgrad.testing.draw import Draw

    for name, op in REGISTRY.items():
        if name.startswith("_") or find(numgrad, name) is None or not re.search(pattern, name):
            continue
        for seed in range(draws if op.sample else 0):
            for dtype in ("float64", "float32"):
                rng = np.random.default_rng(seed)
                args, kwargs = op.sample(Draw(lambda low, high: int(rng.integers(low, high, endpoint=True)), dtype, 4))  # noqa: B023
                how = "random" if op.random else "values" if name in VALUES_ONLY else None
                yield Call("op", name, *portable(named(op, args, kwargs)), how)
        for args, *_ in op.errors:
            yield Call("error", name, *portable(named(op, args, {})))


def named(op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A call whose later arguments are given by name, where PyTorch's function wants that; without those that are None."""
    count = BY_PLACE.get(op.name, len(args))
    rest = {k: v for k, v in zip(op.parameters[count:], args[count:], strict=False) if v is not None}
    return args[:count], rest | kwargs


def portable(call: tuple[Any, dict[str, Any]]) -> tuple[Any, dict[str, Any]]:
    """A call's arguments without objects of numgrad's."""
    from numgrad.dtypes import dtype

    def change(value: Any) -> Any:
        return ElementType(repr(value).split(".")[-1]) if isinstance(value, dtype) else value

    return tree(tuple(call[0]), change), {k: tree(v, change) for k, v in call[1].items()}


def ask_peer(calls: list[Call], python: str) -> list[dict[str, Any] | None]:
    """PyTorch's answers, from a process of its own; None for what it does not have."""
    with tempfile.TemporaryDirectory(prefix="numgrad-perf-") as folder:
        before, after = Path(folder) / "calls", Path(folder) / "answers"
        before.write_bytes(pickle.dumps(calls))
        command = [python, "-c", "from perf.agreement import main; main()", str(before), str(after)]
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)})
        return pickle.loads(after.read_bytes())


# --- comparison -------------------------------------------------------------------------------------------------------


def differences(call: Call, ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[str]:
    """What differs between two answers, a line each; nothing where PyTorch itself fails and numgrad does not."""
    if call.kind == "error":
        yield from differing_error(ours.get("error", ours.get("result")), theirs.get("error", theirs.get("result")))
        return
    for part in theirs:
        if isinstance(theirs[part], Failure):
            if part == "result" and not isinstance(ours.get(part), Failure):
                yield f"{part}: PyTorch raises {theirs[part].type}: {theirs[part].text}"
            continue
        if part not in ours:
            if part != "second gradient" or any(np.any(np.abs(a) > CLOSE["float64"]) for a in theirs[part]):
                yield f"{part}: numgrad has none"
            continue
        yield from (f"{part}: {line}" for line in differing(ours[part], theirs[part], call.extra == "random", call.kind == "optimizer"))


def deliberate(call: Call, line: str) -> str:
    """Why a difference is meant, if it is."""
    for name, (text, why) in DELIBERATE.items():
        if re.fullmatch(name, call.name) and re.search(text, line) and (why is not SEVERAL or repeats(call)):
            return why
    return ""


def repeats(call: Call) -> bool:
    """Whether a place is named twice in some array of indices, from either end."""
    arrays = [a for a in leaves((call.args, call.kwargs)) if isinstance(a, np.ndarray) and a.dtype.kind == "i"]
    return any(len(np.unique(a % n)) < a.size for a in arrays for n in (*call.args[0].shape, call.args[0].size) if n)


def differing_error(ours: Any, theirs: Any) -> Iterator[str]:
    """Exceptions agree if one's type is the other's or derived from it."""
    if ours == "none" or theirs == "none":
        if ours != theirs:
            shown = [e if e == "none" else f"{e.type}: {e.text}" for e in (ours, theirs)]
            yield f"error: {shown[0]}, PyTorch {shown[1]}"
    elif theirs.type not in ours.bases and ours.type not in theirs.bases:
        yield f"error: {ours.type}: {ours.text}, PyTorch {theirs.type}: {theirs.text}"


def differing(ours: Any, theirs: Any, random: bool = False, optimizing: bool = False) -> Iterator[str]:
    """Lists of arrays element by element; anything else must be equal."""
    if isinstance(ours, Failure):
        yield f"numgrad raises {ours.type}: {ours.text}"
    elif isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            yield f"{len(ours)} parts, PyTorch {len(theirs)}"
            return
        for n, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
                yield from (f"{n}: {line}" for line in differing_arrays(a, b, random, STEPS if optimizing else CLOSE.get(str(a.dtype), 0)))
            elif a != b and not random:
                yield f"{n}: {a}, PyTorch {b}"
    elif ours != theirs:
        yield f"{ours}, PyTorch {theirs}"


def differing_arrays(a: np.ndarray, b: np.ndarray, random: bool, close: float) -> Iterator[str]:
    """Dtype, shape, and values up to rounding."""
    if a.dtype != b.dtype or a.shape != b.shape:
        yield f"{a.dtype}{list(a.shape)}, PyTorch {b.dtype}{list(b.shape)}"
    elif random or a.size == 0:
        return
    elif a.dtype.kind != "f":
        if not np.array_equal(a, b):
            yield f"{a.ravel()[:6]}, PyTorch {b.ravel()[:6]}"
    else:
        with np.errstate(all="ignore"):
            finite = np.isfinite(a) & np.isfinite(b)
            scale = max(1.0, float(np.max(np.abs(b), where=finite, initial=0)))
            wrong = np.where(finite, np.abs(a - b) > close * scale, ~((a == b) | (np.isnan(a) & np.isnan(b))))
        if np.any(wrong):
            yield f"{a[wrong][:4]}, PyTorch {b[wrong][:4]} ({np.count_nonzero(wrong)} of {a.size})"


def print_losses(name: str, ours: np.ndarray, theirs: np.ndarray) -> None:
    """First loss, last loss, and the greatest relative difference between the two libraries over all steps."""
    parted = np.max(np.abs(ours - theirs) / np.abs(theirs))
    print(f"{name}: {len(ours)} steps, loss {theirs[0]:.4f} to {theirs[-1]:.4f}, greatest relative difference {parted:.1e}")


def run(options: argparse.Namespace) -> None:
    """Print what differs, then how many calls agree, by kind."""
    import numgrad

    trainings = [Call("training", name, (), {}) for name in parity.CASES]
    others = [c for c in (*modules(), *prunings(), *optimizers(), *trainings) if re.search(options.only, c.name)]
    calls = [*ops(options.draws, options.only), *others]
    answers = ask_peer(calls, options.peer_python)
    agreed: Counter[str] = Counter()
    names: dict[str, set[str]] = defaultdict(set)
    apart: dict[str, set[str]] = defaultdict(set)
    lacking = sorted({c.name for c, theirs in zip(calls, answers, strict=True) if theirs is None})
    for call, theirs in zip(calls, answers, strict=True):
        if theirs is None:
            continue
        if call.kind == "training":
            print_losses(call.name, answer(numgrad, call)["losses"], theirs["losses"])
            continue
        lines = list(differences(call, answer(numgrad, call), theirs))
        meant = [why for line in lines if (why := deliberate(call, line))]
        found = [line for line in lines if not deliberate(call, line)]
        names[call.kind].add(call.name)
        agreed[call.kind + (" apart" if found else " on purpose" if meant else "")] += 1
        if found:
            if call.name not in apart[call.kind] or options.all:
                print(f"{call}\n    " + "\n    ".join(found), flush=True)
            apart[call.kind].add(call.name)
    if lacking:
        print(f"not in PyTorch under these names: {', '.join(lacking)}")
    for kind, known in names.items():
        total, meant = sum(agreed[kind + how] for how in ("", " apart", " on purpose")), agreed[kind + " on purpose"]
        also = f", {meant} differ on purpose" if meant else ""
        print(f"{kind}s: {len(known)} names, {total} calls, {agreed[kind]} agree{also}; apart: {', '.join(sorted(apart[kind])) or 'none'}")
    if any(apart.values()) and not options.all:
        print("of each name, the first call that is apart is shown; --all shows all")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand."""
    parser.add_argument("--peer-python", default=sys.executable, help="the interpreter that has PyTorch (default: this one)")
    parser.add_argument("--draws", type=int, default=6, help="calls of each op and dtype (default: 6)")
    parser.add_argument("--only", default="", metavar="PATTERN", help="names that this regular expression is found in")
    parser.add_argument("--all", action="store_true", help="show every call that is apart, not the first of each name")
    parser.set_defaults(run=run)
