"""The numbers: every metric, interval and test, computed only from the predictions.

One array carries the statistics: the confusion matrix of each group of tracks that share artists.
A metric is a function of their sum, and how much the groups differ says how sure it is.
"""

import contextlib
import importlib.metadata
import math
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar

from genre_utils import calibration, files, power, significance

METRICS = ("accuracy", "precision", "recall", "f1")
FAMILIES = ("cnn", "cnn1d", "rnn", "gru", "lstm", "hybrid", "hybrid_parallel")
FAMILIES += ("mlp", "fusion", "dbn")
MODEL_ORDER = tuple(name + end for name in FAMILIES for end in ("", "_tuned"))
MODEL_ORDER += ("svm", "logistic", "knn", "ensemble")
FROM_RUN = ("hyperparameters", "parameters", "multiply_adds_per_second", "epochs")
FROM_RUN += ("training_seconds", "training_cpu_seconds", "inference_seconds")
TINY = 1e-12  # probabilities below count as this, so that their logarithm is finite
TRAIN_AGAIN = "Delete this file and train the model again."
SPLIT_AGAIN = "Run notebook 01 again, then train every model again."


def _refuse(ids, problem: str, remedy: str = TRAIN_AGAIN) -> None:
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
    _refuse(ids[predictions.duplicated(["track_id", "excerpt"])], "excerpts predicted twice")
    _refuse(ids[~predictions["y_true"].isin(genres)], f"excerpts of a genre not in {genres}")
    _refuse(ids[~inside], "excerpts with a probability that is not a number in [0, 1]")
    _refuse(ids[~sums_to_one], "excerpts whose probabilities do not sum to 1")


def check_predictions(predictions, folds, tracks, genres: list[str]) -> None:
    """Raise ValueError unless every test track is predicted, in its test fold, with its genre.

    With several folds each track must be tested once; with one (the corpus's own split) only
    the tracks of part "test" are scored.
    """
    check_table(predictions, genres)
    test = folds[folds["part"] == "test"].set_index("track_id")["fold"]
    twice = test.index[test.index.duplicated()].unique()
    _refuse(twice, "tracks tested in several folds", SPLIT_AGAIN)
    if folds["fold"].max() > 0:
        untested = folds.loc[~folds["track_id"].isin(test.index), "track_id"].unique()
        _refuse(untested, "tracks tested in no fold", SPLIT_AGAIN)
    ids = predictions["track_id"]
    _refuse(test.index.difference(ids), "test tracks without a prediction")
    _refuse(ids[~ids.isin(test.index)], "excerpts of tracks that are in no test fold")
    _refuse(ids[predictions["fold"] != ids.map(test)], "excerpts not from their test fold")
    genre = ids.map(tracks.set_index("track_id")["genre"])
    _refuse(ids[predictions["y_true"] != genre], "excerpts whose genre is not their track's")


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


def log_look(study: Path, run: dict, predictions: pd.DataFrame) -> None:
    """Add a line to ``looks.csv`` where a fixed split was scored, unless it says nothing new.

    Each look at the part that a fixed split reports on counts: whoever chooses by what they see
    there has tuned on it, so that its accuracy is no longer that of unseen music. The file says
    how often it was looked at, and what was seen. A study with folds has no such file.

    Parameters
    ----------
    study : Path
    run : dict
        What ``runs/NAME.json`` holds; its model and hyperparameters are read.
    predictions : pd.DataFrame
        What ``predictions/NAME.parquet`` holds.
    """
    if files.read_json(study / "corpus.json")["protocol"] != "fixed":
        return
    look = {
        "model": run["model"],
        "settings": files.sha256(run["hyperparameters"])[:16],
        "tracks": str(predictions["track_id"].nunique()),
        "accuracy": f"{plain_accuracy(predictions)['whole tracks']:.4f}",
    }
    path = study / "looks.csv"
    looks = pd.read_csv(path, dtype=str) if path.exists() else pd.DataFrame(columns=list(look))
    if (looks[list(look)] == pd.Series(look)).all(axis=1).any():
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    looks = pd.concat([looks, pd.DataFrame([{"time": now, **look}])], ignore_index=True)
    with files.written_whole(path) as temporary:
        looks[["time", *look]].to_csv(temporary, index=False, lineterminator="\n")


