"""Features and their statistics have names that a musician understands."""

import itertools

import numpy as np
import pytest

from genre_utils.features import catalogue, extraction, modulation, recipes, summarising


@pytest.fixture(scope="module", name="columns")
def columns_fixture():
    y = np.random.default_rng(0).normal(size=5 * 22_050).astype(np.float32)
    return summarising.summary_columns(extraction.frame_features(y, recipes.Recipe()))


@pytest.mark.parametrize("sr", [22_050, 0])
def test_every_statistic_has_a_name_of_its_own(columns, sr):
    found = catalogue.labels(columns, sr)
    assert list(found) == columns and len(set(found.values())) == len(columns)
    assert not any("_" in name for name in found.values())


def test_bands_notes_and_circles_are_named():
    columns = ["mfcc_04_std", "chroma_10_mean", "tonnetz_06_mean", "tempo_01_mean"]
    columns += ["spectral_contrast_02_mean", "spectral_contrast_07_std"]
    assert list(catalogue.labels(columns).values()) == [
        "MFCC 4, SD", "chroma of A, mean", "tonnetz, circle of major thirds, cosine, mean",
        "tempo, mean", "spectral contrast 200–400 Hz, mean",
        "spectral contrast 6,400–11,000 Hz, SD",
    ]  # fmt: skip


def test_a_mel_band_is_named_by_the_frequency_it_answers_to_most(columns):
    import librosa

    centres = librosa.mel_frequencies(66, fmax=11_025)[1:-1]
    named = catalogue.labels(columns)
    for k in (1, 20, 64):
        text = named[f"log_mel_{k:02d}_mean"].removeprefix("log-mel band at ").split()[0]
        assert float(text.replace(",", "")) == pytest.approx(centres[k - 1], rel=0.01)


def test_a_pattern_is_named_by_what_it_does():
    time, band = np.arange(330) / 11, np.arange(64)[:, np.newaxis] / 64
    for rising, scale in itertools.product((True, False), (4, 8)):
        moves = 1.6 * time + (-1 if rising else 1) * scale * band
        strength = modulation.strength(0.5 + 0.3 * np.cos(2 * np.pi * moves), 11.0)
        regions = strength[:, 100:200].mean(axis=1).reshape(-1, modulation.REGIONS)
        which = regions[:, 5].argmax() * modulation.REGIONS + 6
        name = catalogue.labels([f"modulation_{which}_mean"])[f"modulation_{which}_mean"]
        cycles = {4: "0.8", 8: "1.6"}[scale]
        way = "rising" if rising else "falling"
        assert name == f"modulation 1.6 Hz, {cycles} cycles per octave {way}, 3,000–4,700 Hz, mean"
