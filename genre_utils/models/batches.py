"""What a network sees in an epoch, where training changes or balances its excerpts.

Everything random is drawn anew from the seed, the epoch and the number of the batch, so that two
runs see the same, in whatever order or thread Keras asks for it.
"""

import keras
import numpy as np
import tensorflow as tf
from sklearn.utils.class_weight import compute_class_weight

from genre_utils.features import augmentation
from genre_utils.models import architectures

MIXUP_ALPHA = 0.2  # shape of the Beta distribution of mixing weights: most lie near 0 or 1


class Batches:
    """Training batches of one fold: excerpts, soft labels and weights.

    Each iteration is a new epoch.

    Parameters
    ----------
    parts : dict of str to np.ndarray
        What the model reads: ``log_mel``, shape (excerpts, frames, mels), ``features``, shape
        (excerpts, columns), or both. Of all parts of the fold; only `rows` are ever read.
        Features stay those of the excerpt on the grid, wherever a random one starts; masks are
        for the spectrogram alone; mixup blends both alike.
    table : pd.DataFrame
        track_id and copy of each excerpt; those of a clip follow one another.
    y : np.ndarray of int, shape (excerpts,)
        Number of each excerpt's genre.
    rows : np.ndarray of int
        The excerpts to learn from.
    genres : int
        How many there are.
    settings : models.Hyperparameters
        Its batch_size, augmentation and balance are used.
    seed : int
    """

    def __init__(self, parts, table, y, rows, genres, settings, *, seed):
        self.parts, self.y, self.rows = parts, y, rows
        self.labels = np.eye(genres, dtype=np.float32)
        self.settings, self.seed, self.epoch = settings, seed, -1
        if "log_mel" in parts:
            self.fill = parts["log_mel"][rows].mean(axis=(0, 1), dtype=np.float64)
        self.first, self.last = clip_bounds(table, rows)
        self.weights = np.ones(genres, dtype=np.float32)
        if settings.balance == "weights":
            self.weights = genre_weights(y[rows], genres)
        self.mixup = keras.layers.MixUp(alpha=MIXUP_ALPHA, data_format="channels_last")

    def __len__(self):
        return -(-len(self.rows) // self.settings.batch_size)

    def __iter__(self):
        """Deal the rows of the next epoch, and give its batches one by one."""
        self.epoch += 1
        rng = np.random.default_rng([self.seed, self.epoch])
        if self.settings.balance == "sampling":
            order = balanced(self.rows, self.y[self.rows], rng)
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
            parts["log_mel"] = random_excerpts(self.parts["log_mel"], *bounds, rng)
        if "mixup" in changes:
            parts, labels = self._mixed(parts, labels, int(rng.integers(2**31)))
        if "masks" in changes and "log_mel" in parts:
            parts["log_mel"] = augmentation.mask(parts["log_mel"], rng, fill=self.fill)
        return architectures.alone(parts), labels, labels @ self.weights

    def _mixed(self, parts, labels, seed):
        """Each excerpt blended with another of its batch, and its label likewise."""
        images = np.zeros((len(labels), 1, 1, 1), dtype=np.float32)  # its size decides nothing
        change = self.mixup.get_random_transformation({"images": images}, seed=seed)
        mixed = {
            key: np.asarray(self.mixup.transform_images(_as_images(values), change))
            for key, values in parts.items()
        }
        parts = {key: mixed[key].reshape(values.shape) for key, values in parts.items()}
        return parts, np.asarray(self.mixup.transform_labels(labels, change))


def _as_images(values):
    """Any (n, ...) as (n, height, width, channels), which Keras mixes."""
    return values.reshape(len(values), -1, 1, 1)


def stream(batches: Batches) -> tf.data.Dataset:
    """Batches as a dataset that makes the next ones while the network learns from the last.

    One thread makes them in order, so that two runs see the same.
    """
    free = lambda array: tf.TensorSpec((None, *array.shape[1:]), tf.float32)  # noqa: E731
    inputs = architectures.alone({key: free(values) for key, values in batches.parts.items()})
    signature = inputs, free(batches.labels), tf.TensorSpec((None,), tf.float32)
    dataset = tf.data.Dataset.from_generator(lambda: batches, output_signature=signature)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(batches)))
    return dataset.prefetch(tf.data.AUTOTUNE)


def clip_bounds(table, rows) -> tuple[np.ndarray, np.ndarray]:
    """First and last excerpt of the clip that each excerpt belongs to.

    Parameters
    ----------
    table : pd.DataFrame
        track_id and copy of each excerpt.
    rows : np.ndarray of int
        Excerpts to learn from.

    Raises
    ------
    ValueError
        If a clip is learned from in part, or its excerpts do not follow one another: an excerpt
        that starts anywhere between its first and last would then reach into another.
    """
    clip = table.groupby(["track_id", "copy"], sort=False).ngroup().to_numpy()
    place = np.arange(len(clip))
    first, last = np.full(clip.max() + 1, len(clip)), np.zeros(clip.max() + 1, dtype=int)
    np.minimum.at(first, clip, place)
    np.maximum.at(last, clip, place)
    whole = np.bincount(clip[rows], minlength=len(first))
    if np.any((whole > 0) & (whole != last - first + 1)):
        raise ValueError("the excerpts of a clip must be whole and follow one another.")
    return first[clip], last[clip]


def random_excerpts(excerpts, first, last, rng) -> np.ndarray:
    """Excerpts that start at any frame of their clips, not only where the grid has one.

    Parameters
    ----------
    excerpts : np.ndarray, shape (excerpts, frames, mels)
        Those of a clip follow one another, so that their frames are the clip's.
    first, last : np.ndarray of int, shape (n,)
        First and last excerpt of the clip that each one is taken from.
    rng : np.random.Generator

    Returns
    -------
    np.ndarray, shape (n, frames, mels)
    """
    count, length, mels = excerpts.shape
    start = rng.integers(first * length, last * length, endpoint=True)
    frames = excerpts.reshape(count * length, mels)
    return frames[start[:, np.newaxis] + np.arange(length)]


def genre_weights(y, genres: int) -> np.ndarray:
    """Weight of each genre, n / (genres * n of the genre), so that all count the same."""
    weights = np.ones(genres, dtype=np.float32)
    present = np.unique(y)
    weights[present] = compute_class_weight("balanced", classes=present, y=y)
    return weights


def balanced(rows, y, rng) -> np.ndarray:
    """As many rows as given, an equal share of each genre, in random order.

    Each row of a rare genre comes as often as any other of it, give or take one; of a common
    genre each epoch leaves out others.

    Parameters
    ----------
    rows, y : np.ndarray of int, shape (n,)
        The rows to draw from, and the genre of each.
    rng : np.random.Generator
    """
    present = np.unique(y)
    shares = np.full(len(present), len(rows) // len(present))
    shares[rng.permutation(len(present))[: len(rows) % len(present)]] += 1
    drawn = [
        np.resize(rng.permutation(rows[y == genre]), share)
        for genre, share in zip(present, shares, strict=True)
    ]
    return rng.permutation(np.concatenate(drawn))
