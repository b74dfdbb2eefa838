"""How sure are we: intervals and tests that respect artists.

Tracks of one artist succeed or fail together, so what varies from study to study is which artists
were drawn, and groups of tracks (artist components) are the unit of everything here.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special, stats

LEVEL = 0.05
NOTHING = 1e-12  # a standard error below is none
ALONE = 1 - 1e-9  # a group with as much of the whole has it all


class Estimate(NamedTuple):
    """A number, its standard error, degrees of freedom, and the effective number of groups.

    Numbers, or arrays of one shape.
    """

    value: np.ndarray
    error: np.ndarray
    freedom: np.ndarray
    groups: np.ndarray


def group_sums(values, groups) -> np.ndarray:
    """Sum the rows of each group, groups sorted: (rows, columns) -> (groups, columns)."""
    return pd.DataFrame(np.asarray(values, float)).groupby(np.asarray(groups)).sum().to_numpy()


def combined_ratios(parts, wholes, weights=(1.0,)) -> Estimate:
    """Weighted sum of ratios of totals over groups, with a standard error for few, uneven groups.

    The value is sum_j weights_j (sum_k parts_kj) / (sum_k wholes_kj). Accuracy is one such ratio,
    a macro mean is several, and a difference of two models has the weights 1 and -1. The error
    is that of the linearised ratios, the residual of group k being divided by sqrt(1 - h_kj) with
    its share h_kj of the whole, on Satterthwaite's degrees of freedom (Bell, McCaffrey 2002, Survey
    Methodology 28; known as CR2). These are groups - 1 where all are of one size, and fewer where
    one holds much of the music. The effective number of groups is 1 / sum_k h_k^2 (Kish 1965,
    Survey Sampling), h_k being the mean share.

    Parameters
    ----------
    parts, wholes : array_like, shape (..., groups, ratios)
        Numerators and denominators. A ratio without any whole counts as 0.
    weights : array_like, shape (ratios,)

    Returns
    -------
    Estimate
        Of shape (...). The error is infinite where one group holds everything, or none anything.
    """
    parts, wholes, weights = (np.asarray(x, dtype=float) for x in (parts, wholes, weights))
    total = wholes.sum(axis=-2, keepdims=True)
    total = np.where(total > 0, total, np.inf)
    ratio = parts.sum(axis=-2, keepdims=True) / total
    shares = wholes / total
    share = shares @ abs(weights) / abs(weights).sum()
    squares = (share**2).sum(axis=-1)
    known = (share.max(axis=-1) < ALONE) & (squares > 0)
    rest = np.where(known[..., np.newaxis], 1 - share, 1.0)
    rests = np.where(shares < ALONE, 1 - shares, rest[..., np.newaxis])
    pull = (parts - ratio * wholes) / total / np.sqrt(rests) @ weights
    leverage = share**2 / rest
    curvature = squares + leverage.sum(axis=-1) ** 2 - (leverage**2).sum(axis=-1)
    return Estimate(
        value=ratio[..., 0, :] @ weights,
        error=np.where(known, np.sqrt((pull**2).sum(axis=-1)), np.inf),
        freedom=1 / np.where(known, curvature, 1.0),
        groups=np.where(squares > 0, 1 / np.where(squares > 0, squares, 1.0), 0.0),
    )


def share_interval(estimate: Estimate) -> np.ndarray:
    """95 % interval of a share: Student's t on the logit scale, so that it stays in 0..1.

    Usual for shares in surveys that draw whole clusters (Korn, Graubard 1999, Analysis of Health
    Surveys); `coverage` measures how often it holds the truth.

    Where the groups do not differ, most often because nothing was answered wrongly, there is no
    spread to estimate. The limits are then the exact ones of Clopper, Pearson (1934, Biometrika
    26), the effective groups being the trials: without an error about 3.7 / groups wide, the
    two-sided relative of the rule of three, as if the tracks of an artist stood or fell together.
    One artist alone tells nearly nothing, and the limits say so.

    Returns
    -------
    np.ndarray, shape (2, ...)
        Low and high.
    """
    p, error, freedom, groups = (np.asarray(x, dtype=float) for x in estimate)
    spread = (error > NOTHING) & np.isfinite(error) & (p > 0) & (p < 1)
    q, sides = np.where(spread, p, 0.5), np.reshape([-1, 1], (2, *[1] * p.ndim))
    reach = stats.t.ppf(1 - LEVEL / 2, freedom) * np.where(spread, error, 1.0) / (q * (1 - q))
    hits, misses = p * groups, (1 - p) * groups  # a limit that they leave open is that of a share
    low = np.nan_to_num(stats.beta.ppf(LEVEL / 2, hits, misses + 1), nan=0.0)
    high = np.nan_to_num(stats.beta.ppf(1 - LEVEL / 2, hits + 1, misses), nan=1.0)
    return np.where(spread, special.expit(special.logit(q) + sides * reach), [low, high])


def mean_interval(estimate: Estimate) -> np.ndarray:
    """95 % interval of a mean, or of a difference of means: Student's t. Low and high."""
    reach = stats.t.ppf(1 - LEVEL / 2, estimate.freedom) * estimate.error
    return np.array([estimate.value - reach, estimate.value + reach])


