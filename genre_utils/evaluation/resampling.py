"""TODO evaluation.resampling."""

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from genre_utils.evaluation import intervals

RESAMPLES = 500  # of artists, for the tree of genres


def group_mean(values, groups, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over tracks of each column, and its 95 % interval over resampled groups.

    Parameters
    ----------
    values : np.ndarray, shape (tracks, columns)
    groups : np.ndarray, shape (tracks,)
    seed : int

    Returns
    -------
    mean, low, high : np.ndarray, shape (columns,)
        The limits are NaN where there are fewer than two groups.
    """
    values = np.asarray(values, dtype=float)
    mean, drawn = values.mean(axis=0), resampled_means(values, groups, seed=seed)
    low, high = np.full((2, len(mean)), np.nan) if drawn is None else intervals.interval(drawn)
    return mean, low, high


def resampled_means(values, groups, *, seed: int = 0) -> np.ndarray | None:
    """Means of columns over resamples of groups, (resamples, columns); None for one group."""
    sums = pd.DataFrame(np.asarray(values, dtype=float)).assign(rows=1.0)
    sums = sums.groupby(np.asarray(groups)).sum().to_numpy()
    if len(sums) < 2:
        return None
    drawn = intervals.bootstrap_weights(len(sums), seed=seed) @ sums
    return drawn[:, :-1] / drawn[:, -1:]


def rank_correlation(x, y, groups, *, seed: int = 0) -> tuple[float, float, float]:
    """Spearman's correlation over tracks, mean over models, with its 95 % interval over artists.

    Ranks are those among all tracks, and stay as they are when artists are resampled. Models whose
    values are all the same are left out; NaN if there is no other.

    Parameters
    ----------
    x, y : np.ndarray, shape (models, tracks)
    groups : np.ndarray, shape (tracks,)

    Returns
    -------
    correlation, low, high : float
    """
    a, b = (rankdata(values, axis=1).T for values in (x, y))
    varied = (np.ptp(a, axis=0) > 0) & (np.ptp(b, axis=0) > 0)
    if not varied.any():
        return np.nan, np.nan, np.nan
    moments = np.stack([a, b, a * a, b * b, a * b])[..., varied]
    columns = moments.transpose(1, 0, 2).reshape(len(groups), -1)

    def correlations(means):
        means = means.reshape(len(means), 5, -1)
        covariance = means[:, 4] - means[:, 0] * means[:, 1]
        spread = (means[:, 2] - means[:, 0] ** 2) * (means[:, 3] - means[:, 1] ** 2)
        return (covariance / np.sqrt(np.maximum(spread, 1e-9))).mean(axis=1)

    drawn = resampled_means(columns, groups, seed=seed)
    low, high = (np.nan, np.nan) if drawn is None else intervals.interval(correlations(drawn))
    return float(correlations(columns.mean(axis=0)[np.newaxis])[0]), float(low), float(high)
