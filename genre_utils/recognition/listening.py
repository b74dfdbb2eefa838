"""TODO recognition.listening."""

import math
import os
from pathlib import Path

import numpy as np

from genre_utils.features import audio, decoding

FLOOR_DB, LEVELS = 40.0, 255  # range and steps of grey of the pictures in the store gtzan_mel
LEAST_SECONDS = 1.0  # of music that has to be left at the end of a recording to be heard


class RecognitionError(ValueError):
    """A recording cannot be recognised; the message says why."""


def spectrum_statistics(log_mel: np.ndarray) -> np.ndarray:
    """Describe a clip by each mel band's mean, deviation and mean change from frame to frame.

    Parameters
    ----------
    log_mel : np.ndarray, shape (frames, mels)
        Of at least two frames.

    Returns
    -------
    np.ndarray, shape (3 * mels,), float32
    """
    image = np.asarray(log_mel, dtype=np.float32)
    change = np.abs(np.diff(image, axis=0)).mean(axis=0)
    return np.concatenate([image.mean(axis=0), image.std(axis=0), change])


def distance(sounds: dict, statistics: np.ndarray) -> np.ndarray:
    """Distance of clips from the nearest of the typical sounds of a corpus.

    Parameters
    ----------
    sounds : dict of np.ndarray
        typical_mean and typical_scale (columns,), typical (centres, columns).
    statistics : np.ndarray, shape (clips, columns)
        From `spectrum_statistics`.

    Returns
    -------
    np.ndarray, shape (clips,)
        Root mean square over the columns, in standard deviations of the corpus.
    """
    standard = (statistics - sounds["typical_mean"]) / sounds["typical_scale"]
    apart = standard[:, np.newaxis] - sounds["typical"]
    return np.sqrt(np.square(apart).mean(axis=2).min(axis=1))


# ---------------------------------------------------------------------------- sound to input


def windows(path: str | Path, *, seconds: float, sr: int):
    """Yield a recording in windows, mono at one rate, whatever its own rate and channels.

    The last window ends with the recording, so that it is as long as the others and overlaps the
    one before it. A recording shorter than a window is one, as long as it is.

    Parameters
    ----------
    path : str or Path
        Any file that libsndfile or ffmpeg decodes.
    seconds : float
        Length of a window.
    sr : int
        Sample rate to bring it to, in Hz.

    Yields
    ------
    start : float
        In seconds.
    y : np.ndarray, shape (n,), float32

    Raises
    ------
    RecognitionError
        If the file ends in damage, holds no music, or samples that are no sound.
    audio.UndecodableError, OSError
        If it cannot be decoded, or read.
    """
    size, start, rest, last = round(seconds * sr), 0, np.empty(0, np.float32), None
    for block in _resampled(path, sr):
        rest = np.concatenate([rest, block])
        while len(rest) >= size:
            last, rest = rest[:size], rest[size:]
            yield start / sr, last
            start += size
    if last is None and len(rest):
        yield 0.0, rest
    elif last is not None and len(rest) >= LEAST_SECONDS * sr:
        yield (start - size + len(rest)) / sr, np.concatenate([last[len(rest) :], rest])


