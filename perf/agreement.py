"""Do PyTorch and numgrad agree? The same calls in both, each in a process of its own, and what differs between their answers.

`answer(library, call)` runs one call in one library and says what happened in plain NumPy arrays and strings, so that answers can
be compared where the other library is not installed. Calls are ops (from the samples in the registry), errors (the calls that ops
declare to be wrong), modules, prunings and optimizers (`perf.agreement_cases`), and whole trainings (`perf.parity`).
"""

from __future__ import annotations

import importlib
import pickle
import sys
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from . import parity


class ElementType(str):
    """Stands for a dtype, whose object is each library's own."""


class Call(NamedTuple):
    """A call of something that both libraries have under one name."""

    kind: str  # op, error, module, pruning, optimizer or training
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    extra: Any = None  # inputs of a module, whether an op is random, the exception of an error

    def __str__(self) -> str:
        def show(value: Any) -> str:
            if isinstance(value, np.ndarray):
                return f"{value.dtype}{list(value.shape)}"
            if isinstance(value, (list, tuple)):
                return f"{type(value).__name__}({', '.join(map(show, value))})"
            if isinstance(value, dict):
                return f"{{{', '.join(f'{k}: {show(v)}' for k, v in value.items())}}}"
            return repr(value)

        return f"{self.kind} {self.name}({', '.join([*map(show, self.args), *(f'{k}={show(v)}' for k, v in self.kwargs.items())])})"


def tree(value: Any, change: Any) -> Any:
    """Nested tuples and lists with `change` of what is in them."""
    if type(value) in (list, tuple):
        return type(value)(tree(v, change) for v in value)
    return change(value)


def leaves(value: Any) -> Iterator[Any]:
    """What is in nested tuples, lists and dictionaries, in order."""
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from leaves(part)
    else:
        yield value


# --- one call in one library ------------------------------------------------------------------------------------------


def find(library: ModuleType, name: str) -> Any:
    """The public function or method of a name, None if there is none."""
    places = [(library.nn.functional, name), (library, name), (library.Tensor, name)]
    if name.startswith("linalg_"):
        places = [(library.linalg, name.removeprefix("linalg_"))]
    for place, tail in places:
        found = getattr(place, tail, None)
        if callable(found) and not isinstance(found, type):
            return found
    return None


#: arguments that have no gradient in PyTorch
CONSTANT = {
    **dict.fromkeys(("nll_loss", "cross_entropy", "binary_cross_entropy", "binary_cross_entropy_with_logits"), ("weight", "pos_weight")),
    **dict.fromkeys(("batch_norm", "instance_norm"), ("running_mean", "running_var")),
}


class Arguments:
    """A call's arguments as a library's tensors; those of floating point ask for gradients."""

    def __init__(self, library: ModuleType, call: Call, through: bool = False):
        self.floats: list[Any] = []

        tracked = call.kind != "error" and call.extra != "values"
        constant = [call.kwargs.get(name) for name in CONSTANT.get(call.name, ())]

        def own(value: Any) -> Any:
            if isinstance(value, ElementType):
                return getattr(library, value)
            if not isinstance(value, (np.ndarray, np.generic)):
                return value
            tensor = library.from_numpy(np.array(value))
            if not tensor.is_floating_point() or not tracked or any(value is c for c in constant):
                return tensor
            self.floats.append(tensor.requires_grad_())
            return tensor * 1 if through else tensor

        self.args = tree(call.args, own)
        self.kwargs = {k: tree(v, own) for k, v in call.kwargs.items()}


def is_tensor(value: Any) -> bool:
    """Whether it is a tensor of either library."""
    return hasattr(value, "requires_grad") and hasattr(value, "detach")


def plain(value: Any) -> Any:
    """A tensor as an array (its own memory), a dtype or shape as text."""
    if is_tensor(value):
        if getattr(value, "_is_zerotensor", bool)():  # PyTorch's stand-in for zeros, without memory
            value = value.clone()
        return np.array(value.detach().numpy())
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value).split(".")[-1]


def weights(outputs: list[Any], seed: int) -> list[np.ndarray]:
    """A gradient for each output, the same numbers in both libraries."""
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.choice([-1.0, -0.5, 0.25, 0.75, 1.0], tuple(o.shape))) for o in outputs]


def pull(library: ModuleType, outputs: list[Any], inputs: list[Any], seed: int, **options: Any) -> list[Any]:
    """Gradients of the inputs from made-up gradients of the outputs."""
    starts = [library.from_numpy(w).to(o.dtype) for w, o in zip(weights(outputs, seed), outputs, strict=True)]
    return list(library.autograd.grad(outputs, inputs, starts, allow_unused=True, **options))


def differentiable(result: Any) -> list[Any]:
    """The tensors of a result that have a gradient."""
    return [r for r in leaves(result) if is_tensor(r) and r.requires_grad]


