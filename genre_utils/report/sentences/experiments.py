"""TODO report.sentences.experiments."""

import joblib
import pandas as pd

from genre_utils.experiments import corruptions, measurements
from genre_utils.experiments import leakage as splits_measured
from genre_utils.experiments import learning_curve as curves
from genre_utils.plots import formatting
from genre_utils.recognition import retrieval as search
from genre_utils.workspace import files


def missing(why: str, profile: str, seconds: float) -> str:
    """Say why a grid is not there: what stands in its way, or how to measure it.

    Parameters
    ----------
    why : str
        What stands in its way; empty if nothing does.
    profile : str
        Of the study.
    seconds : float
        How long it would take here, estimated.
    """
    if why:
        return f"Not available in this study: {why}."
    minutes = max(1, round(seconds / 60))
    how = f"`--profile {profile}{measurements.FULL}`"
    if not (files.ROOT / "notebooks" / "profiles" / f"{profile}{measurements.FULL}.yaml").exists():
        how = "`--set MEASURE=true`"
    time = "about a minute" if minutes == 1 else f"about {minutes} minutes"
    return f"Not measured in this study: {how} does it, in {time} on {_cores()}."


def _cores():
    count = joblib.cpu_count()
    return "1 core" if count == 1 else f"{count} cores"


def ablation(table: pd.DataFrame) -> str:
    """Say what `compare` found: what helps, what hurts, and how much could have been missed."""
    parts = []
    for verdict, verb in (("helps", "raise"), ("hurts", "lower")):
        named = table.loc[table["verdict"] == verdict, ["title", "difference"]]
        if len(named):
            listed = "; ".join(f"{t} ({100 * d:+z.0f} points)" for t, d in named.to_numpy())
            parts.append(f"{len(named)} of {len(table)} changes {verb} the accuracy: {listed}.")
    if not parts:
        parts.append(f"None of the {len(table)} changes is separable from its baseline.")
    elif (table["verdict"] == "not separable").any():
        parts.append("The others are not separable from their baselines.")
    reach = 100 * ((table["high"] - table["low"]) / 2).median()
    parts.append(
        f"The intervals reach {reach:.0f} points to either side in the median, so an effect "
        "smaller than about that would not have been seen with this many artists."
    )
    return " ".join(parts)


def balance(table: pd.DataFrame) -> str:
    """Say what `balance_by_genre` found for the genres that were made rare."""
    parts = []
    for row in table[table["rare"] & (table["title"] != "as they come")].itertuples():
        sure = row.difference_low > 0 or row.difference_high < 0
        parts.append(
            f"with {row.title} the F1 of {row.genre} changes by {100 * row.difference:+z.0f} "
            f"points ({100 * row.difference_low:+z.0f} to {100 * row.difference_high:+z.0f}): its "
            f"interval, not corrected for several tests, {'excludes' if sure else 'includes'} zero"
        )
    return "; ".join(parts)[:1].upper() + "; ".join(parts)[1:] + "."


def leakage(table: pd.DataFrame) -> str:
    """Say what `differences` found for single excerpts, model by model."""
    sentences = []
    for model, rows in table[table["level"] == "excerpt"].groupby("model", sort=False):
        parts = {(row["a"], row["b"]): row for row in rows.to_dict("records")}
        whole, recording, artist = (
            splits_measured.told(parts[pair])
            for pair in (("segment", "artist"), ("segment", "track"), ("track", "artist"))
        )
        sentences.append(
            f"`{model}` looks better by {whole} when excerpts are dealt at random. Having heard "
            f"the same recording is worth {recording}, having heard the artist {artist}."
        )
    return " ".join(sentences)


def learning_curve(table: pd.DataFrame) -> str:
    """Say what `comparisons` found."""
    sentences = []
    for question, opening in (
        ("half", "Learning from all artists ({} tracks a fold) and not from half of them ({})"),
        ("artists", "Learning from all artists with half of their tracks ({}), and not from half "
         "of the artists with all of theirs ({}),"),
    ):  # fmt: skip
        rows = table[table["question"] == question].to_dict("records")
        told = "; ".join(f"{formatting.points(row)} to `{row['model']}`" for row in rows)
        clear = ", ".join(f"`{row['model']}`" for row in rows if row["separable"])
        sure = f"more than chance for {clear}" if clear else "for none of them more than chance"
        sizes = (round(rows[0][name]) for name in ("tracks", "other_tracks"))
        sentences.append(f"{opening.format(*sizes)} is worth {told} ({sure}).")
    return " ".join(sentences)


