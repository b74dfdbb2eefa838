"""What the features of a corpus say about its genres; no model sees it.

Tracks of an artist are alike, so what is resampled are artists.
"""

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.decomposition import PCA
from sklearn.feature_selection import mutual_info_classif
from sklearn.manifold import TSNE
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from genre_utils.evaluation import intervals
from genre_utils.features import audio, catalogue, modulation

RESAMPLES, HALVES = 1000, 60  # of the artists, for F and for mutual information
PERMUTATIONS = 200  # of the tracks of each genre among its artists
PERPLEXITY = 30  # of t-SNE, at most


def track_means(summary: pd.DataFrame, track_ids) -> pd.DataFrame:
    """Average the statistics of each track over its original excerpts.

    Parameters
    ----------
    summary : pd.DataFrame
        Statistics of each excerpt, as `StudyFolder.summary` holds them.
    track_ids : sequence of str
        The tracks wanted, in the order wanted.

    Returns
    -------
    pd.DataFrame, shape (tracks, statistics)
        Indexed by track_id; statistics that are the same for every track are left out.
    """
    original = summary[summary["copy"] == 0].drop(columns=["copy", "excerpt"])
    means = original.groupby("track_id").mean().astype(float).loc[list(track_ids)]
    return means.loc[:, means.std() > 1e-9 * means.abs().max()]


