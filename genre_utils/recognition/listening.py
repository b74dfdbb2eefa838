"""From a recording to what a model reads: windows of sound, their spectrograms and features."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soxr

from genre_utils.features import audio, decoding

LEAST_SECONDS = 1.0  # of music that has to be left at the end of a recording to be heard


class RecognitionError(ValueError):
    """A recording cannot be recognised; the message says why."""


def windows(path: str | Path, *, seconds: float, sr: int) -> Iterator[tuple[float, np.ndarray]]:
    """Yield the start in seconds and the mono samples of each window of a recording.

    The last window ends with the recording, as long as the others if that is long enough.
    """
    size, start, last = round(seconds * sr), 0, None
    rest = np.empty(0, np.float32)
    for block in _resampled(path, sr):
        rest = np.concatenate([rest, block])
        while len(rest) >= size:
            last, rest = rest[:size], rest[size:]
            yield start / sr, last
            start += size
    if last is None and 0 < len(rest) < LEAST_SECONDS * sr:
        least = f"at least {LEAST_SECONDS:g} s is needed to hear a genre"
        raise RecognitionError(f"too short: {len(rest) / sr:.2f} s, {least}")
    if last is None and len(rest):
        yield 0.0, rest
    elif last is not None and len(rest) >= LEAST_SECONDS * sr:
        yield (start - size + len(rest)) / sr, np.concatenate([last[len(rest) :], rest])


def _resampled(path, sr):
    """Yield the mean of a recording's channels at another sample rate, block by block."""
    with decoding.opened(path) as sound:
        native = sound.samplerate
        stream = soxr.ResampleStream(native, sr, 1, dtype="float32", quality="HQ")
        for mono in _mono_blocks(sound):
            yield mono if native == sr else stream.resample_chunk(mono)
        if native != sr:
            yield stream.resample_chunk(np.empty(0, np.float32), last=True)


def _mono_blocks(sound):
    for block in decoding.blocks(sound, decoding.MAX_SECONDS * sound.samplerate):
        peak = np.abs(block).max()
        if not np.isfinite(peak):
            raise RecognitionError("it holds samples that are not finite numbers")
        if peak > decoding.LOUDEST:
            raise RecognitionError(f"its loudest sample is {peak:.0e} times full scale: no music")
        yield decoding.mono(block)


def truncation_warnings(path: str | Path, heard: float) -> list[str]:
    """Warn if a recording announces more than the seconds `heard`, as a broken-off download.

    Only of what libsndfile decodes: what ffmpeg decodes is then refused (see `decoding.opened`).
    """
    path = decoding.on_disk(path)
    try:
        with decoding.sound_file(path) as about:
            announced = about.frames / about.samplerate
            known = decoding.says_its_length(path, about.format)
    except decoding.UndecodableError:
        return []
    if missing := decoding.bytes_missing(path):
        return [f"It ends after {heard:.1f} s: {missing:,} bytes that it announces are missing."]
    known = known and about.frames < decoding.UNKNOWN_FRAMES
    if not known or min(announced, decoding.MAX_SECONDS) - heard < 2 * LEAST_SECONDS:
        return []
    return [f"It announces {announced:.1f} s and ends after {heard:.1f} s: the rest is missing."]


def inputs(y: np.ndarray, recipe: dict, arrays: dict) -> dict[str, np.ndarray]:
    """Describe a window of mono samples as the clips of a model's training corpus were described.

    That is: spectrogram (frames, mels), log_mel (excerpts, frames, mels) and, where the model reads
    them, features (excerpts, columns).
    """
    y = np.resize(y, max(len(y), int(np.ceil(recipe["excerpt_seconds"] * recipe["sr"]))))
    if recipe["kind"] == "study":
        from genre_utils.features import extraction, recipes

        own = recipes.Recipe(**{key: recipe[key] for key in recipes.Recipe.__dataclass_fields__})
        y = audio.normalise_loudness(np.ascontiguousarray(y), own.sr, own.loudness)
        families = extraction.frame_features(y, own, recipe["families"])
    else:
        share = min(1.0, len(y) / recipe["sr"] / recipe["clip_seconds"])
        image = audio.store_image(y, arrays["mel_bank"], round(recipe["frames"] * share))
        families = _store_families(image, recipe)
    spectrogram, length = families["log_mel"].T, recipe["excerpt_frames"]
    count = len(spectrogram) // length
    excerpts = spectrogram[: count * length].reshape(count, length, spectrogram.shape[1])
    found = {"spectrogram": spectrogram, "log_mel": excerpts}
    if "features" in recipe["reads"]:
        from genre_utils.features import summarising

        found["features"] = summarising.summarise(families, length)
    return found


def _store_families(log_mel, recipe):
    """Feature groups of a store, as `mfcc.from_decibels` has them, without librosa."""
    families = {"log_mel": log_mel}
    if "features" not in recipe["reads"]:
        return families
    import scipy.fft

    from genre_utils.features import mfcc, modulation

    coefficients = scipy.fft.dct(log_mel, axis=0, norm="ortho")[:20]
    rise = np.maximum(0, np.diff(log_mel, axis=1)).mean(axis=0)
    return families | {
        "mfcc": coefficients,
        "mfcc_delta": _derivative(coefficients, 1, mfcc.DELTA_FRAMES),
        "mfcc_delta2": _derivative(coefficients, 2, mfcc.DELTA_FRAMES),
        "onset_strength": np.pad(rise, (2, 0))[np.newaxis, : log_mel.shape[1]],
        "modulation": modulation.strength(log_mel, recipe["frames_per_second"]),
    }


def _derivative(rows, order, length):
    """``scipy.signal.savgol_filter(rows, length, order, deriv=order)``, which loads too slowly."""
    place = np.arange(length) - length // 2
    weights = math.factorial(order) * np.linalg.pinv(np.vander(place, order + 1))[0]
    inside = np.lib.stride_tricks.sliding_window_view(rows, length, axis=1) @ weights
    return np.pad(inside, ((0, 0), (length // 2, length // 2)), mode="edge")
