import io
import math
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre_utils.workspace import files
from genre_utils.workspace.study_folder import StudyFolder


@pytest.mark.parametrize(
    ("variable", "folder"),
    [
        ("GENRE_DATA_DIR", files.data_folder),
        ("GENRE_CACHE_DIR", files.cache_folder),
        ("GENRE_REPORTS_DIR", files.reports_folder),
    ],
)
def test_folders_follow_the_environment_and_else_lie_in_the_repository(
    variable, folder, monkeypatch, tmp_path
):
    monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
    assert folder() == (tmp_path / "elsewhere").resolve()
    for unset in ("", None):
        if unset is None:
            monkeypatch.delenv(variable)
        else:
            monkeypatch.setenv(variable, unset)
        assert folder().is_relative_to(files.ROOT)


def test_a_relative_folder_is_the_same_one_for_a_child_elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GENRE_REPORTS_DIR", raising=False)
    monkeypatch.setenv("GENRE_CACHE_DIR", "")
    monkeypatch.setenv("GENRE_DATA_DIR", "mydata")
    environment = files.child_environment()
    assert environment["GENRE_DATA_DIR"] == str(tmp_path.resolve() / "mydata")
    assert environment["GENRE_CACHE_DIR"] == "" and "GENRE_REPORTS_DIR" not in environment


def test_the_home_of_nobody_is_no_folder(monkeypatch):
    assert files.typed("~nosuchuser/Music") == Path("~nosuchuser/Music")
    monkeypatch.setenv("HOME", "/home/me")
    assert files.typed("~/Music") == Path("/home/me/Music")
    monkeypatch.setenv("GENRE_CACHE_DIR", "~nosuchuser/cache")
    with pytest.raises(files.PlaceError, match="GENRE_CACHE_DIR is '~nosuchuser/cache': no such"):
        files.cache_folder()


def test_music_is_absolute_or_in_the_data_folder_or_here(monkeypatch, tmp_path):
    data, here = tmp_path / "data", tmp_path / "here"
    for folder in (data / "there", data / "both", here / "both", here / "near"):
        folder.mkdir(parents=True)
    monkeypatch.setenv("GENRE_DATA_DIR", str(data))
    monkeypatch.chdir(here)
    found = {words: files.music_folder(words) for words in ("there", "near", "none", str(here))}
    assert found == {
        "there": data / "there", "near": here / "near", "none": data / "none", str(here): here,
    }  # fmt: skip
    for words in ("./both", "../here/both"):
        assert files.music_folder(words).samefile(here / "both")
    assert files.music_folder("./there") == here / "there"  # which is not there
    with pytest.raises(files.PlaceError) as refused:
        files.music_folder("both")
    assert f"name './both' or '{data / 'both'}'." in str(refused.value)
    monkeypatch.chdir(data)
    assert files.music_folder("both") == data / "both"


def test_libraries_write_elsewhere_where_no_home_is(monkeypatch, tmp_path):
    def homes():
        for name in files.HOMES[1:]:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(files.HOMES[0], "said")
        files.quiet_libraries()
        return [os.environ.get(name) for name in files.HOMES]

    monkeypatch.setenv("HOME", str(tmp_path))
    assert homes() == ["said"] + [None] * 4
    monkeypatch.setenv("HOME", str(tmp_path / "nonexistent"))
    monkeypatch.setenv("GENRE_CACHE_DIR", str(tmp_path / "cache"))
    assert homes()[1] == str(tmp_path / "cache" / "home" / "mplconfigdir")
    assert (tmp_path / "cache" / "home").is_dir()
    (tmp_path / "file").touch()
    monkeypatch.setenv("GENRE_CACHE_DIR", str(tmp_path / "file"))
    assert os.access(Path(homes()[1]).parent, os.W_OK)


