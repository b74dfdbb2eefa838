"""Learning curves and costs: less to learn from, the same tests, and what nothing beats."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre_utils.data import splits
from genre_utils.evaluation import scoring
from genre_utils.experiments import learning_curve, measurements
from genre_utils.models import classical, cross_validation
from genre_utils.report.sentences import experiments as experiments_sentences
from genre_utils.workspace import files
from small_study import small_study_fixture, tiny_network, write_small_study  # noqa: F401

GENRES = ["jazz", "pop", "rock"]


@pytest.fixture(scope="module", autouse=True)
def tiny():
    with tiny_network("cnn"):
        yield


@pytest.fixture(scope="module")
def corpus():
    """Three genres of twelve artists with one to five tracks, and their folds."""
    rows = [
        (f"{genre}/{artist}-{n}", genre, f"{genre} {artist}")
        for genre in GENRES
        for artist in range(12)
        for n in range(1 + artist % 5)
    ]
    tracks = pd.DataFrame(rows, columns=["track_id", "genre", "artist"])
    return tracks, splits.make_folds(tracks, folds=3, group_by="artist", seed=0)


def learning(folds):
    return folds[folds["part"] != "test"]


@pytest.mark.parametrize("by", learning_curve.BY)
@pytest.mark.parametrize("seed", range(3))
def test_a_smaller_share_is_part_of_a_larger_one_and_all_are_tested(corpus, by, seed):
    tracks, folds = corpus
    before = set()
    for share in (*learning_curve.SHARES, 1.0):
        less = learning_curve.thinned(folds, tracks, by, share, seed=seed)
        kept = set(less.index)
        assert before <= kept
        before = kept
        test = folds["part"] == "test"
        pd.testing.assert_frame_equal(less[less["part"] == "test"], folds[test])
        for fold in folds["fold"].unique():
            splits.refuse_leakage(less, fold)
    assert before == set(folds.index)


@pytest.mark.parametrize("by", learning_curve.BY)
def test_shares_are_kept_on_average_and_no_genre_or_artist_is_lost(corpus, by):
    tracks, folds = corpus
    genre = tracks.set_index("track_id")["genre"]
    whole, unit = learning(folds), {"artists": "group", "tracks": "track_id"}[by]
    for share in learning_curve.SHARES:
        less = learning(learning_curve.thinned(folds, tracks, by, share, seed=0))
        counts = [table.groupby("fold")[unit].nunique().sum() for table in (less, whole)]
        found = counts[0] / counts[1]
        assert share - 0.02 < found < share + 0.15  # at least one of each is kept
        cells = [folds["fold"], folds["part"], folds["track_id"].map(genre)]
        assert set(zip(*(cell[less.index] for cell in cells), strict=True)) == set(
            zip(*(cell[whole.index] for cell in cells), strict=True)
        )
        if by == "tracks":
            assert set(less["group"]) == set(whole["group"])
        else:  # whoever is kept is kept whole
            sizes, of_all = (table.groupby(["fold", "group"]).size() for table in (less, whole))
            pd.testing.assert_series_equal(sizes, of_all[sizes.index])


@pytest.fixture(scope="module")
def measured(small_study):
    cross_validation.cross_validate(small_study, "cnn", epochs=2)
    classical.cross_validate(small_study, "svm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning_curve, "SHARES", (0.5,))
        learning_curve.measure(small_study, draws=1)
        yield small_study


def test_a_curve_ends_where_the_study_is(measured):
    table = learning_curve.curve(measured)
    assert list(table["model"].unique()) == ["cnn", "svm"]
    for name in ("cnn", "svm"):
        predictions = pd.read_parquet(measured / "predictions" / f"{name}.parquet")
        whole = scoring.plain_accuracy(predictions)["whole tracks"]
        ends = table[(table["model"] == name) & (table["share"] == 1)]
        assert set(ends["by"]) == {"artists", "tracks"}
        assert ends["accuracy"].to_numpy() == pytest.approx(whole)
    sizes = table[table["model"] == "svm"].sort_values("share").groupby("by")["tracks"]
    assert sizes.apply(lambda values: values.is_monotonic_increasing).all()
    assert (table["low"] <= table["accuracy"]).all() and (table["accuracy"] <= table["high"]).all()


def test_what_is_stored_is_not_measured_again(measured, monkeypatch):
    monkeypatch.setattr(learning_curve, "_measured", lambda *_: pytest.fail("measured again"))
    learning_curve.measure(measured, draws=1)


def test_comparisons_are_told_with_their_sizes(measured):
    table = learning_curve.comparisons(measured)
    assert len(table) == 4 and set(table["question"]) == {"half", "artists"}
    assert (table.loc[table["question"] == "half", "tracks"] > table["other_tracks"].min()).all()
    said = experiments_sentences.learning_curve(table)
    assert said.count("to `cnn`") == said.count("to `svm`") == 2


def test_nothing_is_measured_on_a_fixed_split(tmp_path):
    study = write_small_study(tmp_path)
    corpus = files.read_json(study / "corpus.json")
    files.write_json(study / "corpus.json", corpus | {"protocol": "fixed"})
    with pytest.raises(ValueError, match="one look"):
        learning_curve.measure(study)
    assert learning_curve.curve(study).empty and learning_curve.comparisons(study).empty
    assert measurements.stored(study, learning_curve.GRID) == {}


scores = st.lists(st.sampled_from([0.5, 0.6, 0.7]), min_size=1, max_size=6)


@given(scores, st.data())
def test_the_front_is_what_nothing_beats(accuracy, data):
    values = st.sampled_from([1.0, 2.0, 3.0, np.nan])
    cost = data.draw(st.lists(values, min_size=len(accuracy), max_size=len(accuracy)))
    for k, found in enumerate(learning_curve.on_front(accuracy, cost)):
        beaten = any(
            a >= accuracy[k] and c <= cost[k] and (a > accuracy[k] or c < cost[k])
            for a, c in zip(accuracy, cost, strict=True)
        )
        assert found == (np.isfinite(cost[k]) and not beaten)


def result(accuracy, seconds, parameters=None):
    limits = [accuracy - 0.1, accuracy + 0.1]
    return {"accuracy": accuracy, "ci95": {"accuracy": limits}, "training_seconds": seconds,
            "parameters": parameters}  # fmt: skip


def test_the_cheapest_that_is_as_good_is_named():
    results = {
        "models": {
            "cnn": result(0.8, 100.0, 10),
            "svm": result(0.78, 5.0),
            "rnn": result(0.5, 1.0, 5),
        },
        "pairwise": [
            {"a": "cnn", "b": "svm", "separable": False},
            {"a": "cnn", "b": "rnn", "separable": True},
            {"a": "rnn", "b": "svm", "separable": True},
        ],
    }
    table = learning_curve.costs(results)
    assert list(table["on_front_training_seconds"]) == [True, True, True]
    assert list(table["on_front_parameters"]) == [True, False, True]
    said = experiments_sentences.costs(results)
    assert "cannot be told from it, `svm`, takes 5 s" in said
    results["pairwise"][0]["separable"] = True
    assert "No cheaper model is inseparable" in experiments_sentences.costs(results)
    alone = {"models": {"svm": result(0.8, 1.0)}, "pairwise": []}
    assert "no second model" in experiments_sentences.costs(alone)
