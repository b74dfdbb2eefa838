"""Modulations: patterns in time and pitch of the log-mel spectrogram, by 2-D Gabor filters."""

from functools import lru_cache

import numpy as np
import scipy.fft

FRAMES, BANDS = 11.0, 64  # frames a second and bands that it is read from
RATES = (0.4, 0.8, 1.6, 3.2, 5.5)  # Hz: how fast a pattern comes and goes
SCALES = (4.0, 8.0, 16.0)  # cycles over all mel bands: how fine a pattern is in pitch
#: Rate and scale of each filter; a pattern of positive scale falls in pitch, one of rate 0 stays.
FILTERS = [
    (rate, sign * scale)
    for rate in RATES
    for scale in (0.0, *SCALES)
    for sign in ((1, -1) if scale else (1,))
] + [(0.0, scale) for scale in SCALES]
REGIONS = 8  # parts of the mel axis in which its strength is averaged


def strength(log_mel: np.ndarray, frames_per_second: float) -> np.ndarray:
    """Strength of spectro-temporal patterns in a log-mel spectrogram (mels, frames).

    The magnitude of the output of each 2-D Gabor function is averaged in `REGIONS` parts of the mel
    axis: (filters * regions, frames), float32. The cortical model of Chi, Ru and Shamma (2005, JASA
    118(2)) and the joint scattering of Andén and Mallat (2014, IEEE TSP 62(16)) describe sound so.
    """
    mels, frames = log_mel.shape
    step = max(1, round(frames_per_second / FRAMES))
    image = _averaged(_averaged(log_mel.astype(np.float32), -(-mels // BANDS), 0), step, 1)
    shape = tuple(scipy.fft.next_fast_len(size) for size in image.shape)
    bank = _gabor_bank(shape, frames_per_second / step, shape[0] / image.shape[0])
    spectrum = scipy.fft.fft2(image - image.mean(), shape)
    output = np.abs(scipy.fft.ifft2(spectrum * bank))[:, : image.shape[0], : image.shape[1]]
    edges = np.linspace(0, len(image), min(REGIONS, len(image)), endpoint=False).astype(int)
    sizes = np.diff(np.append(edges, len(image)))
    regions = np.add.reduceat(output, edges, axis=1) / sizes[:, np.newaxis]
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
    """Transfer functions of the filters, (filters, bands, frames): Gaussians, on one side only."""
    scale, rate = (scipy.fft.fftfreq(size) for size in shape)
    scale = scale[:, np.newaxis] * shape[0] / stretch  # cycles over the bands, without padding
    rate = rate * frames_per_second
    widths = [(max(hertz, 0.35) / 2, max(abs(cycles), 2.0) / 2) for hertz, cycles in FILTERS]
    filters = [
        np.exp(-(((rate - hertz) / width) ** 2 + ((scale - cycles) / height) ** 2) / 2)
        for (hertz, cycles), (width, height) in zip(FILTERS, widths, strict=True)
    ]
    return np.array(filters, dtype=np.float32)
