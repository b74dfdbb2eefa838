"""What the features of a corpus say about its genres, and how sure one can be of it.

Everything here describes; nothing selects, and no model sees it. Tracks of an artist are alike, so
what is resampled is always artists: values are statistics of tracks, groups their artists.
"""

import joblib
import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
from scipy.spatial.distance import squareform
from scipy.stats import t
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.feature_selection import mutual_info_classif
from sklearn.manifold import TSNE
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from genre_utils.evaluation import comparisons, intervals, scoring
from genre_utils.features import catalogue, musical

RELIABLE = 0.95  # chance that an order is right, for all pairs of statistics at once
PERPLEXITY = 30  # of t-SNE, its authors' upper choice for large sets; fewer tracks get less


def track_means(summary: pd.DataFrame, track_ids) -> pd.DataFrame:
    """Statistics of each track: the mean over its original excerpts, which are not independent.

    Parameters
    ----------
    summary : pd.DataFrame
        Content of ``summary.parquet``.
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


def f_ratios(values: pd.DataFrame, genre, weights=None) -> np.ndarray:
    """Ratio of the variance between genres to that within them: one-way analysis of variance.

    Parameters
    ----------
    values : pd.DataFrame, shape (tracks, statistics)
    genre : sequence of str, shape (tracks,)
    weights : np.ndarray, shape (resamples, tracks), optional
        How often each track is drawn; by default once.

    Returns
    -------
    np.ndarray, shape (resamples, statistics)
        F (Fisher 1925), as `sklearn.feature_selection.f_classif` computes it. A genre that a
        resample lacks does not count in it; NaN where fewer than two genres are left.
    """
    x = StandardScaler().fit_transform(values)  # F is the same, and sums of squares are exact
    weights = np.ones((1, len(x))) if weights is None else np.asarray(weights, dtype=float)
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
    return np.where(genres > 1, ratio, np.nan)


def drawn_f_ratios(values, genre, groups, *, n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
    """`f_ratios` in bootstrap resamples of whole artists, shape (n_boot, statistics).

    Drawing artists moves the genres' means a little further apart, so that resampled ratios are
    somewhat too large, those near 1 above all; the order of statistics is hardly touched.
    """
    codes, names = pd.factorize(np.asarray(groups))
    weights = intervals.bootstrap_weights(len(names), n_boot, seed)[:, codes]
    return pd.DataFrame(f_ratios(values, genre, weights), columns=values.columns)


def mutual_information(values: pd.DataFrame, genre, seed: int = 0) -> pd.Series:
    """Mutual information of each statistic and the genre, bits.

    How much a statistic alone tells about the genre, in any shape and not only by its mean; a fair
    choice among four genres holds 2 bits. Estimated from near neighbours (Ross 2014).
    """
    nats = mutual_info_classif(values.to_numpy(), np.asarray(genre), random_state=seed)
    return pd.Series(nats / np.log(2), index=values.columns)


def drawn_mutual_information(
    values, genre, groups, *, n_draws: int = 60, seed: int = 0, n_jobs: int = -1
) -> pd.DataFrame:
    """`mutual_information` in halves of the artists, shape (n_draws, statistics).

    The estimator counts near neighbours, and in a bootstrap each copy of a track would be its own.
    Half of the artists of each genre, drawn without replacement, vary as much as a bootstrap does
    (Politis, Romano, Wolf 1999, Subsampling), and hold no copies. Their mean is that of half as
    many tracks, though: `centred` moves it to the score of all.
    """
    halves = [half_of_artists(genre, groups, seed=(seed, draw)) for draw in range(n_draws)]
    genre = np.asarray(genre)
    tasks = [
        joblib.delayed(mutual_information)(values[half], genre[half], draw)
        for draw, half in enumerate(halves)
    ]
    found = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(tasks)
    return pd.DataFrame(list(tqdm(found, total=n_draws, desc="halves of artists", leave=False)))


def half_of_artists(genre, groups, *, seed) -> np.ndarray:
    """Tracks by a random half (rounded up) of the artists of each genre: (tracks,) bool."""
    rng, groups = np.random.default_rng(seed), np.asarray(groups)
    home = pd.Series(np.asarray(genre)).groupby(groups).first()
    kept = [
        name
        for _, names in home.groupby(home)
        for name in rng.permutation(names.index)[: -(-len(names) // 2)]
    ]
    return np.isin(groups, kept)


def centred(scores: pd.Series, drawn: pd.DataFrame) -> pd.DataFrame:
    """Draws, each statistic moved so that its mean is its score: (draws, statistics)."""
    return drawn - drawn.mean() + scores[drawn.columns]


def ranking(scores: pd.Series, drawn: pd.DataFrame) -> pd.DataFrame:
    """Scores with the 95 % intervals of score and rank, the highest score first.

    Parameters
    ----------
    scores : pd.Series, shape (statistics,)
        What the whole corpus gives.
    drawn : pd.DataFrame, shape (resamples, statistics)
        What resamples give, for the statistics to be ranked against each other.

    Returns
    -------
    pd.DataFrame
        Indexed by statistic: score, low, high, rank, rank_low, rank_high (1 is the highest).
    """
    scores = scores[drawn.columns].sort_values(ascending=False, kind="stable")
    drawn = drawn[scores.index].dropna()
    limits = intervals.interval(drawn.to_numpy())
    ranks = np.percentile(drawn.rank(axis=1, ascending=False), [2.5, 97.5], axis=0)
    table = pd.DataFrame({"score": scores, "low": limits[0], "high": limits[1]})
    return table.assign(rank=range(1, len(table) + 1), rank_low=ranks[0], rank_high=ranks[1])


def reliably_above(scores: pd.Series, drawn: pd.DataFrame, names) -> pd.DataFrame:
    """Whether the row's statistic is above the column's, all pairs of `names` tested at once.

    Differences of the logarithms of positive scores are compared with their spread over the
    resamples. What counts as far is the largest such difference of any pair, which 95 % of the
    resamples stay below when all are centred on nothing, so that one wrong order among all pairs
    has a chance of 5 % at most (Romano, Wolf 2005, the max-t method).

    Parameters
    ----------
    scores : pd.Series, shape (statistics,)
    drawn : pd.DataFrame, shape (resamples, statistics)
    names : sequence of str

    Returns
    -------
    pd.DataFrame of bool, shape (names, names)
    """
    names = list(names)
    values, score = np.log(drawn[names].dropna().to_numpy()), np.log(scores[names].to_numpy())
    change = values[:, :, np.newaxis] - values[:, np.newaxis, :]
    spread = change.std(axis=0)
    spread[spread == 0] = np.inf  # a statistic and itself
    furthest = abs((change - change.mean(axis=0)) / spread).max(axis=(1, 2))
    apart = (score[:, np.newaxis] - score) / spread
    return pd.DataFrame(apart > np.quantile(furthest, RELIABLE), index=names, columns=names)


def labels(columns) -> dict[str, str]:
    """Names of statistics for readers: ``mfcc_02_std`` -> ``mfcc 2, spread``.

    The number is left out where a family has one dimension: ``tempo_01_mean`` -> ``tempo, mean``.
    """
    parts = {column: column.rsplit("_", 2) for column in columns}
    several = {family for family, number, _ in parts.values() if number != "01"}
    words = {"mean": "mean", "std": "spread"}
    return {
        column: family.replace("_", " ")
        + (f" {int(number)}" if family in several else "")
        + f", {words[statistic]}"
        for column, (family, number, statistic) in parts.items()
    }


def strongest(scores: pd.Series) -> pd.Series:
    """Column with the highest score of each family, families by that score."""
    best = scores.groupby(catalogue.family_of).idxmax()
    return best[scores[best].sort_values(ascending=False).index.map(catalogue.family_of)]


def correlation(values: pd.DataFrame) -> pd.DataFrame:
    """Absolute rank correlation (Spearman 1904) of statistics, alike ones side by side.

    The order is that of the leaves of a tree by average linkage, distance 1 - |correlation|.
    """
    table = values.corr("spearman").abs()
    if len(table) < 3:
        return table
    distance = squareform((1 - table.to_numpy()).clip(min=0), checks=False)
    order = leaves_list(linkage(distance, "average", optimal_ordering=True))
    return table.iloc[order, order]


def most_alike(table: pd.DataFrame) -> tuple[str, str]:
    """Two different statistics with the highest value in `correlation`'s table."""
    values = np.where(np.tri(len(table), dtype=bool), -1.0, table)
    row, column = np.unravel_index(values.argmax(), values.shape)
    return table.index[row], table.columns[column]


