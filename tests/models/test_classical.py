import warnings

import numpy as np
import pandas as pd
import pytest

from genre_utils.data import splits
from genre_utils.evaluation import scoring, study_results
from genre_utils.features import analysis
from genre_utils.models import classical
from genre_utils.workspace import files

GENRES = ["rock", "jazz", "pop"]  # not in alphabetical order
KNOWN = ["svm", "logistic", "knn"]


@pytest.fixture
def study(tmp_path):
    """Nine artists of each of three genres, two tracks each, three excerpts each, one copy."""
    rng = np.random.default_rng(0)
    rows = [
        (f"{genre}{artist}.{n}", genre, f"{genre} {artist}")
        for genre in GENRES
        for artist in range(9)
        for n in range(2)
    ]
    tracks = pd.DataFrame(rows, columns=["track_id", "genre", "artist"]).assign(status="used")
    summary = tracks[["track_id"]].merge(pd.DataFrame({"copy": [0, 1]}), how="cross")
    summary = summary.merge(pd.DataFrame({"excerpt": range(3)}), how="cross")
    genre = np.repeat(np.arange(3), 18 * 6)
    values = {f"mfcc_{k:02d}_mean": rng.normal(size=len(summary)) for k in range(1, 4)}
    values["mfcc_01_mean"] += 2.0 * genre
    values["chroma_01_std"] = 1000 * rng.normal(size=len(summary))  # only scaling tames it
    files.write_table(tmp_path / "summary.parquet", summary.assign(**values))
    files.write_table(tmp_path / "tracks.parquet", tracks)
    folds = splits.make_folds(tracks, folds=3, group_by="artist", seed=0)
    files.write_table(tmp_path / "folds.parquet", folds)
    files.write_json(tmp_path / "corpus.json", {"genres": GENRES, "protocol": "cv"})
    files.write_json(tmp_path / "features.json", {"sha256": "0"})
    return tmp_path


def accuracy(predictions):
    whole = scoring.track_probabilities(predictions)
    return (whole["y_pred"] == whole["y_true"]).mean()


def blobs(rng, labels, per_label=18):
    """Rows of each label around a corner of its own, in groups of three."""
    y = np.repeat(np.array(list(labels), dtype=object), per_label)
    corner = 4.0 * np.eye(len(labels), 5)[np.repeat(np.arange(len(labels)), per_label)]
    return corner + rng.normal(size=(len(y), 5)), y, np.arange(len(y)) // 3


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("order", [["a", "b", "c"], ["c", "a", "b"], ["b", "c", "a"]])
def test_probabilities_sum_to_1_and_columns_follow_the_genres(name, order):
    x, y, group = blobs(np.random.default_rng(0), "abc")
    test = np.arange(0, len(x), 2)
    found = classical.fit_predict(name, x, y, group, np.arange(1, len(x), 2), test, order)
    assert found.shape == (len(test), 3)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert (np.array(order, dtype=object)[found.argmax(axis=1)] == y[test]).mean() > 0.9


@pytest.mark.parametrize("sizes", [[4, 1, 1], [1, 9], [5]])
def test_the_svm_is_calibrated_even_where_a_genre_has_few_uneven_artists(sizes):
    few = sum(sizes)
    x, y, group = blobs(np.random.default_rng(0), "ab")
    x, y, group = x[: 18 + few], y[: 18 + few], group[: 18 + few]
    group[18:] = 100 + np.repeat(np.arange(len(sizes)), sizes)
    rows = np.arange(len(x))
    found = classical.fit_predict("svm", x, y, group, rows, rows, ["a", "b"])
    assert np.mean((found[:, 1] > 0.5) == (y == "b")) > 0.8


@pytest.mark.parametrize("name", KNOWN)
def test_test_rows_teach_nothing(name):
    rng = np.random.default_rng(0)
    x, y, group = blobs(rng, "ab")
    train, test = np.arange(6, len(x)), np.arange(6)
    one = classical.fit_predict(name, x, y, group, train, test, ["a", "b"])
    x[test[3:]] = 1e6 * rng.normal(size=(3, 5))
    y[test] = "b"
    other = classical.fit_predict(name, x, y, group, train, test, ["a", "b"])
    np.testing.assert_array_equal(one[:3], other[:3])
    assert not np.array_equal(one[3:], other[3:])


def test_features_are_brought_to_one_scale_learned_from_the_training_rows():
    x, y, _ = blobs(np.random.default_rng(0), "ab")
    scaler = classical.estimator("knn").fit(x * 50 + 7, y)[0]
    np.testing.assert_allclose(scaler.mean_, (x * 50 + 7).mean(axis=0))
    np.testing.assert_allclose(scaler.scale_, 50 * x.std(axis=0))


