"""Sentences about networks that were trained, for notebooks 03 to 05."""

import pandas as pd

from genre_utils.plots import formatting
from genre_utils.report.sentences import numbers
from genre_utils.workspace import model_names

#: What a comparison with pretrained models is evidence of, by whether the music is composed.
PRETRAINING = {
    True: "What a network that knows real music makes of composed music is **evidence about "
    "nothing**: it shows that the models work.",
    False: "musicnn learned from some 200,000 songs of the Million Song Dataset, among which there "
    "**may be songs of artists that are tested here**, with tags that listeners gave them, such "
    "as *jazz*, though without the genres of this study.",
}


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
    shares = accuracies["whole tracks"].map(numbers.percent)
    said = (
        f"`{name}` classifies **{shares[name]}** of whole tracks correctly, by artists {met} "
        f"({numbers.limits(row)}; chance level {numbers.percent(1 / genres)})"
    )
    costs = f"Training takes {_cost(row, ' of CPU time over all folds, in a median of ')}"
    if paper not in accuracies.index:
        return f"{said}. {costs}."
    theirs = accuracies.loc[paper]
    return (
        f"{said}, and in the paper's setting (`{paper}`) **{shares[paper]}** "
        f"({numbers.limits(theirs)}). {costs} (`{paper}`: {_cost(theirs, ', ')})."
    )


def _cost(row, between):
    noun = "epoch" if row["epochs"] == 1 else "epochs"
    epochs = f"{row['epochs']:.0f} {noun}"
    return f"{formatting.duration(row['CPU time (s)'])}{between}{epochs}"


def differences(changes: dict) -> str:
    """Tell how models differ on the same tracks; nothing of no pair.

    Parameters
    ----------
    changes : dict of (str, str) to dict
        From `measurements.paired`: accuracy of whole tracks, of the first less the second.
    """
    if not changes:
        return ""
    each = ", ".join(f"`{a}` minus `{b}` {formatting.points(c)}" for (a, b), c in changes.items())
    level = "95\N{NO-BREAK SPACE}% intervals over artists"
    return f"Accuracy on the same tracks, with {level}: {each}."


def gained(what: str, change: dict) -> str:
    """Tell whether something more makes a network more accurate.

    Parameters
    ----------
    what : str
        What it has more than the other.
    change : dict
        One of `measurements.paired`: with it less without it.
    """
    said = "nothing significant"
    if change["low"] > 0 or change["high"] < 0:
        said = "a significant " + ("gain" if change["low"] > 0 else "loss")
    return f"{what} brings {said}: {formatting.points(change)} of accuracy."


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


def text_beside_sound(accuracies: pd.DataFrame, changes: dict, genres: int) -> str:
    """Tell what titles tell of the genre, alone and beside the sound.

    Parameters
    ----------
    accuracies : pd.DataFrame
        From `accuracy_table`, of the models on text and the one on the sound.
    changes : dict of (str, str) to dict
        From `measurements.paired`: accuracy of both less that of the sound alone.
    genres : int
        How many there are.
    """
    chance = numbers.percent(1 / genres)
    said = f"Whole tracks classified correctly: {_shares(accuracies)}; chance level {chance}."
    for (both, sound), change in changes.items():
        differ = "differ" if change["p_value"] < 0.05 else "do not differ"
        said += (
            f" Beside the sound, titles are worth {formatting.points(change)}: `{both}` and "
            f"`{sound}` {differ} significantly (paired sign-flip permutation test over artists, p: "
            f"{formatting.p_text(change['p_value'])})."
        )
    return said


def words_read(tracks: pd.DataFrame, accuracies: pd.DataFrame, read: int) -> str:
    """Tell how many tracks have words, and how often models are right where these are read.

    Parameters
    ----------
    tracks, accuracies, read : pd.DataFrame, pd.DataFrame, int
        All (title, album); from `accuracy_table`, of those whose words are read; how many are.
    """
    titles, albums = (tracks[["title", "album"]].fillna("") != "").sum()
    said = f"Of {len(tracks)} tracks {titles} have a title and {albums or 'none'} an album. "
    said += f"On the {read} whose words are read (the artist is known): {_shares(accuracies)}."
    rest = len(tracks) - read
    return f"{said} By text, the other {rest} get the shares of the genres." if rest else said


def _shares(accuracies):
    return ", ".join(
        f"`{name}` **{numbers.percent(row['whole tracks'])}** ({numbers.limits(row)})"
        for name, row in accuracies.iterrows()
    )
