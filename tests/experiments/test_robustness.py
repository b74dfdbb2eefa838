"""Changed recordings: what each change does to a waveform, and that predictions are paired."""

import functools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import song, write_sound
from hypothesis import given
from hypothesis import strategies as st

from genre_utils.data import auditing, corpora, splits
from genre_utils.evaluation import scoring
from genre_utils.experiments import corruptions, measurements, robustness
from genre_utils.features import extraction, recipes, store
from genre_utils.models import classical, cross_validation, training
from genre_utils.workspace.study_folder import StudyFolder
from small_study import GENRES, tiny_network, write_small_study

pytestmark = pytest.mark.filterwarnings("ignore:n_fft=1024 is too large")  # of short clips, by CQT
SR = 22_050
CHANGES = {change.label: change for change in corruptions.CHANGES}


def change(y, label, seed=0):
    return corruptions.changed(y, SR, CHANGES[label], seed=seed)


def level(y):
    return 10 * np.log10(np.mean(np.square(y, dtype=float)))


def tone(frequency, seconds=2.0):
    return (0.3 * np.sin(2 * np.pi * frequency * np.arange(seconds * SR) / SR)).astype(np.float32)


def strongest(y):
    return np.argmax(abs(np.fft.rfft(y * np.hanning(len(y))))) * SR / len(y)


@pytest.fixture(scope="module")
def music():
    return song(0, seconds=4.0)


def test_every_change_has_a_name_of_its_own_and_gives_sound(music):
    assert len(CHANGES) == len(corruptions.CHANGES)
    for label in CHANGES:
        found = change(music, label)
        assert found.dtype == np.float32 and np.isfinite(found).all() and found.any(), label
        assert len(found) <= 1.2 * len(music), label


@pytest.mark.parametrize("snr", [30, 20, 10, 0])
def test_noise_is_as_strong_as_it_says_and_decided_by_the_seed(music, snr):
    label = f"noise at {snr} dB"
    found = change(music, label)
    assert level(music) - level(found - music) == pytest.approx(snr, abs=0.1)
    np.testing.assert_array_equal(found, change(music, label))
    assert not np.array_equal(found, change(music, label, seed=1))


@given(
    noise=st.sampled_from(corruptions.NOISES),
    snr=st.floats(-20, 40),
    samples=st.integers(100, 3 * SR),
    seed=st.integers(0, 2**32 - 1),
)
def test_noise_of_any_kind_has_the_power_that_it_is_said_to_have(noise, snr, samples, seed):
    y = song(0, seconds=3.0)[:samples] + np.float32(0.01)
    found = corruptions.noisy(y, SR, noise, snr, seed=seed)
    assert found.dtype == np.float32 and found.shape == y.shape
    assert level(y) - level(found - y) == pytest.approx(snr, abs=0.05)
    np.testing.assert_array_equal(found, corruptions.noisy(y, SR, noise, snr, seed=seed))


def added(noise, seed=0):
    """Ten seconds of a noise alone, as loud as it is at 0 dB."""
    y = np.full(10 * SR, 0.1, np.float32)
    return corruptions.noisy(y, SR, noise, 0, seed=seed).astype(float) - y


def test_hum_is_the_mains_frequency_and_its_harmonics():
    power = abs(np.fft.rfft(added(corruptions.HUM))) ** 2
    strongest = np.sort(np.argsort(power)[-10:]) / 10  # Hz: ten seconds
    np.testing.assert_array_equal(strongest, 50 * np.arange(1, 11))
    assert power[500] > 3.9 * power[1000]  # amplitudes fall with the order


def test_crackle_is_loud_and_rare():
    sound = abs(added(corruptions.CRACKLE))
    assert np.mean(sound < 0.01 * sound.max()) > 0.9
    assert 50 < np.sum(np.diff(sound) > 0.01 * sound.max()) < 300


def test_room_tone_loses_three_decibels_per_octave():
    power = abs(np.fft.rfft(added(corruptions.ROOM))) ** 2
    means = [power[10 * low : 20 * low].mean() for low in (100, 200, 400, 800, 1600, 3200)]
    np.testing.assert_allclose(-10 * np.diff(np.log10(means)), 3.0, atol=0.6)
    assert not np.array_equal(added(corruptions.ROOM), added(corruptions.ROOM, seed=1))


def test_silence_gets_no_noise():
    silence = np.zeros(SR, np.float32)
    assert not corruptions.noisy(silence, SR, corruptions.HUM, 0, seed=0).any()


@pytest.mark.parametrize(
    ("label", "kept", "lost"),
    [("below 8 kHz", 5000, 10_000), ("telephone, 300 to 3400 Hz", 1000, 100)],
)
def test_filters_keep_what_is_inside_and_take_what_is_outside(label, kept, lost):
    assert level(change(tone(kept), label)) == pytest.approx(level(tone(kept)), abs=0.2)
    assert level(change(tone(lost), label)) < level(tone(lost)) - 20


