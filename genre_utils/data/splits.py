"""Folds that no artist crosses, and the one function that refuses whatever does."""

import warnings

import numpy as np
import pandas as pd

from genre_utils.data.artists import groups_of
from genre_utils.data.track_lists import CorpusError
from genre_utils.workspace import files

_INNER_FOLDS = 6  # one of them is the inner validation part


class LeakageError(ValueError):
    """Something that learns, or that chose a setting, has met a track that it is tested on."""


def split(
    tracks: pd.DataFrame,
    *,
    folds: int,
    seed: int,
    group_by: str,
    protocol: str = "cv",
    report_on: str = "valid",
) -> pd.DataFrame:
    """Split the tracks of a study so that no group is on two sides.

    Parameters
    ----------
    tracks : pd.DataFrame
        The tracks to be used: track_id, genre, artist, split.
    folds, seed : int
        Folds of a cross-validation (at most one per group), and seed of how they are drawn.
    group_by : {"artist", "track"}
        See `groups_of`.
    protocol, report_on : str
        ``cv``, or ``fixed``: the corpus's own split column, whose part `report_on` is tested.

    Returns
    -------
    pd.DataFrame
        Columns track_id, fold, part (train, validation or test), group; a row per track and fold.

    Raises
    ------
    CorpusError
        If the protocol is unknown, or a fold would have nothing to test or to train on.
    """
    if protocol == "cv":
        return make_folds(tracks, folds=folds, group_by=group_by, seed=seed)
    if protocol == "fixed":
        return fixed_folds(tracks, report_on=report_on, group_by=group_by, seed=seed)
    raise CorpusError(f"PROTOCOL is {protocol!r}; choose 'cv' or 'fixed'.")


def make_folds(tracks: pd.DataFrame, *, folds: int, group_by: str, seed: int) -> pd.DataFrame:
    """Folds of a cross-validation: each track is tested once (see `split`)."""
    tracks = tracks.sort_values("track_id").reset_index(drop=True)
    groups = groups_of(tracks, group_by).to_numpy()
    genre = tracks["genre"].to_numpy()
    n_splits = min(folds, len(np.unique(groups)))
    tables: list[pd.DataFrame] = []
    for train, test in _stratified(genre, groups, n_splits, seed):
        if len(test) == 0:
            continue
        if set(genre[train]) < set(genre):
            raise CorpusError("a fold would test every artist of a genre: use more FOLDS.")
        tables.append(_fold(tracks, groups, train, len(tables), seed))
    return pd.concat(tables, ignore_index=True)


def fixed_folds(tracks: pd.DataFrame, *, report_on: str, group_by: str, seed: int) -> pd.DataFrame:
    """One fold from the corpus's split column; training tracks of tested groups are left out."""
    tracks = tracks[tracks["split"].isin(["train", report_on])].sort_values("track_id")
    tracks = tracks.reset_index(drop=True)
    groups = groups_of(tracks, group_by)
    tested = tracks["split"] == report_on
    keep = tested | ~groups.isin(groups[tested])
    tracks, groups = tracks[keep].reset_index(drop=True), groups[keep].to_numpy()
    genre = tracks["genre"].to_numpy()
    train = np.flatnonzero(tracks["split"] == "train")
    if not 0 < len(train) < len(tracks) or set(genre[train]) < set(genre):
        raise CorpusError(
            f"PROTOCOL fixed needs tracks whose split is 'train', of every genre, and others "
            f"whose split is {report_on!r}."
        )
    return _fold(tracks, groups, train, 0, seed)


def _fold(tracks, groups, train, number, seed):
    """Table of one fold, which trains and validates on the rows `train` and tests the others."""
    part = np.full(len(tracks), "test", dtype=object)
    part[train] = "train"
    part[train[_validation(tracks["genre"].to_numpy()[train], groups[train], seed)]] = "validation"
    table = tracks[["track_id"]].assign(fold=number, part=part, group=groups)
    refuse_leakage(table, number)
    return table


def _stratified(genre, groups, n_splits, seed):
    from sklearn.model_selection import StratifiedGroupKFold  # slow: not in every worker

    n_splits = min(n_splits, np.unique(genre, return_counts=True)[1].max())  # scikit-learn's limit
    if n_splits < 2:
        raise CorpusError("no genre has two artists or tracks to split: add music.")
    splitter = StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # a genre with fewer artists than folds: the study says so
        warnings.filterwarnings("ignore", message="The least populated class")
        return list(splitter.split(genre, genre, groups))


def _validation(genre, groups, seed):
    """Rows of the inner fold with the most even shares that leaves every genre some to train."""
    n_splits = min(_INNER_FOLDS, len(np.unique(groups)))
    genres, size = np.unique(genre, return_counts=True)
    inner = _stratified(genre, groups, n_splits, seed)
    possible = [part for rest, part in inner if len(part) and set(genre[rest]) == set(genre)]
    if not possible:
        raise CorpusError(
            "no inner validation part leaves every genre something to train on: use more FOLDS."
        )
    shares = [[np.sum(genre[part] == g) for g in genres] / size for part in possible]
    return possible[np.abs(np.subtract(shares, 1 / n_splits)).max(axis=1).argmin()]


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
    **learned_from : sequence of str
        The track_ids that something learned from, under its name (``weights=[...]``).

    Raises
    ------
    LeakageError
        If a group is in two parts, or something learned from a track outside the training folds.
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


def fold_warnings(folds: pd.DataFrame, tracks: pd.DataFrame) -> list[str]:
    """Genres that a test or validation part lacks, and training tracks that are left out."""
    parts = folds.merge(tracks[["track_id", "genre"]], on="track_id")
    missing = pd.crosstab([parts["part"], parts["fold"]], parts["genre"]) == 0
    tested = missing.loc["test"]
    said = [
        f"In {folds.sum()} of {len(tested)} folds no {genre} is tested: it has too few artists for "
        "all. Metrics are computed once over all folds together, so that this biases nothing."
        for genre, folds in tested.items()
        if folds.any()
    ]
    if len(tested) == 1:
        left_out = (tracks["split"] == "train").sum() - (parts["part"] != "test").sum()
        said = [f"{left_out} training tracks are left out: their artist is tested."]
    lacking = [
        f"fold {fold}: {', '.join(genres.index[genres])}"
        for fold, genres in missing.loc["validation"].iterrows()
        if genres.any()
    ]
    if lacking:
        said.append(
            f"The inner validation part lacks a genre in {len(lacking)} of {len(tested)} folds "
            f"({'; '.join(lacking)}); early stopping does not see that genre there."
        )
    return said
