"""Pictures of how sure the comparison is: each draws one figure from plain data and returns it."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter

from genre_utils.evaluation import power
from genre_utils.plots.base import MODEL_COLOURS, plain

APART, UNCLEAR = "#0173b2", "#949494"


def forest(pairs: list[dict]):
    """Differences in accuracy of pairs of models with their 95 % intervals.

    Parameters
    ----------
    pairs : list of dict
        From `comparisons.main_pairs`.
    """
    height = 0.34 * len(pairs) + 1.9
    figure, axes = plt.subplots(figsize=(7.2, height))
    for y, pair in enumerate(pairs):
        low, high = (100 * limit for limit in pair["ci95"])
        colour = APART if pair["separable"] else UNCLEAR
        axes.plot([low, high], [y, y], lw=3, color=colour, solid_capstyle="round")
        face = colour if pair["separable"] else "white"
        axes.plot(100 * pair["difference"], y, "o", ms=8, mec=colour, mfc=face, mew=2)
    primary = sum(pair["primary"] for pair in pairs)
    if 0 < primary < len(pairs):
        axes.axhline(primary - 0.5, color="0.6", lw=1)
    axes.axvline(0, color="0.3", ls="--", lw=1)
    axes.plot([], [], "o-", lw=3, ms=8, color=APART, label="separable")
    axes.plot([], [], "o-", lw=3, ms=8, mfc="white", mew=2, color=UNCLEAR, label="not separable")
    axes.set(
        title="Differences in accuracy, with 95 % intervals",
        xlabel="accuracy of the first less that of the second (points)",
        ylim=(len(pairs) - 0.4, -0.6),
        yticks=range(len(pairs)),
        yticklabels=[plain(f"{pair['a']} − {pair['b']}") for pair in pairs],
    )
    axes.grid(axis="y", visible=False)
    both = 0 < primary < len(pairs)
    title = "above the line: the paper's pairs; below: the most accurate model's" if both else None
    figure.legend(loc="outside lower center", ncols=2, frameon=False, title=title)
    return figure


def power_curves(pairs: list[dict]):
    """Chance of separating each pair against the size of the corpus.

    Parameters
    ----------
    pairs : list of dict
        From `power.of_pairs`.
    """
    columns = min(2, len(pairs))
    rows = -(-len(pairs) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(7.2, 1.8 * rows + 1.5), sharex=True, sharey=True, squeeze=False
    )
    looks = {power.OBSERVED: ("C0", "-o"), power.LARGEST: ("C1", "--s")}
    for axis in axes.flat[len(pairs) :]:
        axis.set_visible(False)
    for axis, pair in zip(axes.flat, pairs, strict=False):
        curves = pd.DataFrame(pair["curves"])
        for assumed, (colour, look) in looks.items():
            curve = curves[curves["assumed"] == assumed]
            axis.plot(curve["tracks"], curve["power"], look, color=colour, ms=4, lw=2)
        axis.axhline(power.POWER, color="0.4", ls=":", lw=1.5)
        axis.set_title(plain(f"{pair['a']} and {pair['b']}"))
        axis.set(xscale="log", ylim=(0, 1.04))
        axis.set_xticks(*_few_sizes(curves["tracks"]))
        axis.minorticks_off()
        axis.xaxis.set_tick_params(labelbottom=True)
        axis.yaxis.set_major_formatter(PercentFormatter(1))
    for assumed, (colour, look) in looks.items():
        axes[0, 0].plot([], [], look, color=colour, label=f"difference {assumed}")
    for axis in axes[-1]:
        axis.set_xlabel("tracks (the first point is ours)")
    for axis in axes[:, 0]:
        axis.set_ylabel("power")
    figure.suptitle("Chance that the test tells two models apart", fontsize="medium")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def _few_sizes(tracks):
    """Some of the sizes, with their labels, for an axis."""
    sizes = sorted(set(tracks))
    chosen = sizes[::3] if len(sizes) > 4 else sizes
    return chosen, [f"{size:,}" for size in chosen]


def reliability(models: dict[str, dict]):
    """Accuracy against confidence, in bins of equal mass, before and after scaling.

    Parameters
    ----------
    models : dict of str to dict
        `calibration.describe` by model.
    """
    columns = min(2, len(models))
    rows = -(-len(models) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.6 * columns, 3.1 * rows + 0.7), sharex=True, sharey=True,
        squeeze=False,
    )  # fmt: skip
    for axis in axes.flat[len(models) :]:
        axis.set_visible(False)
    for axis, (name, found) in zip(axes.flat, models.items(), strict=False):
        bins, colour = found["before"]["bins"], MODEL_COLOURS.get(name, "C0")
        x, y, low, high = (np.array(bins[k]) for k in ("confidence", "accuracy", "low", "high"))
        axis.plot([0, 1], [0, 1], color="0.5", ls="--", lw=1)
        axis.errorbar(x, y, [y - low, high - y], fmt="o-", color=colour, capsize=3, lw=1.5, ms=5)
        title = f"{name}: ECE {found['before']['ece']:.2f}"
        if found["after"]:
            scaled = found["after"]["bins"]
            axis.plot(scaled["confidence"], scaled["accuracy"], "x:", color="0.25", ms=6, mew=1.5)
            title += f", scaled {found['after']['ece']:.2f}"
        axis.set_title(plain(title), fontsize="medium")
        axis.set(xlim=(0, 1.02), ylim=(0, 1.02))
        axis.xaxis.set_tick_params(labelbottom=True)
    axes[0, 0].plot([], [], "o-", color="0.4", label="as it is, 95 %")
    if any(found["after"] for found in models.values()):
        axes[0, 0].plot([], [], "x:", color="0.25", label="temperature-scaled")
    axes[0, 0].plot([], [], "--", color="0.5", label="honest")
    for axis in axes[-1]:
        axis.set_xlabel("confidence")
    for axis in axes[:, 0]:
        axis.set_ylabel("accuracy")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize="small")
    return figure


def accuracy_by_coverage(models: dict[str, dict]):
    """Accuracy on the tracks that a model is surest of, against how many these are.

    Parameters
    ----------
    models : dict of str to dict
        `calibration.describe` by model.
    """
    figure, axes = plt.subplots(figsize=(7.2, 4))
    for number, (name, found) in enumerate(models.items()):
        curve, colour = found["abstaining"], MODEL_COLOURS.get(name, "C7")
        axes.plot(curve["coverages"], curve["accuracies"], lw=2, color=colour, label=plain(name))
        at, beside = curve["at"], 0.006 * (number - (len(models) - 1) / 2)
        low, high = ([abs(limit - at["accuracy"])] for limit in at["ci95"])
        place, mark = at["coverage"] - beside, {"capsize": 3, "ms": 6, "color": colour}
        axes.errorbar([place], [at["accuracy"]], [low, high], fmt="o", **mark)
    axes.set(
        title="Accuracy when the least sure answers are left out",
        xlabel="share of the tracks that are answered",
        ylabel="accuracy on these (bars: 95 %)",
        xlim=(1.01, 0.19),
    )
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize="small")
    return figure
