"""TODO plots.training."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from genre_utils.plots import features as features_plots


def learning_curves(run: dict):
    """Loss and accuracy of every fold against the epoch, training and inner validation."""
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 3.6))
    for axis, measure in zip(axes, ("loss", "accuracy"), strict=True):
        for key, colour, label in (
            (measure, "C0", "training"),
            (f"val_{measure}", "C1", "inner validation"),
        ):
            curves = [fold["history"].get(key, []) for fold in run["folds"]]
            for curve in curves:
                axis.plot(range(1, len(curve) + 1), curve, color=colour, alpha=0.25, lw=1)
            table = pd.DataFrame(curves)
            median = table.median()[table.count() > len(curves) / 2]  # while most folds go on
            axis.plot(median.index + 1, median, color=colour, lw=2.5, label=label)
        axis.set(title=f"{measure} per epoch", xlabel="epoch", ylabel=measure)
        axis.xaxis.get_major_locator().set_params(integer=True)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    title = f"{run['model']}: {len(run['folds'])} folds (thin) and their median (thick)"
    figure.suptitle(title, fontsize="medium")
    return figure


def variants(table: pd.DataFrame):
    """Differences in accuracy of variants of a model from their baselines, with 95 % intervals.

    Parameters
    ----------
    table : pd.DataFrame
        From `ablation.compare`.
    """
    questions = list(table["question"].unique())
    colours = dict(zip(questions, sns.color_palette("colorblind"), strict=False))
    figure, axes = plt.subplots(figsize=(7.2, 0.33 * len(table) + 1.8))
    points = table.assign(**{name: 100 * table[name] for name in ("difference", "low", "high")})
    features_plots.forest(
        axes, points, table["title"], list(table["question"].map(colours)), "difference"
    )
    for question in questions:
        axes.plot([], [], lw=3, color=colours[question], label=question)
    axes.axvline(0, color="0.4", ls="--", lw=1)
    axes.set(
        title="What each change is worth",
        xlabel="change of track accuracy (points), 95 %",
    )
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    return figure


def tuning(trials: pd.DataFrame, shares: dict[str, float], usual: dict):
    """Score of every trial against each setting, the most important one first.

    Parameters
    ----------
    trials : pd.DataFrame
        What ``tuning/NAME.parquet`` holds: fold, state, value, and a column for each setting.
    shares : dict of str to float
        Importance of each setting, see `tuning.importance`.
    usual : dict
        The untuned value of each setting, which is marked.
    """
    finished = trials[trials["state"] == "COMPLETE"].copy()
    finished["value"] -= finished.groupby("fold")["value"].transform("median")
    names = sorted(shares, key=shares.get, reverse=True)
    rows = -(-len(names) // 4)
    figure, axes = plt.subplots(rows, 4, figsize=(8.4, 2.4 * rows), sharey=True, squeeze=False)
    for axis, name in zip(axes.flat, names, strict=False):
        column = finished[name]
        if column.nunique() > 5 and name in ("learning_rate", "l2", "dropout"):
            place, mark = column, usual[name]
            if name != "dropout":
                axis.set_xscale("log")
        else:
            values = sorted(column.unique(), key=lambda v: (isinstance(v, str), v))
            place = column.map(values.index) + np.linspace(-0.15, 0.15, len(column))
            mark = values.index(usual[name]) if usual[name] in values else np.nan
            axis.set_xticks(range(len(values)), [str(v) for v in values], fontsize="x-small")
        axis.plot(place, finished["value"], ".", ms=4, alpha=0.5)
        axis.axvline(mark, color="C1", lw=1.5, ls="--")
        axis.set_title(f"{name.replace('_', ' ')} ({shares[name]:.0%})", fontsize="small")
        axis.tick_params(labelsize="x-small")
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    figure.supylabel("cross-entropy against the fold's median", fontsize="small")
    figure.suptitle(
        "Every finished trial; dashed: the untuned setting; in brackets: importance",
        fontsize="medium",
    )
    return figure


def searched(tuned: dict, names) -> pd.DataFrame:
    """Settings that were chosen for each fold, to be read.

    Parameters
    ----------
    tuned : dict of int to models.Hyperparameters
        By fold, see `tuning.settings`.
    names : iterable of str
        The settings that were searched.

    Returns
    -------
    pd.DataFrame
        Text, a row per fold and a column per setting.
    """
    table = pd.DataFrame([one.as_json() for one in tuned.values()], index=[*tuned])[[*names]]
    table["augmentation"] = table["augmentation"].map(lambda several: ", ".join(several) or "none")
    table = table.map(lambda value: f"{value:.2g}" if isinstance(value, float) else str(value))
    return table.rename(columns=lambda name: name.replace("_", " ")).rename_axis("fold")


#: Layers that a diagram leaves out: they change no shape worth seeing, or nothing at all.
UNDRAWN = {"Dropout", "BatchNormalization", "Reshape", "Flatten", "Activation"}


def architecture(model, table: pd.DataFrame):
    """Layers of a network from its inputs (top) to the genres (bottom), with what each costs.

    Parameters
    ----------
    model : keras.Model
        A functional model.
    table : pd.DataFrame
        From `cost.layer_table`.
    """
    rows = table.set_index("layer")
    feeds = _drawn_feeds(model, rows)
    depth = {}
    for name, sources in feeds.items():  # Keras lists a layer after those that feed it
        depth[name] = 1 + max((depth[source] for source in sources), default=-1)
    levels = pd.Series(depth)
    beside = levels.groupby(levels).cumcount()
    width = beside.max() + 1
    figure, axes = plt.subplots(figsize=(min(7.2, 3.6 * width + 1.5), 0.52 * (levels.max() + 1)))
    colours = dict(zip(rows["kind"].unique(), sns.color_palette("pastel", 99), strict=False))
    for name, sources in feeds.items():
        row, place = rows.loc[name], (beside[name], -depth[name])
        shape = " x ".join(map(str, row["output_shape"])) if row["output_shape"] else ""
        label = f"{name} ({row['kind']})\n{shape}"
        if row["parameters"]:
            label += f"; {row['parameters']:,} parameters"
        axes.annotate(
            label, place, ha="center", va="center", fontsize=7,
            bbox={"boxstyle": "round", "fc": colours[row["kind"]], "ec": "0.6"},
        )  # fmt: skip
        for source in sources:
            start = (beside[source], -depth[source])
            style = {"arrowstyle": "-|>", "color": "0.4", "shrinkA": 11, "shrinkB": 11}
            axes.annotate("", place, start, arrowprops=style, zorder=0)
    axes.set(
        xlim=(-0.6, width - 0.4), ylim=(-levels.max() - 0.6, 0.6), title=f"Layers of {model.name}"
    )
    axes.set_axis_off()
    return figure


def _drawn_feeds(model, rows):
    """Layers that feed each drawn layer, through those that are not drawn."""
    feeds, drawn = {}, {}
    for layer in model.get_config()["layers"]:
        sources = list(dict.fromkeys(_histories(layer["inbound_nodes"])))
        through = [end for source in sources for end in drawn[source]]
        if rows.loc[layer["name"], "kind"] in UNDRAWN:
            drawn[layer["name"]] = through
        else:
            drawn[layer["name"]], feeds[layer["name"]] = [layer["name"]], through
    return feeds


def _histories(node):
    """Names of the layers whose tensors a serialised Keras node takes in."""
    if isinstance(node, dict):
        if "keras_history" in node:
            return [node["keras_history"][0]]
        node = list(node.values())
    return (
        [name for part in node for name in _histories(part)]
        if isinstance(node, list | tuple)
        else []
    )
