"""The search of settings: inside the training parts alone, continued, refused elsewhere."""

from dataclasses import replace

import keras
import numpy as np
import optuna
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre_utils.data import splits
from genre_utils.evaluation import scoring
from genre_utils.models import (
    classical,
    cross_validation,
    hyperparameters,
    training,
    training_data,
    tuning,
)
from small_study import copied, small_study_fixture, tiny_network  # noqa: F401

NAME = "cnn1d"


@pytest.fixture(scope="module", autouse=True)
def tiny():
    with pytest.MonkeyPatch.context() as patch, tiny_network(NAME):
        patch.setattr(tuning, "INNER_FOLDS", 2)
        yield


@pytest.fixture(scope="module")
def searched(small_study, tmp_path_factory):
    """A study in which each fold has had two trials."""
    study = copied(small_study, tmp_path_factory.mktemp("tuning") / "study")
    tuning.search_settings(study, NAME, trials=2, epochs=1, n_jobs=1)
    return study


def trials_of(study):
    return pd.read_parquet(study.tuning(NAME, ".parquet"))


def test_each_fold_has_its_trials_and_the_usual_setting_comes_first(searched):
    trials = trials_of(searched)
    assert sorted(trials["fold"]) == [0, 0, 1, 1]
    first = trials[trials["number"] == 0]
    usual = hyperparameters.DEFAULTS[NAME]
    assert (first["learning_rate"] == usual.learning_rate).all()
    assert (first["hidden_layers"] == usual.hidden_layers).all()
    assert np.isfinite(first["value"]).all() and (first["seconds"] > 0).all()


def test_the_search_records_what_it_ran_on(searched):
    (ran_on,) = tuning.search_result(searched, NAME).ran_on
    assert ran_on == f"tensorflow on {keras.distribution.list_devices()[0]}"


def test_a_cluster_finds_the_same_and_leaves_the_file_to_this_process(
    searched, small_study, tmp_path, one_worker
):
    study = copied(small_study, tmp_path / "study")
    tuning.search_settings(study, NAME, trials=2, epochs=1)
    found, expected = (trials_of(place).drop(columns="seconds") for place in (study, searched))
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert not list(study.path.rglob("data-*"))


def test_the_settings_of_a_fold_are_its_best_trial(searched):
    best = tuning.search_result(searched, NAME).settings
    for fold, trials in trials_of(searched).groupby("fold"):
        row = trials.loc[trials["value"].idxmin()]
        chosen = best[fold]
        assert (chosen.learning_rate, chosen.optimizer) == (row["learning_rate"], row["optimizer"])
        assert chosen.augmentation == tuning.AUGMENTATION[row["augmentation"]]


def test_inner_folds_stay_inside_the_training_part_and_keep_artists_apart(searched):
    folds, tracks = searched.folds, searched.tracks
    for fold in (0, 1):
        inner = tuning.inner_folds(folds, fold, tracks, seed=0)
        tested = folds[(folds["fold"] == fold) & (folds["part"] == "test")]
        assert not set(inner["track_id"]) & set(tested["track_id"])
        assert not set(inner["group"]) & set(tested["group"])
        held = inner[inner["part"] == "validation"]
        assert held["track_id"].is_unique and set(held["track_id"]) == set(inner["track_id"])
        for _, part in inner.groupby("fold"):
            sides = part.groupby("group")["part"].nunique()
            assert (sides == 1).all()


def test_a_search_goes_on_where_it_was(searched):
    before = trials_of(searched)
    study = copied(searched, searched.path.parent / "goes_on")
    tuning.search_settings(study, NAME, trials=3, epochs=1, n_jobs=1)
    after = trials_of(study)
    assert len(after) == 6
    kept = after[after["number"] < 2].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before.reset_index(drop=True))


def test_settings_tuned_for_other_folds_are_neither_offered_nor_let_through(searched):
    study = copied(searched, searched.path.parent / "other_folds")
    settings = tuning.search_result(study, NAME).settings
    with pytest.raises(splits.LeakageError, match="tuned on other tracks"):
        training.train_fold(training_data.load_data(study), 1, NAME, settings[0], epochs=1, seed=0)
    folds, tracks = study.folds, study.tracks
    other = splits.make_folds(tracks, folds=3, group_by="artist", seed=1)
    study.write(folds=other)
    assert len(folds) != len(other) and tuning.search_result(study, NAME) is None


