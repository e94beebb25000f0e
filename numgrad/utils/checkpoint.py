"""Checkpoints: parts of a network whose intermediate results are computed again on the way back instead of being kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import autograd
from ..autograd import Edge, Node, edge_of, enable_grad, mode
from ..ops.random import default_generator
from ..tensor import Tensor

__all__ = ["checkpoint", "checkpoint_sequential", "get_device_states", "set_device_states"]


def checkpoint(
    function: Callable[..., Any], *args: Any, use_reentrant: bool | None = None, preserve_rng_state: bool = True,
    context_fn: Any = None, determinism_check: str = "default", debug: bool = False, **kwargs: Any,
) -> Any:  # fmt: skip
    """`function(*args, **kwargs)`, without keeping what its gradient needs: backward calls the function once more.

    With `preserve_rng_state` the second call draws the same random numbers, so that dropout drops the same. Gradients reach the
    tensors among the arguments and every leaf that the function uses. `use_reentrant` is accepted: there is one way.
    (Chen, Xu, Zhang, Guestrin, "Training deep nets with sublinear memory cost", 2016.)
    """
    if context_fn is not None or debug:
        raise NotImplementedError("checkpoint(): context_fn and debug are not supported")
    if not mode.enabled:
        return function(*args, **kwargs)
    state = default_generator.get_state() if preserve_rng_state else None
    result = function(*args, **kwargs)
    several = isinstance(result, (tuple, list))
    outputs = list(result) if several else [result]
    live = [o for o in outputs if isinstance(o, Tensor) and o.requires_grad and o.grad_fn is not None]
    if not live:
        return result
    given = [a for a in (*args, *kwargs.values()) if isinstance(a, Tensor) and a.requires_grad]
    targets = given + _leaves(live, given)
    node = _Checkpoint(lambda: function(*args, **kwargs), state, targets, live)
    chosen = {id(o): node.adopt(o, n) for n, o in enumerate(live)}
    found = [chosen.get(id(o), o) for o in outputs]
    return type(result)(found) if several else found[0]  # type: ignore[call-arg]


def _leaves(tensors: list[Tensor], given: list[Tensor]) -> list[Tensor]:
    """The leaves that tensors were computed from, up to those that are given."""
    ends = {id(edge_of(t)[0]) for t in given}
    seen, found, waiting = set(ends), [], [edge_of(t)[0] for t in tensors]
    while waiting:
        target = waiting.pop()
        if id(target) in seen:
            continue
        seen.add(id(target))
        if isinstance(target, Node):
            waiting += [e[0] for e in target.edges if e is not None]
        else:
            found.append(target)
    return found


class _Checkpoint(Node):
    """Where the results of a checkpointed function came from."""

    def __init__(self, again: Callable[[], Any], state: Tensor | None, targets: list[Tensor], live: list[Tensor]):
        edges: list[Edge | None] = [edge_of(t) for t in targets]
        super().__init__(edges, [(t._data.shape, t._data.dtype) for t in live])
        self.again: Any = again
        self.state, self.targets = state, targets

    def adopt(self, output: Tensor, index: int) -> Tensor:
        """The output as this node's, without the graph that it had."""
        result = output.detach()
        result._node, result._index, result._requires_grad = self, index, True
        return result

    def gradients(self, grads: list[Any]) -> list[Any]:
        if self.again is None:
            raise RuntimeError("Trying to backward through the graph a second time: specify retain_graph=True the first time.")
        higher, now = mode.enabled, default_generator.get_state()
        if self.state is not None:
            default_generator.set_state(self.state)
        try:
            with enable_grad():
                result = self.again()
        finally:
            if self.state is not None:
                default_generator.set_state(now)
        outputs = result if isinstance(result, (tuple, list)) else [result]
        live = [o for o in outputs if isinstance(o, Tensor) and o.requires_grad and o.grad_fn is not None]
        if len(live) != len(self.outputs):
            raise RuntimeError(f"checkpoint: the function gave {len(live)} differentiable results, but {len(self.outputs)} the first time")
        wanted = [(o, g) for o, g in zip(live, grads, strict=True) if g is not None]
        with autograd.set_grad_enabled(higher):
            found = autograd.grad([o for o, _ in wanted], self.targets, [g for _, g in wanted], create_graph=higher, allow_unused=True)
        return list(found)

    def release(self) -> None:
        self.again = None


def checkpoint_sequential(functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any) -> Any:
    """A Sequential (or list of functions) in `segments` parts, all but the last checkpointed."""
    steps: Sequence[Any] = list(functions.children()) if hasattr(functions, "children") else list(functions)
    if not 0 < segments <= len(steps):
        raise ValueError(f"checkpoint_sequential(): segments must be between 1 and {len(steps)}, but got {segments}")
    size = len(steps) // segments

    def part(first: int, last: int) -> Callable[[Any], Any]:
        def run(x: Any) -> Any:
            for step in steps[first:last]:
                x = step(x)
            return x

        return run

    for n in range(segments - 1):
        input = checkpoint(part(n * size, (n + 1) * size), input, use_reentrant=use_reentrant, **kwargs)
    return part((segments - 1) * size, len(steps))(input)


def get_device_states(*args: Any) -> tuple[list[int], list[Tensor]]:
    """The devices of the arguments other than the CPU, and their generators' states: none."""
    return [], []


def set_device_states(devices: Sequence[int], states: Sequence[Tensor], *, device_type: str | None = None) -> None:
    """Accepted: there are no devices whose generators could be set back."""