def filled(grads: list[Any], inputs: list[Any]) -> list[np.ndarray]:
    """Gradients as arrays, zeros where none arrives: libraries differ in which zeros they compute."""
    return [np.zeros(tuple(x.shape), plain(x).dtype) if g is None else plain(g) for g, x in zip(grads, inputs, strict=True)]


def attempt(action: Any) -> Any:
    """What an action gives, or the type and text of its exception."""
    try:
        return action()
    except Exception as error:
        return Failure(type(error).__name__.strip("_"), [c.__name__.strip("_") for c in type(error).__mro__], str(error).split("\n")[0][:160])


class Failure(NamedTuple):
    """An exception: its type, that type's bases, its text."""

    type: str
    bases: list[str]
    text: str


def answer_op(library: ModuleType, call: Call) -> dict[str, Any]:
    """Results, gradients, their gradients, and gradients where the result or the inputs are overwritten before backward."""
    function, given = find(library, call.name), Arguments(library, call)
    result = attempt(lambda: function(*given.args, **given.kwargs))
    if isinstance(result, Failure):
        return {"result": result}
    found: dict[str, Any] = {"result": [plain(r) for r in leaves(result)], "differentiable": len(differentiable(result))}
    outputs, inputs = differentiable(result), given.floats
    if not outputs or call.extra == "random":
        return found
    grads = attempt(lambda: pull(library, outputs, inputs, 1, create_graph=True))
    if isinstance(grads, Failure):
        return found | {"gradient": grads}
    found["gradient"] = filled(grads, inputs)
    again = [g for g in grads if g is not None and g.requires_grad]
    if again:
        found["second gradient"] = attempt(lambda: filled(pull(library, again, inputs, 2), inputs))
    return found | {f"{what} overwritten": attempt(lambda what=what: overwritten(library, call, what)) for what in ("result", "inputs")}  # type: ignore[misc]


def overwritten(library: ModuleType, call: Call, what: str) -> Any:
    """Gradients where something is doubled in place after the call."""
    given = Arguments(library, call, through=True)
    outputs = differentiable(find(library, call.name)(*given.args, **given.kwargs))
    targets = outputs if what == "result" else [v for v in leaves((given.args, given.kwargs)) if is_tensor(v) and v.requires_grad]
    for target in targets:
        target.mul_(2)
    return filled(pull(library, outputs, given.floats, 1), given.floats)


def answer_error(library: ModuleType, call: Call) -> dict[str, Any]:
    """The exception that a wrong call raises."""
    given = Arguments(library, call)
    result = attempt(lambda: find(library, call.name)(*given.args, **given.kwargs))
    return {"error": result if isinstance(result, Failure) else "none"}


def fill(library: ModuleType, tensors: Any) -> None:
    """Numbers that follow from the name and shape of each tensor, so that both libraries begin alike."""
    with library.no_grad():
        for name, tensor in tensors:
            if tensor.is_floating_point():
                rng = np.random.default_rng(zlib.crc32(name.encode()))
                low = 0.5 if name.endswith("running_var") else -0.5
                tensor.copy_(library.from_numpy(np.asarray(rng.uniform(low, low + 1, tuple(tensor.shape)))))


def state(module: Any) -> dict[str, Any]:
    """A module's state as arrays."""
    return {name: plain(value) for name, value in module.state_dict().items()}


def answer_module(library: ModuleType, call: Call) -> dict[str, Any]:
    """The state a module begins with, its text, its results, gradients and state in training, and results in evaluation."""
    inputs, wanted_inputs, dtype = call.extra
    module = getattr(library.nn, call.name)(*call.args, **call.kwargs).to(getattr(library, dtype))
    found: dict[str, Any] = {"text": repr(module)}
    tensors = [library.from_numpy(np.array(x)) for x in inputs]
    tensors = [t.requires_grad_() if t.is_floating_point() and n < wanted_inputs else t for n, t in enumerate(tensors)]
    if "Lazy" in call.name:
        module(*tensors)
    fill(library, module.state_dict().items())
    found["keys"] = {name: (str(value.dtype), tuple(value.shape)) for name, value in state(module).items()}
    result = module(*tensors)
    found["result"], outputs = [plain(r) for r in leaves(result)], differentiable(result)
    wanted = [t for t in tensors if t.requires_grad] + [p for _, p in sorted(module.named_parameters())]
    if outputs and wanted:
        found["gradient"] = filled(pull(library, outputs, wanted, 1), wanted)
    found["state"] = [value for _, value in sorted(state(module).items())]
    module.eval()
    with library.no_grad():
        found["result in evaluation"] = [plain(r) for r in leaves(module(*tensors))]
    return found


