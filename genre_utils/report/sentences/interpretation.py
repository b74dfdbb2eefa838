"""How genres relate, in sentences with computed numbers."""

import pandas as pd

from genre_utils.interpretation.genre_relations import Tree

LOPSIDED = 2.0  # times as often one way as the other, to be worth saying


def confusion(pairs: pd.DataFrame) -> str:
    """Tell which genres are taken for each other most.

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
        f"{top['confused']:.0%} of their tracks ({_limits(top)})"
    )
    ways = [(top["a_as_b"], top["a"], top["b"]), (top["b_as_a"], top["b"], top["a"])]
    (less, *_), (more, label, predicted) = sorted(ways)
    if more > LOPSIDED * less:
        text += f", mostly {label} predicted as {predicted} ({more:.0%} against {less:.0%})"
    return text + "."


def _limits(found):
    return f"95 % interval {found['low']:.0%} to {found['high']:.0%}"


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
    held = f"in {found.nearest_support:.0%} of {found.resamples} resamples of artists"
    text = f"By the evidence of all models, {nearest} are nearest ({held}), at a distance of "
    text += f"{found.linkage[0, 2]:.2f}."
    alone = [genre for genre in genres if genre not in found.genres]
    return text + (f" Left out, with one artist each: {', '.join(alone)}." if alone else "")


def unanimous(share: dict, tracks: int, models: int) -> str:
    """Tell how many tracks every model puts into another genre, and what would be expected.

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
        f"All {models} models put {round(share['share'] * tracks)} of {tracks} tracks "
        f"({share['share']:.0%}, {_limits(share)}) into another genre than their label; if they "
        f"erred independently in each genre, {expected} would be expected."
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
        f"{undecided['share']:.0%} of the tracks ({_limits(undecided)}) have no genre that more "
        f"than half of the models choose. Of the quarter of tracks nearest to a border, "
        f"{top['share']:.0%} lie between {top['a']} and {top['b']}. "
    )
    if doubt is None or doubt.dropna().empty:
        return text + "There are no other models, or none that differ, to compare doubt with."
    words = {"border": "the distance to the border", "split": "the disagreement of the others"}
    told = [
        f"with {words[what]} {row['correlation']:+.2f} [{row['low']:+.2f} to {row['high']:+.2f}]"
        for what, row in doubt.dropna().iterrows()
    ]
    return f"{text}The entropy of a model correlates (ranks, 95 % intervals) {' and '.join(told)}."