@pytest.mark.parametrize("name", KNOWN)
def test_cross_validation_writes_valid_predictions_and_a_run(study, name):
    predictions, run = classical.cross_validate(study, name)
    written = pd.read_parquet(study / "predictions" / f"{name}.parquet")
    pd.testing.assert_frame_equal(written, predictions)
    assert files.read_json(study / "runs" / f"{name}.json") == run
    tables = [pd.read_parquet(study / f"{table}.parquet") for table in ("folds", "tracks")]
    scoring.check_predictions(written, *tables, GENRES)
    assert list(written.columns[-3:]) == ["p_rock", "p_jazz", "p_pop"]
    assert len(written) == 54 * 3  # the copies are not tested
    assert run["model"] == name
    assert [fold["fold"] for fold in run["folds"]] == [0, 1, 2]
    assert run["training_seconds"] == sum(fold["seconds"] for fold in run["folds"]) > 0
    assert 0.7 < accuracy(written) <= 1.0
    again, _ = classical.cross_validate(study, name)
    pd.testing.assert_frame_equal(again, predictions)


@pytest.mark.parametrize("name", KNOWN)
def test_leaked_folds_are_refused_before_anything_is_written(study, name):
    folds = pd.read_parquet(study / "folds.parquet")
    one = folds.index[(folds["fold"] == 2) & (folds["part"] == "train")][0]
    test = folds.index[(folds["fold"] == 2) & (folds["part"] == "test")][0]
    folds.loc[one, "group"] = folds.loc[test, "group"]
    files.write_table(study / "folds.parquet", folds)
    with pytest.raises(splits.LeakageError, match="fold 2"):
        classical.cross_validate(study, name)
    assert not (study / "predictions").exists()
    assert not (study / "runs").exists()


@pytest.mark.parametrize("name", KNOWN)
def test_genres_dealt_at_random_are_recognised_by_chance_alone(study, name):
    tracks = pd.read_parquet(study / "tracks.parquet")
    found = []
    for seed in range(3):
        genre = np.random.default_rng(seed).permutation(GENRES * 18)
        files.write_table(study / "tracks.parquet", tracks.assign(genre=genre))
        found.append(accuracy(classical.cross_validate(study, name)[0]))
    assert 1 / 3 - 0.15 < np.mean(found) < 1 / 3 + 0.15


def test_the_price_of_leakage_compares_the_same_excerpts_under_three_splits(study):
    summary = pd.read_parquet(study / "summary.parquet")
    artists = summary["track_id"].str[:-2]
    rng = np.random.default_rng(0)  # what tells artists apart, and nothing about genres
    voices = pd.DataFrame(rng.normal(size=(27, 3)), index=artists.unique()).loc[artists]
    columns = ["mfcc_01_mean", "mfcc_02_mean", "mfcc_03_mean"]
    summary[columns] = voices.to_numpy() + 0.1 * rng.normal(size=(len(summary), 3))
    files.write_table(study / "summary.parquet", summary.drop(columns="chroma_01_std"))
    found = classical.price_of_leakage(study, seed=0, n_jobs=1)
    assert list(found) == ["segment", "track", "artist"]
    right, parts, scored = {}, {}, []
    for split, written in found.items():
        path = study / "predictions" / "leakage" / f"svm_{split}.parquet"
        pd.testing.assert_frame_equal(pd.read_parquet(path), written)
        scoring.check_table(written, GENRES)
        table = scoring.most_probable(written).assign(artist=written["track_id"].str[:-2])
        scored.append(set(zip(table["track_id"], table["excerpt"], table["y_true"], strict=True)))
        right[split] = (table["y_pred"] == table["y_true"]).mean()
        in_folds = [len(table.drop_duplicates([u, "fold"])) for u in ("track_id", "artist")]
        parts[split] = [count == once for count, once in zip(in_folds, (54, 27), strict=True)]
    assert scored[0] == scored[1] == scored[2]
    assert len(scored[0]) == 54 * 3
    assert parts == {"segment": [False, False], "track": [True, False], "artist": [True, True]}
    assert right["segment"] > 0.7
    assert right["artist"] < 0.5
    own, _ = classical.cross_validate(study, "svm")  # the honest split is the study's own
    pd.testing.assert_frame_equal(found["artist"], own)


