import os
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace

import librosa
import numpy as np
import pandas as pd
import pytest
from conftest import write_sound

from genre_utils.data import auditing, corpora
from genre_utils.features import audio, catalogue, extraction, recipes, store, summarising
from genre_utils.workspace import files, parallel
from genre_utils.workspace.study_folder import StudyFolder

RECIPE = recipes.Recipe(n_mels=16, n_mfcc=6, clip_seconds=1.0, excerpt_seconds=0.4)
pytestmark = pytest.mark.filterwarnings("ignore:n_fft=1024 is too large")  # of short clips, by CQT


@pytest.fixture
def music(genre_folder, tmp_path, monkeypatch):
    """Audited made-up music, its folder, and an empty cache."""
    monkeypatch.setenv("GENRE_CACHE_DIR", str(tmp_path / "cache"))
    tracks = corpora.find_tracks("folder", genre_folder)[:3]
    return auditing.audit(tracks, genre_folder, min_seconds=0.5, n_jobs=1), genre_folder, tmp_path


def extracted(music, name="study", recipe=RECIPE, n_jobs=1, **options):
    """Bytes of the store, by file."""
    tracks, folder, place = music
    study = StudyFolder(place / name, make=True)
    store.extract(tracks, folder, study, recipe, n_jobs=n_jobs, **options)
    assert not list(study.path.glob(".*"))
    return {path.name: path.read_bytes() for path in sorted(study.path.iterdir())}


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
    length = recipes.excerpt_frames(0.4, RECIPE.frames_per_second)
    for row, path in enumerate(tracks["path"]):
        y, _ = audio.load_clip(folder / path, seconds=1.0)
        families = parallel.alone(extraction.frame_features, (y, RECIPE))  # on one thread, as there
        np.testing.assert_array_equal(stored[row], families["log_mel"].T)
        rows = summary[summary["track_id"] == tracks["track_id"][row]]
        expected = summarising.summarise(families, length)
        np.testing.assert_array_equal(rows[summarising.summary_columns(families)], expected)


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


#: Extracts the tracks of a table, as a study does.
EXTRACTION = """
import sys
from pathlib import Path
import pandas as pd
from genre_utils.features import recipes, store
from genre_utils.workspace.study_folder import StudyFolder
tracks, folder, study, n_jobs = sys.argv[1:]
recipe = recipes.Recipe(n_mels=16, n_mfcc=6, clip_seconds=1.0, excerpt_seconds=0.4)
store.extract(pd.read_parquet(tracks), Path(folder), StudyFolder(study), recipe, n_jobs=int(n_jobs))
"""


