"""TODO plots.comparison."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.colors import to_rgb

from genre_utils.plots import base as style_base
from genre_utils.plots import features as features_plots


def confusion(matrices: dict[str, np.ndarray], genres):
    """Confusion matrices: share of the tracks of a true genre (row), with counts.

    Parameters
    ----------
    matrices : dict of str to np.ndarray, shape (genres, genres)
        Rows true, columns predicted, by model.
    genres : list of str
    """
    columns = min(3 if len(genres) < 6 else 2, len(matrices))
    rows, few = -(-len(matrices) // columns), len(matrices) < 3
    size = (0.52 if few else 0.4) if len(genres) < 6 else 0.3
    width = max(4.2, 1.4 + size * len(genres)) if len(matrices) == 1 else 7.2
    size = min(size, (width - 1.3) / columns / len(genres))
    figure, axes = plt.subplots(
        rows, columns, squeeze=False, sharex=True, sharey=True,
        figsize=(width, (size * len(genres) + 0.32) * rows + 1.3),
    )  # fmt: skip
    for axis in axes.flat[len(matrices) :]:
        axis.set_visible(False)
    for place, (name, matrix) in enumerate(matrices.items()):
        axis, matrix = axes.flat[place], np.asarray(matrix)
        share = matrix / matrix.sum(axis=1, keepdims=True).clip(min=1)
        options = {"annot": matrix, "fmt": "d", "cmap": "Blues", "vmin": 0, "vmax": 1}
        options |= {"cbar": False, "square": True, "annot_kws": {"size": 9 if size > 0.35 else 7}}
        sns.heatmap(share, xticklabels=genres, yticklabels=genres, ax=axis, **options)
        axis.set_title(style_base.plain(name), fontsize="medium" if few else "small")
        axis.tick_params(labelsize="medium" if few else "small", length=0)
        axis.tick_params(axis="x", rotation=90, labelbottom=place >= columns * (rows - 1))
        axis.tick_params(axis="y", rotation=0)
    figure.supxlabel("predicted", fontsize="medium")
    figure.supylabel("true", fontsize="medium")
    figure.suptitle("Numbers: tracks; colour: share of the row", fontsize="medium")
    return figure


def accuracy_intervals(results: dict, paper: dict[str, float]):
    """Track-level accuracy of each model with its 95 % interval, chance, and the paper's claim."""
    models = results["models"]
    names = sorted(models, key=lambda name: models[name]["accuracy"])
    figure, axes = plt.subplots(figsize=(7.2, 0.3 * len(names) + 1.7))
    for y, name in enumerate(names):
        low, high = models[name]["ci95"]["accuracy"]
        colour = style_base.MODEL_COLOURS.get(name, "C7")
        axes.plot([low, high], [y, y], lw=3, color=colour, solid_capstyle="round")
        axes.plot(models[name]["accuracy"], y, "o", ms=8, color=colour)
        if name in paper:
            axes.plot(paper[name], y, "|", ms=14, mew=2.5, color=style_base.MODEL_COLOURS["paper"])
    chance = 1 / len(results["corpus"]["genres"])
    axes.axvline(chance, color="0.6", ls="--", lw=1, label="guessing")
    if set(paper) & set(names):
        axes.plot(
            [],
            [],
            "|",
            ms=14,
            mew=2.5,
            color=style_base.MODEL_COLOURS["paper"],
            label="paper's claim",
        )
    axes.set(
        title="Accuracy of whole tracks",
        xlabel="accuracy, with 95 % intervals over artists",
        xlim=(0, 1),
        ylim=(-0.6, len(names) - 0.4),
        yticks=range(len(names)),
        yticklabels=names,
    )
    axes.grid(axis="y", visible=False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def per_genre(results: dict, measure: str = "recall"):
    """One measure of every genre and model, with 95 % intervals, one axis for each genre."""
    models, genres = results["models"], results["corpus"]["genres"]
    names, rows = list(models)[::-1], -(-len(genres) // 2)
    figure, axes = plt.subplots(
        rows, 2, squeeze=False, sharex=True, sharey=True,
        figsize=(7.2, (0.24 * len(names) + 0.5) * rows + 0.9),
    )  # fmt: skip
    for axis in axes.flat[len(genres) :]:
        axis.set_visible(False)
    for axis, genre in zip(axes.flat, genres, strict=False):
        for y, name in enumerate(names):
            numbers, colour = (
                models[name]["per_genre"][genre],
                style_base.MODEL_COLOURS.get(name, "C7"),
            )
            limits = np.array(numbers["ci95"][measure], dtype=float)  # None becomes NaN
            axis.plot(limits, [y, y], lw=2.5, color=colour, solid_capstyle="round")
            axis.plot(numbers[measure], y, "o", ms=6, color=colour)
        axis.set_title(
            f"{style_base.plain(genre)} ({numbers['support']} tracks)", fontsize="medium"
        )
        axis.set(xlim=(-0.02, 1.02), ylim=(-0.6, len(names) - 0.4))
        axis.set_yticks(range(len(names)), names, fontsize="small")
        axis.grid(axis="y", visible=False)
    figure.suptitle(f"{measure.capitalize()} per genre", fontsize="medium")
    figure.supxlabel(f"{measure}, with 95 % intervals over artists", fontsize="medium")
    return figure


def leakage(price: dict):
    """Draw what the same classifier on the same excerpts reports under three splits.

    Parameters
    ----------
    price : dict
        From `study_results.leakage`: accuracies and their 95 % intervals.
    """
    labels = {
        "segment": "excerpts at random\n(most open projects)",
        "track": "tracks at random",
        "artist": "artists apart\n(this study)",
    }
    figure, axes = plt.subplots(figsize=(7.2, 3))
    values = np.array([price[split] for split in labels])
    low, high = np.array([price["ci95"][split] for split in labels]).T
    colours = [features_plots.dark(to_rgb(colour)) for colour in ("C3", "C1", "C2")]
    axes.barh(list(labels.values()), values, color=colours, height=0.6)
    axes.errorbar(
        values, range(3), xerr=[values - low, high - values], fmt="none", color="k", capsize=4
    )
    for y, value in enumerate(values):
        axes.text(0.02, y, f"{value:.2f}", color="white", weight="bold", va="center")
    axes.invert_yaxis()
    axes.set(
        title="The price of leakage: one SVM, three splits",
        xlabel="accuracy of single excerpts, with 95 % intervals over artists",
        xlim=(0, 1.05),
    )
    axes.grid(axis="y", visible=False)
    return figure


#: How columns of `scoring.track_probabilities` are called where they are shown.
TRACK_COLUMNS = {"track_id": "track", "y_true": "its genre", "y_pred": "answer"}
