"""Transformations of functions: their values in closed form, nested in each other, and with modules."""

from __future__ import annotations

import numgrad.autograd.functional as F
import numpy as np
import pytest

import numgrad
from numgrad import Tensor, func, nn, vmap

#: Written in operations that are tested with real kernels by themselves.
pytestmark = pytest.mark.interpreted

def cube(x: Tensor) -> Tensor:
    return (x**3).sum()


X = [1.0, -2.0, 0.5]


def close(found: Tensor, expected: object) -> None:
    assert np.allclose(found.detach().numpy(), expected, atol=1e-5)


def test_derivatives_of_a_cube() -> None:
    x = numgrad.tensor(X)
    close(func.grad(cube)(x), 3 * np.square(X))
    close(func.hessian(cube)(x), np.diag(6 * np.array(X)))
    close(func.jacfwd(func.jacfwd(cube))(x), np.diag(6 * np.array(X)))
    close(func.grad(lambda x: func.grad(cube)(x).sum())(x), 6 * np.array(X))
    gradient, value = func.grad_and_value(cube)(x)
    close(value, np.sum(np.power(X, 3)))
    assert not gradient.requires_grad and not value.requires_grad and not x.requires_grad
    value, gradient = func.value_and_grad(cube)(x)
    close(gradient, 3 * np.square(X))


@pytest.mark.parametrize("jacobian", [func.jacrev, func.jacfwd])
def test_jacobians(jacobian) -> None:
    w, x = numgrad.tensor([[1.0, 2, 3], [4, 5, 6]]), numgrad.tensor(X)
    by_w, by_x = jacobian(lambda w, x: w @ x, argnums=(0, 1))(w, x)
    close(by_x, w.numpy())
    assert by_w.shape == (2, 2, 3)
    close(by_w, np.einsum("ij,k->ijk", np.eye(2), X))
    close(vmap(jacobian(lambda x: x.sin()))(w), np.stack([np.diag(np.cos(r)) for r in w.numpy()]))
    found, aux = jacobian(lambda x: (x * 2, x.sum()), has_aux=True)(x)
    close(found, 2 * np.eye(3))
    close(aux, -0.5)


def test_products_with_jacobians() -> None:
    x, t = numgrad.tensor(X), numgrad.tensor([1.0, 0.0, 2.0])
    for value, change in (func.jvp(lambda x: x**2, (x,), (t,)), F.jvp(lambda x: x**2, x, t)):
        close(value, np.square(X))
        close(change, 2 * np.array(X) * t.numpy())
    value, pull = func.vjp(lambda x: {"a": x**2}, x)
    close(pull({"a": t})[0], 2 * np.array(X) * t.numpy())
    _, push = func.linearize(lambda x: x**2, x)
    close(push(t), 2 * np.array(X) * t.numpy())
    close(F.hvp(cube, x, t)[1], 6 * np.array(X) * t.numpy())
    close(F.hessian(cube, x), np.diag(6 * np.array(X)))
    assert F.jacobian(lambda x, y: (x * y, x), (x, t))[1][1].shape == (3, 3)
    with pytest.raises(RuntimeError, match="independent of input 1"):
        F.jacobian(lambda x, y: x * 2, (x, t), strict=True)


def test_results_stay_connected_to_tensors_that_require_grad() -> None:
    x, w = numgrad.tensor(X), numgrad.tensor(X, requires_grad=True)
    found = func.grad(lambda x: (w * x**2).sum())(x)
    found.sum().backward()
    close(w.grad, 2 * np.array(X))
    with numgrad.no_grad():
        assert not func.grad(cube)(w).requires_grad


def test_vmap_slices_and_stacks() -> None:
    a = numgrad.arange(6.0).view(2, 3)
    found = vmap(lambda d, y: {"p": d["a"] * y, "s": d["b"].sum()}, in_dims=({"a": 1, "b": None}, 0), out_dims={"p": 1, "s": 0})(
        {"a": a, "b": a}, numgrad.tensor(X)
    )
    close(found["p"], a.numpy() * np.array(X))
    close(found["s"], [15, 15, 15])
    close(vmap(vmap(numgrad.mul, (None, 0)), (0, None))(numgrad.tensor(X), numgrad.tensor(X)), np.outer(X, X))
    close(func.grad(lambda w: vmap(lambda x: (w * x).sum())(a).sum())(numgrad.ones(3)), [3, 5, 7])
    rows = numgrad.autograd.grad((w := numgrad.tensor(X, requires_grad=True)) ** 2, w, numgrad.eye(3), is_grads_batched=True)[0]
    close(rows, np.diag(2 * np.array(X)))


def test_vmap_and_random_numbers() -> None:
    draw = lambda x: x + numgrad.rand(())
    with pytest.raises(RuntimeError, match="randomness"):
        vmap(draw)(numgrad.zeros(3))
    assert len(set(vmap(draw, randomness="different")(numgrad.zeros(3)).tolist())) == 3
    assert len(set(vmap(draw, randomness="same")(numgrad.zeros(3)).tolist())) == 1


def test_modules_as_functions() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).eval()
    before = {k: v.tolist() for k, v in net.state_dict().items()}
    given = {"0.weight": numgrad.ones(2, 3), "0.bias": numgrad.zeros(2), "1.running_mean": numgrad.full((2,), 1.0)}
    found = func.functional_call(net, given, numgrad.tensor([X]))
    close(found, [[-1.5 / np.sqrt(1 + 1e-5)] * 2])
    assert {k: v.tolist() for k, v in net.state_dict().items()} == before
    per_sample = vmap(func.grad(lambda p, x: func.functional_call(net[0], p, x).sum()), in_dims=(None, 0))
    weights = {k: v.detach() for k, v in net[0].named_parameters()}
    close(per_sample(weights, numgrad.tensor([X, X]))["weight"], [[X, X], [X, X]])
    with pytest.raises(AttributeError, match="no_such"):
        func.functional_call(net, {"no_such": numgrad.ones(1)}, numgrad.ones(1, 3))


def test_ensembles() -> None:
    nets = [nn.Linear(3, 2) for _ in range(3)]
    parameters, buffers = func.stack_module_state(nets)
    assert parameters["weight"].shape == (3, 2, 3) and parameters["weight"].is_leaf and parameters["weight"].requires_grad and buffers == {}
    found = vmap(lambda p, x: func.functional_call(nets[0], p, x), in_dims=(0, None))(parameters, numgrad.tensor(X))
    close(found, [n(numgrad.tensor(X)).tolist() for n in nets])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: func.grad(lambda x: x)(x), RuntimeError, "scalar"),
        (lambda x: func.grad(cube, argnums=1)(x), RuntimeError, "argnum=1"),
        (lambda x: vmap(lambda x: x, in_dims=1)(x), ValueError, "in_dim=1"),
        (lambda x: vmap(lambda x, y: x)(x, numgrad.ones(4)), ValueError, "same size"),
        (lambda x: vmap(lambda x: 1.0)(x), RuntimeError, "only tensors"),
        (lambda x: func.jvp(cube, (x,), (numgrad.ones(2),)), RuntimeError, "shapes"),
        (lambda x: F.hessian(lambda x: x, x), RuntimeError, "single element"),
    ],
)
def test_errors(call, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call(numgrad.tensor(X))
