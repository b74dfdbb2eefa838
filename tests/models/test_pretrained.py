"""Models on what musicnn hears: embeddings are kept and followed, and nothing leaks."""

import numpy as np
import pandas as pd
import pytest

from genre_utils.data import splits
from genre_utils.evaluation import scoring
from genre_utils.experiments import pretraining
from genre_utils.features import patches
from genre_utils.models import classical, pretrained
from genre_utils.paper import tables
from genre_utils.report import sentences
from genre_utils.workspace import model_names
from small_study import THREE_GENRES as GENRES
from small_study import statistics_fixture  # noqa: F401

pytestmark = pytest.mark.usefixtures("musicnn_learned")

RECIPE = {"clip_seconds": 9.0, "excerpt_seconds": 3.0, "loudness": "none"}


@pytest.fixture
def heard(study):
    """Three patches of each track, whose values tell genres apart."""
    described = {"sha256": "0", "recipe": RECIPE, "frames_per_second": 21.5}
    tracks = study.tracks["track_id"]
    table = pd.DataFrame({"track_id": tracks, "key": tracks}).merge(
        pd.DataFrame({"patch": range(3), "start": np.arange(3) * patches.SECONDS}), how="cross"
    )
    rng = np.random.default_rng(1)
    values = rng.normal(size=(len(table), patches.POOLED + patches.EMBEDDING)).astype(np.float32)
    norm = pretrained.last_layers(3, 10, seed=0).get_layer("batch_normalization_9")
    mean, variance = norm.get_weights()[2:]  # what musicnn hears is scaled like this
    genre = table["track_id"].map(study.genre_of).map(GENRES.index)
    for block in (values[:, :1506], values[:, 1506:]):
        block += 0.8 * rng.normal(size=(3, block.shape[1]))[genre]
    values[:, :1506] = values[:, :1506] * np.sqrt(variance) + mean
    study.write(features=described, embeddings=table)
    np.save(study.place("embedded"), values)
    return study


@pytest.mark.parametrize("name", model_names.PRETRAINED)
def test_cross_validation_writes_valid_predictions_and_a_run(heard, name):
    predictions, run = pretrained.cross_validate_pretrained(heard, name)
    scoring.check_predictions(heard.predictions(name), heard.folds, heard.tracks, GENRES)
    assert heard.run(name) == run and len(predictions) == 54 * 3
    whole = scoring.track_probabilities(predictions)
    assert (whole["y_pred"] == whole["y_true"]).mean() > 0.8
    assert not tables.stored_before(heard, [name], [name])
    again, _ = pretrained.cross_validate_pretrained(heard, name)
    pd.testing.assert_frame_equal(again, predictions)


@pytest.mark.parametrize("name", model_names.PRETRAINED)
def test_a_leak_is_refused_and_test_tracks_teach_nothing(heard, name):
    folds = heard.folds[heard.folds["fold"] == 0]
    test = set(folds.loc[folds["part"] == "test", "track_id"])
    one, _ = pretrained.predict_folds(pretrained.Data(heard, folds), name)
    other = sorted(test)[1:]
    values = np.array(heard.embedded)
    values[heard.embeddings["track_id"].isin(other)] *= -100
    np.save(heard.place("embedded"), values)
    two, _ = pretrained.predict_folds(pretrained.Data(heard, folds), name)
    same = one["track_id"] == min(test)
    pd.testing.assert_frame_equal(one[same], two[same])
    assert not one.equals(two)
    leaked = folds.assign(group=folds["group"].where(folds["track_id"] != min(test), "rock 0"))
    leaked.loc[leaked["part"] == "train", "group"] = "rock 0"
    with pytest.raises(splits.LeakageError, match="fold 0"):
        pretrained.predict_folds(pretrained.Data(heard, leaked), name)


def test_the_last_layers_begin_as_they_were(heard):
    from genre_utils.models import musicnn

    model = pretrained.last_layers(3, 10, seed=0)
    image = np.random.default_rng(0).uniform(0, 4, (1, 187, 96)).astype(np.float32)
    whole = musicnn.load().predict_on_batch(image)
    inner = pretrained.last_layers(3, 10, seed=0).get_layer("genres").get_weights()
    expected = whole["embedding"] @ inner[0] + inner[1]
    expected = np.exp(expected) / np.exp(expected).sum()
    np.testing.assert_allclose(model.predict_on_batch(whole["pooled"]), expected, atol=1e-5)


def test_the_curve_over_artists_ends_where_the_study_is(heard, monkeypatch):
    monkeypatch.setattr(pretraining, "SHARES", (0.5, 1.0))
    monkeypatch.setattr(pretraining, "DRAWS", 1)
    assert "not both" in pretraining.obstacle(heard)
    heard.write(corpus=heard.corpus | {"protocol": "cv"})
    pretrained.cross_validate_pretrained(heard, "pretrained")
    classical.cross_validate_classical(heard, "logistic")
    pretraining.measure(heard)
    curve = pretraining.curve(heard)
    assert list(curve["model"].unique()) == ["logistic", "pretrained"]
    for name, own in curve.groupby("model"):
        whole = scoring.plain_accuracy(heard.predictions(name))["whole tracks"]
        assert own["accuracy"].iloc[-1] == pytest.approx(whole)
        assert own["artists"].is_monotonic_increasing


def test_spectrograms_have_no_pretrained_models(heard, monkeypatch, capsys):
    wanted = ["svm", "pretrained", "pretrained_tuned"]
    assert pretrained.choose_pretrained(heard, wanted) == wanted[1:]
    monkeypatch.setattr(patches.importlib.util, "find_spec", lambda name: None)
    assert pretrained.choose_pretrained(heard, wanted) == ["pretrained"]
    assert "pip install --no-deps -r requirements-nodeps.txt" in capsys.readouterr().out
    heard.write(features=heard.features | {"recipe": None})
    assert pretrained.choose_pretrained(heard, ["pretrained"]) == []
    assert not capsys.readouterr().out


def test_what_pretraining_may_have_heard_is_said():
    real, composed = (sentences.PRETRAINING[synthetic] for synthetic in (False, True))
    assert "may be songs of artists that are tested" in real
    assert "evidence about nothing" in composed and "evidence" not in real
