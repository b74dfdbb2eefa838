"""TODO features.musical."""

from functools import lru_cache

import numpy as np
import scipy.fft

from genre_utils.features import spectral

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

#: Probe-tone ratings of the twelve pitch classes in C major and C minor.
KRUMHANSL_KESSLER = np.array(
    [
        [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88],
        [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17],
    ]
)


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
    correlation = _key_profiles() @ smooth / np.where(deviation > 0, 12 * deviation, 1)
    major, minor = correlation.max(axis=1)
    loudness = energy / max(energy.mean(), spectral.AMIN)
    return {
        "key_clarity": np.maximum(major, minor),
        "mode": major - minor,
        "dynamics": 10 * np.log10(np.maximum(loudness, 10 ** (-spectral.TOP_DB / 10))),
        "arousal": loudness**0.3 * centroid / (recipe.sr / 2),
    }


def _key_profiles():
    """Standardised profiles of the keys, shape (2 modes, 12 tonics, 12 pitch classes)."""
    profiles = np.stack([np.roll(KRUMHANSL_KESSLER, tonic, axis=1) for tonic in range(12)], axis=1)
    profiles = profiles - profiles.mean(axis=2, keepdims=True)
    return profiles / profiles.std(axis=2, keepdims=True)


def harmonic_share(magnitude):
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


def chroma_cqt(y, recipe):
    """Chroma from the constant-Q transform."""
    import librosa

    return librosa.feature.chroma_cqt(y=y, sr=recipe.sr, hop_length=recipe.hop_length, tuning=0.0)
