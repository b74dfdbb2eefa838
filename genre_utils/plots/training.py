"""Networks and how they were trained and tuned."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import PercentFormatter

from genre_utils.plots import base, formatting

LOGARITHMIC = {"learning_rate", "weight_decay", "C", "gamma"}  # settings that are searched so
#: Layers that a diagram leaves out: they change no shape worth seeing, or nothing at all.
UNDRAWN = {"Dropout", "BatchNormalization", "Reshape", "Flatten", "Activation"}


def accuracies(table: pd.DataFrame) -> pd.DataFrame:
    """Show how good models are and what they cost, as text: a row per model.

    Parameters
    ----------
    table : pd.DataFrame
        From `models.accuracy_table`.
    """
    shares = (100 * table[["whole tracks", "low", "high"]]).to_numpy(float)
    limits = [f"{x:.0f}\N{NO-BREAK SPACE}% [{low:.0f}, {high:.0f}]" for x, low, high in shares]
    costs = table.columns.drop(["what it is", "whole tracks", "excerpts", "low", "high"])
    counts = table[costs].map(lambda value: "" if pd.isna(value) else f"{value:,.0f}")
    shown = table[["what it is"]].assign(**{"tracks [95\N{NO-BREAK SPACE}%]": limits})
    shown = shown.assign(excerpts=table["excerpts"].map(formatting.percent)).join(counts)
    return shown.loc[:, (shown != "").any()].rename_axis("model")


def learning_curves(*runs: dict):
    """Draw loss and accuracy of every fold against the epoch, training and inner validation.

    Parameters
    ----------
    *runs : dict
        How each model was trained (see `StudyFolder.run`): a row of panels.
    """
    figure, axes = base.panels(2 * len(runs), 2, 3.3 if len(runs) == 1 else 2.5, 0.1)
    for (left, right), run in zip(axes, runs, strict=True):
        for axis, measure in ((left, "loss"), (right, "accuracy")):
            _histories(axis, run["folds"], measure)
            axis.set_title(base.label(f"{run['model']}: {measure}", 34))
        left.set_ylabel("loss (nats)")
        right.set(ylabel="accuracy", ylim=(0, 1.02))
        right.yaxis.set_major_formatter(PercentFormatter(1))
    plt.setp(axes[-1], xlabel="epoch")
    figure.suptitle("Loss and accuracy per epoch")
    base.legend(figure, max(axes[:, 0], key=lambda axis: len(axis.lines)), columns=2)
    return figure


def _histories(axis, folds, measure):
    """Draw a measure of every fold, thin, and its median, on training and inner validation."""
    looks = {measure: ("C0", "training"), f"val_{measure}": ("C1", "inner validation")}
    for key, (colour, label) in looks.items():
        curves = [fold["history"].get(key, []) for fold in folds]
        if not any(curves):  # nothing was kept for validation
            continue
        table = pd.DataFrame([pd.Series(curve, dtype=float) for curve in curves])
        axis.plot(table.columns + 1, table.T, color=colour, alpha=0.25, lw=1)
        median = table.median()[table.count() > len(table) / 2]  # while most folds go on
        axis.plot(median.index + 1, median, color=colour, lw=2.5, label=label)
    axis.xaxis.get_major_locator().set_params(integer=True)


def tuning(trials: pd.DataFrame, shares: dict[str, float], usual: dict):
    """Draw the score of every trial against each setting, the most important one first.

    Parameters
    ----------
    trials : pd.DataFrame
        Columns fold, state, value, and one for each setting.
    shares, usual : dict
        Importance of each setting, and its untuned value, which is marked.
    """
    finished = trials[trials["state"] == "COMPLETE"].copy()
    finished["value"] -= finished.groupby("fold")["value"].transform("median")
    names = sorted(shares, key=shares.get, reverse=True)
    figure, axes = base.panels(len(names), 4, 2.4, 0, width=8.4, sharey=True)
    for axis, name in zip(axes.flat, names, strict=False):
        column = finished[name]
        if column.nunique() > 5 and name in LOGARITHMIC | {"dropout"}:
            place, mark = column, usual[name]
            axis.set_xscale("log" if name in LOGARITHMIC else "linear")
        else:
            values = sorted(column.unique(), key=lambda v: (isinstance(v, str), v))
            place = column.map(values.index) + np.linspace(-0.15, 0.15, len(column))
            mark = values.index(usual[name]) if usual[name] in values else np.nan
            axis.set_xticks(range(len(values)), [str(v) for v in values], fontsize="x-small")
        axis.plot(place, finished["value"], ".", ms=4, alpha=0.5)
        axis.axvline(mark, color="C1", lw=1.5, ls="--")
        axis.set_title(
            f"{name.replace('_', ' ')} ({formatting.percent(shares[name])})", fontsize="small"
        )
        axis.tick_params(labelsize="x-small")
    figure.supylabel("cross-entropy above the fold's median (nats)", fontsize="small")
    figure.suptitle("Trials by setting, and the importance of each")
    return figure


def settings(chosen: dict, of: str = "fold") -> pd.DataFrame:
    """Show settings as text: a row per fold, or per network.

    Parameters
    ----------
    chosen : dict of int or str to Hyperparameters
        By fold or network.
    of : str
        What each row is of; what all folds share is left out.
    """
    rows = [one.as_json() for one in chosen.values()]
    table = pd.DataFrame(rows, index=pd.Index(chosen, name=of)).drop(columns="tuned_on")
    table["fixed_epochs"] = table["fixed_epochs"].replace(0, "none: stops early")
    table = table.map(_setting).rename(columns=lambda name: name.replace("_", " "))
    return table.loc[:, (table != table.iloc[0]).any()] if of == "fold" else table


def _setting(value):
    if isinstance(value, list | tuple):
        return ", ".join(value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def architecture(model, table: pd.DataFrame):
    """Draw the layers of a network from its inputs (top) to the genres (bottom).

    Parameters
    ----------
    model : keras.Model
        A functional model.
    table : pd.DataFrame
        From `models.layer_table`: what each layer costs.
    """
    rows = table.set_index("layer")
    feeds, depth = _drawn_feeds(model, rows), {}
    for name, sources in feeds.items():  # Keras lists a layer after those that feed it
        depth[name] = 1 + max((depth[source] for source in sources), default=-1)
    levels = pd.Series(depth)
    beside = levels.groupby(levels).cumcount()
    width, deepest = beside.max() + 1, levels.max()
    figure, axes = plt.subplots(figsize=(min(base.WIDTH, 3.6 * width + 1.5), 0.52 * (deepest + 1)))
    colours = dict(zip(rows["kind"].unique(), sns.color_palette("pastel", 99), strict=False))
    for name, sources in feeds.items():
        row, place = rows.loc[name], (beside[name], -depth[name])
        label = f"{name} ({row['kind']})\n{' x '.join(map(str, row['output_shape'] or []))}"
        if row["parameters"]:
            label += f"; {row['parameters']:,} parameters"
        box = {"boxstyle": "round", "fc": colours[row["kind"]], "ec": "0.6"}
        axes.annotate(label, place, ha="center", va="center", fontsize=7, bbox=box)
        for source in sources:
            style = {"arrowstyle": "-|>", "color": "0.4", "shrinkA": 11, "shrinkB": 11}
            axes.annotate("", place, (beside[source], -depth[source]), arrowprops=style, zorder=0)
    axes.set(xlim=(-0.6, width - 0.4), ylim=(-deepest - 0.6, 0.6))
    axes.set_title(base.label(f"Layers of {model.name}", 44))
    axes.set_axis_off()
    return figure


def _drawn_feeds(model, rows):
    """Layers that feed each drawn layer, through those that are not drawn."""
    made, feeds, ends = {}, {}, {}
    for layer in model.layers:
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        sources = dict.fromkeys(made[id(x)] for x in inputs if id(x) in made)
        through = [end for source in sources for end in ends[source]]
        made[id(layer.output)] = layer.name
        if rows.loc[layer.name, "kind"] in UNDRAWN:
            ends[layer.name] = through
        else:
            ends[layer.name], feeds[layer.name] = [layer.name], through
    return feeds
