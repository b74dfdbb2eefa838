"""musicnn (Pons and Serra 2019), a network that has learned to tag music, rebuilt in Keras.

Its package needs TensorFlow 1 and is never imported: what it has learned is read from its files.
"""

from collections import defaultdict
from functools import cache
from itertools import count

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from genre_utils.models import patches

NORM = "batch_normalization"
TAGS = 50
CHUNK = 16  # patches at a time, so that long clips need no more memory


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
            layer.set_weights([found.reshape(weight.shape) for found, weight in shaped])


def _network(name):
    """The architecture; layers have the names of their variables in the checkpoint."""
    numbers: dict = defaultdict(count)
    patch = keras.Input((patches.FRAMES, patches.BANDS), name="patch")
    x = _normalised(layers.Reshape((patches.FRAMES, patches.BANDS, 1))(patch), _name(NORM, numbers))
    padded = layers.ZeroPadding2D(((3, 3), (0, 0)))(x)
    front = [_branch(padded, 204, (7, bands), "valid", numbers) for bands in (38, 67)]  # timbre
    front += [_branch(x, 51, (frames, 1), "same", numbers) for frames in (128, 64, 32)]  # rhythm
    front = layers.Concatenate()(front)
    middle = [_convolution(front, numbers)]
    for _ in range(2):
        middle.append(layers.Add()([_convolution(middle[-1], numbers), middle[-1]]))
    x = layers.Concatenate()([front, *middle])
    pooled = ops.stack([ops.max(x, axis=1), ops.mean(x, axis=1)], axis=2)  # channel by channel
    pooled = ops.reshape(pooled, (-1, patches.POOLED))
    embedding = back_end(pooled)
    tags = layers.Dense(TAGS, activation="sigmoid", name="dense_1")(embedding)
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


def listen(images: np.ndarray) -> dict[str, np.ndarray]:
    """Outputs of MSD_musicnn, by name, for patches."""
    model = load()
    parts = [images[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
    found = [model.predict_on_batch(part) for part in parts]
    return {key: np.concatenate([one[key] for one in found]) for key in found[0]}
