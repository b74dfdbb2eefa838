"""Pictures: each function draws one figure from plain data and returns it."""

import base64
import html
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import HTML
from matplotlib.colors import to_rgb
from scipy.cluster.hierarchy import dendrogram

from genre_utils import audio, files

#: Models of one kind are near one another: blues, oranges, greens; tuned ones are darker.
MODEL_COLOURS = {
    "cnn": "#0173b2", "cnn_tuned": "#014a73", "cnn1d": "#56b4e9", "cnn1d_tuned": "#3a7fa6",
    "rnn": "#de8f05", "rnn_tuned": "#9c6403", "lstm": "#ece133", "gru": "#ca9161",
    "hybrid": "#029e73", "hybrid_tuned": "#016b4e", "hybrid_parallel": "#7fcfb5",
    "mlp": "#4f4f4f", "fusion": "#949494", "dbn": "#fbafe4", "svm": "#d55e00",
    "logistic": "#8c3c00",
    "knn": "#cc78bc", "paper": "#737373", "ensemble": "#000000",
}  # fmt: skip


def style() -> None:
    """Set the look of every figure: white grid, readable sizes, colours for the colour-blind."""
    sns.set_theme(style="whitegrid", palette="colorblind", context="notebook")
    plt.rcParams.update(
        {
            "figure.figsize": (7.2, 3.6),
            "figure.dpi": 90,
            "figure.constrained_layout.use": True,
            "axes.titlesize": "medium",
            "axes.titleweight": "bold",
            "svg.hashsalt": "genre",  # the same figure is the same file
            "svg.fonttype": "none",  # text stays text
        }
    )


def keep(figure, study: Path, name: str) -> None:
    """Save a figure as ``figures/NAME.png`` and ``.svg`` of the study; the notebook shows it."""
    for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        with files.written_whole(study / "figures" / f"{name}.{suffix}") as temporary:
            figure.savefig(temporary, metadata=metadata)
        figure.set_layout_engine("none")  # it is laid out now; the next two drawings need not be


def players(clips: dict[str, np.ndarray], sr: int, *, seconds: float = 8.0) -> HTML:
    """Audio players side by side, each with the start of a clip as MP3.

    Parameters
    ----------
    clips : dict of str to np.ndarray, shape (n,)
        By label.
    sr : int
        Sample rate in Hz.
    seconds : float
        How much of each clip can be heard.
    """
    parts = [
        f'<figure style="margin: 0"><figcaption>{html.escape(label)}</figcaption>'
        f'<audio controls preload="none" src="data:audio/mpeg;base64,'
        f'{base64.b64encode(audio.encode_mp3(y, sr, seconds=seconds)).decode()}"></audio></figure>'
        for label, y in clips.items()
    ]
    return HTML(f'<div style="display: flex; flex-wrap: wrap; gap: 1em">{"".join(parts)}</div>')


def genre_counts(tracks: pd.DataFrame, genres):
    """Bars of tracks and artists per genre."""
    used = tracks[tracks["status"] == "used"]
    counts = used.groupby("genre").agg(tracks=("track_id", "size"), artists=("artist", "nunique"))
    figure, axes = plt.subplots(figsize=(7.2, 3.2))
    counts.reindex(genres).plot.bar(ax=axes, rot=0 if len(genres) < 7 else 45, width=0.7)
    for bars in axes.containers:
        axes.bar_label(bars)
    axes.set(title="Tracks and artists per genre", xlabel="", ylabel="count")
    axes.margins(y=0.12)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    axes.grid(axis="x", visible=False)
    return figure


def fold_map(folds: pd.DataFrame, tracks: pd.DataFrame, genres=None):
    """Tracks of each genre in the parts of each fold that are tested and validated on.

    Parameters
    ----------
    folds : pd.DataFrame
        track_id, fold and part.
    tracks : pd.DataFrame
        track_id and genre.
    genres : list of str, optional
        Their order; that of the alphabet where it is not given.
    """
    genres = sorted(tracks["genre"].unique()) if genres is None else genres
    rows = folds.merge(tracks[["track_id", "genre"]], on="track_id")
    counts = pd.crosstab([rows["part"], rows["genre"]], rows["fold"])
    darkest = 1.6 * counts.to_numpy().max()
    shown = {"test": "test part", "validation": "inner validation part"}
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 0.4 * len(genres) + 1.4), sharey=True)
    for axis, (part, title) in zip(axes, shown.items(), strict=True):
        table = counts.loc[part].reindex(genres, fill_value=0)
        options = {"annot": True, "fmt": "d", "cmap": "Blues", "cbar": False}
        sns.heatmap(table, ax=axis, vmin=0, vmax=darkest, **options)
        axis.set(title=title, xlabel="fold", ylabel="")
        axis.tick_params(axis="y", rotation=0)
    figure.suptitle("Tracks of each genre in each fold", fontsize="medium")
    return figure


