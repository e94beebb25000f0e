"""Functions over nested lists, tuples and dicts."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from ..compiler.tree import REGISTERED, Context, flatten, unflatten

__all__ = ["SUPPORTED_NODES", "LeafSpec", "NodeDef", "PyTree", "TreeSpec", "register_pytree_node", "tree_all", "tree_any", "tree_flatten", "tree_leaves", "tree_map", "tree_map_", "tree_map_only",
           "tree_structure", "tree_unflatten"]  # fmt: skip

PyTree: TypeAlias = Any


def register_pytree_node(
    cls: type, flatten_fn: Callable[[Any], tuple[Any, Any]], unflatten_fn: Callable[[Any, Any], Any], *, serialized_type_name: str | None = None,
    to_dumpable_context: Any = None, from_dumpable_context: Any = None, flatten_with_keys_fn: Any = None,
) -> None:  # fmt: skip
    """Take instances of a class for nests: `flatten_fn(x)` gives their children and a context, of which `unflatten_fn` makes one again.

    `numgrad.compile` looks into such arguments and results, too. What is about files of graphs is without effect.
    ValueError for a class that is registered already.
    """
    if cls in REGISTERED:
        raise ValueError(f"{cls} is already registered as pytree node.")
    REGISTERED[cls] = (flatten_fn, unflatten_fn)
    SUPPORTED_NODES[cls] = NodeDef(cls, flatten_fn, unflatten_fn)


_register_pytree_node = register_pytree_node


class MappingKey(NamedTuple):
    """A place in a dict."""

    key: Any


def _dict_flatten_with_keys(d: dict[Any, Any]) -> tuple[list[tuple[MappingKey, Any]], list[Any]]:
    """A dict's values with their places, and its keys."""
    return [(MappingKey(key), value) for key, value in d.items()], list(d)



class TreeSpec:
    """The form of a nest; equal for nests of one form. Made of a type, what `SUPPORTED_NODES` calls its context, and the forms of its children."""

    def __init__(self, type: Any = None, context: Any = None, children_specs: Sequence[TreeSpec] = ()):
        children = tuple(child.form for child in children_specs)
        self.form: Any = None
        if type is namedtuple:
            self.form = (context, None, children)
        elif type in REGISTERED:
            self.form = (type, Context(context), children)
        elif type is not None:
            self.form = (type, tuple(context) if issubclass(type, dict) else None, children)

    @classmethod
    def of(cls, form: Any) -> TreeSpec:
        """The same about what `flatten` of the compiler says of a nest."""
        made = cls()
        made.form = form
        return made

    @property
    def type(self) -> Any:
        """The nest's type: `namedtuple` for all of these, None for a leaf."""
        return None if self.form is None else namedtuple if hasattr(self.form[0], "_fields") else self.form[0]

    @property
    def context(self) -> Any:
        """Keys of a dict, type of a named tuple, or what a registered type's function gave."""
        if self.form is None or self.type in (list, tuple):
            return None
        kind, keys, _ = self.form
        return kind if self.type is namedtuple else keys.value if isinstance(keys, Context) else list(keys or ())

    @property
    def children_specs(self) -> list[TreeSpec]:
        """The forms of what is in it."""
        return [] if self.form is None else [TreeSpec.of(part) for part in self.form[2]]

    @property
    def num_leaves(self) -> int:
        """How many leaves the nest has."""
        return _count(self.form)

    def is_leaf(self) -> bool:
        """Whether it is the form of what is no nest."""
        return self.form is None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TreeSpec) and bool(self.form == other.form)

    def __hash__(self) -> int:
        return hash(self.form)

    def __repr__(self) -> str:
        return "*" if self.form is None else f"TreeSpec({self.type.__name__}, {self.context}, {self.children_specs})"


def LeafSpec() -> TreeSpec:
    """The form of a leaf."""
    return TreeSpec()


def _count(form: Any) -> int:
    return 1 if form is None else sum(map(_count, form[2]))


class NodeDef(NamedTuple):
    """How nests of a type are taken apart, into children and context, and made again."""

    type: Any
    flatten_fn: Callable[[Any], tuple[Any, Any]]
    unflatten_fn: Callable[[Any, Any], Any]


