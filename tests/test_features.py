import shutil
from dataclasses import replace

import librosa
import numpy as np
import pandas as pd
import pytest
from conftest import sound
from hypothesis import given
from hypothesis import strategies as st

from genre_utils import audio, corpus, features, files

RECIPE = features.Recipe(n_mels=16, n_mfcc=6, clip_seconds=1.0, excerpt_seconds=0.4)
STFT = {"n_fft": 2048, "hop_length": 1024}


def assert_as_librosa(y):
    """Each family against librosa's own function, called for it alone."""
    recipe, sr = features.Recipe(), 22_050
    found = features.frame_features(y, recipe)
    mel = librosa.feature.melspectrogram(y=y, sr=sr, n_mels=64, **STFT)
    mfcc = librosa.feature.mfcc(S=librosa.power_to_db(mel, ref=np.max, top_db=80), sr=sr, n_mfcc=20)
    magnitude = np.abs(librosa.stft(y, **STFT))
    expected = {
        "log_mel": (librosa.power_to_db(mel, ref=np.max, top_db=80) + 80) / 80,
        "mfcc": mfcc,
        "mfcc_delta": librosa.feature.delta(mfcc, width=9),
        "mfcc_delta2": librosa.feature.delta(mfcc, width=9, order=2),
        "chroma": librosa.feature.chroma_stft(y=y, sr=sr, tuning=0.0, **STFT),
        "zero_crossing_rate": librosa.feature.zero_crossing_rate(
            y, frame_length=2048, hop_length=1024
        ),
        "short_time_energy": librosa.feature.rms(y=y, frame_length=2048, hop_length=1024) ** 2,
        "spectral_centroid": librosa.feature.spectral_centroid(y=y, sr=sr, **STFT),
        "spectral_mean": np.array([[column.mean() for column in magnitude.T]]),
        "spectral_variance": np.array([[column.var() for column in magnitude.T]]),
    }
    assert list(found) == list(expected) == list(features.FAMILIES)
    for family, values in expected.items():
        assert (found[family].dtype, found[family].shape) == (np.float32, values.shape)
        limit = 1e-5 * np.abs(values).max() + 1e-7
        np.testing.assert_allclose(found[family], values, rtol=1e-4, atol=limit, err_msg=family)
    own = librosa.feature.mfcc(y=y, sr=sr, n_mfcc=20, n_mels=64, **STFT)
    if np.ptp(librosa.power_to_db(mel, top_db=None)) < 80:  # else the two floors differ
        np.testing.assert_allclose(found["mfcc"][1:], own[1:], atol=0.01)


@pytest.mark.parametrize("seconds", [0.5, 1.0, 2.37])
def test_every_family_is_what_librosa_computes_for_it_alone(seconds):
    assert_as_librosa(sound(4, seconds=seconds).astype(np.float32))


@pytest.mark.parametrize(
    "track", ["jazz/jazz.00000", "classical/classical.00003", "rock/rock.00009"]
)
def test_every_family_of_real_music_is_what_librosa_computes(gtzan_mini, track):
    y, _ = audio.load_clip(gtzan_mini / "genres" / f"{track}.wav", seconds=8.0)
    assert_as_librosa(y)


def test_log_mel_lies_between_0_and_1_and_silence_is_finite():
    values = features.frame_features(sound(1).astype(np.float32), RECIPE)["log_mel"]
    assert values.max() == 1.0
    assert values.min() >= 0.0
    silent = features.frame_features(np.zeros(22_050, np.float32), RECIPE)
    assert all(np.isfinite(family).all() for family in silent.values())


