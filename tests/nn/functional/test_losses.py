"""Losses against their formulas in NumPy and SciPy."""

import math

import numpy as np
import pytest
from scipy import special

import numgrad
from numgrad import nn
from numgrad.nn import functional as F

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
P, Q = rng.uniform(0.05, 0.95, (3, 4)), rng.uniform(0, 1, (3, 4))
SIGNS = rng.choice([-1.0, 1.0], (3, 4))
ROWS = rng.choice([-1.0, 1.0], 3)
A, B, C = (rng.normal(size=(3, 4)) for _ in range(3))
CLASSES, WEIGHTS = np.array([0, 3, 1]), rng.uniform(0.5, 2, 4)


def cosines(a, b):
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def distance(a, b, p=2):
    return np.linalg.norm(a - b + 1e-6, p, axis=-1)


def multi_margin(x, classes, p=1, margin=1.0, weight=None):
    total = np.zeros(len(x))
    for i, y in enumerate(classes):
        for j in range(x.shape[1]):
            if j != y:
                total[i] += max(0, margin - x[i, y] + x[i, j]) ** p * (1 if weight is None else weight[y])
    return total / x.shape[1]


def multilabel_margin(x, labels):
    total = np.zeros(len(x))
    for i, row in enumerate(labels):
        chosen = row[: list(row).index(-1)] if -1 in row else row
        for j in chosen:
            total[i] += sum(max(0, 1 - (x[i, j] - x[i, k])) for k in range(x.shape[1]) if k not in chosen)
    return total / x.shape[1]


def huber(d, delta):
    return np.where(abs(d) < delta, d * d / 2, delta * (abs(d) - delta / 2))


LABELS = np.array([[0, 2, -1, 1], [-1, 0, 0, 0], [3, 1, 2, 0]])
LOG_SOFTMAX = special.log_softmax(X, 1)

# name: a function of (its arguments, reduction), the arguments, what each element or row should be
CASES = {
    "mse": (F.mse_loss, (X, Y), (X - Y) ** 2),
    "l1": (F.l1_loss, (X, Y), abs(X - Y)),
    "smooth l1": (lambda *a, **k: F.smooth_l1_loss(*a, beta=0.5, **k), (X, Y), huber(X - Y, 0.5) / 0.5),
    "smooth l1, beta 0": (lambda *a, **k: F.smooth_l1_loss(*a, beta=0, **k), (X, Y), abs(X - Y)),
    "huber": (lambda *a, **k: F.huber_loss(*a, delta=0.5, **k), (X, Y), huber(X - Y, 0.5)),
    "bce": (F.binary_cross_entropy, (P, Q), -(Q * np.log(P) + (1 - Q) * np.log(1 - P))),
    "bce with logits": (F.binary_cross_entropy_with_logits, (X, Q),
                        -(Q * special.log_expit(X) + (1 - Q) * special.log_expit(-X))),
    "nll": (F.nll_loss, (LOG_SOFTMAX, CLASSES), -LOG_SOFTMAX[range(3), CLASSES]),
    "cross entropy": (F.cross_entropy, (X, CLASSES), -LOG_SOFTMAX[range(3), CLASSES]),
    "cross entropy of probabilities": (F.cross_entropy, (X, Q), -(Q * LOG_SOFTMAX).sum(1)),
    "cross entropy, smoothed": (lambda *a, **k: F.cross_entropy(*a, label_smoothing=0.2, **k), (X, CLASSES),
                                -0.8 * LOG_SOFTMAX[range(3), CLASSES] - 0.2 * LOG_SOFTMAX.mean(1)),
    "kl": (lambda *a, **k: F.kl_div(*a, **k), (X, P), special.xlogy(P, P) - P * X),
    "kl of logs": (lambda *a, **k: F.kl_div(*a, log_target=True, **k), (X, Y), np.exp(Y) * (Y - X)),
    "poisson": (F.poisson_nll_loss, (X, Q), np.exp(X) - Q * X),
    "poisson of rates": (lambda *a, **k: F.poisson_nll_loss(*a, log_input=False, **k), (P, Q),
                         P - Q * np.log(P + 1e-8)),
    "gaussian": (F.gaussian_nll_loss, (X, Y, P), (np.log(P) + (X - Y) ** 2 / P) / 2),
    "gaussian, full": (lambda *a, **k: F.gaussian_nll_loss(*a, full=True, **k), (X, Y, P),
                       (np.log(2 * np.pi * P) + (X - Y) ** 2 / P) / 2),
    "gaussian, one variance a row": (F.gaussian_nll_loss, (X, Y, P[:, 0]),
                                     (np.log(P[:, :1]) + (X - Y) ** 2 / P[:, :1]) / 2),
    "soft margin": (F.soft_margin_loss, (X, SIGNS), np.log1p(np.exp(-SIGNS * X))),
    "hinge embedding": (F.hinge_embedding_loss, (X, SIGNS), np.where(SIGNS == 1, X, np.maximum(0, 1 - X))),
    "margin ranking": (lambda *a, **k: F.margin_ranking_loss(*a, margin=0.3, **k), (X, Y, SIGNS),
                       np.maximum(0, -SIGNS * (X - Y) + 0.3)),
    "cosine embedding": (lambda *a, **k: F.cosine_embedding_loss(*a, margin=0.1, **k), (A, B, ROWS),
                         np.where(ROWS == 1, 1 - cosines(A, B), np.maximum(0, cosines(A, B) - 0.1))),
    "triplet": (F.triplet_margin_loss, (A, B, C), np.maximum(0, distance(A, B) - distance(A, C) + 1)),
    "triplet, swapped": (lambda *a, **k: F.triplet_margin_loss(*a, swap=True, p=1, **k), (A, B, C),
                         np.maximum(0, distance(A, B, 1) + 1 - np.minimum(distance(A, C, 1), distance(B, C, 1)))),
    "multi margin": (F.multi_margin_loss, (X, CLASSES), multi_margin(X, CLASSES)),
    "multi margin, squared": (lambda x, t, w, **k: F.multi_margin_loss(x, t, 2, 0.7, w, **k), (X, CLASSES, WEIGHTS),
                              multi_margin(X, CLASSES, 2, 0.7, WEIGHTS)),
    "multilabel margin": (F.multilabel_margin_loss, (X, LABELS), multilabel_margin(X, LABELS)),
    "multilabel soft margin": (
        lambda x, t, w, **k: F.multilabel_soft_margin_loss(x, t, w, **k), (X, (Q > 0.5) * 1.0, WEIGHTS),
        -(WEIGHTS * np.where(Q > 0.5, special.log_expit(X), special.log_expit(-X))).mean(1)),
}  # fmt: skip


