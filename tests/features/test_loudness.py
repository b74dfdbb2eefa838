"""Loudness: measured and normalised to the decibel, and what of it the features can see."""

import numpy as np
import pandas as pd
import pytest
from conftest import sound, write_sound
from hypothesis import given
from hypothesis import strategies as st

from genre_utils.data import auditing, corpora
from genre_utils.features import audio, extraction, recipes, store
from genre_utils.workspace.study_folder import StudyFolder

SR = audio.SAMPLE_RATE
pytestmark = pytest.mark.filterwarnings("ignore:n_fft=1024 is too large")  # of short clips, by CQT


def rms(y):
    return 10 * np.log10(np.mean(np.square(y, dtype=np.float64)))


@given(st.integers(0, 100), st.floats(-40, 20))
def test_loudness_lands_on_its_target(seed, gain):
    y = (sound(seed) * 10 ** (gain / 20)).astype(np.float32)
    assert rms(audio.normalise_loudness(y, SR, "rms")) == pytest.approx(-20, abs=0.1)
    assert audio.loudness(audio.normalise_loudness(y, SR, "ebu"), SR) == pytest.approx(-23, abs=0.1)


def test_a_full_scale_sine_of_997_hertz_measures_what_the_standard_says():
    y = np.sin(2 * np.pi * 997 * np.arange(SR * 3) / SR)
    assert audio.loudness(y, SR) == pytest.approx(-3.01, abs=0.1)  # ITU-R BS.1770-4, annex 1


@pytest.mark.parametrize("how", ["none", "rms", "ebu"])
@pytest.mark.parametrize("n", [1, 100, 8819, 8820, 8821])  # around 0.4 s
def test_clips_shorter_than_the_standard_measures_and_silence_are_handled(how, n):
    short = sound(1).astype(np.float32)[:n]
    scaled = audio.normalise_loudness(short, SR, how)
    assert (scaled.shape, scaled.dtype) == (short.shape, np.float32) and np.isfinite(scaled).all()
    if how == "ebu" and n > 1:
        assert audio.loudness(scaled, SR) == pytest.approx(-23, abs=0.1)
    silent = np.zeros(n, dtype=np.float32)
    np.testing.assert_array_equal(audio.normalise_loudness(silent, SR, how), silent)
    assert audio.loudness(silent, SR) == -np.inf


def test_what_lies_under_the_gate_is_left_as_it_is():
    faint = (sound(0) * 1e-5).astype(np.float32)
    assert audio.loudness(faint, SR) == -np.inf
    np.testing.assert_array_equal(audio.normalise_loudness(faint, SR, "ebu"), faint)


def test_an_unknown_way_is_refused():
    with pytest.raises(ValueError, match="none, rms, ebu"):
        audio.normalise_loudness(sound(0), SR, "lufs")


@given(st.floats(-30, 30))
def test_the_log_mel_spectrogram_does_not_depend_on_the_level(gain):
    recipe = recipes.Recipe(clip_seconds=1.0)
    y = sound(0).astype(np.float32)
    louder = (y * 10 ** (gain / 20)).astype(np.float32)
    one, other = (extraction.frame_features(z, recipe) for z in (y, louder))
    np.testing.assert_allclose(one["log_mel"], other["log_mel"], atol=1e-4)
    energy = 10 * np.log10(other["short_time_energy"] / one["short_time_energy"])
    np.testing.assert_allclose(energy, gain, atol=1e-2)


def test_originals_and_changed_copies_are_scaled_in_the_store(tmp_path):
    write_sound(tmp_path / "music" / "jazz" / "a.wav", seconds=2.0)
    tracks = corpora.find_tracks("folder", tmp_path / "music")
    tracks = auditing.audit(tracks, tmp_path / "music", min_seconds=1.0, n_jobs=1)
    y, _ = audio.load_clip(tmp_path / "music" / "jazz" / "a.wav", seconds=2.0)
    copies = {"copies": 1, "effects": ("gain",), "p": 1.0, "n_jobs": 1}
    energies = {}
    for how in ("none", "rms"):
        recipe = recipes.Recipe(clip_seconds=2.0, excerpt_seconds=1.0, loudness=how)
        store.extract(tracks, tmp_path / "music", StudyFolder(tmp_path / how), recipe, **copies)
        table = pd.read_parquet(tmp_path / how / "summary.parquet")
        energies[how] = table.groupby("copy")["short_time_energy_01_mean"].mean().to_numpy()
    assert abs(np.diff(10 * np.log10(energies["none"]))) > 0.5
    np.testing.assert_allclose(np.diff(10 * np.log10(energies["rms"])), 0, atol=0.01)
    change = -20 - rms(y)
    np.testing.assert_allclose(
        10 * np.log10(energies["rms"][0] / energies["none"][0]), change, atol=0.01
    )
