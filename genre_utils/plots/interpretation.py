"""What models listen to, and how genres relate."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter
from scipy.ndimage import gaussian_filter

from genre_utils.plots import base, features, formatting

MARKS_HZ = (500, 1000, 2000, 4000, 8000)  # frequencies that are named on an axis of mel bands
ASIDE = ((5, 5), (-14, 5), (5, -12), (-14, -12))  # points from a mark to its number, in turn
BLUR = 0.8  # frames and bands (standard deviation)
BINS = 6  # groups of tracks of about equal size along an axis


def _frequency_marks(boundaries):
    """Places on an axis of mel bands, from 0, and their names; none if nothing is known."""
    if boundaries is None:
        return [], []
    marks = [hertz for hertz in MARKS_HZ if hertz < boundaries[-1]]
    names = [f"{hertz / 1000:g}k" if hertz >= 1000 else f"{hertz}" for hertz in marks]
    return list(np.interp(marks, boundaries, np.arange(len(boundaries)))), names


def maps(rows: dict, *, seconds: float, boundaries=None, title: str, sounds=("spectrogram",)):
    """Draw spectrograms and maps of them side by side, an excerpt or a network in each row.

    Parameters
    ----------
    rows : dict of str to dict of str to np.ndarray, shape (frames, mels)
        By names of row and column. A column that is nowhere negative is drawn from white to dark,
        any other red (for the genre) and blue (against it), blurred as points are noise; each map
        as a share of its highest values.
    seconds : float
        Length of an excerpt.
    boundaries : np.ndarray, shape (mels + 1,), or None
        Frequencies between the bands, Hz.
    title : str
        Title of the figure.
    sounds : sequence of str
        Columns that are spectrograms, drawn in grey.
    """
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    count = len(rows) * len(columns)
    figure, axes = base.panels(count, len(columns), 1.45, 1.6, sharex=True, sharey=True)
    places, names = _frequency_marks(boundaries)
    for place, column in enumerate(columns):
        shown = {k: row[column] for k, row in enumerate(rows.values()) if column in row}
        shown, look, meaning = _scaled(shown, column in sounds)
        for k, axis in enumerate(axes[:, place]):
            if k in shown:
                drawn = base.image(axis, shown[k], seconds, **look)
            else:
                axis.set_axis_off()
                axis.text(0.5, 0.5, "no convolution", transform=axis.transAxes, ha="center")
            axis.tick_params(labelsize="small")
        axes[0, place].set_title(column)
        axes[-1, place].set_xlabel("time (s)", fontsize="small")
        bar = base.colour_bar(figure, drawn, axes[:, place], "", shrink=0.9, aspect=16)
        bar.set_label(meaning, fontsize="small")
        bar.ax.tick_params(labelsize="small")
    for axis, label in zip(axes[:, 0], base.labels(rows, 15, 3), strict=True):
        axis.set_ylabel(label, fontsize="small" if "\n" in label else None)
        if places:
            axis.set_yticks(places, names)
    figure.supylabel("frequency (Hz)" if places else "mel band")
    figure.suptitle(base.label(title, 66, 3))
    return figure


def _scaled(column, is_sound):
    """Maps as they are drawn, their colours, and what these mean; extremes set no scale."""
    if is_sound:
        every = np.concatenate([*column.values()])
        return column, {"colours": "gray_r", "limits": (every.min(), every.max())}, "level"
    signed = min(values.min() for values in column.values()) < 0
    if signed:
        column = {k: gaussian_filter(values, BLUR) for k, values in column.items()}
    column = {k: v / (np.quantile(abs(v), 0.995) or 1.0) for k, v in column.items()}
    if signed:
        return column, {"colours": "RdBu_r", "limits": (-1, 1)}, "evidence against and for"
    return column, {"colours": "YlOrBr", "limits": (0, 1)}, "weight"


def band_profiles(bands: pd.DataFrame, genres: list[str], boundaries=None):
    """Draw the share of the evidence that each mel band gives.

    Parameters
    ----------
    bands : pd.DataFrame
        From `interpretation.shares`; the level is the colour beneath.
    genres : list of str
        In the order of the panels.
    boundaries : np.ndarray, shape (mels + 1,), or None
        Frequencies between the bands, Hz.
    """
    figure, axes = base.panels(len(genres), 2, 2.1, 0.9, sharex=True)
    reach, mels = bands["level"].abs().max(), bands["part"].max() + 1
    for axis, genre in zip(axes.flat, genres, strict=False):
        here = bands[bands["genre"] == genre]
        for name, own in here.groupby("network", sort=False):
            place = own["part"] + 0.5
            axis.plot(place, own["share"], c=base.colour(name), lw=1.5, label=base.plain(name))
            look = {"color": base.colour(name), "alpha": 0.2, "lw": 0}
            axis.fill_between(place, own["low"], own["high"], **look)
        level = here.drop_duplicates("part")["level"].to_numpy()[np.newaxis]
        if level.size:
            top = 1.5 * here["share"].abs().max()  # wide intervals are cut off
            axis.set_ylim(-top, top)
            look = {"cmap": "PuOr_r", "vmin": -reach, "vmax": reach, "alpha": 0.45, "zorder": 0}
            drawn = axis.imshow(level, aspect="auto", extent=(0, mels, -top, top), **look)
        axis.axhline(0, color="0.3", lw=0.8)
        axis.set_title(base.label(genre, 21))
        axis.yaxis.set_major_formatter(PercentFormatter(1, symbol=base.PERCENT.symbol))
        axis.grid(axis="x", visible=False)
    axes[0, 0].set_xlim(0, mels)
    places, names = _frequency_marks(boundaries)
    if places:
        axes[0, 0].set_xticks(places, names)
    for axis in axes[-1]:
        axis.set_xlabel("frequency (Hz)" if places else "mel band", fontsize="small")
    figure.supylabel("share of the evidence per band", fontsize="small")
    figure.colorbar(drawn, ax=axes, shrink=0.7, label="level less the mean of the genres")
    base.legend(figure, axes[0, 0])
    figure.suptitle("Bands that speak for a genre, and against it")
    return figure


def region_losses(regions: pd.DataFrame, genres: list[str]):
    """Draw the share of the evidence that hiding each region of the mel axis takes away.

    Parameters
    ----------
    regions : pd.DataFrame
        From `interpretation.shares`: network, genre, part, name, lost, lost_low, lost_high.
    genres : list of str
        In the order of the columns.
    """
    networks, names = regions["network"].unique(), regions["name"].unique()
    columns = max(1, min(3, 34 // len(genres), len(networks)))
    figure, axes = base.panels(len(networks), columns, 0.26 * len(names) + 1.9, 0, sharey=True)
    reach = regions["lost"].abs().max()
    sure = (regions["lost_low"] > 0) | (regions["lost_high"] < 0)
    text = [f"{round(100 * lost)}".replace("-", "\N{MINUS SIGN}") for lost in regions["lost"]]
    regions = regions.assign(text=np.where(sure, text, ""))
    for axis, network in zip(axes.flat, networks, strict=False):
        own = regions[regions["network"] == network]
        here = [genre for genre in genres if genre in set(own["genre"])]
        lost, text = (
            own.pivot_table(value, "part", "genre", aggfunc="first")[here][::-1]
            for value in ("lost", "text")
        )
        look = {"colours": "RdBu_r", "limits": (-reach, reach), "annot_kws": {"size": "small"}}
        drawn = base.heat_map(axis, lost, names[::-1], base.labels(here, 12, 1), text=text, **look)
        axis.set(title=base.label(network, 48 // columns), xlabel="", ylabel="")
        axis.tick_params(labelsize="small")
    bar = base.colour_bar(figure, drawn, axes, "", aspect=30)
    bar.set_label("share of the evidence (%)", fontsize="small")
    bar.ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
    figure.suptitle("What hiding a part of the mel axis takes away")
    return figure


def moment_losses(moments: pd.DataFrame, seconds: float):
    """Draw the share of the evidence that hiding each part of an excerpt takes away.

    Parameters
    ----------
    moments : pd.DataFrame
        From `interpretation.shares`: network, part, share, low, high.
    seconds : float
        Length of an excerpt.
    """
    figure, axes = plt.subplots(figsize=(base.WIDTH, 3.2))
    networks, parts = moments["network"].nunique(), moments["part"].nunique()
    for k, (name, table) in enumerate(moments.groupby("network", sort=False)):
        middle = (table["part"] + 0.5 + 0.1 * (k - (networks - 1) / 2)) * seconds / parts
        colour = base.colour(name)
        axes.vlines(middle, table["low"], table["high"], color=colour, lw=3, alpha=0.6)
        axes.plot(middle, table["share"], "o-", color=colour, lw=1, label=base.plain(name))
    axes.axhline(1 / parts, color="0.4", ls="--", lw=1, label="an even share")
    axes.set(xlabel="place in the excerpt (s)", ylabel="share of the evidence", xlim=(0, seconds))
    axes.set_title("What hiding a part of the time takes away")
    axes.yaxis.set_major_formatter(base.PERCENT)
    base.legend(figure, axes)
    return figure


def importance(table: pd.DataFrame, sizes: dict[str, int]):
    """Draw the accuracy that is lost when features are exchanged: the eight groups that cost most.

    Parameters
    ----------
    table : pd.DataFrame
        From `interpretation.importance`.
    sizes : dict of str to int
        Columns of each group; a family that has none here is a whole input, and drawn apart.
    """
    every = pd.unique(table["family"])
    groups = [family for family in every if family in sizes][:8]
    whole = [family for family in every if family not in sizes]
    shown = {"A whole input": whole, "One feature group (columns)": groups}
    shown = {title: families for title, families in shown.items() if families}
    counts = [len(families) for families in shown.values()]
    row = 0.1 + 0.14 * table["model"].nunique()
    size = {"figsize": (base.WIDTH, row * sum(counts) + 1.0 * len(counts) + 0.6)}
    figure, axes = plt.subplots(len(shown), squeeze=False, height_ratios=counts, **size)
    for axis, (title, families) in zip(axes[:, 0], shown.items(), strict=True):
        _losses(axis, table[table["family"].isin(families)], families, sizes)
        axis.set_title(title)
    axes[-1, 0].set_xlabel("loss of track accuracy (points)")
    base.legend(figure, axes[-1, 0], columns=2)
    figure.suptitle("What exchanging features between tracks costs")
    return figure


def _losses(axes, table, families, sizes):
    """Losses of some families; models of one kind, and colour, are filled and hollow by turns."""
    names = [f.replace("_", " ") + (f" ({sizes[f]})" if f in sizes else "") for f in families]
    kinds = [*map(base.kind, pd.unique(table["model"]))]
    for k, (model, own) in enumerate(table.groupby("model", sort=False)):
        label = f"{base.plain(model)} ({formatting.percent(own['accuracy'].max())} with everything)"
        rows = 100 * own.set_index("family")[["drop", "low", "high"]].reindex(families)
        look = {"shift": 0.75 * ((k + 0.5) / len(kinds) - 0.5), "label": label}
        look |= {"colours": base.colour(model), "marker": base.mark(model)}
        look["faces"] = "1" if kinds[:k].count(kinds[k]) % 2 else look["colours"]
        base.forest(axes, rows, names, "drop", **look)
    axes.axvline(0, color="0.4", ls="--", lw=1)


def genre_tree(found):
    """Draw a tree of genres; at each join, the share of resamples that have that branch.

    Parameters
    ----------
    found : Tree
        From `interpretation.genre_tree`.
    """
    count = len(found.genres)
    figure, axes = plt.subplots(figsize=(base.WIDTH, 0.42 * count + 1.5))
    leaves = base.tree(axes, found.linkage, base.labels(found.genres))
    at = {leaf: 10 * k + 5 for k, leaf in enumerate(leaves)}  # as scipy places them
    for k, (one, other, height, _) in enumerate(found.linkage):
        at[count + k] = (at[one] + at[other]) / 2
        if np.isfinite(found.support[k]) and k < count - 2:  # the last join is always there
            look = {"textcoords": "offset points", "fontsize": "small", "ha": "right"}
            place = (height, at[count + k])
            axes.annotate(formatting.percent(found.support[k]), place, (-4, 3), **look)
    axes.set(title="Genres joined from the nearest on", xlabel="distance (0: mixed, 1: far apart)")
    axes.set_xlim(max(1.08 * found.linkage[-1, 2], 0.05), 0)
    return figure


def evidence_map(places: np.ndarray, labels, genres: list[str], marked, explained):
    """Draw tracks where the models' evidence puts them, coloured by label; some are numbered.

    Parameters
    ----------
    places : np.ndarray, shape (tracks, 2)
        From a principal component analysis of the evidence.
    labels, genres : sequence of str
        Genre of each track; the genres in the order of the legend.
    marked : sequence of int
        Tracks that are numbered, from 1.
    explained : sequence of float
        Share of the variance along the two axes.
    """
    shares = enumerate(map(formatting.percent, explained), 1)
    axes_of = [f"direction {k} ({share} of the variance)" for k, share in shares]
    look = {"title": "Tracks by what the models predict for them", "axes_of": {"": axes_of}}
    figure = features.track_maps({"": places}, labels, genres, **look)
    box = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "0.6", "alpha": 0.8}
    for number, row in enumerate(marked, 1):
        look = {"textcoords": "offset points", "fontsize": "small", "weight": "bold", "bbox": box}
        figure.axes[0].annotate(number, places[row], ASIDE[number % len(ASIDE)], **look)
    return figure


def rater_agreement(table: pd.DataFrame, models: list[str]):
    """Draw the kappa of the predictions of every two models (above), and of their errors (below).

    Parameters
    ----------
    table : pd.DataFrame
        From `interpretation.agreement`.
    models : list of str
        In the order of the rows.
    """
    grid = pd.DataFrame(np.nan, models, models)
    for row in table.itertuples():
        grid.loc[row.a, row.b], grid.loc[row.b, row.a] = row.kappa, row.consistency
    cells = min(0.42 * len(models), base.WIDTH - 0.7)  # beside names
    figure, axes = plt.subplots(figsize=(max(4.4, min(base.WIDTH, cells + 3.2)), cells + 2.2))
    text = np.vectorize(_correlation)(grid)
    names = base.labels(models, 15, 1)
    base.heat_map(axes, grid, names, names, text=text, square=True, annot_kws={"size": 9})
    axes.set_facecolor("0.9")
    axes.grid(visible=False)
    axes.set_title("Agreement of predictions (above), of errors (below)", fontsize="small")
    base.colour_bar(figure, axes.collections[0], axes, "kappa")
    return figure


def _correlation(value):
    """A number between -1 and 1 in few characters."""
    return f"{value:z.2f}".replace("0.", ".").replace("-", "\N{MINUS SIGN}")


def doubt(values: dict[str, np.ndarray], genres: int):
    """Draw how unsure models are of tracks near a border, or disputed, by the other models.

    Parameters
    ----------
    values : dict of str to np.ndarray, shape (models, tracks)
        From `interpretation.doubt`.
    genres : int
        How many there are.
    """
    labels = {"border": "distance to the border,\nby the other models (nats)"}
    labels["split"] = "share of the other models that\ndo not join their majority"
    figure, axes = plt.subplots(1, 2, figsize=(base.WIDTH, 3.3), sharey=True)
    for axis, (what, label) in zip(axes, labels.items(), strict=True):
        across, entropy = values[what].ravel(), values["entropy"].ravel()
        edges = np.unique(np.quantile(across, np.linspace(0, 1, BINS + 1)))
        binned = pd.DataFrame({"x": across, "y": entropy}).groupby(np.digitize(across, edges[1:-1]))
        low, middle, high = (binned.quantile(share) for share in (0.25, 0.5, 0.75))
        axis.vlines(middle["x"], low["y"], high["y"], color="C0", lw=4, alpha=0.4)
        axis.plot(middle["x"], middle["y"], "o-", color="C0")
        axis.axhline(np.log2(genres), color="0.4", ls="--", lw=1)
        axis.set_xlabel(label, fontsize="small")
    axes[0].set_ylabel("entropy of a model (bits)", fontsize="small")
    axes[0].set_ylim(0, 1.08 * np.log2(genres))
    figure.suptitle("Median doubt and its quartiles; dashed: all genres alike")
    return figure