def reduced(values, reduction):
    return {"none": values, "mean": np.mean(values), "sum": np.sum(values)}[reduction]


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("name", CASES)
def test_follows_its_formula(name, reduction):
    function, arguments, expected = CASES[name]
    tensors = [numgrad.tensor(argument) for argument in arguments]
    found = function(*tensors, reduction=reduction)
    np.testing.assert_allclose(found.numpy(), reduced(expected, reduction), rtol=1e-10, atol=1e-12)


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("name", CASES)
def test_gradient_against_central_differences(name):
    function, arguments, _ = CASES[name]
    tensors = [numgrad.tensor(argument) for argument in arguments]
    tensors[0].requires_grad_()
    function(*tensors, reduction="sum").backward()
    direction = np.random.default_rng(1).normal(size=X.shape)

    def loss(step):
        with numgrad.no_grad():
            moved = numgrad.tensor(arguments[0] + step * direction)
            return function(moved, *tensors[1:], reduction="sum").item()

    slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
    assert (tensors[0].grad.numpy() * direction).sum() == pytest.approx(slope, rel=1e-6, abs=1e-8)


LAYERS = {
    "mse": nn.MSELoss, "l1": nn.L1Loss, "smooth l1": lambda **k: nn.SmoothL1Loss(beta=0.5, **k),
    "huber": lambda **k: nn.HuberLoss(delta=0.5, **k), "bce": nn.BCELoss, "bce with logits": nn.BCEWithLogitsLoss,
    "nll": nn.NLLLoss, "cross entropy": nn.CrossEntropyLoss, "kl": nn.KLDivLoss, "poisson": nn.PoissonNLLLoss,
    "cross entropy, smoothed": lambda **k: nn.CrossEntropyLoss(label_smoothing=0.2, **k),
    "kl of logs": lambda **k: nn.KLDivLoss(log_target=True, **k), "gaussian": nn.GaussianNLLLoss,
    "poisson of rates": lambda **k: nn.PoissonNLLLoss(log_input=False, **k), "soft margin": nn.SoftMarginLoss,
    "hinge embedding": nn.HingeEmbeddingLoss, "margin ranking": lambda **k: nn.MarginRankingLoss(margin=0.3, **k),
    "cosine embedding": lambda **k: nn.CosineEmbeddingLoss(margin=0.1, **k), "triplet": nn.TripletMarginLoss,
    "triplet, swapped": lambda **k: nn.TripletMarginLoss(swap=True, p=1, **k), "multi margin": nn.MultiMarginLoss,
    "multilabel margin": nn.MultiLabelMarginLoss,
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("name", LAYERS)
def test_the_layer_is_the_function(name, reduction):
    function, arguments, _ = CASES[name]
    tensors = [numgrad.tensor(argument) for argument in arguments]
    layer = LAYERS[name](reduction=reduction)
    assert layer.reduction == reduction and list(layer.parameters()) == []
    assert (layer(*tensors) == function(*tensors, reduction=reduction)).all()


def test_weights_of_layers_are_buffers():
    weight = numgrad.tensor(WEIGHTS)
    by_weight = nn.CrossEntropyLoss(weight), nn.NLLLoss(weight), nn.BCELoss(weight), nn.MultiMarginLoss(weight=weight)
    for layer in by_weight:
        assert list(layer.state_dict()) == ["weight"]
    assert list(nn.BCEWithLogitsLoss(pos_weight=weight).state_dict()) == ["pos_weight"]
    x, t = numgrad.tensor(LOG_SOFTMAX), numgrad.tensor(CLASSES)
    picked = WEIGHTS[CLASSES]
    expected = -(picked * LOG_SOFTMAX[range(3), CLASSES]).sum() / picked.sum()
    assert nn.NLLLoss(weight)(x, t).item() == pytest.approx(expected)
    assert nn.CrossEntropyLoss(weight)(numgrad.tensor(X), t).item() == pytest.approx(expected)


def test_ignored_targets_do_not_count():
    targets = np.array([0, -100, 1])
    expected = -(LOG_SOFTMAX[0, 0] + LOG_SOFTMAX[2, 1]) / 2
    assert F.cross_entropy(numgrad.tensor(X), numgrad.tensor(targets)).item() == pytest.approx(expected)
    assert nn.CrossEntropyLoss(ignore_index=1)(numgrad.tensor(X), numgrad.tensor(np.array([0, 1, 1]))).item() == (
        pytest.approx(-LOG_SOFTMAX[0, 0])
    )


def test_weighted_means():
    x, y, w = (numgrad.tensor(a) for a in (X, Y, P))
    assert F.mse_loss(x, y, weight=w).item() == pytest.approx((P * (X - Y) ** 2).sum() / P.sum())
    assert F.l1_loss(x, y, weight=w).item() == pytest.approx((P * abs(X - Y)).sum() / P.sum())
    assert F.huber_loss(x, y, weight=w).item() == pytest.approx((P * huber(X - Y, 1)).mean())
    with pytest.raises(ValueError, match="same size"):
        F.mse_loss(x, y, weight=numgrad.ones(4))


def test_kl_reductions():
    x, t = numgrad.tensor(X), numgrad.tensor(P)
    total = (special.xlogy(P, P) - P * X).sum()
    assert F.kl_div(x, t, reduction="batchmean").item() == pytest.approx(total / 3)
    with pytest.warns(UserWarning, match="batchmean"):
        assert F.kl_div(x, t).item() == pytest.approx(total / 12)
    assert F.kl_div(x, numgrad.zeros(3, 4), reduction="sum").item() == 0


def test_poisson_full_adds_stirling():
    t = np.array([0.5, 1.0, 3.0])
    stirling = np.where(t > 1, t * np.log(t) - t + 0.5 * np.log(2 * np.pi * t), 0)
    found = F.poisson_nll_loss(numgrad.zeros(3, dtype=numgrad.float64), numgrad.tensor(t), full=True, reduction="none")
    np.testing.assert_allclose(found.numpy(), 1 + stirling)


def test_gaussian_variance_is_limited_from_below_but_its_gradient_passes():
    x, y = numgrad.zeros(2), numgrad.ones(2)
    var = numgrad.tensor([1e-9, 1.0], requires_grad=True)
    loss = F.gaussian_nll_loss(x, y, var, eps=0.5, reduction="none")
    np.testing.assert_allclose(loss.detach().numpy(), [0.5 * (math.log(0.5) + 2), 0.5], rtol=1e-6)
    loss.sum().backward()
    np.testing.assert_allclose(var.grad.numpy(), [0.5 * (2 - 4), 0], atol=1e-6)
    assert F.gaussian_nll_loss(x, y, 1.0).item() == pytest.approx(0.5)


def test_extreme_logits_stay_finite():
    x = numgrad.tensor([1000.0, -1000.0], requires_grad=True)
    loss = F.binary_cross_entropy_with_logits(x, numgrad.tensor([0.0, 1.0]), reduction="none")
    np.testing.assert_array_equal(loss.detach().numpy(), [1000, 1000])
    loss.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1, -1])
    sure = F.binary_cross_entropy(numgrad.tensor([0.0, 1.0]), numgrad.tensor([1.0, 1.0]), reduction="none")
    np.testing.assert_array_equal(sure.numpy(), [100, 0])
    assert F.cross_entropy(numgrad.tensor([[1e4, -1e4]]), numgrad.tensor([1])).item() == 2e4


