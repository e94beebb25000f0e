"""Operations of a program's own, by `numgrad.library`; and functions over lists of tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import numgrad as torch
from numgrad import library


def test_an_operation_with_its_gradient() -> None:
    @library.custom_op("tests::sine", mutates_args=())
    def sine(x: Any, scale: float = 2.0) -> Any:
        """The sine, by NumPy."""
        return torch.from_numpy(np.sin(x.detach().numpy()) * scale)

    @sine.register_fake
    def _(x: Any, scale: float = 2.0) -> Any:
        return torch.empty_like(x)

    x = torch.tensor([0.1, 0.2], dtype=torch.float64, requires_grad=True)
    assert not sine(x.detach()).requires_grad and sine.__doc__ == "The sine, by NumPy."
    with pytest.raises(RuntimeError, match="no autograd formula"):
        sine(x).sum().backward()

    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[0])
        ctx.scale = inputs[1]

    sine.register_autograd(lambda ctx, grad: (grad * ctx.saved_tensors[0].cos() * ctx.scale, None), setup_context=setup_context)
    y = torch.ops.tests.sine(x, scale=3.0)
    y.sum().backward()
    np.testing.assert_allclose(y.detach(), 3 * np.sin([0.1, 0.2]))
    np.testing.assert_allclose(x.grad, 3 * np.cos([0.1, 0.2]))
    assert torch.autograd.gradcheck(sine, (x,)) and torch.ops.tests.sine.default is sine


def test_a_library_defines_and_implements() -> None:
    lib = library.Library("tests_lib", "FRAGMENT")
    assert lib.define("double(Tensor x) -> Tensor") == "double"
    with pytest.raises(NotImplementedError, match="no implementation"):
        torch.ops.tests_lib.double(torch.ones(1))
    lib.impl("double", lambda x: x * 3, "CUDA")
    lib.impl("double", lambda x: x * 2, "CompositeExplicitAutograd")
    assert torch.ops.tests_lib.double(torch.ones(2)).tolist() == [2, 2]
    x = torch.ones(1, requires_grad=True)
    with pytest.raises(RuntimeError, match="no autograd formula"):
        torch.ops.tests_lib.double(x).backward()
    lib.impl("double", lambda x: x * 2, "AutogradCPU")
    torch.ops.tests_lib.double(x).backward()
    assert x.grad == 2
    with pytest.raises(AttributeError, match="no_such"):
        _ = torch.ops.tests_lib.no_such
    with pytest.raises(AttributeError):
        _ = torch.ops.no_such_namespace
    with pytest.raises(ValueError, match="namespace::name"):
        library.custom_op("name", lambda x: x)
    with pytest.raises(RuntimeError, match="no operation"):
        library.register_autograd("tests_lib::no_such", lambda ctx, g: g)


def test_an_operation_in_a_compiled_step_is_not_frozen() -> None:
    @library.custom_op("tests::halved", mutates_args=())
    def halved(x: Any) -> Any:
        return torch.from_numpy(x.numpy() / 2)

    step = torch.compile(lambda x: halved(x) + 1)
    with pytest.warns(UserWarning):
        assert [step(torch.full((2,), float(i)))[0].item() for i in range(4)] == [1, 1.5, 2, 2.5]


# --- lists of tensors --------------------------------------------------------------------------------------------------


def test_lists_of_tensors_by_the_function_of_their_name() -> None:
    a, b = [torch.tensor([1.0, 4.0]), torch.tensor([[9.0]])], [torch.tensor([2.0, 2.0]), torch.tensor([[3.0]])]

    def numbers(found: Any) -> list[Any]:
        return [t.reshape(-1).tolist() for t in found]

    assert numbers(torch._foreach_sqrt(a)) == [[1, 2], [3]]
    assert numbers(torch._foreach_add(a, b, alpha=2)) == [[5, 8], [15]]
    assert numbers(torch._foreach_mul(a, [2, 3])) == [[2, 8], [27]] and numbers(torch._foreach_div(a, torch.tensor(2.0))) == [[0.5, 2], [4.5]]
    assert numbers(torch._foreach_pow(2.0, b)) == [[4, 4], [8]] and numbers(torch._foreach_maximum(a, 2.0)) == [[2, 4], [9]]
    assert numbers(torch._foreach_lerp(a, b, 0.5)) == [[1.5, 3], [6]] and numbers(torch._foreach_lerp(a, b, b)) == [[3, 0], [-9]]
    assert numbers(torch._foreach_addcmul(a, b, b, value=2)) == [[9, 12], [27]] and numbers(torch._foreach_addcdiv(a, b, b, torch.tensor([1.0, 2.0]))) == [[2, 5], [11]]
    assert numbers(torch._foreach_norm(a)) == [[pytest.approx(math.sqrt(17))], [9]] and numbers(torch._foreach_norm(a, math.inf)) == [[4], [9]]
    assert numbers(torch._foreach_max(a)) == [[4], [9]] and numbers(torch._foreach_powsum(a, 2)) == [[17], [81]]
    given = torch._foreach_clone(a)
    assert torch._foreach_minimum_(list(given), 2.0)[0] is given[0] and numbers(given) == [[1, 2], [2]]
    torch._foreach_zero_(list(given))
    assert numbers(given) == [[0, 0], [0]] and numbers(torch._foreach_copy_(list(given), a)) == numbers(a)
    assert numbers(torch._foreach_addcdiv_(list(given), b, b, [1, 2])) == [[2, 5], [11]]


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda a: torch._foreach_add(a, [1]), RuntimeError, "same number of elements"),
    (lambda a: torch._foreach_add(a, a[:1]), RuntimeError, "same number of tensors"),
    (lambda a: torch._foreach_add([], 1), RuntimeError, "at least one"),
    (lambda a: torch._foreach_exp(a[0]), TypeError, "tuple of Tensors"),
    (lambda a: torch._foreach_mul(a, torch.ones(2)), RuntimeError, "0 dim"),
])  # fmt: skip
def test_lists_that_do_not_fit(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call([torch.ones(2), torch.ones(3)])
