"""Transforms and constraints: inverses, determinants by the Jacobian itself, shapes, what is inside; distributions made by them."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
import pytest

import numgrad
from numgrad import distributions as D
from numgrad.distributions import constraints as C
from numgrad.distributions import transforms as F
from numgrad.distributions import utils

double = numgrad.float64


def T(value: Any) -> Any:
    return numgrad.tensor(value, dtype=double)


VECTOR = [0.3, -1.2, 0.8]
BIJECTIONS: list[tuple[Any, Any]] = [
    (F.ExpTransform(), VECTOR),
    (F.PowerTransform(T([2.0, -1.0, 0.5])), [0.5, 1.5, 2.0]),
    (F.SigmoidTransform(), VECTOR),
    (F.SoftplusTransform(), VECTOR),
    (F.TanhTransform(), VECTOR),
    (F.AffineTransform(1.0, -2.0), VECTOR),
    (F.AffineTransform(T([1.0, 2.0, 3.0]), T([1.0, -2.0, 3.0]), event_dim=1), VECTOR),
    (F.StickBreakingTransform(), VECTOR),
    (F.CorrCholeskyTransform(), VECTOR),
    (F.ReshapeTransform((3,), (1, 3)), VECTOR),
    (F.IndependentTransform(F.ExpTransform(), 1), VECTOR),
    (F.ComposeTransform([F.AffineTransform(1.0, 2.0), F.TanhTransform(), F.ExpTransform()]), VECTOR),
    (F.ComposeTransform([F.ExpTransform(), F.StickBreakingTransform()]), VECTOR),
    (F.CatTransform([F.ExpTransform(), F.SigmoidTransform()], dim=-1, lengths=[1, 2]), VECTOR),
    (F.StackTransform([F.ExpTransform(), F.TanhTransform(), F.SoftplusTransform()], dim=-1), VECTOR),
    (F.CumulativeDistributionTransform(D.Normal(T(0.0), T(1.0))), VECTOR),
    (F.identity_transform, VECTOR),
]


def free(transform: Any, y: Any) -> Any:
    """As many elements of the result as the argument has: the others follow from them."""
    if transform.codomain is C.simplex:
        return y[..., :-1]
    return utils.tril_matrix_to_vec(y, -1) if transform.codomain is C.corr_cholesky else y.flatten()


@pytest.mark.interpreted
@pytest.mark.parametrize(("transform", "x"), BIJECTIONS, ids=lambda t: type(t).__name__ if isinstance(t, F.Transform) else "")
def test_bijections(transform: Any, x: Any) -> None:
    x = T(x)
    y = transform(x)
    assert transform.bijective and transform.codomain.check(y).all() and transform.domain.check(x).all()
    assert tuple(transform.forward_shape(x.shape)) == tuple(y.shape) and tuple(transform.inverse_shape(y.shape)) == tuple(x.shape)
    np.testing.assert_allclose(transform.inv(y), x, rtol=1e-9)
    found = transform.log_abs_det_jacobian(x, y)
    jacobian = numgrad.func.jacrev(lambda v: free(transform, transform(v)))(x).numpy()
    np.testing.assert_allclose(found.sum(), np.linalg.slogdet(jacobian)[1], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(transform.inv.log_abs_det_jacobian(y, x), -found)
    assert transform.inv.inv == transform and transform.inv.domain.event_dim == transform.codomain.event_dim
    if transform.domain.event_dim == 0 and not isinstance(transform, F.StackTransform | F.CatTransform):
        signs = np.sign(np.diagonal(jacobian))
        np.testing.assert_array_equal(np.broadcast_to(np.asarray(transform.sign), signs.shape), signs)
    cached = transform.with_cache()
    assert cached.inv(cached(x)) is x
    batch = numgrad.stack([x, x])
    if not isinstance(transform, F.StackTransform):
        np.testing.assert_allclose(transform(batch)[1], y, rtol=1e-12)


@pytest.mark.interpreted
def test_transforms_that_are_not_bijective() -> None:
    x = T([[0.3, -1.2], [0.7, 0.5]])
    assert F.AbsTransform()(x).min() > 0 and not F.SoftmaxTransform().bijective
    for transform in (F.LowerCholeskyTransform(), F.PositiveDefiniteTransform(), F.SoftmaxTransform()):
        y = transform(x)
        assert transform.codomain.check(y).all()
        np.testing.assert_allclose(transform(transform.inv(y)), y)
        with pytest.raises(NotImplementedError, match="log_abs_det_jacobian"):
            transform.log_abs_det_jacobian(x, y)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: F.ExpTransform(cache_size=2), ValueError, "cache_size must be 0 or 1"),
        (lambda: F.ReshapeTransform((2,), (3,)), ValueError, "different numbers of elements"),
        (lambda: F.ReshapeTransform((2,), (1, 2)).forward_shape((3,)), ValueError, "Shape mismatch"),
        (lambda: F.CorrCholeskyTransform().forward_shape((4,)), ValueError, "lower-diagonal"),
        (lambda: F.StickBreakingTransform().event_dim and F.ReshapeTransform((2,), (1, 2)).event_dim, ValueError, "domain.event_dim"),
        (lambda: D.TransformedDistribution(D.Normal(0.0, 1.0), [1]), ValueError, "transforms must be"),
        (lambda: D.TransformedDistribution(D.Normal(0.0, 1.0), F.StickBreakingTransform()), ValueError, "size at least 1"),
        (lambda: D.biject_to(C.boolean), NotImplementedError, "Cannot transform _Boolean"),
        (lambda: D.transform_to.register(1, abs), TypeError, "Constraint subclass or instance"),
        (lambda: C.dependent.check(numgrad.zeros(1)), ValueError, "dependent"),
        (lambda: C.dependent.event_dim, NotImplementedError, "event_dim"),
        (lambda: D.Normal(0.0, 1.0).log_prob(1.0), ValueError, "must be a Tensor"),
        (lambda: D.Normal(0.0, 1.0).log_prob(numgrad.tensor(math.nan)), ValueError, r"support \(Real\(\)\)"),
        (lambda: D.Bernoulli(numgrad.tensor(0.5)).log_prob(numgrad.tensor(0.5)), ValueError, "Boolean"),
        (lambda: D.Categorical(numgrad.ones(3)).log_prob(numgrad.tensor(3)), ValueError, "upper_bound=2"),
        (lambda: D.Normal(numgrad.zeros(3), 1.0).log_prob(numgrad.zeros(2)), ValueError, "not broadcastable"),
        (lambda: D.Dirichlet(numgrad.ones(3)).log_prob(numgrad.ones(2)), ValueError, "event_shape"),
        (lambda: D.Uniform(1.0, 0.0), ValueError, r"low .* LessThan"),
        (lambda: D.MultivariateNormal(numgrad.zeros(2), -numgrad.eye(2)), ValueError, "covariance_matrix .* PositiveDefinite"),
        (lambda: D.Normal("a", 1.0), ValueError, "numbers or tensors, but got str"),
        (lambda: D.Distribution.set_default_validate_args(3), ValueError, "True or False"),
        (lambda: D.register_kl(0, D.Normal), TypeError, "class of distributions"),
    ],
)  # fmt: skip
def test_errors(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.interpreted
def test_constraints_have_transforms() -> None:
    for constraint in (
        C.real, C.positive, C.greater_than(2.0), C.greater_than_eq(1.0), C.less_than(-1.0), C.unit_interval, C.interval(-1.0, 3.0),
        C.half_open_interval(0.0, 2.0), C.simplex, C.corr_cholesky, C.real_vector, C.independent(C.positive, 1), C.lower_cholesky,
        C.positive_definite, C.cat([C.real, C.positive], -1, [1, 2]), C.stack([C.positive, C.real, C.real], -2),
    ):  # fmt: skip
        x = numgrad.linspace(-1, 1, 9, dtype=double).reshape(3, 3)
        for registry in (D.biject_to, D.transform_to):
            if registry is D.biject_to and constraint in (C.lower_cholesky, C.positive_definite):
                continue
            y = registry(constraint)(x)
            assert constraint.check(y).all(), (constraint, registry)


@pytest.mark.interpreted
def test_what_is_inside() -> None:
    values = T([-1.0, 0.0, 0.5, 1.0, 2.0])
    for constraint, inside in (
        (C.boolean, "01010"), (C.positive, "00111"), (C.nonnegative, "01111"), (C.unit_interval, "01110"), (C.less_than(1), "11100"),
        (C.half_open_interval(0, 1), "01100"), (C.nonnegative_integer, "01011"), (C.positive_integer, "00011"), (C.integer_interval(-1, 1), "11010"),
    ):  # fmt: skip
        assert "".join(str(int(b)) for b in constraint.check(values).tolist()) == inside, constraint
    square = T([[[1.0, 0.0], [0.6, 0.8]], [[2.0, 1.0], [1.0, 2.0]], [[1.0, 2.0], [2.0, 1.0]], [[0.0, 0.0], [1.0, 1.0]]])
    expected = {"lower_triangular": "1001", "lower_cholesky": "1000", "corr_cholesky": "1000", "symmetric": "0110", "square": "1111"}
    for name, inside in expected.items():
        assert "".join(str(int(b)) for b in getattr(C, name).check(square).tolist()) == inside, name
    assert C.positive_definite.check(square[1:3]).tolist() == [True, False] and C.positive_semidefinite.check(numgrad.ones(2, 2))
    assert C.simplex.check(T([[0.2, 0.8], [0.5, 0.6]])).tolist() == [True, False] and C.one_hot.check(T([0.0, 1.0, 0.0]))
    assert repr(C.interval(0, 1)) == "Interval(lower_bound=0, upper_bound=1)" and C.is_dependent(D.Pareto.support)
    assert D.Pareto.support.event_dim == 0 and D.Multinomial.support.is_discrete


@pytest.mark.interpreted
def test_squashed_normal_numbers() -> None:
    """As soft actor-critic uses them: with a cache, far draws keep their densities, which are the change of variables'."""
    numgrad.manual_seed(0)
    loc = T([0.0, 8.0]).requires_grad_()
    base = D.Normal(loc, T([1.0, 1.0]))
    d = D.Independent(D.TransformedDistribution(base, [F.TanhTransform(cache_size=1)]), 1)
    action = d.rsample((5,))
    found = d.log_prob(action)
    x = numgrad.atanh(action[:, 0])
    first = D.Normal(loc[0], 1.0).log_prob(x) - (1 - action[:, 0] ** 2).log()
    second = d.base_dist.log_prob(action)[:, 1]
    assert found.shape == (5,) and numgrad.isfinite(found).all() and numgrad.allclose(found, first + second)
    found.sum().backward()
    assert numgrad.isfinite(loc.grad).all() and d.support.event_dim == 1
    flipped = D.TransformedDistribution(D.Normal(T(0.0), T(1.0)), [F.AffineTransform(1.0, -2.0)])
    np.testing.assert_allclose(flipped.cdf(flipped.icdf(T([0.1, 0.7]))), [0.1, 0.7])