def temperature(tracks: pd.DataFrame) -> float:
    """Temperature T that makes the probabilities p^(1/T), scaled to sum to 1, most likely.

    Temperature scaling (Guo et al. 2017, On calibration of modern neural networks, ICML) of the
    mean probabilities of whole tracks: above 1 the model was too sure, below too unsure.

    Parameters
    ----------
    tracks : pd.DataFrame
        As `track_probabilities` gives them, of tracks that the model did not learn from.

    Returns
    -------
    float
        Between 0.1 and 10.
    """

    def cross_entropy(log_temperature):
        scaled = scale_temperature(tracks, np.exp(log_temperature))
        right = scaled.to_numpy()[np.arange(len(tracks)), true]
        return -np.log(np.maximum(right, TINY)).mean()

    columns = probability_columns(tracks)
    true = pd.Index(columns).get_indexer("p_" + tracks["y_true"])
    reach = np.log(10)
    return float(np.exp(minimize_scalar(cross_entropy, bounds=(-reach, reach)).x))


def scale_temperature(tracks: pd.DataFrame, temperature) -> pd.DataFrame:
    """Probabilities p^(1/T) of `tracks`, scaled to sum to 1.

    Parameters
    ----------
    tracks : pd.DataFrame
        With columns p_GENRE.
    temperature : float or array_like, shape (tracks,)
    """
    p = tracks[probability_columns(tracks)].astype(float).clip(lower=TINY)
    powers = np.log(p).div(np.broadcast_to(temperature, len(p)), axis=0)
    powers = np.exp(powers.sub(powers.max(axis=1), axis=0))
    return powers.div(powers.sum(axis=1), axis=0)


def group_confusions(predicted, groups: pd.Series, genres: list[str]) -> np.ndarray:
    """Confusion matrix of every group, groups sorted by name.

    Parameters
    ----------
    predicted : DataFrame
        Rows (tracks or excerpts) with track_id, y_true, y_pred.
    groups : Series
        Group (artist component) of each track_id.

    Returns
    -------
    ndarray of int, shape (groups, genres, genres)
        Rows are true genres, columns predicted ones.
    """
    group = pd.factorize(predicted["track_id"].map(groups), sort=True)[0]
    true, guess = (pd.Index(genres).get_indexer(predicted[name]) for name in ("y_true", "y_pred"))
    if min(group.min(), true.min(), guess.min()) < 0:
        raise ValueError(f"a track has no group, or a genre outside {genres}")
    shape = (group.max() + 1, len(genres), len(genres))
    cell = np.ravel_multi_index((group, true, guess), shape)
    return np.bincount(cell, minlength=math.prod(shape)).reshape(shape)


def metrics_from_confusion(confusion: np.ndarray, absent: float = 0.0) -> dict[str, np.ndarray]:
    """All metrics of one or many confusion matrices.

    Parameters
    ----------
    confusion : ndarray, shape (..., genres, genres)
        Counts, rows true, columns predicted.
    absent : float
        Precision, recall and F1 of a genre without a true track. 0 is scikit-learn's answer
        (``labels=genres, zero_division=0``). NaN leaves that genre out of the macro mean: right
        for bootstrap replicates, where it is missing by chance and says nothing.

    Returns
    -------
    dict
        Shape (...): accuracy and the macro means precision, recall, f1 (mean of the genres' F1).
        Shape (..., genres): genre_accuracy (one against the rest), genre_precision, genre_recall,
        genre_f1 and support.
    """
    confusion = np.asarray(confusion, dtype=float)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    true, guessed = confusion.sum(axis=-1), confusion.sum(axis=-2)
    total = true.sum(axis=-1)

    def ratio(part, whole):
        quotient = np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)
        return np.where(true > 0, quotient, absent)

    parts = {"precision": (hits, guessed), "recall": (hits, true), "f1": (2 * hits, true + guessed)}
    by_genre = {name: ratio(part, whole) for name, (part, whole) in parts.items()}
    return {
        "accuracy": hits.sum(axis=-1) / total,
        **{name: np.nanmean(values, axis=-1) for name, values in by_genre.items()},
        "genre_accuracy": 1 - (true + guessed - 2 * hits) / total[..., np.newaxis],
        **{f"genre_{name}": values for name, values in by_genre.items()},
        "support": true,
    }


