"""Recognition of any recording by an exported model, and its command line."""

import csv
import io
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import jsonschema
import librosa
import numpy as np
import pandas as pd
import pytest
import scipy.signal
import soundfile
from conftest import song, sound, write_sound
from hypothesis import given, settings
from hypothesis import strategies as st

from genre_utils.evaluation import calibration
from genre_utils.features import audio, extraction, patches, recipes, summarising
from genre_utils.plots import recognition as figures
from genre_utils.recognition import exported_model, listening, output, recogniser
from genre_utils.workspace import files
from study_runs import command, places_fixture  # noqa: F401

SCHEMA = jsonschema.Draft202012Validator(files.read_json(exported_model.SCHEMA))
SR = audio.SAMPLE_RATE


@pytest.fixture(scope="module")
def recognise():
    return recogniser.MusicStyleRecognition()


@pytest.fixture(scope="module")
def piece(tmp_path_factory):
    """70 s of made-up music, stereo, at another sample rate than the model's."""
    path = tmp_path_factory.mktemp("sound") / "piece.flac"
    y = np.tile(song(3, seconds=10.0, sr=44_100), 7)
    soundfile.write(path, np.stack([y, 0.5 * y], axis=1), 44_100)
    return path


# ---------------------------------------------------------------------------- sound to input


@settings(max_examples=10)
@given(st.sampled_from([8_000, 22_050, 44_100, 48_000]), st.floats(1.05, 4.5), st.integers(1, 3))
def test_windows_cover_a_recording_as_if_resampled_whole(tmp_path_factory, rate, seconds, channels):
    path = tmp_path_factory.mktemp("w") / "a.wav"
    write_sound(path, 1, seconds=seconds, sr=rate, channels=channels, subtype="FLOAT")
    y, _ = soundfile.read(path, dtype="float32", always_2d=True)
    whole = librosa.resample(y.mean(axis=1), orig_sr=rate, target_sr=SR)
    found = list(listening.windows(path, seconds=2.0, sr=SR))
    assert found[0][0] == 0.0
    for start, part in found:
        begin = round(start * SR)
        expected = whole[begin : begin + len(part)]
        assert part[: len(expected)] == pytest.approx(expected, abs=2e-3)
        assert len(part) == (2 * SR if seconds > 2.01 else pytest.approx(seconds * SR, abs=2))
    end = found[-1][0] + len(found[-1][1]) / SR
    assert seconds - listening.LEAST_SECONDS - 0.01 <= end <= seconds + 0.01


