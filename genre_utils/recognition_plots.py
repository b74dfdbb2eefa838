"""Pictures of what a recognised recording is taken for."""

import matplotlib.pyplot as plt
import seaborn as sns

from genre_utils import plots


def timelines(answers: dict[str, dict], title: str):
    """Probability of each genre through a recording, one row for each model.

    Parameters
    ----------
    answers : dict of str to dict
        By label of a row: what `recognition.MusicStyleRecognition.run` gives.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    genres = list(dict.fromkeys(g for answer in answers.values() for g in answer["probabilities"]))
    palette = "colorblind" if len(genres) <= 10 else "husl"
    colour = dict(zip(genres, sns.color_palette(palette, len(genres)), strict=True))
    figure, rows = plt.subplots(
        len(answers), 1, figsize=(7.2, 1.2 + 1.5 * len(answers)), sharex=True, squeeze=False
    )
    for axes, (label, answer) in zip(rows[:, 0], answers.items(), strict=True):
        _stack(axes, answer["timeline"], colour)
        axes.set(title=plots.plain(label), ylabel="probability", ylim=(0, 1))
        axes.grid(False)
    rows[-1, 0].set(xlabel="time (s)", xlim=(0, max(a["duration_s"] for a in answers.values())))
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour[genre]) for genre in genres]
    columns = min(5, len(genres))
    figure.legend(handles, map(plots.plain, genres), loc="outside lower center", ncols=columns)
    figure.suptitle(plots.plain(title), weight="bold", size="medium")
    return figure


def _stack(axes, timeline, colour):
    """Bars from excerpt to excerpt, the probabilities of the genres on top of one another."""
    starts = [span["start_s"] for span in timeline]
    widths = [span["end_s"] - span["start_s"] for span in timeline]
    bottom = [0.0] * len(timeline)
    for genre in timeline[0]["probabilities"]:
        heights = [span["probabilities"][genre] for span in timeline]
        axes.bar(starts, heights, widths, bottom, align="edge", color=colour[genre], linewidth=0)
        bottom = [below + height for below, height in zip(bottom, heights, strict=True)]
