"""Features of a clip: one pass over its spectrum, shared by every family that needs it.

Every value equals the librosa expression that `FAMILIES` gives for it; the tests evaluate those
expressions one at a time, and ``benchmarks/extraction.py`` compares the speed.
"""

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy.fft

from genre_utils import audio

TOP_DB = 80.0  # decibels below a clip's loudest point at which the log-mel spectrogram ends
ROLLING_DELTA = 9  # frames over which a delta is fitted
ROLLOFF = 0.85  # share of the magnitude that lies below the roll-off frequency
CONTRAST_EDGES = (0.0, 200.0, 400.0, 800.0, 1600.0, 3200.0, 6400.0, np.inf)  # Hz, of its octaves
CONTRAST_QUANTILE = 0.02  # share of a band's bins that its peak and its valley are averaged over
SHORTEST_PERIOD, LONGEST_PERIOD = 0.002, 0.025  # seconds: 500 to 40 Hz; at most half a frame
TEMPO_SECONDS = 8.0  # of music that a tempo is estimated from
KEY_SECONDS = 3.0  # of music that a key is estimated from
MEDIAN = 31  # frames, and bins, over which music is split into harmonic and percussive
MODULATION_FRAMES, MODULATION_BANDS = 11.0, 64  # frames a second and bands that it is read from
MODULATION_RATES = (0.4, 0.8, 1.6, 3.2, 5.5)  # Hz: how fast a pattern comes and goes
MODULATION_SCALES = (4.0, 8.0, 16.0)  # cycles over all mel bands: how fine a pattern is in pitch
#: Rate and scale of each filter; a negative scale is a pattern that falls in pitch, a rate of 0 one
#: that stays.
MODULATIONS = [
    (rate, sign * scale)
    for rate in MODULATION_RATES
    for scale in (0.0, *MODULATION_SCALES)
    for sign in ((1, -1) if scale else (1,))
] + [(0.0, scale) for scale in MODULATION_SCALES]
MODULATION_REGIONS = 8  # parts of the mel axis in which its strength is averaged
AMIN = 1e-10  # least power that has a logarithm
BLOCK = 64  # frames computed at a time: few enough to stay in a core's own cache

#: Probe-tone ratings of the twelve pitch classes in C major and C minor.
KRUMHANSL_KESSLER = np.array(
    [
        [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88],
        [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17],
    ]
)


class Family(NamedTuple):
    """What a family of features is.

    Attributes
    ----------
    group : str
        What kind of description it belongs to.
    meaning, unit, source : str
        In words; the unit of its values; who described it.
    reference : str
        The expression, mostly one call of librosa, that gives the same values (see `reference`).
    from_log_mel : bool
        Whether a log-mel spectrogram is enough to compute it.
    summarised : bool
        Whether the classical models get its mean and deviation; false for images too wide for it.
    """

    group: str
    meaning: str
    unit: str
    source: str
    reference: str
    from_log_mel: bool = False
    summarised: bool = True


