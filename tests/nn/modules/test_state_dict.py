"""Saving and loading the state of modules."""

import pickle
from collections import OrderedDict

import numpy as np
import pytest

import numgrad
from numgrad import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 3)
        self.norm = nn.BatchNorm1d(3)
        self.register_buffer("scratch", numgrad.zeros(1), persistent=False)


KEYS = ["fc.weight", "fc.bias", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var",
        "norm.num_batches_tracked"]  # fmt: skip


def test_keys_values_and_versions():
    net = Net()
    state = net.state_dict()
    assert isinstance(state, OrderedDict) and list(state) == KEYS
    assert state["fc.weight"].data_ptr() == net.fc.weight.data_ptr() and not state["fc.weight"].requires_grad
    assert net.state_dict(keep_vars=True)["fc.weight"] is net.fc.weight
    assert state._metadata["norm"] == {"version": 2} and state._metadata[""] == {"version": 1}
    assert next(iter(net.state_dict(prefix="net."))) == "net.fc.weight"
    into = OrderedDict(other=1)
    assert net.state_dict(destination=into, prefix="a.") is into and list(into)[:2] == ["other", "a.fc.weight"]


def test_a_round_trip_through_pickle():
    net, other = Net(), Net()
    state = pickle.loads(pickle.dumps(net.state_dict()))
    result = other.load_state_dict(state)
    assert repr(result) == "<All keys matched successfully>"
    assert result.missing_keys == [] and result.unexpected_keys == []
    assert (other.fc.weight == net.fc.weight).all()
    assert other.fc.weight.data_ptr() != net.fc.weight.data_ptr() and other.fc.weight.requires_grad


def test_all_problems_in_one_message():
    net = Net()
    state = net.state_dict()
    del state["fc.bias"]
    state["fc.weight"] = numgrad.zeros(1, 2)
    state["extra"] = numgrad.zeros(1)
    state["fc.more.weight"] = numgrad.zeros(1)
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    message = str(caught.value)
    assert message.startswith("Error(s) in loading state_dict for Net:\n\t")
    assert 'Missing key(s) in state_dict: "fc.bias".' in message
    assert 'Unexpected key(s) in state_dict: "fc.more.weight", "extra".' in message or (
        'Unexpected key(s) in state_dict: "extra", "fc.more.weight".' in message
    )
    assert "size mismatch for fc.weight" in message
    assert "numgrad.Size([1, 2])" in message and "numgrad.Size([3, 2])" in message


def test_strict_off_returns_the_keys_but_sizes_must_fit():
    net = Net()
    before = net.fc.bias.detach().clone()
    result = net.load_state_dict({"extra": numgrad.zeros(1), "fc.weight": numgrad.ones(3, 2)}, strict=False)
    assert result.unexpected_keys == ["extra"] and result.missing_keys == KEYS[1:-1]  # as of an old file
    assert (net.fc.weight == 1).all() and (net.fc.bias == before).all()
    with pytest.raises(RuntimeError, match="size mismatch"):
        net.load_state_dict({"fc.weight": numgrad.ones(3)}, strict=False)
    with pytest.raises(RuntimeError, match="expected a Tensor in the state dict, got int"):
        net.load_state_dict({"fc.weight": 3}, strict=False)
    with pytest.raises(TypeError, match="dict-like"):
        net.load_state_dict([])


def test_loading_casts_and_counts_as_change_in_place():
    net = nn.Linear(2, 1)
    version = net.weight._version
    net.load_state_dict({"weight": numgrad.ones(1, 2, dtype=numgrad.float64), "bias": numgrad.zeros(1)})
    assert net.weight.dtype == numgrad.float32 and net.weight._version > version
    assert net.weight.is_leaf and net.weight.grad_fn is None


def test_assign_puts_the_given_tensors_in_place():
    net = nn.Linear(2, 1)
    given = numgrad.ones(1, 2, dtype=numgrad.float64)
    parameter = nn.Parameter(numgrad.zeros(1), requires_grad=False)
    net.load_state_dict({"weight": given, "bias": parameter}, assign=True)
    assert isinstance(net.weight, nn.Parameter) and net.weight.data_ptr() == given.data_ptr()
    assert net.weight.dtype == numgrad.float64 and net.weight.requires_grad
    assert net.bias is parameter and net.bias.requires_grad


