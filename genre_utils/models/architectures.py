"""The networks: a short builder each, for any frame rate and number of mel bands."""

from dataclasses import replace
from functools import partial

import keras
import numpy as np
from keras import layers

from genre_utils.models import hyperparameters, in_paper
from genre_utils.workspace import model_names

MOMENTUM = 0.9  # of batch normalisation: few steps an epoch, so that it follows sooner
NORMALISED = "normalised_"  # how the layer's name begins that scales an input


def builders_of(name: str) -> dict:
    """What builds each part of a network, by the input that it reads, of ``cnn_tuned`` too."""
    known = model_names.untuned(name)
    if known not in BUILDERS:
        raise ValueError(f"unknown model {name!r}; there are {', '.join(BUILDERS)}.")
    return BUILDERS[known]


def reads(name: str) -> tuple[str, ...]:
    """Inputs that a network reads, of ``log_mel`` and ``features``."""
    return tuple(builders_of(name))


def alone(parts: dict):
    """The only value of a dict, or the dict if it has several."""
    return parts if len(parts) > 1 else next(iter(parts.values()))


def build(name: str, shapes: dict, n_genres: int, settings, statistics: dict):
    """Build a network, not yet compiled, that ends in probabilities (batch, genres).

    By input are `shapes`, such as (frames, mels), and `statistics`, mean and variance of its last
    axis over the training rows; the network holds these, so that training and use normalise alike.
    """
    inputs, hidden, before = {}, [], keras.config.dtype_policy()
    keras.config.set_dtype_policy(settings.precision)  # of layers that name no other
    try:
        for key, builder in builders_of(name).items():
            inputs[key] = keras.Input(shapes[key], name=key, dtype="float32")
            hidden.append(builder(_normalised(inputs[key], *statistics[key]), settings))
        joined = layers.Concatenate()(hidden) if len(hidden) > 1 else hidden[0]
        outputs = layers.Dense(n_genres, activation="softmax", name="genre", dtype="float32")
        return keras.Model(alone(inputs), outputs(joined), name=name)
    finally:
        keras.config.set_dtype_policy(before)


def _normalised(x, mean, variance):
    """Every column less its mean, over its standard deviation, which no training changes."""
    # not `Normalization`, whose statistics are no weights: a network is compiled for one fold alone
    scale = layers.BatchNormalization(center=False, scale=False, trainable=False, epsilon=1e-12,
                                      dtype="float32", name=NORMALISED + x.name)  # fmt: skip
    x = scale(x)
    scale.set_weights([np.asarray(mean, np.float32), np.asarray(variance, np.float32)])
    return x


def build_cnn(x, settings: hyperparameters.Hyperparameters):
    """Blocks of convolutions over time and frequency; mean and maximum of what they find."""
    x = blocks(x, settings, settings.hidden_layers)
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
    return layers.Dropout(settings.dropout)(x)


def _cnn1d(x, settings):
    """One-dimensional convolutions over time, each seeing all mel bands."""
    for depth in range(1, settings.hidden_layers + 1):
        options = _options(settings, f"convolution_{depth}")
        x = layers.Conv1D(_units(64, settings), 5, padding="same", **options)(x)
        x = layers.MaxPooling1D(min(2, x.shape[1]))(x)
        x = layers.BatchNormalization(momentum=MOMENTUM)(x)
    return _over_time(x, settings)


def _hybrid(x, settings):
    """Convolutions find local patterns; a bidirectional GRU follows them through time."""
    x = blocks(x, settings, settings.hidden_layers - 1, last=(1, 2))
    frames, bands, filters = x.shape[1:]
    x = layers.Reshape((frames, bands * filters))(x)
    return _over_time(_gru(x, settings, "recurrent"), settings)


def _hybrid_parallel(x, settings):
    """Convolutions and a bidirectional GRU side by side on the same spectrogram, then joined."""
    local = build_cnn(x, replace(settings, hidden_layers=settings.hidden_layers - 1))
    steps = in_paper.slower(x, in_paper.STEPS)
    order = _over_time(_gru(steps, settings, "recurrent"), settings)
    return layers.Concatenate()([local, order])


