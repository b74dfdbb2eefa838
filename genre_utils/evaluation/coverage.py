"""How often 95 % intervals hold the truth, measured by simulated studies."""

import numpy as np
import pandas as pd

from genre_utils.evaluation import intervals


def coverage(sizes, accuracy: float, icc: float, simulations: int = 1000) -> dict:
    """Measure how often 95 % intervals of the accuracy hold the truth, by simulated studies.

    Each artist, with `sizes` tracks, draws a skill from a beta distribution with mean `accuracy`
    and intraclass correlation `icc`. Holds coverage and mean width of `share_interval` and of the
    percentile bootstrap.
    """
    right = drawn_right(sizes, accuracy, icc, simulations, 0)
    wholes = np.broadcast_to(np.asarray(sizes, dtype=float), right.shape)
    ours = intervals.combined_ratios(right[..., np.newaxis], wholes[..., np.newaxis])
    scores = held(intervals.share_interval(ours), accuracy)
    if len(sizes) > 1:
        weights = intervals.bootstrap_weights(len(sizes), 1000)
        limits = intervals.interval(weights @ right.T / (weights @ wholes.T))
        scores |= {f"bootstrap_{name}": value for name, value in held(limits, accuracy).items()}
    return scores


def held(limits, truth) -> dict:
    """Share of intervals, (2, studies), that hold the truth, and their mean width."""
    low, high = limits
    holds = (low <= truth + intervals.NOTHING) & (truth - intervals.NOTHING <= high)
    return {"coverage": float(holds.mean()), "width": float((high - low).mean())}


def coverage_here(tracks: pd.DataFrame, groups: pd.Series) -> pd.DataFrame:
    """Measure how often intervals hold the truth for artists like those of one study.

    Skills vary around the model's accuracy, with one right and one wrong artist added to it.

    Parameters
    ----------
    tracks : pd.DataFrame
        From `track_probabilities`.
    groups : pd.Series
        Group (artist component) of each track_id.

    Returns
    -------
    pd.DataFrame
        Tracks of ("all" or a genre), artists, accuracy, low, high (95 %), and over 1000 simulated
        studies coverage and mean width of such intervals, and of a percentile bootstrap's.
    """
    table = pd.DataFrame({"right": tracks["y_true"] == tracks["y_pred"], "size": 1.0})
    table = table.assign(group=tracks["track_id"].map(groups), genre=tracks["y_true"])
    icc, rows = intervals.intraclass_correlation(table["right"], table["group"]), []
    for name, own in [("all", table), *table.groupby("genre", sort=False)]:
        sums = intervals.group_sums(own[["right", "size"]], own["group"])
        estimate = intervals.combined_ratios(sums[:, :1], sums[:, 1:])
        low, high = intervals.share_interval(estimate)
        assumed = float((estimate.value * estimate.groups + 1) / (estimate.groups + 2))
        row = {"tracks of": str(name), "artists": len(sums), "accuracy": float(estimate.value)}
        row |= {"low": float(low), "high": float(high)}
        rows.append(row | coverage(sums[:, 1], assumed, icc))
    return pd.DataFrame(rows)


def drawn_right(sizes, accuracy, icc, simulations, seed) -> np.ndarray:
    """Right predictions of each artist in simulated studies, (simulations, artists)."""
    rng, shape = np.random.default_rng(seed), (simulations, len(sizes))
    skill = np.full(shape, float(accuracy))
    if icc > 0 and 0 < accuracy < 1:
        together = 1 / min(icc, 0.99) - 1
        skill = rng.beta(accuracy * together, (1 - accuracy) * together, shape)
    return rng.binomial(np.asarray(sizes, dtype=int), skill)
