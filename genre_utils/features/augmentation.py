"""Augmentation: changes of a recording, or its spectrogram, that leave its genre what it is."""

import random
import sys
from contextlib import contextmanager

import numpy as np

#: Changes of a recording that copies of it may go through.
EFFECTS = ("time stretch", "pitch shift", "noise", "equaliser", "low-pass", "gain", "time shift")
MASKS = 2  # stripes along each axis of a spectrogram
MASK_SHARE = 0.15  # widest stripe, as a share of its axis


@contextmanager
def _seeded(seed):
    """Give audiomentations seeded generators of its own, as other threads draw from Python's."""
    own = random.Random(seed)
    modules = [m for name, m in list(sys.modules.items()) if name.startswith("audiomentations.")]
    drawing: list = [module for module in modules if getattr(module, "random", None) is random]
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        for module in drawing:
            module.random = own
        yield
    finally:
        for module in drawing:
            module.random = random
        np.random.set_state(state)  # noqa: NPY002


def augment(y: np.ndarray, sr: int, *, seed: int, effects=EFFECTS, p: float = 0.5) -> np.ndarray:
    """Apply each effect with probability `p`, one after the other.

    Parameters
    ----------
    y : np.ndarray, shape (n,), float32
        A clip.
    sr : int
        Sample rate in Hz.
    seed : int
        Decides everything: the same seed gives the same samples.
    effects : sequence of str
        Of `EFFECTS`: tempo +/- 10 %, pitch +/- 2 semitones, white noise at 15 to 40 dB
        signal-to-noise ratio, seven bands +/- 6 dB, low-pass at 3 to 8 kHz, level by -12 to +6 dB,
        later by up to half the clip (what runs over the end comes first).
    p : float
        Probability of each.

    Returns
    -------
    np.ndarray, shape (n,), float32
        A changed copy.
    """
    import audiomentations as am

    makers = {
        "time stretch": lambda: am.TimeStretch(0.9, 1.1, leave_length_unchanged=True, p=p),
        "pitch shift": lambda: am.PitchShift(-2.0, 2.0, p=p),
        "noise": lambda: am.AddGaussianSNR(15.0, 40.0, p=p),
        "equaliser": lambda: am.SevenBandParametricEQ(-6.0, 6.0, p=p),
        "low-pass": lambda: am.LowPassFilter(3000.0, 8000.0, p=p),
        "gain": lambda: am.Gain(-12.0, 6.0, p=p),
        "time shift": lambda: am.Shift(0.05, 0.5, rollover=True, p=p),
    }
    with _seeded(seed):
        return am.Compose([makers[name]() for name in effects])(samples=y, sample_rate=sr)


def mask(images: np.ndarray, rng: np.random.Generator, *, fill) -> np.ndarray:
    """Hide `MASKS` stripes along each axis of each image, (n, frames, mels), under `fill`.

    After SpecAugment (Park et al. 2019, Interspeech) without its warping of time, which gained
    least there. `fill` is a number, or one for each of the mels.
    """
    hidden = np.zeros(images.shape, dtype=bool)
    for axis, size in enumerate(images.shape[1:], 1):
        for _ in range(MASKS):
            width = rng.integers(0, int(MASK_SHARE * size), size=len(images), endpoint=True)
            start = rng.integers(0, size - width, endpoint=True)
            place = np.arange(size) - start[:, np.newaxis]
            stripe = (place >= 0) & (place < width[:, np.newaxis])
            hidden |= np.expand_dims(stripe, axis=3 - axis)
    return np.where(hidden, np.asarray(fill, dtype=images.dtype), images)
