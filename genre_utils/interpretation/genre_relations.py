"""How genres relate, as the out-of-fold answers of all models tell it: confusion, distance, doubt.

Every model says how probable each genre is for a track of an artist that it never met. These
answers mean the same in every fold and for every model, so that tracks can be compared by them.
Tracks of an artist are alike: what is resampled is artists, and no distance counts that lies
between two tracks of one artist.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist, squareform
from scipy.stats import entropy
from sklearn.decomposition import PCA
from sklearn.metrics import cohen_kappa_score

from genre_utils.data import gtzan
from genre_utils.evaluation import intervals, resampling, scoring, study_results
from genre_utils.workspace import files

FLOOR = 1e-3  # probabilities below count as this: so few tracks tell nothing of rarer events
MOST = 1500  # tracks that are compared with each other: all pairs take memory
UNSURE = 0.25  # share of the tracks that `borders` looks at: those nearest to a border


@dataclass(frozen=True)
class Answers:
    """What every model of a study said of every track that was tested.

    Attributes
    ----------
    models, genres : list of str
    tracks : pd.DataFrame
        track_id, fold, y_true, artist and group (artist component) of each track.
    p : np.ndarray, shape (models, tracks, genres)
        Mean probability over a track's excerpts.
    """

    models: list[str]
    genres: list[str]
    tracks: pd.DataFrame
    p: np.ndarray

    @property
    def true(self) -> np.ndarray:
        """Index of each track's own genre, (tracks,)."""
        return pd.Index(self.genres).get_indexer(self.tracks["y_true"])

    @property
    def said(self) -> np.ndarray:
        """Index of the genre that each model finds most probable, (models, tracks)."""
        return self.p.argmax(axis=2)

    @property
    def groups(self) -> np.ndarray:
        """Group of each track, as integers from 0, (tracks,)."""
        return pd.factorize(self.tracks["group"], sort=True)[0]


def load_answers(study: Path) -> Answers:
    """Read the out-of-fold predictions of every finished model, but the ensemble.

    An ensemble is the mean of some of the others, and would count them twice.
    """
    genres = files.read_json(study / "corpus.json")["genres"]
    names = [name for name in study_results.finished_models(study) if name != "ensemble"]
    tables = [
        scoring.track_probabilities(pd.read_parquet(study / "predictions" / f"{name}.parquet"))
        for name in names
    ]
    tracks = tables[0][["track_id", "fold", "y_true"]]
    for name, table in zip(names, tables, strict=True):
        if list(table["track_id"]) != list(tracks["track_id"]):
            raise ValueError(
                f"{name} was tested on other tracks than {names[0]}: run the notebooks again that "
                "train them."
            )
    artist = pd.read_parquet(study / "tracks.parquet").set_index("track_id")["artist"]
    groups = scoring.groups_of(pd.read_parquet(study / "folds.parquet"))
    ids = tracks["track_id"]
    tracks = tracks.assign(artist=ids.map(artist), group=ids.map(groups))
    columns = [f"p_{genre}" for genre in genres]
    return Answers(names, genres, tracks, np.stack([table[columns] for table in tables]))


# ---------------------------------------------------------------------------- confusion


def confusion(answers: Answers) -> np.ndarray:
    """Share of each genre's tracks (row) that models put into each genre, mean over models."""
    return _shares(_counts(answers).sum(axis=0))


def _counts(answers):
    """Mean over models of the confusion matrix of every group, (groups, genres, genres)."""
    k, groups = len(answers.genres), answers.groups
    found = np.zeros((groups.max() + 1, k, k))
    for said in answers.said:
        np.add.at(found, (groups, answers.true, said), 1 / len(answers.models))
    return found


def _shares(counts):
    """Rows of counts as shares; NaN for a genre without a track."""
    with np.errstate(invalid="ignore"):
        return counts / counts.sum(axis=-1, keepdims=True)


def confused_pairs(answers: Answers, *, seed: int = 0) -> pd.DataFrame:
    """How often the average model takes one genre of a pair for the other, the most often first.

    Returns
    -------
    pd.DataFrame
        a, b, confused (mean of the two shares), low, high (95 %, bootstrap over artists), a_as_b
        and b_as_a: the shares.
    """
    counts = _counts(answers)
    shares = _shares(counts.sum(axis=0))
    weights = intervals.bootstrap_weights(len(counts), seed=seed)
    drawn = _shares(np.tensordot(weights, counts, axes=1))
    rows = []
    for i, j in itertools.combinations(range(len(answers.genres)), 2):
        low, high = intervals.interval((drawn[:, i, j] + drawn[:, j, i]) / 2)
        rows.append(
            {
                **{"a": answers.genres[i], "b": answers.genres[j]},
                **{"confused": (shares[i, j] + shares[j, i]) / 2, "low": low, "high": high},
                **{"a_as_b": shares[i, j], "b_as_a": shares[j, i]},
            }
        )
    return pd.DataFrame(rows).sort_values("confused", ascending=False, ignore_index=True)


