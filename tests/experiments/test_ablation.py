"""Variants of a network: what they change, how they are compared, and that they do not leak."""

import functools

import numpy as np
import pandas as pd
import pytest
from conftest import write_sound

from genre_utils.data import auditing, corpora, splits
from genre_utils.experiments import ablation, measurements
from genre_utils.features import recipes, store
from genre_utils.models import cross_validation
from genre_utils.workspace.study_folder import StudyFolder
from small_study import GENRES, small_study_fixture, tiny_network  # noqa: F401


@pytest.fixture(scope="module", autouse=True)
def tiny():
    with tiny_network("cnn"):
        yield


CHOSEN = ("baseline", "in_training", "rare", "rare_sampling")  # four take half a minute less


def short_plan(*, has_audio):
    return [v for v in ablation.plan(has_audio=has_audio) if v.label in CHOSEN]


@pytest.fixture(scope="module")
def measured(small_study):
    """The small study, in which some variants that need no recordings were measured."""
    ablation.measure(small_study, short_plan, epochs=1)
    return small_study


def predictions_from(correct, tracks):
    """A table of predictions that is right where `correct` says so."""
    sure = np.where(correct, tracks["genre"] == "rock", tracks["genre"] != "rock").astype(float)
    columns = {"track_id": tracks["track_id"], "excerpt": 0, "fold": 0, "y_true": tracks["genre"]}
    return pd.DataFrame(columns | {"p_jazz": 1 - sure, "p_rock": sure})


def put(study, label, predictions, epochs=8, **variant):
    described = {"variant": {"label": label, "title": label, **variant}}
    described["trained"] = {"epochs": epochs, "seed": 0}
    measurements.store(study, "ablation", label, "key", predictions, **described)


