"""Statistics of features over each excerpt: all that the classical models get to see."""

import numpy as np

TOO_WIDE = ("stft_magnitude", "tempogram")  # images of hundreds of rows, which are left out


def summary_columns(families: dict[str, np.ndarray]) -> list[str]:
    """Names of the columns of `summarise`: ``mfcc_01_mean``, ``mfcc_01_std``, ..."""
    return [
        f"{family}_{i:02d}_{statistic}"
        for family, values in _summarised(families).items()
        for i in range(1, len(values) + 1)
        for statistic in ("mean", "std")
    ]


def summarise(families: dict[str, np.ndarray], length: int) -> np.ndarray:
    """Mean and deviation of each row (frames,) of features over excerpts of `length` frames.

    (excerpts, 2 * rows of all families), float32; what is left over at the end is not used.
    """
    values = np.concatenate(list(_summarised(families).values()))
    count = values.shape[1] // length
    cut = values[:, : count * length].reshape(len(values), count, length)
    statistics = np.stack([cut.mean(axis=2), cut.std(axis=2)], axis=1)
    return statistics.reshape(2 * len(values), count).T.astype(np.float32)


def _summarised(families):
    return {name: values for name, values in families.items() if name not in TOO_WIDE}
