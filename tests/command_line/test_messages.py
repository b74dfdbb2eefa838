"""What is said: in any encoding, of any name, and in a sentence where something is wrong."""

import csv
import io
import json
import os
import sys

import pytest
from conftest import write_sound

from genre_utils import __main__

NAMES = ["a.wav", "café.wav", "絆ふぉーえばー.wav", "red\x1b[31m\n.wav", os.fsdecode(b"\xe9.wav")]


@pytest.fixture(scope="module", name="music")
def music_fixture(tmp_path_factory):
    """Recordings with names that not every encoding, and no terminal, takes as they are."""
    folder = tmp_path_factory.mktemp("music")
    for number, name in enumerate(NAMES):
        write_sound(folder / "new.wav", number, seconds=2.0).rename(folder / name)
    return folder


@pytest.fixture(name="said")
def said_fixture(monkeypatch):
    """Run a command whose terminal has some encoding; return its code and both outputs.

    A table may be in another, that of spreadsheets.
    """

    def run(encoding, *arguments, table=""):
        streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", streams[0])
            patch.setattr(sys, "stderr", streams[1])
            code = __main__.main([*map(str, arguments)])
        for stream in streams:
            stream.flush()
        out, err = (stream.buffer.getvalue() for stream in streams)
        return code, out.decode(table or encoding), err.decode(encoding)

    return run


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_no_row_is_lost_whatever_the_encoding(music, said, encoding):
    code, out, err = said(encoding, "recognize", "--format", "csv", music, table="utf-8-sig")
    assert f"{len(NAMES)} files: 0 could not be recognised" in err.splitlines()[-1]
    rows = [row["audio_file"] for row in csv.DictReader(io.StringIO(out))]
    assert code == 0 and len(rows) == len(NAMES) and str(music / "絆") in out
    wave = "絆" if encoding == "utf-8" else r"\u7d46"
    code, out, _ = said(encoding, "recognize", music)
    assert len([json.loads(line) for line in out.splitlines()]) == len(NAMES)
    code, out, _ = said(encoding, "similar", music / "a.wav", "--library", music, "--format", "csv")
    assert code == 0 and out.count("\n") == len(NAMES) and wave in out


def test_names_are_readable_and_no_terminal_obeys_them(music, said):
    (music / "é\x1b[31m.dat").write_text("no sound")
    code, out, err = said("utf-8", "recognize", "--format", "csv", music)
    assert code == 1 and err.count(r"/é\x1b[31m.dat': not audio") == 1
    assert "café.wav" in out and r"red\x1b[31m\n.wav" in out
    _, _, err_of_similar = said("utf-8", "similar", music / "a.wav", "--library", music)
    assert r"/é\x1b[31m.dat': not audio" in err_of_similar
    assert "\x1b" not in out + err + err_of_similar
    (music / "é\x1b[31m.dat").unlink()


@pytest.mark.parametrize("port", ["80000", "-1", "0", "abc"])
def test_a_port_is_refused_before_anything_is_loaded(said, port, capsys):
    with pytest.raises(SystemExit):
        __main__.main(["page", f"--port={port}"])
    assert f"--port: '{port}' is not a number from 1 to 65535" in capsys.readouterr().err


def test_what_cannot_be_compared_is_said_in_a_sentence(music, said, tmp_path):
    for name in ("empty", "lost", "same"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "lost" / "a.wav").write_text("no sound")
    (tmp_path / "same" / "b.wav").write_bytes((music / "a.wav").read_bytes())
    a, itself = music / "a.wav", "usable recording but the query itself"
    for audio, library, why in [
        (a, "empty", f"There is no music in '{tmp_path / 'empty'}'."),
        (a, "lost", f"There is no {itself} in '{tmp_path / 'lost'}'."),
        (a, "same", f"There is no {itself} in '{tmp_path / 'same'}'."),
        (a, "~nosuchuser/Music", "is no folder of music."),
        (tmp_path / "b.wav", "same", "/b.wav' cannot be compared: No such file or directory."),
        (tmp_path / "same", "same", "/same' cannot be compared: it is a folder, pipe, socket"),
        (tmp_path / "pipe.wav", "same", "/pipe.wav' cannot be compared: it is a folder, pipe"),
    ]:
        place = library if library.startswith("~") else tmp_path / library
        code, out, err = said("utf-8", "similar", audio, "--library", place)
        assert code and not out and why in err.splitlines()[-1]


def test_a_home_of_nobody_is_said_in_a_sentence(music, said, monkeypatch):
    code, _, err = said("utf-8", "recognize", music, "--model", "~nosuchuser/model.npz")
    assert code == 2 and err.count("\n") == 1 and "~nosuchuser/model.npz is not there" in err
    monkeypatch.setenv("GENRE_CACHE_DIR", "~nosuchuser/cache")
    code, _, err = said("utf-8", "similar", music / "a.wav", "--library", music)
    told = "GENRE_CACHE_DIR is '~nosuchuser/cache': no such user is known here.\n"
    assert code == 1 and err.endswith(told)


def test_a_cache_that_cannot_be_written_is_blamed_and_no_song(music, said, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    _, found, _ = said("utf-8", "similar", music / "a.wav", "--library", music)
    monkeypatch.setenv("GENRE_CACHE_DIR", str(tmp_path / "file"))
    code, out, err = said("utf-8", "similar", music / "a.wav", "--library", music)
    assert code == 0 and out == found and "left out" not in err
    assert err.count(f"The cache {tmp_path / 'file'} cannot be written to (Not a directory)") == 1
