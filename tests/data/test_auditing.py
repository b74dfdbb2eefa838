"""What the audit excludes, and why; copies; the command."""

import io
import json
import os
import re
import shutil

import mutagen.id3
import mutagen.wave
import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import song, sound, write_sound

from genre_utils.data import auditing, corpora, fingerprint, splits
from genre_utils.features import audio
from genre_utils.workspace import files
from study_runs import command


def audited(folder, min_seconds=0.5):
    table = auditing.audit(
        corpora.find_tracks("folder", folder), folder, min_seconds=min_seconds, n_jobs=1
    )
    return table.set_index("track_id")


def write_bytes(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def wav_bytes(seed):
    buffer = io.BytesIO()
    soundfile.write(buffer, sound(seed), 22_050, format="WAV")
    return buffer.getvalue()


# ---------------------------------------------------------------------------- audit


def not_finite(path, value):
    y = sound(0)
    y[len(y) // 2] = value
    soundfile.write(path, y, 22_050, subtype="FLOAT")


def truncated(path):
    write_sound(path)
    path.write_bytes(path.read_bytes()[:-5001])


ODD_FILES = {
    "text.wav": (lambda p: p.write_text("Dear diary, " * 99), "not audio that can be decoded"),
    "nothing.wav": (lambda p: p.touch(), "empty file (0 bytes)"),
    "header.wav": (lambda p: soundfile.write(p, [], 22_050), "empty: a header without any sound"),
    "cut.wav": (truncated, "truncated: 5,001 bytes that its header announces are missing"),
    "cut.flac": (truncated, "truncated or damaged: decoding ends after"),
    "silent.wav": (lambda p: soundfile.write(p, np.zeros(22_050), 22_050), "silent: "),
    "nan.wav": (lambda p: not_finite(p, np.nan), "holds samples that are not finite numbers"),
    "inf.wav": (lambda p: not_finite(p, -np.inf), "holds samples that are not finite numbers"),
    "short.wav": (lambda p: write_sound(p, seconds=0.3), "too short: 0.3 s, at least 0.5 s are"),
    "gone.wav": (lambda p: p.symlink_to("nowhere.wav"), "cannot be read (No such file"),
}


@pytest.mark.parametrize("name", ODD_FILES, ids=ascii)
def test_an_odd_file_is_excluded_with_the_reason(tmp_path, name):
    make, reason = ODD_FILES[name]
    write_sound(tmp_path / "rock" / "good.wav", seed=1)
    make(tmp_path / "rock" / name)
    table = audited(tmp_path)
    assert table.loc["rock/good.wav", "status"] == "used"
    odd = table.drop("rock/good.wav").squeeze()
    assert odd["status"] == "excluded"
    assert odd["reason"].startswith(reason)
    files.write_table(tmp_path / "tracks.parquet", table.reset_index())


def test_a_file_without_permission_is_excluded(tmp_path):
    path = write_sound(tmp_path / "rock" / "a.wav")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read every file")
    assert audited(tmp_path)["reason"].item() == "cannot be read (Permission denied)"


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)<",
        " two  spaces ",
        "quo'te\"s",
        "new\nline",
        "Ü 音楽 🎷",
        "é" * 120,
        "a.b.WAV",
    ],
)
def test_any_name_is_used_and_kept(tmp_path, name):
    write_sound(tmp_path / "rock" / f"{name}.wav")
    table = audited(tmp_path)
    assert table.index == [f"rock/{name}.wav"]
    assert table["status"].item() == "used"
    files.write_table(tmp_path / "tracks.parquet", table.reset_index())
    assert pd.read_parquet(tmp_path / "tracks.parquet")["track_id"].item() == f"rock/{name}.wav"


def test_a_name_that_is_not_utf8_is_used(tmp_path):
    name = os.fsdecode(b"caf\xe9.wav")
    write_bytes(tmp_path / "rock" / name, wav_bytes(0))
    table = audited(tmp_path).reset_index()
    assert list(table["track_id"]) == [r"rock/caf\udce9.wav"]
    assert table["status"].item() == "used"
    assert table["md5"].item() == files.file_md5(tmp_path / "rock" / name)
    assert len(audio.load_clip(tmp_path / table["path"].item(), seconds=1.0)[0]) == 22_050
    files.write_table(tmp_path / "tracks.parquet", table)


