"""Playlists of similar music: who is on them, what they say, and where they cannot be made."""

import os
from pathlib import Path

import mutagen
import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import song

from genre_utils.features import audio
from genre_utils.recognition import playlist, similarity
from study_runs import command, places_fixture  # noqa: F401

SR = audio.SAMPLE_RATE
ODD = ("#1 hit.wav", " blank.wav", "\u7d46\u3000fo.wav", "a\nb.wav")


def write_song(path, seed, **named):
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, song(seed, 4.0), SR)
    file = mutagen.File(path)
    file.update({name: [text] for name, text in named.items()})
    file.save()


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Two artists with four songs on an album, files without tags and of odd names, the query."""
    folder = tmp_path_factory.mktemp("library")
    for n in range(8):
        named = {"artist": f"B\u00f6b {n // 4}", "album": "One", "title": f"S\u00f6ng {n}"}
        write_song(folder / f"by {n // 4}" / f"{n}.flac", n, **named)
    for n, name in enumerate(ODD):
        soundfile.write(folder / name, song(20 + n, 4.0), SR)
    write_song(folder / "query.flac", 40, title="Query")
    return folder


def entries(text):
    """Seconds, title and path of each entry, as a player reads them."""
    first, *rest = text.splitlines()
    assert first == "#EXTM3U" and all(line.startswith("#EXTINF:") for line in rest[::2])
    told = [line.removeprefix("#EXTINF:").partition(",")[::2] for line in rest[::2]]
    assert not [path for path in rest[1::2] if path.startswith("#")]
    return [(*one, path) for one, path in zip(told, rest[1::2], strict=True)]


def test_a_playlist_begins_with_the_song_and_opens_from_where_it_lies(library, places, tmp_path):
    place = tmp_path / "lists" / "near.m3u8"
    arguments = ["--library", library, "--playlist", 50, "-o", place]
    done = command("similar", library / "query.flac", *arguments, env=places)
    assert done.returncode == 0 and not done.stdout, done.stderr
    found = entries(place.read_text(encoding="utf-8"))
    paths = [Path(os.path.normpath(place.parent / path)) for _, _, path in found]
    assert paths[0] == library / "query.flac" and found[0][:2] == ("4", "Query")
    playable = {path for path in library.rglob("*.*") if "\n" not in path.name}
    assert set(paths) == playable and len(paths) == len(playable)
    assert not any(os.path.isabs(path) for _, _, path in found)
    titles = {path.name: title for path, (_, title, _) in zip(paths, found, strict=True)}
    assert titles["5.flac"] == "B\u00f6b 1 - S\u00f6ng 5" and titles["#1 hit.wav"] == "#1 hit"
    assert r"a\nb.wav' is left out" in done.stderr


def test_paths_on_standard_output_are_absolute_and_utf_8(library, places):
    env = places | {"PYTHONIOENCODING": "ascii"}
    arguments = ["--library", library, "--playlist", 3]
    done = command("similar", library / "query.flac", *arguments, env=env | {"PYTHONUTF8": "1"})
    found = entries(done.stdout)
    assert len(found) in (3, 4) and all(os.path.exists(path) for _, _, path in found)


def test_odd_names_beside_the_playlist_are_no_comments(library):
    songs = pd.DataFrame({"path": [str(library / name) for name in ODD[:3]], "seconds": -1.0})
    place = library / "list.m3u8"
    playlist.write(songs.assign(artist="", title=""), place)
    found = entries(place.read_text(encoding="utf-8"))
    place.unlink()
    assert [path for _, _, path in found] == ["./#1 hit.wav", "./ blank.wav", ODD[2]]
    assert {seconds for seconds, _, _ in found} == {"-1"}


def test_the_artists_of_a_playlist_are_more_than_those_of_the_nearest(library, monkeypatch):
    paths = [str(library / f"by {n // 4}" / f"{n}.flac") for n in range(8)]
    x = np.eye(9)[:, 1:] * np.linspace(0.5, 0.6, 9)[:, np.newaxis]  # in all directions
    others = dict.fromkeys(paths)
    monkeypatch.setattr(similarity, "described", lambda *_, **__: (None, None, others, {}))
    monkeypatch.setattr(similarity, "embedded", lambda *_: (x, x))
    found, _ = playlist.similar(str(library / "query.flac"), str(library), 2)
    assert list(found["artist"]) == ["", "B\u00f6b 0", "B\u00f6b 1"]
    whole, _ = playlist.similar(str(library / "query.flac"), str(library), 99)
    assert sorted(whole["path"].iloc[1:]) == sorted(paths)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--playlist", "0"], "from 1 to 500"),
        (["--playlist", "5", "--count", "3"], "not allowed with"),
        (["--playlist", "5", "--format", "json"], "--format does not go with --playlist"),
        (["-o", "a.m3u8"], "-o goes with --playlist"),
        (["--playlist", "5", "-o", "song.mp3"], "has to end in .m3u8"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_heard(library, places, arguments, why):
    query = library / "query.flac"
    done = command("similar", query, "--library", library, *arguments, env=places)
    assert done.returncode == 2 and why in done.stderr and "library:" not in done.stderr


def test_where_nothing_can_be_written_is_told(library, tmp_path):
    songs = pd.DataFrame({"path": ["a.wav"], "seconds": [1], "artist": [""], "title": [""]})
    (tmp_path / "list.m3u8").mkdir()
    with pytest.raises(similarity.SimilarityError, match="cannot be written"):
        playlist.write(songs, tmp_path / "list.m3u8")
