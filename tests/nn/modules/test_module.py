"""Module: attributes, walking the tree, modes, types, text, copies."""

import copy
import pickle

import numpy as np
import pytest

import numgrad
from numgrad import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.inner = nn.Sequential(nn.ReLU(), nn.Linear(3, 1, bias=False))
        self.register_buffer("scale", numgrad.ones(2))
        self.register_buffer("scratch", numgrad.zeros(1), persistent=False)

    def forward(self, x):
        return self.inner(self.first(x * self.scale))


def names(pairs):
    return [name for name, _ in pairs]


def test_attributes_become_members_by_their_type():
    net = Net()
    assert set(net._parameters) == set()
    assert list(net._modules) == ["first", "inner"]
    assert list(net._buffers) == ["scale", "scratch"]
    net.weight = nn.Parameter(numgrad.zeros(1))
    net.marks = nn.Buffer(numgrad.zeros(2), persistent=False)
    net.plain = numgrad.zeros(3)
    assert list(net._parameters) == ["weight"] and "marks" in net._buffers
    assert "plain" in net.__dict__ and "plain" not in names(net.named_buffers())
    assert "marks" not in net.state_dict() and "weight" in net.state_dict()


def test_a_name_moves_between_kinds_of_members():
    net = Net()
    net.scale = nn.Parameter(numgrad.zeros(2))
    assert "scale" in net._parameters and "scale" not in net._buffers
    del net.scale
    net.scale = 3
    assert net.scale == 3 and "scale" not in net._parameters
    net.scale = nn.ReLU()
    assert "scale" in net._modules and "scale" not in net.__dict__
    net.first = None
    assert net.first is None and "first" not in names(net.named_children())


def test_deleting_members():
    net = Net()
    del net.first, net.scratch
    assert list(net._modules) == ["inner"] and not net._non_persistent_buffers_set
    with pytest.raises(AttributeError):
        _ = net.first
    with pytest.raises(AttributeError):
        del net.first


def test_walking_the_tree():
    net = Net()
    assert names(net.named_parameters()) == ["first.weight", "first.bias", "inner.1.weight"]
    assert names(net.named_parameters("net")) == ["net.first.weight", "net.first.bias", "net.inner.1.weight"]
    assert names(net.named_parameters(recurse=False)) == []
    assert names(net.named_buffers()) == ["scale", "scratch"]
    assert names(net.named_children()) == ["first", "inner"]
    assert names(net.named_modules()) == ["", "first", "inner", "inner.0", "inner.1"]
    assert next(net.modules()) is net and list(net.children())[1] is net.inner
    assert next(net.parameters()) is net.first.weight and len(list(net.buffers())) == 2


def test_shared_members_come_once():
    net = Net()
    net.again = net.first
    net.inner[1].twin = net.first.weight
    assert names(net.named_parameters()) == ["first.weight", "first.bias", "inner.1.weight"]
    assert names(net.named_parameters(remove_duplicate=False)) == [
        "first.weight", "first.bias", "inner.1.weight", "inner.1.twin", "again.weight", "again.bias",
    ]  # fmt: skip
    assert names(net.named_modules()) == ["", "first", "inner", "inner.0", "inner.1"]
    assert names(net.named_children()) == ["first", "inner"]
    assert len(list(net.modules(remove_duplicate=False))) == 6


def test_members_by_dotted_name():
    net = Net()
    assert net.get_submodule("") is net and net.get_submodule("inner.1") is net.inner[1]
    assert net.get_parameter("first.weight") is net.first.weight
    assert net.get_buffer("scale") is net.scale
    new = nn.Tanh()
    net.set_submodule("inner.0", new)
    assert net.inner[0] is new
    for wrong, message in [("inner.7", "no attribute `7`"), ("scale", "`scale` is not an nn.Module")]:
        with pytest.raises(AttributeError, match=message):
            net.get_submodule(wrong)
    with pytest.raises(AttributeError, match="is not an nn.Parameter"):
        net.get_parameter("first.in_features")
    with pytest.raises(AttributeError, match="is not a buffer"):
        net.get_buffer("first.weight")
    with pytest.raises(AttributeError, match="no attribute `new`"):
        net.set_submodule("new", nn.ReLU(), strict=True)
    with pytest.raises(ValueError):
        net.set_submodule("", nn.ReLU())


class NoInit(nn.Module):
    def __init__(self, kind):
        if kind == "parameter":
            self.p = nn.Parameter(numgrad.zeros(1))
        elif kind == "module":
            self.m = nn.ReLU()
        else:
            self.register_buffer("b", numgrad.zeros(1))


