"""TODO report.sentences.features."""

import numpy as np
import pandas as pd

from genre_utils.features import analysis


def ranking(scores: pd.Series, drawn: pd.DataFrame, names) -> str:
    """Say which of the statistics `names`, the highest first, are reliably above which."""
    above, called = analysis.reliably_above(scores, drawn, names), analysis.labels(drawn.columns)
    beaten = [called[name] for name in names if above.loc[names[0], name]]
    equal = [called[name] for name in names[1:] if not above.loc[names[0], name]]
    pairs, total = int(above.to_numpy().sum()), len(names) * (len(names) - 1) // 2
    count = f"{pairs or 'none'} {'are' if pairs > 1 else 'is'}"
    text = f"Of the {total} pairs among the {len(names)} highest, {count} reliably ordered. "
    text += f"The first ({called[names[0]]}) is "
    if not beaten:
        return f"{text}not reliably above any of them."
    if len(beaten) > len(equal):
        return f"{text}reliably above all others{' except ' * bool(equal)}{'; '.join(equal)}."
    return f"{text}reliably above {'; '.join(beaten)}, and above no other."


def family_ablation(table: pd.DataFrame) -> str:
    """Say what `ablation_table` tells apart from all features, when left out and alone."""
    sentences = []
    for model, rows in table.groupby("model", sort=False):
        without, only = (
            rows[rows["features"].str.startswith(kind)] for kind in ("without ", "only ")
        )
        if only.empty:
            continue
        text = f"{model}: leaving one out changes nothing separable ({_lowest(without)}). "
        if missed := _separable(without, ""):
            text = f"{model}: {missed}; leaving out any other changes nothing separable. "
        if weak := _separable(only, "with "):
            every = only["separable"].eq(True).all()
            rest = "" if every else "; the others are not separable from all"
            text += f"Alone: {weak}{rest}."
        else:
            text += f"Alone, none is separable from all ({_lowest(only)})."
        sentences.append(text)
    return " ".join(sentences) or "There is one family of features, and nothing to leave out."


def _separable(rows, how):
    """Name the separable differences from all features, the largest first; empty if none."""
    rows = rows[rows["separable"].eq(True)].sort_values("difference", key=abs, ascending=False)
    parts = []
    for word, part in (("worse", rows["difference"] < 0), ("better", rows["difference"] > 0)):
        told = [
            f"{row.features} ({row.difference:+.2f}, p {_p_value(row.p_holm)})"
            for row in rows[part].itertuples()
        ]
        if told:
            parts.append(f"{word} {how}{', '.join(told)}")
    return "; ".join(parts)


def _p_value(p):
    return f"= {p:.3f}" if p >= 0.001 else "< 0.001"


def _lowest(rows):
    return f"the lowest p is {rows['p_holm'].min():.2g}"


def price_of_leakage(price: dict) -> str:
    """Say what having heard the same recording, or the same artist, is worth.

    Parameters
    ----------
    price : dict
        From `study_results.leakage`, with all three splits.
    """
    pairs = {(pair["a"], pair["b"]): pair for pair in price["pairwise"]}
    whole, recording, artist = (
        _points(pairs[pair])
        for pair in (("segment", "artist"), ("segment", "track"), ("track", "artist"))
    )
    return (
        f"Dealt out at random, excerpts are recognised {price['segment']:.0%} of the time; with "
        f"artists apart, {price['artist']:.0%}: a difference of {whole} points. Having heard other "
        f"excerpts of the same recording accounts for {recording} of them, having heard other "
        f"recordings of the same artist for {artist}."
    )


def _points(pair):
    """Write a difference in percentage points, with a note where it may be chance."""
    note = "" if pair["separable"] else " (not separable from none)"
    return f"{round(100 * pair['difference'])}{note}"


def in_brackets(low, high) -> list[str]:
    """Write intervals for a table: ``[0.10, 0.32]``, and ``-`` where there is none."""
    limits = zip(low, high, strict=True)
    return ["-" if np.isnan(a) else f"[{a:.2f}, {b:.2f}]" for a, b in limits]
