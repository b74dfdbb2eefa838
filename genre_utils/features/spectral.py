"""Features of a clip: one pass over its spectrum, shared by every family that needs it.

Every value equals the librosa expression that `FAMILIES` gives for it; the tests evaluate those
expressions one at a time, and ``benchmarks/extraction.py`` compares the speed.
"""

import itertools
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft

from genre_utils.features import audio, catalogue, musical

TOP_DB = 80.0  # decibels below a clip's loudest point at which the log-mel spectrogram ends
ROLLING_DELTA = 9  # frames over which a delta is fitted
ROLLOFF = 0.85  # share of the magnitude that lies below the roll-off frequency
CONTRAST_EDGES = (0.0, 200.0, 400.0, 800.0, 1600.0, 3200.0, 6400.0, np.inf)  # Hz, of its octaves
CONTRAST_QUANTILE = 0.02  # share of a band's bins that its peak and its valley are averaged over
SHORTEST_PERIOD, LONGEST_PERIOD = 0.002, 0.025  # seconds: 500 to 40 Hz; at most half a frame
AMIN = 1e-10  # least power that has a logarithm
BLOCK = 64  # frames computed at a time: few enough to stay in a core's own cache


@dataclass(frozen=True)
class Recipe:
    """How features are computed: all that recognition needs to do the same to a new file.

    Attributes
    ----------
    sr : int
        Sample rate in Hz.
    n_fft, hop_length : int
        Window and step of the short-time Fourier transform, in samples; the window is even.
    n_mels, n_mfcc : int
        Mel bands and cepstral coefficients.
    clip_seconds, excerpt_seconds : float
        Longest part of a recording that is used (its middle), and the excerpts it is cut into.
    loudness : str
        What every clip is scaled to before (see `audio.normalise_loudness`).
    """

    sr: int = audio.SAMPLE_RATE
    n_fft: int = 2048
    hop_length: int = 1024
    n_mels: int = 64
    n_mfcc: int = 20
    clip_seconds: float = 30.0
    excerpt_seconds: float = 6.0
    loudness: str = "none"

    def __post_init__(self):
        if self.n_fft % 2:
            raise ValueError(f"n_fft is {self.n_fft}; the features need an even number of samples")

    @property
    def frames(self) -> int:
        """Frames of a clip of full length."""
        return 1 + int(self.clip_seconds * self.sr) // self.hop_length

    @property
    def frames_per_second(self) -> float:
        """Frame rate in Hz."""
        return self.sr / self.hop_length


def excerpt_frames(excerpt_seconds: float, frames_per_second: float) -> int:
    """Whole frames that an excerpt spans."""
    return int(excerpt_seconds * frames_per_second)


# ---------------------------------------------------------------------------- the one pass


