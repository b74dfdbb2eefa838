"""Logistic regression as arrays: mean, scale, weights and bias, which need no scikit-learn."""

from collections.abc import Sequence

import numpy as np

Arrays = dict[str, np.ndarray]


def fit(
    blocks: Sequence[np.ndarray],
    y: np.ndarray,
    genres: list[str],
    *,
    C: float,
    weights: Sequence[float] | None = None,
    max_iter: int = 500,
) -> Arrays:
    """Fit logistic regression to standardised columns.

    Parameters
    ----------
    blocks : sequence of np.ndarray, shape (rows, columns) each
        What is known of the rows; their columns stand side by side.
    y : np.ndarray, shape (rows,)
        Genre of each row.
    genres : list of str
        Order of the outputs; each must be in `y`.
    C : float
        Inverse of the strength of the penalty.
    weights : sequence of float, optional
        What the standardised columns of each block are multiplied by: 1 unless given.
    max_iter : int
        Steps at most.

    Returns
    -------
    dict of str to np.ndarray
        mean and scale (columns,), weights (columns, genres), bias (genres,), for `probabilities`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    x = np.hstack(blocks)
    scaler = StandardScaler().fit(x)
    factors = np.repeat(weights or np.ones(len(blocks)), [block.shape[1] for block in blocks])
    mean, scale = scaler.mean_, scaler.scale_ / factors
    standard, span = (x - mean) / scale, None
    if len(x) < x.shape[1]:  # the solution lies in the span of the rows: far fewer columns
        span = np.linalg.qr(standard.T)[0]
        standard = standard @ span
    model = LogisticRegression(C=C, max_iter=max_iter).fit(standard, y)
    found, bias = model.coef_.T, model.intercept_
    if found.shape[1] == 1:  # two genres: one column, for the second of them
        found, bias = np.hstack([0 * found, found]), np.append(0, bias)
    order = [list(model.classes_).index(genre) for genre in genres]
    found = found if span is None else span @ found
    return {"mean": mean, "scale": scale, "weights": found[:, order], "bias": bias[order]}


def scores(arrays: Arrays, x: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities but for a constant of each row: (rows, genres)."""
    return ((x - arrays["mean"]) / arrays["scale"]) @ arrays["weights"] + arrays["bias"]


def probabilities(arrays: Arrays, x: np.ndarray) -> np.ndarray:
    """Probability of each genre for each row of `x`, (rows, genres)."""
    return softmax(scores(arrays, x))


def softmax(scores: np.ndarray) -> np.ndarray:
    """Make probabilities of scores, (rows, genres)."""
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def added(several: Sequence[Arrays], shares: Sequence[float]) -> Arrays:
    """One regression on the columns of several, side by side, whose scores are added by shares.

    That is the product of what each says, to the power of its share.
    """
    joined = {key: np.concatenate([one[key] for one in several]) for key in ("mean", "scale")}
    weighed = [share * one["weights"] for share, one in zip(shares, several, strict=True)]
    bias = sum(share * one["bias"] for share, one in zip(shares, several, strict=True))
    return joined | {"weights": np.vstack(weighed), "bias": np.asarray(bias)}
