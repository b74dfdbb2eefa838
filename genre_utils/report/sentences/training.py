"""Sentences about networks that were trained, for notebooks 03 to 05."""

import pandas as pd

from genre_utils.plots import formatting


def overfitting(gap: pd.Series) -> str:
    """Say how much better a network knows what it learned from.

    Parameters
    ----------
    gap : pd.Series
        From `overfitting_gap`.
    """
    if pd.isna(gap["gap"]):
        return (
            f"In the last epoch of the median fold {gap['accuracy']:.0%} of the training excerpts "
            "are classified correctly, changed as they are in training; the inner validation part "
            "is among them."
        )
    return (
        f"At the epoch that is kept ({gap['epoch']:.0f} in the median fold) {gap['accuracy']:.0%} "
        f"of the training excerpts are classified correctly, and {gap['val_accuracy']:.0%} of the "
        "inner validation excerpts, by artists that the network did not train on: an **overfitting "
        f"gap** of {100 * gap['gap']:.0f} points."
    )


def search(found, change: dict | None) -> str:
    """Say what searched settings are worth.

    Parameters
    ----------
    found : SearchResult or None
        From `search_result`.
    change : dict or None
        Paired difference in the accuracy of whole tracks, tuned less untuned, with its interval.
    """
    if found is None or change is None:
        return "No settings were searched for this study's folds; `TUNE` does so."
    return (
        f"{len(found.trials)} trials in all, run with {', '.join(found.ran_on)}. On whole tracks, "
        "searched settings change the accuracy by "
        f"{formatting.points(change)}; paired, 95 % interval over artists."
    )


def pretraining(change: dict | None, synthetic: bool) -> str:
    """Say what pretraining is worth, and what that is evidence of.

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
        said += f"{formatting.points(change)}; paired, 95 % interval over artists. "
    if synthetic:
        return (
            f"{said}This music is composed, so that what a network that knows real music makes of "
            "it is **evidence about nothing**: it shows that the models work."
        )
    return (
        f"{said}musicnn learned from some 200,000 songs of the Million Song Dataset, among which "
        "there **may be songs of artists that are tested here**: it has heard them without the "
        "genres of this study, but with tags that listeners gave them, such as *jazz*."
    )


def networks(run: dict, accuracies: pd.DataFrame, genres: int) -> str:
    """Conclude what the networks of a notebook achieve.

    Parameters
    ----------
    run : dict
        What ``runs/NAME.json`` holds of the first of them.
    accuracies : pd.DataFrame
        From `accuracy_table`, of all of them.
    genres : int
        How many there are.
    """
    name, ranked = run["model"], accuracies["whole tracks"].sort_values(ascending=False)
    return (
        f"`{name}` classifies **{ranked[name]:.0%}** of the tracks of artists it has never heard "
        f"correctly ({accuracies.loc[name, 'excerpts']:.0%} of single excerpts; chance level: "
        f"{1 / genres:.0%}), with {run['parameters']:,} parameters, a median of {run['epochs']} "
        f"epochs per fold and {formatting.duration(run['training_seconds'])} of training over "
        f"{len(run['folds'])} folds. Of the untuned networks of this notebook, `{ranked.index[0]}` "
        f"is ahead ({ranked.iloc[0]:.0%}); whether they differ at all is settled in notebook 06."
    )