def test_eight_channels_at_192_khz_and_24_bits_are_used(tmp_path):
    write_sound(tmp_path / "rock" / "a.wav", sr=192_000, channels=8, subtype="PCM_24")
    table = audited(tmp_path, min_seconds=1.0)
    assert table["reason"].item() == ""
    assert table["duration_s"].item() == 1.0


def test_hidden_files_companions_and_folders_are_no_tracks(tmp_path):
    write_sound(tmp_path / "rock" / "album" / "a.wav")
    for name in ("cover.jpg", "Cover.PNG", "tracks.csv", ".DS_Store", ".hidden/b.wav", "._a.wav"):
        write_bytes(tmp_path / "rock" / name, b"x")
    write_bytes(tmp_path / ".git" / "c.wav", b"x")
    write_bytes(tmp_path / "loose.wav", b"x")
    (tmp_path / "rock" / "folder.wav").mkdir()
    assert list(audited(tmp_path).index) == ["rock/album/a.wav"]


def test_of_the_same_sound_in_one_genre_the_first_is_used(tmp_path):
    wav = write_sound(tmp_path / "rock" / "a.wav")
    shutil.copy(wav, tmp_path / "rock" / "b.wav")
    soundfile.write(tmp_path / "rock" / "c.flac", *soundfile.read(wav, dtype="int16"))
    write_sound(tmp_path / "rock" / "d.wav", seed=1)
    reasons = audited(tmp_path)["reason"]
    assert list(reasons) == ["", "duplicate of rock/a.wav", "duplicate of rock/a.wav", ""]


def test_the_same_sound_in_two_genres_is_used_in_neither(tmp_path):
    for path in ("pop/a.wav", "rock/a.wav", "rock/b.wav"):
        write_sound(tmp_path / path)
    write_sound(tmp_path / "rock" / "c.wav", seed=1)
    table = audited(tmp_path)
    assert list(table["status"]) == ["excluded"] * 3 + ["used"]
    assert set(table["reason"][:3]) == {"duplicate under different genres (pop, rock, rock)"}