def test_memory_does_not_grow_with_the_recording(tmp_path):
    peaks = []
    for seconds in (60, 300):
        path = tmp_path / f"{seconds}.wav"
        soundfile.write(path, np.tile(song(0, 10.0), seconds // 10), SR)
        tracemalloc.start()
        for _ in listening.windows(path, seconds=5.0, sr=16_000):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def test_the_spectrogram_and_its_features_are_those_of_the_store(recognise):
    y = song(5, seconds=30.0)
    model = recognise.classifier
    heard = model.extract_features(y)
    power = librosa.feature.melspectrogram(y=y, sr=SR, n_mels=128)
    level = librosa.power_to_db(power, ref=np.max, top_db=80) / 80 + 1
    columns = np.floor((np.arange(387) + 0.5) * level.shape[1] / 387.5).astype(int)
    apart = np.abs(heard["spectrogram"] - level[:, columns].T)
    step = (1 - level.min()) / 256
    assert apart.max() <= 0.5 * step + 0.001  # float16 holds no more
    assert apart.mean() == pytest.approx(step / 4, rel=0.1)  # rounded to levels, and no more
    image, rate = heard["spectrogram"].T, model.about["recipe"]["frames_per_second"]
    families = extraction.from_log_mel(image, rate)
    assert list(families) == model.about["recipe"]["families"]
    assert heard["features"] == pytest.approx(summarising.summarise(families, 77), abs=1e-5)
    assert model.predict(heard).sum(axis=1) == pytest.approx(np.ones(5))


def test_a_study_with_recordings_is_heard_by_its_own_recipe():
    recipe = recipes.Recipe(n_mels=16, clip_seconds=4.0, excerpt_seconds=1.0, loudness="rms")
    about = recipe.__dict__ | {"kind": "study", "excerpt_frames": 21, "reads": ["features"]}
    about["families"] = ["log_mel", "mfcc"]
    y = song(1, seconds=4.0)
    heard = listening.inputs(y, about, {})
    scaled = audio.normalise_loudness(y, SR, "rms")
    expected = extraction.frame_features(scaled, recipe, ("log_mel", "mfcc"))
    assert heard["spectrogram"] == pytest.approx(expected["log_mel"].T)
    assert heard["log_mel"].shape == (4, 21, 16)
    assert heard["features"] == pytest.approx(summarising.summarise(expected, 21))


# ---------------------------------------------------------------------------- answers


def test_an_answer_keeps_its_schema_and_says_what_it_rests_on(recognise, piece):
    answer = recognise.run(piece)
    SCHEMA.validate(answer)
    assert answer["duration_s"] == pytest.approx(70, abs=0.05)
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert answer["confidence"] == max(answer["probabilities"].values())
    assert answer["probabilities"][answer["predicted_label"]] == answer["confidence"]
    assert answer["heard_s"] == answer["duration_s"] and len(answer["tags"]) == 5
    starts = [span["start_s"] for span in answer["timeline"]]
    assert starts == sorted(set(starts)) and answer["timeline"][-1]["end_s"] <= 70.01
    assert sum(s["end_s"] - s["start_s"] for s in answer["timeline"]) == pytest.approx(70, abs=6)
    assert answer["corpus"]["name"] == "gtzan" and answer["corpus"]["synthetic"] is False


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3", "m4a"])
def test_the_format_does_not_decide(recognise, tmp_path, kind):
    import subprocess

    import imageio_ffmpeg

    y, path = song(7, seconds=30.0), tmp_path / f"a.{kind}"
    y = y + 0.02 * np.random.default_rng(0).normal(size=len(y))
    passes = scipy.signal.butter(12, 8_000, output="sos", fs=SR)  # coders leave out what is above
    y = scipy.signal.sosfilt(passes, y)
    soundfile.write(tmp_path / "original.wav", y, SR)
    if kind == "m4a":
        program = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i"]
        subprocess.run([*program, tmp_path / "original.wav", "-b:a", "192k", path], check=True)
    else:
        soundfile.write(path, y, SR)
    one, other = recognise.run(path), recognise.run(tmp_path / "original.wav")
    assert one["predicted_label"] == other["predicted_label"]
    assert one["confidence"] == pytest.approx(other["confidence"], abs=0.15)


@pytest.mark.parametrize("seconds", [1.05, 2.0, 7.0, 30.0, 31.2])
def test_any_length_is_answered(recognise, tmp_path, seconds):
    path = write_sound(tmp_path / "a.wav", seconds=seconds)
    answer = recognise.run(path)
    SCHEMA.validate(answer)
    assert answer["timeline"][-1]["end_s"] <= seconds + 0.01
    short = any("repeated" in warning for warning in answer["warnings"])
    assert short == (seconds < recogniser.SHORT_SECONDS)


@pytest.mark.parametrize("kind", ["noise", "sine"])
def test_what_is_no_music_is_called_unlike_it(recognise, tmp_path, kind):
    t = np.arange(30 * SR) / SR
    y = np.sin(2 * np.pi * 440 * t) if kind == "sine" else sound(0, seconds=30.0)
    soundfile.write(tmp_path / "a.wav", 0.3 * y, SR)
    answer = recognise.run(tmp_path / "a.wav")
    assert answer["unlike_training"] and answer["distance"] > 1
    assert "unlike anything" in answer["warnings"][0]


@pytest.fixture(scope="module")
def long_piece(tmp_path_factory):
    """200 s, of which those from 80 to 170 are silent."""
    path = tmp_path_factory.mktemp("sound") / "long.flac"
    y = np.tile(song(4, seconds=10.0), 20)
    y[80 * SR : 170 * SR] = 0
    soundfile.write(path, y, SR)
    return path


def test_a_long_recording_is_heard_in_windows_evenly_spread(recognise, long_piece):
    found = list(listening.windows(long_piece, seconds=30.0, sr=SR, at_most=90.0))
    assert [start for start, _ in found] == pytest.approx(
        [200 / 6 - 15, 85, 500 / 3 - 15, 200], abs=1
    )
    y, _ = soundfile.read(long_piece, dtype="float32")
    for start, part in found[:-1]:
        at = round(start * SR)
        assert part == pytest.approx(y[at : at + 30 * SR], abs=1e-3)
    assert not len(found[-1][1])
    answer = recognise.run(long_piece)
    SCHEMA.validate(answer)
    assert answer["duration_s"] == pytest.approx(200) and answer["heard_s"] == pytest.approx(60)
    assert "1 windows of 30 s are silent." in answer["warnings"]
    everything = recogniser.MusicStyleRecognition(thorough=True).run(long_piece)
    assert 60 < everything["heard_s"] <= 140
    assert everything["predicted_label"] == answer["predicted_label"]


def test_music_between_silent_windows_is_found(recognise, tmp_path):
    y = np.zeros(200 * SR)
    y[120 * SR : 130 * SR] = song(4, seconds=10.0)
    soundfile.write(tmp_path / "a.wav", y, SR)
    answer = recognise.run(tmp_path / "a.wav")
    assert answer["heard_s"] == 30 and answer["duration_s"] == pytest.approx(200)


@pytest.mark.parametrize("kind", ["mp3", "wav"])
def test_a_long_recording_that_breaks_off_is_heard_as_far_as_it_goes(recognise, tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    soundfile.write(path, np.tile(song(4, seconds=10.0), 20), SR)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    answer = recognise.run(path)
    assert answer["duration_s"] == pytest.approx(133, abs=5)
    assert "announces" in answer["warnings"][-1]


def test_python_gets_a_typed_answer(recognise, piece):
    answer, run = recogniser.recognise(piece), recognise.run(piece)
    assert answer.label == run["predicted_label"] and answer.confidence == run["confidence"]
    assert list(answer.tags) == list(run["tags"]) and set(answer.tags) <= set(patches.TAGS)
    assert answer.timeline[0].end_s == run["timeline"][0]["end_s"]
    assert answer.probabilities == run["probabilities"] and answer.warnings == (*run["warnings"],)


def test_being_unsure_is_said(recognise):
    labels = recognise.classifier.about["labels"]
    even = np.full((2, len(labels)), 1 / len(labels))
    spans = [(0.0, 6.0), (6.0, 12.0)]
    heard = recogniser._Heard(spans, list(even), [0.5], end=12.0)
    answer = recogniser._prediction(recognise.classifier.about, heard)
    assert answer["uncertain"] and "unsure" in answer["warnings"][0]
    sure = np.eye(len(labels))[[2, 2]] * 0.99 + 0.001
    heard = recogniser._Heard(spans, list(sure), [0.5], end=12.0)
    answer = recogniser._prediction(recognise.classifier.about, heard)
    assert not answer["uncertain"] and answer["warnings"] == []


def test_silence_and_what_is_no_sound_are_refused(recognise, tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(40 * SR), SR)
    with pytest.raises(listening.RecognitionError, match="silence"):
        recognise.run(tmp_path / "silence.wav")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), SR)
    with pytest.raises(listening.RecognitionError, match="no sound"):
        recognise.run(tmp_path / "empty.wav")
    soundfile.write(tmp_path / "nan.wav", np.full(SR, np.nan), SR, subtype="FLOAT")
    with pytest.raises(listening.RecognitionError, match="not finite"):
        recognise.run(tmp_path / "nan.wav")


@pytest.mark.parametrize("share", [0.4, 1.0])
@pytest.mark.parametrize("name", ["a.mp3", "a.wav", "a.aiff", "a.au", "a.ogg"])
def test_a_recording_that_breaks_off_is_answered_with_a_warning(recognise, tmp_path, name, share):
    path = tmp_path / name
    soundfile.write(path, song(7, seconds=30.0), SR)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    answer = recognise.run(path)
    missing = [warning for warning in answer["warnings"] if "announces" in warning]
    assert len(missing) == (share < 1) and (answer["duration_s"] < 20) == (share < 1)


def test_what_a_model_heard_is_drawn_at_its_frequencies(recognise, tmp_path):
    t, images = np.arange(12 * SR) / SR, []
    soundfile.write(tmp_path / "a.wav", 0.3 * np.sin(2 * np.pi * 1000 * t), SR)
    answer = recognise.predict(
        recognise.preprocess(tmp_path / "a.wav"), lambda *w: images.append(w)
    )
    figure = figures.heard(images, answer, recognise.classifier.about["recipe"])
    spectrum, excerpts = figure.axes
    names = [label.get_text() for label in spectrum.get_yticklabels()]
    ticks = dict(zip(names, spectrum.get_yticks(), strict=True))
    (start, image), (drawn,) = images[0], spectrum.images
    assert start == 0 and image.mean(axis=0).argmax() + 0.5 == pytest.approx(ticks["1,000"], abs=1)
    assert drawn.get_extent()[1] == pytest.approx(12, abs=0.1)
    assert excerpts.get_xlim() == (0, answer["duration_s"])


@given(st.lists(st.floats(1e-6, 1), min_size=2, max_size=5), st.floats(0.2, 5))
def test_temperature_keeps_the_order_and_the_sum(p, temperature):
    p = np.array(p) / sum(p)
    scaled = calibration.apply_temperature(p, temperature)
    assert scaled.sum() == pytest.approx(1)
    assert scaled[p.argmax()] == scaled.max()
    assert calibration.apply_temperature(p, 1.0) == pytest.approx(p)


def test_the_papers_function_names_a_genre(piece):
    answer = recogniser.deep_learning_model(piece)
    assert set(answer) == {"audio_file", "predicted_genre"}
    assert (
        answer["predicted_genre"]
        == recogniser.MusicStyleRecognition().run(piece)["predicted_label"]
    )


# ---------------------------------------------------------------------------- the model file


def copied(tmp_path):
    """The model of this package, to be damaged."""
    for path in (
        exported_model.PRETRAINED,
        exported_model.sidecar_path(exported_model.PRETRAINED),
    ):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path / exported_model.PRETRAINED.name


def test_a_model_loads_only_as_its_sidecar_describes_it(tmp_path):
    path = copied(tmp_path)
    exported_model.MusicStyleClassifier(path)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(exported_model.ModelError, match="SHA-256"):
        exported_model.MusicStyleClassifier(path)
    beside = exported_model.sidecar_path(path)
    files.write_json(beside, files.read_json(beside) | {"format": 99})
    with pytest.raises(exported_model.ModelError, match="format 99"):
        exported_model.MusicStyleClassifier(path)
    beside.write_text("[]")
    with pytest.raises(exported_model.ModelError, match="no sidecar"):
        exported_model.MusicStyleClassifier(path)
    beside.unlink()
    with pytest.raises(exported_model.ModelError, match="not there"):
        exported_model.MusicStyleClassifier(path)


def test_the_less_is_heard_the_farther_from_training_it_may_be(tmp_path):
    path = copied(tmp_path)
    model = exported_model.MusicStyleClassifier(path)
    heard = model.extract_features(song(1, seconds=30.0))
    found = [model.distance(heard, seconds) for seconds in (1.0, 1.7, 3.0, 5.0, 30.0, 31.0)]
    assert found[:5] == sorted(set(found[:5])) and found[4] == found[5]
    beside = exported_model.sidecar_path(path)
    about = files.read_json(beside)
    del about["unlike"]["shorter"]  # as before lengths were told apart
    files.write_json(beside, about)
    old = exported_model.MusicStyleClassifier(path)
    assert old.distance(heard, 1.0) == old.distance(heard, 30.0) == found[4]


def test_no_pickle_is_read(tmp_path):
    path = copied(tmp_path)
    np.savez(path, weights=np.array([{"a": 1}], dtype=object))
    beside = exported_model.sidecar_path(path)
    about = files.read_json(beside) | {"sha256": exported_model.file_sha256(path)}
    files.write_json(beside, about)
    with pytest.raises(ValueError, match="pickle"):
        exported_model.MusicStyleClassifier(path)


def test_the_model_of_this_package_is_small_and_calibrated():
    about = exported_model.read_sidecar(exported_model.PRETRAINED)
    assert exported_model.PRETRAINED.stat().st_size < 3e6
    network = patches.NETWORK.stat().st_size
    assert network + exported_model.PRETRAINED.stat().st_size < 6e6
    assert about["accuracy"]["tracks"] == 342 and len(about["labels"]) == 10
    low, high = about["accuracy"]["ci95"]
    assert 0.6 < low < about["accuracy"]["value"] < high < 0.85
    assert about["unlike"]["false_alarms"] < 0.08


def test_real_music_it_was_trained_on_is_known_to_it(recognise, gtzan_mini):
    known = set(pd.read_csv(gtzan_mini.parent / "gtzan_mel80" / "tracks.csv")["track_id"])
    paths = [p for p in sorted(gtzan_mini.glob("genres/*/*.wav"))[::9] if p.stem in known]
    answers = [recognise.run(path) for path in paths]
    right = [a["predicted_label"] == p.parent.name for a, p in zip(answers, paths, strict=True)]
    assert np.mean(right) > 0.8 and len(paths) >= 8
    assert np.mean([answer["unlike_training"] for answer in answers]) < 0.3


# ---------------------------------------------------------------------------- two models


def timeline(*spans):
    return [{"start_s": a, "end_s": b, "label": label} for a, b, label in spans]


def test_two_models_are_compared_span_by_span(recognise, piece):
    analyzer = recogniser.ExperimentAnalyzer(recognise, recognise)
    found = analyzer.analyze_results(analyzer.compare_models(piece))
    assert found["agree"] and found["agreement"] == 1 and found["differences"] == []
    one = {"predicted_label": "jazz", "probabilities": {"jazz": 1, "rock": 0}}
    other = {"predicted_label": "rock", "probabilities": {"rock": 1, "pop": 0}}
    one |= {"timeline": timeline((0, 6, "jazz"), (6, 12, "jazz"), (12, 18, "rock"))}
    other |= {"timeline": timeline((0, 4, "jazz"), (4, 10, "rock"), (10, 18, "rock"))}
    found = analyzer.analyze_results({"audio_file": "a", "first": one, "second": other})
    assert not found["agree"] and found["agreement"] == round(10 / 18, 4)
    assert found["differences"] == [{"start_s": 4, "end_s": 12, "first": "jazz", "second": "rock"}]
    assert found["shared_genres"] == ["rock"]


# ---------------------------------------------------------------------------- command line


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Music with odd names, a text, a hidden file, a cover."""
    place = tmp_path_factory.mktemp("music")
    for name in ("=1+1.wav", 'a, "b"\nc.wav', "deep/ünï.wav"):
        write_sound(place / name, seconds=2.0)
    (place / "deep" / "notes.dat").write_text("no sound")
    (place / ".hidden.wav").write_text("")
    (place / "cover.jpg").write_text("")
    return place


def test_a_folder_is_recognised_and_its_bad_file_reported(folder, places):
    done = command("recognize", folder, folder / "missing.wav", env=places)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    for answer in answers:
        SCHEMA.validate(answer)
    assert done.returncode == 1 and len(answers) == 5
    wrong = {answer["audio_file"]: answer["error"] for answer in answers if "error" in answer}
    assert list(wrong) == [str(folder / "deep" / "notes.dat"), str(folder / "missing.wav")]
    assert wrong[str(folder / "missing.wav")] == "No such file or directory"
    assert "[5/5]" in done.stderr and "5 files: 2 could not be recognised" in done.stderr


def test_csv_is_safe_whatever_a_file_is_called(folder):
    recognise, handle = recogniser.MusicStyleRecognition(), io.StringIO()
    lines = output.CsvLines(handle, recognise.classifier.about["labels"])
    for name in ("=1+1.wav", 'a, "b"\nc.wav'):
        lines.write(name, recognise.run(folder / name) | {"audio_file": name})
    lines.write("@x", {"audio_file": "@x", "error": "why"})
    rows = list(csv.DictReader(io.StringIO(handle.getvalue())))
    assert [row["audio_file"] for row in rows] == ["'=1+1.wav", 'a, "b"\\nc.wav', "'@x"]
    assert float(rows[0]["p_jazz"]) >= 0 and rows[2]["p_jazz"] == ""
    assert len(handle.getvalue().splitlines()) == 4


def test_sound_on_standard_input_needs_no_heavy_library(folder, places):
    import os
    import subprocess
    import sys

    with open(folder / "=1+1.wav", "rb") as handle:
        arguments = [sys.executable, "-X", "importtime", "-m", "genre_utils", "recognize", "-"]
        before = os.times()
        done = subprocess.run(arguments, stdin=handle, capture_output=True, env=os.environ | places)
        spent = os.times()
    SCHEMA.validate(json.loads(done.stdout))
    assert done.returncode == 0
    loaded = {line.rpartition(b"|")[2].strip() for line in done.stderr.splitlines()}
    heavy = {b"tensorflow", b"keras", b"librosa.core", b"pandas", b"sklearn", b"matplotlib"}
    assert b"genre_utils.features.summarising" in loaded and not heavy & loaded
    seconds = spent.children_user + spent.children_system
    assert seconds - before.children_user - before.children_system < 5  # on a busy machine


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_output_that_cannot_be_written_is_said_and_a_reader_who_leaves_is_not(tmp_path):
    path = write_sound(tmp_path / "clip.wav", seconds=3.0)
    arguments = [sys.executable, "-m", "genre_utils", "recognize", path]
    with open("/dev/full", "w") as full:
        done = subprocess.run(arguments, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "Nothing more can be written" in done.stderr
    reader, writer = os.pipe()
    os.close(reader)
    gone = subprocess.run(arguments, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert gone.returncode == 1 and "Traceback" not in done.stderr + gone.stderr


def test_wrong_usage_is_told_apart_from_a_bad_file(folder, tmp_path, places):
    done = command("recognize", folder / "=1+1.wav", "--model", tmp_path / "no.npz", env=places)
    assert done.returncode == 2 and "is not there" in done.stderr and not done.stdout
    assert command("recognize", env=places).returncode == 2


def test_an_empty_folder_is_an_error(tmp_path, places):
    done = command("recognize", tmp_path, env=places)
    assert done.returncode == 1 and "no file" in done.stderr


def test_names_that_are_not_unicode_are_spelled_out():
    assert recogniser.printable(b"caf\xe9.wav".decode("utf-8", "surrogateescape")) == "caf\\xe9.wav"


@given(st.integers(0, 1000), st.sampled_from([1, 2]), st.integers(9, 40))
def test_derivatives_are_those_of_scipy(seed, order, frames):
    rows = np.random.default_rng(seed).normal(size=(3, frames))
    expected = scipy.signal.savgol_filter(rows, 9, order, deriv=order, axis=1, mode="interp")
    np.testing.assert_allclose(listening._derivative(rows, order, 9), expected, atol=1e-9)