def metric_ratios(confusions: np.ndarray) -> dict[str, tuple]:
    """Accuracy and macro metrics as `significance.combined_ratios` takes them.

    Every one is a ratio of counts, or the mean of such ratios over the genres (F1 is 2 hits /
    (true + predicted)).

    Parameters
    ----------
    confusions : np.ndarray, shape (..., groups, genres, genres)

    Returns
    -------
    dict of str to tuple
        accuracy, precision, recall, f1: numerators and denominators, (..., groups, ratios), and
        weights, (ratios,).
    """
    confusions = np.asarray(confusions, dtype=float)
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    true, guessed = confusions.sum(axis=-1), confusions.sum(axis=-2)
    even = np.full(hits.shape[-1], 1 / hits.shape[-1])
    total = true.sum(axis=-1, keepdims=True)
    return {
        "accuracy": (hits.sum(axis=-1, keepdims=True), total, np.ones(1)),
        "precision": (hits, guessed, even),
        "recall": (hits, true, even),
        "f1": (2 * hits, true + guessed, even),
    }


def metric_intervals(confusions: np.ndarray) -> dict[str, np.ndarray]:
    """95 % interval of each metric, from the confusion matrices of the groups.

    From `metric_ratios`, and such ratios of each genre, `significance.combined_ratios` makes the
    error and `significance.share_interval` the limits, which are wide where a genre has few
    artists.

    Parameters
    ----------
    confusions : np.ndarray, shape (..., groups, genres, genres)

    Returns
    -------
    dict
        Keys as `metrics_from_confusion`, without support; low and high on the first axis.
    """
    whole = metric_ratios(confusions)
    hits, true, _ = whole["recall"]
    _, guessed, _ = whole["precision"]
    total = true.sum(axis=-1, keepdims=True)
    of_genre = {name: both for name, (*both, _) in whole.items() if name != "accuracy"}
    of_genre["accuracy"] = total - true - guessed + 2 * hits, total + 0 * true

    def limits(parts, wholes, weights=(1.0,)):
        return significance.share_interval(significance.combined_ratios(parts, wholes, weights))

    return {name: limits(*ratios) for name, ratios in whole.items()} | {
        f"genre_{name}": limits(*(np.swapaxes(x, -1, -2)[..., np.newaxis] for x in both))
        for name, both in of_genre.items()
    }


def evaluate(predictions, folds, tracks, genres: list[str]) -> dict:
    """Metrics of one model over the pooled out-of-fold predictions of its tracks.

    The accuracy in per_genre is that genre against the rest; weighted is by support; confusion
    has true rows; known_artists leaves out tracks of unknown artists (None if there are none).
    """
    check_predictions(predictions, folds, tracks, genres)
    groups, predicted = groups_of(folds), track_probabilities(predictions)
    confusions = group_confusions(predicted, groups, genres)
    excerpts = group_confusions(most_probable(predictions), groups, genres)
    values, ci95 = metrics_from_confusion(confusions.sum(axis=0)), metric_intervals(confusions)
    share = values["support"] / len(predicted)
    content = {name: values[name] for name in METRICS}
    content["ci95"] = {name: ci95[name] for name in METRICS}
    content["ci95"]["excerpt_accuracy"] = metric_intervals(excerpts)["accuracy"]
    content["per_genre"] = {
        genre: {
            **{name: values[f"genre_{name}"][k] for name in METRICS},
            "support": int(values["support"][k]),
            "ci95": {name: ci95[f"genre_{name}"][:, k] for name in METRICS},
        }
        for k, genre in enumerate(genres)
    }
    content["excerpt_accuracy"] = metrics_from_confusion(excerpts.sum(axis=0))["accuracy"]
    content["weighted"] = {name: share @ values[f"genre_{name}"] for name in METRICS[1:]}
    content["known_artists"] = _known_artists(predicted, groups, tracks)
    content["confusion"] = confusions.sum(axis=0)
    return plain(content | {"scored_tracks": len(predicted), "scored_groups": len(confusions)})