@given(st.integers(1, 9), st.integers(1, 40), st.integers(0, 99))
def test_summaries_are_the_mean_and_deviation_over_each_excerpt(length, frames, seed):
    rng = np.random.default_rng(seed)
    families = {"one": rng.normal(size=(1, frames)), "two_words": rng.normal(size=(3, frames))}
    names = features.summary_columns(families)
    found = features.summarise(families, length)
    assert found.shape == (frames // length, len(names))
    for e in range(frames // length):
        for family, values in families.items():
            for i, row in enumerate(values, 1):
                cut = row[e * length : (e + 1) * length]
                for statistic, value in (("mean", cut.mean()), ("std", cut.std())):
                    name = f"{family}_{i:02d}_{statistic}"
                    assert features.family_of(name) == family
                    assert found[e, names.index(name)] == pytest.approx(value, abs=1e-5)


# ---------------------------------------------------------------------------- the store


@pytest.fixture
def music(genre_folder, tmp_path, monkeypatch):
    """Audited made-up music, its folder, and an empty cache."""
    monkeypatch.setenv("GENRE_CACHE_DIR", str(tmp_path / "cache"))
    tracks = corpus.find_tracks("folder", genre_folder)[:3]
    return corpus.audit(tracks, genre_folder, min_seconds=0.5, n_jobs=1), genre_folder, tmp_path


def extracted(music, name="study", recipe=RECIPE, n_jobs=1, **options):
    """Bytes of the store, by file."""
    tracks, folder, place = music
    study = place / name
    study.mkdir(exist_ok=True)
    features.extract(tracks, folder, study, recipe, n_jobs=n_jobs, **options)
    assert not list(study.glob(".*"))
    return {path.name: path.read_bytes() for path in sorted(study.iterdir())}


def cached_files(music):
    return sorted((music[2] / "cache").rglob("*.npz"))


def test_the_store_holds_the_features_of_each_track(music):
    extracted(music)
    tracks, folder, place = music
    store = np.load(place / "study" / "features.npy")
    assert (store.shape, store.dtype) == ((3, RECIPE.frames, 16), np.float32)
    summary = pd.read_parquet(place / "study" / "summary.parquet")
    assert list(summary["track_id"]) == [t for t in tracks["track_id"] for _ in range(2)]
    assert list(summary["excerpt"]) == [0, 1] * 3
    length = features.excerpt_frames(0.4, RECIPE.frames_per_second)
    for row, path in enumerate(tracks["path"]):
        y, _ = audio.load_clip(folder / path, seconds=1.0)
        families = features.frame_features(y, RECIPE)
        np.testing.assert_array_equal(store[row], families["log_mel"].T)
        rows = summary[summary["track_id"] == tracks["track_id"][row]]
        expected = features.summarise(families, length)
        np.testing.assert_array_equal(rows[features.summary_columns(families)], expected)


def test_a_second_run_reads_the_cache(music):
    first = extracted(music)
    shutil.rmtree(music[1])
    assert extracted(music, "again") == first


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "flipped", "header"])
def test_a_damaged_cache_is_computed_again(music, damage):
    first = extracted(music)
    assert len(cached_files(music)) == 3
    for path in cached_files(music):
        good = path.read_bytes()
        middle, header = len(good) // 2, bytearray(good)
        header[header.index(b"PK\x01\x02") + 10] = 77  # a way of compression that nobody knows
        flipped = good[:middle] + bytes([good[middle] ^ 255]) + good[middle + 1 :]
        kinds = {"cut": good[:middle], "empty": b"", "text": b"hi", "flipped": flipped}
        path.write_bytes((kinds | {"header": bytes(header)})[damage])
    assert extracted(music, "again") == first
    shutil.rmtree(music[1])
    assert extracted(music, "repaired") == first


@pytest.mark.parametrize(
    "change", [{"n_mels": 20}, {"clip_seconds": 0.9}, {"excerpt_seconds": 0.3}, {"n_mfcc": 5}]
)
def test_another_recipe_is_computed_anew_and_leaves_the_first(music, change):
    first = extracted(music)
    other = extracted(music, "other", recipe=replace(RECIPE, **change))
    assert len(cached_files(music)) == 6
    assert other["features.json"] != first["features.json"]
    assert extracted(music, "again") == first


