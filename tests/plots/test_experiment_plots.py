"""What was trained anew: every row is drawn where its number says."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection

from genre_utils.experiments import corruptions
from genre_utils.plots import experiments

matplotlib.use("agg")
LIMITS = {"low": 0.3, "high": 0.9}


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def drawn(figure):
    """The figure must be drawable without warnings, for phones and paper alike."""
    figure.canvas.draw()
    return figure


def test_splits_are_bars_of_their_accuracy():
    rows = [
        {"model": model, "split": split, "accuracy": value, "by_seed": [value] * 3}
        for model in ("svm", "cnn")
        for split, value in (("artist", 0.4), ("segment", 0.8), ("track", 0.6))
    ]
    table = pd.DataFrame(rows).assign(**LIMITS)
    for one in (table, table.drop(columns="by_seed")):
        figure = drawn(experiments.leakage(one, "three splits", genres=4))
        assert [axis.get_title(loc="left") for axis in figure.axes] == ["svm", "cnn"]
        assert [bar.get_width() for bar in figure.axes[0].patches] == [0.8, 0.6, 0.4]


@pytest.fixture
def compared():
    """What two models make of every change; the second one loses half of its accuracy."""
    of = {change.label: change for change in corruptions.CHANGES}
    rows = []
    for model, lost in (("svm", 0.0), ("cnn", 0.3)):
        rows.append({"model": model, "question": "", "change": corruptions.CLEAN, "accuracy": 0.6})
        for label, change in of.items():
            row = {"model": model, "question": change.question, "change": label}
            row |= {"value": change.value, "accuracy": 0.6 - lost, "difference": -lost}
            rows.append(row)
    return pd.DataFrame(rows).assign(**LIMITS)


def test_changes_are_a_table_with_accuracies_in_its_cells(compared):
    axis = drawn(experiments.changes(compared)).axes[0]
    values = axis.collections[0].get_array()
    assert values.shape == (1 + len(corruptions.CHANGES), 2)
    assert (values[:, 0] == 0).all() and (values[1:, 1] == -0.3).all()
    assert [text.get_text() for text in axis.texts[:4]] == ["60", "60", "60", "30"]


def test_each_treatment_is_a_line_over_levels_of_each_noise():
    rows = [
        {"model": model, "noise": noise, "snr": snr, "treatment": treatment, "accuracy": value}
        for model in ("cnn", "logistic")
        for noise, snr in (
            ("untouched", np.inf),
            ("hum", 20),
            ("hum", 0),
            ("pops", 20),
            ("pops", 0),
        )
        for treatment, value in (("none", 0.6), ("stationary", 0.5), ("non-stationary", 0.4))
    ]
    axes = drawn(experiments.denoising(pd.DataFrame(rows).assign(**LIMITS))).axes
    assert [axis.get_title() for axis in axes] == ["cnn", "logistic", "", ""]
    assert [axis.get_ylabel() for axis in axes] == ["hum", "", "pops", ""]
    assert [list(line.get_ydata()) for line in axes[3].lines] == [[0.6] * 3, [0.5] * 3, [0.4] * 3]


def test_differences_are_told_in_points():
    rows = [{"change": "noise", "difference": 0.1, "low": -0.1, "high": 0.3, "separable": False}]
    table = pd.DataFrame(rows * 3).assign(title="noise", question=["a", "a", "b"])
    for names in ("change", "title"):
        axis = drawn(experiments.variants(table, names=names, measure="recall")).axes[0]
        assert axis.get_xlabel() == "change of recall of tracks (points)"
        (dots,) = (c for c in axis.collections if isinstance(c, PathCollection))
        assert dots.get_offsets()[0][0] == pytest.approx(10)
        assert (dots.get_facecolors() == 1).all()  # none differs significantly


def test_transfer_has_a_panel_for_each_tested_corpus():
    rows = [
        {"model": model, "learned": one, "tested": other, "accuracy": 0.7 if one == other else 0.4}
        for model in ("svm", "cnn")
        for one in ("composed", "real")
        for other in ("composed", "real")
    ]
    figure = drawn(experiments.transfer(pd.DataFrame(rows).assign(guess=0.25, **LIMITS)))
    assert len(figure.axes) == 2
    dots = [c for c in figure.axes[1].collections if isinstance(c, PathCollection)]
    assert [set(one.get_offsets()[:, 0]) for one in dots] == [{0.7}, {0.4}]


@pytest.mark.parametrize("models", [1, 2, 3, 4])
def test_every_curve_has_a_panel_and_the_lowest_are_labelled(models):
    rows = [
        {"model": f"model {k}", "by": by, "tracks": n, "accuracy": n / 100}
        for k in range(models)
        for by in ("artists", "tracks")
        for n in (10, 20, 40)
    ]
    table = pd.DataFrame(rows).assign(**LIMITS)
    figure = drawn(experiments.accuracy_by_training_size(table, genres=4))
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert [axis.get_title() for axis in shown] == [f"model {k}" for k in range(models)]
    lowest = shown[-min(2, models) :]
    assert all(axis.get_xlabel() and axis.get_xticklabels()[0].get_visible() for axis in lowest)


def test_costs_join_what_nothing_beats_and_leave_out_what_has_none():
    rows = {"cnn": (0.8, 90.0, 9000.0), "rnn": (0.5, 95.0, 20_000.0), "svm": (0.7, 1.0, np.nan)}
    table = pd.DataFrame.from_dict(
        rows, "index", columns=["accuracy", "training_cpu_seconds", "parameters"]
    )
    table = table.assign(low=table["accuracy"] - 0.1, high=table["accuracy"] + 0.1)
    table["on_front_training_cpu_seconds"] = [True, False, True]
    table["on_front_parameters"] = [True, False, False]
    figure = drawn(experiments.costs(table, chance=0.25))
    assert len(figure.axes) == 2
    fronts = [axis.lines[0].get_xdata() for axis in figure.axes]  # drawn first, and to the right
    assert [list(front) for front in fronts] == [[1.0, 90.0, 142.5], [9000.0, 30_000.0]]
    named = [[text.get_text() for text in axis.texts] for axis in figure.axes]
    assert named == [["svm", "cnn"], ["cnn"]]
    assert figure.legends[0].get_texts()[-1].get_text() == "chance level"
    assert len(drawn(experiments.costs(table.loc[["svm"]])).axes) == 1
