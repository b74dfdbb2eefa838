"""Baselines on feature statistics: SVM, logistic regression, nearest neighbours."""

import time
from importlib.metadata import version
from statistics import mode

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from genre_utils.data import splits
from genre_utils.features import catalogue
from genre_utils.models import study_data
from genre_utils.workspace import evidence, model_names
from genre_utils.workspace.study_folder import StudyFolder

#: Settings; the SVM's gamma is over the number of features: 1 is what scikit-learn calls "scale".
HYPERPARAMETERS: dict[str, dict] = {
    "svm": {"kernel": "rbf", "C": 3.0, "gamma": 1.0},
    "logistic": {"C": 0.01, "max_iter": 500},  # a strong penalty: more features than tracks
    "knn": {"n_neighbors": 9, "weights": "distance"},
}
_MAKERS = {"svm": SVC, "logistic": LogisticRegression, "knn": KNeighborsClassifier}
CALIBRATION_FOLDS = 3


class Data(study_data.StudyData):
    """Feature statistics `x` of the original excerpts of a study, and its folds."""

    def __init__(self, study: StudyFolder, folds: pd.DataFrame | None = None):
        summary = study.summary
        summary = summary[summary["copy"] == 0].reset_index(drop=True)
        super().__init__(study, summary[["track_id", "excerpt"]], folds)
        self.x = summary.drop(columns=["track_id", "copy", "excerpt"])
        self.hashes["code"] = evidence.code("classical")

    def rows(self, fold: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows to train on, those of the inner validation part among them, and rows to test."""
        part = self.part_of(fold)
        return np.flatnonzero(part.isin(["train", "validation"])), np.flatnonzero(part == "test")


def estimator(name: str, x: np.ndarray, settings: dict | None = None):
    """Standardisation and classifier in one pipeline, to be fitted to `x`, (rows, features)."""
    settings = dict(settings or HYPERPARAMETERS[name])
    if name == "svm":
        settings["gamma"] /= x.shape[1]
    if name == "knn":  # no more neighbours than there are
        settings["n_neighbors"] = min(settings["n_neighbors"], len(x))
    return make_pipeline(StandardScaler(), _MAKERS[name](**settings))


def fit_predict(name: str, x, y, group, train, test, genres, settings=None) -> np.ndarray:
    """Probabilities of each genre for the rows `test`; the SVM's are calibrated (Platt 1999)."""
    model = estimator(name, x[train], settings)
    if name == "svm":
        parts = inner_parts(y[train], group[train])
        model = CalibratedClassifierCV(model, cv=parts, ensemble=False)
    model.fit(x[train], y[train])
    position = [list(model.classes_).index(genre) for genre in genres]
    return model.predict_proba(x[test])[:, position]


def inner_parts(y, group):
    """Folds within the training rows: by artist, unless a genre has too few; at worst no folds."""
    rarest = np.unique(y, return_counts=True)[1].min()
    for folds in (CALIBRATION_FOLDS, 2):
        if rarest >= folds:
            parts = list(StratifiedGroupKFold(folds).split(y, y, group))
            if all(len(held) and set(y[rest]) == set(y) for rest, held in parts):
                return parts
    rows = np.arange(len(y))
    return list(StratifiedKFold(2).split(y, y)) if rarest >= 2 else [(rows, rows)]


def predict_folds(
    data: Data, name: str, families=None, settings: dict | None = None
) -> tuple[pd.DataFrame, list[dict]]:
    """Predictions and runs of a model on every fold, with some `families` of features or all.

    `settings` has those of each fold, with the hash of the tracks that they were tuned on.
    """
    seen = [c for c in data.x if families is None or catalogue.family_of(c) in families]
    x, tables, runs = data.x[seen].to_numpy(), [], []
    for fold in data.fold_numbers:
        train, test = data.rows(fold)
        chosen = dict(settings[fold]) if settings else {}
        tuned_on, ids = chosen.pop("tuned_on", ""), data.table["track_id"].to_numpy()[train]
        splits.refuse_leakage(data.folds, fold, tuned_on=tuned_on, weights=ids)
        start = time.process_time()
        with threadpool_limits(1):  # as networks: the same numbers, and times, on any machine
            of = data.genre, data.group, train, test, data.genres, chosen
            probabilities = fit_predict(model_names.untuned(name), x, *of)
        seconds = time.process_time() - start
        runs.append({"fold": fold, "seconds": seconds, "cpu_seconds": seconds})
        tables.append(data.predicted(test, fold, probabilities))
    return pd.concat(tables, ignore_index=True), runs


def _typical(several):
    """One setting for several: the median of each quantity, the most frequent of the rest."""
    found: dict = {}
    for key in [key for key in several[0] if key != "tuned_on"]:
        values = [one[key] for one in several]
        kind = type(values[0])
        found[key] = mode(values) if kind is str else kind(np.median(values))
    return found


def cross_validate_classical(
    study: StudyFolder, name: str, settings: dict | None = None
) -> tuple[pd.DataFrame, dict]:
    """Train and test a classical model on every fold of the study, and store what came out.

    Parameters
    ----------
    study : StudyFolder
        A study whose notebook 01 is done, and its features computed.
    name : {"svm", "logistic", "knn"}
        The model, or the tuned one of these.
    settings : dict of int to dict, optional
        Those of each fold, such as `search_result` gives; by default `HYPERPARAMETERS` for all.

    Returns
    -------
    tuple of pd.DataFrame and dict
        What ``predictions/NAME.parquet`` and ``runs/NAME.json`` hold.
    """
    data = Data(study)
    predictions, runs = predict_folds(data, name, settings=settings)
    several = list(settings.values()) if settings else [HYPERPARAMETERS[name]]
    run = {
        "model": name,
        "hyperparameters": _typical(several),
        "hyperparameters_per_fold": several,
        "training_seconds": sum(run["seconds"] for run in runs),
        "training_cpu_seconds": sum(run["cpu_seconds"] for run in runs),
        "folds": runs,
        "versions": {"scikit-learn": version("scikit-learn"), "numpy": np.__version__},
        "hashes": data.hashes,
    }
    return study_data.store(study, predictions, run)