def _resampled(path, sr):
    """Yield the mean of a recording's channels at another sample rate, block by block."""
    import soundfile
    import soxr

    with decoding.opened(path) as sound:
        native, left = sound.samplerate, decoding.MAX_SECONDS * sound.samplerate
        if (
            not decoding.RATES[0] <= native <= decoding.RATES[1]
            or sound.channels > decoding.MAX_CHANNELS
        ):
            raise RecognitionError(
                f"its header announces {sound.channels} channels and {native:,} samples a second"
            )
        stream = soxr.ResampleStream(native, sr, 1, dtype="float32", quality="HQ")
        length = max(1, decoding.BLOCK // sound.channels)
        while left > 0:
            try:
                block = sound.read(min(length, left), dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise RecognitionError(f"damaged: {error.error_string}") from error
            if not len(block):
                break
            left -= len(block)
            peak = np.abs(block).max()
            if not peak <= decoding.LOUDEST:  # NaN as well
                raise RecognitionError("it holds samples that are no sound (infinite or no number)")
            mono = block.mean(axis=1)
            yield mono if native == sr else stream.resample_chunk(mono)
        if native != sr:
            yield stream.resample_chunk(np.empty(0, np.float32), last=True)


def hear(y: np.ndarray, recipe: dict, arrays: dict) -> dict:
    """Describe a window as the clips of the training corpus were described.

    Parameters
    ----------
    y : np.ndarray, shape (n,), float32
        Mono samples at ``recipe["sr"]``; repeated if shorter than an excerpt.
    recipe : dict
        From the sidecar of a model.
    arrays : dict of np.ndarray
        Of the model.

    Returns
    -------
    dict of np.ndarray
        image (frames, mels), log_mel (excerpts, frames, mels) and, where the model reads them,
        features (excerpts, columns).
    """
    y = np.resize(y, max(len(y), int(np.ceil(recipe["excerpt_seconds"] * recipe["sr"]))))
    if recipe["kind"] == "study":
        families = _study_families(y, recipe)
    else:
        families = _store_families(store_image(y, recipe, arrays["mel_bank"]), recipe)
    image, length = families["log_mel"].T, recipe["excerpt_frames"]
    count = len(image) // length
    heard = {"image": image}
    heard["log_mel"] = image[: count * length].reshape(count, length, image.shape[1])
    if "features" in recipe["reads"]:
        from genre_utils.features import summarising

        heard["features"] = summarising.summarise(families, length)
    return heard


def _study_families(y, recipe):
    """Families of features of a study with recordings (see `spectral.Recipe`)."""
    from genre_utils.features import spectral

    known = spectral.Recipe.__dataclass_fields__
    own = spectral.Recipe(**{key: recipe[key] for key in known})
    y = audio.normalise_loudness(np.ascontiguousarray(y), own.sr, own.loudness)
    return spectral.frame_features(y, own, recipe["families"])


def store_image(y: np.ndarray, recipe: dict, bank: np.ndarray) -> np.ndarray:
    """Log-mel spectrogram as `transfer.as_in_store` makes it, without librosa, which loads slowly.

    Parameters
    ----------
    y : np.ndarray, shape (n,)
        Of the length of a clip, or shorter: then there are fewer columns.
    recipe : dict
    bank : np.ndarray, shape (mels, 1025)
        Weights of each frequency in each mel band.

    Returns
    -------
    np.ndarray, shape (mels, columns), float32
    """
    import scipy.fft

    frames = np.lib.stride_tricks.sliding_window_view(y, 2048)[::1024]
    power = np.empty((len(frames), len(bank)), np.float32)
    window = np.sin(np.pi * np.arange(2048) / 2048, dtype=np.float32) ** 2  # Hann
    for begin in range(0, len(frames), 64):  # few enough to stay in a core's own cache
        spectrum = scipy.fft.rfft(frames[begin : begin + 64] * window, axis=1)
        power[begin : begin + 64] = (spectrum.real**2 + spectrum.imag**2) @ bank.T
    level = 10 * np.log10(np.maximum(power, 1e-10))
    level = np.maximum((level - level.max()) / FLOOR_DB + 1, 0)
    seconds = recipe["clip_seconds"]
    columns = round(recipe["frames"] * min(1.0, len(y) / recipe["sr"] / seconds))
    place = np.minimum((np.arange(columns) + 1.5) * len(level) / columns, len(level) - 1)
    picture = np.round(level[place.astype(int)].T * LEVELS) / LEVELS
    return picture.astype(np.float16).astype(np.float32)


def derivative(rows: np.ndarray, order: int, length: int) -> np.ndarray:
    """Derivative of the polynomial of that order fitted to each stretch of a row.

    It is ``scipy.signal.savgol_filter(rows, length, order, deriv=order)``, whose import alone would
    take longer than the recognition of a clip; of the highest order it is constant at the ends.

    Parameters
    ----------
    rows : np.ndarray, shape (rows, n)
    order, length : int

    Returns
    -------
    np.ndarray, shape (rows, n)
    """
    place = np.arange(length) - length // 2
    weights = math.factorial(order) * np.linalg.pinv(np.vander(place, order + 1))[0]
    inside = np.lib.stride_tricks.sliding_window_view(rows, length, axis=1) @ weights
    return np.pad(inside, ((0, 0), (length // 2, length // 2)), mode="edge")


def _store_families(image, recipe):
    """Families of features of a store, as `spectral.from_decibels` has them, without librosa."""
    families = {"log_mel": image}
    if "features" not in recipe["reads"]:
        return families
    import scipy.fft

    from genre_utils.features import musical, spectral

    mfcc = scipy.fft.dct(image, axis=0, norm="ortho")[:20]
    rise = np.maximum(0, np.diff(image, axis=1)).mean(axis=0)
    return families | {
        "mfcc": mfcc,
        "mfcc_delta": derivative(mfcc, 1, spectral.ROLLING_DELTA),
        "mfcc_delta2": derivative(mfcc, 2, spectral.ROLLING_DELTA),
        "onset_strength": np.pad(rise, (2, 0))[np.newaxis, : image.shape[1]],
        "modulation": musical.modulation(image, recipe["frames_per_second"]),
    }


def ends_early(path: str | Path, heard: float) -> list[str]:
    """Warning where a recording holds less sound than it announces, as a broken-off download.

    Only of what libsndfile decodes: what ffmpeg decodes is then refused (see `decoding.opened`).

    Parameters
    ----------
    path : str or Path
    heard : float
        Seconds that were decoded.

    Returns
    -------
    list of str
        One warning, or none.
    """
    import soundfile

    path = decoding.on_disk(path)
    try:
        about = soundfile.info(os.fsencode(path))
    except soundfile.LibsndfileError:
        return []
    if missing := decoding.bytes_missing(path):
        return [f"It ends after {heard:.1f} s: {missing:,} bytes that it announces are missing."]
    known = about.frames < decoding.UNKNOWN_FRAMES and decoding.says_its_length(path, about.format)
    announced = about.duration if known else 0
    if min(announced, decoding.MAX_SECONDS) - heard < 2 * LEAST_SECONDS:
        return []
    return [f"It announces {announced:.1f} s and ends after {heard:.1f} s: the rest is missing."]
