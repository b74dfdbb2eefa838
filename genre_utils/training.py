"""Cross-validation of the deep models: leak-free, resumable at the fold, deterministic by seed."""

import contextlib
import os
import time
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from scipy.special import expit
from tqdm import tqdm

from genre_utils import batches, belief, cost, evaluation, files, models, parallel, splits, store

tf.get_logger().setLevel("ERROR")  # it warns of retracing, which each fold's new model needs

PATIENCE = 6  # epochs without a better inner validation loss before training stops


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
        A model of `models.BUILDERS`, or the tuned one of such a family.
    hyperparameters : models.Hyperparameters or dict, optional
        One for all folds, or one for each; by default those of `models.DEFAULTS`.
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
    settings, data = hyperparameters or models.DEFAULTS[name], load(study)
    if os.environ.get(parallel.ADDRESS):
        _train_on_cluster(study, name, data, settings, epochs, seed)
    predictions, run = out_of_fold(study, name, data, settings, epochs=epochs, seed=seed)
    files.write_table(study / "predictions" / f"{name}.parquet", predictions)
    files.write_json(study / "runs" / f"{name}.json", run)
    evaluation.log_look(study, run, predictions)
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
    settings = models.Hyperparameters.from_json(settings)
    _stored_or_trained(Path(study), name, load(Path(study)), fold, settings, epochs, seed)


ARRAYS = {"log_mel": "excerpts", "features": "features"}  # input of a model, attribute of `Data`


class Data:
    """What every fold of a study shares: excerpts, what they are, and the folds."""

    def __init__(self, study: Path, folds: pd.DataFrame | None = None):
        self.excerpts, self.table = store.load_excerpts(study)
        self.folds = pd.read_parquet(study / "folds.parquet") if folds is None else folds
        self.study = study
        corpus = files.read_json(study / "corpus.json")
        self.genres, self.protocol = corpus["genres"], corpus["protocol"]
        described = files.read_json(study / "features.json")
        self.excerpt_seconds = self.excerpts.shape[1] / described["frames_per_second"]
        tracks = pd.read_parquet(study / "tracks.parquet").set_index("track_id")
        self.y = self.table["track_id"].map(tracks["genre"]).map(self.genres.index).to_numpy()
        self.labels = np.eye(len(self.genres), dtype=np.float32)[self.y]
        self.hashes = {
            "features": described["sha256"],
            "folds": files.sha256(self.folds.to_csv(index=False)),
            "genres": files.sha256(self.genres),
            "code": files.source_hash(
                "augmentation", "batches", "belief", "models", "splits", "store", "training"
            ),
        }

    @cached_property
    def features(self) -> np.ndarray:
        """Handcrafted features of each excerpt, float32 (excerpts, columns)."""
        summary = pd.read_parquet(self.study / "summary.parquet")
        keys = ["track_id", "copy", "excerpt"]
        ordered = self.table[keys].merge(summary, on=keys, how="left", validate="one_to_one")
        return ordered.drop(columns=keys).to_numpy(np.float32)

    def parts(self, name: str) -> dict[str, np.ndarray]:
        """Each input that a model reads, all rows."""
        return {key: getattr(self, ARRAYS[key]) for key in models.reads(name)}

    def inputs(self, name: str, rows) -> np.ndarray | dict:
        """What a model reads of the given rows: one array, or a dict of several."""
        return models.alone({key: values[rows] for key, values in self.parts(name).items()})

    def keep(self, wanted) -> None:
        """Drop all excerpts but those where `wanted`, bool (excerpts,), holds."""
        if not np.all(wanted):
            rows = np.flatnonzero(wanted)
            self.__dict__.pop("features", None)  # to be read anew, for these rows
            self.excerpts, self.y, self.labels = (
                self.excerpts[rows],
                self.y[rows],
                self.labels[rows],
            )
            self.table = self.table.iloc[rows].reset_index(drop=True)
            self.hashes["rows"] = files.sha256(rows)

    def show(self, excerpts) -> None:
        """Put other views, (excerpts, frames, values), in place of the spectrograms."""
        self.excerpts = excerpts
        self.hashes["view"] = files.sha256(excerpts)


def load(study: Path, folds: pd.DataFrame | None = None) -> Data:
    """Load the data of a study (see `Data`), by default with its own folds."""
    return Data(study, folds)


