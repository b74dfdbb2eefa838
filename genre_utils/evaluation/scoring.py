"""Predictions: their checks, whole tracks in place of excerpts, and the numbers of one model."""

import numpy as np
import pandas as pd

from genre_utils.evaluation import intervals, metrics
from genre_utils.workspace.study_folder import StudyFolder

_TRAIN_AGAIN = "Train the model again."
_SPLIT_AGAIN = "Run notebook 01 again, then train every model again."


def refuse(ids, problem: str, remedy: str = _TRAIN_AGAIN) -> None:
    """Raise ValueError if `ids` names anything."""
    if len(ids):
        named = ", ".join(map(str, list(ids)[:3]))
        raise ValueError(f"{len(ids)} {problem} (first: {named}). {remedy}")


def check_table(predictions: pd.DataFrame, genres: list[str]) -> None:
    """Raise ValueError unless the rows are distinct excerpts with probabilities of `genres`."""
    expected, found = [f"p_{genre}" for genre in genres], probability_columns(predictions)
    if found != expected or predictions.empty:
        text = f"{len(predictions)} rows with columns {found}, expected some with {expected}. "
        raise ValueError(text + _TRAIN_AGAIN)
    values, ids = predictions[expected].to_numpy(dtype=float), predictions["track_id"]
    inside = ((values >= 0) & (values <= 1 + 1e-4)).all(axis=1)  # float32 may exceed 1 a little
    sums_to_one = abs(values.sum(axis=1) - 1) <= 1e-4
    refuse(ids[predictions.duplicated(["track_id", "excerpt"])], "excerpts predicted twice")
    refuse(ids[~predictions["y_true"].isin(genres)], f"excerpts of a genre not in {genres}")
    refuse(ids[~inside], "excerpts with a probability that is not a number in [0, 1]")
    refuse(ids[~sums_to_one], "excerpts whose probabilities do not sum to 1")


def check_predictions(predictions, folds, tracks, genres: list[str]) -> None:
    """Raise ValueError unless every test track is predicted, in its test fold, with its genre.

    With several folds each track must be tested once; with one (the corpus's own split) only
    the tracks of part "test" are scored.
    """
    check_table(predictions, genres)
    test = folds[folds["part"] == "test"].set_index("track_id")["fold"]
    twice = test.index[test.index.duplicated()].unique()
    refuse(twice, "tracks tested in several folds", _SPLIT_AGAIN)
    if folds["fold"].max() > 0:
        untested = folds.loc[~folds["track_id"].isin(test.index), "track_id"].unique()
        refuse(untested, "tracks tested in no fold", _SPLIT_AGAIN)
    ids = predictions["track_id"]
    refuse(test.index.difference(ids), "test tracks without a prediction")
    refuse(ids[~ids.isin(test.index)], "excerpts of tracks that are in no test fold")
    refuse(ids[predictions["fold"] != ids.map(test)], "excerpts not from their test fold")
    genre = ids.map(tracks.set_index("track_id")["genre"])
    refuse(ids[predictions["y_true"] != genre], "excerpts whose genre is not their track's")


def groups_of(folds: pd.DataFrame) -> pd.Series:
    """Group (artist component) of each track_id."""
    return folds.drop_duplicates("track_id").set_index("track_id")["group"]


def probability_columns(table: pd.DataFrame) -> list[str]:
    """Columns p_GENRE, in the order of the genres."""
    return [name for name in table.columns if name.startswith("p_")]


