"""Style of all figures, how they are kept, and what is drawn in several of them."""

import re
import textwrap

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from IPython.display import Image, display
from matplotlib.colors import to_rgb
from matplotlib.ticker import PercentFormatter
from scipy.cluster.hierarchy import dendrogram

#: Kinds of models, each with a colour of its own, safe for the colour-blind, and its families.
KINDS = {
    "convolutional network": ("#0173b2", ("cnn", "cnn1d")),
    "recurrent network": ("#de8f05", ("rnn", "gru", "lstm")),
    "hybrid of both": ("#029e73", ("hybrid", "hybrid_parallel")),
    "on feature statistics": ("#d55e00", ("logistic", "svm", "knn", "mlp", "dbn")),
    "network and features": ("#cc78bc", ("fusion",)),
    "pretrained": ("#56b4e9", ("pretrained", "pretrained_fusion")),
    "ensemble, or on titles": ("#000000", ("ensemble", "text", "audio_text")),
    "the paper's number": ("#737373", ("paper",)),
}
#: Marks of the families of a kind, by how the name of a model goes on.
MARKS = {"": "osD^v", "_tuned": "PX*dH", "_paper": "<>ph8"}
PERCENT = PercentFormatter(1, decimals=0, symbol="\N{NO-BREAK SPACE}%")
WIDTH = 7.2  # inches: what a phone still reads


def style() -> None:
    """Set the look of every figure: white grid, readable sizes, colours for the colour-blind."""
    own = {
        "figure.figsize": (WIDTH, 3.6),
        "figure.dpi": 90,
        "figure.constrained_layout.use": True,
        "figure.titlesize": "medium",
        "figure.labelsize": "medium",
        "axes.titlesize": "medium",
        "axes.titleweight": "bold",
        "svg.hashsalt": "genre",  # the same figure is the same file
        "svg.fonttype": "none",  # text stays text
    }
    sns.set_theme(style="whitegrid", palette="colorblind", rc=own)


def keep(figure, study, name: str, caption: str) -> None:
    """Save a figure as PNG (two pixels for one of the screen) and SVG, show it and close it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What to save.
    study : StudyFolder
        Its ``figure(name, suffix)`` says where.
    name : str
        Name of the files.
    caption : str
        What to see in it; reports show it below, numbered.
    """
    for suffix, metadata in ((".png", {"Software": None}), (".svg", {"Date": None})):
        place = study.figure(name, suffix)
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = place.with_name(f".part-{place.name}")  # whole or not at all
        figure.savefig(temporary, metadata=metadata, dpi=2 * figure.dpi)
        temporary.replace(place)
        figure.set_layout_engine("none")  # it is laid out now; the next drawing need not be
    told = {"alt": _drawn(figure), "caption": caption}
    drawn = study.figure(name, ".png").read_bytes()
    display(Image(drawn, format="png", retina=True, metadata=told))
    plt.close(figure)


def _drawn(figure) -> str:
    """What a figure draws, in the words of its titles and axes: for those who cannot see it."""
    shown = [axes for axes in figure.axes if axes.get_visible()]
    title = figure.get_suptitle() or next((a.get_title() for a in shown if a.get_title()), "")
    across = [*dict.fromkeys(axes.get_xlabel() for axes in shown if axes.get_xlabel())]
    up = [*dict.fromkeys(axes.get_ylabel() for axes in shown if axes.get_ylabel())]
    told = [title, across and f"across: {', '.join(across)}", up and f"up: {', '.join(up)}"]
    return " ".join("; ".join(filter(None, told)).split()).replace("\\$", "$") or "Figure"


def plain(text: str) -> str:
    """Text that matplotlib shows as it is, a dollar sign or an underscore in front included."""
    return (" " if str(text).startswith("_") else "") + str(text).replace("$", r"\$")


def label(name, width: int = 18, lines: int = 2, tail: int = 0) -> str:
    """A name in lines of `width` characters; what is too much is left out before its `tail`."""
    name, tail = str(name), tail or width // 2
    rows = textwrap.wrap(name.replace("_", "_ "), width, break_on_hyphens=False)
    rows = [row.replace("_ ", "_") for row in rows] if len(name) > width else [name]
    if len(rows) > lines:
        rows[lines - 1 :] = [f"{rows[lines - 1][: width - tail - 1]}…{name[-tail:]}"]
    return plain("\n".join(rows))