def answer_optimizer(library: ModuleType, call: Call) -> dict[str, Any]:
    """Parameters after each of 20 steps, the state's keys, and the settings."""
    tensors = {"matrix": library.zeros(3, 4, dtype=library.float64), "vector": library.zeros(5, dtype=library.float64)}
    if call.name == "Muon":
        del tensors["vector"]
    fill(library, tensors.items())
    parameters = [t.requires_grad_() for t in tensors.values()]
    optimizer = getattr(library.optim, call.name)(parameters, *call.args, **call.kwargs)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = sum(((p - 0.3) ** 2 * (2 + (3 * p).sin())).sum() + (p.roll(1, 0) * p).sum() for p in parameters)
        loss.backward()
        return loss

    losses, path = [], []
    for _ in range(20):
        losses.append(plain(optimizer.step(closure)))
        path.append(np.concatenate([plain(p).ravel() for p in parameters]))
    saved = optimizer.state_dict()
    keys = sorted({key for values in saved["state"].values() for key in values})
    settings = {k: plain(v) for k, v in saved["param_groups"][0].items() if k != "params"}
    return {"result": [np.stack(path), np.stack(losses)], "state's keys": keys, "settings": settings}


def answer_pruning(library: ModuleType, call: Call) -> dict[str, Any]:
    """What a network is made of after each step of a pruning, and read back from a pickle; random masks are counted."""
    nn, prune = library.nn, importlib.import_module(f"{library.__name__}.nn.utils.prune")
    model = nn.Sequential(nn.Conv1d(4, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(30, 4)).to(library.float64)
    fill(library, sorted(model.named_parameters()))
    x = library.from_numpy(np.random.default_rng(0).uniform(-1, 1, (2, 4, 7)))

    def own(value: Any) -> Any:
        return library.from_numpy(value.copy()) if isinstance(value, np.ndarray) else getattr(prune, value, value) if isinstance(value, str) else value

    def learn() -> None:
        model(x).square().sum().backward()
        with library.no_grad():
            for p in model.parameters():
                p -= 0.1 * p.grad
                p.grad = None

    found: dict[str, Any] = {}
    for n, (name, places, settings) in enumerate(call.args):
        settings = {k: {(model[i], p): own(a) for (i, p), a in v.items()} if isinstance(v, dict) else own(v) for k, v in settings.items()}
        target = ([(model[i], p) for i, p in places],) if name == "global_unstructured" else [x for i, p in places for x in (model[i], p)]
        step = attempt(learn if name == "learn" else lambda: getattr(prune, name)(*target, **settings))  # noqa: B023
        found |= {f"{part} after {n} {name}": value for part, value in pruned(library, prune, model, x, call.extra).items()}
        found[f"error after {n} {name}"] = step.type if isinstance(step, Failure) else "none"
    again = pickle.loads(pickle.dumps(model))
    return found | {f"{part} read back": value for part, value in pruned(library, prune, again, x, call.extra).items()}


def pruned(library: ModuleType, prune: Any, model: Any, x: Any, extra: Any) -> dict[str, Any]:
    """A network's tensors, hooks, result and gradients; of masks that are random, how many elements each slice keeps."""
    parameters, hooks = dict(model.named_parameters()), [h for m in model for h in m._forward_pre_hooks.values()]
    kinds = [f"{name} {type(getattr(m, name)).__name__}" for m in model for name in ("weight", "bias") if hasattr(m, name)]
    names = [*state(model), "parameters", *parameters, "buffers", *dict(model.named_buffers()), *kinds, *[type(h).__name__ for h in hooks]]
    whether = [prune.is_pruned(m) for m in (model, *model)]
    if extra:
        masks = [plain(b) for _, b in model.named_buffers()]
        counts = [np.sort(m.reshape(len(m), -1).sum(1)) for m in masks] if extra == "slices" else [sum(m.sum() for m in masks)]
        return {"names": names, "pruned": whether, "counts": counts}
    result = model(x)
    grads = library.autograd.grad(result.sum(), list(parameters.values()))
    return {"names": names, "pruned": whether, "state": list(state(model).values()), "result": [plain(result)], "gradient": [plain(g) for g in grads]}


def answer_training(library: ModuleType, call: Call) -> dict[str, Any]:
    """The losses of a training."""
    return {"losses": parity.losses(library, call.name)}


def answer(library: ModuleType, call: Call) -> dict[str, Any]:
    """What a call gives in a library."""
    library.manual_seed(0)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = attempt(lambda: globals()[f"answer_{call.kind}"](library, call))
    return {"result": found} if isinstance(found, Failure) else found


def main() -> None:
    """PyTorch's answers to the calls in one file, into another: the two arguments of the process."""
    import torch

    calls = pickle.loads(Path(sys.argv[1]).read_bytes())
    torch.set_num_threads(1)
    names = {call.name: None for call in calls if call.kind in ("op", "error")}
    known = {name for name in names if find(torch, name) is not None}
    answers = [None if c.name in names and c.name not in known else answer(torch, c) for c in calls]
    Path(sys.argv[2]).write_bytes(pickle.dumps(answers))

