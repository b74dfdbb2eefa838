"""Decode, mix down, resample and cut: functions on ``(y, sr)``."""

import hashlib
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

SAMPLE_RATE = 22_050  # Hz, of everything this study computes
SILENCE = 1e-4  # full scale; a clip whose loudest sample lies under it (-80 dBFS) is silent
BLOCK = 1 << 16  # samples decoded at a time, so that memory does not grow with the file
ESTIMATE = 0.1  # seconds by which an MP3 that does not say its length may end early


class Examination(NamedTuple):
    """What decoding a whole file showed; `reason` is empty when the file can be used."""

    duration_s: float
    audio_md5: str
    reason: str


def examine(path: str | Path, *, min_seconds: float) -> Examination:
    """Decode a whole file, block by block, and say why it cannot be used, if it cannot.

    Parameters
    ----------
    path : str or Path
        Any file.
    min_seconds : float
        Shortest duration that can be used, in seconds.

    Returns
    -------
    Examination
        Duration in seconds, MD5 of the decoded samples (equal for the same sound in another
        container), and the reason for setting the file aside, in words a person understands.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size == 0:
            return Examination(0.0, "", "empty file (0 bytes)")
        missing = _bytes_missing(path, size)
        with soundfile.SoundFile(path) as sound:
            return _examine_sound(sound, min_seconds, missing)
    except soundfile.LibsndfileError as error:
        return Examination(0.0, "", f"not audio that can be decoded ({error.error_string})")
    except OSError as error:
        return Examination(0.0, "", f"cannot be read ({error.strerror or error})")


def _examine_sound(sound, min_seconds, missing):
    digest, frames, peak, finite = hashlib.md5(), 0, 0.0, True
    damage = ""
    try:
        # not `sound.blocks`, which fills up with stale samples where a file ends early
        while len(block := sound.read(BLOCK, dtype="float32", always_2d=True)):
            digest.update(block.tobytes())
            frames += len(block)
            finite = finite and bool(np.isfinite(block).all())
            peak = max(peak, float(np.abs(block).max(initial=0.0)))
    except soundfile.LibsndfileError as error:
        damage = f" ({error.error_string})"
    seconds = frames / sound.samplerate
    if damage or missing or sound.frames - frames > ESTIMATE * sound.samplerate:
        reason = f"truncated or damaged: decoding ends after {seconds:.1f} s{damage}"
        if missing:
            reason = f"truncated: {missing:,} bytes that its header announces are missing"
    elif frames == 0:
        reason = "empty: a header without any sound"
    elif not finite:
        reason = "holds samples that are not finite numbers"
    elif peak < SILENCE:
        reason = f"silent: its loudest sample is {peak:.0e} of full scale"
    elif seconds < min_seconds:
        reason = f"too short: {seconds:.1f} s, at least {min_seconds:g} s are needed"
    else:
        reason = ""
    return Examination(seconds, digest.hexdigest(), reason)


def _bytes_missing(path, size):
    """Bytes that a RIFF or AIFF header announces beyond the end of the file.

    libsndfile quietly plays what is there; streamed files announce 0 or about the largest number.
    """
    with open(path, "rb") as handle:
        magic, length = handle.read(4), handle.read(4)
    order = {b"RIFF": "little", b"FORM": "big"}.get(magic)
    announced = int.from_bytes(length, order) if order else 0
    return max(0, announced + 8 - size) if 0 < announced < 0x7FFF0000 else 0


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
    """
    import librosa

    with soundfile.SoundFile(path) as sound:
        wanted = min(sound.frames, round(seconds * sound.samplerate))
        sound.seek((sound.frames - wanted) // 2)
        y = sound.read(wanted, dtype="float32", always_2d=True).mean(axis=1)
        native = sound.samplerate
    y = librosa.resample(y, orig_sr=native, target_sr=sr)
    return np.ascontiguousarray(y[: round(seconds * sr)], dtype=np.float32), sr


def encode_mp3(y: np.ndarray, sr: int, *, seconds: float = 10.0) -> bytes:
    """Encode the start of a clip as MP3, at most `seconds` long, scaled to half of full scale."""
    y = y[: round(seconds * sr)]
    buffer = io.BytesIO()
    soundfile.write(
        buffer, 0.5 * y / max(np.abs(y).max(), SILENCE), sr, format="MP3", compression_level=0.7
    )
    return buffer.getvalue()
