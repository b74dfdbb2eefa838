"""What a corpus needs to be studied, and what the report must warn of."""

import re
import unicodedata
from collections.abc import Sequence

import pandas as pd

from genre_utils.data import artists, splits, track_lists
from genre_utils.data.track_lists import CorpusError


def spelling(genre: str) -> str:
    """What is left of a genre's name without case, accents, blanks, hyphens and underscores."""
    letters = unicodedata.normalize("NFKD", genre.casefold())
    return re.sub("[\u0300-\u036f\\s_-]", "", letters) or genre


def choose_genres(tracks: pd.DataFrame, genres: Sequence[str]) -> list[str]:
    """Choose the genres to study.

    Parameters
    ----------
    tracks : pd.DataFrame
        With a column genre.
    genres : sequence of str
        Genres in the order wanted, in any spelling; all that there are when it is empty.

    Returns
    -------
    list of str
        The genres, in order, as the tracks spell them.

    Raises
    ------
    CorpusError
        If a genre is unknown, named twice, or the only one.
    """
    present = sorted(tracks["genre"].unique())
    called = {spelling(genre): genre for genre in present}
    chosen = [called.get(spelling(genre), genre) for genre in genres] or present
    unknown = [genre for genre in chosen if genre not in present]
    if unknown:
        raise CorpusError(
            f"unknown genre(s) {', '.join(map(repr, unknown))} in GENRES; this corpus has usable "
            f"files of {', '.join(present)}."
        )
    if len(set(chosen)) < len(chosen):
        raise CorpusError(f"GENRES names a genre twice: {', '.join(chosen)}.")
    if len(chosen) < 2:
        raise CorpusError(
            f"only one genre ({', '.join(chosen)}): recognition needs at least two to choose from."
        )
    return chosen


def check(
    tracks: pd.DataFrame, genres: list[str], *, group_by: str, folds: int, seed: int = 0
) -> list[str]:
    """Refuse a corpus that cannot be studied.

    Parameters
    ----------
    tracks : pd.DataFrame
        The tracks to be used, of the chosen genres.
    genres : list of str
        From `choose_genres`.
    group_by : {"artist", "track"}
        What must never stand on both sides of a split.
    folds, seed : int
        Number of the folds of the cross-validation, and seed of how they are drawn.

    Returns
    -------
    list of str
        What the report must warn of.

    Raises
    ------
    CorpusError
        If a setting makes no sense, a genre has too few artists, or no folds can be made.
    """
    if folds < 2:
        raise CorpusError(f"FOLDS is {folds}; cross-validation needs at least 2.")
    if group_by not in ("artist", "track"):
        raise CorpusError(f"GROUP_BY is {group_by!r}; choose 'artist' or 'track'.")
    groups = splits.groups_of(tracks, group_by).to_numpy()
    pairs = tracks[["genre"]].assign(group=groups).drop_duplicates()
    per_genre = pairs["genre"].value_counts().reindex(genres, fill_value=0)
    needed = 3 + (folds == 2)  # one each to train, validate, test; one of two folds may test two
    few = per_genre[per_genre < needed]
    if len(few):
        shown = ", ".join(f"{genre} has {count}" for genre, count in few.items())
        by_artist = group_by == "artist"
        other = ", or group by track (GROUP_BY: track), which is optimistic" if by_artist else ""
        raise CorpusError(
            f"under {needed} {group_by}s in a genre: {shown}. Each genre needs one to train "
            f"on, one to validate and one to test: add music, leave the genre out (GENRES){other}."
        )
    if pairs["group"].duplicated().any():  # who plays several genres can take away all of one
        splits.make_folds(tracks, folds=folds, group_by=group_by, seed=seed)
    return _warnings(tracks, per_genre, group_by, folds)


def _warnings(tracks, per_genre, group_by, folds):
    warnings = list(tracks.attrs.get("warnings", []))
    unknown = artists.is_unknown(tracks["artist"])
    left_out = tracks.attrs.get("files_not_listed")
    if left_out and len(unlisted := tracks.loc[unknown & tracks["path"].isin(left_out), "path"]):
        warnings.append(
            f"Files that are not in tracks.csv and name no artist ({len(unlisted)}): "
            f"{track_lists.some(unlisted)}. Each counts as an artist of its own, so that one "
            "artist may stand on both sides of a split."
        )
    if group_by == "track":
        warnings.append(
            "Split by track, not by artist: songs of one artist stand on both sides of the split, "
            "so these accuracies are optimistic."
        )
    short = per_genre[per_genre < folds]
    if len(short):
        shown = ", ".join(f"{genre} ({count})" for genre, count in short.items())
        warnings.append(f"Fewer {group_by}s than the {folds} folds: {shown}.")
    warnings += artists.tie_warnings(tracks) if group_by == "artist" else []
    if group_by == "artist" and unknown.all():
        warnings.append(
            "No artist is known, so each track is its own group and the split is one by track: "
            "these accuracies are optimistic. List the artists in tracks.csv."
        )
    return warnings