@pytest.mark.parametrize("label", [label for label in CHANGES if "kbit" in label])
def test_coded_music_is_as_long_and_much_the_same_but_not_equal(music, label):
    found = change(music, label)
    assert abs(len(found) - len(music)) <= 1
    images = [extraction.frame_features(y, recipes.Recipe(), ("log_mel",))["log_mel"]
              for y in (music, np.resize(found, len(music)))]  # fmt: skip
    assert 0.6 < np.corrcoef(images[0].ravel(), images[1].ravel())[0, 1] < 0.9999


def test_a_lower_rate_takes_less_space(music, monkeypatch):
    import soundfile

    sizes, write = {}, soundfile.write

    def measured(buffer, *arguments, **options):
        write(buffer, *arguments, **options)
        sizes[len(sizes)] = buffer.tell() * 8 / 4.0 / 1000  # of four seconds, in kbit/s

    monkeypatch.setattr(soundfile, "write", measured)
    for label in ("MP3, 32 kbit/s", "MP3, 16 kbit/s", "Opus, 24 kbit/s", "Opus, 12 kbit/s"):
        change(music, label)
    assert sizes[0] == pytest.approx(32, rel=0.2) and sizes[1] == pytest.approx(16, rel=0.2)
    assert sizes[3] < sizes[2] < 40


def test_levels_change_as_they_say(music):
    assert level(change(music, "20 dB quieter")) == pytest.approx(level(music) - 20, abs=0.01)
    clipped = change(music, "6 dB over full scale, clipped")
    assert abs(clipped).max() == 1 and np.sum(abs(clipped) == 1) > 10


def test_tempo_changes_the_length_and_pitch_the_pitch():
    y = tone(440.0)
    assert len(change(y, "10 % slower")) == pytest.approx(len(y) / 0.9, rel=0.01)
    assert strongest(change(y, "10 % faster")) == pytest.approx(440, rel=0.01)
    higher = change(y, "+2 semitones")
    assert len(higher) == len(y)
    assert strongest(higher) == pytest.approx(440 * 2 ** (2 / 12), rel=0.01)


