"""Whether two models differ: tests over artists, and their corrections for being several."""

import itertools

import numpy as np
import pandas as pd
from scipy import stats

from genre_utils.evaluation import intervals
from genre_utils.workspace import model_names

PRIMARY_PAIRS = tuple(itertools.combinations(model_names.PAPER_MODELS, 2))


def change_test(estimate: intervals.Estimate) -> float:
    """Two-sided p of a difference of two shares: below 0.05 where `change_interval` excludes 0."""
    size = min(float(abs(estimate.value)), 1.0)
    if estimate.error > intervals.NOTHING:
        return float(2 * stats.t.sf(size / estimate.error, estimate.freedom))
    return float(min(1, 2 * (1 - size) ** max(float(estimate.groups), 1.0)))


def sign_flip_test(correct_a, correct_b, groups) -> float:
    """Two-sided p of equal accuracy: exact sign-flip permutation test over groups, all (rows,).

    If two models are interchangeable, the sum of (a correct - b correct) over an artist is as
    likely as its negative (Winkler et al. 2015, NeuroImage 123, whole-block sign flipping). The
    exact distribution of the integer sums is a product of polynomials (Pagano, Tritchler 1983, J.
    Am. Stat. Assoc. 78). One track per group: McNemar's exact test.
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
    return np.minimum(stepped, 1)[np.argsort(order)]


def compare_models(correct: pd.DataFrame, groups, group_by: str) -> list[dict]:
    """Difference in accuracy of every pair of columns of `correct`, bool (tracks, models).

    Pairs of the paper's models are primary: separable (significantly different) if p_holm < 0.05,
    corrected over those. The others are exploratory: p_holm None, separable if p_value < 0.05.
    p_all is corrected over all pairs.
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
        pairs.append(pair)
    primary = [pair for pair in pairs if pair["primary"]]
    for pair, p_holm in zip(primary, holm([pair["p_value"] for pair in primary]), strict=True):
        pair["p_holm"] = float(p_holm)
    for pair, p_all in zip(pairs, holm([pair["p_value"] for pair in pairs]), strict=True):
        pair["p_all"] = float(p_all)
        pair["separable"] = bool(pair["p_holm" if pair["primary"] else "p_value"] < intervals.LEVEL)
    return pairs


def main_pairs(models: dict, pairwise: list[dict]) -> list[dict]:
    """Choose pairs to show: the paper's three, then the best model by sound less each other one.

    Parameters
    ----------
    models, pairwise : dict of str to dict, list of dict
        As in results.json.

    Returns
    -------
    list of dict
        Of `pairwise`; the exploratory ones are turned so that `a` is the best model by sound.
    """
    best = model_names.best_by_sound(models)
    others = [pair for pair in pairwise if best in (pair["a"], pair["b"]) and not pair["primary"]]
    led = [pair if pair["a"] == best else turned(pair) for pair in others]
    primary = [pair for pair in pairwise if pair["primary"]]
    return primary + sorted(led, key=lambda pair: -pair["difference"])


def turned(pair: dict) -> dict:
    """Turn a pair: b less a."""
    swapped = {"a": pair["b"], "b": pair["a"], "difference": -pair["difference"]}
    counts = {"only_a": pair["only_b"], "only_b": pair["only_a"]}
    return pair | swapped | counts | {"ci95": [-limit for limit in pair["ci95"][::-1]]}


def costs(results: dict) -> pd.DataFrame:
    """Set the accuracy of every model beside its cost, and tell whether a cheaper one is as good.

    Parameters
    ----------
    results : dict
        Content of results.json.

    Returns
    -------
    pd.DataFrame
        Indexed by model: accuracy, low, high, training_cpu_seconds, parameters, and for both
        whether it is on the Pareto front (no other model is at least as accurate and cheaper, or
        more accurate and no dearer): ``on_front_training_cpu_seconds``, ``on_front_parameters``.
    """
    models, costs = results["models"], ["training_cpu_seconds", "parameters"]
    table = pd.DataFrame.from_dict(models, orient="index")[["accuracy", *costs]].astype(float)
    limits = [model["ci95"]["accuracy"] for model in models.values()]
    table[["low", "high"]] = np.array(limits, float).reshape(-1, 2)
    for cost in costs:
        table[f"on_front_{cost}"] = _on_front(table["accuracy"].to_numpy(), table[cost].to_numpy())
    return table


def _on_front(accuracy, cost):
    """Whether nothing is as accurate and cheaper, or more accurate and no dearer; not without."""
    other_accuracy, other_cost = accuracy[:, np.newaxis], cost[:, np.newaxis]
    no_worse = (other_accuracy >= accuracy) & (other_cost <= cost)
    better = (other_accuracy > accuracy) | (other_cost < cost)
    return ~(no_worse & better).any(axis=0) & np.isfinite(cost)