def costs(results: dict) -> str:
    """Say which models are on the front, and what the cheapest costs that is about as good."""
    table = curves.costs(results)
    if len(table) < 2:
        return "There is no second model to compare costs with."
    front = table[table["on_front_training_seconds"]].sort_values("training_seconds")
    best = table["accuracy"].idxmax()
    apart = [{p["a"], p["b"]} for p in results["pairwise"] if p["separable"]]
    as_good = [name for name in table.index if {name, best} not in apart]
    cheapest = table.loc[as_good, "training_seconds"].idxmin()
    names = ", ".join(f"`{name}`" for name in front.index)
    said = f"By training time, nothing cheaper is as accurate as any of {names}. "
    seconds = table["training_seconds"].map(formatting.duration).replace("0 s", "under a second")
    if cheapest == best:
        said += f"No cheaper model is inseparable from the most accurate, `{best}`"
        return f"{said} ({seconds[best]} over all folds)."
    said += f"The most accurate, `{best}`, takes {seconds[best]} over all folds; the cheapest that "
    return f"{said}cannot be told from it, `{cheapest}`, takes {seconds[cheapest]}."


def robustness(table: pd.DataFrame, names) -> str:
    """Say what `compare` found for the models `names`: what costs them most, and what nothing.

    Parameters
    ----------
    table : pd.DataFrame
    names : sequence of str
    """
    sentences = []
    for name in names:
        rows = table[(table["model"] == name) & (table["question"] != "")]
        lost = rows[rows["separable"].eq(True) & (rows["difference"] < 0)]
        if lost.empty:
            sentences.append(f"No change costs `{name}` a separable part of its accuracy.")
            continue
        worst = lost.sort_values("difference").iloc[0]
        values = worst[["difference"]].to_dict() | {
            "low": worst["difference_low"],
            "high": worst["difference_high"],
        }
        sentences.append(
            f"{len(lost)} of {len(rows)} changes cost `{name}` a separable part of its accuracy, "
            f"most of all {worst['change']}: {formatting.points(values)}."
        )
    compared = int(table["p_value"].notna().sum())
    sentences.append(f"(All {compared} differences, of all models, were corrected together.)")
    return " ".join(sentences)


def augmented_copies(table: pd.DataFrame) -> str:
    """Say what `copies_worth` found."""
    clean, changed = (
        table[table["change"] == corruptions.CLEAN].iloc[0],
        table[table["change"] != corruptions.CLEAN],
    )
    parts = [f"To recordings as they are, changed copies are worth {formatting.points(clean)}"]
    for verb, rows in (
        ("gain", changed[changed["separable"] & (changed["difference"] > 0)]),
        ("loss", changed[changed["separable"] & (changed["difference"] < 0)]),
    ):
        told = "; ".join(
            f"{row.change}, {formatting.points(row._asdict())}" for row in rows.itertuples()
        )
        parts.append(f"a separable {verb} under {told}" if told else f"no separable {verb}")
    return f"{parts[0]}. Of {len(changed)} changes there is {parts[1]}, and {parts[2]}."


def transfer(table: pd.DataFrame) -> str:
    """Say how `compare` finds models on the other corpus, beside guessing and those of its own."""
    sentences, guess = [], table["guess"].iloc[0]
    across = table[table["learned"] != table["tested"]]
    for (learned, tested), rows in across.groupby(["learned", "tested"], sort=False):
        best = rows.loc[rows["accuracy"].idxmax()]
        inside = table[(table["learned"] == tested) & (table["tested"] == tested)]
        lucky = [f"`{row.model}`" for row in rows.itertuples() if row.low <= guess]
        luck = f"guessing ({guess:.0%}) is in the interval of {', '.join(lucky)}"
        sentences.append(
            f"What learns from {learned} music recognises {rows['accuracy'].min():.0%} to "
            f"{rows['accuracy'].max():.0%} of {tested} tracks (the best, `{best['model']}`: "
            f"{best['low']:.0%} to {best['high']:.0%}); what learns from other artists of the same "
            f"corpus, {inside['accuracy'].min():.0%} to {inside['accuracy'].max():.0%}"
            + (f"; {luck}." if lucky else ".")
        )
    return " ".join(sentences)


def retrieval(table: pd.DataFrame, group_by: str = "artist") -> str:
    """Say what `measure` found; `group_by` says what a group is, artist or track."""
    best = table.loc[table["precision"].idxmax()]
    base, both = (
        table[table["vector"] == name].iloc[0] for name in (search.BASELINE, search.VECTORS[-1])
    )
    count, chance = table.attrs["count"], table.attrs["chance"]
    text = (
        f"Of the {count} nearest tracks, the query's own {group_by} left out, "
        f"{base['precision']:.0%} are of its genre by {search.BASELINE}, "
        f"and {both['precision']:.0%} [{both['low']:.0%}, "
        f"{both['high']:.0%}] by both parts together; drawn at random, "
        f"{chance:.0%} would be. The highest share is that of `{best['vector']}`"
    )
    text += f" ({best['precision']:.0%})." if best["vector"] != both["vector"] else "."
    better = [row["vector"] for _, row in table[1:].iterrows() if row["p_holm"] < 0.05]
    named = ", ".join(f"`{name}`" for name in better) or "none of the others"
    return f"{text} Separable from {search.BASELINE}: {named} (sign flips over {group_by}s, Holm)."