def change_interval(estimate: Estimate) -> np.ndarray:
    """95 % interval of a difference of two shares: `mean_interval`, within -1 and 1.

    Where the groups do not differ, most often because two models give the same answers, it is as
    wide to either side as `share_interval` is without an error.
    """
    least = 1 - (LEVEL / 2) ** (1 / np.maximum(estimate.groups, 1))
    error = np.where(estimate.error > NOTHING, 0.0, least)
    limits = mean_interval(estimate)
    return np.clip([limits[0] - error, limits[1] + error], -1, 1)


def accuracy_interval(correct, groups) -> np.ndarray:
    """95 % interval of the share of right answers, (rows,) bool: see `share_interval`."""
    sums = group_sums(np.column_stack([correct, np.ones(len(correct))]), groups)
    return share_interval(combined_ratios(sums[:, :1], sums[:, 1:]))


def difference_interval(correct_a, correct_b, groups) -> np.ndarray:
    """95 % interval of the difference in accuracy on the same rows: see `change_interval`."""
    sums = group_sums(np.column_stack([correct_a, correct_b, np.ones(len(correct_a))]), groups)
    return change_interval(combined_ratios(sums[:, :2], sums[:, [2, 2]], (1.0, -1.0)))


def intraclass_correlation(correct, groups) -> float:
    """How alike the answers on tracks of one group are: 0 not at all, 1 all right or all wrong.

    Estimator from the analysis of variance (Ridout, Demetrio, Firth 1999, Biometrics 55, equation
    for unequal groups), cut at 0; 0 too where no group has two tracks.
    """
    sums = group_sums(np.column_stack([correct, np.ones(len(correct))]), groups)
    (right, n), count = sums.T, len(sums)
    total, p = n.sum(), right.sum() / n.sum()
    if count < 2 or total == count:
        return 0.0
    between = (n * (right / n - p) ** 2).sum() / (count - 1)
    within = (right * (1 - right / n)).sum() / (total - count)
    typical = (total - (n**2).sum() / total) / (count - 1)
    whole = between + (typical - 1) * within
    return float(max(0.0, (between - within) / whole)) if whole > 0 else 0.0


def bootstrap_weights(n_groups: int, n_boot: int = 2000, seed: int = 0) -> np.ndarray:
    """How often each group is drawn in each replicate, shape (n_boot, n_groups).

    Whole groups are drawn, because tracks of an artist are alike (Field, Welsh 2007, J. R. Stat.
    Soc. B 69, Bootstrapping clustered data). Raises ValueError for fewer than two groups.
    """
    if n_groups < 2:
        raise ValueError(f"an interval needs at least 2 groups to resample, found {n_groups}")
    chances = np.full(n_groups, 1 / n_groups)
    return np.random.default_rng(seed).multinomial(n_groups, chances, size=n_boot).astype(float)


def interval(values: np.ndarray) -> np.ndarray:
    """95 % percentile interval over the first axis; NaN is skipped, nothing but NaN stays NaN.

    Efron, Tibshirani (1993), An Introduction to the Bootstrap, chapter 13. For what has no simple
    error; with few groups it is too narrow, see `coverage`.
    """
    undefined = np.isnan(values).all(axis=0)
    limits = np.nanpercentile(np.where(undefined, 0, values), [2.5, 97.5], axis=0)
    return np.where(undefined, np.nan, limits)
