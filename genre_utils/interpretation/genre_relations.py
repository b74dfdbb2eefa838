"""How genres relate by the out-of-fold predictions of all models: confusion, distance, doubt.

Tracks of an artist are alike: artists are resampled, and no distance within an artist counts.
"""

import itertools
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist, squareform
from scipy.stats import entropy
from sklearn.metrics import cohen_kappa_score

from genre_utils.data import gtzan
from genre_utils.evaluation import intervals, scoring
from genre_utils.workspace import model_names
from genre_utils.workspace.study_folder import StudyFolder

FLOOR = 1e-3  # probabilities below count as this: so few tracks tell nothing of rarer events
RESAMPLES = 500  # of artists, for the tree of genres
MOST = 1500  # tracks that are compared with each other: all pairs take memory
UNSURE = 0.25  # share of the tracks that `borders` looks at: those nearest to a border


@dataclass(frozen=True)
class Predictions:
    """What every model of a study predicted for every track that was tested."""

    models: list[str]
    genres: list[str]
    tracks: pd.DataFrame  # track_id, fold, y_true, artist, group (artist component)
    p: np.ndarray  # (models, tracks, genres): mean probability over a track's excerpts

    @property
    def true(self) -> np.ndarray:
        """Index of each track's own genre, (tracks,)."""
        return pd.Index(self.genres).get_indexer(self.tracks["y_true"])

    @property
    def predicted(self) -> np.ndarray:
        """Index of the genre that each model finds most probable, (models, tracks)."""
        return self.p.argmax(axis=2)

    @property
    def groups(self) -> np.ndarray:
        """Group of each track, as integers from 0, (tracks,)."""
        return pd.factorize(self.tracks["group"], sort=True)[0]

    @property
    def votes(self) -> np.ndarray:
        """How many models predict each genre, (tracks, genres)."""
        return (self.predicted[..., np.newaxis] == np.arange(len(self.genres))).sum(axis=0)

    @property
    def evidence(self) -> np.ndarray:
        """That of all models for all genres, (tracks, models * genres), scaled by their number."""
        values = _evidence(self.p) / np.sqrt(len(self.models))
        return values.transpose(1, 0, 2).reshape(len(self.tracks), -1)


def load_predictions(study: StudyFolder) -> Predictions:
    """Read the out-of-fold predictions of every model that hears the music, each counted once.

    Parameters
    ----------
    study : StudyFolder
        The study.

    Returns
    -------
    Predictions
        Of whole tracks; a ValueError if the models were not tested on the same ones.
    """
    names = [name for name in study.require_models() if name not in model_names.NOT_HEARING]
    tables = [scoring.track_probabilities(study.predictions(name)) for name in names]
    tracks = tables[0][["track_id", "fold", "y_true"]]
    ids, artist = tracks["track_id"], study.tracks.set_index("track_id")["artist"]
    for name, table in zip(names, tables, strict=True):
        if not table["track_id"].equals(ids):
            raise ValueError(f"{name} was tested on other tracks than {names[0]}: train it again.")
    tracks = tracks.assign(artist=ids.map(artist), group=ids.map(study.groups))
    p = np.stack([table[[f"p_{genre}" for genre in study.genres]] for table in tables])
    return Predictions(names, study.genres, tracks, p)


def confusion(predictions: Predictions, *, seed: int = 0) -> tuple[np.ndarray, pd.DataFrame]:
    """Count how often the average model takes one genre for another.

    Parameters
    ----------
    predictions : Predictions
        From `load_predictions`.
    seed : int
        Of the bootstrap over artists.

    Returns
    -------
    matrix : np.ndarray, shape (genres, genres)
        Shares of the true genre (row), mean over models; NaN for a genre without a track.
    pairs : pd.DataFrame
        Columns a, b, a_as_b, b_as_a, confused (their mean), low, high (95 %); the highest first.
    """
    genres, groups = np.array(predictions.genres, dtype=object), predictions.groups
    k = len(genres)
    counts = np.zeros((groups.max() + 1, k, k))
    np.add.at(counts, (groups, predictions.true, predictions.predicted), 1)
    weights = intervals.bootstrap_weights(len(counts), seed=seed)
    matrix, drawn = _shares(counts.sum(axis=0)), _shares(np.tensordot(weights, counts, axes=1))
    i, j = np.triu_indices(k, 1)
    low, high = intervals.interval((drawn[:, i, j] + drawn[:, j, i]) / 2)
    pairs = {"a": genres[i], "b": genres[j], "confused": (matrix[i, j] + matrix[j, i]) / 2}
    pairs |= {"low": low, "high": high, "a_as_b": matrix[i, j], "b_as_a": matrix[j, i]}
    return matrix, pd.DataFrame(pairs).sort_values("confused", ascending=False, ignore_index=True)


def _shares(counts):
    """Rows of counts as shares; NaN for a genre without a track."""
    with np.errstate(invalid="ignore"):
        return counts / counts.sum(axis=-1, keepdims=True)


