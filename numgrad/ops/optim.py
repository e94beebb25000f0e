"""Updates of the optimizers: one kernel reads a gradient and changes a parameter and its state in place.

Every array is flat and contiguous. `setting` holds the hyperparameters as float64, in the order the kernel unpacks
them: it is read at each call, so that a replayed step sees what a scheduler changed. `step` counts in memory for the
same reason. Scalars are computed in float64 and rounded once to the parameter's dtype; elements are computed in that
dtype.
"""

from __future__ import annotations

import math
from operator import attrgetter, is_
from typing import Any

import numpy as np

from ..dtypes import FLOAT32, FLOATING, is_half
from ..jit.kernel import Kernel, empty, kernel, launch, launch_flat, prange, zeros
from ..tensor import Tensor
from .elementwise import copied, copy_into

# --- plain and momentum ---------------------------------------------------------------------------------------------


@kernel
def _sgd(param, grad, setting):  # type: ignore[no-untyped-def]
    number = param.dtype.type
    lr, decay, sign = number(setting[0]), number(setting[1]), number(setting[2])
    for i in prange(param.size):
        g = sign * grad[i]
        if decay != 0:
            g = g + decay * param[i]
        param[i] = param[i] - lr * g


@kernel
def _sgd_momentum(param, grad, buffer, setting):  # type: ignore[no-untyped-def]
    number = param.dtype.type
    lr, decay, sign, momentum = number(setting[0]), number(setting[1]), number(setting[2]), number(setting[3])
    fresh, nesterov = number(setting[4]), setting[5] != 0  # fresh: 1 - dampening
    for i in prange(param.size):
        g = sign * grad[i]
        if decay != 0:
            g = g + decay * param[i]
        b = buffer[i] * momentum + fresh * g
        buffer[i] = b
        param[i] = param[i] - lr * (g + momentum * b if nesterov else b)


@kernel
def _sgd_first(param, grad, buffer, setting):  # type: ignore[no-untyped-def]
    """The first step with momentum: the buffer starts as the gradient, without dampening."""
    number = param.dtype.type
    lr, decay, sign, momentum = number(setting[0]), number(setting[1]), number(setting[2]), number(setting[3])
    nesterov = setting[5] != 0
    for i in prange(param.size):
        g = sign * grad[i]
        if decay != 0:
            g = g + decay * param[i]
        buffer[i] = g
        param[i] = param[i] - lr * (g + momentum * g if nesterov else g)


# --- the Adam family ------------------------------------------------------------------------------------------------


@kernel
def _adam(param, grad, mean, square, step, setting):  # type: ignore[no-untyped-def]
    number = param.dtype.type
    t = float(step[0]) + 1
    lr, decay, sign, beta1, beta2 = setting[0], setting[1], number(setting[2]), setting[3], setting[4]
    root, decoupled = math.sqrt(1 - beta2**t), setting[6] != 0
    rate, eps = number(lr / (1 - beta1**t) * root), number(setting[5] * root)  # both times the root: one division less
    coupled, shrink = number(0.0 if decoupled else decay), number(1 - lr * decay if decoupled else 1.0)
    weight, keep, fresh = number(1 - beta1), number(beta2), number(1 - beta2)
    for i in prange(param.size):
        g = sign * grad[i]
        if coupled != 0:
            g = g + coupled * param[i]
        m = mean[i] + weight * (g - mean[i])
        v = square[i] * keep + fresh * g * g
        mean[i] = m
        square[i] = v
        param[i] = param[i] * shrink - rate * m / (math.sqrt(v) + eps)
    step[0] = t


@kernel
def _adam_amsgrad(param, grad, mean, square, largest, step, setting):  # type: ignore[no-untyped-def]
    number = param.dtype.type
    t = float(step[0]) + 1
    lr, decay, sign, beta1, beta2 = setting[0], setting[1], number(setting[2]), setting[3], setting[4]
    root, decoupled = math.sqrt(1 - beta2**t), setting[6] != 0
    rate, eps = number(lr / (1 - beta1**t) * root), number(setting[5] * root)  # both times the root: one division less
    coupled, shrink = number(0.0 if decoupled else decay), number(1 - lr * decay if decoupled else 1.0)
    weight, keep, fresh = number(1 - beta1), number(beta2), number(1 - beta2)
    for i in prange(param.size):
        g = sign * grad[i]
        if coupled != 0:
            g = g + coupled * param[i]
        m = mean[i] + weight * (g - mean[i])
        v = square[i] * keep + fresh * g * g
        mean[i] = m
        square[i] = v
        top = largest[i]
        top = top if top > v or top != top else v  # a NaN stays
        largest[i] = top
        param[i] = param[i] * shrink - rate * m / (math.sqrt(top) + eps)
    step[0] = t