FAMILIES = {
    "stft_magnitude": Family(
        "spectral",
        "strength of each frequency in each frame; a sine of full scale reaches 512",
        "STFT units",
        "Allen and Rabiner 1977",
        "np.abs(librosa.stft(y, **frames))",
        summarised=False,
    ),
    "log_mel": Family(
        "spectral",
        "power in bands spaced as the ear spaces them, from 80 dB below the clip's loudest point",
        "share of 80 dB",
        "Stevens, Volkmann and Newman 1937",
        "librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=sr, n_mels=n_mels, **frames), "
        "ref=np.max, top_db=80) / 80 + 1",
        from_log_mel=True,
    ),
    "mfcc": Family(
        "spectral",
        "shape of the log-mel spectrum, from coarse to fine (its cosine transform)",
        "dB",
        "Davis and Mermelstein 1980",
        "librosa.feature.mfcc(S=80 * (log_mel - 1), n_mfcc=n_mfcc)",
        from_log_mel=True,
    ),
    "mfcc_delta": Family(
        "spectral",
        "slope of the MFCCs over 9 frames",
        "dB per frame",
        "Furui 1986",
        "librosa.feature.delta(mfcc, width=9)",
        from_log_mel=True,
    ),
    "mfcc_delta2": Family(
        "spectral",
        "curvature of the MFCCs over 9 frames",
        "dB per frame²",
        "Furui 1986",
        "librosa.feature.delta(mfcc, width=9, order=2)",
        from_log_mel=True,
    ),
    "zero_crossing_rate": Family(
        "time domain",
        "share of samples whose sign differs from the one before",
        "share",
        "Kedem 1986",
        "librosa.feature.zero_crossing_rate(y, frame_length=n_fft, hop_length=hop_length)",
    ),
    "short_time_energy": Family(
        "time domain",
        "mean square of the samples",
        "full scale²",
        "Rabiner and Schafer 1978",
        "librosa.feature.rms(y=y, frame_length=n_fft, hop_length=hop_length) ** 2",
    ),
    "autocorrelation_peak": Family(
        "time domain",
        "highest autocorrelation at periods of 2 to 25 ms: how strongly a frame repeats itself",
        "correlation",
        "Rabiner 1977",
        "autocorrelation[:, shortest:].max(axis=1)",
    ),
    "autocorrelation_period": Family(
        "time domain",
        "the period at which that highest autocorrelation lies",
        "ms",
        "Rabiner 1977",
        "1000 / sr * (shortest + autocorrelation[:, shortest:].argmax(axis=1))",
    ),
    "spectral_centroid": Family(
        "frequency domain",
        "where the magnitude has its centre of gravity: brightness",
        "Hz",
        "Grey and Gordon 1978",
        "librosa.feature.spectral_centroid(y=y, sr=sr, **frames)",
    ),
    "spectral_bandwidth": Family(
        "frequency domain",
        "how far the magnitude spreads around its centroid",
        "Hz",
        "Klapuri and Davy 2006",
        "librosa.feature.spectral_bandwidth(y=y, sr=sr, **frames)",
    ),
    "spectral_rolloff": Family(
        "frequency domain",
        "frequency below which 85 % of the magnitude lies",
        "Hz",
        "Tzanetakis and Cook 2002",
        "librosa.feature.spectral_rolloff(y=y, sr=sr, **frames)",
    ),
    "spectral_contrast": Family(
        "frequency domain",
        "how far peaks rise above valleys, in seven bands, mostly octaves",
        "dB of magnitude",
        "Jiang et al. 2002",
        "librosa.feature.spectral_contrast(y=y, sr=sr, **frames)",
    ),
    "spectral_flatness": Family(
        "frequency domain",
        "geometric over arithmetic mean of the power: 1 is noise, 0 is tones",
        "ratio",
        "Dubnov 2004",
        "librosa.feature.spectral_flatness(y=y, **frames)",
    ),
    "spectral_mean": Family(
        "frequency domain",
        "mean magnitude over all frequencies",
        "STFT units",
        "Guo 2024",
        "np.abs(librosa.stft(y, **frames)).mean(axis=0)",
    ),
    "spectral_variance": Family(
        "frequency domain",
        "variance of the magnitude over all frequencies",
        "STFT units²",
        "Guo 2024",
        "np.abs(librosa.stft(y, **frames)).var(axis=0)",
    ),
    "chroma": Family(
        "chroma",
        "power of each pitch class from the STFT, over the strongest one",
        "share of the strongest",
        "Fujishima 1999",
        "librosa.feature.chroma_stft(y=y, sr=sr, tuning=0.0, **frames)",
    ),
    "chroma_cqt": Family(
        "chroma",
        "magnitude of each pitch class from the constant-Q transform, over the strongest one",
        "share of the strongest",
        "Brown 1991; Schörkhuber and Klapuri 2010",
        "librosa.feature.chroma_cqt(y=y, sr=sr, hop_length=hop_length, tuning=0.0)",
    ),
    "tonnetz": Family(
        "chroma",
        "place of the chroma on circles of fifths, minor thirds and major thirds",
        "coordinate",
        "Harte, Sandler and Gasser 2006",
        "librosa.feature.tonnetz(chroma=chroma)",
    ),
    "onset_strength": Family(
        "rhythm",
        "mean rise of the log-mel spectrum from one frame to the next",
        "dB",
        "Böck and Widmer 2013",
        "librosa.onset.onset_strength(S=80 * log_mel, sr=sr, **frames)",
        from_log_mel=True,
    ),
    "tempogram": Family(
        "rhythm",
        "autocorrelation of the onset strength over 8 s: periodicities of the beat",
        "correlation",
        "Grosche, Müller and Kurth 2010",
        "librosa.feature.tempogram(onset_envelope=onset_strength[0], sr=sr, "
        "hop_length=hop_length, win_length=tempo_frames)",
        summarised=False,
    ),
    "tempo": Family(
        "rhythm",
        "the likeliest tempo of the 8 s around a frame",
        "BPM",
        "Ellis 2007",
        "librosa.feature.tempo(tg=tempogram, sr=sr, hop_length=hop_length, aggregate=None)",
    ),
    "beat_regularity": Family(
        "rhythm",
        "rise of the tempogram at that tempo over its mean from 30 to 320 beats per minute",
        "correlation",
        "Lartillot et al. 2008 (pulse clarity)",
        "tempogram[tempo_lag, np.arange(tempo.size)] - tempogram[lag_range].mean(axis=0)",
    ),
    "harmonic_share": Family(
        "harmonic and percussive",
        "share of the energy in sustained sounds, the rest being strokes",
        "share",
        "FitzGerald 2010",
        "(harmonic**2).sum(axis=0) / ((harmonic**2).sum(axis=0) + (percussive**2).sum(axis=0))",
    ),
    "key_clarity": Family(
        "emotional and semantic",
        "correlation of 3 s of chroma with the nearest of the 24 key profiles",
        "correlation",
        "Krumhansl 1990",
        "key_correlation.max(axis=(0, 1))",
    ),
    "mode": Family(
        "emotional and semantic",
        "correlation with the nearest major key less that with the nearest minor key",
        "difference of correlations",
        "Krumhansl 1990",
        "key_correlation[0].max(axis=0) - key_correlation[1].max(axis=0)",
    ),
    "modulation": Family(
        "modulation",
        "strength of patterns in the log-mel spectrogram, by how fast they come and go (0.4 to 5.5 "
        "Hz), how fine they are in pitch, whether they rise or fall, and where on the mel axis",
        "of the log-mel range",
        "Chi, Ru and Shamma 2005; Andén and Mallat 2014",
        "modulation_of(log_mel, sr / hop_length)",
        from_log_mel=True,
    ),
    "dynamics": Family(
        "emotional and semantic",
        "level of a frame over that of the whole clip; its deviation is the dynamic range",
        "dB",
        "Lartillot and Toiviainen 2007",
        "10 * np.log10(np.maximum(loudness, 1e-8))",
    ),
    "arousal": Family(
        "emotional and semantic",
        "loudness (Stevens's power law, over the clip's) times brightness: an energy-like "
        "measure, not validated against listeners",
        "no unit",
        "Stevens 1957; Gabrielsson and Lindström 2010",
        "loudness**0.3 * librosa.feature.spectral_centroid(y=y, sr=sr, **frames) / (sr / 2)",
    ),
}