def test_a_genre_that_a_careless_fold_would_not_leave_anything_of_is_refused(study):
    tracks = pd.read_parquet(study / "tracks.parquet")
    rare = tracks["track_id"] == tracks["track_id"].iloc[0]
    files.write_table(study / "tracks.parquet", tracks.assign(genre=np.where(rare, "waltz", "pop")))
    files.write_json(study / "corpus.json", {"genres": ["pop", "waltz"], "protocol": "cv"})
    with pytest.raises(ValueError, match="nothing of waltz to learn from"):
        classical.price_of_leakage(study)
    assert not (study / "predictions").exists()


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("few", [1, 2, 3])
def test_very_few_rows_are_learned_from_in_silence(name, few):
    x, y, _ = blobs(np.random.default_rng(0), "ab")
    train, test = np.r_[:4, 18 : 18 + few], np.r_[4:10, 25:35]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        group = np.arange(len(x))
        found = classical.fit_predict(name, x, y, group, train, test, ["a", "b"])
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


GROUPS = {"timbre": ["mfcc", "mfcc_delta"], "harmony": ["chroma", "tonnetz"], "beat": ["tempo"]}


def test_feature_sets_are_all_without_each_group_and_each_alone():
    families = ["mfcc", "mfcc_delta", "chroma", "tempo"]
    assert classical.feature_sets(families, GROUPS) == {
        "all": families,
        "without timbre": ["chroma", "tempo"],
        "without harmony": ["mfcc", "mfcc_delta", "tempo"],
        "without beat": ["mfcc", "mfcc_delta", "chroma"],
        "only timbre": ["mfcc", "mfcc_delta"],
        "only harmony": ["chroma"],
        "only beat": ["tempo"],
    }


def test_with_fewer_than_three_groups_families_are_taken_one_by_one():
    found = classical.feature_sets(["mfcc", "mfcc_delta"], GROUPS)
    assert list(found) == [
        "all", "without mfcc", "without mfcc delta", "only mfcc", "only mfcc delta"
    ]  # fmt: skip
    assert found["without mfcc"] == ["mfcc_delta"]
    assert classical.feature_sets(["mfcc"], GROUPS) == {"all": ["mfcc"]}


@pytest.fixture
def three_groups(study):
    """The study with a tempo that says nothing; the genre is in the MFCCs alone."""
    summary = pd.read_parquet(study / "summary.parquet")
    noise = np.random.default_rng(1).normal(size=len(summary))
    files.write_table(study / "summary.parquet", summary.assign(tempo_01_mean=noise))
    return study


def test_the_family_that_carries_the_genre_wins_alone_and_is_missed(three_groups):
    found = classical.ablate_families(three_groups, KNOWN, GROUPS, n_jobs=1)
    folds = pd.read_parquet(three_groups / "folds.parquet")
    table = analysis.ablation_table(found, scoring.groups_of(folds))
    for name in KNOWN:
        path = three_groups / "predictions" / "families" / f"{name}.parquet"
        written = found[found["model"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(pd.read_parquet(path), written)
        rows = table[table["model"] == name].set_index("features")
        assert (
            rows["accuracy"]["only timbre"] > rows["accuracy"][["only harmony", "only beat"]] + 0.2
        ).all()
        assert rows["difference"]["without timbre"] < -0.2
        assert rows["separable"][["without timbre", "only beat"]].all()
        assert not rows["separable"]["without beat"]
        whole = scoring.track_probabilities(classical.cross_validate(three_groups, name)[0])
        alike = written[written["features"] == "all"].drop(columns=["model", "features"])
        pd.testing.assert_frame_equal(alike, whole.drop(columns="y_pred"))
    assert sorted(study_results.finished_models(three_groups)) == sorted(KNOWN)


def test_an_ablation_on_leaked_folds_is_refused(three_groups):
    folds = pd.read_parquet(three_groups / "folds.parquet")
    test = folds.index[(folds["fold"] == 1) & (folds["part"] == "test")]
    train = folds.index[(folds["fold"] == 1) & (folds["part"] == "train")][0]
    folds.loc[train, "group"] = folds.loc[test[0], "group"]
    files.write_table(three_groups / "folds.parquet", folds)
    with pytest.raises(splits.LeakageError, match="fold 1"):
        classical.ablate_families(three_groups, ["knn"], GROUPS, n_jobs=1)
    assert not (three_groups / "predictions").exists()


def test_columns_of_families(study):
    data = classical.Data(study)
    assert data.columns(["chroma"]) == ["chroma_01_std"]
    assert data.columns(["mfcc"]) == ["mfcc_01_mean", "mfcc_02_mean", "mfcc_03_mean"]
    assert len(data.table) == 54 * 3
