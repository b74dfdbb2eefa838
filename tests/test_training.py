"""The deep models and their cross-validation, on a study small enough to train in seconds."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from genre_utils import evaluation, files, splits

keras = pytest.importorskip("keras")

from genre_utils import batches, models, training  # noqa: E402

GENRES = ["jazz", "rock"]
EPOCHS = 2


@pytest.fixture(scope="module")
def small_study(tmp_path_factory):
    """A study of made-up spectrograms: two genres that differ in one band, six artists each."""
    study = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    rows = [
        (f"{genre}/{artist}{n}", genre, f"{genre} {artist}")
        for genre in GENRES
        for artist in "abcdef"
        for n in range(2)
    ]
    tracks = pd.DataFrame(rows, columns=["track_id", "genre", "artist"]).assign(status="used")
    sound = rng.random((len(tracks), 40, 16), dtype=np.float32)
    sound[tracks["genre"] == "rock", :, 3] += 1.0
    np.save(study / "features.npy", sound)
    index = tracks[["track_id"]].assign(copy=0, frames=40)
    files.write_table(study / "features.parquet", index)
    described = {"recipe": None, "excerpt_seconds": 0.8, "frames_per_second": 10.0, "sha256": "0"}
    files.write_json(study / "features.json", described)
    files.write_table(study / "tracks.parquet", tracks)
    folds = splits.make_folds(tracks, folds=2, group_by="artist", seed=0)
    files.write_table(study / "folds.parquet", folds)
    corpus = {"name": "folder", "synthetic": False, "tracks": 24, "artists": 12}
    files.write_json(
        study / "corpus.json", corpus | {"genres": GENRES, "sha256": "1", "group_by": "artist"}
    )
    return study


@pytest.fixture
def study(small_study, tmp_path):
    """A copy of the small study that a test may change."""
    return shutil.copytree(small_study, tmp_path / "study")


def trained(study, name="rnn", **options):
    return training.cross_validate(study, name, **{"epochs": EPOCHS, "seed": 0, **options})


@pytest.mark.parametrize("name", sorted(models.BUILDERS))
@pytest.mark.parametrize("shape", [(129, 64), (66, 128), (20, 16)])
def test_every_model_reads_any_frame_rate_and_number_of_bands(name, shape):
    settings = models.PAPER[name]
    bands = shape[1]
    model = models.build(name, shape, 4, settings, mean=np.zeros(bands), variance=np.ones(bands))
    out = model(np.random.default_rng(0).random((3, *shape), dtype=np.float32))
    assert out.shape == (3, 4)
    np.testing.assert_allclose(np.sum(out, axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("name", sorted(models.BUILDERS))
@pytest.mark.parametrize("hidden_layers", [3, 4, 5])
def test_hidden_layers_are_what_the_setting_says(name, hidden_layers):
    settings = models.Hyperparameters(0.001, 32, hidden_layers)
    model = models.build(name, (66, 64), 4, settings, mean=np.zeros(64), variance=np.ones(64))
    counted = (
        keras.layers.Conv2D, keras.layers.SimpleRNN, keras.layers.Bidirectional, keras.layers.Dense
    )  # fmt: skip
    assert sum(isinstance(layer, counted) for layer in model.layers) == hidden_layers + 1  # output


def test_convolution_parameters_match_a_hand_count():
    settings = models.PAPER["cnn"]
    model = models.build("cnn", (66, 64), 4, settings, mean=np.zeros(64), variance=np.ones(64))
    convolutions = 16 * (9 * 1 + 1) + 32 * (9 * 16 + 1) + 64 * (9 * 32 + 1)
    normalised = 4 * (16 + 32 + 64)
    dense = 64 * (64 + 1) + 4 * (64 + 1)
    inside = 2 * 64 + 1  # mean and variance of the bands, and a counter
    expected = convolutions + normalised + dense
    assert model.count_params() in (expected, expected + inside)


def test_two_runs_of_one_fold_are_the_same_bit_for_bit(study):
    data = training.load(study)
    rows = training.fold_rows(data, 0)["test"]
    tables = []
    for _ in range(2):
        model, _ = training.train_fold(data, 0, "hybrid", models.PAPER["hybrid"], epochs=2, seed=3)
        tables.append(training.predict(model, data, rows, 0))
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_two_runs_with_every_change_agree_bit_for_bit(study):
    data = training.load(study)
    rows = training.fold_rows(data, 0)["test"]
    settings = models.Hyperparameters(
        0.001, 4, 3, augmentation=models.AUGMENTATIONS, balance="sampling"
    )
    first, second = (
        training.predict(
            training.train_fold(data, 0, "cnn", settings, epochs=2, seed=3)[0], data, rows, 0
        )
        for _ in range(2)
    )
    pd.testing.assert_frame_equal(first, second, check_exact=True)


@pytest.fixture
def tiny(monkeypatch):
    """One dense layer in place of the recurrent ones, where the network is not what is tested."""
    tiny = lambda x, settings: keras.layers.GlobalAveragePooling1D()(x)  # noqa: E731
    monkeypatch.setitem(models.BUILDERS, "rnn", tiny)


def test_validation_and_test_excerpts_are_never_changed(study, tiny, monkeypatch):
    data = training.load(study)
    rows, drawn = training.fold_rows(data, 0), []
    real = batches.Batches
    monkeypatch.setattr(batches, "Batches", lambda *a, **o: drawn.append(a[3]) or real(*a, **o))
    settings = replace(models.PAPER["rnn"], augmentation=("masks",))
    model, history = training.train_fold(data, 0, "rnn", settings, epochs=1, seed=0)
    assert len(drawn) == 1
    np.testing.assert_array_equal(drawn[0], rows["train"])
    seen = model.evaluate(
        data.excerpts[rows["validation"]], data.labels[rows["validation"]], verbose=0
    )
    np.testing.assert_allclose(history["val_loss"][-1], seen[0], rtol=1e-5)


def test_without_normalisation_the_network_sees_the_levels_as_they_are(study, tiny):
    data = training.load(study)
    settings = replace(models.PAPER["rnn"], normalise=False)
    model, _ = training.train_fold(data, 0, "rnn", settings, epochs=1, seed=0)
    layer = next(x for x in model.layers if isinstance(x, keras.layers.Normalization))
    np.testing.assert_allclose(layer(data.excerpts[:4]), data.excerpts[:4], rtol=1e-5)


def test_another_seed_is_another_network(study):
    data = training.load(study)
    weights = [
        training.train_fold(data, 0, "rnn", models.PAPER["rnn"], epochs=1, seed=seed)[0]
        for seed in (0, 1)
    ]
    first, second = (model.get_layer("dense").kernel.numpy() for model in weights)
    assert not np.array_equal(first, second)


def test_predictions_cover_every_track_once_and_learn_the_easy_difference(study):
    predictions, run = trained(study, "rnn", epochs=15)
    folds, tracks = (pd.read_parquet(study / f"{name}.parquet") for name in ("folds", "tracks"))
    evaluation.check_predictions(predictions, folds, tracks, GENRES)
    whole = evaluation.track_probabilities(predictions)
    assert (whole["y_pred"] == whole["y_true"]).mean() > 0.9
    assert run["training_seconds"] > 0 and len(run["folds"]) == 2
    assert json.loads((study / "runs" / "rnn.json").read_text()) == run


def test_normalisation_comes_from_the_training_part_alone(study):
    data = training.load(study)
    rows = training.fold_rows(data, 0)
    data.excerpts[rows["test"]] += 1000.0
    data.excerpts[rows["validation"]] -= 1000.0
    model, _ = training.train_fold(data, 0, "rnn", models.PAPER["rnn"], epochs=1, seed=0)
    layer = next(x for x in model.layers if isinstance(x, keras.layers.Normalization))
    expected = data.excerpts[rows["train"]].mean(axis=(0, 1))
    np.testing.assert_allclose(np.ravel(layer.mean), expected, rtol=1e-4)


def test_a_fold_whose_test_artist_was_trained_on_is_refused(study):
    folds = pd.read_parquet(study / "folds.parquet")
    fold = folds["fold"] == 0
    leaked = folds.loc[fold & (folds["part"] == "test"), "group"].iloc[0]
    folds.loc[folds[fold & (folds["part"] == "train")].index[0], "group"] = leaked
    files.write_table(study / "folds.parquet", folds)
    with pytest.raises(splits.LeakageError, match="fold 0"):
        trained(study)


def test_augmented_copies_are_trained_on_and_never_tested(study):
    index = pd.read_parquet(study / "features.parquet")
    sound = np.load(study / "features.npy")
    np.save(study / "features.npy", np.concatenate([sound, sound + 0.1]))
    files.write_table(study / "features.parquet", pd.concat([index, index.assign(copy=1)]))
    data = training.load(study)
    copies = {
        part: set(data.table["copy"].iloc[r]) for part, r in training.fold_rows(data, 0).items()
    }
    assert copies == {"train": {0, 1}, "validation": {0}, "test": {0}}


def test_a_stopped_study_goes_on_at_the_fold_where_it_was(study, monkeypatch):
    undisturbed, _ = trained(shutil.copytree(study, study.parent / "undisturbed"))
    real, calls = training.train_fold, []

    def stopped(data, fold, *args, **options):
        if len(calls) == 1:
            raise KeyboardInterrupt
        calls.append(fold)
        return real(data, fold, *args, **options)

    monkeypatch.setattr(training, "train_fold", stopped)
    with pytest.raises(KeyboardInterrupt):
        trained(study)
    monkeypatch.setattr(
        training,
        "train_fold",
        lambda data, fold, *a, **o: calls.append(fold) or real(data, fold, *a, **o),
    )
    resumed, _ = trained(study)
    assert calls == [0, 1]
    pd.testing.assert_frame_equal(resumed, undisturbed, check_exact=True)


def test_a_stored_fold_is_taken_for_the_same_settings_alone(study, monkeypatch):
    trained(study)
    calls, real = [], training.train_fold
    monkeypatch.setattr(
        training,
        "train_fold",
        lambda data, fold, *args, **options: (
            calls.append(fold) or real(data, fold, *args, **options)
        ),
    )
    trained(study)
    assert calls == []
    trained(study, seed=1)
    assert calls == [0, 1]


def test_changes_are_recorded_trained_anew_and_part_of_the_final_model(study, tiny):
    trained(study)
    settings = replace(models.PAPER["rnn"], augmentation=("masks",), balance="weights")
    _, run = trained(study, hyperparameters=settings)
    assert run["hyperparameters"]["augmentation"] == ["masks"]
    assert json.loads((study / "runs" / "rnn.json").read_text()) == run
    assert len(list((study / "folds_done" / "rnn").glob("*.parquet"))) == 4
    path = training.fit_final(study, "rnn", 0.75, settings, seed=0)
    assert files.read_json(path.with_suffix(".json"))["hyperparameters"]["balance"] == "weights"
    before = path.stat().st_mtime_ns
    assert training.fit_final(study, "rnn", 0.75, settings, seed=0).stat().st_mtime_ns == before


def test_the_final_model_is_fitted_on_all_tracks_and_describes_itself(study):
    trained(study)
    path = training.fit_final(study, "rnn", 0.75, seed=0)
    sidecar = files.read_json(path.with_suffix(".json"))
    assert sidecar["labels"] == GENRES and sidecar["accuracy"] == 0.75
    assert sidecar["corpus"]["synthetic"] is False and sidecar["recipe"] is None
    model = keras.models.load_model(path, safe_mode=True)
    data = training.load(study)
    assert model.predict(data.excerpts[:2], verbose=0).shape == (2, 2)
    layer = next(x for x in model.layers if isinstance(x, keras.layers.Normalization))
    np.testing.assert_allclose(np.ravel(layer.mean), data.excerpts.mean(axis=(0, 1)), rtol=1e-4)
    before = path.stat().st_mtime_ns
    assert training.fit_final(study, "rnn", 0.75, seed=0).stat().st_mtime_ns == before
