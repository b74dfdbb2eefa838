"""Pictures of what models listen to and of how genres relate: plain data in, one figure out."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import PercentFormatter
from scipy.cluster.hierarchy import dendrogram
from scipy.ndimage import gaussian_filter

from genre_utils.plots import base as style_base
from genre_utils.plots import features as features_plots

MARKS_HZ = (500, 1000, 2000, 4000, 8000)  # frequencies that are named on an axis of mel bands
ASIDE = ((5, 5), (-14, 5), (5, -12), (-14, -12))  # points from a mark to its number, in turn
BLUR = 0.8  # frames and bands (standard deviation)
BINS = 6  # groups of tracks of about equal size along an axis


# ---------------------------------------------------------------------------- maps of excerpts


def frequency_marks(boundaries) -> tuple[list[float], list[str]]:
    """Places on an axis of mel bands, from 0, that carry a name; none if nothing is known.

    Parameters
    ----------
    boundaries : np.ndarray, shape (mels + 1,), or None
        From `summaries.mel_boundaries`, Hz.
    """
    if boundaries is None:
        return [], []
    marks = [hertz for hertz in MARKS_HZ if hertz < boundaries[-1]]
    names = [f"{hertz / 1000:g}k" if hertz >= 1000 else f"{hertz}" for hertz in marks]
    return list(np.interp(marks, boundaries, np.arange(len(boundaries)))), names


def maps(
    rows: dict[str, dict[str, np.ndarray]],
    *,
    seconds: float,
    boundaries=None,
    title: str,
    sounds=("spectrogram",),
):
    """Spectrograms and maps of them side by side, an excerpt or a network in each row.

    Parameters
    ----------
    rows : dict of str to dict of str to np.ndarray, shape (frames, mels)
        By what to call the row and the picture. A map that is nowhere negative is drawn from
        white to dark, any other in red (for the genre) and blue (against it) and a little blurred,
        since its single points are noise; each is scaled by itself.
    seconds : float
        Length of an excerpt.
    boundaries : np.ndarray, shape (mels + 1,), or None
        Frequencies between the bands, Hz.
    title : str
    sounds : sequence of str
        Pictures that are spectrograms, drawn in grey.
    """
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    size = (7.2, 1.55 * len(rows) + 1.0)
    figure, axes = plt.subplots(
        len(rows), len(columns), figsize=size, squeeze=False, sharex=True, sharey=True
    )
    places, names = frequency_marks(boundaries)
    for line, (label, row) in zip(axes, rows.items(), strict=True):
        for axis, column in zip(line, columns, strict=True):
            image = row.get(column)
            axis.grid(visible=False)
            if image is None:
                axis.set_axis_off()
                axis.text(0.5, 0.5, "no convolution", transform=axis.transAxes, ha="center")
            else:
                extent = (0, seconds, 0, image.shape[1])
                options = {"origin": "lower", "aspect": "auto", "extent": extent}
                image, colours = _drawn(image, column in sounds)
                axis.imshow(image.T, interpolation="nearest", **options, **colours)
        line[0].set_ylabel(style_base.plain(label))
        line[0].tick_params(axis="y", labelsize="small")
        if places:
            line[0].set_yticks(places, names)
    for axis, column in zip(axes[0], columns, strict=True):
        axis.set_title(column)
    for axis in axes[-1]:
        axis.set_xlabel("time (s)")
        axis.tick_params(axis="x", labelsize="small")
    unit = "frequency (Hz)" if places else "mel band"
    figure.supylabel(unit, fontsize="medium")
    figure.suptitle(style_base.plain(title), fontsize="medium")
    return figure


def _drawn(image, is_sound):
    """A picture as it is drawn, its colour map and limits; extreme points do not set the scale."""
    if is_sound:
        return image, {"cmap": "gray_r", "vmin": image.min(), "vmax": image.max()}
    if image.min() < 0:
        image = gaussian_filter(image, BLUR)
    reach = np.quantile(abs(image), 0.995) or 1.0
    if image.min() >= 0:
        return image, {"cmap": "YlOrBr", "vmin": 0, "vmax": reach}
    return image, {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach}


# ---------------------------------------------------------------------------- many excerpts


def band_profiles(tables: dict[str, pd.DataFrame], levels, genres, boundaries=None):
    """Share of the evidence that each mel band gives, a panel for each genre, a line per network.

    Parameters
    ----------
    tables : dict of str to pd.DataFrame
        From `summaries.shares` of mel bands, by network.
    levels : np.ndarray, shape (genres, mels)
        From `summaries.levels`: the colour beneath the lines.
    genres : list of str
    boundaries : np.ndarray, shape (mels + 1,), or None
    """
    rows, mels = -(-len(genres) // 2), levels.shape[1]
    figure, axes = plt.subplots(
        rows, 2, figsize=(7.2, 2.1 * rows + 0.9), squeeze=False, sharex=True, sharey=True
    )
    reach = np.nanmax(abs(levels))
    for axis in axes.flat[len(genres) :]:
        axis.set_visible(False)
    for axis, genre in zip(axes.flat, genres, strict=False):
        for name, table in tables.items():
            own = table[table["genre"] == genre]
            colour = style_base.MODEL_COLOURS.get(name, "C7")
            axis.plot(own["part"] + 0.5, own["share"], color=colour, lw=1.5, label=name)
            limits = own["low"].to_numpy(), own["high"].to_numpy()
            axis.fill_between(own["part"] + 0.5, *limits, color=colour, alpha=0.2, lw=0)
        axis.axhline(0, color="0.3", lw=0.8)
        axis.set_title(style_base.plain(genre), fontsize="medium")
        axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axis.grid(axis="x", visible=False)
    top = 1.5 * max(abs(table["share"]).max() for table in tables.values())
    axes[0, 0].set(xlim=(0, mels), ylim=(-top, top))  # wide intervals are cut off
    for axis, level in zip(axes.flat, levels, strict=False):
        drawn = axis.imshow(
            level[np.newaxis], cmap="PuOr_r", vmin=-reach, vmax=reach, aspect="auto", alpha=0.45,
            extent=(0, mels, -top, top), zorder=0,
        )  # fmt: skip
    places, names = frequency_marks(boundaries)
    if places:
        axes[0, 0].set_xticks(places, names)
    figure.supxlabel("frequency (Hz)" if places else "mel band", fontsize="small")
    figure.supylabel("share of the evidence per band", fontsize="small")
    figure.colorbar(drawn, ax=axes, shrink=0.7, label="level less the mean of the genres")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
    return figure


def region_losses(tables: dict[str, pd.DataFrame], names: list[str], genres):
    """Share of the evidence that hiding each part of the mel axis takes away.

    Parameters
    ----------
    tables : dict of str to pd.DataFrame
        From `summaries.region_table`, by network.
    names : list of str
        Of the parts, from the lowest.
    genres : list of str
    """
    height = 0.26 * len(names) + 1.9
    columns = min(3, len(tables))
    rows = -(-len(tables) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(7.2, height * rows), squeeze=False, sharey=True
    )
    for axis in axes.flat[len(tables) :]:
        axis.set_visible(False)
    reach = max(abs(table["lost"]).max() for table in tables.values())
    for axis, (name, table) in zip(axes.flat, tables.items(), strict=False):
        grid = table.pivot_table(index="part", columns="genre", values="lost")[
            _there(table, genres)
        ]
        drawn = axis.imshow(
            grid, origin="lower", aspect="auto", cmap="RdBu_r", vmin=-reach, vmax=reach
        )
        for row in table[(table["lost_low"] > 0) | (table["lost_high"] < 0)].itertuples():
            dark = abs(row.lost) > 0.6 * reach
            axis.text(
                list(grid).index(row.genre), row.part, f"{100 * row.lost:.0f}", ha="center",
                va="center", fontsize="small", color="white" if dark else "black",
            )  # fmt: skip
        axis.set_xticks(range(grid.shape[1]), list(grid), rotation=90, fontsize="small")
        axis.set_yticks(range(len(names)), names, fontsize="small")
        axis.set_title(style_base.plain(name), fontsize="medium")
        axis.grid(visible=False)
    bar = figure.colorbar(drawn, ax=axes, orientation="horizontal", shrink=0.6, aspect=30)
    bar.set_label("share of the evidence (%)", fontsize="small")
    bar.ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
    figure.suptitle("What hiding a part of the mel axis takes away", fontsize="medium")
    return figure


def _there(table, genres):
    return [genre for genre in genres if genre in set(table["genre"])]


def moment_losses(tables: dict[str, pd.DataFrame], seconds: float):
    """Share of the evidence that hiding each part of an excerpt takes away.

    Parameters
    ----------
    tables : dict of str to pd.DataFrame
        From `summaries.moment_table`, by network.
    seconds : float
        Length of an excerpt.
    """
    figure, axes = plt.subplots(figsize=(7.2, 3.2))
    for k, (name, table) in enumerate(tables.items()):
        step = seconds / len(table)
        middle = (table["part"] + 0.5) * step + (k - (len(tables) - 1) / 2) * 0.1 * step
        colour = style_base.MODEL_COLOURS.get(name, "C7")
        axes.vlines(middle, table["low"], table["high"], color=colour, lw=3, alpha=0.6)
        axes.plot(middle, table["share"], "o-", color=colour, lw=1, label=name)
    axes.axhline(1 / len(table), color="0.4", ls="--", lw=1, label="an even share")
    axes.set(
        title="What hiding a part of the time takes away, with 95 % intervals",
        xlabel="place in the excerpt (s)", ylabel="share of the evidence", xlim=(0, seconds),
    )  # fmt: skip
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize="small")
    return figure


def importance(table: pd.DataFrame, sizes: dict[str, int], *, shown: int = 8):
    """Accuracy that is lost when families of features are exchanged between tracks.

    Parameters
    ----------
    table : pd.DataFrame
        From `summaries.importance`.
    sizes : dict of str to int
        Columns of each family, where it has any.
    shown : int
        Families to show: those that cost most on average.
    """
    every = list(dict.fromkeys(table["family"]))
    families = every[:shown]
    names = [
        name.replace("_", " ") + (f" ({sizes[name]})" if name in sizes else "") for name in families
    ]
    models = list(dict.fromkeys(table["model"]))
    figure, axes = plt.subplots(figsize=(7.2, 0.38 * len(families) + 1.6))
    for k, model in enumerate(models):
        rows = table[table["model"] == model].set_index("family").reindex(families)
        y = np.arange(len(families)) + (k - (len(models) - 1) / 2) * 0.22
        colour = style_base.MODEL_COLOURS.get(model, "C7")
        label = f"{model} ({rows['accuracy'].max():.2f} with everything)"
        axes.hlines(y, rows["low"], rows["high"], color=colour, lw=2.5)
        axes.plot(rows["drop"], y, "o", ms=5, color=colour, label=label)
    axes.axvline(0, color="0.4", ls="--", lw=1)
    axes.set_yticks(range(len(families)), names)
    axes.set_ylim(len(families) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    which = f"the {len(families)} most important of {len(every)}"
    which = which if len(families) < len(every) else "what each is worth"
    figure.suptitle(f"Families of features (columns): {which}", fontsize="medium")
    axes.set_xlabel("loss of track accuracy, 95 %")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    return figure


# ---------------------------------------------------------------------------- genres


def confusion_shares(matrix: np.ndarray, genres):
    """Share of each genre's tracks (row) that the average model puts into each genre."""
    size = 0.5 * len(genres) + 1.4
    figure, axes = plt.subplots(figsize=(min(7.2, size + 1.2), size))
    options = {"annot": True, "fmt": ".0f", "cmap": "Blues", "vmin": 0, "vmax": 100}
    names = [style_base.plain(genre) for genre in genres]
    options |= {"xticklabels": names, "yticklabels": names, "cbar": False, "square": True}
    sns.heatmap(100 * matrix, ax=axes, **options)
    axes.set(title="Mean over the models, %", xlabel="heard as", ylabel="label")
    axes.tick_params(axis="x", rotation=90)
    axes.tick_params(axis="y", rotation=0)
    return figure


