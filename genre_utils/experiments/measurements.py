"""What experiments share: where they keep predictions, under a key, and how they compare them."""

from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from tqdm import tqdm

from genre_utils.evaluation import comparisons, intervals, scoring
from genre_utils.models import classical
from genre_utils.plots import formatting
from genre_utils.workspace import evidence, files, model_names
from genre_utils.workspace.study_folder import StudyFolder

JOBS = -1  # processes: one per core


def obstacle(study: StudyFolder) -> str:
    """Why nothing is measured again on a fixed split; empty for a cross-validated study."""
    if study.corpus["protocol"] == "fixed":
        return "a fixed split is for one look, and each measurement here would be another"
    return ""


def has_audio(study: StudyFolder) -> bool:
    """Whether the study has recordings, and not ready spectrograms alone."""
    return study.features["recipe"] is not None


def trained(study: StudyFolder, names) -> list[str]:
    """Those of some models that the study has trained."""
    return [name for name in names if name in study.finished()]


def seconds(study: StudyFolder, names, folds: int) -> float:
    """Seconds that training so many folds of some models takes, from what it took in the study."""
    runs = [study.run(name) for name in trained(study, names)]
    return folds * sum(run["training_seconds"] / len(run["folds"]) for run in runs)


def made_by(study: StudyFolder, name: str) -> dict:
    """All that decides what a model of the study predicts."""
    decides = ("hashes", "hyperparameters", "hyperparameters_per_fold", "max_epochs", "seed")
    return {key: study.run(name).get(key) for key in (*decides, "versions")}


def made(study: StudyFolder, names) -> dict:
    """`made_by`, by model, for those of some models that the study has trained."""
    return {name: made_by(study, name) for name in trained(study, names)}


def settings_of(study: StudyFolder, name: str, folds) -> tuple[dict, dict]:
    """Settings of a network in the study for each of some folds, and its epochs and seed."""
    from genre_utils.models import hyperparameters  # TensorFlow

    run = study.run(name)
    settings = hyperparameters.Hyperparameters.from_json(run["hyperparameters"])
    options = {"epochs": run["max_epochs"], "seed": run["seed"]}
    return dict.fromkeys(folds["fold"].unique(), settings), options


def predict(study: StudyFolder, name: str, folds, label: str, *, data_of=None, repeat: int = 0):
    """Predictions of a model that learns anew, from other folds or (`data_of`) another study."""
    data_of = data_of or study
    if name in model_names.CLASSICAL:
        return classical.predict_folds(classical.Data(data_of, folds), name)[0]
    from genre_utils.models import cross_validation, training_data  # TensorFlow

    settings, options = settings_of(study, name, folds)
    options["seed"] += repeat
    data = training_data.load_data(data_of, folds)
    return cross_validation.out_of_fold(data_of, name, data, settings, label=label, **options)[0]


def fit_predict(data: classical.Data, name: str, jobs) -> dict:
    """Predictions of a classical model by key, from key, fold, groups, rows learned and tested."""
    x, tables = data.x.to_numpy(), {key: [] for key, *_ in jobs}
    tasks = (
        joblib.delayed(classical.fit_predict)(name, x, data.genre, *of, data.genres)
        for _, _, *of in jobs
    )
    found = joblib.Parallel(n_jobs=JOBS, return_as="generator")(tasks)
    found = tqdm(found, total=len(jobs), desc=f"{name}, three splits", unit="fold")
    for (key, fold, _, _, test), probabilities in zip(jobs, found, strict=True):
        tables[key].append(data.predicted(test, fold, probabilities))
    return {key: pd.concat(parts, ignore_index=True) for key, parts in tables.items()}


def _inputs(study):
    """Hashes of what a measurement rests on; a stored report has no features any more."""
    found = {"folds": files.sha256(study.folds.to_csv(index=False))}
    return found | ({"features": study.features["sha256"]} if study.has("features") else {})


