"""float16 and bfloat16: how they are rounded, what they become beside others, and that training in them works."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import numgrad as ng
import numgrad.nn.functional as F
from numgrad import nn, optim

HALVES = [ng.float16, ng.bfloat16]
each = pytest.mark.parametrize("dtype", HALVES, ids=str)


def edges() -> np.ndarray:
    """Every number of float16, the points halfway between neighbours, and what lies next to those; random bits."""
    exact = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float64)
    exact = np.sort(exact[np.isfinite(exact)])
    middle = ((exact[1:] + exact[:-1]) / 2).astype(np.float32)
    sides = [np.nextafter(middle, np.float32(s * np.inf)) for s in (-1, 1)]
    bits = np.random.default_rng(0).integers(0, 2**32, 4000, dtype=np.uint32).view(np.float32)
    special = np.float32([65504, 65519.996, 65520, 1e30, -1e30, np.inf, -np.inf, np.nan, 2**-25, 2**-26, 0.0, -0.0, 1e-45, 3.4e38])
    kept = np.random.default_rng(1).choice(len(middle), 600, replace=False)
    return np.concatenate([special, bits, middle[kept], *[s[kept] for s in sides]])


def nearest_bfloat16(x: np.ndarray) -> np.ndarray:
    """Eight digits, ties to even: a whole number of units, which float64 computes without error."""
    with np.errstate(all="ignore"):
        wide = x.astype(np.float64)
        unit = 2.0 ** (np.maximum(np.frexp(wide)[1] - 1, -126) - 7)
        found = np.rint(wide / unit) * unit
        found = np.where(np.isfinite(wide), found, wide)
        return np.where(np.abs(found) >= 2.0**128, np.copysign(np.inf, found), found)


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(a, b, equal_nan=True) and np.array_equal(np.signbit(a[~np.isnan(a)]), np.signbit(b[~np.isnan(b)]))


def test_every_half_becomes_the_float_it_is_and_comes_back() -> None:
    bits = np.arange(65536, dtype=np.uint32).astype(np.uint16)
    half = bits.view(np.float16)
    wide = ng.from_numpy(half).float()
    assert same(wide.numpy(), half.astype(np.float32))
    number = ~np.isnan(half)
    back = wide.half().numpy()
    assert np.array_equal(back.view(np.uint16)[number], bits[number]) and np.isnan(back[~number]).all()
    brain = (bits.astype(np.uint32) << 16).view(np.float32)
    stored = ng.from_numpy(brain).bfloat16()
    assert same(stored.float().numpy(), brain)


def test_floats_are_rounded_to_nearest_even() -> None:
    x = edges()
    with np.errstate(all="ignore"):
        expected = x.astype(np.float16)
    found = ng.from_numpy(x).half().numpy()
    assert found.dtype == np.float16 and same(found, expected)
    assert same(ng.from_numpy(x).bfloat16().double().numpy(), nearest_bfloat16(x))


@pytest.mark.interpreted
@each
def test_dtypes_beside_others(dtype: ng.dtype) -> None:
    x, point = ng.ones(2, dtype=dtype), ng.tensor(1.0, dtype=dtype)
    other = ng.bfloat16 if dtype is ng.float16 else ng.float16
    found = {
        "float32": x + ng.ones(2), "float64": x * ng.ones(2).double(), "other half": x - ng.ones(2, dtype=other), "number": x + 2.5,
        "0-d float32": x + ng.tensor(1.0), "int": x + ng.ones(2, dtype=ng.int64), "0-d beside int": ng.ones(2, dtype=ng.int64) * point,
        "0-d beside float32": ng.ones(2) * point, "cat": ng.cat([x, ng.ones(2)]), "asked": x.sum(dtype=ng.float32), "mean": x.mean(),
        "asked of float32": ng.ones(2).sum(dtype=dtype), "softmax": F.softmax(ng.ones(2), 0, dtype=dtype), "compared": x == 1,
        "argmax": x.argmax(), "norm with float32 weights": F.layer_norm(x, (2,), ng.ones(2), ng.zeros(2)),
    }  # fmt: skip
    expected = {
        "float32": ng.float32, "float64": ng.float64, "other half": ng.float32, "0-d beside float32": ng.float32, "cat": ng.float32,
        "asked": ng.float32, "compared": ng.bool, "argmax": ng.int64,
    }  # fmt: skip
    assert {name: value.dtype for name, value in found.items()} == {name: expected.get(name, dtype) for name in found}
    assert ng.result_type(x, 1.5) is dtype and ng.promote_types(dtype, ng.int64) is dtype and ng.promote_types(dtype, other) is ng.float32
    assert not ng.can_cast(dtype, ng.int8) and ng.can_cast(ng.int8, dtype) and dtype.is_floating_point and dtype.is_signed


@pytest.mark.interpreted
@each
@pytest.mark.parametrize("call", [lambda x: x @ ng.ones(2, 2), lambda x: F.linear(x, ng.ones(3, 2)), lambda x: F.conv1d(x[None], ng.ones(1, 2, 1))])
def test_products_want_one_dtype(dtype: ng.dtype, call: Any) -> None:
    with pytest.raises(RuntimeError, match="Half|BFloat16"):
        call(ng.ones(2, 2, dtype=dtype))


@pytest.mark.interpreted
@each
def test_one_rounding_an_operation(dtype: ng.dtype) -> None:
    eps = ng.finfo(dtype).eps
    x = ng.full((4096,), 1 + eps, dtype=dtype)
    assert x.sum().item() == ng.tensor(4096 * (1 + eps)).to(dtype).item()  # summed in a half it would stop growing
    assert ng.add(ng.tensor(1.0, dtype=dtype), ng.tensor(1.0, dtype=dtype), alpha=eps / 2 * 1.5).item() == 1 + eps
    y = ng.tensor(1.0, dtype=dtype)
    assert y.add_(1 + eps / 4, alpha=eps / 2).item() == 1 + eps  # neither the product nor the number is rounded first
    assert ng.finfo(dtype).bits == 16 and ng.tensor(2 * ng.finfo(dtype).max, dtype=ng.float64).to(dtype).item() == float("inf")


@pytest.mark.interpreted
@each
def test_views_and_writing_in_place(dtype: ng.dtype) -> None:
    x = ng.arange(6, dtype=dtype).view(2, 3)
    column, flat = x.t()[1], x.view(-1)
    column += 0.5
    x[0] = ng.tensor([1.0, 2.0, 3.0])
    flat[-1] = 9
    x[x > 8] = -1.25
    assert x.tolist() == [[1, 2, 3], [3, 4.5, -1.25]] and column.tolist() == [2, 4.5]
    assert x.add_(ng.ones(2, 3)).dtype is dtype and x.addmm_(x[:, :2], x[:2]).dtype is dtype
    assert ng.add(ng.ones(2), 1, out=ng.empty(2, dtype=dtype)).dtype is dtype and x.resize_(2).tolist() == flat[:2].tolist()
    with pytest.raises(RuntimeError, match="can't be cast"):
        ng.ones(2, dtype=ng.int64).add_(x)
    for fill in (x.normal_, x.uniform_, x.exponential_, x.bernoulli_, lambda: x.random_(5), x.zero_):
        assert fill() is x and x.dtype is dtype


@pytest.mark.interpreted
@each
def test_gradients_are_halves(dtype: ng.dtype) -> None:
    x = ng.tensor([0.5, -1.5, 2.0], dtype=dtype, requires_grad=True)
    y = x * 1
    y[0] = 3
    y[1:].mul_(2)
    (y.sum() + (x**3).sum()).backward()
    assert x.grad is not None and x.grad.dtype is dtype and x.grad.tolist() == [0.75, 8.75, 14]
    assert "Sum" in x.sum().grad_fn.name()
    (g,) = ng.autograd.grad((x**3).sum(), x, create_graph=True)
    (second,) = ng.autograd.grad(g.sum(), x)
    assert second.tolist() == [3, -9, 12] and second.dtype is dtype


@pytest.mark.interpreted
@each
def test_as_python_and_numpy_see_them(dtype: ng.dtype) -> None:
    x = ng.tensor([[1.5, -2.0]], dtype=dtype)
    assert x.tolist() == [[1.5, -2]] and x[0, 0].item() == 1.5 and bool(x[0, 1]) and float(x[0, 1]) == -2 and f"{x[0, 0]:.2f}" == "1.50"
    assert repr(x) == f"tensor([[ 1.5000, -2.0000]], dtype={dtype})" and x.element_size() == 2
    assert pickle.loads(pickle.dumps(x)).equal(x) and copy.deepcopy(x).dtype is dtype and x.equal(x.clone()) and x.type(ng.FloatTensor).dtype is ng.float32
    kind = {ng.float16: ng.HalfTensor, ng.bfloat16: ng.BFloat16Tensor}[dtype]
    assert isinstance(x, kind) and x.type() == f"numgrad.{kind.__name__}" and kind([1, 2]).dtype is dtype
    if dtype is ng.float16:
        assert x.numpy().dtype == np.float16 and ng.from_numpy(np.ones(2, np.float16)).dtype is dtype and np.add(x, 1).dtype is dtype
        return
    with pytest.raises(TypeError, match="BFloat16"):
        x.numpy()
    with pytest.raises(TypeError, match="can't convert"):
        ng.from_numpy(np.zeros(2, "V2"))


@pytest.mark.interpreted
@each
def test_compared_and_made_for_tests(dtype: ng.dtype) -> None:
    x = ng.testing.make_tensor(3, 4, dtype=dtype, noncontiguous=False)
    eps = ng.finfo(dtype).eps
    ng.testing.assert_close(ng.ones(3, dtype=dtype), ng.full((3,), 1 + eps, dtype=dtype))
    with pytest.raises(AssertionError, match="not close"):
        ng.testing.assert_close(x, x * (1 + 4 * eps))
    assert x.dtype is dtype


@pytest.mark.interpreted
@each
def test_new_tensors(dtype: ng.dtype) -> None:
    made = [
        ng.zeros(2, dtype=dtype), ng.empty(2, dtype=dtype), ng.rand(2, dtype=dtype), ng.randn(2, dtype=dtype), ng.full((2,), 0.1, dtype=dtype),
        ng.arange(0, 1, 0.5, dtype=dtype), ng.linspace(0, 1, 2, dtype=dtype), ng.eye(2, dtype=dtype), ng.tensor([1, 0.1], dtype=dtype),
        ng.randint(5, (2,), dtype=dtype), ng.ones(2, dtype=dtype).new_tensor([3]), ng.rand_like(ng.ones(2, dtype=dtype)), ng.tensor([[True]]).to(dtype),
    ]  # fmt: skip
    assert {x.dtype for x in made} == {dtype}
    assert made[4][0].item() == made[8][1].item() == ng.tensor(0.1).to(dtype).item() and made[7].tolist() == [[1, 0], [0, 1]]
    with pytest.raises(TypeError, match="default"):
        ng.set_default_dtype(dtype)


def losses(dtype: ng.dtype, algorithm: str, compiled: bool = False, small: bool = False) -> list[float]:
    ng.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 2)]
    model = nn.Sequential(*layers) if not small else nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 2))
    model, x, target = model.to(dtype), ng.randn(6, 1, 4, 4).to(dtype), ng.tensor([0, 1, 0, 1, 0, 1])
    optimizer = getattr(optim, algorithm)(model.parameters(), lr=0.02)

    def step(x: ng.Tensor) -> ng.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        return loss

    run = ng.compile(step) if compiled else step
    found = [run(x) for _ in range(5)]
    assert all(p.dtype is p.grad.dtype is dtype for p in model.parameters()) and found[-1].dtype is dtype
    return [loss.item() for loss in found]


@pytest.mark.interpreted
@pytest.mark.parametrize("algorithm", ["SGD", "Adam", "RMSprop", "Adagrad"])
@each
def test_training_follows_that_in_float32(dtype: ng.dtype, algorithm: str) -> None:
    found, wide = losses(dtype, algorithm), losses(ng.float32, algorithm)
    assert wide[-1] < 0.95 * wide[0] and np.allclose(found, wide, atol=12 * ng.finfo(dtype).eps)


@pytest.mark.native
@each
def test_a_compiled_step_does_the_same(dtype: ng.dtype) -> None:
    assert losses(dtype, "Adam", True, small=True) == losses(dtype, "Adam", small=True)


def test_limits_show_themselves() -> None:
    shown = "finfo(resolution=0.001, min=-65504, max=65504, eps=0.000976562, smallest_normal=6.10352e-05, tiny=6.10352e-05, dtype=float16)"
    assert repr(ng.finfo(ng.float16)) == shown
    assert repr(ng.iinfo(ng.uint8)) == "iinfo(min=0, max=255, dtype=uint8)"