@kernel
def _adamax(param, grad, mean, norm, step, setting):  # type: ignore[no-untyped-def]
    number = param.dtype.type
    t = float(step[0]) + 1
    lr, decay, sign, beta1 = setting[0], number(setting[1]), number(setting[2]), setting[3]
    keep, eps = number(setting[4]), number(setting[5])
    rate, weight = number(lr / (1 - beta1**t)), number(1 - beta1)
    for i in prange(param.size):
        g = sign * grad[i]
        if decay != 0:
            g = g + decay * param[i]
        m = mean[i] + weight * (g - mean[i])
        old, new = norm[i] * keep, abs(g) + eps
        u = old if old > new or old != old else new
        mean[i] = m
        norm[i] = u
        param[i] = param[i] - rate * m / u
    step[0] = t


@kernel
def _nadam(param, grad, mean, square, step, product, setting):  # type: ignore[no-untyped-def]
    number = param.dtype.type
    t = float(step[0]) + 1
    lr, decay, sign, beta1, beta2 = setting[0], setting[1], number(setting[2]), setting[3], setting[4]
    decoupled, momentum_decay = setting[6] != 0, setting[7]
    mu = beta1 * (1.0 - 0.5 * 0.96 ** (t * momentum_decay))
    mu_next = beta1 * (1.0 - 0.5 * 0.96 ** ((t + 1) * momentum_decay))
    product[0] = product[0] * product.dtype.type(mu)  # in its own dtype, as it is kept
    root = math.sqrt(1 - beta2**t)
    eps = number(setting[5] * root)
    rate, rate_mean = number(lr * (1 - mu) / (1 - product[0]) * root), number(lr * mu_next / (1 - product[0] * mu_next) * root)
    coupled, shrink = number(0.0 if decoupled else decay), number(1 - lr * decay if decoupled else 1.0)
    weight, keep, fresh = number(1 - beta1), number(beta2), number(1 - beta2)
    for i in prange(param.size):
        g = sign * grad[i]
        if coupled != 0:
            g = g + coupled * param[i]
        m = mean[i] + weight * (g - mean[i])
        v = square[i] * keep + fresh * g * g
        mean[i] = m
        square[i] = v
        param[i] = param[i] * shrink - (rate * g + rate_mean * m) / (math.sqrt(v) + eps)
    step[0] = t


@kernel
def _radam(param, grad, mean, square, step, setting):  # type: ignore[no-untyped-def]
    number = param.dtype.type
    t = float(step[0]) + 1
    lr, decay, sign, beta1, beta2 = setting[0], setting[1], number(setting[2]), setting[3], setting[4]
    eps, decoupled = number(setting[5]), setting[6] != 0
    rate = number(lr / (1 - beta1**t))
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * t * beta2**t / (1 - beta2**t)
    rectified = length > 5  # long enough for the variance to be trusted
    above = (length - 4) * (length - 2) * longest
    factor = number(math.sqrt((1 - beta2**t) * above / ((longest - 4) * (longest - 2) * length)) if rectified else 1.0)
    coupled, shrink = number(0.0 if decoupled else decay), number(1 - lr * decay if decoupled else 1.0)
    weight, keep, fresh = number(1 - beta1), number(beta2), number(1 - beta2)
    for i in prange(param.size):
        g = sign * grad[i]
        if coupled != 0:
            g = g + coupled * param[i]
        m = mean[i] + weight * (g - mean[i])
        v = square[i] * keep + fresh * g * g
        mean[i] = m
        square[i] = v
        move = m * rate
        if rectified:
            move = move * factor / (math.sqrt(v) + eps)
        param[i] = param[i] * shrink - move
    step[0] = t


# --- others ---------------------------------------------------------------------------------------------------------


