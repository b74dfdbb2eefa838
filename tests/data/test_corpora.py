import io
import json
import os
import re
import shutil
import tarfile
import zipfile

import mutagen.id3
import mutagen.wave
import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import song, sound, write_sound

from genre_utils.data import auditing, checks, corpora, errors, fingerprint, folders
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


# ---------------------------------------------------------------------------- audit


def not_finite(path, value):
    y = sound(0)
    y[len(y) // 2] = value
    soundfile.write(path, y, 22_050, subtype="FLOAT")


def truncated(path):
    write_sound(path)
    path.write_bytes(path.read_bytes()[:-1001])


ODD_FILES = {
    "text.wav": (lambda p: p.write_text("Dear diary, " * 99), "not audio that can be decoded"),
    "nothing.wav": (lambda p: p.touch(), "empty file (0 bytes)"),
    "header.wav": (lambda p: soundfile.write(p, [], 22_050), "empty: a header without any sound"),
    "cut.wav": (truncated, "truncated: 1,001 bytes that its header announces are missing"),
    "cut.flac": (truncated, "truncated or damaged: decoding ends after"),
    "silent.wav": (lambda p: soundfile.write(p, np.zeros(22_050), 22_050), "silent: "),
    "nan.wav": (lambda p: not_finite(p, np.nan), "holds samples that are not finite numbers"),
    "inf.wav": (lambda p: not_finite(p, -np.inf), "holds samples that are not finite numbers"),
    "short.wav": (lambda p: write_sound(p, seconds=0.3), "too short: 0.3 s, at least 0.5 s are"),
    "gone.wav": (lambda p: p.symlink_to("nowhere.wav"), "cannot be read (No such file"),
}


@pytest.mark.parametrize("name", ODD_FILES, ids=ascii)
def test_an_odd_file_is_set_aside_with_the_reason(tmp_path, name):
    make, reason = ODD_FILES[name]
    write_sound(tmp_path / "rock" / "good.wav", seed=1)
    make(tmp_path / "rock" / name)
    table = audited(tmp_path)
    assert table.loc["rock/good.wav", "status"] == "used"
    odd = table.drop("rock/good.wav").squeeze()
    assert odd["status"] == "set aside"
    assert odd["reason"].startswith(reason)
    files.write_table(tmp_path / "tracks.parquet", table.reset_index())


def test_a_file_without_permission_is_set_aside(tmp_path):
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
    assert list(table["status"]) == ["set aside"] * 3 + ["used"]
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
    assert list(table["status"]) == ["set aside", "set aside", "used"]
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


def crash_on_one(path, min_seconds, fault):
    """What `auditing._examine_file` does, but for one file, on which the process dies."""
    if path.name == "crash.wav":
        os._exit(1)
    return auditing._examine_file(path, min_seconds, fault)


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
    assert kinds["rock/empty.wav"] == ("set aside", "empty file (0 bytes)")
    assert list(kinds.values()).count(("used", "")) == 6
    assert {"rock/new\nline \x1b[31m.wav", "jazz/音楽.wav", r"jazz/caf\udce9.wav"} <= set(kinds)
    expected = {"path", "status", "reason", "duration_s", "artist", "genre", "md5"}
    assert set(report["files"][0]) == expected and report["files"][0]["artist"] is None
    assert report["totals"]["genres"]["jazz"] == {"tracks": 3, "artists": 0, "unknown": 3}
    assert report["warnings"] and report["warnings"][0].startswith("No artist is known")


def test_audit_as_text_tells_copies_artists_and_warnings(tmp_path, audit_command):
    write_copy(tmp_path / "music" / "rock" / "new\nline.wav", song(0))
    write_copy(tmp_path / "music" / "rock" / "z.ogg", song(0))
    done = audit_command(tmp_path / "music")
    assert done.returncode == 0, done.stderr
    aside, used, artists, warning, total = done.stdout.splitlines()
    assert aside.startswith(r"set aside  'rock/z.ogg': near-duplicate of rock/new\nline.wav (")
    assert used == "used  'rock': 1 tracks, 0 known artists, 1 tracks of unknown ones"
    assert artists.endswith("of 0 from their tags, of 2 unknown.")
    assert warning.startswith("Warning: A study would refuse this: only one genre")
    assert total == "1 of 2 files would be used, 1 set aside, of these 1 as near-duplicates."


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


# ---------------------------------------------------------------------------- tracks.csv, errors


def test_artists_and_splits_come_from_tracks_csv_where_it_names_them(genre_folder):
    listing = pd.read_csv(genre_folder / "tracks.csv").assign(split="train")
    listing.loc[1, "artist"] = "  "
    listing.drop(index=2).to_csv(genre_folder / "tracks.csv", index=False)
    tracks = corpora.find_tracks("folder", genre_folder)
    assert list(tracks["artist"][:4]) == [
        "jazz A", "unknown:jazz/A1.wav", "unknown:jazz/B0.wav", "jazz B",
    ]  # fmt: skip
    assert list(tracks["split"][:4]) == ["train", "train", "", "train"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"file,artist\na,b\n", "lacks the column(s) path"),
        (b"path,artist\na,b\na,c\n", "lists path 'a' more than once"),
        (b"", "cannot be read"),
        ("path,artist\na,Beyoncé\n".encode("latin-1"), "cannot be read as UTF-8"),
        (b"path,artist\na,b\na,b,c,d,e\n", "cannot be read"),
    ],
)
def test_a_bad_tracks_csv_is_refused(genre_folder, content, said):
    csv = write_bytes(genre_folder / "tracks.csv", content)
    with pytest.raises(errors.CorpusError, match=re.escape(said)) as error:
        corpora.find_tracks("folder", genre_folder)
    assert str(csv) in str(error.value)


