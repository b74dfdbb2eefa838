"""Metrics as functions of a confusion matrix, and their intervals from those of the artists."""

import math

import numpy as np
import pandas as pd

from genre_utils.evaluation import intervals

METRICS = ("accuracy", "precision", "recall", "f1")


def group_confusions(predicted, groups: pd.Series, genres: list[str]) -> np.ndarray:
    """Confusion matrix of every group, (groups, genres, genres): rows true, columns predicted.

    `predicted` has track_id, y_true and y_pred, `groups` the group of each track_id. Groups sorted.
    """
    group = pd.factorize(predicted["track_id"].map(groups), sort=True)[0]
    true, said = (pd.Index(genres).get_indexer(predicted[name]) for name in ("y_true", "y_pred"))
    if min(group.min(), true.min(), said.min()) < 0:
        raise ValueError(f"a track has no group, or a genre outside {genres}")
    shape = (group.max() + 1, len(genres), len(genres))
    cell = np.ravel_multi_index((group, true, said), shape)
    return np.bincount(cell, minlength=math.prod(shape)).reshape(shape)


def metrics_from_confusion(confusion: np.ndarray, absent: float = 0.0) -> dict[str, np.ndarray]:
    """All metrics of one or many confusion matrices, (..., genres, genres).

    Shape (...): accuracy and the macro means precision, recall, f1. Shape (..., genres):
    genre_accuracy (one against the rest), genre_precision, genre_recall, genre_f1 and support. A
    genre without a true track has `absent`: 0 as in scikit-learn, or NaN, which leaves it out of
    the macro mean, for bootstrap replicates, where it is missing by chance.
    """
    parts = metric_ratios(confusion)
    right, total, _ = parts.pop("accuracy")
    true = parts["recall"][1]

    def ratio(part, whole):
        quotient = np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)
        return np.where(true > 0, quotient, absent)

    by_genre = {name: ratio(part, whole) for name, (part, whole, _) in parts.items()}
    twice_right, true_and_given, _ = parts["f1"]
    return {
        "accuracy": (right / total)[..., 0],
        **{name: np.nanmean(values, axis=-1) for name, values in by_genre.items()},
        "genre_accuracy": 1 - (true_and_given - twice_right) / total,
        **{f"genre_{name}": values for name, values in by_genre.items()},
        "support": true,
    }


def metric_ratios(confusions: np.ndarray) -> dict[str, tuple]:
    """Accuracy and macro metrics as `intervals.combined_ratios` takes them, by name.

    Numerators and denominators (..., groups, ratios), and weights (ratios,).
    """
    confusions = np.asarray(confusions, dtype=float)
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    true, given = confusions.sum(axis=-1), confusions.sum(axis=-2)
    even = np.full(hits.shape[-1], 1 / hits.shape[-1])
    total = true.sum(axis=-1, keepdims=True)
    return {
        "accuracy": (hits.sum(axis=-1, keepdims=True), total, np.ones(1)),
        "precision": (hits, given, even),
        "recall": (hits, true, even),
        "f1": (2 * hits, true + given, even),
    }


def metric_intervals(confusions: np.ndarray) -> dict[str, np.ndarray]:
    """95 % limits, (2, ...), of each metric but support, from (..., groups, genres, genres)."""
    whole = metric_ratios(confusions)
    twice_right, true_and_given, _ = whole["f1"]
    total = whole["accuracy"][1]
    of_genre = {name: both for name, (*both, _) in whole.items() if name != "accuracy"}
    of_genre["accuracy"] = [total - true_and_given + twice_right, total + 0 * twice_right]

    def limits(parts, wholes, weights=(1.0,)):
        return intervals.share_interval(intervals.combined_ratios(parts, wholes, weights))

    return {name: limits(*ratios) for name, ratios in whole.items()} | {
        f"genre_{name}": limits(*(np.swapaxes(x, -1, -2)[..., np.newaxis] for x in both))
        for name, both in of_genre.items()
    }
