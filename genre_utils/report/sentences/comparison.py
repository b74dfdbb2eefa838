"""TODO report.sentences.comparison."""

from collections import Counter

import pandas as pd

from genre_utils.evaluation import intervals
from genre_utils.evaluation import power as samples
from genre_utils.paper import claims as verdicts


def comparisons(pairs: list[dict]) -> str:
    """Say which of `main_pairs` can be told apart, and by how much."""
    parts = []
    for separable, verdict in ((True, "separable"), (False, "not separable")):
        told = [pair for pair in pairs if pair["primary"] and pair["separable"] == separable]
        if told:
            listed = "; ".join(_as_points(pair) for pair in told)
            parts.append(f"Of the paper's pairs {verdict}, in points: {listed}.")
    others = [pair for pair in pairs if not pair["primary"]]
    if others:
        unclear = [f"`{pair['b']}`" for pair in others if not pair["separable"]]
        level = [f"`{pair['b']}`" for pair in others if pair["difference"] == 0]
        text = f"`{others[0]['a']}`, which has the highest accuracy"
        text += f" (level with {' and '.join(level)})" if level else ""
        text += f", differs from {len(others) - len(unclear)} of the {len(others)} others"
        parts.append(text + (f", but not from {', '.join(unclear)}." if unclear else "."))
    return " ".join(parts)


def _as_points(pair):
    value, (low, high) = 100 * pair["difference"], [100 * limit for limit in pair["ci95"]]
    return f"`{pair['a']}` minus `{pair['b']}` {value:+.1f} [{low:+.1f}, {high:+.1f}]"


def secondary_comparisons(pairs: list[dict]) -> str:
    """Say where the secondary tests would have decided otherwise than the primary one."""
    asked = [pair for pair in pairs if pair["primary"]] or pairs
    parts = []
    for key, name in (("mcnemar_p", "McNemar's test"), ("corrected_t_p", "the corrected t-test")):
        known = [pair for pair in asked if pair[key] is not None]
        other = [
            pair
            for pair in known
            if (pair[key] < intervals.LEVEL) != (pair["p_value"] < intervals.LEVEL)
        ]
        named = ", ".join(f"`{pair['a']}` and `{pair['b']}`" for pair in other)
        if not known:
            parts.append(f"{name} is not defined here")
        elif other:
            parts.append(f"{name} alone would decide otherwise on {named}")
        else:
            parts.append(f"{name} decides on every pair as the sign flips do")
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]} (each at {intervals.LEVEL}, uncorrected)."


def interval_coverage(table: pd.DataFrame, group_by: str = "artist") -> str:
    """Say what `coverage_here` measured, for all tracks and for the genres.

    `group_by` says what a group is, artist or track.
    """
    whole, genres = table[:1], table[1:]
    return (
        f"With {_span(whole['artists'], 'd')} {group_by}s like these, the interval of the overall "
        f"accuracy held the truth in {_span(whole['coverage'], '.1%')} of the simulated studies, "
        f"and a plain percentile bootstrap in {_span(whole['bootstrap_coverage'], '.1%')}. In the "
        f"genres, with {_span(genres['artists'], 'd')} {group_by}s each, it was "
        f"{_span(genres['coverage'], '.1%')} against {_span(genres['bootstrap_coverage'], '.1%')}."
    )


def _span(values, form):
    """Lowest and highest of some values, one of them where they look the same; NaN left out."""
    known = [f"{value:{form}}" for value in sorted(pd.Series(values).dropna())]
    return " to ".join(dict.fromkeys([known[0], known[-1]])) if known else "an unknown share"


def calibration(models: dict) -> str:
    """Say whose probabilities can be told from honest ones, and what scaling did to them."""
    found = {name: model["calibration"] for name, model in models.items()}
    off = [name for name, one in found.items() if one["before"]["ece_ci95"][0] > 0]
    parts = [f"In {len(off)} of {len(found)} models chance does not explain the calibration error"]
    sure = {name: one["before"]["overconfidence"]["ci95"] for name, one in found.items()}
    known = {name: limits for name, limits in sure.items() if None not in limits}
    for sign, word in ((1, "Too sure"), (-1, "Too unsure")):
        apart = (name for name, limits in known.items() if min(sign * x for x in limits) > 0)
        named = [f"`{name}`" for name in apart]
        if named:
            parts.append(f"{word} on the whole: {', '.join(named)}")
    return ". ".join([*parts, _scaling(found)])


def _scaling(found):
    changes = {
        name: one["cross_entropy_change"]
        for name, one in found.items()
        if one["after"] is not None and None not in one["cross_entropy_change"]["ci95"]
    }
    if not changes:
        return "No model has a temperature, so nothing was scaled."
    better = [name for name, change in changes.items() if change["ci95"][1] < 0]
    worse = [name for name, change in changes.items() if change["ci95"][0] > 0]
    text = "By more than chance explains, temperature scaling lowers the cross-entropy of "
    text += f"{len(better)} of the {len(changes)} models that were scaled, and raises that of "
    text += f"{len(worse)}"
    factors = [
        max(one["temperatures"]) / min(one["temperatures"])
        for one in found.values()
        if one.get("temperatures")
    ]
    if factors:
        text += f"; the temperatures of a model's folds differ by a factor of {min(factors):.1f}"
        text += f" to {max(factors):.1f}"
    reasons = {}
    for name, one in found.items():
        if one["after"] is None:
            reasons.setdefault(one["not_scaled"], []).append(f"`{name}`")
    left = [f"{', '.join(names)} ({why})" for why, names in reasons.items()]
    return text + (f". Not scaled: {'; '.join(left)}." if left else ".")


