"""Cross-validation of the deep models: leak-free, resumable at the fold, deterministic by seed."""

import time
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from genre_utils import batches, files, models, splits, store

tf.get_logger().setLevel("ERROR")  # it warns of retracing, which each fold's new model needs

PATIENCE = 6  # epochs without a better inner validation loss before training stops


def cross_validate(
    study: Path, name: str, hyperparameters=None, *, epochs: int, seed: int = 0
) -> tuple[pd.DataFrame, dict]:
    """Train and test a model on every fold of the study, and store what came out.

    A fold that was trained before with the same data, settings and code is read, not trained again,
    so that a study that was stopped goes on where it was.

    Parameters
    ----------
    study : Path
        Holds the feature store, ``tracks.parquet``, ``folds.parquet`` and ``corpus.json``.
    name : str
        A model of `models.BUILDERS`.
    hyperparameters : models.Hyperparameters, optional
        By default the paper's.
    epochs : int
        At most; the inner validation part decides when to stop.
    seed : int

    Returns
    -------
    predictions : pd.DataFrame
        What ``predictions/NAME.parquet`` holds: one row per excerpt, out of fold.
    run : dict
        What ``runs/NAME.json`` holds.
    """
    settings = hyperparameters or models.PAPER[name]
    predictions, run = out_of_fold(study, name, load(study), settings, epochs=epochs, seed=seed)
    files.write_table(study / "predictions" / f"{name}.parquet", predictions)
    files.write_json(study / "runs" / f"{name}.json", run)
    return predictions, run


def out_of_fold(study: Path, name: str, data, settings, *, epochs: int, seed: int, label=None):
    """Train and test a model on every fold; keep each fold, and leave the rest to the caller.

    Parameters
    ----------
    study : Path
        Where the folds that are done are kept.
    name : str
    data : Data
    settings : models.Hyperparameters
    epochs, seed : int
    label : str, optional
        What the progress bar says; by default the model's name.

    Returns
    -------
    predictions : pd.DataFrame
    run : dict
        See `cross_validate`.
    """
    tables, runs = [], []
    bar = tqdm(sorted(data.folds["fold"].unique()), desc=f"{label or name}, folds", unit="fold")
    for fold in bar:
        table, run = _stored_or_trained(study, name, data, fold, settings, epochs, seed)
        tables.append(table)
        runs.append(run)
        bar.set_postfix(epochs=run["epochs"], seconds=round(run["seconds"]))
    predictions = pd.concat(tables, ignore_index=True)
    return predictions, _describe_run(name, settings, runs, data, epochs, seed)


class Data:
    """What every fold of a study shares: excerpts, what they are, and the folds."""

    def __init__(self, study: Path, folds: pd.DataFrame | None = None):
        self.excerpts, self.table = store.load_excerpts(study)
        self.folds = pd.read_parquet(study / "folds.parquet") if folds is None else folds
        self.genres = files.read_json(study / "corpus.json")["genres"]
        tracks = pd.read_parquet(study / "tracks.parquet").set_index("track_id")
        self.y = self.table["track_id"].map(tracks["genre"]).map(self.genres.index).to_numpy()
        self.labels = np.eye(len(self.genres), dtype=np.float32)[self.y]
        self.hashes = {
            "features": files.read_json(study / "features.json")["sha256"],
            "folds": files.sha256(self.folds.to_csv(index=False)),
            "genres": files.sha256(self.genres),
            "code": files.source_hash(
                "augmentation", "batches", "models", "splits", "store", "training"
            ),
        }

    def keep(self, wanted) -> None:
        """Drop all excerpts but those where `wanted`, bool (excerpts,), holds."""
        if not np.all(wanted):
            rows = np.flatnonzero(wanted)
            self.excerpts, self.y, self.labels = (
                self.excerpts[rows],
                self.y[rows],
                self.labels[rows],
            )
            self.table = self.table.iloc[rows].reset_index(drop=True)
            self.hashes["rows"] = files.sha256(rows)