@pytest.mark.parametrize("kind", ["parameter", "module", "buffer"])
def test_members_need_init_first(kind):
    with pytest.raises(AttributeError, match=r"before Module.__init__\(\) call"):
        NoInit(kind)


@pytest.mark.parametrize("act, error, message", [
    (lambda n: setattr(n, "first", 3), TypeError, "cannot assign 'int' as child module 'first'"),
    (lambda n: setattr(n.first, "weight", numgrad.zeros(1)), TypeError, "as parameter 'weight'"),
    (lambda n: setattr(n, "scale", 3), TypeError, "cannot assign 'int' as buffer 'scale'"),
    (lambda n: n.register_buffer("first", numgrad.zeros(1)), KeyError, "attribute 'first' already exists"),
    (lambda n: n.register_buffer("a.b", numgrad.zeros(1)), KeyError, "contain"),
    (lambda n: n.register_buffer("", numgrad.zeros(1)), KeyError, "empty string"),
    (lambda n: n.register_buffer(3, numgrad.zeros(1)), TypeError, "should be a string. Got int"),
    (lambda n: n.register_buffer("b", 3), TypeError, "cannot assign 'int' object to buffer 'b'"),
    (lambda n: n.register_parameter("first", None), KeyError, "already exists"),
    (lambda n: n.register_parameter("p", numgrad.zeros(1)), TypeError, "nn.Parameter or None"),
    (lambda n: n.add_module("a.b", nn.ReLU()), KeyError, "contain"),
    (lambda n: n.add_module("m", 3), TypeError, "int is not a Module subclass"),
    (lambda n: n.add_module(3, nn.ReLU()), TypeError, "module name should be a string"),
    (lambda n: n.add_module("scale", nn.ReLU()), KeyError, "already exists"),
    (lambda n: n.missing, AttributeError, "'Net' object has no attribute 'missing'"),
    (lambda n: n.train(1), ValueError, "expected to be boolean"),
    (lambda n: n.to(numgrad.int64), TypeError, "floating point"),
    (lambda n: n.to(3.5), TypeError, "float as argument 1"),
    (lambda n: n.to(speed=1), TypeError, "unexpected keyword argument 'speed'"),
    (lambda n: nn.Module()(1), NotImplementedError, 'missing the required "forward"'),
    (lambda n: nn.Module(1), TypeError, "takes no arguments"),
    (lambda n: nn.Module(a=1), TypeError, "unexpected keyword argument 'a'"),
])  # fmt: skip
def test_mistakes_are_named(act, error, message):
    with pytest.raises(error, match=message):
        act(Net())


def test_a_computed_tensor_is_no_parameter():
    computed = nn.Parameter(numgrad.ones(1)) * 2
    computed.__class__ = nn.Parameter
    with pytest.raises(ValueError, match="non-leaf"):
        Net().register_parameter("p", computed)


def test_call_super_init_passes_arguments_on():
    class Base:
        def __init__(self, size):
            self.size = size

    class Both(nn.Module, Base):
        call_super_init = True

        def __init__(self, size):
            super().__init__(size)

    assert Both(3).size == 3


def test_modes_and_requires_grad():
    net = Net()
    assert net.training and net.inner[0].training
    assert net.eval() is net and not net.inner[0].training
    net.train()
    assert net.inner[0].training
    assert net.requires_grad_(False) is net and not any(p.requires_grad for p in net.parameters())
    assert not net(numgrad.ones(1, 2)).requires_grad


def test_zero_grad():
    net = Net()
    net(numgrad.ones(1, 2)).sum().backward()
    kept = net.first.weight.grad
    net.zero_grad(set_to_none=False)
    assert net.first.weight.grad is kept and not kept.any()
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_apply_goes_children_first():
    seen = []
    Net().apply(lambda module: seen.append(type(module).__name__))
    assert seen == ["Linear", "ReLU", "Linear", "Sequential", "Net"]


@pytest.mark.parametrize("convert", [
    lambda n: n.double(), lambda n: n.to(numgrad.float64), lambda n: n.to("cpu", numgrad.float64),
    lambda n: n.to(numgrad.zeros(1, dtype=numgrad.float64)), lambda n: n.to(dtype=numgrad.float64, non_blocking=True),
    lambda n: n.type(numgrad.float64),
])  # fmt: skip
def test_changing_the_dtype_keeps_the_parameters(convert):
    net = Net()
    weight = net.first.weight
    net(numgrad.ones(1, 2)).sum().backward()
    assert convert(net) is net
    assert net.first.weight is weight and weight.dtype == numgrad.float64
    assert weight.grad.dtype == numgrad.float64 and net.scale.dtype == numgrad.float64
    assert weight.is_leaf and weight.requires_grad
    assert net(numgrad.ones(1, 2, dtype=numgrad.float64)).dtype == numgrad.float64
    assert net.float().first.weight.dtype == numgrad.float32