def selective_classification(models: dict) -> str:
    """Say what the most accurate model gains by leaving out the tracks it is least sure of."""
    name = max(models, key=lambda name: models[name]["accuracy"])
    at = models[name]["calibration"]["abstaining"]["at"]
    low, high = at["gain_ci95"]
    sure = "" if low > 0 or high < 0 else ", an interval that holds 0"
    return (
        f"`{name}`, the most accurate, gets {at['accuracy']:.2f} right "
        f"({at['ci95'][0]:.2f} to {at['ci95'][1]:.2f}) where it answers {at['coverage']:.0%} of "
        f"the tracks: {100 * at['gain']:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}{sure}) "
        f"against {models[name]['accuracy']:.2f} on all."
    )


def power(power: list[dict]) -> str:
    """Say how much music the pairs that are not separable would take."""
    if not power:
        return "Every pair that was asked about is separable, so none needs more music."
    needs = [
        need for pair in power for need in pair["needed"] if need["assumed"] == samples.OBSERVED
    ]
    found = sorted((n for n in needs if n["at_most"] is not None), key=lambda n: n["at_most"])
    never = [need["more_than"] for need in needs if need["at_most"] is None]
    text = f"{len(power)} {'pair is' if len(power) == 1 else 'pairs are'} not separable."
    if found:
        text += " Were the observed differences the true ones, "
        text += f"a power of {samples.POWER:.0%} would take "
        text += f"{samples.size(found[0])} tracks"
        if samples.size(found[-1]) != samples.size(found[0]):
            text += f" for the pair that needs fewest, and {samples.size(found[-1])} for another"
        text += "."
    if never:
        text += (
            f" More than {max(never):,.0f} would be needed for {len(never)} of them, "
            "if the two differ at all."
        )
    same = [f"`{pair['a']}` and `{pair['b']}`" for pair in power if not pair["needed"]]
    if same:
        text += f" No artist at all tells apart {', '.join(same)}."
    return text + " This is for artists of the same kind, with as many tracks by each."


def stored_predictions(reasons: dict[str, str]) -> str:
    """Say what `stored_before` found."""
    if not reasons:
        return "All models are of this run: same features, folds and code."
    names = pd.Series(reasons).groupby(pd.Series(reasons), sort=False)
    listed = "; ".join(
        f"{why}: {', '.join(f'`{name}`' for name in group.index)}" for why, group in names
    )
    return f"From an earlier run, and marked *stored* below: {listed}."


def counted(found: dict) -> str:
    """Say how many claims hold, or why none is judged."""
    if not found["evidence"]:
        return found["why"]
    count = Counter(one["verdict"] for one in found["claims"])
    return (
        f"Of {len(found['claims'])} claims of the paper, this music reproduces "
        f"{count[verdicts.REPRODUCED]} and contradicts {count[verdicts.NOT_REPRODUCED]}; "
        f"about {count[verdicts.UNCLEAR]} it cannot tell, "
        f"and {count[verdicts.NOT_MEASURED]} were not measured."
    )


def claims(found: dict) -> str:
    """Say how many claims hold, what would measure the others, and what arithmetic alone says."""
    needs = dict.fromkeys(one["needs"] for one in found["claims"] if one["needs"])
    arithmetic = found["arithmetic"]
    said = [
        counted(found),
        found["note"],
        f"What was not measured needs {'; '.join(needs)}." if needs else "",
        f"Of {arithmetic['checked']} statements about the paper's own table, "
        f"{arithmetic['inconsistent']} cannot hold by arithmetic alone.",
    ]
    return " ".join(filter(None, said))


def conclusion(results: dict) -> list[str]:
    """Say in three sentences what a study found: the best model, the paper, the price of leakage.

    Parameters
    ----------
    results : dict
        Content of results.json, with at least one model.
    """
    corpus, models, pairs = results["corpus"], results["models"], results["pairwise"]
    best = max(models, key=lambda name: models[name]["accuracy"])
    low, high = models[best]["ci95"]["accuracy"]
    alike = [
        pair["b"] if pair["a"] == best else pair["a"]
        for pair in pairs
        if best in (pair["a"], pair["b"]) and pair["difference"] and not pair["separable"]
    ]
    heard = "has never heard" if corpus["group_by"] == "artist" else "may have heard"
    level = [name for name in models if models[name]["accuracy"] == models[best]["accuracy"]]
    first = f"The best of {len(models)} models, {best}," if len(models) > 1 else best
    if level[1:]:
        first += f" and level with it {' and '.join(level[1:])},"
    first += (
        f" names the genre of {_percent(models[best]['accuracy'])} of whole tracks by artists that "
        f"it {heard} (95\N{NO-BREAK SPACE}% interval {_percent(low)} to {_percent(high)}; "
        f"guessing: {_percent(1 / len(corpus['genres']))})"
    )
    if alike:
        first += f", and is not separable from {', '.join(alike)}"
    audit = results.get("audit")
    second = counted(audit) if audit else "The paper's claims were not judged."
    leak = results["leakage"] or {}
    if None in [leak.get(split) for split in ("segment", "track", "artist")]:
        return [f"{first}.", second, "The price of leakage was not measured on this corpus."]
    gap = next(one for one in leak["pairwise"] if (one["a"], one["b"]) == ("segment", "artist"))
    least, most = gap["ci95"]
    third = (
        f"Dealing excerpts out at random, as is usual, would have flattered a classifier by "
        f"{100 * gap['difference']:.0f} points ({100 * least:.0f} to {100 * most:.0f}): "
        f"{_percent(leak['segment'])} of excerpts named, against {_percent(leak['artist'])} with "
        "artists apart."
    )
    return [f"{first}.", second, third]


def _percent(share):
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"
