"""Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict."""

import copy
from collections import OrderedDict

import pytest

import numgrad
from numgrad import nn


def kinds(modules):
    return [type(module).__name__ for module in modules]


def test_sequential_calls_one_after_the_other():
    double, one = nn.Linear(1, 1, bias=False), nn.Linear(1, 1)
    with numgrad.no_grad():
        double.weight.fill_(2), one.weight.fill_(1), one.bias.fill_(1)
    assert nn.Sequential(double, one)(numgrad.ones(1, 1)).item() == 3
    assert nn.Sequential(one, double)(numgrad.ones(1, 1)).item() == 4
    assert nn.Sequential()("anything") == "anything"


def test_sequential_by_name():
    net = nn.Sequential(OrderedDict(first=nn.ReLU(), second=nn.Tanh()))
    assert list(dict(net.named_children())) == ["first", "second"] and net.first is net[0] is net[-2]
    assert list(net[1:]._modules) == ["second"]


def test_sequential_as_a_list():
    net = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.ELU())
    assert len(net) == 3 and kinds(net) == ["ReLU", "Tanh", "ELU"] and kinds(net[::2]) == ["ReLU", "ELU"]
    net[1] = nn.GELU()
    del net[0]
    assert kinds(net) == ["GELU", "ELU"] and list(net._modules) == ["0", "1"]
    assert kinds([net.pop(0)]) == ["GELU"] and kinds(net) == ["ELU"]
    assert net.append(nn.ReLU()) is net and net.extend([nn.Tanh()]) is net and net.insert(1, nn.GELU()) is net
    assert kinds(net) == ["ELU", "GELU", "ReLU", "Tanh"] and list(net._modules) == ["0", "1", "2", "3"]
    net.insert(-1, nn.Mish())
    assert kinds(net) == ["ELU", "GELU", "ReLU", "Mish", "Tanh"]
    del net[1:4]
    assert kinds(net) == ["ELU", "Tanh"]


def test_sequential_arithmetic():
    a, b = nn.Sequential(nn.ReLU()), nn.Sequential(nn.Tanh())
    assert kinds(a + b) == ["ReLU", "Tanh"] and kinds(a) == ["ReLU"]
    assert kinds(a * 2) == kinds(2 * a) == ["ReLU", "ReLU"] and (a * 2)[0] is (a * 2)[1]
    a += b
    a *= 2
    assert kinds(a) == ["ReLU", "Tanh"] * 2


@pytest.mark.parametrize("act, error", [
    (lambda s: s + [nn.ReLU()], ValueError), (lambda s: s * 0, ValueError), (lambda s: s * "2", TypeError),
    (lambda s: s[1], IndexError), (lambda s: s["0"], TypeError), (lambda s: s.insert(5, nn.ReLU()), IndexError),
    (lambda s: s.insert(0, 3), AssertionError), (lambda s: s.append(3), TypeError), (lambda s: s.extend(3), TypeError),
    (lambda s: nn.Sequential(3), TypeError),
])  # fmt: skip
def test_sequential_refuses(act, error):
    with pytest.raises(error):
        act(nn.Sequential(nn.ReLU()))


def test_module_list():
    modules = nn.ModuleList([nn.ReLU(), nn.Tanh()])
    modules += [nn.ELU()]
    modules.insert(1, nn.GELU())
    modules.append(nn.Mish())
    assert kinds(modules) == ["ReLU", "GELU", "Tanh", "ELU", "Mish"] and list(modules._modules) == list("01234")
    assert kinds(modules[1:3]) == ["GELU", "Tanh"] and isinstance(modules[1:3], nn.ModuleList)
    assert kinds(modules + [nn.ReLU()])[-1] == "ReLU" and kinds([modules[-1]]) == ["Mish"]
    del modules[-1], modules[0]
    assert kinds(modules) == ["GELU", "Tanh", "ELU"]
    assert kinds([modules.pop(1)]) == ["Tanh"] and len(modules) == 2
    with pytest.raises(IndexError, match="index 2 is out of range"):
        modules[2]
    with pytest.raises(NotImplementedError):
        modules(1)
    with pytest.raises(TypeError, match="iterable, but got int"):
        nn.ModuleList(3)


def test_module_list_repr_joins_equal_lines():
    modules = nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Sequential(nn.Tanh())])
    assert repr(modules) == (
        "ModuleList(\n  (0-1): 2 x ReLU()\n  (2): Sequential(\n    (0): Tanh()\n  )\n)"
    )
    assert repr(nn.ModuleList()) == "ModuleList()"