def test_cosine_of_a_zero_vector_has_a_finite_gradient():
    a = numgrad.zeros(1, 3, requires_grad=True)
    F.cosine_embedding_loss(a, numgrad.ones(1, 3), numgrad.ones(1)).backward()
    assert a.grad.isfinite().all()


def test_unbatched_inputs():
    x = numgrad.tensor(X[0])
    assert F.cross_entropy(x, numgrad.tensor(3)).item() == pytest.approx(-special.log_softmax(X[0])[3])
    assert F.multi_margin_loss(x, numgrad.tensor(2)).item() == pytest.approx(multi_margin(X[:1], [2])[0])
    assert F.multilabel_margin_loss(x, numgrad.tensor([0, 2, -1, 1])).item() == pytest.approx(
        multilabel_margin(X[:1], LABELS[:1])[0]
    )
    assert F.cosine_embedding_loss(x, numgrad.tensor(Y[0]), numgrad.tensor(1)).item() == pytest.approx(
        1 - cosines(X[0], Y[0])
    )


def test_images():
    x, t = rng.normal(size=(2, 3, 4, 5)), rng.integers(0, 3, (2, 4, 5))
    expected = -np.take_along_axis(special.log_softmax(x, 1), t[:, None], 1).mean()
    assert F.cross_entropy(numgrad.tensor(x), numgrad.tensor(t)).item() == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore:size_average and reduce")
