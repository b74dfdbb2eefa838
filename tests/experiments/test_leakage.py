"""The price of leakage: equally large training sets, and leakage only where it is meant to be."""

import numpy as np
import pandas as pd
import pytest

from genre_utils.experiments import leakage, measurements
from genre_utils.models import classical, cross_validation, hyperparameters, training
from genre_utils.report.sentences import experiments as experiments_sentences
from genre_utils.workspace import files
from small_study import small_study_fixture, tiny_network, write_small_study  # noqa: F401

GENRES = ["jazz", "rock"]


@pytest.fixture(scope="module", autouse=True)
def tiny():
    with tiny_network("cnn"):
        yield


@pytest.fixture(scope="module")
def uneven():
    """Excerpts of two genres whose artists have one to nine tracks."""
    rows = [
        (f"{genre}/{artist}-{n}", genre, f"{genre} {artist}")
        for genre in GENRES
        for artist in range(9)
        for n in range(1 + artist)
    ]
    tracks = pd.DataFrame(rows, columns=["track_id", "genre", "artist"])
    return tracks, tracks[["track_id"]].merge(pd.DataFrame({"excerpt": range(3)}), how="cross")


@pytest.fixture(scope="module")
def dealt(uneven):
    tracks, table = uneven
    return leakage.deal(table, tracks, folds=4, seeds=2)


def shared(table, of):
    """Shares of the tested units (see `of`) that are also trained on, fold by fold."""
    found = []
    for _, fold in table.groupby("fold"):
        units = fold["track_id"].map(of)
        train, test = (set(units[fold["part"] == part]) for part in ("train", "test"))
        found.append(len(train & test) / len(test))
    return np.array(found)


def test_every_training_set_has_equally_many_excerpts_of_each_genre(dealt):
    sizes = [
        table[table["part"] == "train"].groupby(["fold", "genre"]).size()
        for table in dealt.values()
    ]
    for genre in GENRES:
        of_genre = {n for size in sizes for n in size.xs(genre, level="genre")}
        assert len(of_genre) == 1 and of_genre.pop() > 10


def test_a_training_set_has_an_upper_limit(uneven, monkeypatch):
    monkeypatch.setattr(leakage, "MOST", 31)
    for table in leakage.deal(uneven[1], uneven[0], folds=3, seeds=1).values():
        assert set(table[table["part"] == "train"].groupby(["fold", "genre"]).size()) == {15}


def test_every_excerpt_is_tested_once_under_each_split(dealt, uneven):
    names = sorted(leakage.named(uneven[1]))
    assert set(dealt) == {(split, seed) for split in leakage.SPLITS for seed in (0, 1)}
    for table in dealt.values():
        assert sorted(table.loc[table["part"] == "test", "track_id"]) == names


def test_only_what_is_meant_to_leak_leaks(dealt, uneven):
    tracks, table = uneven
    names = leakage.named(table)
    track = dict(zip(names, table["track_id"], strict=True))
    whose = tracks.set_index("track_id")["artist"]
    artist = {name: whose[track[name]] for name in names}
    for (split, _), folds in dealt.items():
        assert (shared(folds, {name: name for name in names}) == 0).all()
        assert (shared(folds, track) > 0.5).all() == (split == "segment")
        assert (shared(folds, track) == 0).all() == (split != "segment")
        assert (shared(folds, artist) == 0).all() == (split == "artist")