# ---------------------------------------------------------------------------- distances


def evidence(p: np.ndarray) -> np.ndarray:
    """Log-probability of each genre less the mean over the genres, along the last axis.

    The centred log-ratio of Aitchison (1982, The statistical analysis of compositional data, J. R.
    Stat. Soc. B 44): differences of shares matter by their ratio. See `FLOOR`.
    """
    logs = np.log(np.maximum(p, FLOOR))
    return logs - logs.mean(axis=-1, keepdims=True)


def places(answers: Answers) -> np.ndarray:
    """Tracks in the space of all models' evidence, (tracks, models * genres).

    The squared distance of two tracks is the mean over the models of what each puts between them.
    """
    values = evidence(answers.p) / np.sqrt(len(answers.models))
    return values.transpose(1, 0, 2).reshape(len(answers.tracks), -1)


def track_distances(answers: Answers, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Distances of at most `MOST` tracks to each other, and which tracks these are."""
    count = len(answers.tracks)
    rows = np.sort(np.random.default_rng(seed).permutation(count)[:MOST])
    return squareform(pdist(places(answers)[rows])), rows


def artist_distances(distances, true, groups) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Sum up the distances between tracks by artist, so that artists can be resampled quickly.

    Parameters
    ----------
    distances : np.ndarray, shape (tracks, tracks)
    true, groups : np.ndarray of int, shape (tracks,)
        Genre and artist component; an artist of two genres counts as two, but not as apart.

    Returns
    -------
    units : pd.DataFrame
        genre and group of each of them.
    sums, pairs : np.ndarray, shape (units, units)
        Sum and number of the distances between the tracks of two of them, 0 within a group.
    """
    units = pd.DataFrame({"genre": true, "group": groups})
    owner = units.groupby(["genre", "group"]).ngroup().to_numpy()
    units = units.drop_duplicates().sort_values(["genre", "group"], ignore_index=True)
    member = (owner[:, np.newaxis] == np.arange(len(units))).astype(float)
    group = units["group"].to_numpy()
    apart = group[:, np.newaxis] != group
    sizes = member.sum(axis=0)
    return units, member.T @ distances @ member * apart, np.outer(sizes, sizes) * apart


def genre_distances(units: pd.DataFrame, sums, pairs, genres: int, weights=None) -> np.ndarray:
    """How far apart genres are: 0 where tracks of another genre are as near as those of the own.

    One less the mean distance within the two genres over that between them: the energy distance
    (Székely, Rizzo 2013) over its largest value. Only tracks of different artists are compared,
    since tracks of one artist are near each other whatever their genre.

    Parameters
    ----------
    units, sums, pairs
        From `artist_distances`.
    genres : int
    weights : np.ndarray, shape (units,), optional
        How often each unit counts; by default once.

    Returns
    -------
    np.ndarray, shape (genres, genres)
        0 to 1, 0 on the diagonal; NaN where a genre is left with fewer than two artists.
    """
    weights = np.ones(len(units)) if weights is None else weights
    member = (units["genre"].to_numpy()[:, np.newaxis] == np.arange(genres)) * weights[
        :, np.newaxis
    ]
    count = member.T @ pairs @ member
    mean = member.T @ sums @ member / np.where(count > 0, count, np.nan)
    within = np.diag(mean)
    ratio = (within[:, np.newaxis] + within) / np.where(mean > 0, 2 * mean, np.nan)
    found = np.where(mean == 0, 0, np.clip(1 - ratio, 0, 1))  # where all are at one place, 0
    found[np.diag_indices(genres)] = np.where(np.isnan(within), np.nan, 0)
    return found


@dataclass(frozen=True)
class Tree:
    """A tree of genres, and how often resampled artists give the same branches.

    Attributes
    ----------
    genres : list of str
        Those with at least two artists.
    distances : np.ndarray, shape (genres, genres)
        From `genre_distances`.
    linkage : np.ndarray, shape (genres - 1, 4)
        As `scipy.cluster.hierarchy.linkage` gives it (average linkage).
    support : np.ndarray, shape (genres - 1,)
        Share of the resamples that have a branch of just these genres.
    nearest_support : float
        Share of the resamples in which the same two genres are the nearest ones.
    resamples : int
        How many could be counted.
    """

    genres: list[str]
    distances: np.ndarray
    linkage: np.ndarray
    support: np.ndarray
    nearest_support: float
    resamples: int


def genre_tree(answers: Answers, *, seed: int = 0) -> Tree | None:
    """Join the genres from the nearest to the furthest, and resample artists to see what holds.

    The support of a branch is the bootstrap of Felsenstein (1985, Confidence limits on
    phylogenies, Evolution 39), with artists in place of sites. Resamples that leave a genre with
    fewer than two artists have no tree, and are not counted.

    Returns
    -------
    Tree or None
        None if fewer than two genres have two artists, so that nothing can be compared.
    """
    distances, rows = track_distances(answers, seed=seed)
    true, groups = answers.true[rows], pd.factorize(answers.groups[rows])[0]
    kept = np.flatnonzero(
        pd.Series(groups).groupby(true).nunique().reindex(range(len(answers.genres))) > 1
    )
    if len(kept) < 2:
        return None
    chosen = np.isin(true, kept)
    summed = artist_distances(
        distances[np.ix_(chosen, chosen)], np.searchsorted(kept, true[chosen]), groups[chosen]
    )
    whole = genre_distances(*summed, len(kept))
    tree, found = linkage(squareform(whole, checks=False), "average"), []
    for drawn in intervals.bootstrap_weights(groups.max() + 1, resampling.RESAMPLES, seed):
        one = genre_distances(*summed, len(kept), drawn[summed[0]["group"]])
        if np.isfinite(one).all():
            found.append(_branches(linkage(squareform(one, checks=False), "average")))
    branches = _branches(tree)
    held = np.array(
        [[branch in one for branch in branches] for one in found] or [np.nan * tree[:, 0]]
    )
    nearest = [one[0] == branches[0] for one in found] or [np.nan]
    names = [answers.genres[k] for k in kept]
    return Tree(names, whole, tree, held.mean(axis=0), float(np.mean(nearest)), len(found))


def _branches(tree):
    """The set of leaves below each join of a linkage matrix, in its order."""
    leaves = [frozenset([k]) for k in range(len(tree) + 1)]
    for a, b in tree[:, :2].astype(int):
        leaves.append(leaves[a] | leaves[b])
    return leaves[len(tree) + 1 :]


def foreign_neighbours(embedded: pd.DataFrame, answers: Answers) -> pd.DataFrame:
    """Genre of each track's nearest track of another genre, over what chance would give.

    Tracks are compared within a fold, since the embeddings of two networks have no direction in
    common; then the folds are counted together.

    Parameters
    ----------
    embedded : pd.DataFrame
        From `attribution.embeddings`.
    answers : Answers

    Returns
    -------
    pd.DataFrame, shape (genres, genres)
        How many times as often as by chance the neighbour of a track (row) is of a genre (column);
        NaN where chance gives none.
    """
    k, of = len(answers.genres), pd.Series(answers.true, index=answers.tracks["track_id"])
    found, chance = np.zeros((2, k, k))
    for _, table in embedded.groupby("fold"):
        true = of[table.index.get_level_values("track_id")].to_numpy()
        distances = squareform(pdist(table.to_numpy()))
        distances[true[:, np.newaxis] == true] = np.inf
        if len(set(true)) < 2:
            continue
        np.add.at(found, (true, true[distances.argmin(axis=1)]), 1)
        size = np.bincount(true, minlength=k)
        share = size / (len(true) - size)[:, np.newaxis]
        chance += size[:, np.newaxis] * share
    np.fill_diagonal(chance, 0)
    lift = np.divide(found, chance, out=np.full((k, k), np.nan), where=chance > 0)
    return pd.DataFrame(lift, index=answers.genres, columns=answers.genres)


def flat_map(answers: Answers) -> tuple[np.ndarray, np.ndarray]:
    """Tracks in the two directions in which their evidence differs most (Pearson 1901).

    Returns
    -------
    places : np.ndarray, shape (tracks, 2)
    explained : np.ndarray, shape (2,)
        Share of the variance along each.
    """
    values = places(answers)
    pca = PCA(2, svd_solver="full")
    return pca.fit_transform(values), pca.explained_variance_ratio_


# ---------------------------------------------------------------------------- agreement


def agreement(answers: Answers) -> pd.DataFrame:
    """How alike the answers of every two models are, beyond what their accuracies give.

    Returns
    -------
    pd.DataFrame
        a, b, same (share of tracks with the same answer), kappa (of the answers; Cohen 1960) and
        consistency (kappa of being right: do they fail on the same tracks? Geirhos, Meding,
        Wichmann 2020). A kappa is 0 by chance, 1 at most, and NaN where chance alone gives 1.
    """
    right = answers.said == answers.true
    rows = [
        {
            **{"a": answers.models[i], "b": answers.models[j]},
            "same": float(np.mean(answers.said[i] == answers.said[j])),
            "kappa": _kappa(answers.said[i], answers.said[j]),
            "consistency": _kappa(right[i], right[j]),
        }
        for i, j in itertools.combinations(range(len(answers.models)), 2)
    ]
    return pd.DataFrame(rows, columns=["a", "b", "same", "kappa", "consistency"])


def _kappa(a, b):
    return np.nan if len({*a, *b}) < 2 else float(cohen_kappa_score(a, b))


def unanimous_errors(answers: Answers) -> pd.DataFrame:
    """Tracks that every model puts into another genre than their label, the clearest first.

    Returns
    -------
    pd.DataFrame
        track_id, artist, y_true, heard_as (the most frequent answer), votes (models that give it),
        p_label (mean probability of the label) and row (place in ``answers.tracks``).
    """
    rows = np.flatnonzero((answers.said != answers.true).all(axis=0))
    votes = (answers.said[:, rows, np.newaxis] == np.arange(len(answers.genres))).sum(axis=0)
    table = answers.tracks.iloc[rows][["track_id", "artist", "y_true"]].assign(
        heard_as=np.array(answers.genres, dtype=object)[votes.argmax(axis=1)],
        votes=votes.max(axis=1, initial=0),
        p_label=answers.p[:, rows, answers.true[rows]].mean(axis=0),
        row=rows,
    )
    keys, ascending = ["votes", "p_label", "track_id"], [False, True, True]
    return table.sort_values(keys, ascending=ascending, ignore_index=True)


def expected_unanimous(answers: Answers) -> float:
    """How many `unanimous_errors` there would be if models erred independently in each genre."""
    wrong = answers.said != answers.true
    rates = pd.DataFrame(wrong.T.astype(float)).groupby(answers.true).transform("mean")
    return float(rates.prod(axis=1).sum())


def known_faults(track_ids) -> dict[str, str] | None:
    """Published faults of the tracks, where all of them are named as GTZAN's are; else None."""
    if not all(gtzan.track_key(track_id) for track_id in track_ids):
        return None
    faults = {key: fault for fault, ids in gtzan.known_faults() for key in ids}
    keys = {track_id: gtzan.track_key(track_id) for track_id in track_ids}
    return {track_id: faults[key] for track_id, key in keys.items() if key in faults}


# ---------------------------------------------------------------------------- doubt


def doubt(answers: Answers) -> dict[str, np.ndarray]:
    """How unsure each model is of each track, and what the other models say of it.

    Returns
    -------
    dict of str to np.ndarray, shape (models, tracks)
        "entropy" of the model's own probabilities, in bits. "border": difference between the two
        highest mean evidences of the *other* models, 0 on the border between two genres.
        "split": share of the other models that do not give their most frequent answer.

    Raises
    ------
    ValueError
        If there is a single model.
    """
    count = len(answers.models)
    if count < 2:
        raise ValueError("doubt needs at least two models to compare.")
    border, split = [], []
    for own in range(count):
        others = np.delete(np.arange(count), own)
        highest = np.sort(evidence(answers.p[others]).mean(axis=0), axis=1)
        border.append(highest[:, -1] - highest[:, -2])
        votes = answers.said[others][..., np.newaxis] == np.arange(len(answers.genres))
        split.append(1 - votes.sum(axis=0).max(axis=1) / (count - 1))
    return {
        "entropy": entropy(answers.p, base=2, axis=2),
        "border": np.array(border),
        "split": np.array(split),
    }


def borders(answers: Answers) -> pd.DataFrame:
    """Between which two genres the least decided tracks lie, by the mean evidence of all models.

    Returns
    -------
    pd.DataFrame
        a, b, share of the `UNSURE` of tracks that lie nearest to a border, the largest first.
    """
    mean = evidence(answers.p).mean(axis=0)
    order = np.argsort(mean, axis=1)
    top, second = order[:, -1], order[:, -2]
    rows = np.arange(len(mean))
    margin = mean[rows, top] - mean[rows, second]
    near = np.argsort(margin, kind="stable")[: max(1, round(UNSURE * len(mean)))]
    pairs = pd.DataFrame(np.sort(np.stack([top, second], axis=1)[near], axis=1), columns=["a", "b"])
    shares = pairs.value_counts(normalize=True).rename("share").reset_index()
    names = dict(enumerate(answers.genres))
    return shares.assign(a=shares["a"].map(names), b=shares["b"].map(names))


def undecided(answers: Answers) -> np.ndarray:
    """Whether no genre has more than half of the models for it, bool (tracks,)."""
    votes = (answers.said[..., np.newaxis] == np.arange(len(answers.genres))).sum(axis=0)
    return votes.max(axis=1) <= len(answers.models) / 2
