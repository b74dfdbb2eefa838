"""Sentences about what was measured anew: how to measure it, and what costs say."""

import pandas as pd

from genre_utils.evaluation import comparisons
from genre_utils.plots import formatting
from genre_utils.workspace import model_names


def missing(why: str, profile: str, seconds: float, parameter: str = "MEASURE") -> str:
    """Say what an experiment that is not there needs: what stands in its way, or how to measure it.

    Parameters
    ----------
    why, profile : str
        What stands in its way, or nothing; the study's profile, which measures it where asked.
    seconds : float
        How long it would take here, estimated, beside the rest of the study.
    parameter : str
        What asks for it.
    """
    if why:
        return f"{why[0].upper()}{why[1:]}."
    minutes = round(seconds / 60)
    time = f"about {minutes} minutes" if minutes > 1 else "about a minute"
    how = f"`--profile {profile} --set {parameter}=true`"
    return f"{how} measures it, which takes {time} of that run."


def costs(results: dict) -> str:
    """Say what the best model by sound costs, and the cheapest that is about as good.

    Parameters
    ----------
    results : dict
        Content of results.json.
    """
    table = comparisons.costs(results).drop(index=[*model_names.TEXT], errors="ignore")
    if len(table) < 2:
        return "There is no second model to compare costs with."
    best = model_names.best_by_sound(results["models"])
    apart = [{p["a"], p["b"]} for p in results["pairwise"] if p["separable"]]
    as_good = [name for name in table.index if {name, best} not in apart]
    cheapest = table.loc[as_good, "training_cpu_seconds"].idxmin()
    seconds = table["training_cpu_seconds"].map(formatting.duration)
    seconds = seconds.replace("0 s", "under a second")
    said = f"The best by sound, `{best}`, takes {seconds[best]} of CPU time to train over all folds"
    aside = " (without the search of its settings)"
    said += aside * model_names.is_tuned(best)
    if best == table["training_cpu_seconds"].idxmin():
        return f"{said}, and none is cheaper."
    if cheapest == best:
        return f"{said}, and every cheaper model is significantly less accurate."
    other = f"the cheapest that is not significantly different, `{cheapest}`, takes"
    return f"{said}; {other} {seconds[cheapest]}{aside * model_names.is_tuned(cheapest)}."


def effects(table: pd.DataFrame) -> str:
    """List the differences of some models, and count those that stand after correction.

    Parameters
    ----------
    table : pd.DataFrame
        Columns model, difference, low, high, separable.
    """
    told = [f"{formatting.points(row)} for `{row['model']}`" for _, row in table.iterrows()]
    count = {0: "none", len(table): "all"}.get(found := int(table["separable"].sum()), found)
    return f"{', '.join(told)}; after correction (Holm) {count} significant"


def robustness(table: pd.DataFrame) -> str:
    """Tell what changing recordings costs most, and whether that is sure.

    Parameters
    ----------
    table : pd.DataFrame
        From `robustness.compare`.
    """
    tested = table.dropna(subset="p_holm")
    found = tested[tested["separable"].eq(True)]
    worst = (tested if found.empty else found).sort_values("difference").iloc[0]
    names = {"difference": "difference", "difference_high": "low", "difference_low": "high"}
    most = formatting.points(-worst[[*names]].rename(names).astype(float))
    most = f"{most}: `{worst['model']}`, {worst['change']}"
    if found.empty:
        return (
            f"Changes cost up to {most}. None is significant after correction over {len(tested)} "
            "tests: so many ask for more artists than were predicted here."
        )
    count = f"{len(found)} of {len(tested)} differences are significant after correction (Holm)"
    return f"{count}. The largest loss among them is {most}."


def denoising(table: pd.DataFrame) -> str:
    """Tell where denoising helps or harms significantly, and what it does to clean recordings.

    Parameters
    ----------
    table : pd.DataFrame
        From `denoising.compare`.
    """
    limits = {"difference_low": "low", "difference_high": "high"}
    tested = table.dropna(subset="p_holm").drop(columns=["low", "high"]).rename(columns=limits)
    sure = tested[tested["separable"].eq(True)]
    gains, losses = sure[sure["difference"] > 0], sure[sure["difference"] < 0]
    said = f"Of {len(tested)} comparisons with no denoising, after correction (Holm)"
    if gains.empty:
        said += ", it helps significantly in none"
    else:
        said += f", it helps significantly in {len(gains)} ({_places(gains)})"
    said += f" and harms significantly in {len(losses) or 'none'}."
    for treatment, rows in tested[tested["snr"] == float("inf")].groupby("treatment", sort=False):
        said += f" Untouched recordings, {treatment} denoising: {effects(rows)}."
    return said


def _places(rows):
    """Models, treatments, noises and levels of some rows."""
    told = []
    for (model, treatment, noise), own in rows.groupby(["model", "treatment", "noise"], sort=False):
        levels = " and ".join(f"{snr:g}" for snr in own["snr"])
        told.append(f"`{model}`, {treatment}: {noise} at {levels} dB")
    return "; ".join(told)
