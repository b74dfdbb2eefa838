"""GTZAN in every shape that users have, its published lists, and its known faults."""

import hashlib
import io
import shutil
import tarfile
import zipfile

import pandas as pd
import pytest
import soundfile
from conftest import sound
from loopback import serving

from genre_utils.data import auditing, corpora, folders, gtzan, splits

INDEX = """# artists and titles
blues.00000.wav ::: John Lee Hooker ::: One Bourbon, One Scotch And One Beer
blues.00001.wav ::: John Lee Hooker :::
hiphop.00000.wav ::: Public Enemy ::: Fight
hiphop.00001.wav ::: ::: Untitled
rock.00016.wav ::: Nirvana & Friends ::: Title ::: with colons
"""
PARTS = {
    "train": "blues/blues.00000.wav\nhiphop/hiphop.00000.wav\n",
    "valid": "blues.00001\n\nhip-hop/hip-hop.00001.au\n",
    "test": "rock/rock.00016.mp3\n",
}
NAMES = ["blues.00000", "blues.00001", "hiphop.00000", "hiphop.00001", "metal.00058", "rock.00016"]


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    """An empty data folder, and no network."""
    monkeypatch.setenv("GENRE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(gtzan, "LISTS", dict.fromkeys(gtzan.LISTS, ("http://127.0.0.1:9/x",)))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def sound_bytes(seed, kind="WAV"):
    buffer = io.BytesIO()
    soundfile.write(buffer, sound(seed), 22_050, format=kind, subtype="PCM_16")
    return buffer.getvalue()


def members(root, *, kind="wav", spelling="hiphop"):
    """Names and content of a small GTZAN, where metal.00058 sounds as rock.00016 does."""
    packed = {}
    for seed, name in enumerate(NAMES):
        seed = seed if name != "metal.00058" else len(NAMES) - 1
        shown = name.replace("hiphop", spelling)
        path = f"{root}/{shown.split('.')[0]}/{shown}.{kind}".lstrip("/")
        packed[path] = sound_bytes(seed, kind.upper())
    return packed


def put(folder, packed):
    for name, content in packed.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def pack(path, packed):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in packed.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz") as archive:
            for name, content in packed.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return path


def put_lists(folder):
    texts = {f"{part}_filtered.txt": text for part, text in PARTS.items()}
    put(folder, {name: text.encode() for name, text in (texts | {gtzan.INDEX: INDEX}).items()})


# ---------------------------------------------------------------------------- finding

LAYOUTS = ["genres", "genres_original", "Data/genres_original", "archive/Data/genres_original", ""]


@pytest.mark.parametrize("kind", ["wav", "au"])
@pytest.mark.parametrize("spelling", ["hiphop", "hip-hop", "Hip-Hop"])
@pytest.mark.parametrize("root", LAYOUTS)
def test_it_is_found_in_any_folder(data, root, spelling, kind):
    put(data / "gtzan", members(root, kind=kind, spelling=spelling))
    images = {"Data/images_original/blues/blues00000.png": b"x"}
    put(data / "gtzan", images | {"__MACOSX/genres/blues/blues.00000.wav": b"x"})
    folder = corpora.locate("gtzan", "")
    tracks = corpora.find_tracks("gtzan", folder)
    assert sorted(tracks["track_id"]) == NAMES
    assert set(tracks["genre"]) == {"blues", "hiphop", "metal", "rock"}
    first = tracks.set_index("track_id").loc["blues.00000", "path"]
    assert (folder / first).read_bytes() == sound_bytes(0, kind.upper())


@pytest.mark.parametrize("root", ["genres", "Data/genres_original"])
@pytest.mark.parametrize("name", ["genres.tar.gz", "archive.zip"])
def test_it_is_found_in_an_archive_or_beside_it(data, root, name):
    packed = pack(data / "mine" / name, members(root))
    for corpus_dir in (packed, "mine", f"mine/{name}"):
        folder = corpora.locate("gtzan", corpus_dir)
        assert sorted(corpora.find_tracks("gtzan", folder)["track_id"]) == NAMES


def test_the_same_track_twice_keeps_both_files_apart(data):
    put(data / "gtzan", members("genres") | members("genres", kind="au"))
    tracks = corpora.find_tracks("gtzan", corpora.locate("gtzan", ""))
    assert tracks["track_id"].is_unique and len(tracks) == 2 * len(NAMES)
    audited = auditing.audit(tracks, data / "gtzan", min_seconds=0.5, n_jobs=1)
    assert (audited["status"] == "used").sum() == len(NAMES) - 2  # and neither of metal and rock


def test_what_is_not_gtzan_is_refused(data):
    with pytest.raises(folders.CorpusError, match=r"not in .*gtzan.*tar\.gz.*DOWNLOAD: true"):
        corpora.locate("gtzan", "")
    put(data / "gtzan", {"genres/polka/polka.00000.wav": sound_bytes(0)})
    with pytest.raises(folders.CorpusError, match="GTZAN is not in"):
        corpora.locate("gtzan", "gtzan")
    packed = pack(data / "other.zip", {"readme.txt": b"hello"})
    with pytest.raises(folders.CorpusError, match=r"other\.zip is not GTZAN"):
        corpora.locate("gtzan", packed)


def test_it_is_downloaded_when_that_is_asked_for(data, tmp_path, monkeypatch):
    content = pack(tmp_path / "served.tar.gz", members("genres")).read_bytes()
    monkeypatch.setattr(gtzan, "AUDIO_MD5", f"md5:{hashlib.md5(content).hexdigest()}")
    put_lists(data / "gtzan")  # a folder of lists alone is no music
    with serving({"genres.tar.gz": content}) as server:
        mirrors = [server.at("missing", "genres.tar.gz"), server.at("right", "genres.tar.gz")]
        folder = gtzan.locate("", download=True, mirrors=mirrors)
        assert gtzan.locate("", download=True, mirrors=mirrors) == folder
    assert [mode for mode, *_ in server.requests] == ["missing", "right"]
    assert (data / "gtzan" / "genres.tar.gz").read_bytes() == content
    assert len(corpora.find_tracks("gtzan", folder)) == len(NAMES)


# ---------------------------------------------------------------------------- artists and parts


@pytest.mark.parametrize("place", ["gtzan", "music", "music/genres"])
@pytest.mark.parametrize("spelling", ["hiphop", "hip-hop"])
def test_artists_and_parts_are_joined_from_the_published_lists(data, place, spelling):
    put(data / "music", members("genres", kind="au", spelling=spelling))
    put_lists(data / place)
    tracks = corpora.find_tracks("gtzan", data / "music").set_index("track_id")
    assert tracks["artist"].to_dict() == {
        "blues.00000": "John Lee Hooker", "blues.00001": "John Lee Hooker",
        "hiphop.00000": "Public Enemy", "hiphop.00001": "unknown:hiphop.00001",
        "metal.00058": "unknown:metal.00058", "rock.00016": "Nirvana & Friends",
    }  # fmt: skip
    assert list(tracks["split"]) == ["train", "valid", "train", "valid", "", "test"]
    assert tracks.index[tracks["fault"] != ""].tolist() == ["metal.00058"]
    assert gtzan.missing_lists(tracks) == []


def test_only_all_three_lists_can_leave_a_track_out(data):
    put(data / "gtzan", members("genres") | {"genres/blues/mine.wav": sound_bytes(60)})
    put_lists(data / "gtzan")
    tracks = corpora.find_tracks("gtzan", data / "gtzan").set_index("track_id")
    assert tracks.index[tracks["fault"] != ""].tolist() == ["metal.00058"]
    assert tracks.loc["blues/mine.wav", "split"] == ""  # another recording: the lists know nothing
    (data / "gtzan" / "test_filtered.txt").unlink()
    tracks = corpora.find_tracks("gtzan", data / "gtzan")
    assert set(tracks["fault"]) == {""} and set(tracks["split"]) == {"train", "valid", ""}


def test_a_tracks_csv_is_believed_before_the_lists(data):
    put(data / "music", members("genres"))
    put_lists(data / "gtzan")
    rows = [("genres/blues/blues.00000.wav", "Somebody", "test")]
    table = pd.DataFrame(rows, columns=["path", "artist", "split"])
    table.to_csv(data / "music" / "tracks.csv", index=False)
    tracks = corpora.find_tracks("gtzan", data / "music").set_index("track_id")
    assert tracks.loc["blues.00000", "artist"] == "Somebody"
    assert tracks.loc["blues.00001", "artist"] == "unknown:blues.00001"
    assert set(tracks["fault"]) == {""}


def test_missing_lists_are_downloaded_and_one_that_is_something_else_is_not_kept(
    data, monkeypatch, capsys
):
    put(data / "music", members("genres"))
    texts = {f"{part}_filtered.txt": text.encode() for part, text in PARTS.items()}
    texts |= {gtzan.INDEX: INDEX.encode(), "page.html": b"<html>Not found</html>"}
    lengths = {name: len(text.split()) for name, text in texts.items()} | {gtzan.INDEX: 5}
    monkeypatch.setattr(gtzan, "LENGTHS", lengths | {"test_filtered.txt": 1})
    with serving(texts) as server:
        mirrors = {
            name: [server.at("right", "page.html"), server.at("right", name)]
            for name in gtzan.LISTS
        }
        monkeypatch.setattr(gtzan, "LISTS", mirrors)
        tracks = gtzan.find(data / "music")
        assert list(tracks["split"]) == ["train", "valid", "train", "valid", "", "test"]
        asked = len(server.requests)
        gtzan.find(data / "music")
        assert len(server.requests) == asked  # they are there now
        shutil.rmtree(data / "gtzan")
        monkeypatch.setitem(gtzan.LENGTHS, gtzan.INDEX, 1000)
        tracks = gtzan.find(data / "music")
    assert "artist" not in tracks
    assert "names 5 tracks, not the 1000" in capsys.readouterr().err


def test_without_network_and_lists_the_study_goes_on_and_warns(data, capsys):
    put(data / "music", members("genres"))
    tracks = corpora.find_tracks("gtzan", data / "music")
    assert tracks["artist"].str.startswith("unknown:").all()
    assert str(data / "gtzan" / gtzan.INDEX) in capsys.readouterr().err
    artists, parts = gtzan.missing_lists(tracks)
    assert f"{gtzan.INDEX} into gtzan/ of the data folder" in artists
    assert str(data) not in artists + parts  # reports name no path of this machine
    assert "fault-filtered lists are missing" in parts


def test_a_list_that_names_something_else_is_refused(tmp_path):
    path = tmp_path / "train_filtered.txt"
    path.write_text("blues/blues.00000.wav\npolka/polka.00000.wav\n")
    with pytest.raises(folders.CorpusError, match=r"train_filtered\.txt, line 2, .*'polka/polka"):
        gtzan.read_list(path)
    path.write_bytes("rock.00000.wav ::: Björk :::".encode("latin-1"))
    assert gtzan.read_list(path) == {"rock.00000": "Björk"}


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("blues/blues.00029.wav", "blues.00029"),
        ("Data/genres_original/hiphop/hiphop.00001.wav", "hiphop.00001"),
        ("hip-hop/hip-hop.00001.au", "hiphop.00001"),
        ("Hip Hop/HIPHOP_00001.mp3", "hiphop.00001"),
        ("jazz.00054", "jazz.00054"),
        ("rock.00001.3.wav", "rock.00001"),
        ("rock.000016.wav", ""),
        ("trip-hop.00001x", ""),
        ("polka.00001.wav", ""),
    ],
)
def test_names_are_understood_in_all_their_spellings(name, key):
    assert gtzan.track_key(name) == key


