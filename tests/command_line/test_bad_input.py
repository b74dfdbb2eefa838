"""Files that mean harm or mistake: each is used or excluded with a reason, and nothing hangs."""

import csv
import io
import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import write_sound
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genre_utils import __main__
from genre_utils.data import auditing, corpora
from genre_utils.features import audio, decoding, tags
from genre_utils.recognition import batch, exported_model, output, recogniser
from genre_utils.workspace import files

SCHEMA = jsonschema.Draft202012Validator(files.read_json(exported_model.SCHEMA))
ODD = ["=1+1.wav", "+x.wav", "-x.wav", "@SUM(A1).wav", "\tx.wav", "\rx.wav", "a, \"b\"\n'c'.wav"]
ODD += ["<script>alert(1)<\\script>.wav", "<img src=x onerror=alert(1)>.wav", "$x^2$ %s {0}.wav"]
ODD += [
    "a" * 251 + ".wav",
    "音楽 שלום موسيقى.wav",
    "\u202egnp.wav",
    "\x01\x1b[31m\x7f.wav",
    " .wav",
]
ODD += [os.fsdecode(b"caf\xe9.wav"), "\\udce9.wav", "\\x00.wav", "NUL.wav", "&amp;.wav"]


@pytest.fixture(autouse=True)
def no_hang():
    """A test that waits for a pipe fails."""

    def fail(*_):
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def special_files(folder):
    """Put into a folder what opens like a file and is none; return the names."""
    os.mkfifo(folder / "pipe.wav")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(folder / "socket.wav"))
    (folder / "device.wav").symlink_to("/dev/zero")
    (folder / "dangling.wav").symlink_to("nowhere.wav")
    (folder / "circular.wav").symlink_to("circular.wav")
    return ["circular.wav", "dangling.wav", "device.wav", "pipe.wav", "socket.wav"]


def compressed_tag(megabytes):
    """A tag of an MP3 file whose artist unpacks to some hundred times its size."""
    packer, piece = zlib.compressobj(1), b"A" * (1 << 20)
    packed = packer.compress(b"\3") + b"".join(packer.compress(piece) for _ in range(megabytes))
    packed += packer.flush()
    frame = b"TPE1" + struct.pack(">IH", len(packed) + 4, 0x80) + bytes(4) + packed
    size = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + size + frame


def nested_atoms(levels):
    """An M4A file of nothing but atoms within atoms."""
    content = b""
    for _ in range(levels):
        content = struct.pack(">I", 8 + len(content)) + b"moov" + content
    return b"\0\0\0\x10ftypM4A \0\0\0\0" + content


# ---------------------------------------------------------------------------- one file


def test_what_is_no_regular_file_is_never_opened(tmp_path):
    for name in special_files(tmp_path):
        told = decoding.examine(tmp_path / name, min_seconds=1.0)
        assert told.reason.startswith("cannot be read"), name
        with pytest.raises((decoding.UndecodableError, OSError)):
            audio.load_clip(tmp_path / name, seconds=1.0)
    (tmp_path / "folder.wav").mkdir()
    assert "it is a folder" in decoding.examine(tmp_path / "folder.wav", min_seconds=1.0).reason


def test_a_file_larger_than_any_music_is_not_read(tmp_path):
    with open(tmp_path / "huge.wav", "wb") as handle:
        handle.truncate(1 << 42)  # all of it a hole
    told = decoding.examine(tmp_path / "huge.wav", min_seconds=1.0)
    assert told.reason == "cannot be read: its 4,398 GB are more than 12"


@pytest.mark.parametrize(
    ("name", "make"),
    [("bomb.mp3", lambda: compressed_tag(400)), ("deep.m4a", lambda: nested_atoms(3000))],
    ids=["bomb", "deep"],
)
def test_tags_that_mean_harm_cost_little_memory_and_no_crash(tmp_path, name, make):
    write_sound(tmp_path / "a.mp3")
    (tmp_path / name).write_bytes(make() + (tmp_path / "a.mp3").read_bytes())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert tags.tagged_artist(tmp_path / name) == ""
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # in KiB
    assert grown < 1.2 * tags.TAG_BYTES / 2**10
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY


