"""What was trained anew to be measured: leakage, robustness, transfer, variants, costs."""

from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from genre_utils.plots import base

DARK, LIGHT = "0.2", "0.55"  # colours are for kinds of models
#: What was met in training under each split, and its grey.
MET = {
    "segment": ("excerpts at random:\nthe recording was met", "0.55"),
    "track": ("tracks at random:\nthe artist was met", "0.42"),
    "artist": ("artist-disjoint:\nall is new", "0.25"),
}


def leakage(table: pd.DataFrame, title: str, *, genres: int):
    """Draw the accuracy of single excerpts under three splits, a panel for each model.

    Parameters
    ----------
    table : pd.DataFrame
        Columns model, split, accuracy, low, high, and by_seed (list of float) if drawn repeatedly.
    title : str
        Title of the figure.
    genres : int
        How many there are, for the chance level.
    """
    models, (labels, colours) = table["model"].unique(), zip(*MET.values(), strict=True)
    figure, axes = base.panels(len(models), 1, 1.85, 0.9, sharex=True)
    for axis, model in zip(axes[:, 0], models, strict=True):
        rows = table[table["model"] == model].set_index("split").loc[list(MET)].reset_index()
        axis.barh(rows.index, rows["accuracy"], color=colours, height=0.66)
        axis.hlines(rows.index, rows["low"], rows["high"], "k", lw=2, label="95 % interval")
        for y, accuracy in rows["accuracy"].items():
            said = f"{100 * accuracy:.0f}\N{NO-BREAK SPACE}%"
            axis.text(0.02, y, said, color="white", weight="bold", va="center")
        if "by_seed" in rows:
            draws = rows["by_seed"].explode().astype(float)
            look = {"ms": 5, "mfc": "w", "mec": "k", "label": "each random draw"}
            axis.plot(draws, draws.index + 0.18, "o", **look)
        axis.axvline(1 / genres, color="k", ls=":", lw=1.5)
        axis.set_title(base.plain(model), loc="left")
        axis.set_yticks(rows.index, labels, fontsize="small")
        axis.set_xlim(0, 1)
        axis.invert_yaxis()
        axis.xaxis.set_major_formatter(base.PERCENT)
        axis.grid(axis="y", visible=False)
    axes[-1, 0].set_xlabel("accuracy of single excerpts (dotted: chance level)")
    base.legend(figure, axes[0, 0], columns=2, loc="outside lower right")
    figure.suptitle(title)
    return figure


def changes(table: pd.DataFrame):
    """Draw the accuracy of every model after every change; colour is what the change does.

    Parameters
    ----------
    table : pd.DataFrame
        From `robustness.compare`.
    """
    questions = table.drop_duplicates("change").set_index("change")["question"]
    models = table["model"].unique()
    accuracy, difference = (
        table.pivot_table(what, "change", "model", "first").reindex(questions.index)[models]
        for what in ("accuracy", "difference")
    )
    figure, axes = plt.subplots(figsize=(base.WIDTH, 0.27 * len(accuracy) + 1.9))
    reach = max(0.1, difference.abs().max(axis=None))
    names = [name.replace(", ", ",\n") for name in base.labels(models, 16, 1)]
    options = {"colours": "RdBu", "limits": (-reach, reach), "annot_kws": {"size": 7.5}}
    text = (100 * accuracy).map("{:.0f}".format)
    drawn = base.heat_map(axes, difference.fillna(0.0), accuracy.index, names, text=text, **options)
    starts = np.flatnonzero(questions.to_numpy()[1:] != questions.to_numpy()[:-1]) + 1
    axes.hlines(starts, 0, len(models), color="w", lw=3)
    axes.set(xlabel="", ylabel="")
    axes.xaxis.tick_top()
    axes.tick_params(labelsize="small", length=0)
    plt.setp(axes.get_xticklabels(), rotation=60, ha="left", rotation_mode="anchor")
    look = {"aspect": 35, "pad": 0.02, "format": PercentFormatter(1, decimals=0, symbol="")}
    base.colour_bar(figure, drawn, axes, "change of accuracy (points)", **look)
    figure.suptitle("Tracks recognised (%), as recordings are and changed")
    return figure


