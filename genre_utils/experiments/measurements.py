"""What the long measurements of a study share: where they are kept, and how they are compared.

A grid asks the same tracks again and again: under other splits, after other changes, with less to
learn from. What is kept of each answer is the genre that was named, in a few kilobytes.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from genre_utils.evaluation import comparisons, intervals, scoring, study_results
from genre_utils.workspace import evidence, files

CLASSICAL = ("svm", "logistic", "knn")  # models that are trained anew in a moment
FULL = "-full"  # how the name of a profile ends that measures what takes long


def inputs(study: Path) -> dict[str, str]:
    """Hashes of the features and folds that a measurement of a study rests on."""
    folds = pd.read_parquet(study / "folds.parquet")
    return {
        "features": files.read_json(study / "features.json")["sha256"],
        "folds": files.sha256(folds.to_csv(index=False)),
    }


def _place(study, grid, label):
    return study / "predictions" / grid / f"{label}.json"


def is_stored(study: Path, grid: str, label: str, key: str) -> bool:
    """Whether a measurement with this key is stored, whole."""
    place = _place(study, grid, label)
    return is_whole(place) and files.read_json(place)["key"] == key


def is_whole(place: Path) -> bool:
    """Whether the record ``LABEL.json`` is there, and the answers beside it are as it says."""
    try:
        noted = files.read_json(place).get("md5")
        return noted in (None, files.file_md5(place.with_suffix(".parquet")))
    except (FileNotFoundError, ValueError):
        return False


def store(study: Path, grid: str, label: str, key: str, answers: pd.DataFrame, **record) -> None:
    """Store a measurement as ``predictions/GRID/LABEL.parquet`` and ``.json``.

    Parameters
    ----------
    study : Path
    grid, label, key : str
    answers : pd.DataFrame
        One row per answer; text is kept as categories.
    **record
        What else is to be known of it, as JSON holds it.
    """
    place = _place(study, grid, label)
    text = [name for name in answers if not pd.api.types.is_numeric_dtype(answers[name])]
    files.write_table(
        place.with_suffix(".parquet"), answers.astype(dict.fromkeys(text, "category"))
    )
    md5 = files.file_md5(place.with_suffix(".parquet"))
    content = {"key": key, "inputs": inputs(study), "md5": md5, **record}
    files.write_json(place, study_results.plain(content))  # last: it says that all is there


def refuse_damage(place: Path) -> None:
    """Raise a ValueError unless a measurement `is_whole`, which says what to do."""
    if not is_whole(place):
        raise ValueError(
            f"{place}: it, or the table beside it, is not as it was written. Delete both and "
            "measure again."
        )


def stored(study: Path, grid: str, *, elsewhere: bool = False) -> dict:
    """Records and answers of a grid, by label; those of other features or folds are left out.

    Parameters
    ----------
    study : Path
    grid : str
    elsewhere : bool
        Whether there may be answers about tracks that are not the study's.

    Returns
    -------
    dict of str to (dict, pd.DataFrame)

    Raises
    ------
    ValueError
        If an answer is about a track that it should not be about, or names an unknown genre, or
        the files are not as they were written.
    """
    on_these, found = inputs(study), {}
    genres = files.read_json(study / "corpus.json")["genres"]
    known = set(pd.read_parquet(study / "folds.parquet")["track_id"])
    for path in sorted((study / "predictions" / grid).glob("*.json")):
        refuse_damage(path)
        record = files.read_json(path)
        if record["inputs"] != on_these:
            continue
        answers = pd.read_parquet(path.with_suffix(".parquet"))
        text = answers.select_dtypes("category").columns
        answers = answers.astype(dict.fromkeys(text, str))
        ours = elsewhere or answers["track_id"].isin(known).all()
        if not (ours and answers["y_pred"].isin(genres).all()):
            raise ValueError(f"{path.with_suffix('.parquet')}: answers about other tracks or "
                             "genres. Delete this file and measure again.")  # fmt: skip
        found[path.stem] = record, answers
    return found


def genre_of(study: Path) -> pd.Series:
    """Genre of each track_id."""
    return pd.read_parquet(study / "tracks.parquet").set_index("track_id")["genre"]


def group_of(study: Path) -> pd.Series:
    """Group (artist component) of each track_id."""
    return scoring.groups_of(pd.read_parquet(study / "folds.parquet"))


def with_right(answers: pd.DataFrame, genre: pd.Series) -> pd.DataFrame:
    """Answers with ``right``, whether the genre that was named is the track's."""
    return answers.assign(right=answers["y_pred"] == answers["track_id"].map(genre))


