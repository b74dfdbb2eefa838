"""The pass over a clip's spectrum that its STFT, mel bands, chroma and spectral shape share."""

import itertools
from functools import lru_cache

import numpy as np
import scipy.fft

from genre_utils.features.recipes import AMIN

ROLLOFF = 0.85  # share of the magnitude that lies below the roll-off frequency
CONTRAST_EDGES = (0.0, 200.0, 400.0, 800.0, 1600.0, 3200.0, 6400.0, np.inf)  #: Hz, of its octaves
CONTRAST_QUANTILE = 0.02  # share of a band's bins that its peak and its valley are averaged over
SHORTEST_PERIOD, LONGEST_PERIOD = 0.002, 0.025  # seconds: 500 to 40 Hz; at most half a frame
BLOCK = 64  # frames computed at a time: few enough to stay in a core's own cache


def one_pass(y, recipe):
    """Everything that one frame decides, a few frames at a time, so that nothing leaves the cache.

    All is float32 but the transform, whose rounding would else fill the valleys of contrast.
    """
    import librosa

    bank = _filterbank(recipe)
    padded = np.pad(y, recipe.n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, recipe.n_fft)[:: recipe.hop_length]
    magnitude = np.empty((len(frames), recipe.n_fft // 2 + 1), np.float32)
    bands = np.empty((len(frames), bank.shape[1]), np.float32)
    join, parts = _compiled(_join_halves), []
    for start in range(0, len(frames), BLOCK):
        rows = slice(start, start + BLOCK)
        power = np.empty_like(magnitude[rows])
        correlated = np.empty_like(power, np.complex64)
        join(*_spectra_of_halves(frames[rows], recipe.hop_length), power, correlated)
        np.sqrt(power, out=magnitude[rows])
        np.matmul(power, bank, out=bands[rows])
        parts.append(
            _moments(magnitude[rows], power, recipe)
            | _contrast(magnitude[rows], recipe)
            | _autocorrelation(correlated, recipe)
        )
    computed = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    peak, valley = computed.pop("peak"), computed.pop("valley")
    computed["spectral_contrast"] = librosa.power_to_db(peak) - librosa.power_to_db(valley)
    chroma = bands[:, recipe.n_mels :]
    strongest = chroma.max(axis=1, keepdims=True)
    computed["chroma"] = chroma / np.where(strongest > np.finfo(np.float32).tiny, strongest, 1)
    computed |= {"mel": bands[:, : recipe.n_mels], "stft_magnitude": magnitude}
    computed["zero_crossing_rate"] = _zero_crossing_rate(y, recipe)
    return {name: values.T for name, values in computed.items()}


def _spectra_of_halves(frames, hop_length):
    """Spectra of the first and the second half of each frame, at the frequencies of a whole one."""
    rows, n_fft = frames.shape
    half = n_fft // 2
    shared = hop_length == half  # the second half of a frame is the first half of the next
    padded = np.zeros((rows + 1 if shared else 2 * rows, n_fft))
    padded[:rows, :half] = frames[:, :half]
    padded[rows:, :half] = frames[-1 if shared else 0 :, half:]
    spectra = scipy.fft.rfft(padded, axis=1, overwrite_x=True)
    return spectra[:rows], spectra[-rows:]


def _join_halves(first, second, power, correlated):
    """Write `power` of each windowed frame, and spectrum of its autocorrelation, from its halves.

    A delay by half a frame turns the sign of every other frequency; Hann's window weighs each with
    its neighbours: -1/4, 1/2, -1/4. The autocorrelation is that of the halves and of one with the
    other. All are (frames, bins).
    """
    rows, bins = power.shape
    real, imag = np.empty(bins + 2), np.empty(bins + 2)  # of a frame, with a neighbour at each end
    for row in range(rows):
        for k in range(bins):
            a, b = first[row, k], second[row, k] * (1 - 2 * (k % 2))
            real[k + 1], imag[k + 1] = a.real + b.real, a.imag + b.imag
            of_each = a.real**2 + a.imag**2 + b.real**2 + b.imag**2
            correlated[row, k] = of_each + a.conjugate() * b
        real[0], imag[0], real[-1], imag[-1] = real[2], -imag[2], real[-3], -imag[-3]
        for k in range(bins):
            x = np.float32(real[k + 1] / 2 - (real[k] + real[k + 2]) / 4)
            y = np.float32(imag[k + 1] / 2 - (imag[k] + imag[k + 2]) / 4)
            power[row, k] = x * x + y * y


@lru_cache
def _compiled(function):
    """A function, compiled; Numba takes a second to load, which other commands can do without."""
    import numba

    return numba.njit(cache=True, fastmath={"contract"})(function)


@lru_cache(maxsize=8)
def _frequencies(recipe):
    return np.fft.rfftfreq(recipe.n_fft, 1 / recipe.sr).astype(np.float32)


@lru_cache(maxsize=8)
def _filterbank(recipe):
    """Weights of each frequency in each mel band, then in each pitch class, side by side."""
    import librosa

    mel = librosa.filters.mel(sr=recipe.sr, n_fft=recipe.n_fft, n_mels=recipe.n_mels)
    chroma = librosa.filters.chroma(sr=recipe.sr, n_fft=recipe.n_fft, tuning=0.0)
    return np.ascontiguousarray(np.concatenate([mel, chroma]).T, dtype=np.float32)


def _moments(magnitude, power, recipe):
    """Mean, variance, centroid, bandwidth, roll-off and flatness of each row of a spectrum."""
    frequencies = _frequencies(recipe)
    total, first, second = (magnitude @ _powers(recipe)).T
    divisor = np.where(total > 0, total, 1)
    centroid = first / divisor  # in units of the Nyquist frequency
    spread = np.maximum(second / divisor - centroid**2, 0)
    mean = total / magnitude.shape[1]
    heard = np.maximum(power, AMIN)
    return {
        "spectral_mean": mean,
        "spectral_variance": np.maximum(power.mean(axis=1) - mean**2, 0),
        "spectral_centroid": centroid * frequencies[-1],
        "spectral_bandwidth": np.sqrt(spread) * frequencies[-1],
        "spectral_rolloff": frequencies[_compiled(_rolloff_bins)(magnitude, np.float32(ROLLOFF))],
        "spectral_flatness": np.exp(np.log(heard).mean(axis=1)) / heard.mean(axis=1),
    }


@lru_cache(maxsize=8)
def _powers(recipe):
    """Zeroth, first and second power of each frequency, relative to the Nyquist frequency."""
    relative = _frequencies(recipe) / _frequencies(recipe)[-1]
    return np.stack([np.ones_like(relative), relative, relative**2], axis=1)


def _rolloff_bins(magnitude, share):
    """First bin up to which a row holds that share of its sum, added up as librosa does."""
    bins = np.empty(len(magnitude), np.int64)
    below = np.empty_like(magnitude[0])
    for row in range(len(magnitude)):
        total = np.float32(0)
        for k, value in enumerate(magnitude[row]):
            total += value
            below[k] = total
        bins[row] = np.searchsorted(below, share * total)
    return bins


@lru_cache(maxsize=8)
def _octaves(recipe):
    """Bins of each octave, and weights that average the lowest, then the highest, once sorted."""
    frequencies, octaves, counts = _frequencies(recipe), [], []
    for low, high in itertools.pairwise(CONTRAST_EDGES):
        start = max(0, int(np.searchsorted(frequencies, low)) - 1)
        bins = int(np.searchsorted(frequencies, high, side="right")) - start
        octaves.append(slice(start, start + bins - (high < np.inf)))
        counts.append(max(1, int(np.rint(CONTRAST_QUANTILE * bins))))
    ends = np.cumsum([0] + [octave.stop - octave.start for octave in octaves])
    weights = np.zeros((ends[-1], 2, len(octaves)), np.float32)
    for i, count in enumerate(counts):
        start, stop = ends[i : i + 2]
        weights[start : start + count, 0, i] = weights[stop - count : stop, 1, i] = 1 / count
    return octaves, weights.reshape(len(weights), -1)


def _contrast(magnitude, recipe):
    """Mean of the lowest and of the highest bins of each octave."""
    octaves, weights = _octaves(recipe)
    rising = [np.sort(magnitude[:, octave], axis=1) for octave in octaves]
    values = np.concatenate(rising, axis=1) @ weights
    return dict(zip(("valley", "peak"), np.hsplit(values, 2), strict=True))


def _autocorrelation(correlated, recipe):
    """Energy of each frame, and height and place of its highest autocorrelation."""
    half = recipe.n_fft // 2  # beyond it the end of a frame would meet its beginning
    shortest, longest = (min(int(s * recipe.sr), half) for s in (SHORTEST_PERIOD, LONGEST_PERIOD))
    values = scipy.fft.irfft(correlated, recipe.n_fft, axis=1, overwrite_x=True)
    energy, values = values[:, 0], values[:, shortest : longest + 1]
    place = np.argmax(values, axis=1)
    peak = np.take_along_axis(values, place[:, np.newaxis], axis=1)[:, 0]
    return {
        "autocorrelation_peak": peak / np.where(energy > 0, energy, 1),
        "autocorrelation_period": 1000 / recipe.sr * (shortest + place),
        "short_time_energy": energy / recipe.n_fft,
    }


def _zero_crossing_rate(y, recipe):
    negative = np.pad(y < -AMIN, recipe.n_fft // 2, mode="edge")
    crossings = np.flatnonzero(negative[1:] != negative[:-1])
    starts = np.arange(0, len(y) + 1, recipe.hop_length)
    before, within = np.searchsorted(crossings, [starts, starts + recipe.n_fft - 1])
    return (within - before) / recipe.n_fft