def base(study: StudyFolder, experiment: str) -> str:
    """Key of what all measurements of an experiment rest on: inputs and code."""
    return files.sha256(_inputs(study), evidence.code(experiment))


def left(study: StudyFolder, experiment: str, decides: dict, obstacle=None) -> dict[str, str]:
    """Keys of what is not stored yet, by label; ValueError if something is, and has an obstacle."""
    on = base(study, experiment)
    found = {label: files.sha256(on, one) for label, one in decides.items()}
    for label, key in list(found.items()):
        place = study.measurement(experiment, label)
        if _is_whole(place) and files.read_json(place)["key"] == key:
            del found[label]
    if found and obstacle and (why := obstacle(study)):
        raise ValueError(f"{experiment.replace('_', ' ')} cannot be measured: {why}.")
    return found


def store(study: StudyFolder, experiment: str, label: str, key: str, predictions, **record) -> None:
    """Store predictions, and what else is to be known of them as JSON holds it."""
    place = study.measurement(experiment, label)
    if "model" in record:
        record["made"] = made(study, [record["model"]])
    table = place.with_suffix(".parquet")
    files.write_table(table, predictions)
    inputs = _inputs(study) | {"code": evidence.code(experiment)}
    content = {"key": key, "inputs": inputs, "md5": files.file_md5(table), **record}
    files.write_json(place, files.plain(content))  # last: it says that all is there


def _is_whole(place: Path) -> bool:
    """Whether a record is there, and the predictions beside it are as it says."""
    try:
        noted = files.read_json(place).get("md5")
        return noted in (None, files.file_md5(place.with_suffix(".parquet")))
    except (FileNotFoundError, ValueError):
        return False


def refuse_foreign(study: StudyFolder, predictions: pd.DataFrame, *, elsewhere=False) -> None:
    """Raise ValueError unless predictions are of the study's genres, and of its own tracks."""
    ours = elsewhere or predictions["track_id"].isin(study.folds["track_id"]).all()
    if not (ours and predictions["y_pred"].isin(study.genres).all()):
        raise ValueError("predictions of other tracks or genres. Delete this file, measure again.")


def stored(study: StudyFolder, experiment: str, refuse=refuse_foreign) -> dict[str, tuple]:
    """Records and predictions of an experiment, by label; those on other inputs are left out."""
    on_these, found = _inputs(study), {}
    for path in sorted(study.measurements(experiment).glob("*.json")):
        if not _is_whole(path):
            raise ValueError(
                f"{path} or its table is not as written. Delete both and measure again."
            )
        record = files.read_json(path)
        if record["inputs"] | on_these != record["inputs"]:
            continue
        table = path.with_suffix(".parquet")
        predictions = pd.read_parquet(table)
        text = predictions.select_dtypes("category").columns
        predictions = predictions.astype(dict.fromkeys(text, str))
        try:
            refuse(study, predictions)
        except ValueError as error:
            raise ValueError(f"{table}: {error}") from error
        found[path.stem] = record, predictions
    return found


def by_model(study: StudyFolder, experiment: str, refuse=refuse_foreign) -> list[tuple]:
    """What is `stored` for each model, if it is that of the study still; in the models' order."""
    found = [
        (record, predictions)
        for record, predictions in stored(study, experiment, refuse).values()
        if record.get("made") in (None, files.plain(made(study, [record["model"]])))
    ]
    return sorted(found, key=lambda pair: model_names.place(pair[0]["model"]))


def correct(predictions: pd.DataFrame, truth: pd.Series, index, columns) -> pd.DataFrame:
    """Whether the genre that was predicted is the track's, 0 or 1, by some columns and others."""
    right = predictions["y_pred"] == predictions["track_id"].map(truth)
    table = predictions.assign(right=right.astype(float))
    return table.pivot_table("right", index, columns, aggfunc="first", sort=False)