def denoising(table: pd.DataFrame):
    """Draw accuracy against the level of each noise, a line per treatment and column per model.

    Parameters
    ----------
    table : pd.DataFrame
        From `denoising.compare`; what has no noise has an infinite ratio.
    """
    clean, models = np.isinf(table["snr"]), table["model"].unique()
    noises, levels = table["noise"][~clean].unique(), sorted(table["snr"].unique())[::-1]
    looks = {"none": ("o-", -0.12), "stationary": ("s--", 0.0), "non-stationary": ("^:", 0.12)}
    options = {"squeeze": False, "sharex": True, "sharey": True}
    size = base.WIDTH, 1.55 * len(noises) + 0.8
    figure, axes = plt.subplots(len(noises), len(models), figsize=size, **options)
    for (row, noise), (column, model) in product(enumerate(noises), enumerate(models)):
        axis, own = axes[row, column], table[(clean | (table["noise"] == noise))]
        for treatment, (look, shift) in looks.items():
            kept = (own["model"] == model) & (own["treatment"] == treatment)
            line = own[kept].set_index("snr").loc[levels]
            x, colour = np.arange(len(levels)) + shift, {"color": base.colour(model)}
            label = "no denoising" if treatment == "none" else treatment
            axis.plot(x, line["accuracy"], look, ms=4, label=label, **colour)
            axis.vlines(x, line["low"], line["high"], lw=1, alpha=0.6, **colour)
        axis.set_xticks(range(len(levels)), ["none", *(f"{snr:g}" for snr in levels[1:])])
        axis.set(title=base.plain(model) if row == 0 else "", ylim=(0, 1))
        axis.yaxis.set_major_formatter(base.PERCENT)
        if column == 0:
            axis.set_ylabel(noise)
    axes[-1, len(models) // 2].set_xlabel("noise: signal-to-noise ratio (dB)")
    figure.suptitle("Accuracy of tracks by noise, and denoising (lines: 95 % intervals)")
    base.legend(figure, axes[0, 0], columns=3)
    return figure


def variants(
    table: pd.DataFrame, *, names="title", heading="What each change is worth", measure="accuracy"
):
    """Draw differences of variants of a model from their baselines.

    Parameters
    ----------
    table : pd.DataFrame
        From `ablation.compare`, `robustness.compare_copies` or `measurements.by_genre`.
    names, heading, measure : str
        Column that names the rows, title of the figure, and what differs.
    """
    figure, axes = plt.subplots(figsize=(base.WIDTH, 0.3 * len(table) + 1.7))
    points = 100 * table[["difference", "low", "high"]].astype(float)
    apart = table["separable"].eq(True)
    look = {"colours": np.where(apart, DARK, LIGHT), "faces": np.where(apart, DARK, "1")}
    base.forest(axes, points, base.labels(table[names], 40), "difference", **look)
    starts = np.flatnonzero(table["question"].to_numpy()[1:] != table["question"].to_numpy()[:-1])
    axes.hlines(starts + 0.5, *axes.get_xlim(), color="0.6", lw=1)
    axes.axvline(0, color="0.4", ls="--", lw=1)
    axes.set_title(heading)
    axes.set_xlabel(f"change of {measure} of tracks (points)")
    return figure


def transfer(table: pd.DataFrame):
    """Draw the accuracy on each corpus of what learned from it, and from the other.

    Parameters
    ----------
    table : pd.DataFrame
        From `transfer.compare`.
    """
    models, corpora = list(table["model"].unique()), list(table["tested"].unique())
    figure, axes = base.panels(len(corpora), len(corpora), 0.5 * len(models) + 1.9, 0, sharey=True)
    kinds = (("learned from the same corpus", True, "o", DARK),
             ("learned from the other", False, "D", LIGHT))  # fmt: skip
    for axis, tested in zip(axes[0], corpora, strict=True):
        for label, same, mark, colour in kinds:
            own = (table["tested"] == tested) & ((table["learned"] == tested) == same)
            rows = table[own].set_index("model").reindex(models)
            look = {"shift": -0.14 if same else 0.14, "marker": mark, "label": label}
            base.forest(axis, rows, base.labels(models, 20, 1), "accuracy", colours=colour, **look)
        axis.axvline(table["guess"].iloc[0], color="k", ls=":", lw=1.5, label="chance level")
        axis.set(title=base.label(f"tested on {tested}", 24, 3), xlim=(0, 1))
        axis.set_xlabel("accuracy of tracks (line: 95 % interval)")
        axis.xaxis.set_major_formatter(base.PERCENT)
    base.legend(figure, axes[0, 0], columns=3)
    return figure


def accuracy_by_training_size(table: pd.DataFrame, *, genres: int):
    """Draw accuracy against the tracks that a fold learns from.

    Parameters
    ----------
    table : pd.DataFrame
        From `learning_curve.curve`.
    genres : int
        How many there are, for the chance level.
    """
    models = table["model"].unique()
    columns = min(2, len(models))
    figure, axes = base.panels(len(models), columns, 1.9, 1.1, sharex=True, sharey=True)
    looks = {"tracks": ("o", DARK, -1, "all artists, fewer tracks each"),
             "artists": ("D", LIGHT, 1, "fewer artists, all their tracks")}  # fmt: skip
    nudge = 0.006 * table["tracks"].max()
    for number, (axis, model) in enumerate(zip(axes.flat, models, strict=False)):
        for by, (mark, colour, side, label) in looks.items():
            own = table[(table["model"] == model) & (table["by"] == by)].sort_values("tracks")
            x = own["tracks"] + side * nudge
            axis.plot(x, own["accuracy"], mark, ls="-", lw=1.5, color=colour, label=label)
            axis.vlines(x, own["low"], own["high"], color=colour, lw=1.5, alpha=0.7)
        axis.axhline(1 / genres, color="k", ls=":", lw=1.5, label="chance level")
        axis.set(title=base.label(model, 26), ylim=(0, 1), xlim=(0, None))
        if number + columns >= len(models):  # nothing is drawn below it
            axis.set_xlabel("tracks that a fold learns from")
            axis.tick_params(labelbottom=True)
        axis.yaxis.set_major_formatter(base.PERCENT)
    plt.setp(axes[:, 0], ylabel="accuracy of tracks")
    figure.suptitle("Accuracy by what is learned from")
    base.legend(figure, axes[0, 0], columns=3)
    return figure


def accuracy_by_artists(table: pd.DataFrame, *, genres: int):
    """Draw accuracy against the artists that a fold learns from, a line per model.

    Parameters
    ----------
    table : pd.DataFrame
        From `pretraining.curve`.
    genres : int
        How many there are, for the chance level.
    """
    figure, ((axis,),) = base.panels(1, 1, 3.0, 0.6)
    nudge = 0.004 * table["artists"].max()  # so that intervals do not cover one another
    for number, (model, own) in enumerate(table.groupby("model", sort=False)):
        x, look = own["artists"] + (2 * number - 1) * nudge, {"color": base.colour(model)}
        axis.plot(x, own["accuracy"], base.mark(model), ls="-", label=base.plain(model), **look)
        axis.vlines(x, own["low"], own["high"], alpha=0.7, **look)
    axis.axhline(1 / genres, color="k", ls=":", lw=1.5, label="chance level")
    axis.set(title="Accuracy by artists that are known", ylabel="accuracy of tracks, 95 %")
    axis.set(xlabel="artists that a fold learns from", ylim=(0, 1), xlim=(0, None))
    axis.yaxis.set_major_formatter(base.PERCENT)
    base.legend(figure, columns=3)
    return figure


def costs(table: pd.DataFrame, chance: float | None = None):
    """Draw the accuracy of every model against two costs, and the best accuracy for a cost.

    Parameters
    ----------
    table : pd.DataFrame
        From `evaluation.costs`.
    chance : float, optional
        Accuracy at chance level.
    """
    what = {"training_cpu_seconds": "CPU time of training (s)", "parameters": "parameters"}
    here = [cost for cost in what if table[cost].notna().any()]
    figure, axes = base.panels(len(here), 1, 2.9, 1.4, sharey=True)
    figure.set_layout_engine("constrained", hspace=0.1)
    for axis, cost in zip(axes[:, 0], here, strict=True):
        front = table[table[f"on_front_{cost}"]].sort_values(cost)
        x, y = [*front[cost], 1.5 * table[cost].max()], front["accuracy"]
        axis.step(x, [*y, y.iloc[-1]], where="post", color="0.6", lw=2, zorder=0)
        for name, row in table.iterrows():
            colour, mark = base.colour(name), base.mark(name)
            axis.vlines(row[cost], row["low"], row["high"], color=colour, lw=1.5, alpha=0.5)
            look = {"color": colour, "ms": 7, "mfc": "none", "mew": 1.5, "label": base.plain(name)}
            axis.plot(row[cost], row["accuracy"], mark, **look)
        for k, (name, row) in enumerate(front.iterrows()):  # by turns above and below
            place, look = row[["low", "high"][1 - k % 2]], {"ha": "center", "fontsize": "small"}
            look |= {"textcoords": "offset points", "va": ("bottom", "top")[k % 2]}
            axis.annotate(base.label(name), (row[cost], place), (0, 2 - 4 * (k % 2)), **look)
        if chance is not None:
            axis.axhline(chance, color="k", ls=":", lw=1.5, label="chance level")
        axis.set(xscale="log", xlabel=what[cost])
        axis.margins(x=0.12, y=0.12)
        axis.yaxis.set_major_formatter(base.PERCENT)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        if cost == "parameters":
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    figure.supylabel("accuracy of tracks")
    base.legend(figure, axes[0, 0], columns=5)
    figure.suptitle("Accuracy and its cost")
    return figure