def probabilities(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of predictions, (rows, genres), and the column of the true genre, (rows,)."""
    columns = probability_columns(table)
    true = pd.Index(columns).get_indexer("p_" + table["y_true"])
    return table[columns].to_numpy(dtype=float), true


def most_probable(table: pd.DataFrame) -> pd.DataFrame:
    """`table` with y_pred, the most probable genre; of equal ones the first column wins."""
    columns = probability_columns(table)
    genres = np.array([name.removeprefix("p_") for name in columns], dtype=object)
    return table.assign(y_pred=genres[table[columns].to_numpy().argmax(axis=1)])


def track_probabilities(predictions: pd.DataFrame) -> pd.DataFrame:
    """Mean probabilities of whole tracks.

    Parameters
    ----------
    predictions : pd.DataFrame
        A row per excerpt: track_id, fold, y_true, and a probability per genre, p_GENRE.

    Returns
    -------
    pd.DataFrame
        A row per track, sorted: track_id, fold, y_true, p_GENRE, and y_pred, the most probable.

    Examples
    --------
    >>> import pandas as pd
    >>> from genre_utils import evaluation
    >>> excerpts = pd.DataFrame({"track_id": ["a", "a"], "fold": 0, "y_true": "jazz"})
    >>> excerpts = excerpts.assign(p_jazz=[0.9, 0.3], p_rock=[0.1, 0.7])
    >>> evaluation.track_probabilities(excerpts)["y_pred"].tolist()
    ['jazz']
    """
    columns = probability_columns(predictions)
    rows = predictions.astype(dict.fromkeys(columns, float))
    how = {"fold": "first", "y_true": "first"} | dict.fromkeys(columns, "mean")
    return most_probable(rows.groupby("track_id", as_index=False).agg(how))


def plain_accuracy(predictions: pd.DataFrame) -> dict[str, float]:
    """Share of right predictions over whole tracks and over excerpts, without intervals.

    Parameters
    ----------
    predictions : pd.DataFrame
        A row per excerpt, see `track_probabilities`.

    Returns
    -------
    dict of str to float
        By "whole tracks" and "excerpts".
    """
    whole, excerpts = track_probabilities(predictions), most_probable(predictions)
    tables = {"whole tracks": whole, "excerpts": excerpts}
    return {what: float((t["y_true"] == t["y_pred"]).mean()) for what, t in tables.items()}


def confusions(study: StudyFolder, name: str) -> np.ndarray:
    """Confusion matrix of every group of tracks by one model, (groups, genres, genres)."""
    tracks = track_probabilities(study.predictions(name))
    return metrics.group_confusions(tracks, study.groups, study.genres)


def evaluate(study: StudyFolder, predictions: pd.DataFrame) -> dict:
    """Metrics of one model over the pooled out-of-fold predictions of its tracks.

    The accuracy in per_genre is of that genre against the rest; known_artists leaves out tracks of
    unknown artists (None if there are none).
    """
    genres, groups, tracks = study.genres, study.groups, study.tracks
    check_predictions(predictions, study.folds, tracks, genres)
    predicted = track_probabilities(predictions)
    whole = metrics.group_confusions(predicted, groups, genres)
    excerpts = metrics.group_confusions(most_probable(predictions), groups, genres)
    values = metrics.metrics_from_confusion(whole.sum(axis=0))
    ci95 = metrics.metric_intervals(whole)
    excerpt_ci95 = metrics.metric_intervals(excerpts)["accuracy"]
    share = values["support"] / len(predicted)
    per_genre = {
        genre: {
            **{name: values[f"genre_{name}"][k] for name in metrics.METRICS},
            "support": int(values["support"][k]),
            "ci95": {name: ci95[f"genre_{name}"][:, k] for name in metrics.METRICS},
        }
        for k, genre in enumerate(genres)
    }
    return {
        **{name: values[name] for name in metrics.METRICS},
        "ci95": {name: ci95[name] for name in metrics.METRICS} | {"excerpt_accuracy": excerpt_ci95},
        "per_genre": per_genre,
        "excerpt_accuracy": metrics.metrics_from_confusion(excerpts.sum(axis=0))["accuracy"],
        "weighted": {name: share @ values[f"genre_{name}"] for name in metrics.METRICS[1:]},
        "known_artists": _known_artists(predicted, groups, tracks),
        "confusion": whole.sum(axis=0),
        "scored_tracks": len(predicted),
        "scored_groups": len(whole),
    }


def _known_artists(predicted, groups, tracks):
    """Accuracy on the tracks whose artist is known; None if all are."""
    artist = predicted["track_id"].map(tracks.set_index("track_id")["artist"])
    known = predicted[~artist.str.startswith("unknown:")]
    if len(known) == len(predicted):
        return None
    correct, group = known["y_true"] == known["y_pred"], known["track_id"].map(groups)
    ci95 = intervals.accuracy_interval(correct, group) if len(known) else None
    return {"accuracy": correct.mean(), "ci95": ci95, "tracks": len(known)}
