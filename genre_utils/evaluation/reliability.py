"""Whether probabilities mean what they say, and what a model gains by selective classification."""

import numpy as np
import pandas as pd
from scipy import stats

from genre_utils.evaluation import calibration, intervals

TRACKS_PER_BIN = 25  # about; fewer make the error by chance large
MOST_BINS = 10
COVERAGE = 0.8  # share of the tracks that a selective model classifies
_COVERAGES = np.arange(1, 21) / 20


def describe(before, true, groups, after=None) -> dict:
    """Calibration and selective classification of one model.

    `before`, and `after` temperature scaling, are probabilities (tracks, genres), `true` is the
    column of the true genre. Holds before and after (see `reliability`), cross_entropy_change
    (nats, after less before, with its ci95), and abstaining (see `selective`).
    """
    content: dict = {"before": reliability(before, true, groups)}
    content |= {"after": None, "cross_entropy_change": None}
    if after is not None:
        content["after"] = reliability(after, true, groups)
        losses = (calibration.cross_entropy(p, true) for p in (after, before))
        content["cross_entropy_change"] = _mean(np.subtract(*losses), groups)
    confidence, correct = _confidence(before, true)
    return content | {"abstaining": selective(confidence, correct, groups)}


def _confidence(p, true):
    """Highest probability of each track, and whether it is that of the true genre."""
    return p.max(axis=1), p.argmax(axis=1) == true


def _mean(values, groups):
    estimate = intervals.mean_estimate(values, groups)
    return {"value": float(estimate.value), "ci95": intervals.mean_interval(estimate).tolist()}


def reliability(p, true, groups) -> dict:
    """Compare how confident a model is with how often it is right.

    Holds what `expected_calibration_error` finds, overconfidence (mean confidence less accuracy)
    and cross_entropy (mean, nats), each with its ci95, and lists of bins.
    """
    confidence, correct = _confidence(p, true)
    groups, bins, rows = np.asarray(groups), bin_of(confidence), []
    for number in range(bins.max() + 1):
        here = bins == number
        low, high = intervals.accuracy_interval(correct[here], groups[here])
        rows.append((confidence[here].mean(), correct[here].mean(), low, high, int(here.sum())))
    names = ["confidence", "accuracy", "low", "high", "tracks"]
    return {
        **expected_calibration_error(confidence, correct, groups),
        "overconfidence": _mean(confidence - correct, groups),
        "cross_entropy": _mean(calibration.cross_entropy(p, true), groups),
        "bins": pd.DataFrame(rows, columns=names).to_dict("list"),
    }


def bin_of(confidence) -> np.ndarray:
    """Bin of each track, of equal mass (Roelofs et al. 2022), equal confidences in one bin."""
    count = len(confidence)
    bins = min(max(count // TRACKS_PER_BIN, 2), MOST_BINS)
    rank = stats.rankdata(confidence) - 0.5
    return np.unique((rank / count * bins).astype(int), return_inverse=True)[1]


def expected_calibration_error(confidence, correct, groups) -> dict:
    """Mean distance of confidence and accuracy over bins of equal mass, and what chance makes it.

    ECE = sum_b (n_b / n) |accuracy_b - confidence_b| (Naeini, Cooper, Hauskrecht 2015, AAAI; Guo et
    al. 2017, ICML, equation 3). A well calibrated model has some, too: that error by chance is the
    mean of sum_b |gap*_b - gap_b| over bootstrap draws of artists (as consistency resampling,
    Brocker, Smith 2007, Weather and Forecasting 22). The interval is Student's t of the signed
    gaps; where chance makes as large an error in over 2.5 % of the draws, its lower limit is 0.
    """
    confidence, correct = np.asarray(confidence, float), np.asarray(correct, float)
    bins = bin_of(confidence)
    columns = (correct - confidence)[:, np.newaxis] * (bins[:, np.newaxis] == np.unique(bins))
    sums = intervals.group_sums(np.column_stack([columns, np.ones(len(bins))]), groups)
    excess, sizes = sums[:, :-1], sums[:, -1:]
    gaps = excess.sum(axis=0) / sizes.sum()
    ece = float(abs(gaps).sum())
    signed = intervals.combined_ratios(excess @ np.sign(gaps)[:, np.newaxis], sizes)
    low, high = np.clip(intervals.mean_interval(signed), 0, 1).tolist()
    if len(sums) < 2:
        return {"ece": ece, "ece_ci95": [0.0, 1.0], "ece_by_chance": None}
    weights = intervals.bootstrap_weights(len(sums))
    drawn = abs(weights @ excess / (weights @ sizes) - gaps).sum(axis=1)
    drawn *= np.sqrt(len(sums) / (len(sums) - 1))
    low = 0.0 if (drawn >= ece).mean() > intervals.LEVEL / 2 else low
    return {"ece": ece, "ece_ci95": [low, high], "ece_by_chance": float(drawn.mean())}


def selective(confidence, correct, groups) -> dict:
    """What a model gains by classifying only the tracks that it is surest of.

    Selective classification (El-Yaniv, Wiener 2010, JMLR 11): coverages (shares of the tracks
    classified) and accuracies, and at COVERAGE, or more where confidences are equal, the gain too.
    """
    confidence, correct = np.asarray(confidence, float), np.asarray(correct, float)
    kept = [confidence >= _threshold(confidence, share) for share in _COVERAGES]
    chosen = (confidence >= _threshold(confidence, COVERAGE)).astype(float)
    rows = np.column_stack([chosen * correct, chosen, correct, np.ones(len(correct))])
    sums = intervals.group_sums(rows, groups)
    parts, wholes = sums[:, [0, 2]], sums[:, [1, 3]]
    own = intervals.combined_ratios(parts[:, :1], wholes[:, :1])
    gain = intervals.combined_ratios(parts, wholes, (1.0, -1.0))
    return {
        "coverages": [float(rows.mean()) for rows in kept],
        "accuracies": [float(correct[rows].mean()) for rows in kept],
        "at": {
            "coverage": float(chosen.mean()),
            "accuracy": float(own.value),
            "ci95": intervals.share_interval(own).tolist(),
            "gain": float(gain.value),
            "gain_ci95": intervals.change_interval(gain).tolist(),
            "tracks": int(chosen.sum()),
        },
    }


def _threshold(confidence, share):
    """Confidence of the last of the surest tracks that make up the given share."""
    return np.sort(confidence)[::-1][int(np.ceil(round(share * len(confidence), 9))) - 1]
