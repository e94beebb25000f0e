"""What public scripts write over several lines: classes they derive, blocks, indexing, files, backward. Each test says which rows it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numgrad as ng
import numgrad.nn as nn

pytestmark = pytest.mark.interpreted


def shows(*rows: str) -> Callable[[Any], Any]:
    """Mark a test with the rows it shows: `name : keywords`."""

    def mark(function: Any) -> Any:
        function.shows = rows
        return function

    return mark


@shows("Tensor.backward : retain_graph gradient", "Tensor.grad", "Tensor.retain_grad", "Tensor.register_hook", "Tensor.requires_grad")
def test_backward() -> None:
    x = ng.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    y.retain_grad()
    handle = y.register_hook(lambda g: g * 10)
    y.backward(gradient=ng.tensor([1.0, 3.0]), retain_graph=True)
    assert x.grad.tolist() == [20, 120] and y.grad.tolist() == [10, 30]
    handle.remove()
    y.sum().backward()
    assert x.grad.tolist() == [22, 124]


@shows("with no_grad", "with enable_grad", "with set_grad_enabled", "with inference_mode", "with device", "@ no_grad", "@ inference_mode", "no_grad", "enable_grad",
       "set_grad_enabled", "inference_mode")  # fmt: skip
def test_blocks() -> None:
    x = ng.ones(2, requires_grad=True)

    @ng.no_grad()
    def plain(z: Any) -> Any:
        return z * 2

    @ng.inference_mode()
    def inferred(z: Any) -> Any:
        return z * 2

    assert not plain(x).requires_grad and not inferred(x).requires_grad
    with ng.no_grad():
        assert not (x * 2).requires_grad
        with ng.enable_grad():
            assert (x * 2).requires_grad
    with ng.set_grad_enabled(False):
        assert not (x * 2).requires_grad
    with ng.inference_mode(), ng.device("cpu"):
        assert not (x * 2).requires_grad and ng.zeros(1).device.type == "cpu"


@shows("syntax: index tuple with slice", "syntax: index slice with step", "syntax: index None", "syntax: index with list", "syntax: index ...", "syntax: operator ~",
       "syntax: operator @", "syntax: index mixed with a call (arange...)", "syntax: index boolean mask (compare)")  # fmt: skip
def test_reading_by_index() -> None:
    array = np.arange(12.0).reshape(3, 4)
    keys: list[Callable[[Any, Any], Any]] = [
        lambda x, m: x[1:, :2], lambda x, m: x[::2], lambda x, m: x[:, None, 1], lambda x, m: x[[2, 0]], lambda x, m: x[..., 1],
        lambda x, m: x[m.arange(3), m.arange(3)], lambda x, m: x[x > 5], lambda x, m: x[~(x > 5)],
    ]  # fmt: skip
    for key in keys:
        x = ng.tensor(array, requires_grad=True)
        found, expected = key(x, ng), key(array, np)
        assert np.array_equal(found.detach().numpy(), expected)
        found.sum().backward()
        assert np.array_equal(x.grad.numpy(), np.isin(array, expected))
    x = ng.tensor(array, requires_grad=True)
    (x @ x.detach().T).sum().backward()
    assert np.array_equal(x.grad.numpy(), np.tile(array.sum(0), (3, 1)))


@shows("syntax: store index tuple with slice", "syntax: store index slice with step", "syntax: store index boolean mask (compare)", "syntax: store index ...",
       "syntax: store index mixed with a call (arange...)", "syntax: store index with list")  # fmt: skip
def test_writing_by_index() -> None:
    def write(x: Any, m: Any) -> Any:
        x[1:, :2] = 0.5
        x[::2] = m.arange(4)
        x[x > 2] = -1
        x[..., 3] = 7
        x[m.arange(3), m.arange(3)] = 9
        x[[0, 2]] = m.ones(4)
        return x

    expected = write(np.arange(12.0).reshape(3, 4), np)
    assert np.array_equal(write(ng.arange(12.0).reshape(3, 4), ng).numpy(), expected)
    leaf = ng.zeros(3, 4, requires_grad=True)
    x = leaf * 1
    x[1:, :2] = 5
    x.sum().backward()
    assert leaf.grad.tolist() == [[1, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]]


@shows("syntax: augmented assign Add", "syntax: augmented assign Sub", "syntax: augmented assign Mult", "syntax: augmented assign Div")
def test_augmented_assignment() -> None:
    leaf = ng.tensor([1.0, 2.0], requires_grad=True)
    x = leaf * 1
    same = x
    x += 3
    x -= 1
    x *= 4
    x /= 2
    assert same is x and x.tolist() == [6, 8]
    x.sum().backward()
    assert leaf.grad.tolist() == [2, 2]


@shows("save : obj f", "load : f map_location weights_only mmap")
def test_files(tmp_path: Path) -> None:
    state = nn.Linear(2, 1).state_dict()
    ng.save(obj=state, f=tmp_path / "file")
    found = ng.load(f=tmp_path / "file", map_location="cpu", weights_only=True, mmap=False)
    assert all(found[k].equal(state[k]) for k in state)


@shows("set_default_dtype", "set_default_tensor_type")
def test_default_dtype() -> None:
    before = ng.get_default_dtype()
    try:
        ng.set_default_dtype(ng.float64)
        assert ng.ones(1).dtype is ng.float64
        ng.set_default_tensor_type("FloatTensor")
        assert ng.ones(1).dtype is ng.float32
    finally:
        ng.set_default_dtype(before)


@shows("class nn.Module", "nn.Module", "class nn.Sequential", "class nn.Linear", "class nn.Conv2d", "class nn.GroupNorm", "class nn.CrossEntropyLoss", "class nn.Transformer")
def test_derived_modules() -> None:
    class Twice(nn.Linear):
        def forward(self, input: Any) -> Any:
            return 2 * super().forward(input)

    class Same(nn.Conv2d):
        def forward(self, input: Any) -> Any:
            return super().forward(nn.functional.pad(input, (1, 1, 1, 1)))

    class Groups(nn.GroupNorm):
        def __init__(self, channels: int):
            super().__init__(1, channels)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = Stack(Twice(3, 2), nn.Tanh())

        def forward(self, x: Any) -> Any:
            return self.body(x)

    class Stack(nn.Sequential):
        pass

    class Loss(nn.CrossEntropyLoss):
        def forward(self, input: Any, target: Any) -> Any:
            return super().forward(input, target) + 1

    class Pair(nn.Transformer):
        pass

    net, x = Net(), ng.ones(4, 3)
    weight, bias = (p.detach().numpy() for p in net.body[0].parameters())
    assert np.allclose(net(x).tolist(), np.tanh(2 * (x.numpy() @ weight.T + bias)), rtol=0, atol=1e-6)  # 8 roundings of numbers near 1
    assert [k for k, _ in net.named_parameters()] == ["body.0.weight", "body.0.bias"]
    conv = Same(1, 1, 3, bias=False)
    nn.init.ones_(conv.weight)
    assert conv(ng.ones(1, 1, 2, 2)).tolist() == [[[[4, 4], [4, 4]]]]
    assert np.allclose(Groups(2)(ng.tensor([[1.0, 3.0]])).tolist(), np.array([[-1, 1]]) / np.sqrt(1 + 1e-5), rtol=0, atol=1e-6)
    assert np.isclose(Loss()(ng.zeros(1, 2), ng.tensor([0])).item(), 1 + np.log(2))
    assert Pair(4, 1, 1, 1, 8, batch_first=True)(ng.ones(1, 2, 4), ng.ones(1, 3, 4)).shape == (1, 3, 4)


@shows("class autograd.Function", "autograd.Function", "@ autograd.once_differentiable")
def test_derived_function() -> None:
    class Cube(ng.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        @ng.autograd.function.once_differentiable
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return g * 3 * x**2

    x = ng.tensor([2.0], requires_grad=True)
    Cube.apply(x).sum().backward()
    assert x.grad.tolist() == [12]


@shows("class optim.Optimizer", "optim.Optimizer", "optim.Optimizer.step : closure", "optim.LBFGS : lr", "class optim.lr_scheduler._LRScheduler")
def test_derived_optimizer_and_schedule() -> None:
    class Descent(ng.optim.Optimizer):
        def __init__(self, params: Any, lr: float):
            super().__init__(params, {"lr": lr})

        @ng.no_grad()
        def step(self, closure: Any = None) -> Any:
            for group in self.param_groups:
                for p in group["params"]:
                    p -= group["lr"] * p.grad

    class Halves(ng.optim.lr_scheduler._LRScheduler):
        def get_lr(self) -> Any:
            return [base / (1 + self.last_epoch) for base in self.base_lrs]

    q = nn.Parameter(ng.tensor([3.0]))
    optimizer = Descent([q], lr=0.5)
    schedule = Halves(optimizer)
    (q * q).sum().backward()
    optimizer.step()
    schedule.step()
    assert q.tolist() == [0] and optimizer.param_groups[0]["lr"] == 0.25
    q = nn.Parameter(ng.tensor([3.0, -2.0]))
    newton = ng.optim.LBFGS([q], lr=0.5)

    def closure() -> Any:
        newton.zero_grad()
        loss = ((q - 1) ** 2).sum()
        loss.backward()
        return loss

    for _ in range(8):
        newton.step(closure=closure)
    assert np.allclose(q.tolist(), [1, 1], atol=1e-4)


@shows("class utils.data.Dataset", "class utils.data.IterableDataset", "class utils.data.Sampler", "utils.data.Dataset", "utils.data.DataLoader : sampler")
def test_derived_data() -> None:
    class Squares(ng.utils.data.Dataset):
        def __len__(self) -> int:
            return 4

        def __getitem__(self, i: int) -> float:
            return float(i * i)

    class Stream(ng.utils.data.IterableDataset):
        def __iter__(self) -> Iterator[int]:
            return iter(range(3))

    class Backwards(ng.utils.data.Sampler):
        def __iter__(self) -> Iterator[int]:
            return iter([3, 2, 1, 0])

        def __len__(self) -> int:
            return 4

    loader = ng.utils.data.DataLoader
    assert [b.tolist() for b in loader(Squares(), batch_size=2, sampler=Backwards())] == [[9, 4], [1, 0]]
    assert [b.tolist() for b in loader(Stream(), batch_size=2)] == [[0, 1], [2]]


@shows("class distributions.Bernoulli", "class distributions.Categorical", "class distributions.Normal")
def test_derived_distributions() -> None:
    d = ng.distributions

    class Coin(d.Bernoulli):
        def mode_of(self) -> Any:
            return (self.probs >= 0.5).float()

    class Choice(d.Categorical):
        def log_probs(self, actions: Any) -> Any:
            return super().log_prob(actions.squeeze(-1)).view(actions.size(0), -1).sum(-1)

    class Action(d.Normal):
        def log_probs(self, actions: Any) -> Any:
            return super().log_prob(actions).sum(-1, keepdim=True)

    assert Coin(ng.tensor([0.25, 0.75])).mode_of().tolist() == [0, 1]
    assert np.allclose(Choice(logits=ng.zeros(2, 4)).log_probs(ng.tensor([[1], [3]])).tolist(), np.log([0.25, 0.25]))
    assert np.allclose(Action(ng.zeros(1, 2), ng.ones(1, 2)).log_probs(ng.zeros(1, 2)).tolist(), [[-np.log(2 * np.pi)]])
