"""Hooks around forward and backward."""

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest

import numgrad
from numgrad import nn
from numgrad.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
)


class Scale(nn.Module):
    def __init__(self, factor=2.0):
        super().__init__()
        self.factor = nn.Parameter(numgrad.tensor(factor))

    def forward(self, x, shift=0.0):
        return x * self.factor + shift


def test_forward_hooks_see_and_replace():
    scale = Scale()
    calls = []
    scale.register_forward_pre_hook(lambda module, args: calls.append(("pre", args[0].item())))
    scale.register_forward_pre_hook(lambda module, args: args[0] + 1)  # not a tuple: becomes one
    scale.register_forward_hook(lambda module, args, output: calls.append(("post", args[0].item(), output.item())))
    scale.register_forward_hook(lambda module, args, output: output * 10)
    assert scale(numgrad.tensor(3.0)).item() == 80
    assert calls == [("pre", 3.0), ("post", 4.0, 8.0)]


def test_hooks_with_keyword_arguments():
    scale = Scale()
    scale.register_forward_pre_hook(lambda m, args, kwargs: (args, {"shift": kwargs["shift"] + 1}), with_kwargs=True)
    scale.register_forward_hook(lambda m, args, kwargs, out: out + kwargs["shift"], with_kwargs=True)
    assert scale(numgrad.tensor(3.0), shift=1.0).item() == 10
    scale.register_forward_pre_hook(lambda m, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match=r"\(args, kwargs\), got int"):
        scale(numgrad.tensor(3.0), shift=1.0)


def test_order_prepend_and_removal():
    scale = Scale()
    calls = []
    first = scale.register_forward_hook(lambda *args: calls.append(1))
    scale.register_forward_hook(lambda *args: calls.append(2))
    with scale.register_forward_hook(lambda *args: calls.append(0), prepend=True):
        scale(numgrad.tensor(1.0))
    first.remove()
    first.remove()
    scale(numgrad.tensor(1.0))
    assert calls == [0, 1, 2, 2]


def test_always_call():
    scale = Scale()
    calls = []
    scale.register_forward_hook(lambda m, args, output: calls.append(output), always_call=True)
    scale.register_forward_hook(lambda m, args, output: calls.append("never"))
    with pytest.raises(TypeError):
        scale(numgrad.tensor(1.0), wrong=1)
    assert calls == [None]

    def fails(module, args, output):
        raise ValueError("in the hook")

    scale.register_forward_hook(fails, always_call=True)
    with pytest.warns(UserWarning, match="in the hook"), pytest.raises(TypeError):
        scale(numgrad.tensor(1.0), wrong=1)


def test_hooks_of_all_modules():
    seen = []
    handles = [
        register_module_forward_pre_hook(lambda m, args: seen.append(("pre", type(m).__name__))),
        register_module_forward_hook(lambda m, args, out: seen.append(("post", type(m).__name__))),
    ]
    net = nn.Sequential(Scale())
    net(numgrad.tensor(1.0))
    for handle in handles:
        handle.remove()
    net(numgrad.tensor(1.0))
    assert seen == [("pre", "Sequential"), ("pre", "Scale"), ("post", "Scale"), ("post", "Sequential")]


def test_backward_hook_sees_gradients_of_inputs_and_outputs():
    scale = Scale(3.0)
    seen = []
    handle = scale.register_full_backward_hook(lambda m, grad_in, grad_out: seen.append((m, grad_in, grad_out)))
    x = numgrad.tensor([1.0, 2.0], requires_grad=True)
    scale(x).sum().backward()
    module, grad_in, grad_out = seen[0]
    assert module is scale and len(seen) == 1
    np.testing.assert_array_equal(grad_out[0].numpy(), [1, 1])
    np.testing.assert_array_equal(grad_in[0].numpy(), [3, 3])
    np.testing.assert_array_equal(x.grad.numpy(), [3, 3])
    assert scale.factor.grad.item() == 3
    handle.remove()
    scale(x).sum().backward()
    assert len(seen) == 1


