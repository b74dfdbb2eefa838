import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre_utils.evaluation import intervals, reliability

GROUP = np.repeat(np.arange(60), 5)


def predicted(excess=0.0, seed=0, least=0.4):
    """Confidences, and whether the prediction is right: with chance confidence ** (1 + excess)."""
    rng = np.random.default_rng(seed)
    confidence = least + (1 - least) * rng.beta(3, 1, len(GROUP))
    return confidence, rng.random(len(GROUP)) < confidence ** (1 + excess)


def probabilities(excess=0.0):
    """Two genres: (tracks, 2) probabilities of the predicted one and the other, and the truth."""
    confidence, right = predicted(excess, least=0.5)
    return np.column_stack([confidence, 1 - confidence]), np.where(right, 0, 1)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=200))
def test_bins_are_even_in_order_and_never_part_equal_confidences(values):
    confidence = np.array(values) / 20
    bins = reliability.bin_of(confidence)
    assert set(bins) == set(range(bins.max() + 1)) and bins.max() < reliability.MOST_BINS
    assert pd.Series(bins).groupby(confidence).nunique().eq(1).all()
    assert (np.diff(bins[np.argsort(confidence, kind="stable")]) >= 0).all()


def test_bins_hold_about_as_many_tracks_each():
    counts = np.bincount(reliability.bin_of(predicted()[0]))
    assert len(counts) == 10 and np.ptp(counts) <= 1
    assert reliability.bin_of(np.linspace(0, 1, 60)).max() == 1  # 30 tracks in each of two


def test_the_calibration_error_is_the_mean_distance_over_bins():
    confidence, right = predicted(0.5)
    bins = reliability.bin_of(confidence)
    expected = sum(
        (bins == b).mean() * abs(right[bins == b].mean() - confidence[bins == b].mean())
        for b in range(bins.max() + 1)
    )
    found = reliability.expected_calibration_error(confidence, right, GROUP)
    assert found["ece"] == pytest.approx(expected)
    assert found["ece_ci95"][0] < expected < found["ece_ci95"][1]


def test_only_an_error_that_chance_does_not_explain_is_told_from_0():
    calibrated = [
        reliability.expected_calibration_error(*predicted(0.0, k), GROUP) for k in range(20)
    ]
    assert sum(one["ece_ci95"][0] > 0 for one in calibrated) <= 3
    assert np.mean([one["ece"] for one in calibrated]) == pytest.approx(
        np.mean([one["ece_by_chance"] for one in calibrated]), rel=0.25
    )
    off = [reliability.expected_calibration_error(*predicted(2.0, k), GROUP) for k in range(20)]
    assert all(one["ece_ci95"][0] > 0 and one["ece"] > one["ece_by_chance"] for one in off)


def test_artists_that_are_alike_make_the_error_of_chance_larger():
    confidence, right = predicted()
    apart = reliability.expected_calibration_error(confidence, right, np.arange(300))
    alike = np.repeat(right[::5], 5)
    together = reliability.expected_calibration_error(confidence, alike, GROUP)
    assert together["ece_by_chance"] > 1.5 * apart["ece_by_chance"]


def test_one_artist_tells_nothing_of_the_error():
    found = reliability.expected_calibration_error([0.6, 0.9], [True, False], ["a", "a"])
    assert found["ece_ci95"] == [0, 1] and found["ece_by_chance"] is None


def test_reliability_says_in_which_direction_a_model_errs():
    p, true = probabilities(excess=2.0)
    found = reliability.reliability(p, true, GROUP)
    assert found["overconfidence"]["value"] == pytest.approx(p[:, 0].mean() - (true == 0).mean())
    assert found["overconfidence"]["ci95"][0] > 0
    loss = -np.log(p[np.arange(len(p)), true]).mean()
    assert found["cross_entropy"]["value"] == pytest.approx(loss)
    bins = found["bins"]
    assert sum(bins["tracks"]) == 300 and np.all(np.diff(bins["confidence"]) > 0)
    for low, accuracy, high in zip(bins["low"], bins["accuracy"], bins["high"], strict=True):
        assert low <= accuracy <= high and low < high


def test_what_scaling_changes_is_a_paired_difference():
    p, true = probabilities(excess=2.0)
    flatter = p**0.5 / (p**0.5).sum(axis=1, keepdims=True)
    found = reliability.describe(p, true, GROUP, flatter)
    change = found["cross_entropy_change"]
    after, before = found["after"]["cross_entropy"], found["before"]["cross_entropy"]
    assert change["value"] == pytest.approx(after["value"] - before["value"])
    assert change["ci95"][1] < 0 and np.ptp(change["ci95"]) < np.ptp(before["ci95"])
    assert reliability.describe(p, true, GROUP)["after"] is None


def test_the_surest_are_classified_and_all_that_are_as_sure():
    confidence = np.array([0.9, 0.8, 0.8, 0.8, 0.5])
    right = np.array([True, True, True, False, False])
    found = reliability.selective(confidence, right, np.arange(5))
    assert found["coverages"][0] == 0.2 and found["accuracies"][0] == 1
    assert found["coverages"][-1] == 1 and found["accuracies"][-1] == 0.6
    assert found["coverages"][7] == 0.8 and found["accuracies"][7] == 0.75  # 0.4 was asked for
    at = found["at"]
    assert (at["coverage"], at["tracks"], at["accuracy"]) == (0.8, 4, 0.75)
    assert at["gain"] == pytest.approx(0.15)
    assert at["gain_ci95"][0] < 0.15 < at["gain_ci95"][1]


def test_the_gain_of_selective_classification_is_surer_than_the_difference_of_two_accuracies():
    confidence, right = predicted(0.5)
    at = reliability.selective(confidence, right, GROUP)["at"]
    assert at["tracks"] == 240 and at["gain_ci95"][0] > 0
    chosen = confidence >= np.sort(confidence)[60]
    assert at["accuracy"] == right[chosen].mean()
    expected = intervals.accuracy_interval(right[chosen], GROUP[chosen])
    np.testing.assert_allclose(at["ci95"], expected)
    assert np.ptp(at["gain_ci95"]) < np.ptp(at["ci95"])
