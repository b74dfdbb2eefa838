"""How good neighbours are: of the tracks of a study, with the query's own artist left out.

Pampalk, Flexer, Widmer 2005, Improvements of audio-based music similarity, ISMIR.
"""

import numpy as np
import pandas as pd
from tqdm import tqdm

from genre_utils.data import artists
from genre_utils.evaluation import comparisons, intervals, scoring
from genre_utils.features import catalogue, neighbours
from genre_utils.models import classical
from genre_utils.plots import formatting
from genre_utils.workspace.study_folder import StudyFolder

PLAYLIST = 20  # tracks of the playlists that are measured
WEIGHTS = (1.0, 0.9, neighbours.WEIGHT, 0.5, 0.3)  # of being near; 1 is the plain nearest
BASELINE, BOTH = "MFCC statistics", "both"
VECTORS = (BASELINE, "all statistics", "genre probabilities", BOTH)
SHOWN = {
    "same genre": ("precision", "low", "high"),
    "ahead of MFCCs": ("difference", "difference_low", "difference_high"),
    "same artist, if allowed": ("artist", "artist_low", "artist_high"),
    "artists": ("artists", "artists_low", "artists_high"),
    "more than the nearest": ("artists_more", "artists_more_low", "artists_more_high"),
    "of the query's genre": ("share", "share_low", "share_high"),
    "ahead of the nearest": ("share_more", "share_more_low", "share_more_high"),
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


def playlist_precision(study: StudyFolder, model: str) -> pd.DataFrame:
    """Measure playlists by other artists than the query's, for each weight of being near.

    Parameters
    ----------
    study : StudyFolder
        With features, and predictions of the model.
    model : str
        Whose genre probabilities, out of fold, are used beside all statistics.

    Returns
    -------
    pd.DataFrame
        A row for each weight: artists (how many are in a playlist), share (of its tracks that are
        of the query's genre), artists_more and share_more (than the plain nearest), each with its
        95 % interval by bootstrap over artists (_low, _high). ``attrs``: count (of its tracks),
        others (other artists of the query's genre in the corpus, mean).
    """
    tracks, vectors = _embeddings(study, model)
    genre, group = tracks["genre"].to_numpy(), tracks["group"].to_numpy()
    count, x = neighbours.possible(PLAYLIST, group), vectors[BOTH]
    pools = neighbours.nearest_others(x, group, neighbours.POOL * count)
    bar = tqdm(enumerate(pools), total=len(x), desc="playlists", unit="track")
    measured = np.array([_playlists(x, genre, group, n, pool[pool >= 0], count) for n, pool in bar])
    measured = np.concatenate([measured, measured - measured[:, :1]], axis=2)
    found = intervals.group_mean(measured.reshape(len(x), -1), group)
    names = ("artists", "share", "artists_more", "share_more")
    table = pd.DataFrame({"weight": WEIGHTS})
    for end, values in zip(("", "_low", "_high"), found, strict=True):
        table[[f"{name}{end}" for name in names]] = values.reshape(len(WEIGHTS), -1)
    of_genre = pd.Series(group).groupby(genre).nunique()
    table.attrs = {"count": count, "others": (of_genre[genre] - 1).mean()}
    return table


def _playlists(x, genre, group, query, pool, count):
    """Artists, and share of the query's genre, in a playlist by each weight: (weights, 2)."""
    relevance = 1 - np.linalg.norm(x[pool] - x[query], axis=1)
    alike = neighbours.similarities(x[pool], group[pool, np.newaxis])
    chosen = (neighbours.marginally_relevant(relevance, alike, count, w) for w in WEIGHTS)
    lists = [pool[rows] for rows in chosen]
    return [(len(set(group[rows])), (genre[rows] == genre[query]).mean()) for rows in lists]


def precision_table(table: pd.DataFrame) -> pd.DataFrame:
    """Write what was measured of neighbours as text, with 95 % intervals.

    Parameters
    ----------
    table : pd.DataFrame
        From `neighbour_precision` or `playlist_precision`.

    Returns
    -------
    pd.DataFrame
        A row for each description of a track, or weight.
    """
    text = table.iloc[:, [0]].astype(str).set_index(table.columns[0])
    for title, columns in SHOWN.items():
        if columns[0] in table:
            values = table[list(columns)].to_numpy()
            if columns[0].endswith(("difference", "_more")):
                text[title] = list(map(formatting.signed_with_limits, values))
            else:
                text[title] = [formatting.as_text(value, limits) for value, *limits in values]
    if "p_holm" in table:
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
        With the columns query, neighbour (track_id, artist and title, where known), genres (of
        both), distance, why.
    """
    tracks, vectors = _embeddings(study, model)
    group, x, timbre = tracks["group"].to_numpy(), vectors[BOTH], vectors[BASELINE]
    known = study.tracks.set_index("track_id").loc[tracks.index]
    known = known.reindex(columns=["artist", "title"], fill_value="").fillna("")
    known["artist"] = known["artist"].mask(artists.is_unknown(known["artist"]), "")
    called = [", ".join(filter(None, row)) for row in known.itertuples()]
    seen = tracks[["predicted", "tempo"]].rename(columns={"predicted": "genre"}).to_dict("records")
    found, rows = neighbours.nearest_others(x, group, EXAMPLES), []
    for query in np.flatnonzero(~tracks["genre"].duplicated()):
        others = np.flatnonzero(group != group[query])
        farther = pd.Series(neighbours.shares_farther(timbre[others], timbre[query]), others)
        for row in found[query][found[query] >= 0]:
            why = neighbours.reason(seen[query], seen[row], farther[row], "other artists' tracks")
            genres = ", ".join(tracks["genre"].iloc[[query, row]])
            distance = np.linalg.norm(x[row] - x[query])
            rows.append((called[query], called[row], genres, distance, why))
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