def test_extending_a_container_by_itself_ends():
    modules = nn.ModuleList([nn.ReLU(), nn.Tanh()])
    modules.extend(modules)
    assert kinds(modules) == ["ReLU", "Tanh"] * 2


def test_module_dict():
    modules = nn.ModuleDict({"relu": nn.ReLU()})
    modules["tanh"] = nn.Tanh()
    modules.update([("elu", nn.ELU()), ("relu", nn.GELU())])
    assert list(modules) == list(modules.keys()) == ["relu", "tanh", "elu"]
    assert kinds(modules.values()) == ["GELU", "Tanh", "ELU"] and dict(modules.items())["elu"] is modules.elu
    assert "tanh" in modules and "gelu" not in modules and len(modules) == 3
    assert kinds([modules.pop("tanh")]) == ["Tanh"]
    del modules["elu"]
    assert list(copy.deepcopy(modules)) == ["relu"]
    modules.clear()
    assert len(modules) == 0
    for bad, error in [(3, TypeError), ([3], TypeError), ([("a",)], ValueError), ({"a": 3}, TypeError),
                       ({"keys": nn.ReLU()}, KeyError)]:  # fmt: skip
        with pytest.raises(error):
            nn.ModuleDict(bad)
    with pytest.raises(KeyError):
        modules.pop("none")


def test_parameter_list():
    values = nn.ParameterList([numgrad.zeros(2, 3), nn.Parameter(numgrad.ones(1)), "text"])
    assert isinstance(values[0], nn.Parameter) and values[2] == "text" and len(values) == 3
    assert [name for name, _ in values.named_parameters()] == ["0", "1"]
    values[0] = numgrad.ones(4)
    assert tuple(values[0].shape) == (4,) and len(values[:2]) == 2 and values[-1] == "text"
    values += [numgrad.zeros(1)]
    assert repr(values) == (
        "ParameterList(\n    (0): Parameter containing: [numgrad.float32 of size 4]\n"
        "    (1): Parameter containing: [numgrad.float32 of size 1]\n    (2): Object of type: str\n"
        "    (3): Parameter containing: [numgrad.float32 of size 1]\n)"
    )
    assert len(copy.deepcopy(values)) == 4
    for act, error in [(lambda: values[4], IndexError), (lambda: values(), RuntimeError),
                       (lambda: nn.ParameterList(numgrad.zeros(3)), TypeError)]:  # fmt: skip
        with pytest.raises(error):
            act()


def test_parameter_dict():
    values = nn.ParameterDict({"b": numgrad.zeros(2), "a": 3})
    assert list(values) == ["a", "b"]  # a plain dictionary is read in the order of its keys
    assert isinstance(values["b"], nn.Parameter) and values.a == 3
    assert list(nn.ParameterDict(OrderedDict(b=1, a=2))) == ["b", "a"] == list(reversed(values))
    values["c"] = numgrad.ones(1)
    assert [name for name, _ in values.named_parameters()] == ["b", "c"]
    assert values.get("x", 5) == 5 and values.setdefault("d", 7) == 7 and values.pop("d") == 7
    assert values.popitem()[0] == "c" and "c" not in values and len(values) == 2
    merged = values | nn.ParameterDict({"e": 1})
    assert list(merged) == ["a", "b", "e"] and list(values) == ["a", "b"]
    values |= {"f": 2}
    assert list(values.fromkeys(["x", "y"], 0).values()) == [0, 0] and dict(values.items())["f"] == 2
    values.clear()
    assert len(values) == 0 and not list(values.parameters())
    for act, error in [(lambda: nn.ParameterDict({1: 2}), TypeError), (lambda: values(), RuntimeError),
                       (lambda: values.popitem(), KeyError),
                       (lambda: nn.ParameterDict([("a",)]), ValueError)]:  # fmt: skip
        with pytest.raises(error):
            act()


def test_flatten_unflatten_identity():
    x = numgrad.zeros(2, 3, 4)
    assert tuple(nn.Flatten()(x).shape) == (2, 12) and tuple(nn.Flatten(0, 1)(x).shape) == (6, 4)
    assert tuple(nn.Unflatten(2, (2, 2))(x).shape) == (2, 3, 2, 2)
    assert tuple(nn.Unflatten(-1, (4, -1))(x).shape) == (2, 3, 4, 1)
    assert nn.Identity(1, key=2)(x) is x
    with pytest.raises(TypeError, match="tuple of ints"):
        nn.Unflatten(1, 3)
