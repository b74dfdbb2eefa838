"""musicnn (Pons and Serra 2019), a network that has learned to tag music, rebuilt in Keras.

Its package needs TensorFlow 1 and is never imported: what it has learned is read from its files.
``python -m genre_utils.models.musicnn`` writes the network that `patches.listen` runs.
"""

import tempfile
from collections import defaultdict
from functools import cache
from itertools import count
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from genre_utils.features import patches

NORM = "batch_normalization"
TIMBRE_FRAMES = 7  # of the filters that look at timbre


@cache
def load(name: str = "MSD_musicnn") -> keras.Model:
    """Build MSD_musicnn (from the Million Song Dataset) or MTT_musicnn (MagnaTagATune) as learned.

    It leads from patches, (batch, 187, 96), to pooled (batch, 1506), embedding (batch, 200) and
    tags (batch, 50), which are probabilities. ModuleNotFoundError without the package.
    """
    model = _network(name)
    read_weights(model, name)
    return model


def read_weights(model: keras.Model, name: str = "MSD_musicnn") -> None:
    """Give each layer of a model the weights of the network's layer of that name, if there is."""
    reader = tf.compat.v1.train.NewCheckpointReader(f"{patches.learned(name)}/")
    for layer in model.layers:
        keys = [f"{layer.name}/{weight.name}" for weight in layer.weights]
        if all(map(reader.has_tensor, keys)):
            shaped = zip(map(reader.get_tensor, keys), layer.weights, strict=True)
            layer.set_weights([_shaped(found, weight.shape) for found, weight in shaped])


def _shaped(found, shape):
    """A tensor of the checkpoint as a layer here has it: frames of timbre are its channels."""
    if len(shape) == 4 and shape[2] == TIMBRE_FRAMES:
        return found.transpose(2, 1, 0, 3)
    return found.reshape(shape)


def _network(name):
    """The architecture; layers have the names of their variables in the checkpoint."""
    numbers: dict = defaultdict(count)
    patch = keras.Input((patches.FRAMES, patches.BANDS), name="patch")
    x = _normalised(layers.Reshape((patches.FRAMES, patches.BANDS, 1))(patch), _name(NORM, numbers))
    padded = layers.ZeroPadding2D(((3, 3), (0, 0)))(x)
    around = [padded[:, frame : frame + patches.FRAMES] for frame in range(TIMBRE_FRAMES)]
    around = layers.Concatenate()(around)  # as channels: the same sums, computed faster
    front = [_branch(around, 204, (1, bands), "valid", numbers) for bands in (38, 67)]
    front += [_branch(x, 51, (frames, 1), "same", numbers) for frames in (128, 64, 32)]
    front = layers.Concatenate()(front)
    middle = [_convolution(front, numbers)]
    for _ in range(2):
        middle.append(layers.Add()([_convolution(middle[-1], numbers), middle[-1]]))
    x = layers.Concatenate()([front, *middle])
    pooled = ops.stack([ops.max(x, axis=1), ops.mean(x, axis=1)], axis=2)  # channel by channel
    pooled = ops.reshape(pooled, (-1, patches.POOLED))
    embedding = back_end(pooled)
    tags = layers.Dense(len(patches.TAGS), activation="sigmoid", name="dense_1")(embedding)
    outputs = {"pooled": pooled, "embedding": embedding, "tags": tags}
    return keras.Model(patch, outputs, name=name)


def _name(kind, numbers):
    number = next(numbers[kind])
    return f"{kind}_{number}" if number else kind


def _normalised(x, name):
    """Batch normalisation by the statistics of the checkpoint, which stay as they are."""
    return layers.BatchNormalization(name=name)(x, training=False)


def _branch(x, filters, kernel, padding, numbers):
    """A convolution whose strongest response over all frequencies counts, (frames, filters)."""
    options = {"padding": padding, "activation": "relu", "name": _name("conv2d", numbers)}
    x = layers.Conv2D(filters, kernel, **options)(x)
    return ops.max(_normalised(x, _name(NORM, numbers)), axis=2)


def _convolution(x, numbers):
    options = {"padding": "same", "activation": "relu", "name": _name("conv2d", numbers)}
    return _normalised(layers.Conv1D(64, 7, **options)(x), _name(NORM, numbers))


def back_end(pooled, dropout: float = 0.0):
    """Embedding from pooled values; dropout is before both dense layers that learn from it."""
    x = _normalised(pooled, f"{NORM}_9")
    x = layers.Dropout(dropout)(x)
    x = layers.Dense(patches.EMBEDDING, activation="relu", name="dense")(x)
    x = _normalised(x, f"{NORM}_10")
    return layers.Dropout(dropout)(x)


def write_litert(path: Path) -> None:
    """Write MSD_musicnn as LiteRT, from power spectra of one patch, (1, 187, 257), to its outputs.

    What runs it needs neither TensorFlow nor librosa.
    """
    import librosa

    bank = librosa.filters.mel(sr=patches.SAMPLE_RATE, n_fft=patches.N_FFT, n_mels=patches.BANDS)
    power = keras.Input((patches.FRAMES, bank.shape[1]), name="power")
    to_bands = layers.Dense(patches.BANDS, use_bias=False)
    level = ops.log(10_000 * to_bands(power) + 1) * float(1 / np.log(10))
    to_bands.set_weights([bank.T])
    model = keras.Model(power, load()(level))
    of_one = keras.InputSpec(shape=(1, *power.shape[1:]), dtype="float32", name="power")
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "network.tflite"
        model.export(written, format="litert", verbose=False, input_signature=[of_one])
        path.write_bytes(written.read_bytes())


if __name__ == "__main__":
    write_litert(patches.NETWORK)
