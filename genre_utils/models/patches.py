"""What musicnn looks at: clips as patches of 3 s; and where what it has learned lies."""

import importlib.util
from pathlib import Path

import numpy as np

SAMPLE_RATE, N_FFT, HOP, BANDS = 16_000, 512, 256, 96
FRAMES = 187  # of a patch
SECONDS = FRAMES * HOP / SAMPLE_RATE
POOLED, EMBEDDING = 1506, 200  # values of a patch before the dense layers, and after the first
MISSING = (
    "The pretrained models need what musicnn has learned, which is not installed. Install it with\n"
    "    pip install --no-deps -r requirements-nodeps.txt"
)


def installed() -> bool:
    """Whether musicnn is there."""
    return importlib.util.find_spec("musicnn") is not None  # which imports nothing


def learned(name: str = "") -> Path:
    """Folder of the package musicnn, or of a network in it; ModuleNotFoundError if it is absent."""
    spec = importlib.util.find_spec("musicnn")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(MISSING, name="musicnn")
    return Path(spec.origin).parent / name


def cut(y: np.ndarray, how_many: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Cut a clip at 16 kHz into spectrograms, (patches, 187, 96); gives also where each starts (s).

    They are log10(10,000 power + 1), float32; all that lie side by side, or at most `how_many`,
    evenly spread. A clip that is shorter than a patch is repeated until it is one.
    """
    import librosa

    y = np.resize(y, max(len(y), (FRAMES - 1) * HOP))
    image = librosa.feature.melspectrogram(
        y=y, sr=SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP, n_mels=BANDS
    )
    image = np.log10(10_000 * image.T + 1)
    starts = _starts(len(image), how_many)
    images = np.stack([image[start : start + FRAMES] for start in starts])
    return images.astype(np.float32), starts * HOP / SAMPLE_RATE


def _starts(frames, how_many):
    """First frames of patches: one after the other, or fewer, in the middle of even parts."""
    whole = frames // FRAMES
    if not 0 < how_many < whole:
        return np.arange(whole) * FRAMES
    middle = (np.arange(how_many) + 0.5) * frames / how_many
    return np.clip(middle - FRAMES / 2, 0, frames - FRAMES).round().astype(int)


def shares(excerpts: int, seconds: float, starts: np.ndarray) -> np.ndarray:
    """Share of each patch of a clip in its excerpts, (excerpts, patches); rows sum to 1.

    A patch counts by how long it overlaps; where none does, the nearest stands in.
    """
    begin = np.arange(excerpts)[:, np.newaxis] * seconds
    overlap = np.minimum(begin + seconds, starts + SECONDS) - np.maximum(begin, starts)
    most = overlap.max(axis=1, keepdims=True)
    weight = np.where(most > 0, overlap.clip(0), overlap == most)
    return weight / weight.sum(axis=1, keepdims=True)