def test_backward_hooks_replace_gradients():
    scale = Scale(3.0)
    scale.register_full_backward_pre_hook(lambda m, grad_out: (grad_out[0] * 10,))
    scale.register_full_backward_hook(lambda m, grad_in, grad_out: (grad_in[0] + grad_out[0],))
    x = numgrad.tensor([1.0, 2.0], requires_grad=True)
    scale(x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [40, 40])  # 3 * 10, and the 10 that arrived
    assert scale.factor.grad.item() == 30


class Two(nn.Module):
    def forward(self, a, b, c=None):
        return a * b, a + 1


def test_backward_hooks_of_several_inputs_and_outputs():
    two = Two()
    seen = []
    two.register_full_backward_hook(lambda m, grad_in, grad_out: seen.append((grad_in, grad_out)))
    a, b = numgrad.tensor(2.0, requires_grad=True), numgrad.tensor(3.0)
    product, total = two(a, b, "text")
    (product * 5).backward(retain_graph=True)
    grad_in, grad_out = seen[0]
    assert grad_in[0].item() == 15 and grad_in[1:] == (None, None)
    assert grad_out[0].item() == 5 and grad_out[1] is None
    (product + total).backward()
    assert seen[1][0][0].item() == 4


def test_backward_hook_where_no_input_needs_a_gradient():
    linear = nn.Linear(2, 1)
    seen = []
    linear.register_full_backward_hook(lambda m, grad_in, grad_out: seen.append((grad_in, grad_out[0].item())))
    linear(numgrad.ones(1, 2)).sum().backward()
    assert seen == [((None,), 1.0)] and linear.weight.grad is not None


def test_wrong_results_of_backward_hooks():
    scale = Scale()
    scale.register_full_backward_hook(lambda m, grad_in, grad_out: (1, 2))
    with pytest.raises(RuntimeError, match="returned 2 gradients, expected 1"):
        scale(numgrad.tensor(1.0, requires_grad=True)).backward()


def test_backward_hook_needs_tensors():
    class Dictionary(nn.Module):
        def forward(self, x):
            return {"x": x}

    module = Dictionary()
    module.register_full_backward_hook(lambda *args: None)
    with pytest.warns(UserWarning, match="Tensor or a tuple of Tensors"):
        module(numgrad.ones(1))


def test_old_and_new_backward_hooks_do_not_mix():
    scale = Scale()
    scale.register_backward_hook(lambda m, grad_in, grad_out: None)
    with pytest.raises(RuntimeError, match="cannot be used on the same module"):
        scale.register_full_backward_hook(lambda *args: None)


def test_backward_hooks_of_all_modules():
    seen = []
    with register_module_full_backward_hook(lambda m, grad_in, grad_out: seen.append(type(m).__name__)):
        nn.Sequential(Scale(), nn.ReLU())(numgrad.ones(1, requires_grad=True)).sum().backward()
    assert seen == ["ReLU", "Scale", "Sequential"]


def test_gradients_of_gradients_pass_through_hooks():
    scale = Scale(3.0)
    scale.register_full_backward_hook(lambda m, grad_in, grad_out: None)
    x = numgrad.tensor(2.0, requires_grad=True)
    (first,) = numgrad.autograd.grad(scale(x * x), x, create_graph=True)
    (second,) = numgrad.autograd.grad(first, x)
    assert first.item() == 12 and second.item() == 6


def note(module, args, output):
    module.noted = output.item()


def test_modules_with_hooks_can_be_copied():
    scale = Scale()
    scale.register_forward_hook(note)
    for other in (copy.deepcopy(scale), pickle.loads(pickle.dumps(scale))):
        other(numgrad.tensor(4.0))
        assert other.noted == 8 and isinstance(other._forward_hooks, OrderedDict)