def spectrograms(images: dict[str, np.ndarray], *, frames_per_second: float, columns: int = 2):
    """Log-mel spectrograms side by side.

    Parameters
    ----------
    images : dict of str to np.ndarray, shape (frames, mels)
        By title.
    frames_per_second : float
    columns : int
    """
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(7.2, 2.1 * rows + 0.9), squeeze=False, sharex=True, sharey=True
    )
    figure.get_layout_engine().set(wspace=0.06, h_pad=0.08)  # labels touch nothing, nor the edge
    for axis in axes.flat[len(images) :]:
        axis.set_visible(False)
    for axis, (title, image) in zip(axes.flat, images.items(), strict=False):
        extent = (0, len(image) / frames_per_second, 0, image.shape[1])
        drawn = axis.imshow(
            image.T, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=0, vmax=1
        )
        axis.set_title(plain(title))
        axis.grid(visible=False)
    for axis in axes[-1]:
        axis.set_xlabel("time (s)")
    figure.supylabel("mel band", fontsize="medium")
    figure.colorbar(
        drawn, ax=axes, location="bottom", shrink=0.6, aspect=40,
        label="level (0: 80 dB below the loudest point, 1: the loudest point)",
    )  # fmt: skip
    return figure


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
        axis.set_title(plain(title))
        axis.set_ylabel(rows.label)
        if rows.places:
            axis.set_yticks(rows.places, rows.names, fontsize="small")
        axis.grid(visible=False)
    axes[-1, 0].set_xlabel("time (s)")
    return figure


def plain(text: str) -> str:
    """Text that matplotlib shows as it is, dollar signs included."""
    return str(text).replace("$", r"\$")