# ---------------------------------------------------------------------------- known faults


def test_the_table_of_faults_is_that_of_the_paper():
    faults = gtzan.known_faults()
    repeated = [ids for fault, ids in faults if fault == "the same sound"]
    assert ("metal.00040", "metal.00061") in repeated
    assert ("metal.00045", "metal.00066") in repeated
    assert ("disco.00050", "disco.00051", "disco.00070") in repeated
    named = [key for ids in repeated for key in ids]
    assert len(named) == len(set(named))  # groups do not overlap
    assert all(gtzan.track_key(key) == key for _, ids in faults for key in ids)


def test_it_is_said_what_found_each_fault(data):
    put(data / "music", members("genres"))
    put(data / "music", {"genres/reggae/reggae.00086.wav": sound_bytes(50)})
    put(data / "music", {"genres/jazz/jazz.00054.wav": b"not audio at all"})
    tracks = corpora.find_tracks("gtzan", data / "music")
    audited = auditing.audit(tracks, data / "music", min_seconds=0.5, n_jobs=1)
    report = gtzan.fault_report(audited).set_index("tracks")
    assert list(report.index) == ["metal.00058 = rock.00016", "reggae.00086", "jazz.00054"]
    assert list(report["audit"]) == ["metal.00058, rock.00016", "", "jazz.00054"]
    assert list(report["still used"]) == ["", "reggae.00086", ""]


