"""What the long measurements share: what is stored fits the study, and differences are paired."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre_utils.evaluation import comparisons
from genre_utils.experiments import measurements
from genre_utils.report.sentences import experiments as experiments_sentences
from genre_utils.workspace import files
from small_study import small_study_fixture  # noqa: F401
from study_runs import ROOT

ANSWERS = pd.DataFrame({"track_id": ["rock/00-0", "jazz/00-0"], "y_pred": ["rock", "rock"]})


@pytest.fixture
def study(tmp_path, small_study):
    for name in ("folds.parquet", "tracks.parquet", "features.json", "corpus.json"):
        (tmp_path / name).write_bytes((small_study / name).read_bytes())
    return tmp_path


def test_what_is_stored_comes_back_with_its_record(study):
    measurements.store(study, "some", "label", "key", ANSWERS, seeds=3)
    assert measurements.is_stored(study, "some", "label", "key")
    assert not measurements.is_stored(study, "some", "label", "other key")
    record, answers = measurements.stored(study, "some")["label"]
    assert record["seeds"] == 3
    right = measurements.with_right(answers, measurements.genre_of(study))
    assert list(right["right"]) == [True, False]


def test_measurements_of_other_folds_or_features_are_left_out(study):
    measurements.store(study, "some", "label", "key", ANSWERS)
    described = files.read_json(study / "features.json")
    files.write_json(study / "features.json", described | {"sha256": "another"})
    assert measurements.stored(study, "some") == {}
    files.write_json(study / "features.json", described)
    folds = pd.read_parquet(study / "folds.parquet")
    files.write_table(study / "folds.parquet", folds[::-1])
    assert measurements.stored(study, "some") == {}


@pytest.mark.parametrize("change", [{"track_id": "nobody's"}, {"y_pred": "polka"}])
def test_answers_that_cannot_be_of_this_study_are_refused(study, change):
    measurements.store(study, "some", "label", "key", ANSWERS.assign(**change))
    with pytest.raises(ValueError, match=r"label.parquet.*Delete this file"):
        measurements.stored(study, "some")


def test_other_models_settings_or_seeds_are_other_measurements(study):
    runs = {"hashes": {"code": "1"}, "seed": 0, "training_seconds": 1.0, "folds": []}
    seen = set()
    for change in ({}, {"seed": 1}, {"hashes": {"code": "2"}}, {"max_epochs": 3}):
        files.write_json(study / "runs" / "cnn.json", runs | change)
        seen.add(files.sha256(measurements.made_by(study, "cnn")))
    files.write_json(study / "runs" / "cnn.json", runs | {"training_seconds": 2.0})
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
    assert "`--profile demo-full`" in experiments_sentences.missing("", "demo", 600)
    assert "about 10 minutes" in experiments_sentences.missing("", "demo", 600)
    mine = experiments_sentences.missing("", "my own", 5)
    assert experiments_sentences.missing("it is so", "demo", 600).endswith("study: it is so.")
    assert "`--set MEASURE=true`" in mine and "about a minute" in mine


def test_a_fixed_split_is_not_looked_at_again(study):
    assert measurements.one_look(study) == ""
    described = files.read_json(study / "corpus.json")
    files.write_json(study / "corpus.json", described | {"protocol": "fixed"})
    assert "another" in measurements.one_look(study)


def test_differences_are_corrected_together():
    table = measurements.judged(pd.DataFrame({"p_value": [0.01, 0.04, 0.9]}))
    assert list(table["p_holm"]) == pytest.approx([0.03, 0.08, 0.9])
    assert list(table["separable"]) == [True, False, False]


def test_two_tables_of_predictions_differ_by_what_the_comparison_of_models_says():
    study = ROOT / "reports" / "gtzan-mel"
    one, other = (
        pd.read_parquet(study / "predictions" / f"{name}.parquet") for name in ("cnn_tuned", "cnn")
    )
    shuffled = other.sample(frac=1.0, random_state=0)
    found = measurements.between(one, shuffled, pd.read_parquet(study / "folds.parquet"))
    pairs = files.read_json(study / "results.json")["pairwise"]
    (pair,) = [pair for pair in pairs if (pair["a"], pair["b"]) == ("cnn", "cnn_tuned")]
    assert found["difference"] == pytest.approx(-pair["difference"])
    assert [found["low"], found["high"]] == pytest.approx([-pair["ci95"][1], -pair["ci95"][0]])
    assert found["p_value"] == pytest.approx(pair["p_value"])
