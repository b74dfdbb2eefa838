"""The classical yardstick on feature statistics: SVM, logistic regression, nearest neighbours."""

import time
import warnings
from importlib.metadata import version
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from tqdm import tqdm

from genre_utils.data import splits
from genre_utils.evaluation import scoring, study_results
from genre_utils.features import catalogue
from genre_utils.workspace import evidence, files

HYPERPARAMETERS = {
    "svm": {"kernel": "rbf", "C": 3.0, "gamma": "scale"},
    "logistic": {"C": 0.01, "max_iter": 500},  # a strong penalty: more features than tracks
    "knn": {"n_neighbors": 9, "weights": "distance"},
}
MAKERS = {"svm": SVC, "logistic": LogisticRegression, "knn": KNeighborsClassifier}
CALIBRATION_FOLDS = 3
CARELESS = ("segment", "track")  # what is dealt at random where artists are not kept apart


class Data:
    """Feature statistics of the original excerpts of a study, and its folds."""

    def __init__(self, study: Path):
        summary = pd.read_parquet(study / "summary.parquet")
        summary = summary[summary["copy"] == 0].reset_index(drop=True)
        self.table = summary[["track_id", "excerpt"]]
        self.x = summary.drop(columns=["track_id", "copy", "excerpt"])
        self.folds = pd.read_parquet(study / "folds.parquet")
        tracks = pd.read_parquet(study / "tracks.parquet").set_index("track_id")
        self.y = self.table["track_id"].map(tracks["genre"]).to_numpy()
        self.genres = files.read_json(study / "corpus.json")["genres"]
        group = self.folds.drop_duplicates("track_id").set_index("track_id")["group"]
        self.group = self.table["track_id"].map(group).to_numpy()
        self.hashes = {
            "features": files.read_json(study / "features.json")["sha256"],
            "folds": files.sha256(self.folds.to_csv(index=False)),
            "code": evidence.code("classical"),
        }

    def columns(self, families) -> list[str]:
        """Columns of the given families of features."""
        return [c for c in self.x.columns if catalogue.family_of(c) in families]

    def parts(self, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows that a model without inner validation trains on in a fold, and rows it tests."""
        part = self.folds[self.folds["fold"] == fold].set_index("track_id")["part"]
        parts = self.table["track_id"].map(part)
        return (
            np.flatnonzero(parts.isin(["train", "validation"])),
            np.flatnonzero(parts == "test"),
        )


def estimator(name: str, rows: int | None = None):
    """Standardisation and classifier in one pipeline, so that both learn from the same rows.

    Parameters
    ----------
    name : {"svm", "logistic", "knn"}
    rows : int, optional
        Rows to learn from: no more neighbours are asked than there are.
    """
    settings = dict(HYPERPARAMETERS[name])
    if name == "knn" and rows is not None:
        settings["n_neighbors"] = min(settings["n_neighbors"], rows)
    return make_pipeline(StandardScaler(), MAKERS[name](**settings))


def fit_predict(name: str, x, y, group, train, test, genres) -> np.ndarray:
    """Fit on the rows `train` and predict the probability of each genre for the rows `test`.

    The SVM's probabilities are calibrated (Platt 1999) within the training rows, by artist.

    Returns
    -------
    np.ndarray, shape (test, genres)
    """
    model = estimator(name, len(train))
    if name == "svm":
        parts = _calibration_parts(y[train], group[train])
        model = CalibratedClassifierCV(model, cv=parts, ensemble=False)
    model.fit(x[train], y[train])
    position = [list(model.classes_).index(genre) for genre in genres]
    return model.predict_proba(x[test])[:, position]


def _calibration_parts(y, group):
    """Folds within the training rows: by artist, unless a genre has too few of them.

    A genre with a single row cannot be held out: then the training rows themselves calibrate.
    """
    rarest = np.unique(y, return_counts=True)[1].min()
    for folds in (CALIBRATION_FOLDS, 2):
        if rarest >= folds:
            parts = list(StratifiedGroupKFold(folds).split(y, y, group))
            if all(len(held) and set(y[rest]) == set(y) for rest, held in parts):
                return parts
    rows = np.arange(len(y))
    return list(StratifiedKFold(2).split(y, y)) if rarest >= 2 else [(rows, rows)]


def predict_folds(data: Data, name: str, families=None) -> tuple[pd.DataFrame, list[dict]]:
    """Test a classical model on every fold of the study, each checked for leakage.

    Its settings are fixed beforehand, so it trains on the training and inner validation parts.

    Parameters
    ----------
    data : Data
    name : {"svm", "logistic", "knn"}
    families : collection of str, optional
        Families of features that it gets to see; by default all.

    Returns
    -------
    predictions : pd.DataFrame
        One row per excerpt that is tested: track_id, excerpt, fold, y_true, p_GENRE.
    runs : list of dict
        Seconds of each fold, in the form of the networks' runs.
    """
    x = (data.x if families is None else data.x[data.columns(families)]).to_numpy()
    tables, runs = [], []
    for fold in sorted(data.folds["fold"].unique()):
        train, test = data.parts(fold)
        splits.refuse_leakage(data.folds, fold, weights=data.table["track_id"].to_numpy()[train])
        wall, cpu = time.perf_counter(), time.process_time()
        probabilities = fit_predict(name, x, data.y, data.group, train, test, data.genres)
        runs.append(
            {
                "fold": int(fold),
                "seconds": time.perf_counter() - wall,
                "cpu_seconds": time.process_time() - cpu,
                "epochs": None,
                "best_epoch": None,
                "history": {},
            }
        )
        tables.append(_predictions(data, test, fold, probabilities))
    return pd.concat(tables, ignore_index=True), runs


def cross_validate(study: Path, name: str) -> tuple[pd.DataFrame, dict]:
    """Run `predict_folds` with every family of features, and store what came out.

    Parameters
    ----------
    study : Path
        Holds ``summary.parquet``, ``tracks.parquet``, ``folds.parquet`` and ``corpus.json``.
    name : {"svm", "logistic", "knn"}

    Returns
    -------
    predictions : pd.DataFrame
        What ``predictions/NAME.parquet`` holds.
    run : dict
        What ``runs/NAME.json`` holds.
    """
    data = Data(study)
    predictions, runs = predict_folds(data, name)
    run = {
        "model": name,
        "seed": None,
        "hyperparameters": HYPERPARAMETERS[name],
        "parameters": None,
        "epochs": None,
        "training_seconds": sum(run["seconds"] for run in runs),
        "training_cpu_seconds": sum(run["cpu_seconds"] for run in runs),
        "folds": runs,
        "versions": {"scikit-learn": version("scikit-learn"), "numpy": np.__version__},
        "hashes": data.hashes,
    }
    files.write_table(study / "predictions" / f"{name}.parquet", predictions)
    files.write_json(study / "runs" / f"{name}.json", run)
    study_results.log_holdout_access(study, run, predictions)
    return predictions, run


def feature_sets(families, groups: dict[str, list[str]]) -> dict[str, list[str]]:
    """Sets of families for an ablation: all, each group left out, each group alone.

    Parameters
    ----------
    families : sequence of str
        The families that the corpus has.
    groups : dict of str to list of str
        Families of each group, for example `catalogue.GROUPS`; what the corpus does not have is
        ignored. A corpus with one or two groups has its families taken one by one: of two,
        leaving one out is having the other alone.

    Returns
    -------
    dict of str to list of str
        "all", "without GROUP" ..., "only GROUP" ...; "all" by itself where there is one family.
    """
    families = list(families)
    groups = {name: [f for f in members if f in families] for name, members in groups.items()}
    groups = {name: members for name, members in groups.items() if members}
    if len(groups) < 3:
        groups = {family.replace("_", " "): [family] for family in families}
    sets = {"all": families}
    if len(groups) > 1:
        for name, members in groups.items():
            sets[f"without {name}"] = [f for f in families if f not in members]
        sets |= {f"only {name}": members for name, members in groups.items()}
    return sets


def ablate_families(study: Path, names, groups: dict[str, list[str]], n_jobs=-1) -> pd.DataFrame:
    """Test models with fewer families of features, on the study's own folds, and store the answers.

    Parameters
    ----------
    study : Path
        See `cross_validate`.
    names : sequence of {"svm", "logistic", "knn"}
    groups : dict of str to list of str
        See `feature_sets`.
    n_jobs : int
        Processes; -1 for one per core.

    Returns
    -------
    pd.DataFrame
        What ``predictions/families/NAME.parquet`` hold: model, features (of `feature_sets`),
        track_id, fold, y_true and the track's mean probability of each genre.
    """
    data = Data(study)
    sets = feature_sets(dict.fromkeys(map(catalogue.family_of, data.x.columns)), groups)
    jobs = [(name, label, chosen) for name in names for label, chosen in sets.items()]
    tasks = (joblib.delayed(_ablated)(data, *job) for job in jobs)
    found = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
    tables = list(tqdm(found, total=len(jobs), desc="feature sets", unit="set"))
    answers = pd.concat(tables, ignore_index=True)
    for name in names:
        path = study / "predictions" / "families" / f"{name}.parquet"
        files.write_table(path, answers[answers["model"] == name])
    return answers


def _ablated(data, name, label, families):
    tracks = scoring.track_probabilities(predict_folds(data, name, families)[0])
    tracks = tracks.drop(columns="y_pred")
    tracks.insert(0, "model", name)
    tracks.insert(1, "features", label)
    return tracks


def price_of_leakage(study: Path, *, seed: int = 0, n_jobs: int = -1) -> dict[str, pd.DataFrame]:
    """Predict every excerpt by the same SVM under three splits, and store what came out.

    ``segment`` deals excerpts at random, so that parts of one track stand on both sides;
    ``track`` deals whole tracks; ``artist`` is the study's own folds. Only the last is honest; the
    others, with as many folds, are here to measure what carelessness would have reported.

    Parameters
    ----------
    study : Path
        See `cross_validate`; its folds must be by artist.
    seed : int
        Seed of the careless splits.
    n_jobs : int
        Processes; -1 for one per core.

    Returns
    -------
    dict of str to pd.DataFrame
        What ``predictions/leakage/svm_SPLIT.parquet`` holds.

    Raises
    ------
    ValueError
        If a genre has so few tracks that a careless fold would leave none to learn from.
    """
    data = Data(study)
    x, track = data.x.to_numpy(), data.table["track_id"].to_numpy()
    folds = sorted(data.folds["fold"].unique())
    units = {"segment": np.arange(len(x)), "track": track, "artist": data.group}
    plans = {split: _dealt(data.y, units[split], len(folds), seed) for split in CARELESS}
    plans["artist"] = [data.parts(fold) for fold in folds]
    jobs = [(split, fold, part) for split in plans for fold, part in enumerate(plans[split])]
    tasks = (  # who deals carelessly calibrates carelessly too
        joblib.delayed(fit_predict)("svm", x, data.y, units[split], *part, data.genres)
        for split, _, part in jobs
    )
    found = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
    found = tqdm(found, total=len(jobs), desc="three splits", unit="fold")
    tables = {split: [] for split in plans}
    for (split, fold, (_, test)), probabilities in zip(jobs, found, strict=True):
        tables[split].append(_predictions(data, test, fold, probabilities))
    predicted = {split: pd.concat(parts, ignore_index=True) for split, parts in tables.items()}
    for split, table in predicted.items():
        files.write_table(study / "predictions" / "leakage" / f"svm_{split}.parquet", table)
    return predicted


def _dealt(y, units, folds, seed):
    """Folds that keep each unit whole and deal units at random: (train, test) rows of each."""
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # a genre with fewer rows than folds: checked below instead
        warnings.filterwarnings("ignore", message="The least populated class")
        parts = [(train, test) for train, test in splitter.split(y, y, units) if len(test)]
    for train, _ in parts:
        lost = set(y) - set(y[train])
        if lost:
            raise ValueError(
                f"a fold would leave nothing of {min(lost)} to learn from: it has too few tracks "
                "to be dealt at random. Leave that genre out of GENRES, or use more FOLDS."
            )
    return parts


def _predictions(data, rows, fold, probabilities):
    table = data.table.iloc[rows].reset_index(drop=True)
    table = table.assign(fold=int(fold), y_true=data.y[rows])
    table[[f"p_{genre}" for genre in data.genres]] = probabilities
    return table
