"""What notebook 02 measures with classical models: fewer feature groups, splits that leak."""

import warnings

import numpy as np
import pandas as pd
import pytest

from genre_utils.data import splits
from genre_utils.evaluation import comparisons, scoring
from genre_utils.experiments import feature_statistics, measurements
from genre_utils.models import classical
from genre_utils.workspace import model_names
from small_study import THREE_GENRES as GENRES
from small_study import statistics_fixture  # noqa: F401

KNOWN = model_names.CLASSICAL


@pytest.fixture(scope="module", autouse=True)
def one_process():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measurements, "JOBS", 1)
        yield


def test_splits_are_compared_on_the_same_excerpts(study):
    summary = study.summary
    artists = summary["track_id"].str[:-2]
    rng = np.random.default_rng(0)  # what tells artists apart, and nothing about genres
    voices = pd.DataFrame(rng.normal(size=(27, 3)), index=artists.unique()).loc[artists]
    columns = ["mfcc_01_mean", "mfcc_02_mean", "mfcc_03_mean"]
    summary[columns] = voices.to_numpy() + 0.1 * rng.normal(size=(len(summary), 3))
    study.write(summary=summary.drop(columns="chroma_01_std"))
    found = feature_statistics.compare_splits(study, seed=0)
    assert list(found) == ["segment", "track", "artist"]
    right, parts, scored = {}, {}, []
    for split, written in found.items():
        path = study.measurement("leakage", f"svm_{split}").with_suffix(".parquet")
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
    own, _ = classical.cross_validate_classical(
        study, "svm"
    )  # the split without leakage is the study's own
    pd.testing.assert_frame_equal(found["artist"], own)


def test_a_genre_that_a_random_fold_would_not_leave_anything_of_is_refused(study):
    tracks = study.tracks
    rare = tracks["track_id"] == tracks["track_id"].iloc[0]
    study.write(tracks=tracks.assign(genre=np.where(rare, "waltz", "pop")))
    study.write(corpus={"genres": ["pop", "waltz"], "protocol": "cv"})
    with pytest.raises(ValueError, match="nothing of waltz to learn from"):
        feature_statistics.compare_splits(study)
    assert not (study.path / "predictions").exists()


GROUPS = {"timbre": ["mfcc", "mfcc_delta"], "harmony": ["chroma", "tonnetz"], "beat": ["tempo"]}


def test_feature_sets_are_all_without_each_group_and_each_alone():
    families = ["mfcc", "mfcc_delta", "chroma", "tempo"]
    assert feature_statistics._feature_sets(families, GROUPS) == {
        "all": families,
        "without timbre": ["chroma", "tempo"],
        "without harmony": ["mfcc", "mfcc_delta", "tempo"],
        "without beat": ["mfcc", "mfcc_delta", "chroma"],
        "only timbre": ["mfcc", "mfcc_delta"],
        "only harmony": ["chroma"],
        "only beat": ["tempo"],
    }


def test_with_fewer_than_three_groups_families_are_taken_one_by_one():
    found = feature_statistics._feature_sets(["mfcc", "mfcc_delta"], GROUPS)
    assert list(found) == [
        "all", "without MFCC", "without MFCC slope", "only MFCC", "only MFCC slope"
    ]  # fmt: skip
    assert found["without MFCC"] == ["mfcc_delta"]
    assert feature_statistics._feature_sets(["mfcc"], GROUPS) == {"all": ["mfcc"]}


@pytest.fixture
def three_groups(study):
    """The study with a tempo that says nothing; the genre is in the MFCCs alone."""
    summary = study.summary
    noise = np.random.default_rng(1).normal(size=len(summary))
    study.write(summary=summary.assign(tempo_01_mean=noise))
    return study


def test_the_family_that_carries_the_genre_wins_alone_and_is_missed(three_groups):
    table = feature_statistics.ablate_families(three_groups, KNOWN, GROUPS)
    for name in KNOWN:
        path = three_groups.measurement("families", name).with_suffix(".parquet")
        written = pd.read_parquet(path)
        assert (written["model"] == name).all()
        rows = table[table["model"] == name].set_index("features")
        assert (
            rows["accuracy"]["only timbre"] > rows["accuracy"][["only harmony", "only beat"]] + 0.2
        ).all()
        assert rows["difference"]["without timbre"] < -0.2
        assert rows["separable"][["without timbre", "only beat"]].all()
        assert not rows["separable"]["without beat"]
        whole = scoring.track_probabilities(
            classical.cross_validate_classical(three_groups, name)[0]
        )
        alike = written[written["features"] == "all"].drop(columns=["model", "features"])
        pd.testing.assert_frame_equal(alike, whole.drop(columns="y_pred"))
    assert sorted(three_groups.finished()) == sorted(KNOWN)


def test_an_ablation_on_leaked_folds_is_refused(three_groups):
    folds = three_groups.folds
    test = folds.index[(folds["fold"] == 1) & (folds["part"] == "test")]
    train = folds.index[(folds["fold"] == 1) & (folds["part"] == "train")][0]
    folds.loc[train, "group"] = folds.loc[test[0], "group"]
    three_groups.write(folds=folds)
    with pytest.raises(splits.LeakageError, match="fold 1"):
        feature_statistics.ablate_families(three_groups, ["knn"], GROUPS)
    assert not (three_groups.path / "predictions").exists()


def predictions(right: dict[str, float], tracks=60):
    """What a model predicts with each set of features, right in a share of the tracks."""
    rng, tables = np.random.default_rng(0), []
    true = np.resize(GENRES, tracks)
    for name, share in right.items():
        hit = rng.permutation(tracks) < round(share * tracks)
        columns = {
            f"p_{g}": np.where(hit, true == g, true == GENRES[k - 1]).astype(float)
            for k, g in enumerate(GENRES)
        }
        ids = [f"t{k:02d}" for k in range(tracks)]
        table = {"model": "svm", "features": name, "track_id": ids, "y_true": true, **columns}
        tables.append(pd.DataFrame(table))
    return pd.concat(tables, ignore_index=True)


def test_the_ablation_is_compared_with_all_features_over_artists():
    said = predictions(
        {"all": 0.9, "without a": 0.3, "without b": 0.9, "only a": 0.8, "only b": 0.2}
    )
    ids = said["track_id"].unique()
    groups = pd.Series(np.arange(len(ids)) // 3, index=ids)
    found = feature_statistics._differences_from_all(said, groups).set_index("features")
    assert found["accuracy"].round(3).to_dict() == {
        "all": 0.9, "without a": 0.3, "without b": 0.9, "only a": 0.8, "only b": 0.2
    }  # fmt: skip
    assert (found["low"] < found["accuracy"]).all() and (found["accuracy"] < found["high"]).all()
    rest = found.drop(index="all")
    assert rest["difference"].round(3).tolist() == [-0.6, 0.0, -0.1, -0.7]
    np.testing.assert_allclose(rest["p_holm"], comparisons.holm(rest["p_value"]))
    correct = {
        name: (scoring.most_probable(t)["y_pred"] == t["y_true"]).to_numpy()
        for name, t in said.groupby("features")
    }
    expected = comparisons.sign_flip_test(correct["only b"], correct["all"], groups.to_numpy())
    assert rest.loc["only b", "p_value"] == expected
    assert rest["separable"].tolist() == [True, False, False, True]


def test_an_ablation_with_nothing_to_leave_out():
    said = predictions({"all": 0.9})
    groups = pd.Series(said["track_id"].to_numpy(), index=said["track_id"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = feature_statistics._differences_from_all(said, groups)
    assert len(found) == 1
