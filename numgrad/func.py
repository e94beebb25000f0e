"""Functions of functions: gradients, Jacobians, batching; and modules as functions of their parameters.

They nest in any order. `vmap` runs the function once for each element of the batch and stacks the results, so it is right for
every operation, and as fast as a Python loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numgrad
from numgrad import autograd
from numgrad.autograd import Node
from numgrad.compiler.tree import flatten, unflatten
from numgrad.nn.modules.module import Module
from numgrad.ops.random import default_generator
from numgrad.tensor import Tensor

__all__ = [
    "functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "stack_module_state",
    "value_and_grad", "vjp", "vmap",
]  # fmt: skip


# --- leaves to differentiate by -------------------------------------------------------------------------------------


class _Leaves:
    """The tensors of a nest, each made anew so that a gradient can be taken by it alone; what it came from stays reachable."""

    def __init__(self, nest: Any):
        found, self.spec = flatten(nest)
        for t in found:
            if not isinstance(t, Tensor):
                raise ValueError(f"expected arguments to differentiate by to be Tensors or nests of them, but got {type(t).__name__}")
            if not t.is_floating_point():
                raise RuntimeError(f"cannot differentiate by a tensor of {t.dtype}")
        tracked = numgrad.is_grad_enabled()
        self.tensors = [t.view_as(t) if tracked and t.requires_grad else t.detach().requires_grad_() for t in found]
        self.nest = unflatten(list(self.tensors), self.spec)

    def depends_on_more(self, outputs: Sequence[Tensor]) -> bool:
        """Whether some output also depends on a tensor that requires grad and is not one of these."""
        own = {id(t) for t in self.tensors} | {id(t.grad_fn) for t in self.tensors if t.grad_fn is not None}
        outside = any(t.grad_fn is not None for t in self.tensors)  # then they come from somewhere themselves
        waiting, seen = [autograd.edge_of(o)[0] for o in outputs if o.requires_grad], set()
        while waiting and not outside:
            target = waiting.pop()
            if id(target) in seen or id(target) in own:
                continue
            seen.add(id(target))
            if isinstance(target, Node):
                waiting += [e[0] for e in target.edges if e is not None]
            outside = not isinstance(target, Node)
        return outside

    def gradients(self, outputs: Sequence[Tensor], cotangents: Any, create: bool, retain: bool | None = None) -> list[Any]:
        """The gradient by each tensor; zeros where there is none."""
        pairs = [(o, c) for o, c in zip(outputs, cotangents, strict=True) if o.requires_grad]
        if not pairs:
            return [numgrad.zeros_like(t) for t in self.tensors]
        outs, grads = zip(*pairs)
        return list(autograd.grad(outs, self.tensors, grads, retain_graph=retain, create_graph=create, materialize_grads=True))


def _plain(nest: Any) -> Any:
    found, spec = flatten(nest)
    return unflatten([t.detach() if isinstance(t, Tensor) else t for t in found], spec)


def _select(argnums: int | tuple[int, ...], args: tuple[Any, ...]) -> Any:
    for n in (argnums,) if isinstance(argnums, int) else argnums:
        if not -len(args) <= n < len(args):
            raise RuntimeError(f"Got argnum={n}, but only {len(args)} positional inputs")
    return args[argnums] if isinstance(argnums, int) else tuple(args[n] for n in argnums)


def _replace(argnums: int | tuple[int, ...], args: tuple[Any, ...], values: Any) -> list[Any]:
    result = list(args)
    for n, value in [(argnums, values)] if isinstance(argnums, int) else zip(argnums, values, strict=True):
        result[n] = value
    return result


def _call(func: Callable[..., Any], has_aux: bool, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    with autograd.enable_grad():
        found = func(*args, **kwargs)
    if not has_aux:
        return found, None
    if not (isinstance(found, tuple) and len(found) == 2):
        raise RuntimeError("output of function should be a tuple: (output, aux) if has_aux is True")
    return found


def _tensors(output: Any, what: str) -> tuple[list[Tensor], Any]:
    found, spec = flatten(output)
    for t in found:
        if not isinstance(t, Tensor):
            raise RuntimeError(f"{what}: expected the function to return only tensors, got {type(t).__name__}")
    return found, spec


# --- reverse ----------------------------------------------------------------------------------------------------------


def grad_and_value(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the gradient of `func` by its arguments `argnums`, and its value (with has_aux: `(value, aux)`)."""

    def run(*args: Any, **kwargs: Any) -> Any:
        leaves = _Leaves(_select(argnums, args))
        output, aux = _call(func, has_aux, _replace(argnums, args, leaves.nest), kwargs)
        if not isinstance(output, Tensor) or output.dim() != 0:
            found = f"{output.dim()} dims" if isinstance(output, Tensor) else type(output).__name__
            raise RuntimeError(f"grad_and_value: expected func to return a scalar tensor, got {found}")
        further = numgrad.is_grad_enabled() and leaves.depends_on_more([output])
        gradients = unflatten(leaves.gradients([output], [numgrad.ones_like(output)], further), leaves.spec)
        if not further:
            output, aux = output.detach(), _plain(aux)
        return gradients, ((output, aux) if has_aux else output)

    return run


