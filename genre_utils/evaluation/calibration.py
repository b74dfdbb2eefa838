"""Whether probabilities mean what they say, and what a model gains by not answering when unsure."""

import numpy as np
import pandas as pd
from scipy import stats
from scipy.optimize import minimize_scalar

from genre_utils.evaluation import intervals, scoring

TINY = 1e-12  # probabilities below count as this, so that their logarithm is finite


def temperature(tracks: pd.DataFrame) -> float:
    """Temperature T that makes the probabilities p^(1/T), scaled to sum to 1, most likely.

    Temperature scaling (Guo et al. 2017, On calibration of modern neural networks, ICML) of the
    mean probabilities of whole tracks: above 1 the model was too sure, below too unsure.

    Parameters
    ----------
    tracks : pd.DataFrame
        As `track_probabilities` gives them, of tracks that the model did not learn from.

    Returns
    -------
    float
        Between 0.1 and 10.
    """

    def cross_entropy(log_temperature):
        scaled = apply_temperature(tracks, np.exp(log_temperature))
        right = scaled.to_numpy()[np.arange(len(tracks)), true]
        return -np.log(np.maximum(right, TINY)).mean()

    columns = scoring.probability_columns(tracks)
    true = pd.Index(columns).get_indexer("p_" + tracks["y_true"])
    reach = np.log(10)
    return float(np.exp(minimize_scalar(cross_entropy, bounds=(-reach, reach)).x))


def apply_temperature(tracks: pd.DataFrame, temperature) -> pd.DataFrame:
    """Probabilities p^(1/T) of `tracks`, scaled to sum to 1.

    Parameters
    ----------
    tracks : pd.DataFrame
        With columns p_GENRE.
    temperature : float or array_like, shape (tracks,)
    """
    p = tracks[scoring.probability_columns(tracks)].astype(float).clip(lower=TINY)
    powers = np.log(p).div(np.broadcast_to(temperature, len(p)), axis=0)
    powers = np.exp(powers.sub(powers.max(axis=1), axis=0))
    return powers.div(powers.sum(axis=1), axis=0)


TRACKS_PER_BIN = 25  # about; fewer make the error of chance large
MOST_BINS = 10
COVERAGE = 0.8  # share of the tracks that a model answers when it may leave out the others
COVERAGES = np.arange(1, 21) / 20
TINY = 1e-12  # probabilities below count as this, so that their logarithm is finite


def describe(before, true, groups, after=None) -> dict:
    """Calibration and abstaining of one model, from the probabilities of whole tracks.

    Parameters
    ----------
    before, after : array_like, shape (tracks, genres)
        Probabilities as the model gives them, and temperature-scaled ones if there are any.
    true : array_like of int, shape (tracks,)
        Column of the true genre.
    groups : array_like, shape (tracks,)
        Whose tracks are alike (artist component).

    Returns
    -------
    dict
        before and after (None without): see `reliability`; cross_entropy_change (nats, after less
        before) with its ci95, None without; abstaining: see `abstaining`.
    """
    content = {"before": reliability(before, true, groups), "after": None}
    content["cross_entropy_change"] = None
    if after is not None:
        content["after"] = reliability(after, true, groups)
        change = _loss(after, true) - _loss(before, true)
        content["cross_entropy_change"] = _mean(change, groups)
    return content | {"abstaining": selective(*_answers(before, true), groups)}


def _answers(probabilities, true):
    """Confidence (highest probability) and whether the answer is right, (tracks,) each."""
    p = np.asarray(probabilities, dtype=float)
    return p.max(axis=1), p.argmax(axis=1) == np.asarray(true)


def _loss(probabilities, true):
    p = np.asarray(probabilities, dtype=float)
    return -np.log(np.maximum(p[np.arange(len(p)), np.asarray(true)], TINY))


def _mean(values, groups):
    sums = intervals.group_sums(np.column_stack([values, np.ones(len(values))]), groups)
    estimate = intervals.combined_ratios(sums[:, :1], sums[:, 1:])
    return {"value": float(estimate.value), "ci95": intervals.mean_interval(estimate).tolist()}


def reliability(probabilities, true, groups) -> dict:
    """Compare how sure a model is with how often it is right.

    Returns
    -------
    dict
        ece, ece_ci95 and ece_by_chance (see `expected_calibration_error`), overconfidence (mean
        confidence less accuracy), cross_entropy (mean, nats), each a value with its ci95; bins:
        confidence, accuracy, low, high (95 %) and tracks of each, lists.
    """
    confidence, correct = _answers(probabilities, true)
    rows = reliability_bins(confidence, correct, groups)
    return {
        **expected_calibration_error(confidence, correct, groups),
        "overconfidence": _mean(confidence - correct, groups),
        "cross_entropy": _mean(_loss(probabilities, true), groups),
        "bins": rows.to_dict("list"),
    }


