"""Rhythm, key and mood, and harmonic share: what musicians speak of."""

import numpy as np
import scipy.fft

from genre_utils.features.recipes import AMIN, TOP_DB

TEMPO_SECONDS = 8.0  # of music that a tempo is estimated from
KEY_SECONDS = 3.0  # of music that a key is estimated from
HOP, FRAME = 256, 1024  # samples, of the spectrum that `tempo` reads
SLOWEST, FASTEST, USUAL = 40.0, 240.0, 120.0  # beats per minute
MEDIAN = 31  # frames, and bins, over which music is split into harmonic and percussive

#: Probe-tone ratings of the twelve pitch classes in C major and C minor.
KRUMHANSL_KESSLER = np.array([
    [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88],
    [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17],
])  # fmt: skip


def rhythm(onset_strength, recipe):
    """Tempogram, and the tempo and its regularity that are read from it."""
    import librosa

    length = int(TEMPO_SECONDS * recipe.sr) // recipe.hop_length
    padded = np.pad(onset_strength, length // 2, mode="linear_ramp").astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[: len(onset_strength)]
    size = scipy.fft.next_fast_len(2 * length - 1, real=True)
    windowed = (frames * np.hanning(length + 1)[:-1]).astype(np.float32)  # periodic
    spectrum = scipy.fft.rfft(windowed, size, axis=1)
    values = scipy.fft.irfft(spectrum.real**2 + spectrum.imag**2, size, axis=1)[:, :length]
    highest = np.abs(values).max(axis=1, keepdims=True)
    tempogram = (values / np.where(highest > np.finfo(np.float32).tiny, highest, 1)).T
    hop = {"sr": recipe.sr, "hop_length": recipe.hop_length}
    tempo = librosa.feature.tempo(tg=tempogram, aggregate=None, **hop)
    lag = np.rint(60 * recipe.frames_per_second / tempo).astype(int)
    shortest, longest = (round(60 * recipe.frames_per_second / bpm) for bpm in (320, 30))
    mean = tempogram[shortest : longest + 1].mean(axis=0)
    regularity = tempogram[lag, np.arange(len(lag))] - mean
    return {"tempogram": tempogram, "tempo": tempo, "beat_regularity": regularity}


def semantic(chroma, energy, centroid, recipe):
    """What a listener might say: how clear the key is, major or minor, how dynamic, how lively."""
    import scipy.ndimage

    length = round(KEY_SECONDS * recipe.frames_per_second)
    smooth = scipy.ndimage.uniform_filter1d(chroma, length, axis=1, mode="nearest")
    smooth = smooth - smooth.mean(axis=0)
    deviation = smooth.std(axis=0)
    profiles = np.stack([np.roll(KRUMHANSL_KESSLER, tonic, axis=1) for tonic in range(12)], axis=1)
    profiles = profiles - profiles.mean(axis=2, keepdims=True)  # modes, tonics, pitch classes
    profiles = profiles / profiles.std(axis=2, keepdims=True)
    correlation = profiles @ smooth / np.where(deviation > 0, 12 * deviation, 1)
    major, minor = correlation.max(axis=1)
    loudness = energy / max(energy.mean(), AMIN)
    return {
        "key_clarity": np.maximum(major, minor),
        "mode": major - minor,
        "dynamics": 10 * np.log10(np.maximum(loudness, 10 ** (-TOP_DB / 10))),
        "arousal": loudness**0.3 * centroid / (recipe.sr / 2),
    }


def harmonic_share(magnitude):
    """Share of the energy that a median filter over time keeps, and one over frequency does not."""
    harmonic = np.square(_running_median(magnitude))
    percussive = np.square(_running_median(magnitude.T).T)
    either = harmonic + percussive
    mask = np.divide(harmonic, either, out=np.full_like(either, 0.5), where=either > 0)
    sustained, rest = (np.square(magnitude * m).sum(axis=0) for m in (mask, 1 - mask))
    total = sustained + rest
    return sustained / np.where(total > 0, total, 1)


def _running_median(values):
    """Median over `MEDIAN` neighbours in each row, mirrored at its ends."""
    import scipy.ndimage

    # SciPy's filter is many times faster on one long row than on a matrix
    padded = np.pad(values, ((0, 0), (MEDIAN // 2, MEDIAN // 2)), mode="symmetric")
    filtered = scipy.ndimage.median_filter(padded.ravel(), MEDIAN).reshape(padded.shape)
    return filtered[:, MEDIAN // 2 : -(MEDIAN // 2)]


def tempo(y, sr):
    """Beats per minute (Ellis 2007, J. New Music Research 36); NaN if too short or nothing repeats.

    The period at which the rise of the spectrum repeats itself most, weighted by how usual it is.
    """
    lags = np.arange(int(60 * sr / HOP / FASTEST), int(60 * sr / HOP / SLOWEST) + 1)
    if len(y) < FRAME + 2 * HOP * lags[-1]:
        return float("nan")
    frames = np.lib.stride_tricks.sliding_window_view(y, FRAME)[::HOP]
    level = np.log1p(100 * np.abs(scipy.fft.rfft(frames * np.hanning(FRAME), axis=1)))
    rise = np.maximum(0, np.diff(level, axis=0)).mean(axis=1)
    rise = np.convolve(rise - rise.mean(), np.hanning(9), "same")  # beats fall between frames
    power = np.abs(scipy.fft.rfft(rise, scipy.fft.next_fast_len(2 * len(rise)))) ** 2
    repeats = scipy.fft.irfft(power)[lags] / (len(rise) - lags)
    if repeats.max() <= 0:
        return float("nan")
    rates = 60 * sr / HOP / lags
    return float(rates[np.argmax(repeats * np.exp(-0.5 * np.log2(rates / USUAL) ** 2))])
