import random

import numpy as np
import pytest
from conftest import sound

from genre_utils import augmentation

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
