"""Names that PyTorch's users meet beside the ops: methods, other forms of functions, windows, histograms, segments."""

from __future__ import annotations

import copy
import math
import pickle
import types
import warnings
from typing import Any

import numpy as np
import pytest

import numgrad
from numgrad import Tensor, nn
from numgrad.ops import REGISTRY

#: Written in operations that are tested with real kernels by themselves.
pytestmark = pytest.mark.interpreted


def test_diagonals_are_filled() -> None:
    tall = numgrad.zeros(7, 3)
    assert tall.fill_diagonal_(5, wrap=True) is tall
    assert tall.sum(1).tolist() == [5, 5, 5, 0, 5, 5, 5] and tall.clone().fill_diagonal_(0)[4, 0] == 5
    assert numgrad.zeros(2, 2, 2).fill_diagonal_(1).flatten().tolist() == [1, 0, 0, 0, 0, 0, 0, 1]
    with pytest.raises(RuntimeError, match="equal length"):
        numgrad.zeros(2, 3, 2).fill_diagonal_(1)


def test_new_tensors_of_the_same_dtype() -> None:
    x = numgrad.ones(2, dtype=numgrad.float64)
    assert [t.dtype for t in (x.new(), x.new([1]), x.new(2, 3))] == [numgrad.float64] * 3
    assert x.new(numgrad.Size([2, 1])).shape == (2, 1) and x.new([1, 2]).tolist() == [1, 2] and x.new().shape == (0,)
    alias = x.new(x)
    alias[0] = 9
    assert x.tolist() == [9, 1]
    with pytest.raises(TypeError, match="float32"):
        x.new(numgrad.ones(1))


def test_resized_memory_is_shared_as_long_as_it_fits() -> None:
    x = numgrad.arange(6.0)
    alias = x.detach()
    x.resize_(2, 2).fill_(7)
    assert alias.tolist() == [7, 7, 7, 7, 4, 5]
    x.resize_(5).fill_(1)
    assert x.shape == (5,) and alias.tolist() == [7, 7, 7, 7, 4, 5]
    assert numgrad.arange(3.0).resize_(2, 2).flatten()[:3].tolist() == [0, 1, 2]
    part = numgrad.arange(6.0)[2:]
    assert part.resize_as_(numgrad.ones(3)).tolist() == [2, 3, 4]
    with pytest.raises(RuntimeError, match="require grad"):
        numgrad.ones(2, requires_grad=True).resize_(1)


def test_python_functions_of_elements() -> None:
    x = numgrad.tensor([[1.0, 2.0], [3.0, 4.0]]).t()
    assert x.apply_(lambda v: 2 * v).tolist() == [[2, 6], [4, 8]]
    assert x.map_(numgrad.ones(1), lambda a, b: a - b).tolist() == [[1, 5], [3, 7]]
    assert x.map2_(x, numgrad.ones(2, 2), lambda a, b, c: a * b - c).tolist() == [[0, 24], [8, 48]]
    with pytest.raises(RuntimeError, match=r"detach\(\)"):
        numgrad.ones(1, requires_grad=True).apply_(abs)


def test_comparisons_in_place_keep_the_dtype() -> None:
    x = numgrad.tensor([1.0, 2.0])
    assert x.lt_(2) is x and x.tolist() == [1.0, 0.0] and x.dtype is numgrad.float32
    y = numgrad.ones(2, requires_grad=True)
    (y * 2).greater_equal_(1).sum().backward()
    assert y.grad is None or y.grad.tolist() == [0, 0]


def test_the_commonest_element_is_the_smallest_of_several_and_its_last_place() -> None:
    values, indices = numgrad.mode(numgrad.tensor([[1, 2, 2, 1], [3, 3, 3, 1]]))
    assert values.tolist() == [1, 3] and indices.tolist() == [3, 2]
    x = numgrad.tensor([2.0, 2.0, 1.0], requires_grad=True)
    x.mode().values.backward()
    assert x.grad is not None and x.grad.tolist() == [0, 1, 0]