def test_old_arguments():
    x, y = numgrad.tensor(X), numgrad.tensor(Y)
    squares = (X - Y) ** 2
    assert F.mse_loss(x, y, size_average=False).item() == pytest.approx(squares.sum())
    assert tuple(F.mse_loss(x, y, reduce=False).shape) == (3, 4)
    assert F.mse_loss(x, y, size_average=False, reduce=True).item() == pytest.approx(squares.sum())
    assert nn.MSELoss(size_average=False).reduction == "sum" and nn.L1Loss(reduce=False).reduction == "none"
    assert nn.NLLLoss(None, True).reduction == "mean"


def test_old_arguments_warn():
    with pytest.warns(UserWarning, match="reduction='sum' instead"):
        nn.MSELoss(size_average=False)
    with pytest.warns(UserWarning, match="elementwise_mean"):
        F.mse_loss(numgrad.zeros(1), numgrad.zeros(1), reduction="elementwise_mean")


@pytest.mark.parametrize("function", [F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss])
def test_different_sizes_are_broadcast_with_a_warning(function):
    with pytest.warns(UserWarning, match="target size"):
        assert function(numgrad.ones(2, 3), numgrad.zeros(3)).item() in (1.0, 0.5)


def z(*shape):
    return numgrad.zeros(*shape)


@pytest.mark.parametrize("call, error", [
    (lambda: F.mse_loss(z(2), z(2), reduction="most"), ValueError),
    (lambda: F.smooth_l1_loss(z(2), z(2), beta=-1), RuntimeError),
    (lambda: F.huber_loss(z(2), z(2), delta=0), RuntimeError),
    (lambda: F.binary_cross_entropy(z(2), z(3)), ValueError),
    (lambda: F.binary_cross_entropy(z(2) + 2, z(2)), RuntimeError),
    (lambda: F.binary_cross_entropy_with_logits(z(2), z(3)), ValueError),
    (lambda: F.cross_entropy(z(2, 3), numgrad.tensor([0, 5])), IndexError),
    (lambda: F.cross_entropy(z(2, 3), numgrad.tensor([0, 1, 2])), ValueError),
    (lambda: F.nll_loss(z(2, 3), numgrad.tensor([0, 3])), IndexError),
    (lambda: F.gaussian_nll_loss(z(2), z(2), -1.0), ValueError),
    (lambda: F.gaussian_nll_loss(z(2), z(2), numgrad.ones(3)), ValueError),
    (lambda: F.margin_ranking_loss(z(2, 3), z(2, 3), z(2)), RuntimeError),
    (lambda: F.cosine_embedding_loss(z(2, 3), z(2, 3), z(2, 3)), RuntimeError),
    (lambda: F.cosine_embedding_loss(z(2, 3), z(2, 3), numgrad.tensor(1.0)), RuntimeError),
    (lambda: F.triplet_margin_loss(z(2, 3), z(2, 3), z(2, 3), margin=-1), ValueError),
    (lambda: F.triplet_margin_loss(z(2, 3), z(2, 3), z(3)), RuntimeError),
    (lambda: F.multi_margin_loss(z(2, 3), numgrad.tensor([0, 1]), p=3), ValueError),
    (lambda: F.multi_margin_loss(z(2, 3), numgrad.tensor([0, 1, 2])), RuntimeError),
    (lambda: F.multilabel_margin_loss(z(2, 3), numgrad.tensor([[0, 1, 3], [0, 0, 0]])), RuntimeError),
    (lambda: nn.TripletMarginLoss(margin=0), ValueError), (lambda: nn.MultiMarginLoss(p=3), ValueError),
])  # fmt: skip
def test_bad_arguments_are_refused(call, error):
    with pytest.raises(error):
        call()
