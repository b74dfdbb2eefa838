"""Lists as people write them: what matches, what is told, and that no artist crosses a split."""

import shutil
import unicodedata

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre_utils.data import auditing, checks, corpora, splits, track_lists

ROWS = [(f"{g}/Canción {n}.wav", f"{g} {n // 2}") for g in ("pop", "rock") for n in range(12)]
TRUTH = dict(ROWS)


def nfd(text):
    return unicodedata.normalize("NFD", text)


@pytest.fixture(scope="module", name="base")
def base_fixture(tmp_path_factory):
    """Twelve files of each of two genres, by six artists, two songs each."""
    folder = tmp_path_factory.mktemp("listed")
    for path, _ in ROWS:
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(path.encode())
    return folder


def written(base, text, encoding="utf-8"):
    (base / "tracks.csv").write_bytes(text.encode(encoding))
    return corpora.find_tracks("folder", base)


def listing(change=lambda path: path, header="path,artist", delimiter=","):
    lines = [header, *(f"{change(path)},{artist}" for path, artist in ROWS)]
    return "\n".join(lines).replace(",", delimiter) + "\n"


def told(tracks):
    """Warnings of an audit that finds every file usable, and of the check before a study."""
    audited = tracks.assign(status="used", reason="", duration_s=9.0, md5="x")
    found = auditing.audit_report(tracks, audited)["warnings"]
    genres = checks.choose_genres(tracks, [])
    assert checks.check(tracks, genres, group_by="artist", folds=3) == found
    return found


def crossing(tracks):
    """Artists who in truth stand both in the test part of a fold and in another part."""
    folds = splits.make_folds(tracks, folds=3, group_by="artist", seed=0)
    folds["artist"] = folds["track_id"].map(lambda name: TRUTH[unicodedata.normalize("NFC", name)])
    tested = folds["part"] == "test"
    both = folds[tested].merge(folds[~tested], on=["fold", "artist"])
    return set(both["artist"])


LISTS = {
    "as it should be": listing(),
    "blank in header": listing(header="path, artist"),
    "header in capitals": listing(header="PATH,Artist"),
    "folder in capitals": listing(lambda path: path.replace("rock", "Rock")),
    "type in capitals": listing(lambda path: path.replace(".wav", ".WAV")),
    "other accents": listing(nfd),
    "backslashes": listing(lambda path: path.replace("/", "\\")),
    "dots and slashes": listing(lambda path: f".//{path.replace('/', '//')}"),
    "blanks around": listing(lambda path: f" {path} "),
    "semicolons": listing(delimiter=";"),
    "tabs": listing(delimiter="\t"),
    "blank lines": listing().replace("\n", "\n\n"),
    "row numbers": listing(lambda path: f"7,{path}", header=",path,artist"),
    "same row twice": listing() + "ROCK\\Canción 0.wav,rock 0\n",
    "Windows lines": listing().replace("\n", "\r\n"),
    "old Mac lines": listing().replace("\n", "\r"),
}


@pytest.mark.parametrize("way", LISTS)
def test_a_list_is_understood_however_it_is_written(base, way):
    tracks = written(base, LISTS[way])
    assert dict(zip(tracks["path"], tracks["artist"], strict=True)) == TRUTH
    assert told(tracks) == [] and crossing(tracks) == set()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_what_spreadsheets_save_as_unicode_is_read(base, encoding):
    assert set(written(base, listing(delimiter="\t"), encoding)["artist"]) == {*TRUTH.values()}


def test_absolute_paths_within_the_corpus_are_its_files(base):
    tracks = written(base, listing(lambda path: f"{base}/{path}"))
    assert dict(zip(tracks["path"], tracks["artist"], strict=True)) == TRUTH


def test_decomposed_file_names_match_a_composed_list(base, tmp_path):
    folder = shutil.copytree(base, tmp_path / "mac")
    for path, _ in ROWS[::3]:
        (folder / path).rename(folder / nfd(path))
    tracks = written(folder, listing())
    assert not tracks["artist"].str.startswith("unknown:").any() and crossing(tracks) == set()


def test_another_type_of_file_is_matched_and_told(base):
    tracks = written(base, listing(lambda path: path.replace("rock", "Rock").replace("wav", "mp3")))
    assert crossing(tracks) == set()
    assert told(tracks) == [
        "Rows of tracks.csv with another type of file (24): 'pop/Canción 0.mp3', "
        "'pop/Canción 1.mp3', 'pop/Canción 2.mp3' and 21 more."
    ]


def test_rows_that_are_no_file_and_files_that_are_in_no_row_are_told(base):
    half = listing(lambda path: path if "1" in path else f"gone/{path}")
    tracks = written(base, half)
    assert len(tracks.attrs["rows_without_file"]) == len(tracks.attrs["files_not_listed"]) == 18
    assert tracks.attrs["list"] == "24 rows with path, artist"
    rows, left_out = told(tracks)
    assert rows.startswith("Rows of tracks.csv that are no file here (18 of 24): 'gone/pop/Canci")
    assert left_out.startswith(
        "Files that are not in tracks.csv and name no artist (18): 'pop/Canción"
    )
    report = auditing.audit_report(tracks, tracks.assign(status="used", reason="", duration_s=9.0,
                                                         md5="x"))  # fmt: skip
    assert report["files_not_listed"] == [path for path in TRUTH if "1" not in path]


