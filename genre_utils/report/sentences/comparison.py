"""Sentences of notebook 06 and of the first page: what the comparison of the models found."""

import pandas as pd

from genre_utils.paper import claims
from genre_utils.plots import formatting
from genre_utils.report.sentences import numbers


def counted(audit: dict) -> str:
    """Tell how many claims of the paper hold, or why none is judged.

    Parameters
    ----------
    audit : dict
        As in results.json.
    """
    if not audit["evidence"]:
        return audit["why"]
    count = {verdict: len(judged) for verdict, judged in claims.by_verdict(audit).items()}
    return (
        f"Of {len(audit['claims'])} claims of the paper, this music reproduces "
        f"{count[claims.REPRODUCED]} and contradicts {count[claims.NOT_REPRODUCED]}; in "
        f"{count[claims.UNCLEAR]} the difference is not significant, and "
        f"{count[claims.NOT_MEASURED]} were not measured."
    )


def conclusion(results: dict) -> list[str]:
    """Tell what a study found: the best model, the paper, the price of leakage.

    Parameters
    ----------
    results : dict
        Content of results.json, with at least one model.

    Returns
    -------
    list of str
        Sentences.
    """
    audit = results.get("audit")
    found = [best_model(results), counted(audit) if audit else "", leakage(results["leakage"])]
    return [sentence.replace("`", "").replace("**", "") for sentence in found if sentence]


def best_model(results: dict) -> str:
    """Tell which model is best, how sure that is, and which are not significantly different.

    Parameters
    ----------
    results : dict
        Content of results.json, with at least one model.
    """
    corpus, models, pairs = results["corpus"], results["models"], results["pairwise"]
    ranked = sorted(models, key=lambda name: -models[name]["accuracy"])
    best, accuracy = ranked[0], models[ranked[0]]["accuracy"]
    level = [name for name in ranked[1:] if models[name]["accuracy"] == accuracy]
    behind = [{p["a"], p["b"]} for p in pairs if p["separable"]]
    alike = [n for n in ranked[1:] if n not in level and {n, best} not in behind]
    met = "has never met" if corpus["group_by"] == "artist" else "may have met"
    first = f"The best of {len(models)} models, `{best}`," if len(models) > 1 else f"`{best}`"
    first += f" and equal to it {numbers.names(level)}," if level else ""
    first += (
        f" recognises the genre of **{numbers.percent(accuracy)}** of whole tracks by artists that "
        f"it {met} ({_limits(models[best]['ci95']['accuracy'])}; chance level: "
        f"{numbers.percent(1 / len(corpus['genres']))})"
    )
    return first + (f", not significantly more than {numbers.names(alike)}." if alike else ".")


def _limits(ci95):
    return numbers.limits(dict(zip(("low", "high"), ci95, strict=True)))


def untouched(results: dict, parts: pd.DataFrame) -> str:
    """Tell what the models reach on tracks that took part in no choice; nothing without a split.

    Parameters
    ----------
    results : dict
        Content of results.json.
    parts : pd.DataFrame
        From `evaluation.accuracy_by_split`.
    """
    models, said = results["models"], []
    best = max(models, key=lambda name: models[name]["accuracy"])
    for part, own in parts[parts["part"] != "train"].groupby("part", sort=False):
        own = own.set_index("model")
        row, ahead = own.loc[best], own.loc[own["accuracy"].idxmax()]
        told = f"`{best}` recognises **{numbers.percent(row['accuracy'])}** ({numbers.limits(row)})"
        other = f"`{ahead.name}` the most, {numbers.percent(ahead['accuracy'])}"
        if ahead["accuracy"] == row["accuracy"]:
            other = "no model more"
        said.append(
            f"Of the {row['tracks']} tracks of the part *{part}*, which took part in no choice of "
            f"features or settings, {told}, and {other}."
        )
    return " ".join(said)


def leakage(price: dict | None) -> str:
    """Tell what leakage adds to the accuracy of a classifier; nothing where it was not measured.

    Parameters
    ----------
    price : dict or None
        From `evaluation.leakage`.
    """
    if not price or None in [price.get(split) for split in ("segment", "track", "artist")]:
        return ""
    gap = next(one for one in price["pairwise"] if (one["a"], one["b"]) == ("segment", "artist"))
    gap = gap | dict(zip(("low", "high"), gap["ci95"], strict=True))
    return (
        f"A random split of excerpts, as is usual, adds **{formatting.points(gap)}** of leakage: "
        f"the SVM recognises {numbers.percent(price['segment'])} of excerpts, and "
        f"{numbers.percent(price['artist'])} where artists are kept apart."
    )
