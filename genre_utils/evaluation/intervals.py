"""Where every interval comes from: 95 % limits that respect artists.

Tracks of one artist succeed or fail together, so groups of tracks (artist components) are the unit.
`combined_ratios` makes standard errors, and `share_interval`, `change_interval` (of two shares) or
`mean_interval` limits of them. What has no such error is drawn anew from the groups.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special, stats

LEVEL = 0.05
NOTHING = 1e-12  # a standard error below is none
ALONE = 1 - 1e-9  # a group with as much of the whole has it all


class Estimate(NamedTuple):
    """A number, its standard error, degrees of freedom, and effective number of groups; arrays."""

    value: np.ndarray
    error: np.ndarray
    freedom: np.ndarray
    groups: np.ndarray


def group_sums(values, groups) -> np.ndarray:
    """Sum the rows of each group, groups sorted: (rows, columns) -> (groups, columns)."""
    return pd.DataFrame(np.asarray(values, float)).groupby(np.asarray(groups)).sum().to_numpy()


def combined_ratios(parts, wholes, weights=(1.0,)) -> Estimate:
    """Weighted sum of ratios of totals over groups, with a standard error for few, uneven groups.

    The value is sum_j weights_j (sum_k parts_kj) / (sum_k wholes_kj), with `parts` and `wholes`
    (..., groups, ratios); a ratio without any whole counts as 0. The error is that of the
    linearised ratios, the residual of group k being divided by sqrt(1 - h_kj) with its share h_kj
    of the whole, on Satterthwaite's degrees of freedom (Bell, McCaffrey 2002, Survey Methodology
    28; known as CR2); infinite where one group holds everything, or none anything. The effective
    number of groups is 1 / sum_k h_k^2 (Kish 1965, Survey Sampling), h_k being the mean share.
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


def mean_estimate(values, groups) -> Estimate:
    """Mean of some values, (rows,), as one ratio of totals over groups."""
    sums = group_sums(np.column_stack([values, np.ones(len(values))]), groups)
    return combined_ratios(sums[:, :1], sums[:, 1:])


def share_interval(estimate: Estimate) -> np.ndarray:
    """95 % limits of a share, (2, ...): Student's t on the logit scale, so that they stay in 0..1.

    Usual for shares in surveys that draw whole clusters (Korn, Graubard 1999, Analysis of Health
    Surveys). Where the groups do not differ, the limits are the exact ones of Clopper, Pearson
    (1934, Biometrika 26), the effective groups being the trials.
    """
    p, error, freedom, groups = (np.asarray(x, dtype=float) for x in estimate)
    varied = (error > NOTHING) & np.isfinite(error) & (p > 0) & (p < 1)
    q, sides = np.where(varied, p, 0.5), np.reshape([-1, 1], (2, *[1] * p.ndim))
    reach = stats.t.ppf(1 - LEVEL / 2, freedom) * np.where(varied, error, 1.0) / (q * (1 - q))
    hits, misses = p * groups, (1 - p) * groups  # a limit that they leave open is that of a share
    low = np.nan_to_num(stats.beta.ppf(LEVEL / 2, hits, misses + 1), nan=0.0)
    high = np.nan_to_num(stats.beta.ppf(1 - LEVEL / 2, hits + 1, misses), nan=1.0)
    return np.where(varied, special.expit(special.logit(q) + sides * reach), [low, high])


def mean_interval(estimate: Estimate) -> np.ndarray:
    """95 % limits of a mean, or of a difference of means: Student's t."""
    reach = stats.t.ppf(1 - LEVEL / 2, estimate.freedom) * estimate.error
    return np.array([estimate.value - reach, estimate.value + reach])


def change_interval(estimate: Estimate) -> np.ndarray:
    """95 % limits of a difference of two shares: `mean_interval`, within -1 and 1."""
    # as far to either side, where the groups do not differ, as those of `share_interval` then are
    least = 1 - (LEVEL / 2) ** (1 / np.maximum(estimate.groups, 1))
    error = np.where(estimate.error > NOTHING, 0.0, least)
    limits = mean_interval(estimate)
    return np.clip([limits[0] - error, limits[1] + error], -1, 1)


def accuracy_interval(correct, groups) -> np.ndarray:
    """95 % limits of the share of right predictions, (rows,) bool: see `share_interval`."""
    return share_interval(mean_estimate(correct, groups))


def difference_interval(correct_a, correct_b, groups) -> np.ndarray:
    """95 % limits of the difference in accuracy on the same rows: see `change_interval`."""
    sums = group_sums(np.column_stack([correct_a, correct_b, np.ones(len(correct_a))]), groups)
    return change_interval(combined_ratios(sums[:, :2], sums[:, [2, 2]], (1.0, -1.0)))


def intraclass_correlation(correct, groups) -> float:
    """How alike the predictions in one group are: 0 not at all, 1 all right or all wrong.

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
    """How often each group is drawn in each replicate, (n_boot, n_groups) (Field, Welsh 2007)."""
    if n_groups < 2:
        raise ValueError(f"an interval needs at least 2 groups to resample, found {n_groups}")
    chances = np.full(n_groups, 1 / n_groups)
    return np.random.default_rng(seed).multinomial(n_groups, chances, size=n_boot).astype(float)


def interval(values: np.ndarray) -> np.ndarray:
    """95 % percentile interval over the first axis without NaN; too narrow with few groups."""
    undefined = np.isnan(values).all(axis=0)
    limits = np.nanpercentile(np.where(undefined, 0, values), [2.5, 97.5], axis=0)
    return np.where(undefined, np.nan, limits)


def group_mean(values, groups, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over tracks of each column, and its 95 % limits, (columns,) each; NaN for one group."""
    drawn = resampled_means(values, groups, seed=seed)
    return np.asarray(values, dtype=float).mean(axis=0), *interval(drawn)


def resampled_means(values, groups, *, seed: int = 0) -> np.ndarray:
    """Means of columns over resamples of groups, (resamples, columns); all NaN for one group."""
    sums = group_sums(np.column_stack([values, np.ones(len(values))]), groups)
    if len(sums) < 2:
        return np.full((1, sums.shape[1] - 1), np.nan)
    drawn = bootstrap_weights(len(sums), seed=seed) @ sums
    return drawn[:, :-1] / drawn[:, -1:]


def rank_correlation(x, y, groups) -> tuple[float, float, float]:
    """Spearman's correlation over tracks, mean over models, with its 95 % limits over artists.

    `x` and `y` are (models, tracks); ranks stay as they are when artists are resampled. Models
    whose values are all the same are left out; NaN if all are.
    """
    a, b = (stats.rankdata(values, axis=1).T for values in (x, y))
    varied = (np.ptp(a, axis=0) > 0) & (np.ptp(b, axis=0) > 0)
    if not varied.any():
        return np.nan, np.nan, np.nan
    moments = np.stack([a, b, a * a, b * b, a * b])[..., varied]
    columns = moments.transpose(1, 0, 2).reshape(len(groups), -1)

    def correlations(means):
        means = means.reshape(len(means), 5, -1)
        covariance = means[:, 4] - means[:, 0] * means[:, 1]
        product = (means[:, 2] - means[:, 0] ** 2) * (means[:, 3] - means[:, 1] ** 2)
        return (covariance / np.sqrt(np.maximum(product, 1e-9))).mean(axis=1)

    low, high = interval(correlations(resampled_means(columns, groups)))
    return float(correlations(columns.mean(axis=0)[np.newaxis])[0]), float(low), float(high)
