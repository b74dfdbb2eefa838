"""Folds that no artist crosses, and the one function that refuses whatever does."""

import re
import unicodedata
import warnings

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from genre_utils.workspace import files

INNER_FOLDS = 6  # one of them is the inner validation part
_JOINTS = re.compile(
    r"\s*(?:[,;&+/()\[\]]|\band\b|\bwith\b|\bfeat(?:uring)?\b\.?|\bft\b\.?|\bvs\b\.?)\s*"
)


class LeakageError(ValueError):
    """Something that learns, or that chose a setting, has met a track that it is tested on."""


def credited_artists(artist: str) -> frozenset[str]:
    """Names credited in an artist string, folded to lower case.

    A collaboration credits its members and itself:
    ``"Peter Tosh and Mick Jagger"`` -> peter tosh, mick jagger.
    """
    folded = " ".join(unicodedata.normalize("NFKC", artist).casefold().split())
    if folded.startswith("unknown:"):
        return frozenset({folded})
    names = {re.sub(r"^the ", "", name) for name in _JOINTS.split(folded) if name}
    return frozenset(names - {""} or {folded})


def groups_of(tracks: pd.DataFrame, group_by: str) -> pd.Series:
    """Group of each track: what must never stand on both sides of a split.

    Artists that share a credited name are tied together (connected components), so that a
    collaboration cannot leak. Splitting names at "and" or "," may tie too much together, which
    costs a little balance and never leaks.

    Parameters
    ----------
    tracks : pd.DataFrame
        With track_id and artist.
    group_by : {"artist", "track"}

    Returns
    -------
    pd.Series of str, shape (tracks,)
        The track's id, or the alphabetically first artist of its component.
    """
    if group_by == "track":
        return pd.Series(tracks["track_id"].to_numpy(), dtype=str)
    artists = sorted(tracks["artist"].unique())
    credits = [(i, name) for i, artist in enumerate(artists) for name in credited_artists(artist)]
    names, columns = np.unique([name for _, name in credits], return_inverse=True)
    rows = np.array([i for i, _ in credits])
    # a graph whose nodes are artist strings and credited names, joined where one credits the other
    size = len(artists) + len(names)
    graph = coo_array((np.ones(len(rows)), (rows, len(artists) + columns)), shape=(size, size))
    component = connected_components(graph, directed=False)[1][: len(artists)]
    first = {c: artists[i] for i, c in reversed(list(enumerate(component)))}
    label = {artist: first[c] for artist, c in zip(artists, component, strict=True)}
    return pd.Series(tracks["artist"].map(label).to_numpy(), dtype=str)


def make_folds(tracks: pd.DataFrame, *, folds: int, group_by: str, seed: int) -> pd.DataFrame:
    """Cross-validation folds: every track is tested once, by a model that never met its group.

    Parameters
    ----------
    tracks : pd.DataFrame
        The tracks to be used: track_id, genre, artist.
    folds : int
        Number of folds; fewer are made when there are fewer groups.
    group_by : {"artist", "track"}
    seed : int

    Returns
    -------
    pd.DataFrame
        track_id, fold, part (``train``, ``validation`` or ``test``), group; one row per track and
        fold.
    """
    tracks = tracks.sort_values("track_id").reset_index(drop=True)
    groups = groups_of(tracks, group_by).to_numpy()
    genre = tracks["genre"].to_numpy()
    n_splits = min(folds, len(np.unique(groups)))
    tables = []
    for train, test in _stratified(genre, groups, n_splits, seed):
        if len(test) == 0:
            continue
        part = np.full(len(tracks), "train", dtype=object)
        part[test] = "test"
        if set(genre[train]) < set(genre):
            raise ValueError("a fold would test every artist of a genre: use more FOLDS.")
        part[train[_validation(genre[train], groups[train], seed)]] = "validation"
        tables.append(_fold_table(tracks, groups, part, fold=len(tables)))
    table = pd.concat(tables, ignore_index=True)
    for fold in range(len(tables)):
        refuse_leakage(table, fold)
    return table


def fixed_folds(tracks: pd.DataFrame, *, report_on: str, group_by: str, seed: int) -> pd.DataFrame:
    """One fold from the corpus's own split column: train on ``train``, test on `report_on`.

    Published splits are not always as disjoint as they say (in GTZAN's a collaboration stands on
    the other side of its members): a training track whose group is tested is left out.
    """
    tracks = tracks[tracks["split"].isin(["train", report_on])]
    tracks = tracks.sort_values("track_id").reset_index(drop=True)
    groups = groups_of(tracks, group_by)
    tested = tracks["split"] == report_on
    keep = tested | ~groups.isin(groups[tested])
    tracks, groups = tracks[keep].reset_index(drop=True), groups[keep].to_numpy()
    genre = tracks["genre"].to_numpy()
    train = np.flatnonzero(tracks["split"] == "train")
    if not 0 < len(train) < len(tracks) or set(genre[train]) < set(genre):
        raise ValueError(
            f"PROTOCOL fixed needs tracks whose split is 'train', of every genre, and others "
            f"whose split is {report_on!r}."
        )
    part = np.full(len(tracks), "test", dtype=object)
    part[train] = "train"
    part[train[_validation(genre[train], groups[train], seed)]] = "validation"
    table = _fold_table(tracks, groups, part, fold=0)
    refuse_leakage(table, 0)
    return table


