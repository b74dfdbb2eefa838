"""Learning curves: less to learn from, and the same tests."""

import pandas as pd
import pytest

from genre_utils.data import splits
from genre_utils.evaluation import scoring
from genre_utils.experiments import learning_curve, measurements
from genre_utils.models import classical, cross_validation
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
    genre = tracks.set_index("track_id")["genre"]
    before = set()
    for share in (*learning_curve.SHARES, 1.0):
        less = learning_curve.thinned(folds, genre, by, share, seed)
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
        less = learning(learning_curve.thinned(folds, genre, by, share, 0))
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
    classical.cross_validate_classical(small_study, "svm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning_curve, "SHARES", (0.5,))
        patch.setattr(learning_curve, "DRAWS", 1)
        learning_curve.measure(small_study)
        yield small_study


def test_a_curve_ends_where_the_study_is(measured):
    table = learning_curve.curve(measured)
    assert list(table["model"].unique()) == ["cnn", "svm"]
    for name in ("cnn", "svm"):
        whole = scoring.plain_accuracy(measured.predictions(name))["whole tracks"]
        ends = table[(table["model"] == name) & (table["share"] == 1)]
        assert set(ends["by"]) == {"artists", "tracks"}
        assert ends["accuracy"].to_numpy() == pytest.approx(whole)
    sizes = table[table["model"] == "svm"].sort_values("share").groupby("by")["tracks"]
    assert sizes.apply(lambda values: values.is_monotonic_increasing).all()
    assert (table["low"] <= table["accuracy"]).all() and (table["accuracy"] <= table["high"]).all()


def test_what_is_stored_is_not_measured_again(measured, monkeypatch):
    monkeypatch.setattr(learning_curve, "_measured", lambda *_: pytest.fail("measured again"))
    learning_curve.measure(measured)


def test_differences_come_with_their_sizes(measured):
    table = learning_curve.compare(measured)
    assert len(table) == 4 and set(table["question"]) == {"half", "artists"}
    assert (table.loc[table["question"] == "half", "tracks"] > table["other_tracks"].min()).all()
    assert learning_curve.shown(table)["tracks a fold"].str.contains(r"^\d+ and \d+$").all()


def test_nothing_is_measured_on_a_fixed_split(tmp_path):
    study = write_small_study(tmp_path)
    assert "none was trained" in learning_curve.obstacle(study)
    classical.cross_validate_classical(study, "svm")
    study.write(corpus=study.corpus | {"protocol": "fixed"})
    with pytest.raises(ValueError, match="one look"):
        learning_curve.measure(study)
    assert learning_curve.curve(study).empty and learning_curve.compare(study).empty
    assert measurements.stored(study, learning_curve.GRID) == {}
