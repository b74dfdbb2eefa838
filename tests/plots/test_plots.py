"""Figures of features, music and networks: what they show lies where it says."""

import base64
import io
import re
from dataclasses import replace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import soundfile

from genre_utils.plots import base, corpus, features, training
from genre_utils.workspace import model_names
from genre_utils.workspace.study_folder import StudyFolder

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_a_figure_is_kept_twice_and_is_the_same_file_again(tmp_path):
    base.style()
    study, contents = StudyFolder(tmp_path), []
    for _ in range(2):
        figure, axes = plt.subplots()
        axes.plot([0, 1], label="line")
        base.legend(figure)
        base.keep(figure, study, "one", "One line.")
        contents.append([study.figure("one", suffix).read_bytes() for suffix in (".png", ".svg")])
    assert contents[0] == contents[1]
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["one.png", "one.svg"]


def test_a_kind_of_models_has_one_colour_and_each_of_its_models_a_mark():
    assert len(base.KINDS) <= 8 and len({colour for colour, _ in base.KINDS.values()}) == 8
    for kind, (colour, families) in base.KINDS.items():
        names = [f + rest for f in families for rest in ("", "_tuned", "_paper")]
        assert {base.kind(name) for name in names} == {kind}
        assert {base.colour(name) for name in names} == {colour}
        assert len({base.mark(name) for name in names}) == len(names)
    assert base.mark("cnn, changed copies") != base.mark("cnn")
    assert base.kind("own") == "" and base.colour("own") == "C7" and base.mark("own") == "o"
    shown = {name for _, families in base.KINDS.values() for name in families}
    assert {model_names.family(name) for name in model_names.ALL} <= shown


def test_a_curve_lies_on_the_rows_of_the_image_that_it_names():
    frames = np.arange(8)
    image = np.zeros((8, 8))
    image[frames, frames] = 1  # in frame k, row k
    figure = features.image_with_curves(
        image, {"f": 250.0 * frames}, frames_per_second=4, step=250.0, unit="Hz", title="", shade=""
    )
    axes, bar = figure.axes
    assert bar.get_ylim() == (0, 1)
    left, right, bottom, top = axes.images[0].get_extent()
    seconds, hertz = axes.lines[0].get_data()
    columns = (seconds - left) / (right - left) * 8
    rows = (hertz - bottom) / (top - bottom) * 8
    np.testing.assert_allclose(columns, frames + 0.5)  # the middle of each pixel
    np.testing.assert_allclose(rows, frames + 0.5)


def test_values_around_zero_have_colours_that_turn_at_zero():
    image = np.array([[-0.1, 0.4], [0.0, 0.2]])
    figure = features.feature_images(
        {"a": (image, features.BANDS)}, frames_per_second=1, unit="dB", around_zero=True
    )
    low, high = figure.axes[0].images[0].get_clim()
    assert (low, high) == (-0.4, 0.4) and len(figure.axes) == 2  # the second is the bar


def test_maps_keep_distances_alike_in_any_direction():
    places = {"PCA": np.array([[0.0, 0.0], [9.0, 1.0], [2.0, 0.5]])}
    figure = features.track_maps(
        places, ["a", "b", "c"], ["a", "b"], title="", axes_of={"PCA": ("x", "y")}, rest="others"
    )
    axes = figure.axes[0]
    assert axes.get_aspect() == 1 and (axes.get_xlabel(), axes.get_ylabel()) == ("x", "y")
    assert axes.get_legend_handles_labels()[1] == ["others", "a", "b"]


def test_each_modulation_is_at_its_rate_and_scale():
    rows = [("a", rate, scale, rate + scale) for rate in (1.0, 2.0) for scale in (-4.0, 0.0, 4.0)]
    table = pd.DataFrame(rows, columns=["genre", "rate", "scale", "value"])
    axes = features.modulations(table, ["a"]).axes[0]
    values = np.reshape(axes.collections[0].get_array(), (2, 3))
    np.testing.assert_array_equal(values, [[-2, 2, 6], [-3, 1, 5]])  # the highest rate on top
    assert [label.get_text() for label in axes.get_yticklabels()] == ["2", "1"]


@pytest.mark.parametrize("level", [0.0, 1e-3, 5.0])
def test_players_play_the_start_of_a_clip_and_never_clip_it(level):
    y = level * np.sin(np.arange(66_150) / 20)
    shown = corpus.players({"<a>": y.astype(np.float32)}, 22_050, seconds=2.0).data
    assert "&lt;a&gt;" in shown
    (content,) = re.findall(r"base64,([^\"]+)", shown)
    decoded, sr = soundfile.read(io.BytesIO(base64.b64decode(content)))
    assert sr == 22_050 and 1.9 <= len(decoded) / sr <= 2.0 and np.abs(decoded).max() < 0.75
    if level:
        assert np.corrcoef(decoded, y[: len(decoded)])[0, 1] > 0.9


