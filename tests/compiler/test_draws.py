"""Steps that draw from distributions: their checks are made again at each replay, and what they draw is what they would draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numgrad
import numgrad.distributions as D
from numgrad.nn import functional

CHANCES = [[0.1, 0.9, 0.0], [0.5, 0.2, 0.3]]
DRAWN: dict[str, Callable[[Any], Any]] = {
    "bernoulli": numgrad.bernoulli,
    "bernoulli_": lambda p: numgrad.zeros(2, 3).bernoulli_(p),
    "with replacement": lambda p: numgrad.multinomial(p, 4, replacement=True),
    "normal": lambda p: numgrad.normal(p, p),
    "without": lambda p: numgrad.multinomial(p, 2),
    "one_hot": lambda p: functional.one_hot((p * 4).long(), 5),
    "Categorical": lambda p: D.Categorical(p).sample(),
    "Bernoulli": lambda p: D.Bernoulli(p).sample((2,)),
    "OneHotCategorical": lambda p: D.OneHotCategorical(p).sample(),
}


@pytest.mark.parametrize("name", DRAWN)
def test_what_is_drawn_in_a_replay(name: str) -> None:
    chances = [numgrad.tensor(CHANCES).roll(n, 1) for n in range(5)]
    numgrad.manual_seed(3)
    wanted = [DRAWN[name](p).tolist() for p in chances]
    numgrad.manual_seed(3)
    run = numgrad.compile(DRAWN[name], fullgraph=True)  # which makes it an error to run it eagerly
    np.testing.assert_allclose([run(p).tolist() for p in chances], wanted, rtol=1e-6)  # a fused product and sum is rounded once


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("bernoulli", 1.5, "Expected p_in"),
        ("bernoulli", -0.1, "Expected p_in"),
        ("bernoulli", np.nan, "Expected p_in"),
        ("bernoulli_", 1.5, r"to be in \[0, 1\]"),
        ("with replacement", -0.1, "element < 0"),
        ("with replacement", np.inf, "`inf`, `nan`"),
        ("without", np.nan, "`inf`, `nan`"),
        ("normal", -0.1, "std >= 0"),
        ("one_hot", 1.5, "smaller than num_classes=5, got 6"),
        ("one_hot", -1.0, "non-negative"),
    ],
)
def test_what_is_refused_in_a_replay(name: str, wrong: float, message: str) -> None:
    run = numgrad.compile(DRAWN[name], fullgraph=True)
    right = numgrad.tensor(CHANCES)
    for _ in range(4):
        run(right)
    bad = right.clone()
    bad[1, 2] = wrong
    for function in (DRAWN[name], run):
        with pytest.raises(RuntimeError, match=message):
            function(bad)
    assert run(right).shape == DRAWN[name](right).shape, "it goes on"


def test_rows_without_weights_are_refused_in_a_replay() -> None:
    run = numgrad.compile(DRAWN["without"], fullgraph=True)
    for _ in range(4):
        run(numgrad.tensor(CHANCES))
    with pytest.raises(RuntimeError, match="sum of probabilities <= 0"):
        run(numgrad.tensor([[0.0, 0.0, 0.0], CHANCES[0]]))
    with pytest.raises(RuntimeError, match="not enough"):
        run(numgrad.tensor([CHANCES[0], [0.0, 1.0, 0.0]]))


def between(*shape: int) -> Any:
    return numgrad.rand(*shape) * 1.7 + 0.3


#: name -> the distribution of tensors, and their shapes
FAMILIES: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]] = {
    **{f.__name__: (f, ((5,), (5,))) for f in (D.Normal, D.LogNormal, D.Gamma, D.Beta, D.Laplace, D.Cauchy, D.Gumbel, D.Weibull, D.Pareto,
                                               D.Kumaraswamy, D.VonMises, D.InverseGamma)},
    **{f.__name__: (f, ((5,),)) for f in (D.Exponential, D.HalfNormal, D.HalfCauchy, D.Chi2, D.Poisson)},
    **{f.__name__: (lambda logits, f=f: f(logits=logits), ((5, 4),)) for f in (D.Bernoulli, D.Categorical, D.OneHotCategorical, D.Geometric,
                                                                             D.ContinuousBernoulli)},
    "StudentT": (lambda a, b, c: D.StudentT(a + 2, b, c), ((5,), (5,), (5,))),
    "Uniform": (lambda a, b: D.Uniform(a, a + b), ((5,), (5,))),
    "FisherSnedecor": (lambda a, b: D.FisherSnedecor(a + 1, b + 2), ((5,), (5,))),
    "Dirichlet": (D.Dirichlet, ((5, 3),)),
    "RelaxedBernoulli": (lambda logits: D.RelaxedBernoulli(numgrad.tensor(0.7), logits=logits), ((5,),)),
    "RelaxedOneHotCategorical": (lambda logits: D.RelaxedOneHotCategorical(numgrad.tensor(0.7), logits=logits), ((5, 4),)),
    "LogisticNormal": (D.LogisticNormal, ((5, 3), (5, 3))),
    "Independent": (lambda a, b: D.Independent(D.Normal(a, b), 1), ((5, 3), (5, 3))),
    "MixtureSameFamily": (lambda x, a, b: D.MixtureSameFamily(D.Categorical(logits=x), D.Normal(a, b)), ((5, 4), (5, 4), (5, 4))),
    "TransformedDistribution": (lambda a, b: D.TransformedDistribution(D.Normal(a, b), [D.AffineTransform(1.0, 2.0), D.TanhTransform()]), ((5,), (5,))),
    "NegativeBinomial": (lambda a, logits: D.NegativeBinomial(a, logits=logits), ((5,), (5,))),
}  # fmt: skip


def results(function: Callable[..., Any], values: list[Any]) -> list[Any]:
    """Five steps' results and gradients; what they are of changes from step to step."""
    found = []
    for _ in range(5):
        given = [v.clone().requires_grad_() for v in values]
        y = function(*given)
        found += [y.detach().numpy().copy(), *(None if v.grad is None else v.grad.numpy().copy() for v in given)]
        values = [v * 1.01 for v in values]
    return found


@pytest.mark.interpreted
@pytest.mark.parametrize("what", ["log_prob", "rsample", "entropy"])
@pytest.mark.parametrize("name", FAMILIES)
def test_families(name: str, what: str) -> None:
    make, shapes = FAMILIES[name]
    numgrad.manual_seed(1)
    values = [between(*s) for s in shapes]
    drawn = make(*values).sample()

    def step(*given: Any) -> Any:
        of = make(*given)
        y = of.log_prob(drawn) if what == "log_prob" else getattr(of, what)()
        if y.requires_grad:
            y.sum().backward()
        return y

    try:
        numgrad.manual_seed(7)
        wanted = results(step, values)
    except NotImplementedError:  # as for the entropy of some
        with pytest.raises(NotImplementedError):
            numgrad.compile(step)(*values)
        return
    numgrad.manual_seed(7)
    found = results(numgrad.compile(step, fullgraph=True), values)
    for a, b in zip(found, wanted, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_array_equal(a, b)  # kernels run as Python: nothing is contracted
