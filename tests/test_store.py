import shutil
from dataclasses import replace

import librosa
import numpy as np
import pandas as pd
import pytest

from genre_utils import audio, corpus, features, files, store

RECIPE = features.Recipe(n_mels=16, n_mfcc=6, clip_seconds=1.0, excerpt_seconds=0.4)


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
    store.extract(tracks, folder, study, recipe, n_jobs=n_jobs, **options)
    assert not list(study.glob(".*"))
    return {path.name: path.read_bytes() for path in sorted(study.iterdir())}


def cached_files(music):
    return sorted((music[2] / "cache").rglob("*.npz"))


def test_the_store_holds_the_features_of_each_track(music):
    extracted(music)
    tracks, folder, place = music
    stored = np.load(place / "study" / "features.npy")
    assert (stored.shape, stored.dtype) == ((3, RECIPE.frames, 16), np.float32)
    summary = pd.read_parquet(place / "study" / "summary.parquet")
    assert list(summary["track_id"]) == [t for t in tracks["track_id"] for _ in range(2)]
    assert list(summary["excerpt"]) == [0, 1] * 3
    length = features.excerpt_frames(0.4, RECIPE.frames_per_second)
    for row, path in enumerate(tracks["path"]):
        y, _ = audio.load_clip(folder / path, seconds=1.0)
        families = features.frame_features(y, RECIPE)
        np.testing.assert_array_equal(stored[row], families["log_mel"].T)
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
    plain, stored, other = (
        np.load(music[2] / name / "features.npy") for name in ("study", "copies", "other")
    )
    index = pd.read_parquet(music[2] / "copies" / "features.parquet")
    assert list(index["track_id"]) == [t for t in music[0]["track_id"] for _ in range(3)]
    assert list(index["copy"]) == [0, 1, 2] * 3
    np.testing.assert_array_equal(stored[::3], plain)
    np.testing.assert_array_equal(other[::3], plain)
    changed = [not np.array_equal(stored[row], plain[row // 3]) for row in range(9) if row % 3]
    assert sum(changed) >= 4  # each of five effects is left out half of the time
    assert not np.array_equal(stored, other)
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
    stored = np.arange(3 * 11, dtype=np.float32).reshape(3, 11, 1)
    np.save(tmp_path / "features.npy", stored)
    index = pd.DataFrame({"track_id": list("abc"), "copy": 0, "frames": [11, 7, 3]})
    files.write_table(tmp_path / "features.parquet", index)
    excerpts, table = store.load_excerpts(tmp_path)
    assert list(zip(table["track_id"], table["excerpt"], strict=True)) == [
        ("a", 0),
        ("a", 1),
        ("b", 0),
    ]
    expected = [stored[0, :4], stored[0, 4:8], stored[1, :4]]
    np.testing.assert_array_equal(excerpts, expected)


def test_a_track_shorter_than_a_clip_is_padded_with_silence(music):
    place = music[2]
    extracted(music, recipe=replace(RECIPE, clip_seconds=2.0))
    stored = np.load(place / "study" / "features.npy")
    frames = pd.read_parquet(place / "study" / "features.parquet")["frames"]
    assert list(frames) == [RECIPE.frames] * 3
    assert stored.shape[1] == 44
    assert (stored[:, RECIPE.frames :] == 0).all()
    excerpts, table = store.load_excerpts(place / "study")
    summary = pd.read_parquet(place / "study" / "summary.parquet")
    pd.testing.assert_frame_equal(table, summary[["track_id", "copy", "excerpt"]])
    assert len(excerpts) == 6


def test_a_store_gives_the_families_that_follow_from_log_mel(tmp_path):
    log_mel = np.random.default_rng(0).random((2, 30, 24)).astype(np.float16)
    tracks = pd.DataFrame({"track_id": ["a", "b"], "md5": ["0", "1"]})
    described = store.extract_from_store(
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
    excerpts, table = store.load_excerpts(tmp_path)
    assert excerpts.shape == (6, 10, 24)
    assert list(table["excerpt"]) == [0, 1, 2, 0, 1, 2]
