"""Single operations at the shapes that networks use, against peers: products, convolutions, pooling, pointwise, norms, updates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from .runner import Case
from .worker import Library, Unavailable, fastest

TORCH_AND_NUMPY = ("numgrad", "torch", "numpy")
TORCH = ("numgrad", "torch")


def _values(*shape: int, dtype: str = "float32", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 1.0, shape).astype(dtype)


# --- matrix products --------------------------------------------------------------------------------------------------

SQUARES = (64, 128, 256, 512, 1024, 2048)
PRODUCTS = ((64, 784, 128), (512, 784, 128), (4, 400, 120), (20, 256, 1024), (768, 128, 512))


def product(library: Library, batch: int, m: int, k: int, n: int, dtype: str, form: str) -> Callable[[], Any]:
    """a @ b; in `form`, a 't' says that the operand lies transposed."""
    lead = (batch,) if batch else ()
    operands = []
    for letter, rows, columns in zip(form, (m, k), (k, n)):
        shape = (*lead, columns, rows) if letter == "t" else (*lead, rows, columns)
        x = library.array(_values(*shape, dtype=dtype))
        operands.append(x.swapaxes(-1, -2) if letter == "t" else x)
    a, b = operands
    return lambda: a @ b


def products() -> Iterator[Case]:
    """Squares, the layers of networks, attention's batched products; all transposes, both widths."""
    shapes = [(0, n, n, n) for n in SQUARES] + [(0, *s) for s in PRODUCTS] + [(48, 64, 32, 64)]
    for dtype in ("float32", "float64"):
        for batch, m, k, n in shapes:
            for form in ("nn", "nt", "tn", "tt"):
                name = f"matmul {f'{batch}x' if batch else ''}({m},{k},{n}) {dtype} {form}"
                flops = 2.0 * max(batch, 1) * m * k * n
                yield Case(name, product, (batch, m, k, n, dtype, form), flops, dtype=dtype, contenders=TORCH_AND_NUMPY)


# --- convolution and pooling ------------------------------------------------------------------------------------------

# (name, batch, channels in, channels out, side, kernel, stride, padding, groups)
CONVOLUTIONS = [
    *((f"convnet-1 b{b}", b, 3, 6, 32, 5, 1, 0, 1) for b in (4, 128)),
    *((f"convnet-2 b{b}", b, 6, 16, 14, 5, 1, 0, 1) for b in (4, 128)),
    *((f"3x3 {c}ch {s}x{s} b32", 32, c, c, s, 3, 1, 1, 1) for c, s in ((16, 32), (32, 32), (64, 32), (32, 16), (64, 16), (64, 8), (128, 16), (128, 8))),
    ("3x3 64ch 32x32 b1", 1, 64, 64, 32, 3, 1, 1, 1),
    ("3x3 128ch 8x8 b1", 1, 128, 128, 8, 3, 1, 1, 1),
    ("3x3 stride2 32-64 32x32 b32", 32, 32, 64, 32, 3, 2, 1, 1),
    ("3x3 stride2 64-128 16x16 b32", 32, 64, 128, 16, 3, 2, 1, 1),
    ("1x1 64-128 16x16 b32", 32, 64, 128, 16, 1, 1, 0, 1),
    ("1x1 128-64 8x8 b32", 32, 128, 64, 8, 1, 1, 0, 1),
    ("depthwise 3x3 64ch 32x32 b32", 32, 64, 64, 32, 3, 1, 1, 64),
    ("depthwise 3x3 128ch 8x8 b32", 32, 128, 128, 8, 3, 1, 1, 128),
    ("stem 7x7 3-64 64x64 b8", 8, 3, 64, 64, 7, 2, 3, 1),
    ("stem 7x7 3-64 224x224 b1", 1, 3, 64, 224, 7, 2, 3, 1),
]  # fmt: skip


