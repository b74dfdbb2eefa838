"""Parquet files of sounds, in the schemas of the hub's copies of GTZAN: a corpus like any other."""

import io
import json
import re
import sys
import types

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from conftest import sound, write_sound
from hypothesis import given
from hypothesis import strategies as st

from genre_utils import __main__ as command_line
from genre_utils.data import auditing, corpora, gtzan, parquet
from genre_utils.data.track_lists import CorpusError
from genre_utils.workspace import files

NAMES = [
    "blues",
    "classical",
    "country",
    "disco",
    "hiphop",
    "jazz",
    "metal",
    "pop",
    "reggae",
    "rock",
]
TRACKS = [("blues", "blues.00000.wav"), ("blues", "blues.00001.wav"), ("rock", "rock.00016.wav")]


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Empty folders of data and of the cache, and no network."""
    monkeypatch.setenv("GENRE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("GENRE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(gtzan, "LISTS", dict.fromkeys(gtzan.LISTS, ("http://127.0.0.1:9/x",)))
    (tmp_path / "data" / "hub").mkdir(parents=True)


@pytest.fixture
def hub(tmp_path):
    return tmp_path / "data" / "hub"


def sound_bytes(seed):
    buffer = io.BytesIO()
    soundfile.write(buffer, sound(seed), 22_050, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def features(**columns):
    """Metadata as the library `datasets` writes it."""
    told = {name: {"dtype": "string", "_type": "Value"} for name in columns}
    told |= {
        name: {"names": value, "_type": "ClassLabel"} for name, value in columns.items() if value
    }
    return {b"huggingface": json.dumps({"info": {"features": told}}).encode()}


def write(path, rows, *, names=None, **columns):
    """Write rows (sound, name of the file, genre) as a parquet file."""
    audio = [None if row[0] is None else {"bytes": row[0], "path": row[1]} for row in rows]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = {"audio": pa.array(audio, kind), "genre": [row[2] for row in rows]} | columns
    made = pa.table(table).replace_schema_metadata(features(audio=None, genre=names))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(made, path, row_group_size=2)
    return path


def as_marsyas(folder):
    """Columns file, audio and genre, a number that the metadata names."""
    rows = [
        (sound_bytes(seed), name, NAMES.index(genre)) for seed, (genre, name) in enumerate(TRACKS)
    ]
    paths = [f"/cache/genres/{genre}/{name}" for genre, name in TRACKS]
    return write(folder / "default" / "train" / "0000.parquet", rows, names=NAMES, file=paths)


def as_confit(folder):
    """Columns audio, genre (a name) and label (its number), in files of parts."""
    for part, chosen in (("train", slice(0, 2)), ("test", slice(2, 3))):
        rows = [(sound_bytes(seed), name, genre) for seed, (genre, name) in enumerate(TRACKS)][
            chosen
        ]
        numbers = [NAMES.index(genre) for _, _, genre in rows]
        write(folder / "data" / f"{part}-00000-of-00001.parquet", rows, label=numbers)


@pytest.mark.parametrize("corpus", ["folder", "gtzan"])
@pytest.mark.parametrize("written", [as_marsyas, as_confit])
def test_both_schemas_of_the_hub_are_a_corpus(hub, written, corpus):
    written(hub)
    folder = corpora.locate(corpus, "hub")
    assert folder == corpora.locate(corpus, hub)  # unpacked once
    tracks = corpora.find_tracks(corpus, folder)
    assert sorted(zip(tracks["genre"], tracks["path"].str.split("/").str[1], strict=True)) == TRACKS
    assert (folder / tracks["path"][0]).read_bytes() in map(sound_bytes, range(3))
    audited = auditing.audit(tracks, folder, min_seconds=0.5, n_jobs=1)
    assert set(audited["status"]) == {"used"}


def test_the_published_lists_of_gtzan_apply(hub):
    as_marsyas(hub)
    lists = {"train": "blues/blues.00000.wav\n", "valid": "blues.00001\n", "test": "jazz.00001\n"}
    for part, text in lists.items():
        files.write_text(hub.parent / "gtzan" / f"{part}_filtered.txt", text)
    index = "blues.00000.wav ::: John Lee Hooker ::: Boogie\n"
    files.write_text(hub.parent / "gtzan" / gtzan.INDEX, index)
    tracks = corpora.find_tracks("gtzan", corpora.locate("gtzan", "hub")).set_index("track_id")
    assert list(tracks.index) == ["blues.00000", "blues.00001", "rock.00016"]
    assert tracks.loc["blues.00000", "artist"] == "John Lee Hooker"
    assert list(tracks["split"]) == ["train", "valid", ""] and tracks["fault"]["rock.00016"]


def test_files_without_gtzans_names_are_not_gtzan(hub):
    write(hub / "rock.parquet", [(sound_bytes(0), None, "rock")])
    with pytest.raises(CorpusError, match="hub is not GTZAN"):
        corpora.locate("gtzan", "hub")


def test_artists_are_those_of_a_list_beside_or_of_a_column(hub):
    rows = [(sound_bytes(n), f"{n}.wav", "ska") for n in range(2)]
    write(hub / "a.parquet", rows, artist=["Björk", None])
    folder = corpora.locate("folder", "hub")
    assert set(corpora.find_tracks("folder", folder)["artist"]) == {"Björk", "unknown:ska/1.wav"}
    (hub / "Tracks.csv").write_text("path,artist\nska/0.wav,A\nska/1.wav,B\n")
    assert corpora.locate("folder", "hub") == folder
    assert list(corpora.find_tracks("folder", folder)["artist"]) == ["A", "B"]
    (hub / "Tracks.csv").unlink()
    corpora.locate("folder", "hub")
    assert "Björk" in set(corpora.find_tracks("folder", folder)["artist"])


def test_what_lies_beside_ready_music_is_not_unpacked(hub):
    as_confit(hub)
    write_sound(hub / "ska" / "a.wav")
    assert corpora.locate("folder", "hub") == hub


def test_rows_without_a_sound_or_a_genre_are_left_out_and_told(hub, capsys):
    rows = [(sound_bytes(0), "a.wav", 9), (None, "b.wav", 9), (b"", "c.wav", 9)]
    write(hub / "a.parquet", [*rows, (sound_bytes(1), "d.wav", -1)], names=NAMES)
    tracks = corpora.find_tracks("folder", corpora.locate("folder", hub / "a.parquet"))
    assert list(tracks["path"]) == ["rock/a.wav"]
    assert "Left out: 3 of 4 rows" in capsys.readouterr().err
    write(hub / "a.parquet", rows[1:], names=NAMES)
    with pytest.raises(CorpusError, match=r"a\.parquet: no row has both"):
        corpora.locate("folder", "hub")


def test_a_row_stays_inside_and_overwrites_no_other(hub, tmp_path):
    names = [
        "../../out.wav",
        "C:\\out.wav",
        "/etc/out",
        "out.wav",
        "OUT.wav",
        ".hidden.wav",
        "x.csv",
    ]
    genres = ["..", "a/../../b", "R&B / Soul", ".ska", "ska", "ska", "ska"]
    rows = [(sound_bytes(n), name, genres[n]) for n, name in enumerate(names)]
    write(hub / "a.parquet", rows)
    folder = corpora.locate("folder", "hub")
    tracks = corpora.find_tracks("folder", folder)
    assert len(tracks) == len(rows)
    left = {(folder / path).read_bytes() for path in tracks["path"]}
    assert left == {row[0] for row in rows}
    outside = [
        path for path in tmp_path.rglob("*") if path.is_file() and folder not in path.parents
    ]
    assert outside == [hub / "a.parquet"]


@given(st.lists(st.tuples(st.text(), st.none() | st.text()), max_size=20))
def test_any_name_becomes_a_file_of_its_own(rows):
    taken = set()
    places = [parquet._place(*row, number, taken) for number, row in enumerate(rows)]
    assert len({place.lower() for place in places}) == len(rows)
    for place in places:
        genre, name = place.split("/")
        assert genre.strip(".") and not genre.startswith(".") and not name.startswith(".")
        assert len(genre.encode()) < 250 and len(name.encode()) < 600


def broken(path):
    path.write_bytes(path.read_bytes()[:-20])


def damaged(path):
    content = bytearray(path.read_bytes())
    content[4:400] = bytes(396)
    path.write_bytes(content)


def columns(**table):
    return lambda path: pq.write_table(pa.table(table), path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (broken, "cannot be read as parquet"),
        (damaged, "cannot be read as parquet"),
        (columns(sound=[1], genre=["ska"]), "has no column audio; it has sound, genre"),
        (columns(audio=[{"bytes": b"x", "path": ""}], kind=[1]), "has no column genre or label"),
        (columns(audio=["a.wav"], genre=["ska"]), "holds no sounds, but string"),
        (columns(audio=[{"bytes": b"x"}], genre=[1]), "numbers that its metadata does not name"),
        (lambda path: write(path, [(b"x", "a.wav", 10)], names=NAMES), "number 10, but .* just 10"),
    ],
)
def test_files_that_are_no_such_corpus_are_refused(hub, change, said):
    change(as_marsyas(hub))
    with pytest.raises(CorpusError, match=said) as error:
        corpora.locate("folder", "hub")
    assert "0000.parquet" in str(error.value)
    assert not list((hub.parents[1] / "cache").rglob("*.wav"))  # nothing half unpacked is left


def test_a_small_disk_is_told_before_anything_is_written(hub, monkeypatch):
    as_marsyas(hub)
    monkeypatch.setattr(parquet.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=1000))
    with pytest.raises(CorpusError, match=r"unpack to .* GB, but .* 0\.0 GB free.*GENRE_CACHE_DIR"):
        corpora.locate("folder", "hub")
    monkeypatch.undo()
    monkeypatch.setattr(parquet, "_MAX_BYTES", 1000)
    with pytest.raises(CorpusError, match="unpacks to more than"):
        parquet.unpacked(hub)


def test_the_command_line_audits_such_a_folder(hub, capsys):
    as_confit(hub)
    assert (
        command_line.main(["audit", "hub", "--format", "json", "--set", "EXCERPT_SECONDS=0.5"]) == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert told["totals"]["used"] == 3 and set(told["totals"]["genres"]) == {"blues", "rock"}


# ---------------------------------------------------------------------------- Kaggle's client


class BackendError(Exception):
    pass


@pytest.fixture
def kagglehub(monkeypatch, tmp_path):
    """A stand-in for the library `kagglehub`, with a small GTZAN as Kaggle packs it."""
    place = tmp_path / "kaggle" / "versions" / "1"
    write_sound(place / "Data" / "genres_original" / "blues" / "blues.00000.wav")
    exceptions = types.ModuleType("kagglehub.exceptions")
    exceptions.BackendError = exceptions.CredentialError = BackendError
    exceptions.DataCorruptionError = BackendError
    made = types.ModuleType("kagglehub")
    made.exceptions, made.asked = exceptions, []
    made.dataset_download = lambda handle: made.asked.append(handle) or str(place)
    monkeypatch.setitem(sys.modules, "kagglehub", made)
    monkeypatch.setitem(sys.modules, "kagglehub.exceptions", exceptions)
    return made


NOWHERE = ["http://127.0.0.1:9/genres.tar.gz"]


def test_kaggles_client_is_asked_where_the_mirrors_fail(kagglehub):
    folder = gtzan.locate("", download=True, mirrors=NOWHERE)
    assert list(corpora.find_tracks("gtzan", folder)["track_id"]) == ["blues.00000"]
    assert kagglehub.asked == ["andradaolteanu/gtzan-dataset-music-genre-classification"]


def test_it_is_told_why_kaggle_gives_nothing(kagglehub, monkeypatch):
    def fail(handle):
        raise BackendError("no such data set")

    monkeypatch.setattr(kagglehub, "dataset_download", fail)
    with pytest.raises(CorpusError, match=r"127\.0\.0\.1(.|\n)*Kaggle.*no such data set"):
        gtzan.locate("", download=True, mirrors=NOWHERE)
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(CorpusError, match=r"pip install kagglehub"):
        gtzan.locate("", download=True, mirrors=NOWHERE)


def test_a_table_of_something_else_is_no_corpus(hub):
    pd.DataFrame({"a": [1]}).to_parquet(hub / "numbers.parquet")
    with pytest.raises(CorpusError, match=re.escape("has no column audio and no genre or label")):
        corpora.locate("folder", "hub")