def frame_features(y: np.ndarray, recipe: Recipe, families=tuple(catalogue.FAMILIES)) -> dict:
    """Compute families of features of a clip; its spectrum is computed once and shared.

    Parameters
    ----------
    y : np.ndarray, shape (n,), float32
        Mono samples at ``recipe.sr``.
    recipe : Recipe
    families : sequence of str
        Names in `FAMILIES`; all of them by default. What costs most, ``chroma_cqt``,
        ``harmonic_share`` and ``modulation``, is computed only when asked for.

    Returns
    -------
    dict of str to np.ndarray, shape (dimensions, frames), float32
        One entry per family asked for.
    """
    import librosa

    computed = _spectrum_pass(y, recipe)
    decibels = librosa.power_to_db(computed.pop("mel"), ref=np.max, top_db=TOP_DB)
    computed |= from_decibels(decibels, recipe.n_mfcc, recipe.n_fft // 2 // recipe.hop_length)
    computed["log_mel"] = decibels / TOP_DB + 1.0
    computed["tonnetz"] = librosa.feature.tonnetz(chroma=computed["chroma"])
    computed |= musical.rhythm(computed["onset_strength"][0], recipe)
    names = ("chroma", "short_time_energy", "spectral_centroid")
    computed |= musical.semantic(*(computed[name] for name in names), recipe)
    if "harmonic_share" in families:
        computed["harmonic_share"] = musical.harmonic_share(computed["stft_magnitude"])
    if "chroma_cqt" in families:
        computed["chroma_cqt"] = musical.chroma_cqt(y, recipe)
    if "modulation" in families:
        computed["modulation"] = musical.modulation(computed["log_mel"], recipe.frames_per_second)
    return {name: np.atleast_2d(computed[name]).astype(np.float32, copy=False) for name in families}


def _spectrum_pass(y, recipe):
    """Everything that one frame decides, a few frames at a time, so that nothing leaves the cache.

    Frames are rows here: a row is contiguous for the Fourier transform, for sums and for sorting,
    and one matrix product gives mel bands and pitch classes together. All is float32 but the
    transform itself, whose rounding would else fill the valleys of spectral contrast.
    """
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
    computed["spectral_contrast"] = _decibels(peak) - _decibels(valley)
    chroma = bands[:, recipe.n_mels :]
    strongest = chroma.max(axis=1, keepdims=True)
    computed["chroma"] = chroma / np.where(strongest > np.finfo(np.float32).tiny, strongest, 1)
    computed |= {"mel": bands[:, : recipe.n_mels], "stft_magnitude": magnitude}
    computed["zero_crossing_rate"] = _zero_crossing_rate(y, recipe)
    return {name: values.T for name, values in computed.items()}


def _spectra_of_halves(frames, hop_length):
    """Spectra of the first and the second half of each frame, at the frequencies of a whole one.

    Where frames overlap by half, the second half of one is the first half of the next.
    """
    rows, n_fft = frames.shape
    half = n_fft // 2
    shared = hop_length == half
    padded = np.zeros((rows + 1 if shared else 2 * rows, n_fft))
    padded[:rows, :half] = frames[:, :half]
    padded[rows:, :half] = frames[-1 if shared else 0 :, half:]
    spectra = scipy.fft.rfft(padded, axis=1, overwrite_x=True)
    return spectra[:rows], spectra[-rows:]


def _join_halves(first, second, power, correlated):
    """Power of each windowed frame, and spectrum of its autocorrelation, from its halves' spectra.

    A delay by half a frame turns the sign of every other frequency. Hann's window, multiplied with
    a frame, weighs each frequency of it with its neighbours: -1/4, 1/2, -1/4. The autocorrelation
    is that of each half, and the one half's correlation with the other.

    Parameters
    ----------
    first, second : np.ndarray, shape (frames, bins), complex128
    power, correlated : np.ndarray, shape (frames, bins), float32 and complex64
        What is written to.
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
    """Bins of each octave, and how many of them a peak or a valley takes."""
    frequencies = _frequencies(recipe)
    octaves = []
    for low, high in itertools.pairwise(CONTRAST_EDGES):
        start = max(0, int(np.searchsorted(frequencies, low)) - 1)
        bins = int(np.searchsorted(frequencies, high, side="right")) - start
        stop = start + bins - (high < np.inf)
        octaves.append((slice(start, stop), max(1, int(np.rint(CONTRAST_QUANTILE * bins)))))
    return octaves


@lru_cache(maxsize=8)
def _ends(recipe):
    """Weights that average the lowest, then the highest bins of each octave in rising order."""
    sizes = [octave.stop - octave.start for octave, _ in _octaves(recipe)]
    weights = np.zeros((sum(sizes), 2, len(sizes)), np.float32)
    for i, (stop, (_, count)) in enumerate(zip(np.cumsum(sizes), _octaves(recipe), strict=True)):
        start = stop - sizes[i]
        weights[start : start + count, 0, i] = weights[stop - count : stop, 1, i] = 1 / count
    return weights.reshape(len(weights), -1)


def _contrast(magnitude, recipe):
    """Mean of the lowest and of the highest bins of each octave."""
    # a sort is faster here than a partition: it is vectorised
    rising = [np.sort(magnitude[:, octave], axis=1) for octave, _ in _octaves(recipe)]
    values = np.concatenate(rising, axis=1) @ _ends(recipe)
    return dict(zip(("valley", "peak"), np.hsplit(values, 2), strict=True))


def _decibels(values):
    import librosa

    return librosa.power_to_db(values)


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


# ---------------------------------------------------------------------------- what follows from it


def from_decibels(decibels: np.ndarray, n_mfcc: int = 20, delay: int = 1) -> dict[str, np.ndarray]:
    """Compute what follows from a log-mel spectrogram alone.

    Parameters
    ----------
    decibels : np.ndarray, shape (mels, frames)
        Mel-band power in decibels, or any linear function of it.
    n_mfcc : int
    delay : int
        Frames by which a window sees a sound before its middle does: half its length over the hop.

    Returns
    -------
    dict of str to np.ndarray, shape (dimensions, frames)
        MFCCs, their deltas, and the onset strength.
    """
    import librosa

    mfcc = librosa.feature.mfcc(S=decibels, n_mfcc=n_mfcc)
    rise = np.maximum(0, np.diff(decibels, axis=1)).mean(axis=0)
    return {
        "mfcc": mfcc,
        "mfcc_delta": librosa.feature.delta(mfcc, width=ROLLING_DELTA),
        "mfcc_delta2": librosa.feature.delta(mfcc, width=ROLLING_DELTA, order=2),
        "onset_strength": np.pad(rise, (1 + delay, 0))[np.newaxis, : decibels.shape[1]],
    }
