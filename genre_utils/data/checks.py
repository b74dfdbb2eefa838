"""TODO data.checks."""

import pandas as pd

from genre_utils.data import errors

MIN_ARTISTS = 3  # per genre: one to test, one to validate, one to train


def choose_genres(tracks: pd.DataFrame, genres: list[str]) -> list[str]:
    """Genres to study, in order: `genres`, or all that there are when it is empty.

    Raises
    ------
    CorpusError
        If a genre is unknown, named twice, or the only one.
    """
    present = sorted(tracks["genre"].unique())
    chosen = list(genres) or present
    unknown = [genre for genre in chosen if genre not in present]
    if unknown:
        raise errors.CorpusError(
            f"unknown genre(s) {', '.join(map(repr, unknown))} in GENRES; this corpus has "
            f"{', '.join(present)}."
        )
    if len(set(chosen)) < len(chosen):
        raise errors.CorpusError(f"GENRES names a genre twice: {', '.join(chosen)}.")
    if len(chosen) < 2:
        raise errors.CorpusError(
            f"only one genre ({', '.join(chosen)}): recognition needs at least two to choose from."
        )
    return chosen


# ---------------------------------------------------------------------------- describing


def check(tracks: pd.DataFrame, genres: list[str], *, group_by: str, folds: int) -> list[str]:
    """Refuse a corpus that cannot be studied; return what the report must warn of.

    Parameters
    ----------
    tracks : pd.DataFrame
        The tracks to be used, of the chosen genres.
    genres : list of str
        From `choose_genres`.
    group_by : {"artist", "track"}
        What must never stand on both sides of a split.
    folds : int
        Folds of the cross-validation.

    Raises
    ------
    CorpusError
        Under two folds, an unknown `group_by`, or a genre with under three artists (tracks).
    """
    from genre_utils.data import splits  # which imports scikit-learn: not in every worker

    if folds < 2:
        raise errors.CorpusError(f"FOLDS is {folds}; cross-validation needs at least 2.")
    if group_by not in ("artist", "track"):
        raise errors.CorpusError(f"GROUP_BY is {group_by!r}; choose 'artist' or 'track'.")
    groups = splits.groups_of(tracks, group_by)
    per_genre = groups.groupby(tracks["genre"].to_numpy()).nunique().reindex(genres, fill_value=0)
    needed = MIN_ARTISTS + (folds == 2)  # of three, half-and-half folds can test two at once
    few = per_genre[per_genre < needed]
    if len(few):
        shown = ", ".join(f"{genre} has {count}" for genre, count in few.items())
        advice = " or group by track (GROUP_BY: track), which is optimistic" * (
            group_by == "artist"
        )
        raise errors.CorpusError(
            f"under {needed} {group_by}s in a genre: {shown}. Each genre needs one to train "
            f"on, one to validate and one to test: add music{advice}."
        )
    return _warnings(tracks, per_genre, group_by, folds)


def _warnings(tracks, per_genre, group_by, folds):
    warnings = []
    if group_by == "track":
        warnings.append(
            "Split by track, not by artist: songs of one artist stand on both sides of the split, "
            "so these accuracies are optimistic."
        )
    short = per_genre[per_genre < folds]
    if len(short):
        shown = ", ".join(f"{genre} ({count})" for genre, count in short.items())
        warnings.append(f"Fewer {group_by}s than the {folds} folds: {shown}.")
    unknown = tracks["artist"].str.startswith("unknown:")
    if group_by == "artist" and unknown.all():
        warnings.append(
            "No artist is known, so each track is its own group and the split is one by track: "
            "these accuracies are optimistic. List the artists in tracks.csv."
        )
    return warnings