def test_a_cache_that_cannot_be_written_is_told_once_and_stops_nothing(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("GENRE_CACHE_DIR", str(tmp_path / "cache"))
    files.keep(files.cache_folder() / "a" / "b.txt", lambda path: path.write_text("kept"))
    assert (tmp_path / "cache" / "a" / "b.txt").read_text() == "kept"
    (tmp_path / "file").touch()
    monkeypatch.setenv("GENRE_CACHE_DIR", str(tmp_path / "file"))
    for _ in range(2):
        files.keep(files.cache_folder() / "a" / "b.txt", lambda path: path.write_text("lost"))
    assert capsys.readouterr().err == (
        f"The cache {tmp_path / 'file'} cannot be written to (Not a directory), so results are not "
        "kept there: name another with GENRE_CACHE_DIR.\n"
    )


@given(st.text(st.characters()))
def test_a_readable_text_is_itself_but_for_what_a_terminal_does_not_print(text):
    shown = files.readable(text)
    assert shown.isprintable() and (shown == text) == text.isprintable()


def test_a_readable_name_keeps_its_letters():
    name = "café 絆\x1b[31m\n\u202e" + os.fsdecode(b"\xe9")
    assert files.readable(name) == r"café 絆\x1b[31m\n\u202e\udce9"


def test_a_child_imports_the_package_that_its_parent_has(monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert files.child_environment(A="1")["PYTHONPATH"] == str(files.ROOT)
    assert files.child_environment(A="1")["A"] == "1"
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    assert files.child_environment()["PYTHONPATH"] == f"{files.ROOT}{os.pathsep}elsewhere"


def test_libraries_are_silent_when_a_study_is_opened(monkeypatch, tmp_path):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    StudyFolder(tmp_path)
    assert "TF_CPP_MIN_LOG_LEVEL" not in os.environ
    with warnings.catch_warnings():
        StudyFolder(tmp_path, make=True)
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"


@pytest.mark.parametrize("old", [None, "old"])
@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt])
def test_a_stopped_writer_leaves_the_old_file_and_nothing_else(tmp_path, old, stop):
    path = tmp_path / "file.txt"
    if old is not None:
        path.write_text(old)
    with pytest.raises(stop), files.atomic_write(path) as temporary:
        temporary.write_text("half of the n")
        raise stop
    assert [p.read_text() for p in tmp_path.iterdir()] == ([old] if old else [])


def test_a_finished_writer_leaves_the_new_file_alone(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with files.atomic_write(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_refuses_what_is_not_a_number_and_keeps_the_old_file(tmp_path, value):
    path = tmp_path / "results.json"
    files.write_json(path, {"accuracy": 0.5, "genre": "Bebop é"})
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(path, {"accuracy": value})
    assert files.read_json(path) == {"accuracy": 0.5, "genre": "Bebop é"}
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


def test_tables_come_back_as_written(tmp_path):
    table = pd.DataFrame({"track_id": ["a\nb", "<c>"], "fold": [0, 1]}, index=[7, 3])
    files.write_table(tmp_path / "t.parquet", table)
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "t.parquet"), table.reset_index()[[*table]]
    )


texts = st.lists(st.text(max_size=3), max_size=4)


@given(texts, texts)
def test_hashes_are_equal_only_for_equal_parts(one, other):
    assert (files.sha256(*one) == files.sha256(*other)) == (one == other)


def test_hashes_know_where_parts_end_and_ignore_the_order_of_keys():
    assert files.sha256("ab", "c") != files.sha256("a", "bc")
    assert files.sha256({"a": 1, "b": 2}) == files.sha256({"b": 2, "a": 1})
    assert files.sha256({"a": 1}) != files.sha256({"a": 2})
    assert files.sha256(np.arange(3)) != files.sha256(np.arange(1, 4))
    assert len(files.sha256("caf\udce9")) == 64  # a file name that is not UTF-8


def test_the_checksum_of_a_file_is_its_md5(tmp_path):
    (tmp_path / "a").write_bytes(b"hello")
    assert files.file_md5(tmp_path / "a") == "5d41402abc4b2a76b9719d911017c592"


