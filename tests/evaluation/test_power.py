import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre_utils.evaluation import comparisons, intervals, power

quick = settings(max_examples=40, deadline=None)
sums = st.lists(st.integers(-7, 7), min_size=4, max_size=4)


def pair_of_models(better=0.8, worse=0.7, artists=40, each=5, seed=0):
    rng, group = np.random.default_rng(seed), np.repeat(np.arange(artists), each)
    return rng.random(len(group)) < better, rng.random(len(group)) < worse, group


@quick
@given(st.lists(sums, min_size=1, max_size=5))
def test_many_tests_at_once_are_those_one_by_one(rows):
    found = power.sign_flip_p_values(np.array(rows))
    for row, p in zip(rows, found, strict=True):
        group = np.repeat(np.arange(4), np.abs(row))
        signs = np.repeat(np.sign(row), np.abs(row))
        expected = comparisons.sign_flip_test(signs > 0, signs < 0, group) if len(group) else 1
        assert p == pytest.approx(expected, abs=1e-9)


def test_many_tests_are_exact_far_out_and_for_many_artists():
    counts = np.zeros((2, 3000), dtype=int)
    counts[0, :20] = 1  # p = 2 / 2^20
    counts[1] = np.arange(3000) % 5 - 2
    found = power.sign_flip_p_values(counts)
    assert found[0] == pytest.approx(2 / 2**20, rel=1e-5) and found[1] == 1


@quick
@given(sums, st.floats(-0.9, 0.9))
def test_tilted_chances_have_the_difference_that_is_asked_for(row, difference):
    row, sizes = np.array(row), np.array([7, 8, 9, 10])
    chances = power.tilted_chances(row, sizes, difference)
    if chances is None:
        ratios = row / sizes
        assert ratios.min() >= difference - 0.02 or ratios.max() <= difference + 0.02
    else:
        assert chances.min() >= 0 and chances.sum() == pytest.approx(1)
        assert chances @ row == pytest.approx(difference * (chances @ sizes), abs=1e-6)


def test_as_observed_all_artists_are_as_likely():
    chances = power.tilted_chances(np.array([2, -1, 0]), np.array([2, 2, 2]), 1 / 6)
    np.testing.assert_allclose(chances, 1 / 3)


def test_power_grows_with_the_corpus_and_with_the_difference():
    curves = power.power_curves(*pair_of_models())
    assert list(curves.columns) == ["assumed", "difference", "groups", "tracks", "power"]
    assert list(curves["assumed"].unique()) == [power.OBSERVED, power.LARGEST]
    for _, curve in curves.groupby("assumed"):
        assert curve["groups"].tolist() == [40 * many for many in power.MULTIPLES]
        assert curve["tracks"].tolist() == [200 * many for many in power.MULTIPLES]
        assert curve["power"].iloc[-1] > 0.95
    observed, largest = (curves[curves["assumed"] == a] for a in curves["assumed"].unique())
    assert (largest["power"].to_numpy() >= observed["power"].to_numpy()).all()
    pd.testing.assert_frame_equal(curves, power.power_curves(*pair_of_models()))


def test_power_is_that_of_new_corpora_from_the_same_source():
    a, b, group = pair_of_models(artists=800)  # so many that their difference is the true one
    sums = intervals.group_sums((a.astype(float) - b)[:, np.newaxis], group)[:, 0].astype(int)
    redrawn = np.random.default_rng(0).choice(sums, (400, 40))
    simulated = (power.sign_flip_p_values(redrawn) < 0.05).mean()
    tested = [comparisons.sign_flip_test(*pair_of_models(seed=seed)) for seed in range(300)]
    assert simulated == pytest.approx(np.mean(np.array(tested) < 0.05), abs=0.1)
    curves = power.power_curves(a, b, group)
    assert curves["power"].iloc[0] > 0.99 and curves["groups"].max() <= power.MOST_GROUPS


def test_without_a_difference_the_test_holds_its_level():
    a, b, group = pair_of_models(0.7, 0.7)
    both = np.r_[a, b], np.r_[b, a], np.r_[group, group + 40]  # as much for a as for b
    curves = power.power_curves(*both)
    observed = curves[curves["assumed"] == power.OBSERVED]
    assert observed["difference"].unique() == [0]
    assert observed["power"].max() < 0.12
    needed = power.tracks_needed(curves).set_index("assumed")
    assert np.isnan(needed.loc[power.OBSERVED, "at_most"])
    assert needed.loc[power.OBSERVED, "more_than"] == 400 * power.MULTIPLES[-1]


def test_tracks_needed_are_a_range_around_the_power_that_is_wanted():
    curves = pd.DataFrame({"assumed": "x", "difference": 0.1, "tracks": [100, 200, 400]})
    for powers, expected in (
        ([0.2, 0.79, 0.8], (200, 400)),
        ([0.9, 0.95, 1.0], (0, 100)),
        ([0.1, 0.2, 0.3], (400, None)),
    ):
        (row,) = power.tracks_needed(curves.assign(power=powers)).to_dict("records")
        assert row["more_than"] == expected[0]
        assert row["at_most"] == expected[1] or (expected[1] is None and np.isnan(row["at_most"]))


def test_of_pairs_asks_about_what_is_not_significantly_different_and_corrects_the_papers_pairs():
    a, b, group = pair_of_models(0.8, 0.75)
    correct = pd.DataFrame({"cnn": a, "rnn": b, "svm": a})
    pairs = [
        {"a": "cnn", "b": "rnn", "primary": True, "separable": False},
        {"a": "cnn", "b": "hybrid", "primary": True, "separable": True},
        {"a": "cnn", "b": "svm", "primary": False, "separable": False},
    ]
    found = power.of_pairs(correct, group, pairs)
    assert [(pair["a"], pair["b"], pair["level"]) for pair in found] == [
        ("cnn", "rnn", 0.025),
        ("cnn", "svm", 0.05),
    ]
    assert found[1]["needed"] == []  # the same predictions