@pytest.fixture
def made_up(tmp_path):
    """A study of 40 artists with two tracks each and nothing but tables."""
    n = np.arange(80)
    tracks = pd.DataFrame({"track_id": [f"t{i:02d}" for i in n], "artist": n // 2})
    tracks["genre"] = np.where(n < 40, "jazz", "rock")
    group = tracks["artist"].astype(str)
    folds = tracks[["track_id"]].assign(fold=0, part="test", group=group)
    study = StudyFolder(tmp_path)
    study.write(tracks=tracks, folds=folds, corpus={"genres": GENRES, "protocol": "cv"})
    study.write(features={"sha256": "0"})
    return study, tracks


def test_labels_are_distinct_file_names_and_baselines_come_first():
    for has_audio in (False, True):
        variants = ablation.plan(has_audio=has_audio)
        labels = [variant.label for variant in variants]
        assert len(set(labels)) == len(labels) and all(x.isidentifier() for x in labels)
        for k, variant in enumerate(variants):
            assert variant.against in ["", *labels[:k]]
            assert has_audio or not (variant.effects or variant.loudness != "none")


def test_all_variants_are_measured_on_the_same_tracks_and_stored(measured):
    found = ablation.stored(measured)
    assert set(found) == set(CHOSEN)
    ids = {tuple(sorted(table["track_id"])) for _, table in found.values()}
    assert len(ids) == 1
    table = ablation.compare(measured)
    assert len(table) == 2 and len(ablation.shown(table)) == 2
    with pytest.raises(FileNotFoundError, match="no model is finished"):
        measured.require_models()  # variants are no models of the study


def test_what_is_stored_is_not_measured_again(measured, monkeypatch):
    monkeypatch.setattr(ablation, "_measured", lambda *_: pytest.fail("trained again"))
    ablation.measure(measured, short_plan, epochs=1)


def test_each_fold_is_checked_for_leakage(small_study, monkeypatch):
    seen, real = [], splits.refuse_leakage
    monkeypatch.setattr(
        splits, "refuse_leakage", lambda f, fold, **ids: (seen.append(fold), real(f, fold, **ids))
    )
    for variant in ablation.plan(has_audio=False)[:1] + ablation.plan(has_audio=False)[-1:]:
        ablation._measured(small_study, variant, variant.title, 1, 9)
    assert seen == [0, 1] * 2


def test_rare_genres_lose_training_tracks_alone(small_study):
    folds = small_study.folds
    thin = ablation._thinned(folds, small_study.genre_of, ["rock"], 0)
    genre = folds["track_id"].map(small_study.genre_of)
    lost = folds.index.difference(thin.index)
    assert set(genre[lost]) == {"rock"} and set(folds.loc[lost, "part"]) == {"train"}
    training_rock = folds[(genre == "rock") & (folds["part"] == "train")]
    before, after = (t.groupby("fold").size() for t in (training_rock, training_rock.drop(lost)))
    pd.testing.assert_series_equal(after, -(-before // ablation.KEPT))


def test_differences_are_paired_and_corrected_for_their_number(made_up):
    study, tracks = made_up
    n = np.arange(80)
    right = n % 4 > 0
    put(study, "baseline", predictions_from(right, tracks))
    put(study, "masks", predictions_from(np.ones(80), tracks), against="baseline")
    put(study, "mixup", predictions_from(right, tracks), against="baseline")
    table = ablation.compare(study).set_index("label")
    assert table.loc["masks", "difference"] == pytest.approx(0.25)
    assert table.loc["masks", "p_value"] == pytest.approx(2 * 0.5**20)
    assert table.loc["masks", "p_holm"] == pytest.approx(2 * 2 * 0.5**20)
    assert list(table["verdict"]) == ["helps", "not significantly different"]
    same = table.loc["mixup"]  # the same predictions: other artists may still tell the two apart
    assert same["low"] == -same["high"] < 0 and same["p_value"] == 1
    assert list(ablation.shown(table)["verdict"]) == ["differ", "not significantly different"]


def test_balance_is_told_by_genre(made_up):
    study, tracks = made_up
    rock = (tracks["genre"] == "rock").to_numpy()
    put(study, "rare", predictions_from(rock, tracks))  # jazz, the rare one, is never found
    put(study, "rare_weights", predictions_from(np.ones(80), tracks), against="rare")
    table = ablation.balance_by_genre(study).set_index(["title", "genre"])
    assert table.loc[("rare", "jazz"), "f1"] == 0 and table.loc[("rare", "jazz"), "rare"]
    gain = table.loc[("rare_weights", "jazz")]
    assert gain["difference"] == gain["difference_low"] == gain["difference_high"] == 1


def test_a_variant_whose_baseline_was_measured_by_other_code_is_left_out(made_up, monkeypatch):
    study, tracks = made_up
    put(study, "baseline", predictions_from(np.ones(80), tracks))
    monkeypatch.setattr(measurements.evidence, "code", lambda _: "other code")
    put(study, "masks", predictions_from(np.ones(80), tracks), against="baseline")
    assert set(ablation.stored(study)) == {"baseline"}


def test_a_variant_that_was_trained_for_longer_than_its_baseline_is_left_out(made_up):
    study, tracks = made_up
    put(study, "baseline", predictions_from(np.ones(80), tracks))
    put(study, "masks", predictions_from(np.ones(80), tracks), epochs=30, against="baseline")
    assert set(ablation.stored(study)) == {"baseline"}


def test_nothing_is_measured_on_a_fixed_split(made_up):
    study, _ = made_up
    study.write(corpus={"genres": GENRES, "protocol": "fixed"})
    study.write(features={"sha256": "0", "recipe": None})
    with pytest.raises(ValueError, match="ablation cannot be measured: a fixed"):
        ablation.measure(study, epochs=1)
    assert ablation.stored(study) == {}


def test_predictions_of_other_folds_are_left_out_and_foreign_ones_refused(made_up):
    study, tracks = made_up
    put(study, "baseline", predictions_from(np.ones(80), tracks))
    put(study, "masks", predictions_from(np.ones(80), tracks)[:-1], against="baseline")
    with pytest.raises(ValueError, match=r"masks.parquet: .*without a prediction"):
        ablation.compare(study)
    study.write(folds=study.folds.assign(group="one"))
    assert ablation.compare(study).empty and ablation.balance_by_genre(study).empty


@pytest.mark.filterwarnings("ignore:n_fft=1024 is too large")  # of short clips, by CQT
def test_a_changed_copy_is_trained_on_and_the_derived_store_is_taken_away(tmp_path, monkeypatch):
    music, study = tmp_path / "music", StudyFolder(tmp_path / "study")
    names = [f"{genre}/{artist}.wav" for genre in GENRES for artist in "abcd"]
    for seed, name in enumerate(names):
        write_sound(music / name, seed=seed)
    tracks = corpora.find_tracks("folder", music)
    tracks = auditing.audit(tracks, music, min_seconds=0.9, n_jobs=1)
    recipe = recipes.Recipe(clip_seconds=1.0, excerpt_seconds=0.4, n_mels=16)
    store.extract(tracks, music, study, recipe, n_jobs=1)
    folds = splits.make_folds(tracks, folds=2, group_by="track", seed=0)
    study.write(tracks=tracks, folds=folds, source={"folder": str(music)})
    study.write(corpus={"genres": GENRES, "protocol": "cv"})
    seen, real = [], cross_validation.out_of_fold

    def watched(folder, name, data, settings, *, epochs, **options):
        seen.append((data.table["copy"].max(), epochs))
        return real(folder, name, data, settings, epochs=epochs, **options)

    monkeypatch.setattr(cross_validation, "out_of_fold", watched)
    monkeypatch.setattr(store, "extract", functools.partial(store.extract, n_jobs=1))
    louder = next(v for v in ablation.plan(has_audio=True) if v.label == "gain")
    predictions, seconds = ablation._measured(study, louder, "gain", 2, 0)
    assert seen == [(1, 1)] and seconds > 0
    assert set(predictions["track_id"]) == set(tracks["track_id"])
    assert len(predictions) == 2 * len(tracks)  # originals alone are tested
    assert not study.folds_done("ablation_gain").exists()
