"""What is heard of a recording: the passage, the channel, and files whose headers are off."""

import shutil
import struct

import numpy as np
import pytest
import soundfile
from conftest import sound, write_sound
from hypothesis import given
from hypothesis import strategies as st

from genre_utils.features import audio, decoding

SR = 22_050


def reason(path, min_seconds=0.5, clip_seconds=0.0):
    return decoding.examine(path, min_seconds=min_seconds, clip_seconds=clip_seconds).reason


def silence(seconds):
    return np.zeros(round(seconds * SR))


def written(path, y):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, y, SR, subtype="FLOAT")
    return path


def test_of_channels_that_cancel_one_another_out_one_is_heard(tmp_path):
    y = sound(1, seconds=3.0)
    path = written(tmp_path / "a.wav", np.stack([y, -y], axis=1))
    assert reason(path, clip_seconds=2.0) == ""
    alone = written(tmp_path / "b.wav", y)
    np.testing.assert_array_equal(*(audio.load_clip(p, seconds=2.0)[0] for p in (path, alone)))


def test_channels_that_do_not_cancel_are_still_their_mean(tmp_path):
    y = sound(1, seconds=1.0)
    path = written(tmp_path / "a.wav", np.stack([y, -0.9 * y], axis=1))
    heard, _ = audio.load_clip(path, seconds=1.0)
    np.testing.assert_allclose(heard, 0.05 * y, atol=1e-6)


def test_an_offset_is_silence_and_music_over_an_offset_is_none(tmp_path):
    offset = written(tmp_path / "a.wav", silence(3.0) + 0.3)
    assert reason(offset, clip_seconds=2.0).startswith(
        "silent: of the 2.0 s that would be used, 0.0 s can be heard"
    )
    assert (
        reason(written(tmp_path / "b.wav", 0.5 * sound(1, seconds=3.0) + 0.3), clip_seconds=2.0)
        == ""
    )


def test_where_the_middle_is_silent_the_music_before_or_after_is_used(tmp_path):
    first, second = sound(1, seconds=6.0), sound(2, seconds=6.0)
    hidden = np.concatenate([first, silence(30.0), second])
    path = written(tmp_path / "hidden.flac.wav", hidden)
    assert reason(path, min_seconds=3.0, clip_seconds=5.0) == ""
    np.testing.assert_allclose(audio.load_clip(path, seconds=5.0)[0], first[: 5 * SR], atol=1e-6)
    begins = written(tmp_path / "b.wav", np.concatenate([silence(20.0), second]))
    np.testing.assert_allclose(audio.load_clip(begins, seconds=5.0)[0], second[: 5 * SR], atol=1e-6)


@pytest.mark.parametrize(("least", "used"), [(3.0, True), (6.0, False)])
def test_too_little_sound_before_a_silence_is_a_reason(tmp_path, least, used):
    path = written(tmp_path / "a.wav", np.concatenate([sound(1, seconds=4.0), silence(60.0)]))
    said = reason(path, min_seconds=least, clip_seconds=15.0)
    assert said == "" if used else said.endswith("4.0 s can be heard (over -80 dBFS, without "
                                                 "offset), at least 6 s are needed")  # fmt: skip


@given(st.floats(0, 20), st.floats(1, 10), st.floats(0, 20), st.floats(1, 8))
def test_no_passage_holds_more_sound_than_the_one_that_is_used(
    tmp_path_factory, before, long, after, clip
):
    y = np.concatenate([silence(before), sound(1, seconds=long), silence(after)])
    path = written(tmp_path_factory.mktemp("p") / "a.wav", y)
    with soundfile.SoundFile(path) as opened:
        found = decoding.audible_seconds(decoding.passage(opened, clip), SR)
    length = min(clip, before + long + after)
    possible = min(long, length)
    assert found >= min(possible, length / 2) - 2 * decoding.STEP


def test_a_long_file_of_which_ffmpeg_decodes_the_middle_is_searched_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "LONG", 4)
    source = written(tmp_path / "a.wav", np.concatenate([sound(1, seconds=3.0), silence(9.0)]))
    path = tmp_path / "a.wv"
    decoding._ffmpeg(source, [str(path)], "")
    assert reason(path, min_seconds=1.5, clip_seconds=2.0) == ""
    np.testing.assert_allclose(
        audio.load_clip(path, seconds=2.0)[0], audio.load_clip(source, seconds=2.0)[0], atol=1e-4
    )


# ---------------------------------------------------------------------------- headers and names


def changed(path, place, number):
    """Write a little-endian number into a file."""
    content = bytearray(path.read_bytes())
    content[place : place + 4] = struct.pack("<I", number)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("chunk", ["RIFF", "data"])
@pytest.mark.parametrize("off", [-8, -1, 1, 8, 100])
def test_a_header_that_is_off_by_some_bytes_is_no_reason(tmp_path, chunk, off):
    path = write_sound(tmp_path / "a.wav", seconds=2.0)
    place = path.read_bytes().index(b"data") + 4 if chunk == "data" else 4
    size = struct.unpack("<I", path.read_bytes()[place : place + 4])[0]
    assert reason(changed(path, place, size + off)) == ""
    assert decoding.examine(path, min_seconds=0.5).duration_s == pytest.approx(2.0, abs=0.01)


def test_a_chunk_that_is_missing_after_the_sound_is_no_loss(tmp_path):
    path = write_sound(tmp_path / "a.wav", seconds=2.0)
    assert reason(changed(path, 4, len(path.read_bytes()) + 200_000)) == ""


def test_a_length_of_zero_before_sound_is_none(tmp_path):
    path = write_sound(tmp_path / "a.wav", seconds=2.0)
    changed(path, path.read_bytes().index(b"data") + 4, 0)
    found = decoding.examine(path, min_seconds=0.5)
    assert (found.reason, found.duration_s) == ("", pytest.approx(2.0, abs=0.01))


@pytest.mark.parametrize("name", ["take.raw", "TAKE.RAW"])
def test_a_name_that_libsndfile_asks_questions_about_is_no_crash(tmp_path, name):
    samples = (sound(1, seconds=2.0) * 32767).astype("<i2").tobytes()
    (tmp_path / name).write_bytes(samples)
    assert reason(tmp_path / name).startswith("not audio that can be decoded (Format not recogn")
    shutil.copy(write_sound(tmp_path / "a.wav", seconds=2.0), tmp_path / name)
    assert reason(tmp_path / name) == ""  # its content counts


def test_a_web_page_is_not_said_to_be_missing(tmp_path):
    (tmp_path / "song.mp3").write_text("<html>404 not found</html>" * 50)
    said = reason(tmp_path / "song.mp3")
    assert said.startswith("not audio that can be decoded (Format not recognised; ffmpeg: Invalid")


def test_an_exception_of_the_decoder_is_the_fault_of_the_file(tmp_path, monkeypatch):
    path = write_sound(tmp_path / "a.wav")
    for fault in (TypeError("odd"), MemoryError(), ValueError("odd"), ZeroDivisionError()):
        with monkeypatch.context() as patch:
            patch.setattr(soundfile.SoundFile, "read", lambda *_, fault=fault, **__: throw(fault))
            assert reason(path).startswith("truncated or damaged: decoding ends after 0.0 s")


def throw(error):
    raise error
