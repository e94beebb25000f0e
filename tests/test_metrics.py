"""Metrics against scikit-learn, and against figures one can count on one's fingers."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import numgrad
from numgrad import metrics
from numgrad.metrics import Confusion

few = settings(max_examples=15, deadline=None)  # scikit-learn takes its time
AVERAGES = ["micro", "macro", "weighted", None]


@st.composite
def labelled(draw, classes=4):
    count = draw(st.integers(1, 30))
    labels = st.lists(st.integers(0, classes - 1), min_size=count, max_size=count)
    return np.array(draw(labels)), np.array(draw(labels))


def oracle():
    return pytest.importorskip("sklearn.metrics")


def figures(word):
    """A number as one, for scikit-learn writes some counts as 1 and some as 1.0."""
    return float(word) if word[0].isdigit() else word


def close(ours, theirs):
    ours = ours.numpy() if isinstance(ours, numgrad.Tensor) else ours
    np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=0)


@pytest.mark.parametrize("zero_division", [0.0, 1.0, math.nan])
@pytest.mark.parametrize("num_classes", [None, 4, 6])
@pytest.mark.parametrize("average", AVERAGES)
@few
@given(pair=labelled())
def test_precision_recall_f1_agree_with_scikit_learn(pair, average, num_classes, zero_division):
    predicted, wanted = pair
    labels = None if num_classes is None else list(range(num_classes))
    options = dict(average=average, zero_division=zero_division)
    for ours, theirs in (
        (metrics.precision, oracle().precision_score),
        (metrics.recall, oracle().recall_score),
        (metrics.f1, oracle().f1_score),
    ):
        value = ours(predicted, wanted, num_classes=num_classes, **options)
        # Where every class with targets is undefined, ours is NaN and scikit-learn's the unweighted mean of the others.
        assume(average != "weighted" or not math.isnan(value))
        close(value, theirs(wanted, predicted, labels=labels, **options))


@pytest.mark.parametrize("pos_label", [0, 1])
@few
@given(pair=labelled(classes=2))
def test_binary_agrees_with_scikit_learn(pair, pos_label):
    predicted, wanted = pair
    if pos_label not in (*predicted, *wanted):
        return
    for ours, theirs in (
        (metrics.precision, oracle().precision_score),
        (metrics.recall, oracle().recall_score),
        (metrics.f1, oracle().f1_score),
    ):
        close(
            ours(predicted, wanted, pos_label=pos_label),
            theirs(wanted, predicted, pos_label=pos_label, zero_division=0),
        )


@pytest.mark.parametrize("normalize", [None, "true", "pred", "all"])
@few
@given(pair=labelled())
def test_confusion_matrix_agrees_with_scikit_learn(pair, normalize):
    predicted, wanted = pair
    theirs = oracle().confusion_matrix(wanted, predicted, labels=range(5), normalize=normalize)
    close(metrics.confusion_matrix(predicted, wanted, 5, normalize=normalize), theirs)


@few
@given(pair=labelled())
def test_accuracy_agrees_with_scikit_learn(pair):
    close(metrics.accuracy(*pair), oracle().accuracy_score(pair[1], pair[0]))
    close(Confusion().update(*pair).accuracy(), metrics.accuracy(*pair))


@pytest.mark.parametrize("k", [1, 2, 4])
def test_top_k_agrees_with_scikit_learn(k):
    random = np.random.default_rng(k)
    scores, wanted = random.normal(size=(50, 4)), random.integers(0, 4, 50)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it finds k = 4 of 4 meaningless
        theirs = oracle().top_k_accuracy_score(wanted, scores, k=k, labels=range(4))
    close(metrics.top_k_accuracy(scores, wanted, k), theirs)


@pytest.mark.parametrize("digits", [2, 4])
@few
@given(pair=labelled())
def test_report_has_scikit_learn_s_figures(pair, digits):
    predicted, wanted = pair
    theirs = oracle().classification_report(wanted, predicted, digits=digits, zero_division=0)
    ours = metrics.classification_report(predicted, wanted, digits=digits)
    assert list(map(figures, ours.split())) == list(map(figures, theirs.split()))


def test_report_with_names():
    report = metrics.classification_report([0, 1, 1], [0, 1, 0], target_names=["a rather long name", "b"])
    assert report.splitlines()[2].split() == ["a", "rather", "long", "name", "1.00", "0.50", "0.67", "2"]
    assert report.splitlines()[5].split() == ["accuracy", "0.67", "3"]
    with pytest.raises(ValueError, match="1 names for 2 classes"):
        metrics.classification_report([0, 1], [0, 1], target_names=["a"])


def test_counted_by_hand():
    predicted, wanted = numgrad.tensor([0, 1, 1, 2, 2, 2]), numgrad.tensor([0, 0, 1, 1, 2, 2])
    assert metrics.accuracy(predicted, wanted) == 4 / 6
    matrix = metrics.confusion_matrix(predicted, wanted)
    assert matrix.dtype == numgrad.int64
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 2]]
    assert metrics.precision(predicted, wanted, None).tolist() == [1, 1 / 2, 2 / 3]
    assert metrics.recall(predicted, wanted, None).tolist() == [1 / 2, 1 / 2, 1]
    assert metrics.f1(predicted, wanted, "micro") == pytest.approx(4 / 6)
    assert type(metrics.f1(predicted, wanted, "macro")) is float


def test_scores_are_taken_for_their_highest():
    logits = numgrad.tensor([[0.1, 2.0, -1.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.5]], requires_grad=True)
    assert metrics.accuracy(logits, numgrad.tensor([1, 0, 1])) == 2 / 3
    assert metrics.confusion_matrix(logits, [1, 0, 1]).shape == (3, 3)
    assert metrics.accuracy([[1, 0], [0, 1]], [0, 1]) == 1


def test_scores_of_images_have_their_classes_second():
    scores = np.zeros((2, 3, 4, 5))
    scores[:, 2] = 1
    wanted = np.full((2, 4, 5), 2)
    wanted[0, 0, 0] = 1
    assert metrics.accuracy(scores, wanted) == 39 / 40


def test_threshold_for_scores_of_two_classes():
    assert metrics.accuracy([0.2, 0.7, 0.5], [0, 1, 0], threshold=0.5) == 1
    assert metrics.recall(numgrad.tensor([-1.0, 2.0]), [1, 1], threshold=0) == 0.5
    with pytest.raises(ValueError, match="pass a threshold"):
        metrics.accuracy([0.2, 0.7], [0, 1])


def test_top_k_prefers_the_lower_class_among_equals():
    assert metrics.top_k_accuracy(np.zeros((3, 3)), [0, 1, 2], 1) == 1 / 3
    assert metrics.top_k_accuracy(np.zeros((3, 3)), [0, 1, 2], 2) == 2 / 3
    assert metrics.top_k_accuracy(np.zeros((3, 3)), [0, 1, 2], 1) == metrics.accuracy(np.zeros((3, 3)), [0, 1, 2])


def test_booleans_are_labels():
    assert metrics.precision(np.array([True, True, False]), np.array([True, False, False])) == 0.5


@pytest.mark.parametrize("num_classes", [None, 5])
def test_batch_by_batch_is_the_same_as_at_once(num_classes):
    random = np.random.default_rng(0)
    predicted, wanted = random.integers(0, 5, 100), random.integers(0, 3, 100)
    parts = [Confusion(num_classes) for _ in range(2)]
    for start in range(0, 100, 10):
        parts[start // 50].update(predicted[start : start + 10], numgrad.from_numpy(wanted[start : start + 10]))
    whole = Confusion(num_classes)
    whole += parts[0]
    whole += parts[1]
    at_once = Confusion(num_classes).update(predicted, wanted)
    assert (whole.counts == at_once.counts).all()
    assert whole.f1("weighted") == at_once.f1("weighted") == metrics.f1(predicted, wanted, "weighted")
    assert repr(whole) == f"Confusion({num_classes}): 100 samples"
    assert whole.report() == at_once.report()
    assert whole.reset().counts.sum() == 0


def test_confusions_of_different_classes_do_not_add():
    with pytest.raises(ValueError, match="num_classes 3 and None"):
        Confusion(3).__iadd__(Confusion())


@pytest.mark.parametrize(
    ("predicted", "wanted", "message"),
    [
        ([0, 1], [0, 1, 2], r"shape \(2,\) do not fit targets of shape \(3,\)"),
        ([[0.0, 1.0]], [0, 1], r"shape \(1, 2\) do not fit"),
        (np.zeros((2, 0)), [0, 1], "do not fit"),
        ([0, -1], [0, 1], "predictions should be class numbers not negative, but range from -1 to 0"),
        ([0, 1], [0, -100], "targets should be class numbers not negative, but range from -100"),
        ([[0.0, 1.0]], [2], "targets should be class numbers from 0 to 1, but range from 2 to 2"),
        ([[0.0, math.nan]], [1], "NaN"),
        ([], [], "no samples|class numbers"),
        ([0], [0.0], "targets should be class numbers, but are float64"),
        (["a"], ["a"], "should be class numbers"),
    ],
)
def test_what_makes_no_sense_is_refused(predicted, wanted, message):
    with pytest.raises(ValueError, match=message):
        metrics.accuracy(predicted, wanted)
    with pytest.raises(ValueError, match=message):
        metrics.f1(predicted, wanted, "macro")


def test_options_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="average should be one of"):
        metrics.f1([0], [0], "mean")
    with pytest.raises(ValueError, match=r"for two classes, but there are \[0, 1, 2\]"):
        metrics.f1([0, 1, 2], [0, 1, 2])
    with pytest.raises(ValueError, match="from 0 to 1"):
        metrics.f1([0, 2], [0, 1], "macro", num_classes=2)
    with pytest.raises(ValueError, match="num_classes should be positive, but is 0"):
        Confusion(0)
    with pytest.raises(ValueError, match="normalize should be"):
        metrics.confusion_matrix([0], [0], normalize="rows")
    with pytest.raises(ValueError, match="no samples"):
        Confusion(3).accuracy()
    with pytest.raises(ValueError, match="no samples"):
        Confusion(3).f1("macro")
    with pytest.raises(ValueError, match="k should be between 1 and the number of classes, 3, but is 4"):
        metrics.top_k_accuracy(np.zeros((1, 3)), [0], 4)
    with pytest.raises(ValueError, match=r"expected scores \(N, C\)"):
        metrics.top_k_accuracy(np.zeros(3), [0])