@kernel
def _rmsprop(param, grad, square, step, setting):  # type: ignore[no-untyped-def]
    number = param.dtype.type
    lr, decay, sign = number(setting[0]), number(setting[1]), number(setting[2])
    keep, fresh, eps = number(setting[3]), number(1 - setting[3]), number(setting[4])
    for i in prange(param.size):
        g = sign * grad[i]
        if decay != 0:
            g = g + decay * param[i]
        v = square[i] * keep + fresh * g * g
        square[i] = v
        param[i] = param[i] - lr * g / (math.sqrt(v) + eps)
    step[0] = step[0] + 1


@kernel
def _rmsprop_full(param, grad, square, buffer, mean, step, setting):  # type: ignore[no-untyped-def]
    """With momentum, with the variance centered, or both; what is not used is an array of size 0."""
    number = param.dtype.type
    lr, decay, sign = number(setting[0]), number(setting[1]), number(setting[2])
    keep, fresh, eps, momentum = number(setting[3]), number(1 - setting[3]), number(setting[4]), number(setting[5])
    has_buffer, centered = buffer.size > 0, mean.size > 0
    for i in prange(param.size):
        g = sign * grad[i]
        if decay != 0:
            g = g + decay * param[i]
        v = square[i] * keep + fresh * g * g
        square[i] = v
        if centered:
            m = mean[i] + fresh * (g - mean[i])
            mean[i] = m
            v = v - m * m
        move = g / (math.sqrt(v) + eps)
        if has_buffer:
            move = buffer[i] * momentum + move
            buffer[i] = move
        param[i] = param[i] - lr * move
    step[0] = step[0] + 1


@kernel
def _adagrad(param, grad, total, step, setting):  # type: ignore[no-untyped-def]
    number = param.dtype.type
    t = float(step[0]) + 1
    decay, sign, eps = number(setting[1]), number(setting[2]), number(setting[4])
    rate = number(setting[0] / (1 + (t - 1) * setting[3]))
    for i in prange(param.size):
        g = sign * grad[i]
        if decay != 0:
            g = g + decay * param[i]
        v = total[i] + g * g
        total[i] = v
        param[i] = param[i] - rate * g / (math.sqrt(v) + eps)
    step[0] = t


@kernel
def _adadelta(param, grad, square, moved, step, setting):  # type: ignore[no-untyped-def]
    number = param.dtype.type
    lr, decay, sign = number(setting[0]), number(setting[1]), number(setting[2])
    keep, fresh, eps = number(setting[3]), number(1 - setting[3]), number(setting[4])
    for i in prange(param.size):
        g = sign * grad[i]
        if decay != 0:
            g = g + decay * param[i]
        v = square[i] * keep + fresh * g * g
        square[i] = v
        move = math.sqrt(moved[i] + eps) / math.sqrt(v + eps) * g
        moved[i] = moved[i] * keep + fresh * move * move
        param[i] = param[i] - lr * move
    step[0] = step[0] + 1


@kernel
def _asgd(param, grad, average, step, eta, mu, setting):  # type: ignore[no-untyped-def]
    number = param.dtype.type
    t = float(step[0]) + 1
    lr, decay, sign = setting[0], number(setting[1]), number(setting[2])
    lambd, alpha, start = setting[3], setting[4], setting[5]
    rate, shrink, share = number(eta[0]), number(1 - lambd * float(eta[0])), number(mu[0])
    for i in prange(param.size):
        g = sign * grad[i]
        if decay != 0:
            g = g + decay * param[i]
        p = param[i] * shrink - rate * g
        param[i] = p
        average[i] = p if share == 1 else average[i] + (p - average[i]) * share
    eta[0] = lr / (1 + lambd * lr * t) ** alpha
    mu[0] = 1 / max(1.0, t - start)
    step[0] = t


@kernel
def _rprop(param, grad, previous, size, step, setting):  # type: ignore[no-untyped-def]
    number = param.dtype.type
    sign, less, more = number(setting[2]), number(setting[3]), number(setting[4])
    low, high = number(setting[5]), number(setting[6])
    zero, one = number(0), number(1)
    for i in prange(param.size):
        g = sign * grad[i]
        agreement = g * previous[i]
        s = size[i] * (more if agreement > 0 else (less if agreement < 0 else one))
        s = low if s < low else (high if s > high else s)
        size[i] = s
        if agreement < 0:
            g = zero
        param[i] = param[i] - (s if g > 0 else (-s if g < 0 else zero * g))  # zero * g: a NaN goes on
        previous[i] = g
    step[0] = step[0] + 1


KERNELS: dict[str, Kernel] = {
    name[1:]: value for name, value in globals().items() if isinstance(value, Kernel)
}


