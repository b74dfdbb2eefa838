import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre_utils.evaluation import calibration, intervals
from genre_utils.report.sentences import comparison as comparison_sentences

GROUP = np.repeat(np.arange(60), 5)


def answers(too_sure=0.0, seed=0, least=0.4):
    """Confidences, and whether the answer is right: with chance confidence ** (1 + too_sure)."""
    rng = np.random.default_rng(seed)
    confidence = least + (1 - least) * rng.beta(3, 1, len(GROUP))
    return confidence, rng.random(len(GROUP)) < confidence ** (1 + too_sure)


def probabilities(too_sure=0.0):
    """Two genres: (tracks, 2) probabilities of what is answered and of the other, and the truth."""
    confidence, right = answers(too_sure, least=0.5)
    return np.column_stack([confidence, 1 - confidence]), np.where(right, 0, 1)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=200))
def test_bins_are_even_in_order_and_never_part_equal_confidences(values):
    confidence = np.array(values) / 20
    bins = calibration.bin_of(confidence)
    assert set(bins) == set(range(bins.max() + 1)) and bins.max() < calibration.MOST_BINS
    assert pd.Series(bins).groupby(confidence).nunique().eq(1).all()
    assert (np.diff(bins[np.argsort(confidence, kind="stable")]) >= 0).all()


def test_bins_hold_about_as_many_tracks_each():
    counts = np.bincount(calibration.bin_of(answers()[0]))
    assert len(counts) == 10 and np.ptp(counts) <= 1
    assert calibration.bin_of(np.linspace(0, 1, 60)).max() == 1  # 30 tracks in each of two


def test_the_calibration_error_is_the_mean_distance_over_bins():
    confidence, right = answers(0.5)
    bins = calibration.bin_of(confidence)
    expected = sum(
        (bins == b).mean() * abs(right[bins == b].mean() - confidence[bins == b].mean())
        for b in range(bins.max() + 1)
    )
    found = calibration.expected_calibration_error(confidence, right, GROUP)
    assert found["ece"] == pytest.approx(expected)
    assert found["ece_ci95"][0] < expected < found["ece_ci95"][1]


def test_only_an_error_that_chance_does_not_explain_is_told_from_0():
    honest = [calibration.expected_calibration_error(*answers(0.0, k), GROUP) for k in range(20)]
    assert sum(one["ece_ci95"][0] > 0 for one in honest) <= 3
    assert np.mean([one["ece"] for one in honest]) == pytest.approx(
        np.mean([one["ece_by_chance"] for one in honest]), rel=0.25
    )
    off = [calibration.expected_calibration_error(*answers(2.0, k), GROUP) for k in range(20)]
    assert all(one["ece_ci95"][0] > 0 and one["ece"] > one["ece_by_chance"] for one in off)


def test_artists_that_are_alike_make_the_error_of_chance_larger():
    confidence, right = answers()
    apart = calibration.expected_calibration_error(confidence, right, np.arange(300))
    alike = np.repeat(right[::5], 5)
    together = calibration.expected_calibration_error(confidence, alike, GROUP)
    assert together["ece_by_chance"] > 1.5 * apart["ece_by_chance"]


def test_one_artist_tells_nothing_of_the_error():
    found = calibration.expected_calibration_error([0.6, 0.9], [True, False], ["a", "a"])
    assert found["ece_ci95"] == [0, 1] and found["ece_by_chance"] is None


def test_reliability_says_in_which_direction_a_model_errs():
    p, true = probabilities(too_sure=2.0)
    found = calibration.reliability(p, true, GROUP)
    assert found["overconfidence"]["value"] == pytest.approx(p[:, 0].mean() - (true == 0).mean())
    assert found["overconfidence"]["ci95"][0] > 0
    loss = -np.log(p[np.arange(len(p)), true]).mean()
    assert found["cross_entropy"]["value"] == pytest.approx(loss)
    bins = found["bins"]
    assert sum(bins["tracks"]) == 300 and np.all(np.diff(bins["confidence"]) > 0)
    for low, accuracy, high in zip(bins["low"], bins["accuracy"], bins["high"], strict=True):
        assert low <= accuracy <= high and low < high


