"""A model's graph, read off the tape of one forward pass: what was computed from what, grouped by module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.versions_pb2 import VersionDef

import numgrad
from numgrad.autograd import Edge, Node, edge
from numgrad.tensor import Tensor


def graph_of(model: Any, inputs: Any) -> GraphDef:
    """The graph of `model(*inputs)` in evaluation mode; `inputs` is a tensor or a tuple of arguments."""
    return _Trace(model).run(inputs if isinstance(inputs, (tuple, list)) else (inputs,))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for v in value.values():
            yield from _tensors(v)
    elif isinstance(value, (tuple, list)):
        for v in value:
            yield from _tensors(v)


def _replaced(value: Any) -> Any:
    """Arguments whose tensors are new leaves that are tracked where their dtype allows."""
    if isinstance(value, Tensor):
        return value.detach().requires_grad_(value.is_floating_point())
    if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
        return type(value)(_replaced(v) for v in value)
    return value


class _Trace:
    """Names for the nodes of one forward pass: the scope of each is the innermost module that computed it."""

    def __init__(self, model: Any):
        self.model = model
        self.scopes: dict[str, str] = {}
        for path, module in model.named_modules(remove_duplicate=False):
            parent, _, name = path.rpartition(".")
            kind = type(module).__name__
            self.scopes[path] = f"{self.scopes[parent]}/{kind}[{name}]" if path else kind
        self.leaves: dict[int, str] = {}  # id of a tensor -> its name
        self.names: dict[int, tuple[str, Node]] = {}  # id of a node -> its name, and the node, which keeps the id its own
        self.used: dict[str, int] = {}
        self.shapes: dict[tuple[str, int], tuple[int, ...]] = {}
        self.extra: dict[int, list[str]] = {}  # integer inputs of nodes, which the tape does not keep
        self.read: set[int] = set()  # ids of the inputs among these
        self.active: list[str] = []  # scopes of the modules that are running

    def run(self, inputs: Any) -> GraphDef:
        model, inputs = self.model, _replaced(tuple(inputs))
        given = list(_tensors(inputs))
        self.leaves = {id(t): f"input/{i}" for i, t in enumerate(given)}
        parameters = dict(model.named_parameters())
        for path, p in parameters.items():
            owner, _, name = path.rpartition(".")
            self.leaves[id(p)] = f"{self.scopes[owner]}/{name}"
        tracked = {path: p.requires_grad for path, p in parameters.items()}
        modes = [(m, m.training) for m in model.modules()]
        hooks = []
        for path, module in model.named_modules():
            hooks.append(module.register_forward_pre_hook(self._called(self.scopes[path])))
            hooks.append(module.register_forward_hook(self._returned(self.scopes[path])))
        try:
            model.eval()
            for p in parameters.values():
                p.requires_grad_(p.is_floating_point())
            with numgrad.enable_grad():
                outputs = list(_tensors(model(*inputs)))
                nodes = self._definitions([*given, *parameters.values()], outputs)
        finally:
            for hook in hooks:
                hook.remove()
            for module, training in modes:
                module.training = training
            for path, p in parameters.items():
                p.requires_grad_(tracked[path])
        return GraphDef(node=nodes, versions=VersionDef(producer=22))

    def _called(self, scope: str) -> Any:
        """A hook that runs before a module: what it is given was computed by the module that calls it."""
        def hook(module: Any, inputs: Any) -> None:
            if self.active:
                self._name(self.active[-1], inputs)
            self.active.append(scope)

        return hook

    def _returned(self, scope: str) -> Any:
        """A hook that runs after a module: what is behind its outputs and has no name yet was computed by it."""
        def hook(module: Any, inputs: Any, outputs: Any) -> None:
            self.active.pop()
            first = self._name(scope, outputs)
            untracked = [id(t) for t in _tensors(inputs) if not t.requires_grad and id(t) in self.leaves and id(t) not in self.read]
            if first is not None:
                self.read.update(untracked)
                self.extra.setdefault(id(first), []).extend(self.leaves[i] for i in untracked)

        return hook

    def _name(self, scope: str, results: Any) -> Node | None:
        """Name what results were computed by, as far as it has no name; returns the first of these nodes."""
        new = sorted(self._behind(results), key=lambda node: node.sequence)
        for node in new:
            name = f"{scope}/{node.name().removesuffix('Backward0')}"
            self.used[name] = count = self.used.get(name, 0) + 1
            self.names[id(node)] = (name if count == 1 else f"{name}_{count - 1}", node)
        return new[0] if new else None

    def _behind(self, outputs: Any) -> list[Node]:
        """The nodes without a name that outputs were computed by."""
        found: list[Node] = []
        waiting, seen = [t.grad_fn for t in _tensors(outputs)], set()
        while waiting:
            node = waiting.pop()
            if not isinstance(node, Node) or id(node) in seen or id(node) in self.names:
                continue
            seen.add(id(node))
            found.append(node)
            waiting += [target for target, _, _ in filter(None, node.edges)]
        return found

    def _source(self, e: Edge) -> str:
        """The name of what an edge leads to; also notes the shape that came from there."""
        target, index, kind = e
        if isinstance(target, Node):
            name = self.names[id(target)][0]
        else:
            name = self.leaves.setdefault(id(target), f"constant/{len(self.leaves)}")
        self.shapes[name, index] = kind.shape
        return name if index == 0 else f"{name}:{index}"

    def _definitions(self, leaves: list[Tensor], outputs: list[Tensor]) -> list[NodeDef]:
        entries: list[tuple[str, str, list[str]]] = []
        for leaf in leaves:
            name = self.leaves[id(leaf)]
            self.shapes[name, 0] = tuple(leaf.shape)
            entries.append((name, "Input" if name.startswith("input/") else "Parameter", []))
        for name, node in self.names.values():
            sources = [self._source(e) for e in filter(None, node.edges)]
            entries.append((name, node.name().removesuffix("Backward0"), sources + self.extra.get(id(node), [])))
        for i, output in enumerate(outputs):
            source = [self._source(edge(output))] if output.requires_grad else []
            self.shapes[f"output/{i}", 0] = tuple(output.shape)
            entries.append((f"output/{i}", "Output", source))
        known = {name for name, _, _ in entries}
        entries += [(name, "Constant", []) for name in self.leaves.values() if name not in known]
        return [NodeDef(name=n, op=op, input=sources, attr=self._shape(n)) for n, op, sources in entries]

    def _shape(self, name: str) -> dict[str, AttrValue]:
        shape = self.shapes.get((name, 0))
        if shape is None:
            return {}
        message = TensorShapeProto(dim=[TensorShapeProto.Dim(size=n) for n in shape])
        return {"_output_shapes": AttrValue(list=AttrValue.ListValue(shape=[message]))}
