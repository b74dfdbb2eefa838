"""What a recognised recording is taken for, and what the model read of it."""

import librosa
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from genre_utils.plots import base

TICKS = (100, 300, 1_000, 3_000, 8_000, 16_000)  # Hz


def timelines(answers: dict[str, dict], title: str, *, width: float = base.WIDTH):
    """Draw the probability of each genre through a recording, a row for each model.

    Parameters
    ----------
    answers : dict of str to dict
        By label of a row: what `MusicStyleRecognition.run` gives.
    title : str
        Title of the figure.
    width : float
        Of the figure, in inches.
    """
    genres = list(dict.fromkeys(g for answer in answers.values() for g in answer["probabilities"]))
    palette = "colorblind" if len(genres) <= 10 else "husl"
    colour = dict(zip(genres, sns.color_palette(palette, len(genres)), strict=True))
    columns = min(5 if width >= base.WIDTH else 3, len(genres))
    extra = 0.7 + 0.25 * -(-len(genres) // columns)
    figure, rows = base.panels(len(answers), 1, 1.5, extra, width=width, sharex=True)
    for axes, (label, answer) in zip(rows[:, 0], answers.items(), strict=True):
        bottom = np.zeros(len(answer["timeline"]))
        for genre in answer["probabilities"]:
            top = bottom + [span["probabilities"][genre] for span in answer["timeline"]]
            _fill(axes, answer["timeline"], bottom, top, colour[genre])
            bottom = top
        axes.set(title=base.label(label, round(7 * width), 3), ylabel="probability", ylim=(0, 1))
        axes.grid(False)
    rows[-1, 0].set(xlabel="time (s)", xlim=(0, max(a["duration_s"] for a in answers.values())))
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour[genre]) for genre in genres]
    look = {"handles": handles, "labels": base.labels(genres, 20, 1)}
    base.legend(figure, None, columns, **look, frameon=None, fontsize=None)
    figure.suptitle(base.label(title, round(7.4 * width), 3), weight="bold")
    return figure


def _fill(axes, timeline, bottom, top, colour):
    """Fill between two values of each excerpt, as one shape: a bar for each is slow to draw."""
    edges = [edge for s in timeline for edge in (s["start_s"], s["end_s"], s["end_s"])]
    low, high = (np.repeat(values, 3).astype(float) for values in (bottom, top))
    high[2::3] = np.nan  # no slope from one excerpt to the next
    axes.fill_between(edges, low, high, color=colour, linewidth=0, antialiased=False)


def heard(images, answer: dict, recipe: dict, *, width: float = base.WIDTH):
    """What a model read of a recording: `images` are start (s) and spectrogram of each window.

    Below, for each excerpt, the probability of the first genre less that of the second.
    """
    size = {"figsize": (width, 4.6), "height_ratios": (2, 1)}
    figure, (above, below) = plt.subplots(2, 1, sharex=True, **size)
    above.set_facecolor("black")
    for start, image in images:
        base.image(above, image, len(image) / recipe["frames_per_second"], start=start)
    bands = recipe["n_mels"]
    # a band's centre is the middle of its place in the image
    centres = librosa.mel_frequencies(bands + 2, fmax=recipe["sr"] / 2)[1:-1]
    ticks = [tick for tick in TICKS if tick < recipe["sr"] / 2]
    above.set_yticks(np.interp(ticks, centres, np.arange(bands) + 0.5), [f"{t:,}" for t in ticks])
    above.set(title="What the model heard", ylabel="frequency (Hz)", ylim=(0, bands))
    shares, timeline = answer["probabilities"], answer["timeline"]
    first, second = sorted(shares, key=shares.get, reverse=True)[:2]
    lead = np.array([s["probabilities"][first] - s["probabilities"][second] for s in timeline])
    for values, colour in ((lead.clip(min=0), "#0173b2"), (lead.clip(max=0), "#de8f05")):
        _fill(below, timeline, np.zeros(len(lead)), values, colour)
    below.axhline(0, color="black", linewidth=0.8)
    below.set(ylim=(-1, 1), xlim=(0, answer["duration_s"]), xlabel="time (s)")
    title = base.label(f"{first} (up), {second} (down)", round(7.4 * width), 4)
    below.set(title=f"Which excerpts spoke for it\n{title}")
    below.set_ylabel("difference of\nprobabilities")
    return figure