def test_a_tracks_csv_that_names_no_file_is_refused(genre_folder):
    listed = pd.read_csv(genre_folder / "tracks.csv")
    listed.assign(path="elsewhere/" + listed["path"]).to_csv(genre_folder / "tracks.csv")
    with pytest.raises(errors.CorpusError, match=r"none of the paths .* is a file of this corpus"):
        corpora.find_tracks("folder", genre_folder)


@pytest.mark.parametrize("written", ["./{}", "{}"])
def test_paths_in_tracks_csv_may_be_written_in_several_ways(genre_folder, written):
    listed = pd.read_csv(genre_folder / "tracks.csv")
    paths = [written.format(path).replace("/", "\\") for path in listed["path"]]
    listed.assign(path=paths).to_csv(genre_folder / "tracks.csv")
    artists = corpora.find_tracks("folder", genre_folder)["artist"]
    assert sorted(artists.unique()) == sorted(listed["artist"].unique())


def test_artists_are_found_beside_genres_that_lie_deeper(genre_folder, tmp_path):
    inner = tmp_path / "archive" / "gtzan"
    shutil.copytree(genre_folder, inner / "genres", ignore=shutil.ignore_patterns("*.csv"))
    listed = pd.read_csv(genre_folder / "tracks.csv")
    listed.assign(path="genres/" + listed["path"]).to_csv(inner / "tracks.csv")
    tracks = corpora.find_tracks("gtzan-mini", tmp_path / "archive")
    assert not tracks["artist"].str.startswith("unknown:").any()


def test_folders_that_hold_no_music_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("GENRE_DATA_DIR", str(tmp_path))
    with pytest.raises(errors.CorpusError, match=r"'mine' was not found.*GENRE_DATA_DIR"):
        corpora.locate("folder", "mine")
    with pytest.raises(errors.CorpusError, match="''"):
        corpora.locate("folder", "")
    with pytest.raises(errors.CorpusError, match=r"unknown CORPUS 'ballroom'.*synthetic, folder"):
        corpora.locate("ballroom", ".")
    (tmp_path / "mine" / "rock").mkdir(parents=True)
    assert corpora.locate("folder", "mine") == tmp_path / "mine"
    with pytest.raises(errors.CorpusError, match=r"no music found: .*mine.*GENRE/clip\.wav"):
        corpora.find_tracks("folder", tmp_path / "mine")


def table_of(artists_per_genre, artist="{genre} {n}"):
    rows = [
        (f"{genre}{n}", genre, artist.format(genre=genre, n=n))
        for genre, count in artists_per_genre.items()
        for n in range(count)
    ]
    return pd.DataFrame(rows, columns=["track_id", "genre", "artist"])