def maps(values: pd.DataFrame, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Places of the tracks on two flat maps of their standardised statistics.

    Returns
    -------
    places : dict of str to np.ndarray, shape (tracks, 2)
        "PCA": the two directions of the largest variance (Pearson 1901). "t-SNE": neighbours stay
        neighbours (van der Maaten, Hinton 2008); distances between its clusters, their sizes and
        their densities mean nothing.
    explained : np.ndarray, shape (2,)
        Share of the variance along the directions of PCA.
    """
    x = StandardScaler().fit_transform(values)
    pca = PCA(min(50, *x.shape), random_state=seed)
    reduced = pca.fit_transform(x)
    perplexity = min(PERPLEXITY, max(2.0, len(x) / 5))
    tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
    with threadpool_limits(1):  # its threads wait for each other at every step of a small set
        places = {"PCA": reduced[:, :2], "t-SNE": tsne.fit_transform(reduced)}
    return places, pca.explained_variance_ratio_[:2]


def clusters(values: pd.DataFrame, k: int, method: str, seed: int = 0) -> np.ndarray:
    """Cluster of each track by its standardised statistics: integers, shape (tracks,).

    Parameters
    ----------
    values : pd.DataFrame, shape (tracks, statistics)
    k : int
        Number of clusters.
    method : {"k-means", "Ward"}
        Lloyd's algorithm, the best of ten starts, or the tree of Ward (1963) cut at `k`.
    """
    x = StandardScaler().fit_transform(values)
    if method == "k-means":
        with threadpool_limits(1):
            return KMeans(k, n_init=10, random_state=seed).fit_predict(x)
    return fcluster(linkage(x, "ward"), k, "maxclust")


def agreement(found, truth, groups) -> tuple[float, float, float]:
    """Adjusted Rand index of a clustering, with its 95 % interval by the jackknife over artists.

    The index (Hubert, Arabie 1985) is 1 for the same partition and 0 on average by chance. Copies
    in a bootstrap would agree with themselves, so each artist is left out once instead (Tukey
    1958), the clustering being given; the limits are those of Student's t.

    Returns
    -------
    index, low, high : float
    """
    found, truth, groups = (np.asarray(values) for values in (found, truth, groups))
    index, names = adjusted_rand_score(truth, found), pd.unique(groups)
    without = [adjusted_rand_score(truth[keep], found[keep]) for keep in _all_but_one(groups)]
    n = len(names)
    error = np.sqrt((n - 1) / n * np.sum((np.array(without) - np.mean(without)) ** 2))
    reach = t.ppf(0.975, n - 1) * error
    return index, max(index - reach, -1.0), min(index + reach, 1.0)


def _all_but_one(groups):
    return (groups != name for name in pd.unique(groups))


def cluster_agreement(
    values: pd.DataFrame, genre, artist, *, n_permutations: int = 200, seed: int = 0
) -> pd.DataFrame:
    """Whether clusters of tracks follow the genre, or the artist beyond the genre.

    Returns
    -------
    pd.DataFrame
        method ("k-means", "Ward"), compared with ("genre", "artist": there are as many clusters
        as genres, as artists), clusters, index, low, high (`agreement`), by_genre: for artists,
        the mean index when tracks of a genre are dealt to its artists at random, which is all
        that knowing the genre would earn; p_value of exceeding it. Where no artist has two
        tracks there is nothing to follow, and only the genre is compared.
    """
    truths = {"genre": genre} | ({"artist": artist} if len(set(artist)) < len(artist) else {})
    rows = []
    for method in ("k-means", "Ward"):
        for what, truth in truths.items():
            k = len(set(truth))
            found = clusters(values, k, method, seed)
            index, low, high = agreement(found, truth, artist)
            row = {"method": method, "compared with": what, "clusters": k}
            row |= {"index": index, "low": low, "high": high, "by_genre": np.nan, "p_value": np.nan}
            if what == "artist":
                dealt = _dealt_within_genre(found, genre, artist, n_permutations, seed)
                row["by_genre"] = dealt.mean()
                row["p_value"] = (1 + np.sum(dealt >= index)) / (1 + n_permutations)
            rows.append(row)
    return pd.DataFrame(rows)


def _dealt_within_genre(found, genre, artist, n_permutations, seed):
    """Index against the artists when the tracks of each genre are dealt to them at random."""
    rng, genre, artist = np.random.default_rng(seed), np.asarray(genre), np.asarray(artist)
    homes = [np.flatnonzero(genre == one) for one in pd.unique(genre)]
    values = []
    for _ in range(n_permutations):
        dealt = artist.copy()
        for rows in homes:
            dealt[rows] = rng.permutation(artist[rows])
        values.append(adjusted_rand_score(dealt, found))
    return np.array(values)


def chosen_artists(tracks: pd.DataFrame, genres, count: int) -> list[str]:
    """Artists with the most tracks, in turn from each genre; those with one track are left out."""
    sizes = tracks.groupby(["genre", "artist"]).size().loc[lambda size: size > 1]
    sizes = sizes.sort_values(ascending=False, kind="stable")
    by_genre = [
        list(sizes.index[sizes.index.get_level_values(0) == g].droplevel(0)) for g in genres
    ]
    deepest = max(map(len, by_genre), default=0)
    turns = [names[k] for k in range(deepest) for names in by_genre if k < len(names)]
    return list(dict.fromkeys(turns))[:count]


def centroid_tree(values: pd.DataFrame, label_of) -> tuple[np.ndarray, list[str]]:
    """Ward's tree of the mean standardised statistics of each label: linkage matrix and labels."""
    x = pd.DataFrame(StandardScaler().fit_transform(values))
    centroids = x.groupby(np.asarray(label_of)).mean()
    return linkage(centroids.to_numpy(), "ward"), list(centroids.index)


def ablation_table(answers: pd.DataFrame, groups: pd.Series) -> pd.DataFrame:
    """Accuracy with each set of features, and its difference from having all of them.

    Parameters
    ----------
    answers : pd.DataFrame
        From `classical.ablate_families`: model, features, track_id, y_true, p_GENRE.
    groups : pd.Series
        Group (artist component) of each track_id.

    Returns
    -------
    pd.DataFrame
        model, features, accuracy, low, high (95 % over groups), difference from
        "all", difference_low, difference_high, p_value (sign-flip test over groups), p_holm
        (Holm over every comparison in the table), separable; the last six are empty for "all".
    """
    said = scoring.most_probable(answers)
    said = said.assign(correct=said["y_true"] == said["y_pred"])
    wide = said.pivot_table("correct", "track_id", ["model", "features"], aggfunc="first")
    of = wide.index.map(groups)
    rows = []
    for model, name in answers[["model", "features"]].drop_duplicates().itertuples(index=False):
        one, every = (model, name), (model, "all")
        low, high = intervals.accuracy_interval(wide[one], of)
        row = {"model": model, "features": name, "accuracy": wide[one].mean()}
        row |= {"low": low, "high": high}
        if name != "all":
            row["difference"] = wide[one].mean() - wide[every].mean()
            limits = intervals.difference_interval(wide[one], wide[every], of)
            row["difference_low"], row["difference_high"] = limits
            row["p_value"] = comparisons.sign_flip_test(wide[one], wide[every], of)
        rows.append(row)
    table = pd.DataFrame(rows)
    if "p_value" not in table:
        return table
    tested = table["p_value"].notna()
    table.loc[tested, "p_holm"] = comparisons.holm(table.loc[tested, "p_value"])
    return table.assign(separable=(table["p_holm"] < 0.05).where(tested))


def modulation_strength(by_track: pd.DataFrame, genre_of) -> pd.DataFrame:
    """Mean strength of modulations in each genre, over the regions of the mel axis.

    Parameters
    ----------
    by_track : pd.DataFrame
        From `track_means`.
    genre_of : np.ndarray, shape (tracks,)

    Returns
    -------
    pd.DataFrame
        genre, rate, scale, value: in standard deviations over tracks, see `features.modulations`.
    """
    wanted = [c for c in by_track if catalogue.family_of(c) == "modulation" and c.endswith("mean")]
    strength = by_track[wanted].to_numpy().reshape(len(by_track), len(musical.MODULATIONS), -1)
    strength = strength.mean(axis=2)
    standard = (strength - strength.mean(axis=0)) / (strength.std(axis=0) + 1e-12)
    means = pd.DataFrame(standard).groupby(np.asarray(genre_of)).mean()
    rows = [
        (genre, *place, value)
        for genre, row in means.iterrows()
        for place, value in zip(musical.MODULATIONS, row, strict=True)
    ]
    return pd.DataFrame(rows, columns=["genre", "rate", "scale", "value"])