def accuracies(right: pd.DataFrame, groups, by=None) -> pd.DataFrame:
    """Mean of each column, indexed by it, with low and high, its 95 % interval over artists.

    Columns that differ in other levels than `by` are repeats, of which the mean is taken first.
    """
    if by is not None:
        right = right.T.groupby(level=by, sort=False).mean().T
    low, high = np.transpose([intervals.accuracy_interval(right[c], groups) for c in right])
    found = {"accuracy": right.mean().to_numpy(float), "low": low, "high": high}
    return pd.DataFrame(found, index=right.columns)


def difference(one, other, groups) -> dict[str, float]:
    """Mean of `one` less that of `other`, paired: difference, low and high (95 %), p_value.

    Both say which predictions are right, (rows,) or (rows, repeats), and groups (rows,) of whom;
    repeats are of several seeds, or of one for all. The test is a sign-flip permutation test.
    """
    pair = (np.asarray(values, dtype=float).reshape(len(groups), -1) for values in (one, other))
    one, other = np.broadcast_arrays(*pair)
    means = one.mean(axis=1), other.mean(axis=1)
    low, high = intervals.difference_interval(*means, groups)
    repeated = np.repeat(np.asarray(groups), one.shape[1])
    p_value = comparisons.sign_flip_test(one.ravel(), other.ravel(), repeated)
    change = means[0].mean() - means[1].mean()
    return {"difference": change, "low": low, "high": high, "p_value": p_value}


def change(one, other, groups) -> dict[str, float]:
    """`difference` whose limits have names of their own, to stand beside an accuracy."""
    names = {"low": "difference_low", "high": "difference_high"}
    return {names.get(name, name): v for name, v in difference(one, other, groups).items()}


def right(predictions: pd.DataFrame) -> pd.Series:
    """Whether the genre that is predicted for a whole track is its own, by track_id."""
    tracks = scoring.track_probabilities(predictions).set_index("track_id")
    return tracks["y_true"] == tracks["y_pred"]


def between(one: pd.DataFrame, other: pd.DataFrame, folds: pd.DataFrame) -> dict[str, float]:
    """`difference` in the accuracy of whole tracks, from predictions for the same tracks."""
    after, before = right(one), right(other)
    return difference(after, before.loc[after.index], after.index.map(scoring.groups_of(folds)))


def paired(study: StudyFolder, pairs) -> dict[tuple[str, str], dict]:
    """`between` the models of each pair of names of which both were trained, by the pair."""
    both = [pair for pair in pairs if len(trained(study, pair)) == len(pair)]
    return {pair: between(*map(study.predictions, pair), study.folds) for pair in both}


def by_genre(study: StudyFolder, one: str, other: str) -> pd.DataFrame:
    """`difference` in the recall of each genre between two models, judged over all genres."""
    after, before = (right(study.predictions(name)) for name in (one, other))
    genre, rows = study.genre_of[after.index], []
    for name in study.genres:
        own = after.index[genre == name]
        change = difference(after[own], before[own], own.map(study.groups))
        rows.append({"genre": name, "question": "", **change})
    return judged(pd.DataFrame(rows))


def judged(table: pd.DataFrame) -> pd.DataFrame:
    """Differences with p_holm (Holm over all rows with a p_value) and separable, p_holm < 0.05."""
    if "p_value" not in table:
        return table
    tested = table["p_value"].dropna()
    p_holm = pd.Series(comparisons.holm(tested), index=tested.index)
    return table.assign(p_holm=p_holm, separable=p_holm < intervals.LEVEL)


def readable(table: pd.DataFrame, columns: dict, low: str = "low", high: str = "high"):
    """Table of some columns, then differences in points, p, and what the test says of them."""
    points = (100 * table[["difference", low, high]]).to_numpy(float)
    texts = {
        "points [95 %]": [formatting.signed_with_limits(row, 0) for row in points],
        "p (Holm)": table["p_holm"].map(formatting.p_text),
        "verdict": np.where(table["separable"], "differ", "not significantly different"),
    }
    return pd.DataFrame(columns | texts)
