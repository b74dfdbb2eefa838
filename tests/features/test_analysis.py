import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.feature_selection import f_classif, mutual_info_classif
from sklearn.metrics import adjusted_rand_score

from genre_utils.evaluation import intervals
from genre_utils.features import analysis, modulation
from genre_utils.report import sentences

GENRES = ["rock", "jazz", "pop"]


def corpus(seed=0, artists=6, tracks=4, voice=1.0):
    """Tracks of three genres whose artists differ by `voice`: values, genre, artist.

    The first column knows the genre, the second the artist alone, the third nothing.
    """
    rng = np.random.default_rng(seed)
    genre = np.repeat(GENRES, artists * tracks)
    artist = np.repeat([f"{g} {k}" for g in GENRES for k in range(artists)], tracks)
    values = rng.normal(size=(len(genre), 3))
    values[:, 0] += 3.0 * np.repeat(np.arange(3), artists * tracks)
    values[:, 1] += voice * np.repeat(rng.normal(size=3 * artists), tracks)
    columns = ["mfcc_01_mean", "mfcc_02_std", "tempo_01_mean"]
    return pd.DataFrame(values, columns=columns), genre, artist


def test_f_ratios_are_those_of_scikit_learn():
    values, genre, _ = corpus()
    shifted = values * [1, 1e-6, 1e6] + [0, 5, -1e7]
    found = analysis._f_ratios(shifted, genre, np.ones((1, len(values))))
    np.testing.assert_allclose(found[0], f_classif(values, genre)[0], rtol=1e-6)


@given(st.integers(0, 1000))
def test_a_weighted_f_ratio_is_that_of_the_tracks_repeated(seed):
    values, genre, _ = corpus(artists=2)
    weights = np.random.default_rng(seed).integers(0, 4, size=len(values))
    weights[[0, 8, 16]] += 1  # every genre is drawn
    drawn = np.repeat(np.arange(len(values)), weights)
    found = analysis._f_ratios(values, genre, weights[np.newaxis])[0]
    np.testing.assert_allclose(found, f_classif(values.iloc[drawn], genre[drawn])[0], rtol=1e-6)


def test_a_genre_that_a_resample_lacks_does_not_count_in_it():
    values, genre, _ = corpus()
    weights = np.stack([genre != "pop", genre == "pop"]).astype(float)
    found = analysis._f_ratios(values, genre, weights)
    rest = genre != "pop"
    np.testing.assert_allclose(found[0], f_classif(values[rest], genre[rest])[0], rtol=1e-6)
    assert np.isnan(found[1]).all()  # one genre alone cannot be told from others


def test_whole_artists_are_resampled():
    values, genre, artist = corpus(artists=8, voice=3.0)
    by_artist, by_track = (
        intervals.interval(analysis._drawn_f_ratios(values, genre, groups, 0).to_numpy())
        for groups in (artist, np.arange(len(genre)))
    )
    assert np.diff(by_artist[:, 1])[0] > 1.5 * np.diff(by_track[:, 1])[0]  # artists' own voices
    constant = pd.DataFrame({"mfcc_01_mean": pd.factorize(artist)[0] % 8.0})
    drawn = analysis._drawn_f_ratios(constant, genre, np.arange(len(genre)) % 4, 0)
    assert drawn.to_numpy().std() < 1e-6  # each group holds one track of every artist: all alike


