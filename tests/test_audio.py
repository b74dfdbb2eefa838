import io

import numpy as np
import pytest
import soundfile
from conftest import sound, write_sound
from hypothesis import given
from hypothesis import strategies as st

from genre_utils import audio


def reason(path, min_seconds=0.5):
    return audio.examine(path, min_seconds=min_seconds).reason


def cut(path, share):
    """Keep the first part of a file's bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3", "aiff", "au"])
def test_good_files_are_used_and_their_duration_is_right(tmp_path, extension):
    path = write_sound(tmp_path / f"a.{extension}", seconds=3.0)
    found = audio.examine(path, min_seconds=3.0)
    assert found.reason == ""
    assert found.duration_s == pytest.approx(3.0, abs=0.001)


@pytest.mark.parametrize("extension", ["wav", "flac", "mp3", "aiff"])
@pytest.mark.parametrize("share", [0.9, 0.5])
def test_truncated_files_are_told(tmp_path, extension, share):
    path = cut(write_sound(tmp_path / f"a.{extension}", seconds=8.0), share)
    found = audio.examine(path, min_seconds=0.5)
    assert found.reason.startswith("truncated")
    assert found.duration_s <= 8.0 * share + 0.1
    assert found == audio.examine(path, min_seconds=0.5)  # decodes to the same each time


def test_an_mp3_that_only_estimates_its_length_is_used(tmp_path):
    path = tmp_path / "a.mp3"
    y = sound(0, seconds=20, sr=44_100)
    soundfile.write(path, y, 44_100, bitrate_mode="CONSTANT", compression_level=0.5)
    content = path.read_bytes()
    path.write_bytes(content[content.index(b"\xff\xfb", 10) :])  # without the frame that knows it
    assert soundfile.info(path).frames > len(soundfile.read(path)[0])
    assert reason(path) == ""


def test_a_streamed_wav_that_announces_the_largest_size_is_used(tmp_path):
    path = write_sound(tmp_path / "a.wav")
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff" * 4
    path.write_bytes(content)
    assert reason(path) == ""


def test_duration_decides_from_the_limit_on(tmp_path):
    path = write_sound(tmp_path / "a.wav", seconds=2.0)
    assert reason(path, 2.0) == ""
    assert reason(path, 2.001) == "too short: 2.0 s, at least 2.001 s are needed"


@given(peak=st.sampled_from([0.0, 0.9e-4, 1.2e-4, 1.0]))
def test_silence_is_everything_under_80_decibels_below_full_scale(tmp_path_factory, peak):
    path = tmp_path_factory.mktemp("level") / "a.wav"
    y = np.zeros(22_050)
    y[5000] = -peak
    soundfile.write(path, y, 22_050, subtype="FLOAT")
    assert reason(path).startswith("silent") == (peak < 1e-4)


def test_the_same_sound_has_the_same_checksum_in_another_container(tmp_path):
    wav, flac = write_sound(tmp_path / "a.wav"), tmp_path / "a.flac"
    soundfile.write(flac, *soundfile.read(wav, dtype="int16"))
    other = write_sound(tmp_path / "b.wav", seed=1)
    one, same, another = (audio.examine(p, min_seconds=0.5).audio_md5 for p in (wav, flac, other))
    assert one == same != another


@given(
    sr=st.sampled_from([8_000, 22_050, 44_100, 48_000, 96_000]),
    channels=st.integers(1, 8),
    seconds=st.floats(0.05, 0.4),
    wanted=st.floats(0.05, 0.4),
)
def test_clips_of_any_rate_and_channels_become_mono_of_the_asked_length(
    tmp_path_factory, sr, channels, seconds, wanted
):
    path = tmp_path_factory.mktemp("clip") / "a.wav"
    write_sound(path, seconds=seconds, sr=sr, channels=channels)
    y, rate = audio.load_clip(path, seconds=wanted)
    assert (rate, y.dtype, y.ndim) == (22_050, np.float32, 1)
    assert y.flags.c_contiguous
    assert len(y) == pytest.approx(22_050 * min(seconds, wanted), abs=2 + 22_050 / sr)
    assert len(y) <= round(22_050 * wanted)


def test_a_clip_is_the_middle_of_the_file_and_the_mean_of_its_channels(tmp_path):
    y = np.random.default_rng(0).uniform(-1, 1, (1000, 2))
    soundfile.write(tmp_path / "a.wav", y, 100, subtype="FLOAT")
    clip, _ = audio.load_clip(tmp_path / "a.wav", seconds=4.0, sr=100)
    np.testing.assert_allclose(clip, y[300:700].mean(axis=1), atol=1e-6)


def test_a_shorter_file_is_returned_whole(tmp_path):
    y = np.random.default_rng(0).uniform(-1, 1, 500)
    soundfile.write(tmp_path / "a.wav", y, 100, subtype="FLOAT")
    np.testing.assert_allclose(
        audio.load_clip(tmp_path / "a.wav", seconds=60, sr=100)[0], y, atol=1e-6
    )


def test_resampling_keeps_pitch_and_level(tmp_path):
    t = np.arange(44_100) / 44_100
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 1000 * t), 44_100)
    y, sr = audio.load_clip(tmp_path / "a.wav", seconds=1.0)
    spectrum = np.abs(np.fft.rfft(y)) / len(y) * 2
    assert spectrum.argmax() * sr / len(y) == pytest.approx(1000, abs=1)
    assert spectrum.max() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("level", [0.0, 1e-3, 5.0])
def test_mp3_is_no_longer_than_asked_and_never_clips(level):
    y = (level * sound(3, seconds=3.0)).astype(np.float32)
    decoded, sr = soundfile.read(io.BytesIO(audio.encode_mp3(y, 22_050, seconds=2.0)))
    assert sr == 22_050
    assert 1.9 <= len(decoded) / sr <= 2.0
    assert np.abs(decoded).max() < 0.75
    if level:
        assert np.corrcoef(decoded, y[: len(decoded)])[0, 1] > 0.9
