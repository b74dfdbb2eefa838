"""How good neighbours are: of the tracks of a study, with the query's own artist left out.

Who finds the same record has found little, so tracks of the query's artist are no candidates
(Pampalk, Flexer, Widmer 2005, Improvements of audio-based music similarity, ISMIR).
What counts is then the share of neighbours of the query's genre. How near sounds are beyond
the genre is seen by allowing them: the share of neighbours by the same artist.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from genre_utils.evaluation import comparisons, intervals, scoring
from genre_utils.features import catalogue
from genre_utils.models import classical
from genre_utils.plots import formatting
from genre_utils.recognition import similarity

BASELINE = "MFCC statistics"
VECTORS = (BASELINE, "all statistics", "genre probabilities", "both")
TEMPO = "tempo_01_mean"  # of the feature statistics


def embeddings(study: Path, model: str) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Tracks that a model was tested on, and vectors of them, none from a model that met the track.

    Statistics are standardised over the excerpts of the study, which looks at no label. The
    probabilities are out of fold. Those of two folds are from two models, of which either may have
    learned from the other's tracks; what makes them comparable is that a probability means the same
    whoever gives it, which the inner layers of two networks do not.

    Parameters
    ----------
    study : Path
        Holds ``summary.parquet``, ``folds.parquet`` and ``predictions/MODEL.parquet``.
    model : str

    Returns
    -------
    tracks : pd.DataFrame
        By track_id: genre, group (artist component), said (by the model), tempo (NaN if unknown).
    vectors : dict of str to np.ndarray, shape (tracks, columns)
        By `VECTORS`.
    """
    data = classical.Data(study)
    table = pd.read_parquet(study / "predictions" / f"{model}.parquet")
    predicted = scoring.track_probabilities(table).set_index("track_id")
    x = data.x.groupby(data.table["track_id"].to_numpy()).mean().loc[predicted.index]
    scale = data.x.std(ddof=0)
    parts = (x, data.x.mean(), scale.where(scale > 0, 1))
    sound = similarity.sound_part(*(part.to_numpy(float) for part in parts))
    genres = similarity.genre_part(predicted[scoring.probability_columns(predicted)].to_numpy())
    mfcc = np.array([catalogue.family_of(column) == "mfcc" for column in x])
    vectors = (sound[:, mfcc], sound, genres, np.hstack([genres, sound]))
    tracks = predicted[["y_true", "y_pred"]].set_axis(["genre", "said"], axis=1)
    tracks["group"] = scoring.groups_of(data.folds).loc[tracks.index]
    tracks["tempo"] = x.get(TEMPO, np.nan)
    return tracks, dict(zip(VECTORS, vectors, strict=True))


def neighbours(x: np.ndarray, left_out, count: int) -> np.ndarray:
    """Nearest rows to each row of `x` that do not share its value of `left_out`, (rows, count).

    Nearest first, and -1 where there are too few.
    """
    left_out = np.asarray(left_out)
    barred_at_most = pd.Series(left_out).value_counts().max()
    rows = similarity.nearest(x, x, count + barred_at_most)[1]
    barred = left_out[rows] == left_out[:, np.newaxis]
    order = np.argsort(barred, axis=1, kind="stable")[:, :count]  # nearest first, barred last
    found = np.take_along_axis(np.where(barred, -1, rows), order, axis=1)
    return np.pad(found, ((0, 0), (0, count - found.shape[1])), constant_values=-1)


def hits(x: np.ndarray, label, left_out, count: int = similarity.COUNT):
    """Neighbours of each row that share its label, and how many could.

    Parameters
    ----------
    x : np.ndarray, shape (rows, columns)
    label, left_out : array_like, shape (rows,)
        A neighbour is right if it has the row's label; those with its value of `left_out` are none.
    count : int

    Returns
    -------
    found, possible : np.ndarray of int, shape (rows,)
    """
    label, left_out = np.asarray(label), np.asarray(left_out)
    rows = neighbours(x, left_out, count)
    found = ((label[rows] == label[:, np.newaxis]) & (rows >= 0)).sum(axis=1)
    pairs = pd.DataFrame({"label": label, "left out": left_out})
    alike = pairs.groupby("label")["label"].transform("size")
    barred = pairs.groupby(["label", "left out"])["label"].transform("size")
    return found, np.minimum(count, (alike - barred).to_numpy())