def test_with_few_artists_intervals_are_wide():
    widths = []
    for artists in (2, 20):
        values, genre, artist = corpus(artists=artists, tracks=40 // artists)
        drawn = analysis._drawn_f_ratios(values, genre, artist, 0).iloc[:, [0]]
        widths.append(np.ptp(intervals.interval(drawn.to_numpy())) / drawn.median().iloc[0])
    assert widths[0] > 1.5 * widths[1]


def test_mutual_information_is_that_of_scikit_learn_in_bits():
    values, genre, _ = corpus(artists=20)
    found = analysis._information(values, genre, seed=3)
    expected = mutual_info_classif(values, genre, random_state=3) / np.log(2)
    np.testing.assert_allclose(found, expected)
    told = pd.DataFrame({"mfcc_01_mean": pd.factorize(genre)[0] + np.linspace(0, 0.1, len(genre))})
    assert analysis._information(told, genre, 0).iloc[0] == pytest.approx(np.log2(3), abs=0.05)


@given(st.integers(0, 1000), st.integers(1, 5))
def test_half_of_the_artists_of_each_genre_are_kept_whole(seed, artists):
    _, genre, artist = corpus(artists=artists)
    kept = analysis._half_of_artists(genre, artist, seed=seed)
    for name in set(artist):
        assert len(set(kept[artist == name])) == 1
    for name in GENRES:
        assert len(set(artist[kept & (genre == name)])) == -(-artists // 2)


def test_halves_of_the_artists_give_other_values_each_time_and_the_same_again(monkeypatch):
    monkeypatch.setattr(analysis, "HALVES", 4)
    values, genre, artist = corpus()
    scores = pd.Series({"tempo_01_mean": 0.1, "mfcc_01_mean": 1.5})
    one, other = (analysis._drawn_information(scores, values, genre, artist, 0) for _ in range(2))
    pd.testing.assert_frame_equal(one, other)
    assert one["mfcc_01_mean"].nunique() == 4
    assert one.mean().to_dict() == pytest.approx(scores.to_dict())  # centred on the scores of all


def test_the_ranking_gives_scores_and_ranks_their_intervals():
    rng = np.random.default_rng(0)
    true = pd.Series({"a_01_mean": 1.0, "b_01_mean": 9.0, "c_01_std": 8.9, "d_01_mean": 5.0})
    noise = np.exp(0.1 * rng.normal(size=(500, 4)))
    drawn = pd.DataFrame(true.to_numpy() * noise, columns=true.index)
    found = analysis._ranking(true, drawn)
    assert list(found.index) == ["b_01_mean", "c_01_std", "d_01_mean", "a_01_mean"]
    assert found["rank"].tolist() == [1, 2, 3, 4]
    assert found["rank_low"].tolist() == [1, 1, 3, 4]
    assert found["rank_high"].tolist() == [2, 2, 3, 4]
    low, high = np.percentile(drawn["b_01_mean"], [2.5, 97.5])
    assert found.loc["b_01_mean", ["low", "high"]].tolist() == [low, high]


def test_statistics_are_scored_and_ranked_by_how_much_they_tell_of_the_genre():
    values, genre, artist = corpus()
    scores, rankings = analysis.genre_scores(values, genre, artist)
    np.testing.assert_allclose(scores["F"], f_classif(values, genre)[0], rtol=1e-6)
    assert list(scores.index) == list(values.columns)
    for score, table in rankings.items():
        assert table.index[0] == "mfcc_01_mean" and table["rank_high"].iloc[0] == 1
        assert table["score"].to_dict() == scores[score].to_dict()


def test_track_means_are_of_the_original_excerpts():
    summary = pd.DataFrame(
        {
            "track_id": ["u", "u", "u", "t"], "copy": [0, 0, 1, 0], "excerpt": [0, 1, 0, 0],
            "a_01_mean": [1.0, 2.0, 99.0, 4.0], "b_01_mean": [5.0, 5.0, 0.0, 5.0],
        }
    )  # fmt: skip
    found = analysis.track_means(summary, ["t", "u"])
    assert found.to_dict() == {"a_01_mean": {"t": 4.0, "u": 1.5}}  # what is constant is left out


def test_correlation_is_by_rank_and_puts_what_is_alike_side_by_side():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 200))
    noise = 0.1 * rng.normal(size=(2, 200))
    columns = {"a": a, "b": b, "minus_a": -(a**3), "b_too": b + noise[0], "a_too": a + noise[1]}
    found = analysis.correlation(pd.DataFrame(columns))
    assert found.loc["a", "minus_a"] == pytest.approx(1)
    assert found.loc["a", "b"] < 0.3
    groups = [name.removesuffix("_too").removeprefix("minus_") for name in found]
    assert groups in (["a", "a", "a", "b", "b"], ["b", "b", "a", "a", "a"])


@pytest.mark.parametrize("columns", [1, 2])
def test_correlation_of_one_or_two_statistics(columns):
    values = corpus()[0].iloc[:, :columns]
    found = analysis.correlation(values)
    expected = np.abs(spearmanr(values.iloc[:, 0], values.iloc[:, -1]).statistic)
    assert found.shape == (columns, columns)
    assert found.iloc[0, -1] == pytest.approx(expected)


@pytest.mark.parametrize("artists", [1, 6])
def test_maps_have_a_place_for_every_track_and_are_the_same_again(artists):
    values, genre, _ = corpus(artists=artists)
    places, explained = analysis.maps(values * [9, 1, 1])
    again, _ = analysis.maps(values * [9, 1, 1])
    for name in ("PCA", "t-SNE"):
        assert places[name].shape == (len(genre), 2)
        assert np.isfinite(places[name]).all()
        np.testing.assert_array_equal(places[name], again[name])
    assert 0 < explained[1] <= explained[0] <= 1