def labels(names, width: int = 18, lines: int = 2) -> list[str]:
    """Labels of names, with shorter tails or wider where two would look alike."""
    for more in range(99):
        shown = [label(name, width + more, lines, width // (2, 6)[more % 2]) for name in names]
        if len(set(shown)) == len(set(names)):
            break
    return shown


def kind(model: str) -> str:
    """Kind of a model, of `KINDS`, or nothing for one that has none."""
    family = _parts(model)[0]
    return next((kind for kind, (_, families) in KINDS.items() if family in families), "")


def _parts(model):
    """Family of a model, and how its name goes on."""
    return re.fullmatch(r"(.*?)(_tuned|_paper|, .*)?", model).groups(default="")


def colour(model: str, other: str = "C7") -> str:
    """Colour of the kind of a model, or `other` for one that has none."""
    return KINDS.get(kind(model), (other,))[0]


def mark(model: str) -> str:
    """Mark of a model, which no other of its kind has."""
    (family, rest), families = _parts(model), KINDS.get(kind(model), ("", ()))[1]
    return MARKS.get(rest, MARKS["_paper"])[families.index(family) if families else 0]


def say_kinds(axes, models) -> None:
    """Have the legend of some axes say which kinds of models the colours stand for."""
    for name in sorted({*map(kind, models)} - {""}, key=[*KINDS].index):
        axes.plot([], [], "o", color=KINDS[name][0], label=name)


def dark(colour) -> tuple:
    """A colour dark enough for a thin mark on white, and for white text on it."""
    return tuple(0.7 * part for part in to_rgb(colour))


def panels(count: int, columns: int, height: float, extra: float, **options):
    """A figure with `count` axes in rows of `height` inches and `extra` below; figure and axes."""
    columns = min(columns, count)
    rows = -(-count // columns)
    size = (options.pop("width", WIDTH), height * rows + extra)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, **options)
    for axis in axes.flat[count:]:
        axis.set_visible(False)
    return figure, axes


def legend(figure, axes=None, columns: int = 4, **options) -> None:
    """Say below a figure what is drawn on some axes, or on all, in as many columns as fit."""
    shown = axes.get_legend_handles_labels() if axes else ()
    options = {"loc": "outside lower center", "frameon": False, "fontsize": "small"} | options
    made = figure.legend(*shown, ncols=columns, **options)
    if columns > 1 and made.get_window_extent().width > figure.bbox.width:
        made.remove()
        more_rows = len(made.texts) / columns / (columns - 1)
        figure.set_figheight(figure.get_figheight() + 0.21 * more_rows)
        legend(figure, axes, columns - 1, **options)


def forest(axes, table, names, centre, *, colours="C0", faces=None, shift=0.0, size=49, **look):
    """Points with intervals (low, high), one below the other, the first on top."""
    y = np.arange(len(table)) + shift
    axes.hlines(y, table["low"], table["high"], color=colours, lw=3 if size > 40 else 2.5)
    look |= {"facecolors": colours, "lw": 1} if faces is None else {"facecolors": faces, "lw": 2}
    axes.scatter(table[centre], y, s=size, edgecolors=colours, zorder=3, **look)
    axes.set_yticks(range(len(table)), names)
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)


def heat_map(axes, values, rows, columns, *, text=True, colours="Blues", limits=(0, 1), **options):
    """Cells in the colour of their value, the first row on top; names as they are shown."""
    how = {"fmt": "", "cbar": False, "cmap": colours, "vmin": limits[0], "vmax": limits[1]}
    sns.heatmap(values, ax=axes, annot=text, xticklabels=columns, yticklabels=rows, **how | options)
    axes.tick_params(axis="x", rotation=90, length=0)
    axes.tick_params(axis="y", rotation=0, length=0)
    return axes.collections[0]


def colour_bar(figure, drawn, axes, label, **options):
    """A bar below some axes that says what the colours of one of them mean."""
    options = {"location": "bottom", "shrink": 0.6} | options
    return figure.colorbar(drawn, ax=axes, label=label, **options)


def image(axes, values, seconds, *, start=0.0, bottom=0.0, colours="magma", limits=(0, 1)):
    """Values, (frames, rows), against time in seconds, the first row lowest."""
    extent = (start, start + seconds, bottom, bottom + values.shape[1])
    few = values.shape[1] < 200  # each row is of even colour, and the file small
    axes.grid(visible=False)
    look = {"cmap": colours, "vmin": limits[0], "vmax": limits[1], "aspect": "auto"}
    look["interpolation"] = "nearest" if few else "auto"
    return axes.imshow(values.T, origin="lower", extent=extent, **look)


def tree(axes, linkage, names) -> list[int]:
    """Draw a tree from the right, names as they are shown; return its leaves from below."""
    options = {"orientation": "left", "color_threshold": 0, "above_threshold_color": "0.35"}
    drawn = dendrogram(linkage, labels=list(names), ax=axes, **options)
    axes.grid(axis="y", visible=False)
    return drawn["leaves"]