def test_an_artist_is_still_read_from_ordinary_tags(tmp_path):
    with soundfile.SoundFile(tmp_path / "a.flac", "w", 22_050, 1) as sound:
        sound.artist = "Somebody"
        sound.write(np.zeros(1000))
    assert tags.tagged_artist(tmp_path / "a.flac") == "Somebody"


# ---------------------------------------------------------------------------- folders


def audited(folder):
    """Audit a folder in this process; return the report after a way through JSON."""
    found = corpora.find_tracks("folder", folder)
    tracks = auditing.audit(found, folder, min_seconds=0.2, n_jobs=1)
    assert pd.read_parquet(io.BytesIO(tracks.to_parquet())).equals(tracks)
    report = auditing.audit_report(found, tracks)
    text = "\n".join(auditing.report_lines(report))
    lines = text.split("\n")
    assert all(map(str.isprintable, lines)) and len(lines) < 2 * len(tracks) + 10
    report = json.loads(json.dumps(report, allow_nan=False))
    assert all((file["status"] == "used") == (file["reason"] == "") for file in report["files"])
    return {file["path"]: file["reason"] for file in report["files"]}


def recognised(names):
    """Answers to files, checked against the schema, and how they read as CSV."""
    model, handle = exported_model.PRETRAINED, io.StringIO()
    lines = output.CsvLines(handle, exported_model.read_sidecar(model)["labels"])
    answers = [answer for answer, _ in batch.recognise(names, model, threads=1)]
    for answer in answers:
        line = output.json_line(answer)
        SCHEMA.validate(json.loads(line))
        assert line.isascii() and "\n" not in line
        lines.write("", answer)
    text = handle.getvalue()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(text.splitlines()) == len(rows) + 1 == len(answers) + 1
    return answers, rows


def test_what_only_looks_like_a_file_is_listed_with_a_reason(tmp_path):
    jazz = tmp_path / "jazz"
    write_sound(jazz / "clip.wav" / "good.wav", seconds=1.2)  # a folder named like a clip
    (jazz / "link").symlink_to(jazz / "clip.wav")
    (jazz / "loop").symlink_to(jazz)
    special = [*special_files(jazz), "link", "loop"]
    reasons = audited(tmp_path)
    assert reasons.pop("jazz/clip.wav/good.wav") == ""
    assert set(reasons) == {f"jazz/{name}" for name in special}
    assert all(reason.startswith("cannot be read") for reason in reasons.values())
    answers, _ = recognised(batch.find([str(tmp_path / "jazz")]))
    assert len(answers) == len(special) + 1
    assert sum("error" in answer for answer in answers) == len(special)


@pytest.fixture
def nested(tmp_path):
    """Function that nests folders in a folder; they are removed as pytest could not."""
    made = []

    def nest(folder, levels):
        made.append(folder)
        place = os.open(folder, os.O_RDONLY)
        for _ in range(levels):
            os.mkdir("d", dir_fd=place)
            below = os.open("d", os.O_RDONLY, dir_fd=place)
            os.close(place)
            place = below
        os.close(os.open("b.wav", os.O_CREAT | os.O_WRONLY, dir_fd=place))
        os.close(place)

    yield nest
    for folder in made:
        subprocess.run(["rm", "-rf", folder], check=True)


@pytest.mark.parametrize(
    ("levels", "reason"),
    [(1_000, "empty file (0 bytes)"), (2_100, "cannot be read (File name too long)")],
)
def test_folders_may_be_nested_as_deep_as_they_like(tmp_path, nested, levels, reason):
    write_sound(tmp_path / "jazz" / "a.wav", seconds=1.2)
    nested(tmp_path / "jazz", levels)
    reasons = audited(tmp_path)
    assert reasons.pop("jazz/a.wav") == ""
    assert list(reasons.values()) == [reason]
    answers, _ = recognised(batch.find([str(tmp_path)]))
    assert sum("error" in answer for answer in answers) == 1