def test_folds_and_genres_are_counted():
    tracks = pd.DataFrame({"track_id": list("abc"), "genre": ["rock", "rock", "pop"]})
    folds = pd.DataFrame(
        {"track_id": list("abc"), "fold": 0, "part": ["test", "test", "validation"]}
    )
    axes = corpus.fold_map(folds, tracks, ["pop", "rock"]).axes
    assert [[t.get_text() for t in axis.texts] for axis in axes] == [["0", "2"], ["1", "0"]]
    counts = pd.DataFrame({"tracks": [2, 1], "artists": [1, 1], "unknown": 0}, ["rock", "pop"])
    bars = corpus.genre_counts(counts).axes[0].containers
    assert [[bar.get_height() for bar in one] for one in bars] == [[2, 1], [1, 1]]


def test_each_group_of_features_stands_once_alone_and_left_out():
    rows = [("svm", "all", 0.8), ("svm", "without a b", 0.7), ("svm", "only a b", 0.5)]
    table = pd.DataFrame(rows, columns=["model", "features", "accuracy"])
    table = table.assign(low=table["accuracy"] - 0.1, high=table["accuracy"] + 0.1)
    axes = features.family_ablation(table, 0.25).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a b"]
    shown, named = axes.get_legend_handles_labels()
    at = {name: one.get_offsets()[0, 0] for one, name in zip(shown[:2], named[:2], strict=True)}
    assert at == {"alone": 0.5, "left out": 0.7}
    assert named[2:] == ["all features", "chance level"] and shown[2].get_xdata()[0] == 0.8


def test_settings_of_folds_are_shown_to_be_read():
    from genre_utils.models import hyperparameters

    usual = hyperparameters.PAPER["cnn_paper"]
    few = replace(usual, l2=3.7e-5, augmentation=("masks", "mixup"))
    shown = training.settings({0: few, 3: usual})
    assert [*shown.columns] == ["l2", "augmentation"], "what folds share is left out"
    assert [*shown.loc[0]] == ["3.7e-05", "masks, mixup"]
    assert shown.loc[3, "augmentation"] == "none"
    whole = training.settings({"cnn_paper": usual}, of="network")
    assert whole.index.name == "network" and "tuned on" not in whole
    assert [*whole.loc["cnn_paper", ["normalise", "batch size"]]] == ["yes", str(usual.batch_size)]


def test_accuracies_and_costs_are_shown_where_there_are_any():
    row = {"what it is": "dense network", "whole tracks": 0.836, "excerpts": 0.8, "low": 0.7}
    row |= {"high": 0.9, "parameters": 126_852, "multiply-adds per second": None, "epochs": 1}
    ensemble = row | {"parameters": None, "epochs": None}
    shown = training.accuracies(pd.DataFrame({"mlp": row, "ensemble": ensemble}).T)
    texts = [text.replace("\N{NO-BREAK SPACE}", " ") for text in shown.loc["mlp"]]
    assert texts == ["dense network", "84 % [70, 90]", "80 %", "126,852", "1"]
    assert [*shown.loc["ensemble"]][-2:] == ["", ""] and shown.index.name == "model"


def test_layers_are_joined_as_the_network_joins_them():
    import keras

    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    dropped = keras.layers.Dropout(0.5, name="dropped")(a)
    joined = keras.layers.Concatenate(name="joined")([dropped, b])
    model = keras.Model({"a": a, "b": b}, keras.layers.Dense(2, name="end")(joined), name="model")
    rows = pd.DataFrame(
        [(x.name, type(x).__name__, None, 0) for x in model.layers],
        columns=["layer", "kind", "output_shape", "parameters"],
    )
    feeds = training._drawn_feeds(model, rows.set_index("layer"))
    assert feeds == {"a": [], "b": [], "joined": ["a", "b"], "end": ["joined"]}
    assert len(training.architecture(model, rows).axes[0].texts) == 4 + 3


def test_a_fold_that_went_on_longer_does_not_bend_the_median():
    folds = [{"history": {"loss": [3, 2, 1][:n], "accuracy": [1] * n}} for n in (1, 3, 3)]
    axes = training.learning_curves({"model": "cnn", "folds": folds}).axes[0]
    assert list(axes.lines[3].get_ydata()) == [3, 2, 1]
    folds = [{"history": {"loss": [3, 2, 1][:n], "accuracy": [1] * n}} for n in (1, 1, 3)]
    axes = training.learning_curves({"model": "cnn", "folds": folds}).axes[0]
    assert list(axes.lines[3].get_ydata()) == [3]


def test_each_network_has_its_row_of_learning_curves():
    kept = {"loss": [2, 1], "accuracy": [0.5, 0.6]}
    held = kept | {"val_loss": [2, 3], "val_accuracy": [0.4, 0.3]}
    runs = [{"model": n, "folds": [{"history": h}]} for n, h in (("cnn", kept), ("rnn", held))]
    figure = training.learning_curves(*runs)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["cnn: loss", "cnn: accuracy", "rnn: loss", "rnn: accuracy"]
    assert [len(axes.lines) for axes in figure.axes] == [2, 2, 4, 4]
    labels = [text.get_text() for text in figure.legends[0].texts]
    assert labels == ["training", "inner validation"]
