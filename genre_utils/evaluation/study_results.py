"""TODO evaluation.study_results."""

import contextlib
import importlib.metadata
import math
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from genre_utils.evaluation import calibration, comparisons, intervals, power, scoring
from genre_utils.workspace import files, model_names

FROM_RUN = ("hyperparameters", "parameters", "multiply_adds_per_second", "epochs")
FROM_RUN += ("training_seconds", "training_cpu_seconds", "inference_seconds")


def log_holdout_access(study: Path, run: dict, predictions: pd.DataFrame) -> None:
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
        "accuracy": f"{scoring.plain_accuracy(predictions)['whole tracks']:.4f}",
    }
    path = study / "looks.csv"
    looks = pd.read_csv(path, dtype=str) if path.exists() else pd.DataFrame(columns=list(look))
    if (looks[list(look)] == pd.Series(look)).all(axis=1).any():
        return
    now = datetime.now(UTC).isoformat(timespec="seconds")
    looks = pd.concat([looks, pd.DataFrame([{"time": now, **look}])], ignore_index=True)
    with files.atomic_write(path) as temporary:
        looks[["time", *look]].to_csv(temporary, index=False, lineterminator="\n")


def _calibration(tracks, groups, run) -> dict:
    """Calibration of one model (see `calibration.describe`), scaled by its run's temperatures."""
    columns = scoring.probability_columns(tracks)
    true = pd.Index(columns).get_indexer("p_" + tracks["y_true"])
    of_fold = {fold["fold"]: fold.get("temperature") for fold in run.get("folds", [])}
    per_track = tracks["fold"].map(of_fold).astype(float)
    after, why = None, None
    if per_track.notna().all():
        after = calibration.apply_temperature(tracks, per_track).to_numpy()
    elif any("temperature" in fold for fold in run.get("folds", [])):
        why = "it was trained on the inner validation part too, so no track is left to fit on"
    else:
        why = "no temperature was fitted when it was trained"
    found = calibration.describe(tracks[columns].to_numpy(), true, groups, after)
    temperatures = None if after is None else list(of_fold.values())
    return {"temperatures": temperatures, "not_scaled": why} | found


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
                scoring.check_table(table.reset_index(drop=True), corpus["genres"])
            answers[split] = table["y_true"] == scoring.most_probable(table)["y_pred"]
    if not answers:
        return None
    correct = pd.DataFrame(answers)
    scoring.refuse(correct.index[correct.isna().any(axis=1)], "excerpts missing in a leakage split")
    groups = correct.index.get_level_values(0).map(scoring.groups_of(pd.read_parquet(folds)))
    content = {"segment": None, "track": None, "artist": None, **correct.mean()}
    content["ci95"] = {
        split: intervals.accuracy_interval(correct[split], groups) for split in correct
    }
    pairs = comparisons.compare_models(correct, groups, corpus["group_by"])
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
    groups = scoring.groups_of(pd.read_parquet(study / "folds.parquet"))
    rows = {}
    for name in finished_models(study) if split.astype(bool).any() else ():
        table = scoring.track_probabilities(
            pd.read_parquet(study / "predictions" / f"{name}.parquet")
        )
        table = table.assign(right=table["y_true"] == table["y_pred"])
        rows[name] = {"all": table["right"].mean()}
        for part, own in table.groupby(table["track_id"].map(split)):
            low, high = intervals.accuracy_interval(own["right"], own["track_id"].map(groups))
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
    models, correct, group = {}, {}, scoring.groups_of(folds)
    for name in finished_models(study):
        path = study / "predictions" / f"{name}.parquet"
        predictions = pd.read_parquet(path)
        with _naming(path):
            models[name] = scoring.evaluate(predictions, folds, tracks, corpus["genres"])
        run = files.read_json(study / "runs" / f"{name}.json")
        models[name] |= {key: run.get(key) for key in FROM_RUN}
        predicted = scoring.track_probabilities(predictions)
        groups = predicted["track_id"].map(group).to_numpy()
        models[name]["calibration"] = _calibration(predicted, groups, run)
        correct[name] = (predicted["y_true"] == predicted["y_pred"]).to_numpy()
    correct, models = pd.DataFrame(correct), plain(models)
    tested_in = predicted["fold"].to_numpy()
    pairwise = comparisons.compare_models(correct, groups, corpus["group_by"], tested_in)
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


def finished_models(study: Path) -> list[str]:
    """Names of the models with predictions and a run record: MODEL_ORDER, then by name."""
    runs = {path.stem for path in (study / "runs").glob("*.json")}
    names = runs & {path.stem for path in (study / "predictions").glob("*.parquet")}
    if not names:
        raise FileNotFoundError(f"{study}: no model is finished. Run notebook 03 or 02 first.")
    rank = {name: k for k, name in enumerate(model_names.MODEL_ORDER)}
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
