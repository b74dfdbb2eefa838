"""How sure are we: intervals and tests that respect artists.

Tracks of one artist succeed or fail together, so what varies from study to study is which artists
were drawn, and groups of tracks (artist components) are the unit of everything here.
"""

import itertools
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special, stats

PRIMARY_PAIRS = (("cnn", "rnn"), ("cnn", "hybrid"), ("rnn", "hybrid"))
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


def change_test(estimate: Estimate) -> float:
    """Two-sided p of a difference of two shares: below 0.05 where `change_interval` excludes 0."""
    size = min(abs(estimate.value), 1)
    if estimate.error > NOTHING:
        return float(2 * stats.t.sf(size / estimate.error, estimate.freedom))
    return float(min(1, 2 * (1 - size) ** max(estimate.groups, 1)))


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


def coverage(sizes, accuracy: float, icc: float, simulations: int = 1000, seed: int = 0) -> dict:
    """Measure how often 95 % intervals of the accuracy hold the truth, by simulated studies.

    Each artist draws a skill of its own from a beta distribution with mean `accuracy` and
    intraclass correlation `icc`, and its tracks are answered with that chance. Two intervals are
    computed in each study: `accuracy_interval`, and the percentile bootstrap for comparison.

    Parameters
    ----------
    sizes : array_like of int, shape (artists,)
        Tracks of each artist.
    accuracy, icc : float

    Returns
    -------
    dict
        coverage, width (mean), bootstrap_coverage, bootstrap_width.
    """
    right = drawn_answers(sizes, accuracy, icc, simulations, seed)
    wholes = np.broadcast_to(np.asarray(sizes, dtype=float), right.shape)
    ours = share_interval(combined_ratios(right[..., np.newaxis], wholes[..., np.newaxis]))
    found = {"": ours}
    if len(sizes) > 1:
        weights = bootstrap_weights(len(sizes), 1000, seed)
        found["bootstrap_"] = interval(weights @ right.T / (weights @ wholes.T))
    scores = {}
    for name, (low, high) in found.items():
        holds = (low <= accuracy + NOTHING) & (accuracy - NOTHING <= high)
        scores |= {
            f"{name}coverage": float(holds.mean()),
            f"{name}width": float((high - low).mean()),
        }
    return scores


def coverage_here(correct, groups, genre) -> pd.DataFrame:
    """`coverage` for artists like those of one study, over all genres and in each genre.

    Skills are simulated as alike within artists as this model's answers are, around its accuracy,
    one right and one wrong artist being added to it, so that no genre is taken for perfect.

    Parameters
    ----------
    correct, groups, genre : array_like, shape (tracks,)
        Whether a model was right, artist component, and true genre.

    Returns
    -------
    pd.DataFrame
        tracks of ("all" or a genre), artists, accuracy (in a genre: recall), low, high, and what
        `coverage` measures.
    """
    correct, groups, genre = (np.asarray(x) for x in (correct, groups, genre))
    icc, rows = intraclass_correlation(correct, groups), []
    chosen = {"all": np.ones(len(correct), dtype=bool)}
    for name, here in (chosen | {name: genre == name for name in pd.unique(genre)}).items():
        sums = group_sums(np.column_stack([correct, np.ones(len(correct))])[here], groups[here])
        estimate = combined_ratios(sums[:, :1], sums[:, 1:])
        low, high = share_interval(estimate)
        assumed = float((estimate.value * estimate.groups + 1) / (estimate.groups + 2))
        row = {"tracks of": str(name), "artists": len(sums), "accuracy": float(estimate.value)}
        row |= {"low": float(low), "high": float(high)}
        rows.append(row | coverage(sums[:, 1], assumed, icc))
    return pd.DataFrame(rows)


