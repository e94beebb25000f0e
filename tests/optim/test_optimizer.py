"""What all optimizers share: groups, state, hooks, saving and loading."""

import copy
import math
import pickle

import numpy as np
import pytest

import numgrad
from numgrad import nn, optim
from numgrad.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
    required,
)


def parameters(*values):
    made = [nn.Parameter(numgrad.tensor([float(value)])) for value in values]
    for parameter in made:
        parameter.grad = numgrad.ones(1)
    return made


def test_groups_have_their_own_hyperparameters():
    a, b = parameters(1, 1)
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    optimizer.step()
    assert (a.item(), b.item()) == pytest.approx((0.9, 0.5))
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.5]


def test_a_group_can_be_added_later():
    a, b = parameters(1, 1)
    optimizer = optim.SGD([a], lr=0.1)
    optimizer.step()
    optimizer.add_param_group({"params": [b], "lr": 1.0})
    optimizer.step()
    assert (a.item(), b.item()) == pytest.approx((0.8, 0.0))


def test_named_parameters_are_accepted():
    model = nn.Linear(2, 1)
    optimizer = optim.SGD(model.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.param_groups[0]["params"][0] is model.weight


def test_parameters_without_gradient_are_left_alone():
    a, b = parameters(1, 1)
    b.grad = None
    optimizer = optim.Adam([a, b])
    optimizer.step()
    assert a.item() != 1 and b.item() == 1
    assert b not in optimizer.state


@pytest.mark.parametrize("make, error, message", [
    (lambda p: optim.SGD([], lr=0.1), ValueError, "empty parameter list"),
    (lambda p: optim.SGD(p, lr=0.1), TypeError, "iterable of Tensors"),
    (lambda p: optim.SGD(["p"], lr=0.1), TypeError, "one of the params is str"),
    (lambda p: optim.SGD([{"params": {p}}], lr=0.1), TypeError, "ordered collections"),
    (lambda p: optim.SGD([p * 2], lr=0.1), ValueError, "non-leaf"),
    (lambda p: optim.SGD([{"params": [p]}, {"params": [p]}], lr=0.1), ValueError, "more than one parameter group"),
    (lambda p: optim.SGD([("p", p), p], lr=0.1), ValueError, "names are missing"),
    (lambda p: optim.SGD([p]).add_param_group([p]), TypeError, "must be a dict"),
    (lambda p: optim.SGD([p], lr=-1), ValueError, "Invalid learning rate: -1"),
    (lambda p: optim.SGD([p], lr=math.nan), ValueError, "Invalid learning rate: nan"),
    (lambda p: optim.SGD([p], lr=1, nesterov=True), ValueError, "Nesterov momentum requires"),
    (lambda p: optim.SGD([p], lr=numgrad.tensor([1.0, 2.0])), ValueError, "1-element"),
    (lambda p: optim.Adam([p], betas=(1.0, 0.9)), ValueError, "Invalid beta parameter at index 0: 1.0"),
    (lambda p: optim.Adam([p], eps=-1), ValueError, "Invalid epsilon value: -1"),
    (lambda p: optim.Adam([p], fused=True, foreach=True), RuntimeError, "cannot be `True` together"),
    (lambda p: optim.Adam([p], differentiable=True), NotImplementedError, "differentiable"),
    (lambda p: optim.Rprop([p], etas=(2, 3)), ValueError, "Invalid eta values"),
    (lambda p: optim.Adadelta([p], rho=2.0), ValueError, "Invalid rho value"),
    (lambda p: Optimizer([p], {"lr": required}), ValueError, "required optimization parameter lr"),
    (lambda p: Optimizer([p], {}).step(), NotImplementedError, "does not define step"),
])  # fmt: skip
def test_bad_arguments_are_refused(make, error, message):
    (p,) = parameters(1)
    with pytest.raises(error, match=message):
        make(p)


def test_duplicate_parameters_warn():
    (p,) = parameters(1)
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optim.SGD([p, p], lr=0.1)


@pytest.mark.parametrize("gradient, message", [
    (numgrad.zeros(2), "shape"), (numgrad.zeros(1, dtype=numgrad.float64), "dtype"),
])  # fmt: skip
def test_a_gradient_that_does_not_fit_is_refused(gradient, message):
    (p,) = parameters(1)
    p.grad = gradient
    with pytest.raises(RuntimeError, match=message):
        optim.SGD([p], lr=0.1).step()


def test_integers_are_refused():
    p = nn.Parameter(numgrad.zeros(1, dtype=numgrad.int64), requires_grad=False)
    p.grad = numgrad.ones(1, dtype=numgrad.int64)
    with pytest.raises(RuntimeError, match="floating point"):
        optim.Adam([p]).step()


def test_zero_grad():
    a, b = parameters(1, 1)
    optimizer = optim.SGD([a, b], lr=0.1)
    kept = a.grad
    optimizer.zero_grad(set_to_none=False)
    assert a.grad is kept and kept.item() == 0
    optimizer.zero_grad()
    assert a.grad is None and b.grad is None


def test_a_closure_runs_with_gradients_on_and_gives_the_loss():
    p = nn.Parameter(numgrad.tensor([2.0]))
    optimizer = optim.SGD([p], lr=0.25)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with numgrad.no_grad():
        assert optimizer.step(closure).item() == 4.0
    assert p.item() == 1.0


def test_a_step_counts_as_change_in_place():
    (p,) = parameters(1)
    before = p._version
    loss = (p * p).sum()
    optim.SGD([p], lr=0.1).step()
    assert p._version > before
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_learning_rate_may_be_a_tensor():
    (p,) = parameters(1)
    lr = numgrad.tensor(0.5)
    optimizer = optim.SGD([p], lr=lr)
    optimizer.step()
    lr.fill_(0.25)
    optimizer.step()
    assert p.item() == 0.25


def test_changed_hyperparameters_count_at_the_next_step():
    (p,) = parameters(1)
    optimizer = optim.SGD([p], lr=0.5)
    optimizer.step()
    optimizer.param_groups[0]["lr"] = 0.25
    optimizer.step()
    assert p.item() == 0.25


def test_state_dict_is_made_of_numbers_in_the_order_of_the_groups():
    a, b, c = parameters(1, 2, 3)
    optimizer = optim.Adam([{"params": [a, b]}, {"params": [c], "lr": 0.5}])
    c.grad = None
    optimizer.step()
    state = optimizer.state_dict()
    assert set(state) == {"state", "param_groups"}
    assert [group["params"] for group in state["param_groups"]] == [[0, 1], [2]]
    assert set(state["state"]) == {0, 1}
    assert set(state["state"][0]) == {"step", "exp_avg", "exp_avg_sq"}
    assert state["state"][0]["exp_avg"] is optimizer.state[a]["exp_avg"]
    assert state["state"][0]["step"].item() == 1 and tuple(state["state"][0]["step"].shape) == ()


def test_plain_sgd_has_no_state():
    (p,) = parameters(1)
    optimizer = optim.SGD([p], lr=0.1)
    optimizer.step()
    assert optimizer.state_dict()["state"] == {}


@pytest.mark.parametrize("save", [copy.deepcopy, lambda state: pickle.loads(pickle.dumps(state))])
@pytest.mark.parametrize("make", [
    lambda p: optim.SGD(p, lr=0.1, momentum=0.9), optim.Adam, optim.RMSprop, optim.Adagrad, optim.NAdam,
])  # fmt: skip
def test_a_loaded_optimizer_goes_on_where_the_saved_one_was(make, save):
    def steps(optimizer, params, count):
        for i in range(count):
            for j, p in enumerate(params):
                p.grad = numgrad.tensor([float(i - j)])
            optimizer.step()

    first = parameters(1, 2)
    optimizer = make(first)
    steps(optimizer, first, 3)
    second = [nn.Parameter(p.detach().clone()) for p in first]
    other = make(second)
    other.load_state_dict(save(optimizer.state_dict()))
    steps(optimizer, first, 3)
    steps(other, second, 3)
    assert [p.item() for p in first] == [p.item() for p in second]


def test_load_casts_state_to_the_parameter_and_keeps_the_step():
    a = nn.Parameter(numgrad.ones(2, dtype=numgrad.float64))
    b = nn.Parameter(numgrad.ones(2))
    a.grad = numgrad.ones(2, dtype=numgrad.float64)
    optimizer, other = optim.Adam([a]), optim.Adam([b])
    optimizer.step()
    other.load_state_dict(optimizer.state_dict())
    assert other.state[b]["exp_avg"].dtype == numgrad.float32
    assert other.state[b]["step"].item() == 1


def test_load_of_an_old_file_fills_in_what_is_missing():
    (p,) = parameters(1)
    optimizer = optim.Adam([p])
    optimizer.step()
    state = copy.deepcopy(optimizer.state_dict())
    state["state"][0]["step"] = 1  # a plain number once
    for name in ("maximize", "amsgrad"):
        del state["param_groups"][0][name]
    other = optim.Adam([p])
    other.load_state_dict(state)
    other.step()
    assert other.state[p]["step"].item() == 2
    assert other.param_groups[0]["maximize"] is False


def test_load_refuses_other_groups():
    a, b = parameters(1, 2)
    one, two = optim.SGD([a], lr=0.1), optim.SGD([a, b], lr=0.1)
    with pytest.raises(ValueError, match="doesn't match the size"):
        one.load_state_dict(two.state_dict())
    with pytest.raises(ValueError, match="different number of parameter groups"):
        one.load_state_dict(optim.SGD([{"params": [a]}, {"params": [b]}], lr=0.1).state_dict())


def test_pickle_of_an_optimizer():
    (p,) = parameters(1)
    optimizer = optim.Adam([p])
    optimizer.step()
    again = pickle.loads(pickle.dumps(optimizer))
    (q,) = again.param_groups[0]["params"]
    q.grad = p.grad = numgrad.ones(1)
    optimizer.step()
    again.step()
    assert p.item() == q.item()


def test_repr():
    (p,) = parameters(1)
    assert repr(optim.SGD([p], lr=0.1)) == (
        "SGD (\nParameter Group 0\n    dampening: 0\n    differentiable: False\n    foreach: None\n    fused: None\n"
        "    lr: 0.1\n    maximize: False\n    momentum: 0\n    nesterov: False\n    weight_decay: 0\n)"
    )


def test_step_hooks():
    (p,) = parameters(1)
    optimizer = optim.SGD([p], lr=0.1)
    calls = []
    handles = [
        register_optimizer_step_pre_hook(lambda o, args, kwargs: calls.append("all before")),
        optimizer.register_step_pre_hook(lambda o, args, kwargs: calls.append("before")),
        optimizer.register_step_post_hook(lambda o, args, kwargs: calls.append("after")),
        register_optimizer_step_post_hook(lambda o, args, kwargs: calls.append("all after")),
    ]
    optimizer.step()
    assert calls == ["all before", "before", "after", "all after"]
    for handle in handles:
        handle.remove()
    optimizer.step()
    assert len(calls) == 4


def test_a_pre_hook_may_change_the_arguments_and_nothing_else():
    (p,) = parameters(1)
    optimizer = optim.SGD([p], lr=0.1)
    handle = optimizer.register_step_pre_hook(lambda o, args, kwargs: ((o, lambda: 7.0), {}))
    assert optimizer.step() == 7.0
    handle.remove()
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 3)
    with pytest.raises(RuntimeError, match="step pre-hook"):
        optimizer.step()