def test_integers_keep_their_dtype():
    net = nn.BatchNorm1d(2).double()
    assert net.num_batches_tracked.dtype == numgrad.int64 and net.running_mean.dtype == numgrad.float64
    assert net.to(numgrad.float32).num_batches_tracked.dtype == numgrad.int64


def test_places():
    net = Net()
    assert net.cpu() is net and net.to("cpu") is net and net.to(numgrad.device("cpu")) is net
    with pytest.raises((RuntimeError, AssertionError)):
        net.cuda()
    assert all(p.dtype == numgrad.float16 for p in Net().half().parameters())
    assert nn.ReLU().cuda() is not None  # nothing to move


def test_repr():
    assert repr(nn.ReLU()) == "ReLU()"
    assert repr(nn.ReLU(inplace=True)) == "ReLU(inplace=True)"
    assert repr(Net()) == (
        "Net(\n"
        "  (first): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (inner): Sequential(\n"
        "    (0): ReLU()\n"
        "    (1): Linear(in_features=3, out_features=1, bias=False)\n"
        "  )\n"
        ")"
    )


def test_repr_with_extra_lines():
    class Two(nn.Module):
        def extra_repr(self):
            return "a=1\nb=2"

    two = Two()
    assert repr(two) == "Two(\n  a=1\n  b=2\n)"
    two.child = nn.ReLU()
    assert repr(two) == "Two(\n  a=1\n  b=2\n  (child): ReLU()\n)"


def test_dir_lists_members_that_are_attribute_names():
    found = dir(Net())
    assert {"first", "scale", "forward", "training"} <= set(found)
    assert "0" not in dir(Net().inner)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_copies_are_equal_and_independent(again):
    net = Net()
    net.inner[1].tied = net.first.weight
    other = again(net)
    x = numgrad.randn(4, 2)
    assert (net(x) == other(x)).all()
    assert isinstance(other.first.weight, nn.Parameter) and other.inner[1].tied is other.first.weight
    with numgrad.no_grad():
        other.first.weight.zero_()
    assert net.first.weight.any()
    assert "scratch" in other._non_persistent_buffers_set


def test_copies_drop_gradients():
    net = Net()
    net(numgrad.ones(1, 2)).sum().backward()
    assert copy.deepcopy(net).first.weight.grad is None


def test_parameter():
    data = numgrad.zeros(2, 3)
    parameter = nn.Parameter(data)
    assert parameter.requires_grad and parameter.is_leaf and isinstance(parameter, numgrad.Tensor)
    assert not nn.Parameter(data, requires_grad=False).requires_grad
    assert type(parameter + 1) is numgrad.Tensor
    data.fill_(1)
    assert parameter.sum().item() == 6  # the same memory
    assert repr(nn.Parameter(numgrad.zeros(1))) == "Parameter containing:\ntensor([0.], requires_grad=True)"
    assert tuple(nn.Parameter().shape) == (0,)
    with pytest.raises(RuntimeError, match="floating point"):
        nn.Parameter(numgrad.zeros(1, dtype=numgrad.int64))
    with pytest.raises(TypeError, match="must be a Tensor, got list"):
        nn.Parameter([1.0])


def test_parameter_keeps_attributes_in_copies():
    parameter = nn.Parameter(numgrad.ones(2), requires_grad=False)
    parameter.role = "gate"
    for other in (copy.deepcopy(parameter), pickle.loads(pickle.dumps(parameter))):
        assert type(other) is nn.Parameter and not other.requires_grad and other.role == "gate"
        assert np.array_equal(other.numpy(), parameter.numpy()) and other.data_ptr() != parameter.data_ptr()


def test_missing_names_say_so():
    with pytest.raises(AttributeError, match="numgrad.nn has no 'Conv9d'"):
        _ = nn.Conv9d
    assert not hasattr(nn.functional, "conv9d")


def test_data_parallel_calls_its_module():
    inner = nn.Linear(2, 1)
    outer = nn.DataParallel(inner)
    x = numgrad.ones(1, 2)
    assert (outer(x) == inner(x)).all() and list(outer.state_dict()) == ["module.weight", "module.bias"]
