"""Pictures: what they show lies where it says."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from genre_utils import plots

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_a_curve_lies_on_the_rows_of_the_image_that_it_names():
    frames = np.arange(8)
    image = np.zeros((8, 8))
    image[frames, frames] = 1  # in frame k, row k
    figure = plots.image_with_curves(
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
    rows = plots.kilohertz(1025, 11025.0)
    hertz = np.linspace(0, 11025, 1025)
    found = np.interp(np.array(rows.places) - 1, np.arange(1025), hertz)  # the first row is 1
    np.testing.assert_allclose(found / 1000, rows.names)
    edges = plots.octaves([0, 200, 400])
    assert edges.places == (0.5, 1.5, 2.5) and edges.names == ("0", "200", "400")


def test_values_around_zero_have_colours_that_turn_at_zero():
    image = np.array([[-0.1, 0.4], [0.0, 0.2]])
    figure = plots.feature_images(
        {"a": (image, plots.BANDS)}, frames_per_second=1, around_zero=True
    )
    low, high = figure.axes[0].images[0].get_clim()
    assert (low, high) == (-0.4, 0.4) and len(figure.axes) == 2  # the second is the bar


def test_maps_keep_distances_alike_in_any_direction():
    places = {"PCA": np.array([[0.0, 0.0], [9.0, 1.0], [2.0, 0.5]])}
    figure = plots.track_maps(
        places, ["a", "b", "c"], ["a", "b"], title="", axes_of={"PCA": ("x", "y")}, rest="others"
    )
    axes = figure.axes[0]
    assert axes.get_aspect() == 1 and (axes.get_xlabel(), axes.get_ylabel()) == ("x", "y")
    assert axes.get_legend_handles_labels()[1] == ["others", "a", "b"]
