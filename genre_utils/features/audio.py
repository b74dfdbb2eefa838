"""TODO features.audio."""

import io
from pathlib import Path

import numpy as np
import soundfile

from genre_utils.features import decoding

SAMPLE_RATE = 22_050  # Hz, of everything this study computes
LOUDNESS_TARGETS = {"none": None, "rms": -20.0, "ebu": -23.0}  # dB of full scale; LUFS


def load_clip(path: str | Path, *, seconds: float, sr: int = SAMPLE_RATE):
    """Load the middle `seconds` of a file as mono.

    Parameters
    ----------
    path : str or Path
        A file that `examine` found usable, of any sample rate and channel count.
    seconds : float
        Longest duration to return; a shorter file is returned whole.
    sr : int
        Sample rate of the result in Hz.

    Returns
    -------
    y : np.ndarray, shape (n,), float32
        Mean of the channels.
    sr : int
        Its sample rate in Hz.

    Raises
    ------
    UndecodableError
        If the file cannot be decoded.
    """
    import librosa

    with decoding.opened(path, clip_seconds=seconds) as sound:
        wanted = min(sound.frames, round(seconds * sound.samplerate))
        sound.seek((sound.frames - wanted) // 2)
        blocks = [block.mean(axis=1) for block in decoding.blocks(sound, wanted)]
        native = sound.samplerate
    y = np.concatenate([np.empty(0, np.float32), *blocks])
    y = librosa.resample(y, orig_sr=native, target_sr=sr)
    return np.ascontiguousarray(y[: round(seconds * sr)], dtype=np.float32), sr


def encode_mp3(y: np.ndarray, sr: int, *, seconds: float = 10.0) -> bytes:
    """Encode the start of a clip as MP3, at most `seconds` long, scaled to half of full scale."""
    y = y[: round(seconds * sr)]
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        0.5 * y / max(np.abs(y).max(), decoding.SILENCE),
        sr,
        format="MP3",
        compression_level=0.7,
    )
    return buffer.getvalue()


def loudness(y: np.ndarray, sr: int) -> float:
    """Integrated loudness after EBU R128 (ITU-R BS.1770-4), in LUFS.

    A clip shorter than the 0.4 s that the standard measures at a time is repeated until it is as
    long. Silence, and what lies under the standard's gate of -70 LUFS, gives minus infinity.

    Parameters
    ----------
    y : np.ndarray, shape (n,)
    sr : int
        Sample rate in Hz.
    """
    import pyloudnorm

    meter = pyloudnorm.Meter(sr)
    if not y.any():
        return -np.inf
    shortest = round(meter.block_size * sr) + 1
    with np.errstate(divide="ignore"):
        return float(meter.integrated_loudness(np.resize(y, max(len(y), shortest))))


def normalise_loudness(y: np.ndarray, sr: int, how: str) -> np.ndarray:
    """Scale a clip to one loudness, so that how loud it was mastered tells nothing.

    Parameters
    ----------
    y : np.ndarray, shape (n,), float32
    sr : int
        Sample rate in Hz.
    how : {"none", "rms", "ebu"}
        Leave as it is; root mean square to -20 dB of full scale; or integrated loudness to
        -23 LUFS, the level of EBU R128. Nothing is clipped: samples may exceed full scale.

    Returns
    -------
    np.ndarray, shape (n,), float32
        Silence is returned as it is, for there is nothing to scale.
    """
    if how not in LOUDNESS_TARGETS:
        raise ValueError(f"LOUDNESS is {how!r}; choose one of {', '.join(LOUDNESS_TARGETS)}.")
    if how == "none" or not y.any():
        return y
    if how == "rms":
        level = 10 * np.log10(np.mean(np.square(y, dtype=np.float64)))
    else:
        level = loudness(y, sr)
    gain = 10 ** ((LOUDNESS_TARGETS[how] - level) / 20) if np.isfinite(level) else 1.0
    return (y * gain).astype(np.float32)
