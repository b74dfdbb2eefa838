"""Sentences about what was measured anew: how to measure it, and what costs and neighbours say."""

import pandas as pd

from genre_utils.evaluation import comparisons
from genre_utils.experiments import measurements
from genre_utils.plots import formatting
from genre_utils.recognition import retrieval
from genre_utils.workspace import files


def missing(why: str, profile: str, seconds: float) -> str:
    """Say why an experiment is not there: what stands in its way, or how to measure it.

    Parameters
    ----------
    why, profile : str
        What stands in its way, or nothing; name of the study's profile.
    seconds : float
        How long it would take here, estimated.
    """
    if why:
        return f"Not available in this study: {why}."
    full, minutes = profile + measurements.FULL, round(seconds / 60)
    exists = (files.ROOT / "notebooks" / "profiles" / f"{full}.yaml").exists()
    how = f"`--profile {full}`" if exists else "`--set MEASURE=true`"
    time = f"about {minutes} minutes" if minutes > 1 else "about a minute"
    return f"Not measured in this study: {how} does it here, in {time}."


def costs(results: dict) -> str:
    """Say what the best model costs, and the cheapest that is about as good.

    Parameters
    ----------
    results : dict
        Content of results.json.
    """
    table = comparisons.costs(results)
    if len(table) < 2:
        return "There is no second model to compare costs with."
    best = table["accuracy"].idxmax()
    apart = [{p["a"], p["b"]} for p in results["pairwise"] if p["separable"]]
    as_good = [name for name in table.index if {name, best} not in apart]
    cheapest = table.loc[as_good, "training_seconds"].idxmin()
    seconds = table["training_seconds"].map(formatting.duration).replace("0 s", "under a second")
    said = f"The most accurate, `{best}`, takes {seconds[best]} to train over all folds"
    if cheapest == best:
        return f"{said}, and every cheaper model is significantly less accurate."
    other = f"the cheapest that is not significantly different, `{cheapest}`, takes"
    return f"{said}; {other} {seconds[cheapest]}."


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
    base, both = rows.loc[retrieval.BASELINE], rows.loc[retrieval.BOTH]
    different = ", ".join(f"`{name}`" for name in rows.index[rows["p_holm"] < 0.05])
    return (
        f"Of the {table.attrs['count']} nearest tracks, the query's own {group_by} left out, "
        f"{base['precision']:.0%} are of its genre by {retrieval.BASELINE}, and "
        f"{both['precision']:.0%} [{both['low']:.0%}, {both['high']:.0%}] by both parts together; "
        f"chance level is {table.attrs['chance']:.0%}. Significantly different from "
        f"{retrieval.BASELINE} (sign-flip permutation test over {group_by}s, Holm): "
        f"{different or 'none of the others'}."
    )


def blended(prediction: dict) -> str:
    """Tell whether a model is unsure of two pieces of different genres in equal parts.

    Parameters
    ----------
    prediction : dict
        From `recognition.MusicStyleRecognition.run`, of their sum.
    """
    said = f"with equal parts of two genres its confidence is {prediction['confidence']:.2f}, "
    if prediction["uncertain"]:
        return f"{said}and it is unsure, as it should be."
    return f"{said}and it is sure: that is a failure, as neither genre is right."