def test_the_lists_exclude_before_the_audit_compares(data):
    put(data / "music", members("genres"))
    put_lists(data / "gtzan")
    tracks = corpora.find_tracks("gtzan", data / "music")
    audited = auditing.audit(tracks, data / "music", min_seconds=0.5, n_jobs=1)
    status = audited.set_index("track_id")["status"]
    assert status["metal.00058"] == "excluded" and status["rock.00016"] == "used"
    report = gtzan.fault_report(audited).iloc[0]
    assert (report["lists"], report["audit"], report["still used"]) == ("metal.00058", "", "")


# ---------------------------------------------------------------------------- real music


def test_the_real_gtzan_mini_in_an_archive(gtzan_mini, data):
    packed = data / "gtzan" / "genres.tar.gz"
    packed.parent.mkdir()
    with tarfile.open(packed, "w:gz", compresslevel=1) as archive:
        for path in sorted((gtzan_mini / "genres").glob("[rm]*/*.0000[0-2].wav")):
            archive.add(path, path.relative_to(gtzan_mini).as_posix())
    folder = corpora.locate("gtzan", "")
    tracks = corpora.find_tracks("gtzan", folder)
    assert list(tracks["genre"].value_counts()) == [3, 3, 3]
    audited = auditing.audit(tracks, folder, min_seconds=29.0, n_jobs=1)
    assert set(audited["status"]) == {"used"}
    listed = pd.read_csv(gtzan_mini / "tracks.csv").set_index("track_id")
    tracks = corpora.find_tracks("gtzan", gtzan_mini).set_index("track_id")
    known = ~listed["artist"].str.startswith("unknown:")
    assert len(tracks) == 100
    assert (tracks["artist"].reindex(listed.index) == listed["artist"])[known].all()
    assert splits.groups_of(tracks.reset_index(), "artist").nunique() < 60
