"""Augmentation: changes of a recording, or of its picture, that leave its genre what it is."""

import random
import sys
from contextlib import contextmanager

import numpy as np

EFFECTS = (
    "time stretch", "pitch shift", "noise", "equaliser", "low-pass", "gain", "time shift"
)  # fmt: skip
MASKS = 2  # stripes along each axis of a spectrogram
MASK_SHARE = 0.15  # widest stripe, as a share of its axis


def effect(name: str, *, p: float = 1.0):
    """One augmentation of audiomentations, applied with probability `p`.

    Parameters
    ----------
    name : str
        One of `EFFECTS`: tempo by -10 to +10 %, pitch by -2 to +2 semitones, white noise at 15 to
        40 dB signal-to-noise ratio, seven bands by -6 to +6 dB, low-pass at 3 to 8 kHz, level by
        -12 to +6 dB, later by up to half the clip (what runs over the end comes first).
    p : float
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
    return makers[name]()


@contextmanager
def _seeded(seed):
    """Give audiomentations generators of its own, seeded, in place of those all threads share.

    Other threads of a process draw as well, those of a Dask worker from Python's generator: it
    could not be seeded for one of them alone.
    """
    own = random.Random(seed)
    modules = [m for name, m in list(sys.modules.items()) if name.startswith("audiomentations.")]
    drawing = [module for module in modules if getattr(module, "random", None) is random]
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
    sr : int
        Sample rate in Hz.
    seed : int
        Decides everything: the same seed gives the same samples.
    effects : sequence of str
        From `EFFECTS`.
    p : float
        Probability of each.

    Returns
    -------
    np.ndarray, shape (n,), float32
    """
    import audiomentations as am

    with _seeded(seed):
        return am.Compose([effect(name, p=p) for name in effects])(samples=y, sample_rate=sr)


def mask(images: np.ndarray, rng: np.random.Generator, *, fill) -> np.ndarray:
    """Hide stripes of time and of frequency, so that no single one is relied upon.

    Two stripes along each axis of each image, each up to 15 % of that axis wide, after
    SpecAugment (Park et al. 2019, Interspeech; its warping of time is left out, as there the gain
    was least).

    Parameters
    ----------
    images : np.ndarray, shape (n, frames, mels)
    rng : np.random.Generator
    fill : np.ndarray, shape (mels,), or float
        What stands in a stripe: the mean of each band, so that it is 0 once normalised.

    Returns
    -------
    np.ndarray, shape (n, frames, mels)
        A changed copy.
    """
    hidden = np.zeros(images.shape, dtype=bool)
    for axis, size in ((1, images.shape[1]), (2, images.shape[2])):
        for _ in range(MASKS):
            width = rng.integers(0, int(MASK_SHARE * size), size=len(images), endpoint=True)
            start = rng.integers(0, size - width, endpoint=True)
            place = np.arange(size)
            stripe = (place >= start[:, np.newaxis]) & (place < (start + width)[:, np.newaxis])
            hidden |= np.expand_dims(stripe, axis=3 - axis)
    return np.where(hidden, np.asarray(fill, dtype=images.dtype), images)
