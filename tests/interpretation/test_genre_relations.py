"""How genres relate: relations known beforehand are found, and told."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre_utils.interpretation import genre_relations
from genre_utils.report.sentences import interpretation as told
from small_study import made_up_predictions


def test_confusions_are_counted_both_ways():
    found = made_up_predictions([[0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 2, 1]], [0, 0, 1, 1, 2, 2])
    matrix, pairs = genre_relations.confusion(found)
    np.testing.assert_allclose(matrix, [[0.75, 0.25, 0], [0, 1, 0], [0, 0.25, 0.75]])
    assert list(pairs["confused"]) == [0.125, 0.125, 0]
    first = pairs.iloc[0]
    assert (first["a"], first["b"], first["a_as_b"], first["b_as_a"]) == ("jazz", "pop", 0.25, 0)
    said = told.confusion(pairs)
    assert "mostly jazz predicted as pop (25" in said
    assert "; then " in said and said.endswith("; the intervals overlap).")
    _, untested = genre_relations.confusion(made_up_predictions([[0, 0, 1, 2]], [0, 0, 1, 1]))
    assert "least" not in told.confusion(untested)  # no track of rock


@given(st.integers(0, 1000))
def test_genre_distance_is_0_where_genres_are_mixed_and_1_where_they_are_points(seed):
    rng = np.random.default_rng(seed)
    true, groups = np.repeat([0, 1, 2], 20), np.repeat(np.arange(30), 2)
    mixed = np.tile(np.repeat(rng.normal(size=(10, 3)), 2, axis=0), (3, 1))  # same in each genre
    for places, expected in ((mixed, 0.0), (5.0 * np.eye(3)[true], 1.0)):
        distances = np.linalg.norm(places[:, np.newaxis] - places, axis=2)
        summed = genre_relations._artist_distances(distances, true, groups)
        found = genre_relations._genre_distances(*summed, 3)
        np.testing.assert_allclose(found, found.T)
        assert (found >= 0).all() and (found <= 1).all() and not np.diag(found).any()
        off = found[~np.eye(3, dtype=bool)]
        np.testing.assert_allclose(off, expected)
        again = genre_relations._genre_distances(*summed, 3, np.full(30, 2.0))
        np.testing.assert_allclose(found, again, atol=1e-12)


def test_the_tree_joins_the_genres_that_are_confused_and_leaves_out_those_of_one_artist():
    rng = np.random.default_rng(0)
    true = np.repeat([0, 1, 2, 3], 20)
    predicted = np.where(true < 2, rng.integers(0, 2, (5, 80)), true)
    groups = np.where(true == 3, 99, np.arange(80) // 2)
    found = made_up_predictions(predicted, true, groups, ("a", "b", "c", "d"))
    tree = genre_relations.genre_tree(found)
    assert tree.genres == ["a", "b", "c"] and set(tree.linkage[0, :2]) == {0, 1}
    assert tree.nearest_support > 0.95 and tree.linkage[1, 2] > 0.5 > tree.linkage[0, 2]
    words = told.tree(tree, found.genres)
    assert "a and b" in words and "Left out, with one artist each: d." in words
    alone = made_up_predictions(predicted, true, true, ("a", "b", "c", "d"))
    assert genre_relations.genre_tree(alone) is None


def test_models_that_fail_alike_agree_beyond_chance():
    true = np.array([0, 1, 2] * 10)
    one = np.where(np.arange(30) < 6, (true + 1) % 3, true)
    other = np.where(np.arange(30) >= 24, (true + 1) % 3, true)
    table = genre_relations.agreement(made_up_predictions([one, one, other], true)).set_index(
        ["a", "b"]
    )
    assert table.loc[("m0", "m1"), "consistency"] == 1 and table.loc[("m0", "m1"), "kappa"] == 1
    assert table.loc[("m0", "m2"), "consistency"] == pytest.approx(-0.25)
    perfect = genre_relations.agreement(made_up_predictions([true, true], true))
    assert np.isnan(perfect["consistency"]).all() and perfect["kappa"].eq(1).all()


def test_unanimous_errors_are_compared_with_what_chance_would_give():
    true = np.repeat([0, 1, 2], 4)
    predicted = np.tile(true, (3, 1))
    predicted[:, 0] = [1, 1, 2]  # wrong for all, who differ
    predicted[:, 4] = 2
    predicted[0, 5] = 0
    table, share = genre_relations.unanimous_errors(made_up_predictions(predicted, true))
    assert list(table["track_id"]) == ["t004", "t000"] and "fault" not in table
    assert list(table["votes"]) == [3, 2] and list(table["y_pred"]) == ["rock", "pop"]
    assert share["expected"] == pytest.approx(4 * 0.25**3 + 4 * 0.5 * 0.25**2)
    assert share["low"] < share["share"] == 2 / 12 < share["high"]
    assert "models that hear the music put 2 of 12 tracks" in told.unanimous(share, 12, 3)


def test_published_faults_are_named_where_all_tracks_are_gtzans():
    found = made_up_predictions([[1, 1, 1]], [0, 0, 0])
    found.tracks["track_id"] = ["rock.00015", "rock.00016", "rock.00017"]
    faults = genre_relations.unanimous_errors(found)[0].set_index("track_id")["fault"]
    assert faults.to_dict() == {
        "rock.00015": "", "rock.00016": "the same sound under two genres", "rock.00017": "",
    }  # fmt: skip


@given(st.integers(0, 1000))
def test_the_border_of_a_track_is_where_the_other_models_put_it(seed):
    rng = np.random.default_rng(seed)
    found = made_up_predictions(rng.integers(0, 3, (3, 12)), rng.integers(0, 3, 12))
    before, _ = genre_relations.doubt(found)
    after, _ = genre_relations.doubt(
        replace(found, p=np.concatenate([rng.dirichlet(np.ones(3), (1, 12)), found.p[1:]]))
    )
    for what in ("border", "split"):
        np.testing.assert_array_equal(before[what][0], after[what][0])
    assert (before["border"] >= 0).all() and (before["split"] < 1).all()
    assert not np.array_equal(before["entropy"][0], after["entropy"][0])


@pytest.mark.parametrize(("genres", "count"), [(2, 1), (2, 2), (10, 4)])
def test_any_number_of_genres_and_models_is_told(genres, count):
    rng = np.random.default_rng(0)
    true = np.repeat(np.arange(genres), 6)
    predicted = np.where(
        rng.random((count, len(true))) < 0.6, true, rng.integers(0, genres, len(true))
    )
    names = [f"genre {k}" for k in range(genres)]
    found = made_up_predictions(predicted, true, np.arange(len(true)) // 2, names)
    correlations = genre_relations.doubt(found)[1] if count > 1 else None
    texts = [
        told.tree(genre_relations.genre_tree(found), names),
        told.confusion(genre_relations.confusion(found)[1]),
        told.unanimous(genre_relations.unanimous_errors(found)[1], len(true), count),
        told.borders(*genre_relations.borders(found), correlations),
    ]
    assert all(text.endswith(".") and "nan" not in text.split() for text in texts)