def test_state_dict_hooks():
    (p,) = parameters(1)
    optimizer = optim.SGD([p], lr=0.1)
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "note": 1})
    seen = []
    optimizer.register_load_state_dict_pre_hook(lambda o, state: seen.append(state.pop("note")))
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append("done"))
    optimizer.load_state_dict(optimizer.state_dict())
    assert seen == [1, "done"]


class Halve(Optimizer):
    """An optimizer as users write them, with its own step."""

    def __init__(self, params, lr=0.5):
        super().__init__(params, {"lr": lr})

    @numgrad.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    state["seen"] = state.get("seen", 0) + 1
                    p.add_(p.grad, alpha=-group["lr"])


def test_an_optimizer_of_your_own():
    (p,) = parameters(1)
    optimizer = Halve([p])
    calls = []
    optimizer.register_step_post_hook(lambda o, args, kwargs: calls.append(1))
    optimizer.step()
    assert p.item() == 0.5 and optimizer.state_dict()["state"] == {0: {"seen": 1}} and calls == [1]


def test_hooks_run_once_where_a_step_calls_its_parents():
    class Twice(optim.SGD):
        def step(self, closure=None):
            super().step()
            return super().step(closure)

    (p,) = parameters(1)
    optimizer = Twice([p], lr=0.25)
    calls = []
    optimizer.register_step_pre_hook(lambda o, args, kwargs: calls.append(1))
    optimizer.step()
    assert p.item() == 0.5 and calls == [1]


