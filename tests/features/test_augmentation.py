import random

import numpy as np
import pytest
from conftest import sound
from hypothesis import given
from hypothesis import strategies as st

from genre_utils.features import augmentation

SR = 22_050
pytest.importorskip("audiomentations")


def augmented(seed, effects=augmentation.EFFECTS, p=1.0, y=None):
    y = sound(0).astype(np.float32) if y is None else y
    return augmentation.augment(y, SR, seed=seed, effects=effects, p=p)


@pytest.mark.parametrize("name", augmentation.EFFECTS)
def test_the_seed_decides_an_effect_and_length_and_type_stay(name):
    y = sound(0).astype(np.float32)
    one, same, other = (augmented(seed, [name]) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, y)
    assert (one.shape, one.dtype) == (y.shape, np.float32)
    assert np.isfinite(one).all()


def test_the_seed_decides_whatever_the_global_generators_hold():
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    one = augmented(5, p=0.5)
    random.seed(2)
    np.random.seed(2)  # noqa: NPY002
    np.testing.assert_array_equal(one, augmented(5, p=0.5))


@pytest.mark.parametrize("stop", [False, True])
def test_the_global_generators_are_left_as_found(stop):
    before = random.getstate(), np.random.get_state()  # noqa: NPY002
    if stop:
        with pytest.raises(KeyError):
            augmented(3, effects=["noise", "reverse"])
    else:
        augmented(3)
    after = random.getstate(), np.random.get_state()  # noqa: NPY002
    assert before[0] == after[0]
    for one, other in zip(before[1], after[1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_samples_given_are_not_changed():
    y = sound(0).astype(np.float32)
    augmented(1, y=y)
    np.testing.assert_array_equal(y, sound(0).astype(np.float32))


def test_probability_zero_changes_nothing():
    np.testing.assert_array_equal(augmented(1, p=0.0), sound(0).astype(np.float32))


def test_noise_is_15_to_40_decibels_under_the_sound():
    y = sound(0).astype(np.float32)
    noise = np.array([augmented(seed, ["noise"]) - y for seed in range(60)])
    ratio = 10 * np.log10(np.mean(y**2) / np.mean(noise**2, axis=1))
    assert 14.7 < ratio.min() < 20
    assert 35 < ratio.max() < 40.3


def test_low_pass_takes_the_treble_and_leaves_the_bass():
    noise = np.random.default_rng(0).normal(0, 0.1, SR).astype(np.float32)
    gain = np.abs(np.fft.rfft(augmented(0, ["low-pass"], y=noise)) / np.fft.rfft(noise))
    assert np.median(gain[200:1500]) > 0.9  # Hz, since the clip lasts one second
    assert np.median(gain[10_500:]) < 0.6


def test_gain_changes_the_level_alone():
    y = sound(0).astype(np.float32)
    gains = np.array([np.median(augmented(seed, ["gain"]) / y) for seed in range(40)])
    decibels = 20 * np.log10(gains)
    assert -12.01 < decibels.min() < -9 and 3 < decibels.max() < 6.01
    np.testing.assert_allclose(augmented(0, ["gain"]), gains[0] * y, rtol=1e-4, atol=1e-7)


def test_time_shift_moves_the_clip_around():
    y = np.random.default_rng(0).normal(0, 0.1, SR).astype(np.float32)
    later = []
    for seed in range(30):
        shifted = augmented(seed, ["time shift"], y=y)
        match = np.fft.irfft(np.fft.rfft(shifted) * np.conj(np.fft.rfft(y)))
        later.append(match.argmax())
        assert np.isclose(shifted, np.roll(y, later[-1])).mean() > 0.95  # a short fade at the seam
    assert 0.05 * SR <= min(later) < 0.15 * SR and 0.4 * SR < max(later) <= 0.5 * SR


@given(st.integers(0, 2**32 - 1), st.integers(7, 80), st.integers(7, 80))
def test_masks_hide_stripes_and_nothing_else(seed, frames, mels):
    images = np.random.default_rng(0).uniform(1, 2, size=(3, frames, mels)).astype(np.float32)
    fill = np.linspace(-2, -1, mels)
    masked = augmentation.mask(images, np.random.default_rng(seed), fill=fill)
    assert masked.dtype == np.float32
    hidden = masked < 0
    np.testing.assert_array_equal(masked[~hidden], images[~hidden])
    expected = np.broadcast_to(fill.astype(np.float32), images.shape)
    np.testing.assert_array_equal(masked[hidden], expected[hidden])
    for image in hidden:
        rows, columns = image.all(axis=1), image.all(axis=0)
        np.testing.assert_array_equal(image, rows[:, np.newaxis] | columns)
        assert rows.mean() <= 2 * augmentation.MASK_SHARE or columns.all()
        assert columns.mean() <= 2 * augmentation.MASK_SHARE or rows.all()


def test_masks_differ_between_images_and_some_are_wide():
    masked = augmentation.mask(np.ones((64, 100, 100)), np.random.default_rng(0), fill=0.0)
    share = 1 - masked.mean(axis=(1, 2))
    assert len(np.unique(share)) > 50 and 0.2 < share.mean() < 0.3 and share.max() > 0.4
