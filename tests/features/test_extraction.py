import itertools

import numpy as np
import pytest
from conftest import sound
from hypothesis import given
from hypothesis import strategies as st

from extraction import REFERENCES, OneAtATime
from genre_utils.features import (
    audio,
    catalogue,
    extraction,
    modulation,
    musical,
    recipes,
    summarising,
)

RECIPE = recipes.Recipe(n_mels=16, n_mfcc=6, clip_seconds=1.0, excerpt_seconds=0.4)
pytestmark = pytest.mark.filterwarnings("ignore:n_fft=1024 is too large")  # of short clips, by CQT
PICKS = {"autocorrelation_period", "spectral_rolloff", "tempo", "beat_regularity"}  # one of bins


def assert_as_librosa(y, recipe=None):
    """Each family against its own expression, evaluated for it alone."""
    recipe = recipe or recipes.Recipe()
    found, expected = extraction.frame_features(y, recipe), OneAtATime(y, recipe)
    assert list(found) == list(extraction.ALL)
    for family, values in found.items():
        assert (values.dtype, values.shape) == (np.float32, expected[family].shape), family
        difference = np.abs(values - expected[family])
        limit = 1e-4 * (np.ptp(expected[family]) or max(1.0, np.abs(expected[family]).max()))
        if family in PICKS:
            assert np.mean(difference > limit) <= 0.001 + 1 / values.size, family
        else:
            assert difference.max() <= limit, family


@pytest.mark.parametrize("seconds", [0.5, 1.0, 2.37])
def test_every_family_is_what_librosa_computes_for_it_alone(seconds):
    assert_as_librosa(sound(4, seconds=seconds).astype(np.float32))


@pytest.mark.parametrize(
    "settings", [{"hop_length": 512}, {"hop_length": 700}, {"n_fft": 1024}, {"n_mels": 40}]
)
def test_every_recipe_is_what_librosa_computes(settings):
    y = sound(5, seconds=3.0).astype(np.float32)
    assert_as_librosa(y, recipes.Recipe(**settings))


def test_an_odd_window_is_refused():
    with pytest.raises(ValueError, match="n_fft is 2049"):
        recipes.Recipe(n_fft=2049)


@pytest.mark.parametrize(
    "track", ["jazz/jazz.00000", "classical/classical.00003", "hiphop/hiphop.00009"]
)
def test_every_family_of_real_music_is_what_librosa_computes(gtzan_mini, track):
    y, _ = audio.load_clip(gtzan_mini / "genres" / f"{track}.wav", seconds=30.0)
    assert_as_librosa(y)


def test_families_are_documented_and_grouped():
    assert tuple(catalogue.UNITS) == extraction.ALL == tuple(REFERENCES)
    assert sorted(itertools.chain(*catalogue.GROUPS.values())) == sorted(extraction.ALL)


def test_only_what_is_asked_for_is_computed(monkeypatch):
    y = sound(1).astype(np.float32)
    everything = extraction.frame_features(y, RECIPE)
    monkeypatch.delattr(musical, "harmonic_share")
    monkeypatch.setattr("librosa.feature.chroma_cqt", None)
    monkeypatch.delattr(modulation, "strength")
    found = extraction.frame_features(y, RECIPE, ("mfcc", "chroma"))
    assert list(found) == ["mfcc", "chroma"]
    for family, values in found.items():
        np.testing.assert_array_equal(values, everything[family])


def test_log_mel_lies_between_0_and_1_and_silence_is_finite():
    values = extraction.frame_features(sound(1).astype(np.float32), RECIPE)["log_mel"]
    assert values.max() == 1.0
    assert values.min() >= 0.0
    silent = extraction.frame_features(np.zeros(22_050, np.float32), RECIPE)
    assert all(np.isfinite(family).all() for family in silent.values())


def test_what_is_measured_against_the_clip_does_not_change_with_its_gain():
    y = sound(2, seconds=2.0).astype(np.float32)
    one, other = (extraction.frame_features(gain * y, RECIPE) for gain in (1.0, 0.1))
    for family in ("log_mel", "mfcc", "chroma", "dynamics", "arousal", "key_clarity", "tempogram"):
        np.testing.assert_allclose(one[family], other[family], atol=0.002, err_msg=family)


def clicks(beats_per_minute, seconds=20.0):
    y = 1e-3 * np.random.default_rng(0).normal(size=round(seconds * 22_050)).astype(np.float32)
    for start in np.arange(0, seconds - 0.1, 60 / beats_per_minute):
        at = round(start * 22_050)
        y[at : at + 500] += np.hanning(500) * np.sin(np.arange(500))
    return y