def piano_roll(score, title: str, *, seconds: float = 10.0):
    """Notes of a score against time, one colour per instrument; drum strokes in a strip below.

    Parameters
    ----------
    score : pretty_midi.PrettyMIDI
    title : str
    seconds : float
        How much of it to show, from the start.
    """
    figure, (axes, strip) = plt.subplots(
        2, figsize=(7.2, 4.2), sharex=True, height_ratios=(9, 1), gridspec_kw={"hspace": 0}
    )
    colours = sns.color_palette("colorblind", len(score.instruments))
    for instrument, colour in zip(score.instruments, colours, strict=True):
        notes = [note for note in instrument.notes if note.start < seconds]
        starts = [note.start for note in notes]
        if instrument.is_drum:
            strip.vlines(starts, 0, 1, colors="0.3", linewidth=1)
            continue
        pitches, ends = [n.pitch for n in notes], [min(n.end, seconds) for n in notes]
        name = plain(instrument.name)
        axes.hlines(pitches, starts, ends, colors=[colour], linewidth=3, label=name)
    axes.set(title=plain(title), ylabel="MIDI pitch", xlim=(0, seconds))
    strip.set(xlabel="time (s)", ylim=(0, 1), yticks=[])
    strip.set_ylabel("drums", rotation=0, ha="right", va="center")
    figure.legend(loc="outside lower center", ncols=4, fontsize="small", frameon=False)
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
        axis.set_title(plain(name), fontsize="medium" if few else "small")
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
        colour = MODEL_COLOURS.get(name, "C7")
        axes.plot([low, high], [y, y], lw=3, color=colour, solid_capstyle="round")
        axes.plot(models[name]["accuracy"], y, "o", ms=8, color=colour)
        if name in paper:
            axes.plot(paper[name], y, "|", ms=14, mew=2.5, color=MODEL_COLOURS["paper"])
    chance = 1 / len(results["corpus"]["genres"])
    axes.axvline(chance, color="0.6", ls="--", lw=1, label="guessing")
    if set(paper) & set(names):
        axes.plot([], [], "|", ms=14, mew=2.5, color=MODEL_COLOURS["paper"], label="paper's claim")
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
            numbers, colour = models[name]["per_genre"][genre], MODEL_COLOURS.get(name, "C7")
            limits = np.array(numbers["ci95"][measure], dtype=float)  # None becomes NaN
            axis.plot(limits, [y, y], lw=2.5, color=colour, solid_capstyle="round")
            axis.plot(numbers[measure], y, "o", ms=6, color=colour)
        axis.set_title(f"{plain(genre)} ({numbers['support']} tracks)", fontsize="medium")
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
        From `evaluation.leakage`: accuracies and their 95 % intervals.
    """
    labels = {
        "segment": "excerpts at random\n(most open projects)",
        "track": "tracks at random",
        "artist": "artists apart\n(this study)",
    }
    figure, axes = plt.subplots(figsize=(7.2, 3))
    values = np.array([price[split] for split in labels])
    low, high = np.array([price["ci95"][split] for split in labels]).T
    colours = [_dark(to_rgb(colour)) for colour in ("C3", "C1", "C2")]
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
        axis.set_title(plain(name), fontsize="medium")
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
        axis.set_title(plain(genre))
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


def _forest(axes, table: pd.DataFrame, names, colours="C0", centre="score"):
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
        _forest(axis, table, [names[column] for column in table.index])
        axis.set(xlabel=score, xlim=(min(0, table["low"].min()), None))
        for y, row in enumerate(table.itertuples()):
            text = f"{row.rank_low:.0f} to {row.rank_high:.0f}"
            place = {"xy": (1.01, y), "xycoords": axis.get_yaxis_transform()}
            axis.annotate(text, va="center", fontsize="small", annotation_clip=False, **place)
        axis.set_title("rank", loc="right", fontsize="small", fontweight="normal", x=1.1)
    return figure


def _dark(colour):
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
    colours = {name: _dark(palette[k % len(palette)]) for k, name in enumerate(order)}
    for axis, (what, place) in zip(axes[0], places.items(), strict=True):
        other = ~np.isin(names, order)
        if other.any():
            axis.scatter(*place[other].T, s=12, color="0.8", label=rest)
        for name in order:
            here = place[names == name]
            style = {"marker": marks[name], "color": colours[name], "label": plain(name)}
            axis.scatter(*here.T, s=42, edgecolor="white", linewidth=0.3, **style)
        across, up = axes_of.get(what, ("", ""))
        axis.set(title=what, xticklabels=[], yticklabels=[], xlabel=across, ylabel=up)
        axis.set_aspect("equal", adjustable="datalim")  # a distance is the same in any direction
    figure.suptitle(plain(title), fontsize="medium")
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
    _forest(axes, table, names, ["C0" if w == "genre" else "C3" for w in table["compared with"]],
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
    names = [plain(f"{artist} ({genre_of[artist]})") for artist in artists]
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
        _forest(axis, rows, rows["features"], kinds.fillna("C0"), centre="accuracy")
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


def loudness(levels: pd.DataFrame, genres):
    """Loudness of clips by genre, before and after each way of normalising it.

    Parameters
    ----------
    levels : pd.DataFrame
        One row per clip and way: genre, normalisation, LUFS.
    genres : list of str
    """
    ways = list(levels["normalisation"].unique())
    figure, axes = plt.subplots(
        1, len(ways), figsize=(7.2, 0.4 * len(genres) + 1.5), sharex=True, sharey=True
    )
    for axis, way in zip(axes, ways, strict=True):
        rows = levels[levels["normalisation"] == way]
        sns.stripplot(
            rows, x="LUFS", y="genre", order=genres, hue="genre", hue_order=genres,
            legend=False, alpha=0.7, jitter=0.2, ax=axis,
        )  # fmt: skip
        axis.set(title=way, xlabel="", ylabel="")
    figure.supxlabel("integrated loudness (LUFS)", fontsize="medium")
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
    _forest(axes, points, table["title"], list(table["question"].map(colours)), "difference")
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


#: How columns of `evaluation.track_probabilities` are called where they are shown.
TRACK_COLUMNS = {"track_id": "track", "y_true": "its genre", "y_pred": "answer"}


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
