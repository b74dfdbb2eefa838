"""How good the models are, how sure that is, and how sure they are themselves."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from genre_utils.plots import base, formatting

#: How columns of `scoring.track_probabilities` are called where they are shown.
TRACK_COLUMNS = {"track_id": "track", "y_true": "its genre", "y_pred": "predicted as"}
CLAIM = {"marker": "|", "ls": "", "ms": 14, "mew": 2.5, "color": base.colour("paper")}


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
    columns = (4 if len(genres) < 5 else min(columns, 2)) if len(matrices) == 4 else columns
    few = len(matrices) < 3
    size = (0.52 if few else 0.4) if len(genres) < 6 else 0.3
    width = max(4.2, 1.4 + size * len(genres)) if len(matrices) == 1 else base.WIDTH
    size = min(size, (width - 1.3) / columns / len(genres))
    look = {"width": width, "sharex": True, "sharey": True}
    figure, axes = base.panels(len(matrices), columns, size * len(genres) + 0.32, 1.75, **look)
    (font, usual), lines = ("medium", 0.69) if few else ("small", 0.54), 2 if size > 0.25 else 1
    names, long = base.labels(genres, 16, lines), max(map(len, genres)) > 10
    for place, (name, matrix) in enumerate(matrices.items()):
        axis, matrix = axes.flat[place], np.asarray(matrix)
        counted = matrix.dtype.kind == "i"
        share = matrix / matrix.sum(axis=1, keepdims=True).clip(min=1) if counted else matrix
        options = {"text": matrix if counted else 100 * matrix, "fmt": "d" if counted else ".0f"}
        options |= {"square": True, "annot_kws": {"size": 9 if size > 0.35 else 7}}
        drawn = base.heat_map(axis, share, names, names, **options)
        axis.set_title(base.label(name, round(7 * width / columns), 1), fontsize=font)
        axis.tick_params(labelsize=min(9, 56 * size / lines) if long else font)
    look = {"aspect": 40, "shrink": 0.4, "format": base.PERCENT}
    bar = base.colour_bar(figure, drawn, axes, "share of the row", **look)
    bar.ax.tick_params(labelsize="small")
    plt.setp(axes[-1], xlabel="predicted")
    figure.supylabel("true")
    title = f"What the tracks of each genre are predicted as{'' if counted else ' (%)'}"
    figure.suptitle(base.label(title, round(9.5 * width)))
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
    figure, axes = plt.subplots(figsize=(base.WIDTH, 0.26 * len(table) + 1.8))
    colours = [base.colour(name) for name in table.index]
    base.forest(axes, table, base.labels(table.index, 30, 1), "accuracy", colours=colours)
    axes.axvline(1 / len(results["corpus"]["genres"]), c="0.6", ls="--", lw=1, label="chance level")
    claims = table.index.intersection(list(paper), sort=False)
    if len(claims):
        places = table.index.get_indexer(claims)
        axes.plot([paper[name] for name in claims], places, **CLAIM, label="the paper's number")
    base.say_kinds(axes, table.index)
    axes.set(title="Accuracy of whole tracks", xlim=(0, 1))
    axes.set_xlabel("accuracy (line: 95 % interval over artists)")
    base.legend(figure, axes)
    return figure


def all_pairs(results: dict):
    """Draw the difference in accuracy of every pair of models, the more accurate in the row.

    Parameters
    ----------
    results : dict
        What ``results.json`` holds.
    """
    models = sorted(results["models"], key=lambda name: -results["models"][name]["accuracy"])
    values = np.full((len(models), len(models)), np.nan)
    text, bold = np.full(values.shape, "", dtype=object), np.zeros(values.shape, dtype=bool)
    for pair in results["pairwise"]:
        place = tuple(sorted((models.index(pair["a"]), models.index(pair["b"]))))
        values[place], bold[place] = 100 * abs(pair["difference"]), pair["separable"]
        text[place] = f"{values[place]:.0f}" + ("*" if pair["p_all"] < 0.05 else "")
    figure, axes = plt.subplots(figsize=(base.WIDTH, 0.27 * len(models) + 2.1))
    names, look = base.labels(models, 20, 1), {"limits": (0, max(1.0, np.nanmax(values)))}
    look |= {"text": text[:-1, 1:], "annot_kws": {"size": 7.5}}
    drawn = base.heat_map(axes, values[:-1, 1:], names[:-1], names[1:], **look)
    for mark, strong in zip(axes.texts, bold[~np.isnan(values)], strict=True):
        mark.set_weight("bold" if strong else "normal")
    axes.tick_params(labelsize="small")
    axes.set(title="How far models are ahead of one another", xlabel="less accurate model")
    axes.set_ylabel("more accurate model")
    axes.grid(visible=False)
    base.colour_bar(figure, drawn, axes, "difference in accuracy (points)", location="right")
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
    names = [base.label(f"{pair['a']} − {pair['b']}", 34, 2) for pair in pairs]
    height = 0.25 + 0.18 * max(name.count("\n") for name in names)
    figure, axes = plt.subplots(figsize=(base.WIDTH, height * len(table) + 1.7))
    colours = np.where(table["separable"], "0.15", "0.5")  # no colour: these are two models
    faces = np.where(table["separable"], "0.15", "1")
    base.forest(axes, table, names, "difference", colours=colours, faces=faces, size=41)
    decides = table["p_value"].where(table["p_holm"].isna(), table["p_holm"])
    for y, p in enumerate(["p", *map(formatting.p_text, decides)], -1):
        axes.text(1.02, y, p, transform=axes.get_yaxis_transform(), va="center", fontsize="small")
    above = table["primary"].sum()
    if 0 < above < len(table):
        axes.axhline(above - 0.5, color="0.6", lw=1)
    axes.axvline(0, color="0.3", ls="--", lw=1)
    look = {"marker": "o", "lw": 3, "ms": 8, "mew": 2}
    axes.plot([], [], color="0.15", label="significantly different", **look)
    axes.plot([], [], color="0.5", mfc="w", label="not significantly different", **look)
    axes.set_title("Differences in accuracy")
    axes.set_xlabel("difference (points; line: 95 % interval)")
    base.legend(figure, columns=2)
    return figure


def reliability(models: dict[str, dict]):
    """Draw accuracy against confidence, in bins of equal mass, before and after scaling.

    Parameters
    ----------
    models : dict of str to dict
        What ``results.json`` holds as calibration of each.
    """
    width = 3.6 * min(2, len(models))
    figure, axes = base.panels(len(models), 2, 2.5, 0.9, width=width, sharex=True, sharey=True)
    for axis, (name, found) in zip(axes.flat, models.items(), strict=False):
        bins = pd.DataFrame(found["before"]["bins"])
        reach = [bins["accuracy"] - bins["low"], bins["high"] - bins["accuracy"]]
        axis.plot([0, 1], [0, 1], color="0.5", ls="--", lw=1)
        look = {"fmt": "o-", "color": base.colour(name), "capsize": 3, "lw": 1.5, "ms": 5}
        axis.errorbar(bins["confidence"], bins["accuracy"], reach, **look)
        title = f"{name}: ECE {found['before']['ece']:.2f}"
        if found["after"]:
            scaled = found["after"]["bins"]
            axis.plot(scaled["confidence"], scaled["accuracy"], "x:", color="0.25", ms=6, mew=1.5)
            title += f", scaled {found['after']['ece']:.2f}"
        axis.set(title=base.label(title, 31, 3), xlim=(0, 1.02), ylim=(0, 1.02))
        axis.xaxis.set_tick_params(labelbottom=True)
    axes[0, 0].plot([], [], "o-", color="0.4", label="as it is, with 95 % interval")
    if any(found["after"] for found in models.values()):
        axes[0, 0].plot([], [], "x:", color="0.25", label="temperature-scaled")
    axes[0, 0].plot([], [], "--", color="0.5", label="calibrated")
    plt.setp(axes[-1], xlabel="confidence (mean probability of a bin)")
    plt.setp(axes[:, 0], ylabel="accuracy of tracks")
    figure.suptitle("How often predictions are right")
    base.legend(figure, axes[0, 0], columns=3)
    return figure
