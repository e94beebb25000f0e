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


def test_classes_that_are_registered_are_nests() -> None:
    class Box:
        def __init__(self, value, label):
            self.value, self.label = value, label

    with pytest.raises(ValueError, match="already"):
        for _ in range(2):
            pytree.register_pytree_node(Box, lambda b: ([b.value], [b.label]), lambda children, context: Box(*children, *context))
    made = pytree.tree_map(lambda x: x + 1, {"b": [Box(1, "one"), Box((2, 3), "two")]})["b"]
    assert made[0].value == 2 and made[0].label == "one" and made[1].value == (3, 4)
    form = pytree.tree_structure({"x": [1, Pair(2, 3)]})
    assert form == pytree.TreeSpec(dict, ["x"], [pytree.TreeSpec(list, None, [pytree.LeafSpec(), pytree.TreeSpec(namedtuple, Pair, [pytree.LeafSpec()] * 2)])])
    assert form.type is dict and form.context == ["x"] and form.children_specs[0].num_leaves == 3 and form.children_specs[0].children_specs[1].context is Pair
    for nest in ([1], (1, 2), Pair(1, 2), {"a": 1}, OrderedDict(b=2), Box(3, "box")):
        known = pytree.SUPPORTED_NODES[pytree._get_node_type(nest)]
        again = known.unflatten_fn(*known.flatten_fn(nest))
        assert type(again) is type(nest) and (again == nest or vars(again) == vars(nest))
    same, other = pytree.tree_structure(Box(1, "one")), pytree.tree_structure(Box(1, "two"))
    assert same == pytree.tree_structure(Box(5, "one")) and same != other and hash(same) is not None

    @torch.compile(fullgraph=True)
    def doubled(box):
        return Box(box.value * 2, box.label)

    for i in range(4):
        found = doubled(Box(torch.full((3,), float(i)), "three"))
        assert found.value.tolist() == [2.0 * i] * 3 and found.label == "three"


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


# --- modules that are absent -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["distributed.fsdp", "distributed.checkpoint.state_dict", "fx", "fx.experimental.proxy_tensor", "export", "utils.cpp_extension",
                                  "nn.quantized.dynamic", "_dynamo.eval_frame"])  # fmt: skip
def test_absent_modules_are_imported_and_refuse_when_used(path: str) -> None:
    module = importlib.import_module(f"numgrad.{path}")
    assert not isinstance(nn.Linear(1, 1), module.Something) and module.Something is module.Something
    assert module.Something.MEMBER is not None  # an enumeration's, named as a default
    for use in (module.Something, module.some_function, module.Something.MEMBER):
        with pytest.raises(NotImplementedError, match=rf"no {path}\.[\w.]+: "):
            use()
    with pytest.raises(AttributeError):
        module.__something__  # noqa: B018
    assert importlib.import_module(f"numgrad.{path}") is module