def grad(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the gradient of `func`, which returns a scalar (with has_aux: `(scalar, aux)`), by its arguments `argnums`."""
    both = grad_and_value(func, argnums, has_aux)

    def run(*args: Any, **kwargs: Any) -> Any:
        gradients, value = both(*args, **kwargs)
        return (gradients, value[1]) if has_aux else gradients

    return run


def value_and_grad(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """As `grad_and_value`, the value first."""
    both = grad_and_value(func, argnums, has_aux)
    return lambda *args, **kwargs: both(*args, **kwargs)[::-1]


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The output of `func`, and a function from a gradient of the output to a tuple of gradients of the primals."""
    leaves = _Leaves(primals)
    output, aux = _call(func, has_aux, leaves.nest, {})
    outputs, spec = _tensors(output, "vjp")
    further = numgrad.is_grad_enabled() and leaves.depends_on_more(outputs)

    def pull(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        given, shape = flatten(cotangents)
        if shape != spec or [c.shape for c in given] != [o.shape for o in outputs]:
            raise RuntimeError(f"Expected pytree structure of cotangents to be the same as the output's, with shapes {[list(o.shape) for o in outputs]}")
        more = further or any(c.requires_grad for c in given)
        return unflatten(leaves.gradients(outputs, given, more if create_graph is None else create_graph, retain_graph), leaves.spec)

    shown = output if further else _plain(output)
    return (shown, pull, aux if further else _plain(aux)) if has_aux else (shown, pull)


def _one_hots(t: Tensor) -> Any:
    for i in range(t.numel()):
        hot = numgrad.zeros(t.numel(), dtype=t.dtype)
        hot[i] = 1
        yield hot.view(t.shape)


def jacrev(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, *, has_aux: bool = False, chunk_size: int | None = None, **kwargs: Any) -> Callable[..., Any]:
    """A function that returns the Jacobian of `func` by its arguments `argnums`, row by row: of shape output.shape + argument.shape."""

    def run(*args: Any, **more: Any) -> Any:
        leaves = _Leaves(_select(argnums, args))
        output, aux = _call(func, has_aux, _replace(argnums, args, leaves.nest), more)
        outputs, spec = _tensors(output, "jacrev")
        further = numgrad.is_grad_enabled() and leaves.depends_on_more(outputs)
        jacobians = []
        for o in outputs:
            rows = [leaves.gradients([o], [hot], further, True) for hot in _one_hots(o)]
            columns = [
                numgrad.stack([r[k] for r in rows]).view(*o.shape, *t.shape) if rows else numgrad.zeros(*o.shape, *t.shape, dtype=o.dtype)
                for k, t in enumerate(leaves.tensors)
            ]
            jacobians.append(unflatten(columns, leaves.spec))
        result = unflatten(jacobians, spec)
        return (result, aux if further else _plain(aux)) if has_aux else result

    return run


# --- forward: the gradient of a gradient's weights ------------------------------------------------------------------


def _push(func: Callable[..., Any], leaves: _Leaves, args: Sequence[Any], has_aux: bool) -> Any:
    """The outputs, and a function from tangents to the outputs' tangents."""
    output, aux = _call(func, has_aux, args, {})
    outputs, spec = _tensors(output, "jvp")
    further = numgrad.is_grad_enabled() and leaves.depends_on_more(outputs)
    with autograd.enable_grad():
        weights = [numgrad.zeros_like(o).requires_grad_() for o in outputs]
        pulled = leaves.gradients(outputs, weights, True, True)

    def push(tangents: Sequence[Tensor]) -> list[Tensor]:
        pairs = [(p, t) for p, t in zip(pulled, tangents, strict=True) if p.requires_grad]
        if not pairs or not weights:
            return [numgrad.zeros_like(o) for o in outputs]
        create = further or (numgrad.is_grad_enabled() and any(t.requires_grad for t in tangents))
        p, t = zip(*pairs)
        return list(autograd.grad(p, weights, t, retain_graph=True, create_graph=create, materialize_grads=True))

    return (outputs, spec, aux, push) if further else ([o.detach() for o in outputs], spec, _plain(aux), push)


def jvp(func: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...], *, strict: bool = False, has_aux: bool = False) -> Any:
    """The output of `func` at the primals, and how it changes along the tangents."""
    if not isinstance(primals, tuple) or not isinstance(tangents, tuple) or len(primals) != len(tangents):
        raise RuntimeError("jvp: expected primals and tangents to be tuples of the same length")
    leaves, given = _Leaves(primals), flatten(tangents)
    if given[1] != leaves.spec or any(g.shape != t.shape for g, t in zip(given[0], leaves.tensors)):
        raise RuntimeError("jvp: expected tangents of the structure and shapes of the primals")
    outputs, spec, aux, push = _push(func, leaves, leaves.nest, has_aux)
    result = unflatten(outputs, spec), unflatten(push(given[0]), spec)
    return (*result, aux) if has_aux else result


def linearize(func: Callable[..., Any], *primals: Any) -> Any:
    """The output of `func` at the primals, and a function from tangents to how it changes along them."""
    leaves = _Leaves(primals)
    outputs, spec, _, push = _push(func, leaves, leaves.nest, False)
    return unflatten(outputs, spec), lambda *tangents: unflatten(push(flatten(tangents)[0]), spec)


def jacfwd(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False, *, randomness: str = "error") -> Callable[..., Any]:
    """As `jacrev`, column by column: for functions with more outputs than inputs."""

    def run(*args: Any, **kwargs: Any) -> Any:
        leaves = _Leaves(_select(argnums, args))
        outputs, spec, aux, push = _push(lambda *a: func(*a, **kwargs), leaves, _replace(argnums, args, leaves.nest), has_aux)
        blocks: list[list[Tensor]] = [[] for _ in outputs]
        for k, t in enumerate(leaves.tensors):
            columns = [push([hot if j == k else numgrad.zeros_like(o) for j, o in enumerate(leaves.tensors)]) for hot in _one_hots(t)]
            for i, o in enumerate(outputs):
                full = numgrad.stack([c[i] for c in columns], -1) if columns else numgrad.zeros(*o.shape, 0, dtype=o.dtype)
                blocks[i].append(full.view(*o.shape, *t.shape))
        result = unflatten([unflatten(b, leaves.spec) for b in blocks], spec)
        return (result, aux) if has_aux else result

    return run


def hessian(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """A function that returns the Jacobian of the Jacobian of `func` by its arguments `argnums`."""
    return jacrev(jacrev(func, argnums), argnums)


# --- batches ----------------------------------------------------------------------------------------------------------


def _spread(nest: Any, dims: Any, what: str) -> list[Any]:
    """`dims`, a number, None or a nest like the beginning of `nest`, as one entry for each leaf."""
    if dims is None or isinstance(dims, int):
        return [dims] * len(flatten(nest)[0])
    if isinstance(nest, dict) and isinstance(dims, dict) and set(dims) == set(nest):
        return [d for k in nest for d in _spread(nest[k], dims[k], what)]
    if isinstance(nest, (tuple, list)) and isinstance(dims, (tuple, list)) and len(dims) == len(nest):
        return [d for n, e in zip(nest, dims) for d in _spread(n, e, what)]
    raise ValueError(f"vmap: {what}={dims!r} is not compatible with the structure of what it describes")


def _batch_size(leaves: list[Any], dims: list[Any]) -> int:
    sizes = []
    for leaf, d in zip(leaves, dims, strict=True):
        if d is None:
            continue
        if not isinstance(leaf, Tensor):
            raise ValueError(f"vmap: got in_dim={d} for an input that is of type {type(leaf).__name__}; use None for it")
        if not -leaf.dim() <= d < leaf.dim():
            raise ValueError(f"vmap: got in_dim={d} for an input of dimensionality {leaf.dim()}")
        sizes.append(leaf.shape[d])
    if not sizes:
        raise ValueError("vmap: at least one input must have an in_dim that is not None")
    if len(set(sizes)) > 1:
        raise ValueError(f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for the mapped dimension")
    if sizes[0] == 0:
        raise ValueError("vmap: a batch of size 0 leaves the shape of the result unknown")
    return sizes[0]


def vmap(func: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *, chunk_size: int | None = None) -> Callable[..., Any]:
    """A function that applies `func` to each slice of its arguments along `in_dims` and stacks the results along `out_dims`.

    `randomness`: "error" where the function draws random numbers, "different" or the "same" for each slice.
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")

    def run(*args: Any, **kwargs: Any) -> Any:
        leaves, spec = flatten(args)
        dims = _spread(args, in_dims, "in_dims")
        results: list[list[Any]] = []
        shape: Any = None
        state = default_generator.get_state()
        for i in range(_batch_size(leaves, dims)):
            if randomness == "same":
                default_generator.set_state(state)
            slices = [leaf if d is None else leaf.select(d, i) for leaf, d in zip(leaves, dims)]
            output = func(*unflatten(slices, spec), **kwargs)
            found, shape = _tensors(output, "vmap")
            results.append(found)
            if randomness == "error" and i == 0 and default_generator.get_state().tolist() != state.tolist():
                raise RuntimeError(
                    "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' "
                    "randomness flags on vmap or perform the randomness operation out of vmap"
                )
        places = _spread(unflatten(results[0], shape), out_dims, "out_dims")
        stacked = [numgrad.stack(list(column), d) if d is not None else column[0] for column, d in zip(zip(*results), places)]
        return unflatten(stacked, shape)

    return run


# --- modules ----------------------------------------------------------------------------------------------------------


def functional_call(
    module: Module, parameter_and_buffer_dicts: Any, args: Any = None, kwargs: dict[str, Any] | None = None, *, tie_weights: bool = True, strict: bool = False
) -> Any:  # fmt: skip
    """Call a module with other tensors in the place of its parameters and buffers, given by name in a dict or several.

    A parameter that the module has under several names is replaced under all of them (`tie_weights`).
    """
    several = isinstance(parameter_and_buffer_dicts, (tuple, list))
    given = {k: v for d in (parameter_and_buffer_dicts if several else [parameter_and_buffer_dicts]) for k, v in d.items()}
    places: dict[str, tuple[dict[str, Any], str]] = {}
    for prefix, part in module.named_modules(remove_duplicate=False):
        for holder in (part._parameters, part._buffers):
            places.update({f"{prefix}.{name}" if prefix else name: (holder, name) for name, t in holder.items() if t is not None})
    unknown, missing = set(given) - set(places), set(places) - set(given)
    if strict and (unknown or missing):
        raise RuntimeError(f"Error(s) in loading state: unexpected keys {sorted(unknown)}, missing keys {sorted(missing)}")
    if unknown:
        raise AttributeError(f"{type(module).__name__} has no parameters or buffers {sorted(unknown)}")
    replaced = {id(places[k][0][places[k][1]]): v for k, v in given.items()} if tie_weights else {}
    before = [(holder, name, holder[name]) for holder, name in places.values()]
    try:
        for key, (holder, name) in places.items():
            holder[name] = given.get(key, replaced.get(id(holder[name]), holder[name]))
        return module(*(() if args is None else args if isinstance(args, tuple) else (args,)), **(kwargs or {}))
    finally:
        for holder, name, tensor in before:
            holder[name] = tensor


def stack_module_state(models: Sequence[Module]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Parameters and buffers of several modules of one kind, stacked by name: for `vmap` of a `functional_call`."""
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if len({type(m) for m in models}) > 1 or len({m.training for m in models}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to be of the same class, and all in training or all in eval mode")
    parameters = {}
    for name, first in models[0].named_parameters():
        stacked = numgrad.stack([dict(m.named_parameters())[name].detach() for m in models])
        parameters[name] = stacked.requires_grad_(first.requires_grad)
    buffers = {name: numgrad.stack([dict(m.named_buffers())[name] for m in models]) for name, _ in models[0].named_buffers()}
    return parameters, buffers
