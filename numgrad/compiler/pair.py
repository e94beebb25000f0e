"""Forward and backward as two programs: for functions whose results take part in a graph outside, as `compile(module)` makes.

The forward program leaves what the backward one needs in a frame of its own, so that several calls may come before the first
backward.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import autograd
from ..autograd import Node, edge_of, mode
from ..jit import empty, zeros
from ..tensor import Tensor, wrap
from .recorder import Memory, address, memories_of
from .recording import Recording
from .schedule import Layout
from .tree import flatten, unflatten
from .variant import Replay, Variant


class Call:
    """One eager run of a function with the graph of its results set apart: from `targets` to `live` results."""

    def __init__(self, recording: Recording, inputs: list[np.ndarray], inner: list[Tensor | None], outer: list[Tensor | None]):
        self.recording, self.inputs = recording, inputs
        self.parameters = [t for t in recording.watch.tensors if t._requires_grad and t.is_leaf]
        self.entered = [n for n, t in enumerate(inner) if t is not None]
        self.live = [leaf for _, leaf in recording.live]
        self.targets = self.parameters + [t for t in inner if t is not None]
        self.edges = [edge_of(t) for t in self.parameters] + [edge_of(t) for t in outer if t is not None]
        self.backward: Recording | None = None

    def results(self, done: Callable[[Call], None]) -> Any:
        """The function's result, its live tensors on a node that records the way back."""
        node = _RecordingNode(self, done)
        leaves = []
        for n, leaf in enumerate(flatten(self.recording.result)[0]):
            index = next((i for i, (at, _) in enumerate(self.recording.live) if at == n), None)
            leaves.append(leaf if index is None else _attach(wrap(leaf._data), node, index))
        self.recording.result = None
        return unflatten(leaves, self.recording.spec)

    def memories(self) -> list[Memory]:
        """What the forward pass left: its kept temporaries and results, by their numbers there, and its arguments."""
        forward = self.recording
        numbers = [*forward.kept, *sorted({o[0].memory for o in forward.outputs if type(o) is tuple})]
        saved = [Memory("saved", forward.memories[n].address, forward.memories[n].length, None, n) for n in numbers]
        return saved + memories_of(self.inputs, "argument")


def _attach(tensor: Tensor, node: Node, index: int) -> Tensor:
    tensor._node, tensor._index, tensor._requires_grad = node, index, True
    return tensor


def _dense(grads: list[Any], outputs: Any) -> list[np.ndarray]:
    """The gradients as contiguous arrays, zeros for those that did not come."""
    return [zeros(shape, dtype) if g is None else g.contiguous()._data for g, (shape, dtype) in zip(grads, outputs, strict=True)]


def _refuse_second_order() -> None:
    if mode.enabled:
        raise RuntimeError(
            "a compiled function has no gradient of its gradient; compile the whole step (with backward inside it), or run it eagerly"
        )


class _RecordingNode(Node):
    """Where live results came from in a call that was recorded: its way back is recorded, too."""

    __slots__ = ("call", "done")

    def __init__(self, call: Call, done: Callable[[Call], None]):
        super().__init__(call.edges, [(t._data.shape, t._data.dtype) for t in call.live])
        self.call: Any = call
        self.done = done

    def gradients(self, grads: list[Any]) -> list[Any]:
        _refuse_second_order()
        call = self.call
        if call is None:
            raise RuntimeError("Trying to backward through the graph a second time: specify retain_graph=True the first time.")
        arrays = _dense(grads, self.outputs)
        tensors = [wrap(a) for a in arrays]

        def back() -> Any:
            return autograd.grad(call.live, call.targets, tensors, retain_graph=True, allow_unused=True)

        if call.recording.reason is not None:
            self.done(call)
            return list(back())
        call.backward = Recording(back, (), {}, [*memories_of(arrays), *call.memories()], [call.parameters])
        result, call.backward.result = call.backward.result, None
        self.done(call)
        return list(result)

    def release(self) -> None:
        self.call = None


class Pair(Variant):
    """A forward program and its backward program."""

    def __init__(self, call: Call, layout: Layout, backward_layout: Layout):
        super().__init__(call.recording, layout)
        self.frame, self.frame_length = layout.frame, layout.frame_length
        self.live = [n for n, _ in call.recording.live]
        self.parameters, self.entered = call.parameters, call.entered
        self.lock = threading.Lock()  # several threads may go back at once
        self.back = Replay(call.backward, backward_layout)  # type: ignore[arg-type]
        self.outputs_at = [(o[0].memory, n) for n, o in enumerate(self.outputs) if type(o) is tuple]

    def run_pair(self, inputs: list[np.ndarray], outer: list[Tensor | None]) -> Any:
        """The function's result, its live tensors on a node that replays the way back."""
        frame = empty(max(self.frame_length, 1), np.uint8)
        start = address(frame)
        for number, offset in self.frame.items():
            self.program.addresses[number] = start + offset
        leaves = self.run_flat(inputs)
        live = [leaves[n] for n in self.live]
        edges = [edge_of(t) for t in self.parameters] + [edge_of(t) for t in outer if t is not None]
        node = _ReplayNode(self, edges, live, frame, inputs, [(number, leaves[n]._data) for number, n in self.outputs_at])
        for index, tensor in enumerate(live):
            _attach(tensor, node, index)
        return unflatten(leaves, self.spec)


class _ReplayNode(Node):
    __slots__ = ("frame", "held", "inputs", "pair", "versions")

    def __init__(self, pair: Pair, edges: list[Any], live: list[Tensor], frame: np.ndarray, inputs: list[np.ndarray], held: list[Any]):
        super().__init__(edges, [(t._data.shape, t._data.dtype) for t in live])
        self.pair = pair
        self.frame: Any = frame
        self.inputs: Any = inputs
        self.held: Any = held
        self.versions = [t._version for t in pair.parameters]

    def gradients(self, grads: list[Any]) -> list[Any]:
        _refuse_second_order()
        pair, back = self.pair, self.pair.back
        if self.frame is None:
            raise RuntimeError("Trying to backward through the graph a second time: specify retain_graph=True the first time.")
        if [t._version for t in pair.parameters] != self.versions:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an inplace operation: a parameter of a "
                "compiled function changed between its forward and its backward pass"
            )
        arrays = _dense(grads, self.outputs)
        with pair.lock:
            if not back.sites.follow(back.program.addresses):
                raise RuntimeError("a parameter of a compiled function was replaced between its forward and its backward pass")
            back.bind("input", arrays)
            back.bind("argument", self.inputs)
            self._bind_saved(back)
            raw = back.take_results()
            back.execute()
            return unflatten(back.result(raw), back.spec)

    def _bind_saved(self, back: Replay) -> None:
        start, frame, made = address(self.frame), self.pair.frame, dict(self.held)
        for number, position in back.given("saved"):
            array = made.get(position)
            back.program.addresses[number] = start + frame[position] if array is None else address(array)

    def release(self) -> None:
        self.frame = self.inputs = self.held = None