def _evidence(p):
    """Log-probability of each genre less their mean: the centred log-ratio of Aitchison (1982)."""
    logs = np.log(np.maximum(p, FLOOR))
    return logs - logs.mean(axis=-1, keepdims=True)


def _artist_distances(distances, true, groups):
    """Genre and group of each artist, and sum and number of the distances between two of them."""
    units = pd.DataFrame({"genre": true, "group": groups})  # an artist of two genres counts twice
    owner = units.groupby(["genre", "group"]).ngroup().to_numpy()
    units = units.drop_duplicates().sort_values(["genre", "group"], ignore_index=True)
    member = (owner[:, np.newaxis] == np.arange(len(units))).astype(float)
    group, sizes = units["group"].to_numpy(), member.sum(axis=0)
    apart = group[:, np.newaxis] != group
    return units, member.T @ distances @ member * apart, np.outer(sizes, sizes) * apart


def _genre_distances(units, sums, pairs, genres, weights=1.0):
    """Energy distance of genres (Székely, Rizzo 2013) over its largest value; NaN of one artist."""
    member = (units["genre"].to_numpy() == np.arange(genres)[:, np.newaxis]) * weights
    count = member @ pairs @ member.T
    mean = member @ sums @ member.T / np.where(count > 0, count, np.nan)
    within = np.diag(mean)
    ratio = (within[:, np.newaxis] + within) / np.where(mean > 0, 2 * mean, np.nan)
    found = np.where(mean == 0, 0, np.clip(1 - ratio, 0, 1))  # where all are at one place, 0
    found[np.diag_indices(genres)] = np.where(np.isnan(within), np.nan, 0)
    return found


class Tree(NamedTuple):
    """A tree of genres, and how often resampled artists give the same branches."""

    genres: list[str]  # those with at least two artists
    linkage: np.ndarray  # (genres - 1, 4): as scipy gives it, of average distances
    support: np.ndarray  # (genres - 1,): share of resamples with the same branch (Felsenstein 1985)
    nearest_support: float  # share of the resamples with the same two genres nearest
    resamples: int  # how many could be counted


