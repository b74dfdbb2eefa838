"""What the interpretation found, in sentences with computed numbers."""

import itertools

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from genre_utils.evaluation import resampling
from genre_utils.interpretation import genre_relations

LEVEL = 0.005  # of the log-mel range: smaller differences of level are called none
MISSING, ALIKE = 0.05, 0.3  # what `checks` lets pass
AGREE = 0.5  # rank correlation from which on two methods are said to agree
LOPSIDED = 2.0  # times as often one way as the other, to be worth saying


# ---------------------------------------------------------------------------- what is listened to


def trusted(table: pd.DataFrame) -> list[str]:
    """Networks whose integrated gradients pass every check of `attribution.checks`.

    Less than `MISSING` is missing from the sum, the rank correlation with random weights is under
    `ALIKE`, and hiding what the map points to costs more than what a map of random weights does.

    Parameters
    ----------
    table : pd.DataFrame
        A row for each network.
    """
    return [name for name, row in table.iterrows() if not _failures(row)]


def _failures(row):
    found = {
        "its sum is not complete": row["completeness"] >= MISSING,
        "random weights give a like map": abs(row["gradients"]) >= ALIKE,
        "hiding what it points to costs no more": row["top"] <= row["random"],
    }
    return [words for words, wrong in found.items() if wrong]


def checks(table: pd.DataFrame) -> str:
    """Say which networks are `trusted`, and what is wrong with the others."""
    passed = len(trusted(table))
    limits = f"less than {MISSING:.0%} missing, rank correlation under {ALIKE}"
    told = [f"{passed} of {len(table)} networks pass these checks ({limits})"]
    for name, row in table.iterrows():
        if failed := _failures(row):
            told.append(f"Do not read the integrated gradients of `{name}`: {', '.join(failed)}")
        if abs(row["grad_cam"]) >= ALIKE:
            told.append(f"Do not read the Grad-CAM of `{name}`: random weights give a like map")
    return ". ".join(told) + "."