@pytest.mark.interpreted
def test_expand_and_derived_classes() -> None:
    loc, three = T([0.5, -0.5]), T([0.2, 0.3, 0.5])
    for d in (
        D.Weibull(loc.exp(), 1.5), D.Gumbel(loc, 1.0), D.Pareto(loc.exp(), 2.0), D.Kumaraswamy(2.0, loc.exp()), D.Chi2(loc.exp()),
        D.LogisticNormal(three, 1.0), D.Binomial(4, logits=loc), D.OneHotCategorical(three), D.Multinomial(3, three), D.LKJCholesky(3, loc.exp()),
        D.RelaxedOneHotCategorical(T(0.5), three), D.Wishart(T(4.0), numgrad.eye(2, dtype=double)), D.VonMises(loc, 1.0), D.Dirichlet(three),
        D.LowRankMultivariateNormal(loc, numgrad.ones(2, 1, dtype=double), loc.exp()), D.TransformedDistribution(D.Normal(loc, 1.0), F.ExpTransform()),
        D.MixtureSameFamily(D.Categorical(three), D.Normal(three, 1.0)), D.Uniform(loc, 2.0), D.InverseGamma(loc.exp(), 1.0),
    ):  # fmt: skip
        big = d.expand((4, *d.batch_shape))
        x = d.sample()
        assert type(big) is type(d) and big.batch_shape == (4, *d.batch_shape) and big.event_shape == d.event_shape
        assert big.sample((3,)).shape == (3, 4, *x.shape)
        assert numgrad.allclose(big.log_prob(x), d.log_prob(x).expand(4, *d.batch_shape)), d

    class Own(D.Normal):
        def __init__(self, width: Any):
            super().__init__(width, width)

    with pytest.raises(NotImplementedError, match=r"Subclass Own of Normal .* must also define a custom .expand\(\)"):
        Own(loc.exp()).expand((3, 2))

    class Better(Own):
        def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
            return super().expand(batch_shape, self._get_checked_instance(Better, _instance))

    assert Better(loc.exp()).expand((3, 2)).sample().shape == (3, 2)


def test_modules_are_found_under_their_names() -> None:
    for path, name in (("normal", "Normal"), ("kl", "register_kl"), ("constraint_registry", "biject_to"), ("utils", "lazy_property"),
                       ("studentT", "StudentT"), ("relaxed_categorical", "ExpRelaxedCategorical"), ("transforms", "TanhTransform")):  # fmt: skip
        assert hasattr(importlib.import_module(f"numgrad.distributions.{path}"), name)
    for diag in (-2, -1, 0, 1, 2):
        vector = utils.tril_matrix_to_vec(T(np.arange(16.0).reshape(4, 4)), diag)
        np.testing.assert_array_equal(utils.vec_to_tril_matrix(vector, diag), np.tril(np.arange(16.0).reshape(4, 4), diag))