def fold_rows(data: Data, fold: int) -> dict[str, np.ndarray]:
    """Rows of the excerpts in each part of a fold; augmented copies serve training alone."""
    part = data.folds[data.folds["fold"] == fold].set_index("track_id")["part"]
    return part_rows(data, part)


def part_rows(data: Data, part: pd.Series) -> dict[str, np.ndarray]:
    """Like `fold_rows`, for the part of each track_id."""
    parts = data.table["track_id"].map(part)
    original = data.table["copy"] == 0
    return {
        "train": np.flatnonzero(parts == "train"),
        "validation": np.flatnonzero((parts == "validation") & original),
        "test": np.flatnonzero((parts == "test") & original),
    }


def train_fold(data: Data, fold: int, name: str, settings, *, epochs: int, seed: int):
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
        If anything that learns, or the search of the settings, met a track of the test part.
    """
    rows = fold_rows(data, fold)
    ids = {part: data.table["track_id"].to_numpy()[rows[part]] for part in rows}
    splits.refuse_leakage(
        data.folds,
        fold,
        tuned_on=settings.tuned_on,
        weights=ids["train"],
        normalisation=ids["train"],
        early_stopping=ids["validation"],
        temperature=ids["validation"],
    )
    return learn(data, rows, name, settings, epochs=epochs, seed=seed * 1000 + int(fold))


def learn(data: Data, rows: dict, name: str, settings, *, epochs: int, seed: int):
    """Train a model on the rows ``train``, stopped by the rows ``validation``.

    Parameters
    ----------
    data : Data
    rows : dict of np.ndarray
        Rows of the parts. Whoever calls makes sure that no test track is among them.
    name : str
    settings : models.Hyperparameters
    epochs, seed : int

    Returns
    -------
    model : keras.Model
    history : dict
        See `train_fold`.
    """
    train, held, options = rows["train"], rows["validation"], {}
    if settings.fixed_epochs:
        train, epochs = np.concatenate([train, held]), settings.fixed_epochs
    else:
        stop = keras.callbacks.EarlyStopping(
            monitor="val_loss", patience=PATIENCE, restore_best_weights=True
        )
        given = data.inputs(name, held), data.labels[held]
        options = {"validation_data": given, "callbacks": [stop]}
    model = _compiled(data, train, name, settings, seed=seed, epochs=epochs)
    history = _fit(model, data, train, name, settings, seed=seed, epochs=epochs, **options)
    return model, {key: [float(v) for v in values] for key, values in history.history.items()}


def training_batches(data: Data, rows, settings, *, seed: int, name: str = "cnn"):
    """Batches of the given rows, changed and balanced as the settings say."""
    parts, genres = data.parts(name), len(data.genres)
    return batches.Batches(parts, data.table, data.y, rows, genres, settings, seed=seed)


def untrained(data: Data, name: str, settings) -> keras.Model:
    """Build a model for the data that has learned nothing, not even statistics: to look at."""
    shapes = {key: values.shape[1:] for key, values in data.parts(name).items()}
    statistics = {key: (np.zeros(shape[-1]), np.ones(shape[-1])) for key, shape in shapes.items()}
    return models.build(name, shapes, len(data.genres), settings, statistics)


def _fit(model, data, rows, name, settings, *, seed, **options):
    """Fit a model to excerpts as they are, or to what the settings make of them."""
    if settings.augmentation or settings.balance != "none":
        changed = training_batches(data, rows, settings, seed=seed, name=name)
        return model.fit(batches.stream(changed), shuffle=False, verbose=0, **options)
    x, labels = data.inputs(name, rows), data.labels[rows]
    return model.fit(x, labels, batch_size=settings.batch_size, verbose=0, **options)


def _compiled(data, rows, name, settings, *, seed, epochs):
    """A fresh model, normalised by the given rows, whose every random number the seed decides."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    parts = data.parts(name)
    shapes = {key: values.shape[1:] for key, values in parts.items()}
    statistics = {key: _statistics(values[rows]) for key, values in parts.items()}
    if not settings.normalise and "log_mel" in parts:
        bands = shapes["log_mel"][1]
        statistics["log_mel"] = np.zeros(bands), np.ones(bands)  # which change nothing
    steps = epochs * -(-len(rows) // settings.batch_size)
    with spread(settings.replicas):
        model = models.build(name, shapes, len(data.genres), settings, statistics)
        if models.family(name) in models.PRETRAINED:
            _pretrain(model, data.excerpts[rows], seed)
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=settings.label_smoothing)
        model.compile(_optimizer(settings, steps), loss, metrics=["accuracy"])
        # what is built within the first step makes TensorFlow trace the step a second time
        model.optimizer.build(model.trainable_variables)
        nothing = np.zeros((1, len(data.genres)), np.float32)
        model.compute_metrics(None, nothing, nothing)
        model.reset_metrics()
    return model


