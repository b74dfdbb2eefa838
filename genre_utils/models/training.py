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

READY = 8  # compiled networks that a process keeps, those of one notebook
PATIENCE = 6  # epochs without a better inner validation loss before training stops


def train_fold(
    data: training_data.Data, fold: int, name: str, settings, *, epochs: int, seed: int, ready=None
):
    """Train on the training part of a fold, as `learn` does; model and history.

    Refuses whatever met a track of the test part, as the settings may.
    """
    rows = data.rows(fold)
    ids = {part: data.table["track_id"].to_numpy()[rows[part]] for part in rows}
    learned = dict.fromkeys(["weights", "normalisation"], ids["train"])
    watched = dict.fromkeys(["early_stopping", "temperature"], ids["validation"])
    splits.refuse_leakage(data.folds, fold, tuned_on=settings.tuned_on, **learned, **watched)
    options = {"epochs": epochs, "seed": seed * 1000 + int(fold), "ready": ready}
    return learn(data, rows, name, settings, **options)


def learn(data: training_data.Data, rows: dict, name: str, settings, *, epochs, seed, ready=None):
    """Train on the rows ``train``, stopped by ``validation``: model and history; checks no leak.

    Settings of fixed epochs learn from both for so many, or `epochs` if those are fewer.
    """
    train, held, options = rows["train"], rows["validation"], {}
    if settings.fixed_epochs:
        train = np.concatenate([train, held])
        epochs = min(epochs, settings.fixed_epochs)
    else:
        stop = keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True)
        watched = batches.in_order(data, name, held, labels=True)
        options = {"validation_data": watched, "callbacks": [stop]}
    model = compiled(data, train, name, settings, seed=seed, ready=ready)
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


def fit(model, data, rows, name, settings, *, seed, epochs, callbacks=(), **options):
    """Fit a model to what the settings make of excerpts; its rate falls over all epochs, or not."""
    made = batches.Batches(data, rows, settings, seed=seed, name=name)
    options |= {"epochs": epochs, "callbacks": [*callbacks, _Rate(settings, epochs * len(made))]}
    history = model.fit(batches.stream(made), shuffle=False, verbose=0, **options)
    if settings.averaging:  # batch normalisation knows the last weights: one epoch with these
        for excerpts, *_ in batches.stream(made):
            model(excerpts, training=True)
    return history


class _Rate(keras.callbacks.Callback):
    """Sets the learning rate before each of so many steps: what is compiled serves any number."""

    def __init__(self, settings, steps):
        super().__init__()
        rate, warm = settings.learning_rate, round(settings.warmup * steps)
        rising = {"warmup_target": rate, "warmup_steps": warm} if warm else {}
        decay, self.step = keras.optimizers.schedules.CosineDecay, 0
        self.rate = decay(0.0 if warm else rate, max(1, steps - warm), **rising)
        if settings.schedule == "constant":
            self.rate = lambda step: rate

    def on_train_batch_begin(self, batch, logs=None):
        self.step += 1
        self.model.optimizer.learning_rate = self.rate(self.step)


def compiled(data, rows, name, settings, *, seed, ready=None):
    """A fresh model, normalised by the given rows, whose every random number the seed decides.

    What compiling takes is saved where `ready`, a dict that holds those that were compiled last,
    has a network that differs in its values alone.
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    parts = data.parts(name)
    shapes = {key: values.shape[1:] for key, values in parts.items()}
    statistics = {key: batches.statistics(values, rows) for key, values in parts.items()}
    if not settings.normalise and "log_mel" in parts:
        bands = shapes["log_mel"][1]
        statistics["log_mel"] = np.zeros(bands), np.ones(bands)  # which change nothing
    model = architectures.build(name, shapes, len(data.genres), settings, statistics)
    if model_names.family(name) == "dbn":
        _pretrain(model, data, rows, seed)
    ready = {} if ready is None else ready
    built_by = tuple(architectures.builders_of(name).items())
    key = name, settings, str(shapes), len(data.genres), built_by
    if key in ready:
        return _as_new(ready[key], model)
    _compile(model, settings, len(data.genres))
    for oldest in list(ready)[: -READY + 1]:
        del ready[oldest]
    ready[key] = model
    return model


def _as_new(model, fresh):
    """A compiled model with all values of a fresh one, those of its random generators too.

    What predicts is traced again: on some processors oneDNN rounds otherwise in a function that has
    met other weights, and the last digits would tell what a process had trained before.
    """
    model.predict_function = model.test_function = None
    for value, initial in zip(model.variables, fresh.variables, strict=True):
        value.assign(initial)
    for value in model.optimizer.variables:
        value.assign(keras.ops.zeros_like(value))
    if isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer):
        model.optimizer.dynamic_scale.assign(model.optimizer.initial_scale)
    return model


def _compile(model, settings, genres):
    rate, kinds = settings.learning_rate, keras.optimizers
    momentum = {"momentum": 0.9} if settings.optimizer == "sgd" else {}
    decay = {"weight_decay": settings.weight_decay} if settings.optimizer == "adamw" else {}
    kind = {"adam": kinds.Adam, "adamw": kinds.AdamW, "sgd": kinds.SGD}[settings.optimizer]
    mean = {"use_ema": True, "ema_momentum": settings.averaging} if settings.averaging else {}
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=settings.label_smoothing)
    model.compile(kind(rate, clipnorm=1.0, **momentum, **decay, **mean), loss, metrics=["accuracy"])
    # what is built within the first step makes TensorFlow trace the step a second time
    model.optimizer.build(model.trainable_variables)
    nothing = np.zeros((1, genres), np.float32)
    model.compute_metrics(None, nothing, nothing)
    model.reset_metrics()


def _pretrain(model, data, rows, seed):
    """Learn the layers of a deep belief network without labels, each from the last one's output."""
    stack = [layer for layer in model.layers if layer.name.startswith("belief_")]
    seen = batches.in_order(data, model.name, rows)
    visible = keras.Model(model.input, stack[0].input).predict(seen, verbose=0)
    for layer in stack:
        kind = "gaussian" if layer is stack[0] else "binary"
        weights, bias = rbm.restricted_boltzmann_machine(visible, layer.units, kind=kind, seed=seed)
        layer.set_weights([weights, bias])
        visible = expit(visible @ weights + bias)


def predict(model, data: training_data.Data, rows: np.ndarray, fold: int) -> pd.DataFrame:
    """Predict excerpts, as ``predictions/NAME.parquet`` keeps them."""
    excerpts = batches.in_order(data, model.name, rows)
    return data.predicted(rows, fold, model.predict(excerpts, verbose=0))
