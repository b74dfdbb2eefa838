"""The networks of Guo (2024) as near as the paper says: four, three and five hidden layers.

Its widths and input are not told: these are small, and see the spectrogram as coarse as all others.
"""

import keras
from keras import layers

FRAMES, BANDS = 40, 64  # of what a first convolution sees, at most: finer takes longer
STEPS = 32  # of recurrent layers, at most: more would be forgotten


def build_cnn(x, settings):
    """Two-dimensional convolutions over time and frequency, then one dense layer."""
    x = _convolutions(x, settings, settings.hidden_layers - 1)
    return _dense(layers.GlobalAveragePooling2D()(x), settings)


def build_rnn(x, settings):
    """Recurrent layers (Elman 1990) over at most 32 steps, their mean, one dense layer."""
    x = slower(x, STEPS)
    for depth in range(1, settings.hidden_layers):
        options = _options(settings, f"recurrent_{depth}")
        x = layers.SimpleRNN(64, return_sequences=True, unroll=True, **options)(x)
    return _dense(layers.GlobalAveragePooling1D()(x), settings)


def build_hybrid(x, settings):
    """Convolutions find local patterns; a bidirectional GRU follows them; one dense layer."""
    x = _convolutions(x, settings, settings.hidden_layers - 2)
    frames, bands, filters = x.shape[1:]
    x = layers.Reshape((frames, bands * filters))(x)
    return _dense(layers.Bidirectional(layers.GRU(32), name="recurrent")(x), settings)


def _convolutions(x, settings, count):
    """`count` blocks: 3x3 convolution, max pooling, batch normalisation."""
    x = coarser(x)
    for depth in range(1, count + 1):
        options = _options(settings, f"convolution_{depth}")
        x = layers.Conv2D(16 * 2 ** (depth - 1), 3, padding="same", **options)(x)
        pool = (2, 4) if depth == 1 else (2, 2)
        x = layers.MaxPooling2D(tuple(map(min, pool, x.shape[1:3])))(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
    return x


def coarser(x, frames=FRAMES, bands=BANDS):
    """Average neighbours of (batch, frames, bands) until at most so many; ends in one channel."""
    x = slower(x, frames)  # first, since along bands it takes several times as long
    x = layers.Reshape((*x.shape[1:], 1))(x)
    return layers.AveragePooling2D((1, -(-x.shape[2] // bands)))(x)


def slower(x, steps):
    """Average neighbouring steps of a sequence, (batch, steps, values), until at most so many."""
    return layers.AveragePooling1D(-(-x.shape[1] // steps))(x)


def _dense(x, settings):
    x = layers.Dropout(settings.dropout)(x)
    return layers.Dense(64, **_options(settings, "dense"))(x)


def _options(settings, name):
    """Arguments that every layer with an activation of the settings takes."""
    penalty = keras.regularizers.L2(settings.l2)
    return {"activation": settings.activation, "kernel_regularizer": penalty, "name": name}