def test_what_cannot_be_dealt_is_said(monkeypatch):
    monkeypatch.setattr(leakage, "TRIES", 3)
    rows = [(f"{genre}/{n}", genre, genre) for genre in GENRES for n in range(3)]
    tracks = pd.DataFrame(rows, columns=["track_id", "genre", "artist"])
    with pytest.raises(ValueError, match="cannot be dealt"):
        leakage.deal(tracks[["track_id"]].assign(excerpt=0), tracks, folds=2, seeds=1)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A study whose artists can be told apart, and genres by nothing else."""
    study = write_small_study(tmp_path_factory.mktemp("study"), artists=8, tracks=3, by="artist")
    corpus = files.read_json(study / "corpus.json")
    files.write_json(study / "corpus.json", corpus | {"folds": 2})
    summary = pd.read_parquet(study / "summary.parquet")
    artist = pd.factorize(summary["track_id"].str[:-2])[0]
    rng = np.random.default_rng(0)
    values = rng.normal(size=(artist.max() + 1, 6))[artist]
    values += 0.1 * rng.normal(size=values.shape)
    columns = [f"mfcc_{k:02d}_mean" for k in range(1, 7)]
    files.write_table(study / "summary.parquet", summary.assign(**dict(zip(columns, values.T))))  # noqa: B905
    run = {"hyperparameters": hyperparameters.PAPER["cnn"].as_json(), "max_epochs": 1, "seed": 0}
    files.write_json(study / "runs" / "cnn.json", run)
    leakage.measure(study, ("svm",), seeds=2, n_jobs=1)
    leakage.measure(study, ("cnn",), seeds=1, n_jobs=1)
    return study


def test_who_learned_the_artist_looks_better_until_artists_are_apart(measured):
    table = leakage.price(measured).set_index(["model", "level", "split"])["accuracy"]
    assert table["svm", "excerpt", "segment"] > 0.9 and table["svm", "track", "track"] > 0.8
    assert table["svm", "excerpt", "artist"] < 0.75
    found = leakage.differences(measured).set_index(["model", "level", "a", "b"])
    price = found.loc["svm", "excerpt", "segment", "artist"]
    assert price["difference"] == pytest.approx(
        table["svm", "excerpt", "segment"] - table["svm", "excerpt", "artist"]
    )
    assert price["low"] > 0 and price["separable"]
    assert price["seeds_low"] < price["difference"] < price["seeds_high"]
    assert len(found) == 2 * (3 + 1)  # of each model: three among excerpts, one among tracks


def test_it_is_told_in_words_and_tables(measured):
    said = experiments_sentences.leakage(leakage.differences(measured))
    assert said.count("looks better by") == 2 and "`svm`" in said and "`cnn`" in said
    shown = leakage.shown(leakage.differences(measured))
    assert shown["difference"].str.contains("excerpts at random less artists apart").any()
    assert leakage.training_size(measured) > 0


def test_what_is_stored_is_not_measured_again(measured, monkeypatch):
    monkeypatch.setattr(leakage, "_measured", lambda *_: pytest.fail("measured again"))
    leakage.measure(measured, ("svm",), seeds=2, n_jobs=1)
    leakage.measure(measured, ("cnn",), seeds=1, n_jobs=1)


def test_folds_of_a_network_that_are_done_are_read(measured, monkeypatch):
    before = measurements.stored(measured, "leakage")["equal_cnn"][1]
    monkeypatch.setattr(training, "train_fold", lambda *_, **__: pytest.fail("trained again"))
    after, _ = leakage._measured(measured, "cnn", seeds=1, folds=leakage.FOLDS, n_jobs=1)
    pd.testing.assert_frame_equal(after, before, check_dtype=False)


def test_a_network_of_features_sees_those_of_its_excerpts(small_study, monkeypatch):
    """Excerpts go by names of their own here, and must be found in the table of features."""
    seen = []

    def watched(study, name, data, settings, **_):
        seen.append((data.features, data.table["track_id"].iloc[0]))
        raise InterruptedError

    monkeypatch.setattr(cross_validation, "out_of_fold", watched)
    tracks = pd.read_parquet(small_study / "tracks.parquet")
    table = classical.Data(small_study).table
    monkeypatch.setattr(measurements, "settings_of", lambda *_: (None, {"epochs": 1, "seed": 0}))
    with pytest.raises(InterruptedError):
        leakage._network(small_study, "mlp", leakage.deal(table, tracks, folds=2, seeds=1))
    assert np.isfinite(seen[0][0]).all() and "#" in seen[0][1]


@pytest.mark.parametrize(
    ("artists", "change", "why"),
    [
        (6, {"group_by": "track"}, "split by track"),
        (6, {"protocol": "fixed"}, "one look"),
        (4, {"folds": 2}, "leave 2 tracks to learn from, where 3 are needed"),
    ],
)
def test_a_study_that_cannot_tell_says_why(tmp_path, artists, change, why):
    study = write_small_study(tmp_path, artists=artists, tracks=1)
    files.write_json(study / "corpus.json", files.read_json(study / "corpus.json") | change)
    assert why in leakage.obstacle(study)
    with pytest.raises(ValueError, match="cannot be measured"):
        leakage.measure(study)
    assert leakage.price(study).empty and leakage.differences(study).empty
    assert leakage.training_size(study) == 0