def write_copy(path, y, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(os.fsencode(path), y, 22_050, **how)


def test_of_near_copies_in_one_genre_the_first_is_used(tmp_path):
    y, rock = song(0), tmp_path / "rock"
    write_copy(rock / "a.wav", y)
    write_copy(rock / "b.mp3", 0.3 * y[5 * 22_050 :])
    write_copy(rock / "c.ogg", y)
    shutil.copy(rock / "c.ogg", rock / "d.ogg")
    write_copy(rock / "e.wav", song(1))
    reasons = audited(tmp_path)["reason"]
    copy = r"near-duplicate of rock/a.wav \(\d+ matching landmarks, shifted by {} s\)"
    assert reasons["rock/a.wav"] == reasons["rock/e.wav"] == ""
    assert re.fullmatch(copy.format("5.0"), reasons["rock/b.mp3"])
    assert re.fullmatch(copy.format("0.0"), reasons["rock/c.ogg"])
    assert reasons["rock/d.ogg"] == "duplicate of rock/c.ogg"


def test_near_copies_in_two_genres_are_used_in_neither(tmp_path):
    write_copy(tmp_path / "jazz" / "a.wav", song(0))
    write_copy(tmp_path / "pop" / "b.ogg", song(0))
    write_copy(tmp_path / "pop" / "c.wav", song(1))
    table = audited(tmp_path)
    assert list(table["status"]) == ["excluded", "excluded", "used"]
    assert table["reason"].iloc[0].startswith("near-duplicate of pop/b.ogg (")
    assert table["reason"].iloc[1].startswith("near-duplicate of jazz/a.wav (")
    assert table["reason"].str.endswith(" under different genres (jazz, pop)").sum() == 2


def test_a_copy_of_a_copy_names_the_one_it_is_like(tmp_path):
    y, second = song(0, seconds=24), 22_050
    for name, part in {"a": y[: 10 * second], "b": y, "c": y[14 * second :]}.items():
        write_copy(tmp_path / "rock" / f"{name}.wav", part)
    reasons = audited(tmp_path)["reason"]
    found = reasons.str.extract(r"near-duplicate of (\S+) .* by (\S+) s")[1:]
    assert found.to_numpy().tolist() == [["rock/a.wav", "0.0"], ["rock/b.wav", "14.0"]]


def test_a_fingerprint_is_computed_once(tmp_path, cache, monkeypatch):
    write_copy(tmp_path / "rock" / "a.wav", song(3))
    before = audited(tmp_path)
    md5 = before["md5"].item()
    assert (cache / "fingerprints").glob(f"*/*/{md5}.npy")
    monkeypatch.setattr(fingerprint, "of_audio", None)
    pd.testing.assert_frame_equal(audited(tmp_path), before)


def test_artists_come_from_tags_where_no_table_names_them(genre_folder):
    listed = pd.read_csv(genre_folder / "tracks.csv").assign(artist="")
    listed.loc[0, "artist"] = "From The List"
    listed.to_csv(genre_folder / "tracks.csv", index=False)
    for path, artist in zip(listed["path"], ["A Tag", "A Tag", "Various Artists"], strict=False):
        tagged = mutagen.wave.WAVE(genre_folder / path)
        tagged.add_tags()
        tagged.tags.add(mutagen.id3.TPE1(text=artist))
        tagged.save()
    found = corpora.find_tracks("folder", genre_folder)
    tracks = auditing.audit(found, genre_folder, min_seconds=0.5, n_jobs=1)
    unknown = f"unknown:{listed.loc[2, 'path']}"
    assert list(tracks["artist"][:3]) == ["From The List", "A Tag", unknown]
    totals = auditing.audit_report(found, tracks)["totals"]
    counted = [totals[f"artist_{source}"] for source in ("from_list", "from_tags", "unknown")]
    assert counted == [1, 1, 10]


def test_titles_come_from_the_list_else_from_tags_and_change_no_hash(genre_folder):
    def studied():
        found = corpora.find_tracks("folder", genre_folder)
        tracks = auditing.audit(found, genre_folder, min_seconds=0.5, n_jobs=1)
        folds = splits.make_folds(tracks, folds=2, group_by="artist", seed=0)
        settings = {"corpus": "folder", "group_by": "artist", "warnings": []}
        return tracks, corpora.describe(tracks, folds, ["jazz", "rock"], **settings)["sha256"]

    listed = pd.read_csv(genre_folder / "tracks.csv")
    for path, title in zip(listed["path"], ["From A Tag", "Not This"], strict=False):
        tagged = mutagen.wave.WAVE(genre_folder / path)
        tagged.add_tags()
        tagged.tags.add(mutagen.id3.TIT2(text=title))
        tagged.tags.add(mutagen.id3.TALB(text="An Album"))
        tagged.save()
    plain, hashed = studied()
    assert list(plain["title"][:3]) == ["From A Tag", "Not This", ""]
    listed.loc[1, "title"] = "From The List"
    listed.to_csv(genre_folder / "tracks.csv", index=False)
    tracks, again = studied()
    assert list(tracks["title"][:3]) == ["From A Tag", "From The List", ""]
    assert list(tracks["album"][:3]) == ["An Album", "An Album", ""]
    assert again == hashed


def crash_on_one(path, *settings):
    """What `auditing._examine_file` does, but for one file, on which the process dies."""
    if path.name == "crash.wav":
        os._exit(1)
    return auditing._examine_file(path, *settings)


def test_a_decoder_that_crashes_takes_no_other_file_along(tmp_path, monkeypatch):
    for number, name in enumerate(["a.wav", "crash.wav", "d.wav"]):
        write_sound(tmp_path / "rock" / name, seed=number)
    tracks = corpora.find_tracks("folder", tmp_path)
    monkeypatch.setattr(auditing, "_examine_file", crash_on_one)
    reasons = auditing.audit(tracks, tmp_path, min_seconds=0.5, n_jobs=2)["reason"]
    assert list(reasons) == ["", "its decoder crashes on this file", ""]


# ---------------------------------------------------------------------------- command line


@pytest.fixture
def audit_command(tmp_path):
    """Run ``python -m genre_utils audit`` on a folder."""
    env = {"GENRE_CACHE_DIR": str(tmp_path / "cache"), "CWD": str(tmp_path)}
    return lambda *arguments: command("audit", *arguments, env=env)


def test_audit_as_json_names_every_file_and_why(tmp_path, audit_command):
    odd = [os.fsdecode(b"caf\xe9.wav"), "new\nline \x1b[31m.wav", "音楽.wav"]
    for number, name in enumerate([*odd, "d.wav", "e.wav", "f.wav"]):
        write_copy(tmp_path / "music" / ("jazz", "rock")[number % 2] / name, song(number))
    (tmp_path / "music" / "rock" / "empty.wav").touch()
    done = audit_command(tmp_path / "music", "--format", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    kinds = {file["path"]: (file["status"], file["reason"]) for file in report["files"]}
    assert kinds["rock/empty.wav"] == ("excluded", "empty file (0 bytes)")
    assert list(kinds.values()).count(("used", "")) == 6
    assert {"rock/new\nline \x1b[31m.wav", "jazz/音楽.wav", r"jazz/caf\udce9.wav"} <= set(kinds)
    expected = {"path", "status", "reason", "duration_s", "artist", "genre", "md5"}
    assert set(report["files"][0]) == expected and report["files"][0]["artist"] is None
    assert report["totals"]["genres"]["jazz"] == {"tracks": 3, "artists": 0, "unknown": 3}
    assert report["warnings"] and report["warnings"][1].startswith("No artist is known")


def test_audit_as_text_tells_copies_artists_and_warnings(tmp_path, audit_command):
    write_copy(tmp_path / "music" / "rock" / "new\nline.wav", song(0))
    write_copy(tmp_path / "music" / "rock" / "z.ogg", song(0))
    done = audit_command(tmp_path / "music")
    assert done.returncode == 0, done.stderr
    excluded, used, artists, warning, judged, total = done.stdout.splitlines()
    assert excluded.startswith(r"excluded  'rock/z.ogg': near-duplicate of rock/new\nline.wav (")
    assert used == "used  'rock': 1 tracks, 0 known artists, 1 tracks of unknown ones"
    assert artists.endswith("of 0 from their tags, of 2 unknown.")
    assert warning.startswith("Warning: A study would refuse this: only one genre")
    assert judged.startswith(
        "Judged as --profile demo would use them: clips of 30 s, excerpts of 6"
    )
    assert total == "1 of 2 files would be used, 1 excluded, of these 1 as near-duplicates."


def test_audit_fails_on_what_is_no_corpus_and_refuses_wrong_usage(tmp_path, audit_command):
    done = audit_command(tmp_path / "nowhere", "--format", "json")
    assert (done.returncode, done.stdout) == (1, "") and "was not found" in done.stderr
    assert audit_command(tmp_path, "--format", "xml").returncode == 2
    write_bytes(tmp_path / "music" / "rock" / "a.wav", b"no music")
    done = audit_command(tmp_path / "music", "--format", "json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["warnings"] == ["No file can be used."]


# ---------------------------------------------------------------------------- checksums


def test_the_checksum_is_that_of_the_file_and_processes_change_nothing(genre_folder):
    tracks = corpora.find_tracks("folder", genre_folder)
    one = auditing.audit(tracks, genre_folder, min_seconds=0.5, n_jobs=1)
    two = auditing.audit(tracks, genre_folder, min_seconds=0.5, n_jobs=2)
    pd.testing.assert_frame_equal(one, two)
    assert one.loc[3, "md5"] == files.file_md5(genre_folder / one.loc[3, "path"])
    assert (one["status"] == "used").all()


@pytest.mark.parametrize("damage", [b"", b"hi", b"\x93NUMPY"])
def test_a_damaged_fingerprint_in_the_cache_is_made_again(
    genre_folder, tmp_path, monkeypatch, damage
):
    monkeypatch.setenv("GENRE_CACHE_DIR", str(tmp_path / "cache"))
    found = corpora.find_tracks("folder", genre_folder)[:2]
    first = auditing.audit(found, genre_folder, min_seconds=0.5, n_jobs=1)
    kept = {path: path.read_bytes() for path in (tmp_path / "cache").rglob("*.npy")}
    assert len(kept) == 2
    for path in kept:
        path.write_bytes(damage)
    again = auditing.audit(found, genre_folder, min_seconds=0.5, n_jobs=1)
    pd.testing.assert_frame_equal(again, first)
    assert {path: path.read_bytes() for path in kept} == kept
