"""What the command line writes: a spreadsheet, a playlist, tags; what it remembers and tells."""

import csv
import io
import json

import pytest
from conftest import write_sound

from genre_utils import __main__
from genre_utils.features import genre_tags
from genre_utils.recognition import batch, exported_model, output
from study_runs import command, places_fixture  # noqa: F401


def told(label="jazz", **more):
    """As much of a prediction as outputs read."""
    known = {"predicted_label": label, "uncertain": False, "unlike_training": False}
    return known | {"duration_s": 61.2, "audio_file": "a"} | more


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("collection")
    for number, name in enumerate(("ünï.flac", "=b.flac", "deep/c.wav")):
        write_sound(place / name, number, seconds=4.0)
    (place / "notes.dat").write_text("no sound")
    return place


@pytest.fixture(scope="module")
def first(folder, places):
    return command("recognize", folder, "--format", "csv", env=places)


def test_a_spreadsheet_knows_its_encoding_and_has_a_row_per_file(first, folder):
    assert first.returncode == 1 and first.stdout.startswith(output.BYTE_ORDER_MARK + "audio_file,")
    rows = list(csv.DictReader(io.StringIO(first.stdout.removeprefix(output.BYTE_ORDER_MARK))))
    assert len(rows) == 4 == len(first.stdout.splitlines()) - 1
    assert not [cell for row in rows for cell in row.values() if cell[:1] in ("[", "{", "=")]
    named = {row["audio_file"]: row for row in rows}
    assert str(folder / "ünï.flac") in named
    wrong = named[str(folder / "notes.dat")]
    assert wrong["error"] and not wrong["predicted_label"]
    assert float(named[str(folder / "deep/c.wav")]["heard_s"]) == 4


def test_what_was_heard_once_comes_from_the_cache_and_is_the_same(first, folder, places, tmp_path):
    assert "cache" not in first.stderr
    again = command("recognize", folder, "--format", "csv", env=places)
    assert again.stdout == first.stdout
    assert "3 were heard before" in again.stderr and "4 files: 1 could not" in again.stderr
    copied = tmp_path / "other name.flac"
    copied.write_bytes((folder / "ünï.flac").read_bytes())
    answer = json.loads(command("recognize", copied, "--jsonl", env=places).stdout)
    assert answer["audio_file"] == str(copied)


