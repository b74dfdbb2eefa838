"""Baselines on feature statistics: SVM, logistic regression, nearest neighbours."""

import time
from importlib.metadata import version

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
from genre_utils.workspace import evidence
from genre_utils.workspace.study_folder import StudyFolder

HYPERPARAMETERS: dict[str, dict] = {
    "svm": {"kernel": "rbf", "C": 3.0, "gamma": "scale"},
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


def estimator(name: str, rows: int | None = None):
    """Standardisation and classifier in one pipeline; no more neighbours than `rows` there are."""
    settings = dict(HYPERPARAMETERS[name])
    if name == "knn" and rows is not None:
        settings["n_neighbors"] = min(settings["n_neighbors"], rows)
    return make_pipeline(StandardScaler(), _MAKERS[name](**settings))


def fit_predict(name: str, x, y, group, train, test, genres) -> np.ndarray:
    """Probabilities of each genre for the rows `test`; the SVM's are calibrated (Platt 1999)."""
    model = estimator(name, len(train))
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


def predict_folds(data: Data, name: str, families=None) -> tuple[pd.DataFrame, list[dict]]:
    """Predictions and runs of a model on every fold, with some `families` of features or all."""
    seen = [c for c in data.x if families is None or catalogue.family_of(c) in families]
    x, tables, runs = data.x[seen].to_numpy(), [], []
    for fold in data.fold_numbers:
        train, test = data.rows(fold)
        splits.refuse_leakage(data.folds, fold, weights=data.table["track_id"].to_numpy()[train])
        start = time.process_time()
        with threadpool_limits(1):  # as networks: the same numbers, and times, on any machine
            probabilities = fit_predict(name, x, data.genre, data.group, train, test, data.genres)
        seconds = time.process_time() - start
        runs.append({"fold": fold, "seconds": seconds, "cpu_seconds": seconds})
        tables.append(data.predicted(test, fold, probabilities))
    return pd.concat(tables, ignore_index=True), runs


def cross_validate_classical(study: StudyFolder, name: str) -> tuple[pd.DataFrame, dict]:
    """Train and test a classical model on every fold of the study, and store what came out.

    Parameters
    ----------
    study : StudyFolder
        A study whose notebook 01 is done, and its features computed.
    name : {"svm", "logistic", "knn"}
        The model.

    Returns
    -------
    tuple of pd.DataFrame and dict
        What ``predictions/NAME.parquet`` and ``runs/NAME.json`` hold.
    """
    data = Data(study)
    predictions, runs = predict_folds(data, name)
    run = {
        "model": name,
        "hyperparameters": HYPERPARAMETERS[name],
        "training_seconds": sum(run["seconds"] for run in runs),
        "training_cpu_seconds": sum(run["cpu_seconds"] for run in runs),
        "folds": runs,
        "versions": {"scikit-learn": version("scikit-learn"), "numpy": np.__version__},
        "hashes": data.hashes,
    }
    return study_data.store(study, predictions, run)
