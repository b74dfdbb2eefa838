"""Cross-validation of the deep models: leak-free, resumable at the fold, deterministic by seed."""

import contextlib

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from scipy.special import expit

from genre_utils.data import splits
from genre_utils.models import architectures, batches, rbm, training_data

tf.get_logger().setLevel("ERROR")  # it warns of retracing, which each fold's new model needs

PATIENCE = 6  # epochs without a better inner validation loss before training stops


def train_fold(data: training_data.Data, fold: int, name: str, settings, *, epochs: int, seed: int):
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
    rows = training_data.fold_rows(data, fold)
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


def learn(data: training_data.Data, rows: dict, name: str, settings, *, epochs: int, seed: int):
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
    model = compiled(data, train, name, settings, seed=seed, epochs=epochs)
    history = fit(model, data, train, name, settings, seed=seed, epochs=epochs, **options)
    return model, {key: [float(v) for v in values] for key, values in history.history.items()}


def training_batches(data: training_data.Data, rows, settings, *, seed: int, name: str = "cnn"):
    """Batches of the given rows, changed and balanced as the settings say."""
    parts, genres = data.parts(name), len(data.genres)
    return batches.Batches(parts, data.table, data.y, rows, genres, settings, seed=seed)


def untrained(data: training_data.Data, name: str, settings) -> keras.Model:
    """Build a model for the data that has learned nothing, not even statistics: to look at."""
    shapes = {key: values.shape[1:] for key, values in data.parts(name).items()}
    statistics = {key: (np.zeros(shape[-1]), np.ones(shape[-1])) for key, shape in shapes.items()}
    return architectures.build(name, shapes, len(data.genres), settings, statistics)


def fit(model, data, rows, name, settings, *, seed, **options):
    """Fit a model to excerpts as they are, or to what the settings make of them."""
    if settings.augmentation or settings.balance != "none":
        changed = training_batches(data, rows, settings, seed=seed, name=name)
        return model.fit(batches.stream(changed), shuffle=False, verbose=0, **options)
    x, labels = data.inputs(name, rows), data.labels[rows]
    return model.fit(x, labels, batch_size=settings.batch_size, verbose=0, **options)


def compiled(data, rows, name, settings, *, seed, epochs):
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
        model = architectures.build(name, shapes, len(data.genres), settings, statistics)
        if architectures.family(name) in architectures.PRETRAINED:
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
        weights, bias = rbm.restricted_boltzmann_machine(visible, layer.units, kind=kind, seed=seed)
        layer.set_weights([weights, bias])
        visible = expit(visible @ weights + bias)


def predict(model, data: training_data.Data, rows: np.ndarray, fold: int) -> pd.DataFrame:
    """Predict excerpts, as ``predictions/NAME.parquet`` keeps them."""
    probabilities = model.predict(data.inputs(model.name, rows), batch_size=256, verbose=0)
    table = data.table.iloc[rows][["track_id", "excerpt"]].reset_index(drop=True)
    table["fold"] = fold
    table["y_true"] = [data.genres[i] for i in data.y[rows]]
    table[[f"p_{genre}" for genre in data.genres]] = probabilities
    return table