def _calibration(tracks, groups, run) -> dict:
    """Calibration of one model (see `calibration.describe`), scaled by its run's temperatures."""
    columns = probability_columns(tracks)
    true = pd.Index(columns).get_indexer("p_" + tracks["y_true"])
    of_fold = {fold["fold"]: fold.get("temperature") for fold in run.get("folds", [])}
    per_track = tracks["fold"].map(of_fold).astype(float)
    after, why = None, None
    if per_track.notna().all():
        after = scale_temperature(tracks, per_track).to_numpy()
    elif any("temperature" in fold for fold in run.get("folds", [])):
        why = "it was trained on the inner validation part too, so no track is left to fit on"
    else:
        why = "no temperature was fitted when it was trained"
    found = calibration.describe(tracks[columns].to_numpy(), true, groups, after)
    temperatures = None if after is None else list(of_fold.values())
    return {"temperatures": temperatures, "not_scaled": why} | found


def _known_artists(predicted, groups, tracks) -> dict | None:
    """Accuracy on the tracks whose artist is known; None if all are."""
    artist = predicted["track_id"].map(tracks.set_index("track_id")["artist"])
    known = predicted[~artist.str.startswith("unknown:")]
    if len(known) == len(predicted):
        return None
    correct, group = known["y_true"] == known["y_pred"], known["track_id"].map(groups)
    ci95 = significance.accuracy_interval(correct, group) if len(known) else None
    return {"accuracy": correct.mean(), "ci95": ci95, "tracks": len(known)}


def leakage(study: Path) -> dict | None:
    """Excerpt-level accuracy of one classifier under three splits: what leakage is worth.

    segment, track and artist (None where not run), ci95 of each, and their pairwise comparison;
    None if none was run. Raises ValueError if they did not score the same excerpts.
    """
    corpus, folds = files.read_json(study / "corpus.json"), study / "folds.parquet"
    answers = {}
    for split in ("segment", "track", "artist"):
        path = study / "predictions" / "leakage" / f"svm_{split}.parquet"
        if path.exists():
            table = pd.read_parquet(path).set_index(["track_id", "excerpt"], drop=False)
            with _naming(path):
                check_table(table.reset_index(drop=True), corpus["genres"])
            answers[split] = table["y_true"] == most_probable(table)["y_pred"]
    if not answers:
        return None
    correct = pd.DataFrame(answers)
    _refuse(correct.index[correct.isna().any(axis=1)], "excerpts missing in a leakage split")
    groups = correct.index.get_level_values(0).map(groups_of(pd.read_parquet(folds)))
    content = {"segment": None, "track": None, "artist": None, **correct.mean()}
    content["ci95"] = {
        split: significance.accuracy_interval(correct[split], groups) for split in correct
    }
    pairs = significance.compare_models(correct, groups, corpus["group_by"])
    return plain(content | {"pairwise": pairs})


