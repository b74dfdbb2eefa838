import itertools

import interval_coverage
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, stats

from genre_utils.evaluation import comparisons, coverage, intervals
from genre_utils.workspace import files

quick = settings(max_examples=40, deadline=None)
outcomes = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.integers(0, 6)), min_size=1, max_size=20
)


# intervals


def test_error_and_freedom_are_those_of_bell_and_mccaffrey_written_as_matrices():
    rng, sizes = np.random.default_rng(0), np.array([1, 1, 2, 5, 9])
    group, y = np.repeat(np.arange(5), sizes), rng.random(18) < 0.6
    ones, cross = np.ones((18, 1)), np.eye(18) - np.full((18, 18), 1 / 18)
    pulls = []
    for k in range(5):
        here = np.flatnonzero(group == k)
        values, vectors = linalg.eigh(cross[np.ix_(here, here)])
        root = vectors @ np.diag(values**-0.5) @ vectors.T
        pulls.append(cross[:, here] @ root @ ones[here] / 18)
    pulls = np.hstack(pulls)  # of each group's tracks on the mean, (tracks, groups)
    among = np.linalg.eigvalsh(pulls.T @ pulls)
    sums = intervals.group_sums(np.column_stack([y, ones]), group)
    found = intervals.combined_ratios(sums[:, :1], sums[:, 1:])
    assert found.value == pytest.approx(y.mean())
    assert found.error**2 == pytest.approx(((pulls.T @ (y - y.mean())) ** 2).sum())
    assert found.freedom == pytest.approx(among.sum() ** 2 / (among**2).sum())
    assert found.groups == pytest.approx(18**2 / (sizes**2).sum())


def test_artists_of_one_size_give_the_usual_t_interval():
    right = np.random.default_rng(1).integers(0, 6, 12)
    estimate = intervals.combined_ratios(right[:, None], np.full((12, 1), 5))
    means = right / 5
    assert estimate.freedom == pytest.approx(11)
    assert estimate.error == pytest.approx(stats.sem(means))
    expected = stats.t.interval(0.95, 11, means.mean(), stats.sem(means))
    np.testing.assert_allclose(intervals.mean_interval(estimate), expected)


@quick
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=9))
def test_an_interval_stays_within_0_and_1_has_a_width_and_holds_the_estimate(counts):
    right, wrong = np.array(counts).T
    right[0] += 1
    estimate = intervals.combined_ratios(right[:, None], (right + wrong)[:, None])
    low, high = intervals.share_interval(estimate)
    assert 0 <= low <= estimate.value + 1e-9 and estimate.value - 1e-9 <= high <= 1
    assert high - low > 0.001


def test_no_error_leaves_as_much_doubt_as_there_are_artists():
    right = np.ones(40, dtype=bool)
    for artists in (2, 8, 40):
        low, high = intervals.accuracy_interval(right, np.arange(40) % artists)
        assert low == pytest.approx(0.025 ** (1 / artists)) and high == 1
        limits = intervals.difference_interval(right, right, np.arange(40) % artists)
        np.testing.assert_allclose(limits, [low - 1, 1 - low])
    low, high = intervals.accuracy_interval(right, np.zeros(40))  # one artist tells nothing
    assert low < 0.03 and high == 1


def test_a_difference_is_paired_and_turns_with_its_models():
    rng, group = np.random.default_rng(2), np.repeat(np.arange(30), 4)
    a = rng.random(120) < 0.7
    b = a & (rng.random(120) < 0.9)  # b errs where a does, and a little more
    low, high = intervals.difference_interval(a, b, group)
    assert 0 < low < a.mean() - b.mean() < high
    np.testing.assert_allclose(intervals.difference_interval(b, a, group), [-high, -low])
    alone = np.ptp(intervals.accuracy_interval(a, group))
    assert high - low < alone


