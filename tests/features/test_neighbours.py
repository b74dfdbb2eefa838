"""Neighbours of tracks: distances, reasons, and lists that are not all of one artist."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre_utils.features import neighbours

seeds = st.integers(0, 2**32 - 1)


# ---------------------------------------------------------------------------- what is near


def test_sound_is_in_units_of_two_unrelated_excerpts():
    rng = np.random.default_rng(0)
    x = rng.normal(3, rng.uniform(0.1, 10, 50), (2000, 50))
    part = neighbours.sound_part(x, x.mean(axis=0), x.std(axis=0))
    apart = np.linalg.norm(part[:1000] - part[1000:], axis=1)
    assert np.sqrt(np.mean(apart**2)) == pytest.approx(1, abs=0.02)


@given(seeds, st.integers(2, 10))
def test_genres_are_apart_by_hellingers_distance(seed, genres):
    p, q = np.random.default_rng(seed).dirichlet(np.ones(genres), 2)
    one, other = neighbours.genre_part(np.array([p, q]))
    hellinger = np.sqrt(max(0.0, 1 - np.sqrt(p * q).sum()))
    assert np.linalg.norm(one - other) == pytest.approx(hellinger, abs=1e-7)
    ends = neighbours.genre_part(np.eye(genres))
    assert np.linalg.norm(ends[0] - ends[1]) == pytest.approx(1)


@given(seeds, st.integers(1, 30), st.integers(1, 12))
def test_the_nearest_are_the_nearest(seed, rows, count):
    rng = np.random.default_rng(seed)
    x, query = rng.normal(size=(rows, 3)), rng.normal(size=(1, 3))
    distances, found = neighbours.nearest(x, query, count)
    expected = np.sort(np.linalg.norm(x - query, axis=1))[:count]
    assert distances[0] == pytest.approx(expected)
    assert np.linalg.norm(x[found[0]] - query, axis=1) == pytest.approx(expected)


@given(st.lists(st.integers(0, 5), min_size=2, max_size=20))
def test_the_share_farther_counts_who_is(places):
    timbre = np.array(places, float)[:, np.newaxis]
    found = neighbours.shares_farther(timbre, np.zeros(1))
    expected = [sum(other > one for other in places) / (len(places) - 1) for one in places]
    assert found == pytest.approx(expected)


def test_a_reason_is_in_plain_words():
    one, two = {"genre": "jazz", "tempo": 118.0}, {"genre": "jazz", "tempo": 121.0}
    assert neighbours.reason(one, two, 0.976) == (
        "same genre by the model: jazz; same tempo: 118 against 121 beats/min; "
        "timbre nearer than 97 % of the library"
    )
    told = neighbours.reason(one, {"genre": "pop", "tempo": np.nan}, 0.5, "them")
    assert told == "another genre by the model: pop, not jazz; timbre nearer than 50 % of them"
    assert "another tempo: 118 against 150" in neighbours.reason(one, two | {"tempo": 150}, 1)


@given(seeds, st.integers(2, 25), st.integers(1, 6), st.integers(1, 12))
def test_no_neighbour_is_by_the_querys_artist_and_none_is_missed(seed, rows, artists, count):
    rng = np.random.default_rng(seed)
    x, artist = rng.normal(size=(rows, 4)), rng.integers(0, artists, rows)
    found = neighbours.nearest_others(x, artist, count)
    for row in range(rows):
        others = [k for k in range(rows) if artist[k] != artist[row]]
        others.sort(key=lambda k: np.linalg.norm(x[k] - x[row]))
        kept = found[row][found[row] >= 0]
        assert list(kept) == others[:count]


# ---------------------------------------------------------------------------- diversified


def by_definition(relevance, alike, count, weight):
    """Carbonell and Goldstein's formula, each step from scratch; of equals the first."""
    chosen = []
    while len(chosen) < min(count, len(relevance)):
        scores = {
            i: weight * relevance[i] - (1 - weight) * max((alike[i, j] for j in chosen), default=0)
            for i in range(len(relevance))
            if i not in chosen
        }
        chosen.append(max(scores, key=scores.get))
    return chosen


@given(seeds, st.integers(1, 15), st.integers(1, 20), st.sampled_from([0.3, 0.5, 0.7, 0.9, 1.0]))
def test_marginal_relevance_is_that_of_its_definition(seed, rows, count, weight):
    rng = np.random.default_rng(seed)
    relevance = rng.integers(0, 4, rows) / 4  # with ties
    alike = rng.integers(0, 4, (rows, rows)) / 4
    alike = np.maximum(alike, alike.T)
    found = neighbours.marginally_relevant(relevance, alike, count, weight)
    assert list(found) == by_definition(relevance, alike, count, weight)


@given(seeds, st.integers(1, 30), st.integers(1, 40))
def test_by_relevance_alone_a_list_is_the_nearest(seed, rows, count):
    rng = np.random.default_rng(seed)
    x, query = rng.normal(size=(rows, 3)), rng.normal(size=(1, 3))
    distances, nearest = neighbours.nearest(x, query, count)
    alike = neighbours.similarities(x[nearest[0]], rng.integers(0, 3, (len(nearest[0]), 1)))
    found = neighbours.marginally_relevant(1 - distances[0], alike, count, 1.0)
    assert list(found) == list(range(len(nearest[0])))


def test_artists_are_spread_over_a_list():
    artist, relevance = np.repeat(np.arange(6), 5), np.linspace(0.9, 0.8, 30)
    alike = np.where(artist[:, np.newaxis] == artist, 1, 0.5)
    found = neighbours.marginally_relevant(relevance, alike, 6, neighbours.WEIGHT)
    assert list(found) == [0, 5, 10, 15, 20, 25]
    found = neighbours.marginally_relevant(relevance, alike, 30, neighbours.WEIGHT)
    assert list(found[6:]) == [row for row in range(30) if row % 5]  # all have been, and are near


def test_rows_with_a_label_in_common_are_fully_similar():
    labels = np.array([["a", "x"], ["b", "x"], ["b", "y"], ["c", "z"]], dtype=object)
    x = np.diag([1.0, 2, 3, 4])
    alike = neighbours.similarities(x, labels)
    same = {(i, j) for i, j in np.argwhere(alike == 1) if i < j}
    assert same == {(0, 1), (1, 2)} and (np.diag(alike) == 1).all()
    assert alike[0, 3] == pytest.approx(1 - np.sqrt(17))