def test_a_shorter_clip_is_the_middle():
    y = np.arange(4 * SR, dtype=np.float32)
    np.testing.assert_array_equal(change(y, "clip of 1 s"), y[3 * SR // 2 : 5 * SR // 2])
    np.testing.assert_array_equal(change(y, "clip of 6 s"), y)


@given(st.integers(1, 9), st.integers(0, 30))
def test_what_is_too_short_is_repeated(length, least):
    values = np.arange(length)
    found = corruptions._filled(values, least)
    assert len(found) == max(length, least)
    np.testing.assert_array_equal(found, np.resize(values, len(found)))


def test_a_store_can_only_be_cut():
    tracks = pd.DataFrame({"duration_s": [30.0]})
    images = SimpleNamespace(tracks=tracks, features={"recipe": None})
    assert {change.kind for change in robustness._changes(images)} == {"length"}
    sounds = SimpleNamespace(tracks=tracks, features={"recipe": {"clip_seconds": 6.0}})
    found = robustness._changes(sounds)
    assert [change.value for change in found if change.kind == "length"] == [1, 3]
    assert len(found) == len(CHANGES) - 3


def test_few_tracks_of_each_artist_are_predicted_in_their_test_fold(tmp_path, monkeypatch):
    folds = write_small_study(tmp_path, artists=6, tracks=3).folds
    chosen = robustness.tested_tracks(folds)
    merged = chosen.merge(folds, on=["track_id", "fold"])
    assert len(merged) == len(chosen) == 24 and (merged["part"] == "test").all()
    assert (merged.groupby("group").size() == 2).all()
    monkeypatch.setattr(robustness, "AT_MOST", 10)
    fewer = robustness.tested_tracks(folds)
    assert len(fewer) == 10 and fewer["track_id"].isin(chosen["track_id"]).all()
    assert fewer.merge(folds, on=["track_id", "fold"])["group"].nunique() == 10


# ------------------------------------------------------------------------- a study, all the way


SOME = ("noise at 0 dB", "10 % slower", "clip of 1 s")


@pytest.fixture(scope="module")
def few():
    """A tiny network, few changes, and one process."""
    with pytest.MonkeyPatch.context() as patch, tiny_network("cnn"):
        patch.setattr(measurements, "JOBS", 1)
        patch.setattr(corruptions, "CHANGES", tuple(CHANGES[label] for label in SOME))
        patch.setattr(store, "extract", functools.partial(store.extract, n_jobs=1))
        yield


def finish(study, tracks):
    """Write what else a study holds, and fit its SVM."""
    folds = splits.make_folds(tracks, folds=2, group_by="artist", seed=0)
    described = {"genres": GENRES, "protocol": "cv", "tracks": len(tracks), "synthetic": False}
    study.write(tracks=tracks, folds=folds, corpus=described)
    classical.cross_validate_classical(study, "svm")
    return study


@pytest.fixture(scope="module")
def measured(few, tmp_path_factory):
    """A study with recordings, of which all was measured."""
    base = tmp_path_factory.mktemp("robust")
    music, study = base / "music", StudyFolder(base / "study")
    names = [f"{genre}/{artist}{n}.wav" for genre in GENRES for artist in "abcd" for n in "1"]
    for seed, name in enumerate(names):
        write_sound(music / name, seed=seed, seconds=2.0)
    tracks = auditing.audit(corpora.find_tracks("folder", music), music, min_seconds=0.9, n_jobs=1)
    tracks["artist"] = tracks["track_id"].str[:-5].str.replace("/", " ")
    recipe = recipes.Recipe(clip_seconds=2.0, excerpt_seconds=0.9, n_mels=16)
    store.extract(tracks, music, study, recipe)
    study.write(source={"folder": str(music)})
    finish(study, tracks)
    cross_validation.cross_validate(study, "cnn", epochs=2)
    for other in ("pretrained", "svm_tuned", "text"):  # are there, and not asked
        study.write_model(other, study.predictions("svm"), study.run("svm"))
    robustness.measure(study)
    return study


def test_recordings_as_they_are_get_the_answers_that_the_study_gave(measured):
    predictions = measurements.stored(measured, "robustness")["all"][1]
    clean = predictions[predictions["change"] == corruptions.CLEAN]
    for name in ("cnn", "svm"):
        whole = scoring.track_probabilities(measured.predictions(name)).set_index("track_id")
        found = clean[clean["model"] == name].set_index("track_id")["y_pred"]
        pd.testing.assert_series_equal(found, whole["y_pred"][found.index], check_dtype=False)


def test_all_changes_are_compared_with_the_same_tracks_as_they_are(measured):
    table = robustness.compare(measured)
    assert list(table["model"].unique()) == ["cnn", "cnn, changed copies", "svm"]
    assert set(table["change"]) == {corruptions.CLEAN, *SOME}
    own = table.set_index(["model", "change"])
    for model, label in own.index[own["question"] != ""]:
        change = own.loc[(model, label)]
        assert change["difference"] == pytest.approx(
            change["accuracy"] - own.loc[(model, corruptions.CLEAN), "accuracy"]
        )
    shown = robustness.shown(table.assign(separable=True))
    assert set(shown["model"]) == set(table["model"])
    assert set(shown["change"]) == {corruptions.CLEAN, *SOME}


def test_the_network_that_trained_on_copies_is_compared_with_the_one_that_did_not(measured):
    table = robustness.compare_copies(measured)
    assert list(table["change"]) == [corruptions.CLEAN, *SOME]
    twin = measured.derived("robustness_twin")
    assert twin.run("cnn")["max_epochs"] == 1  # half of the study's, of twice as much
    assert not measured.folds_done("ablation_robustness").exists()


@pytest.mark.parametrize(
    ("fixed", "most", "epochs"), [(0, 8, 4), (25, 60, 14), (25, 10, 6), (0, 1, 1)]
)
def test_twins_make_as_many_steps(fixed, most, epochs):
    parts = ["train"] * 80 + ["validation"] * 20 + ["test"] * 25
    settings = SimpleNamespace(fixed_epochs=fixed)
    assert robustness._as_long(pd.DataFrame({"part": parts}), settings, most) == epochs
    learned = 100 if fixed else 80
    steps = min(most, fixed or most) * learned
    assert most == 1 or abs(epochs * (learned + 80) - steps) <= (learned + 80) / 2


def test_what_is_stored_is_not_measured_again(measured, monkeypatch):
    monkeypatch.setattr(robustness, "_measured", lambda *_: pytest.fail("measured again"))
    robustness.measure(measured)


def test_folds_that_are_done_are_read(measured, monkeypatch):
    before = robustness.compare(measured)
    measured.measurement("robustness", "all").unlink()
    monkeypatch.setattr(training, "train_fold", lambda *_, **__: pytest.fail("trained again"))
    monkeypatch.setattr(corruptions, "described", lambda *_: pytest.fail("changed again"))
    robustness.measure(measured)
    pd.testing.assert_frame_equal(robustness.compare(measured), before)


def test_a_store_is_asked_about_shorter_clips_and_nothing_else(few, tmp_path):
    rows = [(f"{g}{a}", g, f"{g} {a}") for g in GENRES for a in range(4)]
    tracks = pd.DataFrame(rows, columns=["track_id", "genre", "artist"])
    tracks = tracks.assign(md5="0", status="used", duration_s=4.0)
    arrays = np.random.default_rng(0).random((8, 40, 16), dtype=np.float32)
    arrays[4:, :, 3] += 1
    study = StudyFolder(tmp_path)
    store.extract_from_store(tracks, arrays, study, clip_seconds=4.0, excerpt_seconds=2.0)
    finish(study, tracks)
    robustness.measure(study)
    table = robustness.compare(study)
    assert list(table["change"].unique()) == [corruptions.CLEAN, "clip of 1 s"]
    assert robustness.compare_copies(study).empty
    study.write(corpus={"genres": GENRES, "protocol": "fixed"})
    study.measurement("robustness", "all").unlink()
    with pytest.raises(ValueError, match="one look"):
        robustness.measure(study)