def region_cells(found: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """What speaks most for each genre (row) to each network (column), in a few words.

    Parameters
    ----------
    found : pd.DataFrame
        From `summaries.strongest`.
    names : list of str
        From `summaries.part_names`.
    """
    cells = [
        "none reliably"
        if np.isnan(row.part)
        else f"{names[int(row.part)]}: {row.share:.0%}, {_level(row.level)}"
        for row in found.itertuples()
    ]
    wide = found.assign(cell=cells).pivot_table("cell", "genre", "network", "first", sort=False)
    return wide.rename_axis(index=None, columns=None)


def regions(found: pd.DataFrame, names: list[str]) -> str:
    """Say of each genre which parts of the mel axis speak most for it, and to which networks.

    Parameters
    ----------
    found, names
        See `region_cells`.
    """
    told, untold = [], []
    for genre, rows in found.groupby("genre", sort=False):
        by_part = [
            f"{names[int(part)]} ({_listed(same['network'])}; {_level(same['level'].iloc[0])})"
            for part, same in rows.groupby("part")
        ]
        if by_part:
            told.append(f"{genre} by {' or by '.join(by_part)}")
        else:
            untold.append(genre)
    if untold:
        told.append(f"no part reliably tells {_listed(untold)}")
    return f"What tells a genre most, by both methods: {'; '.join(told)}."


def methods_agree(tables: dict[str, pd.DataFrame]) -> str:
    """Say how far hiding and integrated gradients agree.

    Parameters
    ----------
    tables : dict of str to pd.DataFrame
        From `summaries.region_table`, by network.
    """
    ranks = {
        name: spearmanr(table["share"], table["lost"]).statistic for name, table in tables.items()
    }
    told = [f"`{name}` {rank:.2f}" for name, rank in ranks.items()]
    text = f"Rank correlation of the two methods over genres and parts: {', '.join(told)}."
    apart = [f"`{name}`" for name, rank in ranks.items() if not rank > AGREE]
    if apart:
        text += (
            f" For {_listed(apart)} they hardly agree, so that only what both find may be named."
        )
    return text


def _level(level):
    if abs(level) < LEVEL:
        return "as loud as others"
    return "louder than others" if level > 0 else "quieter than others"


def _listed(parts):
    """Join parts by commas and "and"."""
    parts = list(parts)
    return ", ".join(parts[:-1]) + " and " * (len(parts) > 1) + parts[-1]


def moments(tables: dict[str, pd.DataFrame]) -> str:
    """Say which networks listen to all of an excerpt alike.

    Parameters
    ----------
    tables : dict of str to pd.DataFrame
        From `summaries.moment_table`, by network.
    """
    even, told = [], []
    for name, table in tables.items():
        share, parts = 1 / len(table), len(table)
        uneven = table[(table["low"] > share) | (table["high"] < share)]
        if uneven.empty:
            even.append(f"`{name}`")
        else:
            most, least = (table.loc[table["share"].agg(how)] for how in ("idxmax", "idxmin"))
            told.append(
                f"`{name}` listens to part {most['part'] + 1:.0f} of {parts} most "
                f"({most['share']:.0%}) and to part {least['part'] + 1:.0f} least "
                f"({least['share']:.0%}), where an even share is {share:.0%}"
            )
    if even:
        what = "listens" if len(even) == 1 else "listen"
        told.insert(
            0, f"{_listed(even)} {what} to all parts of an excerpt alike, as far as one can tell"
        )
    return f"{'; '.join(told)}."


def importance(table: pd.DataFrame) -> str:
    """Say which families of features a model cannot do without.

    Parameters
    ----------
    table : pd.DataFrame
        From `summaries.importance`.
    """
    told = []
    for model, rows in table.groupby("model", sort=False):
        needed = rows[(rows["low"] > 0) & (rows["family"] != "spectrogram")]
        needed = needed.sort_values("drop", ascending=False)
        named = [f"{row.family.replace('_', ' ')} ({row.drop:.2f})" for row in needed.itertuples()]
        what = "loses nothing reliably, whichever family is permuted"
        if named:
            what = f"loses most when a family is permuted that tells it much: {_listed(named)}"
        told.append(f"`{model}` ({rows['accuracy'].iloc[0]:.2f} with everything) {what}.")
        for seen in rows[rows["family"] == "spectrogram"].itertuples():
            limits = f"[{seen.low:+.2f} to {seen.high:+.2f}]"
            told.append(f"Without the right spectrogram it loses {seen.drop:+.2f} {limits}.")
    return " ".join(told)


# ---------------------------------------------------------------------------- how genres relate


def confusion(pairs: pd.DataFrame) -> str:
    """Say which genres are taken for each other most, from `genre_relations.confused_pairs`."""
    pairs = pairs.dropna(subset="confused")  # a genre may lack tested tracks
    if pairs.empty:
        return "Confusion needs two genres with tracks that were tested."
    top = pairs.iloc[0]
    most = "most often, " if len(pairs) > 1 else ""
    text = (
        f"The average model takes {top['a']} and {top['b']} for each other {most}on "
        f"{top['confused']:.0%} of their tracks (95 % interval {top['low']:.0%} to "
        f"{top['high']:.0%})"
    )
    ways = sorted([(top["a_as_b"], top["a"], top["b"]), (top["b_as_a"], top["b"], top["a"])])
    (less, *_), (more, label, heard) = ways
    if more > LOPSIDED * less:
        text += f", mostly {label} heard as {heard} ({more:.0%} against {less:.0%})"
    if len(pairs) > 1:
        last = pairs.iloc[-1]
        text += f"; {last['a']} and {last['b']} least ({last['confused']:.0%})"
    return text + "."


def tree(found: genre_relations.Tree | None, genres: list[str]) -> str:
    """Say which genres are nearest and which stands apart, and how sure that is."""
    if found is None:
        return "Distances need two genres with two artists each, which this corpus has not."
    alone = [genre for genre in genres if genre not in found.genres]
    left_out = f" Left out, with one artist each: {_listed(alone)}." if alone else ""
    near = [found.genres[int(k)] for k in found.linkage[0, :2]]
    distance = f"{found.linkage[0, 2]:.2f}"
    if len(found.genres) == 2:
        return (
            f"{near[0]} and {near[1]} are {distance} apart, where 0 is mixed and 1 as far as can "
            f"be.{left_out}"
        )
    held = f"in {found.nearest_support:.0%} of {found.resamples} resamples of artists"
    text = f"By the evidence of all models {near[0]} and {near[1]} are nearest ({distance}; {held})"
    last = [int(k) for k in found.linkage[-1, :2] if k < len(found.genres)]
    if last:
        furthest = _listed(found.genres[k] for k in last)
        text += f", and {furthest} joins last ({found.linkage[-1, 2]:.2f})"
    return f"{text}.{left_out}"


def neighbours(tables: dict[str, pd.DataFrame]) -> str:
    """Say which genres are neighbours in the networks' embeddings.

    Parameters
    ----------
    tables : dict of str to pd.DataFrame
        From `genre_relations.foreign_neighbours`, by network.
    """
    told = []
    for name, table in tables.items():
        both = ((table + table.T) / 2).to_numpy()
        pairs = list(itertools.combinations(range(len(both)), 2))
        known = [pair for pair in pairs if np.isfinite(both[pair])]
        if len(known) > 1:
            top = max(known, key=lambda pair, both=both: both[pair])
            a, b = table.columns[list(top)]
            told.append(f"`{name}` {a} and {b} ({both[top]:.1f} times as often as by chance)")
    if not told:
        return ""
    return f"Nearest neighbours across genres, within the folds: {'; '.join(told)}."


def agreement(table: pd.DataFrame) -> str:
    """Say how alike models answer and fail, from `genre_relations.agreement`."""
    if table.empty:
        return "There is one model, and nothing to agree with."
    text = (
        f"Two models give the same answer on {table['same'].mean():.0%} of the tracks on average "
        f"(kappa {table['kappa'].mean():.2f})"
    )
    errors = table["consistency"].dropna()
    if errors.empty:
        return f"{text}."
    top = table.loc[errors.idxmax()]
    text += f". Their errors agree by {errors.mean():.2f} beyond chance"
    pair = f"most between `{top['a']}` and `{top['b']}` ({top['consistency']:.2f})"
    return f"{text}, {pair}." if len(errors) > 1 else f"{text}."


def unanimous(answers: genre_relations.Answers, found: pd.DataFrame, faults: dict | None) -> str:
    """Say how many tracks every model puts elsewhere, and what would be expected.

    Parameters
    ----------
    answers : genre_relations.Answers
    found : pd.DataFrame
        From `genre_relations.unanimous_errors`.
    faults : dict of str to str, or None
        From `genre_relations.known_faults`.
    """
    count, models = len(found), len(answers.models)
    if models < 2:
        return "With one model, every error is unanimous: nothing can be learned from that."
    share = (answers.said != answers.true).all(axis=0)[:, np.newaxis]
    _, low, high = (values[0] for values in resampling.group_mean(share, answers.groups))
    expected = genre_relations.expected_unanimous(answers)
    who = "Both" if models == 2 else f"All {models}"
    text = (
        f"{who} models put {count} of {len(answers.tracks)} tracks ({share.mean():.1%}, 95 % "
        f"interval {low:.1%} to {high:.1%}) into another genre than their label. If they "
        f"erred independently of each other in each genre, {_count(expected)} would be expected."
    )
    if count:
        same = int((found["votes"] == models).sum())
        text += f" On {same or 'none'} of them all models agree on the other genre. They are by "
        artists = found["artist"].nunique()
        text += f"{artists} artist{'s' * (artists > 1)}."
    if faults is not None:
        named = [one for one in found["track_id"] if one in faults]
        text += " Of GTZAN's published faults, this project knows those of the sound (repeated or "
        text += (
            "distorted), but not the disputed labels. Of these tracks, the known faults include "
        )
        text += f"{', '.join(named) or 'none'}."
    return text


def _count(expected):
    return f"{expected:.1f}" if expected >= 0.1 else "fewer than 0.1"


def doubt(answers: genre_relations.Answers, found: dict) -> str:
    """Say whether a model is unsure where the other models see a border, or disagree.

    Parameters
    ----------
    answers : genre_relations.Answers
    found : dict
        From `genre_relations.doubt`.
    """
    told = []
    for what, words in (
        ("border", "the distance to the border"),
        ("split", "the disagreement of the others"),
    ):
        value, low, high = resampling.rank_correlation(
            found["entropy"], found[what], answers.groups
        )
        if np.isfinite(value):
            sure = "" if low * high > 0 else "; not reliably different from 0"
            told.append(f"with {words} {value:+.2f} [{low:+.2f} to {high:+.2f}{sure}]")
    if not told:
        return "The other models never differ, so that doubt has nothing to be compared with."
    return f"The entropy of a model correlates (ranks) {_listed(told)}."


def borders(answers: genre_relations.Answers) -> str:
    """Say between which genres the least decided tracks lie."""
    top = genre_relations.borders(answers).iloc[0]
    open_share = genre_relations.undecided(answers)[:, np.newaxis]
    mean, low, high = (v[0] for v in resampling.group_mean(open_share, answers.groups))
    text = ""
    if len(answers.models) > 1:
        text = (
            f"{mean:.0%} of the tracks (95 % interval {low:.0%} to {high:.0%}) have no genre that "
            "more than half of the models choose. "
        )
    if len(answers.genres) == 2:
        return text.strip() or "With one model and two genres there is one border."
    quarter = f"{genre_relations.UNSURE:.0%}"
    return (
        f"{text}Of the {quarter} of tracks nearest to a border, {top['share']:.0%} lie between "
        f"{top['a']} and {top['b']}."
    )
