"""Denoising before recognition: what the gate does to sound, and that predictions are paired."""

import numpy as np
import pandas as pd
import pytest
from conftest import song, write_sound

from genre_utils.data import auditing, corpora, splits
from genre_utils.evaluation import scoring
from genre_utils.experiments import corruptions, denoising, measurements
from genre_utils.features import embeddings, recipes, store
from genre_utils.models import classical, cross_validation, pretrained
from genre_utils.report import sentences
from genre_utils.workspace.study_folder import StudyFolder
from small_study import GENRES, small_study_fixture, tiny_network  # noqa: F401

pytestmark = pytest.mark.filterwarnings("ignore:n_fft=1024 is too large")  # of short clips, by CQT
SR = 22_050
GATES = (denoising.STATIONARY, denoising.OTHER)
SOME = [one for one in denoising.VERSIONS if (one.noise, one.snr) == (corruptions.HUM, 0)]
SOME += denoising.VERSIONS[:3]


def power(y):
    return np.mean(np.square(y, dtype=float))


def test_every_noise_at_every_level_and_no_noise_are_denoised_or_not():
    labels = [one.label for one in denoising.VERSIONS]
    assert len(set(labels)) == len(labels) == (1 + 4 * 3) * 3
    assert [one.treatment for one in denoising.VERSIONS[:3]] == ["none", *GATES]
    assert {one.noise for one in denoising.VERSIONS[:3]} == {denoising.UNTOUCHED}


@pytest.mark.parametrize("treatment", GATES)
def test_a_gate_takes_noise_from_a_tone_that_comes_and_goes(treatment):
    seconds = np.arange(4 * SR) / SR
    tone = (np.sin(2 * np.pi * 880 * seconds) * (seconds % 2 < 0.5)).astype(np.float32)
    noisy = corruptions.noisy(tone, SR, corruptions.WHITE, 10, seed=0)
    found = denoising.denoised(noisy, SR, treatment)
    assert found.shape == tone.shape and found.dtype == np.float32
    silent = seconds % 2 > 0.7
    above = [power(y[seconds % 2 < 0.5]) / power(y[silent]) for y in (noisy, found)]
    assert power(found[silent]) < 0.1 * power(noisy[silent]) and above[1] > 3 * above[0]


def test_without_treatment_or_sound_a_recording_stays_as_it_is():
    y = song(0, seconds=1.0)
    assert denoising.denoised(y, SR, denoising.NONE) is y
    for treatment in GATES:
        assert not denoising.denoised(np.zeros(SR, np.float32), SR, treatment).any()


def test_ready_spectrograms_cannot_be_denoised(small_study):
    assert "needs recordings" in denoising.obstacle(small_study)
    assert denoising.estimate(small_study) == 0
    assert denoising.compare(small_study).empty
    with pytest.raises(ValueError, match="denoising cannot be measured: it needs recordings"):
        denoising.measure(small_study)


# ------------------------------------------------------------------------- a study, all the way


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A study of eight recordings, of which few versions were predicted, by a tiny network, too."""
    base = tmp_path_factory.mktemp("denoised")
    music, study = base / "music", StudyFolder(base / "study")
    names = [f"{genre}/{artist}1.wav" for genre in GENRES for artist in "abcd"]
    for seed, name in enumerate(names):
        write_sound(music / name, seed=seed, seconds=2.0)
    with pytest.MonkeyPatch.context() as patch, tiny_network("cnn"):
        patch.setattr(measurements, "JOBS", 1)
        patch.setattr(denoising, "VERSIONS", tuple(SOME))
        found = corpora.find_tracks("folder", music)
        tracks = auditing.audit(found, music, min_seconds=0.9, n_jobs=1)
        tracks["artist"] = tracks["track_id"].str[:-5].str.replace("/", " ")
        recipe = recipes.Recipe(clip_seconds=2.0, excerpt_seconds=0.9, n_mels=16)
        store.extract(tracks, music, study, recipe, n_jobs=1)
        folds = splits.make_folds(tracks, folds=2, group_by="artist", seed=0)
        described = {"genres": GENRES, "protocol": "cv", "tracks": 8, "synthetic": False}
        study.write(tracks=tracks, folds=folds, corpus=described, source={"folder": str(music)})
        assert "none was trained" in denoising.obstacle(study)
        classical.cross_validate_classical(study, "logistic")
        embeddings.embed_tracks(study, n_jobs=1)
        pretrained.cross_validate_pretrained(study, "pretrained")
        cross_validation.cross_validate(study, "cnn", epochs=1)
        denoising.measure(study)
        yield study


@pytest.mark.parametrize("name", denoising.NAMES)
def test_untouched_recordings_get_the_predictions_of_the_study(measured, name):
    predictions = measurements.stored(measured, "denoising")["all"][1]
    same = (predictions["model"] == name) & (predictions["change"] == SOME[3].label)
    found = predictions[same].set_index("track_id")["y_pred"]
    whole = scoring.track_probabilities(measured.predictions(name)).set_index("track_id")
    pd.testing.assert_series_equal(found, whole["y_pred"][found.index], check_dtype=False)


def test_each_treatment_is_compared_with_none_on_the_same_recordings(measured):
    table = denoising.compare(measured).set_index(["model", "noise", "treatment"])
    assert list(table.index.unique("model")) == list(denoising.NAMES)
    assert len(table) == 3 * len(SOME)
    plain = table.xs("none", level="treatment")
    assert plain["p_value"].isna().all()
    for (model, noise, treatment), row in table.iterrows():
        if treatment != "none":
            lost = row["accuracy"] - plain.loc[(model, noise), "accuracy"]
            assert row["difference"] == pytest.approx(lost) and row["p_holm"] >= row["p_value"]


def test_the_table_has_a_row_for_each_model_and_noise(measured):
    shown = denoising.shown(denoising.compare(measured))
    assert list(shown["recording"].unique()) == ["hum, 0 dB", "untouched"]
    assert list(shown) == ["model", "recording", "none", *GATES] and len(shown) == 6
    assert not shown.isna().any(axis=None)
    assert "in none and harms significantly in none" in sentences.denoising(
        denoising.compare(measured)
    )


def test_what_is_stored_is_not_measured_again(measured, monkeypatch):
    monkeypatch.setattr(denoising, "_measured", lambda *_: pytest.fail("measured again"))
    denoising.measure(measured)


def test_folds_that_are_done_are_read(measured, monkeypatch):
    before = denoising.compare(measured)
    measured.measurement("denoising", "all").unlink()
    monkeypatch.setattr(denoising, "_described", lambda *_: pytest.fail("described again"))
    denoising.measure(measured)
    pd.testing.assert_frame_equal(denoising.compare(measured), before)