#: Families of each group.
GROUPS = {
    group: [name for name, family in FAMILIES.items() if family.group == group]
    for group in dict.fromkeys(family.group for family in FAMILIES.values())
}


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


def frame_features(y: np.ndarray, recipe: Recipe, families=tuple(FAMILIES)) -> dict:
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
    computed |= _rhythm(computed["onset_strength"][0], recipe)
    names = ("chroma", "short_time_energy", "spectral_centroid")
    computed |= _semantic(*(computed[name] for name in names), recipe)
    if "harmonic_share" in families:
        computed["harmonic_share"] = _harmonic_share(computed["stft_magnitude"])
    if "chroma_cqt" in families:
        computed["chroma_cqt"] = _chroma_cqt(y, recipe)
    if "modulation" in families:
        computed["modulation"] = modulation(computed["log_mel"], recipe.frames_per_second)
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


def modulation(log_mel: np.ndarray, frames_per_second: float) -> np.ndarray:
    """Strength of spectro-temporal patterns: the picture filtered by 2-D Gabor functions.

    The magnitude of each filter's output is averaged in `MODULATION_REGIONS` parts of the mel
    axis. The cortical model of Chi, Ru and Shamma (2005, JASA 118(2)) and the joint scattering of
    Andén and Mallat (2014, IEEE TSP 62(16)) describe sound in this way.

    Parameters
    ----------
    log_mel : np.ndarray, shape (mels, frames)
    frames_per_second : float
        Frames are averaged to about `MODULATION_FRAMES` a second first, and bands to at most
        `MODULATION_BANDS`.

    Returns
    -------
    np.ndarray, shape (filters * regions, frames), float32
    """
    mels, frames = log_mel.shape
    step = max(1, round(frames_per_second / MODULATION_FRAMES))
    image = _averaged(log_mel.astype(np.float32), -(-mels // MODULATION_BANDS), 0)
    image = _averaged(image, step, 1)
    shape = tuple(scipy.fft.next_fast_len(size) for size in image.shape)
    bank = _gabor_bank(shape, frames_per_second / step, shape[0] / image.shape[0])
    spectrum = scipy.fft.fft2(image - image.mean(), shape)
    strength = np.abs(scipy.fft.ifft2(spectrum * bank))[:, : image.shape[0], : image.shape[1]]
    edges = np.linspace(0, len(image), min(MODULATION_REGIONS, len(image)), endpoint=False)
    edges = edges.astype(int)
    sizes = np.diff(np.append(edges, len(image)))
    regions = np.add.reduceat(strength, edges, axis=1) / sizes[:, np.newaxis]
    steps = regions.reshape(-1, image.shape[1]).astype(np.float32)
    return np.repeat(steps, step, axis=1)[:, :frames]


def _averaged(image, step, axis):
    """Mean of every `step` neighbours along an axis, and of what is left over at its end."""
    if step == 1:
        return image
    starts = np.arange(0, image.shape[axis], step)
    sizes = np.diff(np.append(starts, image.shape[axis]))
    return np.add.reduceat(image, starts, axis=axis) / np.expand_dims(sizes, 1 - axis)


@lru_cache
def _gabor_bank(shape, frames_per_second, stretch):
    """Transfer functions of the filters, float32 (filters, bands, frames): Gaussians.

    Each is as wide (standard deviation) as half its centre frequency, and one side of the
    frequency plane only, so that the output has a magnitude and a phase. `stretch` is by how much
    the mel axis is longer than its bands.
    """
    scale, rate = (scipy.fft.fftfreq(size) for size in shape)
    scale = scale[:, np.newaxis] * shape[0] / stretch  # cycles over the bands
    rate = rate * frames_per_second
    widths = [(max(hertz, 0.35) / 2, max(abs(cycles), 2.0) / 2) for hertz, cycles in MODULATIONS]
    filters = [
        np.exp(-(((rate - hertz) / width) ** 2 + ((scale - cycles) / height) ** 2) / 2)
        for (hertz, cycles), (width, height) in zip(MODULATIONS, widths, strict=True)
    ]
    return np.array(filters, dtype=np.float32)


def _rhythm(onset_strength, recipe):
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


def _semantic(chroma, energy, centroid, recipe):
    """What a listener might say: how clear the key is, major or minor, how dynamic, how lively."""
    import scipy.ndimage

    length = round(KEY_SECONDS * recipe.frames_per_second)
    smooth = scipy.ndimage.uniform_filter1d(chroma, length, axis=1, mode="nearest")
    smooth = smooth - smooth.mean(axis=0)
    deviation = smooth.std(axis=0)
    correlation = _key_profiles() @ smooth / np.where(deviation > 0, 12 * deviation, 1)
    major, minor = correlation.max(axis=1)
    loudness = energy / max(energy.mean(), AMIN)
    return {
        "key_clarity": np.maximum(major, minor),
        "mode": major - minor,
        "dynamics": 10 * np.log10(np.maximum(loudness, 10 ** (-TOP_DB / 10))),
        "arousal": loudness**0.3 * centroid / (recipe.sr / 2),
    }


def _key_profiles():
    """Standardised profiles of the keys, shape (2 modes, 12 tonics, 12 pitch classes)."""
    profiles = np.stack([np.roll(KRUMHANSL_KESSLER, tonic, axis=1) for tonic in range(12)], axis=1)
    profiles = profiles - profiles.mean(axis=2, keepdims=True)
    return profiles / profiles.std(axis=2, keepdims=True)


def _harmonic_share(magnitude):
    """Share of the energy in what a median filter over time keeps, and one over frequency does not.

    Parameters
    ----------
    magnitude : np.ndarray, shape (bins, frames)
    """
    harmonic = np.square(_running_median(magnitude))
    percussive = np.square(_running_median(magnitude.T).T)
    either = harmonic + percussive
    mask = np.divide(harmonic, either, out=np.full_like(either, 0.5), where=either > 0)
    sustained, strokes = (np.square(magnitude * m).sum(axis=0) for m in (mask, 1 - mask))
    total = sustained + strokes
    return sustained / np.where(total > 0, total, 1)


def _running_median(values):
    """Median over `MEDIAN` neighbours in each row, mirrored at its ends.

    SciPy's filter is many times faster on one long row than on a matrix, so that the rows are
    mirrored and joined first.
    """
    import scipy.ndimage

    padded = np.pad(values, ((0, 0), (MEDIAN // 2, MEDIAN // 2)), mode="symmetric")
    filtered = scipy.ndimage.median_filter(padded.ravel(), MEDIAN).reshape(padded.shape)
    return filtered[:, MEDIAN // 2 : -(MEDIAN // 2)]


def _chroma_cqt(y, recipe):
    import librosa

    return librosa.feature.chroma_cqt(y=y, sr=recipe.sr, hop_length=recipe.hop_length, tuning=0.0)


# ---------------------------------------------------------------------------- statistics of them


def summary_columns(families: dict[str, np.ndarray]) -> list[str]:
    """Names of the columns of `summarise`: ``mfcc_01_mean``, ``mfcc_01_std``, ..."""
    return [
        f"{family}_{i:02d}_{statistic}"
        for family, values in _summarised(families).items()
        for i in range(1, len(values) + 1)
        for statistic in ("mean", "std")
    ]


def summarise(families: dict[str, np.ndarray], length: int) -> np.ndarray:
    """Mean and standard deviation of every feature over each excerpt.

    Parameters
    ----------
    families : dict of str to np.ndarray, shape (dimensions, frames)
    length : int
        Frames of an excerpt; what is left over at the end is not used.

    Returns
    -------
    np.ndarray, shape (excerpts, 2 * dimensions of all families), float32
        Its columns are named by `summary_columns`.
    """
    values = np.concatenate(list(_summarised(families).values()))
    count = values.shape[1] // length
    cut = values[:, : count * length].reshape(len(values), count, length)
    statistics = np.stack([cut.mean(axis=2), cut.std(axis=2)], axis=1)
    return statistics.reshape(2 * len(values), count).T.astype(np.float32)


def _summarised(families):
    wide = {name for name, family in FAMILIES.items() if not family.summarised}
    return {name: values for name, values in families.items() if name not in wide}


def family_of(column: str) -> str:
    """Family of a summary column: ``mfcc_01_mean`` -> ``mfcc``."""
    return column.rsplit("_", 2)[0]
