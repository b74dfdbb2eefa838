"""Pictures of the long measurements; each function draws one figure from plain data."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from genre_utils.experiments import corruptions
from genre_utils.experiments import leakage as leakage_module
from genre_utils.experiments import learning_curve as learning_curve_module
from genre_utils.plots.base import MODEL_COLOURS, plain

ORANGE, BLUE, PURPLE, GREY = "#de8f05", "#0173b2", "#9b4fb5", "0.45"
#: What was heard before, under each split of `leakage.SPLITS`, and its colour.
HEARD = {
    "segment": ("excerpts at random:\nthe recording was heard", "#c44e2f"),
    "track": ("tracks at random:\nthe artist was heard", "#b07d12"),
    "artist": ("artists apart:\nall is new", "#3f7f3f"),
}
MARKS = "osD^vP"


def leakage_at_equal_size(table: pd.DataFrame, *, genres: int):
    """Accuracy of single excerpts under three splits, one panel for each model.

    Parameters
    ----------
    table : pd.DataFrame
        From `leakage.price`.
    genres : int
        How many there are, for what guessing earns.
    """
    table = table[table["level"] == "excerpt"]
    models = list(table["model"].unique())
    figure, axes = plt.subplots(
        len(models), figsize=(7.2, 1.85 * len(models) + 0.9), sharex=True, squeeze=False
    )
    for axis, model in zip(axes[:, 0], models, strict=True):
        rows = table[table["model"] == model].set_index("split").loc[list(leakage_module.SPLITS)]
        colours = [HEARD[split][1] for split in rows.index]
        places = np.arange(len(rows))
        axis.barh(places, rows["accuracy"], color=colours, height=0.66)
        axis.hlines(places, rows["low"], rows["high"], color="k", lw=2)
        for y, row in enumerate(rows.itertuples()):
            axis.plot(row.by_seed, [y + 0.18] * len(row.by_seed), "o", ms=5, mfc="w", mec="k")
            text = {"color": "white", "weight": "bold", "va": "center"}
            axis.text(0.02, y, f"{row.accuracy:.0%}", **text)
        axis.axvline(1 / genres, color="k", ls=":", lw=1.5)
        axis.set_yticks(places, [HEARD[split][0] for split in rows.index], fontsize="small")
        axis.invert_yaxis()
        axis.set_title(plain(model), loc="left")
        axis.grid(axis="y", visible=False)
    axes[-1, 0].set(xlim=(0, 1), xlabel="accuracy of single excerpts (dotted: guessing)")
    axes[-1, 0].xaxis.set_major_formatter(PercentFormatter(1))
    axes[0, 0].plot([], [], "k-", lw=2, label="95 % over artists")
    axes[0, 0].plot([], [], "o", ms=5, mfc="w", mec="k", label="each deal")
    figure.legend(loc="outside lower right", ncols=2, frameon=False, fontsize="small")
    figure.suptitle("The same model, and as much to learn from: three splits", fontsize="medium")
    return figure


def changes(table: pd.DataFrame):
    """Accuracy of every model after every change; colour is what the change does.

    Parameters
    ----------
    table : pd.DataFrame
        From `robustness.compare`.
    """
    order = list(table["change"].drop_duplicates())
    models = list(table["model"].drop_duplicates())
    accuracy, difference = (
        table.pivot_table(index="change", columns="model", values=what, aggfunc="first", sort=False)
        .reindex(index=order, columns=models)
        .to_numpy(float)
        for what in ("accuracy", "difference")
    )
    questions = table.drop_duplicates("change").set_index("change")["question"].to_numpy()
    figure, axes = plt.subplots(figsize=(7.2, 0.27 * len(order) + 1.9))
    reach = max(0.1, np.nanmax(np.abs(difference)))
    shown = np.where(np.isnan(difference), 0.0, difference)
    drawn = axes.imshow(shown, cmap="RdBu", vmin=-reach, vmax=reach, aspect="auto")
    for (row, column), value in np.ndenumerate(accuracy):
        dark = abs(shown[row, column]) > 0.65 * reach
        style = {"ha": "center", "va": "center", "color": "w" if dark else "k"}
        axes.text(column, row, f"{100 * value:.0f}", fontsize=7.5, **style)
    for row in np.flatnonzero(questions[1:] != questions[:-1]):
        axes.axhline(row + 0.5, color="w", lw=3)
    axes.set_yticks(range(len(order)), order, fontsize="small")
    axes.set_xticks(range(len(models)), [plain(m).replace(", ", ",\n") for m in models],
                    fontsize="small", rotation=60, ha="left", rotation_mode="anchor")  # fmt: skip
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    figure.colorbar(
        drawn, ax=axes, location="bottom", shrink=0.6, aspect=35, pad=0.02,
        label="change of accuracy (points)", format=FuncFormatter(lambda v, _: f"{100 * v:.0f}"),
    )  # fmt: skip
    figure.suptitle("Tracks recognised (%), as recordings are and changed", fontsize="medium")
    return figure


def strengths(table: pd.DataFrame, models, *, genres: int):
    """Accuracy against how strong a change is, with 95 % intervals: noise, and length of a clip.

    Parameters
    ----------
    table : pd.DataFrame
        From `robustness.compare`.
    models : sequence of str
        Up to six of its models.
    genres : int
        How many there are, for what guessing earns.
    """
    axis_of = {
        corruptions.NOISE: "signal-to-noise ratio (dB)",
        corruptions.LENGTH: "length of the clip (s)",
    }
    here = [question for question in axis_of if (table["question"] == question).any()]
    figure, axes = plt.subplots(1, len(here), figsize=(7.2, 3.7), sharey=True, squeeze=False)
    for axis, question in zip(axes[0], here, strict=True):
        labels = table[table["question"] == question].drop_duplicates("change")
        labels = labels.sort_values("value", ascending=question == corruptions.LENGTH)["change"]
        labels = (
            [*labels, corruptions.CLEAN]
            if question == corruptions.LENGTH
            else [corruptions.CLEAN, *labels]
        )
        for number, model in enumerate(models):
            rows = table[table["model"] == model].set_index("change").loc[labels]
            x = np.arange(len(rows)) + 0.09 * (number - (len(models) - 1) / 2)
            colour, mark = _look(model, number)
            axis.plot(x, rows["accuracy"], mark, ls="-", lw=1.5, ms=5, color=colour, label=model)
            axis.vlines(x, rows["low"], rows["high"], color=colour, lw=1.2, alpha=0.7)
        ticks = [label.removeprefix("noise at ").removesuffix(" dB") for label in labels]
        ticks = [tick.removeprefix("clip of ").removesuffix(" s") for tick in ticks]
        ticks = [tick.replace(corruptions.CLEAN, "as\nit is") for tick in ticks]
        axis.set_xticks(range(len(ticks)), ticks)
        axis.set(title=question, xlabel=axis_of[question], ylim=(0, 1))
        axis.axhline(1 / genres, color="k", ls=":", lw=1.5, label="guessing")
    axes[0, 0].set_ylabel("accuracy of tracks")
    axes[0, 0].yaxis.set_major_formatter(PercentFormatter(1))
    handles, names = axes[0, 0].get_legend_handles_labels()
    options = {"ncols": 4, "frameon": False, "fontsize": "small"}
    figure.legend(handles, names, loc="outside lower center", **options)
    return figure


def _look(model, number):
    """Colour and mark of a model; one that is not of the study is purple."""
    return MODEL_COLOURS.get(model, PURPLE), MARKS[number % len(MARKS)]


def copies(table: pd.DataFrame):
    """What training on changed copies is worth after each change, with 95 % intervals.

    Parameters
    ----------
    table : pd.DataFrame
        From `robustness.copies_worth`.
    """
    figure, axes = plt.subplots(figsize=(7.2, 0.25 * len(table) + 1.4))
    points = 100 * table[["difference", "low", "high"]]
    colours = np.where(table["separable"], BLUE, GREY)
    y = np.arange(len(table))
    axes.hlines(y, points["low"], points["high"], color=colours, lw=3)
    axes.scatter(points["difference"], y, s=40, c=colours, zorder=3)
    axes.axvline(0, color="0.4", ls="--", lw=1)
    axes.set_yticks(y, table["change"], fontsize="small")
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set(
        title="What training on changed copies changes",
        xlabel="points of accuracy, 95 % (grey: not separable)",
    )
    return figure


def transfer(table: pd.DataFrame):
    """Accuracy on each corpus of what learned from it, and of what learned from the other.

    Parameters
    ----------
    table : pd.DataFrame
        From `transfer.compare`.
    """
    models, corpora = list(table["model"].unique()), list(table["tested"].unique())
    figure, axes = plt.subplots(
        1, len(corpora), figsize=(7.2, 0.5 * len(models) + 1.9), sharey=True, squeeze=False
    )
    kinds = (("learned from the same corpus", True, "o", BLUE),
             ("learned from the other", False, "D", ORANGE))  # fmt: skip
    for axis, tested in zip(axes[0], corpora, strict=True):
        for name, same, mark, colour in kinds:
            own = (table["learned"] == tested) == same
            rows = table[(table["tested"] == tested) & own].set_index("model").reindex(models)
            y = np.arange(len(models)) + (-0.14 if same else 0.14)
            axis.hlines(y, rows["low"], rows["high"], color=colour, lw=2.5)
            axis.plot(rows["accuracy"], y, mark, color=colour, ms=7, label=name)
        axis.axvline(table["guess"].iloc[0], color="k", ls=":", lw=1.5, label="guessing")
        title = f"tested on {plain(tested)}"
        axis.set(title=title, xlim=(0, 1), xlabel="accuracy of tracks, 95 %")
        axis.set_yticks(range(len(models)), models)
        axis.set_ylim(len(models) - 0.5, -0.5)
        axis.xaxis.set_major_formatter(PercentFormatter(1))
        axis.grid(axis="y", visible=False)
    handles, names = axes[0, 0].get_legend_handles_labels()
    options = {"ncols": 3, "frameon": False, "fontsize": "small"}
    figure.legend(handles, names, loc="outside lower center", **options)
    return figure


def accuracy_by_training_size(table: pd.DataFrame, *, genres: int):
    """Accuracy against the tracks that a fold learns from, one panel for each model.

    Parameters
    ----------
    table : pd.DataFrame
        From `learning_curve.curve`.
    genres : int
        How many there are, for what guessing earns.
    """
    models = list(table["model"].unique())
    columns = min(2, len(models))
    rows = -(-len(models) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(7.2, 2.6 * rows + 0.9), sharex=True, sharey=True, squeeze=False
    )
    for axis in axes.flat[len(models) :]:
        axis.set_visible(False)
    looks = {"tracks": ("o", BLUE, -1), "artists": ("D", ORANGE, 1)}
    nudge = 0.006 * table["tracks"].max()
    for number, (axis, model) in enumerate(zip(axes.flat, models, strict=False)):
        for by, (mark, colour, side) in looks.items():
            own = table[(table["model"] == model) & (table["by"] == by)].sort_values("tracks")
            x = own["tracks"] + side * nudge
            axis.plot(
                x,
                own["accuracy"],
                mark,
                ls="-",
                lw=1.5,
                color=colour,
                label=learning_curve_module.BY[by],
            )
            axis.vlines(x, own["low"], own["high"], color=colour, lw=1.5, alpha=0.7)
        axis.axhline(1 / genres, color="k", ls=":", lw=1.5, label="guessing")
        axis.set(title=plain(model), ylim=(0, 1), xlim=(0, None))
        if number + columns >= len(models):  # nothing is drawn below it
            axis.set_xlabel("tracks that a fold learns from")
            axis.tick_params(labelbottom=True)
        axis.yaxis.set_major_formatter(PercentFormatter(1))
    for axis in axes[:, 0]:
        axis.set_ylabel("accuracy of tracks")
    handles, names = axes.flat[0].get_legend_handles_labels()
    options = {"ncols": 3, "frameon": False, "fontsize": "small"}
    figure.legend(handles, names, loc="outside lower center", **options)
    return figure


def costs(table: pd.DataFrame):
    """Accuracy of every model against two costs; the line joins those that nothing cheaper beats.

    Parameters
    ----------
    table : pd.DataFrame
        From `learning_curve.costs`.
    """
    what = {
        "training_seconds": "training, all folds (s)",
        "parameters": "parameters",
    }
    here = [cost for cost in what if table[cost].notna().any()]
    figure, axes = plt.subplots(len(here), figsize=(7.2, 2.7 * len(here) + 1.4), squeeze=False)
    for axis, cost in zip(axes[:, 0], here, strict=True):
        front = table[table[f"on_front_{cost}"]].sort_values(cost)
        axis.step(front[cost], front["accuracy"], where="post", color="0.6", lw=2, zorder=0)
        for number, (name, row) in enumerate(table.iterrows()):
            colour, mark = _look(name, number)
            axis.vlines(row[cost], row["low"], row["high"], color=colour, lw=1.5, alpha=0.5)
            axis.plot(row[cost], row["accuracy"], mark, color=colour, ms=7, label=plain(name))
        for name, row in front.iterrows():
            place = {"xytext": (-5, 5), "textcoords": "offset points", "ha": "right"}
            axis.annotate(plain(name), (row[cost], row["accuracy"]), fontsize="small", **place)
        axis.set(xscale="log", xlabel=what[cost], ylabel="accuracy of tracks")
        axis.margins(x=0.12)
        axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        if cost == "parameters":
            axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    handles, names = axes[0, 0].get_legend_handles_labels()
    options = {"ncols": 5, "frameon": False, "fontsize": "small"}
    figure.legend(handles, names, loc="outside lower center", **options)
    figure.suptitle("Accuracy and its cost; on the line, nothing cheaper is as good",
                    fontsize="medium")  # fmt: skip
    return figure
