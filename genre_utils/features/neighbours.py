"""Tracks that are near each other: distances, reasons, and lists that are not all of one kind.

A track is a vector of its *sound* and its *genres*, whose squared distances are added.
"""

import numpy as np

COUNT = 10  # neighbours that are told, and that precision is measured on
SAME_TEMPO = 0.05  # share by which tempi may differ that are called the same
WEIGHT = 0.7  # of being near the query, against being unlike what was chosen before; not tuned
POOL = 10  # nearest tracks that each place of a diversified list is chosen from


def sound_part(x: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Feature statistics of tracks, (tracks, columns), standardised by the excerpts of a corpus.

    1 is the distance of two unrelated excerpts: each column is 2 scale^2 apart in mean of squares.
    """
    return (x - mean) / scale / np.sqrt(2 * x.shape[1])


def genre_part(p: np.ndarray) -> np.ndarray:
    """Roots of probabilities, (tracks, genres): their distance is Hellinger's, from 0 to 1."""
    return np.sqrt(p / 2)


def nearest(x: np.ndarray, queries: np.ndarray, count: int = COUNT):
    """Distances and numbers of the rows of `x` nearest to each row of `queries`."""
    from scipy.spatial import KDTree

    return KDTree(x).query(queries, range(1, 1 + min(count, len(x))))


def possible(count: int, left_out: np.ndarray) -> int:
    """As many neighbours, up to `count`, as every row has with another value of `left_out`."""
    return min(count, len(left_out) - np.unique(left_out, return_counts=True)[1].max())


def nearest_others(x: np.ndarray, left_out: np.ndarray, count: int) -> np.ndarray:
    """Nearest rows to each row of `x` without its value of `left_out`; -1 where too few."""
    barred_at_most = np.unique(left_out, return_counts=True)[1].max()
    rows = nearest(x, x, count + barred_at_most)[1]
    barred = left_out[rows] == left_out[:, np.newaxis]
    order = np.argsort(barred, axis=1, kind="stable")[:, :count]  # nearest first, barred last
    found = np.take_along_axis(np.where(barred, -1, rows), order, axis=1)
    return np.pad(found, ((0, 0), (0, count - found.shape[1])), constant_values=-1)


def reason(query: dict, other: dict, nearer: float, among: str = "the library") -> str:
    """Why a track is near, or is not: genre, tempo, share of `among` with a farther timbre."""
    one, two = query["genre"], other["genre"]
    same = f"same genre by the model: {two}"
    parts = [same if one == two else f"another genre by the model: {two}, not {one}"]
    tempi = np.array([query["tempo"], other["tempo"]])
    if np.isfinite(tempi).all():
        close = np.ptp(tempi) <= SAME_TEMPO * tempi.max()
        told = f"{tempi[0]:.0f} against {tempi[1]:.0f} beats/min"
        parts.append(f"{'same' if close else 'another'} tempo: {told}")
    parts.append(f"timbre nearer than {int(100 * nearer)} % of {among}")
    return "; ".join(parts)


def shares_farther(timbre: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Share of the other rows of `timbre` that are farther from `query` than each row is."""
    apart = np.linalg.norm(timbre - query, axis=1)
    farther = len(apart) - np.searchsorted(np.sort(apart), apart, side="right")
    return farther / max(1, len(apart) - 1)


def similarities(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """One less the distance of rows of `x`; 1 for those with a label, (rows, kinds), in common."""
    from scipy.spatial.distance import cdist

    alike = 1 - cdist(x, x)
    for kind in labels.T:
        alike[kind[:, np.newaxis] == kind] = 1
    return alike


def marginally_relevant(
    relevance: np.ndarray, alike: np.ndarray, count: int, weight: float = WEIGHT
) -> np.ndarray:
    """Choose tracks by maximal marginal relevance (Carbonell, Goldstein 1998, SIGIR).

    Each next one has the largest weight * relevance_i - (1 - weight) * max_j alike_ij, over the
    tracks j that were chosen before; of equals, the first. The first is the most relevant.

    Parameters
    ----------
    relevance : np.ndarray, shape (tracks,)
        Similarity to the query.
    alike : np.ndarray, shape (tracks, tracks)
        Similarity to each other.
    count : int
        Of tracks to choose; all if there are no more.
    weight : float
        Of relevance, from 0 to 1, at which the most relevant are chosen.

    Returns
    -------
    np.ndarray of int, shape (min(count, tracks),)
        In the order in which they were chosen.
    """
    chosen = [int(np.argmax(relevance))]
    redundancy = alike[chosen[0]]
    while len(chosen) < min(count, len(relevance)):
        score = weight * relevance - (1 - weight) * redundancy
        score[chosen] = -np.inf
        chosen.append(int(np.argmax(score)))
        redundancy = np.maximum(redundancy, alike[chosen[-1]])
    return np.array(chosen)