def load(study: Path, folds: pd.DataFrame | None = None) -> Data:
    """Load the data of a study (see `Data`), by default with its own folds."""
    return Data(study, folds)


def fold_rows(data: Data, fold: int) -> dict[str, np.ndarray]:
    """Rows of the excerpts in each part of a fold; augmented copies serve training alone."""
    part = data.folds[data.folds["fold"] == fold].set_index("track_id")["part"]
    parts = data.table["track_id"].map(part)
    original = data.table["copy"] == 0
    return {
        "train": np.flatnonzero(parts == "train"),
        "validation": np.flatnonzero((parts == "validation") & original),
        "test": np.flatnonzero((parts == "test") & original),
    }


def train_fold(data: Data, fold: int, name: str, settings, *, epochs: int, seed: int, verbose=0):
    """Train a model on the training part of one fold, stopped by its inner validation part.

    Returns
    -------
    model : keras.Model
        With the weights of the epoch that was best on the inner validation part.
    history : dict
        loss, accuracy, val_loss and val_accuracy per epoch.

    Raises
    ------
    splits.LeakageError
        If anything that learns met a track of the test part.
    """
    rows = fold_rows(data, fold)
    ids = {part: data.table["track_id"].to_numpy()[rows[part]] for part in rows}
    splits.refuse_leakage(
        data.folds,
        fold,
        weights=ids["train"],
        normalisation=ids["train"],
        early_stopping=ids["validation"],
    )
    seed = seed * 1000 + int(fold)
    model = _compiled(data, rows["train"], name, settings, seed=seed)
    stop = keras.callbacks.EarlyStopping(
        monitor="val_loss", patience=PATIENCE, restore_best_weights=True
    )
    history = _fit(
        model,
        data,
        rows["train"],
        settings,
        seed=seed,
        epochs=epochs,
        validation_data=(data.excerpts[rows["validation"]], data.labels[rows["validation"]]),
        callbacks=[stop],
        verbose=verbose,
    )
    return model, {key: [float(v) for v in values] for key, values in history.history.items()}


def training_batches(data: Data, rows: np.ndarray, settings, *, seed: int) -> batches.Batches:
    """Batches of the given rows, changed and balanced as the settings say."""
    parts = data.excerpts, data.table, data.y, rows, len(data.genres)
    return batches.Batches(*parts, settings, seed=seed)


def _fit(model, data, rows, settings, *, seed, **options):
    """Fit a model to excerpts as they are, or to what the settings make of them."""
    if settings.augmentation or settings.balance != "none":
        changed = training_batches(data, rows, settings, seed=seed)
        return model.fit(changed, shuffle=False, **options)
    x, labels = data.excerpts[rows], data.labels[rows]
    return model.fit(x, labels, batch_size=settings.batch_size, **options)


