"""What models listen to and how genres relate: any number of genres and models is drawn."""

import itertools

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from genre_utils.interpretation import genre_relations, summaries
from genre_utils.plots import comparison
from genre_utils.plots import interpretation as drawing
from small_study import made_up_maps, made_up_predictions

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.mark.parametrize(("genres", "count"), [(2, 1), (2, 2), (10, 4)])
def test_predictions_of_any_number_of_genres_and_models_are_drawn(genres, count):
    rng = np.random.default_rng(0)
    true, names = np.repeat(np.arange(genres), 6), [f"genre {k}" for k in range(genres)]
    predicted = np.where(rng.random((count, len(true))) < 0.6, true, 0)
    found = made_up_predictions(predicted, true, np.arange(len(true)) // 2, names)
    drawing.genre_tree(genre_relations.genre_tree(found)).canvas.draw()
    figure = comparison.confusion({"mean": genre_relations.confusion(found)[0]}, names)
    shares = [float(text.get_text()) for text in figure.axes[0].texts]
    np.testing.assert_allclose(np.reshape(shares, (genres, genres)).sum(axis=1), 100, atol=2)
    pca = PCA(2).fit(found.evidence)
    places, explained = pca.transform(found.evidence), pca.explained_variance_ratio_
    wrong, _ = genre_relations.unanimous_errors(found)
    figure = drawing.evidence_map(places, found.tracks["y_true"], names, wrong["row"], explained)
    assert [text.get_text() for text in figure.axes[0].texts] == [
        str(k + 1) for k in range(len(wrong))
    ]
    if count > 1:
        drawing.doubt(genre_relations.doubt(found)[0], genres).canvas.draw()
        figure = drawing.rater_agreement(genre_relations.agreement(found), found.models)
        assert len(figure.axes[0].texts) == count * (count - 1)


@pytest.mark.parametrize("count", [2, 14, 30])
def test_the_agreement_of_any_number_of_models_fills_its_figure(count):
    models = [f"model_{k}" for k in range(count)]
    table = pd.DataFrame(itertools.combinations(models, 2), columns=["a", "b"])
    figure = drawing.rater_agreement(table.assign(kappa=0.5, consistency=0.4), models)
    figure.canvas.draw()
    image = np.asarray(figure.canvas.buffer_rgba())[..., :3].min(axis=2)
    drawn = np.flatnonzero((image < 128).any(axis=1))
    assert 0 < drawn[0] < len(image) / 10, "no title is cut off, no space is left above it"


@pytest.mark.parametrize(("genres", "rate"), [(2, 22_050), (10, 0)])
def test_maps_of_any_number_of_genres_are_drawn(genres, rate):
    names, boundaries = [f"genre {k}" for k in range(genres)], summaries.mel_boundaries(16, rate)
    own, data = made_up_maps(names=names)
    tables = {
        along: summaries.shares({"cnn": own, "rnn": own}, data, along, boundaries=boundaries)
        for along in ("bands", "regions", "moments")
    }
    figure = drawing.region_losses(tables["regions"], names)
    sure = (tables["regions"]["lost_low"] > 0) | (tables["regions"]["lost_high"] < 0)
    texts = [text.get_text() for axis in figure.axes[:2] for text in axis.texts]
    assert len([text for text in texts if text]) == sure.sum()
    first = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert first == list(tables["regions"]["name"].unique()[::-1])  # the lowest below
    figure = drawing.band_profiles(tables["bands"], names, boundaries)
    figure.canvas.draw()
    largest = [tables["bands"].query("genre == @name")["share"].abs().max() for name in names]
    assert [axis.get_ylim()[1] / 1.5 for axis in figure.axes[:genres]] == pytest.approx(largest)
    drawing.moment_losses(tables["moments"], 6.0).canvas.draw()


def test_maps_have_a_place_for_what_a_network_has_not():
    rng = np.random.default_rng(0)
    rows = {"a": {"spectrogram": rng.random((12, 16)), "map": rng.normal(size=(12, 16))}}
    rows["b"] = {"spectrogram": rng.random((12, 16))}
    figure = drawing.maps(rows, seconds=6.0, title="$ is a dollar")
    figure.canvas.draw()
    assert [len(axis.images) for axis in figure.axes[:4]] == [1, 1, 1, 0]
    assert [axis.get_xlabel() for axis in figure.axes[4:]] == ["level", "evidence against and for"]


def test_the_feature_groups_that_cost_most_are_shown_with_their_size_and_whole_inputs_apart():
    rows = [(model, f"group_{k}", 0.7, 0.1 / k) for model in ("mlp", "svm") for k in range(1, 11)]
    rows.append(("mlp", "spectrogram", 0.7, -0.01))
    table = pd.DataFrame(rows, columns=["model", "family", "accuracy", "drop"])
    table = table.assign(low=table["drop"] - 0.1, high=table["drop"] + 0.1)
    figure = drawing.importance(table, {f"group_{k}": 41 - k for k in range(1, 11)})
    above, below = ([x.get_text() for x in axes.get_yticklabels()] for axes in figure.axes)
    assert above == ["spectrogram"]
    assert below[:2] == ["group 1 (40)", "group 2 (39)"] and len(below) == 8
    both = table[:10].assign(model="logistic"), table[:10]  # of one colour
    axes = drawing.importance(pd.concat(both), {f"group_{k}": 1 for k in range(1, 11)}).axes[0]
    faces = [dots.get_facecolors()[0] for dots in axes.collections if len(dots.get_offsets()) > 1]
    assert len(faces) == 2 and (faces[0] != faces[1]).any()
    assert len(drawing.importance(table[:10], {f"group_{k}": 1 for k in range(1, 11)}).axes) == 1
