"""TODO evaluation.coverage."""

import numpy as np
import pandas as pd

from genre_utils.evaluation import intervals


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
    ours = intervals.share_interval(
        intervals.combined_ratios(right[..., np.newaxis], wholes[..., np.newaxis])
    )
    found = {"": ours}
    if len(sizes) > 1:
        weights = intervals.bootstrap_weights(len(sizes), 1000, seed)
        found["bootstrap_"] = intervals.interval(weights @ right.T / (weights @ wholes.T))
    scores = {}
    for name, (low, high) in found.items():
        holds = (low <= accuracy + intervals.NOTHING) & (accuracy - intervals.NOTHING <= high)
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
    icc, rows = intervals.intraclass_correlation(correct, groups), []
    chosen = {"all": np.ones(len(correct), dtype=bool)}
    for name, here in (chosen | {name: genre == name for name in pd.unique(genre)}).items():
        sums = intervals.group_sums(
            np.column_stack([correct, np.ones(len(correct))])[here], groups[here]
        )
        estimate = intervals.combined_ratios(sums[:, :1], sums[:, 1:])
        low, high = intervals.share_interval(estimate)
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
