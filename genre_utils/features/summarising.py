"""TODO features.summarising."""

import numpy as np

from genre_utils.features import catalogue

# ---------------------------------------------------------------------------- statistics of them


def summary_columns(families: dict[str, np.ndarray]) -> list[str]:
    """Names of the columns of `summarise`: ``mfcc_01_mean``, ``mfcc_01_std``, ..."""
    return [
        f"{family}_{i:02d}_{statistic}"
        for family, values in _summarised(families).items()
        for i in range(1, len(values) + 1)
        for statistic in ("mean", "std")
    ]


def summarise(families: dict[str, np.ndarray], length: int) -> np.ndarray:
    """Mean and standard deviation of every feature over each excerpt.

    Parameters
    ----------
    families : dict of str to np.ndarray, shape (dimensions, frames)
    length : int
        Frames of an excerpt; what is left over at the end is not used.

    Returns
    -------
    np.ndarray, shape (excerpts, 2 * dimensions of all families), float32
        Its columns are named by `summary_columns`.
    """
    values = np.concatenate(list(_summarised(families).values()))
    count = values.shape[1] // length
    cut = values[:, : count * length].reshape(len(values), count, length)
    statistics = np.stack([cut.mean(axis=2), cut.std(axis=2)], axis=1)
    return statistics.reshape(2 * len(values), count).T.astype(np.float32)


def _summarised(families):
    wide = {name for name, family in catalogue.FAMILIES.items() if not family.summarised}
    return {name: values for name, values in families.items() if name not in wide}