def test_subclasses() -> None:
    class Named(Tensor):
        pass

    x = numgrad.ones(2)
    found = x.as_subclass(Named)
    assert type(found) is Named and found.data_ptr() == x.data_ptr()
    assert isinstance(x.as_subclass(nn.Parameter), nn.Parameter)


def test_questions() -> None:
    x = numgrad.ones(1)
    assert x.is_nonzero() and numgrad.is_same_size(x, x) and not x.is_pinned() and not x.is_sparse_csr and x.is_cpu
    assert numgrad.is_signed(x) and not numgrad.is_inference(x) and not numgrad.is_storage(x) and numgrad.get_device(x) == -1
    assert isinstance(numgrad.channels_last, numgrad.memory_format) and isinstance(numgrad.strided, numgrad.layout)
    assert not isinstance(numgrad.strided, numgrad.memory_format)
    with pytest.raises(RuntimeError, match="non-complex"):
        _ = x.imag


def test_warnings_every_time() -> None:
    with warnings.catch_warnings():
        assert not numgrad.is_warn_always_enabled()
        numgrad.set_warn_always(True)
        assert numgrad.is_warn_always_enabled() and warnings.filters[0][0] == "always"
        numgrad.set_warn_always(False)
    assert not numgrad.is_warn_always_enabled()


@pytest.mark.parametrize("name", ["hann", "hamming", "blackman", "bartlett"])
def test_windows(name: str) -> None:
    make, own = getattr(numgrad, f"{name}_window"), getattr(np, name if name != "hann" else "hanning")
    np.testing.assert_allclose(make(7, False, dtype=numgrad.float64).numpy(), own(7), atol=1e-15)
    np.testing.assert_allclose(make(7).numpy(), own(8)[:7], atol=1e-7)
    assert make(0).shape == (0,) and make(1).tolist() == [1.0]
    with pytest.raises(RuntimeError, match="non-negative"):
        make(-1)
    with pytest.raises(RuntimeError, match="floating point"):
        make(2, dtype=numgrad.int64)


def test_gradients_at_uneven_places() -> None:
    rng = np.random.default_rng(0)
    y, x = rng.normal(size=(3, 6)), np.cumsum(rng.uniform(0.5, 1.5, 6))
    for order in (1, 2):
        (found,) = numgrad.gradient(numgrad.tensor(y), spacing=(numgrad.tensor(x),), dim=1, edge_order=order)
        np.testing.assert_allclose(found.numpy(), np.gradient(y, x, axis=1, edge_order=order))


def test_histograms_of_rows() -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(50, 2)), rng.uniform(size=50)
    found = numgrad.histogramdd(numgrad.tensor(x), [3, 4], weight=numgrad.tensor(w), density=True)
    expected, edges = np.histogramdd(x, [3, 4], weights=w, density=True)
    np.testing.assert_allclose(found.hist.numpy(), expected)
    for a, b in zip(found.bin_edges, edges, strict=True):
        np.testing.assert_allclose(a.numpy(), b)


@pytest.mark.parametrize(("reduce", "expected"), [("sum", [1, 0, 9]), ("mean", [0.5, math.nan, 3]), ("max", [1, -math.inf, 4]), ("min", [0, math.inf, 2]), ("prod", [0, 1, 24])])
def test_segments(reduce: str, expected: list[float]) -> None:
    x = numgrad.arange(5.0)
    found = numgrad.segment_reduce(x, reduce, lengths=numgrad.tensor([2, 0, 3]))
    np.testing.assert_array_equal(found.numpy(), expected)
    np.testing.assert_array_equal(numgrad.segment_reduce(x, reduce, offsets=numgrad.tensor([0, 2, 2, 5])).numpy(), expected)
    with pytest.raises(RuntimeError, match="sum to"):
        numgrad.segment_reduce(x, reduce, lengths=numgrad.tensor([2, 2]))


