"""Features of a recording against time, and what they say about genres and artists."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

from genre_utils.plots import base

#: What the rows of an image are: label of its axis, and places (first row = 1) and names of some.
PITCHES = ("pitch class", (1, 3, 5, 7, 9, 11), ("C", "D", "E", "F♯", "G♯", "A♯"))
#: Likewise, of tonal centroids.
CIRCLES = ("circle", (1.5, 3.5, 5.5), ("fifths", "minor\nthirds", "major\nthirds"))
#: Likewise, of cepstral coefficients.
COEFFICIENTS = ("coefficient", (1, 5, 10, 15, 20), (1, 5, 10, 15, 20))
#: Likewise, of mel bands.
BANDS = ("mel band", (), ())


def feature_images(images: dict, *, frames_per_second: float, unit: str, around_zero: bool = False):
    """Draw features with many dimensions, one below the other, with one bar for their colours.

    Parameters
    ----------
    images : dict of str to (np.ndarray, tuple)
        By title: an array of shape (frames, dimensions), and its rows, as those of `PITCHES`.
    frames_per_second : float
        Frames in a second.
    unit : str
        What the colours mean.
    around_zero : bool
        Draw positive and negative values in two colours.
    """
    figure, axes = base.panels(len(images), 1, 1.8, 0.3, sharex=True)
    arrays = [values for values, _ in images.values()]
    low, high = min(map(np.min, arrays)), max(map(np.max, arrays))
    look: dict = {"limits": (low, high)}
    if around_zero:
        look = {"colours": "RdBu_r", "limits": (-max(-low, high), max(-low, high))}
    for axis, (title, (values, rows)) in zip(axes[:, 0], images.items(), strict=True):
        label, places, names = rows
        drawn = base.image(axis, values, len(values) / frames_per_second, bottom=0.5, **look)
        axis.set_title(base.plain(title))
        axis.set_ylabel(label)
        if len(places):
            axis.set_yticks(places, names, fontsize="small")
    axes[-1, 0].set_xlabel("time (s)")
    base.colour_bar(figure, drawn, axes, unit, location="right", shrink=0.9, aspect=30)
    return figure


def frame_curves(families: dict[str, np.ndarray], frames_per_second: float):
    """Draw one-dimensional features against time.

    Parameters
    ----------
    families : dict of str to np.ndarray, shape (1, frames)
        By title.
    frames_per_second : float
        Frames in a second.
    """
    figure, axes = base.panels(len(families), 1, 1.2, 0.4, sharex=True)
    for k, (axis, (title, values)) in enumerate(zip(axes[:, 0], families.items(), strict=True)):
        axis.plot(np.arange(values.shape[1]) / frames_per_second, values[0], lw=1, color=f"C{k}")
        axis.set_title(title, loc="left")
        axis.margins(x=0)
    axes[-1, 0].set_xlabel("time (s)")
    return figure


def image_with_curves(
    image: np.ndarray, curves: dict[str, np.ndarray], *, frames_per_second, step, unit, title, shade
):
    """Draw curves over the image that they are computed from, on one axis of one unit.

    Parameters
    ----------
    image : np.ndarray, shape (dimensions, frames)
        Scaled to 0..1; dimension k stands for k times `step`, in `unit`.
    curves : dict of str to np.ndarray, shape (frames,)
        By what to call them, in `unit`.
    frames_per_second, step : float
        Scales of the two axes.
    unit, title, shade : str
        Of the vertical axis, and of the figure; what the shades of the image mean.
    """
    figure, axes = plt.subplots(figsize=(base.WIDTH, 3.2))
    seconds = np.arange(image.shape[1]) / frames_per_second
    drawn = base.image(axes, image.T, 1, colours="gray_r", limits=(0, 1.3))  # never quite black
    half = 0.5 / frames_per_second
    drawn.set_extent((-half, seconds[-1] + half, -step / 2, (len(image) - 0.5) * step))
    bar = base.colour_bar(figure, drawn, axes, shade, location="right", shrink=0.9)
    bar.ax.set_ylim(0, 1)
    for name, curve in curves.items():
        axes.plot(seconds, curve, lw=1.6, label=name)
    axes.set(title=title, xlabel="time (s)", ylabel=unit, ylim=(0, (len(image) - 1) * step))
    base.legend(figure, axes)
    return figure


def distributions(values: pd.DataFrame, genre, genres: list[str], units):
    """Draw violins of some statistics by genre, with quartiles inside.

    Parameters
    ----------
    values : pd.DataFrame, shape (tracks, statistics)
        Its columns are the titles.
    genre, genres : sequence of str
        Genre of each track, and their order.
    units : sequence of str
        Unit of each statistic.
    """
    height = (0.24 if max(map(len, genres)) < 19 else 0.39) * len(genres) + 0.95
    figure, axes = base.panels(values.shape[1], 2, height, 0, sharey=True)
    by = np.asarray(genre)
    options = {"y": by, "order": genres, "hue": by, "hue_order": genres, "legend": False}
    options |= {"cut": 0, "density_norm": "width", "inner": "quart", "linewidth": 1}
    for axis, name, unit in zip(axes.flat, values, units, strict=False):
        sns.violinplot(x=values[name].to_numpy(), ax=axis, **options)
        axis.set(xlabel=unit, ylabel="")
        axis.set_title(base.label(name, 36, 2), fontsize="small")
        axis.locator_params(axis="x", nbins=5)
    axes[0, 0].set_yticks(range(len(genres)), base.labels(genres, 16))
    figure.suptitle("Distributions over tracks, by genre")
    return figure


def modulations(strength: pd.DataFrame, genres: list[str], unit: str = "per octave"):
    """Draw how much more than usual each genre has of patterns of each rate and scale.

    Parameters
    ----------
    strength : pd.DataFrame
        From `features.modulation_strength`.
    genres : list of str
        In the order of the panels.
    unit : str
        What cycles of the scale are counted in.
    """
    figure, axes = base.panels(len(genres), 2, 2.1, 0.9, sharex=True, sharey=True)
    reach = strength["value"].abs().max()
    for axis, genre in zip(axes.flat, genres, strict=False):
        own = strength[strength["genre"] == genre]
        table = own.pivot_table("value", "rate", "scale")[::-1]
        rows = [f"{k:g}" for k in table.index]
        scales = [f"{k:z.1f}".removesuffix(".0").replace("-", "\N{MINUS SIGN}") for k in table]
        look = {"text": None, "colours": "vlag", "limits": (-reach, reach)}
        drawn = base.heat_map(axis, table, rows, scales, **look)
        axis.set(title=base.label(genre, 21, 3), xlabel="", ylabel="")
        axis.grid(visible=False)
        axis.tick_params(axis="x", rotation=0, labelsize="small")
    figure.suptitle("Strength of patterns in time and pitch")
    figure.supxlabel(f"scale (cycles {unit}; negative: falling)", fontsize="small")
    figure.supylabel("rate (Hz)", fontsize="small")
    figure.colorbar(drawn, ax=axes, shrink=0.7, label="difference from the mean (SD over tracks)")
    return figure


def correlation_map(table: pd.DataFrame):
    """Draw absolute rank correlations, named down the side and numbered along the foot.

    Parameters
    ----------
    table : pd.DataFrame, shape (statistics, statistics)
        From `features.correlation`, its index in words.
    """
    size = len(table)
    figure, axes = plt.subplots(figsize=(base.WIDTH, 0.21 * size + 1.5))
    rows = [f"{name}  {k}" for k, name in enumerate(table.index, 1)]
    columns = [k if k % 2 else "" for k in range(1, size + 1)]
    drawn = base.heat_map(axes, table.to_numpy(), rows, columns, text=None, colours="magma")
    axes.set_title("Which feature groups rise and fall together")
    axes.tick_params(labelsize="small")
    axes.tick_params(axis="x", rotation=0)
    look = {"shrink": 0.7, "aspect": 30, "pad": 0.02}
    base.colour_bar(figure, drawn, axes, "absolute rank correlation over tracks", **look)
    return figure


def ranking(tables: dict[str, pd.DataFrame]):
    """Draw statistics by score, with 95 % intervals; their ranks at the right.

    Parameters
    ----------
    tables : dict of str to pd.DataFrame
        By the score's name and unit: from `features.ranking` the rows to show, named in words.
    """
    names = {score: base.labels(table.index, 40, 2) for score, table in tables.items()}
    row = 0.4 if any("\n" in name for shown in names.values() for name in shown) else 0.27
    figure, axes = base.panels(len(tables), 1, row * max(map(len, tables.values())) + 1.1, 0)
    for axis, (score, table) in zip(axes[:, 0], tables.items(), strict=True):
        base.forest(axis, table, names[score], "score")
        axis.tick_params(axis="y", labelsize="small")
        axis.set(xlabel=score, xlim=(min(0, table["low"].min()), None))
        for y, row in enumerate(table.itertuples()):
            text = f"{row.rank_low:.0f} to {row.rank_high:.0f}"
            place = {"xy": (1.01, y), "xycoords": axis.get_yaxis_transform()}
            axis.annotate(text, va="center", fontsize="small", annotation_clip=False, **place)
        axis.set_title("rank", loc="right", fontsize="small", fontweight="normal", x=1.1)
    figure.suptitle("How much single statistics tell about the genre")
    return figure


def track_maps(
    places: dict[str, np.ndarray], names, order, *, title: str, rest: str = "", axes_of: dict
):
    """Draw tracks as points on several maps, coloured by what they belong to.

    Parameters
    ----------
    places : dict of str to np.ndarray, shape (tracks, 2)
        By title.
    names, order : sequence of str
        Genre or artist of each track, and those to colour.
    title, rest : str
        Title of the figure; legend of all other tracks, drawn in grey beneath.
    axes_of : dict of str to (str, str)
        Names of the two axes of a map, for those whose axes mean something.
    """
    height, shown = 3.8 + 0.22 * -(-(len(order) + bool(rest)) // 4), base.labels(order, 24, 1)
    figure, axes = base.panels(len(places), len(places), height, 0)
    names, palette = np.asarray(names), sns.color_palette("colorblind", 10)
    palette = palette[:7] + palette[8:] if rest else palette  # the eighth is the grey of the rest
    for axis, (what, place) in zip(axes[0], places.items(), strict=True):
        other = ~np.isin(names, order)
        if other.any():
            axis.scatter(*place[other].T, s=12, color="0.8", label=rest)
        for k, name in enumerate(order):
            look = {"marker": "osD^v<>hdp8PX"[k % 13], "label": shown[k], "s": 42}
            look |= {"color": base.dark(palette[k % len(palette)]), "edgecolor": "white", "lw": 0.3}
            axis.scatter(*place[names == name].T, **look)
        across, up = axes_of.get(what, ("", ""))
        axis.set(title=what, xticklabels=[], yticklabels=[], xlabel=across, ylabel=up)
        axis.set_aspect("equal", adjustable="datalim")
    figure.suptitle(base.label(title, 60))
    base.legend(figure, axes[0, 0])
    return figure


def cluster_agreement(table: pd.DataFrame):
    """Draw the agreement of clusters with genres and artists, and what the genre alone would earn.

    Parameters
    ----------
    table : pd.DataFrame
        From `features.cluster_agreement`.
    """
    figure, axes = plt.subplots(figsize=(base.WIDTH, 0.42 * len(table) + 1.6))
    of = table["compared with"]
    clusters = table["method"] + ", " + table["clusters"].astype(str) + " clusters"
    colours = np.where(of == "genre", "C0", "C3")
    base.forest(axes, table, clusters + "\nagainst " + of, "index", colours=colours)
    look = {"color": "0.4", "label": "artists, if clusters knew the genre alone"}
    axes.plot(table["by_genre"], range(len(table)), "|", ms=18, mew=2.5, **look)
    axes.axvline(0, color="0.6", ls="--", lw=1)
    base.legend(figure, axes)
    axes.set_title("Do clusters of MFCCs follow the genre or the artist?")
    axes.set_xlabel("adjusted Rand index (0 chance, 1 the same)")
    return figure


def artist_tree(tree: np.ndarray, artists: list[str], genres: list[str], genre_of: dict[str, str]):
    """Draw Ward's tree of artists, their names coloured by genre.

    Parameters
    ----------
    tree : np.ndarray
        Linkage matrix.
    artists, genres : list of str
        Leaves of the tree; the genres in their order.
    genre_of : dict of str to str
        Genre of each artist.
    """
    palette = sns.color_palette("colorblind", len(genres), desat=0.9)
    colours = {genre: base.dark(one) for genre, one in zip(genres, palette, strict=True)}
    figure, axes = plt.subplots(figsize=(base.WIDTH, 0.25 * len(artists) + 1.2))
    homes = [base.label(genre_of[artist], 12, 1) for artist in artists]
    leaves = base.tree(axes, tree, map("{} ({})".format, base.labels(artists, 20, 1), homes))
    for text, leaf in zip(axes.get_yticklabels(), leaves, strict=True):
        text.set(color=colours[genre_of[artists[leaf]]], fontsize="small")
    axes.grid(visible=False)
    axes.set(title="Artists by their mean MFCC statistics (Ward)", xlabel="distance when joined")
    return figure


def family_ablation(table: pd.DataFrame, chance: float):
    """Draw the accuracy of whole tracks with each group of features alone, and without it.

    Parameters
    ----------
    table : pd.DataFrame
        From `feature_statistics.ablate_families`.
    chance : float
        Accuracy at chance level.
    """
    models, parts = table["model"].unique(), table["features"].str.partition(" ")
    groups = [*dict.fromkeys(parts.loc[parts[0] != "all", 2])]
    marks = (("only", "0.15", -0.16, "alone"), ("without", "0.6", 0.16, "left out"))
    figure, axes = base.panels(len(models), 1, 0.36 * len(groups) + 0.7, 0.7, sharex=True)
    for axis, model in zip(axes[:, 0], models, strict=True):
        own = table["model"] == model
        rows = table[own].set_index([parts.loc[own, k] for k in (0, 2)])
        for kind, colour, shift, label in marks:
            look = {"colours": colour, "shift": shift, "size": 36, "label": label}
            base.forest(axis, rows.loc[kind].reindex(groups), groups, "accuracy", **look)
        line = {"color": "0.35", "lw": 1.5}
        axis.axvline(rows.loc["all", "accuracy"].iloc[0], ls="--", label="all features", **line)
        axis.axvline(chance, ls=":", label="chance level", **line)
        axis.set_title(base.label(f"{model}: each feature group alone, and left out", 60))
    axes[-1, 0].set_xlabel("accuracy of whole tracks")
    base.legend(figure, axes[0, 0])
    return figure