def started(music, name, n_jobs):
    """Start the extraction of some music in processes of its own."""
    tracks, folder, place = music
    tracks.to_parquet(place / "tracks.parquet")
    (place / name).mkdir()
    arguments = [place / "tracks.parquet", folder, place / name, n_jobs]
    return subprocess.Popen(
        [sys.executable, "-c", EXTRACTION, *map(str, arguments)],
        start_new_session=True,  # so that its workers can be ended with it
        env=os.environ | {"PYTHONPATH": str(files.ROOT)},
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture
def much_music(music):
    """Thirty tracks."""
    _, _, place = music
    for i in range(30):
        write_sound(place / "much" / "rock" / f"{i:02d}.wav", seed=i)
    found = corpora.find_tracks("folder", place / "much")
    return auditing.audit(found, place / "much", min_seconds=0.5, n_jobs=1), place / "much", place


def test_an_extraction_that_was_killed_computes_what_is_missing_alone(much_music):
    killed = started(much_music, "killed", n_jobs=2)
    while len(done := [p for p in cached_files(much_music) if p.name[0] != "."]) < 6:
        assert killed.poll() is None
        time.sleep(0.005)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    time.sleep(0.2)
    done = [p for p in cached_files(much_music) if p.name[0] != "."]
    assert 6 <= len(done) < 30 and not (much_music[2] / "killed" / "features.npy").exists()
    before = {path: path.stat().st_mtime_ns for path in done}
    resumed = extracted(much_music, "resumed")
    assert {path: path.stat().st_mtime_ns for path in done} == before
    assert len([p for p in cached_files(much_music) if p.name[0] != "."]) == 30
    shutil.rmtree(much_music[2] / "cache")
    assert extracted(much_music, "undisturbed") == resumed


def test_two_extractions_at_once_share_a_cache(much_music):
    both = [started(much_music, name, n_jobs=1) for name in ("one", "two")]
    assert [child.wait(120) for child in both] == [0, 0]
    one, two = (
        {path.name: path.read_bytes() for path in sorted((much_music[2] / name).iterdir())}
        for name in ("one", "two")
    )
    assert one == two == extracted(much_music, "again")
    assert len(cached_files(much_music)) == 30


@pytest.mark.parametrize("removed", [False, True])
def test_a_file_that_has_changed_since_it_was_checked_is_refused(music, removed):
    tracks, folder, _ = music
    path = folder / tracks["path"][1]
    if removed:
        path.unlink()
    else:
        write_sound(path, seed=99)
    with pytest.raises(store.ChangedFileError, match=rf"{path.name}.*has changed.*--from 01"):
        extracted(music)
    assert len(cached_files(music)) == 1
    assert not list((music[2] / "study").iterdir())


def test_row_groups_leave_no_seam(music, monkeypatch):
    whole = extracted(music)
    monkeypatch.setattr(store, "ROW_GROUP", 2)
    cut = extracted(music, "cut")
    assert {name for name in whole if cut[name] != whole[name]} == {"summary.parquet"}
    tables = [pd.read_parquet(music[2] / name / "summary.parquet") for name in ("study", "cut")]
    pd.testing.assert_frame_equal(*tables)


def test_memory_does_not_grow_with_the_number_of_tracks(tmp_path, monkeypatch):
    columns = [f"c_{i}" for i in range(300)]
    clip = np.ones((100, 64), np.float32), np.ones((4, 300), np.float32), columns
    monkeypatch.setattr(parallel, "over", lambda _, jobs, *__, **___: (clip for _ in jobs))
    recipe = recipes.Recipe(clip_seconds=4.6)
    peaks = []
    for count in (1200, 3000):
        tracks = pd.DataFrame({"track_id": [f"track {i:06d}" for i in range(count)]})
        tracks = tracks.assign(path="a.wav", md5=tracks["track_id"])
        tracemalloc.start()
        store.extract(tracks, tmp_path, StudyFolder(tmp_path), recipe)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    stored = (tmp_path / "features.npy").stat().st_size
    assert stored > 70e6 and peaks[1] - peaks[0] < 4e6
    assert len(pd.read_parquet(tmp_path / "summary.parquet")) == 4 * 3000


def test_short_tracks_are_cut_into_fewer_excerpts(tmp_path):
    described = {"recipe": None, "excerpt_seconds": 2.0, "frames_per_second": 2.0}
    files.write_json(tmp_path / "features.json", described)
    stored = np.arange(3 * 11, dtype=np.float32).reshape(3, 11, 1)
    np.save(tmp_path / "features.npy", stored)
    index = pd.DataFrame({"track_id": list("abc"), "copy": 0, "frames": [11, 7, 3]})
    files.write_table(tmp_path / "features.parquet", index)
    excerpts, table = store.load_excerpts(StudyFolder(tmp_path))
    assert list(zip(table["track_id"], table["excerpt"], strict=True)) == [
        ("a", 0),
        ("a", 1),
        ("b", 0),
    ]
    expected = [stored[0, :4], stored[0, 4:8], stored[1, :4]]
    np.testing.assert_array_equal(excerpts, expected)
    np.testing.assert_array_equal(excerpts[[2, 0]], [expected[2], expected[0]])
    np.testing.assert_array_equal(excerpts.only(np.array([1, 2]))[1], expected[2])
    for seed in range(20):
        found = excerpts.anywhere(np.arange(3), np.random.default_rng(seed))
        for one, clip, last in zip(found, stored[[0, 0, 1]], (4, 4, 0), strict=True):
            start = int(one[0, 0] - clip[0, 0])
            assert 0 <= start <= last
            np.testing.assert_array_equal(one, clip[start : start + 4])


def test_a_track_shorter_than_a_clip_is_padded_with_silence(music):
    place = music[2]
    extracted(music, recipe=replace(RECIPE, clip_seconds=2.0))
    stored = np.load(place / "study" / "features.npy")
    frames = pd.read_parquet(place / "study" / "features.parquet")["frames"]
    assert list(frames) == [RECIPE.frames] * 3
    assert stored.shape[1] == 44
    assert (stored[:, RECIPE.frames :] == 0).all()
    excerpts, table = store.load_excerpts(StudyFolder(place / "study"))
    summary = pd.read_parquet(place / "study" / "summary.parquet")
    pd.testing.assert_frame_equal(table, summary[["track_id", "copy", "excerpt"]])
    assert len(excerpts) == 6


def test_a_store_gives_the_families_that_follow_from_log_mel(tmp_path):
    log_mel = np.random.default_rng(0).random((2, 30, 24)).astype(np.float16)
    tracks = pd.DataFrame({"track_id": ["a", "b"], "md5": ["0", "1"]})
    described = store.extract_from_store(
        tracks, log_mel, StudyFolder(tmp_path), clip_seconds=3.0, excerpt_seconds=1.0
    )
    mels = ["log_mel", "mfcc", "mfcc_delta", "mfcc_delta2", "onset_strength"]
    mels += ["modulation"]
    assert described["families"] == mels
    assert described["recipe"] is None
    np.testing.assert_array_equal(np.load(tmp_path / "features.npy"), log_mel.astype(np.float32))
    summary = pd.read_parquet(tmp_path / "summary.parquet")
    found = {catalogue.family_of(c) for c in summary.columns[3:]}
    assert found == set(described["families"])
    mfcc = librosa.feature.mfcc(S=log_mel[1, :20].T.astype(np.float32), n_mfcc=20)
    row = summary[(summary["track_id"] == "b") & (summary["excerpt"] == 1)]
    assert row["mfcc_03_mean"].item() == pytest.approx(mfcc[2, 10:].mean(), abs=1e-5)
    excerpts, table = store.load_excerpts(StudyFolder(tmp_path))
    assert excerpts.shape == (6, 10, 24)
    assert list(table["excerpt"]) == [0, 1, 2, 0, 1, 2]
