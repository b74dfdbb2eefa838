"""FMA with its real table layout, packed, unpacked, downloaded, and with its broken files."""

import csv
import hashlib
import io
import zipfile

import pandas as pd
import pytest
import soundfile
from conftest import sound
from loopback import serving

from genre_utils.data import auditing, corpora, fma, folders, splits

# the columns around those that are read are in the real table, too
HEADER = [
    ["", "album", "artist", "artist", "artist", "set", "set", "track", "track", "track"],
    ["", "title", "bio", "id", "name", "split", "subset", "bit_rate", "genre_top", "title"],
    ["track_id", "", "", "", "", "", "", "", "", ""],
]
ROWS = [
    # number, artist, split, subset, genre
    (2, "AWOL", "training", "medium", "Hip-Hop"),
    (10, "Kurt Vile", "validation", "small", "Pop"),
    (134, "AWOL & Kurt Vile", "test", "medium", "Rock"),
    (140, "NA", "training", "small", "Rock"),
    (1000, "Alec K.", "training", "large", ""),
    (1001, "Alec K.", "training", "large", "Jazz"),
    (98565, "Short", "training", "small", "Rock"),
    (99134, "Empty", "test", "small", "Hip-Hop"),
    (155066, "No genre", "training", "medium", ""),
]


def metadata(rows=ROWS):
    """``tracks.csv``, with the line breaks and commas in quoted text that the real one has."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerows(HEADER)
    for number, artist, split, subset, genre in rows:
        bio = '<p>Born, "so they say",\nin 1970</p>'
        writer.writerow(
            [number, "A, B", bio, 7, artist, split, subset, 256_000, genre, f"Song {number}"]
        )
    return out.getvalue().encode()


def clip(seed):
    buffer = io.BytesIO()
    soundfile.write(buffer, sound(seed, seconds=0.5), 22_050, format="MP3")
    return buffer.getvalue()


def clips(subset="medium"):
    inside = fma.SUBSETS[: fma.SUBSETS.index(subset) + 1]
    ids = [f"{number:06d}" for number, _, _, part, _ in ROWS if part in inside]
    return {f"fma_{subset}/{name[:3]}/{name}.mp3": clip(int(name)) for name in ids}


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return buffer.getvalue()


def put(folder, packed):
    for name, content in packed.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


TABLE = {"fma_metadata/tracks.csv": metadata(), "fma_metadata/genres.csv": b"genre_id\n"}


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("GENRE_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


# ---------------------------------------------------------------------------- finding


def nested(members):
    return {f"{name.split('/')[0]}/{name}": content for name, content in members.items()}


SHAPES = {
    "unpacked": lambda: TABLE | clips(),
    "nested": lambda: nested(TABLE) | nested(clips()),
    "packed": lambda: {"fma_metadata.zip": zipped(TABLE), "fma_medium.zip": zipped(clips())},
    "half packed": lambda: {"fma_metadata.zip": zipped(TABLE)} | clips(),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("named", ["fma", "", "fma/fma_medium"])
def test_it_is_found_packed_and_unpacked(data, shape, named):
    put(data / "fma", SHAPES[shape]())
    folder = corpora.locate("fma", named)
    tracks = corpora.find_tracks("fma", folder)
    assert list(tracks["track_id"]) == ["000002", "000010", "000134", "000140", "098565", "099134"]
    assert list(tracks["genre"]) == ["hip-hop", "pop", "rock", "rock", "rock", "hip-hop"]
    assert list(tracks["artist"][:4]) == ["AWOL", "Kurt Vile", "AWOL & Kurt Vile", "NA"]
    assert list(tracks["split"]) == ["train", "valid", "test", "train", "train", "test"]
    assert list(tracks["title"][:2]) == ["Song 2", "Song 10"] and set(tracks["album"]) == {"A, B"}
    assert all((folder / path).is_file() for path in tracks["path"])
    assert (folder / tracks["path"][1]).read_bytes() == clip(10)


def test_a_subset_holds_the_smaller_ones(data):
    large = put(data / "fma", TABLE | clips("large"))
    tracks = corpora.find_tracks("fma", corpora.locate("fma", "", subset="large"), subset="large")
    assert len(tracks) == 7 and "001001" in set(tracks["track_id"])
    put(large, clips("small"))
    tracks = corpora.find_tracks("fma", corpora.locate("fma", "", subset="small"), subset="small")
    assert list(tracks["track_id"]) == ["000010", "000140", "098565", "099134"]


def test_known_broken_files_are_excluded_undecoded_and_others_decoded(data):
    folder = put(data / "fma", TABLE | clips())
    (folder / "fma_medium" / "000" / "000140.mp3").unlink()
    tracks = corpora.find_tracks("fma", folder)
    audited = auditing.audit(tracks, folder, min_seconds=0.3, n_jobs=1).set_index("track_id")
    assert audited.loc["098565", "reason"].startswith("known broken file of FMA (short: cut")
    assert audited.loc["099134", "reason"].startswith("known broken file of FMA (empty")
    assert audited.loc["000140", "reason"].startswith("cannot be read")
    assert list(audited.index[audited["status"] == "used"]) == ["000002", "000010", "000134"]
    full = put(data / "full", TABLE | clips("full"))  # its songs were not cut
    assert set(corpora.find_tracks("fma", full, subset="full")["fault"]) == {""}


def test_collaborations_tie_artists(data):
    tracks = corpora.find_tracks("fma", put(data / "fma", TABLE | clips()))
    assert len(set(splits.groups_of(tracks[:3], "artist"))) == 1


@pytest.mark.parametrize(
    "content", [b"", b"path,artist\na,b\n", b"a\nb\nc\n", metadata().replace(b"genre_top", b"g")]
)
def test_another_table_is_refused(data, content):
    folder = put(data / "fma", {"fma_metadata/tracks.csv": content} | clips())
    with pytest.raises(folders.CorpusError, match=r"is not the tracks\.csv of fma_metadata\.zip"):
        corpora.find_tracks("fma", folder)


# ---------------------------------------------------------------------------- getting it


def test_what_is_missing_is_said_with_size_address_and_place(data):
    with pytest.raises(folders.CorpusError) as error:
        corpora.locate("fma", "", subset="medium")
    said = str(error.value)
    for part in (f"{fma.SERVER}fma_medium.zip (22 GiB)", "fma_metadata.zip (0.34 GiB)",
                 str(data / "fma"), "DOWNLOAD: true"):  # fmt: skip
        assert part in said
    put(data / "fma", TABLE)
    with pytest.raises(folders.CorpusError, match=r"get [^ ]*fma_medium\.zip \(22 GiB\) and put"):
        corpora.locate("fma", "")
    with pytest.raises(folders.CorpusError, match="fma_large"):
        corpora.locate("fma", "", subset="large", download=True)  # too large to do unasked
    with pytest.raises(folders.CorpusError, match=r"unknown FMA_SUBSET 'tiny'.*small, medium"):
        corpora.locate("fma", "", subset="tiny")


def test_it_is_downloaded_and_unpacked_when_that_is_asked_for(data, monkeypatch, capsys):
    served = {"fma_metadata.zip": zipped(TABLE), "fma_small.zip": zipped(clips("small"))}
    sums = {name: (hashlib.sha1(content).hexdigest(), 0.01) for name, content in served.items()}
    monkeypatch.setattr(fma, "ARCHIVES", sums)
    with serving(served) as server:
        mirrors = [server.at("corrupt", ""), server.at("right", "")]
        folder = fma.locate("", "small", download=True, mirrors=mirrors)
        asked = len(server.requests)
        assert fma.locate("", "small", mirrors=mirrors) == folder
        assert len(server.requests) == asked == 4
    assert "fma_small.zip, 0.01 GiB, into" in capsys.readouterr().err
    assert len(corpora.find_tracks("fma", folder, subset="small")) == 4


def test_a_full_disk_is_noticed_before_the_download(data, monkeypatch):
    monkeypatch.setitem(fma.ARCHIVES, "fma_metadata.zip", ("0" * 40, 1e9))
    with pytest.raises(folders.CorpusError, match=r"takes 2e\+09 GiB.*make room"):
        fma.locate("", "small", download=True, mirrors=["http://127.0.0.1:9/"])


def test_an_archive_of_something_else_is_refused(data):
    packed = {"fma_metadata.zip": zipped({"readme.txt": b"hello"}), "fma_medium.zip": b"x"}
    put(data / "fma", packed)
    with pytest.raises(folders.CorpusError, match="does not hold what it is called"):
        corpora.locate("fma", "")


def test_the_table_is_read_at_the_size_of_the_real_one(tmp_path):
    rows = [(n, f"Artist {n % 99}", "training", "large", "Rock") for n in range(1, 50_001)]
    (tmp_path / "tracks.csv").write_bytes(metadata(rows[::-1]))
    table = fma._read_metadata(tmp_path / "tracks.csv")
    assert len(table) == 50_000
    assert table.loc[17].to_dict() == {
        "artist": "Artist 17", "split": "training", "subset": "large", "genre": "Rock",
        "title": "Song 17", "album": "A, B",
    }  # fmt: skip
    assert isinstance(table, pd.DataFrame) and table.index.is_monotonic_increasing
