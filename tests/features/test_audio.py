import subprocess
import sys

import imageio_ffmpeg
import mutagen
import numpy as np
import pytest
import soundfile
from conftest import sound, write_sound
from hypothesis import given
from hypothesis import strategies as st

from genre_utils.features import audio, decoding
from genre_utils.features.tags import song, tagged_artist, tagged_titles


def reason(path, min_seconds=0.5):
    return decoding.examine(path, min_seconds=min_seconds).reason


def cut(path, share):
    """Keep the first part of a file's bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3", "aiff", "au"])
def test_good_files_are_used_and_their_duration_is_right(tmp_path, extension):
    path = write_sound(tmp_path / f"a.{extension}", seconds=3.0)
    found = decoding.examine(path, min_seconds=3.0)
    assert found.reason == ""
    assert found.duration_s == pytest.approx(3.0, abs=0.001)


@pytest.mark.parametrize("extension", ["wav", "flac", "mp3", "aiff", "au", "ogg"])
@pytest.mark.parametrize("share", [0.9, 0.5])
def test_truncated_files_are_told(tmp_path, extension, share):
    path = cut(write_sound(tmp_path / f"a.{extension}", seconds=8.0), share)
    found = decoding.examine(path, min_seconds=0.5)
    assert found.reason.startswith("truncated")
    assert found.duration_s <= 8.0 * share + 0.1
    assert found == decoding.examine(path, min_seconds=0.5)  # decodes to the same each time


def flac_that_announces(frames, path):
    """A FLAC file of two seconds whose header announces some number of frames."""
    content = bytearray(write_sound(path, seconds=2.0).read_bytes())
    fields = int.from_bytes(content[18:26], "big") >> 36 << 36 | frames
    content[18:26] = fields.to_bytes(8, "big")
    path.write_bytes(content)
    return path


def test_a_flac_that_does_not_say_its_length_is_used(tmp_path):
    path = flac_that_announces(0, tmp_path / "a.flac")
    found = decoding.examine(path, min_seconds=0.5)
    assert (found.duration_s, found.reason) == (2.0, "")
    assert len(audio.load_clip(path, seconds=1.0)[0]) == 22_050


@pytest.mark.parametrize("frames", [2**36 - 1, 3 * 22_050])
def test_a_flac_that_announces_more_than_it_holds_is_told(tmp_path, frames):
    assert reason(flac_that_announces(frames, tmp_path / "a.flac")).startswith("truncated")


def test_an_au_file_of_unknown_size_and_an_ogg_with_a_tail_are_used(tmp_path):
    path = write_sound(tmp_path / "a.au")
    content = bytearray(path.read_bytes())
    content[8:12] = b"\xff" * 4
    path.write_bytes(content)
    assert reason(path) == ""
    path = write_sound(tmp_path / "a.ogg")
    path.write_bytes(path.read_bytes() + b"TAG" + bytes(125))
    assert reason(path) == ""


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_an_mp3_that_does_not_say_its_length_is_decoded_to_its_end(tmp_path, mode):
    path = tmp_path / "a.mp3"
    y = np.concatenate([0.1 * sound(0, seconds=8, sr=44_100), sound(1, seconds=12, sr=44_100)])
    soundfile.write(path, y, 44_100, bitrate_mode=mode, compression_level=0.5)
    content = path.read_bytes()
    headless = content[content.index(b"\xff\xfb", 10) :]  # without the frame that knows it
    for tag in (b"", b"ID3\4\0\0\0\0\2\1" + b"Info".ljust(257, b"\0")):
        path.write_bytes(tag + headless)
        guess = soundfile.info(path).duration
        assert (guess == pytest.approx(20, abs=0.1)) == (mode == "CONSTANT")
        heard = decoding.examine(path, min_seconds=1.0)
        assert heard.reason == "" and heard.duration_s == pytest.approx(20, abs=0.1)
    path.write_bytes(content)
    with decoding.opened(path) as decoded:
        assert decoded.format == "MP3"


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


@pytest.mark.parametrize("peak", [8.0, 1e30])
def test_floating_point_files_may_exceed_full_scale_but_not_by_everything(tmp_path, peak):
    soundfile.write(tmp_path / "a.wav", peak * sound(0), 22_050, subtype="FLOAT")
    assert reason(tmp_path / "a.wav").startswith("its loudest sample is") == (peak > 1e4)


def test_the_same_sound_has_the_same_checksum_in_another_container(tmp_path):
    wav, flac = write_sound(tmp_path / "a.wav"), tmp_path / "a.flac"
    soundfile.write(flac, *soundfile.read(wav, dtype="int16"))
    other = write_sound(tmp_path / "b.wav", seed=1)
    one, same, another = (
        decoding.examine(p, min_seconds=0.5).audio_md5 for p in (wav, flac, other)
    )
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
    soundfile.write(tmp_path / "a.wav", y, 1000, subtype="FLOAT")
    clip, _ = audio.load_clip(tmp_path / "a.wav", seconds=0.4, sr=1000)
    np.testing.assert_allclose(clip, y[300:700].mean(axis=1), atol=1e-6)


def test_a_shorter_file_is_returned_whole(tmp_path):
    y = np.random.default_rng(0).uniform(-1, 1, 500)
    soundfile.write(tmp_path / "a.wav", y, 1000, subtype="FLOAT")
    np.testing.assert_allclose(
        audio.load_clip(tmp_path / "a.wav", seconds=60, sr=1000)[0], y, atol=1e-6
    )


def test_resampling_keeps_pitch_and_level(tmp_path):
    t = np.arange(44_100) / 44_100
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 1000 * t), 44_100)
    y, sr = audio.load_clip(tmp_path / "a.wav", seconds=1.0)
    spectrum = np.abs(np.fft.rfft(y)) / len(y) * 2
    assert spectrum.argmax() * sr / len(y) == pytest.approx(1000, abs=1)
    assert spectrum.max() == pytest.approx(0.5, abs=0.01)


# ---------------------------------------------------------------------------- ffmpeg


def converted(path, *options, seconds=3.0, sr=22_050, channels=1):
    """Write made-up sound in a format that only ffmpeg writes."""
    wav = write_sound(path.with_suffix(".source.wav"), seconds=seconds, sr=sr, channels=channels)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", wav, *options, path]
    subprocess.run(command, check=True)
    return path


CONVERTED = {
    "a.m4a": ("-c:a", "aac"),
    "lossless.m4a": ("-c:a", "alac"),
    "a.wma": (),
    "a.webm": (),
    "a.mka": ("-c:a", "flac"),
    "a.aac": (),
    "a.wv": (),
    "a.ac3": (),
    "adpcm.mov": ("-c:a", "adpcm_ima_qt"),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_what_only_ffmpeg_decodes_is_used(tmp_path, name):
    path = converted(tmp_path / name, *CONVERTED[name])
    found = decoding.examine(path, min_seconds=2.0)
    assert found.reason == ""
    assert found.duration_s == pytest.approx(3.0, abs=0.1)
    y, sr = audio.load_clip(path, seconds=1.0)
    assert (len(y), sr) == (22_050, 22_050)


def test_sound_that_lost_nothing_is_the_same_to_the_last_sample(tmp_path):
    path = converted(tmp_path / "a.m4a", "-c:a", "alac", channels=2)
    wav = decoding.examine(path.with_suffix(".source.wav"), min_seconds=1.0)
    assert decoding.examine(path, min_seconds=1.0) == wav
    clips = [audio.load_clip(p, seconds=2.0)[0] for p in (path, path.with_suffix(".source.wav"))]
    np.testing.assert_array_equal(*clips)


def test_six_channels_that_ffmpeg_decodes_sound_as_they_did(tmp_path):
    path = converted(tmp_path / "a.m4a", "-c:a", "alac", channels=6)
    clips = [audio.load_clip(p, seconds=2.0)[0] for p in (path, path.with_suffix(".source.wav"))]
    np.testing.assert_allclose(*clips, atol=1e-4)


def test_of_a_long_file_that_ffmpeg_decodes_only_the_middle_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "LONG", 4)
    path = converted(tmp_path / "a.wv", seconds=9.0)
    with decoding.opened(path, clip_seconds=2.0) as opened:
        assert opened.frames == 2 * 22_050
    y, _ = audio.load_clip(path, seconds=2.0)
    expected, _ = audio.load_clip(path.with_suffix(".source.wav"), seconds=2.0)
    np.testing.assert_allclose(y, expected, atol=1e-6)


@pytest.mark.parametrize("extension", ["m4a", "aac", "webm", "wma", "wv"])
def test_truncated_files_are_told_by_ffmpeg_too(tmp_path, extension):
    options = ("-movflags", "+faststart") if extension == "m4a" else ()
    path = cut(converted(tmp_path / f"a.{extension}", *options), 0.5)
    assert reason(path).startswith("truncated or damaged: decoding ends after 1")
    with pytest.raises(decoding.UndecodableError, match="truncated or damaged"):
        audio.load_clip(path, seconds=1.0)


SCRIPTS = {
    "a.concat": "ffconcat version 1.0\nfile {secret}\n",
    "a.wav": "ffconcat version 1.0\nfile {secret}\n",
    "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{secret}\n#EXT-X-ENDLIST\n",
    "b.m3u8": "#EXTM3U\n#EXTINF:9,\nconcat:{secret}|{secret}\n",
    "a.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    "a.mpd": "<?xml version='1.0'?><MPD type='static'><Period><AdaptationSet><Representation>"
    "<BaseURL>file://{secret}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "a.txt": "http://127.0.0.1/a.mp3",
    "a.ffmeta": ";FFMETADATA1\nartist=nobody\n",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_file_makes_ffmpeg_read_another(tmp_path, name):
    secret = converted(tmp_path / "secret.m4a")
    path = tmp_path / name
    path.write_text(SCRIPTS[name].format(secret=secret))
    assert reason(path).startswith("not audio that can be decoded")


@pytest.mark.parametrize("name", ["-i.m4a", "http:a.m4a", "concat:a|b.m4a", "a%03d.m4a", "'\n.m4a"])
def test_no_name_is_taken_for_an_option_or_an_address(tmp_path, monkeypatch, name):
    converted(tmp_path / "a.m4a").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert reason(name) == ""


def test_without_ffmpeg_the_reason_says_so(tmp_path, monkeypatch):
    path = converted(tmp_path / "a.m4a")

    def none():
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", none)
    assert reason(path).endswith("Format not recognised, and this machine has no ffmpeg)")


def test_without_the_library_that_brings_ffmpeg_the_error_says_what_to_install(
    tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ModuleNotFoundError, match="pip install") as error:
        reason(converted(tmp_path / "a.m4a"))
    assert error.value.name == "imageio_ffmpeg"


def test_decoding_that_takes_too_long_is_stopped(tmp_path, monkeypatch):
    path = converted(tmp_path / "a.m4a")
    monkeypatch.setattr(decoding, "FFMPEG_SECONDS", 1e-3)
    assert reason(path) == "decoding takes over 0.001 s: it was stopped"


@pytest.mark.parametrize("name", ["a.wav", "a.m4a"])
def test_decoding_ends_at_two_hours(tmp_path, monkeypatch, name):
    monkeypatch.setattr(decoding, "MAX_SECONDS", 2)
    path = converted(tmp_path / "a.m4a", seconds=9.0)
    path = path if name == "a.m4a" else path.with_suffix(".source.wav")
    assert reason(path).startswith("too long: it goes on after 0 minutes")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        (24, 0, "not audio"),
        (24, 1, "its header announces 1 samples a second"),
        (24, 2**31 - 1, "its header announces 2,147,483,647 samples a second"),
        (22, 0, "not audio"),
        (22, 1000, "it has 1,000 channels, at most 64 can be mixed down"),
    ],
)
def test_absurd_headers_are_refused(tmp_path, field, value, said):
    path = write_sound(tmp_path / "a.wav")
    content = bytearray(path.read_bytes())
    width = 4 if field == 24 else 2
    content[field : field + width] = value.to_bytes(width, "little")
    if field == 22:
        content[32:34] = (2 * value).to_bytes(2, "little")
    path.write_bytes(content)
    assert reason(path).startswith(said)


def test_the_caller_hears_every_block(tmp_path):
    path = write_sound(tmp_path / "a.wav", seconds=20.0, channels=2)
    heard = []
    decoding.examine(path, min_seconds=1.0, hear=lambda block, sr: heard.append((block, sr)))
    assert {sr for _, sr in heard} == {22_050}
    assert len(heard) > 1 and max(block.size for block, _ in heard) <= decoding.BLOCK
    whole = np.concatenate([block for block, _ in heard])
    np.testing.assert_array_equal(whole, soundfile.read(path, dtype="float32")[0])


# ---------------------------------------------------------------------------- tags


TAGGED = ["mp3", "flac", "ogg", "m4a", "wma", "aiff", "opus", "wv", "wav", "caf", "mka", "avi"]


@pytest.mark.parametrize("extension", TAGGED)
def test_the_artist_is_read_from_every_kind_of_tag(tmp_path, extension):
    options = ["-metadata", "artist=Björk  Ñ", "-write_id3v2", "1"]
    path = converted(tmp_path / f"a.{extension}", *options[: 4 if extension == "aiff" else 2])
    assert tagged_artist(path) == "Björk Ñ"


@pytest.mark.parametrize(
    ("artist", "album_artist", "expected"),
    [
        ("", "The Band", "The Band"),
        ("Various Artists", "The Band", "The Band"),
        ("VA", "various", ""),
        ("V/A", "<unknown>", ""),
        ("Unbekannter Interpret", "Artiste inconnu", ""),
        ("N/A", "nan", ""),
        ("Various Cruelties", "", "Various Cruelties"),
        ("Vanessa", "Various", "Vanessa"),
        ("Tab\there", "", "Tab here"),
    ],
)
def test_nobody_in_particular_is_no_artist(tmp_path, artist, album_artist, expected):
    path = write_sound(tmp_path / "a.flac")
    tags = mutagen.File(path)
    tags["artist"], tags["albumartist"] = artist, album_artist
    tags.save()
    assert tagged_artist(path) == expected


def test_several_artists_are_all_named_and_broken_tags_are_none(tmp_path):
    path = write_sound(tmp_path / "a.flac")
    tags = mutagen.File(path)
    tags["artist"] = ["One", "Two", "One"]
    tags.save()
    assert tagged_artist(path) == "One; Two"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"artist=One", b"artist=\xff\xfe\xfd"))
    assert "Two" in tagged_artist(path)
    path.write_bytes(content[:60])
    assert tagged_artist(path) == ""
    assert tagged_artist(write_sound(tmp_path / "a.wav")) == ""
    assert tagged_artist(tmp_path / "nowhere.mp3") == ""


@pytest.mark.parametrize("extension", TAGGED)
def test_album_title_and_length_are_read_with_the_artist(tmp_path, extension):
    named = {"artist": "Ella", "album": "At  Café", "title": "So\tlong"}
    options = [part for pair in named.items() for part in ("-metadata", "=".join(pair))]
    options += ["-write_id3v2", "1"] if extension == "aiff" else []
    found = song(converted(tmp_path / f"a.{extension}", *options))
    assert (found["artist"], found["title"]) == ("Ella", "So long")
    assert found["album"] == ("" if extension == "avi" else "At Café")  # which has no such tag
    alone = extension in ("caf", "mka", "avi")  # that mutagen does not read
    assert found["seconds"] == (-1 if alone else pytest.approx(3, abs=0.2))


def test_what_has_no_tags_is_named_by_nothing(tmp_path):
    nothing = {"artist": "", "album": "", "title": ""}
    assert song(tmp_path / "nowhere.mp3") == nothing | {"seconds": -1}
    assert song(write_sound(tmp_path / "a.wav", seconds=2.0)) == nothing | {"seconds": 2}


@pytest.mark.parametrize("extension", ["mp3", "flac", "ogg", "m4a", "wma", "aiff"])
def test_title_and_album_are_read_from_every_kind_of_tag(tmp_path, extension):
    told = ["-metadata", "title=Älter  1", "-metadata", "album=B"]
    options = [*told, "-write_id3v2", "1"][: 6 if extension == "aiff" else 4]
    path = converted(tmp_path / f"a.{extension}", *options)
    assert tagged_titles(path) == {"title": "Älter 1", "album": "B"}
    assert tagged_titles(write_sound(tmp_path / "b.wav")) == {"title": "", "album": ""}