def genre_tree(tree):
    """Draw the tree of genres; at each join, the share of resamples that have that branch.

    Parameters
    ----------
    tree : genre_relations.Tree
    """
    figure, axes = plt.subplots(figsize=(7.2, 0.42 * len(tree.genres) + 1.5))
    names = [style_base.plain(genre) for genre in tree.genres]
    options = {"orientation": "left", "color_threshold": 0, "above_threshold_color": "0.3"}
    drawn = dendrogram(tree.linkage, labels=names, ax=axes, **options)
    at = {leaf: 10 * k + 5 for k, leaf in enumerate(drawn["leaves"])}  # as scipy places them
    for k, (one, other, height, _) in enumerate(tree.linkage, len(tree.genres)):
        at[k] = (at[one] + at[other]) / 2
        share = tree.support[k - len(tree.genres)]
        if np.isfinite(share) and k < 2 * len(tree.genres) - 2:  # the last join is always there
            axes.annotate(
                f"{share:.0%}", (height, at[k]), xytext=(-4, 3), textcoords="offset points",
                fontsize="small", ha="right",
            )  # fmt: skip
    axes.set(title="Genres joined from the nearest on", xlabel="distance (0: mixed, 1: far apart)")
    axes.set_xlim(max(1.08 * tree.linkage[-1, 2], 0.05), 0)
    axes.grid(axis="y", visible=False)
    return figure