@pytest.mark.parametrize(
    ("genres", "said"),
    [
        (["rock", "ska"], r"unknown genre.*'ska'.*this corpus has jazz, rock"),
        (["rock", "jazz", "rock"], "names a genre twice: rock, jazz, rock"),
        (["rock"], r"only one genre \(rock\)"),
    ],
)
def test_genres_that_cannot_be_studied_are_refused(genres, said):
    with pytest.raises(errors.CorpusError, match=said):
        checks.choose_genres(table_of({"jazz": 3, "rock": 3}), genres)


def test_genres_keep_their_order_and_none_means_all():
    tracks = table_of({"rock": 3, "jazz": 3, "pop": 3})
    assert checks.choose_genres(tracks, ["rock", "jazz"]) == ["rock", "jazz"]
    assert checks.choose_genres(tracks, []) == ["jazz", "pop", "rock"]
    with pytest.raises(errors.CorpusError, match="only one genre"):
        checks.choose_genres(table_of({"rock": 3}), [])


@pytest.mark.parametrize(
    ("counts", "settings", "said"),
    [
        ({"rock": 3, "jazz": 2}, {}, "under 3 artists in a genre: jazz has 2.*add music or group"),
        ({"rock": 3, "jazz": 2}, {"group_by": "track"}, "under 3 tracks in a genre: jazz has 2"),
        ({"rock": 3, "jazz": 3}, {"folds": 1}, "FOLDS is 1.*at least 2"),
        ({"rock": 3, "jazz": 3}, {"group_by": "album"}, "'album'; choose 'artist' or 'track'"),
    ],
)
def test_settings_that_cannot_be_studied_are_refused(counts, settings, said):
    with pytest.raises(errors.CorpusError, match=said):
        checks.check(
            table_of(counts), ["rock", "jazz"], **{"group_by": "artist", "folds": 3} | settings
        )


def test_two_folds_need_a_fourth_artist():
    table = pd.DataFrame({"genre": ["jazz", "rock"] * 3, "artist": list("abcdef")})
    table["track_id"] = table["artist"]
    assert checks.check(table, ["jazz", "rock"], group_by="artist", folds=3) == []
    with pytest.raises(errors.CorpusError, match="under 4 artists in a genre"):
        checks.check(table, ["jazz", "rock"], group_by="artist", folds=2)


def test_collaborations_count_as_one_artist():
    tracks = table_of({"rock": 3, "jazz": 3})
    tracks.loc[0, "artist"] = "rock 1 & Rock 2"
    with pytest.raises(errors.CorpusError, match="rock has 1"):
        checks.check(tracks, ["rock", "jazz"], group_by="artist", folds=3)


def test_what_weakens_a_study_is_warned_of():
    def warnings(tracks, group_by="artist", folds=3):
        return " ".join(checks.check(tracks, ["rock", "jazz"], group_by=group_by, folds=folds))

    tracks = table_of({"rock": 4, "jazz": 3})
    assert warnings(tracks) == ""
    assert warnings(tracks, folds=4) == "Fewer artists than the 4 folds: jazz (3)."
    assert "by track, not by artist" in warnings(tracks, group_by="track")
    unknown = table_of({"rock": 4, "jazz": 3}, artist="unknown:{genre}{n}")
    assert warnings(unknown).startswith("No artist is known")


def test_the_description_counts_what_is_used_and_its_hash_knows_the_content(genre_folder):
    (genre_folder / "rock" / "broken.wav").touch()
    tracks = audited(genre_folder).reset_index()
    described = corpora.describe(tracks, ["jazz", "rock"], corpus="folder", group_by="artist")
    expected = {"tracks": 12, "artists": 6, "set_aside": 1, "synthetic": False, "banner": None}
    assert expected.items() <= described.items()
    shuffled = tracks.sample(frac=1, random_state=0)
    same = corpora.describe(shuffled, ["jazz", "rock"], corpus="folder", group_by="artist")
    assert same["sha256"] == described["sha256"]
    tracks.loc[0, "artist"] = "somebody else"
    other = corpora.describe(tracks, ["jazz", "rock"], corpus="folder", group_by="artist")
    assert other["sha256"] != described["sha256"]


# ---------------------------------------------------------------------------- GTZAN, archives


def wav_bytes(seed):
    buffer = io.BytesIO()
    soundfile.write(buffer, sound(seed), 22_050, format="WAV")
    return buffer.getvalue()