def genre_scores(
    values: pd.DataFrame, genre, artist, seed: int = 0
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Score how much each statistic tells about the genre, and how certain their order is.

    Parameters
    ----------
    values : pd.DataFrame, shape (tracks, statistics)
        From `track_means`.
    genre, artist : sequence of str, shape (tracks,)
        Genre and artist of each track.
    seed : int
        Of the resamples of artists.

    Returns
    -------
    scores : pd.DataFrame
        Indexed by statistic: F, the ratio of the variance between genres to that within them
        (Fisher 1925), and bits, the mutual information with the genre (Ross 2014).
    rankings : dict of str to pd.DataFrame
        All by "F", the 20 highest by "bits": score, low, high, rank, rank_low, rank_high (95 %
        intervals; 1 is the highest).
    """
    ratio = _f_ratios(values, genre, np.ones((1, len(values))))[0]
    scores = pd.DataFrame({"F": ratio, "bits": _information(values, genre, seed)}, values.columns)
    top = scores["bits"].nlargest(20)
    return scores, {
        "F": _ranking(scores["F"], _drawn_f_ratios(values, genre, artist, seed)),
        "bits": _ranking(top, _drawn_information(top, values, genre, artist, seed)),
    }


def _f_ratios(values, genre, weights):
    """F ratios with weights of tracks: (resamples, tracks) -> (resamples, statistics)."""
    x = StandardScaler().fit_transform(values)  # F is the same, and sums of squares are exact
    count, total = weights.sum(axis=1, keepdims=True), weights @ x
    between, genres = -(total**2) / count, np.zeros_like(count)
    for one in pd.unique(np.asarray(genre)):
        rows = np.flatnonzero(np.asarray(genre) == one)
        n, part = weights[:, rows].sum(axis=1, keepdims=True), weights[:, rows] @ x[rows]
        between += np.divide(part**2, n, out=np.zeros_like(part), where=n > 0)
        genres += n > 0
    within = weights @ x**2 - total**2 / count - between
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (between / (genres - 1)) / (within / (count - genres))
    return np.where(genres > 1, ratio, np.nan)  # of the genres that a resample has


def _information(values, genre, seed):
    """Mutual information of each statistic and the genre, from near neighbours, in bits."""
    with threadpool_limits(1):  # its threads wait for each other at every step of a small set
        nats = mutual_info_classif(values.to_numpy(), np.asarray(genre), random_state=seed)
    return pd.Series(nats / np.log(2), index=values.columns)


def _drawn_f_ratios(values, genre, artist, seed):
    """F ratios, a little too large, in bootstrap resamples of artists: (resamples, statistics)."""
    codes, names = pd.factorize(np.asarray(artist))
    weights = intervals.bootstrap_weights(len(names), RESAMPLES, seed)[:, codes]
    return pd.DataFrame(_f_ratios(values, genre, weights.astype(float)), columns=values.columns)


def _drawn_information(scores, values, genre, artist, seed):
    """Mutual information in halves of the artists, (halves, scores), centred on the scores.

    Halves vary as a bootstrap does (Politis, Romano, Wolf 1999, Subsampling), but hold no copies,
    which would be each other's near neighbours.
    """
    values, genre = values[scores.index], np.asarray(genre)
    halves = [_half_of_artists(genre, artist, seed=(seed, draw)) for draw in range(HALVES)]
    drawn = pd.DataFrame(
        [_information(values[half], genre[half], draw) for draw, half in enumerate(halves)]
    )
    return drawn - drawn.mean() + scores


def _half_of_artists(genre, artist, *, seed):
    """Whether each track is by a random half (rounded up) of the artists of its genre."""
    rng, artist = np.random.default_rng(seed), np.asarray(artist)
    home = pd.Series(np.asarray(genre)).groupby(artist).first()
    shuffled = [rng.permutation(names.index) for _, names in home.groupby(home)]
    return np.isin(artist, np.concatenate([names[: -(-len(names) // 2)] for names in shuffled]))


def _ranking(scores, drawn):
    """Scores with the 95 % intervals of score and rank over the resamples, the highest first."""
    scores = scores[drawn.columns].sort_values(ascending=False, kind="stable")
    drawn = drawn[scores.index].dropna()
    limits = intervals.interval(drawn.to_numpy())
    ranks = np.percentile(drawn.rank(axis=1, ascending=False), [2.5, 97.5], axis=0)
    table = pd.DataFrame({"score": scores, "low": limits[0], "high": limits[1]})
    return table.assign(rank=range(1, len(table) + 1), rank_low=ranks[0], rank_high=ranks[1])


def modulation_strength(values: pd.DataFrame, genre, sr: float = audio.SAMPLE_RATE) -> pd.DataFrame:
    """Mean strength of modulations in each genre, over the regions of the mel axis.

    Parameters
    ----------
    values : pd.DataFrame, shape (tracks, statistics)
        From `track_means`.
    genre : sequence of str, shape (tracks,)
        Genre of each track.
    sr : float
        Sample rate (Hz) of the music; 0 where it is not known.

    Returns
    -------
    pd.DataFrame
        Columns genre, rate (Hz), scale (cycles per octave above 1.4 kHz, over the mel axis without
        a sample rate; what rises is positive), value (deviations over tracks).
    """
    wanted = values.filter(regex="^modulation_.*_mean$").to_numpy()
    strength = wanted.reshape(len(values), len(modulation.FILTERS), -1).mean(axis=2)
    standard = (strength - strength.mean(axis=0)) / (strength.std(axis=0) + 1e-12)
    octave = catalogue.cycles_per_octave(1.0, sr, 4000.0) if sr else 1.0
    filters = [
        (rate, -scale * octave if rate else scale * octave) for rate, scale in modulation.FILTERS
    ]
    filters = pd.MultiIndex.from_tuples(filters, names=["rate", "scale"])
    means = pd.DataFrame(standard, columns=filters).groupby(np.asarray(genre)).mean()
    return means.melt(ignore_index=False).rename_axis("genre").reset_index()


def correlation(values: pd.DataFrame) -> pd.DataFrame:
    """Absolute rank correlation (Spearman 1904) of statistics, alike ones side by side.

    Parameters
    ----------
    values : pd.DataFrame, shape (tracks, statistics)
        From `track_means`.

    Returns
    -------
    pd.DataFrame, shape (statistics, statistics)
        In the order of the leaves of a tree by average linkage, distance 1 - absolute correlation.
    """
    table = values.corr("spearman").abs()
    if len(table) < 3:
        return table
    distance = squareform((1 - table.to_numpy()).clip(min=0), checks=False)
    order = leaves_list(linkage(distance, "average", optimal_ordering=True))
    return table.iloc[order, order]


def maps(values: pd.DataFrame, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Place the tracks on two flat maps of their standardised statistics.

    Parameters
    ----------
    values : pd.DataFrame, shape (tracks, statistics)
        From `track_means`.
    seed : int
        Of t-SNE.

    Returns
    -------
    places : dict of str to np.ndarray, shape (tracks, 2)
        "PCA": the two directions of the largest variance (Pearson 1901). "t-SNE" (van der Maaten,
        Hinton 2008): only who is whose neighbour means anything.
    explained : np.ndarray, shape (2,)
        Share of the variance along the directions of PCA.
    """
    x = StandardScaler().fit_transform(values)
    pca = PCA(min(50, *x.shape), random_state=seed)
    reduced = pca.fit_transform(x)
    perplexity = min(PERPLEXITY, max(2.0, len(x) / 5))
    tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
    with threadpool_limits(1):
        places = {"PCA": reduced[:, :2], "t-SNE": tsne.fit_transform(reduced)}
    return places, pca.explained_variance_ratio_[:2]


def cluster_agreement(values: pd.DataFrame, genre, artist, seed: int = 0) -> pd.DataFrame:
    """Test whether clusters of tracks follow the genre, or the artist beyond the genre.

    Parameters
    ----------
    values : pd.DataFrame, shape (tracks, statistics)
        From `track_means`.
    genre, artist : sequence of str, shape (tracks,)
        Genre and artist of each track.
    seed : int
        Of clusters and permutations.

    Returns
    -------
    pd.DataFrame
        Columns method ("k-means", "Ward"), compared with ("genre"; "artist" unless each has one
        track), clusters (as many as genres or artists), index (adjusted Rand), low, high; for
        artists also by_genre, the mean index when the tracks of each genre are given to its artists
        at random, and p_value of exceeding that.
    """
    truths = {"genre": genre} | ({"artist": artist} if len(set(artist)) < len(artist) else {})
    rows = []
    for method in ("k-means", "Ward"):
        for what, truth in truths.items():
            k = len(set(truth))
            found = _clusters(values, k, method, seed)
            index, low, high = _agreement(found, truth, artist)
            row: dict = {"method": method, "compared with": what, "clusters": k, "index": index}
            row |= {"low": low, "high": high, "by_genre": np.nan, "p_value": np.nan}
            if what == "artist":
                permuted = _permuted_within_genre(found, genre, artist, seed)
                row["by_genre"] = permuted.mean()
                row["p_value"] = (1 + np.sum(permuted >= index)) / (1 + PERMUTATIONS)
            rows.append(row)
    return pd.DataFrame(rows)


def _clusters(values, k, method, seed=0):
    """Cluster of each track: k-means, the best of ten starts, or the tree of Ward (1963) cut."""
    kmeans = KMeans(k, n_init=10, random_state=seed)
    model = kmeans if method == "k-means" else AgglomerativeClustering(k, linkage="ward")
    with threadpool_limits(1):
        return model.fit_predict(StandardScaler().fit_transform(values))


def _agreement(found, truth, artist):
    """Adjusted Rand index (Hubert, Arabie 1985) and its 95 % limits: jackknife over artists.

    Copies in a bootstrap would agree with themselves, so each artist is left out once (Tukey 1958).
    """
    found, truth, artist = (np.asarray(values) for values in (found, truth, artist))
    index, keeps = adjusted_rand_score(truth, found), [artist != name for name in pd.unique(artist)]
    without = np.array([adjusted_rand_score(truth[keep], found[keep]) for keep in keeps])
    n = len(without)
    error = np.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2))
    estimate = intervals.Estimate(*np.array([index, error, n - 1, n]))
    return index, *intervals.mean_interval(estimate).clip(-1, 1)


