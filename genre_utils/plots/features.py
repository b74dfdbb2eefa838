"""TODO plots.features."""

from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from scipy.cluster.hierarchy import dendrogram

from genre_utils.plots import base as style_base


class Rows(NamedTuple):
    """What the rows of an image are: its axis label, and names of some places, first row = 1."""

    label: str
    places: tuple = ()
    names: tuple = ()


PITCHES = Rows("pitch class", (1, 3, 5, 7, 9, 11), ("C", "D", "E", "F♯", "G♯", "A♯"))
CIRCLES = Rows("circle", (1.5, 3.5, 5.5), ("fifths", "minor\nthirds", "major\nthirds"))
COEFFICIENTS = Rows("coefficient", (1, 5, 10, 15, 20), (1, 5, 10, 15, 20))
BANDS = Rows("mel band")


def kilohertz(count: int, nyquist: float) -> Rows:
    """Rows of a spectrum whose `count` frequencies run from 0 to `nyquist`, in Hz."""
    marks = np.arange(0, nyquist, 2500)
    return Rows("kHz", tuple(1 + marks / nyquist * (count - 1)), tuple(marks / 1000))


def octaves(edges) -> Rows:
    """Rows of bands that lie side by side; each edge is that between two bands, in Hz."""
    return Rows("Hz", tuple(np.arange(len(edges)) + 0.5), tuple(f"{edge:,.0f}" for edge in edges))


def feature_images(images: dict, *, frames_per_second: float, around_zero: bool = False):
    """Features with many dimensions, one below the other.

    Parameters
    ----------
    images : dict of str to (np.ndarray, Rows)
        By title: an array of shape (frames, dimensions), and what its dimensions are.
    frames_per_second : float
    around_zero : bool
        Values are positive and negative, drawn in two colours with a bar; else they are scaled to
        0..1.
    """
    figure, axes = plt.subplots(
        len(images), figsize=(7.2, 1.8 * len(images) + 0.3), squeeze=False, sharex=True
    )
    for axis, (title, (image, rows)) in zip(axes[:, 0], images.items(), strict=True):
        extent = (0, len(image) / frames_per_second, 0.5, image.shape[1] + 0.5)
        few = image.shape[1] < 200  # dimensions: each is a row of even colour, and the file small
        options = {"origin": "lower", "aspect": "auto", "extent": extent}
        options["interpolation"] = "nearest" if few else "auto"
        options |= {"cmap": "magma", "vmin": 0, "vmax": 1}
        if around_zero:
            reach = abs(image).max()
            options |= {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach}
        drawn = axis.imshow(image.T, **options)
        if around_zero:
            figure.colorbar(drawn, ax=axis)
        axis.set_title(style_base.plain(title))
        axis.set_ylabel(rows.label)
        if rows.places:
            axis.set_yticks(rows.places, rows.names, fontsize="small")
        axis.grid(visible=False)
    axes[-1, 0].set_xlabel("time (s)")
    return figure


def frame_curves(families: dict[str, np.ndarray], frames_per_second: float, units: dict):
    """Draw one-dimensional features against time, each on an axis of its own, named with unit."""
    figure, axes = plt.subplots(
        len(families), figsize=(7.2, 1.2 * len(families) + 0.4), sharex=True, squeeze=False
    )
    for axis, (family, values), colour in zip(
        axes[:, 0], families.items(), sns.color_palette("colorblind"), strict=False
    ):
        axis.plot(np.arange(values.shape[1]) / frames_per_second, values[0], lw=1, color=colour)
        axis.set_title(f"{family.replace('_', ' ')} ({units[family]})", loc="left")
        axis.margins(x=0)
    axes[-1, 0].set_xlabel("time (s)")
    return figure


# ------------------------------------------------- what the features say: as wide as a phone reads


