"""The numbers: every metric, interval and test, computed only from the predictions.

One array carries the statistics: the confusion matrix of each group of tracks that share artists.
A metric is a function of their sum, and how much the groups differ says how sure it is.
"""

import numpy as np
import pandas as pd

from genre_utils.evaluation import intervals, metrics, study_results

TRAIN_AGAIN = "Delete this file and train the model again."
SPLIT_AGAIN = "Run notebook 01 again, then train every model again."


def refuse(ids, problem: str, remedy: str = TRAIN_AGAIN) -> None:
    """Raise ValueError if `ids` names anything."""
    if len(ids):
        named = ", ".join(map(str, list(ids)[:3]))
        raise ValueError(f"{len(ids)} {problem} (first: {named}). {remedy}")


def check_table(predictions: pd.DataFrame, genres: list[str]) -> None:
    """Raise ValueError unless the rows are distinct excerpts with probabilities of `genres`."""
    expected, found = [f"p_{genre}" for genre in genres], probability_columns(predictions)
    if found != expected or predictions.empty:
        text = f"{len(predictions)} rows with columns {found}, expected some with {expected}. "
        raise ValueError(text + TRAIN_AGAIN)
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
    refuse(twice, "tracks tested in several folds", SPLIT_AGAIN)
    if folds["fold"].max() > 0:
        untested = folds.loc[~folds["track_id"].isin(test.index), "track_id"].unique()
        refuse(untested, "tracks tested in no fold", SPLIT_AGAIN)
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


def most_probable(table: pd.DataFrame) -> pd.DataFrame:
    """`table` with y_pred, the most probable genre; of equal ones the first column wins."""
    columns = probability_columns(table)
    genres = np.array([name.removeprefix("p_") for name in columns], dtype=object)
    return table.assign(y_pred=genres[table[columns].to_numpy().argmax(axis=1)])


def track_probabilities(predictions: pd.DataFrame) -> pd.DataFrame:
    """Mean over the excerpts: a row per track, sorted; track_id, fold, y_true, p_..., y_pred."""
    columns = probability_columns(predictions)
    rows = predictions.astype(dict.fromkeys(columns, float))
    how = {"fold": "first", "y_true": "first"} | dict.fromkeys(columns, "mean")
    return most_probable(rows.groupby("track_id", as_index=False).agg(how))


def plain_accuracy(predictions: pd.DataFrame) -> dict[str, float]:
    """Share of right answers over whole tracks and over excerpts, without asking how sure."""
    tables = {
        "whole tracks": track_probabilities(predictions),
        "excerpts": most_probable(predictions),
    }
    return {
        name: float((table["y_true"] == table["y_pred"]).mean()) for name, table in tables.items()
    }


def evaluate(predictions, folds, tracks, genres: list[str]) -> dict:
    """Metrics of one model over the pooled out-of-fold predictions of its tracks.

    The accuracy in per_genre is that genre against the rest; weighted is by support; confusion
    has true rows; known_artists leaves out tracks of unknown artists (None if there are none).
    """
    check_predictions(predictions, folds, tracks, genres)
    groups, predicted = groups_of(folds), track_probabilities(predictions)
    confusions = metrics.group_confusions(predicted, groups, genres)
    excerpts = metrics.group_confusions(most_probable(predictions), groups, genres)
    values, ci95 = (
        metrics.metrics_from_confusion(confusions.sum(axis=0)),
        metrics.metric_intervals(confusions),
    )
    share = values["support"] / len(predicted)
    content = {name: values[name] for name in metrics.METRICS}
    content["ci95"] = {name: ci95[name] for name in metrics.METRICS}
    content["ci95"]["excerpt_accuracy"] = metrics.metric_intervals(excerpts)["accuracy"]
    content["per_genre"] = {
        genre: {
            **{name: values[f"genre_{name}"][k] for name in metrics.METRICS},
            "support": int(values["support"][k]),
            "ci95": {name: ci95[f"genre_{name}"][:, k] for name in metrics.METRICS},
        }
        for k, genre in enumerate(genres)
    }
    content["excerpt_accuracy"] = metrics.metrics_from_confusion(excerpts.sum(axis=0))["accuracy"]
    content["weighted"] = {name: share @ values[f"genre_{name}"] for name in metrics.METRICS[1:]}
    content["known_artists"] = _known_artists(predicted, groups, tracks)
    content["confusion"] = confusions.sum(axis=0)
    return study_results.plain(
        content | {"scored_tracks": len(predicted), "scored_groups": len(confusions)}
    )


def _known_artists(predicted, groups, tracks) -> dict | None:
    """Accuracy on the tracks whose artist is known; None if all are."""
    artist = predicted["track_id"].map(tracks.set_index("track_id")["artist"])
    known = predicted[~artist.str.startswith("unknown:")]
    if len(known) == len(predicted):
        return None
    correct, group = known["y_true"] == known["y_pred"], known["track_id"].map(groups)
    ci95 = intervals.accuracy_interval(correct, group) if len(known) else None
    return {"accuracy": correct.mean(), "ci95": ci95, "tracks": len(known)}
