"""The genre in the tags of music: written, listed, put back, and nothing else changed."""

import json
import subprocess

import imageio_ffmpeg
import mutagen
import pytest
from conftest import write_sound

from genre_utils.features import genre_tags

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
TAGS = ["-metadata", "genre=Old Thing", "-metadata", "artist=Somebody", "-metadata", "date=1999"]
KINDS = {
    "id3v23.mp3": ["-id3v2_version", "3"],
    "id3v24.mp3": ["-id3v2_version", "4"],
    "a.m4a": [],
    "a.flac": [],
    "a.ogg": ["-c:a", "libvorbis"],
    "a.opus": [],
    "a.wma": [],
}


def coded(folder, name, *options):
    original = write_sound(folder / "original.wav", seconds=2.0)
    command = [FFMPEG, "-loglevel", "error", "-y", "-i", original, *TAGS, *options, folder / name]
    subprocess.run(command, check=True)
    return folder / name


def sound_of(path):
    command = [FFMPEG, "-loglevel", "error", "-i", path, "-map", "0:a", "-f", "md5", "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def other_tags(path):
    return {key: str(value) for key, value in mutagen.File(path).tags.items() if "gen" not in
            key.lower() and key != "TCON"}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_a_genre_is_written_and_put_back_and_all_else_is_kept(tmp_path, name):
    path = coded(tmp_path, name, *KINDS[name])
    sound, others = sound_of(path), other_tags(path)
    version = getattr(mutagen.File(path).tags, "version", None)
    backup = genre_tags.Backup(tmp_path)
    backup.write(path, ("jazz",))
    assert genre_tags.genres(path) == ("jazz",) and others and other_tags(path) == others
    assert sound_of(path) == sound and getattr(mutagen.File(path).tags, "version", None) == version
    assert json.loads(backup.path.read_text())["before"] == ["Old Thing"]
    assert genre_tags.restore(backup.path) == {str(path): ""}
    assert genre_tags.genres(path) == ("Old Thing",) and sound_of(path) == sound
    assert other_tags(path) == others


def test_a_file_without_tags_gets_one_and_is_left_without_a_genre(tmp_path):
    path = write_sound(tmp_path / "a.wav", seconds=2.0)
    sound, backup = sound_of(path), genre_tags.Backup(tmp_path)
    assert genre_tags.genres(path) == ()
    backup.write(path, ("rock",))
    assert genre_tags.genres(path) == ("rock",) and sound_of(path) == sound
    genre_tags.restore(backup.path)
    assert genre_tags.genres(path) == () and sound_of(path) == sound


def test_what_was_changed_since_or_is_gone_is_left_and_told(tmp_path):
    paths = [write_sound(tmp_path / f"{i}.flac", i, seconds=1.0) for i in range(3)]
    backup = genre_tags.Backup(tmp_path)
    for path in paths:
        backup.write(path, ("pop",))
    genre_tags.write(paths[0], ("own choice",))
    paths[1].unlink()
    done = genre_tags.restore(backup.path)
    assert "changed since" in done[str(paths[0])] and done[str(paths[1])]
    assert done[str(paths[2])] == "" and genre_tags.genres(paths[0]) == ("own choice",)


def test_several_genres_are_put_back_as_they_were(tmp_path):
    path, named = write_sound(tmp_path / "a.flac", seconds=1.0), ("one; two", "three")
    genre_tags.write(path, named)
    backup = genre_tags.Backup(tmp_path)
    backup.write(path, ("jazz",))
    genre_tags.restore(backup.path)
    assert genre_tags.genres(path) == named


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '{"path": "a", "before": 1, "after": []}', "\x00"]
)
def test_what_is_no_list_is_refused(tmp_path, text):
    path = tmp_path / "list.jsonl"
    path.write_text(text + "\n" if text else "no json")
    with pytest.raises(genre_tags.TagError, match="no list"):
        genre_tags.restore(path)


def test_what_has_no_tags_is_said(tmp_path):
    (tmp_path / "a.txt").write_text("no music")
    with pytest.raises(genre_tags.TagError, match="no tags"):
        genre_tags.genres(tmp_path / "a.txt")