def _compiled(data, rows, name, settings, seed):
    """A fresh model, normalised by the given rows, whose every random number the seed decides."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    shape = data.excerpts.shape[1:]
    statistics = {"mean": np.zeros(shape[1]), "variance": np.ones(shape[1])}  # change nothing
    if settings.normalise:
        learned = data.excerpts[rows]
        statistics["mean"] = learned.mean(axis=(0, 1), dtype=np.float64)
        statistics["variance"] = learned.var(axis=(0, 1), dtype=np.float64) + 1e-6
    model = models.build(name, shape, len(data.genres), settings, **statistics)
    optimizer = keras.optimizers.get(
        {
            "class_name": settings.optimizer,
            "config": {"learning_rate": settings.learning_rate, "clipnorm": 1.0},
        }
    )
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    return model


def predict(model, data: Data, rows: np.ndarray, fold: int) -> pd.DataFrame:
    """Predict excerpts, as ``predictions/NAME.parquet`` keeps them."""
    probabilities = model.predict(data.excerpts[rows], batch_size=256, verbose=0)
    table = data.table.iloc[rows][["track_id", "excerpt"]].reset_index(drop=True)
    table["fold"] = fold
    table["y_true"] = [data.genres[i] for i in data.y[rows]]
    table[[f"p_{genre}" for genre in data.genres]] = probabilities
    return table


def _stored_or_trained(study, name, data, fold, settings, epochs, seed):
    key = files.sha256(data.hashes, name, settings.as_json(), epochs, seed, int(fold), _versions())
    place = study / "folds_done" / name / f"{fold:02d}-{key[:16]}.parquet"
    if place.exists():
        return pd.read_parquet(place), files.read_json(place.with_suffix(".json"))
    wall, cpu = time.perf_counter(), time.process_time()
    model, history = train_fold(data, fold, name, settings, epochs=epochs, seed=seed)
    run = {
        "fold": int(fold),
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "epochs": len(history["loss"]),
        "best_epoch": int(np.argmin(history["val_loss"])) + 1,
        "parameters": model.count_params(),
        "history": history,
    }
    predictions = predict(model, data, fold_rows(data, fold)["test"], int(fold))
    files.write_json(place.with_suffix(".json"), run)
    files.write_table(place, predictions)  # last: its presence says that the fold is whole
    return predictions, run


def _describe_run(name, settings, runs, data, epochs, seed):
    return {
        "model": name,
        "seed": seed,
        "hyperparameters": settings.as_json(),
        "max_epochs": epochs,
        "parameters": runs[0]["parameters"],
        "epochs": int(np.median([run["best_epoch"] for run in runs])),
        "training_seconds": sum(run["seconds"] for run in runs),
        "training_cpu_seconds": sum(run["cpu_seconds"] for run in runs),
        "folds": runs,
        "versions": _versions(),
        "hashes": data.hashes,
    }


def _versions():
    return {"tensorflow": tf.__version__, "keras": version("keras"), "numpy": np.__version__}


def fit_final(study: Path, name: str, accuracy: float, hyperparameters=None, *, seed: int = 0):
    """Fit a model once more, on all tracks, for the median best epoch of its folds, and save it.

    No track is left to test it on: its accuracy is the cross-validated one, which the sidecar
    file beside it records, with everything that recognising a new file needs.

    Parameters
    ----------
    study : Path
        Holds ``runs/NAME.json`` (from `cross_validate`), and what that needs.
    name : str
    accuracy : float
        Cross-validated accuracy of whole tracks.
    hyperparameters : models.Hyperparameters, optional
        By default the paper's.
    seed : int

    Returns
    -------
    Path
        ``models/NAME.keras``; ``models/NAME.json`` beside it is the sidecar.
    """
    settings = hyperparameters or models.PAPER[name]
    data = load(study)
    described = files.read_json(study / "features.json")
    corpus = files.read_json(study / "corpus.json")
    epochs = files.read_json(study / "runs" / f"{name}.json")["epochs"]
    sidecar = {
        "model": name,
        "labels": data.genres,
        "recipe": described["recipe"],
        "shape": list(data.excerpts.shape[1:]),
        "corpus": {
            key: corpus[key] for key in ("name", "synthetic", "tracks", "artists", "sha256")
        },
        "accuracy": accuracy,
        "hyperparameters": settings.as_json(),
        "epochs": epochs,
        "seed": seed,
        "versions": _versions(),
        "hashes": data.hashes,
    }
    path = study / "models" / f"{name}.keras"
    beside = path.with_suffix(".json")
    if path.exists() and beside.exists():
        stored = files.read_json(beside)
        if stored | {"accuracy": accuracy, "sha256": None} == sidecar | {"sha256": None}:
            return path
    rows = np.arange(len(data.table))
    model = _compiled(data, rows, name, settings, seed=seed * 1000 + 999)
    _fit(model, data, rows, settings, seed=seed * 1000 + 999, epochs=epochs, verbose=0)
    with files.written_whole(path) as temporary:
        model.save(temporary)
    files.write_json(beside, sidecar | {"sha256": files.sha256(path.read_bytes())})
    return path
