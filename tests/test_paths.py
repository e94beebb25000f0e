"""Modules and helpers under PyTorch's paths."""

from __future__ import annotations

import importlib
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
from scipy import special as reference
from scipy import stats

import numgrad as torch
from numgrad import nn, special
from numgrad.paths import PLACES
from numgrad.utils import _pytree as pytree
from numgrad.utils.data import DataLoader, DistributedSampler


@pytest.mark.parametrize("path", [*PLACES, "nn.attention", "random", "special", "types", "utils._pytree", "utils.dlpack", "utils.data.distributed"])
def test_modules_are_found(path: str) -> None:
    assert vars(importlib.import_module(f"numgrad.{path}"))


def test_names_under_their_paths() -> None:
    from numgrad.autograd.function import Function
    from numgrad.autograd.profiler import record_function
    from numgrad.autograd.variable import Variable
    from numgrad.nn.parallel.distributed import DistributedDataParallel
    from numgrad.nn.utils.weight_norm import weight_norm
    from numgrad.utils.data._utils.collate import default_collate
    from numgrad.utils.hooks import RemovableHandle

    assert Function is torch.autograd.Function and Variable is torch.autograd.Variable and weight_norm is nn.utils.weight_norm
    assert default_collate is torch.utils.data.default_collate and RemovableHandle is torch.autograd.RemovableHandle
    assert record_function is torch.profiler.record_function and DistributedDataParallel is nn.parallel.DistributedDataParallel
    assert callable(torch.autograd.gradcheck)  # the function, though there is a module of that name


def test_fork_rng_leaves_the_generator_as_it_was() -> None:
    torch.manual_seed(3)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        inside = torch.rand(3)
    after = torch.rand(3)
    torch.manual_seed(3)
    assert torch.equal(after, torch.rand(3)) and not torch.equal(inside, after)
    torch.manual_seed(3)
    with torch.random.fork_rng(enabled=False):
        torch.rand(3)
    assert not torch.equal(after, torch.rand(3))


# --- utils._pytree -----------------------------------------------------------------------------------------------------

Pair = namedtuple("Pair", "left right")


def test_a_tree_is_taken_apart_and_put_together() -> None:
    tree = OrderedDict(b=[1, (2, None)], a=Pair(3, {"x": 4}))
    leaves, form = pytree.tree_flatten(tree)
    assert leaves == [1, 2, None, 3, 4] and form.num_leaves == 5 and form == pytree.tree_structure(tree)
    again = pytree.tree_unflatten(leaves, form)
    assert again == tree and type(again) is OrderedDict and type(again["a"]) is Pair
    with pytest.raises(ValueError, match="5 leaves, but got 2"):
        pytree.tree_unflatten([1, 2], form)


def test_a_function_over_trees() -> None:
    assert pytree.tree_map(lambda a, b: a + b, {"x": [1, 2]}, {"x": [10, 20]}) == {"x": [11, 22]}
    with pytest.raises(ValueError, match="one form"):
        pytree.tree_map(lambda a, b: a, [1, 2], [1])
    assert pytree.tree_map_only(int, str, [1, 2.5, "a"]) == ["1", 2.5, "a"]
    pairs = pytree.tree_map(sum, {"x": [(1, 2), (3, 4)]}, is_leaf=lambda x: isinstance(x, tuple))
    assert pairs == {"x": [3, 7]}
    assert pytree.tree_all(bool, [1, (2,)]) and not pytree.tree_any(bool, [0, (0,)])
    with pytest.raises(NotImplementedError, match="named tuples"):
        pytree.register_pytree_node(list, None, None)


# --- what is accepted for machines of many processes or kernels ------------------------------------------------------------