def _permuted_within_genre(found, genre, artist, seed):
    """Index against the artists when the tracks of each genre are given to them at random."""
    rng = np.random.default_rng(seed)
    within = pd.Series(np.asarray(artist)).groupby(np.asarray(genre), sort=False)
    drawn = (within.transform(rng.permutation) for _ in range(PERMUTATIONS))
    return np.array([adjusted_rand_score(permuted, found) for permuted in drawn])


def chosen_artists(tracks: pd.DataFrame, genres, count: int) -> list[str]:
    """Choose artists of several tracks, in turn from each genre, those with the most first.

    Parameters
    ----------
    tracks : pd.DataFrame
        Genre and artist of each track.
    genres : sequence of str
        In whose turn artists are chosen.
    count : int
        Artists to choose, at most.

    Returns
    -------
    list of str
        Their names.

    Examples
    --------
    >>> tracks = pd.DataFrame({"genre": ["folk"] * 3, "artist": ["Ann", "Bob", "Bob"]})
    >>> chosen_artists(tracks, ["folk"], 8)
    ['Bob']
    """
    sizes = tracks.groupby(["genre", "artist"]).size().loc[lambda size: size > 1]
    sizes = sizes.sort_values(ascending=False, kind="stable").reset_index()
    place = sizes["genre"].map(list(genres).index).astype(int)
    turn = sizes.groupby("genre").cumcount() * len(genres) + place
    return list(dict.fromkeys(sizes["artist"][turn.sort_values().index]))[:count]