def test_a_damaged_answer_of_the_cache_is_not_believed(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("GENRE_CACHE_DIR", str(tmp_path))
    names, model = [str(folder / "=b.flac")], exported_model.PRETRAINED
    ((whole, remembered),) = batch.recognise(names, model, threads=1)
    (kept,) = tmp_path.glob("recognised/*/*.json")
    for content in ("", "{", json.dumps(whole | {"confidence": 7}), "[" * 100_000):
        kept.write_text(content)
        assert list(batch.recognise(names, model, threads=1)) == [(whole, remembered)]
    assert list(batch.recognise(names, model, threads=1)) == [(whole, True)]


def test_a_playlist_has_the_files_of_one_genre_by_their_places(folder, places):
    answers = command("recognize", folder, "--jsonl", env=places).stdout.splitlines()
    known = {a["audio_file"]: a.get("predicted_label") for a in map(json.loads, answers)}
    genre = next(filter(None, known.values()))
    lines = command("recognize", folder, "--m3u", genre, env=places).stdout.splitlines()
    assert lines[0] == "#EXTM3U" and lines[1].startswith("#EXTINF:4,")
    assert lines[2::2] == [path for path, label in known.items() if label == genre]
    wrong = command("recognize", folder, "--m3u", "polka", env=places)
    assert wrong.returncode == 2 and "knows no genre 'polka'" in wrong.stderr and not wrong.stdout


def test_a_name_that_a_playlist_cannot_hold_is_told(capsys):
    handle = io.StringIO()
    lines = output.Playlist(handle, "jazz")
    for name in ("a\nb.mp3", "-", "c.mp3"):
        lines.write(name, told())
    assert len(handle.getvalue().splitlines()) == 3
    assert capsys.readouterr().err.count("left out") == 2


def test_tags_are_told_then_written_and_put_back(tmp_path, monkeypatch, capsys):
    paths = [write_sound(tmp_path / "music" / f"{i}.flac", i, seconds=1.0) for i in range(3)]
    for path in paths:
        genre_tags.write(path, ("Other",))
    answers = [told(), told(uncertain=True), told("rock")]
    monkeypatch.setattr(batch, "recognise", lambda *_, **__: ((one, False) for one in answers))
    monkeypatch.chdir(tmp_path)
    folder = str(tmp_path / "music")

    def run(*arguments):
        assert __main__.main([*arguments]) == 0
        return capsys.readouterr()

    dry = run("recognize", folder, "--write-tags")
    assert "Nothing was written: add --yes" in dry.err and "0.flac': Other -> jazz\n" in dry.out
    assert run("recognize", folder, "--tags").out == dry.out
    assert {genre_tags.genres(path) for path in paths} == {("Other",)}
    done = run("recognize", folder, "--write-tags", "--yes")
    assert done.out == dry.out
    assert [genre_tags.genres(path) for path in paths] == [("jazz",), ("Other",), ("rock",)]
    (backup,) = tmp_path.glob("genres-before-*.jsonl")
    assert f"restore-tags '{backup.name}'" in done.err
    again = run("recognize", folder, "--write-tags", "--yes")
    assert "No tag had to be written" in again.err and "0.flac': jazz, as it is\n" in again.out
    assert "2 of 2 files have their genre back" in run("restore-tags", str(backup)).out
    assert {genre_tags.genres(path) for path in paths} == {("Other",)}
    assert __main__.main(["restore-tags", paths[0].as_posix()]) == 2
    assert "no list of genres" in capsys.readouterr().err


@pytest.mark.parametrize("doubt", ["uncertain", "unlike_training"])
def test_what_the_model_doubts_is_not_written(tmp_path, doubt):
    path, handle = write_sound(tmp_path / "a.flac", seconds=1.0), io.StringIO()
    lines = output.Tags(handle, genre_tags.Backup(tmp_path))
    lines.write(str(path), told(**{doubt: True}))
    assert genre_tags.genres(path) == () and "unsure" in handle.getvalue()
    lines.write(str(path), told())
    assert genre_tags.genres(path) == ("jazz",)
    lines.write(str(path), told())
    lines.write(str(tmp_path / "none.flac"), told())
    lines.write("x", {"error": "why", "audio_file": "x"})
    assert handle.getvalue().splitlines()[2].endswith("jazz, as it is")
    assert handle.getvalue().count("left as it is") == 3
    assert len(lines.backup.path.read_text().splitlines()) == 1


def test_yes_goes_with_writing_alone(folder, places):
    assert command("recognize", folder, "--yes", env=places).returncode == 2
    assert command("recognize", folder, "--tags", "--m3u", "jazz", env=places).returncode == 2


def test_a_count_tells_what_was_doubtful():
    count = output.Count()
    for prediction, remembered in (
        (told(uncertain=True), True),
        (told(unlike_training=True), False),
        ({"error": "why"}, False),
    ):
        count.add(prediction, remembered)
    text = "3 files: 1 could not be recognised, 1 unsure, 1 unlike the training music."
    assert str(count) == f"{text} 1 were heard before: their answers come from the cache."


def test_progress_is_told_at_times_and_failures_at_once(capsys, monkeypatch):
    heard = [(told(), False), ({"audio_file": "bad", "error": "why"}, False), (told(), False)]
    moments = iter([0.0, 1.0, 2.0, 3.0])
    monkeypatch.setattr(output.time, "monotonic", lambda: next(moments))
    assert list(output.with_progress(heard, 3)) == heard
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["[1/3] about 2 s left", "[2/3] 'bad': why", "[3/3] about 0 s left"]
