"""Pictures: each function draws one figure from plain data and returns it."""

import base64
import html
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import HTML

from genre_utils import audio, files

MODEL_COLOURS = dict(
    zip(
        ("cnn", "rnn", "hybrid", "svm", "knn", "paper"),
        (*sns.color_palette("colorblind", 5), (0.45, 0.45, 0.45)),
        strict=True,
    )
)


def style() -> None:
    """Set the look of every figure: white grid, readable sizes, colours for the colour-blind."""
    sns.set_theme(style="whitegrid", palette="colorblind", context="notebook")
    plt.rcParams.update(
        {
            "figure.figsize": (9, 4),
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
    figure, axes = plt.subplots(figsize=(9, 3.2))
    counts.reindex(genres).plot.bar(ax=axes, rot=0, width=0.7)
    for bars in axes.containers:
        axes.bar_label(bars)
    axes.set(title="Tracks and artists per genre", xlabel="", ylabel="count")
    axes.margins(y=0.12)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    axes.grid(axis="x", visible=False)
    return figure


def fold_map(folds: pd.DataFrame, tracks: pd.DataFrame):
    """Share of each genre in each test fold, as a table of counts in colour."""
    tested = folds[folds["part"] == "test"].merge(tracks[["track_id", "genre"]], on="track_id")
    counts = pd.crosstab(tested["genre"], tested["fold"])
    figure, axes = plt.subplots(figsize=(9, 0.45 * len(counts) + 1.4))
    sns.heatmap(counts, annot=True, fmt="d", cmap="Blues", cbar=False, ax=axes)
    axes.set(title="Tracks in the test part of each fold", xlabel="fold", ylabel="")
    axes.tick_params(axis="y", rotation=0)
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
        rows, columns, figsize=(9, 2.3 * rows + 0.3), squeeze=False, sharex=True, sharey=True
    )
    for axis in axes.flat[len(images) :]:
        axis.set_visible(False)
    for axis, (title, image) in zip(axes.flat, images.items(), strict=False):
        extent = (0, len(image) / frames_per_second, 0, image.shape[1])
        drawn = axis.imshow(
            image.T, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=0, vmax=1
        )
        axis.set_title(plain(title))
        axis.grid(visible=False)
    figure.supxlabel("time (s)", fontsize="medium")
    figure.supylabel("mel band", fontsize="medium")
    figure.colorbar(drawn, ax=axes, label="level (0 to 1)", shrink=0.8)
    return figure


def feature_images(images: dict[str, np.ndarray], *, frames_per_second: float):
    """Features with many dimensions, one below the other.

    Parameters
    ----------
    images : dict of str to np.ndarray, shape (frames, dimensions)
        By title, scaled to 0..1.
    frames_per_second : float
    """
    figure, axes = plt.subplots(
        len(images), figsize=(9, 2.2 * len(images) + 0.3), squeeze=False, sharex=True
    )
    for axis, (title, image) in zip(axes[:, 0], images.items(), strict=True):
        extent = (0, len(image) / frames_per_second, 0.5, image.shape[1] + 0.5)
        axis.imshow(
            image.T, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=0, vmax=1
        )
        axis.set_title(plain(title))
        axis.set_ylabel("dimension")
        axis.grid(visible=False)
    axes[-1, 0].set_xlabel("time (s)")
    return figure


def boxes(values: pd.DataFrame, genre: pd.Series, genres):
    """Box plots of some statistics by genre, one axis for each.

    Parameters
    ----------
    values : pd.DataFrame, shape (tracks, statistics)
    genre : pd.Series of str, shape (tracks,)
    genres : list of str
    """
    rows = -(-values.shape[1] // 2)
    figure, axes = plt.subplots(rows, 2, figsize=(9, 2.3 * rows), sharey=True)
    for axis, name in zip(axes.flat, values, strict=False):
        sns.boxplot(
            x=values[name].to_numpy(),
            y=genre.to_numpy(),
            order=genres,
            hue=genre.to_numpy(),
            hue_order=genres,
            legend=False,
            ax=axis,
        )
        axis.set(title=name, xlabel="", ylabel="")
    return figure


def track_map(place: np.ndarray, genre: pd.Series, genres, explained):
    """Tracks as points in two dimensions, coloured by genre.

    Parameters
    ----------
    place : np.ndarray, shape (tracks, 2)
    genre : pd.Series of str, shape (tracks,)
    genres : list of str
    explained : sequence of float
        Share of the variance along each axis.
    """
    figure, axes = plt.subplots(figsize=(7, 5))
    sns.scatterplot(
        x=place[:, 0],
        y=place[:, 1],
        hue=genre.to_numpy(),
        hue_order=genres,
        style=genre.to_numpy(),
        style_order=genres,
        s=50,
        ax=axes,
    )
    axes.set(
        title="Tracks by their MFCC statistics",
        xlabel=f"first principal component ({explained[0]:.0%} of the variance)",
        ylabel=f"second ({explained[1]:.0%})",
    )
    axes.legend(title="", loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure


def plain(text: str) -> str:
    """Text that matplotlib shows as it is, dollar signs included."""
    return str(text).replace("$", r"\$")


def piano_roll(score, title: str, *, seconds: float = 10.0):
    """Notes of a score against time, one colour per instrument.

    Parameters
    ----------
    score : pretty_midi.PrettyMIDI
    title : str
    seconds : float
        How much of it to show, from the start.
    """
    figure, axes = plt.subplots(figsize=(9, 3.6))
    colours = sns.color_palette("colorblind", len(score.instruments))
    for instrument, colour in zip(score.instruments, colours, strict=True):
        notes = [n for n in instrument.notes if n.start < seconds and not instrument.is_drum]
        notes = notes or [n for n in instrument.notes if n.start < seconds]
        axes.hlines(
            [n.pitch for n in notes],
            [n.start for n in notes],
            [min(n.end, seconds) for n in notes],
            colors=[colour],
            linewidth=3,
            label=plain(instrument.name),
        )
    axes.set(title=plain(title), xlabel="time (s)", ylabel="MIDI pitch", xlim=(0, seconds))
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize="small", frameon=False)
    return figure


def frame_curves(families: dict[str, np.ndarray], frames_per_second: float, units: dict):
    """Draw one-dimensional features against time, each on an axis of its own."""
    figure, axes = plt.subplots(
        len(families), figsize=(9, 1.5 * len(families) + 0.4), sharex=True, squeeze=False
    )
    for axis, (family, values), colour in zip(
        axes[:, 0], families.items(), sns.color_palette("colorblind"), strict=False
    ):
        axis.plot(np.arange(values.shape[1]) / frames_per_second, values[0], lw=1, color=colour)
        axis.set_title(f"{family.replace('_', ' ')}: {units[family]}", loc="left")
    axes[-1, 0].set_xlabel("time (s)")
    return figure


def learning_curves(run: dict):
    """Loss and accuracy of every fold against the epoch, training and inner validation."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6))
    for axis, measure in zip(axes, ("loss", "accuracy"), strict=True):
        for key, colour, label in (
            (measure, "C0", "training"),
            (f"val_{measure}", "C1", "inner validation"),
        ):
            curves = [fold["history"][key] for fold in run["folds"]]
            for curve in curves:
                axis.plot(range(1, len(curve) + 1), curve, color=colour, alpha=0.25, lw=1)
            table = pd.DataFrame(curves)
            median = table.median()[table.count() > len(curves) / 2]  # while most folds go on
            axis.plot(median.index + 1, median, color=colour, lw=2.5, label=label)
        axis.set(title=f"{measure} per epoch", xlabel="epoch", ylabel=measure)
    axes[0].legend(frameon=False)
    figure.suptitle(f"{run['model']}: {len(run['folds'])} folds (thin) and their median (thick)")
    return figure


def confusion(matrices: dict[str, np.ndarray], genres):
    """Confusion matrices: share of the tracks of a true genre (row), with counts.

    Parameters
    ----------
    matrices : dict of str to np.ndarray, shape (genres, genres)
        Rows true, columns predicted, by model.
    genres : list of str
    """
    columns = min(3, len(matrices))
    rows = -(-len(matrices) // columns)
    size = 0.62 * len(genres) + 0.9
    figure, axes = plt.subplots(
        rows, columns, figsize=(max(3.3, size) * columns, size * rows + 0.4), squeeze=False
    )
    for axis in axes.flat[len(matrices) :]:
        axis.set_visible(False)
    for axis, (name, matrix) in zip(axes.flat, matrices.items(), strict=False):
        matrix = np.asarray(matrix)
        share = matrix / matrix.sum(axis=1, keepdims=True).clip(min=1)
        sns.heatmap(
            share,
            annot=matrix,
            fmt="d",
            cmap="Blues",
            vmin=0,
            vmax=1,
            cbar=False,
            square=True,
            xticklabels=genres,
            yticklabels=genres,
            ax=axis,
        )
        axis.set(title=name, xlabel="predicted", ylabel="true")
        axis.tick_params(axis="x", rotation=45)
        axis.tick_params(axis="y", rotation=0)
    return figure


def accuracy_intervals(results: dict, paper: dict[str, float]):
    """Track-level accuracy of each model with its 95 % interval, chance, and the paper's claim."""
    names = list(results["models"])[::-1]
    figure, axes = plt.subplots(figsize=(9, 0.5 * len(names) + 1.5))
    for y, name in enumerate(names):
        model = results["models"][name]
        low, high = model["ci95"]["accuracy"]
        colour = MODEL_COLOURS.get(name, "C7")
        axes.plot([low, high], [y, y], lw=3, color=colour, solid_capstyle="round")
        axes.plot(model["accuracy"], y, "o", ms=9, color=colour)
        if name in paper:
            axes.plot(paper[name], y, "|", ms=18, mew=2.5, color=MODEL_COLOURS["paper"])
    chance = 1 / len(results["corpus"]["genres"])
    axes.axvline(chance, color="0.6", ls="--", lw=1)
    axes.text(chance, -0.45, " guessing", color="0.4", va="bottom", fontsize="small")
    axes.plot([], [], "|", ms=14, mew=2.5, color=MODEL_COLOURS["paper"], label="paper's claim")
    axes.legend(frameon=False, loc="upper left")
    axes.set(
        title="Accuracy of whole tracks, with 95 % intervals over artists",
        xlabel="accuracy",
        xlim=(0, 1),
        ylim=(-0.6, len(names) - 0.4),
        yticks=range(len(names)),
        yticklabels=names,
    )
    axes.grid(axis="y", visible=False)
    return figure


def per_genre(results: dict, measure: str = "recall"):
    """Bars of one measure per genre and model."""
    rows = [
        {"model": name, "genre": genre, measure: values[measure]}
        for name, model in results["models"].items()
        for genre, values in model["per_genre"].items()
    ]
    figure, axes = plt.subplots(figsize=(9, 3.6))
    sns.barplot(
        pd.DataFrame(rows), x="genre", y=measure, hue="model", palette=MODEL_COLOURS, ax=axes
    )
    axes.set(title=f"{measure.capitalize()} per genre", xlabel="", ylim=(0, 1))
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
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
    figure, axes = plt.subplots(figsize=(9, 3.2))
    values = np.array([price[split] for split in labels])
    low, high = np.array([price["ci95"][split] for split in labels]).T
    axes.barh(list(labels.values()), values, color=["C3", "C1", "C2"], height=0.6)
    axes.errorbar(
        values, range(3), xerr=[values - low, high - values], fmt="none", color="0.2", capsize=4
    )
    for y, value in enumerate(values):
        axes.text(0.02, y, f"{value:.2f}", color="white", weight="bold", va="center")
    axes.invert_yaxis()
    axes.set(
        title="The price of leakage: one SVM, the same excerpts, three splits",
        xlabel="accuracy of single excerpts, with 95 % intervals over artists",
        xlim=(0, 1.05),
    )
    axes.grid(axis="y", visible=False)
    return figure