def spread(replicas: int):
    """Within it a model is built that trains on several GPUs at once, each on a part of a batch.

    Without GPUs it takes logical devices of the processor, which is of use to tests alone.
    """
    if replicas == 1:
        return contextlib.nullcontext()
    there = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if not 1 < replicas <= len(there):
        raise ValueError(
            f"REPLICAS is {replicas}, but TensorFlow finds {len(there)} device(s) to train on: "
            f"{', '.join(device.name for device in there)}."
        )
    return tf.distribute.MirroredStrategy([device.name for device in there[:replicas]]).scope()


def _statistics(values):
    """Mean and variance of each column of an array, (..., columns)."""
    axes = tuple(range(values.ndim - 1))
    mean = values.mean(axis=axes, dtype=np.float64)
    return mean, values.var(axis=axes, dtype=np.float64) + 1e-6


def _optimizer(settings, steps):
    """The optimizer that the settings name, whose schedule spans `steps` steps."""
    rate = settings.learning_rate
    if settings.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps)
    momentum = {"momentum": 0.9} if settings.optimizer == "sgd" else {}
    kinds = {
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "sgd": keras.optimizers.SGD,
    }
    return kinds[settings.optimizer](rate, clipnorm=1.0, **momentum)


def _pretrain(model, x, seed):
    """Learn the layers of a deep belief network, each from what the last one says."""
    stack = [layer for layer in model.layers if layer.name.startswith("belief_")]
    visible = keras.Model(model.input, stack[0].input).predict(x, batch_size=256, verbose=0)
    for layer in stack:
        kind = "gaussian" if layer is stack[0] else "binary"
        weights, bias = belief.boltzmann_machine(visible, layer.units, kind=kind, seed=seed)
        layer.set_weights([weights, bias])
        visible = expit(visible @ weights + bias)


def predict(model, data: Data, rows: np.ndarray, fold: int) -> pd.DataFrame:
    """Predict excerpts, as ``predictions/NAME.parquet`` keeps them."""
    probabilities = model.predict(data.inputs(model.name, rows), batch_size=256, verbose=0)
    table = data.table.iloc[rows][["track_id", "excerpt"]].reset_index(drop=True)
    table["fold"] = fold
    table["y_true"] = [data.genres[i] for i in data.y[rows]]
    table[[f"p_{genre}" for genre in data.genres]] = probabilities
    return table


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
    model, history = train_fold(data, fold, name, settings, epochs=epochs, seed=seed)
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
    predictions = predict(model, data, fold_rows(data, fold)["test"], int(fold))
    with files.written_whole(place.with_suffix(".keras")) as temporary:
        model.save(temporary)
    files.write_json(place.with_suffix(".json"), run)
    files.write_table(place, predictions)  # last: its presence says that the fold is whole
    return predictions, run


def _temperature(model, data, fold, settings):
    """Temperature that suits the inner validation part; None where that was trained on too."""
    if settings.fixed_epochs:
        return None
    held = predict(model, data, fold_rows(data, fold)["validation"], fold)
    return evaluation.temperature(evaluation.track_probabilities(held))


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
        "hyperparameters": models.typical(per_fold).as_json(),
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
    data = load(study)
    described = files.read_json(study / "features.json")
    corpus = files.read_json(study / "corpus.json")
    run = files.read_json(study / "runs" / f"{name}.json")
    settings, epochs = models.Hyperparameters.from_json(run["hyperparameters"]), run["epochs"]
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
    model = _compiled(data, rows, name, settings, seed=seed, epochs=planned)
    _fit(model, data, rows, name, settings, seed=seed, epochs=epochs)
    with files.written_whole(path) as temporary:
        model.save(temporary)
    files.write_json(beside, sidecar | {"sha256": files.sha256(path.read_bytes())})
    return path