@pytest.mark.parametrize(("kind", "artists"), [("uneven", 20), ("uneven", 53), ("equal", 80)])
def test_intervals_of_the_accuracy_hold_the_truth_as_often_as_they_say(kind, artists):
    found = coverage.coverage(interval_coverage.sizes_of(kind, artists), 0.8, 0.3)
    assert 0.93 <= found["coverage"] <= 0.97
    assert found["bootstrap_coverage"] < found["coverage"]
    assert found["width"] < 1.25 * found["bootstrap_width"]


def test_intervals_over_tracks_would_be_far_too_narrow():
    sizes, icc = np.full(40, 10), 0.4
    right = coverage.drawn_right(sizes, 0.75, icc, 200, 0)
    held = 0
    for row in right:
        track = np.concatenate([np.arange(10) < count for count in row])
        low, high = intervals.accuracy_interval(track, np.arange(400))
        held += low <= 0.75 <= high
    assert held < 0.8 * 200 < 0.93 * 200 <= 200 * coverage.coverage(sizes, 0.75, icc)["coverage"]


def test_likeness_within_artists_is_found():
    group = np.repeat(np.arange(400), 5)
    for icc in (0.0, 0.3, 0.7):
        right = coverage.drawn_right(np.full(400, 5), 0.7, icc, 1, 0)[0]
        outcomes = np.concatenate([np.arange(5) < count for count in right])
        assert intervals.intraclass_correlation(outcomes, group) == pytest.approx(icc, abs=0.06)
    assert intervals.intraclass_correlation(group % 2, group) == pytest.approx(1)
    assert intervals.intraclass_correlation(np.ones(9), np.arange(9)) == 0


def test_coverage_here_has_a_row_for_every_genre_and_takes_none_for_perfect():
    rng, group = np.random.default_rng(3), np.repeat(np.arange(30), 4)
    genre = np.array(["rock", "pop", "jazz"])[group % 3]
    right = (rng.random(120) < 0.7) | (genre == "jazz")
    tracks = pd.DataFrame({"track_id": np.arange(120), "y_true": genre})
    tracks["y_pred"] = np.where(right, genre, "other")
    table = coverage.coverage_here(tracks, pd.Series(group)).set_index("tracks of")
    assert list(table.index) == ["all", "rock", "pop", "jazz"]
    assert table["artists"].tolist() == [30, 10, 10, 10]
    assert table.loc["jazz", "accuracy"] == table.loc["jazz", "high"] == 1
    assert table.loc["jazz", "low"] == pytest.approx(0.025**0.1)
    assert table.loc["jazz", "bootstrap_coverage"] < 0.9 < table["coverage"].min()


def test_bootstrap_equals_resampling_artists_one_by_one():
    rng = np.random.default_rng(4)
    right, group = rng.random(60) < 0.7, np.repeat(np.arange(12), 5)
    weights = intervals.bootstrap_weights(12, 20)
    assert (weights.sum(axis=1) == 12).all()
    drawn = weights @ intervals.group_sums(right[:, None], group)[:, 0] / 60
    for draws, accuracy in zip(weights.astype(int), drawn, strict=True):
        rows = np.concatenate([right[group == k] for k in np.repeat(np.arange(12), draws)])
        assert accuracy == pytest.approx(rows.mean())
    with pytest.raises(ValueError, match="at least 2 groups"):
        intervals.bootstrap_weights(1)


def test_percentiles_skip_what_is_undefined():
    values = np.array([[0.0, np.nan], [0.5, np.nan], [1.0, np.nan]])
    found = intervals.interval(values)
    assert found[:, 0] == pytest.approx([0.025, 0.975]) and np.isnan(found[:, 1]).all()


def test_rank_correlation_is_spearmans_mean_over_models():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 50))
    y = x + rng.normal(size=(2, 50))
    value, low, high = intervals.rank_correlation(x, y, np.arange(50) // 2)
    expected = np.mean([stats.spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)])
    assert value == pytest.approx(expected) and low < value < high
    assert np.isnan(intervals.rank_correlation(x, 0 * y, np.arange(50))[0])