def test_settings_are_read_from_memory_that_stays():
    """What a recorded step relies on: the same memory before and after a change of the learning rate and a load."""
    (p,) = parameters(1)
    optimizer = optim.Adam([p], lr=0.1)
    optimizer.step()
    memory = optimizer._memory[0]
    optimizer.param_groups[0]["lr"] = 0.5
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.write_settings()
    assert optimizer._memory[0] is memory and memory[0] == 0.5
    assert memory.dtype == np.float64


def test_a_step_follows_data_state_and_gradients_that_are_replaced():
    """What an optimizer remembers of a parameter holds as long as the same arrays do, in the same form."""
    (p,) = parameters(1)
    optimizer = optim.SGD([p], lr=1.0, momentum=0.5)
    optimizer.step()  # p = 0, buffer = 1
    p.data = numgrad.tensor([10.0])
    optimizer.step()  # buffer = 1.5
    assert p.item() == 8.5
    optimizer.state[p]["momentum_buffer"] = numgrad.tensor([8.0])
    optimizer.step()  # buffer = 5
    assert p.item() == 3.5 and optimizer.state[p]["momentum_buffer"].item() == 5.0
    p.data, p.grad = numgrad.zeros(2, 2), numgrad.tensor([[1.0, 2.0], [3.0, 4.0]]).T
    optimizer.state[p]["momentum_buffer"] = numgrad.zeros(2, 2)
    optimizer.step()
    assert p.tolist() == [[-1.0, -3.0], [-2.0, -4.0]]
    p.grad = numgrad.ones(2)
    with pytest.raises(RuntimeError, match="does not fit"):
        optimizer.step()
