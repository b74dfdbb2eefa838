"""From a recording to what a model reads: windows of sound, their spectrograms and features."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soxr

from genre_utils.features import audio, decoding, patches

#: What is heard of a recording unless all of it is asked for: seconds of it, in windows evenly
#: spread, and how many patches of each by musicnn. The card tells what that costs.
HEARD_SECONDS, PATCHES = 90.0, 4
LEAST_SECONDS = 1.0  # of music that has to be left at the end of a recording to be heard


class RecognitionError(ValueError):
    """A recording cannot be recognised; the message says why."""


class SilentError(RecognitionError):
    """Nothing can be heard in what was listened to."""


def windows(
    path: str | Path, *, seconds: float, sr: int, at_most: float = math.inf
) -> Iterator[tuple[float, np.ndarray]]:
    """Yield the start in seconds and the mono samples of each window of a recording.

    The last window ends with the recording, as long as the others if that is long enough. Of one
    that is longer than `at_most` seconds, only as many windows as they hold are read, in the middle
    of even parts; then the last that is yielded is empty, at the end of the recording.
    """
    with decoding.opened(path) as sound:
        native, size = sound.samplerate, round(seconds * sound.samplerate)
        end = min(sound.frames, decoding.MAX_SECONDS * native)
        if end <= max(at_most, seconds) * native:
            yield from _all_windows(sound, round(seconds * sr), sr)
            return
        most = max(1, int(at_most / seconds))
        *starts, last = (int((i + 0.5) * end / most - size / 2) for i in range(most))
        tail = _part(sound, last, size, sr)  # the first to be read: a recording may break off
        if whole := len(tail) >= seconds * sr - 1:
            for start in starts:
                yield start / native, _part(sound, start, size, sr)
            yield last / native, tail
            yield end / native, tail[:0]
    if not whole:
        yield from windows(path, seconds=seconds, sr=sr)


def _part(sound, start, size, sr):
    """Mono samples of a part of an open file, resampled; fewer where it ends before."""
    try:
        sound.seek(start)
    except decoding.FOREIGN:
        return np.empty(0, np.float32)
    parts = [np.empty(0, np.float32), *_mono_blocks(sound, size)]
    return soxr.resample(np.concatenate(parts), sound.samplerate, sr, quality="HQ")


def _all_windows(sound, size, sr):
    start, last = 0, None
    rest = np.empty(0, np.float32)
    for block in _resampled(sound, sr):
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


def _resampled(sound, sr):
    """Yield the mean of a recording's channels at another sample rate, block by block."""
    native = sound.samplerate
    stream = soxr.ResampleStream(native, sr, 1, dtype="float32", quality="HQ")
    for mono in _mono_blocks(sound, decoding.MAX_SECONDS * native):
        yield mono if native == sr else stream.resample_chunk(mono)
    if native != sr:
        yield stream.resample_chunk(np.empty(0, np.float32), last=True)


def _mono_blocks(sound, frames):
    for block in decoding.blocks(sound, frames):
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


def inputs(
    y: np.ndarray, recipe: dict, arrays: dict, *, thorough: bool = False
) -> dict[str, np.ndarray]:
    """Describe a window of mono samples as the clips of a model's training corpus were described.

    That is: spectrogram (frames, mels), log_mel (excerpts, frames, mels) and, where the model reads
    them, features (excerpts, columns), embedding (excerpts, 200) and the tags (50,) with it.
    """
    y = np.resize(y, max(len(y), int(np.ceil(recipe["excerpt_seconds"] * recipe["sr"]))))
    whole = y
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
    if "embedding" in recipe["reads"]:
        found |= _by_musicnn(whole, recipe, count, how_many=0 if thorough else PATCHES)
    return found


def _by_musicnn(y, recipe, count, how_many):
    """What musicnn hears in the excerpts of a window, and the tags that it gives to all of it."""
    y = soxr.resample(y, recipe["sr"], patches.SAMPLE_RATE, quality="HQ")
    y = audio.normalise_loudness(y, patches.SAMPLE_RATE, recipe["loudness"])
    power, starts = patches.cut(y, how_many)
    heard = patches.listen(power)
    seconds = recipe["excerpt_frames"] / recipe["frames_per_second"]
    share = patches.shares(count, seconds, starts)
    return {"embedding": share @ heard["embedding"], "tags": heard["tags"].mean(axis=0)}


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
