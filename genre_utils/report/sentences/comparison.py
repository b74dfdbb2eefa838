"""Sentences of notebook 06 and of the first page: what the comparison of the models found."""

from genre_utils.paper import claims


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
        Three sentences.
    """
    corpus, models, pairs = results["corpus"], results["models"], results["pairwise"]
    best = max(models, key=lambda name: models[name]["accuracy"])
    low, high = models[best]["ci95"]["accuracy"]
    near = [{p["a"], p["b"]} for p in pairs if p["difference"] and not p["separable"]]
    alike = [name for pair in near if best in pair for name in pair - {best}]
    met = "has never met" if corpus["group_by"] == "artist" else "may have met"
    level = [name for name in models if models[name]["accuracy"] == models[best]["accuracy"]]
    first = f"The best of {len(models)} models, {best}," if len(models) > 1 else best
    first += f" and equal to it {' and '.join(level[1:])}," if level[1:] else ""
    first += (
        f" recognises the genre of {_percent(models[best]['accuracy'])} of whole tracks by artists "
        f"that it {met} (95\N{NO-BREAK SPACE}% interval {_percent(low)} to {_percent(high)}; "
        f"chance level: {_percent(1 / len(corpus['genres']))})"
    )
    first += f", and is not significantly different from {', '.join(alike)}" if alike else ""
    audit = results.get("audit")
    second = counted(audit) if audit else "The paper's claims were not judged."
    leak = results["leakage"] or {}
    if None in [leak.get(split) for split in ("segment", "track", "artist")]:
        return [f"{first}.", second, "Leakage was not measured on this corpus."]
    gap = next(one for one in leak["pairwise"] if (one["a"], one["b"]) == ("segment", "artist"))
    least, most = gap["ci95"]
    third = (
        f"A random split of excerpts, as is usual, would have overestimated a classifier by "
        f"{100 * gap['difference']:.0f} points ({100 * least:.0f} to {100 * most:.0f}): "
        f"{_percent(leak['segment'])} of excerpts are recognised, against "
        f"{_percent(leak['artist'])} in an artist-disjoint split."
    )
    return [f"{first}.", second, third]


def _percent(share):
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"
