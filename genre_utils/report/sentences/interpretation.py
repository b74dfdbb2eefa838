"""What models listen to and how genres relate, in sentences with computed numbers."""

import pandas as pd

from genre_utils.interpretation import permutation
from genre_utils.interpretation.genre_relations import Tree
from genre_utils.plots import formatting
from genre_utils.report.sentences import numbers

LOPSIDED = 2.0  # times as often one way as the other, to be worth saying
NAMED = 4  # genres whose frequencies are told


def listening(strongest: pd.DataFrame) -> str:
    """Tell by which frequencies networks know the genres, the most telling first.

    Parameters
    ----------
    strongest : pd.DataFrame
        From `interpretation.strongest`, of networks that pass the checks.
    """
    found = strongest.dropna(subset="share").sort_values("share", ascending=False)
    if found.empty:
        return "No part of the frequencies reliably speaks for a genre by two methods."
    told = [
        f"for {row.genre} {row.name} (`{row.network}`, {numbers.percent(row.share)}"
        f"{', though it is quieter there than the others' if row.level < 0 else ''})"
        for row in found.drop_duplicates("genre").head(NAMED).itertuples()
    ]
    return f"What speaks most in the maps, with its share of the evidence: {', '.join(told)}."


def moments(found: pd.DataFrame, seconds: float) -> str:
    """Tell whether networks rest on some moment of an excerpt.

    Parameters
    ----------
    found : pd.DataFrame
        From `interpretation.shares`, along moments.
    seconds : float
        Length of an excerpt.
    """
    length = seconds / found["part"].nunique()
    most = found.loc[found.groupby("network", sort=False)["share"].idxmax()]
    told = [
        f"`{row.network}` rests most on seconds {row.part * length:.2g} to "
        f"{(row.part + 1) * length:.2g} ({numbers.percent(row.share)})"
        for row in most[most["low"] > length / seconds].itertuples()
    ]
    return f"{', '.join(told) or 'No moment of an excerpt counts significantly more than others'}."


def feature_groups(worth: pd.DataFrame) -> str:
    """Tell which feature group each model loses most without.

    Parameters
    ----------
    worth : pd.DataFrame
        From `interpretation.importance`.
    """
    groups = worth[~worth["family"].isin(permutation.WHOLE)]
    most = groups.loc[groups.groupby("model", sort=False)["drop"].idxmax()]
    told = [
        f"With {family.replace('_', ' ')} exchanged between tracks, most accuracy is lost: "
        + ", ".join(f"`{row['model']}` {_lost(row)}" for _, row in rows.iterrows())
        for family, rows in most[most["low"] > 0].groupby("family", sort=False)
    ]
    told += [
        f"`{model}` loses nothing significant with any one feature group exchanged"
        for model in most.loc[most["low"] <= 0, "model"]
    ]
    return f"{'. '.join(told)}."


def _lost(row):
    """A loss of accuracy with its interval, in points."""
    points = formatting.points({"difference": row["drop"], "low": row["low"], "high": row["high"]})
    if row["low"] > 0:
        return points.replace("(0 to", "(more than 0 to")
    return f"nothing significant, {points}"


def parts(worth: pd.DataFrame, pairs=()) -> str:
    """Tell what networks that read spectrogram and features lose without either.

    Parameters
    ----------
    worth : pd.DataFrame
        From `interpretation.importance`.
    pairs : sequence of dict
        Comparisons of models, as in results.json: `mlp` reads the features alone.

    Returns
    -------
    str
        Empty where no model reads both.
    """
    table, told = worth.set_index(["model", "family"]), []
    for model in worth.loc[worth["family"] == permutation.SPECTROGRAM, "model"]:
        seen, read = (table.loc[(model, part)] for part in permutation.WHOLE)
        rests = {
            (True, True): "it uses both",
            (False, True): "what it knows, it has from the handcrafted features",
            (True, False): "what it knows, it has from the spectrogram",
            (False, False): "either stands in for the other",
        }[seen["low"] > 0, read["low"] > 0]
        told.append(
            f"With the spectrograms of tracks exchanged, `{model}` loses {_lost(seen)} of "
            f"accuracy; with their features, {_lost(read)}: {rests}{_against(model, pairs)}."
        )
    return " ".join(told)