def test_a_folder_or_file_that_may_not_be_read_is_named(tmp_path, monkeypatch, capsys):
    """As permissions would have it, which do not bind the user root."""
    for name in ("open/a.wav", "locked/b.wav", "c.wav"):
        write_sound(tmp_path / "jazz" / name, seconds=1.2)
    scandir, stat = os.scandir, Path.stat

    def refusing(function, name):
        def call(path, *arguments, **options):
            if str(path).endswith(name):
                raise PermissionError(13, "Permission denied", str(path))
            return function(path, *arguments, **options)

        return call

    monkeypatch.setattr(os, "scandir", refusing(scandir, "locked"))
    monkeypatch.setattr(Path, "stat", refusing(stat, "c.wav"))
    reasons = audited(tmp_path)
    assert reasons["jazz/open/a.wav"] == ""
    assert reasons["jazz/c.wav"] == "cannot be read (Permission denied)"
    assert reasons["jazz/locked"].startswith("cannot be read: it is a folder")
    answers, _ = recognised(batch.find([str(tmp_path)]))
    assert len(answers) == 3 and sum("error" in answer for answer in answers) == 2
    monkeypatch.setattr(Path, "iterdir", refusing(Path.iterdir, tmp_path.name))
    assert __main__.main(["audit", str(tmp_path)]) == 1
    assert "Permission denied" in capsys.readouterr().err


# ---------------------------------------------------------------------------- names


def test_no_name_breaks_an_audit_or_an_answer(tmp_path):
    made = 0
    for number, name in enumerate(ODD):
        path = tmp_path / "<b>jazz" / name
        made += not path.exists()
        write_sound(tmp_path / "<b>jazz" / "new.wav", number, seconds=1.2).rename(path)
    reasons = audited(tmp_path)
    assert len(reasons) == made == len(ODD)
    used = [reason for reason in reasons.values() if not reason.startswith("duplicate")]
    assert len(used) >= len(ODD) - 1 and set(used) == {""}
    names = batch.find([str(tmp_path)])
    answers, rows = recognised(names)
    assert [answer["audio_file"] for answer in answers] == list(map(recogniser.printable, names))
    assert not any("error" in answer for answer in answers)
    assert all(len(row) == len(output.COLUMNS) + 10 for row in rows)


NAMES = st.binary(min_size=1, max_size=200).filter(
    lambda name: not set(b"/\0") & set(name) and not name.startswith(b".")
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(name=NAMES)
def test_whatever_a_file_is_called_it_is_found_again(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp("names")
    path = folder / "jazz" / (os.fsdecode(name) + ".wav")
    path.parent.mkdir()
    path.write_bytes(name)
    (row,) = corpora.find_tracks("folder", folder).itertuples()
    row.path.encode()
    assert decoding.on_disk(folder / row.path).read_bytes() == name
    assert batch.find([str(folder)]) == [str(path)]
    handle = io.StringIO()
    lines = output.CsvLines(handle, ["jazz"])
    lines.write("", {"audio_file": recogniser.printable(os.fsdecode(name)), "error": "why"})
    _, cell = csv.reader(io.StringIO(handle.getvalue()))
    assert len(handle.getvalue().splitlines()) == 2
    assert not cell[0].startswith(output.FORMULA) or cell[0] == output.STDIN


# ---------------------------------------------------------------------------- standard input


def test_standard_input_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "MAX_BYTES", 10_000)
    with open("/dev/zero", "rb") as endless:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(endless))
        (answer,), _ = recognised([output.STDIN])
    assert "more than" in answer["error"]