def test_copies_are_marked_with_their_track_and_leave_the_originals(music):
    pytest.importorskip("audiomentations")
    extracted(music)
    one = extracted(music, "copies", copies=2, seed=1)
    assert extracted(music, "same", copies=2, seed=1) == one
    extracted(music, "other", copies=2, seed=2)
    plain, store, other = (
        np.load(music[2] / name / "features.npy") for name in ("study", "copies", "other")
    )
    index = pd.read_parquet(music[2] / "copies" / "features.parquet")
    assert list(index["track_id"]) == [t for t in music[0]["track_id"] for _ in range(3)]
    assert list(index["copy"]) == [0, 1, 2] * 3
    np.testing.assert_array_equal(store[::3], plain)
    np.testing.assert_array_equal(other[::3], plain)
    changed = [not np.array_equal(store[row], plain[row // 3]) for row in range(9) if row % 3]
    assert sum(changed) >= 4  # each of five effects is left out half of the time
    assert not np.array_equal(store, other)
    summary = pd.read_parquet(music[2] / "copies" / "summary.parquet")
    originals = summary[summary["copy"] == 0].reset_index(drop=True)
    expected = pd.read_parquet(music[2] / "study" / "summary.parquet")
    pd.testing.assert_frame_equal(originals, expected)


def test_one_process_and_two_write_the_same_bytes(music):
    one = extracted(music)
    shutil.rmtree(music[2] / "cache")
    assert extracted(music, "two", n_jobs=2) == one


def test_short_tracks_are_cut_into_fewer_excerpts(tmp_path):
    described = {"recipe": None, "excerpt_seconds": 2.0, "frames_per_second": 2.0}
    files.write_json(tmp_path / "features.json", described)
    store = np.arange(3 * 11, dtype=np.float32).reshape(3, 11, 1)
    np.save(tmp_path / "features.npy", store)
    index = pd.DataFrame({"track_id": list("abc"), "copy": 0, "frames": [11, 7, 3]})
    files.write_table(tmp_path / "features.parquet", index)
    excerpts, table = features.load_excerpts(tmp_path)
    assert list(zip(table["track_id"], table["excerpt"], strict=True)) == [
        ("a", 0),
        ("a", 1),
        ("b", 0),
    ]
    expected = [store[0, :4], store[0, 4:8], store[1, :4]]
    np.testing.assert_array_equal(excerpts, expected)


def test_a_track_shorter_than_a_clip_is_padded_with_silence(music):
    place = music[2]
    extracted(music, recipe=replace(RECIPE, clip_seconds=2.0))
    store = np.load(place / "study" / "features.npy")
    frames = pd.read_parquet(place / "study" / "features.parquet")["frames"]
    assert list(frames) == [RECIPE.frames] * 3
    assert store.shape[1] == 44
    assert (store[:, RECIPE.frames :] == 0).all()
    excerpts, table = features.load_excerpts(place / "study")
    summary = pd.read_parquet(place / "study" / "summary.parquet")
    pd.testing.assert_frame_equal(table, summary[["track_id", "copy", "excerpt"]])
    assert len(excerpts) == 6


def test_a_store_gives_the_families_that_follow_from_log_mel(tmp_path):
    log_mel = np.random.default_rng(0).random((2, 30, 24)).astype(np.float16)
    tracks = pd.DataFrame({"track_id": ["a", "b"], "md5": ["0", "1"]})
    described = features.extract_from_store(
        tracks, log_mel, tmp_path, clip_seconds=3.0, excerpt_seconds=1.0
    )
    assert described["families"] == ["log_mel", "mfcc", "mfcc_delta", "mfcc_delta2"]
    assert described["recipe"] is None
    np.testing.assert_array_equal(np.load(tmp_path / "features.npy"), log_mel.astype(np.float32))
    summary = pd.read_parquet(tmp_path / "summary.parquet")
    found = {features.family_of(c) for c in summary.columns[3:]}
    assert found == set(described["families"])
    mfcc = librosa.feature.mfcc(S=log_mel[1, :20].T.astype(np.float32), n_mfcc=20)
    row = summary[(summary["track_id"] == "b") & (summary["excerpt"] == 1)]
    assert row["mfcc_03_mean"].item() == pytest.approx(mfcc[2, 10:].mean(), abs=1e-5)
    excerpts, table = features.load_excerpts(tmp_path)
    assert excerpts.shape == (6, 10, 24)
    assert list(table["excerpt"]) == [0, 1, 2, 0, 1, 2]