# the stored measurement


@pytest.fixture(scope="module")
def stored():
    return files.read_json(files.ROOT / "benchmarks" / "interval_coverage.json")


def test_the_stored_coverage_is_what_this_code_gives(stored):
    again = "run python benchmarks/interval_coverage.py --json benchmarks/interval_coverage.json"
    count = stored["simulations"]
    for name, table in (
        ("accuracies", interval_coverage.accuracies(count, (53,))),
        ("differences", interval_coverage.differences(count)),
        ("metrics", interval_coverage.metrics(count)),
    ):
        found = pd.DataFrame(stored[name])
        found = found[found["artists"] == 53] if name == "accuracies" else found
        for column in ("coverage", "width"):
            near = np.isclose(found[column], table[column], atol=3e-3)
            assert near.all(), f"{name} have changed: {again}"


def test_the_stored_coverage_holds_what_is_claimed(stored):
    assert stored["simulations"] == 1000
    table = pd.DataFrame(stored["accuracies"])
    usual = table[table["accuracy"] < 0.9]
    assert usual["coverage"].between(0.93, 0.98).all() and usual["coverage"].mean() < 0.96
    assert table["coverage"].min() > 0.9 > table["bootstrap_coverage"].min() + 0.15
    assert pd.DataFrame(stored["differences"])["coverage"].between(0.93, 0.98).all()
    assert pd.DataFrame(stored["metrics"])["coverage"].min() > 0.92
    assert pd.DataFrame(stored["calibration_errors"])["coverage"].min() > 0.92


def test_the_measurement_of_metrics_and_of_calibration_runs():
    table = interval_coverage.metrics(30)
    assert set(table["metric"]) == {"accuracy", "precision", "recall", "f1"}
    assert table["coverage"].min() > 0.7 and len(table) == 4 + 4 * 4
    table = interval_coverage.calibration_errors(4)
    assert table["coverage"].between(0, 1).all() and (table["width"] > 0).all()


# tests between models


def brute_force(a, b, groups):
    sums = pd.Series(np.subtract(a, b, dtype=int)).groupby(list(groups)).sum().to_numpy()
    flips = np.array(list(itertools.product([1, -1], repeat=len(sums))))
    return np.mean(abs(flips @ sums) >= abs(sums.sum()))


@quick
@given(outcomes)
def test_sign_flips_equal_brute_force_and_are_symmetric(rows):
    a, b, groups = (np.array(column) for column in zip(*rows, strict=True))
    p = comparisons.sign_flip_test(a, b, groups)
    assert 0 < p <= 1
    assert p == pytest.approx(brute_force(a, b, groups))
    assert p == comparisons.sign_flip_test(b, a, groups)


def test_over_tracks_the_sign_flip_test_is_mcnemars():
    a = np.r_[np.ones(700), np.zeros(300)].astype(bool)
    b = np.r_[np.ones(580), np.zeros(120), np.ones(80), np.zeros(220)].astype(bool)
    expected = stats.binomtest(120, 200).pvalue
    assert comparisons.sign_flip_test(a, b, np.arange(1000)) == pytest.approx(expected, rel=1e-9)


def test_the_test_holds_its_level_where_tracks_of_an_artist_are_alike_and_not_over_tracks():
    rng, trials = np.random.default_rng(4), 250
    artist, track = [], []
    for _ in range(trials):
        a, b = rng.random((2, 40, 1)) < 0.7
        a, b = (np.repeat(side, 5, axis=1).ravel() for side in (a, b))
        artist.append(comparisons.sign_flip_test(a, b, np.repeat(np.arange(40), 5)))
        track.append(comparisons.sign_flip_test(a, b, np.arange(200)))
    limit = stats.binom.ppf(0.999, trials, 0.05) / trials
    assert np.mean(np.array(artist) < 0.05) <= limit
    assert np.mean(np.array(artist) < 0.5) > 0.3  # not merely large
    assert np.mean(np.array(track) < 0.05) > 2 * limit