def test_a_list_without_artists_names_the_columns_that_it_has(base):
    said = told(written(base, listing(header="path,artists")))
    assert said[0].startswith("tracks.csv has no column artist") and "path, artists" in said[0]


NOBODIES = ["Unknown", "unknown artist", "Various Artists", "VA", "N/A", "nan", "None", "-", ""]


@pytest.mark.parametrize("nobody", NOBODIES)
def test_who_is_nobody_in_tags_is_nobody_in_a_list(base, nobody):
    text = "path,artist\n" + "".join(f"{path},{nobody}\n" for path in TRUTH)
    assert told(written(base, text))[-1].startswith("No artist is known")


def test_genres_of_a_list_that_contradict_the_folders_are_told(base):
    text = "path,artist,genre\n" + "".join(f"{path},{a},metal\n" for path, a in ROWS)
    assert told(written(base, text)) == [
        "tracks.csv gives 24 files another genre than their folder, which counts: "
        "'pop/Canción 0.wav' is called metal."
    ]


def test_a_group_that_the_list_states_is_kept(base):
    text = "path,artist,group\n" + "".join(f"{path},X & {a},{a}\n" for path, a in ROWS)
    tracks = written(base, text)
    assert dict(zip(tracks["path"], tracks["group"], strict=True)) == TRUTH and told(tracks) == []
    assert crossing(tracks) == set()


NAMES = (
    st.text("abAB éÉñ-_.'日", min_size=1, max_size=8)
    .map(str.strip)
    .filter(lambda name: name.strip("."))
)


@given(st.sets(NAMES.map(lambda n: track_lists._folded(n)), min_size=2, max_size=8), st.data())
def test_whatever_the_spelling_each_row_is_the_file_that_it_means(names, data):
    paths = [f"Pop/{name}.wav" for name in sorted(names)]
    changes = [str.upper, str.lower, nfd, lambda path: path.replace("/", "\\"), str]
    rows = [data.draw(st.sampled_from(changes))(path) for path in paths]
    inside = [track_lists._within(track_lists.PurePosixPath("."), row, "/nowhere") for row in rows]
    found, other_type = track_lists._matched(inside, paths)
    assert found == dict(enumerate(paths)) and other_type == []


# ---------------------------------------------------------------------------- folders


def test_files_in_no_genre_are_mentioned(base, tmp_path):
    folder = shutil.copytree(base, tmp_path / "stick")
    (folder / "tracks.csv").write_text(listing(), encoding="utf-8")
    for name in ("a song.mp3", "cover.jpg", ".hidden.wav", "artists.xlsx"):
        (folder / name).touch()
    found = corpora.find_tracks("folder", folder)
    assert told(found) == [
        "Files that lie in no genre's folder (1): 'a song.mp3'.",
        "Not read: 'artists.xlsx'. A list of artists is called tracks.csv.",
    ]


def test_a_list_may_be_called_in_capitals(base, tmp_path):
    folder = shutil.copytree(base, tmp_path / "stick", ignore=shutil.ignore_patterns("*.csv"))
    (folder / "Tracks.CSV").write_text(listing(), encoding="utf-8")
    assert set(corpora.find_tracks("folder", folder)["artist"]) == set(TRUTH.values())


def test_one_genre_in_several_spellings_is_one(base, tmp_path):
    for genre, count in {"Hip Hop": 4, "hip-hop": 3, "HIPHOP": 2, "Música": 3, nfd("musica"): 2,
                         "R&B": 3}.items():  # fmt: skip
        for n in range(count):
            path = tmp_path / genre / f"{genre} {n}.wav"
            path.parent.mkdir(exist_ok=True)
            path.touch()
    tracks = corpora.find_tracks("folder", tmp_path)
    assert tracks["genre"].value_counts().to_dict() == {"Hip Hop": 9, "Música": 5, "R&B": 3}
    said = told(tracks)
    assert said[0].startswith("Taken as one genre, 'Hip Hop': 'Hip Hop' (4 files), 'hip-hop' (3 f")
    assert "'musica' (2 files)" in said[1]
    assert checks.choose_genres(tracks, ["hip_hop", "r&b"]) == ["Hip Hop", "R&B"]


def test_a_folder_without_usable_files_is_no_genre(base):
    tracks = written(base, listing())
    system = tracks.iloc[:2].assign(genre="System Volume Information", track_id=["x", "y"])
    audited = pd.concat([tracks, system]).reset_index(drop=True)
    audited["status"] = np.where(audited["genre"].isin(["pop", "rock"]), "used", "excluded")
    audited = audited.assign(reason="", duration_s=9.0, md5="x")
    report = auditing.audit_report(pd.concat([tracks, system]), audited)
    assert set(report["totals"]["genres"]) == {"pop", "rock"} and report["warnings"] == []
