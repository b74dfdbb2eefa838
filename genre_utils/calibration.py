"""Whether probabilities mean what they say, and what a model gains by not answering when unsure."""

import numpy as np
import pandas as pd
from scipy import stats

from genre_utils import significance

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
    return content | {"abstaining": abstaining(*_answers(before, true), groups)}


def _answers(probabilities, true):
    """Confidence (highest probability) and whether the answer is right, (tracks,) each."""
    p = np.asarray(probabilities, dtype=float)
    return p.max(axis=1), p.argmax(axis=1) == np.asarray(true)


def _loss(probabilities, true):
    p = np.asarray(probabilities, dtype=float)
    return -np.log(np.maximum(p[np.arange(len(p)), np.asarray(true)], TINY))


def _mean(values, groups):
    sums = significance.group_sums(np.column_stack([values, np.ones(len(values))]), groups)
    estimate = significance.combined_ratios(sums[:, :1], sums[:, 1:])
    return {"value": float(estimate.value), "ci95": significance.mean_interval(estimate).tolist()}


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
        low, high = significance.accuracy_interval(correct[here], groups[here])
        row = (confidence[here].mean(), correct[here].mean(), low, high, int(here.sum()))
        rows.append(row)
    return pd.DataFrame(rows, columns=["confidence", "accuracy", "low", "high", "tracks"])


def expected_calibration_error(confidence, correct, groups) -> dict:
    """Mean distance of confidence and accuracy over bins of equal mass, and what chance makes it.

    ECE = sum_b (n_b / n) |accuracy_b - confidence_b| (Naeini, Cooper, Hauskrecht 2015, AAAI; Guo et
    al. 2017, ICML, equation 3). It is never below 0, so a well calibrated model has some, too: that
    error by chance is the mean of sum_b |gap*_b - gap_b| over bootstrap draws of whole artists (as
    consistency resampling, Brocker, Smith 2007, Weather and Forecasting 22, but with artists).
    The interval is Student's t of the signed gaps, `significance.combined_ratios`; where chance
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
    sums = significance.group_sums(np.column_stack([columns, np.ones(len(bins))]), groups)
    excess, sizes = sums[:, :-1], sums[:, -1:]
    gaps = excess.sum(axis=0) / sizes.sum()
    ece = float(abs(gaps).sum())
    signed = significance.combined_ratios(excess @ np.sign(gaps)[:, np.newaxis], sizes)
    low, high = np.clip(significance.mean_interval(signed), 0, 1).tolist()
    if len(sums) < 2:
        return {"ece": ece, "ece_ci95": [0.0, 1.0], "ece_by_chance": None}
    weights = significance.bootstrap_weights(len(sums))
    drawn = abs(weights @ excess / (weights @ sizes) - gaps).sum(axis=1)
    drawn *= np.sqrt(len(sums) / (len(sums) - 1))
    low = 0.0 if (drawn >= ece).mean() > significance.LEVEL / 2 else low
    return {"ece": ece, "ece_ci95": [low, high], "ece_by_chance": float(drawn.mean())}


def abstaining(confidence, correct, groups) -> dict:
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
    sums = significance.group_sums(rows, groups)
    parts, wholes = sums[:, [0, 2]], sums[:, [1, 3]]
    own = significance.combined_ratios(parts[:, :1], wholes[:, :1])
    gain = significance.combined_ratios(parts, wholes, (1.0, -1.0))
    return {
        "coverages": [float(rows.mean()) for rows in answered],
        "accuracies": [float(correct[rows].mean()) for rows in answered],
        "at": {
            "coverage": float(chosen.mean()),
            "accuracy": float(own.value),
            "ci95": significance.share_interval(own).tolist(),
            "gain": float(gain.value),
            "gain_ci95": significance.change_interval(gain).tolist(),
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


def abstaining_table(models: dict) -> pd.DataFrame:
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


def in_words(models: dict) -> str:
    """Say whose probabilities can be told from honest ones, and what scaling did to them."""
    found = {name: model["calibration"] for name, model in models.items()}
    off = [name for name, one in found.items() if one["before"]["ece_ci95"][0] > 0]
    parts = [f"In {len(off)} of {len(found)} models chance does not explain the calibration error"]
    sure = {name: one["before"]["overconfidence"]["ci95"] for name, one in found.items()}
    known = {name: limits for name, limits in sure.items() if None not in limits}
    for sign, word in ((1, "Too sure"), (-1, "Too unsure")):
        apart = (name for name, limits in known.items() if min(sign * x for x in limits) > 0)
        named = [f"`{name}`" for name in apart]
        if named:
            parts.append(f"{word} on the whole: {', '.join(named)}")
    return ". ".join([*parts, _scaling_in_words(found)])


def _scaling_in_words(found):
    changes = {
        name: one["cross_entropy_change"]
        for name, one in found.items()
        if one["after"] is not None and None not in one["cross_entropy_change"]["ci95"]
    }
    if not changes:
        return "No model has a temperature, so nothing was scaled."
    better = [name for name, change in changes.items() if change["ci95"][1] < 0]
    worse = [name for name, change in changes.items() if change["ci95"][0] > 0]
    text = "By more than chance explains, temperature scaling lowers the cross-entropy of "
    text += f"{len(better)} of the {len(changes)} models that were scaled, and raises that of "
    text += f"{len(worse)}"
    factors = [
        max(one["temperatures"]) / min(one["temperatures"])
        for one in found.values()
        if one.get("temperatures")
    ]
    if factors:
        text += f"; the temperatures of a model's folds differ by a factor of {min(factors):.1f}"
        text += f" to {max(factors):.1f}"
    reasons = {}
    for name, one in found.items():
        if one["after"] is None:
            reasons.setdefault(one["not_scaled"], []).append(f"`{name}`")
    left = [f"{', '.join(names)} ({why})" for why, names in reasons.items()]
    return text + (f". Not scaled: {'; '.join(left)}." if left else ".")


def abstaining_in_words(models: dict) -> str:
    """Say what the most accurate model gains by leaving out the tracks it is least sure of."""
    name = max(models, key=lambda name: models[name]["accuracy"])
    at = models[name]["calibration"]["abstaining"]["at"]
    low, high = at["gain_ci95"]
    sure = "" if low > 0 or high < 0 else ", an interval that holds 0"
    return (
        f"`{name}`, the most accurate, gets {at['accuracy']:.2f} right "
        f"({at['ci95'][0]:.2f} to {at['ci95'][1]:.2f}) where it answers {at['coverage']:.0%} of "
        f"the tracks: {100 * at['gain']:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}{sure}) "
        f"against {models[name]['accuracy']:.2f} on all."
    )


def shown_models(models: dict, named) -> list[str]:
    """Models to draw: those of `named` that there are, then the most accurate if it is not one."""
    best = max(models, key=lambda name: models[name]["accuracy"])
    return list(dict.fromkeys([*(name for name in named if name in models), best]))
