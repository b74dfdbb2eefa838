"""How good models are and how sure that is: every number is drawn where it says."""

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
    genre = {"recall": 0.5, "support": 9, "ci95": {"recall": [0.3, 0.9]}}
    model["per_genre"] = dict.fromkeys(genres, genre)
    made = {name: model | {"accuracy": 0.7 - k / 100} for k, name in enumerate(names)}
    return {"models": made, "corpus": {"genres": genres}}


def test_every_model_has_its_accuracy_the_best_on_top_and_the_papers_claim():
    figure = comparison.accuracy_intervals(made_up_results(), {"cnn": 0.92})
    axes = figure.axes[0]
    assert axes.get_yticklabels()[0].get_text() == "cnn"
    assert points(axes)[0] == pytest.approx([0.7, 0.69, 0.68])
    assert [t.get_text() for t in figure.legends[0].get_texts()] == [
        "chance level",
        "paper's claim",
    ]
    figure = comparison.accuracy_intervals(made_up_results(), {"other": 0.92})
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["chance level"]


def test_each_genre_has_an_axis_with_every_model_and_its_interval():
    results = made_up_results(genres=3)
    results["models"]["rnn"]["per_genre"]["genre 1"]["ci95"] = {"recall": [None, None]}
    shown = drawn(comparison.per_genre(results))
    assert [axis.get_title() for axis in shown] == [f"genre {k} (9 tracks)" for k in range(3)]
    for axis in shown:
        assert list(points(axis)[0]) == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(("models", "genres"), [(1, 2), (2, 10), (14, 4)])
def test_figures_of_any_number_of_models_and_genres_are_legible_on_a_phone(models, genres):
    results = made_up_results(models, genres)
    matrices = {name: np.eye(genres, dtype=int) * 12 for name in results["models"]}
    names = results["corpus"]["genres"]
    for figure in (
        comparison.confusion(matrices, names),
        comparison.per_genre(results),
        comparison.accuracy_intervals(results, {"cnn": 0.92}),
    ):
        figure.canvas.draw()
        width, height = figure.get_size_inches()
        assert width <= 7.2 and height <= 26
        texts = figure.findobj(matplotlib.text.Text)
        assert min(text.get_fontsize() for text in texts if text.get_text()) >= 7
        for axis in filter(lambda axis: axis.get_visible(), figure.axes):
            assert axis.get_window_extent().width > 0.1 * figure.bbox.width


def test_a_confusion_matrix_shows_the_counts_and_the_share_of_the_row():
    (axis,) = drawn(comparison.confusion({"cnn": np.array([[3, 1], [0, 4]])}, ["jazz", "rock"]))
    assert [text.get_text() for text in axis.texts] == ["3", "1", "0", "4"]
    np.testing.assert_allclose(axis.collections[0].get_array().ravel(), [0.75, 0.25, 0, 1])
    (axis,) = drawn(comparison.confusion({"": np.array([[0.75, 0.25], [0, 1]])}, ["jazz", "rock"]))
    assert [text.get_text() for text in axis.texts] == ["75", "25", "0", "100"]


PAIRS = [
    {"a": "cnn", "b": "rnn", "difference": 0.2, "ci95": [0.1, 0.3], "separable": True},
    {"a": "cnn", "b": "svm", "difference": -0.1, "ci95": [-0.3, 0.1], "separable": False},
]
PAIRS = [pair | {"primary": k == 0} for k, pair in enumerate(PAIRS)]


def test_the_forest_shows_each_pair_with_its_interval_and_verdict():
    (axes,) = drawn(comparison.forest(PAIRS))
    assert [text.get_text() for text in axes.get_yticklabels()] == ["cnn − rnn", "cnn − svm"]
    places, faces = points(axes)
    assert places == pytest.approx([20, -10])
    assert [tuple(face) == (1, 1, 1, 1) for face in faces] == [False, True]
    segments = [segment[:, 0] for segment in axes.collections[0].get_segments()]
    np.testing.assert_allclose(segments, [[10, 30], [-30, 10]])
    (axes,) = drawn(comparison.forest(PAIRS[:1]))
    assert len(axes.get_yticks()) == 1


def test_power_has_a_panel_for_each_pair_and_a_curve_for_each_assumption():
    rows = {"assumed": ["as observed"] * 2 + ["largest"] * 2, "tracks": [10, 20] * 2}
    curves = rows | {"power": [0.2, 0.5, 0.6, 0.9]}
    panels = drawn(comparison.power_curves([pair | {"curves": curves} for pair in PAIRS]))
    assert [axes.get_title() for axes in panels] == ["cnn and rnn", "cnn and svm"]
    for axes in panels:
        lines = [list(line.get_ydata()) for line in axes.lines[:2]]
        assert lines == [[0.2, 0.5], [0.6, 0.9]] and list(axes.lines[0].get_xdata()) == [10, 20]
    assert len(drawn(comparison.power_curves([PAIRS[0] | {"curves": curves}]))) == 1


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


def test_accuracy_by_coverage_draws_each_model():
    (axes,) = drawn(comparison.accuracy_by_coverage({"cnn": calibrated(), "own": calibrated()}))
    curves = [line for line in axes.lines if line.get_linewidth() == 2]
    assert [line.get_label() for line in curves] == ["cnn", "own"]
    assert all(list(line.get_ydata()) == [0.8, 0.6] for line in curves)
