"""Sentences of notebook 06 and of the first page: what the comparison of the models found."""

import pandas as pd

from genre_utils.evaluation import comparisons
from genre_utils.paper import claims
from genre_utils.plots import formatting
from genre_utils.report.sentences import music, numbers
from genre_utils.workspace import model_names

_EACH = " (each at p < 0.05, not corrected for their number)"
_PAPERS = " (each at p < 0.05, of which the paper's pairs alone are corrected for their number)"


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
    tested = len(audit["claims"]) - count[claims.NOT_MEASURED]
    return (
        f"Of {tested} claims of the paper that were tested, this music reproduces "
        f"{count[claims.REPRODUCED]} and contradicts {count[claims.NOT_REPRODUCED]}; in "
        f"{count[claims.UNCLEAR]} the difference is not significant."
    )


def best_model(results: dict) -> str:
    """Tell which model is best by sound, how sure that is, which others it cannot be told from.

    One that reads titles as well is told beside it, with its difference, if it is better.

    Parameters
    ----------
    results : dict
        Content of results.json, with at least one model.
    """
    corpus, models = results["corpus"], results["models"]
    best = model_names.best_by_sound(models)
    met = "it has never heard" if corpus["group_by"] == "artist" else "it may have heard"
    titled = {*models} & {*model_names.TEXT} - {best}
    first = (
        f"{'By sound alone, ' if titled else ''}`{best}` classifies "
        f"**{numbers.percent(models[best]['accuracy'])}** of whole tracks correctly, by artists "
        f"that {met} ({_limits(models[best])}; chance level "
        f"{numbers.percent(1 / len(corpus['genres']))})."
    )
    pairs = [pair for pair in results["pairwise"] if best in (pair["a"], pair["b"])]
    told = [first, _others([one for one in pairs if not {one["a"], one["b"]} & titled], best)]
    both = models.get(model_names.AUDIO_TEXT, models[best])
    if both["accuracy"] > models[best]["accuracy"]:
        percent, name = numbers.percent(both["accuracy"]), model_names.AUDIO_TEXT
        more = "".join(_more(pair, name) for pair in pairs if name in (pair["a"], pair["b"]))
        told.append(f"With titles, `{name}` gets {percent} ({_limits(both)}){more}.")
    return " ".join(filter(None, told))


def _more(pair, name):
    """How far one of a pair is ahead, and whether that is significant."""
    pair = pair if pair["a"] == name else comparisons.turned(pair)
    significant = "significant" if pair["separable"] else "not significant"
    return f", {formatting.points(pair)} more, which is {significant}"


def _limits(model):
    return numbers.limits(dict(zip(("low", "high"), model["ci95"]["accuracy"], strict=True)))


def _others(pairs, best):
    """Which models the best one is significantly ahead of, or which not, whichever are fewer."""
    others = {pair["b"] if pair["a"] == best else pair["a"]: pair["separable"] for pair in pairs}
    worse, alike = ([name for name in others if others[name] == apart] for apart in (True, False))
    each = _PAPERS if any(pair.get("primary") for pair in pairs) else _EACH
    if not worse:
        return f"None of the {len(alike)} others differs significantly from it." if alike else ""
    if not alike:
        return f"It is significantly ahead of all {len(worse)} others{each}."
    if len(worse) <= len(alike):
        verb = "is" if len(worse) == 1 else "are"
        return f"Of the others, only {numbers.names(worse)} {verb} significantly behind{each}."
    return f"All others but {numbers.names(alike)} are significantly behind{each}."


def untouched(results: dict, parts: pd.DataFrame) -> str:
    """Tell what the models reach on parts of GTZAN by which nothing was chosen; else nothing.

    Parameters
    ----------
    results : dict
        Content of results.json.
    parts : pd.DataFrame
        From `evaluation.accuracy_by_split`.
    """
    said, best = [], model_names.best_by_sound(results["models"])
    if not music.called(results["corpus"]).startswith("GTZAN"):
        return ""
    for part, own in parts[parts["part"] != "train"].groupby("part", sort=False):
        own = own.set_index("model")
        row, ahead = own.loc[best], own.loc[own["accuracy"].idxmax()]
        told = f"`{best}` recognises **{numbers.percent(row['accuracy'])}** ({numbers.limits(row)})"
        other = f"`{ahead.name}` the most, {numbers.percent(ahead['accuracy'])}"
        other = other if ahead["accuracy"] > row["accuracy"] else "no model more"
        said.append(
            f"Of the {row['tracks']} tracks of the part *{part}*, whose results were seen before "
            f"but chose no feature or setting, {told}, and {other}."
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
    return (
        f"A random split of excerpts, as is usual, adds **{formatting.points(gap)}** of leakage: "
        f"the SVM recognises {numbers.percent(price['segment'])} of excerpts, and "
        f"{numbers.percent(price['artist'])} where artists are kept apart."
    )
