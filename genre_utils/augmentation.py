"""Waveform augmentation: changes of a recording that leave its genre what it is."""

import random
from contextlib import contextmanager

import numpy as np

EFFECTS = ("time stretch", "pitch shift", "noise", "equaliser", "low-pass")


def effect(name: str, *, p: float = 1.0):
    """One augmentation of audiomentations, applied with probability `p`.

    Parameters
    ----------
    name : str
        One of `EFFECTS`: tempo by -10 to +10 %, pitch by -2 to +2 semitones, white noise at 15 to
        40 dB signal-to-noise ratio, seven bands by -6 to +6 dB, low-pass at 3 to 8 kHz.
    p : float
    """
    import audiomentations as am

    makers = {
        "time stretch": lambda: am.TimeStretch(0.9, 1.1, leave_length_unchanged=True, p=p),
        "pitch shift": lambda: am.PitchShift(-2.0, 2.0, p=p),
        "noise": lambda: am.AddGaussianSNR(15.0, 40.0, p=p),
        "equaliser": lambda: am.SevenBandParametricEQ(-6.0, 6.0, p=p),
        "low-pass": lambda: am.LowPassFilter(3000.0, 8000.0, p=p),
    }
    return makers[name]()


@contextmanager
def _seeded(seed):
    """Seed the global generators that audiomentations draws from, and give them back as found."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


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
