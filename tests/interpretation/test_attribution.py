"""Maps point where the genre was planted, and are drawn by networks that never met a track."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre_utils.interpretation import attribution, summaries
from genre_utils.models import cross_validation, hyperparameters, training, training_data
from genre_utils.workspace.study_folder import StudyFolder
from small_study import write_small_study

MOMENT, BANDS = slice(8, 12), slice(16, 24)  # of 32 frames and bands: what makes rock rock


@pytest.fixture(scope="module", name="planted")
def planted_fixture(tmp_path_factory):
    """A study of noise whose rock is told by one moment in a few bands, with a trained CNN."""
    study = write_small_study(tmp_path_factory.mktemp("planted"))
    rock = (study.tracks["genre"] == "rock").to_numpy()
    sound = np.random.default_rng(0).random((len(rock), 5, 32, 32), dtype=np.float32)
    sound[rock, :, MOMENT, BANDS] += 1.0
    np.save(study.place("log_mel"), sound.reshape(len(rock), 160, 32))
    study.write(excerpts=study.excerpts.assign(frames=160))
    study.write(features=study.features | {"excerpt_seconds": 3.2})
    study.write(folds=study.folds[study.folds["fold"] == 0])
    cross_validation.cross_validate(study, "cnn", epochs=8)
    return study


@pytest.fixture(scope="module", name="data")
def data_fixture(planted):
    return training_data.load_data(planted)


@pytest.fixture(scope="module", name="cnn")
def cnn_fixture(planted):
    networks, missing = attribution.load_networks(planted)
    assert list(networks) == ["cnn"] and not missing
    return networks["cnn"]


@pytest.fixture(scope="module", name="maps")
def maps_fixture(data, cnn):
    """Maps of rock alone: what noise speaks for is anyone's guess."""
    rows = attribution._examples(data, 6, 0)
    return attribution._attributions(cnn, data, rows[data.y[rows] == 1])


def concentration(maps):
    """How many times as much of the positive values lies at the planted place as by area."""
    positive = np.maximum(maps, 0)
    inside = positive[:, MOMENT, BANDS]
    return (inside.sum() / positive.sum()) / (inside.size / positive.size)


def peak(maps):
    return np.unravel_index(maps.mean(axis=0).argmax(), maps.shape[1:])


def test_integrated_gradients_point_at_what_was_planted_and_sum_to_the_evidence(maps):
    frame, band = peak(maps.gradients)
    assert frame in range(8, 12) and band in range(16, 24) and concentration(maps.gradients) > 5
    missed = maps.gain - maps.gradients.sum(axis=(1, 2))
    assert (maps.gain > 0).all() and abs(missed).mean() < 0.03 * maps.gain.mean()


def test_hiding_costs_most_at_the_planted_bands_and_moment(maps):
    lost_by = maps.regions.mean(axis=0), maps.moments.mean(axis=0)
    bands = np.arange(32).reshape(attribution.REGIONS, -1)
    assert set(bands[lost_by[0].argmax()]) < set(range(16, 24))
    moments = summaries.parts_of(32, attribution.MOMENTS)
    assert moments[lost_by[1].argmax()][MOMENT].any()


def test_grad_cam_points_at_what_was_planted(data, cnn, maps):
    cams = np.stack([attribution.explain(cnn, data, row)["Grad-CAM"] for row in maps.rows])
    assert cams.shape[1:] == (32, 32) and cams.min() >= 0
    frame, band = peak(cams)  # a place of the last convolution is 4 frames and 8 bands wide
    assert abs(frame - 9.5) <= 4 and abs(band - 19.5) <= 8
    assert concentration(cams) > 2


def test_maps_of_random_weights_are_other_maps(data, cnn, maps):
    found = attribution.checks({"cnn": cnn}, data, {"cnn": maps}).loc["cnn"]
    assert abs(found["gradients"]) < 0.3 and found["completeness"] < 0.03 and found["passed"]
    assert found["top"] > 1.5 * found["random"] and found["top"] > 0.3 * maps.gain.mean()
    blank = attribution._randomised(cnn[0], 0)
    x = data.excerpts[:1]
    normalised = [model.layers[1](x).numpy() for model in (cnn[0], blank)]
    np.testing.assert_array_equal(*normalised)  # the input's statistics are kept
    assert not np.allclose(cnn[0](x), blank(x))


