"""The deep models: one short builder each, one registry, one signature.

Every builder takes any frame rate and number of mel bands. What the paper calls the number of
hidden layers is, here, the number of convolutional, recurrent and dense layers before the output;
the paper does not say what it counts.
"""

import contextlib
from dataclasses import replace

import keras
import numpy as np
from keras import layers

from genre_utils.models import hyperparameters

PRETRAINED = {"dbn"}  # models whose layers first learn without labels (see `training`)


def family(name: str) -> str:
    """Model that a name stands for: ``cnn`` for both ``cnn`` and ``cnn_tuned``.

    Raises
    ------
    ValueError
        If there is no such model.
    """
    known = name.removesuffix(hyperparameters.TUNED)
    if known not in BUILDERS:
        raise ValueError(f"unknown model {name!r}; there are {', '.join(BUILDERS)}.")
    return known


def reads(name: str) -> tuple[str, ...]:
    """Inputs that a model reads, of ``log_mel`` and ``features``."""
    return tuple(BUILDERS[family(name)])


def alone(parts: dict):
    """The only value of a dict, or the dict if it has several: as Keras takes inputs."""
    return parts if len(parts) > 1 else next(iter(parts.values()))


def build(
    name: str,
    shapes: dict,
    n_genres: int,
    settings: hyperparameters.Hyperparameters,
    statistics: dict,
):
    """Build one of the models in `BUILDERS`, not yet compiled.

    Parameters
    ----------
    name : str
    shapes : dict of str to tuple of int
        By input: frames and mel bands of ``log_mel``, and the number of handcrafted ``features``
        of an excerpt. More than the model reads may be given.
    n_genres : int
    settings : Hyperparameters
    statistics : dict of str to pair of np.ndarray
        By input: mean and variance of each mel band, or feature, over the training tracks. The
        model holds them, so that what is trained and what is used later are normalised alike.

    Returns
    -------
    keras.Model
        From log-mel excerpts (batch, frames, mels), features (batch, columns), or a dict of both,
        to genre probabilities (batch, genres).
    """
    inputs, hidden = {}, []
    with _computing_in(settings.precision):
        for key, builder in BUILDERS[family(name)].items():
            inputs[key] = keras.Input(shapes[key], name=key, dtype="float32")
            mean, variance = (np.asarray(values).tolist() for values in statistics[key])
            scaled = {"mean": mean, "variance": variance, "dtype": "float32"}
            x = layers.Normalization(axis=-1, **scaled)(inputs[key])
            hidden.append(builder(x, settings))
        joined = layers.Concatenate()(hidden) if len(hidden) > 1 else hidden[0]
        outputs = layers.Dense(n_genres, activation="softmax", name="genre", dtype="float32")
        return keras.Model(alone(inputs), outputs(joined), name=name)


@contextlib.contextmanager
def _computing_in(precision):
    """Build layers whose numbers have this precision, but for those that name another."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def build_cnn(x, settings: hyperparameters.Hyperparameters):
    """Two-dimensional convolutions over time and frequency, then one dense layer."""
    x = _convolutions(x, settings, settings.hidden_layers - 1)
    x = layers.GlobalAveragePooling2D()(x)
    return _dense(x, settings)


def build_cnn1d(x, settings: hyperparameters.Hyperparameters):
    """One-dimensional convolutions over time, each seeing all mel bands, then one dense layer."""
    for depth in range(1, settings.hidden_layers):
        x = layers.Conv1D(
            64 * depth,
            5,
            padding="same",
            activation=settings.activation,
            kernel_regularizer=keras.regularizers.L2(settings.l2),
            name=f"convolution_{depth}",
        )(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.MaxPooling1D(min(2, x.shape[1]))(x)
    x = layers.GlobalAveragePooling1D()(x)
    return _dense(x, settings)


def build_rnn(x, settings: hyperparameters.Hyperparameters):
    """Simple recurrent layers (Elman 1990) over time, then one dense layer.

    Frames are averaged to about five a second first: a simple recurrent network forgets within
    tens of steps.
    """
    return _recurrent(x, settings, layers.SimpleRNN, activation=settings.activation, unroll=True)


def build_lstm(x, settings: hyperparameters.Hyperparameters):
    """Bidirectional LSTM layers (Hochreiter and Schmidhuber 1997) in place of the rnn's."""
    return _recurrent(x, settings, layers.LSTM)


def build_gru(x, settings: hyperparameters.Hyperparameters):
    """Bidirectional GRU layers (Cho et al. 2014) in place of the rnn's."""
    return _recurrent(x, settings, layers.GRU)


def build_hybrid(x, settings: hyperparameters.Hyperparameters):
    """Convolutions find local patterns; a bidirectional GRU follows them through time."""
    x = _convolutions(x, settings, settings.hidden_layers - 2)
    frames, bands, filters = x.shape[1:]
    x = layers.Reshape((frames, bands * filters))(x)
    x = layers.Bidirectional(layers.GRU(32), name="recurrent")(x)
    return _dense(x, settings)


