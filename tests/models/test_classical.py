"""The classical models: probabilities, calibration, scaling, and folds without leakage."""

import warnings

import numpy as np
import pandas as pd
import pytest

from genre_utils.data import splits
from genre_utils.evaluation import scoring
from genre_utils.models import classical
from genre_utils.workspace import model_names
from small_study import THREE_GENRES as GENRES
from small_study import statistics_fixture  # noqa: F401

KNOWN = model_names.CLASSICAL


def accuracy(predictions):
    whole = scoring.track_probabilities(predictions)
    return (whole["y_pred"] == whole["y_true"]).mean()


def blobs(rng, labels, per_label=18):
    """Rows of each label around a corner of its own, in groups of three."""
    y = np.repeat(np.array(list(labels), dtype=object), per_label)
    corner = 4.0 * np.eye(len(labels), 5)[np.repeat(np.arange(len(labels)), per_label)]
    return corner + rng.normal(size=(len(y), 5)), y, np.arange(len(y)) // 3


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("order", [["a", "b", "c"], ["c", "a", "b"], ["b", "c", "a"]])
def test_probabilities_sum_to_1_and_columns_follow_the_genres(name, order):
    x, y, group = blobs(np.random.default_rng(0), "abc")
    test = np.arange(0, len(x), 2)
    found = classical.fit_predict(name, x, y, group, np.arange(1, len(x), 2), test, order)
    assert found.shape == (len(test), 3)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert (np.array(order, dtype=object)[found.argmax(axis=1)] == y[test]).mean() > 0.9


@pytest.mark.parametrize("sizes", [[4, 1, 1], [1, 9], [5]])
def test_the_svm_is_calibrated_even_where_a_genre_has_few_uneven_artists(sizes):
    few = sum(sizes)
    x, y, group = blobs(np.random.default_rng(0), "ab")
    x, y, group = x[: 18 + few], y[: 18 + few], group[: 18 + few]
    group[18:] = 100 + np.repeat(np.arange(len(sizes)), sizes)
    rows = np.arange(len(x))
    found = classical.fit_predict("svm", x, y, group, rows, rows, ["a", "b"])
    assert np.mean((found[:, 1] > 0.5) == (y == "b")) > 0.8


@pytest.mark.parametrize("name", KNOWN)
def test_test_rows_teach_nothing(name):
    rng = np.random.default_rng(0)
    x, y, group = blobs(rng, "ab")
    train, test = np.arange(6, len(x)), np.arange(6)
    one = classical.fit_predict(name, x, y, group, train, test, ["a", "b"])
    x[test[3:]] = 1e6 * rng.normal(size=(3, 5))
    y[test] = "b"
    other = classical.fit_predict(name, x, y, group, train, test, ["a", "b"])
    np.testing.assert_array_equal(one[:3], other[:3])
    assert not np.array_equal(one[3:], other[3:])


def test_features_are_brought_to_one_scale_learned_from_the_training_rows():
    x, y, _ = blobs(np.random.default_rng(0), "ab")
    scaler = classical.estimator("knn", x).fit(x * 50 + 7, y)[0]
    np.testing.assert_allclose(scaler.mean_, (x * 50 + 7).mean(axis=0))
    np.testing.assert_allclose(scaler.scale_, 50 * x.std(axis=0))


@pytest.mark.parametrize("name", KNOWN)
def test_cross_validation_writes_valid_predictions_and_a_run(study, name):
    predictions, run = classical.cross_validate_classical(study, name)
    written = study.predictions(name)
    pd.testing.assert_frame_equal(written, predictions)
    assert study.run(name) == run
    scoring.check_predictions(written, study.folds, study.tracks, GENRES)
    assert list(written.columns[-3:]) == ["p_rock", "p_jazz", "p_pop"]
    assert len(written) == 54 * 3  # the copies are not tested
    assert run["model"] == name
    assert [fold["fold"] for fold in run["folds"]] == [0, 1, 2]
    assert run["training_seconds"] == sum(fold["seconds"] for fold in run["folds"]) > 0
    assert 0.7 < accuracy(written) <= 1.0
    again, _ = classical.cross_validate_classical(study, name)
    pd.testing.assert_frame_equal(again, predictions)


@pytest.mark.parametrize("name", KNOWN)
def test_leaked_folds_are_refused_before_anything_is_written(study, name):
    folds = study.folds
    one = folds.index[(folds["fold"] == 2) & (folds["part"] == "train")][0]
    test = folds.index[(folds["fold"] == 2) & (folds["part"] == "test")][0]
    folds.loc[one, "group"] = folds.loc[test, "group"]
    study.write(folds=folds)
    with pytest.raises(splits.LeakageError, match="fold 2"):
        classical.cross_validate_classical(study, name)
    assert not (study.path / "predictions").exists()
    assert not (study.path / "runs").exists()


@pytest.mark.parametrize("name", KNOWN)
def test_genres_drawn_at_random_are_recognised_by_chance_alone(study, name):
    tracks = study.tracks
    found = []
    for seed in range(3):
        genre = np.random.default_rng(seed).permutation(GENRES * 18)
        study.write(tracks=tracks.assign(genre=genre))
        found.append(accuracy(classical.cross_validate_classical(study, name)[0]))
    assert 1 / 3 - 0.15 < np.mean(found) < 1 / 3 + 0.15


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("few", [1, 2, 3])
def test_very_few_rows_are_learned_from_in_silence(name, few):
    x, y, _ = blobs(np.random.default_rng(0), "ab")
    train, test = np.r_[:4, 18 : 18 + few], np.r_[4:10, 25:35]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        group = np.arange(len(x))
        found = classical.fit_predict(name, x, y, group, train, test, ["a", "b"])
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
