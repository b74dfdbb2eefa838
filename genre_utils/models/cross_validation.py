"""TODO models.cross_validation."""

import os
import time
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

from genre_utils.evaluation import calibration, scoring, study_results
from genre_utils.models import cost, training, training_data
from genre_utils.models import hyperparameters as hyperparameters_module
from genre_utils.workspace import files, parallel


def cross_validate(
    study: Path, name: str, hyperparameters=None, *, epochs: int, seed: int = 0
) -> tuple[pd.DataFrame, dict]:
    """Train and test a model on every fold of the study, and store what came out.

    A fold that was trained before with the same data, settings and code is read, not trained again,
    so that a study that was stopped goes on where it was. Where `parallel.ADDRESS` names a Dask
    cluster, its workers train those that are left.

    Parameters
    ----------
    study : Path
        Holds the feature store, ``tracks.parquet``, ``folds.parquet`` and ``corpus.json``.
    name : str
        A model of `architectures.BUILDERS`, or the tuned one of such a family.
    hyperparameters : models.Hyperparameters or dict, optional
        One for all folds, or one for each; by default those of `hyperparameters.DEFAULTS`.
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
    settings, data = (
        hyperparameters or hyperparameters_module.DEFAULTS[name],
        training_data.load_data(study),
    )
    if os.environ.get(parallel.ADDRESS):
        _train_on_cluster(study, name, data, settings, epochs, seed)
    predictions, run = out_of_fold(study, name, data, settings, epochs=epochs, seed=seed)
    files.write_table(study / "predictions" / f"{name}.parquet", predictions)
    files.write_json(study / "runs" / f"{name}.json", run)
    study_results.log_holdout_access(study, run, predictions)
    return predictions, run


def out_of_fold(study: Path, name: str, data, settings, *, epochs: int, seed: int, label=None):
    """Train and test a model on every fold; keep each fold, and leave the rest to the caller.

    Folds are trained one after the other in this process, so that their times can be compared.

    Parameters
    ----------
    study : Path
        Where the folds that are done are kept.
    name : str
    data : Data
    settings : models.Hyperparameters or dict
        One for all folds, or one for each.
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
    bar = tqdm(_per_fold(data, settings), desc=f"{label or name}, folds", unit="fold")
    for fold, own in bar:
        table, run = _stored_or_trained(study, name, data, fold, own, epochs, seed)
        tables.append(table)
        runs.append(run)
        bar.set_postfix(epochs=run["epochs"], seconds=round(run["seconds"]))
    predictions = pd.concat(tables, ignore_index=True)
    return predictions, _describe_run(name, settings, runs, data, epochs, seed)


def _per_fold(data, settings):
    """Each fold, and the settings that are for it."""
    folds = sorted(int(fold) for fold in data.folds["fold"].unique())
    return [(fold, settings[fold] if isinstance(settings, dict) else settings) for fold in folds]


def _train_on_cluster(study, name, data, settings, epochs, seed):
    """Have workers train the folds that are not done; they leave them where those done are."""
    jobs = []
    for fold, own in _per_fold(data, settings):
        place = _place(study, data.hashes, name, own.as_json(), epochs, seed, fold, _versions())
        if not place.exists():
            job = [str(place), str(study), name, fold, own.as_json(), epochs, seed]
            jobs.append((f"{name}, fold {fold}", job))
    bar = {"desc": f"{name}, folds on the cluster", "unit": "fold", "folder": study}
    for _ in parallel.over(_train_there, jobs, len(jobs), **bar):
        pass


def _train_there(_, job):
    """On a worker: in a process of its own, for Keras draws seeds from what its threads share."""
    parallel.in_own_process(_train_one, job)
    if not Path(job[0]).exists():
        raise parallel.ClusterError(
            f"a Dask worker has trained {job[2]} with other versions than {_versions()}, or on "
            "another study: start it in an environment like this one."
        )


def _train_one(_, study, name, fold, settings, epochs, seed):
    """Train one fold of a study, unless it is done."""
    settings = hyperparameters_module.Hyperparameters.from_json(settings)
    _stored_or_trained(
        Path(study), name, training_data.load_data(Path(study)), fold, settings, epochs, seed
    )


def fold_model(study: Path, name: str, fold: int) -> keras.Model:
    """Load the model that one fold of ``runs/NAME.json`` has trained.

    Unlike ``models/NAME.keras`` it has never met the fold's test tracks, so that it may be asked
    about them in other ways than `cross_validate` did.

    Raises
    ------
    FileNotFoundError
        If the fold was trained elsewhere, or its model deleted.
    """
    run = files.read_json(study / "runs" / f"{name}.json")
    number = [one["fold"] for one in run["folds"]].index(int(fold))
    per_fold = run["hyperparameters_per_fold"]
    settings = per_fold[number if len(per_fold) > 1 else 0]
    trained = run["max_epochs"], run["seed"], int(fold), run["versions"]
    path = _place(study, run["hashes"], name, settings, *trained).with_suffix(".keras")
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing: the models of single folds are not part of a stored report. "
            f"Run the notebook that trains {name}."
        )
    return keras.models.load_model(path, compile=False, safe_mode=True)


