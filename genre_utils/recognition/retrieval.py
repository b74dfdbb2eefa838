"""How good neighbours are: of the tracks of a study, with the query's own artist left out.

Pampalk, Flexer, Widmer 2005, Improvements of audio-based music similarity, ISMIR.
"""

import numpy as np
import pandas as pd

from genre_utils.evaluation import comparisons, intervals, scoring
from genre_utils.features import catalogue, neighbours
from genre_utils.models import classical
from genre_utils.plots import formatting
from genre_utils.workspace.study_folder import StudyFolder

BASELINE, BOTH = "MFCC statistics", "both"
VECTORS = (BASELINE, "all statistics", "genre probabilities", BOTH)
SHOWN = {
    "same genre": ("precision", "low", "high"),
    "ahead of MFCCs": ("difference", "difference_low", "difference_high"),
    "same artist, if allowed": ("artist", "artist_low", "artist_high"),
}
EXAMPLES = 3  # neighbours that are shown of a track


def neighbour_precision(study: StudyFolder, model: str) -> pd.DataFrame:
    """Measure the neighbours that each description of a track finds.

    Parameters
    ----------
    study : StudyFolder
        With features, and predictions of the model.
    model : str
        Whose genre probabilities, out of fold, are used.

    Returns
    -------
    pd.DataFrame
        A row for each vector: precision (share of neighbours of the query's genre), difference
        (from the baseline), artist (share of the tracks by the query's artist that are among the
        neighbours if they may be), each with its 95 % interval over artists (_low, _high); p_value
        (sign-flip permutation test) and p_holm. ``attrs``: chance (precision of random neighbours),
        count (of neighbours), model.
    """
    tracks, vectors = _embeddings(study, model)
    genre, group = tracks["genre"].to_numpy(), tracks["group"].to_numpy()
    count = neighbours.possible(neighbours.COUNT, group)
    right = {name: _hits(x, genre, group, count) for name, x in vectors.items()}
    rows = [
        {"vector": name, **_precision(name, right, group, count), **_by_artist(x, group)}
        for name, x in vectors.items()
    ]
    table = pd.DataFrame(rows)
    table["p_holm"] = np.append(np.nan, comparisons.holm(table["p_value"][1:]))
    table.attrs = {"chance": _chance(genre, group), "count": count, "model": model}
    return table


def precision_table(table: pd.DataFrame) -> pd.DataFrame:
    """Write what `neighbour_precision` found as text: shares, with 95 % intervals.

    Parameters
    ----------
    table : pd.DataFrame
        From `neighbour_precision`.

    Returns
    -------
    pd.DataFrame
        A row for each description of a track.
    """
    text = pd.DataFrame(index=pd.Index(table["vector"]))
    for title, columns in SHOWN.items():
        values = table[list(columns)].to_numpy()
        text[title] = [formatting.as_text(value, limits) for value, *limits in values]
    text["p (Holm)"] = table["p_holm"].map(formatting.p_text).to_numpy()
    return text


def nearest_tracks(study: StudyFolder, model: str) -> pd.DataFrame:
    """Find the three tracks by other artists nearest to one track of each genre, and say why.

    Parameters
    ----------
    study : StudyFolder
        With features, and predictions of the model.
    model : str
        Whose genre probabilities, out of fold, are used beside all statistics.

    Returns
    -------
    pd.DataFrame
        With the columns query, neighbour, genres (of both), distance, why.
    """
    tracks, vectors = _embeddings(study, model)
    group, x, timbre = tracks["group"].to_numpy(), vectors[BOTH], vectors[BASELINE]
    seen = tracks[["predicted", "tempo"]].rename(columns={"predicted": "genre"}).to_dict("records")
    found, rows = neighbours.nearest_others(x, group, EXAMPLES), []
    for query in np.flatnonzero(~tracks["genre"].duplicated()):
        others = np.flatnonzero(group != group[query])
        farther = pd.Series(neighbours.shares_farther(timbre[others], timbre[query]), others)
        for row in found[query][found[query] >= 0]:
            why = neighbours.reason(seen[query], seen[row], farther[row], "other artists' tracks")
            genres = ", ".join(tracks["genre"].iloc[[query, row]])
            distance = np.linalg.norm(x[row] - x[query])
            rows.append((tracks.index[query], tracks.index[row], genres, distance, why))
    return pd.DataFrame(rows, columns=["query", "neighbour", "genres", "distance", "why"])


def _embeddings(study, model):
    """Tracks that a model was tested on, and vectors of them by `VECTORS`, (tracks, columns)."""
    data = classical.Data(study)
    predicted = scoring.track_probabilities(study.predictions(model)).set_index("track_id")
    x = data.x.groupby(data.table["track_id"].to_numpy()).mean().loc[predicted.index]
    scale = data.x.std(ddof=0)
    parts = (x, data.x.mean(), scale.where(scale > 0, 1))
    sound = neighbours.sound_part(*(part.to_numpy(float) for part in parts))
    genres = neighbours.genre_part(predicted[scoring.probability_columns(predicted)].to_numpy())
    mfcc = np.array([catalogue.family_of(column) == "mfcc" for column in x])
    vectors = (sound[:, mfcc], sound, genres, np.hstack([genres, sound]))
    tracks = predicted[["y_true", "y_pred"]].set_axis(["genre", "predicted"], axis=1)
    tracks["group"] = study.groups.loc[tracks.index]
    tracks["tempo"] = x.get("tempo_01_mean", np.nan)
    return tracks, dict(zip(VECTORS, vectors, strict=True))


def _hits(x, label, left_out, count=neighbours.COUNT):
    rows = neighbours.nearest_others(x, left_out, count)
    return ((label[rows] == label[:, np.newaxis]) & (rows >= 0)).sum(axis=1)


def _precision(name, right, group, count):
    """Share of right neighbours, and how far it is ahead of the baseline's."""
    share, base = right[name] / count, right[BASELINE] / count
    low, high = intervals.accuracy_interval(share, group)
    row = {"precision": share.mean(), "low": low, "high": high}
    if name == BASELINE:
        return row
    low, high = intervals.difference_interval(share, base, group)
    row |= {"difference": (share - base).mean(), "difference_low": low, "difference_high": high}
    return row | {"p_value": comparisons.sign_flip_test(right[name], right[BASELINE], group)}


def _by_artist(x, group):
    """Share of the tracks by a query's artist that are among its neighbours if they may be."""
    found = _hits(x, group, np.arange(len(x)))
    others = pd.Series(group).groupby(group).transform("size") - 1
    possible = np.minimum(neighbours.COUNT, others.to_numpy())
    if not possible.any():
        return dict.fromkeys(("artist", "artist_low", "artist_high"), np.nan)
    sums = intervals.group_sums(np.column_stack([found, possible]), group)
    same = intervals.combined_ratios(sums[:, :1], sums[:, 1:])
    low, high = intervals.share_interval(same)
    return {"artist": same.value, "artist_low": low, "artist_high": high}


def _chance(genre, group):
    """Precision of neighbours drawn at random from the other artists."""
    counts = pd.crosstab(group, genre)
    free = counts.sum() - counts  # of each genre, without each artist
    share = free.div(free.sum(axis=1), axis=0)
    return float((share * counts).to_numpy().sum() / len(genre))
