"""What leakage is worth: equally large training sets, and leakage only where it is meant to be."""

import numpy as np
import pandas as pd
import pytest

from genre_utils.experiments import leakage, measurements
from genre_utils.models import classical, cross_validation, hyperparameters, training
from small_study import small_study_fixture, tiny_network, write_small_study  # noqa: F401

GENRES = ["jazz", "rock"]


@pytest.fixture(scope="module", autouse=True)
def tiny():
    with tiny_network("cnn"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(measurements, "JOBS", 1)
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


class Corpus:
    """What of a study is read when folds are drawn."""

    def __init__(self, tracks, folds):
        self.tracks, self.corpus = tracks.assign(status="used"), {"folds": folds}


@pytest.fixture(scope="module")
def drawn(uneven):
    tracks, table = uneven
    return leakage._equal_folds(Corpus(tracks, 4), table, 2)


def shared(table, of):
    """Shares of the tested units (see `of`) that are also trained on, fold by fold."""
    found = []
    for _, fold in table.groupby("fold"):
        units = fold["track_id"].map(of)
        train, test = (set(units[fold["part"] == part]) for part in ("train", "test"))
        found.append(len(train & test) / len(test))
    return np.array(found)


def test_every_training_set_has_equally_many_excerpts_of_each_genre(drawn):
    sizes = [
        table[table["part"] == "train"].groupby(["fold", "genre"]).size()
        for table in drawn.values()
    ]
    for genre in GENRES:
        of_genre = {n for size in sizes for n in size.xs(genre, level="genre")}
        assert len(of_genre) == 1 and of_genre.pop() > 10


def test_a_training_set_has_an_upper_limit(uneven, monkeypatch):
    monkeypatch.setattr(leakage, "MOST", 31)
    for table in leakage._equal_folds(Corpus(uneven[0], 3), uneven[1], 1).values():
        assert set(table[table["part"] == "train"].groupby(["fold", "genre"]).size()) == {15}


def test_every_excerpt_is_tested_once_under_each_split(drawn, uneven):
    names = sorted(leakage._named(uneven[1]))
    assert set(drawn) == {(split, seed) for split in leakage.SPLITS for seed in (0, 1)}
    for table in drawn.values():
        assert sorted(table.loc[table["part"] == "test", "track_id"]) == names


def test_only_what_is_meant_to_leak_leaks(drawn, uneven):
    tracks, table = uneven
    names = leakage._named(table)
    track = dict(zip(names, table["track_id"], strict=True))
    whose = tracks.set_index("track_id")["artist"]
    artist = {name: whose[track[name]] for name in names}
    for (split, _), folds in drawn.items():
        assert (shared(folds, {name: name for name in names}) == 0).all()
        assert (shared(folds, track) > 0.5).all() == (split == "segment")
        assert (shared(folds, track) == 0).all() == (split != "segment")
        assert (shared(folds, artist) == 0).all() == (split == "artist")


def test_what_cannot_be_drawn_is_said(monkeypatch):
    monkeypatch.setattr(leakage, "TRIES", 3)
    rows = [(f"{genre}/{n}", genre, genre) for genre in GENRES for n in range(3)]
    tracks = pd.DataFrame(rows, columns=["track_id", "genre", "artist"])
    with pytest.raises(ValueError, match="cannot be drawn"):
        leakage._equal_folds(Corpus(tracks, 2), tracks[["track_id"]].assign(excerpt=0), 1)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A study whose artists can be told apart, and genres by nothing else."""
    study = write_small_study(tmp_path_factory.mktemp("study"), artists=8, tracks=3, by="artist")
    summary = study.summary
    artist = pd.factorize(summary["track_id"].str[:-2])[0]
    rng = np.random.default_rng(0)
    values = rng.normal(size=(artist.max() + 1, 6))[artist]
    values += 0.1 * rng.normal(size=values.shape)
    columns = [f"mfcc_{k:02d}_mean" for k in range(1, 7)]
    summary = summary.assign(**dict(zip(columns, values.T, strict=True)))
    study.write(summary=summary, corpus=study.corpus | {"folds": 2})
    classical.cross_validate_classical(study, "svm")
    run = {
        "hyperparameters": hyperparameters.PAPER["cnn_paper"].as_json(),
        "max_epochs": 1,
        "seed": 0,
    }
    study.write_model("cnn", study.predictions("svm"), run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leakage, "SEEDS", 2)
        leakage.measure(study)
    return study


def test_who_learned_the_artist_looks_better_until_splits_are_artist_disjoint(measured):
    table = leakage.accuracies(measured).set_index(["model", "level", "split"])["accuracy"]
    assert table["svm", "excerpt", "segment"] > 0.9 and table["svm", "track", "track"] > 0.8
    assert table["svm", "excerpt", "artist"] < 0.75
    found = leakage.compare(measured).set_index(["model", "level", "a", "b"])
    worth = found.loc["svm", "excerpt", "segment", "artist"]
    assert worth["difference"] == pytest.approx(
        table["svm", "excerpt", "segment"] - table["svm", "excerpt", "artist"]
    )
    assert worth["low"] > 0 and worth["separable"]
    assert worth["seeds_low"] < worth["difference"] < worth["seeds_high"]
    assert len(found) == 2 * (3 + 1)  # of each model: three among excerpts, one among tracks
    shown = leakage.shown(leakage.compare(measured))
    assert shown["difference"].str.contains("random excerpts less artist-disjoint").any()
    assert leakage.training_size(measured) > 0


def test_what_is_stored_is_not_measured_again(measured, monkeypatch):
    monkeypatch.setattr(leakage, "_measured", lambda *_: pytest.fail("measured again"))
    leakage.measure(measured)


def test_folds_of_a_network_that_are_done_are_read(measured, monkeypatch):
    before = measurements.stored(measured, "leakage")["equal_cnn"][1]
    monkeypatch.setattr(training, "train_fold", lambda *_, **__: pytest.fail("trained again"))
    monkeypatch.setattr(leakage, "SEEDS", 2)
    after, _ = leakage._measured(measured, "cnn")
    pd.testing.assert_frame_equal(after, before, check_dtype=False)


def test_a_network_of_fixed_epochs_learns_from_the_training_part_alone(small_study, monkeypatch):
    rows = []

    def watched(study, name, data, settings, **_):
        rows.extend(data.rows(fold) for fold in data.fold_numbers)
        raise InterruptedError

    monkeypatch.setattr(cross_validation, "out_of_fold", watched)
    table = classical.Data(small_study).table
    drawn = leakage._equal_folds(Corpus(small_study.tracks, 2), table, 1)
    fixed = dict.fromkeys([0, 1], hyperparameters.DEFAULTS["cnn"])
    options = {"epochs": 1, "seed": 0}
    monkeypatch.setattr(measurements, "settings_of", lambda *_: (fixed, dict(options)))
    with pytest.raises(InterruptedError):
        leakage._network(small_study, "cnn", drawn)
    sizes = next(iter(drawn.values())).query("part == 'train'").groupby("fold").size()
    assert [len(own["train"]) for own in rows] == list(sizes)
    assert not any(len(own["validation"]) for own in rows)


def test_a_network_of_features_sees_those_of_its_excerpts(small_study, monkeypatch):
    """Excerpts go by names of their own here, and must be found in the table of features."""
    seen = []

    def watched(study, name, data, settings, **_):
        seen.append((data.features, data.table["track_id"].iloc[0]))
        raise InterruptedError

    monkeypatch.setattr(cross_validation, "out_of_fold", watched)
    drawn = leakage._equal_folds(
        Corpus(small_study.tracks, 2), classical.Data(small_study).table, 1
    )
    paper = dict.fromkeys([0, 1], hyperparameters.PAPER["cnn_paper"])
    options = {"epochs": 1, "seed": 0}
    monkeypatch.setattr(measurements, "settings_of", lambda *_: (paper, dict(options)))
    with pytest.raises(InterruptedError):
        leakage._network(small_study, "mlp", drawn)
    assert np.isfinite(seen[0][0]).all() and "#" in seen[0][1]


@pytest.mark.parametrize(
    ("artists", "change", "why"),
    [
        (6, {"group_by": "track"}, "split by track"),
        (6, {"protocol": "fixed"}, "one look"),
        (4, {"folds": 2}, "leaves 2 tracks to learn from, where 3 are needed"),
    ],
)
def test_a_study_that_cannot_tell_says_why(tmp_path, artists, change, why):
    study = write_small_study(tmp_path, artists=artists, tracks=1)
    classical.cross_validate_classical(study, "svm")
    study.write(corpus=study.corpus | change)
    assert why in leakage.obstacle(study)
    with pytest.raises(ValueError, match="cannot be measured"):
        leakage.measure(study)
    assert leakage.accuracies(study).empty and leakage.compare(study).empty
    assert leakage.training_size(study) == 0
