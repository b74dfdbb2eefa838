"""Networks on every fold of a study, resumable at the fold, and once more on all tracks."""

import time
import timeit
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from genre_utils.evaluation import calibration, scoring
from genre_utils.models import cost, hyperparameters, study_data, training, training_data
from genre_utils.workspace import files, model_names, parallel
from genre_utils.workspace.study_folder import StudyFolder

Settings = dict[int, hyperparameters.Hyperparameters]  # of each fold
_ready: dict = {}  # networks that this process has compiled last
CORPUS = ("name", "synthetic", "tracks", "artists", "sha256")  # what a final model says of it


def cross_validate(
    study: StudyFolder, name: str, settings: Settings | None = None, *, epochs: int, seed: int = 0
) -> tuple[pd.DataFrame, dict]:
    """Train and test a network on every fold of the study, and store what came out.

    A fold that was trained before with the same data, settings and code is read. Those that are
    left train side by side, each on one thread, on the cores of this machine or a Dask cluster.

    Parameters
    ----------
    study : StudyFolder
        A study whose notebooks 01 and 02 are done.
    name : str
        The network, or the tuned one of such a family.
    settings : dict of int to Hyperparameters, optional
        Those of each fold; by default `DEFAULTS` for all.
    epochs, seed : int
        How many at most: settings fix their number, or the inner validation part decides when to
        stop; what decides initial weights, order and augmentation.

    Returns
    -------
    tuple of pd.DataFrame and dict
        What ``predictions/NAME.parquet``, a row per excerpt, and ``runs/NAME.json`` hold.
    """
    data = training_data.load_data(study)
    settings = settings or dict.fromkeys(data.fold_numbers, hyperparameters.DEFAULTS[name])
    if files.cluster_address():
        _train_on_cluster(study, name, data, settings, epochs, seed)
    found = out_of_fold(study, name, data, settings, epochs=epochs, seed=seed)
    return study_data.store(study, *found)


def out_of_fold(
    study: StudyFolder, name: str, data, settings: Settings, *, epochs, seed, label="", train=None
):
    """Predictions and run of a network on every fold of `data`; those done are kept in `study`.

    The others train side by side, one thread each. `train` takes the place of `train_there`.
    """
    places = _places(study, name, data, settings, epochs, seed)
    title, of = label or name, (name, epochs, seed)
    left = [
        (f"{title}, fold {fold}", data, str(place), fold, settings[fold], *of)
        for fold, place in places.items()
        if not place.exists()
    ]
    if left:
        bar = {"desc": f"{title}, folds", "unit": "fold", "folder": study.path, "each": 1}
        jobs = {"here": True, "stay": True, "n_jobs": _processes(), **bar}
        for _ in parallel.over(train or train_there, left, len(left), **jobs):
            pass
    tables = [pd.read_parquet(place) for place in places.values()]
    runs = [files.read_json(place.with_suffix(".json")) for place in places.values()]
    per_fold = [settings[fold] for fold in data.fold_numbers]
    record = {
        "model": name,
        "seed": seed,
        "hyperparameters": hyperparameters.typical(per_fold).as_json(),
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
    return pd.concat(tables, ignore_index=True), record


def _processes():
    """How many folds train here at the same time: one per core, and one on a graphics card."""
    return 1 if tf.config.list_physical_devices("GPU") else parallel.cores()


def train_there(_, data, place, fold, settings, name, epochs, seed):
    """Train one fold, in a process that may be another, and leave it in its place."""
    _train(data, Path(place), fold, name, settings, epochs, seed)


def _train_on_cluster(study, name, data, settings, epochs, seed):
    """Have workers train the folds that are not done; they leave them where those done are."""
    jobs = [
        (f"{name}, fold {fold}",
         [str(place), str(study.path), name, fold, settings[fold].as_json(), epochs, seed])
        for fold, place in _places(study, name, data, settings, epochs, seed).items()
        if not place.exists()
    ]  # fmt: skip
    bar = {"desc": f"{name}, folds on the cluster", "unit": "fold", "folder": study.path}
    for _ in parallel.over(_train_apart, jobs, len(jobs), **bar):
        pass


def _train_apart(_, job):
    """On a worker, in a process of its own: Keras draws seeds from what its threads share."""
    parallel.in_own_process(_train_one, job)
    if not Path(job[0]).exists():
        raise parallel.ClusterError(
            f"a Dask worker has trained {job[2]} with other versions than {_versions()}, or on "
            "another study: start it in an environment like this one."
        )


def _train_one(_, study, name, fold, settings, epochs, seed):
    """Train one fold of a study where it belongs by what is found here, unless it is done."""
    data = training_data.load_data(StudyFolder(study))
    own = {fold: hyperparameters.Hyperparameters.from_json(settings)}
    place = _places(data.study, name, data, own, epochs, seed)[fold]
    if not place.exists():
        _train(data, place, fold, name, own[fold], epochs, seed)


def fold_model(study: StudyFolder, name: str, fold: int) -> keras.Model:
    """Load the network of a fold of ``runs/NAME.json``, which never met the fold's test tracks."""
    run = study.run(name)
    number = [one["fold"] for one in run["folds"]].index(int(fold))
    several = run["hyperparameters_per_fold"]
    settings = several[number if len(several) > 1 else 0]  # one for all in older records
    trained = run["max_epochs"], run["seed"], int(fold), run["versions"]
    path = _place(study, run["hashes"], name, settings, *trained).with_suffix(".keras")
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing: stored reports lack it. Run the notebook that trains {name}."
        )
    return keras.models.load_model(path, compile=False, safe_mode=True)