def test_the_given_dictionary_is_not_changed():
    net = Net()
    state = net.state_dict()
    metadata = {key: dict(value) for key, value in state._metadata.items()}
    net.load_state_dict(state, assign=True)
    assert list(state) == KEYS and state._metadata == metadata


def test_old_files_of_batch_norm_lack_the_count():
    norm = nn.BatchNorm1d(2)
    norm.num_batches_tracked.fill_(5)
    state = norm.state_dict()
    del state["num_batches_tracked"]
    with pytest.raises(RuntimeError, match="num_batches_tracked"):
        norm.load_state_dict(state)
    state._metadata[""]["version"] = 1
    norm.load_state_dict(state)
    assert norm.num_batches_tracked.item() == 5


def test_a_scalar_saved_with_one_dimension():
    module = nn.Module()
    module.register_buffer("count", numgrad.tensor(0))
    module.load_state_dict({"count": numgrad.tensor([7])})
    assert module.count.item() == 7 and tuple(module.count.shape) == ()


def test_absent_parameters_are_not_saved():
    assert list(nn.Linear(2, 1, bias=False).state_dict()) == ["weight"]
    with pytest.raises(RuntimeError, match='Unexpected key.*"bias"'):
        nn.Linear(2, 1, bias=False).load_state_dict(nn.Linear(2, 1).state_dict())


class Extra(nn.Module):
    def __init__(self, note=None):
        super().__init__()
        self.note = note

    def get_extra_state(self):
        return {"note": self.note}

    def set_extra_state(self, state):
        self.note = state["note"]


def test_extra_state():
    outer, other = nn.Sequential(Extra("a")), nn.Sequential(Extra())
    assert outer.state_dict() == {"0._extra_state": {"note": "a"}}
    other.load_state_dict(outer.state_dict())
    assert other[0].note == "a"
    with pytest.raises(RuntimeError, match='Missing.*"0._extra_state"'):
        other.load_state_dict({})
    with pytest.raises(RuntimeError, match='Unexpected.*"0._extra_state"'):
        nn.Sequential(nn.ReLU()).load_state_dict(outer.state_dict())


def test_state_dict_hooks():
    net = nn.Sequential(nn.Linear(1, 1))
    calls = []
    net.register_state_dict_pre_hook(lambda module, prefix, keep: calls.append((module is net, prefix, keep)))

    def rename(module, state, prefix, metadata):
        state[prefix + "renamed"] = state.pop(prefix + "0.weight")

    handle = net.register_state_dict_post_hook(rename)
    assert list(net.state_dict()) == ["0.bias", "renamed"] and calls == [(True, "", False)]
    handle.remove()
    assert list(net.state_dict()) == ["0.weight", "0.bias"]
    net.register_state_dict_post_hook(lambda *args: {})
    with pytest.raises(RuntimeError, match="must return None"):
        net.state_dict()


def test_load_hooks():
    net = nn.Sequential(nn.Linear(1, 1))
    calls = []

    def restore(module, state, prefix, metadata, strict, missing, unexpected, errors):
        calls.append(module)
        state[prefix + "weight"] = state.pop(prefix + "w")

    net[0].register_load_state_dict_pre_hook(restore)
    net[0].register_load_state_dict_post_hook(lambda module, keys: keys.missing_keys.clear())
    net.load_state_dict({"0.w": numgrad.full((1, 1), 3.0)})
    assert net[0].weight.item() == 3 and calls == [net[0]]
    again = pickle.loads(pickle.dumps(nn.Sequential(nn.Linear(1, 1))))
    np.testing.assert_equal(list(again.state_dict()), ["0.weight", "0.bias"])


def test_a_layer_may_read_its_older_files():
    class Renamed(nn.Linear):
        def _load_from_state_dict(self, state_dict, prefix, *args):
            if prefix + "kernel" in state_dict:
                state_dict[prefix + "weight"] = state_dict.pop(prefix + "kernel")
            super()._load_from_state_dict(state_dict, prefix, *args)

    net = nn.Sequential(Renamed(1, 1, bias=False))
    net.load_state_dict({"0.kernel": numgrad.ones(1, 1)})
    assert net[0].weight.item() == 1