@contextlib.contextmanager
def _naming(path: Path):
    """Put the path of the file at fault before the message of a ValueError."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def environment() -> dict:
    """Versions, processor and usable threads of this machine, without importing TensorFlow."""
    packages = importlib.metadata.packages_distributions()  # tensorflow is in tensorflow-cpu too
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    allowed = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0)
    return {
        "python": platform.python_version(),
        **{
            name: importlib.metadata.version(packages[name][0]) if name in packages else None
            for name in ("tensorflow", "keras", "librosa")
        },
        "cpu": [*names, platform.processor() or platform.machine()][0],
        "threads": len(allowed),
    }


def accuracy_by_split(study: Path) -> pd.DataFrame:
    """Accuracy of whole tracks in each part of the corpus's own split, which the folds do not heed.

    Returns
    -------
    pd.DataFrame
        A row per model, the most accurate first, a column per part: text with a 95 % interval over
        artists. Empty where the corpus has no split.
    """
    split = pd.read_parquet(study / "tracks.parquet").set_index("track_id")["split"]
    groups = groups_of(pd.read_parquet(study / "folds.parquet"))
    rows = {}
    for name in finished_models(study) if split.astype(bool).any() else ():
        table = track_probabilities(pd.read_parquet(study / "predictions" / f"{name}.parquet"))
        table = table.assign(right=table["y_true"] == table["y_pred"])
        rows[name] = {"all": table["right"].mean()}
        for part, own in table.groupby(table["track_id"].map(split)):
            low, high = significance.accuracy_interval(own["right"], own["track_id"].map(groups))
            text = f"{own['right'].mean():.2f} [{low:.2f}, {high:.2f}]"
            rows[name][f"{part}, {len(own)} tracks"] = text
    if not rows:
        return pd.DataFrame()
    shown = pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
    return shown.sort_values("all", ascending=False, kind="stable").drop(columns="all")


def results(study: Path, profile: str) -> dict:
    """All numbers of a study folder, for the models that have predictions and a run record.

    Raises ValueError naming the file for predictions that fail `check_predictions`, and
    FileNotFoundError if no model is finished.
    """
    corpus = files.read_json(study / "corpus.json")
    folds = pd.read_parquet(study / "folds.parquet")
    tracks = pd.read_parquet(study / "tracks.parquet")
    models, correct, group = {}, {}, groups_of(folds)
    for name in finished_models(study):
        path = study / "predictions" / f"{name}.parquet"
        predictions = pd.read_parquet(path)
        with _naming(path):
            models[name] = evaluate(predictions, folds, tracks, corpus["genres"])
        run = files.read_json(study / "runs" / f"{name}.json")
        models[name] |= {key: run.get(key) for key in FROM_RUN}
        predicted = track_probabilities(predictions)
        groups = predicted["track_id"].map(group).to_numpy()
        models[name]["calibration"] = _calibration(predicted, groups, run)
        correct[name] = (predicted["y_true"] == predicted["y_pred"]).to_numpy()
    correct, models = pd.DataFrame(correct), plain(models)
    tested_in = predicted["fold"].to_numpy()
    pairwise = significance.compare_models(correct, groups, corpus["group_by"], tested_in)
    return {
        "profile": profile,
        "corpus": {key: corpus[key] for key in corpus if key != "protocol"},
        "protocol": corpus["protocol"],
        "environment": environment(),
        "models": models,
        "pairwise": pairwise,
        "power": power.of_pairs(correct, groups, significance.main_pairs(models, pairwise)),
        "leakage": leakage(study),
    }


def finished_models(study: Path) -> list[str]:
    """Names of the models with predictions and a run record: MODEL_ORDER, then by name."""
    runs = {path.stem for path in (study / "runs").glob("*.json")}
    names = runs & {path.stem for path in (study / "predictions").glob("*.parquet")}
    if not names:
        raise FileNotFoundError(f"{study}: no model is finished. Run notebook 03 or 02 first.")
    rank = {name: k for k, name in enumerate(MODEL_ORDER)}
    return sorted(names, key=lambda name: (rank.get(name, len(rank)), name))


def write_results(study: Path, profile: str) -> Path:
    """Write results.json of the study folder, whole or not at all, and return its path."""
    path = study / "results.json"
    files.write_json(path, results(study, profile))
    return path


def plain(value):
    """`value` as JSON holds it: lists, Python numbers, and None for NaN."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
