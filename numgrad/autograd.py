"""The tracer: what was computed from what, and the walk back along it.

A `Node` is one executed operation; its edges lead to the nodes (or leaf tensors) its inputs came from. Nodes are
numbered as they are made, so walking back in falling order visits each after everything that used it: no recursion,
no counting.
"""

from __future__ import annotations

import itertools
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from .grad_mode import (
    RemovableHandle,
    detect_anomaly,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    mode,
    no_grad,
    set_detect_anomaly,
    set_grad_enabled,
)  # fmt: skip
from .jit.memory import owns
from .kinds import Kind, learn

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "AccumulateGrad", "Edge", "Node", "RemovableHandle", "backward", "detect_anomaly", "edge", "edge_of", "enable_grad", "grad",
    "inference_mode", "is_grad_enabled", "is_inference_mode_enabled", "mode", "no_grad", "set_detect_anomaly", "set_grad_enabled",
]  # fmt: skip

#: The number of a node: those made later have larger ones.
next_number = itertools.count(1).__next__


#: Where the gradient of one input goes, a node's output or a leaf, and what it must be there: (target, index, kind), of which
#: only the kind's shape and dtype count.
Edge = tuple[Any, int, Kind]


def edge(tensor: Tensor) -> Edge:
    """The edge to where a tensor that requires grad came from."""
    node = tensor._node
    return tensor if node is None else node, tensor._index, tensor._kind or learn(tensor)


class _Ops:
    """What the walk back needs of the ops, which are written with what stands here, and put themselves in."""

    fit: Callable[..., Any]
    filled: Callable[..., Any]


ops = _Ops()

#: `outputs` of a node with one output, of which nothing is asked.
SINGLE: Sequence[Any] = (None,)


class Node:
    """One operation on the tape. `edges[i]` is None where input i needs no gradient; `outputs` holds (shape, dtype) of each output."""

    # Rare fields are class attributes until set.
    hooks: dict[int, list[Callable[..., Any]]] | None = None
    metadata: dict[str, Any] | None = None
    trace: list[str] | None = None
    selective = False  # whether `gradients` also takes which edges are wanted

    def __init__(self, edges: Sequence[Edge | None], outputs: Sequence[Any]):
        self.begin(edges, outputs)

    def begin(self, edges: Sequence[Edge | None], outputs: Sequence[Any]) -> None:
        """Take the next number on the tape."""
        self.edges, self.outputs, self.sequence = edges, outputs, next_number()
        if mode.anomaly:
            self.note_place()

    def note_place(self) -> None:
        """Keep where in the program it was called."""
        self.trace = traceback.format_stack()[:-3]

    def name(self) -> str:
        """The operation's name, as shown in a tensor's repr."""
        return type(self).__name__

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """The nodes this one's gradients go to, as PyTorch lists them."""
        return tuple((None, 0) if e is None else (_as_function(e[0]), e[1]) for e in self.edges)

    def gradients(self, grads: list[Any]) -> Sequence[Any]:
        """The gradient for each edge, given one for each output (None: zero)."""
        raise NotImplementedError(f"{self.name()} has no gradient")

    def release(self) -> None:
        """Forget what was saved for the way back."""

    def __repr__(self) -> str:
        return f"<{self.name()}>"


class AccumulateGrad:
    """Stands for a leaf in `next_functions`: gradients that arrive are added to `variable.grad`."""

    def __init__(self, variable: Tensor):
        self.variable = variable
        self.next_functions: tuple[Any, ...] = ()

    def name(self) -> str:
        """The name shown in graphs."""
        return "numgrad::autograd::AccumulateGrad"


def _as_function(target: Any) -> Any:
    return target if isinstance(target, Node) else AccumulateGrad(target)


# --- the walk back --------------------------------------------------------------------------------------------------


#: What `grad` asks for: by the id of a node or leaf, its outputs, each with the place of what arrives there among the results.
_Wanted = dict[int, dict[int, int]]