def archive(path, members):
    """Write a .zip or .tar.gz of names and bytes."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            for name, content in members.items():
                packed.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz") as packed:
            for name, content in members.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                packed.addfile(entry, io.BytesIO(content))
    return path


@pytest.mark.parametrize("root", ["genres", "genres_original", "Data/genres_original", "x/genres"])
@pytest.mark.parametrize("kind", ["folder", ".tar.gz", ".zip"])
def test_gtzan_is_found_in_every_shape_it_comes_in(tmp_path, root, kind):
    members = {f"{root}/{g}/{g}.00000.wav": wav_bytes(n) for n, g in enumerate(["jazz", "rock"])}
    members[f"{root.replace('genres', 'images')}/jazz/jazz.png"] = b"x"
    if kind == "folder":
        place = tmp_path / "gtzan"
        for name, content in members.items():
            write_bytes(place / name, content)
    else:
        place = archive(tmp_path / f"gtzan{kind}", members)
    folder = corpora.locate("gtzan-mini", place)
    tracks = corpora.find_tracks("gtzan-mini", folder)
    assert list(tracks["track_id"]) == ["jazz/jazz.00000.wav", "rock/rock.00000.wav"]
    assert list(tracks["genre"]) == ["jazz", "rock"]
    assert (folder / tracks.loc[1, "path"]).read_bytes() == wav_bytes(1)


def test_an_archive_is_unpacked_once(tmp_path):
    packed = archive(tmp_path / "g.zip", {"genres/rock/once.wav": wav_bytes(9)})
    folder = corpora.locate("gtzan-mini", packed)
    before = (folder / "genres" / "rock" / "once.wav").stat()
    assert corpora.locate("gtzan-mini", packed) == folder
    after = (folder / "genres" / "rock" / "once.wav").stat()
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


@pytest.mark.parametrize("name", ["../evil.wav", "genres/../../evil.wav", "/{root}/evil.wav"])
@pytest.mark.parametrize("kind", [".tar.gz", ".zip"])
def test_an_archive_writes_nothing_outside_its_folder(tmp_path, monkeypatch, name, kind):
    monkeypatch.setenv("GENRE_CACHE_DIR", str(tmp_path / "cache"))
    name = name.format(root=str(tmp_path).strip("/"))
    packed = archive(tmp_path / f"evil{kind}", {name: b"x", "genres/rock/a.wav": b"x"})
    inside = tmp_path / "nowhere"
    try:
        inside = corpora.locate("gtzan-mini", packed)
    except errors.CorpusError as error:
        assert str(packed) in str(error)
    assert all(path.is_relative_to(inside) for path in tmp_path.rglob("evil.wav"))


@pytest.mark.parametrize(
    "name", ["cut.tar.gz", "cut.zip", "text.tar.gz", "text.zip", "flipped.zip"]
)
def test_a_broken_archive_is_refused(tmp_path, name):
    packed = archive(tmp_path / name, {"genres/rock/a.wav": wav_bytes(5)})
    content = bytearray(packed.read_bytes())
    half = len(content) // 2
    content[half] ^= 255
    broken = {"cut": content[:half], "text": b"hi", "flipped": content}
    packed.write_bytes(broken[name.split(".")[0]])
    with pytest.raises(errors.CorpusError, match=f"{name} is not an archive that can be unpacked"):
        corpora.locate("gtzan-mini", packed)


def test_the_real_gtzan_mini_is_all_used_and_says_what_it_is(gtzan_mini):
    tracks = corpora.find_tracks("gtzan-mini", corpora.locate("gtzan-mini", gtzan_mini))
    assert len(tracks) == 100
    assert list(tracks["genre"].value_counts().unique()) == [10]
    assert not tracks["artist"].str.startswith("unknown:").all()
    some = auditing.audit(tracks[::20], gtzan_mini, min_seconds=29.0, n_jobs=1)
    assert list(some["status"]) == ["used"] * 5
    described = corpora.describe(some, [], corpus="gtzan-mini", group_by="track")
    assert described["banner"] == corpora.GTZAN_MINI_BANNER


# ---------------------------------------------------------------------------- ready log-mel


@pytest.fixture
def store(tmp_path):
    """A store of six tracks whose values name their row."""
    rows = [(f"t{n}", "jazz" if n < 3 else "rock", f"artist {n}") for n in range(6)]
    table = pd.DataFrame(rows, columns=["track_id", "genre", "artist"])
    table.to_csv(tmp_path / "tracks.csv", index=False)
    ramp = np.linspace(0, 0.5, 20 * 8).reshape(20, 8)
    np.save(tmp_path / "log_mel.npy", (np.arange(6)[:, None, None] + ramp).astype(np.float16))
    return tmp_path


def test_arrays_come_in_the_order_asked_for(store):
    arrays = folders.load_arrays(store, ["t4", "t0"])
    assert arrays.shape == (2, 20, 8)
    assert list(arrays[:, 0, 0]) == [4, 0]


def test_a_track_that_the_store_no_longer_has_is_refused(store):
    with pytest.raises(errors.CorpusError, match="Run 01 again"):
        folders.load_arrays(store, ["nonesuch"])


def test_arrays_without_content_and_copies_are_set_aside(store):
    arrays = np.load(store / "log_mel.npy")
    arrays[1] = arrays[0]
    arrays[2] = 0
    arrays[3, 5, 5] = np.nan
    arrays[5] = arrays[0]
    np.save(store / "log_mel.npy", arrays)
    tracks = corpora.find_tracks("store", store)
    loaded = folders.load_arrays(store, tracks["track_id"])
    table = auditing.audit_store(tracks, loaded, clip_seconds=2.0)
    assert list(table["status"]) == ["set aside"] * 4 + ["used", "set aside"]
    assert "silent" in table.loc[2, "reason"]
    assert "not finite" in table.loc[3, "reason"]
    assert table.loc[0, "reason"] == "duplicate under different genres (jazz, jazz, rock)"
    assert list(table["duration_s"].unique()) == [2.0]


def test_near_copies_in_a_store_are_set_aside(store):
    images = np.random.default_rng(0).random((6, 300, 128)).astype(np.float16)
    images[2] = images[0] + np.random.default_rng(1).normal(0, 0.01, images[0].shape)
    images[4, :250] = images[3, 50:]
    tracks = corpora.find_tracks("store", store)
    reasons = auditing.audit_store(tracks, images, clip_seconds=30.0)["reason"]
    assert list(reasons.str.extract(r"(near-duplicate of \w+)")[0].fillna("")) == [
        "", "", "near-duplicate of t0", "", "near-duplicate of t3", "",
    ]  # fmt: skip
    assert reasons[4].endswith("shifted by 5.0 s)")


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (None, "No such file"),
        (np.array([{"a": 1}], dtype=object), "Python objects"),
        (np.zeros((5, 20, 8)), r"shape \(5, 20, 8\), but tracks.csv has 6 rows"),
        (np.zeros((6, 20)), r"shape \(6, 20\)"),
        (np.zeros((6, 0, 8)), r"shape \(6, 0, 8\)"),
        (b"\x93NUMPY cut", "cannot be read as an array"),
    ],
    ids=["missing", "pickled", "rows", "flat", "empty", "damaged"],
)
def test_a_store_that_does_not_match_is_refused(store, array, said):
    path = store / "log_mel.npy"
    path.unlink()
    if isinstance(array, bytes):
        path.write_bytes(array)
    elif array is not None:
        np.save(path, array, allow_pickle=True)
    with pytest.raises(errors.CorpusError, match=said):
        folders.load_arrays(store, ["t0"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "tracks.csv is missing; it must list the tracks"),
        ("track_id,artist\nt0,a\n", "lacks the column.* genre"),
        ("track_id,genre\nt0,a\nt0,a\n", "lists track_id 't0' more than once"),
    ],
)
def test_a_store_without_a_proper_list_is_refused(store, content, said):
    (store / "tracks.csv").unlink()
    if content:
        (store / "tracks.csv").write_text(content)
    with pytest.raises(errors.CorpusError, match=said):
        corpora.find_tracks("store", store)


def test_the_real_log_mel_store_is_all_used(gtzan_mel):
    tracks = corpora.find_tracks("store", corpora.locate("store", gtzan_mel))
    assert len(tracks) == 639
    assert set(tracks["split"]) == {"train", "valid"}
    some = tracks[::80]
    arrays = folders.load_arrays(gtzan_mel, some["track_id"])
    assert arrays.shape[1:] == (334, 128)
    assert set(auditing.audit_store(some, arrays, clip_seconds=30.0)["status"]) == {"used"}


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