def accuracies(right: pd.DataFrame, groups) -> pd.DataFrame:
    """Mean of each column of `right`, with its 95 % interval over artists.

    Parameters
    ----------
    right : pd.DataFrame, shape (rows, columns)
        Whether each answer is right, or in what share of several it is.
    groups : sequence, shape (rows,)
        Artist of each row.

    Returns
    -------
    pd.DataFrame
        Indexed by column: accuracy, low, high.
    """
    limits = np.transpose([intervals.accuracy_interval(right[c], groups) for c in right])
    return pd.DataFrame(
        {"accuracy": right.mean().to_numpy(float), "low": limits[0], "high": limits[1]},
        index=right.columns,
    )


def difference(one, other, groups) -> dict[str, float]:
    """Mean of `one` less that of `other`, paired, with its 95 % interval over artists and p.

    Parameters
    ----------
    one, other : array_like, shape (rows,) or (rows, repeats)
        Whether each answer is right; repeats are those of other seeds.
    groups : sequence, shape (rows,)

    Returns
    -------
    dict
        difference, low, high, and p_value of the sign-flip test over artists.
    """
    one, other = (
        np.asarray(values, dtype=float).reshape(len(groups), -1) for values in (one, other)
    )
    pair = np.stack([one.mean(axis=1), other.mean(axis=1)], axis=1)
    low, high = intervals.difference_interval(*pair.T, groups)
    repeated = np.repeat(np.asarray(groups), one.shape[1])
    p_value = comparisons.sign_flip_test(one.ravel(), other.ravel(), repeated)
    change = pair[:, 0].mean() - pair[:, 1].mean()
    return {"difference": change, "low": low, "high": high, "p_value": p_value}


def between(one: pd.DataFrame, other: pd.DataFrame, folds: pd.DataFrame) -> dict[str, float]:
    """`difference` in the accuracy of whole tracks, from predictions for the same tracks."""
    tables = [scoring.track_probabilities(table).set_index("track_id") for table in (one, other)]
    right = [table["y_true"] == table["y_pred"] for table in tables]
    groups = right[0].index.map(scoring.groups_of(folds))
    return difference(right[0], right[1].loc[right[0].index], groups)


def judged(table: pd.DataFrame) -> pd.DataFrame:
    """Differences with p_holm (Holm over all rows) and ``separable``, p_holm < 0.05."""
    if table.empty:
        return table
    p_holm = comparisons.holm(table["p_value"])
    return table.assign(p_holm=p_holm, separable=p_holm < 0.05)


def one_look(study: Path) -> str:
    """Why nothing is asked again of a fixed split; empty for a cross-validated study."""
    if files.read_json(study / "corpus.json")["protocol"] == "fixed":
        return "a fixed split is for one look, and each measurement here would be another"
    return ""


def has_audio(study: Path) -> bool:
    """Whether the study has recordings, and not ready spectrograms alone."""
    return files.read_json(study / "features.json")["recipe"] is not None


def trained(study: Path, names) -> list[str]:
    """Those of the models `names` that the study has trained, in their order."""
    finished = study_results.finished_models(study)
    return [name for name in names if name in finished]


def run_of(study: Path, name: str) -> dict:
    """What ``runs/NAME.json`` holds."""
    return files.read_json(study / "runs" / f"{name}.json")


def made_by(study: Path, name: str) -> dict | str:
    """All that decides what a model answers: from its run, or its code if it was not trained."""
    path = study / "runs" / f"{name}.json"
    if not path.exists():
        return evidence.code("classical")
    run = files.read_json(path)
    decides = ("hashes", "hyperparameters", "hyperparameters_per_fold", "max_epochs", "seed")
    return {key: run.get(key) for key in (*decides, "versions")}


def settings_of(study: Path, name: str):
    """Settings, epochs and seed with which the study trained a network.

    Returns
    -------
    settings : models.Hyperparameters
    options : dict
        epochs and seed, as `cross_validation.out_of_fold` takes them.
    """
    from genre_utils.models import hyperparameters

    run = run_of(study, name)
    settings = hyperparameters.Hyperparameters.from_json(run["hyperparameters"])
    return settings, {"epochs": run["max_epochs"], "seed": run["seed"]}


def seconds_a_fold(study: Path, name: str) -> float:
    """Mean seconds that training one fold of a model took in this study."""
    run = run_of(study, name)
    return run["training_seconds"] / len(run["folds"])
