"""Corpora in every shape they come in: found, listed, described."""

import io
import re
import shutil
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import sound

from genre_utils.data import auditing, corpora, folders, splits


def audited(folder, min_seconds=0.5):
    table = auditing.audit(
        corpora.find_tracks("folder", folder), folder, min_seconds=min_seconds, n_jobs=1
    )
    return table.set_index("track_id")


def write_bytes(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


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
        (b"file,artist\na,b\n", "lacks the column path: it has file, artist"),
        (b"jazz/A0.wav,jazz A\n", "lacks the column path: it has jazz/a0.wav, jazz a"),
        (b"path,artist\njazz/A0.wav,b\n.\\Jazz/A0.wav,c\n", "'jazz/A0.wav' more than once"),
        (b"path,artist,Artist\njazz/A0.wav,b,c\n", "has the column artist twice"),
        (b"", "is empty"),
        (b"path,artist\n", "lists no tracks"),
        ("path,artist\na,Beyoncé\n".encode("latin-1"), "cannot be read as UTF-8"),
        (b"path,artist\na,Crosby, Stills\n", "line 2, has 3 values for 2 columns"),
    ],
)
def test_a_bad_tracks_csv_is_refused(genre_folder, content, said):
    csv = write_bytes(genre_folder / "tracks.csv", content)
    with pytest.raises(folders.CorpusError, match=re.escape(said)) as error:
        corpora.find_tracks("folder", genre_folder)
    assert str(csv) in str(error.value)


def test_a_tracks_csv_that_names_no_file_is_refused(genre_folder):
    listed = pd.read_csv(genre_folder / "tracks.csv")
    listed.assign(path="elsewhere/" + listed["path"]).to_csv(genre_folder / "tracks.csv")
    with pytest.raises(folders.CorpusError, match=r"none of the paths .* is a file of this corpus"):
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
    with pytest.raises(folders.CorpusError, match=r"'mine' was not found.*GENRE_DATA_DIR"):
        corpora.locate("folder", "mine")
    with pytest.raises(folders.CorpusError, match="''"):
        corpora.locate("folder", "")
    with pytest.raises(folders.CorpusError, match=r"unknown CORPUS 'ballroom'.*synthetic, folder"):
        corpora.locate("ballroom", ".")
    (tmp_path / "mine" / "rock").mkdir(parents=True)
    assert corpora.locate("folder", "mine") == tmp_path / "mine"
    with pytest.raises(folders.CorpusError, match=r"no music found: .*mine.*GENRE/clip\.wav"):
        corpora.find_tracks("folder", tmp_path / "mine")


def test_the_description_counts_what_is_used_and_its_hash_knows_the_content(genre_folder):
    (genre_folder / "rock" / "broken.wav").touch()
    tracks = audited(genre_folder).reset_index()
    folds = splits.make_folds(
        tracks[tracks["status"] == "used"], folds=2, group_by="artist", seed=0
    )
    settings = {"genres": ["jazz", "rock"], "corpus": "folder", "group_by": "artist"}

    def describe(tracks):
        return corpora.describe(tracks, folds, warnings=["mind"], **settings)

    described = describe(tracks)
    assert described["folds"] == 2 and described["warnings"][0] == "mind"
    expected = {"tracks": 12, "artists": 6, "set_aside": 1, "synthetic": False, "banner": None}
    assert expected.items() <= described.items()
    shuffled = tracks.sample(frac=1, random_state=0)
    same = describe(shuffled)
    assert same["sha256"] == described["sha256"]
    tracks.loc[0, "artist"] = "somebody else"
    other = describe(tracks)
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
    except folders.CorpusError as error:
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
    with pytest.raises(folders.CorpusError, match=f"{name} is not an archive that can be unpacked"):
        corpora.locate("gtzan-mini", packed)