def _stratified(genre, groups, n_splits, seed):
    n_splits = min(n_splits, np.unique(genre, return_counts=True)[1].max())  # scikit-learn's limit
    splitter = StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # a genre with fewer artists than folds: the study says so
        warnings.filterwarnings("ignore", message="The least populated class")
        return list(splitter.split(genre, genre, groups))


def _validation(genre, groups, seed):
    """Rows of the inner validation part: whole groups, as balanced as the groups allow.

    Of the inner folds that leave every genre something to train on, the one whose share of each
    genre is nearest to equal.
    """
    n_splits = min(INNER_FOLDS, len(np.unique(groups)))
    genres, size = np.unique(genre, return_counts=True)
    best, choice = np.inf, None
    for rest, chosen in _stratified(genre, groups, n_splits, seed):
        share = [np.sum(genre[chosen] == g) for g in genres] / size
        unevenness = np.abs(share - 1 / n_splits).max()
        if len(chosen) and set(genre[rest]) == set(genre) and unevenness < best:
            best, choice = unevenness, chosen
    if choice is None:
        raise ValueError(
            "no inner validation part leaves every genre something to train on: use more FOLDS."
        )
    return choice


def _fold_table(tracks, groups, part, fold):
    columns = {"track_id": tracks["track_id"], "fold": fold, "part": part, "group": groups}
    return pd.DataFrame(columns)


def learning_hash(folds: pd.DataFrame, fold: int) -> str:
    """Hash of all that may learn in a fold: the tracks outside its test part."""
    learning = folds[(folds["fold"] == fold) & (folds["part"] != "test")]
    return files.sha256(sorted(learning["track_id"]))


def refuse_leakage(folds: pd.DataFrame, fold: int, *, tuned_on: str = "", **learned_from) -> None:
    """Refuse a fold in which anything that learns has met a test track or its group.

    Parameters
    ----------
    folds : pd.DataFrame
        track_id, fold, part, group.
    fold : int
        The fold to check.
    tuned_on : str
        `learning_hash` of the tracks on which settings were searched, if they were.
    **learned_from
        What learned or chose, and the track_ids that it learned from, for example
        ``weights=[...], normalisation=[...], early_stopping=[...]``.

    Raises
    ------
    LeakageError
        If a group of the test part is in another part, or if any `learned_from` holds a track
        that is not in the training or validation part of this fold.
    """
    table = folds[folds["fold"] == fold]
    groups = {part: set(rows["group"]) for part, rows in table.groupby("part")}
    if not {"train", "test"} <= set(groups):
        raise LeakageError(f"fold {fold} does not exist, or lacks a training or a test part.")
    for one, other in (("train", "test"), ("validation", "test"), ("train", "validation")):
        shared = groups.get(one, set()) & groups.get(other, set())
        if shared:
            raise LeakageError(f"fold {fold}: {min(shared)!r} is in both {one} and {other}.")
    if tuned_on not in ("", learning_hash(folds, fold)):
        raise LeakageError(
            f"fold {fold}: its settings were tuned on other tracks than those it may learn from. "
            "Search settings for these folds, or use untuned ones."
        )
    allowed = set(table.loc[table["part"] != "test", "track_id"])
    for what, track_ids in learned_from.items():
        met = set(track_ids) - allowed
        if met:
            raise LeakageError(
                f"fold {fold}: {what.replace('_', ' ')} met {len(met)} track(s) outside the "
                f"training folds, for example {min(met)!r}."
            )


def thinned(
    folds: pd.DataFrame, tracks: pd.DataFrame, genres: list[str], *, keep: int, seed: int
) -> pd.DataFrame:
    """Make some genres rare where models learn: keep one in `keep` of their training tracks.

    Validation and test parts stay as they are, so that what is measured stays the same.

    Parameters
    ----------
    folds, tracks : pd.DataFrame
        From `make_folds`, and the tracks that it split.
    genres : list of str
        Those to be made rare.
    keep : int
    seed : int

    Returns
    -------
    pd.DataFrame
        `folds` without the rows of the training tracks that are left out.
    """
    genre = folds["track_id"].map(tracks.set_index("track_id")["genre"])
    candidates = folds[(folds["part"] == "train") & genre.isin(genres)]
    shuffled = candidates.sample(frac=1.0, random_state=seed)
    place = shuffled.groupby([shuffled["fold"], genre]).cumcount()
    return folds.drop(index=place.index[place % keep != 0])


def absent_genres(folds: pd.DataFrame, tracks: pd.DataFrame) -> list[str]:
    """Warnings for each genre that a test fold lacks."""
    tested = folds[folds["part"] == "test"].merge(tracks[["track_id", "genre"]], on="track_id")
    counts = pd.crosstab(tested["genre"], tested["fold"])
    return [
        f"No {genre} in the test part of {missing.sum()} of {len(missing)} folds; metrics are "
        "pooled over the folds, so that this biases nothing."
        for genre, missing in (counts == 0).iterrows()
        if missing.any()
    ]
