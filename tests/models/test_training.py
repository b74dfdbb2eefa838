"""The deep models and their cross-validation, on a study small enough to train in seconds."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from genre_utils.data import splits
from genre_utils.evaluation import scoring
from genre_utils.models import architectures, classical
from genre_utils.workspace import files, model_names

keras = pytest.importorskip("keras")

from genre_utils.models import (  # noqa: E402
    batches,
    cross_validation,
    hyperparameters,
    training,
    training_data,
)
from small_study import (  # noqa: E402
    GENRES,
    copied,
    small_study_fixture,  # noqa: F401
    tiny_network,
    write_small_study,
)

EPOCHS = 2


@pytest.fixture
def study(small_study, tmp_path):
    """A copy of the small study that a test may change."""
    return copied(small_study, tmp_path / "study")


def trained(study, name="rnn", same=None, **options):
    """Predictions and run of a network with the `same` settings in all folds."""
    settings = same and dict.fromkeys([0, 1], same)
    options = {"epochs": EPOCHS, "seed": 0, **options}
    return cross_validation.cross_validate(study, name, settings, **options)


@pytest.fixture
def tiny():
    """For tests in which it does not matter what the rnn is."""
    with tiny_network("rnn"):
        yield


@pytest.fixture
def tiny_compiled():
    """The same, for tests of what TensorFlow compiles: precision, steps of an optimizer."""
    with tiny_network("rnn", compiled=True):
        yield


@pytest.fixture(scope="module", name="folds_done")
def folds_done_fixture(small_study, tmp_path_factory):
    """The small study with both folds of the tiny network trained."""
    with tiny_network("rnn"):
        done = copied(small_study, tmp_path_factory.mktemp("done") / "study")
        trained(done)
    return done


@pytest.fixture
def done(folds_done, tiny, tmp_path):
    """A copy of the study that the tiny network was trained on."""
    return copied(folds_done, tmp_path / "done")


def with_others_changed(data, rows):
    """Make what is not learned from something else."""
    sound = np.array(data.excerpts)
    sound[rows["test"]] += 1000.0
    sound[rows["validation"]] -= 1000.0
    data.show(sound)


def built(name, shapes, settings):
    """A model for four genres whose statistics change nothing."""
    statistics = {key: (np.zeros(shape[-1]), np.ones(shape[-1])) for key, shape in shapes.items()}
    return architectures.build(name, shapes, 4, settings, statistics)


@pytest.mark.parametrize("name", sorted(architectures.BUILDERS))
@pytest.mark.parametrize("shape", [(129, 64), (66, 128), (20, 16)])
def test_every_model_reads_any_frame_rate_and_number_of_bands(name, shape):
    shapes, rng = {"log_mel": shape, "features": (7,)}, np.random.default_rng(0)
    x = {key: rng.random((3, *shapes[key]), dtype=np.float32) for key in architectures.reads(name)}
    out = built(name, shapes, hyperparameters.DEFAULTS[name])(architectures.alone(x))
    assert out.shape == (3, 4)
    np.testing.assert_allclose(np.sum(out, axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("name", sorted(architectures.BUILDERS))
@pytest.mark.parametrize("hidden_layers", [3, 4, 5])
def test_hidden_layers_are_what_the_setting_says(name, hidden_layers):
    settings = hyperparameters.Hyperparameters(0.001, 32, hidden_layers)
    model = built(name, {"log_mel": (66, 64), "features": (7,)}, settings)
    kinds = keras.layers
    counted = (
        kinds.Conv1D, kinds.Conv2D, kinds.SimpleRNN, kinds.Bidirectional, kinds.Dense
    )  # fmt: skip
    assert sum(isinstance(layer, counted) for layer in model.layers) == hidden_layers + 1  # output


def test_convolution_parameters_match_a_hand_count():
    settings = hyperparameters.PAPER["cnn_paper"]
    model = built("cnn_paper", {"log_mel": (66, 64)}, settings)
    convolutions = 16 * (9 * 1 + 1) + 32 * (9 * 16 + 1) + 64 * (9 * 32 + 1)
    normalised = 4 * (16 + 32 + 64)
    dense = 64 * (64 + 1) + 4 * (64 + 1)
    inside = 2 * 64  # mean and variance of the bands
    assert model.count_params() == inside + convolutions + normalised + dense


EVERY_CHANGE = {"augmentation": hyperparameters.AUGMENTATIONS, "balance": "sampling"}
EVERY_CHANGE |= {"hidden_layers": 3, "batch_size": 4}


@pytest.mark.parametrize(("name", "changes"), [("hybrid", {}), ("cnn", EVERY_CHANGE)])
def test_two_runs_of_one_fold_are_the_same_bit_for_bit(study, name, changes):
    data, tables = training_data.load_data(study), []
    rows = data.rows(0)["test"]
    settings = replace(hyperparameters.DEFAULTS[name], **changes)
    for _ in range(2):
        model, _ = training.train_fold(data, 0, name, settings, epochs=2, seed=3)
        tables.append(training.predict(model, data, rows, 0))
    pd.testing.assert_frame_equal(*tables, check_exact=True)


def test_validation_and_test_excerpts_are_never_changed(study, tiny, monkeypatch):
    data = training_data.load_data(study)
    rows, drawn = data.rows(0), []
    real = batches.Batches
    monkeypatch.setattr(batches, "Batches", lambda *a, **o: drawn.append(a[1]) or real(*a, **o))
    settings = replace(hyperparameters.PAPER["rnn_paper"], augmentation=("masks",))
    model, history = training.train_fold(data, 0, "rnn", settings, epochs=1, seed=0)
    assert len(drawn) == 1
    np.testing.assert_array_equal(drawn[0], rows["train"])
    seen = model.evaluate(
        data.excerpts[rows["validation"]], data.labels[rows["validation"]], verbose=0
    )
    np.testing.assert_allclose(history["val_loss"][-1], seen[0], rtol=1e-5)


def test_without_normalisation_the_network_sees_the_levels_as_they_are(study, tiny):
    data = training_data.load_data(study)
    settings = replace(hyperparameters.PAPER["rnn_paper"], normalise=False)
    model, _ = training.train_fold(data, 0, "rnn", settings, epochs=1, seed=0)
    layer = model.get_layer("normalised_log_mel")
    np.testing.assert_allclose(layer(data.excerpts[:4]), data.excerpts[:4], rtol=1e-5)


def test_by_default_layers_compute_in_32_bits_and_records_do_not_name_it(study, tiny):
    settings = hyperparameters.PAPER["rnn_paper"]
    model, _ = training.train_fold(
        training_data.load_data(study), 0, "rnn", settings, epochs=1, seed=0
    )
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    assert type(model.optimizer) is keras.optimizers.Adam
    assert "precision" not in settings.as_json()


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_rounds_what_is_between_and_nothing_else(study, tiny_compiled, precision):
    data, histories = training_data.load_data(study), []
    for settings in (
        hyperparameters.PAPER["rnn_paper"],
        replace(hyperparameters.PAPER["rnn_paper"], precision=precision),
    ):
        model, history = training.train_fold(data, 0, "rnn", settings, epochs=3, seed=0)
        histories.append(history["loss"])
    assert model.input.dtype == model.get_layer("genre").compute_dtype == "float32"
    normalised, pooled = model.layers[1:3]
    assert normalised.compute_dtype == "float32"
    assert pooled.compute_dtype == precision.removeprefix("mixed_")
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    assert histories[0] != histories[1]
    np.testing.assert_allclose(*histories, rtol=0.02)
    assert hyperparameters.Hyperparameters.from_json(settings.as_json()) == settings


def test_another_seed_is_another_network(study, tiny):
    data = training_data.load_data(study)
    weights = [
        training.train_fold(
            data, 0, "rnn", hyperparameters.PAPER["rnn_paper"], epochs=1, seed=seed
        )[0]
        for seed in (0, 1)
    ]
    first, second = (model.get_layer("genre").kernel.numpy() for model in weights)
    assert not np.array_equal(first, second)


def test_predictions_cover_every_track_once_and_learn_the_easy_difference(study):
    predictions, run = trained(study, "rnn", epochs=15)
    folds, tracks = study.folds, study.tracks
    scoring.check_predictions(predictions, folds, tracks, GENRES)
    whole = scoring.track_probabilities(predictions)
    assert (whole["y_pred"] == whole["y_true"]).mean() > 0.9
    assert run["training_seconds"] > 0 and len(run["folds"]) == 2
    assert study.run("rnn") == run


def test_normalisation_comes_from_the_training_part_alone(study, tiny):
    data = training_data.load_data(study)
    rows = data.rows(0)
    expected = data.excerpts[rows["train"]].mean(axis=(0, 1))
    with_others_changed(data, rows)
    model, _ = training.train_fold(
        data, 0, "rnn", hyperparameters.PAPER["rnn_paper"], epochs=1, seed=0
    )
    mean, _ = model.get_layer("normalised_log_mel").get_weights()
    np.testing.assert_allclose(mean, expected, rtol=1e-4)


def test_a_fold_whose_test_artist_was_trained_on_is_refused(study):
    folds = study.folds
    fold = folds["fold"] == 0
    leaked = folds.loc[fold & (folds["part"] == "test"), "group"].iloc[0]
    folds.loc[folds[fold & (folds["part"] == "train")].index[0], "group"] = leaked
    study.write(folds=folds)
    with pytest.raises(splits.LeakageError, match="fold 0"):
        trained(study)


def test_augmented_copies_are_trained_on_and_never_tested(study):
    index, sound = study.excerpts, np.array(study.log_mel)
    np.save(study.place("log_mel"), np.concatenate([sound, sound + 0.1]))
    study.write(excerpts=pd.concat([index, index.assign(copy=1)]))
    data = training_data.load_data(study)
    copies = {part: set(data.table["copy"].iloc[r]) for part, r in data.rows(0).items()}
    assert copies == {"train": {0, 1}, "validation": {0}, "test": {0}}


def test_a_stopped_study_goes_on_at_the_fold_where_it_was(study, done, monkeypatch):
    undisturbed, _ = trained(done)
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


def test_a_stored_fold_is_taken_for_the_same_settings_alone(done, monkeypatch):
    calls, real = [], training.train_fold
    monkeypatch.setattr(
        training,
        "train_fold",
        lambda data, fold, *args, **options: (
            calls.append(fold) or real(data, fold, *args, **options)
        ),
    )
    trained(done)
    assert calls == []
    trained(done, seed=1)
    assert calls == [0, 1]


def test_changes_are_recorded_trained_anew_and_part_of_the_final_model(done):
    settings = replace(
        hyperparameters.PAPER["rnn_paper"], augmentation=("masks",), balance="weights"
    )
    _, run = trained(done, same=settings)
    assert run["hyperparameters"]["augmentation"] == ["masks"]
    assert done.run("rnn") == run
    assert len(list(done.folds_done("rnn").glob("*.parquet"))) == 4
    (path,) = cross_validation.fit_final(done, ["rnn"], seed=0)
    assert files.read_json(path.with_suffix(".json"))["hyperparameters"]["balance"] == "weights"
    before = path.stat().st_mtime_ns
    assert cross_validation.fit_final(done, ["rnn"], seed=0)[0].stat().st_mtime_ns == before


def test_the_final_model_is_fitted_on_all_tracks_and_describes_itself(done):
    (path,) = cross_validation.fit_final(done, ["rnn"], seed=0)
    sidecar = files.read_json(path.with_suffix(".json"))
    accuracy = scoring.plain_accuracy(done.predictions("rnn"))["whole tracks"]
    assert sidecar["labels"] == GENRES and sidecar["accuracy"] == accuracy
    assert sidecar["corpus"]["synthetic"] is False and sidecar["recipe"] is None
    model = keras.models.load_model(path, safe_mode=True)
    data = training_data.load_data(done)
    assert model.predict(data.excerpts[:2], verbose=0).shape == (2, 2)
    mean, _ = model.get_layer("normalised_log_mel").get_weights()
    np.testing.assert_allclose(mean, np.mean(data.excerpts, axis=(0, 1)), rtol=1e-4)
    before = path.stat().st_mtime_ns
    assert cross_validation.fit_final(done, ["rnn"], seed=0)[0].stat().st_mtime_ns == before


@pytest.mark.parametrize("optimizer", hyperparameters.CHOICES["optimizer"])
def test_every_optimizer_follows_the_schedule_to_its_end(study, tiny_compiled, optimizer):
    data = training_data.load_data(study)
    settings = replace(
        hyperparameters.PAPER["rnn_paper"], optimizer=optimizer, schedule="cosine", batch_size=16
    )
    model, history = training.train_fold(data, 0, "rnn", settings, epochs=2, seed=0)
    assert model.optimizer.name.replace("_", "") == optimizer and len(history["loss"]) == 2
    assert float(model.optimizer.learning_rate) < 1e-6  # where the cosine ends


@pytest.mark.parametrize("warmup", [0.0, 0.25])
def test_the_rate_rises_and_falls_over_all_steps(warmup):
    settings = replace(hyperparameters.PAPER["cnn_paper"], schedule="cosine", warmup=warmup)
    rate = training._Rate(settings, 40).rate
    found = [float(rate(step)) for step in range(1, 41)]
    top = round(40 * warmup)
    assert max(found) == found[max(top - 1, 0)] == pytest.approx(0.001, rel=0.01)
    assert found[-1] == pytest.approx(0, abs=1e-9)
    assert np.all(np.diff(found[:top]) > 0) and np.all(np.diff(found[top:]) < 0)


def test_averaged_weights_are_the_mean_over_the_steps_and_late_ones_weigh_more(
    study, tiny_compiled
):
    data, steps = training_data.load_data(study), []
    settings = replace(
        hyperparameters.PAPER["rnn_paper"], averaging=0.5, fixed_epochs=2, batch_size=8
    )
    rows = data.rows(0)["train"]
    model = training.compiled(data, rows, "rnn", settings, seed=0)
    kept = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: steps.append(model.trainable_weights[0].numpy())
    )
    training.fit(model, data, rows, "rnn", settings, seed=0, epochs=2, callbacks=[kept])
    mean, *later = steps
    for weights in later:
        mean = (mean + weights) / 2
    np.testing.assert_allclose(model.trainable_weights[0].numpy(), mean, rtol=1e-5, atol=1e-7)
    assert len(steps) > 2 and not np.allclose(mean, steps[-1], rtol=1e-3)


@pytest.mark.parametrize("changes", [{}, {"averaging": 0.9}, {"precision": "mixed_float16"}])
def test_what_is_compiled_for_one_fold_serves_the_next_with_the_same_result(study, changes):
    data, ready, found = training_data.load_data(study), {}, []
    settings = replace(hyperparameters.DEFAULTS["mlp"], fixed_epochs=2, **changes)
    for kept in (ready, None, ready):  # the last one has met fold 0
        for fold in (0, 1):
            options = {"epochs": 2, "seed": 3, "ready": kept}
            model, history = training.train_fold(data, fold, "mlp", settings, **options)
        rows = data.rows(1)["test"]
        found.append((history, training.predict(model, data, rows, 1)))
    assert [model] == list(ready.values())
    (first, table), *others = found
    for history, again in others:
        assert history == first
        pd.testing.assert_frame_equal(again, table, check_exact=True)


def test_a_process_keeps_the_networks_of_one_notebook_and_no_more(study, tiny):
    data, ready, models = training_data.load_data(study), {}, []
    for epochs in range(1, training.READY + 2):
        settings = replace(hyperparameters.PAPER["rnn_paper"], fixed_epochs=epochs)
        models.append(training.compiled(data, np.arange(4), "rnn", settings, seed=0, ready=ready))
    assert list(ready.values()) == models[1:]


def test_smoothed_labels_never_let_the_loss_reach_zero(study, tiny):
    data = training_data.load_data(study)
    settings = replace(hyperparameters.PAPER["rnn_paper"], label_smoothing=0.2)
    model, _ = training.train_fold(data, 0, "rnn", settings, epochs=1, seed=0)
    sure = keras.ops.array([[1.0, 0.0]])
    assert float(model.loss(sure, sure)) > 1.0


def test_each_look_at_a_fixed_split_is_written_down_once(done):
    done.write(corpus=done.corpus | {"protocol": "fixed"})
    other = replace(hyperparameters.PAPER["rnn_paper"], dropout=0.1)
    for settings in (
        hyperparameters.PAPER["rnn_paper"],
        hyperparameters.PAPER["rnn_paper"],
        other,
    ):  # the second: no new look
        predictions, _ = trained(done, same=settings)
    classical.cross_validate_classical(done, "knn")
    looks = pd.read_csv(done.holdout_log)
    assert list(looks["model"]) == ["rnn", "rnn", "knn"] and set(looks["tracks"]) == {24}
    last = scoring.plain_accuracy(predictions)["whole tracks"]
    assert looks["accuracy"][1] == pytest.approx(last, abs=1e-4)


def test_a_study_with_folds_logs_no_look(done):
    assert not done.holdout_log.exists()


def test_the_model_of_a_fold_can_be_asked_again(done):
    predictions, _ = trained(done)
    data = training_data.load_data(done)
    model = cross_validation.fold_model(done, "rnn", 1)
    again = training.predict(model, data, data.rows(1)["test"], 1)
    stored = predictions[predictions["fold"] == 1].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, stored, rtol=1e-5)
    for path in done.folds_done("rnn").glob("*.keras"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match="Run the notebook that trains rnn"):
        cross_validation.fold_model(done, "rnn", 1)


@pytest.mark.parametrize(("group_by", "low", "high"), [("artist", 0.3, 0.7), ("track", 0.9, 1.0)])
def test_labels_without_a_reason_are_at_chance_unless_artists_leak(tmp_path, group_by, low, high):
    study = write_small_study(tmp_path, artists=16, tracks=3, by="artist", group_by=group_by)
    settings = replace(hyperparameters.PAPER["cnn_paper"], hidden_layers=3, fixed_epochs=12)
    predictions, _ = trained(study, "cnn1d", same=settings, epochs=12)
    assert low <= scoring.plain_accuracy(predictions)["whole tracks"] <= high


def test_a_fold_knows_its_temperature_if_it_kept_tracks_to_find_it(done):
    _, run = trained(done, same=hyperparameters.PAPER["rnn_paper"])
    assert all(0.1 <= fold["temperature"] <= 10 for fold in run["folds"])
    _, run = trained(done, same=replace(hyperparameters.PAPER["rnn_paper"], fixed_epochs=1))
    assert [fold["temperature"] for fold in run["folds"]] == [None, None]


def test_a_belief_network_learns_before_it_sees_labels_and_from_training_alone(study):
    data = training_data.load_data(study)
    rows = data.rows(0)
    settings = hyperparameters.DEFAULTS["dbn"]
    model = training.compiled(data, rows["train"], "dbn", settings, seed=0)
    learned = model.get_layer("belief_1").get_weights()[0]
    keras.utils.set_random_seed(0)
    fresh = training.untrained(data, "dbn", hyperparameters.DEFAULTS["dbn"])
    assert not np.allclose(learned, fresh.get_layer("belief_1").get_weights()[0], atol=0.05)
    with_others_changed(data, rows)
    again = training.compiled(data, rows["train"], "dbn", settings, seed=0)
    np.testing.assert_array_equal(again.get_layer("belief_1").get_weights()[0], learned)


def test_the_fusion_reads_the_features_of_each_excerpt_scaled_by_what_it_learns_from(study):
    summary = study.summary.sample(frac=1, random_state=0)
    study.write(summary=summary)  # in any order
    data = training_data.load_data(study)
    rows = data.rows(0)
    key = ["track_id", "copy", "excerpt"]
    row = data.table.iloc[7]
    expected = summary.set_index(key).loc[tuple(row[key]), ["tempo", "brightness"]]
    np.testing.assert_allclose(data.features[7], expected, rtol=1e-6)
    model, _ = training.train_fold(
        data, 0, "fusion", hyperparameters.DEFAULTS["fusion"], epochs=1, seed=0
    )
    mean, _ = model.get_layer("normalised_features").get_weights()
    learned = np.concatenate([rows["train"], rows["validation"]])  # it needs no validation part
    expected = data.features[learned].mean(axis=0)
    np.testing.assert_allclose(mean, expected, rtol=1e-4)
    table = training.predict(model, data, rows["test"], 0)
    assert len(table) == len(rows["test"]) and np.isfinite(table["p_rock"]).all()


def test_typical_settings_take_the_median_and_the_most_frequent():
    base = hyperparameters.DEFAULTS["cnn"]
    several = [
        replace(base, learning_rate=rate, optimizer=name, tuned_on=name)
        for rate, name in ((0.1, "sgd"), (0.3, "adam"), (0.2, "sgd"))
    ]
    typical = hyperparameters.typical(several)
    assert (typical.learning_rate, typical.optimizer, typical.tuned_on) == (0.2, "sgd", "")
    assert hyperparameters.typical(several[:1]) == several[0]


def test_an_unknown_model_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="cnn1d, rnn"):
        architectures.reads("cnn_tuned_tuned")


def test_the_names_are_those_of_all_models():
    assert sorted(model_names.NETWORKS) == sorted(architectures.BUILDERS)
    assert set(model_names.CLASSICAL) == set(classical.HYPERPARAMETERS)
    assert set(hyperparameters.DEFAULTS) == set(architectures.BUILDERS)
