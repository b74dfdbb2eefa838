"""Training of one network on one fold (`train_fold`): leak-free, and decided by its seed alone."""

import contextlib

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from scipy.special import expit

from genre_utils.data import splits
from genre_utils.models import architectures, batches, rbm, training_data
from genre_utils.workspace import model_names

tf.get_logger().setLevel("ERROR")  # it warns of retracing, which each fold's new model needs
with contextlib.suppress(RuntimeError):  # whoever has used TensorFlow before has decided
    # folds train side by side, and two threads on a fold are slower than one, and not the same
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)

PATIENCE = 6  # epochs without a better inner validation loss before training stops


def train_fold(data: training_data.Data, fold: int, name: str, settings, *, epochs: int, seed: int):
    """Train on the training part of a fold, stopped by its inner validation part.

    Gives model and history; refuses whatever met a track of the test part, as the settings may.
    """
    rows = data.rows(fold)
    ids = {part: data.table["track_id"].to_numpy()[rows[part]] for part in rows}
    learned = dict.fromkeys(["weights", "normalisation"], ids["train"])
    watched = dict.fromkeys(["early_stopping", "temperature"], ids["validation"])
    splits.refuse_leakage(data.folds, fold, tuned_on=settings.tuned_on, **learned, **watched)
    return learn(data, rows, name, settings, epochs=epochs, seed=seed * 1000 + int(fold))


def learn(data: training_data.Data, rows: dict, name: str, settings, *, epochs: int, seed: int):
    """Train on the rows ``train``, stopped by ``validation``: model and history; checks no leak."""
    train, held, options = rows["train"], rows["validation"], {}
    if settings.fixed_epochs:
        train, epochs = np.concatenate([train, held]), settings.fixed_epochs
    else:
        stop = keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True)
        given = data.inputs(name, held), data.labels[held]
        options = {"validation_data": given, "callbacks": [stop]}
    model = compiled(data, train, name, settings, seed=seed, epochs=epochs)
    history = fit(model, data, train, name, settings, seed=seed, epochs=epochs, **options)
    return model, {key: [float(v) for v in values] for key, values in history.history.items()}


def untrained(data: training_data.Data, name: str, settings) -> keras.Model:
    """Build a network that has learned nothing, not even statistics: to look at.

    Parameters
    ----------
    data : Data
        See `load_data`; it decides the shapes of inputs and output.
    name : str
        The network.
    settings : Hyperparameters
        Such as `choose_settings` gives.

    Returns
    -------
    keras.Model
        From excerpts to genre probabilities (batch, genres).
    """
    shapes = {key: values.shape[1:] for key, values in data.parts(name).items()}
    statistics = {key: (np.zeros(shape[-1]), np.ones(shape[-1])) for key, shape in shapes.items()}
    return architectures.build(name, shapes, len(data.genres), settings, statistics)


def fit(model, data, rows, name, settings, *, seed, **options):
    """Fit a model to excerpts as they are, or to what the settings make of them."""
    if settings.augmentation or settings.balance != "none":
        changed = batches.Batches(data, rows, settings, seed=seed, name=name)
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
    model = architectures.build(name, shapes, len(data.genres), settings, statistics)
    if model_names.family(name) == "dbn":
        _pretrain(model, data.excerpts[rows], seed)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=settings.label_smoothing)
    model.compile(_optimizer(settings, steps), loss, metrics=["accuracy"])
    # what is built within the first step makes TensorFlow trace the step a second time
    model.optimizer.build(model.trainable_variables)
    nothing = np.zeros((1, len(data.genres)), np.float32)
    model.compute_metrics(None, nothing, nothing)
    model.reset_metrics()
    return model


def _statistics(values):
    """Mean and variance of each column of an array, (..., columns)."""
    axes = tuple(range(values.ndim - 1))
    mean = values.mean(axis=axes, dtype=np.float64)
    return mean, values.var(axis=axes, dtype=np.float64) + 1e-6


def _optimizer(settings, steps):
    """The optimizer that the settings name, whose schedule spans `steps` steps."""
    rate, kinds = settings.learning_rate, keras.optimizers
    if settings.schedule == "cosine":
        rate = kinds.schedules.CosineDecay(rate, steps)
    momentum = {"momentum": 0.9} if settings.optimizer == "sgd" else {}
    kind = {"adam": kinds.Adam, "adamw": kinds.AdamW, "sgd": kinds.SGD}[settings.optimizer]
    return kind(rate, clipnorm=1.0, **momentum)


def _pretrain(model, x, seed):
    """Learn the layers of a deep belief network without labels, each from the last one's output."""
    stack = [layer for layer in model.layers if layer.name.startswith("belief_")]
    visible = keras.Model(model.input, stack[0].input).predict(x, batch_size=256, verbose=0)
    for layer in stack:
        kind = "gaussian" if layer is stack[0] else "binary"
        weights, bias = rbm.restricted_boltzmann_machine(visible, layer.units, kind=kind, seed=seed)
        layer.set_weights([weights, bias])
        visible = expit(visible @ weights + bias)


def predict(model, data: training_data.Data, rows: np.ndarray, fold: int) -> pd.DataFrame:
    """Predict excerpts, as ``predictions/NAME.parquet`` keeps them."""
    x = data.inputs(model.name, rows)
    return data.predicted(rows, fold, model.predict(x, batch_size=256, verbose=0))
