import numpy as np
import pytest
import soundfile
from conftest import song
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from genre_utils.data import corpora, fingerprint, folders
from genre_utils.data.composer import collection

SR = 22_050


def as_format(y, tmp_path, name, **how):
    soundfile.write(tmp_path / name, y, SR, **how)
    return soundfile.read(tmp_path / name, dtype="float32")


def noisy(y):
    noise = np.random.default_rng(9).normal(size=len(y)).astype(np.float32)
    return y + 0.1 * np.sqrt(np.mean(y**2)) * noise


CHANGES = {
    "MP3": lambda y, p: as_format(y, p, "a.mp3", bitrate_mode="CONSTANT", compression_level=0.72),
    "OGG": lambda y, p: as_format(y, p, "a.ogg", compression_level=0.9),
    "quiet": lambda y, p: as_format(0.05 * y, p, "a.wav"),
    "noise": lambda y, p: (noisy(y), SR),
    "48 kHz": lambda y, p: (signal.resample_poly(y, 320, 147), 48_000),
    "8 kHz": lambda y, p: (signal.resample_poly(y, 160, 441), 8_000),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("cut", [0.0, 4.567])
def test_a_copy_is_found_whatever_was_done_to_it_and_no_other_song(tmp_path, change, cut):
    songs = [song(seed) for seed in range(4)]
    y, sr = CHANGES[change](songs[2][round(cut * SR) :], tmp_path)
    found = fingerprint.links([*(fingerprint.of_audio(s, SR) for s in songs),
                               fingerprint.of_audio(y, sr)])  # fmt: skip
    assert found[["first", "second"]].to_numpy().tolist() == [[2, 4]]
    assert found["shift"].item() * fingerprint.HOP == pytest.approx(-cut, abs=0.06)
    assert found["share"].item() > 1.3 * fingerprint.MIN_SHARE


def test_two_parts_of_a_recording_that_overlap_are_tied_through_it():
    y = song(0, seconds=30)
    parts = [y[: 12 * SR], y, y[18 * SR :]]
    found = fingerprint.links([fingerprint.of_audio(part, SR) for part in parts])
    assert {tuple(pair) for pair in found[["first", "second"]].to_numpy()} == {(0, 1), (1, 2)}


@given(
    seconds=st.sampled_from([0.0, 0.001, 0.05, 0.3, 2.0]),
    sr=st.sampled_from([1_000, 8_000, 44_100, 384_000]),
    level=st.sampled_from([0.0, 1e-30, 1.0, 1e30]),
)
@settings(max_examples=15)
def test_any_sound_has_a_fingerprint(seconds, sr, level):
    y = level * np.random.default_rng(0).normal(size=round(seconds * sr))
    made = fingerprint.of_audio(y.astype(np.float32), sr)
    assert made.shape[1:] == (2,) and made.dtype == np.int32
    assert fingerprint.links([made, made[:3], made[:0]]).columns[0] == "first"


def test_what_repeats_over_and_over_costs_no_memory():
    click = np.random.default_rng(0).normal(size=200).astype(np.float32)
    y = np.zeros(60 * SR, dtype=np.float32)
    for begin in range(0, len(y) - 200, SR // 4):
        y[begin : begin + 200] = click
    made = fingerprint.of_audio(y, SR)
    assert np.unique(made[:, 0], return_counts=True)[1].max(initial=0) <= fingerprint.REPEATS
    assert len(fingerprint.links([made] * 30)) <= 29


def test_silence_a_steady_tone_and_noise_are_copies_of_nothing():
    t = np.arange(20 * SR) / SR
    rng = np.random.default_rng(0)
    sounds = [0 * t, np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 660 * t)]
    sounds += [rng.normal(size=len(t)), rng.normal(size=len(t))]
    assert fingerprint.links([fingerprint.of_audio(y, SR) for y in sounds]).empty


def test_of_very_many_landmarks_a_share_of_the_names_is_indexed(monkeypatch):
    prints = [fingerprint.of_audio(song(seed), SR) for seed in (0, 1, 0)]
    whole = fingerprint.links(prints)
    monkeypatch.setattr(fingerprint, "INDEX", 1000)
    monkeypatch.setattr(fingerprint, "BUDGET", 500)
    monkeypatch.setattr(fingerprint, "BLOCK", 100)
    assert len(fingerprint._index(prints)) < 1500 < sum(map(len, prints))
    assert fingerprint.links(prints).equals(whole)
    assert whole[["first", "second", "share"]].to_numpy().tolist() == [[0, 2, 1.0]]


def test_the_index_finds_what_comparing_every_pair_finds():
    prints = [fingerprint.of_audio(song(seed % 3)[seed * SR :], SR) for seed in range(6)]
    pairs = [(i, j) for i in range(6) for j in range(i) if i % 3 == j % 3]
    assert all(fingerprint.are_copies(*fingerprint.compare(prints[i], prints[j])[:2])
               for i, j in pairs)  # fmt: skip
    assert len(fingerprint.links(prints)) == 3


def test_composed_pieces_of_one_artist_are_no_copies_of_each_other():
    settings_ = {"artists_per_genre": 3, "tracks_per_artist": 3, "seconds": 10.0, "seed": 1}
    folder = collection.compose_corpus(genres=["pop"], **settings_)
    clips = [soundfile.read(path, dtype="float32") for path in sorted(folder.glob("*/*.flac"))]
    prints = [fingerprint.of_audio(*clip) for clip in clips]
    assert len(prints) == 9
    assert fingerprint.links(prints).empty
    others = [fingerprint.compare(a, b)[1] for i, a in enumerate(prints) for b in prints[:i]
              if fingerprint.compare(a, b)[0] >= 20]  # fmt: skip
    assert max(others, default=0) < fingerprint.MIN_SHARE / 1.5


def test_real_songs_are_told_apart_and_their_worst_copies_found(gtzan_mini, tmp_path):
    clips = [soundfile.read(path, dtype="float32")[0]
             for path in sorted(gtzan_mini.glob("genres/*/*[05].wav"))]  # fmt: skip
    prints = [fingerprint.of_audio(y, SR) for y in clips]
    worse = []
    for y in clips[::4]:
        y = signal.resample_poly(noisy(y[15 * SR :]), 320, 441)
        soundfile.write(tmp_path / "a.ogg", y, 16_000, compression_level=0.9)
        worse.append(fingerprint.of_audio(*soundfile.read(tmp_path / "a.ogg", dtype="float32")))
    found = fingerprint.links([*prints, *worse])
    expected = [[4 * n, len(clips) + n] for n in range(len(worse))]
    assert sorted(found[["first", "second"]].to_numpy().tolist()) == expected
    assert found["landmarks"].min() > 2 * fingerprint.MIN_LANDMARKS


# ---------------------------------------------------------------------------- log-mel images


def test_copies_of_a_log_mel_image_are_found():
    rng = np.random.default_rng(0)
    images = [rng.random((300, 128)).astype(np.float32) for _ in range(5)]
    changed = [images[1] + rng.normal(0, 0.02, images[1].shape), 0.9 * images[2][40:]]
    prints = [fingerprint.of_log_mel(image) for image in [*images, *changed]]
    found = fingerprint.links(prints, least=fingerprint.MEL_SHARE)
    assert sorted(found[["first", "second", "shift"]].to_numpy().tolist()) == [
        [1, 5, 0], [2, 6, -40],
    ]  # fmt: skip


def test_no_track_of_the_real_store_is_a_copy_of_another(gtzan_mel80):
    tracks = corpora.find_tracks("spectrograms", gtzan_mel80)
    arrays = folders.load_arrays(gtzan_mel80, tracks["track_id"][::4])
    prints = [fingerprint.of_log_mel(array) for array in arrays]
    assert fingerprint.links(prints, least=fingerprint.MEL_SHARE).empty
    copy = arrays[7].astype(np.float32) + np.random.default_rng(0).normal(0, 0.01, arrays[7].shape)
    found = fingerprint.links([*prints, fingerprint.of_log_mel(copy)], least=fingerprint.MEL_SHARE)
    assert found[["first", "second"]].to_numpy().tolist() == [[7, len(prints)]]
    assert found["share"].item() > 3 * fingerprint.MEL_SHARE