#: Type -> how its nests are taken apart; `namedtuple` stands for all of these.
SUPPORTED_NODES: dict[Any, NodeDef] = {
    list: NodeDef(list, lambda x: (x, None), lambda children, _: list(children)),
    tuple: NodeDef(tuple, lambda x: (list(x), None), lambda children, _: tuple(children)),
    namedtuple: NodeDef(namedtuple, lambda x: (list(x), type(x)), lambda children, kind: kind(*children)),
    dict: NodeDef(dict, lambda x: (list(x.values()), list(x)), lambda children, keys: dict(zip(keys, children, strict=True))),
    OrderedDict: NodeDef(OrderedDict, lambda x: (list(x.values()), list(x)), lambda children, keys: OrderedDict(zip(keys, children, strict=True))),
}


def _get_node_type(tree: Any) -> Any:
    """The key of `SUPPORTED_NODES` for a nest."""
    return namedtuple if isinstance(tree, tuple) and hasattr(tree, "_fields") else type(tree)


def tree_flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], TreeSpec]:
    """The leaves, and what `tree_unflatten` needs to nest them again. What `is_leaf` says yes to is not looked into."""
    leaves, form = flatten(tree if is_leaf is None else _closed(tree, is_leaf))
    return [leaf.value if type(leaf) is _Leaf else leaf for leaf in leaves], TreeSpec.of(form)


class _Leaf:
    def __init__(self, value: Any):
        self.value = value


def _closed(tree: Any, is_leaf: Callable[[Any], bool]) -> Any:
    """The nest with each leaf by `is_leaf` in a box."""
    if is_leaf(tree):
        return _Leaf(tree)
    if type(tree) in REGISTERED:
        children, context = REGISTERED[type(tree)][0](tree)
        return REGISTERED[type(tree)][1]([_closed(child, is_leaf) for child in children], context)
    if isinstance(tree, dict):
        made = type(tree)() if type(tree) is not dict else {}
        made.update((k, _closed(v, is_leaf)) for k, v in tree.items())
        return made
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(_closed(v, is_leaf) for v in tree))
    return type(tree)([_closed(v, is_leaf) for v in tree]) if type(tree) in (list, tuple) else tree


def tree_unflatten(leaves: Any, treespec: TreeSpec) -> Any:
    """The nest of these leaves. ValueError if there are not as many as it has."""
    leaves = list(leaves)
    if len(leaves) != treespec.num_leaves:
        raise ValueError(f"tree_unflatten expected {treespec.num_leaves} leaves, but got {len(leaves)}")
    return unflatten(leaves, treespec.form)


def tree_leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    """The leaves."""
    return tree_flatten(tree, is_leaf)[0]


def tree_structure(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> TreeSpec:
    """The form without the leaves."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """The nest of `func` of each leaf, and of those at the same places of `rests`, nests of the same form."""
    leaves, form = tree_flatten(tree, is_leaf)
    others = []
    for rest in rests:
        found, own = tree_flatten(rest, is_leaf)
        if own != form:
            raise ValueError(f"tree_map expected nests of one form, but got {form} and {own}")
        others.append(found)
    return tree_unflatten(map(func, leaves, *others), form)


def tree_map_(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """Call `func` for each leaf; the nest as it was."""
    tree_map(func, tree, *rests, is_leaf=is_leaf)
    return tree


def tree_map_only(type_or_types: Any, func: Callable[[Any], Any], tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """`tree_map` over the leaves of these types (or for which this function says yes); others stay."""
    chosen = (lambda x: isinstance(x, type_or_types)) if isinstance(type_or_types, (type, tuple)) else type_or_types
    return tree_map(lambda x: func(x) if chosen(x) else x, tree, is_leaf=is_leaf)


def tree_all(pred: Callable[[Any], bool], tree: Any) -> bool:
    """Whether `pred` holds for every leaf."""
    return all(map(pred, tree_leaves(tree)))


def tree_any(pred: Callable[[Any], bool], tree: Any) -> bool:
    """Whether `pred` holds for some leaf."""
    return any(map(pred, tree_leaves(tree)))
