"""Sentences of a study's first page."""

from genre_utils.report.sentences import numbers


def limitations(corpus: dict, counts: dict, reach: float | None, chosen_here: bool) -> list[str]:
    """Tell what the numbers do not show.

    Parameters
    ----------
    corpus : dict
        As in results.json.
    counts : dict of str to int
        As for `protocol`.
    reach : float or None
        Half the width of the usual interval of a difference between two models.
    chosen_here : bool
        Whether features and settings were chosen on some of these tracks.
    """
    listed = []
    if corpus["synthetic"]:
        listed.append(
            "The music is composed by rules of this project: its difficulty is a design choice, "
            "and no number here is evidence about genres, models or the paper."
        )
    if corpus["group_by"] != "artist":
        listed.append("Artists may be in both training and test: every accuracy is too high.")
    if reach:
        listed.append(
            f"{numbers.plural(counts['groups'], 'group')} of tracks that stay together in every "
            f"split: two models must typically differ by {100 * reach:.0f} points before their "
            "intervals can tell. *Not significantly different* does not mean equal."
        )
    if chosen_here:
        listed.append(
            "Features, recipe and settings were chosen on most of these tracks, which flatters all "
            "models; the tracks that took part in no choice are few."
        )
    elif not corpus["synthetic"]:
        listed.append("Features, recipe and settings were chosen on GTZAN, not on this music.")
    if corpus["name"] in ("spectrograms", "store"):
        listed.append("Ready spectrograms: what a change of the recording would do is not tested.")
    if "GTZAN" in corpus.get("title", "") or corpus["name"].startswith("gtzan"):
        listed.append(
            "GTZAN has repeated, distorted and mislabelled tracks (Sturm 2013, arXiv:1306.1461)."
        )
    listed.append("One seed: other folds and initial weights would move each number somewhat.")
    return listed


def next_steps(corpus: dict) -> list[str]:
    """Tell what a reader can do now.

    Parameters
    ----------
    corpus : dict
        As in results.json.
    """
    steps = ["Recognise your own recordings: `python -m genre_utils recognize FOLDER`."]
    if corpus["synthetic"]:
        steps.append(
            "Study real music: put it into a folder per genre and see `tutorial_own_music.ipynb`, "
            "or read the report of the profile gtzan-mel."
        )
    else:
        steps.append(
            "More artists, not more models: intervals shrink with the number of artists. Add your "
            "own music by `tutorial_own_music.ipynb`."
        )
    steps.append("Put a model of yours beside these: `tutorial_own_model.ipynb`.")
    return steps
