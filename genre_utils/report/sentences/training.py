"""Sentences about networks that were trained, for notebooks 03 to 05."""

import pandas as pd

from genre_utils.plots import formatting
from genre_utils.report.sentences import numbers
from genre_utils.workspace import model_names

LEVEL = "95\N{NO-BREAK SPACE}%"


def networks(accuracies: pd.DataFrame, genres: int, group_by: str) -> str:
    """Tell what the first network of a notebook achieves and costs, and what the paper's does.

    Parameters
    ----------
    accuracies : pd.DataFrame
        From `accuracy_table`, of all networks of the notebook.
    genres : int
        How many there are.
    group_by : {"artist", "track"}
        What folds keep apart.
    """
    name = accuracies.index[0]
    met = "that it has never met" if group_by == "artist" else "that it may have met"
    row, paper = accuracies.loc[name], model_names.as_in_paper(name)
    said = (
        f"`{name}` classifies **{numbers.percent(row['accuracy'])}** of whole tracks by artists "
        f"{met} correctly ({numbers.limits(row)}; chance level {numbers.percent(1 / genres)})"
    )
    costs = f"Training takes {_cost(row, ' of CPU time over all folds, in a median of ')}"
    if paper not in accuracies.index:
        return f"{said}. {costs}."
    theirs = accuracies.loc[paper]
    return (
        f"{said}, and in the paper's setting (`{paper}`) **{numbers.percent(theirs['accuracy'])}** "
        f"({numbers.limits(theirs)}). {costs} (`{paper}`: {_cost(theirs, ', ')})."
    )


def _cost(row, between):
    noun = "epoch" if row["epochs"] == 1 else "epochs"
    return f"{formatting.duration(row['seconds'])}{between}{row['epochs']} {noun}"


def differences(changes: dict) -> str:
    """Tell how models differ on the same tracks; nothing of no pair.

    Parameters
    ----------
    changes : dict of (str, str) to dict
        From `measurements.paired`: accuracy of whole tracks, of the first less the second.
    """
    if not changes:
        return ""
    told: dict[str, list[str]] = {}
    for (one, other), change in changes.items():
        told.setdefault(one, []).append(f"less `{other}` {formatting.points(change)}")
    each = "; ".join(f"`{one}` {', '.join(others)}" for one, others in told.items())
    return f"Accuracy on the same tracks: {each} ({LEVEL} intervals over artists)."


def ahead(accuracies: pd.DataFrame) -> str:
    """Tell which untuned network of a notebook is ahead.

    Parameters
    ----------
    accuracies : pd.DataFrame
        From `accuracy_table`.
    """
    if len(accuracies) == 1:
        return "How it compares with models of other kinds is told in notebook 06."
    best = accuracies["accuracy"].idxmax()
    return (
        f"Of the {len(accuracies)} untuned networks of this notebook, `{best}` is ahead with "
        f"{numbers.percent(accuracies.loc[best, 'accuracy'])}; whether they differ significantly "
        "is told in notebook 06."
    )


def overfitting(name: str, gap: pd.Series) -> str:
    """Tell how much better a network knows what it learned from.

    Parameters
    ----------
    name : str
        The network.
    gap : pd.Series
        From `overfitting_gap`.
    """
    learned = numbers.percent(gap["accuracy"])
    if pd.isna(gap["gap"]):
        return (
            f"After its last epoch, `{name}` classifies {learned} of the training excerpts "
            "correctly, changed as they are in training."
        )
    wide = formatting.signed(100 * gap["gap"], 0).lstrip("+")
    return (
        f"At the epoch that is kept, `{name}` classifies {learned} of the training excerpts "
        f"correctly, and {numbers.percent(gap['val_accuracy'])} of the inner validation excerpts, "
        f"by artists new to it: an **overfitting gap** of {wide} points."
    )


def search(found, change: dict) -> str:
    """Tell what searched settings are worth.

    Parameters
    ----------
    found : SearchResult
        From `search_result`.
    change : dict
        Paired difference in the accuracy of whole tracks, tuned less untuned, with its interval.
    """
    return (
        f"{len(found.trials)} trials in all. On whole tracks, searched settings change the "
        f"accuracy by {formatting.points(change)}; paired, {LEVEL} interval over artists."
    )


def pretraining(change: dict | None, synthetic: bool) -> str:
    """Tell what pretraining is worth, and what that is evidence of.

    Parameters
    ----------
    change : dict or None
        Paired difference in the accuracy of whole tracks, `pretrained` less `logistic`, with its
        interval; None if one of them was not trained.
    synthetic : bool
        Whether the music is composed.
    """
    said = ""
    if change:
        said = "On whole tracks, the accuracy of `pretrained` less that of `logistic` is "
        said += f"{formatting.points(change)}; paired, {LEVEL} interval over artists. "
    if synthetic:
        return (
            f"{said}What a network that knows real music makes of composed music is **evidence "
            "about nothing**: it shows that the models work."
        )
    return (
        f"{said}musicnn learned from some 200,000 songs of the Million Song Dataset, among which "
        "there **may be songs of artists that are tested here**, with tags that listeners gave "
        "them, such as *jazz*, though without the genres of this study."
    )


def untrained(why_not: str) -> str:
    """Tell how networks are trained anew, or why they cannot be here.

    Parameters
    ----------
    why_not : str
        From `measurements.obstacle`.
    """
    if why_not:
        return f"{why_not[0].upper()}{why_not[1:]}."
    return "`--set MEASURE=true` trains a network anew for each change, which takes long."
