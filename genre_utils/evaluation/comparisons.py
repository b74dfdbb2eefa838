"""TODO evaluation.comparisons."""

import itertools

import numpy as np
import pandas as pd
from scipy import stats

from genre_utils.evaluation import intervals

PRIMARY_PAIRS = (("cnn", "rnn"), ("cnn", "hybrid"), ("rnn", "hybrid"))


def change_test(estimate: intervals.Estimate) -> float:
    """Two-sided p of a difference of two shares: below 0.05 where `change_interval` excludes 0."""
    size = min(abs(estimate.value), 1)
    if estimate.error > intervals.NOTHING:
        return float(2 * stats.t.sf(size / estimate.error, estimate.freedom))
    return float(min(1, 2 * (1 - size) ** max(estimate.groups, 1)))


def sign_flip_test(correct_a, correct_b, groups) -> float:
    """Two-sided p of equal accuracy: exact paired permutation test over groups, all (rows,).

    If two models are interchangeable, so are their answers on all tracks of an artist: the sum of
    (a correct - b correct) over an artist is as likely as its negative (Winkler et al. 2015,
    NeuroImage 123, whole-block sign flipping). The sums are integers, so the distribution over
    all 2^groups flips is a product of polynomials, computed without drawing any (Pagano,
    Tritchler 1983, J. Am. Stat. Assoc. 78). One track per group: McNemar's exact test.
    """
    difference = np.asarray(correct_a, dtype=int) - np.asarray(correct_b, dtype=int)
    sums = pd.Series(difference).groupby(np.asarray(groups)).sum().to_numpy()
    steps = abs(sums[sums != 0])
    reach = steps.sum()
    chance = np.zeros(2 * reach + 1)  # of each sum from -reach to reach
    chance[reach] = 1
    for step in steps:
        chance = (np.roll(chance, step) + np.roll(chance, -step)) / 2
    extreme = abs(np.arange(-reach, reach + 1)) >= abs(sums.sum())
    return min(1.0, float(chance[extreme].sum()))


def holm(p_values) -> np.ndarray:
    """Step-down adjusted p values (Holm 1979, Scand. J. Stat. 6)."""
    p_values = np.asarray(p_values, dtype=float)
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1))
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def mcnemar_test(correct_a, correct_b) -> float:
    """Two-sided p of equal accuracy over tracks: McNemar's test, exact (McNemar 1947).

    Of the tracks that one model alone gets right, as many are expected of each (binomial, 1/2).
    It takes the tracks of an artist for independent, so it is too sure where they are alike.
    """
    a, b = np.asarray(correct_a, dtype=bool), np.asarray(correct_b, dtype=bool)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    return float(stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def corrected_t_test(correct_a, correct_b, folds) -> float | None:
    """Two-sided p of equal accuracy over folds: the corrected resampled t-test.

    With the differences d_j of J folds: t = mean(d) / sqrt((1/J + n_test/n_train) var(d)), on J - 1
    degrees of freedom (Nadeau, Bengio 2003, Machine Learning 52). The second term stands for what
    folds share in training, approximately; in a cross-validation it is 1 / (J - 1).

    Returns
    -------
    float or None
        None where it is undefined: with one fold, or with the same difference in all.
    """
    difference = np.asarray(correct_a, dtype=float) - np.asarray(correct_b, dtype=float)
    by_fold = pd.Series(difference).groupby(np.asarray(folds)).mean()
    count, spread = len(by_fold), by_fold.std()
    if count < 2 or spread <= intervals.NOTHING:
        return None
    t = by_fold.mean() / (spread * np.sqrt(1 / count + 1 / (count - 1)))
    return float(2 * stats.t.sf(abs(t), count - 1))


def compare_models(correct: pd.DataFrame, groups, group_by: str, folds=None) -> list[dict]:
    """Difference in accuracy of every pair of columns of `correct`, bool (tracks, models).

    Pairs among the paper's three models are primary: Holm's correction over those, separable if
    p_holm < 0.05. The others are exploratory: p_holm None, separable if p_value < 0.05. Two more
    tests decide nothing: mcnemar_p and, given the fold of each row, corrected_t_p.
    `group_by` says what a group is, artist or track.
    """
    accuracy, pairs = correct.mean(), []
    for a, b in itertools.combinations(correct.columns, 2):
        one, other = correct[a].to_numpy(bool), correct[b].to_numpy(bool)
        pair = {"a": a, "b": b, "difference": float(accuracy[a] - accuracy[b])}
        pair["ci95"] = intervals.difference_interval(one, other, groups).tolist()
        pair["p_value"] = sign_flip_test(one, other, groups)
        pair["test"] = f"sign-flip permutation over {group_by}s"
        pair |= {"p_holm": None, "primary": (a, b) in PRIMARY_PAIRS, "separable": None}
        pair |= {"only_a": int((one & ~other).sum()), "only_b": int((other & ~one).sum())}
        pair["mcnemar_p"] = mcnemar_test(one, other)
        pair["corrected_t_p"] = None if folds is None else corrected_t_test(one, other, folds)
        pairs.append(pair)
    primary = [pair for pair in pairs if pair["primary"]]
    for pair, p_holm in zip(primary, holm([pair["p_value"] for pair in primary]), strict=True):
        pair["p_holm"] = float(p_holm)
    for pair in pairs:
        pair["separable"] = bool(pair["p_holm" if pair["primary"] else "p_value"] < intervals.LEVEL)
    return pairs


def main_pairs(models: dict, pairwise: list[dict]) -> list[dict]:
    """Pairs to show: the paper's three, then the most accurate model less each other one.

    Parameters
    ----------
    models, pairwise : dict, list of dict
        As in results.json.

    Returns
    -------
    list of dict
        Of `pairwise`; the exploratory ones are turned so that `a` is the most accurate model.
    """
    best = max(models, key=lambda name: models[name]["accuracy"])
    others = [pair for pair in pairwise if best in (pair["a"], pair["b"]) and not pair["primary"]]
    turned = [pair if pair["a"] == best else _turned(pair) for pair in others]
    primary = [pair for pair in pairwise if pair["primary"]]
    return primary + sorted(turned, key=lambda pair: -pair["difference"])


def _turned(pair):
    swapped = {"a": pair["b"], "b": pair["a"], "difference": -pair["difference"]}
    counts = {"only_a": pair["only_b"], "only_b": pair["only_a"]}
    return pair | swapped | counts | {"ci95": [-limit for limit in pair["ci95"][::-1]]}