def test_one_excerpt_is_explained_as_it_is_among_many(data, cnn, maps):
    alone = attribution.explain(cnn, data, maps.rows[0])
    np.testing.assert_allclose(alone["integrated gradients"], maps.gradients[0], atol=1e-5)
    np.testing.assert_array_equal(alone["spectrogram"], data.excerpts[maps.rows[0]])
    other = attribution.explain(cnn, data, maps.rows[0], random_weights=0)
    assert not np.allclose(other["integrated gradients"], maps.gradients[0], atol=1e-3)


def test_every_excerpt_is_explained_by_the_network_that_never_met_its_track(tmp_path):
    data = training_data.load_data(write_small_study(tmp_path))
    networks = {0: "network of fold 0", 1: "network of fold 1"}
    rows = np.arange(len(data.table))
    met = data.folds[data.folds["part"] != "test"].groupby("fold")["track_id"].agg(set)
    seen = []
    for fold, model, places in attribution._by_fold(networks, data, rows):
        assert model == networks[fold]
        assert not met[fold] & set(data.table["track_id"].iloc[places])
        seen.extend(places)
    assert sorted(seen) == list(rows)


def test_networks_that_are_not_here_are_named(planted, tmp_path):
    with pytest.raises(ValueError, match="hybrid, which this study has no results of"):
        attribution.load_networks(planted, ["hybrid"])
    stored = StudyFolder(tmp_path)
    stored.write(folds=planted.folds)
    stored.write_model("cnn", planted.predictions("cnn"), planted.run("cnn"))
    assert attribution.load_networks(stored) == ({}, ["cnn"])


@pytest.mark.parametrize("name", ["fusion", "rnn", "cnn1d"])
def test_networks_of_every_shape_can_be_explained(data, name):
    keras.utils.set_random_seed(0)
    model = training.untrained(data, name, hyperparameters.DEFAULTS[name])
    x, *_ = asked = attribution._asked(data, name, 0, np.arange(3))
    shared = attribution._integrated_gradients(model, *asked)
    whole = sum(
        part.reshape(3, -1).sum(axis=1)
        for part in (shared.values() if isinstance(shared, dict) else [shared])
    )
    gained = attribution._gain(model, *asked)
    np.testing.assert_allclose(whole, gained, atol=0.1 * abs(gained).max())
    logs = np.log(model(x).numpy())
    evidence = attribution.outputs(attribution._evidence_model(model), x)
    np.testing.assert_allclose(evidence, logs - logs.mean(axis=1, keepdims=True), atol=1e-4)
    row = np.flatnonzero(data.part_of(0) == "test")[0]
    found = attribution.explain({0: model}, data, row)
    assert ("Grad-CAM" in found) == (name != "rnn")
    if name != "rnn":
        cam = found["Grad-CAM"]
        assert cam.shape == (32, 32) and (name == "fusion" or not np.ptp(cam, axis=1).any())


@pytest.mark.parametrize("name", ["fusion", "rnn"])
def test_what_hiding_costs_is_found_for_each_mask_and_excerpt_by_itself(data, name):
    model = training.untrained(data, name, hyperparameters.DEFAULTS[name])
    x, start, genre = asked = attribution._asked(data, name, 0, np.array([0, 5, 9]))
    masks = [np.arange(32) < 8, (np.arange(32) > 20)[:, np.newaxis], np.zeros((3, 32, 32), bool)]
    masks[2][1] = True  # of one excerpt all, of the others nothing
    lost = attribution._occlusion(model, *asked, masks)
    before = attribution._gain(model, *asked)
    for place, mask in enumerate(masks):
        after = attribution._gain(model, attribution._hide(x, start, mask), start, genre)
        np.testing.assert_allclose(lost[:, place], before - after, atol=1e-5)
    assert abs(lost[1, 2]) > 1e-3 > abs(lost[[0, 2], 2]).max()


def test_examples_are_middle_excerpts_of_many_artists(data, planted):
    chosen = data.table.iloc[attribution._examples(data, 3, 1)]
    assert (chosen["excerpt"] == 2).all() and chosen["track_id"].is_unique
    assert chosen["track_id"].map(planted.groups).nunique() == 6  # all tested, before any again


@given(st.integers(1, 200), st.integers(1, 12))
def test_parts_of_an_axis_are_even_and_leave_nothing_out(size, count):
    parts = np.array(summaries.parts_of(size, count))
    assert (parts.sum(axis=0) == 1).all() and np.ptp(parts.sum(axis=1)) <= 1
    assert (np.diff(parts.argmax(axis=0)) >= 0).all() and len(parts) == min(size, count)