def test_what_is_not_listed_is_no_module() -> None:
    for name in ("numgrad.no_such_module", "numgrad.nn.no_such_module", "numgrad.distributions.no_such_module"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(name)
    with pytest.raises(NotImplementedError, match="numgrad.compile"):
        torch.fx.symbolic_trace(nn.Linear(1, 1))  # as an attribute, without importing it


def test_names_that_are_only_asked_about() -> None:
    from numgrad import overrides, storage
    from numgrad.distributed import ProcessGroup, TCPStore
    from numgrad.jit import ScriptFunction, ScriptModule
    from numgrad.nn.common_types import _size_2_t

    x = torch.ones(2)
    assert not any(isinstance(x, kind) for kind in (ProcessGroup, TCPStore, ScriptFunction, ScriptModule, storage.UntypedStorage))
    assert isinstance(x.untyped_storage(), torch.UntypedStorage) and _size_2_t == int | tuple[int, int]
    assert overrides.is_tensor_like(x) and not overrides.is_tensor_like([1]) and not overrides.has_torch_function((x,))
    assert isinstance(torch.compile(nn.Linear(1, 1)), torch._dynamo.OptimizedModule)
    assert "numgrad" in torch.__config__.show() and "threads" in torch.__config__.parallel_info()


def test_torch_function_is_given_the_call() -> None:
    from numgrad import overrides

    class Left:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return NotImplemented

    class Right(Left):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return cls.__name__, [kind.__name__ for kind in types], args, kwargs

    pair = (Left(), Right())
    assert overrides.has_torch_function_variadic(1, *pair)
    assert overrides.handle_torch_function(torch.add, pair, 1, out=2) == ("Right", ["Right", "Left"], (1,), {"out": 2})
    with pytest.raises(TypeError, match="no implementation found for"):
        overrides.handle_torch_function(torch.add, pair[:1], 1)


def test_futures() -> None:
    import threading

    from numgrad.futures import collect_all, wait_all

    first, second = torch.Future(), torch.futures.Future(devices=[])
    doubled, both = first.then(lambda f: 2 * f.value()), collect_all([first, second])
    with pytest.raises(RuntimeError, match="wait"):
        first.value()
    threading.Thread(target=lambda: (first.set_result(3), second.set_result(4))).start()
    assert wait_all([first, second]) == [3, 4] and doubled.wait() == 6 and both.wait() == [first, second]
    assert collect_all([]).wait() == []
    with pytest.raises(RuntimeError, match="already"):
        first.set_result(5)
    failed = torch.futures.Future()
    failed.set_exception(KeyError("k"))
    with pytest.raises(KeyError):
        failed.then(lambda f: f.wait()).wait()


def test_collate_by_type() -> None:
    from numgrad.utils.data._utils.collate import collate, default_collate_fn_map

    class Box:
        def __init__(self, value):
            self.value = value

    class Crate(Box):
        pass

    boxes = {Box: lambda batch, *, collate_fn_map=None: sum(box.value for box in batch)}
    assert collate([(Box(1), Crate(2)), (Crate(3), Box(4))], collate_fn_map=boxes) == [4, 6]
    with pytest.raises(TypeError, match="found"):
        collate([1, 2], collate_fn_map=boxes)
    found = collate([{"x": 1.5, "b": Box(1)}, {"x": 2.5, "b": Box(2)}], collate_fn_map=default_collate_fn_map | boxes)
    assert found["b"] == 3 and found["x"].dtype == torch.float64 and found["x"].tolist() == [1.5, 2.5]


@pytest.mark.parametrize(("layer", "norm", "shape"), [
    (lambda: nn.Conv2d(4, 6, 3, groups=2, bias=False), nn.BatchNorm2d(6), (2, 4, 5, 5)),
    (lambda: nn.ConvTranspose2d(3, 4, 2, stride=2), nn.BatchNorm2d(4, affine=False), (2, 3, 4, 4)),
    (lambda: nn.Linear(5, 3), nn.BatchNorm1d(3), (7, 5)),
])  # fmt: skip
def test_batch_norm_folds_into_the_layer_before(layer, norm, shape) -> None:
    from numgrad.nn.utils import fusion

    first, norm = layer().double(), norm.double()
    norm.running_mean.normal_(), norm.running_var.uniform_(0.5, 2)
    x = torch.randn(shape, dtype=torch.float64)
    with pytest.raises(AssertionError, match="eval"):
        fusion.fuse_conv_bn_eval(first, norm)
    first.eval(), norm.eval()
    if isinstance(first, nn.Linear):
        fused = fusion.fuse_linear_bn_eval(first, norm)
    else:
        fused = fusion.fuse_conv_bn_eval(first, norm, transpose=isinstance(first, nn.ConvTranspose2d))
    np.testing.assert_allclose(fused(x).detach(), norm(first(x)).detach(), rtol=1e-12, atol=1e-12)
    assert fused.weight is not first.weight and isinstance(fused.bias, nn.Parameter)


def test_to_is_parsed_as_its_arguments_come() -> None:
    x = torch.ones(2)
    assert x.to(torch.float32, False) is x and x.to(torch.float32, False, True) is not x and x.to("cpu", torch.float32, True, True) is not x
    parsed = torch._C._nn._parse_to("cpu", torch.float64, True)
    assert parsed == (torch.device("cpu"), torch.float64, True, None) and torch._C._nn._parse_to(x)[:2] == (x.device, x.dtype)
    assert torch._C._disabled_torch_function_impl(max, (), (1, 2)) == 2
