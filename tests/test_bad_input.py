"""Files that mean harm or mistake: each is used or set aside with a reason, and nothing hangs."""

import os
import resource
import socket
import struct
import zlib

import numpy as np
import pytest
import soundfile
from conftest import write_sound

from genre_utils import audio


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
        told = audio.examine(tmp_path / name, min_seconds=1.0)
        assert told.reason.startswith("cannot be read"), name
        with pytest.raises((audio.UndecodableError, OSError)):
            audio.load_clip(tmp_path / name, seconds=1.0)
    (tmp_path / "folder.wav").mkdir()
    assert "it is a folder" in audio.examine(tmp_path / "folder.wav", min_seconds=1.0).reason


def test_a_file_larger_than_any_music_is_not_read(tmp_path):
    with open(tmp_path / "huge.wav", "wb") as handle:
        handle.truncate(1 << 42)  # all of it a hole
    told = audio.examine(tmp_path / "huge.wav", min_seconds=1.0)
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
    assert audio.tagged_artist(tmp_path / name) == ""
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # in KiB
    assert grown < 1.2 * audio.TAG_BYTES / 2**10
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY


def test_an_artist_is_still_read_from_ordinary_tags(tmp_path):
    with soundfile.SoundFile(tmp_path / "a.flac", "w", 22_050, 1) as sound:
        sound.artist = "Somebody"
        sound.write(np.zeros(1000))
    assert audio.tagged_artist(tmp_path / "a.flac") == "Somebody"