def _places(study, name, data, settings, epochs, seed):
    """Where each fold that has settings is kept."""
    folds = [fold for fold in data.fold_numbers if fold in settings]
    of = {fold: (settings[fold].as_json(), epochs, seed, fold, _versions()) for fold in folds}
    return {fold: _place(study, data.hashes, name, *one) for fold, one in of.items()}


def _place(study, hashes, name, settings, epochs, seed, fold, versions):
    """Where a fold is kept, named by everything that decides what it is."""
    key = files.sha256(hashes, name, settings, epochs, seed, fold, versions)
    return study.fold(name, fold, key)


def _train(data, place, fold, name, settings, epochs, seed):
    """Predictions, record and network of one fold (`train_fold`)."""
    wall, cpu = time.perf_counter(), time.process_time()
    options = {"epochs": epochs, "seed": seed, "ready": _ready}
    model, history = training.train_fold(data, fold, name, settings, **options)
    held = history.get("val_loss")  # of the inner validation part, unless that was trained on
    run = {
        "fold": fold,
        "seconds": time.process_time() - cpu,  # of one thread: what else runs here counts little
        "cpu_seconds": time.process_time() - cpu,
        "wall_seconds": time.perf_counter() - wall,
        "epochs": len(history["loss"]),
        "best_epoch": int(np.argmin(held)) + 1 if held else len(history["loss"]),
        "parameters": model.count_params(),
        "multiply_adds": cost.multiply_adds(model),
        "inference_seconds": _inference_seconds(model, data),
        "temperature": _temperature(model, data, fold, settings),
        "history": history,
    }
    predictions = training.predict(model, data, data.rows(fold)["test"], fold)
    with files.atomic_write(place.with_suffix(".keras")) as temporary:
        model.save(temporary)
    files.write_json(place.with_suffix(".json"), run)
    files.write_table(place, predictions)  # last: its presence says that the fold is whole


def _temperature(model, data, fold, settings):
    """Temperature that suits the inner validation part; None where that was trained on too."""
    if settings.fixed_epochs:
        return None
    held = training.predict(model, data, data.rows(fold)["validation"], fold)
    return calibration.temperature(*scoring.probabilities(scoring.track_probabilities(held)))


def _inference_seconds(model, data):
    """Median of the CPU seconds (on a GPU: wall) that all excerpts of one track take a model."""
    one = data.table["track_id"] == data.table["track_id"].iloc[0]
    rows = np.flatnonzero(one & (data.table["copy"] == 0))
    x = data.inputs(model.name, rows)
    model.predict_on_batch(x)  # the first time it is traced
    timer = time.perf_counter if tf.config.list_physical_devices("GPU") else time.process_time
    taken = timeit.repeat(lambda: model.predict_on_batch(x), timer=timer, number=1, repeat=9)
    return float(np.median(taken))


def _versions():
    return {"tensorflow": tf.__version__, "keras": version("keras"), "numpy": np.__version__}


def fit_final(study: StudyFolder, names: list[str], *, seed: int = 0) -> list[Path]:
    """Fit networks once more, on all tracks, for the median best epoch of their folds, and save.

    Parameters
    ----------
    study : StudyFolder
        A study whose folds the networks were trained on (`cross_validate`).
    names : list of str
        The networks, which are fitted side by side; those with the paper's own setting, which are
        for comparison alone, are left out.
    seed : int
        See `cross_validate`.

    Returns
    -------
    list of Path
        ``models/NAME.keras`` of each; ``models/NAME.json`` beside it is the sidecar: the
        cross-validated accuracy, and everything that recognising a new file needs.
    """
    data = training_data.load_data(study)
    names = [name for name in names if not model_names.is_as_in_paper(name)]
    described = {name: _described(study, name, data, seed) for name in names}
    left = [name for name in names if not _is_fitted(study, name, described[name])]
    jobs = [
        (name, data, str(study.model(name, ".keras")), study.run(name), seed * 1000 + 999)
        for name in left
    ]
    if left:
        bar = {"desc": "on all tracks", "unit": "network", "folder": study.path, "each": 1}
        options = {"here": True, "stay": True, "n_jobs": _processes(), **bar}
        for name, digest in zip(left, parallel.over(_fit, jobs, len(jobs), **options), strict=True):
            files.write_json(study.model(name, ".json"), described[name] | {"sha256": digest})
    return [study.model(name, ".keras") for name in names]


def _described(study, name, data, seed):
    """All that the sidecar of a final model says, but for the hash of its file."""
    run = study.run(name)
    return {
        "model": name,
        "labels": data.genres,
        "recipe": study.features["recipe"],
        "shape": list(data.excerpts.shape[1:]),
        "corpus": {key: study.corpus[key] for key in CORPUS},
        "accuracy": scoring.plain_accuracy(study.predictions(name))["whole tracks"],
        "hyperparameters": run["hyperparameters"],
        "epochs": run["epochs"],
        "seed": seed,
        "versions": _versions(),
        "hashes": data.hashes,
    }


def _is_fitted(study, name, described):
    beside = study.model(name, ".json")
    there = study.model(name, ".keras").exists() and beside.exists()
    return there and described.items() <= files.read_json(beside).items()


def _fit(name, data, place, run, seed):
    """Fit a network to all tracks, in a process that may be another; return its file's hash."""
    settings = hyperparameters.Hyperparameters.from_json(run["hyperparameters"])
    rows = np.arange(len(data.table))
    model = training.compiled(data, rows, name, settings, seed=seed, ready=_ready)
    training.fit(model, data, rows, name, settings, seed=seed, epochs=run["epochs"])
    with files.atomic_write(Path(place)) as temporary:
        model.save(temporary)
    return files.sha256(Path(place).read_bytes())
