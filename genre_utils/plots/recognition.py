"""Pictures of what a recognised recording is taken for, and of what the model heard of it."""

import librosa
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from genre_utils.plots import base as style_base

WIDTH = 7.2  # inches
TICKS = (100, 300, 1_000, 3_000, 8_000, 16_000)  # Hz


def timelines(answers: dict[str, dict], title: str, *, width: float = WIDTH):
    """Probability of each genre through a recording, one row for each model.

    Parameters
    ----------
    answers : dict of str to dict
        By label of a row: what `recogniser.MusicStyleRecognition.run` gives.
    title : str
    width : float
        Of the figure, in inches.

    Returns
    -------
    matplotlib.figure.Figure
    """
    genres = list(dict.fromkeys(g for answer in answers.values() for g in answer["probabilities"]))
    palette = "colorblind" if len(genres) <= 10 else "husl"
    colour = dict(zip(genres, sns.color_palette(palette, len(genres)), strict=True))
    columns = min(5 if width >= WIDTH else 3, len(genres))
    height = 0.7 + 1.5 * len(answers) + 0.25 * -(-len(genres) // columns)
    figure, rows = plt.subplots(
        len(answers), 1, figsize=(width, height), sharex=True, squeeze=False
    )
    for axes, (label, answer) in zip(rows[:, 0], answers.items(), strict=True):
        _stack(axes, answer["timeline"], colour)
        axes.set(title=style_base.plain(label), ylabel="probability", ylim=(0, 1))
        axes.grid(False)
    rows[-1, 0].set(xlabel="time (s)", xlim=(0, max(a["duration_s"] for a in answers.values())))
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour[genre]) for genre in genres]
    figure.legend(handles, map(style_base.plain, genres), loc="outside lower center", ncols=columns)
    figure.suptitle(style_base.plain(title), weight="bold", size="medium")
    return figure


def _stack(axes, timeline, colour):
    """Steps from excerpt to excerpt, the probabilities of the genres on top of one another."""
    bottom = np.zeros(len(timeline))
    for genre in timeline[0]["probabilities"]:
        top = bottom + [span["probabilities"][genre] for span in timeline]
        _fill(axes, timeline, bottom, top, colour[genre])
        bottom = top


def _fill(axes, timeline, bottom, top, colour):
    """Fill between two values of each excerpt, as one shape: a bar for each is slow to draw."""
    edges = [edge for s in timeline for edge in (s["start_s"], s["end_s"], s["end_s"])]
    low, high = (np.repeat(values, 3).astype(float) for values in (bottom, top))
    high[2::3] = np.nan  # no slope from one excerpt to the next
    axes.fill_between(edges, low, high, color=colour, linewidth=0, antialiased=False)


def heard(images, answer: dict, recipe: dict, *, width: float = WIDTH):
    """What a model heard of a recording, and which excerpts spoke for its answer.

    Parameters
    ----------
    images : sequence of (float, np.ndarray)
        Start of each window in seconds, and its log-mel spectrogram (frames, mels) from 0 to 1, as
        `recogniser.MusicStyleRecognition.predict` gives them to `watch`.
    answer : dict
        Of the same recording.
    recipe : dict
        From the sidecar of the model.
    width : float
        Of the figure, in inches.

    Returns
    -------
    matplotlib.figure.Figure
        The spectrogram; below it, for each excerpt, the probability of the answer less that of
        the genre that comes second for the whole.
    """
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(width, 4.6), sharex=True, height_ratios=(2, 1)
    )
    above.set_facecolor("black")
    for start, image in images:
        above.imshow(
            image.T, origin="lower", aspect="auto", cmap="magma", vmin=0, vmax=1,
            extent=(start, start + len(image) / recipe["frames_per_second"], 0, image.shape[1]),
        )  # fmt: skip
    bands = recipe["n_mels"]
    # a band's centre is the middle of its place in the picture
    centres = librosa.mel_frequencies(bands + 2, fmax=recipe["sr"] / 2)[1:-1]
    ticks = [tick for tick in TICKS if tick < recipe["sr"] / 2]
    above.set_yticks(np.interp(ticks, centres, np.arange(bands) + 0.5), [f"{t:,}" for t in ticks])
    above.set(title="What the model heard", ylabel="frequency (Hz)", ylim=(0, bands))
    above.grid(False)
    first, second = _first_two(answer)
    lead = [s["probabilities"][first] - s["probabilities"][second] for s in answer["timeline"]]
    for values, colour in ((np.maximum(lead, 0), "#0173b2"), (np.minimum(lead, 0), "#de8f05")):
        _fill(below, answer["timeline"], np.zeros(len(lead)), values, colour)
    below.axhline(0, color="black", linewidth=0.8)
    below.set(ylim=(-1, 1), xlim=(0, answer["duration_s"]), xlabel="time (s)")
    below.set(title=style_base.plain(f"Which excerpts spoke for it\n{first} (up), {second} (down)"))
    below.set_ylabel("difference of\nprobabilities")
    return figure


def _first_two(answer):
    """The genres that come first and second for a whole recording."""
    shares = answer["probabilities"]
    return sorted(shares, key=shares.get, reverse=True)[:2]