class _Walk:
    """One backward pass: gradients on their way, the nodes still to visit, and where to put what arrives."""

    def __init__(self, wanted: _Wanted | None, allowed: set[int] | None, create_graph: bool):
        self.nodes: dict[int, tuple[Node, list[Any]]] = {}  # by sequence number, with what arrived at each output
        self.leaves: dict[int, tuple[Any, list[Any]]] = {}
        self.heap: list[int] = []  # sequence numbers of `nodes`, negative: the last comes first
        self.wanted, self.allowed, self.create_graph = wanted, allowed, create_graph
        self.captured: dict[int, Any] = {}

    def send(self, edges: Sequence[Edge | None], received: Sequence[Any]) -> None:
        """Add gradients to what has arrived at nodes' outputs and at leaves."""
        nodes, leaves, allowed = self.nodes, self.leaves, self.allowed
        for e, grad in zip(edges, received, strict=True):
            if e is None or grad is None:
                continue
            target, index, wanted = e
            if allowed is not None and id(target) not in allowed:
                continue
            kind = grad._kind or learn(grad)
            if kind is not wanted and (kind.shape != wanted.shape or kind.dtype != wanted.dtype):
                grad = ops.fit(grad, wanted)
            if isinstance(target, Node):
                key = target.sequence
                found = nodes.get(key)
                if found is None:
                    found = nodes[key] = (target, [None] * len(target.outputs))
                    heappush(self.heap, -key)
            else:
                key = id(target)
                found = leaves.get(key)
                if found is None:
                    leaves[key] = (target, [grad])
                    continue
            slots = found[1]
            slots[index] = grad if slots[index] is None else slots[index] + grad

    def run(self, retain_graph: bool) -> None:
        heap, nodes, send, wanted, allowed, anomaly = self.heap, self.nodes, self.send, self.wanted, self.allowed, mode.anomaly
        while heap:
            node, grads = nodes.pop(-heappop(heap))
            if node.hooks is not None:
                self._hooks(node.hooks, grads)
            if wanted is None:
                received = _with_trace(node, grads) if anomaly else node.gradients(grads)
            else:
                if id(node) in wanted:
                    self._capture(wanted[id(node)], grads)
                some = tuple([e is not None and id(e[0]) in allowed for e in node.edges])  # type: ignore[operator]
                if True not in some:
                    continue
                received = _with_trace(node, grads) if anomaly else node.gradients(grads, some) if node.selective else node.gradients(grads)  # type: ignore[call-arg]
            send(node.edges, received)
            if not retain_graph:
                node.release()
            del grads, received  # what a leaf gets must have no other owner
        for leaf, grads in self.leaves.values():
            if leaf._hooks is not None:
                self._hooks(leaf._hooks, grads)
            if wanted is None:
                _accumulate(leaf, grads, self.create_graph)
            elif id(leaf) in wanted:
                self._capture(wanted[id(leaf)], grads)

    def _hooks(self, hooks: dict[int, list[Callable[..., Any]]], grads: list[Any]) -> None:
        for index, functions in hooks.items():
            for function in list(functions):
                if grads[index] is not None:
                    changed = function(grads[index])
                    if changed is not None:
                        grads[index] = changed

    def _capture(self, places: dict[int, int], grads: list[Any]) -> None:
        for index, place in places.items():
            self.captured[place] = grads[index]


def _with_trace(node: Node, grads: list[Any]) -> Sequence[Any]:
    """Anomaly mode: on an error or a NaN, show where the forward operation was called."""
    where = "" if node.trace is None else f"\nThe forward operation was called here:\n{''.join(node.trace)}"
    try:
        received = node.gradients(grads)
    except Exception as error:
        raise RuntimeError(f"{node.name()} failed in backward: {error}{where}") from error
    for i, grad in enumerate(received if mode.check_nan else ()):
        if grad is not None and grad.is_floating_point() and bool(grad.isnan().any()):
            raise RuntimeError(f"Function '{node.name()}' returned nan values in its {i}th output.{where}")
    return received


