"""Pictures: each function draws one figure from plain data and returns it."""

from pathlib import Path

import matplotlib.pyplot as plt
import seaborn as sns

from genre_utils.workspace import files

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
        with files.atomic_write(study / "figures" / f"{name}.{suffix}") as temporary:
            figure.savefig(temporary, metadata=metadata)
        figure.set_layout_engine("none")  # it is laid out now; the next two drawings need not be


def plain(text: str) -> str:
    """Text that matplotlib shows as it is, dollar signs included."""
    return str(text).replace("$", r"\$")
