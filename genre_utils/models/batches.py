"""What a network sees in an epoch, where training changes or balances its excerpts.

All is drawn from seed, epoch and number of the batch, in whatever order Keras asks for it.
"""

import numpy as np
import tensorflow as tf
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight

from genre_utils.features import augmentation
from genre_utils.models import architectures

MIXUP_ALPHA = 0.3  # shape of the Beta distribution of mixing weights: most lie near 0 or 1


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
        if "masks" in settings.augmentation and "log_mel" in self.parts:
            self.fill = statistics(self.parts["log_mel"], rows)[0]
        self.weights = np.ones(len(data.genres), dtype=np.float32)
        if settings.balance == "weights":
            self.weights = _genre_weights(self.y[rows], len(data.genres))

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
            parts["log_mel"] = self.parts["log_mel"].anywhere(rows, rng)
        if "mixup" in changes:
            parts, labels = _mixed(parts, labels, rng)
        if "masks" in changes and "log_mel" in parts:
            parts["log_mel"] = augmentation.mask(parts["log_mel"], rng, fill=self.fill)
        return architectures.alone(parts), labels, labels @ self.weights


def _mixed(parts, labels, rng):
    """Each excerpt blended with another of its batch, its label likewise (Zhang et al. 2018)."""
    share = rng.beta(MIXUP_ALPHA, MIXUP_ALPHA, len(labels)).astype(np.float32)
    other = rng.permutation(len(labels))

    def blended(values):
        own = share.reshape(-1, *[1] * (values.ndim - 1))
        return own * values + (1 - own) * values[other]

    return {key: blended(values) for key, values in parts.items()}, blended(labels)


def stream(batches: Batches) -> tf.data.Dataset:
    """Batches as a dataset that makes the next ones, in one thread, while the network learns."""
    inputs = architectures.alone(_specs(batches.parts))
    signature = inputs, _free(batches.labels), tf.TensorSpec((None,), tf.float32)
    return _dataset(batches.__iter__, len(batches), signature)


def in_order(data, name: str, rows, size: int = 256, *, labels=False) -> tf.data.Dataset:
    """Excerpts as they are, so many at a time, with their labels if asked for: to be predicted."""

    def read():
        for start in range(0, len(rows), size):
            own = rows[start : start + size]
            yield (data.inputs(name, own), data.labels[own]) if labels else data.inputs(name, own)

    inputs = architectures.alone(_specs(data.parts(name)))
    return _dataset(read, -(-len(rows) // size), (inputs, _free(data.labels)) if labels else inputs)


def _dataset(generate, count, signature):
    """So many elements of what a function generates, anew each time that they are gone through.

    After `Dataset.from_generator`, this process gives all memory back to the system in every step,
    and takes it again: a third of the time of training (its log says "Memory patch applied").
    """
    specs, generators = tf.nest.flatten(signature), {}

    def following(number):
        if number == 0:
            generators["last"] = generate()
        return tf.nest.flatten(next(generators["last"]))

    def element(number):
        values = tf.numpy_function(following, [number], [spec.dtype for spec in specs])
        for value, spec in zip(values, specs, strict=True):
            value.set_shape(spec.shape)
        return tf.nest.pack_sequence_as(signature, values)

    return tf.data.Dataset.range(count).map(element).prefetch(tf.data.AUTOTUNE)


def _specs(parts):
    return {key: _free(values) for key, values in parts.items()}


def _free(array):
    """What a batch of rows of an array is, of any number of them."""
    return tf.TensorSpec((None, *array.shape[1:]), tf.float32)


def statistics(values, rows) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of columns of some rows, (rows, ..., columns); 1 where nothing varies."""
    scaler = StandardScaler()
    for start in range(0, len(rows), 256):
        some = values[rows[start : start + 256]].reshape(-1, values.shape[-1])
        scaler.partial_fit(some.astype(np.float64))
    return scaler.mean_, scaler.scale_**2


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
