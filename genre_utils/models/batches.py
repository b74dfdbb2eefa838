"""What a network sees in an epoch, where training changes or balances its excerpts.

All is drawn from seed, epoch and number of the batch, in whatever order Keras asks for it.
"""

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from sklearn.utils.class_weight import compute_class_weight

from genre_utils.features import augmentation
from genre_utils.models import architectures

MIXUP_ALPHA = 0.2  # shape of the Beta distribution of mixing weights: most lie near 0 or 1


class Batches:
    """Make the batches that a network trains on: each iteration over them is an epoch.

    Excerpts, soft labels and weights, changed and balanced as the settings say. Features stay those
    of the excerpt on the grid, wherever a random one starts; mixup blends both alike.

    Parameters
    ----------
    data : Data
        See `load_data`.
    rows : np.ndarray of int
        The excerpts to learn from.
    settings : Hyperparameters
        What is changed, and the size of a batch.
    seed : int
        Decides order and changes.
    name : str
        The network, which says what is read.
    """

    def __init__(self, data, rows, settings, *, seed, name="cnn"):
        self.parts, self.y, self.rows = data.parts(name), data.y, rows
        self.labels = np.eye(len(data.genres), dtype=np.float32)
        self.settings, self.seed, self.epoch = settings, seed, -1
        if "log_mel" in self.parts:
            self.fill = self.parts["log_mel"][rows].mean(axis=(0, 1), dtype=np.float64)
        self.first, self.last = _clip_bounds(data.table, rows)
        self.weights = np.ones(len(data.genres), dtype=np.float32)
        if settings.balance == "weights":
            self.weights = _genre_weights(self.y[rows], len(data.genres))
        self.mixup = keras.layers.MixUp(alpha=MIXUP_ALPHA, data_format="channels_last")

    def __len__(self):
        return -(-len(self.rows) // self.settings.batch_size)

    def __iter__(self):
        self.epoch += 1
        rng = np.random.default_rng([self.seed, self.epoch])
        if self.settings.balance == "sampling":
            order = _balanced(self.rows, self.y[self.rows], rng)
        else:
            order = rng.permutation(self.rows)
        size = self.settings.batch_size
        for number in range(len(self)):
            yield self._batch(number, order[number * size : (number + 1) * size])

    def _batch(self, number, rows):
        rng = np.random.default_rng([self.seed, self.epoch, number])
        parts = {key: values[rows] for key, values in self.parts.items()}
        labels, changes = self.labels[self.y[rows]], self.settings.augmentation
        if "random excerpts" in changes and "log_mel" in parts:
            bounds = self.first[rows], self.last[rows]
            parts["log_mel"] = _random_excerpts(self.parts["log_mel"], *bounds, rng)
        if "mixup" in changes:
            parts, labels = self._mixed(parts, labels, int(rng.integers(2**31)))
        if "masks" in changes and "log_mel" in parts:
            parts["log_mel"] = augmentation.mask(parts["log_mel"], rng, fill=self.fill)
        return architectures.alone(parts), labels, labels @ self.weights

    def _mixed(self, parts, labels, seed):
        """Each excerpt blended with another of its batch, and its label likewise."""
        images = np.zeros((len(labels), 1, 1, 1), dtype=np.float32)  # its size decides nothing
        change = self.mixup.get_random_transformation({"images": images}, seed=seed)
        mixed = {}
        for key, values in parts.items():
            image = values.reshape(len(values), -1, 1, 1)  # height, width, channels
            blended = np.asarray(self.mixup.transform_images(image, change))
            mixed[key] = blended.reshape(values.shape)
        return mixed, np.asarray(self.mixup.transform_labels(labels, change))


def stream(batches: Batches) -> tf.data.Dataset:
    """Batches as a dataset that makes the next ones, in one thread, while the network learns."""
    free = lambda array: tf.TensorSpec((None, *array.shape[1:]), tf.float32)  # noqa: E731
    inputs = architectures.alone({key: free(values) for key, values in batches.parts.items()})
    signature = inputs, free(batches.labels), tf.TensorSpec((None,), tf.float32)
    dataset = tf.data.Dataset.from_generator(lambda: batches, output_signature=signature)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(batches)))
    return dataset.prefetch(tf.data.AUTOTUNE)


def _clip_bounds(table, rows):
    """First and last excerpt of the clip of each excerpt; clips must be whole and in one piece."""
    rows_of = pd.DataFrame({"row": np.arange(len(table)), "learned": 0})
    rows_of.loc[rows, "learned"] = 1
    clips = rows_of.groupby([table["track_id"].to_numpy(), table["copy"].to_numpy()])
    first, last = (clips["row"].transform(end).to_numpy() for end in ("min", "max"))
    learned = clips["learned"].transform("sum").to_numpy()
    if np.any((learned > 0) & (learned != last - first + 1)):
        raise ValueError("the excerpts of a clip must be whole and follow one another.")
    return first, last


def _random_excerpts(excerpts, first, last, rng):
    """Excerpts that start at any frame of their clips, not only where the grid has one."""
    count, length, mels = excerpts.shape
    start = rng.integers(first * length, last * length, endpoint=True)
    frames = excerpts.reshape(count * length, mels)
    return frames[start[:, np.newaxis] + np.arange(length)]


def _genre_weights(y, genres):
    """Weight of each genre, so that all count the same."""
    weights = np.ones(genres, dtype=np.float32)
    present = np.unique(y)
    weights[present] = compute_class_weight("balanced", classes=present, y=y)
    return weights


def _balanced(rows, y, rng):
    """As many rows as given, an equal share of each genre, none of it twice before all came."""
    present = np.unique(y)
    shares = np.full(len(present), len(rows) // len(present))
    shares[rng.permutation(len(present))[: len(rows) % len(present)]] += 1
    drawn = [
        np.resize(rng.permutation(rows[y == genre]), share)
        for genre, share in zip(present, shares, strict=True)
    ]
    return rng.permutation(np.concatenate(drawn))
