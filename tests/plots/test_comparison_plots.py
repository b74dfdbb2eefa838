"""How good models are and how sure that is: every number is drawn where it says."""

import itertools

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import PathCollection

from genre_utils.plots import base, comparison

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def drawn(figure):
    base.style()
    figure.draw_without_rendering()
    return [axis for axis in figure.axes if axis.get_visible()]


def points(axis):
    """Where the points of a forest lie, from the first on, and how they are filled."""
    (dots,) = (c for c in axis.collections if isinstance(c, PathCollection))
    return [float(x) for x in dots.get_offsets()[:, 0]], dots.get_facecolors()


def made_up_results(models=3, genres=4):
    """Results of so many models on so many genres, as results.json holds them."""
    names = ["cnn", "rnn", "hybrid_parallel", *(f"own_{k}" for k in range(11))][:models]
    genres = [f"genre {k}" for k in range(genres)]
    model = {"accuracy": 0.7, "ci95": {"accuracy": [0.6, 0.8]}}
    made = {name: model | {"accuracy": 0.7 - k / 100} for k, name in enumerate(names)}
    pairs = [
        {"a": a, "b": b, "difference": made[a]["accuracy"] - made[b]["accuracy"]}
        | {"separable": a == "cnn", "p_all": 0.01 if b == "rnn" else 0.2}
        for a, b in itertools.combinations(names, 2)
    ]
    return {"models": made, "corpus": {"genres": genres}, "pairwise": pairs}


def test_every_model_has_its_accuracy_the_best_on_top_and_the_papers_claim():
    figure = comparison.accuracy_intervals(made_up_results(), {"cnn": 0.92})
    axes = figure.axes[0]
    assert axes.get_yticklabels()[0].get_text() == "cnn"
    assert points(axes)[0] == pytest.approx([0.7, 0.69, 0.68])
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    kinds = ["convolutional network", "recurrent network", "hybrid of both"]
    assert legend == ["chance level", "the paper's number", *kinds]
    figure = comparison.accuracy_intervals(made_up_results(), {"other": 0.92})
    assert "the paper's number" not in [t.get_text() for t in figure.legends[0].get_texts()]


@pytest.mark.parametrize(("models", "genres"), [(1, 2), (2, 10), (14, 4)])
def test_figures_of_any_number_of_models_and_genres_are_legible_on_a_phone(models, genres):
    results = made_up_results(models, genres)
    matrices = {name: np.eye(genres, dtype=int) * 12 for name in results["models"]}
    names = results["corpus"]["genres"]
    for figure in (
        comparison.confusion(matrices, names),
        *([comparison.all_pairs(results)] if models > 1 else []),
        comparison.accuracy_intervals(results, {"cnn": 0.92}),
    ):
        figure.canvas.draw()
        width, height = figure.get_size_inches()
        assert width <= 7.2 and height <= 26
        texts = figure.findobj(matplotlib.text.Text)
        assert min(text.get_fontsize() for text in texts if text.get_text()) >= 7
        for axis in (a for a in figure.axes if a.get_visible() and a.get_label() != "<colorbar>"):
            assert axis.get_window_extent().width > 0.1 * figure.bbox.width


def test_each_pair_is_in_the_row_of_its_better_model_and_its_verdict_in_its_weight():
    results = made_up_results(3)
    results["pairwise"][1] = {"a": "hybrid_parallel", "b": "cnn", "difference": -0.02}
    results["pairwise"][1] |= {"separable": False, "p_all": 1.0}
    axes, bar = drawn(comparison.all_pairs(results))
    assert [text.get_text() for text in axes.get_yticklabels()] == ["cnn", "rnn"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["rnn", "hybrid_parallel"]
    cells = [(text.get_text(), text.get_weight()) for text in axes.texts]
    assert cells == [("1*", "bold"), ("2", "normal"), ("1", "normal")]
    assert bar.get_ylabel() == "difference in accuracy (points)"


@pytest.mark.parametrize(
    ("models", "genres", "rows"), [(4, 4, 1), (4, 5, 2), (4, 10, 2), (3, 4, 1)]
)
def test_four_confusion_matrices_fill_their_rows(models, genres, rows):
    matrices = {f"model {k}": np.eye(genres, dtype=int) for k in range(models)}
    shown = drawn(comparison.confusion(matrices, [f"genre {k}" for k in range(genres)]))[:models]
    places = [axis.get_subplotspec().rowspan.start for axis in shown]
    assert len(set(places)) == rows and places.count(0) == models // rows


def test_a_confusion_matrix_shows_the_counts_and_the_share_of_the_row():
    figure = comparison.confusion({"cnn": np.array([[3, 1], [0, 4]])}, ["jazz", "rock"])
    axis, bar = drawn(figure)
    assert bar.get_xlabel() == "share of the row"
    assert bar.get_xticklabels()[-1].get_text() == "100\N{NO-BREAK SPACE}%"
    assert [text.get_text() for text in axis.texts] == ["3", "1", "0", "4"]
    np.testing.assert_allclose(axis.collections[0].get_array().ravel(), [0.75, 0.25, 0, 1])
    axis, _ = drawn(comparison.confusion({"": np.array([[0.75, 0.25], [0, 1]])}, ["jazz", "rock"]))
    assert [text.get_text() for text in axis.texts] == ["75", "25", "0", "100"]


PAIRS = [
    {"a": "cnn", "b": "rnn", "difference": 0.2, "ci95": [0.1, 0.3], "separable": True},
    {"a": "cnn", "b": "svm", "difference": -0.1, "ci95": [-0.3, 0.1], "separable": False},
]
PAIRS[0] |= {"primary": True, "p_value": 0.004, "p_holm": 0.012}
PAIRS[1] |= {"primary": False, "p_value": 0.3, "p_holm": None}


def test_the_forest_shows_each_pair_with_its_interval_and_verdict():
    (axes,) = drawn(comparison.forest(PAIRS))
    assert [text.get_text() for text in axes.get_yticklabels()] == ["cnn − rnn", "cnn − svm"]
    places, faces = points(axes)
    assert places == pytest.approx([20, -10])
    assert [tuple(face) == (1, 1, 1, 1) for face in faces] == [False, True]
    assert [text.get_text() for text in axes.texts] == ["p", "0.012", "0.300"]  # that decides
    segments = [segment[:, 0] for segment in axes.collections[0].get_segments()]
    np.testing.assert_allclose(segments, [[10, 30], [-30, 10]])
    (axes,) = drawn(comparison.forest(PAIRS[:1]))
    assert len(axes.get_yticks()) == 1


def calibrated(after=True):
    bins = {"confidence": [0.4, 0.8], "accuracy": [0.3, 0.9], "low": [0.1, 0.7], "high": [0.5, 1]}
    found = {"bins": bins, "ece": 0.1}
    at = {"coverage": 0.8, "accuracy": 0.7, "ci95": [0.6, 0.8]}
    curve = {"coverages": [0.5, 1.0], "accuracies": [0.8, 0.6], "at": at}
    return {"before": found, "after": found if after else None, "abstaining": curve}


def test_reliability_shows_bins_and_what_scaling_did():
    models = {"cnn": calibrated(), "rnn": calibrated(after=False), "svm": calibrated()}
    panels = drawn(comparison.reliability(models))
    assert len(panels) == 3
    assert "scaled" in panels[0].get_title() and "scaled" not in panels[1].get_title()
    (line,) = (line for line in panels[1].lines if line.get_marker() == "o")
    assert list(line.get_ydata()) == [0.3, 0.9]
    assert len(drawn(comparison.reliability({"rnn": calibrated()}))) == 1