# ------------------------------------------------------------------ what is kept, and altered


def test_what_is_kept_and_altered_is_dropped_with_what_was_made_with_it(tmp_path):
    done = tmp_path / "folds_done" / "rnn"
    for name in ("00-a.parquet", "00-a.json", "00-a.keras", "01-b.parquet", "key.json"):
        with files.atomic_write(done / name) as temporary:
            temporary.write_text(name)
    assert not files.altered(tmp_path / "folds_done")
    (done / "00-a.json").write_text("another")
    assert files.drop_altered(tmp_path / "folds_done") == [done / "00-a.json"]
    assert [path.name for path in done.glob("[!.]*")] == ["01-b.parquet"]


def test_what_folders_further_up_are_called_decides_nothing(tmp_path):
    study = tmp_path / "models" / "clone" / "reports" / "demo"
    files.write_json(study / "results.json", {})
    assert not list(study.glob(".*.md5"))


def test_a_file_older_than_its_checksum_is_dropped(tmp_path):
    """As a writer leaves it that is killed in between."""
    path = tmp_path / "models" / "rnn.keras"
    with files.atomic_write(path) as temporary:
        temporary.write_text("old")
    (path.parent / ".rnn.keras.md5").write_text("that of the new one")
    assert files.drop_altered(path.parent) == [path]


def test_the_music_of_others_is_never_dropped(tmp_path):
    (tmp_path / "song.flac").write_text("music")
    (tmp_path / ".song.flac.md5").write_text("something else")
    assert files.drop_altered(tmp_path) == [] and (tmp_path / "song.flac").exists()


def test_what_a_killed_writer_left_goes_after_an_hour(tmp_path):
    old, new = tmp_path / f"{files.UNFINISHED}a.npy", tmp_path / f"{files.UNFINISHED}b.npy"
    for path in (old, new):
        path.touch()
    os.utime(old, (0, time.time() - 1.1 * files.FORGOTTEN))
    files.drop_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == [new]


# ------------------------------------------------------------------ bars that are not on a terminal


BARS = """
import sys, time
from tqdm import tqdm
from genre_utils.workspace import files
files.TOLD_EVERY = 0.5
files.calm_progress()
for _ in tqdm(range(400), desc="clips", mininterval=0):
    time.sleep(0.004)
print("said on one line,", end=" ", file=sys.stderr)
print("not two", file=sys.stderr)
"""


def test_a_bar_is_a_line_at_times_in_a_file():
    done = subprocess.run([sys.executable, "-c", BARS], stderr=subprocess.PIPE, check=True)
    lines = done.stderr.decode().split("\n")
    assert b"\r" not in done.stderr and 4 <= len(lines) < 12, lines
    assert lines[-3].startswith("clips: 100%") and sum("100%" in line for line in lines) == 1
    assert lines[-2:] == ["said on one line, not two", ""] and "" not in lines[:-1]


def test_a_bar_stays_one_on_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO()))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    before = sys.stderr
    files.calm_progress()
    assert sys.stderr is before


def lines_of(*written):
    stream = io.StringIO()
    told = files._Lines(stream)
    for text in written:
        told.write(text)
    return stream.getvalue()


def test_what_a_bar_overwrites_is_no_line():
    bar = ["\r 0%", "\r50%", "\r100%", "\r100%", "\n"]
    assert lines_of(*bar) == " 0%\n100%\n"
    ends = [text[1:] + "\r" for text in bar[:-1]]  # as a bar is passed on line by line
    assert lines_of(*ends[:-1], "100%\n", "after\n") == " 0%\n100%\nafter\n"
    assert lines_of("\r 0%", "\r50%", "\nStopped.\n") == " 0%\n50%\nStopped.\n"
    assert lines_of("a", "b\n", "\n", "  c\n") == "ab\n\n  c\n"
