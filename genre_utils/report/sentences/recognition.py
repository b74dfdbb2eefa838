"""What the recogniser answers, how often it is right, and what it does not know."""

import pandas as pd

from genre_utils.experiments import retrieval
from genre_utils.features import neighbours
from genre_utils.plots import formatting
from genre_utils.report.sentences import numbers


def accuracy(model: str, about: dict, other: str = "", other_about: dict | None = None) -> str:
    """Tell how often a recogniser is right, and one of other genres, by their cards.

    Parameters
    ----------
    model, about : str, dict
        Name and sidecar of an exported model.
    other, other_about : str, dict
        The same of a second one, if there is one.
    """
    text = f"`{model}` is right on {_right(about)}"
    text += f", the {other} on {_right(other_about)}" if other else ""
    return f"{text} (whole tracks by artists not met in training)."


def _right(about):
    low, high = about["accuracy"]["ci95"]
    limits = numbers.limits({"low": low, "high": high})
    count = len(about["labels"])
    return f"{numbers.percent(about['accuracy']['value'])} ({limits}) among {count} genres"


def unsure(model: str, about: dict, strange: dict[str, dict]) -> str:
    """Tell what a recogniser is unsure of, and whether it is so of sounds that are no music.

    Parameters
    ----------
    model, about : str, dict
        Name and sidecar of an exported model.
    strange : dict of str to dict
        From `recognition.MusicStyleRecognition.run`, by name of a sound that is no music.
    """
    sure, missed = about["abstain"], sum(not one["uncertain"] for one in strange.values())
    low, high = sure["ci95"]
    return (
        f"`{model}` is unsure of {numbers.percent(1 - sure['coverage'])} of them, and right on "
        f"{numbers.percent(sure['accuracy'])} of the others "
        f"({numbers.limits({'low': low, 'high': high})}). Its confidence is not low for "
        f"{missed} of {len(strange)} sounds that are no music{': a failure' if missed else ''}."
    )


def recognised(model: str, right: int, total: int, kind: str) -> str:
    """Tell how many pieces a recogniser has right, and what that is worth.

    Parameters
    ----------
    model, right, total : str, int, int
        Name of the model, pieces of which it predicts the genre, and how many there are.
    kind : {"new", "foreign", "learned"}
        Composed by artists that it has not met, composed where it knows real music alone, or the
        study's own tracks, which it has learned from.
    """
    worth = {
        "new": "new composed pieces.",
        "foreign": "composed pieces; it has learned from real music alone, and this says nothing "
        "about real genres.",
        "learned": "tracks, which it has learned from: no evidence of anything.",
    }
    return f"`{model}` predicts the genre of {right} of {total} {worth[kind]}"


def foreign(genre: str, answer) -> str:
    """Tell what the model of this package makes of a composed piece.

    Parameters
    ----------
    genre : str
        The genre by whose rules the piece is composed.
    answer : recognition.Answer
        From `recognition.recognise`.
    """
    unlike = "unlike" if answer.unlike_training else "not far from"
    sure = " (*unsure*)" if answer.uncertain else ""
    return (
        f"The model of this package, which has learned real music alone, predicts {answer.label} "
        f"with a confidence of {answer.confidence:.2f}{sure} for this piece, composed by the rules "
        f"of {genre}, and finds it {unlike} its training. Right or wrong, that is no evidence "
        "about genres or models: the rules are of our making."
    )


def blended(model: str, prediction: dict) -> str:
    """Tell whether a model is unsure of two pieces of different genres in equal parts.

    Parameters
    ----------
    model, prediction : str, dict
        The model, and from `recognition.MusicStyleRecognition.run`, its prediction of their sum.
    """
    said = f"With equal parts of two genres the confidence of `{model}` is "
    said += f"{prediction['confidence']:.2f}, and it is "
    if prediction["uncertain"]:
        return f"{said}unsure, as it should be."
    return f"{said}sure: that is a failure, as neither genre is right."


def strange(model: str, predictions: dict[str, dict], about: dict) -> str:
    """Tell what a recogniser makes of sounds that are no music.

    Parameters
    ----------
    model : str
        Name of the model.
    predictions : dict of str to dict
        From `recognition.MusicStyleRecognition.run`, by name of the sound.
    about : dict
        Its sidecar.
    """
    sure = {name: one for name, one in predictions.items() if not one["uncertain"]}
    told = [
        f"{name} ({one['predicted_label']}, {one['confidence']:.2f})" for name, one in sure.items()
    ]
    noticed = sum(one["unlike_training"] for one in predictions.values())
    missed = [name for name, one in sure.items() if not one["unlike_training"]]
    alarms = numbers.percent(about["unlike"]["false_alarms"])
    called = f"the {model}" if " " in model else f"`{model}`"
    text = f"The confidence of {called} is "
    text += f"not low for {', '.join(told)}: a failure" if told else "low for all of these sounds"
    text += f". By their distance it calls {noticed} of {len(predictions)} unlike its training, "
    text += f"and {alarms} of its own tracks"
    return f"{text}; of {', '.join(missed)} nothing warns." if missed else f"{text}."


def neighbour_precision(table: pd.DataFrame, group_by: str) -> str:
    """Tell how well neighbours share the genre of a track.

    Parameters
    ----------
    table : pd.DataFrame
        From `recognition.neighbour_precision`.
    group_by : {"artist", "track"}
        Whose tracks are left out.
    """
    rows = table.set_index("vector")
    each = ", ".join(
        f"{numbers.percent(row['precision'])} by {name} ({numbers.limits(row)})"
        for name, row in rows.iterrows()
    )
    apart = ", ".join(rows.index[rows["p_holm"] < 0.05]) or "none"
    return (
        f"Of the {table.attrs['count']} nearest tracks, the query's own {group_by} left out, this "
        f"share is of its genre: {each}; chance level is {numbers.percent(table.attrs['chance'])}. "
        f"Significantly different from {retrieval.BASELINE}: {apart}. To judge neighbours by genre "
        "favours what a genre classifier gives."
    )


def playlists(table: pd.DataFrame, group_by: str) -> str:
    """Tell how many artists a playlist reaches, and what that costs in tracks of the query's genre.

    Parameters
    ----------
    table : pd.DataFrame
        From `recognition.playlist_precision`.
    group_by : {"artist", "track"}
        What is counted, and left out of the query's own.
    """
    rows, count = table.set_index("weight"), table.attrs["count"]
    plain, chosen = rows.loc[1], rows.loc[neighbours.WEIGHT]
    low, high = chosen["artists_low"], chosen["artists_high"]
    change = formatting.points(_named(chosen, "share_more", "difference"))
    return (
        f"The {count} nearest tracks, the query's own {group_by} left out, are by "
        f"{plain['artists']:.1f} {group_by}s; a playlist of as many (weight {neighbours.WEIGHT}) "
        f"reaches {chosen['artists']:.1f} (95\N{NO-BREAK SPACE}% interval {low:.1f} to "
        f"{high:.1f}). Of its tracks {numbers.percent(chosen['share'])} "
        f"({numbers.limits(_named(chosen, 'share', 'share'))}) are of the query's genre, of the "
        f"nearest {numbers.percent(plain['share'])}: a difference of {change}. In this corpus a "
        f"genre has {table.attrs['others']:.0f} other {group_by}s: what reaches more must leave it."
    )


def _named(row, name, wanted):
    return {wanted: row[name], "low": row[f"{name}_low"], "high": row[f"{name}_high"]}