def distributions(values: pd.DataFrame, genre, genres, units):
    """Violins of some statistics by genre, one axis for each, with quartiles inside.

    Parameters
    ----------
    values : pd.DataFrame, shape (tracks, statistics)
        Its columns are the titles.
    genre : sequence of str, shape (tracks,)
    genres : list of str
    units : sequence of str
        Unit of each statistic.
    """
    rows = -(-values.shape[1] // 2)
    height = (0.24 * len(genres) + 0.95) * rows
    figure, axes = plt.subplots(rows, 2, figsize=(7.2, height), sharey=True, squeeze=False)
    for axis in axes.flat[values.shape[1] :]:
        axis.set_visible(False)
    for axis, name, unit in zip(axes.flat, values, units, strict=False):
        options = {"y": np.asarray(genre), "order": genres, "hue": np.asarray(genre)}
        options |= {"hue_order": genres, "legend": False, "cut": 0, "density_norm": "width"}
        sns.violinplot(x=values[name].to_numpy(), inner="quart", linewidth=1, ax=axis, **options)
        axis.set_title(style_base.plain(name), fontsize="medium")
        axis.set(xlabel=unit, ylabel="")
        axis.locator_params(axis="x", nbins=5)
    return figure


def modulations(strength: pd.DataFrame, genres):
    """How much more than usual each genre has of patterns of each rate and scale.

    Parameters
    ----------
    strength : pd.DataFrame
        Columns genre, rate (Hz), scale (cycles over all mel bands; negative: falling) and value,
        in standard deviations over tracks.
    genres : sequence of str
    """
    rows = -(-len(genres) // 2)
    figure, axes = plt.subplots(
        rows, 2, figsize=(7.2, 2.3 * rows + 0.6), squeeze=False, sharex=True, sharey=True
    )
    limit = strength["value"].abs().max()
    for axis in axes.flat[len(genres) :]:
        axis.set_visible(False)
    for axis, genre in zip(axes.flat, genres, strict=False):
        own = strength[strength["genre"] == genre]
        table = own.pivot_table(index="rate", columns="scale", values="value")
        drawn = axis.imshow(
            table, origin="lower", aspect="auto", cmap="vlag", vmin=-limit, vmax=limit
        )
        axis.set_xticks(range(table.shape[1]), [f"{scale:.0f}" for scale in table.columns])
        axis.set_yticks(range(len(table)), [f"{rate:g}" for rate in table.index])
        axis.set_title(style_base.plain(genre))
        axis.grid(visible=False)
    figure.supxlabel("scale (cycles over all mel bands; negative: falling)", fontsize="small")
    figure.supylabel("rate (Hz)", fontsize="small")
    figure.colorbar(drawn, ax=axes, shrink=0.7, label="standard deviations over tracks")
    return figure


def correlation_map(table: pd.DataFrame, names):
    """Absolute rank correlations, named down the side and numbered along the foot.

    Parameters
    ----------
    table : pd.DataFrame, shape (statistics, statistics)
        From `analysis.correlation`.
    names : sequence of str
        What to call its rows.
    """
    size = len(table)
    figure, axes = plt.subplots(figsize=(7.2, 0.21 * size + 1.5))
    drawn = axes.imshow(table.to_numpy(), cmap="magma", vmin=0, vmax=1, aspect="auto")
    axes.set(
        title="Which families rise and fall together",
        xticks=range(size),
        yticks=range(size),
        yticklabels=[f"{name}  {k}" for k, name in enumerate(names, 1)],
    )
    axes.set_xticks(range(size), [k if k % 2 else "" for k in range(1, size + 1)])
    axes.tick_params(labelsize="small")
    axes.grid(visible=False)
    figure.colorbar(
        drawn, ax=axes, orientation="horizontal", shrink=0.7, aspect=30, pad=0.02,
        label="absolute rank correlation over tracks",
    )  # fmt: skip
    return figure


def forest(axes, table: pd.DataFrame, names, colours="C0", centre="score"):
    """Points with intervals, one below the other, the first on top."""
    y = np.arange(len(table))
    axes.hlines(y, table["low"], table["high"], color=colours, lw=3)
    axes.scatter(table[centre], y, s=45, c=colours if isinstance(colours, str) else list(colours))
    axes.set_yticks(y, names)
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)


def ranking(tables: dict[str, pd.DataFrame], names):
    """Statistics by score, with 95 % intervals; their ranks at the right.

    Parameters
    ----------
    tables : dict of str to pd.DataFrame
        From `analysis.ranking`, cut to the rows to show, by the score's name and unit.
    names : dict of str to str
        What to call each statistic.
    """
    longest = max(map(len, tables.values()))
    figure, axes = plt.subplots(len(tables), figsize=(7.2, (0.27 * longest + 1.1) * len(tables)))
    for axis, (score, table) in zip(np.atleast_1d(axes), tables.items(), strict=True):
        forest(axis, table, [names[column] for column in table.index])
        axis.set(xlabel=score, xlim=(min(0, table["low"].min()), None))
        for y, row in enumerate(table.itertuples()):
            text = f"{row.rank_low:.0f} to {row.rank_high:.0f}"
            place = {"xy": (1.01, y), "xycoords": axis.get_yaxis_transform()}
            axis.annotate(text, va="center", fontsize="small", annotation_clip=False, **place)
        axis.set_title("rank", loc="right", fontsize="small", fontweight="normal", x=1.1)
    return figure


def dark(colour):
    """A colour dark enough for a thin mark on white, and for white text on it."""
    return tuple(0.7 * part for part in colour)


def track_maps(
    places: dict[str, np.ndarray], names, order, *, title: str, axes_of: dict, rest: str = ""
):
    """Tracks as points on several maps, coloured by what they belong to.

    Parameters
    ----------
    places : dict of str to np.ndarray, shape (tracks, 2)
        By title.
    names : sequence of str, shape (tracks,)
        Genre or artist of each track.
    order : list of str
        The names to colour.
    title : str
    axes_of : dict of str to (str, str)
        Names of the two axes of a map, for those whose axes mean something.
    rest : str
        Legend of the tracks with other names, drawn in grey beneath.
    """
    columns = 2 if max(map(len, [*order, rest])) > 18 else 4
    height = 3.8 + 0.22 * -(-(len(order) + bool(rest)) // columns)
    figure, axes = plt.subplots(1, len(places), figsize=(7.2, height), squeeze=False)
    names = np.asarray(names)
    marks = dict(zip(order, "osD^v<>hdp8PX" * (len(order) // 13 + 1), strict=False))
    palette = sns.color_palette("colorblind", 10)
    palette = palette[:7] + palette[8:] if rest else palette  # the eighth is the grey of the rest
    colours = {name: dark(palette[k % len(palette)]) for k, name in enumerate(order)}
    for axis, (what, place) in zip(axes[0], places.items(), strict=True):
        other = ~np.isin(names, order)
        if other.any():
            axis.scatter(*place[other].T, s=12, color="0.8", label=rest)
        for name in order:
            here = place[names == name]
            style = {"marker": marks[name], "color": colours[name], "label": style_base.plain(name)}
            axis.scatter(*here.T, s=42, edgecolor="white", linewidth=0.3, **style)
        across, up = axes_of.get(what, ("", ""))
        axis.set(title=what, xticklabels=[], yticklabels=[], xlabel=across, ylabel=up)
        axis.set_aspect("equal", adjustable="datalim")  # a distance is the same in any direction
    figure.suptitle(style_base.plain(title), fontsize="medium")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    options = {"frameon": False, "fontsize": "small", "ncols": columns}
    figure.legend(handles, labels, loc="outside lower center", **options)
    return figure


def cluster_agreement(table: pd.DataFrame):
    """Agreement of clusters with genres and artists, and what the genre alone would earn.

    Parameters
    ----------
    table : pd.DataFrame
        From `analysis.cluster_agreement`.
    """
    figure, axes = plt.subplots(figsize=(7.2, 0.42 * len(table) + 1.6))
    names = [
        f"{method}, {k} clusters\nagainst {what}"
        for method, what, k in table[["method", "compared with", "clusters"]].to_numpy()
    ]
    forest(axes, table, names, ["C0" if w == "genre" else "C3" for w in table["compared with"]],
            centre="index")  # fmt: skip
    axes.plot(
        table["by_genre"], range(len(table)), "|", ms=18, mew=2.5, color="0.4", ls="",
        label="artists, if clusters knew the genre alone",
    )  # fmt: skip
    axes.axvline(0, color="0.6", ls="--", lw=1)
    figure.legend(loc="outside lower center", frameon=False, fontsize="small")
    axes.set(title="Do clusters of MFCCs follow the genre or the artist?")
    axes.set(xlabel="adjusted Rand index (0 chance, 1 the same)")
    return figure


def artist_tree(tree: np.ndarray, artists, genre_of: dict[str, str], genres):
    """Draw Ward's tree of artists, their names coloured by genre.

    Parameters
    ----------
    tree : np.ndarray
        Linkage matrix from `analysis.centroid_tree`.
    artists : list of str
    genre_of : dict of str to str
    genres : list of str
    """
    palette = sns.color_palette("colorblind", len(genres), desat=0.9)
    colours = {g: [0.7 * part for part in c] for g, c in zip(genres, palette, strict=True)}
    figure, axes = plt.subplots(figsize=(7.2, 0.25 * len(artists) + 1.2))
    options = {"orientation": "left", "color_threshold": 0, "above_threshold_color": "0.4"}
    names = [style_base.plain(f"{artist} ({genre_of[artist]})") for artist in artists]
    drawn = dendrogram(tree, labels=names, ax=axes, **options)
    for text, leaf in zip(axes.get_yticklabels(), drawn["leaves"], strict=True):
        text.set(color=colours[genre_of[artists[leaf]]], fontsize="small")
    axes.grid(visible=False)
    axes.set(title="Artists by their mean MFCC statistics (Ward)", xlabel="distance when joined")
    return figure


def family_ablation(table: pd.DataFrame, chance: float):
    """Accuracy of whole tracks with each set of features, one axis for each model.

    Parameters
    ----------
    table : pd.DataFrame
        From `analysis.ablation_table`.
    chance : float
        Accuracy of guessing.
    """
    models = list(dict.fromkeys(table["model"]))
    sets = table["features"].nunique()
    figure, axes = plt.subplots(
        len(models), figsize=(7.2, (0.27 * sets + 1.1) * len(models)), sharex=True, squeeze=False
    )
    for axis, model in zip(axes[:, 0], models, strict=True):
        rows = table[table["model"] == model]
        kinds = rows["features"].str.split().str[0].map({"all": "0.2", "without": "C1"})
        forest(axis, rows, rows["features"], kinds.fillna("C0"), centre="accuracy")
        axis.axvline(rows["accuracy"].iloc[0], color="0.6", ls="--", lw=1)
        axis.axvline(chance, color="0.4", ls=":", lw=1.5)
        axis.set_title(f"{model}: features left out, and alone")
    options = {"rotation": 90, "color": "0.4", "va": "bottom", "ha": "right", "fontsize": "small"}
    axes[0, 0].text(chance, sets - 0.5, "guessing ", **options)
    axes[-1, 0].set_xlabel("accuracy of whole tracks, with 95 % intervals")
    return figure


def image_with_curves(
    image: np.ndarray, curves: dict[str, np.ndarray], *, frames_per_second, step, unit, title
):
    """Draw curves over the image that they are computed from, on one axis of one unit.

    Parameters
    ----------
    image : np.ndarray, shape (dimensions, frames)
        Scaled to 0..1; dimension k stands for k times `step`, in `unit`.
    curves : dict of str to np.ndarray, shape (frames,)
        By what to call them, in `unit`.
    frames_per_second, step : float
    unit, title : str
    """
    figure, axes = plt.subplots(figsize=(7.2, 3.2))
    seconds = np.arange(image.shape[1]) / frames_per_second
    half = 0.5 / frames_per_second  # a pixel has its centre where the curve has its point
    extent = (-half, seconds[-1] + half, -step / 2, (len(image) - 0.5) * step)
    options = {"origin": "lower", "aspect": "auto", "extent": extent, "cmap": "gray_r"}
    options["interpolation"] = "nearest" if len(image) < 200 else "auto"
    axes.imshow(image, vmin=0, vmax=1.3, **options)  # never quite black: curves stay visible
    for colour, (name, curve) in zip(sns.color_palette("colorblind"), curves.items(), strict=False):
        axes.plot(seconds, curve, lw=1.6, color=colour, label=name)
    axes.set(title=title, xlabel="time (s)", ylabel=unit, ylim=(0, (len(image) - 1) * step))
    axes.grid(visible=False)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure
