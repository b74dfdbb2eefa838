"""Sentences about what was measured anew: how to measure it, and what costs say."""

from genre_utils.evaluation import comparisons
from genre_utils.experiments import measurements
from genre_utils.plots import formatting
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