def _place(study, hashes, name, settings, epochs, seed, fold, versions):
    """Where a fold is kept, named by everything that decides what it is."""
    key = files.sha256(hashes, name, settings, epochs, seed, fold, versions)
    return study / "folds_done" / name / f"{fold:02d}-{key[:16]}.parquet"


def _stored_or_trained(study, name, data, fold, settings, epochs, seed):
    trained = settings.as_json(), epochs, seed, int(fold), _versions()
    place = _place(study, data.hashes, name, *trained)
    if place.exists():
        return pd.read_parquet(place), files.read_json(place.with_suffix(".json"))
    wall, cpu = time.perf_counter(), time.process_time()
    model, history = training.train_fold(data, fold, name, settings, epochs=epochs, seed=seed)
    run = {
        "fold": int(fold),
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "epochs": len(history["loss"]),
        "best_epoch": _best_epoch(history),
        "parameters": model.count_params(),
        "multiply_adds": cost.multiply_adds(model),
        "inference_seconds": _inference_seconds(model, data),
        "temperature": _temperature(model, data, fold, settings),
        "history": history,
    }
    predictions = training.predict(
        model, data, training_data.fold_rows(data, fold)["test"], int(fold)
    )
    with files.atomic_write(place.with_suffix(".keras")) as temporary:
        model.save(temporary)
    files.write_json(place.with_suffix(".json"), run)
    files.write_table(place, predictions)  # last: its presence says that the fold is whole
    return predictions, run


def _temperature(model, data, fold, settings):
    """Temperature that suits the inner validation part; None where that was trained on too."""
    if settings.fixed_epochs:
        return None
    held = training.predict(model, data, training_data.fold_rows(data, fold)["validation"], fold)
    return calibration.temperature(scoring.track_probabilities(held))


def _best_epoch(history):
    """Epoch whose weights were kept: the best on inner validation, or the last without one."""
    return (
        int(np.argmin(history["val_loss"])) + 1 if "val_loss" in history else len(history["loss"])
    )


def _inference_seconds(model, data):
    """Median of the wall seconds that a model takes for all excerpts of one track."""
    rows = np.flatnonzero(data.table["track_id"] == data.table["track_id"].iloc[0])
    x, taken = data.inputs(model.name, rows), []
    model.predict_on_batch(x)  # the first time it is traced
    for _ in range(9):
        start = time.perf_counter()
        model.predict_on_batch(x)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def _describe_run(name, settings, runs, data, epochs, seed):
    per_fold = list(settings.values()) if isinstance(settings, dict) else [settings]
    return {
        "model": name,
        "seed": seed,
        "hyperparameters": hyperparameters_module.typical(per_fold).as_json(),
        "hyperparameters_per_fold": [one.as_json() for one in per_fold],
        "max_epochs": epochs,
        "parameters": runs[0]["parameters"],
        "multiply_adds_per_second": runs[0]["multiply_adds"] / data.excerpt_seconds,
        "inference_seconds": float(np.median([run["inference_seconds"] for run in runs])),
        "epochs": int(np.median([run["best_epoch"] for run in runs])),
        "training_seconds": sum(run["seconds"] for run in runs),
        "training_cpu_seconds": sum(run["cpu_seconds"] for run in runs),
        "folds": runs,
        "versions": _versions(),
        "hashes": data.hashes,
    }


def _versions():
    return {"tensorflow": tf.__version__, "keras": version("keras"), "numpy": np.__version__}


def fit_final(study: Path, name: str, accuracy: float, *, seed: int = 0):
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
    seed : int

    Returns
    -------
    Path
        ``models/NAME.keras``; ``models/NAME.json`` beside it is the sidecar.
    """
    data = training_data.load_data(study)
    described = files.read_json(study / "features.json")
    corpus = files.read_json(study / "corpus.json")
    run = files.read_json(study / "runs" / f"{name}.json")
    settings, epochs = (
        hyperparameters_module.Hyperparameters.from_json(run["hyperparameters"]),
        run["epochs"],
    )
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
    seed = seed * 1000 + 999
    planned = settings.fixed_epochs or run["max_epochs"]
    model = training.compiled(data, rows, name, settings, seed=seed, epochs=planned)
    training.fit(model, data, rows, name, settings, seed=seed, epochs=epochs)
    with files.atomic_write(path) as temporary:
        model.save(temporary)
    files.write_json(beside, sidecar | {"sha256": files.sha256(path.read_bytes())})
    return path