def evidence_map(places, names, genres, marked, explained):
    """Tracks where the models' evidence puts them, coloured by label; some of them numbered.

    Parameters
    ----------
    places : np.ndarray, shape (tracks, 2)
    names : sequence of str
        Label of each track.
    genres : list of str
    marked : sequence of int
        Tracks that are numbered, from 1.
    explained : sequence of float
        Share of the variance along the two axes.
    """
    label = [f"direction {k} ({share:.0%} of the variance)" for k, share in enumerate(explained, 1)]
    title = "Tracks by what the models say of them"
    figure = features_plots.track_maps(
        {"": places}, names, genres, title=title, axes_of={"": tuple(label)}
    )
    box = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "0.6", "alpha": 0.8}
    for number, row in enumerate(marked, 1):
        figure.axes[0].annotate(
            str(number), places[row], xytext=ASIDE[number % len(ASIDE)], weight="bold",
            textcoords="offset points", fontsize="small", bbox=box,
        )  # fmt: skip
    return figure


def rater_agreement(table: pd.DataFrame, models):
    """Kappa of the answers of every two models (above the diagonal), and of their errors (below).

    Parameters
    ----------
    table : pd.DataFrame
        From `genre_relations.agreement`.
    models : list of str
    """
    place = {name: k for k, name in enumerate(models)}
    grid = np.full((len(models), len(models)), np.nan)
    for row in table.itertuples():
        grid[place[row.a], place[row.b]] = row.kappa
        grid[place[row.b], place[row.a]] = row.consistency
    size = 0.42 * len(models) + 1.8
    figure, axes = plt.subplots(figsize=(max(4.4, min(7.2, size + 1.0)), size))
    text = np.vectorize(lambda value: f"{value:.2f}".replace("0.", "."))(grid)
    options = {"annot": text, "fmt": "", "cmap": "Blues", "vmin": 0, "vmax": 1}
    options |= {"xticklabels": models, "yticklabels": models, "annot_kws": {"size": 9}}
    sns.heatmap(grid, ax=axes, square=True, cbar=False, **options)
    axes.set_facecolor("0.9")
    axes.set_title("Agreement of answers (above), of errors (below)", fontsize="small")
    axes.tick_params(axis="x", rotation=90)
    axes.tick_params(axis="y", rotation=0)
    return figure


