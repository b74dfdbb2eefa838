"""Neighbours of a recording: distances, reasons, the command line."""

import csv
import io
import json

import librosa
import numpy as np
import pytest
import soundfile
from conftest import song, write_sound

from genre_utils.features import audio, catalogue, extraction, patches, summarising
from genre_utils.recognition import exported_model, similarity
from genre_utils.workspace import files
from study_runs import command, places_fixture  # noqa: F401

SR = audio.SAMPLE_RATE


@pytest.fixture(scope="module")
def model():
    return exported_model.MusicStyleClassifier()


# ---------------------------------------------------------------------------- hearing a file


def test_timbre_is_the_statistics_of_the_mfccs(model):
    recipe = model.about["recipe"]
    image = np.random.default_rng(0).random((recipe["n_mels"], 80), dtype=np.float32)
    families = extraction.from_log_mel(image, recipe["frames_per_second"])
    names = summarising.summary_columns(families)
    assert len(names) + patches.EMBEDDING == len(model.arrays["mean"])
    chosen = names[similarity._timbre_columns(recipe)]
    assert chosen == [name for name in names if catalogue.family_of(name) == "mfcc"]


def test_a_file_is_described_as_the_model_hears_it_and_once(model, tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    soundfile.write(path, song(2, 30.0), SR)
    found = similarity._described(model, path)
    y = librosa.load(path, sr=SR)[0]
    heard = model.extract_features(y)
    assert found["x"] == pytest.approx(heard["features"].mean(axis=0), abs=1e-4)
    assert found["p"] == pytest.approx(model.predict(heard).mean(axis=0), abs=1e-4)
    copy = tmp_path / "another name.wav"
    copy.write_bytes(path.read_bytes())
    with monkeypatch.context() as patch:
        patch.setattr(similarity, "_describe", None)  # it would fail if it were called
        again = similarity._described(model, copy)
    assert again["md5"] == found["md5"] == files.file_md5(path)
    assert all((again[key] == found[key]).all() for key in ("x", "p"))
    for place in (files.cache_folder() / "similarity").rglob("*.npz"):
        place.write_bytes(place.read_bytes()[:40])  # cut off
    assert similarity._described(model, path)["x"] == pytest.approx(found["x"])


# ---------------------------------------------------------------------------- command line


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five songs, of which one is there twice, a file that is no sound, and a cover."""
    place = tmp_path_factory.mktemp("music")
    for n in range(4):
        (place / "deep").mkdir(exist_ok=True)
        soundfile.write(place / "deep" / f"{n}.wav", song(n, 6.0), SR)
    write_sound(place / "=1+1.wav", 5, seconds=6.0)
    (place / "copy.wav").write_bytes((place / "deep" / "0.wav").read_bytes())
    (place / "cover.jpg").write_text("")
    return place


def test_neighbours_are_told_nearest_first_without_the_query(folder, places):
    query = folder / "deep" / "0.wav"
    done = command("similar", query, "--library", folder, "--count", 3, env=places)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert [answer["rank"] for answer in answers] == [1, 2, 3]
    assert all(list(answer) == list(similarity.COLUMNS) for answer in answers)
    distances = [answer["distance"] for answer in answers]
    assert distances == sorted(distances) and distances[0] > 0
    named = {answer["audio_file"] for answer in answers}
    assert not named & {str(query), str(folder / "copy.wav")}
    assert answers[0]["reason"].count(";") >= 1 and "library" in done.stderr


def test_bad_files_are_reported_and_heavy_libraries_not_loaded(folder, places, tmp_path):
    import os
    import subprocess
    import sys

    (folder / "notes.dat").write_text("no sound")
    arguments = ["similar", folder / "deep" / "0.wav", "--library", folder, "--format", "csv"]
    program = [sys.executable, "-X", "importtime", "-m", "genre_utils", *map(str, arguments)]
    done = subprocess.run(program, capture_output=True, text=True, env=os.environ | places)
    (folder / "notes.dat").unlink()
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert done.returncode == 1 and len(rows) == 4
    assert "left out" in done.stderr and "notes.dat" in done.stderr
    assert any(row["audio_file"].endswith("=1+1.wav") for row in rows)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "scipy.spatial" in loaded
    assert not {"tensorflow", "keras", "librosa.core", "matplotlib", "sklearn", "pandas"} & loaded


def test_wrong_usage_is_told_apart_from_a_bad_file(folder, tmp_path, places):
    done = command("similar", folder / "no.wav", "--library", folder, env=places)
    assert done.returncode == 1 and "No such file" in done.stderr and not done.stdout
    done = command("similar", folder / "copy.wav", "--library", tmp_path / "none", env=places)
    assert done.returncode == 2 and "no folder" in done.stderr
    done = command("similar", folder / "copy.wav", "--library", folder, "--count", 0, env=places)
    assert done.returncode == 2 and "from 1 up" in done.stderr


def test_a_library_of_the_query_alone_has_nothing_to_tell(folder, tmp_path):
    query = tmp_path / "a.wav"
    query.write_bytes((folder / "copy.wav").read_bytes())
    with pytest.raises(similarity.SimilarityError, match="but the query itself"):
        similarity.search(str(query), str(tmp_path))


def test_csv_is_safe_whatever_a_file_is_called():
    handle = io.StringIO()
    answer = dict.fromkeys(similarity.COLUMNS, 1) | {"audio_file": "=1+1.wav"}
    similarity.write(handle, [answer], "csv")
    assert next(csv.DictReader(io.StringIO(handle.getvalue())))["audio_file"] == "'=1+1.wav"
