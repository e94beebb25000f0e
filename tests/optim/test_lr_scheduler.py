"""Schedules against their closed forms."""

import copy
import math
import pickle

import pytest

import numgrad
from numgrad import nn, optim
from numgrad.optim import lr_scheduler as schedule

BASE = 0.8
STEPS = 25


def make(base=BASE, algorithm=optim.SGD, **settings):
    settings = settings or ({"momentum": 0.9} if algorithm is optim.SGD else {})
    return algorithm([nn.Parameter(numgrad.zeros(1))], lr=base, **settings)


def rates(scheduler, optimizer, steps=STEPS, key="lr"):
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0][key])
        optimizer.step()
        scheduler.step()
    return found


def cosine(share):
    return (1 + math.cos(math.pi * share)) / 2


def warm(t, first, factor, low):
    length = first
    while t >= length:
        t, length = t - length, length * factor
    return low + (BASE - low) * cosine(t / length)


def triangle(t, up, down, low=0.1, high=0.5):
    """Height of a triangle wave at t, and which cycle it is (from 1)."""
    cycle, within = divmod(t, up + down)
    share = within / up if within <= up else 1 - (within - up) / down
    return share, cycle + 1


def one_cycle(t, highest, total, start=0.3):
    low = highest / 25
    peak, end = start * total - 1, total - 1
    if t <= peak:
        return highest + (low - highest) * cosine(t / peak)
    return low / 1e4 + (highest - low / 1e4) * cosine((t - peak) / (end - peak))


