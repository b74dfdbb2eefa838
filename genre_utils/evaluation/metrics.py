"""TODO evaluation.metrics."""

import math

import numpy as np
import pandas as pd

from genre_utils.evaluation import intervals

METRICS = ("accuracy", "precision", "recall", "f1")


def group_confusions(predicted, groups: pd.Series, genres: list[str]) -> np.ndarray:
    """Confusion matrix of every group, groups sorted by name.

    Parameters
    ----------
    predicted : DataFrame
        Rows (tracks or excerpts) with track_id, y_true, y_pred.
    groups : Series
        Group (artist component) of each track_id.

    Returns
    -------
    ndarray of int, shape (groups, genres, genres)
        Rows are true genres, columns predicted ones.
    """
    group = pd.factorize(predicted["track_id"].map(groups), sort=True)[0]
    true, guess = (pd.Index(genres).get_indexer(predicted[name]) for name in ("y_true", "y_pred"))
    if min(group.min(), true.min(), guess.min()) < 0:
        raise ValueError(f"a track has no group, or a genre outside {genres}")
    shape = (group.max() + 1, len(genres), len(genres))
    cell = np.ravel_multi_index((group, true, guess), shape)
    return np.bincount(cell, minlength=math.prod(shape)).reshape(shape)


def metrics_from_confusion(confusion: np.ndarray, absent: float = 0.0) -> dict[str, np.ndarray]:
    """All metrics of one or many confusion matrices.

    Parameters
    ----------
    confusion : ndarray, shape (..., genres, genres)
        Counts, rows true, columns predicted.
    absent : float
        Precision, recall and F1 of a genre without a true track. 0 is scikit-learn's answer
        (``labels=genres, zero_division=0``). NaN leaves that genre out of the macro mean: right
        for bootstrap replicates, where it is missing by chance and says nothing.

    Returns
    -------
    dict
        Shape (...): accuracy and the macro means precision, recall, f1 (mean of the genres' F1).
        Shape (..., genres): genre_accuracy (one against the rest), genre_precision, genre_recall,
        genre_f1 and support.
    """
    confusion = np.asarray(confusion, dtype=float)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    true, guessed = confusion.sum(axis=-1), confusion.sum(axis=-2)
    total = true.sum(axis=-1)

    def ratio(part, whole):
        quotient = np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)
        return np.where(true > 0, quotient, absent)

    parts = {"precision": (hits, guessed), "recall": (hits, true), "f1": (2 * hits, true + guessed)}
    by_genre = {name: ratio(part, whole) for name, (part, whole) in parts.items()}
    return {
        "accuracy": hits.sum(axis=-1) / total,
        **{name: np.nanmean(values, axis=-1) for name, values in by_genre.items()},
        "genre_accuracy": 1 - (true + guessed - 2 * hits) / total[..., np.newaxis],
        **{f"genre_{name}": values for name, values in by_genre.items()},
        "support": true,
    }


def metric_ratios(confusions: np.ndarray) -> dict[str, tuple]:
    """Accuracy and macro metrics as `intervals.combined_ratios` takes them.

    Every one is a ratio of counts, or the mean of such ratios over the genres (F1 is 2 hits /
    (true + predicted)).

    Parameters
    ----------
    confusions : np.ndarray, shape (..., groups, genres, genres)

    Returns
    -------
    dict of str to tuple
        accuracy, precision, recall, f1: numerators and denominators, (..., groups, ratios), and
        weights, (ratios,).
    """
    confusions = np.asarray(confusions, dtype=float)
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    true, guessed = confusions.sum(axis=-1), confusions.sum(axis=-2)
    even = np.full(hits.shape[-1], 1 / hits.shape[-1])
    total = true.sum(axis=-1, keepdims=True)
    return {
        "accuracy": (hits.sum(axis=-1, keepdims=True), total, np.ones(1)),
        "precision": (hits, guessed, even),
        "recall": (hits, true, even),
        "f1": (2 * hits, true + guessed, even),
    }


def metric_intervals(confusions: np.ndarray) -> dict[str, np.ndarray]:
    """95 % interval of each metric, from the confusion matrices of the groups.

    From `metric_ratios`, and such ratios of each genre, `intervals.combined_ratios` makes the
    error and `intervals.share_interval` the limits, which are wide where a genre has few
    artists.

    Parameters
    ----------
    confusions : np.ndarray, shape (..., groups, genres, genres)

    Returns
    -------
    dict
        Keys as `metrics_from_confusion`, without support; low and high on the first axis.
    """
    whole = metric_ratios(confusions)
    hits, true, _ = whole["recall"]
    _, guessed, _ = whole["precision"]
    total = true.sum(axis=-1, keepdims=True)
    of_genre = {name: both for name, (*both, _) in whole.items() if name != "accuracy"}
    of_genre["accuracy"] = total - true - guessed + 2 * hits, total + 0 * true

    def limits(parts, wholes, weights=(1.0,)):
        return intervals.share_interval(intervals.combined_ratios(parts, wholes, weights))

    return {name: limits(*ratios) for name, ratios in whole.items()} | {
        f"genre_{name}": limits(*(np.swapaxes(x, -1, -2)[..., np.newaxis] for x in both))
        for name, both in of_genre.items()
    }