def convolution(library: Library, which: str, *sizes: int) -> Callable[[], Any]:
    """A convolution forward, or its gradient of the input or of the weight alone."""
    batch, channels, outputs, side, kernel, stride, padding, groups = sizes
    torch = library.module
    x = library.array(_values(batch, channels, side, side))
    w = library.array(_values(outputs, channels // groups, kernel, kernel))
    conv2d = partial(torch.nn.functional.conv2d, stride=stride, padding=padding, groups=groups)
    if which == "forward":
        return lambda: conv2d(x, w)
    wanted = (x if which == "input" else w).requires_grad_()
    return _backward(library, conv2d(x, w), [wanted])


def _backward(library: Library, y: Any, inputs: list[Any]) -> Callable[[], Any]:
    """The gradients of y, again and again."""
    g = library.array(_values(*y.shape, seed=1))
    grad = library.module.autograd.grad
    return lambda: grad(y, inputs, g, retain_graph=True)


def convolutions() -> Iterator[Case]:
    """Forward, gradient of the input, gradient of the weight."""
    for name, *sizes in CONVOLUTIONS:
        batch, channels, outputs, side, kernel, stride, padding, groups = sizes
        out = (side + 2 * padding - kernel) // stride + 1
        flops = 2.0 * batch * outputs * out * out * channels // groups * kernel * kernel
        for which in ("forward", "input", "weight"):
            yield Case(f"conv2d {name} {which}", convolution, (which, *sizes), flops, contenders=TORCH)


POOLS = [
    (kind, shape, size)
    for kind in ("max_pool2d", "avg_pool2d")
    for shape, size in (((4, 6, 28, 28), 2), ((128, 6, 28, 28), 2), ((32, 64, 32, 32), 2), ((32, 64, 32, 32), 3))
]


def pooling(library: Library, kind: str, shape: list[int], size: int) -> Callable[[], Any]:
    """Pooling forward and backward; windows of 3 overlap (stride 2)."""
    function = getattr(library.module.nn.functional, kind)
    return _both_ways(library, lambda x: function(x, size, stride=2), [_values(*shape)])


def _both_ways(library: Library, function: Callable[..., Any], inputs: list[np.ndarray]) -> Callable[[], Any]:
    """Forward, then the gradients of all inputs."""
    tensors = [library.array(a).requires_grad_() for a in inputs]
    g = library.array(np.ones_like(function(*tensors).detach().numpy()))
    grad = library.module.autograd.grad
    return lambda: grad(function(*tensors), tensors, g)


def pools() -> Iterator[Case]:
    """Max and average pooling."""
    for kind, shape, size in POOLS:
        yield Case(f"{kind} {'x'.join(map(str, shape))} window {size}", pooling, (kind, shape, size), contenders=TORCH)


# --- pointwise --------------------------------------------------------------------------------------------------------

UNARY = ("neg", "sqrt", "exp", "log", "tanh", "sigmoid", "relu", "sin", "erf", "gelu", "silu", "pow")
BINARY = ("add", "mul", "div", "maximum", "add_row")
SIZES = (10_000, 1_000_000, 10_000_000)


def pointwise(library: Library, name: str, size: int) -> Callable[[], Any]:
    """A pointwise operation into new memory, as an expression does it."""
    a, b = (library.array(_values(size // 1000, 1000, seed=s)) for s in (0, 1))
    functions: dict[str, Callable[[], Any]] = {"pow": lambda: a**1.7, "add_row": lambda: a + b[0], "add": lambda: a + b, "mul": lambda: a * b, "div": lambda: a / b}
    if name in functions:
        return functions[name]
    module = library.module
    function = getattr(module, name, None) or getattr(getattr(getattr(module, "nn", None), "functional", None), name, None)
    if function is None:
        raise Unavailable(f"{library.name} has no {name}")
    return (lambda: function(a, b)) if name in BINARY else lambda: function(a)


def pointwises() -> Iterator[Case]:
    """Inside the caches and out of them."""
    for size in SIZES:
        for name in UNARY + BINARY:
            arrays = 3 if name in BINARY and name != "add_row" else 2
            moved = 4.0 * arrays * size if size == max(SIZES) else 0.0  # the limit is memory's, so not inside the caches
            yield Case(f"pointwise {name} {size:.0e}".replace("e+0", "e"), pointwise, (name, size), bytes=moved, contenders=TORCH_AND_NUMPY)


# --- reductions, norms, losses ----------------------------------------------------------------------------------------

ROWS = ((64, 1000), (1024, 128), (4096, 4096))
IMAGES = ((128, 6, 28, 28), (32, 64, 32, 32), (32, 128, 8, 8))


def reduction(library: Library, name: str, rows: int, columns: int, dim: int) -> Callable[[], Any]:
    """sum, mean, amax or argmax along a dimension."""
    x, function = library.array(_values(rows, columns)), getattr(library.module, name)
    return lambda: function(x, dim)


def normalized(library: Library, name: str, shape: list[int]) -> Callable[[], Any]:
    """softmax, log_softmax, cross_entropy, layer_norm or batch_norm, forward and backward."""
    functional, columns = library.module.nn.functional, shape[1]
    weight, bias = _values(columns), _values(columns, seed=1)
    if name == "cross_entropy":
        target = library.array(np.arange(shape[0]) % columns)
        return _both_ways(library, lambda x: functional.cross_entropy(x, target), [_values(*shape)])
    if name == "layer_norm":
        function = lambda x, w, b: functional.layer_norm(x, [columns], w, b)
        return _both_ways(library, function, [_values(*shape), weight, bias])
    if name == "batch_norm":
        mean, var = library.array(np.zeros(columns, "float32")), library.array(np.ones(columns, "float32"))
        function = lambda x, w, b: functional.batch_norm(x, mean, var, w, b, training=True)
        return _both_ways(library, function, [_values(*shape), weight, bias])
    return _both_ways(library, lambda x: getattr(functional, name)(x, -1), [_values(*shape)])


def reductions() -> Iterator[Case]:
    """Along rows and along columns; then the norms and losses both ways."""
    for rows, columns in ROWS:
        for name in ("sum", "mean", "amax", "argmax"):
            for dim in (0, 1):
                moved = 4.0 * rows * columns if rows * columns > 1 << 23 else 0.0
                contenders = TORCH_AND_NUMPY if name != "amax" else TORCH
                yield Case(f"reduce {name} {rows}x{columns} dim {dim}", reduction, (name, rows, columns, dim), bytes=moved, contenders=contenders)
        for name in ("softmax", "log_softmax", "cross_entropy", "layer_norm"):
            yield Case(f"norm {name} {rows}x{columns} both ways", normalized, (name, (rows, columns)), contenders=TORCH)
    for shape in [*IMAGES, (1024, 256)]:
        yield Case(f"norm batch_norm {'x'.join(map(str, shape))} both ways", normalized, ("batch_norm", shape), contenders=TORCH)


# --- updates ----------------------------------------------------------------------------------------------------------


def _resnet18() -> list[tuple[int, ...]]:
    """The shapes of a ResNet-18's parameters, for small images and ten classes (He et al. 2016): 11 million numbers."""
    shapes: list[tuple[int, ...]] = [(64, 3, 3, 3), (64,), (64,)]
    before = 64
    for channels in (64, 128, 256, 512):
        for block in range(2):
            for first in (before, channels):
                shapes += [(channels, first, 3, 3), (channels,), (channels,)]
            if block == 0 and before != channels:
                shapes += [(channels, before, 1, 1), (channels,), (channels,)]
            before = channels
    return [*shapes, (10, 512), (10,)]


def _resnet8() -> list[tuple[int, ...]]:
    """Those of the small ResNet of `perf steps`: 78 thousand numbers, which stay in the caches."""
    shapes: list[tuple[int, ...]] = [(16, 3, 3, 3), (16,), (16,)]
    for before, channels in ((16, 16), (16, 32), (32, 64)):
        shapes += [(channels, before, 3, 3), (channels,), (channels,), (channels, channels, 3, 3), (channels,), (channels,)]
        if before != channels:
            shapes += [(channels, before, 1, 1)]
    return [*shapes, (10, 64), (10,)]


_NETWORKS: dict[str, Callable[[], list[tuple[int, ...]]]] = {"ResNet-18": _resnet18, "ResNet-8": _resnet8}


def update(library: Library, name: str, network: str) -> Callable[[], Any]:
    """An optimizer's step over a network's parameters, in the library's fastest form."""
    make: Any = {
        "Adam": partial(library.module.optim.Adam, lr=1e-6),
        "AdamW": partial(library.module.optim.AdamW, lr=1e-6),
        "SGD momentum": partial(library.module.optim.SGD, lr=1e-6, momentum=0.9),
    }[name]
    parameters = [library.module.nn.Parameter(library.array(_values(*shape))) for shape in _NETWORKS[network]()]
    for p in parameters:
        p.grad = library.array(_values(*p.shape, seed=1))
    if library.name == "numgrad":
        return make(parameters).step
    return fastest(*(make(parameters, **{form: True}).step for form in ("fused", "foreach")), make(parameters).step)


def updates() -> Iterator[Case]:
    """Adam reads four arrays and writes three, momentum reads three and writes two."""
    for network, shapes in _NETWORKS.items():
        count = 4.0 * sum(int(np.prod(s)) for s in shapes())
        for name, arrays in (("Adam", 7), ("AdamW", 7), ("SGD momentum", 5)):
            moved = arrays * count if network == "ResNet-18" else 0.0
            yield Case(f"update {name} {network}", update, (name, network), bytes=moved, contenders=TORCH)


def cases(quick: bool = False) -> list[Case]:
    """All of the above."""
    return [*products(), *convolutions(), *pools(), *pointwises(), *reductions(), *updates()]
