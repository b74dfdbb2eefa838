"""A clip: the middle of a recording as mono samples ``(y, sr)``, its loudness and its image."""

from pathlib import Path

import numpy as np

from genre_utils.features import decoding

SAMPLE_RATE = 22_050  #: Hz, of everything this study computes
LOUDNESS_TARGETS = {"none": np.nan, "rms": -20.0, "ebu": -23.0}  # dB of full scale; LUFS
RANGE_DB, LEVELS = 80.0, 256  # of the spectrograms of gtzan_mel80; levels are of a track


def load_clip(path: str | Path, *, seconds: float, sr: int = SAMPLE_RATE) -> tuple[np.ndarray, int]:
    """Load the middle of a recording as mono (where that is silent: see `decoding.passage`).

    Parameters
    ----------
    path : str or Path
        A usable sound file, of any sample rate and channel count.
    seconds : float
        Longest duration to return; a shorter file is returned whole.
    sr : int
        Sample rate of the result in Hz.

    Returns
    -------
    y : np.ndarray, shape (n,), float32
        Mean of the channels, or the loudest of such as cancel one another out.
    sr : int
        Its sample rate in Hz.

    Raises
    ------
    UndecodableError
        If the file cannot be decoded.
    """
    import librosa

    with decoding.opened(path, clip_seconds=seconds) as sound:
        y, native = decoding.passage(sound, seconds), sound.samplerate
    if decoding.audible_seconds(y, native) < len(y) / native / 2:  # of long ones, the middle only
        with decoding.opened(path) as sound:
            y = decoding.passage(sound, seconds)
    y = librosa.resample(y, orig_sr=native, target_sr=sr)
    return np.ascontiguousarray(y[: round(seconds * sr)], dtype=np.float32), sr


def loudness(y: np.ndarray, sr: int) -> float:
    """Integrated loudness after EBU R128 (ITU-R BS.1770-4).

    Parameters
    ----------
    y : np.ndarray, shape (n,)
        A clip; one of less than 0.4 s, which the standard measures at a time, is repeated.
    sr : int
        Sample rate in Hz.

    Returns
    -------
    float
        In LUFS; minus infinity for what lies under the standard's gate of -70 LUFS.
    """
    import pyloudnorm

    if not y.any():
        return -np.inf
    meter = pyloudnorm.Meter(sr)
    shortest = round(meter.block_size * sr) + 1
    with np.errstate(divide="ignore"):
        return float(meter.integrated_loudness(np.resize(y, max(len(y), shortest))))


def normalise_loudness(y: np.ndarray, sr: int, how: str) -> np.ndarray:
    """Scale a clip to one loudness, so that how loud it was mastered tells nothing.

    Parameters
    ----------
    y : np.ndarray, shape (n,), float32
        A clip.
    sr : int
        Sample rate in Hz.
    how : {"none", "rms", "ebu"}
        As it is, root mean square to -20 dB of full scale, or integrated loudness to -23 LUFS
        (EBU R128). Nothing is clipped: samples may exceed full scale.

    Returns
    -------
    np.ndarray, shape (n,), float32
        Silence is returned as it is.

    Raises
    ------
    ValueError
        If `how` is none of these.

    Examples
    --------
    >>> print(normalise_loudness(np.array([1.0, -1.0]), SAMPLE_RATE, "rms"))
    [ 0.1 -0.1]
    """
    if how not in LOUDNESS_TARGETS:
        raise ValueError(f"LOUDNESS is {how!r}; choose one of {', '.join(LOUDNESS_TARGETS)}.")
    if how == "none" or not y.any():
        return y
    power = np.mean(np.square(y, dtype=np.float64))
    level = 10 * np.log10(power) if how == "rms" else loudness(y, sr)
    gain = 10 ** ((LOUDNESS_TARGETS[how] - level) / 20) if np.isfinite(level) else 1.0
    return (y * gain).astype(np.float32)


def store_image(y: np.ndarray, bank: np.ndarray, columns: int) -> np.ndarray:
    """Log-mel spectrogram of a clip, (mels, columns), made as those of `gtzan_mel80` are.

    They are ``librosa.feature.melspectrogram(y=y, sr=22050, n_mels=128)`` in decibels, 80 of them
    under the loudest point, of which 387 of the frames of 30 s were kept, and of each track's own
    range 256 levels. It is computed without librosa, which loads slowly; `bank` is the mel filter
    bank, (mels, 1025).
    """
    import scipy.fft

    frames = np.lib.stride_tricks.sliding_window_view(np.pad(y, 1024), 2048)[::512]
    power = np.empty((len(frames), len(bank)), np.float32)
    window = np.sin(np.pi * np.arange(2048) / 2048).astype(np.float32) ** 2  # Hann
    for begin in range(0, len(frames), 64):  # few enough to stay in a core's own cache
        spectrum = scipy.fft.rfft(frames[begin : begin + 64] * window, axis=1)
        power[begin : begin + 64] = (spectrum.real**2 + spectrum.imag**2) @ bank.T
    level = 10 * np.log10(np.maximum(power, 1e-10))
    level -= level.max()
    span = min(RANGE_DB, -level.min()) or 1.0
    place = (np.arange(columns) + 0.5) * len(level) / (columns + 0.5)
    steps = np.floor((level[place.astype(int)].T / span + 1) * LEVELS).clip(0, LEVELS - 1) + 0.5
    spectrogram = 1 + (steps / LEVELS - 1) * span / RANGE_DB
    return spectrogram.astype(np.float16).astype(np.float32)