def test_what_scaling_changes_is_a_paired_difference():
    p, true = probabilities(too_sure=2.0)
    flatter = p**0.5 / (p**0.5).sum(axis=1, keepdims=True)
    found = calibration.describe(p, true, GROUP, flatter)
    change = found["cross_entropy_change"]
    after, before = found["after"]["cross_entropy"], found["before"]["cross_entropy"]
    assert change["value"] == pytest.approx(after["value"] - before["value"])
    assert change["ci95"][1] < 0 and np.ptp(change["ci95"]) < np.ptp(before["ci95"])
    assert calibration.describe(p, true, GROUP)["after"] is None


def test_abstaining_answers_the_surest_and_all_that_are_as_sure():
    confidence = np.array([0.9, 0.8, 0.8, 0.8, 0.5])
    right = np.array([True, True, True, False, False])
    found = calibration.selective(confidence, right, np.arange(5))
    assert found["coverages"][0] == 0.2 and found["accuracies"][0] == 1
    assert found["coverages"][-1] == 1 and found["accuracies"][-1] == 0.6
    assert found["coverages"][7] == 0.8 and found["accuracies"][7] == 0.75  # 0.4 was asked for
    at = found["at"]
    assert (at["coverage"], at["tracks"], at["accuracy"]) == (0.8, 4, 0.75)
    assert at["gain"] == pytest.approx(0.15)
    assert at["gain_ci95"][0] < 0.15 < at["gain_ci95"][1]


def test_the_gain_of_abstaining_is_surer_than_the_difference_of_two_accuracies():
    confidence, right = answers(0.5)
    at = calibration.selective(confidence, right, GROUP)["at"]
    assert at["tracks"] == 240 and at["gain_ci95"][0] > 0
    chosen = confidence >= np.sort(confidence)[60]
    assert at["accuracy"] == right[chosen].mean()
    expected = intervals.accuracy_interval(right[chosen], GROUP[chosen])
    np.testing.assert_allclose(at["ci95"], expected)
    assert np.ptp(at["gain_ci95"]) < np.ptp(at["ci95"])


@pytest.fixture
def models():
    entries = {}
    for name, too_sure in (("honest", 0.0), ("cnn", 3.0)):
        p, true = probabilities(too_sure)
        flatter = p**0.5 / (p**0.5).sum(axis=1, keepdims=True)
        found = calibration.describe(p, true, GROUP, flatter if name == "cnn" else None)
        found |= {"not_scaled": None if name == "cnn" else "nobody asked"}
        entries[name] = {"accuracy": float((true == 0).mean()), "calibration": found}
    return entries


def test_words_and_tables_say_what_was_found(models):
    said = comparison_sentences.calibration(models)
    assert said.startswith("In 1 of 2 models") and "Too sure on the whole: `cnn`" in said
    assert "lowers the cross-entropy of 1 of the 1 models" in said
    assert "Not scaled: `honest` (nobody asked)" in said
    unscaled = {"honest": models["honest"]}
    assert "No model has a temperature" in comparison_sentences.calibration(unscaled)
    table = calibration.table(models)
    assert table.loc["honest", "ECE, scaled"] == "not scaled"
    assert table.loc["cnn", "change of cross-entropy"].startswith("-")
    said = comparison_sentences.selective_classification(models)
    assert said.startswith("`honest`, the most accurate") and "answers 80% of the tracks" in said
    assert calibration.selective_table(models)["share answered"].tolist() == ["80%", "80%"]


def test_the_papers_models_are_shown_and_the_most_accurate(models):
    assert calibration.shown_models(models, ("cnn", "rnn")) == ["cnn", "honest"]
    assert calibration.shown_models(models, ("honest", "cnn")) == ["honest", "cnn"]