CLOSED_FORMS = {
    "lambda": (lambda o: schedule.LambdaLR(o, lambda t: 0.9**t), lambda t: BASE * 0.9**t),
    "multiplicative": (lambda o: schedule.MultiplicativeLR(o, lambda t: 0.9), lambda t: BASE * 0.9**t),
    "step": (lambda o: schedule.StepLR(o, 4, gamma=0.5), lambda t: BASE * 0.5 ** (t // 4)),
    "multistep": (lambda o: schedule.MultiStepLR(o, [9, 3, 9], gamma=0.5),
                  lambda t: BASE * 0.5 ** ((t >= 3) + 2 * (t >= 9))),
    "constant": (lambda o: schedule.ConstantLR(o, 0.25, 6), lambda t: BASE * (0.25 if t < 6 else 1)),
    "linear": (lambda o: schedule.LinearLR(o, 0.2, 0.7, 10), lambda t: BASE * (0.2 + 0.5 * min(t, 10) / 10)),
    "exponential": (lambda o: schedule.ExponentialLR(o, 0.9), lambda t: BASE * 0.9**t),
    "polynomial": (lambda o: schedule.PolynomialLR(o, 8, power=2), lambda t: BASE * (1 - min(t, 8) / 8) ** 2),
    "cosine": (lambda o: schedule.CosineAnnealingLR(o, 7, eta_min=0.1), lambda t: 0.1 + (BASE - 0.1) * cosine(t / 7)),
    "restarts": (lambda o: schedule.CosineAnnealingWarmRestarts(o, 3, 2, eta_min=0.1), lambda t: warm(t, 3, 2, 0.1)),
    "triangular": (lambda o: schedule.CyclicLR(o, 0.1, 0.5, 4, 2), lambda t: 0.1 + 0.4 * triangle(t, 4, 2)[0]),
    "triangular2": (lambda o: schedule.CyclicLR(o, 0.1, 0.5, 4, mode="triangular2"),
                    lambda t: 0.1 + 0.4 * triangle(t, 4, 4)[0] / 2 ** (triangle(t, 4, 4)[1] - 1)),
    "exp_range": (lambda o: schedule.CyclicLR(o, 0.1, 0.5, 4, mode="exp_range", gamma=0.9),
                  lambda t: 0.1 + 0.4 * triangle(t, 4, 4)[0] * 0.9**t),
    "one cycle": (lambda o: schedule.OneCycleLR(o, 0.5, total_steps=STEPS + 1), lambda t: one_cycle(t, 0.5, STEPS + 1)),
    "sequential": (lambda o: schedule.SequentialLR(
        o, [schedule.ConstantLR(o, 0.1, 20), schedule.ExponentialLR(o, 0.9), schedule.StepLR(o, 2, 0.5)], [3, 8]),
        lambda t: BASE * (0.1 if t < 3 else 0.9 ** (t - 3) if t < 8 else 0.5 ** ((t - 8) // 2))),
    "chained": (lambda o: schedule.ChainedScheduler([schedule.ConstantLR(o, 0.1, 5), schedule.ExponentialLR(o, 0.9)]),
                lambda t: BASE * 0.9**t * (0.1 if t < 5 else 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_follows_its_closed_form(name):
    create, formula = CLOSED_FORMS[name]
    optimizer = make()
    scheduler = create(optimizer)
    assert scheduler.get_last_lr() == [optimizer.param_groups[0]["lr"]]
    assert rates(scheduler, optimizer) == pytest.approx([formula(t) for t in range(STEPS)], rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("name", CLOSED_FORMS)
@pytest.mark.parametrize("save", [copy.deepcopy, lambda state: pickle.loads(pickle.dumps(state))])
def test_a_loaded_schedule_goes_on(name, save):
    create, _ = CLOSED_FORMS[name]
    first, second = make(), make()
    one = create(first)
    rates(one, first, 5)
    two = create(second)
    two.load_state_dict(save(one.state_dict()))
    second.load_state_dict(save(first.state_dict()))
    assert rates(one, first, 15) == rates(two, second, 15)


def test_resuming_by_last_epoch():
    optimizer = make()
    whole = rates(schedule.CosineAnnealingLR(make(), 9), fresh := make(), 0)
    assert whole == [] and fresh.param_groups[0]["lr"] == BASE
    scheduler = schedule.CosineAnnealingLR(optimizer, 9)
    rates(scheduler, optimizer, 4)
    resumed = schedule.CosineAnnealingLR(optimizer, 9, last_epoch=3)
    assert resumed.get_last_lr() == pytest.approx([BASE * cosine(4 / 9)])


def test_resuming_needs_the_initial_rate():
    with pytest.raises(KeyError, match=r"initial_lr.*param_groups\[0\]"):
        schedule.StepLR(make(), 2, last_epoch=3)


def test_groups_keep_their_own_rates():
    groups = [{"params": [nn.Parameter(numgrad.zeros(1))], "lr": lr} for lr in (1.0, 2.0)]
    optimizer = optim.SGD(groups, lr=0.1)
    scheduler = schedule.LambdaLR(optimizer, [lambda t: 0.5**t, lambda t: t + 1])
    optimizer.step()
    scheduler.step()
    assert scheduler.get_last_lr() == [0.5, 4.0]


def test_momentum_moves_against_the_rate():
    optimizer = make()
    scheduler = schedule.CyclicLR(optimizer, 0.1, 0.5, 4, base_momentum=0.6, max_momentum=0.9)
    found = rates(scheduler, optimizer, 9, key="momentum")
    assert found == pytest.approx([0.9 - 0.3 * triangle(t, 4, 4)[0] for t in range(9)])
    optimizer = make(algorithm=optim.Adam)
    scheduler = schedule.OneCycleLR(optimizer, 0.5, epochs=4, steps_per_epoch=5, anneal_strategy="linear")
    assert [beta[0] for beta in rates(scheduler, optimizer, 6, key="betas")] == pytest.approx(
        [0.95 - 0.1 * t / 5 for t in range(6)]
    )


def test_one_cycle_of_three_phases_comes_back_to_where_it_began():
    optimizer = make()
    scheduler = schedule.OneCycleLR(optimizer, 0.5, total_steps=20, three_phase=True, anneal_strategy="linear")
    found = rates(scheduler, optimizer, 20)
    assert found[0] == pytest.approx(0.02) and found[5] == pytest.approx(0.5)
    assert found[10] == pytest.approx(0.02) and found[19] == pytest.approx(0.02 / 1e4)
    with pytest.raises(ValueError, match="specified number of total steps is 20"):
        rates(scheduler, optimizer, 2)


def test_warm_restarts_take_fractions_of_epochs():
    optimizer = make()
    scheduler = schedule.CosineAnnealingWarmRestarts(optimizer, 4, 2)
    for epoch in (0.5, 3.75, 4.0, 7.0, 13.5):
        optimizer.step()
        scheduler.step(epoch)
        assert scheduler.get_last_lr() == pytest.approx([warm(epoch, 4, 2, 0)])


@pytest.mark.parametrize("settings, metrics, cuts", [
    ({"patience": 1}, [1, 1, 1, 1, 1], [0, 0, 1, 1, 2]),
    ({"patience": 1, "cooldown": 1}, [1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 2]),
    ({"patience": 0}, [1, 0.99995, 0.9, 0.8], [0, 1, 1, 1]),  # better by less than 1e-4 of it is not better
    ({"patience": 0, "mode": "max"}, [1, 1.1, 1.1, 2], [0, 0, 1, 1]),
    ({"patience": 0, "threshold_mode": "abs", "threshold": 0.5}, [2, 1.6, 1.4], [0, 1, 1]),
    ({"patience": 0, "mode": "max", "threshold_mode": "abs", "threshold": 0.5}, [1, 1.6, 2], [0, 0, 1]),
    ({"patience": 0, "min_lr": 0.25}, [1, 1, 1, 1], [0, 1, 1.678, 1.678]),
    ({"patience": 0}, [1, math.nan], [0, 1]),
])  # fmt: skip
def test_plateau(settings, metrics, cuts):
    optimizer = make(1.0)
    scheduler = schedule.ReduceLROnPlateau(optimizer, factor=0.4375, **settings)
    found = []
    for metric in metrics:
        scheduler.step(numgrad.tensor(metric))
        found.append(optimizer.param_groups[0]["lr"])
    assert found == pytest.approx([max(0.4375**cut, settings.get("min_lr", 0)) for cut in cuts], rel=1e-3)
    again = schedule.ReduceLROnPlateau(make(1.0), factor=0.4375, **settings)
    again.load_state_dict(scheduler.state_dict())
    assert (again.best, again.num_bad_epochs) == (scheduler.best, scheduler.num_bad_epochs)


def test_the_wrong_order_of_steps_warns():
    scheduler = schedule.StepLR(make(), 2)
    with pytest.warns(UserWarning, match=r"`lr_scheduler.step\(\)` before `optimizer.step\(\)`"):
        scheduler.step()


def test_deprecated_uses_warn():
    optimizer = make()
    scheduler = schedule.StepLR(optimizer, 2, gamma=0.5)
    optimizer.step()
    with pytest.warns(UserWarning, match="epoch parameter"):
        scheduler.step(5)
    assert scheduler.get_last_lr() == [BASE * 0.25]
    with pytest.warns(UserWarning, match="get_last_lr"):
        scheduler.get_lr()


def test_a_tensor_rate_stays_the_same_tensor():
    lr = numgrad.tensor(0.5)
    optimizer = optim.SGD([nn.Parameter(numgrad.zeros(1))], lr=lr)
    scheduler = schedule.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is lr and lr.item() == 0.25
    assert scheduler.base_lrs[0].item() == 0.5


def test_a_schedule_of_your_own():
    class Sawtooth(schedule.LRScheduler):
        def get_lr(self):
            return [base * (1 + self.last_epoch % 3) for base in self.base_lrs]

    optimizer = make(1.0)
    assert rates(Sawtooth(optimizer), optimizer, 5) == [1, 2, 3, 1, 2]


@pytest.mark.parametrize("create, error, message", [
    (lambda o: schedule.StepLR(3, 2), TypeError, "int is not an Optimizer"),
    (lambda o: schedule.LambdaLR(o, [lambda t: 1] * 2), ValueError, "Expected 1 lr_lambdas, but got 2"),
    (lambda o: schedule.MultiplicativeLR(o, 3), TypeError, "should be a function"),
    (lambda o: schedule.ConstantLR(o, 3), ValueError, "between 0 and 1"),
    (lambda o: schedule.LinearLR(o, 0), ValueError, "greater than 0"),
    (lambda o: schedule.CosineAnnealingWarmRestarts(o, 0), ValueError, "T_0"),
    (lambda o: schedule.CyclicLR(o, 0.1, 0.2, mode="square"), ValueError, "mode is invalid"),
    (lambda o: schedule.CyclicLR(o, 0.1, [0.2, 0.3]), ValueError, "max_lr has 2 values, param_groups has 1"),
    (lambda o: schedule.OneCycleLR(o, 0.1), ValueError, "total_steps OR"),
    (lambda o: schedule.OneCycleLR(o, 0.1, total_steps=0), ValueError, "total_steps, but got 0"),
    (lambda o: schedule.OneCycleLR(make(algorithm=optim.Adagrad), 0.1, 9), ValueError, "momentum or beta1"),
    (lambda o: schedule.ReduceLROnPlateau(o, factor=1.0), ValueError, "Factor should be < 1.0"),
    (lambda o: schedule.ReduceLROnPlateau(o, mode="least"), ValueError, "mode least is unknown"),
    (lambda o: schedule.SequentialLR(o, [], []), ValueError, "at least one scheduler"),
    (lambda o: schedule.SequentialLR(o, [schedule.StepLR(o, 1)], [3]), ValueError, "milestone"),
    (lambda o: schedule.SequentialLR(o, [schedule.StepLR(make(), 1)], []), ValueError, "same optimizer"),
    (lambda o: schedule.ChainedScheduler([schedule.ReduceLROnPlateau(o)]), ValueError, "ReduceLROnPlateau"),
])  # fmt: skip
def test_bad_arguments_are_refused(create, error, message):
    with pytest.raises(error, match=message):
        create(make())


def test_old_scripts_ask_for_printing(capsys):
    optimizer = make(0.5)
    with pytest.warns(UserWarning, match="verbose parameter is deprecated"):
        scheduler = schedule.StepLR(optimizer, 1, 0.5, verbose=True)
    optimizer.step()
    scheduler.step()
    assert capsys.readouterr().out.splitlines() == [
        "Epoch     0: adjusting learning rate of group 0 to 5.0000e-01.",
        "Epoch     1: adjusting learning rate of group 0 to 2.5000e-01.",
    ]
    with pytest.warns(UserWarning, match="verbose parameter is deprecated"):
        plateau = schedule.ReduceLROnPlateau(make(1.0), patience=0, verbose=True)
    plateau.step(1.0)
    plateau.step(1.0)
    assert capsys.readouterr().out == "Epoch     2: adjusting learning rate of group 0 to 1.0000e-01.\n"
    with pytest.warns(UserWarning, match="verbose parameter is deprecated"):
        schedule.ReduceLROnPlateau(make(), verbose=False)
    assert capsys.readouterr().out == ""