def test_copies_share_nothing() -> None:
    x = numgrad.arange(6.0).view(2, 3)
    cases: list[tuple[str, Any, Any]] = [("permute", (1, 0), x.t()), ("unsqueeze", 0, x[None]), ("expand", (2, 2, 3), x.expand(2, 2, 3)), ("narrow", (1, 0, 2), x[:, :2])]
    for name, args, expected in cases:
        found = getattr(numgrad, f"{name}_copy")(x, *(args if name == "narrow" else (args,)))
        assert found.is_contiguous() and found.data_ptr() != x.data_ptr() and numgrad.equal(found, expected)
    assert [t.tolist() for t in numgrad.split_copy(x, 1)] == [[[0, 1, 2]], [[3, 4, 5]]]
    assert numgrad.slice_copy(x, 1, 0, 3, 2).tolist() == [[0, 2], [3, 5]] and x.narrow_copy(0, 1, 1).tolist() == [[3, 4, 5]]


def test_losses_and_layers_in_their_other_form() -> None:
    x, y = numgrad.randn(4, 3), numgrad.randn(4, 3)
    functional = nn.functional
    assert numgrad.equal(numgrad.margin_ranking_loss(x, y, y.sign(), 0.5, 2), functional.margin_ranking_loss(x, y, y.sign(), 0.5, reduction="sum"))
    mean, var, weight = numgrad.randn(3), numgrad.rand(3), numgrad.randn(3)
    expected = functional.batch_norm(x, mean, var, weight, None, False, 0.1, 1e-3)
    assert numgrad.equal(numgrad.batch_norm(x, weight, None, mean, var, False, 0.1, 1e-3, False), expected)
    index, starts = numgrad.tensor([1, 0, 3]), numgrad.tensor([0, 2])
    assert numgrad.equal(numgrad.embedding(x, index), x[index])
    found, bags, sizes, _ = numgrad.embedding_bag(x, index, starts, mode=1)
    assert numgrad.allclose(found[0], (x[1] + x[0]) / 2) and bags.tolist() == [0, 0, 1] and sizes.tolist() == [2, 1]
    with pytest.raises(ValueError, match="reduction"):
        numgrad.poisson_nll_loss(x, y, True, False, 1e-8, 3)
    assert numgrad.clamp_(x, 0, 1) is x and numgrad.selu_(y) is y


def test_factors_before_tensors_warn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from numgrad.ops import deprecated

    monkeypatch.setattr(deprecated, "_said", set())
    x, y = numgrad.ones(2, 2), numgrad.full((2, 2), 3.0)
    with pytest.warns(UserWarning, match=r"add_ is deprecated.*alpha=2"):
        assert x.clone().add_(2, y)[0, 0] == 7
    assert x.clone().add_(2, y)[0, 0] == 7  # warnings are errors here
    with pytest.warns(UserWarning, match="deprecated"):
        assert x.addcmul(2, y, y)[0, 0] == 19 and x.clone().addcdiv_(2, y, y)[0, 0] == 3 and x.sub(2, y)[0, 0] == -5
        assert numgrad.addmm(2, x, 3, y, y)[0, 0] == 56 and x.addmm(2, y, y)[0, 0] == 20 and x.clone().addmm_(2, 3, y, y)[0, 0] == 56
    with pytest.raises(TypeError, match=r"add_\(\) takes 2 positional"):
        x.add_(y, 2)


def test_functions_are_pickled_by_name() -> None:
    """As what models keep of them, an activation say: every function of the package, and copies are the functions themselves."""
    functions = [(n, f) for n in numgrad.__all__ if isinstance(f := getattr(numgrad, n), types.FunctionType)]
    assert len(functions) > 400
    assert [n for n, f in functions if pickle.loads(pickle.dumps(f)) is not f] == []
    layer = nn.TransformerEncoderLayer(8, 2, activation=numgrad.tanh)
    assert pickle.loads(pickle.dumps(layer)).activation is copy.deepcopy(layer).activation is numgrad.tanh
    for op in REGISTRY.values():  # also where no function stands for it
        assert pickle.loads(pickle.dumps(op)) is (op.function or op)