# --- from tensors to kernels ----------------------------------------------------------------------------------------


def settings(length: int) -> np.ndarray:
    """Memory for an optimizer's hyperparameters."""
    return empty(length, np.float64)


def write_settings(setting: np.ndarray, values: list[Any]) -> None:
    """Put hyperparameters (numbers, bools or 0-d tensors) into their memory."""
    for i, value in enumerate(values):
        setting[i] = float(value)


def check(optimizer: str, param: Tensor) -> None:
    """RuntimeError for a parameter that is no floating point number, or whose gradient does not fit it."""
    data, grad = param._data, param.grad._data
    if data.dtype.kind not in FLOATING:
        raise RuntimeError(f"{optimizer} can only update floating point parameters, got {param.dtype}")
    if grad.shape != data.shape or grad.dtype != data.dtype:
        raise RuntimeError(f"a gradient of shape {grad.shape} and dtype {param.grad.dtype} does not fit its parameter "
                           f"of shape {data.shape} and dtype {param.dtype}")


class Plan:
    """What an update is launched on, for as long as the same arrays hold a parameter and its state."""

    __slots__ = ("arrays", "dtype", "entry", "held", "kernel", "name", "shape", "states", "tensors", "work")

    def __init__(self, name: str, param: Tensor, states: list[Tensor | None], setting: np.ndarray):
        data = param._data
        self.name, self.kernel, self.states = name, KERNELS[name], states
        self.shape, self.dtype, self.work = data.shape, data.dtype, data.size
        self.tensors = [param, *[t for t in states if t is not None]]
        self.held = [t._data for t in self.tensors]  # never a gradient: each step has its own
        self.arrays = (*[zeros(0, data.dtype) if t is None else t._data for t in states], setting)
        self.entry = self.kernel.entry((data, data, *self.arrays), (), work=self.work)

    def fits(self, name: str, states: list[Tensor | None], grad: np.ndarray, setting: np.ndarray) -> bool:
        """Whether it still is the update to launch. (What was checked when it was made holds for the same arrays.)"""
        return (
            grad.shape == self.shape and grad.dtype == self.dtype and grad.flags.c_contiguous
            and name == self.name and setting is self.arrays[-1]
            and all(map(is_, states, self.states)) and all(map(is_, map(_data_of, self.tensors), self.held))
        )  # fmt: skip


_data_of = attrgetter("_data")


def update(plans: dict[Tensor, Plan], name: str, param: Tensor, states: list[Tensor | None], setting: np.ndarray) -> bool:
    """Launch the update `name` on a parameter, its gradient and its state (None: state that is not used), if a plan fits."""
    plan, grad = plans.get(param), param.grad._data
    if plan is None or not plan.fits(name, states, grad, setting):
        return False
    launch_flat(plan.kernel, plan.entry, (plan.held[0], grad, *plan.arrays), (), plan.work)
    for tensor in plan.tensors:
        tensor.bump()
    return True


def update_anew(plans: dict[Tensor, Plan], name: str, param: Tensor, states: list[Tensor | None], setting: np.ndarray) -> None:
    """`update` with a new plan; where a memory is not contiguous, the kernel works on copies."""
    tensors = [param, param.grad, *[t for t in states if t is not None]]
    if all(t._data.flags.c_contiguous and not is_half(t._data.dtype) for t in tensors):
        plans[param] = Plan(name, param, states, setting)
        update(plans, name, param, states, setting)
    else:
        _update_copies(name, param, states, setting)


def _update_copies(name: str, param: Tensor, states: list[Tensor | None], setting: np.ndarray) -> None:
    tensors = [param, *states]
    wide = FLOAT32 if is_half(param._data.dtype) else param._data.dtype
    arrays = [zeros(0, wide) if t is None else _flat(t) for t in tensors]
    launch(KERNELS[name], arrays[0], _flat(param.grad), *arrays[1:], setting, work=arrays[0].size)
    for tensor, array in zip(tensors, arrays):
        if tensor is not None:
            if not np.may_share_memory(array, tensor._data):
                copy_into(tensor._data, array.reshape(tensor._data.shape))
            tensor.bump()


def _flat(tensor: Tensor) -> np.ndarray:
    data = tensor._data
    if is_half(data.dtype):
        return copied(data, FLOAT32).reshape(-1)
    return (data if data.flags.c_contiguous else copied(data, data.dtype)).reshape(-1)