@pytest.mark.parametrize("drop_last, sizes", [(False, [4, 4, 4]), (True, [3, 3, 3])])
def test_processes_share_a_dataset(drop_last: bool, sizes: list[int]) -> None:
    parts = [DistributedSampler(range(10), 3, rank, seed=7, drop_last=drop_last) for rank in range(3)]
    first = [list(p) for p in parts]
    assert [len(p) for p in first] == [len(p) for p in parts] == sizes
    everything = sorted(sum(first, []))
    assert (set(everything) == set(range(10))) if not drop_last else len(set(everything)) == 9
    for part in parts:
        part.set_epoch(1)
    assert [list(p) for p in parts] != first
    assert list(DistributedSampler(range(5), shuffle=False)) == [0, 1, 2, 3, 4]
    loader = DataLoader(torch.arange(10), batch_size=2, sampler=DistributedSampler(range(10), 2, 1, shuffle=False))
    assert torch.cat(list(loader)).tolist() == [1, 3, 5, 7, 9]
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        DistributedSampler(range(3), 2, 2)


def test_sync_batch_norm_is_batch_norm() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Sequential(nn.Flatten(), nn.BatchNorm1d(12)))
    x = torch.randn(5, 1, 4, 4)
    plain(x)
    sync = nn.SyncBatchNorm.convert_sync_batchnorm(plain)
    assert type(sync[1]) is type(sync[2][1]) is nn.SyncBatchNorm and list(sync.state_dict()) == list(plain.state_dict())
    assert torch.equal(sync.eval()(x), plain.eval()(x))
    with pytest.raises(ValueError, match="at least 2D"):
        nn.SyncBatchNorm(2)(torch.ones(2))


def test_kernels_of_attention_may_be_named() -> None:
    q = torch.randn(1, 2, 5, 4)
    with nn.attention.sdpa_kernel([nn.attention.SDPBackend.MATH]):
        found = nn.functional.scaled_dot_product_attention(q, q, q)
    assert torch.equal(found, nn.functional.scaled_dot_product_attention(q, q, q))
    with pytest.raises(AssertionError, match="SDPBackend"), nn.attention.sdpa_kernel("flash"):
        pass


def test_dlpack_shares_memory() -> None:
    a = torch.arange(3.0)
    np.from_dlpack(a)[0] = 5
    assert a[0] == 5 and "dltensor" in repr(torch.utils.dlpack.to_dlpack(a))


# --- special --------------------------------------------------------------------------------------------------------------

X = np.array([-3.0, -0.5, 0.0, 0.25, 1.0, 7.0])


@pytest.mark.parametrize(
    "name, x, expected",
    [
        ("expit", X, reference.expit(X)),
        ("entr", X, reference.entr(X)),
        ("ndtr", X, stats.norm.cdf(X)),
        ("ndtri", np.array([0.0, 1e-3, 0.5, 0.9, 1.0]), stats.norm.ppf([0.0, 1e-3, 0.5, 0.9, 1.0])),
        ("gammaln", np.array([0.5, 1.0, 7.0]), reference.gammaln([0.5, 1.0, 7.0])),
        ("psi", np.array([0.5, 1.0, 7.0]), reference.psi([0.5, 1.0, 7.0])),
    ],
)
def test_special_functions(name: str, x: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(getattr(special, name)(torch.from_numpy(x)).numpy(), expected, rtol=1e-12, atol=1e-15)


def test_special_functions_of_two() -> None:
    x, y = np.meshgrid([0.0, -1.0, 2.5, np.nan], [-1.0, 0.0, 3.0, np.nan])
    found = special.xlog1py(torch.from_numpy(x), torch.from_numpy(y))
    np.testing.assert_allclose(found.numpy(), reference.xlog1py(x, y), rtol=1e-14)
    assert special.xlog1py(2.0, torch.tensor(1.0)).item() == pytest.approx(2 * np.log(2), rel=1e-6)
    with pytest.raises(TypeError, match="at least one Tensor"):
        special.xlog1py(1.0, 2.0)
    a = np.array([2.5, 4.0])
    np.testing.assert_allclose(special.multigammaln(torch.from_numpy(a), 3).numpy(), [reference.multigammaln(v, 3) for v in a], rtol=1e-13)
    with pytest.raises(RuntimeError, match="greater than"):
        special.multigammaln(torch.tensor([0.5]), 2)
    with pytest.raises(AttributeError, match="bessel_j0"):
        special.bessel_j0(1)
