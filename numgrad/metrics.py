"""How good a classifier is: accuracy, precision, recall, F1, confusion matrix and report, at once or batch by batch.

Predictions come first and targets second. Predictions are class numbers of the targets' shape, or scores (logits or
probabilities) with one more dimension, the second, for the classes; scores of the targets' shape, for the second of two
classes, need a `threshold`. Both may be tensors, arrays or lists of any shape. Scores that are NaN, labels that are no
class and shapes that do not match are a ValueError.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

import numgrad

_AVERAGES = ("binary", "micro", "macro", "weighted", None)


def accuracy(predictions: Any, targets: Any, *, threshold: float | None = None) -> float:
    """The share of predictions that are right."""
    predicted, wanted = _labels(predictions, targets, threshold)
    return float(np.mean(predicted == wanted))


def top_k_accuracy(scores: Any, targets: Any, k: int = 5) -> float:
    """The share of samples whose class has one of the k highest scores; of equal scores the lower class comes first."""
    values, wanted = _array(scores), _array(targets)
    if values.ndim != 2 or wanted.shape != values.shape[:1]:
        raise ValueError(f"expected scores (N, C) and targets (N,), but got {values.shape} and {wanted.shape}")
    classes = values.shape[1]
    if not 1 <= operator.index(k) <= classes:
        raise ValueError(f"k should be between 1 and the number of classes, {classes}, but is {k}")
    _check(values, wanted, classes)
    own = np.take_along_axis(values, wanted[:, None], axis=1)
    before = (values > own) | ((values == own) & (np.arange(classes) < wanted[:, None]))
    return float(np.mean(before.sum(axis=1) < k))


def confusion_matrix(
    predictions: Any,
    targets: Any,
    num_classes: int | None = None,
    *,
    normalize: str | None = None,
    threshold: float | None = None,
) -> Any:
    """How often class i (row) was taken for class j (column): int64, or float64 shares if `normalize` is given.

    `normalize="true"` makes rows sum to 1, "pred" columns, "all" everything; what has no samples is 0. Without
    `num_classes` the matrix is as large as the largest label needs.
    """
    counts = Confusion(num_classes, threshold=threshold).update(predictions, targets).counts
    if normalize is None:
        return numgrad.from_numpy(counts)
    axes = {"true": 1, "pred": 0, "all": None}
    if normalize not in axes:
        raise ValueError(f"normalize should be 'true', 'pred', 'all' or None, but is {normalize!r}")
    return numgrad.from_numpy(_ratio(counts, counts.sum(axis=axes[normalize], keepdims=True), 0.0))


def precision(
    predictions: Any,
    targets: Any,
    average: str | None = "binary",
    *,
    num_classes: int | None = None,
    pos_label: int = 1,
    zero_division: float = 0.0,
    threshold: float | None = None,
) -> Any:
    """Of what was taken for a class, the share that belongs to it: a float, or a float64 tensor for average=None.

    Args:
        average: "binary" for class `pos_label` of two; "micro" for all decisions together; "macro" for the mean of the
            classes; "weighted" for their mean by number of targets; None for one value a class.
        num_classes: the classes are range(num_classes); without it they are those that occur.
        zero_division: the value of a class of which nothing was predicted; NaN leaves it out of averages.
    """
    confusion = Confusion(num_classes, threshold=threshold).update(predictions, targets)
    return confusion.precision(average, pos_label=pos_label, zero_division=zero_division)


def recall(
    predictions: Any,
    targets: Any,
    average: str | None = "binary",
    *,
    num_classes: int | None = None,
    pos_label: int = 1,
    zero_division: float = 0.0,
    threshold: float | None = None,
) -> Any:
    """Of what belongs to a class, the share that was found; arguments as for `precision`."""
    confusion = Confusion(num_classes, threshold=threshold).update(predictions, targets)
    return confusion.recall(average, pos_label=pos_label, zero_division=zero_division)


def f1(
    predictions: Any,
    targets: Any,
    average: str | None = "binary",
    *,
    num_classes: int | None = None,
    pos_label: int = 1,
    zero_division: float = 0.0,
    threshold: float | None = None,
) -> Any:
    """The harmonic mean of precision and recall; arguments as for `precision`."""
    confusion = Confusion(num_classes, threshold=threshold).update(predictions, targets)
    return confusion.f1(average, pos_label=pos_label, zero_division=zero_division)


def classification_report(
    predictions: Any,
    targets: Any,
    *,
    num_classes: int | None = None,
    target_names: Sequence[str] | None = None,
    digits: int = 2,
    zero_division: float = 0.0,
    threshold: float | None = None,
) -> str:
    """A table of precision, recall, F1 and number of targets, by class and on average."""
    confusion = Confusion(num_classes, threshold=threshold).update(predictions, targets)
    return confusion.report(target_names, digits=digits, zero_division=zero_division)


class Confusion:
    """Counts of (target, prediction) gathered batch by batch, and every measure that follows from them.

        confusion = Confusion(num_classes=10)
        for images, labels in loader:
            confusion.update(model(images), labels)
        print(confusion.accuracy(), confusion.f1("macro"))

    Confusions of parts of the data can be added. Without `num_classes` the classes are those that occur.
    """

    def __init__(self, num_classes: int | None = None, *, threshold: float | None = None) -> None:
        if num_classes is not None and operator.index(num_classes) < 1:
            raise ValueError(f"num_classes should be positive, but is {num_classes}")
        self.num_classes = num_classes
        self.threshold = threshold
        self.reset()

    def reset(self) -> Confusion:
        """Forget everything counted."""
        size = self.num_classes or 0
        self.counts = np.zeros((size, size), np.int64)
        return self

    def update(self, predictions: Any, targets: Any) -> Confusion:
        """Count a batch."""
        predicted, wanted = _labels(predictions, targets, self.threshold, self.num_classes)
        size = len(self.counts)
        if self.num_classes is None:
            size = max(size, int(predicted.max()) + 1, int(wanted.max()) + 1)
        pairs = np.bincount(wanted * size + predicted, minlength=size * size)
        self.counts = _padded(self.counts, size) + pairs.reshape(size, size)
        return self

    def __iadd__(self, other: Confusion) -> Confusion:
        if self.num_classes != other.num_classes:
            raise ValueError(f"these count different classes: num_classes {self.num_classes} and {other.num_classes}")
        size = max(len(self.counts), len(other.counts))
        self.counts = _padded(self.counts, size) + _padded(other.counts, size)
        return self

    def __repr__(self) -> str:
        return f"Confusion({self.num_classes}): {self.counts.sum()} samples"

    def accuracy(self) -> float:
        """The share of samples that were classified right."""
        self._need_samples()
        return float(self.counts.trace() / self.counts.sum())

    def precision(self, average: str | None = "binary", *, pos_label: int = 1, zero_division: float = 0.0) -> Any:
        """See the function `precision`."""
        return self._average(0, average, pos_label, zero_division)

    def recall(self, average: str | None = "binary", *, pos_label: int = 1, zero_division: float = 0.0) -> Any:
        """See the function `recall`."""
        return self._average(1, average, pos_label, zero_division)

    def f1(self, average: str | None = "binary", *, pos_label: int = 1, zero_division: float = 0.0) -> Any:
        """See the function `f1`."""
        return self._average(2, average, pos_label, zero_division)

    def report(self, target_names: Sequence[str] | None = None, *, digits: int = 2, zero_division: float = 0.0) -> str:
        """See the function `classification_report`."""
        classes = self._classes()
        names = [str(label) for label in classes] if target_names is None else [str(name) for name in target_names]
        if len(names) != len(classes):
            raise ValueError(f"target_names has {len(names)} names for {len(classes)} classes")
        support = self.counts.sum(axis=1)[classes]
        columns = [self._average(which, None, 1, zero_division).tolist() for which in range(3)]
        rows = [(name, *map(float, figures)) for name, *figures in zip(names, *columns, strict=True)]
        means = [
            (f"{kind} avg", *(self._average(which, kind, 1, zero_division) for which in range(3)))
            for kind in ("macro", "weighted")
        ]
        width = max(len("weighted avg"), digits, *map(len, names))

        def line(name: str, figures: Sequence[float | None], count: int) -> str:
            cells = ("" if value is None else f"{value:.{digits}f}" for value in figures)
            return f"{name:>{width}} " + "".join(f" {cell:>9}" for cell in cells) + f" {count:>9}"

        total = int(support.sum())
        title = " " * (width + 1) + "".join(f" {head:>9}" for head in ("precision", "recall", "f1-score", "support"))
        body = [line(name, figures, count) for (name, *figures), count in zip(rows, support.tolist(), strict=True)]
        overall = line("accuracy", (None, None, self.accuracy()), total)
        return "\n".join([title, "", *body, "", overall, *(line(name, f, total) for name, *f in means), ""])

    def _need_samples(self) -> None:
        if not self.counts.any():
            raise ValueError("there is no measure of no samples")

    def _classes(self) -> np.ndarray:
        if self.num_classes is not None:
            return np.arange(self.num_classes)
        return np.flatnonzero(self.counts.sum(axis=0) + self.counts.sum(axis=1))

    def _average(self, which: int, average: str | None, pos_label: int, zero_division: float) -> Any:
        self._need_samples()
        if average not in _AVERAGES:
            raise ValueError(f"average should be one of {_AVERAGES}, but is {average!r}")
        classes = self._classes()
        hits, predicted, wanted = self.counts.diagonal()[classes], *(self.counts.sum(axis=a)[classes] for a in (0, 1))
        if average == "binary":
            if not np.isin(classes, (0, 1, pos_label)).all() or len(classes) > 2:
                raise ValueError(
                    f"average='binary' is for two classes, but there are {classes.tolist()}; choose another"
                )
            chosen = classes == pos_label
            hits, predicted, wanted = ([part[chosen].sum()] for part in (hits, predicted, wanted))
        if average == "micro":
            hits, predicted, wanted = ([part.sum()] for part in (hits, predicted, wanted))
        hits, predicted, wanted = (np.asarray(part, np.float64) for part in (hits, predicted, wanted))
        parts = ((hits, predicted), (hits, wanted), (2 * hits, predicted + wanted))[which]
        values = _ratio(*parts, zero_division)
        if average is None:
            return numgrad.from_numpy(values)
        return _mean(values, wanted if average == "weighted" else np.ones_like(values))


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    known = ~np.isnan(values) & (weights > 0)
    return float(np.average(values[known], weights=weights[known])) if known.any() else float("nan")


def _ratio(part: np.ndarray, whole: np.ndarray, otherwise: float) -> np.ndarray:
    whole = np.broadcast_to(whole, part.shape)
    return np.divide(part, whole, out=np.full(part.shape, float(otherwise)), where=whole != 0)


def _padded(counts: np.ndarray, size: int) -> np.ndarray:
    return np.pad(counts, (0, size - len(counts)))


def _array(values: Any) -> np.ndarray:
    return values.detach().numpy() if isinstance(values, numgrad.Tensor) else np.asarray(values)


def _labels(
    predictions: Any, targets: Any, threshold: float | None, classes: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Both as flat int64 class numbers."""
    predicted, wanted = _array(predictions), _array(targets)
    scores = predicted
    if predicted.ndim == wanted.ndim + 1 and wanted.ndim > 0:
        if predicted.shape[:1] + predicted.shape[2:] != wanted.shape or predicted.shape[1] == 0:
            raise ValueError(f"scores of shape {predicted.shape} do not fit targets of shape {wanted.shape}")
        classes = predicted.shape[1] if classes is None else classes
        predicted = predicted.argmax(axis=1)
    elif predicted.shape != wanted.shape:
        raise ValueError(f"predictions of shape {predicted.shape} do not fit targets of shape {wanted.shape}")
    elif predicted.dtype.kind == "f" and threshold is not None:
        predicted = predicted > threshold
    elif predicted.dtype.kind not in "iub":
        raise ValueError(
            f"predictions of the targets' shape should be class numbers, but are {predicted.dtype}; if they are scores "
            "of the second of two classes, pass a threshold (0 for logits, 0.5 for probabilities)"
        )
    _check(scores, wanted, classes)
    _check_classes("predictions", predicted, classes)
    return predicted.reshape(-1).astype(np.int64), wanted.reshape(-1).astype(np.int64)


def _check(scores: np.ndarray, wanted: np.ndarray, classes: int | None) -> None:
    if wanted.size == 0:
        raise ValueError("there is no measure of no samples")
    if scores.dtype.kind == "f" and np.isnan(scores).any():
        raise ValueError("the scores contain NaN")
    if wanted.dtype.kind not in "iub":
        raise ValueError(f"targets should be class numbers, but are {wanted.dtype}")
    _check_classes("targets", wanted, classes)


def _check_classes(what: str, labels: np.ndarray, classes: int | None) -> None:
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or (classes is not None and high >= classes):
        expected = "not negative" if classes is None else f"from 0 to {classes - 1}"
        raise ValueError(f"{what} should be class numbers {expected}, but range from {low} to {high}")