def bin_of(confidence) -> np.ndarray:
    """Bin of each track: about as many tracks in each, and equal confidences in one bin.

    Bins of equal mass make the calibration error less biased than those of equal width (Roelofs et
    al. 2022, Mitigating bias in calibration error estimation, AISTATS).
    """
    count = len(confidence)
    bins = min(max(count // TRACKS_PER_BIN, 2), MOST_BINS)
    rank = stats.rankdata(confidence) - 0.5
    return np.unique((rank / count * bins).astype(int), return_inverse=True)[1]


def reliability_bins(confidence, correct, groups) -> pd.DataFrame:
    """Mean confidence and accuracy in each bin: confidence, accuracy, low, high, tracks."""
    confidence, correct, groups = (np.asarray(x) for x in (confidence, correct, groups))
    rows, bins = [], bin_of(confidence)
    for number in range(bins.max() + 1):
        here = bins == number
        low, high = intervals.accuracy_interval(correct[here], groups[here])
        row = (confidence[here].mean(), correct[here].mean(), low, high, int(here.sum()))
        rows.append(row)
    return pd.DataFrame(rows, columns=["confidence", "accuracy", "low", "high", "tracks"])


def expected_calibration_error(confidence, correct, groups) -> dict:
    """Mean distance of confidence and accuracy over bins of equal mass, and what chance makes it.

    ECE = sum_b (n_b / n) |accuracy_b - confidence_b| (Naeini, Cooper, Hauskrecht 2015, AAAI; Guo et
    al. 2017, ICML, equation 3). It is never below 0, so a well calibrated model has some, too: that
    error by chance is the mean of sum_b |gap*_b - gap_b| over bootstrap draws of whole artists (as
    consistency resampling, Brocker, Smith 2007, Weather and Forecasting 22, but with artists).
    The interval is Student's t of the signed gaps, `intervals.combined_ratios`; where chance
    makes an error as large in more than 2.5 % of the draws, its lower limit is 0.

    Parameters
    ----------
    confidence, correct, groups : array_like, shape (tracks,)

    Returns
    -------
    dict
        ece, ece_ci95, ece_by_chance (None with a single group).
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
    """What a model gains by answering only where it is most sure (El-Yaniv, Wiener 2010, JMLR 11).

    Returns
    -------
    dict
        coverages and accuracies: share of the tracks answered and accuracy on them, lists; at:
        coverage (COVERAGE, more where confidences are equal), accuracy and ci95 on those tracks,
        gain over answering all of them with gain_ci95, tracks.
    """
    confidence, correct = np.asarray(confidence, float), np.asarray(correct, float)
    answered = [confidence >= _threshold(confidence, share) for share in COVERAGES]
    chosen = (confidence >= _threshold(confidence, COVERAGE)).astype(float)
    rows = np.column_stack([chosen * correct, chosen, correct, np.ones(len(correct))])
    sums = intervals.group_sums(rows, groups)
    parts, wholes = sums[:, [0, 2]], sums[:, [1, 3]]
    own = intervals.combined_ratios(parts[:, :1], wholes[:, :1])
    gain = intervals.combined_ratios(parts, wholes, (1.0, -1.0))
    return {
        "coverages": [float(rows.mean()) for rows in answered],
        "accuracies": [float(correct[rows].mean()) for rows in answered],
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


def table(models: dict) -> pd.DataFrame:
    """Calibration of every model, before and after temperature scaling, as text to be read.

    Parameters
    ----------
    models : dict of str to dict
        As in results.json.
    """
    rows = {}
    for name, model in models.items():
        found = model["calibration"]
        before, after, change = found["before"], found["after"], found["cross_entropy_change"]
        rows[name] = {
            "ECE": _text(before["ece"], before["ece_ci95"], ".2f"),
            "by chance": f"{before['ece_by_chance']:.2f}" if before["ece_by_chance"] else "",
            "too sure by": _text(*before["overconfidence"].values(), "+.2f"),
            "cross-entropy": f"{before['cross_entropy']['value']:.2f}",
            "ECE, scaled": f"{after['ece']:.2f}" if after else "not scaled",
            "change of cross-entropy": _text(*change.values(), "+.2f") if change else "",
        }
    return pd.DataFrame(rows).T.rename_axis("model")


def selective_table(models: dict) -> pd.DataFrame:
    """Accuracy of every model on all tracks and on those that it is surest of, as text."""
    rows = {}
    for name, model in models.items():
        at = model["calibration"]["abstaining"]["at"]
        rows[name] = {
            "all tracks": f"{model['accuracy']:.2f}",
            "share answered": f"{at['coverage']:.0%}",
            "accuracy on these": _text(at["accuracy"], at["ci95"], ".2f"),
            "gain": _text(at["gain"], at["gain_ci95"], "+.2f"),
        }
    return pd.DataFrame(rows).T.rename_axis("model")


def _text(value, limits, form):
    known = None not in limits  # with a single artist there is no limit
    return f"{value:{form}}" + (f" [{limits[0]:{form}}, {limits[1]:{form}}]" if known else "")


def shown_models(models: dict, named) -> list[str]:
    """Models to draw: those of `named` that there are, then the most accurate if it is not one."""
    best = max(models, key=lambda name: models[name]["accuracy"])
    return list(dict.fromkeys([*(name for name in named if name in models), best]))
