"""What experiments share: what is stored fits the study, and differences are paired."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre_utils.evaluation import comparisons
from genre_utils.experiments import measurements
from genre_utils.report.sentences import experiments as experiments_sentences
from genre_utils.workspace import files
from genre_utils.workspace.study_folder import StudyFolder
from small_study import small_study_fixture  # noqa: F401
from study_runs import ROOT

PREDICTIONS = pd.DataFrame({"track_id": ["rock/00-0", "jazz/00-0"], "y_pred": ["rock", "rock"]})


GRID = "leakage"


@pytest.fixture
def study(tmp_path, small_study):
    study = StudyFolder(tmp_path)
    small = {name: getattr(small_study, name) for name in ("folds", "tracks", "features", "corpus")}
    study.write(**small)
    return study


def left(study, decides="settings", why=""):
    return measurements.left(study, GRID, {"label": decides}, lambda _: why)


def test_what_is_stored_comes_back_with_its_record_and_is_not_left(study):
    measurements.store(study, GRID, "label", left(study)["label"], PREDICTIONS, seeds=3)
    assert left(study) == {} and set(left(study, "other settings")) == {"label"}
    record, predictions = measurements.stored(study, GRID)["label"]
    assert record["seeds"] == 3
    pd.testing.assert_frame_equal(predictions, PREDICTIONS)


def test_an_obstacle_is_an_error_where_something_is_left(study):
    with pytest.raises(ValueError, match="leakage cannot be measured: it is so"):
        left(study, why="it is so")
    measurements.store(study, GRID, "label", left(study)["label"], PREDICTIONS)
    assert left(study, why="it is so") == {}


def test_predictions_are_right_or_wrong_by_track(study):
    found = measurements.correct(PREDICTIONS.assign(seed=0), study.genre_of, "track_id", ["seed"])
    assert dict(found[0]) == {"rock/00-0": 1.0, "jazz/00-0": 0.0}


def test_measurements_of_other_folds_or_features_are_left_out(study):
    measurements.store(study, GRID, "label", "key", PREDICTIONS)
    described = study.features
    study.write(features=described | {"sha256": "another"})
    assert measurements.stored(study, GRID) == {}
    study.write(features=described)
    assert set(measurements.stored(study, GRID)) == {"label"}
    study.write(folds=study.folds[::-1])
    assert measurements.stored(study, GRID) == {}


@pytest.mark.parametrize("change", [{"track_id": "nobody's"}, {"y_pred": "polka"}])
def test_answers_that_cannot_be_of_this_study_are_refused(study, change):
    measurements.store(study, GRID, "label", "key", PREDICTIONS.assign(**change))
    with pytest.raises(ValueError, match=r"label.parquet.*Delete this file"):
        measurements.stored(study, GRID)


def test_measurements_of_a_model_that_was_trained_anew_otherwise_are_left_out(study):
    run = {"hashes": {"code": "1"}, "seed": 0, "folds": []}
    study.write_model("cnn", PREDICTIONS, run)
    measurements.store(study, GRID, "label", "key", PREDICTIONS, model="cnn")
    study.write_model("cnn", PREDICTIONS, run | {"training_seconds": 2.0})
    assert len(measurements.by_model(study, GRID)) == 1
    study.write_model("cnn", PREDICTIONS, run | {"seed": 1})
    assert measurements.by_model(study, GRID) == []


def test_other_models_settings_or_seeds_are_other_measurements(study):
    runs = {"hashes": {"code": "1"}, "seed": 0, "training_seconds": 1.0, "folds": []}
    seen = set()
    for change in ({}, {"seed": 1}, {"hashes": {"code": "2"}}, {"max_epochs": 3}):
        study.write_model("cnn", PREDICTIONS, runs | change)
        seen.add(files.sha256(measurements.made_by(study, "cnn")))
    study.write_model("cnn", PREDICTIONS, runs | {"training_seconds": 2.0})
    assert len(seen) == 4 and files.sha256(measurements.made_by(study, "cnn")) in seen


@given(st.integers(0, 1000), st.integers(1, 3))
def test_a_difference_is_that_of_the_means_and_its_interval_holds_it(seed, repeats):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 6, size=30).astype(str)
    one, other = rng.integers(0, 2, size=(2, 30, repeats))
    found = measurements.difference(one, other, groups)
    assert found["difference"] == pytest.approx(one.mean() - other.mean())
    assert found["low"] - 1e-9 <= found["difference"] <= found["high"] + 1e-9
    back = measurements.difference(other, one, groups)
    assert back["difference"] == pytest.approx(-found["difference"])
    assert back["p_value"] == pytest.approx(found["p_value"])


def test_one_seed_is_the_plain_paired_test():
    groups = np.arange(12)
    one, other = np.ones(12), (np.arange(12) > 3).astype(float)
    found = measurements.difference(one, other, groups)
    assert found["p_value"] == comparisons.sign_flip_test(one, other, groups) == 2 * 0.5**4


def test_who_did_not_measure_is_told_how():
    said = experiments_sentences.missing("", "demo", 600)
    assert "`--profile demo --set MEASURE=true`" in said
    assert said.endswith("takes about 10 minutes of that run.")
    assert experiments_sentences.missing("it is so", "demo", 600) == "It is so."
    other = experiments_sentences.missing("", "mine", 5, "DENOISING")
    assert "--set DENOISING=true`" in other and "takes about a minute of that run" in other


def test_a_fixed_split_is_not_looked_at_again(study):
    assert measurements.obstacle(study) == ""
    study.write(corpus=study.corpus | {"protocol": "fixed"})
    assert "another" in measurements.obstacle(study)


def test_differences_are_corrected_together():
    table = measurements.judged(pd.DataFrame({"p_value": [0.01, np.nan, 0.04, 0.9]}))
    assert list(table["p_holm"].dropna()) == pytest.approx([0.03, 0.08, 0.9])
    assert list(table["separable"].dropna()) == [True, False, False]


def test_repeats_are_compared_with_one_that_has_none():
    one, other, groups = np.eye(6), np.ones(6), np.arange(6)
    many = np.tile(other, (6, 1)).T
    assert measurements.difference(one, other, groups) == measurements.difference(one, many, groups)
    with pytest.raises(ValueError, match="broadcast"):
        measurements.difference(one[:, :3], many[:, :2], groups)


def test_two_tables_of_predictions_differ_by_what_the_comparison_of_models_says():
    study = StudyFolder(ROOT / "reports" / "gtzan-mel")
    one, other = (study.predictions(name) for name in ("cnn_paper", "cnn"))
    found = measurements.between(one, other.sample(frac=1.0, random_state=0), study.folds)
    (pair,) = [
        pair for pair in study.results["pairwise"] if (pair["a"], pair["b"]) == ("cnn", "cnn_paper")
    ]
    assert found["difference"] == pytest.approx(-pair["difference"])
    assert [found["low"], found["high"]] == pytest.approx([-pair["ci95"][1], -pair["ci95"][0]])
    assert found["p_value"] == pytest.approx(pair["p_value"])


def test_pairs_of_which_one_was_not_trained_are_left_out():
    study = StudyFolder(ROOT / "reports" / "gtzan-mel")
    found = measurements.paired(study, [("rnn", "cnn"), ("rnn", "nothing")])
    assert list(found) == [("rnn", "cnn")]
    same = measurements.between(*map(study.predictions, ("rnn", "cnn")), study.folds)
    assert found["rnn", "cnn"] == same
