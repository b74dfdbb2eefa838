"""results.json: all numbers of a study, computed only from its predictions."""

import contextlib
import importlib.metadata
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from genre_utils.evaluation import calibration, comparisons, intervals, power, reliability, scoring
from genre_utils.workspace import files
from genre_utils.workspace.study_folder import StudyFolder

_FROM_RUN = ["hyperparameters", "parameters", "multiply_adds_per_second", "epochs"]
_FROM_RUN += ["training_seconds", "training_cpu_seconds", "inference_seconds"]


def results(study: StudyFolder, profile: str) -> dict:
    """Compute all numbers of a study, for the models that have predictions and a run record.

    Raises MissingStepError if there is none, ValueError if predictions are not what they should be.

    Parameters
    ----------
    study : StudyFolder
        What was predicted and trained.
    profile : str
        Name that the numbers carry.

    Returns
    -------
    dict
        What results.json holds: profile, corpus, protocol, environment, models, pairwise, power,
        leakage.
    """
    corpus, models, correct = study.corpus, {}, {}
    for name in study.require_models():
        predictions, run = study.predictions(name), study.run(name)
        with _naming(f"predictions of {name}"):
            models[name] = scoring.evaluate(study, predictions)
        models[name] |= {key: run.get(key) for key in _FROM_RUN}
        predicted = scoring.track_probabilities(predictions)
        groups = predicted["track_id"].map(study.groups).to_numpy()
        models[name]["calibration"] = _calibration(predicted, groups, run)
        correct[name] = (predicted["y_true"] == predicted["y_pred"]).to_numpy()
    correct, models = pd.DataFrame(correct), files.plain(models)
    pairwise = comparisons.compare_models(correct, groups, corpus["group_by"])
    return {
        "profile": profile,
        "corpus": {key: corpus[key] for key in corpus if key != "protocol"},
        "protocol": corpus["protocol"],
        "environment": environment(),
        "models": models,
        "pairwise": pairwise,
        "power": power.of_pairs(correct, groups, comparisons.main_pairs(models, pairwise)),
        "leakage": leakage(study),
    }


@contextlib.contextmanager
def _naming(what: str):
    """Put what is at fault before the message of a ValueError."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error


def _calibration(tracks, groups, run):
    """Calibration of one model (see `reliability.describe`), scaled by its run's temperatures."""
    p, true = scoring.probabilities(tracks)
    of_fold = {fold["fold"]: fold.get("temperature") for fold in run.get("folds", [])}
    per_track = tracks["fold"].map(of_fold).astype(float)
    after, why = None, None
    if per_track.notna().all():
        after = calibration.apply_temperature(p, per_track.to_numpy())
    elif any("temperature" in fold for fold in run.get("folds", [])):
        why = "it was trained on the inner validation part too, so no track is left to fit on"
    else:
        why = "no temperature was fitted when it was trained"
    temperatures = None if after is None else list(of_fold.values())
    found = {"temperatures": temperatures, "not_scaled": why}
    return found | reliability.describe(p, true, groups, after)


def leakage(study: StudyFolder) -> dict | None:
    """Excerpt-level accuracy of one classifier under three splits: what leakage is worth.

    Parameters
    ----------
    study : StudyFolder
        What was predicted under each split.

    Returns
    -------
    dict or None
        Accuracies segment, track and artist (None where not run), ci95 of each, and their pairwise
        comparison. None if none was run; a ValueError if they did not score the same excerpts.
    """
    right = {}
    for split in ("segment", "track", "artist"):
        path = study.measurement("leakage", f"svm_{split}").with_suffix(".parquet")
        if path.exists():
            table = pd.read_parquet(path).set_index(["track_id", "excerpt"], drop=False)
            with _naming(str(path)):
                scoring.check_table(table.reset_index(drop=True), study.genres)
            right[split] = table["y_true"] == scoring.most_probable(table)["y_pred"]
    if not right:
        return None
    correct = pd.DataFrame(right)
    scoring.refuse(correct.index[correct.isna().any(axis=1)], "excerpts missing in a leakage split")
    groups = correct.index.get_level_values(0).map(study.groups)
    ci95 = {split: intervals.accuracy_interval(correct[split], groups) for split in correct}
    pairs = comparisons.compare_models(correct, groups, study.corpus["group_by"])
    content = {"segment": None, "track": None, "artist": None, **correct.mean()}
    return files.plain(content | {"ci95": ci95, "pairwise": pairs})


def accuracy_by_split(study: StudyFolder) -> pd.DataFrame:
    """Accuracy of whole tracks in each part of the corpus's own split, which the folds do not heed.

    Parameters
    ----------
    study : StudyFolder
        Its tracks, folds and predictions are read.

    Returns
    -------
    pd.DataFrame
        Columns model, part, tracks (how many), accuracy, low, high (95 % over artists); without
        rows where the corpus has no split.
    """
    split, rows = study.tracks.set_index("track_id")["split"], []
    for name in study.finished() if split.astype(bool).any() else ():
        tracks = scoring.track_probabilities(study.predictions(name)).set_index("track_id")
        right = tracks["y_true"] == tracks["y_pred"]
        for part, own in right.groupby(split):
            limits = intervals.accuracy_interval(own, study.groups[own.index])
            rows.append((name, part, len(own), own.mean(), *limits))
    return pd.DataFrame(rows, columns=["model", "part", "tracks", "accuracy", "low", "high"])


def environment() -> dict:
    """Versions, processor and usable threads of this machine, without importing TensorFlow."""
    packages = importlib.metadata.packages_distributions()  # tensorflow is in tensorflow-cpu too
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    allowed = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0)
    found: dict = {"python": platform.python_version()}
    for name in ("tensorflow", "keras", "librosa"):
        found[name] = importlib.metadata.version(packages[name][0]) if name in packages else None
    cpu = [*names, platform.processor() or platform.machine()][0]
    return found | {"cpu": cpu, "threads": len(allowed)}


def log_holdout_access(study: StudyFolder, run: dict, predictions: pd.DataFrame) -> None:
    """Note in the study's log that a fixed split was scored, unless that says nothing new.

    Whoever chooses by what they see there has tuned on it. A study with folds has no log.
    """
    if study.corpus["protocol"] != "fixed":
        return
    look = {
        "model": run["model"],
        "settings": files.sha256(run["hyperparameters"])[:16],
        "tracks": str(predictions["track_id"].nunique()),
        "accuracy": f"{scoring.plain_accuracy(predictions)['whole tracks']:.4f}",
    }
    looks, path = pd.DataFrame(columns=["time", *look]), study.holdout_log
    if path.exists():
        looks = pd.read_csv(path, dtype=str)
    if not (looks[list(look)] == pd.Series(look)).all(axis=1).any():
        looks.loc[len(looks)] = {"time": datetime.now(UTC).isoformat(timespec="seconds"), **look}
        with files.atomic_write(path) as temporary:
            looks.to_csv(temporary, index=False, lineterminator="\n")
