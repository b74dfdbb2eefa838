"""The music: how much there is of each genre, how it is split, and what it sounds like."""

import base64
import html
import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import soundfile
from IPython.display import HTML

from genre_utils.plots import base


def players(clips: dict[str, np.ndarray], sr: int, *, seconds: float = 8.0) -> HTML:
    """Show audio players side by side, each with the start of a clip, scaled to half, as MP3.

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
        f'{base64.b64encode(_mp3(y[: round(seconds * sr)], sr)).decode()}"></audio></figure>'
        for label, y in clips.items()
    ]
    return HTML(f'<div style="display: flex; flex-wrap: wrap; gap: 1em">{"".join(parts)}</div>')


def _mp3(y, sr):
    content, scaled = io.BytesIO(), 0.5 * y / max(abs(y).max(), 1e-4)
    soundfile.write(content, scaled, sr, format="MP3", compression_level=0.7)
    return content.getvalue()


def genre_counts(counts: pd.DataFrame):
    """Draw bars of tracks and artists per genre.

    Parameters
    ----------
    counts : pd.DataFrame
        A row per genre; columns of nothing but 0 are not drawn.
    """
    genres = list(counts.index)
    turn = 0 if len(genres) < 7 else 45 if max(map(len, genres)) < 11 else 90
    figure, axes = plt.subplots(figsize=(base.WIDTH, 4.2 if turn > 45 else 3.2))
    names = base.labels(genres, 15 if turn else round(57 / len(genres)), 1 if turn else 3)
    drawn = counts.loc[:, (counts != 0).any()].set_axis(names)
    drawn.plot.bar(ax=axes, rot=turn, width=0.8, legend=False, color=["0.3", "0.55", "0.8"])
    for bars in axes.containers:
        axes.bar_label(bars, fontsize="small")
    axes.set(title="Tracks and artists of each genre", xlabel="", ylabel="count")
    axes.margins(y=0.12)
    axes.grid(axis="x", visible=False)
    base.legend(figure, axes)
    return figure


def fold_map(folds: pd.DataFrame, tracks: pd.DataFrame, genres: list[str]):
    """Draw how many tracks of each genre are in the test and validation part of each fold.

    Parameters
    ----------
    folds, tracks : pd.DataFrame
        Columns track_id, fold and part; track_id and genre.
    genres : list of str
        In their order.
    """
    rows = folds.merge(tracks[["track_id", "genre"]], on="track_id")
    counts = pd.crosstab([rows["part"], rows["genre"]], rows["fold"])
    limits = 0, 1.6 * counts.to_numpy().max()
    shown = {"test": "test part", "validation": "inner validation part"}
    figure, axes = base.panels(2, 2, 0.4 * len(genres) + 1.4, 0, sharey=True)
    for axis, (part, title) in zip(axes[0], shown.items(), strict=True):
        table = counts.loc[part].reindex(genres, fill_value=0)
        base.heat_map(axis, table, base.labels(genres), list(table), fmt="d", limits=limits)
        axis.set(title=title, xlabel="fold", ylabel="")
        axis.tick_params(axis="x", rotation=0)
    figure.suptitle("Tracks of each genre in each fold")
    return figure


def spectrograms(images: dict[str, np.ndarray], *, frames_per_second: float, title: str = ""):
    """Draw log-mel spectrograms side by side.

    Parameters
    ----------
    images : dict of str to np.ndarray, shape (frames, mels)
        By title; from 0 to 1.
    frames_per_second : float
        Frames in a second.
    title : str
        Title of the figure.
    """
    figure, axes = base.panels(len(images), 2, 2.1, 0.9, sharex=True, sharey=True)
    figure.get_layout_engine().set(wspace=0.06, h_pad=0.08)  # labels touch nothing, nor the edge
    for axis, (name, image) in zip(axes.flat, images.items(), strict=False):
        drawn = base.image(axis, image, len(image) / frames_per_second)
        axis.set_title(base.label(name, 24, 3))
    plt.setp(axes[-1], xlabel="time (s)")
    figure.supylabel("mel band")
    if title:
        figure.suptitle(title)
    label = "level (0: 80 dB below the loudest point, 1: the loudest point)"
    base.colour_bar(figure, drawn, axes, label, aspect=40)
    return figure


def piano_roll(score, title: str):
    """Draw the first ten seconds of a score: notes against time, and drum onsets in a strip below.

    Parameters
    ----------
    score : pretty_midi.PrettyMIDI
        The score; where it says its metre, bar lines are drawn.
    title : str
        Title of the figure.
    """
    parts = [(part, [n for n in part.notes if n.start < 10]) for part in score.instruments]
    parts = [(part, notes) for part, notes in parts if notes]
    heights = (9, 1)[: 1 + any(part.is_drum for part, _ in parts)]
    look = {"figsize": (base.WIDTH, 4.2), "gridspec_kw": {"hspace": 0, "height_ratios": heights}}
    figure, panels = plt.subplots(len(heights), sharex=True, squeeze=False, **look)
    axes, strip = panels[0, 0], panels[-1, 0]
    colours = sns.color_palette("colorblind", len(parts))
    for k, (instrument, notes) in enumerate(parts):
        starts, ends = [n.start for n in notes], [min(n.end, 10) for n in notes]
        if instrument.is_drum:
            strip.vlines(starts, 0, 1, colors="0.3", linewidth=1)
        else:
            look = {"colors": [colours[k]], "label": base.plain(instrument.name)}
            look["linewidth"] = 8 - 7 * k / len(parts)  # those beneath show at the edges
            axes.hlines([n.pitch for n in notes], starts, ends, **look)
    for bar in score.get_downbeats() if score.time_signature_changes else ():
        axes.axvline(bar, color="0.6", linewidth=0.8, zorder=0)
    axes.set(title=base.label(title, 52), ylabel="MIDI pitch", xlim=(0, 10))
    axes.grid(axis="x", visible=not score.time_signature_changes)
    strip.set_xlabel("time (s)")
    if strip is not axes:
        strip.set(ylim=(0, 1), yticks=[])
        strip.set_ylabel("drums", rotation=0, ha="right", va="center")
    base.legend(figure, axes)
    return figure


def loudness(levels: pd.DataFrame, genres: list[str]):
    """Draw the loudness of clips by genre, before and after each way of normalising it.

    Parameters
    ----------
    levels : pd.DataFrame
        One row per clip and way: genre, normalisation, LUFS.
    genres : list of str
        In their order.
    """
    ways = levels["normalisation"].unique()
    height = 0.4 * len(genres) + 1.5
    figure, axes = base.panels(len(ways), len(ways), height, 0, sharex=True, sharey=True)
    options = {"order": genres, "hue": "genre", "hue_order": genres, "legend": False}
    for axis, way in zip(axes[0], ways, strict=True):
        rows = levels[levels["normalisation"] == way]
        sns.stripplot(rows, x="LUFS", y="genre", alpha=0.7, jitter=0.2, ax=axis, **options)
        axis.set(title=way, xlabel="", ylabel="")
    axes[0, 0].set_yticks(range(len(genres)), base.labels(genres))
    figure.suptitle("Loudness of clips, by genre")
    figure.supxlabel("integrated loudness (LUFS)")
    return figure