def _recurrent(x, settings, kind):
    """Recurrent layers, each in both directions, over steps of some frames."""
    x = in_paper.slower(x, in_paper.STEPS)
    for depth in range(1, settings.hidden_layers + 1):
        x = kind(x, settings, f"recurrent_{depth}")
    return _over_time(x, settings)


def _gru(x, settings, name, kind=layers.GRU):
    options = {"kernel_regularizer": keras.regularizers.L2(settings.l2), "return_sequences": True}
    return layers.Bidirectional(kind(_units(32, settings), **options), name=name)(x)


def _lstm(x, settings, name):
    return _gru(x, settings, name, layers.LSTM)


def _simple(x, settings, name):
    """A plain recurrent layer; what it gives is normalised step by step, or it saturates."""
    return layers.LayerNormalization()(_gru(x, settings, name, layers.SimpleRNN))


def _over_time(x, settings):
    """Mean and maximum of what a sequence holds, (batch, steps, values)."""
    x = layers.Concatenate()([layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)])
    return layers.Dropout(settings.dropout)(x)


def blocks(x, settings: hyperparameters.Hyperparameters, count: int, last=(2, 2)):
    """`count` blocks: 3x3 convolution, max pooling (in the last one, of `last`), normalisation.

    Before the first, neighbouring frames and bands are averaged.
    """
    x = in_paper.coarser(x)
    pools = {1: (2, 4), count: last}  # few bands soon: what is on the large maps costs most
    for depth in range(1, count + 1):
        options = _options(settings, f"convolution_{depth}")
        filters = _units(16 * 2 ** (depth - 1), settings)
        x = layers.Conv2D(filters, 3, padding="same", **options)(x)
        pool = pools.get(depth, (2, 2))
        x = layers.MaxPooling2D(tuple(map(min, pool, x.shape[1:3])))(x)
        x = layers.BatchNormalization(momentum=MOMENTUM)(x)
    return x


def _dbn(x, settings):
    """Deep belief network (Hinton, Osindero, Teh 2006) of 8 by 32 means; `rbm` learns it first."""
    x = layers.Flatten()(in_paper.coarser(x, 8, 32))
    for depth in range(1, settings.hidden_layers + 1):
        options = _options(settings, f"belief_{depth}") | {"activation": "sigmoid"}
        x = layers.Dense(128, **options)(x)
    return layers.Dropout(settings.dropout)(x)


def _mlp(x, settings):
    """Dense layers on the handcrafted features of an excerpt."""
    x = layers.Dropout(settings.dropout / 2)(x)
    for depth in range(1, settings.hidden_layers + 1):
        x = layers.Dense(128, **_options(settings, f"dense_features_{depth}"))(x)
        x = layers.Dropout(settings.dropout)(x)
    return x


def _fused_cnn(x, settings):
    return build_cnn(x, replace(settings, hidden_layers=settings.hidden_layers - 1))


def _fused_mlp(x, settings):
    return _mlp(x, replace(settings, hidden_layers=1))


def _units(usual, settings):
    """Filters or units of a layer, for networks that are wider or narrower than usual."""
    return max(1, round(usual * settings.width))


def _options(settings, name):
    """Arguments that every layer with an activation of the settings takes."""
    penalty = keras.regularizers.L2(settings.l2)
    return {"activation": settings.activation, "kernel_regularizer": penalty, "name": name}


#: What builds the part of each network that reads an input.
BUILDERS: dict[str, dict] = {
    "cnn": {"log_mel": build_cnn},
    "cnn_paper": {"log_mel": in_paper.build_cnn},
    "cnn1d": {"log_mel": _cnn1d},
    "rnn": {"log_mel": partial(_recurrent, kind=_simple)},  # Elman 1990
    "rnn_paper": {"log_mel": in_paper.build_rnn},
    "lstm": {"log_mel": partial(_recurrent, kind=_lstm)},  # Hochreiter, Schmidhuber 1997
    "gru": {"log_mel": partial(_recurrent, kind=_gru)},  # Cho et al. 2014
    "hybrid": {"log_mel": _hybrid},
    "hybrid_paper": {"log_mel": in_paper.build_hybrid},
    "hybrid_parallel": {"log_mel": _hybrid_parallel},
    "mlp": {"features": _mlp},
    "fusion": {"log_mel": _fused_cnn, "features": _fused_mlp},
    "dbn": {"log_mel": _dbn},
}