# A gradient nobody else holds becomes `.grad` itself; one that is shared (add sends the same tensor both ways) is copied.
# The counts are what CPython's getrefcount gives for a tensor held by one list, one local name and the call, and for its
# array held by the tensor, one local name and the call.
_TENSOR_REFERENCES, _ARRAY_REFERENCES = 3, 3


def _accumulate(leaf: Tensor, grads: list[Any], create_graph: bool) -> None:
    grad, before = grads[0], leaf.grad
    if grad is None:
        return
    if before is not None:
        if create_graph:
            leaf.grad = before + grad
        else:
            before += grad
    elif create_graph:
        leaf.grad = grad
    else:
        data = grad._data
        own = sys.getrefcount(grad) <= _TENSOR_REFERENCES and sys.getrefcount(data) <= _ARRAY_REFERENCES
        own = own and not grad._requires_grad and owns(data) and data.flags.c_contiguous and data.flags.writeable
        leaf.grad = grad if own else grad.detach().clone()
    if leaf._accumulate_hooks is not None:
        for hook in list(leaf._accumulate_hooks.values()):
            hook(leaf)


def _reachable(roots: Iterable[Any], wanted: Iterable[int]) -> set[int]:
    """The targets on a path from the roots to a wanted one."""
    nodes: list[Node] = []
    seen, waiting = set(), list(roots)
    while waiting:
        target = waiting.pop()
        if isinstance(target, Node) and id(target) not in seen:
            seen.add(id(target))
            nodes.append(target)
            waiting += [e[0] for e in target.edges if e is not None]
    useful = set(wanted)
    nodes.sort(key=_sequence_number)
    for node in nodes:
        for e in node.edges:
            if e is not None and id(e[0]) in useful:
                useful.add(id(node))
                break
    return useful


_sequence_number = attrgetter("sequence")


def _first_gradient(tensor: Tensor, grad: Any, what: str) -> Any:
    if not tensor.requires_grad:
        raise RuntimeError(f"element 0 of {what} does not require grad and does not have a grad_fn")
    if grad is None:
        if tensor.numel() != 1:
            raise RuntimeError("grad can be implicitly created only for scalar outputs")
        return ops.filled(tensor._data.shape, tensor._data.dtype, 1, tensor._kind)
    if grad._data.shape != tensor._data.shape:
        raise RuntimeError(f"Mismatch in shape: grad_output[0] has a shape of {grad.shape} and output[0] has a shape of {tensor.shape}.")
    return grad


def _run(
    tensors: Sequence[Tensor], grads: Sequence[Any], wanted: Any, retain_graph: bool | None, create_graph: bool, what: str
) -> dict[int, Any]:
    if len(tensors) != len(grads):
        raise RuntimeError(f"got {len(tensors)} tensors and {len(grads)} gradients")
    first = [_first_gradient(t, g, what) for t, g in zip(tensors, grads, strict=True)]
    edges = [edge_of(t) for t in tensors]
    retain = create_graph if retain_graph is None else retain_graph
    before, mode.enabled = mode.enabled, bool(create_graph)
    try:
        if wanted is not None and len(edges) == 1 and (found := _at_once(*edges[0], first[0], wanted, retain)) is not None:
            return found
        walk = _Walk(wanted, None if wanted is None else _reachable([e[0] for e in edges], wanted), create_graph)
        walk.send(edges, first)
        del first
        walk.run(retain)
    finally:
        mode.enabled = before
    return walk.captured


