"""The classical yardstick: SVM and k-nearest neighbours on feature statistics, same folds."""

import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from tqdm import tqdm

from genre_utils import features, files, splits

HYPERPARAMETERS = {
    "svm": {"kernel": "rbf", "C": 3.0, "gamma": "scale"},
    "knn": {"n_neighbors": 9, "weights": "distance"},
}
CALIBRATION_FOLDS = 3


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
            "code": files.source_hash("classical", "features", "splits"),
        }

    def columns(self, families) -> list[str]:
        """Columns of the given families of features."""
        return [c for c in self.x.columns if features.family_of(c) in families]


def estimator(name: str):
    """Standardisation and classifier in one pipeline, so that both learn from the same rows.

    Parameters
    ----------
    name : {"svm", "knn"}
    """
    makers = {"svm": SVC, "knn": KNeighborsClassifier}
    return make_pipeline(StandardScaler(), makers[name](**HYPERPARAMETERS[name]))


def fit_predict(name: str, x, y, group, train, test, genres) -> np.ndarray:
    """Fit on the rows `train` and predict the probability of each genre for the rows `test`.

    The SVM's probabilities are calibrated (Platt 1999) within the training rows, by artist.

    Returns
    -------
    np.ndarray, shape (test, genres)
    """
    model = estimator(name)
    if name == "svm":
        parts = _calibration_parts(y[train], group[train])
        model = CalibratedClassifierCV(model, cv=parts, ensemble=False)
    model.fit(x[train], y[train])
    position = [list(model.classes_).index(genre) for genre in genres]
    return model.predict_proba(x[test])[:, position]


def _calibration_parts(y, group):
    """Folds within the training rows: by artist, unless a genre has too few of them."""
    for folds in (CALIBRATION_FOLDS, 2):
        parts = list(StratifiedGroupKFold(folds).split(y, y, group))
        if all(len(held) and set(y[rest]) == set(y) for rest, held in parts):
            return parts
    return list(StratifiedKFold(2).split(y, y))


def cross_validate(study: Path, name: str) -> tuple[pd.DataFrame, dict]:
    """Test a classical model on every fold of the study, and store what came out.

    Its settings are fixed beforehand, so it trains on the training and inner validation parts.

    Parameters
    ----------
    study : Path
        Holds ``summary.parquet``, ``tracks.parquet``, ``folds.parquet`` and ``corpus.json``.
    name : {"svm", "knn"}

    Returns
    -------
    predictions : pd.DataFrame
        What ``predictions/NAME.parquet`` holds.
    run : dict
        What ``runs/NAME.json`` holds.
    """
    data = Data(study)
    x = data.x.to_numpy()
    tables, runs = [], []
    for fold in tqdm(sorted(data.folds["fold"].unique()), desc=f"{name}, folds", unit="fold"):
        part = data.folds[data.folds["fold"] == fold].set_index("track_id")["part"]
        parts = data.table["track_id"].map(part)
        train = np.flatnonzero(parts.isin(["train", "validation"]))
        test = np.flatnonzero(parts == "test")
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
    predictions = pd.concat(tables, ignore_index=True)
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
    return predictions, run


def price_of_leakage(study: Path, *, folds: int, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Predict every excerpt by the same SVM under three splits, and store what came out.

    ``segment`` deals excerpts at random, so that parts of one track stand on both sides;
    ``track`` deals whole tracks; ``artist`` deals whole artists. Only the last is honest; the
    others are here to measure what carelessness would have reported.

    Returns
    -------
    dict of str to pd.DataFrame
        What ``predictions/leakage/svm_SPLIT.parquet`` holds.
    """
    data = Data(study)
    x, track = data.x.to_numpy(), data.table["track_id"].to_numpy()
    grouped = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    plans = {
        "segment": (grouped, np.arange(len(x))),
        "track": (grouped, track),
        "artist": (grouped, data.group),
    }
    predicted = {}
    for split, (splitter, group) in plans.items():
        tables = [
            _predictions(
                data, test, fold, fit_predict("svm", x, data.y, group, train, test, data.genres)
            )
            for fold, (train, test) in enumerate(splitter.split(x, data.y, group))
            if len(test)
        ]
        predicted[split] = pd.concat(tables, ignore_index=True)
        path = study / "predictions" / "leakage" / f"svm_{split}.parquet"
        files.write_table(path, predicted[split])
    return predicted


def _predictions(data, rows, fold, probabilities):
    table = data.table.iloc[rows].reset_index(drop=True)
    table = table.assign(fold=int(fold), y_true=data.y[rows])
    table[[f"p_{genre}" for genre in data.genres]] = probabilities
    return table