def test_holm_on_a_known_example_and_on_few():
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
    found = comparisons.holm([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(found, [0.03, 0.06, 0.06, 0.02])
    assert comparisons.holm([0.9, 0.8]).tolist() == [1, 1]
    assert comparisons.holm([0.2]).tolist() == [0.2]
    assert comparisons.holm([]).size == 0


@pytest.fixture
def compared():
    rng, groups = np.random.default_rng(5), np.repeat(np.arange(30), 4)
    names = {"cnn": 0.9, "rnn": 0.85, "hybrid": 0.9, "svm": 0.5}
    correct = pd.DataFrame({name: rng.random(120) < skill for name, skill in names.items()})
    pairs = comparisons.compare_models(correct, groups, "artist")
    return correct, groups, pairs


def test_compare_models_corrects_the_papers_pairs_only(compared):
    correct, groups, pairs = compared
    assert [(pair["a"], pair["b"]) for pair in pairs] == list(itertools.combinations(correct, 2))
    assert [pair["primary"] for pair in pairs] == [True, True, False, True, False, False]
    primary = [pair for pair in pairs if pair["primary"]]
    expected = comparisons.holm([pair["p_value"] for pair in primary])
    assert [pair["p_holm"] for pair in primary] == expected.tolist()
    for pair in pairs:
        low, high = pair["ci95"]
        assert low <= pair["difference"] <= high
        assert pair["p_value"] == comparisons.sign_flip_test(
            correct[pair["a"]], correct[pair["b"]], groups
        )
        decides = pair["p_holm"] if pair["primary"] else pair["p_value"]
        assert pair["separable"] is (decides < 0.05)
        assert pair["test"] == "sign-flip permutation over artists"
        assert (pair["only_a"] - pair["only_b"]) / 120 == pytest.approx(pair["difference"])
    assert [pair["separable"] for pair in pairs if pair["b"] == "svm"] == [True] * 3


def test_a_corrected_p_value_decides_for_primary_pairs():
    right, wrong = np.ones(20, dtype=bool), np.zeros(20, dtype=bool)
    six = np.arange(20) < 6  # p = 2 / 2^6 = 0.03
    correct = pd.DataFrame({"cnn": six, "rnn": wrong, "hybrid": six, "svm": wrong, "knn": right})
    pairs = comparisons.compare_models(correct, np.arange(20), "track")
    found = {(pair["a"], pair["b"]): pair for pair in pairs}
    assert found["cnn", "rnn"]["p_value"] == found["cnn", "svm"]["p_value"] == 2 / 2**6
    assert found["cnn", "rnn"]["separable"] is False
    assert found["cnn", "svm"]["separable"] is True


def test_main_pairs_are_the_papers_and_those_of_the_best_model_by_sound(compared):
    correct, _, pairs = compared
    models = {name: {"accuracy": accuracy} for name, accuracy in correct.mean().items()}
    models |= {"svm": {"accuracy": 0.99}, "audio_text": {"accuracy": 1.0}}
    found = comparisons.main_pairs(models, pairs)
    assert [pair["primary"] for pair in found] == [True] * 3 + [False] * 3
    assert all(pair["a"] == "svm" for pair in found[3:])
    turned = {pair["b"]: pair for pair in found[3:]}["cnn"]
    (before,) = (pair for pair in pairs if (pair["a"], pair["b"]) == ("cnn", "svm"))
    assert turned["difference"] == -before["difference"]
    assert turned["ci95"] == [-before["ci95"][1], -before["ci95"][0]]
    assert (turned["only_a"], turned["only_b"]) == (before["only_b"], before["only_a"])
    assert comparisons.main_pairs({"cnn": {"accuracy": 0.5}}, []) == []
