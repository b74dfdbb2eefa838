"""How good the models are, how sure that is, and how sure they are themselves."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter

from genre_utils.plots import base

APART, UNCLEAR = "#0173b2", "#949494"
#: How columns of `scoring.track_probabilities` are called where they are shown.
TRACK_COLUMNS = {"track_id": "track", "y_true": "its genre", "y_pred": "predicted as"}
CLAIM = {"marker": "|", "ls": "", "ms": 14, "mew": 2.5, "color": base.COLOURS["paper"]}


def confusion(matrices: dict[str, np.ndarray], genres: list[str]):
    """Draw confusion matrices: share of the tracks of a true genre (row).

    Parameters
    ----------
    matrices : dict of str to np.ndarray, shape (genres, genres)
        Rows true, columns predicted, by model: counts (int) or shares (float).
    genres : list of str
        Their names.
    """
    columns = min(3 if len(genres) < 6 else 2 if len(genres) < 19 else 1, len(matrices))
    few = len(matrices) < 3
    size = (0.52 if few else 0.4) if len(genres) < 6 else 0.3
    width = max(4.2, 1.4 + size * len(genres)) if len(matrices) == 1 else base.WIDTH
    size = min(size, (width - 1.3) / columns / len(genres))
    look = {"width": width, "sharex": True, "sharey": True}
    figure, axes = base.panels(len(matrices), columns, size * len(genres) + 0.32, 1.3, **look)
    (font, usual), lines = ("medium", 0.69) if few else ("small", 0.54), 2 if size > 0.233 else 1
    names, long = base.labels(genres, 16, lines), max(map(len, genres)) > 10
    for place, (name, matrix) in enumerate(matrices.items()):
        axis, matrix = axes.flat[place], np.asarray(matrix)
        counted = matrix.dtype.kind == "i"
        share = matrix / matrix.sum(axis=1, keepdims=True).clip(min=1) if counted else matrix
        options = {"text": matrix if counted else 100 * matrix, "fmt": "d" if counted else ".0f"}
        options |= {"square": True, "annot_kws": {"size": 9 if size > 0.35 else 7}}
        base.heat_map(axis, share, names, names, **options)
        axis.set_title(base.label(name, round(7 * width / columns), 1), fontsize=font)
        axis.tick_params(labelsize=min(9, 60 * size / lines) if long else font)
    figure.supxlabel("predicted")
    figure.supylabel("true")
    title = "Numbers: tracks; colour: share of the row" if counted else "Share of the row (%)"
    figure.suptitle(title)
    beside, below = (side.get_tightbbox() for side in (axes[-1, 0].yaxis, axes[-1, 0].xaxis))
    width = max(width, columns * (size * len(genres) + 0.1) + 0.3 + beside.width / figure.dpi)
    figure.set_size_inches(width, figure.get_figheight() + below.height / figure.dpi - usual)
    figure.draw_without_rendering()  # squares find their place in two drawings
    return figure


def accuracy_intervals(results: dict, paper: dict[str, float]):
    """Draw the accuracy of each model with its interval, chance, and the paper's claim.

    Parameters
    ----------
    results : dict
        What ``results.json`` holds.
    paper : dict of str to float
        The paper's accuracy of a model.
    """
    models = sorted(results["models"].items(), key=lambda item: -item[1]["accuracy"])
    rows = {name: (one["accuracy"], *one["ci95"]["accuracy"]) for name, one in models}
    table = pd.DataFrame.from_dict(rows, "index", columns=["accuracy", "low", "high"]).astype(float)
    figure, axes = plt.subplots(figsize=(base.WIDTH, 0.3 * len(table) + 1.7))
    colours = [base.colour(name) for name in table.index]
    base.forest(axes, table, base.labels(table.index, 30, 1), "accuracy", colours=colours)
    axes.axvline(1 / len(results["corpus"]["genres"]), c="0.6", ls="--", lw=1, label="chance level")
    claims = table.index.intersection(list(paper), sort=False)
    if len(claims):
        places = table.index.get_indexer(claims)
        axes.plot([paper[name] for name in claims], places, **CLAIM, label="paper's claim")
    axes.set(title="Accuracy of whole tracks", xlim=(0, 1))
    axes.set_xlabel("accuracy, with 95 % intervals over artists")
    base.legend(figure, columns=2)
    return figure


def per_genre(results: dict):
    """Draw the recall of every genre and model, with 95 % intervals.

    Parameters
    ----------
    results : dict
        What ``results.json`` holds.
    """
    models, genres = results["models"], results["corpus"]["genres"]
    height = 0.24 * len(models) + (0.5 if max(map(len, genres)) < 12 else 0.9)
    figure, axes = base.panels(len(genres), 2, height, 0.9, sharex=True, sharey=True)
    colours = [base.colour(name) for name in models]
    for axis, genre in zip(axes.flat, genres, strict=False):
        numbers = [model["per_genre"][genre] for model in models.values()]
        rows = [(one["recall"], *one["ci95"]["recall"]) for one in numbers]
        table = pd.DataFrame(rows, columns=["recall", "low", "high"], dtype=float)
        base.forest(axis, table, base.labels(models, 20, 1), "recall", colours=colours, size=36)
        title = f"{genre} ({numbers[0]['support']} tracks)"
        axis.set(title=base.label(title, 22, 3), xlim=(-0.02, 1.02))
        axis.tick_params(axis="y", labelsize="small")
    figure.suptitle("Recall per genre")
    figure.supxlabel("recall, with 95 % intervals over artists")
    return figure


def forest(pairs: list[dict]):
    """Draw differences in accuracy of pairs of models with their 95 % intervals.

    Parameters
    ----------
    pairs : list of dict
        From `evaluation.main_pairs`.
    """
    table = pd.DataFrame(pairs)
    table[["low", "high"]] = table["ci95"].tolist()
    table[["difference", "low", "high"]] *= 100
    names = [base.label(f"{pair['a']} − {pair['b']}", 27, 3) for pair in pairs]
    height = 0.34 + 0.18 * max(name.count("\n") for name in names)
    figure, axes = plt.subplots(figsize=(base.WIDTH, height * len(table) + 1.9))
    colours = np.where(table["separable"], APART, UNCLEAR)
    faces = np.where(table["separable"], APART, "white")
    base.forest(axes, table, names, "difference", colours=colours, faces=faces)
    title, above = None, table["primary"].sum()
    if 0 < above < len(table):
        axes.axhline(above - 0.5, color="0.6", lw=1)
        title = "above the line: the paper's pairs; below: the most accurate model's"
    axes.axvline(0, color="0.3", ls="--", lw=1)
    look = {"marker": "o", "lw": 3, "ms": 8, "mew": 2}
    axes.plot([], [], color=APART, label="significantly different", **look)
    axes.plot([], [], color=UNCLEAR, mfc="white", label="not significantly different", **look)
    axes.set_title("Differences in accuracy, with 95 % intervals")
    axes.set_xlabel("accuracy of the first less that of the second (points)")
    base.legend(figure, columns=2, title=title)
    return figure


def power_curves(pairs: list[dict]):
    """Draw the power of the test of each pair against the size of the corpus; 80 % is marked.

    Parameters
    ----------
    pairs : list of dict
        From `evaluation.power`.
    """
    figure, axes = base.panels(len(pairs), 2, 1.8, 1.5, sharex=True, sharey=True)
    for axis, pair in zip(axes.flat, pairs, strict=False):
        curves = pd.DataFrame(pair["curves"])
        several = curves.groupby("assumed", sort=False)
        for (assumed, own), look in zip(several, ("-o", "--s"), strict=False):
            axis.semilogx(
                "tracks", "power", look, data=own, ms=4, lw=2, label=f"difference {assumed}"
            )
        axis.axhline(0.8, color="0.4", ls=":", lw=1.5)
        axis.set(title=base.label(f"{pair['a']} and {pair['b']}", 30, 3), ylim=(0, 1.04))
        sizes = sorted(set(curves["tracks"]))[:: 3 if curves["tracks"].nunique() > 4 else 1]
        axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axis.minorticks_off()
        axis.xaxis.set_tick_params(labelbottom=True)
        axis.yaxis.set_major_formatter(PercentFormatter(1))
    plt.setp(axes[-1], xlabel="tracks (the first point is ours)")
    plt.setp(axes[:, 0], ylabel="power")
    figure.suptitle("Chance that the test tells two models apart")
    base.legend(figure, axes[0, 0], columns=2)
    return figure


def reliability(models: dict[str, dict]):
    """Draw accuracy against confidence, in bins of equal mass, before and after scaling.

    Parameters
    ----------
    models : dict of str to dict
        What ``results.json`` holds as calibration of each.
    """
    width = 3.6 * min(2, len(models))
    figure, axes = base.panels(len(models), 2, 3.1, 0.7, width=width, sharex=True, sharey=True)
    for axis, (name, found) in zip(axes.flat, models.items(), strict=False):
        bins = pd.DataFrame(found["before"]["bins"])
        reach = [bins["accuracy"] - bins["low"], bins["high"] - bins["accuracy"]]
        axis.plot([0, 1], [0, 1], color="0.5", ls="--", lw=1)
        look = {"fmt": "o-", "color": base.colour(name, "C0"), "capsize": 3, "lw": 1.5, "ms": 5}
        axis.errorbar(bins["confidence"], bins["accuracy"], reach, **look)
        title = f"{name}: ECE {found['before']['ece']:.2f}"
        if found["after"]:
            scaled = found["after"]["bins"]
            axis.plot(scaled["confidence"], scaled["accuracy"], "x:", color="0.25", ms=6, mew=1.5)
            title += f", scaled {found['after']['ece']:.2f}"
        axis.set(title=base.label(title, 28, 3), xlim=(0, 1.02), ylim=(0, 1.02))
        axis.xaxis.set_tick_params(labelbottom=True)
    axes[0, 0].plot([], [], "o-", color="0.4", label="as it is, 95 %")
    axes[0, 0].plot([], [], "x:", color="0.25", label="temperature-scaled")
    axes[0, 0].plot([], [], "--", color="0.5", label="calibrated")
    plt.setp(axes[-1], xlabel="confidence")
    plt.setp(axes[:, 0], ylabel="accuracy")
    base.legend(figure, axes[0, 0], columns=3)
    return figure


def accuracy_by_coverage(models: dict[str, dict]):
    """Draw the accuracy on the tracks that a model is surest of, against how many these are.

    Parameters
    ----------
    models : dict of str to dict
        What ``results.json`` holds as calibration of each.
    """
    figure, axes = plt.subplots(figsize=(base.WIDTH, 4))
    for number, (name, found) in enumerate(models.items()):
        curve, look = found["abstaining"], {"color": base.colour(name)}
        axes.plot(curve["coverages"], curve["accuracies"], lw=2, label=base.plain(name), **look)
        at, beside = curve["at"], 0.006 * (number - (len(models) - 1) / 2)
        reach = [[abs(limit - at["accuracy"])] for limit in at["ci95"]]
        look |= {"fmt": "o", "capsize": 3, "ms": 6}
        axes.errorbar([at["coverage"] - beside], [at["accuracy"]], reach, **look)
    axes.set(xlim=(1.01, 0.19), xlabel="share of the tracks that are classified")
    axes.set_ylabel("accuracy on these (bars: 95 %)")
    axes.set_title("Selective classification: the least sure predictions are left out")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    base.legend(figure, axes)
    return figure