def doubt(found: dict[str, np.ndarray], genres: int):
    """How unsure models are of tracks that the other models place near a border, or disagree on.

    Parameters
    ----------
    found : dict of str to np.ndarray, shape (models, tracks)
        From `genre_relations.doubt`.
    genres : int
    """
    labels = {
        "border": "distance to the border,\nby the other models (nats)",
        "split": "share of the other models that\ndo not join their majority",
    }
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 3.3), sharey=True)
    for axis, (what, label) in zip(axes, labels.items(), strict=True):
        across, entropy = found[what].ravel(), found["entropy"].ravel()
        edges = np.unique(np.quantile(across, np.linspace(0, 1, BINS + 1)))
        bins = np.clip(np.searchsorted(edges, across, side="right") - 1, 0, max(0, len(edges) - 2))
        binned = pd.DataFrame({"across": across, "entropy": entropy}).groupby(bins)
        low, middle, high = (binned.quantile(share) for share in (0.25, 0.5, 0.75))
        place = middle["across"]
        axis.vlines(place, low["entropy"], high["entropy"], color="C0", lw=4, alpha=0.4)
        axis.plot(place, middle["entropy"], "o-", color="C0")
        axis.axhline(np.log2(genres), color="0.4", ls="--", lw=1)
        axis.set_xlabel(label, fontsize="small")
    axes[0].set_ylabel("entropy of a model (bits)", fontsize="small")
    axes[0].set_ylim(0, 1.08 * np.log2(genres))
    title = "Median doubt and its quartiles; dashed: all genres alike"
    figure.suptitle(title, fontsize="medium")
    return figure
