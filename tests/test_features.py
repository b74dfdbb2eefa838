import librosa
import numpy as np
import pytest
from conftest import sound
from hypothesis import given
from hypothesis import strategies as st

from genre_utils import audio, features

RECIPE = features.Recipe(n_mels=16, n_mfcc=6, clip_seconds=1.0, excerpt_seconds=0.4)
STFT = {"n_fft": 2048, "hop_length": 1024}


def assert_as_librosa(y):
    """Each family against librosa's own function, called for it alone."""
    recipe, sr = features.Recipe(), 22_050
    found = features.frame_features(y, recipe)
    mel = librosa.feature.melspectrogram(y=y, sr=sr, n_mels=64, **STFT)
    mfcc = librosa.feature.mfcc(S=librosa.power_to_db(mel, ref=np.max, top_db=80), sr=sr, n_mfcc=20)
    magnitude = np.abs(librosa.stft(y, **STFT))
    expected = {
        "log_mel": (librosa.power_to_db(mel, ref=np.max, top_db=80) + 80) / 80,
        "mfcc": mfcc,
        "mfcc_delta": librosa.feature.delta(mfcc, width=9),
        "mfcc_delta2": librosa.feature.delta(mfcc, width=9, order=2),
        "chroma": librosa.feature.chroma_stft(y=y, sr=sr, tuning=0.0, **STFT),
        "zero_crossing_rate": librosa.feature.zero_crossing_rate(
            y, frame_length=2048, hop_length=1024
        ),
        "short_time_energy": librosa.feature.rms(y=y, frame_length=2048, hop_length=1024) ** 2,
        "spectral_centroid": librosa.feature.spectral_centroid(y=y, sr=sr, **STFT),
        "spectral_mean": np.array([[column.mean() for column in magnitude.T]]),
        "spectral_variance": np.array([[column.var() for column in magnitude.T]]),
    }
    assert list(found) == list(expected) == list(features.FAMILIES)
    for family, values in expected.items():
        assert (found[family].dtype, found[family].shape) == (np.float32, values.shape)
        limit = 1e-5 * np.abs(values).max() + 1e-7
        np.testing.assert_allclose(found[family], values, rtol=1e-4, atol=limit, err_msg=family)
    own = librosa.feature.mfcc(y=y, sr=sr, n_mfcc=20, n_mels=64, **STFT)
    if np.ptp(librosa.power_to_db(mel, top_db=None)) < 80:  # else the two floors differ
        np.testing.assert_allclose(found["mfcc"][1:], own[1:], atol=0.01)


@pytest.mark.parametrize("seconds", [0.5, 1.0, 2.37])
def test_every_family_is_what_librosa_computes_for_it_alone(seconds):
    assert_as_librosa(sound(4, seconds=seconds).astype(np.float32))


@pytest.mark.parametrize(
    "track", ["jazz/jazz.00000", "classical/classical.00003", "rock/rock.00009"]
)
def test_every_family_of_real_music_is_what_librosa_computes(gtzan_mini, track):
    y, _ = audio.load_clip(gtzan_mini / "genres" / f"{track}.wav", seconds=8.0)
    assert_as_librosa(y)


def test_log_mel_lies_between_0_and_1_and_silence_is_finite():
    values = features.frame_features(sound(1).astype(np.float32), RECIPE)["log_mel"]
    assert values.max() == 1.0
    assert values.min() >= 0.0
    silent = features.frame_features(np.zeros(22_050, np.float32), RECIPE)
    assert all(np.isfinite(family).all() for family in silent.values())


@given(st.integers(1, 9), st.integers(1, 40), st.integers(0, 99))
def test_summaries_are_the_mean_and_deviation_over_each_excerpt(length, frames, seed):
    rng = np.random.default_rng(seed)
    families = {"one": rng.normal(size=(1, frames)), "two_words": rng.normal(size=(3, frames))}
    names = features.summary_columns(families)
    found = features.summarise(families, length)
    assert found.shape == (frames // length, len(names))
    for e in range(frames // length):
        for family, values in families.items():
            for i, row in enumerate(values, 1):
                cut = row[e * length : (e + 1) * length]
                for statistic, value in (("mean", cut.mean()), ("std", cut.std())):
                    name = f"{family}_{i:02d}_{statistic}"
                    assert features.family_of(name) == family
                    assert found[e, names.index(name)] == pytest.approx(value, abs=1e-5)