def genre_tree(predictions: Predictions, *, seed: int = 0) -> Tree | None:
    """Join the genres from the nearest to the furthest, and resample artists to see what holds.

    Parameters
    ----------
    predictions : Predictions
        From `load_predictions`.
    seed : int
        Of the resamples, and of the choice of tracks where there are very many.

    Returns
    -------
    Tree or None
        None if fewer than two genres have two artists, so that nothing can be compared.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(predictions.tracks))[:MOST])
    true, groups = predictions.true[rows], pd.factorize(predictions.groups[rows])[0]
    artists = pd.Series(groups).groupby(true).nunique()
    kept = artists.index[artists > 1].to_numpy()
    if len(kept) < 2:
        return None
    chosen = np.isin(true, kept)
    distances = squareform(pdist(predictions.evidence[rows][chosen]))
    summed = _artist_distances(distances, np.searchsorted(kept, true[chosen]), groups[chosen])

    def joined(weights=1.0):
        found = _genre_distances(*summed, len(kept), weights)
        whole = np.isfinite(found).all()
        return linkage(squareform(found, checks=False), "average") if whole else None

    tree = joined()
    branches, drawn = _branches(tree), []
    for weights in intervals.bootstrap_weights(groups.max() + 1, RESAMPLES, seed):
        if (one := joined(weights[summed[0]["group"]])) is not None:
            drawn.append(_branches(one))
    held = [[branch in one for branch in branches] for one in drawn] or [np.nan * tree[:, 0]]
    nearest = [one[0] == branches[0] for one in drawn] or [np.nan]
    names = [predictions.genres[k] for k in kept]
    return Tree(names, tree, np.mean(held, axis=0), float(np.mean(nearest)), len(drawn))


def _branches(tree):
    """The set of leaves below each join of a linkage matrix, in its order."""
    leaves = [frozenset([k]) for k in range(len(tree) + 1)]
    for a, b in tree[:, :2].astype(int):
        leaves.append(leaves[a] | leaves[b])
    return leaves[len(tree) + 1 :]


def agreement(predictions: Predictions) -> pd.DataFrame:
    """Measure how alike the predictions of every two models are, beyond what accuracies give.

    Parameters
    ----------
    predictions : Predictions
        From `load_predictions`.

    Returns
    -------
    pd.DataFrame
        Columns a, b, kappa (of the predictions; Cohen 1960) and consistency (kappa of being right;
        Geirhos et al. 2020), each 0 by chance, 1 at most, NaN where chance gives 1.
    """
    predicted, right = predictions.predicted, predictions.predicted == predictions.true
    rows = [
        (a, b, _kappa(predicted[i], predicted[j]), _kappa(right[i], right[j]))
        for (i, a), (j, b) in itertools.combinations(enumerate(predictions.models), 2)
    ]
    return pd.DataFrame(rows, columns=["a", "b", "kappa", "consistency"])


def _kappa(a, b):
    return np.nan if len({*a, *b}) < 2 else float(cohen_kappa_score(a, b))


def unanimous_errors(predictions: Predictions) -> tuple[pd.DataFrame, dict]:
    """List tracks that every model puts into another genre than their label.

    Parameters
    ----------
    predictions : Predictions
        From `load_predictions`.

    Returns
    -------
    table : pd.DataFrame
        Columns track_id, artist, y_true, y_pred (most frequent), votes (for it), p_label (mean),
        row (in ``predictions.tracks``) and, of GTZAN, fault (published); the clearest first.
    share : dict of str to float
        Keys share (of the tracks), low, high (95 %, bootstrap over artists), and expected: the
        number of tracks if models erred independently of each other in each genre.
    """
    wrong, tracks = predictions.predicted != predictions.true, predictions.tracks
    rows = np.flatnonzero(wrong.all(axis=0))
    votes = predictions.votes[rows]
    table = tracks.iloc[rows][["track_id", "artist", "y_true"]].assign(
        y_pred=np.array(predictions.genres, dtype=object)[votes.argmax(axis=1)],
        votes=votes.max(axis=1, initial=0),
        p_label=predictions.p[:, rows, predictions.true[rows]].mean(axis=0),
        row=rows,
    )
    keys = [gtzan.track_key(track_id) for track_id in tracks["track_id"]]
    if all(keys):
        faults = {key: fault for fault, ids in gtzan.known_faults() for key in ids}
        table["fault"] = [faults.get(keys[row], "") for row in rows]
    order, ascending = ["votes", "p_label", "track_id"], [False, True, True]
    table = table.sort_values(order, ascending=ascending, ignore_index=True)
    errors = pd.DataFrame(wrong.T.astype(float)).groupby(predictions.true)
    expected = errors.transform("mean").prod(axis=1).sum()
    share = _share_with_interval(wrong.all(axis=0), predictions.groups)
    return table, share | {"expected": float(expected)}


def _share_with_interval(true, groups):
    found = intervals.group_mean(true[:, np.newaxis], groups)
    return dict(zip(("share", "low", "high"), (float(value[0]) for value in found), strict=True))


def doubt(predictions: Predictions) -> tuple[dict[str, np.ndarray], pd.DataFrame]:
    """Compare how unsure each model is of each track with what the other models predict.

    Parameters
    ----------
    predictions : Predictions
        From `load_predictions`; of at least two models, else a ValueError.

    Returns
    -------
    values : dict of str to np.ndarray, shape (models, tracks)
        "entropy" of the model's own probabilities (bits); "border": difference between the two
        highest mean evidences of the others; "split": share of them that are in the minority.
    correlations : pd.DataFrame
        Of the entropy with border and split (rows): mean rank correlation, low, high (95 %).
    """
    count = len(predictions.models)
    if count < 2:
        raise ValueError("doubt needs at least two models to compare.")
    p = predictions.p
    others = [replace(predictions, p=np.delete(p, own, axis=0)) for own in range(count)]
    border = np.array([_margin(one)[0] for one in others])
    split = np.array([1 - one.votes.max(axis=1) / (count - 1) for one in others])
    unsure, values = entropy(p, base=2, axis=2), {"border": border, "split": split}
    of = predictions.groups
    rows = {what: intervals.rank_correlation(unsure, one, of) for what, one in values.items()}
    correlations = pd.DataFrame.from_dict(rows, "index", columns=["correlation", "low", "high"])
    return {"entropy": unsure} | values, correlations


def _margin(predictions):
    """Difference between a track's two highest mean evidences, and the genres in rising order."""
    mean = _evidence(predictions.p).mean(axis=0)
    highest = np.sort(mean, axis=1)
    return highest[:, -1] - highest[:, -2], np.argsort(mean, axis=1)


def borders(predictions: Predictions) -> tuple[pd.DataFrame, dict]:
    """Find between which two genres the least decided tracks lie, by the mean evidence of models.

    Parameters
    ----------
    predictions : Predictions
        From `load_predictions`.

    Returns
    -------
    pairs : pd.DataFrame
        Columns a, b, share (of the quarter of tracks that lie nearest to a border).
    undecided : dict of str to float
        Keys share (of all tracks: no genre has more than half of the models), low, high (95 %).
    """
    margin, order = _margin(predictions)
    near = np.argsort(margin, kind="stable")[: max(1, round(UNSURE * len(margin)))]
    pairs = pd.DataFrame(np.sort(order[near, -2:], axis=1), columns=["a", "b"])
    pairs = pairs.value_counts(normalize=True).rename("share").reset_index()
    pairs[["a", "b"]] = np.array(predictions.genres, dtype=object)[pairs[["a", "b"]]]
    split = predictions.votes.max(axis=1) <= len(predictions.models) / 2
    return pairs, _share_with_interval(split, predictions.groups)