def measure(study: Path, model: str, count: int = similarity.COUNT) -> pd.DataFrame:
    """Measure the neighbours that each of `VECTORS` finds.

    Parameters
    ----------
    study : Path
    model : str
        Whose genre probabilities are used.
    count : int

    Returns
    -------
    pd.DataFrame
        vector; precision (share of `count` neighbours that are of the query's genre, its artist
        left out), low and high (95 % over artists of the queries); difference from the baseline,
        difference_low, difference_high, p_value (sign flips over artists) and p_holm (NaN for the
        baseline); artist (share of the tracks by the query's artist, `count` at most, that are
        among the neighbours if they may be), artist_low and artist_high (NaN if no artist has two
        tracks). ``attrs``: chance (precision of neighbours drawn at random), count, model.
    """
    tracks, vectors = embeddings(study, model)
    genre, group = tracks["genre"].to_numpy(), tracks["group"].to_numpy()
    count = min(count, len(tracks) - tracks["group"].value_counts().max())
    right = {name: hits(x, genre, group, count)[0] for name, x in vectors.items()}
    table = pd.DataFrame([_row(n, right, vectors[n], group, count) for n in VECTORS])
    table["p_holm"] = np.append(np.nan, comparisons.holm(table["p_value"][1:]))
    table.attrs = {"chance": _chance(genre, group), "count": count, "model": model}
    return table


def _row(name, right, x, group, count):
    share, base = right[name] / count, right[BASELINE] / count
    row = {"vector": name, "precision": share.mean()}
    row["low"], row["high"] = intervals.accuracy_interval(share, group)
    found, possible = hits(x, group, np.arange(len(x)))
    sums = intervals.group_sums(np.column_stack([found, possible]), group)
    same = intervals.combined_ratios(sums[:, :1], sums[:, 1:])
    several = possible.any()
    row["artist"] = same.value if several else np.nan
    row["artist_low"], row["artist_high"] = (
        intervals.share_interval(same) if several else (np.nan, np.nan)
    )
    if name == BASELINE:
        return row
    row["difference"] = (share - base).mean()
    limits = intervals.difference_interval(share, base, group)
    row["difference_low"], row["difference_high"] = limits
    return row | {"p_value": comparisons.sign_flip_test(right[name], right[BASELINE], group)}


def _chance(genre, group):
    """Precision of neighbours drawn at random from the other artists."""
    counts = pd.crosstab(group, genre)
    free = counts.sum() - counts  # of each genre, without each artist
    share = free.div(free.sum(axis=1), axis=0)
    return float((share * counts).to_numpy().sum() / len(genre))


def examples(study: Path, model: str, *, each: int = 3) -> pd.DataFrame:
    """Nearest tracks by other artists to one track of each genre, by both parts, and why.

    Parameters
    ----------
    study : Path
    model : str
    each : int
        Neighbours of each track.

    Returns
    -------
    pd.DataFrame
        query, neighbour, genres (of both), distance, why.
    """
    tracks, vectors = embeddings(study, model)
    group, x, timbre = tracks["group"].to_numpy(), vectors[VECTORS[-1]], vectors[BASELINE]
    told = tracks[["said", "tempo"]].rename(columns={"said": "genre"}).to_dict("records")
    found, rows = neighbours(x, group, each), []
    for query in np.flatnonzero(~tracks["genre"].duplicated()):
        others = np.flatnonzero(group != group[query])
        farther = pd.Series(similarity.shares_farther(timbre[others], timbre[query]), others)
        for row in found[query][found[query] >= 0]:
            why = similarity.reason(told[query], told[row], farther[row], "other artists' tracks")
            line = {"query": tracks.index[query], "neighbour": tracks.index[row]}
            line |= {"genres": ", ".join(tracks["genre"].iloc[[query, row]])}
            rows.append(line | {"distance": np.linalg.norm(x[row] - x[query]), "why": why})
    return pd.DataFrame(rows)


def shown(table: pd.DataFrame):
    """Style what `measure` found as a table to read: shares, with 95 % intervals."""
    names = {
        "same genre": ("precision", "low", "high"),
        "ahead of MFCCs": ("difference", "difference_low", "difference_high"),
        "same artist, if allowed": ("artist", "artist_low", "artist_high"),
    }
    told = {
        title: [
            formatting.as_text(value, limits) for value, *limits in table[list(three)].to_numpy()
        ]
        for title, three in names.items()
    }
    told = {"vector": table["vector"], **told, "p (Holm)": table["p_holm"].map(formatting.p_text)}
    return pd.DataFrame(told).style.hide().format(escape="html")