def drawn_answers(sizes, accuracy, icc, simulations, seed) -> np.ndarray:
    """Right answers of each artist in simulated studies, (simulations, artists): see `coverage`."""
    rng, shape = np.random.default_rng(seed), (simulations, len(sizes))
    skill = np.full(shape, float(accuracy))
    if icc > 0 and 0 < accuracy < 1:
        together = 1 / min(icc, 0.99) - 1
        skill = rng.beta(accuracy * together, (1 - accuracy) * together, shape)
    return rng.binomial(np.asarray(sizes, dtype=int), skill)


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
    if count < 2 or spread <= NOTHING:
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
        pair["ci95"] = difference_interval(one, other, groups).tolist()
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
        pair["separable"] = bool(pair["p_holm" if pair["primary"] else "p_value"] < LEVEL)
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


def in_words(pairs: list[dict]) -> str:
    """Say which of `main_pairs` can be told apart, and by how much."""
    parts = []
    for separable, verdict in ((True, "separable"), (False, "not separable")):
        told = [pair for pair in pairs if pair["primary"] and pair["separable"] == separable]
        if told:
            listed = "; ".join(_as_points(pair) for pair in told)
            parts.append(f"Of the paper's pairs {verdict}, in points: {listed}.")
    others = [pair for pair in pairs if not pair["primary"]]
    if others:
        unclear = [f"`{pair['b']}`" for pair in others if not pair["separable"]]
        level = [f"`{pair['b']}`" for pair in others if pair["difference"] == 0]
        text = f"`{others[0]['a']}`, which has the highest accuracy"
        text += f" (level with {' and '.join(level)})" if level else ""
        text += f", differs from {len(others) - len(unclear)} of the {len(others)} others"
        parts.append(text + (f", but not from {', '.join(unclear)}." if unclear else "."))
    return " ".join(parts)


def _as_points(pair):
    value, (low, high) = 100 * pair["difference"], [100 * limit for limit in pair["ci95"]]
    return f"`{pair['a']}` minus `{pair['b']}` {value:+.1f} [{low:+.1f}, {high:+.1f}]"


def secondary_in_words(pairs: list[dict]) -> str:
    """Say where the secondary tests would have decided otherwise than the primary one."""
    asked = [pair for pair in pairs if pair["primary"]] or pairs
    parts = []
    for key, name in (("mcnemar_p", "McNemar's test"), ("corrected_t_p", "the corrected t-test")):
        known = [pair for pair in asked if pair[key] is not None]
        other = [pair for pair in known if (pair[key] < LEVEL) != (pair["p_value"] < LEVEL)]
        named = ", ".join(f"`{pair['a']}` and `{pair['b']}`" for pair in other)
        if not known:
            parts.append(f"{name} is not defined here")
        elif other:
            parts.append(f"{name} alone would decide otherwise on {named}")
        else:
            parts.append(f"{name} decides on every pair as the sign flips do")
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]} (each at {LEVEL}, uncorrected)."


def coverage_in_words(table: pd.DataFrame, group_by: str = "artist") -> str:
    """Say what `coverage_here` measured, for all tracks and for the genres.

    `group_by` says what a group is, artist or track.
    """
    whole, genres = table[:1], table[1:]
    return (
        f"With {_span(whole['artists'], 'd')} {group_by}s like these, the interval of the overall "
        f"accuracy held the truth in {_span(whole['coverage'], '.1%')} of the simulated studies, "
        f"and a plain percentile bootstrap in {_span(whole['bootstrap_coverage'], '.1%')}. In the "
        f"genres, with {_span(genres['artists'], 'd')} {group_by}s each, it was "
        f"{_span(genres['coverage'], '.1%')} against {_span(genres['bootstrap_coverage'], '.1%')}."
    )


def _span(values, form):
    """Lowest and highest of some values, one of them where they look the same; NaN left out."""
    known = [f"{value:{form}}" for value in sorted(pd.Series(values).dropna())]
    return " to ".join(dict.fromkeys([known[0], known[-1]])) if known else "an unknown share"
