"""The excerpts that models learn from, as an array that is read where it is asked for."""

import copy
from pathlib import Path

import numpy as np


class Excerpts:
    """Excerpts of clips, (excerpts, frames, values), of which no more is in memory than asked for.

    `excerpts[rows]` is an array, and `np.asarray(excerpts)` all of it.

    Parameters
    ----------
    place : Path
        File of a feature store: array of float32, (clips, frames, values).
    counts : array of int, shape (clips,)
        How many excerpts each clip is cut into, one after the other from its first frame on.
    length : int
        Frames of an excerpt.
    """

    def __init__(self, place: Path, counts, length: int):
        self._source: Path | np.ndarray = place
        frames, values = np.load(place, mmap_mode="r").shape[1:]
        counts = np.asarray(counts)
        number = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
        self._before = number * length  # frames of its clip that may come sooner
        self._after = np.repeat((counts - 1) * length, counts) - self._before
        self._start = np.repeat(np.arange(len(counts)) * frames, counts) + self._before
        self.shape = len(number), length, values

    def __len__(self):
        return self.shape[0]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype=dtype)

    def __getitem__(self, rows) -> np.ndarray:
        return self._read(self._start[rows])

    def _read(self, start):
        # mapped for each reading: pages of a file that stays mapped count as memory of the process
        source = self._source
        frames = np.load(source, mmap_mode="r") if isinstance(source, Path) else source
        frames = frames.reshape(-1, self.shape[2])
        return np.asarray(frames[start[..., np.newaxis] + np.arange(self.shape[1])])

    def anywhere(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Excerpts that start at any frame of the clips of some, not only where they were cut."""
        earliest, latest = -self._before[rows], self._after[rows]
        return self._read(self._start[rows] + rng.integers(earliest, latest, endpoint=True))

    def only(self, rows: np.ndarray) -> "Excerpts":
        """Some of them, in the order that is given."""
        some = copy.copy(self)
        some._start, some._before, some._after = (
            values[rows] for values in (self._start, self._before, self._after)
        )
        some.shape = len(rows), *self.shape[1:]
        return some

    def apart(self) -> "Excerpts":
        """The same, each a clip of its own: none of them starts anywhere else."""
        same = copy.copy(self)
        same._before = same._after = np.zeros_like(self._start)
        return same

    def seen_as(self, views: np.ndarray) -> "Excerpts":
        """Other values of the same excerpts, (excerpts, frames, other values)."""
        other = copy.copy(self)
        other._source, other.shape = views, views.shape
        other._start = np.arange(len(views)) * views.shape[1]
        return other