@pytest.mark.parametrize("method", ["k-means", "Ward"])
def test_clusters_that_lie_apart_are_found(method):
    values, genre, artist = corpus()
    values = values.assign(mfcc_01_mean=10.0 * pd.factorize(genre)[0])[["mfcc_01_mean"]]
    found = analysis._clusters(values, 3, method)
    assert analysis._agreement(found, genre, artist) == (1.0, 1.0, 1.0)


def test_agreement_is_scikit_learns_index_with_an_interval_over_artists():
    rng = np.random.default_rng(0)
    _, genre, artist = corpus(artists=10)
    found = np.where(rng.random(len(genre)) < 0.7, genre, "rock")
    index, low, high = analysis._agreement(found, genre, artist)
    assert index == adjusted_rand_score(genre, found)
    assert -1 <= low < index < high <= 1
    whole = np.where(np.isin(artist, rng.permutation(list(set(artist)))[:21]), genre, "rock")
    by_artist, by_track = (
        analysis._agreement(whole, genre, groups) for groups in (artist, np.arange(len(genre)))
    )
    assert by_artist[2] - by_artist[1] > 1.5 * (by_track[2] - by_track[1])


def test_clusters_that_follow_artists_are_told_from_those_that_follow_genres():
    values, genre, artist = corpus(artists=8, tracks=6)
    code = pd.factorize(artist)[0]
    voices = pd.DataFrame(np.random.default_rng(1).normal(size=(24, 5))[code])
    follows = analysis.cluster_agreement(voices + 0.01 * values.iloc[:, [2] * 5].to_numpy(),
                                         genre, artist)  # fmt: skip
    genres_alone = analysis.cluster_agreement(values[["mfcc_01_mean"]], genre, artist)
    one, other = (
        table[table["compared with"] == "artist"].set_index("method")
        for table in (follows, genres_alone)
    )
    assert follows["clusters"].tolist() == [3, 24, 3, 24]
    assert (one["index"] > 0.9).all() and (one["p_value"] < 0.01).all()
    assert (other["index"] < 0.2).all() and (other["p_value"] > 0.05).all()
    assert "Both clustering methods" in sentences.artist_clusters(follows)
    assert "No clustering method" in sentences.artist_clusters(genres_alone)
    genre_rows = genres_alone[genres_alone["compared with"] == "genre"]
    assert (genre_rows["index"] > 0.5).all() and genre_rows["p_value"].isna().all()


def test_artists_with_one_track_each_are_not_compared():
    values, genre, _ = corpus()
    found = analysis.cluster_agreement(values, genre, np.arange(len(genre)))
    assert found["compared with"].tolist() == ["genre", "genre"]
    assert "no artist" in sentences.artist_clusters(found).lower()


def test_artists_are_chosen_in_turn_from_each_genre():
    sizes = {("rock", "A"): 3, ("rock", "B"): 2, ("jazz", "C"): 4, ("jazz", "D"): 1}
    tracks = pd.DataFrame([key for key, n in sizes.items() for _ in range(n)],
                          columns=["genre", "artist"])  # fmt: skip
    assert analysis.chosen_artists(tracks, ["rock", "jazz"], 9) == ["A", "C", "B"]
    assert analysis.chosen_artists(tracks, ["rock", "jazz"], 2) == ["A", "C"]
    assert analysis.chosen_artists(tracks.drop_duplicates(), ["rock", "jazz"], 2) == []


def test_modulation_strength_is_in_deviations_over_tracks_and_finds_what_a_genre_has_more_of():
    rng, regions = np.random.default_rng(0), 8
    count = regions * len(modulation.FILTERS)
    columns = [f"modulation_{k:02d}_mean" for k in range(1, count + 1)]
    values = rng.normal(size=(40, count))
    genre = np.array(["rock", "jazz"] * 20)
    special = modulation.FILTERS.index((3.2, 8.0))
    values[genre == "rock", special * regions : (special + 1) * regions] += 5
    table = pd.DataFrame(values, columns=columns).assign(mfcc_01_mean=1.0)
    found = analysis.modulation_strength(table, genre).set_index(["genre", "rate", "scale"])
    rate, scale = found.loc["rock", "value"].idxmax()
    assert (rate, round(scale, 1)) == (3.2, -1.6)  # cycles per octave, falling
    assert found.loc["rock", "value"].max() == pytest.approx(1, abs=0.1)  # of two groups
    over_the_axis = analysis.modulation_strength(table, genre, 0)
    assert set(over_the_axis["scale"].abs()) == {0.0, 4.0, 8.0, 16.0}
    assert found["value"].groupby(["rate", "scale"]).sum().abs().max() < 1e-6