def test_the_tempo_of_clicks_is_found_and_noise_is_irregular():
    found = extraction.frame_features(clicks(120), recipes.Recipe(), ("tempo", "beat_regularity"))
    assert np.median(found["tempo"]) == pytest.approx(120, rel=0.05)
    noise = np.random.default_rng(1).normal(size=20 * 22_050).astype(np.float32)
    random = extraction.frame_features(noise, recipes.Recipe(), ("beat_regularity",))
    assert found["beat_regularity"].mean() > 2 * random["beat_regularity"].mean()


def chord(pitches, seconds=1.0):
    time = np.arange(round(seconds * 22_050)) / 22_050
    tones = [np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time) for pitch in pitches]
    return np.sum(tones, axis=0).astype(np.float32) / len(pitches)


def cadence(third):
    """Tonic, subdominant, dominant, tonic in C, with a major (4) or minor (3) third."""
    chords = [(60, 60 + third, 67), (65, 65 + third, 72), (67, 71, 74), (60, 60 + third, 67)]
    return np.concatenate([chord(pitches) for pitches in chords])


def test_a_major_and_a_minor_cadence_are_told_apart_and_noise_has_no_key():
    major, minor, noise = (
        extraction.frame_features(y, recipes.Recipe(), ("mode", "key_clarity"))
        for y in (cadence(4), cadence(3), np.random.default_rng(0).normal(size=88_200) / 9)
    )
    assert major["mode"].mean() > 0.1 > -0.1 > minor["mode"].mean()
    assert min(major["key_clarity"].mean(), minor["key_clarity"].mean()) > 0.7
    assert noise["key_clarity"].mean() < 0.6


def test_tones_are_harmonic_clicks_are_not_and_a_tone_repeats_after_its_period():
    wanted = ("harmonic_share", "autocorrelation_peak", "autocorrelation_period")
    tone, clicked = (
        extraction.frame_features(y, recipes.Recipe(), wanted)
        for y in (chord([57], 4.0), clicks(140, 4.0))
    )
    assert tone["harmonic_share"].mean() > 0.9 > 0.5 > clicked["harmonic_share"].mean()
    assert np.median(tone["autocorrelation_period"]) == pytest.approx(1000 / 220, rel=0.02)
    assert np.median(tone["autocorrelation_peak"]) > 0.8


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("rate", [0.8, 3.2])
def test_a_moving_grating_answers_to_its_own_rate_scale_and_direction(rate, direction):
    time, band = np.arange(330) / 11, np.arange(64)[:, np.newaxis] / 64
    grating = 0.5 + 0.5 * np.cos(2 * np.pi * (rate * time + direction * 8 * band))
    strength = modulation.strength(grating, 11.0).reshape(-1, 8, 330)[:, :, 100:200].mean(axis=2)
    assert len(modulation.FILTERS) == len(strength)
    for region in strength.T[1:-1]:  # not where the grating ends
        assert modulation.FILTERS[region.argmax()] == (rate, direction * 8.0)


@given(st.integers(3, 140), st.integers(2, 60), st.sampled_from([11.1, 21.5, 43.1]))
def test_modulation_fits_any_spectrogram_and_a_flat_one_has_none(mels, frames, rate):
    image = np.random.default_rng(mels).random((mels, frames), dtype=np.float32)
    found = modulation.strength(image, rate)
    assert found.shape == (38 * min(8, -(-mels // -(-mels // 64))), frames)
    assert found.dtype == np.float32 and np.isfinite(found).all() and found.max() > 0
    assert np.abs(modulation.strength(np.full((mels, frames), 0.7), rate)).max() < 1e-5


@given(st.integers(1, 9), st.integers(1, 40), st.integers(0, 99))
def test_summaries_are_the_mean_and_deviation_over_each_excerpt(length, frames, seed):
    rng = np.random.default_rng(seed)
    families = {"one": rng.normal(size=(1, frames)), "two_words": rng.normal(size=(3, frames))}
    names = summarising.summary_columns(families)
    found = summarising.summarise(families, length)
    assert found.shape == (frames // length, len(names))
    for e in range(frames // length):
        for family, values in families.items():
            for i, row in enumerate(values, 1):
                cut = row[e * length : (e + 1) * length]
                for statistic, value in (("mean", cut.mean()), ("std", cut.std())):
                    name = f"{family}_{i:02d}_{statistic}"
                    assert catalogue.family_of(name) == family
                    assert found[e, names.index(name)] == pytest.approx(value, abs=1e-5)