def test_tuned_settings_are_used_fold_by_fold(searched):
    study = copied(searched, searched.path.parent / "used")
    settings = tuning.search_result(study, NAME).settings
    _, run = cross_validation.cross_validate(study, f"{NAME}_tuned", settings, epochs=1)
    assert [one["tuned_on"] for one in run["hyperparameters_per_fold"]] == [
        splits.learning_hash(study.folds, fold) for fold in (0, 1)
    ]
    assert run["hyperparameters"]["tuned_on"] == ""  # the typical setting is nobody's
    assert run["hyperparameters"]["learning_rate"] == pytest.approx(
        np.median([one.learning_rate for one in settings.values()])
    )
    cross_validation.fit_final(study, [f"{NAME}_tuned"])


def test_a_model_of_fixed_epochs_is_not_scored_on_what_it_learned_from(searched, monkeypatch):
    fixed = replace(hyperparameters.DEFAULTS[NAME], fixed_epochs=1)
    monkeypatch.setitem(hyperparameters.DEFAULTS, NAME, fixed)
    learned, scored = [], []
    learn, predict = training.learn, training.predict
    monkeypatch.setattr(
        training,
        "learn",
        lambda data, rows, *a, **o: learned.append(rows) or learn(data, rows, *a, **o),
    )
    monkeypatch.setattr(
        training,
        "predict",
        lambda m, data, rows, fold: scored.append(rows) or predict(m, data, rows, fold),
    )
    study = copied(searched, searched.path.parent / "fixed")
    tuning.search_settings(study, NAME, trials=1, epochs=2, n_jobs=1)
    assert len(learned) == len(scored) > 0
    for rows, held in zip(learned, scored, strict=True):
        assert len(held) and not len(rows["validation"]) and not set(held) & set(rows["train"])


@pytest.mark.parametrize("name", tuning.CLASSICAL)
def test_classical_models_are_searched_as_networks_are(small_study, tmp_path, name):
    study = copied(small_study, tmp_path / "study")
    tuning.search_settings(study, name, trials=2, epochs=0, n_jobs=1)
    found = tuning.search_result(study, name)
    first = found.trials[found.trials["number"] == 0]
    for key, value in found.usual.items():
        assert (first[key] == value).all()
    assert {fold: one["tuned_on"] for fold, one in found.settings.items()} == {
        fold: splits.learning_hash(study.folds, fold) for fold in (0, 1)
    }
    predictions, run = classical.cross_validate_classical(study, f"{name}_tuned", found.settings)
    scoring.check_predictions(predictions, study.folds, study.tracks, study.genres)
    assert run["hyperparameters"].keys() == classical.HYPERPARAMETERS[name].keys()
    swapped = {0: found.settings[1], 1: found.settings[0]}
    with pytest.raises(splits.LeakageError, match="tuned on other tracks"):
        classical.cross_validate_classical(study, f"{name}_tuned", swapped)


@given(st.permutations(["rock", "pop", "classical", "jazz"]), st.integers(0, 99))
def test_cross_entropy_is_of_the_true_genre_in_whatever_order_genres_come(genres, seed):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(4), 8).astype(np.float32)
    true = rng.integers(4, size=8)
    tracks = pd.DataFrame(p, columns=[f"p_{g}" for g in genres]).assign(
        y_true=[genres[k] for k in true]
    )
    expected = -np.log(p[np.arange(8), true]).mean()
    assert tuning._cross_entropy(tracks) == pytest.approx(expected, rel=1e-4)


def test_importance_finds_the_setting_that_decides_the_scores():
    rng = np.random.default_rng(0)
    sampler = optuna.samplers.RandomSampler(seed=0)
    search = optuna.create_study(sampler=sampler)
    for _ in range(60):
        search.tell(search.ask(tuning.space(NAME)), 0.0)
    trials = search.trials_dataframe(("state", "params"))
    trials = trials.rename(columns=lambda c: c.removeprefix("params_"))
    trials["fold"] = np.arange(60) % 2
    noise = 0.01 * rng.normal(size=60)
    trials["value"] = 5 * trials["fold"] + 2 * trials["dropout"] + noise
    shares = tuning._importance(NAME, trials)
    assert max(shares, key=shares.get) == "dropout" and shares["dropout"] > 0.7


def test_settings_survive_json():
    settings = replace(hyperparameters.DEFAULTS["rnn"], augmentation=("masks",), tuned_on="x")
    assert hyperparameters.Hyperparameters.from_json(settings.as_json()) == settings
    older = settings.as_json() | {"replicas": 1}  # which is no setting any more
    assert hyperparameters.Hyperparameters.from_json(older) == settings