def test_the_real_gtzan_mini_is_all_used_and_says_what_it_is(gtzan_mini):
    tracks = corpora.find_tracks("gtzan-mini", corpora.locate("gtzan-mini", gtzan_mini))
    assert len(tracks) == 100
    assert list(tracks["genre"].value_counts().unique()) == [10]
    assert not tracks["artist"].str.startswith("unknown:").all()
    some = auditing.audit(tracks[::20], gtzan_mini, min_seconds=29.0, n_jobs=1)
    assert list(some["status"]) == ["used"] * 5
    parts = ["train", "test", "validation", "train", "train"]
    folds = some[["track_id"]].assign(fold=0, part=parts)
    settings = {"corpus": "gtzan-mini", "group_by": "track", "warnings": []}
    described = corpora.describe(some, folds, [], **settings)
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


@pytest.mark.parametrize("corpus", ["spectrograms", "store"])
def test_a_corpus_of_spectrograms_has_one_name(store, corpus):
    tracks = corpora.find_tracks(corpus, store).assign(status="used", md5="")
    settings = {"corpus": corpus, "group_by": "track", "warnings": []}
    folds = splits.make_folds(tracks, folds=3, group_by="track", seed=0)
    assert corpora.describe(tracks, folds, [], **settings)["name"] == "spectrograms"


def test_arrays_come_in_the_order_asked_for(store):
    arrays = folders.load_arrays(store, ["t4", "t0"])
    assert arrays.shape == (2, 20, 8)
    assert list(arrays[:, 0, 0]) == [4, 0]


def test_a_track_that_the_store_no_longer_has_is_refused(store):
    with pytest.raises(folders.CorpusError, match="Run 01 again"):
        folders.load_arrays(store, ["nonesuch"])


def test_arrays_without_content_and_copies_are_excluded(store):
    arrays = np.load(store / "log_mel.npy")
    arrays[1] = arrays[0]
    arrays[2] = 0
    arrays[3, 5, 5] = np.nan
    arrays[5] = arrays[0]
    np.save(store / "log_mel.npy", arrays)
    tracks = corpora.find_tracks("store", store)
    loaded = folders.load_arrays(store, tracks["track_id"])
    table = auditing.audit_spectrograms(tracks, loaded, clip_seconds=2.0)
    assert list(table["status"]) == ["excluded"] * 4 + ["used", "excluded"]
    assert "silent" in table.loc[2, "reason"]
    assert "not finite" in table.loc[3, "reason"]
    assert table.loc[0, "reason"] == "duplicate under different genres (jazz, jazz, rock)"
    assert list(table["duration_s"].unique()) == [2.0]


def test_near_copies_in_a_store_are_excluded(store):
    images = np.random.default_rng(0).random((6, 300, 128)).astype(np.float16)
    images[2] = images[0] + np.random.default_rng(1).normal(0, 0.01, images[0].shape)
    images[4, :250] = images[3, 50:]
    tracks = corpora.find_tracks("spectrograms", store)
    reasons = auditing.audit_spectrograms(tracks, images, clip_seconds=30.0)["reason"]
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
    with pytest.raises(folders.CorpusError, match=said):
        folders.load_arrays(store, ["t0"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "tracks.csv is missing: it must begin with a line such as track_id,genre,artist"),
        ("track_id,artist\nt0,a\n", "lacks the column.* genre"),
        ("track_id,genre\nt0,a\nt0,a\n", "lists track_id 't0' more than once"),
    ],
)
def test_a_store_without_a_proper_list_is_refused(store, content, said):
    (store / "tracks.csv").unlink()
    if content:
        (store / "tracks.csv").write_text(content)
    with pytest.raises(folders.CorpusError, match=said):
        corpora.find_tracks("spectrograms", store)


def test_the_real_log_mel_store_is_all_used(gtzan_mel80):
    tracks = corpora.find_tracks("spectrograms", corpora.locate("spectrograms", gtzan_mel80))
    assert len(tracks) == 639
    assert set(tracks["split"]) == {"train", "valid"}
    some = tracks[::80]
    arrays = folders.load_arrays(gtzan_mel80, some["track_id"])
    assert arrays.shape[1:] == (387, 128)
    assert set(auditing.audit_spectrograms(some, arrays, clip_seconds=30.0)["status"]) == {"used"}