def build_hybrid_parallel(x, settings: hyperparameters.Hyperparameters):
    """Convolutions and a bidirectional GRU side by side on the same spectrogram, then joined."""
    local = _convolutions(x, settings, settings.hidden_layers - 2)
    local = layers.GlobalAveragePooling2D()(local)
    steps = layers.AveragePooling1D(_at_most(x.shape[1], 32))(x)
    order = layers.Bidirectional(layers.GRU(32), name="recurrent")(steps)
    return _dense(layers.Concatenate()([local, order]), settings)


def build_dbn(x, settings: hyperparameters.Hyperparameters):
    """Deep belief network (Hinton, Osindero, Teh 2006): a stack of sigmoid layers.

    Each is the hidden half of a restricted Boltzmann machine, whose weights training learns
    without labels before it fine-tunes the stack (see `belief`). The excerpt is averaged to 8
    frames of 32 bands first, since every unit sees all of it.
    """
    frames, bands = x.shape[1:]
    x = layers.Reshape((frames, bands, 1))(x)
    x = layers.AveragePooling2D((_at_most(frames, 8), _at_most(bands, 32)))(x)
    x = layers.Flatten()(x)
    for depth in range(1, settings.hidden_layers + 1):
        x = layers.Dense(
            128,
            activation="sigmoid",
            kernel_regularizer=keras.regularizers.L2(settings.l2),
            name=f"belief_{depth}",
        )(x)
    return layers.Dropout(settings.dropout)(x)


def build_mlp(x, settings: hyperparameters.Hyperparameters):
    """Dense layers on the handcrafted features of an excerpt."""
    x = layers.Dropout(settings.dropout / 2)(x)
    for depth in range(1, settings.hidden_layers + 1):
        x = layers.Dense(
            128,
            activation=settings.activation,
            kernel_regularizer=keras.regularizers.L2(settings.l2),
            name=f"dense_features_{depth}",
        )(x)
        x = layers.Dropout(settings.dropout)(x)
    return x


def _fused_cnn(x, settings):
    return build_cnn(x, replace(settings, hidden_layers=settings.hidden_layers - 1))


def _fused_mlp(x, settings):
    return build_mlp(x, replace(settings, hidden_layers=1))


def _recurrent(x, settings, kind, **options):
    """Recurrent layers over some 30 averaged frames, their mean over time, one dense layer."""
    x = layers.AveragePooling1D(_at_most(x.shape[1], 32))(x)
    for depth in range(1, settings.hidden_layers):
        regularizer = keras.regularizers.L2(settings.l2)
        options |= {"kernel_regularizer": regularizer, "return_sequences": True}
        name = f"recurrent_{depth}"
        if kind is layers.SimpleRNN:
            x = kind(64, name=name, **options)(x)
        else:
            x = layers.Bidirectional(kind(32, **options), name=name)(x)
    x = layers.GlobalAveragePooling1D()(x)
    return _dense(x, settings)


def _convolutions(x, settings, count):
    """`count` blocks: 3x3 convolution, activation, max pooling, batch normalisation.

    The spectrogram is averaged to at most 70 frames by 64 bands first, and normalised after the
    pooling, where there is an eighth as much to normalise: each halves the time of a step.
    """
    frames, bands = x.shape[1:]
    x = layers.Reshape((frames, bands, 1))(x)
    x = layers.AveragePooling2D((_at_most(frames, 70), _at_most(bands, 64)))(x)
    for depth in range(1, count + 1):
        x = layers.Conv2D(
            16 * 2 ** (depth - 1),
            3,
            padding="same",
            activation=settings.activation,
            kernel_regularizer=keras.regularizers.L2(settings.l2),
            name=f"convolution_{depth}",
        )(x)
        pool = (2, 4) if depth == 1 else (2, 2)
        x = layers.MaxPooling2D(tuple(map(min, pool, x.shape[1:3])))(x)
        x = layers.BatchNormalization(momentum=0.9)(x)  # few steps an epoch: follow sooner
    return x


def _dense(x, settings):
    x = layers.Dropout(settings.dropout)(x)
    return layers.Dense(
        64,
        activation=settings.activation,
        kernel_regularizer=keras.regularizers.L2(settings.l2),
        name="dense",
    )(x)


def _at_most(size, limit):
    """How many neighbours to average so that at most `limit` of `size` values remain."""
    return -(-size // limit)


#: What builds the part of each model that reads an input.
BUILDERS = {
    "cnn": {"log_mel": build_cnn},
    "cnn1d": {"log_mel": build_cnn1d},
    "rnn": {"log_mel": build_rnn},
    "lstm": {"log_mel": build_lstm},
    "gru": {"log_mel": build_gru},
    "hybrid": {"log_mel": build_hybrid},
    "hybrid_parallel": {"log_mel": build_hybrid_parallel},
    "mlp": {"features": build_mlp},
    "fusion": {"log_mel": _fused_cnn, "features": _fused_mlp},
    "dbn": {"log_mel": build_dbn},
}
