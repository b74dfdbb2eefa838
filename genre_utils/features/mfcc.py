"""MFCCs and their slopes, and the onset strength: what follows from a log-mel spectrogram alone."""

import numpy as np

DELTA_FRAMES = 9  # frames over which a slope is fitted


def from_decibels(decibels: np.ndarray, n_mfcc: int = 20, delay: int = 1) -> dict[str, np.ndarray]:
    """MFCCs, their deltas and the onset strength of (mels, frames), decibels or linear in them.

    `delay` is by how many frames a window sees a sound before its middle does.
    """
    import librosa

    mfcc = librosa.feature.mfcc(S=decibels, n_mfcc=n_mfcc)
    rise = np.maximum(0, np.diff(decibels, axis=1)).mean(axis=0)
    return {
        "mfcc": mfcc,
        "mfcc_delta": librosa.feature.delta(mfcc, width=DELTA_FRAMES),
        "mfcc_delta2": librosa.feature.delta(mfcc, width=DELTA_FRAMES, order=2),
        "onset_strength": np.pad(rise, (1 + delay, 0))[np.newaxis, : decibels.shape[1]],
    }
