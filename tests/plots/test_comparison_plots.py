import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from genre_utils.evaluation import calibration, comparisons, power
from genre_utils.plots import base as style_base
from genre_utils.plots import statistics as statistics_plots


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def study():
    rng, group = np.random.default_rng(0), np.repeat(np.arange(20), 3)
    skills = {"cnn": 0.8, "rnn": 0.6, "hybrid_parallel": 0.85, "svm": 0.85}
    correct = pd.DataFrame({name: rng.random(60) < skill for name, skill in skills.items()})
    models = {}
    for name, right in correct.items():
        confidence = rng.uniform(0.5, 1, 60)
        p = np.column_stack([confidence, 1 - confidence])
        found = calibration.describe(p, np.where(right, 0, 1), group, p if name == "cnn" else None)
        models[name] = {"accuracy": right.mean(), "calibration": found}
    pairs = comparisons.main_pairs(models, comparisons.compare_models(correct, group, "artist"))
    return pairs, power.of_pairs(correct, group, pairs), models


def drawn(figure):
    style_base.style()
    figure.draw_without_rendering()
    return [axis for axis in figure.axes if axis.get_visible()]


def test_the_forest_shows_each_pair_with_its_interval_and_verdict(study):
    pairs, _, _ = study
    (axes,) = drawn(statistics_plots.forest(pairs))
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == [f"{pair['a']} − {pair['b']}" for pair in pairs]
    bars = [line.get_xdata() for line in axes.lines if line.get_linewidth() == 3][: len(pairs)]
    np.testing.assert_allclose(bars, [[100 * limit for limit in pair["ci95"]] for pair in pairs])
    points = [
        line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata()) == 1
    ]
    filled = [point.get_markerfacecolor() != "white" for point in points]
    assert filled == [pair["separable"] for pair in pairs]


def test_the_forest_of_one_pair_needs_no_line_between_two_kinds(study):
    (axes,) = drawn(statistics_plots.forest(study[0][:1]))
    assert len(axes.get_yticks()) == 1


def test_power_has_a_panel_for_each_pair_and_a_curve_for_each_assumption(study):
    _, found, _ = study
    panels = drawn(statistics_plots.power_curves(found))
    assert len(panels) == len(found) > 1
    for axes, pair in zip(panels, found, strict=True):
        assert axes.get_title() == f"{pair['a']} and {pair['b']}"
        curves = pd.DataFrame(pair["curves"])
        for line, assumed in zip(axes.lines, (power.OBSERVED, power.LARGEST), strict=False):
            expected = curves[curves["assumed"] == assumed]
            np.testing.assert_array_equal(line.get_ydata(), expected["power"])
            np.testing.assert_array_equal(line.get_xdata(), expected["tracks"])
    assert len(drawn(statistics_plots.power_curves(found[:1]))) == 1


def test_reliability_shows_bins_and_what_scaling_did(study):
    models = {name: model["calibration"] for name, model in study[2].items()}
    panels = drawn(statistics_plots.reliability(models))
    assert len(panels) == 4
    assert "scaled" in panels[0].get_title() and "scaled" not in panels[1].get_title()
    bins = models["rnn"]["before"]["bins"]
    (points,) = (line for line in panels[1].lines if line.get_marker() == "o")
    np.testing.assert_array_equal(points.get_ydata(), bins["accuracy"])
    assert len(drawn(statistics_plots.reliability({"rnn": models["rnn"]}))) == 1


def test_accuracy_by_coverage_draws_each_model(study):
    models = {name: model["calibration"] for name, model in study[2].items()}
    (axes,) = drawn(statistics_plots.accuracy_by_coverage(models))
    curves = [line for line in axes.lines if line.get_linewidth() == 2]
    assert [line.get_label() for line in curves] == list(models)
    for line, found in zip(curves, models.values(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), found["abstaining"]["accuracies"])
