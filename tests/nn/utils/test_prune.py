"""Pruning: what is chosen, by hand; what a pruned module is made of; and that it trains."""

from __future__ import annotations

import pytest

import numgrad as ng
from numgrad import nn
from numgrad.nn.utils import prune

pytestmark = pytest.mark.interpreted


def linear() -> nn.Linear:
    made = nn.Linear(3, 2)
    made.weight.data = ng.tensor([[1.0, -5.0, 2.0], [-3.0, 0.5, 4.0]])
    return made


def test_least_elements_go_and_come_back_as_a_parameter() -> None:
    m = linear()
    assert prune.l1_unstructured(m, "weight", amount=2) is m and prune.is_pruned(m) and prune.is_pruned(nn.Sequential(m))
    assert m.weight_mask.tolist() == [[0, 1, 1], [1, 0, 1]] and m.weight.tolist() == [[0, -5, 2], [-3, 0, 4]]
    assert sorted(m.state_dict()) == ["bias", "weight_mask", "weight_orig"] and [n for n, _ in m.named_parameters()] == ["bias", "weight_orig"]
    m(ng.ones(1, 3)).sum().backward()
    assert m.weight_orig.grad.tolist() == [[0, 1, 1], [1, 0, 1]]
    with ng.no_grad():
        m.weight_orig += 1
    m(ng.ones(1, 3))
    assert m.weight.tolist() == [[0, -4, 3], [-2, 0, 5]]
    prune.remove(m, "weight")
    assert not prune.is_pruned(m) and sorted(m.state_dict()) == ["bias", "weight"] and isinstance(m.weight, nn.Parameter)
    assert m.weight.tolist() == [[0, -4, 3], [-2, 0, 5]] and not list(m.buffers())
    with pytest.raises(ValueError, match="has to be pruned"):
        prune.remove(m, "weight")


def test_slices_and_one_method_after_the_other() -> None:
    m = linear()
    prune.ln_structured(m, "weight", amount=1, n=1, dim=1)
    assert m.weight_mask.tolist() == [[0, 1, 1], [0, 1, 1]]
    prune.l1_unstructured(m, "weight", amount=0.25)
    assert m.weight_mask.tolist() == [[0, 1, 1], [0, 0, 1]]
    prune.ln_structured(m, "weight", amount=1, n=2, dim=0)
    assert m.weight_mask.tolist() == [[0, 1, 1], [0, 0, 0]]
    prune.ln_structured(m, "weight", amount=1, n=2, dim=1)
    assert m.weight_mask.tolist() == [[0, 1, 0], [0, 0, 0]]
    prune.remove(m, "weight")
    assert m.weight.tolist() == [[0, -5, 0], [0, 0, 0]]


def test_at_random_by_a_mask_and_by_other_scores() -> None:
    ng.manual_seed(0)
    m = prune.random_unstructured(nn.Linear(10, 10), "weight", amount=0.3)
    assert m.weight_mask.sum().item() == 70
    m = prune.random_structured(nn.Linear(10, 10), "weight", amount=4, dim=0)
    assert sorted(m.weight_mask.sum(1).tolist()) == [0] * 4 + [10] * 6
    m = prune.custom_from_mask(linear(), "bias", ng.tensor([0, 1]))
    assert m.bias_mask.tolist() == [0, 1] and m(ng.zeros(1, 3))[0, 0].item() == 0
    m = prune.l1_unstructured(linear(), "weight", 1, importance_scores=ng.tensor([[1.0, 0.1, 1], [1, 1, 1]]))
    assert m.weight.tolist() == [[1, 0, 2], [-3, 0.5, 4]]
    assert prune.identity(linear(), "weight").weight_mask.sum().item() == 6


def test_several_parameters_as_one() -> None:
    a, b = linear(), linear()
    b.weight.data *= 10
    prune.global_unstructured([(a, "weight"), (b, "weight")], pruning_method=prune.L1Unstructured, amount=7)
    assert a.weight.tolist() == [[0, 0, 0], [0, 0, 0]] and b.weight.tolist() == [[10, -50, 20], [-30, 0, 40]]
    prune.global_unstructured([(b, "weight")], prune.L1Unstructured, amount=1)
    assert b.weight.tolist() == [[0, -50, 20], [-30, 0, 40]]
    with pytest.raises(AssertionError, match=r"\(2,\) for .* \(2, 3\)"):
        prune.custom_from_mask(a, "weight", ng.ones(2))
    with pytest.raises(TypeError, match="unstructured"):
        prune.global_unstructured([(a, "weight")], prune.RandomStructured, amount=1)


@pytest.mark.parametrize(("amount", "error"), [(1.5, ValueError), (-1, ValueError), (7, ValueError), ("1", TypeError)])
def test_amounts(amount: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="amount"):
        prune.l1_unstructured(linear(), "weight", amount)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="multidimensional"):
        prune.ln_structured(linear(), "bias", 1, 2, 0)
