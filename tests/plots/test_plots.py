"""Pictures: what they show lies where it says."""

from dataclasses import replace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from genre_utils.plots import comparison as comparison_plots
from genre_utils.plots import features as features_plots
from genre_utils.plots import training as training_plots

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_a_curve_lies_on_the_rows_of_the_image_that_it_names():
    frames = np.arange(8)
    image = np.zeros((8, 8))
    image[frames, frames] = 1  # in frame k, row k
    figure = features_plots.image_with_curves(
        image, {"f": 250.0 * frames}, frames_per_second=4, step=250.0, unit="Hz", title=""
    )
    axes = figure.axes[0]
    left, right, bottom, top = axes.images[0].get_extent()
    seconds, hertz = axes.lines[0].get_data()
    columns = (seconds - left) / (right - left) * 8
    rows = (hertz - bottom) / (top - bottom) * 8
    np.testing.assert_allclose(columns, frames + 0.5)  # the middle of each pixel
    np.testing.assert_allclose(rows, frames + 0.5)


def test_frequencies_are_marked_at_their_rows():
    rows = features_plots.kilohertz(1025, 11025.0)
    hertz = np.linspace(0, 11025, 1025)
    found = np.interp(np.array(rows.places) - 1, np.arange(1025), hertz)  # the first row is 1
    np.testing.assert_allclose(found / 1000, rows.names)
    edges = features_plots.octaves([0, 200, 400])
    assert edges.places == (0.5, 1.5, 2.5) and edges.names == ("0", "200", "400")


def test_values_around_zero_have_colours_that_turn_at_zero():
    image = np.array([[-0.1, 0.4], [0.0, 0.2]])
    figure = features_plots.feature_images(
        {"a": (image, features_plots.BANDS)}, frames_per_second=1, around_zero=True
    )
    low, high = figure.axes[0].images[0].get_clim()
    assert (low, high) == (-0.4, 0.4) and len(figure.axes) == 2  # the second is the bar


def test_maps_keep_distances_alike_in_any_direction():
    places = {"PCA": np.array([[0.0, 0.0], [9.0, 1.0], [2.0, 0.5]])}
    figure = features_plots.track_maps(
        places, ["a", "b", "c"], ["a", "b"], title="", axes_of={"PCA": ("x", "y")}, rest="others"
    )
    axes = figure.axes[0]
    assert axes.get_aspect() == 1 and (axes.get_xlabel(), axes.get_ylabel()) == ("x", "y")
    assert axes.get_legend_handles_labels()[1] == ["others", "a", "b"]


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
    figure = comparison_plots.accuracy_intervals(made_up_results(), {"cnn": 0.92})
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()][-1] == "cnn"
    dots = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert dots == pytest.approx([0.68, 0.69, 0.7])
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["guessing", "paper's claim"]
    figure = comparison_plots.accuracy_intervals(made_up_results(), {"other": 0.92})
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["guessing"]


def test_each_genre_has_an_axis_with_every_model_and_its_interval():
    results = made_up_results(genres=3)
    results["models"]["rnn"]["per_genre"]["genre 1"]["ci95"] = {"recall": [None, None]}
    figure = comparison_plots.per_genre(results)
    shown = [axis for axis in figure.axes if axis.get_visible()]
    titles = [axis.get_title() for axis in shown]
    assert titles == [f"genre {k} (9 tracks)" for k in range(3)]
    for axis in shown:
        assert len([line for line in axis.lines if line.get_marker() == "o"]) == 3


@pytest.mark.parametrize(("models", "genres"), [(1, 2), (2, 10), (14, 4)])
def test_figures_of_any_number_of_models_and_genres_are_legible_on_a_phone(models, genres):
    results = made_up_results(models, genres)
    matrices = {name: np.eye(genres, dtype=int) * 12 for name in results["models"]}
    names = results["corpus"]["genres"]
    for figure in (
        comparison_plots.confusion(matrices, names),
        comparison_plots.per_genre(results),
        comparison_plots.accuracy_intervals(results, {"cnn": 0.92}),
    ):
        figure.canvas.draw()
        width, height = figure.get_size_inches()
        assert width <= 7.2 and height <= 26
        texts = figure.findobj(matplotlib.text.Text)
        assert min(text.get_fontsize() for text in texts if text.get_text()) >= 7
        for axis in filter(lambda axis: axis.get_visible(), figure.axes):
            assert axis.get_window_extent().width > 0.1 * figure.bbox.width


def test_a_confusion_matrix_shows_the_counts_and_the_share_of_the_row():
    figure = comparison_plots.confusion({"cnn": np.array([[3, 1], [0, 4]])}, ["jazz", "rock"])
    axis = next(axis for axis in figure.axes if axis.get_visible())
    assert [text.get_text() for text in axis.texts] == ["3", "1", "0", "4"]
    np.testing.assert_allclose(axis.collections[0].get_array().ravel(), [0.75, 0.25, 0, 1])


def test_settings_of_folds_are_shown_to_be_read():
    from genre_utils.models import hyperparameters

    usual = hyperparameters.PAPER["cnn"]
    few = replace(usual, l2=3.7e-5, augmentation=("masks", "mixup"))
    shown = training_plots.searched({0: few, 3: usual}, ["l2", "batch_size", "augmentation"])
    assert [*shown.columns] == ["l2", "batch size", "augmentation"]
    assert [*shown.loc[0]] == ["3.7e-05", str(usual.batch_size), "masks, mixup"]
    assert shown.loc[3, "augmentation"] == "none"