def _against(model, pairs):
    """How a network that reads both compares with one that reads the features alone."""
    for pair in pairs:
        if {pair["a"], pair["b"]} == {model, "mlp"}:
            significant = "" if pair["separable"] else ", which is not significant"
            return (
                f"; the accuracy of `{pair['a']}` less that of `{pair['b']}` (`mlp` reads the "
                f"features alone) is {formatting.points(pair)}{significant}"
            )
    return ""


def confusion(pairs: pd.DataFrame) -> str:
    """Tell which genres are taken for each other most, and which come next.

    Parameters
    ----------
    pairs : pd.DataFrame
        From `genre_relations.confusion`.
    """
    pairs = pairs.dropna(subset="confused")  # a genre may lack tested tracks
    if pairs.empty:
        return "Confusion needs two genres with tracks that were tested."
    top = pairs.iloc[0]
    text = (
        f"The average model takes {top['a']} and {top['b']} for each other most, on "
        f"{numbers.percent(top['confused'])} of their tracks (mean of the two genres; "
        f"{numbers.limits(top)})"
    )
    ways = [(top["a_as_b"], top["a"], top["b"]), (top["b_as_a"], top["b"], top["a"])]
    (less, *_), (more, label, predicted) = sorted(ways)
    if more > LOPSIDED * less:
        text += f", mostly {label} predicted as {predicted} "
        text += f"({numbers.percent(more)} against {numbers.percent(less)})"
    for after in pairs.to_dict("records")[1:2]:
        text += f"; then {after['a']} and {after['b']}, on {numbers.percent(after['confused'])} "
        overlap = "; the intervals overlap" if after["high"] > top["low"] else ""
        text += f"({numbers.limits(after)}{overlap})"
    return text + "."


def tree(found: Tree | None, genres: list[str]) -> str:
    """Tell which genres are nearest, how sure that is, and which have too few artists.

    Parameters
    ----------
    found : Tree or None
        From `genre_relations.genre_tree`.
    genres : list of str
        All genres.
    """
    if found is None:
        return "Distances need two genres with two artists each, which this corpus has not."
    nearest = " and ".join(found.genres[int(k)] for k in found.linkage[0, :2])
    held = f"{numbers.percent(found.nearest_support)} of {found.resamples} resamples of artists"
    text = f"By the evidence of these models, {nearest} are nearest (the first to join in {held})."
    alone = [genre for genre in genres if genre not in found.genres]
    return text + (f" Left out, with one artist each: {', '.join(alone)}." if alone else "")


def unanimous(share: dict, tracks: int, models: int) -> str:
    """Tell how many tracks every model that hears puts elsewhere, and what would be expected.

    Parameters
    ----------
    share : dict of str to float
        From `genre_relations.unanimous_errors`.
    tracks, models : int
        How many there are.
    """
    if models < 2:
        return "With one model, every error is unanimous: nothing can be learned from that."
    expected = f"{share['expected']:.1f}" if share["expected"] >= 0.1 else "fewer than 0.1"
    return (
        f"All {models} models that hear the music put {round(share['share'] * tracks)} of {tracks} "
        f"tracks ({numbers.percent(share['share'])}, {numbers.limits(share)}) into another genre "
        f"than their label; independent errors in each genre would make it {expected}."
    )


def borders(pairs: pd.DataFrame, undecided: dict, doubt: pd.DataFrame | None) -> str:
    """Tell where the least decided tracks lie, and whether a model is unsure there.

    Parameters
    ----------
    pairs, undecided : pd.DataFrame, dict of str to float
        From `genre_relations.borders`.
    doubt : pd.DataFrame or None
        Correlations, from `genre_relations.doubt`; None for one model.
    """
    top = pairs.iloc[0]
    text = (
        f"No genre has more than half of the models on {numbers.percent(undecided['share'])} of "
        f"the tracks ({numbers.limits(undecided)}). Of the quarter of tracks nearest to a border, "
        f"{numbers.percent(top['share'])} lie between {top['a']} and {top['b']}."
    )
    if doubt is None or doubt.dropna().empty:
        return text
    words = {"border": "the distance to the border", "split": "the disagreement of the others"}
    told = [
        f"with {words[what]} by {formatting.signed(row['correlation'])} "
        f"({formatting.signed(row['low'])} to {formatting.signed(row['high'])})"
        for what, row in doubt.dropna().iterrows()
    ]
    return f"{text} The entropy of a model correlates {' and '.join(told)}."
