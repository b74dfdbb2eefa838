"""What notebooks 01 and 02 find out about a corpus and its features."""

import pandas as pd

from genre_utils.report.sentences import numbers

#: What each corpus is, in a few words.
CORPORA = {
    "synthetic": "composed music",
    "folder": "a folder of recordings",
    "gtzan": "GTZAN",
    "gtzan-mini": "the mini version of GTZAN",
    "fma": "the Free Music Archive",
    "spectrograms": "log-mel spectrograms of recordings",
}


def called(described: dict) -> str:
    """What the music of a study is called: by its title, or by the kind of its corpus."""
    kind = described["name"]  # that of another program's study may be none of these
    return described.get("title") or CORPORA.get(kind, kind)


def protocol(counts: dict, corpus: dict) -> str:
    """Tell in one sentence which music was studied, and how.

    Parameters
    ----------
    counts : dict of str to int
        Numbers of tracks, known artists, unknown (tracks whose artist is not known), and groups.
    corpus : dict
        As in results.json.
    """
    genres, title = corpus["genres"], called(corpus)
    artists = numbers.plural(counts["artists"], "known artist")
    if counts["unknown"]:
        unknown = numbers.plural(counts["unknown"], "track")
        artists += f" and {unknown} of unknown artist (one group each)"
    if corpus["protocol"] == "fixed":
        split = "the corpus's own split"
    elif corpus["group_by"] == "artist":
        split = f"{numbers.spelled(corpus['folds'])} artist-disjoint folds"
    else:
        split = f"{numbers.spelled(corpus['folds'])} folds of whole tracks, whose artists may be "
        split += "in both training and test"
    ready = corpus["name"] in ("spectrograms", "store")
    heard = "; ready spectrograms, not recordings" if ready else ""
    return (
        f"{title[0].upper()}{title[1:]}: {numbers.plural(counts['tracks'], 'track')} of "
        f"{numbers.spelled(len(genres))} genres ({', '.join(genres)}) by {artists}; {split}{heard}."
    )


def corpus(described: dict, counts: pd.DataFrame, groups: int, of_genres: int) -> str:
    """Summarise a corpus: its protocol, what of it is studied, and which artists are tied.

    Parameters
    ----------
    described : dict
        From `data.describe`.
    counts : pd.DataFrame
        By genre: tracks, known artists, tracks of unknown artist.
    groups, of_genres : int
        How many groups no split parts, and genres the corpus has, studied or not.
    """
    in_genres, unknown = map(int, counts[["known artists", "tracks of unknown artist"]].sum())
    known, lost = described["artists"] - unknown, described["set_aside"]
    counted = {"tracks": described["tracks"], "artists": known, "unknown": unknown}
    said = [protocol(counted, described)]
    if len(counts) < of_genres:
        said.append(f"The corpus has {numbers.spelled(of_genres)} genres in all.")
    said.append(f"{numbers.plural(lost, 'track')} {'was' if lost == 1 else 'were'} excluded.")
    if in_genres > known:
        said.append(f"Counted in each of their genres, the known artists are {in_genres}.")
    if described["group_by"] == "artist" and groups < described["artists"]:
        said.append(f"Artists who recorded together are one group, which makes {groups} groups.")
    return " ".join(said)


def baseline(ranked: pd.DataFrame, accuracies: pd.DataFrame, genres: int, group_by: str) -> str:
    """Say which statistic separates the genres most, and how well the best classical model does.

    Parameters
    ----------
    ranked : pd.DataFrame
        Of ``rankings["F"]`` from `features.genre_scores`, its index in words.
    accuracies : pd.DataFrame
        By model, from `measurements.accuracies`: accuracy, low, high.
    genres : int
        How many there are.
    group_by : {"artist", "track"}
        Of the folds.
    """
    first = ranked.iloc[0]
    said = (
        f"Of {len(ranked)} statistics of features, *{first.name}* separates the genres most (F "
        f"ratio {first['score']:.0f}; with other artists its rank is {first['rank_low']:.0f} to "
        f"{first['rank_high']:.0f})."
    )
    if accuracies.empty:
        return said
    best = accuracies.loc[accuracies["accuracy"].idxmax()]
    low, high, chance = map(numbers.percent, (best["low"], best["high"], 1 / genres))
    met = "has never met" if group_by == "artist" else "may have met"
    return (
        f"{said} The best classical model, `{best.name}`, classifies "
        f"**{numbers.percent(best['accuracy'])}** of the tracks of artists that it {met} correctly "
        f"(95\N{NO-BREAK SPACE}% interval {low} to {high}; chance level: {chance})."
    )


def artist_clusters(table: pd.DataFrame) -> str:
    """Say whether clusters follow artists beyond their genre.

    Parameters
    ----------
    table : pd.DataFrame
        From `features.cluster_agreement`.
    """
    by_artist = table[table["compared with"] == "artist"]
    if by_artist.empty:
        return "No artist of this corpus has two tracks, so that clusters cannot follow artists."
    found = by_artist.loc[by_artist["p_value"] < 0.05, "method"]
    which = {0: "No clustering method finds", len(by_artist): "Both clustering methods find"}
    which = which.get(len(found), f"Of the clustering methods, only {', '.join(found)} finds")
    return f"{which} artists better than their genre explains (p < 0.05), without any label."


def price_of_leakage(price: dict) -> str:
    """Say what knowing the same recording, or the same artist, is worth to a classifier.

    Parameters
    ----------
    price : dict
        From `evaluation.leakage`, with all three splits.
    """
    pairs = {(pair["a"], pair["b"]): pair for pair in price["pairwise"]}
    whole, recording, artist = (
        f"{100 * pairs[pair]['difference']:z.0f}".replace("-", "\N{MINUS SIGN}")
        + ("" if pairs[pair]["separable"] else " (not significantly different from 0)")
        for pair in (("segment", "artist"), ("segment", "track"), ("track", "artist"))
    )
    return (
        f"Split at random, as is usual, an SVM would seem to classify "
        f"{numbers.percent(price['segment'])} of excerpts correctly in place of "
        f"{numbers.percent(price['artist'])}: leakage adds {whole} points, of which {recording} by "
        f"other parts of the same recording and {artist} by other recordings of the same artist."
    )
