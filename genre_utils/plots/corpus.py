"""TODO plots.corpus."""

import base64
import html

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import HTML

from genre_utils.features import audio
from genre_utils.plots import base as style_base


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
        axis.set_title(style_base.plain(title))
        axis.grid(visible=False)
    for axis in axes[-1]:
        axis.set_xlabel("time (s)")
    figure.supylabel("mel band", fontsize="medium")
    figure.colorbar(
        drawn, ax=axes, location="bottom", shrink=0.6, aspect=40,
        label="level (0: 80 dB below the loudest point, 1: the loudest point)",
    )  # fmt: skip
    return figure


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
        name = style_base.plain(instrument.name)
        axes.hlines(pitches, starts, ends, colors=[colour], linewidth=3, label=name)
    axes.set(title=style_base.plain(title), ylabel="MIDI pitch", xlim=(0, seconds))
    strip.set(xlabel="time (s)", ylim=(0, 1), yticks=[])
    strip.set_ylabel("drums", rotation=0, ha="right", va="center")
    figure.legend(loc="outside lower center", ncols=4, fontsize="small", frameon=False)
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