def _at_once(node: Any, index: int, kind: Kind, first: Tensor, wanted: _Wanted, retain: bool) -> dict[int, Any] | None:
    """What arrives where it is wanted, if that is at leaves that went into this one node, and nobody watches; else None."""
    if not (isinstance(node, Node) and node.selective) or node.hooks is not None or mode.anomaly or first._kind is not kind or id(node) in wanted:
        return None
    for e in node.edges:
        if e is not None and (isinstance(e[0], Node) or e[0]._hooks is not None):
            return None
    some = tuple([e is not None and id(e[0]) in wanted for e in node.edges])
    if True not in some:
        return None
    grads = [None] * len(node.outputs)
    grads[index] = first  # type: ignore[call-overload]
    found: dict[int, Any] = {}
    for e, is_wanted, grad in zip(node.edges, some, node.gradients(grads, some), strict=True):  # type: ignore[call-arg]
        if is_wanted and grad is not None:
            target, _, kind = e  # type: ignore[misc]
            if (grad._kind or learn(grad)) is not kind:
                grad = ops.fit(grad, kind)
            place = wanted[id(target)][0]
            found[place] = found[place] + grad if place in found else grad
    if not retain:
        node.release()
    return found


def edge_of(tensor: Tensor) -> Edge:
    """`edge`, after a view has caught up with in-place changes of its base."""
    if tensor._base is not None:
        tensor.catch_up()
    return edge(tensor)


def _sequence_of(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def backward(tensors: Any, grad_tensors: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None) -> None:
    """Add the gradients of `tensors` (summed, weighted with `grad_tensors`) to `.grad` of the leaves, or of `inputs` only."""
    tensors = _sequence_of(tensors)
    grads = (None,) * len(tensors) if grad_tensors is None else _sequence_of(grad_tensors)
    if inputs is None:
        _run(tensors, grads, None, retain_graph, create_graph, "tensors")
        return
    inputs = _sequence_of(inputs)
    if not inputs:
        raise RuntimeError("`inputs` argument to `backward` cannot be empty.")
    for tensor, found in zip(inputs, grad(tensors, inputs, grads, retain_graph, create_graph, allow_unused=True), strict=True):
        _accumulate(tensor, [found], create_graph)


def grad(
    outputs: Any, inputs: Any, grad_outputs: Any = None, retain_graph: bool | None = None, create_graph: bool = False,
    only_inputs: bool = True, allow_unused: bool | None = None, is_grads_batched: bool = False, materialize_grads: bool = False,
) -> tuple[Any, ...]:  # fmt: skip
    """The gradients of the sum of `outputs` (weighted with `grad_outputs`) with respect to each of `inputs`.

    Nothing is added to `.grad`: `only_inputs=False`, which once asked for that, is answered with a FutureWarning, as in PyTorch.
    """
    if not only_inputs:
        warnings.warn("only_inputs is ignored: call autograd.backward to accumulate gradients of other leaves too", FutureWarning, stacklevel=2)
    outputs, inputs = _sequence_of(outputs), _sequence_of(inputs)
    if allow_unused is None and materialize_grads:
        allow_unused = True
    if materialize_grads and not allow_unused:
        raise ValueError("materialize_grads=True needs allow_unused=True or None, but allow_unused=False was given")
    if is_grads_batched:
        from .derivatives import gradients_of_batches

        return gradients_of_batches(outputs, inputs, _sequence_of(grad_outputs), create_graph, allow_unused, materialize_grads)
    grads = (None,) * len(outputs) if grad_outputs is None else _sequence_of(grad_outputs)
    for tensor in inputs:
        if not tensor.requires_grad:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    edges = [edge_of(t) for t in inputs]
    wanted: _Wanted = {}
    places = [wanted.setdefault(id(e[0]), {}).setdefault(e[1], i) for i, e in enumerate(edges)]
    captured = _run(outputs, grads, wanted, retain_graph, create_graph, "outputs")
    found = [captured.get(place) for place in places]
    for i, tensor in enumerate(inputs):
        if found[i] is None:
            if materialize_grads:
                from .ops import zeros_like

                found[i] = zeros_like(tensor, requires_grad=False)
            elif not allow_unused:
                raise RuntimeError(
                    "One of the differentiated Tensors appears to not have been used in the graph. "
                    "Set allow_unused=True if this is the desired behavior."
                )
    return tuple(found)
